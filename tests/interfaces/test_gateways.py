"""The ways into a running platform, by clients of others: HTTP with httpx, MQTT with paho-mqtt, SensorThings over both."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from cli_place import build_place, feature, geojson, lonlat, run
from test_serve import ADA, COMMANDER, PATIENCE_S, Served

from tocsin.host import WallClock
from tocsin.interfaces.serving import things_or_new

SENSOR, SECRET = "weather-mast", "long secret of a mast"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, int]]:
    """A platform with a level gauge, a commander, and a sensor that may only bring readings; and the port of its MQTT endpoint."""
    folder = tmp_path_factory.mktemp("gateways")
    limits = {"yellow": 0.5, "orange": 1.0, "red": 2.0, "limits_source": "this test"}
    spot = lonlat(3.5, 8.5)
    gauge = feature("Point", spot, site="quay", name="Quay", quantity="river_level", unit="m", water="lake", **limits)
    other = feature("Point", spot, site="mole", name="Mole", quantity="river_level", unit="m", water="lake", **limits)
    twin = build_place(folder, "--gauges", geojson(folder / "gauges.geojson", [gauge, other]), "--cell", "200")
    data = folder / "centre"
    roles = ("--role", "administrator", "--role", "commander", "--role", "operator")
    code, _, err = run("user", "add", data, ADA, *roles, "--purpose", "exercise", stdin=f"{COMMANDER}\n")
    assert code == 0, err
    code, _, err = run("user", "add", data, SENSOR, "--role", "sensor", "--as", ADA, stdin=f"{COMMANDER}\n{SECRET}\n")
    assert code == 0, err
    platform = Served(twin, data, "--mqtt-port", "0", "--purpose", "exercise").is_up()
    try:
        port = int(platform.wait_for_line("MQTT")["mqtt_port"])
        platform.sign_in()
        yield platform, port
    finally:
        platform.process.kill()
        platform.process.wait()


class Client:
    """paho-mqtt, connected, with what it heard."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.username_pw_set(user, password)
        self.client.on_message = lambda _c, _u, message: self.heard.put((message.topic, json.loads(message.payload)))
        self.subscribed: queue.Queue[int] = queue.Queue()
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self.subscribed.put(codes[0].value)
        self.connected: queue.Queue[int] = queue.Queue()
        self.client.on_connect = lambda _c, _u, _f, code, _p: self.connected.put(code.value)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.code = self.connected.get(timeout=PATIENCE_S)

    def subscribe(self, topic: str) -> int:
        self.client.subscribe(topic, qos=1)
        return self.subscribed.get(timeout=PATIENCE_S)

    def publish(self, topic: str, told: Any) -> None:
        """Returns when the endpoint has acknowledged."""
        self.client.publish(topic, json.dumps(told), qos=1).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def client(served: tuple[Served, int]) -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def connect(user: str = SENSOR, password: str = SECRET) -> Client:
        made.append(Client(served[1], user, password))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def reading(value: float, site: str = "quay", minutes_ago: float = 0.0) -> dict[str, Any]:
    time_ = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {"site": site, "quantity": "river_level", "unit": "m", "time": time_.isoformat(), "value": value}


def value_of(platform: Served, site: str) -> Any:
    return next(g["value"] for g in platform.get("/gauges") if g["site"] == site)


def until(what: str, ask: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(0.1)
    return pytest.fail(f"waited for {what}")


def test_a_reading_by_http_is_acknowledged_on_disk_and_shown(served: tuple[Served, int]) -> None:
    platform, _ = served
    address = f"{platform.address}ingest"
    assert httpx.post(address, json=reading(0.1)).status_code == 401
    assert httpx.post(address, json=reading(0.1), auth=(SENSOR, "wrong")).status_code == 401
    done = httpx.post(address, json=reading(0.21), auth=(SENSOR, SECRET))
    assert done.status_code == 200, done.text
    assert value_of(platform, "quay") == 0.21
    source = next(s for s in platform.get("/sources")["sources"] if s["site"] == "quay")
    assert (source["value"], source["good_share"], source["blind"]) == (0.21, 1.0, [])
    bad = httpx.post(address, json={"site": "quay", "quantity": "moon", "value": 1}, auth=(SENSOR, SECRET))
    assert bad.status_code == 422
    assert "moon" in bad.text
    told = platform.get("/sources")
    assert sum(told["refused"][SENSOR].values()) == 1
    assert {one["name"] for one in told["collectors"]} >= {"river_level files", "rain_amount files"}


def test_a_reading_by_mqtt_raises_a_warning_that_a_subscriber_hears(
    served: tuple[Served, int], client: Callable[..., Client]
) -> None:
    platform, _ = served
    ada, mast = client(ADA, COMMANDER), client()
    assert ada.subscribe("tocsin/warnings/#") == 1
    mast.publish("readings/mast", reading(0.1, minutes_ago=2.0))
    mast.publish("readings/mast", reading(2.5))
    assert value_of(platform, "quay") == 2.5  # acknowledged, so it is there
    topic, warning = ada.heard.get(timeout=PATIENCE_S)
    while warning["rule"] != "river_level_high":
        topic, warning = ada.heard.get(timeout=PATIENCE_S)
    assert topic == "tocsin/warnings/flood/quay/river_level_high"
    assert (warning["level"], warning["site"], warning["purpose"], warning["public"]) == ("red", "quay", "exercise", True)
    draft = platform.wait_until("/alerts", lambda alerts: [a for a in alerts if a["warning"] == warning["id"]])
    id_ = next(a["id"] for a in draft if a["warning"] == warning["id"])
    status, told = platform.ask(f"/alerts/{id_}/release", {})
    assert status == 200, told
    sent = next(a for a in platform.get("/alerts") if a["id"] == told["id"])
    assert (sent["status"], sent["draft"]) == ("Exercise", id_)
    status, told = platform.ask(f"/alerts/{id_}/release", {})
    assert status == 409
    assert "released before" in told["error"]["message"]
    late = client(ADA, COMMANDER)
    late.subscribe("tocsin/warnings/flood/quay/river_level_high")
    assert late.heard.get(timeout=PATIENCE_S)[1]["level"] == "red"  # retained: who comes later knows too


def test_nobody_is_anonymous_and_a_sensor_does_not_read_warnings(
    served: tuple[Served, int], client: Callable[..., Client]
) -> None:
    assert client(SENSOR, "wrong").code == 0x86
    mast = client()
    assert mast.subscribe("tocsin/warnings/#") == 0x87
    assert mast.subscribe("readings/#") == 0x87


def test_sensorthings_by_mqtt_creates_observations_and_tells_subscribers_and_the_rules(
    served: tuple[Served, int], client: Callable[..., Client]
) -> None:
    platform, _ = served
    root = f"{platform.address}sta/v1.1"
    who = (SENSOR, SECRET)
    httpx.post(f"{platform.address}ingest", json=reading(0.2, "mole", 3.0), auth=who).raise_for_status()
    query = "$filter=properties/site eq 'mole'&$select=id"
    found = until("the node's datastream", lambda: httpx.get(f"{root}/Datastreams?{query}", auth=who).json()["value"])
    topic = f"v1.1/Datastreams({found[0]['@iot.id']})/Observations"
    mast = client()
    assert mast.subscribe(topic) == 1
    assert mast.subscribe(f"{topic}?$select=result") == 1
    moment = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    mast.publish(topic, {"phenomenonTime": moment, "result": 1.25})
    heard = dict(mast.heard.get(timeout=PATIENCE_S) for _ in range(2))
    assert heard[topic]["result"] == 1.25
    assert heard[f"{topic}?$select=result"] == {"result": 1.25}
    newest = f"{root}/{topic.removeprefix('v1.1/')}?$filter=result eq 1.25"
    assert len(httpx.get(newest, auth=who).json()["value"]) == 1
    until("the reading of a client", lambda: value_of(platform, "mole") == 1.25)
    until("its warning", lambda: [w for w in platform.get("/warnings") if w["site"] == "mole" and w["level"] == 3])
    assert len(httpx.get(newest, auth=who).json()["value"]) == 1  # it did not come back from the node as a second one


def test_a_damaged_store_of_things_is_set_aside_and_does_not_stop_the_platform(tmp_path: Path) -> None:
    path = tmp_path / "things.sqlite"
    path.write_bytes(b"this is no database" * 100)
    things, words = things_or_new(path, clock=WallClock(), places={})
    things.close()
    (aside,) = tmp_path.glob("things.sqlite.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")
    assert aside.name in words
    again, words = things_or_new(path, clock=WallClock(), places={})
    again.close()
    assert words == ""
