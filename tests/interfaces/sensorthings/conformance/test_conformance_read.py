"""Data model, control information and resource paths, as requests: OGC 18-088, 8 and 9.2."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_row import (
    Row,
    absent,
    anything,
    at,
    both,
    empty,
    equals,
    get,
    header,
    ids,
    keys,
    names,
    params,
    refused,
    text,
    values,
)
from conformance_world import SHAPES, hour
from sta_place import METRE, ROOT, Sta

from tocsin.platform.things import BY_NAME, TYPES, EntityType

PATHS = "resource-path/resource-path-to-entities"
CONTROL = "datamodel/entity-control-information/common-control-information"
STATUS = "request-data/status-code"
SETS = (
    "Things",
    "Locations",
    "HistoricalLocations",
    "Datastreams",
    "Sensors",
    "ObservedProperties",
    "Observations",
    "FeaturesOfInterest",
)

ROWS: list[Row] = [
    # -- 9.2.1: no resource path
    get(PATHS, "", at("value", 0, is_={"name": "Things", "url": f"{ROOT}/Things"})),
    get(PATHS, "", at("serverSettings", "conformance", 0, is_="http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel")),
    get(PATHS, "/", at("value", 8, "name", is_="FeaturesOfInterest")),
    # -- 9.2.2: a set, and 9.2.3: an entity
    *(get(PATHS, plural, at("value", 0, "@iot.selfLink", is_=f"{ROOT}/{plural}(1)")) for plural in SETS),
    *(get(PATHS, f"{plural}(1)", at("@iot.selfLink", is_=f"{ROOT}/{plural}(1)")) for plural in SETS),
    *(get(CONTROL, f"{plural}(1)", at("@iot.id", is_=1)) for plural in SETS),
    get(PATHS, "Things/", ids(1, 2, 3, 4)),
    get(PATHS, "Things(1)/", at("name", is_="Ferry Quay")),
    get(PATHS, "Things%281%29", at("name", is_="Ferry Quay")),
    get("multi-datastream/properties", "MultiDatastreams(1)", at("@iot.selfLink", is_=f"{ROOT}/MultiDatastreams(1)")),
    # -- what each entity has: 8.2
    get("datamodel/thing/properties", "Things(3)", keys("@iot.id", "@iot.selfLink", "name", "description", *(
        f"{name}@iot.navigationLink" for name in ("Locations", "HistoricalLocations", "Datastreams", "MultiDatastreams")))),
    get("datamodel/thing/properties", "Things(1)", at("properties", "km", is_=12.5)),
    get("datamodel/location/properties", "Locations(1)", at("location", is_={"type": "Point", "coordinates": [8, 51]})),
    get("datamodel/location/properties", "Locations(2)", at("properties", is_={"km": 20})),
    get("datamodel/location/properties", "Locations(1)", at("encodingType", is_="application/geo+json")),
    get("datamodel/historical-location/properties", "HistoricalLocations(1)", at("time", is_="2026-11-23T07:15:00Z")),
    get("datamodel/datastream/properties", "Datastreams(1)", at("unitOfMeasurement", is_=METRE)),
    get("datamodel/datastream/properties", "Datastreams(1)", at("phenomenonTime", is_=f"{hour(1, 0)}/{hour(1, 5)}")),
    get("datamodel/datastream/properties", "Datastreams(2)", at("phenomenonTime", is_=f"{hour(2, 0)}/{hour(2, 4)}")),
    get("datamodel/datastream/properties", "Datastreams(1)", at("resultTime", is_=f"{hour(1, 0, 5)}/{hour(1, 5, 5)}")),
    get("datamodel/datastream/properties", "Datastreams(2)", absent("resultTime")),
    get("datamodel/datastream/properties", "Datastreams(1)", at("observedArea", is_={"type": "Polygon", "coordinates": [[[8, 51]] * 5]})),
    get("datamodel/datastream/properties", "Datastreams(3)", at("properties", is_={"every_s": 600})),
    get("datamodel/sensor/properties", "Sensors(1)", at("metadata", is_="http://example.org/radar.pdf")),
    get("datamodel/observed-property/properties", "ObservedProperties(1)", at("definition", is_="http://example.org/level")),
    get("datamodel/observation/properties", "Observations(1)", at("parameters", is_={"step": 0})),
    get("datamodel/observation/properties", "Observations(1)", at("resultTime", is_=hour(1, 0, 5))),
    get("datamodel/observation/properties", "Observations(7)", at("resultTime", is_=None)),
    get("datamodel/observation/properties", "Observations(7)", at("validTime", is_=f"{hour(2, 0)}/{hour(2, 1)}")),
    get("datamodel/observation/properties", "Observations(11)", at("resultQuality", is_={"qartod": 1})),
    get("datamodel/observation/properties", "Observations(16)", at("result", is_=None)),
    get("datamodel/feature-of-interest/properties", "FeaturesOfInterest(3)", at("feature", is_=SHAPES["square"])),
    get("multi-datastream/properties", "MultiDatastreams(1)", at("unitOfMeasurements", 1, "symbol", is_="deg")),
    get("multi-datastream/properties", "MultiDatastreams(1)", at("observationType", is_="http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation")),
    # -- relations: 9.2.6, 9.2.8
    get("datamodel/thing/relations", "Things(1)/Datastreams", ids(1, 2)),
    get("datamodel/thing/relations", "Things(1)/Locations", names("quay")),
    get("datamodel/thing/relations", "Things(1)/HistoricalLocations", ids(1)),
    get("datamodel/thing/relations", "Things(3)/Locations", values([])),
    get("datamodel/location/relations", "Locations(2)/Things", names("Old Bridge")),
    get("datamodel/location/relations", "Locations(2)/HistoricalLocations", ids(2)),
    get("datamodel/historical-location/relations", "HistoricalLocations(2)/Thing", at("name", is_="Old Bridge")),
    get("datamodel/historical-location/relations", "HistoricalLocations(2)/Locations", names("bridge")),
    get("datamodel/datastream/relations", "Datastreams(2)/Thing", at("@iot.id", is_=1)),
    get("datamodel/datastream/relations", "Datastreams(2)/Sensor", at("name", is_="bucket")),
    get("datamodel/datastream/relations", "Datastreams(2)/ObservedProperty", at("name", is_="rain")),
    get("datamodel/datastream/relations", "Datastreams(2)/Observations", ids(7, 8, 9, 10)),
    get("datamodel/sensor/relations", "Sensors(1)/Datastreams", ids(1, 3)),
    get("datamodel/observed-property/relations", "ObservedProperties(2)/Datastreams", ids(2)),
    get("datamodel/observation/relations", "Observations(7)/Datastream", at("@iot.id", is_=2)),
    get("datamodel/observation/relations", "Observations(7)/FeatureOfInterest", at("name", is_="quay")),
    get("datamodel/feature-of-interest/relations", "FeaturesOfInterest(4)/Observations", ids(*range(1, 11))),
    get("multi-datastream/relations", "MultiDatastreams(1)/ObservedProperties", names("speed", "direction")),
    get("multi-datastream/relations", "MultiDatastreams(1)/Observations", ids(17, 18)),
    get("multi-datastream/relations", "Sensors(1)/MultiDatastreams", ids(1)),
    get("multi-datastream/relations", "ObservedProperties(4)/MultiDatastreams", ids(1)),
    get("multi-datastream/relations", "Observations(17)/MultiDatastream", at("name", is_="wind")),
    get("multi-datastream/relations", "Observations(17)", absent("Datastream@iot.navigationLink")),
    get(PATHS, "Things(1)/Datastreams(2)", at("name", is_="rain at quay")),
    get(PATHS, "Things(1)/Datastreams(2)/Observations(7)", at("result", is_=6)),
    get(PATHS, "Things(1)/Datastreams(2)/Observations(7)/FeatureOfInterest", at("name", is_="quay")),
    get(PATHS, "Observations(7)/Datastream/Thing/Locations(1)/name/$value", text("quay")),
    get(PATHS, "Datastreams(1)/Observations(1)/Datastream/Thing/Datastreams(2)/Sensor/name", equals({"name": "bucket"})),
    # -- a property and its value: 9.2.4, 9.2.5
    get(PATHS, "Things(1)/name", equals({"name": "Ferry Quay"})),
    get(PATHS, "Things(1)/name/$value", text("Ferry Quay")),
    get(PATHS, "Things(3)/name/$value", text("O'Brien's Äcker")),
    get(PATHS, "Things(1)/properties", at("properties", "owner", is_="city")),
    get(PATHS, "Things(1)/properties/$value", at("owner", is_="city")),
    get(PATHS, "Things(1)/properties/owner", equals({"owner": "city"})),
    get(PATHS, "Things(1)/properties/owner/$value", text("city")),
    get(PATHS, "Things(1)/properties/on/$value", text("true")),
    get(PATHS, "Things(1)/properties/tags[1]", equals({"tags[1]": "b"})),
    get(PATHS, "Things(1)/properties/tags%5B1%5D", equals({"tags[1]": "b"})),
    get(PATHS, "Things(1)/properties/deep/x[1]/y", equals({"y": "z"})),
    get(PATHS, "Datastreams(1)/unitOfMeasurement", equals({"unitOfMeasurement": METRE})),
    get(PATHS, "Datastreams(1)/unitOfMeasurement/symbol/$value", text("m")),
    get(PATHS, "Observations(1)/result", equals({"result": 0})),
    get(PATHS, "Observations(1)/result/$value", text("0")),
    get(PATHS, "Observations(11)/result/$value", text("high")),
    get(PATHS, "Observations(13)/result/$value", text("true")),
    get(PATHS, "Observations(14)/result/a/b", equals({"b": 5})),
    get(PATHS, "Observations(17)/result[0]", equals({"result[0]": 3.5})),
    get(PATHS, "Observations(1)/phenomenonTime/$value", text(hour(1, 0))),
    get(PATHS, "Observations(7)/validTime/$value", text(f"{hour(2, 0)}/{hour(2, 1)}")),
    get(PATHS, "Observations(1)/parameters/step", equals({"step": 0})),
    get(PATHS, "Locations(1)/location/$value", equals({"type": "Point", "coordinates": [8, 51]})),
    get(PATHS, "Locations(1)/location/type", equals({"type": "Point"})),
    get(PATHS, "FeaturesOfInterest(1)/feature/coordinates[0]/$value", text("30")),
    get(PATHS, "Things(1)/@iot.id", equals({"@iot.id": 1})),
    get(PATHS, "Things(1)/id/$value", text("1")),
    get(PATHS, "Things(1)/@iot.selfLink/$value", text(f"{ROOT}/Things(1)")),
    get(PATHS, "Things(3)/properties", empty, 204),
    get(PATHS, "Things(3)/properties/$value", empty, 204),
    get(PATHS, "Observations(7)/resultTime", empty, 204),
    get(PATHS, "Observations(7)/resultTime/$value", empty, 204),
    get(PATHS, "Observations(16)/result", empty, 204),
    # -- a link: 9.2.7
    get(PATHS, "Things(1)/Datastreams/$ref", equals({"value": [{"@iot.selfLink": f"{ROOT}/Datastreams({n})"} for n in (1, 2)]})),
    get(PATHS, "Datastreams(1)/Thing/$ref", equals({"@iot.selfLink": f"{ROOT}/Things(1)"})),
    get(PATHS, "Things(3)/Datastreams/$ref", equals({"value": []})),
    get(PATHS, "Things/$ref", at("value", 3, is_={"@iot.selfLink": f"{ROOT}/Things(4)"})),
    # -- what is not there: 9.3
    *(get(STATUS, f"{plural}(999999)", refused, 404) for plural in SETS),
    get(STATUS, "MultiDatastreams(999999)", refused, 404),
    get(STATUS, "Things(9223372036854775807)", refused, 404),
    get(STATUS, "Things(99999999999999999999999)", refused, 404),
    get(STATUS, "Things(0)", refused, 404),
    get(STATUS, "Things(-1)", refused, 404),
    get(STATUS, "Things(1.5)", refused, 404),
    get(STATUS, "Things('1')", refused, 404),
    get(STATUS, "Things(abc)", refused, 404),
    get(STATUS, "Things(null)", refused, 404),
    get(STATUS, "Things()", refused, 404),
    get(STATUS, "Things(1", refused, 404),
    get(STATUS, "Thing", refused, 404),
    get(STATUS, "things", refused, 404),
    get(STATUS, "Nothing", refused, 404),
    get(STATUS, "Things(1)/colour", refused, 404),
    get(STATUS, "Things(1)/Sensors", refused, 404),
    get(STATUS, "Things(1)/name/first", refused, 404),
    get(STATUS, "Things(1)/properties/nothing", refused, 404),
    get(STATUS, "Things(1)/properties/tags[9]", refused, 404),
    get(STATUS, "Things/name", refused, 404),
    get(STATUS, "Things/Datastreams", refused, 404),
    get(STATUS, "Things(999999)/Datastreams", refused, 404),
    get(STATUS, "Things(2)/Datastreams(1)", refused, 404),
    get(STATUS, "Things(2)/Datastreams(1)/Observations", refused, 404),
    get(STATUS, "Things(1)/Datastreams(1)/Observations(7)", refused, 404),
    get(STATUS, "Observations(1)/MultiDatastream", empty, 204),
    get(STATUS, "Things(1)/$value", refused, 404),
    # -- methods and headers
    Row(PATHS, "GET", "Things", header("content-type", "application/json")),
    Row(PATHS, "HEAD", "Things(1)", both(empty, header("content-type", "application/json"))),
    Row(STATUS, "HEAD", "Things(999999)", empty, 404),
    Row(STATUS, "HEAD", "Things?$top=x", empty, 400),
    Row(PATHS, "OPTIONS", "Things", both(empty, header("allow", "PATCH")), 204),
    Row(PATHS, "OPTIONS", "", both(empty, header("allow", "GET")), 204),
    Row(PATHS, "GET", "Things", anything, headers={"accept": "application/json;odata.metadata=minimal"}),
    Row(PATHS, "GET", "Things(1)", header("cache-control", "no-store")),
]  # fmt: skip


@pytest.mark.parametrize("row", params(ROWS))
def test_what_is_read_is_what_the_standard_says(world: Sta, row: Row) -> None:
    row.run(world)


def test_no_page_of_another_site_may_read_the_answers(world: Sta) -> None:
    response = world.ask("GET", "Things(1)", headers={"origin": "http://elsewhere.example"})
    assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_every_way_of_four_steps_leads_to_what_its_last_step_names(world: Sta, kind: EntityType) -> None:
    """The walk of OGC's suite: each set, an entity of it, each of its relations, and so on; each address and its $ref."""
    walked = _walk(world, kind, kind.plural, True, 1)
    assert walked >= 10


def _walk(sta: Sta, kind: EntityType, address: str, is_set: bool, level: int) -> int:
    shown: Any = sta.get(address)
    listed = shown["value"] if is_set else [shown]
    links = sta.get(f"{address}/$ref")
    told = links["value"] if is_set else [links]
    assert told == [{"@iot.selfLink": one["@iot.selfLink"]} for one in listed]
    for one in listed:
        assert one["@iot.selfLink"] == f"{ROOT}/{kind.plural}({one['@iot.id']})"
    if level == 4 or not listed:
        return 1
    walked = 1
    for one in (listed[0], listed[-1]) if level == 1 else listed[:1]:
        base = f"{address}({one['@iot.id']})" if is_set else address
        for link in kind.links:
            if f"{link.name}@iot.navigationLink" in one:
                walked += _walk(sta, BY_NAME[link.target], f"{base}/{link.name}", link.many, level + 1)
    return walked
