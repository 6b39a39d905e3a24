"""What a report is worth before one chooses: against closed forms of the two-act problem with normal losses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tocsin.science.worth import a_report, expected, knowing, perfect_information, turning_point
from tocsin.vocabulary import InputError

COUNT = 4_000


def closed_form(mean: float, spread: float) -> float:
    """The value of learning the difference of two acts, N(mean, spread): the unit normal loss (Raiffa & Schlaifer 1961, sec. 5.4)."""
    z = abs(mean) / spread
    return float(spread * (stats.norm.pdf(z) - z * stats.norm.sf(z)))


def two_acts(mean: float, by_x: float, by_rest: float, seed: int, count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Losses (act, future) whose difference is N(mean, sqrt(by_x^2 + by_rest^2)), and x, which explains by_x of it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.0, 1.0, count)
    common = rng.normal(100.0, 50.0, count)  # what both acts share must cancel
    return np.array([common, common + mean + by_x * x + by_rest * rng.normal(0.0, 1.0, count)]), x


@pytest.mark.parametrize("mean", [0.0, 1.0, -2.0])
def test_perfect_information_is_worth_what_the_closed_form_says(mean: float) -> None:
    loss, _ = two_acts(mean, 2.0, 1.0, 1)
    # min(0, d) is steady with slope at most 1, so the estimate's standard error is at most that of the mean of d; four of them
    assert perfect_information(loss) == pytest.approx(closed_form(mean, np.sqrt(5.0)), abs=4 * np.sqrt(5.0) / np.sqrt(COUNT))


@pytest.mark.parametrize("mean", [0.0, 1.0, -2.0])
def test_knowing_a_part_is_worth_what_the_closed_form_says(mean: float) -> None:
    loss, x = two_acts(mean, 2.0, 1.0, 2)
    worth = knowing(loss, x, np.random.default_rng(0), shuffles=40)
    assert worth.found == pytest.approx(closed_form(mean, 2.0), abs=4 * np.sqrt(5.0) / np.sqrt(COUNT))
    assert worth.value <= worth.found
    assert worth.p < 0.05


@pytest.mark.parametrize("error", [0.5, 1.0, 3.0])
def test_a_report_with_an_error_is_worth_what_the_closed_form_says(error: float) -> None:
    loss, x = two_acts(0.5, 2.0, 0.5, 3)
    worth = a_report(loss, x, error, np.random.default_rng(0), repeats=5, shuffles=10)
    learnt = 2.0 / np.sqrt(1.0 + error**2)  # the spread of what is expected after the report
    assert worth.found == pytest.approx(closed_form(0.5, learnt), abs=4 * np.sqrt(4.25) / np.sqrt(COUNT))


def test_no_part_is_worth_more_than_all() -> None:
    loss, x = two_acts(0.3, 1.0, 1.0, 4)
    exact, rough = knowing(loss, x, np.random.default_rng(0)), a_report(loss, x, 1.0, np.random.default_rng(0), repeats=3)
    assert rough.found < exact.found < perfect_information(loss)


def test_what_has_nothing_to_do_with_the_choice_is_worth_nothing_even_with_few_futures() -> None:
    """The naive estimate finds value in chance; shuffling says so. 200 questions about nothing, 40 futures each."""
    naive, kept, told = [], [], 0
    for seed in range(200):
        loss, _ = two_acts(0.2, 0.0, 3.0, seed, 40)
        worth = knowing(loss, np.random.default_rng(10_000 + seed).normal(size=40), np.random.default_rng(seed), shuffles=99)
        naive.append(worth.found)
        kept.append(worth.value)
        told += worth.p < 0.05
    assert np.mean(kept) < 0.75 * np.mean(naive)
    assert told <= stats.binom.ppf(0.999, 200, 0.05)


def test_a_yes_or_no_is_worth_the_difference_of_its_two_means() -> None:
    wet = np.repeat([0.0, 1.0], 10)
    loss = np.array([np.full(20, 5.0), np.where(wet > 0, 12.0, 2.0)])  # act 2 is better when dry, worse when wet
    worth = knowing(loss, wet, np.random.default_rng(0))
    assert worth.found == pytest.approx(5.0 - 3.5)
    weight = np.where(wet > 0, 0.01, 0.09)
    # wet is unlikely: act 2 loses 0.9 x 2 + 0.1 x 12 = 3; knowing makes that 0.9 x 2 + 0.1 x 5 = 2.3
    assert knowing(loss, wet, np.random.default_rng(0), weight=weight).found == pytest.approx(0.7)


def test_one_choice_or_few_futures_or_a_thing_that_does_not_vary_are_worth_nothing() -> None:
    rng = np.random.default_rng(0)
    assert knowing(np.ones((1, 30)), np.arange(30.0), rng).value == 0.0
    assert knowing(np.array([[1.0, 2.0], [2.0, 1.0]]), np.arange(2.0), rng).value == 0.0
    assert knowing(np.array([np.arange(30.0), np.arange(30.0)[::-1]]), np.ones(30), rng).value == 0.0


def test_the_curve_finds_a_bend_and_heeds_the_weights() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(0.0, 6.0, 400)
    truth = np.sin(x)
    found = expected(truth[None] + rng.normal(0.0, 0.3, (1, 400)), x)[0]
    # about 10 coefficients from 400 values with an error of 0.3: 0.3 x sqrt(10 / 400) = 0.047; twice that
    assert np.sqrt(((found - truth) ** 2).mean()) < 0.095
    broken = truth.copy()
    broken[::2] += 100.0
    weight = np.where(np.arange(400) % 2 == 0, 0.0, 1.0)
    assert np.abs(expected(broken[None], x, weight)[0][1::2] - truth[1::2]).max() < 0.1


def test_the_turning_point_is_where_the_curves_cross() -> None:
    rng = np.random.default_rng(2)
    level_m = rng.uniform(4.0, 7.0, 200)
    saves = 1000.0 * (6.0 - level_m) + rng.normal(0.0, 200.0, 200)  # the first saves until 6 m, then it costs lives
    turn = turning_point(saves, level_m, np.random.default_rng(0))
    assert turn is not None
    assert turn.above
    # the crossing of a noisy line: 200 / 1000 m / sqrt(about 30 futures within 0.25 m of it) = 0.04; four of them
    assert turn.at == pytest.approx(6.0, abs=0.15)
    assert turn.share == pytest.approx(1.0 / 3.0, abs=0.08)
    assert turn.by == pytest.approx(500.0, abs=100.0)
    mirrored = turning_point(saves, -level_m, np.random.default_rng(0))
    assert mirrored is not None
    assert not mirrored.above
    assert mirrored.at == pytest.approx(-turn.at)


def test_no_turning_point_is_told_where_chance_alone_would_show_one() -> None:
    told = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        told += turning_point(rng.normal(0.5, 2.0, 60), rng.uniform(size=60), rng, shuffles=199) is not None
    assert told <= stats.binom.ppf(0.999, 200, 0.05)


def test_of_many_questions_about_nothing_hardly_one_is_answered() -> None:
    """20 questions at once, 100 times: without the correction for asking often, one of the 20 would be answered most times."""
    answered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        saves = rng.normal(0.5, 2.0, 60)
        answered += any(turning_point(saves, rng.uniform(size=60), rng, tests=20, shuffles=800) is not None for _ in range(20))
    assert answered <= stats.binom.ppf(0.999, 100, 0.05)


def test_no_turning_point_is_told_from_a_handful_of_futures_or_where_one_is_always_better() -> None:
    rng = np.random.default_rng(0)
    level_m = np.linspace(4.0, 7.0, 60)
    assert turning_point(10.0 - level_m, level_m, rng) is None  # always better
    assert turning_point(np.where(level_m > 6.9, -50.0, 5.0), level_m, rng) is None  # two futures lie beyond
    assert turning_point(np.array([1.0, -1.0]), np.array([0.0, 1.0]), rng) is None
    assert turning_point(6.0 - level_m, np.ones(60), rng) is None


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(1e-3, 1e6), shift=st.floats(-1e3, 1e3))
def test_units_do_not_change_what_is_worth_knowing(scale: float, shift: float) -> None:
    loss, x = two_acts(0.5, 2.0, 1.0, 7, 60)
    here, there = (knowing(loss, k, np.random.default_rng(0), shuffles=19) for k in (x, x * scale + shift))
    assert there.found == pytest.approx(here.found, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "known", "weight"),
    [
        (np.array([[1.0, np.nan]]), np.ones(2), None),
        (np.ones((2, 3)), np.array([1.0, np.nan, 2.0]), None),
        (np.ones((2, 3)), np.ones(2), None),
        (np.ones((2, 3)), np.ones(3), np.array([1.0, -1.0, 0.0])),
        (np.ones((2, 3)), np.ones(3), np.zeros(3)),
    ],
    ids=["untried", "unknown", "shape", "negative", "none"],
)
def test_nonsense_is_refused(loss: np.ndarray, known: np.ndarray, weight: np.ndarray | None) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match="wanted"):
        knowing(loss, known, np.random.default_rng(0), weight=weight)
    with pytest.raises(InputError, match="wanted 0 or more"):
        a_report(np.ones((2, 3)), np.ones(3), -1.0, np.random.default_rng(0))
