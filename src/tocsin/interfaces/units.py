"""What a person types with a unit, as a number in the unit that the inside uses: 5.35m@lake, 6h, manning=0.03..0.05.

Every function raises InputError with what was typed and what would do; nothing is guessed, because a level that is read in feet
instead of metres floods the wrong streets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.units import KINDS, alike, is_known, spelled

DURATION_S: Mapping[str, float] = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_COMES: Mapping[str, str] = {"speed": "length", "flow": "volume", "mass in a time": "mass"}  # a rate, and what comes in a time

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

    >>> in_unit("90 min", DURATION_S, "--rise", example="6h")
    5400.0
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
    if not is_known(unit):
        return {unit: Into(1.0)}
    (kind,) = (units for units in KINDS.values() if unit in units)
    into, shift = kind[unit]
    others = {
        name: Into(kind[name][0] / into, (kind[name][1] - shift) / into) for name in alike(unit) if kind[name] != kind[unit]
    }
    return {unit: Into(1.0)} | {name: Into(1.0) for name in alike(unit) if kind[name] == kind[unit]} | others


def amounts(unit: str) -> Mapping[str, float]:
    """For a rate, the units of what comes together in a time, each with its factor to the rate's unit times seconds; else nothing.

    >>> amounts("mm/h")["mm"]  # 1 mm in 3600 s is 1 mm/h
    3600.0
    """
    for rate, whole in _COMES.items():
        if unit in KINDS[rate]:
            return {name: round(factor / KINDS[rate][unit][0], 9) for name, (factor, _) in KINDS[whole].items()}
    return {"persons": 86_400.0} if unit == "persons/d" else {}


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
    found = {spelled(name): name for units in KINDS.values() for name in reversed(list(units)) if name.isascii()}
    return dict(sorted((found | {"mm_per_hour": "mm/h"}).items(), key=lambda item: -len(item[0])))


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
