"""Samples, tails, margins and ways out: against closed forms, SciPy and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from tocsin.science.choice import dominates, gini, stochastic_order, topsis
from tocsin.science.reach import last_way_out_s
from tocsin.science.risk import chance, cvar, effective, margin, quantiles, regret
from tocsin.science.sampling import keyed_uniform, triangle
from tocsin.vocabulary import InputError


@given(low=st.floats(-5, 5), rise=st.floats(0.01, 5), fall=st.floats(0.01, 5), u=st.floats(0, 1))
def test_the_triangle_is_scipys(low: float, rise: float, fall: float, u: float) -> None:
    oracle = stats.triang(rise / (rise + fall), loc=low, scale=rise + fall).ppf(u)
    assert triangle(np.array([u]), low, low + rise, low + rise + fall)[0] == pytest.approx(oracle, abs=1e-9)


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


def test_regret_knows_nothing_of_pairs_that_were_not_tried() -> None:
    found = regret(np.array([[1.0, np.nan], [3.0, 2.0], [np.nan, 5.0]]))
    np.testing.assert_array_equal(found, [[0.0, np.nan], [2.0, 0.0], [np.nan, 3.0]])


losses = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=8)


@given(loss=losses, repeats=st.data(), tail=st.floats(0.01, 1.0))
def test_a_future_of_double_weight_is_that_future_twice(loss: list[float], repeats: st.DataObject, tail: float) -> None:
    times = np.array(repeats.draw(st.lists(st.integers(1, 4), min_size=len(loss), max_size=len(loss))))
    a, often = np.array(loss), np.repeat(loss, times)
    weight = times / times.sum()
    assert cvar(a, tail, weight) == pytest.approx(cvar(often, tail), abs=1e-9)
    b = a[::-1].copy()
    assert stochastic_order(a, b, weight) == stochastic_order(often, np.repeat(b, times))


def test_weighted_quantiles_are_numpys_where_all_weigh_alike_and_do_not_jump_where_one_weighs_a_little_more() -> None:
    value, at = np.random.default_rng(1).normal(size=31), (0.0, 0.05, 0.5, 0.95, 1.0)
    oracle = np.quantile(value, at)
    np.testing.assert_allclose(quantiles(value, at, np.full(31, 1 / 31)), oracle)
    nearly = np.full(31, 1.0)
    nearly[3] += 1e-6
    np.testing.assert_allclose(quantiles(value, at, nearly), oracle, atol=1e-5)
    assert quantiles(np.array([0.0, 10.0]), (0.5,), np.array([0.0, 1.0])) == 10.0  # what cannot happen has no part in it


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (1, 10), (7, 40), (40, 40)])
def test_the_chance_of_breaking_a_limit_has_the_span_that_scipy_gives_it(hits: int, count: int) -> None:
    oracle = stats.binomtest(hits, count).proportion_ci(0.9, "exact")
    met = np.arange(count) < hits
    assert chance(met) == pytest.approx((hits / count, oracle.low, oracle.high))
    assert chance(met, np.full(count, 1.0 / count)) == pytest.approx(chance(met))


def test_futures_that_observations_speak_against_count_for_less_and_leave_more_doubt() -> None:
    met = np.arange(20) < 10
    weight = np.where(met, 0.9, 0.1) / 10.0
    share, low, high = chance(met, weight)
    assert share == pytest.approx(0.9)
    assert effective(weight) == pytest.approx(12.195, abs=1e-3)  # 1 / (10 x 0.09^2 + 10 x 0.01^2)
    assert low < stats.beta.ppf(0.05, 18, 3) < high  # 20 futures that all count would leave less doubt


def test_the_margin_is_scipys_bca_of_the_differences() -> None:
    difference = np.random.default_rng(5).lognormal(0.0, 1.0, 60)
    mean, low, high = margin(np.zeros(60), difference, np.random.default_rng(6), draws=20_000)
    oracle = stats.bootstrap(
        (difference,), np.mean, confidence_level=0.9, method="BCa", n_resamples=20_000, rng=np.random.default_rng(7)
    ).confidence_interval
    # two quantiles of 20,000 draws each: their error is about 0.3 % of the span
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=0.02 * (oracle.high - oracle.low))
    assert mean == pytest.approx(difference.mean())


def test_the_margin_of_few_pairs_is_students_t() -> None:
    difference = np.array([1.0, 4.0, 2.0, 7.0])
    _, low, high = margin(np.zeros(4), difference, np.random.default_rng(0))
    oracle = stats.ttest_1samp(difference, 0.0).confidence_interval(0.9)
    assert (low, high) == pytest.approx((oracle.low, oracle.high))


def test_the_margin_is_taken_where_both_were_tried_and_by_how_likely_that_is() -> None:
    first, second = np.array([0.0, 0.0, 0.0, np.nan]), np.array([1.0, 5.0, np.nan, 99.0])
    mean, low, high = margin(first, second, np.random.default_rng(0), weight=np.array([0.3, 0.1, 0.3, 0.3]))
    assert mean == pytest.approx((1.0 * 0.3 + 5.0 * 0.1) / 0.4)
    assert low < mean < high
    assert margin(first[:1], second[:1], np.random.default_rng(0)) == (
        1.0,
        -np.inf,
        np.inf,
    )  # one future says nothing of its doubt
    with pytest.raises(InputError, match="never tried in the same future"):
        margin(np.array([1.0, np.nan]), np.array([np.nan, 1.0]), np.random.default_rng(0))


def test_the_margin_of_weighted_futures_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for number in range(400):
        rng = np.random.default_rng(number)
        x = rng.normal(0.0, 1.0, 1_000)
        weight = np.exp(0.5 * x - 0.125)  # the law N(0.5, 1) seen through draws of N(0, 1)
        _, low, high = margin(np.zeros(1_000), x, rng, weight=weight / weight.sum(), draws=400)
        held += low <= 0.5 <= high
    # right in the limit of many futures; 3 standard errors of 400 trials
    assert held / 400 == pytest.approx(0.9, abs=3 * np.sqrt(0.9 * 0.1 / 400))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), choices=st.integers(2, 6), count=st.integers(1, 5))
def test_topsis_is_that_of_scikit_criteria(data: st.DataObject, choices: int, count: int) -> None:
    skc = pytest.importorskip("skcriteria")
    from skcriteria.agg.topsis import TOPSIS
    from skcriteria.pipelines import mkpipe
    from skcriteria.preprocessing.invert_objectives import NegateMinimize
    from skcriteria.preprocessing.scalers import VectorScaler

    number = st.floats(0.1, 1e4)
    rows = np.array([[data.draw(number) for _ in range(count)] for _ in range(choices)])
    weight = np.array([data.draw(st.floats(0.05, 1.0)) for _ in range(count)])
    if not (np.ptp(rows, axis=0) > 1e-6 * rows.max(axis=0)).any():
        return  # all alike: the peer divides 0 by 0
    told = mkpipe(NegateMinimize(), VectorScaler(target="matrix"), TOPSIS()).evaluate(
        skc.mkdm(rows, [min] * count, weights=weight / weight.sum())
    )
    np.testing.assert_allclose(topsis(rows, weight), told.e_.similarity, atol=1e-9)


def test_choices_that_are_all_alike_are_equally_near_to_the_best() -> None:
    assert topsis(np.zeros((3, 2)), np.ones(2)).tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="weights"):
        topsis(np.ones((2, 2)), np.zeros(2))
    with pytest.raises(InputError, match="finite"):
        topsis(np.array([[1.0, np.nan]]), np.ones(2))


def test_a_choice_dominates_another_where_it_is_nowhere_worse_and_somewhere_better() -> None:
    found = dominates(np.array([[1.0, 2.0], [1.0, 3.0], [0.0, 9.0], [1.0, 2.0]]))
    assert np.argwhere(found).tolist() == [[0, 1], [3, 1]]


@given(first=losses, second=losses)
def test_stochastic_dominance_is_what_every_threshold_says(first: list[float], second: list[float]) -> None:
    count = min(len(first), len(second))
    a, b = np.array(first[:count]), np.array(second[:count])
    ts = np.arange(-1.0, 8.0, 0.25)
    more_a, more_b = (np.array([(x > t).sum() for t in ts]) for x in (a, b))
    over_a, over_b = (np.array([np.maximum(x - t, 0.0).sum() for t in ts]) for x in (a, b))
    alike = sorted(a) == sorted(b)
    order = 0 if alike else 1 if (more_a <= more_b).all() else 2 if (over_a <= over_b + 1e-9).all() else 0
    assert stochastic_order(a, b) == order


def test_a_sure_loss_beats_a_gamble_of_the_same_mean_in_the_second_order_only() -> None:
    assert stochastic_order(np.array([5.0, 5.0]), np.array([0.0, 10.0])) == 2
    assert stochastic_order(np.array([0.0, 10.0]), np.array([5.0, 5.0])) == 0


@given(rows=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=6))
def test_the_gini_index_is_half_the_mean_difference_between_two_people(rows: list[tuple[int, int]]) -> None:
    rate, persons = (np.array([float(r[k]) for r in rows]) for k in range(2))
    each = np.repeat(rate, persons.astype(int))
    if each.sum() == 0:
        assert gini(rate, persons) is None
    else:
        oracle = np.abs(each[:, None] - each[None, :]).mean() / (2.0 * each.mean())
        assert gini(rate, persons) == pytest.approx(oracle, abs=1e-12)


def test_a_town_without_people_has_no_inequality_and_a_rate_below_nothing_is_refused() -> None:
    assert gini(np.array([0.1, 0.2]), np.zeros(2)) is None
    with pytest.raises(InputError, match="none below 0"):
        gini(np.array([-0.1]), np.ones(1))


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
