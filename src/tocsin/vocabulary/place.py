"""Where things are: the twin's grid, and what stands, lives, runs and flows on it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError, NotFound, named

MOST_CELLS = 200_000_000  # 0.8 GB as float32: a field larger than this wants tiling, not a bigger array


class Grid(msgspec.Struct, frozen=True):
    """Square cells in metres, north up. Row 0 is the northern edge; `x_min_m`, `y_max_m` is the north-western corner.

    A place is a cell's number, row * cols + col. `crs` is what pyproj reads, e.g. "EPSG:32722".
    """

    crs: str
    x_min_m: float
    y_max_m: float
    cell_m: float
    rows: int
    cols: int

    def __post_init__(self) -> None:
        if self.rows < 1 or self.cols < 1 or self.rows * self.cols > MOST_CELLS:
            raise InputError(
                f"grid: {self.rows} x {self.cols} cells; wanted 1..{MOST_CELLS:,} in all: use a larger cell or a smaller extent"
            )
        if not (np.isfinite([self.x_min_m, self.y_max_m, self.cell_m]).all() and self.cell_m > 0):
            raise InputError(f"grid: corner {self.x_min_m}, {self.y_max_m} and cell {self.cell_m} m; wanted finite, cell > 0")

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.cols

    @property
    def cells(self) -> int:
        return self.rows * self.cols

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return (
            self.x_min_m,
            self.y_max_m - self.rows * self.cell_m,
            self.x_min_m + self.cols * self.cell_m,
            self.y_max_m,
        )

    def place(self, x_m: ArrayLike, y_m: ArrayLike) -> NDArray[np.int64]:
        """The cell that each point lies in, -1 outside the grid."""
        col = np.floor((np.asarray(x_m, np.float64) - self.x_min_m) / self.cell_m).astype(np.int64)
        row = np.floor((self.y_max_m - np.asarray(y_m, np.float64)) / self.cell_m).astype(np.int64)
        inside = (row >= 0) & (row < self.rows) & (col >= 0) & (col < self.cols)
        return np.where(inside, row * self.cols + col, -1)

    def centre(self, place: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The x and y of each cell's middle, m."""
        row, col = np.divmod(np.asarray(place, np.int64), self.cols)
        return self.x_min_m + (col + 0.5) * self.cell_m, self.y_max_m - (row + 0.5) * self.cell_m


class Assets(msgspec.Struct, frozen=True):
    """Things at risk or of use, one row each: where it stands, what sort it is, and how much of `unit` it stands for.

    Buildings have their floor area in m2, hospitals and shelters their capacity in persons. `place` is -1 outside the grid.
    """

    kind: str
    unit: str
    id: tuple[str, ...]
    name: tuple[str, ...]
    sort: tuple[str, ...]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    place: NDArray[np.int64]
    amount: NDArray[np.float64]

    def __post_init__(self) -> None:
        lengths = {len(self.id), len(self.name), len(self.sort), *(a.size for a in (self.x_m, self.y_m, self.place, self.amount))}
        if len(lengths) != 1:
            raise InputError(f"assets {self.kind}: columns of {sorted(lengths)} rows; wanted one length")

    def __len__(self) -> int:
        return len(self.id)


class Roads(msgspec.Struct, frozen=True):
    """A routable road graph: directed edges between nodes; edge e runs over places[start[e]:start[e + 1]].

    `way` groups the two directions of one street: a street's length is counted once per `way`.
    `line` holds the geometry of an edge, vertices line_start[e]:line_start[e + 1] of (line_x_m, line_y_m).
    """

    node_x_m: NDArray[np.float64]
    node_y_m: NDArray[np.float64]
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    length_m: NDArray[np.float64]
    speed_km_per_h: NDArray[np.float64]
    way: NDArray[np.int64]
    highway: tuple[str, ...]
    name: tuple[str, ...]
    bridge: NDArray[np.bool_]
    start: NDArray[np.int64]
    places: NDArray[np.int64]
    line_start: NDArray[np.int64]
    line_x_m: NDArray[np.float64]
    line_y_m: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.source.size)

    def worst_along(self, field: NDArray[Any]) -> NDArray[np.float64]:
        """The largest value that each edge meets, shape (edge,); 0 on edges wholly outside the grid.

        A bridge is taken to stand above the water; a tunnel or underpass is not told apart from its street.
        """
        worst = np.zeros(len(self), np.float64)
        value = np.asarray(field, np.float64).reshape(-1)[self.places]
        filled = np.flatnonzero(np.diff(self.start) > 0)
        if filled.size:
            worst[filled] = np.maximum.reduceat(value, self.start[filled])
        worst[self.bridge] = 0.0
        return worst


class Zones(msgspec.Struct, frozen=True):
    """Named areas for warning and evacuation: `zone_of` is (place,), -1 where no zone lies."""

    name: tuple[str, ...]
    zone_of: NDArray[np.int32]

    def places(self, name: str) -> NDArray[np.int64]:
        """The cells of one zone; raises NotFound with the names that there are."""
        if name not in self.name:
            raise NotFound(f"twin: no zone {name!r}; there are: {named(name, self.name)}")
        return np.flatnonzero(self.zone_of == self.name.index(name))


class Water(msgspec.Struct, frozen=True):
    """A water body that a level can be given for: its cells, and its surface when the terrain was measured.

    A gauge's zero is not the terrain's: `gauge_zero_m` is the height of the gauge's zero in the terrain's own datum.
    """

    name: str
    place: NDArray[np.int64]
    usual_level_m: float
    gauge_zero_m: float
    note: str = ""


class Dependency(msgspec.Struct, frozen=True):
    """That one thing needs another, as those who run them say: `source` and `target` are "kind:id", or "zones:NAME" for whom it serves.

    `link` is the name of what a pack says in general of such things; what is None here is as the pack says.
    """

    link: str
    source: str
    target: str
    probability: float | None = None
    delay_h: float | None = None
    endurance_h: float | None = None


class Line(msgspec.Struct, frozen=True):
    """A named line on the map, e.g. where a barrier can be raised or a dike may breach."""

    name: str
    sort: str
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    crest_m: float | None = None
