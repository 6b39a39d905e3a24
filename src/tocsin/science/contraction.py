"""A smaller road graph for the same town: short dead ends become a way to the door, and streets without a junction become one."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Contracted(msgspec.Struct, frozen=True):
    """The smaller graph. Link l runs from source[l] to target[l] over the edges member[member_start[l]:member_start[l + 1]].

    `node_of` is the node of the smaller graph at which each old node's people enter, -1 where they reach none; the edges on their way there are
    access[access_start[n]:access_start[n + 1]]. Nodes of the smaller graph are numbered anew; `kept` are their old numbers.
    """

    source: Ints
    target: Ints
    member_start: Ints
    member: Ints
    kept: Ints
    node_of: Ints
    access_start: Ints
    access: Ints

    def least(self, of_edge: Floats) -> Floats:
        """The least of an edge's values over each link, (link,)."""
        return np.asarray(np.minimum.reduceat(of_edge[self.member], self.member_start[:-1])) if self.source.size else np.empty(0)

    def least_at(self, of_edge: Floats) -> Ints:
        """Which edge of each link has the least value, (link,); of several the first."""
        link = np.repeat(np.arange(self.source.size), np.diff(self.member_start))
        return np.asarray(self.member[np.lexsort((of_edge[self.member], link))[self.member_start[:-1]]])

    def total(self, of_edge: Floats) -> Floats:
        """The sum of an edge's values over each link, (link,)."""
        return np.asarray(np.add.reduceat(of_edge[self.member], self.member_start[:-1])) if self.source.size else np.empty(0)

    def least_on_access(self, of_edge: Floats) -> Floats:
        """The least of an edge's values on the way from each old node to where it enters, (node,); +inf where there is no way to go."""
        least = np.full(self.node_of.size, np.inf)
        some = np.flatnonzero(np.diff(self.access_start) > 0)
        if some.size:
            least[some] = np.minimum.reduceat(of_edge[self.access], self.access_start[some])
        return least


class _Graph:
    """The graph while it shrinks: links with their edges, by the nodes that they touch."""

    def __init__(self, source: Ints, target: Ints) -> None:
        self.ends: dict[int, tuple[int, int]] = {}
        self.members: dict[int, tuple[int, ...]] = {}
        self.touching: dict[int, set[int]] = {}
        self.following = 0
        for e, (a, b) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
            if a != b:
                self.add(a, b, (e,))

    def add(self, a: int, b: int, members: tuple[int, ...]) -> None:
        link, self.following = self.following, self.following + 1
        self.ends[link], self.members[link] = (a, b), members
        self.touching.setdefault(a, set()).add(link)
        self.touching.setdefault(b, set()).add(link)

    def remove_node(self, n: int) -> None:
        for link in self.touching.pop(n, set()):
            a, b = self.ends.pop(link)
            del self.members[link]
            self.touching[b if a == n else a].discard(link)

    def neighbours(self, n: int) -> set[int]:
        return {x for link in self.touching.get(n, ()) for x in self.ends[link]} - {n}

    def between(self, a: int, b: int) -> list[int]:
        return [link for link in self.touching.get(a, ()) if self.ends[link] == (a, b)]


def contract(
    source: Ints, target: Ints, length_m: Floats, *, keep: Bools, inhabited: Bools, usable: Bools, access_m: float
) -> Contracted:
    """Contract all nodes of two neighbours and take off all dead ends, but no node in `keep`, and nobody's way to the graph longer than `access_m`.

    `usable` edges are those from which a goal can be reached; the others are left out. The length of every street that remains is the sum of
    its edges; who lives on one enters at its nearer end.
    """
    graph = _Graph(source[usable], target[usable])
    number = np.flatnonzero(usable)
    length = length_m[usable]
    nodes = keep.size
    reach_m = np.where(inhabited, 0.0, -np.inf)  # how far the people attached to a node have come
    parent = np.full(nodes, -1, np.int64)
    way: dict[int, tuple[int, ...]] = {}

    def long_m(link: int) -> float:
        return float(sum(length[e] for e in graph.members[link]))

    def attach(n: int, to: int, link: int) -> bool:
        """Move n's people to a neighbour, if that is not too far."""
        far = reach_m[n] + long_m(link)
        if far > access_m:
            return False
        parent[n], way[n] = to, graph.members[link]
        reach_m[to] = max(reach_m[to], far)
        return True

    def shrink(n: int, near: Sequence[int]) -> bool:
        """Take n out of the graph, if that may be done."""
        if len(near) == 1:
            links = graph.between(n, near[0]) or graph.between(near[0], n)
            if not attach(n, near[0], min(links, key=long_m)):
                return False
            graph.remove_node(n)
            return True
        a, b = near
        pairs = [graph.between(x, y) for x, y in ((a, n), (n, b), (b, n), (n, a))]
        if any(len(links) > 1 for links in pairs):
            return False
        there = [(long_m(links[0]), to, links[0]) for links, to in ((pairs[3], a), (pairs[1], b)) if links]
        if not there or not attach(n, min(there)[1], min(there)[2]):
            return False
        through = [
            (x, y, graph.members[i[0]] + graph.members[o[0]])
            for x, y, i, o in ((a, b, pairs[0], pairs[1]), (b, a, pairs[2], pairs[3]))
            if i and o
        ]
        graph.remove_node(n)
        for x, y, members in through:
            graph.add(x, y, members)
        return True

    waiting = deque(sorted(graph.touching))
    while waiting:
        n = waiting.popleft()
        if keep[n] or n not in graph.touching:
            continue
        near = sorted(graph.neighbours(n))
        if len(near) in (1, 2) and shrink(n, near):
            waiting.extend(near)
    return _made(graph, number, parent, way, nodes)


def _made(graph: _Graph, number: Ints, parent: Ints, way: dict[int, tuple[int, ...]], nodes: int) -> Contracted:
    links = sorted(graph.ends)
    kept = np.array(sorted({n for link in links for n in graph.ends[link]}), np.int64)
    new = np.full(nodes, -1, np.int64)
    new[kept] = np.arange(kept.size)
    node_of = new.copy()
    access: list[list[int]] = [[] for _ in range(nodes)]
    for n in way:
        at = n
        while parent[at] >= 0 and new[at] < 0:
            access[n].extend(way[at])
            at = int(parent[at])
        node_of[n] = new[at]
    lengths = [len(graph.members[link]) for link in links]
    return Contracted(
        np.array([new[graph.ends[link][0]] for link in links], np.int64),
        np.array([new[graph.ends[link][1]] for link in links], np.int64),
        np.append(0, np.cumsum(lengths)).astype(np.int64),
        number[np.array([e for link in links for e in graph.members[link]], np.int64)],
        kept,
        node_of,
        np.append(0, np.cumsum([len(a) for a in access])).astype(np.int64),
        number[np.array([e for a in access for e in a], np.int64)],
    )
