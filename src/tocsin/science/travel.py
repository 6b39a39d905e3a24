"""How long it takes from many places to many others, on streets of which some are blocked, slowed, or close on the way.

Dijkstra's algorithm (1959, Numer. Math. 1:269-271) with buckets of times instead of a heap (Dial 1969, Comm. ACM 12(11):632-633; wider than the
shortest arc as in Meyer & Sanders 2003, J. Algorithms 49(1):114-152: within a bucket a node may be looked at again). A street that closes is used only
by who has left it by then: arriving earlier is never worse, so the search stays exact (Kaufman & Smith 1993, IVHS Journal 1(1):1-11).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Links = NDArray[np.int32]

BUCKETS_MOST = 4096


class Network(msgspec.Struct, frozen=True):
    """Directed arcs by their tail: those of node n are `arc[first[n]:first[n + 1]]`, in the order that the caller counts arcs; `head` is (arc,)."""

    nodes: int
    first: Ints
    arc: Ints
    head: Ints
    tail: Ints

    @classmethod
    def of(cls, tail: NDArray[np.integer], head: NDArray[np.integer], nodes: int) -> Network:
        """A network of arcs; raises InputError where an arc leads out of it."""
        tails, heads = np.ascontiguousarray(tail, np.int64), np.ascontiguousarray(head, np.int64)
        if tails.shape != heads.shape or tails.ndim != 1:
            raise InputError(f"network: tails {tails.shape}, heads {heads.shape}; wanted two columns of one length")
        if tails.size and not (min(tails.min(), heads.min()) >= 0 and max(tails.max(), heads.max()) < nodes):
            raise InputError(f"network: an arc names a node outside 0..{nodes - 1}; check the count of nodes")
        arc = np.argsort(tails, kind="stable")
        first = np.zeros(nodes + 1, np.int64)
        np.cumsum(np.bincount(tails, minlength=nodes), out=first[1:])
        return cls(nodes, first, arc, heads, tails)


class Travelled(msgspec.Struct, frozen=True):
    """Travel times, s, (source, target), +inf where no way leads; `by_arc` is the last arc to each node, (source, node), -1 where there is none."""

    time_s: Floats
    by_arc: Links | None
    sources: Ints


def travel_times_s(
    network: Network,
    arc_s: Floats,
    sources: Ints,
    targets: Ints,
    *,
    closes_s: Floats | None = None,
    departure_s: float = 0.0,
    with_ways: bool = False,
    threads: int = 1,
) -> Travelled:
    """The shortest times from each source to each target. `arc_s` is (arc,), +inf where an arc is blocked.

    `closes_s` is when each arc closes, on the clock on which everybody leaves at `departure_s`. With `with_ways` the ways can be read out by
    `way`. A search ends when it has found all targets. Raises InputError for a time below 0 or not a number.
    """
    count = network.head.size
    cost = np.ascontiguousarray(arc_s, np.float64)
    shut = np.full(count, np.inf) if closes_s is None else np.ascontiguousarray(closes_s, np.float64)
    if cost.shape != (count,) or shut.shape != (count,):
        raise InputError(f"travel times: arc_s {cost.shape}, closes_s {shut.shape}; wanted ({count},), one for each arc")
    if not 1 <= threads <= 256:
        raise InputError(f"travel times: {threads} threads; wanted 1..256")
    if not (cost >= 0.0).all() or np.isnan(shut).any() or not np.isfinite(departure_s):
        raise InputError("travel times: a time is below 0 or not a number; wanted 0 or more, +inf where an arc is blocked")
    from_, to = (_nodes(which, name, network.nodes) for which, name in ((sources, "sources"), (targets, "targets")))
    time_s = np.full((from_.size, to.size), np.inf)
    by_arc = np.full((from_.size, network.nodes) if with_ways else (1, 1), -1, np.int32)
    if from_.size and to.size:
        order = network.arc  # the arcs of a node side by side in memory: they are read together
        known = cost[np.isfinite(cost)]
        width_s = max(float(known.mean()) if known.size else 1.0, float(known.max(initial=0.0)) / BUCKETS_MOST, 1e-9)
        arcs = (network.first, order, network.head[order], cost[order], shut[order], width_s)
        parts = min(threads, from_.size)
        with ThreadPoolExecutor(parts) as pool:
            searches = [
                pool.submit(_search_some, *arcs, float(departure_s), from_, to, time_s, by_arc, with_ways, part, parts)
                for part in range(parts)
            ]
            for search in searches:
                search.result()
    return Travelled(time_s, by_arc if with_ways else None, from_)


def way(network: Network, travelled: Travelled, source: int, target: int) -> Ints:
    """The arcs from the `source`-th source to node `target`, in order; empty where they are one. Raises InputError where no way leads."""
    if travelled.by_arc is None:
        raise InputError("way: the ways were not kept; ask travel_times_s with with_ways=True")
    arcs: list[int] = []
    node, start = target, int(travelled.sources[source])
    while node != start:
        arc = int(travelled.by_arc[source, node])
        if arc < 0:
            raise InputError(f"way: none leads from node {start} to node {target}")
        arcs.append(arc)
        node = int(network.tail[arc])
    return np.array(arcs[::-1], np.int64)


def _nodes(which: Ints, name: str, nodes: int) -> Ints:
    given = np.atleast_1d(np.asarray(which))
    if given.ndim != 1 or (
        given.size and (not np.issubdtype(given.dtype, np.integer) or given.min() < 0 or given.max() >= nodes)
    ):
        raise InputError(f"travel times: {name} {given.shape}; wanted nodes 0..{nodes - 1} in one column")
    return given.astype(np.int64)


@njit(cache=True, nogil=True, error_model="numpy")
def _search_some(
    first: Ints, arc: Ints, head: Ints, cost: Floats, shut: Floats, width_s: float, departure_s: float, sources: Ints, targets: Ints,
    time_s: Floats, by_arc: Links, with_ways: bool, start: int, step: int,
) -> None:  # fmt: skip
    """Every `step`-th source from `start` on: what one thread does."""
    nodes = first.size - 1
    wanted = np.zeros(nodes, np.uint8)
    wanted[targets] = 1
    distinct = int(wanted.sum())
    longest = 0.0
    for k in range(cost.size):
        if cost[k] < np.inf:
            longest = max(longest, cost[k])
    bucket = np.empty(int(longest / width_s) + 2, np.int32)
    ahead, behind, place = np.empty(nodes, np.int32), np.empty(nodes, np.int32), np.empty(nodes, np.int32)
    looked, at, done = np.empty(nodes, np.int32), np.empty(nodes), np.empty(nodes, np.uint8)
    none = np.empty(0, np.int32)
    for k in range(start, sources.size, step):
        ways = by_arc[k] if with_ways else none
        _search(
            first,
            arc,
            head,
            cost,
            shut,
            width_s,
            sources[k],
            wanted,
            distinct,
            at,
            done,
            bucket,
            ahead,
            behind,
            place,
            looked,
            ways,
            departure_s,
        )
        for t in range(targets.size):
            if done[targets[t]]:
                time_s[k, t] = at[targets[t]] - departure_s


@njit(cache=True, nogil=True, error_model="numpy")
def _search(
    first: Ints, arc: Ints, head: Ints, cost: Floats, shut: Floats, width_s: float, source: int, wanted: NDArray[np.uint8], distinct: int,
    at: Floats, done: NDArray[np.uint8], bucket: Links, ahead: Links, behind: Links, place: Links, looked: Links, ways: Links, departure_s: float,
) -> None:  # fmt: skip
    """One source. A node waits in the bucket of its time, in a doubly linked list; buckets follow each other in a ring.

    Within a bucket a node may be looked at twice; when the bucket is empty its nodes have their final times.
    """
    at[:] = np.inf
    done[:] = 0
    bucket[:] = -1
    place[:] = -1
    ring = bucket.size
    at[source] = departure_s
    bucket[0], ahead[source], behind[source], place[source] = source, -1, -1, 0
    waiting, left, now = 1, distinct, 0
    while waiting > 0 and left > 0:
        slot = now % ring
        count = 0
        while bucket[slot] >= 0:
            node = bucket[slot]
            bucket[slot] = ahead[node]
            if ahead[node] >= 0:
                behind[ahead[node]] = -1
            place[node] = -1
            waiting -= 1
            if not done[node]:
                done[node] = 1
                looked[count] = node
                count += 1
            for k in range(first[node], first[node + 1]):
                there, other = at[node] + cost[k], head[k]
                if there < at[other] and there <= shut[k]:
                    at[other] = there
                    if ways.size > 0:
                        ways[other] = arc[k]
                    into = int((there - departure_s) / width_s) % ring
                    if place[other] == into:
                        continue
                    if place[other] >= 0:  # out of the bucket where it waited
                        if behind[other] >= 0:
                            ahead[behind[other]] = ahead[other]
                        else:
                            bucket[place[other]] = ahead[other]
                        if ahead[other] >= 0:
                            behind[ahead[other]] = behind[other]
                        waiting -= 1
                    ahead[other], behind[other], place[other] = bucket[into], -1, into
                    if bucket[into] >= 0:
                        behind[bucket[into]] = other
                    bucket[into] = other
                    waiting += 1
        for k in range(count):
            left -= wanted[looked[k]]
        now += 1
