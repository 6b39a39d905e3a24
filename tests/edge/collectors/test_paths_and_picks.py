"""Where a value stands, and what a reading is made of: site, moment, unit, and the ways in which a source has no value."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from collector_place import LEVEL, RAIN
from hypothesis import given
from hypothesis import strategies as st

from tocsin.edge.collectors.paths import path
from tocsin.edge.collectors.pick import Intake, Pick, batches_of, decode_csv, decode_json, time_us
from tocsin.edge.collectors.tally import Drop, Tally
from tocsin.edge.latest import microseconds
from tocsin.vocabulary import Flag, InputError

NOW_US = microseconds(datetime(2026, 3, 1, 12, tzinfo=UTC))
FEED = {"features": [{"id": "a", "properties": {"value": 1}}, {"id": "b", "properties": {"value": None}}, {"id": "c"}]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$", [FEED]),
        ("$.features[*].id", ["a", "b", "c"]),
        ("$.features[*].properties.value", [1, None]),
        ("$['features'][0][\"id\"]", ["a"]),
        ("$.features[7].id", []),
        ("$.features.id", []),
        ("$.nothing[*].at.all", []),
        ("$.features[0][*]", ["a", {"value": 1}]),
    ],
)
def test_a_path_finds_what_stands_there_and_nothing_else(text: str, found: list[object]) -> None:
    assert path(text).find(FEED, most=100) == found


def test_a_path_finds_no_more_than_it_may() -> None:
    assert path("$[*][*]").find([[1, 2], [3, 4]], most=3) == [1, 2, 3]


@pytest.mark.parametrize("text", ["", "features", "$..id", "$.features[?(@.id)]", "$.a[-1]", "$.a b", "$['", "$" + ".a" * 300])
def test_a_path_that_means_more_than_that_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(InputError, match="path"):
        path(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_is_sent_a_pick_gives_a_reading_or_a_drop(told: object) -> None:
    for pick in (Pick(quantity=LEVEL, value="$.value", site="$.site", time="$.time"), Pick(quantity=LEVEL, site="weir")):
        try:
            reading = pick.read(told, {}, NOW_US)
        except Drop as drop:
            assert drop.reason in {"no value", "not a number", "site", "time"}  # noqa: PT017
        else:
            assert math.isnan(reading.value) or math.isfinite(reading.value)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (1, 1.0),
        ("2.5", 2.5),
        (" -3e1 ", -30.0),
        (None, math.nan),
        ("", math.nan),
        ("NA", math.nan),
        (-9999, math.nan),
        (-999.0, math.nan),
    ],
)
def test_numbers_and_the_ways_to_have_none(raw: object, value: float) -> None:
    told = Pick(quantity=LEVEL, site="weir").read(raw, {}, NOW_US).value
    assert told == value or (math.isnan(told) and math.isnan(value))


@pytest.mark.parametrize("raw", [True, "high", "1_000", "0x10", "inf", "1;2", float("inf"), 10**400, [1], {"value": 1}])
def test_what_is_no_number_is_dropped(raw: object) -> None:
    with pytest.raises(Drop) as drop:
        Pick(quantity=LEVEL, site="weir").read(raw, {}, NOW_US)
    assert drop.value.reason == "not a number"


def test_a_unit_is_converted_once_and_with_its_offset() -> None:
    assert Pick(quantity=LEVEL, site="w", unit="ft").read(10, {}, NOW_US).value == pytest.approx(3.048)
    warm = Pick(quantity=type(LEVEL)("air_temperature", "degC"), site="w", unit="degF")
    assert warm.read(212, {}, NOW_US).value == pytest.approx(100.0)
    with pytest.raises(InputError, match="no conversion from 'furlong'"):
        Pick(quantity=LEVEL, unit="furlong")


@pytest.mark.parametrize(
    ("raw", "form", "zone"),
    [
        ("2026-03-01T12:00:00Z", "iso", ""),
        ("2026-03-01T13:00:00+01:00", "iso", ""),
        ("2026-03-01T12:00:00.000000000Z", "iso", ""),
        ("2026-03-01 13:00", "iso", "Europe/Berlin"),
        ("01.03.2026 13:00", "%d.%m.%Y %H:%M", "Europe/Berlin"),
        (1772366400, "unix_s", ""),
        ("1772366400.0", "unix_s", ""),
        (1772366400000, "unix_ms", ""),
        (1772366400000000, "unix_us", ""),
    ],
)
def test_a_moment_is_the_same_however_it_is_told(raw: object, form: str, zone: str) -> None:
    pick = Pick(quantity=LEVEL, value="$.v", site="weir", time="$.t", time_format=form, zone=zone)
    assert pick.read({"v": 1, "t": raw}, {}, 0).time_us == NOW_US


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        ("2026-03-01T12:00:00", "iso"),
        ("", "iso"),
        (None, "iso"),
        (-1, "unix_s"),
        (1e300, "unix_s"),
        (True, "unix_s"),
        ("x" * 1000, "iso"),
        (10**30, "unix_us"),
        ("1/2", "%d.%m.%Y"),
    ],
)
def test_a_time_that_nobody_can_place_is_dropped(raw: object, form: str) -> None:
    with pytest.raises(Drop) as drop:
        time_us(raw, form)
    assert drop.value.reason == "time"


def test_a_site_is_a_path_a_name_or_filled_from_what_was_captured() -> None:
    assert Pick(quantity=LEVEL, value="$.v", site="$.id").read({"v": 1, "id": 17}, {}, 0).site == "17"
    assert Pick(quantity=LEVEL, site="weir").read(1, {}, 0).site == "weir"
    assert Pick(quantity=LEVEL, site="{town}/{site}").read(1, {"town": "ulm", "site": "weir"}, 0).site == "ulm/weir"
    assert Pick(quantity=LEVEL).read(1, {"device": "d7"}, 0, site="{device}").site == "d7"
    for bad in ("", "a\0b", "x" * 201, "a\nb"):
        with pytest.raises(Drop):
            Pick(quantity=LEVEL, value="$.v", site="$.id").read({"v": 1, "id": bad}, {}, 0)


def test_a_name_that_looks_like_a_path_or_a_command_is_only_a_name() -> None:
    for name in ("../../etc/passwd", "'; DROP TABLE readings; --", "$(reboot)", "{site.__class__}"):
        assert Pick(quantity=LEVEL, value="$.v", site="$.id").read({"v": 1, "id": name}, {"site": "x"}, 0).site == name


@pytest.mark.parametrize(
    "told",
    [
        {"value": "v"},
        {"time": "t"},
        {"time_format": "julian"},
        {"zone": "Mars/Base"},
        {"zone": "../../etc/passwd"},
    ],
)
def test_settings_that_mean_nothing_are_refused(told: dict[str, str]) -> None:
    with pytest.raises(InputError):
        Pick(quantity=LEVEL, **told)


def test_json_that_is_too_large_too_deep_or_none_is_dropped_by_name() -> None:
    for payload, reason in (
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b"x" * 2_000_000, "too large"),
        (b'{"a": NaN}', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
    ):
        with pytest.raises(Drop) as drop:
            decode_json(payload, bytes_most=1_000_000)
        assert drop.value.reason == reason


def test_csv_is_rows_by_the_names_of_its_first_line_or_a_drop() -> None:
    assert decode_csv(b"\xef\xbb\xbfsite,v\r\nweir,1\r\n\r\nquay,2\r\n", bytes_most=100) == [
        {"site": "weir", "v": "1"},
        {"site": "quay", "v": "2"},
    ]
    for payload, reason in ((b"", "not CSV"), (b"a,a\n1,2\n", "not CSV"), (b"a,b\n1\n", "not CSV"), (b"a\n\xff\n", "not UTF-8")):
        with pytest.raises(Drop) as drop:
            decode_csv(payload, bytes_most=100)
        assert drop.value.reason == reason


def test_a_bad_row_is_counted_by_its_reason_and_the_others_are_taken() -> None:
    tally = Tally("gauges")
    sent = json.loads('[{"id": "a", "v": 1}, {"id": "b", "v": "x"}, {"v": 2}, 7, {"id": "c", "v": 3}]')
    told = list(Intake(tally).readings(sent, [Pick(quantity=LEVEL, value="$.v", site="$.id")], {}, NOW_US))
    assert [(one.site, one.value) for one in told] == [("a", 1.0), ("c", 3.0)]
    assert tally.dropped == {"not a number": 1, "site": 1, "no value": 1}
    assert tally.taken == 2
    assert "wanted a number" in tally.status().said["not a number"]


def test_a_reason_is_logged_once_however_often_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally("gauges")
    for _ in range(5):
        tally.drop(Drop("time", "time = 'yesterday'"))
    assert [record.message for record in caplog.records] == ["input_dropped"]
    assert tally.dropped["time"] == 5


def test_a_source_cannot_invent_sites_without_end() -> None:
    intake = Intake(Tally("gauges"), sites_most=2)
    told = list(
        intake.readings(
            [{"s": f"site {k}"} | {"v": k} for k in range(4)] * 2, [Pick(quantity=LEVEL, value="$.v", site="$.s")], {}, 0
        )
    )
    assert {one.site for one in told} == {"site 0", "site 1"}
    assert intake.tally.dropped == {"new sites": 4}


def test_readings_become_one_batch_for_each_quantity() -> None:
    picks = [Pick(quantity=LEVEL, value="$.l", site="$.s"), Pick(quantity=RAIN, value="$.r", site="$.s")]
    told = Intake(Tally("g")).readings([{"s": "weir", "l": 1, "r": None}, {"s": "quay", "l": 2}], picks, {}, NOW_US)
    level, rain = batches_of(told, NOW_US)
    assert (level.quantity, level.sites, level.value.tolist()) == (LEVEL, ("weir", "quay"), [1.0, 2.0])
    assert (rain.quantity, rain.flag.tolist()) == (RAIN, [Flag.MISSING])
    assert level.arrived_us.tolist() == [NOW_US, NOW_US]
