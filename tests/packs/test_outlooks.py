"""What comes next by the sensors alone: the running platform asks each pack for a scenario, and says so where the sensors tell nothing."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pytest

from tocsin.pack import find_pack
from tocsin.pack.places import places_of, point_at, point_of
from tocsin.pack.weather import latest, wind_now
from tocsin.science.dispersion import carrying_wind, plume
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Bulletin, InputError, Quantity, Window, World

WILDFIRE, CHEMICAL = find_pack("wildfire"), find_pack("chemical")


class At(NamedTuple):
    site: str
    quantity: str
    place: int
    name: str = ""
    water: str = ""


def said(pack_quantities: tuple[Quantity, ...], name: str, values: dict[str, float], age_s: float = 60.0) -> Window:
    quantity = next(q for q in pack_quantities if q.name == name)
    column = np.array([[value] for value in values.values()])
    return Window(quantity, tuple(values), np.full(column.shape, age_s), column, np.isfinite(column))


def smoke(**more: dict[str, float]) -> TinyWorld:
    told: dict[str, dict[str, float]] = {"wind_speed": {"mast": 6.0}, "wind_from": {"mast": 280.0}, **more}
    return TinyWorld(readings={name: said(WILDFIRE.observes, name, values) for name, values in told.items()})


CAMERAS = (At("north", "smoke_probability", 2), At("south", "smoke_probability", 20))


def test_a_fire_starts_where_a_sensor_sees_it_in_the_wind_that_blows() -> None:
    world = smoke(smoke_probability={"north": 0.9, "south": 0.1})
    assert WILDFIRE.outlook is not None
    scenario = WILDFIRE.outlook(world, CAMERAS)
    (ignition,) = (name for name in scenario.series if name.startswith("ignition@"))
    assert places_of(world, ("point",), ignition.partition("@")[2]).tolist() == [2]
    assert scenario.series["wind_speed"].at(3600.0) == 6.0
    assert scenario.series["wind_from"].at(3600.0) == pytest.approx(280.0)
    assert "air_temperature" not in scenario.series  # the model wants both of the air, or none
    WILDFIRE.models[0].check(scenario)


def detection(world: TinyWorld, place: int, *, hours: float = 1.0, grade: float = 1.0, **more: Any) -> Bulletin:
    """A satellite saw a fire in the middle of a cell, some hours ago."""
    lon, lat = point_of(point_at(world, place)) or (0.0, 0.0)
    seen = world.time - timedelta(hours=hours)
    told = {"state": "issued", "status": "actual", "event": "fire detection", "longitude": lon, "latitude": lat, **more}
    return Bulletin(
        time=seen, subject=f"firms:{place}", source="firms", revision="1", sender="FIRMS", headline="a fire", begins=seen,
        figures={"confidence_class": grade}, **told,
    )  # fmt: skip


def test_a_fire_starts_where_a_satellite_saw_one_lately_and_surely_enough() -> None:
    world = smoke()
    assert WILDFIRE.outlook is not None
    told = (
        detection(world, 9),
        detection(world, 10, hours=6.5),
        detection(world, 11, hours=-0.5),  # of a clock that is wrong
        detection(world, 12, grade=0.0),
        detection(world, 13, state="cancelled"),
        detection(world, 14, status="test"),
        detection(world, 15, event="earthquake"),
        detection(world, 16, longitude=0.0),  # far away
        detection(world, 17, latitude=None),
    )
    scenario = WILDFIRE.outlook(world, (), told)
    (ignition,) = (name for name in scenario.series if name.startswith("ignition@"))
    assert places_of(world, ("point",), ignition.partition("@")[2]).tolist() == [9]
    assert scenario.knobs["embers_per_gj"].high > scenario.knobs["embers_per_gj"].usual > 0.0
    WILDFIRE.models[0].check(scenario)


def test_of_very_many_detections_the_newest_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["tocsin.packs.wildfire.outlook"], "DETECTIONS_MOST", 2)
    world = smoke()
    assert WILDFIRE.outlook is not None
    scenario = WILDFIRE.outlook(world, (), [detection(world, place, hours=0.1 * place) for place in (8, 14, 9)])
    lit = {int(places_of(world, ("point",), name.partition("@")[2])[0]) for name in scenario.series if "@" in name}
    assert lit == {8, 9}


def test_the_air_is_told_where_both_its_numbers_are_known() -> None:
    world = smoke(smoke_probability={"north": 0.9}, air_temperature={"mast": 31.0}, relative_humidity={"mast": 20.0})
    assert WILDFIRE.outlook is not None
    scenario = WILDFIRE.outlook(world, CAMERAS)
    assert (scenario.series["air_temperature"].at(0.0), scenario.series["relative_humidity"].at(0.0)) == (31.0, 20.0)


@pytest.mark.parametrize(
    ("world", "says"),
    [
        (smoke(smoke_probability={"north": 0.2}), "no sensor and no satellite sees a fire in the twin"),
        (smoke(smoke_probability={"nowhere": 0.9}), "no sensor and no satellite sees a fire in the twin"),
        (smoke(smoke_probability={"north": 0.9}, wind_from={}), "no sensor told wind_from"),
        (smoke(smoke_probability={"north": 0.9}, wind_from={"a": 90.0, "b": 270.0}), "disagree"),
    ],
)
def test_without_a_fire_or_a_wind_a_person_has_to_say(world: World, says: str) -> None:
    assert WILDFIRE.outlook is not None
    with pytest.raises(InputError, match=says):
        WILDFIRE.outlook(world, CAMERAS)


def test_the_wind_of_350_and_10_degrees_is_north() -> None:
    speed, comes_from = (next(q for q in WILDFIRE.observes if q.name == name) for name in ("wind_speed", "wind_from"))
    world = smoke(wind_from={"a": 350.0, "b": 10.0}, wind_speed={"a": 4.0, "b": 6.0})
    blows, from_deg = wind_now(world, speed, comes_from, 3600.0)
    assert blows == pytest.approx(5.0)
    assert min(from_deg, 360.0 - from_deg) == pytest.approx(0.0, abs=1e-6)


def test_of_several_readings_the_newest_good_one_counts() -> None:
    speed = next(q for q in WILDFIRE.observes if q.name == "wind_speed")
    told = Window(
        speed,
        ("mast", "silent"),
        np.array([[900.0, 600.0, 60.0], [np.inf, np.inf, np.inf]]),
        np.array([[3.0, 5.0, 99.0], [np.nan, np.nan, np.nan]]),
        np.array([[True, True, False], [False, False, False]]),
    )
    assert latest(TinyWorld(readings={"wind_speed": told}), speed, 3600.0).tolist() == [5.0, pytest.approx(np.nan, nan_ok=True)]


# -- gas ---------------------------------------------------------------------------------------------------------------

# sensors east of a source in the westernmost cell of row 1, cells of 100 m, wind from the west; ppm by the plume's own formula
SOURCE, RATE_KG_PER_S, SPEED = 6, 0.5, 3.0
SENSORS = {"b": 8, "c": 9, "d": 10, "off": 22}
PPM_OF_CHLORINE = 8.314462618 * 298.15 / (101_325.0 * 70.906e-3) * 1e6  # ppm of one kg/m3 at 25 degC: the ideal gas


def gas_world(readings: dict[str, float]) -> TinyWorld:
    told = {"chlorine": readings, "wind_speed": {"mast": SPEED}, "wind_from": {"mast": 270.0}}
    return TinyWorld(cell_m=100.0, readings={name: said(CHEMICAL.observes, name, values) for name, values in told.items()})


def read_by_sensors() -> dict[str, float]:
    grid = TinyWorld(cell_m=100.0).grid
    x0, y0 = grid.centre(SOURCE)
    told = {}
    for name, place in SENSORS.items():
        x, y = grid.centre(place)
        kg_per_m3 = float(
            plume(RATE_KG_PER_S, float(x - x0), float(y - y0), wind_m_per_s=float(carrying_wind(SPEED, 4)), stability=4)
        )
        told[name] = kg_per_m3 * PPM_OF_CHLORINE
    return told


GAS_AT = tuple(At(site, "chlorine", place) for site, place in SENSORS.items())


def test_gas_goes_on_from_places_and_at_rates_that_explain_what_was_smelt() -> None:
    world = gas_world(read_by_sensors())
    assert CHEMICAL.outlook is not None
    scenario = CHEMICAL.outlook(world, GAS_AT)
    places, rates = [], []
    for way in scenario.analogues:
        (release,) = (name for name in way.series if name.startswith("release@"))
        places.append(int(places_of(world, ("point",), release.partition("@")[2])[0]))
        rates.append(way.series[release].at(0.0))
        assert way.series[release].time_s[0] <= -60.0  # it was smelt a minute ago
    assert {SOURCE, SOURCE + 1} & set(places)  # on the wind's line; how far upwind the rate and the place share among them
    assert len(set(places)) > 1
    assert min(rates) < RATE_KG_PER_S < max(rates)
    assert scenario.knobs["substance"].usual == 1.0  # chlorine
    turns = [way.series["wind_from"].at(0.0) for way in scenario.analogues]
    assert min(turns) < 270.0 < max(turns)
    CHEMICAL.models[0].check(scenario)


def test_two_sensors_cannot_tell_the_place_from_the_rate_and_a_person_has_to_say() -> None:
    assert CHEMICAL.outlook is not None
    read = read_by_sensors()
    with pytest.raises(InputError, match="2 sensors smell chlorine; wanted 3 or more"):
        CHEMICAL.outlook(gas_world({**read, "d": 0.0}), GAS_AT)


def test_without_a_smell_a_person_has_to_say() -> None:
    assert CHEMICAL.outlook is not None
    with pytest.raises(InputError, match="no sensor in the twin smells gas"):
        CHEMICAL.outlook(gas_world({"b": 0.0}), GAS_AT)
    with pytest.raises(InputError, match="no sensor in the twin smells gas"):
        CHEMICAL.outlook(gas_world({"elsewhere": 5.0}), GAS_AT)
