"""Risk chains: 300 nodes, 1,500 links, 10,000 futures, against a plain heap in Python and a Bayesian network's sampler, in one run.

python benchmarks/chain.py [--nodes 300] [--links 1500] [--futures 10000] [--workers N] [--json]

The Bayesian network (pgmpy, if it is installed) is asked for forward samples of a network without loops, times and causes, which is less.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import time
from typing import Any

import numpy as np

from tocsin.science.chain import Network, keys_of, luck_of, spread


def made_up(nodes: int, links: int, *, loops: bool, seed: int = 0) -> Network:
    """A random network: every node has one need; one in five needs two of its links lost."""
    rng = np.random.default_rng(seed)
    source = rng.integers(0, nodes, links)
    target = (source + rng.integers(1, nodes, links)) % nodes
    if not loops:
        source, target = np.minimum(source, target), np.maximum(source, target)
    return Network(
        node_key=keys_of([f"node {n}" for n in range(nodes)]),
        source=source.astype(np.int32),
        need=target.astype(np.int32),
        probability=rng.uniform(0.1, 0.6, links),
        delay_s=np.sort(rng.uniform(0, 3600, (links, 3)), axis=1),
        link_key=keys_of([f"link {k}" for k in range(links)]),
        need_of=np.arange(nodes, dtype=np.int32),
        lost_from=np.where(rng.random(nodes) < 0.2, 2, 1).astype(np.int32),
        endurance_s=np.zeros((nodes, 3)),
        need_key=keys_of([f"need {n}" for n in range(nodes)]),
    )


def plain(net: Network, taken_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same model with NumPy's chance and Python's heap, one future after the other."""
    failed = np.full(taken_s.shape, np.inf)
    behind: list[list[int]] = [[] for _ in range(net.nodes)]
    for k, s in enumerate(net.source):
        behind[s].append(k)
    need, need_of, lost_from = net.need.tolist(), net.need_of.tolist(), net.lost_from.tolist()
    low, usual, high = net.delay_s.T
    for future in range(len(taken_s)):
        strikes = (rng.random(net.links) < net.probability).tolist()
        delay_s = rng.triangular(low, usual, high).tolist()
        events = [(float(at), 1, n) for n, at in enumerate(taken_s[future]) if at < np.inf]
        heapq.heapify(events)
        count = [0] * len(need_of)
        down = [np.inf] * net.nodes
        while events:
            now, kind, what = heapq.heappop(events)
            if kind == 0:
                count[what] += 1
                if count[what] == lost_from[what]:
                    heapq.heappush(events, (now, 1, need_of[what]))
            elif down[what] == np.inf:
                down[what] = now
                for k in behind[what]:
                    if strikes[k]:
                        heapq.heappush(events, (now + delay_s[k], 0, need[k]))
        failed[future] = down
    return failed


def bayes(net: Network, hit: float, futures: int) -> float | None:
    """Seconds that pgmpy's forward sampling takes for the states alone, or None where it is not installed."""
    try:
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.models import DiscreteBayesianNetwork
        from pgmpy.sampling import BayesianModelSampling
    except ImportError:
        return None
    model: Any = DiscreteBayesianNetwork()
    most = 8  # a table has a column for each state of the parents: 2^parents
    for node in range(net.nodes):
        into = [k for k in range(net.links) if net.need_of[net.need[k]] == node][:most]
        parents = sorted({int(net.source[k]) for k in into})
        model.add_node(str(node))
        model.add_edges_from((str(p), str(node)) for p in parents)
        stays = np.ones(2 ** len(parents))
        for column in range(stays.size):
            for place, parent in enumerate(parents):
                if (column >> (len(parents) - 1 - place)) & 1:
                    stays[column] *= np.prod([1 - net.probability[k] for k in into if net.source[k] == parent])
        stays *= 1 - hit
        model.add_cpds(TabularCPD(str(node), 2, [stays, 1 - stays], [str(p) for p in parents], [2] * len(parents)))
    began = time.perf_counter()
    BayesianModelSampling(model).forward_sample(size=futures, show_progress=False)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=300)
    parser.add_argument("--links", type=int, default=1500)
    parser.add_argument("--futures", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    net = made_up(asked.nodes, asked.links, loops=True)
    hit = 0.05
    rng = np.random.default_rng(1)
    taken_s = np.where(rng.random((asked.futures, asked.nodes)) < hit, rng.uniform(0, 7200, (asked.futures, asked.nodes)), np.inf)
    luck = luck_of(0, range(asked.futures))
    spread(net, taken_s[:2], luck[:2])  # compile, or read the compiled code
    best = []
    for _ in range(5):
        began = time.perf_counter()
        fallen = spread(net, taken_s, luck, workers=asked.workers)
        best.append(time.perf_counter() - began)
    took = {"tocsin, s": min(best), "tocsin, median s": float(np.median(best))}
    few = min(asked.futures, 500)
    began = time.perf_counter()
    failed = plain(net, taken_s[:few], rng)
    took["plain Python and heapq, s"] = (time.perf_counter() - began) * asked.futures / few
    tree = made_up(asked.nodes, asked.links, loops=False)
    bayes_s = bayes(tree, hit, asked.futures)
    if bayes_s is not None:
        took["pgmpy forward sampling, s (states only, no loops, no times)"] = bayes_s
    took["times faster than plain Python"] = took["plain Python and heapq, s"] / took["tocsin, s"]
    took["nodes that fail in a future, mean"] = float(np.isfinite(fallen.failed_s).sum(axis=1).mean())
    took["the same by plain Python with other luck"] = float(np.isfinite(failed).sum(axis=1).mean())
    if asked.json:
        print(json.dumps(took))
        return
    print(f"{asked.nodes} nodes, {asked.links} links, {asked.futures:,} futures, {asked.workers} threads")
    for name, value in took.items():
        print(f"{name:<64} {value:>10.3f}")


if __name__ == "__main__":
    main()
