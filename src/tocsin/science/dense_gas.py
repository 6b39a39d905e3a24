"""Gas that is heavier than air: when it is dense, how it thins after Britter & McQuaid, and how wide and high its cloud is.

Correlations of field and laboratory trials over flat open ground, given as curves of distance for concentrations from 10 % down to 0.2 % (puff: 0.1 %)
of what is let go. Not for slopes, buildings, jets with momentum, aerosol that still evaporates, or wind below about 1.5 m/s.
Source: Britter & McQuaid 1988, Workbook on the Dispersion of Dense Gases, HSE Contract Research Report 17/1988; the lines as in CCPS 1999,
Guidelines for Consequence Analysis of Chemical Releases (plume pp. 118-122) and US EPA 1994, TSCREEN, EPA-454/B-94-023.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.dispersion import Ground, spread
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
GRAVITY_M_PER_S2 = 9.80665
DENSE_PLUME, DENSE_PUFF = 0.15, 0.20  # CCPS 1999, eq. 2.109 and 2.110 as Britter & McQuaid give them: above, a cloud is dense
LEAST_SHARE = 0.002  # of the source: the lowest that the trials tell of a plume
NEAR = 30.0  # source lengths: nearer, a plume thins as 306 x^-2 / (1 + 306 x^-2)

# For each share of the first concentration: corners (alpha, log10 of the distance) of straight lines, flat below the first. Beyond alpha = 1, which
# the trials do not reach, the value at 1 is kept.
_PLUME: dict[float, tuple[tuple[float, float, float], ...]] = {  # from alpha on: slope, offset
    0.10: ((-9.0, 0.0, 1.75), (-0.55, 0.24, 1.88), (-0.14, -0.50, 1.78)),
    0.05: ((-9.0, 0.0, 1.92), (-0.68, 0.36, 2.16), (-0.29, 0.0, 2.06), (-0.18, -0.56, 1.96)),
    0.02: ((-9.0, 0.0, 2.08), (-0.69, 0.45, 2.39), (-0.31, 0.0, 2.25), (-0.16, -0.54, 2.16)),
    0.01: ((-9.0, 0.0, 2.25), (-0.70, 0.49, 2.59), (-0.29, 0.0, 2.45), (-0.20, -0.52, 2.35)),
    0.005: ((-9.0, 0.0, 2.40), (-0.67, 0.59, 2.80), (-0.28, 0.0, 2.63), (-0.15, -0.48, 2.56)),
    0.002: ((-9.0, 0.0, 2.60), (-0.69, 0.39, 2.87), (-0.25, 0.0, 2.77), (-0.13, -0.50, 2.71)),
}
_PUFF: dict[float, tuple[tuple[float, float, float], ...]] = {
    0.10: ((-9.0, 0.0, 0.70), (-0.44, 0.26, 0.81), (0.43, 0.0, 0.93)),
    0.05: ((-9.0, 0.0, 0.85), (-0.56, 0.26, 1.00), (0.31, -0.12, 1.12)),
    0.02: ((-9.0, 0.0, 0.95), (-0.66, 0.36, 1.19), (0.32, -0.26, 1.38)),
    0.01: ((-9.0, 0.0, 1.15), (-0.71, 0.34, 1.39), (0.37, -0.38, 1.66)),
    0.005: ((-9.0, 0.0, 1.48), (-0.52, 0.26, 1.62), (0.24, -0.30, 1.75)),
    0.002: ((-9.0, 0.0, 1.83), (0.27, -0.32, 1.92)),
    0.001: ((-9.0, 0.0, 2.075), (-0.10, -0.27, 2.05)),
}


class DensePlume(msgspec.Struct, frozen=True):
    """A steady dense release on the ground: volume, m3/s, and density, kg/m3, as it leaves the source; wind at 10 m."""

    volume_m3_per_s: float
    density: float
    air_density: float
    wind_m_per_s: float
    temperature_k: float = 288.15
    air_temperature_k: float = 288.15

    def __post_init__(self) -> None:
        if not min(self.volume_m3_per_s, self.density, self.air_density, self.wind_m_per_s) > 0:
            raise InputError("dense plume: volume, densities and wind; wanted all above 0")

    @property
    def buoyancy(self) -> float:
        """Reduced gravity g (rho - rho_air) / rho_air, m/s2."""
        return GRAVITY_M_PER_S2 * (self.density - self.air_density) / self.air_density

    @property
    def length_m(self) -> float:
        """The source's own length, sqrt(V / u)."""
        return float(np.sqrt(self.volume_m3_per_s / self.wind_m_per_s))

    @property
    def density_length_m(self) -> float:
        """The length over which its weight counts, g' V / u^3."""
        return max(0.0, self.buoyancy) * self.volume_m3_per_s / self.wind_m_per_s**3

    @property
    def is_dense(self) -> bool:
        """(g' V / (u^3 D))^(1/3) >= 0.15: else it drifts as any gas does."""
        return bool((self.density_length_m / self.length_m) ** (1.0 / 3.0) >= DENSE_PLUME)

    def concentration(self, distance_m: ArrayLike) -> Floats:
        """The most on the axis, as a share of volume, of about ten minutes' mean; beyond 0.2 % of the source it falls as distance^-2.

        Correlations want an isothermal release; the correction of CCPS eq. 2.114 for one that is colder is applied. In ten spills of LNG that told three
        times too much (docs/science/dispersion.md), and nowhere less than half.
        """
        x = np.asarray(distance_m, np.float64) / self.length_m
        alpha = 0.2 * np.log10(max(self.buoyancy, 1e-9) ** 2 * self.volume_m3_per_s / self.wind_m_per_s**5)
        shares, logs = _along(_PLUME, alpha)
        near = 306.0 / (306.0 + NEAR**2)
        logs, shares = np.append(np.log10(NEAR), logs), np.append(near, shares)
        safe = np.maximum(x, 1e-9)
        share = np.where(safe < NEAR, 306.0 / (306.0 + safe**2), np.interp(np.log10(safe), logs, shares))
        share = np.where(np.log10(safe) > logs[-1], shares[-1] * (10.0 ** logs[-1] / safe) ** 2, share)
        warm = self.air_temperature_k / self.temperature_k
        return np.asarray(share * warm / (1.0 - share + share * warm))

    def half_width_m(self, distance_m: ArrayLike) -> Floats:
        """Half the width of the cloud downwind: D + 8 l + 2.5 l^(1/3) x^(2/3), l the density length. Source: workbook, section 3
        (unverified: not read there; the factor 8 is also in the tests of GasDispersion.jl, 2.5 was written down from memory)."""
        length = self.density_length_m
        return np.asarray(
            self.length_m + 8.0 * length + 2.5 * np.cbrt(length) * np.maximum(np.asarray(distance_m), 0.0) ** (2.0 / 3.0)
        )


def dense_puff_concentration(
    distance_m: ArrayLike,
    *,
    volume_m3: float,
    density: float,
    air_density: float,
    wind_m_per_s: float,
    temperature_ratio: float = 1.0,
) -> Floats:
    """The most that a cloud let go at once has at a distance, as a share of volume. `temperature_ratio` is release / air, kelvin.

    Nearer than the first line it is 3.24 / (3.24 + x^2), but not below 10 %; beyond the last it falls as distance^-2 (x in cube roots of the volume).
    """
    if not min(volume_m3, density, air_density, wind_m_per_s) > 0:
        raise InputError("dense puff: volume, densities and wind; wanted all above 0")
    buoyancy = GRAVITY_M_PER_S2 * (density - air_density) / air_density
    alpha = 0.5 * np.log10(max(buoyancy, 1e-9) * np.cbrt(volume_m3) / wind_m_per_s**2)
    shares, logs = _along(_PUFF, alpha)
    x = np.maximum(np.asarray(distance_m, np.float64) / np.cbrt(volume_m3), 1e-9)
    log = np.log10(x)
    share = np.interp(log, logs, shares)
    share = np.where(log <= logs[0], np.maximum(3.24 / (3.24 + x**2), shares[0]), share)
    share = np.where(log >= logs[-1], shares[-1] * (10.0 ** logs[-1] / x) ** 2, share)
    return np.asarray(share / (share + (1.0 - share) * temperature_ratio))


def is_dense_puff(*, volume_m3: float, density: float, air_density: float, wind_m_per_s: float) -> bool:
    """sqrt(g' V^(1/3)) / u >= 0.20."""
    buoyancy = GRAVITY_M_PER_S2 * (density - air_density) / air_density
    return bool(buoyancy > 0 and np.sqrt(buoyancy * np.cbrt(volume_m3)) / wind_m_per_s >= DENSE_PUFF)


def effective_widths(gas: DensePlume, way_m: Floats, stability: int, ground: Ground) -> tuple[Floats, Floats]:
    """Widths with which a row of Gaussian puffs has the axis concentration and the breadth of a dense plume, and goes over into a passive one.

    Across: the normal curve of equal area as the box of half-width L, 2 L / sqrt(2 pi), or the passive one, whichever is broader. Upwards: what then
    gives Britter & McQuaid's concentration on the axis. From where that is 0.2 % of the source on the axis is that of a passive plume which has as much
    there, and the breadth that of one which is as broad (virtual sources). Limits: the cloud does not spread upwind, its edge is not sharp, and it
    follows the wind and not the slope.
    """
    passive_y, passive_z = spread(way_m, stability, ground)
    axis = np.maximum(gas.concentration(way_m), 1e-15)
    flow = (
        gas.volume_m3_per_s * gas.air_temperature_k / gas.temperature_k / gas.wind_m_per_s
    )  # of the gas once it is as warm as the air
    sigma_y = np.maximum(passive_y, 2.0 * gas.half_width_m(way_m) / np.sqrt(2.0 * np.pi))
    passive = flow / (np.pi * passive_y * passive_z)
    last = min(max(int(np.searchsorted(-axis, -LEAST_SHARE)), 1), way_m.size - 1)
    begun = np.exp(
        np.interp(np.log(axis[last]), np.log(passive[::-1]), np.log(way_m[::-1]))
    )  # where a passive plume has what this one has
    later = np.exp(np.interp(np.log(np.maximum(way_m - way_m[last] + begun, way_m[0])), np.log(way_m), np.log(passive)))
    axis[last:] = later[last:]
    broad = np.interp(sigma_y[last], passive_y, way_m)
    sigma_y[last:] = np.interp(way_m[last:] - way_m[last] + broad, way_m, passive_y)
    sigma_z = flow / (np.pi * sigma_y * axis)
    return sigma_y, sigma_z


def _along(lines: dict[float, tuple[tuple[float, float, float], ...]], alpha: float) -> tuple[Floats, Floats]:
    """Shares and the logarithms of the distances where they are met, at an alpha."""
    at = min(alpha, 1.0)
    logs = [next(slope * at + offset for start, slope, offset in reversed(corners) if at > start) for corners in lines.values()]
    return np.array(list(lines)), np.array(logs)
