"""What cannot be used is told: what, where, got, wanted, do; and it leaves nothing behind."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import h3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin
from twin_files import (
    COLS,
    CREATED,
    CRS,
    NORTH_M,
    ROWS,
    WEST_M,
    Osm,
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

from tocsin.platform.twin import build_twin
from tocsin.vocabulary import Conflict, InputError, NotFound, TocsinError

HEADER = "lon,lat,population"
HERE = lonlat(10.5, 4.5)


def refused(tmp_path: Path, *says: str, kind: type[TocsinError] = InputError, **files: Any) -> str:
    """Try to build; the message must say all of it, and nothing may be left."""
    there = tmp_path / "there"
    there.mkdir()
    if "elevation" not in files:
        files["elevation"] = write_terrain(tmp_path / "dem.tif")
    with pytest.raises(kind) as caught:
        build_twin(there / "twin", **({"created": CREATED} | files))
    message = str(caught.value)
    for text in says:
        assert text in message
    assert list(there.iterdir()) == []
    return message


def dem(tmp_path: Path, change: Callable[[np.ndarray[Any, Any]], Any] | None = None, **profile: Any) -> Path:
    ground = ground_m()
    if change is not None:
        change(ground)
    return write_terrain(tmp_path / "bad.tif", ground, **profile)


# Terrain


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ({"crs": None}, "has no coordinate system"),
        ({"transform": rasterio.Affine.identity()}, "does not say where it lies"),
        ({"crs": "EPSG:4326"}, "do not fit its CRS"),
        ({"crs": "EPSG:4326", "transform": from_origin(10, 89, 0.01, 0.01)}, "outside the UTM zones"),
        ({"count": 3, "dtype": "uint8", "photometric": "RGB"}, "is a picture with 3 colours"),
    ],
)
def test_a_terrain_that_lies_nowhere_is_refused(profile: dict[str, Any], says: str, tmp_path: Path) -> None:
    ground = ground_m().astype(profile.get("dtype", "float32"))
    refused(tmp_path, "elevation", says, elevation=write_terrain(tmp_path / "bad.tif", ground, **profile))


@pytest.mark.parametrize(("low", "high"), [(0.0, 30_000.0), (-32768.0, 10.0), (-501.0, 0.0), (0.0, 9_000.5), (0.0, np.inf)])
def test_heights_that_no_ground_has_are_refused(low: float, high: float, tmp_path: Path) -> None:
    def spoil(ground: np.ndarray[Any, Any]) -> None:
        ground[0, 0], ground[5, 5] = low, high

    path = dem(tmp_path, spoil)
    if np.isinf(high):  # no height at all: a hole, and it is told
        assert any("without a value" in remark for remark in build(tmp_path / "twin", elevation=path).manifest.remarks)
    else:
        refused(tmp_path, "bad.tif", "outside -500..9000 m", "feet or cm", elevation=path)


def test_heights_in_feet_are_refused_where_the_file_says_so(tmp_path: Path) -> None:
    path = dem(tmp_path)
    with rasterio.open(path, "r+") as raster:
        raster.units = ("ft",)
    refused(tmp_path, "heights are in 'ft'; wanted m", elevation=path)


def test_a_terrain_of_holes_is_refused_with_how_many(tmp_path: Path) -> None:
    def spoil(ground: np.ndarray[Any, Any]) -> None:
        ground[:11] = np.nan

    refused(tmp_path, "330 of 600 cells (55%) have no value", elevation=dem(tmp_path, spoil))


def test_a_terrain_of_nothing_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "holds no value at all", elevation=dem(tmp_path, lambda ground: ground.fill(np.nan)))


@pytest.mark.parametrize("rows", [1_000_000, 200_000])
def test_a_giant_is_refused_from_its_header(rows: int, tmp_path: Path) -> None:
    path = tmp_path / "giant.tif"
    profile = {"driver": "GTiff", "height": rows, "width": 1_000_000, "count": 1, "dtype": "uint8", "crs": CRS, "sparse_ok": True}
    with rasterio.open(
        path, "w", **profile, tiled=True, blockxsize=65_536, blockysize=65_536, BIGTIFF="YES", transform=from_origin(0, 9e6, 1, 1)
    ):
        pass
    refused(tmp_path, f"{rows:,} x 1,000,000 cells", "cut out your region", elevation=path)


@pytest.mark.parametrize(
    ("cell_m", "says"), [(0.001, "wanted 0.1 to 100,000 m"), (1e6, "wanted 0.1 to 100,000 m"), (float("nan"), "nan m")]
)
def test_a_cell_that_makes_no_sense_is_refused(cell_m: float, says: str, tmp_path: Path) -> None:
    refused(tmp_path, says, cell_m=cell_m)


def test_a_cell_that_makes_too_many_is_refused(tmp_path: Path) -> None:
    wide = write_terrain(tmp_path / "wide.tif", transform=from_origin(WEST_M, NORTH_M, 500, 500))
    refused(tmp_path, "100000 x 150000 cells", "use a larger cell", elevation=wide, cell_m=0.1)


@pytest.mark.parametrize(
    ("crs", "says"),
    [
        ("EPSG:4326", "is not in metres"),
        ("EPSG:2263", "is not in metres"),  # New York, in feet
        ("EPSG:32661", "wanted within 1%, e.g. EPSG:32631"),  # the north pole's
        ("EPSG:32656", "EPSG:32631"),  # a zone on the other side of the Earth
        ("EPSG:99999999", "wanted one that fits the place"),
        ("rubbish", "wanted one that fits the place"),
        ("", ""),
    ],
)
def test_a_map_that_is_not_true_to_scale_is_refused(crs: str, says: str, tmp_path: Path) -> None:
    if crs:
        refused(tmp_path, f"--crs {crs}", says, crs=crs)
    else:
        assert build(tmp_path / "twin", crs=crs).grid.crs == CRS


def test_web_mercator_is_refused_where_its_metres_are_too_short(tmp_path: Path) -> None:
    far_north = write_terrain(tmp_path / "dem.tif", transform=from_origin(WEST_M, 6_700_000, 50, 50))
    refused(tmp_path, "a metre on the ground is 2.0", elevation=far_north, crs="EPSG:3857")


def test_a_terrain_that_points_into_the_network_is_not_followed(tmp_path: Path) -> None:
    called: list[object] = []

    def answer(server: socket.socket) -> None:
        with suppress(OSError):  # the server is closed at the end
            while True:
                connection, who = server.accept()
                called.append(who)
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        address = f"/vsicurl/http://127.0.0.1:{server.getsockname()[1]}/dem.tif"
        vrt = tmp_path / "dem.vrt"
        vrt.write_text(
            f'<VRTDataset rasterXSize="30" rasterYSize="20"><SRS>{CRS}</SRS><GeoTransform>{WEST_M},50,0,{NORTH_M},0,-50</GeoTransform>'
            f'<VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename>{address}</SourceFilename><SourceBand>1</SourceBand>'
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
        refused(tmp_path, "dem.vrt", elevation=vrt)
        server.shutdown(socket.SHUT_RDWR)
    assert called == []


def test_land_cover_of_other_classes_or_elsewhere_is_refused(tmp_path: Path) -> None:
    other = write_terrain(tmp_path / "other.tif", np.full((ROWS, COLS), 11, np.uint8))
    (tmp_path / "a").mkdir()
    refused(tmp_path / "a", "classes [11] are not of ESA WorldCover", landcover=other)
    away = write_terrain(tmp_path / "away.tif", np.full((ROWS, COLS), 10, np.uint8), transform=from_origin(0, 9e5, 50, 50))
    (tmp_path / "b").mkdir()
    refused(tmp_path / "b", "nothing of it lies in the twin", landcover=away)


# Any file of any kind


def good_files(folder: Path) -> dict[str, Path]:
    """One good file of each format, by format."""
    city = Osm()
    city.way((10, 5), (14, 5), highway="residential", building="yes")
    city.node((10.5, 4.5), amenity="hospital")
    zone = {"name": ["All"], "population": [10], "highway": ["x"], "quantity": ["rain_rate"]}
    return {
        "tif": write_terrain(folder / "good.tif"),
        "osm.pbf": city.write(folder / "good.osm.pbf"),
        "csv": write_csv(folder / "good.csv", HEADER, [(*HERE, 10)] * 30),
        "gpkg": write_vector(folder / "good.gpkg", [box(8, 0, 30, 20)], **zone),
        "geojson": write_vector(folder / "good.geojson", [box(8, 0, 30, 20)], **zone),
        "shp": write_vector(folder / "good.shp", [box(8, 0, 30, 20)], name=["All"], population=[10]),
        "parquet": write_vector(folder / "good.parquet", [box(8, 0, 30, 20)], **zone),
    }


ROLE = {
    "tif": "elevation",
    "osm.pbf": "roads",
    "csv": "population",
    "gpkg": "zones",
    "geojson": "zones",
    "shp": "zones",
    "parquet": "zones",
}


@pytest.mark.parametrize("kind", ROLE)
@pytest.mark.parametrize("how", ["half", "empty", "noise", "missing", "folder"])
def test_a_broken_file_of_any_kind_is_told_by_name(kind: str, how: str, tmp_path: Path) -> None:
    good = good_files(tmp_path / "good")[kind]
    bad = tmp_path / f"broken.{kind}"
    data = good.read_bytes()
    match how:
        case "half":
            bad.write_bytes(data[: len(data) // 2 - 2])
        case "empty":
            bad.touch()
        case "noise":
            bad.write_bytes(np.random.default_rng(1).bytes(4_000))
        case "folder":
            bad.mkdir()
    if kind == "shp" and how in ("half", "noise"):
        for end in (".dbf", ".shx", ".prj"):
            bad.with_suffix(end).write_bytes(good.with_suffix(end).read_bytes())
    expected = NotFound if how in ("missing", "folder") else InputError
    refused(tmp_path, str(bad), kind=expected, **{ROLE[kind]: bad})


@pytest.mark.parametrize("role", ["zones", "lines", "gauges", "population", "buildings", "roads", "assets", "water"])
def test_a_file_without_a_coordinate_system_is_refused(role: str, tmp_path: Path) -> None:
    path = write_vector(tmp_path / "nowhere.gpkg", [box(8, 0, 30, 20)], crs=None, name=["All"])
    given: Any = {"assets": {"hospitals": path}, "water": {"lake": str(path)}}.get(role, path)
    refused(tmp_path, "nowhere.gpkg", "has no coordinate system", **{role: given})


@pytest.mark.parametrize("role", ["zones", "lines", "gauges", "population", "buildings", "roads", "assets", "water"])
def test_a_file_of_another_place_is_refused_with_where_it_lies(role: str, tmp_path: Path) -> None:
    path = write_vector(
        tmp_path / "away.gpkg", [box(8_000, 0, 8_022, 20)], name=["All"], population=[4], quantity=["x"], highway=["primary"]
    )
    given: Any = {"assets": {"hospitals": path}, "water": {"lake": str(path)}}.get(role, path)
    refused(tmp_path, "away.gpkg", "nothing of it lies in the twin", "x 900000..", **{role: given})


def test_swapped_longitude_and_latitude_are_recognised(tmp_path: Path) -> None:
    lon, lat = HERE
    path = write_csv(tmp_path / "p.csv", HEADER, [(lat, lon, 10)])
    refused(tmp_path, "longitude and latitude are swapped", population=path)


@pytest.mark.parametrize(("lon", "lat"), [(3.0, 91.0), (181.0, 0.3), (500_000, 40_000), ("nan", 0.3), ("east", 0.3), ("", "")])
def test_a_place_that_is_not_on_the_earth_is_refused_with_its_row(lon: Any, lat: Any, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", HEADER, [(*HERE, 10), (lon, lat, 10)])
    refused(tmp_path, "p.csv: row 2", population=path)


def test_metres_that_claim_to_be_degrees_are_refused(tmp_path: Path) -> None:
    shape = {"type": "Polygon", "coordinates": [[[500_000, 40_000], [501_000, 40_000], [501_000, 39_000], [500_000, 40_000]]]}
    path = tmp_path / "z.geojson"
    feature = {"type": "Feature", "properties": {"name": "A"}, "geometry": shape}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    refused(tmp_path, "not on the Earth", "500000", zones=path)


def test_a_geopackage_with_several_layers_is_refused_with_their_names(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "z.gpkg", [box(8, 0, 30, 20)], name=["All"])
    with sqlite3.connect(path) as db:
        assert db.execute("select count(*) from gpkg_contents").fetchone() == (1,)
    import geopandas as gpd

    gpd.GeoDataFrame({"name": ["B"]}, geometry=[box(0, 0, 1, 1)], crs=CRS).to_file(path, layer="other")
    refused(tmp_path, "holds the layers z, other", zones=path)


def test_a_table_without_shapes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"name": ["a"]}), path)
    refused(tmp_path, "plain.parquet", "is no GeoParquet", zones=path)
    (tmp_path / "there").rmdir()
    empty = tmp_path / "empty.geojson"
    empty.write_text('{"type": "FeatureCollection", "features": []}')
    refused(tmp_path, "empty.geojson", zones=empty)


# Columns


def test_a_csv_with_other_columns_is_refused_with_those_it_has(tmp_path: Path) -> None:
    refused(
        tmp_path,
        "columns x, y, people",
        "wanted lon and lat",
        population=write_csv(tmp_path / "p.csv", "x,y,people", [(1, 2, 3)]),
    )


def test_a_csv_with_semicolons_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("lon;lat;population\n3,0;0,3;10\n")
    refused(tmp_path, "p.csv", population=path)


def test_a_csv_row_that_is_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"{HEADER}\n{HERE[0]},{HERE[1]},10\n{HERE[0]},")
    refused(tmp_path, "row 2 has 2 cells, the header 3", "cut off", population=path)


def test_a_csv_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(f"{HEADER},name\n{HERE[0]},{HERE[1]},10,Köln\n".encode("latin-1"))
    refused(tmp_path, "is no CSV in UTF-8", population=path)


@pytest.mark.parametrize("count", ["-1", "NaN", "inf", "1e9", "many", ""])
def test_nonsense_people_are_refused_with_their_row(count: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", HEADER, [(*HERE, 10), (*HERE, count)])
    refused(tmp_path, "p.csv: row 2: population", "wanted", population=path)


def test_people_without_a_count_are_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", "lon,lat,persons", [(*HERE, 10)])
    refused(tmp_path, "no column 'population'; there are: lon, lat, persons", population=path)


def test_a_place_where_nobody_lives_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "nobody lives in the twin", population=write_csv(tmp_path / "p.csv", HEADER, [(*HERE, 0)]))


def test_a_wrong_or_repeated_hexagon_is_refused_with_its_row(tmp_path: Path) -> None:
    cell = h3.latlng_to_cell(HERE[1], HERE[0], 9)
    for number, bad in enumerate(("89a901291abfff", "zzz", "", cell)):
        (tmp_path / str(number)).mkdir()
        path = write_csv(tmp_path / f"p{number}.csv", "h3,population", [(cell, 3), (bad, 3)])
        refused(tmp_path / str(number), "row 2", "stands there twice" if bad == cell else "is no H3 cell", population=path)


@pytest.mark.parametrize("bad", ["", " x", "a/b", "a\\b", "a\nb", "a\x00b", "\u202eb", "x" * 121])
@pytest.mark.parametrize("role", ["zone", "asset", "twin", "water"])
def test_a_hostile_name_is_refused(role: str, bad: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    if role == "zone":
        given["zones"] = write_vector(tmp_path / "z.parquet", [box(8, 0, 30, 20)], name=[bad])
    elif role == "asset":
        given["assets"] = {"depots": write_vector(tmp_path / "d.parquet", [point(10, 5)], id=[bad])}
    elif role == "twin":
        given["name"] = bad
    else:
        given["water"] = {bad: "auto"}
    refused(tmp_path, "wanted 1 to 120 printable characters", **given)


@pytest.mark.parametrize("kind", ["", "../x", "a b", "Hospitals", "x" * 41, "roads", "buildings", "zones", "spitäler"])
def test_a_kind_of_assets_that_is_none_is_refused(kind: str, tmp_path: Path) -> None:
    path = write_vector(tmp_path / "d.geojson", [point(10, 5)])
    refused(tmp_path, "--assets", assets={kind: path})


@pytest.mark.parametrize("role", ["zones", "lines", "gauges", "buildings", "assets"])
def test_a_name_that_stands_there_twice_is_refused_with_its_row(role: str, tmp_path: Path) -> None:
    shapes = [line((9, 1), (9, 5)), line((9, 6), (9, 8))] if role == "lines" else [box(9, 1, 12, 5), box(12, 1, 15, 5)]
    path = write_vector(tmp_path / "t.geojson", shapes, id=["a", "a"], site=["a", "a"], name=["a", "a"], quantity=["q", "q"])
    refused(tmp_path, "t.geojson: row 2", "'a' stands there twice", **{role: {"depots": path} if role == "assets" else path})


def test_a_row_is_told_by_its_number_in_the_file(tmp_path: Path) -> None:
    away = [box(500, 0, 501, 1)] * 3
    path = write_vector(tmp_path / "t.geojson", [*away, box(9, 1, 12, 5), box(12, 1, 15, 5)], name=["a", "b", "c", "d", "d"])
    refused(tmp_path, "t.geojson: row 5: name = 'd'", zones=path)


def test_zones_and_lines_need_names_and_the_right_shapes(tmp_path: Path) -> None:
    cases: dict[str, tuple[dict[str, Path], str]] = {
        "zone names": (
            {"zones": write_vector(tmp_path / "a.geojson", [box(8, 0, 30, 20)], nom=["A"])},
            "no column `name`; there are: nom",
        ),
        "zone shapes": (
            {"zones": write_vector(tmp_path / "b.geojson", [point(10, 5)], name=["A"])},
            "something else than polygons",
        ),
        "line names": ({"lines": write_vector(tmp_path / "c.geojson", [line((9, 1), (9, 5))])}, "no column `name`"),
        "line shapes": ({"lines": write_vector(tmp_path / "d.geojson", [box(8, 0, 30, 20)], name=["A"])}, "row 1 is a Polygon"),
        "house shapes": ({"buildings": write_vector(tmp_path / "e.geojson", [point(10, 5)])}, "holds no polygon"),
        "street class": (
            {"roads": write_vector(tmp_path / "f.geojson", [line((9, 1), (9, 5))], kind=["a"])},
            "no column `highway`",
        ),
        "no street": (
            {"roads": write_vector(tmp_path / "g.geojson", [line((9, 1), (9, 5))], highway=["footway"])},
            "no drivable street",
        ),
        "street shapes": (
            {"roads": write_vector(tmp_path / "h.geojson", [box(8, 0, 9, 9)], highway=["primary"])},
            "row 1 is a Polygon",
        ),
        "crest": (
            {"lines": write_vector(tmp_path / "i.geojson", [line((9, 1), (9, 5))], name=["A"], crest_m=[99999])},
            "crest_m = 99999",
        ),
        "levels": (
            {"buildings": write_vector(tmp_path / "j.geojson", [box(8, 0, 9, 9)], levels=[-2])},
            "levels = -2; wanted 0..300",
        ),
        "measured": ({"gauges": write_vector(tmp_path / "k.geojson", [point(10, 5)], site=["A"])}, "no column `quantity`"),
    }
    for number, (what, (files, says)) in enumerate(cases.items()):
        (tmp_path / str(number)).mkdir()
        assert says in refused(tmp_path / str(number), **files), what


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"quantity": "river level"}, "quantity = 'river level'"),
        ({"water": "ocean"}, "water = 'ocean'; the twin has: lake"),
        ({"yellow": 3.0, "red": 2.0, "orange": 2.5, "blue": 1.0}, "neither rise nor fall"),
        ({"zero_m": 1e6}, "zero_m"),
    ],
)
def test_a_gauge_that_makes_no_sense_is_refused(columns: dict[str, Any], says: str, tmp_path: Path) -> None:
    row = {"site": "g", "quantity": "river_level"} | columns
    path = write_csv(tmp_path / "g.csv", ",".join(["lon", "lat", *row]), [(*HERE, *row.values())])
    refused(tmp_path, "g.csv: row 1", says, gauges=path)


def test_assets_in_two_units_are_refused(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "d.geojson", [point(10, 5), point(11, 5)], unit=["persons", "crews"])
    refused(tmp_path, "units crews, persons; wanted one unit", assets={"depots": path})


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("100,50", "outside the twin"),
        ("0.36,3.0", "outside the twin"),
        ("absent.geojson", "is neither `auto`, nor lon,lat, nor a file"),
        ("auto,zero=high", "zero = 'high'; wanted metres"),
        ("auto,zero=nan", "zero = nan m"),
        ("auto,zero=1e9", "zero = 1e9 m"),
    ],
)
def test_a_water_that_is_not_there_is_refused(spec: str, says: str, tmp_path: Path) -> None:
    refused(tmp_path, f"--water lake={spec}", says, water={"lake": spec})


def test_a_lake_that_was_asked_for_and_is_not_there_is_an_error(tmp_path: Path) -> None:
    hill = write_terrain(tmp_path / "hill.tif", np.random.default_rng(1).uniform(1, 9, (ROWS, COLS)).astype(np.float32))
    refused(tmp_path, "no flat area", elevation=hill, water={"lake": "auto"})
    (tmp_path / "there").rmdir()
    assert build(tmp_path / "twin", elevation=hill).waters == {}


def test_a_water_that_two_names_claim_wholly_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "lies wholly in a water that was named before", water={"a": "auto", "b": "auto"})


def test_a_licence_of_nothing_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "--licence 'road'", "there are: elevation", licences={"road": "ODbL"})


@pytest.mark.parametrize("zone", ["Nowhere/City", "../../etc/passwd", "/etc/passwd", "\x00"])
def test_a_time_zone_that_is_none_is_refused(zone: str, tmp_path: Path) -> None:
    refused(tmp_path, "--time-zone", time_zone=zone)


def test_a_moment_without_a_zone_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "has no zone; wanted UTC", created=datetime(2026, 1, 1))  # noqa: DTZ001


# The folder


def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "me.jpg").write_bytes(b"x")
    with pytest.raises(Conflict, match="holds something that is no twin"):
        build(mine, elevation=write_terrain(tmp_path / "dem.tif"), overwrite=True)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with pytest.raises(Conflict, match="is a file"):
        build(file, elevation=write_terrain(tmp_path / "dem.tif"), overwrite=True)
    assert ((mine / "me.jpg").read_bytes(), file.read_bytes()) == (b"x", b"x")


@pytest.fixture(scope="module")
def all_files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    return everything(tmp_path_factory.mktemp("spoilt"))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_broken_file_is_more_than_an_input_error(data: Any, all_files: Mapping[str, Any]) -> None:
    """Change bytes anywhere in any input: the twin is built, or the fault is told as one of ours."""
    files = dict(all_files)
    folder = files["elevation"].parent / "twin"
    role = data.draw(st.sampled_from(["elevation", "roads", "population", "buildings", "zones", "lines", "gauges"]))
    original = files[role].read_bytes()
    spoilt = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    files[role].write_bytes(spoilt)
    try:
        with suppress(TocsinError):
            build_twin(folder, **files, overwrite=True)
    finally:
        files[role].write_bytes(original)
