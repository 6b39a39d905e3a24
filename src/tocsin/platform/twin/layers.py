"""Layers in: streets, houses, zones, lines, assets and gauges become the twin's GeoParquet files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tocsin.platform.twin.notes import Notes
from tocsin.platform.twin.osm import LIFELINES, is_osm, kinds_in, read_assets, read_buildings
from tocsin.platform.twin.people import Floors
from tocsin.platform.twin.roads import read_roads
from tocsin.platform.twin.vectors import Table, inside, read_table, write_geoparquet
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.place import Grid

BLOCK_M = 1_000.0
ELEVATIONS_M = (-500.0, 9_000.0)
HOMES = (
    "residential",
    "unknown",
)  # the sorts of buildings in which people sleep; `unknown` is mostly OpenStreetMap's building=yes
ERROR_LEAST = 1e-6  # no gauge is exact
COLOURS = ("blue", "yellow", "orange", "red")


def write_roads(folder: Path, path: Path, grid: Grid, notes: Notes) -> None:
    """Edges and nodes as GeoParquet, the cells of each edge in a column."""
    streets = read_roads(path, grid)
    notes.cite("roads", path)
    notes.remark(*streets.remarks)
    roads = streets.roads
    owner = np.repeat(np.arange(len(roads)), np.diff(roads.line_start))
    lines = shapely.linestrings(np.column_stack([roads.line_x_m, roads.line_y_m]), indices=owner)
    columns = {
        "source": roads.source,
        "target": roads.target,
        "length_m": roads.length_m,
        "speed_km_per_h": roads.speed_km_per_h,
        "way": roads.way,
        "highway": list(roads.highway),
        "name": list(roads.name),
        "bridge": roads.bridge,
        "tunnel": streets.tunnel,
        "places": np.split(roads.places, roads.start[1:-1]),
    }
    (folder / "roads").mkdir()
    write_geoparquet(folder / "roads" / "edges.parquet", np.asarray(lines, object), columns, grid.crs)
    nodes = np.asarray(shapely.points(roads.node_x_m, roads.node_y_m), object)
    write_geoparquet(folder / "roads" / "nodes.parquet", nodes, {}, grid.crs)
    once = np.unique(roads.way, return_index=True)[1]
    notes.counts |= {
        "road_edges": len(roads),
        "road_nodes": int(roads.node_x_m.size),
        "road_km": float(roads.length_m[once].sum()) / 1000.0,
    }


def write_buildings(folder: Path, path: Path, grid: Grid, notes: Notes) -> Floors:
    """Footprints with their sort, levels and floor area; the floor area per cell is returned."""
    if is_osm(path):
        table, remark = read_buildings(path, grid)
        notes.remark(remark)
    else:
        table = read_table(path, grid, what="buildings")
    table = _clip(table, grid, "buildings", notes)
    area_m2 = shapely.area(table.geometry)
    if not (area_m2 > 0).any():
        raise InputError(f"buildings {path}: holds no polygon; wanted footprints")
    if (flat := int((area_m2 == 0).sum())) > 0:
        notes.remark(f"buildings: {flat:,} of {len(table):,} rows are no polygons and were left out")
        table, area_m2 = table.take(area_m2 > 0), area_m2[area_m2 > 0]
    notes.cite("buildings", path)
    levels = table.numbers("levels", usual=1.0, low=0.0, high=300.0)
    floor_m2 = area_m2 * np.maximum(levels, 1.0)
    sorts = [sort or "unknown" for sort in table.texts("sort", "unknown")]
    columns = {
        "id": _ids(table, "building"),
        "name": table.texts("name"),
        "sort": sorts,
        "levels": levels,
        "area_m2": area_m2,
        "amount": floor_m2,
    }
    write_geoparquet(folder / "buildings.parquet", table.geometry, columns, grid.crs)
    notes.counts |= {"buildings": len(table), "floor_m2": float(floor_m2.sum())}
    if "sort" not in table.columns:
        notes.remark("buildings: no column `sort`: what they are for is not known")
    middle = shapely.centroid(table.geometry)
    place = grid.place(shapely.get_x(middle), shapely.get_y(middle))
    home_m2, work_m2 = np.zeros(grid.cells), np.zeros(grid.cells)
    for floor, counts in ((home_m2, np.isin(sorts, HOMES)), (work_m2, np.array(sorts) != "residential")):
        np.add.at(floor, place[(place >= 0) & counts], floor_m2[(place >= 0) & counts])
    return Floors(home_m2, work_m2)


def write_zones(
    folder: Path, path: Path | None, grid: Grid, *, night: NDArray[np.float64], dry: NDArray[np.bool_], notes: Notes
) -> list[str]:
    """The named areas; without a file, square blocks where people live, or where there is land if nobody is known to live anywhere.

    Returns their names.
    """
    if path is not None:
        table = _clip(read_table(path, grid, what="zones"), grid, "zones", notes)
        if not (shapely.area(table.geometry) > 0).all():
            raise InputError(f"zones {path}: holds something else than polygons; wanted areas")
        notes.cite("zones", path)
        names, shapes = _names(table, "zones"), table.geometry
    else:
        names, boxes = _blocks(grid, night if night.any() else dry.astype(np.float64))
        shapes = np.array(boxes, object)
        notes.remark(
            f"zones: none were given: {len(names)} blocks of {BLOCK_M:g} m with {'people' if night.any() else 'land'} in them serve as "
            "zones, lettered from the north and numbered from the west"
        )
    if len(names):
        write_geoparquet(folder / "zones.parquet", shapes, {"name": names}, grid.crs)
    notes.counts["zones"] = len(names)
    return names


def write_lines(folder: Path, path: Path, grid: Grid, notes: Notes) -> None:
    """Named lines: barriers, dikes, inflows."""
    table = _clip(read_table(path, grid, what="lines"), grid, "lines", notes)
    lines = np.isin(shapely.get_type_id(table.geometry), (1, 5))  # a line, or several that may make one
    shapes = table.geometry.copy()
    shapes[lines] = shapely.line_merge(shapes[lines])
    for row in np.flatnonzero(shapely.get_type_id(shapes) != 1)[:1]:
        raise InputError(f"lines {table.where(row)} is a {shapes[row].geom_type}; wanted one line a row: split or draw it")
    notes.cite("lines", path)
    low, high = ELEVATIONS_M
    columns = {
        "name": _names(table, "lines"),
        "sort": table.texts("sort", "barrier"),
        "crest_m": table.numbers("crest_m", usual=float("nan"), low=low, high=high),
    }
    write_geoparquet(folder / "lines.parquet", shapes, columns, grid.crs)
    notes.counts["lines"] = len(table)


def write_assets(folder: Path, kind: str, path: Path, grid: Grid, notes: Notes) -> list[str]:
    """Things of one kind, as points with how much of one unit each stands for; returns their ids."""
    what = f"assets {kind}"
    table = _clip(read_assets(path, grid, kind) if is_osm(path) else read_table(path, grid, what=what), grid, what, notes)
    notes.cite(kind, path)
    return _write_assets(folder, kind, table, grid, notes)


def write_lifelines(folder: Path, path: Path, grid: Grid, notes: Notes, *, given: Collection[str]) -> dict[str, list[str]]:
    """What an OpenStreetMap file has of power, water, telecom and hospitals in the twin, but for the kinds that were `given`; ids by kind."""
    if not is_osm(path):
        raise InputError(f"lifelines {path}: is no OpenStreetMap file; wanted .osm.pbf, or give each kind as --assets KIND=FILE")
    wanted = tuple(kind for kind in LIFELINES if kind not in given)
    notes.cite("lifelines", path)
    found: dict[str, list[str]] = {}
    for kind in kinds_in(path, wanted):
        table = read_assets(path, grid, kind)
        table = table.take(shapely.intersects(table.geometry, shapely.box(*grid.bounds_m)))
        if len(table):
            found[kind] = _write_assets(folder, kind, table, grid, notes)
    if missing := [kind.replace("_", " ") for kind in wanted if kind not in found]:
        notes.remark(f"lifelines: {path.name} has no {', '.join(missing)} in the twin")
    return found


def _write_assets(folder: Path, kind: str, table: Table, grid: Grid, notes: Notes) -> list[str]:
    units = sorted(set(table.texts("unit", "persons")))
    if len(units) != 1:
        raise InputError(f"assets {kind} {table.path}: units {', '.join(units)[:80]}; wanted one unit for a kind")
    amounts = table.numbers("amount", usual=float("nan"))
    if (silent := int(np.isnan(amounts).sum())) > 0:
        notes.remark(f"{kind}: {silent:,} of {len(table):,} do not tell their {units[0]} and count as 0")
    ids = _ids(table, kind)
    columns = {
        "id": ids,
        "name": table.texts("name"),
        "sort": table.texts("sort", kind),
        "amount": np.nan_to_num(amounts),
        "unit": [units[0]] * len(table),
    }
    write_geoparquet(folder / "assets" / f"{kind}.parquet", shapely.centroid(table.geometry), columns, grid.crs)
    notes.counts[kind] = len(table)
    return ids


def write_gauges(folder: Path, path: Path, grid: Grid, *, zero_m: Mapping[str, float], notes: Notes) -> None:
    """Where sensors stand, what they measure, and their limits. A gauge without a zero takes that of the water it stands in."""
    every = read_table(path, grid, what="gauges")
    table = inside(every, grid, what="gauges")
    if "quantity" not in table.columns:
        raise InputError(f"gauges {path}: no column `quantity`; wanted e.g. river_level, rain_amount")
    notes.cite("gauges", path)
    sites = _ids(table, "gauge", column="site")
    if len(table) < len(every) and "site" in every.columns:
        away = ", ".join(sorted(set(every.texts("site")) - set(sites)))
        notes.remark(f"gauges: {away[:500]} lie outside the twin and were left out; nobody is warned by them")
    low, high = ELEVATIONS_M
    columns: dict[str, Any] = {
        "site": sites,
        "name": table.texts("name"),
        "quantity": table.texts("quantity"),
        "unit": table.texts("unit"),
        "water": table.texts("water"),
        "zero_m": table.numbers("zero_m", usual=float("nan"), low=low, high=high),
        "limits_source": table.texts("limits_source"),
        "error_sd": table.numbers("error_sd", usual=float("nan"), low=ERROR_LEAST, high=1e6),
        "error_share": table.numbers("error_share", usual=float("nan"), low=ERROR_LEAST, high=10.0),
    }
    for row, (quantity, water) in enumerate(zip(columns["quantity"], columns["water"], strict=True)):
        if not quantity.replace("_", "").isalnum():
            raise InputError(f"gauges {table.where(row)}: quantity = {quantity!r}; wanted e.g. river_level, rain_amount")
        if water and water not in zero_m:
            raise InputError(f"gauges {table.where(row)}: water = {water!r}; the twin has: {', '.join(zero_m) or 'none'}")
        if water and np.isnan(columns["zero_m"][row]):
            columns["zero_m"][row] = zero_m[water]
    limits = np.column_stack([table.numbers(colour, usual=float("nan"), low=-1e6, high=1e6) for colour in COLOURS])
    for row, values in enumerate(limits):
        steps = np.diff(values[np.isfinite(values)])
        if not ((steps > 0).all() or (steps < 0).all()):
            raise InputError(f"gauges {table.where(row)}: limits {values.tolist()} neither rise nor fall from blue to red")
    columns |= dict(zip(COLOURS, limits.T, strict=True))
    write_geoparquet(folder / "gauges.parquet", shapely.centroid(table.geometry), columns, grid.crs)
    notes.counts["gauges"] = len(table)


def _clip(table: Table, grid: Grid, what: str, notes: Notes) -> Table:
    within = inside(table, grid, what=what)
    notes.left_out(what, table, within)
    return within


def _ids(table: Table, kind: str, column: str = "id") -> list[str]:
    """A column of names that are there once each; numbered where the file has none."""
    if column not in table.columns:
        return [f"{kind}-{n}" for n in range(1, len(table) + 1)]
    ids = ["" if value is None else str(value) for value in table.columns[column]]
    seen: set[str] = set()
    for row, one in enumerate(ids):
        Notes.check_name(one, f"{table.where(row)}: {column}")
        if one in seen:
            raise InputError(f"{table.where(row)}: {column} = {one!r} stands there twice; wanted one row each")
        seen.add(one)
    return ids


def _names(table: Table, what: str) -> list[str]:
    if "name" not in table.columns:
        raise InputError(f"{what} {table.path}: no column `name`; there are: {', '.join(table.columns) or 'none'}")
    return _ids(table, what, column="name")


def _blocks(grid: Grid, weight: NDArray[np.float64]) -> tuple[list[str], list[Any]]:
    """Square blocks, lettered from the north and numbered from the west, where the weight is not zero."""
    step = max(1, round(BLOCK_M / grid.cell_m))
    people = weight.reshape(grid.shape)
    names, boxes = [], []
    for number, row in enumerate(range(0, grid.rows, step)):
        for col_number, col in enumerate(range(0, grid.cols, step)):
            if people[row : row + step, col : col + step].any():
                west, north = grid.x_min_m + col * grid.cell_m, grid.y_max_m - row * grid.cell_m
                east = grid.x_min_m + min(col + step, grid.cols) * grid.cell_m
                south = grid.y_max_m - min(row + step, grid.rows) * grid.cell_m
                names.append(f"{_letters(number)}{col_number + 1}")
                boxes.append(shapely.box(west, south, east, north))
    return names, boxes


def _letters(number: int) -> str:
    """A, B, ... Z, AA, AB, ...

    >>> _letters(0), _letters(25), _letters(26)
    ('A', 'Z', 'AA')
    """
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text
