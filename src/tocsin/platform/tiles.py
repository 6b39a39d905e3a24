"""The twin as map tiles: terrain as terrarium PNG, streets, buildings, water and zones as one PMTiles file. No tile server, no network."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from tocsin.platform.twin import Twin
from tocsin.vocabulary import NotFound, Unavailable

ZOOM_MIN, ZOOM_MAX, TERRAIN_ZOOM_MIN, TERRAIN_ZOOM_MAX = 9, 15, 8, 14
TILES_MOST = 20_000  # a wider twin gets fewer zooms, not an hour of work: at 45 degrees, z15 fits 120 km x 120 km
BASE_MAP_FORMAT = 1  # counted up when what is drawn changes, so that old files are made again
SIZE = 256
EXTENT = 4096
MARGIN = 64 / EXTENT  # what lies this far beyond a tile's edge is drawn too, so that lines do not end in a gap
LOWEST_M = 32_768.0  # terrarium: height = R x 256 + G + B / 256 - 32768 m
MAJOR = frozenset(
    ("motorway", "motorway_link", "trunk", "trunk_link", "primary", "primary_link", "secondary", "secondary_link", "tertiary")
)


def terrain_tile(twin: Twin, z: int, x: int, y: int) -> bytes:
    """A terrain tile in terrarium encoding (height = R 256 + G + B / 256 - 32768 m), 256 x 256; the edge's height goes on outside."""
    if not (TERRAIN_ZOOM_MIN <= z <= TERRAIN_ZOOM_MAX and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFound(f"terrain tile {z}/{x}/{y}: zooms are {TERRAIN_ZOOM_MIN} to {TERRAIN_ZOOM_MAX}, x and y below 2^zoom")
    return twin.recent.get(("terrain", z, x, y), lambda: _terrarium(twin, z, x, y))


def _terrarium(twin: Twin, z: int, x: int, y: int) -> bytes:
    from PIL import Image
    from scipy.ndimage import map_coordinates

    count = 2**z
    lon = (x + (np.arange(SIZE) + 0.5) / SIZE) / count * 360.0 - 180.0
    lat = np.degrees(np.arctan(np.sinh(math.pi * (1.0 - 2.0 * (y + (np.arange(SIZE) + 0.5) / SIZE) / count))))
    grid = twin.grid
    x_m, y_m = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(*np.meshgrid(lon, lat))
    # far from the twin its map may have no place for a point: such a pixel takes the edge like all others outside
    edge = float(4 * max(grid.rows, grid.cols))
    col = np.nan_to_num(np.clip((x_m - grid.x_min_m) / grid.cell_m - 0.5, -edge, edge))
    row = np.nan_to_num(np.clip((grid.y_max_m - y_m) / grid.cell_m - 0.5, -edge, edge))
    height = map_coordinates(twin.field("elevation"), [row, col], order=1, mode="nearest", output=np.float64) + LOWEST_M
    rgb = np.stack([height // 256, height % 256, (height % 1) * 256], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


class BaseMap:
    """The base map of a twin: made once, when it is first asked for, into the folder of what changes."""

    def __init__(self, twin: Twin) -> None:
        self._twin, self._lock = twin, threading.Lock()

    def path(self, folder: Path) -> Path:
        """The PMTiles file in `folder`, named after the twin's contents; that of a twin which was there before is deleted."""
        contents = msgspec.json.encode([BASE_MAP_FORMAT, self._twin.manifest.name, self._twin.manifest.files])
        target = folder / f"base-{hashlib.sha256(contents).hexdigest()[:16]}.pmtiles"
        with self._lock:
            if not target.is_file():
                write_base_map(self._twin, target)
                for old in set(folder.glob("base-*.pmtiles")) - {target}:
                    old.unlink(missing_ok=True)
        return target


class _Layer(msgspec.Struct, frozen=True):
    """Shapes in the unit square of Web Mercator, their properties, and the zoom from which each is drawn."""

    name: str
    shapes: NDArray[Any]
    properties: list[dict[str, str]]
    from_zoom: NDArray[np.int64]
    tree: Any


def write_base_map(twin: Twin, target: Path) -> int:
    """Write streets, buildings, water and zones as vector tiles, whole or not at all; return how many tiles there are.

    Layers: roads {class, name}, buildings {sort}, water {name}, zones {name}. The same twin gives the same bytes.
    """
    import mapbox_vector_tile
    from pmtiles.tile import zxy_to_tileid

    layers = _layers(twin)
    west, south, east, north = twin.manifest.extent_lonlat
    (left, top), (right, bottom) = _mercator(np.array([[west, north], [east + 360.0 * (east < west), south]]))
    most = max(z for z in range(ZOOM_MIN, ZOOM_MAX + 1) if z == ZOOM_MIN or 4**z * (right - left) * (bottom - top) <= TILES_MOST)
    tiles: list[tuple[int, bytes]] = []
    for z in range(ZOOM_MIN, most + 1):
        count = 2**z
        for x in range(int(left * count), int(right * count) + 1):
            for y in range(int(top * count), int(bottom * count) + 1):
                if found := _tile(layers, z, x, y):
                    encoded = mapbox_vector_tile.encode(found, default_options={"y_coord_down": True, "extents": EXTENT})
                    tiles.append((zxy_to_tileid(z, x % count, y), gzip.compress(encoded, 5, mtime=0)))
    unfinished = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.unfinished")
    try:
        _write_archive(unfinished, sorted(tiles), layers, twin, most)
        unfinished.replace(target)
    except OSError as fault:
        raise Unavailable(f"{target}: the base map cannot be written: {fault}; free some space") from fault
    finally:
        unfinished.unlink(missing_ok=True)
    return len(tiles)


def _write_archive(path: Path, tiles: list[tuple[int, bytes]], layers: list[_Layer], twin: Twin, most: int) -> None:
    from pmtiles.tile import Compression, TileType
    from pmtiles.writer import Writer

    west, south, east, north = twin.manifest.extent_lonlat
    if west > east:
        west, east = -180.0, 180.0
    with path.open("wb") as file:
        begin: Any = Writer  # the package has no types
        writer = begin(file)
        for number, tile in tiles:
            writer.write_tile(number, tile)
        header = {
            "tile_type": TileType.MVT,
            "tile_compression": Compression.GZIP,
            "min_zoom": ZOOM_MIN,
            "max_zoom": most,
            "min_lon_e7": int(west * 1e7),
            "min_lat_e7": int(south * 1e7),
            "max_lon_e7": int(east * 1e7),
            "max_lat_e7": int(north * 1e7),
            "center_zoom": min(13, most),
            "center_lon_e7": int((west + east) / 2 * 1e7),
            "center_lat_e7": int((south + north) / 2 * 1e7),
        }
        about = [
            {
                "id": layer.name,
                "fields": dict.fromkeys(layer.properties[0], "String"),
                "minzoom": int(max(ZOOM_MIN, layer.from_zoom.min())),
                "maxzoom": most,
            }
            for layer in layers
        ]
        credit = ", ".join(sorted({s.attribution for s in twin.manifest.sources if s.attribution}))
        made_up = " (made up)" if twin.manifest.made_up else ""
        writer.finalize(header, {"name": twin.manifest.name + made_up, "attribution": credit, "vector_layers": about})
        file.flush()
        os.fsync(file.fileno())


def _layers(twin: Twin) -> list[_Layer]:
    """The layers that the twin has something for, in the order in which they are drawn."""
    layers: list[_Layer] = []
    west = twin.manifest.extent_lonlat[0]

    def add(name: str, shapes: Any, properties: list[dict[str, str]], from_zoom: Any) -> None:
        if len(shapes):
            square = shapely.transform(twin.lonlat(np.asarray(shapes, object)), lambda lonlat: _mercator(lonlat, west))
            zooms = np.broadcast_to(np.asarray(from_zoom, np.int64), (len(square),))
            layers.append(_Layer(name, square, properties, zooms, shapely.STRtree(square)))

    add("water", list(twin.water_shapes.values()), [{"name": name} for name in twin.water_shapes], ZOOM_MIN)
    add("zones", list(twin.zone_shapes.values()), [{"name": name} for name in twin.zone_shapes], ZOOM_MIN)
    footprints, sorts = twin.buildings
    add("buildings", footprints, [{"sort": sort} for sort in sorts], 13)
    roads = twin.roads
    if len(roads):
        once = np.unique(roads.way, return_index=True)[1]  # a street is drawn once, not in both directions
        owner = np.repeat(np.arange(len(roads)), np.diff(roads.line_start))
        lines = shapely.linestrings(np.column_stack([roads.line_x_m, roads.line_y_m]), indices=owner)[once]
        kinds = [roads.highway[k] for k in once]
        from_zoom = [ZOOM_MIN if kind in MAJOR else 13 if kind == "service" else 12 for kind in kinds]
        add("roads", lines, [{"class": kind, "name": roads.name[k]} for kind, k in zip(kinds, once, strict=True)], from_zoom)
    return layers


def _mercator(lonlat: NDArray[np.float64], west: float = -180.0) -> NDArray[np.float64]:
    """Longitude and latitude in the unit square of Web Mercator; half a world and more west of `west` is taken as east of it."""
    lon = lonlat[:, 0] + 360.0 * (lonlat[:, 0] < west - 180.0)
    return np.column_stack([(lon + 180.0) / 360.0, 0.5 - np.arctanh(np.sin(np.radians(lonlat[:, 1]))) / (2.0 * math.pi)])


def _tile(layers: list[_Layer], z: int, x: int, y: int) -> list[dict[str, Any]]:
    count = 2**z
    box = ((x - MARGIN) / count, (y - MARGIN) / count, (x + 1 + MARGIN) / count, (y + 1 + MARGIN) / count)
    found = []
    for layer in layers:
        near = np.sort(layer.tree.query(shapely.box(*box)))
        near = near[layer.from_zoom[near] <= z]
        if not near.size:
            continue
        clipped = shapely.clip_by_rect(layer.shapes[near], *box)
        inside = shapely.transform(clipped, lambda c: np.round((c * count - [x, y]) * EXTENT))
        features = [
            {"geometry": g, "properties": layer.properties[k]} for g, k in zip(inside, near, strict=True) if not g.is_empty
        ]
        if features:
            found.append({"name": layer.name, "features": features})
    return found
