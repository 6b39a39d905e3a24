"""Many observations in one request, as rows of values: OGC 18-088, 12.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.platform.things import BY_NAME, Things
from tocsin.vocabulary import Conflict, InputError, NotFound

STREAMS = ("Datastream", "MultiDatastream")
FEATURE = ("FeatureOfInterest/id", "FeatureOfInterest/@iot.id")


def create_observations(things: Things, body: object, root: str) -> list[str]:
    """Make every row that can be made, all in one transaction; for each row its address, or "error" with the reason."""
    groups = body if isinstance(body, list) else [body]
    told: list[str] = []
    with things.writing():
        for number, group in enumerate(groups):
            told += _group(things, group, f"CreateObservations/{number}", root)
    return told


def _group(things: Things, group: object, where: str, root: str) -> list[str]:
    if not isinstance(group, Mapping):
        raise InputError(f"{where}: is {type(group).__name__}; wanted an object with Datastream, components and dataArray")
    named = [name for name in STREAMS if name in group]
    components, rows = group.get("components"), group.get("dataArray")
    if len(named) != 1:
        raise InputError(f"{where}: wanted exactly one of Datastream and MultiDatastream")
    if not isinstance(components, list) or not isinstance(rows, list) or len(set(map(str, components))) != len(components):
        raise InputError(f"{where}: wanted components, a list of different names, and dataArray, a list of rows")
    if "result" not in components:  # then no row could be made at all
        raise InputError(f"{where}/components: result is missing; wanted at least phenomenonTime and result")
    told = []
    for place, row in enumerate(rows):
        spot = f"{where}/dataArray/{place}"
        try:
            entity = _entity(row, components, where=spot) | {named[0]: group[named[0]]}
            with things.writing() as writer:
                made = writer.create(BY_NAME["Observation"], entity, where=spot)
            told.append(f"{root.rstrip('/')}/Observations({made})")
        except (InputError, Conflict, NotFound) as fault:
            told.append(f"error: {fault}")
    return told


def _entity(row: object, components: list[Any], *, where: str) -> dict[str, Any]:
    """One row as an Observation."""
    if not isinstance(row, list) or len(row) != len(components):
        got = f"{len(row)} values" if isinstance(row, list) else f"a {type(row).__name__}"
        raise InputError(f"{where}: is {got}; wanted {len(components)} values, one for each component")
    entity: dict[str, Any] = {}
    for name, value in zip(components, row, strict=True):
        if name in FEATURE:
            entity["FeatureOfInterest"] = {"@iot.id": value}
        else:
            entity["@iot.id" if name == "id" else str(name)] = value
    return entity
