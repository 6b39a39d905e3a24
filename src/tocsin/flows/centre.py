"""The centre: the running platform for one twin. What it owns is made in one place and passed in; here it is put to work.

Readings come in through the node. A change of warning level wakes an assessment: the hazard is simulated on many futures, every plan is run
on all of them, and the ranking waits for a person. Everything that happens is a record; the board is folded from the ledger.
Each hazard that is watched has a watch of its own; people, limits, library, decisions, orders and messages are one for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tocsin.decision.limits import figures_of
from tocsin.decision.score import PlanResult
from tocsin.decision.services import service_names
from tocsin.edge.latest import Latest
from tocsin.edge.state_update import StateUpdate
from tocsin.edge.status import CollectorStatus, Copy, Source
from tocsin.flows import gauges_told, twin_map
from tocsin.flows.board import NEXT_STATES
from tocsin.flows.carry_out import Carrying
from tocsin.flows.common import PLATFORM, Common, FieldsNow
from tocsin.flows.decision import check, limits_from
from tocsin.flows.exposure import Exposure
from tocsin.flows.facts_now import FactsNow
from tocsin.flows.following import Followed
from tocsin.flows.hazard_watch import HazardWatch, Progress, Sharpened, Watched
from tocsin.flows.jobs import Jobs
from tocsin.flows.library import before_the_last_change, library_plans, removed, saved
from tocsin.flows.messages import Messages
from tocsin.flows.views import ForecastView
from tocsin.flows.words import in_words
from tocsin.host import Entry
from tocsin.pack import Plan, find_pack
from tocsin.pack.observed import observed
from tocsin.pack.sense import Trust, senses_of
from tocsin.platform.forecasts import StoredForecast
from tocsin.platform.ledger import SqliteLedger
from tocsin.platform.local import LocalHost
from tocsin.platform.store import Sessions, Users
from tocsin.platform.tiles import BaseMap, terrain_tile
from tocsin.platform.twin import Gauge, Twin, local_hour
from tocsin.platform.uplink import Receiver
from tocsin.security.actor import Actor
from tocsin.security.gate import must_hold
from tocsin.security.keys import signature_holds
from tocsin.security.sessions import Session
from tocsin.vocabulary import (
    Comparison,
    Conflict,
    Decision,
    HardLimits,
    Incident,
    InputError,
    Level,
    NotFound,
    Observations,
    Order,
    PlanEvent,
    Report,
    World,
    record_id,
)

VIEWS_KEPT = 4
VERDICTS = ("approve", "reject")
ASSESS_FROM = Level.YELLOW
JOBS = "jobs"
LIMITS_MOST = 20


class Sources(msgspec.Struct, frozen=True):
    """How all streams and collectors stand, the worst first, how many readings of each quantity were stored, known already, late or
    of the future, and how the copy stands. `refused` is what senders by MQTT and HTTP were told: by sender, why, how often."""

    sources: tuple[Source, ...] = ()
    counted: Mapping[str, Mapping[str, int]] = {}
    collectors: tuple[CollectorStatus, ...] = ()
    refused: Mapping[str, Mapping[str, int]] = {}
    postgres: Copy | None = None


class Centre:
    """One twin, one ledger, one node, the hazards that are watched, and the people who are signed in. Safe to use from several threads."""

    def __init__(
        self,
        *,
        folder: Path,
        host: LocalHost,
        ledger: SqliteLedger,
        twin: Twin,
        watched: Sequence[Watched],
        latest: Latest,
        users: Users,
        sessions: Sessions,
        sender: str,
        fields_now: FieldsNow | None = None,
        speed: float = 1.0,
        frame_step_s: float = 1800.0,
        errors: Sequence[Trust] = (),
        state_update: StateUpdate | None = None,
    ) -> None:
        """`watched` are the hazards, the one that is shown first at their head; raises InputError where two of them do not go together."""
        packs = [one.pack for one in watched]
        hazards = tuple(pack.hazard for pack in packs)
        if not hazards:
            raise InputError("centre: no hazard to watch; wanted one or more")
        self.folder, self.host, self.ledger, self.twin, self.latest = folder, host, ledger, twin, latest
        self.users, self.sessions, self.speed, self.frame_step_s = users, sessions, speed, frame_step_s
        self.common = Common(
            folder=folder,
            host=host,
            ledger=ledger,
            twin=twin,
            latest=latest,
            hazards=hazards,
            quantities=observed(packs),
            fields_now=fields_now,
            frame_step_s=frame_step_s,
        )
        self.bus, self.board = self.common.bus, self.common.board
        self.messages = Messages(self.common, sender)
        trust = _trust_of(watched, errors)
        self.watches: Mapping[str, HazardWatch] = {
            one.pack.hazard: HazardWatch(self.common, one, errors=trust[one.pack.hazard], state_update=state_update)
            for one in watched
        }
        self._carrying = Carrying(ledger, PLATFORM, self._facts)
        self.on_entry: list[Callable[[Entry], None]] = []
        self._lock = threading.Lock()
        self.jobs = Jobs(folder / JOBS, host.clock, lambda job: self.bus.tell("job", job))
        self._views: dict[str, ForecastView] = {}
        self._base_map = BaseMap(twin)
        self._verified: datetime | None = None
        self.receiver: Receiver | None = None
        self.exposure: Exposure | None = None
        self.sources: Callable[[], Sources] = Sources  # how each stream stands; whoever makes the node says how to ask
        self._stop_listening = ledger.subscribe(self._heard)

    def stop(self) -> None:
        """Give up the assessment that is running, at its next step; none can begin any more."""
        self.common.stopping.set()

    def close(self) -> None:
        """Stop what people asked for, and hear no more of the ledger."""
        self.jobs.close()
        self._stop_listening()

    # -- the hazards that are watched ----------------------------------------------------------------------------------

    def watch(self, hazard: str) -> HazardWatch:
        """The watch over a hazard; raises NotFound with those that are watched."""
        if hazard not in self.watches:
            raise NotFound(f"hazard {hazard[:40]!r} is not watched here; watched: {', '.join(self.watches)}")
        return self.watches[hazard]

    def foremost(self) -> HazardWatch:
        """The watch over the hazard of the highest warning that holds; where none does, over the one named first."""
        own = [w for w in self.board.active_warnings().values() if w.hazard in self.watches]
        return self.watches[own[0].hazard] if own else next(iter(self.watches.values()))

    def only(self) -> HazardWatch:
        """The one watch that there is; raises InputError where several hazards are watched, as guessing could do harm."""
        if len(self.watches) > 1:
            raise InputError(f"hazard: not given, and several are watched; wanted one of {', '.join(self.watches)}")
        return next(iter(self.watches.values()))

    def watch_of(self, comparison_id: str) -> HazardWatch:
        """The watch whose plans a comparison ranks; raises NotFound, also where that hazard is not watched any more."""
        return self.watch(self.board.hazard_of(comparison_id))

    def hazards(self) -> list[dict[str, Any]]:
        """The hazards that are watched, in the order in which they were named: how high each warns, what was foreseen and compared last."""
        foremost = self.foremost().hazard
        rows = []
        for hazard in self.watches:
            foreseen = [i for i, f in self.board.forecasts.items() if f.hazard == hazard and f.asked_by is msgspec.UNSET]
            compared = [i for i, c in self.board.comparisons.items() if c.forecast in foreseen]
            own = [w for w in self.board.active_warnings().values() if w.hazard == hazard]
            rows.append(
                {
                    "hazard": hazard,
                    "level": int(own[0].level) if own else 0,
                    "warnings": len(own),
                    "foremost": hazard == foremost,
                    "forecast": foreseen[-1] if foreseen else None,
                    "comparison": compared[-1] if compared else None,
                }
            )
        return rows

    @property
    def progress(self) -> Progress | None:
        """What is being computed by an assessment now."""
        return next((w.progress for w in self.watches.values() if w.progress is not None), None)

    @property
    def ranking(self) -> Sharpened | None:
        """The ranking of the assessment that is running, as far as it has sharpened."""
        return next((w.ranking for w in self.watches.values() if w.ranking is not None), None)

    def follow(self) -> tuple[Followed, ...]:
        """Let what came re-weigh the newest assessment of each hazard; what breaks for one stops no other, and is raised at the end."""
        followed, broken = list[Followed](), list[Exception]()
        for watch in self.watches.values():
            try:
                if (seen := watch.follow()) is not None:
                    followed.append(seen)
            except Exception as fault:
                broken.append(fault)
        if broken:
            raise broken[0] if len(broken) == 1 else ExceptionGroup("follow", broken)
        return tuple(followed)

    def resume(self) -> None:
        """Follow the newest assessment of each hazard again, as before a restart."""
        for watch in self.watches.values():
            watch.resume()

    # -- what comes in -------------------------------------------------------------------------------------------------

    def _heard(self, entries: tuple[Entry, ...]) -> None:
        """The ledger has new entries: post them, tell those who listen, and let a warning set things going."""
        for entry in entries:
            self.board.post(entry)
        for entry in entries:
            record = entry.record
            kind = type(record).__name__.lower()
            self.bus.tell("record", {"number": entry.number, "id": entry.id, "kind": kind, "subject": record.subject})
            for heard in self.on_entry:
                heard(entry)

    def heard_readings(self, batch: Observations) -> None:
        """Readings were stored and judged; those who listen fetch the gauges again."""
        for watch in self.watches.values():
            watch.following.heard()
        self.bus.tell("readings", {"quantity": batch.quantity.name, "count": len(batch)})

    def world(self) -> World:
        """The twin as it is now, with what the sensors say."""
        return self.common.world()

    @property
    def gauges(self) -> tuple[Gauge, ...]:
        """The twin's gauges of what is measured here."""
        return self.common.gauges

    # -- plans ---------------------------------------------------------------------------------------------------------

    def plans(self) -> tuple[Plan, ...]:
        """The plans of every hazard that is watched, and what people have put into the library."""
        world = self.world()
        own = (plan for watch in self.watches.values() for plan in watch.own_plans(world))
        return (*own, *library_plans(self.board))

    def save_plan(self, actor: Actor, plan: Plan) -> str:
        """Put a plan into the library, in place of one of its name there; from now on it is compared with the others.

        Raises Refused, NotFound where its hazard is not watched, InputError with every fault where it could never be carried out here, or Conflict where a
        plan of a pack has its name.
        """
        self.host.gate.permit(actor, "write libraryplan", plan.name)
        world = self.world()
        self.watch(plan.hazard)
        if plan.name in {own.name for watch in self.watches.values() for own in watch.own_plans(world)}:
            raise Conflict(f"library: the pack has a plan {plan.name!r}; give yours another name")
        check(plan, world)
        record = saved(self.board, plan, now=self.host.clock.now())
        return self.host.ledger.append(actor, [record])[0]

    def remove_plan(self, actor: Actor, name: str) -> str:
        """Take a plan out of the library; what was compared and decided with it stays. Raises Refused, or NotFound."""
        self.host.gate.permit(actor, "write libraryplan", name)
        return self.host.ledger.append(actor, [removed(self.board, name, now=self.host.clock.now())])[0]

    def undo_plan(self, actor: Actor, name: str) -> tuple[str, Plan | None]:
        """Put back what the library had by a name before its last change, None where that was nothing; twice brings the change back.

        Raises as saving and taking out do, and NotFound where the library never had a plan of that name.
        """
        plan = before_the_last_change(self.board, self.ledger, name)
        return self.remove_plan(actor, name) if plan is None else self.save_plan(actor, plan), plan

    # -- hard limits ---------------------------------------------------------------------------------------------------

    def set_limits(self, actor: Actor, texts: Sequence[str], *, password: str, reason: str = "") -> tuple[str, Mapping[str, str]]:
        """Set what no plan of any hazard may break, in place of what was set before, signed with the actor's own key; present rankings follow without a run.

        Returns the ids of the record and of the new comparison of each hazard where somebody waits for a decision. A limit that one hazard
        cannot tell, as on a service that only another takes out, holds where it can be told. Raises Refused (also where the password is wrong),
        or InputError where no hazard could tell a limit in this place.
        """
        self.host.gate.permit(actor, "write hardlimits", self.twin.manifest.name)
        if len(texts) > LIMITS_MOST:
            raise InputError(f"limits: {len(texts)}; wanted at most {LIMITS_MOST}")
        world = self.world()
        for text in texts:
            self._check_limit(text, world)
        with self.common.deciding:
            before = next(reversed(self.board.limits), "")
            unsigned = HardLimits(
                time=self.host.clock.now(),
                subject=self.twin.manifest.name,
                cause=(before,) if before else (),
                limits=tuple(text.strip() for text in texts),
                reason=reason,
            )
            record = self.users.sign(actor, password, unsigned)
            held = {name: watch.limits_of(texts, world) for name, watch in self.watches.items()}
            for name, watch in self.watches.items():
                watch.following.check_limits(held[name])
            (limits_id,) = self.ledger.append(actor, [record])
            anew = {name: watch.following.limit(limits_id, record, held[name]) for name, watch in self.watches.items()}
            return limits_id, {name: comparison_id for name, comparison_id in anew.items() if comparison_id}

    def _check_limit(self, text: str, world: World) -> None:
        """Raise InputError where no hazard that is watched could tell a limit."""
        faults = list[InputError]()
        for hazard in self.watches:
            try:
                limits_from([text], world, hazard)
            except InputError as fault:
                faults.append(fault)
        if len(faults) == len(self.watches):
            raise faults[0]

    def undo_limits(self, actor: Actor, *, password: str, reason: str = "undo") -> tuple[str, Mapping[str, str]]:
        """Set again what held before the last change, signed as any other; twice brings the change back. Raises Conflict where none was ever set."""
        if not self.board.limits:
            raise Conflict("limits: none was ever set; there is nothing to undo")
        held = [record.limits for record, _ in self.board.limits.values()]
        return self.set_limits(actor, held[-2] if len(held) > 1 else (), password=password, reason=reason)

    def limits_state(self) -> dict[str, Any]:
        """The hard limits that hold, who set them when, all that was set before (newest first), and what a limit can be on here."""
        rows = [
            {
                "id": i,
                "time": r.time,
                "by": by,
                "limits": r.limits,
                "reason": r.reason,
                "signed": r.signature is not msgspec.UNSET,
            }
            for i, (r, by) in reversed(self.board.limits.items())
        ]
        world = self.world()
        services = dict.fromkeys(name for watch in self.watches.values() for name in service_names(world, watch.pack))
        figures, zones = figures_of(world, tuple(services))
        return {"limits": self.board.hard_limits, "set": rows[:LIMITS_MOST], "figures": figures, "zones": zones}

    # -- decide --------------------------------------------------------------------------------------------------

    def decide(
        self,
        actor: Actor,
        *,
        comparison_id: str,
        plan_name: str,
        plan_digest: str,
        verdict: str,
        comment: str,
        password: str,
    ) -> tuple[str, tuple[str, ...]]:
        """Approve or reject a plan, signed with the actor's own key; an approval gives orders. Returns the ids.

        Raises Conflict where somebody has decided on this comparison, or the plan is no longer the one that was compared.
        """
        if verdict not in VERDICTS:
            raise InputError(f"decision: verdict = {verdict!r}; wanted approve or reject")
        watch = self.watch_of(comparison_id)
        compared: Comparison = self.board.comparisons[comparison_id]
        score = next((s for s in compared.scores if s.plan == plan_name), None)
        if score is None:
            raise NotFound(f"decision: {plan_name!r} was not compared; there are: {', '.join(s.plan for s in compared.scores)}")
        plan = next((p for p in watch.plans() if p.name == plan_name), None)
        if plan is None or not score.digest == plan_digest == plan.digest():
            raise Conflict(f"decision: {plan_name!r} is no longer the plan that was compared; compare again and decide again")
        must_hold(actor, plan.authority, act=f"decide on {plan_name}", on=compared.subject)
        with self.common.deciding:
            if self.board.decision_on(comparison_id) is not None:
                raise Conflict("decision: somebody has decided on this comparison; reload and see who")
            now = self.host.clock.now()
            unsigned = Decision(
                time=now,
                subject=compared.subject,
                cause=(comparison_id,),
                plan=plan_name,
                plan_digest=plan_digest,
                verdict=verdict,
                comment=comment,
                signer=actor.name,
                public_key="",
            )
            decision = self.users.sign(actor, password, unsigned)
            follows = (
                [*self._carrying.first(plan, decision, now), self._incident(plan, decision, now)] if verdict == "approve" else []
            )
            decision_id, *following = self.ledger.append(actor, [decision, *follows])
        return decision_id, tuple(i for i, record in zip(following, follows, strict=True) if isinstance(record, Order))

    def _facts(self, plan: Plan, began: datetime, now: datetime) -> FactsNow:
        """What a plan's triggers see: the facts of its own hazard, also where that is not watched any more."""
        if plan.hazard in self.watches:
            return self.watches[plan.hazard].facts(began, now)
        pack, others = find_pack(plan.hazard), frozenset(self.watches)
        return FactsNow(self.latest, self.board, self.gauges, pack, tuple(self.twin.waters), began, now, not_of=others)

    def carry_on(self, *, soon: bool = False) -> tuple[str, ...]:
        """Let every plan that was decided for take its next step, each minute or `soon`; returns the ids of what was written."""
        return self._carrying.step(self.host.clock.now(), soon=soon)

    def executions(self) -> list[dict[str, Any]]:
        """How far each plan is that was decided for: levels, and what each action waits for."""
        return self._carrying.rows(self.host.clock.now())

    def plan_result(self, decision_id: str) -> PlanResult:
        """What a plan has done, beside what it would have done on the same facts at its usual pace; raises NotFound."""
        return self._carrying.score(decision_id, self.host.clock.now())

    def agree(self, actor: Actor, decision_id: str, level: str, *, agrees: bool, reason: str, password: str) -> str:
        """Agree to a level of a running plan, or refuse it, signed with the actor's own key; raises Refused where the actor does not hold its authority."""
        return self._carrying.agree(
            actor, decision_id, level, agrees=agrees, reason=reason, sign=self._signer(actor, password), now=self.host.clock.now()
        )

    def end_plan(self, actor: Actor, decision_id: str, *, reason: str, password: str) -> str:
        """End a running plan, signed with the actor's own key: no order follows any more."""
        return self._carrying.end(
            actor, decision_id, reason=reason, sign=self._signer(actor, password), now=self.host.clock.now()
        )

    def _signer(self, actor: Actor, password: str) -> Callable[[PlanEvent], PlanEvent]:
        return lambda event: self.users.sign(actor, password, event)

    def _incident(self, plan: Plan, decision: Decision, now: datetime) -> Incident:
        """The emergency that the orders belong to, at the worst level that holds."""
        worst = self.common.level(plan.hazard, usual=plan.level)
        subject = f"{plan.hazard} {now:%Y-%m-%d}"
        return Incident(time=now, subject=subject, cause=(record_id(decision),), hazard=plan.hazard, state="open", level=worst)

    def note(self, text: str) -> str:
        """Write a line of the platform's own in the log; returns its id."""
        return self.common.note(text)

    def signature_holds(self, decision: Decision) -> bool:
        """True if the decision is what its signer signed."""
        return signature_holds(decision.public_key, decision.signature, decision.signing_bytes())

    def report(self, actor: Actor, order_id: str, *, state: str, text: str) -> str:
        """Say what became of an order; raises Conflict where it is finished or the state cannot follow the one that it has."""
        with self.common.deciding:
            before = self.board.order(order_id)
            if state not in NEXT_STATES:
                raise InputError(f"report: state = {state!r}; wanted one of {', '.join(NEXT_STATES)}")
            if state not in NEXT_STATES[before.state]:
                follow = ", ".join(NEXT_STATES[before.state]) or "nothing: it is finished"
                raise Conflict(f"report: {before.order.action} is {before.state}; what may follow: {follow}")
            now = self.host.clock.now()
            line = Report(time=now, subject=before.order.subject, cause=(order_id,), order=order_id, state=state, text=text)
            said = self.ledger.append(actor, [line])[0]
        self.carry_on(soon=True)
        return said

    # -- people --------------------------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, source: str = "") -> tuple[Session, str]:
        """Open a session; raises Refused."""
        return self.sessions.sign_in(name, password, source)

    def session(self, token: str, csrf: str | None) -> Session | None:
        """The session of a token, None where it has ended."""
        return self.sessions.find(token, csrf)

    def sign_out(self, token: str) -> None:
        """End a session."""
        self.sessions.sign_out(token)

    # -- what the interfaces show -----------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What this platform is, for a page that nobody has signed in to yet."""
        return {
            "purpose": self.ledger.purpose,
            "made_up": self.twin.manifest.made_up,
            "name": self.twin.manifest.name,
            "time": self.host.clock.now(),
            "clock": {"speed": self.speed},
        }

    def gauge_status(self, gauge: Gauge, *, points: int) -> dict[str, Any]:
        """A gauge with its latest reading, quality, trend and level, and its last readings for a small curve."""
        return gauges_told.gauge_status(self.common, gauge, points=points)

    def gauge_series(self, gauge: Gauge, span_s: float) -> dict[str, list[Any]]:
        """A gauge's readings as columns, for a chart."""
        return gauges_told.gauge_series(self.common, gauge, span_s)

    def course(self, comparison_id: str, plan: str, future: int | None) -> dict[str, Any]:
        """How a plan went in one future of a comparison, the one in the middle of its harm where none is named; raises NotFound."""
        return self.watch_of(comparison_id).course(comparison_id, plan, future)

    def harm_by_future(self, comparison_id: str) -> Mapping[str, list[float]]:
        """The harm of each plan in each future, where that is known still."""
        watch = self.watches.get(self.board.hazard_of(comparison_id))
        return {} if watch is None else watch.harm_by_future.get(comparison_id, {})

    def forecast_view(self, forecast_id: str) -> ForecastView:
        """A forecast as it can be looked at; raises NotFound."""
        with self._lock:
            if forecast_id in self._views:
                return self._views[forecast_id]
        record = self.board.forecasts.get(forecast_id)
        if record is None:
            raise NotFound(f"no forecast {forecast_id!r}; there are {len(self.board.forecasts)}")
        world = self.twin.world(record.time)
        pack = self.watches[record.hazard].pack if record.hazard in self.watches else find_pack(record.hazard)
        stored = StoredForecast(self.folder / record.result)
        view = ForecastView(forecast_id, record, stored, world, pack, local_hour(world, record.time))
        with self._lock:
            self._views[forecast_id] = view
            while len(self._views) > VIEWS_KEPT * len(self.watches):
                del self._views[next(iter(self._views))]
        return view

    def latest_forecast(self, watch: HazardWatch) -> ForecastView:
        """The newest forecast of a hazard that the platform made itself: what people asked for is no outlook. Raises NotFound."""
        own = [i for i, f in self.board.forecasts.items() if f.hazard == watch.hazard and f.asked_by is msgspec.UNSET]
        if not own:
            raise NotFound(f"no forecast of {watch.hazard} yet")
        return self.forecast_view(own[-1])

    def chain(self, record_id: str) -> dict[str, Any]:
        """What led to a record, as nodes with a line of text each, and edges from effect to cause."""
        found = self.ledger.chain(record_id)
        nodes = [
            {
                "id": node.id,
                "kind": "readings" if node.entry is None else type(node.entry.record).__name__.lower(),
                "time": None if node.entry is None else node.entry.record.time,
                "actor": None if node.entry is None else node.entry.actor,
                "text": "a batch of readings" if node.entry is None else in_words(node.entry.record),
                "depth": node.depth,
            }
            for node in found.nodes
        ]
        return {"nodes": nodes, "edges": [[effect, cause] for cause, effect in found.edges], "complete": found.complete}

    def ledger_state(self) -> dict[str, Any]:
        """How long the ledger is, its root, and when it was last checked."""
        head = self.ledger.tree_head()
        return {"size": head.size, "root": head.root, "verified": self._verified is not None, "checked_at": self._verified}

    def verify_ledger(self) -> dict[str, Any]:
        """Check every entry, link and signature; raises at the first that does not hold."""
        count = self.ledger.verify()
        self._verified = self.host.clock.now()
        return {"entries": count, "root": self.ledger.tree_head().root}

    def describe_twin(self) -> dict[str, Any]:
        """The twin as the map wants it."""
        return twin_map.describe_twin(self.twin)

    def assets_geojson(self, kind: str) -> dict[str, Any]:
        """All assets of a kind as points; raises NotFound with the kinds that there are."""
        return twin_map.assets_geojson(self.twin, kind)

    def base_map(self) -> Path:
        """The base map's file; made when it is first asked for."""
        return self._base_map.path(self.folder)

    def terrain_tile(self, z: int, x: int, y: int) -> bytes:
        """A terrain tile, terrarium PNG."""
        return terrain_tile(self.twin, z, x, y)


def _trust_of(watched: Sequence[Watched], errors: Sequence[Trust]) -> dict[str, tuple[Trust, ...]]:
    """Of each hazard, the errors of those readings that weigh its futures; raises InputError where readings weigh the futures of none."""
    weighs = {w.pack.hazard: {s.quantity.name for s in senses_of(w.pack, w.pack.models[0])} for w in watched}
    anywhere = set[str]().union(*weighs.values())
    for one in errors:
        if one.readings not in anywhere:
            there = ", ".join(sorted(anywhere)) or "none"
            raise InputError(f"errors: readings of {one.readings!r} weigh no future; those that do: {there}")
    return {hazard: tuple(one for one in errors if one.readings in names) for hazard, names in weighs.items()}
