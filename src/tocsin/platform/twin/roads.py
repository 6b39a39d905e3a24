"""Streets in: OpenStreetMap or line files become a directed graph that can be routed on, and that knows the cells it runs over."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from tocsin.platform.twin.osm import is_osm, read_ways
from tocsin.platform.twin.vectors import inside, read_table
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.observations import column
from tocsin.vocabulary.place import Grid, Roads

# Car speeds by highway class, km/h, where no maxspeed is mapped: the `speeds` table of the OSRM car profile, version 5 and later
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
KM_PER_MILE = 1.609344  # exact, international yard and pound agreement of 1959
SHORTEST_M = 0.01
# Values of `bridge` that put a street above the water (OpenStreetMap wiki, Key:bridge). A low_water_crossing is made to be flooded, and
# a value that nobody knows is not trusted: a street that is wrongly dry sends people into the water.
BRIDGES = frozenset(["yes", "true", "1", "t", "viaduct", "cantilever", "covered", "movable", "trestle"])
TUNNELS = frozenset(["yes", "true", "1", "t", "building_passage"])
CLOSED = frozenset(("no",))
ACCESS = ("motorcar", "motor_vehicle", "vehicle", "access")  # the more special tag wins (OpenStreetMap wiki, Key:access)


class _Street(msgspec.Struct, frozen=True):
    """One way as it was mapped: node keys and their places, in the twin's CRS."""

    keys: tuple[Any, ...]
    points: NDArray[np.float64]
    highway: str
    name: str
    oneway: int  # 1 forward, -1 backward, 0 both
    bridge: bool
    tunnel: bool
    speed_km_per_h: float


class Streets(msgspec.Struct, frozen=True):
    """The road graph, which edges run in a tunnel or passage, and what the manifest should remark."""

    roads: Roads
    tunnel: NDArray[np.bool_]
    remarks: tuple[str, ...]


def read_roads(path: Path, grid: Grid) -> Streets:
    """The road graph inside the grid. Raises InputError where no drivable street is in it.

    Ways are split where they share a node. Streets that a car may not use (access, vehicle, motor_vehicle or motorcar = no) and areas are
    left out; private and destination-only ones stay, since people live there. Speeds are `maxspeed`, or else the class's usual speed.
    """
    tagged = _osm(path, grid) if is_osm(path) else _lines(path, grid)
    streets = [_street(keys, points, tags) for keys, points, tags in tagged if _is_open(tags)]
    if not streets:
        raise InputError(
            f"roads {path}: no drivable street in the twin; wanted `highway` = {', '.join(list(SPEED_KM_PER_H)[:6])}, ..."
        )
    roads, tunnel = _graph(streets, grid, path)
    share, parts = _largest_part(roads)
    closed = (
        f"roads: {len(tagged) - len(streets):,} ways that are closed to cars were left out; {int(tunnel.sum()):,} directed edges are "
        "tunnels or passages and count as lying on the ground"
    )
    remarks = (
        closed,
        f"roads: {share:.1%} of the graph's nodes reach each other; {parts - 1:,} smaller pieces are cut off by the extent or the mapping",
    )
    return Streets(roads, tunnel, remarks)


def _osm(path: Path, grid: Grid) -> list[tuple[tuple[Any, ...], NDArray[np.float64], dict[str, str]]]:
    ways = read_ways(path, grid, frozenset(SPEED_KM_PER_H))
    return [(way.nodes, np.column_stack([way.x_m, way.y_m]), way.tags) for way in ways]


def _lines(path: Path, grid: Grid) -> list[tuple[tuple[Any, ...], NDArray[np.float64], dict[str, str]]]:
    table = inside(read_table(path, grid, what="roads"), grid, what="roads")
    if "highway" not in table.columns:
        raise InputError(f"roads {path}: no column `highway`; there are: {', '.join(table.columns) or 'none'}")
    names = ("highway", "name", "oneway", "bridge", "tunnel", "maxspeed", "junction", "area", *ACCESS)
    texts = {name: table.texts(name) for name in names}
    found = []
    for row, geometry in enumerate(table.geometry):
        tags = {name: texts[name][row] for name in names if texts[name][row]}
        if tags.get("highway") not in SPEED_KM_PER_H:
            continue
        for part in shapely.get_parts(geometry):
            if part.geom_type != "LineString":
                raise InputError(f"roads {table.where(row)} is a {part.geom_type}; wanted lines")
            points = shapely.get_coordinates(part)
            keys = tuple((round(x, 2), round(y, 2)) for x, y in points)  # lines that meet within a centimetre are joined
            found.append((keys, points, tags))
    return found


def _is_open(tags: dict[str, str]) -> bool:
    told = next((tags[key] for key in ACCESS if key in tags), "yes")
    return told not in CLOSED and tags.get("area", "no") != "yes"


def _street(keys: tuple[Any, ...], points: NDArray[np.float64], tags: dict[str, str]) -> _Street:
    highway = tags["highway"]
    oneway = {"yes": 1, "true": 1, "1": 1, "-1": -1, "reverse": -1}.get(tags.get("oneway", "").lower(), 0)
    implied = highway in ("motorway", "motorway_link") or tags.get("junction") in ("roundabout", "circular")
    if "oneway" not in tags and implied:
        oneway = 1
    return _Street(
        keys,
        points,
        highway,
        "".join(c for c in tags.get("name", "") if c.isprintable())[:120],
        oneway,
        tags.get("bridge", "").lower() in BRIDGES,
        tags.get("tunnel", "").lower() in TUNNELS,
        _speed(tags.get("maxspeed", ""), SPEED_KM_PER_H[highway]),
    )


def _speed(text: str, usual: float) -> float:
    """km/h of a maxspeed tag, or the class's usual speed where the tag says nothing that can be read.

    >>> _speed("50", 25.0), _speed("30 mph", 25.0), _speed("BR:urban", 25.0)
    (50.0, 48.28032, 25.0)
    """
    words = text.split()
    try:
        value = float(words[0])
    except (IndexError, ValueError):
        return usual
    return value * (KM_PER_MILE if words[-1] == "mph" else 1.0) if 1 <= value <= 200 else usual


def _graph(streets: list[_Street], grid: Grid, path: Path) -> tuple[Roads, NDArray[np.bool_]]:
    """Split at every node that streets share, drop what lies wholly outside, give each direction its edge."""
    used = Counter(key for street in streets for key in street.keys)
    west, south, east, north = grid.bounds_m
    pieces: list[NDArray[np.float64]] = []
    owner: list[_Street] = []
    keys: list[tuple[Any, Any]] = []
    for street in streets:
        points, last = street.points, len(street.keys) - 1
        cuts = [0, *(i for i in range(1, last) if used[street.keys[i]] > 1), last]
        for a, b in itertools.pairwise(cuts):
            piece = points[a : b + 1]
            (left, low), (right, high) = piece.min(axis=0), piece.max(axis=0)
            if right < west or left > east or high < south or low > north or right - left + high - low < SHORTEST_M:
                continue
            pieces.append(piece)
            owner.append(street)
            keys.append((street.keys[a], street.keys[b]))
    if not pieces:
        raise InputError(f"roads {path}: no street lies in the twin")
    number: dict[Any, int] = {}
    for pair in keys:
        for key in pair:
            number.setdefault(key, len(number))
    node = np.empty((len(number), 2))
    for piece, (first, last_key) in zip(pieces, keys, strict=True):
        node[number[first]], node[number[last_key]] = piece[0], piece[-1]
    # one edge for each direction that may be driven: (piece, backward)
    edges = [(k, back) for k, street in enumerate(owner) for back in (False, True) if street.oneway != (1 if back else -1)]
    start, places = cells_along(pieces, grid)
    cells = [places[start[k] : start[k + 1]] for k, _ in edges]
    length_m = [float(np.hypot(*np.diff(piece, axis=0).T).sum()) for piece in pieces]
    lines = [pieces[k][::-1] if back else pieces[k] for k, back in edges]
    points = np.concatenate(lines)
    roads = Roads(
        node_x_m=column(node[:, 0], np.float64),
        node_y_m=column(node[:, 1], np.float64),
        source=column([number[keys[k][back]] for k, back in edges], np.int32),
        target=column([number[keys[k][not back]] for k, back in edges], np.int32),
        length_m=column([length_m[k] for k, _ in edges], np.float64),
        speed_km_per_h=column([owner[k].speed_km_per_h for k, _ in edges], np.float64),
        way=column([k for k, _ in edges], np.int64),
        highway=tuple(owner[k].highway for k, _ in edges),
        name=tuple(owner[k].name for k, _ in edges),
        bridge=column([owner[k].bridge for k, _ in edges], bool),
        start=column(np.append(0, np.cumsum([c.size for c in cells])), np.int64),
        places=column(np.concatenate(cells), np.int64),
        line_start=column(np.append(0, np.cumsum([len(line) for line in lines])), np.int64),
        line_x_m=column(points[:, 0], np.float64),
        line_y_m=column(points[:, 1], np.float64),
    )
    return roads, column([owner[k].tunnel for k, _ in edges], bool)


def cells_along(lines: list[NDArray[np.float64]], grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every cell that each line passes through, each once: line k has places[start[k]:start[k + 1]].

    Exact: each segment is cut where it crosses a grid line, and the middle of each part says which cell it is in.
    """
    points = np.concatenate(lines)
    of_line = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    col, row = (points[:, 0] - grid.x_min_m) / grid.cell_m, (grid.y_max_m - points[:, 1]) / grid.cell_m
    joined = np.flatnonzero(of_line[:-1] == of_line[1:])
    c0, c1, r0, r1 = col[joined], col[joined + 1], row[joined], row[joined + 1]
    cuts = [(np.arange(joined.size), np.zeros(joined.size)), (np.arange(joined.size), np.ones(joined.size))]
    for first, last in ((c0, c1), (r0, r1)):
        # the whole numbers strictly between the two ends, but not beyond the grid by more than one cell
        edge = float(max(grid.rows, grid.cols) + 1)
        low, high = np.clip(np.minimum(first, last), -1.0, edge), np.clip(np.maximum(first, last), -1.0, edge)
        begin, count = np.floor(low) + 1, np.maximum(0, np.ceil(high) - np.floor(low) - 1).astype(np.int64)
        segment = np.repeat(np.arange(joined.size), count)
        step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        at = (begin[segment] + step - first[segment]) / (last[segment] - first[segment])
        cuts.append((segment, np.clip(at, 0.0, 1.0)))
    segment, at = np.concatenate([c[0] for c in cuts]), np.concatenate([c[1] for c in cuts])
    order = np.lexsort((at, segment))
    segment, at = segment[order], at[order]
    part = np.flatnonzero(segment[:-1] == segment[1:])
    s, middle = segment[part], (at[part] + at[part + 1]) / 2.0
    c = np.floor(c0[s] + middle * (c1[s] - c0[s])).astype(np.int64)
    r = np.floor(r0[s] + middle * (r1[s] - r0[s])).astype(np.int64)
    within = (c >= 0) & (c < grid.cols) & (r >= 0) & (r < grid.rows)
    pairs = np.unique(of_line[joined[s[within]]] * grid.cells + r[within] * grid.cols + c[within])
    owner, places = np.divmod(pairs, grid.cells)
    start = np.append(0, np.cumsum(np.bincount(owner, minlength=len(lines))))
    return start.astype(np.int64), places.astype(np.int64)


def _largest_part(roads: Roads) -> tuple[float, int]:
    """The share of nodes in the largest part of which every node reaches every other, and how many such parts there are."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    count = roads.node_x_m.size
    graph = csr_matrix((np.ones(len(roads)), (roads.source, roads.target)), (count, count))
    parts, label = connected_components(graph, directed=True, connection="strong")
    return float(np.bincount(label).max() / count), int(parts)
