"""Rasters in: a terrain file becomes the twin's grid and its ground, land cover becomes friction."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from pyproj.exceptions import CRSError, ProjError
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.warp import calculate_default_transform, reproject, transform_bounds
from rasterio.warp import transform as transform_points
from rasterio.windows import Window

from tocsin.platform.twin.folder import write_file
from tocsin.vocabulary.errors import InputError, NotFound
from tocsin.vocabulary.place import MOST_CELLS, Grid

LOWEST_M, HIGHEST_M = -500.0, 9_000.0  # no dry land lies outside: the Dead Sea's shore is at -430 m, Everest at 8,849 m
HOLES_SHARE_MAX = 0.5
COARSER_FROM = 1.5  # a cell that is this much wider than the source's pixel takes the median of its pixels, not the nearest one
STRETCH_MAX = 0.01  # how far a metre of the map may be from a metre on the ground; UTM stays below 0.001 in its zone
LOCAL_ONLY = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none"}  # a VRT that points into the network is not followed


@contextmanager
def _opened(path: Path, what: str) -> Iterator[Any]:
    if not path.is_file():
        raise NotFound(f"{what}: no file {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{what} {path}: is empty: zero bytes; fetch it again")
    with rasterio.Env(**LOCAL_ONLY), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # told below, as an error
        try:
            source = rasterio.open(path)
        except RasterioError as fault:
            raise InputError(f"{what} {path}: cannot be read as a raster: {fault}; wanted a GeoTIFF") from fault
        with source:
            if source.crs is None:
                raise InputError(
                    f"{what} {path}: has no coordinate system; wanted one in the file (gdal_edit.py -a_srs EPSG:... sets it)"
                )
            if source.transform.is_identity:
                raise InputError(
                    f"{what} {path}: does not say where it lies: no geotransform; wanted a GeoTIFF with its corner and pixel size"
                )
            yield source


def utm_of(lon: float, lat: float) -> str:
    """The UTM zone of a place, as EPSG; Universal Polar Stereographic near the poles is not supported.

    >>> utm_of(-51.2, -30.0)
    'EPSG:32722'
    """
    lon = (lon + 180.0) % 360.0 - 180.0
    if not -80 <= lat <= 84:
        raise InputError(f"elevation: its centre {lon:.4f}, {lat:.4f} is outside the UTM zones; give a metric --crs")
    return f"EPSG:{(32600 if lat >= 0 else 32700) + int((lon + 180) // 6) % 60 + 1}"


def metric_crs(name: str, *, lon: float, lat: float) -> str:
    """The CRS if it is projected, in metres, and true to scale at a place; raises InputError where it is not."""
    try:
        crs = pyproj.CRS.from_user_input(name)
        if not crs.is_projected or any(abs(axis.unit_conversion_factor - 1.0) > 1e-9 for axis in crs.axis_info[:2]):
            raise InputError(f"--crs {name}: is not in metres; wanted a projected CRS in metres, e.g. {utm_of(lon, lat)}")
        scale = pyproj.Proj(crs).get_factors(lon, lat, errcheck=True)
    except (CRSError, ProjError) as fault:
        raise InputError(f"--crs {name}: {fault}; wanted one that fits the place, e.g. {utm_of(lon, lat)}") from fault
    worst = max(abs(scale.meridional_scale - 1.0), abs(scale.parallel_scale - 1.0))
    if not worst <= STRETCH_MAX:
        raise InputError(
            f"--crs {name}: a metre on the ground is {1.0 + worst:.3f} m on its map at {lon:.2f}, {lat:.2f}; wanted within "
            f"{STRETCH_MAX:.0%}, e.g. {utm_of(lon, lat)}"
        )
    return name


def read_terrain(path: Path, *, crs: str | None, cell_m: float | None) -> tuple[Grid, NDArray[np.float32], list[str]]:
    """The twin's grid and its ground, m, shape (row, col); and what the manifest should remark.

    Without `cell_m` the cell is the geometric mean of the source's pixel, so that the number of cells stays. Each cell takes the nearest
    pixel: a mean of neighbours would lift flat water at its shore and fray whole-metre steps, and a flood feels both. A cell that is
    wider than 1.5 pixels takes the median of its pixels, which keeps water flat too. Holes are refused above half of the extent, and
    filled from the nearest ground below that.
    """
    with _opened(path, "elevation") as source:
        _refuse_other_things(source, path)
        try:
            west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
        except RasterioError as fault:
            raise InputError(
                f"elevation {path}: bounds {tuple(source.bounds)} do not fit its CRS {source.crs}: {fault}"
            ) from fault
        if not (np.isfinite([west, south, east, north]).all() and -90 <= south <= north <= 90):
            raise InputError(f"elevation {path}: bounds {tuple(source.bounds)} do not fit its CRS {source.crs}; mend its header")
        lon, lat = (west + (east if east >= west else east + 360.0)) / 2, (south + north) / 2
        target = metric_crs(crs, lon=lon, lat=lat) if crs else utm_of(lon, lat)
        grid, pixel_m = _grid_of(source, target, cell_m, path)
        values = _warped(source, grid, Resampling.med if grid.cell_m > COARSER_FROM * pixel_m else Resampling.nearest, path)
    ground, remarks = _ground(values, path)
    how = "the median of its pixels" if grid.cell_m > COARSER_FROM * pixel_m else "the nearest pixel"
    return grid, ground, [f"terrain: pixels of {pixel_m:.4g} m; each cell of {grid.cell_m:.4g} m has {how}", *remarks]


def _refuse_other_things(source: Any, path: Path) -> None:
    """From the header alone: too many cells, a picture, or another unit."""
    if source.width * source.height > MOST_CELLS:
        raise InputError(
            f"elevation {path}: {source.height:,} x {source.width:,} cells; wanted at most {MOST_CELLS:,} in all: cut out your region"
        )
    if source.colorinterp[0] in (ColorInterp.red, ColorInterp.palette):
        raise InputError(f"elevation {path}: is a picture with {source.count} colours; wanted one band of heights in m")
    unit = (source.units[0] or "m").lower()
    if unit not in ("m", "metre", "metres", "meter", "meters"):
        raise InputError(f"elevation {path}: heights are in {unit!r}; wanted m: convert them (gdal_calc.py)")


def _grid_of(source: Any, target: str, cell_m: float | None, path: Path) -> tuple[Grid, float]:
    """The twin's grid, and the side of the source's pixel, m."""
    t = source.transform
    pixel_m = float(np.sqrt(_pixel_area_m2(source, target)))
    side_m = cell_m if cell_m is not None else pixel_m
    if not (0.1 <= side_m <= 100_000):
        raise InputError(f"elevation {path}: cell of {side_m:g} m; wanted 0.1 to 100,000 m: check the file's CRS or --cell")
    square = t.b == t.d == 0.0 and t.a > 0 > t.e and abs(t.a + t.e) <= 1e-6 * t.a
    if cell_m is None and square and source.crs == CRS.from_user_input(target):
        return Grid(target, t.c, t.f, t.a, source.height, source.width), t.a
    transform, width, height = calculate_default_transform(source.crs, target, source.width, source.height, *source.bounds)
    if width is None or height is None:
        raise InputError(f"elevation {path}: cannot be brought to {target}; give another --crs")
    rows, cols = max(1, round(height * -transform.e / side_m)), max(1, round(width * transform.a / side_m))
    return Grid(target, float(transform.c), float(transform.f), float(side_m), rows, cols), pixel_m


def _pixel_area_m2(source: Any, target: str) -> float:
    """The ground area of the middle pixel."""
    row, col = source.height // 2, source.width // 2
    t, col_at, row_at = source.transform, np.array([0, 1, 1, 0]) + col, np.array([0, 0, 1, 1]) + row
    xs, ys = transform_points(source.crs, target, t.c + t.a * col_at + t.b * row_at, t.f + t.d * col_at + t.e * row_at)
    x, y = np.array(xs), np.array(ys)
    return max(float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0), 1e-12)  # the shoelace formula


def _ground(values: NDArray[np.float32], path: Path) -> tuple[NDArray[np.float32], list[str]]:
    """The terrain without holes, held to what ground can be."""
    holes = ~np.isfinite(values)
    if holes.all():
        raise InputError(f"elevation {path}: holds no value at all")
    seen = values[~holes]
    if seen.min() < LOWEST_M or seen.max() > HIGHEST_M:
        raise InputError(
            f"elevation {path}: runs {seen.min():g}..{seen.max():g} m, outside {LOWEST_M:g}..{HIGHEST_M:g} m; is it in feet or cm, "
            "or is its nodata value not marked?"
        )
    remarks = []
    if holes.mean() > HOLES_SHARE_MAX:
        raise InputError(
            f"elevation {path}: {int(holes.sum()):,} of {holes.size:,} cells ({holes.mean():.0%}) have no value; wanted at most "
            f"{HOLES_SHARE_MAX:.0%}: cut the extent to where there is terrain"
        )
    if holes.any():
        values = _filled(values, holes)
        remarks.append(
            f"terrain: {int(holes.sum()):,} cells ({holes.mean():.1%}) without a value were filled from the nearest cell, as at a tilted edge"
        )
    if np.array_equal(seen, np.round(seen)):
        remarks.append("terrain: heights are whole metres: depths and shores are no better than that")
    return np.asarray(values, np.float32), remarks


def _filled(values: NDArray[np.float32], holes: NDArray[np.bool_]) -> NDArray[np.float32]:
    from scipy.ndimage import distance_transform_edt

    rows, cols = distance_transform_edt(holes, return_distances=False, return_indices=True)
    return np.asarray(values[rows, cols])


def _warped(source: Any, grid: Grid, method: Resampling, path: Path) -> NDArray[np.float32]:
    """A raster's first band on the twin's grid; NaN where it has no value. What is not under the grid is not read."""
    around = transform_bounds(grid.crs, source.crs, *grid.bounds_m)
    rows, cols = rasterio.transform.rowcol(
        source.transform, [around[0], around[2], around[0], around[2]], [around[3], around[1], around[1], around[3]]
    )
    first_row, last_row = max(0, int(min(rows)) - 2), min(source.height, int(max(rows)) + 3)
    first_col, last_col = max(0, int(min(cols)) - 2), min(source.width, int(max(cols)) + 3)
    out = np.full(grid.shape, np.nan, np.float32)
    if first_row >= last_row or first_col >= last_col:
        return out
    if (last_row - first_row) * (last_col - first_col) > MOST_CELLS:
        raise InputError(f"{path}: has more than {MOST_CELLS:,} pixels under the twin; use a coarser file")
    window = Window(first_col, first_row, last_col - first_col, last_row - first_row)
    try:
        band = source.read(1, window=window, masked=True).astype(np.float32).filled(np.nan)
        band = band * np.float32(source.scales[0]) + np.float32(source.offsets[0])
        reproject(
            band,
            out,
            src_transform=source.window_transform(window),
            src_crs=source.crs,
            src_nodata=np.nan,
            dst_transform=from_origin(grid.x_min_m, grid.y_max_m, grid.cell_m, grid.cell_m),
            dst_crs=grid.crs,
            dst_nodata=np.nan,
            resampling=method,
        )
    except (RasterioError, OSError) as fault:
        raise InputError(f"{path}: is broken or cut off: {fault}; fetch it again") from fault
    return out


# Manning's n by ESA WorldCover class, s/m^(1/3): the normal value of a row of Chow (1959), Open-Channel Hydraulics, table 5-6, that comes
# nearest to what the class means. Which row is ours, and Chow has none for a town, so the field is marked `unverified` in the manifest.
WORLDCOVER_MANNING = {
    10: 0.100,  # tree cover: flood plains, heavy stand of timber, a few down trees, flood stage below branches
    20: 0.070,  # shrubland: flood plains, medium to dense brush, in winter
    30: 0.035,  # grassland: flood plains, high grass
    40: 0.040,  # cropland: flood plains, mature field crops
    50: 0.050,  # built-up: no row of Chow; streets are smoother, houses and gardens rougher
    60: 0.030,  # bare or sparse vegetation: flood plains, cultivated area without a crop
    70: 0.030,  # snow and ice: as bare ground
    80: 0.030,  # permanent water: minor stream on a plain, clean, straight, full stage
    90: 0.070,  # herbaceous wetland: minor stream, sluggish reaches, weedy, deep pools
    95: 0.150,  # mangroves: flood plains, dense willows, summer, straight
    100: 0.030,  # moss and lichen: flood plains, short grass
}
USUAL_MANNING = 0.05  # Chow (1959), table 5-6: flood plains, scattered brush, heavy weeds; also light brush and trees, in winter


def read_manning(path: Path | None, grid: Grid) -> tuple[NDArray[np.float32], str]:
    """Friction on the grid, s/m^(1/3), from ESA WorldCover classes; one usual value without a file. And a remark that says which."""
    if path is None:
        return np.full(grid.shape, USUAL_MANNING, np.float32), (
            f"no land cover: Manning's n is {USUAL_MANNING} everywhere (Chow 1959, table 5-6: floodplain with scattered brush, heavy weeds)"
        )
    with _opened(path, "landcover") as source:
        coarser = grid.cell_m**2 > COARSER_FROM**2 * _pixel_area_m2(source, grid.crs)
        classes = _warped(source, grid, Resampling.mode if coarser else Resampling.nearest, path)
    if not np.isfinite(classes).any():
        raise InputError(f"landcover {path}: nothing of it lies in the twin")
    known = set(np.unique(classes[np.isfinite(classes)]).astype(int).tolist())
    if unknown := sorted(known - WORLDCOVER_MANNING.keys() - {0}):
        raise InputError(
            f"landcover {path}: classes {unknown[:8]} are not of ESA WorldCover: {', '.join(map(str, WORLDCOVER_MANNING))}"
        )
    manning = np.full(grid.shape, USUAL_MANNING, np.float32)
    for number, n in WORLDCOVER_MANNING.items():
        manning[classes == number] = n
    return manning, "Manning's n from ESA WorldCover classes, after Chow 1959, table 5-6; the match of classes is unverified"


def read_extra(path: Path, grid: Grid, *, what: str) -> tuple[NDArray[np.float32], str]:
    """Any raster's first band on the grid, NaN where it has no value; and a remark that says how it came there.

    Whole numbers (classes, fuel models) keep their values: each cell takes the nearest pixel, or the most frequent of its pixels where it is
    wider than 1.5 of them. Other numbers are bilinear between pixels, or the mean of a cell's pixels.
    """
    with _opened(path, what) as source:
        if source.colorinterp[0] == ColorInterp.red:
            raise InputError(f"{what} {path}: is a picture with {source.count} colours; wanted one band of numbers or classes")
        coarser = grid.cell_m**2 > COARSER_FROM**2 * _pixel_area_m2(source, grid.crs)
        classes = np.issubdtype(np.dtype(source.dtypes[0]), np.integer) and (source.scales[0], source.offsets[0]) == (1.0, 0.0)
        if classes:
            method, how = (Resampling.mode, "most frequent pixel") if coarser else (Resampling.nearest, "nearest pixel")
        else:
            method, how = (
                (Resampling.average, "mean of its pixels")
                if coarser
                else (Resampling.bilinear, "value between pixels (bilinear)")
            )
        values = _warped(source, grid, method, path)
    empty = ~np.isfinite(values)
    if empty.all():
        raise InputError(f"{what} {path}: has no value in the twin; wanted a raster that lies over it")
    sort = "whole numbers" if classes else "numbers"
    lacks = f"; {int(empty.sum()):,} cells ({empty.mean():.1%}) have none" if empty.any() else ""
    return values, f"{what}: {sort}; each cell has the {how}{lacks}"


def write_field(path: Path, grid: Grid, values: NDArray[Any], *, what: str) -> None:
    """A field as tiled, deflated GeoTIFF, in the precision that it comes in: float32 or float64. Raises OSError where there is no room.

    It is made in memory: GDAL writes a file's last bytes when it closes it, and an error then is printed and not raised.
    """
    with MemoryFile() as made:
        with made.open(
            driver="GTiff",
            height=grid.rows,
            width=grid.cols,
            count=1,
            dtype=str(values.dtype),
            crs=grid.crs,
            transform=from_origin(grid.x_min_m, grid.y_max_m, grid.cell_m, grid.cell_m),
            tiled=True,
            blockxsize=256,
            blockysize=256,
            compress="deflate",
            predictor=3,
        ) as raster:
            raster.write(values.reshape(grid.shape), 1)
            raster.set_band_description(1, what)
        write_file(path, made.read())


def read_field(path: Path, grid: Grid) -> NDArray[Any]:
    """A field that `write_field` wrote, read-only, (row, col), in the precision that it was written in."""
    try:
        with rasterio.open(path) as raster:
            values: NDArray[Any] = raster.read(1)
    except (RasterioError, OSError) as fault:
        raise InputError(f"{path}: the twin's field cannot be read: {fault}; build the twin again") from fault
    if values.shape != grid.shape:
        raise InputError(f"{path}: is {values.shape}, the twin's grid is {grid.shape}; build the twin again")
    values.setflags(write=False)
    return values
