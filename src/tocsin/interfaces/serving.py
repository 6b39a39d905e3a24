"""Put a platform together for one twin, and serve it: the one place where a process makes what it owns."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from tocsin.edge import Check, Collector, Latest, Node, Spool, Watch
from tocsin.flows.centre import ASSESS_FROM, Centre, FieldsNow, Scenarios
from tocsin.host import Clock, Entry, WallClock
from tocsin.interfaces.sensorthings.feed import Feed
from tocsin.pack import Pack, Rule, threshold
from tocsin.platform.compute import LocalCompute
from tocsin.platform.ledger import open_ledger
from tocsin.platform.local import LocalHost
from tocsin.platform.store import open_sessions, open_users
from tocsin.platform.things import FILE_NAME, Place, Things, open_things
from tocsin.platform.twin import Twin
from tocsin.platform.uplink import open_receiver
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import Level, Quantity, TocsinError, Unavailable, Warning

log = logging.getLogger(__name__)

EDGE = Actor("edge", frozenset({"sensor"}))
GAUGE_MAX_AGE_S, GAUGE_CLEAR_S = 3_600.0, 1_800.0


class Platform:
    """A centre with the node that feeds it. `close` ends it in the right order."""

    def __init__(self, centre: Centre, node: Node, spool: Spool, things: Things, feed: Feed) -> None:
        self.centre, self.node, self.things = centre, node, things
        self._spool, self._feed = spool, feed

    def close(self) -> None:
        """Let go of the ledger, the readings' log and the store of things."""
        self.centre.close()
        self._feed.close()
        self.things.close()
        self._spool.close()
        self.centre.ledger.close()


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
    seed: int = 0,
    speed: float = 1.0,
    frame_step_s: float = 1800.0,
    sender: str = "tocsin@localhost",
) -> Platform:
    """Open a data folder (made where there is none) and take up where the last run ended."""
    gate = RoleGate()
    ledger = open_ledger(folder, clock=clock, gate=gate, purpose=purpose)
    try:
        host = LocalHost(clock=clock, ledger=ledger, gate=gate, compute=LocalCompute(), seed=seed)
        latest = Latest(checks)
        for quantity in pack.observes:
            sites = [g.site for g in twin.gauges if g.quantity == quantity.name]
            if sites:
                latest.expect(quantity, sites)
        rules = {pack.hazard: (*pack.rules, *gauge_rules(twin, pack.observes))}
        watch = Watch(rules, latest, since=clock.now())
        spool = Spool(folder / "readings")
        node = Node(host, EDGE, latest=latest, watch=watch, spool=spool, collectors=collectors)
        node.restore()
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
        )
        centre.receiver = open_receiver(host, ledger, node, spool)
        places = {g.site: Place(g.lon, g.lat, g.name) for g in twin.gauges}
        things = open_things(folder / FILE_NAME, clock=clock, places=places)
        feed = Feed(things)
        node.on_readings(centre.heard_readings)
        node.on_readings(feed.heard)
    except BaseException:
        ledger.close()
        raise
    return Platform(centre, node, spool, things, feed)


class Duty:
    """What a platform does by itself when a warning changes: draft the message, and assess from yellow on, one at a time."""

    def __init__(
        self, centre: Centre, *, again_after: timedelta = timedelta(hours=3), on_fault: Callable[[str], None] | None = None
    ) -> None:
        self._centre, self._again_after, self._on_fault = centre, again_after, on_fault
        self._lock = threading.Lock()
        self._assessed_at: Any = None
        self._worst = Level.NONE
        self._thread: threading.Thread | None = None
        centre.on_entry.append(self._heard)

    def _heard(self, entry: Entry) -> None:
        if not isinstance(entry.record, Warning):
            return
        warning = entry.record
        threading.Thread(target=self._draft, args=(entry.id, warning), name="tocsin-alert", daemon=True).start()
        if warning.level < ASSESS_FROM:
            return
        with self._lock:
            now = self._centre.host.clock.now()
            is_news = warning.level > self._worst or self._assessed_at is None or now - self._assessed_at > self._again_after
            if not is_news or (self._thread is not None and self._thread.is_alive()):
                return
            self._worst, self._assessed_at = max(self._worst, warning.level), now
            causes = tuple(self._centre.board.active_warnings()) or (entry.id,)
            self._thread = threading.Thread(target=self._assess, args=(causes,), name="tocsin-assess", daemon=True)
            self._thread.start()

    def _draft(self, warning_id: str, warning: Warning) -> None:
        try:
            self._centre.draft_alert(warning_id, warning)
        except TocsinError as fault:
            self._tell(f"no alert was drafted: {fault}")

    def _assess(self, causes: tuple[str, ...]) -> None:
        try:
            self._centre.assess(causes)
        except Exception as fault:  # whatever breaks, the operators read that there is no forecast, and why
            self._tell(f"the assessment failed: {fault}")

    def _tell(self, words: str) -> None:
        log.warning("duty_failed", extra={"reason": words})
        try:
            self._centre.note(words)
        except TocsinError as fault:
            log.warning("duty_not_noted", extra={"reason": str(fault)})
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


async def serve_until(
    platform: Platform, listener: socket.socket, *others: Coroutine[Any, Any, None], run_for_s: float | None = None
) -> None:
    """Serve HTTP, run the node and whatever else is given, until stopped or for some seconds of wall time."""
    import uvicorn

    from tocsin.interfaces.http import make_app
    from tocsin.interfaces.sensorthings import Service, sensorthings_routes
    from tocsin.interfaces.sensorthings.credentials import Credentials

    service = Service(platform.things, platform.centre.host.gate)
    config = uvicorn.Config(
        make_app(platform.centre, more=sensorthings_routes(service, Credentials(platform.centre))),
        log_level="warning",
        lifespan="off",
        timeout_graceful_shutdown=1,
        access_log=False,
    )
    server = uvicorn.Server(config)
    stopped = asyncio.create_task(server.serve(sockets=[listener]))
    tasks = [asyncio.create_task(platform.node.run()), *(asyncio.create_task(other) for other in others)]
    tasks.append(asyncio.create_task(_clock_ticks(platform.centre)))
    if run_for_s is not None:
        tasks.append(asyncio.create_task(_stop_after(server, run_for_s)))
    try:
        done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        await stopped
    finally:
        server.should_exit = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(stopped, *tasks, return_exceptions=True)


async def _clock_ticks(centre: Centre) -> None:
    """Tell listeners the platform's time every second."""
    while True:
        centre.bus.tell("clock", {"time": centre.host.clock.now()})
        await asyncio.sleep(1.0)


async def _stop_after(server: Any, seconds: float) -> None:
    await asyncio.sleep(seconds)
    server.should_exit = True
