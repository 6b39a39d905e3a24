"""The loops of betting, compiled: how much gamblers win who bet that one choice loses more than another, future by future."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_loop: _Compile = njit(nogil=True, cache=True, error_model="numpy")

BOLDEST = 0.9  # of all she has
RICH = 1e12  # beyond this no more is needed, and no product overflows


@_loop
def wealth(worse, better, known, of, most, apart, tail, mean_weight, edges, levels, stakes, within):  # type: ignore[no-untyped-def]
    """The most that the poorest table ever had, of gamblers who bet that `worse` is not better than `better` by `within` or more.

    There is a table for each cell between two `edges`. At each sit, for each of `levels`, a gambler for each of `stakes`, and one who stakes by
    what she has seen so far. See `race.evidence`.
    """
    count, rest, fixed = worse.size, 1.0 - mean_weight, stakes.size
    sitting = levels.size + (
        1 if apart < most else 0
    )  # at the cell's own edge a seat is worth its price where the two are never far apart
    purse = np.empty(fixed)
    table = np.empty(count)
    poorest = np.full(count, np.inf)
    for cell in range(edges.size - 1):
        low, high = edges[cell], edges[cell + 1]
        table[:] = 0.0
        for which in range(sitting):
            level = levels[which] if which < levels.size else high
            furthest = min(max(apart + high - level, 0.0), max(most - level, 0.0))
            least = rest * (low - level - furthest / tail) - mean_weight * apart
            purse[:] = 1.0
            seeing = 1.0
            total, squares = 0.0, 0.0
            for n in range(count):
                a, b = better[n], worse[n]
                d = mean_weight * (b - a) + rest * (low - level + (max(b - high, 0.0) - max(a - level, 0.0)) / tail)
                if n >= known:
                    # the highest mean that what is left can have, if it is better by `within`
                    fair = -(total + within * of) / (of - n)
                    reach = fair - least
                    if reach < 0.0 or (reach == 0.0 and d > fair):
                        purse[:] = RICH  # what has come leaves no room for it
                        seeing = RICH
                    elif reach > 0.0:
                        for k in range(fixed):
                            purse[k] = min(RICH, purse[k] * max(0.0, 1.0 + stakes[k] * (d - fair) / reach))
                        # aGRAPA of Waudby-Smith & Ramdas 2024, app. B.3: mean over mean square of what was won by a stake of 1
                        middle = total / n if n > 0 else 0.0
                        spread = squares / n - middle * middle if n > 0 else 0.0
                        lead = middle - fair
                        stake = 0.0 if lead <= 0.0 else min(BOLDEST, reach * lead / (max(spread, 0.0) + lead * lead))
                        seeing = min(RICH, seeing * max(0.0, 1.0 + stake * (d - fair) / reach))
                    table[n] += (0.5 * seeing + 0.5 * purse.mean()) / sitting
                total += d
                squares += d * d
        for n in range(known, count):
            poorest[n] = min(poorest[n], table[n])
    most_ever = 0.0
    for n in range(known, count):
        most_ever = max(most_ever, poorest[n])
    return most_ever
