"""What rules ask of columns: how long beyond a limit, how fast, how much in all. No loop runs over sites.

Arrays are (site, lag), oldest first, right-aligned; `age_s` falls from left to right. Cells that may not be used are masked out
by `good` and nothing else. Levels are small integers, 1 (blue) to 4 (red); limits are (site, 4), NaN where a level has none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
Levels = NDArray[np.int8]

CELLS_AT_ONCE = 100_000  # pairs held in memory at a time: they stay in the cache


def newest(value: Values, age_s: Values, good: Mask) -> tuple[Values, Values]:
    """The newest good value of each site and its age, (site,); NaN and +inf where there is none."""
    if value.shape[1] == 0:
        return np.full(value.shape[0], np.nan), np.full(value.shape[0], np.inf)
    last = value.shape[1] - 1 - np.argmax(good[:, ::-1], axis=1)
    rows = np.arange(value.shape[0])
    seen = good.any(axis=1)
    return np.where(seen, value[rows, last], np.nan), np.where(seen, age_s[rows, last], np.inf)


def beyond_for(value: Values, age_s: Values, good: Mask, limit: Values) -> tuple[Values, NDArray[np.int64]]:
    """How long the newest good readings have all been at or above `limit` (site,), s between readings, and how many they are.

    >>> age = np.array([[900.0, 600.0, 300.0, 0.0]])
    >>> beyond_for(np.array([[1.0, 4.2, 4.1, 4.3]]), age, np.ones((1, 4), bool), np.array([4.0]))
    (array([600.]), array([3]))
    """
    with np.errstate(invalid="ignore"):
        broken = good & ~(value >= limit[:, None])
    lag = value.shape[1]
    first = np.where(broken.any(axis=1), lag - np.argmax(broken[:, ::-1], axis=1), 0) if lag else np.zeros(len(value), np.int64)
    run = good & (np.arange(lag) >= first[:, None])
    oldest = np.where(run, age_s, -np.inf).max(axis=1, initial=-np.inf)
    youngest = np.where(run, age_s, np.inf).min(axis=1, initial=np.inf)
    count = run.sum(axis=1)
    return np.where(count > 0, oldest - youngest, 0.0), count


def step_levels(
    value: Values,
    age_s: Values,
    good: Mask,
    limits: Values,
    before: Levels,
    *,
    persistence_s: float,
    min_readings: int,
    margin: float,
    clear_s: float,
) -> tuple[Levels, Values, Mask]:
    """Levels by limits that rise with the level: (level, how long beyond its limit in s, whether it is only held), each (site,).

    A level is reached when the last `min_readings` or more, over at least `persistence_s`, are all at or above its limit. Once
    reached it is held until all readings of at least `clear_s` are below its limit less `margin`.
    """
    sites = value.shape[0]
    level, held_for, held = np.zeros(sites, np.int8), np.zeros(sites), np.zeros(sites, bool)
    for step in range(limits.shape[1]):
        limit = limits[:, step]
        if not np.isfinite(limit).any():
            continue
        lasted_s, count = beyond_for(value, age_s, good, limit)
        reached = (count >= min_readings) & (lasted_s >= persistence_s)
        on = reached
        if (before > step).any():
            # "at or above" mirrored is "at or below": strictly below is told by the next smaller number
            below_s, below = beyond_for(-value, age_s, good, np.nextafter(-(limit - margin), np.inf))
            cleared = (below > 0) & (below_s >= clear_s)
            on = reached | ((before > step) & np.isfinite(limit) & ~cleared)
        level[on], held_for[on], held[on] = step + 1, lasted_s[on], ~reached[on]
    return level, held_for, held


def theil_sen(value: Values, age_s: Values, good: Mask) -> Values:
    """The median of the slopes between all pairs of good readings, units per second, (site,); NaN with fewer than two.

    Fewer than 29 % of wild readings cannot carry it away: one spike among four or more readings does not make a fast rise.
    Source: Sen 1968, Estimates of the regression coefficient based on Kendall's tau, JASA 63, 1379-1389.

    >>> age = np.array([[1200.0, 900.0, 600.0, 300.0, 0.0]])
    >>> slope = theil_sen(np.array([[1.0, 1.1, 9.9, 1.3, 1.4]]), age, np.ones((1, 5), bool))
    >>> round(float(slope[0]) * 3600, 3)
    1.2
    """
    sites, lag = value.shape
    slope = np.full(sites, np.nan)
    first, second = np.triu_indices(lag, 1)
    if not first.size:
        return slope
    usable = np.where(good, value, np.nan)
    chunk = max(1, CELLS_AT_ONCE // first.size)
    for begin in range(0, sites, chunk):
        part = slice(begin, begin + chunk)
        with np.errstate(invalid="ignore", divide="ignore"):
            passed_s = age_s[part][:, first] - age_s[part][:, second]
            pairs = (usable[part][:, second] - usable[part][:, first]) / passed_s
        pairs[~np.isfinite(pairs)] = np.nan
        slope[part] = _median_of_finite(pairs)
    return slope


def _median_of_finite(table: Values) -> Values:
    """The median of each row without its NaN; NaN where nothing else is there. Quicker than nanmedian: NaN sorts to the end."""
    ordered = np.sort(table, axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(len(table))
    low, high = ordered[rows, np.maximum((count - 1) // 2, 0)], ordered[rows, np.minimum(count // 2, table.shape[1] - 1)]
    return np.where(count > 0, (low + high) / 2.0, np.nan)


def sum_over(
    value: Values, age_s: Values, good: Mask, *, span_s: float, interval_s: float, is_rate: bool
) -> tuple[Values, Values]:
    """What fell in the `span_s` before the newest reading, and what share of that time the readings stand for, each (site,).

    A reading stands for the time since the one before it, but for `interval_s` at most: what lies between is a gap, and the sum
    is then a lower bound. `is_rate`: the value is per hour and is integrated; otherwise it is an amount and is added.

    >>> age = np.array([[7200.0, 3600.0, 0.0]])
    >>> sum_over(np.array([[5.0, 7.0, 2.0]]), age, np.ones((1, 3), bool), span_s=7200.0, interval_s=3600.0, is_rate=False)
    (array([9.]), array([1.]))
    """
    newest_age = newest(value, age_s, good)[1]
    with np.errstate(invalid="ignore"):
        back_s = np.where(good, age_s - newest_age[:, None], np.inf)
    inside = good & (back_s < span_s)
    since_s = np.full(value.shape, np.inf)  # from the good reading before
    if value.shape[1] > 1:
        older = np.minimum.accumulate(np.where(good, back_s, np.inf), axis=1)[:, :-1]
        with np.errstate(invalid="ignore"):
            since_s[:, 1:] = np.where(np.isfinite(older), older - back_s[:, 1:], np.inf)
    stands_s = np.where(inside, np.minimum(np.minimum(since_s, interval_s), span_s - np.where(inside, back_s, 0.0)), 0.0)
    weight = stands_s / 3600.0 if is_rate else inside.astype(np.float64)
    total = (np.where(inside, value, 0.0) * weight).sum(axis=1)
    return np.where(inside.any(axis=1), total, np.nan), stands_s.sum(axis=1) / span_s
