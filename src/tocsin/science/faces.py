"""Which faces of a raster a line or a rim runs along: where a wall can stand without a leak.

A line on a raster is watertight when it goes from corner to corner along the sides of cells, never across a diagonal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError


class Faces(NamedTuple):
    """Faces named by the cell on whose west or north side they lie, (face, 2): row, col; as `Wall` wants them."""

    west_of: NDArray[np.int64]
    north_of: NDArray[np.int64]


def around(inside: NDArray[np.bool_]) -> Faces:
    """The rim of a zone: every face between a cell inside and a cell outside.

    >>> around(np.array([[False, True]])).west_of
    array([[0, 1]])
    """
    if inside.ndim != 2 or inside.dtype != np.bool_:
        raise InputError(f"faces around a zone: got {inside.dtype} {inside.shape}; wanted bool (row, col)")
    west = np.argwhere(inside[:, 1:] != inside[:, :-1]) + np.array([0, 1])
    north = np.argwhere(inside[1:] != inside[:-1]) + np.array([1, 0])
    return Faces(west, north)


def along(corners: ArrayLike, shape: tuple[int, int]) -> Faces:
    """The faces nearest to a line through `corners`, (point, 2): row, col in cells, (0, 0) the north-west corner of the grid.

    Points are moved to the nearest corner of a cell. Parts of the line outside the grid or on its edge name no face.
    >>> along([[0, 1], [2, 1]], (2, 2)).west_of
    array([[0, 1],
           [1, 1]])
    """
    points = np.asarray(corners, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not np.isfinite(points).all():
        raise InputError(f"faces along a line: points have shape {points.shape}; wanted two or more finite (row, col)")
    if np.abs(points).max() > 10 * (max(shape) + 1):
        raise InputError(f"faces along a line: point {points[np.abs(points).argmax() // 2]} is far outside the grid {shape}")
    west: set[tuple[int, int]] = set()
    north: set[tuple[int, int]] = set()
    lattice = np.rint(points).astype(np.int64)
    for (row, col), (last_row, last_col) in zip(lattice[:-1].tolist(), lattice[1:].tolist(), strict=True):
        down, across = abs(last_row - row), abs(last_col - col)
        step_down, step_across = (1 if last_row > row else -1), (1 if last_col > col else -1)
        gone_down = gone_across = 0
        while gone_down < down or gone_across < across:
            # the step that stays nearer to the line: compare (gone_down + 1/2) / down with (gone_across + 1/2) / across
            if gone_across == across or (gone_down < down and (2 * gone_down + 1) * across <= (2 * gone_across + 1) * down):
                west.add((min(row, row + step_down), col))
                row, gone_down = row + step_down, gone_down + 1
            else:
                north.add((row, min(col, col + step_across)))
                col, gone_across = col + step_across, gone_across + 1
    rows, columns = shape
    return Faces(
        _cells(cell for cell in west if 0 <= cell[0] < rows and 0 < cell[1] < columns),
        _cells(cell for cell in north if 0 < cell[0] < rows and 0 <= cell[1] < columns),
    )


def _cells(cells: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    return np.array(sorted(cells), np.int64).reshape(-1, 2)
