"""People in: counts by hexagon, point or polygon become persons per cell, by night and by day, and nobody is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from tocsin.platform.twin.vectors import inside, read_table
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.place import Grid

PERSONS_MOST = 1e7  # in one row: no hexagon, block or house holds more


class People(msgspec.Struct, frozen=True):
    """Persons per cell, (row, col), by night and by day, and what the manifest should remark."""

    night: NDArray[np.float32]
    day: NDArray[np.float32]
    remarks: tuple[str, ...]


def cells_of(shape: Any, grid: Grid) -> NDArray[np.int64]:
    """The cells whose middle lies in a polygon; the cell of its inner point where it holds none; empty outside the grid."""
    west, south, east, north = shape.bounds
    first_col = max(0, int((west - grid.x_min_m) // grid.cell_m))
    last_col = min(grid.cols - 1, int((east - grid.x_min_m) // grid.cell_m))
    first_row = max(0, int((grid.y_max_m - north) // grid.cell_m))
    last_row = min(grid.rows - 1, int((grid.y_max_m - south) // grid.cell_m))
    if first_col > last_col or first_row > last_row:
        return np.empty(0, np.int64)
    rows, cols = np.mgrid[first_row : last_row + 1, first_col : last_col + 1]
    place = (rows * grid.cols + cols).reshape(-1)
    within = place[shapely.contains_xy(shape, *grid.centre(place))]
    if within.size:
        return np.asarray(within, np.int64)
    point = shape.representative_point()
    one = np.atleast_1d(grid.place(point.x, point.y))
    return np.asarray(one[one >= 0], np.int64)


def read_people(path: Path, grid: Grid, *, dry: NDArray[np.bool_], floor_m2: NDArray[np.float64] | None) -> People:
    """Spread each row's `population` (and `jobs`) over its own dry cells, by floor area where there are buildings.

    By night people are where they live. By day as many as there are jobs are at work, and all others where they live: residents x (1 - J /
    P) + jobs, with the twin's totals J and P, so that the sum stays. A row without a dry cell is put on its cells all the same.
    """
    table = read_table(path, grid, what="population")
    everyone = float(table.numbers("population", high=PERSONS_MOST).sum())
    table = inside(table, grid, what="population")
    lives = table.numbers("population", high=PERSONS_MOST)
    works = table.numbers("jobs", usual=0.0, high=PERSONS_MOST)
    night, jobs = np.zeros(grid.cells), np.zeros(grid.cells)
    lost = 0.0
    for row, shape in enumerate(table.geometry):
        if lives[row] == 0 and works[row] == 0:
            continue
        cells = cells_of(shape, grid) if shape.area > 0 else np.atleast_1d(grid.place(shape.centroid.x, shape.centroid.y))
        cells = cells[cells >= 0]
        part = 1.0
        if shape.area > 0 and not shapely.box(*grid.bounds_m).contains(shape):
            part = shapely.area(shape.intersection(shapely.box(*grid.bounds_m))) / shape.area
        if not cells.size:
            lost += lives[row]
            continue
        lost += lives[row] * (1.0 - part)
        cells = cells[dry[cells]] if dry[cells].any() else cells
        weight = np.ones(cells.size) if floor_m2 is None or not floor_m2[cells].any() else floor_m2[cells]
        np.add.at(night, cells, lives[row] * part * weight / weight.sum())
        np.add.at(jobs, cells, works[row] * part * weight / weight.sum())
    residents, employed = night.sum(), jobs.sum()
    if residents <= 0:
        raise InputError(f"population {path}: nobody lives in the twin; wanted a column `population` with persons")
    remarks = [
        f"population: {everyone:,.0f} persons in the file, {residents:,.0f} in the twin, {everyone - residents:,.0f} outside it"
    ]
    if employed == 0:
        remarks.append("population: no column `jobs`: by day everybody is where they live")
    if employed > residents:
        remarks.append(f"population: {employed:,.0f} jobs for {residents:,.0f} residents: by day only as many come as live here")
        jobs *= residents / employed
        employed = residents
    day = night * (1.0 - employed / residents) + jobs
    shape2 = grid.shape
    return People(night.reshape(shape2).astype(np.float32), day.reshape(shape2).astype(np.float32), tuple(remarks))
