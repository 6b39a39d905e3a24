"""When to warn of a flood. Limits that depend on the place come with the twin's gauges; these hold where nothing local is known."""

from __future__ import annotations

from tocsin.pack import Limits, Rule, accumulation, rise
from tocsin.packs.flood.quantities import RAIN_AMOUNT, RIVER_LEVEL
from tocsin.vocabulary import Level

# China Meteorological Administration, rainstorm warning signals: blue 50 mm in 12 h, yellow 50 mm in 6 h, orange 50 mm in 3 h, red 100 mm in
# 3 h. Read in two press pages that agree, not in the regulation, so they are not verified and may not warn the public by themselves.
CMA = (
    "China Meteorological Administration, rainstorm warning signals (blue 50 mm/12 h, yellow 50/6 h, orange 50/3 h, red 100/3 h)"
)
RAIN_HEAVY: Rule = accumulation(
    "rain_heavy",
    RAIN_AMOUNT,
    {
        3.0: Limits({Level.ORANGE: 50.0, Level.RED: 100.0}, "mm", CMA),
        6.0: Limits({Level.YELLOW: 50.0}, "mm", CMA),
        12.0: Limits({Level.BLUE: 50.0}, "mm", CMA),
    },
    interval_s=3600.0,
    max_age_s=3 * 3600.0,
    meaning="so much rain has fallen that streams and streets may flood",
)

# A first guess where nothing local is set: on the flash flood of Dead Run (USGS 01589330) on 2018-06-03 it warned orange 35 min before
# the peak, and never on its quiet days. Nobody published these numbers.
RIVER_RISING_FAST: Rule = rise(
    "river_rising_fast",
    RIVER_LEVEL,
    Limits({Level.YELLOW: 0.5, Level.ORANGE: 1.0, Level.RED: 2.0}, "m/h", "unverified; tried on Dead Run, 2018-06-03"),
    over_s=3600.0,
    max_age_s=3600.0,
    meaning="the river rises faster than people downstream may be able to move",
)
