"""Query options as requests: OGC 18-088, 9.3."""

from __future__ import annotations

import pytest
from conformance_row import Row, absent, anything, at, both, get, ids, keys, next_link, ordered, params, refused, values
from conformance_world import hour
from sta_place import ROOT, Sta

SELECT, EXPAND, ORDERBY = "request-data/select", "request-data/expand", "request-data/orderby"
TOP, SKIP, COUNT, PAGE = "request-data/top", "request-data/skip", "request-data/count", "request-data/pagination"
ORDER, OPTION = "request-data/order", "request-data/query-status-code"

ROWS: list[Row] = [
    # -- $select
    get(SELECT, "Things", keys("name"), select="name"),
    get(SELECT, "Things(1)", keys("name", "description"), select="name,description"),
    get(SELECT, "Things(1)", keys("name", "description"), select="name, description"),
    get(SELECT, "Things(1)", keys("@iot.id"), select="id"),
    get(SELECT, "Things(1)", keys("@iot.id"), select="@iot.id"),
    get(SELECT, "Things(1)", keys("@iot.selfLink"), select="@iot.selfLink"),
    get(SELECT, "Things(1)", keys("Datastreams@iot.navigationLink"), select="Datastreams"),
    get(SELECT, "Things(3)", keys(), select="properties"),
    get(SELECT, "Things(1)/Datastreams", keys("name", "unitOfMeasurement"), select="name,unitOfMeasurement"),
    get(SELECT, "Observations", keys("result", "resultTime"), select="result,resultTime", top=10),
    get(SELECT, "Observations(1)", keys("phenomenonTime", "result", "FeatureOfInterest@iot.navigationLink"), select="phenomenonTime,result,FeatureOfInterest"),
    get(SELECT, "Datastreams(1)", keys("@iot.id", "Observations@iot.navigationLink", "Observations"), select="id,Observations", expand="Observations/FeatureOfInterest"),
    get(SELECT, "Datastreams(1)", keys("name", "Thing"), select="name", expand="Thing"),
    get(SELECT, "MultiDatastreams(1)", keys("unitOfMeasurements"), select="unitOfMeasurements"),
    get(SELECT, "Things", refused, 400, select="colour"),
    get(SELECT, "Things", refused, 400, select=""),
    # -- $expand
    get(EXPAND, "Things(1)", both(at("Datastreams", 1, "name", is_="rain at quay"), absent("Datastreams", 1, "Thing@iot.navigationLink")), expand="Datastreams"),
    get(EXPAND, "Things(1)", at("Datastreams@iot.navigationLink", is_=f"{ROOT}/Things(1)/Datastreams"), expand="Datastreams"),
    get(EXPAND, "Things", at("value", 2, "Datastreams", is_=[]), expand="Datastreams"),
    get(EXPAND, "Things", at("value", 1, "Datastreams", 0, "ObservedProperty", "name", is_="level"), expand="Datastreams/ObservedProperty"),
    get(EXPAND, "Datastreams(1)", both(at("Observations", 5, "result", is_=5), at("ObservedProperty", "name", is_="level")), expand="Observations,ObservedProperty"),
    get(EXPAND, "Datastreams(1)", at("Observations", 0, "result", is_=1), expand="Observations($filter=result eq 1)"),
    get(EXPAND, "Datastreams(1)", at("Observations", is_=[{"result": n} for n in range(6)]), expand="Observations($select=result)"),
    get(EXPAND, "Datastreams(1)", at("Observations", is_=[{"result": 5}, {"result": 4}]), expand="Observations($select=result;$orderby=result desc;$top=2)"),
    get(EXPAND, "Datastreams(1)", at("Observations", is_=[{"result": 3}]), expand="Observations($select=result;$skip=3;$top=1)"),
    get(EXPAND, "Datastreams(1)", at("Observations@iot.count", is_=6), expand="Observations($count=true;$top=1)"),
    get(EXPAND, "Datastreams(1)", at("Observations@iot.count", is_=2), expand="Observations($count=true;$filter=result gt 3)"),
    get(EXPAND, "Datastreams(1)", absent("Observations@iot.count"), expand="Observations($count=false)"),
    get(EXPAND, "Datastreams(1)", at("Observations@iot.nextLink", is_=f"{ROOT}/Datastreams(1)/Observations?$top=2&$skip=2"), expand="Observations($top=2)"),
    get(EXPAND, "Datastreams(1)", absent("Observations@iot.nextLink"), expand="Observations($top=6)"),
    get(EXPAND, "Things(1)", at("Datastreams", 0, "Observations", 0, is_={"result": 5}), expand="Datastreams($expand=Observations($orderby=phenomenonTime desc;$top=1;$select=result))"),
    get(EXPAND, "Things(1)", at("Datastreams", 0, "Observations", 0, "FeatureOfInterest", "name", is_="quay"), expand="Datastreams/Observations/FeatureOfInterest"),
    get(EXPAND, "Things(1)", at("Datastreams", 0, "Sensor", is_={"name": "radar"}), expand="Datastreams($select=name;$expand=Sensor($select=name),ObservedProperty)"),
    get(EXPAND, "Things(1)", both(at("Locations", 0, "name", is_="quay"), at("HistoricalLocations", 0, "Locations", 0, "name", is_="quay")), expand="Locations,HistoricalLocations/Locations"),
    get(EXPAND, "Observations(1)", at("Datastream", "Thing", "Locations", 0, "name", is_="quay"), expand="Datastream/Thing/Locations"),
    get(EXPAND, "Observations", at("value", 0, "FeatureOfInterest", "name", is_="quay"), expand="FeatureOfInterest", top=1),
    get(EXPAND, "Locations(1)", at("Things", 0, "Datastreams", 1, "name", is_="rain at quay"), expand="Things/Datastreams"),
    get(EXPAND, "Sensors(1)", at("Datastreams", 1, "name", is_="state of bridge"), expand="Datastreams"),
    get(EXPAND, "FeaturesOfInterest(4)", at("Observations", 9, "result", is_=9), expand="Observations"),
    get(EXPAND, "HistoricalLocations(2)", at("Thing", "name", is_="Old Bridge"), expand="Thing"),
    get(EXPAND, "MultiDatastreams(1)", at("ObservedProperties", 1, "name", is_="direction"), expand="ObservedProperties"),
    get(EXPAND, "Observations(17)", both(at("MultiDatastream", "name", is_="wind"), absent("Datastream")), expand="MultiDatastream,Datastream"),
    get(EXPAND, "Things(1)/Datastreams(1)/Observations(1)", at("Datastream", "name", is_="level at quay"), expand="Datastream"),
    get(EXPAND, "Datastreams(1)/Thing", at("Locations", 0, "name", is_="quay"), expand="Locations"),
    get(EXPAND, "Things(1)", at("Datastreams", 0, "name", is_="rain at quay"), expand="Datastreams($filter=unitOfMeasurement/symbol eq 'mm')"),
    get(EXPAND, "Things(1)", at("Datastreams", is_=[]), expand="Datastreams($filter=name eq 'a;b,(c)')"),
    get(EXPAND, "Things", refused, 400, expand="Sensors"),
    get(EXPAND, "Things", refused, 400, expand="Datastreams/Things"),
    get(EXPAND, "Things", refused, 400, expand="Datastreams($filter=)"),
    get(EXPAND, "Things", refused, 400, expand="name"),
    get(EXPAND, "Things", refused, 400, expand="Datastreams("),
    # -- $orderby
    get(ORDERBY, "Things", ids(1, 3, 2, 4), orderby="name"),
    get(ORDERBY, "Things", ids(1, 3, 2, 4), orderby="name asc"),
    get(ORDERBY, "Things", ids(4, 2, 3, 1), orderby="name desc"),
    get(ORDERBY, "Things", ids(4, 3, 2, 1), orderby="id desc"),
    get(ORDERBY, "Things", ids(4, 3, 2, 1), orderby="@iot.id  desc"),
    get(ORDERBY, "Datastreams(1)/Observations", ordered(5, 4, 3, 2, 1, 0), orderby="result desc"),
    get(ORDERBY, "Datastreams(1)/Observations", ordered(5, 4, 3, 2, 1, 0), orderby="phenomenonTime desc"),
    get(ORDERBY, "Datastreams(2)/Observations", ordered(9, 8, 7, 6), orderby="validTime desc"),
    get(ORDERBY, "Observations", ordered(9, 8, 7, 6, 0, 1, 2, 3, 4, 5), orderby="resultTime asc,result desc", filter="result ge 0"),
    get(ORDERBY, "Observations", ordered(5, 4, 3, 2, 1, 0, 6, 7, 8, 9), orderby="resultTime desc,result", filter="result ge 0"),
    get(ORDERBY, "Observations", ordered(6, 7, 8, 9, 0, 1, 2, 3, 4, 5), orderby="Datastream/id desc, phenomenonTime", filter="result ge 0"),
    get(ORDERBY, "Observations", ordered(6, 7, 8, 9, 0, 1, 2, 3, 4, 5), orderby="Datastreams/id desc, phenomenonTime", filter="result ge 0"),
    get(ORDERBY, "Datastreams", ids(3, 1, 2), orderby="Thing/name desc,name"),
    get(ORDERBY, "Observations", ordered(6, 7, 8, 9, 0, 1, 2, 3, 4, 5), orderby="Datastream/ObservedProperty/name desc,id", filter="result ge 0"),
    get(ORDERBY, "Datastreams", ids(1, 3, 2), orderby="unitOfMeasurement/symbol,id"),
    get(ORDERBY, "Things", ids(3, 1, 2), orderby="properties/km", filter="not startswith(name,'Wind')"),
    get(ORDERBY, "Things", ids(2, 1, 3), orderby="properties/km desc", filter="not startswith(name,'Wind')"),
    get(ORDERBY, "Datastreams(1)/Observations", ordered(0, 3, 1, 4, 2, 5), orderby="result mod 3,result"),
    get(ORDERBY, "Things", ids(4, 1, 2, 3), orderby="length(name),name"),
    get(ORDERBY, "Things", refused, 400, orderby="colour"),
    get(ORDERBY, "Things", refused, 400, orderby="name downwards"),
    get(ORDERBY, "Things", refused, 400, orderby=""),
    # -- $top, $skip, $count and pages
    get(TOP, "Things", ids(1, 2), top=2),
    get(TOP, "Things", values([]), top=0),
    get(TOP, "Things", ids(1, 2, 3, 4), top=4),
    get(TOP, "Things", ids(1, 2, 3, 4), top=999999),
    get(TOP, "Observations", ids(16, 15), top=2, orderby="phenomenonTime desc", filter="id lt 17"),
    get(TOP, "Things(1)/Datastreams", ids(1), top=1),
    *(get(TOP, "Things", refused, 400, top=wrong) for wrong in ("-1", "x", "1.5", "", "1e1")),
    get(SKIP, "Things", ids(3, 4), skip=2),
    get(SKIP, "Things", ids(3), skip=2, top=1),
    get(SKIP, "Things", values([]), skip=4),
    get(SKIP, "Things", values([]), skip=100000),
    get(SKIP, "Datastreams(1)/Observations", ordered(2, 3), skip=2, top=2, orderby="resultTime"),
    *(get(SKIP, "Things", refused, 400, skip=wrong) for wrong in ("-1", "x", "1.5", "")),
    get(COUNT, "Things", at("@iot.count", is_=4), count="true"),
    get(COUNT, "Things", absent("@iot.count"), count="false"),
    get(COUNT, "Things", at("@iot.count", is_=4), count="true", top=1, skip=2, expand="Datastreams"),
    get(COUNT, "Things", at("@iot.count", is_=1), count="true", filter="name eq 'Old Bridge'"),
    get(COUNT, "Things(1)/Datastreams", at("@iot.count", is_=2), count="true", top=1),
    get(COUNT, "Observations", at("@iot.count", is_=18), count="true", top=0),
    get(COUNT, "Datastreams(2)/Observations", at("@iot.count", is_=4), count="true"),
    get(COUNT, "FeaturesOfInterest(4)/Observations", at("@iot.count", is_=10), count="true", top=1),
    get(COUNT, "MultiDatastreams(1)/Observations", at("@iot.count", is_=2), count="true", top=1),
    *(get(COUNT, "Things", refused, 400, count=wrong) for wrong in ("yes", "1", "")),
    get(PAGE, "Things", next_link("Things?$top=2&$skip=2"), top=2),
    get(PAGE, "Things", next_link(None), top=2, skip=2),
    get(PAGE, "Things", next_link(None), top=4),
    get(PAGE, "Things", next_link(None)),
    get(PAGE, "Things", next_link("Things?$orderby=name%20desc&$top=1&$select=name&$count=true&$skip=3"), orderby="name desc", skip=2, top=1, select="name", count="true"),
    get(PAGE, "Things/$ref", next_link("Things/$ref?$top=3&$skip=3"), top=3),
    get(PAGE, "Things(1)/Datastreams", next_link("Things(1)/Datastreams?$top=1&$skip=1"), top=1),
    # -- the order in which they are taken, 9.3.1, and what is no option
    get(ORDER, "Observations", both(at("@iot.count", is_=6), at("value", 0, "result", is_=6)), count="true", top=1, skip=2, orderby="phenomenonTime asc", filter="result gt '3' and id lt 11"),
    get(ORDER, "Observations", both(at("@iot.count", is_=6), at("value", is_=[{"result": 7}])), select="result", top=1, skip=2, filter="result ge 4 and id lt 11", orderby="result desc", count="true"),
    *(get(OPTION, f"Things?{name}=x", refused, 501) for name in ("$search", "$apply", "$compute", "$format", "$skiptoken", "$levels", "$jump", "$Filters")),
    get(OPTION, "Things?$expand=Datastreams($search=x)", refused, 501),
    get(OPTION, "Things?$top=1&$top=2", refused, 400),
    get(OPTION, "Things?top=1", refused, 400),
    get(OPTION, "Things?$orderBy=id%20desc", ids(4, 3, 2, 1)),
    get(OPTION, "Things?$filter=id+eq+1", ids(1)),
    get(OPTION, "Things?%24filter=id%20eq%201", ids(1)),
    get(OPTION, "Things?$filter=id%20eq%201&", ids(1)),
    get(OPTION, "Things?", anything),
]  # fmt: skip


@pytest.mark.parametrize("row", params(ROWS))
def test_an_option_does_what_the_standard_says(world: Sta, row: Row) -> None:
    row.run(world)


def test_the_links_to_the_next_pages_lead_over_every_entity_once(world: Sta) -> None:
    for start in ("Observations?$top=4", "Observations?$top=5&$orderby=result%20desc", "Datastreams(1)/Observations?$top=1"):
        seen: list[int] = []
        following: str | None = start
        while following is not None:
            page = world.get(following)
            seen += [one["@iot.id"] for one in page["value"]]
            following = page.get("@iot.nextLink")
        assert sorted(seen) == (list(range(1, 19)) if start.startswith("Observations") else list(range(1, 7)))
        assert len(set(seen)) == len(seen)


def test_the_newest_of_each_stream_is_one_request(world: Sta) -> None:
    shown = world.get(
        "Datastreams", expand="Observations($orderby=phenomenonTime desc;$top=1;$select=phenomenonTime)", select="id"
    )
    times = [one["Observations"][0]["phenomenonTime"] for one in shown["value"]]
    assert times == [hour(1, 5), f"{hour(2, 3)}/{hour(2, 4)}", hour(3, 5)]
