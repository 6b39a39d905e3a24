"""Observations move an ensemble as Bayes and Kalman say: checked where the answer is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science import assimilate as a
from tocsin.vocabulary import InputError


def test_weights_after_an_observation_are_those_of_bayes() -> None:
    # a normal prior of 50,000 members and one normal observation: mean and variance in closed form; error of a weighted mean 4 sd / sqrt(n_eff)
    rng = np.random.default_rng(1)
    members = 5.0 + 0.5 * rng.standard_normal(50_000)
    weight = a.reweigh(np.full(50_000, 1 / 50_000), a.log_likelihood(members[:, None], np.array([5.6]), np.array([0.3])))
    variance = 1 / (1 / 0.25 + 1 / 0.09)
    mean = variance * (5.0 / 0.25 + 5.6 / 0.09)
    within = 4 * np.sqrt(variance / a.effective(weight))
    assert (weight * members).sum() == pytest.approx(mean, abs=within)
    assert (weight * (members - mean) ** 2).sum() == pytest.approx(variance, rel=4 * np.sqrt(2 / a.effective(weight)))


def test_two_observations_at_once_or_one_after_the_other_say_the_same() -> None:
    rng = np.random.default_rng(2)
    expected, seen, sd = rng.random((30, 2)), np.array([0.3, 0.6]), np.array([0.1, 0.2])
    flat = np.full(30, 1 / 30)
    together = a.reweigh(flat, a.log_likelihood(expected, seen, sd))
    first = a.reweigh(flat, a.log_likelihood(expected[:, :1], seen[:1], sd[:1]))
    np.testing.assert_allclose(a.reweigh(first, a.log_likelihood(expected[:, 1:], seen[1:], sd[1:])), together, rtol=1e-12)


def test_very_unlikely_observations_do_not_lose_all_weight_to_rounding() -> None:
    weight = a.reweigh(np.array([0.5, 0.5]), np.array([-2000.0, -2001.0]))
    np.testing.assert_allclose(weight, np.array([np.e, 1.0]) / (np.e + 1.0))


def test_one_gauge_that_contradicts_nine_does_not_decide_alone_where_tails_are_heavy() -> None:
    members = np.array([1.0, 3.0])
    expected, seen, sd = np.repeat(members[:, None], 10, axis=1), np.full(10, 1.0), np.full(10, 0.5)
    seen[9] = 30.0
    normal = a.reweigh(np.array([0.5, 0.5]), a.log_likelihood(expected, seen, sd))
    heavy = a.reweigh(np.array([0.5, 0.5]), a.log_likelihood(expected, seen, sd, degrees=4.0))
    assert normal[1] > 0.99  # one broken gauge outvotes nine
    assert heavy[0] > 0.99


def test_what_lies_outside_of_all_futures_is_told_in_errors_of_the_gauge() -> None:
    found = a.fit(np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([1.5, 3.0]), np.array([0.5, 0.5]))
    np.testing.assert_allclose(found.outside, [0.0, 2.0])
    assert found.worst == 2.0


def test_the_taper_is_smooth_one_at_nothing_and_nothing_at_twice_its_reach() -> None:
    # Gaspari & Cohn 1999: C(c) = 5/24 (both branches), and the function is positive definite
    assert a.taper(np.array([1.0]), 1.0)[0] == pytest.approx(5 / 24, abs=1e-12)
    assert a.taper(np.array([1.0 + 1e-9]), 1.0)[0] == pytest.approx(5 / 24, abs=1e-6)
    x = np.linspace(0, 10, 60)
    matrix = a.taper(np.abs(x[:, None] - x), 1.5)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9
    assert np.all(np.diff(a.taper(np.linspace(0, 2, 50), 1.0)) < 0)


def test_an_ensemble_moves_as_kalman_says() -> None:
    # two correlated states, the first is seen: exact posterior by conditioning a normal; 40,000 members, 4 standard errors
    rng = np.random.default_rng(3)
    prior = np.array([[1.0, 0.6], [0.6, 2.0]])
    members = rng.multivariate_normal([0.0, 1.0], prior, 40_000)
    moved = a.kalman_update(members, members[:, :1], np.array([1.2]), np.array([0.5]), rng)
    gain = prior[:, 0] / (prior[0, 0] + 0.25)
    mean = np.array([0.0, 1.0]) + gain * 1.2
    covariance = prior - np.outer(gain, prior[0])
    np.testing.assert_allclose(moved.mean(axis=0), mean, atol=4 * np.sqrt(2.0 / 40_000))
    np.testing.assert_allclose(np.cov(moved.T), covariance, atol=4 * 2.0 * np.sqrt(2 / 40_000))


def test_a_cell_out_of_reach_of_all_gauges_stays_as_it_was() -> None:
    rng = np.random.default_rng(4)
    state = rng.random((20, 3))
    reach = np.array([[1.0], [0.5], [0.0]])
    moved = a.kalman_update(state, state[:, :1], np.array([0.9]), np.array([0.1]), rng, localisation=reach)
    np.testing.assert_array_equal(moved[:, 2], state[:, 2])
    assert abs(moved[:, 0].mean() - 0.9) < abs(state[:, 0].mean() - 0.9)


def test_an_observation_without_information_moves_nothing() -> None:
    rng = np.random.default_rng(5)
    state = rng.random((20, 4))
    moved = a.kalman_update(state, state[:, :1], np.array([50.0]), np.array([1e9]), rng)
    np.testing.assert_allclose(moved, state, atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: a.log_likelihood(np.zeros((2, 1)), np.zeros(2), np.ones(2)),
        lambda: a.log_likelihood(np.zeros((2, 1)), np.zeros(1), np.zeros(1)),
        lambda: a.log_likelihood(np.zeros((2, 1)), np.array([np.nan]), np.ones(1)),
        lambda: a.log_likelihood(np.zeros((2, 1)), np.zeros(1), np.ones(1), degrees=0.0),
        lambda: a.reweigh(np.ones(2) / 2, np.zeros(3)),
        lambda: a.taper(np.zeros(1), 0.0),
        lambda: a.kalman_update(np.zeros((1, 2)), np.zeros((1, 1)), np.zeros(1), np.ones(1), np.random.default_rng(0)),
    ],
)
def test_nonsense_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="wanted|leave out"):
        call()
