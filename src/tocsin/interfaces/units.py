"""What a person types with a unit, as a number in the unit that the inside uses: 5.35m@lake, 6h, manning=0.03..0.05.

Every function raises InputError with what was typed and what would do; nothing is guessed, because a level that is read in feet
instead of metres floods the wrong streets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

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

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER_AND_UNIT = re.compile(rf"\s*({_NUMBER})\s*([^\d\s,.]\S*)?\s*", re.ASCII)
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
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        hint = "; write the decimals after a point" if re.fullmatch(r"\s*[+-]?\d+,\d+.*", text) else ""
        raise InputError(f"{option} {text!r}: is no number with a unit; wanted e.g. {example}{hint}")
    number, unit = float(match.group(1)), match.group(2) or ""
    if unit not in units:
        got = f"unit {unit!r} is unknown here" if unit else "it has no unit"
        raise InputError(f"{option} {text!r}: {got}; wanted one of {', '.join(units)}, e.g. {example}")
    return number * units[unit]


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
