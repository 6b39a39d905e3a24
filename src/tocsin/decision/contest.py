"""Plans in the race: which plan is tried next in which future, which run of the hazard that needs, and what came of all of them so far."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.evacuate import Left
from tocsin.decision.futures import Failure, Foreseen, draw, play_each, refuse_too_many
from tocsin.decision.interpret import Course, hazard_effects, people_effects, play
from tocsin.decision.outcomes import HARM, Outcomes
from tocsin.decision.progress import Script
from tocsin.decision.trial import FutureFacts, Hit, Town, hit_of, outcome
from tocsin.host import Compute, Fault
from tocsin.pack import Effect, Future, Model, Plan, Scenario, facts_for
from tocsin.science.race import Criterion, Race, race_order
from tocsin.vocabulary import Level, Member, TocsinError

Floats = NDArray[np.float64]
Effects = tuple[Effect, ...]
Told = Callable[[str, int, int], None]

FIRST = 8  # a power of two, at which Sobol's points are balanced; half of it for each plan that needs hazard runs of its own
JUDGE_AGAIN = 1.05  # the race looks who is out when so many times as many pairs have been tried


class PlanOut(msgspec.Struct, frozen=True):
    """A plan that left the race, the one that is sure to be better, and in how many futures both were tried by then."""

    plan: str
    beaten_by: str
    after: int


class _Run(msgspec.Struct, frozen=True):
    """A run of the hazard: in which place of the race's order (None: to see how bad it can get), and with what plans do to it."""

    place: int | None
    future: Future
    effects: Effects = ()


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
        )
        self._courses: dict[tuple[int, int], tuple[Course, Effects]] = {}
        self._met: dict[int, float] = {}  # people in danger if nobody left, by place, of the hazards that have come
        self._late: dict[int, list[int]] = {}
        self._asked_for: set[tuple[int, Effects]] = set()
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

    def out(self) -> tuple[PlanOut, ...]:
        """The plans that left the race, in that order."""
        return tuple(PlanOut(self.plans[o.choice].name, self.plans[o.beaten_by].name, o.after) for o in self.race.out.values())

    def table(self) -> tuple[Outcomes, list[int]]:
        """What each plan came to in each future that any was tried in, and which futures these are."""
        rows = sorted({row for _, row in self._gone})
        outcomes = Outcomes(
            plans=self.plans,
            weight=np.full(len(rows), 1.0 / len(rows)),
            figures={name: values[:, rows] for name, values in self._figures.items()},
            units=self.town.units,
            zones=self.town.zones,
            by_zone=self._by_zone[:, rows],
            groups=self.town.groups.names,
            by_group=self._by_group[:, rows],
            courses=tuple(tuple(self._gone.get((k, row)) for row in rows) for k in range(len(self.plans))),
        )
        return outcomes, rows

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
            with closing(
                play_each(self.town.world, self.model, self._handing(handed), self._compute, frame_s=self._frame_s)
            ) as runs:
                for number, came in runs:
                    self._heard(handed[number], came)
                    yield
                    if self.over:
                        return

    def _handing(self, handed: list[_Run]) -> Iterator[tuple[Future, Effects]]:
        for run in self._next():
            if run is not None:
                handed.append(run)
                yield run.future, run.effects

    def _next(self) -> Iterator[_Run | None]:
        """What is to be run next; None after each step that needed no run."""
        while not self.over:
            if self._ready:
                yield self._ready.pop(0)
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
        effects = self._courses[plan, place][1]
        if (place, effects) not in self._asked_for:
            self._asked_for.add((place, effects))
            self._ready.append(_Run(place, self.futures[int(self._row[place])], effects))

    def _heard(self, run: _Run, came: Member | Fault) -> None:
        self.hazard_runs += 1
        if isinstance(came, Fault):
            self._heard_failed(run, came.error)
        elif run.place is None:
            self.race.most = max(self.race.most, self._danger(came))
            self._bounded = True
        elif run.effects:
            self._meet_changed(run.place, run.effects, came)
        else:
            self.members[int(self._row[run.place])] = came
            self._meet(run.place, came)
        if run.effects:
            self._tell("hazard as changed by plans", self.hazard_runs - len(self.members), len(self._asked_for))
        else:
            self._tell("simulating futures", len(self.members) + len(self.failed), self.total)

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
        facts = FutureFacts(self._kinds, self.town, self.model, future, member, self._level)
        for k in self.race.alive:
            course = play(self._scripts[k], future, facts)
            effects = hazard_effects(self.plans[k], course, self.model)
            if effects:
                self._courses[k, place] = course, effects
            else:
                entering.append((k, course))
        self._enter(place, hit, entering)
        for k in self._late.pop(place, []):
            if (k, place) in self._courses:
                self._ask_own(k, place)
        if not self._bounded and not self._bound_asked and self._racing and len(self._met) >= min(FIRST, len(self.futures)):
            self._bound_asked = True
            self._ready.insert(0, _Run(None, self._worst_future()))
        self._judge()

    def _meet_changed(self, place: int, effects: Effects, member: Member) -> None:
        """The hazard as some plans leave it."""
        hit = hit_of(self.town, self.futures[int(self._row[place])], member, self._duration_s)
        mine = [(k, self._courses[k, place]) for k in self.race.alive if (k, place) in self._courses]
        self._enter(place, hit, [(k, course) for k, (course, its) in mine if its == effects])
        self._judge()

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
