"""A twin from the command line: built of files, shown, and never half of one."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from cli_place import CELL_M, COLS, ROWS, build_place, run, write_place, write_terrain

from tocsin.platform.exchange import read_cap
from tocsin.platform.twin import open_twin

PROGRAM = [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()"]


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("place"))


def test_a_twin_says_what_it_is_made_of(twin: Path) -> None:
    code, out, _ = run("twin", "show", twin, "--verify", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["name"], facts["made_up"], facts["rows"], facts["cols"], facts["cell_m"]) == (
        "Shoreham",
        True,
        ROWS,
        COLS,
        CELL_M,
    )
    assert facts["counts"]["people_night"] == pytest.approx(10 * 12 * 16)
    assert (sorted(facts["zones"]), facts["assets"]) == (["Hill", "Shore"], {"hospitals": 1, "shelters": 1})
    assert {s["what"] for s in facts["sources"]} >= {"elevation", "roads", "population", "zones"}
    assert facts["verified"] >= 5


def test_a_made_up_twin_is_labelled_for_people(twin: Path) -> None:
    assert "Shoreham  MADE UP" in run("twin", "show", twin)[1]


def test_a_twin_tells_the_time_of_its_place_or_that_it_goes_by_the_sun(twin: Path, tmp_path: Path) -> None:
    assert json.loads(run("twin", "show", twin, "--json")[1])["time_zone"] == ""
    assert "time by the sun" in run("twin", "show", twin)[1]
    elevation = write_terrain(tmp_path / "dem.tif")
    code, out, err = run("twin", "build", tmp_path / "there", "--elevation", elevation, "--time-zone", "Asia/Kolkata")
    assert code == 0, err
    assert "time Asia/Kolkata" in out
    assert json.loads(run("twin", "show", tmp_path / "there", "--json")[1])["time_zone"] == "Asia/Kolkata"
    at_noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert open_twin(tmp_path / "there").local_hour(at_noon) == 17.5  # India is 5 h 30 min ahead


@pytest.mark.parametrize("zone", ["Mars/Olympus", "UTC+3", "../../etc/passwd", "America", " "])
def test_a_time_zone_that_is_none_is_told_and_leaves_nothing(zone: str, tmp_path: Path) -> None:
    elevation = write_terrain(tmp_path / "dem.tif")
    code, out, err = run("twin", "build", tmp_path / "there", "--elevation", elevation, "--time-zone", zone)
    assert (code, out) == (1, "")
    assert "wanted an IANA name, e.g. America/Sao_Paulo" in err
    assert not (tmp_path / "there").exists()


def test_a_twin_whose_time_zone_this_machine_does_not_know_is_told_when_it_is_opened(tmp_path: Path) -> None:
    elevation = write_terrain(tmp_path / "dem.tif")
    assert run("twin", "build", tmp_path / "there", "--elevation", elevation, "--time-zone", "Asia/Kolkata")[0] == 0
    manifest = tmp_path / "there" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("Asia/Kolkata", "Asia/Atlantis"))
    code, _, err = run("twin", "show", tmp_path / "there")
    assert code == 1
    assert "time zone 'Asia/Atlantis' is not known on this machine" in err


def test_a_picture_of_the_twin_is_a_png(twin: Path, tmp_path: Path) -> None:
    code, _, err = run("twin", "show", twin, "--picture", tmp_path / "map.png")
    assert (code, err) == (0, f"written: {tmp_path / 'map.png'}\n")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_a_twin_that_was_changed_does_not_verify(twin: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(twin, forged)
    with (forged / "zones.parquet").open("ab") as file:
        file.write(b"x")
    code, out, err = run("twin", "show", forged, "--verify")
    assert (code, out) == (1, "")
    assert "zones.parquet" in err


def build(folder: Path, **files: Path | str) -> tuple[int, str, str]:
    words = [str(w) for name, file in files.items() for w in (f"--{name}", file)]
    return run("twin", "build", folder, *words)


def bad_inputs(place: dict[str, Path], tmp_path: Path) -> dict[str, tuple[dict[str, Path | str], str]]:
    """What is given, and what the message has to say."""
    dem = place["--elevation"]
    truncated = tmp_path / "truncated.tif"
    truncated.write_bytes(dem.read_bytes()[:300])
    nonsense = tmp_path / "nonsense.tif"
    nonsense.write_bytes(b"II*\0" + os.urandom(2000))
    feet = np.full((ROWS, COLS), 30_000.0)
    away = tmp_path / "away.csv"
    away.write_text("lon,lat,population\n100.0,50.0,10\n")
    nan = tmp_path / "nan.csv"
    nan.write_text("lon,lat,population\n3.0,0.36,NaN\n")
    negative = tmp_path / "negative.csv"
    negative.write_text(place["--population"].read_text().replace(",10,", ",-10,"))
    million = tmp_path / "million.vrt"
    million.write_text(
        '<VRTDataset rasterXSize="1000000" rasterYSize="1000000"><SRS>EPSG:32631</SRS><GeoTransform>500000,1,0,40000,0,-1</GeoTransform>'
        '<VRTRasterBand dataType="Float32" band="1"></VRTRasterBand></VRTDataset>'
    )
    return {
        "missing": ({"elevation": tmp_path / "absent.tif"}, "absent.tif"),
        "folder": ({"elevation": tmp_path}, str(tmp_path)),
        "truncated": ({"elevation": truncated}, "truncated.tif"),
        "hostile": ({"elevation": nonsense}, "nonsense.tif"),
        "no_crs": ({"elevation": write_terrain(tmp_path / "nocrs.tif", crs=None)}, "no coordinate system"),
        "other_unit": ({"elevation": write_terrain(tmp_path / "feet.tif", feet)}, "is it in feet or cm"),
        "all_nan": ({"elevation": write_terrain(tmp_path / "nan.tif", np.full((ROWS, COLS), np.nan))}, "holds no value at all"),
        "million": ({"elevation": million}, "1,000,000 x 1,000,000 cells"),
        "degrees": ({"elevation": dem, "crs": "EPSG:4326"}, "is not in metres"),
        "nowhere": ({"elevation": dem, "population": away}, "away.csv"),
        "nan_people": ({"elevation": dem, "population": nan}, "nan.csv"),
        "negative_people": ({"elevation": dem, "population": negative}, "negative.csv"),
        "roads_of_people": ({"elevation": dem, "roads": place["--population"]}, "cells.csv"),
        "no_such_water": ({"elevation": dem, "water": "lake"}, "wanted NAME=VALUE"),
        "water_outside": ({"elevation": dem, "water": "lake=100,50"}, "outside the twin"),
    }


CASES = [
    *("missing", "folder", "truncated", "hostile", "no_crs", "other_unit", "all_nan", "million", "degrees", "nowhere"),
    *("nan_people", "negative_people", "roads_of_people", "no_such_water", "water_outside"),
]


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_built_is_told_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    given, says = bad_inputs(write_place(inputs), inputs)[case]
    there = tmp_path / "there"
    there.mkdir()
    code, out, err = build(there / "twin", **given)
    assert (code, out) == (1, ""), err
    assert says in err
    assert "bug of Tocsin" not in err
    assert list(there.iterdir()) == []


def test_every_bad_input_of_the_list_is_tried(tmp_path: Path) -> None:
    assert sorted(bad_inputs(write_place(tmp_path), tmp_path)) == sorted(CASES)


def test_a_twin_that_is_there_is_replaced_only_on_request_and_only_by_a_whole_one(tmp_path: Path) -> None:
    files = write_place(tmp_path / "files")
    assert build(tmp_path / "twin", elevation=files["--elevation"])[0] == 0
    before = (tmp_path / "twin" / "manifest.json").read_bytes()
    assert "--overwrite" in build(tmp_path / "twin", elevation=files["--elevation"])[2]
    assert run("twin", "build", tmp_path / "twin", "--elevation", tmp_path / "absent.tif", "--overwrite")[0] == 1
    assert (tmp_path / "twin" / "manifest.json").read_bytes() == before
    assert run("twin", "build", tmp_path / "twin", "--elevation", files["--elevation"], "--name", "New", "--overwrite")[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["files", "twin"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    files = write_place(tmp_path / "files")
    there = tmp_path / "there"
    there.mkdir()

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

    done = subprocess.run(
        [*PROGRAM, "twin", "build", str(there / "twin"), *(str(w) for pair in files.items() for w in pair), "--json"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_disk,
    )
    assert done.returncode == 1, done.stderr
    assert "bug of Tocsin" not in done.stderr
    assert list(there.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_build_that_is_stopped_leaves_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    files = write_place(tmp_path / "files")
    there = tmp_path / "there"
    there.mkdir()
    fifo = tmp_path / "zones.geojson"
    os.mkfifo(fifo)  # the build hangs in the middle, on a file that never comes
    words = ["--elevation", files["--elevation"], "--roads", files["--roads"], "--population", fifo]
    child = subprocess.Popen(
        [*PROGRAM, "twin", "build", str(there / "twin"), *map(str, words)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(there.iterdir()) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == code, err
    assert out == ""
    assert list(there.iterdir()) == []
    if number == signal.SIGINT:
        assert "nothing half-written is left" in err


def draft(twin: Path, *words: str | Path) -> tuple[int, str, str]:
    told = ("--headline", "Leave the shore", "--description", "The lake rises.", "--sender", "warnings@shoreham.example")
    return run("warn", "draft", twin, "--level", "red", *told, *words)


def test_a_warning_is_drafted_for_zones_and_never_looks_real(twin: Path, tmp_path: Path) -> None:
    code, _, err = draft(
        twin, "--zone", "Shore", "--zone", "Hill", "--status", "Exercise", "--exercise", "Drill", "-o", tmp_path / "a.xml"
    )
    assert code == 0
    assert "nobody is told what to do" in err
    told = read_cap((tmp_path / "a.xml").read_bytes())
    assert told.problems == ()
    assert told.alert is not None
    assert [a.description for a in told.alert.info[0].area] == ["Shore", "Hill"]
    assert told.alert.info[0].headline == "EXERCISE: Leave the shore"
    assert "Shoreham is made up" in told.alert.note


def test_a_zone_that_is_not_there_is_told_with_those_that_are(twin: Path) -> None:
    code, out, err = draft(twin, "--zone", "Atlantis")
    assert (code, out) == (1, "")
    assert "no zone 'Atlantis'; there are: Hill, Shore" in err


def test_a_folder_that_is_no_twin_is_told_as_such(tmp_path: Path) -> None:
    code, _, err = run("twin", "show", tmp_path)
    assert code == 1
    assert "is no twin" in err
