"""Put a node at the edge together from its edge.toml, and run it: the one place where it makes what it owns."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin import __version__
from tocsin.edge.actions import Actions, Message, Worker
from tocsin.edge.bulletin_watch import BulletinWatch, judged_statuses
from tocsin.edge.collectors import find_collectors
from tocsin.edge.latest import Latest
from tocsin.edge.node import STORAGE, Node
from tocsin.edge.reserve import Reserve
from tocsin.edge.settings import Settings, read_settings
from tocsin.edge.spool import Spool
from tocsin.edge.status import EdgeStatus, collectors, counts, sources, storage, write_status
from tocsin.edge.uplink import HttpLine, Line, Uplink
from tocsin.edge.watch import Watch
from tocsin.host import Clock, Entry, WallClock
from tocsin.platform.compute import LocalCompute
from tocsin.platform.ledger import open_ledger
from tocsin.platform.local import LocalHost
from tocsin.platform.store.disk import read_node_key, write_node_key
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.security.keys import SigningKey
from tocsin.vocabulary import Unavailable, Warning

if TYPE_CHECKING:
    from tocsin.platform.postgres import Copier

log = logging.getLogger(__name__)

MEGABYTE = 1 << 20
STATUS_S_MOST = 10.0
STOP_S = 5.0


def node_key(folder: Path) -> SigningKey:
    """The key with which a node signs, of its data folder; made where there is none yet."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = read_node_key(folder)
    if key is None:
        key = SigningKey.new()
        write_node_key(folder, key)
    return key


class Edge:
    """A node that is put together but does nothing yet: `run` collects, `close` lets go of everything."""

    def __init__(self, settings: Settings, *, clock: Clock, line: Callable[[], Line] | None = None) -> None:
        """Open the data folder, made where there is none. `line` stands for the one to the platform, else HTTPS is used."""
        self.settings, self._clock, folder = settings, clock, settings.data
        self._status_fault = ""
        self.actor = Actor(f"edge:{settings.node.name}", frozenset({"sensor"}))
        key, gate = node_key(folder), RoleGate()
        self.ledger = open_ledger(folder, clock=clock, gate=gate, purpose=settings.node.purpose)
        try:
            self.host = LocalHost(clock=clock, ledger=self.ledger, gate=gate, compute=LocalCompute(), seed=0)
            self.reserve = Reserve(folder, settings.spool.reserve_mb * MEGABYTE)
            keep, segment = settings.spool.keep_mb * MEGABYTE, settings.spool.segment_mb * MEGABYTE
            self.spool = Spool(folder / "readings", segment_bytes=segment, keep_bytes=keep)
        except BaseException:
            self.ledger.close()
            raise
        try:
            self.node = self._node()
            self.actions = Actions(self._workers(folder / "actions"))
            self.uplink = self._uplink(key, line)
            self.copier = self._copier()
            self.started = clock.now()
            self._stop_listening = self.ledger.subscribe(self._heard)
        except BaseException:
            self.spool.close()
            self.ledger.close()
            raise

    def _node(self) -> Node:
        settings = self.settings
        latest = Latest(settings.checks, depth=settings.depth)
        for expected in settings.expected:
            latest.expect(expected.quantity, expected.sites)
        bulletins = BulletinWatch(settings.bulletin_rules, statuses=judged_statuses(settings.node.purpose))
        watch = Watch(settings.rules, latest, since=self._clock.now(), grace_s=settings.node.grace_s, bulletins=bulletins)
        return Node(
            self.host,
            self.actor,
            latest=latest,
            watch=watch,
            spool=self.spool,
            collectors=settings.collectors,
            tick_s=settings.node.tick_s,
            on_trouble=self._trouble,
        )

    def _workers(self, folder: Path) -> list[Worker]:
        quantity_of = {rule.name: rule.reads.name for several in self.settings.rules.values() for rule in several}
        purpose = self.settings.node.purpose
        workers = [
            Worker(action, self.host, self.actor, folder, quantity_of=quantity_of, purpose=purpose)
            for action in self.settings.actions
        ]
        entries: Iterator[Entry] = self.ledger.read()
        for entry in entries:
            for worker in workers:
                worker.remember([entry])
        return workers

    def _uplink(self, key: SigningKey, line: Callable[[], Line] | None) -> Uplink | None:
        told = self.settings.uplink
        if told is None:
            return None
        if line is None:
            ca, cert, private = (Path(name) if name else None for name in (told.ca, told.cert, told.key))
            permit = self.host.net.permit
            made: Line = HttpLine(told.url, ca=ca, cert=cert, key=private, timeout_s=told.timeout_s, permit=permit)
        else:
            made = line()
        return Uplink(
            self.host,
            self.actor,
            line=made,
            key=key,
            ledger=self.ledger.id,
            spool=self.spool,
            judged=lambda: self.node.judged,
            interval_s=told.interval_s,
            batch_bytes=told.batch_kb << 10,
            compression=told.compression == "zlib",
            backoff_s=told.retry_s,
        )

    def _copier(self) -> Copier | None:
        if self.settings.postgres is None:
            return None
        from tocsin.platform.postgres import open_copier

        return open_copier(self.spool, self.settings.path.parent / self.settings.postgres.url_file)

    def _heard(self, entries: Sequence[Entry]) -> None:
        self.actions.heard(entries)
        if self.uplink is not None and any(isinstance(entry.record, Warning) for entry in entries):
            self.uplink.hurry()

    def _trouble(self, part: str, reason: str | None) -> None:
        """Where nothing can be written any more, nothing can be warned of: say that at least, and make room."""
        if part != STORAGE:
            return
        if reason is None:
            self.reserve.keep()
            return
        self.reserve.let_go()
        now = self._clock.now()
        self.actions.cry(
            Message(
                id=f"storage-{self.settings.node.name}-{now:%Y%m%dT%H%M%SZ}",
                node=self.settings.node.name,
                purpose=self.settings.node.purpose,
                time=now.isoformat(),
                level="blind",
                before="none",
                site=self.settings.node.name,
                hazard="",
                rule=STORAGE,
                quantity="",
                reason=f"the node cannot write, so it cannot warn: {reason}",
                value=None,
                unit="",
                public=False,
            )
        )

    def status(self) -> EdgeStatus:
        """How everything stands now."""
        now = self._clock.now()
        return EdgeStatus(
            node=self.settings.node.name,
            version=__version__,
            pid=os.getpid(),
            time=now,
            started=self.started,
            tick_s=min(self.settings.node.tick_s, STATUS_S_MOST),
            entries=self.ledger.size(),
            sources=sources(self.node.latest, self.node.watch, self.settings.rules, now),
            broken=dict(self.node.broken),
            counted=counts(self.node.counted),
            storage=storage(self.spool, reserve_held=self.reserve.is_held),
            uplink=None if self.uplink is None else self.uplink.status(),
            actions=tuple(self.actions.status()),
            collectors=collectors(self.settings.collectors, self.node.broken),
            postgres=None if self.copier is None else self.copier.status(),
        )

    def write_status(self) -> None:
        """Put the status where `tocsin edge status` looks; a disk that takes nothing is told elsewhere."""
        try:
            write_status(self.settings.data, self.status())
            self._status_fault = ""
        except (OSError, Unavailable) as fault:
            if str(fault) != self._status_fault:
                log.warning("status_not_written", extra={"fault": str(fault)})
            self._status_fault = str(fault)
        except Exception:  # a fault of ours in what is only told must not end the node
            log.exception("status_fault")

    async def run(self, stop: asyncio.Event, *, on_ready: Callable[[], None] | None = None) -> None:
        """Warn, collect and send until `stop` is set. What was pending is delivered first, before old readings are looked at."""
        copying = contextlib.nullcontext() if self.copier is None else self.copier.running()
        with self.actions.running(), copying, self._sending() as send:
            await asyncio.to_thread(self.node.restore, hours=self.settings.remember_h)
            self._look()
            self.reserve.keep()
            send()
            tasks = [asyncio.create_task(self.node.run()), asyncio.create_task(self._tell_status())]
            waiting = asyncio.create_task(stop.wait())
            self.write_status()
            if on_ready is not None:
                on_ready()
            try:
                done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in (*tasks, waiting):
                    task.cancel()
                await asyncio.gather(*tasks, waiting, return_exceptions=True)
                self.write_status()

    def _look(self) -> None:
        try:
            self.node.look()
        except Unavailable as busy:  # the timer looks again
            log.warning("first_look_failed", extra={"reason": str(busy)})

    async def _tell_status(self) -> None:
        while True:
            await self._clock.sleep(min(self.settings.node.tick_s, STATUS_S_MOST))
            if STORAGE not in self.node.broken:  # room may come back long after the writing did
                self.reserve.keep()
            self.write_status()

    @contextlib.contextmanager
    def _sending(self) -> Iterator[Callable[[], None]]:
        """The uplink's thread: begun by what the block is given, ended with it."""
        uplink = self.uplink
        if uplink is None:
            yield lambda: None
            return
        thread = threading.Thread(target=uplink.run, name="uplink", daemon=True)
        try:
            yield thread.start
        finally:
            uplink.stop()
            if thread.ident is not None:
                thread.join(STOP_S)

    def close(self) -> None:
        """Let go of the ledger and of the readings' log."""
        self._stop_listening()
        self.spool.close()
        self.ledger.close()


def run_edge(
    settings: Settings, *, clock: Clock, run_for_s: float | None = None, on_ready: Callable[[], None] | None = None
) -> None:
    """Run a node until SIGTERM, SIGINT, or for some seconds; everything is in order when this returns."""
    edge = Edge(settings, clock=clock)

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if run_for_s is not None:
            loop.call_later(run_for_s, stop.set)
        await edge.run(stop, on_ready=on_ready)

    try:
        asyncio.run(main())
    finally:
        edge.close()


def run_file(file: Path, *, note: Callable[[str], None], run_for_s: float | None = None) -> str:
    """Run the node of a settings file as a program: log lines go to stderr; return the node's name when it has stopped."""
    settings = read_settings(file, kinds=find_collectors())
    log_to_stderr()
    os.chdir(settings.path.parent)

    def ready() -> None:
        where = "no uplink" if settings.uplink is None else f"uplink {settings.uplink.url}"
        note(f"edge {settings.node.name}: {len(settings.collectors)} collectors, {len(settings.actions)} actions, {where}")

    run_edge(settings, clock=WallClock(), run_for_s=run_for_s, on_ready=ready)
    return settings.node.name


class _Lines(logging.Formatter):
    """An event and its fields: `2026-03-01T12:00:00Z WARNING part_broken part=storage reason=...`.

    What a stranger sent may stand in a field: it makes no second line and moves no cursor of a terminal.
    """

    _usual = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return line + "".join(f" {key}={_printed(str(value))}" for key, value in vars(record).items() if key not in self._usual)


def _printed(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def log_to_stderr() -> None:
    """One line for each event, with its fields; systemd keeps and rotates them."""
    handler = logging.StreamHandler(sys.stderr)
    lines = _Lines("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    lines.converter = time.gmtime
    handler.setFormatter(lines)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each parcel would fill a small disk
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # it greets at every start, with codes of colour
