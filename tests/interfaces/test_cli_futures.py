"""Futures from the command line: run from a scenario file, stopped, gone on with, shown, and used by a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_place import build_place, run

from tocsin.flows.futures import open_futures, run_futures
from tocsin.interfaces.storm import read_storm, scenario_from
from tocsin.pack import find_pack
from tocsin.platform.futures import RUNS, FuturesFolder, StoredFutures
from tocsin.platform.twin import open_twin
from tocsin.vocabulary import Conflict, InputError, NotFound

STORM = """
hazard = "flood"
duration = "2h"
members = 6
seed = 3

[series]
"level@lake" = { level = "2.1m", rise = "30min", source = "city bulletin 7" }

[knobs.level_offset_m]
shape = "normal"
usual = 0.0
sd = 0.2
low = -0.5
high = 0.5
source = "the centre's own errors, 2019-2025"

[knobs.manning_factor]
shape = "choice"
values = [0.7, 1.0, 1.5]
shares = [1, 2, 1]
"""


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def storm(tmp_path: Path) -> Path:
    path = tmp_path / "storm.toml"
    path.write_text(STORM)
    return path


def scenario_of_file(twin: Path, storm: Path, **more: int):  # type: ignore[no-untyped-def]
    place = open_twin(twin)
    world, model = place.world(place.manifest.created), find_pack("flood").models[0]
    return scenario_from(read_storm(storm), world, model, where="storm.toml", folder=storm.parent, **more)


def test_a_scenario_file_runs_and_the_folder_says_what_it_holds(twin: Path, storm: Path, tmp_path: Path) -> None:
    code, out, err = run("futures", "run", twin, "--scenario", storm, "--save", tmp_path / "futures", "--json")
    assert code == 0, err
    assert (json.loads(out)["done"], json.loads(out)["members"]) == (6, 6)
    told = json.loads(run("futures", "show", tmp_path / "futures", "--verify", "--json")[1])
    assert (told["verified"], told["seed"], told["hazard"], told["duration_s"]) == (6, 3, "flood", 7200.0)
    assert told["twin_digest"] == open_twin(twin).digest
    assert told["asked"]["level@lake"] == "2.1m (city bulletin 7)"
    assert told["knobs"]["level_offset_m"]["source"] == "the centre's own errors, 2019-2025"
    text = run("futures", "show", tmp_path / "futures")[1]
    assert "6 of 6 futures" in text
    assert "uncertain: level_offset_m normal -0.5 .. 0 .. 0.5, sd 0.2" in text


def test_more_members_keep_the_futures_that_are_there(twin: Path, storm: Path, tmp_path: Path) -> None:
    few, many = tmp_path / "grown", tmp_path / "at-once"
    assert run("futures", "run", twin, "--scenario", storm, "--members", "3", "--save", few)[0] == 0
    before = (few / RUNS).read_bytes()
    assert run("futures", "run", twin, "--scenario", storm, "--members", "7", "--save", few)[0] == 0
    assert (few / RUNS).read_bytes().startswith(before)
    assert run("futures", "run", twin, "--scenario", storm, "--members", "7", "--save", many)[0] == 0
    one, other = (open_futures(open_twin(twin), folder).foreseen for folder in (few, many))
    np.testing.assert_array_equal(one.footprint.peak, other.footprint.peak)
    np.testing.assert_array_equal(one.footprint.companions["flood_speed"], other.footprint.companions["flood_speed"])
    assert [(f.seed, f.knobs) for f in one.futures] == [(f.seed, f.knobs) for f in other.futures]


class Stop(BaseException):
    """As Ctrl-C is."""


def test_what_is_stopped_is_whole_and_goes_on(twin: Path, storm: Path, tmp_path: Path) -> None:
    place, folder = open_twin(twin), tmp_path / "futures"
    scenario = scenario_of_file(twin, storm)

    def stop_at_three(done: int, total: int) -> None:
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        run_futures(place, "flood", scenario, folder, time=place.manifest.created, on_done=stop_at_three)
    stored = StoredFutures(folder)
    assert (len(stored.done), stored.broken()) == (3, [])
    assert len(open_futures(place, folder).foreseen.futures) == 3
    ran: list[int] = []
    kept = run_futures(place, "flood", scenario, folder, time=place.manifest.created, on_done=lambda d, n: ran.append(d))
    assert (kept.done, ran) == (6, [3, 4, 5, 6])


def test_a_future_that_was_cut_off_between_its_fields_and_its_line_is_run_again(twin: Path, storm: Path, tmp_path: Path) -> None:
    place, folder = open_twin(twin), tmp_path / "futures"
    scenario = scenario_of_file(twin, storm)
    run_futures(place, "flood", scenario, folder, time=place.manifest.created)
    whole = open_futures(place, folder).foreseen.footprint
    rows = (folder / RUNS).read_bytes().splitlines(keepends=True)
    (folder / RUNS).write_bytes(b"".join(rows[:4]) + rows[4][:20])  # power went while the fifth line was written
    assert len(StoredFutures(folder).done) == 4
    shard = next(p for p in sorted((folder / "fields.zarr" / "peak").rglob("*")) if p.is_file() and p.name != "zarr.json")
    shard.unlink()  # and a file of fields was never on the disk: its members' lines are not believed
    assert run_futures(place, "flood", scenario, folder, time=place.manifest.created).done == 6
    assert StoredFutures(folder).broken() == []
    np.testing.assert_array_equal(open_futures(place, folder).foreseen.footprint.peak, whole.peak)


def test_two_processes_do_not_fill_one_folder(twin: Path, storm: Path, tmp_path: Path) -> None:
    place, folder = open_twin(twin), tmp_path / "futures"
    scenario = scenario_of_file(twin, storm)
    run_futures(place, "flood", scenario, folder, time=place.manifest.created)
    with (
        FuturesFolder(folder, StoredFutures(folder).manifest),
        pytest.raises(Conflict, match="another process is filling it"),
    ):
        run_futures(place, "flood", scenario, folder, time=place.manifest.created)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("seed = 3", "seed = 4", "scenario (seed differs)"),
        ("2.1m", "2.2m", "scenario (series differs)"),
        ('"2h"', '"3h"', "scenario (duration_s differs)"),
    ],
)
def test_a_folder_of_another_scenario_is_not_gone_on_with(
    twin: Path, storm: Path, tmp_path: Path, before: str, after: str, says: str
) -> None:
    assert run("futures", "run", twin, "--scenario", storm, "--members", "1", "--save", tmp_path / "f")[0] == 0
    storm.write_text(STORM.replace(before, after))
    code, _, err = run("futures", "run", twin, "--scenario", storm, "--members", "1", "--save", tmp_path / "f")
    assert code == 1
    assert says in err


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("sd = 0.2", "sd = -1", "knobs.level_offset_m: spread: normal with sd = -1"),
        ("sd = 0.2", "width = 0.2", "unknown field `width`"),
        ("[knobs.manning_factor]", "[knobs.manning]", "no knob 'manning'"),
        ("high = 0.5", "high = 9.0", "outside -3.0..3.0"),
        ('level = "2.1m"', 'level = "2.1"', "has no unit"),
        ("shares = [1, 2, 1]", "shares = [1, 2]", "2 shares for 3 values"),
        ('shape = "normal"', 'shape = "cauchy"', "cauchy"),
        ('"level@lake" = {', '"level@pond" = {', "pond"),
        ('level = "2.1m", rise = "30min"', 'file = "none.csv"', "none.csv"),
        ('duration = "2h"', "", "duration"),
    ],
)
def test_a_scenario_file_that_cannot_be_meant_is_refused_with_the_place(
    twin: Path, storm: Path, tmp_path: Path, before: str, after: str, says: str
) -> None:
    assert before in STORM
    storm.write_text(STORM.replace(before, after))
    code, out, err = run("futures", "run", twin, "--scenario", storm, "--save", tmp_path / "f")
    assert (code, out) == (1, "")
    assert says in err
    assert "storm.toml" in err or "none.csv" in err or "pond" in err
    assert not (tmp_path / "f").exists()


def test_storms_that_were_may_be_files_or_written_down(twin: Path, tmp_path: Path) -> None:
    (tmp_path / "rain.csv").write_text("time [h],rain [mm/h]\n0,5\n1,20\n2,0\n")
    storm = tmp_path / "storm.toml"
    storm.write_text("""
duration = "2h"
members = 8
[[analogues]]
name = "2023"
series = { rain = { file = "rain.csv", source = "gauge 7" } }
[[analogues]]
name = "2024"
share = 3
series = { rain = { time_h = [0, 1], value = [50, 0], unit = "mm/h" } }
""")
    scenario = scenario_of_file(twin, storm)
    first, second = scenario.analogues
    assert first.series["rain"].value.max() == 20.0
    assert (second.series["rain"].time_s.tolist(), second.share) == ([0.0, 3600.0], 3.0)
    code, _, err = run("futures", "run", twin, "--scenario", storm, "--save", tmp_path / "f")
    assert code == 0, err
    names = [f.analogue for f in open_futures(open_twin(twin), tmp_path / "f").foreseen.futures]
    assert (names.count("2023"), names.count("2024")) == (2, 6)


def test_what_holds_no_futures_is_refused(twin: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no futures"):
        open_futures(open_twin(twin), tmp_path)
    (tmp_path / "letters.txt").write_text("dear")
    storm = tmp_path / "storm.toml"
    storm.write_text(STORM)
    code, _, err = run("futures", "run", twin, "--scenario", storm, "--save", tmp_path)
    assert code == 1
    assert "and no futures" in err


def test_futures_of_another_twin_are_refused(twin: Path, storm: Path, tmp_path: Path) -> None:
    assert run("futures", "run", twin, "--scenario", storm, "--members", "1", "--save", tmp_path / "f")[0] == 0
    other = build_place(tmp_path / "other", "--time-zone", "Europe/Madrid")
    with pytest.raises(InputError, match="of the twin"):
        open_futures(open_twin(other), tmp_path / "f")


def test_a_knob_may_be_told_in_short_and_a_wrong_one_is_named() -> None:
    from tocsin.interfaces.storm import storm_of

    with pytest.raises(InputError, match=r"here: series\.level@lake: Expected `object`.*wanted e\.g\. \{ value"):
        storm_of({"duration": "2h", "series": {"level@lake": "5m"}}, where="here")
    with pytest.raises(InputError, match=r"here: knobs\.level_offset_m: .*shape"):
        storm_of({"duration": "2h", "knobs": {"level_offset_m": {"shape": "square"}}}, where="here")
    assert storm_of({"duration": "2h", "knobs": {"a": 1, "b": "0..1"}}, where="here").knobs == {"a": 1, "b": "0..1"}
