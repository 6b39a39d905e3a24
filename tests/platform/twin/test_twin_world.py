"""A twin that was built is a world at any moment: physical and social, read-only, the same for everyone who asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from twin_files import COLS, CREATED, GRID, ROWS, build, everything, ground_m, lonlat, write_csv, write_terrain

from tocsin.platform.twin import Twin, local_hour, open_twin
from tocsin.vocabulary import InputError, Level, NotFound, Quantity, Window, World

ELEVATION = Quantity("elevation_m", "m", -500, 9000)
LEVEL = Quantity("river_level", "m", -5, 60)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    folder = tmp_path_factory.mktemp("world")
    return build(folder / "twin", **everything(folder / "files"))


def test_a_world_is_a_world(twin: Twin) -> None:
    world: World = twin.world(CREATED)
    assert (world.time, world.grid, world.made_up) == (CREATED, GRID, True)


def test_what_a_world_hands_out_cannot_be_changed(twin: Twin) -> None:
    world = twin.world(CREATED)
    arrays = [
        world.field(ELEVATION),
        world.roads.places,
        world.roads.length_m,
        world.zones.zone_of,
        world.assets("buildings").amount,
        world.water("lake").place,
        world.line("Quay wall").x_m,
    ]
    assert not any(array.flags.writeable for array in arrays)


def test_people_may_be_counted_with_and_changed_without_changing_the_twin(twin: Twin) -> None:
    world = twin.world(CREATED)
    before = world.people(3.0)
    world.people(3.0)[:] = 0
    np.testing.assert_array_equal(world.people(3.0), before)


@pytest.mark.parametrize(
    ("hour", "share_by_day"), [(0, 0), (7, 0), (7.25, 0.25), (8, 1), (12, 1), (18, 1), (18.5, 0.5), (19, 0), (24, 0)]
)
def test_people_go_to_work_and_come_home(hour: float, share_by_day: float, twin: Twin) -> None:
    world = twin.world(CREATED)
    night, day = world.people(3.0), world.people(12.0)
    assert not np.allclose(night, day)
    np.testing.assert_allclose(world.people(hour), (1 - share_by_day) * night + share_by_day * day)
    assert world.people(hour).sum() == pytest.approx(200, rel=1e-12)


@pytest.mark.parametrize("hour", [-0.1, 24.1, float("nan")])
def test_an_hour_that_no_day_has_is_refused(hour: float, twin: Twin) -> None:
    with pytest.raises(InputError, match=r"wanted 0\.\.24"):
        twin.world(CREATED).people(hour)


def test_a_place_without_people_has_none(tmp_path: Path) -> None:
    assert build(tmp_path / "twin").world(CREATED).people(12.0).tolist() == [0.0] * (ROWS * COLS)


def test_without_a_time_zone_the_hour_goes_by_the_sun(twin: Twin) -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert twin.local_hour(noon) == pytest.approx(12 + 3.0 / 15, abs=0.01)  # 3 degrees east
    assert local_hour(twin.world(noon), noon) == twin.local_hour(noon)
    elsewhere = noon.astimezone(timezone(timedelta(hours=9)))
    assert twin.local_hour(elsewhere) == twin.local_hour(noon)


def test_with_a_time_zone_the_hour_goes_by_the_clock_on_the_wall(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin", time_zone="Europe/Paris")
    assert twin.local_hour(datetime(2026, 7, 1, 12, 30, tzinfo=UTC)) == 14.5
    assert twin.local_hour(datetime(2026, 1, 1, 23, 30, tzinfo=UTC)) == 0.5
    assert local_hour(twin.world(CREATED), datetime(2026, 7, 1, 12, 30, tzinfo=UTC)) == 14.5


def test_readings_come_from_whoever_has_them(twin: Twin) -> None:
    said = Window(LEVEL, ("g1",), np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1), bool))
    asked: list[tuple[str, float]] = []

    def readings(quantity: Quantity, span_s: float) -> Window:
        asked.append((quantity.name, span_s))
        return said

    assert twin.world(CREATED, readings=readings).window(LEVEL, 600.0) is said
    assert asked == [("river_level", 600.0)]
    silent = twin.world(CREATED).window(LEVEL, 600.0)
    assert (silent.quantity, silent.sites, silent.value.shape) == (LEVEL, (), (0, 0))


def test_a_field_of_the_moment_is_added_to_those_of_the_twin(twin: Twin) -> None:
    water = np.ones(GRID.shape, np.float32)
    world = twin.world(CREATED, fields={"water_depth_m": water})
    assert world.field(Quantity("water_depth_m", "m")) is water
    np.testing.assert_array_equal(world.field(ELEVATION), ground_m())


NAMED: list[tuple[Callable[[World], Any], str]] = [
    (
        lambda w: w.field(Quantity("snow", "m")),
        "no field 'snow'; there are: elevation, manning, population_day, population_night",
    ),
    (lambda w: w.water("sea"), "no water 'sea'; there are: lake"),
    (lambda w: w.line("wall"), "no line 'wall'; there are: Quay wall"),
    (lambda w: w.zones.places("Moon"), "no zone 'Moon'; there are: Shore, Hill"),
]


@pytest.mark.parametrize(("ask", "says"), NAMED)
def test_what_is_not_there_is_told_with_what_is(ask: Callable[[World], Any], says: str, twin: Twin) -> None:
    with pytest.raises(NotFound) as caught:
        ask(twin.world(CREATED))
    assert says in str(caught.value)


def test_a_kind_of_assets_that_is_not_there_is_empty(twin: Twin) -> None:
    assert twin.asset_kinds() == ("buildings", "hospitals")
    assert len(twin.world(CREATED).assets("sandbags")) == 0


def test_gauges_tell_where_they_stand_what_they_read_and_their_limits(twin: Twin) -> None:
    pier, hill = twin.gauges
    assert (pier.site, pier.name, pier.quantity, pier.unit, pier.water, pier.zero_m) == (
        "g1",
        "Pier",
        "river_level",
        "m",
        "lake",
        1.5,
    )
    assert (pier.lon, pier.lat) == pytest.approx(lonlat(7.5, 10.5), abs=1e-9)
    assert pier.place == 10 * COLS + 7
    assert pier.limits is not None
    assert (dict(pier.limits.at), pier.limits.unit, pier.limits.source) == (
        {Level.YELLOW: 2.0, Level.RED: 3.0},
        "m",
        "town plan 2020",
    )
    assert (hill.limits, np.isnan(hill.zero_m), hill.water) == (None, True, "")


def test_a_gauge_without_a_zero_takes_that_of_its_water(tmp_path: Path) -> None:
    rows = [(*lonlat(3, 4), "a", "river_level", "lake", ""), (*lonlat(10, 4), "b", "river_level", "", "")]
    path = write_csv(tmp_path / "g.csv", "lon,lat,site,quantity,water,zero_m", rows)
    gauges = build(tmp_path / "twin", gauges=path, water={"lake": "auto,zero=1.25"}).gauges
    assert gauges[0].zero_m == 1.25
    assert np.isnan(gauges[1].zero_m)


def test_limits_without_a_source_are_not_verified(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "g.csv", "lon,lat,quantity,red", [(*lonlat(10, 4), "river_level", 3)])
    (gauge,) = build(tmp_path / "twin", gauges=path).gauges
    assert gauge.site == "gauge-1"
    assert gauge.limits is not None
    assert not gauge.limits.verified


def test_gauges_outside_are_told_by_name(tmp_path: Path) -> None:
    rows = [(*lonlat(10, 4), "in", "rain_rate"), (*lonlat(100, 4), "upstream", "rain_rate")]
    twin = build(tmp_path / "twin", gauges=write_csv(tmp_path / "g.csv", "lon,lat,site,quantity", rows))
    assert [gauge.site for gauge in twin.gauges] == ["in"]
    assert any("gauges: upstream lie outside the twin and were left out" in remark for remark in twin.manifest.remarks)


def test_a_gauges_warning_concerns_the_zones_around_it(twin: Twin, tmp_path: Path) -> None:
    name, ground = twin.surroundings(twin.gauges[0])
    assert name == "Shore, Hill"
    assert ground.bounds == pytest.approx((*lonlat(8, 20), *lonlat(30, 0)), abs=1e-4)
    lonely = build(
        tmp_path / "twin", gauges=write_csv(tmp_path / "g.csv", "lon,lat,quantity,name", [(*lonlat(10, 4), "q", "Pole")])
    )
    lonely.zone_shapes.clear()
    assert lonely.surroundings(lonely.gauges[0])[0] == "Pole"


def test_where_zones_overlap_the_first_one_counts(tmp_path: Path) -> None:
    from twin_files import box, write_vector

    path = write_vector(tmp_path / "z.geojson", [box(8, 0, 20, 20), box(10, 0, 30, 20)], name=["first", "second"])
    zones = build(tmp_path / "twin", zones=path).zones
    assert (zones.places("first").size, zones.places("second").size) == (12 * ROWS, 10 * ROWS)


def test_layers_are_read_when_they_are_first_asked_for(tmp_path: Path) -> None:
    folder = build(tmp_path / "twin", **everything(tmp_path / "files")).folder
    twin = open_twin(folder)
    for name in twin.manifest.files:
        if name != "zones.parquet":
            (folder / name).write_bytes(b"gone")
    assert twin.zones.name == ("Shore", "Hill")


def test_threads_see_one_and_the_same_twin(tmp_path: Path) -> None:
    folder = build(tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif")).folder
    twin, seen = open_twin(folder), []
    start = threading.Barrier(8)

    def look() -> None:
        start.wait(30)
        seen.append(twin.field("elevation"))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 8
    assert all(field is seen[0] for field in seen)


def test_a_gauge_has_an_error_of_its_own_where_the_table_says_so(tmp_path: Path) -> None:
    rows = [(*lonlat(7.5, 10.5), "a", "river_level", 0.05, ""), (*lonlat(8.5, 10.5), "b", "rain_amount", "", 0.2)]
    path = write_csv(tmp_path / "g.csv", "lon,lat,site,quantity,error_sd,error_share", rows)
    level, rain = build(tmp_path / "twin", gauges=path).gauges
    assert (level.error_sd, rain.error_share) == (0.05, 0.2)
    assert np.isnan([level.error_share, rain.error_sd]).all()
    write_csv(path, "lon,lat,site,quantity,error_sd", [(*lonlat(7.5, 10.5), "a", "river_level", 0)])
    with pytest.raises(InputError, match="error_sd = 0"):
        build(tmp_path / "other", gauges=path)
