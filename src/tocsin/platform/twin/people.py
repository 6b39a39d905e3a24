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


class Floors(msgspec.Struct, frozen=True):
    """Floor area per cell, m2, shape (place,): where people may live, and where they may work."""

    home_m2: NDArray[np.float64]
    work_m2: NDArray[np.float64]


class People(msgspec.Struct, frozen=True):
    """Persons per cell, (place,), by night and by day, and what the manifest should remark."""

    night: NDArray[np.float64]
    day: NDArray[np.float64]
    remarks: tuple[str, ...]


def cells_of(shape: Any, grid: Grid) -> NDArray[np.int64]:
    """The cells whose middle lies in a polygon; the cell of its inner point where it holds none; empty outside the grid."""
    if shape.is_empty:
        return np.empty(0, np.int64)
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


def read_people(path: Path, grid: Grid, *, dry: NDArray[np.bool_], floors: Floors | None) -> People:
    """Spread each row's `population` (and `jobs`) over its own dry cells, by floor area where there are buildings.

    A row that reaches beyond the grid counts with the share of its area that is inside. By night people are where they live. By day as
    many as there are jobs are at work, and all others where they live: residents x (1 - J / P) + jobs, with the twin's totals J and P, so
    that the sum stays. A row without a dry cell is put on its cells all the same, and the manifest says so.
    """
    table = read_table(path, grid, what="population")
    everyone = float(table.numbers("population", high=PERSONS_MOST).sum())
    table = inside(table, grid, what="population")
    lives = table.numbers("population", high=PERSONS_MOST)
    works = table.numbers("jobs", usual=0.0, high=PERSONS_MOST)
    night, jobs = np.zeros(grid.cells), np.zeros(grid.cells)
    areas = shapely.area(table.geometry)
    points = areas == 0
    middle = shapely.centroid(table.geometry[points])
    at = grid.place(shapely.get_x(middle), shapely.get_y(middle))
    np.add.at(night, at[at >= 0], lives[points][at >= 0])
    np.add.at(jobs, at[at >= 0], works[points][at >= 0])
    on_water = float(lives[points][at >= 0][~dry[at[at >= 0]]].sum())
    home, work = (None, None) if floors is None else (floors.home_m2, floors.work_m2)
    box = shapely.box(*grid.bounds_m)
    for row in np.flatnonzero(~points & (lives + works > 0)):
        shape = table.geometry[row]
        cells = cells_of(shape, grid)
        if not cells.size:  # its only inner point lies outside: the sliver inside counts for nobody
            continue
        part = 1.0 if box.contains(shape) else float(shapely.area(shape.intersection(box)) / areas[row])
        if dry[cells].any():
            cells = cells[dry[cells]]
        else:
            on_water += lives[row] * part
        night[cells] += lives[row] * part * _shares(home, cells)
        jobs[cells] += works[row] * part * _shares(work, cells)
    residents, employed = float(night.sum()), float(jobs.sum())
    if residents <= 0:
        raise InputError(f"population {path}: nobody lives in the twin; wanted a column `population` with persons")
    remarks = [
        f"population: {everyone:,.0f} persons in the file, {residents:,.0f} in the twin, {everyone - residents:,.0f} outside it; "
        + ("spread over each row's dry cells" + (" by floor area" if floors is not None else " evenly"))
    ]
    if on_water > 0:
        remarks.append(
            f"population: {on_water:,.0f} persons stand where the terrain shows water, since their row has no dry cell"
        )
    if employed == 0:
        remarks.append("population: no jobs told: by day everybody is where they live")
    if employed > residents:
        remarks.append(f"population: {employed:,.0f} jobs for {residents:,.0f} residents: by day only as many come as live here")
        jobs *= residents / employed
        employed = residents
    day = night * (1.0 - employed / residents) + jobs
    return People(night, day, tuple(remarks))


def _shares(floor_m2: NDArray[np.float64] | None, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """How a row's persons are shared among its cells: by floor area, or evenly where there is none."""
    weight = np.ones(cells.size) if floor_m2 is None or not floor_m2[cells].any() else floor_m2[cells]
    return np.asarray(weight / weight.sum())
