"""A smaller road graph is the same town: every distance between junctions, every metre of street, every way from the door."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from tocsin.science.contraction import Contracted, contract


def distances(source: np.ndarray, target: np.ndarray, length: np.ndarray, nodes: int) -> np.ndarray:
    least: dict[tuple[int, int], float] = {}
    for a, b, x in zip(source.tolist(), target.tolist(), length.tolist(), strict=True):
        least[a, b] = min(x, least.get((a, b), np.inf))
    rows, cols = zip(*least, strict=True)
    return np.asarray(dijkstra(csr_matrix((list(least.values()), (rows, cols)), (nodes, nodes))))


def both(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.array(pairs).T
    return np.concatenate([a, b]), np.concatenate([b, a])


def shrink(
    source: np.ndarray, target: np.ndarray, length: np.ndarray, nodes: int, *, keep: list[int], lived: list[int], access_m: float
) -> Contracted:
    k, p = np.zeros(nodes, bool), np.zeros(nodes, bool)
    k[keep], p[lived] = True, True
    return contract(source, target, length, keep=k, inhabited=p, usable=np.ones(source.size, bool), access_m=access_m)


def test_a_street_without_a_junction_becomes_one_link_of_the_same_length() -> None:
    source, target = both([(0, 1), (1, 2), (2, 3)])
    length = np.tile([100.0, 200.0, 300.0], 2)
    made = shrink(source, target, length, 4, keep=[0, 3], lived=[], access_m=0.0)
    assert sorted(zip(made.kept[made.source], made.kept[made.target], made.total(length), strict=True)) == [
        (0, 3, 600.0),
        (3, 0, 600.0),
    ]


def test_who_lives_on_it_enters_at_the_nearer_end_and_is_cut_off_when_a_piece_on_the_way_there_closes() -> None:
    source, target = both([(0, 1), (1, 2), (2, 3)])
    length = np.tile([100.0, 50.0, 300.0], 2)
    made = shrink(source, target, length, 4, keep=[0, 3], lived=[1, 2], access_m=200.0)
    assert made.kept[made.node_of].tolist() == [0, 0, 0, 3]
    closes_s = np.full(6, np.inf)
    closes_s[[3, 0]] = 77.0  # both directions of the piece between 0 and 1
    assert made.least_on_access(closes_s).tolist() == [np.inf, 77.0, 77.0, np.inf]


def test_nobody_is_moved_further_than_he_may_be() -> None:
    source, target = both([(0, 1), (1, 2), (2, 3)])
    length = np.tile([100.0, 200.0, 100.0], 2)
    made = shrink(source, target, length, 4, keep=[0, 3], lived=[1, 2], access_m=99.0)
    assert made.kept.tolist() == [0, 1, 2, 3]


def test_a_dead_end_without_people_is_taken_off_and_one_with_people_stays_if_it_is_long() -> None:
    source, target = both([(0, 1), (1, 2), (1, 3), (1, 4)])
    length = np.tile([100.0, 400.0, 100.0, 400.0], 2)
    made = shrink(source, target, length, 5, keep=[0, 3], lived=[2], access_m=150.0)
    assert made.kept.tolist() == [0, 1, 2, 3]


def test_of_each_link_the_edge_with_the_least_value_is_known() -> None:
    source, target = both([(0, 1), (1, 2), (2, 3)])
    made = shrink(source, target, np.tile([100.0, 200.0, 300.0], 2), 4, keep=[0, 3], lived=[], access_m=0.0)
    closes_s = np.array([9.0, 5.0, 7.0, 4.0, 8.0, 6.0])
    assert made.least(closes_s).tolist() == [5.0, 4.0]
    assert made.least_at(closes_s).tolist() == [1, 3]


def test_a_one_way_street_stays_one_way() -> None:
    source, target = np.array([0, 1, 2]), np.array([1, 2, 0])
    made = shrink(source, target, np.array([10.0, 20.0, 30.0]), 3, keep=[0, 2], lived=[], access_m=0.0)
    assert sorted(zip(made.kept[made.source].tolist(), made.kept[made.target].tolist(), strict=True)) == [(0, 2), (2, 0)]
    assert made.total(np.array([10.0, 20.0, 30.0])).sum() == 60.0


@pytest.mark.parametrize("seed", range(8))
def test_all_distances_between_the_nodes_that_remain_are_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes = 120
    pairs = [(int(rng.integers(0, n)), n) for n in range(1, nodes)] + [
        tuple(rng.integers(0, nodes, 2).tolist()) for _ in range(25)
    ]
    source, target = both([p for p in pairs if p[0] != p[1]])
    length = np.tile(rng.uniform(5, 200, source.size // 2), 2)
    drop = rng.random(source.size) < 0.1  # some streets are one-way
    source, target, length = source[~drop], target[~drop], length[~drop]
    keep, lived = rng.choice(nodes, 6, replace=False), rng.choice(nodes, 40, replace=False)
    made = shrink(source, target, length, nodes, keep=keep.tolist(), lived=lived.tolist(), access_m=150.0)
    assert made.kept.size < nodes
    whole = distances(source, target, length, nodes)[np.ix_(made.kept, made.kept)]
    small = distances(made.source, made.target, made.total(length), made.kept.size)
    assert small == pytest.approx(whole)
    touched = np.unique(np.concatenate([source, target]))
    assert (made.node_of[np.intersect1d(lived, touched)] >= 0).all()
    steps_m = np.array([length[made.access[made.access_start[n] : made.access_start[n + 1]]].sum() for n in lived])
    assert (steps_m <= 150.0).all()
