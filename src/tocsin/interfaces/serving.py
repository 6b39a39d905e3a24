"""Put a platform together for one twin, and serve it: the one place where a process makes what it owns."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from tocsin.edge import Check, Collector, Latest, Node, Spool, Watch
from tocsin.edge.bulletin_watch import BulletinWatch, judged_statuses
from tocsin.edge.settings import Sensing
from tocsin.edge.spool import HISTORY
from tocsin.edge.status import collectors as told_collectors
from tocsin.edge.status import counts, sources
from tocsin.flows.bus import END, Bus
from tocsin.flows.centre import ASSESS_FROM, Centre, FieldsNow, Scenarios, Sources
from tocsin.flows.exposure import Exposure
from tocsin.flows.following import Followed
from tocsin.host import Clock, Entry, WallClock
from tocsin.interfaces.sensorthings.feed import Feed
from tocsin.pack import Pack, Rule, Scenario, threshold
from tocsin.pack.sense import Trust
from tocsin.platform.compute import open_compute
from tocsin.platform.ledger import open_ledger
from tocsin.platform.local import LocalHost
from tocsin.platform.store import open_sessions, open_users
from tocsin.platform.things import FILE_NAME, Place, Things, open_things
from tocsin.platform.twin import Twin
from tocsin.platform.uplink import open_receiver
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import Bulletin, InputError, Level, Quantity, TocsinError, Unavailable, Warning, World

log = logging.getLogger(__name__)

EDGE = Actor("edge", frozenset({"sensor"}))
GAUGE_MAX_AGE_S, GAUGE_CLEAR_S = 3_600.0, 1_800.0
REMEMBER_H = 48.0  # how much of the log is read again at a start, where no rule looks back further
STOP_WITHIN_S = 30.0  # a supervisor kills after a while (systemd: 90 s); whatever is cut off then is taken up by the next run


class Platform:
    """A centre with the node that feeds it. `close` ends it in the right order.

    `quantities` are all that senders may bring: those of the pack, and those that a file of the operator's has. `expected` are the
    sites that are known before they speak.
    """

    def __init__(
        self,
        centre: Centre,
        node: Node,
        spool: Spool,
        things: Things,
        feed: Feed,
        *,
        quantities: Sequence[Quantity],
        expected: Sequence[str],
    ) -> None:
        self.centre, self.node, self.things = centre, node, things
        self.spool, self._feed = spool, feed
        self.quantities, self.expected = tuple(quantities), tuple(expected)

    def close(self) -> None:
        """Let go of the ledger, the readings' log, the store of things, and where futures are computed."""
        self.centre.close()
        self._feed.close()
        self.things.close()
        self.spool.close()
        self.centre.host.compute.close()
        self.centre.ledger.close()


@contextmanager
def copying(platform: Platform, url_file: Path | None) -> Iterator[None]:
    """Copy the readings into the PostgreSQL whose address is in a file, while the block runs; nothing where there is no file."""
    if url_file is None:
        yield
        return
    from tocsin.platform.postgres import open_copier

    copier = open_copier(platform.spool, url_file)
    before = platform.centre.sources

    def told() -> Sources:
        return msgspec.structs.replace(before(), postgres=copier.status())

    platform.centre.sources = told
    with copier.running():
        yield


def gauge_rules(twin: Twin, quantities: Sequence[Quantity]) -> tuple[Rule, ...]:
    """One threshold rule for each quantity whose gauges have limits of their own."""
    rules = []
    for quantity in quantities:
        limits = {
            g.site: msgspec.structs.replace(g.limits, unit=quantity.unit)
            for g in twin.gauges
            if g.quantity == quantity.name and g.limits is not None
        }
        if limits:
            rules.append(
                threshold(
                    f"{quantity.name}_high",
                    quantity,
                    limits,
                    max_age_s=GAUGE_MAX_AGE_S,
                    clear_s=GAUGE_CLEAR_S,
                    meaning="beyond the limits that are set for this gauge",
                )
            )
    return tuple(rules)


def outlook_of(pack: Pack, twin: Twin, told: Callable[[], Iterable[Bulletin]]) -> Scenarios:
    """The scenario of the moment, as the pack reads it off the sensors and what agencies told; it raises InputError where the pack does not say."""

    def scenario(world: World, _now: datetime) -> Scenario:
        if pack.outlook is None:
            raise InputError(
                f"forecast: the pack {pack.hazard} does not say what comes from its sensors; give a scenario yourself"
            )
        return pack.outlook(world, twin.gauges, tuple(told()))

    return scenario


def open_platform(
    folder: Path,
    *,
    twin: Twin,
    pack: Pack,
    clock: Clock,
    purpose: str,
    scenarios: Scenarios,
    fields_now: FieldsNow | None = None,
    collectors: Sequence[Collector] = (),
    checks: Sequence[Check] = (),
    sensing: Sensing | None = None,
    seed: int = 0,
    speed: float = 1.0,
    frame_step_s: float = 1800.0,
    sender: str = "tocsin@localhost",
    compute: str = "threads",
    errors: Sequence[Trust] = (),
) -> Platform:
    """Open a data folder (made where there is none) and take up where the last run ended. `sensing` is added to what the pack brings."""
    gate = RoleGate()
    ledger = open_ledger(folder, clock=clock, gate=gate, purpose=purpose)
    try:
        where = open_compute(compute)
        host = LocalHost(clock=clock, ledger=ledger, gate=gate, compute=where, seed=seed)
        own = Sensing.nothing() if sensing is None else sensing
        collectors, checks = (*collectors, *own.collectors), (*checks, *own.checks)
        latest = Latest(checks, depth=own.depth)
        for expected in own.expected:
            latest.expect(expected.quantity, expected.sites)
        for quantity in {q.name: q for q in (*(model.makes for model in pack.models), *pack.observes)}.values():
            sites = [g.site for g in twin.gauges if g.quantity == quantity.name]
            if sites:
                latest.expect(quantity, sites)
        usual = {pack.hazard: (*pack.rules, *gauge_rules(twin, pack.observes))}
        rules = {hazard: (*usual.get(hazard, ()), *own.rules.get(hazard, ())) for hazard in {**usual, **own.rules}}
        bulletins = BulletinWatch(own.bulletin_rules, statuses=judged_statuses(purpose))
        watch = Watch(rules, latest, since=clock.now(), bulletins=bulletins)
        spool = Spool(folder / "readings", history=folder / HISTORY)
        node = Node(host, EDGE, latest=latest, watch=watch, spool=spool, collectors=collectors)
        node.restore(hours=max(REMEMBER_H, own.looks_back_h))
        wall = WallClock()  # people sign in by the clock on their wall, also where a drill runs faster
        users = open_users(ledger.store, clock=wall, gate=gate, ledger=ledger)
        centre = Centre(
            folder=folder,
            host=host,
            ledger=ledger,
            twin=twin,
            pack=pack,
            latest=latest,
            users=users,
            sessions=open_sessions(ledger.store, users, clock=wall),
            scenarios=scenarios,
            fields_now=fields_now,
            sender=sender,
            speed=speed,
            frame_step_s=frame_step_s,
            errors=errors or own.errors,
            state_update=own.state_update,
        )
        centre.sources = lambda: Sources(
            sources(latest, watch, rules, clock.now()), counts(node.counted), told_collectors(collectors, node.broken)
        )
        centre.receiver = open_receiver(host, ledger, node, spool)
        centre.exposure = Exposure(ledger.store, clock=wall, gate=gate, ledger=ledger)
        places = {g.site: Place(g.lon, g.lat, g.name) for g in twin.gauges}
        things, trouble = things_or_new(folder / FILE_NAME, clock=clock, places=places)
        if trouble:
            centre.note(trouble)
        feed = Feed(things)
        centre.resume()
        node.on_readings(centre.heard_readings)
        node.on_readings(feed.heard)
    except BaseException:
        ledger.close()
        raise
    quantities = {quantity.name: quantity for quantity in pack.observes} | dict(own.quantities)
    known = dict.fromkeys([g.site for g in twin.gauges] + [site for one in own.expected for site in one.sites])
    return Platform(centre, node, spool, things, feed, quantities=tuple(quantities.values()), expected=tuple(known))


def things_or_new(path: Path, *, clock: Clock, places: Mapping[str, Place]) -> tuple[Things, str]:
    """The store of things; where its file is damaged it is set aside and a new one begun, and the words say so.

    A platform must not stop warning because what it shows to SensorThings clients is broken.
    """
    try:
        return open_things(path, clock=clock, places=places), ""
    except InputError as damaged:
        aside = path.with_name(f"{path.name}.damaged-{clock.now():%Y%m%dT%H%M%S}")
        for end in ("", "-wal", "-shm"):
            part = path.with_name(path.name + end)
            if part.exists():
                part.rename(aside.with_name(aside.name + end))
        log.error("things_set_aside", extra={"file": str(aside), "reason": str(damaged)})
        words = f"SensorThings begins anew: {damaged}. The damaged file is {aside.name}; readings and rules are not touched"
        return open_things(path, clock=clock, places=places), words


class Duty:
    """What a platform does by itself when a warning changes: draft the message, and assess from yellow on, one at a time."""

    def __init__(
        self, centre: Centre, *, again_after: timedelta = timedelta(hours=3), on_fault: Callable[[str], None] | None = None
    ) -> None:
        self._centre, self._again_after, self._on_fault = centre, again_after, on_fault
        self._lock = threading.Lock()
        self._assessed_at: datetime | None = None
        self._worst = Level.NONE
        self._again = False
        self._closed = threading.Event()
        self._assessing: threading.Thread | None = None
        self._drafting: set[threading.Thread] = set()
        centre.on_entry.append(self._heard)
        centre.when_lost = self._lost

    def take_up(self) -> None:
        """Do what the last run left undone: messages and an assessment for warnings that hold and have none."""
        board = self._centre.board
        told = {cause for alert in board.alerts.values() for cause in alert.cause}
        compared = {c.forecast for c in board.comparisons.values()}
        foreseen = [f for i, f in board.forecasts.items() if i in compared and f.asked_by is msgspec.UNSET]
        with self._lock:
            self._assessed_at = max((f.time for f in foreseen), default=None)
            causes = {i for f in foreseen for i in f.cause}
            self._worst = max((w.level for i, w in board.warnings.items() if i in causes), default=Level.NONE)
        for warning_id, warning in board.active_warnings().items():
            if warning_id not in told:
                self._draft_soon(warning_id, warning)
            self._assess_soon(warning)

    def close(self) -> None:
        """Hear no more, and give up what is being computed; returns when it has ended."""
        self._closed.set()
        self._centre.when_lost = None
        self._centre.on_entry.remove(self._heard)
        self._centre.stop()
        with self._lock:
            running = [*self._drafting, *([self._assessing] if self._assessing is not None else [])]
        for thread in running:
            thread.join(STOP_WITHIN_S)

    def _heard(self, entry: Entry) -> None:
        if isinstance(entry.record, Warning):
            self._draft_soon(entry.id, entry.record)
            self._assess_soon(entry.record)

    def _draft_soon(self, warning_id: str, warning: Warning) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            thread = threading.Thread(target=self._draft, args=(warning_id, warning), name="tocsin-alert", daemon=True)
            self._drafting = {one for one in self._drafting if one.is_alive()} | {thread}
            thread.start()

    def _assess_soon(self, warning: Warning) -> None:
        """Assess if it is worse than what was assessed last, or that was long ago; right after the one that is running.

        A warning of another hazard (an earthquake, in a platform that simulates floods) is shown and recorded, and assesses nothing here.
        """
        if warning.level < ASSESS_FROM or warning.hazard != self._centre.pack.hazard:
            return
        with self._lock:
            now = self._centre.host.clock.now()
            is_recent = self._assessed_at is not None and timedelta() <= now - self._assessed_at <= self._again_after
            if self._closed.is_set() or (is_recent and warning.level <= self._worst):
                return
            self._worst, self._assessed_at = max(self._worst, warning.level) if is_recent else warning.level, now
            if self._assessing is not None:
                self._again = True
                return
            self._assessing = threading.Thread(target=self._assess, name="tocsin-assess", daemon=True)
            self._assessing.start()

    def _lost(self, followed: Followed) -> None:
        """Readings leave too little of the futures: assess anew, unless that is being done."""
        with self._lock:
            if self._closed.is_set() or self._assessing is not None:
                return
            self._assessed_at = self._centre.host.clock.now()
            asked = ((followed.verification_id,), followed.anew, followed)
            self._assessing = threading.Thread(target=self._assess, args=asked, name="tocsin-assess", daemon=True)
            self._assessing.start()

    def _draft(self, warning_id: str, warning: Warning) -> None:
        try:
            self._centre.draft_alert(warning_id, warning)
        except Exception as fault:  # whatever breaks, the operators read that there is no message, and why
            self._tell(f"no alert was drafted: {fault}")

    def _assess(self, more: tuple[str, ...] = (), scenario: Scenario | None = None, lost: Followed | None = None) -> None:
        while True:
            try:
                cause = (*self._centre.board.active_warnings(), *more)
                self._centre.assess(cause, scenario, lost=lost)
            except Exception as fault:  # whatever breaks, the operators read that there is no forecast, and why
                with self._lock:  # it counts for none: the next warning, whatever its level, has it tried again
                    self._assessed_at = None
                self._tell(f"the assessment failed: {fault}")
            with self._lock:
                if not self._again or self._closed.is_set():
                    self._assessing = None
                    return
                self._again = False
            more, scenario, lost = (), None, None

    def _tell(self, words: str) -> None:
        if self._closed.is_set():
            return  # it was given up on purpose, and the next run takes it up
        log.warning("duty failed: %s", words)
        try:
            self._centre.note(words)
        except TocsinError as fault:
            log.warning("duty not noted: %s", fault)
        if self._on_fault is not None:
            self._on_fault(words)


def free_port(host: str, port: int) -> socket.socket:
    """A socket that listens at a port (0 takes a free one); raises Unavailable with what to do where it is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # whoever comes before the server does waits and is not refused
    except OSError as fault:
        listener.close()
        raise Unavailable(f"{host}:{port}: {fault.strerror}; choose another --port, or 0 for a free one") from fault
    return listener


def address_of(listener: socket.socket) -> str:
    """Where the console is, for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}/"


class Server(uvicorn.Server):
    """Stops at the first signal, and hurries at a second Ctrl-C. uvicorn's own raises the signal again and so cuts off what has to follow."""

    def __init__(self, config: uvicorn.Config, bus: Bus) -> None:
        super().__init__(config)
        self._bus = bus

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell those who listen to events that it ends: their streams would stay open."""
        self._bus.tell(END, None)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear the signals while this runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def serve_until(
    platform: Platform,
    listener: socket.socket,
    *others: Coroutine[Any, Any, None],
    run_for_s: float | None = None,
    mqtt: tuple[str, int] | None = None,
    on_mqtt: Callable[[int], None] | None = None,
) -> None:
    """Serve HTTP, run the node and whatever else is given, until stopped or for some seconds of wall time.

    `mqtt` is the address and port of the MQTT endpoint, if there is to be one; `on_mqtt` hears the port that it got.
    """
    from tocsin.interfaces.gateways import Gateways
    from tocsin.interfaces.http import make_app
    from tocsin.interfaces.sensorthings import Service, sensorthings_routes
    from tocsin.interfaces.sensorthings.credentials import Credentials
    from tocsin.interfaces.sensorthings.routes import ROOT

    service, credentials = Service(platform.things, platform.centre.host.gate), Credentials(platform.centre)
    gateways = Gateways(platform, service, credentials, root=address_of(listener).rstrip("/") + ROOT)
    if mqtt is not None:
        port = await gateways.listen(*mqtt)
        if on_mqtt is not None:
            on_mqtt(port)
    config = uvicorn.Config(
        make_app(platform.centre, more=[*sensorthings_routes(service, credentials), *gateways.routes()]),
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=1,
        access_log=False,
    )
    server = Server(config, platform.centre.bus)
    stopped = asyncio.create_task(server.serve(sockets=[listener]))
    tasks = [asyncio.create_task(platform.node.run()), *(asyncio.create_task(other) for other in others)]
    tasks += [asyncio.create_task(_clock_ticks(platform.centre)), asyncio.create_task(gateways.run())]
    tasks.append(asyncio.create_task(_follows(platform.centre)))
    if run_for_s is not None:
        tasks.append(asyncio.create_task(_stop_after(server, run_for_s)))
    try:
        running = {stopped, *tasks}
        while stopped in running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        server.should_exit = True
        await gateways.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(stopped, *tasks, return_exceptions=True)


async def _clock_ticks(centre: Centre) -> None:
    """Tell listeners the platform's time every second, and let the plans that are carried out go on."""
    while True:
        centre.bus.tell("clock", {"time": centre.host.clock.now()})
        await asyncio.to_thread(_carry_on, centre)
        await asyncio.sleep(1.0)


def _carry_on(centre: Centre) -> None:
    """Let plans go on; what breaks there is told and tried again a minute later, and never stops the platform."""
    try:
        centre.carry_on()
    except Exception:
        log.exception("carry_on_failed")


async def _follows(centre: Centre) -> None:
    """Let readings re-weigh the newest assessment; what breaks there is told, and never stops the platform."""
    while True:
        try:
            await asyncio.to_thread(centre.follow)
        except Exception:
            log.exception("follow_failed")
        await asyncio.sleep(1.0)


async def _stop_after(server: Any, seconds: float) -> None:
    await asyncio.sleep(seconds)
    server.should_exit = True
