"""Until when there is a way out: on a road graph whose edges close one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NEVER_S = 1e12


def last_way_out_s(
    source: NDArray[np.int32], target: NDArray[np.int32], closes_s: Floats, exits: Ints, exit_closes_s: Floats, nodes: int
) -> Floats:
    """The latest moment at which each node still has an open way to an exit, (node,); +inf for ever, -inf if there never was one.

    Edges are used both ways: who flees does not mind a one-way street. `closes_s` is when each edge closes, +inf if it stays open.
    The widest path (Pollack 1960): on a spanning tree of the edges that stay open longest, the narrowest edge on the way decides.
    """
    hub = nodes
    heads = np.concatenate([source.astype(np.int64), exits])
    tails = np.concatenate([target.astype(np.int64), np.full(exits.size, hub)])
    closes = np.minimum(np.concatenate([closes_s, exit_closes_s]), _NEVER_S)
    low, high = np.minimum(heads, tails), np.maximum(heads, tails)
    order = np.lexsort((-closes, high, low))  # of parallel edges keep the one that stays open longest
    low, high, closes = low[order], high[order], closes[order]
    first = np.append(True, (np.diff(low) != 0) | (np.diff(high) != 0)) & (low != high)
    low, high, closes = low[first], high[first], closes[first]
    moments, rank = np.unique(-closes, return_inverse=True)  # weights by rank: 1 is open longest, and none is zero
    graph = coo_matrix((rank + 1.0, (low, high)), shape=(nodes + 1, nodes + 1)).tocsr()
    tree = minimum_spanning_tree(graph)
    visited, before = breadth_first_order(tree, hub, directed=False, return_predecessors=True)
    until = np.full(nodes + 1, -np.inf)
    until[hub] = np.inf
    if visited.size == 1:  # no exit is on any street
        return until[:nodes]
    both = (tree + tree.T).tocsr()
    weight = np.asarray(both[visited[1:], before[visited[1:]]]).reshape(-1)
    until[visited[1:]] = -moments[weight.astype(np.int64) - 1]
    nearer = np.arange(nodes + 1)
    nearer[visited[1:]] = before[visited[1:]]
    while (nearer[visited] != hub).any():  # each round doubles how far towards the hub a node has looked
        until = np.minimum(until, until[nearer])
        nearer = nearer[nearer]
    until[until >= _NEVER_S] = np.inf
    return until[:nodes]
