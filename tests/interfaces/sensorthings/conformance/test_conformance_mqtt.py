"""Create and receive updates by MQTT, row by row, against `tocsin sensorthings try` as a process: OGC 18-088, 13 and 14."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from conformance_world import hour, multi
from sta_place import feature, observed, place, sensor, stream, thing

COMMAND = [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()", "sensorthings", "try", "--port", "0", "--json"]
CREATE, UPDATES = "create-observations-via-mqtt/observations-creation", "receive-updates-via-mqtt/receive-updates"
SPEC = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
WAIT_S = 30.0
Heard = queue.Queue[tuple[str, Any]]


@dataclass
class Line:
    """A client by MQTT and one by HTTP, of one service."""

    root: str
    mqtt: mqtt.Client
    heard: Heard = field(default_factory=queue.Queue)

    def subscribe(self, topic: str) -> None:
        done: queue.Queue[int] = queue.Queue()
        self.mqtt.on_subscribe = lambda _c, _u, _m, codes, _p: done.put(codes[0].value)
        self.mqtt.subscribe(topic, qos=1)
        assert done.get(timeout=WAIT_S) == 1

    def unsubscribe(self, topic: str) -> None:
        done: queue.Queue[bool] = queue.Queue()
        self.mqtt.on_unsubscribe = lambda _c, _u, _m, _codes, _p: done.put(True)
        self.mqtt.unsubscribe(topic)
        assert done.get(timeout=WAIT_S)

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        response = httpx.request(method, f"{self.root}/{path}", json=body, timeout=WAIT_S)
        assert response.status_code < 300, response.text
        return response

    def publish(self, topic: str, body: Any) -> None:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.mqtt.publish(topic, sent, qos=1).wait_for_publish(WAIT_S)


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    one = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    found = Line(told["address"].rstrip("/"), one)
    one.on_message = lambda _c, _u, message: found.heard.put((message.topic, json.loads(message.payload)))
    host, port = told["mqtt"].removeprefix("mqtt://").split(":")
    one.connect(host, int(port))
    one.loop_start()
    for name in ("level", "rain"):
        found.ask("POST", "ObservedProperties", observed(name))
    streams = [stream("level", ObservedProperty={"@iot.id": 1}, Observations=[{"result": 0}])]
    winds = [multi(Sensor=sensor("sonic"), ObservedProperties=[{"@iot.id": 1}, {"@iot.id": 2}])]
    found.ask("POST", "Things", thing(Locations=[place(8, 51)], Datastreams=streams, MultiDatastreams=winds))
    found.ask("POST", "Things", thing("other", Locations=[place(9, 51)], Datastreams=[stream("other")]))
    yield found
    one.disconnect()
    one.loop_stop()
    process.send_signal(signal.SIGTERM)
    process.wait(WAIT_S)


# topic, method, path, body, and the address whose JSON the message must be; {} stands for the id in the answer.
OBSERVATION = {"result": 2.5, "phenomenonTime": hour(1, 0), "Datastream": {"@iot.id": 1}}
UPDATE_ROWS: list[tuple[str, str, str, Any, str]] = [
    ("Things", "POST", "Things", thing("new"), "Things({})"),
    ("Locations", "POST", "Locations", place(1, 2, "new"), "Locations({})"),
    ("Sensors", "POST", "Sensors", sensor("new"), "Sensors({})"),
    ("ObservedProperties", "POST", "ObservedProperties", observed("new"), "ObservedProperties({})"),
    ("FeaturesOfInterest", "POST", "FeaturesOfInterest", feature(1, 2, "new"), "FeaturesOfInterest({})"),
    ("Datastreams", "POST", "Datastreams", stream("new", Thing={"@iot.id": 2}), "Datastreams({})"),
    ("Observations", "POST", "Observations", OBSERVATION, "Observations({})"),
    ("HistoricalLocations", "POST", "HistoricalLocations", {"time": hour(1, 0), "Thing": {"@iot.id": 2}}, "HistoricalLocations({})"),
    ("HistoricalLocations", "PATCH", "Things(2)", {"Locations": [{"@iot.id": 1}]}, "Things(2)/HistoricalLocations?$orderby=id%20desc&$top=1"),
    ("MultiDatastreams", "PATCH", "MultiDatastreams(1)", {"name": "breeze"}, "MultiDatastreams(1)"),
    *((plural, "PATCH", f"{plural}(1)", body, f"{plural}(1)") for plural, body in (
        ("Things", {"name": "a"}), ("Locations", {"name": "a"}), ("Sensors", {"metadata": "a"}), ("ObservedProperties", {"name": "a"}), ("FeaturesOfInterest", {"name": "a"}),
        ("Datastreams", {"name": "a"}), ("Observations", {"result": 9}), ("HistoricalLocations", {"time": hour(2, 0)}))),
    *((f"{plural}(1)", "PUT", f"{plural}(1)", body, f"{plural}(1)") for plural, body in (
        ("Things", thing("b")), ("Locations", place(1, 2, "b")), ("Sensors", sensor("b")), ("ObservedProperties", observed("b")), ("FeaturesOfInterest", feature(1, 2, "b")),
        ("Datastreams", {k: v for k, v in stream("b").items() if k[0].islower()}), ("Observations", {"result": 8, "phenomenonTime": hour(3, 0)}), ("HistoricalLocations", {"time": hour(3, 0)}))),
    *((f"{plural}(1)/{name}", "PATCH", f"{plural}(1)", {name: value}, f"{plural}(1)/{name}") for plural, name, value in (
        ("Things", "name", "c"), ("Things", "properties", {"a": 1}), ("Locations", "location", {"type": "Point", "coordinates": [3, 4]}), ("Sensors", "description", "c"),
        ("ObservedProperties", "definition", "c"), ("Datastreams", "unitOfMeasurement", {"name": "x", "symbol": "x", "definition": "x"}), ("Observations", "result", 7), ("HistoricalLocations", "time", hour(4, 0)))),
    ("Things(1)/description", "PUT", "Things(1)", thing("d"), "Things(1)/description"),
    ("Observations?$select=result", "POST", "Observations", OBSERVATION, "Observations({})?$select=result"),
    ("Observations?$select=result,phenomenonTime", "POST", "Observations", OBSERVATION, "Observations({})?$select=result,phenomenonTime"),
    ("Things(1)?$select=name,id", "PATCH", "Things(1)", {"name": "e"}, "Things(1)?$select=name,id"),
    ("Datastreams(1)/Observations", "POST", "Datastreams(1)/Observations", {"result": 1}, "Observations({})"),
    ("Datastreams(1)/Observations?$select=result", "POST", "Datastreams(1)/Observations", {"result": 2}, "Observations({})?$select=result"),
    ("MultiDatastreams(1)/Observations", "POST", "MultiDatastreams(1)/Observations", {"result": [1, 2]}, "Observations({})"),
    ("Things(1)/Datastreams(1)/Observations", "POST", "Datastreams(1)/Observations", {"result": 3}, "Observations({})"),
    ("FeaturesOfInterest(1)/Observations", "POST", "FeaturesOfInterest(1)/Observations", {"result": 4, "Datastream": {"@iot.id": 1}}, "Observations({})"),
    ("Observations(1)/Datastream", "PATCH", "Datastreams(1)", {"name": "f"}, "Datastreams(1)"),
    ("Observations(1)/Datastream/Thing", "PATCH", "Things(1)", {"name": "f"}, "Things(1)"),
    ("Observations(1)/Datastream/Thing/name", "PATCH", "Things(1)", {"name": "g"}, "Things(1)/name"),
    ("Things(1)/Datastreams", "PATCH", "Datastreams(1)", {"name": "g"}, "Datastreams(1)"),
    ("Datastreams(1)/Sensor", "PATCH", "Sensors(1)", {"name": "g"}, "Sensors(1)"),
    ("Datastreams(1)/Thing/Locations", "PATCH", "Locations(1)", {"name": "g"}, "Locations(1)"),
    ("Things(1)/Locations", "POST", "Things(1)/Locations", place(5, 6, "moved"), "Locations({})"),
]  # fmt: skip
QUIET_ROWS: list[tuple[str, str, str, Any]] = [
    ("Datastreams(2)/Observations", "POST", "Datastreams(1)/Observations", {"result": 1}),
    ("Things(2)", "PATCH", "Things(1)", {"name": "h"}),
    ("Things(1)/name", "PATCH", "Things(1)", {"description": "h"}),
    ("Things", "PATCH", "Locations(1)", {"name": "h"}),
    ("Things(2)/Datastreams", "PATCH", "Datastreams(1)", {"name": "h"}),
    ("Observations", "DELETE", "Observations(2)", None),
]
LEVEL = {**stream("deep"), "Thing": thing("deep", Locations=[place(1, 2)])}
CREATE_ROWS: list[tuple[str, Any, int]] = [
    ("Observations", OBSERVATION | {"result": 101}, 101),
    ("Datastreams(1)/Observations", {"result": 102, "phenomenonTime": hour(5, 0)}, 102),
    ("Datastreams(1)/Observations", {"result": 103, "FeatureOfInterest": feature(1, 2, "inner"), "parameters": {"a": 1}}, 103),
    ("FeaturesOfInterest(1)/Observations", {"result": 104, "Datastream": {"@iot.id": 1}}, 104),
    ("Things(1)/Datastreams(1)/Observations", {"result": 105, "resultTime": hour(5, 0)}, 105),
    ("Observations", {"result": 106, "Datastream": LEVEL, "FeatureOfInterest": feature(1, 2)}, 106),
]
ROWS = (
    [(UPDATES, row[0]) for row in UPDATE_ROWS]
    + [(UPDATES, row[0]) for row in QUIET_ROWS]
    + [(CREATE, row[0]) for row in CREATE_ROWS]
)


def bare(told: Any) -> Any:
    """What a GET told, as an entity: of a page the first."""
    return told["value"][0] if isinstance(told, dict) and isinstance(told.get("value"), list) else told


@pytest.mark.parametrize(
    ("topic", "method", "path", "body", "wanted"), UPDATE_ROWS, ids=[f"{r[0]} {r[1]} {r[2]}" for r in UPDATE_ROWS]
)
def test_who_subscribed_to_an_address_hears_what_a_get_would_tell(
    line: Line, topic: str, method: str, path: str, body: Any, wanted: str
) -> None:
    line.subscribe(f"v1.1/{topic}")
    response = line.ask(method, path, body)
    heard = line.heard.get(timeout=WAIT_S)
    line.unsubscribe(f"v1.1/{topic}")
    told = httpx.get(f"{line.root}/{wanted.format(response.json()['@iot.id'])}").json()
    assert heard == (f"v1.1/{topic}", bare(told))
    assert line.heard.empty()


@pytest.mark.parametrize(("topic", "method", "path", "body"), QUIET_ROWS, ids=[f"{r[0]} {r[1]} {r[2]}" for r in QUIET_ROWS])
def test_who_subscribed_to_something_else_hears_nothing(line: Line, topic: str, method: str, path: str, body: Any) -> None:
    line.subscribe(f"v1.1/{topic}")
    line.subscribe("v1.1/Sensors(1)/name")
    line.ask(method, path, body)
    line.ask("PATCH", "Sensors(1)", {"name": "said after it"})
    assert line.heard.get(timeout=WAIT_S) == ("v1.1/Sensors(1)/name", {"name": "said after it"})
    assert line.heard.empty()
    line.unsubscribe(f"v1.1/{topic}")
    line.unsubscribe("v1.1/Sensors(1)/name")


@pytest.mark.parametrize(("topic", "body", "result"), CREATE_ROWS, ids=[row[0] for row in CREATE_ROWS])
def test_a_message_to_a_set_of_observations_is_a_new_one(line: Line, topic: str, body: Any, result: int) -> None:
    line.publish(f"v1.1/{topic}", body)
    found = httpx.get(f"{line.root}/Observations?$filter=result%20eq%20{result}&$expand=Datastream,FeatureOfInterest").json()[
        "value"
    ]
    assert len(found) == 1
    assert {name: value for name, value in body.items() if name[0].islower()}.items() <= found[0].items()
    assert found[0]["FeatureOfInterest"]["@iot.id"] > 0


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b"[]", b'"x"', b"{}"])
def test_a_message_that_is_no_observation_makes_none(line: Line, body: bytes) -> None:
    count = httpx.get(f"{line.root}/Observations?$count=true&$top=0").json()["@iot.count"]
    line.publish("v1.1/Datastreams(1)/Observations", body)
    line.publish("v1.1/Things", {"name": "x", "description": "x"})
    assert httpx.get(f"{line.root}/Observations?$count=true&$top=0").json()["@iot.count"] == count
    assert httpx.get(f"{line.root}/Things?$filter=name%20eq%20'x'").json()["value"] == []


def test_the_landing_page_claims_both_classes_and_names_the_endpoint(line: Line) -> None:
    settings = httpx.get(line.root).json()["serverSettings"]
    assert {SPEC + CREATE, SPEC + UPDATES} <= set(settings["conformance"])
    assert settings[SPEC + CREATE]["endpoints"] == settings[SPEC + UPDATES]["endpoints"]
