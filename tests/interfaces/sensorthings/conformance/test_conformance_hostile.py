"""A hostile client: whatever it sends, the answer is a clear 4xx in JSON or what was meant, never a fault of the service."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest
from conformance_row import refused
from sta_place import Sta, place, thing
from starlette.requests import Request
from starlette.types import Message

from tocsin.interfaces.sensorthings.routes import sensorthings_routes
from tocsin.interfaces.sensorthings.service import Service
from tocsin.interfaces.sensorthings.trial import VISITOR
from tocsin.security.gate import RoleGate

HOSTILE = [
    "'; DROP TABLE thing; --", "1 OR 1=1", "../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%00", "<script>alert(1)</script>", "${jndi:ldap://x}", "{{7*7}}", "%s%s%n", "\\", '"', "`id`",
    "\u202eabc", "a" * 5_000, "\U0001f6a8", "\r\nX-Injected: yes", "$filter", "Robert'); DELETE FROM observation;--", "NULL", "NaN",
]  # fmt: skip
PATHS = [
    "Things(%ff%fe)", "Things%00", "..%2f..%2fetc%2fpasswd", "Things/..%2f..%2fetc%2fpasswd", "Things(1)%20or%201=1", "Things(1);drop", "Things(1)/properties/__class__", "Things(1)/__proto__",
    "Things(1)" + "/Datastreams(1)/Thing" * 30, "Things(" + "9" * 5_000 + ")", "Things(1)" * 2_000, "$metadata", "$batch/1", "%24batch", "Things(1)/properties/tags[99999999999]",
    "Things(1)/properties/tags[-1]", "Things(1)/properties[[0]", "Things((1))", "Things(1)(1)", "Things(0x1)", "Things(1e0)", "Things(\u0661)", "Things( 1)", "Things(+1)",
]  # fmt: skip
FILTERS = [
    *(f"name eq {one}" for one in HOSTILE if "'" not in one or one.count("'") % 2), "(" * 10_000, ")" * 10_000, "not " * 5_000 + "true", "-" * 10_000 + "1 eq 1", "name eq '" + "x" * 30_000 + "'",
    "substringof(" * 200 + "name" + ")" * 200, "a/" * 5_000 + "b eq 1", "Locations/Things/" * 30 + "id eq 1", "1" * 10_000 + " eq 1e400", "concat(" * 59 + "name",
    "name eq \u0000", "properties/'a''b' eq", "properties/\"a\" eq 1", "st_within(Locations/location, geography'POLYGON((" + "0 0," * 3_000 + "'))", "st_relate(name,name,'" + "*" * 9 + "')", "year(", "🚨 eq 1",
    "result eq 1", "id eq 1 and and", "id eq 1;drop table thing", "id eq 1--", "id eq 1/**/", "id eq (select 1)", "sqlite_version() eq 'x'", "load_extension('x')", "json_extract(properties,'$') eq 1",
]  # fmt: skip
BODIES: list[bytes] = [
    b"", b"null", b"true", b"1", b'"x"', b"[]", b"{", b"}", b"\xff\xfe", b'{"name":"\xff","description":"b"}', b'{"name":"\\ud800","description":"b"}', b'{"result":NaN}', b'{"result":Infinity}',
    b'{"name":"a","description":"b","properties":{"a":1e999}}', b'{"name":"a","description":"b","properties":{"a":' + b"9" * 5_000 + b"}}", b'{"name":"a","description":"b","properties":{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}}",
    b'{"name":"a","description":"b","properties":{"a":' + b"[" * 300 + b"]" * 300 + b"}}", b"[" * 100_000, b'{"a":' * 50_000, b'{"name":{"$ne":null},"description":"b"}', b'{"@iot.id":"x","name":"a","description":"b"}',
    b'{"@iot.id":-1,"name":"a","description":"b"}', b'{"@iot.id":1e300,"name":"a","description":"b"}', b'{"@iot.id":{"a":1},"name":"a","description":"b"}', b'{"name":"a","description":"b","Locations":[[[[]]]]}',
    b'{"name":"a","description":"b","Locations":[null]}', b'{"name":"a","description":"b","Datastreams":{"a":1}}', b'{"name":"a","description":"b","__proto__":{}}', b'\xef\xbb\xbf{"name":"a","description":"b"}',
    json.dumps(thing(Locations=[place(0, 0) | {"location": {"type": "Point", "coordinates": [1e400]}}])).encode(), json.dumps(thing(Locations=[place(0, 0) | {"location": {"type": "GeometryCollection", "geometries": 5}}])).encode(),
    json.dumps(thing(Locations=[place(0, 0) | {"location": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}])).encode(), json.dumps(thing(Locations=[place(0, 0) | {"location": "' OR 1=1"}])).encode(),
]  # fmt: skip
ROWS = [*PATHS, *FILTERS, *BODIES]


def _is_refused(response: Any) -> None:
    assert 400 <= response.status_code < 500, response.text[:200]
    told = response.json()
    assert (told["code"], told["type"]) == (response.status_code, "error")
    assert 0 < len(told["message"]) < 3_000
    assert "Traceback" not in told["message"]
    refused(response)


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_an_address_that_is_none_is_refused(world: Sta, path: str) -> None:
    _is_refused(world.ask("GET", path))


@pytest.mark.parametrize("condition", FILTERS, ids=range(len(FILTERS)))
def test_a_filter_that_is_none_is_refused(world: Sta, condition: str) -> None:
    _is_refused(world.ask("GET", f"Things?$filter={quote(condition, safe='')}"))
    _is_refused(world.ask("GET", f"Locations?$expand=Things($filter={quote(condition, safe='')})"))


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_that_is_no_entity_is_refused_by_every_way_of_writing(world: Sta, body: bytes) -> None:
    before = world.get("Things", count="true", top=0)["@iot.count"]
    ways = [("POST", "Things"), ("POST", "Observations"), ("POST", "$batch")]
    ways += [] if body == b"[]" else [("POST", "CreateObservations")]  # no table is no fault
    ways += [] if b"@iot.id" in body else [("PUT", "Things(1)")]  # an id in an update is passed over
    for method, path in ways:
        _is_refused(world.ask(method, path, content=body, headers={"content-type": "application/json"}))
    if body != b"[]":
        _is_refused(world.ask("PATCH", "Things(1)", content=body, headers={"content-type": "application/json-patch+json"}))
    assert world.get("Things", count="true", top=0)["@iot.count"] == before


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_is_only_a_text_wherever_it_stands(fresh: Sta, name: str) -> None:
    made = fresh.made("Things", thing(name, properties={name: name, "a": name}))
    assert fresh.get(f"Things({made})")["properties"] == {name: name, "a": name}
    doubled = name.replace("'", "''")
    assert fresh.ids("Things", filter=f"name eq '{doubled}'") == [made]
    assert fresh.ids("Things", filter=f"properties/a eq '{doubled}' and substringof('{doubled}',name)") == [made]
    assert fresh.ids("Things", filter=f"name ne '{doubled}'") == [1, 2, 3, 4]
    assert fresh.ask("GET", f"Things({made})/name/$value").text == name
    assert len(fresh.get("Things", orderby=f"concat(name,'{doubled}')")["value"]) == 5


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "COPY", "JUMP", "get"])
def test_a_method_that_is_none_is_told_in_json_which_there_are(world: Sta, method: str) -> None:
    response = world.client.request(method, "http://127.0.0.1/sta/v1.1/Things")
    if method == "get":  # the client makes it GET
        assert response.status_code == 200
        return
    _is_refused(response)
    assert response.status_code == 405
    assert "PATCH" in response.headers["allow"]


def test_a_json_patch_that_copies_a_whole_into_itself_is_stopped(fresh: Sta) -> None:
    kind = {"content-type": "application/json-patch+json"}
    doubling = [{"op": "copy", "from": "/properties", "path": f"/properties/a{number}"} for number in range(40)]
    response = fresh.ask("PATCH", "Things(1)", doubling, headers=kind)
    assert response.status_code == 413, response.text[:200]
    for count in (300, 1_001):
        deeper = [{"op": "copy", "from": "/properties", "path": "/properties/deep"} for _ in range(count)]
        _is_refused(fresh.ask("PATCH", "Things(1)", deeper, headers=kind))
    assert fresh.get("Things(1)")["properties"]["deep"] == {"x": [1, {"y": "z"}]}


def test_a_client_that_goes_away_in_the_middle_of_its_body_disturbs_nobody(world: Sta) -> None:
    route = sensorthings_routes(Service(world.things, RoleGate()), lambda _request: VISITOR)[1]
    heard = [{"type": "http.request", "body": b'{"name":', "more_body": True}, {"type": "http.disconnect"}]
    told: list[Message] = []

    async def receive() -> Message:
        return heard.pop(0)

    async def send(message: Message) -> None:
        told.append(message)

    path = "/sta/v1.1/Things"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
             "server": ("127.0.0.1", 80), "headers": [(b"content-type", b"application/json")]}  # fmt: skip
    assert Request(scope).method == "POST"
    asyncio.run(route.app(scope, receive, send))
    assert told[0]["status"] == 400
