"""Travel times from 50 places to 500 on a street network of 100,000 nodes with 5,000 arcs blocked, beside scipy's Dijkstra in the same run.

python benchmarks/routes.py
"""

from __future__ import annotations

import time

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from tocsin.science.travel import Network, travel_times_s

SIDE, SOURCES, TARGETS, BLOCKED, ROUNDS, THREADS = 316, 50, 500, 5_000, 5, 2


def streets(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """A grid of streets of which a tenth is missing, both ways, 100 m blocks at 20 to 60 km/h."""
    node = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    ahead = np.concatenate(
        [np.column_stack([node[:, :-1].ravel(), node[:, 1:].ravel()]), np.column_stack([node[:-1].ravel(), node[1:].ravel()])]
    )
    ahead = ahead[rng.random(len(ahead)) > 0.1]
    tail, head = np.concatenate([ahead, ahead[:, ::-1]]).T
    return tail, head, rng.uniform(6.0, 18.0, tail.size), SIDE * SIDE


def main() -> None:
    rng = np.random.default_rng(1)
    tail, head, cost, nodes = streets(rng)
    cost[rng.permutation(cost.size)[:BLOCKED]] = np.inf
    sources, targets = rng.integers(0, nodes, SOURCES), rng.integers(0, nodes, TARGETS)
    network = Network.of(tail, head, nodes)
    travel_times_s(network, cost, sources[:1], targets[:1])  # compiled before
    open_ = np.isfinite(cost)
    graph = coo_matrix((cost[open_], (tail[open_], head[open_])), shape=(nodes, nodes)).tocsr()
    ours_s, theirs_s = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ours = travel_times_s(network, cost, sources, targets, threads=THREADS).time_s
        ours_s.append(time.perf_counter() - began)
        began = time.perf_counter()
        theirs = dijkstra(graph, indices=sources)[:, targets]
        theirs_s.append(time.perf_counter() - began)
    np.testing.assert_allclose(ours, theirs)
    print(f"{nodes:,} nodes, {tail.size:,} arcs, {BLOCKED:,} blocked, {SOURCES} x {TARGETS}, median of {ROUNDS}")
    print(f"| tocsin, {THREADS} threads | scipy {SOURCES} searches | ratio |\n|---:|---:|---:|")
    ratio = np.median(np.array(theirs_s) / np.array(ours_s))
    print(f"| {np.median(ours_s):.2f} s | {np.median(theirs_s):.2f} s | {ratio:.1f} |")


if __name__ == "__main__":
    main()
