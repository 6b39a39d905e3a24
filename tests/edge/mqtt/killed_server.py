"""A whole edge node in a process of its own, to be killed: python killed_server.py FOLDER. Prints its port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.edge import Latest, Node, Spool, Watch
from tocsin.edge.ingest import Ingest
from tocsin.edge.mqtt.acl import Acl, Grant
from tocsin.edge.mqtt.endpoint import Endpoint, Login
from tocsin.host import WallClock
from tocsin.pack.ready_rules import threshold
from tocsin.pack.rule import Limits
from tocsin.platform.ledger import open_ledger
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import Level, Quantity

LEVEL = Quantity("river_level", "m", low=-5, high=1e9)
HIGH = threshold("river_high", LEVEL, Limits({Level.RED: 5e8}, "m", "a test"), max_age_s=1e9, min_readings=1)


class KilledHost:
    """Wall clock and a ledger on disk."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.gate, self.compute = WallClock(), RoleGate(), None
        self.ledger = open_ledger(folder, clock=self.clock, gate=self.gate, purpose="exercise")

    def chance(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(len(purpose))


async def serve(folder: Path) -> None:
    host: Any = KilledHost(folder / "ledger")
    latest = Latest(depth=5000)
    watch = Watch({"flood": [HIGH]}, latest, since=host.clock.now())
    node = Node(
        host,
        Actor("edge:test", frozenset({"sensor", "system"})),
        latest=latest,
        watch=watch,
        spool=Spool(folder / "spool", segment_bytes=1 << 16),
    )
    node.restore()
    ingest = Ingest(node, host.clock, [LEVEL])

    async def authenticate(login: Login) -> Actor:
        return Actor(login.client_id, frozenset({"sensor"}))

    endpoint = Endpoint(authenticate, Acl(RoleGate(), usual=Grant(publish=("readings/#",))).permit)
    endpoint.on_publish("readings/#", ingest.take)
    print(await endpoint.listen("127.0.0.1", 0), flush=True)  # noqa: T201 how the test learns the port
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
