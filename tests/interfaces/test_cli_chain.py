"""Risk chains from the command line: shown, run, acted on, drawn; and the same from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chain_files import DEPENDENCIES, build_chained_place
from cli_place import build_place, run

from tocsin.flows.chains import trace_chains
from tocsin.pack import find_pack
from tocsin.platform.forecasts import StoredForecast
from tocsin.platform.twin import open_twin

LEVEL = ("--level", "2.6m@lake", "--hours", "2", "--rise", "30min")


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_chained_place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def flood(twin: Path) -> Path:
    folder = twin.parent / "flood.zarr"
    knobs = ("--knob", "level_offset_m=-0.2..0..0.2")
    code, _, err = run("simulate", "flood", twin, *LEVEL, "--members", "4", *knobs, "--save", folder)
    assert code == 0, err
    return folder


def test_the_graph_of_a_place_tells_what_is_known_and_what_is_assumed(twin: Path) -> None:
    told = json.loads(run("chain", "show", twin, "--json")[1])
    assert told["points_by_kind"] == {
        "hospitals": 1,
        "masts": 1,
        "pumping_stations": 1,
        "substations": 2,
        "road access": 1,
    }
    assert told["links_by_name"]["power for masts"] == {"links": 1, "assumed": 0}
    assert told["links_by_name"]["power for hospitals"] == {"links": 1, "assumed": 1}
    text = run("chain", "show", twin)[1]
    assert "link power for hospitals: 1, of which 1 assumed" in text
    assert "power for hospitals: assumed for 1 hospitals" in text
    assert "(unverified)" in text


def test_a_twin_tells_which_dependencies_it_left_out(twin: Path) -> None:
    remarks = json.loads(run("twin", "show", twin, "--json")[1])["remarks"]
    assert any("1 of 4 rows name what is not in the twin and were left out, e.g. substations:elsewhere" in r for r in remarks)
    assert run("twin", "show", twin, "--verify")[0] == 0
    (twin / "dependencies.json").chmod(0o644)
    before = (twin / "dependencies.json").read_bytes()
    (twin / "dependencies.json").write_bytes(before + b"\n")
    assert "the file was changed" in run("twin", "show", twin, "--verify")[2]
    (twin / "dependencies.json").write_bytes(before)


def test_failures_run_along_the_links_and_an_action_stops_them(twin: Path, flood: Path) -> None:
    code, out, err = run("chain", "run", twin, "--forecast", flood, "--json")
    told = json.loads(out)
    assert code == 0, err
    # 1.6 m over the shore's substation: beyond 4 ft, so it fails in every future, and with it the pump after 6 min and the mast after 12
    ways = {tuple(way["points"]): way for way in told["ways"]}
    pump = ways["substations:shore", "pumping_stations:p1"]
    assert (pump["share"], pump["assumed"], pump["after_h"]) == (1.0, False, [0.0, pytest.approx(0.1)])
    assert ways["substations:shore", "masts:m1"]["after_h"][1] == pytest.approx(0.2)
    assert told["figures"]["pumping_stations_out"]["mean"] == 1.0
    assert told["undone"] is None
    best = told["breaks"][0]
    assert (best["verb"], best["target"]) == ("protect_asset", "substations:shore")

    acted = json.loads(run("chain", "run", twin, "--forecast", flood, "--protect", "substations:shore", "--json")[1])
    assert acted["figures"]["pumping_stations_out"]["mean"] == 0.0
    assert acted["undone"]["pumping_stations_out"]["mean"] == 1.0
    assert acted["saved"]["people_without_power"]["mean"] == told["figures"]["people_without_power"]["mean"] > 0
    # the best action saves as much as it does when it is done
    assert best["saved"] == pytest.approx(sum(v["mean"] for n, v in acted["saved"].items() if v["unit"] == "persons"))

    broken = json.loads(
        run("chain", "run", twin, "--forecast", flood, "--break", "substations:shore -> pumping_stations:p1", "--json")[1]
    )
    assert (broken["figures"]["pumping_stations_out"]["mean"], broken["figures"]["masts_out"]["mean"]) == (0.0, 1.0)
    late = json.loads(
        run("chain", "run", twin, "--forecast", flood, "--do", "bring_generator=pumping_stations:p1@1.9", "--json")[1]
    )
    assert late["figures"]["pumping_stations_out"]["mean"] == 1.0
    assert late["done"] == ["bring_generator pumping_stations:p1 from 1.9 h"]


def test_the_page_says_what_fails_and_what_would_help(twin: Path, flood: Path) -> None:
    text = run("chain", "run", twin, "--forecast", flood)[1]
    assert "Shoreham  MADE UP: risk chains of flood over 2 h, 4 futures" in text
    assert "100% of the futures (47% to 100%): Shore (at " in text  # 0.05^(1/4) = 47 %
    assert "protect_asset substations:shore: " in text
    assert "Assumed, and not known" in text


def test_the_command_and_python_give_the_same(twin: Path, flood: Path) -> None:
    place = open_twin(twin)
    told = json.loads(run("chain", "run", twin, "--forecast", flood, "--json")[1])
    report = trace_chains(
        "Shoreham", place.world(place.manifest.created), [find_pack("flood")], [StoredForecast(flood).footprint()]
    )
    assert told["figures"]["people_without_power"]["mean"] == report.figures["people_without_power"].mean
    assert [w["points"] for w in told["ways"]] == [list(w.points) for w in report.ways]


def test_it_simulates_by_itself_and_draws(twin: Path, tmp_path: Path) -> None:
    picture = tmp_path / "chain.png"
    code, out, err = run("chain", "run", twin, *LEVEL, "--members", "2", "--picture", picture, "--json")
    assert code == 0, err
    assert json.loads(out)["members"] == 2
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    from PIL import Image

    colours = {colour for _, colour in Image.open(picture).convert("RGB").getcolors(1_000_000)}
    assert (120, 0, 40) in colours  # what fails in every future, and the links from it


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--do", "bring_generator"), "--do 'bring_generator': wanted VERB=TARGET"),
        (("--do", "bring_generator=masts:m1@soon"), "wanted VERB=TARGET"),
        (("--do", "bring_hope=masts:m1"), "no effect 'bring_hope'"),
        (("--do", "bring_generator=masts:none"), "no risk point 'masts:none'; there are 6:"),
        (("--break", "masts:m1"), "wanted SOURCE -> TARGET"),
        (("--break", "masts:m1 -> substations:hill"), "there is none between the two"),
        (("--with", "locusts"), "no pack for 'locusts'"),
    ],
)
def test_what_is_not_there_is_told(twin: Path, flood: Path, words: tuple[str, ...], says: str) -> None:
    code, out, err = run("chain", "run", twin, "--forecast", flood, *words)
    assert (code, out) == (1, "")
    assert says in err


def test_a_forecast_of_another_place_is_refused(twin: Path, flood: Path, tmp_path: Path) -> None:
    other = build_place(tmp_path, "--cell", "100")
    assert "wanted flood on the 8 x 12 cells" in run("chain", "run", other, "--forecast", flood)[2]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("link,source\n", "no column 'target'"),
        (DEPENDENCIES + "power for masts,shore,masts:m1,,,\n", "row 5: source = 'shore'; wanted kind:id"),
        (DEPENDENCIES + "power for masts,substations:shore,masts:m1,2,,\n", "row 5: probability = 2; wanted 0..1"),
        (DEPENDENCIES + "power for masts,substations:shore,masts:m1,,soon,\n", "row 5: delay_h = 'soon'; wanted a number"),
        ("link,source,target\nx,a:b,c:d\n", "none of its 1 rows has both ends in the twin; the first lacks 'a:b'"),
    ],
)
def test_dependencies_that_cannot_be_used_are_told_by_row_and_leave_no_twin(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(AssertionError, match="tocsin: dependencies") as told:
        build_chained_place(tmp_path, table)
    assert says in str(told.value)
    assert not (tmp_path / "twin").exists()
