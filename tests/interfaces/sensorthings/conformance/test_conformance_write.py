"""Create, update and delete as requests: OGC 18-088, 10. A story is a row of requests against a fresh copy of the world."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_row import (
    Check,
    Row,
    absent,
    anything,
    at,
    both,
    empty,
    get,
    header,
    ids,
    names,
    params,
    refused,
    results,
    values,
)
from conformance_world import hour, linked, multi
from sta_place import METRE, ROOT, Sta, feature, observed, place, sensor, stream, thing

from tocsin.platform.things import TYPES

CUD = "create-update-delete"
CREATE, LINK, DEEP, DEEP_STATUS = (
    f"{CUD}/{name}" for name in ("create-entity", "link-to-existing-entities", "deep-insert", "deep-insert-status-code")
)
UPDATE, PUT, PATCHED, DELETE = (
    f"{CUD}/{name}" for name in ("update-entity", "update-entity-put", "update-entity-jsonpatch", "delete-entity")
)
AUTO, MANUAL = (f"{CUD}/historical-location-{name}-creation" for name in ("auto", "manual"))
NOW = "2026-11-23T07:15:00Z"
JSON_PATCH = {"content-type": "application/json-patch+json"}


def post(about: str, path: str, body: Any, check: Check = anything, status: int = 201) -> Row:
    return Row(about, "POST", path, check, status, body=body)


def patch(path: str, body: Any, check: Check = anything, status: int = 200, about: str = UPDATE) -> Row:
    return Row(about, "PATCH", path, check, status, body=body)


def put(path: str, body: Any, check: Check = anything, status: int = 200) -> Row:
    return Row(PUT, "PUT", path, check, status, body=body)


def json_patch(path: str, operations: list[dict[str, Any]], check: Check = anything, status: int = 200) -> Row:
    return Row(PATCHED, "PATCH", path, check, status, body=operations, headers=JSON_PATCH)


def delete(path: str, status: int = 200) -> Row:
    return Row(DELETE, "DELETE", path, refused if status >= 400 else empty, status)


def made(path: str) -> Check:
    """201 with the address of what was made, which the body tells too."""
    return both(header("location", f"{ROOT}/{path}"), at("@iot.selfLink", is_=f"{ROOT}/{path}"))


STREAM = stream("new") | linked(1, 1)
WITHOUT = {k: v for k, v in STREAM.items() if k[0].islower()}
HISTORY = {"time": "2026-06-01T00:00:00Z", "Thing": {"@iot.id": 1}, "Locations": [{"@iot.id": 2}]}
NEW: dict[str, tuple[dict[str, Any], int]] = {
    "Things": (thing("new", properties={"a": 1}), 5),
    "Locations": (place(1, 2, "new", properties={"a": 1}), 4),
    "HistoricalLocations": (HISTORY, 4),
    "Datastreams": (STREAM | {"Thing": {"@iot.id": 1}, "properties": {"a": 1}}, 4),
    "Sensors": (sensor("new") | {"properties": {"a": 1}}, 3),
    "ObservedProperties": (observed("new") | {"properties": {"a": 1}}, 5),
    "Observations": ({"result": 42, "phenomenonTime": hour(5, 0), "Datastream": {"@iot.id": 1}, "FeatureOfInterest": {"@iot.id": 1}}, 19),
    "FeaturesOfInterest": (feature(1, 2, "new") | {"properties": {"a": 1}}, 7),
    "MultiDatastreams": (multi("new", Thing={"@iot.id": 1}), 2),
}  # fmt: skip
NEEDED: dict[str, tuple[str, ...]] = {
    "Things": ("name", "description"),
    "Locations": ("name", "description", "encodingType", "location"),
    "HistoricalLocations": ("time", "Thing"),
    "Datastreams": ("name", "description", "observationType", "unitOfMeasurement", "Thing", "Sensor", "ObservedProperty"),
    "Sensors": ("name", "description", "encodingType", "metadata"),
    "ObservedProperties": ("name", "definition", "description"),
    "Observations": ("result", "Datastream"),
    "FeaturesOfInterest": ("name", "description", "encodingType", "feature"),
    "MultiDatastreams": (
        "name",
        "description",
        "unitOfMeasurements",
        "multiObservationDataTypes",
        "Thing",
        "Sensor",
        "ObservedProperties",
    ),
}

# Each is a request that must be answered so, and change nothing: all against one world.
REFUSALS: list[Row] = [
    *(post(CREATE, plural, {k: v for k, v in NEW[plural][0].items() if k != name}, refused, 400) for plural, needed in NEEDED.items() for name in needed),
    *(post(CREATE, plural, NEW[plural][0] | {name: None}, refused, 400) for plural, needed in NEEDED.items() for name in needed if name != "result"),
    *(post(CREATE, plural, NEW[plural][0] | {"colour": "red"}, refused, 400) for plural in ("Things", "Observations")),
    post(CREATE, "Things", thing(5), refused, 400),  # type: ignore[arg-type]
    post(CREATE, "Things", thing("x", properties="text"), refused, 400),
    post(CREATE, "Things", thing("x", properties=[1]), refused, 400),
    post(CREATE, "Things", [thing("x")], refused, 400),
    post(CREATE, "Things", "text", refused, 400),
    post(CREATE, "Things", b"{", refused, 400),
    post(CREATE, "Things", b"", refused, 400),
    post(CREATE, "Locations", place(0, 0) | {"location": {"type": "Pint", "coordinates": [1, 2]}}, refused, 400),
    post(CREATE, "Locations", place(0, 0) | {"location": {"type": "Point", "coordinates": ["a", "b"]}}, refused, 400),
    post(CREATE, "Datastreams", NEW["Datastreams"][0] | {"unitOfMeasurement": "m"}, refused, 400),
    post(CREATE, "Observations", NEW["Observations"][0] | {"phenomenonTime": "yesterday"}, refused, 400),
    post(CREATE, "Observations", NEW["Observations"][0] | {"phenomenonTime": "2026-01-01T00:00:00"}, refused, 400),
    post(CREATE, "Observations", NEW["Observations"][0] | {"phenomenonTime": f"{hour(2, 0)}/{hour(1, 0)}"}, refused, 400),
    post(CREATE, "Observations", NEW["Observations"][0] | {"resultTime": f"{hour(1, 0)}/{hour(2, 0)}"}, refused, 400),
    post(CREATE, "Observations", NEW["Observations"][0] | {"validTime": hour(1, 0)}, refused, 400),
    post(CREATE, "Observations", NEW["Observations"][0] | {"MultiDatastream": {"@iot.id": 1}}, refused, 400),
    post(CREATE, "Things(999)/Datastreams", STREAM, refused, 404),
    post(CREATE, "Datastreams(999)/Observations", {"result": 1}, refused, 404),
    post(CREATE, "Things(2)/Datastreams(1)/Observations", {"result": 1}, refused, 404),
    post(CREATE, "Nothing", {}, refused, 404),
    post(CREATE, "Things(1)", thing("x"), refused, 405),
    post(CREATE, "Things(1)/name", thing("x"), refused, 405),
    post(CREATE, "", thing("x"), refused, 405),
    post(LINK, "Datastreams", STREAM | {"Thing": {"@iot.id": 999}}, refused, 400),
    post(LINK, "Datastreams", STREAM | {"Thing": {"@iot.id": 1}, "Sensor": {"@iot.id": 999}}, refused, 400),
    post(LINK, "Datastreams", STREAM | {"Thing": {"@iot.id": "one"}}, refused, 400),
    post(LINK, "Datastreams", STREAM | {"Thing": {}}, refused, 400),
    post(LINK, "Datastreams", STREAM | {"Thing": 1}, refused, 400),
    post(LINK, "Datastreams", STREAM | {"Thing": [{"@iot.id": 1}]}, refused, 400),
    post(LINK, "Things", thing("x", Locations={"@iot.id": 1}), refused, 400),
    post(LINK, "Things", thing("x", Locations=[{"@iot.id": 999}]), refused, 400),
    post(LINK, "Observations", {"result": 1, "Datastream": {"@iot.id": 999}}, refused, 400),
    post(LINK, "Observations", {"result": 1, "Datastream": {"@iot.id": 1}, "FeatureOfInterest": {"@iot.id": 999}}, refused, 400),
    post(DEEP_STATUS, "Things", thing("x", Locations=[place(1, 2, "lost")], Datastreams=[{k: v for k, v in STREAM.items() if k != "Sensor"}]), refused, 400),
    post(DEEP_STATUS, "Datastreams", WITHOUT | {"Thing": thing("lost"), "Sensor": sensor("lost"), "ObservedProperty": {"name": "lost"}}, refused, 400),
    post(DEEP_STATUS, "Observations", {"result": 1, "Datastream": {"@iot.id": 1}, "FeatureOfInterest": {"name": "lost", "description": "x"}}, refused, 400),
    post(DEEP_STATUS, "Datastreams", STREAM | {"Thing": thing("nowhere"), "Observations": [{"result": 1}]}, refused, 400),
    *(patch(f"{plural}(999999)", {}, refused, 404) for plural in NEW),
    *(delete(f"{plural}(999999)", 404) for plural in NEW),
    put("Things(999999)", thing("x"), refused, 404),
    json_patch("Things(999999)", [], refused, 404),
    patch("Things", {"name": "x"}, refused, 405),
    put("Things", thing("x"), refused, 405),
    delete("Things", 405),
    delete("Things(1)/Datastreams", 405),
    delete("Things(1)/name", 405),
    delete("", 405),
    delete("Things(2)/Datastreams(1)", 404),
    patch("Things(2)/Datastreams(1)", {"name": "x"}, refused, 404),
    patch("Things(1)", {"name": None}, refused, 400),
    patch("Things(1)", {"name": 5}, refused, 400),
    patch("Things(1)", {"colour": 1}, refused, 400),
    patch("Things(1)", [], refused, 400),
    patch("Things(1)", b"{", refused, 400),
    patch("Things(1)", {"Locations": [place(1, 2)]}, refused, 400),
    patch("Things(1)", {"Datastreams": [STREAM]}, refused, 400),
    patch("Sensors(1)", {"Datastreams": [STREAM | {"Thing": {"@iot.id": 1}}]}, refused, 400),
    patch("ObservedProperties(1)", {"Datastreams": [{"unitOfMeasurement": METRE}]}, refused, 400),
    patch("Datastreams(1)", {"Sensor": sensor()}, refused, 400),
    patch("Datastreams(1)", {"ObservedProperty": observed()}, refused, 400),
    patch("Datastreams(1)", {"Thing": thing()}, refused, 400),
    patch("Datastreams(1)", {"Observations": [{"result": 1}]}, refused, 400),
    patch("Datastreams(1)", {"Thing": {"@iot.id": 999}}, refused, 400),
    patch("Observations(1)", {"MultiDatastream": {"@iot.id": 1}}, refused, 400),
    *(put(f"{plural}(1)", {k: v for k, v in NEW[plural][0].items() if k != NEEDED[plural][0] and k[0].islower()}, refused, 400) for plural in NEW),
    *(json_patch("Things(1)", [operation], refused, 400) for operation in (
        {"op": "test", "path": "/name", "value": "other"}, {"op": "remove", "path": "/name"}, {"op": "remove", "path": "/nothing"}, {"op": "jump", "path": "/name"},
        {"op": "add", "path": "/colour", "value": 1}, {"path": "/name"}, {"op": "replace", "path": "/name", "value": 5})),
    json_patch("Things(1)", {"op": "add"}, refused, 400),  # type: ignore[arg-type]
]  # fmt: skip

STORIES: dict[str, list[Row]] = {
    # -- create
    **{f"a new one of {plural} is told with 201 and its address": [
        post(CREATE, plural, body, made(f"{plural}({id_})")),
        get(CREATE, f"{plural}({id_})", anything, select=",".join(k for k in body if k[0].islower())),
    ] for plural, (body, id_) in NEW.items()},
    "an entity made in a set is linked to the one above": [
        post(CREATE, "Things(2)/Datastreams", STREAM, made("Datastreams(4)")),
        get(CREATE, "Datastreams(4)/Thing", at("@iot.id", is_=2)),
        post(CREATE, "Sensors(2)/Datastreams", stream("by sensor", Thing={"@iot.id": 1}, ObservedProperty={"@iot.id": 1}) | {"Sensor": {"@iot.id": 2}}),
        get(CREATE, "Datastreams(5)/Sensor", at("@iot.id", is_=2)),
        post(CREATE, "ObservedProperties(2)/Datastreams", STREAM | {"Thing": {"@iot.id": 1}}),
        get(CREATE, "Datastreams(6)/ObservedProperty", at("@iot.id", is_=2)),
        post(CREATE, "FeaturesOfInterest(2)/Observations", {"result": 1, "Datastream": {"@iot.id": 1}}),
        get(CREATE, "Observations(19)/FeatureOfInterest", at("@iot.id", is_=2)),
        post(CREATE, "Things(3)/Locations", place(1, 2, "new")),
        get(CREATE, "Things(3)/Locations", names("new")),
        post(CREATE, "Locations(1)/Things", thing("second")),
        get(CREATE, "Locations(1)/Things", names("Ferry Quay", "second")),
        post(CREATE, "Things(3)/HistoricalLocations", {"time": "2020-01-01T00:00:00Z", "Locations": [{"@iot.id": 1}]}),
        get(CREATE, "Things(3)/HistoricalLocations", at("value", 1, "time", is_="2020-01-01T00:00:00Z")),
        post(CREATE, "Observations(1)/Datastream/Observations", {"result": 77}),
        get(CREATE, "Datastreams(1)/Observations", at("@iot.count", is_=8), count="true"),
    ],
    "an Observation without times is of now and its result time is null": [
        post(CREATE, "Datastreams(1)/Observations", {"result": 1}, both(at("phenomenonTime", is_=NOW), at("resultTime", is_=None))),
    ],
    "a time is kept as it was written": [
        post(CREATE, "Datastreams(1)/Observations", {"result": 1, "phenomenonTime": "2015-03-01T02:40:00+02:00"}, at("phenomenonTime", is_="2015-03-01T02:40:00+02:00")),
        get(CREATE, "Observations", ids(19), filter="phenomenonTime eq 2015-03-01T00:40:00Z"),
        get(CREATE, "Observations", ids(19), filter="totaloffsetminutes(phenomenonTime) eq 120"),
        get(CREATE, "Observations", ids(19), filter="hour(phenomenonTime) eq 2 and year(phenomenonTime) eq 2015"),
        post(CREATE, "Datastreams(1)/Observations", {"result": 1, "phenomenonTime": "2015-03-01T02:40:00.123Z", "resultTime": "2015-03-01T02:40:00-0600"}, at("resultTime", is_="2015-03-01T02:40:00-0600")),
        get(CREATE, "Observations", ids(20), filter="fractionalseconds(phenomenonTime) eq 0.123"),
    ],
    "a result of any kind comes back as it was": [
        post(CREATE, "Datastreams(1)/Observations", {"result": value}, at("result", is_=value))
        for value in (1, 1.23, -0.5, "fourty two", "", True, False, None, {"number": 1.23, "list": [1, None]}, [1.23, "x", True], 10**18, 2**70)
    ],
    "the feature of interest is made of the Thing's location": [
        post(CREATE, "Things", thing("new", Locations=[place(5, 6, "spot")], Datastreams=[STREAM])),
        post(CREATE, "Datastreams(4)/Observations", {"result": 1}),
        get(CREATE, "Observations(19)/FeatureOfInterest", both(at("name", is_="spot"), at("feature", is_={"type": "Point", "coordinates": [5, 6]}))),
        post(CREATE, "Datastreams(4)/Observations", {"result": 2}),
        get(CREATE, "Observations(20)/FeatureOfInterest", at("@iot.id", is_=7)),
        patch("Things(5)", {"Locations": [{"@iot.id": 2}]}),
        post(CREATE, "Datastreams(4)/Observations", {"result": 3}),
        get(CREATE, "Observations(21)/FeatureOfInterest", at("name", is_="bridge")),
        post(CREATE, "Things", thing("twin", Locations=[{"@iot.id": 4}], Datastreams=[STREAM])),
        post(CREATE, "Datastreams(5)/Observations", {"result": 4}),
        get(CREATE, "Observations(22)/FeatureOfInterest", at("@iot.id", is_=7)),
    ],
    "of several locations the one that is GeoJSON is taken": [
        post(CREATE, "Things", thing("new", Datastreams=[STREAM], Locations=[
            {"name": "address", "description": "a", "encodingType": "text/plain", "location": "2 Quay Road"}, place(5, 6, "spot")])),
        post(CREATE, "Datastreams(4)/Observations", {"result": 1}),
        get(CREATE, "Observations(19)/FeatureOfInterest", at("name", is_="spot")),
        get(CREATE, "Locations(4)", at("location", is_="2 Quay Road")),
    ],
    "a Datastream tells when and where it observed": [
        post("datamodel/datastream/properties", "Datastreams(1)/Observations", {"result": 1, "phenomenonTime": hour(20, 0), "resultTime": hour(21, 0), "FeatureOfInterest": {"@iot.id": 1}}),
        get("datamodel/datastream/properties", "Datastreams(1)", at("phenomenonTime", is_=f"{hour(1, 0)}/{hour(20, 0)}")),
        get("datamodel/datastream/properties", "Datastreams(1)", at("resultTime", is_=f"{hour(1, 0, 5)}/{hour(21, 0)}")),
        get("datamodel/datastream/properties", "Datastreams(1)", at("observedArea", "coordinates", 0, is_=[[8, 10], [30, 10], [30, 51], [8, 51], [8, 10]])),
        delete("Observations(19)"),
        get("datamodel/datastream/properties", "Datastreams(1)", at("phenomenonTime", is_=f"{hour(1, 0)}/{hour(1, 5)}")),
        get("datamodel/datastream/properties", "Datastreams(1)", at("observedArea", is_={"type": "Polygon", "coordinates": [[[8, 51]] * 5]})),
        *(delete(f"Observations({n})") for n in range(1, 7)),
        get("datamodel/datastream/properties", "Datastreams(1)", both(absent("phenomenonTime"), absent("resultTime"))),
        get("datamodel/datastream/properties", "Datastreams(1)/phenomenonTime", empty, 204),
    ],
    "an observed area that was read may be sent back and is still found": [
        patch("Datastreams(1)", {"observedArea": {"type": "Polygon", "coordinates": [[[8, 51]] * 5]}}, at("observedArea", "type", is_="Polygon")),
        get("datamodel/datastream/properties", "Datastreams", ids(1, 2), filter="st_equals(observedArea, geography'POINT(8 51)')"),
        patch("Datastreams(1)", {"observedArea": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}}),
        get("datamodel/datastream/properties", "Datastreams", ids(1), filter="st_contains(observedArea, geography'POINT(0.5 0.5)')"),
    ],
    "computed times of a Datastream cannot be given": [
        post(CREATE, "Things(1)/Datastreams", STREAM | {"phenomenonTime": f"{hour(1, 0)}/{hour(2, 0)}"}, absent("phenomenonTime")),
    ],
    "unknown control information is passed over": [
        post(CREATE, "Things", thing("new") | {"@iot.selfLink": "http://elsewhere/Things(9)", "Datastreams@iot.navigationLink": "x"}, made("Things(5)")),
    ],
    # -- link and deep insert
    "existing entities are linked by their ids": [
        post(LINK, "Things", thing("new", Locations=[{"@iot.id": 1}], Datastreams=[STREAM])),
        get(LINK, "Things(5)/Locations", ids(1)),
        get(LINK, "Datastreams(4)", both(at("Sensor", "@iot.id", is_=1), at("ObservedProperty", "@iot.id", is_=1)), expand="Sensor,ObservedProperty"),
        get(LINK, "Sensors", at("@iot.count", is_=2), count="true"),
        post(LINK, "Observations", {"result": 124, "phenomenonTime": "2013-04-18T16:15:00-07:00", "Datastream": {"@iot.id": 4}, "FeatureOfInterest": {"@iot.id": 2}}),
        get(LINK, "Observations(19)", both(at("Datastream", "@iot.id", is_=4), at("FeatureOfInterest", "@iot.id", is_=2)), expand="Datastream,FeatureOfInterest"),
        post(LINK, "Locations", place(1, 1, "new", Things=[{"@iot.id": 3}])),
        get(LINK, "Things(3)/Locations", names("new")),
    ],
    "what is inside is made and linked": [
        post(DEEP, "Things", thing("oven", Locations=[place(10, 10, "room") | {"location": {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [10, 10]}}}], Datastreams=[
            WITHOUT | {"Sensor": sensor("inner"), "ObservedProperty": observed("inner"), "Observations": [
                {"result": 70.4, "phenomenonTime": "2012-06-26T03:42:02-0600", "FeatureOfInterest": feature(1, 2, "inner")}, {"result": 71}]}]), made("Things(5)")),
        get(DEEP, "Things(5)/Locations", names("room")),
        get(DEEP, "Things(5)/HistoricalLocations", at("value", 0, "time", is_=NOW)),
        get(DEEP, "Things(5)/Datastreams", names("new")),
        get(DEEP, "Datastreams(4)/Sensor", at("name", is_="inner")),
        get(DEEP, "Datastreams(4)/ObservedProperty", at("name", is_="inner")),
        get(DEEP, "Datastreams(4)/Observations", results(70.4, 71)),
        get(DEEP, "Observations(19)/FeatureOfInterest", at("name", is_="inner")),
        get(DEEP, "Observations(20)/FeatureOfInterest", at("name", is_="room")),
    ],
    "an Observation brings its stream and all above it": [
        post(DEEP, "Observations", {"result": 1, "FeatureOfInterest": feature(1, 2, "inner"), "Datastream": WITHOUT | {
            "Thing": thing("inner", Locations=[place(3, 4, "inner")]), "Sensor": sensor("inner"), "ObservedProperty": observed("inner")}}, made("Observations(19)")),
        get(DEEP, "Observations(19)/Datastream/Thing/Locations", names("inner")),
        get(DEEP, "Observations(19)", at("Datastream", "Sensor", "name", is_="inner"), expand="Datastream/Sensor"),
    ],
    "every relation may be made from either side": [
        post(DEEP, "Sensors", sensor("new") | {"Datastreams": [WITHOUT | {"Thing": {"@iot.id": 1}, "ObservedProperty": observed("inner")}]}),
        get(DEEP, "Sensors(3)/Datastreams", ids(4)),
        post(DEEP, "ObservedProperties", observed("new") | {"Datastreams": [WITHOUT | {"Thing": {"@iot.id": 1}, "Sensor": {"@iot.id": 1}}]}),
        get(DEEP, "Datastreams(5)/ObservedProperty", at("name", is_="new")),
        post(DEEP, "FeaturesOfInterest", feature(1, 2, "new") | {"Observations": [{"result": 5, "Datastream": {"@iot.id": 1}}]}),
        get(DEEP, "FeaturesOfInterest(7)/Observations", results(5)),
        post(DEEP, "Locations", place(1, 2, "new", Things=[thing("inner", Datastreams=[STREAM | {"Observations": [{"result": 6}]}])])),
        get(DEEP, "Locations(4)/Things", names("inner")),
        get(DEEP, "Observations", results(6), filter="FeatureOfInterest/name eq 'new' and result eq 6"),
        post(DEEP, "Things", thing("past", HistoricalLocations=[{"time": "2019-01-01T00:00:00Z", "Locations": [place(3, 3, "was here")]}])),
        get(DEEP, "Things(6)/HistoricalLocations", at("value", 0, "Locations", 0, "name", is_="was here"), expand="Locations"),
        get(DEEP, "Things(6)/Locations", names("was here")),
        post(DEEP, "HistoricalLocations", {"time": "2018-01-01T00:00:00Z", "Thing": thing("inner too"), "Locations": [place(4, 4, "deep")]}),
        get(DEEP, "Things(7)/Locations", names("deep")),
        post(DEEP, "Datastreams", STREAM | {"Thing": {"@iot.id": 1}, "Observations": [{"result": 7}, {"result": 8, "phenomenonTime": hour(7, 0)}]}),
        get(DEEP, "Datastreams(7)", at("Observations", 1, "result", is_=7), expand="Observations($orderby=result desc)"),
    ],
    "an id inside a new entity is passed over": [
        post(DEEP, "Datastreams", WITHOUT | {"Thing": {"@iot.id": 1}, "Sensor": sensor("inner") | {"@iot.id": 777}, "ObservedProperty": {"@iot.id": 1}}),
        get(DEEP, "Datastreams(4)/Sensor", both(at("@iot.id", is_=3), at("name", is_="inner"))),
        post(DEEP, "Things", thing("new", Datastreams=[STREAM | {"@iot.id": "my-own-id"}]), made("Things(5)")),
        get(DEEP, "Things(5)/Datastreams", ids(5)),
        post(
            DEEP,
            "Datastreams",
            WITHOUT | {"Thing": thing("not renamed") | {"@iot.id": 1}, "Sensor": sensor() | {"@iot.id": 1}, "ObservedProperty": {"@iot.id": 1}},
        ),
        get(DEEP, "Datastreams(6)/Sensor", at("@iot.id", is_=1)),
        get(DEEP, "Datastreams(6)/Thing", at("name", is_="Ferry Quay")),
    ],
    "a deep insert that fails leaves nothing": [
        post(DEEP_STATUS, "Things", thing("lost", Locations=[place(1, 2, "lost")], Datastreams=[STREAM, {"name": "no stream"}]), refused, 400),
        *(get(DEEP_STATUS, plural, values([]), filter="name eq 'lost' or name eq 'new'") for plural in ("Things", "Locations", "Datastreams")),
        get(DEEP_STATUS, "HistoricalLocations", ids(1, 2, 3)),
    ],
    # -- update
    **{f"a patch of {plural} changes what it names and keeps the rest": [
        patch(f"{plural}(1)", body, at(*way, is_=value)),
        get(UPDATE, f"{plural}(1)", at(*way, is_=value)),
        get(UPDATE, f"{plural}(1)", at(kept, is_=rest)),
    ] for plural, body, way, value, kept, rest in (
        ("Things", {"description": "PATCHED"}, ("description",), "PATCHED", "name", "Ferry Quay"),
        ("Locations", {"location": {"type": "Point", "coordinates": [114.05, -50]}}, ("location", "coordinates"), [114.05, -50], "name", "quay"),
        ("HistoricalLocations", {"time": "2015-07-01T00:00:00.000Z"}, ("time",), "2015-07-01T00:00:00.000Z", "@iot.id", 1),
        ("Datastreams", {"unitOfMeasurement": {"name": "e", "symbol": "S", "definition": "x"}}, ("unitOfMeasurement", "symbol"), "S", "name", "level at quay"),
        ("Sensors", {"metadata": "PATCHED"}, ("metadata",), "PATCHED", "name", "radar"),
        ("ObservedProperties", {"description": "PATCHED"}, ("description",), "PATCHED", "name", "level"),
        ("Observations", {"phenomenonTime": "2015-07-01T00:40:00.000Z"}, ("phenomenonTime",), "2015-07-01T00:40:00.000Z", "result", 0),
        ("FeaturesOfInterest", {"feature": {"type": "Point", "coordinates": [1, 2]}}, ("feature", "coordinates"), [1, 2], "name", "point"),
        ("MultiDatastreams", {"description": "PATCHED"}, ("description",), "PATCHED", "name", "wind"),
    )},
    "a patch replaces an object whole": [
        patch("Things(1)", {"properties": {"owner": "new"}}, at("properties", is_={"owner": "new"})),
        patch("Things(1)", {"properties": None}, absent("properties")),
        patch("Things(1)", {}, at("name", is_="Ferry Quay")),
    ],
    "an id and computed values in a patch are passed over": [
        patch("Things(1)", {"@iot.id": 2, "name": "new"}, both(at("@iot.id", is_=1), at("name", is_="new"))),
        get(UPDATE, "Things(2)", at("name", is_="Old Bridge")),
        patch("Datastreams(1)", {"phenomenonTime": f"{hour(9, 0)}/{hour(10, 0)}"}, at("phenomenonTime", is_=f"{hour(1, 0)}/{hour(1, 5)}")),
        put("Things(1)", thing("put") | {"@iot.id": 99, "@iot.selfLink": "x"}, at("@iot.id", is_=1)),
    ],
    "a patch links to one and to many that exist": [
        patch("Datastreams(1)", {"Thing": {"@iot.id": 2}}),
        get(UPDATE, "Things(2)/Datastreams", ids(1, 3)),
        patch("Things(1)", {"Datastreams": [{"@iot.id": 3}]}),
        get(UPDATE, "Things(1)/Datastreams", ids(2, 3)),
        patch("Observations(1)", {"FeatureOfInterest": {"@iot.id": 1}}),
        get(UPDATE, "FeaturesOfInterest(1)/Observations", ids(1)),
        patch("Observations(1)", {"Datastream": {"@iot.id": 2}}),
        get(UPDATE, "Datastreams(1)", at("phenomenonTime", is_=f"{hour(1, 1)}/{hour(1, 5)}")),
        get(UPDATE, "Datastreams(2)", at("phenomenonTime", is_=f"{hour(1, 0)}/{hour(2, 4)}")),
        patch("HistoricalLocations(1)", {"Locations": [{"@iot.id": 2}]}),
        get(UPDATE, "HistoricalLocations(1)/Locations", ids(1, 2)),
    ],
    "an update by a longer way": [
        patch("Things(1)/Datastreams(1)", {"name": "new"}, at("name", is_="new")),
        patch("Observations(1)/Datastream", {"name": "newer"}, at("name", is_="newer")),
        put("Things(1)/Datastreams(1)/Observations(1)", {"result": 301, "phenomenonTime": "2015-03-01T03:00:00.000Z"}, at("result", is_=301)),
        delete("Things(1)/Datastreams(1)/Observations(1)"),
        get(DELETE, "Observations(1)", refused, 404),
    ],
    **{f"a put of {plural} replaces all that is not a relation": [
        put(f"{plural}(1)", body, keys_after),
        get(PUT, f"{plural}(1)", keys_after),
    ] for plural, body, keys_after in (
        ("Things", thing("put"), both(at("name", is_="put"), absent("properties"))),
        ("Locations", place(3, 4, "put"), at("location", "coordinates", is_=[3, 4])),
        ("HistoricalLocations", {"time": "2015-08-01T00:00:00.000Z"}, at("time", is_="2015-08-01T00:00:00.000Z")),
        ("Datastreams", WITHOUT, both(at("name", is_="new"), at("phenomenonTime", is_=f"{hour(1, 0)}/{hour(1, 5)}"))),
        ("Sensors", sensor("put"), at("name", is_="put")),
        ("ObservedProperties", observed("put"), at("definition", is_="http://example.org/put")),
        ("Observations", {"result": "99", "phenomenonTime": "2015-08-01T00:40:00.000Z"}, both(at("result", is_="99"), at("resultTime", is_=None), absent("parameters"))),
        ("FeaturesOfInterest", feature(5, 6, "put"), at("feature", "coordinates", is_=[5, 6])),
    )},
    "a put keeps the links": [put("Datastreams(1)", WITHOUT), get(PUT, "Datastreams(1)/Thing", at("@iot.id", is_=1)), get(PUT, "Datastreams(1)/Observations", ids(*range(1, 7)))],
    "a JSON Patch does its operations one after the other": [
        json_patch("Things(3)", [{"op": "add", "path": "/properties", "value": {"key1": 1}}], at("properties", is_={"key1": 1})),
        json_patch("Things(3)", [{"op": "copy", "from": "/properties/key1", "path": "/properties/keyCopy1"}, {"op": "move", "from": "/properties/key1", "path": "/properties/key2"}],
                   at("properties", is_={"keyCopy1": 1, "key2": 1})),
        json_patch("Things(3)", [{"op": "test", "path": "/properties/key2", "value": 1}, {"op": "replace", "path": "/name", "value": "patched"}], at("name", is_="patched")),
        json_patch("Things(3)", [{"op": "remove", "path": "/properties"}], absent("properties")),
        json_patch("Things(1)", [{"op": "add", "path": "/properties/tags/-", "value": "c"}], at("properties", "tags", is_=["a", "b", "c"])),
        json_patch("Datastreams(1)", [{"op": "replace", "path": "/unitOfMeasurement/symbol", "value": "M"}], at("unitOfMeasurement", "symbol", is_="M")),
        json_patch("Datastreams(1)", [{"op": "replace", "path": "/Thing", "value": {"@iot.id": 2}}]),
        get(PATCHED, "Datastreams(1)/Thing", at("@iot.id", is_=2)),
        json_patch("Observations(1)", [{"op": "replace", "path": "/result", "value": [1]}], at("result", is_=[1])),
        json_patch("Things(1)", [{"op": "replace", "path": "/name", "value": "lost"}, {"op": "test", "path": "/name", "value": "x"}], refused, 400),
        get(PATCHED, "Things(1)", at("name", is_="Ferry Quay")),
    ],
    # -- delete, with what cannot be without it: table 25
    **{f"a delete of one of {plural} takes with it what cannot be without it": [
        delete(f"{plural}(1)"),
        get(DELETE, f"{plural}(1)", refused, 404),
        *(get(DELETE, set_, ids(*left)) for set_, left in after.items()),
    ] for plural, after in {
        "Things": {"Datastreams": (3,), "Observations": (*range(11, 19),), "HistoricalLocations": (2, 3), "Locations": (1, 2, 3), "Sensors": (1, 2), "FeaturesOfInterest": (*range(1, 7),)},
        "Locations": {"HistoricalLocations": (2, 3), "Things": (1, 2, 3, 4), "Observations": (*range(1, 19),), "FeaturesOfInterest": (*range(1, 7),)},
        "HistoricalLocations": {"Things": (1, 2, 3, 4), "Locations": (1, 2, 3), "Things(1)/Locations": (1,)},
        "Datastreams": {"Things": (1, 2, 3, 4), "Observations": (*range(7, 19),), "Sensors": (1, 2), "ObservedProperties": (1, 2, 3, 4), "FeaturesOfInterest": (*range(1, 7),)},
        "Sensors": {"Datastreams": (2,), "MultiDatastreams": (), "Observations": (7, 8, 9, 10), "Things": (1, 2, 3, 4), "ObservedProperties": (1, 2, 3, 4)},
        "ObservedProperties": {"Datastreams": (2,), "MultiDatastreams": (1,), "Observations": (7, 8, 9, 10, 17, 18), "Sensors": (1, 2)},
        "Observations": {"Datastreams": (1, 2, 3), "FeaturesOfInterest": (*range(1, 7),), "Observations": (*range(2, 19),)},
        "MultiDatastreams": {"Observations": (*range(1, 17),), "ObservedProperties": (1, 2, 3, 4), "Things": (1, 2, 3, 4)},
    }.items()},
    "a delete of a feature takes its Observations": [delete("FeaturesOfInterest(5)"), get(DELETE, "Observations", ids(*range(1, 11), 17, 18)), get(DELETE, "Datastreams", ids(1, 2, 3))],
    "a delete of a property takes the MultiDatastreams that have it": [delete("ObservedProperties(3)"), get(DELETE, "MultiDatastreams", values([])), get(DELETE, "Observations", ids(*range(1, 17)))],
    "what is gone cannot be deleted again": [delete("Things(1)"), delete("Things(1)", 404), get(DELETE, "Datastreams(1)", refused, 404)],
    # -- where a Thing is and was: 8.2.2, 8.2.3
    "a Thing that gets a Location gets a HistoricalLocation": [
        patch("Things(3)", {"Locations": [{"@iot.id": 1}]}, about=AUTO),
        get(AUTO, "Things(3)/HistoricalLocations", both(at("value", 0, "time", is_=NOW), ids(4))),
        get(AUTO, "HistoricalLocations(4)/Locations", ids(1)),
        patch("Things(3)", {"Locations": [{"@iot.id": 2}]}, about=AUTO),
        get(AUTO, "Things(3)/Locations", ids(2)),
        get(AUTO, "Things(3)/HistoricalLocations", ids(4, 5)),
        post(AUTO, "Things(3)/Locations", place(3, 3, "third")),
        get(AUTO, "Things(3)/Locations", names("third")),
        get(AUTO, "HistoricalLocations(6)", both(at("Thing", "@iot.id", is_=3), at("Locations", 0, "name", is_="third")), expand="Thing,Locations"),
        post(AUTO, "Locations", place(4, 4, "fourth", Things=[{"@iot.id": 3}])),
        get(AUTO, "Things(3)/Locations", names("fourth")),
        get(AUTO, "Things(3)/HistoricalLocations", ids(4, 5, 6, 7)),
        patch("Things(3)", {"description": "no move"}, about=AUTO),
        get(AUTO, "Things(3)/HistoricalLocations", ids(4, 5, 6, 7)),
    ],
    "two representations of one Location stand together in the history": [
        post(AUTO, "Things", thing("new", Locations=[place(1, 2, "map"), {"name": "address", "description": "a", "encodingType": "text/plain", "location": "x"}])),
        get(AUTO, "Things(5)/Locations", names("map", "address")),
        get(AUTO, "Things(5)/HistoricalLocations", ids(4)),
        get(AUTO, "HistoricalLocations(4)/Locations", names("map", "address")),
    ],
    "the latest HistoricalLocation says where the Thing is": [
        patch("HistoricalLocations(1)", {"time": "2016-01-01T06:00:00.000Z"}, about=MANUAL),
        post(MANUAL, "HistoricalLocations", {"time": "2016-01-01T07:00:00.000Z", "Thing": {"@iot.id": 1}, "Locations": [{"@iot.id": 2}]}),
        get(MANUAL, "Things(1)/Locations", ids(2)),
        post(MANUAL, "HistoricalLocations", {"time": "2016-01-01T05:00:00.000Z", "Thing": {"@iot.id": 1}, "Locations": [{"@iot.id": 3}]}),
        get(MANUAL, "Things(1)/Locations", ids(2)),
        get(MANUAL, "Things(1)/HistoricalLocations", ids(5, 1, 4), orderby="time"),
        patch("HistoricalLocations(5)", {"time": "2016-01-01T08:00:00.000Z"}, about=MANUAL),
        get(MANUAL, "Things(1)/Locations", ids(3)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("row", params(REFUSALS))
def test_what_breaks_the_constraints_is_refused(world: Sta, row: Row) -> None:
    before = stored(world)
    row.run(world)
    assert stored(world) == before


def stored(sta: Sta) -> list[int]:
    """How many there are of each kind of entity."""
    with sta.things.reading() as reader:
        return [reader.db.execute(f"SELECT count(*) FROM {kind.table}").fetchone()[0] for kind in TYPES]


@pytest.mark.parametrize("story", STORIES)
def test_what_is_written_is_what_the_standard_says(fresh: Sta, story: str) -> None:
    for row in STORIES[story]:
        row.run(fresh)


def test_nothing_that_was_refused_has_changed_the_world(world: Sta) -> None:
    assert world.get("Things(1)")["name"] == "Ferry Quay"
    assert world.get("Datastreams(1)")["name"] == "level at quay"
