"""Travel times are those of scipy's Dijkstra, and of a search through all ways where streets close."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from tocsin.science.travel import Network, travel_times_s, way
from tocsin.vocabulary import InputError

NODES = 30


def graph(seed: int, arcs: int = 90) -> tuple[Network, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    pairs = np.array(sorted({(int(a), int(b)) for a, b in rng.integers(0, NODES, (arcs, 2)) if a != b}))
    return Network.of(pairs[:, 0], pairs[:, 1], NODES), rng.uniform(0.5, 20.0, len(pairs))


@given(st.integers(0, 10_000), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_times_are_those_of_scipy_with_some_arcs_blocked(seed: int, blocked: int) -> None:
    network, cost = graph(seed)
    cost[np.random.default_rng(seed + 1).permutation(cost.size)[:blocked]] = np.inf
    open_ = np.isfinite(cost)
    theirs = dijkstra(
        coo_matrix((cost[open_], (network.tail[open_], network.head[open_])), shape=(NODES, NODES)).tocsr(), indices=[0, 7, 7]
    )
    ours = travel_times_s(network, cost, np.array([0, 7, 7]), np.arange(NODES), threads=2)
    np.testing.assert_allclose(ours.time_s, theirs, rtol=1e-12)


def test_a_way_is_a_chain_of_arcs_that_takes_as_long_as_was_said() -> None:
    network, cost = graph(3)
    found = travel_times_s(network, cost, np.array([0, 5]), np.arange(NODES), with_ways=True)
    for source, target in itertools.product(range(2), range(NODES)):
        if np.isfinite(found.time_s[source, target]):
            arcs = way(network, found, source, target)
            assert cost[arcs].sum() == pytest.approx(found.time_s[source, target])
            stops = [int(found.sources[source]), *network.head[arcs].tolist()]
            assert network.tail[arcs].tolist() == stops[:-1]
            assert stops[-1] == target


@given(st.integers(0, 10_000), st.floats(0, 20))
@settings(max_examples=60, deadline=None)
def test_nobody_is_on_a_street_when_it_closes_and_no_quicker_way_was_missed(seed: int, departure_s: float) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array([(a, b) for a in range(6) for b in range(6) if a != b and rng.random() < 0.5] or [(0, 1)])
    cost, shut = rng.uniform(1, 10, len(pairs)), rng.uniform(0, 40, len(pairs))
    ours = travel_times_s(
        Network.of(pairs[:, 0], pairs[:, 1], 6), cost, np.array([0]), np.arange(6), closes_s=shut, departure_s=departure_s
    )
    by_pair = {tuple(p): (c, s) for p, c, s in zip(pairs.tolist(), cost, shut, strict=True)}
    best = np.full(6, np.inf)
    best[0] = 0.0
    for length in range(1, 6):  # every way that visits no node twice
        for middle in itertools.permutations(range(1, 6), length):
            now, stops = departure_s, (0, *middle)
            for step in itertools.pairwise(stops):
                c, s = by_pair.get(step, (np.inf, np.inf))
                now = now + c if now + c <= s else np.inf
            best[stops[-1]] = min(best[stops[-1]], now - departure_s)
    np.testing.assert_allclose(ours.time_s[0], best)


def test_parallel_arcs_and_arcs_of_no_length_are_fine() -> None:
    network = Network.of(np.array([0, 0, 1]), np.array([1, 1, 2]), 4)
    found = travel_times_s(network, np.array([5.0, 3.0, 0.0]), np.array([0]), np.array([2, 3, 0]), with_ways=True)
    assert found.time_s.tolist() == [[3.0, np.inf, 0.0]]
    assert way(network, found, 0, 2).tolist() == [1, 2]
    assert way(network, found, 0, 0).tolist() == []
    with pytest.raises(InputError, match="none leads from node 0 to node 3"):
        way(network, found, 0, 3)


def test_nobody_asks_for_nothing() -> None:
    network, cost = graph(1)
    assert travel_times_s(network, cost, np.array([], int), np.array([1])).time_s.shape == (0, 1)
    assert travel_times_s(network, cost, np.array([1]), np.array([], int)).time_s.shape == (1, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arc_s": np.array([1.0, -1.0])}, "below 0"),
        ({"arc_s": np.array([1.0, np.nan])}, "below 0"),
        ({"arc_s": np.array([1.0])}, "one for each arc"),
        ({"sources": np.array([3])}, "wanted nodes 0..2"),
        ({"targets": np.array([0.5])}, "wanted nodes 0..2"),
        ({"departure_s": np.inf}, "not a number"),
        ({"threads": 0}, "wanted 1..256"),
    ],
)
def test_nonsense_is_refused(change: dict, said: str) -> None:  # type: ignore[type-arg]
    asked = {"arc_s": np.array([1.0, 1.0]), "sources": np.array([0]), "targets": np.array([2])} | change
    with pytest.raises(InputError, match=said):
        travel_times_s(Network.of(np.array([0, 1]), np.array([1, 2]), 3), **asked)
    with pytest.raises(InputError, match="leads out|outside"):
        Network.of(np.array([0]), np.array([3]), 3)
