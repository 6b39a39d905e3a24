"""Create, update and delete on a served instance: OGC 18-088, 10, and data arrays and batches, 11 and 12."""

from __future__ import annotations

import json
from typing import Any

import pytest
from served_place import DAYS, MEASUREMENT, POINT, WEIR, Wire, ids_of

JSON_PATCH = "application/json-patch+json"
UNIT = {"name": "metre", "symbol": "m", "definition": "ucum:m"}
STREAM: dict[str, Any] = {"name": "d", "description": "d", "observationType": MEASUREMENT, "unitOfMeasurement": UNIT}
PLACE: dict[str, Any] = {"name": "l", "description": "l", "encodingType": "application/geo+json", "location": POINT}
FEATURE: dict[str, Any] = {"name": "f", "description": "f", "encodingType": "application/geo+json", "feature": POINT}
SENSOR: dict[str, Any] = {"name": "s", "description": "s", "encodingType": "text/html", "metadata": {"made": "here"}}
OBSERVED: dict[str, Any] = {"name": "p", "definition": "http://example.org/p", "description": "p"}
THING: dict[str, Any] = {"name": "t", "description": "t"}


def at(id_: int) -> dict[str, int]:
    return {"@iot.id": id_}


@pytest.fixture
def weir(written: Wire) -> dict[str, int]:
    """A weir of its own for each story."""
    made = written.made("Things", WEIR)
    found = ids_of(written, made)
    found["F"] = written.get(f"Observations({found['O']})/FeatureOfInterest")["@iot.id"]
    return found


def bodies(weir: dict[str, int]) -> dict[str, dict[str, Any]]:
    """A new entity for each set, all that it must have and nothing else."""
    linked = {"Thing": at(weir["T"]), "Sensor": at(weir["S"]), "ObservedProperty": at(weir["P"])}
    return {
        "Things": THING,
        "Locations": PLACE,
        "Sensors": SENSOR,
        "ObservedProperties": OBSERVED,
        "FeaturesOfInterest": FEATURE,
        "Datastreams": STREAM | linked,
        "HistoricalLocations": {"time": DAYS[0], "Thing": at(weir["T"])},
        "Observations": {"result": 1, "Datastream": at(weir["D"])},
    }


def test_each_kind_is_made_read_back_and_refused_without_any_of_its_parts(written: Wire, weir: dict[str, int]) -> None:
    for plural, body in bodies(weir).items():
        made = written.made(plural, body)
        shown = written.get(f"{plural}({made})")
        assert {name: shown.get(name) for name in body if name[0].islower()} == {n: v for n, v in body.items() if n[0].islower()}
        for name in body:
            told = written.json("POST", plural, {n: v for n, v in body.items() if n != name}, 400)
            assert (told["code"], told["type"]) == (400, "error")
            if name != "result":
                written.json("POST", plural, body | {name: None}, 400)
        written.json("POST", plural, body | {"colour": "red"}, 400)
        written.json("POST", plural, body | {"@iot.id": made}, 409)


def test_links_to_what_is_not_there_are_refused_in_words_of_ours(written: Wire, weir: dict[str, int]) -> None:
    for plural, body in (
        ("Datastreams", bodies(weir)["Datastreams"] | {"Thing": at(999_999_999)}),
        ("Observations", {"result": 1, "Datastream": at(999_999_999)}),
        ("Observations", {"result": 1, "Datastream": at(weir["D"]), "FeatureOfInterest": at(999_999_999)}),
        ("HistoricalLocations", {"time": DAYS[0], "Thing": at(999_999_999)}),
        ("Things", THING | {"Locations": [at(999_999_999)]}),
    ):
        told = written.json("POST", plural, body, 400)
        assert "999999999" in told["message"]
        assert not {"constraint", "FOREIGN KEY", "sqlite"} & set(told["message"].split())
    written.json("PATCH", f"Datastreams({weir['D']})", {"Sensor": at(999_999_999)}, 400)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"name": 1, "description": "x"}', b'{"name":"a","description":"b",}']
)
def test_a_body_that_is_no_entity_is_refused(body: bytes, written: Wire) -> None:
    assert written.ask("POST", "Things", body, Content_Type="application/json")[0] == 400


def test_a_related_set_makes_and_links(written: Wire, weir: dict[str, int]) -> None:
    linked = {"T": "Thing", "S": "Sensor", "P": "ObservedProperty"}
    for plural, key in (("Things", "T"), ("Sensors", "S"), ("ObservedProperties", "P")):
        body = STREAM | {link: at(weir[name]) for name, link in linked.items() if name != key}
        made = written.made(f"{plural}({weir[key]})/Datastreams", body)
        assert written.get(f"Datastreams({made})/{linked[key]}")["@iot.id"] == weir[key]
    place = written.made(f"Things({weir['T']})/Locations", PLACE)
    assert [one["@iot.id"] for one in written.get(f"Things({weir['T']})/Locations")["value"]] == [place]
    assert len(written.get(f"Things({weir['T']})/HistoricalLocations")["value"]) == 2
    thing = written.made(f"Locations({weir['L']})/Things", THING)
    assert written.get(f"Things({thing})/HistoricalLocations")["value"][0]["time"]
    past = written.made(f"Things({weir['T']})/HistoricalLocations", {"time": DAYS[0]})
    assert written.get(f"HistoricalLocations({past})/Thing")["@iot.id"] == weir["T"]
    seen = written.made(f"FeaturesOfInterest({weir['F']})/Observations", {"result": 1, "Datastream": at(weir["D"])})
    assert written.get(f"Observations({seen})/FeatureOfInterest")["@iot.id"] == weir["F"]
    written.json("POST", f"Things({weir['T'] + 999})/Datastreams({weir['D']})/Observations", {"result": 1}, 404)


def test_a_deep_insert_that_lacks_something_far_inside_leaves_nothing(written: Wire) -> None:
    counts = {one["name"]: written.get(one["name"], count="true", top=0)["@iot.count"] for one in written.get("")["value"]}
    broken = json.loads(json.dumps(WEIR))
    del broken["Datastreams"][1]["Sensor"]["encodingType"]
    written.json("POST", "Things", broken, 400)
    for name, count in counts.items():
        assert written.get(name, count="true", top=0)["@iot.count"] == count


@pytest.mark.parametrize(
    "result", [1, -1.5, 1e300, 0, "", "text", True, False, None, [], [1, "a"], {}, {"a": {"b": None}}, 2**70]
)
def test_a_result_of_any_kind_comes_back(result: Any, written: Wire, weir: dict[str, int]) -> None:
    made = written.made(f"Datastreams({weir['D']})/Observations", {"result": result})
    found = written.get(f"Observations({made})")["result"]
    assert (found, type(found)) == (result, type(result))


def test_patch_changes_put_replaces_and_the_id_stays(written: Wire, weir: dict[str, int]) -> None:
    thing = f"Things({weir['T']})"
    before = written.get(thing)
    written.json("PATCH", thing, {"name": "patched"}, 200)
    assert written.get(thing) == before | {"name": "patched"}
    written.json("PATCH", thing, {"properties": {"only": 1}}, 200)
    assert written.get(f"{thing}/properties") == {"properties": {"only": 1}}
    written.json("PUT", thing, written.get(thing), 200)  # what was read can be sent back
    assert written.get(f"{thing}/properties") == {"properties": {"only": 1}}
    written.json("PUT", thing, {"name": "put", "description": "put"}, 200)
    after = written.get(thing)
    assert (after["@iot.id"], after["@iot.selfLink"]) == (before["@iot.id"], before["@iot.selfLink"])
    assert "properties" not in after
    for body in ({"name": None}, {"Datastreams": [STREAM]}, {"Locations": [PLACE]}, {"colour": "red"}):
        written.json("PATCH", thing, body, 400)
    written.json("PUT", thing, {"description": "no name"}, 400)
    written.json("PUT", f"Sensors({weir['S']})", {"name": "s", "description": "s", "encodingType": "text/html"}, 400)
    other = written.made("Sensors", SENSOR)
    written.json("PATCH", f"Datastreams({weir['D']})", {"Sensor": at(other)}, 200)
    assert written.get(f"Datastreams({weir['D']})/Sensor")["@iot.id"] == other


def test_a_json_patch_is_done_whole_or_not_at_all(written: Wire, weir: dict[str, int]) -> None:
    thing = f"Things({weir['T']})"

    def patch(status: int, *operations: dict[str, Any]) -> None:
        written.json("PATCH", thing, json.dumps(operations).encode(), status, Content_Type=JSON_PATCH)

    patch(200, {"op": "add", "path": "/properties", "value": {"a": 1}})
    patch(
        200,
        {"op": "copy", "from": "/properties/a", "path": "/properties/b"},
        {"op": "move", "from": "/properties/a", "path": "/properties/c"},
    )
    assert written.get(f"{thing}/properties") == {"properties": {"b": 1, "c": 1}}
    patch(400, {"op": "replace", "path": "/name", "value": "no"}, {"op": "test", "path": "/name", "value": "other"})
    patch(400, {"op": "remove", "path": "/name"})
    patch(400, {"op": "remove", "path": "/nothing"})
    assert written.get(f"{thing}/name") == {"name": "weir 1"}
    patch(200, {"op": "replace", "path": "/name", "value": "yes"}, {"op": "remove", "path": "/properties"})
    assert written.ask("GET", f"{thing}/properties")[0] == 204


def test_a_historical_location_that_is_the_latest_moves_the_thing(written: Wire, weir: dict[str, int]) -> None:
    thing = f"Things({weir['T']})"
    assert written.get(f"Locations({weir['L']})/HistoricalLocations")["value"][0]["@iot.id"] == weir["H"]
    written.json("PATCH", f"HistoricalLocations({weir['H']})", {"time": DAYS[1]}, 200)
    later, earlier = written.made("Locations", PLACE), written.made("Locations", PLACE)
    for day, place in ((DAYS[2], later), (DAYS[0], earlier)):
        written.made("HistoricalLocations", {"time": day, "Thing": at(weir["T"]), "Locations": [at(place)]})
        assert [one["@iot.id"] for one in written.get(f"{thing}/Locations")["value"]] == [later]


def test_a_delete_takes_what_cannot_be_without_it(written: Wire) -> None:
    gone = {
        "T": ("T", "H", "D", "E", "O"),
        "D": ("D", "O"),
        "S": ("S", "D", "O"),
        "P": ("P", "D", "O"),
        "L": ("L", "H"),
        "F": ("F", "O"),
        "O": ("O",),
        "H": ("H",),
    }
    sets = {
        "T": "Things",
        "L": "Locations",
        "H": "HistoricalLocations",
        "D": "Datastreams",
        "E": "Datastreams",
        "S": "Sensors",
        "P": "ObservedProperties",
        "O": "Observations",
        "F": "FeaturesOfInterest",
    }
    for key, lost in gone.items():
        made = ids_of(written, written.made("Things", WEIR))
        made["F"] = written.get(f"Observations({made['O']})/FeatureOfInterest")["@iot.id"]
        assert written.ask("DELETE", f"{sets[key]}({made[key]})")[0] == 200
        there = {name: written.ask("GET", f"{sets[name]}({made[name]})")[0] for name in made}
        assert there == {name: 404 if name in lost else 200 for name in made}, key
        assert written.ask("DELETE", f"{sets[key]}({made[key]})")[0] == 404


def test_a_feature_that_was_made_of_a_place_is_made_again_when_it_is_gone(written: Wire, weir: dict[str, int]) -> None:
    written.ask("DELETE", f"FeaturesOfInterest({weir['F']})")
    made = written.made(f"Datastreams({weir['D']})/Observations", {"result": 1})
    feature = written.get(f"Observations({made})/FeatureOfInterest")
    assert (feature["@iot.id"] != weir["F"], feature["feature"]) == (True, POINT)
    assert "phenomenonTime" not in written.get(f"Datastreams({weir['E']})")
    bare = written.made("Things", THING | {"Datastreams": [STREAM | {"Sensor": SENSOR, "ObservedProperty": OBSERVED}]})
    stream = written.get(f"Things({bare})/Datastreams")["value"][0]["@iot.id"]
    written.json("POST", f"Datastreams({stream})/Observations", {"result": 1}, 400)


def test_a_data_array_makes_what_it_can_and_is_refused_where_it_is_none(written: Wire, weir: dict[str, int]) -> None:
    table = {"Datastream": at(weir["D"]), "components": ["phenomenonTime", "result", "FeatureOfInterest/id"]}
    rows = [[DAYS[0], 1, weir["F"]], [DAYS[1], 2, 999_999_999], [DAYS[2], "3", weir["F"]]]
    told = written.json("POST", "CreateObservations", [table | {"dataArray@iot.count": 3, "dataArray": rows}], 201)
    assert [one.startswith("error") for one in told] == [False, True, False]
    assert written.get(told[2])["result"] == "3"
    for wrong in (
        {"components": ["phenomenonTime"], "dataArray": [[DAYS[0]]]},
        {"components": ["phenomenonTime", "result"]},
        {"components": "result", "dataArray": [[1]]},
    ):
        written.json("POST", "CreateObservations", [{"Datastream": at(weir["D"])} | wrong], 400)
    written.json("POST", "CreateObservations", [{"components": ["result"], "dataArray": [[1]]}], 400)


def test_a_batch_is_answered_part_by_part_and_a_change_set_whole(written: Wire, weir: dict[str, int]) -> None:
    def part(line: str, body: dict[str, Any] | None = None, name: str = "") -> str:
        content = "" if body is None else json.dumps(body)
        head = [
            "Content-Type: application/http",
            *([f"Content-ID: {name}"] if name else []),
            "",
            f"{line} HTTP/1.1",
            "Host: localhost",
        ]
        return "\r\n".join([*head, "Content-Type: application/json", f"Content-Length: {len(content)}", "", content])

    def changes(*parts: str) -> str:
        inner = "".join(f"--c\r\n{one}\r\n" for one in parts)
        return f"Content-Type: multipart/mixed;boundary=c\r\n\r\n{inner}--c--"

    def batch(*parts: str) -> str:
        body = "".join(f"--b\r\n{one}\r\n" for one in parts) + "--b--"
        status, headers, content = written.ask("POST", "$batch", body.encode(), Content_Type="multipart/mixed; boundary=b")
        assert (status, headers["content-type"].partition(";")[0]) == (200, "multipart/mixed")
        return content.decode()

    thing = weir["T"]
    made = changes(
        part("POST /v1.1/Sensors", SENSOR, "new"),
        part(
            f"POST /v1.1/Things({thing})/Datastreams",
            STREAM | {"ObservedProperty": at(weir["P"]), "Sensor": {"@iot.id": "$new"}},
            "2",
        ),
    )
    asked = [
        f"GET /v1.1/Things({thing})?$select=name",
        f"GET {written.address}/Things({thing})?$select=name",
        f"GET Things?$filter=id%20eq%20{thing}&$select=name",
    ]
    told = batch(*map(part, asked), made, part("GET /v1.1/Things(999999999)"))
    assert told.count('{"name":"weir 1"}') == 3
    assert (told.count("HTTP/1.1 200"), told.count("HTTP/1.1 201"), told.count("HTTP/1.1 404")) == (3, 2, 1)
    undone = batch(
        changes(
            part("POST /v1.1/Things", THING | {"name": "undone"}, "1"), part("PATCH /v1.1/Things(999999999)", {"name": "x"}, "2")
        )
    )
    assert "HTTP/1.1 404" in undone
    assert "HTTP/1.1 201" not in undone
    assert written.get("Things", filter="name eq 'undone'")["value"] == []
    group = {"atomicityGroup": "g"}
    requests = [
        {"id": "a", "method": "post", "url": "Sensors", "body": SENSOR} | group,
        {"id": "b", "method": "post", "url": f"Things({thing})/Datastreams", "body": STREAM | {"ObservedProperty": at(weir["P"]), "Sensor": {"@iot.id": "$a"}}} | group,
        {"id": "c", "method": "get", "url": "$b/Sensor?$select=name"},
    ]  # fmt: skip
    found = written.json("POST", "$batch", {"requests": requests}, 200)["responses"]
    assert [(one["id"], one["status"]) for one in found] == [("a", 201), ("b", 201), ("c", 200)]
    assert found[2]["body"] == {"name": "s"}
