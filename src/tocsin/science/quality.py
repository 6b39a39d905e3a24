"""The QARTOD tests on columns: is this reading possible, is it a spike, is it too fast, is the sensor stuck?

Arrays are (row, lag): one row for each stream, sorted by time, right-aligned; a cell without a usable number is NaN. Each test
answers one code for each cell, so that the worst of several is their maximum: UNTRIED < PASS < SUSPECT < FAIL. A test looks past
cells without a number, but at most `REACH` cells far: what it says of a reading depends on its near neighbours and on nothing
else.

Source: U.S. IOOS 2021, Manual for Real-Time Quality Control of Water Level Data, version 2.1, tests 4, 6, 7 and 8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
Values = NDArray[np.float64]
Times = NDArray[np.int64]

UNTRIED, PASS, SUSPECT, FAIL = 0, 1, 2, 3
REACH = 8
US_PER_S = 1_000_000


def gross_range(value: Values, fail_low: Any, fail_high: Any, suspect_low: Any, suspect_high: Any) -> Codes:
    """Test 4: FAIL outside what the sensor can measure, SUSPECT outside what is usual at the place. Bounds may be (row, 1).

    >>> gross_range(np.array([[4.0, 6.0, 11.0, np.nan]]), -0.5, 10.0, -0.5, 5.0).tolist()
    [[1, 2, 3, 0]]
    """
    with np.errstate(invalid="ignore"):
        code = np.where((value < suspect_low) | (value > suspect_high), SUSPECT, PASS)
        code = np.where((value < fail_low) | (value > fail_high), FAIL, code)
    return np.where(np.isfinite(value), code, UNTRIED).astype(np.uint8)


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
    lag = value.shape[1]
    codes = np.zeros((value.shape[0], lag - first), np.uint8)
    for column in range(first, lag):
        since, count = flat_since(time_us, value, column, tolerance=tolerance, context=context)
        kept_s = (time_us[:, column] - since) / US_PER_S
        code = np.where(kept_s >= fail_s, FAIL, np.where(kept_s >= suspect_s, SUSPECT, PASS))
        codes[:, column - first] = np.where(count >= 3, code, np.where(count > 0, PASS, UNTRIED))
    return codes


def moved_since(time_us: Times, value: Values, *, by: float) -> Times:
    """The latest moment from which each row has moved by `by` or more until now, (row,); the least int64 where it never did."""
    there = np.isfinite(value)
    high = np.maximum.accumulate(np.where(there, value, -np.inf)[:, ::-1], axis=1)[:, ::-1]
    low = np.minimum.accumulate(np.where(there, value, np.inf)[:, ::-1], axis=1)[:, ::-1]
    moved = there & (high - low >= by)
    return np.asarray(np.where(moved, time_us, np.iinfo(np.int64).min).max(axis=1, initial=np.iinfo(np.int64).min))
