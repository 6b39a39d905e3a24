"""Streets in: OpenStreetMap or line files become a directed graph that can be routed on, and that knows the cells it runs over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from tocsin.platform.twin.vectors import Table, inside, read_table
from tocsin.vocabulary.errors import InputError, NotFound
from tocsin.vocabulary.observations import column
from tocsin.vocabulary.place import Grid, Roads

# Car speeds by highway class, km/h, where no maxspeed is mapped: the `speeds` table of the OSRM car profile
# (github.com/Project-OSRM/osrm-backend, profiles/car.lua). They are usual speeds of a car, not limits.
SPEED_KM_PER_H = {
    "motorway": 90.0,
    "motorway_link": 45.0,
    "trunk": 85.0,
    "trunk_link": 40.0,
    "primary": 65.0,
    "primary_link": 30.0,
    "secondary": 55.0,
    "secondary_link": 25.0,
    "tertiary": 40.0,
    "tertiary_link": 20.0,
    "unclassified": 25.0,
    "residential": 25.0,
    "living_street": 10.0,
    "service": 15.0,
}
SHORTEST_M = 0.01


class _Street(msgspec.Struct, frozen=True):
    """One way as it was mapped: node keys and their places, in the twin's CRS."""

    keys: list[Any]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    highway: str
    name: str
    oneway: int  # 1 forward, -1 backward, 0 both
    bridge: bool
    speed_km_per_h: float


def read_roads(path: Path, grid: Grid) -> tuple[Roads, list[str]]:
    """The road graph inside the grid; and remarks for the manifest. Raises InputError where no drivable street is in it."""
    if not path.is_file():
        raise NotFound(f"roads: no file {path}")
    streets = _pbf(path, grid) if path.name.lower().endswith((".pbf", ".osm", ".osm.xml")) else _lines(path, grid)
    if not streets:
        raise InputError(
            f"roads {path}: no drivable street in the twin; wanted `highway` = {', '.join(list(SPEED_KM_PER_H)[:6])}, ..."
        )
    roads = _graph(streets, grid)
    share, parts = _largest_part(roads)
    remarks = [
        f"{share:.1%} of the road graph's nodes reach each other; {parts - 1} smaller pieces are cut off by the extent or the mapping"
    ]
    return roads, remarks


def _pbf(path: Path, grid: Grid) -> list[_Street]:
    import osmium

    to_m = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
    west, south, east, north = grid.bounds_m
    streets = []
    try:
        for way in (
            osmium.FileProcessor(str(path), osmium.osm.NODE | osmium.osm.WAY)
            .with_locations()
            .with_filter(osmium.filter.KeyFilter("highway"))
        ):
            if not way.is_way() or way.tags["highway"] not in SPEED_KM_PER_H:
                continue
            nodes = [(n.ref, n.location.lon, n.location.lat) for n in way.nodes if n.location.valid()]
            if len(nodes) < 2:
                continue
            x_m, y_m = (np.asarray(v, np.float64) for v in to_m.transform([n[1] for n in nodes], [n[2] for n in nodes]))
            if x_m.max() < west or x_m.min() > east or y_m.max() < south or y_m.min() > north:
                continue
            tags = {t.k: t.v for t in way.tags}
            streets.append(_street([n[0] for n in nodes], x_m, y_m, tags))
    except (RuntimeError, ValueError) as fault:
        raise InputError(f"roads {path}: is broken or no OpenStreetMap file: {fault}; fetch it again") from fault
    return streets


def _lines(path: Path, grid: Grid) -> list[_Street]:
    table: Table = inside(read_table(path, grid, what="roads"), grid, what="roads")
    if "highway" not in table.columns:
        raise InputError(f"roads {path}: no column `highway`; there are: {', '.join(table.columns) or 'none'}")
    names = ("highway", "name", "oneway", "bridge", "maxspeed", "junction")
    texts = {name: table.texts(name) for name in names}
    streets = []
    for row, geometry in enumerate(table.geometry):
        tags = {name: texts[name][row] for name in names if texts[name][row]}
        if tags.get("highway") not in SPEED_KM_PER_H:
            continue
        for part in shapely.get_parts(geometry):
            if part.geom_type != "LineString":
                raise InputError(f"roads {path}: row {row + 1} is a {part.geom_type}; wanted lines")
            points = shapely.get_coordinates(part)
            keys = [(round(x, 2), round(y, 2)) for x, y in points]  # lines that meet within a centimetre are joined
            streets.append(_street(keys, points[:, 0], points[:, 1], tags))
    return streets


def _street(keys: list[Any], x_m: NDArray[np.float64], y_m: NDArray[np.float64], tags: dict[str, str]) -> _Street:
    highway = tags["highway"]
    oneway = {"yes": 1, "true": 1, "1": 1, "-1": -1, "reverse": -1}.get(tags.get("oneway", ""), 0)
    if (
        oneway == 0
        and "oneway" not in tags
        and (highway in ("motorway", "motorway_link") or tags.get("junction") in ("roundabout", "circular"))
    ):
        oneway = 1
    bridge = tags.get("bridge", "no") not in ("no", "false", "0", "")
    return _Street(
        keys, x_m, y_m, highway, tags.get("name", ""), oneway, bridge, _speed(tags.get("maxspeed", ""), SPEED_KM_PER_H[highway])
    )


def _speed(text: str, usual: float) -> float:
    """km/h of a maxspeed tag, or the class's usual speed where the tag says nothing that can be read."""
    words = text.split()
    try:
        value = float(words[0])
    except (IndexError, ValueError):
        return usual
    return value * (1.609344 if words[-1] == "mph" else 1.0) if 1 <= value <= 200 else usual


def _graph(streets: list[_Street], grid: Grid) -> Roads:
    """Split at every node that streets share, drop what lies wholly outside, give each direction its edge."""
    used = Counter(key for street in streets for key in set(street.keys))
    ends = {key for street in streets for key in (street.keys[0], street.keys[-1])}
    number: dict[Any, int] = {}
    node_x: list[float] = []
    node_y: list[float] = []

    def node(key: Any, x: float, y: float) -> int:
        if key not in number:
            number[key] = len(number)
            node_x.append(x)
            node_y.append(y)
        return number[key]

    west, south, east, north = grid.bounds_m
    rows: list[tuple[int, int, int, _Street]] = []
    pieces: list[NDArray[np.float64]] = []
    way = 0
    for street in streets:
        points = np.column_stack([street.x_m, street.y_m])
        cuts = [0, *(i for i in range(1, len(points) - 1) if used[street.keys[i]] > 1 or street.keys[i] in ends), len(points) - 1]
        for a, b in zip(cuts, cuts[1:], strict=False):
            piece = points[a : b + 1]
            low, high = piece.min(axis=0), piece.max(axis=0)
            if (
                high[0] < west
                or low[0] > east
                or high[1] < south
                or low[1] > north
                or np.abs(np.diff(piece, axis=0)).sum() < SHORTEST_M
            ):
                continue
            source, target = node(street.keys[a], *piece[0]), node(street.keys[b], *piece[-1])
            if street.oneway >= 0:
                rows.append((source, target, way, street))
                pieces.append(piece)
            if street.oneway <= 0:
                rows.append((target, source, way, street))
                pieces.append(piece[::-1])
            way += 1
    if not rows:
        raise InputError("roads: no street lies in the twin")
    places = [_cells(piece, grid) for piece in pieces]
    lines = np.concatenate(pieces)
    return Roads(
        node_x_m=column(node_x, np.float64),
        node_y_m=column(node_y, np.float64),
        source=column([r[0] for r in rows], np.int32),
        target=column([r[1] for r in rows], np.int32),
        length_m=column([np.hypot(*np.diff(piece, axis=0).T).sum() for piece in pieces], np.float64),
        speed_km_per_h=column([r[3].speed_km_per_h for r in rows], np.float64),
        way=column([r[2] for r in rows], np.int64),
        highway=tuple(r[3].highway for r in rows),
        name=tuple(r[3].name for r in rows),
        bridge=column([r[3].bridge for r in rows], bool),
        start=column(np.append(0, np.cumsum([p.size for p in places])), np.int64),
        places=column(np.concatenate(places), np.int64),
        line_start=column(np.append(0, np.cumsum([len(p) for p in pieces])), np.int64),
        line_x_m=column(lines[:, 0], np.float64),
        line_y_m=column(lines[:, 1], np.float64),
    )


def _cells(piece: NDArray[np.float64], grid: Grid) -> NDArray[np.int64]:
    """Every cell that a line meets, each once: points at a tenth of a cell, so that only a corner cut by less is missed."""
    length = np.append(0.0, np.cumsum(np.hypot(*np.diff(piece, axis=0).T)))
    at = np.linspace(0.0, length[-1], max(2, int(np.ceil(length[-1] / (0.1 * grid.cell_m))) + 1))
    place = grid.place(np.interp(at, length, piece[:, 0]), np.interp(at, length, piece[:, 1]))
    return np.unique(place[place >= 0])


def _largest_part(roads: Roads) -> tuple[float, int]:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    count = roads.node_x_m.size
    graph = csr_matrix((np.ones(len(roads)), (roads.source, roads.target)), (count, count))
    parts, label = connected_components(graph, directed=True, connection="strong")
    return float(np.bincount(label).max() / count), int(parts)
