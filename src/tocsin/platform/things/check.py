"""What a client sent as an entity: read into columns, or refused with what, where, got and wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.platform.things.functions import read_geojson
from tocsin.platform.things.jsontext import encode
from tocsin.platform.things.model import COMPLEX_OBSERVATION, EntityType, Kind, Link, Property
from tocsin.platform.things.streams import area
from tocsin.platform.things.times import parse_when
from tocsin.vocabulary.errors import InputError

ID = "@iot.id"
ID_MOST = 2**53 - 1  # beyond it a JSON number is no longer the same number everywhere (RFC 8259, 6)
CONTROL = ("@iot.selfLink", "@iot.context", "@iot.count", "@iot.nextLink", "@iot.navigationLink", "@iot.etag")
GEOJSON = ("application/vnd.geo+json", "application/geo+json", "application/json", "application/vnd.geo%2bjson")
BOX = ("min_x", "min_y", "max_x", "max_y")


def id_of(value: object, *, where: str) -> int:
    """An id, which is a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= ID_MOST:
        raise InputError(f"{where}/{ID}: is {str(value)[:40]!r}; wanted a whole number from 1")
    return value


def split(kind: EntityType, body: object, *, where: str) -> tuple[dict[str, Any], dict[str, Any], object]:
    """The properties, the links and the id of an entity as it was sent; raises InputError for what it cannot have."""
    if not isinstance(body, Mapping):
        raise InputError(f"{where}: is {type(body).__name__}; wanted a JSON object: a {kind.name}")
    properties: dict[str, Any] = {}
    links: dict[str, Any] = {}
    for name, value in body.items():
        if kind.prop(name) is not None:
            properties[name] = value
        elif kind.link(name) is not None:
            links[name] = value
        elif name != ID and not name.endswith(CONTROL):
            raise InputError(f"{where}: {name[:60]!r} is no property of {kind.name}; wanted some of: {kind.words}")
    return properties, links, body.get(ID)


def columns(
    kind: EntityType, given: Mapping[str, Any], *, where: str, whole: bool, encoding: str | None = None
) -> dict[str, Any]:
    """The columns and their values; `whole` asks for all mandatory properties and sets what is not given to nothing.

    `encoding` is the encodingType that holds where the body does not say one.
    """
    found: dict[str, Any] = {}
    for prop in kind.properties:
        if prop.computed:
            continue
        if prop.name in given and not (given[prop.name] is None and not prop.needed):
            found |= _value(prop, given[prop.name], given.get("encodingType", encoding), where=f"{where}/{prop.name}")
        elif prop.needed and (whole or prop.name in given):
            raise InputError(f"{where}/{prop.name}: is missing; a {kind.name} must have {prop.kind.value} there")
        elif prop.name in given or whole:
            found |= _nothing(prop)
    if kind.name == "MultiDatastream":
        _check_multi(given, where=where)
        if found.get("observation_type") is None and whole:
            found["observation_type"] = COMPLEX_OBSERVATION
    if kind.name == "Observation" and found.get("phenomenon_us", 0) is None:
        del found["phenomenon_us"], found["phenomenon_end_us"], found["phenomenon_text"]
    return found


def _nothing(prop: Property) -> dict[str, Any]:
    stem = prop.column
    match prop.kind:
        case Kind.INSTANT:
            return {f"{stem}_us": None, f"{stem}_text": None}
        case Kind.WHEN | Kind.INTERVAL:
            return {f"{stem}_us": None, f"{stem}_end_us": None, f"{stem}_text": None}
        case Kind.SHAPE:
            return {stem: None, **dict.fromkeys(BOX)}
        case _:
            return {stem: None}


def _value(prop: Property, value: Any, encoding: object, *, where: str) -> dict[str, Any]:
    stem = prop.column
    match prop.kind:
        case Kind.TEXT:
            if not isinstance(value, str):
                raise _bad(where, value, "a text")
            return {stem: value}
        case Kind.OBJECT:
            if not isinstance(value, Mapping):
                raise _bad(where, value, "a JSON object")
            return {stem: encode(value)}
        case Kind.LIST:
            if not isinstance(value, list):
                raise _bad(where, value, "a JSON array")
            return {stem: encode(value)}
        case Kind.ANY:
            if value is None:
                raise _bad(where, value, "any JSON value but null")
            return {stem: encode(value)}
        case Kind.RESULT:
            return result_columns(value)
        case Kind.INSTANT:
            when = parse_when(value, where=where, interval=False)
            return {f"{stem}_us": when.us, f"{stem}_text": when.text}
        case Kind.WHEN:
            when = parse_when(value, where=where)
        case Kind.INTERVAL:
            when = parse_when(value, where=where, interval=True)
        case Kind.SHAPE:
            return shape_columns(stem, value, encoding, where=where)
    return {f"{stem}_us": when.us, f"{stem}_end_us": when.end_us, f"{stem}_text": when.text}


def result_columns(value: Any) -> dict[str, Any]:
    """A number as a number, everything else as JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return {"value": None, "result": encode(value)}
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return {"value": float(value), "result": encode(value)}
    return {"value": value, "result": None}


def shape_columns(stem: str, value: Any, encoding: object, *, where: str) -> dict[str, Any]:
    """A shape with its bounding box; what is not GeoJSON is kept as it is, and no filter finds it by its place."""
    is_geojson = encoding is None or (isinstance(encoding, str) and encoding.lower() in GEOJSON)
    box: tuple[float | None, ...] = (None,) * 4
    if is_geojson:
        found = read_geojson(value, where=where)
        if found is not None and not found.is_empty and all(math.isfinite(edge) for edge in found.bounds):
            box = tuple(found.bounds)
            if stem == "observed_area" and (box[0] == box[2] or box[1] == box[3]):  # a box of no width, as it is shown
                return {stem: area(found.bounds), **dict(zip(BOX, box, strict=True))}
    return {stem: encode(value), **dict(zip(BOX, box, strict=True))}


def _check_multi(given: Mapping[str, Any], *, where: str) -> None:
    units, types = given.get("unitOfMeasurements"), given.get("multiObservationDataTypes")
    if isinstance(units, list) and isinstance(types, list) and len(units) != len(types):
        raise InputError(
            f"{where}: {len(units)} unitOfMeasurements and {len(types)} multiObservationDataTypes; wanted as many of both"
        )


def link_id(value: object, *, where: str) -> int | None:
    """The id where a link names an existing entity, or None where it holds a new one."""
    if isinstance(value, Mapping) and ID in value:
        return id_of(value[ID], where=where)
    return None


def is_whole(value: object) -> bool:
    """True if what stands inside says more of an entity than which one it is."""
    return isinstance(value, Mapping) and any(name != ID and not name.endswith(CONTROL) for name in value)


def link_items(link: Link, value: object, *, where: str) -> Sequence[Any]:
    """What a link holds: one, or a list."""
    if link.many:
        if not isinstance(value, list):
            raise _bad(where, value, f"a JSON array of {link.target} objects")
        return value
    return [value]


def _bad(where: str, value: object, wanted: str) -> InputError:
    return InputError(f"{where}: is {str(value)[:60]!r} ({type(value).__name__}); wanted {wanted}")
