"""The interpreter of plans: what follows in a plan from the facts of a moment. Simulation, drill and execution all ask this one.

`step` is the pure core: from where a plan stands and what the facts are, to what happens now. `play` drives it through a simulated future,
where an action takes as long as chance says, and chance belongs to the action and the future, so plans that share an action meet the same
luck with it. `tocsin.flows.execute` drives it through a real emergency, where people report when an action ends.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from tocsin.decision.check_plan import PEOPLE_VERBS, PLAN_ACTIONS_MOST, check_plan, faults_of_plan
from tocsin.decision.progress import Happening, LevelState, Script, State, after, allot, at_first, free_of, in_order, put
from tocsin.pack import Action, Duration, Effect, FactKind, Future, Model, Plan, facts_for
from tocsin.pack.trigger import Claim, Fact, Facts, Judge
from tocsin.science.sampling import keyed_uniform, lognormal, triangle

__all__ = [
    "PEOPLE_VERBS",
    "PLAN_ACTIONS_MOST",
    "Course",
    "Done",
    "check_plan",
    "course_of",
    "duration_s",
    "faults_of_plan",
    "hazard_effects",
    "in_order",
    "people_effects",
    "play",
    "step",
]

ROUND_S = 300.0  # times at which barriers stand are rounded up to 5 min, so that plans with the same barrier share a hazard run
LOOK_S = 300.0  # how often a simulated plan looks at its facts
Numbers = Callable[[str, float], float]


class Done(msgspec.Struct, frozen=True, gc=False):
    """What became of an action: when it first started and last ended, why it failed, or why nobody called for it.

    `not_known` names the facts for want of which it did not start; `held` is what it took the last time.
    """

    action: str
    start_s: float | None
    end_s: float | None
    failed: str = ""
    skipped: str = ""
    times: int = 0
    not_known: str = ""
    held: Mapping[str, int] = {}


class Course(msgspec.Struct, frozen=True, gc=False):
    """How a plan went; times in seconds after the decision. `happenings` is all that happened, in order."""

    done: tuple[Done, ...]
    happenings: tuple[Happening, ...] = ()

    def of(self, name: str) -> Done:
        """What became of one action."""
        return next(d for d in self.done if d.action == name)

    def first_done_s(self, name: str) -> float:
        """When an action that was done was done for the first time."""
        return min(h.time_s for h in self.happenings if h.kind == "done" and h.name == name)

    @property
    def finished_s(self) -> float:
        """When the last action that was carried out ended."""
        return max((d.end_s for d in self.done if d.end_s is not None), default=0.0)


def step(plan: Plan | Script, state: State, facts: Facts | Judge, now_s: float) -> tuple[State, tuple[Happening, ...]]:
    """What happens now: levels are entered and left, actions are cancelled, fail, are skipped or start. Nothing else is decided here.

    That an action ends, and that a person agrees to a level, comes from outside; add it with `progress.after` before. The same state, facts
    and time give the same answer, and the new state is the old one after what happened.
    """
    script = plan if isinstance(plan, Script) else Script(plan)
    judge = facts if isinstance(facts, Judge) else Judge(facts, facts_for(script.plan.hazard))
    now = _Now(script, state, judge, now_s)
    now.levels()
    now.cancels()
    now.actions()
    return now.state, tuple(now.happened)


class _Now:
    """One step while it is being made."""

    def __init__(self, script: Script, state: State, judge: Judge, now_s: float) -> None:
        self._script, self._judge, self._now_s = script, judge, now_s
        self.happened: list[Happening] = []
        self._levels, self._actions = dict(state.levels), dict(state.actions)
        self.state = State(self._levels, self._actions)

    def _say(self, happening: Happening) -> None:
        self.happened.append(happening)
        put(self._script.plan, self._levels, self._actions, happening)

    def _holds(self, claim: Claim | None) -> bool | None:
        return None if claim is None else self._judge.truth(claim, self._now_s, self.state.happened)

    def levels(self) -> None:
        for level in self._script.levels:
            here, enter = self.state.levels[level.name], self._script.enter.get(level.name)
            if here.phase == "in":
                if self._holds(self._script.leave.get(level.name)):
                    self._say(Happening("left", level.name, self._now_s, f"{level.leave}"))
            elif enter is None:
                if here.phase == "out":
                    self._say(Happening("entered", level.name, self._now_s, "by the decision for the plan"))
            elif here.phase in ("proposed", "refused"):
                if self._holds(enter) is False:
                    self._say(Happening("withdrawn", level.name, self._now_s, f"does not hold any more: {level.enter}"))
            elif self._holds(enter):
                kind = "entered" if level.automatic else "proposed"
                self._say(Happening(kind, level.name, self._now_s, f"{level.enter}"))  # type: ignore[arg-type]

    def cancels(self) -> None:
        for action in self._script.order:
            if self.state.actions[action.name].phase != "running":
                continue
            if action.cancel_on_leave and self._script.called_s(self.state, action) is None:
                self._say(Happening("cancelled", action.name, self._now_s, f"level {action.level} was left"))
            elif self._holds(self._script.cancel.get(action.name)):
                self._say(Happening("cancelled", action.name, self._now_s, f"{action.cancel}"))

    def actions(self) -> None:
        free = free_of(self._script.plan, self.state)
        for action in self._script.order:
            if self.state.actions[action.name].phase == "waiting":
                self._action(action, free)

    def _action(self, action: Action, free: dict[str, int]) -> None:
        script, name, now_s = self._script, action.name, self._now_s
        if script.is_unneeded(self.state, action):
            self._say(Happening("skipped", name, now_s, "what it stands in for did not fail"))
            return
        called_s = script.called_s(self.state, action)
        if called_s is None:
            return
        lost = next((other for other in action.after if script.is_lost(self.state, other)), None)
        if lost is not None:
            kind = "skipped" if self.state.actions[lost].phase == "skipped" else "failed"
            self._say(Happening(kind, name, now_s, f"{lost} was not done"))  # type: ignore[arg-type]
            return
        waits_for = [other for other in action.after if not script.is_done(self.state, other)]
        is_late = now_s > called_s + action.deadline_min * 60.0
        taken = allot(script.plan, action, free) if is_late or not waits_for else None
        if is_late and self.state.actions[name].end_s is not None:
            self._say(Happening("skipped", name, now_s, "it was done, and not called for again"))
            return
        if is_late:
            self._say(Happening("failed", name, now_s, self._why_late(action, waits_for, free, taken)))
            return
        if waits_for or taken is None:
            return
        when, cancel = script.when.get(name), script.cancel.get(name)
        holds = True if when is None else self._holds(when)
        if holds is None and when is not None:
            self._not_known(name, when)
        elif holds and not self._holds(cancel):
            for resource, count in taken.items():
                free[resource] -= count
            self._say(Happening("started", name, now_s, "", taken))

    def _not_known(self, name: str, when: Claim) -> None:
        why = f"not known: {', '.join(self._judge.unknowns(when, self._now_s)) or str(when)}"
        if why != self.state.actions[name].not_known:
            self._say(Happening("not known", name, self._now_s, why))

    def _why_late(self, action: Action, waits_for: list[str], free: Mapping[str, int], taken: Mapping[str, int] | None) -> str:
        if waits_for:
            return f"waited for {', '.join(waits_for)} beyond its deadline"
        if taken is None:
            return f"not enough {', '.join(n for n, c in action.needs.items() if free.get(n, 0) < c)} before its deadline"
        when = self._script.when.get(action.name)
        holds = True if when is None else self._holds(when)
        if when is not None and holds is None:
            return f"not known before its deadline: {', '.join(self._judge.unknowns(when, self._now_s)) or str(when)}"
        if when is not None and holds is False:
            return f"condition did not hold before its deadline: {action.when}"
        return "its time was over before anything could start it"


def course_of(plan: Plan, state: State, happenings: tuple[Happening, ...] = ()) -> Course:
    """What became of each action, in the plan's order."""
    held = {h.name: h.held for h in happenings if h.kind == "started"}
    return Course(tuple(_done(action, state, held) for action in plan.actions), happenings)


def _done(action: Action, state: State, held: Mapping[str, Mapping[str, int]]) -> Done:
    here = state.actions[action.name]
    failed = here.why if here.phase == "failed" else f"cancelled: {here.why}" if here.phase == "cancelled" else ""
    skipped = here.why if here.phase == "skipped" and here.end_s is None else ""
    if here.phase == "waiting" and not here.times:
        levels = ", ".join(name for name in [action.level] if name)
        skipped = f"level {levels} was not entered" if levels else "nobody called for it"
    return Done(action.name, here.start_s, here.end_s, failed, skipped, here.times, here.not_known, held.get(action.name, {}))


# -- a simulated future ----------------------------------------------------------------------------------------------------


class _OfNumbers:
    """Facts of a simulated future, which is known at any time: numbers by name, in the facts' own units."""

    def __init__(self, numbers: Numbers, kinds: Mapping[str, FactKind]) -> None:
        self._numbers, self._kinds = numbers, kinds

    def at(self, name: str, place: str, time_s: float) -> Fact | None:
        key = f"{name}@{place}" if place else name
        return Fact(float(self._numbers(key, time_s)), self._kinds[name].unit)


def duration_s(action: Action, future: Future, time: int = 1) -> float:
    """How long an action takes in a future, the first or a later time: a quantile that belongs to action and future."""
    key = ("duration", action.name) if time == 1 else ("duration", action.name, str(time))
    return drawn_min(action.duration, keyed_uniform(future.seed, *key)) * 60.0


def drawn_min(duration: Duration, u: float) -> float:
    """The quantile `u` of a duration, min."""
    draw = lognormal if duration.shape == "lognormal" else triangle
    return float(draw(np.array([u]), duration.low_min, duration.usual_min, duration.high_min)[0])


def play(plan: Plan | Script, future: Future, facts: Facts | Numbers) -> Course:
    """Carry a plan out in one future. Facts that change are looked at every 5 min, and whenever something ends.

    `facts` may be a function (name, time_s) -> number, where every fact is known at any time. Levels that need a person's approval get it
    after their `approval_min`. Levels are judged until the future ends; what was started then goes on to its end.
    """
    script = plan if isinstance(plan, Script) else Script(plan)
    plan = script.plan
    kinds = facts_for(plan.hazard)
    judge = Judge(facts if hasattr(facts, "at") else _OfNumbers(facts, kinds), kinds)
    actions = {action.name: action for action in plan.actions}
    approval_s = {level.name: level.approval_min * 60.0 for level in plan.levels}
    state, told = at_first(plan), list[Happening]()
    coming: list[tuple[float, int, Happening, int]] = []
    now_s, number = 0.0, 0
    while True:
        while coming and coming[0][0] <= now_s:
            _, _, happening, time = heapq.heappop(coming)
            if _may_follow(state, happening, time):
                state = after(plan, state, [happening])
                told.append(happening)
        state, happened = step(script, state, judge, now_s)
        told += happened
        for h in happened:
            number += 1
            if h.kind == "started":
                time = state.actions[h.name].times
                end_s = now_s + duration_s(actions[h.name], future, time)
                heapq.heappush(coming, (end_s, number, Happening("done", h.name, end_s), time))
            elif h.kind == "proposed":
                agreed_s = now_s + approval_s[h.name]
                heapq.heappush(coming, (agreed_s, number, Happening("entered", h.name, agreed_s, "approved"), 0))
        event_s = coming[0][0] if coming else math.inf
        look_s, over_s = _next_looks_s(script, state, now_s, future.duration_s)
        if min(event_s, look_s, over_s) == math.inf or state.is_over:
            return course_of(plan, state, tuple(told))
        if look_s < min(event_s, over_s) and not happened:
            look_s = _first_change_s(script, state, judge, now_s, look_s, min(event_s, over_s))
        now_s = max(now_s, min(event_s, look_s, over_s))


def _may_follow(state: State, h: Happening, time: int) -> bool:
    """False for the end of a start that was cancelled, and for the approval of a level that nobody asks for any more."""
    if h.kind == "entered":
        return state.levels[h.name].phase == "proposed"
    return state.actions[h.name].phase == "running" and state.actions[h.name].times == time


def _next_looks_s(script: Script, state: State, now_s: float, horizon_s: float) -> tuple[float, float]:
    """The next full 5 min while a fact is waited for, and the first one after a deadline or at the end of the future."""
    tick_s = (math.floor(now_s / LOOK_S) + 1) * LOOK_S
    look_s = over_s = math.inf
    if script.levels and now_s < horizon_s and any(_is_open(script, name, here) for name, here in state.levels.items()):
        look_s, over_s = min(tick_s, horizon_s), horizon_s
    for action in script.order:
        here = state.actions[action.name]
        if here.phase == "running" and action.name in script.cancel:
            look_s = min(look_s, tick_s)
        called_s = script.called_s(state, action) if here.phase == "waiting" else None
        if called_s is not None:
            if action.name in script.when or action.name in script.cancel:
                look_s = min(look_s, tick_s)
            late_s = (math.floor((called_s + action.deadline_min * 60.0) / LOOK_S) + 1) * LOOK_S
            over_s = min(over_s, max(tick_s, late_s))
    return look_s, over_s


def _first_change_s(script: Script, state: State, judge: Judge, now_s: float, look_s: float, before_s: float) -> float:
    """The first look at which a trigger is no longer what it is now, or is unknown; `before_s` where there is none before.

    Nothing happened now, and a step depends on nothing but the state, the triggers and the deadlines; so the looks between can be left out.
    """
    watched = _watched(script, state)
    was = [judge.truth(claim, now_s, state.happened) for claim in watched]
    while look_s < before_s:
        for claim, before in zip(watched, was, strict=True):
            if before is None or judge.truth(claim, look_s, state.happened) is not before:
                return look_s
        look_s += LOOK_S
    return before_s


def _watched(script: Script, state: State) -> list[Claim]:
    """Every trigger that could make something happen in a state, each once."""
    claims: dict[int, Claim] = {}
    for name, level in state.levels.items():
        claim = script.leave.get(name) if level.phase == "in" else script.enter.get(name)
        if claim is not None:
            claims[id(claim)] = claim
    for name, action in state.actions.items():
        for claim in (script.when.get(name) if action.phase == "waiting" else None, script.cancel.get(name)):
            if claim is not None and action.phase in ("waiting", "running"):
                claims[id(claim)] = claim
    return list(claims.values())


def _is_open(script: Script, name: str, here: LevelState) -> bool:
    """True where a trigger could change a level."""
    return name in script.leave if here.phase == "in" else name in script.enter


def hazard_effects(plan: Plan, course: Course, model: Model) -> tuple[Effect, ...]:
    """What a plan does to the hazard itself in this future, from when: sorted, and rounded up to 5 min.

    What is done again changes nothing more: it stands from the first time on.
    """
    effects = []
    for action, done in zip(plan.actions, course.done, strict=True):
        mine = [e for e in action.effects if e.verb in model.acts_on]
        if done.end_s is not None and mine:
            first_s = done.end_s if done.times < 2 else course.first_done_s(action.name)
            start_s = float(np.ceil(first_s / ROUND_S) * ROUND_S)
            effects += [Effect(e.verb, e.target, e.amount, start_s) for e in mine]
    return tuple(sorted(effects, key=lambda e: (e.verb, e.target, e.start_s)))


def people_effects(plan: Plan, course: Course) -> tuple[tuple[Effect, float, float, bool], ...]:
    """What a plan does to people and roads in this future: each effect with when its action began and ended, and whether it is gradual."""
    return tuple(
        (effect, done.start_s, done.end_s, action.gradual)
        for action, done in zip(plan.actions, course.done, strict=True)
        if done.start_s is not None and done.end_s is not None and not done.failed
        for effect in action.effects
        if effect.verb in PEOPLE_VERBS
    )
