"""Files of every usual kind become one and the same twin, and nothing is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import h3
import msgspec
import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from twin_files import (
    CELL_M,
    COLS,
    CREATED,
    CRS,
    EXTENSION,
    GRID,
    LAKE_COLS,
    NORTH_M,
    ROWS,
    WEST_M,
    Osm,
    at,
    box,
    build,
    everything,
    ground_m,
    line,
    lonlat,
    point,
    write_csv,
    write_terrain,
    write_vector,
)

from tocsin.platform.twin import build_twin, open_twin, read_manifest
from tocsin.platform.twin.rasters import WORLDCOVER_MANNING
from tocsin.vocabulary import InputError, Quantity

ELEVATION = Quantity("elevation_m", "m", -500, 9000)


def test_a_twin_of_everything_tells_what_it_holds_and_from_where(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin", **everything(tmp_path / "files"), time_zone="Africa/Lagos", licences={"zones": "CC0"})
    manifest, world = twin.manifest, twin.world(CREATED)
    assert (manifest.name, manifest.made_up, manifest.created, manifest.grid) == ("Shoreham", True, CREATED, GRID)
    assert manifest.counts == pytest.approx(
        {
            "road_edges": 11,  # six pieces between crossings, one of them open one way only
            "road_nodes": 6,
            "road_km": (19 + 13 + 6 + 10) * CELL_M / 1000,
            "buildings": 6,
            "floor_m2": 6 * 2 * CELL_M**2,
            "people_night": 200,
            "people_day": 200,
            "zones": 2,
            "lines": 1,
            "hospitals": 1,
            "gauges": 2,
        },
        abs=0.01,
    )
    by_what = {source.what: source for source in manifest.sources}
    assert set(by_what) == {"elevation", "roads", "population", "buildings", "zones", "lines", "hospitals", "gauges"}
    assert (by_what["zones"].licence, by_what["roads"].licence) == ("CC0", "ODbL 1.0")
    assert by_what["roads"].attribution == "© OpenStreetMap contributors"
    assert by_what["elevation"].size_bytes == (tmp_path / "files" / "elevation.tif").stat().st_size
    assert set(manifest.files) == {p.relative_to(twin.folder).as_posix() for p in twin.folder.rglob("*") if p.is_file()} - {
        "manifest.json"
    }
    assert (world.made_up, world.waters(), world.lines(), world.zones.name) == (
        True,
        ("lake",),
        ("Quay wall",),
        ("Shore", "Hill"),
    )
    np.testing.assert_array_equal(world.field(ELEVATION), ground_m())
    assert world.line("Quay wall").crest_m == 4.5
    hospitals = world.assets("hospitals")
    assert (hospitals.id, hospitals.unit, hospitals.amount.tolist()) == (("h1",), "persons", [80.0])
    assert hospitals.place.tolist() == [5 * COLS + 12]


def test_the_manifest_on_disk_says_the_same(tmp_path: Path) -> None:
    told = build_twin(
        tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif"), created=CREATED, titles={"elevation": "SRTM"}
    )
    assert read_manifest(tmp_path / "twin") == told
    assert told.sources[0].title == "SRTM"
    assert told.name == "twin"


@pytest.mark.parametrize("kind", EXTENSION)
def test_zones_read_the_same_from_every_vector_format(kind: str, tmp_path: Path) -> None:
    path = write_vector(tmp_path / f"zones{EXTENSION[kind]}", [box(8, 0, 19, 20), box(19, 0, 30, 20)], name=["Shore", "Hill"])
    zones = build(tmp_path / "twin", zones=path).zones
    assert zones.name == ("Shore", "Hill")
    assert (zones.zone_of == 0).sum() == (19 - 8) * ROWS
    assert (zones.zone_of == 1).sum() == (30 - 19) * ROWS
    assert (zones.zone_of == -1).sum() == 8 * ROWS
    assert set(zones.zone_of.reshape(ROWS, COLS)[:, 18]) == {0}


@pytest.mark.parametrize("kind", EXTENSION)
def test_polygons_of_people_read_the_same_from_every_vector_format(kind: str, tmp_path: Path) -> None:
    path = write_vector(tmp_path / f"people{EXTENSION[kind]}", [box(10, 10, 14, 12)], population=[16], jobs=[4])
    people = build(tmp_path / "twin", population=path).world(CREATED).people(3.0).reshape(ROWS, COLS)
    np.testing.assert_allclose(people[10:12, 10:14], 2.0)
    assert people.sum() == pytest.approx(16, abs=1e-9)


@pytest.mark.parametrize("kind", EXTENSION)
def test_houses_assets_lines_and_gauges_read_from_every_vector_format(kind: str, tmp_path: Path) -> None:
    end = EXTENSION[kind]
    twin = build(
        tmp_path / "twin",
        buildings=write_vector(tmp_path / f"b{end}", [box(10, 10, 12, 11)], sort=["commercial"], levels=[3]),
        lines=write_vector(tmp_path / f"l{end}", [line((9, 1), (9, 9))], name=["dike"], crest_m=[5.0]),
        assets={"shelters": write_vector(tmp_path / f"s{end}", [point(20.5, 3.5)], name=["Arena"], amount=[500])},
        gauges=write_vector(tmp_path / f"g{end}", [point(20.5, 3.5)], site=["g"], quantity=["rain_rate"]),
    )
    houses = twin.assets("buildings")
    assert (houses.unit, houses.sort) == ("m2", ("commercial",))
    assert houses.amount[0] == pytest.approx(3 * 2 * CELL_M**2, rel=1e-6)
    assert twin.lines["dike"].x_m == pytest.approx([at(9, 1)[0]] * 2, abs=0.01)
    assert twin.assets("shelters").name == ("Arena",)
    assert [(g.site, g.place) for g in twin.gauges] == [("g", 3 * COLS + 20)]


def test_polygons_with_heights_and_rows_without_a_shape_are_read(tmp_path: Path) -> None:
    high = shapely.force_3d(box(8, 0, 30, 20), 7.0)
    path = write_vector(tmp_path / "zones.gpkg", [high, None], name=["All", "Nowhere"])
    assert build(tmp_path / "twin", zones=path).zones.name == ("All",)


def test_a_polygon_that_crosses_itself_is_mended(tmp_path: Path) -> None:
    bow = shapely.Polygon([at(10, 4), at(14, 8), at(14, 4), at(10, 8)])
    people = (
        build(tmp_path / "twin", population=write_vector(tmp_path / "p.geojson", [bow], population=[100]))
        .world(CREATED)
        .people(3)
    )
    assert people.sum() == pytest.approx(100, abs=1e-9)


def test_geoparquet_of_a_twin_is_read_by_geopandas(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin", **everything(tmp_path / "files"))
    layers = [name for name in twin.manifest.files if name.endswith(".parquet")]
    assert len(layers) == 8
    for name in layers:
        frame = gpd.read_parquet(twin.folder / name)
        assert frame.crs == CRS
        assert frame.geometry.is_valid.all()
        assert shapely.intersects(frame.geometry.values, shapely.box(*GRID.bounds_m)).all()
    edges = gpd.read_parquet(twin.folder / "roads" / "edges.parquet")
    np.testing.assert_allclose(edges.length, edges.length_m)


def test_fields_are_tiled_deflated_geotiffs_in_the_twins_grid(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin", **everything(tmp_path / "files"))
    assert twin.field_names() == ("elevation", "manning", "population_day", "population_night")
    for name in twin.field_names():
        with rasterio.open(twin.folder / "fields" / f"{name}.tif") as raster:
            assert (raster.profile["compress"], raster.profile["tiled"]) == ("deflate", True)
            assert raster.crs == CRS
            assert raster.bounds == rasterio.coords.BoundingBox(*GRID.bounds_m)


def test_the_same_files_give_the_same_layers_byte_for_byte(tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    one, two = build(tmp_path / "one", **files), build(tmp_path / "two", **files)
    assert one.manifest.files == two.manifest.files
    assert len(one.manifest.files) == 12


# Terrain


def test_a_metric_terrain_keeps_its_cells_and_heights(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin")
    assert twin.grid == GRID
    np.testing.assert_array_equal(twin.field("elevation"), ground_m())


def degrees_terrain(path: Path, rows: int, cols: int, ground: np.ndarray[Any, Any] | None = None) -> Path:
    """Pixels of 1 arc-second at Porto Alegre's latitude."""
    ground = np.tile(np.arange(cols, dtype=np.float32), (rows, 1)) if ground is None else ground
    return write_terrain(
        path, ground, crs="EPSG:4326", transform=rasterio.transform.from_origin(-51.3, -30.0, 1 / 3600, 1 / 3600)
    )


def test_a_terrain_in_degrees_comes_to_utm_with_as_many_cells(tmp_path: Path) -> None:
    grid = build(tmp_path / "twin", elevation=degrees_terrain(tmp_path / "dem.tif", 120, 100)).grid
    assert grid.crs == "EPSG:32722"
    # a second of latitude is 30.79 m there, one of longitude 26.80 m (WGS 84): their geometric mean is 28.73 m
    assert grid.cell_m == pytest.approx(np.sqrt(30.79 * 26.80), rel=1e-3)
    assert grid.cells == pytest.approx(120 * 100, rel=0.05)


def test_no_height_is_invented_by_resampling(tmp_path: Path) -> None:
    ground = np.where(np.arange(100) < 40, 5.0, 9.0) * np.ones((120, 1))
    twin = build(tmp_path / "twin", elevation=degrees_terrain(tmp_path / "dem.tif", 120, 100, ground.astype(np.float32)))
    assert set(np.unique(twin.field("elevation"))) == {5.0, 9.0}


def test_a_coarser_cell_takes_the_median_so_that_water_stays_flat(tmp_path: Path) -> None:
    ground = ground_m()
    ground[3, 3] = 900.0  # one wild pixel in the lake
    grid = build(tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif", ground), cell_m=200.0)
    lake = grid.field("elevation")[:, :2]
    assert grid.grid.shape == (5, 8)
    assert (lake == 2.0).all()
    assert any("the median of its pixels" in remark for remark in grid.manifest.remarks)


def test_small_holes_are_filled_from_their_side_and_told(tmp_path: Path) -> None:
    ground = ground_m()
    ground[0, -1] = -9999.0
    twin = build(tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif", ground, nodata=-9999.0))
    assert twin.field("elevation")[0, -1] in (ground[0, -2], ground[1, -1])
    assert any("1 cells (0.2%) without a value were filled" in remark for remark in twin.manifest.remarks)


def test_heights_with_a_scale_are_brought_to_metres(tmp_path: Path) -> None:
    path = write_terrain(tmp_path / "dem.tif", (ground_m() * 100).round().astype(np.int32))
    with rasterio.open(path, "r+") as raster:
        raster.scales = (0.01,)
    np.testing.assert_allclose(build(tmp_path / "twin", elevation=path).field("elevation"), ground_m(), atol=1e-6)


def test_whole_metres_are_told(tmp_path: Path) -> None:
    whole = build(tmp_path / "a", elevation=write_terrain(tmp_path / "a.tif", ground_m().round()))
    assert any("whole metres" in remark for remark in whole.manifest.remarks)
    assert not any("whole metres" in remark for remark in build(tmp_path / "b").manifest.remarks)


def test_a_south_up_or_oblong_terrain_is_brought_to_square_cells_north_up(tmp_path: Path) -> None:
    upside = write_terrain(
        tmp_path / "dem.tif", ground_m()[::-1].copy(), transform=rasterio.Affine(50, 0, WEST_M, 0, 50, NORTH_M - ROWS * 50)
    )
    np.testing.assert_array_equal(build(tmp_path / "a", elevation=upside).field("elevation"), ground_m())
    oblong = write_terrain(tmp_path / "long.tif", transform=rasterio.transform.from_origin(WEST_M, NORTH_M, 50.0, 200.0))
    grid = build(tmp_path / "b", elevation=oblong).grid
    assert grid.cell_m == pytest.approx(100.0)
    assert grid.shape == (40, 15)


def test_land_cover_becomes_friction_and_open_questions_are_told(tmp_path: Path) -> None:
    classes = np.full((ROWS, COLS), 10, np.uint8)
    classes[:, :LAKE_COLS] = 80
    twin = build(tmp_path / "twin", landcover=write_terrain(tmp_path / "cover.tif", classes))
    manning = twin.world(CREATED).field(Quantity("manning", "s/m^(1/3)", 0.005, 0.5))
    np.testing.assert_allclose(manning[:, 0], WORLDCOVER_MANNING[80])
    np.testing.assert_allclose(manning[:, -1], WORLDCOVER_MANNING[10])
    assert any("unverified" in remark for remark in twin.manifest.remarks)
    assert any("no land cover" in remark for remark in build(tmp_path / "plain").manifest.remarks)


# Water


def test_flat_low_ground_is_the_lake_without_being_told(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin")
    lake = twin.waters["lake"]
    assert (lake.usual_level_m, lake.gauge_zero_m) == (2.0, 0.0)
    np.testing.assert_array_equal(np.sort(lake.place), np.flatnonzero(ground_m().reshape(-1) == 2.0))
    assert "taken to be the terrain's" in lake.note
    assert twin.water_shapes["lake"].area == pytest.approx(LAKE_COLS * ROWS * CELL_M**2)


def test_a_second_lake_is_named_after_the_first(tmp_path: Path) -> None:
    ground = ground_m()
    ground[2:6, 20:24] = 1.0
    waters = build(
        tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif", ground), water={"lake": "auto,zero=0.5"}
    ).waters
    told = {name: (len(w.place), w.usual_level_m, w.gauge_zero_m) for name, w in waters.items()}
    assert told == {"lake": (160, 2.0, 0.5), "lake-2": (16, 1.0, 0.0)}  # the zero that was given is the first one's alone


def test_a_plain_in_whole_metres_is_no_lake(tmp_path: Path) -> None:
    steps = np.repeat(np.arange(10.0, 20.0), 3)[None, :] * np.ones((ROWS, 1))
    ground = steps.astype(np.float32)
    ground[5, 0] = 9.0  # and the lowest step drains as well
    ground[6:9, 0:2] = 9.5
    assert build(tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif", ground)).waters == {}


def test_a_point_names_what_is_connected_to_it_at_one_height(tmp_path: Path) -> None:
    ground = ground_m()
    ground[10, :LAKE_COLS] = 2.5  # a causeway
    lon, lat = lonlat(3.5, 3.5)
    twin = build(
        tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif", ground), water={"north": f"{lon},{lat},zero=-0.25"}
    )
    assert len(twin.waters["north"].place) == 10 * LAKE_COLS
    assert twin.waters["north"].gauge_zero_m == -0.25


def test_polygons_name_a_water_whose_level_is_the_median_ground(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "water.geojson", [box(0, 0, 8, 20)])
    twin = build(tmp_path / "twin", water={"Bay": str(path)})
    assert (len(twin.waters["Bay"].place), twin.waters["Bay"].usual_level_m) == (8 * ROWS, 2.0)
    assert [s.what for s in twin.manifest.sources] == ["elevation", "water Bay"]


def test_no_cell_belongs_to_two_waters(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "water.geojson", [box(0, 0, 4, 20)])
    waters = build(tmp_path / "twin", water={"west": str(path), "lake": "auto"}).waters
    assert (len(waters["west"].place), len(waters["lake"].place)) == (4 * ROWS, 4 * ROWS)


# People


def hexagons(resolution: int = 10) -> list[str]:
    lon, lat = lonlat(19, 10)
    return sorted(h3.grid_disk(h3.latlng_to_cell(lat, lon, resolution), 1))


@pytest.mark.parametrize("column", ["h3", "id", "hex_id"])
def test_people_of_hexagons_are_kept_to_the_last_digit(column: str, tmp_path: Path) -> None:
    rows = [(cell, 7 + k / 3) for k, cell in enumerate(hexagons())]
    twin = build(tmp_path / "twin", population=write_csv(tmp_path / "p.csv", f"{column},population", rows))
    everyone = sum(count for _, count in rows)
    assert twin.world(CREATED).people(3.0).sum() == pytest.approx(everyone, rel=1e-12)
    assert twin.world(CREATED).people(12.0).sum() == pytest.approx(everyone, rel=1e-12)


def test_people_stand_on_dry_cells(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "p.geojson", [box(6, 4, 10, 6)], population=[40])
    people = build(tmp_path / "twin", population=path).world(CREATED).people(3.0).reshape(ROWS, COLS)
    assert people[:, :LAKE_COLS].sum() == 0
    np.testing.assert_allclose(people[4:6, 8:10], 10.0)


def test_people_whose_row_is_all_water_are_kept_and_told(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "p.geojson", [box(1, 4, 3, 6), box(10, 4, 12, 6)], population=[40, 5])
    twin = build(tmp_path / "twin", population=path)
    assert twin.world(CREATED).people(3.0).sum() == pytest.approx(45)
    assert any("40 persons stand where the terrain shows water" in remark for remark in twin.manifest.remarks)


def test_people_beyond_the_edge_are_counted_as_outside(tmp_path: Path) -> None:
    path = write_vector(
        tmp_path / "p.geojson", [box(28, 4, 32, 6), box(10, 4, 12, 6), box(60, 4, 62, 6)], population=[40, 5, 100]
    )
    twin = build(tmp_path / "twin", population=path)
    assert twin.manifest.counts["people_night"] == pytest.approx(25, rel=1e-4)
    assert any("145 persons in the file, 25 in the twin, 120 outside it" in remark for remark in twin.manifest.remarks)


def test_people_live_by_floor_area_where_there_are_houses(tmp_path: Path) -> None:
    houses = write_vector(
        tmp_path / "b.gpkg",
        [box(10, 4, 11, 5), box(12, 4, 13, 5), box(13, 4, 14, 5)],
        sort=["residential", "residential", "industrial"],
        levels=[1, 3, 9],
    )
    people = write_vector(tmp_path / "p.geojson", [box(10, 4, 16, 6)], population=[40], jobs=[10])
    world = build(tmp_path / "twin", population=people, buildings=houses).world(CREATED)
    night, day = (world.people(hour).reshape(ROWS, COLS) for hour in (3.0, 12.0))
    assert night[4, 10:15] == pytest.approx([10, 0, 30, 0, 0])
    assert day[4, 10:15] == pytest.approx([7.5, 0, 22.5, 10, 0])  # a quarter of all has work, and works in the factory


def test_by_day_no_more_people_are_at_work_than_live_here(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "lon,lat,population,jobs", [(*lonlat(10.5, 4.5), 10, 0), (*lonlat(20.5, 4.5), 0, 40)])
    twin = build(tmp_path / "twin", population=path)
    assert twin.world(CREATED).people(12.0).sum() == pytest.approx(10)
    assert any("40 jobs for 10 residents" in remark for remark in twin.manifest.remarks)


def test_hexagons_across_the_antimeridian_keep_their_people(tmp_path: Path) -> None:
    x_m, y_m = Transformer.from_crs("EPSG:4326", "EPSG:32760", always_xy=True).transform(180.0, -16.8)
    corner = rasterio.transform.from_origin(x_m - 700.0, y_m + 500.0, 50, 50)
    dem = write_terrain(tmp_path / "dem.tif", crs="EPSG:32760", transform=corner)
    path = write_csv(tmp_path / "p.csv", "h3,population", [(h3.latlng_to_cell(-16.8, 180.0, 9), 50)])
    twin = build(tmp_path / "twin", elevation=dem, population=path)
    assert twin.people(3.0).sum() == pytest.approx(50)
    assert (twin.people(3.0) > 0).sum() < 60  # a hexagon of 0.1 km2 holds 42 cells


# Zones


def test_inhabited_squares_serve_as_zones_where_none_are_given(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "lon,lat,population", [(*lonlat(10.5, 4.5), 10)])
    twin = build(tmp_path / "twin", population=path, elevation=write_terrain(tmp_path / "dem.tif"))
    assert twin.zones.name == ("A1",)
    assert any("blocks of 1000 m with people" in remark for remark in twin.manifest.remarks)


def test_squares_of_land_serve_as_zones_where_nobody_is_known_to_live(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin")
    assert twin.zones.name == ("A1", "A2")
    assert any("with land in them" in remark for remark in twin.manifest.remarks)


# OpenStreetMap


def test_houses_come_from_an_osm_extract_with_their_courtyards(tmp_path: Path) -> None:
    city = Osm()
    city.area(10, 4, 12, 5, building="apartments", building__levels="4", name="Long House")
    outer, inner = city.area(14, 4, 18, 8), city.area(15, 5, 17, 7)
    city.multipolygon(outer, inner, building="yes")
    city.area(20, 4, 21, 5, building="no")
    city.area(22, 4, 23, 5, building="warehouse", building__levels="two")
    twin = build(tmp_path / "twin", buildings=city.write(tmp_path / "city.osm.pbf"))
    houses = twin.assets("buildings")
    by_id = {
        one: (sort, round(float(amount) / CELL_M**2, 2))
        for one, sort, amount in zip(houses.id, houses.sort, houses.amount, strict=True)
    }
    assert by_id == {"way-1": ("residential", 8.0), "relation-1": ("unknown", 12.0), "way-5": ("industrial", 1.0)}
    assert any("2 do not tell their levels" in remark for remark in twin.manifest.remarks)


def test_hospitals_come_from_an_osm_extract_as_points_and_areas(tmp_path: Path) -> None:
    city = Osm()
    city.node((10.5, 4.5), amenity="hospital", name="Old Clinic", beds="120")
    city.area(14, 4, 17, 7, healthcare="hospital", name="New Clinic", capacity="many")
    city.node((12.5, 4.5), amenity="restaurant")
    twin = build(tmp_path / "twin", assets={"hospitals": city.write(tmp_path / "city.osm.pbf")})
    hospitals = twin.assets("hospitals")
    assert dict(zip(hospitals.name, hospitals.amount, strict=True)) == {"Old Clinic": 120.0, "New Clinic": 0.0}
    assert set(hospitals.place) == {4 * COLS + 10, 5 * COLS + 15}
    assert any("1 of 2 do not tell their persons and count as 0" in remark for remark in twin.manifest.remarks)


def test_a_kind_that_osm_has_no_tag_for_is_told_with_those_that_it_has(tmp_path: Path) -> None:
    city = Osm()
    city.node((10.5, 4.5), amenity="hospital")
    with pytest.raises(InputError, match=r"assets sandbags .*cannot be looked for in OpenStreetMap; there are: hospitals"):
        build(tmp_path / "twin", assets={"sandbags": city.write(tmp_path / "city.osm.pbf")})


def test_streets_read_the_same_from_osm_and_from_lines(tmp_path: Path) -> None:
    city = Osm()
    city.way((10.5, 4.5), (15.5, 4.5), (20.5, 4.5), highway="residential", name="A")
    city.way((15.5, 1.5), (15.5, 4.5), (15.5, 9.5), highway="primary", name="B", oneway="yes")
    pbf = build(tmp_path / "a", roads=city.write(tmp_path / "city.osm.pbf")).roads
    shapes = [line((10.5, 4.5), (15.5, 4.5), (20.5, 4.5)), line((15.5, 1.5), (15.5, 4.5), (15.5, 9.5))]
    path = write_vector(tmp_path / "r.gpkg", shapes, highway=["residential", "primary"], name=["A", "B"], oneway=[None, "yes"])
    lines = build(tmp_path / "b", roads=path).roads
    assert (len(pbf), pbf.node_x_m.size) == (len(lines), lines.node_x_m.size) == (6, 5)
    np.testing.assert_allclose(np.sort(pbf.length_m), np.sort(lines.length_m), atol=0.02)
    np.testing.assert_array_equal(np.sort(pbf.places), np.sort(lines.places))


def test_names_are_told_in_one_line_and_in_measure(tmp_path: Path) -> None:
    city = Osm()
    city.node((10.5, 4.5), amenity="hospital", name="\u202edrow\n\x07ok " + "x" * 500)
    city.way((10, 4), (15, 4), highway="residential", name="a\tb\u2028" + "y" * 500)
    path = city.write(tmp_path / "city.osm.pbf")
    twin = build(tmp_path / "twin", assets={"hospitals": path}, roads=path)
    assert twin.assets("hospitals").name[0].startswith("drowok xxx")
    assert twin.roads.name[0].startswith("abyyy")
    assert len(twin.assets("hospitals").name[0]) == len(twin.roads.name[0]) == 120


def test_a_twin_across_the_antimeridian_is_built(tmp_path: Path) -> None:
    x_m, y_m = Transformer.from_crs("EPSG:4326", "EPSG:32760", always_xy=True).transform(180.0, -16.8)
    corner = rasterio.transform.from_origin(x_m - 700.0, y_m, 50, 50)
    dem = write_terrain(tmp_path / "dem.tif", crs="EPSG:32760", transform=corner)
    twin = build(tmp_path / "twin", elevation=dem, name="Taveuni")
    west, _, east, _ = twin.manifest.extent_lonlat
    assert west > 179 > -179 > east
    assert 0 <= twin.local_hour(CREATED) < 0.1 or twin.local_hour(CREATED) > 23.9  # noon UTC is midnight there


def test_progress_is_told_in_order_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    build(tmp_path / "twin", **everything(tmp_path / "files"), on_progress=lambda *step: told.append(step))
    assert [step for step, _, _ in told] == [
        "terrain", "water", "roads", "buildings", "people", "zones", "assets", "checksums", "done",
    ]  # fmt: skip
    assert [done for _, done, _ in told] == list(range(9))
    assert {total for _, _, total in told} == {8}


def test_the_manifest_is_plain_json_that_another_program_can_read(tmp_path: Path) -> None:
    build(tmp_path / "twin", **everything(tmp_path / "files"))
    told = json.loads((tmp_path / "twin" / "manifest.json").read_text())
    assert told["format"] == 1
    assert told["grid"] == msgspec.to_builtins(GRID)
    assert all(len(digest) == 64 for digest in told["files"].values())


def test_open_twin_reads_what_build_twin_wrote_without_the_sources(tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    build(tmp_path / "twin", **files)
    for path in (tmp_path / "files").rglob("*"):
        if path.is_file():
            path.unlink()
    twin = open_twin(tmp_path / "twin", verify=True)
    assert len(twin.roads) == 11
