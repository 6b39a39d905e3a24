"""A twin as map tiles: what a map program decodes from them is what the twin holds."""

from __future__ import annotations

import gzip
import io
import math
import sys
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from PIL import Image
from pmtiles.reader import MemorySource, Reader, all_tiles
from pyproj import Transformer

sys.path.insert(0, str(Path(__file__).parent / "twin"))
from twin_files import COLS, CREATED, GRID, Osm, at, build, everything, ground_m, lonlat, write_terrain

from tocsin.platform import tiles
from tocsin.platform.tiles import BaseMap, terrain_tile, write_base_map
from tocsin.platform.twin import Twin, open_twin
from tocsin.vocabulary import NotFound, Unavailable


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    folder = tmp_path_factory.mktemp("tiles")
    return build(folder / "twin", **everything(folder / "files"))


def tile_at(col: float, row: float, zoom: int) -> tuple[int, int, float, float]:
    """The tile that a point of the twin lies in, and where in it, 0..1 from the north-western corner."""
    lon, lat = lonlat(col, row)
    x = (lon + 180) / 360 * 2**zoom
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom
    return int(x), int(y), x % 1, y % 1


def height_m(png: bytes) -> np.ndarray[Any, Any]:
    rgb = np.asarray(Image.open(io.BytesIO(png))).astype(float)
    assert rgb.shape == (256, 256, 3)
    return rgb[..., 0] * 256 + rgb[..., 1] + rgb[..., 2] / 256 - 32768


@pytest.mark.parametrize("zoom", [10, 12, 14])
@pytest.mark.parametrize(("col", "row"), [(3.5, 3.5), (12.5, 10.5), (28.5, 18.5)])
def test_a_terrain_tile_holds_the_heights_of_the_twin(zoom: int, col: float, row: float, twin: Twin) -> None:
    x, y, right, down = tile_at(col, row, zoom)
    heights = height_m(terrain_tile(twin, zoom, x, y))
    got = heights[int(down * 256), int(right * 256)]
    pixel_m = 40_075_017 / 2**zoom / 256  # the equator's length over the pixels of a row of tiles
    slope = 0.1 / GRID.cell_m
    step = 1.0 if abs(col - 8) * GRID.cell_m <= pixel_m + GRID.cell_m else 0.0
    assert got == pytest.approx(ground_m()[int(row), int(col)], abs=pixel_m * slope + step + 1 / 256)


def test_heights_below_the_sea_and_fractions_survive_the_encoding(tmp_path: Path) -> None:
    ground = np.full(GRID.shape, -413.37, np.float32)
    low = build(tmp_path / "twin", elevation=write_terrain(tmp_path / "dem.tif", ground))
    x, y, _, _ = tile_at(15, 10, 12)
    np.testing.assert_allclose(height_m(terrain_tile(low, 12, x, y)), -413.37, atol=1 / 256 + 1e-4)


def test_outside_the_twin_its_edge_goes_on(twin: Twin) -> None:
    for z, x, y in [(8, 0, 0), (8, 255, 255), (14, 0, 8191), (8, 0, 128)]:
        heights = height_m(terrain_tile(twin, z, x, y))
        assert ((heights >= 2.0) & (heights <= 5.2)).all()


@pytest.mark.parametrize(("z", "x", "y"), [(7, 0, 0), (15, 0, 0), (9, 512, 0), (9, 0, 512), (9, -1, 0), (9, 0, -1)])
def test_a_tile_that_does_not_exist_is_not_found(z: int, x: int, y: int, twin: Twin) -> None:
    with pytest.raises(NotFound, match="zooms are 8 to 14"):
        terrain_tile(twin, z, x, y)


def test_a_tile_is_made_once_and_only_the_latest_are_kept(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin")
    first = terrain_tile(twin, 14, 100, 100)
    (twin.folder / "fields" / "elevation.tif").write_bytes(b"gone")
    twin._fields.clear()
    assert terrain_tile(twin, 14, 100, 100) is first
    made = []
    for key in range(300):
        twin.recent.get(key, lambda: b"x")
    twin.recent.get(299, lambda: made.append("again") or b"")  # type: ignore[func-returns-value]
    assert made == []
    twin.recent.get(0, lambda: made.append("again") or b"")  # type: ignore[func-returns-value]
    assert made == ["again"]


def test_a_twin_built_anew_shows_its_new_terrain(tmp_path: Path) -> None:
    x, y, _, _ = tile_at(15, 10, 12)
    for height in (5.0, 6.0):
        dem = write_terrain(tmp_path / "dem.tif", np.full(GRID.shape, height, np.float32))
        twin = build(tmp_path / "twin", elevation=dem, overwrite=True)
        np.testing.assert_allclose(height_m(terrain_tile(twin, 12, x, y)), height)


# The base map


def decoded(path: Path) -> dict[tuple[int, int, int], Any]:
    found = all_tiles(MemorySource(path.read_bytes()))
    return {zxy: mapbox_vector_tile.decode(gzip.decompress(tile), default_options={"y_coord_down": True}) for zxy, tile in found}


@pytest.fixture(scope="module")
def base(twin: Twin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.pmtiles"
    assert write_base_map(twin, path) > 7
    return path


def test_the_base_map_says_what_is_in_it_and_whom_to_thank(base: Path) -> None:
    reader = Reader(MemorySource(base.read_bytes()))
    about, header = reader.metadata(), reader.header()
    assert about["attribution"] == "© OpenStreetMap contributors"
    assert about["name"] == "Shoreham (made up)"
    fields = {layer["id"]: set(layer["fields"]) for layer in about["vector_layers"]}
    assert fields == {"water": {"name"}, "zones": {"name"}, "buildings": {"sort"}, "roads": {"class", "name"}}
    assert (header["min_zoom"], header["max_zoom"]) == (9, 15)
    west, south, east, north = (header[f"{end}_e7"] / 1e7 for end in ("min_lon", "min_lat", "max_lon", "max_lat"))
    corner_west, corner_north = lonlat(0, 0)
    assert (west, north) == pytest.approx((corner_west, corner_north), abs=1e-5)
    assert west < east
    assert south < north


def test_each_layer_comes_in_at_its_zoom(base: Path) -> None:
    zooms: dict[str, set[int]] = {}
    for (z, _, _), layers in decoded(base).items():
        for name, layer in layers.items():
            for feature in layer["features"]:
                zooms.setdefault(name + ":" + feature["properties"].get("class", ""), set()).add(z)
    assert {name: min(at_zoom) for name, at_zoom in zooms.items()} == {
        "water:": 9,
        "zones:": 9,
        "buildings:": 13,
        "roads:primary": 9,
        "roads:tertiary": 9,
        "roads:residential": 12,
    }
    assert all(max(at_zoom) == 15 for at_zoom in zooms.values())


def in_metres(tiles_: dict[tuple[int, int, int], Any], zoom: int, layer: str) -> dict[str, Any]:
    """What a layer holds at a zoom, put together again, in the twin's metres, by its properties."""
    to_m = Transformer.from_crs("EPSG:4326", GRID.crs, always_xy=True)
    parts: dict[str, list[Any]] = {}
    for (z, x, y), layers in tiles_.items():
        if z != zoom:
            continue
        inside = shapely.box(0, 0, 4096, 4096)
        for feature in layers.get(layer, {"features": []})["features"]:
            shape = shapely.intersection(shapely.make_valid(shapely.geometry.shape(feature["geometry"])), inside)

            def move(points: np.ndarray[Any, Any], x: int = x, y: int = y, z: int = z) -> np.ndarray[Any, Any]:
                lon = (x + points[:, 0] / 4096) / 2**z * 360 - 180
                lat = np.degrees(np.arctan(np.sinh(math.pi * (1 - 2 * (y + points[:, 1] / 4096) / 2**z))))
                return np.column_stack(to_m.transform(lon, lat))

            parts.setdefault(str(sorted(feature["properties"].items())), []).append(shapely.transform(shape, move))
    return {name: shapely.union_all(shapes) for name, shapes in parts.items()}


def test_shapes_come_back_from_the_tiles_where_they_were(base: Path, twin: Twin) -> None:
    tiles_ = decoded(base)
    pixel_m = 40_075_017 / 2**15 / 4096
    zones = in_metres(tiles_, 15, "zones")
    assert zones["[('name', 'Shore')]"].area == pytest.approx(twin.zone_shapes["Shore"].area, rel=2e-3)
    assert zones["[('name', 'Shore')]"].hausdorff_distance(twin.zone_shapes["Shore"]) < 3 * pixel_m
    assert in_metres(tiles_, 15, "water")["[('name', 'lake')]"].area == pytest.approx(twin.water_shapes["lake"].area, rel=2e-3)
    streets = in_metres(tiles_, 15, "roads")
    cross = streets["[('class', 'primary'), ('name', 'Cross Road')]"]
    assert cross.length == pytest.approx(13 * GRID.cell_m, rel=2e-3)  # once, and not for each direction
    houses = in_metres(tiles_, 15, "buildings")
    assert houses["[('sort', 'industrial')]"].area == pytest.approx(GRID.cell_m**2, rel=1e-2)


def test_the_same_twin_gives_the_same_base_map(base: Path, twin: Twin, tmp_path: Path) -> None:
    write_base_map(open_twin(twin.folder), tmp_path / "again.pmtiles")
    assert (tmp_path / "again.pmtiles").read_bytes() == base.read_bytes()
    tiles_ = [tile for _, tile in all_tiles(MemorySource(base.read_bytes()))]
    assert {tile[4:8] for tile in tiles_} == {b"\0\0\0\0"}  # RFC 1952: no time of making in the gzip header


def test_the_base_map_is_made_when_it_is_first_asked_for(twin: Twin, tmp_path: Path) -> None:
    base_map = BaseMap(twin)
    path = base_map.path(tmp_path)
    before = path.stat().st_mtime_ns
    assert base_map.path(tmp_path) == path
    assert path.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [path]


def test_another_twin_does_not_get_the_base_map_of_the_one_before(twin: Twin, tmp_path: Path) -> None:
    before = BaseMap(twin).path(tmp_path)
    after = BaseMap(build(tmp_path / "twin")).path(tmp_path)
    assert before != after
    assert {p.name for p in tmp_path.glob("*.pmtiles")} == {after.name}


def test_a_base_map_that_cannot_be_written_leaves_nothing(twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiles, "_write_archive", full)
    with pytest.raises(Unavailable, match="No space left"):
        write_base_map(twin, tmp_path / "base.pmtiles")
    assert list(tmp_path.iterdir()) == []


def test_a_wide_twin_gets_fewer_zooms(twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILES_MOST", 0)
    assert write_base_map(twin, tmp_path / "base.pmtiles") == len(decoded(tmp_path / "base.pmtiles"))
    assert {z for z, _, _ in decoded(tmp_path / "base.pmtiles")} == {9}


def test_a_twin_of_terrain_alone_has_a_base_map_too(tmp_path: Path) -> None:
    twin = build(tmp_path / "twin")
    write_base_map(twin, tmp_path / "base.pmtiles")
    assert {name for layers in decoded(tmp_path / "base.pmtiles").values() for name in layers} == {"water", "zones"}


def test_a_base_map_across_the_antimeridian_has_its_tiles_on_both_sides(tmp_path: Path) -> None:
    x_m, y_m = Transformer.from_crs("EPSG:4326", "EPSG:32760", always_xy=True).transform(180.0, -16.8)
    from rasterio.transform import from_origin

    dem = write_terrain(tmp_path / "dem.tif", crs="EPSG:32760", transform=from_origin(x_m - 700.0, y_m, 50, 50))
    twin = build(tmp_path / "twin", elevation=dem)
    write_base_map(twin, tmp_path / "base.pmtiles")
    columns = {x for z, x, _ in decoded(tmp_path / "base.pmtiles") if z == 15}
    assert columns == {32766, 32767, 0, 1} or columns == {32767, 0}


def test_names_from_outside_cannot_break_a_tile(tmp_path: Path) -> None:
    city = Osm()
    city.way((10, 5), (14, 5), highway="primary", name="</script>'\"\\ 中文 \U0001f30a")
    twin = build(tmp_path / "twin", roads=city.write(tmp_path / "city.osm.pbf"))
    write_base_map(twin, tmp_path / "base.pmtiles")
    names = {
        f["properties"]["name"]
        for t in decoded(tmp_path / "base.pmtiles").values()
        for f in t.get("roads", {"features": []})["features"]
    }
    assert names == {"</script>'\"\\ 中文 \U0001f30a"}


def test_the_points_of_these_tests_are_in_the_twin() -> None:
    assert GRID.place(*at(3.5, 3.5)) == 3 * COLS + 3
    assert CREATED.tzinfo is not None
