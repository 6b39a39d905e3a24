"""What comes in order is appended, what does not is merged, and nobody can tell from the flags which way a reading came."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from edge_host import START
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tocsin.edge import Check, Latest, Watch, changed, incoming
from tocsin.edge.check import Location
from tocsin.edge.latest import microseconds
from tocsin.pack.ready_rules import threshold
from tocsin.pack.rule import Limits
from tocsin.science.quality import Climate
from tocsin.vocabulary import Flag, Level, Observations, Quantity

LEVEL = Quantity("river_level", "m", low=-5, high=60)
LON, LAT = Quantity("longitude", "deg"), Quantity("latitude", "deg")
SITES = ("weir", "quay", "mill")
T0_US, STEP_US = microseconds(START), 300_000_000
NOW_US = T0_US + 400 * STEP_US
NOW = datetime.fromtimestamp(NOW_US / 1e6, UTC)
PLAIN = Check(quantity=LEVEL, interval_s=300.0, source="a test", sensor_span=(-1.0, 10.0), gap_s=1800.0)
USUAL = changed(
    PLAIN,
    usual_span=(0.0, 6.0),
    spike_suspect=0.2,
    spike_fail=0.5,
    rate_suspect_per_h=3.0,
    flat_tolerance=0.001,
    flat_suspect_s=1200.0,
    flat_fail_s=2400.0,
)
FULL = changed(
    USUAL,
    spike_method="average",
    climates=(Climate(first=1, last=12, usual=(0.5, 4.0), possible=(-0.5, 8.0), depth_m=(0.0, 10.0)),),
    depth_m={"weir": 5.0},
    attenuated_suspect=0.05,
    attenuated_fail=0.01,
    attenuated_s=1500.0,
    attenuated_least=4,
    attenuated_method="std",
    neighbours={"weir": ("quay", "mill"), "quay": ("weir",)},
    neighbour_move=0.5,
    neighbour_suspect=1.0,
    neighbour_fail=5.0,
    neighbour_least=1,
    neighbour_apart_s=400.0,
    location=Location(box=(-52.0, -31.0, -51.0, -29.0), moved_m=500.0, apart_s=900.0),
)
NO_WHOLE = changed(FULL, attenuated_suspect=None, attenuated_fail=0.0)
CHECKS = {"none": (), "plain": (PLAIN,), "usual": (USUAL,), "full": (FULL,), "no whole": (NO_WHOLE,)}
VALUES = [1.0, 1.0, 1.0, 1.0004, 1.1, 2.5, 2.6, 4.4, 9.0, 99.0, float("nan")]

Reading = tuple[int, int, float, int]  # site, step, value, flag


@st.composite
def batches(draw: st.DrawFn) -> list[list[Reading]]:
    """Mostly in order, with gaps and stuck stretches; now and then late, twice, contradicting, mixed or of the future."""
    clock, told = [0, 0, 0], []
    for _ in range(draw(st.integers(1, 14))):
        batch: list[Reading] = []
        for _ in range(draw(st.integers(1, 25))):
            site = draw(st.integers(0, 2))
            step = draw(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 1, 2, 7, 40, 0, -1, -3, -30, 500]))
            at = clock[site] + step
            if 0 < step < 500:
                clock[site] = at
            flag = draw(st.sampled_from([Flag.NOT_EVALUATED] * 6 + [Flag.GOOD, Flag.SUSPECT, Flag.FAIL]))
            batch.append((site, max(0, at), draw(st.sampled_from(VALUES)), flag))
        told.append(batch)
    return told


def columns(readings: Iterable[Reading], quantity: Quantity) -> Observations:
    site, step, value, flag = zip(*readings, strict=True)
    time_us = T0_US + np.array(step, np.int64) * STEP_US
    arrived = np.full(len(site), NOW_US)
    return Observations.of(quantity, SITES, site, time_us, value, arrived_us=arrived, flag=np.array(flag, np.uint8))


def lived(checks: tuple[Check, ...], told: list[list[Reading]], depth: int) -> list[object]:
    """All that a node could see of a history of batches."""
    latest, seen = Latest(checks, depth=depth), list[object]()
    latest.expect(LEVEL, SITES)
    for number, readings in enumerate(told):
        if number % 3 == 1:  # a buoy says where it is, and not always inside its box
            where = [(site, step, -51.5 - 0.01 * (step % 5) * number, flag) for site, step, _, flag in readings]
            latest.take(columns(where, LON))
            latest.take(columns([(site, step, -30.0, flag) for site, step, _, flag in readings], LAT))
        checked = latest.take(columns(readings, LEVEL))
        told_of = checked.observations
        seen.append([getattr(told_of, name).tolist() for name in ("site", "time_us", "flag", "arrived_us")])
        seen.append((checked.digest, checked.duplicates, checked.late, sorted(checked.future), checked.heard.tolist()))
        seen.append(checked.counted.tolist())
        for span_s in (3_000.0, 300_000.0):
            window = latest.window(LEVEL, span_s, NOW)
            seen.append([np.nan_to_num(part, nan=-7.0).tolist() for part in (window.age_s, window.value, window.good)])
        streams = latest.streams(LEVEL)
        seen.append([np.nan_to_num(part, nan=-7.0).tolist() for part in (streams.time_us, streams.value, streams.packed)])
        seen.append((streams.arrived_us.tolist(), None if streams.stuck_since is None else streams.stuck_since.tolist()))
        for status in latest.stream_status(NOW):
            seen.append((status.sites, np.nan_to_num(status.share, nan=-7.0).tolist(), status.out_of_order.tolist()))
    return seen


@pytest.mark.parametrize("checks", CHECKS.values(), ids=CHECKS)
def test_appending_gives_the_flags_that_merging_gives_whatever_comes(checks: tuple[Check, ...]) -> None:
    found = incoming.in_order_rows

    def none_in_order(*asked: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        starts, in_order = found(*asked)
        return starts, np.zeros_like(in_order)

    @settings(max_examples=100, deadline=None)
    @given(batches(), st.sampled_from([2, 20, 45]))
    def compare(history: list[list[Reading]], depth: int) -> None:
        appended = lived(checks, history, depth)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(incoming, "in_order_rows", none_in_order)
            assert lived(checks, history, depth) == appended

    compare()


def test_readings_in_order_are_appended_and_only_a_stream_that_is_not_is_merged() -> None:
    latest = Latest((USUAL,), depth=40)
    latest.take(columns([(0, 5, 1.0, 2), (1, 5, 1.0, 2)], LEVEL))
    checked = latest.check(columns([(0, 6, 1.0, 2), (1, 4, 1.0, 2), (0, 7, 1.0, 2)], LEVEL))
    assert [new.count.tolist() for new in checked.appended] == [[2]]
    assert [rows.row.tolist() for rows in checked.rows] == [[1]]


def test_what_is_near_says_all_of_a_stream_that_moves_and_not_of_one_that_rests_or_lacks_a_number() -> None:
    latest = Latest((USUAL,), depth=40)
    for step, values in enumerate([(1.0, 1.0, 1.0), (1.2, 1.0, float("nan"))]):
        latest.take(columns([(site, step, value, 2) for site, value in enumerate(values)], LEVEL))
    ring, one = latest._ring(LEVEL), np.ones(3, np.int64)

    def near(*values: float, each: int = 1) -> list[bool]:
        return incoming.rests_on_near(ring, USUAL, np.array(values), np.arange(3), one * each).tolist()

    assert near(1.5, 1.5, 1.5) == [True, True, False]
    assert near(1.2, 1.0, 1.5) == [False, False, False]
    assert near(1.2 + 2 * USUAL.flat_tolerance, 99.0, float("nan")) == [True, True, False]  # 99 m is no number to the tests
    assert near(1.5, 1.7, 1.5, 1.5, 1.5, 1.7, each=2) == [True, False, False]
    assert near(1.5, 1.7, 99.0, 1.0, 1.5, 1.7, each=2) == [True, False, False]  # the tests look past 99 m, and find 1 m again
    whole = changed(USUAL, attenuated_suspect=0.1, attenuated_s=600.0)
    assert not incoming.rests_on_near(ring, whole, np.array([1.5, 1.5, 1.5]), np.arange(3), one).any()


@settings(max_examples=60, deadline=None)
@given(batches(), st.lists(st.integers(0, 2), unique=True), st.integers(1, 9))
def test_a_window_of_some_sites_and_of_the_newest_readings_is_a_part_of_the_whole(
    history: list[list[Reading]], asked: list[int], newest: int
) -> None:
    latest, places = Latest((FULL,), depth=20), np.array(asked, np.int64)
    latest.expect(LEVEL, SITES)
    for readings in history:
        latest.take(columns(readings, LEVEL))
    part, some = (latest.window(LEVEL, 30_000.0, NOW, places=places, newest=most) for most in (None, newest))
    whole = latest.window(LEVEL, 30_000.0, NOW)
    for name in ("age_s", "value", "good"):
        all_of, part_of, some_of = (getattr(window, name) for window in (whole, part, some))
        assert np.array_equal(part_of, all_of[places][:, all_of.shape[1] - part_of.shape[1] :], equal_nan=True)
        assert np.array_equal(some_of, part_of[:, max(0, part_of.shape[1] - newest) :], equal_nan=True)
    assert part.sites == some.sites == tuple(SITES[place] for place in asked)


def test_sites_that_come_one_by_one_keep_what_the_others_have_told() -> None:
    latest = Latest((), depth=40)
    for number in range(50):
        latest.take(Observations.of(LEVEL, (f"gauge-{number}", "weir"), [0, 1], [number + 1, number + 1], [number, -number]))
    later = datetime.fromtimestamp(1e-3, UTC)
    assert latest.readings(LEVEL, "weir", 1.0, later).value.tolist() == [-float(n) for n in range(10, 50)]
    assert [latest.readings(LEVEL, f"gauge-{n}", 1.0, later).value.tolist() for n in range(50)] == [[float(n)] for n in range(50)]


HIGH = Limits({Level.YELLOW: 2.0, Level.RED: 4.0}, "m", "a test")
LOW = Limits({Level.YELLOW: 1.05, Level.RED: 0.5}, "m", "a test")
LOCAL = {"weir": HIGH, "quay": Limits({Level.BLUE: 1.05}, "m", "a test")}


@settings(max_examples=150, deadline=None)
@given(
    batches(),
    st.sampled_from([HIGH, LOW, LOCAL]),
    st.sampled_from([0.0, 900.0, 7200.0]),
    st.integers(1, 12),
    st.sampled_from([1800.0, 100_000.0]),
    st.integers(1, 8),
)
def test_where_a_glance_says_that_all_is_quiet_the_whole_window_says_so_too(
    history: list[list[Reading]], limits: Any, persistence_s: float, least: int, max_age_s: float, newest: int
) -> None:
    rule = threshold("high", LEVEL, limits, max_age_s=max_age_s, persistence_s=persistence_s, min_readings=least, clear_s=600.0)
    latest = Latest((USUAL,), depth=40)
    latest.expect(LEVEL, SITES)
    for readings in history:
        latest.take(columns(readings, LEVEL))
        now = START + timedelta(seconds=300.0 * max(step for _, step, _, _ in readings))
        assert rule.is_quiet is not None
        quiet = rule.is_quiet(latest.window(LEVEL, rule.span_s, now, newest=newest))
        verdict = rule.judge(latest.window(LEVEL, rule.span_s, now), np.zeros(3, np.int8))
        assert (verdict.level[quiet] == Level.NONE).all()


@settings(max_examples=60, deadline=None)
@given(batches(), st.sampled_from([0.0, 900.0]))
def test_a_look_at_those_that_spoke_tells_what_a_look_at_all_of_them_tells(
    history: list[list[Reading]], persistence_s: float
) -> None:
    since = START - timedelta(days=1)
    rule = threshold("high", LEVEL, HIGH, max_age_s=1e6, persistence_s=persistence_s, margin=0.2, clear_s=600.0)
    latest = Latest((FULL,), depth=20)
    latest.expect(LEVEL, SITES)
    some, every = (Watch({"flood": [rule]}, latest, since=since, grace_s=1e9) for _ in range(2))
    for readings in history:
        heard = latest.take(columns(readings, LEVEL)).heard
        told = some.look(NOW, [LEVEL], touched={LEVEL.name: heard})
        of_all = every.look(NOW)
        spoke = {SITES[place] for place in heard.tolist()}
        assert [one for one in of_all if one.subject in spoke] == list(told)
        some.learn(of_all)
        every.learn(of_all)
