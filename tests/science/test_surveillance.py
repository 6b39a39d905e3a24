"""EARS and Farrington, against reference values of R's surveillance package (reference/surveillance.R made them)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from tocsin.science.surveillance import NOUFAILY, Expected, Farrington, count_quantile, ears, farrington, student_p
from tocsin.vocabulary import InputError

R: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "surveillance.json").read_text())
# R stops its fits at a relative change of the deviance of 1e-8, which leaves the bounds correct to about 2e-5
FIT_TOLERANCE = 1e-4


def numbers(name: str) -> NDArray[np.float64]:
    return np.array(R[name], np.float64)


def test_ears_c1_and_c2_have_the_baselines_of_r() -> None:
    told = ears(numbers("days")[None])
    z = stats.norm.isf(0.001)
    for bound, mean, sd in (
        (numbers("ears_c1"), told.near_mean[0], told.near_sd[0]),
        (numbers("ears_c2"), told.far_mean[0], told.far_sd[0]),
    ):
        known = np.isfinite(bound)
        assert known.sum() >= 50
        assert np.allclose((mean + z * sd)[known], bound[known], rtol=0, atol=1e-10)


def test_ears_c3_adds_what_c2_of_r_was_above_one() -> None:
    """R gives a bound of count + sd * (z - what C2 was above 1 on the two days before), 0 at least: so that can be read from it."""
    days, bound = numbers("days"), numbers("ears_c3")
    told = ears(days[None])
    before = stats.norm.isf(0.025) - (bound - days) / told.far_sd[0]
    known = np.isfinite(before) & (bound > 0.0)
    assert known.sum() >= 40
    c2 = (days - told.far_mean[0]) / told.far_sd[0]
    assert np.allclose(told.c3[0][known], (before + np.maximum(c2 - 1.0, 0.0))[known], rtol=0, atol=1e-9)
    assert before[known].max() > 2.0


def test_ears_finds_the_outbreak_that_was_put_into_the_record() -> None:
    told = ears(numbers("days")[None])
    assert all(c[0, 49] > 3.0 for c in (told.c1, told.c2, told.c3))
    assert (told.c1[0] > 3.0).sum() <= 3


def test_a_slow_rise_does_not_hide_in_its_own_baseline_under_c2() -> None:
    days = np.array([[5.0, 6, 5, 6, 5, 6, 5, 6, 5, 8, 10, 12]])
    told = ears(days)
    assert told.c2[0, -1] > told.c1[0, -1]


def test_a_missing_day_leaves_ears_without_an_answer_for_as_long_as_it_is_in_the_baseline() -> None:
    days = np.full((1, 30), 4.0) + np.arange(30) % 3
    days[0, 10] = np.nan
    told = ears(days)
    assert np.flatnonzero(np.isnan(told.c1[0])).tolist() == [*range(7), *range(10, 18)]
    assert np.flatnonzero(np.isnan(told.c2[0])).tolist() == [*range(9), 10, *range(13, 20)]


def test_a_quiet_week_does_not_make_one_case_an_outbreak() -> None:
    days = np.array([[0.0] * 12 + [1.0]])
    assert ears(days, sd_least=0.5).c1[0, -1] == pytest.approx(2.0)
    with pytest.raises(InputError, match="sd_least"):
        ears(days, sd_least=0.0)


def weeks_asked(series: int, method: Farrington) -> Expected:
    """One row for each week that R was asked for, which is then the newest."""
    counts = numbers("weeks")[series]
    return farrington(np.stack([counts[upto - method.weeks : upto] for upto in R["asked"]]), method)


@pytest.mark.parametrize("series", [0, 1, 2])
def test_the_bounds_of_farrington_1996_are_those_of_r(series: int) -> None:
    """52 weeks of each series; alpha 0.01 is two-sided in R and so 0.005 here."""
    told = weeks_asked(series, Farrington(alpha=0.005))
    assert np.allclose(told.bound, numbers("farrington_1996")[series], rtol=FIT_TOLERANCE)
    assert 0 < told.has_trend.sum() < 52  # both branches are in it


@pytest.mark.parametrize("series", [0, 1, 2])
def test_what_noufaily_expects_and_warns_of_is_what_r_does(series: int) -> None:
    told = weeks_asked(series, NOUFAILY)
    assert np.allclose(told.expected, numbers("noufaily_expected")[series], rtol=FIT_TOLERANCE)
    assert np.allclose(told.dispersion, numbers("noufaily_phi")[series], rtol=FIT_TOLERANCE)
    assert told.bound.tolist() == numbers("noufaily_quantile")[series].tolist()


def test_an_outbreak_is_above_one_and_most_weeks_are_below() -> None:
    told = weeks_asked(2, NOUFAILY)
    outbreak = [R["asked"].index(week) for week in (362, 363)]
    assert (told.score[outbreak] > 1.0).all()
    assert (told.score > 1.0).sum() <= 5


def test_few_cases_are_never_unusual() -> None:
    told = weeks_asked(3, Farrington(alpha=0.005))
    counts = numbers("weeks")[3]
    few = np.array([counts[upto - 4 : upto].sum() < 5 for upto in R["asked"]])
    assert few.all()
    assert (told.score == 0.0).all()


def test_a_past_outbreak_does_not_hide_the_next_one() -> None:
    method = Farrington(alpha=0.005)
    rng = np.random.default_rng(11)
    counts = rng.poisson(20.0, (40, method.weeks)).astype(np.float64)
    outbreak = counts.copy()
    outbreak[:, -1 - 104] = 150.0
    quiet, shy = farrington(counts, method), farrington(outbreak, method)
    blind = farrington(outbreak, msgspec.structs.replace(method, outlier_from=1e9))
    assert np.median(shy.bound / quiet.bound) < 1.4
    assert np.median(blind.bound / quiet.bound) > 2.0


def test_a_missing_week_of_a_former_year_takes_no_part() -> None:
    method = Farrington(alpha=0.005)
    counts = np.random.default_rng(5).poisson(15.0, (3, method.weeks)).astype(np.float64)
    holes = counts.copy()
    holes[:, -1 - 52] = np.nan
    told = farrington(holes, method)
    assert np.isfinite(told.bound).all()
    counts[:, :-1] = np.nan
    assert np.isnan(farrington(counts, method).score).all()


def test_rows_are_judged_each_by_itself() -> None:
    method = Farrington(alpha=0.005)
    counts = np.random.default_rng(8).poisson(9.0, (6, method.weeks)).astype(np.float64)
    together = farrington(counts, method)
    alone = [farrington(counts[[row]], method).bound[0] for row in range(6)]
    assert np.allclose(together.bound, alone, rtol=1e-8)


@pytest.mark.parametrize(
    "nonsense",
    [{"years": 0}, {"half_window": 26}, {"alpha": 0.5}, {"season_blocks": 10}, {"bound": "normal"}, {"outlier_from": 0.0}],
)
def test_a_method_of_nonsense_is_refused(nonsense: dict[str, object]) -> None:
    with pytest.raises(InputError, match="farrington"):
        Farrington(**nonsense)  # type: ignore[arg-type]


def test_too_short_a_record_is_refused_with_what_is_wanted() -> None:
    with pytest.raises(InputError, match="100 weeks; wanted at least 264"):
        farrington(np.ones((1, 100)), Farrington())


@given(st.lists(st.tuples(st.floats(-40.0, 40.0), st.integers(1, 300)), min_size=1, max_size=20))
def test_students_p_is_that_of_scipy(told: list[tuple[float, int]]) -> None:
    t, freedom = np.array([x for x, _ in told]), np.array([n for _, n in told])
    assert np.allclose(student_p(t, freedom), 2.0 * stats.t.sf(np.abs(t), freedom), rtol=0, atol=1e-10)


@given(
    st.lists(st.tuples(st.floats(0.05, 3000.0), st.one_of(st.just(1.0), st.floats(1.01, 30.0))), min_size=1, max_size=5),
    st.sampled_from([0.9, 0.975, 0.99, 0.995]),
)
@settings(max_examples=40, deadline=None)
def test_quantiles_of_counts_are_those_of_scipy(told: list[tuple[float, float]], share: float) -> None:
    mean, dispersion = (np.array(one) for one in zip(*told, strict=True))
    found = count_quantile(mean, dispersion, share)
    for mu, phi, count in zip(mean, dispersion, found, strict=True):
        law = stats.poisson(mu) if phi == 1.0 else stats.nbinom(mu / (phi - 1.0), 1.0 / phi)
        assert law.cdf(count) >= share - 1e-9
        assert count == 0 or law.cdf(count - 1) <= share + 1e-9


def test_a_mean_that_is_not_known_has_no_quantile() -> None:
    assert np.isnan(count_quantile(np.array([np.nan]), np.array([1.0]), 0.99)).all()
