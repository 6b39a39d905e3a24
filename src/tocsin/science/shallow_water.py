"""How water spreads over ground: two-dimensional shallow water by local inertia, on a raster.

The momentum equation without its advection term (Bates, Horritt & Fewtrell 2010, J. Hydrology 387:33-45), centred in
the discharge (de Almeida, Bates, Freer & Souvignet 2012, Water Resour. Res. 48:W05528), with the friction of the
discharge *vector* (de Almeida & Bates 2013, Water Resour. Res. 49:4833-4844). Valid for gradually varied, subcritical
flow (Froude number below about 1) over rough ground (Manning n of 0.03 or more). A dam-break front comes out wrong:
see docs/science/flood-kernel.md for how wrong.

Rows run down, columns to the right. The west face of cell (r, c) lies between (r, c-1) and (r, c), its north face
between (r-1, c) and (r, c).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.infiltration import ConstantLoss, GreenAmpt
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.series import Series

if TYPE_CHECKING:
    from tocsin.science import flood_steps

__all__ = [
    "Cells",
    "ConstantLoss",
    "FloodProblem",
    "FloodRun",
    "GreenAmpt",
    "Inflow",
    "Rain",
    "Stage",
    "Wall",
    "WaterBalance",
    "simulate",
]

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]
Progress = Callable[[float], bool]

_CLOSED_M = 1e6  # a face's bed so high above both cells that nothing crosses
_BYTES_PER_CELL = 130  # state 24, faces 16-24, peaks and times 16, the problem and the answers about 60
_STEADY_LOOK_S = 1800.0  # how often one looks whether anything still changes
_CELL_STEPS_PER_CALL = 100e6  # about half a second between two calls of on_progress


# -- what acts on the water -------------------------------------------------------------------------------------------


class Rain(msgspec.Struct, frozen=True):
    """Rain in mm/h, in steps: a value holds from its time to the next time, the last one for ever, none before the first.

    `pattern` multiplies it cell by cell, shape (row, col).
    """

    rate_mm_per_h: Series
    pattern: Floats | None = None

    def __post_init__(self) -> None:
        if (self.rate_mm_per_h.value < 0.0).any():
            raise InputError(f"rain: {self.rate_mm_per_h.value.min()} mm/h; wanted 0 or more")
        if self.pattern is not None and not (np.isfinite(self.pattern).all() and (self.pattern >= 0.0).all()):
            raise InputError("rain: the pattern holds a negative or not finite multiplier; wanted 0 or more in each cell")


class Inflow(msgspec.Struct, frozen=True):
    """A hydrograph in m3/s, linear between its points and flat outside, shared evenly by `cells`, (cell, 2): row, col."""

    cells: Cells
    discharge_m3_per_s: Series

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "cells", _cells(self.cells, "inflow"))
        if (self.discharge_m3_per_s.value < 0.0).any():
            raise InputError(f"inflow: {self.discharge_m3_per_s.value.min()} m3/s; wanted 0 or more (water leaves by a stage)")


class Stage(msgspec.Struct, frozen=True):
    """A level in m above the datum of the ground, linear between its points and flat outside, held on `cells`, (cell, 2).

    Held cells take and give any volume: a lake, a sea, a river's gauge. They count as boundary, not as store.
    """

    cells: Cells
    level_m: Series

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "cells", _cells(self.cells, "stage"))


class Wall(msgspec.Struct, frozen=True):
    """Faces that a crest closes up to a level, in steps: none before the first time, each holds until the next.

    `west_of` and `north_of` name the faces by the cell on whose west or north side they lie, (face, 2): row, col. Water
    passes over the crest as over ground of that height. A crest below the ground is an opening: the ground counts. Two
    walls on one face: the higher counts.
    """

    crest_m: Series
    west_of: Cells = np.empty((0, 2), np.int64)
    north_of: Cells = np.empty((0, 2), np.int64)

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "west_of", _cells(self.west_of, "wall, west_of", may_be_empty=True))
        msgspec.structs.force_setattr(self, "north_of", _cells(self.north_of, "wall, north_of", may_be_empty=True))
        if not len(self.west_of) + len(self.north_of):
            raise InputError("wall: no face; name faces by west_of or north_of, e.g. with tocsin.science.faces")

    def crest_at(self, time_s: float) -> float | None:
        """The crest at a moment; None before the wall stands."""
        k = int(np.searchsorted(self.crest_m.time_s, time_s, side="right")) - 1
        return None if k < 0 else float(self.crest_m.value[k])


class FloodProblem(msgspec.Struct, frozen=True):
    """Ground, roughness, what water is there, what comes and what holds it. Arrays are (row, col).

    `cell_m` is the side of a cell, or (east-west, north-south). `edges` closed is a wall round the grid; open is a free
    outfall: water leaves at critical flow (Froude 1: the surface falls by g n^2 / h^(1/3)), or down the slope of the
    outermost two cells where that is steeper, and none comes in; an edge cell with an inflow is shut to it. `blocked` cells (buildings) hold no water and get no rain.
    """

    ground_m: Floats
    cell_m: float | tuple[float, float]
    manning: float | Floats = 0.03
    initial_depth_m: Floats | None = None
    rain: Rain | None = None
    infiltration: GreenAmpt | ConstantLoss | None = None
    inflows: tuple[Inflow, ...] = ()
    stages: tuple[Stage, ...] = ()
    walls: tuple[Wall, ...] = ()
    blocked: NDArray[np.bool_] | None = None
    edges: Literal["closed", "open"] = "closed"

    def __post_init__(self) -> None:
        ground = self.ground_m
        if ground.ndim != 2 or ground.size == 0:
            raise InputError(f"flood problem: ground has shape {ground.shape}; wanted (row, col) with at least one cell")
        if not all(np.isfinite(c) and c > 0.0 for c in self.cell_sides_m):
            raise InputError(f"flood problem: cell_m is {self.cell_m}; wanted a length above 0 m")
        if self.edges not in ("closed", "open"):
            raise InputError(f"flood problem: edges are {self.edges!r}; wanted 'closed' or 'open'")

    @property
    def cell_sides_m(self) -> tuple[float, float]:
        """East-west and north-south side of a cell."""
        if isinstance(self.cell_m, tuple):
            return (float(self.cell_m[0]), float(self.cell_m[1]))
        return (float(self.cell_m), float(self.cell_m))

    def check(self, *, memory_bytes_max: float = 16e9) -> None:
        """Raises InputError where the parts do not fit together or hold nonsense; the size first, before any copy."""
        shape = self.ground_m.shape
        needed = float(self.ground_m.size) * _BYTES_PER_CELL
        if needed > memory_bytes_max:
            raise InputError(
                f"flood problem: a grid of {shape[0]} x {shape[1]} cells needs {needed / 1e9:.1f} GB, the limit is "
                f"{memory_bytes_max / 1e9:.1f} GB; take larger cells, a smaller area, or raise memory_bytes_max"
            )
        _finite(self.ground_m, "ground_m", shape)
        if float(np.abs(self.ground_m).max()) > 1e4:
            raise InputError(
                f"ground_m reaches {float(np.abs(self.ground_m).max()):g} m; wanted -10,000..10,000 m (no fill values)"
            )
        if (_finite(self.manning, "manning", shape) <= 0.0).any():
            raise InputError(f"manning is {float(np.min(self.manning))}; wanted above 0, usually 0.01..0.2 s/m^(1/3)")
        if self.initial_depth_m is not None and (_finite(self.initial_depth_m, "initial_depth_m", shape, field=True) < 0.0).any():
            raise InputError(f"initial_depth_m is {float(self.initial_depth_m.min())}; wanted 0 or more")
        if self.rain is not None and self.rain.pattern is not None:
            _finite(self.rain.pattern, "rain pattern", shape, field=True)
        if self.infiltration is not None:
            for name in self.infiltration.__struct_fields__:
                _finite(getattr(self.infiltration, name), f"infiltration {name}", shape)
        if self.blocked is not None and (self.blocked.shape != shape or self.blocked.dtype != np.bool_):
            raise InputError(f"blocked is {self.blocked.dtype} {self.blocked.shape}; wanted bool {shape}")
        for number, inflow in enumerate(self.inflows):
            _inside(inflow.cells, f"inflow {number}", shape)
        for number, stage in enumerate(self.stages):
            _inside(stage.cells, f"stage {number}", shape)
        for number, wall in enumerate(self.walls):
            _inside(wall.west_of, f"wall {number}, west_of", shape)
            _inside(wall.north_of, f"wall {number}, north_of", shape)
        self._check_overlaps()

    def _check_overlaps(self) -> None:
        held = np.zeros(self.ground_m.shape, np.int64)
        for stage in self.stages:
            np.add.at(held, tuple(stage.cells.T), 1)
        if (held > 1).any():
            row, col = (int(v) for v in np.argwhere(held > 1)[0])
            raise InputError(f"stages: cell ({row}, {col}) is held more than once; name each cell in one stage, once")
        shut = held > 0 if self.blocked is None else (held > 0) | self.blocked
        if self.blocked is not None and (self.blocked & (held > 0)).any():
            row, col = (int(v) for v in np.argwhere(self.blocked & (held > 0))[0])
            raise InputError(f"stages: cell ({row}, {col}) is blocked; take it out of the stage or out of blocked")
        for number, inflow in enumerate(self.inflows):
            if shut[tuple(inflow.cells.T)].any():
                row, col = (int(v) for v in inflow.cells[shut[tuple(inflow.cells.T)]][0])
                raise InputError(f"inflow {number}: cell ({row}, {col}) is held by a stage or blocked; give it a free cell")


# -- what comes out ---------------------------------------------------------------------------------------------------


class WaterBalance(msgspec.Struct, frozen=True):
    """Where the water came from and went, m3. Held cells and blocked cells are not store: only free cells are."""

    initial_m3: float
    rain_m3: float
    inflow_m3: float
    boundary_in_m3: float
    boundary_out_m3: float
    infiltrated_m3: float
    outflow_m3: float
    stored_m3: float

    @property
    def came_m3(self) -> float:
        """What was there and what came in."""
        return self.initial_m3 + self.rain_m3 + self.inflow_m3 + self.boundary_in_m3

    @property
    def error_m3(self) -> float:
        """Water that the run lost (positive) or made (negative)."""
        return self.came_m3 - self.boundary_out_m3 - self.infiltrated_m3 - self.outflow_m3 - self.stored_m3

    @property
    def error_share(self) -> float:
        """The error as a share of all water that came; 0 in a dry run."""
        return abs(self.error_m3) / self.came_m3 if self.came_m3 > 0.0 else abs(self.error_m3)


class FloodRun(msgspec.Struct, frozen=True):
    """One flood, as it was. Arrays are read-only float32, (row, col).

    `arrival_s` is when the depth first rose above `wet_depth_m` (0 where it was so at the start), `end_s` when it last
    fell to it; both are +inf in cells that never got wet, and `end_s` is `duration_s` in cells wet at the end. Both are
    the end of the step in which it happened. `peak_speed_m_per_s` is the norm of the velocity, the mean of a cell's
    faces; 0 in held cells. `is_complete` is False where on_progress stopped the run: then `duration_s` is how far it got.
    """

    duration_s: float
    wet_depth_m: float
    peak_depth_m: NDArray[np.float32]
    peak_speed_m_per_s: NDArray[np.float32]
    arrival_s: NDArray[np.float32]
    end_s: NDArray[np.float32]
    frame_times_s: tuple[float, ...]
    frames_m: NDArray[np.float32]
    final_depth_m: NDArray[np.float32]
    balance: WaterBalance
    steps: int
    cell_steps: int
    is_complete: bool
    steady_from_s: float = np.inf  # from when on nothing was computed, because nothing changed


def simulate(
    problem: FloodProblem,
    *,
    duration_s: float,
    frame_times_s: Sequence[float] = (),
    wet_depth_m: float = 0.1,
    theta: float = 0.9,
    courant: float = 0.7,
    max_step_s: float = 60.0,
    flow_depth_m: float = 1e-4,
    rest_m2_per_s: float = 1e-3,
    steady_m_per_h: float = 0.0,
    threads: int = 1,
    memory_bytes_max: float = 16e9,
    on_progress: Progress | None = None,
) -> FloodRun:
    """Let the water run. The same problem gives the same answer, bit by bit, with any number of threads.

    `theta` 1 takes no share of the neighbouring discharges (Bates et al. 2010), 0.8 takes a fifth (de Almeida et al.
    2012): smoother on smooth ground, less sharp at the front. `courant` bounds the step by the deepest flow over a face.
    `flow_depth_m`: thinner water stays. `rest_m2_per_s`: tiles of ground where neither the discharge nor what the slope
    adds to it in a step exceeds this are skipped; 0 skips only where skipping changes nothing at all.
    `steady_m_per_h`: once nothing that acts on the water will change any more, and no depth has changed faster than this for two looks
    of half an hour, the rest of the run is as it is now, and is not computed; 0 computes all of it. Nothing may soak in.
    `on_progress` is told the simulated time every so many steps and stops the run by returning False.
    Raises InputError where the problem or a setting is nonsense.
    """
    _check_settings(duration_s, wet_depth_m, theta, courant, max_step_s, flow_depth_m, rest_m2_per_s, steady_m_per_h, threads)
    frames_at = _frame_times(frame_times_s, duration_s)
    problem.check(memory_bytes_max=memory_bytes_max)
    run = _Run(
        problem,
        duration_s=duration_s,
        wet_depth_m=wet_depth_m,
        theta=theta,
        courant=courant,
        max_step_s=max_step_s,
        flow_depth_m=flow_depth_m,
        rest_m2_per_s=rest_m2_per_s,
        steady_m_per_h=steady_m_per_h,
        threads=threads,
    )
    return run.go(frames_at, on_progress)


# -- checks -----------------------------------------------------------------------------------------------------------


def _cells(cells: ArrayLike, what: str, *, may_be_empty: bool = False) -> Cells:
    given = np.asarray(cells)
    if given.size == 0 and may_be_empty:
        given = np.empty((0, 2), np.int64)
    if given.ndim != 2 or given.shape[1] != 2 or not len(given) + may_be_empty or not np.issubdtype(given.dtype, np.integer):
        raise InputError(f"{what}: cells are {given.dtype} {given.shape}; wanted whole numbers, (cell, 2): row, col")
    own = given.astype(np.int64)
    own.setflags(write=False)
    return own


def _finite(values: float | Floats, name: str, shape: tuple[int, ...], *, field: bool = False) -> Floats:
    array = np.asarray(values)
    if array.shape != shape and (field or array.shape != ()):
        raise InputError(f"{name} has shape {array.shape}; wanted {shape}" + ("" if field else " or one number"))
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds a number that is not finite; fill the gaps or mark the cells as blocked")
    return array


def _inside(cells: Cells, what: str, shape: tuple[int, ...]) -> None:
    outside = (cells < 0).any(axis=1) | (cells >= np.array(shape)).any(axis=1)
    if outside.any():
        row, col = (int(v) for v in cells[outside][0])
        raise InputError(f"{what}: cell ({row}, {col}) is outside the grid of {shape[0]} x {shape[1]}")


def _check_settings(
    duration_s: float, wet_depth_m: float, theta: float, courant: float, max_step_s: float, flow_depth_m: float,
    rest_m2_per_s: float, steady_m_per_h: float, threads: int,
) -> None:  # fmt: skip
    for name, value, low, high in (
        ("duration_s", duration_s, 0.0, 3.2e8),
        ("wet_depth_m", wet_depth_m, 0.0, 100.0),
        ("theta", theta, 0.5, 1.0),
        ("courant", courant, 0.01, 1.0),
        ("max_step_s", max_step_s, 1e-3, 3600.0),
        ("flow_depth_m", flow_depth_m, 1e-6, 0.1),
        ("rest_m2_per_s", rest_m2_per_s, 0.0, 1e-2),
        ("steady_m_per_h", steady_m_per_h, 0.0, 0.01),
        ("threads", threads, 1, 256),
    ):
        if not low <= value <= high:
            raise InputError(f"simulate: {name} is {value}; wanted {low:g}..{high:g}")


def _frame_times(frame_times_s: Sequence[float], duration_s: float) -> tuple[float, ...]:
    times = tuple(float(t) for t in frame_times_s)
    if any(not 0.0 <= t <= duration_s for t in times) or any(b <= a for a, b in pairwise(times)):
        raise InputError(f"simulate: frame times {times[:8]} s; wanted rising times within 0..{duration_s:g} s")
    return times


# -- one run ----------------------------------------------------------------------------------------------------------


class _Run:
    """The padded arrays of one run and the calls of the compiled steps."""

    def __init__(
        self, problem: FloodProblem, *, duration_s: float, threads: int, always_all: bool = False, **settings: float
    ) -> None:
        from tocsin.science import flood_steps as steps  # imports Numba: 0.3 s that only a run has to pay

        self.steps: Any = steps
        self.problem = problem
        self.duration_s = duration_s
        self.steady_m = settings.pop("steady_m_per_h", 0.0) * _STEADY_LOOK_S / 3600.0
        self.steady_from_s = np.inf
        self.rows, self.columns = problem.ground_m.shape
        self.across = -(-(self.columns + (problem.edges == "open")) // steps.COLUMNS)  # open: and one column beyond
        self.width = 2 * steps.PAD_COLUMNS + self.across * steps.COLUMNS
        self.height = self.rows + 2 * steps.PAD_ROWS
        self.inner = (
            slice(steps.PAD_ROWS, steps.PAD_ROWS + self.rows),
            slice(steps.PAD_COLUMNS, steps.PAD_COLUMNS + self.columns),
        )
        self.held = np.full((self.rows, self.columns), -1, np.int64)
        for number, stage in enumerate(problem.stages):
            self.held[tuple(stage.cells.T)] = number
        self.is_free = self.held < 0
        if problem.blocked is not None:
            self.is_free &= ~problem.blocked
        self.bed = self._bed()
        dx_m, dy_m = problem.cell_sides_m
        self.numbers = steps.Numbers(
            rows=self.rows,
            columns=self.columns,
            dx_m=dx_m,
            dy_m=dy_m,
            theta=float(settings["theta"]),
            courant=float(settings["courant"]),
            max_step_s=float(settings["max_step_s"]),
            wet_depth_m=float(settings["wet_depth_m"]),
            flow_depth_m=float(settings["flow_depth_m"]),
            rest_m2_per_s=float(settings["rest_m2_per_s"]),
            loss_kind=_loss_kind(problem),
            friction_stride=int(np.ndim(problem.manning) > 0),
            rain_stride=int(self._rain_varies()),
            loss_stride=int(problem.infiltration is not None and not problem.infiltration.is_uniform),
            is_open=int(problem.edges == "open"),
            threads=threads,
            always_all=int(always_all),
        )
        self.grids = self._grids()
        self.forcing = self._forcing()
        self.tiles, self.team = self._tiles_and_team(threads)
        self._set_faces(0.0)

    # the ground

    def _bed(self) -> Floats:
        """The ground, but blocked cells tower, and held cells rise to their lowest free neighbour.

        Over the face between them the flow is as deep as before; between two held cells it is not deeper than on land, so
        a deep lake does not shorten the step. A held cell with no free neighbour is shut: nothing there need be computed.
        """
        bed = np.array(self.problem.ground_m, np.float64)
        lowest = np.full(bed.shape, np.inf)
        free = np.where(self.is_free, bed, np.inf)
        lowest[1:] = np.minimum(lowest[1:], free[:-1])
        lowest[:-1] = np.minimum(lowest[:-1], free[1:])
        lowest[:, 1:] = np.minimum(lowest[:, 1:], free[:, :-1])
        lowest[:, :-1] = np.minimum(lowest[:, :-1], free[:, 1:])
        is_held = self.held >= 0
        self.is_shore = is_held & np.isfinite(lowest)
        bed[self.is_shore] = np.maximum(bed, lowest)[self.is_shore]
        bed[~self.is_free & ~self.is_shore] = _CLOSED_M
        return bed

    def _padded(self, values: ArrayLike | None, fill: float, dtype: Any) -> NDArray[Any]:
        array = np.full((self.height, self.width), fill, dtype)
        if values is not None:
            array[self.inner] = values
        return array

    def _field(self, value: ArrayLike, dtype: Any, *, fill: float = 0.0) -> NDArray[Any]:
        """A padded field, or one row where the value is the same everywhere."""
        return np.full((1, self.width), value, dtype) if np.ndim(value) == 0 else self._padded(value, fill, dtype)

    def _rain_varies(self) -> bool:
        rain = self.problem.rain
        return self.problem.blocked is not None or (rain is not None and (rain.pattern is not None or bool(self.problem.stages)))

    def _rain_share(self) -> Floats:
        share = np.ones((self.rows, self.columns))
        if self.problem.rain is not None and self.problem.rain.pattern is not None:
            share = np.array(self.problem.rain.pattern, np.float64)
        if self.problem.blocked is not None:
            share[self.problem.blocked] = 0.0
        share[~self.is_free] = 0.0  # rain on a held lake changes neither its level nor the balance: the boundary takes it
        return share.astype(np.float32).astype(np.float64)  # as the steps read it

    def _set_faces(self, time_s: float) -> None:
        """How far each face's bed, the highest of two cells and a crest, stands above its two cells."""
        rows, columns, grids = self.rows, self.columns, self.grids
        crest_x = np.full((rows, columns + 1), -np.inf)
        crest_y = np.full((rows + 1, columns), -np.inf)
        for wall in self.problem.walls:
            crest = wall.crest_at(time_s)
            if crest is not None:
                np.maximum.at(crest_x, tuple(wall.west_of.T), crest)
                np.maximum.at(crest_y, tuple(wall.north_of.T), crest)
        top, left = self.inner[0].start, self.inner[1].start
        for crests, a, b, axis in ((crest_x, grids.ax, grids.bx, 1), (crest_y, grids.ay, grids.by, 0)):
            a[:] = b[:] = _CLOSED_M
            before, after = (self.bed[:, :-1], self.bed[:, 1:]) if axis == 1 else (self.bed[:-1], self.bed[1:])
            inside = crests[:, 1:-1] if axis == 1 else crests[1:-1]
            face = np.maximum(np.maximum(before, after), inside)
            where = (slice(top, top + rows), slice(left + 1, left + columns)) if axis == 1 else (
                slice(top + 1, top + rows), slice(left, left + columns)
            )  # fmt: skip
            a[where] = face - before
            b[where] = face - after
        if self.problem.edges == "open":
            edge = np.where(self.bed < _CLOSED_M, 0.0, _CLOSED_M)
            for inflow in self.problem.inflows:  # where a river comes in it does not go out
                edge[tuple(inflow.cells.T)] = _CLOSED_M
            rise_x = np.maximum(crest_x[:, [0, -1]] - self.bed[:, [0, -1]], edge[:, [0, -1]])
            rise_y = np.maximum(crest_y[[0, -1]] - self.bed[[0, -1]], edge[[0, -1]])
            for k, face_column in enumerate((left, left + columns)):
                grids.ax[self.inner[0], face_column] = grids.bx[self.inner[0], face_column] = rise_x[:, k]
            for k, face_row in enumerate((top, top + rows)):
                grids.ay[face_row, self.inner[1]] = grids.by[face_row, self.inner[1]] = rise_y[k]
        self.team.counts[self.steps.ALL_AWAKE] = 1
        self.team.clock[self.steps.DEEPEST] = self.steps.deepest_face(self.numbers, grids)

    # the arrays of the steps

    def _grids(self) -> flood_steps.Grids:
        steps, problem = self.steps, self.problem
        depth = np.zeros((self.rows, self.columns))
        if problem.initial_depth_m is not None:
            depth[self.is_free] = problem.initial_depth_m[self.is_free]
        manning = np.asarray(problem.manning, np.float64)
        drag = steps.GRAVITY_M_PER_S2 * manning**2
        if manning.ndim:  # at a face the mean of the two cells' n
            wide = np.pad(manning, 1, mode="edge")
            along = self._padded(None, 0.0, np.float32)
            down = self._padded(None, 0.0, np.float32)
            top, left = self.inner[0].start, self.inner[1].start
            n_x = 0.5 * (wide[1:-1, :-1] + wide[1:-1, 1:])
            n_y = 0.5 * (wide[:-1, 1:-1] + wide[1:, 1:-1])
            along[top : top + self.rows, left : left + self.columns + 1] = steps.GRAVITY_M_PER_S2 * n_x**2
            down[top : top + self.rows + 1, left : left + self.columns] = steps.GRAVITY_M_PER_S2 * n_y**2
        else:
            along = down = self._field(float(drag), np.float32)
        conductivity, suction, deficit = (0.0, 0.0, 0.0) if problem.infiltration is None else problem.infiltration.si()
        varies = problem.infiltration is not None and not problem.infiltration.is_uniform
        shape = (self.rows, self.columns)
        k, s, d = (self._field(np.broadcast_to(v, shape) if varies else v, np.float64) for v in (conductivity, suction, deficit))
        wet = np.float32(self.numbers.wet_depth_m)
        arrival = np.where(depth.astype(np.float32) > wet, np.float32(0.0), np.float32(np.inf))
        rain = self._field(self._rain_share() if self._rain_varies() else 0.0, np.float32)
        if not self._rain_varies():
            rain[0, self.inner[1]] = 1.0
        grids: flood_steps.Grids = steps.Grids(
            depth=self._padded(depth, 0.0, np.float64),
            qx=self._padded(None, 0.0, np.float32),
            qy=self._padded(None, 0.0, np.float32),
            ax=self._padded(None, _CLOSED_M, np.float32),
            bx=self._padded(None, _CLOSED_M, np.float32),
            ay=self._padded(None, _CLOSED_M, np.float32),
            by=self._padded(None, _CLOSED_M, np.float32),
            friction_x=along,
            friction_y=down,
            rain_share=rain,
            conductivity=k,
            suction=s,
            deficit=d,
            lost=self._padded(None, 0.0, np.float64) if problem.infiltration is not None else np.zeros((1, self.width)),
            peak_depth=self._padded(depth, 0.0, np.float32),
            peak_speed2=self._padded(None, 0.0, np.float32),
            arrival=self._padded(arrival, np.inf, np.float32),
            end=self._padded(None, np.inf, np.float32),
        )
        return grids

    def _forcing(self) -> flood_steps.Forcing:
        steps, problem = self.steps, self.problem
        rain_s, rain_m = _fallen(problem.rain, self.duration_s)
        pad = np.array([steps.PAD_ROWS, steps.PAD_COLUMNS])
        held = np.argwhere(self.is_shore)
        stage_of = self.held[self.is_shore]
        order = np.argsort(stage_of, kind="stable")
        held, stage_of = held[order], stage_of[order]
        bed = self.bed[tuple(held.T)]
        at_start = np.array([stage.level_m.at(0.0) for stage in problem.stages] or [0.0])
        depth = np.maximum(at_start[stage_of] - bed, 0.0)
        padded = held + pad
        self.grids.depth[tuple(padded.T)] = depth
        forcing: flood_steps.Forcing = steps.Forcing(
            rain_s=rain_s,
            rain_m=rain_m,
            inflow_from=_starts([i.discharge_m3_per_s.time_s for i in problem.inflows]),
            inflow_s=_joined([i.discharge_m3_per_s.time_s for i in problem.inflows]),
            inflow_m3_per_s=_joined([i.discharge_m3_per_s.value for i in problem.inflows]),
            inflow_cell_from=_starts([i.cells for i in problem.inflows]),
            inflow_cell=np.concatenate([np.empty((0, 2), np.int64), *(i.cells + pad for i in problem.inflows)]),
            stage_from=_starts([s.level_m.time_s for s in problem.stages]),
            stage_s=_joined([s.level_m.time_s for s in problem.stages]),
            stage_m=_joined([s.level_m.value for s in problem.stages]),
            held_cell=np.ascontiguousarray(np.column_stack([padded, stage_of]).astype(np.int64)),
            held_bed=bed,
            held_depth=depth,
        )
        return forcing

    def _tiles_and_team(self, threads: int) -> tuple[flood_steps.Tiles, flood_steps.Team]:
        steps = self.steps
        bands = -(-self.rows // steps.ROWS)
        across = self.across
        flags = (bands + 2, across + 2)
        chunks = 1 if threads == 1 else min(4 * threads, max(bands // 4, 1))
        first_bands = np.linspace(0, bands, chunks + 1).astype(np.int64)
        tiles = steps.Tiles(
            moving=np.zeros(flags, np.uint8),
            awake=np.zeros(flags, np.uint8),
            never=self._never(bands, across),
            stirred=np.zeros(flags, np.uint8),
            touch=np.zeros(flags, np.uint8),
            runs=np.zeros((bands, across // 2 + 1, 2), np.int64),
            run_count=np.zeros(bands, np.int64),
            deepest=np.zeros((bands, across), np.float32),
            bands=np.minimum(first_bands * steps.ROWS, self.rows),
        )
        halo = (chunks * steps.HALO, self.width)
        team = steps.Team(
            sync=np.zeros(24, np.int64),
            counts=np.zeros(8, np.int64),
            clock=np.zeros(16),
            scratch=np.zeros((threads, steps.SCRATCH_ROWS, self.width), np.float32),
            halo_depth=np.zeros(halo, np.float64),
            halo_qx=np.zeros(halo, np.float32),
            halo_qy=np.zeros(halo, np.float32),
        )
        return tiles, team

    def _never(self, bands: int, across: int) -> NDArray[np.uint8]:
        """Tiles with nothing to compute: neither a free cell nor a held cell at the shore."""
        steps = self.steps
        live = np.zeros((bands * steps.ROWS, across * steps.COLUMNS), bool)
        live[: self.rows, : self.columns] = self.is_free | self.is_shore
        if live.shape[1] > self.columns:  # the face of an open edge belongs to the column one beyond, which has to be swept too
            live[: self.rows, self.columns] = live[: self.rows, self.columns - 1]
        tiled = live.reshape(bands, steps.ROWS, across, steps.COLUMNS).any(axis=(1, 3))
        never = np.ones((bands + 2, across + 2), np.uint8)
        never[1:-1, 1:-1] = ~tiled
        return never

    # the run

    def go(self, frames_at: tuple[float, ...], on_progress: Progress | None) -> FloodRun:
        steps, clock, counts = self.steps, self.team.clock, self.team.counts
        changes = {float(t) for wall in self.problem.walls for t in wall.crest_m.time_s if 0.0 < t < self.duration_s}
        looks = self._looks(changes)
        stops = sorted(changes | set(frames_at) | set(looks) | {float(self.duration_s)})
        seen: tuple[Floats, Floats] | None = None  # depths and what had come and gone at the last look
        calm = 0
        frames = np.zeros((len(frames_at), self.rows, self.columns), np.float32)
        is_complete = True
        with ThreadPoolExecutor(self.numbers.threads) as pool:
            for stop in stops:
                is_complete = stop > self.steady_from_s or self._go_to(stop, pool, on_progress)
                if not is_complete:
                    break
                if stop in looks and np.isinf(self.steady_from_s):
                    now = self.grids.depth[self.inner][self.is_free], clock.copy()
                    calm = calm + 1 if seen is not None and np.abs(now[0] - seen[0]).max(initial=0.0) < self.steady_m else 0
                    if seen is not None and calm == 2:
                        self._rest_is_the_same(seen[1])
                    seen = now
                if stop in frames_at:
                    frames[frames_at.index(stop)] = self._depth()
                if stop in changes:
                    self._set_faces(stop)
        if counts[steps.BROKEN] or not np.isfinite(self.grids.peak_depth[self.inner]).all():
            raise InputError(
                f"simulate: the water broke away at {clock[steps.TIME]:.1f} s (deepest flow {clock[steps.DEEPEST]:g} m); "
                "lower courant or theta, or look for a cliff in ground_m"
            )
        done = tuple(t for t in frames_at if t <= clock[steps.TIME]) if not is_complete else frames_at
        return self._result(done, frames[: len(done)], is_complete)

    def _looks(self, changes: set[float]) -> tuple[float, ...]:
        """When to look whether the water is steady: every half hour, once nothing that acts on it will change any more."""
        if not self.steady_m > 0.0 or self.problem.infiltration is not None:
            return ()
        last = max(changes, default=0.0)
        series = [i.discharge_m3_per_s for i in self.problem.inflows] + [s.level_m for s in self.problem.stages]
        for told in series:  # linear between points, flat outside
            moving = np.flatnonzero(np.diff(told.value))
            last = max(last, float(told.time_s[moving[-1] + 1]) if moving.size else 0.0)
        if self.problem.rain is not None:
            rain = self.problem.rain.rate_mm_per_h
            if rain.value[-1] > 0.0:
                return ()
            last = max(last, float(rain.time_s[-1]))
        return tuple(np.arange(last + _STEADY_LOOK_S, self.duration_s, _STEADY_LOOK_S).tolist())

    def _rest_is_the_same(self, before: Floats) -> None:
        """Go to the end at once: what came and went since `before`, a look ago, goes on so."""
        steps, clock = self.steps, self.team.clock
        self.steady_from_s = float(clock[steps.TIME])
        part = (self.duration_s - self.steady_from_s) / (self.steady_from_s - before[steps.TIME])
        for flow in (steps.INFLOW_M3, steps.BOUNDARY_IN_M3, steps.BOUNDARY_OUT_M3, steps.OUTFLOW_M3):
            clock[flow] += part * (clock[flow] - before[flow])
        clock[steps.TIME] = self.duration_s

    def _go_to(self, stop: float, pool: ThreadPoolExecutor, on_progress: Progress | None) -> bool:
        """Until `stop`; False where on_progress said no."""
        steps, clock, counts = self.steps, self.team.clock, self.team.counts
        clock[steps.STOP_AT] = stop
        per_call = 16
        while clock[steps.TIME] < stop and not counts[steps.BROKEN]:
            before = int(counts[steps.CELL_STEPS]), int(counts[steps.STEPS])
            arguments = (self.numbers, self.grids, self.forcing, self.tiles, self.team)
            advance: Callable[..., None] = steps.advance
            if self.numbers.threads == 1:
                advance(*arguments, 0, per_call)
            else:
                others = [pool.submit(advance, *arguments, k, per_call) for k in range(1, self.numbers.threads)]
                advance(*arguments, 0, per_call)
                for other in others:
                    other.result()
            if on_progress is not None and not on_progress(float(clock[steps.TIME])):
                return False
            swept = (int(counts[steps.CELL_STEPS]) - before[0]) / max(int(counts[steps.STEPS]) - before[1], 1)
            per_call = int(np.clip(_CELL_STEPS_PER_CALL / max(swept, 1.0), 1, 4096))
        return True

    def _levels(self, time_s: float) -> Floats:
        """Level of each held cell, NaN elsewhere."""
        levels = np.full((self.rows, self.columns), np.nan)
        for number, stage in enumerate(self.problem.stages):
            levels[self.held == number] = stage.level_m.at(time_s)
        return levels

    def _depth(self) -> NDArray[np.float32]:
        depth = self.grids.depth[self.inner].astype(np.float32)
        held = self.held >= 0
        if held.any():
            standing = np.maximum(self._levels(float(self.team.clock[self.steps.TIME])) - self.problem.ground_m, 0.0)
            depth[held] = standing[held]
        return depth

    def _result(self, frame_times: tuple[float, ...], frames: NDArray[np.float32], is_complete: bool) -> FloodRun:
        steps, grids, clock, counts = self.steps, self.grids, self.team.clock, self.team.counts
        ended_s = float(clock[steps.TIME])
        wet = np.float32(self.numbers.wet_depth_m)
        final = self._depth()
        peak = np.maximum(grids.peak_depth[self.inner], final)
        speed = np.sqrt(grids.peak_speed2[self.inner])
        arrival = grids.arrival[self.inner].copy()
        end = np.where(final > wet, np.float32(ended_s), grids.end[self.inner])
        for number, stage in enumerate(self.problem.stages):
            here = self.held == number
            speed[here] = 0.0
            peak[here], arrival[here], end[here] = _held_history(stage.level_m, self.problem.ground_m[here], wet, ended_s)
        end[np.isinf(arrival)] = np.inf
        arrays = [peak, speed, arrival, end, frames, final]
        for array in arrays:
            array.setflags(write=False)
        return FloodRun(
            ended_s, float(wet), peak, speed, arrival, end, frame_times, frames, final, self._balance(),
            int(counts[steps.STEPS]), int(counts[steps.CELL_STEPS]), is_complete, self.steady_from_s,
        )  # fmt: skip

    def _balance(self) -> WaterBalance:
        """Free cells are the store; what rain and soil did to held cells at the shore is the boundary's own affair."""
        steps, clock = self.steps, self.team.clock
        area = self.problem.cell_sides_m[0] * self.problem.cell_sides_m[1]
        rain_m, free, shore = float(clock[steps.RAIN_M]), self.is_free, self.is_shore
        share = self._rain_share() if self._rain_varies() else np.ones((self.rows, self.columns))
        lost = self.grids.lost[self.inner] if self.problem.infiltration is not None else np.zeros_like(share)
        initial = self.problem.initial_depth_m
        rained_on_shore = rain_m * float(share[shore].sum()) * area
        lost_at_shore = float(lost[shore].sum()) * area
        return WaterBalance(
            initial_m3=0.0 if initial is None else float(initial[free].sum(dtype=np.float64)) * area,
            rain_m3=rain_m * float(share[free].sum()) * area,
            inflow_m3=float(clock[steps.INFLOW_M3]),
            boundary_in_m3=float(clock[steps.BOUNDARY_IN_M3]) - lost_at_shore,
            boundary_out_m3=float(clock[steps.BOUNDARY_OUT_M3]) - rained_on_shore,
            infiltrated_m3=float(lost[free].sum()) * area,
            outflow_m3=float(clock[steps.OUTFLOW_M3]),
            stored_m3=float(self.grids.depth[self.inner][free].sum()) * area,
        )


def _loss_kind(problem: FloodProblem) -> int:
    from tocsin.science import flood_steps as steps

    if problem.infiltration is None:
        return steps.NO_LOSS
    return steps.GREEN_AMPT if isinstance(problem.infiltration, GreenAmpt) else steps.CONSTANT_LOSS


def _starts(parts: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    return np.cumsum([0, *(len(part) for part in parts)]).astype(np.int64)


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.empty(0), *parts])


def _fallen(rain: Rain | None, duration_s: float) -> tuple[Floats, Floats]:
    """Rain fallen since the start, m, at the moments where its rate changes, and one moment after the run's end."""
    if rain is None:
        return np.array([0.0, 1.0]), np.zeros(2)
    times, rates = rain.rate_mm_per_h.time_s, rain.rate_mm_per_h.value
    rate_at_start = rates[np.searchsorted(times, 0.0, side="right") - 1] if times[0] <= 0.0 else 0.0
    later = times > 0.0
    knots = np.concatenate([[0.0], times[later]])
    held = np.concatenate([[rate_at_start], rates[later]])
    after = max(knots[-1], duration_s) + 1.0
    all_knots = np.append(knots, after)
    return all_knots, np.concatenate([[0.0], np.cumsum(held / 3.6e6 * np.diff(all_knots))])


def _held_history(
    level_m: Series, ground_m: Floats, wet: np.float32, ended_s: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Peak depth, arrival and end in held cells: exact crossings of the level with ground + wet depth."""
    inside = (level_m.time_s > 0.0) & (level_m.time_s < ended_s)
    times = np.concatenate([[0.0], level_m.time_s[inside], [ended_s]])
    levels = np.array([level_m.at(float(t)) for t in times])
    beds, which = np.unique(ground_m, return_inverse=True)
    peak = np.maximum(levels.max() - beds, 0.0).astype(np.float32)
    arrival = np.full(beds.shape, np.inf, np.float32)
    end = np.full(beds.shape, np.inf, np.float32)
    for k, bed in enumerate(beds):
        over = levels - (bed + float(wet))
        if (over > 0.0).any():
            first = int(np.argmax(over > 0.0))
            arrival[k] = 0.0 if first == 0 else _crossing(times, over, first - 1)
            last = len(over) - 1 - int(np.argmax(over[::-1] > 0.0))
            end[k] = ended_s if last == len(over) - 1 else _crossing(times, over, last)
    return peak[which], arrival[which], end[which]


def _crossing(times: Floats, over: Floats, k: int) -> float:
    """When `over` passes 0 between its points k and k + 1."""
    return float(times[k] + (times[k + 1] - times[k]) * over[k] / (over[k] - over[k + 1]))
