"""Rasters in: a terrain file becomes the twin's grid and its ground, land cover becomes friction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import from_origin
from rasterio.warp import Resampling, calculate_default_transform, reproject, transform_bounds

from tocsin.vocabulary.errors import InputError, NotFound, Unavailable
from tocsin.vocabulary.place import MOST_CELLS, Grid

LOWEST_M, HIGHEST_M = -500.0, 9_000.0  # no dry land lies outside: the Dead Sea's shore is at -430 m, Everest at 8,849 m
HOLES_SHARE_MAX = 0.5


def _open(path: Path, what: str) -> Any:
    if not path.is_file():
        raise NotFound(f"{what}: no file {path}")
    try:
        return rasterio.open(path)
    except RasterioError as fault:
        raise InputError(f"{what} {path}: cannot be read as a raster: {fault}; wanted a GeoTIFF") from fault


def utm_of(lon: float, lat: float) -> str:
    """The UTM zone of a place, as EPSG; Universal Polar Stereographic near the poles is not supported."""
    if not (-180 <= lon <= 180 and -80 <= lat <= 84):
        raise InputError(f"terrain: its centre {lon:.4f}, {lat:.4f} is outside the UTM zones; give a metric --crs")
    zone = int((lon + 180) // 6) % 60 + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def metric_crs(name: str) -> str:
    """The CRS if it is projected in metres; raises InputError where it is not."""
    try:
        crs = CRS.from_user_input(name)
    except (RasterioError, ValueError) as fault:
        raise InputError(f"--crs {name}: {fault}; wanted e.g. EPSG:32722") from fault
    if not crs.is_projected or abs(crs.linear_units_factor[1] - 1.0) > 1e-9:
        raise InputError(f"--crs {name}: is not in metres; wanted a projected CRS in metres, e.g. a UTM zone")
    return name


def read_terrain(path: Path, *, crs: str | None, cell_m: float | None) -> tuple[Grid, NDArray[np.float32], list[str]]:
    """The twin's grid and its ground, m, shape (row, col); and what the manifest should remark.

    Without `cell_m` the cell is the geometric mean of the source's pixel, so that the number of cells stays. Resampled to the nearest
    pixel: a mean would raise flat water at its shore and fray whole-metre steps, and a flood feels both. Holes are refused above half
    of the extent and otherwise filled from their surroundings.
    """
    with _open(path, "elevation") as source:
        if source.crs is None:
            raise InputError(
                f"elevation {path}: has no coordinate system; wanted one in the file (gdal_edit.py -a_srs EPSG:... sets it)"
            )
        if source.width * source.height > MOST_CELLS:
            raise InputError(
                f"elevation {path}: {source.height:,} x {source.width:,} cells; wanted at most {MOST_CELLS:,} in all: cut out your region"
            )
        try:
            west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
        except RasterioError as fault:
            raise InputError(
                f"elevation {path}: bounds {tuple(source.bounds)} do not fit its CRS {source.crs}: {fault}"
            ) from fault
        target = metric_crs(crs) if crs else utm_of((west + east) / 2, (south + north) / 2)
        transform, width, height = calculate_default_transform(source.crs, target, source.width, source.height, *source.bounds)
        if width is None or height is None:
            raise InputError(f"elevation {path}: cannot be brought to {target}")
        pixel_m = cell_m or float(np.sqrt(_pixel_area_m2(source, target)))
        if not (0.1 <= pixel_m <= 100_000):
            raise InputError(f"elevation {path}: cell of {pixel_m:g} m; wanted 0.1 to 100,000 m: check the file's CRS or --cell")
        if cell_m is None and source.crs == CRS.from_user_input(target):
            transform, width, height = source.transform, source.width, source.height
            pixel_m = float(source.transform.a)
            x_min, y_max = source.bounds.left, source.bounds.top
        else:
            x_min, y_max = transform.c, transform.f
            width = max(1, round(width * transform.a / pixel_m))
            height = max(1, round(height * -transform.e / pixel_m))
        grid = Grid(target, float(x_min), float(y_max), pixel_m, int(height), int(width))
        ground, remarks = _ground(source, grid, path)
    return grid, ground, remarks


def _pixel_area_m2(source: Any, target: str) -> float:
    """The ground area of the middle pixel."""
    row, col = source.height // 2, source.width // 2
    west, north = source.transform * (col, row)
    east, south = source.transform * (col + 1, row + 1)
    left, low, right, high = transform_bounds(
        source.crs, target, min(west, east), min(south, north), max(west, east), max(south, north)
    )
    return max((right - left) * (high - low), 1e-12)


def _ground(source: Any, grid: Grid, path: Path) -> tuple[NDArray[np.float32], list[str]]:
    values = warped(source, grid, np.nan, Resampling.nearest, f"elevation {path}")
    seen = values[np.isfinite(values)]
    if seen.size == 0:
        raise InputError(f"elevation {path}: holds no value at all")
    if seen.min() < LOWEST_M or seen.max() > HIGHEST_M:
        raise InputError(
            f"elevation {path}: runs {seen.min():g}..{seen.max():g} m, outside {LOWEST_M:g}..{HIGHEST_M:g} m; is it in feet or cm, "
            "or is its nodata value not marked?"
        )
    remarks = []
    holes = ~np.isfinite(values)
    if holes.mean() > HOLES_SHARE_MAX:
        raise InputError(
            f"elevation {path}: {holes.mean():.0%} of the twin's cells have no value; wanted a terrain without large holes"
        )
    if holes.any():
        values = _filled(values, holes)
        remarks.append(
            f"{int(holes.sum()):,} cells ({holes.mean():.1%}) without terrain were filled from the nearest cell, as at a tilted edge"
        )
    if np.array_equal(seen, np.round(seen)):
        remarks.append("the terrain is in whole metres: depths and shores are no better than that")
    return values.astype(np.float32), remarks


def _filled(values: NDArray[np.float64], holes: NDArray[np.bool_]) -> NDArray[np.float64]:
    from scipy.ndimage import distance_transform_edt

    rows, cols = distance_transform_edt(holes, return_distances=False, return_indices=True)
    return np.asarray(values[rows, cols])


def warped(source: Any, grid: Grid, nodata: float, method: Resampling, what: str) -> NDArray[np.float64]:
    """A raster's first band on the twin's grid; NaN where it has no value."""
    out = np.full(grid.shape, nodata, np.float64)
    try:
        reproject(
            rasterio.band(source, 1),
            out,
            dst_transform=from_origin(grid.x_min_m, grid.y_max_m, grid.cell_m, grid.cell_m),
            dst_crs=grid.crs,
            dst_nodata=nodata,
            resampling=method,
        )
    except (RasterioError, OSError) as fault:
        raise InputError(f"{what}: is broken: {fault}; fetch it again") from fault
    return out


# Manning's n by ESA WorldCover class. The values of Chow (1959), Open-Channel Hydraulics, table 5-6, floodplains and excavated channels,
# for what the class means; the match of class and row is ours, so the field is marked `unverified` in the manifest.
WORLDCOVER_MANNING = {
    10: 0.100,
    20: 0.070,
    30: 0.035,
    40: 0.040,
    50: 0.050,
    60: 0.030,
    70: 0.030,
    80: 0.030,
    90: 0.080,
    95: 0.120,
    100: 0.035,
}
USUAL_MANNING = 0.05


def read_manning(path: Path | None, grid: Grid) -> tuple[NDArray[np.float32], str]:
    """Friction on the grid, s/m^(1/3), from ESA WorldCover classes; one usual value without a file. And a remark that says which."""
    if path is None:
        return np.full(grid.shape, USUAL_MANNING, np.float32), (
            f"no land cover: Manning's n is {USUAL_MANNING} everywhere (Chow 1959, table 5-6: floodplain with scattered brush, heavy weeds)"
        )
    with _open(path, "landcover") as source:
        if source.crs is None:
            raise InputError(f"landcover {path}: has no coordinate system")
        classes = warped(source, grid, np.nan, Resampling.nearest, f"landcover {path}")
    if not np.isfinite(classes).any():
        raise InputError(f"landcover {path}: does not overlap the terrain")
    known = set(np.unique(classes[np.isfinite(classes)]).astype(int))
    if unknown := sorted(known - WORLDCOVER_MANNING.keys() - {0}):
        raise InputError(
            f"landcover {path}: classes {unknown[:8]} are not of ESA WorldCover: {', '.join(map(str, WORLDCOVER_MANNING))}"
        )
    manning = np.full(grid.shape, USUAL_MANNING, np.float32)
    for number, n in WORLDCOVER_MANNING.items():
        manning[classes == number] = n
    return manning, "Manning's n from ESA WorldCover classes, after Chow 1959, table 5-6; the match of classes is unverified"


def write_field(path: Path, grid: Grid, values: NDArray[Any], *, what: str) -> None:
    """A field as GeoTIFF: float32, deflated."""
    try:
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=grid.rows,
            width=grid.cols,
            count=1,
            dtype="float32",
            crs=grid.crs,
            transform=from_origin(grid.x_min_m, grid.y_max_m, grid.cell_m, grid.cell_m),
            compress="deflate",
            predictor=3,
        ) as raster:
            raster.write(np.asarray(values, np.float32), 1)
            raster.set_band_description(1, what)
    except (RasterioError, OSError) as fault:
        raise Unavailable(f"{path}: cannot be written: {fault}") from fault


def read_field(path: Path, grid: Grid) -> NDArray[np.float32]:
    """A field that `write_field` wrote, read-only."""
    try:
        with rasterio.open(path) as raster:
            values = np.asarray(raster.read(1), np.float32)
    except (RasterioError, OSError) as fault:
        raise InputError(f"{path}: the twin's field cannot be read: {fault}; build the twin again") from fault
    if values.shape != grid.shape:
        raise InputError(f"{path}: is {values.shape}, the twin's grid is {grid.shape}; build the twin again")
    values.setflags(write=False)
    return values
