"""The QARTOD tests on columns: is this reading possible, is it a spike, is it too fast, is the sensor stuck?

Arrays are (row, lag): one row for each stream, sorted by time, right-aligned; a cell without a usable number is NaN. Each test
answers one code for each cell, so that the worst of several is their maximum: UNTRIED < PASS < SUSPECT < FAIL. A test looks past
cells without a number, but at most `REACH` cells far: what it says of a reading depends on its near neighbours and on nothing
else.

Source: U.S. IOOS 2021, Manual for Real-Time Quality Control of Water Level Data, version 2.1, tests 3 to 8, 10 and 11.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Codes = NDArray[np.uint8]
Values = NDArray[np.float64]
Times = NDArray[np.int64]

UNTRIED, PASS, SUSPECT, FAIL = 0, 1, 2, 3
REACH = 8
US_PER_S = 1_000_000
CELLS_AT_ONCE = 250_000  # numbers of a step: small enough for the cache, and for an edge node
EARTH_RADIUS_M = 6_371_000.0  # the mean radius, as in the haversine of TEOS-10's gsw; 0.3 % off at the poles
PERIODS = {"month": (1, 12), "day_of_year": (1, 366)}


class Climate(msgspec.Struct, frozen=True, kw_only=True):
    """What is usual in a part of the year, and at some depth: outside `usual` is suspect, outside `possible` fails.

    `period` is what `first` and `last` count, both included: "month" (1..12) or "day_of_year" (1..366), in UTC. A part that begins
    after it ends goes over the new year. `depth_m` is (shallow, deep), both included; None is every depth, known or not.
    """

    first: int
    last: int
    usual: tuple[float, float]
    possible: tuple[float, float] | None = None
    depth_m: tuple[float, float] | None = None
    period: str = "month"

    def __post_init__(self) -> None:
        if self.period not in PERIODS:
            raise InputError(f"climatology: period = {self.period!r}; wanted one of {', '.join(PERIODS)}")
        least, most = PERIODS[self.period]
        if not (least <= self.first <= most and least <= self.last <= most):
            raise InputError(f"climatology: {self.period} {self.first} to {self.last}; wanted {least}..{most}")
        for low, high in (self.usual, self.possible or self.usual):
            if not low < high:
                raise InputError(
                    f"climatology of {self.period} {self.first} to {self.last}: span {low}..{high}; wanted low < high"
                )
        if self.depth_m is not None and not self.depth_m[0] <= self.depth_m[1]:
            raise InputError(f"climatology: depths {self.depth_m} m; wanted (shallow, deep)")

    def covers(self, time_us: Times, depth_m: Values) -> NDArray[np.bool_]:
        """Which readings it speaks of."""
        when = part_of_year(time_us, self.period)
        if self.first <= self.last:
            inside = (when >= self.first) & (when <= self.last)
        else:
            inside = (when >= self.first) | (when <= self.last)
        if self.depth_m is not None:
            with np.errstate(invalid="ignore"):
                inside = inside & (depth_m >= self.depth_m[0]) & (depth_m <= self.depth_m[1])
        return np.asarray(inside, np.bool_)


def gross_range(value: Values, fail_low: Any, fail_high: Any, suspect_low: Any, suspect_high: Any) -> Codes:
    """Test 4: FAIL outside what the sensor can measure, SUSPECT outside what is usual at the place. Bounds may be (row, 1).

    >>> gross_range(np.array([[4.0, 6.0, 11.0, np.nan]]), -0.5, 10.0, -0.5, 5.0).tolist()
    [[1, 2, 3, 0]]
    """
    with np.errstate(invalid="ignore"):
        code = np.where((value < suspect_low) | (value > suspect_high), SUSPECT, PASS)
        code = np.where((value < fail_low) | (value > fail_high), FAIL, code)
    return np.where(np.isfinite(value), code, UNTRIED).astype(np.uint8)


def part_of_year(time_us: Times, period: str) -> NDArray[np.int64]:
    """The month (1..12) or the day of the year (1..366) of each moment, in UTC.

    >>> part_of_year(np.array([0, 31 * 86_400_000_000]), "month").tolist(), part_of_year(np.array([86_400_000_000]), "day_of_year")
    ([1, 2], array([2]))
    """
    day = time_us // (86_400 * US_PER_S)
    date = day.astype("datetime64[D]")
    if period == "month":
        return np.asarray(date.astype("datetime64[M]").astype(np.int64) % 12 + 1, np.int64)
    return np.asarray(day - date.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64) + 1, np.int64)


def climatology(time_us: Times, value: Values, depth_m: Values, climates: Sequence[Climate]) -> Codes:
    """Test 5: SUSPECT outside what is usual in this part of the year, at the sensor's depth, FAIL outside what is possible then.

    Where several climates cover a reading, the last one counts; where none does, it is UNTRIED. `depth_m` may be (row, 1) or NaN.

    >>> winter = Climate(first=12, last=2, usual=(-15.0, 12.0), possible=(-40.0, 25.0))
    >>> climatology(np.zeros((1, 4), np.int64), np.array([[3.0, 15.0, 30.0, np.nan]]), np.full((1, 1), np.nan), [winter]).tolist()
    [[1, 2, 3, 0]]
    """
    code = np.zeros(value.shape, np.uint8)
    for climate in climates:
        possible = climate.possible or (-np.inf, np.inf)
        told = gross_range(value, possible[0], possible[1], climate.usual[0], climate.usual[1])
        code = np.where(climate.covers(time_us, depth_m), told, code)
    return np.where(np.isfinite(value), code, UNTRIED).astype(np.uint8)


def attenuated_signal(
    time_us: Times,
    value: Values,
    *,
    first: int,
    period_s: float,
    suspect: float,
    fail: float,
    least: int,
    context: int,
    method: str = "range",
) -> Codes:
    """Test 10, for the columns from `first` on, shape (row, lag - first): the signal has moved less than it always does.

    The `range` or the standard deviation ("std", of the population) of the readings of the last `period_s`, (t - period, t], is
    below `suspect`, `fail`. With fewer than `least` readings in it, UNTRIED. It looks back over `context` cells at most.

    >>> at = np.arange(4)[None] * 60_000_000
    >>> kept = np.array([[0.0, 1.0, 1.01, 1.02]])
    >>> attenuated_signal(at, kept, first=0, period_s=180, suspect=0.5, fail=0.1, least=3, context=4).tolist()
    [[0, 0, 1, 3]]
    """
    codes = np.zeros((value.shape[0], value.shape[1] - first), np.uint8)
    for part, at, seen in _looking_back(time_us, value, first, context):
        inside = np.isfinite(seen) & (at > at[:, -1:] - int(period_s * US_PER_S))
        count = inside.sum(axis=1)
        if method == "std":
            middle = np.where(inside, seen, 0.0).sum(axis=1) / np.maximum(count, 1)
            apart = np.where(inside, seen - middle[:, None], 0.0)
            moved = np.sqrt((apart * apart).sum(axis=1) / np.maximum(count, 1))
        else:
            moved = np.where(inside, seen, -np.inf).max(axis=1) - np.where(inside, seen, np.inf).min(axis=1)
        code = np.where(moved < fail, FAIL, np.where(moved < suspect, SUSPECT, PASS))
        codes[:, part] = np.where((count >= least) & np.isfinite(seen[:, -1]), code, UNTRIED).reshape(value.shape[0], -1)
    return codes


def distance_m(lon_a: Values, lat_a: Values, lon_b: Values, lat_b: Values) -> Values:
    """Along the great circle, on a sphere; positions in degrees."""
    a, b = np.radians(lat_a), np.radians(lat_b)
    half = np.sin((b - a) / 2.0) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lon_b - lon_a) / 2.0) ** 2
    return np.asarray(2.0 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(half, 1.0))), np.float64)


def location(
    lon: Values,
    lat: Values,
    *,
    box: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0),
    moved_m: float = np.inf,
    home: Values | None = None,
    away_m: float = np.inf,
) -> Codes:
    """Test 3: FAIL outside the `box` (west, south, east, north), SUSPECT where it moved too far since the position before.

    `home` is (row, 2), longitude and latitude of the mooring or the mast: more than `away_m` from it is SUSPECT, too. A box whose
    west is east of its east goes over the 180th meridian.

    >>> location(np.array([[5.0, 5.0, 200.0, np.nan]]), np.array([[50.0, 50.1, 50.0, 50.0]]), moved_m=3000.0).tolist()
    [[1, 2, 3, 0]]
    """
    west, south, east, north = box
    there = np.isfinite(lon) & np.isfinite(lat)
    left = nearest_before(there)
    with np.errstate(invalid="ignore"):
        across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
        outside = ~(across & (lat >= south) & (lat <= north)) | (np.abs(lon) > 180.0) | (np.abs(lat) > 90.0)
        before = np.maximum(left, 0)
        leap_m = distance_m(np.take_along_axis(lon, before, 1), np.take_along_axis(lat, before, 1), lon, lat)
        far = (left >= 0) & (leap_m > moved_m)
        if home is not None:
            far |= distance_m(home[:, :1], home[:, 1:], lon, lat) > away_m
        code = np.where(outside, FAIL, np.where(far, SUSPECT, PASS))
    return np.where(there, code, UNTRIED).astype(np.uint8)


def at_same_time(time_us: Times, other_us: Times, other: Values, *, apart_s: float) -> Values:
    """The number of the other stream nearest in time to each reading, within `apart_s`, else NaN. Shape as `time_us`.

    Rows go with rows; the other's cells without a number must stand to the left of all numbers, or are NaN and count as none.
    Of two that are equally near the earlier counts.

    >>> mine, theirs = np.array([[10_000_000, 20_000_000]]), np.array([[9_000_000, 13_000_000]])
    >>> at_same_time(mine, theirs, np.array([[1.0, 2.0]]), apart_s=5.0).tolist()
    [[1.0, nan]]
    """
    never = np.iinfo(np.int64).min
    order = np.argsort(np.isfinite(other), axis=1, kind="stable")  # numbers to the right, in their order
    number = np.take_along_axis(other, order, 1)
    when = np.where(np.isfinite(number), np.take_along_axis(other_us, order, 1), never)
    width = when.shape[1]
    low, high = np.zeros(time_us.shape, np.int64), np.full(time_us.shape, width)
    for _ in range(width.bit_length()):  # how many are not later: a bisection of all cells at once
        middle = np.minimum((low + high) // 2, width - 1)
        not_later = (low < high) & (np.take_along_axis(when, middle, 1) <= time_us)
        low, high = np.where(not_later, middle + 1, low), np.where(not_later, high, np.minimum(high, middle))
    best, best_us = np.full(time_us.shape, np.nan), np.full(time_us.shape, int(apart_s * US_PER_S) + 1)
    for beside in (low - 1, low):
        inside = (beside >= 0) & (beside < width)
        place = np.clip(beside, 0, width - 1)
        found, found_us = np.take_along_axis(number, place, 1), np.take_along_axis(when, place, 1)
        usable = inside & np.isfinite(found) & (time_us != never)
        away_us = np.abs(np.where(usable, time_us, 0) - np.where(usable, found_us, 0))
        nearer = usable & (away_us < best_us)
        best, best_us = np.where(nearer, found, best), np.where(nearer, away_us, best_us)
    return best


def neighbour(value: Values, beside: Values, *, suspect: float, fail: float = np.inf, least: int = 1) -> Codes:
    """Test 11: SUSPECT where the reading is farther than `suspect` from the median of its neighbours at the same time.

    `beside` is (neighbour, row, lag), already moved to where this site would stand; UNTRIED with fewer than `least` of them. The
    manual gives no numbers and leaves open whether a reading may fail by its neighbours: it does so only where `fail` is given.

    >>> beside = np.array([[[1.0, 2.0]], [[1.1, np.nan]], [[9.0, np.nan]]])
    >>> neighbour(np.array([[1.2, 2.0]]), beside, suspect=0.5, least=2).tolist()
    [[1, 0]]
    """
    ordered = np.sort(beside, axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None], 0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(ordered) - 1)[None], 0)[0]
    with np.errstate(invalid="ignore"):
        away = np.abs(value - (low + high) / 2.0)
        code = np.where(away > fail, FAIL, np.where(away > suspect, SUSPECT, PASS))
    return np.where(np.isfinite(value) & (count >= max(1, least)), code, UNTRIED).astype(np.uint8)


def nearest_before(there: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The column of the nearest usable cell to the left, within REACH; -1 where there is none. Shape as `there`."""
    column = np.arange(there.shape[1])
    latest = np.maximum.accumulate(np.where(there, column, -1), axis=1)
    before = np.concatenate([np.full((there.shape[0], 1), -1), latest[:, :-1]], axis=1)
    return np.asarray(np.where((before >= 0) & (column - before <= REACH), before, -1), np.intp)


def nearest_after(there: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The column of the nearest usable cell to the right, within REACH; -1 where there is none."""
    mirrored = nearest_before(there[:, ::-1])[:, ::-1]
    return np.asarray(np.where(mirrored >= 0, there.shape[1] - 1 - mirrored, -1), np.intp)


def spike(time_us: Times, value: Values, *, suspect: float, fail: float, apart_s: float, method: str = "differential") -> Codes:
    """Test 6: a reading that leaps away from both neighbours. The newest has no follower yet and stays UNTRIED.

    `average` is the manual's reference, the mean of the two neighbours; it also blames the foot and the shoulder of a real step.
    `differential` asks that the reading leaps there and back, by the smaller of both leaps: a flood wave's front passes it.
    Neighbours more than `apart_s` away are none.

    >>> leap = np.array([[1.0, 1.0, 1.5, 1.0, 1.0]])
    >>> at = np.array([[0, 1, 2, 3, 4]])
    >>> spike(at, leap, suspect=0.1, fail=0.2, apart_s=3600.0).tolist()
    [[0, 1, 3, 1, 0]]
    >>> spike(at, leap, suspect=0.1, fail=0.2, apart_s=3600.0, method="average").tolist()
    [[0, 3, 3, 3, 0]]
    """
    there = np.isfinite(value)
    left, right = nearest_before(there), nearest_after(there)
    both = there & (left >= 0) & (right >= 0)
    x0, t0 = np.take_along_axis(value, np.maximum(left, 0), 1), np.take_along_axis(time_us, np.maximum(left, 0), 1)
    x2, t2 = np.take_along_axis(value, np.maximum(right, 0), 1), np.take_along_axis(time_us, np.maximum(right, 0), 1)
    both &= (time_us - t0 <= apart_s * US_PER_S) & (t2 - time_us <= apart_s * US_PER_S)
    with np.errstate(invalid="ignore"):
        up, down = value - x0, x2 - value
        if method == "average":
            leap = np.abs(value - (x0 + x2) / 2.0)
        else:
            leap = np.where(up * down < 0.0, np.minimum(np.abs(up), np.abs(down)), 0.0)
        code = np.where(leap > fail, FAIL, np.where(leap > suspect, SUSPECT, PASS))
    return np.where(both, code, UNTRIED).astype(np.uint8)


def rate_of_change(time_us: Times, value: Values, *, suspect_per_h: float) -> Codes:
    """Test 7: SUSPECT where the value changed faster than `suspect_per_h` since the reading before; it never FAILs.

    A flash flood is fast: such a reading is suspect *or of high interest*, says the manual, and a warning must see it.

    >>> rate_of_change(np.array([[0, 3_600_000_000]]), np.array([[1.0, 4.0]]), suspect_per_h=2.0).tolist()
    [[0, 2]]
    """
    there = np.isfinite(value)
    left = nearest_before(there)
    known = there & (left >= 0)
    hours = (time_us - np.take_along_axis(time_us, np.maximum(left, 0), 1)) / (3600.0 * US_PER_S)
    with np.errstate(invalid="ignore"):
        change = np.abs(value - np.take_along_axis(value, np.maximum(left, 0), 1))
        code = np.where(change > suspect_per_h * hours, SUSPECT, PASS)
    return np.where(known, code, UNTRIED).astype(np.uint8)


def flat_since(time_us: Times, value: Values, column: int, *, tolerance: float, context: int) -> tuple[Times, NDArray[np.int64]]:
    """Since when each row has kept within `tolerance` of its value in `column`, (row,) microseconds, and by how many readings.

    Looks back over `context` cells at most; cells without a number neither keep nor break the run. Without a value: (its time,
    0).
    """
    begin = max(0, column + 1 - context)
    seen, at = value[:, begin : column + 1], time_us[:, begin : column + 1]
    there = np.isfinite(seen)
    with np.errstate(invalid="ignore"):
        broken = there & ~(np.abs(seen - seen[:, -1:]) < tolerance)
    width = seen.shape[1]
    first = np.where(broken.any(axis=1), width - np.argmax(broken[:, ::-1], axis=1), 0)
    run = there & (np.arange(width) >= first[:, None]) & there[:, -1:]
    since = np.where(run.any(axis=1), np.take_along_axis(at, np.argmax(run, axis=1)[:, None], 1)[:, 0], time_us[:, column])
    return since, run.sum(axis=1)


def flat_line(
    time_us: Times, value: Values, *, first: int, tolerance: float, suspect_s: float, fail_s: float, context: int
) -> Codes:
    """Test 8, for the columns from `first` on, shape (row, lag - first): how long has the value not moved?

    The manual counts readings (3 suspect, 5 fail); seconds say the same where readings come regularly, and still mean something
    where they do not. It needs three readings. A river may truly rest: choose times longer than its calm, or ask its neighbours.

    >>> at = np.arange(5)[None] * 360_000_000
    >>> flat_line(at, np.ones((1, 5)), first=0, tolerance=0.001, suspect_s=720, fail_s=1440, context=9)
    array([[1, 1, 2, 2, 3]], dtype=uint8)
    """
    codes = np.zeros((value.shape[0], value.shape[1] - first), np.uint8)
    for part, at, seen in _looking_back(time_us, value, first, context):
        since, count = flat_since(at, seen, context - 1, tolerance=tolerance, context=context)
        kept_s = (at[:, -1] - since) / US_PER_S
        code = np.where(kept_s >= fail_s, FAIL, np.where(kept_s >= suspect_s, SUSPECT, PASS))
        code = np.where(count >= 3, code, np.where(count > 0, PASS, UNTRIED))
        codes[:, part] = code.reshape(value.shape[0], -1)
    return codes


def _looking_back(time_us: Times, value: Values, first: int, context: int) -> Iterator[tuple[slice, Times, Values]]:
    """For each column from `first` on, the `context` cells that end with it, (row x column, context), in parts of bounded size.

    All windows have one width, whatever stands to their left: then the rounding of a sum depends on the readings in it alone.
    """
    row, lag = value.shape
    lacks = max(0, context - 1 - first)
    begin = max(0, first - context + 1)
    seen = np.concatenate([np.full((row, lacks), np.nan), value[:, begin:]], axis=1)
    at = np.concatenate([np.zeros((row, lacks), np.int64), time_us[:, begin:]], axis=1)
    step = max(1, CELLS_AT_ONCE // max(1, row * context))
    for start in range(0, lag - first, step):
        end = min(start + step, lag - first)
        several = (sliding_window_view(t[:, start : end + context - 1], context, axis=1) for t in (at, seen))
        times, values = (np.ascontiguousarray(windows).reshape(-1, context) for windows in several)
        yield slice(start, end), times, values


def moved_since(time_us: Times, value: Values, *, by: float) -> Times:
    """The latest moment from which each row has moved by `by` or more until now, (row,); the least int64 where it never did."""
    there = np.isfinite(value)
    high = np.maximum.accumulate(np.where(there, value, -np.inf)[:, ::-1], axis=1)[:, ::-1]
    low = np.minimum.accumulate(np.where(there, value, np.inf)[:, ::-1], axis=1)[:, ::-1]
    moved = there & (high - low >= by)
    return np.asarray(np.where(moved, time_us, np.iinfo(np.int64).min).max(axis=1, initial=np.iinfo(np.int64).min))
