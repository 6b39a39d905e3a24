"""Where collectors are tried: hosts with a quick clock, a web that is played, Debian's Mosquitto on a free port, a Modbus server."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tocsin.edge.collect import Batch
from tocsin.host import Internet, ScaledClock, VirtualClock
from tocsin.platform.local import LocalHost
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.testing.memory import MemoryLedger, OneByOne
from tocsin.vocabulary import Bulletin, Observations, Quantity

LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_amount", "mm", low=0, high=500)
EDGE = Actor("edge:test", frozenset({"sensor"}))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEVEL_TOLD = {"name": "river_level", "unit": "m", "low": -5.0, "high": 60.0}
RAIN_TOLD = {"name": "rain_amount", "unit": "mm", "low": 0.0, "high": 500.0}


def made(kind: type[Any], **told: Any) -> Any:
    """A collector as edge.toml makes it."""
    return msgspec.convert({"name": "gauges", **told}, type=kind)


def quick_host(net: Any = None, *, speed: float = 3600.0, start: datetime | None = None) -> LocalHost:
    """A host on which a minute of sleep is over in a moment."""
    clock, gate = ScaledClock(start or NOON, speed), RoleGate()
    return LocalHost(
        clock=clock, ledger=MemoryLedger(gate, clock), gate=gate, compute=OneByOne(), seed=1, net=net or CountingNet()
    )


def still_host(net: Any = None) -> LocalHost:
    """A host whose clock stands where it is put."""
    clock, gate = VirtualClock(NOON), RoleGate()
    return LocalHost(clock=clock, ledger=MemoryLedger(gate, clock), gate=gate, compute=OneByOne(), seed=1, net=net or Internet())


class CountingNet(Internet):
    """The machine's network; knows what is open, and counts the PUBACKs that are sent and the SUBACKs that come."""

    def __init__(self) -> None:
        self.opened = self.closed = self.pubacks = self.subscribed = 0

    async def connect(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await super().connect(host, port, tls=tls)
        self.opened += 1
        read, write, close = reader.readexactly, writer.write, writer.close

        async def heard(size: int) -> bytes:
            data = await read(size)
            self.subscribed += data == b"\x90"
            return data

        def counted(data: bytes) -> None:
            self.pubacks += data[:1] == b"\x40" and len(data) // 4
            write(data)

        def closed() -> None:
            self.closed += 1
            close()

        writer.write, writer.close, reader.readexactly = counted, closed, heard  # type: ignore[method-assign]
        return reader, writer


class Web(Internet):
    """A web of one server: `answer` says what stands at a request. `asked` are the requests so far."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self._answer = answer
        self.asked: list[httpx.Request] = []
        self.clients: list[httpx.AsyncClient] = []

    def http(self, *, timeout_s: float, verify: ssl.SSLContext | bool = True) -> httpx.AsyncClient:
        def heard(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return self._answer(request)

        self.clients.append(httpx.AsyncClient(transport=httpx.MockTransport(heard), timeout=timeout_s))
        return self.clients[-1]


async def batches(collector: Any, host: LocalHost, count: int, *, most_s: float = 20.0) -> list[Batch]:
    """The first batches that are not empty, and the acknowledgement of all but the last."""
    told: list[Batch] = []
    source = collector.batches(host)
    try:
        async with asyncio.timeout(most_s):
            while len(told) < count:
                batch = await anext(source)
                if len(batch):
                    told.append(batch)
    finally:
        await source.aclose()
    return told


async def polls(collector: Any, host: LocalHost, count: int) -> list[Batch]:
    """What `count` answers led to, empty batches too; news is written to the ledger as a node does."""
    told: list[Batch] = []
    source = collector.batches(host)
    try:
        async with asyncio.timeout(20.0):
            while len(told) < count:
                told.append(await anext(source))
                if isinstance(told[-1], tuple):
                    host.ledger.append(EDGE, told[-1])
    finally:
        await source.aclose()
    return told


def rows(*told: Batch) -> list[tuple[str, str, float]]:
    """Quantity, site and value of all readings."""
    return [
        (batch.quantity.name, batch.sites[site], value)
        for batch in told
        if isinstance(batch, Observations)
        for site, value in zip(batch.site.tolist(), batch.value.tolist(), strict=True)
    ]


def bulletins(host: LocalHost) -> list[Bulletin]:
    return [entry.record for entry in host.ledger.read() if isinstance(entry.record, Bulletin)]


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def broker(program: str, folder: Path, *more: str) -> AsyncIterator[int]:
    """Mosquitto on a free port, with its sessions kept; ended by its id."""
    port = free_port()
    settings = folder / "mosquitto.conf"
    lines = [f"listener {port} 127.0.0.1", "persistence false", "max_inflight_messages 1000", "max_queued_messages 10000", *more]
    if not any(line.startswith("allow_anonymous") for line in more):
        lines.append("allow_anonymous true")
    if os.geteuid() == 0:
        lines.append(f"user {pwd.getpwuid(0).pw_name}")
    settings.write_text("\n".join(lines) + "\n")
    process = await asyncio.create_subprocess_exec(program, "-c", str(settings), stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20.0):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        yield port
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def listens(host: LocalHost, count: int = 1) -> None:
    """Wait until the collector's subscription is granted."""
    async with asyncio.timeout(20.0):
        while host.net.subscribed < count:  # type: ignore[attr-defined]
            await asyncio.sleep(0.005)


async def publish(program: str, port: int, topic: str, payload: bytes, *more: str) -> None:
    """One message by mosquitto_pub, QoS 1."""
    words = ("-h", "127.0.0.1", "-p", str(port), "-t", topic, "-q", "1", *more)
    process = await asyncio.create_subprocess_exec(program, *words, "-s" if payload else "-n", stdin=asyncio.subprocess.PIPE)
    await process.communicate(payload)
    assert process.returncode == 0


def reading(value: Any, site: str = "weir", time: str = "2026-03-01T11:00:00Z") -> bytes:
    return json.dumps({"site": site, "time": time, "value": value}).encode()
