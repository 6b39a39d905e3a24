"""What a person types with a unit, as a number in the unit that the inside uses: 5.35m@lake, 6h, manning=0.03..0.05.

Every function raises InputError with what was typed and what would do; nothing is guessed, because a level that is read in feet
instead of metres floods the wrong streets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from tocsin.pack.trigger.units import FLOW as FLOW_DIMENSION
from tocsin.pack.trigger.units import LENGTH, NUMBER, SPEED, TEMPERATURE, UNITS, Dimension
from tocsin.vocabulary.errors import InputError

# Exact by definition: the international foot and inch of 1959, and what follows from them.
LENGTH_M: Mapping[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048, "in": 0.0254}
FLOW_M3_PER_S: Mapping[str, float] = {
    "m3/s": 1.0,
    "m³/s": 1.0,
    "m3s-1": 1.0,
    "l/s": 0.001,
    "ft3/s": 0.3048**3,
    "ft³/s": 0.3048**3,
    "cfs": 0.3048**3,
}
RATE_MM_PER_H: Mapping[str, float] = {"mm/h": 1.0, "mm/hr": 1.0, "mmh-1": 1.0, "mm/min": 60.0, "in/h": 25.4, "in/hr": 25.4}
DEPTH_MM: Mapping[str, float] = {"mm": 1.0, "in": 25.4, "cm": 10.0}
DURATION_S: Mapping[str, float] = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
# Further speeds, m/s: the international knot and the statute mile are exact by definition.
SPEED_M_PER_S: Mapping[str, float] = {
    "kn": 1852.0 / 3600.0,
    "mph": 1609.344 / 3600.0,
    "m/min": 1.0 / 60.0,
    "ft/min": 0.3048 / 60.0,
    "ft/s": 0.3048,
}
# Kelvin of 0 degrees and of one degree: 0 degC is 273.15 K and 32 degF, by definition.
_KELVIN: Mapping[str, tuple[float, float]] = {
    "degC": (273.15, 1.0),
    "°C": (273.15, 1.0),
    "degF": (459.67 * 5.0 / 9.0, 5.0 / 9.0),
    "°F": (459.67 * 5.0 / 9.0, 5.0 / 9.0),
    "K": (0.0, 1.0),
}
_DEGREES = ("deg", "°")
_ALL: Mapping[str, tuple[float, Dimension]] = {
    "1": (1.0, NUMBER),
    **UNITS,
    **{unit: (factor, LENGTH) for unit, factor in LENGTH_M.items()},
    **{unit: (factor, FLOW_DIMENSION) for unit, factor in FLOW_M3_PER_S.items()},
    **{unit: (factor * 0.001 / 3600.0, SPEED) for unit, factor in RATE_MM_PER_H.items()},
    **{unit: (factor, SPEED) for unit, factor in SPEED_M_PER_S.items()},
}

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER_AND_UNIT = re.compile(rf"\s*({_NUMBER})(?:\s*([^\d\s,.]\S*)|\s+(1(?:/\S+)?))?\s*", re.ASCII)
_SPAN = re.compile(rf"\s*({_NUMBER})(?:\.\.({_NUMBER}))?(?:\.\.({_NUMBER}))?\s*", re.ASCII)


class At(msgspec.Struct, frozen=True):
    """Something that is said of a place: "5.35m" at "lake". `place` is empty where none was named."""

    what: str
    place: str


def at_place(text: str, option: str, *, example: str) -> At:
    """WHAT@PLACE; raises InputError where one of the two is missing.

    >>> at_place("5.35m@lake", "--level", example="5.35m@lake")
    At(what='5.35m', place='lake')
    """
    what, sign, place = text.rpartition("@")
    if not sign or not what.strip() or not place.strip():
        raise InputError(f"{option} {text!r}: no place is named; wanted e.g. {example}")
    return At(what.strip(), place.strip())


def in_unit(text: str, units: Mapping[str, float], option: str, *, example: str) -> float:
    """A number with one of `units`, as a number in the unit whose factor is 1.

    >>> in_unit("12 ft", LENGTH_M, "--level", example="5.35m")
    3.6576000000000004
    """
    number, unit = _number_and_unit(text, option, example)
    if unit not in units:
        raise InputError(f"{option} {text!r}: {_unknown(unit)}; wanted one of {', '.join(units)}, e.g. {example}")
    return number * units[unit]


class Into(msgspec.Struct, frozen=True):
    """How a number in one unit becomes one in another: times `factor`, plus `offset`."""

    factor: float
    offset: float = 0.0

    def __call__(self, number: float) -> float:
        return number * self.factor + self.offset


def convertible(unit: str) -> Mapping[str, Into]:
    """The units that a quantity of one unit may be given in, its own first, with the way from each.

    A unit that nobody here knows is converted from nothing but itself.

    >>> round(convertible("degC")["degF"](212.0), 9)
    100.0
    >>> list(convertible("persons/bed"))
    ['persons/bed']
    """
    found = {unit: Into(1.0)}
    if unit in _DEGREES:
        return found | {name: Into(1.0) for name in _DEGREES}
    if unit in _KELVIN:
        zero, size = _KELVIN[unit]
        others = {name: Into(s / size, (z - zero) / size) for name, (z, s) in _KELVIN.items()}
        return others | found | {name: Into(1.0) for name, at in _KELVIN.items() if at == _KELVIN[unit]}
    if unit not in _ALL or _ALL[unit][1] == TEMPERATURE:
        return found
    size, dimension = _ALL[unit]
    alike = {name: Into(s / size) for name, (s, d) in _ALL.items() if d == dimension and name != unit}
    return found | alike


def amounts(unit: str) -> Mapping[str, float]:
    """For a rate, the units of what comes together in a time, each with its factor to the rate's unit times seconds; else nothing.

    >>> amounts("mm/h")["mm"]  # 1 mm in 3600 s is 1 mm/h
    3600.0
    """
    if unit not in _ALL:
        return {}
    size, (length, time, *others) = _ALL[unit]
    if time >= 0:
        return {}
    whole = (length, time + 1, *others)
    return {name: round(s / size, 9) for name, (s, d) in _ALL.items() if d == whole}


def in_unit_of(text: str, unit: str, option: str, *, example: str) -> float:
    """A number with a unit, as a number in the unit of a quantity.

    >>> in_unit_of("36 km/h", "m/s", "--drive wind_speed", example="8m/s")
    10.0
    """
    number, given = _number_and_unit(text, option, example)
    units = convertible(unit)
    if not given and unit == "1":
        given = "1"
    if given not in units:
        raise InputError(f"{option} {text!r}: {_unknown(given)}; wanted one of {', '.join(units)}, e.g. {example}")
    return units[given](number)


def suffixes() -> Mapping[str, str]:
    """How units are written at the end of a column's name: "mm_per_h" for mm/h, "degc" for degC; the longest first."""
    names = [*_ALL, *_KELVIN, *_DEGREES, *DURATION_S]
    found = {name.lower().replace("/", "_per_"): name for name in names if name.isascii()} | {
        "percent": "%",
        "mm_per_hour": "mm/h",
    }
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _number_and_unit(text: str, option: str, example: str) -> tuple[float, str]:
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        hint = "; write the decimals after a point" if re.fullmatch(r"\s*[+-]?\d+,\d+.*", text) else ""
        raise InputError(f"{option} {text!r}: is no number with a unit; wanted e.g. {example}{hint}")
    return float(match.group(1)), match.group(2) or match.group(3) or ""


def _unknown(unit: str) -> str:
    return f"unit {unit!r} is unknown here" if unit else "it has no unit"


def duration_s(text: str, option: str) -> float:
    """A span of time above zero, s.

    >>> duration_s("90min", "--rise")
    5400.0
    """
    seconds = in_unit(text, DURATION_S, option, example="6h")
    if not 0.0 < seconds <= 366 * DURATION_S["d"]:
        raise InputError(f"{option} {text!r}: {seconds:g} s; wanted more than nothing and at most a year")
    return seconds


def span(text: str, option: str) -> tuple[float, float | None, float]:
    """VALUE, LOW..HIGH or LOW..USUAL..HIGH as (low, usual, high); `usual` is None where only the ends are given.

    >>> span("0.03..0.05", "--knob manning")
    (0.03, None, 0.05)
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise InputError(f"{option} {text!r}: wanted a number, low..high or low..usual..high, e.g. 0.03..0.04..0.06")
    first, second, third = (None if group is None else float(group) for group in match.groups())
    assert first is not None  # the first group of _SPAN always takes part in a match
    if second is None:
        return first, first, first
    if third is None:
        low, usual, high = first, None, second
    else:
        low, usual, high = first, second, third
    if not low <= (low if usual is None else usual) <= high:
        raise InputError(f"{option} {text!r}: does not rise; wanted low..usual..high")
    return low, usual, high


def pair(text: str, option: str, *, example: str) -> tuple[str, str]:
    """NAME=VALUE; raises InputError where one of the two is missing."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip() or not value.strip():
        raise InputError(f"{option} {text!r}: wanted NAME=VALUE, e.g. {example}")
    return name.strip(), value.strip()


def pairs(texts: list[str], option: str, *, example: str) -> dict[str, str]:
    """NAME=VALUE, each name once."""
    found: dict[str, str] = {}
    for text in texts:
        name, value = pair(text, option, example=example)
        if name in found:
            raise InputError(f"{option} {text!r}: {name} is given twice; keep one")
        found[name] = value
    return found
