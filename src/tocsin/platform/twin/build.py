"""Build a twin: files of the usual kinds go in, a folder that says what it is comes out, or nothing at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from tocsin.platform.twin.manifest import FORMAT, MANIFEST, Manifest, Source, WaterNote, sha256_of
from tocsin.platform.twin.people import cells_of, read_people
from tocsin.platform.twin.rasters import read_manning, read_terrain, write_field
from tocsin.platform.twin.roads import read_roads
from tocsin.platform.twin.vectors import Table, inside, read_table, write_geoparquet
from tocsin.vocabulary.errors import Conflict, InputError, Unavailable
from tocsin.vocabulary.place import Grid, Roads

Told = Callable[[str, int, int], None]
STEPS = ("terrain", "water", "roads", "buildings", "people", "zones", "assets", "checksums")
FLAT_SHARE_MIN = 0.01
BLOCK_M = 1_000.0
NAME_LONGEST = 120
OSM_LICENCE = "ODbL 1.0"
OSM_ATTRIBUTION = "© OpenStreetMap contributors"


def build_twin(
    folder: Path,
    *,
    elevation: Path,
    created: datetime,
    roads: Path | None = None,
    population: Path | None = None,
    buildings: Path | None = None,
    landcover: Path | None = None,
    zones: Path | None = None,
    lines: Path | None = None,
    gauges: Path | None = None,
    assets: Mapping[str, Path] | None = None,
    water: Mapping[str, str] | None = None,
    cell_m: float | None = None,
    crs: str | None = None,
    name: str | None = None,
    made_up: bool = False,
    licences: Mapping[str, str] | None = None,
    overwrite: bool = False,
    on_progress: Told | None = None,
) -> Manifest:
    """Build a twin folder of files; all or nothing.

    It is written beside its place and renamed when it is complete: an error or Ctrl-C leaves no half of one, and an existing twin stays as it
    was unless `overwrite` is set and the new one is complete. `water` names water bodies: {"lake": "auto"}, {"lake": "lake.geojson"} or
    {"lake": "-51.24,-30.03"} (a point in it), each with ",zero=0.3" if the gauge's zero is not the terrain's. `licences` is by what
    ("elevation", "roads", ...). Raises InputError for what cannot be used, and says which file, what was wanted and what to do.
    """
    if folder.exists() and not overwrite:
        raise Conflict(f"{folder}: is there already; give another folder, or --overwrite to replace it")
    if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
        raise Conflict(f"{folder}: holds something that is no twin; it is not replaced")
    tell = on_progress or (lambda _step, _done, _total: None)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    try:
        unfinished.mkdir(parents=True)
        builder = _Builder(unfinished, licences or {}, tell)
        manifest = builder.build(
            elevation=elevation,
            created=created,
            roads=roads,
            population=population,
            buildings=buildings,
            landcover=landcover,
            zones=zones,
            lines=lines,
            gauges=gauges,
            assets=assets or {},
            water=water if water is not None else {"lake": "auto"},
            water_asked=water is not None,
            cell_m=cell_m,
            crs=crs,
            name=name or folder.name,
            made_up=made_up,
        )
        _swap(unfinished, folder)
    except OSError as fault:
        if isinstance(fault, InputError):
            raise
        raise Unavailable(f"{folder}: the twin was not built: {fault}; free some space or choose another folder") from fault
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _swap(new: Path, folder: Path) -> None:
    """Put the finished folder in its place; what was there goes only after."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


class _Builder:
    """One build: what has been read so far, and what the manifest will say of it."""

    def __init__(self, folder: Path, licences: Mapping[str, str], tell: Told) -> None:
        self._folder, self._licences, self._tell = folder, licences, tell
        self._sources: list[Source] = []
        self._remarks: list[str] = []
        self._counts: dict[str, float] = {}

    def _step(self, name: str) -> None:
        self._tell(name, STEPS.index(name), len(STEPS))

    def _cite(self, what: str, path: Path) -> None:
        licence, attribution = self._licences.get(what, ""), ""
        if path.name.lower().endswith(".pbf"):
            licence, attribution = licence or OSM_LICENCE, OSM_ATTRIBUTION
        self._sources.append(Source(what, path.name, sha256_of(path), path.stat().st_size, licence, attribution))

    def build(
        self,
        *,
        elevation: Path,
        created: datetime,
        roads: Path | None,
        population: Path | None,
        buildings: Path | None,
        landcover: Path | None,
        zones: Path | None,
        lines: Path | None,
        gauges: Path | None,
        assets: Mapping[str, Path],
        water: Mapping[str, str],
        water_asked: bool,
        cell_m: float | None,
        crs: str | None,
        name: str,
        made_up: bool,
    ) -> Manifest:
        if not 0 < len(name) <= NAME_LONGEST or not name.isprintable():
            raise InputError(f"--name {name[:40]!r}: wanted 1 to {NAME_LONGEST} printable characters")
        for kind in assets:
            if not kind.replace("_", "").isalnum():
                raise InputError(f"--assets {kind!r}: wanted a kind such as hospitals, shelters, schools")
        (self._folder / "fields").mkdir()
        (self._folder / "assets").mkdir()
        self._step("terrain")
        grid, ground, remarks = read_terrain(elevation, crs=crs, cell_m=cell_m)
        self._cite("elevation", elevation)
        self._remarks += remarks
        write_field(self._folder / "fields" / "elevation.tif", grid, ground, what="elevation, m")
        manning, remark = read_manning(landcover, grid)
        if landcover is not None:
            self._cite("landcover", landcover)
        self._remarks.append(remark)
        write_field(self._folder / "fields" / "manning.tif", grid, manning, what="Manning's n, s/m^(1/3)")

        self._step("water")
        waters = self._waters(water, ground, grid, must=water_asked)
        dry = np.ones(grid.cells, bool)
        for _, cells in waters:
            dry[cells] = False

        self._step("roads")
        if roads is not None:
            graph, remarks = read_roads(roads, grid)
            self._cite("roads", roads)
            self._remarks += remarks
            _write_roads(self._folder, graph, grid)
            whole = np.unique(graph.way, return_index=True)[1]
            self._counts |= {
                "road_edges": len(graph),
                "road_nodes": graph.node_x_m.size,
                "road_km": float(graph.length_m[whole].sum()) / 1000.0,
            }
        self._step("buildings")
        floor_m2 = self._buildings(buildings, grid)
        self._step("people")
        night = np.zeros(grid.shape, np.float32)
        if population is not None:
            people = read_people(population, grid, dry=dry, floor_m2=floor_m2)
            self._cite("population", population)
            self._remarks += people.remarks
            night = people.night
            write_field(self._folder / "fields" / "population_night.tif", grid, people.night, what="persons by night")
            write_field(self._folder / "fields" / "population_day.tif", grid, people.day, what="persons by day")
            self._counts |= {
                "people_night": float(people.night.sum(dtype=float)),
                "people_day": float(people.day.sum(dtype=float)),
            }
        self._step("zones")
        self._zones(zones, grid, night.reshape(-1))
        if lines is not None:
            self._lines(lines, grid)
        self._step("assets")
        for kind, path in assets.items():
            self._assets(kind, path, grid)
        if gauges is not None:
            self._gauges(gauges, grid)
        self._step("checksums")
        to_lonlat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
        west, south, east, north = to_lonlat.transform_bounds(*grid.bounds_m)
        files = {str(p.relative_to(self._folder)): sha256_of(p) for p in sorted(self._folder.rglob("*")) if p.is_file()}
        manifest = Manifest(
            FORMAT,
            name,
            made_up,
            created,
            grid,
            (west, south, east, north),
            tuple(self._sources),
            tuple(note for note, _ in waters),
            self._counts,
            tuple(self._remarks),
            files,
        )
        (self._folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        self._tell("done", len(STEPS), len(STEPS))
        return manifest

    def _waters(
        self, specs: Mapping[str, str], ground: NDArray[np.float32], grid: Grid, *, must: bool
    ) -> list[tuple[WaterNote, NDArray[np.int64]]]:
        found: list[tuple[WaterNote, NDArray[np.int64]]] = []
        for name, spec in specs.items():
            where, _, zero = spec.partition(",zero=")
            gauge_zero_m, note = 0.0, "the gauge's zero is taken to be the terrain's; give `,zero=METRES` if it is not"
            if zero:
                try:
                    gauge_zero_m, note = float(zero), "gauge zero as given"
                except ValueError as fault:
                    raise InputError(f"--water {name}={spec}: zero = {zero!r}; wanted metres in the terrain's datum") from fault
            cells = self._water_cells(name, where, ground, grid)
            if not cells.size:
                if must:
                    raise InputError(
                        f"--water {name}={spec}: no flat area of {FLAT_SHARE_MIN:.0%} of the twin; give a file or a lon,lat point in it"
                    )
                continue
            level_m = float(np.median(ground.reshape(-1)[cells]))
            self._remarks.append(
                f"water {name}: {cells.size:,} cells, {where}, surface at {level_m:g} m when the terrain was measured"
            )
            found.append((WaterNote(name, int(cells.size), level_m, gauge_zero_m, note), cells))
        if found:
            np.savez_compressed(self._folder / "waters.npz", **{note.name: cells for note, cells in found})
        return found

    def _water_cells(self, name: str, where: str, ground: NDArray[np.float32], grid: Grid) -> NDArray[np.int64]:
        if where == "auto":
            return _largest_flat(ground)
        parts = where.split(",")
        if len(parts) == 2:
            try:
                lon, lat = float(parts[0]), float(parts[1])
            except ValueError as fault:
                raise InputError(f"--water {name}={where}: wanted auto, lon,lat or a file with polygons") from fault
            x_m, y_m = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(lon, lat)
            seed = int(grid.place(x_m, y_m)) if np.isfinite([x_m, y_m]).all() else -1
            if seed < 0:
                raise InputError(f"--water {name}={where}: the point lies outside the twin; is it lon,lat?")
            return _connected(ground, seed)
        table = inside(read_table(Path(where), grid, what=f"water {name}"), grid, what=f"water {name}")
        self._cite(f"water {name}", Path(where))
        return np.unique(np.concatenate([cells_of(shape, grid) for shape in table.geometry]))

    def _buildings(self, path: Path | None, grid: Grid) -> NDArray[np.float64] | None:
        if path is None:
            return None
        table = inside(read_table(path, grid, what="buildings"), grid, what="buildings")
        polygons = shapely.area(table.geometry) > 0
        if not polygons.any():
            raise InputError(f"buildings {path}: holds no polygon; wanted footprints")
        table = table.take(polygons)
        self._cite("buildings", path)
        levels = table.numbers("levels", usual=1.0, low=0.0, high=300.0)
        area_m2 = shapely.area(table.geometry)
        middle = shapely.centroid(table.geometry)
        place = grid.place(shapely.get_x(middle), shapely.get_y(middle))
        sorts = table.texts("sort") if "sort" in table.columns else table.texts("building", "residential")
        columns = {
            "id": _ids(table, "building"),
            "name": table.texts("name"),
            "sort": sorts,
            "levels": levels,
            "amount": area_m2 * np.maximum(levels, 1.0),
        }
        write_geoparquet(self._folder / "buildings.parquet", table.geometry, columns, grid.crs)
        self._counts |= {"buildings": len(table), "floor_m2": float(columns["amount"].sum())}
        lived = np.isin(sorts, ("residential", "house", "apartments", "yes"))
        floor = np.zeros(grid.cells)
        inside_it = place >= 0
        weight = columns["amount"] if not lived.any() else columns["amount"] * np.where(lived, 1.0, 0.25)
        np.add.at(floor, place[inside_it], weight[inside_it])
        return floor

    def _zones(self, path: Path | None, grid: Grid, night: NDArray[np.float32]) -> None:
        if path is not None:
            table = inside(read_table(path, grid, what="zones"), grid, what="zones")
            self._cite("zones", path)
            names, shapes = _names(table, "zones"), table.geometry
        else:
            names, boxes = _blocks(grid, night)
            shapes = np.array(boxes, object)
            self._remarks.append(
                f"no zones were given: blocks of {BLOCK_M:g} m with people in them serve as zones, named by row and column"
            )
        if len(names):
            write_geoparquet(self._folder / "zones.parquet", shapes, {"name": names}, grid.crs)
        self._counts["zones"] = len(names)

    def _lines(self, path: Path, grid: Grid) -> None:
        table = inside(read_table(path, grid, what="lines"), grid, what="lines")
        if not (shapely.get_type_id(table.geometry) == 1).all():
            raise InputError(f"lines {path}: holds something else than single lines; split them")
        self._cite("lines", path)
        crest_m = table.numbers("crest_m", usual=float("nan"), low=-500.0, high=9000.0)
        columns = {"name": _names(table, "lines"), "sort": table.texts("sort", "barrier"), "crest_m": crest_m}
        write_geoparquet(self._folder / "lines.parquet", table.geometry, columns, grid.crs)
        self._counts["lines"] = len(table)

    def _assets(self, kind: str, path: Path, grid: Grid) -> None:
        table = inside(read_table(path, grid, what=f"assets {kind}"), grid, what=f"assets {kind}")
        self._cite(kind, path)
        units = sorted(set(table.texts("unit", "persons")))
        if len(units) != 1:
            raise InputError(f"assets {kind} {path}: units {', '.join(units)}; wanted one unit for a kind")
        columns = {
            "id": _ids(table, kind),
            "name": table.texts("name"),
            "sort": table.texts("sort", kind),
            "amount": table.numbers("amount", usual=0.0),
            "unit": [units[0]] * len(table),
        }
        write_geoparquet(self._folder / "assets" / f"{kind}.parquet", shapely.centroid(table.geometry), columns, grid.crs)
        self._counts[kind] = len(table)

    def _gauges(self, path: Path, grid: Grid) -> None:
        table = inside(read_table(path, grid, what="gauges"), grid, what="gauges")
        self._cite("gauges", path)
        if "quantity" not in table.columns:
            raise InputError(f"gauges {path}: no column `quantity`; wanted e.g. river_level, rain_amount")
        columns: dict[str, Any] = {
            "site": _ids(table, "gauge", column="site"),
            "name": table.texts("name"),
            "quantity": table.texts("quantity"),
            "zero_m": table.numbers("zero_m", usual=float("nan"), low=-500.0, high=9000.0),
            "limits_source": table.texts("limits_source"),
        }
        for colour in ("blue", "yellow", "orange", "red"):
            columns[colour] = table.numbers(colour, usual=float("nan"), low=-1e6, high=1e6)
        write_geoparquet(self._folder / "gauges.parquet", shapely.centroid(table.geometry), columns, grid.crs)
        self._counts["gauges"] = len(table)


def _ids(table: Table, kind: str, column: str = "id") -> list[str]:
    ids = table.texts(column) if column in table.columns else [f"{kind}-{n}" for n in range(1, len(table) + 1)]
    seen: set[str] = set()
    for row, one in enumerate(ids):
        if not one or len(one) > NAME_LONGEST or not one.isprintable() or "/" in one:
            raise InputError(
                f"{table.path}: row {row + 1}: {column} = {one[:40]!r}; wanted a short printable name without a slash"
            )
        if one in seen:
            raise InputError(f"{table.path}: row {row + 1}: {column} = {one!r} stands there twice")
        seen.add(one)
    return ids


def _names(table: Table, what: str) -> list[str]:
    if "name" not in table.columns:
        raise InputError(f"{what} {table.path}: no column `name`; there are: {', '.join(table.columns) or 'none'}")
    return _ids(table, what, column="name")


def _blocks(grid: Grid, night: NDArray[np.float32]) -> tuple[list[str], list[Any]]:
    """Square blocks, lettered from the north and numbered from the west, where somebody lives."""
    step = max(1, round(BLOCK_M / grid.cell_m))
    people = night.reshape(grid.shape)
    names, boxes = [], []
    for number, row in enumerate(range(0, grid.rows, step)):
        for col_number, col in enumerate(range(0, grid.cols, step)):
            if people[row : row + step, col : col + step].sum() > 0:
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


def _largest_flat(ground: NDArray[np.float32]) -> NDArray[np.int64]:
    """The largest connected area of exactly one height, if it is large enough to be water that was flattened in the terrain."""
    from scipy.ndimage import label

    best = np.empty(0, np.int64)
    heights, counts = np.unique(ground, return_counts=True)
    for height in heights[counts >= FLAT_SHARE_MIN * ground.size]:
        parts, count = label(ground == height)
        if count:
            sizes = np.bincount(parts.reshape(-1))[1:]
            if sizes.max() > max(best.size, FLAT_SHARE_MIN * ground.size):
                best = np.flatnonzero(parts == sizes.argmax() + 1)
    return np.asarray(best, np.int64)


def _connected(ground: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    from scipy.ndimage import label

    parts, _ = label(ground == ground.reshape(-1)[seed])
    return np.asarray(np.flatnonzero(parts == parts.reshape(-1)[seed]), np.int64)


def _write_roads(folder: Path, roads: Roads, grid: Grid) -> None:
    """Edges and nodes as GeoParquet; the cells of each edge beside them."""
    (folder / "roads").mkdir()
    lines = [
        shapely.LineString(np.column_stack([roads.line_x_m[a:b], roads.line_y_m[a:b]]))
        for a, b in zip(roads.line_start, roads.line_start[1:], strict=False)
    ]
    columns = {
        "source": roads.source,
        "target": roads.target,
        "length_m": roads.length_m,
        "speed_km_per_h": roads.speed_km_per_h,
        "way": roads.way,
        "highway": list(roads.highway),
        "name": list(roads.name),
        "bridge": roads.bridge,
    }
    write_geoparquet(folder / "roads" / "edges.parquet", np.array(lines, object), columns, grid.crs)
    write_geoparquet(folder / "roads" / "nodes.parquet", shapely.points(roads.node_x_m, roads.node_y_m), {}, grid.crs)
    np.savez_compressed(folder / "roads" / "places.npz", start=roads.start, places=roads.places)
