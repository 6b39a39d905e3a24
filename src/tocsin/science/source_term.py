"""How fast a tank lets its content go: through a hole as liquid or gas, from a pool, and how that falls while the tank empties.

Rates are in kg/s, pressures absolute in Pa, temperatures in K, lengths in m. One phase at a time: a hole that spits liquid and vapour together (a
flashing two-phase jet) lies between the two; the liquid's rate is then the cautious one.
Source, where nothing else is named: AIChE/CCPS 1999, Guidelines for Consequence Analysis of Chemical Releases, chapter 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

GRAVITY_M_PER_S2 = 9.80665
GAS_CONSTANT = 8.31446261815324  # J/(mol K), exact in the SI
ATMOSPHERE_PA = 101_325.0
SHARP_LIQUID, SHARP_GAS = 0.62, 0.85  # usual discharge coefficients of a sharp-edged hole: CCPS 1999 takes 0.61 to 0.63 and 0.85


def liquid_jet(
    pressure_pa: float,
    density: float,
    hole_m: float,
    *,
    head_m: float = 0.0,
    discharge: float = SHARP_LIQUID,
    outside_pa: float = ATMOSPHERE_PA,
) -> float:
    """Liquid through a round hole, kg/s (Bernoulli): C A sqrt(2 rho (p - p0) + 2 rho^2 g h). Source: CCPS 1999, p. 40; not for liquid that flashes in the hole.

    >>> round(liquid_jet(120_935.0368, 490.0, 0.01, discharge=0.63), 5)
    0.21691
    """
    _positive(pressure_pa=pressure_pa, density=density, hole_m=hole_m, discharge=discharge)
    push = 2.0 * density * (pressure_pa - outside_pa) + 2.0 * density**2 * GRAVITY_M_PER_S2 * head_m
    return float(discharge * np.pi / 4.0 * hole_m**2 * np.sqrt(max(push, 0.0)))


def gas_jet(
    pressure_pa: float,
    density: float,
    hole_m: float,
    *,
    heat_ratio: float,
    discharge: float = SHARP_GAS,
    outside_pa: float = ATMOSPHERE_PA,
) -> float:
    """Gas through a round hole, kg/s: at the speed of sound where the pressure is high enough (choked), else below. Source: CCPS 1999, p. 47; ideal gas, isentropic.

    `density` is that inside. `heat_ratio` is cp / cv, above 1.
    """
    _positive(pressure_pa=pressure_pa, density=density, hole_m=hole_m, discharge=discharge)
    if not heat_ratio > 1.0:
        raise InputError(f"gas jet: heat_ratio {heat_ratio}; wanted cp / cv, above 1")
    k = heat_ratio
    ratio = outside_pa / pressure_pa
    if ratio >= 1.0:
        return 0.0
    if ratio <= choked_below(k):
        flow = k * pressure_pa * density * (2.0 / (k + 1.0)) ** ((k + 1.0) / (k - 1.0))
    else:
        flow = 2.0 * pressure_pa * density * k / (k - 1.0) * (ratio ** (2.0 / k) - ratio ** ((k + 1.0) / k))
    return float(discharge * np.pi / 4.0 * hole_m**2 * np.sqrt(flow))


def choked_below(heat_ratio: float) -> float:
    """The pressure outside / inside at and below which gas leaves at the speed of sound."""
    return float((2.0 / (heat_ratio + 1.0)) ** (heat_ratio / (heat_ratio - 1.0)))


def liquid_emptying(
    time_s: ArrayLike,
    *,
    level_m: float,
    tank_area_m2: float,
    density: float,
    hole_m: float,
    over_pa: float = 0.0,
    discharge: float = SHARP_LIQUID,
) -> tuple[Floats, Floats]:
    """Rate, kg/s, and level above the hole, m, of an upright tank that empties at a constant gas pressure `over_pa` above the air's.

    Exact: the root of the total head h + over / (rho g) falls evenly (Torricelli), until the level reaches the hole.
    """
    _positive(tank_area_m2=tank_area_m2, density=density, hole_m=hole_m, discharge=discharge)
    if level_m < 0 or over_pa < 0:
        raise InputError(f"emptying: level {level_m} m, over_pa {over_pa}; wanted both 0 or more")
    time = np.asarray(time_s, np.float64)
    hole_m2 = np.pi / 4.0 * hole_m**2
    push_m = over_pa / (density * GRAVITY_M_PER_S2)
    fall = discharge * hole_m2 / tank_area_m2 * np.sqrt(GRAVITY_M_PER_S2 / 2.0)
    root = np.maximum(np.sqrt(level_m + push_m) - fall * time, np.sqrt(push_m))
    level = root**2 - push_m
    rate = np.where(level > 0.0, discharge * hole_m2 * density * np.sqrt(2.0 * GRAVITY_M_PER_S2) * root, 0.0)
    return np.asarray(rate), np.asarray(level)


def gas_emptying(time_s: ArrayLike, *, mass_kg: float, rate_kg_per_s: float, heat_ratio: float) -> Floats:
    """Rate, kg/s, of a vessel of gas that empties at the speed of sound and cools as it does, from its mass and first rate.

    rate = first (1 + (k - 1) t / (2 tau))^(-(k + 1) / (k - 1)), tau = mass / first: exact for an ideal gas while the jet is choked and no heat comes in.
    """
    _positive(mass_kg=mass_kg, rate_kg_per_s=rate_kg_per_s)
    k = heat_ratio
    grown = 1.0 + 0.5 * (k - 1.0) * np.asarray(time_s, np.float64) * rate_kg_per_s / mass_kg
    return np.asarray(rate_kg_per_s * grown ** (-(k + 1.0) / (k - 1.0)))


def flashed_share(heat_capacity: float, latent_heat: float, temperature_k: float, boiling_k: float) -> float:
    """Share of a warm pressurised liquid that turns to vapour as it leaves: 1 - exp(-c (T - Tb) / L). Source: CCPS 1999, eq. 2.46.

    J/(kg K), J/kg, K. Drops that the vapour carries along are not in it: often as much again stays in the air.
    """
    _positive(heat_capacity=heat_capacity, latent_heat=latent_heat)
    return float(1.0 - np.exp(-heat_capacity * max(temperature_k - boiling_k, 0.0) / latent_heat))


def boiling_pool(
    time_s: ArrayLike,
    *,
    area_m2: float,
    ground_k: float,
    boiling_k: float,
    conductivity: float,
    diffusivity_m2_per_s: float,
    latent_heat: float,
) -> Floats:
    """Vapour of a pool that boils on warm ground, kg/s: A k (Tg - Tb) / (L sqrt(pi a t)). Source: Carslaw & Jaeger 1959, 2.4; CCPS 1999, eq. 2.53.

    The first minutes of a spill of liquefied gas on dry ground; ground cools as a half-space. Infinite at 0 s: ask for later times.
    """
    _positive(area_m2=area_m2, conductivity=conductivity, diffusivity_m2_per_s=diffusivity_m2_per_s, latent_heat=latent_heat)
    time = np.asarray(time_s, np.float64)
    if (time <= 0).any():
        raise InputError("boiling pool: a time of 0 s or less; wanted later times, the rate at once is infinite")
    return np.asarray(
        area_m2 * conductivity * max(ground_k - boiling_k, 0.0) / (latent_heat * np.sqrt(np.pi * diffusivity_m2_per_s * time))
    )


def evaporating_pool(
    *,
    diameter_m: float,
    wind_m_per_s: float,
    molar_kg: float,
    vapour_pa: float,
    temperature_k: float,
    schmidt: float,
    pressure_pa: float = ATMOSPHERE_PA,
) -> float:
    """Vapour that wind takes from a pool below its boiling point, kg/s. Source: Mackay & Matsugu 1973, Can. J. Chem. Eng. 51:434-439.

    k = 0.0048 u^(7/9) d^(-1/9) Sc^(-2/3) m/s with the wind at 10 m, as NOAA's ALOHA has it (its text could not be opened: unverified). Blowing
    of the vapour itself is in it: -p ln(1 - pv / p) instead of pv. The pool keeps its temperature: cautious, as it cools in truth.
    """
    _positive(diameter_m=diameter_m, wind_m_per_s=wind_m_per_s, molar_kg=molar_kg, temperature_k=temperature_k, schmidt=schmidt)
    if not 0.0 <= vapour_pa < pressure_pa:
        raise InputError(
            f"pool: vapour pressure {vapour_pa} Pa, air {pressure_pa} Pa; wanted one below the air's: a pool at its boiling point boils"
        )
    transfer = 0.0048 * wind_m_per_s ** (7.0 / 9.0) * diameter_m ** (-1.0 / 9.0) * schmidt ** (-2.0 / 3.0)
    driving = -pressure_pa * np.log1p(-vapour_pa / pressure_pa)
    return float(np.pi / 4.0 * diameter_m**2 * transfer * driving * molar_kg / (GAS_CONSTANT * temperature_k))


def _positive(**given: float) -> None:
    for name, value in given.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"source term: {name} = {value}; wanted a number above 0")
