"""The process part of the edge: collect, check, write to disk, acknowledge, judge, tell the ledger; and go on, whatever breaks.

`Node.take` is the whole path of a batch in one plain call; `Node.run` drives it from collectors and a timer.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import operator
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.edge.collect import Batch, Collector
from tocsin.edge.incoming import Checked
from tocsin.edge.latest import Latest, microseconds
from tocsin.edge.spool import NOBODY, Origin, Spool
from tocsin.edge.watch import Watch
from tocsin.host import Host
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError, Observations, PackFault, Quantity, Record, Refused, SensorFault, Unavailable, column

log = logging.getLogger(__name__)

COLLECTOR = "collector"
STORAGE = "storage"
SPOOL = "spool"
Waiting = asyncio.Queue[tuple[Batch, "asyncio.Future[None]"]]
Listener = Callable[[Observations], None]


class Taken(msgspec.Struct, frozen=True):
    """What became of a group of batches: how many readings are on disk, and the ids of the records that they led to."""

    stored: int
    duplicates: int
    late: int
    records: tuple[str, ...]


class Heard(msgspec.Struct, frozen=True):
    """Of one quantity: whose clock is ahead of ours and by how many s, and the places of those whose clock agrees."""

    quantity: Quantity
    ahead: Mapping[str, float]
    agrees: NDArray[np.int64]


class Stored(msgspec.Struct, frozen=True):
    """How many readings are on disk, and what the rules have yet to look at."""

    readings: int = 0
    duplicates: int = 0
    late: int = 0
    heard: Mapping[str, Heard] = {}
    upto: int = 0  # the last block of the spool that is in it

    def __add__(self, other: Stored) -> Stored:
        """Both, to be judged at once."""
        heard = dict(self.heard)
        for name, new in other.heard.items():
            old = heard.get(name)
            if old is not None:
                new = Heard(new.quantity, {**old.ahead, **new.ahead}, np.union1d(old.agrees, new.agrees))
            heard[name] = new
        counts = self.readings + other.readings, self.duplicates + other.duplicates, self.late + other.late
        return Stored(*counts, heard, max(self.upto, other.upto))


class Node:
    """One place where readings arrive. What it needs is given from outside; it makes no file and asks no clock of its own.

    At the start it takes the open warnings and faults from the ledger, and the latest readings from the spool.
    """

    def __init__(
        self,
        host: Host,
        actor: Actor,
        *,
        latest: Latest,
        watch: Watch,
        spool: Spool | None = None,
        collectors: Sequence[Collector] = (),
        on_readings: Iterable[Listener] = (),
        tick_s: float = 60.0,
        waiting_most: int = 64,
        backoff_s: tuple[float, float] = (1.0, 300.0),
        on_trouble: Callable[[str, str | None], None] | None = None,
    ) -> None:
        """`on_trouble` hears, once each, that a part is broken and why, and with None that it works again.

        `broken` holds the parts that are, `judged` the last block of the spool that the rules have seen, and `counted` how many
        readings of each quantity were stored, were known already, came too late, or were of the future.
        """
        names = [collector.name for collector in collectors]
        if len(set(names)) != len(names):
            raise InputError(f"node {actor.name}: collectors {names}; wanted each name once")
        if not (tick_s > 0 and waiting_most > 0 and 0 < backoff_s[0] <= backoff_s[1]):
            raise InputError(f"node {actor.name}: tick_s = {tick_s}, waiting_most = {waiting_most}, backoff_s = {backoff_s}")
        self._host, self._actor, self.latest, self.watch, self._spool = host, actor, latest, watch, spool
        self._collectors, self._on_readings = tuple(collectors), list(on_readings)
        self._tick_s, self._waiting_most, self._backoff_s = tick_s, waiting_most, backoff_s
        self._on_trouble = on_trouble
        self.broken: dict[str, str] = {}
        self.judged = 0
        self.counted: Counter[tuple[str, str]] = Counter()
        self._storing, self._judging = threading.Lock(), threading.Lock()

    def on_readings(self, heard: Listener) -> None:
        """Call `heard` with every batch after it was stored and judged: flagged, and without what was known already."""
        self._on_readings.append(heard)

    def restore(self, *, hours: float = 48.0) -> int:
        """Take up where the last run ended: levels and faults from the ledger, readings from the spool; return how many."""
        self.watch.learn(entry.record for entry in self._host.ledger.read())
        count = 0
        if self._spool is not None:
            for batch in self._spool.replay(from_us=microseconds(self._host.clock.now() - timedelta(hours=hours))):
                count += len(self.latest.take(batch).observations)
            records = [
                SensorFault(time=self._host.clock.now(), subject=self._actor.name, quantity="all", check=STORAGE, reason=line)
                for line in self._spool.damage
            ]
            self._tell(records)
        return count

    def take(self, *batches: Observations) -> Taken:
        """Check, store, keep, judge and tell; when this returns, every reading is on disk and may be acknowledged.

        Batches of one quantity are joined, and one fsync serves them all. Raises Unavailable where disk or ledger does not
        answer; then the batches may be given again: no reading is kept and no record written twice.
        """
        stored = self.store(*batches)
        told = self.judge(stored)
        return Taken(stored.readings, stored.duplicates, stored.late, told)

    def store(self, *batches: Observations, origin: Origin = NOBODY) -> Stored:
        """The first half of `take`: check, write to disk, keep, tell the listeners. The readings may then be acknowledged.

        Whoever calls it owes a `judge` of what it returns; until then the timer's `look` judges the same readings. `origin` is
        written with them, in one piece: see `Spool.append`.
        """
        by_quantity: dict[str, list[Observations]] = {}
        for batch in batches:
            if len(batch):
                by_quantity.setdefault(batch.quantity.name, []).append(batch)
        with self._storing:
            checked = [self.latest.check(_joined(several)) for several in by_quantity.values()]
            if self._spool is not None:
                size = self._host.ledger.size()
                self._spool.append([one.observations for one in checked], entries=size, origin=origin)
            for one in checked:
                self.latest.keep(one)
                self._count(one)
                if len(one.observations):
                    self._hear(one.observations)
            upto = 0 if self._spool is None else self._spool.number
        return Stored(
            sum(len(one.observations) for one in checked),
            sum(one.duplicates for one in checked),
            sum(one.late for one in checked),
            {one.observations.quantity.name: Heard(one.observations.quantity, dict(one.future), one.heard) for one in checked},
            upto,
        )

    def _count(self, checked: Checked) -> None:
        name = checked.observations.quantity.name
        self.counted[name, "stored"] += len(checked.observations)
        self.counted[name, "known already"] += checked.duplicates
        self.counted[name, "late"] += checked.late
        self.counted[name, "of the future"] += len(checked.future)

    def judge(self, stored: Stored) -> tuple[str, ...]:
        """The second half: faults and warnings about what was stored, told to the ledger; the ids of their records.

        Several stored groups may be added and judged at once: rules that take long then fall behind by their own time only.
        """
        told = list[str]()
        with self._judging:
            now = self._host.clock.now()
            for heard in stored.heard.values():
                told += self._tell(self.watch.inspect(now, [heard.quantity], ahead=heard.ahead, heard=heard.agrees))
                ahead = self.latest.places(heard.quantity, heard.ahead)
                touched = {heard.quantity.name: np.union1d(heard.agrees, ahead)}
                told += self._tell(self.watch.look(now, [heard.quantity], touched=touched))
            self.judged = max(self.judged, stored.upto)
        return tuple(told)

    def _hear(self, observed: Observations) -> None:
        """Hand a stored batch to whoever asked for it; who fails to listen stops nobody."""
        for heard in self._on_readings:
            try:
                heard(observed)
            except Exception:  # a listener is another part's code
                log.exception("listener_broken", extra={"listener": repr(heard)})

    def learn(self, records: Sequence[Record], *, hold: Iterable[str] = (), until: datetime | None = None) -> None:
        """Take what another node has told, so that it is not told twice; sites in `hold` are not judged before `until`."""
        with self._judging:
            self.watch.learn(records)
            self.watch.hold(hold, until)

    def look(self) -> tuple[str, ...]:
        """What the timer does: judge everything as of now. Blindness and gaps are found when nothing comes."""
        with self._judging:
            now, upto = self._host.clock.now(), 0 if self._spool is None else self._spool.number
            told = self._tell((*self.watch.inspect(now), *self.watch.look(now)))
            self.judged = max(self.judged, upto)
            return told + self._tell_dropped(now)

    def _tell_dropped(self, now: datetime) -> tuple[str, ...]:
        """Say which readings the spool had to drop before they were sent on, or were in the history."""
        if self._spool is None or not self._spool.news:
            return ()
        gone = tuple(self._spool.news)
        dropped = functools.reduce(operator.add, gone)
        sends = self._spool.sent is not None
        before, wanted = ("they were sent", "an uplink") if sends else ("they were in the history", "a compaction in time")
        reason = (
            f"{dropped.readings} readings of {moment(dropped.from_us)} to {moment(dropped.to_us)} had to go before {before} "
            f"(blocks {dropped.first} to {dropped.last}): the log is full; wanted {wanted}, or more room for it"
        )
        records = [SensorFault(time=now, subject=self._actor.name, quantity="all", check=SPOOL, reason=reason)]
        told = self._tell(records)
        del self._spool.news[: len(gone)]
        return told

    def _tell(self, records: Sequence[Record]) -> tuple[str, ...]:
        """Append to the ledger; only what is written there counts as told."""
        if not records:
            return ()
        ids = self._host.ledger.append(self._actor, records)
        self.watch.learn(records)
        return ids

    async def run(self, until: datetime | None = None) -> None:
        """Collect until `until`, or until cancelled. A collector that breaks is told once, and started again with backoff."""
        waiting: Waiting = asyncio.Queue(self._waiting_most)
        tasks = [asyncio.create_task(self._write(waiting)), asyncio.create_task(self._tick())]
        tasks += [asyncio.create_task(self._collect(collector, waiting)) for collector in self._collectors]
        if until is not None:
            tasks.append(asyncio.create_task(self._host.clock.sleep((until - self._host.clock.now()).total_seconds())))
        try:
            done, _ = await asyncio.wait(
                [tasks[0], tasks[1], *(tasks[-1:] if until else [])], return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _collect(self, collector: Collector, waiting: Waiting) -> None:
        """Drive one collector. Asking it for the next batch says that the one before is on disk."""
        delay_s = self._backoff_s[0]
        while True:
            try:
                async with aclosing(collector.batches(self._host)) as batches:
                    async for batch in batches:
                        if not isinstance(batch, Observations | tuple):
                            raise PackFault(f"it gave a {type(batch).__name__}; wanted Observations or a tuple of Bulletins")
                        if len(batch):
                            stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                            await waiting.put((batch, stored))
                            await stored
                        delay_s = self._backoff_s[0]
                        self._report(collector.name, None)
                return
            except Exception as broken:  # whatever a collector raises, the others go on
                self._report(collector.name, f"{type(broken).__name__}: {broken}; trying again")
            await self._host.clock.sleep(delay_s)
            delay_s = min(2.0 * delay_s, self._backoff_s[1])

    def _take_bulletins(self, records: Sequence[Record]) -> None:
        """Write down what agencies say, and then what follows from it."""
        if records:
            with self._judging:
                self._tell(records)
                self._tell(self.watch.bulletins.look(self._host.clock.now()))

    def _report(self, name: str, reason: str | None) -> None:
        """Tell the ledger once when a part breaks, and once when it works again."""
        if (reason is None) == (name not in self.broken):
            return
        now = self._host.clock.now()
        subject, check = (self._actor.name, STORAGE) if name == STORAGE else (f"{COLLECTOR} {name}", COLLECTOR)
        fault = SensorFault(
            time=now, subject=subject, quantity="all", check=check, reason=reason or "works again", healed=reason is None
        )
        if reason is None:
            log.info("part_works", extra={"part": name})
            del self.broken[name]
        else:
            log.warning("part_broken", extra={"part": name, "reason": reason})
            self.broken[name] = reason
        if self._on_trouble is not None:
            self._on_trouble(name, reason)
        try:
            self._tell([fault])
        except Unavailable as busy:
            log.warning("fault_not_told", extra={"part": name, "reason": str(busy)})

    async def _tick(self) -> None:
        """Look round even when nothing comes."""
        while True:
            await self._host.clock.sleep(self._tick_s)
            try:
                self.look()
            except Unavailable as busy:
                self._report(STORAGE, str(busy))

    async def _write(self, waiting: Waiting) -> None:
        """Take all that waits as one group with one fsync."""
        while True:
            group = [await waiting.get()]
            while not waiting.empty():
                group.append(waiting.get_nowait())
            try:
                await self._store([batch for batch, _ in group])
            except (InputError, Refused):  # one of them cannot be used: the others must not suffer for it
                for batch, stored in group:
                    try:
                        await self._store([batch])
                    except (InputError, Refused) as unusable:
                        if not stored.done():
                            stored.set_exception(unusable)
            for _, stored in group:
                if not stored.done():
                    stored.set_result(None)

    async def _store(self, batches: list[Batch]) -> None:
        """Take the batches; where disk or ledger does not answer, acknowledge nothing, tell it once, and try until it does."""
        readings = [batch for batch in batches if isinstance(batch, Observations)]
        records = [record for batch in batches if not isinstance(batch, Observations) for record in batch]
        delay_s = self._backoff_s[0]
        while True:
            try:
                self._take_bulletins(records)
                self.take(*readings)
                self._report(STORAGE, None)
                return
            except Unavailable as busy:
                self._report(STORAGE, str(busy))
                await self._host.clock.sleep(delay_s)
                delay_s = min(2.0 * delay_s, self._backoff_s[1])


def moment(time_us: int) -> str:
    """Microseconds since 1970 as people write a time; a number that has no date stays a number."""
    try:
        return f"{datetime.fromtimestamp(time_us / 1e6, UTC):%Y-%m-%d %H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):
        return f"{time_us} us"


def _joined(batches: list[Observations]) -> Observations:
    """Batches of one quantity as one, in the order in which they came."""
    first = batches[0]
    if len(batches) == 1:
        return first
    for batch in batches:
        if batch.quantity.unit != first.quantity.unit:
            raise InputError(f"readings of {batch.quantity} beside {first.quantity}: convert them in the collector")
    names: dict[str, int] = {}
    places = [np.array([names.setdefault(site, len(names)) for site in batch.sites], np.int64) for batch in batches]
    site = np.concatenate([place[batch.site] for place, batch in zip(places, batches, strict=True)])
    columns = {name: np.concatenate([getattr(b, name) for b in batches]) for name in ("time_us", "value", "flag", "arrived_us")}
    return Observations(
        first.quantity, tuple(names), column(site, np.int32), **{name: column(t, t.dtype) for name, t in columns.items()}
    )
