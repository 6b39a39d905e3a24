"""What the wind does now, by the sensors: for packs whose hazards it drives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.world import World


def latest(world: World, quantity: Quantity, span_s: float) -> NDArray[np.float64]:
    """The newest good reading of each site within `span_s`, (site,), NaN where it has none."""
    window = world.window(quantity, span_s)
    found = np.full(len(window.sites), np.nan)
    for k in range(len(window.sites)):
        good = np.flatnonzero(window.good[k])
        if good.size:
            found[k] = window.value[k, good[np.argmin(window.age_s[k, good])]]
    return found


def wind_now(world: World, speed: Quantity, comes_from: Quantity, span_s: float) -> tuple[float, float]:
    """Mean speed, m/s, and the direction that it comes from, degrees, over the sites' newest readings within `span_s`.

    The direction is that of the mean vector of unit length: 350 and 10 degrees are 0. Raises InputError where no sensor tells one of the two,
    or the directions cancel out.
    """
    speeds, degrees = latest(world, speed, span_s), latest(world, comes_from, span_s)
    speeds, degrees = speeds[np.isfinite(speeds)], degrees[np.isfinite(degrees)]
    if not speeds.size or not degrees.size:
        missing = speed.name if not speeds.size else comes_from.name
        raise InputError(f"wind: no sensor told {missing} within {span_s / 3600.0:g} h; give a scenario yourself")
    east, north = np.sin(np.radians(degrees)).mean(), np.cos(np.radians(degrees)).mean()
    if np.hypot(east, north) < 0.1:
        raise InputError("wind: the sensors disagree on where it comes from; give a scenario yourself")
    return float(speeds.mean()), float(np.degrees(np.arctan2(east, north)) % 360.0)
