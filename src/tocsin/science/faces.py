"""A line on the ground becomes the cell faces that it closes, without a gap.

Two neighbours are parted if the line crosses the straight way between their middles. Water goes from cell to cell over faces, so every way
from one side of a line to the other crosses a parted face: a closed ring is tight, also where it runs diagonally.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.place import Grid

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]


def faces_of_line(grid: Grid, x_m: Floats, y_m: Floats) -> tuple[Cells, Cells]:
    """The faces that a line closes, as (west_of, north_of): cells (face, 2) of row, col on whose west or north side they lie.

    >>> grid = Grid("EPSG:32631", 0.0, 30.0, 10.0, 3, 3)
    >>> west_of, north_of = faces_of_line(grid, np.array([10.0, 10.0]), np.array([0.0, 30.0]))
    >>> west_of.tolist(), north_of.tolist()
    ([[0, 1], [1, 1], [2, 1]], [])
    """
    if x_m.size < 2 or x_m.shape != y_m.shape or not np.isfinite([x_m, y_m]).all():
        raise InputError(f"line of {x_m.size} points; wanted two or more, all finite")
    across = (x_m - grid.x_min_m) / grid.cell_m - 0.5  # middles of cells lie at whole numbers
    down = (grid.y_max_m - y_m) / grid.cell_m - 0.5
    west_of: set[tuple[int, int]] = set()
    north_of: set[tuple[int, int]] = set()
    for a in range(x_m.size - 1):
        for row, at in _crossings(down[a], down[a + 1], across[a], across[a + 1], grid.rows):
            west_of ^= {(row, int(np.floor(at)) + 1)}  # crossed twice is not parted
        for col, at in _crossings(across[a], across[a + 1], down[a], down[a + 1], grid.cols):
            north_of ^= {(int(np.floor(at)) + 1, col)}
    west = sorted((row, col) for row, col in west_of if 0 < col < grid.cols)
    north = sorted((row, col) for row, col in north_of if 0 < row < grid.rows)
    return np.array(west, np.int64).reshape(-1, 2), np.array(north, np.int64).reshape(-1, 2)


def _crossings(start: float, end: float, other_start: float, other_end: float, count: int) -> list[tuple[int, float]]:
    """Where a segment crosses the whole numbers 0..count - 1; a whole number at an end belongs to the lower half only."""
    low, high = min(start, end), max(start, end)
    first, last = max(0, int(np.ceil(low))), min(count - 1, int(np.ceil(high)) - 1)
    return [(k, other_start + (other_end - other_start) * (k - start) / (end - start)) for k in range(first, last + 1)]
