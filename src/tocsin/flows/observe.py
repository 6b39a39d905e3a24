"""What the sensors have said since a forecast began, as the forecast's futures have to explain it.

A gauge is heard once in each half hour of the forecast, however often it speaks: what separates it from the model (its zero, the street's slope,
one place for a catchment) is the same in readings that follow each other, and counted each time it would outvote all the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from tocsin.decision.futures import Foreseen
from tocsin.decision.observe import Looked, Seen, Sighting
from tocsin.edge.gauge_errors import Errors
from tocsin.edge.latest import USABLE, Latest, Readings, microseconds
from tocsin.pack import Model
from tocsin.pack.places import stands_in
from tocsin.platform.twin import Gauge
from tocsin.science.score import rank_histogram
from tocsin.vocabulary import Evidence, Footprint, GaugeScore, Level, Quantity, Verification

EVERY_S = 1_800.0
COVERED = 0.75  # of a half hour: with fewer readings than that, rain that did not come and rain that was not told look alike
EVIDENCE_MOST = 500
CHANCES_MOST = 500  # of one gauge in one verification: ten days of half hours
_US = 1_000_000


class Heard(msgspec.Struct, frozen=True):
    """Sightings in the order of their time, and what they rest on, one evidence for each gauge."""

    sightings: tuple[Sighting, ...]
    evidence: tuple[Evidence, ...]


def ground_gauges(model: Model, gauges: Sequence[Gauge]) -> tuple[Gauge, ...]:
    """The gauges that measure the hazard itself at a place of the twin."""
    return tuple(g for g in gauges if g.quantity == model.makes.name and g.place >= 0)


def kept_of(foreseen: Foreseen, places: Sequence[int]) -> Foreseen:
    """As much of what was foreseen as readings are held against: the futures, and the frames at the gauges on the ground only, in that order."""
    nothing = np.zeros((len(foreseen.futures), 0), np.float32)
    of = foreseen.footprint
    frames = None if foreseen.frames is None or not places else np.ascontiguousarray(foreseen.frames[:, :, list(places)])
    footprint = Footprint(of.quantity, of.duration_s, nothing, nothing, nothing)
    return Foreseen(foreseen.futures, footprint, foreseen.frame_s if frames is not None else (), frames, foreseen.notes)


def heard_since(
    latest: Latest,
    model: Model,
    foreseen: Foreseen,
    gauges: Sequence[Gauge],
    ground: Sequence[Gauge],
    waters: Sequence[str],
    *,
    began: datetime,
    now: datetime,
    errors: Errors,
    told_until: datetime | None = None,
) -> Heard:
    """All that concerns these futures from `began` to `now`, and no later than they reach; the same for the same readings, whenever it is asked.

    Evidence holds what came after `told_until` only: an earlier record has the rest. `foreseen` is as `kept_of` leaves it, `ground` the gauges of its frames. What no future has a forcing for is left out.
    """
    span_s = min((now - began).total_seconds(), foreseen.footprint.duration_s)
    forcings = set(foreseen.futures[0].series)
    own = {(gauge.site, gauge.quantity): gauge for gauge in gauges}
    row = {gauge.site: k for k, gauge in enumerate(ground)} if foreseen.frames is not None else {}
    sightings: list[Sighting] = []
    evidence: list[Evidence] = []
    for quantity in latest.quantities() if span_s > 0 else ():
        for site in latest.sites(quantity):
            read = _usable(latest, quantity, site, began, now, span_s)
            if not read.time_us.size:
                continue
            time_s = (read.time_us - microseconds(began)) / _US
            found: list[Sighting] = []
            here = of_gauge(errors, own.get((site, quantity.name)))
            if quantity.name == model.makes.name and site in row:
                found = _last_of_each(site, "", time_s, read.value, here.depth_m, row[site])
            elif quantity.unit == "m" and (what := _water_of(site, gauges, waters, forcings)):
                found = _last_of_each(site, what, time_s, read.value, here.level_m)
            elif quantity.unit == "mm" and "rain" in forcings:
                found = _rain(site, time_s, read.value, span_s, here)
            if found:
                sightings += _with_limit(found, own.get((site, quantity.name)))
                new = read if told_until is None else _after(read, told_until)
                if new.time_us.size:
                    evidence.append(_evidence(quantity, site, new, now))
    return Heard(tuple(sorted(sightings, key=lambda s: (s.time_s, s.what, s.site))), tuple(evidence))


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


def _with_limit(found: list[Sighting], gauge: Gauge | None) -> list[Sighting]:
    """With the gauge's own limit of yellow, or the next worse one: there a warning begins. A rain gauge's limits are of amounts, not of rates."""
    limits = None if gauge is None or found[0].what == "rain" else gauge.limits
    from_here = [] if limits is None else sorted(level for level in limits.at if level >= Level.YELLOW)
    if limits is None or not from_here:
        return found
    values = [limits.at[level] for level in sorted(limits.at)]
    is_falling = values[-1] < values[0]
    return [msgspec.structs.replace(one, limit=limits.at[from_here[0]], is_falling=is_falling) for one in found]


def of_gauge(errors: Errors, gauge: Gauge | None) -> Errors:
    """The errors that hold at one gauge: its own where the twin has them, else those of all gauges."""
    if gauge is None:
        return errors
    if np.isfinite(gauge.error_sd):
        errors = msgspec.structs.replace(errors, level_m=gauge.error_sd, depth_m=gauge.error_sd)
    return msgspec.structs.replace(errors, rain_share=gauge.error_share) if np.isfinite(gauge.error_share) else errors


def _water_of(site: str, gauges: Sequence[Gauge], waters: Sequence[str], forcings: set[str]) -> str:
    """The forcing that a level gauge shows; empty where there is none."""
    return next(
        (f"level@{w}" for w in waters if f"level@{w}" in forcings and stands_in(site, gauges, w, len(waters))),
        "",
    )


def _last_of_each(
    site: str, what: str, time_s: NDArray[np.float64], value: NDArray[np.float64], error: float, place: int = -1
) -> list[Sighting]:
    """The last reading of each half hour of the forecast."""
    half_hour = np.ceil(time_s / EVERY_S).astype(np.int64)
    last = np.flatnonzero(np.append(np.diff(half_hour) != 0, True))
    return [Sighting(site, what, float(time_s[k]), float(value[k]), error, place) for k in last]


def _rain(site: str, time_s: NDArray[np.float64], value: NDArray[np.float64], span_s: float, errors: Errors) -> list[Sighting]:
    """Rain amounts as the mean rate of each half hour that is over and was told nearly whole."""
    if time_s.size < 2:
        return []
    step_s = float(np.median(np.diff(time_s)))
    span = EVERY_S * max(1.0, np.ceil(step_s / EVERY_S))  # a gauge that speaks once an hour is heard once an hour
    found = []
    for number in range(1, int(span_s // span) + 1):
        inside = (time_s > (number - 1) * span) & (time_s <= number * span)
        if inside.sum() * step_s >= COVERED * span:
            rate = float(value[inside].sum() / span * 3600.0)
            error = max(errors.rain_least_mm_per_h, errors.rain_share * rate)
            found.append(Sighting(site, "rain", number * span, rate, error, span_s=span))
    return found


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
