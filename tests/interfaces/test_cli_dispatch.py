"""Dispatch from the command line: who goes where, over dry streets and over streets that a flood closes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_place import build_place, feature, geojson, lonlat, run

FLOOD = ("--level", "2.1m@lake", "--hours", "2", "--rise", "30min")


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("place"))


def csv(path: Path, heading: str, *rows: tuple[object, ...]) -> Path:
    path.write_text("\n".join([heading, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def units(tmp_path: Path) -> Path:
    return csv(tmp_path / "units.csv", "name,kind,lon,lat,amount", ("hill station", "boat", *lonlat(23, 4), 2))


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    return csv(
        tmp_path / "tasks.csv",
        "name,kind,lon,lat,weight",
        ("quay", "boat", *lonlat(7, 8), 2),
        ("school", "boat", *lonlat(22, 12), 1),
    )


def test_units_are_sent_along_the_streets_with_the_way_and_the_minutes(twin: Path, units: Path, tasks: Path) -> None:
    code, out, err = run("dispatch", "send", twin, "--units", units, "--tasks", tasks, "--json")
    assert code == 0, err
    legs = {leg["task"]: leg for leg in json.loads(out)["legs"]}
    assert set(legs) == {"quay", "school"}
    assert 0 < legs["school"]["minutes"] < legs["quay"]["minutes"]
    line = legs["quay"]["geometry"]["coordinates"]
    assert line[0][0] > line[-1][0]  # from the hill in the east to the quay in the west


def test_a_quay_whose_streets_are_closed_by_then_is_told_as_out_of_reach(twin: Path, units: Path, tasks: Path) -> None:
    code, out, _ = run("dispatch", "send", twin, "--units", units, "--tasks", tasks, *FLOOD, "--leave", "1h")
    assert code == 0
    assert "NOT SERVED: quay, 1" in out
    assert "none leads there" in out
    early = json.loads(run("dispatch", "send", twin, "--units", units, "--tasks", tasks, *FLOOD, "--json")[1])
    assert early["unserved"] == {}  # who leaves at once is there before the water


def test_too_few_units_are_told_with_what_one_more_brings(twin: Path, tmp_path: Path, tasks: Path) -> None:
    one = csv(tmp_path / "one.csv", "name,kind,lon,lat", ("hill station", "boat", *lonlat(23, 4)))
    code, out, _ = run("dispatch", "send", twin, "--units", one, "--tasks", tasks)
    assert code == 0
    assert "NOT SERVED: school, 1" in out
    assert "used up: hill station; one more there serves 1 more" in out


def test_tours_go_on_from_those_that_were_printed(twin: Path, tmp_path: Path) -> None:
    trucks = csv(tmp_path / "t.csv", "name,kind,lon,lat,carries", ("depot", "truck", *lonlat(20, 8), 5))
    stops = [(f"stop {k}", "truck", *lonlat(8 + 2 * k, 8), 1) for k in range(5)]
    heading = "name,kind,lon,lat,amount"
    code, out, err = run(
        "dispatch", "tour", twin, "--units", trucks, "--tasks", csv(tmp_path / "s.csv", heading, *stops), "--steps", 50, "--json"
    )
    assert code == 0, err
    (first,) = json.loads(out)["tours"]
    assert sorted(first["stops"]) == [f"stop {k}" for k in range(5)]
    (tmp_path / "before.json").write_text(out)
    fewer = csv(tmp_path / "f.csv", heading, *stops[1:])
    code, out, _ = run(
        "dispatch", "tour", twin, "--units", trucks, "--tasks", fewer, "--steps", 5, "--before", tmp_path / "before.json"
    )
    assert code == 0
    assert "stop 0" not in out
    assert "depot: " in out
    code, _, err = run("dispatch", "tour", twin, "--units", trucks, "--tasks", fewer, "--before", fewer)
    assert code == 1
    assert "wanted what `tocsin dispatch tour --json` printed" in err


def test_a_shelter_is_chosen_for_a_zone_and_none_whose_streets_are_closed(twin: Path) -> None:
    code, out, err = run("dispatch", "shelters", twin, "--zone", "Shore", "--most", 1)
    assert code == 0, err
    assert "open Hill School: 600 from Shore" in out  # 12 rows of 5 cells with 10 people
    late = json.loads(run("dispatch", "shelters", twin, "--zone", "Shore", "--most", 1, *FLOOD, "--leave", "1h", "--json")[1])
    assert late["unserved"] == {"Shore": 600.0}
    half = json.loads(run("dispatch", "shelters", twin, "--zone", "Shore", "--share", 0.5, "--json")[1])
    assert half["people"] == {"Hill School": {"Shore": 300.0}}


def test_what_cannot_be_read_is_refused_with_file_and_row(twin: Path, units: Path, tmp_path: Path) -> None:
    nameless = csv(tmp_path / "n.csv", "name,kind,lon,lat", ("", "boat", *lonlat(14, 8)))
    code, _, err = run("dispatch", "send", twin, "--units", units, "--tasks", nameless)
    assert (code, "row 1: a task without a name" in err) == (1, True)
    far = geojson(tmp_path / "far.geojson", [feature("Point", [0.0, 10.0], name="far")])
    code, _, err = run("dispatch", "send", twin, "--units", units, "--tasks", far)
    assert (code, "nothing of it lies in the twin" in err) == (1, True)


def test_who_calls_from_outside_the_twin_is_told_as_not_served_and_a_misspelt_column_is_named(twin: Path, tmp_path: Path) -> None:
    units = csv(tmp_path / "u.csv", "name,kind,lon,lat,amnt", ("hill", "boat", *lonlat(23, 4), 2), ("far", "boat", 50.0, 10.0, 1))
    tasks = csv(tmp_path / "t.csv", "name,kind,lon,lat", ("quay", "boat", *lonlat(7, 8)), ("island", "boat", 51.0, 11.0))
    code, out, err = run("dispatch", "send", twin, "--units", units, "--tasks", tasks)
    assert code == 0
    assert "NOT SERVED: island: it lies outside the twin" in out
    assert "1 of 2 lie outside the twin and are left out: far" in err
    assert "not used: amnt" in err
    told = json.loads(run("dispatch", "send", twin, "--units", units, "--tasks", tasks, "--json")[1])
    assert told["outside"] == {"units": ["far"], "tasks": ["island"]}
    code, out, _ = run("dispatch", "tour", twin, "--units", units, "--tasks", tasks, "--steps", 5)
    assert code == 0
    assert "NOT SERVED: island" in out


def test_shelters_are_asked_for_before_any_future_is_run(tmp_path: Path) -> None:
    bare = build_place(tmp_path)
    assert "no zone 'Shoal'" in run("dispatch", "shelters", bare, "--zone", "Shoal", *FLOOD)[2]
    assert "futures" not in run("dispatch", "shelters", bare, "--zone", "Shoal", *FLOOD)[2]
