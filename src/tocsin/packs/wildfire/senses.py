"""How sensors speak of a fire's futures: the weather that drives it, and when it came within sight of them."""

from __future__ import annotations

from tocsin.pack import ReadingError, Sense
from tocsin.packs.wildfire.outlook import SEEN_FROM
from tocsin.packs.wildfire.quantities import AIR_TEMPERATURE, RELATIVE_HUMIDITY, WIND_FROM, WIND_SPEED

# VIIRS sees fire in pixels of 375 m at nadir (Schroeder et al. 2014, Remote Sens. Environ. 143:85-96). That a camera or detector stands for as much is ours.
PIXEL_M = 375.0
# Rates of spread are told to 35 % at best (Cruz & Alexander 2013, Environ. Model. Softw. 47:16-28), and so is the time that a front takes; half an hour at least is ours (unverified).
COMES = ReadingError(0.5, 0.35, source="share: Cruz & Alexander 2013; half an hour at least: planning choice (unverified)")

SENSES = (
    Sense(WIND_SPEED, ReadingError(1.0, 0.2), drive="wind_speed"),
    Sense(WIND_FROM, ReadingError(20.0, how="turn"), drive="wind_from"),
    Sense(AIR_TEMPERATURE, ReadingError(1.5), drive="air_temperature"),
    Sense(RELATIVE_HUMIDITY, ReadingError(5.0), drive="relative_humidity"),
    *(Sense(quantity, COMES, comes_from=least, reach_m=PIXEL_M) for quantity, least in SEEN_FROM.items()),
)
