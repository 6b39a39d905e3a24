"""Ready-made rules: what they warn of, what they say, and where they say that they cannot see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.pack.ready_rules import accumulation, rise, threshold
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.vocabulary import InputError, Level, Quantity, Window

LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_amount", "mm", low=0, high=500)
STAGES = Limits({Level.BLUE: 2.0, Level.YELLOW: 3.0, Level.ORANGE: 4.0, Level.RED: 5.0}, "m", "flood stages of a test")
BLUE, YELLOW, ORANGE, RED, BLIND, NONE = (
    int(x) for x in (Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED, Level.BLIND, Level.NONE)
)


def window(*rows: list[float], step_s: float = 300.0, sites: tuple[str, ...] = (), quantity: Quantity = LEVEL) -> Window:
    """Rows of values at equal steps, the last one just now; NaN is a reading that no rule may use."""
    value = np.array(rows, float)
    age_s = np.tile(np.arange(value.shape[1])[::-1] * step_s, (len(rows), 1))
    return Window(quantity, sites or tuple(f"gauge-{k + 1}" for k in range(len(rows))), age_s, value, np.isfinite(value))


def judged(rule: Rule, seen: Window, before: list[int] | None = None) -> Verdict:
    return rule.judge(seen, np.array(before or [NONE] * len(seen.sites), np.int8))


@pytest.mark.parametrize(("value", "says"), [(4.0, "has reached"), (4.004, "has reached"), (4.01, "is above")])
def test_two_numbers_that_are_written_alike_are_not_said_to_differ(value: float, says: str) -> None:
    verdict = judged(threshold("river_high", LEVEL, STAGES, max_age_s=1800), window([value]))
    assert verdict.level.tolist() == [ORANGE]
    assert verdict.reason[0] == f"gauge-1: {value:.2f} m {says} the orange limit 4.00 m"


def test_a_threshold_says_what_where_and_for_how_long() -> None:
    rule = threshold("river_high", LEVEL, STAGES, max_age_s=1800, persistence_s=600, min_readings=3)
    verdict = judged(rule, window([1, 1, 1, 1], [1, 1, 1, 1], [4.5, 4.3, 4.2, 4.21]))
    assert verdict.level.tolist() == [NONE, NONE, ORANGE]
    assert verdict.reason[2] == "gauge-3: 4.21 m is above the orange limit 4.00 m for 15 min"
    assert verdict.value[2] == 4.21
    assert verdict.reason[0] == ""


def test_a_short_excursion_does_not_reach_a_level_that_wants_persistence() -> None:
    rule = threshold("river_high", LEVEL, STAGES, max_age_s=1800, persistence_s=600, min_readings=3)
    assert judged(rule, window([1, 1, 1, 9], [1, 9, 1, 1], [1, 1, 9, 9])).level.tolist() == [NONE, NONE, NONE]


def test_hysteresis_keeps_a_warning_until_the_river_is_well_below_for_long_enough() -> None:
    rule = threshold("river_high", LEVEL, STAGES, max_age_s=1800, margin=0.1, clear_s=900)
    kept = judged(rule, window([4.2, 3.95, 3.95, 3.95]), [ORANGE])
    assert kept.level.tolist() == [ORANGE]
    assert kept.reason[0] == (
        "gauge-1: 3.95 m; the orange warning is kept until it is below the orange limit 4.00 m by 0.10 m for 15 min"
    )
    assert judged(rule, window([3.8, 3.8, 3.8, 3.8]), [ORANGE]).level.tolist() == [YELLOW]
    ended = judged(rule, window([1.8, 1.8, 1.8, 1.8]), [ORANGE])
    assert ended.level.tolist() == [NONE]
    assert ended.reason[0] == "gauge-1: 1.80 m is back below all limits for 15 min"


def test_a_site_that_is_silent_or_says_too_little_is_blind_never_none() -> None:
    rule = threshold("river_high", LEVEL, STAGES, max_age_s=600, min_readings=2)
    nan = float("nan")
    verdict = judged(rule, window([1, 1, nan, nan, nan], [nan] * 5, [nan, nan, nan, nan, 1], [1, 1, 1, 1, 1]))
    assert verdict.level.tolist() == [BLIND, BLIND, BLIND, NONE]
    assert verdict.reason[0] == "gauge-1: blind: the last usable reading is 15 min old; wanted one within 10 min"
    assert verdict.reason[1] == "gauge-2: blind: no usable reading at all"
    assert verdict.reason[2] == "gauge-3: blind: 1 usable readings; wanted at least 2"
    assert np.isnan(verdict.value[:3]).all()


def test_limits_may_differ_from_site_to_site_and_a_site_without_limits_is_not_judged() -> None:
    low = Limits({Level.RED: 1.0}, "m", "stage of gauge-1")
    rule = threshold("river_high", LEVEL, {"gauge-1": low, "gauge-2": STAGES}, max_age_s=600)
    verdict = judged(rule, window([2.5], [2.5], [99.0]))
    assert verdict.level.tolist() == [RED, BLUE, NONE]
    assert rule.source == "stage of gauge-1; flood stages of a test"


def test_limits_that_fall_with_the_level_warn_of_low_water() -> None:
    drought = Limits({Level.YELLOW: 1.0, Level.RED: 0.5}, "m", "a test")
    rule = threshold("river_low", LEVEL, drought, max_age_s=600, margin=0.1)
    verdict = judged(rule, window([2.0], [0.9], [0.4]))
    assert verdict.level.tolist() == [NONE, YELLOW, RED]
    assert verdict.reason[1] == "gauge-2: 0.90 m is below the yellow limit 1.00 m"
    assert judged(rule, window([1.05]), [YELLOW]).level.tolist() == [YELLOW]
    assert judged(rule, window([1.2]), [YELLOW]).level.tolist() == [NONE]


def test_one_low_limit_is_low_only_if_the_rule_says_so() -> None:
    frost = Limits({Level.ORANGE: -10.0}, "degC", "a test")
    cold = Quantity("air_temperature", "degC", low=-90, high=60)
    rule = threshold("frost", cold, frost, max_age_s=600, falling=True)
    assert judged(rule, window([-12.0], [5.0], quantity=cold)).level.tolist() == [ORANGE, NONE]


def test_a_fast_rise_is_told_by_its_slope_and_one_spike_is_none() -> None:
    per_h = Limits({Level.YELLOW: 0.5, Level.ORANGE: 1.0, Level.RED: 2.0}, "m/h", "a test")
    rule = rise("river_rising_fast", LEVEL, per_h, over_s=1800, max_age_s=900)
    rising = [1.0 + 0.1 * k for k in range(7)]  # 0.1 m in 5 min = 1.2 m/h
    spike = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0]
    verdict = judged(rule, window(rising, spike, [1.0] * 7))
    assert verdict.level.tolist() == [ORANGE, NONE, NONE]
    assert verdict.reason[0] == "gauge-1: 1.60 m rises 1.20 m/h (7 readings, 30 min), beyond the orange limit 1.00 m/h"
    assert verdict.value[0] == pytest.approx(1.2)


def test_a_fast_fall_is_told_where_the_limits_fall() -> None:
    per_h = Limits({Level.YELLOW: -0.5, Level.RED: -2.0}, "m/h", "a test")
    rule = rise("reservoir_falling_fast", LEVEL, per_h, over_s=1800, max_age_s=900)
    verdict = judged(rule, window([5.0 - 0.1 * k for k in range(7)], [5.0 + 0.5 * k for k in range(7)]))
    assert verdict.level.tolist() == [YELLOW, NONE]
    assert "falls 1.20 m/h" in verdict.reason[0]


def test_a_rise_that_cannot_be_seen_is_blind() -> None:
    per_h = Limits({Level.RED: 2.0}, "m/h", "a test")
    rule = rise("river_rising_fast", LEVEL, per_h, over_s=1800, max_age_s=900, min_readings=5)
    nan = float("nan")
    assert judged(rule, window([1, nan, nan, 1, nan, 1, 1])).level.tolist() == [BLIND]


def test_rain_adds_up_over_each_span_and_the_worst_counts() -> None:
    rule = accumulation(
        "heavy_rain",
        RAIN,
        {
            12: Limits({Level.BLUE: 50.0}, "mm", "a test"),
            6: Limits({Level.YELLOW: 50.0}, "mm", "a test"),
            3: Limits({Level.ORANGE: 50.0, Level.RED: 100.0}, "mm", "a test"),
        },
        interval_s=3600,
        max_age_s=7200,
    )
    slow, quick = [5.0] * 12, [0.0] * 9 + [20.0, 30.0, 5.0]
    verdict = judged(rule, window(slow, quick, [0.0] * 12, step_s=3600.0, quantity=RAIN))
    assert verdict.level.tolist() == [BLUE, ORANGE, NONE]
    assert verdict.reason[0] == "gauge-1: 60.0 mm in 12 h, beyond the blue limit 50.0 mm in 12 h"
    assert verdict.reason[1] == "gauge-2: 55.0 mm in 3 h, beyond the orange limit 50.0 mm in 3 h"


def test_a_gap_makes_a_sum_a_lower_bound_which_may_warn_but_not_reassure() -> None:
    rule = accumulation(
        "heavy_rain", RAIN, {3: Limits({Level.ORANGE: 50.0}, "mm", "a test")}, interval_s=600, max_age_s=1800, min_share=0.8
    )
    nan = float("nan")
    wet = [10.0] * 6 + [nan] * 6 + [1.0] * 6
    dry = [1.0] * 6 + [nan] * 6 + [1.0] * 6
    verdict = judged(rule, window(wet, dry, [1.0] * 18, step_s=600.0, quantity=RAIN))
    assert verdict.level.tolist() == [ORANGE, BLIND, NONE]
    assert verdict.reason[0] == (
        "gauge-1: at least 66.0 mm (a lower bound: 60 min are missing) in 3 h, beyond the orange limit 50.0 mm in 3 h"
    )
    assert verdict.reason[1] == "gauge-2: blind: readings cover less than 80% of the time that is judged"


def test_the_same_rule_judges_ten_sites_and_a_hundred_thousand_alike() -> None:
    rule = threshold("river_high", LEVEL, STAGES, max_age_s=1800, persistence_s=600, min_readings=3)
    rng = np.random.default_rng(5)
    few = rng.uniform(0.0, 6.0, (10, 1)) + rng.normal(0.0, 0.1, (10, 8))
    small = judged(rule, window(*few.tolist()))
    many = Window(
        LEVEL,
        tuple(f"s{k}" for k in range(100_000)),
        np.tile(np.arange(8)[::-1] * 300.0, (100_000, 1)),
        np.tile(few, (10_000, 1)),
        np.ones((100_000, 8), bool),
    )
    large = rule.judge(many, np.zeros(100_000, np.int8))
    assert np.array_equal(large.level.reshape(10_000, 10), np.tile(small.level, (10_000, 1)))
    assert len(set(small.level.tolist())) > 2


@given(st.lists(st.floats(0, 8), min_size=3, max_size=12), st.integers(0, 4))
def test_a_verdict_depends_on_the_window_and_the_level_before_and_on_nothing_else(values: list[float], before: int) -> None:
    rule = threshold("river_high", LEVEL, STAGES, max_age_s=1800, margin=0.1, clear_s=300)
    first = judged(rule, window(values), [before])
    judged(rule, window([9.0] * 12, [0.0] * 12), [RED, NONE])
    again = judged(rule, window(values), [before])
    assert (first.level.tolist(), first.reason) == (again.level.tolist(), again.reason)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"max_age_s": -1.0}, "finite number >= 0"),
        ({"max_age_s": float("nan")}, "finite number >= 0"),
        ({"max_age_s": 60.0, "min_readings": 0}, "at least 1"),
        ({"max_age_s": 60.0, "falling": True}, "two rules"),
    ],
)
def test_a_rule_of_nonsense_is_refused(settings: dict[str, float], wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        threshold("river_high", LEVEL, STAGES, **settings)  # type: ignore[arg-type]


def test_limits_in_another_unit_are_refused() -> None:
    with pytest.raises(InputError, match="wanted 'm/h'"):
        rise("river_rising_fast", LEVEL, STAGES, over_s=1800, max_age_s=900)
    with pytest.raises(InputError, match="at least 4"):
        rise("r", LEVEL, Limits({Level.RED: 1.0}, "m/h", "t"), over_s=1800, max_age_s=900, min_readings=3)


def test_a_rule_is_verified_only_if_all_its_limits_are() -> None:
    checked = Limits({Level.RED: 1.0}, "m", "a document that was read", verified=True)
    assert threshold("a", LEVEL, checked, max_age_s=60).verified
    assert not threshold("b", LEVEL, {"x": checked, "y": STAGES}, max_age_s=60).verified
