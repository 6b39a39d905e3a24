"""What every entity and relation of OGC 18-088, 8 and 9.2 must answer, asked of a served instance: the model is written down here again."""

from __future__ import annotations

import itertools
import json
import operator
from typing import Any

import pytest
from served_place import Wire

# For each set: how its entity is called in the rows, its properties that the world has, and its relations with the set that they lead to.
MODEL: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "Things": (
        "T",
        ("name", "description", "properties"),
        {"Locations": "Locations", "HistoricalLocations": "HistoricalLocations", "Datastreams": "Datastreams"},
    ),
    "Locations": (
        "L",
        ("name", "description", "encodingType", "location"),
        {"Things": "Things", "HistoricalLocations": "HistoricalLocations"},
    ),
    "HistoricalLocations": ("H", ("time",), {"Thing": "Things", "Locations": "Locations"}),
    "Datastreams": (
        "D",
        ("name", "description", "observationType", "unitOfMeasurement", "observedArea", "phenomenonTime"),
        {"Thing": "Things", "Sensor": "Sensors", "ObservedProperty": "ObservedProperties", "Observations": "Observations"},
    ),
    "Sensors": ("S", ("name", "description", "encodingType", "metadata"), {"Datastreams": "Datastreams"}),
    "ObservedProperties": ("P", ("name", "definition", "description"), {"Datastreams": "Datastreams"}),
    "Observations": (
        "O",
        ("phenomenonTime", "result"),
        {"Datastream": "Datastreams", "FeatureOfInterest": "FeaturesOfInterest"},
    ),
    "FeaturesOfInterest": ("F", ("name", "description", "encodingType", "feature"), {"Observations": "Observations"}),
}
ENTITIES = list(MODEL)
PROPERTIES = [(plural, name) for plural, (_, names, _) in MODEL.items() for name in names]
RELATIONS = [(plural, name) for plural, (_, _, relations) in MODEL.items() for name in relations]
STEPS = [(plural, one, two) for plural, one in RELATIONS for two in MODEL[MODEL[plural][2][one]][2]]
TEXTS = [(plural, name) for plural, name in PROPERTIES if name in ("name", "description", "definition", "encodingType")]
COMPARED = {"eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
OBJECTS = ("properties", "location", "feature", "unitOfMeasurement", "observedArea")


def entity(plural: str, ids: dict[str, int]) -> str:
    return f"{plural}({ids[MODEL[plural][0]]})"


def is_many(name: str) -> bool:
    return name in MODEL


def members(found: Any, name: str) -> list[dict[str, Any]]:
    """The entities behind a relation, be they one or many."""
    return list(found["value"]) if is_many(name) else [found]


def check_control(one: dict[str, Any], plural: str, wire: Wire) -> None:
    """@iot.id, an absolute selfLink that leads to the entity, and a link for each relation."""
    assert one["@iot.selfLink"] == f"{wire.address}/{plural}({one['@iot.id']})"
    for name in MODEL[plural][2]:
        assert one[f"{name}@iot.navigationLink"] == f"{one['@iot.selfLink']}/{name}"


def test_the_root_names_every_set_and_every_requirement_that_holds(wire: Wire) -> None:
    root = wire.get("")
    urls = {one["name"]: one["url"] for one in root["value"]}
    assert urls == {plural: f"{wire.address}/{plural}" for plural in [*ENTITIES, "MultiDatastreams"]}
    claimed = {one.partition("/req/")[2] for one in root["serverSettings"]["conformance"]}
    singular = ("thing", "location", "historical-location", "datastream", "sensor", "observed-property", "observation")
    for name in (*singular, "feature-of-interest"):
        assert {f"datamodel/{name}/properties", f"datamodel/{name}/relations"} <= claimed
    assert {"datamodel", "request-data", "request-data/status-code", "request-data/pagination"} <= claimed


@pytest.mark.parametrize("plural", ENTITIES)
def test_a_set_and_its_entity_carry_control_information(plural: str, wire: Wire, ids: dict[str, int]) -> None:
    for one in wire.get(plural)["value"]:
        check_control(one, plural, wire)
    found = wire.get(entity(plural, ids))
    check_control(found, plural, wire)
    assert set(MODEL[plural][1]) <= set(found)
    assert wire.get(found["@iot.selfLink"]) == found
    assert wire.get(f"{plural}(999999999)", 404)["code"] == 404
    assert wire.get(f"{plural}(9223372036854775807)", 404)["type"] == "error"
    assert wire.get(f"{entity(plural, ids)}/nosuch", 404)["message"]


@pytest.mark.parametrize(("plural", "name"), PROPERTIES)
def test_a_property_is_alone_and_its_value_bare(plural: str, name: str, wire: Wire, ids: dict[str, int]) -> None:
    whole = wire.get(entity(plural, ids))[name]
    assert wire.get(f"{entity(plural, ids)}/{name}") == {name: whole}
    status, headers, content = wire.ask("GET", f"{entity(plural, ids)}/{name}/$value")
    assert status == 200
    if name in OBJECTS:
        assert json.loads(content) == whole
    else:
        assert content.decode() == str(whole)
        assert headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(("plural", "name"), RELATIONS)
def test_a_relation_is_walked_both_ways(plural: str, name: str, wire: Wire, ids: dict[str, int]) -> None:
    way = f"{entity(plural, ids)}/{name}"
    target = MODEL[plural][2][name]
    found = members(wire.get(way), name)
    for one in found:
        check_control(one, target, wire)
    references = members(wire.get(f"{way}/$ref"), name)
    assert references == [{"@iot.selfLink": one["@iot.selfLink"]} for one in found]
    back = next(other for other, to in MODEL[target][2].items() if to == plural)
    returned = members(wire.get(f"{target}({found[0]['@iot.id']})/{back}"), back)
    assert ids[MODEL[plural][0]] in [one["@iot.id"] for one in returned]
    assert wire.get(f"{plural}(999999999)/{name}", 404)["code"] == 404


@pytest.mark.parametrize(("plural", "one", "two"), STEPS)
def test_a_way_of_two_relations_is_walked_and_expanded(plural: str, one: str, two: str, wire: Wire, ids: dict[str, int]) -> None:
    target = MODEL[plural][2][one]
    start = entity(plural, ids)
    first = members(wire.get(f"{start}/{one}"), one)[0]
    through = f"{start}/{one}({first['@iot.id']})/{two}" if is_many(one) else f"{start}/{one}/{two}"
    far = [other["@iot.id"] for other in members(wire.get(through), two)]
    shown = wire.get(start, expand=f"{one}/{two}")[one]
    if is_many(one):
        shown = next(other for other in shown if other["@iot.id"] == first["@iot.id"])
    inner = shown[two] if is_many(two) else [shown[two]]
    assert [other["@iot.id"] for other in inner] == far
    assert set(MODEL[target][1]) & set(shown)
    nested = wire.get(start, expand=f"{one}($expand={two}($select=id);$select=id)")[one]
    shown = next(o for o in nested if o["@iot.id"] == first["@iot.id"]) if is_many(one) else nested
    assert set(shown) == {"@iot.id", two}


@pytest.mark.parametrize("plural", ENTITIES)
def test_what_is_chosen_is_shown_and_nothing_else(plural: str, wire: Wire, ids: dict[str, int]) -> None:
    _, names, relations = MODEL[plural]
    for count in range(1, len(names) + 1):
        assert set(wire.get(entity(plural, ids), select=",".join(names[:count]))) == set(names[:count])
    for name in relations:
        assert set(wire.get(entity(plural, ids), select=f"id,{name}")) == {"@iot.id", f"{name}@iot.navigationLink"}
    every = wire.get(plural, select=names[0], expand=",".join(relations), top=1)["value"][0]
    assert set(every) >= {names[0], *relations}


@pytest.mark.parametrize("plural", ENTITIES)
def test_pages_and_counts_of_a_set(plural: str, wire: Wire, ids: dict[str, int]) -> None:
    assert ids
    whole = [one["@iot.id"] for one in wire.get(plural)["value"]]
    page = wire.get(plural, top=1, count="true")
    assert page["@iot.count"] == len(whole)
    walked = [one["@iot.id"] for one in page["value"]]
    while "@iot.nextLink" in page:
        page = wire.get(page["@iot.nextLink"])
        assert page["@iot.count"] == len(whole)
        walked += [one["@iot.id"] for one in page["value"]]
    assert walked == whole
    assert [one["@iot.id"] for one in wire.get(plural, skip=1)["value"]] == whole[1:]
    assert wire.get(plural, skip=99) == {"value": []}
    assert wire.get(plural, top=0)["value"] == []
    assert "@iot.count" not in wire.get(plural, count="false")
    assert wire.get(plural, filter="id eq 0", count="true") == {"@iot.count": 0, "value": []}


@pytest.mark.parametrize(("plural", "name"), TEXTS)
def test_texts_sort_and_compare_as_in_python(plural: str, name: str, wire: Wire, ids: dict[str, int]) -> None:
    assert ids
    every = [one[name] for one in wire.get(plural)["value"]]
    for words, backwards in ((name, False), (f"{name} asc", False), (f"{name} desc", True), (f"{name} desc,id desc", True)):
        assert [one[name] for one in wire.get(plural, orderby=words)["value"]] == sorted(every, reverse=backwards)
    for word, compared in COMPARED.items():
        found = [one[name] for one in wire.get(plural, filter=f"{name} {word} '{every[0]}'")["value"]]
        assert sorted(found) == sorted(text for text in every if compared(text, every[0]))


def test_there_are_rows_enough() -> None:
    rows = len(ENTITIES) * 2 + len(PROPERTIES) + len(RELATIONS) + len(STEPS) + len(TEXTS)
    assert len(set(itertools.chain(PROPERTIES, RELATIONS))) == len(PROPERTIES) + len(RELATIONS)
    assert rows > 100
