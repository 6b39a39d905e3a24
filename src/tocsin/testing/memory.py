"""A Host for tests: time that jumps, chance from a seed, the real gate, and a ledger in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar, get_args

from tocsin.host import Clock, Entry, Fault, Gate, Network, NoNetwork, VirtualClock
from tocsin.platform.handing_out import run_batch
from tocsin.platform.local import LocalHost
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.security.merkle import Frontier, leaf_hash
from tocsin.security.proof import check_writable, is_batch, line_of, moment_text, record_name
from tocsin.vocabulary.errors import InputError, NotFound
from tocsin.vocabulary.records import AnyRecord, Record, decode_record, encode_record

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

START = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryLedger:
    """Keeps all promises of a ledger but one: it is gone when the process ends. It knows no users and takes any key."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate, self._clock = gate, clock
        self._lock = threading.RLock()
        self._lines: list[tuple[int, str, str, str, bytes]] = []
        self._numbers: dict[str, int] = {}
        self._frontier = Frontier()

    def append(self, actor: Actor, records: Sequence[Record]) -> tuple[str, ...]:
        """Write all or none; what is already there is not written twice."""
        new: dict[str, bytes] = {}
        names = []
        with self._lock:
            for record in records:
                if not isinstance(record, get_args(AnyRecord)):
                    raise InputError(f"ledger: {type(record).__name__} is no kind of record")
                self._gate.permit(actor, f"write {type(record).__name__.lower()}", record.subject)
                check_writable(record, actor.name, where=f"ledger: {type(record).__name__.lower()} about {record.subject}")
                row = encode_record(record)
                name = record_name(decode_record(row), row)
                names.append(name)
                if name in self._numbers or name in new:
                    continue
                for cause in record.cause:
                    if not is_batch(cause) and cause not in new and cause not in self._numbers:
                        raise InputError(f"ledger: {name} names the cause {cause[:80]!r}, which is not in the ledger")
                new[name] = row
            written = moment_text(self._clock.now())
            for name, row in new.items():
                line = (len(self._lines) + 1, name, actor.name, written, row)
                self._frontier.append(leaf_hash(line_of(*line)))
                self._lines.append(line)
                self._numbers[name] = line[0]
        return tuple(names)

    def read(self, after: int = 0) -> Iterator[Entry]:
        """Entries in order, from number `after` + 1 on."""
        with self._lock:
            lines = self._lines[max(after, 0) :]
        return (_entry(line) for line in lines)

    def find(self, record_id: str) -> Entry:
        """One entry by its record's id; raises NotFound."""
        if record_id not in self._numbers:
            raise NotFound(f"ledger: no record {record_id[:80]!r} among {len(self._lines)} entries")
        return _entry(self._lines[self._numbers[record_id] - 1])

    def size(self) -> int:
        """How many entries there are."""
        return len(self._lines)

    def verify(self) -> int:
        """Recompute every hash; return how many entries hold, or raise at the first that does not."""
        again = Frontier()
        with self._lock:
            for number, line in enumerate(self._lines, 1):
                again.append(leaf_hash(line_of(*line)))
                if line[0] != number or record_name(decode_record(line[4]), line[4]) != line[1]:
                    raise InputError(f"ledger: entry {number} was changed")
            if again.root() != self._frontier.root():
                raise InputError(f"ledger: the {again.size} entries are not those that were written")
        return again.size


def _entry(line: tuple[int, str, str, str, bytes]) -> Entry:
    number, name, actor, written, row = line
    return Entry(number, name, actor, datetime.fromisoformat(written), decode_record(row))


class OneByOne:
    """Computes in the caller's thread, in the order of the items."""

    workers = 1

    def map(self, work: Callable[[T], R], items: Sequence[T], *, on_done: Callable[[int], None] | None = None) -> list[R]:
        """Results in the order of `items`; `on_done` hears how many are finished."""
        results = []
        for item in items:
            results.append(work(item))
            if on_done is not None:
                on_done(len(results))
        return results

    def each(self, work: Callable[[S, T], R], shared: S, items: Iterable[T]) -> Generator[tuple[int, R | Fault], None, None]:
        """(number, result) one after the other; an error belongs to its item."""
        for number, item in enumerate(items):
            (result,) = run_batch(work, shared, (item,)).results
            yield number, result

    def close(self) -> None:
        """Nothing is held."""


class TestHost(LocalHost):
    """Everything that a part may ask for, repeatable: the same seed and the same inputs give the same ledger."""

    __test__ = False  # it is no test, though its name begins like one

    clock: VirtualClock
    ledger: MemoryLedger

    def __init__(self, *, start: datetime = START, seed: int = 1, net: Network | None = None) -> None:
        clock, gate = VirtualClock(start), RoleGate()
        super().__init__(
            clock=clock, ledger=MemoryLedger(gate, clock), gate=gate, compute=OneByOne(), seed=seed, net=net or NoNetwork()
        )
