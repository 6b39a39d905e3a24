"""Where a fire will be: the front that grows over fuel and slope in a wind that changes, stopped by bare ground and by lines that crews build.

Each point of the front sends out an ellipse (Huygens; Anderson, Catchpole, de Mestre & Parkes 1982, J. Austral. Math. Soc. B 23:451-466); the arrival time solves the front's own
equation on the grid, so that an ellipse comes out as an ellipse: see docs/science/fire.md for its error in area. The shape is Rothermel's and
Anderson's of `fire_spread`; wind and moisture are one for the whole place and hold in steps, the wind at midflame differs by fuel.

A line stops fire along the sides of cells, never across a diagonal, and from the time on at which its crew has passed. Limits: as `fire_spread`, and no spotting across a line, no
fire that pulls its own wind, no burn-out by crews; ground is as good as the cell: a road narrower than a cell is there only if its cells say so.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.faces import along
from tocsin.science.fire_spread import (
    CROWN_HEAT_KJ_PER_KG,
    WIND_10M_TO_20FT,
    Canopy,
    Moisture,
    beds,
    crown_critical_intensity_kw_per_m,
    crown_length_to_width,
    crown_rate_m_per_min,
    flame_length_m,
    wind_adjustment,
)
from tocsin.science.fuel import UNBURNABLE, fuels, rows_of
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Cells = NDArray[np.int64]

INTERVALS_MOST = 10_000
AT_ONCE = 4_096  # cells: what numpy makes of so many stays in the processor's own memory


class Weather(msgspec.Struct, frozen=True):
    """Wind and fuel moisture from a time on, until the next one's. The wind is that of a mast, 10 m above open ground, and named by where it comes from."""

    begin_s: float
    wind_m_per_s: float
    wind_from_deg: float
    moisture: Moisture = Moisture()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.begin_s) and 0.0 <= self.wind_m_per_s <= 100.0 and np.isfinite(self.wind_from_deg)):
            raise InputError(
                f"fire weather from {self.begin_s} s: wind {self.wind_m_per_s} m/s from {self.wind_from_deg} deg; wanted 0..100 m/s and a direction"
            )


class FireLine(msgspec.Struct, frozen=True):
    """Sides of cells that stop a fire, each from a time on; named by the cell on whose west or north side they lie, (side, 2): row, col."""

    west_of: Cells
    west_from_s: Floats
    north_of: Cells
    north_from_s: Floats


class FireProblem(msgspec.Struct, frozen=True):
    """Fuel and ground (row, col), weather in order of time, and where it burns from when: `start` cells (start, 2): row, col.

    `fuel` are numbers of Anderson or Scott & Burgan; 91..99 do not burn. `canopy` stands over timber (models 8-12, TU, TL, SB). `wind_limit` cuts the wind that still
    helps after Rothermel 1972, eq. 87 (Andrews, Cruz & Rothermel 2013, Int. J. Wildland Fire 22:959-969 advise against it). A line holds fires below `line_holds_kw_per_m`.
    `rate_factor` multiplies all rates of spread: what is known of how wrong the model is here.
    """

    fuel: NDArray[np.int64]
    cell_m: float
    weather: tuple[Weather, ...]
    start: Cells
    start_s: Floats
    elevation_m: Floats | None = None
    canopy: Canopy = Canopy()
    wind_limit: bool = False
    lines: tuple[FireLine, ...] = ()
    line_holds_kw_per_m: float = float("inf")
    rate_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.fuel.ndim != 2 or not self.fuel.size:
            raise InputError(f"fire: fuel has shape {self.fuel.shape}; wanted (row, col)")
        if not (np.isfinite(self.cell_m) and self.cell_m > 0):
            raise InputError(f"fire: cell_m = {self.cell_m}; wanted a length above 0")
        if not (np.isfinite(self.rate_factor) and self.rate_factor > 0):
            raise InputError(f"fire: rate_factor = {self.rate_factor}; wanted a number above 0")
        if self.elevation_m is not None and self.elevation_m.shape != self.fuel.shape:
            raise InputError(f"fire: ground {self.elevation_m.shape}, fuel {self.fuel.shape}; wanted the same (row, col)")
        begins = [w.begin_s for w in self.weather]
        if not begins or sorted(set(begins)) != begins or len(begins) > INTERVALS_MOST:
            raise InputError(
                f"fire: weather at {begins[:5]} s; wanted 1..{INTERVALS_MOST:,} times, each later than the one before"
            )
        start = np.asarray(self.start)
        inside = start.ndim == 2 and start.shape[1:] == (2,) and ((start >= 0) & (start < self.fuel.shape)).all()
        if not inside or self.start_s.shape != start.shape[:1] or not np.isfinite(self.start_s).all():
            raise InputError(
                f"fire: start {start.shape} with times {self.start_s.shape}; wanted cells (start, 2) inside {self.fuel.shape}, a time for each"
            )


class FireRun(msgspec.Struct, frozen=True):
    """What burns, (row, col): infinite arrival and 0 elsewhere. Times are exact to less than a second; what the model gives of the front has seven digits. Rate, direction and heat are those of the front as it comes, head, flank or back."""

    arrival_s: Floats
    end_s: Floats
    rate_m_per_min: Singles
    toward_deg: Singles
    intensity_kw_per_m: Singles
    flame_length_m: Singles
    cells_taken: int


def spread(problem: FireProblem, *, duration_s: float) -> FireRun:
    """The fire from the earliest weather on for `duration_s`."""
    from tocsin.science import fire_steps as steps

    begin = np.array([w.begin_s for w in problem.weather])
    end = float(begin[0] + duration_s)
    begin = begin[begin < end] if (begin < end).any() else begin[:1]
    row, present = _rows(problem.fuel)
    table = spread_table(problem.weather[: begin.size], problem.canopy, wind_limit=problem.wind_limit)
    table[:, :, [steps.RATE, steps.CROWN_RATE]] *= problem.rate_factor
    lean, margin = _order(steps, table, present, problem.cell_m)
    west, north = _walls(problem.lines, row.shape)
    first = np.argsort(problem.start_s, kind="stable")
    at = np.asarray(problem.start, np.int64)[first]
    high = np.empty((0, 0)) if problem.elevation_m is None else np.require(problem.elevation_m, np.float64, ["C", "W"])
    work, arrival = _untouched(row.size + 1, (8, 8, 2)), np.full(row.shape, np.inf)
    front = work[2].view(np.float32)
    slot, place, order, band, wait = np.zeros((5, row.size + 1), np.int32)
    burnt, taken = steps.grow(
        row, high, table, present, lean, margin, begin, end, float(problem.cell_m), west, north, bool(problem.lines),
        at[:, 0] * row.shape[1] + at[:, 1], np.maximum(problem.start_s[first], begin[0]), float(problem.line_holds_kw_per_m),
        slot, place, work[0], work[0].view(np.int32), work[1].view(np.float32), arrival, order, front,
        np.empty((begin.size, table.shape[1], steps.OWN_COLUMNS)), band, wait,
        np.empty(steps.BUCKETS_MOST + 2, np.int32),
    )  # fmt: skip
    order = np.sort(order[:burnt])
    return FireRun(arrival, *_rest(row, arrival, order, front, slot, problem.weather[0].moisture), int(taken))


def _rest(
    row: NDArray[np.int8],
    arrival_s: Floats,
    order: NDArray[np.int32],
    front: Singles,
    slot: NDArray[np.int32],
    moisture: Moisture,
) -> tuple[Floats, Singles, Singles, Singles, Singles]:
    """What follows from arrival and slowness, for the cells that burn: most of a map does not."""
    end_s, all_four = np.full(row.shape, np.inf), np.zeros((4, *row.shape), np.float32)
    rate, toward, intensity, flame = all_four.reshape(4, -1)
    arrives, end = arrival_s.reshape(-1), end_s.reshape(-1)
    fuel, stays = row.reshape(-1), beds(moisture).residence_s
    for k in range(0, order.size, AT_ONCE):
        part = order[k : k + AT_ONCE].astype(np.intp)
        east, north, heat = np.ascontiguousarray(front.take(slot[part], axis=0).T[:3])
        fast = 1.0 / np.sqrt(east * east + north * north)
        angle, hot = np.degrees(np.arctan2(east, north)), (fast * heat).astype(np.float64)
        rate[part], toward[part] = fast * 60.0, np.where(angle < 0.0, angle + 360.0, angle)
        intensity[part], flame[part] = hot, flame_length_m(hot)
        end[part] = arrives[part] + stays[fuel[part]]
    return end_s, all_four[0], all_four[1], all_four[2], all_four[3]


def _rows(fuel: NDArray[np.int64]) -> tuple[NDArray[np.int8], Cells]:
    """The row of `fuels()` of each cell, and the rows that there are."""
    from tocsin.science import fire_steps as steps

    known = np.full(257, -2, np.int8)
    known[fuels().number] = np.arange(fuels().number.size)
    known[list(UNBURNABLE)] = -1
    row, seen = np.empty(fuel.shape, np.int8), np.zeros(fuels().number.size, np.bool_)
    whole = np.require(fuel, None, ["C", "W"]).reshape(-1)  # what is compiled is compiled again for what may not be written
    if not (whole.dtype == np.int64 and steps.rows_known(whole, known, row.reshape(-1), seen)):
        row[:] = rows_of(fuel)  # the slow way also says what is wrong
        seen[row[row >= 0]] = True
    return row, np.flatnonzero(seen)


def _untouched(cells: int, columns: tuple[int, ...]) -> list[Floats]:
    """Arrays of zeros (cell, column) in one piece, each from the start of a line of the processor's memory: what no fire reaches costs nothing."""
    whole = np.zeros(sum(-(-cells * n // 8) * 8 for n in columns) + 8)
    at, out = (-whole.ctypes.data % 64) // 8, []
    for n in columns:
        out.append(whole[at : at + n * cells].reshape(cells, n))
        at += -(-cells * n // 8) * 8
    return out


def spread_table(weather: Sequence[Weather], canopy: Canopy = Canopy(), *, wind_limit: bool = False) -> Floats:  # noqa: B008
    """What the compiled loops want of fuel, weather and trees: (interval, fuel, column), in metres and seconds."""
    from tocsin.science import fire_steps as c

    open_air = wind_adjustment(fuels().depth_ft)
    timber = _under_trees()
    sheltered = np.where(timber, wind_adjustment(fuels().depth_ft, canopy), open_air)
    table = np.zeros((len(weather), fuels().number.size, c.COLUMNS))
    made: dict[Moisture, tuple[Floats, ...]] = {}
    for k, now in enumerate(weather):
        if now.moisture not in made:
            made[now.moisture] = beds(now.moisture)
        bed = made[now.moisture]
        one = table[k]
        toward = np.radians(now.wind_from_deg + 180.0)
        east, north = np.sin(toward), np.cos(toward)
        midflame = now.wind_m_per_s * 60.0 * WIND_10M_TO_20FT * sheltered
        rate, one[:, c.WIND_SCALE], one[:, c.WIND_POWER], one[:, c.SLOPE_SCALE], most, one[:, c.HEAT], _ = bed
        one[:, c.RATE] = rate / 60.0
        one[:, c.WIND_MOST] = most if wind_limit else np.inf
        # Rothermel's wind factor, as the vector that a slope's is added to
        push = one[:, c.WIND_SCALE] * midflame ** one[:, c.WIND_POWER]
        one[:, c.PUSH_EAST], one[:, c.PUSH_NORTH] = push * east, push * north
        one[:, c.CROWN_FROM] = np.where(timber, crown_critical_intensity_kw_per_m(canopy), np.inf)
        one[:, c.CROWN_RATE] = crown_rate_m_per_min(canopy, now.wind_m_per_s, now.moisture.dead_1h) / 60.0
        one[:, c.CROWN_SHAPE] = crown_length_to_width(now.wind_m_per_s)
        one[:, c.CROWN_HEAT] = canopy.bulk_density_kg_per_m3 * (canopy.height_m - canopy.base_height_m) * CROWN_HEAT_KJ_PER_KG
        if now.wind_m_per_s > 0:
            one[:, c.CROWN_EAST], one[:, c.CROWN_NORTH] = east, north
    return table


def line_along(corners: ArrayLike, shape: tuple[int, int], cell_m: float, *, start_s: float, rate_m_per_min: float) -> FireLine:
    """A line through `corners` (point, 2): row, col in cells, built from its first point on at a rate; an infinite rate has it stand at once."""
    if not rate_m_per_min > 0:
        raise InputError(f"fire line: {rate_m_per_min} m/min; wanted a rate above 0")
    points = np.asarray(corners, np.float64)
    west_of, north_of = along(points, shape)
    times = [
        start_s + 60.0 * _way(points, sides + half) * cell_m / rate_m_per_min
        for sides, half in ((west_of, np.array([0.5, 0.0])), (north_of, np.array([0.0, 0.5])))
    ]
    return FireLine(west_of, times[0], north_of, times[1])


def _way(points: Floats, at: Floats) -> Floats:
    """How far along a line its nearest point to each of `at` is."""
    begin, leg = points[:-1], np.diff(points, axis=0)
    long = np.hypot(leg[:, 0], leg[:, 1])
    before = np.concatenate([[0.0], np.cumsum(long)[:-1]])
    apart = at[:, None] - begin
    share = np.clip((apart * leg).sum(axis=2) / np.maximum(long, 1e-12) ** 2, 0.0, 1.0)
    off = np.hypot(*np.moveaxis(apart - share[:, :, None] * leg, 2, 0))
    nearest = off.argmin(axis=1)
    rows = np.arange(len(at))
    return np.asarray(before[nearest] + share[rows, nearest] * long[nearest])


def _under_trees() -> NDArray[np.bool_]:
    """Fuel models of timber: 8 to 12 of Anderson; TU, TL and SB of Scott & Burgan."""
    number = fuels().number
    return np.asarray(((number >= 8) & (number <= 12)) | (number >= 161))


def _walls(lines: Sequence[FireLine], shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not lines:
        return np.empty((0, 0)), np.empty((0, 0))
    west, north = np.full(shape, np.inf), np.full(shape, np.inf)
    for line in lines:
        np.minimum.at(west, tuple(line.west_of.T), line.west_from_s)
        np.minimum.at(north, tuple(line.north_of.T), line.north_from_s)
    return west, north


def _order(steps: object, table: Floats, present: Cells, cell_m: float) -> tuple[Floats, Cells]:
    """The order in which cells are taken up, and how far beyond an interval's front: from the ellipse of the fastest fuel that is there.

    With p the slowness and k = W^-1 c, p + k is the slowness of a front that goes equally fast in all directions. So, taken up by T + k.x, a cell comes after
    all that it depends on; by T alone it does not where the ellipse is long.
    """
    ellipse = steps.ellipse  # type: ignore[attr-defined]
    lean, margin = np.zeros((len(table), 2)), np.full(len(table), 2, np.int64)
    for k, beds_now in enumerate(table):
        shapes = [ellipse(beds_now[fuel], 0.0, 0.0) for fuel in present]
        if shapes:
            cx, cy, wxx, _, wyy, *_ = max(shapes, key=lambda one: one[5])
            lean[k] = cx / wxx * cell_m, cy / wyy * cell_m
            margin[k] = 2 + int(max(one[7] for one in shapes) ** 2 / 2.0)
    return lean, margin
