"""The compiled steps of `chain.spread`; imported only when a run starts, because it imports Numba."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_plain: _Compile = njit(nogil=True, cache=True, error_model="numpy")
_one: _Compile = njit(nogil=True, cache=True, error_model="numpy", inline="always")

_GAMMA, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 2.0**-53


@_one
def mix(z: np.uint64) -> np.uint64:
    """SplitMix64's output function: Steele, Lea & Flood 2014, OOPSLA, doi:10.1145/2660193.2660195 (Stafford's variant 13)."""
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@_one
def unit(z: np.uint64) -> float:
    """53 bits as a number in [0, 1)."""
    return float(z >> _S11) * _UNIT


@_one
def _triangle(u: float, low: float, usual: float, high: float) -> float:
    """The quantile of a triangle; see `sampling.triangle`, which is the tests' oracle."""
    if high == low:
        return low
    if u * (high - low) < usual - low:
        return low + math.sqrt(u * (high - low) * (usual - low))
    return high - math.sqrt((1.0 - u) * (high - low) * (high - usual))


@_one
def _push(times: NDArray[Any], nodes: NDArray[Any], size: int, at: float, node: int) -> int:
    k = size
    while k > 0:
        above = (k - 1) >> 1
        if times[above] <= at:
            break
        times[k] = times[above]
        nodes[k] = nodes[above]
        k = above
    times[k] = at
    nodes[k] = node
    return size + 1


@_one
def _pop(times: NDArray[Any], nodes: NDArray[Any], size: int) -> int:
    """Take the root out; the caller has read it."""
    size -= 1
    at, node = times[size], nodes[size]
    k = 0
    while True:
        below = 2 * k + 1
        if below >= size:
            break
        if below + 1 < size and times[below + 1] < times[below]:
            below += 1
        if times[below] >= at:
            break
        times[k] = times[below]
        nodes[k] = nodes[below]
        k = below
    times[k] = at
    nodes[k] = node
    return size


@_plain
def spread_part(
    begin: int,
    end: int,
    lucks: NDArray[Any],
    first: NDArray[Any],
    order: NDArray[Any],
    need: NDArray[Any],
    probability: NDArray[Any],
    delay_s: NDArray[Any],
    link_key: NDArray[Any],
    need_of: NDArray[Any],
    lost_from: NDArray[Any],
    endurance_s: NDArray[Any],
    need_key: NDArray[Any],
    slot: NDArray[Any],
    taken_s: NDArray[Any],
    link_from_s: NDArray[Any],
    shield_from_s: NDArray[Any],
    backup_from_s: NDArray[Any],
    backup_s: NDArray[Any],
    failed_s: NDArray[Any],
    cause: NDArray[Any],
) -> None:
    """Futures begin..end into `failed_s` and `cause`. `slot` says where each need keeps its smallest strikes, in rising order."""
    nodes = taken_s.shape[1]
    needs = need_of.size
    smallest = np.empty(slot[needs])
    by = np.empty(slot[needs], np.int32)
    struck = np.empty(needs, np.int32)
    room = nodes + need.size + 1  # a node is pushed once by the hazard and at most once by each link
    times = np.empty(room)
    heap = np.empty(room, np.int32)
    done = np.empty(nodes, np.bool_)
    for future in range(begin, end):
        luck = lucks[future]
        links_row = future if link_from_s.shape[0] > 1 else 0
        shield_row = future if shield_from_s.shape[0] > 1 else 0
        backup_row = future if backup_from_s.shape[0] > 1 else 0
        longer_row = future if backup_s.shape[0] > 1 else 0
        taken_row = future if taken_s.shape[0] > 1 else 0
        struck[:] = 0
        size = 0
        for node in range(nodes):
            at = taken_s[taken_row, node]
            done[node] = False
            if at < np.inf and at < shield_from_s[shield_row, node]:
                failed_s[future, node] = at
                cause[future, node] = -1
                size = _push(times, heap, size, at, node)
            else:
                failed_s[future, node] = np.inf
                cause[future, node] = -2
        while size > 0:
            at = times[0]
            node = heap[0]
            size = _pop(times, heap, size)
            if done[node]:
                continue
            done[node] = True
            for k in range(first[node], first[node + 1]):
                link = order[k]
                group = need[link]
                target = need_of[group]
                if done[target]:
                    continue
                z = mix(luck ^ link_key[link])
                if not unit(z) < probability[link]:
                    continue
                strike = at + _triangle(unit(mix(z + _GAMMA)), delay_s[link, 0], delay_s[link, 1], delay_s[link, 2])
                if strike >= link_from_s[links_row, link]:
                    continue
                last = link
                wanted = lost_from[group]
                if wanted > 1:  # keep the smallest strikes; the need is lost at the last of them
                    low = slot[group]
                    count = struck[group]
                    if count == wanted:
                        if strike >= smallest[low + wanted - 1]:
                            continue
                        count -= 1
                    place = low + count
                    while place > low and smallest[place - 1] > strike:
                        smallest[place] = smallest[place - 1]
                        by[place] = by[place - 1]
                        place -= 1
                    smallest[place] = strike
                    by[place] = link
                    struck[group] = count + 1
                    if count + 1 < wanted:
                        continue
                    strike = smallest[low + wanted - 1]
                    last = by[low + wanted - 1]
                if endurance_s[group, 2] > 0.0:
                    lasts = unit(mix(luck ^ need_key[group]))
                    strike += _triangle(lasts, endurance_s[group, 0], endurance_s[group, 1], endurance_s[group, 2])
                if strike >= backup_from_s[backup_row, group]:
                    strike += backup_s[longer_row, group]
                if strike < failed_s[future, target]:
                    failed_s[future, target] = strike
                    cause[future, target] = last
                    size = _push(times, heap, size, strike, target)
