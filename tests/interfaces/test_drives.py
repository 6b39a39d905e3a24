"""The forcings of any hazard: by name, place and unit, on the command line, in a scenario file, and in the options' short forms."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import typer
from cli_place import build_place, feature, geojson, lonlat, run
from typer.testing import CliRunner

from tocsin.interfaces.cli.scenario import Asked, scenario_of, takes_scenario
from tocsin.interfaces.storm import scenario_from, storm_of, words_of
from tocsin.interfaces.trial_files import read_trial
from tocsin.pack import Drive, Effect, Future, Model, Scenario
from tocsin.packs.flood.model import WATER_RUNS_OVER_THE_GROUND
from tocsin.platform.twin import open_twin
from tocsin.vocabulary import InputError, Member, Quantity, TocsinError, World


def _calm(_world: World, _place: str) -> float:
    return 1.0


def _burns(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    raise NotImplementedError


WIND = Quantity("wind_speed", "m/s", 0.0, 120.0)
FIRE = Model(
    name="fire_spreads",
    reads=(),
    makes=Quantity("flame_length", "m", 0.0, 200.0),
    run=_burns,
    knobs={},
    series={
        "ignition@": Drive(
            Quantity("ignition_radius", "m", 0.0, 5_000.0), "a fire that starts", "hospitals|point", stepwise=True
        ),
        "wind_speed": Drive(WIND, "wind at 10 m", usual=_calm),
        "wind_from": Drive(Quantity("wind_from", "deg", 0.0, 360.0), "where the wind comes from", stepwise=True, usual=_calm),
        "spark@": Drive(Quantity("sparks", "1", 0.0, 1.0), "sparks from a line", "line"),
    },
    acts_on={},
    source="",
    limits="",
)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drives")
    lines = geojson(
        folder / "more.geojson",
        [
            feature("LineString", [lonlat(6.5, 0), lonlat(6.5, 16)], name="quay wall", sort="barrier", crest_m=4.0),
            feature("LineString", [lonlat(20.5, 2), lonlat(23.5, 2)], name="brook", sort="inflow"),
        ],
    )
    return build_place(folder / "place", "--lines", lines)


@pytest.fixture(scope="module")
def world(twin: Path) -> World:
    return open_twin(twin).world(datetime(2024, 5, 1, tzinfo=UTC))


def asked(
    *drive: str, level: tuple[str, ...] = (), rain: Path | None = None, inflow: tuple[str, ...] = (), rise: str = "1h"
) -> Asked:
    return Asked(list(level), rain, list(inflow), rise, "", 6.0, 1, 0, [], drive)


def series(world: World, model: Model, *drive: str) -> dict[str, tuple[list[float], list[float]]]:
    found = scenario_of(world, model, asked(*drive)).series
    return {name: (s.time_s.tolist(), s.value.tolist()) for name, s in found.items()}


def test_a_value_with_its_unit_holds_for_the_whole_run(world: World) -> None:
    found = series(world, FIRE, "wind_speed=36km/h", "wind_from=310deg", "ignition@h1=30 m")
    assert found == {"wind_speed": ([0.0], [10.0]), "wind_from": ([0.0], [310.0]), "ignition@h1": ([0.0], [30.0])}


def test_a_forcing_may_be_at_a_point_or_at_an_asset_by_id_or_name(world: World) -> None:
    here = ",".join(map(str, lonlat(10.5, 8.5)))
    assert set(series(world, FIRE, f"ignition@{here}=30m", "ignition@Shore Hospital=1ft")) == {
        f"ignition@{here}",
        "ignition@Shore Hospital",
    }


def test_a_file_gives_a_forcing_over_time_and_one_file_may_hold_several(world: World, tmp_path: Path) -> None:
    path = tmp_path / "weather.csv"
    path.write_text("time,wind_speed [km/h],wind_from [deg]\n2024-05-01T00:00Z,36,350\n2024-05-01T01:00Z,72,10\n")
    found = series(world, FIRE, f"wind_speed={path}", f"wind_from={path}", "ignition@h1=30m")
    assert found["wind_speed"] == ([0.0, 3600.0], [10.0, 20.0])
    assert found["wind_from"] == ([0.0, 3600.0, 7200.0], [350.0, 10.0, 1.0])  # stepwise: then as usual


@pytest.mark.parametrize(
    ("drive", "says"),
    [
        ("level@lake=3m", "fire_spreads: no forcing 'level@lake'; there are: ignition@, spark@, wind_from, wind_speed"),
        ("wind_speed@h1=3m/s", "no forcing 'wind_speed@h1'"),
        ("wind_speed", "wanted NAME=VALUE"),
        ("wind_speed=8", "it has no unit; wanted one of m/s"),
        ("wind_speed=8m", "unit 'm' is unknown here"),
        ("wind_speed=800m/s", "outside 0..120 m/s"),
        ("wind_speed=absent.csv", "there is no such file"),
        ("ignition@=30m", "no place is named; wanted e.g. ignition@HOSPITALS|LON,LAT"),
        ("ignition=30m", "no place is named; wanted e.g. ignition@HOSPITALS|LON,LAT"),
        ("ignition@h9=30m", "no one of hospitals or point 'h9'; there are: h1"),
        ("ignition@0,0=30m", "lies outside the twin"),
        ("spark=0.5", "lines of sort spark in the twin: none; name one"),
    ],
)
def test_a_forcing_that_cannot_be_meant_is_refused_with_what_there_is(world: World, drive: str, says: str) -> None:
    with pytest.raises(TocsinError) as caught:
        scenario_of(world, FIRE, asked(drive))
    assert says in str(caught.value)


def test_a_forcing_is_given_once_however_it_is_spelt(world: World, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wind_speed is given already"):
        scenario_of(world, FIRE, asked("wind_speed=1m/s", "wind_speed=2m/s"))
    with pytest.raises(InputError, match="level@lake is given already"):
        scenario_of(world, WATER_RUNS_OVER_THE_GROUND, asked("level@lake=3m", level=("2m@lake",)))


@pytest.mark.parametrize(
    ("short", "option"),
    [
        ({"level": ("2m@lake",)}, "--level '2m@lake': fire_spreads: no forcing 'level@lake'"),
        ({"rain": Path("rain.csv")}, "--rain: fire_spreads: no forcing 'rain'"),
        ({"inflow": ("flow.csv@brook",)}, "--inflow 'flow.csv@brook': fire_spreads: no forcing 'inflow@brook'"),
    ],
)
def test_the_short_forms_are_refused_where_the_model_has_no_such_forcing(
    world: World, short: dict[str, object], option: str
) -> None:
    with pytest.raises(InputError) as caught:
        scenario_of(world, FIRE, asked(**short))  # type: ignore[arg-type]
    assert option in str(caught.value)
    assert "there are: ignition@, spark@, wind_from, wind_speed" in str(caught.value)


def test_the_short_forms_and_the_long_ones_give_the_same_forcings(world: World, tmp_path: Path) -> None:
    rain, flow, stage = tmp_path / "rain.csv", tmp_path / "flow.csv", tmp_path / "stage.csv"
    rain.write_text("time [h],rain [mm]\n0,5\n1,10\n")
    flow.write_text("time [h],inflow [ft3/s]\n0,100\n1,200\n")
    stage.write_text("time [h],stage [ft]\n0,5\n1,6\n")
    short = scenario_of(world, WATER_RUNS_OVER_THE_GROUND, asked(level=(f"{stage}@lake",), rain=rain, inflow=(str(flow),)))
    long = scenario_of(world, WATER_RUNS_OVER_THE_GROUND, asked(f"level@lake={stage}", f"rain={rain}", f"inflow@brook={flow}"))
    unnamed = scenario_of(world, WATER_RUNS_OVER_THE_GROUND, asked(f"level={stage}", f"rain={rain}", f"inflow={flow}"))
    assert set(short.series) == set(long.series) == set(unnamed.series) == {"level@lake", "rain", "inflow@brook"}
    for name, one in short.series.items():
        for other in (long.series[name], unnamed.series[name]):
            np.testing.assert_array_equal(one.time_s, other.time_s)
            np.testing.assert_array_equal(one.value, other.value)


def test_a_level_of_the_short_form_is_risen_to_and_one_of_the_long_form_holds_throughout(world: World) -> None:
    usual_m = world.water("lake").usual_level_m - world.water("lake").gauge_zero_m
    risen = scenario_of(world, WATER_RUNS_OVER_THE_GROUND, asked(level=("2m@lake",))).series["level@lake"]
    held = scenario_of(world, WATER_RUNS_OVER_THE_GROUND, asked("level@lake=200cm")).series["level@lake"]
    assert (risen.time_s.tolist(), risen.value.tolist()) == ([0.0, 3600.0], [usual_m, 2.0])
    assert (held.time_s.tolist(), held.value.tolist()) == ([0.0], [2.0])


def test_nothing_has_to_be_given_where_every_forcing_has_a_usual_value_or_there_is_none(world: World) -> None:
    import msgspec

    for kept in ({}, {"wind_speed": FIRE.series["wind_speed"]}):
        assert isinstance(scenario_of(world, msgspec.structs.replace(FIRE, series=kept), asked()), Scenario)
    with pytest.raises(InputError) as caught:
        scenario_of(world, FIRE, asked())
    assert "nothing drives it; give forcings, e.g. --drive ignition@HOSPITALS|LON,LAT=ignition.csv or ...=2m" in str(caught.value)
    assert "wind_speed [m/s] wind at 10 m" in str(caught.value)


def test_what_was_asked_is_told(world: World) -> None:
    assert asked("wind_speed=8m/s", "wind_from=310deg").words() == {"drive": "wind_speed=8m/s, wind_from=310deg", "hours": "6"}


def test_a_scenario_file_gives_any_forcing_with_its_unit(world: World, tmp_path: Path) -> None:
    (tmp_path / "bearing.csv").write_text("time_h,wind_from [deg]\n0,350\n1,10\n")
    storm = storm_of(
        {
            "duration": "6h",
            "members": 2,
            "series": {
                "wind_speed": {"time_h": [0, 1], "value": [36, 72], "unit": "km/h", "source": "met office"},
                "wind_from": {"file": "bearing.csv"},
                "ignition@h1": {"value": "30m"},
            },
        },
        where="storm.toml",
    )
    scenario = scenario_from(storm, world, FIRE, where="storm.toml", folder=tmp_path)
    assert scenario.series["wind_speed"].value.tolist() == [10.0, 20.0]
    assert scenario.series["wind_from"].value.tolist() == [350.0, 10.0, 1.0]
    assert scenario.series["ignition@h1"].value.tolist() == [30.0]
    told = words_of(storm, scenario, "storm")
    assert (told["wind_speed"], told["ignition@h1"]) == ("2 values (met office)", "30m")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"level@lake": {"level": "3m"}}, "storm.toml: series: level@lake: fire_spreads: no forcing 'level@lake'"),
        ({"wind_from": {"level": "30deg"}}, "has no usual value to rise from"),
        ({"spark@quay wall": {"level": "50%"}}, "has no usual value to rise from"),
        ({"wind_speed": {"value": "8"}}, "storm.toml: series: wind_speed: value '8': it has no unit"),
        ({"wind_speed": {"value": [1.0], "time_h": [0.0], "unit": "degC"}}, "unit 'degC'; wanted one of m/s"),
        ({"wind_speed": {"value": [1.0], "time_h": [0.0]}}, "unit ''; wanted one of m/s"),
        ({"ignition@h7": {"value": "8m"}}, "no one of hospitals or point 'h7'"),
        ({}, "storm.toml: scenario: nothing drives it"),
    ],
)
def test_a_scenario_file_with_a_forcing_that_cannot_be_meant_is_refused(
    world: World, table: dict[str, object], says: str
) -> None:
    with pytest.raises(InputError) as caught:
        scenario_from(
            storm_of({"duration": "6h", "series": table}, where="storm.toml"), world, FIRE, where="storm.toml", folder=None
        )
    assert says in str(caught.value)


def test_a_scenario_file_of_plan_trials_gives_any_forcing_with_files_beside_it(world: World, tmp_path: Path) -> None:
    (tmp_path / "wind.csv").write_text("time_h,wind_speed [km/h]\n0,36\n1,72\n")
    path = tmp_path / "windy.toml"
    path.write_text('drive = ["wind_speed=wind.csv", "ignition@h1=30m"]\nhours = 6.0\n')
    trial = read_trial(path, world, {"": FIRE}, {})
    assert trial.scenario.series["wind_speed"].value.tolist() == [10.0, 20.0]
    assert trial.scenario.series["ignition@h1"].value.tolist() == [30.0]


def test_a_command_with_the_scenario_options_gets_one_value_of_them_all() -> None:
    got: list[tuple[str, Asked, bool]] = []
    app = typer.Typer()

    @app.command()
    @takes_scenario(hours=3.0, members=5, futures="How many.")
    def several(place: str, asked: Asked, loud: bool = False) -> None:
        """Do it."""
        got.append((place, asked, loud))

    done = CliRunner().invoke(
        app, ["town", "--drive", "a=1m", "--drive", "b@c=2m", "--level", "2m@lake", "--seed", "4", "--loud"]
    )
    assert done.exit_code == 0, done.output
    assert got == [("town", Asked(["2m@lake"], None, [], "6h", "", 3.0, 5, 4, [], ("a=1m", "b@c=2m")), True)]


def test_a_command_of_one_future_has_neither_members_nor_seed() -> None:
    @takes_scenario()
    def one(asked: Asked) -> None:
        """Do it."""

    assert {"members", "seed"} & set(inspect.signature(one).parameters) == set()
    assert list(inspect.signature(one).parameters)[:4] == ["drive", "level", "rain", "inflow"]


def test_a_flood_is_driven_by_name_from_the_command_line(twin: Path) -> None:
    code, out, err = run("simulate", "flood", twin, "--drive", "level@lake=210cm", "--hours", "1", "--json")
    assert code == 0, err
    assert json.loads(out)["asked"] == {"drive": "level@lake=210cm", "hours": "1"}
    code, _, err = run("plan", "compare", twin, "--drive", "gravity=1m/s", "--members", "2")
    assert code == 1
    assert "no forcing 'gravity'; there are: inflow@, level@, rain" in err
