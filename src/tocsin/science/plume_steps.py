"""The inner loops of finding a source: what 1 kg/s at each candidate place would show at each sensor, and how well each rate explains what they show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numba import njit

_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_plain: _Compile = njit(nogil=True, cache=True, error_model="numpy")

FAR = 40.0  # exponents beyond this are nothing


@_plain
def unit_responses(x, y, sensor_x, sensor_y, east, north, weight, ln_first, ln_step, ln_sigma_y, ln_sigma_z, smear, lift, out):  # type: ignore[no-untyped-def]
    """out[candidate, sensor]: mean concentration of 1 kg/s in winds (time,), each with a share `weight`; on the ground, source at `lift` m."""
    root = 2.0 * math.pi
    for t in range(east.size):
        speed = math.hypot(east[t], north[t])
        if speed <= 0.0 or weight[t] <= 0.0:
            continue
        dir_x, dir_y = east[t] / speed, north[t] / speed
        for c in range(x.size):
            for s in range(sensor_x.size):
                off_x, off_y = sensor_x[s] - x[c], sensor_y[s] - y[c]
                along = off_x * dir_x + off_y * dir_y
                if along <= 0.0:
                    continue
                at = (math.log(max(along, smear, 1.0)) - ln_first) / ln_step  # no nearer than a candidate's square is large
                k = min(max(int(at), 0), ln_sigma_y.size - 2)
                share = at - k
                sigma = math.exp(ln_sigma_y[k] + share * (ln_sigma_y[k + 1] - ln_sigma_y[k]))
                sigma = math.sqrt(sigma * sigma + smear * smear)
                across = (off_y * dir_x - off_x * dir_y) / sigma
                if across * across > 2.0 * FAR:
                    continue
                sigma_z = math.exp(ln_sigma_z[k] + share * (ln_sigma_z[k + 1] - ln_sigma_z[k]))
                upright = 2.0 * math.exp(-0.5 * (lift / sigma_z) ** 2)
                out[c, s] += weight[t] * upright * math.exp(-0.5 * across * across) / (root * speed * sigma * sigma_z)


@_plain
def ln_likelihood(reading, sees_from, seen, ln_unit, ln_rate, scatter, false, total):  # type: ignore[no-untyped-def]
    """total[place, rate] += the logarithm of how likely the readings are: see `source_location`."""
    half = math.sqrt(0.5)
    root = math.sqrt(2.0 * math.pi)
    for s in range(reading.size):
        noise = sees_from[s] / 3.0
        alone = reading[s] / noise
        chance = false + (
            alone / root * math.exp(-0.5 * alone * alone) if seen[s] else 0.0
        )  # of such a reading where there is no gas
        value = math.log(reading[s] if seen[s] else sees_from[s])
        wide = math.hypot(scatter, noise / (reading[s] if seen[s] else sees_from[s]))
        for c in range(ln_unit.shape[0]):
            first = value - ln_unit[c, s]
            for r in range(ln_rate.size):
                off = (first - ln_rate[r]) / wide
                if seen[s]:
                    total[c, r] += math.log(math.exp(-0.5 * off * off) / (wide * root) + chance)
                elif off > -8.0:
                    total[c, r] += math.log(0.5 * math.erfc(-off * half))
                else:  # the tail of the normal distribution, to 2 % of the chance: it is below 1e-15 here
                    total[c, r] -= 0.5 * off * off + math.log(-off * 2.5066282746310002)
