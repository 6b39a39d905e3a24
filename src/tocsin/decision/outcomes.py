"""What each plan came to in each future: the table that lies between trying plans and ranking them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.interpret import Course
from tocsin.pack import Plan
from tocsin.vocabulary import InputError

Floats = NDArray[np.float64]
HARM = "people_in_danger"
DAMAGE, COST, FINISHED_S, FAILED, MOVED = "damage", "cost", "finished_s", "failed_share", "people_moved"


class Outcomes(msgspec.Struct, frozen=True):
    """Figures by name, each (plan, future), NaN where that plan has not been tried in that future; `units` says what they are.

    `people_in_danger` is what plans are ranked by first: who is where it is dangerous although the plan was carried out. `by_zone` and
    `by_group` split it, (plan, future, zone) and (plan, future, group); `zones` ends with those outside all zones. `weight` is how
    likely each future is, (future,), sum 1: equal until observations speak for some of them. `courses` say how each plan went.
    """

    plans: tuple[Plan, ...]
    weight: Floats
    figures: Mapping[str, Floats]
    units: Mapping[str, str]
    zones: tuple[str, ...]
    by_zone: Floats
    groups: tuple[str, ...]
    by_group: Floats
    courses: tuple[tuple[Course | None, ...], ...]

    def __post_init__(self) -> None:
        shape = (len(self.plans), self.weight.size)
        if wrong := {name: f.shape for name, f in self.figures.items() if f.shape != shape}:
            raise InputError(f"outcomes: figures of shape {wrong}; wanted (plan, future) = {shape}")
        if not np.isfinite(self.weight).all() or (self.weight < 0).any() or not np.isclose(self.weight.sum(), 1.0):
            raise InputError(
                f"outcomes: weights sum to {self.weight.sum():g}; wanted 1, none below 0: give each future its share"
            )

    @property
    def tried(self) -> NDArray[np.bool_]:
        """Where a plan has been tried in a future, (plan, future)."""
        return np.asarray(np.isfinite(self.figures[HARM]))


def services_in(figures: Iterable[str]) -> tuple[str, ...]:
    """The figures that count people without a service: those that have their person-hours beside them.

    >>> services_in(["cost", "people_without_power", "people_without_power_hours"])
    ('people_without_power',)
    """
    there = tuple(figures)
    return tuple(name for name in there if f"{name}_hours" in there)
