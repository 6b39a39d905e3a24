"""A simulation from the command line: what is asked, what is told, what is saved, and what cannot be meant."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from cli_place import COLS, LAKE_COLS, ROWS, build_place, run

from tocsin.flows.information import foresee, land_of, report_of
from tocsin.interfaces.cli.scenario import Asked, scenario_of
from tocsin.pack import find_pack
from tocsin.platform.forecasts import StoredForecast
from tocsin.platform.twin import open_twin

PROGRAM = [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()"]


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert "flood" in entry_points(group="tocsin.packs").names, "Tocsin is not installed: python -m pip install -e ."
    return build_place(tmp_path_factory.mktemp("place"))


def flood(twin: Path, *words: str | Path) -> tuple[int, str, str]:
    return run("simulate", "flood", twin, "--hours", "2", "--rise", "30min", *words)


def test_a_level_floods_the_ground_below_it_and_no_more(twin: Path) -> None:
    code, out, _ = flood(twin, "--level", "2.1m@lake", "--json")
    told = json.loads(out)
    assert code == 0
    # 1.0, 1.2, ... 1.8 m lie more than 0.1 m below 2.1 m: five columns of 16 cells of 50 m, less a little that drains at the open edge;
    # in the first of them the water is 1.1 m deep
    assert told["ground"]["ground_reached"]["mean"] == pytest.approx(5 * ROWS * 0.0025, abs=0.01)
    assert told["ground"]["peak_highest"]["mean"] == pytest.approx(1.1, abs=0.05)
    # people live from column 7 on, 10 by night in each of 12 cells of a column; above 0.3 m are columns 7 to 9
    assert told["night"]["people_in_danger"]["mean"] == pytest.approx(3 * 12 * 10)
    assert [z["zone"] for z in told["zones"]] == ["Shore", "Hill"]
    assert told["zones"][1]["in_danger_night"]["mean"] == 0.0
    assert told["made_up"] is True
    assert told["balance_error_share_worst"] < 1e-6
    assert told["limits"]
    assert told["source"]


def test_a_lake_is_left_out_of_a_flood_and_counts_for_a_gas(twin: Path) -> None:
    place, pack = open_twin(twin), find_pack("flood")
    now = place.manifest.created
    scenario = scenario_of(place.world(now), pack.models[0], Asked(["2.1m@lake"], None, [], "30min", "", 2.0, 1, 0, []))
    result = foresee(place, "flood", scenario, time=now)
    lake = np.zeros((ROWS, COLS), bool)
    lake[:, :LAKE_COLS] = True
    np.testing.assert_array_equal(land_of(result), ~lake.reshape(-1))
    assert land_of(msgspec.structs.replace(result, pack=find_pack("chemical"))).all()


def test_the_command_and_a_notebook_get_the_same_answer(twin: Path) -> None:
    told = json.loads(flood(twin, "--level", "2.1m@lake", "--json")[1])
    place, pack = open_twin(twin), find_pack("flood")
    now = place.manifest.created
    asked = Asked(["2.1m@lake"], None, [], "30min", "", 2.0, 1, 0, [])
    scenario = scenario_of(place.world(now), pack.models[0], asked)
    report = report_of(foresee(place, "flood", scenario, time=now, asked=asked.words()))
    assert told["night"]["people_in_danger"]["mean"] == report.night["people_in_danger"].mean
    assert told["asked"] == report.asked


def test_people_read_a_page_with_the_place_marked_as_made_up(twin: Path) -> None:
    code, out, _ = flood(twin, "--level", "2.1m@lake")
    assert code == 0
    for words in (
        "Shoreham  MADE UP: flood over 2 h, one future",
        "people in danger",
        "streets cut, km",
        "hospitals under water",
        "limits: no sewers",
    ):
        assert words in out


def test_several_futures_tell_their_doubt_and_repeat(twin: Path) -> None:
    words = ("--level", "2.1m@lake", "--members", "6", "--seed", "3", "--knob", "level_offset_m=-0.5..0.5", "--json")
    told, again = (json.loads(flood(twin, *words)[1]) for _ in range(2))
    people = told["night"]["people_in_danger"]
    assert people["low"] < people["mean"] < people["high"]
    assert told["spreads"]["level_offset_m"] == [-0.5, 0.0, 0.5]
    assert told["night"] == again["night"]
    other = json.loads(flood(twin, *words, "--seed", "4")[1])
    assert other["night"] != told["night"]


def test_rain_and_inflow_come_from_files_and_a_hydrograph_may_stand_for_a_level(twin: Path, tmp_path: Path) -> None:
    rain, stage = tmp_path / "rain.csv", tmp_path / "stage.csv"
    rain.write_text("time [h],rain [mm/h]\n0,60\n1,0\n2,0\n")
    stage.write_text("time [h],level [cm]\n0,0\n1,150\n2,150\n")
    told = json.loads(flood(twin, "--rain", rain, "--level", f"{stage}@lake", "--json")[1])
    assert told["ground"]["peak_highest"]["mean"] > 0.5
    assert told["asked"]["rain"] == str(rain)


def test_a_result_is_saved_in_each_format_and_read_again(twin: Path, tmp_path: Path) -> None:
    folder, tif, parquet, png = (tmp_path / f"out.{ending}" for ending in ("zarr", "tif", "parquet", "png"))
    words = (
        "--members",
        "3",
        "--frames-every",
        "1h",
        "--save",
        folder,
        "--save",
        tif,
        "--save",
        parquet,
        "--picture",
        png,
        "--json",
    )
    code, out, err = flood(twin, "--level", "2.1m@lake", *words)
    assert code == 0, err
    assert json.loads(out)["written"] == [str(p) for p in (folder, tif, parquet, png)]
    stored = StoredForecast(folder)
    assert stored.verify()
    assert (stored.meta.made_up, stored.meta.members, stored.meta.frame_s) == (True, 3, (3600.0, 7200.0))
    with rasterio.open(tif) as raster:
        assert (raster.count, raster.height, raster.width, raster.tags()["MADE_UP"]) == (5, ROWS, COLS, "true")
        assert raster.descriptions[1].startswith("peak flood_depth, 50 %")
        assert float(raster.read(2)[8, LAKE_COLS]) == pytest.approx(
            float(np.median(stored.footprint().peak, axis=0).reshape(ROWS, COLS)[8, LAKE_COLS])
        )
    rows = pq.read_table(parquet).to_pylist()
    assert {row["kind"] for row in rows} == {"zone", "road"}
    assert all(row["made_up"] for row in rows)
    assert {row["state"] for row in rows if row["kind"] == "road"} <= {"cut", "slowed"}
    assert png.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.parquet", "out.png", "out.tif", "out.zarr"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing drives it; give forcings, e.g. --drive inflow@LINE=inflow.csv"),
        (("--level", "2m"), "no place is named"),
        (("--level", "2@lake"), "it has no unit"),
        (("--level", "2m@sea"), "no water"),
        (("--level", "200m@lake"), "outside -5..60 m"),
        (("--level", "2m@lake", "--level", "3m@lake"), "level@lake is given already"),
        (("--level", "2m@lake", "--knob", "magic=1"), "no knob 'magic'; there are: inflow_factor"),
        (("--level", "2m@lake", "--knob", "rain_factor=99"), "outside 0.0..5.0"),
        (("--level", "2m@lake", "--model", "crystal_ball"), "no model 'crystal_ball'; there are: water_runs"),
        (("--level", "2m@lake", "--start", "soon"), "--start 'soon'"),
        (("--rain", "absent.csv"), "absent.csv: there is no such file"),
        (("--inflow", "absent.csv"), "lines of sort inflow in the twin: none"),
        (("--level", "2m@lake", "--save", "out.doc"), "wanted .zarr"),
        (("--level", "2m@lake", "--save", "absent/out.tif"), "there is no folder"),
        (("--level", "2m@lake", "--frames-every", "1s", "--members", "1000"), "GB; wanted at most 2 GB"),
        (("--level", "2m@lake", "--members", "0"), "--members"),
        (("--level", "2m@lake", "--hours", "nan"), "hours"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(
    twin: Path, words: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = flood(twin, *words)
    assert code in (1, 2)
    assert out == ""
    assert says in err
    assert "bug of Tocsin" not in err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_hazard_is_told_with_those_that_there_are(twin: Path) -> None:
    code, _, err = run("simulate", "plague", twin, "--level", "2m@lake")
    assert code == 1
    assert "no pack for 'plague'; installed: " in err


def test_a_folder_that_holds_something_else_is_not_replaced(twin: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.zarr"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    code, _, err = flood(twin, "--level", "2m@lake", "--save", mine)
    assert code == 1
    assert "holds something else" in err
    assert (mine / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("ending", ["zarr", "tif", "parquet", "png"])
def test_a_full_disk_is_told_and_leaves_no_half_of_a_result(twin: Path, tmp_path: Path, ending: str) -> None:
    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))

    option = "--picture" if ending == "png" else "--save"
    done = subprocess.run(
        [
            *PROGRAM,
            "simulate",
            "flood",
            str(twin),
            "--level",
            "2m@lake",
            "--hours",
            "1",
            option,
            str(tmp_path / f"out.{ending}"),
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_disk,
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["error"]["kind"] == "Unavailable", done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_the_middle_ends_with_130_and_leaves_nothing(twin: Path, tmp_path: Path) -> None:
    words = ["--level", "2m@lake", "--hours", "100", "--members", "20000", "--save", str(tmp_path / "out.zarr"), "--json"]
    child = subprocess.Popen(
        [*PROGRAM, "simulate", "flood", str(twin), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    assert "futures: 0 of 20,000" in child.stderr.readline()
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130, err
    assert json.loads(out)["error"]["kind"] == "Stopped"
    assert "nothing half-written is left" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
