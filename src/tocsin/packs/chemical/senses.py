"""How sensors speak of a release's futures: the wind, the air, and the gas where they stand."""

from __future__ import annotations

from tocsin.pack import ReadingError, Sense
from tocsin.packs.chemical.quantities import GASES, TEMPERATURE, WIND_FROM, WIND_SPEED
from tocsin.science.source_location import SCATTER

# As the search for a source takes it: a factor of two; and below 0.1 ppm a sensor tells nothing apart: a planning assumption (unverified).
SMELT = ReadingError(
    0.1,
    SCATTER,
    "factor",
    "Chang & Hanna 2004: half of a good model's predictions are within a factor of two; 0.1 ppm is ours (unverified)",
)

SENSES = (
    Sense(WIND_SPEED, ReadingError(1.0, 0.2), drive="wind_speed"),
    Sense(WIND_FROM, ReadingError(20.0, how="turn"), drive="wind_from"),
    Sense(TEMPERATURE, ReadingError(1.5), drive="temperature"),
    *(Sense(gas, SMELT) for gas in GASES.values()),
)
