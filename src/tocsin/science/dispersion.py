"""How gas thins in the wind: Gaussian plume and puff, how wide and high they grow, and how stable the air is.

Concentrations are in kg/m3 for kg/s or kg, distances in m, wind in m/s. A stability class is a number, 1 (A, very unstable) to 6 (F, stable).
A plume is a mean over about ten minutes: a nose meets peaks well above it. Valid from about 100 m to 10 km over flat ground and wind of 1 m/s or
more; not in calm air, among buildings, in valleys, over steep ground or for gas that is much heavier than air (`tocsin.science.dense_gas`).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Ground = Literal["open", "rural", "urban", "puff"]

CLASSES = "ABCDEF"
GROUNDS: tuple[Ground, ...] = ("open", "rural", "urban", "puff")
CCPS = "AIChE/CCPS 1999, Guidelines for Consequence Analysis of Chemical Releases"
BRIGGS = "Briggs 1973, ATDL-106, doi:10.2172/5118833, as corrected by Griffiths 1994, Atmos. Environ. 28:2861-2865"
PASQUILL_GIFFORD = "Spicer & Havens 1989, EPA-450/4-89-019, pp. 45-46 (across, 600 s); Seinfeld 1986, Atmospheric Chemistry and Physics of Air Pollution (upwards)"
SLADE = "Slade 1968, Meteorology and Atomic Energy, TID-24190, pp. 163-175"

# sigma = scale x (1 + bend x)^power, each row for the classes A to F
_Curve = tuple[tuple[float, float, float], ...]
_WIDTH: dict[Ground, _Curve] = {
    "rural": tuple((a, 1e-4, -0.5) for a in (0.22, 0.16, 0.11, 0.08, 0.06, 0.04)),
    "urban": tuple((a, 4e-4, -0.5) for a in (0.32, 0.32, 0.22, 0.16, 0.11, 0.11)),
}
_HEIGHT: dict[Ground, _Curve] = {
    "rural": (
        (0.20, 0.0, 0.0),
        (0.12, 0.0, 0.0),
        (0.08, 2e-4, -0.5),
        (0.06, 1.5e-3, -0.5),
        (0.03, 3e-4, -1.0),
        (0.016, 3e-4, -1.0),
    ),
    "urban": (
        (0.24, 1e-3, 0.5),
        (0.24, 1e-3, 0.5),
        (0.20, 0.0, 0.0),
        (0.14, 3e-4, -0.5),
        (0.08, 1.5e-3, -0.5),
        (0.08, 1.5e-3, -0.5),
    ),
}
_OPEN_WIDTH = tuple((a, 0.9) for a in (0.423, 0.313, 0.210, 0.136, 0.102, 0.0674))
_OPEN_HEIGHT = (  # scale x^power exp(bend ln(x)^2)
    (107.7, -1.7172, 0.2770),
    (0.1355, 0.8752, 0.0136),
    (0.09623, 0.9477, -0.0020),
    (0.04134, 1.1737, -0.0316),
    (0.02275, 1.3010, -0.0450),
    (0.01122, 1.4024, -0.0540),
)
OPEN_FROM_M = (
    100.0  # nearer, the height of `open` is taken in proportion to the distance: its curve for A turns up again below 22 m
)
_PUFF_WIDTH = ((0.18, 0.92), (0.14, 0.92), (0.10, 0.92), (0.06, 0.92), (0.04, 0.92), (0.02, 0.89))
_PUFF_HEIGHT = ((0.60, 0.75), (0.53, 0.73), (0.34, 0.71), (0.15, 0.70), (0.10, 0.65), (0.05, 0.61))
_WIND_POWER: dict[Ground, tuple[float, ...]] = {
    "rural": (0.07, 0.07, 0.10, 0.15, 0.35, 0.55),
    "urban": (0.15, 0.15, 0.20, 0.25, 0.40, 0.60),
}
NEAR_GROUND_M = 2.0  # gas that is let go near the ground goes with the wind at this height: see `carrying_wind`
REFLECTIONS = 3  # images of the lid on each side: the next one adds less than 4e-6 where MIXED begins
MIXED = 1.6  # from sigma_z of so many mixing heights on the air is taken as mixed through: ISC3 manual, EPA-454/B-95-003b


def spread(distance_m: ArrayLike, stability: int, ground: Ground = "rural") -> tuple[Floats, Floats]:
    """Standard deviations across the wind and upwards, m, at a distance from the source.

    `open` are the curves of Pasquill and Gifford (PASQUILL_GIFFORD), with which CCPS's example on p. 97 is worked; `rural` and `urban` are those of
    Briggs (BRIGGS), for 100 m to 10 km: all three for means of about ten minutes. `puff` is for what is let go within seconds (SLADE), as wide along the
    wind as across. Two copies of Briggs' urban heights are in use: CCPS prints a root below the line for A and B and 0.003 for D; here are Briggs' own
    (growing for A and B; 0.0003 for D).
    """
    x = np.asarray(distance_m, np.float64)
    k = _row(stability)
    if ground == "puff":
        (a, p), (b, q) = _PUFF_WIDTH[k], _PUFF_HEIGHT[k]
        return np.asarray(a * x**p), np.asarray(b * x**q)
    if ground == "open":
        (a, p), (b, q, bend) = _OPEN_WIDTH[k], _OPEN_HEIGHT[k]
        far = np.maximum(x, OPEN_FROM_M)
        height = b * far**q * np.exp(bend * np.log(far) ** 2)
        return np.asarray(a * x**p), np.asarray(height * np.minimum(x / OPEN_FROM_M, 1.0))
    if ground not in _WIDTH:
        raise InputError(f"dispersion: ground {ground!r}; wanted {', '.join(GROUNDS)}")
    (a, bend, power), (b, bend_z, power_z) = _WIDTH[ground][k], _HEIGHT[ground][k]
    return np.asarray(a * x * (1.0 + bend * x) ** power), np.asarray(b * x * (1.0 + bend_z * x) ** power_z)


def plume(
    rate_kg_per_s: float,
    x_m: ArrayLike,
    y_m: ArrayLike = 0.0,
    z_m: ArrayLike = 0.0,
    *,
    wind_m_per_s: float,
    stability: int,
    ground: Ground = "rural",
    height_m: float = 0.0,
    mixing_m: float = np.inf,
) -> Floats:
    """Steady concentration downwind (x), across (y) and above ground (z) of a steady source; 0 upwind. Source: CCPS 1999, p. 97; Turner 1970.

    The ground reflects, and so does a lid at `mixing_m`.
    >>> round(float(plume(0.1, 500.0, wind_m_per_s=2.0, stability=6, ground="open")), 7)
    0.0001035
    """
    _windy(wind_m_per_s)
    x, y, z = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (x_m, y_m, z_m)))
    ahead = np.maximum(x, 1e-3)
    sigma_y, sigma_z = spread(ahead, stability, ground)
    across = np.exp(-0.5 * (y / sigma_y) ** 2) / (np.sqrt(2.0 * np.pi) * sigma_y)
    share = across * upright(z, sigma_z, height_m, mixing_m)
    return np.asarray(np.where(x > 0.0, rate_kg_per_s / wind_m_per_s * share, 0.0))


def puff(
    mass_kg: float,
    x_m: ArrayLike,
    y_m: ArrayLike,
    z_m: ArrayLike,
    time_s: ArrayLike,
    *,
    wind_m_per_s: float,
    stability: int,
    ground: Ground = "puff",
    height_m: float = 0.0,
    mixing_m: float = np.inf,
) -> Floats:
    """Concentration at a moment after a mass was let go at once; it drifts with the wind. Source: CCPS 1999, p. 101."""
    _windy(wind_m_per_s)
    x, y, z, time = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (x_m, y_m, z_m, time_s)))
    gone = np.maximum(wind_m_per_s * time, 1e-3)
    sigma_y, sigma_z = spread(gone, stability, ground)
    flat = np.exp(-0.5 * ((x - wind_m_per_s * time) ** 2 + y**2) / sigma_y**2) / (2.0 * np.pi * sigma_y**2)
    return np.asarray(np.where(time > 0.0, mass_kg * flat * upright(z, sigma_z, height_m, mixing_m), 0.0))


def upright(z_m: Floats, sigma_z_m: Floats, height_m: float = 0.0, mixing_m: float = np.inf) -> Floats:
    """How the gas shares itself out upwards, 1/m: a normal curve that ground and lid reflect; its sum from ground to lid is 1.

    Where sigma reaches 1.6 of the lid's height the air is taken as mixed through; the sum of the images then differs from it by less than 1e-5.
    """
    total = np.exp(-0.5 * ((z_m - height_m) / sigma_z_m) ** 2) + np.exp(-0.5 * ((z_m + height_m) / sigma_z_m) ** 2)
    if np.isfinite(mixing_m):
        for k in range(1, REFLECTIONS + 1):
            for centre in (2 * k * mixing_m - height_m, 2 * k * mixing_m + height_m):
                total = (
                    total + np.exp(-0.5 * ((z_m - centre) / sigma_z_m) ** 2) + np.exp(-0.5 * ((z_m + centre) / sigma_z_m) ** 2)
                )
        return np.asarray(np.where(sigma_z_m > MIXED * mixing_m, 1.0 / mixing_m, total / (np.sqrt(2.0 * np.pi) * sigma_z_m)))
    return np.asarray(total / (np.sqrt(2.0 * np.pi) * sigma_z_m))


def wind_at(
    height_m: ArrayLike, wind_m_per_s: ArrayLike, measured_at_m: float, stability: int, ground: Ground = "rural"
) -> Floats:
    """Wind at another height by the power law of CCPS 1999 (rural, urban), m/s; for heights of about 1 to 100 m."""
    if ground not in _WIND_POWER:
        raise InputError(f"wind profile: ground {ground!r}; wanted rural or urban")
    return np.asarray(
        np.asarray(wind_m_per_s, np.float64)
        * (np.asarray(height_m, np.float64) / measured_at_m) ** _WIND_POWER[ground][_row(stability)]
    )


def carrying_wind(
    wind_m_per_s: ArrayLike, stability: int, ground: Ground = "rural", *, height_m: float = 0.0, measured_at_m: float = 10.0
) -> Floats:
    """The wind that carries what is let go at a height, m/s: that at the height, and for what is let go near the ground that at NEAR_GROUND_M.

    With the wind at 10 m itself a plume from the ground is told a third too thin on the mean of the releases of Prairie Grass; with this one it is right
    to 6 % (`tests/science/test_prairie_grass.py`). Between heights by the power law of `wind_at`; `open` and `puff` take that of `rural`.
    """
    profile: Ground = "urban" if ground == "urban" else "rural"
    return wind_at(max(height_m, NEAR_GROUND_M), np.asarray(wind_m_per_s, np.float64), measured_at_m, stability, profile)


def stability_class(
    wind_m_per_s: float, *, day: bool, insolation: Literal["strong", "moderate", "slight"] = "moderate", cloudy: bool = False
) -> int:
    """The Pasquill class, 1 to 6, from the wind at 10 m and the sky. Source: Pasquill 1961; Turner 1970, PB 191 482, table 3-1.

    `cloudy` by night: four eighths or more of low cloud. Where the table gives two classes (A-B) the more stable one is taken: less mixing.
    Overcast days and nights are neutral whatever the wind: give `insolation="slight"` and wind above 5 m/s, or class 4 itself.
    """
    if wind_m_per_s < 0.0:
        raise InputError(f"stability: wind {wind_m_per_s} m/s; wanted 0 or more")
    rows = {"strong": (1, 2, 2, 3, 3), "moderate": (2, 2, 3, 4, 4), "slight": (2, 3, 3, 4, 4)}
    column = int(np.searchsorted((2.0, 3.0, 5.0, 6.0), wind_m_per_s, side="right"))
    if day:
        return rows[insolation][column]
    return ((5, 5, 4, 4, 4) if cloudy else (6, 6, 5, 4, 4))[column]


def _row(stability: int) -> int:
    if stability not in range(1, 7):
        raise InputError(f"dispersion: stability {stability!r}; wanted 1 (A) to 6 (F)")
    return stability - 1


def _windy(wind_m_per_s: float) -> None:
    if not wind_m_per_s > 0.0:
        raise InputError(f"dispersion: wind {wind_m_per_s} m/s; a plume wants wind: above 0")
