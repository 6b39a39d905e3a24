"""A plan is data with four uses: simulated on many futures, exercised in a drill, executed with approvals, scored afterwards."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from tocsin.pack.model import Effect
from tocsin.vocabulary.level import Level


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fact compared with a number, e.g. "level_m@lake" >= 3.0. What facts there are is the interpreter's to say."""

    fact: str
    op: Literal["<", "<=", ">", ">="]
    value: float


class Duration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long something takes, min: a triangle, drawn anew in each future and the same for every plan that shares the action."""

    low_min: float
    usual_min: float
    high_min: float


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order that a crew can carry out, and what it changes in the twin.

    It starts when all of `after` are done, all of `when` hold, and what it `needs` is free; it fails where that is not so
    within `deadline_min` of the plan's start. Its effects begin when it ends, or all along where `gradual` is true.
    """

    name: str
    do: str
    role: str
    duration: Duration
    effects: tuple[Effect, ...] = ()
    after: tuple[str, ...] = ()
    when: tuple[Condition, ...] = ()
    needs: dict[str, int] = {}
    deadline_min: float = 24 * 60.0
    cost: float = 0.0
    gradual: bool = False


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Actions with the level that wakes them, the resources there are, and the case or doctrine that they rest on."""

    name: str
    hazard: str
    summary: str
    actions: tuple[Action, ...]
    level: Level = Level.YELLOW
    authority: str = "commander"
    resources: dict[str, int] = {}
    currency: str = "EUR"
    basis: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 of all that the plan says: a decision names it, so what was approved is what is carried out."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()
