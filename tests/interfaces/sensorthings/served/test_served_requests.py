"""Requests as they stand on the wire, each with its requirement, its status and what the answer must hold; all against the weir.

`{T}` is the id of its Thing, {L} Location, {H} HistoricalLocation, {D} and {E} Datastreams, {S} Sensor, {P} ObservedProperty, {O} the
first Observation and {F} FeatureOfInterest. Spaces are written as they are here and encoded; everything else goes out as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from served_place import Wire

Check = Callable[[Any], bool]
Case = tuple[str, str, int, Check]
SCOPE = "Datastream/Thing/@iot.id eq {T} and "


def anything(_found: Any) -> bool:
    return True


def results(*wanted: float) -> Check:
    return lambda found: [one["result"] for one in found["value"]] == list(wanted)


def names(*wanted: str) -> Check:
    return lambda found: [one["name"] for one in found["value"]] == list(wanted)


def has(*wanted: str) -> Check:
    return lambda found: set(found) == set(wanted)


def of_level(condition: str, *wanted: float, about: str = "built-in-query-functions") -> Case:
    """A filter on the four Observations of the weir, in the order of their results."""
    return about, f"Observations?$filter={SCOPE}({condition})&$orderby=result", 200, results(*wanted)


def of_streams(condition: str, *wanted: str, about: str = "built-in-query-functions") -> Case:
    return about, f"Datastreams?$filter=Thing/@iot.id eq {{T}} and ({condition})&$orderby=name", 200, names(*wanted)


BOTH = ("stream 1", "stream 2")
AROUND, FAR = "POLYGON((7 50, 8 50, 8 51, 7 51, 7 50))", "POLYGON((0 0, 1 0, 1 1, 0 1, 0 0))"
CASES: list[Case] = [
    *(of_level(*row, about="built-in-filter-operations") for row in (
        ("result eq 12", 12), ("result ne 12", 11, 13, 14), ("result gt 12", 13, 14), ("result ge 12", 12, 13, 14), ("result lt 13", 11, 12), ("result le 12", 11, 12),
        ("result gt 11 and result lt 14", 12, 13), ("result lt 12 or result gt 13", 11, 14), ("not (result gt 12)", 11, 12), ("not result gt 12", 11, 12),
        ("result gt 13 or result gt 11 and result lt 13", 12, 14), ("(result gt 13 or result gt 11) and result lt 13", 12),
        ("result add 1 eq 13", 12), ("result sub 1 eq 12", 13), ("result mul 2 eq 24", 12), ("result div 2 eq 6", 12), ("result div 2 eq 5.5", 11), ("result mod 2 eq 0", 12, 14),
        ("result add 2 mul 3 eq 17", 11), ("-result lt -13", 14), ("result gt '12'", 13, 14), ("result eq 1.2e1", 12), ("true", 11, 12, 13, 14), ("false"  ,),
    )),
    *(of_level(*row) for row in (
        ("round(result add 0.5) eq 13", 12), ("floor(result add 0.9) eq 12", 12), ("ceiling(result sub 0.9) eq 12", 12),
        ("year(phenomenonTime) eq 2026", 11, 12, 13, 14), ("year(phenomenonTime) eq 1999",), ("month(phenomenonTime) eq 5", 11, 12, 13, 14), ("day(phenomenonTime) ge 3", 13, 14),
        ("hour(phenomenonTime) eq 0", 11, 12, 13, 14), ("minute(phenomenonTime) eq 0", 11, 12, 13, 14), ("second(phenomenonTime) ne 0",), ("fractionalseconds(phenomenonTime) eq 0", 11, 12, 13, 14),
        ("totaloffsetminutes(phenomenonTime) eq 0", 11, 12, 13, 14), ("date(phenomenonTime) eq 2026-05-02", 12), ("time(phenomenonTime) eq time(phenomenonTime)", 11, 12, 13, 14),
        ("phenomenonTime lt now()", 11, 12, 13, 14), ("phenomenonTime gt now()",), ("phenomenonTime gt mindatetime()", 11, 12, 13, 14), ("phenomenonTime lt maxdatetime()", 11, 12, 13, 14),
        ("phenomenonTime gt 2026-05-02T12:00:00Z", 13, 14), ("phenomenonTime ge 2026-05-02T00:00:00Z and phenomenonTime le 2026-05-03T00:00:00Z", 12, 13), ("phenomenonTime ge '2026-05-03T00:00:00Z'", 13, 14),
        ("phenomenonTime eq 2026-05-02T02:00:00%2B02:00", 12), ("phenomenonTime add duration'P1D' eq 2026-05-02T00:00:00Z", 11), ("resultTime eq null", 11, 12, 13, 14),
    )),
    *(of_streams(*row) for row in (
        ("startswith(name,'stream')", *BOTH), ("startswith(name,'zzz')",), ("endswith(name,'m 1')", "stream 1"), ("substringof('eam 2',name)", "stream 2"), ("length(name) eq 8", *BOTH),
        ("indexof(name,'eam') eq 4", *BOTH), ("indexof(name,'zzz') eq -1", *BOTH), ("substring(name,7) eq '2'", "stream 2"), ("substring(name,0,6) eq 'stream'", *BOTH), ("tolower(name) eq 'stream 1'", "stream 1"),
        ("toupper(name) eq 'STREAM 2'", "stream 2"), ("trim(concat(' ',name)) eq 'stream 1'", "stream 1"), ("concat(concat(unitOfMeasurement/name,', '),name) eq 'm3/s, stream 2'", "stream 2"),
        ("geo.intersects(observedArea,geography'POLYGON((7 50, 8 50, 8 51, 7 51, 7 50))')", *BOTH),
    )),
    *(of_streams(*row, about="filter") for row in (
        ("Thing/name eq 'weir 1'", *BOTH), ("Sensor/name eq 'sensor 1'", "stream 1"), ("ObservedProperty/name eq 'flow'", "stream 2"), ("Thing/Locations/name eq 'place 1'", *BOTH), ("Thing/properties/owner eq 'mill'", *BOTH),
        ("Thing/properties/gates[1] eq 2", *BOTH), ("Thing/properties/on", *BOTH), ("Observations/result gt 13", "stream 2"), ("Observations/any(o:o/result gt 13)", "stream 2"), ("Observations/all(o:o/result lt 13)", "stream 1"),
        ("unitOfMeasurement/symbol eq 'm'", "stream 1"), ("phenomenonTime lt 2026-05-03T00:00:00Z", "stream 1"), ("id eq {D}", "stream 1"), ("@iot.id eq {E}", "stream 2"), ("id in ({D},{E})", *BOTH),
    )),
    *(("built-in-query-functions", f"Locations?$filter=id eq {{L}} and {condition}", 200, names("place 1") if holds else names()) for condition, holds in (
        (f"geo.intersects(location,geography'{AROUND}')", True), (f"geo.intersects(location,geography'{FAR}')", False), (f"st_within(location,geography'{AROUND}')", True), (f"st_within(location,geography'{FAR}')", False),
        (f"st_contains(geography'{AROUND}',location)", True), (f"st_disjoint(location,geography'{FAR}')", True), (f"st_intersects(location,geography'{AROUND}')", True), ("st_equals(location,geography'POINT(7.1 50.7)')", True),
        ("st_touches(location,geography'LINESTRING(7.1 50.7,9 50)')", True), (f"st_overlaps(location,geography'{AROUND}')", False), (f"st_crosses(location,geography'{AROUND}')", False), (f"st_relate(location,geography'{AROUND}','T*F**F***')", True),
        ("geo.distance(location,geography'POINT(7.1 50.6)') lt 0.2", True), ("geo.distance(location,geography'POINT(0 0)') gt 5", True), ("geo.length(geography'LINESTRING(0 0,0 3)') eq 3", True), ("geo.length(location) eq 0", True),
    )),
    # -- addresses
    ("status-code", "", 200, lambda found: len(found["value"]) == 9), ("status-code", "/", 200, lambda found: len(found["value"]) == 9), ("resource-path", "Things/", 200, anything), ("resource-path", "Things({T})/", 200, anything),
    ("resource-path", "Things%28{T}%29", 200, anything), ("resource-path", "Things('{T}')", 404, anything), ("resource-path", "Things(0)", 404, anything), ("resource-path", "Things(-1)", 404, anything), ("resource-path", "Things(x)", 404, anything),
    ("resource-path", "things", 404, anything), ("resource-path", "Thing", 404, anything), ("resource-path", "Nope", 404, anything), ("resource-path", "Things({T})/Nope", 404, anything), ("resource-path", "Datastreams({D})/Sensor/Nope", 404, anything),
    ("resource-path", "Things({T})/properties/owner", 200, lambda found: found == {"owner": "mill"}), ("resource-path", "Things({T})/properties/gates%5B1%5D", 200, lambda found: found == {"gates[1]": 2}),
    ("resource-path", "Datastreams({D})/unitOfMeasurement/symbol/$value", 200, lambda found: found == "m"), ("resource-path", "Observations({O})/result/$value", 200, lambda found: found == 11), ("resource-path", "Observations({O})/parameters", 204, anything),
    ("resource-path", "Observations({O})/validTime/$value", 204, anything), ("resource-path", "Observations({O})/MultiDatastream", 204, anything), ("resource-path", "Things({T})/Datastreams({D})/Observations({O})/FeatureOfInterest", 200, anything),
    ("resource-path", "Datastreams({D})/Thing/name/$value", 200, lambda found: found == "weir 1"), ("resource-path", "Datastreams({E})/Observations({O})", 404, anything), ("resource-path", "Things/$ref", 200, lambda found: has("@iot.selfLink")(found["value"][0])),
    ("resource-path", "Datastreams({D})/Thing/$ref", 200, has("@iot.selfLink")),
    # -- options, and what is wrong with them
    ("order", f"Observations?$filter={SCOPE}result gt 11&$orderby=result desc&$skip=1&$top=2&$select=result&$count=true", 200, lambda found: found["@iot.count"] == 3 and found["value"] == [{"result": 13}, {"result": 12}]),
    ("expand", "Things({T})?$expand=Datastreams($select=name;$orderby=name desc;$expand=Observations($top=1;$orderby=result desc;$select=result;$count=true),Sensor($select=name))", 200,
        lambda found: [(one["name"], one["Observations"], one["Observations@iot.count"], one["Sensor"]) for one in found["Datastreams"]] == [("stream 2", [{"result": 14}], 2, {"name": "sensor 2"}), ("stream 1", [{"result": 12}], 2, {"name": "sensor 1"})]),
    ("expand", "Things({T})?$expand=Datastreams($filter=name eq 'stream 2';$count=true)", 200, lambda found: names("stream 2")({"value": found["Datastreams"]}) and found["Datastreams@iot.count"] == 1), ("expand", "Things({T})?$expand=Datastreams($top=0)", 200, lambda found: found["Datastreams"] == []),
    ("expand", "Datastreams?$expand=Nope", 400, anything), ("expand", "Datastreams?$expand=", 400, anything), ("expand", "Datastreams?$expand=Thing($top=)", 400, anything), ("expand", "Datastreams?$expand=Thing($nope=1)", 501, anything), ("expand", "Datastreams?$expand=Thing(", 400, anything),
    ("select", "Things({T})?$select=name,Datastreams", 200, has("name", "Datastreams@iot.navigationLink")), ("select", "Things({T})?$select=nope", 400, anything), ("select", "Things({T})?$select=", 400, anything), ("select", "Things({T})?$select=name, description", 200, has("name", "description")),
    ("orderby", f"Observations?$filter={SCOPE}true&$orderby=Datastream/name desc,phenomenonTime asc", 200, results(13, 14, 11, 12)), ("orderby", "Things?$orderby=nope", 400, anything), ("orderby", "Things?$orderby=name up", 400, anything), ("orderby", "Things?$orderby=", 400, anything),
    *((name, f"Things?${name}={value}", 400, anything) for name in ("top", "skip") for value in ("-1", "x", "1.5", "", "99999999999999999999")), ("top", "Things?$top=100000", 200, anything), ("count", "Things?$count=maybe", 400, anything), ("count", "Things?$count=", 400, anything),
    *(("query-status-code", f"Things?$filter={wrong}", 400, anything) for wrong in ("nope eq 1", "name eq", "name eq 'x", "(name eq 'x'", "foo(name) eq 1", "name", "", "name eq 5", "name == 'x'", "contains(name)")),
    ("query-status-code", "Things?$nope=1", 501, anything), ("query-status-code", "Things?$search=x", 501, anything), ("query-status-code", "Things?$top=1&$top=2", 400, anything), ("query-status-code", "Things?top=1", 400, anything), ("query-status-code", "Things?", 200, anything),
    ("query-status-code", "Things({T})?$filter=name eq 'x'", 400, anything),
    # -- encodings
    ("filter", "Things?%24filter=name%20eq%20%27weir%201%27", 200, names("weir 1")), ("filter", "Things?$filter=name+eq+'weir+1'", 200, names("weir 1")), ("filter", "Things?%24filter%3Dname%20eq%20'weir%201'", 200, names("weir 1")),
    ("filter", f"Observations?$filter={SCOPE}phenomenonTime eq 2026-05-02T02:00:00+02:00", 200, results(12)), ("filter", "Things?$filter=name eq '%ff'", 400, anything), ("filter", "Things?$filter=name eq 'O''Neil'", 200, names()),
    # -- data arrays
    ("data-array", "Datastreams({D})/Observations?$resultFormat=dataArray&$orderby=phenomenonTime desc", 200, lambda found: has("Datastream@iot.navigationLink", "components", "dataArray@iot.count", "dataArray")(found["value"][0]) and found["value"][0]["dataArray@iot.count"] == 2),
    ("data-array", "Datastreams({D})/Observations?$resultFormat=dataArray&$select=id,result&$top=1&$count=true", 200, lambda found: found["value"][0]["components"] == ["id", "result"] and found["@iot.count"] == 2 and "$resultFormat=dataArray" in found["@iot.nextLink"]),
    ("data-array", "Observations?$resultFormat=nope", 400, anything), ("data-array", "Things?$resultFormat=dataArray", 400, anything),
]  # fmt: skip


@pytest.mark.parametrize(
    ("about", "path", "status", "check"), CASES, ids=[f"{about}:{path[:100]}" for about, path, _, _ in CASES]
)
def test_a_request_is_answered_as_the_standard_says(
    about: str, path: str, status: int, check: Check, wire: Wire, ids: dict[str, int]
) -> None:
    assert about
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", str(value))
    got, _, content = wire.ask("GET", path.replace(" ", "%20"))
    assert got == status, content[:300]
    if status >= 400:
        told = json.loads(content)
        assert (told["code"], told["type"], bool(told["message"])) == (status, "error", True)
        assert wire.ask("HEAD", path.replace(" ", "%20"))[0] == status
    else:
        try:
            found = json.loads(content) if content else None
        except ValueError:
            found = content.decode()
        assert check(found), content[:500]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *((method, "Things", 405) for method in ("PUT", "PATCH", "DELETE", "TRACE")),
        *((method, "", 405) for method in ("POST", "PUT", "PATCH", "DELETE")),
        *((method, "Things({T})/name", 405) for method in ("POST", "PUT", "PATCH", "DELETE")),
        ("POST", "Things({T})", 405),
        ("GET", "$batch", 405),
        ("GET", "CreateObservations", 405),
        ("OPTIONS", "Things", 204),
        *((method, "Things(999999999)", 404) for method in ("PUT", "PATCH", "DELETE")),
        ("POST", "Nope", 404),
    ],
)
def test_a_method_that_does_not_go_with_an_address_is_told(
    method: str, path: str, status: int, wire: Wire, ids: dict[str, int]
) -> None:
    got, headers, content = wire.ask(
        method, path.replace("{T}", str(ids["T"])), {} if method in ("POST", "PUT", "PATCH") else None
    )
    assert got == status, content
    assert "allow" in headers or status == 404
