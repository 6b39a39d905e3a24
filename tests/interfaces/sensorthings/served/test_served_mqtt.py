"""The MQTT half of a served instance, by a client that others wrote: OGC 18-088, 13 and 14."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from served_place import WEIR, Wire, ids_of

paho = pytest.importorskip("paho.mqtt.client")
SETS = ("Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "ObservedProperties", "Observations")


class Heard:
    """A client and what it has heard."""

    def __init__(self, port: int, protocol: int) -> None:
        self.messages: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.granted: queue.Queue[Any] = queue.Queue()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=protocol)
        self.client.on_message = lambda _c, _u, m: self.messages.put((m.topic, json.loads(m.payload)))
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.granted.put(codes)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def subscribe(self, *topics: str, qos: int = 1) -> None:
        for topic in topics:
            self.client.subscribe(topic, qos)
            assert not self.granted.get(timeout=10)[0].is_failure

    def hear(self, count: int) -> dict[str, Any]:
        """So many messages, by their topics."""
        return dict(self.messages.get(timeout=10) for _ in range(count))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(params=[paho.MQTTv311, paho.MQTTv5], ids=["3.1.1", "5"])
def heard(request: pytest.FixtureRequest, wire: Wire) -> Iterator[Heard]:
    found = Heard(wire.mqtt_port, request.param)
    yield found
    found.close()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_set_hears_of_what_a_deep_insert_made(heard: Heard, wire: Wire, qos: int) -> None:
    heard.subscribe(*(f"v1.1/{plural}" for plural in SETS), qos=qos)
    weir = WEIR | {"name": "weir of mqtt", "Datastreams": [WEIR["Datastreams"][0] | {"Observations": [{"result": 1}]}]}  # type: ignore[index]
    thing = wire.made("Things", weir)
    found = heard.hear(len(SETS))
    assert set(found) == {f"v1.1/{plural}" for plural in SETS}
    assert found["v1.1/Things"] == wire.get(f"Things({thing})")
    assert found["v1.1/Observations"] == wire.get(found["v1.1/Observations"]["@iot.selfLink"])


def test_topics_of_an_entity_a_property_a_relation_and_a_choice(heard: Heard, wire: Wire) -> None:
    made = ids_of(wire, wire.made("Things", WEIR | {"name": "weir of topics"}))
    thing = f"v1.1/Things({made['T']})"
    heard.subscribe(thing, f"{thing}/name", f"v1.1/Datastreams({made['D']})/Thing", "v1.1/Things?$select=name,id")
    wire.json("PATCH", f"Things({made['T']})", {"name": "renamed"}, 200)
    found = heard.hear(4)
    whole = wire.get(f"Things({made['T']})")
    assert found[thing] == found[f"v1.1/Datastreams({made['D']})/Thing"] == whole
    assert found[f"{thing}/name"] == {"name": "renamed"}
    assert found["v1.1/Things?$select=name,id"] == {"@iot.id": made["T"], "name": "renamed"}


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize(
    "topic",
    [
        "Observations",
        "Datastreams({D})/Observations",
        "Things({T})/Datastreams({D})/Observations",
        "FeaturesOfInterest({F})/Observations",
    ],
)
def test_a_message_makes_an_observation(heard: Heard, wire: Wire, ids: dict[str, int], topic: str, qos: int) -> None:
    stream = f"v1.1/Datastreams({ids['D']})/Observations?$select=result"
    heard.subscribe(stream)
    said = {"result": qos + 0.5, "phenomenonTime": "2026-05-09T00:00:00Z"}
    if "Datastreams" not in topic:
        said["Datastream"] = {"@iot.id": ids["D"]}  # type: ignore[assignment]
    heard.client.publish("v1.1/" + topic.format(**ids), json.dumps(said), qos)
    assert heard.hear(1)[stream] == {"result": qos + 0.5}
    made = wire.get(f"Datastreams({ids['D']})/Observations", orderby="id desc", top=1)["value"][0]
    assert made["result"] == qos + 0.5
    assert wire.ask("DELETE", f"Observations({made['@iot.id']})")[0] == 200
