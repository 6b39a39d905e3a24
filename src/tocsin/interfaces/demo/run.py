"""Run the demo: build the district, let the storm fall, show the loop, and go on as a live system until stopped."""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tocsin.edge import Check, Replay, qartod_water_level
from tocsin.flows.centre import Centre
from tocsin.flows.hazard_watch import Watched
from tocsin.flows.words import in_words
from tocsin.host import Entry, ScaledClock
from tocsin.interfaces.demo import sensors, storm
from tocsin.interfaces.demo.district import ENTRY, write_district
from tocsin.interfaces.duty import Duty
from tocsin.interfaces.serving import Platform, address_of, free_port, open_platform, serve_until
from tocsin.interfaces.show import Show
from tocsin.pack import HARMED, IN_DANGER, Future, Pack, Scenario, Spread, find_pack
from tocsin.platform.twin import Twin, build_twin, open_twin
from tocsin.security.actor import Actor
from tocsin.vocabulary import (
    AlertDraft,
    Comparison,
    Decision,
    Forecast,
    Level,
    Member,
    Order,
    Quantity,
    SensorFault,
    TocsinError,
    Warning,
    World,
)

LIVE_FROM_H = 4.2  # the hours before are there when the demo begins, as history
FUTURES = 50
HORIZON_H = 10.0
FRAME_STEP_S = 1800.0
PERSON = "mara"
PERSON_ROLES = frozenset({"commander", "operator", "auditor", "administrator"})
DECIDES_AFTER_S = 20.0
TWIN, DATA = "twin", "data"


def run_demo(
    *,
    port: int,
    folder: Path | None,
    seed: int,
    speed: float,
    approve: str,
    run_for_s: float | None,
    browser: bool,
    as_json: bool,
) -> None:
    """The demo from beginning to end; returns when it is stopped or `run_for_s` seconds are over."""
    show = Show(as_json=as_json)
    listener = free_port("127.0.0.1", port)
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    twin = _district(folder, seed, show)
    pack = find_pack("flood")
    clock = ScaledClock(storm.START + timedelta(hours=LIVE_FROM_H), speed)
    true = _truth(twin, pack)
    rain, level = (_quantity(pack, name) for name in ("rain_amount", "river_level"))
    platform = open_platform(
        folder / DATA,
        twin=twin,
        watched=[Watched(pack, _forecast)],
        clock=clock,
        purpose="demo",
        fields_now=lambda now: _water_now(twin, pack, now),
        collectors=_collectors(twin, rain, level, true, seed),
        checks=_checks(rain, level),
        seed=seed,
        speed=speed,
        frame_step_s=FRAME_STEP_S,
        sender="demo@bellmere.example",
    )
    duty = Duty(platform.centre, on_fault=lambda words: show.line("record", words))
    try:
        password = _person(platform.centre)
        story = _Story(show, platform.centre)
        platform.centre.on_entry.append(story.heard)
        address = address_of(listener)
        show.line("sense", f"{storm.TITLE}; live from hour {LIVE_FROM_H:g}, {speed:g} times as fast as life", source=storm.SOURCE)
        show.line(
            "console", f"{address}   name: {PERSON}   password: {password}", address=address, name=PERSON, password=password
        )
        if browser and sys.stdout.isatty():
            webbrowser.open(address)
        decider = _decide(platform.centre, show, password, automatic=approve == "auto" or not sys.stdin.isatty())
        asyncio.run(serve_until(platform, listener, decider, run_for_s=run_for_s))
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        duty.close()
        _farewell(platform, show, folder)
        platform.close()


def _district(folder: Path, seed: int, show: Show) -> Twin:
    show.line("twin", "making up a district and building its twin from the files that a real city would bring")
    where = folder / TWIN
    arguments = write_district(folder / "files", seed)
    manifest = build_twin(where, created=datetime.now(UTC), overwrite=True, **arguments)
    count = manifest.counts
    show.line(
        "twin",
        f"{manifest.name}: {count['people_night']:,.0f} people, {count['buildings']:,.0f} buildings, {count['road_km']:,.0f} km of streets, "
        f"{manifest.grid.rows} x {manifest.grid.cols} cells of {manifest.grid.cell_m:g} m",
        made_up=True,
        counts=count,
    )
    return open_twin(where)


def _quantity(pack: Pack, name: str) -> Quantity:
    return next(q for q in pack.observes if q.name == name)


def _truth(twin: Twin, pack: Pack) -> Member:
    """What the storm really does to the district; only the virtual sensors know it."""
    model = pack.models[0]
    knobs = {name: knob.usual for name, knob in model.knobs.items()}
    series = {"rain": storm.rain_mm_per_h(), f"inflow@{ENTRY}": storm.inflow_m3_per_s()}
    future = Future(0, 0, storm.HOURS * storm.HOUR_S, knobs, series)
    return model.play(twin.world(storm.START), future, (), tuple(sensors.times_s(storm.HOURS)))


def _collectors(twin: Twin, rain: Quantity, level: Quantity, true: Member, seed: int) -> list[Replay]:
    rng = np.random.default_rng([seed, 2])
    wet = tuple(g for g in twin.gauges if g.quantity == rain.name)
    high = tuple(g for g in twin.gauges if g.quantity == level.name)
    fell = sensors.rain_readings(rain, wet, storm.START, storm.HOURS, rng)
    stood = sensors.level_readings(level, high, storm.START, storm.HOURS, true, twin.grid, rng)
    wrong = sensors.faults(storm.START)
    return [
        Replay("rain gauges", fell, faults=[f for f in wrong if f.site in fell.sites]),
        Replay("level gauges", stood, faults=[f for f in wrong if f.site in stood.sites]),
    ]


def _checks(rain: Quantity, level: Quantity) -> tuple[Check, ...]:
    """QARTOD's examples for water level, with what is local; and a plain range and spike check for rain."""
    neighbours = {a: tuple(b for b in sensors.LEVEL_SITES if b != a) for a in sensors.LEVEL_SITES}
    return (
        qartod_water_level(
            level,
            interval_s=sensors.EVERY_S,
            spike_method="differential",
            usual_span=(-0.1, 4.0),
            spike_suspect=0.4,
            spike_fail=0.8,
            flat_tolerance=0.0005,
            flat_suspect_s=3600.0,
            flat_fail_s=2 * 3600.0,
            neighbours=neighbours,
            neighbour_move=0.05,
        ),
        Check(
            quantity=rain,
            interval_s=sensors.EVERY_S,
            source="local to the demo (unverified): a tenth of the world's largest hourly rain in 10 min is a fault here",
            sensor_span=(0.0, 60.0),
            usual_span=(0.0, 30.0),
            gap_s=3600.0,
        ),
    )


def _hour_of(now: datetime) -> float:
    """The storm's hour."""
    return (now - storm.START).total_seconds() / storm.HOUR_S


def _forecast(_world: World, now: datetime) -> Scenario:
    """The weather forecast of the demo: what comes, times an error that nobody knows yet."""
    hour = _hour_of(now)
    return Scenario(
        duration_s=HORIZON_H * storm.HOUR_S,
        members=FUTURES,
        seed=int(hour * 3600.0),
        knobs={
            "rain_factor": Spread(0.5, 1.0, 1.6),
            "inflow_factor": Spread(0.75, 1.0, 1.3),
            "manning_factor": Spread(0.8, 1.0, 1.3),
        },
        series={"rain": storm.rain_mm_per_h(hour), f"inflow@{ENTRY}": storm.inflow_m3_per_s(hour)},
    )


def _water_now(twin: Twin, pack: Pack, now: datetime) -> dict[str, NDArray[np.float32]]:
    """The water that stands in the district now: one run from the storm's start until now, with the rain and flow that came."""
    passed_s = max(60.0, (now - storm.START).total_seconds())
    model = pack.models[0]
    knobs = {name: knob.usual for name, knob in model.knobs.items()}
    series = {"rain": storm.rain_mm_per_h(), f"inflow@{ENTRY}": storm.inflow_m3_per_s()}
    member = model.play(twin.world(storm.START), Future(0, 0, passed_s, knobs, series), (), (passed_s,))
    if member.frames is None:
        return {}
    return {"water_depth_m": member.frames[-1].reshape(twin.grid.shape)}


def _person(centre: Centre) -> str:
    """The person of the demo, with a password that is made anew each time."""
    password = secrets.token_urlsafe(12)
    if centre.users.count() == 0:
        centre.users.create_first_administrator(PERSON, password, roles=PERSON_ROLES)
    else:
        centre.users.reset_password(Actor(PERSON, PERSON_ROLES), PERSON, password)
    return password


class _Story:
    """Tells in the terminal what the ledger hears."""

    def __init__(self, show: Show, centre: Centre) -> None:
        self._show, self._centre = show, centre

    def heard(self, entry: Entry) -> None:
        record = entry.record
        words = f"{in_words(record)}"
        match record:
            case SensorFault():
                self._show.line("check", words, site=record.subject, check=record.check, healed=record.healed)
            case Warning():
                text = record.reason if record.level > Level.NONE else f"{record.level.word}: {record.reason}"
                self._show.line(
                    "warn",
                    f"{text}  [{record.rule}, storm hour {_hour_of(record.time):.1f}]",
                    level=record.level,
                    id=entry.id,
                    site=record.subject,
                )
            case AlertDraft():
                self._show.line("alert", words, id=entry.id, status=record.status)
            case Forecast():
                said = [_figure(record, name, label) for name, label in FIGURES if name in record.impact]
                self._show.line(
                    "simulate", f"{words}: {'; '.join(said)}", id=entry.id, impact={k: v.mean for k, v in record.impact.items()}
                )
            case Comparison():
                self._show.plans(record)
            case Decision():
                self._show.line("decide", f"{words} (signed, {record.signature[:16]}...)", id=entry.id)
            case Order():
                self._show.line("order", f"{record.role}: {record.do}, due {record.due:%H:%M}", id=entry.id)
            case _:
                pass


FIGURES = (
    (HARMED, IN_DANGER),
    ("buildings_affected", "buildings reached"),
    ("road_km_cut", "km of streets cut"),
    ("people_cut_off", "people cut off"),
)


def _figure(record: Forecast, name: str, label: str) -> str:
    e = record.impact[name]
    return f"{e.mean:,.0f} {label} (5 to 95 %: {e.low:,.0f} to {e.high:,.0f})"


async def _decide(centre: Centre, show: Show, password: str, *, automatic: bool) -> None:
    """Wait for the first comparison; then a person approves in the console or here, or the demo does so itself and says that."""
    while not centre.board.comparisons:
        await asyncio.sleep(0.3)
    comparison_id, compared = next(iter(centre.board.comparisons.items()))
    best = next(s for s in compared.scores if s.plan == compared.recommended)
    if automatic:
        show.line(
            "decide",
            f"nobody is at the keyboard: in {DECIDES_AFTER_S:.0f} s the demo approves {best.plan!r} in {PERSON}'s name; or decide in the console",
        )
        await asyncio.sleep(DECIDES_AFTER_S)
    else:
        show.line("decide", f"approve {best.plan!r} in the console, or press Enter here to approve it as {PERSON}")
        await _enter_or(lambda: centre.board.decision_on(comparison_id) is not None)
    if centre.board.decision_on(comparison_id) is None:
        await asyncio.to_thread(_approve, centre, comparison_id, best.plan, best.digest, password)
    await _prove(centre, show)


def _approve(centre: Centre, comparison_id: str, plan: str, digest: str, password: str) -> None:
    actor = Actor(PERSON, PERSON_ROLES)
    centre.decide(
        actor,
        comparison_id=comparison_id,
        plan_name=plan,
        plan_digest=digest,
        verdict="approve",
        comment="approved in the terminal of the demo",
        password=password,
    )
    centre.messages.release_all(actor)


async def _enter_or(is_decided: Callable[[], bool]) -> None:
    """Return when Enter was pressed or somebody decided elsewhere."""
    pressed = threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        pressed.set()

    threading.Thread(target=listen, daemon=True).start()
    while not pressed.is_set() and not is_decided():
        await asyncio.sleep(0.3)


async def _prove(centre: Centre, show: Show) -> None:
    """Show that the chain from an order back to the sensors holds."""
    while not centre.board.orders:
        await asyncio.sleep(0.3)
    order_id = next(iter(centre.board.orders))
    chain = await asyncio.to_thread(centre.chain, order_id)
    kinds = list(dict.fromkeys(node["kind"] for node in sorted(chain["nodes"], key=lambda n: n["depth"])))
    count = await asyncio.to_thread(centre.verify_ledger)
    show.line("record", f"the chain of the first order: {' <- '.join(kinds)} ({len(chain['nodes'])} records)", chain=kinds)
    show.line(
        "record",
        f"the ledger holds: {count['entries']} entries verified, root {count['root'][:16]}...; it goes on, Ctrl-C stops it",
        **count,
    )


def _farewell(platform: Platform, show: Show, folder: Path) -> None:
    try:
        count = platform.centre.verify_ledger()
        show.line(
            "record",
            f"stopped; {count['entries']} entries verified; look again: tocsin ledger verify {folder / DATA}",
            folder=str(folder),
            **count,
        )
    except TocsinError as fault:
        show.line("record", f"stopped; the ledger does not hold: {fault}")
