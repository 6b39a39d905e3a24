"""Embers that start fires ahead of the front: how many leave what burns, where they come down, and whether they light what lies there.

How far at most: `fire_spread.ember_distance_m` for a surface fire (Albini 1983), `torching_distance_m` for trees that torch (Albini 1979). Whether an ember that
lands alive lights fine fuel: Schroeder 1969. These three are held to the printed results of `behave`'s own tests.

How many embers leave and how their distances are distributed is research. The form here is the one that ELMFIRE and pyretechnics run with (as their public sources have it,
read there; the papers behind it were not opened): a number in proportion to the heat that is set free, distances downwind lognormal with a mean that grows
with powers of the front's intensity and the wind, a normal deviation to the side, and a share that is still alight which falls off exponentially
with the way (Perryman et al. 2012, as pyretechnics quotes it). Its numbers are those of pyretechnics' worked example, all `unverified`: published programs differ by a
factor of 1,000 and more in how many embers there are. Play them as uncertain.

Chance belongs to the cell that an ember leaves and to its number there, so a plan that changes one corner changes only that corner's embers.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.fire_growth import FireProblem, FireRun
from tocsin.science.fire_spread import (
    CROWN_HEAT_KJ_PER_KG,
    M_PER_FT,
    MPH,
    WIND_10M_TO_20FT,
    beds,
    ember_distance_m,
)
from tocsin.science.fuel import rows_of
from tocsin.science.keyed import keyed_uniforms
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

PER_CELL_MOST = 100
M_PER_MILE = 1_609.344
# Albini 1979 (INT-56) as `behave` has it: flames of one torching tree, ft and dimensionless time, as scale * (diameter in inches) ^ power.
FLAME_HEIGHT = {
    "engelmann spruce": (15.7, 0.451),
    "douglas-fir": (15.7, 0.451),
    "subalpine fir": (15.7, 0.451),
    "western hemlock": (15.7, 0.451),
    "ponderosa pine": (12.9, 0.453),
    "lodgepole pine": (12.9, 0.453),
    "western white pine": (12.9, 0.453),
    "grand fir": (16.5, 0.515),
    "balsam fir": (16.5, 0.515),
    "slash pine": (2.71, 1.0),
    "longleaf pine": (2.71, 1.0),
    "pond pine": (2.71, 1.0),
    "shortleaf pine": (2.71, 1.0),
    "loblolly pine": (2.71, 1.0),
}
FLAME_TIME = {
    "engelmann spruce": (12.6, -0.256),
    "douglas-fir": (10.7, -0.278),
    "subalpine fir": (10.7, -0.278),
    "western hemlock": (6.30, -0.249),
    "ponderosa pine": (12.6, -0.256),
    "lodgepole pine": (12.6, -0.256),
    "western white pine": (10.7, -0.278),
    "grand fir": (10.7, -0.278),
    "balsam fir": (10.7, -0.278),
    "slash pine": (11.9, -0.389),
    "longleaf pine": (11.9, -0.389),
    "pond pine": (7.91, -0.344),
    "shortleaf pine": (7.91, -0.344),
    "loblolly pine": (13.5, -0.544),
}


class Trees(msgspec.Struct, frozen=True):
    """The trees that torch where crowns burn: how thick, how many at once, and of which species."""

    diameter_cm: float
    at_once: float = 1.0
    species: str = "douglas-fir"

    def __post_init__(self) -> None:
        if not (0.0 < self.diameter_cm <= 300.0 and 1.0 <= self.at_once <= 30.0 and self.species in FLAME_HEIGHT):
            raise InputError(
                f"trees: {self.diameter_cm} cm thick, {self.at_once} at once, {self.species!r}; wanted above 0 to 300 cm, 1..30, "
                f"one of {', '.join(FLAME_HEIGHT)}"
            )


class Embers(msgspec.Struct, frozen=True):
    """How many embers leave, how far they come, how long until what they light spreads. The usual values are pyretechnics' worked example (unverified).

    `per_gj` embers leave for each GJ of heat. The mean distance downwind is `mean_m` I^0.3 U^0.55, I in kW/m, U in m/s at 20 ft; its variance `variance_m` times the mean;
    `aside_m` is the standard deviation to the side. A share exp(-d / `survives_m`) is alight when it lands. What it lights burns as a front `delay_s` later: 20 min for a fire
    to build up (Perryman et al. 2012, as pyretechnics has it). `shade` of the ground: 0 in full sun, 1 under cloud, smoke or at night.
    """

    per_gj: float = 0.001
    mean_m: float = 10.0
    intensity_power: float = 0.3
    wind_power: float = 0.55
    variance_m: float = 425.0
    aside_m: float = 100.0
    survives_m: float = 200.0
    delay_s: float = 1_200.0
    shade: float = 0.5
    trees: Trees | None = None

    def __post_init__(self) -> None:
        told = {name: getattr(self, name) for name in self.__struct_fields__ if name != "trees"}
        if not all(np.isfinite(value) and value >= 0.0 for value in told.values()) or self.shade > 1.0:
            raise InputError(f"embers: {told}; wanted finite numbers of 0 and more, shade at most 1")
        if not (self.mean_m > 0.0 and self.survives_m > 0.0 and self.delay_s >= 60.0):
            raise InputError(
                f"embers: mean_m = {self.mean_m}, survives_m = {self.survives_m}, delay_s = {self.delay_s}; wanted above 0, above 0, 60 s and more"
            )


class Landed(NamedTuple):
    """Embers that light what they fall on, (ember,), in order of the time from which it burns."""

    source: Cells
    target: Cells
    lights_s: Floats


def torching_distance_m(trees: Trees, height_m: float, wind_m_per_s: ArrayLike, cover_height_m: float = 0.0) -> Floats:
    """How far at most embers of torching trees fly over level ground and can still light something. Albini 1979 (INT-56), as `behave` has it.

    Wind at 10 m over open ground; `cover_height_m` of what stands downwind.
    >>> float(torching_distance_m(Trees(50.8, 15, "engelmann spruce"), 9.144, 2.57, 9.144).round(-1))
    290.0
    """
    (scale, power), (long, longer) = FLAME_HEIGHT[trees.species], FLAME_TIME[trees.species]
    inches, height_ft = trees.diameter_cm / 2.54, height_m / M_PER_FT
    flame_ft = scale * inches**power * trees.at_once**0.4
    lasts = long * inches**longer * trees.at_once**-0.2
    tall = height_ft / flame_ft
    if tall >= 1.0:
        a, b = 4.24, 0.332
    elif tall >= 0.5:
        a, b = 3.64, 0.391
    elif lasts < 3.5:
        a, b = 2.78, 0.418
    else:
        a, b = 4.70, 0.0
    up_ft = a * lasts**b * flame_ft + height_ft / 2.0
    cover_ft = max(cover_height_m / M_PER_FT, 2.2 * up_ft**0.337 - 4.0)
    u = np.asarray(wind_m_per_s, np.float64) * WIND_10M_TO_20FT / MPH
    up = up_ft / cover_ft
    miles = 0.000718 * u * np.sqrt(cover_ft) * (0.362 + np.sqrt(up) / 2.0 * np.log(up))
    return np.asarray(np.maximum(miles, 0.0) * M_PER_MILE)


def ignition_probability(dead_1h: ArrayLike, air_c: ArrayLike, shade: ArrayLike) -> Floats:
    """The chance that an ember that lands alight on fine dead fuel sets it on fire. Schroeder 1969, as `behave` and pyretechnics have it.

    `dead_1h` is the fuel's moisture (share of dry weight). Fuel in the sun is warmer than the air by 25 F, in the shade by 5 F, between them in proportion to `shade` (0..1).
    Of an ember large enough to light; it knows no fuel but litter of needles.
    >>> float(ignition_probability(0.06, 25.0, 0.5).round(2))
    0.54
    """
    fuel_c = np.asarray(air_c, np.float64) + (25.0 - 20.0 * np.asarray(shade, np.float64)) * 5.0 / 9.0
    m = np.asarray(dead_1h, np.float64)
    needs = 144.51 - 0.266 * fuel_c - 0.00058 * fuel_c**2 - fuel_c * m + 18.54 * (1.0 - np.exp(-15.1 * m)) + 640.0 * m  # cal/g
    x = 0.1 * (400.0 - np.minimum(needs, 400.0))
    return np.asarray(np.clip(0.000048 * x**4.3 / 50.0, 0.0, 1.0))


def farthest_m(problem: FireProblem, run: FireRun, trees: Trees | None = None) -> Floats:
    """How far at most embers of each cell's front fly, (row, col), in the wind that blows as it comes: of a surface fire, or of torching trees where crowns burn."""
    far = np.zeros(problem.fuel.shape)
    burns = np.isfinite(run.arrival_s)
    if not burns.any():
        return far
    when = interval_of(problem, run.arrival_s[burns])
    wind = np.array([w.wind_m_per_s for w in problem.weather])[when]
    tops_m = problem.canopy.height_m
    found = ember_distance_m(run.intensity_kw_per_m[burns], wind, tops_m)
    if trees is not None and tops_m > 0.0:
        torched = torching_distance_m(trees, tops_m, wind, tops_m)
        found = np.where(_in_crowns(problem, run)[burns], np.maximum(found, torched), found)
    far[burns] = found
    return far


def interval_of(problem: FireProblem, time_s: Floats) -> NDArray[np.int64]:
    """The number of the weather that holds at each time."""
    begins = np.array([w.begin_s for w in problem.weather])
    return np.maximum(np.searchsorted(begins, time_s, side="right") - 1, 0)


def land(problem: FireProblem, run: FireRun, embers: Embers, seed: int, air_c: Floats) -> Landed:
    """The embers of all that burns in a run that light ground with fuel, whether or not it has burnt before. `air_c` (interval,) goes with the weather.

    An ember leaves as the front comes, with the wind of that moment, and drifts with the wind at 10 m. Beyond `farthest_m` none is alight. What leaves the grid is lost.
    """
    shape, cell_m = problem.fuel.shape, problem.cell_m
    when = run.arrival_s.reshape(-1)
    cells = np.flatnonzero(np.isfinite(when) & (run.rate_m_per_min.reshape(-1) > 0.0))
    heat_gj = _heat_kj_per_m2(run).reshape(-1)[cells] * cell_m**2 / 1e6
    count = _poisson(keyed_uniforms(seed, "embers leave", cells), embers.per_gj * heat_gj)
    source = np.repeat(cells, count)
    number = np.arange(source.size) - np.repeat(np.cumsum(count) - count, count)
    # three draws for each ember, each its own
    u_far, u_aside, u_lights = (
        keyed_uniforms(seed, event, source, number) for event in ("ember flies", "ember drifts aside", "ember lights")
    )
    now = interval_of(problem, when[source])
    wind = np.array([w.wind_m_per_s for w in problem.weather])[now]
    toward = np.radians(np.array([w.wind_from_deg for w in problem.weather]) + 180.0)[now]
    heat = run.intensity_kw_per_m.reshape(-1)[source]
    mean = np.maximum(embers.mean_m * heat**embers.intensity_power * (wind * WIND_10M_TO_20FT) ** embers.wind_power, 1e-3)
    along, aside = _lognormal(u_far, mean, embers.variance_m * mean), embers.aside_m * _normal(u_aside)
    flown = np.hypot(along, aside)
    east, north = along * np.sin(toward) + aside * np.cos(toward), along * np.cos(toward) - aside * np.sin(toward)
    row = source // shape[1] - np.rint(north / cell_m).astype(np.int64)
    col = source % shape[1] + np.rint(east / cell_m).astype(np.int64)
    inside = (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])
    target = np.where(inside, row * shape[1] + col, 0)
    chance = np.exp(-flown / embers.survives_m) * ignition_probability(
        np.array([w.moisture.dead_1h for w in problem.weather])[now], np.asarray(air_c, np.float64)[now], embers.shade
    )
    keeps = inside & (wind > 0.0) & (target != source) & (rows_of(problem.fuel).reshape(-1)[target] >= 0)
    keeps &= (flown <= farthest_m(problem, run, embers.trees).reshape(-1)[source]) & (u_lights < chance)
    lights_s = when[source] + flown / np.maximum(wind, 1e-3) + embers.delay_s
    order = np.lexsort((target[keeps], lights_s[keeps]))
    return Landed(source[keeps][order], target[keeps][order], lights_s[keeps][order])


def _heat_kj_per_m2(run: FireRun) -> Floats:
    heat = np.zeros(run.arrival_s.shape)
    np.divide(run.intensity_kw_per_m * 60.0, run.rate_m_per_min, out=heat, where=run.rate_m_per_min > 0.0)
    return heat


def _in_crowns(problem: FireProblem, run: FireRun) -> NDArray[np.bool_]:
    """Where more heat is set free than the surface fuel holds: half of what the crowns hold and more."""
    canopy = problem.canopy
    crown = canopy.bulk_density_kg_per_m3 * (canopy.height_m - canopy.base_height_m) * CROWN_HEAT_KJ_PER_KG
    row = rows_of(problem.fuel)
    surface = np.where(row >= 0, beds(problem.weather[0].moisture).heat_kj_per_m2[row], 0.0)
    return np.asarray((crown > 0.0) & (_heat_kj_per_m2(run) > surface + 0.5 * crown))


def _poisson(u: Floats, mean: Floats) -> Cells:
    """The quantile of a Poisson distribution, at most PER_CELL_MOST: the same u has more embers where there is more heat, never fewer."""
    from scipy.special import pdtr

    count = np.zeros(u.size, np.int64)
    open_ = np.flatnonzero(u >= np.exp(-mean))
    for k in range(PER_CELL_MOST):
        if not open_.size:
            break
        open_ = open_[u[open_] >= pdtr(k, mean[open_])]
        count[open_] = k + 1
    return count


def _normal(u: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(u, 1e-12, 1.0 - 1e-12)))


def _lognormal(u: Floats, mean: Floats, variance: Floats) -> Floats:
    """The quantile of a lognormal distribution by its mean and variance.

    >>> one = np.array([0.5]), np.array([3.0]), np.array([16.0])
    >>> _lognormal(*one).round(12).tolist()
    [1.8]
    """
    square = np.log(1.0 + variance / mean**2)
    return np.asarray(np.exp(np.log(mean) - square / 2.0 + np.sqrt(square) * _normal(u)))
