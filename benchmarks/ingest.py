"""From a sensor's message to the warning record: python benchmarks/ingest.py [SCENARIO ...] [--quick] [--seconds S] [--depth N].

Prints a table of what was measured, and then each figure that Tocsin aims at with whether it was kept; the whole takes about three
minutes, `--quick` half a minute (2 s each, once, no peers). What is aimed at but not measured here is in history.py (stored size, reading
a day, the last hour), sensorthings.py (pages of Observations) and postgres.py; what each step costs in CPU time is in hot_path.py.

The node (MQTT endpoint, ingest, checks, spool with fsync, rules, ledger in SQLite) is one process; the senders are another one on the
same machine, so they take a good part of its cores. "warning" is from the moment before a reading is sent to the moment after its
warning is in the ledger; "acknowledged" is from the same moment to the PUBACK, which says that the reading is on disk. "QARTOD" are rows
in which each reading also gets the tests of gross range, spike, rate of change and flat line.

`peer` is what one would build without Tocsin: Mosquitto, a subscriber with paho-mqtt, and a row for each observation in SQLite with
(stream, time) as its key, committed every 20 ms or 5,000 rows; a warning is there a comparison of one number. It acknowledges when the
broker has the message in memory, so it promises less.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import queue
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge_memory import node as edge_node
from tocsin.edge import Check, Latest, Node, Spool, Watch
from tocsin.edge.ingest import Ingest, Limits
from tocsin.edge.mqtt.acl import Acl, Grant
from tocsin.edge.mqtt.endpoint import Endpoint, Login
from tocsin.edge.mqtt.wire import V5, V311, Ack, Connect, Parser, Publish, encode
from tocsin.edge.spool import encode_block
from tocsin.host import WallClock
from tocsin.pack.ready_rules import threshold
from tocsin.pack.rule import Limits as LevelLimits
from tocsin.platform.ledger import open_ledger
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import Level, Observations, Quantity, Record, Warning

LEVEL = Quantity("river_level", "m", low=-5, high=60)
STREAMS = 10_000
HIGH_M, USUAL_M = 4.0, 1.0
HIGH = threshold("river_high", LEVEL, LevelLimits({Level.YELLOW: 3.0}, "m", "a benchmark"), max_age_s=60, min_readings=1)
NODE = Actor("edge:benchmark", frozenset({"sensor", "system"}))
WARNINGS_PER_S = 20


class Scenario(msgspec.Struct, frozen=True):
    """What is sent: how many readings a message, of how many streams, and how many readings a second in all (0: what goes).

    `aim_ms` is what the p99 of the warnings is to be below, in each of `runs` runs; `aim_per_s` what is to be stored a second.
    """

    name: str
    rows: int
    streams: int
    per_s: int
    kind: str = "columns"  # single | columns | block
    connections: int = 20
    checked: bool = False
    aim_ms: float | None = None
    aim_per_s: int | None = None
    runs: int = 1


SCENARIOS = (
    Scenario("100k/s, 100 streams a message", 100, 100, 100_000, aim_ms=25, runs=3),
    Scenario("100k/s, 1 stream a message", 100, 1, 100_000, aim_ms=25, runs=3),
    Scenario("400k/s, 1 stream a message", 100, 1, 400_000, aim_ms=50),
    Scenario("50k/s, 1 reading a message", 1, 1, 50_000, "single", 100, aim_ms=50, aim_per_s=50_000),
    Scenario("20k/s, 1 reading a message", 1, 1, 20_000, "single", 100),
    Scenario("bulk in binary blocks", 10_000, 100, 0, "block", 4, aim_per_s=1_000_000),
    Scenario("QARTOD: 100k/s, 100 streams a message", 100, 100, 100_000, checked=True),
    Scenario("QARTOD: 100k/s, 1 stream a message", 100, 1, 100_000, checked=True),
    Scenario("peer 10k/s, 1 reading a message", 1, 1, 10_000, "single", 20),
    Scenario("peer 100k/s, 100 streams a message", 100, 100, 100_000),
)
MEMORY_MB = 80.0
SUSTAINED = 0.97  # of what was asked for: the rest is the beginning and the end of a run
# What a gauge would have; 3 s of a flat line are 30 readings at ten a second. The rate is so that a stream that goes high passes.
CHECK = Check(
    quantity=LEVEL,
    interval_s=0.1,
    source="a benchmark",
    sensor_span=(-5.0, 60.0),
    usual_span=(-1.0, 20.0),
    spike_suspect=5.0,
    spike_fail=10.0,
    rate_suspect_per_h=1e9,
    flat_tolerance=1e-9,
    flat_suspect_s=2.0,
    flat_fail_s=3.0,
)


class Measured(msgspec.Struct, frozen=True):
    """One run: a row of the table, what was stored a second, and how long the warnings took."""

    row: str
    per_s: float
    warned_ms: float | None


class TimedLedger:
    """The ledger of the platform, noting when each warning was in it."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.waited_s: list[float] = []

    def append(self, actor: Actor, records: Sequence[Record]) -> tuple[str, ...]:
        told: tuple[str, ...] = self._ledger.append(actor, records)
        now_us = time.time_ns() // 1000
        last_us = 0
        for record in records:
            if isinstance(record, Warning):
                if record.level > Level.NONE:
                    self.waited_s.append((now_us - last_us) / 1e6)
            else:
                seen = zip(getattr(record, "sensor_time_us", ()), getattr(record, "value", ()), strict=True)
                last_us = min((at for at, value in seen if value == HIGH_M), default=now_us)
        return told

    def read(self, after: int = 0) -> Any:
        return self._ledger.read(after)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


class BenchmarkHost:
    """Wall clock, SQLite ledger."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.gate, self.compute = WallClock(), RoleGate(), None
        self.ledger = TimedLedger(open_ledger(folder, clock=self.clock, gate=self.gate, purpose="exercise"))

    def chance(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(len(purpose))


async def serve(folder: Path, depth: int, has_rules: bool, checked: bool, pipe: Pipe) -> None:
    """The node, until the pipe says stop."""
    host: Any = BenchmarkHost(folder / "ledger")
    latest = Latest([CHECK] if checked else [], depth=depth)
    latest.expect(LEVEL, [f"gauge-{k}" for k in range(STREAMS)])
    watch = Watch({"flood": [HIGH]} if has_rules else {}, latest, since=host.clock.now())
    node = Node(host, NODE, latest=latest, watch=watch, spool=Spool(folder / "spool"))
    ingest = Ingest(node, host.clock, [LEVEL], expected=[f"gauge-{k}" for k in range(STREAMS)], limits=Limits())

    async def authenticate(login: Login) -> Actor:
        return Actor(login.client_id, frozenset({"sensor"}))

    endpoint = Endpoint(authenticate, Acl(RoleGate(), usual=Grant(publish=("readings/#",))).permit)
    endpoint.on_publish("readings/#", ingest.take)
    pipe.send(await endpoint.listen("127.0.0.1", 0))
    await asyncio.to_thread(pipe.recv)
    began = time.perf_counter()
    await ingest.settle()
    pipe.send((ingest.stored, host.ledger.waited_s, time.perf_counter() - began, time.process_time()))
    await endpoint.close()
    await ingest.close()


def served(folder: str, depth: int, has_rules: bool, checked: bool, pipe: Pipe, profile: str) -> None:
    """The node's process."""
    try:
        import uvloop

        run: Any = uvloop.run
    except ImportError:
        run = asyncio.run
    if profile:
        import cProfile

        cProfile.runctx("run(serve(Path(folder), depth, has_rules, checked, pipe))", globals(), locals(), profile)
    else:
        run(serve(Path(folder), depth, has_rules, checked, pipe))


class Sender(asyncio.Protocol):
    """One MQTT client: sends at quality 1 and notes how long each acknowledgement took."""

    def __init__(self, number: int, version: int, waits: list[float]) -> None:
        self._number, self._version, self._waits = number, version, waits
        self._parser = Parser(version)
        self._sent: dict[int, float] = {}
        self._next, self._parts = 0, list[bytes]()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.faults = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(encode(Connect(f"gateway-{self._number}", self._version), self._version))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        for packet in self._parser.feed(data):
            if type(packet) is Ack:
                self._waits.append(now - self._sent.pop(packet.packet_id))
                self.faults += packet.code >= 0x80
            elif not self.ready.done():
                self.ready.set_result(None)

    def send(self, payload: bytes) -> None:
        self._next = self._next % 60_000 + 1
        self._sent[self._next] = time.perf_counter()
        self._parts.append(encode(Publish(f"readings/{self._number}", payload, 1, packet_id=self._next), self._version))

    def flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    @property
    def unanswered(self) -> int:
        return len(self._sent)


class Source:
    """Payloads: each reading has the moment of its making as its time; now and then a stream that was low is high."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario, self._streams, self._at = scenario, [f"gauge-{k}" for k in range(STREAMS)], 0
        self._high = np.zeros(STREAMS, bool)
        self._crossings, self._lap, self._began = 0, 0, time.perf_counter()

    def payload(self) -> bytes:
        one, at = self._scenario, self._at
        now_us = time.time_ns() // 1000
        self._at = (at + one.streams) % STREAMS
        self._lap += self._at < at
        ripple = 1e-4 * (self._lap % 7)  # a stream that does not move at all would be told to be stuck
        if self._crossings < (time.perf_counter() - self._began) * WARNINGS_PER_S and not self._high[at]:
            self._high[at] = True
            self._crossings += 1
        if one.kind == "single":
            number = HIGH_M if self._high[at] else USUAL_M + at * 1e-5 + ripple
            return b'{"site":"gauge-%d","quantity":"river_level","time_us":%d,"value":%.5f}' % (at, now_us, number)
        value = np.where(self._high[at : at + one.streams], HIGH_M, USUAL_M + at * 1e-5 + ripple)
        sites = self._streams[at : at + one.streams]
        each = one.rows // one.streams
        site = np.repeat(np.arange(one.streams), each)
        # a burst: the readings of the last milliseconds; the newest is of now
        time_us = now_us - np.tile(np.arange(each)[::-1], one.streams) * (1 if each > 1 else 0)
        values = np.repeat(value, each)
        if one.kind == "block":
            return encode_block(Observations.of(LEVEL, tuple(sites), site, time_us, values))
        columns = {"site": site.tolist(), "time_us": time_us.tolist(), "value": values.tolist()}
        return msgspec.json.encode({"quantity": LEVEL.name, "unit": "m", "sites": sites, **columns})


async def load(scenario: Scenario, port: int, seconds: float, version: int = V5) -> tuple[int, list[float], int, float]:
    """Send for some seconds; (readings sent, waits for the acknowledgement, refused, seconds until the last one)."""
    loop, waits = asyncio.get_running_loop(), list[float]()
    senders: list[Sender] = []
    for number in range(scenario.connections):
        _, sender = await loop.create_connection(lambda n=number: Sender(n, version, waits), "127.0.0.1", port)  # type: ignore[misc]
        senders.append(sender)
        await sender.ready
    source, began, sent = Source(scenario), time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        due = int(passed * scenario.per_s / scenario.rows) - sent if scenario.per_s else len(senders)
        for _ in range(due):
            sender = senders[sent % len(senders)]
            if sender.unanswered >= (900 if scenario.per_s else 4):
                if scenario.per_s:
                    continue
                break
            sender.send(source.payload())
            sent += 1
        for sender in senders:
            sender.flush()
        await asyncio.sleep(0.002 if scenario.per_s else 0.0005)
    deadline = time.perf_counter() + 20.0
    while any(sender.unanswered for sender in senders) and time.perf_counter() < deadline:
        await asyncio.sleep(0.005)
    took = time.perf_counter() - began
    lost = sum(sender.unanswered for sender in senders)
    return sent * scenario.rows, waits, lost + sum(sender.faults for sender in senders), took


def tocsin(scenario: Scenario, seconds: float, depth: int, has_rules: bool, profile: str) -> Measured:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        asked = folder, depth, has_rules, scenario.checked, theirs, profile
        process = multiprocessing.get_context("spawn").Process(target=served, args=asked)
        process.start()
        theirs.close()
        try:
            sent, waits, refused, took = asyncio.run(load(scenario, ours.recv(), seconds))
            ours.send("stop")
            stored, warned, _, cpu_s = ours.recv()
        finally:
            process.join(20)
            if process.is_alive():
                process.kill()
    row = _row(scenario.name, sent, stored, took, waits, warned, refused, f"{100 * cpu_s / took:.0f} %")
    return Measured(row, stored / took, float(np.percentile(warned, 99)) * 1e3 if warned else None)


def _row(name: str, sent: int, stored: int, took: float, waits: list[float], warned: list[float], refused: int, cpu: str) -> str:
    def spread(times: list[float]) -> str:
        if not times:
            return "-"
        low, high, most = np.percentile(times, [50, 99, 100]) * 1e3
        return f"{low:.0f} / {high:.0f} / {most:.0f} ms"

    rate = f"{stored / took / 1e3:.1f}k/s"
    return f"| {name} | {sent} | {stored} | {rate} | {spread(waits)} | {spread(warned)} ({len(warned)}) | {refused} | {cpu} |"


def peer(scenario: Scenario, seconds: float) -> str:
    """Mosquitto, paho-mqtt, a row for each observation in SQLite."""
    binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        settings = folder / "mosquitto.conf"
        settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n")
        broker = subprocess.Popen([binary, "-c", str(settings)], stderr=subprocess.DEVNULL)
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        process = multiprocessing.get_context("spawn").Process(target=subscribed, args=(name, port, theirs))
        try:
            time.sleep(0.5)
            process.start()
            theirs.close()
            ours.recv()
            sent, waits, refused, _ = asyncio.run(load(scenario, port, seconds, V311))
            ours.send(sent)
            stored, warned, took = ours.recv()
        finally:
            process.join(20)
            if process.is_alive():
                process.kill()
            broker.terminate()
            broker.wait()
    return _row(scenario.name, sent, stored, took, waits, warned, refused, "-")


def subscribed(folder: str, port: int, pipe: Pipe) -> None:
    """The peer's process: one thread of paho-mqtt receives, one writes."""
    from paho.mqtt import client as paho

    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="peer", protocol=paho.MQTTv311)
    client.on_message = lambda _client, _data, message: waiting.put(message.payload)
    client.on_connect = lambda *_: client.subscribe("readings/#", 1)
    client.on_subscribe = lambda *_: pipe.send("ready")
    client.connect("127.0.0.1", port)
    client.loop_start()
    db = sqlite3.connect(Path(folder) / "peer.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE reading (stream TEXT, time_us INTEGER, value REAL, PRIMARY KEY (stream, time_us)) WITHOUT ROWID")
    db.execute("CREATE TABLE warning (stream TEXT, time_us INTEGER)")
    stored, warned, known = 0, list[float](), set[str]()
    goal, began, stop_by = 0, time.perf_counter(), 0.0

    def listen() -> None:
        nonlocal goal, stop_by
        goal = pipe.recv()
        stop_by = time.perf_counter() + 60.0

    threading.Thread(target=listen, daemon=True).start()
    while not goal or (stored < goal and time.perf_counter() < stop_by):
        rows: list[tuple[str, int, float]] = []
        until = time.perf_counter() + 0.02
        while len(rows) < 5_000 and (left := until - time.perf_counter()) > 0:
            try:
                told = msgspec.json.decode(waiting.get(timeout=left))
            except queue.Empty:
                break
            if "sites" in told:
                sites = told["sites"]
                rows += [(sites[s], t, v) for s, t, v in zip(told["site"], told["time_us"], told["value"], strict=True)]
            else:
                rows.append((told["site"], told["time_us"], told["value"]))
        if not rows:
            continue
        high = [(site, at) for site, at, value in rows if value == HIGH_M and site not in known]
        db.execute("BEGIN")
        db.executemany("INSERT OR IGNORE INTO reading VALUES (?, ?, ?)", rows)
        db.executemany("INSERT INTO warning VALUES (?, ?)", high)
        db.execute("COMMIT")
        now_us = time.time_ns() // 1000
        for site, at in high:
            if site not in known:
                known.add(site)
                warned.append((now_us - at) / 1e6)
        stored += len(rows)
    pipe.send((stored, warned, time.perf_counter() - began))
    client.loop_stop()


def figures(scenario: Scenario, runs: list[Measured]) -> list[str]:
    """Each aim of a scenario, and whether it was kept in every run."""
    told, name = [], scenario.name
    worst = [run.warned_ms for run in runs]
    if scenario.aim_ms is not None:
        is_kept = all(ms is not None and ms < scenario.aim_ms for ms in worst)
        measured = ", ".join("none" if ms is None else f"{ms:.0f} ms" for ms in worst)
        told.append(f"| {name}: warning, p99 | under {scenario.aim_ms:g} ms | {measured} | {'kept' if is_kept else 'MISSED'} |")
    if scenario.aim_per_s is not None:
        least = min(run.per_s for run in runs)
        is_kept = least >= scenario.aim_per_s * SUSTAINED
        aim = f"{scenario.aim_per_s / 1e3:g}k/s"
        told.append(f"| {name}: stored | {aim} | {least / 1e3:.1f}k/s | {'kept' if is_kept else 'MISSED'} |")
    return told


def memory() -> str:
    """The figure of an edge node's memory."""
    what, _ = edge_node(100, 300)
    is_kept = what["VmHWM"] < MEMORY_MB
    measured = f"{what['VmHWM']:.1f} MB at most, {what['VmRSS']:.1f} MB then"
    return f"| an edge node with 100 streams | under {MEMORY_MB:g} MB | {measured} | {'kept' if is_kept else 'MISSED'} |"


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("names", nargs="*", help="parts of the scenarios' names; all of them if none is given")
    asked.add_argument("--quick", action="store_true", help="2 s each, once, and no peers")
    asked.add_argument("--seconds", type=float, default=None, help="of each run; 6, or 2 with --quick")
    asked.add_argument("--depth", type=int, default=300, help="readings of each stream that the node remembers")
    asked.add_argument(
        "--without-rules", action="store_true", help="no rule looks at the readings: what receiving and storing take"
    )
    asked.add_argument("--profile", default="", help="file for the profile of the node's event loop")
    told = asked.parse_args()
    seconds = told.seconds or (2.0 if told.quick else 6.0)
    lines = list[str]()
    print("| what | sent | stored | rate | acknowledged p50 / p99 / most | warning p50 / p99 / most (n) | refused | node CPU |")
    print("|---|---|---|---|---|---|---|---|")
    for scenario in SCENARIOS:
        is_peer = scenario.name.startswith("peer")
        if (told.names and not any(name in scenario.name for name in told.names)) or (told.quick and is_peer):
            continue
        if is_peer:
            print(peer(scenario, seconds), flush=True)
            continue
        runs = []
        for _ in range(1 if told.quick else scenario.runs):
            runs.append(tocsin(scenario, seconds, told.depth, not told.without_rules, told.profile))
            print(runs[-1].row, flush=True)
        lines += figures(scenario, runs)
    if not told.names:
        lines.append(memory())
    if lines and not told.without_rules:
        print("\n| figure | aim | measured | |\n|---|---|---|---|")
        print("\n".join(lines))


if __name__ == "__main__":
    main()
