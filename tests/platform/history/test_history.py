"""A reading is found once, wherever it lies: in the log, in a part, in both, or in a part that came later."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from history_place import DAY, HOUR, LEVEL, MINUTE, NOW, RAIN, T0, Oracle, batch, rows_of

from tocsin.edge import Spool
from tocsin.platform.history import History, compact
from tocsin.vocabulary import Conflict, InputError, NotFound, Observations, Quantity


def parts(data: Path) -> list[Path]:
    return sorted((data / "history").glob("*/*/*/*.parquet"))


def test_a_reading_is_found_in_the_log_and_after_compaction_the_same(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    told = batch([T0 + 3, T0 + 1, T0 + 2], [1.5, -0.0, float("nan")], sites=("weir", "quay"), site=[0, 1, 0])
    spool.append([told])
    before = History(tmp_path).read("river_level")
    report = compact(tmp_path, now=NOW)
    after = History(tmp_path).read("river_level")
    assert (report.readings, report.again, report.damage) == (3, 0, ())
    assert rows_of(before) == rows_of(after) == sorted(rows_of(told))
    assert after.quantity == LEVEL


def test_a_reader_sees_what_is_written_while_it_is_open(tmp_path: Path) -> None:
    spool, history = Spool(tmp_path / "readings"), None
    for k in range(5):
        spool.append([batch([T0 + k], [k])])
        history = history or History(tmp_path)
        assert len(history.read("river_level")) == k + 1
        if k % 2:
            compact(tmp_path, now=NOW)
            assert len(history.read("river_level")) == k + 1


def test_what_comes_again_after_its_compaction_is_kept_once_and_a_second_value_for_a_moment_is_kept_too(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    spool.append([batch([T0, T0 + 1], [1, 2])])
    compact(tmp_path, now=NOW)
    spool.append([batch([T0, T0 + 1], [1, 2.5])])
    assert list(History(tmp_path).read("river_level").value) == [1, 2, 2.5]
    report = compact(tmp_path, now=NOW)
    assert (report.readings, report.again) == (1, 1)
    assert list(History(tmp_path).read("river_level").value) == [1, 2, 2.5]


def test_the_tail_of_the_log_is_compacted_too_and_the_node_writes_on_behind_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    for k in range(3):
        spool.append([batch([T0 + k * HOUR], [k])])
        assert compact(tmp_path, now=NOW).readings == 1
    assert compact(tmp_path, now=NOW).readings == 0
    assert len(History(tmp_path).read("river_level")) == 3


def test_the_node_is_told_which_segments_are_in_the_history_and_the_growing_one_never_is(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings", segment_bytes=100)
    for k in range(4):
        spool.append([batch([T0 + k], [k])])
    assert len(list((tmp_path / "readings").glob("*.log"))) == 4
    compact(tmp_path, now=NOW)
    assert json.loads((tmp_path / "history" / "compacted.json").read_bytes()) == {"through": 3}


def test_a_segment_that_was_cut_back_and_written_on_is_read_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    spool.append([batch([T0], [1]), batch([T0 + 1], [2])])
    compact(tmp_path, now=NOW)
    spool.close()
    segment = next((tmp_path / "readings").glob("*.log"))
    whole = segment.read_bytes()
    with segment.open("r+b") as file:
        file.truncate(len(whole) // 2)
    again = Spool(tmp_path / "readings")
    again.append([batch([T0 + 7], [7]), batch([T0 + 8], [8])])
    assert list(History(tmp_path).read("river_level").value) == [1, 2, 7, 8]
    assert compact(tmp_path, now=NOW).readings == 2
    assert list(History(tmp_path).read("river_level").value) == [1, 2, 7, 8]


def test_a_part_of_a_group_that_came_over_the_uplink_is_not_taken_before_the_whole_is_there(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    spool.append([batch([T0], [1])])
    spool.append([batch([T0 + 1], [2]), batch([T0 + 2], [3])], origin=("far", 2))
    spool.close()
    segment = next((tmp_path / "readings").glob("*.log"))
    with segment.open("r+b") as file:
        file.truncate(segment.stat().st_size - 3)
    assert compact(tmp_path, now=NOW).readings == 1
    again = Spool(tmp_path / "readings")
    again.append([batch([T0 + 1], [2]), batch([T0 + 2], [3])], origin=("far", 2))
    assert compact(tmp_path, now=NOW).readings == 2


def test_two_units_of_one_quantity_are_never_mixed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    feet = Quantity("river_level", "ft")
    spool.append([batch([T0], [1]), batch([T0 + 1], [10], quantity=feet)])
    for _ in range(2):
        history = History(tmp_path)
        with pytest.raises(InputError, match="is there in ft, m"):
            history.read("river_level")
        assert history.read("river_level", unit="ft").value.tolist() == [10]
        assert history.read("river_level", unit="m").value.tolist() == [1]
        compact(tmp_path, now=NOW)


def test_a_quantity_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    Spool(tmp_path / "readings").append([batch([T0], [1])])
    with pytest.raises(NotFound, match=r"no observations of wind; there are: river_level \[m\]"):
        History(tmp_path).read("wind")
    with pytest.raises(NotFound, match="holds no observations; wanted the data folder"):
        History(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "site", ["../../etc/passwd", "/abs", "a/b", "x\x00y", "\n", "'; DROP TABLE seen; --", "ü" * 200, "..", ""]
)
def test_a_site_is_data_and_never_a_path(tmp_path: Path, site: str) -> None:
    data = tmp_path / "data"
    spool = Spool(data / "readings")
    spool.append([batch([T0, T0 + 1], [1, 2], sites=(site, "weir"), site=[0, 1])])
    compact(data, now=NOW)
    assert History(data).read("river_level", sites=[site]).sites == (site,)
    assert [p.relative_to(data / "history").as_posix() for p in parts(data)] == ["raw/river_level/2026/0000000001.parquet"]
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_quantity_whose_name_is_no_safe_path_lies_in_a_folder_of_its_own(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    names = ["水位", "x" * 300, "River_Level"]
    spool.append([batch([T0], [k], quantity=Quantity(name, "m")) for k, name in enumerate(names)])
    compact(tmp_path, now=NOW)
    assert {p.parent.parent.name for p in parts(tmp_path)} == {"other"}
    assert [History(tmp_path).read(name).value.tolist() for name in names] == [[0], [1], [2]]


def test_a_clock_that_names_every_year_makes_one_part_and_not_thousands(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    wild = np.linspace(-(2**62), 2**62, 500).astype(np.int64)
    far = [t for t in wild.tolist() if abs(t) > 2**52]
    told = batch([*far, -(2**63), 2**63 - 1, T0], range(len(far) + 3), late_us=0)
    spool.append([told])
    compact(tmp_path, now=NOW)
    assert len(parts(tmp_path)) == 2
    assert len(History(tmp_path).read("river_level")) == len(told)


def test_ten_years_of_one_hourly_gauge_are_ten_parts_and_a_busy_day_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.platform.history.compaction.SMALL_ROWS", 10_000)
    spool = Spool(tmp_path / "readings")
    hours = T0 - np.arange(87_600) * HOUR
    spool.append([batch(hours, np.arange(hours.size), quantity=RAIN)])
    busy = T0 + np.arange(12_000) * 7_000_000
    spool.append([batch(busy[k : k + 1000], busy[k : k + 1000] % 97) for k in range(0, busy.size, 1000)])
    compact(tmp_path, now=NOW)
    labels = [p.parent.name for p in parts(tmp_path) if p.parent.parent.name == "rain_amount"]
    assert len(labels) == 11
    assert set(map(len, labels)) == {4}
    assert [p.parent.name for p in parts(tmp_path) if p.parent.parent.name == "river_level"] == ["2026-03-01"]
    assert len(History(tmp_path).read("rain_amount")) == 87_600
    assert len(History(tmp_path).read("river_level")) == 12_000


def test_small_parts_grow_together_and_a_year_that_grows_large_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.platform.history.compaction.SMALL_ROWS", 500)
    spool, oracle = Spool(tmp_path / "readings"), Oracle()
    chance = np.random.default_rng(4)
    for k in range(40):
        several = [batch(T0 + k * 3 * HOUR + chance.integers(0, 4 * HOUR, 50), chance.normal(size=50))]
        spool.append(several)
        oracle.append(several)
        compact(tmp_path, now=NOW)
    assert rows_of(History(tmp_path).read("river_level")) == oracle.read(LEVEL)
    labels = {p.parent.name for p in parts(tmp_path)}
    assert "2026-03-01" in labels
    assert len(parts(tmp_path)) < 20


def test_old_readings_become_one_hour_aggregates_and_what_went_is_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    times = T0 + np.arange(3 * 24 * 60) * MINUTE
    spool.append([batch(times, np.arange(times.size) % 10)])
    report = compact(tmp_path, now=NOW, keep_raw=timedelta(days=30))
    kept = History(tmp_path).read("river_level")
    assert int(kept.time_us.min()) == T0 + DAY
    assert [(g.quantity, g.readings, g.until_us) for g in report.gone] == [("river_level", 1440, T0 + DAY)]
    held = History(tmp_path).measures()[0]
    assert (held.readings, held.aggregated, held.aggregated_until_us) == (2880, 1440, T0 + DAY)
    hourly = pq.read_table(next((tmp_path / "history" / "hourly").rglob("*.parquet")))
    assert hourly.num_rows == 24
    assert hourly["readings"].to_pylist() == [60] * 24
    assert hourly["total"].to_pylist() == [270.0] * 24
    assert compact(tmp_path, now=NOW, keep_raw=timedelta(days=30)).gone == ()


def test_an_hour_that_is_an_aggregate_takes_no_more_and_says_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    spool.append([batch([T0, T0 + 5 * DAY], [1, 2])])
    compact(tmp_path, now=NOW, keep_raw=timedelta(days=29))
    spool.append([batch([T0, T0 + 1, T0 + 2 * HOUR], [1, 3, 4])])
    assert History(tmp_path).read("river_level").value.tolist() == [4, 2]
    report = compact(tmp_path, now=NOW, keep_raw=timedelta(days=29))
    assert (report.too_late, report.readings) == (2, 1)
    assert [g.readings for g in report.gone] == [1]


def test_keeping_raw_readings_for_less_than_a_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wanted at least one day"):
        compact(tmp_path, now=NOW, keep_raw=timedelta(hours=3))


def test_two_compactions_at_once_are_refused(tmp_path: Path) -> None:
    from tocsin.platform.history.compaction import _only_one

    with _only_one(tmp_path / "history"), pytest.raises(Conflict, match="another compaction is running"):
        compact(tmp_path, now=NOW)


def test_a_reader_that_is_overtaken_by_a_compaction_looks_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    history = None
    for k in range(2):
        spool.append([batch(T0 + np.arange(100) * MINUTE + k, range(100))])
        history = history or History(tmp_path)
        assert len(history.read("river_level")) == 100 * (k + 1)
        if k == 0:
            compact(tmp_path, now=NOW)

    tries = 0

    def look(view: object) -> Observations:
        nonlocal tries
        tries += 1
        if tries == 1:
            compact(tmp_path, now=NOW)
            history.lost(view.raw[0], "gone")
        return history.read("river_level")

    assert len(history.looking("river_level", look)) == 200
    assert tries == 2


def full_spool(folder: Path, *, history: Path | None) -> Spool:
    return Spool(folder / "readings", segment_bytes=100, keep_bytes=700, history=history)


def test_what_a_full_log_lets_go_is_no_loss_where_the_history_has_it(tmp_path: Path) -> None:
    with closing(full_spool(tmp_path, history=tmp_path / "history")) as spool:
        for k in range(30):
            spool.append([batch([T0 + k * HOUR], [k])])
            compact(tmp_path, now=NOW)
        assert spool.dropped_readings > 20
        assert (spool.unkept_readings, spool.news) == (0, [])
    assert len(History(tmp_path).read("river_level")) == 30


def test_what_a_full_log_lets_go_before_the_history_had_it_is_counted_told_and_stays_counted(tmp_path: Path) -> None:
    with closing(full_spool(tmp_path, history=tmp_path / "history")) as spool:
        for k in range(3):
            spool.append([batch([T0 + k * HOUR], [k])])
        compact(tmp_path, now=NOW)
        for k in range(3, 30):
            spool.append([batch([T0 + k * HOUR], [k])])
        compact(tmp_path, now=NOW)
        kept = len(History(tmp_path).read("river_level"))
        assert spool.unkept_readings == 30 - kept + 1 > 1  # the segment that grew at the first compaction does not count as there
        assert sum(one.readings for one in spool.news) == spool.unkept_readings
        lost = spool.unkept_readings
    with closing(full_spool(tmp_path, history=tmp_path / "history")) as spool:
        assert spool.unkept_readings == lost


@pytest.mark.parametrize("cursor", [None, b"", b"[]", b'{"through": "all"}', b'{"through": -1}'])
def test_where_nothing_says_what_the_history_has_it_is_taken_to_have_nothing(tmp_path: Path, cursor: bytes | None) -> None:
    if cursor is not None:
        (tmp_path / "history").mkdir()
        (tmp_path / "history" / "compacted.json").write_bytes(cursor)
    with closing(full_spool(tmp_path, history=tmp_path / "history")) as spool:
        for k in range(30):
            spool.append([batch([T0 + k * HOUR], [k])])
        assert spool.unkept_readings == spool.dropped_readings > 20


def test_a_node_without_a_history_lets_its_oldest_go_as_before(tmp_path: Path) -> None:
    with closing(full_spool(tmp_path, history=None)) as spool:
        for k in range(30):
            spool.append([batch([T0 + k * HOUR], [k])])
        assert spool.dropped_readings > 20
        assert (spool.unkept_readings, spool.news) == (0, [])
