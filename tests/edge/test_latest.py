"""The latest readings and their flags do not depend on how the readings came."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import numpy as np
import pytest
from edge_host import START
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.edge import Check, Latest, changed, qartod_water_level
from tocsin.edge.check import Location, code_of
from tocsin.edge.check import Test as QartodTest
from tocsin.edge.latest import FLAGS, microseconds
from tocsin.edge.ring import COUNTED, NEVER
from tocsin.pack.ready_rules import compound, cusum, ewma, k_of_n, rise, sta_lta, step_change, threshold
from tocsin.pack.rule import Limits
from tocsin.science.quality import Climate
from tocsin.vocabulary import Flag, InputError, Level, NotFound, Observations, Quantity

LEVEL = Quantity("river_level", "m", low=-5, high=60)
SITES = ("weir", "quay")
T0_US = microseconds(START)
STEP_US = 300_000_000
NOW = START + timedelta(hours=2)
CHECK = Check(
    quantity=LEVEL,
    interval_s=300.0,
    source="a test",
    sensor_span=(-1.0, 10.0),
    usual_span=(0.0, 6.0),
    spike_suspect=0.2,
    spike_fail=0.5,
    rate_suspect_per_h=3.0,
    flat_tolerance=0.001,
    flat_suspect_s=1200.0,
    flat_fail_s=2400.0,
    gap_s=1800.0,
)
RULES = (
    threshold(
        "high",
        LEVEL,
        Limits({Level.BLUE: 1.0, Level.YELLOW: 2.0, Level.ORANGE: 3.0, Level.RED: 4.0}, "m", "a test"),
        max_age_s=1800,
        persistence_s=600,
        min_readings=3,
    ),
    rise("fast", LEVEL, Limits({Level.YELLOW: 0.5, Level.RED: 2.0}, "m/h", "a test"), over_s=1800, max_age_s=1800),
    k_of_n(
        "both_high",
        LEVEL,
        Limits({Level.YELLOW: 2.0, Level.RED: 4.0}, "m", "a test"),
        k=2,
        groups={"river": list(SITES)},
        within_s=3600,
        max_age_s=3600,
    ),
)
STATISTIC = Limits({Level.YELLOW: 2.0, Level.RED: 5.0}, "1", "a test")
USUAL = {"weir": (1.0, 0.5), "quay": (1.5, 1.0)}
RULES += (
    cusum("shifted", LEVEL, STATISTIC, usual=USUAL, over_s=3600, max_age_s=3600),
    ewma("drifted", LEVEL, STATISTIC, usual=USUAL, over_s=3600, max_age_s=3600),
    sta_lta("shaking", LEVEL, STATISTIC, step_s=300, short_s=600, long_s=1500, max_age_s=3600, within_s=1200),
    step_change(
        "stepped", LEVEL, Limits({Level.YELLOW: 1.0}, "m", "a test"), over_s=7200, max_age_s=3600, min_readings=6, p_most=0.5
    ),
)
RULES += (compound("high_and_fast", RULES[:2]), compound("high_or_fast", RULES[:2], how="any"))


def batch(site: list[int], step: list[int], value: list[float]) -> Observations:
    return Observations.of(
        LEVEL,
        SITES,
        site,
        T0_US + np.array(step, np.int64) * STEP_US,
        value,
        arrived_us=microseconds(NOW) + np.zeros(len(step), np.int64),
    )


def one(*values: float, site: int = 0, start: int = 0) -> Observations:
    return batch([site] * len(values), list(range(start, start + len(values))), list(values))


@st.composite
def readings(draw: st.DrawFn) -> list[tuple[int, int, float]]:
    """Readings of two sites, each moment once, with stuck stretches, spikes and missing values."""
    told = []
    for site in (0, 1):
        steps = draw(st.lists(st.integers(0, 23), unique=True, min_size=1, max_size=20))
        for step in steps:
            value = draw(st.sampled_from([1.0, 1.0, 1.0, 1.1, 2.5, 2.6, 4.4, 9.0, 99.0, float("nan")]))
            told.append((site, step, value))
    return told


def verdicts(latest: Latest) -> list[tuple[list[int], tuple[str, ...], list[float]]]:
    told = []
    for rule in RULES:
        verdict = rule.judge(latest.window(LEVEL, rule.span_s, NOW), np.zeros(2, np.int8))
        told.append((verdict.level.tolist(), verdict.reason, np.nan_to_num(verdict.value, nan=-1.0).tolist()))
    return told


def flags(latest: Latest) -> list[list[int]]:
    return [latest.series(LEVEL, site, 48.0, NOW).flag.tolist() for site in SITES]


def fresh() -> Latest:
    latest = Latest([CHECK], depth=40)
    latest.expect(LEVEL, SITES)
    return latest


def arrange(told: list[tuple[int, int, float]]) -> Observations:
    return batch([s for s, _, _ in told], [t for _, t, _ in told], [v for _, _, v in told])


@settings(max_examples=150, deadline=None)
@given(readings(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_any_batches_and_any_repeats_give_the_same_flags_and_verdicts(
    told: list[tuple[int, int, float]], chance: object, pieces: int
) -> None:
    in_order, mixed = fresh(), fresh()
    in_order.take(arrange(sorted(told)))
    again = told + told[: len(told) // 2]
    chance.shuffle(again)  # type: ignore[attr-defined]
    size = max(1, len(again) // pieces)
    for begin in range(0, len(again), size):
        mixed.take(arrange(again[begin : begin + size]))
    assert flags(mixed) == flags(in_order)
    assert verdicts(mixed) == verdicts(in_order)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([1.0, 1.0, 1.0, 1.3, 2.5, 99.0, float("nan")]), min_size=30, max_size=120), st.integers(1, 40))
def test_batch_by_batch_is_one_by_one_even_when_the_ring_forgets(values: list[float], size: int) -> None:
    single, several = Latest([CHECK], depth=20), Latest([CHECK], depth=20)
    late_now = START + timedelta(days=1)
    told = Observations.of(LEVEL, SITES[:1], [0] * len(values), T0_US + np.arange(len(values)) * STEP_US, values)
    for begin in range(0, len(values), size):
        several.take(cut(told, begin, begin + size))
    for begin in range(len(values)):
        single.take(cut(told, begin, begin + 1))
    a, b = (latest.series(LEVEL, "weir", 48.0, late_now) for latest in (single, several))
    assert np.array_equal(a.time_us, b.time_us)
    assert a.flag.tolist() == b.flag.tolist()


def cut(told: Observations, begin: int, end: int) -> Observations:
    span = slice(begin, end)
    return Observations.of(
        told.quantity, told.sites, told.site[span], told.time_us[span], told.value[span], arrived_us=told.arrived_us[span]
    )


BUOY = changed(
    CHECK,
    climates=(Climate(first=1, last=12, usual=(0.5, 4.0), possible=(-0.5, 8.0), depth_m=(0.0, 10.0)),),
    depth_m={"weir": 5.0},
    attenuated_suspect=0.05,
    attenuated_fail=0.01,
    attenuated_s=1500.0,
    attenuated_least=4,
    attenuated_method="std",
    neighbours={"weir": ("quay",), "quay": ("weir",)},
    neighbour_suspect=1.0,
    neighbour_fail=5.0,
    neighbour_least=1,
    neighbour_apart_s=400.0,
    location=Location(box=(-52.0, -31.0, -51.0, -29.0), moved_m=500.0, apart_s=900.0),
)
LON, LAT = Quantity("longitude", "deg"), Quantity("latitude", "deg")


@settings(max_examples=100, deadline=None)
@given(
    readings(),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 23), st.sampled_from([-51.5, -51.501, -51.6, 9.0])), max_size=20),
    st.randoms(use_true_random=False),
    st.integers(1, 6),
)
def test_the_tests_that_ask_other_streams_and_the_calendar_do_not_depend_on_order_or_batches_either(
    told: list[tuple[int, int, float]], places: list[tuple[int, int, float]], chance: object, pieces: int
) -> None:
    places = list({(site, step): (site, step, lon) for site, step, lon in places}.values())
    parts = [(LEVEL, one) for one in told] + [(LON, one) for one in places] + [(LAT, (s, t, -30.0)) for s, t, _ in places]

    def flagged(order: list[tuple[Quantity, tuple[int, int, float]]], size: int) -> list[list[int]]:
        latest = Latest([BUOY], depth=40)
        latest.expect(LEVEL, SITES)
        for begin in range(0, len(order), size):
            for quantity in (LEVEL, LON, LAT):
                some = [one for which, one in order[begin : begin + size] if which is quantity]
                if some:
                    latest.take(msgspec.structs.replace(arrange(some), quantity=quantity))
        return flags(latest)

    mixed = list(parts)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert flagged(mixed, max(1, len(mixed) // pieces)) == flagged(parts, len(parts))


def test_a_value_that_is_unusual_at_its_depth_in_this_season_is_suspect_and_the_status_says_so() -> None:
    latest = Latest([msgspec.structs.replace(CHECK, climates=BUOY.climates, depth_m={"weir": 5.0})])
    latest.take(batch([0, 1], [0, 0], [4.5, 4.5]))
    assert [latest.status(LEVEL, site, NOW).flag for site in SITES] == [Flag.SUSPECT, Flag.GOOD]
    assert latest.status(LEVEL, "weir", NOW).reason == "climatology"


def test_a_signal_that_only_breathes_is_attenuated() -> None:
    latest = Latest([changed(CHECK, flat_suspect_s=None, attenuated_suspect=0.05, attenuated_fail=0.01, attenuated_s=1500.0)])
    latest.take(one(1.0, 1.3, 1.0, 1.3, 1.0, *[1.002, 1.001] * 5))
    assert latest.status(LEVEL, "weir", NOW).flag == Flag.FAIL
    assert latest.status(LEVEL, "weir", NOW).reason == "attenuated signal"


def test_a_reading_far_from_its_neighbours_is_suspect_once_they_have_spoken_and_datums_are_taken_off() -> None:
    asks = changed(
        CHECK, neighbours={"weir": ("quay",)}, neighbour_suspect=0.2, neighbour_least=1, neighbour_offset={"weir": 3.0}
    )
    latest = Latest([asks])
    latest.take(one(4.0, 4.1, 4.3))
    assert flags_of_one(latest) == [Flag.GOOD] * 3
    told = latest.take(one(1.0, 1.1, 1.05, site=1)).observations
    assert set(told.flag.tolist()) == {Flag.GOOD}  # what goes to disk says nothing of neighbours: they may speak later
    assert flags_of_one(latest) == [Flag.GOOD, Flag.GOOD, Flag.SUSPECT]
    assert latest.status(LEVEL, "weir", NOW).reason == "neighbour"
    assert code_of(latest.streams(LEVEL).packed, QartodTest.NEIGHBOUR)[0, -3:].tolist() == [1, 1, 2]


def test_readings_of_a_buoy_that_has_drifted_out_of_its_box_fail_and_no_rule_sees_them() -> None:
    latest = Latest([changed(CHECK, location=Location(box=(-52.0, -31.0, -51.0, -29.0), apart_s=400.0))])
    latest.take(one(1.0, 1.1, 1.2))
    for quantity, values in ((LON, (-51.5, -51.5, -50.0)), (LAT, (-30.0, -30.0, -30.0))):
        latest.take(msgspec.structs.replace(one(*values), quantity=quantity))
    assert flags_of_one(latest) == [Flag.GOOD, Flag.GOOD, Flag.FAIL]
    assert latest.status(LEVEL, "weir", NOW).reason == "location"
    assert latest.window(LEVEL, 7200.0, NOW).good[0].tolist() == [True, True, False]


def flags_of_one(latest: Latest) -> list[int]:
    return latest.series(LEVEL, "weir", 48.0, NOW).flag.tolist()


def test_the_status_of_streams_counts_what_came_and_what_became_of_it() -> None:
    latest = fresh()
    latest.take(came([0, 1, 2, 3], [1.0, 1.1, 1.2, 99.0], [STEP_US // 2] * 4))
    latest.take(came([3, 3, 2], [99.0, 5.0, 1.2], [STEP_US] * 3))  # known, a second number, known
    latest.take(came([5, 4], [1.1, 1.0], [STEP_US, STEP_US]))
    latest.take(came([40], [1.0], [-10 * STEP_US]))  # of the future
    (status,) = latest.stream_status(NOW)
    assert status.sites == SITES
    assert status.quantity == LEVEL
    counts = {name: getattr(status, name).tolist() for name in COUNTED}
    assert counts == {
        "came": [10, 0],
        "stored": [8, 0],
        "duplicates": [2, 0],
        "contradictions": [1, 0],
        "late": [0, 0],
        "future": [1, 0],
        "out_of_order": [2, 0],
    }
    assert status.last_seen_us.tolist() == [T0_US + 5 * STEP_US, NEVER]
    assert status.age_s.tolist() == [7200.0 - 5 * 300.0, np.inf]
    assert status.per_h[0] == pytest.approx(12.0)
    assert np.isnan(status.per_h[1])
    assert (status.lag_s[0], status.lag_least_s[0], status.lag_spread_s[0]) == (150.0, 150.0, 150.0)
    share = dict(zip(FLAGS, status.share[:, 0].tolist(), strict=True))
    assert share[Flag.FAIL] == pytest.approx(1 / 6)
    assert sum(share.values()) == pytest.approx(1.0)
    assert not status.came.flags.writeable


def came(step: list[int], value: list[float], lag_us: list[int]) -> Observations:
    time_us = T0_US + np.array(step, np.int64) * STEP_US
    return Observations.of(LEVEL, SITES, [0] * len(step), time_us, value, arrived_us=time_us + np.array(lag_us))


def test_a_clock_that_is_ahead_shows_as_a_lag_below_zero_and_a_late_reading_is_counted() -> None:
    latest = Latest([CHECK], depth=5)
    latest.take(came(list(range(100, 160)), [1.0 + 0.1 * (k % 2) for k in range(60)], [-20_000_000] * 60))
    latest.take(came([1], [1.0], [0]))
    (status,) = latest.stream_status(START + timedelta(hours=14))
    assert (status.lag_least_s[0], status.lag_spread_s[0]) == (-20.0, 0.0)
    assert (status.late.tolist(), status.out_of_order.tolist()) == ([1, 0], [1, 0])


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=1, max_size=30), st.integers(1, 30))
def test_a_reading_is_out_of_order_if_a_newer_one_of_its_stream_came_before(told: list[tuple[int, int]], size: int) -> None:
    latest, wanted, newest = Latest(depth=60), [0, 0], [-1, -1]
    for site, step in told:
        wanted[site] += step < newest[site]
        newest[site] = max(newest[site], step)
    for begin in range(0, len(told), size):
        some = told[begin : begin + size]
        latest.take(batch([s for s, _ in some], [t for _, t in some], [1.0] * len(some)))
    (status,) = latest.stream_status(NOW)
    counted = dict(zip(status.sites, status.out_of_order.tolist(), strict=True))
    assert [counted[site] for site in SITES] == wanted


def test_the_worst_flag_wins_and_the_status_says_which_test_and_why() -> None:
    latest = fresh()
    latest.take(one(1.0, 1.1, 1.2, 99.0))
    status = latest.status(LEVEL, "weir", NOW)
    assert (status.value, status.flag, status.reason) == (99.0, Flag.FAIL, "gross range")
    assert status.age_s == 2 * 3600.0 - 3 * 300.0
    assert flags(latest)[0] == [Flag.GOOD, Flag.GOOD, Flag.GOOD, Flag.FAIL]


def test_a_value_that_cannot_be_does_not_blame_its_neighbours() -> None:
    latest = fresh()
    latest.take(one(1.0, 1.1, -999.0, 1.1, 1.0))
    assert flags(latest)[0] == [Flag.GOOD, Flag.GOOD, Flag.FAIL, Flag.GOOD, Flag.GOOD]


def test_a_spike_is_flagged_when_the_next_reading_comes() -> None:
    latest = fresh()
    latest.take(one(1.0, 1.1, 1.0, 2.0))
    assert flags(latest)[0][-1] == Flag.SUSPECT  # fast, and nothing more is known yet
    latest.take(one(1.1, start=4))
    assert flags(latest)[0][3] == Flag.FAIL


def test_a_missing_value_is_flag_nine_and_a_number_that_comes_later_replaces_it() -> None:
    latest = fresh()
    latest.take(one(1.0, float("nan"), 1.1))
    assert flags(latest)[0] == [1, 9, 1]
    checked = latest.take(one(1.05, start=1))
    assert checked.duplicates == 0
    assert flags(latest)[0] == [1, 1, 1]
    assert latest.take(one(float("nan"), start=1)).duplicates == 1


def test_a_repeat_is_dropped_and_a_contradiction_is_stored_as_failed() -> None:
    latest = fresh()
    latest.take(one(1.0, 1.1))
    assert latest.take(one(1.0, 1.1)).duplicates == 2
    second = latest.take(one(3.0, start=1))
    assert second.observations.flag.tolist() == [Flag.FAIL]
    assert latest.series(LEVEL, "weir", 48.0, NOW).value.tolist() == [1.0, 1.1]


def test_a_reading_from_the_future_is_stored_as_failed_and_hides_nothing() -> None:
    latest = fresh()
    latest.take(one(1.0, 1.1))
    ahead = Observations.of(LEVEL, SITES, [0], [T0_US + 10 * STEP_US], [9.0], arrived_us=[T0_US + 2 * STEP_US])
    checked = latest.take(ahead)
    assert checked.observations.flag.tolist() == [Flag.FAIL]
    assert checked.future == (("weir", 8 * 300.0),)
    assert latest.status(LEVEL, "weir", NOW).value == 1.1


def test_a_reading_older_than_all_that_is_remembered_is_late_and_no_rule_sees_it() -> None:
    latest = Latest(depth=5)
    latest.take(one(*[1.0] * 8, start=10))
    checked = latest.take(one(7.0, start=0))
    assert (checked.late, len(checked.observations)) == (1, 1)
    assert latest.series(LEVEL, "weir", 48.0, NOW).value.tolist() == [1.0] * 5


def test_nothing_is_kept_of_a_batch_that_was_only_checked() -> None:
    latest = fresh()
    latest.check(one(1.0, 1.1))
    assert latest.status(LEVEL, "weir", NOW).reason == "no reading yet"
    assert latest.take(one(1.0, 1.1)).duplicates == 0


def test_a_stuck_gauge_fails_as_soon_as_its_neighbour_moves() -> None:
    calm = changed(CHECK, flat_fail_s=float("inf"), neighbours={"weir": ("quay",)}, neighbour_move=0.3)
    latest = Latest([calm])
    latest.take(one(*[1.0] * 12))
    latest.take(one(*[2.0 + 0.01 * (k % 2) for k in range(6)], site=1))
    assert flags(latest)[0][-1] == Flag.SUSPECT  # flat for 20 minutes, but so is the river
    latest.take(one(*[2.1, 2.2, 2.3, 2.4, 2.5, 2.6], site=1, start=6))
    assert set(flags(latest)[0]) == {Flag.FAIL}
    window = latest.window(LEVEL, 3600.0, START + timedelta(hours=1))
    assert window.good.any(axis=1).tolist() == [False, True]
    assert latest.status(LEVEL, "weir", NOW).reason == "flat line while neighbours moved"
    latest.take(one(1.4, start=12))
    assert latest.status(LEVEL, "weir", NOW).flag != Flag.FAIL


def test_a_window_holds_what_was_said_in_its_span_right_aligned_and_read_only() -> None:
    latest = fresh()
    latest.take(one(*[1.0, 1.1, 1.2, 1.3]))
    latest.take(one(2.0, site=1, start=3))
    window = latest.window(LEVEL, 600.0, START + timedelta(minutes=15))
    assert window.sites == SITES
    assert window.age_s.tolist() == [[600.0, 300.0, 0.0], [np.inf, np.inf, 0.0]]
    assert window.value[0].tolist() == [1.1, 1.2, 1.3]
    assert window.good.tolist() == [[True] * 3, [False, False, True]]
    with pytest.raises(ValueError):
        window.value[0, 0] = 5.0


def test_a_window_of_the_past_knows_nothing_of_what_came_after() -> None:
    latest = fresh()
    latest.take(one(1.0, 1.1, 1.2, 1.3, 1.4))
    window = latest.window(LEVEL, 600.0, START + timedelta(minutes=10))
    assert window.value[0].tolist() == [1.0, 1.1, 1.2]
    assert window.age_s[0].tolist() == [600.0, 300.0, 0.0]


def test_a_suspect_reading_may_be_used_and_a_failed_one_may_not() -> None:
    latest = fresh()
    latest.take(one(1.0, 7.0, 99.0))  # usual, unusual, impossible
    assert latest.window(LEVEL, 3600.0, START + timedelta(minutes=10)).good[0].tolist() == [True, True, False]


def test_the_flag_that_a_source_gives_is_never_made_better() -> None:
    latest = fresh()
    told = Observations.of(LEVEL, SITES, [0, 0], [T0_US, T0_US + STEP_US], [1.0, 1.1], flag=[1, 4])
    assert latest.take(told).observations.flag.tolist() == [1, 4]
    assert latest.status(LEVEL, "weir", NOW).reason == "flagged by its source"


def test_the_trend_is_the_robust_slope_per_hour() -> None:
    latest = fresh()
    latest.take(one(1.0, 1.1, 1.2, 1.3, 1.4))
    assert latest.status(LEVEL, "weir", NOW).trend_per_h == pytest.approx(1.2)


def test_memory_is_bounded_by_depth_whatever_comes() -> None:
    latest = Latest(depth=10)
    latest.take(Observations.of(LEVEL, SITES, [0] * 5000, np.arange(5000), np.ones(5000)))
    assert latest.streams(LEVEL).value.shape == (1 + 1, 10)


def test_a_site_or_a_unit_that_is_not_there_is_named() -> None:
    latest = fresh()
    with pytest.raises(NotFound, match="no readings of river_level at 'mill'"):
        latest.status(LEVEL, "mill", NOW)
    with pytest.raises(InputError, match="convert them in the collector"):
        latest.take(Observations.of(Quantity("river_level", "ft"), SITES, [0], [0], [1.0]))


def test_the_manuals_example_is_verified_and_a_changed_one_is_not() -> None:
    manual = qartod_water_level(LEVEL)
    assert manual.verified
    assert (manual.sensor_span, manual.usual_span, manual.flat_tolerance) == ((-0.5, 10.0), (-0.5, 5.0), 0.001)
    local = qartod_water_level(LEVEL, usual_span=(-0.5, 6.0))
    assert not local.verified
    assert "local usual_span" in local.source


def test_the_manuals_user_range_calls_the_crest_of_porto_alegre_suspect_and_a_local_one_does_not() -> None:
    for check, wanted in (
        (qartod_water_level(LEVEL), Flag.SUSPECT),
        (qartod_water_level(LEVEL, usual_span=(-0.5, 6.0)), Flag.GOOD),
    ):
        latest = Latest([check])
        assert latest.take(one(5.30, 5.35)).observations.flag[-1] == wanted


def test_single_sites_may_have_spans_of_their_own() -> None:
    latest = Latest([changed(CHECK, at={"quay": ((-1.0, 3.0), (0.0, 2.0))})])
    told = latest.take(batch([0, 1, 0, 1], [0, 0, 1, 1], [2.5, 2.5, 2.6, 3.5])).observations
    assert told.flag.tolist() == [Flag.GOOD, Flag.SUSPECT, Flag.GOOD, Flag.FAIL]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"sensor_span": (1.0, 1.0)},
        {"spike_suspect": 0.5, "spike_fail": 0.2},
        {"spike_suspect": 0.5, "spike_fail": None},
        {"flat_tolerance": 0.0},
        {"interval_s": 0.0},
        {"spike_method": "median"},
        {"source": ""},
        {"attenuated_suspect": 0.1, "attenuated_fail": 0.2},
        {"attenuated_suspect": 0.1, "attenuated_method": "mean"},
        {"attenuated_suspect": 0.1, "attenuated_s": 10.0},
        {"neighbour_suspect": 2.0, "neighbour_fail": 1.0},
        {"neighbour_suspect": 2.0, "neighbour_least": 0},
    ],
)
def test_a_check_of_nonsense_is_refused(nonsense: dict[str, object]) -> None:
    with pytest.raises(InputError, match="check of river_level"):
        changed(CHECK, **nonsense)


def test_a_late_reading_does_not_clear_flags_whose_reason_the_ring_has_forgotten() -> None:
    latest = Latest([CHECK], depth=20)
    now = START + timedelta(hours=6)
    rising = [1.0 + 0.01 * k for k in range(60)]
    stuck = [*rising[:20], *[1.2] * 21, *rising[41:]]
    latest.take(Observations.of(LEVEL, SITES, [0] * 60, T0_US + np.arange(60) * STEP_US, stuck))
    before = latest.series(LEVEL, "weir", 48.0, now)
    held = (before.time_us - T0_US) // STEP_US
    assert held[0] < 30  # the ring still holds part of the stuck stretch, and has lost its beginning
    weir_late, quay = T0_US + 30 * STEP_US + STEP_US // 2, T0_US + np.arange(3) * STEP_US
    latest.take(Observations.of(LEVEL, SITES, [0, 1, 1, 1], [weir_late, *quay], [1.2, 1.0, 1.0, 1.0]))
    after = latest.series(LEVEL, "weir", 48.0, now)
    in_stretch = (after.time_us >= T0_US + 31 * STEP_US) & (after.time_us <= T0_US + 40 * STEP_US)
    assert set(after.flag[in_stretch].tolist()) == {Flag.FAIL}


@pytest.mark.parametrize(
    "nonsense", [{"box": (0.0, 5.0, 1.0, 5.0)}, {"box": (0.0, -91.0, 1.0, 5.0)}, {"moved_m": 0.0}, {"apart_s": -1.0}]
)
def test_a_location_of_nonsense_is_refused(nonsense: dict[str, object]) -> None:
    with pytest.raises(InputError, match="location"):
        Location(**nonsense)  # type: ignore[arg-type]
