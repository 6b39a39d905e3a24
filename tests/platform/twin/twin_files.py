"""A small made-up place as files of every kind: a lake in the west, ground that rises to the east, streets, houses, people."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import osmium
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.transform import from_origin

from tocsin.platform.twin import Twin, build_twin, open_twin
from tocsin.vocabulary import Grid

CRS, WEST_M, NORTH_M, CELL_M = "EPSG:32631", 500_000.0, 40_000.0, 50.0
ROWS, COLS, LAKE_COLS = 20, 30, 8
CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)
GRID = Grid(CRS, WEST_M, NORTH_M, CELL_M, ROWS, COLS)
EXTENSION = {"geojson": ".geojson", "gpkg": ".gpkg", "shapefile": ".shp", "geoparquet": ".parquet"}


def ground_m() -> NDArray[np.float32]:
    """Water at 2 m in the west; then 3 m and a tenth of a metre more with each cell to the east."""
    row = np.concatenate([np.full(LAKE_COLS, 2.0), 3.0 + 0.1 * np.arange(COLS - LAKE_COLS)])
    return np.tile(row, (ROWS, 1)).astype(np.float32)


def write_terrain(path: Path, ground: NDArray[Any] | None = None, **changes: Any) -> Path:
    ground = ground_m() if ground is None else ground
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": ground.shape[0],
        "width": ground.shape[1],
        "count": 1,
        "dtype": str(ground.dtype),
        "crs": CRS,
        "transform": from_origin(WEST_M, NORTH_M, CELL_M, CELL_M),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **(profile | changes)) as raster:
        for band in range(1, raster.count + 1):
            raster.write(ground, band)
    return path


def at(col: float, row: float) -> tuple[float, float]:
    """x and y, m, of a point given in cells from the north-western corner."""
    return WEST_M + col * CELL_M, NORTH_M - row * CELL_M


def lonlat(col: float, row: float) -> tuple[float, float]:
    lon, lat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(*at(col, row))
    return float(lon), float(lat)


def box(west: float, north: float, east: float, south: float) -> Any:
    """A rectangle given in cells from the north-western corner."""
    return shapely.box(*at(west, south), *at(east, north))


def line(*points: tuple[float, float]) -> Any:
    return shapely.LineString([at(*p) for p in points])


def point(col: float, row: float) -> Any:
    return shapely.Point(*at(col, row))


def write_vector(path: Path, shapes: Iterable[Any], *, crs: str | None = CRS, **columns: Any) -> Path:
    """A vector file; the format follows from the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)
    if path.suffix == ".geojson":
        frame = frame.to_crs("EPSG:4326") if crs else frame
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return path


def write_csv(path: Path, header: str, rows: Iterable[Iterable[Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(header.split(","))
        table.writerows(rows)
    return path


class Osm:
    """An OSM extract in the making; points are given in cells from the north-western corner and shared when they are the same."""

    def __init__(self) -> None:
        self._node: dict[tuple[float, float], int] = {}
        self._tagged: dict[tuple[float, float], dict[str, str]] = {}
        self._ways: list[tuple[list[int], dict[str, str]]] = []
        self._relations: list[tuple[list[tuple[str, int, str]], dict[str, str]]] = []

    def node(self, where: tuple[float, float], **tags: str) -> int:
        self._tagged.setdefault(where, {}).update(tags)
        return self._node.setdefault(where, len(self._node) + 1)

    def way(self, *points: tuple[float, float], **tags: str) -> int:
        self._ways.append(([self.node(p) for p in points], {key.replace("__", ":"): value for key, value in tags.items()}))
        return len(self._ways)

    def area(self, west: float, north: float, east: float, south: float, **tags: str) -> int:
        return self.way((west, north), (east, north), (east, south), (west, south), (west, north), **tags)

    def multipolygon(self, outer: int, inner: int, **tags: str) -> None:
        self._relations.append(([("w", outer, "outer"), ("w", inner, "inner")], {"type": "multipolygon", **tags}))

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = osmium.SimpleWriter(str(path))
        for where, number in self._node.items():
            tags = self._tagged[where]
            writer.add_node(osmium.osm.mutable.Node(id=number, location=lonlat(*where), tags=tags, version=1))
        for number, (nodes, tags) in enumerate(self._ways, 1):
            writer.add_way(osmium.osm.mutable.Way(id=number, nodes=nodes, tags=tags, version=1))
        for number, (members, tags) in enumerate(self._relations, 1):
            writer.add_relation(osmium.osm.mutable.Relation(id=number, members=members, tags=tags, version=1))
        writer.close()
        return path


def build(folder: Path, **files: Any) -> Twin:
    """A twin of the place with the files that are given; the terrain is made beside it where it is not."""
    if "elevation" not in files:
        files["elevation"] = write_terrain(folder.with_name(folder.name + "-files") / "elevation.tif")
    build_twin(folder, **({"created": CREATED} | files))
    return open_twin(folder, verify=True)


def everything(folder: Path) -> Mapping[str, Any]:
    """One of each input, as arguments of `build_twin`."""
    streets = Osm()
    streets.way((9, 5), (15, 5), (28, 5), highway="residential", name="Long Street")
    streets.way((15, 2), (15, 5), (15, 15), highway="primary", name="Cross Road", maxspeed="50")
    streets.way((9, 15), (15, 15), highway="tertiary", bridge="yes", oneway="yes")
    streets.way((9, 5), (9, 15), highway="residential")
    houses = [box(10 + 2 * k, 6, 11 + 2 * k, 7) for k in range(6)]
    return {
        "elevation": write_terrain(folder / "elevation.tif"),
        "roads": streets.write(folder / "roads.osm.pbf"),
        "population": write_csv(
            folder / "people.csv", "lon,lat,population,jobs", [(*lonlat(c + 0.5, 6.5), 10, c % 3) for c in range(9, 29)]
        ),
        "buildings": write_vector(folder / "houses.gpkg", houses, sort=["residential"] * 5 + ["industrial"], levels=[2] * 6),
        "zones": write_vector(folder / "zones.geojson", [box(8, 0, 19, 20), box(19, 0, 30, 20)], name=["Shore", "Hill"]),
        "lines": write_vector(
            folder / "lines.shp", [line((8.5, 0), (8.5, 20))], name=["Quay wall"], sort=["barrier"], crest_m=[4.5]
        ),
        "assets": {
            "hospitals": write_vector(
                folder / "hospitals.geojson", [point(12.5, 5.5)], id=["h1"], name=["Shore Hospital"], amount=[80]
            )
        },
        "gauges": write_csv(
            folder / "gauges.csv",
            "site,name,lon,lat,quantity,unit,water,zero_m,yellow,red,limits_source",
            [
                ("g1", "Pier", *lonlat(7.5, 10.5), "river_level", "m", "lake", 1.5, 2.0, 3.0, "town plan 2020"),
                ("r1", "Hill", *lonlat(25.5, 10.5), "rain_amount", "mm", "", "", "", "", ""),
            ],
        ),
        "water": {"lake": "auto,zero=1.5"},
        "name": "Shoreham",
        "made_up": True,
        "created": CREATED,
    }
