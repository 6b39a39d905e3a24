"""Vector files in: GeoPackage, GeoJSON, Shapefile, GeoParquet and CSV become geometries in the twin's metres and columns of text."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from tocsin.vocabulary.errors import InputError, NotFound, Unavailable
from tocsin.vocabulary.place import Grid

ROWS_MOST = 20_000_000


class Table(msgspec.Struct, frozen=True):
    """Rows of a file: a geometry each, in the twin's CRS, and what else the file says, as text."""

    path: Path
    geometry: NDArray[Any]
    columns: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return int(self.geometry.size)

    def texts(self, name: str, usual: str = "") -> list[str]:
        """A column as text, empty where the file says nothing."""
        values = self.columns.get(name)
        return [usual] * len(self) if values is None else [usual if v is None or v != v else str(v) for v in values]

    def numbers(self, name: str, *, usual: float | None = None, low: float = 0.0, high: float = 1e12) -> NDArray[np.float64]:
        """A column as numbers; raises InputError at the first row that is none, or leaves low..high."""
        values = self.columns.get(name)
        if values is None:
            if usual is None:
                raise InputError(f"{self.path}: no column {name!r}; there are: {', '.join(self.columns) or 'none'}")
            return np.full(len(self), usual)
        out = np.empty(len(self))
        for row, value in enumerate(values):
            if usual is not None and (value in (None, "") or value != value):
                out[row] = usual
                continue
            try:
                out[row] = float(value)
            except (TypeError, ValueError) as fault:
                raise InputError(f"{self.path}: row {row + 1}: {name} = {value!r}; wanted a number") from fault
            if not low <= out[row] <= high:
                raise InputError(f"{self.path}: row {row + 1}: {name} = {value}; wanted {low:g}..{high:g}")
        return out

    def take(self, rows: NDArray[Any]) -> Table:
        """Some of the rows."""
        where = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Table(self.path, self.geometry[where], {name: [values[i] for i in where] for name, values in self.columns.items()})


def read_table(path: Path, grid: Grid, *, what: str) -> Table:
    """A vector file in the twin's CRS; the format follows from the name. Raises InputError, naming file and row."""
    if not path.is_file():
        raise NotFound(f"{what}: no file {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{what} {path}: is empty")
    match path.suffix.lower():
        case ".csv":
            geometry, columns, crs = _csv(path, what)
        case ".parquet" | ".geoparquet":
            geometry, columns, crs = _parquet(path, what)
        case _:
            geometry, columns, crs = _gdal(path, what)
    if geometry.size > ROWS_MOST:
        raise InputError(f"{what} {path}: {geometry.size:,} rows; wanted at most {ROWS_MOST:,}: cut out your region")
    if crs is None:
        raise InputError(f"{what} {path}: has no coordinate system; wanted one in the file (ogr2ogr -a_srs EPSG:... sets it)")
    try:
        crosses = Transformer.from_crs(CRS.from_user_input(crs), grid.crs, always_xy=True)
    except CRSError as fault:
        raise InputError(f"{what} {path}: its coordinate system is not known: {fault}") from fault

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(crosses.transform(points[:, 0], points[:, 1]))

    placed = shapely.transform(geometry, moved)
    known = np.array([g is not None and not g.is_empty for g in placed], bool)
    if known.any() and not np.isfinite(shapely.bounds(placed[known])).all():
        raise InputError(f"{what} {path}: holds places that are not on the Earth; are longitude and latitude swapped?")
    table = Table(path, placed, columns).take(known)
    if not len(table):
        raise InputError(f"{what} {path}: holds no geometry")
    return table


def inside(table: Table, grid: Grid, *, what: str) -> Table:
    """The rows that touch the grid; raises InputError where none does, and says where they are."""
    box = shapely.box(*grid.bounds_m)
    touches = shapely.intersects(table.geometry, box)
    if not touches.any():
        west, south, east, north = shapely.total_bounds(table.geometry)
        raise InputError(
            f"{what} {table.path}: nothing of it lies in the twin: it spans x {west:.0f}..{east:.0f}, y {south:.0f}..{north:.0f} m, the "
            f"twin {', '.join(f'{b:.0f}' for b in grid.bounds_m)} m (west, south, east, north; {grid.crs})"
        )
    return table.take(touches)


def _csv(path: Path, what: str) -> tuple[NDArray[Any], dict[str, list[Any]], str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = [name.strip() for name in reader.fieldnames or []]
            rows = [dict(zip(names, row.values(), strict=False)) for row in reader]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"{what} {path}: is no CSV in UTF-8: {fault}") from fault
    low = {name.lower(): name for name in names}
    columns = {name: [row.get(name) for row in rows] for name in names}
    lon, lat = (
        next((low[n] for n in options if n in low), None) for options in (("lon", "longitude", "lng"), ("lat", "latitude"))
    )
    cell = next((low[n] for n in ("h3", "h3_index", "h3_address", "hex_id", "id") if n in low), None)
    if cell is not None and rows and _is_h3(str(rows[0].get(cell))):
        return _hexagons(columns[cell], path, what), columns, "EPSG:4326"
    if lon is None or lat is None:
        raise InputError(
            f"{what} {path}: columns {', '.join(names) or 'none'}; wanted lon and lat in degrees, or H3 cells in `h3` or `id`"
        )
    points = np.empty((len(rows), 2))
    for number, row in enumerate(rows):
        try:
            points[number] = float(row[lon]), float(row[lat])  # type: ignore[arg-type]
        except (TypeError, ValueError) as fault:
            raise InputError(
                f"{what} {path}: line {number + 2}: lon, lat = {row[lon]!r}, {row[lat]!r}; wanted two numbers"
            ) from fault
        if not (-180 <= points[number, 0] <= 180 and -90 <= points[number, 1] <= 90):
            raise InputError(
                f"{what} {path}: line {number + 2}: lon, lat = {row[lon]}, {row[lat]}; wanted degrees (are they swapped?)"
            )
    return shapely.points(points), columns, "EPSG:4326"


def _is_h3(text: str) -> bool:
    import h3

    return bool(h3.is_valid_cell(text))


def _hexagons(cells: list[Any], path: Path, what: str) -> NDArray[Any]:
    import h3

    seen: set[str] = set()
    shapes = []
    for number, cell in enumerate(cells):
        if not h3.is_valid_cell(str(cell)):
            raise InputError(f"{what} {path}: line {number + 2}: {cell!r} is no H3 cell")
        if cell in seen:
            raise InputError(f"{what} {path}: line {number + 2}: the cell {cell} stands there twice")
        seen.add(cell)
        shapes.append(shapely.Polygon([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)]))
    return np.array(shapes, object)


def _parquet(path: Path, what: str) -> tuple[NDArray[Any], dict[str, list[Any]], Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        meta = json.loads((table.schema.metadata or {})[b"geo"])
        column = meta["primary_column"]
        about = meta["columns"][column]
        geometry = np.asarray(shapely.from_wkb(table.column(column).to_pylist()), object)
    except (pa.ArrowInvalid, OSError) as fault:
        raise InputError(f"{what} {path}: is no Parquet file: {fault}") from fault
    except (KeyError, ValueError, shapely.errors.GEOSException) as fault:
        raise InputError(f"{what} {path}: is no GeoParquet: {fault}; wanted its `geo` metadata and WKB geometries") from fault
    crs = about.get("crs", "OGC:CRS84")  # GeoParquet 1.1: absent means CRS84, null means unknown
    columns = {name: table.column(name).to_pylist() for name in table.column_names if name != column}
    return geometry, columns, json.dumps(crs) if isinstance(crs, dict) else crs


def _gdal(path: Path, what: str) -> tuple[NDArray[Any], dict[str, list[Any]], Any]:
    import pyogrio

    try:
        meta, _, wkb, fields = pyogrio.raw.read(path, force_2d=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError, ValueError, UnicodeDecodeError) as fault:
        raise InputError(
            f"{what} {path}: cannot be read: {fault}; wanted GeoPackage, GeoJSON, Shapefile, GeoParquet or CSV"
        ) from fault
    if wkb is None:
        raise InputError(f"{what} {path}: has no geometry")
    try:
        geometry = np.asarray(shapely.from_wkb(wkb), object)
    except shapely.errors.GEOSException as fault:
        raise InputError(f"{what} {path}: a geometry is broken: {fault}") from fault
    return geometry, {str(n): list(v) for n, v in zip(meta["fields"], fields, strict=True)}, meta["crs"]


def write_geoparquet(path: Path, geometry: NDArray[Any], columns: Mapping[str, Any], crs: str) -> None:
    """GeoParquet 1.1: WKB geometries with their CRS as PROJJSON. Source: geoparquet.org/releases/v1.1.0."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = sorted({g.geom_type for g in geometry})
    about: dict[str, Any] = {"encoding": "WKB", "geometry_types": kinds, "crs": json.loads(CRS.from_user_input(crs).to_json())}
    if geometry.size:
        about["bbox"] = [float(b) for b in shapely.total_bounds(geometry)]
    meta = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}}
    table = pa.table({**columns, "geometry": pa.array(shapely.to_wkb(geometry), pa.binary())})
    try:
        pq.write_table(table.replace_schema_metadata({"geo": json.dumps(meta)}), path, compression="zstd")
    except OSError as fault:
        raise Unavailable(f"{path}: cannot be written: {fault}") from fault


def read_geoparquet(path: Path) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """What `write_geoparquet` wrote: geometries and columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        geometry = np.asarray(shapely.from_wkb(np.array(table.column("geometry").to_pylist(), object)), object)
    except (pa.ArrowInvalid, OSError, KeyError, shapely.errors.GEOSException) as fault:
        raise InputError(f"{path}: the twin's layer cannot be read: {fault}; build the twin again") from fault
    columns = {n: np.asarray(table.column(n).to_numpy(zero_copy_only=False)) for n in table.column_names if n != "geometry"}
    return geometry, columns
