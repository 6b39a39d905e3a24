"""Streets become a graph that can be driven, and that knows every cell which the water has to reach to cut it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from rasterio.transform import from_origin
from twin_files import COLS, CREATED, GRID, ROWS, Osm, at, build, line, write_terrain, write_vector

from tocsin.platform.twin.roads import SPEED_KM_PER_H, cells_along
from tocsin.vocabulary import Roads

COORDINATE = st.floats(-5.0, 35.0).map(lambda v: round(v, 3))
BOXES = shapely.box(
    GRID.x_min_m + np.arange(COLS) * GRID.cell_m,
    (GRID.y_max_m - (np.arange(ROWS) + 1) * GRID.cell_m)[:, None],
    GRID.x_min_m + (np.arange(COLS) + 1) * GRID.cell_m,
    (GRID.y_max_m - np.arange(ROWS) * GRID.cell_m)[:, None],
).reshape(-1)


def roads_of(tmp_path: Path, city: Osm) -> Roads:
    return build(tmp_path / "twin", roads=city.write(tmp_path / "city.osm.pbf")).roads


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=2, max_size=6), min_size=1, max_size=4))
@example([[(2.5, 2.5), (2.5, 2.5), (9.5, 2.5)]])
@example([[(-3.0, -3.0), (34.0, 24.0)]])
def test_the_cells_of_a_street_are_those_that_it_runs_through(lines: list[list[tuple[float, float]]]) -> None:
    start, places = cells_along([np.array([at(*p) for p in points]) for points in lines], GRID)
    assert start[0] == 0
    assert start[-1] == places.size
    for k, points in enumerate(lines):
        mine = places[start[k] : start[k + 1]]
        whole = shapely.LineString([at(*p) for p in points])
        inner = shapely.length(shapely.intersection(shapely.buffer(BOXES, -1e-6, join_style="mitre"), whole))
        assert set(np.flatnonzero(inner > 1e-5)) <= set(mine.tolist())  # each cell that it is in for longer than a hair
        touched = shapely.distance(BOXES[mine], whole)
        assert (touched < 1e-6).all()  # and none that it does not meet
        assert len(set(mine.tolist())) == mine.size


def test_a_street_wholly_outside_has_no_cells() -> None:
    start, places = cells_along([np.array([at(-5, -5), at(-1, -5)]), np.array([at(1.5, 1.5), at(3.5, 1.5)])], GRID)
    assert (start.tolist(), places.tolist()) == ([0, 0, 3], [COLS + 1, COLS + 2, COLS + 3])


def test_streets_are_split_where_they_share_a_node_and_only_there(tmp_path: Path) -> None:
    city = Osm()
    city.way((9, 5), (12, 5), (15, 5), (20, 5), highway="residential")
    city.way((15, 2), (15, 5), highway="residential")
    city.way((12, 2), (12, 8), highway="residential")  # crosses over without a shared node
    roads = roads_of(tmp_path, city)
    assert len(roads) == 2 * 4
    assert np.unique(roads.way).size == 4
    assert sorted(np.round(roads.length_m / GRID.cell_m).astype(int).tolist()) == [3, 3, 5, 5, 6, 6, 6, 6]


@pytest.mark.parametrize(
    ("zone", "lon", "lat"), [(32631, 3.0, 0.3), (32631, 5.95, 0.3), (32722, -51.2, -30.0), (32631, 4.5, 64.0)]
)
def test_a_street_is_as_long_as_the_geodesic_through_its_points(zone: int, lon: float, lat: float, tmp_path: Path) -> None:
    """On UTM's middle meridian, at the edge of its zone, and between: 1 in a thousand is the bound (Snyder 1987, p. 57: 0.9996 to 1.0010)."""
    crs, geod = f"EPSG:{zone}", Geod(ellps="WGS84")
    east_m, north_m = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    ground = np.ones((40, 40), np.float32) + np.arange(40, dtype=np.float32)
    corner = from_origin(east_m - 1_000.0, north_m + 1_000.0, 50.0, 50.0)
    terrain = write_terrain(tmp_path / "dem.tif", ground, crs=crs, transform=corner)
    across = [(lon - 0.006, lat - 0.003), (lon + 0.005, lat + 0.004)]
    bent = [(lon, lat - 0.005), (lon, lat), (lon + 0.005, lat + 0.001)]
    streets = write_vector(
        tmp_path / "streets.geojson",
        [shapely.LineString(s) for s in (across, bent)],
        crs="EPSG:4326",
        highway=["residential"] * 2,
    )
    roads = build(tmp_path / "twin", elevation=terrain, roads=streets).roads
    assert roads.start.size == 1 + 4  # each street both ways
    true_m = sorted(geod.line_length(*zip(*street, strict=True)) for street in (across, bent) for _ in range(2))
    assert sorted(roads.length_m.tolist()) == pytest.approx(true_m, rel=1e-3)


def test_a_way_that_crosses_itself_is_split_there(tmp_path: Path) -> None:
    city = Osm()
    city.way((10, 5), (14, 5), (18, 5), (18, 2), (14, 2), (14, 5), (14, 9), highway="residential")
    assert np.unique(roads_of(tmp_path, city).way).size == 3


def test_a_ring_can_be_driven_round(tmp_path: Path) -> None:
    city = Osm()
    city.way((10, 5), (14, 5), (14, 9), (10, 9), (10, 5), highway="tertiary", junction="roundabout")
    roads = roads_of(tmp_path, city)
    assert (len(roads), roads.source.tolist() == roads.target.tolist()) == (1, True)
    assert roads.length_m[0] == pytest.approx(16 * GRID.cell_m, rel=1e-3)


@pytest.mark.parametrize(
    ("tags", "directions"),
    [
        ({}, {(0, 1), (1, 0)}),
        ({"oneway": "yes"}, {(0, 1)}),
        ({"oneway": "-1"}, {(1, 0)}),
        ({"oneway": "no"}, {(0, 1), (1, 0)}),
        ({"highway": "motorway"}, {(0, 1)}),
        ({"highway": "motorway", "oneway": "no"}, {(0, 1), (1, 0)}),
        ({"junction": "roundabout"}, {(0, 1)}),
    ],
)
def test_a_street_goes_the_ways_that_its_tags_say(tags: dict[str, str], directions: set[tuple[int, int]], tmp_path: Path) -> None:
    city = Osm()
    city.way((10.5, 5.5), (14.5, 5.5), **({"highway": "residential"} | tags))
    roads = roads_of(tmp_path, city)
    west = int(np.argmin(roads.node_x_m))
    assert {(int(a != west), int(b != west)) for a, b in zip(roads.source, roads.target, strict=True)} == directions
    for edge in range(len(roads)):
        x = roads.line_x_m[roads.line_start[edge] : roads.line_start[edge + 1]]
        assert (x[0], x[-1]) == (roads.node_x_m[roads.source[edge]], roads.node_x_m[roads.target[edge]])
        assert roads.places[roads.start[edge] : roads.start[edge + 1]].tolist() == [5 * COLS + c for c in range(10, 15)]


@pytest.mark.parametrize(
    ("maxspeed", "km_per_h"),
    [
        ("50", 50.0),
        ("30 mph", 30 * 1.609344),
        ("DE:urban", 25.0),
        ("walk", 25.0),
        ("none", 25.0),
        ("0", 25.0),
        ("9e99", 25.0),
        ("", 25.0),
    ],
)
def test_the_speed_is_what_is_mapped_or_else_the_usual_one(maxspeed: str, km_per_h: float, tmp_path: Path) -> None:
    city = Osm()
    city.way((10, 5), (14, 5), highway="residential", maxspeed=maxspeed)
    assert roads_of(tmp_path, city).speed_km_per_h.tolist() == pytest.approx([km_per_h] * 2)


@pytest.mark.parametrize(
    ("value", "above_water"),
    [("yes", True), ("viaduct", True), ("no", False), ("low_water_crossing", False), ("perhaps", False), ("", False)],
)
def test_only_what_is_surely_a_bridge_stands_above_the_water(value: str, above_water: bool, tmp_path: Path) -> None:
    city = Osm()
    city.way((10, 5.5), (14, 5.5), highway="residential", bridge=value)
    roads = roads_of(tmp_path, city)
    assert roads.bridge.all() == above_water
    flood = np.full(GRID.shape, 2.0)
    assert (roads.worst_along(flood) == (0.0 if above_water else 2.0)).all()


def test_a_tunnel_lies_on_the_ground_for_the_water_and_is_told(tmp_path: Path) -> None:
    city = Osm()
    city.way((10, 5), (14, 5), highway="residential", tunnel="yes")
    twin = build(tmp_path / "twin", roads=city.write(tmp_path / "city.osm.pbf"))
    assert not twin.roads.bridge.any()
    assert any("2 directed edges are tunnels" in remark for remark in twin.manifest.remarks)


@pytest.mark.parametrize(
    ("tags", "is_open"),
    [
        ({"access": "no"}, False),
        ({"motor_vehicle": "no"}, False),
        ({"access": "no", "motor_vehicle": "yes"}, True),
        ({"access": "yes", "motorcar": "no"}, False),
        ({"access": "private"}, True),
        ({"access": "destination"}, True),
        ({"area": "yes"}, False),
        ({"highway": "footway"}, False),
        ({"highway": "construction"}, False),
    ],
)
def test_what_a_car_may_not_use_is_no_street(tags: dict[str, str], is_open: bool, tmp_path: Path) -> None:
    city = Osm()
    city.way((9, 9), (12, 9), highway="residential")
    city.way((10, 5), (14, 5), **({"highway": "residential"} | tags))
    assert np.unique(roads_of(tmp_path, city).way).size == 1 + is_open


@pytest.mark.parametrize("highway", SPEED_KM_PER_H)
def test_every_drivable_class_is_read(highway: str, tmp_path: Path) -> None:
    city = Osm()
    city.way((10, 5), (14, 5), highway=highway)
    roads = roads_of(tmp_path, city)
    assert set(roads.highway) == {highway}
    assert set(roads.speed_km_per_h) == {SPEED_KM_PER_H[highway]}


def test_a_street_is_clipped_at_its_nodes_and_not_in_between(tmp_path: Path) -> None:
    city = Osm()
    city.way((25, 5), (28, 5), (35, 5), highway="residential")
    city.way((28, 5), (28, 8), highway="residential")
    city.way((35, 5), (40, 5), highway="residential")  # wholly outside
    roads = roads_of(tmp_path, city)
    assert np.unique(roads.way).size == 3
    assert GRID.place(roads.node_x_m.max(), at(0, 5)[1]) == -1
    assert (roads.places % COLS).max() == COLS - 1


def test_lines_with_parts_become_several_streets(tmp_path: Path) -> None:
    parts = shapely.MultiLineString([line((10, 5), (14, 5)), line((16, 5), (18, 5))])
    roads = build(
        tmp_path / "twin", roads=write_vector(tmp_path / "r.gpkg", [parts], highway=["residential"], bridge=[False])
    ).roads
    assert np.unique(roads.way).size == 2
    assert not roads.bridge.any()


def test_pieces_that_cannot_be_reached_are_told(tmp_path: Path) -> None:
    city = Osm()
    city.way((9, 5), (14, 5), (14, 8), highway="residential")
    city.way((20, 5), (24, 5), highway="residential")
    twin = build(tmp_path / "twin", roads=city.write(tmp_path / "city.osm.pbf"))
    assert any("50.0% of the graph's nodes reach each other; 1 smaller pieces" in remark for remark in twin.manifest.remarks)


def test_a_twin_without_streets_has_an_empty_graph(tmp_path: Path) -> None:
    roads = build(tmp_path / "twin").world(CREATED).roads
    assert (len(roads), roads.places.size, roads.worst_along(np.ones(GRID.shape)).size) == (0, 0, 0)
