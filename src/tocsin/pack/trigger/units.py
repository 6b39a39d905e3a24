"""The units that a trigger may be written in, and what each measures: 5 cm and 0.05 m are one length, 5 cm and 5 min are an error."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.vocabulary.level import Level

# What a number measures: powers of length, time, temperature, persons, of the warning level, which is an order and no amount, and mass.
Dimension = tuple[int, int, int, int, int, int]
NUMBER: Dimension = (0, 0, 0, 0, 0, 0)
LENGTH: Dimension = (1, 0, 0, 0, 0, 0)
TIME: Dimension = (0, 1, 0, 0, 0, 0)
SPEED: Dimension = (1, -1, 0, 0, 0, 0)
FLOW: Dimension = (3, -1, 0, 0, 0, 0)
TEMPERATURE: Dimension = (0, 0, 1, 0, 0, 0)
PERSONS: Dimension = (0, 0, 0, 1, 0, 0)
PERSON_RATE: Dimension = (0, -1, 0, 1, 0, 0)
LEVEL: Dimension = (0, 0, 0, 0, 1, 0)
MASS: Dimension = (0, 0, 0, 0, 0, 1)
MASS_RATE: Dimension = (0, -1, 0, 0, 0, 1)
CONCENTRATION: Dimension = (-3, 0, 0, 0, 0, 1)
LINE_POWER: Dimension = (1, -3, 0, 0, 0, 1)
_WORDS: Mapping[Dimension, str] = {
    NUMBER: "a share or a plain number",
    LENGTH: "a length",
    TIME: "a time",
    SPEED: "a length in a time",
    FLOW: "a flow",
    TEMPERATURE: "a temperature",
    PERSONS: "persons",
    PERSON_RATE: "persons in a time",
    LEVEL: "a warning level",
    MASS: "a mass",
    MASS_RATE: "a mass in a time",
    CONCENTRATION: "a concentration",
    LINE_POWER: "a power along a line",
}

_H = 3600.0
# Exact by definition; the foot and the inch are the international ones of 1959. Factors lead to m, s, K-sized degrees, persons, kg.
UNITS: Mapping[str, tuple[float, Dimension]] = {
    "%": (0.01, NUMBER),
    "m": (1.0, LENGTH),
    "cm": (0.01, LENGTH),
    "mm": (0.001, LENGTH),
    "km": (1000.0, LENGTH),
    "ft": (0.3048, LENGTH),
    "in": (0.0254, LENGTH),
    "s": (1.0, TIME),
    "min": (60.0, TIME),
    "h": (_H, TIME),
    "d": (24 * _H, TIME),
    "m/s": (1.0, SPEED),
    "m/h": (1.0 / _H, SPEED),
    "cm/h": (0.01 / _H, SPEED),
    "cm/min": (0.01 / 60.0, SPEED),
    "mm/h": (0.001 / _H, SPEED),
    "mm/min": (0.001 / 60.0, SPEED),
    "in/h": (0.0254 / _H, SPEED),
    "km/h": (1000.0 / _H, SPEED),
    "m3/s": (1.0, FLOW),
    "l/s": (0.001, FLOW),
    "degC": (1.0, TEMPERATURE),  # degrees Celsius are compared with each other alone, so their zero does not matter
    "persons": (1.0, PERSONS),
    "persons/d": (1.0 / (24 * _H), PERSON_RATE),
    "kg": (1.0, MASS),
    "t": (1000.0, MASS),
    "kg/s": (1.0, MASS_RATE),
    "kg/h": (1.0 / _H, MASS_RATE),
    "kg/m3": (1.0, CONCENTRATION),
    "mg/m3": (1e-6, CONCENTRATION),
    "ug/m3": (1e-9, CONCENTRATION),
    "kW/m": (1000.0, LINE_POWER),
}
LEVELS: Mapping[str, Level] = {level.word: level for level in Level if level >= Level.NONE}


def dimension_words(dimension: Dimension) -> str:
    """What a dimension is, for an error: "a length", or its powers where it has no name."""
    if dimension in _WORDS:
        return _WORDS[dimension]
    powers = zip(("m", "s", "degC", "persons", "level", "kg"), dimension, strict=True)
    return "something in " + " ".join(f"{unit}^{power}" for unit, power in powers if power)


def units_of(dimension: Dimension) -> tuple[str, ...]:
    """The units in which a dimension is written."""
    return tuple(LEVELS) if dimension == LEVEL else tuple(name for name, (_, d) in UNITS.items() if d == dimension)
