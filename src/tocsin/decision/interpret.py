"""The interpreter of plans: one plan in one future, action by action, in simulated time.

It is a discrete-event simulation: an action starts when those before it are done, its conditions hold and what it needs is free; it takes as
long as chance says, and chance belongs to the action and the future, so plans that share an action meet the same luck with it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import msgspec
import numpy as np

from tocsin.pack import Action, Condition, Effect, Future, Model, Plan
from tocsin.science.sampling import keyed_uniform, triangle
from tocsin.security.gate import ROLES
from tocsin.vocabulary import InputError, World

ROUND_S = 300.0  # times at which barriers stand are rounded up to 5 min, so that plans with the same barrier share a hazard run
PEOPLE_VERBS = ("move_population", "warn_people", "close_roads", "open_shelter")
FACTS = ("hours", "warning_level", "rain_mm_per_h", "level_m@WATER", "flooded_share@ZONE")
PLAN_ACTIONS_MOST = 1_000
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": float.__lt__,
    "<=": float.__le__,
    ">": float.__gt__,
    ">=": float.__ge__,
}

Facts = Callable[[str, float], float]


class Done(msgspec.Struct, frozen=True):
    """What became of an action: when it started and ended, or why it failed."""

    action: str
    start_s: float | None
    end_s: float | None
    failed: str = ""


class Course(msgspec.Struct, frozen=True):
    """How a plan went in one future; times in seconds after the decision."""

    done: tuple[Done, ...]

    def of(self, name: str) -> Done:
        """What became of one action."""
        return next(d for d in self.done if d.action == name)

    @property
    def finished_s(self) -> float:
        """When the last action that was carried out ended."""
        return max((d.end_s for d in self.done if d.end_s is not None), default=0.0)


def in_order(plan: Plan) -> tuple[Action, ...]:
    """The actions such that each comes after those that it waits for; raises InputError where they wait for each other in a circle."""
    named = {action.name: action for action in plan.actions}
    try:
        order = TopologicalSorter({a.name: a.after for a in plan.actions}).static_order()
        return tuple(named[name] for name in order if name in named)
    except CycleError as fault:
        raise InputError(
            f"plan {plan.name}: actions wait for each other in a circle: {' -> '.join(fault.args[1])}; break one link"
        ) from fault


def duration_s(action: Action, future: Future) -> float:
    """How long an action takes in a future: a triangle at a point that belongs to action and future."""
    u = np.array([keyed_uniform(future.seed, "duration", action.name)])
    d = action.duration
    return float(triangle(u, d.low_min, d.usual_min, d.high_min)[0]) * 60.0


def play(plan: Plan, future: Future, facts: Facts) -> Course:
    """Carry a plan out in one future. `facts(name, time_s)` says what a fact is at a time; a fact that changes is looked at every 5 min."""
    free = dict(plan.resources)
    waiting = list(in_order(plan))
    ended: dict[str, Done] = {}
    running: list[tuple[float, int, Action, float]] = []
    now, number = 0.0, 0
    while waiting or running:
        for action in list(waiting):
            missed = next((name for name in action.after if name in ended and ended[name].failed), None)
            if missed is not None:
                ended[action.name] = Done(action.name, None, None, f"{missed} was not done")
                waiting.remove(action)
            elif now > action.deadline_min * 60.0:
                ended[action.name] = Done(action.name, None, None, _why_late(action, ended, free, facts, now))
                waiting.remove(action)
            elif (
                all(name in ended for name in action.after)
                and _fits(action, free)
                and all(_holds(c, facts, now) for c in action.when)
            ):
                for name, count in action.needs.items():
                    free[name] -= count
                number += 1
                heapq.heappush(running, (now + duration_s(action, future), number, action, now))
                waiting.remove(action)
        look_again = now + ROUND_S if waiting else np.inf
        if running and running[0][0] <= look_again:
            now, _, action, start_s = heapq.heappop(running)
            ended[action.name] = Done(action.name, start_s, now)
            for name, count in action.needs.items():
                free[name] += count
        elif waiting:
            now = look_again
    return Course(tuple(ended[action.name] for action in plan.actions))


def _fits(action: Action, free: Mapping[str, int]) -> bool:
    return all(free.get(name, 0) >= count for name, count in action.needs.items())


def _holds(condition: Condition, facts: Facts, now: float) -> bool:
    return _COMPARE[condition.op](float(facts(condition.fact, now)), float(condition.value))


def _why_late(action: Action, ended: Mapping[str, Done], free: Mapping[str, int], facts: Facts, now: float) -> str:
    if not all(name in ended for name in action.after):
        return f"waited for {', '.join(name for name in action.after if name not in ended)} beyond its deadline"
    if not _fits(action, free):
        return f"not enough {', '.join(n for n, c in action.needs.items() if free.get(n, 0) < c)} before its deadline"
    failed = [f"{c.fact} {c.op} {c.value:g}" for c in action.when if not _holds(c, facts, now)]
    return f"condition did not hold before its deadline: {', '.join(failed) or 'its time was over'}"


def hazard_effects(plan: Plan, course: Course, model: Model) -> tuple[Effect, ...]:
    """What a plan does to the hazard itself in this future, from when: sorted, and rounded up to 5 min."""
    effects = []
    for action, done in zip(plan.actions, course.done, strict=True):
        if done.end_s is not None:
            start_s = float(np.ceil(done.end_s / ROUND_S) * ROUND_S)
            effects += [Effect(e.verb, e.target, e.amount, start_s) for e in action.effects if e.verb in model.acts_on]
    return tuple(sorted(effects, key=lambda e: (e.verb, e.target, e.start_s)))


# -- checks when a plan is loaded ----------------------------------------------------------------------------------------


def check_plan(plan: Plan, world: World, model: Model) -> None:
    """Raise InputError, naming plan and action, where a plan could never be carried out in this world."""
    where = f"plan {plan.name}"
    if not plan.actions or len(plan.actions) > PLAN_ACTIONS_MOST:
        raise InputError(f"{where}: {len(plan.actions)} actions; wanted 1..{PLAN_ACTIONS_MOST}")
    names = [action.name for action in plan.actions]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{where}: two actions are named {twice[0]!r}; give each its own name")
    if plan.authority not in ROLES:
        raise InputError(f"{where}: authority {plan.authority!r} is no role; there are: {', '.join(ROLES)}")
    if bad := [f"{name} = {count}" for name, count in plan.resources.items() if count < 0]:
        raise InputError(f"{where}: resources {', '.join(bad)}; wanted 0 or more")
    for action in plan.actions:
        _check_action(f"{where}, action {action.name!r}", action, plan, names, world, model)
    in_order(plan)
    for action in in_order(plan):
        if _contradicts(action.when):
            raise InputError(f"{where}, action {action.name!r}: its conditions can never hold together; correct one of them")


def _check_action(where: str, action: Action, plan: Plan, names: Sequence[str], world: World, model: Model) -> None:
    d = action.duration
    if not (
        np.isfinite([d.low_min, d.usual_min, d.high_min]).all() and 0 <= d.low_min <= d.usual_min <= d.high_min and d.high_min > 0
    ):
        raise InputError(
            f"{where}: duration {d.low_min}, {d.usual_min}, {d.high_min} min; wanted 0 <= low <= usual <= high, high > 0"
        )
    if not (0 < action.deadline_min <= 366 * 1440.0 and 0 <= action.cost < np.inf):
        raise InputError(
            f"{where}: deadline_min {action.deadline_min}, cost {action.cost}; wanted a deadline > 0 and a cost of 0 or more"
        )
    if strange := [name for name in action.after if name not in names]:
        raise InputError(f"{where}: waits for {strange[0]!r}, which is no action of the plan; there are: {', '.join(names)}")
    for name, count in action.needs.items():
        if count < 1:
            raise InputError(f"{where}: needs {count} {name}; wanted 1 or more")
        if count > plan.resources.get(name, 0):
            raise InputError(
                f"{where}: needs {count} {name}, the plan has {plan.resources.get(name, 0)}; add to `resources` or need less"
            )
    for condition in action.when:
        _check_fact(where, condition, world)
    for effect in action.effects:
        _check_effect(where, effect, world, model)


def _check_fact(where: str, condition: Condition, world: World) -> None:
    kind, _, place = condition.fact.partition("@")
    known = {fact.partition("@")[0]: bool(fact.partition("@")[2]) for fact in FACTS}
    if kind not in known or known[kind] != bool(place):
        raise InputError(f"{where}: no fact {condition.fact!r}; there are: {', '.join(FACTS)}")
    if kind == "flooded_share":
        _zone(where, place, world)
        if (condition.op in ("<", "<=") and condition.value <= 0 and condition.op == "<") or (
            condition.op in (">", ">=") and condition.value > 1
        ):
            raise InputError(f"{where}: {condition.fact} {condition.op} {condition.value:g} never holds: it is a share, 0..1")
    if kind == "level_m" and place not in world.waters():
        raise InputError(f"{where}: no water {place!r}; there are: {', '.join(world.waters()) or 'none'}")
    if not np.isfinite(condition.value):
        raise InputError(f"{where}: {condition.fact} is compared with {condition.value}; wanted a number")


def _zone(where: str, name: str, world: World) -> None:
    if name not in world.zones.name:
        raise InputError(f"{where}: no zone {name!r}; there are: {', '.join(world.zones.name) or 'none'}")


def _check_effect(where: str, effect: Effect, world: World, model: Model) -> None:
    if effect.verb not in (*PEOPLE_VERBS, *model.acts_on):
        raise InputError(f"{where}: no effect {effect.verb!r}; there are: {', '.join((*PEOPLE_VERBS, *sorted(model.acts_on)))}")
    if effect.verb == "move_population":
        _zone(where, effect.target, world)
    if effect.verb == "warn_people" and effect.target != "all":
        _zone(where, effect.target, world)
    if effect.verb in ("move_population", "warn_people") and not 0 < effect.amount <= 1:
        raise InputError(
            f"{where}: {effect.verb} {effect.target}: amount {effect.amount}; wanted a share, more than 0 and at most 1"
        )
    if effect.verb == "open_shelter":
        shelters = world.assets("shelters")
        if effect.target not in shelters.id:
            raise InputError(f"{where}: no shelter {effect.target!r}; there are: {', '.join(shelters.id) or 'none'}")
    if effect.verb in model.acts_on and effect.target not in world.lines():
        raise InputError(f"{where}: {effect.verb}: no line {effect.target!r}; there are: {', '.join(world.lines()) or 'none'}")
    if effect.verb in model.acts_on:
        crest_m = world.line(effect.target).crest_m
        if crest_m is not None and effect.amount not in (crest_m, Effect("", "").amount):
            raise InputError(
                f"{where}: {effect.verb} {effect.target}: amount {effect.amount:g} m, and the twin's line has its crest at {crest_m:g} m; "
                "the twin's counts: leave amount out, or correct the twin"
            )


def _contradicts(conditions: Iterable[Condition]) -> bool:
    """True where two conditions on one fact exclude each other."""
    bounds: dict[str, tuple[float, float]] = {}
    for c in conditions:
        low, high = bounds.get(c.fact, (-np.inf, np.inf))
        low, high = (max(low, c.value), high) if c.op in (">", ">=") else (low, min(high, c.value))
        bounds[c.fact] = (low, high)
        if low > high or (low == high and c.op in ("<", ">")):
            return True
    return False
