"""Samples, tails, margins and ways out: against closed forms, SciPy and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tocsin.science.reach import last_way_out_s
from tocsin.science.risk import cvar, margin, regret
from tocsin.science.sampling import keyed_uniform, latin_hypercube, triangle
from tocsin.vocabulary import InputError


@given(low=st.floats(-5, 5), rise=st.floats(0.01, 5), fall=st.floats(0.01, 5), u=st.floats(0, 1))
def test_the_triangle_is_scipys(low: float, rise: float, fall: float, u: float) -> None:
    oracle = stats.triang(rise / (rise + fall), loc=low, scale=rise + fall).ppf(u)
    assert triangle(np.array([u]), low, low + rise, low + rise + fall)[0] == pytest.approx(oracle, abs=1e-9)


def test_each_part_of_each_knob_is_met_once() -> None:
    drawn = latin_hypercube({"a": (0.0, 1.0, 2.0), "b": (5.0, 5.0, 5.0)}, 40, np.random.default_rng(3))
    parts = np.floor(stats.triang(0.5, 0.0, 2.0).cdf(drawn["a"]) * 40).astype(int)
    assert sorted(parts) == list(range(40))
    assert set(drawn["b"]) == {5.0}


def test_keyed_draws_are_uniform_and_belong_to_their_key() -> None:
    drawn = np.array([keyed_uniform(n, "duration", "evacuate") for n in range(2_000)])
    assert stats.kstest(drawn, "uniform").pvalue > 0.01  # of a fixed sample: it cannot fail by chance
    assert keyed_uniform(1, "a", "b") == keyed_uniform(1, "a", "b")
    assert len({keyed_uniform(1, "a", "b"), keyed_uniform(1, "ab"), keyed_uniform(1, "b", "a"), keyed_uniform(2, "a", "b")}) == 4


def test_the_tail_of_a_normal_loss_is_its_closed_form() -> None:
    # CVaR of a standard normal at the worst tenth: pdf(quantile) / tail (McNeil, Frey & Embrechts 2015, example 2.14)
    loss = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    assert cvar(loss, 0.1) == pytest.approx(stats.norm.pdf(stats.norm.ppf(0.9)) / 0.1, rel=1e-3)


def test_the_tail_of_all_is_the_mean_and_a_tiny_tail_is_the_worst() -> None:
    loss = np.array([3.0, 1.0, 2.0])
    assert cvar(loss, 1.0) == 2.0
    assert cvar(loss, 0.01) == 3.0


@pytest.mark.parametrize(("loss", "tail"), [([], 0.1), ([1.0, np.nan], 0.1), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_tail_of_nothing_is_refused(loss: list[float], tail: float) -> None:
    with pytest.raises(InputError, match="cvar"):
        cvar(np.array(loss), tail)


def test_regret_is_against_the_best_of_the_same_future() -> None:
    assert regret(np.array([[1.0, 5.0], [3.0, 2.0]])).tolist() == [[0.0, 3.0], [2.0, 0.0]]


def test_the_margin_of_paired_losses_is_that_of_their_differences() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(0.0, 100.0, 400)  # the futures differ far more than the plans do
    mean, low, high = margin(common, common + rng.normal(2.0, 5.0, 400), np.random.default_rng(2))
    half = 1.645 * 5.0 / np.sqrt(400)  # normal theory, 90 %
    assert mean == pytest.approx(2.0, abs=0.6)
    assert (high - low) / 2 == pytest.approx(half, rel=0.2)


def brute_force(
    source: list[int], target: list[int], closes: list[float], exits: list[int], exit_closes: list[float], nodes: int
) -> list[float]:
    """Try every moment: who is still connected with an open exit?"""
    moments = sorted({*closes, *exit_closes, np.inf})
    until = [-np.inf] * nodes
    for moment in moments:
        heads = [s for s, c in zip(source, closes, strict=True) if c >= moment] + [
            e for e, c in zip(exits, exit_closes, strict=True) if c >= moment
        ]
        tails = [t for t, c in zip(target, closes, strict=True) if c >= moment] + [nodes for c in exit_closes if c >= moment]
        graph = coo_matrix((np.ones(len(heads)), (heads, tails)), shape=(nodes + 1, nodes + 1))
        _, label = connected_components(graph, directed=False)
        for node in range(nodes):
            if label[node] == label[nodes]:
                until[node] = moment
    return until


@settings(max_examples=200, deadline=None)
@given(data=st.data(), nodes=st.integers(2, 8))
def test_the_last_way_out_is_what_brute_force_finds(data: st.DataObject, nodes: int) -> None:
    node = st.integers(0, nodes - 1)
    moment = st.one_of(st.just(np.inf), st.integers(1, 9).map(float))
    edges = data.draw(st.lists(st.tuples(node, node, moment), max_size=16))
    exits = data.draw(st.lists(st.tuples(node, moment), min_size=1, max_size=3))
    source, target, closes = ([e[k] for e in edges] for k in range(3))
    places, shuts = ([e[k] for e in exits] for k in range(2))
    found = last_way_out_s(
        np.array(source, np.int32),
        np.array(target, np.int32),
        np.array(closes, float),
        np.array(places, np.int64),
        np.array(shuts, float),
        nodes,
    )
    assert found.tolist() == brute_force(source, target, closes, places, shuts, nodes)


def test_without_an_exit_there_never_was_a_way_out() -> None:
    nothing = np.empty(0)
    source, target = np.array([0, 1], np.int32), np.array([1, 2], np.int32)
    found = last_way_out_s(source, target, np.full(2, np.inf), nothing.astype(np.int64), nothing, 3)
    assert found.tolist() == [-np.inf] * 3
    one = last_way_out_s(source[:0], target[:0], nothing, np.array([0]), np.array([60.0]), 1)  # a single node that is an exit
    assert one.tolist() == [60.0]
