"""What gas does to who breathes it: units, guideline levels between their durations, toxic load, lethality, and air indoors.

Concentrations are in ppm (by volume) or mg/m3, times in s or min as named.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
GAS_CONSTANT = 8.31446261815324
ROOM_K, ATMOSPHERE_PA = 298.15, 101_325.0
AEGL_MIN = (10.0, 30.0, 60.0, 240.0, 480.0)


def mg_per_m3(ppm: ArrayLike, molar_g: float, *, temperature_k: float = ROOM_K, pressure_pa: float = ATMOSPHERE_PA) -> Floats:
    """Milligrams in a cubic metre from parts per million by volume; ideal gas, at 25 degrees and one atmosphere as guideline levels are told.

    >>> float(mg_per_m3(1.0, 70.906)).__round__(3)
    2.898
    """
    return np.asarray(np.asarray(ppm, np.float64) * molar_g * pressure_pa / (GAS_CONSTANT * temperature_k) * 1e-3)


def ppm(
    milligrams_per_m3: ArrayLike, molar_g: float, *, temperature_k: float = ROOM_K, pressure_pa: float = ATMOSPHERE_PA
) -> Floats:
    """Parts per million by volume from milligrams in a cubic metre."""
    return np.asarray(
        np.asarray(milligrams_per_m3, np.float64) / mg_per_m3(1.0, molar_g, temperature_k=temperature_k, pressure_pa=pressure_pa)
    )


def level_for(minutes: ArrayLike, levels: ArrayLike) -> Floats:
    """A guideline level for an exposure of any length, from those for 10, 30, 60, 240 and 480 minutes.

    Straight lines between the logarithms: C^n t is constant there, with the n that the level's own neighbours have (ten Berge, Zwart & Appelman 1986,
    J. Hazard. Mater. 13:301-309). Shorter than 10 minutes it is that for 10 minutes; longer than 8 hours that for 8 hours, which is not cautious.
    """
    at = np.asarray(levels, np.float64)
    if at.shape != (5,) or not (at > 0).all() or (np.diff(at) > 0).any():
        raise InputError(
            f"guideline levels {at.tolist()}; wanted five above 0 that do not rise, for {', '.join(f'{m:g}' for m in AEGL_MIN)} min"
        )
    time = np.clip(np.asarray(minutes, np.float64), AEGL_MIN[0], AEGL_MIN[-1])
    return np.asarray(np.exp(np.interp(np.log(time), np.log(AEGL_MIN), np.log(at))))


def toxic_load(concentration: ArrayLike, step_min: float, power: float) -> Floats:
    """Sum of C^n dt over the last axis, in concentration^n min."""
    return np.asarray((np.asarray(concentration, np.float64) ** power).sum(axis=-1) * step_min)


def lethal_share(load: ArrayLike, a: float, b: float) -> Floats:
    """Share of those exposed who die of a toxic load: the normal distribution at a + b ln(load) - 5 (a probit).

    >>> float(lethal_share(433.0**2 * 10.0, -8.29, 0.92)).__round__(2)
    0.5
    """
    given = np.asarray(load, np.float64)
    return np.asarray(ndtr(a + b * np.log(np.maximum(given, 1e-300)) - 5.0))


def indoors(outdoors: ArrayLike, step_s: float, exchange_per_h: float, *, start: float = 0.0) -> Floats:
    """Concentration indoors at the end of each step, from means outdoors in steps: dC/dt = k (outdoors - indoors), exact within each step.

    Nothing sticks to walls, and windows stay as they are: cautious while the cloud passes; after it, who stays inside breathes what came in.
    """
    if not (step_s > 0 and exchange_per_h >= 0):
        raise InputError(f"indoors: step {step_s} s, exchange {exchange_per_h} 1/h; wanted a step above 0 and 0 or more")
    kept = np.exp(-exchange_per_h * step_s / 3600.0)
    out = np.empty(np.asarray(outdoors, np.float64).shape)
    now = start
    for k, outside in enumerate(np.asarray(outdoors, np.float64)):
        now = outside + (now - outside) * kept
        out[k] = now
    return out


def peak_mean(concentration: ArrayLike, step_s: float, window_s: float) -> float:
    """The highest mean over a window of a series of step means, nothing before its start or after its end counted as 0."""
    c = np.asarray(concentration, np.float64)
    wide = round(window_s / step_s)
    if wide < 1:
        raise InputError(f"window {window_s} s is shorter than a step of {step_s} s")
    total = np.concatenate([np.zeros(wide), np.cumsum(c) * step_s])
    return float((total[wide:] - total[: c.size]).max(initial=0.0) / (wide * step_s)) if c.size else 0.0
