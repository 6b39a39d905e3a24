"""The centre: the running platform for one twin. What it owns is made in one place and passed in; here it is put to work.

Readings come in through the node. A change of warning level wakes an assessment: the hazard is simulated on many futures, every plan is run
on all of them, and the ranking waits for a person. Everything that happens is a record; the board is folded from the ledger.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.compare import Compared, relimited, sharpen
from tocsin.decision.futures import Foreseen
from tocsin.decision.impact import impact
from tocsin.decision.interpret import Course
from tocsin.decision.limits import Limit, figures_of
from tocsin.decision.observe import going_on, moved_state
from tocsin.decision.score import PlanResult
from tocsin.decision.services import service_names
from tocsin.edge.latest import Latest, Readings
from tocsin.edge.state_update import StateUpdate
from tocsin.edge.status import CollectorStatus, Copy, Source
from tocsin.flows import at_rest
from tocsin.flows.alerts import approved, draft_for, record_of
from tocsin.flows.board import NEXT_STATES, Board
from tocsin.flows.bus import Bus
from tocsin.flows.carry_out import Carrying
from tocsin.flows.decision import check, limits_from
from tocsin.flows.exposure import Exposure
from tocsin.flows.facts_now import FactsNow
from tocsin.flows.following import Followed, Following, assessed, resumed
from tocsin.flows.information import frame_times_s
from tocsin.flows.jobs import Jobs
from tocsin.flows.library import before_the_last_change, library_plans, removed, saved
from tocsin.flows.views import ForecastView, LonLat
from tocsin.flows.words import in_words, ways_words
from tocsin.host import Entry
from tocsin.pack import Model, Pack, Plan, Scenario, find_pack, senses_of
from tocsin.pack.sense import Trust, trusted
from tocsin.platform.exchange import Alert, Status, read_cap
from tocsin.platform.forecasts import StoredForecast, fields_digest, save_forecast
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
    AlertDraft,
    Comparison,
    Conflict,
    Decision,
    Estimate,
    Forecast,
    HardLimits,
    Incident,
    InputError,
    Level,
    Note,
    NotFound,
    Observations,
    Order,
    PlanEvent,
    Quantity,
    Report,
    StateMoved,
    TocsinError,
    Unavailable,
    Warning,
    World,
    record_id,
)

log = logging.getLogger(__name__)

Scenarios = Callable[[World, datetime], Scenario]
FieldsNow = Callable[[datetime], Mapping[str, NDArray[np.float32]]]

PLATFORM = Actor("platform", frozenset({"system"}))
VIEWS_KEPT = 4
VERDICTS = ("approve", "reject")
ASSESS_FROM = Level.YELLOW
FORECASTS = "forecasts"
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


class Progress(msgspec.Struct, frozen=True):
    """What is being computed."""

    task: str
    done: int
    total: int
    message: str = ""


class RankedPlan(msgspec.Struct, frozen=True):
    """One plan in a ranking that is not the last one yet."""

    rank: int
    plan: str
    harm: Estimate
    cvar: float
    reason: str


class Sharpened(msgspec.Struct, frozen=True):
    """A ranking of plans by the futures that have been run so far, `tried` of `futures`."""

    tried: int
    futures: int
    finished: bool
    recommended: str
    reason: str
    doubt: str
    plans: tuple[RankedPlan, ...]


class Centre:
    """One twin, one ledger, one node, and the people who are signed in. Safe to use from several threads."""

    def __init__(
        self,
        *,
        folder: Path,
        host: LocalHost,
        ledger: SqliteLedger,
        twin: Twin,
        pack: Pack,
        latest: Latest,
        users: Users,
        sessions: Sessions,
        scenarios: Scenarios,
        sender: str,
        fields_now: FieldsNow | None = None,
        plans: Sequence[Plan] = (),
        speed: float = 1.0,
        frame_step_s: float = 1800.0,
        errors: Sequence[Trust] = (),
        state_update: StateUpdate | None = None,
    ) -> None:
        self.folder, self.host, self.ledger, self.twin, self.pack, self.latest = folder, host, ledger, twin, pack, latest
        self.users, self.sessions, self.sender, self.speed = users, sessions, sender, speed
        self._scenarios, self._fields_now = scenarios, fields_now
        self._plans, self.frame_step_s = tuple(plans), frame_step_s
        self.state_update = state_update or StateUpdate()
        self._senses = trusted(senses_of(pack, pack.models[0]), errors)
        self.bus, self.board = Bus(), Board(ledger.read())
        self._carrying = Carrying(ledger, PLATFORM, self._facts)
        self.on_entry: list[Callable[[Entry], None]] = []
        self.progress: Progress | None = None
        self.ranking: Sharpened | None = None
        self.harm_by_future: dict[str, dict[str, list[float]]] = {}
        self._courses: dict[str, Mapping[str, Sequence[Course | None]]] = {}
        self._lock, self._assessing, self._deciding = threading.Lock(), threading.Lock(), threading.Lock()
        self.jobs = Jobs(folder / JOBS, host.clock, lambda job: self.bus.tell("job", job))
        self._following = Following(
            ledger,
            PLATFORM,
            latest,
            twin.gauges,
            tuple(twin.waters),
            decided_on=lambda comparison_id: self.board.decision_on(comparison_id) is not None,
            world=twin.world(host.clock.now()),
            on_compared=self._keep_harm,
        )
        self.when_lost: Callable[[Followed], None] | None = (
            None  # who assesses anew when readings leave too little of the futures
        )
        self._views: dict[str, ForecastView] = {}
        self._base_map = BaseMap(twin)
        self._verified: datetime | None = None
        self.receiver: Receiver | None = None
        self.exposure: Exposure | None = None
        self.sources: Callable[[], Sources] = Sources  # how each stream stands; whoever makes the node says how to ask
        self._stopping = threading.Event()
        self._stop_listening = ledger.subscribe(self._heard)

    def stop(self) -> None:
        """Give up the assessment that is running, at its next step; none can begin any more."""
        self._stopping.set()

    def close(self) -> None:
        """Stop what people asked for, and hear no more of the ledger."""
        self.jobs.close()
        self._stop_listening()

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
        self._following.heard()
        self.bus.tell("readings", {"quantity": batch.quantity.name, "count": len(batch)})

    # -- the world -----------------------------------------------------------------------------------------------------

    def world(self, *, with_fields: bool = False) -> World:
        """The twin as it is now, with what the sensors say; with the fields that hold now only if they are asked for: they take a while."""
        now = self.host.clock.now()
        fields = self._fields_now(now) if with_fields and self._fields_now is not None else {}
        return self.twin.world(now, readings=lambda quantity, span_s: self.latest.window(quantity, span_s, now), fields=fields)

    @property
    def gauges(self) -> tuple[Gauge, ...]:
        """The twin's gauges of what is measured here. One twin serves platforms of several hazards, so it may have others too."""
        known = {quantity.name for quantity in (*self.latest.quantities(), *self.pack.observes)}
        return tuple(gauge for gauge in self.twin.gauges if gauge.quantity in known)

    def scenario_now(self, world: World) -> Scenario:
        """The scenario of the moment, from what the sensors say; raises InputError where they say nothing."""
        return self._scenarios(world, world.time)

    def plans(self) -> tuple[Plan, ...]:
        """The plans that were given, or else the pack's own for this twin; and what people have put into the library."""
        return (*(self._plans or self.pack.plans(self.world())), *library_plans(self.board))

    def save_plan(self, actor: Actor, plan: Plan) -> str:
        """Put a plan into the library, in place of one of its name there; from now on it is compared with the others.

        Raises Refused, InputError with every fault where it could never be carried out here, or Conflict where a plan of the pack has its name.
        """
        self.host.gate.permit(actor, "write libraryplan", plan.name)
        world = self.world()
        if plan.name in {own.name for own in (self._plans or self.pack.plans(world))}:
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

    def _fit_plans(self, world: World) -> tuple[Plan, ...]:
        """The plans that can be carried out here; one of the library that cannot any more is left out and noted, once."""
        fit = []
        for plan in self.plans():
            try:
                if plan.name in self.board.library:
                    check(plan, world)
                fit.append(plan)
            except InputError as fault:
                words = f"the library's plan {plan.name!r} is not compared: {fault}"
                if all(note.text != words for note in self.board.notes.values()):
                    self.note(words)
        return tuple(fit)

    # -- sense to warn: alerts -----------------------------------------------------------------------------------------

    def draft_alert(self, warning_id: str, warning: Warning) -> str | None:
        """Draft the CAP message for a change of level; None where the warning may not warn the public or there is nothing to say."""
        gauge = next((g for g in self.gauges if g.site == warning.subject), None)
        earlier = self._message_before(warning)
        if (
            not warning.public
            or gauge is None
            or warning.level == Level.BLIND
            or (warning.level == Level.NONE and earlier is None)
        ):
            return None
        place, ground = self.twin.surroundings(gauge)
        now = self.host.clock.now()
        message = draft_for(warning, warning_id, sender=self.sender, place=place, ground=ground, now=now, earlier=earlier)
        record = record_of(message, time=now, subject=warning.subject, cause=(warning_id,))
        return self.ledger.append(PLATFORM, [record])[0]

    def _message_before(self, warning: Warning) -> Alert | None:
        """The last message about the same rule and site that went out and has not been cancelled; a draft that nobody released is none."""
        for draft in reversed(self.board.alerts.values()):
            if draft.status == "Draft":
                continue
            about = self._warning_of(draft)
            if about is not None and (about.rule, about.subject) == (warning.rule, warning.subject):
                return None if draft.message_type == "Cancel" else read_cap(draft.xml.encode()).alert
        return None

    def _warning_of(self, draft: AlertDraft) -> Warning | None:
        """The warning that a message speaks of: its cause, or that of the draft that it was released from."""
        for cause in draft.cause:
            if cause in self.board.warnings:
                return self.board.warnings[cause]
            if cause in self.board.alerts:
                return self._warning_of(self.board.alerts[cause])
        return None

    # -- simulate and compare ------------------------------------------------------------------------------------------

    def assess(self, cause: Sequence[str], scenario: Scenario | None = None, *, lost: Followed | None = None) -> tuple[str, str]:
        """Simulate the hazard on many futures, run every plan on all of them, and record both; returns the two ids.

        `cause` are the records that asked for it; without a `scenario` it is the one of the moment. `lost` are the futures that readings have left:
        where that is turned on the new ones go on from their state. Raises Conflict while another assessment is running.
        """
        if not self._assessing.acquire(blocking=False):
            raise Conflict("assess: an assessment is running; wait for it")
        try:
            return self._assess(tuple(cause), scenario, lost)
        finally:
            self.progress = self.ranking = None
            self.bus.tell("progress", None)
            self._assessing.release()

    def _assess(self, cause: tuple[str, ...], scenario: Scenario | None, lost: Followed | None) -> tuple[str, str]:
        world = self.world(with_fields=True)
        plans, hour = self._fit_plans(world), local_hour(world, world.time)
        model, moved = self._going_on(world, lost) if scenario is not None and lost is not None else (self.pack.models[0], None)
        scenario = scenario or self._scenarios(world, world.time)
        frame_s = frame_times_s(scenario.duration_s, scenario.members, self.twin.grid.cells, self.frame_step_s)
        level = max((w.level for w in self.board.active_warnings().values()), default=Level.NONE)
        limits = self._limits_in(world)
        forecast_id = ""
        rankings = sharpen(
            world,
            model,
            self.pack.harm,
            scenario,
            plans,
            self.host.compute,
            hour=hour,
            warning_level=level,
            limits=limits,
            all_hazards=True,
            pack=self.pack,
            frame_s=frame_s,
            on_progress=self._tell,
        )
        with closing(rankings):
            for compared in rankings:
                if compared.foreseen is not None and not forecast_id:
                    hit = impact(world, compared.foreseen.footprint, self.pack.harm, hour=hour)
                    forecast_id = self.record_forecast(world, scenario, compared.foreseen, hit.estimates(), cause, moved=moved)
                self._sharpened(compared)
        with self._deciding:  # limits that somebody has set meanwhile hold too
            if (now_limits := self._limits_in(world)) != limits:
                compared = relimited(compared, now_limits)
            return forecast_id, self._record_comparison(compared, forecast_id, world, scenario)

    def _going_on(self, world: World, lost: Followed) -> tuple[Model, StateMoved | None]:
        """The model from the state of the futures that are lost, moved towards gauges on the ground, if that is turned on and tells held-back gauges better.

        Else the model from the start; why it is so is a line in the log.
        """
        model = self.pack.models[0]
        if not self.state_update.on or model.starts_from is None or lost.kept is None or not lost.ground:
            return model, None
        record = self.board.forecasts[lost.forecast_id]
        at_s = (world.time - record.time).total_seconds()
        try:
            stored = StoredForecast(self.folder / record.result)
            frame_s = np.array(stored.meta.frame_s)
            newest = {s.place: s for s in sorted(lost.ground, key=lambda s: s.time_s)}
            first = max(0, int(np.searchsorted(frame_s, min(s.time_s for s in newest.values()), side="right")) - 1)
            last = min(int(np.searchsorted(frame_s, at_s)), frame_s.size - 1)
            frames = np.stack([stored.frame(k) for k in range(first, last + 1)])
            foreseen = msgspec.structs.replace(lost.kept, frames=frames, frame_s=tuple(frame_s[first : last + 1].tolist()))
            moved = moved_state(
                world,
                foreseen,
                tuple(newest.values()),
                self.host.chance("state update"),
                reach_m=self.state_update.reach_m,
                at_s=at_s,
            )
        except TocsinError as fault:
            self.note(f"the state was not moved towards its gauges: {fault}")
            return model, None
        if not moved.is_better:
            said = (
                f"held-back gauges are told worse by it, CRPS {moved.crps_before:.3g} before and {moved.crps_after:.3g} after"
                if moved.held_back
                else f"no gauge is near another one, so nothing shows that it helps; reach_m is {self.state_update.reach_m:g}"
            )
            self.note(f"the state was not moved towards its {moved.gauges} gauges on the ground: {said}")
            return model, None
        states = {f.number: moved.state[k].astype(np.float32) for k, f in enumerate(lost.kept.futures)}
        told = StateMoved(lost.forecast_id, moved.gauges, moved.held_back, moved.crps_before, moved.crps_after, model.makes.unit)
        return going_on(model, states), told

    def _record_comparison(self, compared: Compared, forecast_id: str, world: World, scenario: Scenario) -> str:
        """Say in the ledger what the assessment came to, keep the table that it rests on, and follow it from now on."""
        model, began, subject = self.pack.models[0], world.time, self.twin.manifest.name
        limits_id = next(reversed(self.board.limits), "")
        record = Comparison(
            time=self.host.clock.now(),
            subject=f"{self.pack.hazard} {began:%Y-%m-%d %H:%M}",
            cause=(forecast_id, *([limits_id] if limits_id else [])),
            forecast=forecast_id,
            futures=compared.tried,
            scores=compared.scores,
            recommended=compared.recommended,
            reason=compared.reason,
            doubt=compared.doubt,
            choice=compared.choice,
        )
        new = assessed(forecast_id, record, began, subject, scenario, model, compared, self.gauges, self._senses, self.twin.grid)
        kept = at_rest.rest(
            began=began,
            subject=subject,
            scenario=scenario,
            model=model.name,
            foreseen=new.foreseen,
            ground=[(gauge.site, gauge.quantity) for gauge in new.ground],
            compared=compared,
        )
        at_rest.save(self.folder / self.board.forecasts[forecast_id].result, kept)
        record = msgspec.structs.replace(record, grounds=at_rest.digest_of(kept))
        self._keep_harm(record_id(record), compared)
        comparison_id = self.ledger.append(PLATFORM, [record])[0]
        self._following.begin(msgspec.structs.replace(new, comparison=record, comparison_id=comparison_id))
        return comparison_id

    def resume(self) -> bool:
        """Follow the newest assessment again, as before a restart; False where there is none that still reaches into the future.

        Where it cannot be followed, that and why is a line in the log: assess again.
        """
        found = [(i, c) for i, c in self.board.comparisons.items() if c.grounds is not msgspec.UNSET]
        if not found:
            return False
        comparison_id, first = found[-1]
        forecast = self.board.forecasts[first.forecast]
        if (self.host.clock.now() - forecast.time).total_seconds() >= forecast.duration_s:
            return False
        try:
            rested = at_rest.load(self.folder / forecast.result, str(first.grounds))
            model = next((m for m in self.pack.models if m.name == rested.model), None)
            if model is None:
                raise NotFound(f"pack {self.pack.hazard}: no model {rested.model!r} any more; assess again")
            at = resumed(rested, first.forecast, comparison_id, first, model, self.gauges, self._senses)
            if limits := self._limits_in(self.world()):
                at = msgspec.structs.replace(at, compared=relimited(at.compared, limits))
        except TocsinError as fault:
            self.note(f"the assessment of {first.subject} is not followed any more: {fault}")
            return False
        since = {i: c for i, c in self.board.comparisons.items() if c.forecast == first.forecast}
        said = self.board.verifications.get(first.forecast)
        self._following.resume(at, since, () if said is None else (record_id(said),))
        self._keep_harm(next(reversed(since)), at.compared)
        return True

    # -- hard limits ---------------------------------------------------------------------------------------------------

    def _limits_in(self, world: World) -> tuple[Limit, ...]:
        """The hard limits that hold. One that cannot be told here any more, as of a zone of an older twin, is left out and noted."""
        held: list[Limit] = []
        for text in self.board.hard_limits:
            try:
                held += limits_from([text], world, self.pack.hazard)
            except InputError as fault:
                words = f"a hard limit does not hold: {fault}"
                if all(note.text != words for note in self.board.notes.values()):
                    self.note(words)
        return tuple(held)

    def set_limits(self, actor: Actor, texts: Sequence[str], *, password: str, reason: str = "") -> tuple[str, str]:
        """Set what no plan may break, in place of what was set before, signed with the actor's own key; the present ranking follows without a run.

        Returns the ids of the record and of the new comparison, that one empty where nobody waits for a decision. Raises Refused (also
        where the password is wrong), or InputError where a limit could not be told in this place.
        """
        self.host.gate.permit(actor, "write hardlimits", self.twin.manifest.name)
        if len(texts) > LIMITS_MOST:
            raise InputError(f"limits: {len(texts)}; wanted at most {LIMITS_MOST}")
        limits = limits_from(texts, self.world(), self.pack.hazard)
        with self._deciding:
            before = next(reversed(self.board.limits), "")
            unsigned = HardLimits(
                time=self.host.clock.now(),
                subject=self.twin.manifest.name,
                cause=(before,) if before else (),
                limits=tuple(text.strip() for text in texts),
                reason=reason,
            )
            return self._following.limit(actor, self.users.sign(actor, password, unsigned), limits)

    def undo_limits(self, actor: Actor, *, password: str, reason: str = "undo") -> tuple[str, str]:
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
        figures, zones = figures_of(self.world(), service_names(self.world(), self.pack))
        return {"limits": self.board.hard_limits, "set": rows[:LIMITS_MOST], "figures": figures, "zones": zones}

    def course(self, comparison_id: str, plan: str, future: int | None) -> dict[str, Any]:
        """How a plan went in one future of a comparison: the future that stands in the middle of its harm, where none is named.

        Raises NotFound where that is not known any more: courses are kept of the newest comparisons only.
        """
        courses = self._courses.get(comparison_id, {}).get(plan)
        if courses is None:
            raise NotFound(f"no courses of {plan!r} in {comparison_id!r}; they are kept of the newest {VIEWS_KEPT} comparisons")
        played = [n for n, course in enumerate(courses) if course is not None]
        harm = self.harm_by_future[comparison_id][plan]
        if future is None:
            future = sorted(played, key=lambda n: (harm[n], n))[len(played) // 2]
        course = courses[future] if 0 <= future < len(courses) else None
        if course is None:
            raise NotFound(f"{plan!r} was not tried in future {future}; it was in {len(played)} of {len(courses)}")
        told: dict[str, Any] = msgspec.to_builtins(course)
        return told | {"future": future, "futures": played, "harm": harm[future]}

    def _keep_harm(self, comparison_id: str, compared: Compared) -> None:
        self._courses[comparison_id] = compared.courses
        while len(self._courses) > VIEWS_KEPT:
            del self._courses[next(iter(self._courses))]
        self.harm_by_future[comparison_id] = {
            name: [float(v) for v in values] for name, values in compared.harm_by_future.items()
        }

    def follow(self) -> Followed | None:
        """Let what came since the last look re-weigh the newest assessment; None where nothing did. Call it often: it looks once a minute.

        A new comparison and what was expected beside what came are records; where the futures are lost, `when_lost` is asked to assess anew.
        """
        with self._deciding:  # nobody decides on a ranking that is being replaced
            followed = self._following.step(self.host.clock.now())
        if followed is not None:
            self.bus.tell("reweighed", msgspec.structs.replace(followed, anew=None, ground=(), kept=None))
            if followed.is_lost and self.when_lost is not None and not self._assessing.locked():
                self.when_lost(followed)
        return followed

    def _sharpened(self, compared: Compared) -> None:
        """A ranking has come while the futures are run: told to those who listen, and no record, until it is the last one."""
        if self._stopping.is_set():
            raise Unavailable("assess: the platform stops; assess again when it runs")
        self.ranking = Sharpened(
            compared.tried,
            compared.futures,
            compared.finished,
            compared.recommended,
            compared.reason,
            compared.doubt,
            tuple(RankedPlan(s.rank, s.plan, s.harm, s.cvar, s.reason) for s in compared.scores),
        )
        self.bus.tell("ranking_sharpened", self.ranking)

    def record_forecast(
        self,
        world: World,
        scenario: Scenario,
        foreseen: Foreseen,
        figures: dict[str, Any],
        cause: tuple[str, ...],
        *,
        moved: StateMoved | None = None,
        asked_by: Actor | None = None,
        words: Mapping[str, str] | None = None,
    ) -> str:
        """Save the fields, then say in the ledger where they are, what their digest is, and who asked for it if a person did, in which words."""
        model = self.pack.models[0]
        result = f"{FORECASTS}/{world.time:%Y%m%dT%H%M%S}-{fields_digest(foreseen.footprint)[:12]}"
        stored = save_forecast(
            self.folder / result,
            foreseen.footprint,
            grid=world.grid,
            hazard=self.pack.hazard,
            model=model.name,
            made_up=world.made_up,
            frame_s=foreseen.frame_s,
            frames=foreseen.frames,
        )
        said = {
            name: f"{s.low:g} to {s.high:g}, usually {s.usual:g} {model.knobs[name].unit}"
            for name, s in scenario.knobs.items()
            if s.low < s.high
        }
        said |= {name: f"{s.usual:g}" for name, s in scenario.knobs.items() if s.low == s.high}
        said |= {
            name: f"{series.value.min():g} to {series.value.max():g} at {series.value.size} times"
            for name, series in scenario.series.items()
        }
        said |= ways_words(scenario)
        said |= dict(words or {})
        record = Forecast(
            time=world.time,
            subject=self.twin.manifest.name,
            cause=cause,
            hazard=self.pack.hazard,
            model=model.name,
            source=model.source,
            members=foreseen.footprint.members,
            seed=scenario.seed,
            duration_s=scenario.duration_s,
            scenario=said,
            impact=figures,
            result=result,
            digest=stored.meta.digest,
            moved=msgspec.UNSET if moved is None else moved,
            asked_by=msgspec.UNSET if asked_by is None else asked_by.name,
        )
        return self.host.ledger.append(asked_by or PLATFORM, [record])[0]

    def compared(self, actor: Actor, record: Comparison, compared: Compared) -> str:
        """Write down what a person asked to compare; it is beside the assessment, and no reading moves it."""
        self._keep_harm(record_id(record), compared)
        return self.host.ledger.append(actor, [record])[0]

    def _tell(self, task: str, done: int, total: int) -> None:
        if self._stopping.is_set():
            raise Unavailable("assess: the platform stops; assess again when it runs")
        self.progress = Progress(task, done, total)
        self.bus.tell("progress", self.progress)

    # -- decide --------------------------------------------------------------------------------------------------------

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
        if comparison_id not in self.board.comparisons:
            raise NotFound(f"decision: no comparison {comparison_id!r}")
        compared: Comparison = self.board.comparisons[comparison_id]
        score = next((s for s in compared.scores if s.plan == plan_name), None)
        if score is None:
            raise NotFound(f"decision: {plan_name!r} was not compared; there are: {', '.join(s.plan for s in compared.scores)}")
        plan = next((p for p in self.plans() if p.name == plan_name), None)
        if plan is None or not score.digest == plan_digest == plan.digest():
            raise Conflict(f"decision: {plan_name!r} is no longer the plan that was compared; compare again and decide again")
        must_hold(actor, plan.authority, act=f"decide on {plan_name}", on=compared.subject)
        with self._deciding:
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

    def _facts(self, began: datetime, now: datetime) -> FactsNow:
        return FactsNow(self.latest, self.board, self.gauges, self.pack, tuple(self.twin.waters), began, now)

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
        worst = max((w.level for w in self.board.active_warnings().values()), default=plan.level)
        subject = f"{plan.hazard} {now:%Y-%m-%d}"
        return Incident(time=now, subject=subject, cause=(record_id(decision),), hazard=plan.hazard, state="open", level=worst)

    def note(self, text: str) -> str:
        """Write a line of the platform's own in the log; returns its id."""
        return self.ledger.append(PLATFORM, [Note(time=self.host.clock.now(), subject="platform", text=text)])[0]

    def signature_holds(self, decision: Decision) -> bool:
        """True if the decision is what its signer signed."""
        return signature_holds(decision.public_key, decision.signature, decision.signing_bytes())

    def release_alerts(self, actor: Actor) -> tuple[str, ...]:
        """Release the drafted message of every warning that holds; Actual only if this platform is. Returns the ids of the messages."""
        self.host.gate.permit(actor, "release alert", self.twin.manifest.name)
        with self._deciding:
            drafts = [draft_id for draft_id in self.board.alerts if not self._why_not_released(draft_id)]
            released = [self._released(draft_id) for draft_id in drafts]
            return self.ledger.append(actor, released) if released else ()

    def release_alert(self, actor: Actor, draft_id: str) -> str:
        """Release one drafted message; Actual only if this platform is. Raises NotFound, or Conflict with why it cannot go out."""
        self.host.gate.permit(actor, "release alert", self.twin.manifest.name)
        with self._deciding:
            if draft_id not in self.board.alerts:
                raise NotFound(f"release: no alert {draft_id!r}")
            if why := self._why_not_released(draft_id):
                raise Conflict(f"release: {self.board.alerts[draft_id].headline or draft_id}: {why}")
            return self.ledger.append(actor, [self._released(draft_id)])[0]

    def _why_not_released(self, draft_id: str) -> str:
        """Why a message may not go out; empty where it may."""
        draft = self.board.alerts[draft_id]
        if draft.status != Status.DRAFT.value:
            return f"it is no draft but {draft.status}"
        if any(draft_id in alert.cause for alert in self.board.alerts.values()):
            return "it was released before"
        if not any(cause in self.board.warnings and self.board.is_active(cause) for cause in draft.cause):
            return "the warning that it speaks of does not hold any more; a newer message says so"
        return ""

    def _released(self, draft_id: str) -> AlertDraft:
        draft = self.board.alerts[draft_id]
        message = read_cap(draft.xml.encode()).alert
        if message is None:
            raise InputError(f"release: {draft_id}: the draft cannot be read as CAP")
        warning = next(cause for cause in draft.cause if cause in self.board.warnings and self.board.is_active(cause))
        earlier = self._message_before(self.board.warnings[warning])
        now = self.host.clock.now()
        sent = approved(
            message,
            purpose=self.ledger.purpose,
            now=now,
            follows=(earlier,) if message.references and earlier else (),
            exercise=self.twin.manifest.name,
        )
        return record_of(sent, time=now, subject=draft.subject, cause=(draft_id,))

    def report(self, actor: Actor, order_id: str, *, state: str, text: str) -> str:
        """Say what became of an order; raises Conflict where it is finished or the state cannot follow the one that it has."""
        with self._deciding:
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

    # -- what the interfaces show --------------------------------------------------------------------------------------

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
        now, quantity = self.host.clock.now(), self._quantity(gauge)
        status = self.latest.status(quantity, gauge.site, now)
        seen = self.latest.readings(quantity, gauge.site, 36 * 3600.0, now, limit=points)
        return {
            "site": gauge.site,
            "name": gauge.name,
            "lon": gauge.lon,
            "lat": gauge.lat,
            "quantity": quantity.name,
            "unit": quantity.unit,
            "value": status.value,
            "time": status.time,
            "flag": status.flag,
            "flag_reason": status.reason,
            "age_s": status.age_s if np.isfinite(status.age_s) else None,
            "trend_per_h": status.trend_per_h,
            "level": int(self.board.site_level(gauge.site)),
            "last_level": int(self.board.last_level(gauge.site)),
            "blind": bool(self.board.blind_rules(gauge.site)),
            "limits": {level.word: at for level, at in gauge.limits.at.items()} if gauge.limits else None,
            "sparkline": list(zip(*(column for column in _columns(seen).values()), strict=True)),
        }

    def gauge_series(self, gauge: Gauge, span_s: float) -> dict[str, list[Any]]:
        """A gauge's readings as columns, for a chart."""
        return _columns(self.latest.readings(self._quantity(gauge), gauge.site, span_s, self.host.clock.now()))

    def _quantity(self, gauge: Gauge) -> Quantity:
        found = next((q for q in (*self.latest.quantities(), *self.pack.observes) if q.name == gauge.quantity), None)
        if found is None:
            raise NotFound(f"gauge {gauge.site}: nobody here measures {gauge.quantity!r}")
        return found

    def forecast_view(self, forecast_id: str) -> ForecastView:
        """A forecast as it can be looked at; raises NotFound."""
        with self._lock:
            if forecast_id in self._views:
                return self._views[forecast_id]
        record = self.board.forecasts.get(forecast_id)
        if record is None:
            raise NotFound(f"no forecast {forecast_id!r}; there are {len(self.board.forecasts)}")
        view = ForecastView(
            forecast_id,
            record,
            StoredForecast(self.folder / record.result),
            self.twin.world(record.time),
            self.pack if record.hazard == self.pack.hazard else find_pack(record.hazard),
            self._hour(record.time),
        )
        with self._lock:
            self._views[forecast_id] = view
            while len(self._views) > VIEWS_KEPT:
                del self._views[next(iter(self._views))]
        return view

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

    def _hour(self, time: datetime) -> float:
        return local_hour(self.twin.world(time), time)

    def describe_twin(self) -> dict[str, Any]:
        """The twin as the map wants it."""
        manifest, lonlat = self.twin.manifest, LonLat(self.twin.grid)
        people = self.twin.world(manifest.created).people(3.0)
        zones = self.twin.zones
        return {
            "name": manifest.name,
            "made_up": manifest.made_up,
            "crs": self.twin.grid.crs,
            "rows": self.twin.grid.rows,
            "cols": self.twin.grid.cols,
            "cell_m": self.twin.grid.cell_m,
            "bounds": manifest.extent_lonlat,
            "corners": lonlat.corners(),
            "people_night": manifest.counts.get("people_night", 0.0),
            "people_day": manifest.counts.get("people_day", 0.0),
            "buildings": manifest.counts.get("buildings", 0.0),
            "road_km": manifest.counts.get("road_km", 0.0),
            "waters": [{"name": w.name, "usual_level_m": w.usual_level_m} for w in self.twin.waters.values()],
            "zones": _collection(
                [
                    _shape(self.twin.lonlat(shape), {"name": name, "people": float(people[zones.places(name)].sum())})
                    for name, shape in self.twin.zone_shapes.items()
                ]
            ),
            "lines": _collection(
                [
                    _line(lonlat.of(line.x_m, line.y_m), {"name": line.name, "sort": line.sort})
                    for line in self.twin.lines.values()
                ]
            ),
            "sources": [
                {"what": s.what, "title": s.title or s.file, "licence": s.licence, "attribution": s.attribution}
                for s in manifest.sources
            ],
            "counts": manifest.counts,
            "remarks": manifest.remarks,
            "asset_kinds": self.twin.asset_kinds(),
        }

    def assets_geojson(self, kind: str) -> dict[str, Any]:
        """All assets of a kind as points; raises NotFound with the kinds that there are."""
        if kind not in self.twin.asset_kinds():
            raise NotFound(f"twin: no assets {kind!r}; there are: {', '.join(self.twin.asset_kinds()) or 'none'}")
        assets = self.twin.assets(kind)
        points = LonLat(self.twin.grid).of(assets.x_m, assets.y_m)
        return _collection(
            [
                {
                    "type": "Feature",
                    "properties": {
                        "id": assets.id[k],
                        "name": assets.name[k],
                        "sort": assets.sort[k],
                        "amount": float(assets.amount[k]),
                        "unit": assets.unit,
                    },
                    "geometry": {"type": "Point", "coordinates": points[k]},
                }
                for k in range(len(assets))
            ]
        )

    def base_map(self) -> Path:
        """The base map's file; made when it is first asked for."""
        return self._base_map.path(self.folder)

    def terrain_tile(self, z: int, x: int, y: int) -> bytes:
        """A terrain tile, terrarium PNG."""
        return terrain_tile(self.twin, z, x, y)


def _columns(seen: Readings) -> dict[str, list[Any]]:
    """Readings as lists that JSON can carry: a missing value is null."""
    return {
        "time_ms": [int(t) // 1000 for t in seen.time_us],
        "value": [float(v) if np.isfinite(v) else None for v in seen.value],
        "flag": [int(f) for f in seen.flag],
    }


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}


def _shape(shape: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": shape.__geo_interface__}


def _line(points: list[list[float]], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": "LineString", "coordinates": points}}
