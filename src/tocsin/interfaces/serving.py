"""Put a platform together for one twin, and serve it: the one place where a process makes what it owns."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
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
from tocsin.flows.centre import Centre, Sources
from tocsin.flows.common import FieldsNow
from tocsin.flows.exposure import Exposure
from tocsin.flows.hazard_watch import Scenarios, Watched
from tocsin.host import Clock, WallClock
from tocsin.interfaces.sensorthings.feed import Feed
from tocsin.pack import Pack, Rule, Scenario, threshold
from tocsin.pack.observed import observed
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
from tocsin.vocabulary import Bulletin, InputError, Quantity, Unavailable, World

log = logging.getLogger(__name__)

EDGE = Actor("edge", frozenset({"sensor"}))
GAUGE_MAX_AGE_S, GAUGE_CLEAR_S = 3_600.0, 1_800.0
REMEMBER_H = 48.0  # how much of the log is read again at a start, where no rule looks back further
STOP_WITHIN_S = 30.0  # a supervisor kills after a while (systemd: 90 s); whatever is cut off then is taken up by the next run


class Platform:
    """A centre with the node that feeds it. `close` ends it in the right order.

    `quantities` are all that senders may bring: those of the packs, and those that a file of the operator's has. `expected` are the
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


def rules_of(packs: Sequence[Pack], twin: Twin) -> dict[str, tuple[Rule, ...]]:
    """The rules of each hazard: its pack's, and the limits of the twin's gauges.

    The limits of a gauge whose quantity several packs observe are judged once, for the hazard that is named first: nobody is warned twice of one reading.
    Raises InputError where two packs have a rule of one name.
    """
    rules, whose, mine = dict[str, tuple[Rule, ...]](), dict[str, str](), set[str]()
    for pack in packs:
        own = gauge_rules(twin, [quantity for quantity in pack.observes if quantity.name not in mine])
        mine |= {quantity.name for quantity in pack.observes}
        rules[pack.hazard] = (*pack.rules, *own)
        for rule in rules[pack.hazard]:
            if (other := whose.setdefault(rule.name, pack.hazard)) != pack.hazard:
                raise InputError(
                    f"rule {rule.name!r}: is one of {other} and one of {pack.hazard}; a warning must name its rule, so one pack has to rename its own"
                )
    return rules


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
    watched: Sequence[Watched],
    clock: Clock,
    purpose: str,
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
    """Open a data folder (made where there is none) and take up where the last run ended. `sensing` is added to what the packs bring.

    `watched` are the hazards, the one that is shown first at its head. Raises InputError where their packs do not go together.
    """
    gate, packs = RoleGate(), [one.pack for one in watched]
    quantities = observed(packs)
    usual = rules_of(packs, twin)
    ledger = open_ledger(folder, clock=clock, gate=gate, purpose=purpose)
    try:
        where = open_compute(compute)
        host = LocalHost(clock=clock, ledger=ledger, gate=gate, compute=where, seed=seed)
        own = Sensing.nothing() if sensing is None else sensing
        collectors, checks = (*collectors, *own.collectors), (*checks, *own.checks)
        latest = Latest(checks, depth=own.depth)
        for expected in own.expected:
            latest.expect(expected.quantity, expected.sites)
        made = {model.makes.name: model.makes for pack in packs for model in pack.models}
        for quantity in (made | quantities).values():
            sites = [g.site for g in twin.gauges if g.quantity == quantity.name]
            if sites:
                latest.expect(quantity, sites)
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
            watched=watched,
            latest=latest,
            users=users,
            sessions=open_sessions(ledger.store, users, clock=wall),
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
    quantities |= dict(own.quantities)
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
