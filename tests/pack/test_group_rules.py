"""Rules on several streams: counting sites, joining rules, and what blindness can and cannot change."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ready_rules import judged

from tocsin.pack.ready_rules import accumulation, compound, k_of_n, threshold
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.vocabulary import InputError, Level, Quantity, Window

LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_amount", "mm", low=0, high=500)
STAGES = Limits({Level.YELLOW: 2.0, Level.ORANGE: 3.0}, "m", "stages of a test", verified=True)
NONE, YELLOW, ORANGE, RED, BLIND = (int(x) for x in (Level.NONE, Level.YELLOW, Level.ORANGE, Level.RED, Level.BLIND))
SITES = ("a", "b", "c", "d")
nan = float("nan")


def window(rows: dict[str, list[float]], quantity: Quantity = LEVEL, step_s: float = 300.0) -> Window:
    value = np.array(list(rows.values()), np.float64)
    age_s = np.tile(np.arange(value.shape[1])[::-1] * step_s, (len(rows), 1))
    return Window(quantity, tuple(rows), age_s, value, np.isfinite(value))


def two_of_three(**settings: object) -> Rule:
    asked: dict[str, object] = {"k": 2, "groups": {"valley": ["a", "b", "c"]}, "within_s": 1800, "max_age_s": 1800, **settings}
    return k_of_n("valley_high", LEVEL, STAGES, **asked)  # type: ignore[arg-type]


def test_one_gauge_warns_nobody_and_two_warn_all_of_the_group() -> None:
    one = judged(two_of_three(), window({"a": [9.0], "b": [1.0], "c": [1.0], "d": [9.0]}))
    assert one.level.tolist() == [NONE] * 4
    two = judged(two_of_three(), window({"a": [9.0], "b": [2.5], "c": [1.0], "d": [9.0]}))
    assert two.level.tolist() == [YELLOW, YELLOW, YELLOW, NONE]
    assert two.value.tolist()[:3] == [2.5] * 3
    assert two.reason[2] == ("c: 1.00 m here; group 'valley': 2 of 3 sites have reached the yellow limit within 30 min (a, b)")


def test_sites_need_not_be_high_at_the_same_moment_but_within_the_time() -> None:
    seen = {"a": [2.5, 1.0, 1.0], "b": [1.0, 1.0, 2.5], "c": [1.0, 1.0, 1.0]}
    assert judged(two_of_three(within_s=600), window(seen)).level.tolist() == [YELLOW] * 3
    assert judged(two_of_three(within_s=300), window(seen)).level.tolist() == [NONE] * 3


def test_a_silent_site_matters_only_where_it_could_decide() -> None:
    could = judged(two_of_three(), window({"a": [2.5], "b": [nan], "c": [1.0]}))
    assert could.level.tolist() == [BLIND] * 3
    assert could.reason[0] == "a: group 'valley': blind: 1 of 3 sites have no usable reading within 30 min; they could decide"
    assert judged(two_of_three(), window({"a": [1.0], "b": [nan], "c": [1.0]})).level.tolist() == [NONE] * 3
    assert judged(two_of_three(), window({"a": [2.5], "b": [nan], "c": [2.5]})).level.tolist() == [YELLOW] * 3


def test_a_site_that_no_one_has_heard_of_yet_is_as_silent_as_one_that_has_stopped() -> None:
    assert judged(two_of_three(), window({"a": [2.5], "b": [1.0]})).level.tolist() == [BLIND, BLIND]


def test_blindness_never_lifts_a_warning_of_a_group() -> None:
    seen = window({"a": [2.5], "b": [3.5], "c": [nan]})
    assert judged(two_of_three(), seen, [ORANGE] * 3).level.tolist() == [BLIND] * 3
    assert judged(two_of_three(), seen, [YELLOW] * 3).level.tolist() == [YELLOW] * 3


def test_the_level_of_a_group_is_held_until_it_is_clear_by_the_margin() -> None:
    seen = window({"a": [2.95], "b": [2.95], "c": [1.0]})
    held = judged(two_of_three(margin=0.1), seen, [ORANGE] * 3)
    assert held.level.tolist() == [ORANGE] * 3
    assert "fewer than 2 of 3 sites have reached the orange limit; it by 0.10 m is not yet cleared" in held.reason[0]
    assert judged(two_of_three(margin=0.1), seen).level.tolist() == [YELLOW] * 3
    ended = judged(two_of_three(margin=0.1), window({"a": [1.0], "b": [1.0], "c": [1.0]}), [YELLOW] * 3)
    assert ended.reason[0] == "a: group 'valley': fewer than 2 of 3 sites above a limit within 30 min"


def test_low_may_be_what_is_counted() -> None:
    low = k_of_n(
        "springs_low",
        LEVEL,
        Limits({Level.YELLOW: 1.0, Level.RED: 0.5}, "m", "a test"),
        k=2,
        groups={"springs": ["a", "b"]},
        within_s=600,
        max_age_s=600,
    )
    told = judged(low, window({"a": [0.4], "b": [0.9]}))
    assert told.level.tolist() == [YELLOW, YELLOW]
    assert told.value.tolist() == [0.9, 0.9]


def oracle_of_k(rows: dict[str, list[float]], k: int, within: int, age: int, before: int, margin: float) -> int:
    """By trying every level that a silent site could have."""
    could: list[list[int]] = []
    for values in rows.values():
        recent = [v for v in values[len(values) - within - 1 :] if not np.isnan(v)]
        heard = [v for v in values[len(values) - age - 1 :] if not np.isnan(v)]
        reached = max(
            (
                step
                for step, limit in ((YELLOW, 2.0), (ORANGE, 3.0))
                if any(v >= limit - margin * (before >= step) for v in recent)
            ),
            default=NONE,
        )
        could.append([reached] if heard else [reached, RED])
    outcomes = {sorted(levels)[-k] for levels in product(*could)}
    least = min(outcomes)
    return least if len(outcomes) == 1 or (least > NONE and least >= before) else BLIND


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from([1.0, 1.95, 2.5, 2.95, 4.0, nan]), min_size=4, max_size=4), min_size=3, max_size=3),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([NONE, YELLOW, ORANGE]),
)
def test_counting_sites_is_what_trying_everything_that_the_silent_could_say_gives(
    values: list[list[float]], k: int, within: int, age: int, before: int
) -> None:
    rows = dict(zip("abc", values, strict=True))
    rule = two_of_three(k=k, within_s=300.0 * within, max_age_s=300.0 * age, margin=0.1)
    told = judged(rule, window(rows), [before] * 3)
    assert told.level.tolist() == [oracle_of_k(rows, k, within, age, before, 0.1)] * 3


HIGH = threshold("high", LEVEL, STAGES, max_age_s=900)
WET = accumulation("wet", RAIN, {1: Limits({Level.YELLOW: 10.0, Level.RED: 40.0}, "mm", "a test")}, interval_s=300, max_age_s=900)


def together(rule: Rule, level: dict[str, list[float]], rain: dict[str, list[float]], before: list[int] | None = None) -> Verdict:
    assert rule.judge_all is not None
    had = np.array(before or [NONE] * len(level), np.int8)
    return rule.judge_all({LEVEL.name: window(level), RAIN.name: window(rain, RAIN)}, had)


def test_all_of_two_rules_warn_at_the_lower_of_their_levels_and_any_at_the_higher() -> None:
    level, rain = {"a": [3.5], "b": [3.5], "c": [1.0]}, {"a": [50.0], "b": [0.0], "c": [50.0]}
    full = {site: [0.0] * 11 + values for site, values in rain.items()}
    both, either = compound("both", [HIGH, WET]), compound("either", [HIGH, WET], how="any")
    assert together(both, level, full).level.tolist() == [ORANGE, NONE, NONE]
    assert together(either, level, full).level.tolist() == [RED, ORANGE, RED]
    assert together(both, level, full).reason[0] == (
        "a: high: orange (a: 3.50 m is above the orange limit 3.00 m); wet: red (a: 50.0 mm in 1 h, beyond the red limit 40.0 mm in 1 h)"
    )


def test_a_blind_rule_is_outvoted_by_one_that_forbids_and_decides_nothing_alone() -> None:
    level, rain = {"a": [1.0], "b": [3.5]}, {"a": [nan], "b": [nan]}
    both, either = compound("both", [HIGH, WET]), compound("either", [HIGH, WET], how="any")
    assert together(both, level, rain).level.tolist() == [NONE, BLIND]
    assert together(either, level, rain).level.tolist() == [BLIND, ORANGE]
    assert together(either, level, rain, [NONE, RED]).level.tolist() == [BLIND, BLIND]
    assert "wet: blind (b: blind: no usable reading at all)" in together(both, level, rain).reason[1]


def test_a_rule_that_no_one_measures_for_is_blind() -> None:
    both = compound("both", [HIGH, WET])
    assert together(both, {"a": [3.5]}, {"z": [1.0]}).level.tolist() == [BLIND]
    assert judged(both, window({"a": [3.5], "b": [1.0]})).level.tolist() == [BLIND, NONE]


def test_rules_meet_in_groups_of_sites() -> None:
    groups = {"upper": ["a", "b", "rain-1"], "lower": ["c", "rain-2"]}
    both = compound("both", [HIGH, WET], groups=groups)
    rain = {"rain-1": [0.0] * 11 + [50.0], "rain-2": [0.0] * 12}
    told = together(both, {"a": [3.5], "b": [1.0], "c": [3.5], "d": [3.5]}, rain)
    assert told.level.tolist() == [ORANGE, ORANGE, NONE, NONE]


def test_a_compound_holds_each_rules_hysteresis_by_its_own_level() -> None:
    slow = threshold("high", LEVEL, STAGES, max_age_s=900, margin=0.2)
    other = threshold("higher", LEVEL, Limits({Level.YELLOW: 1.0}, "m", "a test"), max_age_s=900)
    both = compound("both", [slow, other])
    assert not both.also
    assert both.by_site
    assert judged(both, window({"a": [1.9]}), [YELLOW]).level.tolist() == [YELLOW]
    assert judged(both, window({"a": [1.9]})).level.tolist() == [NONE]
    assert judged(both, window({"a": [1.7]}), [YELLOW]).level.tolist() == [NONE]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 2.5, 3.5, nan]), min_size=3, max_size=3),
    st.lists(st.sampled_from([0.0, 20.0, 50.0, nan]), min_size=3, max_size=3),
    st.sampled_from(["all", "any"]),
    st.sampled_from([NONE, YELLOW, ORANGE, RED]),
)
def test_joining_rules_is_what_trying_everything_that_the_blind_could_say_gives(
    level: list[float], rain: list[float], how: str, before: int
) -> None:
    joined = compound(
        "joined",
        [HIGH, threshold("rain", RAIN, Limits({Level.YELLOW: 10.0, Level.RED: 40.0}, "mm", "t"), max_age_s=900)],
        how=how,
    )
    told = together(
        joined,
        {s: [v] for s, v in zip("abc", level, strict=True)},
        {s: [v] for s, v in zip("abc", rain, strict=True)},
        [before] * 3,
    )
    everything = [NONE, YELLOW, ORANGE, RED]
    for at in range(3):
        # with no margin and no time to clear, hysteresis changes nothing
        a = everything if np.isnan(level[at]) else [{1.0: NONE, 2.5: YELLOW, 3.5: ORANGE}[level[at]]]
        b = everything if np.isnan(rain[at]) else [{0.0: NONE, 20.0: YELLOW, 50.0: RED}[rain[at]]]
        outcomes = {(min if how == "all" else max)(x, y) for x in a for y in b}
        least = min(outcomes)
        wanted = least if len(outcomes) == 1 or (least > NONE and least >= before) else BLIND
        assert told.level[at] == wanted


def test_only_what_all_its_rules_may_tell_the_public_a_compound_may() -> None:
    assert compound("two", [HIGH, threshold("again", LEVEL, STAGES, max_age_s=60)]).verified
    assert not compound("two", [HIGH, WET]).verified


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: two_of_three(k=4), "k = 4; wanted 1 to 3"),
        (lambda: two_of_three(k=0), "k = 0"),
        (lambda: two_of_three(groups={}), "one or more sites in each"),
        (lambda: two_of_three(groups={"x": ["a", "b"], "y": ["b", "c"]}), "each site in one group"),
        (lambda: two_of_three(within_s=-1.0), "within_s = -1"),
        (lambda: compound("one", [HIGH]), "two or more"),
        (lambda: compound("two", [HIGH, WET], how="most"), "'all' or 'any'"),
        (lambda: compound("deep", [compound("two", [HIGH, WET]), WET]), "made of others"),
        (lambda: Rule("half", LEVEL, 1.0, HIGH.judge, "m", "s", False, also=(RAIN,)), "wanted both or none"),
    ],
)
def test_nonsense_is_refused(make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()  # type: ignore[operator]
