"""Scores are those of the publications, and of an independent library."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from scores.categorical import BinaryContingencyManager
from scores.probability import brier_score, crps_for_ensemble

from tocsin.science import score
from tocsin.vocabulary import InputError


def test_the_score_of_an_ensemble_is_that_of_the_library_scores() -> None:
    rng = np.random.default_rng(1)
    members, came = rng.gamma(2.0, 1.0, (17, 40)), rng.gamma(2.0, 1.0, 40)
    members[:, 3] = 2.0  # ties
    theirs = crps_for_ensemble(
        xr.DataArray(members, dims=("member", "case")),
        xr.DataArray(came, dims="case"),
        "member",
        method="ecdf",
        preserve_dims="case",
    )
    np.testing.assert_allclose(score.crps(members, came), theirs.values, atol=1e-12)  # both exact: rounding only


def test_a_weight_is_worth_as_much_as_a_member_that_is_told_twice() -> None:
    members, came = np.array([[1.0, 4.0], [2.0, 5.0], [2.0, 5.0], [7.0, 0.0]]), np.array([3.0, 4.5])
    once = score.crps(members[[0, 1, 3]], came, np.array([0.25, 0.5, 0.25]))
    np.testing.assert_allclose(once, score.crps(members, came), atol=1e-12)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8), st.floats(-1e3, 1e3))
def test_the_score_is_the_integral_of_the_squared_difference_of_the_distributions(members: list[float], came: float) -> None:
    knots = np.unique([*members, came])
    middle = (knots[1:] + knots[:-1]) / 2
    below = (np.array(members)[:, None] <= middle).mean(axis=0)
    area = float(((below - (middle >= came)) ** 2 * np.diff(knots)).sum())
    assert score.crps(np.array(members)[:, None], np.array([came]))[0] == pytest.approx(area, abs=1e-9)


def test_a_large_normal_ensemble_scores_as_the_normal_distribution_does() -> None:
    # Gneiting & Raftery 2007, eq. 22: CRPS(N(0,1), y) = y (2 Phi(y) - 1) + 2 phi(y) - 1 / sqrt(pi). Quantiles at midpoints: error O(1/n).
    members = norm.ppf((np.arange(4000) + 0.5) / 4000)[:, None]
    for y in (-1.3, 0.0, 0.7):
        exact = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
        assert score.crps(members, np.array([y]))[0] == pytest.approx(exact, abs=1e-3)
        by_integral = quad(lambda x, y=y: (norm.cdf(x) - (x >= y)) ** 2, -9, 9, points=[y])[0]
        assert exact == pytest.approx(by_integral, abs=1e-6)


def test_chances_are_scored_as_the_library_does_and_the_parts_add_up() -> None:
    rng = np.random.default_rng(2)
    chance = rng.integers(0, 11, 500) / 10.0
    came = rng.random(500) < chance**1.3
    ours = score.brier(chance, came)
    theirs = brier_score(xr.DataArray(chance, dims="case"), xr.DataArray(came.astype(float), dims="case"))
    assert ours == pytest.approx(float(theirs), abs=1e-12)
    parts = score.reliability(chance, came, bins=1000)  # one chance in each bin: Murphy's sum is exact
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(ours, abs=1e-12)
    assert parts.count.sum() == 500


def test_chances_that_come_as_often_as_they_say_are_reliable() -> None:
    rng = np.random.default_rng(3)
    chance = rng.random(200_000)
    found = score.reliability(chance, rng.random(200_000) < chance)
    np.testing.assert_allclose(found.told, found.came, atol=0.015)  # 20,000 cases a bin: 4 sd of a share of one half is 0.014
    assert found.reliability < 1e-4 < found.resolution


def test_a_right_spread_has_flat_ranks_and_a_narrow_one_has_a_u() -> None:
    rng = np.random.default_rng(4)
    came = rng.standard_normal(20_000)
    right = score.rank_histogram(score.positions(rng.standard_normal((9, 20_000)), came, rng.random(20_000)))
    narrow = score.rank_histogram(score.positions(0.5 * rng.standard_normal((9, 20_000)), came, rng.random(20_000)))
    assert right.sum() == narrow.sum() == 20_000
    assert np.abs(right - 2000).max() < 4 * np.sqrt(2000)
    assert narrow[0] + narrow[-1] > 3 * (narrow[4] + narrow[5])


def test_where_what_came_fell_among_the_members_by_hand() -> None:
    members = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
    came, u = np.array([3.0, 0.0, 5.0]), np.array([0.5, 0.25, 0.999])
    np.testing.assert_allclose(score.positions(members, came, u), [2.5 / 4, 0.25, (3 + 0.999) / 4])
    with pytest.raises(InputError, match=r"wanted each 0\.\.1"):
        score.rank_histogram(np.array([1.5]))


def test_hits_and_misses_are_counted_as_the_library_does() -> None:
    rng = np.random.default_rng(5)
    warned, came = rng.random(300) < 0.3, rng.random(300) < 0.4
    ours = score.contingency(warned, came)
    theirs = BinaryContingencyManager(
        xr.DataArray(warned.astype(float), dims="c"), xr.DataArray(came.astype(float), dims="c")
    ).transform()
    assert ours.pod == pytest.approx(float(theirs.probability_of_detection()))
    assert ours.far == pytest.approx(float(theirs.false_alarm_ratio()))
    assert ours.csi == pytest.approx(float(theirs.critical_success_index()))
    assert ours.bias == pytest.approx(float(theirs.bias_score()))


def test_a_ratio_without_cases_is_not_known() -> None:
    nothing = score.contingency(np.zeros(3, bool), np.zeros(3, bool))
    assert (nothing.pod, nothing.far, nothing.csi, nothing.bias) == (None, None, None, None)


def test_the_lead_of_a_warning_is_from_its_first_word_to_the_event_and_one_that_is_late_is_none() -> None:
    found = score.match(np.array([100.0, 500.0, 5000.0, 9000.0]), np.array([1000.0, 8999.0, 20_000.0]), window_s=3600.0)
    assert found.lead_s == (900.0, None, None)
    assert (found.table.hits, found.table.misses, found.table.false_alarms) == (1, 2, 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: score.crps(np.zeros((2, 3)), np.zeros(2)),
        lambda: score.crps(np.array([[np.nan]]), np.zeros(1)),
        lambda: score.crps(np.zeros((2, 1)), np.zeros(1), np.array([0.7, 0.7])),
        lambda: score.brier(np.array([1.2]), np.array([True])),
        lambda: score.reliability(np.array([0.2]), np.array([True]), bins=0),
        lambda: score.contingency(np.zeros(2, bool), np.zeros(3, bool)),
        lambda: score.match(np.zeros(1), np.zeros(1), window_s=0.0),
    ],
)
def test_nonsense_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="wanted|leave out"):
        call()
