"""Uplinks as The Things Stack v3 and ChirpStack v4 send them: by MQTT and by webhook; times, counters and what is no measurement."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from collector_place import LEVEL_TOLD, broker, free_port, listens, made, publish, quick_host, rows
from hypothesis import given
from hypothesis import strategies as st

from tocsin.edge.collectors.lorawan import Lorawan, LorawanPush
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.collectors.uplinks import Frames, read_uplink
from tocsin.testing.collector_promises import following, until

# The Things Stack documentation, "Data Formats", Uplink Messages; shortened.
TTN: dict[str, Any] = {
    "end_device_ids": {
        "device_id": "gauge-7",
        "application_ids": {"application_id": "river"},
        "dev_eui": "70B3D57ED0001234",
        "join_eui": "0000000000000000",
        "dev_addr": "00BCB929",
    },
    "correlation_ids": ["as:up:01E0WZGT6Y7657CPFPE5WEYDSQ"],
    "received_at": "2026-03-01T11:15:45.787461Z",
    "uplink_message": {
        "session_key_id": "AXA50tHUWUucmmRzLgM=",
        "f_port": 1,
        "f_cnt": 41,
        "frm_payload": "AQ==",
        "decoded_payload": {"distance_mm": 2500, "battery": 3.6},
        "rx_metadata": [
            {"gateway_ids": {"gateway_id": "roof"}, "time": "2026-03-01T11:15:45.100Z", "rssi": -35, "snr": 5.2},
            {"gateway_ids": {"gateway_id": "wrong"}, "time": "1980-01-06T00:00:00Z", "rssi": -90},
        ],
        "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "868300000"},
        "received_at": "2026-03-01T11:15:45.580Z",
    },
}
# ChirpStack v4 documentation, "Event types", up; shortened.
CHIRP: dict[str, Any] = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2026-03-01T11:15:45.580000123+00:00",
    "deviceInfo": {
        "tenantId": "52f14cd4",
        "tenantName": "ChirpStack",
        "applicationId": "17c82e96",
        "applicationName": "river",
        "deviceProfileName": "radar",
        "deviceName": "gauge 7",
        "devEui": "70b3d57ed0001234",
        "tags": {"key": "value"},
    },
    "devAddr": "00189440",
    "dr": 1,
    "fCnt": 41,
    "fPort": 1,
    "data": "AQ==",
    "object": {"distance_mm": 2500},
    "rxInfo": [{"gatewayId": "0016c001f153a14c", "gwTime": "2026-03-01T11:15:45.100+00:00", "rssi": -36, "snr": 10.5}],
}
PICK = {"quantity": LEVEL_TOLD, "unit": "mm", "value": "$.distance_mm"}
RECEIVED_US = 1772363745580000
GATEWAY_US = 1772363745100000


LEAF = st.none() | st.booleans() | st.floats() | st.integers() | st.text()
JSON = st.recursive(LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def frame(told: dict[str, Any], count: int) -> dict[str, Any]:
    again: dict[str, Any] = json.loads(json.dumps(told))
    if "uplink_message" in again:
        again["uplink_message"]["f_cnt"] = count
        again["uplink_message"]["received_at"] = f"2026-03-01T11:{count % 60:02d}:00Z"
    else:
        again["fCnt"] = count
    return again


@pytest.mark.parametrize(("told", "network", "device"), [(TTN, "ttn", "gauge-7"), (CHIRP, "chirpstack", "gauge 7")])
def test_an_uplink_is_read_as_its_network_writes_it(told: dict[str, Any], network: Any, device: str) -> None:
    uplink = read_uplink(told, network, clock="network", gateway_off_s=10.0)
    assert (uplink.device, uplink.eui, uplink.application) == (device, "70b3d57ed0001234", "river")
    assert (uplink.port, uplink.count, uplink.time_us) == (1, 41, RECEIVED_US)


@pytest.mark.parametrize(("told", "network"), [(TTN, "ttn"), (CHIRP, "chirpstack")])
def test_the_gateways_time_is_taken_where_it_is_near_the_networks(told: dict[str, Any], network: Any) -> None:
    assert read_uplink(told, network, clock="gateway", gateway_off_s=10.0).time_us == GATEWAY_US
    assert read_uplink(told, network, clock="gateway", gateway_off_s=0.1).time_us == RECEIVED_US


def test_what_was_simulated_was_never_measured() -> None:
    with pytest.raises(Drop) as drop:
        read_uplink({**TTN, "simulated": True}, "ttn", clock="network", gateway_off_s=10.0)
    assert drop.value.reason == "simulated"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({}, "not decoded"),
        ([], "not decoded"),
        (None, "not decoded"),
        ({**CHIRP, "object": "AQ=="}, "not decoded"),
        ({**CHIRP, "time": None}, "time"),
        ({**CHIRP, "deviceInfo": {"devEui": 7}}, "site"),
        ({**CHIRP, "fCnt": -1}, "frame counter"),
        ({**CHIRP, "fCnt": "41"}, "frame counter"),
        ({**CHIRP, "fPort": True}, "port"),
    ],
)
def test_an_uplink_that_cannot_be_used_is_dropped_by_name(told: Any, reason: str) -> None:
    with pytest.raises(Drop) as drop:
        read_uplink(told, "chirpstack", clock="network", gateway_off_s=10.0)
    assert drop.value.reason == reason


@given(JSON, st.sampled_from(["ttn", "chirpstack"]), st.sampled_from(["network", "gateway"]))
def test_whatever_a_network_sends_is_an_uplink_or_a_drop(told: Any, network: Any, clock: Any) -> None:
    for whole in (told, {**CHIRP, "object": told}, {**CHIRP, "rxInfo": told, "fCnt": told}, {**TTN, "uplink_message": told}):
        try:
            uplink = read_uplink(whole, network, clock=clock, gateway_off_s=10.0)
        except Drop:
            continue
        assert uplink.device
        assert uplink.time_us >= 0


def test_the_frame_counter_tells_what_never_came_and_a_new_join_loses_nothing() -> None:
    frames = Frames()
    lost = [
        frames.lost(read_uplink(frame(CHIRP, count), "chirpstack", clock="network", gateway_off_s=10.0))
        for count in (41, 42, 45, 45, 0, 1)
    ]
    assert lost == [0, 0, 2, 0, 0, 0]


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    ("told", "network", "topic", "site"),
    [
        (TTN, "ttn", "v3/river@ttn/devices/gauge-7/up", "gauge-7"),
        (CHIRP, "chirpstack", "application/17c82e96/device/70b3d57ed0001234/event/up", "gauge 7"),
    ],
)
def test_uplinks_come_by_mqtt_from_the_networks_own_topics(
    mosquitto: dict[str, str], tmp_path: Path, told: dict[str, Any], network: str, topic: str, site: str
) -> None:
    async def play() -> None:
        async with broker(mosquitto["mosquitto"], tmp_path) as port:
            devices = made(Lorawan, host="127.0.0.1", port=port, network=network, readings=[PICK], version="3.1.1")
            host = quick_host(speed=1.0)
            async with aclosing(devices.batches(host)) as source:
                waiting = asyncio.ensure_future(following(source))
                await listens(host)
                await publish(mosquitto["mosquitto_pub"], port, topic, b"not an uplink")
                await publish(mosquitto["mosquitto_pub"], port, topic, json.dumps(frame(told, 3)).encode())
                assert rows(await waiting) == [("river_level", site, 2.5)]
                await publish(mosquitto["mosquitto_pub"], port, topic, json.dumps(frame(told, 7)).encode())
                await following(source)
            assert devices.tally.dropped == {"not JSON": 1}
            assert devices.tally.lost == 3

    asyncio.run(play())


def test_a_webhook_is_answered_and_its_other_events_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"chirpstack sha256:{hashlib.sha256(b'word').hexdigest()}\n")
    devices = made(
        LorawanPush,
        tokens_file=str(tmp_path / "tokens"),
        port=free_port(),
        network="chirpstack",
        readings=[{**PICK, "site": "{application}/{eui}"}],
        ports=[1],
    )
    heard: list[Any] = []

    async def play() -> list[int]:
        async with aclosing(devices.batches(quick_host(speed=1.0))) as source:

            async def drive() -> None:
                async for batch in source:
                    heard.append(batch)

            task = asyncio.create_task(drive())
            async with httpx.AsyncClient(timeout=20.0, headers={"authorization": "Bearer word"}) as client:
                url = f"http://127.0.0.1:{devices.port}/push"
                answers: list[int] = []
                while not answers:
                    try:
                        answers.append((await client.post(url, params={"event": "join"}, json={"devAddr": "1"})).status_code)
                    except httpx.ConnectError:
                        await asyncio.sleep(0.02)
                answers.append((await client.post(url, params={"event": "up"}, json=CHIRP)).status_code)
                answers.append(
                    (await client.post(url, params={"event": "up"}, json={**CHIRP, "fPort": 2, "fCnt": 42})).status_code
                )
                answers.append((await client.post(url, params={"event": "up"}, json={"object": 1})).status_code)
            await until(lambda: bool(heard))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return answers

    assert asyncio.run(play()) == [200, 200, 200, 422]
    assert rows(*heard) == [("river_level", "river/70b3d57ed0001234", 2.5)]
