"""What the rest of the tests of faults leave out: floods, restarts of the broker, hostile messages and names through the whole of a node."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pwd
import subprocess
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from collectors.collector_place import free_port
from edge_host import EDGE, START
from edge_host import TestHost as Host
from paho.mqtt import publish as paho
from test_edge_process import PROGRAM, Process
from test_scaled_out import SETTINGS, Sender, until

from tocsin.edge import Batch, Latest, Node, Spool, Watch
from tocsin.edge.latest import microseconds
from tocsin.edge.settings import read_settings
from tocsin.host import Host as AnyHost
from tocsin.host import WallClock
from tocsin.interfaces.edge import Edge
from tocsin.pack import Limits, threshold
from tocsin.platform.history import History, compact
from tocsin.platform.postgres import Copier, PostgresReadings
from tocsin.vocabulary import Level, Observations, Quantity, SensorFault, Warning

LEVEL = Quantity("river_level", "m", low=-5, high=60)
MILLION = 1_000_000


class Flood:
    """A broken sensor: a million readings in each second."""

    name = "flood"

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds

    async def batches(self, host: AnyHost) -> AsyncGenerator[Batch, None]:
        for _ in range(self._seconds):
            time_us = microseconds(host.clock.now()) - np.arange(MILLION)[::-1]
            value = np.full(MILLION, 1.0)
            yield Observations.of(LEVEL, ("mad",), np.zeros(MILLION, np.int64), time_us, value)
            await host.clock.sleep(1.0)


class Calm:
    """A sensor that rises over a limit, one reading in each second."""

    name = "calm"

    async def batches(self, host: AnyHost) -> AsyncGenerator[Batch, None]:
        for number in range(100):
            yield Observations.of(LEVEL, ("weir",), [0], [microseconds(host.clock.now())], [1.0 + number])
            await host.clock.sleep(1.0)


def test_a_sensor_that_sends_a_million_readings_a_second_stops_no_other_and_fills_no_disk(tmp_path: Path) -> None:
    host, latest = Host(), Latest()
    rule = threshold("high", LEVEL, Limits({Level.YELLOW: 3.0}, "m", "a test"), max_age_s=600.0)
    watch = Watch({"flood": [rule]}, latest, since=START)
    spool = Spool(tmp_path, segment_bytes=1 << 20, keep_bytes=3 << 20)
    node = Node(host, EDGE, latest=latest, watch=watch, spool=spool, collectors=[Flood(4), Calm()])  # type: ignore[arg-type, list-item]

    async def play() -> None:
        task = asyncio.create_task(node.run(until=START + timedelta(seconds=6)))
        await host.clock.run(START + timedelta(seconds=6))
        await task

    asyncio.run(play())
    (warning,) = [one for one in host.ledger.records(Warning) if one.level == Level.YELLOW]  # type: ignore[attr-defined]
    assert (warning.subject, warning.time) == ("weir", START + timedelta(seconds=2))
    assert node.counted["river_level", "stored"] == 4 * MILLION + 6
    assert spool.size_bytes < 4 << 20
    assert [one for one in host.ledger.records(SensorFault) if one.check == "storage"] == []  # type: ignore[attr-defined]
    # what the ring holds is bounded, however much came
    assert latest.streams(LEVEL).value.shape[1] <= 300
    spool.close()


class Broker:
    """Mosquitto that can be stopped and started again; its sessions and what waits in them are kept on disk."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port, self._program, self._settings = free_port(), program, folder / "mosquitto.conf"
        user = [f"user {pwd.getpwuid(0).pw_name}"] if os.geteuid() == 0 else []
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "max_queued_messages 100000", *user]
        lines += ["persistence true", f"persistence_location {folder}/", "autosave_interval 1"]
        self._settings.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", str(self._settings)], stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None


@pytest.fixture
def server(mosquitto: dict[str, str], tmp_path: Path) -> Iterator[Broker]:
    made = Broker(mosquitto["mosquitto"], tmp_path)
    made.start()
    yield made
    made.stop()


def settings_for(folder: Path, port: int) -> Path:
    text = (
        SETTINGS.format(name="worker-1", port=port)
        .replace('[postgres]\nurl_file = "postgres-url"\n', "")
        .replace('share = "tocsin"\n', "")
    )
    (folder / "edge.toml").write_text(text)
    return folder / "edge.toml"


def stored(folder: Path) -> list[tuple[str, int, float]]:
    """Every row in a node's log, after its process has ended."""
    spool = Spool(folder)
    found = [
        (batch.sites[site], time_us, value)
        for batch in spool.replay(from_us=0)
        for site, time_us, value in zip(batch.site.tolist(), batch.time_us.tolist(), batch.value.tolist(), strict=True)
    ]
    spool.close()
    return found


@pytest.mark.mosquitto
def test_a_broker_that_is_restarted_again_and_again_loses_nothing_and_repeats_nothing(server: Broker, tmp_path: Path) -> None:
    """Orderly restarts under load; the node finds it again by itself and its session goes on."""
    node = Process("node", "-c", PROGRAM, "run", str(settings_for(tmp_path, server.port)), folder=tmp_path)
    node.start()
    try:
        until("the node", lambda: (tmp_path / "data" / "status.json").exists())
        time.sleep(1.0)
        sender, begin = Sender(server.port), datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
        for number in range(600):
            sender.send(f"s{number % 7}", [(begin + timedelta(seconds=number), float(number % 50))])
            time.sleep(0.003)
            if number % 200 == 100:
                server.stop()
                server.start()
        sender.finish()
        wanted = set(sender.acknowledged)
        assert len(wanted) == 600

        def waits() -> bool:
            told = json.loads((tmp_path / "data" / "status.json").read_bytes())
            return bool(told["counted"].get("river_level", {}).get("stored", 0) >= 600)

        until("all readings on disk", waits)
        assert node.stop() == 0
    finally:
        node.end()
    found = stored(tmp_path / "data" / "readings")
    assert sorted(found) == sorted(wanted)
    assert (
        node.log().count("part_broken part=readings") <= 3 + 3
    )  # each restart is told once, and once more where it was too quick


HOSTILE: dict[str, bytes] = {
    "huge": b'{"readings": [' + b"1," * 200_000 + b"1]}",
    "nested": b'{"readings": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "wrong types": b'{"readings": [{"time": {"a": 1}, "value": []}, 7, null, "x"]}',
    "NaN": b'{"readings": [{"time": "2026-03-01T00:00:00Z", "value": NaN}]}',
    "a number beyond all": b'{"readings": [{"time": "2026-03-01T00:00:00Z", "value": 1e999}]}',
    "not UTF-8": b'{"readings": [{"time": "\xff\xfe", "value": 1}]}',
    "nothing": b"",
    "no JSON": b"\x00\x01\x02",
}


@pytest.mark.mosquitto
def test_hostile_messages_cost_only_themselves_and_each_kind_is_logged_once(
    server: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edge = Edge(read_settings(settings_for(tmp_path, server.port), kinds=_mqtt()), clock=WallClock())
    collector = edge.settings.collectors[0]
    good = json.dumps({"readings": [{"time": datetime.now(UTC).isoformat(), "value": 1.5}]})
    caplog.set_level(logging.WARNING)

    async def play() -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(edge.run(stop))
        await asyncio.sleep(1.0)
        messages = [(f"readings/s{number}", payload, 1, False) for number in range(20) for payload in HOSTILE.values()]
        mixed = [*messages, *((f"readings/good{number}", good, 1, False) for number in range(20))]
        await asyncio.to_thread(paho.multiple, mixed, "127.0.0.1", server.port)
        async with asyncio.timeout(60.0):
            while collector.tally.received < len(mixed) or edge.node.counted["river_level", "stored"] < 20:  # type: ignore[attr-defined]
                await asyncio.sleep(0.05)
        stop.set()
        await running

    try:
        asyncio.run(play())
    finally:
        edge.close()
    heard = {site for site, _, value in stored(tmp_path / "data" / "readings") if value == 1.5}
    assert heard == {f"good{number}" for number in range(20)}
    told = [record.reason for record in caplog.records if record.msg == "input_dropped"]  # type: ignore[attr-defined]
    dropped = collector.tally.dropped  # type: ignore[attr-defined]
    assert sorted(told) == sorted(dropped)
    assert sum(dropped.values()) >= 20 * 5
    assert edge.node.broken == {}


def _mqtt() -> dict[str, type]:
    from tocsin.edge.collectors.mqtt import Mqtt

    return {"mqtt": Mqtt}


NAMES = (
    "'; DROP TABLE tocsin_reading; --",
    '"; drop table tocsin_stream; --',
    "../../../etc/passwd",
    "/etc/shadow",
    "..",
    "a/../../b",
    "C:\\windows\\system32",
    "$(reboot)",
    "`id`",
    "%s%n{0}{site.__class__}",
    "weir' or '1'='1",
    "\u00fcmlaut \u6c34\u4f4d",
)


@pytest.mark.postgres
def test_names_that_are_statements_or_paths_are_names_from_the_log_to_the_history_and_the_database(
    tmp_path: Path, postgres: str
) -> None:
    data = tmp_path / "inside" / "data"
    spool = Spool(data / "readings")
    now_us = microseconds(datetime(2026, 3, 1, tzinfo=UTC))
    quantity = Quantity("hostile_level", "m")
    values = np.arange(len(NAMES), dtype=float)
    spool.append([Observations.of(quantity, NAMES, np.arange(len(NAMES)), np.full(len(NAMES), now_us), values)])
    database = PostgresReadings(postgres)
    copier = Copier(spool, "hostile", database)
    assert copier.step() == len(NAMES)
    wanted = dict(zip(NAMES, values.tolist(), strict=True))
    told = database.read(quantity)
    assert {told.sites[s]: v for s, v in zip(told.site.tolist(), told.value.tolist(), strict=True)} == wanted
    for name in NAMES:
        (only,) = database.read(quantity, sites=[name]).value.tolist()
        assert only == wanted[name]
    database.close()
    spool.close()
    compact(data, now=datetime(2026, 4, 1, tzinfo=UTC))
    history = History(data).read("hostile_level")
    assert {history.sites[s]: v for s, v in zip(history.site.tolist(), history.value.tolist(), strict=True)} == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in (tmp_path / "inside").iterdir()] == ["data"]
    assert sorted(path.name for path in data.iterdir()) == ["history", "readings"]
