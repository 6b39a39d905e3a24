"""Read: req/resource-path/resource-path-to-entities, the control information, and the relations of each entity."""

from __future__ import annotations

from pathlib import Path

import pytest
from sta_place import ROOT, Sta, open_sta, place, stream, thing

from tocsin.platform.things import BY_NAME, BY_PLURAL, TYPES, EntityType, Limits


@pytest.fixture
def full(sta: Sta) -> Sta:
    sta.made("Things", thing(properties={"a": {"b": [1, {"c": 2}]}}, Locations=[place(8, 51)]))
    sta.made("Things(1)/Datastreams", stream(Observations=[{"result": [4, 5]}]))
    sta.made("Things", thing("other"))
    units = {"unitOfMeasurements": [{"name": "m"}], "multiObservationDataTypes": ["x"]}
    links = {"Thing": {"@iot.id": 2}, "Sensor": {"@iot.id": 1}, "ObservedProperties": [{"@iot.id": 1}]}
    sta.made("MultiDatastreams", {"name": "wind", "description": "wind", **units, **links})
    return sta


def test_the_landing_page_names_every_set_and_what_holds(sta: Sta) -> None:
    for path in ("", "/"):
        shown = sta.get(path)
        assert {one["name"]: one["url"] for one in shown["value"]} == {plural: f"{ROOT}/{plural}" for plural in BY_PLURAL}
        assert "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel" in shown["serverSettings"]["conformance"]
        assert not [one for one in shown["serverSettings"]["conformance"] if "mqtt" in one]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_a_set_is_a_list_of_entities_with_id_self_link_and_a_link_for_each_relation(full: Sta, kind: EntityType) -> None:
    for entity in full.get(kind.plural)["value"]:
        assert entity["@iot.selfLink"] == f"{ROOT}/{kind.plural}({entity['@iot.id']})"
        for link in kind.links:
            given = entity.get(f"{link.name}@iot.navigationLink")
            if kind.name == "Observation" and link.name == "MultiDatastream":
                assert given is None
            else:
                assert given == f"{entity['@iot.selfLink']}/{link.name}"
        assert full.get(entity["@iot.selfLink"].removeprefix(f"{ROOT}/")) == entity


@pytest.mark.parametrize(("kind", "name"), [(kind, link.name) for kind in TYPES for link in kind.links])
def test_a_relation_leads_to_the_entities_that_are_linked(full: Sta, kind: EntityType, name: str) -> None:
    link = kind.link(name)
    assert link is not None
    for entity in full.get(kind.plural)["value"]:
        address = f"{kind.plural}({entity['@iot.id']})/{name}"
        shown = full.get(address, status=200 if f"{name}@iot.navigationLink" in entity else 204)
        plural = BY_NAME[link.target].plural
        for other in [] if shown is None else shown["value"] if link.many else [shown]:
            assert other == full.get(f"{plural}({other['@iot.id']})")
            if link.many:
                assert full.get(f"{address}({other['@iot.id']})") == other


def test_every_property_has_an_address_and_a_bare_value(full: Sta) -> None:
    for kind in TYPES:
        for entity in full.get(kind.plural)["value"]:
            for prop in kind.properties:
                address = f"{kind.plural}({entity['@iot.id']})/{prop.name}"
                if entity.get(prop.name) is None:
                    assert full.get(address, status=204) is None
                    assert full.get(f"{address}/$value", status=204) is None
                else:
                    assert full.get(address) == {prop.name: entity[prop.name]}
                    value = full.ask("GET", f"{address}/$value")
                    if isinstance(entity[prop.name], dict | list):
                        assert value.json() == entity[prop.name]
                    else:
                        assert value.text == str(entity[prop.name])
                        assert value.headers["content-type"].startswith("text/plain")


def test_what_lies_inside_a_property_has_an_address(full: Sta) -> None:
    assert full.get("Things(1)/properties/a") == {"a": {"b": [1, {"c": 2}]}}
    assert full.get("Things(1)/properties/a/b[1]/c") == {"c": 2}
    assert full.ask("GET", "Things(1)/properties/a/b/0/$value").text == "1"
    assert full.get("Observations(1)/result[0]") == {"result[0]": 4}
    assert full.get("Things(1)/id") == {"@iot.id": 1}
    for wrong in ("properties/z", "properties/a/b[9]", "properties/a/b[x]", "name/x"):
        full.refused("GET", f"Things(1)/{wrong}", status=404)


def test_a_reference_is_the_address_and_nothing_else(full: Sta) -> None:
    assert full.get("Things/$ref") == {"value": [{"@iot.selfLink": f"{ROOT}/Things({n})"} for n in (1, 2)]}
    assert full.get("Things(1)/Datastreams/$ref")["value"] == [{"@iot.selfLink": f"{ROOT}/Datastreams(1)"}]
    assert full.get("Datastreams(1)/Thing/$ref") == {"@iot.selfLink": f"{ROOT}/Things(1)"}


def test_a_long_way_is_followed_to_its_end(full: Sta) -> None:
    assert full.get("Things(1)/Datastreams(1)/Observations(1)/FeatureOfInterest/Observations(1)/Datastream/Thing/name") == {
        "name": "gauge"
    }


@pytest.mark.parametrize(
    "path",
    [
        *(
            "Things(99)",
            "Things(0)",
            "Things('a')",
            "Things(null)",
            "Things(-1)",
            "Things(1.5)",
            "Things()",
            "Thing",
            "Foo",
            "things",
        ),
        *(
            "Things(1)/Foo",
            "Things(2)/Datastreams(1)",
            "Things(2)/Datastreams(1)/Observations",
            "Things/Datastreams",
            "Things/name",
        ),
        *(
            "Things(1)/name/$ref",
            "Things(1)/$value",
            "Things(99)/name",
            "Datastreams(1)/Thing(1)",
            "Things(1)/%2e%2e",
            "Things(1",
        ),
        *("Things(1)/Datastreams(99)/Observations", "$batch", "Things(99999999999999999999)", "Things(1)/" * 30),
    ],
)
def test_what_is_not_there_is_told_as_such(full: Sta, path: str) -> None:
    full.refused("GET", path, status=405 if path == "$batch" else 404)


def test_a_page_ends_with_a_link_that_leads_on_with_all_options(tmp_path: Path) -> None:
    sta = open_sta(tmp_path, Limits(page=3, page_most=5))
    for number in range(12):
        sta.made("Things", thing(f"gauge {number:02}"))

    def all_pages(path: str) -> list[list[str]]:
        pages = []
        while path:
            shown = sta.get(path)
            assert shown.get("@iot.count", 11) == 11
            pages.append([one["name"] for one in shown["value"]])
            path = shown.get("@iot.nextLink", "")
        return pages

    names = [f"gauge {n:02}" for n in range(12)]
    assert [len(page) for page in all_pages("Things")] == [3, 3, 3, 3]
    assert [len(page) for page in all_pages("Things?$top=100")] == [5, 5, 2]
    wanted = "Things?$filter=name%20ne%20%27gauge+03%27&$orderby=name%20desc&$count=true&$select=name&$top=4"
    assert [name for page in all_pages(wanted) for name in page] == [name for name in reversed(names) if name != "gauge 03"]
    shown = sta.get(f"{wanted}&$skip=2")
    assert shown["@iot.nextLink"] == f"{ROOT}/{wanted}&$skip=6"
    assert sta.get("Things/$ref?$top=5")["@iot.nextLink"] == f"{ROOT}/Things/$ref?$top=5&$skip=5"
    sta.things.close()


def test_a_method_that_does_not_fit_is_refused_with_those_that_do(full: Sta) -> None:
    for method, path in (("DELETE", "Things"), ("PATCH", "Things"), ("PUT", "Things(1)/name"), ("POST", ""), ("PATCH", "")):
        response = full.ask(method, path, {"name": "x"})
        assert response.status_code == 405, (method, path)
        assert "PATCH" in response.headers["allow"]
    head = full.ask("HEAD", "Things(1)")
    assert (head.status_code, head.text) == (200, "")


def test_options_are_told_without_a_body(full: Sta) -> None:
    told = full.ask("OPTIONS", "Things")
    assert (told.status_code, told.text) == (204, "")
    assert {"GET", "HEAD", "OPTIONS"} <= set(told.headers["allow"].split(", "))
