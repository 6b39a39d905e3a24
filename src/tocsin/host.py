"""The one seam: time, chance, permission, storage, computing and the network. Swap this object, and all is a drill.

Everything that a run cannot repeat by itself is asked of the Host. With a VirtualClock and a seed, the same inputs give the
same ledger, record for record.
"""

from __future__ import annotations

import asyncio
import heapq
import ssl
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
import numpy as np

from tocsin.security.actor import Actor
from tocsin.vocabulary.errors import InputError, TocsinError, Unavailable
from tocsin.vocabulary.records import AnyRecord, Record

if TYPE_CHECKING:
    import httpx

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")


class Clock(Protocol):
    def now(self) -> datetime:
        """The moment, UTC."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Gate(Protocol):
    def permit(self, actor: Actor, act: str, on: str) -> None:
        """Return, or raise Refused. Every interface and every ledger write passes here."""
        ...


class Entry(msgspec.Struct, frozen=True):
    """One line of the ledger: its number from 1, who wrote it, when it was written, and what it says."""

    number: int
    id: str
    actor: str
    written: datetime
    record: AnyRecord


class Ledger(Protocol):
    """Append-only, in an RFC 6962 Merkle tree. A correction is a new record that names the old one as its cause."""

    def append(self, actor: Actor, records: Sequence[Record]) -> tuple[str, ...]:
        """Write all or none; return their ids when they are on disk. What is already there is not written twice."""
        ...

    def read(self, after: int = 0) -> Iterator[Entry]:
        """Entries in order, from number `after` + 1 on."""
        ...

    def find(self, record_id: str) -> Entry:
        """One entry by its record's id; raises NotFound."""
        ...

    def size(self) -> int: ...
    def verify(self) -> int:
        """Recompute every hash, link and signature; return how many entries hold, or raise at the first that does not."""
        ...


class Fault(msgspec.Struct, frozen=True):
    """What came of an item whose work failed: the error, always one of Tocsin's own."""

    error: TocsinError


class Compute(Protocol):
    """Runs a pure function over many inputs: in threads, in processes, or on a cluster, with the same answer bit for bit."""

    @property
    def workers(self) -> int: ...
    def map(self, work: Callable[[T], R], items: Sequence[T], *, on_done: Callable[[int], None] | None = None) -> list[R]:
        """Results in the order of `items`, in threads of this process; `on_done` hears how many are finished. The first error stops the rest."""
        ...

    def each(self, work: Callable[[S, T], R], shared: S, items: Iterable[T]) -> Generator[tuple[int, R | Fault], None, None]:
        """(number of the item, what came of it) as they are finished, wherever they run.

        `work` is a function of a module, and `shared` (the world) goes to each worker once. An item is only taken from `items` when a worker
        can have it, so that whoever makes the items may decide late; and no more results are kept than there are workers and a few. To stop
        close the iterator: what has not begun never does.
        """
        ...

    def close(self) -> None:
        """Let go of what is held between calls: processes, a connection to a cluster."""
        ...


class Network(Protocol):
    """The way out of this machine, and in. A drill gets one that leads nowhere, or to a source that is played."""

    def permit(self, host: str, port: int) -> None:
        """Return if this place may be spoken with, by whatever library; else raise Unavailable."""
        ...

    def http(self, *, timeout_s: float, verify: ssl.SSLContext | bool = True) -> httpx.AsyncClient:
        """A client that follows no redirects by itself."""
        ...

    async def connect(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to a server; raises OSError or Unavailable."""
        ...


class Host(Protocol):
    @property
    def clock(self) -> Clock: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def gate(self) -> Gate: ...
    @property
    def compute(self) -> Compute: ...
    @property
    def net(self) -> Network: ...
    def chance(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose: one stream more never shifts another."""
        ...


class Internet:
    """The machine's own network."""

    def permit(self, host: str, port: int) -> None:
        pass

    def http(self, *, timeout_s: float, verify: ssl.SSLContext | bool = True) -> httpx.AsyncClient:
        """A client that follows no redirects by itself."""
        import httpx

        return httpx.AsyncClient(timeout=timeout_s, verify=verify, follow_redirects=False)

    async def connect(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A stream to a server; raises OSError."""
        return await asyncio.open_connection(host, port, ssl=tls)


class NoNetwork:
    """Leads nowhere: what a drill gets, and every test that does not ask for more."""

    def permit(self, host: str, port: int) -> None:
        raise Unavailable(f"network: {host}:{port}: this host has no network; give it one, e.g. tocsin.host.Internet()")

    def http(self, *, timeout_s: float, verify: ssl.SSLContext | bool = True) -> httpx.AsyncClient:  # noqa: ARG002
        """A client whose every request raises Unavailable."""
        import httpx

        def refuse(request: httpx.Request) -> httpx.Response:
            self.permit(request.url.host, request.url.port or 443)
            raise AssertionError("permit returned")

        return httpx.AsyncClient(transport=httpx.MockTransport(refuse))

    async def connect(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,  # noqa: ARG002
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.permit(host, port)
        raise AssertionError("permit returned")


class WallClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class ScaledClock:
    """A clock that starts at `start` and runs `speed` times as fast as life: a storm of a day shown in four minutes."""

    def __init__(self, start: datetime, speed: float) -> None:
        if start.tzinfo is None or not speed > 0:
            raise InputError(f"scaled clock: start {start}, speed {speed}; wanted an aware time and a speed > 0")
        self._start, self._speed, self._began_s = start, speed, time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.monotonic() - self._began_s) * self._speed)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self._speed)


class VirtualClock:
    """Time that stands still until everybody sleeps, then jumps to the next who wakes: a week in a second, and repeatable.

    `run` drives the tasks; those who wake at one moment wake in the order in which they fell asleep.
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise InputError(f"virtual clock: start {start} has no zone; wanted UTC")
        self._now, self._order = start, 0
        self._asleep: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order += 1
        heapq.heappush(self._asleep, (self._now + timedelta(seconds=max(0.0, seconds)), self._order, wake))
        await wake

    async def run(self, until: datetime) -> None:
        """Let all tasks run until `until`; what sleeps longer is left asleep."""
        while True:
            for _ in range(10):  # tasks that wake each other without sleeping get their turns before time moves
                await asyncio.sleep(0)
            if not self._asleep or self._asleep[0][0] > until:
                self._now = max(self._now, until)
                return
            self._now, _, wake = heapq.heappop(self._asleep)
            if not wake.cancelled():
                wake.set_result(None)
