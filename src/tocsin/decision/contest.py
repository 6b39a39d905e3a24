"""Plans in the race: which plan is tried next in which future, which run of the hazard that needs, and what came of all of them so far.

Where the model has a sketch of itself, all futures are sketched once the first few were run and the choice is not clear by them: the sketches say
which plan is ahead and what to run next, and how the runs are weighed to stand for all. No sketch is in any table, footprint or bound.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.bounds import Leaving, leavings, stays_longer
from tocsin.decision.evacuate import Left
from tocsin.decision.futures import Failure, Foreseen, draw, refuse_too_many
from tocsin.decision.interpret import Course, people_effects, play
from tocsin.decision.outcomes import HARM, Outcomes
from tocsin.decision.progress import Script
from tocsin.decision.trial import FutureFacts, Hit, NeedsRun, Town, hit_of, left_in_danger, outcome
from tocsin.decision.unfold import Unfolded, Unfolding
from tocsin.host import Compute, Fault
from tocsin.pack import Effect, Future, Model, Plan, Scenario, facts_for
from tocsin.science.calibrate import balanced
from tocsin.science.race import Race
from tocsin.science.race_bounds import race_order
from tocsin.science.race_criterion import Criterion
from tocsin.science.race_told import SKETCHES_FROM
from tocsin.vocabulary import Level, Member, TocsinError, World

Floats = NDArray[np.float64]
Effects = tuple[Effect, ...]
Told = Callable[[str, int, int], None]

FIRST = 8  # a power of two, at which Sobol's points are balanced; half of it for each plan that needs hazard runs of its own
FUTURES_BOUNDED = 1_000  # with more, playing every plan in all of them beforehand takes longer than it saves
KEPT_BYTES = (
    256 * 2**20
)  # of runs that plans have changed, for a plan that comes to want the same later; what is not kept is run again
JUDGE_AGAIN = 1.05  # the race looks who is out when so many times as many pairs have been tried


class PlanOut(msgspec.Struct, frozen=True):
    """A plan that left the race, the one that is sure to be better, and in how many futures both were tried by then."""

    plan: str
    beaten_by: str
    after: int


class Sketched(msgspec.Struct, frozen=True):
    """How many futures were sketched and how many of them run in full, and how well the sketch tells the run.

    `correlation` is that of people in danger if nobody left, over those that were both sketched and run; NaN where these are fewer than three or all alike. `weighed`: those that were run are weighed to
    stand for all that were sketched; otherwise they count alike.
    """

    futures: int
    full: int
    correlation: float
    weighed: bool


class _Run(msgspec.Struct, frozen=True):
    """A run of the hazard: in which place of the race's order (None: to see how bad it can get), and with what plans do to it."""

    place: int | None
    future: Future
    effects: Effects = ()
    is_sketch: bool = False


def _play(shared: tuple[World, Model, Model | None, tuple[float, ...]], run: tuple[Future, Sequence[Effect], bool]) -> Member:
    world, model, sketch, frame_s = shared
    future, effects, is_sketch = run
    if is_sketch and sketch is not None:
        return sketch.play(world, future, effects)
    return model.play(world, future, effects, frame_s)


class Contest:
    """All plans on all futures, in the order of the race. `go` works; all else says what has come so far."""

    def __init__(
        self,
        town: Town,
        model: Model,
        asked: Foreseen | Scenario,
        plans: Sequence[Plan],
        compute: Compute,
        *,
        level: Level,
        criterion: Criterion,
        sure: float | None,
        all_hazards: bool,
        frame_s: Sequence[float],
        failed_share_most: float,
        tell: Told,
        sketch: bool = False,
    ) -> None:
        self.town, self.model, self.plans, self._compute, self._level = town, model, tuple(plans), compute, level
        self._racing, self._frame_s, self._failed_share_most, self._tell = sure is not None, frame_s, failed_share_most, tell
        self._scenario = asked if isinstance(asked, Scenario) else None
        if isinstance(asked, Scenario):
            self.futures, self.members, self.failed = draw(model, asked), {}, []
            self._duration_s, seed = asked.duration_s, asked.seed
        else:
            self.futures, self.failed = asked.futures, list(asked.failed)
            self.members = {row: asked.footprint.member(row) for row in range(asked.footprint.members)}
            self._duration_s, seed = asked.footprint.duration_s, 0
        self._scripts = tuple(map(Script, self.plans))  # a plan's triggers are read once
        self._kinds = {name: kind for plan in self.plans for name, kind in facts_for(plan.hazard).items()}
        self._unfolding = Unfolding(town, model, self._kinds, level)
        count = len(self.futures)
        self.total, self.hazard_runs = count + len(self.failed), len(self.members)
        self._row = race_order(count, FIRST, seed)
        self._bounded = bool(self.members)  # with all hazards at hand it is known how bad it can get
        self.race = Race(
            len(plans),
            count,
            most=max(map(self._danger, self.members.values()), default=0.0),
            own=[any(e.verb in model.acts_on for a in plan.actions for e in a.effects) for plan in plans],
            first=FIRST,
            own_first=FIRST // 2,
            criterion=criterion,
            sure=sure or 0.95,
            to_the_end=all_hazards or sure is None,
            apart=self._apart,
        )
        # who drives costs more than the water does, and a sketch would save nothing
        may = sketch and self._racing and self._scenario is not None and town.evacuation is None
        self._sketch = model.sketched(town.world) if may else None
        self._pencil: list[_Run] | None = None  # sketches still to be handed out; None before they begin
        self._drawing = 0  # handed out or waiting
        self._sketch_asked: set[tuple[int, Effects]] = set()
        self._sketch_unfolded: dict[tuple[int, int], Unfolded] = {}
        self._sketch_loss = np.full((len(plans), count), np.nan)
        self._sketch_met: dict[int, float] = {}
        self._leavings: dict[int, tuple[Leaving, ...] | None] = {}
        self._aparts: dict[tuple[int, int], float] = {}
        self._unfolded: dict[
            tuple[int, int], Unfolded
        ] = {}  # of plans that act on the hazard and are not through with it, by place
        self._met: dict[int, float] = {}  # people in danger if nobody left, by place, of the hazards that have come
        self._late: dict[int, list[int]] = {}
        self._wanted: set[tuple[int, int]] = set()  # plan and place that the race asked for
        self._under_way: set[tuple[int, Effects]] = set()
        self._changed: dict[tuple[int, Effects], Member] = {}
        self._changed_asked = 0
        self._ready: list[_Run] = []
        self._bound_asked = False
        self._judged = 0
        self._figures: dict[str, Floats] = {}
        self._by_zone = np.full((len(plans), count, len(town.zones)), np.nan)
        self._by_group = np.full((len(plans), count, town.of_group.shape[1]), np.nan)
        self._gone: dict[tuple[int, int], Course] = {}  # how each plan went in each row

    # -- what has come -------------------------------------------------------------------------------------------------

    @property
    def pairs(self) -> int:
        """How many pairs of plan and future have been tried."""
        return len(self._gone)

    @property
    def ready(self) -> bool:
        """True when each plan has been tried in a few futures."""
        return min(self.race.tried(k) for k in range(len(self.plans))) >= min(FIRST // 2, self.race.futures)

    @property
    def most(self) -> float:
        """How many people a future can put in danger, as far as is known."""
        return self.race.most

    @property
    def over(self) -> bool:
        """True where one plan is left, and the rest of the futures is not asked for."""
        return self._racing and not self.race.to_the_end and len(self.race.alive) == 1 < len(self.plans)

    @property
    def hazards_done(self) -> bool:
        """True when the hazard has been run in every future, or has failed there."""
        return len(self._met) + len(self.race.left_out) >= len(self.futures)

    def gap(self, plan: int) -> float:
        """By how many persons another plan is better at most, as sure as was asked; NaN where nobody can say yet."""
        return self.race.gap(plan) if self._bounded else float("nan")

    @property
    def may_lead(self) -> str | None:
        """The plan that is ahead by what all plans have in common; None where every plan that is still in has been tried in all futures: then its own figures tell."""
        if not self._racing or not self.ready or all(self.race.tried(k) == self.race.futures for k in self.race.alive):
            return None
        return self.plans[self.race.best()].name

    def out(self) -> tuple[PlanOut, ...]:
        """The plans that left the race, in that order."""
        return tuple(PlanOut(self.plans[o.choice].name, self.plans[o.beaten_by].name, o.after) for o in self.race.out.values())

    def table(self) -> tuple[Outcomes, list[int]]:
        """What each plan came to in each future that any was tried in, and which futures these are."""
        rows = sorted({row for _, row in self._gone})
        outcomes = Outcomes(
            plans=self.plans,
            weight=self._weight(rows),
            figures={name: values[:, rows] for name, values in self._figures.items()},
            units=self.town.units,
            zones=self.town.zones,
            by_zone=self._by_zone[:, rows],
            groups=self.town.groups.names,
            by_group=self._by_group[:, rows],
            courses=tuple(tuple(self._gone.get((k, row)) for row in rows) for k in range(len(self.plans))),
        )
        return outcomes, rows

    @property
    def sketched(self) -> Sketched | None:
        """What the sketches were; None where there are none, or not yet all."""
        if self._pencil is None or self._drawing or not self._sketch_met:
            return None
        both = [place for place in self._sketch_met if place in self._met]
        told, ran = (np.array([of[place] for place in both]) for of in (self._sketch_met, self._met))
        alike = len(both) < 3 or np.ptp(told) == 0.0 or np.ptp(ran) == 0.0
        weighed = SKETCHES_FROM <= len(self._met) < len(self._sketch_met) and len(both) == len(self._met)
        correlation = float("nan") if alike else float(np.corrcoef(told, ran)[0, 1])
        return Sketched(len(self._sketch_met), len(self._met), correlation, weighed)

    def _weight(self, rows: Sequence[int]) -> Floats:
        """How likely each of the futures that were run is: alike, or so that by their sketches they stand for all."""
        place_of = {int(row): place for place, row in enumerate(self._row)}
        places = [place_of[row] for row in rows]
        equal = np.full(len(rows), 1.0 / len(rows))
        sketched = self.sketched
        if sketched is None or not sketched.weighed or not set(places) <= self._sketch_met.keys():
            return equal
        every = sorted(self._sketch_met)
        known = [np.array([self._sketch_met[place] for place in every])]
        ahead = self._sketch_loss[self.race.best(), every]
        if np.isfinite(ahead).all():
            known.append(ahead)
        tails = [np.maximum(value - np.quantile(value, 1.0 - self.race.criterion.tail), 0.0) for value in known]
        columns = np.column_stack([*known, *tails])
        return balanced(columns[np.searchsorted(every, places)], columns)

    # -- how far apart plans can be, whatever the hazard does -------------------------------------------------------------

    def _apart(self, one: int, other: int) -> float:
        """The most by which the first plan leaves more in danger than the second in any future, as a share of all who would be if nobody left."""
        if (one, other) not in self._aparts:
            more, less = self._leaving(one), self._leaving(other)
            self._aparts[one, other] = 1.0 if more is None or less is None else stays_longer(more, less)
        return self._aparts[one, other]

    def _leaving(self, plan: int) -> tuple[Leaving, ...] | None:
        """How people leave under a plan in every future; None where that is not known before a run, or is not all that counts."""
        if plan not in self._leavings:
            effects = [effect for action in self.plans[plan].actions for effect in action.effects]
            inside = self.town.harm.indoors is not None and any(effect.verb == "shelter_in_place" for effect in effects)
            told = None
            if not (inside or self.race.own[plan] or self.town.evacuation is not None or len(self.futures) > FUTURES_BOUNDED):
                told = self._leaving_by_course(plan)
            self._leavings[plan] = told
        return self._leavings[plan]

    def _leaving_by_course(self, plan: int) -> tuple[Leaving, ...] | None:
        try:
            courses = [
                play(self._scripts[plan], future, FutureFacts(self._kinds, self.town, self.model, future, None, self._level))
                for future in self.futures
            ]
        except NeedsRun:
            return None
        return leavings(self.plans[plan], courses)

    # -- the work ------------------------------------------------------------------------------------------------------

    def go(self) -> Generator[None, None, None]:
        """Work until nothing is left that could change the choice; gives way after each step."""
        while True:
            for run in self._next():
                if run is not None:
                    self._ready.insert(0, run)
                    break
                yield
                if self.over:
                    return
            if not self._ready:
                return
            handed: list[_Run] = []
            shared = self.town.world, self.model, self._sketch, tuple(self._frame_s)
            with closing(self._compute.each(_play, shared, self._handing(handed))) as runs:
                for number, came in runs:
                    self._heard(handed[number], came)
                    yield
                    if self.over:
                        return

    def _handing(self, handed: list[_Run]) -> Iterator[tuple[Future, Effects, bool]]:
        for run in self._next():
            if run is not None:
                handed.append(run)
                yield run.future, run.effects, run.is_sketch

    def _next(self) -> Iterator[_Run | None]:
        """What is to be run next; None after each step that needed no run."""
        while not self.over:
            if self._ready:
                yield self._ready.pop(0)
                continue
            if (
                self._sketch is not None
                and self._pencil is None
                and self.ready
                and len(self._met) >= min(FIRST, len(self.futures))
            ):
                self._pencil = [_Run(place, self.futures[int(row)], (), True) for place, row in enumerate(self._row)]
                self._drawing = len(self._pencil)
            if self._pencil:
                yield self._pencil.pop(0)
                continue
            if (task := self.race.ask()) is None:
                return
            plan, place = task
            row = int(self._row[place])
            if plan is None:
                if row in self.members:
                    self._meet(place, self.members[row])
                    yield None
                else:
                    yield _Run(place, self.futures[row])
            elif (plan, row) not in self._gone and place not in self.race.left_out:
                if place in self._met:
                    self._ask_own(plan, place)
                else:
                    self._late.setdefault(place, []).append(plan)

    def _ask_own(self, plan: int, place: int) -> None:
        """A plan that acts on the hazard wants it as it leaves it; plans that do the same to it share the run."""
        self._wanted.add((plan, place))
        effects = self._unfolded[plan, place].next_run
        if (place, effects) in self._changed:
            self._meet_changed(place, effects, self._changed[place, effects])
        elif (place, effects) not in self._under_way:
            self._under_way.add((place, effects))
            self._changed_asked += 1
            self._ready.append(_Run(place, self.futures[int(self._row[place])], effects))

    def _heard(self, run: _Run, came: Member | Fault) -> None:
        if run.is_sketch:
            self._heard_sketch(run, came)
            return
        self.hazard_runs += 1
        if run.place is not None:
            self._under_way.discard((run.place, run.effects))
        if isinstance(came, Fault):
            self._heard_failed(run, came.error)
        elif run.place is None:
            self.race.most = max(self.race.most, self._danger(came))
            self._bounded = True
            self._judge()
        elif run.effects:
            self._meet_changed(run.place, run.effects, came)
        else:
            self.members[int(self._row[run.place])] = came
            self._meet(run.place, came)
        if run.effects:
            self._tell("hazard as changed by plans", self.hazard_runs - len(self.members), self._changed_asked)
        else:
            self._tell("simulating futures", len(self.members) + len(self.failed), self.total)

    def _heard_sketch(self, run: _Run, came: Member | Fault) -> None:
        """A sketch is in no table: it says what each plan would come to. One that failed is none, and nothing else."""
        self._drawing -= 1
        if run.place is not None and isinstance(came, Member):
            self._sketch_out(run.place, run, came)
        self._tell("sketching futures", len(self._sketch_met), len(self.futures))
        if not self._drawing and self._sketch_met:
            self.race.tell_sketches(self._sketch_loss)

    def _sketch_out(self, place: int, run: _Run, member: Member) -> None:
        hit = hit_of(self.town, run.future, member, self._duration_s, people_only=True)
        if not run.effects:
            self._sketch_met[place] = hit.most
        self._sketch_asked.discard((place, run.effects))
        for k in self.race.alive:
            try:
                unfolded = self._sketch_unfolds(k, place, run, member)
            except TocsinError:  # this sketch says nothing of the plan; what is sure is told by runs
                self._sketch_unfolded.pop((k, place), None)
                continue
            if unfolded is None:
                continue
            if unfolded.settled and unfolded.wanted == run.effects:
                self._sketch_loss[k, place] = left_in_danger(self.town, hit, self.plans[k], unfolded.course)
                self._sketch_unfolded.pop((k, place), None)
                continue
            self._sketch_unfolded[k, place] = unfolded
            if (place, unfolded.next_run) not in self._sketch_asked and self._pencil is not None:
                self._sketch_asked.add((place, unfolded.next_run))
                self._pencil.append(_Run(place, run.future, unfolded.next_run, True))
                self._drawing += 1

    def _sketch_unfolds(self, plan: int, place: int, run: _Run, member: Member) -> Unfolded | None:
        """How far a sketch brings a plan; None for one that waits for another sketch."""
        if not run.effects:
            return self._unfolding.begin(self._scripts[plan], run.future, member)
        was = self._sketch_unfolded.get((plan, place))
        if was is None or was.next_run != run.effects:
            return None
        return was if was.settled else self._unfolding.go_on(self._scripts[plan], run.future, was, member)

    def _heard_failed(self, run: _Run, error: TocsinError) -> None:
        """A future that cannot be played is told; how bad it can get is then taken from those that can."""
        if run.place is None:
            self._bounded = False
            return
        reason = f"{error}" if not run.effects else f"as changed by {', '.join(sorted({e.verb for e in run.effects}))}: {error}"
        if run.place not in self.race.left_out:
            self.failed.append(Failure(run.future.number, run.future.seed, reason))
        refuse_too_many(self.failed, self.total, error, self._failed_share_most)
        self.race.tell_failed(run.place)
        self._late.pop(run.place, None)

    def _meet(self, place: int, member: Member) -> None:
        """The hazard as it comes, for all plans that are still in the race."""
        row = int(self._row[place])
        future = self.futures[row]
        hit = hit_of(self.town, future, member, self._duration_s)
        self._met[place] = hit.most
        entering: list[tuple[int, Course]] = []
        for k in self.race.alive:
            unfolded = self._unfolding.begin(self._scripts[k], future, member)
            if unfolded.wanted:
                self._unfolded[k, place] = unfolded
            else:
                entering.append((k, unfolded.course))
        self._enter(place, hit, entering)
        for k in self._late.pop(place, []):
            if (k, place) in self._unfolded:
                self._ask_own(k, place)
        if not self._bounded and not self._bound_asked and self._racing and len(self._met) >= min(FIRST, len(self.futures)):
            self._bound_asked = True
            self._ready.insert(0, _Run(None, self._worst_future()))
        self._judge()

    def _meet_changed(self, place: int, effects: Effects, member: Member) -> None:
        """The hazard as some plans leave it: those that it settles are through with this future, the others go on from it."""
        future = self.futures[int(self._row[place])]
        entering: list[tuple[int, Course]] = []
        going_on: list[int] = []
        for k in self.race.alive:
            unfolded = self._unfolded.get((k, place))
            if unfolded is None or unfolded.next_run != effects:
                continue
            if not unfolded.settled:
                try:
                    unfolded = self._unfolding.go_on(self._scripts[k], future, unfolded, member)
                except TocsinError as fault:
                    self._heard_failed(_Run(place, future, effects), fault)
                    return
            if unfolded.settled:
                entering.append((k, unfolded.course))
                del self._unfolded[k, place]
            else:
                self._unfolded[k, place] = unfolded
                going_on.append(k)
        self._keep(place, effects, member)
        if entering:
            self._enter(place, hit_of(self.town, future, member, self._duration_s), entering)
        for k in going_on:
            if (k, place) in self._wanted and place not in self.race.left_out:
                self._ask_own(k, place)
        self._judge()

    def _keep(self, place: int, effects: Effects, member: Member) -> None:
        """Keep a changed run while a plan may still come to want it, the newest ones up to KEPT_BYTES."""
        self._changed.pop((place, effects), None)
        if all(unfolded.settled for (_, at), unfolded in self._unfolded.items() if at == place):
            for key in [key for key in self._changed if key[0] == place]:
                del self._changed[key]
            return
        self._changed[place, effects] = msgspec.structs.replace(member, frames=None, shown={})
        size = {
            key: sum(a.nbytes for a in (m.peak, m.arrival_s, m.end_s, *m.companions.values())) for key, m in self._changed.items()
        }
        while sum(size.values()) > KEPT_BYTES:
            oldest = next(iter(self._changed))
            del self._changed[oldest], size[oldest]

    def _enter(self, place: int, hit: Hit, entering: Sequence[tuple[int, Course]]) -> None:
        """Plans that meet the same hazard, each with the course that it took."""
        row = int(self._row[place])
        for (plan, course), left in zip(entering, self._left(hit, entering), strict=True):
            figures, by_zone, by_group = outcome(self.town, hit, self.plans[plan], course, left)
            for name, value in figures.items():
                if name not in self._figures:
                    self._figures[name] = np.full((len(self.plans), len(self.futures)), np.nan)
                self._figures[name][plan, row] = value
            self._by_zone[plan, row], self._by_group[plan, row], self._gone[plan, row] = by_zone, by_group, course
            if place not in self.race.left_out:
                self.race.tell(plan, place, figures[HARM])

    def _left(self, hit: Hit, entering: Sequence[tuple[int, Course]]) -> list[Left] | list[None]:
        """Who gets away by road under each plan, in as many threads as there are workers; plans that do the same to people share one drive."""
        evacuation = self.town.evacuation
        if evacuation is None:
            return [None] * len(entering)
        done = [people_effects(self.plans[plan], course) for plan, course in entering]
        first = {effects: entering[n] for n, effects in reversed([*enumerate(done)])}

        def drive(pair: tuple[int, Course]) -> Left:
            return evacuation.left_in_time(self.plans[pair[0]], pair[1], hit.footprint, 0)

        driven = dict(zip(first, self._compute.map(drive, list(first.values())), strict=True))
        return [driven[effects] for effects in done]

    def _judge(self) -> None:
        if self._racing and self._bounded and self.ready and self.pairs >= JUDGE_AGAIN * self._judged:
            self._judged = self.pairs
            self.race.judge()

    # -- how bad it can get --------------------------------------------------------------------------------------------

    def _danger(self, member: Member) -> float:
        """People in danger if nobody left."""
        return float(self.town.count @ self.town.harm.share(member.peak[self.town.inhabited]))

    def _worst_future(self) -> Future:
        """Every uncertain knob at the end at which the first futures put more people in danger, with the storm of the worst of them.

        No proof that nothing is worse: each future that is run is held against it, and a worse one moves the bound and opens the race again.
        """
        met = {int(self._row[place]): danger for place, danger in self._met.items()}
        rows = sorted(met)
        danger = np.array([met[row] for row in rows])
        worst = self.futures[max(rows, key=lambda row: met[row])]
        knobs = dict(worst.knobs)
        for name, spread in (self._scenario.knobs if self._scenario is not None else {}).items():
            value = np.array([self.futures[row].knobs[name] for row in rows])
            rises = float(((value - value.mean()) * (danger - danger.mean())).sum()) >= 0.0
            knobs[name] = spread.high if rises else spread.low
        return msgspec.structs.replace(worst, number=len(self.futures), knobs=knobs)
