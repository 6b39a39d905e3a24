"""A plan is data with four uses: simulated on many futures, exercised in a drill, executed with approvals, scored afterwards.

Whatever depends on facts is a trigger, a text in the language of `tocsin.pack.trigger`: `level_m@lake >= 3.0 m for 15 min`.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from tocsin.pack.model import Effect
from tocsin.vocabulary.level import Level


class Duration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long something takes, min; drawn anew in each future, and the same for every plan that shares the action.

    A triangle from `low_min` over `usual_min` to `high_min`, which it never leaves; or, where times were measured (`source` says
    where), a shifted lognormal whose 5th, 50th and 95th per cent are these three, with a tail beyond them.
    """

    low_min: float
    usual_min: float
    high_min: float
    shape: Literal["triangle", "lognormal"] = "triangle"
    source: str = ""


class Substitute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may stand in for a resource: `rate` of `use` for each one that is missing, e.g. two trucks for a bus."""

    use: str
    rate: float = 1.0


class PlanLevel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a graded plan: it is entered and left by triggers of its own, so that between the two it stays what it was.

    Without `enter` it is entered by the decision for the plan itself; without `leave` it is never left. Where `automatic` is not
    declared, a person who holds `authority` must agree each time that `enter` holds; `approval_min` is how long that takes, in simulations.
    """

    name: str
    level: Level
    enter: str = ""
    leave: str = ""
    authority: str = "commander"
    automatic: bool = False
    approval_min: float = 0.0


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order that a crew can carry out, and what it changes in the twin.

    It is called when its `level`, or a higher one of the plan, is in force (from the decision on where it names none), and, where it is
    what another does `otherwise`, when that one has failed. It starts when all of `after` are done, `when` holds, `cancel` does not,
    and what it `needs` is free; it fails where that is not so within `deadline_min` of being called. Its effects begin when it ends, or
    grow from its start on where `gradual` is true. It starts at most `repeat_most` times.
    """

    name: str
    do: str
    role: str
    duration: Duration
    effects: tuple[Effect, ...] = ()
    level: str = ""
    after: tuple[str, ...] = ()
    when: str = ""
    cancel: str = ""
    cancel_on_leave: bool = False
    otherwise: str = ""
    needs: dict[str, int] = {}
    deadline_min: float = 24 * 60.0
    repeat_most: int = 1
    cost: float = 0.0
    gradual: bool = False


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Actions with the levels that call them, the resources there are, and the case or doctrine that they rest on.

    `level` is the warning level from which on the plan is meant to be decided for.
    """

    name: str
    hazard: str
    summary: str
    actions: tuple[Action, ...]
    level: Level = Level.YELLOW
    authority: str = "commander"
    levels: tuple[PlanLevel, ...] = ()
    resources: dict[str, int] = {}
    substitutes: dict[str, tuple[Substitute, ...]] = {}
    currency: str = "EUR"
    basis: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 of all that the plan says: a decision names it, so what was approved is what is carried out."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()
