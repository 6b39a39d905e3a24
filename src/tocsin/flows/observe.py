"""What the sensors have said since a forecast began, as the forecast's futures have to explain it.

A gauge is heard once in each half hour of the forecast (or what its sense says instead), however often it speaks: what separates it from the model (its zero, the street's slope,
one place for a catchment) is the same in readings that follow each other, and counted each time it would outvote all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from tocsin.decision.futures import Foreseen
from tocsin.decision.observe import Looked, Seen, Sighting
from tocsin.edge.latest import USABLE, Latest, Readings, microseconds
from tocsin.pack import Model, Sense
from tocsin.pack.places import stands_in, told_place
from tocsin.pack.sense import with_error
from tocsin.platform.twin import Gauge
from tocsin.science.score import rank_histogram
from tocsin.vocabulary import Evidence, Footprint, GaugeScore, Grid, Level, Quantity, Verification, World

ARRIVAL = "arrival"
COVERED = 0.75  # of a half hour: with fewer readings than that, rain that did not come and rain that was not told look alike
EVIDENCE_MOST = 500
CHANCES_MOST = 500  # of one gauge in one verification: ten days of half hours
_US = 1_000_000


class Heard(msgspec.Struct, frozen=True):
    """Sightings in the order of their time, and what they rest on, one evidence for each gauge."""

    sightings: tuple[Sighting, ...]
    evidence: tuple[Evidence, ...]


def ground_gauges(senses: Sequence[Sense], gauges: Sequence[Gauge]) -> tuple[Gauge, ...]:
    """The gauges that tell of the hazard where they stand, at a place of the twin."""
    at_place = {sense.quantity.name for sense in senses if sense.at_place}
    return tuple(g for g in gauges if g.quantity in at_place and g.place >= 0)


def kept_of(
    foreseen: Foreseen, model: Model, ground: Sequence[Gauge], senses: Sequence[Sense], grid: Grid | None = None
) -> Foreseen:
    """As much of what was foreseen as readings are held against: the futures, their courses, and at the gauges on the ground, in that order, the frames
    of what each measures and when the hazard came.

    A gauge that nothing in the frames is held against has no frames: NaN. `grid` is needed where a gauge tells of what is near it.
    """
    of = foreseen.footprint
    mine = [_sense_at(gauge, senses) for gauge in ground]
    near = [_near(gauge, sense.reach_m, grid) for gauge, sense in zip(ground, mine, strict=True)]
    nothing = np.zeros((len(foreseen.futures), len(ground)), np.float32)
    arrival = nothing.copy()
    for k, places in enumerate(near):
        arrival[:, k] = of.arrival_s[:, places].min(axis=1)
    frames = None
    if foreseen.frames is not None and ground:
        frames = np.full((*foreseen.frames.shape[:2], len(ground)), np.nan, np.float32)
        for k, gauge in enumerate(ground):
            shown = foreseen.frames if gauge.quantity == model.makes.name else foreseen.shown.get(gauge.quantity)
            if shown is not None:
                frames[:, :, k] = shown[:, :, near[k]].max(axis=2)
    told = {sense.course for sense in senses if sense.course}
    courses = tuple({name: series for name, series in one.items() if name in told} for one in of.courses) if told else ()
    footprint = Footprint(of.quantity, of.duration_s, nothing, arrival, nothing, courses=courses)
    return Foreseen(foreseen.futures, footprint, foreseen.frame_s if frames is not None else (), frames, foreseen.notes)


def heard_since(
    latest: Latest,
    senses: Sequence[Sense],
    model: Model,
    foreseen: Foreseen,
    gauges: Sequence[Gauge],
    ground: Sequence[Gauge],
    *,
    began: datetime,
    now: datetime,
    standing: Standing,
    told_until: datetime | None = None,
) -> Heard:
    """All that concerns these futures from `began` to `now`, and no later than they reach; the same for the same readings, whenever it is asked.

    Evidence holds what came after `told_until` only: an earlier record has the rest. `foreseen` is as `kept_of` leaves it, `ground` the gauges of it, and `standing` says
    which of some places a site tells of. What no future has a forcing or a course for is left out.
    """
    span_s = min((now - began).total_seconds(), foreseen.footprint.duration_s)
    forcings = sorted(set.intersection(*(set(future.series) for future in foreseen.futures)))
    courses = set.intersection(*(set(told) for told in foreseen.footprint.courses)) if foreseen.footprint.courses else set[str]()
    own = {(gauge.site, gauge.quantity): gauge for gauge in gauges}
    row = {(gauge.site, gauge.quantity): k for k, gauge in enumerate(ground)}
    sightings: list[Sighting] = []
    evidence: list[Evidence] = []
    for quantity in latest.quantities() if span_s > 0 else ():
        mine = [sense for sense in senses if sense.quantity.name == quantity.name]
        if not mine:
            continue
        all_read = {site: _usable(latest, quantity, site, began, now, span_s) for site in latest.sites(quantity)}
        came = {site: read for site, read in all_read.items() if read.time_us.size}
        spoke = set[str]()
        for sense in mine:
            if sense.sums_sites:
                if sense.course in courses and (found := _summed(came, began, sense, span_s)):
                    sightings += found
                    spoke |= set(came)
                continue
            for site, read in came.items():
                time_s = (read.time_us - microseconds(began)) / _US
                gauge = own.get((site, quantity.name))
                here = of_gauge(sense, gauge)
                k = row.get((site, quantity.name), -1)
                if here.comes_from is not None:
                    found = [_arrival(site, time_s, read.value, here, k)] if k >= 0 else []
                elif here.at_place:
                    is_shown = k >= 0 and foreseen.frames is not None and bool(np.isfinite(foreseen.frames[:, :, k]).all())
                    what = "" if quantity.name == model.makes.name else quantity.name
                    found = _last_of_each(site, what, time_s, read.value, here, "hazard", k) if is_shown else []
                elif here.course:
                    found = _last_of_each(site, here.course, time_s, read.value, here, "course") if here.course in courses else []
                else:
                    what = standing(site, quantity, here, forcings)
                    rates = bool(what) and here.per_s > 0
                    found = (
                        _rates(site, what, time_s, read.value, span_s, here)
                        if rates
                        else _last_of_each(site, what, time_s, read.value, here, "forcing")
                        if what
                        else []
                    )
                if found:
                    sightings += _with_limit(found, gauge, here)
                    spoke.add(site)
        for site in (site for site in came if site in spoke):
            new = came[site] if told_until is None else _after(came[site], told_until)
            if new.time_us.size:
                evidence.append(_evidence(quantity, site, new, now))
    return Heard(tuple(sorted(sightings, key=lambda s: (s.time_s, s.what, s.site))), tuple(evidence))


Standing = Callable[[str, Quantity, Sense, Sequence[str]], str]


class Places:
    """Which forcing of the futures a site tells of, by the twin: the water that it stands in; else the place of its name, or in which it stands, or that is near."""

    def __init__(self, model: Model, gauges: Sequence[Gauge], waters: Sequence[str], world: World | None = None) -> None:
        self._model, self._gauges, self._waters, self._world = model, tuple(gauges), tuple(waters), world

    def __call__(self, site: str, quantity: Quantity, sense: Sense, forcings: Sequence[str]) -> str:
        """The name of the forcing; empty where it tells of none."""
        kind, at, _ = sense.drive.partition("@")
        if not at:
            return kind if kind in forcings else ""
        sorts = self._model.series[sense.drive].sorts
        there = [name.partition("@")[2] for name in forcings if name.startswith(sense.drive)]
        if "water" in sorts:
            waters = [water for water in self._waters if water in there]
            found = next((w for w in waters if stands_in(site, self._gauges, w, len(self._waters))), "")
            if found:
                return sense.drive + found
        gauge = next((g for g in self._gauges if (g.site, g.quantity) == (site, quantity.name)), None)
        place = told_place(site, gauge, there, sorts, self._world, reach_m=sense.reach_m)
        return sense.drive + place if place else ""


def verification_of(
    looked: Looked, forecast_id: str, subject: str, units: Mapping[str, str], now: datetime, cause: Sequence[str]
) -> Verification:
    """What these readings say of the forecast, by gauge. `looked` weighs from the forecast's own start, each future alike before it."""
    by_gauge: dict[tuple[str, str], list[Seen]] = {}
    for seen in looked.seen:
        by_gauge.setdefault((seen.site, seen.what), []).append(seen)
    return Verification(
        time=now,
        subject=subject,
        cause=tuple(cause),
        forecast=forecast_id,
        members=looked.weight.size,
        effective=looked.effective,
        gauges=tuple(_score(site, what, rows, units) for (site, what), rows in sorted(by_gauge.items())),
        again=looked.again,
        contradictions=looked.contradictions,
    )


def _score(site: str, what: str, rows: Sequence[Seen], units: Mapping[str, str]) -> GaugeScore:
    last = max(rows, key=lambda s: s.time_s)
    return GaugeScore(
        site,
        what or "hazard",
        units.get(what.partition("@")[0], ""),
        len(rows),
        float(np.mean([s.crps for s in rows])),
        float(np.mean([s.low <= s.observed <= s.high for s in rows])),
        float(np.mean([s.middle - s.observed for s in rows])),
        last.low,
        last.high,
        last.observed,
        tuple(rank_histogram(np.array([s.position for s in rows])).tolist()),
        *_chances(rows),
    )


def _chances(rows: Sequence[Seen]) -> tuple[Any, Any, Any]:
    """The gauge's limit, how likely each of the newest readings was told to pass it, and which did; unset where it has none."""
    told = [s for s in sorted(rows, key=lambda s: s.time_s) if np.isfinite(s.limit)][-CHANCES_MOST:]
    if not told:
        return UNSET, UNSET, UNSET
    return told[-1].limit, tuple(round(s.chance, 4) for s in told), tuple(s.passed for s in told)


def _usable(latest: Latest, quantity: Quantity, site: str, began: datetime, now: datetime, span_s: float) -> Readings:
    """A site's readings that may be used, after `began` and until the futures end."""
    read = latest.readings(quantity, site, (now - began).total_seconds(), now)
    start_us, end_us = microseconds(began), microseconds(began) + int(span_s * _US)
    good = np.isin(read.flag, [int(flag) for flag in USABLE]) & quantity.believable(read.value)
    good &= (read.time_us > start_us) & (read.time_us <= end_us)
    return Readings(read.time_us[good], read.value[good], read.flag[good], read.batch)


def _after(read: Readings, moment: datetime) -> Readings:
    new = read.time_us > microseconds(moment)
    return Readings(read.time_us[new], read.value[new], read.flag[new], read.batch)


def _with_limit(found: list[Sighting], gauge: Gauge | None, sense: Sense) -> list[Sighting]:
    """With the gauge's own limit of yellow, or the next worse one: there a warning begins. Limits of amounts are none of rates, nor of when it comes."""
    limits = None if gauge is None or sense.per_s or sense.comes_from is not None else gauge.limits
    from_here = [] if limits is None else sorted(level for level in limits.at if level >= Level.YELLOW)
    if limits is None or not from_here:
        return found
    values = [limits.at[level] for level in sorted(limits.at)]
    is_falling = values[-1] < values[0]
    return [msgspec.structs.replace(one, limit=limits.at[from_here[0]], is_falling=is_falling) for one in found]


def of_gauge(sense: Sense, gauge: Gauge | None) -> Sense:
    """The sense with the errors that hold at one gauge: its own where the twin has them, else those of all gauges.

    A gauge's `error_sd` alone is its whole error; amounts of which rates are made have none but a share. Its `error_share` counts where errors grow with the reading.
    """
    if gauge is None:
        return sense
    is_sd = np.isfinite(gauge.error_sd) and not sense.per_s and sense.error.how != "counts"
    is_share = np.isfinite(gauge.error_share) and sense.error.share > 0.0
    if not is_sd and not is_share:
        return sense
    share = gauge.error_share if is_share else 0.0 if sense.error.how in ("difference", "turn") else None
    return with_error(sense, gauge.error_sd if is_sd else None, share)


def _sense_at(gauge: Gauge, senses: Sequence[Sense]) -> Sense:
    return next(sense for sense in senses if sense.at_place and sense.quantity.name == gauge.quantity)


def _near(gauge: Gauge, reach_m: float, grid: Grid | None) -> NDArray[np.int64]:
    """The cells whose middle lies within reach of a gauge's cell, its own included."""
    if grid is None or not reach_m:
        return np.array([gauge.place])
    x_m, y_m = grid.centre(np.arange(grid.cells))
    at_x, at_y = grid.centre(gauge.place)
    return np.flatnonzero(np.hypot(x_m - at_x, y_m - at_y) <= reach_m)


def _last_of_each(
    site: str,
    what: str,
    time_s: NDArray[np.float64],
    value: NDArray[np.float64],
    sense: Sense,
    of: Literal["forcing", "course", "hazard"],
    place: int = -1,
) -> list[Sighting]:
    """The last reading of each half hour of the forecast, or of what the sense says instead."""
    number = np.ceil(time_s / sense.every_s).astype(np.int64)
    last = np.flatnonzero(np.append(np.diff(number) != 0, True))
    return [
        Sighting(
            site, what, float(time_s[k]), float(value[k]), sense.error.sd_of(float(value[k])), place, of=of, error=sense.error
        )
        for k in last
    ]


def _rates(
    site: str, what: str, time_s: NDArray[np.float64], value: NDArray[np.float64], span_s: float, sense: Sense
) -> list[Sighting]:
    """Amounts as the mean rate of each half hour that is over and was told nearly whole."""
    if time_s.size < 2:
        return []
    step_s = float(np.median(np.diff(time_s)))
    span = sense.every_s * max(1.0, np.ceil(step_s / sense.every_s))  # a gauge that speaks once an hour is heard once an hour
    found = []
    for number in range(1, int(span_s // span) + 1):
        inside = (time_s > (number - 1) * span) & (time_s <= number * span)
        if inside.sum() * step_s >= COVERED * span:
            rate = float(value[inside].sum() / span * sense.per_s)
            error = sense.error.sd_of(rate)
            found.append(Sighting(site, what, number * span, rate, error, span_s=span, of="forcing", error=sense.error))
    return found


def _summed(came: Mapping[str, Readings], began: datetime, sense: Sense, span_s: float) -> list[Sighting]:
    """The sites' means over each span of the sense that is over, added up; only where all sites that usually tell told it nearly whole.

    A part of the sites, or of the days, would look like a fall.
    """
    means: dict[str, dict[int, tuple[float, int]]] = {}
    for site, read in came.items():
        time_s = (read.time_us - microseconds(began)) / _US
        step_s = float(np.median(np.diff(time_s))) if time_s.size > 1 else sense.every_s
        number = np.ceil(time_s / sense.every_s).astype(np.int64)
        means[site] = {}
        for n in np.unique(number[number <= span_s // sense.every_s]).tolist():
            inside = number == n
            if inside.sum() * step_s >= COVERED * sense.every_s:
                means[site][n] = float(read.value[inside].mean()), max(1, round(sense.every_s / step_s))
    numbers = sorted({n for told in means.values() for n in told})
    usual = [site for site, told in means.items() if len(told) >= len(numbers) / 2]
    name = next(iter(means)) if len(means) == 1 else f"{len(means)} sites"
    found = []
    for n in numbers:
        told = [means[site][n] for site in means if n in means[site]]
        if all(n in means[site] for site in usual):
            total, readings = sum(mean for mean, _ in told), 1 if sense.is_stock else max(count for _, count in told)
            error = sense.error.sd_of(total, readings)
            found.append(
                Sighting(
                    name, sense.course, n * sense.every_s, total, error,
                    span_s=sense.every_s, of="course", error=sense.error, readings=readings,
                )
            )  # fmt: skip
    return found


def _arrival(site: str, time_s: NDArray[np.float64], value: NDArray[np.float64], sense: Sense, place: int) -> Sighting:
    """When the hazard came to a sensor, hours after the forecast began; until it has come, that it had not by the last reading."""
    came = np.flatnonzero(value >= (np.inf if sense.comes_from is None else sense.comes_from))
    hours = float(time_s[came[0]] if came.size else time_s[-1]) / 3600.0
    error = sense.error
    return Sighting(site, ARRIVAL, float(time_s[-1]), hours, error.sd_of(hours), place, of="arrival", error=error)


def _evidence(quantity: Quantity, site: str, read: Readings, now: datetime) -> Evidence:
    last = slice(-EVIDENCE_MOST, None)
    return Evidence(
        time=now,
        subject=site,
        quantity=quantity.name,
        unit=quantity.unit,
        sensor_time_us=tuple(read.time_us[last].tolist()),
        value=tuple(read.value[last].tolist()),
        flag=tuple(read.flag[last].tolist()),
        batch=read.batch,
    )
