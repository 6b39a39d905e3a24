"""The twin as map tiles: terrain as terrarium PNG, streets, buildings, water and zones as one PMTiles file. No tile server, no network."""

from __future__ import annotations

import gzip
import io
import math
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from tocsin.platform.twin import Twin
from tocsin.platform.twin.vectors import read_geoparquet
from tocsin.vocabulary import NotFound

ZOOM_MIN, ZOOM_MAX, TERRAIN_ZOOM_MIN, TERRAIN_ZOOM_MAX = 9, 15, 8, 14
BUILDINGS_FROM_ZOOM = 13
SIZE = 256
EXTENT = 4096
MARGIN = 64 / EXTENT
TILES_KEPT = 256

_tiles: OrderedDict[tuple[Path, int, int, int], bytes] = OrderedDict()
_tiles_lock = threading.Lock()


def terrain_tile(twin: Twin, z: int, x: int, y: int) -> bytes:
    """A terrain tile in terrarium encoding (height = R 256 + G + B / 256 - 32768 m), 256 x 256; the edge's height goes on outside."""
    if not (TERRAIN_ZOOM_MIN <= z <= TERRAIN_ZOOM_MAX and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFound(f"terrain tile {z}/{x}/{y}: zooms are {TERRAIN_ZOOM_MIN} to {TERRAIN_ZOOM_MAX}")
    key = (twin.folder, z, x, y)
    with _tiles_lock:
        if key in _tiles:
            _tiles.move_to_end(key)
            return _tiles[key]
    tile = _terrarium(twin, z, x, y)
    with _tiles_lock:
        _tiles[key] = tile
        while len(_tiles) > TILES_KEPT:
            _tiles.popitem(last=False)
    return tile


def _terrarium(twin: Twin, z: int, x: int, y: int) -> bytes:
    from PIL import Image
    from scipy.ndimage import map_coordinates

    count = 2**z
    lon = (x + (np.arange(SIZE) + 0.5) / SIZE) / count * 360.0 - 180.0
    lat = np.degrees(np.arctan(np.sinh(math.pi * (1.0 - 2.0 * (y + (np.arange(SIZE) + 0.5) / SIZE) / count))))
    grid = twin.grid
    x_m, y_m = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(*np.meshgrid(lon, lat))
    col, row = (x_m - grid.x_min_m) / grid.cell_m - 0.5, (grid.y_max_m - y_m) / grid.cell_m - 0.5
    height = map_coordinates(twin.field("elevation"), [row, col], order=1, mode="nearest").reshape(SIZE, SIZE) + 32768.0
    rgb = np.stack([height // 256, height % 256, (height % 1) * 256], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


class BaseMap:
    """The base map of a twin: made once, when it is first asked for, into the folder of what changes."""

    def __init__(self, twin: Twin) -> None:
        self._twin, self._lock = twin, threading.Lock()

    def path(self, folder: Path) -> Path:
        """The PMTiles file in `folder`."""
        target = folder / "base.pmtiles"
        with self._lock:
            if not target.is_file():
                write_base_map(self._twin, target)
        return target


def write_base_map(twin: Twin, target: Path) -> int:
    """Write streets, buildings, water and zones as vector tiles; return how many tiles there are."""
    import mapbox_vector_tile
    from pmtiles.tile import Compression, TileType, zxy_to_tileid
    from pmtiles.writer import Writer

    layers = _layers(twin)
    trees = {name: shapely.STRtree(shapes) for name, (shapes, _) in layers.items()}
    west, south, east, north = twin.manifest.extent_lonlat
    tiles: list[tuple[int, bytes]] = []
    (left, top), (right, bottom) = _mercator(np.array([[west, north], [east, south]]))
    for z in range(ZOOM_MIN, ZOOM_MAX + 1):
        count = 2**z
        for x in range(int(left * count), int(right * count) + 1):
            for y in range(int(top * count), int(bottom * count) + 1):
                found = _tile(layers, trees, z, x, y)
                if found:
                    encoded = mapbox_vector_tile.encode(found, default_options={"y_coord_down": True, "extents": EXTENT})
                    tiles.append((zxy_to_tileid(z, x, y), gzip.compress(encoded, 5)))
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    credit = ", ".join(sorted({s.attribution for s in twin.manifest.sources if s.attribution}))
    with unfinished.open("wb") as file:
        writer = Writer(file)
        for number, tile in sorted(tiles):
            writer.write_tile(number, tile)
        header = {
            "tile_type": TileType.MVT,
            "tile_compression": Compression.GZIP,
            "min_zoom": ZOOM_MIN,
            "max_zoom": ZOOM_MAX,
            "min_lon_e7": int(west * 1e7),
            "min_lat_e7": int(south * 1e7),
            "max_lon_e7": int(east * 1e7),
            "max_lat_e7": int(north * 1e7),
            "center_zoom": 13,
            "center_lon_e7": int((west + east) / 2 * 1e7),
            "center_lat_e7": int((south + north) / 2 * 1e7),
        }
        writer.finalize(header, {"attribution": credit, "vector_layers": [{"id": name, "fields": {}} for name in layers]})
    unfinished.replace(target)
    return len(tiles)


def _layers(twin: Twin) -> dict[str, tuple[NDArray[Any], list[dict[str, Any]]]]:
    """Shapes in the unit square of Web Mercator, with their properties."""
    layers: dict[str, tuple[NDArray[Any], list[dict[str, Any]]]] = {}

    def add(name: str, shapes: NDArray[Any], properties: list[dict[str, Any]]) -> None:
        if len(shapes):
            square = shapely.transform(twin.lonlat(shapes), _mercator)
            layers[name] = (square, properties)

    grid = twin.grid
    waters = [(w.name, _outline(grid.shape, w.place)) for w in twin.waters.values()]
    to_m = np.array([grid.cell_m, -grid.cell_m])
    shapes = [shapely.transform(shape, lambda c: c * to_m + [grid.x_min_m, grid.y_max_m]) for _, shape in waters]
    add("water", np.array(shapes, object), [{"name": name} for name, _ in waters])
    add("zones", np.array(list(twin.zone_shapes.values()), object), [{"name": name} for name in twin.zone_shapes])
    if "buildings" in twin.asset_kinds():
        shapes_b, columns = read_geoparquet(twin.folder / "buildings.parquet")
        add("buildings", shapes_b, [{"sort": str(sort)} for sort in columns["sort"]])
    if (twin.folder / "roads").is_dir():
        lines, columns = read_geoparquet(twin.folder / "roads" / "edges.parquet")
        once = np.unique(columns["way"], return_index=True)[1]
        kinds, names = columns["highway"][once], columns["name"][once]
        add("roads", lines[once], [{"class": str(k), "name": str(n)} for k, n in zip(kinds, names, strict=True)])
    return layers


def _outline(shape: tuple[int, int], place: NDArray[np.int64]) -> Any:
    """The outline of cells, in columns and rows."""
    from rasterio.features import shapes

    mask = np.zeros(shape, np.uint8)
    mask.reshape(-1)[place] = 1
    return shapely.union_all([shapely.geometry.shape(s) for s, _ in shapes(mask, mask=mask.astype(bool))])


def _mercator(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([(lonlat[:, 0] + 180.0) / 360.0, 0.5 - np.arctanh(np.sin(np.radians(lonlat[:, 1]))) / (2.0 * math.pi)])


def _tile(
    layers: dict[str, tuple[NDArray[Any], list[dict[str, Any]]]], trees: dict[str, Any], z: int, x: int, y: int
) -> list[dict[str, Any]]:
    count = 2**z
    box = ((x - MARGIN) / count, (y - MARGIN) / count, (x + 1 + MARGIN) / count, (y + 1 + MARGIN) / count)
    found = []
    for name, (shapes, properties) in layers.items():
        if name == "buildings" and z < BUILDINGS_FROM_ZOOM:
            continue
        near = trees[name].query(shapely.box(*box))
        if not near.size:
            continue
        clipped = shapely.clip_by_rect(shapes[near], *box)
        inside = shapely.transform(clipped, lambda c: np.round((c * count - [x, y]) * EXTENT))
        features = [{"geometry": g, "properties": properties[k]} for g, k in zip(inside, near, strict=True) if not g.is_empty]
        if features:
            found.append({"name": name, "features": features})
    return found
