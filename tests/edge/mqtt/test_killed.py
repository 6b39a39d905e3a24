"""kill -9 under load: what was acknowledged is on the disk, once; what was not may be sent again, and is then there once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

import msgspec

from tocsin.edge import Spool
from tocsin.edge.mqtt.wire import V5, Ack, Connect, Parser, Publish, encode
from tocsin.edge.spool import decode_blocks
from tocsin.vocabulary import Quantity

ROUNDS = int(os.environ.get("TOCSIN_KILLS", "10"))
SITES = 20
HERE = Path(__file__).resolve().parent
LEVEL = Quantity("river_level", "m", low=-5, high=1e9)
Reading = tuple[str, int, float]


class Device(asyncio.Protocol):
    """Sends readings as fast as they are acknowledged, 200 at a time, until the server is gone."""

    def __init__(self, to_send: list[Reading], stop_after: int) -> None:
        self._to_send, self._stop_after = to_send, stop_after
        self.sent: dict[int, Reading] = {}
        self.acknowledged: list[Reading] = []
        self.enough, self.gone = asyncio.Event(), asyncio.Event()
        self._parser, self._next = Parser(V5), 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(encode(Connect("device"), V5))

    def data_received(self, data: bytes) -> None:
        for packet in self._parser.feed(data):
            if isinstance(packet, Ack):
                assert packet.code == 0
                self.acknowledged.append(self.sent.pop(packet.packet_id))
        if len(self.acknowledged) >= self._stop_after:
            self.enough.set()
        parts = []
        while self._to_send and len(self.sent) < 200:
            site, time_us, value = reading = self._to_send.pop(0)
            self._next = self._next % 60_000 + 1
            self.sent[self._next] = reading
            told = msgspec.json.encode({"quantity": "river_level", "site": site, "time_us": time_us, "value": value})
            parts.append(encode(Publish(f"readings/{site}", told, 1, packet_id=self._next), V5))
        self._transport.write(b"".join(parts))

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


async def one_life(folder: Path, to_send: list[Reading], stop_after: int) -> tuple[list[Reading], list[Reading]]:
    """Start a server, load it, kill it in the middle; (acknowledged, sent and not acknowledged)."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "killed_server.py"), str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    port = int(await asyncio.wait_for(server.stdout.readline(), 60.0))
    _, device = await asyncio.get_running_loop().create_connection(lambda: Device(to_send, stop_after), "127.0.0.1", port)
    await asyncio.wait_for(device.enough.wait(), 60.0)
    os.kill(server.pid, signal.SIGKILL)
    await device.gone.wait()
    await server.wait()
    return device.acknowledged, list(device.sent.values())


def test_every_acknowledged_reading_is_there_exactly_once_after_kill_9_under_load(tmp_path: Path) -> None:
    chance = random.Random(7)
    began_us = time.time_ns() // 1000
    number = 0
    acknowledged: list[Reading] = []
    again: list[Reading] = []
    for _ in range(ROUNDS):
        fresh: list[Reading] = []
        for _ in range(3000):
            number += 1
            fresh.append((f"s{number % SITES}", began_us + number, float(number)))
        repeated = acknowledged[-100:]  # a device that did not hear its acknowledgement
        told, again = asyncio.run(one_life(tmp_path, [*again, *repeated, *fresh], 500 + chance.randrange(1500)))
        acknowledged += told
    spool = Spool(tmp_path / "spool")
    lying = [
        (batch.sites[site], int(at), float(value))
        for path in sorted((tmp_path / "spool").glob("segment-*"))
        for batch in decode_blocks(path.read_bytes())
        for site, at, value in zip(batch.site, batch.time_us, batch.value, strict=True)
    ]
    assert len(lying) == len(set(lying))
    assert set(acknowledged) <= set(lying)
    assert len(spool.read(LEVEL)) == len(lying)
    spool.close()
    assert len(set(acknowledged)) > ROUNDS * 400
