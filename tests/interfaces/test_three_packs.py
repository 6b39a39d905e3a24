"""A fire, a flood and a gas on one twin: packs that know nothing of each other take down one hospital together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_place import build_place, feature, geojson, lonlat, run

POINTS = {
    "substations": {"ridge": (18.5, 0.5)},  # in the grass of the hill, away from the streets and out of all reach of the lake
    "pumping_stations": {"p1": (21.5, 12.5)},
    "underpasses": {"u1": (15.5, 12.5)},
    "tanks": {"t1": (5.5, 8.5)},  # at the water's edge
}
SCENARIOS = {
    "flood": """
hazard = "flood"
duration = "12h"
members = 24
seed = 1
[series]
"level@lake" = { level = "1.6m", rise = "1h" }
""",
    "wildfire": f"""
hazard = "wildfire"
duration = "8min"
members = 24
seed = 1
[series]
wind_speed = {{ value = "8m/s" }}
wind_from = {{ value = "270deg" }}
"ignition@{lonlat(16.5, 0.5)[0]},{lonlat(16.5, 0.5)[1]}" = {{ value = "30m" }}
[knobs.fuel_model]
shape = "triangle"
low = 3.0
usual = 3.0
high = 3.0
""",
    "chemical": """
hazard = "chemical"
duration = "1h"
members = 24
seed = 1
[series]
"release@t1" = { value = "2kg/s" }
wind_speed = { value = "2m/s" }
wind_from = { value = "270deg" }
""",
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    words: list[str | Path] = []
    for kind, places in POINTS.items():
        features = [feature("Point", lonlat(*at), id=one, name=one, sort=kind) for one, at in places.items()]
        words += ["--assets", f"{kind}={geojson(folder / f'{kind}.geojson', features)}"]
    return build_place(folder, *words)


@pytest.fixture(scope="module")
def futures(twin: Path) -> dict[str, Path]:
    """Each hazard, run by its own pack."""
    for hazard, text in SCENARIOS.items():
        (twin.parent / f"{hazard}.toml").write_text(text)
        code, _, err = run("futures", "run", twin, "--scenario", twin.parent / f"{hazard}.toml", "--save", twin.parent / hazard)
        assert code == 0, err
    return {hazard: twin.parent / hazard for hazard in SCENARIOS}


def chained(twin: Path, *words: str | Path) -> dict[str, Any]:
    code, out, err = run("chain", "run", twin, *words, "--most", "50", "--json")
    assert code == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


def ways_of(told: dict[str, Any]) -> set[tuple[str, ...]]:
    return {tuple(way["points"]) for way in told["ways"]}


def failing(told: dict[str, Any], point: str) -> tuple[float, float]:
    """In which share of the futures a point fails, and in which by the hazard itself."""
    return next(((p["share"], p["by_hazard"]) for p in told["points"] if p["id"] == point), (0.0, 0.0))


def test_a_chain_runs_through_three_packs_on_one_twin(twin: Path, futures: dict[str, Path]) -> None:
    told = chained(
        twin, *(word for hazard in ("wildfire", "flood") for word in ("--futures", futures[hazard])), "--with", "chemical"
    )
    assert told["hazards"] == ["wildfire", "flood", "chemical"]
    # the fire's model and pack take the power, the lifelines the pump, the flood's pack the underpass and with it the way to the hospital
    assert ("substations:ridge", "pumping_stations:p1", "underpasses:u1", "hospitals:h1") in ways_of(told)
    # the flood's model lifts a tank of which its pack knows nothing, and its gas shuts the hospital: both are said by the chemical pack
    assert ("tanks:t1", "hospitals:h1") in ways_of(told)
    assert failing(told, "substations:ridge")[1] > 0.5
    assert failing(told, "hospitals:h1")[1] == 0.0  # neither fire nor water is where the hospital stands


def test_none_of_these_chains_is_there_without_the_pack_that_says_it(twin: Path, futures: dict[str, Path]) -> None:
    flood = chained(twin, "--futures", futures["flood"])
    assert not any("tanks:t1" in way or "substations:ridge" in way for way in ways_of(flood))
    fire = chained(twin, "--futures", futures["wildfire"])
    assert not any("underpasses:u1" in way for way in ways_of(fire))


def test_a_gas_that_was_run_by_itself_joins_them(twin: Path, futures: dict[str, Path]) -> None:
    told = chained(twin, *(word for folder in futures.values() for word in ("--futures", folder)))
    assert sorted(told["hazards"]) == ["chemical", "flood", "wildfire"]
    assert failing(told, "hospitals:h1")[1] > 0.5  # chlorine from the tank drifts over it
    assert failing(told, "substations:ridge")[1] > 0.5
