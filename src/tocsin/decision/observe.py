"""What came against what was expected: observations re-weigh the futures, move their state, and say when the futures have to be drawn anew.

A future is a guess; each reading speaks for some guesses and against others. Weights change in place, so the ranking of plans follows without
a single new run. Only when too few futures are left to tell plans apart, or what is seen lies outside of them all, are they run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.futures import Foreseen
from tocsin.pack import Future, Model, Scenario, Spread
from tocsin.science import assimilate
from tocsin.science.sampling import keyed_uniform
from tocsin.science.score import crps, positions
from tocsin.vocabulary import InputError, NotFound, Series, World

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

    `what` is a forcing of the model by name ("rain", "level@lake"), or "" for the hazard itself at `place` (a cell's number). `time_s` counts
    from the forecast's start; the reading is the mean of the `span_s` before it, of a moment where that is 0. `limit` is the gauge's own from which
    on it is warned of (below which, where `is_falling`), NaN where it has none: how likely it was told to be passed is kept.
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

    def __post_init__(self) -> None:
        where = f"sighting {self.site} at {self.time_s:g} s"
        if not (np.isfinite([self.time_s, self.value, self.span_s]).all() and self.span_s >= 0):
            raise InputError(
                f"{where}: value {self.value}, span {self.span_s} s; wanted finite numbers: leave out what is missing"
            )
        if not (np.isfinite(self.error_sd) and self.error_sd > 0):
            raise InputError(f"{where}: error {self.error_sd}; wanted more than 0: no gauge is exact")
        if bool(self.what) == (self.place >= 0):
            raise InputError(f"{where}: forcing {self.what!r}, place {self.place}; wanted one of the two")


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
        told[:, k] = _of_forcing(model, foreseen.futures, sighting) if sighting.what else _of_frames(foreseen, sighting)
    return told


def look(model: Model, foreseen: Foreseen, sightings: Sequence[Sighting], weight: Floats | None = None) -> Looked:
    """Weigh the futures by what was seen. `weight` is what they weighed before these readings: equal if nothing was seen yet."""
    count = len(foreseen.futures)
    before = np.full(count, 1.0 / count) if weight is None else weight
    if not sightings:
        return Looked(before, assimilate.effective(before), (), _learned(foreseen.futures, before, before), (), "")
    told = expected(model, foreseen, sightings)
    value, error = (np.array([getattr(s, name) for s in sightings]) for name in ("value", "error_sd"))
    after = assimilate.reweigh(before, assimilate.log_likelihood(told, value, error, degrees=TAIL_DEGREES))
    outside = assimilate.fit(told[before > 0], value, error).outside
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


def moved_state(
    world: World,
    foreseen: Foreseen,
    sightings: Sequence[Sighting],
    rng: np.random.Generator,
    *,
    reach_m: float,
) -> tuple[float, Floats]:
    """When the last frame before the readings is, s, and the hazard's state then in each future, (future, place), moved by the gauges on the ground.

    Ensemble Kalman update with a taper of `reach_m`; what comes out below zero is cut to zero. Only sightings of the hazard itself are used, each
    place's last one. Raises InputError where there are no frames, or no such sighting.
    """
    last = {s.place: s for s in sorted(sightings, key=lambda s: s.time_s) if not s.what}
    if foreseen.frames is None or not last:
        raise InputError(
            "observe: no frames or no gauge on the ground; ask the forecast for frames, and give readings with a place"
        )
    seen = tuple(last.values())
    frame = max(0, int(np.searchsorted(foreseen.frame_s, max(s.time_s for s in seen), side="right")) - 1)
    state = foreseen.frames[frame].astype(np.float64)
    places = np.array([s.place for s in seen])
    x_m, y_m = world.grid.centre(np.arange(world.grid.cells))
    near = assimilate.taper(np.hypot(x_m[:, None] - x_m[places], y_m[:, None] - y_m[places]), reach_m)
    mine = np.flatnonzero(near.any(axis=1) & (state > 0).any(axis=0))  # where no future has water, no correlation can put any
    value, error = (np.array([getattr(s, name) for s in seen]) for name in ("value", "error_sd"))
    state[:, mine] = assimilate.kalman_update(state[:, mine], state[:, places], value, error, rng, localisation=near[mine])
    return foreseen.frame_s[frame], np.maximum(state, 0.0)


def gone_on(
    model: Model,
    futures: Sequence[Future],
    from_s: float,
    state: Floats,
    shape: tuple[int, int],
    world_with: Callable[[Mapping[str, NDArray[np.float32]]], World],
) -> list[tuple[World, Future]]:
    """Each future from a moment on, with its own state (future, place) on a grid of `shape`: what to run to go on. Velocities begin at rest.

    `world_with` gives the world with fields that hold now. Raises InputError where the model cannot go on from a state.
    """
    if model.starts_from is None:
        raise InputError(f"{model.name}: cannot go on from a state; draw its futures anew instead")
    runs = []
    for future, field in zip(futures, state, strict=True):
        if not from_s < future.duration_s:
            raise InputError(f"future {future.number}: ends at {future.duration_s:g} s; wanted a moment before, got {from_s:g} s")
        series = {name: Series.of(s.time_s - from_s, s.value) for name, s in future.series.items()}
        runs.append(
            (
                world_with({model.starts_from.name: field.reshape(shape).astype(np.float32)}),
                msgspec.structs.replace(future, duration_s=future.duration_s - from_s, series=series),
            )
        )
    return runs


def _of_forcing(model: Model, futures: Sequence[Future], sighting: Sighting) -> Floats:
    at = [sighting.time_s] if sighting.span_s == 0 else sighting.time_s - sighting.span_s * (np.arange(20) + 0.5) / 20
    try:
        return np.array([np.mean([model.forcing(future, sighting.what, float(t)) for t in at]) for future in futures])
    except NotFound as fault:
        raise InputError(f"sighting {sighting.site}: {fault}") from fault


def _of_frames(foreseen: Foreseen, sighting: Sighting) -> Floats:
    """The hazard at the reading's cell, between the frames before and after it."""
    if foreseen.frames is None or sighting.place >= foreseen.frames.shape[2]:
        raise InputError(
            f"sighting {sighting.site}: place {sighting.place} is in no frame; ask the forecast for frames, or leave the reading out"
        )
    frame_s = np.asarray(foreseen.frame_s)
    if not frame_s[0] <= sighting.time_s <= frame_s[-1]:
        raise InputError(
            f"sighting {sighting.site}: at {sighting.time_s:g} s; the frames go from {frame_s[0]:g} to {frame_s[-1]:g} s"
        )
    after = min(int(np.searchsorted(frame_s, sighting.time_s)), frame_s.size - 1)
    before = max(after - 1, 0)
    step = frame_s[after] - frame_s[before]
    share = 0.0 if step == 0 else (sighting.time_s - frame_s[before]) / step
    here = foreseen.frames[:, :, sighting.place].astype(np.float64)
    return np.asarray((1.0 - share) * here[before] + share * here[after])


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
            apart = abs(a.value - b.value) / np.hypot(a.error_sd, b.error_sd)
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
