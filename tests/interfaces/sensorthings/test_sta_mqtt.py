"""`tocsin sensorthings try` as a process, over HTTP and MQTT: what the landing page names is there, and does what OGC 18-088, 13 and 14 say."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest

COMMAND = [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()", "sensorthings", "try", "--port", "0", "--json"]
SPEC = "http://www.opengis.net/spec/iot_sensing/1.1/req/"
CREATE, UPDATES = f"{SPEC}create-observations-via-mqtt/observations-creation", f"{SPEC}receive-updates-via-mqtt/receive-updates"
WAIT_S = 30.0


@pytest.fixture(scope="module")
def trial() -> Iterator[dict[str, str]]:
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.wait(WAIT_S)


@pytest.fixture
def client(trial: dict[str, str]) -> Iterator[tuple[mqtt.Client, queue.Queue[tuple[str, Any]]]]:
    heard: queue.Queue[tuple[str, Any]] = queue.Queue()
    one = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    one.on_message = lambda _c, _u, message: heard.put((message.topic, json.loads(message.payload)))
    host, port = trial["mqtt"].removeprefix("mqtt://").split(":")
    one.connect(host, int(port))
    one.loop_start()
    yield one, heard
    one.disconnect()
    one.loop_stop()


def subscribe(one: mqtt.Client, topic: str) -> None:
    done: queue.Queue[int] = queue.Queue()
    one.on_subscribe = lambda _c, _u, _m, codes, _p: done.put(codes[0].value)
    one.subscribe(topic, qos=1)
    assert done.get(timeout=WAIT_S) == 1


def test_the_landing_page_names_the_endpoint(trial: dict[str, str]) -> None:
    settings = httpx.get(trial["address"]).json()["serverSettings"]
    assert {CREATE, UPDATES} <= set(settings["conformance"])
    assert settings[CREATE] == settings[UPDATES] == {"endpoints": [trial["mqtt"]]}


def test_what_a_client_publishes_is_created_and_who_subscribed_hears_of_it(
    trial: dict[str, str], client: tuple[mqtt.Client, queue.Queue[tuple[str, Any]]]
) -> None:
    one, heard = client
    root = trial["address"]
    stream = {
        "name": "level", "description": "of the river", "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "unitOfMeasurement": {"name": "metre", "symbol": "m", "definition": "ucum:m"},
        "Sensor": {"name": "float", "description": "a float", "encodingType": "text/plain", "metadata": "none"},
        "ObservedProperty": {"name": "level", "definition": "urn:level", "description": "of water"},
    }  # fmt: skip
    thing = {
        "name": "pier", "description": "a pier", "Datastreams": [stream],
        "Locations": [{"name": "p", "description": "p", "encodingType": "application/geo+json", "location": {"type": "Point", "coordinates": [1, 2]}}],
    }  # fmt: skip
    made = httpx.post(f"{root}/Things", json=thing)
    assert made.status_code == 201, made.text
    id_ = httpx.get(f"{made.headers['location']}/Datastreams").json()["value"][0]["@iot.id"]
    topic = f"v1.1/Datastreams({id_})/Observations"
    for wanted in (topic, "v1.1/Observations", f"v1.1/Things({made.json()['@iot.id']})/name"):
        subscribe(one, wanted)
    one.publish(topic, json.dumps({"result": 2.5, "phenomenonTime": "2026-01-01T00:00:00Z"}), qos=1).wait_for_publish(WAIT_S)
    told = dict(heard.get(timeout=WAIT_S) for _ in range(2))
    assert told[topic]["result"] == told["v1.1/Observations"]["result"] == 2.5
    assert httpx.get(f"{root}/Datastreams({id_})/Observations").json()["value"][0]["phenomenonTime"] == "2026-01-01T00:00:00Z"
    httpx.patch(made.headers["location"], json={"name": "new pier"}).raise_for_status()
    assert heard.get(timeout=WAIT_S) == (f"v1.1/Things({made.json()['@iot.id']})/name", {"name": "new pier"})
