"""Triggers, against obspy, against run lengths by Markov chains, and against a published change of a river."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from tocsin.science import trigger
from tocsin.vocabulary import InputError

NILE = np.array(json.loads((Path(__file__).parent / "reference" / "surveillance.json").read_text())["nile"], np.float64)


def shaking(seed: int, size: int = 2000) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    value = rng.normal(0.0, 1.0, size)
    value[size * 3 // 5 :][:300] += 12.0 * np.exp(-np.arange(300) / 80.0) * np.sin(np.arange(300) / 3.0)
    return value


@pytest.mark.parametrize("seed", range(3))
def test_sta_lta_is_that_of_obspy(seed: int) -> None:
    oracle = pytest.importorskip("obspy.signal.trigger")
    value = shaking(seed)
    theirs = oracle.classic_sta_lta(value, 40, 400)
    ours = trigger.sta_lta(value[None], short=40, long=400)[0]
    assert np.allclose(ours[399:], theirs[399:], rtol=1e-9)
    assert np.isnan(ours[:399]).all()
    assert int(np.argmax(ours > 5.0)) in range(1200, 1260)


@pytest.mark.parametrize("seed", range(3))
def test_recursive_sta_lta_is_that_of_obspy(seed: int) -> None:
    oracle = pytest.importorskip("obspy.signal.trigger")
    value = shaking(seed)
    theirs = oracle.recursive_sta_lta(value, 40, 400)
    ours = trigger.recursive_sta_lta(value[None], short=40, long=400)[0]
    assert np.allclose(ours[400:], theirs[400:], rtol=1e-9)
    assert np.isnan(ours[:400]).all()


def test_a_hole_in_the_signal_gives_no_ratio_while_it_is_in_the_window() -> None:
    value = shaking(1, 800)
    value[300] = np.nan
    ratio = trigger.sta_lta(value[None], short=10, long=100)[0]
    assert np.flatnonzero(np.isnan(ratio)).tolist() == [*range(99), *range(300, 400)]


def test_silence_is_no_shaking() -> None:
    assert trigger.sta_lta(np.zeros((1, 10)), short=2, long=5)[0, 4:].tolist() == [0.0] * 6
    with pytest.raises(InputError, match="short < long"):
        trigger.sta_lta(np.zeros((1, 10)), short=5, long=5)


def one_sided_run_length(limit: float, drift: float, states: int = 400) -> float:
    """The mean run length of a one-sided CUSUM by a Markov chain: Brook and Evans 1972, Biometrika 59, 539-549."""
    width = 2.0 * limit / (2 * states - 1)
    at = np.arange(states) * width
    reach = at[None, :] - at[:, None]
    go = stats.norm.cdf(reach + width / 2 - drift) - stats.norm.cdf(reach - width / 2 - drift)
    go[:, 0] = stats.norm.cdf(-at + width / 2 - drift)
    return float(np.linalg.solve(np.eye(states) - go, np.ones(states))[0])


@pytest.mark.parametrize(
    ("limit", "shift", "published"),
    [
        (4.0, 0.0, 168.0),
        (4.0, 1.0, 8.38),
        (4.0, 2.0, 3.34),
        (5.0, 0.0, 465.0),
        (5.0, 0.5, 38.0),
        (5.0, 1.0, 10.4),
        (5.0, 2.0, 4.01),
    ],
)
def test_the_run_lengths_of_cusum_are_those_of_the_textbook_and_of_a_markov_chain(
    limit: float, shift: float, published: float
) -> None:
    """Montgomery, Introduction to Statistical Quality Control, table of ARLs for k = 1/2, h = 4 and 5; printed with 3 digits."""
    chain = 1.0 / (1.0 / one_sided_run_length(limit, shift - 0.5) + 1.0 / one_sided_run_length(limit, -shift - 0.5))
    assert chain == pytest.approx(published, rel=5e-3)
    assert trigger.cusum_run_length(limit, shift=shift) == pytest.approx(published, rel=0.06)  # Siegmund's formula is near


@pytest.mark.parametrize(("shift", "published", "size"), [(0.0, 168.0, 1600), (1.0, 8.38, 80)])
def test_cusum_warns_as_often_as_the_textbook_says(shift: float, published: float, size: int) -> None:
    draws = np.random.default_rng(2).normal(shift, 1.0, (4000, size))
    high, low = trigger.cusum(draws, target=0.0, sd=1.0, slack=0.5)
    out = np.maximum(high, low) > 4.0
    length = np.where(out.any(axis=1), np.argmax(out, axis=1) + 1, size)
    error = length.std() / np.sqrt(len(length))
    assert abs(length.mean() - published) < 4.0 * error + 0.005 * published
    assert error < 0.03 * published


def ewma_run_length(weight: float, limit: float, shift: float, states: int = 201) -> float:
    """The mean run length of a two-sided EWMA with settled limits by a Markov chain: Lucas and Saccucci 1990, Technometrics 32, 1-12."""
    edge = limit * np.sqrt(weight / (2.0 - weight))
    width = 2.0 * edge / states
    at = -edge + width * (np.arange(states) + 0.5)
    centre = (at[None, :] - (1.0 - weight) * at[:, None]) / weight
    half = width / 2.0 / weight
    go = stats.norm.cdf(centre + half - shift) - stats.norm.cdf(centre - half - shift)
    return float(np.linalg.solve(np.eye(states) - go, np.ones(states))[states // 2])


@pytest.mark.parametrize(("shift", "size"), [(0.5, 400), (1.0, 120)])
def test_ewma_warns_as_often_as_a_markov_chain_says(shift: float, size: int) -> None:
    draws = np.random.default_rng(4).normal(shift, 1.0, (4000, size))
    out = np.abs(trigger.ewma(draws, target=0.0, sd=1.0, weight=0.1, settled=True)) > 2.814
    length = np.where(out.any(axis=1), np.argmax(out, axis=1) + 1, size)
    assert abs(length.mean() - ewma_run_length(0.1, 2.814, shift)) < 4.0 * length.std() / np.sqrt(len(length))


def test_the_run_length_of_ewma_is_that_of_lucas_and_saccucci() -> None:
    """0.10 and 2.814 give 500 readings between false alarms, and 10.3 to find one standard deviation."""
    assert ewma_run_length(0.1, 2.814, 0.0) == pytest.approx(500.0, rel=0.01)
    assert ewma_run_length(0.1, 2.814, 1.0) == pytest.approx(10.3, rel=0.01)


def test_the_exact_variance_makes_the_ewma_of_pure_chance_a_standard_normal_from_the_first_reading_on() -> None:
    draws = np.random.default_rng(9).normal(5.0, 2.0, (20_000, 12))
    spread = trigger.ewma(draws, target=5.0, sd=2.0, weight=0.2).std(axis=0)
    assert np.allclose(spread, 1.0, atol=4.0 / np.sqrt(2 * 20_000))


def test_a_missing_reading_changes_neither_cusum_nor_ewma() -> None:
    value = np.array([[1.0, 2.0, 3.0]])
    holes = np.array([[1.0, np.nan, 2.0, np.nan, np.nan, 3.0]])
    for method in (lambda v: trigger.cusum(v, target=0.0, sd=1.0)[0], lambda v: trigger.ewma(v, target=0.0, sd=1.0)):
        assert method(holes)[0, [0, 2, 5]].tolist() == method(value)[0].tolist()
        assert method(holes)[0, 1] == method(holes)[0, 0]


def test_the_nile_changed_after_1898() -> None:
    """Cobb 1978, Biometrika 65: the flow at Aswan fell after 1898, the 28th year of the record, from about 1100 to 850 (1e8 m3)."""
    change = trigger.pettitt(NILE[None])
    assert 1871 + int(change.before[0]) == 1898
    assert change.p_value[0] < 1e-6
    assert change.step[0] == pytest.approx(-250.0, abs=50.0)


@given(st.lists(st.integers(0, 9), min_size=5, max_size=40))
def test_pettitts_statistic_is_the_largest_of_all_rank_sums(values: list[int]) -> None:
    value = np.array(values, np.float64)
    n = value.size
    apart = [
        abs(2.0 * stats.mannwhitneyu(value[:k], value[k:], method="asymptotic").statistic - k * (n - k)) for k in range(1, n)
    ]
    wanted = min(1.0, 2.0 * np.exp(-6.0 * max(apart) ** 2 / (n**3 + n**2)))
    change = trigger.pettitt(value[None])
    assert change.p_value[0] == pytest.approx(wanted, rel=1e-9)
    assert max(apart) == 0 or apart[int(change.before[0])] == max(apart)


def test_a_hole_in_the_record_takes_no_part_in_the_change() -> None:
    holes = np.insert(NILE, [10, 50], np.nan)
    assert trigger.pettitt(holes[None]).p_value[0] == trigger.pettitt(NILE[None]).p_value[0]
    assert trigger.pettitt(np.array([[1.0, 2.0, 9.0]])).p_value[0] == 1.0


def test_a_reading_goes_to_the_step_it_is_nearest_to_and_the_newest_of_several_counts() -> None:
    age = np.array([[130.0, 70.0, 55.0, 5.0], [np.inf, np.inf, np.inf, np.inf]])
    value = np.array([[1.0, 2.0, 3.0, 4.0], [np.nan] * 4])
    grid = trigger.on_grid(value, age, np.isfinite(value), step_s=60.0, count=4)
    assert np.nan_to_num(grid, nan=-1.0).tolist() == [[-1.0, 1.0, 3.0, 4.0], [-1.0] * 4]
