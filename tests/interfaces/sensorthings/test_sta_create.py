"""Create: req/create-update-delete/create-entity, link-to-existing-entities, deep-insert and what the service adds by itself."""

from __future__ import annotations

from typing import Any

import pytest
from sta_place import METRE, ROOT, Sta, feature, observed, place, sensor, stream, thing

ENTITIES = {
    "Things": thing(properties={"owner": "city"}),
    "Locations": place(8, 51, properties={"bank": "left"}),
    "Sensors": sensor() | {"properties": {"serial": 7}},
    "ObservedProperties": observed() | {"properties": {"family": "hydrology"}},
    "FeaturesOfInterest": feature(8, 51) | {"properties": {"reach": 4}},
    "Datastreams": stream(Thing=thing(), properties={"interval_s": 600}),
    "HistoricalLocations": {"time": "2026-01-01T00:00:00Z", "Thing": thing(), "Locations": [place(8, 51)]},
}


@pytest.mark.parametrize("plural", ENTITIES)
def test_an_entity_that_is_made_is_answered_with_201_its_address_and_itself(sta: Sta, plural: str) -> None:
    response = sta.ask("POST", plural, ENTITIES[plural])
    assert response.status_code == 201, response.text
    shown = response.json()
    assert response.headers["location"] == shown["@iot.selfLink"] == f"{ROOT}/{plural}({shown['@iot.id']})"
    for name, value in ENTITIES[plural].items():
        if name[0].islower():
            assert shown[name] == value
    assert sta.get(f"{plural}({shown['@iot.id']})") == shown


@pytest.mark.parametrize(
    ("plural", "name"),
    [(plural, name) for plural, body in ENTITIES.items() for name in body if name not in ("properties", "Locations")],
)
def test_an_entity_without_a_mandatory_part_is_refused_and_not_made(sta: Sta, plural: str, name: str) -> None:
    body = {key: value for key, value in ENTITIES[plural].items() if key != name}
    assert name in sta.refused("POST", plural, body)
    for other in ENTITIES:
        assert sta.get(other)["value"] == []


@pytest.mark.parametrize(
    ("plural", "change", "words"),
    [
        ("Things", {"name": 5}, "Thing/name: is '5' (int); wanted a text"),
        ("Things", {"properties": [1]}, "wanted a JSON object"),
        ("Things", {"colour": "red"}, "'colour' is no property of Thing"),
        ("Locations", {"location": {"type": "Point", "coordinates": ["x", 1]}}, "is no GeoJSON"),
        ("HistoricalLocations", {"time": "yesterday"}, "'yesterday' is no time; wanted ISO 8601"),
        ("HistoricalLocations", {"time": "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"}, "wanted one moment"),
        ("Datastreams", {"Thing": {"@iot.id": 99}}, "Things(99) does not exist"),
        ("Datastreams", {"Thing": {"@iot.id": "x"}}, "wanted a whole number from 1"),
        ("Datastreams", {"Thing": 1}, "wanted a JSON object: a Thing"),
        ("Things", {"Locations": place(8, 51)}, "wanted a JSON array of Location objects"),
    ],
)
def test_a_wrong_value_is_refused_with_where_got_and_wanted(sta: Sta, plural: str, change: dict[str, Any], words: str) -> None:
    assert words in sta.refused("POST", plural, ENTITIES[plural] | change)


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"null", b"\xff", b'{"name": "a", "description": "\\ud800"}', b"[" * 5_000])
def test_a_body_that_is_no_entity_is_refused(sta: Sta, body: bytes) -> None:
    response = sta.ask("POST", "Things", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["type"] == "error"


def test_what_is_inside_is_made_too_and_linked(sta: Sta) -> None:
    body = thing(Locations=[place(8, 51)], Datastreams=[stream(Observations=[{"result": 1.5}, {"result": 2}])])
    made = sta.made("Things", body)
    shown = sta.get(
        f"Things({made})", expand="Locations,HistoricalLocations/Locations,Datastreams/Sensor,Datastreams/Observations"
    )
    assert [one["name"] for one in shown["Locations"]] == ["quay"]
    assert [one["name"] for one in shown["HistoricalLocations"][0]["Locations"]] == ["quay"]
    assert shown["Datastreams"][0]["Sensor"]["name"] == "radar"
    assert [one["result"] for one in shown["Datastreams"][0]["Observations"]] == [1.5, 2]


def test_a_deep_insert_that_fails_leaves_nothing_behind(sta: Sta) -> None:
    broken = stream(Observations=[{"result": 1}])  # the Thing has no Location to make a feature of
    sta.refused("POST", "Things", thing(Datastreams=[broken]))
    for plural in ("Things", "Datastreams", "Sensors", "ObservedProperties", "Observations"):
        assert sta.get(plural)["value"] == []


def test_an_existing_entity_is_linked_by_its_id_and_not_made_again(sta: Sta) -> None:
    ids = {plural: sta.made(plural, ENTITIES[plural]) for plural in ("Things", "Sensors", "ObservedProperties")}
    links = {"Thing": ids["Things"], "Sensor": ids["Sensors"], "ObservedProperty": ids["ObservedProperties"]}
    made = sta.made("Datastreams", stream() | {name: {"@iot.id": id_} for name, id_ in links.items()})
    for name, id_ in links.items():
        assert sta.get(f"Datastreams({made})/{name}")["@iot.id"] == id_
    assert len(sta.get("Sensors")["value"]) == 1


def test_an_entity_made_in_a_set_belongs_to_the_entity_of_that_address(sta: Sta) -> None:
    one = sta.made("Things", thing(Locations=[place(8, 51)]))
    made = sta.made(f"Things({one})/Datastreams", stream())
    seen = sta.made(f"Things({one})/Datastreams({made})/Observations", {"result": 3})
    assert sta.get(f"Observations({seen})/Datastream/Thing")["@iot.id"] == one
    assert sta.get(f"Sensors({sta.ids('Sensors')[0]})/Datastreams")["value"][0]["@iot.id"] == made


def test_an_entity_is_not_made_in_a_set_that_is_not_there(sta: Sta) -> None:
    one, two = sta.made("Things", thing()), sta.made("Things", thing())
    made = sta.made(f"Things({one})/Datastreams", stream())
    sta.refused("POST", f"Things({two})/Datastreams({made})/Observations", {"result": 3}, status=404)
    sta.refused("POST", "Things(99)/Datastreams", stream(), status=404)
    sta.refused("POST", f"Things({one})", thing(), status=405)


def test_an_id_that_the_client_gives_is_taken_if_it_is_free(sta: Sta) -> None:
    assert sta.made("Things", thing() | {"@iot.id": 4711}) == 4711
    assert "is there already" in sta.refused("POST", "Things", thing() | {"@iot.id": 4711}, status=409)
    for wrong in (0, -1, 1.5, "x", True, 2**60):
        assert "whole number from 1" in sta.refused("POST", "Things", thing() | {"@iot.id": wrong})
    assert sta.made("Things", thing()) == 4712


def test_an_observation_without_a_time_is_of_now_and_its_result_time_is_null(sta: Sta) -> None:
    made = sta.made("Datastreams", stream(Thing=thing(Locations=[place(8, 51)])))
    shown = sta.make(f"Datastreams({made})/Observations", {"result": 5})
    assert shown["phenomenonTime"] == "2026-11-23T07:15:00Z"
    assert shown["resultTime"] is None


def test_an_observation_keeps_all_that_was_sent_as_it_was_written(sta: Sta) -> None:
    made = sta.made("Datastreams", stream(Thing=thing()))
    body = {
        "phenomenonTime": "2026-01-01T10:00:00+01:00/2026-01-01T11:00:00+01:00",
        "resultTime": "2026-01-01T10:00:00.000Z",
        "validTime": "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z",
        "result": {"low": 1, "high": [2, None, True]},
        "resultQuality": [{"nameOfMeasure": "DQ", "value": 1}],
        "parameters": {"tilt_deg": 3},
        "FeatureOfInterest": feature(8, 51),
    }
    shown = sta.make(f"Datastreams({made})/Observations", body)
    for name in body:
        if name != "FeatureOfInterest":
            assert shown[name] == body[name]


@pytest.mark.parametrize("result", [0, 1.25, -3, "text", "", True, False, None, [1, 2], {"a": {"b": 1}}, 2**63, 10**30, 1e300])
def test_a_result_of_any_json_kind_comes_back_as_it_was(sta: Sta, result: Any) -> None:
    made = sta.made("Datastreams", stream(Thing=thing(Locations=[place(8, 51)])))
    shown = sta.make(f"Datastreams({made})/Observations", {"result": result})
    again = sta.get(f"Observations({shown['@iot.id']})")["result"]
    assert again == result
    assert type(again) is type(result)


def test_the_feature_of_interest_is_made_of_the_things_location_once_for_each_location(sta: Sta) -> None:
    where = sta.made("Locations", place(8, 51))
    made = sta.made("Datastreams", stream(Thing=thing(Locations=[{"@iot.id": where}])))

    def seen() -> dict[str, Any]:
        shown = sta.make(f"Datastreams({made})/Observations", {"result": 1})
        return dict(sta.get(f"Observations({shown['@iot.id']})/FeatureOfInterest"))

    first, second = seen(), seen()
    assert first["feature"] == {"type": "Point", "coordinates": [8, 51]}
    assert first["@iot.id"] == second["@iot.id"]
    sta.patch("Things(1)", {"Locations": [{"@iot.id": sta.made("Locations", place(9, 52))}]})
    moved = seen()
    assert moved["feature"]["coordinates"] == [9, 52]
    sta.patch("Things(1)", {"Locations": [{"@iot.id": where}]})
    assert seen()["@iot.id"] == first["@iot.id"]
    sta.delete(f"FeaturesOfInterest({first['@iot.id']})")
    assert seen()["@iot.id"] not in (first["@iot.id"], moved["@iot.id"])


def test_a_thing_that_gets_a_location_gets_a_historical_location(sta: Sta) -> None:
    one = sta.made("Things", thing())
    assert sta.get(f"Things({one})/HistoricalLocations")["value"] == []
    sta.made(f"Things({one})/Locations", place(8, 51, "first"))
    sta.made("Locations", place(9, 51, "second", Things=[{"@iot.id": one}]))
    third = sta.made("Locations", place(10, 51, "third"))
    sta.patch(f"Things({one})", {"Locations": [{"@iot.id": third}]})
    assert sta.names(f"Things({one})/Locations") == ["third"]
    past = sta.get(f"Things({one})/HistoricalLocations", expand="Locations")["value"]
    assert [[spot["name"] for spot in one["Locations"]] for one in past] == [["first"], ["second"], ["third"]]
    assert past[0]["time"] == "2026-11-23T07:15:00Z"


def test_a_historical_location_that_is_the_latest_moves_the_thing_and_an_earlier_one_does_not(sta: Sta) -> None:
    one = sta.made("Things", thing())
    spots = [sta.made("Locations", place(8 + n, 51, f"spot {n}")) for n in range(3)]
    sta.patch(f"Things({one})", {"Locations": [{"@iot.id": spots[0]}]})
    sta.patch(f"HistoricalLocations({sta.ids('HistoricalLocations')[0]})", {"time": "2016-01-01T06:00:00.000Z"})
    for time, number in (("2016-01-01T07:00:00Z", 1), ("2016-01-01T05:00:00Z", 2)):
        links = {"Thing": {"@iot.id": one}, "Locations": [{"@iot.id": spots[number]}]}
        sta.made("HistoricalLocations", {"time": time, **links})
        assert sta.names(f"Things({one})/Locations") == ["spot 1"]


def test_a_location_of_another_encoding_is_kept_as_it_is(sta: Sta) -> None:
    body = place(8, 51) | {"encodingType": "text/plain", "location": "behind the mill"}
    assert sta.make("Locations", body)["location"] == "behind the mill"
    wrapped = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [8, 51]}}
    assert sta.make("Locations", place(8, 51) | {"location": wrapped})["location"] == wrapped


def test_a_datastream_says_from_when_to_when_and_where_it_observed(sta: Sta) -> None:
    made = sta.made("Datastreams", stream(Thing=thing()))
    assert not {"phenomenonTime", "resultTime", "observedArea"} & sta.get(f"Datastreams({made})").keys()
    path = f"Datastreams({made})/Observations"
    for day, lon in ((3, 8.0), (1, 9.0), (2, 8.5)):
        when = f"2026-01-0{day}T00:00:00Z"
        sta.made(path, {"result": day, "phenomenonTime": when, "resultTime": when, "FeatureOfInterest": feature(lon, 50 + day)})
    shown = sta.get(f"Datastreams({made})")
    assert shown["phenomenonTime"] == shown["resultTime"] == "2026-01-01T00:00:00Z/2026-01-03T00:00:00Z"
    ring = shown["observedArea"]["coordinates"][0]
    assert shown["observedArea"]["type"] == "Polygon"
    assert (min(x for x, _ in ring), max(x for x, _ in ring)) == (8.0, 9.0)
    assert (min(y for _, y in ring), max(y for _, y in ring)) == (51.0, 53.0)
    first = sta.get(path, filter="result eq 1")["value"][0]["@iot.id"]
    sta.delete(f"Observations({first})")
    shown = sta.get(f"Datastreams({made})")
    assert shown["phenomenonTime"] == "2026-01-02T00:00:00Z/2026-01-03T00:00:00Z"
    assert shown["observedArea"]["coordinates"][0][0] == [8.0, 52.0]


def test_an_observation_belongs_to_exactly_one_stream(sta: Sta) -> None:
    assert "exactly one of Datastream and MultiDatastream" in sta.refused("POST", "Observations", {"result": 1})


def test_a_unit_may_have_nulls_as_for_a_truth_observation(sta: Sta) -> None:
    unit = dict.fromkeys(METRE)
    assert sta.make("Datastreams", stream(Thing=thing()) | {"unitOfMeasurement": unit})["unitOfMeasurement"] == unit


@pytest.mark.parametrize("is_inside", [True, False])
def test_a_thing_made_below_its_location_is_there_before_its_observations_are_made(sta: Sta, is_inside: bool) -> None:
    below = thing("below", Datastreams=[stream() | {"Observations": [{"result": 1, "phenomenonTime": "2015-03-01T00:00:00Z"}]}])
    if is_inside:
        sta.made("Locations", place(8, 49) | {"Things": [below]})
    else:
        sta.made(f"Locations({sta.made('Locations', place(8, 49))})/Things", below)
    assert sta.get("Observations(1)/FeatureOfInterest")["feature"] == {"type": "Point", "coordinates": [8, 49]}
    assert len(sta.get("Things(1)/HistoricalLocations")["value"]) == 1
    assert sta.ids("Things(1)/Locations") == [1]
