"""The watch over one hazard: its pack put to work on the shared twin. It foresees, compares plans, lets readings re-weigh both, and takes that up after a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

import msgspec

from tocsin.decision.compare import Compared, relimited, sharpen
from tocsin.decision.futures import Foreseen
from tocsin.decision.impact import impact
from tocsin.decision.interpret import Course
from tocsin.decision.limits import Limit
from tocsin.edge.state_update import StateUpdate
from tocsin.flows import at_rest
from tocsin.flows.common import PLATFORM, Common
from tocsin.flows.decision import check, limits_from
from tocsin.flows.facts_now import FactsNow
from tocsin.flows.following import Followed, Following, assessed, resumed
from tocsin.flows.going_on import model_going_on
from tocsin.flows.information import frame_times_s
from tocsin.flows.library import library_plans
from tocsin.flows.told_forecast import forecast_of
from tocsin.pack import Model, Pack, Plan, Scenario, senses_of
from tocsin.pack.sense import Trust, trusted
from tocsin.platform.twin import local_hour
from tocsin.security.actor import Actor
from tocsin.vocabulary import (
    Comparison,
    Conflict,
    Estimate,
    InputError,
    NotFound,
    StateMoved,
    TocsinError,
    Unavailable,
    Warning,
    World,
    record_id,
)

Scenarios = Callable[[World, datetime], Scenario]

COMPARISONS_KEPT = 4


class Watched(msgspec.Struct, frozen=True):
    """One hazard that is to be watched: its pack, the scenario of the moment, and plans to compare instead of the pack's own."""

    pack: Pack
    scenarios: Scenarios
    plans: tuple[Plan, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """What is being computed, and of which hazard."""

    task: str
    done: int
    total: int
    message: str = ""
    hazard: str = ""


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
    hazard: str = ""


class HazardWatch:
    """One hazard on the shared twin. Safe to use from several threads."""

    def __init__(
        self, common: Common, watched: Watched, *, errors: Sequence[Trust] = (), state_update: StateUpdate | None = None
    ) -> None:
        self.common, self.pack = common, watched.pack
        self.hazard, self.model = watched.pack.hazard, watched.pack.models[0]
        self._scenarios, self._plans = watched.scenarios, watched.plans
        self.state_update = state_update or StateUpdate()
        self._senses = trusted(senses_of(self.pack, self.model), errors)
        self.progress: Progress | None = None
        self.ranking: Sharpened | None = None
        self.harm_by_future: dict[str, dict[str, list[float]]] = {}
        self._courses: dict[str, Mapping[str, Sequence[Course | None]]] = {}
        self.following = Following(
            common.ledger,
            PLATFORM,
            common.latest,
            common.twin.gauges,
            tuple(common.twin.waters),
            decided_on=lambda comparison_id: common.board.decision_on(comparison_id) is not None,
            world=common.twin.world(common.host.clock.now()),
            on_compared=self.keep,
        )
        # who assesses anew when readings leave too little of the futures
        self.when_lost: Callable[[HazardWatch, Followed], None] | None = None

    # -- the moment ----------------------------------------------------------------------------------------------------

    def scenario_now(self, world: World) -> Scenario:
        """The scenario of the moment, from what the sensors say; raises InputError where they say nothing."""
        return self._scenarios(world, world.time)

    def standing(self) -> dict[str, Warning]:
        """The warnings that hold and count for this hazard, worst first."""
        return self.common.standing(self.hazard)

    def facts(self, began: datetime, now: datetime) -> FactsNow:
        """What the triggers of this hazard's plans see now."""
        at = self.common
        others = frozenset(at.hazards) - {self.hazard}
        return FactsNow(at.latest, at.board, at.gauges, self.pack, tuple(at.twin.waters), began, now, not_of=others)

    # -- plans ---------------------------------------------------------------------------------------------------------

    def own_plans(self, world: World) -> tuple[Plan, ...]:
        """The plans that were given, or else the pack's own for this twin."""
        return self._plans or self.pack.plans(world)

    def plans(self) -> tuple[Plan, ...]:
        """The plans on the table: the own ones, and what people have put into the library for this hazard."""
        saved = tuple(plan for plan in library_plans(self.common.board) if plan.hazard == self.hazard)
        return (*self.own_plans(self.common.world()), *saved)

    def _fit_plans(self, world: World) -> tuple[Plan, ...]:
        """The plans that can be carried out here; one of the library that cannot any more is left out and noted, once."""
        fit = []
        for plan in self.plans():
            try:
                if plan.name in self.common.board.library:
                    check(plan, world)
                fit.append(plan)
            except InputError as fault:
                self.common.note_once(f"the library's plan {plan.name!r} is not compared: {fault}")
        return tuple(fit)

    # -- simulate and compare ------------------------------------------------------------------------------------------

    def assess(self, cause: Sequence[str], scenario: Scenario | None = None, *, lost: Followed | None = None) -> tuple[str, str]:
        """Simulate the hazard on many futures, run every plan on all of them, and record both; returns the two ids.

        `cause` are the records that asked for it; without a `scenario` it is the one of the moment. `lost` are the futures that readings have left:
        where that is turned on the new ones go on from their state. Raises Conflict while another assessment is running, of whichever hazard.
        """
        if not self.common.assessing.acquire(blocking=False):
            raise Conflict("assess: an assessment is running; wait for it")
        try:
            return self._assess(tuple(cause), scenario, lost)
        finally:
            self.progress = self.ranking = None
            self.common.bus.tell("progress", None)
            self.common.assessing.release()

    def _assess(self, cause: tuple[str, ...], scenario: Scenario | None, lost: Followed | None) -> tuple[str, str]:
        at = self.common
        world = at.world(with_fields=True)
        plans, hour = self._fit_plans(world), local_hour(world, world.time)
        model, moved = self._going_on(world, lost) if scenario is not None and lost is not None else (self.model, None)
        scenario = scenario or self._scenarios(world, world.time)
        limits = self.limits_in(world)
        forecast_id = ""
        rankings = sharpen(
            world,
            model,
            self.pack.harm,
            scenario,
            plans,
            at.host.compute,
            hour=hour,
            warning_level=at.level(self.hazard),
            limits=limits,
            all_hazards=True,
            pack=self.pack,
            frame_s=frame_times_s(scenario.duration_s, scenario.members, at.twin.grid.cells, at.frame_step_s),
            on_progress=self._tell,
        )
        with closing(rankings):
            for compared in rankings:
                if compared.foreseen is not None and not forecast_id:
                    hit = impact(world, compared.foreseen.footprint, self.pack.harm, hour=hour)
                    forecast_id = self.record_forecast(world, scenario, compared.foreseen, hit.estimates(), cause, moved=moved)
                self._sharpened(compared)
        with at.deciding:  # limits that somebody has set meanwhile hold too
            if (now_limits := self.limits_in(world)) != limits:
                compared = relimited(compared, now_limits)
            return forecast_id, self._record_comparison(compared, forecast_id, world, scenario)

    def _going_on(self, world: World, lost: Followed) -> tuple[Model, StateMoved | None]:
        at = self.common
        forecast = at.board.forecasts[lost.forecast_id]
        return model_going_on(
            self.model, world, lost, forecast, folder=at.folder, host=at.host, update=self.state_update, note=at.note
        )

    def _tell(self, task: str, done: int, total: int) -> None:
        self._go_on()
        self.progress = Progress(task, done, total, hazard=self.hazard)
        self.common.bus.tell("progress", self.progress)

    def _sharpened(self, compared: Compared) -> None:
        """A ranking has come while the futures are run: told to those who listen, and no record, until it is the last one."""
        self._go_on()
        self.ranking = Sharpened(
            compared.tried,
            compared.futures,
            compared.finished,
            compared.recommended,
            compared.reason,
            compared.doubt,
            tuple(RankedPlan(s.rank, s.plan, s.harm, s.cvar, s.reason) for s in compared.scores),
            self.hazard,
        )
        self.common.bus.tell("ranking_sharpened", self.ranking)

    def _go_on(self) -> None:
        if self.common.stopping.is_set():
            raise Unavailable("assess: the platform stops; assess again when it runs")

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
        record = forecast_of(self.common, self.hazard, self.model, world, scenario, foreseen, figures, cause, words or {})
        record = msgspec.structs.replace(
            record,
            moved=msgspec.UNSET if moved is None else moved,
            asked_by=msgspec.UNSET if asked_by is None else asked_by.name,
        )
        return self.common.host.ledger.append(asked_by or PLATFORM, [record])[0]

    def _record_comparison(self, compared: Compared, forecast_id: str, world: World, scenario: Scenario) -> str:
        """Say in the ledger what the assessment came to, keep the table that it rests on, and follow it from now on."""
        at, began, subject = self.common, world.time, self.common.twin.manifest.name
        limits_id = next(reversed(at.board.limits), "")
        record = Comparison(
            time=at.host.clock.now(),
            subject=f"{self.hazard} {began:%Y-%m-%d %H:%M}",
            cause=(forecast_id, *([limits_id] if limits_id else [])),
            forecast=forecast_id,
            futures=compared.tried,
            scores=compared.scores,
            recommended=compared.recommended,
            reason=compared.reason,
            doubt=compared.doubt,
            choice=compared.choice,
        )
        new = assessed(forecast_id, record, began, subject, scenario, self.model, compared, at.gauges, self._senses, at.twin.grid)
        kept = at_rest.rest(
            began=began,
            subject=subject,
            scenario=scenario,
            model=self.model.name,
            foreseen=new.foreseen,
            ground=[(gauge.site, gauge.quantity) for gauge in new.ground],
            compared=compared,
        )
        at_rest.save(at.folder / at.board.forecasts[forecast_id].result, kept)
        record = msgspec.structs.replace(record, grounds=at_rest.digest_of(kept))
        self.keep(record_id(record), compared)
        comparison_id = at.ledger.append(PLATFORM, [record])[0]
        self.following.begin(msgspec.structs.replace(new, comparison=record, comparison_id=comparison_id))
        return comparison_id

    # -- follow --------------------------------------------------------------------------------------------------------

    def follow(self) -> Followed | None:
        """Let what came since the last look re-weigh the newest assessment; None where nothing did. Call it often: it looks once a minute.

        A new comparison and what was expected beside what came are records; where the futures are lost, `when_lost` is asked to assess anew.
        """
        with self.common.deciding:  # nobody decides on a ranking that is being replaced
            followed = self.following.step(self.common.host.clock.now())
        if followed is not None:
            self.common.bus.tell("reweighed", msgspec.structs.replace(followed, anew=None, ground=(), kept=None))
            if followed.is_lost and self.when_lost is not None:
                self.when_lost(self, followed)
        return followed

    def resume(self) -> bool:
        """Follow the newest assessment again, as before a restart; False where there is none that still reaches into the future.

        Where it cannot be followed, that and why is a line in the log: assess again.
        """
        at = self.common
        mine = {i: c for i, c in at.board.comparisons.items() if at.board.hazard_of(i) == self.hazard}
        found = [(i, c) for i, c in mine.items() if c.grounds is not msgspec.UNSET]
        if not found:
            return False
        comparison_id, first = found[-1]
        forecast = at.board.forecasts[first.forecast]
        if (at.host.clock.now() - forecast.time).total_seconds() >= forecast.duration_s:
            return False
        try:
            rested = at_rest.load(at.folder / forecast.result, str(first.grounds))
            model = next((m for m in self.pack.models if m.name == rested.model), None)
            if model is None:
                raise NotFound(f"pack {self.hazard}: no model {rested.model!r} any more; assess again")
            taken = resumed(rested, first.forecast, comparison_id, first, model, at.gauges, self._senses)
            if limits := self.limits_in(at.world()):
                taken = msgspec.structs.replace(taken, compared=relimited(taken.compared, limits))
        except TocsinError as fault:
            at.note(f"the assessment of {first.subject} is not followed any more: {fault}")
            return False
        since = {i: c for i, c in mine.items() if c.forecast == first.forecast}
        said = at.board.verifications.get(first.forecast)
        self.following.resume(taken, since, () if said is None else (record_id(said),))
        self.keep(next(reversed(since)), taken.compared)
        return True

    def limits_in(self, world: World) -> tuple[Limit, ...]:
        """The hard limits that hold. One that cannot be told for this hazard here, as of a zone of an older twin, is left out and noted."""
        return self.limits_of(self.common.board.hard_limits, world)

    def limits_of(self, texts: Sequence[str], world: World) -> tuple[Limit, ...]:
        """Limits from their words; those that cannot be told for this hazard here are left out and noted, once."""
        held: list[Limit] = []
        for text in texts:
            try:
                held += limits_from([text], world, self.hazard)
            except InputError as fault:
                of = f" for {self.hazard}" if len(self.common.hazards) > 1 else ""
                self.common.note_once(f"a hard limit does not hold{of}: {fault}")
        return tuple(held)

    # -- what comparisons leave to look at -----------------------------------------------------------------------------

    def keep(self, comparison_id: str, compared: Compared) -> None:
        """Keep the harm of each plan in each future of a comparison, and of the newest ones how each plan went."""
        self._courses[comparison_id] = compared.courses
        while len(self._courses) > COMPARISONS_KEPT:
            del self._courses[next(iter(self._courses))]
        self.harm_by_future[comparison_id] = {
            name: [float(v) for v in values] for name, values in compared.harm_by_future.items()
        }

    def compared(self, actor: Actor, record: Comparison, compared: Compared) -> str:
        """Write down what a person asked to compare; it is beside the assessment, and no reading moves it."""
        self.keep(record_id(record), compared)
        return self.common.host.ledger.append(actor, [record])[0]

    def course(self, comparison_id: str, plan: str, future: int | None) -> dict[str, Any]:
        """How a plan went in one future of a comparison: the future that stands in the middle of its harm, where none is named.

        Raises NotFound where that is not known any more: courses are kept of the newest comparisons only.
        """
        courses = self._courses.get(comparison_id, {}).get(plan)
        if courses is None:
            raise NotFound(
                f"no courses of {plan!r} in {comparison_id!r}; they are kept of the newest {COMPARISONS_KEPT} comparisons"
            )
        played = [n for n, course in enumerate(courses) if course is not None]
        harm = self.harm_by_future[comparison_id][plan]
        if future is None:
            future = sorted(played, key=lambda n: (harm[n], n))[len(played) // 2]
        course = courses[future] if 0 <= future < len(courses) else None
        if course is None:
            raise NotFound(f"{plan!r} was not tried in future {future}; it was in {len(played)} of {len(courses)}")
        told: dict[str, Any] = msgspec.to_builtins(course)
        return told | {"future": future, "futures": played, "harm": harm[future]}
