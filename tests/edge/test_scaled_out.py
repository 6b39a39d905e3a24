"""Several nodes divide the messages of one broker and copy into one PostgreSQL: whoever is killed, each reading is there exactly once."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import paho.mqtt.client as paho
import pytest
from collectors.collector_place import free_port
from paho.mqtt.enums import CallbackAPIVersion
from test_edge_process import PROGRAM, Process

from tocsin.edge.latest import microseconds
from tocsin.platform.postgres import PostgresReadings
from tocsin.vocabulary import Quantity

pytestmark = [pytest.mark.mosquitto, pytest.mark.postgres]

KILLS = int(os.environ.get("TOCSIN_KILLS", "4"))
MESSAGES, READINGS, SITES = 200 * KILLS, 5, 20
PATIENCE_S = 120.0
LEVEL = Quantity("river_level", "m", -5.0, 60.0)

SETTINGS = """
[node]
name = "{name}"
data = "data"
tick_s = 1.0
purpose = "exercise"
[spool]
reserve_mb = 1
[postgres]
url_file = "postgres-url"
[[quantity]]
name = "river_level"
unit = "m"
low = -5.0
high = 60.0
[[collector]]
kind = "mqtt"
name = "readings"
host = "127.0.0.1"
port = {port}
client_id = "{name}"
share = "tocsin"
session_s = 3600
[[collector.topics]]
topic = "readings/{{site}}"
rows = "$.readings[*]"
[[collector.topics.readings]]
quantity = "river_level"
unit = "m"
value = "$.value"
time = "$.time"
"""


@pytest.fixture
def broker(mosquitto: dict[str, str], tmp_path: Path) -> Iterator[int]:
    """Mosquitto on a free port; it keeps what its sessions have not had yet."""
    port = free_port()
    user = [f"user {pwd.getpwuid(0).pw_name}"] if os.geteuid() == 0 else []
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false", "max_queued_messages 100000", *user]
    (tmp_path / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([mosquitto["mosquitto"], "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    yield port
    process.terminate()
    process.wait()


@pytest.fixture
def nodes(broker: int, postgres: str, tmp_path: Path) -> Iterator[list[Process]]:
    """Two nodes in folders of their own, in one group of subscribers."""
    made = []
    for name in ("worker-1", "worker-2"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "edge.toml").write_text(SETTINGS.format(name=name, port=broker))
        (folder / "postgres-url").write_text(postgres)
        (folder / "postgres-url").chmod(0o600)
        made.append(Process(name, "-c", PROGRAM, "run", str(folder / "edge.toml"), folder=tmp_path))
    yield made
    for node in made:
        with suppress(ProcessLookupError):
            node.kill()


class Sender:
    """A client that publishes with QoS 1 and knows what the broker has acknowledged."""

    def __init__(self, port: int) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._lock, self._under_way = threading.Lock(), dict[int, list[tuple[str, int, float]]]()
        self._early: set[int] = set()
        self.acknowledged: list[tuple[str, int, float]] = []
        self._client.on_publish = self._heard
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _heard(self, _client: object, _user: object, number: int, *_: object) -> None:
        with self._lock:
            if number in self._under_way:
                self.acknowledged += self._under_way.pop(number)
            else:
                self._early.add(number)

    def send(self, site: str, readings: list[tuple[datetime, float]]) -> None:
        body = json.dumps({"readings": [{"time": at.isoformat(), "value": value} for at, value in readings]})
        told = [(site, microseconds(at), value) for at, value in readings]
        number = self._client.publish(f"readings/{site}", body, qos=1).mid
        with self._lock:
            if number in self._early:
                self._early.discard(number)
                self.acknowledged += told
            else:
                self._under_way[number] = told

    def finish(self) -> None:
        until("the broker's acknowledgements", lambda: not self._under_way)
        self._client.disconnect()
        self._client.loop_stop()


def until(what: str, is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.05)


def rows(url: str) -> list[tuple[str, int, float]]:
    """Every row of the table of readings, as it stands."""

    async def ask() -> list[tuple[str, int, float]]:
        line = await asyncpg.connect(url)
        try:
            sql = "select s.site, r.time_us, r.value from tocsin_reading r join tocsin_stream s on s.id = r.stream where s.site like 'out-%'"
            return [tuple(row) for row in await line.fetch(sql)]
        except asyncpg.UndefinedTableError:
            return []
        finally:
            await line.close()

    return asyncio.run(ask())


def test_what_the_broker_acknowledged_is_in_the_database_exactly_once_whoever_is_killed(
    broker: int, postgres: str, nodes: list[Process], tmp_path: Path
) -> None:
    for node in nodes:
        node.start()
    for name in ("worker-1", "worker-2"):
        until(f"{name} to be up", lambda name=name: (tmp_path / name / "data" / "status.json").exists())
    time.sleep(1.0)  # both have subscribed: what nobody has asked for, a broker throws away
    sender, begin = Sender(broker), datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    for number in range(MESSAGES):
        site, at = f"out-{number % SITES:02}", begin + timedelta(seconds=number)
        sender.send(site, [(at + timedelta(milliseconds=100 * k), 1.0 + 0.01 * ((number + k) % 90)) for k in range(READINGS)])
        time.sleep(0.005)
        if number % 200 == 100:
            nodes[(number // 200) % 2].kill()
        if number % 200 == 150:
            nodes[(number // 200) % 2].start()
    sender.finish()
    wanted = Counter(sender.acknowledged)
    assert len(wanted) == MESSAGES * READINGS

    def there() -> bool:
        return len(set(rows(postgres))) >= len(wanted)

    until("all readings in the database", there)
    found = Counter(rows(postgres))
    assert set(found) == set(wanted)
    assert set(found.values()) == {1}
    database = PostgresReadings(postgres)
    sites = [f"out-{number:02}" for number in range(SITES)]
    assert len(database.read(LEVEL, sites=sites)) == len(wanted)
    database.close()
    shares = [len(list((tmp_path / name / "data" / "readings").iterdir())) for name in ("worker-1", "worker-2")]
    assert all(shares)
