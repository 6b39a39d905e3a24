"""Rules on what is unusual: what they warn of, what they say, and where they say that they cannot see."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from test_ready_rules import judged

from tocsin.pack.ready_rules import cusum, ears, ewma, farrington, k_of_n, sta_lta, step_change
from tocsin.pack.rule import Limits, Rule
from tocsin.science.surveillance import NOUFAILY, Farrington
from tocsin.vocabulary import InputError, Level, Quantity, Window

NONE, YELLOW, ORANGE, RED, BLIND = (int(x) for x in (Level.NONE, Level.YELLOW, Level.ORANGE, Level.RED, Level.BLIND))
SHAKING = Quantity("ground_velocity", "mm/s")
PRESSURE = Quantity("water_pressure", "hPa")
CASES = Quantity("cases", "1")
RATIO = Limits({Level.YELLOW: 3.0, Level.RED: 6.0}, "1", "a test")
DAY_S = 86_400.0
nan = float("nan")


def window(value: NDArray[np.float64], step_s: float, quantity: Quantity) -> Window:
    rows, lag = value.shape
    age_s = np.tile(np.arange(lag)[::-1] * step_s, (rows, 1))
    return Window(quantity, tuple(f"site-{row + 1}" for row in range(rows)), age_s, value, np.isfinite(value))


def shaking_rule(**changes: object) -> Rule:
    asked: dict[str, object] = {"step_s": 1.0, "short_s": 5.0, "long_s": 60.0, "max_age_s": 10.0, **changes}
    return sta_lta("shaking", SHAKING, RATIO, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("recursive", [False, True])
def test_shaking_is_told_where_it_shakes_and_an_offset_is_none(recursive: bool) -> None:
    value = np.random.default_rng(1).normal(0.0, 1.0, (3, 80))
    value[1, -5:] *= 15.0
    value[2] += 500.0
    verdict = judged(shaking_rule(recursive=recursive), window(value, 1.0, SHAKING))
    assert verdict.level.tolist() == [NONE, RED, NONE]
    assert verdict.reason[1].startswith("site-2: ")
    assert "STA/LTA (5 s over 60 s) " in verdict.reason[1]
    assert verdict.reason[1].endswith(", beyond the red limit 6.00")


def test_shaking_that_is_over_is_told_for_as_long_as_was_asked() -> None:
    value = np.random.default_rng(1).normal(0.0, 1.0, (1, 140))
    value[0, 100:105] *= 15.0
    assert judged(shaking_rule(), window(value, 1.0, SHAKING)).level.tolist() == [NONE]
    assert judged(shaking_rule(within_s=60.0), window(value, 1.0, SHAKING)).level.tolist() == [RED]


def test_a_broken_record_is_blind() -> None:
    value = np.random.default_rng(1).normal(0.0, 1.0, (2, 80))
    value[0, 40] = nan
    verdict = judged(shaking_rule(), window(value, 1.0, SHAKING))
    assert verdict.level.tolist() == [BLIND, NONE]
    assert verdict.reason[0] == "site-1: blind: no unbroken record of 60 s, a reading every 1 s"


def test_a_shift_of_one_standard_deviation_is_found_by_cusum_and_ewma_but_not_by_a_threshold_of_three() -> None:
    rng = np.random.default_rng(6)
    value = 1013.0 + 2.0 * rng.normal(0.0, 1.0, (3, 40))
    value[1, -25:] += 2.5
    assert np.abs((value[1] - 1013.0) / 2.0).max() < 3.5
    usual = {"site-1": (1013.0, 2.0), "site-2": (1013.0, 2.0)}
    limits = Limits({Level.YELLOW: 5.0, Level.RED: 50.0}, "1", "a test")
    sums = cusum("shift", PRESSURE, limits, usual=usual, over_s=39 * 60.0, max_age_s=120.0)
    assert judged(sums, window(value, 60.0, PRESSURE)).level.tolist() == [NONE, YELLOW, NONE]
    fades = ewma("shift", PRESSURE, Limits({Level.YELLOW: 3.0}, "1", "t"), usual=usual, over_s=39 * 60.0, max_age_s=120.0)
    assert judged(fades, window(value, 60.0, PRESSURE)).level.tolist() == [NONE, YELLOW, NONE]
    low = cusum("fall", PRESSURE, limits, usual=usual, over_s=39 * 60.0, max_age_s=120.0, side="below")
    assert judged(low, window(value, 60.0, PRESSURE)).level.tolist() == [NONE, NONE, NONE]
    assert judged(low, window(2026.0 - value, 60.0, PRESSURE)).level.tolist() == [NONE, YELLOW, NONE]


def test_a_shift_is_lifted_when_the_sum_has_fallen_by_the_margin() -> None:
    usual = {"site-1": (0.0, 1.0)}
    rule = cusum("shift", PRESSURE, Limits({Level.YELLOW: 5.0}, "1", "t"), usual=usual, over_s=600.0, max_age_s=120.0, margin=2.0)
    seen = window(np.array([[2.0, 2.0, 2.0, -0.1]]), 60.0, PRESSURE)  # 1.5 + 1.5 + 1.5 - 0.6
    assert judged(rule, seen).level.tolist() == [NONE]
    kept = judged(rule, seen, [YELLOW])
    assert kept.level.tolist() == [YELLOW]
    assert kept.reason[0] == "site-1: -0.10 hPa, CUSUM over 10 min 3.90; the yellow limit 5.00 by 2.00 is not yet cleared"


def test_ears_finds_a_day_with_too_many_cases_and_is_blind_where_a_day_is_missing() -> None:
    value = np.tile(np.array([[3.0, 4, 5, 4, 3, 4, 5, 4, 3, 4, 5, 4]]), (3, 1))
    value[1, -1], value[2, 4] = 30.0, nan
    limits = Limits({Level.YELLOW: 3.0}, "1", "Hutwagner et al. 2003 (unverified)")
    verdict = judged(ears("more_cases", CASES, limits, max_age_s=2 * DAY_S), window(value, DAY_S, CASES))
    assert verdict.level.tolist() == [NONE, YELLOW, BLIND]
    assert verdict.reason[1].startswith("site-2: 30.00, EARS C2 ")
    assert verdict.reason[2] == "site-3: blind: the counts of the last 12 days are not complete"


def test_farrington_finds_a_week_with_more_cases_than_in_former_years() -> None:
    value = np.random.default_rng(3).poisson(12.0, (2, NOUFAILY.weeks)).astype(np.float64)
    value[:, -1] = 12.0, 45.0
    limits = Limits({Level.YELLOW: 1.0, Level.RED: 3.0}, "1", "a test")
    rule = farrington("outbreak", CASES, limits, max_age_s=2 * 7 * DAY_S)
    verdict = judged(rule, window(value, 7 * DAY_S, CASES))
    assert verdict.level.tolist() == [NONE, RED]
    short = judged(rule, window(value[:, -30:], 7 * DAY_S, CASES))
    assert short.level.tolist() == [BLIND, BLIND]


def test_a_step_in_the_record_is_told_by_its_size_and_chance_makes_none() -> None:
    value = np.random.default_rng(2).normal(10.0, 0.1, (2, 60))
    value[1, 30:] += 1.0
    limits = Limits({Level.YELLOW: 0.5, Level.RED: 2.0}, "hPa", "a test")
    rule = step_change("sensor_stepped", PRESSURE, limits, over_s=3600.0, max_age_s=120.0)
    verdict = judged(rule, window(value, 60.0, PRESSURE))
    assert verdict.level.tolist() == [NONE, YELLOW]
    assert verdict.value[1] == pytest.approx(1.0, abs=0.1)
    fall = step_change("fell", PRESSURE, Limits({Level.YELLOW: -0.5}, "hPa", "t"), over_s=3600.0, max_age_s=120.0, falling=True)
    assert judged(fall, window(20.0 - value, 60.0, PRESSURE)).level.tolist() == [NONE, YELLOW]
    assert judged(rule, window(value[:, -10:], 60.0, PRESSURE)).level.tolist() == [BLIND, BLIND]


USUAL = {"site-1": (0.0, 1.0), "site-2": (0.0, 1.0)}
EVERY = (
    shaking_rule(),
    shaking_rule(recursive=True, within_s=10.0),
    cusum("c", PRESSURE, RATIO, usual=USUAL, over_s=600.0, max_age_s=120.0),
    ewma("e", PRESSURE, RATIO, usual=USUAL, over_s=600.0, max_age_s=120.0),
    ears("d", CASES, RATIO, max_age_s=2 * DAY_S),
    farrington("f", CASES, RATIO, max_age_s=14 * DAY_S, method=Farrington(years=3)),
    step_change("s", PRESSURE, Limits({Level.YELLOW: 0.5}, "hPa", "t"), over_s=1e9, max_age_s=1e9, min_readings=5),
)


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.name)
def test_without_readings_every_detector_is_blind(rule: Rule) -> None:
    for lag in (0, 1, 3):
        seen = window(np.full((2, lag), nan), 60.0, rule.reads)
        assert judged(rule, seen).level.tolist() == [BLIND, BLIND]
    assert judged(rule, window(np.empty((0, 4)), 60.0, rule.reads)).level.tolist() == []


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.name)
def test_what_stands_before_the_readings_that_are_looked_at_changes_nothing(rule: Rule) -> None:
    """The same verdict from a long window and from one that was cut to the rule's own span: so batches and rings do not matter."""
    step_s = {"ground_velocity": 1.0, "water_pressure": 60.0, "cases": DAY_S if rule.name == "d" else 7 * DAY_S}[rule.reads.name]
    value = np.round(np.abs(np.random.default_rng(12).normal(3.0, 2.0, (2, 400))), 1)
    seen = window(value, step_s, rule.reads)
    inside = seen.age_s[0] <= rule.span_s
    cut = Window(rule.reads, seen.sites, seen.age_s[:, inside], seen.value[:, inside], seen.good[:, inside])
    whole, part = judged(rule, seen), judged(rule, cut)
    assert whole.level.tolist() == part.level.tolist()
    assert BLIND not in whole.level.tolist()
    if rule.name != "s":  # this one looks at all that there is
        assert inside.sum() < 400
    assert np.allclose(whole.value, part.value, rtol=1e-9)


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.name)
def test_each_site_is_judged_by_its_own_row(rule: Rule) -> None:
    value = np.abs(np.random.default_rng(13).normal(3.0, 2.0, (2, 300)))
    seen = window(value, DAY_S if rule.name == "d" else 60.0, rule.reads)
    together = judged(rule, seen)
    assert rule.by_site
    for at in range(2):
        one = Window(rule.reads, seen.sites[at : at + 1], *(t[at : at + 1] for t in (seen.age_s, seen.value, seen.good)))
        assert judged(rule, one).level.tolist() == [together.level[at]]


def test_detectors_may_be_counted_over_sites_like_any_other_limit() -> None:
    ratio = Quantity("sta_lta", "1")
    rule = k_of_n("shaking", ratio, RATIO, k=2, groups={"net": ["site-1", "site-2"]}, within_s=30.0, max_age_s=60.0)
    assert judged(rule, window(np.array([[7.0, 1.0], [1.0, 7.0]]), 10.0, ratio)).level.tolist() == [RED, RED]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: shaking_rule(short_s=60.0), "short_s"),
        (lambda: shaking_rule(step_s=0.0), "step_s"),
        (lambda: cusum("c", PRESSURE, RATIO, usual={}, over_s=1.0, max_age_s=1.0), "usual"),
        (lambda: cusum("c", PRESSURE, RATIO, usual={"a": (0.0, 0.0)}, over_s=1.0, max_age_s=1.0), "usual"),
        (lambda: cusum("c", PRESSURE, RATIO, usual=USUAL, over_s=1.0, max_age_s=1.0, side="up"), "side"),
        (lambda: ewma("e", PRESSURE, RATIO, usual=USUAL, over_s=1.0, max_age_s=1.0, side="up"), "side"),
        (lambda: ears("d", CASES, RATIO, max_age_s=1.0, method="c4"), "method"),
        (lambda: step_change("s", PRESSURE, RATIO, over_s=1.0, max_age_s=1.0), "limits in '1'; wanted 'hPa'"),
        (lambda: ears("d", CASES, msgspec.structs.replace(RATIO, unit="d"), max_age_s=1.0), "wanted '1'"),
    ],
)
def test_nonsense_is_refused(make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()  # type: ignore[operator]
