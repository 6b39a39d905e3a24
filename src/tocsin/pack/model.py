"""A model turns a world and one future into a footprint: a pure function with its knobs, its source and its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science import sampling
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


Shape = Literal["triangle", "uniform", "normal", "lognormal", "choice", "sample"]
MEMBERS_MOST = 100_000


class Spread(msgspec.Struct, frozen=True):
    """What is known of an uncertain knob: from `low` over `usual` to `high`, by a shape; three equal numbers are certain.

    triangle: most likely at `usual`. uniform: all alike. normal: mean `usual` and standard deviation `sd`, cut at both ends. lognormal:
    median `usual` and standard deviation `sd` of its natural logarithm, cut at both ends. choice: one of `values`, with `shares` (alike where
    none are given). sample: as `values` were seen, with lines between. `usual` is what a single future has. `source` says who says so.
    """

    low: float
    usual: float
    high: float
    shape: Shape = "triangle"
    sd: float = 0.0
    values: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.usual, self.high]).all() and self.low <= self.usual <= self.high):
            raise InputError(f"spread: {self.low} <= {self.usual} <= {self.high} does not hold; wanted low <= usual <= high")
        if self.shape in ("normal", "lognormal"):
            if not (np.isfinite(self.sd) and self.sd > 0.0):
                raise InputError(f"spread: {self.shape} with sd = {self.sd}; wanted a number above 0")
            if self.shape == "lognormal" and self.usual <= 0.0:
                raise InputError(f"spread: lognormal with a median of {self.usual}; wanted one above 0")
        if self.shape in ("choice", "sample"):
            values = np.array(self.values)
            if values.size < 2 or not np.isfinite(values).all():
                raise InputError(f"spread: {self.shape} of {values.size} values; wanted two or more, all finite")
            if values.min() < self.low or values.max() > self.high:
                raise InputError(f"spread: values {values.min():g}..{values.max():g} leave {self.low:g}..{self.high:g}")
            _check_shares("spread", self.shares, values.size)

    def at(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """The quantile of each number of `u` (0..1)."""
        match self.shape:
            case "triangle":
                return sampling.triangle(u, self.low, self.usual, self.high)
            case "uniform":
                return sampling.uniform(u, self.low, self.high)
            case "normal":
                return sampling.normal(u, self.usual, self.sd, self.low, self.high)
            case "lognormal":
                return sampling.lognormal_cut(u, self.usual, self.sd, max(self.low, 0.0), self.high)
            case "choice":
                return np.array(self.values)[sampling.choice(u, _shares(self.shares, len(self.values)))]
            case "sample":
                return sampling.sample_quantile(u, np.array(self.values))


class Analogue(msgspec.Struct, frozen=True):
    """A storm that was, one way that forecasters see it coming, or one source that explains what was measured: forcings that belong together, and how
    likely they are beside the others."""

    name: str
    series: Mapping[str, Series]
    share: float = 1.0
    source: str = ""


class Scenario(msgspec.Struct, frozen=True):
    """What is asked of a model: for how long, how many futures, from which seed, and what is known and how well.

    `series` are the forcings by name ("rain", "level@lake", "inflow@weir"), in the unit that the model declares for them. Where there are
    `analogues`, each future has one of them beside `series`: by chance, or `paired`, number for number. `sampling` is "sobol", which can be grown, or "latin", which cannot.
    """

    duration_s: float
    members: int
    seed: int
    knobs: Mapping[str, Spread] = {}
    series: Mapping[str, Series] = {}
    analogues: tuple[Analogue, ...] = ()
    sampling: Literal["sobol", "latin"] = "sobol"
    paired: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.duration_s <= 366 * 86_400.0):
            raise InputError(f"scenario: duration {self.duration_s} s; wanted more than nothing and at most a year")
        if not 1 <= self.members <= MEMBERS_MOST:
            raise InputError(f"scenario: {self.members} members; wanted 1..{MEMBERS_MOST:,}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"scenario: seed {self.seed}; wanted 0..2^63 - 1")
        if self.analogues:
            _check_shares("scenario: analogues", tuple(a.share for a in self.analogues), len(self.analogues))
            names = [a.name for a in self.analogues]
            if len(set(names)) != len(names):
                raise InputError(f"scenario: analogues {', '.join(names)}; wanted each name once")
            if len({frozenset(_kind(name) for name in a.series) for a in self.analogues}) != 1:
                told = "; ".join(f"{a.name}: {', '.join(sorted(a.series)) or 'none'}" for a in self.analogues)
                raise InputError(f"scenario: analogues give different forcings ({told}); wanted the same ones in all")
            if both := sorted({name for a in self.analogues for name in a.series} & self.series.keys()):
                raise InputError(f"scenario: {', '.join(both)} is given by the analogues and besides; keep one")


def _kind(name: str) -> str:
    """The forcing's name without its place: "release@" for "release@-51.2,-30.0"."""
    kind, at, _ = name.partition("@")
    return kind + at


def _check_shares(where: str, shares: tuple[float, ...], count: int) -> None:
    told = np.array(shares, np.float64)
    if shares and (told.size != count or not np.isfinite(told).all() or (told < 0).any() or told.sum() <= 0):
        raise InputError(f"{where}: shares {list(shares)}; wanted {count}, none below 0, not all 0")


def _shares(shares: tuple[float, ...], count: int) -> NDArray[np.float64]:
    return np.array(shares, np.float64) if shares else np.ones(count)


class Future(msgspec.Struct, frozen=True):
    """One way that it may go: every knob at one value, and a seed for what the model itself leaves to chance."""

    number: int
    seed: int
    duration_s: float
    knobs: Mapping[str, float]
    series: Mapping[str, Series] = {}
    analogue: str = ""


def as_given(future: Future, name: str, time_s: float) -> float:
    """A forcing as the scenario gives it, whatever the knobs; raises NotFound where the future has none of that name."""
    return series_of(future, name).at(time_s)


def no_remarks(notes: Sequence[Mapping[str, float]]) -> tuple[str, ...]:  # noqa: ARG001
    """Nothing to say beside the figures."""
    return ()


def series_of(future: Future, name: str) -> Series:
    """A forcing's series by name; raises NotFound with those that the future has."""
    if name not in future.series:
        raise NotFound(f"future {future.number}: no forcing {name!r}; there are: {', '.join(sorted(future.series)) or 'none'}")
    return future.series[name]


class Drive(msgspec.Struct, frozen=True):
    """A forcing that a scenario may give a model: its quantity, where it may be, and what it means.

    The name of one with a place ends in "@" ("level@" for "level@lake"); `place` then says which sorts of place it takes, joined by "|":
    "water", "line", "zone", "point" (written lon,lat), or a kind of assets ("tanks"). `stepwise`: a value holds until the next one, and the
    last for as long as the step before it; otherwise lines lie between the values. `usual` is what a forcing is in a world, at a place,
    where nobody gives it; None where it is then not there. `roams`: nobody may know where it is, so that it is elsewhere in each analogue (a leak, an
    ignition); all others are at the same places in all of them.
    """

    quantity: Quantity
    meaning: str
    place: str = ""
    stepwise: bool = False
    usual: Callable[[World, str], float] | None = None
    roams: bool = False

    @property
    def sorts(self) -> tuple[str, ...]:
        """The sorts of place that it takes."""
        return tuple(self.place.split("|")) if self.place else ()


class Verb(msgspec.Struct, frozen=True):
    """Something that an action can do to a hazard: to what, and in which unit and range.

    `target` is "all", or sorts of places as in `Drive`, joined by "|"; "drive:NAME@" is any place where such a forcing may be.
    """

    target: str
    meaning: str
    unit: str = "1"
    low: float = float("-inf")
    high: float = float("inf")

    @property
    def sorts(self) -> tuple[str, ...]:
        """The sorts of target that it takes."""
        return tuple(self.target.split("|"))


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an action does to the twin: a verb, its target and an amount, from `start_s` on (seconds after the run's start)."""

    verb: str
    target: str
    amount: float = 1.0
    start_s: float = 0.0


Run = Callable[[World, Future, Sequence[Effect], Sequence[float]], Member]


class Model(msgspec.Struct, frozen=True):
    """(world, future, effects, frame times) -> Member. What it reads and makes is checked before and after each run.

    `acts_on` are the verbs of effects that change this hazard (a raised barrier); all others leave its futures as they are,
    and plans that differ only in those share one hazard run. `series` are the forcings it reads; a name ending in "@" takes a place
    ("level@lake").

    `remarks(notes)` is what a person has to know of some runs beside their figures, in sentences, from the members' notes.

    `forcing(future, name, time_s)` is what a forcing comes to in a future, its knobs included: what a gauge there would show. `starts_from` is
    the field that a run takes its state from, where it can go on from what is there now; None where a run always begins anew.

    `sketch(world)` is a run at a small part of the cost, of the same futures on the same cells, or None where that would save nothing. It may be
    wrong: it helps to compare plans, and is never a forecast. As `run` it has to be a function of a module, or a partial of one.
    """

    name: str
    reads: tuple[Quantity, ...]
    makes: Quantity
    run: Run
    knobs: Mapping[str, Knob]
    series: Mapping[str, Drive]
    acts_on: Mapping[str, Verb]
    source: str
    limits: str
    forcing: Callable[[Future, str, float], float] = as_given
    starts_from: Quantity | None = None
    remarks: Callable[[Sequence[Mapping[str, float]]], tuple[str, ...]] = no_remarks
    sketch: Callable[[World], Run | None] | None = None

    def sketched(self, world: World) -> Model | None:
        """This model as its sketch plays it in a world; None where it has none there."""
        run = None if self.sketch is None else self.sketch(world)
        return None if run is None else msgspec.structs.replace(self, run=run, sketch=None)

    def drive(self, name: str) -> Drive:
        """What a forcing is, by its name with or without a place; raises InputError with those that there are."""
        kind, at, _ = name.partition("@")
        found = self.series.get(kind + at)
        if found is None:
            raise InputError(f"{self.name}: no forcing {name!r}; there are: {', '.join(sorted(self.series)) or 'none'}")
        return found

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
        fixed = [frozenset(name for name in a.series if not self.drive(name).roams) for a in scenario.analogues]
        if len(set(fixed)) > 1:
            odd = sorted(frozenset.union(*fixed) - frozenset.intersection(*fixed))
            raise InputError(
                f"{self.name}: {', '.join(odd)} is not in all analogues; wanted it at the same places in all of them"
            )
        forcings = [*scenario.series.items(), *(item for a in scenario.analogues for item in a.series.items())]
        for name, series in forcings:
            quantity = self.drive(name).quantity
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
