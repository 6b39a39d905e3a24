"""Readings of many nodes in one PostgreSQL: what a node has on its own disk is copied there, each block once.

A node acknowledges what is in its own spool, so a database that is down or slow stops nobody: the spool waits. Blocks go over by
COPY, and in the same transaction as the number of the last one, so that a crash between any two lines neither loses nor doubles.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from tocsin.edge.spool import Block, Spool, open_blocks
from tocsin.edge.status import Copy
from tocsin.edge.uplink import series_of
from tocsin.vocabulary import InputError, Observations, Quantity, TocsinError, Unavailable, column

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")

log = logging.getLogger(__name__)

VERSION = 1
LOCK = 0x746F6373696E  # "tocsin": one process at a time makes the tables
ROWS_A_COPY = 200_000
WAIT_S, BACKOFF_MOST_S, STOP_S = 1.0, 60.0, 5.0
TABLES = """
create table tocsin_version (number int not null);
create table tocsin_stream (
    id int generated always as identity primary key,
    quantity text not null, unit text not null, low double precision not null, high double precision not null,
    site text not null, unique (quantity, site)
);
create table tocsin_reading (
    stream int not null, time_us bigint not null, value double precision, flag smallint not null, arrived_us bigint not null
);
create index tocsin_reading_by_stream on tocsin_reading (stream, time_us);
create table tocsin_copied (spool text primary key, number bigint not null);
"""


class Copied(msgspec.Struct, frozen=True):
    """How far a spool is copied: the number of its last block, and how many readings the last call wrote."""

    number: int
    readings: int


class PostgresReadings:
    """Tables of readings in PostgreSQL 15 or later. Its calls block; the connection lives on a thread of its own.

    Raises Unavailable where the server does not answer; what was not committed is asked for again by its number.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        if importlib.util.find_spec("asyncpg") is None:
            raise Unavailable("postgres: asyncpg is not installed; pip install asyncpg (it is in tocsin[postgres])")
        self._url, self._timeout_s = url, timeout_s
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tocsin-postgres", daemon=True)
        self._thread.start()
        self._line: asyncpg.Connection[Any] | None = None
        self._streams: dict[tuple[str, str], tuple[int, str]] = {}  # (quantity, site): its number and unit

    def copy(self, spool: str, blocks: Sequence[Block]) -> Copied:
        """Write blocks of a spool, in order; those that are there already are left out. They are committed when this returns."""
        batches = [(number, batch) for number, batch in open_blocks(block.data for block in blocks)]
        return self._do(lambda line: self._copy(line, spool, batches))

    def copied(self, spool: str) -> int:
        """The number of the last block of a spool that is here; 0 where none is."""

        async def ask(line: asyncpg.Connection[Any]) -> int:
            return int(await line.fetchval("select number from tocsin_copied where spool = $1", spool) or 0)

        return self._do(ask)

    def read(
        self, quantity: Quantity, *, sites: Iterable[str] | None = None, from_us: int | None = None, to_us: int | None = None
    ) -> Observations:
        """The readings of a quantity with from_us <= time < to_us, by site and time, each once also where two nodes had it."""
        low = np.iinfo(np.int64).min if from_us is None else from_us
        high = np.iinfo(np.int64).max if to_us is None else to_us
        wanted = None if sites is None else list(sites)

        async def ask(line: asyncpg.Connection[Any]) -> Observations:
            unit = await line.fetchval("select unit from tocsin_stream where quantity = $1 limit 1", quantity.name)
            if unit is not None and unit != quantity.unit:
                raise InputError(f"postgres: {quantity.name} is stored in {unit}; asked for in {quantity.unit}")
            rows = await line.fetch(
                "select distinct on (s.site, r.time_us, r.value) s.site, r.time_us, r.value, r.flag, r.arrived_us from tocsin_reading r join tocsin_stream s on s.id = r.stream"
                " where s.quantity = $1 and ($2::text[] is null or s.site = any($2)) and r.time_us >= $3 and r.time_us < $4"
                " order by s.site, r.time_us, r.value, r.arrived_us",
                quantity.name, wanted, int(low), int(high),
            )  # fmt: skip
            names: dict[str, int] = {}
            site = [names.setdefault(row[0], len(names)) for row in rows]
            return Observations(
                quantity,
                tuple(names),
                column(site, np.int32),
                column([row[1] for row in rows], np.int64),
                column([np.nan if row[2] is None else row[2] for row in rows], np.float64),
                column([row[3] for row in rows], np.uint8),
                column([row[4] for row in rows], np.int64),
            )

        return self._do(ask)

    def close(self) -> None:
        """Close the connection and end the thread."""

        async def end() -> None:
            if self._line is not None:
                await self._line.close(timeout=5.0)

        try:
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(10.0)
        except Exception as fault:  # the server may be gone; there is nothing left to lose here
            log.info("postgres_not_closed", extra={"reason": str(fault)})
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        self._loop.close()

    def _do(self, work: Callable[[asyncpg.Connection[Any]], Coroutine[Any, Any, T]]) -> T:
        """Run a piece of work on the connection's own thread, in this one's time."""
        import asyncpg

        async def run() -> T:
            if self._line is None or self._line.is_closed():
                line = await asyncpg.connect(self._url, timeout=self._timeout_s, command_timeout=self._timeout_s)
                try:
                    await _make_tables(line)
                except BaseException:
                    line.terminate()
                    raise
                self._streams.clear()
                self._line = line  # only tables that are ours are ever written
            return await work(self._line)

        try:
            return asyncio.run_coroutine_threadsafe(run(), self._loop).result(4.0 * self._timeout_s)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as fault:
            self._forget()
            raise Unavailable(
                f"postgres {_shown(self._url)}: {fault or type(fault).__name__}; nothing of it was committed"
            ) from fault

    def _forget(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._loop.call_soon_threadsafe(line.terminate)

    async def _copy(self, line: asyncpg.Connection[Any], spool: str, batches: list[tuple[int, Observations]]) -> Copied:
        try:
            async with line.transaction():
                return await self._copy_within(line, spool, batches)
        except BaseException:
            self._streams.clear()  # what was numbered in it is rolled back too
            raise

    async def _copy_within(self, line: asyncpg.Connection[Any], spool: str, batches: list[tuple[int, Observations]]) -> Copied:
        await line.execute("insert into tocsin_copied values ($1, 0) on conflict do nothing", spool)
        at = int(await line.fetchval("select number from tocsin_copied where spool = $1 for update", spool))
        fresh = [(number, batch) for number, batch in batches if number > at]
        if not fresh:
            return Copied(at, 0)
        rows: list[tuple[int, int, float | None, int, int]] = []
        for _, batch in fresh:
            ids = await self._ids(line, batch)
            gaps = np.isnan(batch.value).tolist()
            value = [None if gap else number for number, gap in zip(batch.value.tolist(), gaps, strict=True)]
            times, arrived = batch.time_us.tolist(), batch.arrived_us.tolist()
            rows += zip(ids[batch.site].tolist(), times, value, batch.flag.tolist(), arrived, strict=True)
        columns = ["stream", "time_us", "value", "flag", "arrived_us"]
        await line.copy_records_to_table("tocsin_reading", records=rows, columns=columns)
        number = fresh[-1][0]
        await line.execute("update tocsin_copied set number = $2 where spool = $1", spool, number)
        return Copied(number, len(rows))

    async def _ids(self, line: asyncpg.Connection[Any], batch: Observations) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The number of each site's stream; a stream that is new gets one. Units must agree with what is stored."""
        name, unit = batch.quantity.name, batch.quantity.unit
        new = sorted(site for site in batch.sites if (name, site) not in self._streams)
        if new:
            await line.execute(
                "insert into tocsin_stream (quantity, unit, low, high, site) select $1, $2, $3, $4, unnest($5::text[]) on conflict do nothing",
                name, unit, batch.quantity.low, batch.quantity.high, new,
            )  # fmt: skip
            sql = "select id, unit, site from tocsin_stream where quantity = $1 and site = any($2)"
            for row in await line.fetch(sql, name, new):
                self._streams[name, row["site"]] = row["id"], row["unit"]
        for site in batch.sites:
            if (stored := self._streams[name, site][1]) != unit:
                raise InputError(f"postgres: {name} at {site} is stored in {stored}; got {unit}; convert it in the collector")
        return np.array([self._streams[name, site][0] for site in batch.sites], np.int64)


class Copier:
    """Copies what a spool gets, until stopped. What it cannot copy waits in the spool, and that it waits is logged once."""

    def __init__(self, spool: Spool, series: str, target: PostgresReadings) -> None:
        self._spool, self._series, self._target = spool, series, target
        self._stop, self._at, self._known, self._trouble, self._lost = threading.Event(), -1, 0, "", 0

    def step(self) -> int:
        """Copy what waits, at most ROWS_A_COPY readings; return how many were written."""
        if self._at < 0:
            at = self._target.copied(self._series)
            if at > self._spool.number:
                raise InputError(
                    f"postgres: has block {at} of this node, which itself has {self._spool.number}: was it put back from a backup? "
                    "nothing is copied, else new readings would be taken for old ones; begin with a new data folder"
                )
            self._at = self._known = at
        blocks: list[Block] = []
        rows, before, lost = 0, self._at, 0
        for block in self._spool.blocks(self._at):
            lost += block.number - before - 1
            before = block.number
            blocks.append(block)
            rows += block.rows
            if rows >= ROWS_A_COPY:
                break
        if not blocks:
            return 0
        done = self._target.copy(self._series, blocks)
        if lost:
            log.error("blocks_not_copied", extra={"blocks": lost, "reason": "damaged, or dropped before they were copied"})
        self._at = self._known = done.number
        self._lost += lost
        return done.readings

    def run(self) -> None:
        """Go on until `stop`; whatever breaks, it is tried again."""
        wait_s = WAIT_S
        while not self._stop.is_set():
            try:
                busy = self.step() > 0
                if self._trouble:
                    log.info("postgres_works")
                self._trouble, wait_s = "", WAIT_S
                if busy:
                    continue
            except Exception as fault:  # also a fault of ours must not end the copying
                if not self._trouble:
                    is_known = isinstance(fault, TocsinError)
                    log.warning("postgres_waits", extra={"reason": str(fault)}, exc_info=None if is_known else fault)
                self._trouble, self._at = str(fault) or type(fault).__name__, -1
                wait_s = min(2.0 * wait_s, BACKOFF_MOST_S)
            self._stop.wait(wait_s)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Copy in a thread of its own while the block runs; a transaction that is under way at its end is waited for."""
        thread = threading.Thread(target=self.run, name="tocsin-copier", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop()
            thread.join(STOP_S)
            self._target.close()

    @property
    def trouble(self) -> str:
        """Why nothing is copied at the moment; empty where all is well."""
        return self._trouble

    @property
    def waiting(self) -> int:
        """Readings that are not copied yet."""
        return self._spool.waiting(self._known)[0]

    def status(self) -> Copy:
        """How it stands."""
        return Copy(self.waiting, self._trouble, self._lost)

    def stop(self) -> None:
        """End `run` after the transaction that is under way."""
        self._stop.set()


def open_copier(spool: Spool, url_file: Path) -> Copier:
    """The copier of a spool into the database whose address, with its password, is the one line of a file that only we may read."""
    try:
        url = url_file.read_text(encoding="utf-8").strip()
        mode = url_file.stat().st_mode
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(
            f"postgres: url_file {url_file}: {fault}; wanted a file with postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from fault
    if mode & 0o077:
        raise InputError(f"postgres: url_file {url_file}: others may read it (mode {mode & 0o777:o}); do: chmod 600 {url_file}")
    if not url.startswith(("postgresql://", "postgres://")) or len(url.split()) != 1:
        raise InputError(f"postgres: url_file {url_file}: wanted one line, postgresql://USER:PASSWORD@HOST/DATABASE")
    return Copier(spool, series_of(spool.folder), PostgresReadings(url))


async def _make_tables(line: asyncpg.Connection[Any]) -> None:
    async with line.transaction():
        await line.execute("select pg_advisory_xact_lock($1)", LOCK)
        if await line.fetchval("select to_regclass('tocsin_version')") is None:
            await line.execute(TABLES)
            await line.execute("insert into tocsin_version values ($1)", VERSION)
        number = await line.fetchval("select number from tocsin_version")
    if number != VERSION:
        raise InputError(
            f"postgres: the tables are of version {number}; this Tocsin writes {VERSION}; take the Tocsin that made them"
        )


def _shown(url: str) -> str:
    """The address without the password."""
    before, mark, after = url.rpartition("@")
    return f"{before.split('://')[0]}://...@{after}" if mark else url
