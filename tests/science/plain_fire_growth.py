"""The front over a grid by another way than `fire_steps.grow`: cells taken from a heap, one at a time, and every front worked out on triangles with its bend kept. Slower, kept to compare with."""

from __future__ import annotations

from math import atan2, pi, sqrt

import numpy as np
from numba import njit

from tocsin.science import fire_steps
from tocsin.science.fire_growth import FireProblem, _order, _walls, spread_table
from tocsin.science.fire_steps import ellipse
from tocsin.science.fuel import rows_of

_plain = njit(nogil=True, cache=True, error_model="numpy")
_inline = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)

# of a cell in an interval: middle c, matrix W, heat, W^-1 c, W^-1, 1 + c.W^-1 c, determinant of W + cc
CX, CY, WXX, WXY, WYY, HEAT_OF, KX, KY, IXX, IXY, IYY, FULL, SPREAD = range(13)
BETTER_BY = 1e-4
STRAIGHT_CELLS = 1e5
DOWN = np.array([0, -1, -1, -1, 0, 1, 1, 1])
RIGHT = np.array([1, 1, 0, -1, -1, -1, 0, 1])


def arrival_s(problem: FireProblem, *, duration_s: float) -> np.ndarray:
    """When the front reaches each cell, as `spread` has it."""
    row = rows_of(problem.fuel)
    begin = np.array([w.begin_s for w in problem.weather])
    table = spread_table(problem.weather, problem.canopy)
    lean, margin = _order(fire_steps, table, np.unique(row[row >= 0]), problem.cell_m)
    up = np.zeros((2, *row.shape), np.float32)
    if problem.elevation_m is not None:
        down, right = np.gradient(problem.elevation_m, problem.cell_m)
        up[:] = right, -down
    west, north = _walls(problem.lines, row.shape)
    start = np.ravel_multi_index(tuple(problem.start.T), row.shape)
    arrival, rest = np.full(row.shape, np.inf), [np.zeros(row.shape, np.float32) for _ in range(3)]
    grow(
        row.astype(np.int16), *up, table, lean, margin, begin, float(begin[0] + duration_s), problem.cell_m, west, north,
        bool(problem.lines), start, problem.start_s, problem.line_holds_kw_per_m, arrival, *rest,
    )  # fmt: skip
    return arrival


@_plain
def _rise(heap, place, key, i):  # type: ignore[no-untyped-def]
    node = heap[i]
    t = key[node]
    while i > 0:
        up = (i - 1) >> 2
        other = heap[up]
        if key[other] <= t:
            break
        heap[i] = other
        place[other] = i
        i = up
    heap[i] = node
    place[node] = i


@_plain
def _take(heap, place, key, size):  # type: ignore[no-untyped-def]
    """The earliest node, taken out of a heap with four children each."""
    top = heap[0]
    place[top] = -1
    size -= 1
    if size == 0:
        return top
    node = heap[size]
    t = key[node]
    i = 0
    while True:
        child = 4 * i + 1
        if child >= size:
            break
        best, best_t = child, key[heap[child]]
        for k in range(child + 1, min(child + 4, size)):
            if key[heap[k]] < best_t:
                best, best_t = k, key[heap[k]]
        if best_t >= t:
            break
        heap[i] = heap[best]
        place[heap[i]] = i
        i = best
    heap[i] = node
    place[node] = i
    return top


@_inline
def _time(kx, ky, ixx, ixy, iyy, full, dx, dy):  # type: ignore[no-untyped-def]
    """Time to go straight by (dx, dy)."""
    return sqrt(full * (dx * (ixx * dx + ixy * dy) + dy * (ixy * dx + iyy * dy))) - (dx * kx + dy * ky)


@_inline
def _crossing(kx, ky, ixx, ixy, iyy, full, dx, dy):  # type: ignore[no-untyped-def]
    """Time to go straight by (dx, dy), and the slowness of the front that comes so."""
    gx, gy = ixx * dx + ixy * dy, ixy * dx + iyy * dy
    long = dx * gx + dy * gy
    root = sqrt(full * long)
    stretch = root / long
    return root - (dx * kx + dy * ky), stretch * gx - kx, stretch * gy - ky


@_inline
def _straight(kx, ky, ixx, ixy, iyy, full, sxx, sxy, syy, spread, dx, dy, back_x, back_y, bend):  # type: ignore[no-untyped-def]
    """The same, and the front's radius: it goes on from the point that sent it where that lies behind, else a new front begins."""
    t, gx, gy = _crossing(kx, ky, ixx, ixy, iyy, full, dx, dy)
    along = back_x * dx + back_y * dy
    far = along > 0.0 and along * along > 0.98 * (back_x * back_x + back_y * back_y) * (dx * dx + dy * dy)
    return t, gx, gy, t * _radius(sxx, sxy, syy, spread, gx, gy) + (bend if far else 0.0)


@_inline
def _radius(sxx, sxy, syy, spread, px, py):  # type: ignore[no-untyped-def]
    """Radius of the ellipse of one second where its normal is along p."""
    ratio = sqrt((px * px + py * py) / (px * (sxx * px + sxy * py) + py * (sxy * px + syy * py)))
    return spread * ratio * ratio * ratio


@_inline
def _from_point(cx, cy, sxx, sxy, syy, spread, px, py, bend):  # type: ignore[no-untyped-def]
    """The way from the point that would have made a front of this normal and this radius, had all ground been as here."""
    tx, ty = sxx * px + sxy * py, sxy * px + syy * py
    root = sqrt(px * tx + py * ty)
    ratio = root / sqrt(px * px + py * py)
    age = bend * ratio * ratio * ratio / spread
    return age * (cx + tx / root), age * (cy + ty / root)


@_plain
def _open(west_s, north_s, walls, r, c, r2, c2, at_s):  # type: ignore[no-untyped-def]
    """Whether fire passes between two cells with a common side at a time: no line that already stands there."""
    if not walls:
        return True
    if r == r2:
        return at_s < west_s[r, max(c, c2)]
    return at_s < north_s[max(r, r2), c]


@_plain
def _passes(row, west_s, north_s, walls, r, c, r2, c2, at_s):  # type: ignore[no-untyped-def]
    """Whether fire passes between two neighbours. Corner to corner it needs one way round the corner that is open."""
    if r == r2 or c == c2:
        return _open(west_s, north_s, walls, r, c, r2, c2, at_s)
    if (
        row[r, c2] >= 0
        and _open(west_s, north_s, walls, r, c, r, c2, at_s)
        and _open(west_s, north_s, walls, r, c2, r2, c2, at_s)
    ):
        return True
    return (
        row[r2, c] >= 0
        and _open(west_s, north_s, walls, r, c, r2, c, at_s)
        and _open(west_s, north_s, walls, r2, c, r2, c2, at_s)
    )


@_plain
def grow(  # type: ignore[no-untyped-def]
    row, up_east, up_north, table, lean, margin, begin_s, end_s, cell_m, west_s, north_s, walls, start, start_s, holds_kw_per_m,
    arrival_s, rate_m_per_s, toward_deg, intensity_kw_per_m,
):  # fmt: skip
    """When the front reaches each cell; fills the last four arrays (row, col) and returns how many cells were taken up (again).

    `table` (interval, fuel, column) holds from `begin_s[k]` to `begin_s[k + 1]`, the last to `end_s`. `start` are cells that burn from `start_s` on, in order of time.
    `west_s` and `north_s` are the times from which the west and north side of a cell stop a fire below `holds_kw_per_m`.

    Arrival solves the front's equation on the eight triangles round each cell (a semi-Lagrangian step along straight lines; both ends of a side have
    burnt), taken up in order of time; a cell that a later neighbour reaches sooner is taken up again. When the wind changes, what the front has gone beyond the last
    burnt cells is kept: their times are moved so that the front at its new speed stands where it stands.
    """
    rows, cols = row.shape
    size_all = rows * cols
    fuel = row.reshape(-1)
    arrival, rate, toward, intensity = (
        arrival_s.reshape(-1),
        rate_m_per_s.reshape(-1),
        toward_deg.reshape(-1),
        intensity_kw_per_m.reshape(-1),
    )
    slope_x, slope_y = up_east.reshape(-1), up_north.reshape(-1)
    time, key = np.full(size_all, np.inf), np.empty(size_all)
    px, py, bend = np.zeros(size_all, np.float32), np.zeros(size_all, np.float32), np.zeros(size_all, np.float32)
    shape = np.empty((size_all, 13), np.float32)
    known = np.full(size_all, -1, np.int16)
    era = np.full(size_all, -1, np.int16)  # the interval in which a cell was taken up; -1: not yet
    heap, place = np.empty(size_all, np.int32), np.full(size_all, -1, np.int32)
    band, wait, listed = np.empty(size_all, np.int32), np.empty(size_all, np.int32), np.zeros(size_all, np.bool_)
    beyond = np.zeros(size_all, np.uint8)  # how many cells a cell lies beyond what burns in this interval
    size, taken, next_start, waiting = 0, 0, 0, 0
    straight_m = STRAIGHT_CELLS * cell_m
    for k in range(begin_s.size):
        until = begin_s[k + 1] if k + 1 < begin_s.size else end_s
        beds = table[k]
        banded = 0
        if k > 0:
            # cells behind the front whose neighbours wait: move their times to the new speed
            for h in range(waiting):
                n = wait[h]
                listed[n] = False
                if beyond[n] > 0 or era[n] < 0:
                    time[n], era[n], beyond[n] = np.inf, -1, 0
            for h in range(waiting):
                n = wait[h]
                r, c = n // cols, n % cols
                for j in range(8):
                    r2, c2 = r + DOWN[j], c + RIGHT[j]
                    if r2 < 0 or c2 < 0 or r2 >= rows or c2 >= cols:
                        continue
                    m = r2 * cols + c2
                    if era[m] < 0 or known[m] == k:
                        continue
                    slow = sqrt(px[m] * px[m] + py[m] * py[m])
                    old = sqrt(shape[m, 0] ** 2 + shape[m, 1] ** 2) + sqrt(shape[m, 2])
                    _know(m, k, beds, fuel, slope_x, slope_y, shape, known)
                    if slow > 0.0:
                        nx, ny = px[m] / slow, py[m] / slow
                        fresh = _front_speed(shape, m, nx, ny)
                        time[m] = begin_s[k] - (begin_s[k] - time[m]) / slow / fresh
                        px[m], py[m] = nx / fresh, ny / fresh
                    else:
                        fresh = sqrt(shape[m, 0] ** 2 + shape[m, 1] ** 2) + sqrt(shape[m, 2])
                        time[m] = begin_s[k] - (begin_s[k] - time[m]) * old / fresh
                    band[banded] = m
                    banded += 1
            size = waiting = 0
        while next_start < start.size and start_s[next_start] < until:
            n = start[next_start]
            if fuel[n] >= 0 and era[n] < 0 and start_s[next_start] < time[n]:
                time[n] = start_s[next_start]
                px[n] = py[n] = bend[n] = 0.0
                key[n] = time[n] + lean[k, 0] * (n % cols) - lean[k, 1] * (n // cols)
                if place[n] < 0:
                    heap[size] = n
                    size += 1
                    _rise(heap, place, key, size - 1)
                else:
                    _rise(heap, place, key, place[n])
            next_start += 1
        at_band = 0
        while True:
            if at_band < banded:
                q = band[at_band]
                at_band += 1
            else:
                if size == 0:
                    break
                q = _take(heap, place, key, size)
                size -= 1
                if time[q] >= until:
                    # beyond this interval; its neighbours may need it all the same, if they burn within it
                    if not listed[q]:
                        listed[q] = True
                        wait[waiting] = q
                        waiting += 1
                    nearest = margin[k]
                    for j in range(8):
                        r2, c2 = q // cols + DOWN[j], q % cols + RIGHT[j]
                        if r2 >= 0 and c2 >= 0 and r2 < rows and c2 < cols and era[r2 * cols + c2] >= 0:
                            nearest = min(nearest, beyond[r2 * cols + c2])
                    if nearest == margin[k]:
                        continue
                    beyond[q] = nearest + 1
                    era[q] = k
                else:
                    beyond[q] = 0
                    taken += 1
                    era[q] = k
                    _know(q, k, beds, fuel, slope_x, slope_y, shape, known)
                    arrival[q] = time[q]
                    slow = sqrt(px[q] * px[q] + py[q] * py[q])
                    if slow > 0.0:
                        rate[q] = 1.0 / slow
                        toward[q] = (atan2(px[q], py[q]) * 180.0 / pi) % 360.0
                    else:
                        rate[q] = sqrt(shape[q, 0] ** 2 + shape[q, 1] ** 2) + sqrt(shape[q, 2])
                        toward[q] = (atan2(shape[q, 0], shape[q, 1]) * 180.0 / pi) % 360.0
                    intensity[q] = rate[q] * shape[q, HEAT_OF]
            # what q, with those beside it that have burnt, means for its neighbours
            r, c, time_q = q // cols, q % cols, time[q]
            for j in range(8):
                r1, c1 = r + DOWN[j], c + RIGHT[j]
                if r1 < 0 or c1 < 0 or r1 >= rows or c1 >= cols:
                    continue
                n = r1 * cols + c1
                if fuel[n] < 0 or 0 <= era[n] < k:
                    continue
                _know(n, k, beds, fuel, slope_x, slope_y, shape, known)
                kx, ky = np.float64(shape[n, KX]), np.float64(shape[n, KY])
                d1x, d1y = RIGHT[j] * cell_m, -DOWN[j] * cell_m
                if time[n] - time_q <= -(kx * d1x + ky * d1y):
                    continue  # in the order in which a front goes through this cell, q comes after it
                cx, cy = np.float64(shape[n, CX]), np.float64(shape[n, CY])
                wxx, wxy, wyy = np.float64(shape[n, WXX]), np.float64(shape[n, WXY]), np.float64(shape[n, WYY])
                ixx, ixy, iyy = np.float64(shape[n, IXX]), np.float64(shape[n, IXY]), np.float64(shape[n, IYY])
                full, spread = np.float64(shape[n, FULL]), np.float64(shape[n, SPREAD])
                sxx, sxy, syy = wxx + cx * cx, wxy + cx * cy, wyy + cy * cy
                back_x = back_y = 0.0  # from q to the point that would have sent the front here
                if bend[q] > 0.0:
                    back_x, back_y = _from_point(cx, cy, sxx, sxy, syy, spread, px[q], py[q], bend[q])
                best, best_x, best_y, best_bend, by = np.inf, 0.0, 0.0, 0.0, -1
                for side in (3, 5):
                    i = (j + side) & 7  # from n towards the other end of a side of its square
                    r2, c2 = r1 + DOWN[i], c1 + RIGHT[i]
                    if r2 < 0 or c2 < 0 or r2 >= rows or c2 >= cols:
                        continue
                    m = r2 * cols + c2
                    if era[m] < 0 or (era[m] < k and known[m] != k):
                        continue
                    d2x, d2y = -RIGHT[i] * cell_m, DOWN[i] * cell_m
                    per = 1.0 / (d1x * d2y - d1y * d2x)
                    # what a straight front would have had at q and m, for the front at n to be as it is: less by how far the front is bent
                    less_q = less_m = age = 0.0
                    if bend[q] > 0.0 and bend[m] > 0.0 and min(bend[q], bend[m]) < straight_m:
                        two_x, two_y = _from_point(cx, cy, sxx, sxy, syy, spread, px[m], py[m], bend[m])
                        apart_x, apart_y = back_x + d1x - two_x - d2x, back_y + d1y - two_y - d2y
                        fx, fy = 0.5 * (back_x + d1x + two_x + d2x), 0.5 * (back_y + d1y + two_y + d2y)
                        f2 = fx * fx + fy * fy
                        if 16.0 * (apart_x * apart_x + apart_y * apart_y) < f2:
                            aside = -0.25 * sqrt(f2) * cell_m * abs(per)
                            if (fx * d2y - fy * d2x) * per < aside or (fy * d1x - fx * d1y) * per < aside:
                                continue  # it comes from far beside this side
                            age, gx, gy = _crossing(kx, ky, ixx, ixy, iyy, full, fx, fy)
                            less_q = gx * d1x + gy * d1y - age + _time(kx, ky, ixx, ixy, iyy, full, fx - d1x, fy - d1y)
                            less_m = gx * d2x + gy * d2y - age + _time(kx, ky, ixx, ixy, iyy, full, fx - d2x, fy - d2y)
                    ax, ay = (d2y - d1y) * per, (d1x - d2x) * per
                    lag = (time_q - less_q - time[m] + less_m) * per
                    bx, by_ = -d1y * lag, d1x * lag
                    wax, way = wxx * ax + wxy * ay, wxy * ax + wyy * ay
                    a2 = ax * wax + ay * way
                    a1 = bx * wax + by_ * way + cx * ax + cy * ay
                    a0 = bx * (wxx * bx + wxy * by_) + by_ * (wxy * bx + wyy * by_) + 2.0 * (cx * bx + cy * by_) - 1.0
                    root = a1 * a1 - a2 * a0
                    if root < 0.0:
                        continue
                    tau = (sqrt(root) - a1) / a2
                    arrives = time_q - less_q + tau
                    if arrives >= best:
                        continue
                    gx, gy = ax * tau + bx, ay * tau + by_
                    vx, vy = cx + wxx * gx + wxy * gy, cy + wxy * gx + wyy * gy
                    if (vx * d2y - vy * d2x) * per < 0.0 or (vy * d1x - vx * d1y) * per < 0.0 or cx * gx + cy * gy > 1.0:
                        continue
                    best, best_x, best_y, by = arrives, gx, gy, m
                    best_bend = min(age * _radius(sxx, sxy, syy, spread, gx, gy), 1e6 * cell_m) if age > 0.0 else 1e6 * cell_m
                if by < 0:
                    best, best_x, best_y, best_bend = _straight(
                        kx, ky, ixx, ixy, iyy, full, sxx, sxy, syy, spread, d1x, d1y, back_x, back_y, bend[q]
                    )
                    best += time_q
                if k > 0 and best < begin_s[k]:
                    best = begin_s[k]
                if best >= time[n] - BETTER_BY:
                    continue
                if walls or (r1 != r and c1 != c):
                    at_s = 0.5 * (time_q + best)
                    slow = sqrt(best_x * best_x + best_y * best_y)
                    holds = walls and shape[n, HEAT_OF] / slow <= holds_kw_per_m
                    if not _passes(row, west_s, north_s, holds, r, c, r1, c1, at_s):
                        continue
                    if (
                        by >= 0
                        and holds
                        and not (
                            _passes(row, west_s, north_s, True, by // cols, by % cols, r1, c1, at_s)
                            and _open(west_s, north_s, True, r, c, by // cols, by % cols, at_s)
                        )
                    ):
                        best, best_x, best_y, best_bend = _straight(
                            kx, ky, ixx, ixy, iyy, full, sxx, sxy, syy, spread, d1x, d1y, back_x, back_y, bend[q]
                        )
                        best += time_q
                        if best >= time[n] - BETTER_BY:
                            continue
                time[n], px[n], py[n], bend[n] = best, best_x, best_y, best_bend
                key[n] = best + lean[k, 0] * c1 - lean[k, 1] * r1
                if place[n] < 0:
                    heap[size] = n
                    size += 1
                    _rise(heap, place, key, size - 1)
                else:
                    _rise(heap, place, key, place[n])
    return taken


@_inline
def _know(n, k, beds, fuel, slope_x, slope_y, shape, known):  # type: ignore[no-untyped-def]
    """The ellipse of a cell in this interval, worked out when it is first asked for."""
    if known[n] != k:
        known[n] = k
        cx, cy, wxx, wxy, wyy, _, heat, _, _, _, _ = ellipse(beds[fuel[n]], slope_x[n], slope_y[n])
        det = wxx * wyy - wxy * wxy
        kx, ky = (wyy * cx - wxy * cy) / det, (wxx * cy - wxy * cx) / det
        full = 1.0 + cx * kx + cy * ky
        shape[n, CX], shape[n, CY], shape[n, WXX], shape[n, WXY], shape[n, WYY], shape[n, HEAT_OF] = cx, cy, wxx, wxy, wyy, heat
        shape[n, KX], shape[n, KY], shape[n, IXX], shape[n, IXY], shape[n, IYY] = kx, ky, wyy / det, -wxy / det, wxx / det
        shape[n, FULL], shape[n, SPREAD] = full, det * full


@_plain
def _front_speed(shape, m, nx, ny):  # type: ignore[no-untyped-def]
    """How fast a front moves along its normal."""
    along = shape[m, CX] * nx + shape[m, CY] * ny
    wx, wy = shape[m, WXX] * nx + shape[m, WXY] * ny, shape[m, WXY] * nx + shape[m, WYY] * ny
    return along + sqrt(nx * wx + ny * wy + along * along)
