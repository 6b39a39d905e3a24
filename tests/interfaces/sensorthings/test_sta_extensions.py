"""MultiDatastreams and data arrays: req/multi-datastream and req/data-array/data-array."""

from __future__ import annotations

from typing import Any

import pytest
from sta_place import ROOT, Sta, feature, observed, place, sensor, stream, thing

UNITS = [{"name": "m/s", "symbol": "m/s", "definition": "x"}, {"name": "degree", "symbol": "deg", "definition": "y"}]
TYPES = ["http://example.org/speed", "http://example.org/angle"]


def multi(**more: Any) -> dict[str, Any]:
    body = {"name": "wind", "description": "wind", "unitOfMeasurements": UNITS, "multiObservationDataTypes": TYPES}
    return body | {"Sensor": sensor(), "ObservedProperties": [observed("direction"), observed("speed")], **more}


@pytest.fixture
def full(sta: Sta) -> Sta:
    sta.made("Things", thing(Locations=[place(8, 51)], Datastreams=[stream()], MultiDatastreams=[multi()]))
    return sta


def test_a_multi_datastream_keeps_its_observed_properties_in_their_order(full: Sta) -> None:
    shown = full.get("MultiDatastreams(1)", expand="ObservedProperties,Thing")
    assert shown["observationType"].endswith("/OM_ComplexObservation")
    assert (shown["unitOfMeasurements"], shown["multiObservationDataTypes"]) == (UNITS, TYPES)
    assert [one["name"] for one in shown["ObservedProperties"]] == ["direction", "speed"]
    two, three = (one["@iot.id"] for one in shown["ObservedProperties"])
    links = {"Thing": {"@iot.id": 1}, "ObservedProperties": [{"@iot.id": n} for n in (three, two)]}
    made = full.made("MultiDatastreams", multi() | links)
    assert full.names(f"MultiDatastreams({made})/ObservedProperties") == ["speed", "direction"]
    twice = full.made("MultiDatastreams", multi() | links | {"ObservedProperties": [{"@iot.id": two}] * 2})
    assert full.names(f"MultiDatastreams({twice})/ObservedProperties") == ["direction", "direction"]
    assert [one["name"] for one in full.get(f"MultiDatastreams({twice})", expand="ObservedProperties")["ObservedProperties"]] == [
        "direction",
        "direction",
    ]
    assert full.ids(f"ObservedProperties({two})/MultiDatastreams") == [1, made, twice]


@pytest.mark.parametrize(
    "change",
    [
        {"unitOfMeasurements": UNITS[:1]},
        {"multiObservationDataTypes": TYPES[:1]},
        {"ObservedProperties": [observed()]},
        {"ObservedProperties": []},
        {"unitOfMeasurements": {}},
    ],
)
def test_a_multi_datastream_whose_lists_differ_in_length_is_refused(sta: Sta, change: dict[str, Any]) -> None:
    sta.refused("POST", "MultiDatastreams", multi(Thing=thing()) | change)
    assert sta.get("Things")["value"] == []


def test_an_observation_of_a_multi_datastream_has_one_value_for_each_property(full: Sta) -> None:
    shown = full.make("MultiDatastreams(1)/Observations", {"result": [180, 5.5]})
    assert "MultiDatastream@iot.navigationLink" in shown
    assert "Datastream@iot.navigationLink" not in shown
    for wrong in (5, [1], [1, 2, 3], {"a": 1}):
        assert "wants an array of 2 values" in full.refused("POST", "MultiDatastreams(1)/Observations", {"result": wrong})
        full.refused("PATCH", f"Observations({shown['@iot.id']})", {"result": wrong})
    full.refused("PATCH", f"Observations({shown['@iot.id']})", {"Datastream": {"@iot.id": 1}})
    both = {"result": [1, 2], "Datastream": {"@iot.id": 1}, "MultiDatastream": {"@iot.id": 1}}
    full.refused("POST", "Observations", both)
    assert full.results("result/1 gt 5") == [[180, 5.5]]
    assert full.get("MultiDatastreams(1)")["phenomenonTime"] == "2026-11-23T07:15:00Z/2026-11-23T07:15:00Z"


def test_the_properties_of_a_multi_datastream_are_fixed_when_it_is_made(full: Sta) -> None:
    for method, path, body in (
        ("PATCH", "ObservedProperties(2)", {"MultiDatastreams": [{"@iot.id": 1}]}),
        ("PATCH", "MultiDatastreams(1)", {"ObservedProperties": [{"@iot.id": 2}]}),
        ("PATCH", "MultiDatastreams(1)", {"unitOfMeasurements": UNITS[:1]}),
        ("POST", "ObservedProperties", observed() | {"MultiDatastreams": [{"@iot.id": 1}]}),
        ("POST", "MultiDatastreams(1)/ObservedProperties", observed()),
    ):
        full.refused(method, path, body)
    assert len(full.get("MultiDatastreams(1)/ObservedProperties")["value"]) == 2


@pytest.mark.parametrize("path", ["Things(1)", "Sensors(2)", "ObservedProperties(2)"])
def test_a_multi_datastream_goes_with_what_it_cannot_be_without(full: Sta, path: str) -> None:
    full.made("MultiDatastreams(1)/Observations", {"result": [1, 2]})
    full.delete(path)
    assert full.get("MultiDatastreams")["value"] == []
    assert full.get("Observations", count="true") == {"@iot.count": 0, "value": []}


def test_observations_come_as_rows_one_table_for_each_stream(full: Sta) -> None:
    for n in range(3):
        full.made("Datastreams(1)/Observations", {"result": n, "phenomenonTime": f"2026-01-0{n + 1}T00:00:00Z"})
    full.made("MultiDatastreams(1)/Observations", {"result": [1, 2]})
    shown = full.get("Observations", resultFormat="dataArray", count="true", top=2, select="id,result,phenomenonTime")
    assert shown["@iot.count"] == 4
    assert shown["@iot.nextLink"].endswith(
        "$resultFormat=dataArray&$count=true&$top=2&$select=id%2Cresult%2CphenomenonTime&$skip=2"
    )
    assert shown["value"] == [
        {
            "Datastream@iot.navigationLink": f"{ROOT}/Datastreams(1)",
            "components": ["id", "result", "phenomenonTime"],
            "dataArray@iot.count": 2,
            "dataArray": [[1, 0, "2026-01-01T00:00:00Z"], [2, 1, "2026-01-02T00:00:00Z"]],
        }
    ]
    tables = full.get("Observations", resultFormat="dataArray")["value"]
    assert [len(one["dataArray"]) for one in tables] == [3, 1]
    assert tables[1]["MultiDatastream@iot.navigationLink"] == f"{ROOT}/MultiDatastreams(1)"
    assert {"id", "phenomenonTime", "result", "resultTime"} <= set(tables[0]["components"])
    assert full.get("Datastreams(1)/Observations", resultFormat="dataArray")["value"] == tables[:1]


def test_many_observations_are_made_in_one_request_and_each_row_is_answered(full: Sta) -> None:
    foi = full.made("FeaturesOfInterest", feature(8, 51))
    answer = full.make(
        "CreateObservations",
        [
            {
                "Datastream": {"@iot.id": 1},
                "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
                "dataArray@iot.count": 3,
                "dataArray": [
                    ["2010-12-23T10:20:00-07:00", 20, foi],
                    ["2010-12-23T10:21:00-07:00", 30, "nobody"],
                    ["2010-12-23T10:22:00-07:00", 40],
                ],
            },
            {"MultiDatastream": {"@iot.id": 1}, "components": ["result"], "dataArray": [[[5, 20]], [30]]},
            {"Datastream": {"@iot.id": 99}, "components": ["result"], "dataArray": [[5]]},
        ],
    )
    assert [one.startswith("error") for one in answer] == [False, True, True, False, True, True]
    first = full.get(answer[0])
    assert (first["result"], first["phenomenonTime"]) == (20, "2010-12-23T10:20:00-07:00")
    assert full.get(answer[3])["result"] == [5, 20]
    assert full.get("Observations", count="true")["@iot.count"] == 2


@pytest.mark.parametrize(
    "body",
    [
        [5],
        [{}],
        [{"Datastream": {"@iot.id": 1}}],
        [{"Datastream": {"@iot.id": 1}, "components": ["result", "result"], "dataArray": [[1, 2]]}],
        [{"Datastream": {"@iot.id": 1}, "components": ["phenomenonTime"], "dataArray": [["2010-12-23T10:20:00-07:00"]]}],
        [{"Datastream": {"@iot.id": 1}, "MultiDatastream": {"@iot.id": 1}, "components": ["result"], "dataArray": [[1]]}],
    ],
)
def test_a_data_array_that_is_none_is_refused_whole(full: Sta, body: Any) -> None:
    full.refused("POST", "CreateObservations", body)
    assert full.get("Observations")["value"] == []
