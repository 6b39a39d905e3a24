"""Update and delete: req/create-update-delete/update-entity, update-entity-put, update-entity-jsonpatch, delete-entity."""

from __future__ import annotations

from typing import Any

import pytest
from sta_place import METRE, Sta, feature, observed, place, sensor, stream, thing

PATCHES: dict[str, dict[str, Any]] = {
    "Things": {"name": "new", "properties": {"a": 1}},
    "Locations": {"location": {"type": "Point", "coordinates": [1, 2]}},
    "HistoricalLocations": {"time": "2015-07-01T00:00:00.000Z"},
    "Datastreams": {"description": "new", "unitOfMeasurement": {"name": "foot", "symbol": "ft", "definition": "x"}},
    "Sensors": {"metadata": {"any": ["json"]}},
    "ObservedProperties": {"definition": "http://example.org/new"},
    "Observations": {"result": 20, "phenomenonTime": "2015-07-01T00:40:00.000Z", "resultQuality": "good"},
    "FeaturesOfInterest": {"feature": {"type": "Point", "coordinates": [1, 2]}},
}


@pytest.fixture
def full(sta: Sta) -> Sta:
    sta.made("Things", thing(properties={"keep": 1}, Locations=[place(8, 51)], Datastreams=[stream()]))
    sta.made("Datastreams(1)/Observations", {"result": 1, "phenomenonTime": "2015-01-01T00:00:00Z"})
    return sta


@pytest.mark.parametrize("plural", PATCHES)
def test_a_patch_changes_what_it_names_and_nothing_else(full: Sta, plural: str) -> None:
    before = full.get(f"{plural}(1)")
    shown = full.patch(f"{plural}(1)", PATCHES[plural])
    assert shown == full.get(f"{plural}(1)") == before | PATCHES[plural]


@pytest.mark.parametrize("plural", PATCHES)
def test_a_patch_of_what_is_not_there_is_told_as_such(full: Sta, plural: str) -> None:
    full.refused("PATCH", f"{plural}(99)", PATCHES[plural], status=404)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Things(1)", {"Locations": [place(1, 2)]}),
        ("Things(1)", {"Datastreams": [stream()]}),
        ("Sensors(1)", {"Datastreams": [stream()]}),
        ("ObservedProperties(1)", {"Datastreams": [stream()]}),
        ("Datastreams(1)", {"ObservedProperty": observed()}),
        ("Datastreams(1)", {"Sensor": sensor()}),
        ("Datastreams(1)", {"Thing": thing()}),
        ("Datastreams(1)", {"Observations": [{"result": 1}]}),
        ("Observations(1)", {"FeatureOfInterest": feature(1, 2)}),
    ],
)
def test_a_patch_that_holds_new_entities_is_refused(full: Sta, path: str, body: dict[str, Any]) -> None:
    before = full.get(path)
    assert "makes no new entity" in full.refused("PATCH", path, body)
    assert full.get(path) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Things(1)", {"name": None}),
        ("Things(1)", {"name": 1}),
        ("Things(1)", {"colour": 1}),
        ("Datastreams(1)", {"Thing": {"@iot.id": 99}}),
        ("Datastreams(1)", {"Thing": None}),
        ("Observations(1)", {"phenomenonTime": "x"}),
        ("Things(1)", []),
    ],
)
def test_a_patch_that_would_break_an_entity_is_refused(full: Sta, path: str, body: Any) -> None:
    before = full.get(path)
    full.refused("PATCH", path, body)
    assert full.get(path) == before


def test_a_patch_links_to_other_entities_that_exist(full: Sta) -> None:
    other = full.made("Things", thing("other"))
    full.patch("Datastreams(1)", {"Thing": {"@iot.id": other}})
    assert full.ids(f"Things({other})/Datastreams") == [1]
    full.patch("Things(1)", {"Datastreams": [{"@iot.id": 1}]})
    assert full.ids("Things(1)/Datastreams") == [1]


def test_what_was_read_may_be_sent_back_with_a_change(full: Sta) -> None:
    for plural in PATCHES:
        shown = full.get(f"{plural}(1)")
        assert full.patch(f"{plural}(1)", shown) == shown
        assert full.put(f"{plural}(1)", shown) == shown


@pytest.mark.parametrize("plural", PATCHES)
def test_a_put_replaces_all_and_takes_away_what_it_does_not_name(full: Sta, plural: str) -> None:
    whole = {
        "Things": thing("put"),
        "Locations": place(3, 4, "put"),
        "HistoricalLocations": {"time": "2016-01-01T00:00:00Z"},
        "Datastreams": {k: v for k, v in stream("put").items() if k[0].islower()},
        "Sensors": sensor("put"),
        "ObservedProperties": observed("put"),
        "Observations": {"result": "put", "phenomenonTime": "2016-01-01T00:00:00Z"},
        "FeaturesOfInterest": feature(3, 4, "put"),
    }[plural]
    shown = full.put(f"{plural}(1)", whole)
    assert {name: shown[name] for name in whole} == whole
    assert "properties" not in shown
    for name in whole:
        if name != "phenomenonTime":
            full.refused("PUT", f"{plural}(1)", {k: v for k, v in whole.items() if k != name})


def test_a_json_patch_adds_replaces_moves_tests_and_removes(full: Sta) -> None:
    def apply(path: str, *operations: dict[str, Any], status: int = 200) -> Any:
        response = full.ask("PATCH", path, list(operations), headers={"content-type": "application/json-patch+json"})
        assert response.status_code == status, response.text
        return response.json()

    shown = apply(
        "Things(1)",
        {"op": "test", "path": "/properties/keep", "value": 1},
        {"op": "add", "path": "/properties/bank", "value": "left"},
        {"op": "copy", "from": "/properties/bank", "path": "/properties/side"},
        {"op": "move", "from": "/properties/keep", "path": "/properties/kept"},
        {"op": "replace", "path": "/name", "value": "patched"},
    )
    assert (shown["name"], shown["properties"]) == ("patched", {"bank": "left", "side": "left", "kept": 1})
    assert "properties" not in apply("Things(1)", {"op": "remove", "path": "/properties"})
    assert apply("Datastreams(1)", {"op": "replace", "path": "/unitOfMeasurement/symbol", "value": "M"})["unitOfMeasurement"] == {
        **METRE,
        "symbol": "M",
    }
    for wrong in (
        {"op": "test", "path": "/name", "value": "other"},
        {"op": "remove", "path": "/name"},
        {"op": "remove", "path": "/nothing"},
        {"op": "jump", "path": "/name"},
        {"op": "replace", "path": "", "value": 5},
        {"path": "/name"},
    ):
        assert apply("Things(1)", {"op": "replace", "path": "/description", "value": "lost"}, wrong, status=400)["code"] == 400
    assert full.get("Things(1)")["description"] == "the gauge"
    apply("Things(99)", {"op": "remove", "path": "/properties"}, status=404)


GONE: dict[str, set[str]] = {  # OGC 18-088, table 25: what goes with each
    "Things": {"Things", "HistoricalLocations", "Datastreams", "Observations"},
    "Locations": {"Locations", "HistoricalLocations"},
    "HistoricalLocations": {"HistoricalLocations"},
    "Datastreams": {"Datastreams", "Observations"},
    "Sensors": {"Sensors", "Datastreams", "Observations"},
    "ObservedProperties": {"ObservedProperties", "Datastreams", "Observations"},
    "Observations": {"Observations"},
    "FeaturesOfInterest": {"FeaturesOfInterest", "Observations"},
}


@pytest.mark.parametrize("plural", GONE)
def test_a_delete_takes_with_it_what_cannot_be_without_it_and_nothing_else(full: Sta, plural: str) -> None:
    full.delete(f"{plural}(1)")
    assert {name for name in GONE if full.get(name)["value"] == []} == GONE[plural]
    full.refused("GET", f"{plural}(1)", status=404)
    full.refused("DELETE", f"{plural}(1)", status=404)
    assert full.get("Observations", count="true")["@iot.count"] == (0 if "Observations" in GONE[plural] else 1)


def test_an_address_that_is_wrong_on_its_way_changes_and_deletes_nothing(full: Sta) -> None:
    full.made("Things", thing("other"))
    full.refused("PATCH", "Things(2)/Datastreams(1)", {"name": "x"}, status=404)
    full.refused("PUT", "Things(2)/Datastreams(1)/Observations(1)", {"result": 2}, status=404)
    full.refused("DELETE", "Things(2)/Datastreams(1)", status=404)
    full.delete("Things(1)/Datastreams(1)/Observations(1)")


def test_an_id_is_never_given_twice(full: Sta) -> None:
    full.delete("Things(1)")
    assert full.made("Things", thing()) == 2


def test_a_changed_observation_changes_what_its_stream_says(full: Sta) -> None:
    full.made("Datastreams(1)/Observations", {"result": 2, "phenomenonTime": "2016-01-01T00:00:00Z"})
    full.patch("Observations(1)", {"phenomenonTime": "2015-06-01T00:00:00Z"})
    assert full.get("Datastreams(1)")["phenomenonTime"] == "2015-06-01T00:00:00Z/2016-01-01T00:00:00Z"
    full.patch("FeaturesOfInterest(1)", {"feature": {"type": "Point", "coordinates": [1, 2]}})
    assert full.get("Datastreams(1)")["observedArea"] == {"type": "Polygon", "coordinates": [[[1, 2]] * 5]}


def test_a_json_patch_tests_and_replaces_a_link_to_one(full: Sta) -> None:
    other = full.made("Things", thing("other"))
    operations = [
        {"op": "test", "path": "/Thing", "value": {"@iot.id": 1}},
        {"op": "replace", "path": "/Thing", "value": {"@iot.id": other}},
    ]
    for status in (200, 400):  # the second time it is another one's
        response = full.ask("PATCH", "Datastreams(1)", operations, headers={"content-type": "application/json-patch+json"})
        assert response.status_code == status, response.text
    assert full.get("Datastreams(1)/Thing")["@iot.id"] == other
