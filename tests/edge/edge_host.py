"""What the edge needs of a Host, in memory: a ledger that refuses on demand, a virtual clock, a seeded chance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from tocsin.host import Entry, NoNetwork, VirtualClock
from tocsin.security.actor import Actor
from tocsin.vocabulary import AnyRecord, NotFound, Record, Unavailable, record_id

START = datetime(2026, 3, 1, tzinfo=UTC)
EDGE = Actor("edge:test", frozenset({"sensor", "system"}))


class MemoryLedger:
    """Entries in a list; what is already there is not written twice."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now, self._entries, self._numbers = now, list[Entry](), dict[str, int]()
        self.is_down = False

    def append(self, actor: Actor, records: Sequence[Record]) -> tuple[str, ...]:
        if self.is_down:
            raise Unavailable("ledger: is down for this test")
        ids = []
        for record in records:
            name = record_id(record)
            if name not in self._numbers:
                self._numbers[name] = len(self._entries) + 1
                told: AnyRecord = record  # type: ignore[assignment]
                self._entries.append(Entry(len(self._entries) + 1, name, actor.name, self._now(), told))
            ids.append(name)
        return tuple(ids)

    def read(self, after: int = 0) -> Iterator[Entry]:
        return iter(tuple(self._entries[after:]))

    def find(self, record_id: str) -> Entry:
        if record_id not in self._numbers:
            raise NotFound(record_id)
        return self._entries[self._numbers[record_id] - 1]

    def size(self) -> int:
        return len(self._entries)

    def verify(self) -> int:
        return len(self._entries)

    def records(self, kind: type[Record]) -> list[AnyRecord]:
        return [entry.record for entry in self._entries if isinstance(entry.record, kind)]


class TestHost:
    """A Host whose clock stands where it is put."""

    __test__ = False

    def __init__(self, start: datetime = START, seed: int = 7) -> None:
        self.clock = VirtualClock(start)
        self.ledger = MemoryLedger(self.clock.now)
        self.gate = None
        self.compute = None
        self.net = NoNetwork()
        self._seed = seed

    def chance(self, purpose: str) -> np.random.Generator:
        digest = hashlib.sha256(purpose.encode()).digest()
        return np.random.default_rng([self._seed, int.from_bytes(digest[:8], "big")])
