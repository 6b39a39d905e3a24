"""What rules ask of columns, against slow and plain versions and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from tocsin.science import detect

AGES = np.array([[1500.0, 1200.0, 900.0, 600.0, 300.0, 0.0]])
ALL = np.ones((1, 6), bool)
LIMITS = np.array([[1.0, 2.0, 3.0, 4.0]])
NONE = np.zeros(1, np.int8)


def level_of(value: list[float], before: int = 0, **settings: float) -> int:
    given_ = {"persistence_s": 0.0, "min_readings": 1, "margin": 0.0, "clear_s": 0.0} | settings
    level, _, _ = detect.step_levels(np.array([value]), AGES, ALL, LIMITS, np.array([before], np.int8), **given_)  # type: ignore[arg-type]
    return int(level[0])


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=12), st.data())
def test_theil_sen_is_that_of_scipy_on_the_good_readings(values: list[float], data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.integers(1, 900), min_size=len(values), max_size=len(values)))
    good = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    age_s = np.cumsum(gaps)[::-1].astype(float)
    value = np.array(values)
    slope = detect.theil_sen(value[None], age_s[None], good[None])[0]
    if good.sum() < 2:
        assert np.isnan(slope)
    else:
        assert slope == pytest.approx(theilslopes(value[good], -age_s[good])[0], abs=1e-12)


def test_one_spike_does_not_make_a_fast_rise() -> None:
    calm = np.array([[2.0, 2.0, 2.0, 9.0, 2.0, 2.0]])
    assert detect.theil_sen(calm, AGES, ALL)[0] == 0.0


def test_many_sites_are_judged_in_chunks_with_the_same_slopes() -> None:
    rng = np.random.default_rng(3)
    value, age_s = rng.normal(size=(500, 40)), np.tile(np.arange(40.0)[::-1] * 60.0, (500, 1))
    good = rng.random((500, 40)) < 0.8
    at_once = detect.theil_sen(value, age_s, good)
    before, detect.CELLS_AT_ONCE = detect.CELLS_AT_ONCE, 10_000
    try:
        chunked = detect.theil_sen(value, age_s, good)
    finally:
        detect.CELLS_AT_ONCE = before
    assert np.array_equal(at_once, chunked)


def test_a_level_is_reached_when_the_newest_readings_persist_at_its_limit() -> None:
    assert level_of([0, 0, 0, 3.0, 3.0, 3.0], persistence_s=600.0, min_readings=3) == 3
    assert level_of([0, 0, 0, 0.0, 3.0, 3.0], persistence_s=600.0, min_readings=2) == 0
    assert level_of([3, 3, 3, 3.0, 3.0, 0.9], persistence_s=600.0, min_readings=3) == 0


def test_a_rise_through_several_limits_gives_the_level_that_persisted() -> None:
    assert level_of([1.5, 1.5, 2.5, 2.5, 2.5, 4.5], persistence_s=600.0, min_readings=3) == 2


def test_a_level_is_held_until_all_readings_are_below_limit_less_margin_for_long_enough() -> None:
    hold = {"margin": 0.2, "clear_s": 600.0}
    assert level_of([3, 3, 3, 2.7, 2.7, 2.7], before=3, **hold) == 2  # three readings over 600 s below 2.8
    assert level_of([3, 3, 3, 2.9, 2.7, 2.7], before=3, **hold) == 3  # below 2.8 for 300 s only
    assert level_of([3, 3, 3, 2.8, 2.8, 2.8], before=3, **hold) == 3  # at limit less margin is not below it
    assert level_of([3, 3, 3, 2.7, 2.7, 2.7], before=0, **hold) == 2  # nothing to hold


@given(
    st.lists(st.tuples(st.floats(0, 6), st.booleans()), min_size=1, max_size=9),
    st.integers(0, 4),
    st.sampled_from([0.0, 300.0, 900.0]),
    st.sampled_from([0.0, 600.0]),
    st.integers(1, 4),
)
def test_levels_are_those_of_a_plain_loop(
    cells: list[tuple[float, bool]], before: int, persistence_s: float, clear_s: float, least: int
) -> None:
    value = np.array([[v for v, _ in cells]])
    good = np.array([[g for _, g in cells]])
    age_s = np.arange(len(cells))[::-1][None] * 300.0
    readings = [(float(age_s[0, k]), v) for k, (v, g) in enumerate(cells) if g][::-1]  # newest first
    expected = 0
    for step, limit in enumerate(LIMITS[0], start=1):
        over, under = [], []
        for age, v in readings:
            if v < limit:
                break
            over.append(age)
        for age, v in readings:
            if not v < limit - 0.1:
                break
            under.append(age)
        reached = len(over) >= least and max(over, default=0) - min(over, default=0) >= persistence_s
        cleared = bool(under) and max(under) - min(under) >= clear_s
        if reached or (before >= step and not cleared):
            expected = step
    level, _, _ = detect.step_levels(
        value,
        age_s,
        good,
        LIMITS,
        np.array([before], np.int8),
        persistence_s=persistence_s,
        min_readings=least,
        margin=0.1,
        clear_s=clear_s,
    )
    assert level[0] == expected


def test_an_amount_is_added_and_a_rate_is_integrated() -> None:
    ten_minutes = np.array([[3000.0, 2400.0, 1800.0, 1200.0, 600.0, 0.0]])
    six_each = np.full((1, 6), 6.0)
    amount, share = detect.sum_over(six_each, ten_minutes, ALL, span_s=3600.0, interval_s=600.0, is_rate=False)
    rate, _ = detect.sum_over(six_each, ten_minutes, ALL, span_s=3600.0, interval_s=600.0, is_rate=True)
    assert (amount[0], rate[0], share[0]) == (36.0, pytest.approx(6.0), 1.0)


def test_irregular_readings_stand_for_the_time_since_the_one_before() -> None:
    ages = np.array([[2700.0, 1800.0, 600.0, 0.0]])  # after 15, 20 and 10 minutes
    rate, share = detect.sum_over(
        np.array([[4.0, 4.0, 4.0, 4.0]]), ages, ALL[:, :4], span_s=3600.0, interval_s=1200.0, is_rate=True
    )
    assert share[0] == pytest.approx(1.0)
    assert rate[0] == pytest.approx(4.0)


def test_a_gap_leaves_the_sum_a_lower_bound_and_says_how_much_is_covered() -> None:
    good = np.array([[True, True, False, False, True, True]])
    ages = np.array([[3000.0, 2400.0, 1800.0, 1200.0, 600.0, 0.0]])
    total, share = detect.sum_over(np.full((1, 6), 2.0), ages, good, span_s=3600.0, interval_s=600.0, is_rate=False)
    assert (total[0], share[0]) == (8.0, pytest.approx(4 / 6))


def test_no_reading_at_all_has_no_value_no_sum_and_an_endless_age() -> None:
    nothing = np.zeros((1, 6), bool)
    value, age_s = detect.newest(np.ones((1, 6)), AGES, nothing)
    total, share = detect.sum_over(np.ones((1, 6)), AGES, nothing, span_s=3600.0, interval_s=600.0, is_rate=False)
    assert np.isnan(value[0])
    assert age_s[0] == np.inf
    assert np.isnan(total[0])
    assert share[0] == 0.0
