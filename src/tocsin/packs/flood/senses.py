"""How gauges speak of a flood's futures: levels of waters, rain as a rate, and the depth of water on the ground."""

from __future__ import annotations

from tocsin.pack import ReadingError, Sense
from tocsin.packs.flood.quantities import FLOOD_DEPTH, RAIN_AMOUNT, RIVER_LEVEL

# How far a true future may lie from its gauge: planning choices of ours, unverified, meant to be set for the place.
SENSES = (
    Sense(RIVER_LEVEL, ReadingError(0.1), drive="level@"),
    Sense(RAIN_AMOUNT, ReadingError(1.0, 0.3), drive="rain", per_s=3_600.0),  # mm between readings, as mm/h
    Sense(FLOOD_DEPTH, ReadingError(0.15)),
)
