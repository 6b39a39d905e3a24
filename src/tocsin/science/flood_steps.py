"""The compiled time steps of the flood kernel: one fused sweep over the tiles of the grid that move.

`shallow_water.simulate` is the way in; this module is imported only when a run starts, because it imports Numba.

How a step is laid out, and why:

- A step goes down the rows once. Four phases follow each other at a lag of a row, on rows that are still in the first
  cache: new discharges (faces), the donor's share (limit), the limited discharges (settle), depth and peaks (fill).
- Each inner loop writes one array and reads few, so that the compiler proves them independent and vectorises them.
- The depth is float64, everything else that is swept is float32. What leaves a cell is what enters the next to 2^-53.
- Tiles of ROWS x COLUMNS cells sleep while nothing can move in them or in the eight tiles around them.
- One file, though long: Numba's cache on the disk looks only at the file of the function that is called from outside.
- Threads take bands of rows, more bands than threads. Each band first copies the old rows around it, so that the sum
  in every cell is the same sum, bit by bit, with any number of threads.
"""

# ruff: noqa: ARG001  (Numba calls the code generators of its intrinsics with arguments that some do not need)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.core.compiler import Compiler
from numba.extending import intrinsic
from numpy.typing import NDArray

ROWS = 8  # of a tile
COLUMNS = 16
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
_TINY = np.float32(1e-7)
_MAGIC = np.int32(1418472267)  # 4/3 of float32's exponent bias, less what makes the worst guess best; any value near works
_SPARED = np.float32(1.0 - 1e-6)  # the share of a cell that may leave it in one step: below 1 by more than rounding

# rows of the scratch that each thread owns; those up to _SHARE are rings of four, by row & 3
_H, _QX, _QY, _HX, _HY, _SHARE = 0, 4, 8, 12, 16, 20
_ACT, _DEEPEST, _HNEW, _WETTED, _BEYOND = 24, 25, 26, 27, 28
SCRATCH_ROWS = 29

NORTH, SOUTH, WEST, EAST, ANY = 1, 2, 4, 8, 16  # where water of a tile touches
LOOK_AGAIN = 64  # steps after which every tile with water is looked at, however still it lay
_HASTE = np.float32(16.0)  # at rest the slope may add in a step only 1/16 of the discharge that counts as rest

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
    stirred: NDArray[np.uint8]
    touch: NDArray[np.uint8]  # NORTH .. ANY
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
    halo_depth: NDArray[np.float64]  # (chunk x HALO, width)
    halo_qx: NDArray[np.float32]
    halo_qy: NDArray[np.float32]


STEPS, CELL_STEPS, FIRST_ROW, LAST_ROW, STOP, ALL_AWAKE, BROKEN = range(7)
TIME, DT, RAIN, STOP_AT, INFLOW_M3, BOUNDARY_IN_M3, BOUNDARY_OUT_M3, OUTFLOW_M3, RAIN_M, DEEPEST = range(10)


class _Apart(Compiler):
    """Tells LLVM that what an inner loop writes is none of what it reads, which holds for all of them: it then vectorises at once
    and does not compare a dozen places first. On short rows that is a third of the time."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call]
        self.state.flags.noalias = True


_Compile = Callable[[Callable[..., Any]], Any]
# No reassociation: the order of sums is part of the answer. No fusing where a sum of products can be fused in two ways: copies of
# a loop, of which the compiler makes some, would differ in the last bit.
_FAST: Any = {"nnan", "ninf", "nsz"}
_FUSED: Any = {*_FAST, "contract"}
_row: _Compile = njit(nogil=True, cache=True, error_model="numpy", fastmath=_FAST, forceinline=True, pipeline_class=_Apart)
_one: _Compile = njit(nogil=True, cache=True, error_model="numpy", fastmath=_FUSED, forceinline=True)
_plain: _Compile = njit(nogil=True, cache=True, error_model="numpy")
_word: _Compile = intrinsic
_item_pointer: Any = cgutils.get_item_pointer
_pointer_to: Any = types.CPointer


# -- three words of the machine that Numba has no name for -----------------------------------------------------------


@_word
def _bits_of(typingctx: Any, value: Any) -> Any:
    """The bits of a float32, as an int32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@_word
def _float_of(typingctx: Any, bits: Any) -> Any:
    """The float32 with these bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


def _element(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    view = context.make_array(array_type)(context, builder, array)
    return _item_pointer(context, builder, array_type, view, [index])


@_word
def _at(typingctx: Any, array: Any, row: Any, column: Any) -> Any:
    """The place of an element of a 2-D array. Unlike a slice it counts no references, wraps no index and is one word."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, args[0])
        return _item_pointer(context, builder, signature.args[0], view, [args[1], args[2]])

    return _pointer_to(array.dtype)(array, types.intp, types.intp), codegen


@_word
def _on(typingctx: Any, place: Any, count: Any) -> Any:
    """The place `count` elements further on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return place(place, types.intp), codegen


@_word
def _atomic_add(typingctx: Any, array: Any, index: Any) -> Any:
    """Add one to an int64 that threads share; the value before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(array, types.intp), codegen


@_word
def _atomic_read(typingctx: Any, array: Any, index: Any) -> Any:
    """An int64 that threads share, as it is now."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _element(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(array, types.intp), codegen


_sched_yield: Any = types.ExternalFunction("sched_yield", types.int32())


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
def _narrow(size: Any, depth: Any, out: Any) -> None:
    for i in range(size):
        out[i] = np.float32(depth[i])


@_one
def _inverse_cube_root(x: Any) -> Any:
    """x^(-1/3) to the last bit but one of a float32, without a call: a guess from the bits, a cubic and a Newton step.

    With c = 1 - x y^3: x^(-1/3) = y (1 - c)^(-1/3) = y (1 + c/3 + 2 c^2/9 + ...).
    """
    y = _float_of(np.int32(_MAGIC - np.int32(np.float32(_bits_of(x)) * _THIRD)))
    c = _ONE - x * y * y * y
    y = y + y * c * (_THIRD + _TWO_NINTHS * c)
    c = _ONE - x * y * y * y
    return y + y * c * _THIRD


@_row
def _discharge(
    size: Any, h0: Any, h1: Any, a: Any, b: Any, before: Any, old: Any, after: Any, t: Any, u: Any, friction: Any,
    theta: Any, thin: Any, push: Any, dt: Any, hf: Any, out: Any, most: Any, deepest: Any,
) -> None:  # fmt: skip
    """Bates et al. 2010, eq. 11, with the norm of the discharge vector: a face's own, and the mean of the four across it.

    The depth of the flow is the higher surface less the face's bed, 0 where too thin to flow; the fall is taken from differences
    of beds, so that height above the sea costs no digits. t and u start at the first of the two faces on either side. The
    friction's depth^(-7/3) is the seventh power of a root. `most` notes what moves, or is about to (the discharge, and what the
    slope adds to it in a step), and `deepest` how deep it is.
    """
    side = _HALF * (_ONE - theta)
    for i in range(size):
        left = h0[i] - a[i]
        right = h1[i] - b[i]
        high = left if left > right else right
        deep = high if high > thin else _ZERO
        drop = left - right
        bar = theta * old[i] + side * (before[i] + after[i])
        across = _QUARTER * ((t[i] + t[i + 1]) + (u[i] + u[i + 1]))
        own = max(abs(bar), abs(old[i]))  # what the neighbours bring rubs too, or it would rush over a thin edge
        norm = np.sqrt(own * own + across * across)
        r = _inverse_cube_root(deep if deep > _TINY else _TINY)
        r2 = r * r
        drag = dt * friction[i] * norm * (r2 * r2) * (r2 * r)
        pushed = push * deep * drop
        q = (bar + pushed) / (_ONE + drag)
        q = q if deep > _ZERO else _ZERO
        out[i] = q
        hf[i] = deep
        moved = abs(q)
        hasty = _HASTE * abs(pushed)
        more = moved if moved > hasty else hasty
        most[i] = more if more > most[i] else most[i]
        deepest[i] = deep if deep > deepest[i] else deepest[i]


@_row
def _donor_share(size: Any, h: Any, west: Any, east: Any, north: Any, south: Any, per_x: Any, per_y: Any, out: Any) -> None:
    """The share of what its faces ask for that a cell can give."""
    for i in range(size):
        leaves = per_x * (max(east[i], _ZERO) - min(west[i], _ZERO)) + per_y * (max(south[i], _ZERO) - min(north[i], _ZERO))
        can = _SPARED * max(h[i], _ZERO)  # beyond an open edge the depth is a slope's, and may be below 0
        out[i] = can / leaves if leaves > can else _ONE


@_row
def _limit(size: Any, share_before: Any, share_after: Any, q: Any, out: Any) -> None:
    for i in range(size):
        before = share_before[i]  # both are loaded, then one is chosen: a load under a condition is not vectorised
        after = share_after[i]
        out[i] = q[i] * (before if q[i] > _ZERO else after)


@_row
def _copy(size: Any, values: Any, out: Any) -> None:
    for i in range(size):
        out[i] = values[i]


@_row
def _clear(size: Any, out: Any) -> None:
    for i in range(size):
        out[i] = _ZERO


@_row
def _fill(size: Any, qx: Any, north: Any, south: Any, share: Any, per_x: Any, per_y: Any, rain: Any, depth: Any) -> None:
    for i in range(size):
        along = np.float64(qx[i]) - np.float64(qx[i + 1])
        down = np.float64(north[i]) - np.float64(south[i])
        depth[i] = depth[i] + ((per_x * along + per_y * down) + rain * np.float64(share[i]))


@_row
def _settle(size: Any, depth: Any, after: Any, peak: Any) -> None:
    for i in range(size):
        deep = np.float32(depth[i])
        after[i] = deep
        peak[i] = deep if deep > peak[i] else peak[i]


@_row
def _peak_speed(size: Any, qx: Any, hx: Any, north: Any, hn: Any, south: Any, hs: Any, peak: Any) -> None:
    """Of the mean speeds over opposite faces. Dry faces carry nothing, so any depth does for them."""
    for i in range(size):
        u = qx[i] / max(hx[i], _TINY) + qx[i + 1] / max(hx[i + 1], _TINY)
        v = north[i] / max(hn[i], _TINY) + south[i] / max(hs[i], _TINY)
        speed2 = _QUARTER * (u * u + v * v)
        peak[i] = speed2 if speed2 > peak[i] else peak[i]


@_row
def _cross(size: Any, before: Any, after: Any, wet: Any, wetted: Any) -> Any:
    """How many cells became wet or dry; and in `wetted`, the most water that each has held."""
    count = np.int32(0)
    for i in range(size):
        most = before[i] if before[i] > after[i] else after[i]
        wetted[i] = most if most > wetted[i] else wetted[i]
        count += np.int32((before[i] > wet) != (after[i] > wet))
    return count


@_row
def _note_crossings(size: Any, before: Any, after: Any, wet: Any, time: Any, arrival: Any, end: Any) -> None:
    for i in range(size):
        if after[i] > wet and not before[i] > wet:
            arrival[i] = min(arrival[i], time)
        elif before[i] > wet and not after[i] > wet:
            end[i] = time


@_row
def _green_ampt(size: Any, k: Any, suction: Any, deficit: Any, dt: Any, depth: Any, lost: Any) -> Any:
    """Infiltration in a step; Li, Stevens & Simons 1976: the implicit equation's increment as a root of a square."""
    any_lost = False
    for i in range(size):
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
def _constant_loss(size: Any, k: Any, dt: Any, depth: Any, lost: Any) -> Any:
    any_lost = False
    for i in range(size):
        takes = min(k[i] * dt, depth[i])
        depth[i] -= takes
        lost[i] += takes
        any_lost |= takes > 0.0
    return any_lost


@_row
def _most(size: Any, values: Any) -> Any:
    """The largest of values that are not below 0: their bits have the same order, and integers vectorise."""
    most = np.int32(0)
    for i in range(size):
        bits = _bits_of(values[i])
        most = bits if bits > most else most
    return _float_of(most)


# -- one chunk of rows, one step --------------------------------------------------------------------------------------


@_row
def _old_row(now: Any, halo: Any, width: Any, r: Any, first: Any, stop: Any, top: Any, bottom: Any) -> Any:
    """Row r as it was before this step: other chunks may have changed what lies outside first..stop-1."""
    if r < top:
        return _on(halo, (r - first + 2) * width)
    if r >= bottom:
        return _on(halo, (2 + r - stop) * width)
    return _on(now, (r + PAD_ROWS) * width)


@_plain
def _sweep(
    n: Any, g: Any, tiles: Any, team: Any, s: Any, halo_row: Any, first: Any, stop: Any, top: Any, bottom: Any, dt: Any,
    rain: Any, time_after: Any, lowest: Any, highest: Any,
) -> None:  # fmt: skip
    """Rows first..stop-1, in place. Rows above `top` and from `bottom` on are read from the halo."""
    # places, not arrays, from here on: each mention of an array would count a reference, and that is slow
    width = g.qx.shape[1]
    depth_ = _at(g.depth, 0, 0)
    qx_ = _at(g.qx, 0, 0)
    qy_ = _at(g.qy, 0, 0)
    ax_ = _at(g.ax, 0, 0)
    bx_ = _at(g.bx, 0, 0)
    ay_ = _at(g.ay, 0, 0)
    by_ = _at(g.by, 0, 0)
    friction_x_ = _at(g.friction_x, 0, 0)
    friction_y_ = _at(g.friction_y, 0, 0)
    rain_share_ = _at(g.rain_share, 0, 0)
    conductivity_ = _at(g.conductivity, 0, 0)
    suction_ = _at(g.suction, 0, 0)
    deficit_ = _at(g.deficit, 0, 0)
    lost_ = _at(g.lost, 0, 0)
    peak_depth_ = _at(g.peak_depth, 0, 0)
    peak_speed2_ = _at(g.peak_speed2, 0, 0)
    arrival_ = _at(g.arrival, 0, 0)
    end_ = _at(g.end, 0, 0)
    hd = _at(team.halo_depth, halo_row, 0)
    hx = _at(team.halo_qx, halo_row, 0)
    hy = _at(team.halo_qy, halo_row, 0)
    runs = tiles.runs
    run_count = tiles.run_count
    awake = tiles.awake
    moving = tiles.moving
    touch = tiles.touch
    deepest = tiles.deepest
    theta = np.float32(n.theta)
    thin = np.float32(n.flow_depth_m)
    wet = np.float32(n.wet_depth_m)
    dt32 = np.float32(dt)
    per_x = dt / n.dx_m
    per_y = dt / n.dy_m
    rest = np.float32(n.rest_m2_per_s)

    for r in range(max(first - 2, lowest - 2), min(stop + 1, highest + 2) + 1):
        ring = r & 3
        ring1 = (r - 1) & 3
        ring2 = (r - 2) & 3
        p = r + PAD_ROWS
        band = min(max(r, 0), n.rows - 1) // ROWS
        is_band_start = r >= 0 and r % ROWS == 0 and r < n.rows
        is_own = first <= r < stop

        # the old depth of this row, in float32
        if r <= n.rows:
            depth_row = _old_row(depth_, hd, width, r, first, stop, top, bottom)
            for k in range(run_count[band]):
                c0 = runs[band, k, 0]
                c1 = runs[band, k, 1]
                _narrow(c1 - c0 + 2, _on(depth_row, c0 - 1), _at(s, _H + ring, c0 - 1))
                if is_band_start and r > 0:
                    for left in range(c0, c1, COLUMNS):
                        if not awake[band, (left - PAD_COLUMNS) // COLUMNS + 1]:
                            row = _old_row(depth_, hd, width, r - 1, first, stop, top, bottom)
                            _narrow(COLUMNS, _on(row, left), _at(s, _H + ring1, left))

        # new discharges: over the faces across the columns (side 0), then across the rows (side 1)
        if r >= first - 1 and 0 <= r <= n.rows:
            if is_own and is_band_start:
                _clear(2 * s.shape[1], _at(s, _ACT, 0))  # and _DEEPEST, the row after it
            if is_band_start or r == n.rows:
                _clear(s.shape[1], _at(s, _QY + ring, 0))
            for side in range(2):
                if r == n.rows and not (side == 1 and n.is_open):
                    continue
                if side == 0 and r > stop:
                    continue
                if side == 0:
                    q_row = _old_row(qx_, hx, width, r, first, stop, top, bottom)
                    t_row = _old_row(qy_, hy, width, r, first, stop, top, bottom)
                    u_row = _old_row(qy_, hy, width, r + 1, first, stop, top, bottom)
                    before_row = q_row
                    after_row = q_row
                    h_row = _at(s, _H + ring, 0)
                    a_row = _on(ax_, p * width)
                    b_row = _on(bx_, p * width)
                    friction = _on(friction_x_, (p * n.friction_stride) * width)
                    hf_row = _at(s, _HX + ring, 0)
                    out_row = _at(s, _QX + ring, 0)
                    push = np.float32(GRAVITY_M_PER_S2 * dt / n.dx_m)
                else:
                    q_row = _old_row(qy_, hy, width, r, first, stop, top, bottom)
                    t_row = _old_row(qx_, hx, width, r - 1, first, stop, top, bottom)
                    u_row = _old_row(qx_, hx, width, r, first, stop, top, bottom)
                    before_row = _old_row(qy_, hy, width, r - 1, first, stop, top, bottom)
                    after_row = _old_row(qy_, hy, width, r + 1, first, stop, top, bottom)
                    h_row = _at(s, _H + ring1, 0)
                    a_row = _on(ay_, p * width)
                    b_row = _on(by_, p * width)
                    friction = _on(friction_y_, (p * n.friction_stride) * width)
                    hf_row = _at(s, _HY + ring, 0)
                    out_row = _at(s, _QY + ring, 0)
                    push = np.float32(GRAVITY_M_PER_S2 * dt / n.dy_m)
                along = 1 - side  # the next face, the next cell: a column on where faces lie across the columns
                for k in range(run_count[band]):
                    c0 = runs[band, k, 0]
                    c1 = runs[band, k, 1]
                    size = (c1 - c0) // COLUMNS * COLUMNS  # says to the compiler that nothing remains
                    h0 = _on(h_row, c0 - along)
                    h1 = _at(s, _H + ring, c0)
                    a = _on(a_row, c0)
                    b = _on(b_row, c0)
                    hf = _on(hf_row, c0)
                    out = _on(out_row, c0)
                    _discharge(
                        size, h0, h1, a, b, _on(before_row, c0 - along), _on(q_row, c0), _on(after_row, c0 + along),
                        _on(t_row, c0 - along), _on(u_row, c0 - along), _on(friction, c0), theta, thin, push, dt32,
                        hf, out, _at(s, _ACT, c0), _at(s, _DEEPEST, c0),
                    )  # fmt: skip
                    if side == 0:  # where the tile beyond sleeps, nothing crosses
                        if c0 != PAD_COLUMNS:
                            out[0] = _ZERO
                        out[size] = _ZERO
                    elif is_band_start and r > 0:
                        for left in range(c0, c1, COLUMNS):
                            if not awake[band, (left - PAD_COLUMNS) // COLUMNS + 1]:
                                _clear(COLUMNS, _on(out_row, left))

            # what moved in this band of tiles
            if (is_own and (r % ROWS == ROWS - 1 or r == n.rows - 1)) or (r == n.rows and stop == n.rows):
                for k in range(run_count[band]):
                    c1 = runs[band, k, 1]
                    for left in range(runs[band, k, 0], c1, COLUMNS):
                        t = (left - PAD_COLUMNS) // COLUMNS
                        if _most(COLUMNS, _at(s, _ACT, left)) > rest:
                            moving[band + 1, t + 1] = 1
                        deepest[band, t] = _most(COLUMNS, _at(s, _DEEPEST, left))

        # a row behind: what each cell can give, and the discharges that follow from it
        if r - 1 >= first - 1 and 0 <= r - 1 <= n.rows:
            above = min(r - 1, n.rows - 1) // ROWS
            if r - 1 == stop:  # what the next band's sleeping tiles let through is nothing
                _clear(s.shape[1], _at(s, _BEYOND, 0))
            for k in range(run_count[above]):
                c0 = runs[above, k, 0]
                size = (runs[above, k, 1] - c0) // COLUMNS * COLUMNS
                if r - 1 <= stop and r - 1 < n.rows:
                    _donor_share(
                        size, _at(s, _H + ring1, c0), _at(s, _QX + ring1, c0), _at(s, _QX + ring1, c0 + 1),
                        _at(s, _QY + ring1, c0), _at(s, _QY + ring, c0), np.float32(per_x), np.float32(per_y),
                        _at(s, _SHARE + ring1, c0),
                    )  # fmt: skip
                if first <= r - 1 < stop:
                    _limit(
                        size, _at(s, _SHARE + ring1, c0 - 1), _at(s, _SHARE + ring1, c0),
                        _at(s, _QX + ring1, c0), _on(qx_, (p - 1) * width + c0),
                    )  # fmt: skip
                if first <= r - 1 <= stop:
                    is_mine = r - 1 < stop or r - 1 == n.rows
                    _limit(
                        size, _at(s, _SHARE + ring2, c0), _at(s, _SHARE + ring1, c0), _at(s, _QY + ring1, c0),
                        _on(qy_, (p - 1) * width + c0) if is_mine else _at(s, _BEYOND, c0),
                    )  # fmt: skip

        # two rows behind: the water arrives
        if first <= r - 2 < stop:
            above = (r - 2) // ROWS
            is_first = (r - 2) % ROWS == 0
            is_last = (r - 2) % ROWS == ROWS - 1 or r - 2 == n.rows - 1
            lp = (p - 2) * n.loss_stride
            rp = (p - 2) * n.rain_stride
            for k in range(run_count[above]):
                c0 = runs[above, k, 0]
                c1 = runs[above, k, 1]
                size = (c1 - c0) // COLUMNS * COLUMNS
                depth = _on(depth_, (p - 2) * width + c0)
                qx = _on(qx_, (p - 2) * width + c0)
                north = _on(qy_, (p - 2) * width + c0)
                south = _on(qy_, (p - 1) * width + c0) if r - 1 < stop or r - 1 == n.rows else _at(s, _BEYOND, c0)
                _fill(size, qx, north, south, _on(rain_share_, rp * width + c0), per_x, per_y, rain, depth)
                if n.loss_kind != NO_LOSS:
                    lost = _on(lost_, (p - 2) * width + c0)
                    conductivity = _on(conductivity_, lp * width + c0)
                    if n.loss_kind == GREEN_AMPT:
                        any_lost = _green_ampt(
                            size, conductivity, _on(suction_, lp * width + c0), _on(deficit_, lp * width + c0), dt, depth, lost
                        )
                    else:
                        any_lost = _constant_loss(size, conductivity, dt, depth, lost)
                    if any_lost:
                        for left in range(c0, c1, COLUMNS):
                            moving[above + 1, (left - PAD_COLUMNS) // COLUMNS + 1] = 1
                before = _at(s, _H + ring2, c0)
                after = _at(s, _HNEW, c0)
                _settle(size, depth, after, _on(peak_depth_, (p - 2) * width + c0))
                _peak_speed(
                    size, qx, _at(s, _HX + ring2, c0), north, _at(s, _HY + ring2, c0), south,
                    _at(s, _HY + ring1, c0), _on(peak_speed2_, (p - 2) * width + c0),
                )  # fmt: skip
                wetted = _at(s, _WETTED, c0)
                if is_first:
                    _clear(size, wetted)
                if _cross(size, before, after, wet, wetted) > 0:
                    arrival = _on(arrival_, (p - 2) * width + c0)
                    _note_crossings(size, before, after, wet, time_after, arrival, _on(end_, (p - 2) * width + c0))

                # where the water of each tile touches the next one
                if is_first or is_last:
                    for left in range(c0, c1, COLUMNS):
                        t = (left - PAD_COLUMNS) // COLUMNS
                        touches = touch[above + 1, t + 1]
                        if is_first:
                            touches = NORTH if _most(COLUMNS, _at(s, _WETTED, left)) > _ZERO else 0
                        if is_last:
                            touches |= WEST if s[_WETTED, left] > _ZERO else 0
                            touches |= EAST if s[_WETTED, left + COLUMNS - 1] > _ZERO else 0
                            touches |= ANY if _most(COLUMNS, _at(s, _WETTED, left)) > _ZERO else 0
                            if max(_most(COLUMNS, _at(s, _HNEW, left)), _most(COLUMNS, _at(s, _H + ring2, left))) > _ZERO:
                                touches |= SOUTH
                        touch[above + 1, t + 1] = touches


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


@_row
def _is_awake(tiles: Any, row: Any, column: Any) -> Any:
    return tiles.awake[(row - PAD_ROWS) // ROWS + 1, (column - PAD_COLUMNS) // COLUMNS + 1] != 0


@_row
def _stir(size: Any, above: Any, here: Any, below: Any, out: Any) -> None:
    """Tiles that move, or lie beside one that does."""
    for i in range(1, size - 1):
        out[i] = here[i] | here[i - 1] | here[i + 1] | above[i] | below[i]


@_plain
def _choose_runs(n: Any, g: Any, tiles: Any, team: Any) -> None:
    """Which tiles are swept next: those that move, and those that the water of a stirred tile touches.

    A face of a tile that is not swept carries nothing, and its discharge is 0.
    """
    bands = tiles.run_count.size
    columns = tiles.never.shape[1] - 2
    every = team.counts[ALL_AWAKE] == 1
    again = n.rest_m2_per_s > 0.0 and team.counts[STEPS] % LOOK_AGAIN == 0
    from_band = 0 if every or again else max(team.counts[FIRST_ROW] // ROWS - 1, 0)
    to_band = bands - 1 if every or again else min(team.counts[LAST_ROW] // ROWS + 1, bands - 1)
    for band in range(max(from_band - 1, 0), min(to_band + 1, bands - 1) + 1):
        m = tiles.moving
        _stir(columns + 2, _at(m, band, 0), _at(m, band + 1, 0), _at(m, band + 2, 0), _at(tiles.stirred, band + 1, 0))
    low = bands
    high = -1
    cells = 0
    for band in range(from_band, to_band + 1):
        count = 0
        is_in_run = False
        rows = min(ROWS, n.rows - band * ROWS)
        for t in range(1, columns + 1):
            b = band + 1
            wanted = every or tiles.moving[b, t] != 0 or (again and tiles.touch[b, t] != 0)
            if not wanted:
                wanted = (
                    (tiles.stirred[b - 1, t] and tiles.touch[b - 1, t] & SOUTH)
                    or (tiles.stirred[b + 1, t] and tiles.touch[b + 1, t] & NORTH)
                    or (tiles.stirred[b, t - 1] and tiles.touch[b, t - 1] & EAST)
                    or (tiles.stirred[b, t + 1] and tiles.touch[b, t + 1] & WEST)
                ) != 0
            wanted = wanted and not tiles.never[b, t]
            if wanted or tiles.awake[b, t]:
                left = PAD_COLUMNS + (t - 1) * COLUMNS
                right = left + COLUMNS
                if wanted:
                    if not is_in_run:
                        tiles.runs[band, count, 0] = left
                        count += 1
                    tiles.runs[band, count - 1, 1] = right
                    cells += (min(right, PAD_COLUMNS + n.columns) - left) * rows
                else:
                    is_lowest = band == bands - 1  # the faces of its southern edge are its own
                    for p in range(PAD_ROWS + band * ROWS, PAD_ROWS + band * ROWS + rows + is_lowest):
                        for c in range(left, right):
                            g.qx[p, c] = _ZERO
                            g.qy[p, c] = _ZERO
                tiles.awake[b, t] = wanted
            is_in_run = wanted
        tiles.run_count[band] = count
        if count:
            low = min(low, band)
            high = band
    for band in range(from_band, to_band + 1):
        for t in range(columns + 2):
            tiles.moving[band + 1, t] = 0
    team.counts[FIRST_ROW] = low * ROWS
    team.counts[LAST_ROW] = min(high * ROWS + ROWS, n.rows) - 1
    team.counts[CELL_STEPS] += cells


@_plain
def _step_length(n: Any, f: Any, g: Any, team: Any) -> Any:
    """Courant's condition on the deepest face; an inflow may not drown its own cells within the step.

    Averaging the discharge along the flow makes the scheme less stable, not more: by von Neumann's analysis of the linear
    equations, the shortest wave in two dimensions grows from a Courant number of sqrt(theta / 2) on, not sqrt(1 / 2).
    """
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
            dt = min(n.max_step_s, n.courant * length * np.sqrt(n.theta / (GRAVITY_M_PER_S2 * bound)))
    return dt


@_plain
def _outfall(depth_m: Any, friction: Any, fall_of_bed_m: Any, length_m: Any) -> Any:
    """How far the surface falls beyond an open edge: as at critical flow, g n^2 / h^(1/3), or as the bed if steeper."""
    if depth_m <= 0.0:
        return 0.0
    critical = min(np.float64(friction) / depth_m ** (1.0 / 3.0), 1.0) * length_m
    return max(critical, fall_of_bed_m if fall_of_bed_m < 1e5 else 0.0)  # beside a blocked cell the bed says nothing


@_plain
def _outer_depths(n: Any, g: Any, tiles: Any) -> None:
    """Open edges are a free outfall: the cells beyond those that are awake stand lower, and are set anew before each step."""
    left = PAD_COLUMNS
    right = PAD_COLUMNS + n.columns - 1
    top = PAD_ROWS
    bottom = PAD_ROWS + n.rows - 1
    for p in range(top, bottom + 1):
        fp = p * n.friction_stride
        if _is_awake(tiles, p, left):
            west_bed = np.float64(g.ax[p, left + 1]) - np.float64(g.bx[p, left + 1]) if n.columns > 1 else 0.0
            h = g.depth[p, left]
            g.depth[p, left - 1] = h - _outfall(h, g.friction_x[fp, left], west_bed, n.dx_m)
        if _is_awake(tiles, p, right + 1):
            east_bed = np.float64(g.bx[p, right]) - np.float64(g.ax[p, right]) if n.columns > 1 else 0.0
            h = g.depth[p, right]
            g.depth[p, right + 1] = h - _outfall(h, g.friction_x[fp, right + 1], east_bed, n.dx_m)
    for c in range(left, right + 1):
        if _is_awake(tiles, top, c):
            north_bed = np.float64(g.ay[top + 1, c]) - np.float64(g.by[top + 1, c]) if n.rows > 1 else 0.0
            h = g.depth[top, c]
            g.depth[top - 1, c] = h - _outfall(h, g.friction_y[top * n.friction_stride, c], north_bed, n.dy_m)
        if _is_awake(tiles, bottom, c):
            south_bed = np.float64(g.by[bottom, c]) - np.float64(g.ay[bottom, c]) if n.rows > 1 else 0.0
            h = g.depth[bottom, c]
            g.depth[bottom + 1, c] = h - _outfall(h, g.friction_y[(bottom + 1) * n.friction_stride, c], south_bed, n.dy_m)


@_plain
def _left_by_the_edges(n: Any, g: Any, tiles: Any) -> Any:
    """Water that crosses the open edges, m3/s; only faces of tiles that are awake carry any."""
    left = PAD_COLUMNS
    right = PAD_COLUMNS + n.columns
    top = PAD_ROWS
    bottom = PAD_ROWS + n.rows
    across = 0.0
    down = 0.0
    for p in range(top, bottom):
        if _is_awake(tiles, p, left):
            across -= np.float64(g.qx[p, left])
        if _is_awake(tiles, p, right):
            across += np.float64(g.qx[p, right])
    for c in range(left, right):
        if _is_awake(tiles, top, c):
            down -= np.float64(g.qy[top, c])
        if _is_awake(tiles, bottom - 1, c):
            down += np.float64(g.qy[bottom, c])
    return across * n.dy_m + down * n.dx_m


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
    _choose_runs(n, g, tiles, team)
    if n.is_open:
        _outer_depths(n, g, tiles)
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
    team.clock[DEEPEST] = np.float64(_most(tiles.deepest.size, _at(tiles.deepest, 0, 0)))

    if n.is_open:
        team.clock[OUTFLOW_M3] += dt * _left_by_the_edges(n, g, tiles)

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
        if chunks > 1:
            chunk = _atomic_add(team.sync, 8)
            while chunk < chunks:
                first = tiles.bands[chunk]
                stop = tiles.bands[chunk + 1]
                if high >= first - 2 and low <= stop + 2:
                    for k in range(HALO):
                        p = PAD_ROWS + (first - 2 + k if k < 2 else stop + k - 2)
                        width = g.qx.shape[1]
                        row = chunk * HALO + k
                        _copy(width, _at(g.depth, p, 0), _at(team.halo_depth, row, 0))
                        _copy(width, _at(g.qx, p, 0), _at(team.halo_qx, row, 0))
                        _copy(width, _at(g.qy, p, 0), _at(team.halo_qy, row, 0))
                chunk = _atomic_add(team.sync, 8)
            _meet(team.sync, n.threads)
        far = 0 if chunks > 1 else 2 * n.rows + 9  # a single chunk reads no halo
        chunk = _atomic_add(team.sync, 16)
        while chunk < chunks:
            first = tiles.bands[chunk]
            stop = tiles.bands[chunk + 1]
            if high >= first - 2 and low <= stop + 2:
                _sweep(
                    n, g, tiles, team, scratch, chunk * HALO, first, stop, first - far, stop + far, dt, rain, after, low, high,
                )  # fmt: skip
            chunk = _atomic_add(team.sync, 16)
        _meet(team.sync, n.threads)
        if thread == 0:
            _conclude(n, g, f, tiles, team)
