"""MultiDatastreams, data arrays and batches as requests: OGC 18-088, 8.3, 11 and 12."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from conformance_row import (
    Check,
    Row,
    absent,
    anything,
    at,
    both,
    empty,
    equals,
    get,
    ids,
    names,
    params,
    refused,
    results,
    values,
)
from conformance_world import DEGREE, SPEED, hour, multi
from sta_place import MEASUREMENT, ROOT, Sta, observed, place, sensor, stream, thing

MULTI, RELATIONS, RULES = (f"multi-datastream/{name}" for name in ("properties", "relations", "constraints"))
ARRAY, BATCH = "data-array/data-array", "batch-request/batch-request"
COMPLEX = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation"
WIND = multi("new", Thing={"@iot.id": 1})
COMPONENTS = ["id", "phenomenonTime", "result", "resultTime", "resultQuality", "validTime", "parameters"]


def post(about: str, path: str, body: Any, check: Check = anything, status: int = 201, **headers: str) -> Row:
    return Row(about, "POST", path, check, status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def rows_are(*wanted: list[Any]) -> Check:
    """The rows of the tables of a data array, and their number in each."""

    def check(response: httpx.Response) -> None:
        tables = response.json()["value"]
        assert [one["dataArray"] for one in tables] == list(wanted)
        assert [one["dataArray@iot.count"] for one in tables] == [len(one) for one in wanted]

    return check


def answers(*wanted: str) -> Check:
    """For each row the address of what was made, or an error."""

    def check(response: httpx.Response) -> None:
        told = response.json()
        assert len(told) == len(wanted)
        for one, want in zip(told, wanted, strict=True):
            assert one == f"{ROOT}/{want}" if want != "error" else one.lower().startswith("error")

    return check


def table(rows: list[list[Any]], components: list[str], **stream_: int) -> dict[str, Any]:
    named = {name: {"@iot.id": id_} for name, id_ in stream_.items()}
    return {**named, "components": components, "dataArray@iot.count": len(rows), "dataArray": rows}


READ: list[Row] = [
    get(ARRAY, "Datastreams(1)/Observations", at("value", 0, "components", is_=COMPONENTS), resultFormat="dataArray"),
    get(ARRAY, "Datastreams(1)/Observations", at("value", 0, "dataArray", 0, is_=[1, hour(1, 0), 0, hour(1, 0, 5), None, None, {"step": 0}]), resultFormat="dataArray"),
    get(ARRAY, "Datastreams(1)/Observations", at("value", 0, "dataArray@iot.count", is_=6), resultFormat="dataArray"),
    get(ARRAY, "Datastreams(1)/Observations", at("value", 0, "Datastream@iot.navigationLink", is_=f"{ROOT}/Datastreams(1)"), resultFormat="dataArray"),
    get(ARRAY, "MultiDatastreams(1)/Observations", at("value", 0, "MultiDatastream@iot.navigationLink", is_=f"{ROOT}/MultiDatastreams(1)"), resultFormat="dataArray"),
    get(ARRAY, "Observations", rows_are([[5], [4]]), resultFormat="dataArray", select="result", orderby="result desc", filter="result lt 6", top=2),
    get(ARRAY, "Observations", both(at("@iot.count", is_=18), at("@iot.nextLink", is_=f"{ROOT}/Observations?$count=true&$top=3&$resultFormat=dataArray&$skip=3")), count="true", top=3, resultFormat="dataArray"),
    get(ARRAY, "Observations", rows_are([[5], [4]], [[9], [8]]), resultFormat="dataArray", select="result", filter="result eq 4 or result eq 5 or result gt 7", orderby="Datastream/id,result desc"),
    get(ARRAY, "Observations", at("value", 0, "components", is_=["result", "phenomenonTime"]), resultFormat="dataArray", select="result,phenomenonTime", top=1),
    get(ARRAY, "Observations", at("value", is_=[]), resultFormat="dataArray", filter="result gt 1000"),
    get(ARRAY, "Things", refused, 400, resultFormat="dataArray"),
    get(ARRAY, "Observations", refused, 400, resultFormat="csv"),
    Row(ARRAY, "GET", "CreateObservations", refused, 405),
    get(RULES, "MultiDatastreams(1)", at("multiObservationDataTypes", is_=[MEASUREMENT, MEASUREMENT])),
    get(MULTI, "MultiDatastreams(1)", at("phenomenonTime", is_=f"{hour(4, 0)}/{hour(4, 1)}")),
    get(MULTI, "MultiDatastreams(1)", at("observedArea", is_={"type": "Polygon", "coordinates": [[[9, 52]] * 5]})),
    get(RELATIONS, "MultiDatastreams(1)", both(at("Thing", "name", is_="Wind Mast"), at("Sensor", "name", is_="radar")), expand="Thing,Sensor"),
    get(RELATIONS, "Things", ids(4), filter="MultiDatastreams/name eq 'wind'"),
    get(RELATIONS, "Things(4)/MultiDatastreams(1)/Observations(18)/result[1]", equals({"result[1]": 190})),
    *(post(RULES, "MultiDatastreams", WIND | wrong, refused, 400) for wrong in (
        {"unitOfMeasurements": [SPEED]}, {"multiObservationDataTypes": [MEASUREMENT]}, {"ObservedProperties": [{"@iot.id": 3}]}, {"ObservedProperties": []}, {"ObservedProperties": [{"@iot.id": 3}, {"@iot.id": 999}]},
        {"unitOfMeasurements": {"name": "x"}}, {"Thing": {"@iot.id": 999}})),
    *(post(RULES, "MultiDatastreams(1)/Observations", {"result": wrong}, refused, 400) for wrong in (1, [1], [1, 2, 3], "1,2", None, {"a": 1})),
    Row(RULES, "PATCH", "Observations(17)", refused, 400, body={"result": [1]}),
    Row(RULES, "PATCH", "Observations(1)", refused, 400, body={"MultiDatastream": {"@iot.id": 1}}),
    Row(RULES, "PATCH", "ObservedProperties(1)", refused, 400, body={"MultiDatastreams": [{"@iot.id": 1}]}),
    Row(RULES, "PATCH", "MultiDatastreams(1)", refused, 400, body={"unitOfMeasurements": [SPEED]}),
    *(post(ARRAY, "CreateObservations", wrong, refused, 400) for wrong in (
        {}, "text", [1], [{"components": ["result"], "dataArray": [[1]]}], [{"Datastream": {"@iot.id": 1}, "dataArray": [[1]]}], [{"Datastream": {"@iot.id": 1}, "components": "result", "dataArray": [[1]]}],
        [{"Datastream": {"@iot.id": 1}, "components": ["result"], "dataArray": 1}], [{"Datastream": {"@iot.id": 1}, "MultiDatastream": {"@iot.id": 1}, "components": ["result"], "dataArray": []}])),
]  # fmt: skip

STORIES: dict[str, list[Row]] = {
    "a MultiDatastream is made with its properties in their order": [
        post(MULTI, "MultiDatastreams", WIND | {"ObservedProperties": [{"@iot.id": 4}, {"@iot.id": 3}], "unitOfMeasurements": [DEGREE, SPEED]}, at("observationType", is_=COMPLEX)),
        get(RELATIONS, "MultiDatastreams(2)/ObservedProperties", names("direction", "speed")),
        get(RELATIONS, "MultiDatastreams(2)", at("ObservedProperties", 0, "name", is_="direction"), expand="ObservedProperties"),
        post(MULTI, "Things(2)/MultiDatastreams", multi("twice", ObservedProperties=[{"@iot.id": 3}, {"@iot.id": 3}])),
        get(RELATIONS, "MultiDatastreams(3)/ObservedProperties", names("speed", "speed")),
        get(RELATIONS, "ObservedProperties(3)/MultiDatastreams", ids(1, 2, 3)),
        get(RELATIONS, "MultiDatastreams(3)", at("ObservedProperties", is_=[{"name": "speed"}, {"name": "speed"}]), expand="ObservedProperties($select=name)"),
        get(RELATIONS, "MultiDatastreams(2)", both(at("ObservedProperties", is_=[{"name": "speed"}]), at("ObservedProperties@iot.count", is_=1)), expand="ObservedProperties($select=name;$filter=name eq 'speed';$count=true)"),
        get(RELATIONS, "MultiDatastreams(2)", at("ObservedProperties", is_=[{"name": "direction"}]), expand="ObservedProperties($select=name;$top=1)"),
        get(RELATIONS, "MultiDatastreams(2)/ObservedProperties", names("speed", "direction"), orderby="name desc"),
        get(RELATIONS, "MultiDatastreams(3)/ObservedProperties", at("@iot.count", is_=2), count="true"),
        post(MULTI, "Things", thing("deep", Locations=[place(1, 2)], MultiDatastreams=[multi("inner", Sensor=sensor("inner"), ObservedProperties=[observed("a"), observed("b")], Observations=[{"result": [1, 2]}])])),
        get(MULTI, "Things(5)/MultiDatastreams", names("inner")),
        get(MULTI, "Observations", results([1, 2]), filter="MultiDatastream/name eq 'inner'"),
        Row(MULTI, "PUT", "MultiDatastreams(1)", at("name", is_="put"), body={k: v for k, v in multi("put").items() if k[0].islower()}),
        Row(MULTI, "PATCH", "Observations(17)", at("result", is_=[9, 9]), body={"result": [9, 9]}),
        Row("create-update-delete/delete-entity", "DELETE", "MultiDatastreams(2)", empty),
    ],
    "the table of the standard makes what it can": [
        post(ARRAY, "CreateObservations", [
            table([["2010-12-23T10:20:00-07:00", 20, 1], ["2010-12-23T10:21:00-07:00", 30, "no id"]], ["phenomenonTime", "result", "FeatureOfInterest/id"], Datastream=1),
            table([["2010-12-23T10:20:00-07:00", 65], ["2010-12-23T10:21:00-07:00", 60]], ["phenomenonTime", "result"], Datastream=3),
        ], answers("Observations(19)", "error", "Observations(20)", "Observations(21)")),
        get(ARRAY, "Datastreams(3)/Observations", results(65, 60), filter="result gt 50"),
        get(ARRAY, "Observations(19)/FeatureOfInterest", at("@iot.id", is_=1)),
        get(ARRAY, "Observations(20)/FeatureOfInterest", at("name", is_="bridge")),
        get(ARRAY, "Observations(19)", at("phenomenonTime", is_="2010-12-23T10:20:00-07:00")),
    ],
    "a table of a MultiDatastream": [
        post(ARRAY, "CreateObservations", [table([[hour(9, 0), [5, 20]], [hour(9, 1), 30], [hour(9, 2), [1, 2, 3]]], ["phenomenonTime", "result"], MultiDatastream=1)],
             answers("Observations(19)", "error", "error")),
    ],
    "a row that does not fit is an error of its own": [
        post(ARRAY, "CreateObservations", [table([[1, 2], 5, [3], [None]], ["result"], Datastream=1)], answers("error", "error", "Observations(19)", "Observations(20)")),
        post(ARRAY, "CreateObservations", [table([[1]], ["result"], Datastream=999)], answers("error")),
        post(ARRAY, "CreateObservations", [table([[1, 2]], ["result", "colour"], Datastream=1)], answers("error")),
        post(ARRAY, "CreateObservations", [table([], ["result"], Datastream=1)], answers()),
        post(ARRAY, "CreateObservations", table([[7, {"a": 1}, f"{hour(1, 0)}/{hour(2, 0)}"]], ["result", "parameters", "validTime"], Datastream=1), answers("Observations(21)")),
        get(ARRAY, "Observations(21)", both(at("parameters", is_={"a": 1}), at("validTime", is_=f"{hour(1, 0)}/{hour(2, 0)}"))),
    ],
}  # fmt: skip


@pytest.mark.parametrize("row", params(READ))
def test_an_extension_is_read_and_refuses_as_the_standard_says(world: Sta, row: Row) -> None:
    row.run(world)


@pytest.mark.parametrize("story", STORIES)
def test_an_extension_writes_as_the_standard_says(fresh: Sta, story: str) -> None:
    for row in STORIES[story]:
        row.run(fresh)


# -- batches -----------------------------------------------------------------------------------------------------------


def part(request: str, body: Any = None, name: str = "", kind: str = "application/json") -> str:
    """One part of a multipart batch, as the standard's examples write it."""
    head = "Content-Type: application/http\r\n" + (f"Content-ID: {name}\r\n" if name else "")
    sent = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    inner = f"Host: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(sent)}\r\n" if sent else "Host: localhost\r\n"
    return f"{head}\r\n{request} HTTP/1.1\r\n{inner}\r\n{sent}\r\n"


def joined(parts: list[str], boundary: str) -> str:
    return "".join(f"--{boundary}\r\n{one}" for one in parts) + f"--{boundary}--\r\n"


def change_set(*parts: str) -> str:
    return "Content-Type: multipart/mixed;boundary=changeset_1\r\n\r\n" + joined(list(parts), "changeset_1")


def batch(sta: Sta, *parts: str) -> str:
    kind = {"content-type": "multipart/mixed;boundary=batch_1"}
    response = sta.ask("POST", "$batch", content=joined(list(parts), "batch_1").encode(), headers=kind)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("multipart/mixed")
    return response.text


def statuses(told: str) -> list[int]:
    return [int(line.split()[1]) for line in told.splitlines() if line.startswith("HTTP/1.1 ")]


NEW = {"name": "New", "description": "Thing"}
BATCHES: list[tuple[str, tuple[str, ...], list[int], list[Row]]] = [
    ("requests", (part("GET /v1.1/Things(1)?$select=name"), part("GET /v1.1/Things(999)"), part("GET Things?$filter=properties/km%20eq%2020&$select=name")), [200, 404, 200], []),
    ("a whole address", (part(f"GET {ROOT}/Things(1)"), part("GET /sta/v1.1/Things(2)/name/$value")), [200, 200], []),
    ("the standard's example", (
        part("GET /v1.1/Things(1)?$select=name"),
        change_set(part("POST /v1.1/Things", NEW, "1"), part("PATCH /v1.1/Things(1)", {"name": "Patched"}, "2")),
        part("GET /v1.1/Things(3939)"),
    ), [200, 201, 200, 404], [get(BATCH, "Things", names("Patched", "Old Bridge", "O'Brien's Äcker", "Wind Mast", "New"))]),
    ("what a part made is spoken of by name", (change_set(
        part("POST /v1.1/Sensors", sensor("DS18B20"), "sensor1"),
        part("POST /v1.1/Things(1)/Datastreams", stream("new", Sensor={"@iot.id": "$sensor1"}, ObservedProperty={"@iot.id": 1}), "any"),
    ),), [201, 201], [get(BATCH, "Datastreams(4)/Sensor", at("name", is_="DS18B20"))]),
    ("an address of what a part made", (change_set(
        part("POST Things", NEW, "one"), part("POST $one/Locations", place(1, 2, "spot"), "two"), part("PATCH $one", {"name": "Newer"}, "three"),
    ),), [201, 201, 200], [get(BATCH, "Things(5)/Locations", names("spot")), get(BATCH, "Things(5)", at("name", is_="Newer"))]),
    ("a change set that fails is undone", (
        change_set(part("POST Things", NEW, "1"), part("PATCH Things(1)", {"name": None}, "2")), part("GET Things(1)/name/$value"),
    ), [400, 200], [get(BATCH, "Things", ids(1, 2, 3, 4))]),
    ("deletes, puts and JSON patches", (
        part("DELETE Things(4)"), part("PUT Things(3)", thing("put")),
        part("PATCH Things(2)", [{"op": "replace", "path": "/name", "value": "patched"}], kind="application/json-patch+json"),
    ), [200, 200, 200], [get(BATCH, "Things", names("Ferry Quay", "patched", "put"))]),
    ("parts that are wrong are answered alone", (part("GET Nothing"), part("POST Things", "{"), part("JUMP Things"), part("GET Things?$top=x"), part("GET Things(1)")), [404, 400, 405, 400, 200], []),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "wanted", "after"), [one[1:] for one in BATCHES], ids=[one[0] for one in BATCHES])
def test_a_batch_is_answered_part_by_part(fresh: Sta, parts: tuple[str, ...], wanted: list[int], after: list[Row]) -> None:
    assert statuses(batch(fresh, *parts)) == wanted
    for row in after:
        row.run(fresh)


def one_request(id_: str, method: str, url: str, body: Any = None, group: str = "") -> dict[str, Any]:
    told = {"id": id_, "method": method, "url": url}
    return told | ({"body": body} if body is not None else {}) | ({"atomicityGroup": group} if group else {})


JSON_BATCHES: list[tuple[str, list[dict[str, Any]], list[int], list[Row]]] = [
    ("the example", [
        one_request("0", "get", "Things(1)?$select=name"), one_request("1", "post", "Things", NEW, "group1"), one_request("2", "patch", "Things(1)", {"name": "Json Patched"}, "group1"),
        one_request("3", "get", "Things(null)"),
    ], [200, 201, 200, 404], [get(BATCH, "Things(1)", at("name", is_="Json Patched"))]),
    ("references", [
        one_request("sensor1", "post", "Sensors", sensor("DS18B20"), "g"),
        one_request("any", "post", "Things(1)/Datastreams", stream("new", Sensor={"@iot.id": "$sensor1"}, ObservedProperty={"@iot.id": 1}), "g"),
        one_request("seen", "get", "$any/Sensor"),
    ], [201, 201, 200], [get(BATCH, "Datastreams(4)/Sensor", at("name", is_="DS18B20"))]),
    ("a group that fails", [one_request("a", "post", "Things", NEW, "g"), one_request("b", "delete", "Things(999)", None, "g")], [404, 404], [get(BATCH, "Things", ids(1, 2, 3, 4))]),
    ("a value", [one_request("v", "get", "Things(1)/name/$value")], [200], []),
]  # fmt: skip


@pytest.mark.parametrize(("requests", "wanted", "after"), [one[1:] for one in JSON_BATCHES], ids=[one[0] for one in JSON_BATCHES])
def test_a_batch_in_json_is_answered_part_by_part(
    fresh: Sta, requests: list[dict[str, Any]], wanted: list[int], after: list[Row]
) -> None:
    told = fresh.make("$batch", {"requests": requests}, 200)["responses"]
    assert [one["id"] for one in told] == [one["id"] for one in requests]
    assert [one["status"] for one in told] == wanted
    for row in after:
        row.run(fresh)


WRONG_BATCHES: list[Row] = [
    Row(BATCH, "GET", "$batch", refused, 405),
    post(BATCH, "$batch", b"", refused, 400, content_type="multipart/mixed"),
    post(BATCH, "$batch", b"--x\r\n", refused, 400, content_type="multipart/mixed;boundary=x"),
    post(
        BATCH,
        "$batch",
        b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--",
        refused,
        400,
        content_type="multipart/mixed;boundary=x",
    ),
    post(BATCH, "$batch", b"x", refused, 400, content_type="text/plain"),
    post(BATCH, "$batch", {"requests": 1}, refused, 400),
    post(BATCH, "$batch", {"requests": [{"id": "1"}]}, refused, 400),
    post(BATCH, "$batch", [], refused, 400),
]
ROWS = READ + WRONG_BATCHES + [row for story in STORIES.values() for row in story]


@pytest.mark.parametrize("row", params(WRONG_BATCHES))
def test_a_batch_that_is_none_is_refused_whole(world: Sta, row: Row) -> None:
    row.run(world)


def test_an_observation_has_a_link_to_the_kind_of_stream_that_it_has(world: Sta) -> None:
    for row in (
        get(RELATIONS, "Observations(1)", both(absent("MultiDatastream@iot.navigationLink"), at("Datastream@iot.navigationLink", is_=f"{ROOT}/Observations(1)/Datastream"))),
        get(RELATIONS, "Observations(17)", absent("Datastream@iot.navigationLink")),
        get(RELATIONS, "Observations", values([]), filter="Datastream/id eq 1 and MultiDatastream/id eq 1"),
    ):  # fmt: skip
        row.run(world)
