"""The loops of betting, compiled: how much gamblers win who bet that one choice loses more than another, future by future."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_loop: _Compile = njit(nogil=True, cache=True, error_model="numpy")

RICH = 1e12  # beyond this no more is needed, and no product overflows


@_loop
def wealth(worse, better, known, of, most, tail, mean_weight, edges, levels, stakes, within):  # type: ignore[no-untyped-def]
    """The most that the poorest table ever had, of gamblers who bet that `worse` is not better than `better` by `within` or more.

    There is a table for each cell between two `edges`, with a gambler for each pair of `levels` and `stakes`. See `race.evidence`.
    """
    count, rest = worse.size, 1.0 - mean_weight
    purse = np.empty(stakes.size)
    table = np.empty(count)
    poorest = np.full(count, np.inf)
    for cell in range(edges.size - 1):
        low, high = edges[cell], edges[cell + 1]
        table[:] = 0.0
        for level in levels:
            least = rest * low - mean_weight * most - rest * (level + (most - level) / tail)
            purse[:] = 1.0
            total = within * of
            for n in range(count):
                a, b = better[n], worse[n]
                d = mean_weight * (b - a) + rest * (low - level + (max(b - high, 0.0) - max(a - level, 0.0)) / tail)
                if n >= known:
                    fair = -total / (of - n)  # the highest mean that what is left can have, if it is better by `within`
                    reach = fair - least
                    for k in range(stakes.size):
                        if reach < 0.0 or (reach == 0.0 and d > fair):
                            purse[k] = RICH  # what has come leaves no room for it
                        elif reach > 0.0:
                            purse[k] = min(RICH, purse[k] * max(0.0, 1.0 + stakes[k] * (d - fair) / reach))
                    table[n] += purse.mean() / levels.size
                total += d
        for n in range(known, count):
            poorest[n] = min(poorest[n], table[n])
    most_ever = 0.0
    for n in range(known, count):
        most_ever = max(most_ever, poorest[n])
    return most_ever
