"""The inner loops of drifting puffs: what each lays on the grid while it moves through one step, and what that comes to for whoever breathes it.

A puff's concentration is integrated over time exactly along each straight piece of its way (a difference of two normal distribution functions),
so neither short steps nor closely spaced puffs are needed for a mean over a step to be right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_plain: _Compile = njit(nogil=True, cache=True, error_model="numpy")
_inline: _Compile = njit(nogil=True, cache=True, error_model="numpy", inline="always")

REACH = 5.0  # a puff is cut off at so many standard deviations at most: 6e-7 of its mass lies beyond
COARSE = 6.0  # a puff so many cells wide (a standard deviation) is laid on cells twice as large, one twice as wide on cells four times as large
HALF = math.sqrt(0.5)
IMAGES = 3
MIXED = 1.6
FIRST_M = 0.5  # a piece of way begins no shorter than this times the growth: the table of widths begins there


@_inline
def _drift(x, y, time_s, wind_x, wind_y, wind_time, u, v):  # type: ignore[no-untyped-def]
    """The wind at a place and moment, m/s: linear in time, inverse squared distance between stations."""
    last = wind_time.size - 1
    k = 0
    share = 0.0
    if time_s >= wind_time[last]:
        k = last
    elif time_s > wind_time[0]:
        k = np.searchsorted(wind_time, time_s, side="right") - 1
        share = (time_s - wind_time[k]) / (wind_time[k + 1] - wind_time[k])
    after = min(k + 1, last)
    total, east, north = 0.0, 0.0, 0.0
    for s in range(wind_x.size):
        near = 1.0 / ((x - wind_x[s]) ** 2 + (y - wind_y[s]) ** 2 + 1.0)
        total += near
        east += near * (u[k, s] + share * (u[after, s] - u[k, s]))
        north += near * (v[k, s] + share * (v[after, s] - v[k, s]))
    return east / total, north / total


@_inline
def _upright(z_m, sigma_z, height_m, mixing_m):  # type: ignore[no-untyped-def]
    """Share of the gas per metre at a height: ground and lid reflect."""
    if sigma_z > MIXED * mixing_m:
        return 1.0 / mixing_m
    total = math.exp(-0.5 * ((z_m - height_m) / sigma_z) ** 2) + math.exp(-0.5 * ((z_m + height_m) / sigma_z) ** 2)
    if mixing_m < 1e9:
        for k in range(1, IMAGES + 1):
            low, high = 2.0 * k * mixing_m - height_m, 2.0 * k * mixing_m + height_m
            total += math.exp(-0.5 * ((z_m - low) / sigma_z) ** 2) + math.exp(-0.5 * ((z_m + low) / sigma_z) ** 2)
            total += math.exp(-0.5 * ((z_m - high) / sigma_z) ** 2) + math.exp(-0.5 * ((z_m + high) / sigma_z) ** 2)
    return total / (math.sqrt(2.0 * math.pi) * sigma_z)


@_inline
def _wide(way, first, step, ln_sigma_y, ln_sigma_z):  # type: ignore[no-untyped-def]
    """Widths at a way, from a table of logarithms in even steps of the logarithm of the way."""
    at = (math.log(max(way, 1e-3)) - first) / step
    k = min(max(math.floor(at), 0), ln_sigma_y.size - 2)
    share = at - k
    return (
        math.exp(ln_sigma_y[k] + share * (ln_sigma_y[k + 1] - ln_sigma_y[k])),
        math.exp(ln_sigma_z[k] + share * (ln_sigma_z[k + 1] - ln_sigma_z[k])),
    )


@_plain
def drift_and_lay(  # type: ignore[no-untyped-def]
    from_s,
    until_s,
    puff_time,
    puff_mass,
    puff_height,
    puff_table,
    puff_x,
    puff_y,
    puff_way,
    wind_x,
    wind_y,
    wind_time,
    u,
    v,
    calm,
    table_first,
    table_step,
    ln_sigma_y,
    ln_sigma_z,
    smear,
    growth,
    z_m,
    mixing_m,
    x_min,
    y_max,
    cell,
    rows,
    cols,
    least,
    box,
    lay,
    dose,
    dose_2,
    dose_4,
):
    """Move all puffs from `from_s` to `until_s`; where `lay`, add what they leave to dose, kg s/m3, (row, col) of the window `box`.

    A puff's `way` is the distance it has gone, m, and -1 once it has left for good. Without `lay`, `box` (row, row, col, col: first and past the
    last) grows to hold whatever would be laid. A wide puff is laid on a coarser grid, which `spread_down` brings to the cells. What one piece of one
    puff's way would add below `least`, kg s/m3, is left out.
    """
    root = math.sqrt(2.0 * math.pi)
    wide = max(rows, cols) * cell
    x_max, y_min = x_min + cols * cell, y_max - rows * cell
    for p in range(puff_time.size):
        if puff_time[p] >= until_s or puff_way[p] < 0.0:
            continue
        now = max(from_s, puff_time[p])
        x, y, way = puff_x[p], puff_y[p], puff_way[p]
        while now < until_s:
            east, north = _drift(x, y, now, wind_x, wind_y, wind_time, u, v)
            speed = max(math.hypot(east, north), calm)
            step = min(until_s - now, growth * (way + FIRST_M) / speed)
            if until_s - now - step < 1e-6:
                step = until_s - now
            east, north = _drift(x, y, now + 0.5 * step, wind_x, wind_y, wind_time, u, v)
            speed = math.hypot(east, north)
            if speed < calm:
                if speed > 1e-9:
                    east, north = east * calm / speed, north * calm / speed
                else:
                    east, north = calm, 0.0
                speed = calm
            gone = speed * step
            t = puff_table[p]
            begin, begin_z = _wide(way, table_first, table_step, ln_sigma_y[t], ln_sigma_z[t])
            after, after_z = _wide(way + gone, table_first, table_step, ln_sigma_y[t], ln_sigma_z[t])
            begin, after = math.sqrt(begin * begin + smear * smear), math.sqrt(after * after + smear * smear)
            scale = puff_mass[p] / (root * speed)
            tall = _upright(z_m, begin_z, puff_height[p], mixing_m)
            tall_after = _upright(z_m, after_z, puff_height[p], mixing_m)
            most = scale * max(tall, tall_after) / begin * min(1.0, gone / (root * begin))
            far = 0.0
            if most > least:
                far = after * (min(REACH, math.sqrt(2.0 * math.log(most / least))) if least > 0.0 else REACH)
            dir_x, dir_y = east / speed, north / speed
            x_next, y_next = x + east * step, y + north * step
            if far > 0.0:
                stride = 1 if begin < COARSE * cell else (2 if begin < 2.0 * COARSE * cell else 4)
                size = cell * stride
                row_0 = math.floor((y_max - max(y, y_next) - far) / size)
                row_1 = math.floor((y_max - min(y, y_next) + far) / size) + 1
                col_0 = math.floor((min(x, x_next) - far - x_min) / size)
                col_1 = math.floor((max(x, x_next) + far - x_min) / size) + 1
                if not lay:
                    first, last = max(0, row_0 * stride), min(rows, row_1 * stride)
                    left, right = max(0, col_0 * stride), min(cols, col_1 * stride)
                    if first < last and left < right:
                        box[0], box[1] = min(box[0], first), max(box[1], last)
                        box[2], box[3] = min(box[2], left), max(box[3], right)
                else:
                    sheet = dose if stride == 1 else (dose_2 if stride == 2 else dose_4)
                    edge = 0 if stride == 1 else 1
                    row_from, col_from = box[0] // stride - edge, box[2] // stride - edge
                    row_0, row_1 = max(row_0, row_from), min(row_1, row_from + sheet.shape[0])
                    col_0, col_1 = max(col_0, col_from), min(col_1, col_from + sheet.shape[1])
                    middle = 0.5 * (begin + after)
                    drawn = gone / (gone * gone + 12.0 * middle * middle)
                    for row in range(row_0, row_1):
                        off_y = y_max - (row + 0.5) * size - y
                        for col in range(col_0, col_1):
                            off_x = x_min + (col + 0.5) * size - x
                            across = off_y * dir_x - off_x * dir_y
                            if across * across > far * far:
                                continue
                            along = off_x * dir_x + off_y * dir_y
                            if along < -far or along > gone + far:
                                continue
                            # a cell meets the puff as wide as it is on the mean while it is near: a narrow one at the cell, a wide one halfway
                            part = min(max(0.5 + (along - 0.5 * gone) * drawn, 0.0), 1.0)
                            narrow = 1.0 / (begin + part * (after - begin))
                            passed = 0.5 * (math.erf(along * narrow * HALF) - math.erf((along - gone) * narrow * HALF))
                            upright = tall + part * (tall_after - tall)
                            across *= narrow
                            sheet[row - row_from, col - col_from] += (
                                scale * upright * narrow * math.exp(-0.5 * across * across) * passed
                            )
            x, y, way, now = x_next, y_next, way + gone, now + step
            if x < x_min - wide or x > x_max + wide or y < y_min - wide or y > y_max + wide:
                way = -1.0
                break
        puff_x[p], puff_y[p], puff_way[p] = x, y, way


@_plain
def spread_down(coarse, stride, box, dose):  # type: ignore[no-untyped-def]
    """Bring a coarse grid to the cells by straight lines between its middles, and empty it. It begins a cell outside the window `box`."""
    row_from, col_from = box[0] // stride - 1, box[2] // stride - 1
    filled = False
    for value in coarse.flat:
        if value != 0.0:
            filled = True
            break
    if not filled:
        return
    for i in range(dose.shape[0]):
        at = (box[0] + i + 0.5) / stride - 0.5 - row_from
        row = min(int(at), coarse.shape[0] - 2)
        down = at - row
        for j in range(dose.shape[1]):
            at = (box[2] + j + 0.5) / stride - 0.5 - col_from
            col = min(int(at), coarse.shape[1] - 2)
            right = at - col
            dose[i, j] += (1.0 - down) * ((1.0 - right) * coarse[row, col] + right * coarse[row, col + 1]) + down * (
                (1.0 - right) * coarse[row + 1, col] + right * coarse[row + 1, col + 1]
            )
    coarse[:, :] = 0.0


@_plain
def breathe(  # type: ignore[no-untyped-def]
    number,
    step_s,
    dose,
    seen_from,
    power,
    exchange_per_s,
    window,
    per_limit,
    now,
    total,
    inside,
    ring,
    peak,
    load,
    arrival,
    end,
    share_now,
    share,
):
    """What one step adds for each cell; `dose` is emptied. `share` (indoors, level, cell) is the largest of mean over a window / its limit so far.

    `per_limit` (level, window) is 1 / (limit x length of the window in s), 0 where there is no limit; no window that is not over by the end may be
    longer than `ring`. `now`: fill share_now, the share outdoors of level 1 in the windows that end here. `total` (2, cell) is the dose so far outdoors and indoors, `ring` (slot, 2, cell) what it was a window ago, `inside` the concentration indoors.
    """
    slots, levels, cells = ring.shape[0], per_limit.shape[0], dose.size
    kept = math.exp(-exchange_per_s * step_s)
    held = (1.0 - kept) / (exchange_per_s * step_s) if exchange_per_s > 0.0 else 1.0
    for c in range(cells):
        mean = dose[c] / step_s
        dose[c] = 0.0
        if mean > peak[c]:
            peak[c] = mean
        if mean >= seen_from:
            if arrival[c] == np.inf:
                arrival[c] = number * step_s
            end[c] = (number + 1) * step_s
        if mean > 0.0:
            load[c] += mean**power * step_s
        mean_inside = mean + (inside[c] - mean) * held
        inside[c] = mean + (inside[c] - mean) * kept
        total[0, c] += mean * step_s
        total[1, c] += mean_inside * step_s
        if total[0, c] == 0.0:
            continue
        slot = number % slots
        for where in range(0 if mean > 0.0 or now else 1, 2):  # without gas outdoors no mean there is higher than before
            for w in range(window.size):
                within = total[where, c]
                if window[w] <= number:
                    within -= ring[(number - window[w]) % slots, where, c]
                for level in range(levels):
                    part = within * per_limit[level, w]
                    if part > share[where, level, c]:
                        share[where, level, c] = part
                    if now and where == 0 and level == 1 and part > share_now[c]:
                        share_now[c] = part
        ring[slot, 0, c], ring[slot, 1, c] = total[0, c], total[1, c]
