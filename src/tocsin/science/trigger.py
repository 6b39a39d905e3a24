"""When does a signal change: STA/LTA for shaking, CUSUM and EWMA for a shift, Pettitt for a step in a record.

Arrays are (row, lag), oldest first, at equal steps of time. A cell without a number is NaN.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Values = NDArray[np.float64]


def on_grid(value: Values, age_s: Values, good: NDArray[np.bool_], *, step_s: float, count: int) -> Values:
    """The good readings on `count` equal steps that end at the newest one of each row, (row, count); NaN where none is.

    A reading belongs to the step that it is nearest to; of several, the newest counts.

    >>> age = np.array([[190.0, 121.0, 58.0, 0.0]])
    >>> on_grid(np.array([[1.0, 2.0, 3.0, 4.0]]), age, np.ones((1, 4), bool), step_s=60.0, count=3).tolist()
    [[2.0, 3.0, 4.0]]
    """
    grid = np.full((len(value), count), np.nan)
    if not good.any():
        return grid
    newest = np.where(good, age_s, np.inf).min(axis=1)
    row, column = np.nonzero(good)
    slot = np.round((age_s[row, column] - newest[row]) / step_s).astype(np.int64)
    inside = slot < count
    row, column, slot = row[inside], column[inside], slot[inside]
    grid[row, count - 1 - slot] = value[row, column]  # columns rise within a row: the newest is written last
    return grid


def sta_lta(value: Values, *, short: int, long: int) -> Values:
    """The mean square of the last `short` samples over that of the last `long`, (row, lag); NaN until there are `long` of them.

    A quiet signal whose mean square is 0 gives 0. The value must swing about zero: take its mean off before.
    Source: Allen 1978, Automatic earthquake recognition and timing from single traces, BSSA 68, 1521-1532; in this form e.g. Withers
    et al. 1998, BSSA 88, 95-106. Checked against obspy's classic_sta_lta.

    >>> quiet_then_loud = np.array([[1.0, -1.0, 1.0, -1.0, 3.0]])
    >>> sta_lta(quiet_then_loud, short=1, long=3)[0, 2:].round(3).tolist()
    [1.0, 1.0, 2.455]
    """
    _check_windows(short, long)
    square = value * value
    ratio = np.full(value.shape, np.nan)
    if value.shape[1] < long:
        return ratio
    view = np.lib.stride_tricks.sliding_window_view(square, long, axis=1)
    over_long, over_short = view.mean(axis=2), view[:, :, long - short :].mean(axis=2)
    ratio[:, long - 1 :] = _ratio(over_short, over_long)
    return ratio


def recursive_sta_lta(value: Values, *, short: int, long: int) -> Values:
    """STA/LTA with a fading memory instead of windows: cheap for a long signal. NaN for the first `long` samples and after a hole.

    Both averages begin at the second sample. Source: Withers et al. 1998, A comparison of select trigger algorithms for automated
    global seismic phase and event detection, BSSA 88, 95-106. Checked against obspy's recursive_sta_lta.
    """
    _check_windows(short, long)
    square = value * value
    square[:, :1] = np.where(np.isfinite(square[:, :1]), 0.0, np.nan)
    averages = []
    for count in (short, long):
        average, now = np.empty(value.shape), np.zeros(len(value))
        for column in range(value.shape[1]):
            now = now + (square[:, column] - now) / count
            average[:, column] = now
        averages.append(average)
    ratio = _ratio(*averages)
    ratio[:, :long] = np.nan
    return ratio


def _check_windows(short: int, long: int) -> None:
    if not 1 <= short < long:
        raise InputError(f"STA/LTA: short = {short}, long = {long} samples; wanted 1 <= short < long")


def _ratio(over_short: Values, over_long: Values) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = over_short / over_long
    return np.where(over_long == 0.0, 0.0, ratio)


def cusum(value: Values, *, target: Values | float, sd: Values | float, slack: float = 0.5) -> tuple[Values, Values]:
    """Page's cumulative sums above and below the target, in standard deviations, (row, lag) each; both are >= 0.

    `slack` is half of the shift that is to be found soon, in sd. A missing cell adds nothing. `target` and `sd` may be (row, 1).
    Source: Page 1954, Continuous inspection schemes, Biometrika 41, 100-115.

    >>> high, low = cusum(np.array([[0.0, 2.0, 2.0, -3.0]]), target=0.0, sd=1.0)
    >>> high.tolist(), low.tolist()
    ([[0.0, 1.5, 3.0, 0.0]], [[0.0, 0.0, 0.0, 2.5]])
    """
    away = (value - target) / sd
    return _one_sided(away - slack), _one_sided(-away - slack)


def _one_sided(step: Values) -> Values:
    total = np.zeros(step.shape)
    now = np.zeros(len(step))
    for column in range(step.shape[1]):  # not by running minima of one long sum: its rounding would depend on what lies far back
        now = np.maximum(0.0, now + np.where(np.isfinite(step[:, column]), step[:, column], 0.0))
        total[:, column] = now
    return total


def cusum_run_length(limit: float, *, shift: float = 0.0, slack: float = 0.5) -> float:
    """How many readings pass on average until a two-sided CUSUM exceeds `limit`, if the mean is `shift` sd off its target.

    With `shift` 0 it is the mean time between false alarms. Readings independent and normal; a few per cent off.
    Source: Siegmund 1985, Sequential Analysis, as given in Montgomery, Introduction to Statistical Quality Control, section 9.1.

    >>> round(cusum_run_length(5.0)), round(cusum_run_length(5.0, shift=1.0), 1)
    (469, 10.3)
    """
    reach = limit + 1.166

    def one_side(drift: float) -> float:
        if abs(drift) < 1e-9:
            return reach * reach
        return (math.exp(-2.0 * drift * reach) + 2.0 * drift * reach - 1.0) / (2.0 * drift * drift)

    return 1.0 / (1.0 / one_side(shift - slack) + 1.0 / one_side(-shift - slack))


def ewma(value: Values, *, target: Values | float, sd: Values | float, weight: float = 0.2, settled: bool = False) -> Values:
    """The moving average that fades, as its distance from the target in its own standard deviations, (row, lag).

    Its variance after n readings is exact; `settled` takes what it comes to after many, which is later to warn at the start. A
    missing cell changes nothing. Source: Roberts 1959, Control chart tests based on geometric moving averages, Technometrics 1,
    239-250.

    >>> ewma(np.array([[1.0, 1.0]]), target=0.0, sd=1.0, weight=0.5).round(3).tolist()
    [[1.0, 1.342]]
    """
    if not 0.0 < weight <= 1.0:
        raise InputError(f"EWMA: weight = {weight}; wanted 0 < weight <= 1")
    away = (value - target) / sd
    there = np.isfinite(away)
    average = np.zeros(value.shape)
    now = np.zeros(len(value))
    for column in range(value.shape[1]):
        now = np.where(there[:, column], weight * np.where(there[:, column], away[:, column], 0.0) + (1.0 - weight) * now, now)
        average[:, column] = now
    read = np.maximum(np.cumsum(there, axis=1), 1)
    share = 1.0 if settled else 1.0 - (1.0 - weight) ** (2 * read)
    return np.asarray(average / np.sqrt(weight / (2.0 - weight) * share), np.float64)


class Change(msgspec.Struct, frozen=True):
    """Where each row most likely has its one step: the last column `before` it, how sure that is, and how far it stepped."""

    before: NDArray[np.int64]
    p_value: Values
    step: Values


def pettitt(value: Values) -> Change:
    """One step in the middle of a record, by ranks: no distribution is asked for. `step` is the change of the median.

    p is Pettitt's approximation, good for p <= 0.5 and independent values; it is 1 for a row with fewer than four numbers.
    Missing cells are left out. Source: Pettitt 1979, A non-parametric approach to the change-point problem, Applied Statistics 28,
    126-135.

    >>> change = pettitt(np.array([[1.0, 2.0, 1.5, 1.2, 1.1, 5.0, 6.0, 5.5, 5.2, 5.1]]))
    >>> int(change.before[0]), round(float(change.p_value[0]), 3), round(float(change.step[0]), 1)
    (4, 0.066, 4.0)
    """
    there = np.isfinite(value)
    count = there.sum(axis=1)
    differs = np.zeros(value.shape)
    for column in range(value.shape[1]):  # how many are below each number, less how many are above
        with np.errstate(invalid="ignore"):
            sign = np.sign(value[:, [column]] - value)
        differs[:, column] = np.where(np.isfinite(sign), sign, 0.0).sum(axis=1)
    apart = np.abs(np.cumsum(differs, axis=1))
    before = np.argmax(apart, axis=1)
    most = apart.max(axis=1, initial=0.0)
    n = count.astype(np.float64)
    p_value = np.minimum(1.0, 2.0 * np.exp(-6.0 * most**2 / np.maximum(n**3 + n**2, 1.0)))
    old = there & (np.arange(value.shape[1]) <= before[:, None])
    step = _median(np.where(there & ~old, value, np.nan)) - _median(np.where(old, value, np.nan))
    return Change(before, np.where(count >= 4, p_value, 1.0), step)


def _median(table: Values) -> Values:
    ordered = np.sort(table, axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(table))
    low, high = ordered[row, np.maximum((count - 1) // 2, 0)], ordered[row, np.minimum(count // 2, table.shape[1] - 1)]
    return np.asarray((low + high) / 2.0, np.float64)
