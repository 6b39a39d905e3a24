"""From the payloads of messages to readings on disk: one way in, whether a message came by MQTT or by HTTP.

Payloads are decoded where the messages arrive, joined into one batch for each quantity, and written by one thread, so that the next
messages are decoded while the disk syncs. Rules have a thread of their own: a reading is acknowledged when it is on disk, and the
warning follows as soon as the rules are through; what they had not yet seen when the machine died is judged after the restart.

What a sender may get wrong is answered and counted by reason, and stops nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.edge.collect import CONVERSIONS, convert
from tocsin.edge.latest import microseconds
from tocsin.edge.mqtt.wire import NOTHING, Properties
from tocsin.edge.node import STORAGE, Node, Stored
from tocsin.edge.sound import SITE_CHARACTERS_MOST, TIME_US_MOST, what_is_wrong
from tocsin.edge.spool import MARK, decode_blocks
from tocsin.host import Clock
from tocsin.security.actor import Actor
from tocsin.vocabulary import Flag, InputError, Observations, Quantity, Unavailable

log = logging.getLogger(__name__)

CLIENTS_COUNTED = 10_000
TOGETHER = 64  # messages that are decoded in one piece; one that is bad has so many decoded one by one
SINGLE_BYTES_MOST = 500  # a message of one reading has about 80: longer ones are columns, and are not tried together
LEDGER = "ledger"
# The rules rest for half the time that they took: with 10,000 streams a look takes 20 ms of a core alone, and without a rest the
# threads that receive and store get no turn in time. Measured with benchmarks/ingest.py: half the wait for an acknowledgement.
REST_SHARE = 0.5


class Outcome(IntEnum):
    """What became of a message, as the reason codes of MQTT 5 (section 2.4) say it."""

    STORED = 0x00
    FAILED = 0x80
    REFUSED = 0x87
    OVERLOAD = 0x97
    MALFORMED = 0x99


class Message(msgspec.Struct, frozen=True, gc=False):
    """Something that arrived: who sent it (as was proved), what it says, on which topic, and what MQTT 5 said beside it."""

    actor: Actor
    payload: bytes
    topic: str = ""
    properties: Properties = NOTHING


class Result(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one message: how many readings of it are on disk now, or why none is."""

    outcome: Outcome = Outcome.STORED
    reason: str = ""
    readings: int = 0


_ONE = Result(readings=1)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may come at once, and how many names senders may invent.

    `new_sites_most` bounds the sites that nobody expected; each of them takes memory for as long as the node runs.
    """

    rows_most: int = 1_000_000
    new_sites_most: int = 20_000
    waiting_rows_most: int = 2_000_000

    def __post_init__(self) -> None:
        if min(self.rows_most, self.waiting_rows_most) < 1 or self.new_sites_most < 0:
            raise InputError(f"ingest limits {self}; wanted at least one row, and no number below zero")


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=SITE_CHARACTERS_MOST)]
_Micros = Annotated[int, msgspec.Meta(ge=0, lt=TIME_US_MOST)]
_Place = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class _Told(msgspec.Struct, gc=False):
    """A payload in JSON: one reading, or columns of them."""

    quantity: str
    unit: str | None = None
    site: _Name | list[_Place] = ""
    sites: list[_Name] | None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    time_us: _Micros | list[_Micros] | None = None
    value: float | list[float | None] | None = None


class _Reading(msgspec.Struct, gc=False):
    """A payload in JSON that is one reading and nothing else."""

    quantity: str
    site: _Name
    unit: str | None = None
    sites: None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    time_us: _Micros | None = None
    value: float | None = None


class _Columns:
    """Readings of one quantity from the messages of one group, in the order in which they came."""

    def __init__(self, quantity: Quantity) -> None:
        self.quantity, self.names, self.rows = quantity, dict[str, int](), 0
        self.parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]] = []
        self._site, self._time_us, self._value = list[int](), list[int](), list[float | None]()

    def add_one(self, site: str, time_us: int, value: float | None) -> None:
        """One reading: kept in lists, because an array for each would cost more than the reading."""
        self._site.append(self.names.setdefault(site, len(self.names)))
        self._time_us.append(time_us)
        self._value.append(value)
        self.rows += 1

    def add_several(self, sites: Sequence[str], time_us: Iterable[int], value: Iterable[float | None]) -> None:
        """One reading of each site."""
        names = self.names
        self._site += [names.setdefault(site, len(names)) for site in sites]
        self._time_us += time_us
        self._value += value
        self.rows += len(sites)

    def add(
        self,
        sites: Sequence[str],
        site: NDArray[np.int64],
        time_us: NDArray[np.int64],
        value: NDArray[np.float64],
        flag: NDArray[np.uint8] | None = None,
    ) -> None:
        """Columns of one message."""
        self.close()
        names = self.names
        places = np.array([names.setdefault(name, len(names)) for name in sites], np.int64)
        flags = np.full(site.size, Flag.NOT_EVALUATED, np.uint8) if flag is None else flag
        self.parts.append((places[site], time_us, value, flags))
        self.rows += site.size

    def close(self) -> None:
        """Turn the lists into columns."""
        if self._site:
            flags = np.full(len(self._site), Flag.NOT_EVALUATED, np.uint8)
            columns = np.array(self._site, np.int64), np.array(self._time_us, np.int64), np.array(self._value, np.float64)
            self.parts.append((*columns, flags))
            self._site, self._time_us, self._value = [], [], []


class _Bad(Exception):
    """A payload that cannot be used; `reason` is one of few words, by which it is counted."""

    def __init__(self, reason: str, words: str, outcome: Outcome = Outcome.MALFORMED) -> None:
        super().__init__(words)
        self.reason, self.outcome = reason, outcome


class _Group(msgspec.Struct):
    """The decoded messages of one call, which wait for the disk; `done` gets None, or why nothing of them was stored."""

    columns: dict[str, _Columns]
    rows: int
    done: asyncio.Future[Result | None]


MaySpeak = Callable[[str, Sequence[str]], bool]
OnTrouble = Callable[[str, str | None], None]


class Ingest:
    """Takes messages and answers each: stored, malformed, refused or too much.

    `quantities` are what may be measured; another name is refused. A unit is converted where the table of `collect` knows how, and
    refused where not; where none is said, the quantity's own is meant. `expected` sites are known; others are taken up to
    `limits.new_sites_most`. `may_speak(source, sites)` says who may send for which sites; without it, everybody may for all.
    `on_trouble(part, reason)` hears when the disk or the ledger does not answer, and with None when it does again.
    """

    def __init__(
        self,
        node: Node,
        clock: Clock,
        quantities: Iterable[Quantity],
        *,
        expected: Iterable[str] = (),
        may_speak: MaySpeak | None = None,
        limits: Limits | None = None,
        backoff_s: tuple[float, float] = (0.1, 30.0),
        on_trouble: OnTrouble | None = None,
    ) -> None:
        self._node, self._clock, self._may_speak = node, clock, may_speak
        self._quantities: Mapping[str, Quantity] = {quantity.name: quantity for quantity in quantities}
        self._limits, self._backoff_s, self._on_trouble = limits or Limits(), backoff_s, on_trouble
        self._known, self._new_sites = set(expected), 0
        self._decoder, self._lines = msgspec.json.Decoder(_Told), msgspec.json.Decoder(_Reading)
        self._waiting: list[_Group] = []
        self._waiting_rows = 0
        self._unjudged = Stored()
        self._writer = ThreadPoolExecutor(1, "ingest-store")
        self._judge = ThreadPoolExecutor(1, "ingest-judge")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._troubles: dict[str, str] = {}
        self._is_closed = False
        self.stored = self.duplicates = 0
        self.refused: Counter[tuple[str, str]] = Counter()  # (source, reason)

    async def take(self, messages: Sequence[Message]) -> list[Result]:
        """Answer each message, in order; a result with `outcome` STORED says that its readings are on disk."""
        columns: dict[str, _Columns] = {}
        results: list[Result] = []
        is_full = self._waiting_rows >= self._limits.waiting_rows_most
        for begin in range(0, len(messages), TOGETHER):
            some = messages[begin : begin + TOGETHER]
            if not is_full and not self._is_closed and self._take_together(some, columns):
                results += [_ONE] * len(some)
                continue
            for message in some:
                try:
                    if is_full or self._is_closed:
                        raise _Bad("overload", "too much waits for the disk, or the node stops", Outcome.OVERLOAD)
                    rows = self._decode(message, columns)
                    results.append(_ONE if rows == 1 else Result(Outcome.STORED, "", rows))
                except _Bad as bad:
                    results.append(self._refuse(message, bad))
        rows = sum(column.rows for column in columns.values())
        if not rows:
            return results
        group = _Group(columns, rows, asyncio.get_running_loop().create_future())
        self._waiting.append(group)
        self._waiting_rows += rows
        self._run("store", self._store_all)
        failed = await group.done
        if failed is not None:
            return [failed if result.outcome == Outcome.STORED and result.readings else result for result in results]
        return results

    def _refuse(self, message: Message, bad: _Bad) -> Result:
        key = message.actor.name, bad.reason
        if len(self.refused) >= CLIENTS_COUNTED and key not in self.refused:
            key = "others", bad.reason
        if not self.refused[key]:
            log.info("message_refused", extra={"source": key[0], "reason": bad.reason, "words": str(bad)[:200]})
        self.refused[key] += 1
        return Result(bad.outcome, f"{bad.reason}: {bad}"[:300])

    # Decoding: in the thread that received the message

    def _take_together(self, messages: Sequence[Message], columns: dict[str, _Columns]) -> bool:
        """Messages of one good reading each, of known sites, decoded in one piece; else False, and nothing is done.

        A sender must not be able to write into the message of another one. Each payload begins with `{` and ends with `}`, and nowhere
        else is a line's end: then an object or a string that is left open meets a `{` or a line's end where JSON has none, and two
        objects in one payload make one too many. So the whole is good only if each is one object by itself.
        """
        if self._may_speak is not None:
            return False
        payloads = [message.payload for message in messages]
        if sum(map(len, payloads)) > SINGLE_BYTES_MOST * len(payloads):
            return False
        data, joints = b"\n".join(payloads), len(payloads) - 1
        if not (data[:1] == b"{" and data[-1:] == b"}" and data.count(b"}\n{") == joints == data.count(b"\n")):
            return False
        try:
            told = self._lines.decode_lines(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError):
            return False
        if len(told) != len(payloads):
            return False
        by_quantity: dict[str, list[_Reading]] = {}
        for one in told:
            by_quantity.setdefault(one.quantity, []).append(one)
        ready = [self._ready(name, several) for name, several in by_quantity.items()]
        if None in ready:
            return False
        for quantity, sites, times, several in filter(None, ready):
            self._of(quantity, columns).add_several(sites, times, [one.value for one in several])
        return True

    def _ready(self, name: str, told: list[_Reading]) -> tuple[Quantity, list[str], list[int], list[_Reading]] | None:
        """Readings of one quantity with their sites and times; None where one of them is not as it has to be."""
        quantity, sites = self._quantities.get(name), [one.site for one in told]
        if quantity is None or not self._known.issuperset(sites) or not {one.unit for one in told} <= {None, quantity.unit}:
            return None
        if any((one.time is None) == (one.time_us is None) for one in told):
            return None
        times = [one.time_us if one.time is None else microseconds(one.time) for one in told]
        if not 0 <= min(times) <= max(times) < TIME_US_MOST:  # type: ignore[type-var, operator]
            return None
        return quantity, sites, times, told  # type: ignore[return-value]

    def _decode(self, message: Message, columns: dict[str, _Columns]) -> int:
        """Add what a message says to the columns, all of it or nothing; return how many readings."""
        payload, source = message.payload, message.actor.name
        try:
            if payload[:4] != MARK:
                return self._json(self._decoder.decode(payload), source, columns)
            blocks = decode_blocks(payload)
        except (msgspec.MsgspecError, InputError, OverflowError) as fault:
            if "UTF-8" not in str(fault):
                raise _Bad("malformed", str(fault)) from fault
            raise _Bad("not UTF-8", str(fault)) from fault
        except UnicodeDecodeError as fault:  # what msgspec before 0.20 says
            raise _Bad("not UTF-8", "the payload is neither JSON in UTF-8 nor a block") from fault
        except RecursionError as fault:
            raise _Bad("nested", "the payload is nested too deeply") from fault
        ready = [(self._quantity(batch.quantity.name), batch, self._block(batch, source)) for batch in blocks]
        for quantity, batch, value in ready:
            self._of(quantity, columns).add(batch.sites, batch.site.astype(np.int64), batch.time_us, value, batch.flag)
        return sum(len(batch) for batch in blocks)

    @staticmethod
    def _of(quantity: Quantity, columns: dict[str, _Columns]) -> _Columns:
        found = columns.get(quantity.name)
        if found is None:
            found = columns[quantity.name] = _Columns(quantity)
        return found

    def _json(self, told: _Told, source: str, columns: dict[str, _Columns]) -> int:
        quantity = self._quantity(told.quantity)
        site, time_us, value, sites = told.site, told.time_us, told.value, told.sites
        if isinstance(site, str):
            if sites is not None or not site or isinstance(value, list) or isinstance(time_us, list):
                raise _Bad("shape", "wanted site, time and value of one reading, or sites with columns site, time_us and value")
            if (told.time is None) == (time_us is None):
                raise _Bad("shape", "wanted either time, with its zone, or time_us")
            moment = microseconds(told.time) if told.time is not None else time_us
            if moment is None or not 0 <= moment < TIME_US_MOST:
                raise _Bad("time", "wanted a time from 1970 on")
            if told.unit is not None and told.unit != quantity.unit and value is not None:
                value = float(self._converted(np.array([value]), told.unit, quantity)[0])
            if site not in self._known or self._may_speak is not None:
                self._admit((site,), source)
            self._of(quantity, columns).add_one(site, moment, value)
            return 1
        if sites is None or told.time is not None or not isinstance(time_us, list) or not isinstance(value, list):
            raise _Bad("shape", "wanted sites, and columns site, time_us and value")
        if not len(site) == len(time_us) == len(value) <= self._limits.rows_most:
            lengths = len(site), len(time_us), len(value)
            raise _Bad("shape", f"columns of {lengths} rows; wanted equal, at most {self._limits.rows_most}")
        if not site:
            return 0
        place = np.array(site, np.int64)
        if int(place.max()) >= len(sites):
            raise _Bad("shape", f"site {int(place.max())} of {len(sites)} sites named")
        numbers = self._converted(np.array(value, np.float64), told.unit, quantity)
        self._admit(sites, source)
        self._of(quantity, columns).add(sites, place, np.array(time_us, np.int64), numbers)
        return len(site)

    def _block(self, batch: Observations, source: str) -> NDArray[np.float64]:
        """The values of a block in our unit, if all of it can be used."""
        wrong = what_is_wrong(batch, rows_most=self._limits.rows_most)
        if wrong is not None:
            raise _Bad(*wrong)
        value = self._converted(batch.value, batch.quantity.unit, self._quantity(batch.quantity.name))
        self._admit(batch.sites, source)
        return value

    def _quantity(self, name: str) -> Quantity:
        quantity = self._quantities.get(name)
        if quantity is None:
            raise _Bad("unknown quantity", f"{name[:60]!r}; known: {', '.join(sorted(self._quantities))}"[:250])
        return quantity

    @staticmethod
    def _converted(value: NDArray[np.float64], unit: str | None, quantity: Quantity) -> NDArray[np.float64]:
        if unit is None or unit == quantity.unit:
            return value
        if (unit, quantity.unit) not in CONVERSIONS:
            raise _Bad("unit", f"{unit[:40]!r} for {quantity}; there is no conversion")
        return convert(value, unit, quantity.unit)

    def _admit(self, sites: Sequence[str], source: str) -> None:
        """Return if the sender may speak for these sites and there is room for those that are new."""
        if self._may_speak is not None and not self._may_speak(source, sites):
            raise _Bad(
                "site not allowed", f"{source} may not speak for {sites[0][:60]!r} or another of its sites", Outcome.REFUSED
            )
        if self._known.issuperset(sites):
            return
        unknown = {site for site in sites if site not in self._known}
        if not all(site.isprintable() for site in unknown):
            raise _Bad("site", "a site whose name cannot be printed")
        if self._new_sites + len(unknown) > self._limits.new_sites_most:
            words = f"{min(unknown)[:60]!r}: more than {self._limits.new_sites_most} sites that nobody expected"
            raise _Bad("new sites", words, Outcome.REFUSED)
        self._known |= unknown
        self._new_sites += len(unknown)

    # Writing and judging: each in a thread of its own

    async def _store_all(self) -> None:
        """Write all that waits as one group, and again, until nothing waits."""
        while self._waiting:
            groups, self._waiting = self._waiting, []
            try:
                await self._store(groups)
            except InputError:  # one of them cannot be used with the others: each by itself, so that one pays
                for group in groups:
                    try:
                        await self._store([group])
                    except InputError as fault:
                        _answer(group, Result(Outcome.MALFORMED, str(fault)[:300]))
            except asyncio.CancelledError:  # it may or may not be on disk: the senders keep it
                for group in groups:
                    _answer(group, Result(Outcome.FAILED, "the node stops; send it again"))
                raise
            except Exception as broken:  # a fault of ours: the senders hear it and keep what they have, the node goes on
                log.exception("ingest_broken")
                for group in groups:
                    _answer(group, Result(Outcome.FAILED, f"{type(broken).__name__}: not stored"))
            finally:
                self._waiting_rows -= sum(group.rows for group in groups)

    async def _store(self, groups: list[_Group]) -> None:
        """Where the disk does not take it, nothing is acknowledged, it is told once, and tried until it does."""
        loop, delay_s = asyncio.get_running_loop(), self._backoff_s[0]
        arrived_us = microseconds(self._clock.now())
        while True:
            try:
                stored = await loop.run_in_executor(self._writer, self._write, groups, arrived_us)
                break
            except Unavailable as fault:
                self._tell(STORAGE, str(fault))
                await self._clock.sleep(delay_s)
                delay_s = min(2.0 * delay_s, self._backoff_s[1])
        self._tell(STORAGE, None)
        self.stored += stored.readings
        self.duplicates += stored.duplicates
        for group in groups:
            _answer(group, None)
        self._unjudged += stored
        self._run("judge", self._judge_all)

    def _write(self, groups: list[_Group], arrived_us: int) -> Stored:
        by_quantity: dict[str, list[_Columns]] = {}
        for group in groups:
            for name, columns in group.columns.items():
                by_quantity.setdefault(name, []).append(columns)
        return self._node.store(*[_joined(several, arrived_us) for several in by_quantity.values()])

    async def _judge_all(self) -> None:
        """Have the rules look at what is stored; what comes meanwhile is the next look."""
        loop, delay_s = asyncio.get_running_loop(), self._backoff_s[0]
        while self._unjudged.heard:
            stored, self._unjudged = self._unjudged, Stored()
            try:
                began = loop.time()
                await loop.run_in_executor(self._judge, self._node.judge, stored)
                self._tell(LEDGER, None)
                await asyncio.sleep((loop.time() - began) * REST_SHARE)
                delay_s = self._backoff_s[0]
            except Unavailable as fault:
                self._unjudged = stored + self._unjudged
                self._tell(LEDGER, str(fault))
                await self._clock.sleep(delay_s)
                delay_s = min(2.0 * delay_s, self._backoff_s[1])
            except Exception as broken:  # the readings are safe, and the node's timer judges them again
                log.exception("judge_broken")
                self._tell(LEDGER, f"{type(broken).__name__}: {broken}")

    def _run(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have one task of this name, and no second one."""
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = asyncio.get_running_loop().create_task(work())

    def _tell(self, part: str, trouble: str | None) -> None:
        """Say once that a part is broken, and once that it works again."""
        if (trouble is None) == (part not in self._troubles):
            return
        if trouble is None:
            del self._troubles[part]
            log.info("part_works", extra={"part": part})
        else:
            self._troubles[part] = trouble
            log.warning("part_broken", extra={"part": part, "reason": trouble})
        if self._on_trouble is not None:
            self._on_trouble(part, trouble)

    async def settle(self) -> None:
        """Return when all that was taken is stored and judged."""
        while tasks := [task for task in self._tasks.values() if not task.done()]:
            await asyncio.gather(*tasks)

    async def close(self) -> None:
        """Take nothing more, and stop the threads; what waits and was not acknowledged is the senders' again."""
        self._is_closed = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for group in self._waiting:
            _answer(group, Result(Outcome.FAILED, "the node stops; not stored"))
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._judge.shutdown)


def _answer(group: _Group, failed: Result | None) -> None:
    if not group.done.done():
        group.done.set_result(failed)


def _joined(several: list[_Columns], arrived_us: int) -> Observations:
    """Columns of one quantity as one batch, in the order in which they came."""
    names: dict[str, int] = {}
    parts = []
    for columns in several:
        columns.close()
        places = np.array([names.setdefault(name, len(names)) for name in columns.names], np.int64)
        parts += [(places[part[0]], *part[1:]) for part in columns.parts]
    site, time_us, value, flag = (np.concatenate([part[k] for part in parts]) for k in range(4))
    arrived = np.full(value.size, arrived_us)
    return Observations.of(several[0].quantity, tuple(names), site, time_us, value, arrived_us=arrived, flag=flag)
