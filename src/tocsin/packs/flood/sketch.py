"""A sketch of a flood: the water runs on larger cells, and its level there, less the twin's own ground, is the depth on the twin's cells.

Cells `k` times as long are k^2 times fewer and let the time step be k times longer, so that a sketch costs some k^3 times less. It is never a
forecast: it says which futures and plans differ, and the full run says by how much. Ground is the mean of the cells that are made one
(so dikes and channels narrower than a coarse cell are lost: water finds its way too early behind a dike and too late along a
channel), and what a sketch gets wrong is measured in docs/science/flood-kernel.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.packs.flood.quantities import FLOOD_SPEED
from tocsin.science.shallow_water import Cells, FloodProblem, FloodRun, Inflow, Stage
from tocsin.vocabulary import Member, World

Floats = NDArray[np.float64]

COARSER = 4
CELLS_LEAST = 20_000  # below this a run takes less than half a second and there is nothing to save
LOOKS = 48  # at how many moments the coarse level is laid over the ground, for when the water comes and goes
FILM_M = 0.01  # coarse cells with less have no level


def can_sketch(world: World) -> bool:
    """True where the grid is large enough for a sketch to save anything."""
    return world.grid.cells >= CELLS_LEAST


def coarse_problem(fine: FloodProblem, k: int) -> FloodProblem:
    """The same water, ground and boundaries on cells `k` times as long. A wall is the caller's: its line is drawn on the coarse grid.

    Fields are means; a coarse cell is held at a stage where half of it or more is, or where it is the best that a stage has; water comes in where it did.
    """
    held = np.zeros(coarse_shape(fine.ground_m.shape, k), bool)
    stages = []
    for stage in fine.stages:
        cells = _held(stage.cells, held.shape, k, held)
        held[tuple(cells.T)] = True
        if len(cells):
            stages.append(Stage(cells, stage.level_m))
    free = [_free(_once(inflow.cells // k), held) for inflow in fine.inflows]
    return FloodProblem(
        ground_m=mean_of(fine.ground_m, k),
        cell_m=(fine.cell_sides_m[0] * k, fine.cell_sides_m[1] * k),
        manning=mean_of(np.broadcast_to(np.asarray(fine.manning), fine.ground_m.shape), k),
        initial_depth_m=None if fine.initial_depth_m is None else mean_of(fine.initial_depth_m, k),
        rain=fine.rain,
        infiltration=fine.infiltration,
        inflows=tuple(
            Inflow(cells, inflow.discharge_m3_per_s) for cells, inflow in zip(free, fine.inflows, strict=True) if len(cells)
        ),
        stages=tuple(stages),
        edges=fine.edges,
    )


def coarse_shape(shape: tuple[int, ...], k: int) -> tuple[int, int]:
    """Rows and columns of the coarse grid; its last ones may reach beyond the fine one."""
    return -(-shape[0] // k), -(-shape[1] // k)


def mean_of(values: Floats, k: int) -> Floats:
    """The mean over each coarse cell; what lies beyond the fine grid is as its last row or column."""
    rows, cols = coarse_shape(values.shape, k)
    whole = np.pad(values, ((0, rows * k - values.shape[0]), (0, cols * k - values.shape[1])), mode="edge")
    return np.asarray(whole.reshape(rows, k, cols, k).mean(axis=(1, 3)))


def laid_out(coarse: NDArray[np.float32], shape: tuple[int, int], k: int) -> NDArray[np.float32]:
    """A coarse field on the fine cells: each has what its coarse cell has."""
    return np.asarray(np.repeat(np.repeat(coarse, k, axis=0), k, axis=1)[: shape[0], : shape[1]])


def depth_over(
    ground_m: NDArray[np.float32], coarse_ground_m: Floats, coarse_depth_m: NDArray[np.float32], k: int
) -> NDArray[np.float32]:
    """Depth on the fine cells: the coarse cell's water level less the fine ground, 0 where that is below it or the coarse cell is dry."""
    level = np.where(coarse_depth_m > FILM_M, coarse_ground_m + coarse_depth_m, -np.inf).astype(np.float32)
    return np.asarray(np.maximum(laid_out(level, ground_m.shape, k) - ground_m, np.float32(0.0)))


def member_of(
    fine: FloodProblem, coarse: FloodProblem, run: FloodRun, k: int, *, wet_depth_m: float, frame_s: Sequence[float]
) -> Member:
    """A coarse run as a footprint on the fine cells. When water comes and goes is read between the run's frames, by lines."""
    ground_m = fine.ground_m.astype(np.float32)
    shape = ground_m.shape
    arrival_s, end_s = np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
    peak_m = depth_over(ground_m, coarse.ground_m, run.peak_depth_m, k)
    wet = np.float32(wet_depth_m)
    frames, before_m, before_s = [], None, 0.0
    for time_s, depth_m in zip(run.frame_times_s, run.frames_m, strict=True):
        now_m = depth_over(ground_m, coarse.ground_m, depth_m, k)
        now_wet = now_m > wet
        if before_m is None:
            arrival_s[now_wet] = time_s
        else:
            came, went = now_wet & (before_m <= wet) & np.isinf(arrival_s), ~now_wet & (before_m > wet)
            arrival_s[came] = _crossing(before_s, time_s, before_m[came], now_m[came], wet)
            end_s[went] = _crossing(before_s, time_s, before_m[went], now_m[went], wet)
        end_s[now_wet] = time_s
        if time_s in frame_s:
            frames.append(now_m.reshape(-1))
        before_m, before_s = now_m, time_s
    missed = (peak_m > wet) & np.isinf(arrival_s)  # a peak between two frames: when the coarse cell was first wet, and last
    arrival_s[missed] = np.minimum(laid_out(run.arrival_s, shape, k), np.float32(run.duration_s))[missed]
    end_s[missed] = np.minimum(laid_out(run.end_s, shape, k), np.float32(run.duration_s))[missed]
    return Member(
        peak_m.reshape(-1),
        arrival_s.reshape(-1),
        end_s.reshape(-1),
        {FLOOD_SPEED.name: np.where(peak_m > 0.0, laid_out(run.peak_speed_m_per_s, shape, k), np.float32(0.0)).reshape(-1)},
        np.array(frames) if len(frame_s) else None,
        {"steps": float(run.steps), "cell_steps": float(run.cell_steps), "sketch_cell_m": float(coarse.cell_sides_m[0])},
    )


def moments_s(duration_s: float, frame_s: Sequence[float]) -> tuple[float, ...]:
    """When the coarse water is looked at: LOOKS times, evenly from start to end, and whenever a frame is asked for."""
    return tuple(sorted({*np.linspace(0.0, duration_s, LOOKS + 1).tolist(), *frame_s}))


def _crossing(
    before_s: float, now_s: float, before_m: NDArray[np.float32], now_m: NDArray[np.float32], wet: np.float32
) -> NDArray[np.float32]:
    return np.asarray(before_s + (now_s - before_s) * (wet - before_m) / (now_m - before_m), np.float32)


def _once(cells: Cells) -> Cells:
    return np.asarray(np.unique(cells, axis=0))


def _free(cells: Cells, held: NDArray[np.bool_]) -> Cells:
    return np.asarray(cells[~held[tuple(cells.T)]])


def _held(cells: Cells, shape: tuple[int, int], k: int, taken: NDArray[np.bool_]) -> Cells:
    """Which coarse cells a stage holds: those of which it holds half or more, or else those of which it holds most; none twice."""
    share = np.zeros(shape)
    np.add.at(share, tuple((cells // k).T), 1.0 / (k * k))
    share[taken] = 0.0
    return np.argwhere(share >= min(0.5, float(share.max()))) if share.any() else np.empty((0, 2), np.int64)
