"""Tours to begin a search with: rounds to each stop, merged two and two where that saves most (Clarke & Wright 1964, Oper. Res. 12(4):568-581).

Each stop belongs to the vehicles that are nearest and still have room. Loads and shifts are kept, hours are not: the search sees to them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 40  # with which a stop may be merged: the nearest; of 5,000 stops all pairs would be 12 million


def depots_of(to_stop_s: NDArray[np.float64], amount: NDArray[np.int64], room: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sort of vehicle of each stop, (stop,): the nearest by `to_stop_s`, (sort, stop), that has room; those with most to lose choose first."""
    left = room.astype(np.int64).copy()
    ranked = np.argsort(to_stop_s, axis=0, kind="stable")
    nearest = np.take_along_axis(to_stop_s, ranked, axis=0)
    regret = nearest[1] - nearest[0] if len(nearest) > 1 else np.zeros(to_stop_s.shape[1])
    chosen = np.empty(to_stop_s.shape[1], np.int64)
    for stop in np.argsort(-np.nan_to_num(regret, nan=0.0, posinf=np.finfo(float).max), kind="stable"):
        sort = next((k for k in ranked[:, stop] if left[k] >= amount[stop]), ranked[0, stop])
        chosen[stop] = sort
        left[sort] -= amount[stop]
    return chosen


def merged(
    between_s: NDArray[np.float64],
    out_s: NDArray[np.float64],
    back_s: NDArray[np.float64],
    amount: NDArray[np.int64],
    service_s: NDArray[np.float64],
    *,
    carries: int,
    shift_s: float,
) -> list[list[int]]:
    """Rounds from one place over its stops: `between_s` (stop, stop), `out_s` and `back_s` (stop,)."""
    stops = len(out_s)
    tour_of = list(range(stops))
    tours: dict[int, list[int]] = {k: [k] for k in range(stops)}
    load = {k: int(amount[k]) for k in range(stops)}
    spent_s = {k: float(out_s[k] + service_s[k] + back_s[k]) for k in range(stops)}
    near = min(NEIGHBOURS, stops - 1)
    if near < 1:
        return list(tours.values())
    after = np.argpartition(between_s + np.diag(np.full(stops, np.inf)), near - 1, axis=1)[:, :near]
    first, second = np.repeat(np.arange(stops), near), after.ravel()
    saves_s = back_s[first] + out_s[second] - between_s[first, second]
    for pair in np.argsort(-saves_s, kind="stable"):
        if not saves_s[pair] > 0.0:
            break
        a, b = tour_of[first[pair]], tour_of[second[pair]]
        if a == b or tours[a][-1] != first[pair] or tours[b][0] != second[pair]:
            continue
        together_s = spent_s[a] + spent_s[b] - float(saves_s[pair])
        if load[a] + load[b] > carries or together_s > shift_s:
            continue
        for stop in tours[b]:
            tour_of[stop] = a
        tours[a] += tours.pop(b)
        load[a] += load.pop(b)
        spent_s[a], _ = together_s, spent_s.pop(b)
    return list(tours.values())
