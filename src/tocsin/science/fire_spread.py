"""How fast a fire runs through a fuel on the ground, which way, and how hot: Rothermel's surface fire, and the step into the crowns.

Surface: Rothermel 1972 (INT-115) with the corrections of Albini 1976 (INT-30), as Andrews 2018 (RMRS-GTR-371) writes them down. The shape of a fire in
a steady wind is an ellipse with the start at a focus: length to width after Anderson 1983 (INT-305), cut at 8. Crowns: when, after Van Wagner 1977 (Can. J.
For. Res. 7:23-34); how fast, after Cruz, Alexander & Wakimoto 2005 (Can. J. For. Res. 35:1626-1639); the crown fire's shape after Rothermel 1991 (INT-438).

Valid for a steady fire in a uniform bed of dead and live fuel next to the ground, wind and slope combined as vectors. Not for the build-up after a start, for smouldering,
for fires that make their own wind, for houses that burn, nor near obstacles. Its rates are wrong by half and more: in 49 data sets with 1,278 observations of fires the mean error of such
models was 20-310 %, in more than half of the sets 51-75 %, mostly too slow (Cruz & Alexander 2013, Environ. Model. Softw. 47:16-28). Play many futures.

This is the plain version in NumPy; `fire_steps` is the same compiled, and the tests hold it to this one.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.fuel import (
    DEAD_1H,
    DEAD_HERBACEOUS,
    LIVE_HERBACEOUS,
    LIVE_WOODY,
    cured_share,
    fuels,
)
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

M_PER_FT = 0.3048
KJ_PER_M2 = 1.05505585262 / M_PER_FT**2  # of a Btu per square foot
KW_PER_M = 1.05505585262 / M_PER_FT  # of a Btu per foot and second
MPH = 0.44704  # m/s
WIND_10M_TO_20FT = 1.0 / 1.15  # Turner & Lawson 1978, as in Andrews 2012, RMRS-GTR-266
LENGTH_TO_WIDTH_MOST = 8.0  # as the Missoula laboratory's programs cut it
SLOWEST_M_PER_MIN = 1e-6  # of ground that has fuel: too wet to burn is slower than anything that matters
CROWN_HEAT_KJ_PER_KG = (
    18_000.0  # Van Wagner 1977 and Alexander 1982: low heat of combustion of conifer crowns, less what moisture takes
)

DENSITY_LB_PER_FT3, MINERALS, MINERALS_EFFECTIVE = 32.0, 0.0555, 0.010  # Rothermel 1972, the same in all models
DEAD, LIVE = slice(DEAD_1H, LIVE_HERBACEOUS), slice(LIVE_HERBACEOUS, LIVE_WOODY + 1)
SIZE_FROM_PER_FT = (1200.0, 192.0, 96.0, 48.0, 16.0)  # Albini 1976, p. 20: the classes whose loads are weighted together


class Moisture(msgspec.Struct, frozen=True):
    """Water in the fuel, share of its dry weight. The usual values are those of a dry day (Scott & Burgan 2005: D2 L2 of their scenarios)."""

    dead_1h: float = 0.06
    dead_10h: float = 0.07
    dead_100h: float = 0.08
    live_herbaceous: float = 0.60
    live_woody: float = 0.90

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            share = getattr(self, name)
            if not (np.isfinite(share) and 0.0 < share <= 4.0):
                raise InputError(
                    f"fuel moisture: {name} = {share}; wanted a share of the dry weight above 0, up to 4 (6 % is 0.06)"
                )


class Bed(NamedTuple):
    """What fuel and moisture alone decide, (fuel,): the fire without wind on level ground, and how wind and slope act on it."""

    rate_m_per_min: Floats
    wind_scale: Floats  # the wind factor is wind_scale U^wind_power, U in m/min at midflame
    wind_power: Floats
    slope_scale: Floats  # the slope factor is slope_scale tan^2
    wind_most_m_per_min: Floats  # Rothermel 1972, eq. 87: beyond it more wind does not help
    heat_kj_per_m2: Floats
    residence_s: Floats  # Anderson 1969: how long the flames stand at a place


class Canopy(msgspec.Struct, frozen=True):
    """Trees above the fuel: share of the ground that they cover, heights of their tops and of their lowest branches, needles by volume."""

    cover: float = 0.0
    height_m: float = 0.0
    base_height_m: float = 0.0
    bulk_density_kg_per_m3: float = 0.0
    foliar_moisture: float = 1.00

    def __post_init__(self) -> None:
        if not (0.0 <= self.cover <= 1.0 and 0.0 <= self.base_height_m <= self.height_m <= 120.0):
            raise InputError(
                f"canopy: cover {self.cover}, branches from {self.base_height_m} m, tops at {self.height_m} m; wanted 0 <= cover <= 1 and "
                "0 <= base <= top <= 120 m"
            )
        if not (0.0 <= self.bulk_density_kg_per_m3 <= 2.0 and 0.0 < self.foliar_moisture <= 4.0):
            raise InputError(
                f"canopy: {self.bulk_density_kg_per_m3} kg/m3 of needles with moisture {self.foliar_moisture}; wanted 0..2 kg/m3 and a share up to 4"
            )


class Spread(NamedTuple):
    """The fire at its head: (cell,)."""

    rate_m_per_min: Floats
    toward_deg: Floats  # clockwise from north; 0 where nothing decides
    length_to_width: Floats
    intensity_kw_per_m: Floats
    flame_length_m: Floats
    wind_effective_m_per_min: Floats


def beds(moisture: Moisture) -> Bed:
    """The fire without wind on level ground, for every fuel model (in the order of `fuels()`)."""
    table = fuels()
    load, surface, depth = table.load_lb_per_ft2.copy(), table.surface_per_ft, table.depth_ft
    cured = np.where(table.is_dynamic, cured_share(moisture.live_herbaceous), 0.0) * load[:, LIVE_HERBACEOUS]
    load[:, DEAD_HERBACEOUS] += cured
    load[:, LIVE_HERBACEOUS] -= cured
    wet = np.array([
        moisture.dead_1h, moisture.dead_10h, moisture.dead_100h, moisture.dead_1h, moisture.live_herbaceous, moisture.live_woody
    ])  # fmt: skip
    area = surface * load / DENSITY_LB_PER_FT3
    total = area.sum(axis=1)
    share, net, wetness, of = np.zeros_like(load), [], [], []
    for part in (DEAD, LIVE):
        mine = area[:, part].sum(axis=1)
        share[:, part] = np.divide(area[:, part], mine[:, None], out=np.zeros_like(area[:, part]), where=mine[:, None] > 0)
        same_size = _size(surface[:, part])[:, :, None] == _size(surface[:, part])[:, None, :]
        weight = (same_size * share[:, None, part]).sum(axis=2)
        net.append((weight * load[:, part]).sum(axis=1) * (1.0 - MINERALS))
        wetness.append((share[:, part] * wet[part]).sum(axis=1))
        of.append(mine / total)
    weighted = np.hstack([of[k][:, None] * share[:, part] for k, part in enumerate((DEAD, LIVE))])
    surface_all = (weighted * surface).sum(axis=1)
    packing = load.sum(axis=1) / depth / DENSITY_LB_PER_FT3
    best = 3.348 * surface_all**-0.8189
    relative = packing / best

    damp = [
        _moisture_damping(wetness[0], table.extinction),
        _moisture_damping(wetness[1], _live_extinction(load, surface, wet, table.extinction)),
    ]
    mineral = 0.174 * MINERALS_EFFECTIVE**-0.19
    a = 133.0 * surface_all**-0.7913
    fastest = surface_all**1.5 / (495.0 + 0.0594 * surface_all**1.5)
    velocity = fastest * relative**a * np.exp(a * (1.0 - relative))
    reaction = velocity * table.heat_btu_per_lb * mineral * (net[0] * damp[0] + net[1] * damp[1])  # Btu/ft2/min
    flux = np.exp((0.792 + 0.681 * np.sqrt(surface_all)) * (packing + 0.1)) / (192.0 + 0.2595 * surface_all)
    preignition = (250.0 + 1116.0 * wet) * np.exp(-138.0 / surface)
    sink = load.sum(axis=1) / depth * (weighted * preignition).sum(axis=1)
    rate = np.maximum(reaction * flux / sink * M_PER_FT, SLOWEST_M_PER_MIN)
    power = 0.02526 * surface_all**0.54
    scale = 7.47 * np.exp(-0.133 * surface_all**0.55) * relative ** (-0.715 * np.exp(-3.59e-4 * surface_all))
    residence_min = 384.0 / surface_all
    return Bed(
        rate,
        scale * M_PER_FT**-power,
        power,
        5.275 * packing**-0.3,
        0.9 * reaction * M_PER_FT,
        reaction * residence_min * KJ_PER_M2,
        residence_min * 60.0,
    )


def head_fire(
    bed: Bed,
    row: ArrayLike,
    wind_m_per_min: tuple[ArrayLike, ArrayLike],
    slope: tuple[ArrayLike, ArrayLike],
    *,
    wind_limit: bool = False,
) -> Spread:
    """The fire at its head in cells of fuel `row` (-1: nothing burns), with wind at midflame and slope as vectors (east, north).

    The wind points where it blows to; the slope is the rise per metre eastward and northward. Rates are along the ground.
    """
    fuel = np.asarray(row, np.int64)
    burns = fuel >= 0
    k = np.where(burns, fuel, 0)
    east, north = (np.asarray(part, np.float64) for part in wind_m_per_min)
    up_east, up_north = (np.asarray(part, np.float64) for part in slope)
    wind, steep = np.hypot(east, north), np.hypot(up_east, up_north)
    by_wind = bed.wind_scale[k] * wind ** bed.wind_power[k]
    by_slope = bed.slope_scale[k] * steep**2
    x = by_wind * _over(east, wind) + by_slope * _over(up_east, steep)
    y = by_wind * _over(north, wind) + by_slope * _over(up_north, steep)
    factor = np.hypot(x, y)
    effective = (factor / bed.wind_scale[k]) ** (1.0 / bed.wind_power[k])
    if wind_limit:
        cut = effective > bed.wind_most_m_per_min[k]
        effective = np.where(cut, bed.wind_most_m_per_min[k], effective)
        factor = np.where(cut, bed.wind_scale[k] * effective ** bed.wind_power[k], factor)
    rate = np.where(burns, bed.rate_m_per_min[k] * (1.0 + factor), 0.0)
    intensity = bed.heat_kj_per_m2[k] * rate / 60.0
    return Spread(
        rate,
        np.where(np.hypot(x, y) > 0, np.degrees(np.arctan2(x, y)) % 360.0, 0.0),
        length_to_width(effective),
        intensity,
        flame_length_m(intensity),
        np.where(burns, effective, 0.0),
    )


def length_to_width(wind_effective_m_per_min: ArrayLike) -> Floats:
    """Length of the ellipse over its width. Anderson 1983, INT-305, whose coefficients 0.1147 and 0.0692 are for miles per hour; cut at 8.

    >>> float(length_to_width(5 * 26.8224).round(4))
    1.5901
    """
    mph = np.asarray(wind_effective_m_per_min, np.float64) / 60.0 / MPH
    return np.minimum(0.936 * np.exp(0.1147 * mph) + 0.461 * np.exp(-0.0692 * mph) - 0.397, LENGTH_TO_WIDTH_MOST)


def flame_length_m(intensity_kw_per_m: ArrayLike) -> Floats:
    """Byram 1959: 0.45 I^0.46 feet with I in Btu per foot and second; the mean flame of a surface fire.

    >>> float(flame_length_m(346.0).round(2))
    1.14
    """
    return 0.45 * M_PER_FT * (np.asarray(intensity_kw_per_m, np.float64) / KW_PER_M) ** 0.46


def ember_distance_m(intensity_kw_per_m: ArrayLike, wind_m_per_s: ArrayLike, cover_height_m: ArrayLike = 0.0) -> Floats:
    """How far at most the wind carries embers that can still light something, from a surface fire over level ground.

    Albini 1983 (INT-309) with the embers' drift before they rise, as `behave` has it; wind at 10 m over open ground, `cover_height_m` of what stands downwind. For one
    front without trees that torch; not for crown fires, whose embers fly farther. It tells how far and never how many.
    """
    wind = np.asarray(wind_m_per_s, np.float64) * WIND_10M_TO_20FT / MPH
    heat = np.asarray(intensity_kw_per_m, np.float64) / KW_PER_M
    flies = (wind > 0.0) & (heat > 0.0)
    u, i = np.where(flies, wind, 1.0), np.where(flies, heat, 1.0)
    height_ft = 1.055 * np.sqrt(322.0 * (0.474 * u) ** -1.01 * i)
    cover_ft = np.maximum(np.maximum(np.asarray(cover_height_m, np.float64) / M_PER_FT, 2.2 * height_ft**0.337 - 4.0), 1e-7)
    up = height_ft / cover_ft
    miles = 0.000718 * u * np.sqrt(cover_ft) * (0.362 + np.sqrt(up) / 2.0 * np.log(up)) + 0.000278 * u * height_ft**0.643
    return np.asarray(np.where(flies, np.maximum(miles, 0.0), 0.0) * 5_280.0 * M_PER_FT)


def wind_adjustment(depth_ft: ArrayLike, canopy: Canopy | None = None) -> Floats:
    """Wind at midflame over wind 20 ft above the vegetation. Andrews 2012, RMRS-GTR-266: sheltered where crowns fill more than 5 % of the space.

    >>> float(wind_adjustment(1.0).round(3))
    0.362
    """
    depth = np.asarray(depth_ft, np.float64)
    if canopy is not None and canopy.height_m > 0.0:
        filled = canopy.cover * (canopy.height_m - canopy.base_height_m) / canopy.height_m / 3.0
        tops_ft = canopy.height_m / M_PER_FT
        if filled > 0.05:
            low = 0.555 / (np.sqrt(filled * tops_ft) * np.log((20.0 + 0.36 * tops_ft) / (0.13 * tops_ft)))
            return np.full(depth.shape, low)
    return 1.83 / np.log((20.0 + 0.36 * depth) / (0.13 * depth))


def crown_critical_intensity_kw_per_m(canopy: Canopy) -> float:
    """The surface fire that sets crowns alight. Van Wagner 1977: (0.010 z (460 + 25.9 m))^1.5, z in m, m in %; infinite without a canopy.

    >>> round(crown_critical_intensity_kw_per_m(Canopy(0.6, 15.0, 2.0, 0.15, 1.0)))
    476
    """
    if canopy.bulk_density_kg_per_m3 <= 0.0:
        return float("inf")
    return float((0.010 * canopy.base_height_m * (460.0 + 25.9 * 100.0 * canopy.foliar_moisture)) ** 1.5)


def crown_rate_m_per_min(canopy: Canopy, wind_10m_m_per_s: float, dead_1h: float) -> float:
    """How fast a crown fire runs on level ground: active where it can keep itself up (Van Wagner 1977: 3 kg/m2/min of needles), else passive.

    Cruz, Alexander & Wakimoto 2005, for conifers: active 11.02 U^0.9 d^0.19 exp(-0.17 m), U in km/h at 10 m, d in kg/m3, m in %.
    """
    if canopy.bulk_density_kg_per_m3 <= 0.0:
        return 0.0
    density = canopy.bulk_density_kg_per_m3
    active = 11.02 * (3.6 * wind_10m_m_per_s) ** 0.9 * density**0.19 * np.exp(-0.17 * 100.0 * dead_1h)
    needed = 3.0 / density
    return float(active if active > needed else active * np.exp(-active / needed))


def crown_length_to_width(wind_10m_m_per_s: float) -> float:
    """Rothermel 1991, INT-438, eq. 9: 1 + 0.125 U, U in miles per hour at 20 ft; cut at 8 as for surface fires."""
    return min(1.0 + 0.125 * wind_10m_m_per_s * WIND_10M_TO_20FT / MPH, LENGTH_TO_WIDTH_MOST)


def _size(surface_per_ft: Floats) -> NDArray[np.int64]:
    return np.asarray((surface_per_ft[..., None] < np.array(SIZE_FROM_PER_FT)).sum(axis=-1), np.int64)


def _moisture_damping(moisture: Floats, extinction: Floats) -> Floats:
    r = np.minimum(moisture / extinction, 1.0)
    return np.maximum(1.0 - 2.59 * r + 5.11 * r**2 - 3.52 * r**3, 0.0)


def _live_extinction(load: Floats, surface: Floats, wet: Floats, extinction: Floats) -> Floats:
    """Rothermel 1972, eq. 88, as Albini 1976 weights it; never below that of the dead fuel."""
    dead = load[:, DEAD] * np.exp(-138.0 / surface[:, DEAD])
    live = (load[:, LIVE] * np.exp(-500.0 / surface[:, LIVE])).sum(axis=1)
    fine = (dead * wet[DEAD]).sum(axis=1) / dead.sum(axis=1)
    ratio = np.divide(dead.sum(axis=1), live, out=np.zeros_like(live), where=live > 0)
    return np.asarray(np.maximum(2.9 * ratio * (1.0 - fine / extinction) - 0.226, extinction))


def _over(part: Floats, whole: Floats) -> Floats:
    share = np.zeros(np.broadcast(part, whole).shape)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
