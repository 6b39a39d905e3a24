"""Gas that drifts with a wind that changes in time and space, as a row of puffs, and what whoever breathes it on a grid gets of it.

Each puff is followed for its life. While it drifts along a straight piece of its way its concentration is integrated over time exactly, so the mean
over a step is right however far the puff moves within it. Pieces are so short that the puff grows by less than GROWTH in each: that, and the
time between two puffs, is all the error there is beside the physics; `puffs_plainly` is the same sum in NumPy at close times without any of it.

In a steady wind the row is the plume of `tocsin.science.dispersion`: exactly so where both widths grow in proportion to the distance, although
puffs spread along the wind and a plume does not (the mean of r over r ~ N(1, sigma / x), r = x / way, is 1); with the curves in use within 1 %.
Source: Ludwig, Gasiorek & Ruff 1977, Atmos. Environ. 11:431-436 (rows of puffs); Scire, Strimaitis & Yamartino 2000, CALPUFF user's guide, 2.2 (integrated puffs).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.dispersion import upright
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

GROWTH = 0.1  # a puff's way grows by at most so much of itself in one piece
CALM_M_PER_S = 0.5  # slower wind counts as this: puffs are not for calm air
TABLE_FROM_M, TABLE_TO_M, TABLE_ROWS = 0.1, 200_000.0, 400
PUFFS_MOST = 2_000_000
MEMORY_MOST = 2_000_000_000  # bytes of doses that are remembered for the running means
LEFT_OUT = (
    0.01  # of the concentration at which gas counts as seen: less than this from one puff on a piece of its way is left out
)


class Wind(msgspec.Struct, frozen=True):
    """What stations say: `east` and `north`, m/s, (time, station), where the air goes to; between stations by inverse squared distance."""

    x_m: Floats
    y_m: Floats
    time_s: Floats
    east: Floats
    north: Floats

    def __post_init__(self) -> None:
        shape = (self.time_s.size, self.x_m.size)
        if self.east.shape != shape or self.north.shape != shape or self.y_m.shape != self.x_m.shape or 0 in shape:
            raise InputError(
                f"wind: east {self.east.shape}, north {self.north.shape}; wanted both (time, station) = {shape}, not empty"
            )
        if not (np.isfinite(self.east).all() and np.isfinite(self.north).all() and (np.diff(self.time_s) > 0).all()):
            raise InputError("wind: a number that is not finite, or times that do not rise; leave such a row out")

    def at(self, x_m: float, y_m: float) -> tuple[Floats, Floats]:
        """East and north at a place, m/s, (time,): as a puff meets it there."""
        near = 1.0 / ((x_m - self.x_m) ** 2 + (y_m - self.y_m) ** 2 + 1.0)
        share = near / near.sum()
        return self.east @ share, self.north @ share

    @classmethod
    def of(
        cls, speed_m_per_s: ArrayLike, from_deg: ArrayLike, time_s: ArrayLike = 0.0, x_m: ArrayLike = 0.0, y_m: ArrayLike = 0.0
    ) -> Wind:
        """From speed and the direction that the wind comes from, degrees from north, clockwise; (time, station) or (time,)."""
        time, x, y = (np.atleast_1d(np.asarray(a, np.float64)) for a in (time_s, x_m, y_m))
        east, north = going_to(speed_m_per_s, from_deg)
        shape = (time.size, x.size)
        if east.size != time.size * x.size:
            raise InputError(f"wind: {east.size} values; wanted {shape[0]} times x {shape[1]} stations")
        return cls(x, y, time, east.reshape(shape), north.reshape(shape))


class Release(msgspec.Struct, frozen=True):
    """Gas let go at a place: its rate, kg/s, linear between moments and flat outside; `table` is the row of the widths that it grows by."""

    x_m: float
    y_m: float
    time_s: Floats
    rate_kg_per_s: Floats
    height_m: float = 0.0
    table: int = 0

    def __post_init__(self) -> None:
        if self.time_s.shape != self.rate_kg_per_s.shape or self.time_s.size == 0 or not (np.diff(self.time_s) > 0).all():
            raise InputError(
                f"release: times {self.time_s.shape} and rates {self.rate_kg_per_s.shape}; wanted two columns of rising times"
            )
        if not (np.isfinite(self.rate_kg_per_s).all() and (self.rate_kg_per_s >= 0).all()):
            raise InputError("release: a rate below 0 or not finite; wanted kg/s, 0 or more")

    def mass_between(self, edge_s: Floats) -> Floats:
        """Mass let go between neighbouring moments, kg: the exact integral of the lines."""
        time = np.union1d(self.time_s, edge_s)
        rate = np.interp(time, self.time_s, self.rate_kg_per_s)
        gone = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(time) * (rate[1:] + rate[:-1]))])
        return np.diff(np.interp(edge_s, time, gone))


class Widths(msgspec.Struct, frozen=True):
    """How a puff grows with the way it has gone: standard deviations, m, (table, row) at `way_m`, straight lines between logarithms."""

    way_m: Floats
    sigma_y_m: Floats
    sigma_z_m: Floats


class Breathed(msgspec.Struct, frozen=True):
    """What comes of a release at every cell, (cell,): concentrations in kg/m3, times in s after the start.

    `share` is (2, level, cell): outdoors and indoors, the largest of the mean over a window / the level's limit for that window. `load` is the
    integral of concentration^power. `frames` are the share of level 1 (the second) in the windows that end at that moment, (frame, cell), and
    `mean_kg_per_m3` the mean outdoors of the step that ends there.
    """

    peak: Floats32
    share: Floats32
    load: Floats
    dose: Floats
    arrival_s: Floats32
    end_s: Floats32
    frames: Floats32
    mean_kg_per_m3: Floats32
    released_kg: float
    puffs: int


def going_to(speed_m_per_s: ArrayLike, from_deg: ArrayLike) -> tuple[Floats, Floats]:
    """East and north of where air goes, m/s, whose wind comes from `from_deg`."""
    angle = np.deg2rad(np.asarray(from_deg, np.float64))
    speed = np.asarray(speed_m_per_s, np.float64)
    return np.asarray(-speed * np.sin(angle)), np.asarray(-speed * np.cos(angle))


def widths(grows: Sequence[tuple[Floats, Floats]], way_m: Floats | None = None) -> Widths:
    """A table of widths from pairs of sigma_y, sigma_z at `way_m` (by default `ways()`)."""
    way = ways() if way_m is None else way_m
    return Widths(way, np.stack([a for a, _ in grows]), np.stack([b for _, b in grows]))


def ways() -> Floats:
    """The distances of the tables, m: 0.1 m to 200 km in even ratios."""
    return np.geomspace(TABLE_FROM_M, TABLE_TO_M, TABLE_ROWS)


def breathed(
    releases: Sequence[Release],
    wind: Wind,
    grows: Widths,
    *,
    x_min_m: float,
    y_max_m: float,
    cell_m: float,
    shape: tuple[int, int],
    duration_s: float,
    step_s: float = 60.0,
    puff_s: float = 20.0,
    windows_s: Sequence[float] = (600.0, 1800.0, 3600.0),
    limits: Floats | None = None,
    power: float = 1.0,
    exchange_per_h: float = 0.5,
    seen_from: float = 0.0,
    mixing_m: float = np.inf,
    z_m: float = 1.5,
    frame_s: Sequence[float] = (),
    smear: bool = True,
    growth: float = GROWTH,
) -> Breathed:
    """Let the releases drift, and judge what is breathed at every cell, in steps of `step_s`.

    `limits` (level, window) are concentrations, inf where there is none. With `smear` a cell stands for its whole area (a puff is widened by the
    spread of a cell, cell / sqrt(12)); without, for its middle. Indoors, air is exchanged `exchange_per_h` times an hour and nothing is held back
    by walls: dC/dt = k (outdoors - indoors), solved exactly in each step. `seen_from` is the mean of a step from which gas has arrived; a hundredth of it
    from one puff is left out.
    """
    from tocsin.science.puffs_steps import breathe, drift_and_lay, spread_down

    rows, cols = shape
    limit = np.full((3, len(windows_s)), np.inf) if limits is None else np.asarray(limits, np.float64)
    window = np.asarray(np.round(np.asarray(windows_s) / step_s), np.int64)
    if limit.shape[1] != window.size or (window < 1).any() or not (limit > 0).all():
        raise InputError(
            f"puffs: limits {limit.shape} for {window.size} windows; wanted (level, window), above 0, no window below {step_s} s"
        )
    steps = int(np.ceil(duration_s / step_s - 1e-9))
    puffs, released_kg = _let_go(releases, duration_s, puff_s)
    way = np.zeros(puffs[0].size)
    ln_way = np.log(grows.way_m)
    fixed = (
        wind.x_m, wind.y_m, wind.time_s, wind.east, wind.north, CALM_M_PER_S,
        ln_way[0], ln_way[1] - ln_way[0], np.log(grows.sigma_y_m), np.log(grows.sigma_z_m),
        cell_m / np.sqrt(12.0) if smear else 0.0, growth, z_m, mixing_m, x_min_m, y_max_m, cell_m, rows, cols,
        LEFT_OUT * seen_from * step_s,
    )  # fmt: skip

    def pieces() -> tuple[NDArray[np.float64 | np.int64], ...]:
        time, mass, height, table, x, y = puffs
        return time, mass, height, table, x.copy(), y.copy(), way.copy()

    box = np.array([rows, 0, cols, 0], np.int64)
    dose = np.zeros((0, 0))
    drift_and_lay(0.0, steps * step_s, *pieces(), *fixed, box, False, dose, dose, dose)
    high, wide = max(0, int(box[1] - box[0])), max(0, int(box[3] - box[2]))
    cells = high * wide
    dose = np.zeros((high, wide))
    coarse = (
        {
            stride: np.zeros(tuple((int(last) - 1) // stride - int(first) // stride + 3 for first, last in (box[:2], box[2:])))
            for stride in (2, 4)
        }
        if cells
        else {2: dose, 4: dose}
    )
    per_limit = 1.0 / (limit * window * step_s)
    most = int(window[window < steps].max(initial=1))
    if most * 2 * cells * 4 > MEMORY_MOST:
        raise InputError(
            f"puffs: {cells:,} cells over {most} steps take {most * cells * 8 / 1e9:.1f} GB; wanted at most {MEMORY_MOST / 1e9:g}: a shorter run or larger cells"
        )
    total, inside, ring = np.zeros((2, cells)), np.zeros(cells), np.zeros((most, 2, cells), np.float32)
    peak, load = np.zeros(cells), np.zeros(cells)
    arrival, end = np.full(cells, np.inf), np.full(cells, np.inf)
    now, share = np.zeros(cells), np.zeros((2, limit.shape[0], cells))
    moving = pieces()
    frames, means = np.zeros((2, len(frame_s), rows, cols), np.float32)
    rect = (slice(int(box[0]), int(box[0]) + high), slice(int(box[2]), int(box[2]) + wide))
    for number in range(steps):
        if not cells:
            break
        drift_and_lay(number * step_s, (number + 1) * step_s, *moving, *fixed, box, True, dose, coarse[2], coarse[4])
        for stride, sheet in coarse.items():
            spread_down(sheet, stride, box, dose)
        here = [f for f, moment in enumerate(frame_s) if number * step_s < moment <= (number + 1) * step_s]
        now[:] = 0.0
        for f in here:
            means[(f, *rect)] = dose / step_s
        breathe(
            number, step_s, dose.reshape(-1), seen_from, power, exchange_per_h / 3600.0, window, per_limit,
            bool(here), total, inside, ring, peak, load, arrival, end, now, share,
        )  # fmt: skip
        for f in here:
            frames[(f, *rect)] = now.reshape(high, wide)

    def whole(part: Floats, fill: float = 0.0) -> NDArray[np.floating]:
        out = np.full((*part.shape[:-1], rows, cols), fill, part.dtype)
        out[(..., *rect)] = part.reshape(*part.shape[:-1], high, wide)
        return out.reshape(*part.shape[:-1], rows * cols)

    return Breathed(
        whole(peak).astype(np.float32),
        whole(share).astype(np.float32),
        whole(load).astype(np.float64),
        whole(total[0]).astype(np.float64),
        whole(arrival, np.inf).astype(np.float32),
        whole(end, np.inf).astype(np.float32),
        frames.reshape(len(frame_s), rows * cols),
        means.reshape(len(frame_s), rows * cols),
        released_kg,
        int(puffs[0].size),
    )


def puffs_plainly(
    releases: Sequence[Release],
    wind: Wind,
    grows: Widths,
    x_m: Floats,
    y_m: Floats,
    *,
    from_s: float,
    until_s: float,
    duration_s: float,
    every_s: float,
    puff_s: float,
    widen_m: float = 0.0,
    mixing_m: float = np.inf,
    z_m: float = 1.5,
) -> Floats:
    """Mean concentration between two moments at points, kg/m3: every puff at every moment, summed. Slow, and without any cut-off.

    What the fast way is held to. Wind of one station; the way of a puff is the sum of its small steps.
    """
    (time, mass, height, table, x0, y0), _ = _let_go(releases, duration_s, puff_s)
    order = np.arange(0.0, until_s, every_s)
    total = np.zeros(np.asarray(x_m).shape)
    ln_way = np.log(grows.way_m)
    for p in range(time.size):
        moments = order[order + every_s > time[p]] + 0.5 * every_s
        east, north = (np.interp(moments, wind.time_s, part[:, 0]) for part in (wind.east, wind.north))
        lasted = np.minimum(every_s, moments + 0.5 * every_s - time[p])
        x, y = x0[p] + np.cumsum(east * lasted) - 0.5 * east * lasted, y0[p] + np.cumsum(north * lasted) - 0.5 * north * lasted
        gone = np.cumsum(np.hypot(east, north) * lasted) - 0.5 * np.hypot(east, north) * lasted
        sigma_y, sigma_z = (
            np.exp(np.interp(np.log(np.maximum(gone, 1e-6)), ln_way, np.log(part[table[p]])))
            for part in (grows.sigma_y_m, grows.sigma_z_m)
        )
        sigma_y = np.hypot(sigma_y, widen_m)
        for k in np.flatnonzero((moments > from_s) & (moments < until_s)):
            flat = np.exp(-0.5 * ((x_m - x[k]) ** 2 + (y_m - y[k]) ** 2) / sigma_y[k] ** 2) / (2.0 * np.pi * sigma_y[k] ** 2)
            total += mass[p] * flat * upright(np.asarray(z_m), sigma_z[k], height[p], mixing_m) * lasted[k] / (until_s - from_s)
    return total


def _let_go(releases: Sequence[Release], duration_s: float, puff_s: float) -> tuple[tuple[Floats, ...], float]:
    """All puffs: moment, mass, height, table, x and y; in the order of their moments. Each stands for the gas of `puff_s`, let go in its middle."""
    if not (duration_s > 0 and puff_s > 0) or len(releases) * duration_s / puff_s > PUFFS_MOST:
        raise InputError(
            f"puffs: {len(releases)} releases for {duration_s} s, one every {puff_s} s; wanted at most {PUFFS_MOST:,} puffs in all"
        )
    edge = np.append(np.arange(0.0, duration_s - 1e-9, puff_s), duration_s)
    found = []
    for release in releases:
        mass = release.mass_between(edge)
        some = mass > 0.0
        n = int(some.sum())
        time = 0.5 * (edge[1:] + edge[:-1])[some]
        found.append(
            (
                time,
                mass[some],
                np.full(n, release.height_m),
                np.full(n, release.table),
                np.full(n, release.x_m),
                np.full(n, release.y_m),
            )
        )
    columns = [np.concatenate([f[k] for f in found]) if found else np.zeros(0) for k in range(6)]
    order = np.argsort(columns[0], kind="stable")
    sorted_columns = tuple(np.ascontiguousarray(c[order]) for c in columns)
    time, mass, height, table, x, y = sorted_columns
    return (time, mass, height, table.astype(np.int64), x, y), float(mass.sum())
