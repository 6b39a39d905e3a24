"""What SQLite cannot do by itself and a filter needs: geometry, and the parts of a time. Each is a plain function of its arguments.

Geometry is planar, in the degrees of WGS 84 (EPSG:4326), as the literals and GeoJSON give it: a distance or a length is in degrees.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any

import msgspec
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from tocsin.platform.things.times import EPOCH, MINUTE_US, SECOND_US, parse_instant
from tocsin.vocabulary.errors import InputError

SHAPES_KEPT = 4_096
KEPT_LENGTH_MAX = 10_000  # characters: 40 MB of them at most
WKT_LENGTH_MAX = 200_000
_COMMA = re.compile(r"\s*(POINT\s*\(\s*[-+.\deE]+)\s*,(\s*[-+.\deE]+\s*\))\s*", re.IGNORECASE)
_SRID = re.compile(r"\s*SRID\s*=\s*(\d+)\s*;", re.IGNORECASE)

PREDICATES: dict[str, Callable[[BaseGeometry, BaseGeometry], bool]] = {
    "st_equals": shapely.equals,
    "st_disjoint": shapely.disjoint,
    "st_touches": shapely.touches,
    "st_within": shapely.within,
    "st_overlaps": shapely.overlaps,
    "st_crosses": shapely.crosses,
    "st_intersects": shapely.intersects,
    "st_contains": shapely.contains,
    "geo.intersects": shapely.intersects,
}


def read_wkt(text: str, *, where: str) -> str:
    """A geography literal as plain WKT; raises InputError where it is none, or is in another reference system."""
    srid = _SRID.match(text)
    if srid is not None and srid.group(1) != "4326":
        raise InputError(f"{where}: SRID {srid.group(1)}; wanted 4326 (longitude, latitude in degrees), or none")
    bare = text[srid.end() :] if srid else text
    if (comma := _COMMA.fullmatch(bare)) is not None:  # POINT(-122, 43) stands so in an example of OGC 18-088, 9.3.3.5
        bare = f"{comma.group(1)} {comma.group(2)}"
    try:
        if len(bare) > WKT_LENGTH_MAX:
            raise shapely.errors.ShapelyError(f"longer than {WKT_LENGTH_MAX:,} characters")
        found = shapely.from_wkt(bare)
    except (shapely.errors.ShapelyError, ValueError, UnicodeError) as fault:
        raise InputError(f"{where}: {text[:60]!r} is no WKT: {fault}; wanted such as geography'POINT(8.4 49.0)'") from fault
    if not _is_finite(found):
        raise InputError(f"{where}: {text[:60]!r} has a coordinate that is no finite number")
    return bare


def read_geojson(value: object, *, where: str) -> BaseGeometry | None:
    """The geometry of a GeoJSON geometry, Feature or FeatureCollection; None for a Feature without one. Raises InputError."""
    if isinstance(value, dict) and value.get("type") == "Feature":
        inner = value.get("geometry")
        return None if inner is None else read_geojson(inner, where=where)
    if isinstance(value, dict) and value.get("type") == "FeatureCollection" and isinstance(value.get("features"), list):
        parts = [read_geojson(part, where=where) for part in value["features"]]
        return shapely.geometrycollections([part for part in parts if part is not None])
    try:
        found: BaseGeometry = shape(value)
        if not _is_finite(found):
            raise ValueError("a coordinate is no finite number")
    except (shapely.errors.ShapelyError, ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as fault:
        words = f"{type(fault).__name__}: {fault}"
        raise InputError(
            f'{where}: is no GeoJSON ({words[:120]}); wanted such as {{"type": "Point", "coordinates": [8.4, 49.0]}}'
        ) from fault
    return found


def _is_finite(found: BaseGeometry) -> bool:
    return found is not None and (found.is_empty or all(math.isfinite(edge) for edge in found.bounds))


def _shape(text: object) -> BaseGeometry | None:
    """The geometry of stored GeoJSON or of a literal's WKT; None for what has no geometry that we know, such as a number in JSON."""
    if not isinstance(text, str) or not text:
        return None
    return _kept_shape(text) if len(text) <= KEPT_LENGTH_MAX else _read_shape(text)


@lru_cache(maxsize=SHAPES_KEPT)
def _kept_shape(text: str) -> BaseGeometry | None:
    return _read_shape(text)


def _read_shape(text: str) -> BaseGeometry | None:
    try:
        if text.startswith("{"):
            return read_geojson(msgspec.json.decode(text), where="geometry")
        return shapely.from_wkt(text)
    except (InputError, msgspec.DecodeError, shapely.errors.ShapelyError, ValueError):
        return None


def _predicate(name: str, left: object, right: object) -> int | None:
    a, b = _shape(left), _shape(right)
    if a is None or b is None:
        return None
    try:
        return int(PREDICATES[name](a, b))
    except shapely.errors.GEOSException:  # a polygon that crosses itself has no answer
        return None


def _relate(left: object, right: object, pattern: str | None) -> int | None:
    a, b = _shape(left), _shape(right)
    if a is None or b is None or pattern is None:
        return None
    try:
        return int(shapely.relate_pattern(a, b, pattern))
    except shapely.errors.GEOSException:
        return None


def _distance(left: object, right: object) -> float | None:
    a, b = _shape(left), _shape(right)
    if a is None or b is None or a.is_empty or b.is_empty:
        return None
    return float(shapely.distance(a, b))


def _length(text: object) -> float | None:
    found = _shape(text)
    if found is None:
        return None
    lines = [part for part in shapely.get_parts(found) if shapely.get_dimensions(part) == 1]  # a polygon's edge is no line
    return float(sum(shapely.length(part) for part in lines))


def _part(name: str, us: int | None, offset_min: int | None) -> float | int | None:
    """One part of a moment, in the zone that it was written in."""
    if not isinstance(us, int):
        return None
    local_us = us + (offset_min or 0) * MINUTE_US
    try:
        moment = EPOCH + timedelta(microseconds=local_us)
    except OverflowError:
        return None
    if name == "fractionalseconds":
        return moment.microsecond / SECOND_US
    return int(getattr(moment, name))


def _offset(text: str | None) -> int:
    """Minutes of the zone that a stored time was written in."""
    if text is None or text[-1] in "Zz":
        return 0
    try:
        return parse_instant(text.partition("/")[0], where="time")[1]
    except InputError:
        return 0


def _time_of(value: Any) -> int | None:
    """A time that stands as text in JSON."""
    try:
        return parse_instant(value, where="time")[0] if isinstance(value, str) else None
    except InputError:
        return None


def _lower(text: Any) -> str | None:
    return text.lower() if isinstance(text, str) else None


def _upper(text: Any) -> str | None:
    return text.upper() if isinstance(text, str) else None


def _text(value: Any) -> str | None:
    """A number of an observation as the text that JSON shows."""
    return None if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _round(value: Any) -> float | int | None:
    """To the nearest whole number, halves away from zero: OData 4.0, 5.1.1.9.1."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


def _floor(value: Any) -> int | None:
    return math.floor(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _ceiling(value: Any) -> int | None:
    return math.ceil(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _modulo(left: Any, right: Any) -> float | int | None:
    """The remainder, with the sign of the left operand; None by zero."""
    if not isinstance(left, int | float) or not isinstance(right, int | float) or right == 0:
        return None
    if isinstance(left, int) and isinstance(right, int):
        return int(math.copysign(abs(left) % abs(right), left)) if left else 0
    return math.fmod(left, right)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "sta_shape": (3, _predicate),
    "sta_relate": (3, _relate),
    "sta_distance": (2, _distance),
    "sta_length": (1, _length),
    "sta_part": (3, _part),
    "sta_offset": (1, _offset),
    "sta_time": (1, _time_of),
    "sta_lower": (1, _lower),
    "sta_upper": (1, _upper),
    "sta_text": (1, _text),
    "sta_round": (1, _round),
    "sta_floor": (1, _floor),
    "sta_ceiling": (1, _ceiling),
    "sta_modulo": (2, _modulo),
}


def register(db: sqlite3.Connection) -> None:
    """Teach a connection the functions."""
    for name, (count, function) in FUNCTIONS.items():
        db.create_function(name, count, function, deterministic=True)
