"""What came against what was expected: observations re-weigh the futures, move their state, and say when the futures have to be drawn anew.

A future is a guess; each reading speaks for some guesses and against others. Weights change in place, so the ranking of plans follows without
a single new run. Only when too few futures are left to tell plans apart, or what is seen lies outside of them all, are they run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.futures import Foreseen
from tocsin.decision.misfit import compared_as, log_likelihood, turned_to
from tocsin.pack import Effect, Future, Model, ReadingError, Scenario, Spread
from tocsin.science import assimilate
from tocsin.science.sampling import keyed_uniform
from tocsin.science.score import crps, positions
from tocsin.vocabulary import InputError, Member, NotFound, Quantity, World

Floats = NDArray[np.float64]

# Planning choices of ours, `unverified`: they say when to compute again, and warn nobody.
TAIL_DEGREES = 4.0  # Student's t for errors: one broken gauge must not outvote the others
EFFECTIVE_LEAST = 10.0  # futures: with fewer the worst tenth is a single one
OUTSIDE_SD = 3.0  # what is seen lies so many errors outside of all futures: they are wrong, not unlikely
CONTRADICTS_SD, CONTRADICTS_S = 5.0, 900.0  # two gauges of one thing within a quarter of an hour
NARROWEST = 0.1  # of the spread that was: doubt that is smaller is doubt in name only
SIGHTINGS_MOST = 100_000


class Sighting(msgspec.Struct, frozen=True):
    """One reading as the futures have to explain it, with the error of the gauge and of taking the cell for the place.

    `of` says what it is held against: a forcing of the model by its name `what` ("rain", "level@lake"), a course of the run by its name, the hazard at
    `place` (a cell's number; `what` is a quantity that its frames show, or "" for the hazard itself), or when the hazard came to `place`, in hours,
    by `time_s`. Without `of` it is a forcing if it has a name and else the hazard. `time_s` counts from the forecast's start; the reading is the mean of the `span_s`
    before it, of a moment where that is 0. `error_sd` is the error at this reading, in its unit, and `error` how it grows; None: it is the same everywhere.
    Of a count that is the mean of `readings` counts over the span, they are what chance goes by. `limit` is the gauge's own from which on it is warned of (below which, where `is_falling`), NaN where it has none: how likely it was told to be passed is kept.
    """

    site: str
    what: str
    time_s: float
    value: float
    error_sd: float
    place: int = -1
    span_s: float = 0.0
    limit: float = float("nan")
    is_falling: bool = False
    of: Literal["", "forcing", "course", "hazard", "arrival"] = ""
    error: ReadingError | None = None
    readings: int = 1

    def __post_init__(self) -> None:
        where = f"sighting {self.site} at {self.time_s:g} s"
        if not (np.isfinite([self.time_s, self.value, self.span_s]).all() and self.span_s >= 0):
            raise InputError(
                f"{where}: value {self.value}, span {self.span_s} s; wanted finite numbers: leave out what is missing"
            )
        if not (np.isfinite(self.error_sd) and self.error_sd > 0):
            raise InputError(f"{where}: error {self.error_sd}; wanted more than 0: no gauge is exact")
        at_place = self.kind in ("hazard", "arrival")
        if at_place != (self.place >= 0) or (not at_place and not self.what):
            raise InputError(f"{where}: {self.kind} {self.what!r}, place {self.place}; wanted one of the two")

    @property
    def kind(self) -> str:
        """What it is held against."""
        return self.of or ("forcing" if self.what else "hazard")

    @property
    def how(self) -> str:
        """How its error grows: see ReadingError."""
        return "difference" if self.error is None else self.error.how


class Seen(msgspec.Struct, frozen=True):
    """One reading beside what was expected: 5, 50 and 95 % of the futures as weighted before it, its score, and how far it lies outside of all.

    `position` is where it fell among them (`science.score.positions`), `chance` how likely it was told to pass its gauge's `limit`, and `passed`
    whether it did.
    """

    site: str
    what: str
    time_s: float
    observed: float
    low: float
    middle: float
    high: float
    crps: float
    outside_sd: float
    position: float
    limit: float = float("nan")
    chance: float = float("nan")
    passed: bool = False


class Learned(msgspec.Struct, frozen=True):
    """What the readings say of one knob: mean and standard deviation before and after, and its value in the future that fits best."""

    mean_before: float
    sd_before: float
    mean: float
    sd: float
    best: float


class Looked(msgspec.Struct, frozen=True):
    """The weights after the readings, and whether these futures still serve. `again` says why they have to be run anew, empty if not."""

    weight: Floats
    effective: float
    seen: tuple[Seen, ...]
    knobs: Mapping[str, Learned]
    contradictions: tuple[str, ...]
    again: str


def expected(model: Model, foreseen: Foreseen, sightings: Sequence[Sighting]) -> Floats:
    """What each future would have shown at each reading, (future, sighting); raises InputError where a reading cannot be compared."""
    if len(sightings) > SIGHTINGS_MOST:
        raise InputError(f"observe: {len(sightings):,} readings; wanted at most {SIGHTINGS_MOST:,}: give means of longer spans")
    told = np.empty((len(foreseen.futures), len(sightings)))
    for k, sighting in enumerate(sightings):
        match sighting.kind:
            case "forcing":
                told[:, k] = _of_forcing(model, foreseen.futures, sighting)
            case "course":
                told[:, k] = _of_courses(foreseen, sighting)
            case "arrival":
                told[:, k] = _of_arrivals(foreseen, sighting)
            case _:
                told[:, k] = _of_frames(foreseen, sighting)
        if sighting.how == "turn":
            told[:, k] = turned_to(sighting.value, told[:, k])
    return told


def look(model: Model, foreseen: Foreseen, sightings: Sequence[Sighting], weight: Floats | None = None) -> Looked:
    """Weigh the futures by what was seen. `weight` is what they weighed before these readings: equal if nothing was seen yet."""
    count = len(foreseen.futures)
    before = np.full(count, 1.0 / count) if weight is None else weight
    if not sightings:
        return Looked(before, assimilate.effective(before), (), _learned(foreseen.futures, before, before), (), "")
    told = expected(model, foreseen, sightings)
    value = np.array([s.value for s in sightings])
    as_told, as_seen, error = compared_as(sightings, told)
    after = assimilate.reweigh(before, log_likelihood(sightings, told, as_told, as_seen, error, degrees=TAIL_DEGREES))
    outside = assimilate.fit(as_told[before > 0], as_seen, error).outside
    scores = crps(told, value, before)
    luck = np.array([keyed_uniform(foreseen.futures[0].seed, "position", s.site, s.what, f"{s.time_s:g}") for s in sightings])
    position = positions(told[before > 0], value, luck)
    seen = []
    for k, s in enumerate(sightings):
        low, middle, high = weighted_quantile(told[:, k], before, (0.05, 0.5, 0.95))
        beside = low, middle, high, float(scores[k]), float(outside[k]), float(position[k])
        seen.append(Seen(s.site, s.what, s.time_s, s.value, *beside, s.limit, *_passing(told[:, k], before, s)))
    effective = assimilate.effective(after)
    return Looked(
        after,
        effective,
        tuple(seen),
        _learned(foreseen.futures, before, after),
        _contradictions(sightings),
        _why_again(effective, count, seen),
    )


def _passing(told: Floats, weight: Floats, sighting: Sighting) -> tuple[float, bool]:
    """How likely the gauge's limit was told to be passed, and whether it was."""
    if np.isnan(sighting.limit):
        return float("nan"), False
    side = -1.0 if sighting.is_falling else 1.0
    beyond = side * told >= side * sighting.limit
    return float(np.clip(weight @ beyond, 0.0, 1.0)), bool(side * sighting.value >= side * sighting.limit)


def weighted_quantile(values: Floats, weight: Floats, shares: Sequence[float]) -> tuple[float, ...]:
    """The smallest value that at least `share` of the weight does not exceed, for each share."""
    order = np.argsort(values, kind="stable")
    summed = np.cumsum(weight[order])
    place = np.minimum(np.searchsorted(summed, np.asarray(shares) * summed[-1] * (1 - 1e-12)), values.size - 1)
    return tuple(float(v) for v in values[order][place])


def refit(scenario: Scenario, model: Model, looked: Looked) -> Scenario:
    """The scenario from which futures are drawn anew: each uncertain knob as the readings leave it, a triangle of the same mean and spread.

    No spread becomes narrower than NARROWEST of what it was. Where readings lay outside of all futures, spreads stay as wide as they were, about
    the future that fits best, as far as the knob goes: how far off the truth is, is not known.
    """
    knobs = dict(scenario.knobs)
    is_outside = max((abs(s.outside_sd) for s in looked.seen), default=0.0) > OUTSIDE_SD
    for name, learned in looked.knobs.items():
        if name not in knobs:
            continue
        sd = learned.sd_before if is_outside else max(learned.sd, NARROWEST * learned.sd_before)
        half = np.sqrt(6.0) * sd  # a symmetric triangle of half width w has the standard deviation w / sqrt(6)
        knob = model.knobs[name]
        usual = float(np.clip(learned.best if is_outside else learned.mean, knob.low, knob.high))
        knobs[name] = Spread(float(max(usual - half, knob.low)), usual, float(min(usual + half, knob.high)))
    return msgspec.structs.replace(scenario, knobs=knobs)


class Moved(msgspec.Struct, frozen=True):
    """The hazard's state in each future, (future, place), moved by gauges on the ground at `at_s`, and what that did at gauges that were held back.

    `crps_before` and `crps_after` are the mean scores at each gauge as the others alone move the water there; NaN where no gauge is near another.
    """

    at_s: float
    state: Floats
    gauges: int
    held_back: int
    crps_before: float
    crps_after: float

    @property
    def is_better(self) -> bool:
        """True where the held-back gauges were told better by the moved state: else nobody knows that it helps."""
        return self.held_back > 0 and self.crps_after < self.crps_before


def moved_state(
    world: World,
    foreseen: Foreseen,
    sightings: Sequence[Sighting],
    rng: np.random.Generator,
    *,
    reach_m: float,
    at_s: float | None = None,
) -> Moved:
    """The state at `at_s` (usual: of the last reading), between the frames, moved by the gauges on the ground; each place's last reading counts.

    Ensemble Kalman update with a taper of `reach_m`; what comes out below zero is cut to zero. Raises InputError where there are no frames, or
    no such sighting.
    """
    last = {s.place: s for s in sorted(sightings, key=lambda s: s.time_s) if s.kind == "hazard" and not s.what}
    if foreseen.frames is None or not last:
        raise InputError(
            "observe: no frames or no gauge on the ground; ask the forecast for frames, and give readings with a place"
        )
    seen = tuple(last.values())
    moment = max(s.time_s for s in seen) if at_s is None else at_s
    state = _between(foreseen, moment, "observe").astype(np.float64)
    shown = np.column_stack([_of_frames(foreseen, s) for s in seen])
    places = np.array([s.place for s in seen])
    x_m, y_m = world.grid.centre(np.arange(world.grid.cells))
    near = assimilate.taper(np.hypot(x_m[:, None] - x_m[places], y_m[:, None] - y_m[places]), reach_m)
    value, error = (np.array([getattr(s, name) for s in seen]) for name in ("value", "error_sd"))
    before, after = _held_back(shown, value, error, near[places], rng)
    mine = np.flatnonzero(near.any(axis=1) & (state > 0).any(axis=0))  # where no future has water, no correlation can put any
    state[:, mine] = assimilate.kalman_update(state[:, mine], shown, value, error, rng, localisation=near[mine])
    nothing = float("nan")
    return Moved(
        moment,
        np.maximum(state, 0.0),
        len(seen),
        before.size,
        float(before.mean()) if before.size else nothing,
        float(after.mean()) if after.size else nothing,
    )


def _held_back(shown: Floats, value: Floats, error: Floats, near: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The score at each gauge before, and after the other gauges alone have moved it; only of those that one of the others is near."""
    scores: list[tuple[float, float]] = []
    for k in range(value.size):
        others = np.flatnonzero((np.arange(value.size) != k) & (near[k] > 0))
        if others.size:
            here = shown[:, [k]]
            told = assimilate.kalman_update(
                here, shown[:, others], value[others], error[others], rng, localisation=near[[k]][:, others]
            )
            both = (crps(m, value[[k]])[0] for m in (here, np.maximum(told, 0.0)))
            scores.append((float(next(both)), float(next(both))))
    table = np.array(scores).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def going_on(model: Model, state_of: Mapping[int, NDArray[np.float32]]) -> Model:
    """The model, but each future begins from its own state, (place,), by the future's number; one that has none from the median of all.

    So plans that act on the hazard are tried from there too, wherever it is computed. Velocities begin at rest. Raises InputError where the
    model cannot go on from a state.
    """
    if model.starts_from is None:
        raise InputError(f"{model.name}: cannot go on from a state; draw its futures anew instead")
    if not state_of:
        raise InputError(f"{model.name}: no future has a state to go on from; draw its futures anew instead")
    usual = np.median(np.stack(list(state_of.values())), axis=0).astype(np.float32)
    return msgspec.structs.replace(model, run=_GoesOn(model.run, model.starts_from.name, dict(state_of), usual))


class _GoesOn:
    """A model's run from a state of each future."""

    def __init__(
        self, run: Callable[..., Member], field: str, state_of: Mapping[int, NDArray[np.float32]], usual: NDArray[np.float32]
    ) -> None:
        self._run, self._field, self._state_of, self._usual = run, field, state_of, usual

    def __call__(self, world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
        state = self._state_of.get(future.number, self._usual).reshape(world.grid.shape)
        return self._run(_With(world, self._field, state), future, effects, frame_s)


class _With:
    """A world in which one field is as it is told here."""

    def __init__(self, world: World, field: str, values: NDArray[np.float32]) -> None:
        self._world, self._field, self._values = world, field, values

    def field(self, quantity: Quantity) -> NDArray[np.float32]:
        return self._values if quantity.name == self._field else self._world.field(quantity)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


def _of_forcing(model: Model, futures: Sequence[Future], sighting: Sighting) -> Floats:
    at = [sighting.time_s] if sighting.span_s == 0 else sighting.time_s - sighting.span_s * (np.arange(20) + 0.5) / 20
    try:
        return np.array([np.mean([model.forcing(future, sighting.what, float(t)) for t in at]) for future in futures])
    except NotFound as fault:
        raise InputError(f"sighting {sighting.site}: {fault}") from fault


def _of_courses(foreseen: Foreseen, sighting: Sighting) -> Floats:
    """What each run tells at a moment; raises InputError where one does not tell it."""
    courses = foreseen.footprint.courses
    if not courses or any(sighting.what not in told for told in courses):
        there = ", ".join(sorted(courses[0])) if courses else ""
        raise InputError(f"sighting {sighting.site}: not every run tells {sighting.what!r}; they tell: {there or 'nothing'}")
    at = sighting.time_s - sighting.span_s * np.arange(sighting.readings) / sighting.readings  # as of each of the readings
    return np.array([np.mean([told[sighting.what].at(float(t)) for t in at]) for told in courses])


def _of_arrivals(foreseen: Foreseen, sighting: Sighting) -> Floats:
    """Hours until the hazard came to the place in each future, or until now where it has not yet."""
    arrival_s = foreseen.footprint.arrival_s
    if sighting.place >= arrival_s.shape[1]:
        raise InputError(f"sighting {sighting.site}: place {sighting.place}; the futures have {arrival_s.shape[1]} places")
    return np.minimum(arrival_s[:, sighting.place].astype(np.float64), sighting.time_s) / 3600.0


def _of_frames(foreseen: Foreseen, sighting: Sighting) -> Floats:
    """The hazard at the reading's cell, between the frames before and after it."""
    if foreseen.frames is None or sighting.place >= foreseen.frames.shape[2]:
        raise InputError(
            f"sighting {sighting.site}: place {sighting.place} is in no frame; ask the forecast for frames, or leave the reading out"
        )
    here = msgspec.structs.replace(foreseen, frames=foreseen.frames[:, :, [sighting.place]])
    return _between(here, sighting.time_s, f"sighting {sighting.site}")[:, 0]


def _between(foreseen: Foreseen, time_s: float, what: str) -> Floats:
    """The hazard at a moment, (future, place), on a line between the frames before and after it."""
    if foreseen.frames is None:
        raise InputError(f"{what}: there are no frames; ask the forecast for them")
    frame_s = np.asarray(foreseen.frame_s)
    if not frame_s[0] <= time_s <= frame_s[-1]:
        raise InputError(f"{what}: at {time_s:g} s; the frames go from {frame_s[0]:g} to {frame_s[-1]:g} s")
    after = min(int(np.searchsorted(frame_s, time_s)), frame_s.size - 1)
    before = max(after - 1, 0)
    step = frame_s[after] - frame_s[before]
    share = 0.0 if step == 0 else (time_s - frame_s[before]) / step
    return np.asarray((1.0 - share) * foreseen.frames[before].astype(np.float64) + share * foreseen.frames[after])


def _learned(futures: Sequence[Future], before: Floats, after: Floats) -> dict[str, Learned]:
    """Mean and spread of every knob that differs between futures."""
    learned = {}
    for name in futures[0].knobs:
        values = np.array([future.knobs[name] for future in futures])
        if np.ptp(values) > 0:
            means = float(before @ values), float(after @ values)
            sds = (float(np.sqrt(w @ (values - m) ** 2)) for w, m in zip((before, after), means, strict=True))
            sd_before, sd = sds
            learned[name] = Learned(means[0], sd_before, means[1], sd, float(values[after.argmax()]))
    return learned


def _contradictions(sightings: Sequence[Sighting]) -> tuple[str, ...]:
    """Pairs of gauges that tell one thing differently: a sentence for each."""
    last = {(s.what, s.place, s.site): s for s in sorted(sightings, key=lambda s: s.time_s)}
    said = []
    for a, b in combinations(last.values(), 2):
        if (a.what, a.place) == (b.what, b.place) and abs(a.time_s - b.time_s) <= CONTRADICTS_S:
            (as_a,), as_b, error = compared_as([b], np.array([[a.value]]))
            apart = abs(as_a[0] - as_b[0]) / np.hypot(error[0], compared_as([a], np.array([[b.value]]))[2][0])
            if apart > CONTRADICTS_SD:
                thing = a.what or f"cell {a.place}"
                said.append(
                    f"{a.site} says {a.value:g} and {b.site} says {b.value:g} of {thing} at the same time: look which of the two is wrong"
                )
    return tuple(said)


def _why_again(effective: float, count: int, seen: Sequence[Seen]) -> str:
    worst = max(seen, key=lambda s: abs(s.outside_sd))
    if abs(worst.outside_sd) > OUTSIDE_SD:
        side = "above" if worst.outside_sd > 0 else "below"
        return f"{worst.site} reads {worst.observed:g}, {abs(worst.outside_sd):.1f} errors {side} all {count} futures: what happens is none of them"
    if effective < min(EFFECTIVE_LEAST, count / 2):
        return f"the readings leave {effective:.1f} of {count} futures: too few to tell plans apart"
    return ""
