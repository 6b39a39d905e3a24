"""A model turns a world and one future into a footprint: a pure function with its knobs, its source and its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from tocsin.vocabulary.errors import InputError, NotFound, PackFault
from tocsin.vocabulary.footprint import Member
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.series import Series
from tocsin.vocabulary.world import World


class Knob(msgspec.Struct, frozen=True):
    """A number that a scenario may set: its unit, its range, its usual value, and why these."""

    unit: str
    low: float
    usual: float
    high: float
    meaning: str

    def __post_init__(self) -> None:
        if not self.low <= self.usual <= self.high:
            raise InputError(f"knob: {self.low} <= {self.usual} <= {self.high} {self.unit} does not hold")


class Spread(msgspec.Struct, frozen=True):
    """What is known of an uncertain knob: a triangle from `low` over `usual` to `high`; three equal numbers are certain."""

    low: float
    usual: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.usual, self.high]).all() and self.low <= self.usual <= self.high):
            raise InputError(f"spread: {self.low} <= {self.usual} <= {self.high} does not hold; wanted low <= usual <= high")


class Scenario(msgspec.Struct, frozen=True):
    """What is asked of a model: for how long, how many futures, from which seed, and what is known and how well.

    `series` are the forcings by name ("rain", "level@lake", "inflow@weir"), in the unit that the model declares for them.
    """

    duration_s: float
    members: int
    seed: int
    knobs: Mapping[str, Spread] = {}
    series: Mapping[str, Series] = {}

    def __post_init__(self) -> None:
        if not (0 < self.duration_s <= 366 * 86_400.0):
            raise InputError(f"scenario: duration {self.duration_s} s; wanted more than nothing and at most a year")
        if not 1 <= self.members <= 100_000:
            raise InputError(f"scenario: {self.members} members; wanted 1..100,000")


class Future(msgspec.Struct, frozen=True):
    """One way that it may go: every knob at one value, and a seed for what the model itself leaves to chance."""

    number: int
    seed: int
    duration_s: float
    knobs: Mapping[str, float]
    series: Mapping[str, Series] = {}


def as_given(future: Future, name: str, time_s: float) -> float:
    """A forcing as the scenario gives it, whatever the knobs; raises NotFound where the future has none of that name."""
    return series_of(future, name).at(time_s)


def series_of(future: Future, name: str) -> Series:
    """A forcing's series by name; raises NotFound with those that the future has."""
    if name not in future.series:
        raise NotFound(f"future {future.number}: no forcing {name!r}; there are: {', '.join(sorted(future.series)) or 'none'}")
    return future.series[name]


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an action does to the twin: a verb, its target and an amount, from `start_s` on (seconds after the run's start)."""

    verb: str
    target: str
    amount: float = 1.0
    start_s: float = 0.0


class Model(msgspec.Struct, frozen=True):
    """(world, future, effects, frame times) -> Member. What it reads and makes is checked before and after each run.

    `acts_on` names the verbs of effects that change this hazard (a raised barrier); all others leave its futures as they are,
    and plans that differ only in those share one hazard run. `series` names the forcings it reads, with their quantity;
    a name ending in "@" takes any place of the twin ("level@lake").

    `forcing(future, name, time_s)` is what a forcing comes to in a future, its knobs included: what a gauge there would show. `starts_from` is
    the field that a run takes its state from, where it can go on from what is there now; None where a run always begins anew.
    """

    name: str
    reads: tuple[Quantity, ...]
    makes: Quantity
    run: Callable[[World, Future, Sequence[Effect], Sequence[float]], Member]
    knobs: Mapping[str, Knob]
    series: Mapping[str, Quantity]
    acts_on: frozenset[str]
    source: str
    limits: str
    forcing: Callable[[Future, str, float], float] = as_given
    starts_from: Quantity | None = None

    def check(self, scenario: Scenario) -> None:
        """Raise InputError where a scenario names a knob or a series that this model does not have, or leaves a range."""
        for name, spread in scenario.knobs.items():
            if name not in self.knobs:
                raise InputError(f"{self.name}: no knob {name!r}; there are: {', '.join(sorted(self.knobs))}")
            knob = self.knobs[name]
            if not (knob.low <= spread.low and spread.high <= knob.high):
                raise InputError(
                    f"{self.name}: {name} = {spread.low}..{spread.high} is outside {knob.low}..{knob.high} {knob.unit}"
                )
        for name, series in scenario.series.items():
            quantity = self.series.get(name) or self.series.get(name.partition("@")[0] + "@")
            if quantity is None:
                raise InputError(f"{self.name}: no forcing {name!r}; there are: {', '.join(sorted(self.series))}")
            if not quantity.believable(series.value).all():
                raise InputError(
                    f"{self.name}: {name} runs {series.value.min():g}..{series.value.max():g} {quantity.unit}, "
                    f"outside {quantity.low:g}..{quantity.high:g} {quantity.unit}; check the unit"
                )

    def play(self, world: World, future: Future, effects: Sequence[Effect] = (), frame_s: Sequence[float] = ()) -> Member:
        """Run one future and hold the answer to what the model declared; raises PackFault."""
        mine = tuple(e for e in effects if e.verb in self.acts_on)
        member = self.run(world, future, mine, frame_s)
        if member.peak.shape != (world.grid.cells,):
            raise PackFault(f"{self.name}: promised ({world.grid.cells},) places, made {member.peak.shape}")
        if not self.makes.believable(member.peak).all():
            raise PackFault(
                f"{self.name}: {self.makes.name} runs {np.nanmin(member.peak):g}..{np.nanmax(member.peak):g}, "
                f"promised {self.makes.low:g}..{self.makes.high:g} {self.makes.unit} (future {future.number}, seed {future.seed})"
            )
        return member
