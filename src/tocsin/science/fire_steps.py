"""The inner loops of wildfire, compiled: the ellipse of a cell, the rates of a whole raster, and the march of the front over it.

The ellipse that a fire makes in a minute is kept as its middle `c` and a matrix `W`, so that a front with slowness p (the gradient of arrival time)
moves as p.W.p + 2 c.p = 1. On level ground W is a circle: the start is at a focus. On a slope both are seen from above: `W` and `c` are pressed together uphill.
All that is compiled together is in this one file: a compiled function is kept on disk until its own file changes, with all that it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from math import atan2, exp, pi, sqrt
from typing import Any

import numpy as np
from numba import njit

_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
# without numba's own allocator, so that no call counts references to the arrays it is handed (a fifth of the time); whoever calls brings all memory
_how: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": False}
_plain: _Compile = njit(**_how)
_inline: _Compile = njit(forceinline=True, **_how)

# columns of the table (interval, fuel, column): what fuel, moisture, wind and trees decide, in metres and seconds
(RATE, WIND_SCALE, WIND_POWER, SLOPE_SCALE, WIND_MOST, HEAT, PUSH_EAST, PUSH_NORTH, CROWN_FROM, CROWN_RATE, CROWN_SHAPE, CROWN_HEAT, CROWN_EAST, CROWN_NORTH,
 COLUMNS) = range(15)  # fmt: skip
# of ground in an interval, lengths in cells: middle c, matrix W, heat, k = W^-1 c, J = (1 + c.k) W^-1, determinant of W + cc, head's rate, and by how much
# (T + k.x) grows at least where a straight front comes to a cell between one beside it and one at its corner (from the corner by sqrt 2 as much)
CX, CY, WXX, WXY, WYY, HEAT_OF, KX, KY, JXX, JXY, JYY, SPREAD, FASTEST, LEAST, SINCE, OWN_COLUMNS = range(16)
# of a cell, 64 bytes: arrival, and the point that would have sent the front here had all ground been as here (when, where; cells east and north of the first);
# then as whole numbers: interval taken up, interval its front was moved to, bucket, next and last in it, sort of ground, whether it was reached and by whom (bits: interval, 8 neighbours, 1), cells beyond the interval's end
TIME, BORN, FROM_X, FROM_Y = range(4)
ERA, MOVED, BUCKET, NEXT, LAST, GROUND, REACHED, BEYOND = range(8, 16)
MPH_PER_M_PER_MIN = 1.0 / 60.0 / 0.44704
SHAPE_MOST = 8.0
BETTER_BY = 1e-4  # s: an arrival is taken as earlier only by more than this
STRAIGHT_CELLS = 1e4  # a front bent by this radius counts as straight
BUCKETS_MOST = 1 << 16
KINK = 0.002  # points that sent two neighbours' fronts are of one front if what lies between them moves it by less than this share of a cell
AHEAD = 0.5  # share of the time by which a straight front is later at a cell than at those behind it, that one from a point two cells away keeps (2 - sqrt 2 at least)
ALIGNED = 0.03  # a way that passes q within this share of a cell needs no second cell beside it
DOWN = np.array([0, -1, -1, -1, 0, 1, 1, 1])  # E NE N NW W SW S SE
RIGHT = np.array([1, 1, 0, -1, -1, -1, 0, 1])


@_plain
def ellipse(bed, up_east, up_north):  # type: ignore[no-untyped-def]
    """Middle and matrix of the ellipse seen from above (m/s), then rate at the head along the ground (m/s), heat (kJ/m2), shape, direction, and if crowns burn."""
    steep2 = up_east * up_east + up_north * up_north
    x, y = bed[PUSH_EAST], bed[PUSH_NORTH]
    if steep2 > 0.0:
        per_slope = bed[SLOPE_SCALE] * sqrt(steep2)
        x, y = x + per_slope * up_east, y + per_slope * up_north
    factor = sqrt(x * x + y * y)
    shape, toward_x, toward_y = 1.0, 0.0, 1.0
    if factor > 0.0:
        toward_x, toward_y = x / factor, y / factor
        effective = (factor / bed[WIND_SCALE]) ** (1.0 / bed[WIND_POWER])
        if effective > bed[WIND_MOST]:
            effective = bed[WIND_MOST]
            factor = bed[WIND_SCALE] * effective ** bed[WIND_POWER]
        mph = effective * MPH_PER_M_PER_MIN
        shape = min(0.936 * exp(0.1147 * mph) + 0.461 * exp(-0.0692 * mph) - 0.397, SHAPE_MOST)
    rate, heat, crowns = bed[RATE] * (1.0 + factor), bed[HEAT], False
    if rate * heat > bed[CROWN_FROM]:
        crowns, heat = True, heat + bed[CROWN_HEAT]
        if bed[CROWN_RATE] > rate:
            rate, shape = bed[CROWN_RATE], bed[CROWN_SHAPE]
            if bed[CROWN_EAST] != 0.0 or bed[CROWN_NORTH] != 0.0:
                toward_x, toward_y = bed[CROWN_EAST], bed[CROWN_NORTH]
    shape = max(shape, 1.0)
    off = sqrt(max(1.0 - 1.0 / (shape * shape), 0.0))  # eccentricity
    longer = rate / (1.0 + off)
    wide = longer / shape
    cx, cy, w = longer * off * toward_x, longer * off * toward_y, wide * wide
    wxx, wxy, wyy = w, 0.0, w
    if steep2 > 0.0:
        press = 1.0 / (1.0 + steep2)  # cos^2 of the slope
        squeeze = (sqrt(press) - 1.0) / steep2
        along = (cx * up_east + cy * up_north) * squeeze
        cx, cy = cx + along * up_east, cy + along * up_north
        wxx, wxy, wyy = (
            w * (1.0 - up_east * up_east * press),
            -w * up_east * up_north * press,
            w * (1.0 - up_north * up_north * press),
        )
    return cx, cy, wxx, wxy, wyy, rate, heat, shape, toward_x, toward_y, crowns


@_plain
def head_of_rows(row, up_east, up_north, table, rate, toward, shape, intensity, crowns):  # type: ignore[no-untyped-def]
    """The fire at its head in every cell: rate in m/s along the ground, direction in degrees, length to width, intensity in kW/m, if crowns burn."""
    for n in range(row.size):
        if row[n] < 0:
            rate[n] = toward[n] = intensity[n] = 0.0
            shape[n] = 1.0
            crowns[n] = False
            continue
        _, _, _, _, _, rate[n], heat, shape[n], east, north, crowns[n] = ellipse(table[row[n]], up_east[n], up_north[n])
        toward[n] = (atan2(east, north) * 180.0 / pi) % 360.0
        intensity[n] = rate[n] * heat


@_plain
def rows_known(number, known, row, seen):  # type: ignore[no-untyped-def]
    """Fills `row` with `known` of each number, counts each row in `seen`; whether all were known (-1: does not burn, -2: no fuel)."""
    right = True
    for n in range(number.size):
        found = known[number[n]] if 0 <= number[n] < known.size else -2
        row[n] = found
        if found >= 0:
            seen[found] = True
        elif found == -2:
            right = False
    return right


@_plain
def _fill(ground, at, bed, up_east, up_north, cell_m):  # type: ignore[no-untyped-def]
    """The columns of one sort of ground in one interval."""
    cx, cy, wxx, wxy, wyy, _, heat, _, _, _, _ = ellipse(bed, up_east, up_north)
    per_cell = 1.0 / cell_m
    cx, cy, per_cell2 = cx * per_cell, cy * per_cell, per_cell * per_cell
    wxx, wxy, wyy = wxx * per_cell2, wxy * per_cell2, wyy * per_cell2
    det = wxx * wyy - wxy * wxy
    per_det = 1.0 / det
    kx, ky = (wyy * cx - wxy * cy) * per_det, (wxx * cy - wxy * cx) * per_det
    full = 1.0 + cx * kx + cy * ky
    jxx, jxy, jyy = full * per_det * wyy, -full * per_det * wxy, full * per_det * wxx
    middle, apart = 0.5 * (wxx + wyy), 0.5 * sqrt((wxx - wyy) * (wxx - wyy) + 4.0 * wxy * wxy)
    ground[at, CX], ground[at, CY], ground[at, HEAT_OF] = cx, cy, heat
    ground[at, WXX], ground[at, WXY], ground[at, WYY] = wxx, wxy, wyy
    ground[at, KX], ground[at, KY] = kx, ky
    ground[at, JXX], ground[at, JXY], ground[at, JYY] = jxx, jxy, jyy
    ground[at, SPREAD], ground[at, FASTEST] = det * full, sqrt(cx * cx + cy * cy) + sqrt(middle + apart)
    # between a cell beside and one at the corner the angle, seen in the metric J, is at most that between the two
    askew, low = abs(jxy), min(jxx, jyy)
    ground[at, LEAST] = max(low - askew, 0.0) / sqrt(max(2.0 * low, jxx + jyy - 2.0 * askew))


@_plain
def _slope(height_m, rows, cols, r, c, cell_m):  # type: ignore[no-untyped-def]
    """How much the ground climbs to the east and to the north."""
    if height_m.size == 0 or rows < 2 or cols < 2:
        return 0.0, 0.0
    west, east, north, south = max(c - 1, 0), min(c + 1, cols - 1), max(r - 1, 0), min(r + 1, rows - 1)
    return (height_m[r, east] - height_m[r, west]) / ((east - west) * cell_m), (height_m[north, c] - height_m[south, c]) / (
        (south - north) * cell_m
    )


@_inline
def _note(at, slots, slot, place, mark, row, height_m, r, c, cell_m):  # type: ignore[no-untyped-def]
    """Takes up a cell that is first come to: a slot of its own if it burns, and its sort of ground: twice the fuel, and 1 where it is level, 2 where it is not. Returns how many slots there are."""
    if row[r, c] < 0:
        slot[at] = -1
        return slots
    slots += 1
    slot[at], place[slots] = slots, at
    up_east, up_north = _slope(height_m, row.shape[0], row.shape[1], r, c, cell_m)
    mark[slots, GROUND] = 2 * row[r, c] + (1 if up_east == 0.0 and up_north == 0.0 else 2)
    return slots


@_plain
def _know(n, k, mark, own, place, level, beds, row, height_m, cell_m):  # type: ignore[no-untyped-def]
    """The ground of a cell in this interval, worked out when it is first asked for."""
    own[n, SINCE] = k + 1
    sort = mark[n, GROUND]
    fuel = (sort - 1) >> 1
    if sort & 1:
        for i in range(SINCE):
            own[n, i] = level[k, fuel, i]
    else:
        rows, cols = row.shape
        up_east, up_north = _slope(height_m, rows, cols, place[n] // cols, place[n] % cols, cell_m)
        _fill(own, n, beds[fuel], up_east, up_north, cell_m)


@_inline
def _time(kx, ky, jxx, jxy, jyy, dx, dy):  # type: ignore[no-untyped-def]
    """Time to go straight by (dx, dy)."""
    return sqrt(dx * (jxx * dx + jxy * dy) + dy * (jxy * dx + jyy * dy)) - (dx * kx + dy * ky)


@_inline
def _crossing(kx, ky, jxx, jxy, jyy, dx, dy):  # type: ignore[no-untyped-def]
    """Time to go straight by (dx, dy), and the slowness of the front that comes so."""
    gx, gy = jxx * dx + jxy * dy, jxy * dx + jyy * dy
    root = sqrt(dx * gx + dy * gy)
    per = 1.0 / root
    return root - (dx * kx + dy * ky), per * gx - kx, per * gy - ky


@_plain
def _radius(ground, at, px, py):  # type: ignore[no-untyped-def]
    """Radius of the ellipse of one second where its normal is along p."""
    tx, ty = ground[at, WXX] * px + ground[at, WXY] * py, ground[at, WXY] * px + ground[at, WYY] * py
    along = ground[at, CX] * px + ground[at, CY] * py
    ratio = sqrt((px * px + py * py) / (px * tx + py * ty + along * along))
    return ground[at, SPREAD] * ratio * ratio * ratio


@_plain
def _velocity(ground, at, px, py):  # type: ignore[no-untyped-def]
    """The point of the ellipse of one second where its normal is along p."""
    along = ground[at, CX] * px + ground[at, CY] * py
    tx = ground[at, WXX] * px + ground[at, WXY] * py + ground[at, CX] * along
    ty = ground[at, WXY] * px + ground[at, WYY] * py + ground[at, CY] * along
    per = 1.0 / sqrt(px * tx + py * ty)
    return ground[at, CX] + tx * per, ground[at, CY] + ty * per


@_plain
def _back(n, q, x, y, cell, mark, own, place, k, level, beds, row, height_m, cell_m):  # type: ignore[no-untyped-def]
    """From q, at (x, y), back to the point that would have sent its front, had all ground been as it is at n."""
    fx, fy = x - cell[q, FROM_X], y - cell[q, FROM_Y]
    if own[q, SINCE] != k + 1:
        _know(q, k, mark, own, place, level, beds, row, height_m, cell_m)
    age, px, py = _crossing(own[q, KX], own[q, KY], own[q, JXX], own[q, JXY], own[q, JYY], fx, fy)
    age *= _radius(own, q, px, py) / _radius(own, n, px, py)
    vx, vy = _velocity(own, n, px, py)
    return age * vx, age * vy


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
def _move_on(m, k, begin_s, cell, mark, own, place, level, beds, row, height_m, cell_m):  # type: ignore[no-untyped-def]
    """A cell behind the front when the wind changes: its time and the point that sent it, so that the front at its new speed goes on from where it stands."""
    cols = row.shape[1]
    x, y = np.float64(place[m] % cols), -np.float64(place[m] // cols)
    past = mark[m, MOVED] if mark[m, MOVED] > mark[m, ERA] else mark[m, ERA]
    if own[m, SINCE] != past:
        _know(m, past - 1, mark, own, place, level, beds[past - 1], row, height_m, cell_m)
    fx, fy = x - cell[m, FROM_X], y - cell[m, FROM_Y]
    gone = begin_s - cell[m, TIME]
    mark[m, MOVED] = k + 1
    if fx == 0.0 and fy == 0.0:
        fastest = np.float64(own[m, FASTEST])
        if own[m, SINCE] != k + 1:
            _know(m, k, mark, own, place, level, beds[k], row, height_m, cell_m)
        cell[m, TIME] = cell[m, BORN] = begin_s - gone * fastest / own[m, FASTEST]
        return
    age, px, py = _crossing(own[m, KX], own[m, KY], own[m, JXX], own[m, JXY], own[m, JYY], fx, fy)
    radius = _radius(own, m, px, py)
    vx, vy = _velocity(own, m, px, py)
    speed = (vx * px + vy * py) / sqrt(px * px + py * py)
    if own[m, SINCE] != k + 1:
        _know(m, k, mark, own, place, level, beds[k], row, height_m, cell_m)
    ux, uy = _velocity(own, m, px, py)
    fresh = (ux * px + uy * py) / sqrt(px * px + py * py)
    now = begin_s - gone * speed / fresh
    # the point of the front that comes from here, its radius, and the point that would have sent it in the new wind
    stood = age + gone
    old = stood * radius / _radius(own, m, px, py)
    sx, sy = cell[m, FROM_X] + vx * stood - ux * old, cell[m, FROM_Y] + vy * stood - uy * old
    lx, ly = x - sx, y - sy
    if lx * ux + ly * uy > 0.0:
        t = begin_s - old + _time(own[m, KX], own[m, KY], own[m, JXX], own[m, JXY], own[m, JYY], lx, ly)
        if abs(t - now) < 0.25 * (begin_s - now) + 1e-3:
            cell[m, TIME], cell[m, BORN], cell[m, FROM_X], cell[m, FROM_Y] = t, begin_s - old, sx, sy
            return
    old = age * radius / _radius(own, m, px, py)
    cell[m, TIME], cell[m, BORN], cell[m, FROM_X], cell[m, FROM_Y] = now, now - old, x - ux * old, y - uy * old


@_plain
def grow(  # type: ignore[no-untyped-def]
    row, height_m, table, present, lean, margin, begin_s, end_s, cell_m, west_s, north_s, walls, start, start_s, holds_kw_per_m,
    slot, place, cell, mark, own, arrival_s, order, front, level, band, wait, first,
):  # fmt: skip
    """When the front reaches each cell: fills `arrival_s` (row, col), `order` (the cells that burn) and `front` (cell, 3: slowness east and north in s/m, heat in kJ/m2);
    returns how many cells burn and how many were taken up (again).

    `table` (interval, fuel, column) holds from `begin_s[k]` to `begin_s[k + 1]`, the last to `end_s`. `start` are cells that burn from `start_s` on, in order of time.
    `west_s` and `north_s` are the times from which the west and north side of a cell stop a fire below `holds_kw_per_m`.
    `slot` (where a cell's record lies: 0 not come to, -1 does not burn), `place` (which cell a record is of), `cell`, `mark` (one store seen as numbers and as whole numbers), `own`,
    `level`, `band`, `wait` and `first` are the march's own; `slot` and the records are zero at first. `front` is by record.

    Cells are taken up in order of a time that leans against the wind, from buckets no wider than the least step to a neighbour, so that within one the order is free.
    Each knows the point that would have sent its front here on ground like its own. On level ground of one fuel a neighbour is reached from that point, set between those of the two burnt cells
    that its way goes through: exact for a fire from one point, and third order for a smooth front. Elsewhere the front's equation is solved on the triangles round each cell, less what the front is
    bent. A cell that a later neighbour reaches sooner is taken up again. When the wind changes, what the front has gone beyond the last burnt cells is kept.
    """
    rows, cols = row.shape
    arrival = arrival_s.reshape(-1)
    burnt, taken, next_start, waiting, slots = 0, 0, 0, 0, 0
    diagonal = sqrt(2.0)
    for k in range(begin_s.size):
        until = begin_s[k + 1] if k + 1 < begin_s.size else end_s
        beds, era = table[k], k + 1
        banded, fastest, wide = 0, 0.0, 1.0
        for fuel in present:
            _fill(level[k], fuel, beds[fuel], 0.0, 0.0, cell_m)
            if level[k, fuel, FASTEST] > fastest:
                fastest, wide = level[k, fuel, FASTEST], 0.99 * level[k, fuel, LEAST]
        lean_x, lean_y = lean[k, 0], lean[k, 1]
        lowest = np.inf
        # cells behind the front whose neighbours wait: move their times to the new speed
        for h in range(waiting):
            n = wait[h]
            if mark[n, BEYOND] & 255 or mark[n, ERA] == 0:
                mark[n, ERA] = mark[n, REACHED] = 0
            mark[n, BEYOND] = 0
        for h in range(waiting):
            n = wait[h]
            r, c = place[n] // cols, place[n] % cols
            for j in range(8):
                r2, c2 = r + DOWN[j], c + RIGHT[j]
                if r2 < 0 or c2 < 0 or r2 >= rows or c2 >= cols:
                    continue
                m = np.int64(slot[r2 * cols + c2])
                if m <= 0 or mark[m, ERA] == 0 or mark[m, MOVED] == era:
                    continue
                _move_on(m, k, begin_s[k], cell, mark, own, place, level, table, row, height_m, cell_m)
                lowest = min(lowest, cell[m, TIME] + lean_x * c2 - lean_y * r2)
                band[banded] = m
                banded += 1
        waiting = 0
        last_start = next_start
        while last_start < start.size and start_s[last_start] < until:
            n = start[last_start]
            lowest = min(lowest, start_s[last_start] + lean_x * (n % cols) - lean_y * (n // cols))
            last_start += 1
        if lowest == np.inf:
            continue
        highest = until + max(lean_x * (cols - 1), 0.0) + max(-lean_y * (rows - 1), 0.0)
        wide = max(wide, (highest - lowest) / BUCKETS_MOST)
        per_wide = 1.0 / wide
        buckets = max(int((highest - lowest) * per_wide), 0) + 2
        for now in range(buckets):
            first[now] = -1
        now = 0
        while next_start < last_start:
            r, c = start[next_start] // cols, start[next_start] % cols
            if slot[start[next_start]] == 0:
                slots = _note(start[next_start], slots, slot, place, mark, row, height_m, r, c, cell_m)
            n = np.int64(slot[start[next_start]])
            if n > 0 and mark[n, ERA] == 0 and (mark[n, REACHED] == 0 or start_s[next_start] < cell[n, TIME]):
                cell[n, TIME] = cell[n, BORN] = start_s[next_start]
                cell[n, FROM_X], cell[n, FROM_Y] = c, -r
                mark[n, REACHED] = 1
                key = cell[n, TIME] + lean_x * c - lean_y * r
                bucket = min(int((key - lowest) * per_wide), buckets - 1)
                # a cell that was told twice is in a bucket already: the earlier counts, and the later finds it taken up
                if mark[n, BUCKET] == 0:
                    after = first[bucket]
                    mark[n, NEXT], mark[n, LAST], mark[n, BUCKET] = after, -1, bucket + 1
                    if after >= 0:
                        mark[after, LAST] = n
                    first[bucket] = n
            next_start += 1
        at_band = 0
        while True:
            if at_band < banded:
                q = np.int64(band[at_band])
                at_band += 1
                r, c = np.int64(place[q]) // cols, np.int64(place[q]) % cols
            else:
                while now < buckets and first[now] < 0:
                    now += 1
                if now == buckets:
                    break
                q = np.int64(first[now])
                after = mark[q, NEXT]
                first[now], mark[q, BUCKET] = after, 0
                if after >= 0:
                    mark[after, LAST] = -1
                r, c = np.int64(place[q]) // cols, np.int64(place[q]) % cols
                if cell[q, TIME] >= until:
                    # beyond this interval; its neighbours may need it all the same, if they burn within it
                    if mark[q, BEYOND] < 256:
                        mark[q, BEYOND] |= 256
                        wait[waiting] = q
                        waiting += 1
                    nearest = margin[k]
                    for j in range(8):
                        r2, c2 = r + DOWN[j], c + RIGHT[j]
                        if r2 >= 0 and c2 >= 0 and r2 < rows and c2 < cols:
                            m = np.int64(slot[r2 * cols + c2])
                            if m > 0 and mark[m, ERA] > 0:
                                nearest = min(nearest, mark[m, BEYOND] & 255)
                    if nearest == margin[k]:
                        continue
                    mark[q, BEYOND] = 256 + min(nearest + 1, 255)
                    mark[q, ERA] = era
                else:
                    mark[q, BEYOND] &= 256
                    taken += 1
                    mark[q, ERA] = era
                    at = place[q]
                    if arrival[at] == np.inf:
                        order[burnt] = at
                        burnt += 1
                    arrival[at] = cell[q, TIME]
                    fx, fy = c - cell[q, FROM_X], -r - cell[q, FROM_Y]
                    sort = mark[q, GROUND]
                    if sort & 1 and (fx != 0.0 or fy != 0.0):
                        fuel = (sort - 1) >> 1
                        per = sqrt(level[k, fuel, JXX] / (fx * fx + fy * fy))
                        px, py = per * fx - level[k, fuel, KX], per * fy - level[k, fuel, KY]
                        front[q, 2] = level[k, fuel, HEAT_OF]
                    else:
                        if own[q, SINCE] != k + 1:
                            _know(q, k, mark, own, place, level, beds, row, height_m, cell_m)
                        if fx == 0.0 and fy == 0.0:
                            ahead = sqrt(own[q, CX] * own[q, CX] + own[q, CY] * own[q, CY])
                            px = own[q, CX] / ahead / own[q, FASTEST] if ahead > 0.0 else 0.0
                            py = own[q, CY] / ahead / own[q, FASTEST] if ahead > 0.0 else 1.0 / own[q, FASTEST]
                        else:
                            _, px, py = _crossing(own[q, KX], own[q, KY], own[q, JXX], own[q, JXY], own[q, JYY], fx, fy)
                        front[q, 2] = own[q, HEAT_OF]
                    front[q, 0], front[q, 1] = px / cell_m, py / cell_m
            # what q, with those beside it that have burnt, means for its neighbours
            u = np.uintp(q)  # compiled without a look whether it counts from the end
            sort_q, time_q = mark[u, GROUND], cell[u, TIME]
            born_q, from_x, from_y = cell[u, BORN], cell[u, FROM_X], cell[u, FROM_Y]
            same = sort_q if sort_q & 1 else -1
            fuel = (sort_q - 1) >> 1
            kx_q, ky_q, j_q, step_q = (
                level[k, fuel, KX],
                level[k, fuel, KY],
                level[k, fuel, JXX],
                diagonal * level[k, fuel, LEAST],
            )
            kink_q = (8.0 * KINK / (step_q * level[k, fuel, FASTEST])) ** 2
            # on the ground that the order leans by, what sent q something comes before it and wants nothing of it
            is_led = same >= 0 and abs(kx_q - lean_x) + abs(ky_q - lean_y) <= 1e-9 * (abs(lean_x) + abs(lean_y))
            told = (mark[q, REACHED] >> 1) & 255 if is_led and mark[q, REACHED] >> 9 == era else 0
            for j in range(8):
                if (told >> j) & 1:
                    continue
                dx, dy = RIGHT[j], -DOWN[j]
                r1, c1 = r - dy, c + dx
                if r1 < 0 or c1 < 0 or r1 >= rows or c1 >= cols:
                    continue
                at = r1 * cols + c1
                if slot[at] == 0:
                    slots = _note(at, slots, slot, place, mark, row, height_m, r1, c1, cell_m)
                if slot[at] < 0:
                    continue
                n = np.uintp(slot[at])
                era_n = mark[n, ERA]
                if 0 < era_n < era:
                    continue
                sort = mark[n, GROUND]
                time_n = cell[n, TIME] if mark[n, REACHED] > 0 else np.inf
                exact, by, solved = False, np.int64(-1), False
                best, best_x, best_y, best_born = np.inf, 0.0, 0.0, 0.0
                if sort == same:
                    least = step_q if j & 1 else 0.7 * step_q
                    if time_n - time_q + kx_q * dx + ky_q * dy <= least:
                        mark[n, REACHED] = _heard(mark[n, REACHED], era, j)
                        continue  # in the order in which a front goes through this cell, it comes before what q could send
                    if (
                        mark[n, REACHED] > 0
                        and cell[n, FROM_X] == from_x
                        and cell[n, FROM_Y] == from_y
                        and cell[n, BORN] == born_q
                    ):
                        mark[n, REACHED] = _heard(mark[n, REACHED], era, j)
                        continue
                    best = time_q + step_q * (diagonal if j & 1 else 1.0) - kx_q * dx - ky_q * dy
                    best_x, best_y, best_born = np.float64(c), -np.float64(r), time_q
                    solved = True
                    fx, fy = c1 - from_x, -r1 - from_y
                    share, mx, my = _foot(j, dx, dy, fx, fy)
                    if share <= 1.0:
                        sx, sy, born = from_x, from_y, born_q
                        if share > ALIGNED:
                            # the side's other end lies at n - (mx, my)
                            inside = 0 <= r1 + my < rows and 0 <= c1 - mx < cols
                            beside = slot[(r1 + my) * cols + c1 - mx] if inside else np.int32(0)
                            m = np.uintp(max(beside, 0))  # type: ignore[assignment]
                            if (
                                beside > 0
                                and mark[m, ERA] > 0
                                and mark[m, GROUND] == sort
                                and (mark[m, ERA] == era or mark[m, MOVED] == era)
                            ):
                                by = np.int64(m)
                                ax, ay = cell[m, FROM_X] - from_x, cell[m, FROM_Y] - from_y
                                if ax != 0.0 or ay != 0.0 or cell[m, BORN] != born_q:
                                    f2, cross = fx * fx + fy * fy, (ax * fy - ay * fx) ** 2
                                    if 16.0 * (ax * ax + ay * ay) < f2 and cross * cross < kink_q * f2 * f2 * f2:
                                        share = _share(j, dx, dy, mx, my, fx - 0.5 * ax, fy - 0.5 * ay)
                                        sx, sy, born = sx + share * ax, sy + share * ay, born + share * (cell[m, BORN] - born_q)
                                        fx, fy = fx - share * ax, fy - share * ay
                                    else:
                                        solved = False
                                exact = solved
                        else:
                            exact = True
                        if exact:
                            best, best_x, best_y, best_born = (
                                born + sqrt(j_q * (fx * fx + fy * fy)) - kx_q * fx - ky_q * fy,
                                sx,
                                sy,
                                born,
                            )
                if not solved:
                    if own[n, SINCE] != k + 1:
                        _know(np.int64(n), k, mark, own, place, level, beds, row, height_m, cell_m)
                    kx, ky = np.float64(own[n, KX]), np.float64(own[n, KY])
                    if time_n - time_q + kx * dx + ky * dy <= AHEAD * own[n, LEAST] * (diagonal if j & 1 else 1.0):
                        continue
                    cx, cy = np.float64(own[n, CX]), np.float64(own[n, CY])
                    wxx, wxy, wyy = np.float64(own[n, WXX]), np.float64(own[n, WXY]), np.float64(own[n, WYY])
                    jxx, jxy, jyy = np.float64(own[n, JXX]), np.float64(own[n, JXY]), np.float64(own[n, JYY])
                    back_x, back_y = c - from_x, -r - from_y
                    fuel_n = (sort - 1) >> 1
                    if fuel != fuel_n and (back_x != 0.0 or back_y != 0.0):
                        back_x, back_y = _back(
                            np.int64(n),
                            q,
                            np.float64(c),
                            -np.float64(r),
                            cell,
                            mark,
                            own,
                            place,
                            k,
                            level,
                            beds,
                            row,
                            height_m,
                            cell_m,
                        )
                    best, by = np.inf, np.int64(-1)
                    for side in (3, 5):
                        i = (j + side) & 7  # from n towards the other end of a side of its square
                        r2, c2 = r1 + DOWN[i], c1 + RIGHT[i]
                        if r2 < 0 or c2 < 0 or r2 >= rows or c2 >= cols:
                            continue
                        if slot[r2 * cols + c2] <= 0:
                            continue
                        m = np.uintp(slot[r2 * cols + c2])  # type: ignore[assignment]
                        if mark[m, ERA] == 0 or (mark[m, ERA] != era and mark[m, MOVED] != era):
                            continue
                        d2x, d2y = -RIGHT[i], DOWN[i]
                        turn = dx * d2y - dy * d2x  # 1 or -1
                        # what a straight front would have had at q and m, for the front at n to be as it is: less by how far the front is bent
                        less_q = less_m = age = 0.0
                        two_x, two_y = c2 - cell[m, FROM_X], -r2 - cell[m, FROM_Y]
                        if (mark[m, GROUND] - 1) >> 1 != fuel_n and (two_x != 0.0 or two_y != 0.0):
                            two_x, two_y = _back(
                                np.int64(n),
                                np.int64(m),
                                np.float64(c2),
                                -np.float64(r2),
                                cell,
                                mark,
                                own,
                                place,
                                k,
                                level,
                                beds,
                                row,
                                height_m,
                                cell_m,
                            )
                        apart_x, apart_y = back_x + dx - two_x - d2x, back_y + dy - two_y - d2y
                        fx, fy = 0.5 * (back_x + dx + two_x + d2x), 0.5 * (back_y + dy + two_y + d2y)
                        f2 = fx * fx + fy * fy
                        if 16.0 * (apart_x * apart_x + apart_y * apart_y) < f2:
                            aside = -0.25 * sqrt(f2)
                            if (fx * d2y - fy * d2x) * turn < aside or (fy * dx - fx * dy) * turn < aside:
                                continue  # it comes from far beside this side
                            age, gx, gy = _crossing(kx, ky, jxx, jxy, jyy, fx, fy)
                            less_q = gx * dx + gy * dy - age + _time(kx, ky, jxx, jxy, jyy, fx - dx, fy - dy)
                            less_m = gx * d2x + gy * d2y - age + _time(kx, ky, jxx, jxy, jyy, fx - d2x, fy - d2y)
                        ax, ay = (d2y - dy) * turn, (dx - d2x) * turn
                        lag = (time_q - less_q - cell[m, TIME] + less_m) * turn
                        bx, by_ = -dy * lag, dx * lag
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
                        behind = 1.0 - cx * gx - cy * gy
                        if (vx * d2y - vy * d2x) * turn < 0.0 or (vy * dx - vx * dy) * turn < 0.0 or behind < 0.0:
                            continue
                        if age == 0.0:
                            age = STRAIGHT_CELLS / own[n, FASTEST]
                        back = age / behind
                        best, best_x, best_y, best_born, by = arrives, c1 - back * vx, -r1 - back * vy, arrives - age, np.int64(m)
                    if by < 0:
                        best, best_x, best_y, best_born = _straight(
                            kx, ky, jxx, jxy, jyy, dx, dy, back_x, back_y, c1, -r1, time_q
                        )
                if k > 0 and best < begin_s[k]:
                    best = begin_s[k]
                if best >= time_n - BETTER_BY:
                    continue
                if not walls:
                    if j & 1 and row[r, c1] < 0 and row[r1, c] < 0:
                        continue
                else:
                    at_s = 0.5 * (time_q + best)
                    if own[n, SINCE] != k + 1:
                        _know(np.int64(n), k, mark, own, place, level, beds, row, height_m, cell_m)
                    _, gx, gy = _crossing(
                        own[n, KX], own[n, KY], own[n, JXX], own[n, JXY], own[n, JYY], c1 - best_x, -r1 - best_y
                    )
                    holds = own[n, HEAT_OF] * cell_m / sqrt(gx * gx + gy * gy) <= holds_kw_per_m
                    if not _passes(row, west_s, north_s, holds, r, c, r1, c1, at_s):
                        continue
                    if (
                        by >= 0
                        and holds
                        and not (
                            _passes(row, west_s, north_s, True, place[by] // cols, place[by] % cols, r1, c1, at_s)
                            and _open(west_s, north_s, True, r, c, place[by] // cols, place[by] % cols, at_s)
                        )
                    ):
                        # straight, and a new front begins: the point that sent the old one may lie behind the line
                        best, best_x, best_y, best_born = _straight(
                            own[n, KX], own[n, KY], own[n, JXX], own[n, JXY], own[n, JYY], dx, dy, 0.0, 0.0, c1, -r1, time_q
                        )
                        if best >= time_n - BETTER_BY:
                            continue
                cell[n, TIME], cell[n, BORN], cell[n, FROM_X], cell[n, FROM_Y] = best, best_born, best_x, best_y
                mark[n, REACHED] = _heard(mark[n, REACHED], era, j) if sort == same else max(mark[n, REACHED], 1)
                key = best + lean_x * c1 - lean_y * r1
                bucket = min(max(int((key - lowest) * per_wide), now), buckets - 1)
                old = mark[n, BUCKET] - 1
                if bucket != old:
                    if old >= 0:
                        after, before = mark[n, NEXT], mark[n, LAST]
                        if before < 0:
                            first[old] = after
                        else:
                            mark[before, NEXT] = after
                        if after >= 0:
                            mark[after, LAST] = before
                    after = first[bucket]
                    mark[n, NEXT], mark[n, LAST], mark[n, BUCKET] = after, -1, bucket + 1
                    if after >= 0:
                        mark[after, LAST] = n
                    first[bucket] = n
    return burnt, taken


@_inline
def _heard(reached, era, j):  # type: ignore[no-untyped-def]
    """That a cell was reached, and which of its neighbours it has heard of in this interval: here the one that it is the j-th neighbour of."""
    return (reached if reached >> 9 == era else era << 9) | 1 | 2 << ((j + 4) & 7)


@_inline
def _straight(kx, ky, jxx, jxy, jyy, dx, dy, back_x, back_y, x, y, time_q):  # type: ignore[no-untyped-def]
    """From q straight to its neighbour at (x, y): it goes on from the point that sent it where that lies behind, else a new front begins."""
    t = _time(kx, ky, jxx, jxy, jyy, np.float64(dx), np.float64(dy))
    along = back_x * dx + back_y * dy
    age = t
    if along > 0.0 and along * along > 0.98 * (back_x * back_x + back_y * back_y) * (dx * dx + dy * dy):
        age += t * along / (dx * dx + dy * dy)
    return time_q + t, x - age / t * dx, y - age / t * dy, time_q + t - age


@_inline
def _foot(j, dx, dy, fx, fy):  # type: ignore[no-untyped-def]
    """Where the way (fx, fy) to n leaves the square round n, as a share from q towards the other end of a side, and where that lies back from n; a share above 1 is not on q's two sides."""
    if j & 1:
        along, aside = fx * dx, fy * dy
        if along >= aside:
            return (1.0 - aside / along if aside >= 0.0 else 2.0), dx, 0
        return (1.0 - along / aside if along >= 0.0 else 2.0), 0, dy
    along, aside = fx * dx + fy * dy, dx * fy - dy * fx
    if along <= 0.0:
        return 2.0, 0, 0
    if aside >= 0.0:
        return aside / along, dx - dy, dy + dx
    return -aside / along, dx + dy, dy - dx


@_inline
def _share(j, dx, dy, mx, my, fx, fy):  # type: ignore[no-untyped-def]
    """The same share for another way, towards the same other end."""
    if j & 1:
        along, aside = (fx * dx, fy * dy) if my == 0 else (fy * dy, fx * dx)
        share = 1.0 - aside / along
    else:
        along = fx * dx + fy * dy
        share = (fx * (mx - dx) + fy * (my - dy)) / along
    return min(max(share, 0.0), 1.0)
