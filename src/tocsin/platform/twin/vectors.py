"""Vector files in: GeoPackage, GeoJSON, Shapefile, GeoParquet, CSV and OSM become geometries in the twin's metres and columns."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from tocsin.platform.twin.folder import write_file
from tocsin.vocabulary.errors import InputError, NotFound
from tocsin.vocabulary.place import Grid

ROWS_MOST = 20_000_000
TEXT_LONGEST = 120
DEGREES = "EPSG:4326"


class Table(msgspec.Struct, frozen=True):
    """Rows of a file: a geometry each, in the twin's CRS, and what else the file says. `row` is the number in the file, from 0."""

    path: Path
    geometry: NDArray[Any]
    columns: Mapping[str, list[Any]]
    row: NDArray[np.int64]
    swapped_hint: str = ""

    @classmethod
    def of(cls, path: Path, geometry: NDArray[Any], columns: Mapping[str, list[Any]]) -> Table:
        """All rows of a file."""
        return cls(path, geometry, columns, np.arange(geometry.size))

    def __len__(self) -> int:
        return int(self.geometry.size)

    def where(self, number: int) -> str:
        """The file and the row of an entry, for a message."""
        return f"{self.path}: row {self.row[number] + 1}"

    def texts(self, name: str, usual: str = "") -> list[str]:
        """A column as text for people: printable, at most 120 characters, `usual` where the file says nothing."""
        values = self.columns.get(name)
        if values is None:
            return [usual] * len(self)
        return [usual if _is_missing(v) else "".join(c for c in str(v) if c.isprintable())[:TEXT_LONGEST] for v in values]

    def numbers(self, name: str, *, usual: float | None = None, low: float = 0.0, high: float = 1e12) -> NDArray[np.float64]:
        """A column as numbers; raises InputError at the first row that is none, or leaves low..high."""
        values = self.columns.get(name)
        if values is None:
            if usual is None:
                raise InputError(f"{self.path}: no column {name!r}; there are: {', '.join(self.columns) or 'none'}")
            return np.full(len(self), usual)
        out = np.empty(len(self))
        for number, value in enumerate(values):
            if usual is not None and _is_missing(value):
                out[number] = usual
                continue
            try:
                out[number] = float(value)
            except (TypeError, ValueError) as fault:
                raise InputError(f"{self.where(number)}: {name} = {str(value)[:40]!r}; wanted a number") from fault
            if not low <= out[number] <= high:
                raise InputError(f"{self.where(number)}: {name} = {str(value)[:40]}; wanted {low:g}..{high:g}")
        return out

    def take(self, rows: NDArray[Any]) -> Table:
        """Some of the rows."""
        where = np.flatnonzero(rows) if rows.dtype == bool else rows
        columns = {name: [values[i] for i in where] for name, values in self.columns.items()}
        return Table(self.path, self.geometry[where], columns, self.row[where], self.swapped_hint)


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or value != value


def read_table(path: Path, grid: Grid, *, what: str) -> Table:
    """A vector file in the twin's CRS; the format follows from the name. Raises InputError, naming file and row.

    Rows without a geometry are left out, heights are dropped, and a polygon that crosses itself is mended.
    """
    if not path.is_file():
        raise NotFound(f"{what}: no file {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{what} {path}: is empty: zero bytes; fetch it again")
    match path.suffix.lower():
        case ".csv":
            geometry, columns, crs = _csv(path, what)
        case ".parquet" | ".geoparquet":
            geometry, columns, crs = _parquet(path, what)
        case _:
            geometry, columns, crs = _gdal(path, what)
    if crs is None:
        raise InputError(f"{what} {path}: has no coordinate system; wanted one in the file (ogr2ogr -a_srs EPSG:... sets it)")
    if not len(geometry):
        raise InputError(f"{what} {path}: has columns and no rows; fetch it again, or leave the option out")
    known = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    if not known.any():
        raise InputError(f"{what} {path}: none of its {len(geometry):,} rows says where it is: all geometries are empty")
    table = Table.of(path, shapely.force_2d(geometry), columns).take(known)
    placed, hint = _moved(table.geometry, crs, grid, f"{what} {path}")
    return msgspec.structs.replace(table, geometry=placed, swapped_hint=hint)


def _moved(geometry: NDArray[Any], crs: Any, grid: Grid, what: str) -> tuple[NDArray[Any], str]:
    """Geometries in the twin's CRS, empty where it cannot hold them; and a word where swapped coordinates would lie in the twin."""
    try:
        source = CRS.from_user_input(crs)
        cross = Transformer.from_crs(source, grid.crs, always_xy=True)
        points = shapely.get_coordinates(geometry)
        if not np.isfinite(points).all():
            raise InputError(f"{what}: holds a coordinate that is not a number; mend the file")
        if source.is_geographic and (np.abs(points) > [360.0, 90.0]).any():
            raise InputError(
                f"{what}: holds places that are not on the Earth: {points[:, 0].min():g}..{points[:, 0].max():g}, "
                f"{points[:, 1].min():g}..{points[:, 1].max():g} degrees; are longitude and latitude swapped, or is the CRS wrong?"
            )
        placed = shapely.transform(geometry, lambda p: np.column_stack(cross.transform(p[:, 0], p[:, 1])))
        away = ~np.isfinite(shapely.bounds(placed)).all(axis=1)
        placed[away] = shapely.Point()
        hint = ""
        if source.is_geographic and np.abs(points).max() <= 90.0:
            x_m, y_m = cross.transform(points[:, 1], points[:, 0])
            west, south, east, north = grid.bounds_m
            if ((x_m >= west) & (x_m <= east) & (y_m >= south) & (y_m <= north)).any():
                hint = "; longitude and latitude are swapped: swap the columns"
    except (CRSError, ProjError) as fault:
        raise InputError(f"{what}: its coordinate system cannot be used: {fault}") from fault
    broken = ~shapely.is_valid(placed)
    if broken.any():
        placed[broken] = shapely.make_valid(placed[broken])
    return placed, hint


def inside(table: Table, grid: Grid, *, what: str) -> Table:
    """The rows that touch the grid; raises InputError where none does, and says where they are."""
    touches = shapely.intersects(table.geometry, shapely.box(*grid.bounds_m))
    if not touches.any():
        west, south, east, north = shapely.total_bounds(table.geometry)
        raise InputError(
            f"{what} {table.path}: nothing of it lies in the twin: it spans x {west:.0f}..{east:.0f}, y {south:.0f}..{north:.0f} m, the "
            f"twin {', '.join(f'{b:.0f}' for b in grid.bounds_m)} m (west, south, east, north; {grid.crs}){table.swapped_hint}"
        )
    return table.take(touches)


def _csv(path: Path, what: str) -> tuple[NDArray[Any], dict[str, list[Any]], str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            rows = [row for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"{what} {path}: is no CSV in UTF-8: {fault}") from fault
    except OSError as fault:
        raise InputError(f"{what} {path}: cannot be read: {fault}") from fault
    low = {name.lower(): name for name in names}
    if len(low) != len(names):
        raise InputError(f"{what} {path}: a column stands there twice: {', '.join(names)}")
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise InputError(
                f"{what} {path}: row {number + 1} has {len(row)} cells, the header {len(names)}; is the file cut off?"
            )
    if len(rows) > ROWS_MOST:
        raise _too_many(path, what, len(rows))
    columns: dict[str, list[Any]] = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    lon, lat = (
        next((low[n] for n in options if n in low), None) for options in (("lon", "longitude", "lng"), ("lat", "latitude"))
    )
    cell = next((low[n] for n in ("h3", "h3_index", "h3_address", "hex_id") if n in low), None)
    if cell is None and "id" in low and rows and _is_h3(columns[low["id"]][0]):
        cell = low["id"]
    if cell is not None:
        return _hexagons(columns[cell], path, what), columns, DEGREES
    if lon is None or lat is None:
        raise InputError(
            f"{what} {path}: columns {', '.join(names)[:200] or 'none'}; wanted lon and lat in degrees, or H3 cells in `h3` or `id`, "
            "separated by commas"
        )
    points = np.empty((len(rows), 2))
    for number, (at_lon, at_lat) in enumerate(zip(columns[lon], columns[lat], strict=True)):
        try:
            points[number] = float(at_lon), float(at_lat)
        except ValueError as fault:
            raise InputError(
                f"{what} {path}: row {number + 1}: lon, lat = {at_lon[:40]!r}, {at_lat[:40]!r}; wanted two numbers"
            ) from fault
        if not (-180 <= points[number, 0] <= 180 and -90 <= points[number, 1] <= 90):
            raise InputError(
                f"{what} {path}: row {number + 1}: lon, lat = {at_lon}, {at_lat}; wanted degrees (are they swapped?)"
            )
    return shapely.points(points), columns, DEGREES


def _too_many(path: Path, what: str, rows: int) -> InputError:
    return InputError(f"{what} {path}: {rows:,} rows; wanted at most {ROWS_MOST:,}: cut out your region")


def _is_h3(text: str) -> bool:
    import h3

    return bool(h3.is_valid_cell(text))


def _hexagons(cells: list[Any], path: Path, what: str) -> NDArray[Any]:
    import h3

    seen: set[str] = set()
    shapes = []
    for number, cell in enumerate(cells):
        if not h3.is_valid_cell(cell):
            raise InputError(f"{what} {path}: row {number + 1}: {cell[:40]!r} is no H3 cell; wanted e.g. 89a901291abffff")
        if cell in seen:
            raise InputError(f"{what} {path}: row {number + 1}: the cell {cell} stands there twice; add its rows up")
        seen.add(cell)
        ring = np.array([(lon, lat) for lat, lon in h3.cell_to_boundary(cell)])
        if np.ptp(ring[:, 0]) > 180.0:  # it lies across 180 degrees
            ring[ring[:, 0] < 0, 0] += 360.0
        shapes.append(shapely.Polygon(ring))
    return np.array(shapes, object)


def _parquet(path: Path, what: str) -> tuple[NDArray[Any], dict[str, list[Any]], Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > ROWS_MOST:
            raise _too_many(path, what, file.metadata.num_rows)
        table = file.read()
        meta = json.loads((table.schema.metadata or {})[b"geo"])
        column = meta["primary_column"]
        about = meta["columns"][column]
        if about["encoding"] != "WKB":
            raise InputError(f"{what} {path}: geometries are encoded as {about['encoding']}; wanted WKB")
        geometry = np.asarray(shapely.from_wkb(np.array(table.column(column).to_pylist(), object)), object)
    except (pa.ArrowException, OSError) as fault:
        raise InputError(f"{what} {path}: is no Parquet file, or a broken one: {fault}; fetch it again") from fault
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as fault:
        raise InputError(f"{what} {path}: is no GeoParquet: {fault!r}; wanted its `geo` metadata and WKB geometries") from fault
    crs = about.get("crs", "OGC:CRS84")  # GeoParquet 1.1: absent means CRS84, null means unknown
    columns = {name: table.column(name).to_pylist() for name in table.column_names if name not in (column, "bbox")}
    return geometry, columns, json.dumps(crs) if isinstance(crs, dict) else crs


def _gdal(path: Path, what: str) -> tuple[NDArray[Any], dict[str, list[Any]], Any]:
    import pyogrio

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a layer without geometries is no news
            layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
            if not layers:
                raise InputError(f"{what} {path}: has no geometry; wanted GeoPackage, GeoJSON, Shapefile, GeoParquet or CSV")
            if len(layers) > 1:
                raise InputError(
                    f"{what} {path}: holds the layers {', '.join(layers)[:200]}; wanted one: export the one that is meant"
                )
            count = int(pyogrio.read_info(path, layer=layers[0], force_feature_count=True)["features"])
            if count > ROWS_MOST:
                raise _too_many(path, what, count)
            meta, _, wkb, fields = pyogrio.raw.read(path, layer=layers[0], force_2d=True)
        geometry = np.asarray(shapely.from_wkb(wkb), object)
    except InputError:
        raise
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError, ValueError, OSError) as fault:
        raise InputError(
            f"{what} {path}: cannot be read: {fault}; wanted a whole GeoPackage, GeoJSON, Shapefile, GeoParquet or CSV"
        ) from fault
    except shapely.errors.ShapelyError as fault:
        raise InputError(f"{what} {path}: a geometry is broken: {fault}; mend it in a GIS") from fault
    return geometry, {str(n): list(v) for n, v in zip(meta["fields"], fields, strict=True)}, meta["crs"]


def write_geoparquet(path: Path, geometry: NDArray[Any], columns: Mapping[str, Any], crs: str) -> None:
    """GeoParquet 1.1: WKB geometries with their CRS as PROJJSON. Source: geoparquet.org/releases/v1.1.0. Raises OSError where there is no room."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = sorted({g.geom_type for g in geometry})
    about: dict[str, Any] = {"encoding": "WKB", "geometry_types": kinds, "crs": json.loads(CRS.from_user_input(crs).to_json())}
    if geometry.size:
        about["bbox"] = [float(b) for b in shapely.total_bounds(geometry)]
    meta = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}}
    table = pa.table({**columns, "geometry": pa.array(shapely.to_wkb(geometry), pa.binary())})
    made = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(meta)}), made, compression="zstd")
    write_file(path, memoryview(made.getvalue()))


def read_geoparquet(path: Path, *wanted: str) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """What `write_geoparquet` wrote: geometries and columns; raises InputError where it is broken or one of `wanted` is not in it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        geometry = np.asarray(shapely.from_wkb(np.array(table.column("geometry").to_pylist(), object)), object)
        columns = {n: np.asarray(table.column(n).to_numpy(zero_copy_only=False)) for n in table.column_names if n != "geometry"}
        for name in wanted:
            columns[name]
    except (pa.ArrowException, OSError, KeyError, shapely.errors.ShapelyError) as fault:
        raise InputError(f"{path}: the twin's layer cannot be read: {fault}; build the twin again") from fault
    return geometry, columns
