"""What each step of a reading's way costs in CPU time: python benchmarks/hot_path.py [--batches N]. Prints microseconds a reading.

CPU time and not the clock, so that it means something on a machine with other work. Every step runs alone, in one thread, on the same
batches: what came in one tick of the endpoint. `merged` is the peer: the same check where no reading is taken to be in order, so that
each stream's whole row is copied and looked through, as it was before readings in order were appended.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ingest import CHECK, HIGH, LEVEL, NODE, STREAMS, Scenario, Source
from tocsin.edge import Check, Latest, Node, Watch, incoming
from tocsin.edge.ingest import Ingest
from tocsin.edge.mqtt.endpoint import Endpoint, Settings
from tocsin.edge.mqtt.wire import V5, Parser, Publish, encode
from tocsin.edge.spool import encode_block
from tocsin.host import WallClock
from tocsin.security import Actor
from tocsin.vocabulary import Observations

SITES = tuple(f"gauge-{k}" for k in range(STREAMS))
CASES = (
    Scenario("200 readings of 200 streams", 100, 100, 0),
    Scenario("200 readings of 2 streams", 100, 1, 0),
    Scenario("800 readings of 8 streams", 100, 1, 0),
    Scenario("200 messages of one reading", 1, 1, 0, "single"),
)


@contextmanager
def timed(table: dict[str, float], step: str) -> Iterator[None]:
    began = time.process_time()
    yield
    table[step] = table.get(step, 0.0) + time.process_time() - began


@contextmanager
def merging() -> Iterator[None]:
    """No reading is taken to be in order."""
    found = incoming.in_order_rows

    def none(*asked: Any) -> Any:
        starts, in_order = found(*asked)
        return starts, np.zeros_like(in_order)

    incoming.in_order_rows = none
    try:
        yield
    finally:
        incoming.in_order_rows = found


class Host:
    """A clock and a ledger that takes nothing."""

    def __init__(self) -> None:
        self.clock = WallClock()


def batches(case: Scenario, count: int) -> Iterator[Observations]:
    """What comes in one tick, again and again, each stream's readings 0.1 s apart."""
    readings = int(case.name.split()[0])
    each = case.rows // case.streams if case.kind != "single" else 1
    streams, at, now_us = readings // each, 0, time.time_ns() // 1000 - int(3600e6)
    for number in range(count):
        places = (at + np.arange(streams)) % STREAMS
        at = (at + streams) % STREAMS
        sites = tuple(SITES[place] for place in places)
        site = np.repeat(np.arange(streams), each)
        lap = (number * streams) // STREAMS
        time_us = now_us + lap * each * 100_000 + np.tile(np.arange(each), streams) * 100_000
        value = 1.0 + 0.01 * np.sin(0.7 * (site + np.tile(np.arange(each), streams) + lap))
        yield Observations.of(LEVEL, sites, site, time_us, value, arrived_us=time_us)


def stored(case: Scenario, count: int, checks: tuple[Check, ...], table: dict[str, float], mark: str) -> None:
    """Check, write (without the disk), keep, look."""
    latest = Latest(checks, depth=300)
    latest.expect(LEVEL, SITES)
    watch = Watch({"flood": [HIGH]}, latest, since=datetime.now(UTC))
    each = case.rows // case.streams
    laps = 2 * STREAMS * each // int(case.name.split()[0])  # rows that are not empty any more
    for number, batch in enumerate(batches(case, laps + count)):
        told = table if number >= laps else {}
        with timed(told, f"check{mark}"):
            checked = latest.check(batch)
        with timed(told, f"block{mark}"):
            encode_block(checked.observations)
        with timed(told, f"keep{mark}"):
            latest.keep(checked)
        now = datetime.fromtimestamp(batch.time_us.max() / 1e6, UTC)
        with timed(told, f"faults{mark}"):
            watch.learn(watch.inspect(now, [LEVEL], ahead={}, heard=checked.heard))
        with timed(told, f"rules{mark}"):
            watch.learn(watch.look(now, [LEVEL], touched={LEVEL.name: checked.heard}))


class Transport(asyncio.Transport):
    """Counts what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, data: Any) -> None:
        self.written += len(data)

    def pause_reading(self) -> None:
        """It reads nothing."""

    def resume_reading(self) -> None:
        """It reads nothing."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


async def received(case: Scenario, count: int, connections: int, table: dict[str, float]) -> None:
    """From the bytes of the network to columns, and the acknowledgements, with a store that takes no time."""
    from tocsin.edge.mqtt.acl import Acl, Grant
    from tocsin.edge.mqtt.wire import Connect
    from tocsin.security import RoleGate

    with tempfile.TemporaryDirectory():
        latest = Latest((), depth=8)
        node = Node(Host(), NODE, latest=latest, watch=Watch({}, latest, since=datetime.now(UTC)))  # type: ignore[arg-type]
        ingest = Ingest(node, WallClock(), [LEVEL], expected=SITES)

        async def store(groups: list[Any]) -> None:
            for group in groups:
                group.done.set_result(None)

        ingest._store = store  # type: ignore[method-assign]

        async def authenticate(login: Any) -> Actor:
            return Actor(login.client_id, frozenset({"sensor"}))

        endpoint = Endpoint(
            authenticate, Acl(RoleGate(), usual=Grant(publish=("readings/#",))).permit, settings=Settings(tick_s=0.0001)
        )
        endpoint.on_publish("readings/#", ingest.take)
        from tocsin.edge.mqtt.endpoint import Connection

        loop, lines = asyncio.get_running_loop(), []
        for number in range(connections):
            line = Connection(endpoint, loop)
            line.connection_made(Transport())
            line.data_received(encode(Connect(f"gateway-{number}", V5), V5))
            lines.append(line)
        await asyncio.sleep(0.05)
        source = Source(case)
        messages = max(1, int(case.name.split()[0]) // case.rows)
        ticks = []
        for _ in range(count):
            parts: list[list[bytes]] = [[] for _ in lines]
            for k in range(messages):
                to = k % connections
                parts[to].append(encode(Publish(f"readings/{to}", source.payload(), 1, packet_id=k % 60_000 + 1), V5))
            ticks.append([b"".join(part) for part in parts])
        began = time.process_time()
        for tick in ticks:
            for line, data in zip(lines, tick, strict=True):
                if data:
                    line.data_received(data)
            while endpoint._pending_bytes:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        table["receive, decode, acknowledge"] = time.process_time() - began
        parsed = Parser(V5)
        with timed(table, "of it: parse"):
            for tick in ticks:
                for data in tick:
                    parsed.feed(data)
        await ingest.close()


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--batches", type=int, default=150)
    told = asked.parse_args()
    for case in CASES:
        readings = int(case.name.split()[0])
        table: dict[str, float] = {}
        asyncio.run(received(case, told.batches, 20 if case.kind == "single" else 2, table))
        runs: list[tuple[str, tuple[Check, ...], Callable[[], Any] | None]] = [
            (", no tests", (), None),
            (", QARTOD", (CHECK,), None),
            (", no tests, merged", (), merging),
            (", QARTOD, merged", (CHECK,), merging),
        ]
        for mark, checks, how in runs:
            if how is None:
                stored(case, told.batches, checks, table, mark)
            else:
                with how():
                    stored(case, told.batches, checks, table, mark)
        print(f"\n{case.name}\n\n| step | us a reading |\n|---|---:|")
        for step, seconds in table.items():
            print(f"| {step} | {1e6 * seconds / (told.batches * readings):.2f} |")


if __name__ == "__main__":
    main()
