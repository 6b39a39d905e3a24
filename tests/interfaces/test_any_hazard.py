"""A hazard that shares nothing with flood goes through the same commands, and is told in its own words."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
import rasterio
from cli_place import COLS, ROWS, build_place, run
from PIL import Image

import tocsin.pack
from tocsin.interfaces.serving import outlook_of
from tocsin.pack import Drive, Effect, FactKind, Future, Harm, Knob, Model, Pack, Plan, Scenario, Verb, find_pack
from tocsin.pack.model import series_of
from tocsin.pack.places import places_of
from tocsin.platform.twin import open_twin
from tocsin.vocabulary import Bulletin, Curve, Member, Quantity, World

DOSE = Quantity("dose", "mg", 0.0, 1e6)
RELEASE = Quantity("release", "kg/s", 0.0, 100.0)
WIND = Quantity("wind_speed", "m/s", 0.0, 120.0)


def _calm(_world: World, _place: str) -> float:
    return 1.0


def smoke_drifts(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """A dose that falls by half with each 100 m from where something leaks: made up, for these tests."""
    dose = np.zeros(world.grid.cells)
    x_m, y_m = world.grid.centre(np.arange(world.grid.cells))
    for name, series in future.series.items():
        if name.startswith("release@"):
            for place in places_of(world, ("hospitals", "point"), name.partition("@")[2]):
                far_m = np.hypot(x_m - x_m[place], y_m - y_m[place])
                dose = np.maximum(dose, 100.0 * series.at(0.0) * future.knobs["strength"] * 0.5 ** (far_m / 100.0))
    wind = series_of(future, "wind_speed").at(0.0) if "wind_speed" in future.series else 1.0
    peak = np.where(dose < 0.1, 0.0, dose / wind).astype(np.float32)
    arrival_s = np.where(peak > 0.0, 60.0, np.inf).astype(np.float32)
    return Member(peak, arrival_s, np.where(peak > 0.0, future.duration_s, np.inf).astype(np.float32))


def _no_plans(_world: World) -> tuple[Plan, ...]:
    return ()


def pack(harm: Mapping[str, object]) -> Pack:
    return Pack(
        hazard="smoke",
        observes=(),
        rules=(),
        models=(
            Model(
                "smoke_drifts",
                (),
                DOSE,
                smoke_drifts,
                {"strength": Knob("1", 0.5, 1.0, 2.0, "multiplies the release")},
                {
                    "release@": Drive(RELEASE, "what leaks", "hospitals|point", stepwise=True),
                    "wind_speed": Drive(WIND, "wind at 10 m", usual=_calm),
                },
                {"stop_leak": Verb("drive:release@", "close a valve")},
                "made up",
                "made up",
            ),
        ),
        harm=Harm(DOSE, danger_source="made up", **harm),  # type: ignore[arg-type]
        plans=_no_plans,
        facts=(FactKind("wind_speed", "m/s", "", 0.0, 120.0, "wind at 10 m", drive="wind_speed", observed="wind_speed"),),
    )


HARMED = {
    "danger_from": None,
    "harmed": Curve(DOSE, ((0.0, 0.0), (100.0, 1.0)), "made up", "nowhere"),
    "words": {"people_in_danger": "people who fall ill", "people_exposed": "people who smell it"},
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("anywhere"))


@pytest.fixture
def smoke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tocsin.pack, "find_packs", lambda: {"smoke": pack(HARMED)})


LEAK = ("--drive", "release@Shore Hospital=3600kg/h", "--hours", "1")


@pytest.mark.usefixtures("smoke")
def test_its_simulation_says_nothing_of_water(twin: Path) -> None:
    code, out, err = run("simulate", "smoke", twin, *LEAK, "--members", "4")
    assert code == 0, err
    for words in ("people who fall ill", "people who smell it", "arrival, h", "ground reached, km2", "peak, highest, mg"):
        assert words in out
    for words in ("water", "flood", "depth", "ground in danger", "balance"):
        assert words not in out.lower()


@pytest.mark.usefixtures("smoke")
def test_its_figures_name_their_quantity_and_unit(twin: Path) -> None:
    told = json.loads(run("simulate", "smoke", twin, *LEAK, "--json")[1])
    assert (told["quantity"], told["unit"]) == ("dose", "mg")
    assert "ground_in_danger" not in told["ground"]
    assert told["ground"]["peak_highest"]["mean"] == pytest.approx(100.0)
    assert 0.0 < told["night"]["people_in_danger"]["mean"] < told["night"]["people_exposed"]["mean"]


def test_ground_in_danger_is_told_where_the_hazard_makes_places_dangerous(twin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tocsin.pack, "find_packs", lambda: {"smoke": pack({"danger_from": 40.0})})
    told = json.loads(run("simulate", "smoke", twin, *LEAK, "--json")[1])
    # above 40 mg of 100 is within 100 m x log2(2.5) = 132 m of the leak: of cells of 50 m, those whose centres are at most 2.64 cells away
    near = sum(1 for a in range(-3, 4) for b in range(-3, 4) if np.hypot(a, b) < np.log2(2.5) * 2)
    assert told["ground"]["ground_in_danger"]["mean"] == pytest.approx(near * 0.0025)


@pytest.mark.usefixtures("smoke")
def test_its_results_are_saved_under_the_name_of_its_quantity(twin: Path, tmp_path: Path) -> None:
    tif, png = tmp_path / "smoke.tif", tmp_path / "smoke.png"
    code, _, err = run("simulate", "smoke", twin, *LEAK, "--save", tif, "--picture", png)
    assert code == 0, err
    with rasterio.open(tif) as raster:
        assert raster.descriptions[1] == "peak dose, 50 % of the futures, mg"
        assert raster.shape == (ROWS, COLS)
    assert Image.open(io.BytesIO(png.read_bytes())).width >= 800


@pytest.mark.usefixtures("smoke")
def test_what_it_needs_is_told_where_nothing_drives_it(twin: Path) -> None:
    code, _, err = run("simulate", "smoke", twin)
    assert code == 1
    assert "--drive release@HOSPITALS|LON,LAT=release.csv" in err
    assert "wind_speed [m/s] wind at 10 m" in err
    code, _, err = run("simulate", "smoke", twin, "--level", "2m@lake")
    assert code == 1
    assert "--level '2m@lake': smoke_drifts: no forcing 'level@lake'; there are: release@, wind_speed" in err


@pytest.mark.usefixtures("smoke")
def test_the_pack_is_shown_with_what_drives_it_what_acts_on_it_and_what_triggers_ask(twin: Path) -> None:
    out = " ".join(run("pack", "show", "smoke")[1].split())
    for words in (
        "forcing release@ [kg/s], at hospitals or point, stepwise: what leaks (not there unless given)",
        "forcing wind_speed [m/s]: wind at 10 m (usual value where not given)",
        "plans act on it with stop_leak [1], on drive:release@: close a valve",
        "wind_speed [m/s], observed as wind_speed: wind at 10 m",
        "Outlook: none; a person gives the running platform its scenario",
    ):
        assert words in out
    told = json.loads(run("pack", "show", "smoke", "--json")[1])
    assert told["outlook"] is False
    assert told["models"][0]["drives"]["release@"]["has_usual"] is False
    assert [fact["name"] for fact in told["facts"]] == ["wind_speed"]


def test_an_outlook_hears_what_agencies_have_told_by_then(tmp_path: Path) -> None:
    """A fire that a satellite sees has no gauge: it reaches a pack's outlook as a bulletin, also one that came after the platform had started."""
    heard: list[tuple[Bulletin, ...]] = []

    def outlook(_world: World, _gauges: object, told: Sequence[Bulletin]) -> Scenario:
        heard.append(tuple(told))
        return Scenario(3600.0, 1, 1)

    twin, now = open_twin(build_place(tmp_path)), datetime(2026, 1, 1, tzinfo=UTC)
    board: list[Bulletin] = []
    scenario = outlook_of(msgspec.structs.replace(find_pack("wildfire"), outlook=outlook), twin, lambda: board)
    scenario(twin.world(now), now)
    words = {
        "revision": "1",
        "state": "issued",
        "status": "actual",
        "event": "fire detection",
        "sender": "NASA",
        "headline": "a fire",
    }
    board.append(Bulletin(time=now, subject="satellite-1", source="firms", **words))
    scenario(twin.world(now), now)
    assert [[one.subject for one in told] for told in heard] == [[], ["satellite-1"]]
