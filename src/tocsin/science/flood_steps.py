"""The compiled time steps of the flood kernel: one fused sweep over the tiles of the grid that move.

`shallow_water.simulate` is the way in; this module is imported only when a run starts, because it imports Numba.

How a step is laid out, and why:

- A step goes down the rows once. Four phases follow each other at a lag of a row, on rows that are still in the first
  cache: new discharges (faces), the donor's share (limit), the limited discharges (settle), depth and peaks (fill).
- Each inner loop writes one array and reads few, so that the compiler proves them independent and vectorises them.
- The depth is float64, everything else that is swept is float32. What leaves a cell is what enters the next to 2^-53.
- Tiles of ROWS x COLUMNS cells sleep while nothing can move in them or in the eight tiles around them.
- Threads take bands of rows, more bands than threads. Each band first copies the old rows around it, so that the sum
  in every cell is the same sum, bit by bit, with any number of threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

ROWS = 4  # of a tile
COLUMNS = 32
PAD_ROWS = 3  # rows of nothing above and below the grid, PAD_COLUMNS left and right, so that no loop asks where it is
PAD_COLUMNS = 16
HALO = 5  # old rows that a band of rows keeps: two above it, three below

GRAVITY_M_PER_S2 = 9.80665  # standard gravity, 3rd CGPM 1901
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_QUARTER = np.float32(0.25)
_HALF = np.float32(0.5)
_THIRD = np.float32(1.0 / 3.0)
_TWO_NINTHS = np.float32(2.0 / 9.0)
_TINY = np.float32(1e-20)
_MAGIC = np.int32(1418472267)  # 4/3 of float32's exponent bias, less what makes the worst guess best; any value near works
_SPARED = np.float32(1.0 - 1e-6)  # the share of a cell that may leave it in one step: below 1 by more than rounding

# rows of the scratch that each thread owns; those up to _SHARE are rings of four, by row & 3
_H, _QX, _QY, _IX, _IY, _SHARE = 0, 4, 8, 12, 16, 20
_HF, _DROP, _NORM, _BAR, _ACT, _DEEPEST, _HNEW = 24, 25, 26, 27, 28, 29, 30
SCRATCH_ROWS = 31

NO_LOSS, CONSTANT_LOSS, GREEN_AMPT = 0, 1, 2


class Numbers(NamedTuple):
    """What does not change during a run."""

    rows: int
    columns: int
    dx_m: float
    dy_m: float
    theta: float
    courant: float
    max_step_s: float
    wet_depth_m: float
    flow_depth_m: float
    rest_m2_per_s: float
    loss_kind: int
    friction_stride: int  # 0 where one row of friction serves all rows
    rain_stride: int
    loss_stride: int
    is_open: int
    threads: int
    always_all: int  # 1: every tile is awake always (for tests)


class Grids(NamedTuple):
    """Padded arrays of a run, (row, column) unless said. Index 0 of a face is the west or north face of a cell."""

    depth: NDArray[np.float64]
    qx: NDArray[np.float32]
    qy: NDArray[np.float32]
    ax: NDArray[np.float32]  # the face's bed above the west cell's bed
    bx: NDArray[np.float32]  # ... above the east cell's bed
    ay: NDArray[np.float32]
    by: NDArray[np.float32]
    friction_x: NDArray[np.float32]  # g n^2 at the face
    friction_y: NDArray[np.float32]
    rain_share: NDArray[np.float32]
    conductivity: NDArray[np.float64]  # m/s
    suction: NDArray[np.float64]  # m
    deficit: NDArray[np.float64]
    lost: NDArray[np.float64]  # m, infiltrated so far
    peak_depth: NDArray[np.float32]
    peak_speed2: NDArray[np.float32]
    arrival: NDArray[np.float32]
    end: NDArray[np.float32]


class Forcing(NamedTuple):
    """What acts on the water. Series of one kind lie end to end; `*_from` says where each starts."""

    rain_s: NDArray[np.float64]
    rain_m: NDArray[np.float64]  # fallen since the start, at rain_s: a line between
    inflow_from: NDArray[np.int64]
    inflow_s: NDArray[np.float64]
    inflow_m3_per_s: NDArray[np.float64]
    inflow_cell_from: NDArray[np.int64]
    inflow_cell: NDArray[np.int64]  # (cell, 2): padded row and column
    stage_from: NDArray[np.int64]
    stage_s: NDArray[np.float64]
    stage_m: NDArray[np.float64]
    held_cell: NDArray[np.int64]  # (cell, 3): padded row, padded column, which stage
    held_bed: NDArray[np.float64]
    held_depth: NDArray[np.float64]


class Tiles(NamedTuple):
    """Which tiles are swept. Flags have a border of one tile; runs are column ranges of a band of ROWS rows."""

    moving: NDArray[np.uint8]
    awake: NDArray[np.uint8]
    never: NDArray[np.uint8]
    runs: NDArray[np.int64]
    run_count: NDArray[np.int64]
    deepest: NDArray[np.float32]  # the deepest face of a tile when it was last awake
    bands: NDArray[np.int64]  # (chunk + 1): first row of each chunk


class Team(NamedTuple):
    """What threads share."""

    sync: NDArray[np.int64]  # at 0, 8, 16: meeting counter, chunks to copy, chunks to sweep (on different cache lines)
    counts: NDArray[np.int64]  # steps, cell-steps, first and last active row, stop, all awake, broken
    clock: NDArray[np.float64]  # see _TIME ..
    scratch: NDArray[np.float32]  # (thread, SCRATCH_ROWS, width)
    halo_depth: NDArray[np.float64]  # (chunk, HALO, width)
    halo_qx: NDArray[np.float32]
    halo_qy: NDArray[np.float32]


STEPS, CELL_STEPS, FIRST_ROW, LAST_ROW, STOP, ALL_AWAKE, BROKEN = range(7)
TIME, DT, RAIN, STOP_AT, INFLOW_M3, BOUNDARY_IN_M3, BOUNDARY_OUT_M3, OUTFLOW_M3, RAIN_M, DEEPEST = range(10)

_FAST: Any = {"nnan", "ninf", "nsz", "contract"}  # no reassociation: the order of sums is part of the answer
_row = njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True)
_plain = njit(nogil=True, cache=True, error_model="numpy")


# -- three words of the machine that Numba has no name for -----------------------------------------------------------


@intrinsic  # type: ignore[untyped-decorator]
def _bits_of(typingctx: Any, value: Any) -> Any:
    """The bits of a float32, as an int32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _float_of(typingctx: Any, bits: Any) -> Any:
    """The float32 with these bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    view = context.make_array(array_type)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, array_type, view, [index])


@intrinsic  # type: ignore[untyped-decorator]
def _atomic_add(typingctx: Any, array: Any, index: Any) -> Any:
    """Add one to an int64 that threads share; the value before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(array, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _atomic_read(typingctx: Any, array: Any, index: Any) -> Any:
    """An int64 that threads share, as it is now."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(array, types.intp), codegen


_sched_yield = types.ExternalFunction("sched_yield", types.int32())


@_plain
def _meet(sync: Any, threads: Any) -> None:
    """Wait until every thread is here. Spins a little, then lets others run, so a busy machine is not stalled."""
    if threads == 1:
        return
    mine = _atomic_add(sync, 0)
    wanted = (mine // threads + 1) * threads
    spins = 0
    while _atomic_read(sync, 0) < wanted:
        spins += 1
        if spins > 2000:
            _sched_yield()


# -- inner loops: each writes one row ---------------------------------------------------------------------------------


@_row
def _narrow(depth: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = np.float32(depth[i])


@_row
def _flow_depth(h0: Any, h1: Any, a: Any, b: Any, flow_depth_m: Any, out: Any) -> None:
    """Depth of the flow over a face: the higher surface less the face's bed; 0 where too thin to flow."""
    for i in range(out.size):
        left = h0[i] - a[i]
        right = h1[i] - b[i]
        deep = left if left > right else right
        out[i] = deep if deep > flow_depth_m else _ZERO


@_row
def _drop(h0: Any, h1: Any, a: Any, b: Any, out: Any) -> None:
    """Fall of the surface over a face. From differences of beds, so that height above the sea costs no digits."""
    for i in range(out.size):
        out[i] = (h0[i] - a[i]) - (h1[i] - b[i])


@_row
def _inverse_cube_root(hf: Any, out: Any) -> None:
    """hf^(-1/3) to float32's last bit but one, without a call: bit guess (3 %), a cubic and a Newton step.

    With c = 1 - x y^3: x^(-1/3) = y (1 - c)^(-1/3) = y (1 + c/3 + 2 c^2/9 + ...).
    """
    for i in range(out.size):
        x = hf[i] if hf[i] > _TINY else _TINY
        y = _float_of(np.int32(_MAGIC - np.int32(np.float32(_bits_of(x)) * _THIRD)))
        c = _ONE - x * y * y * y
        y = y + y * c * (_THIRD + _TWO_NINTHS * c)
        c = _ONE - x * y * y * y
        out[i] = y + y * c * _THIRD


@_row
def _norm(q: Any, t0: Any, t1: Any, t2: Any, t3: Any, out: Any) -> None:
    """Norm of the discharge vector at a face: its own, and the mean of the four faces across it."""
    for i in range(out.size):
        across = _QUARTER * ((t0[i] + t1[i]) + (t2[i] + t3[i]))
        out[i] = np.sqrt(q[i] * q[i] + across * across)


@_row
def _centred(before: Any, q: Any, after: Any, theta: Any, out: Any) -> None:
    side = _HALF * (_ONE - theta)
    for i in range(out.size):
        out[i] = theta * q[i] + side * (before[i] + after[i])


@_row
def _discharge(bar: Any, hf: Any, drop: Any, norm: Any, root: Any, friction: Any, push: Any, dt: Any, out: Any) -> None:
    for i in range(out.size):
        r = root[i]
        r2 = r * r
        drag = dt * friction[i] * norm[i] * (r2 * r2) * (r2 * r)
        q = (bar[i] + push * hf[i] * drop[i]) / (_ONE + drag)
        out[i] = q if hf[i] > _ZERO else _ZERO


@_row
def _activity(q: Any, hf: Any, drop: Any, push: Any, out: Any) -> None:
    """What moves, or is about to: the discharge, and what the slope adds to it in a step."""
    for i in range(out.size):
        moved = abs(q[i])
        pushed = abs(push * hf[i] * drop[i])
        most = moved if moved > pushed else pushed
        out[i] = most if most > out[i] else out[i]


@_row
def _keep_most(values: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = values[i] if values[i] > out[i] else out[i]


@_row
def _donor_share(h: Any, west: Any, east: Any, north: Any, south: Any, per_x: Any, per_y: Any, out: Any) -> None:
    """The share of what its faces ask for that a cell can give."""
    for i in range(out.size):
        leaves = per_x * (max(east[i], _ZERO) - min(west[i], _ZERO)) + per_y * (
            max(south[i], _ZERO) - min(north[i], _ZERO)
        )
        can = _SPARED * h[i]
        out[i] = can / leaves if leaves > can else _ONE


@_row
def _limit(share_before: Any, share_after: Any, q: Any) -> None:
    for i in range(q.size):
        q[i] = q[i] * (share_before[i] if q[i] > _ZERO else share_after[i])


@_row
def _copy(values: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = values[i]


@_row
def _speed_at_face(q: Any, root: Any) -> None:
    """root becomes the speed: q / hf, where root was hf^(-1/3)."""
    for i in range(q.size):
        root[i] = q[i] * (root[i] * root[i] * root[i])


@_row
def _fill(
    west: Any, east: Any, north: Any, south: Any, share: Any, per_x: Any, per_y: Any, rain: Any, depth: Any
) -> None:
    for i in range(depth.size):
        along = np.float64(west[i]) - np.float64(east[i])
        down = np.float64(north[i]) - np.float64(south[i])
        depth[i] = depth[i] + ((per_x * along + per_y * down) + rain * np.float64(share[i]))


@_row
def _peak_speed(west: Any, east: Any, north: Any, south: Any, peak: Any) -> None:
    for i in range(peak.size):
        u = _HALF * (west[i] + east[i])
        v = _HALF * (north[i] + south[i])
        speed2 = u * u + v * v
        peak[i] = speed2 if speed2 > peak[i] else peak[i]


@_row
def _crossings(before: Any, after: Any, wet: Any) -> Any:
    """How many cells became wet or dry."""
    count = np.int32(0)
    for i in range(after.size):
        count += np.int32((before[i] > wet) != (after[i] > wet))
    return count


@_row
def _note_crossings(before: Any, after: Any, wet: Any, time: Any, arrival: Any, end: Any) -> None:
    for i in range(after.size):
        if after[i] > wet and not before[i] > wet:
            arrival[i] = min(arrival[i], time)
        elif before[i] > wet and not after[i] > wet:
            end[i] = time


@_row
def _green_ampt(k: Any, suction: Any, deficit: Any, dt: Any, depth: Any, lost: Any) -> Any:
    """Infiltration in a step; Li, Stevens & Simons 1976: the implicit equation's increment as a root of a square."""
    any_lost = False
    for i in range(depth.size):
        can = k[i] * dt
        p = can - 2.0 * lost[i]
        reach = (suction[i] + depth[i]) * deficit[i]
        takes = 0.5 * (p + np.sqrt(p * p + 8.0 * can * (lost[i] + reach)))
        takes = min(takes, depth[i])
        depth[i] -= takes
        lost[i] += takes
        any_lost |= takes > 0.0
    return any_lost


@_row
def _constant_loss(k: Any, dt: Any, depth: Any, lost: Any) -> Any:
    any_lost = False
    for i in range(depth.size):
        takes = min(k[i] * dt, depth[i])
        depth[i] -= takes
        lost[i] += takes
        any_lost |= takes > 0.0
    return any_lost


@_row
def _most(values: Any) -> Any:
    most = _ZERO
    for i in range(values.size):
        most = values[i] if values[i] > most else most
    return most


# -- one chunk of rows, one step --------------------------------------------------------------------------------------


@_plain
def _sweep(
    n: Any, g: Any, tiles: Any, s: Any, hd: Any, hx: Any, hy: Any, first: Any, stop: Any, top: Any, bottom: Any,
    dt: Any, rain: Any, time_after: Any, lowest: Any, highest: Any,
) -> None:  # fmt: skip
    """Rows first..stop-1, in place. Rows above `top` and from `bottom` on are read from the halo."""
    theta = np.float32(n.theta)
    thin = np.float32(n.flow_depth_m)
    wet = np.float32(n.wet_depth_m)
    dt32 = np.float32(dt)
    push_x = np.float32(GRAVITY_M_PER_S2 * dt / n.dx_m)
    push_y = np.float32(GRAVITY_M_PER_S2 * dt / n.dy_m)
    per_x32 = np.float32(dt / n.dx_m)
    per_y32 = np.float32(dt / n.dy_m)
    per_x = dt / n.dx_m
    per_y = dt / n.dy_m
    rest = np.float32(n.rest_m2_per_s)
    west_edge = PAD_COLUMNS
    east_edge = PAD_COLUMNS + n.columns
    is_centred = theta < _ONE

    begin = max(first - 2, lowest - 2)
    finish = min(stop + 1, highest + 2)
    for r in range(begin, finish + 1):
        ring = r & 3
        ring1 = (r - 1) & 3
        ring2 = (r - 2) & 3
        p = r + PAD_ROWS
        band = min(max(r, 0), n.rows - 1) // ROWS
        is_band_start = r >= 0 and r % ROWS == 0 and r < n.rows
        is_own = first <= r < stop

        # the old depth of this row, in float32
        if -1 <= r <= n.rows and r >= first - 2:
            depth_row = hd[r - first + 2] if r < top else (hd[2 + r - stop] if r >= bottom else g.depth[p])
            for k in range(tiles.run_count[band]):
                c0 = tiles.runs[band, k, 0]
                c1 = tiles.runs[band, k, 1]
                _narrow(depth_row[c0 - 1 : c1 + 1], s[_H + ring, c0 - 1 : c1 + 1])

        if r >= first - 1 and 0 <= r <= n.rows:
            qx_row = hx[r - first + 2] if r < top else (hx[2 + r - stop] if r >= bottom else g.qx[p])
            qx_up = hx[r - 1 - first + 2] if r - 1 < top else (hx[2 + r - 1 - stop] if r - 1 >= bottom else g.qx[p - 1])
            qy_row = hy[r - first + 2] if r < top else (hy[2 + r - stop] if r >= bottom else g.qy[p])
            qy_up = hy[r - 1 - first + 2] if r - 1 < top else (hy[2 + r - 1 - stop] if r - 1 >= bottom else g.qy[p - 1])
            qy_down = hy[r + 1 - first + 2] if r + 1 < top else (
                hy[2 + r + 1 - stop] if r + 1 >= bottom else g.qy[p + 1]
            )
            if is_own and is_band_start:
                s[_ACT, :] = _ZERO
                s[_DEEPEST, :] = _ZERO
            fp = p * n.friction_stride

            # faces across the columns
            if r <= stop and r < n.rows:
                for k in range(tiles.run_count[band]):
                    c0 = tiles.runs[band, k, 0]
                    c1 = tiles.runs[band, k, 1]
                    h0 = s[_H + ring, c0 - 1 : c1]
                    h1 = s[_H + ring, c0 : c1 + 1]
                    a = g.ax[p, c0 : c1 + 1]
                    b = g.bx[p, c0 : c1 + 1]
                    hf = s[_HF, c0 : c1 + 1]
                    drop = s[_DROP, c0 : c1 + 1]
                    norm = s[_NORM, c0 : c1 + 1]
                    root = s[_IX + ring, c0 : c1 + 1]
                    out = s[_QX + ring, c0 : c1 + 1]
                    old = qx_row[c0 : c1 + 1]
                    _flow_depth(h0, h1, a, b, thin, hf)
                    if c0 != west_edge:  # the tile beyond sleeps: nothing crosses
                        hf[0] = _ZERO
                    if c1 != east_edge:
                        hf[c1 - c0] = _ZERO
                    _drop(h0, h1, a, b, drop)
                    _inverse_cube_root(hf, root)
                    _norm(old, qy_row[c0 - 1 : c1], qy_row[c0 : c1 + 1], qy_down[c0 - 1 : c1], qy_down[c0 : c1 + 1], norm)
                    bar = old
                    if is_centred:
                        bar = s[_BAR, c0 : c1 + 1]
                        _centred(qx_row[c0 - 1 : c1], old, qx_row[c0 + 1 : c1 + 2], theta, bar)
                    _discharge(bar, hf, drop, norm, root, g.friction_x[fp, c0 : c1 + 1], push_x, dt32, out)
                    if is_own:
                        _activity(out, hf, drop, push_x, s[_ACT, c0 : c1 + 1])
                        s[_ACT, c1 - 1] = max(s[_ACT, c1 - 1], s[_ACT, c1])
                        s[_ACT, c1] = _ZERO
                        _keep_most(hf, s[_DEEPEST, c0 : c1 + 1])
                        s[_DEEPEST, c1 - 1] = max(s[_DEEPEST, c1 - 1], s[_DEEPEST, c1])
                        s[_DEEPEST, c1] = _ZERO

            # faces across the rows
            if is_band_start or r == n.rows:
                s[_QY + ring, :] = _ZERO
            if r < n.rows or n.is_open:
                for k in range(tiles.run_count[band]):
                    c0 = tiles.runs[band, k, 0]
                    c1 = tiles.runs[band, k, 1]
                    h0 = s[_H + ring1, c0:c1]
                    h1 = s[_H + ring, c0:c1]
                    a = g.ay[p, c0:c1]
                    b = g.by[p, c0:c1]
                    hf = s[_HF, c0:c1]
                    drop = s[_DROP, c0:c1]
                    norm = s[_NORM, c0:c1]
                    root = s[_IY + ring, c0:c1]
                    out = s[_QY + ring, c0:c1]
                    old = qy_row[c0:c1]
                    _flow_depth(h0, h1, a, b, thin, hf)
                    if is_band_start and r > 0:
                        for t in range((c0 - PAD_COLUMNS) // COLUMNS, (c1 - 1 - PAD_COLUMNS) // COLUMNS + 1):
                            if not tiles.awake[band, t + 1]:
                                s[_HF, PAD_COLUMNS + t * COLUMNS : min(PAD_COLUMNS + (t + 1) * COLUMNS, c1)] = _ZERO
                    _drop(h0, h1, a, b, drop)
                    _inverse_cube_root(hf, root)
                    _norm(old, qx_up[c0:c1], qx_up[c0 + 1 : c1 + 1], qx_row[c0:c1], qx_row[c0 + 1 : c1 + 1], norm)
                    bar = old
                    if is_centred:
                        bar = s[_BAR, c0:c1]
                        _centred(qy_up[c0:c1], old, qy_down[c0:c1], theta, bar)
                    _discharge(bar, hf, drop, norm, root, g.friction_y[fp, c0:c1], push_y, dt32, out)
                    if is_own or r == n.rows:
                        _activity(out, hf, drop, push_y, s[_ACT, c0:c1])
                        _keep_most(hf, s[_DEEPEST, c0:c1])

            # what moved in this band of tiles
            if (is_own and (r % ROWS == ROWS - 1 or r == n.rows - 1)) or (r == n.rows and stop == n.rows):
                for k in range(tiles.run_count[band]):
                    c0 = tiles.runs[band, k, 0]
                    c1 = tiles.runs[band, k, 1]
                    for t in range((c0 - PAD_COLUMNS) // COLUMNS, (c1 - 1 - PAD_COLUMNS) // COLUMNS + 1):
                        left = PAD_COLUMNS + t * COLUMNS
                        if _most(s[_ACT, left : min(left + COLUMNS, c1)]) > rest:
                            tiles.moving[band + 1, t + 1] = 1
                        tiles.deepest[band, t] = _most(s[_DEEPEST, left : min(left + COLUMNS, c1)])

        # a row behind: what each cell can give, and the discharges that follow from it
        if r - 1 >= first - 1 and 0 <= r - 1 <= n.rows:
            above = min(r - 1, n.rows - 1) // ROWS
            for k in range(tiles.run_count[above]):
                c0 = tiles.runs[above, k, 0]
                c1 = tiles.runs[above, k, 1]
                if r - 1 <= stop and r - 1 < n.rows:
                    _donor_share(
                        s[_H + ring1, c0:c1], s[_QX + ring1, c0:c1], s[_QX + ring1, c0 + 1 : c1 + 1],
                        s[_QY + ring1, c0:c1], s[_QY + ring, c0:c1], per_x32, per_y32, s[_SHARE + ring1, c0:c1],
                    )  # fmt: skip
                if first <= r - 1 < stop:
                    q = s[_QX + ring1, c0 : c1 + 1]
                    _limit(s[_SHARE + ring1, c0 - 1 : c1], s[_SHARE + ring1, c0 : c1 + 1], q)
                    _copy(q, g.qx[p - 1, c0 : c1 + 1])
                    _speed_at_face(q, s[_IX + ring1, c0 : c1 + 1])
                if first <= r - 1 <= stop:
                    q = s[_QY + ring1, c0:c1]
                    _limit(s[_SHARE + ring2, c0:c1], s[_SHARE + ring1, c0:c1], q)
                    if r - 1 < stop or r - 1 == n.rows:
                        _copy(q, g.qy[p - 1, c0:c1])
                    _speed_at_face(q, s[_IY + ring1, c0:c1])

        # two rows behind: the water arrives
        if first <= r - 2 < stop:
            above = (r - 2) // ROWS
            lp = (p - 2) * n.loss_stride
            rp = (p - 2) * n.rain_stride
            for k in range(tiles.run_count[above]):
                c0 = tiles.runs[above, k, 0]
                c1 = tiles.runs[above, k, 1]
                depth = g.depth[p - 2, c0:c1]
                _fill(
                    s[_QX + ring2, c0:c1], s[_QX + ring2, c0 + 1 : c1 + 1], s[_QY + ring2, c0:c1],
                    s[_QY + ring1, c0:c1], g.rain_share[rp, c0:c1], per_x, per_y, rain, depth,
                )  # fmt: skip
                if n.loss_kind != NO_LOSS:
                    lost = g.lost[p - 2, c0:c1]
                    if n.loss_kind == GREEN_AMPT:
                        any_lost = _green_ampt(
                            g.conductivity[lp, c0:c1], g.suction[lp, c0:c1], g.deficit[lp, c0:c1], dt, depth, lost
                        )
                    else:
                        any_lost = _constant_loss(g.conductivity[lp, c0:c1], dt, depth, lost)
                    if any_lost:
                        tiles.moving[above + 1, (c0 - PAD_COLUMNS) // COLUMNS + 1 : (c1 - 1 - PAD_COLUMNS) // COLUMNS + 2] = 1
                after = s[_HNEW, c0:c1]
                _narrow(depth, after)
                _keep_most(after, g.peak_depth[p - 2, c0:c1])
                _peak_speed(
                    s[_IX + ring2, c0:c1], s[_IX + ring2, c0 + 1 : c1 + 1], s[_IY + ring2, c0:c1],
                    s[_IY + ring1, c0:c1], g.peak_speed2[p - 2, c0:c1],
                )  # fmt: skip
                before = s[_H + ring2, c0:c1]
                if _crossings(before, after, wet) > 0:
                    _note_crossings(before, after, wet, time_after, g.arrival[p - 2, c0:c1], g.end[p - 2, c0:c1])


# -- between the steps, by one thread ---------------------------------------------------------------------------------


@_plain
def _line(time_s: Any, value: Any, start: Any, stop: Any, t: Any) -> Any:
    """Linear between points, flat outside."""
    if t <= time_s[start]:
        return value[start]
    if t >= time_s[stop - 1]:
        return value[stop - 1]
    low = start
    high = stop - 1
    while high - low > 1:
        middle = (low + high) // 2
        if time_s[middle] <= t:
            low = middle
        else:
            high = middle
    part = (t - time_s[low]) / (time_s[high] - time_s[low])
    return value[low] + part * (value[high] - value[low])


@_plain
def _under_line(time_s: Any, value: Any, start: Any, stop: Any, t0: Any, t1: Any) -> Any:
    """The area under a line between two times, exact: knots between them count."""
    total = 0.0
    at = t0
    v_at = _line(time_s, value, start, stop, t0)
    for k in range(start, stop):
        if t0 < time_s[k] < t1:
            total += 0.5 * (v_at + value[k]) * (time_s[k] - at)
            at = time_s[k]
            v_at = value[k]
    return total + 0.5 * (v_at + _line(time_s, value, start, stop, t1)) * (t1 - at)


@_plain
def _fallen(f: Any, t: Any) -> Any:
    """Rain since the start, m. Past the last time it goes on at the last rate: the last two points give it."""
    last = f.rain_s.size - 1
    if t <= f.rain_s[last]:
        return _line(f.rain_s, f.rain_m, 0, last + 1, t)
    rate = (f.rain_m[last] - f.rain_m[last - 1]) / (f.rain_s[last] - f.rain_s[last - 1])
    return f.rain_m[last] + rate * (t - f.rain_s[last])


@_plain
def _wake(tiles: Any, row: Any, column: Any) -> None:
    tiles.moving[(row - PAD_ROWS) // ROWS + 1, (column - PAD_COLUMNS) // COLUMNS + 1] = 1


@_plain
def _choose_runs(n: Any, g: Any, tiles: Any, team: Any) -> None:
    """Which tiles are swept next: those that move and the eight around each. Sleeping faces carry nothing."""
    bands = tiles.run_count.size
    columns = tiles.never.shape[1] - 2
    every = team.counts[ALL_AWAKE] == 1
    low = bands
    high = -1
    cells = 0
    from_band = 0 if every else max(team.counts[FIRST_ROW] // ROWS - 1, 0)
    to_band = bands - 1 if every else min(team.counts[LAST_ROW] // ROWS + 1, bands - 1)
    for band in range(from_band, to_band + 1):
        count = 0
        is_in_run = False
        rows = min(ROWS, n.rows - band * ROWS)
        for t in range(columns):
            wanted = not tiles.never[band + 1, t + 1]
            if wanted and not every:
                m = tiles.moving
                wanted = (
                    m[band, t] | m[band, t + 1] | m[band, t + 2] | m[band + 1, t] | m[band + 1, t + 1]
                    | m[band + 1, t + 2] | m[band + 2, t] | m[band + 2, t + 1] | m[band + 2, t + 2]
                ) != 0  # fmt: skip
            left = PAD_COLUMNS + t * COLUMNS
            right = min(left + COLUMNS, PAD_COLUMNS + n.columns)
            if wanted:
                if not is_in_run:
                    tiles.runs[band, count, 0] = left
                    count += 1
                tiles.runs[band, count - 1, 1] = right
                cells += (right - left) * rows
            elif tiles.awake[band + 1, t + 1]:
                top = PAD_ROWS + band * ROWS
                g.qx[top : top + rows, left:right] = _ZERO
                g.qy[top : top + rows, left:right] = _ZERO
            tiles.awake[band + 1, t + 1] = wanted
            is_in_run = wanted
        tiles.run_count[band] = count
        if count:
            low = min(low, band)
            high = band
    for band in range(from_band, to_band + 1):
        tiles.moving[band + 1, :] = 0
    team.counts[FIRST_ROW] = low * ROWS
    team.counts[LAST_ROW] = min(high * ROWS + ROWS, n.rows) - 1
    team.counts[CELL_STEPS] += cells


@_plain
def _step_length(n: Any, f: Any, g: Any, team: Any) -> Any:
    """Courant's condition on the deepest face; an inflow may not drown its own cells within the step."""
    t = team.clock[TIME]
    deepest = team.clock[DEEPEST]
    length = min(n.dx_m, n.dy_m)
    dt = n.max_step_s
    for _ in range(3 if f.inflow_from.size > 1 else 1):
        bound = deepest
        for k in range(f.inflow_from.size - 1):
            start = f.inflow_cell_from[k]
            stop = f.inflow_cell_from[k + 1]
            rate = _line(f.inflow_s, f.inflow_m3_per_s, f.inflow_from[k], f.inflow_from[k + 1], t)
            rise = rate * dt / ((stop - start) * n.dx_m * n.dy_m)
            for c in range(start, stop):
                bound = max(bound, g.depth[f.inflow_cell[c, 0], f.inflow_cell[c, 1]] + rise)
        if bound > 0.0:
            dt = min(n.max_step_s, n.courant * length / np.sqrt(GRAVITY_M_PER_S2 * bound))
    return dt


@_plain
def _outer_depths(n: Any, g: Any) -> None:
    """Open edges: beyond the edge the surface goes on falling as it does before it, and never rises."""
    left = PAD_COLUMNS
    right = PAD_COLUMNS + n.columns - 1
    top = PAD_ROWS
    bottom = PAD_ROWS + n.rows - 1
    for p in range(top, bottom + 1):
        for side in range(2):
            c = left if side == 0 else right
            inner = c + 1 if side == 0 else c - 1
            face = c + 1 if side == 0 else c
            fall = 0.0
            if n.columns > 1:
                a = np.float64(g.bx[p, face] if side == 0 else g.ax[p, face])  # face bed above the inner cell
                b = np.float64(g.ax[p, face] if side == 0 else g.bx[p, face])  # ... above the edge cell
                fall = max((g.depth[p, inner] - a) - (g.depth[p, c] - b), 0.0)
            g.depth[p, c - 1 if side == 0 else c + 1] = g.depth[p, c] - fall
    for c in range(left, right + 1):
        for side in range(2):
            p = top if side == 0 else bottom
            inner = p + 1 if side == 0 else p - 1
            face = p + 1 if side == 0 else p
            fall = 0.0
            if n.rows > 1:
                a = np.float64(g.by[face, c] if side == 0 else g.ay[face, c])
                b = np.float64(g.ay[face, c] if side == 0 else g.by[face, c])
                fall = max((g.depth[inner, c] - a) - (g.depth[p, c] - b), 0.0)
            g.depth[p - 1 if side == 0 else p + 1, c] = g.depth[p, c] - fall


@_plain
def _prepare(n: Any, g: Any, f: Any, tiles: Any, team: Any) -> None:
    t = team.clock[TIME]
    dt = _step_length(n, f, g, team)
    left = team.clock[STOP_AT] - t
    if dt >= left * (1.0 - 1e-12):
        dt = left
    elif dt > 0.5 * left:
        dt = 0.5 * left  # two even steps, not a long one and a sliver
    team.clock[DT] = dt
    team.clock[RAIN] = _fallen(f, t + dt) - _fallen(f, t)
    if team.clock[RAIN] > 0.0 or n.always_all:
        team.counts[ALL_AWAKE] = 1
    if n.is_open:
        _outer_depths(n, g)
    _choose_runs(n, g, tiles, team)
    team.counts[ALL_AWAKE] = 0
    team.sync[8] = 0
    team.sync[16] = 0


@_plain
def _conclude(n: Any, g: Any, f: Any, tiles: Any, team: Any) -> None:
    """After a sweep: what came in by the edges, the inflows and the held levels; the clock."""
    t = team.clock[TIME]
    dt = team.clock[DT]
    is_last = t + dt >= team.clock[STOP_AT] * (1.0 - 1e-15)
    t1 = team.clock[STOP_AT] if is_last and dt >= (team.clock[STOP_AT] - t) * (1.0 - 1e-12) else t + dt
    area = n.dx_m * n.dy_m
    team.clock[DEEPEST] = np.float64(_most(tiles.deepest.ravel()))

    if n.is_open:
        left = PAD_COLUMNS
        right = PAD_COLUMNS + n.columns
        top = PAD_ROWS
        bottom = PAD_ROWS + n.rows
        across = 0.0
        down = 0.0
        for p in range(top, bottom):
            across += np.float64(g.qx[p, right]) - np.float64(g.qx[p, left])
        for c in range(left, right):
            down += np.float64(g.qy[bottom, c]) - np.float64(g.qy[top, c])
        team.clock[OUTFLOW_M3] += dt * (across * n.dy_m + down * n.dx_m)

    low = team.counts[FIRST_ROW]
    high = team.counts[LAST_ROW]
    for k in range(f.inflow_from.size - 1):
        volume = _under_line(f.inflow_s, f.inflow_m3_per_s, f.inflow_from[k], f.inflow_from[k + 1], t, t1)
        if volume > 0.0:
            start = f.inflow_cell_from[k]
            stop = f.inflow_cell_from[k + 1]
            rise = volume / ((stop - start) * area)
            team.clock[INFLOW_M3] += volume
            for c in range(start, stop):
                row = f.inflow_cell[c, 0]
                column = f.inflow_cell[c, 1]
                g.depth[row, column] += rise
                g.peak_depth[row, column] = max(g.peak_depth[row, column], np.float32(g.depth[row, column]))
                if np.float32(g.depth[row, column]) > np.float32(n.wet_depth_m):
                    g.arrival[row, column] = min(g.arrival[row, column], np.float32(t1))
                _wake(tiles, row, column)
                low = min(low, row - PAD_ROWS)
                high = max(high, row - PAD_ROWS)

    came = 0.0
    went = 0.0
    stage_now = -1
    level = 0.0
    has_changed = False
    for c in range(f.held_cell.shape[0]):
        row = f.held_cell[c, 0]
        column = f.held_cell[c, 1]
        if f.held_cell[c, 2] != stage_now:
            stage_now = f.held_cell[c, 2]
            start = f.stage_from[stage_now]
            stop = f.stage_from[stage_now + 1]
            level = _line(f.stage_s, f.stage_m, start, stop, t1)
            has_changed = level != _line(f.stage_s, f.stage_m, start, stop, t)
        gave = f.held_depth[c] - g.depth[row, column]
        if gave > 0.0:
            came += gave
        else:
            went -= gave
        if has_changed:
            f.held_depth[c] = max(level - f.held_bed[c], 0.0)
            _wake(tiles, row, column)
            low = min(low, row - PAD_ROWS)
            high = max(high, row - PAD_ROWS)
        g.depth[row, column] = f.held_depth[c]
    team.clock[BOUNDARY_IN_M3] += came * area
    team.clock[BOUNDARY_OUT_M3] += went * area

    team.counts[FIRST_ROW] = low
    team.counts[LAST_ROW] = high
    team.clock[RAIN_M] += team.clock[RAIN]
    team.clock[TIME] = t1
    team.counts[STEPS] += 1
    if not team.clock[DEEPEST] < 1e5:
        team.counts[BROKEN] = 1


@_plain
def deepest_face(n: Any, g: Any) -> Any:
    """Over all faces, awake or not: what the first step after a sudden change has to know."""
    deepest = 0.0
    for p in range(PAD_ROWS, PAD_ROWS + n.rows):
        for c in range(PAD_COLUMNS, PAD_COLUMNS + n.columns):
            here = g.depth[p, c]
            deepest = max(deepest, g.depth[p, c - 1] - g.ax[p, c], here - g.bx[p, c])
            deepest = max(deepest, g.depth[p - 1, c] - g.ay[p, c], here - g.by[p, c])
    return deepest


@_plain
def advance(n: Any, g: Any, f: Any, tiles: Any, team: Any, thread: Any, steps: Any) -> None:
    """Up to `steps` steps or until clock[STOP_AT]; every thread of a team calls this with its own number."""
    chunks = tiles.bands.size - 1
    scratch = team.scratch[thread]
    for _ in range(steps):
        if thread == 0:
            team.counts[STOP] = team.clock[TIME] >= team.clock[STOP_AT] or team.counts[BROKEN] != 0
            if not team.counts[STOP]:
                _prepare(n, g, f, tiles, team)
        _meet(team.sync, n.threads)
        if team.counts[STOP]:
            return
        dt = team.clock[DT]
        rain = team.clock[RAIN]
        after = np.float32(team.clock[TIME] + dt)
        low = team.counts[FIRST_ROW]
        high = team.counts[LAST_ROW]
        if chunks == 1:
            _sweep(
                n, g, tiles, scratch, g.depth, g.qx, g.qy, 0, n.rows, -n.rows - 9, 2 * n.rows + 9,
                dt, rain, after, low, high,
            )  # fmt: skip
        else:
            chunk = _atomic_add(team.sync, 8)
            while chunk < chunks:
                first = tiles.bands[chunk]
                stop = tiles.bands[chunk + 1]
                if high >= first - 2 and low <= stop + 2:
                    for k in range(HALO):
                        p = PAD_ROWS + (first - 2 + k if k < 2 else stop + k - 2)
                        team.halo_depth[chunk, k, :] = g.depth[p]
                        team.halo_qx[chunk, k, :] = g.qx[p]
                        team.halo_qy[chunk, k, :] = g.qy[p]
                chunk = _atomic_add(team.sync, 8)
            _meet(team.sync, n.threads)
            chunk = _atomic_add(team.sync, 16)
            while chunk < chunks:
                first = tiles.bands[chunk]
                stop = tiles.bands[chunk + 1]
                if high >= first - 2 and low <= stop + 2:
                    _sweep(
                        n, g, tiles, scratch, team.halo_depth[chunk], team.halo_qx[chunk], team.halo_qy[chunk],
                        first, stop, first, stop, dt, rain, after, low, high,
                    )  # fmt: skip
                chunk = _atomic_add(team.sync, 16)
        _meet(team.sync, n.threads)
        if thread == 0:
            _conclude(n, g, f, tiles, team)
