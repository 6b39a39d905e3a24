"""What a person types with a unit, and what a person writes in the file of a forcing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tocsin.interfaces import forcings
from tocsin.interfaces.forcings import Forcing, from_start, read_forcing, start_of
from tocsin.interfaces.units import (
    amounts,
    at_place,
    convertible,
    duration_s,
    in_unit_of,
    pairs,
    span,
)
from tocsin.pack import Drive
from tocsin.packs.flood.model import WATER_RUNS_OVER_THE_GROUND
from tocsin.vocabulary import InputError, NotFound, Quantity, Series, Unavailable

SERIES = WATER_RUNS_OVER_THE_GROUND.series


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "forcing.csv"
    path.write_text(text)
    return path


def read_rain(path: Path) -> Forcing:
    return read_forcing(path, "rain", SERIES["rain"], 0.0)


def read_inflow(path: Path) -> Forcing:
    return read_forcing(path, "inflow", SERIES["inflow@"])


def read_level(path: Path) -> Forcing:
    return read_forcing(path, "level", SERIES["level@"], 2.0)


def test_a_level_names_its_place_and_its_unit() -> None:
    said = at_place("5.35m@lake", "--level", example="5.35m@lake")
    assert (in_unit_of(said.what, "m", "--level", example="5.35m"), said.place) == (5.35, "lake")


def test_the_last_at_sign_parts_the_place_so_that_a_file_name_may_hold_one() -> None:
    assert at_place("me@home/level.csv@lake", "--level", example="").what == "me@home/level.csv"


@pytest.mark.parametrize("text", ["5.35m", "@lake", "5.35m@", ""])
def test_a_level_without_a_place_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"no place is named; wanted e\.g\. 5\.35m@lake"):
        at_place(text, "--level", example="5.35m@lake")


@pytest.mark.parametrize(
    ("text", "metres"), [("1m", 1.0), ("-0.5 m", -0.5), ("250cm", 2.5), ("10ft", 3.048), (".5m", 0.5), ("1e0m", 1.0)]
)
def test_lengths_become_metres(text: str, metres: float) -> None:
    assert in_unit_of(text, "m", "--level", example="5.35m") == pytest.approx(metres)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5.35", "it has no unit"),
        ("5,35m", "decimals after a point"),
        ("5.35furlong", "unit 'furlong' is unknown"),
        ("nanm", "is no number"),
        ("infm", "is no number"),
        ("", "is no number"),
    ],
)
def test_a_length_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        in_unit_of(text, "m", "--level", example="5.35m")


def test_cubic_feet_become_cubic_metres() -> None:
    assert in_unit_of("1000ft3/s", "m3/s", "--inflow", example="") == pytest.approx(28.316846592)


@pytest.mark.parametrize(("text", "seconds"), [("6h", 21_600.0), ("90min", 5_400.0), ("30 s", 30.0), ("2d", 172_800.0)])
def test_durations_become_seconds(text: str, seconds: float) -> None:
    assert duration_s(text, "--rise") == seconds


@pytest.mark.parametrize("text", ["0h", "-1h", "400d", "6"])
def test_a_duration_of_nothing_or_of_more_than_a_year_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        duration_s(text, "--rise")


@pytest.mark.parametrize(
    ("text", "low_usual_high"),
    [
        ("0.03", (0.03, 0.03, 0.03)),
        ("0.03..0.05", (0.03, None, 0.05)),
        ("0.03..0.04..0.06", (0.03, 0.04, 0.06)),
        ("-1..2", (-1, None, 2)),
    ],
)
def test_a_knob_is_a_number_or_a_span(text: str, low_usual_high: tuple[float, float | None, float]) -> None:
    assert span(text, "--knob n") == low_usual_high


@pytest.mark.parametrize("text", ["", "a", "1..", "3..2", "1..3..2", "1..2..3..4", "nan"])
def test_a_span_that_does_not_rise_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        span(text, "--knob n")


def test_a_name_is_given_a_value_once() -> None:
    assert pairs(["a=1", "b=2=3"], "--knob", example="n=1") == {"a": "1", "b": "2=3"}
    with pytest.raises(InputError, match="given twice"):
        pairs(["a=1", "a=2"], "--knob", example="n=1")
    with pytest.raises(InputError, match="wanted NAME=VALUE"):
        pairs(["a"], "--knob", example="n=1")


def test_rain_in_mm_per_hour_holds_until_the_next_row_and_then_ends(tmp_path: Path) -> None:
    rain = read_rain(file(tmp_path, "time,rain [mm/h]\n2024-05-01T00:00Z,4\n2024-05-01T01:00Z,10\n"))
    assert rain == Forcing(
        str(tmp_path / "forcing.csv"), datetime(2024, 5, 1, tzinfo=UTC), (0.0, 3600.0, 7200.0), (4.0, 10.0, 0.0), True, 0.0
    )


def test_sums_of_rain_become_rates_of_their_step(tmp_path: Path) -> None:
    rain = read_rain(file(tmp_path, "time [min],rain [mm]\n0,1\n15,2\n30,0\n"))
    assert rain.value == (4.0, 8.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("heading", "factor"), [("rain [in/h]", 25.4), ("rain_mm_per_h", 1.0), ("rain (mm/h)", 1.0), ("rain [mm/min]", 60.0)]
)
def test_the_unit_is_read_from_the_heading(tmp_path: Path, heading: str, factor: float) -> None:
    rain = read_rain(file(tmp_path, f"time_h,{heading}\n0,1\n1,2\n"))
    assert rain.value == pytest.approx((factor, 2 * factor, 0.0))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time,rain\n2024-05-01T00:00Z,4\n", "has no unit"),
        ("time,rain [furlong/h]\n2024-05-01T00:00Z,4\n", "'furlong/h' of column 'rain' is unknown"),
        ("when,rain [mm/h]\n0,4\n", "wanted one named time"),
        ("time,snow [mm/h]\n0,4\n", "wanted one named rain"),
        ("time [weeks],rain [mm/h]\n0,4\n", "'weeks' of the time column"),
        ("time [h],rain [mm/h]\n0,1\n1,NaN\n", "line 3: rain is NaN; wanted a finite number"),
        ("time [h],rain [mm/h]\n0,1\n1,inf\n", "line 3"),
        ("time [h],rain [mm/h]\n0,1\n1,\n", "line 3: rain is nothing"),
        ("time [h],rain [mm/h]\n0,1\n1,dry\n", "line 3: rain is 'dry'"),
        ("time [h],rain [mm/h]\n0,1\n1,-0.1\n", "line 3: rain -0.1 mm/h is -0.1 mm/h; wanted 0 to 500 mm/h"),
        ("time [h],rain [mm/h]\n0,1\n1,501\n", "line 3: rain 501 mm/h is 501 mm/h; wanted 0 to 500 mm/h: check the unit"),
        ("time [h],rain [in/h]\n0,1\n1,20\n", "rain 20 in/h is 508 mm/h"),
        ("time [h],rain [mm/h]\n0,1\n1,2\n2,2\n3,2\n7,2\n", "line 6: a gap of 4 h where the others are 1 h"),
        ("time [h],rain [mm]\n0,1\n1,2\n3,2\n", "line 4: a gap of 2 h"),
        ("time [h],rain [mm]\n0,1\n", "not over how long it came"),
        ("time [h],rain [mm/h]\n0,1\n0,2\n", "line 3: time '0' does not follow"),
        ("time [h],rain [mm/h]\n1,1\n0,2\n", "does not follow"),
        ("time [h],rain [mm/h]\n-1,1\n0,2\n", "before the start"),
        ("time,rain [mm/h]\nyesterday,1\n", "line 2: time 'yesterday'"),
        ("time [h],rain [mm/h]\n0\n", "line 2: 1 columns; wanted 2"),
        ("time [h],rain [mm/h]\n", "0 rows"),
        ("", "0 rows"),
        ("time [h],rain [mm/h],precip [mm/h]\n0,1,1\n", "could all be meant"),
        ("time [h],rain [mm/h]\n0,\x001\n", "binary zeros"),
    ],
)
def test_a_rain_file_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rain(file(tmp_path, text))
    assert says in str(caught.value)
    assert "forcing.csv" in str(caught.value)


def test_a_drawn_hyetograph_may_have_unequal_steps(tmp_path: Path) -> None:
    assert read_rain(file(tmp_path, "time [h],rain [mm/h]\n0,1\n1,2\n4,0\n")).time_s[:3] == (0.0, 3600.0, 14_400.0)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.csv"
    path.write_bytes(b"time,rain [mm/h]\n\xff\xfe\x9c")
    with pytest.raises(InputError, match="byte 17 is not UTF-8"):
        read_rain(path)


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        read_rain(tmp_path / "absent.csv")
    with pytest.raises(NotFound, match="no such file"):
        read_rain(tmp_path)


def test_a_file_that_fails_while_it_is_read_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        read_rain(Path("/proc/self/mem"))


@pytest.mark.parametrize(("limit", "says"), [("BYTES_MAX", "MB; wanted at most"), ("ROWS_MAX", "rows; wanted at most")])
def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, says: str) -> None:
    monkeypatch.setattr(forcings, limit, 3)
    with pytest.raises(InputError, match=says):
        read_rain(file(tmp_path, "time [h],rain [mm/h]\n0,1\n1,2\n2,3\n3,3\n"))


def test_inflow_in_cubic_feet_is_converted(tmp_path: Path) -> None:
    assert read_inflow(file(tmp_path, "time [h],inflow [ft3/s]\n0,1000\n1,2000\n")).value == pytest.approx(
        (28.316846592, 56.633693184)
    )


@pytest.mark.parametrize("value", ["-1", "1e9", "nan"])
def test_a_flow_that_no_river_has_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(InputError, match="line 3"):
        read_inflow(file(tmp_path, f"time [h],inflow [m3/s]\n0,10\n1,{value}\n"))


def test_a_level_in_feet_is_converted(tmp_path: Path) -> None:
    assert read_level(file(tmp_path, "time [h],stage [ft]\n0,10\n2,12\n")).value == pytest.approx((3.048, 3.6576))


def test_a_level_that_is_no_height_on_earth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2: level 99999 m"):
        read_level(file(tmp_path, "time [h],level [m]\n0,99999\n"))


def test_dates_with_an_offset_are_turned_to_utc(tmp_path: Path) -> None:
    assert read_level(file(tmp_path, "time,level_m\n2024-05-01T00:00-03:00,3\n")).begins == datetime(2024, 5, 1, 3, tzinfo=UTC)


def at(begins: datetime | None, times: tuple[float, ...], values: tuple[float, ...], *, stepwise: bool) -> Forcing:
    return Forcing("f.csv", begins, times, values, stepwise, 0.0 if stepwise else None)


MAY = datetime(2024, 5, 1, tzinfo=UTC)


def test_a_run_starts_with_the_earliest_dated_file() -> None:
    later = at(datetime(2024, 5, 2, tzinfo=UTC), (0.0,), (1.0,), stepwise=False)
    assert start_of([later, at(MAY, (0.0,), (1.0,), stepwise=False), at(None, (0.0,), (1.0,), stepwise=False)], None) == MAY
    assert start_of([later], MAY) == MAY
    assert start_of([], None) is None


def test_rain_that_begins_later_is_dry_before_and_a_flow_is_held() -> None:
    day = datetime(2024, 5, 2, tzinfo=UTC)
    assert from_start(at(day, (0.0, 3600.0), (5.0, 0.0), stepwise=True), MAY) == ((0.0, 86_400.0, 90_000.0), (0.0, 5.0, 0.0))
    assert from_start(at(day, (0.0, 3600.0), (5.0, 7.0), stepwise=False), MAY) == ((0.0, 86_400.0, 90_000.0), (5.0, 5.0, 7.0))


def test_a_file_that_began_before_the_run_is_cut_there() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert from_start(at(MAY, (0.0, 86_400.0), (10.0, 0.0), stepwise=True), noon) == ((0.0, 43_200.0), (10.0, 0.0))
    assert from_start(at(MAY, (0.0, 86_400.0), (10.0, 0.0), stepwise=False), noon) == ((0.0, 43_200.0), (5.0, 0.0))


def test_what_is_read_is_a_series_that_a_model_takes(tmp_path: Path) -> None:
    rain = read_rain(file(tmp_path, "time [h],rain [mm/h]\n0,1\n1,2\n"))
    assert Series.of(*from_start(rain, None)).value.tolist() == [1.0, 2.0, 0.0]


def test_a_file_that_ends_before_the_run_starts_is_refused() -> None:
    with pytest.raises(InputError, match=r"ends 24\.0 h before the run starts"):
        from_start(at(MAY, (0.0, 86_400.0), (1.0, 0.0), stepwise=True), datetime(2024, 5, 3, tzinfo=UTC))


WIND = Drive(Quantity("wind_speed", "m/s", 0.0, 120.0), "wind at 10 m")
BEARING = Drive(Quantity("wind_from", "deg", 0.0, 360.0), "where the wind comes from", stepwise=True)


@pytest.mark.parametrize(
    ("text", "unit", "inside"),
    [
        ("36 km/h", "m/s", 10.0),
        ("10kn", "m/s", 5.144444),  # a knot is 1852 m/h
        ("10mph", "m/s", 4.4704),
        ("5m/min", "m/s", 5 / 60),
        ("212degF", "degC", 100.0),
        ("0degC", "K", 273.15),
        ("-40 °F", "degC", -40.0),
        ("310deg", "deg", 310.0),
        ("35%", "1", 0.35),
        ("0.35", "1", 0.35),
        ("0.35 1", "%", 35.0),
        ("12 1/d", "1/d", 12.0),
        ("7 widgets", "widgets", 7.0),
        ("2t", "kg", 2000.0),
        ("3kg/h", "kg/s", 3 / 3600),
        ("1rad", "deg", 57.29577951),
        ("1bar", "hPa", 1000.0),
        ("1in/h", "mm/h", 25.4),
        ("1cfs", "m3/s", 0.028316846592),
        ("-1.5e2m", "m", -150.0),
    ],
)
def test_a_value_is_turned_into_the_one_unit_of_its_quantity(text: str, unit: str, inside: float) -> None:
    assert in_unit_of(text, unit, "--drive x", example="") == pytest.approx(inside, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "unit", "says"),
    [
        ("8", "m/s", "it has no unit; wanted one of m/s"),
        ("8m", "m/s", "unit 'm' is unknown here; wanted one of m/s"),
        ("8degC", "m/s", "'degC' is unknown here"),
        ("8m/s", "widgets", "wanted one of widgets"),
        ("8gon", "deg", "wanted one of deg"),
        ("1,5m", "m", "decimals after a point"),
    ],
)
def test_a_value_in_a_unit_of_something_else_is_refused(text: str, unit: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        in_unit_of(text, unit, "--drive x", example="1x")


def test_a_unit_comes_back_as_it_was_from_every_unit_that_it_is_converted_from() -> None:
    for unit in ("m", "m/s", "mm/h", "m3/s", "kg", "kg/s", "mg/m3", "degC", "K", "kW/m", "persons/d"):
        for other, there in convertible(unit).items():
            back = convertible(other)[unit]
            assert there(back(3.7)) == pytest.approx(3.7, rel=1e-9), (unit, other)


def test_what_comes_together_in_a_time_is_known_for_rates_alone() -> None:
    assert amounts("mm/h")["mm"] == 3600.0
    assert amounts("kg/s")["t"] == 1000.0
    assert amounts("persons/d")["persons"] == 86_400.0
    assert amounts("m") == amounts("deg") == amounts("widgets") == {}


def test_a_forcing_of_any_kind_is_read_by_its_name_from_a_file_with_others(tmp_path: Path) -> None:
    path = file(tmp_path, "time [h],wind_speed [km/h],wind_from_deg,temp [degC]\n0,36,350,20\n6,72,10,25\n")
    assert read_forcing(path, "wind_speed", WIND).value == (10.0, 20.0)
    assert read_forcing(path, "wind_from", BEARING).value == (350.0, 10.0)
    with pytest.raises(
        InputError, match="columns are time, wind_speed, wind_from_deg, temp; wanted one named gust .or gust_speed."
    ):
        read_forcing(path, "gust", Drive(Quantity("gust_speed", "m/s"), "gusts"))


def test_a_column_may_be_named_after_the_quantity(tmp_path: Path) -> None:
    assert read_forcing(file(tmp_path, "time_h,wind_speed_kn\n0,10\n"), "wind", WIND).value == pytest.approx((5.1444444,))


def test_a_stepwise_value_without_a_usual_one_is_held_before_and_after_its_file(tmp_path: Path) -> None:
    bearing = read_forcing(
        file(tmp_path, "time,wind_from [deg]\n2024-05-02T00:00Z,350\n2024-05-02T06:00Z,10\n"), "wind_from", BEARING
    )
    assert from_start(bearing, MAY) == ((0.0, 86_400.0, 108_000.0), (350.0, 350.0, 10.0))


def test_a_share_needs_no_unit_in_its_heading_and_may_be_in_percent(tmp_path: Path) -> None:
    share = Drive(Quantity("cloud", "1", 0.0, 1.0), "share of the sky")
    assert read_forcing(file(tmp_path, "time_h,cloud\n0,0.5\n"), "cloud", share).value == (0.5,)
    assert read_forcing(file(tmp_path, "time_h,cloud [%]\n0,50\n"), "cloud", share).value == (0.5,)
    with pytest.raises(InputError, match="line 2: cloud 50"):
        read_forcing(file(tmp_path, "time_h,cloud\n0,50\n"), "cloud", share)


def test_sums_are_for_stepwise_rates_alone(tmp_path: Path) -> None:
    release = Drive(Quantity("release", "kg/s", 0.0, 1e6), "what leaks", stepwise=True)
    path = file(tmp_path, "time [min],release [t]\n0,6\n10,3\n")
    assert read_forcing(path, "release", release).value == pytest.approx((10.0, 5.0))
    with pytest.raises(InputError, match="unit 't' of column 'release' is unknown here"):
        read_forcing(path, "release", Drive(release.quantity, "what leaks"))
