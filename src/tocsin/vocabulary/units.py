"""Units as files and people write them, and how a number in one becomes a number in another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

_FT, _IN, _MI, _LB = 0.3048, 0.0254, 1609.344, 0.45359237
_H, _D = 3600.0, 86_400.0

# What a unit measures -> its spellings, each with (factor, offset) to the first of its kind. All are exact by definition: NIST Special
# Publication 811 (2008), appendix B.8; the conventional millimetre of mercury (133.3224 Pa) is as rounded there.
KINDS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "length": {
        "m": (1.0, 0.0),
        "km": (1000.0, 0.0),
        "cm": (0.01, 0.0),
        "mm": (0.001, 0.0),
        "ft": (_FT, 0.0),
        "in": (_IN, 0.0),
        "mi": (_MI, 0.0),
    },
    "time": {"s": (1.0, 0.0), "min": (60.0, 0.0), "h": (_H, 0.0), "hr": (_H, 0.0), "d": (_D, 0.0), "day": (_D, 0.0)},
    "speed": {
        "m/s": (1.0, 0.0),
        "km/h": (1.0 / 3.6, 0.0),
        "kph": (1.0 / 3.6, 0.0),
        "mi/h": (_MI / _H, 0.0),
        "mph": (_MI / _H, 0.0),
        "kn": (1852.0 / _H, 0.0),
        "kt": (1852.0 / _H, 0.0),
        "m/min": (1.0 / 60.0, 0.0),
        "m/h": (1.0 / _H, 0.0),
        "ft/s": (_FT, 0.0),
        "ft/min": (_FT / 60.0, 0.0),
        "ft/h": (_FT / _H, 0.0),
        "mm/h": (0.001 / _H, 0.0),
        "mm/hr": (0.001 / _H, 0.0),
        "mmh-1": (0.001 / _H, 0.0),
        "mm/min": (0.001 / 60.0, 0.0),
        "mm/d": (0.001 / _D, 0.0),
        "cm/h": (0.01 / _H, 0.0),
        "in/h": (_IN / _H, 0.0),
        "in/hr": (_IN / _H, 0.0),
    },
    "flow": {
        "m3/s": (1.0, 0.0),
        "m³/s": (1.0, 0.0),
        "m3s-1": (1.0, 0.0),
        "l/s": (0.001, 0.0),
        "ft3/s": (_FT**3, 0.0),
        "ft³/s": (_FT**3, 0.0),
        "cfs": (_FT**3, 0.0),
    },
    "temperature": {
        "K": (1.0, 0.0),
        "degC": (1.0, 273.15),
        "°C": (1.0, 273.15),
        "C": (1.0, 273.15),
        "degF": (5.0 / 9.0, 459.67 * 5.0 / 9.0),
        "°F": (5.0 / 9.0, 459.67 * 5.0 / 9.0),
        "F": (5.0 / 9.0, 459.67 * 5.0 / 9.0),
    },
    "share": {"1": (1.0, 0.0), "%": (0.01, 0.0), "percent": (0.01, 0.0), "ppm": (1e-6, 0.0), "ppb": (1e-9, 0.0)},
    "angle": {"deg": (1.0, 0.0), "°": (1.0, 0.0), "rad": (180.0 / np.pi, 0.0)},
    "area": {"m2": (1.0, 0.0), "m²": (1.0, 0.0), "ha": (1e4, 0.0), "km2": (1e6, 0.0), "km²": (1e6, 0.0)},
    "volume": {"m3": (1.0, 0.0), "m³": (1.0, 0.0), "l": (0.001, 0.0), "ft3": (_FT**3, 0.0)},
    "mass": {"kg": (1.0, 0.0), "g": (1e-3, 0.0), "mg": (1e-6, 0.0), "ug": (1e-9, 0.0), "t": (1000.0, 0.0), "lb": (_LB, 0.0)},
    "mass in a time": {
        "kg/s": (1.0, 0.0),
        "kg/min": (1.0 / 60.0, 0.0),
        "kg/h": (1.0 / _H, 0.0),
        "g/s": (1e-3, 0.0),
        "t/h": (1000.0 / _H, 0.0),
        "lb/min": (_LB / 60.0, 0.0),
    },
    "concentration": {
        "kg/m3": (1.0, 0.0),
        "kg/m³": (1.0, 0.0),
        "g/m3": (1e-3, 0.0),
        "g/m³": (1e-3, 0.0),
        "mg/m3": (1e-6, 0.0),
        "mg/m³": (1e-6, 0.0),
        "ug/m3": (1e-9, 0.0),
        "µg/m3": (1e-9, 0.0),
        "µg/m³": (1e-9, 0.0),
    },
    "pressure": {
        "Pa": (1.0, 0.0),
        "hPa": (100.0, 0.0),
        "mbar": (100.0, 0.0),
        "kPa": (1000.0, 0.0),
        "bar": (1e5, 0.0),
        "mmHg": (133.3224, 0.0),
    },
    "power along a line": {"kW/m": (1.0, 0.0), "W/m": (1e-3, 0.0)},
    "radiation": {"W/m2": (1.0, 0.0), "W/m²": (1.0, 0.0), "kW/m2": (1000.0, 0.0)},
    "persons in a time": {"persons/d": (1.0, 0.0), "persons/h": (24.0, 0.0)},
}
_KIND: Mapping[str, str] = {unit: kind for kind, units in KINDS.items() for unit in units}


def spelled(unit: str) -> str:
    """A unit as it stands at the end of a name: "km/h" is km_per_h, "%" is percent."""
    return unit.replace("%", "percent").replace("/", "_per_").lower()


def is_known(unit: str) -> bool:
    """True where a number in this unit can be converted; a unit that is not known here (cases, beds) is only itself."""
    return unit in _KIND


def alike(unit: str) -> tuple[str, ...]:
    """Every unit that converts into this one, itself included."""
    return tuple(KINDS[_KIND[unit]]) if unit in _KIND else (unit,)


def found(text: str) -> str | None:
    """The unit that a text means: as it is spelled, or in any case where only one fits; None where none does."""
    if text in _KIND:
        return text
    near = [unit for unit in _KIND if unit.lower() == text.lower()]
    return near[0] if len(near) == 1 else None


def converted(value: NDArray[np.float64], source: str, target: str) -> NDArray[np.float64]:
    """Values in another unit; raises InputError where the two do not measure the same.

    >>> converted(np.array([50.0, 86.0]), "degF", "degC").round(9)
    array([10., 30.])
    """
    if source == target:
        return value
    if target not in _KIND or _KIND.get(source) != _KIND[target]:
        raise InputError(f"unit {source!r} does not become {target!r}; wanted one of {', '.join(alike(target))}")
    units = KINDS[_KIND[target]]
    (factor, offset), (into, shift) = units[source], units[target]
    return (value * factor + (offset - shift)) / into


def lasting(duration_s: float) -> str:
    """A duration as a person says it: hours up to four days, then days.

    >>> lasting(86_400.0), lasting(120 * 86_400.0)
    ('24 h', '120 days')
    """
    return f"{duration_s / 3_600.0:g} h" if duration_s <= 4 * 86_400.0 else f"{duration_s / 86_400.0:g} days"
