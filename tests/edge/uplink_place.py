"""A node at the edge and a platform in two folders, joined by a line that can be cut, with one virtual clock for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from tocsin.edge import Check, Latest, Node, Spool, Watch
from tocsin.edge.latest import microseconds
from tocsin.edge.uplink import DIGEST_HEADER, ENCODING_HEADER, NODE_HEADER, SIGNATURE_HEADER, Position, Uplink
from tocsin.host import VirtualClock
from tocsin.pack.ready_rules import threshold
from tocsin.pack.rule import Limits
from tocsin.platform.compute import LocalCompute
from tocsin.platform.ledger import SqliteLedger, open_ledger
from tocsin.platform.local import LocalHost
from tocsin.platform.store.disk import read_node_key
from tocsin.platform.store.edges import Edges
from tocsin.platform.uplink import Receiver, open_receiver
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.security.keys import SigningKey
from tocsin.vocabulary import Level, Observations, Quantity, Unavailable, Warning

START = datetime(2026, 3, 1, tzinfo=UTC)
LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_amount", "mm", low=0, high=500)
EDGE, CENTRE, ADA = (
    Actor("edge:weir-house", frozenset({"sensor"})),
    Actor("edge", frozenset({"sensor"})),
    Actor("ada", frozenset({"administrator"})),
)
HIGH = threshold(
    "river_high",
    LEVEL,
    Limits({Level.YELLOW: 3.0, Level.RED: 5.0}, "m", "a test"),
    max_age_s=1800,
    persistence_s=600,
    min_readings=2,
    margin=0.1,
)


class Machine:
    """One computer: its folder, its ledger, its spool and its node. `crash` leaves it as a power cut would; `start` goes on."""

    def __init__(
        self, folder: Path, clock: VirtualClock, actor: Actor, *, checks: Sequence[Check] = (), keep_bytes: int = 8 << 30
    ) -> None:
        self.folder, self.clock, self.actor, self._checks, self._keep_bytes = folder, clock, actor, checks, keep_bytes
        self.start()

    def start(self) -> None:
        self.ledger: SqliteLedger = open_ledger(self.folder, clock=self.clock, gate=RoleGate(), purpose="exercise")
        self.host = LocalHost(clock=self.clock, ledger=self.ledger, gate=RoleGate(), compute=LocalCompute(), seed=7)
        latest = Latest(self._checks)
        watch = Watch({"flood": [HIGH]}, latest, since=self.clock.now())
        segment = min(self._keep_bytes // 4, 64 << 20)
        self.spool = Spool(self.folder / "readings", segment_bytes=segment, keep_bytes=self._keep_bytes)
        self.node = Node(self.host, self.actor, latest=latest, watch=watch, spool=self.spool)
        self.node.restore()
        self.node.look()

    def stop(self) -> None:
        self.spool.close()
        self.ledger.close()

    def again(self) -> None:
        self.stop()
        self.start()

    def warnings(self) -> list[tuple[str, Level]]:
        return [(e.record.subject, e.record.level) for e in self.ledger.read() if isinstance(e.record, Warning)]

    def readings(self, quantity: Quantity = LEVEL) -> dict[str, list[tuple[int, float]]]:
        """All readings of a quantity as they lie in the log, by site, in the order in which they were written."""
        found: dict[str, list[tuple[int, float]]] = {}
        for batch in self.spool.replay():
            if batch.quantity.name == quantity.name:
                for at, time_us, value in zip(batch.site.tolist(), batch.time_us.tolist(), batch.value.tolist(), strict=True):
                    found.setdefault(batch.sites[at], []).append((time_us, value))
        return found


class DirectLine:
    """The line to a receiver in the same process. `fault` is asked before each exchange, and after it: the answer may be lost."""

    def __init__(self, receiver: Callable[[], Receiver]) -> None:
        self.receiver, self.is_cut, self.loses_answers, self.sent = receiver, False, False, 0

    def platform(self) -> str:
        if self.is_cut:
            raise Unavailable("the line is cut")
        return self.receiver().platform

    def send(self, body: bytes, headers: dict[str, str]) -> Position:
        if self.is_cut:
            raise Unavailable("the line is cut")
        receiver = self.receiver()
        actor = receiver.who(headers[NODE_HEADER], headers[SIGNATURE_HEADER], headers[DIGEST_HEADER])
        position = receiver.take(actor, body, compressed=headers.get(ENCODING_HEADER) == "deflate")
        self.sent += 1
        if self.loses_answers:
            raise Unavailable("the answer was lost")
        return position


class Place:
    """The two machines and the line."""

    def __init__(self, folder: Path, *, keep_bytes: int = 8 << 30, batch_bytes: int = 512 << 10) -> None:
        self.clock = VirtualClock(START)
        self.batch_bytes = batch_bytes
        self.centre = Machine(folder / "centre", self.clock, CENTRE)
        self.edge = Machine(folder / "edge", self.clock, EDGE, keep_bytes=keep_bytes)
        key = read_node_key(self.edge.folder)
        assert key is not None
        self.key: SigningKey = key
        edges = Edges(self.centre.ledger.store, clock=self.clock, gate=RoleGate(), ledger=self.centre.ledger)
        edges.enrol(ADA, "weir-house", key.public_key)
        self.receive()
        self.line = DirectLine(lambda: self.receiver)
        self.connect()

    def receive(self) -> None:
        self.receiver = open_receiver(self.centre.host, self.centre.ledger, self.centre.node, self.centre.spool)

    def connect(self) -> None:
        self.uplink = Uplink(
            self.edge.host,
            EDGE,
            line=self.line,
            key=self.key,
            ledger=self.edge.ledger.id,
            spool=self.edge.spool,
            judged=lambda: self.edge.node.judged,
            batch_bytes=self.batch_bytes,
        )

    def restart_centre(self) -> None:
        self.centre.again()
        self.receive()

    def restart_edge(self) -> None:
        self.edge.again()
        self.connect()

    def pass_time(self, minutes: float) -> None:
        self.clock._now += timedelta(minutes=minutes)

    def send_all(self, most: int = 1000) -> None:
        """Let the uplink run until it has nothing more to do at once."""
        for _ in range(most):
            if self.uplink.step() > 0.0:
                return
        raise AssertionError(f"the uplink is not through after {most} steps")

    def close(self) -> None:
        self.edge.stop()
        self.centre.stop()


def reading(at: datetime, *values: float, quantity: Quantity = LEVEL, sites: Sequence[str] = ("weir", "quay")) -> Observations:
    """One reading of each site at a moment."""
    count = len(values)
    return Observations.of(quantity, tuple(sites[:count]), np.arange(count), np.full(count, microseconds(at)), values)
