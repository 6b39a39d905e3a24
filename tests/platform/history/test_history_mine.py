"""Sums, quantiles, shares and gaps over the history are those of the readings themselves."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest
from history_place import DAY, HOUR, LEVEL, MINUTE, NOW, T0, batch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.edge import CsvColumns, Spool, read_csv
from tocsin.flows import observations as flow
from tocsin.flows.observations import Question, Spot
from tocsin.platform.history import History, compact
from tocsin.vocabulary import InputError, NotFound, Observations

NAN = float("nan")
LEVELS = Question(quantity="river_level")


def rows(table: object) -> list[dict[str, object]]:
    return flow.rows_of(table)


def held(folder: Path, *several: Observations, packed: bool = True) -> History:
    spool = Spool(folder / "readings")
    for one in several:
        spool.append([one])
        if packed:
            compact(folder, now=NOW)
    spool.close()
    return History(folder)


def test_a_days_rain_is_summed_by_hour_and_site_by_hand(tmp_path: Path) -> None:
    told = batch(
        [T0, T0 + 30 * MINUTE, T0 + HOUR, T0 + 1], [1, 3, 5, 7], sites=("weir", "quay"), site=[0, 0, 0, 1], flag=[1, 2, 1, 4]
    )
    history = held(tmp_path, told)
    found = rows(flow.summarise(history, LEVELS, every="1h"))
    assert [(r["place"], r["from"], r["count"], r["mean"], r["min"], r["max"], r["sum"]) for r in found] == [
        ("quay", "2026-03-01T00:00:00Z", 0, None, None, None, None),
        ("weir", "2026-03-01T00:00:00Z", 2, 2.0, 1.0, 3.0, 4.0),
        ("weir", "2026-03-01T01:00:00Z", 1, 5.0, 5.0, 5.0, 5.0),
    ]
    assert [(r["share_good"], r["share_not_evaluated"], r["share_fail"]) for r in found] == [(0, 0, 1), (0.5, 0.5, 0), (1, 0, 0)]
    strict = Question(quantity="river_level", flags="good")
    assert [r["sum"] for r in rows(flow.summarise(history, strict, by="all"))] == [6.0]
    assert [r["sum"] for r in rows(flow.summarise(history, Question(quantity="river_level", flags="all"), by="all"))] == [16.0]


def test_a_missing_reading_counts_in_the_shares_and_in_nothing_else(tmp_path: Path) -> None:
    history = held(tmp_path, batch([T0, T0 + 1, T0 + 2, T0 + 3], [1, NAN, 3, NAN]))
    [found] = rows(flow.summarise(history, Question(quantity="river_level", flags="all"), quantiles=[0.5]))
    assert (found["count"], found["readings"], found["sum"], found["share_missing"], found["quantiles"]) == (
        2,
        4,
        4.0,
        0.5,
        [2.0],
    )


READINGS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 3 * DAY).map(lambda t: T0 - DAY + t),
        st.integers(-400, 400).map(lambda v: v / 4) | st.just(NAN),
        st.sampled_from([1, 2, 3, 4]),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda r: (r[0], r[1]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    READINGS, st.integers(0, 40), st.sampled_from(["1h", "7min", "1d", "day", "all"]), st.sampled_from(["good", "usable", "all"])
)
def test_a_summary_is_that_of_the_readings_wherever_they_lie(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int, float, int]], cut: int, every: str, flags: str
) -> None:
    sites, zone = ("a", "b", "c"), "Europe/Vienna"
    several = [
        batch([r[1] for r in some], [r[2] for r in some], sites=sites, site=[r[0] for r in some], flag=[r[3] for r in some])
        for some in (told[:cut], told[cut:])
        if some
    ]
    folder = tmp_path_factory.mktemp("mine")
    spool = Spool(folder / "readings")
    spool.append(several[:1])
    compact(folder, now=NOW)
    spool.append(several)  # the first one comes again, and stays in the log
    spool.close()
    question = Question(quantity="river_level", flags=flags)
    found = rows(flow.summarise(History(folder), question, every=every, zone=zone, quantiles=[0.0, 0.5, 1.0]))

    begin = min(r[1] for r in told)
    expected: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for site, time, value, flag in told:
        match every:
            case "all":
                at = begin
            case "day":
                local = datetime.fromtimestamp(time / 1e6, ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
                at = int(local.timestamp()) * 1_000_000
            case _:
                step = round(flow.seconds_of(every) * 1e6)
                at = time // step * step
        expected.setdefault((sites[site], at), []).append((value, 9 if math.isnan(value) else flag))
    assert [(r["place"], datetime.fromisoformat(str(r["from"]))) for r in found] == [
        (place, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)) for place, at in sorted(expected)
    ]
    for row, (_, readings) in zip(found, sorted(expected.items()), strict=True):
        used = [value for value, flag in readings if flag in flow.FLAGS[flags]]
        assert (row["count"], row["readings"]) == (len(used), len(readings))
        assert row["share_suspect"] == pytest.approx(sum(flag == 3 for _, flag in readings) / len(readings))
        if used:
            assert row["sum"] == pytest.approx(sum(used))
            assert row["mean"] == pytest.approx(sum(used) / len(used))
            assert row["quantiles"] == pytest.approx([min(used), float(np.median(used)), max(used)])
        else:
            assert (row["sum"], row["mean"], row["min"]) == (None, None, None)


def test_aggregates_of_old_hours_add_up_with_the_young_readings(tmp_path: Path) -> None:
    times = T0 + np.arange(4 * 24 * 60) * MINUTE
    history = held(tmp_path, batch(times, np.arange(times.size) % 11, flag=1 + np.arange(times.size) % 3))
    asked = {"by": "all", "every": "day"}
    before = rows(flow.summarise(history, LEVELS, **asked))
    compact(tmp_path, now=NOW, keep_raw=timedelta(days=29))
    after = rows(flow.summarise(history, LEVELS, **asked))
    assert history.measures()[0].aggregated == 2 * 1440
    for name in ("from", "count", "sum", "min", "max", "readings", "share_good", "share_suspect"):
        assert [r[name] for r in after] == [r[name] for r in before], name
    told = rows(flow.summarise(history, LEVELS, quantiles=[0.5], **asked))
    assert [r["quantiles"] is None for r in told] == [True, True, False, False]
    with pytest.raises(InputError, match=r"up to 2026-03-03T00:00:00\+00:00 only one-hour aggregates are kept"):
        flow.summarise(history, LEVELS, every="10min")
    with pytest.raises(InputError, match="one-hour aggregates"):
        flow.gaps(history, LEVELS, longer_than_s=60)
    young = Question(quantity="river_level", since=datetime(2026, 3, 3, tzinfo=UTC))
    assert len(rows(flow.summarise(history, young, every="10min"))) == 2 * 144


def test_gaps_are_found_between_readings_and_at_the_ends_and_where_a_site_was_never_heard(tmp_path: Path) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    history = held(tmp_path, batch([T0 + HOUR, T0 + 2 * HOUR, T0 + 9 * HOUR], [1, 2, 3]), batch([T0 + 5 * HOUR], [NAN]))
    [inner] = rows(flow.gaps(history, LEVELS, longer_than_s=3601))
    assert inner == {"site": "weir", "from": "2026-03-01T02:00:00Z", "to": "2026-03-01T09:00:00Z", "gap_s": 25200.0}
    asked = Question(quantity="river_level", sites=("weir", "mill"), since=day, until=day + timedelta(hours=12))
    told = [(r["site"], r["gap_s"] / 3600) for r in rows(flow.gaps(history, asked, longer_than_s=1800))]  # type: ignore[operator]
    assert told == [("mill", 12), ("weir", 1), ("weir", 1), ("weir", 7), ("weir", 3)]


SPOTS = {
    "weir": Spot(9.7, 47.4, "The weir", "north"),
    "quay": Spot(179.9, -10.0, "The quay", "south"),
    "mill": Spot(-179.9, -10, "", "south"),
}


def test_a_box_or_a_zone_leaves_out_all_other_sites_and_a_box_may_cross_the_180th_meridian(tmp_path: Path) -> None:
    history = held(tmp_path, batch([T0, T0, T0], [1, 2, 3], sites=("weir", "quay", "mill"), site=[0, 1, 2]))

    def sites(**asked: object) -> list[object]:
        question = Question(quantity="river_level", **asked)  # type: ignore[arg-type]
        return [r["place"] for r in rows(flow.summarise(history, question, spots=SPOTS))]

    assert sites(box=(9, 47, 10, 48)) == ["weir"]
    assert sites(box=(179, -11, -179, -9)) == ["mill", "quay"]
    assert sites(zones=("south",), sites=("quay", "weir")) == ["quay"]
    assert sites(box=(0, 0, 1, 1)) == []
    together = rows(flow.summarise(history, LEVELS, by="zone", spots=SPOTS))
    assert [(r["place"], r["sum"]) for r in together] == [("north", 1.0), ("south", 5.0)]
    with pytest.raises(NotFound, match="zones east: no site lies there; there are: north, south"):
        sites(zones=("east",))
    with pytest.raises(InputError, match="nobody said where the sites are"):
        flow.summarise(history, Question(quantity="river_level", box=(0, 0, 1, 1)))


HOSTILE = ["'; DROP TABLE seen; --", "$raw", "=cmd()", 'a"b', "x,y\nz"]


def test_a_hostile_name_is_only_ever_a_name(tmp_path: Path) -> None:
    told = batch([T0] * 5, range(5), sites=tuple(HOSTILE), site=range(5))
    history = held(tmp_path, told)
    found = rows(flow.summarise(history, Question(quantity="river_level", sites=tuple(HOSTILE))))
    assert [r["place"] for r in found] == sorted(HOSTILE)
    with pytest.raises(NotFound):
        flow.summarise(history, Question(quantity="river_level'); --"))
    with pytest.raises(InputError, match="there is none of this name"):
        flow.summarise(history, LEVELS, every="day", zone="UTC'); --")
    target = tmp_path / "out.csv"
    assert flow.export(history, LEVELS, target) == 5
    with target.open(newline="") as file:
        written = {row["site"] for row in csv.DictReader(file)}
    assert written == {"'" + name if name[0] == "=" else name for name in HOSTILE}
    flow.export(history, LEVELS, tmp_path / "out.parquet")
    assert set(pq.read_table(tmp_path / "out.parquet")["site"].to_pylist()) == set(HOSTILE)


def test_no_name_of_a_csv_is_a_formula_for_a_spreadsheet_and_no_number_is_changed(tmp_path: Path) -> None:
    names = ["=cmd|calc", "@SUM(A1)", "+1+1", "-2+3", "weir", "a=b"]
    history = held(tmp_path, batch([T0] * 6, [-1.5] * 6, sites=tuple(names), site=range(6)))
    flow.export(history, LEVELS, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows_read = list(csv.DictReader(file))
    assert sorted(row["site"] for row in rows_read) == ["'+1+1", "'-2+3", "'=cmd|calc", "'@SUM(A1)", "a=b", "weir"]
    assert {row["value"] for row in rows_read} == {"-1.5"}
    flow.write_tables([flow.summarise(history, LEVELS)], tmp_path / "sum.csv")
    with (tmp_path / "sum.csv").open(newline="") as file:
        assert "'=cmd|calc" in {row["place"] for row in csv.DictReader(file)}


def test_a_broken_part_is_left_out_of_a_sum_and_told(tmp_path: Path) -> None:
    history = held(tmp_path, batch([T0, T0 - 400 * DAY], [1, 2]))
    broken = next((tmp_path / "history").rglob("2026/*.parquet"))
    broken.write_bytes(broken.read_bytes()[:-9])
    assert [r["sum"] for r in rows(flow.summarise(history, LEVELS))] == [2.0]
    assert "left out" in history.damage[0]


def test_an_export_is_read_back_by_others_and_by_our_own_reader(tmp_path: Path) -> None:
    times = T0 + np.arange(50) * MINUTE
    history = held(tmp_path, batch(times, np.r_[np.arange(49) / 8, NAN], sites=("weir",)))
    everything = Question(quantity="river_level", flags="all")
    assert flow.export(history, everything, tmp_path / "a.csv", spots=SPOTS) == 50
    columns = CsvColumns(quantity=LEVEL, time="time", value="value", unit="m", site="site")
    again = read_csv(tmp_path / "a.csv", columns)
    assert again.time_us.tolist() == times.tolist()
    np.testing.assert_array_equal(again.value, history.read("river_level").value)
    flow.export(history, everything, tmp_path / "a.parquet", spots=SPOTS)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table["value"].null_count == 1
    assert set(table["unit"].to_pylist()) == {"m"}
    assert set(table["flag_meaning"].to_pylist()) == {"not_evaluated", "missing"}
    flow.export(history, everything, tmp_path / "a.geojson", spots=SPOTS)
    told = json.loads((tmp_path / "a.geojson").read_bytes())
    assert len(told["features"]) == 50
    assert told["features"][0]["geometry"] == {"type": "Point", "coordinates": [9.7, 47.4]}
    assert told["features"][-1]["properties"]["value"] is None
    flow.export(history, everything, tmp_path / "nowhere.geojson")
    assert json.loads((tmp_path / "nowhere.geojson").read_bytes())["features"][0]["geometry"] is None
    with pytest.raises(InputError, match=r"wanted \.csv, \.geojson, \.parquet"):
        flow.export(history, everything, tmp_path / "a.xls")


def test_the_newest_readings_come_by_time_and_say_that_there_are_more(tmp_path: Path) -> None:
    history = held(tmp_path, batch(T0 + np.arange(30_000) * MINUTE, np.arange(30_000) % 7))
    found, is_more = flow.newest_observations(history, LEVELS, most=3)
    assert (found.time_us.tolist(), is_more) == ([T0 + k * MINUTE for k in (29_997, 29_998, 29_999)], True)
    assert not flow.newest_observations(history, LEVELS, most=30_000)[1]


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-03-01", "Europe/Vienna", "2026-02-28T23:00:00+00:00"),
        ("2026-07-01T12:00", "Europe/Vienna", "2026-07-01T10:00:00+00:00"),
        ("2026-07-01T12:00Z", None, "2026-07-01T12:00:00+00:00"),
        ("2026-07-01T12:00-03:00", "Europe/Vienna", "2026-07-01T15:00:00+00:00"),
    ],
)
def test_a_moment_is_in_its_own_zone_or_in_the_one_that_is_named(text: str, zone: str | None, moment: str) -> None:
    assert flow.moment_of(text, zone).isoformat() == moment


@pytest.mark.parametrize(
    ("text", "zone"), [("2026-07-01", None), ("soon", "UTC"), ("2026-07-01", "Mars/Base"), ("2026-13-01", "UTC")]
)
def test_a_moment_that_is_not_sure_is_refused(text: str, zone: str | None) -> None:
    with pytest.raises(InputError):
        flow.moment_of(text, zone)


@pytest.mark.parametrize("text", ["0s", "-1h", "1", "h", "nanh", "infd", "fortnight"])
def test_a_step_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="wanted a duration"):
        flow.every_of(text)


def test_settings_are_read_from_history_toml_and_a_slip_is_told(tmp_path: Path) -> None:
    assert flow.read_settings(tmp_path).keep_raw is None
    (tmp_path / "history.toml").write_text("keep_raw_days = 90\n")
    assert flow.read_settings(tmp_path).keep_raw == timedelta(days=90)
    for slip in ("keep_raw_day = 90", "keep_raw_days = 0.5", "compact_every_s = 1", "x"):
        (tmp_path / "history.toml").write_text(slip)
        with pytest.raises(InputError, match=r"history\.toml"):
            flow.read_settings(tmp_path)
