"""How far a plan is: a state that is nothing but the sum of what has happened, so whoever keeps the happenings can lose the state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Literal

import msgspec

from tocsin.pack import Action, Plan
from tocsin.pack.trigger import parse
from tocsin.vocabulary import InputError

LevelKind = Literal["proposed", "withdrawn", "refused", "entered", "left"]
ActionKind = Literal["started", "done", "failed", "cancelled", "skipped", "not known"]
LEVEL_KINDS: tuple[LevelKind, ...] = ("proposed", "withdrawn", "refused", "entered", "left")


OVER = ("done", "failed", "cancelled", "skipped")


class Happening(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to a level or an action of a plan, in seconds after the decision, and why.

    `held` is what a started action took, substitutes and all. `final` is a person's word: what was cancelled so does not start again.
    """

    kind: LevelKind | ActionKind
    name: str
    time_s: float
    why: str = ""
    held: Mapping[str, int] = {}
    final: bool = False


class LevelState(msgspec.Struct, frozen=True, gc=False):
    """Where a level stands: never entered, waiting for approval, refused, in force, or left; and since when."""

    phase: Literal["out", "proposed", "refused", "in", "left"] = "out"
    since_s: float = 0.0


class ActionState(msgspec.Struct, frozen=True, gc=False):
    """Where an action stands. `start_s` is its first start, `end_s` when it was last done; `times` counts the starts."""

    phase: Literal["waiting", "running", "done", "failed", "cancelled", "skipped"] = "waiting"
    start_s: float | None = None
    end_s: float | None = None
    failed_s: float | None = None
    times: int = 0
    held: Mapping[str, int] = {}
    why: str = ""
    not_known: str = ""


class State(msgspec.Struct, frozen=True, gc=False):
    """Where all levels and actions of a plan stand."""

    levels: Mapping[str, LevelState]
    actions: Mapping[str, ActionState]

    @property
    def is_over(self) -> bool:
        """True where every action has come to its end: nothing can follow."""
        return all(here.phase in OVER for here in self.actions.values())

    def happened(self, kind: str, action: str) -> float | None:
        """Since when an action has been started, done or failed; None where it is not."""
        here = self.actions.get(action)
        if here is None:
            return None
        return {"started": here.start_s, "done": here.end_s, "failed": here.failed_s}[kind]


def at_first(plan: Plan) -> State:
    """Nothing has happened."""
    return State({level.name: LevelState() for level in plan.levels}, {action.name: ActionState() for action in plan.actions})


def after(plan: Plan, state: State, happenings: Iterable[Happening]) -> State:
    """The state after some more has happened. What cannot follow (an end without a start, a name that the plan lacks) changes nothing."""
    levels, actions = dict(state.levels), dict(state.actions)
    for happening in happenings:
        put(plan, levels, actions, happening)
    return State(levels, actions)


def put(plan: Plan, levels: dict[str, LevelState], actions: dict[str, ActionState], h: Happening) -> None:
    """Let one thing happen, in place: for whoever made the two tables."""
    if h.kind in LEVEL_KINDS:
        if h.name in levels:
            levels[h.name] = _level_after(levels[h.name], h)
    elif h.name in actions:
        most = next(action.repeat_most for action in plan.actions if action.name == h.name)
        actions[h.name] = _action_after(actions[h.name], h, most)


def _level_after(before: LevelState, h: Happening) -> LevelState:
    match h.kind:
        case "proposed" if before.phase in ("out", "left"):
            return LevelState("proposed", h.time_s)
        case "withdrawn" if before.phase in ("proposed", "refused"):
            return LevelState("out", h.time_s)
        case "refused" if before.phase == "proposed":
            return LevelState("refused", h.time_s)
        case "entered" if before.phase != "in":
            return LevelState("in", h.time_s)
        case "left" if before.phase == "in":
            return LevelState("left", h.time_s)
        case _:
            return before


def _action_after(before: ActionState, h: Happening, most: int) -> ActionState:
    change = msgspec.structs.replace
    running, over = before.phase == "running", before.phase in OVER
    again: Literal["waiting"] | None = "waiting" if before.times < most else None
    match h.kind:
        case "started" if before.phase == "waiting":
            start_s = h.time_s if before.start_s is None else before.start_s
            return change(
                before, phase="running", start_s=start_s, times=before.times + 1, held=dict(h.held), why="", not_known=""
            )
        case "done" if running:
            return change(before, phase=again or "done", end_s=h.time_s, held={}, why="")
        case "cancelled" if not over:
            return change(before, phase=(again if running and not h.final else None) or "cancelled", held={}, why=h.why)
        case "failed" if not over:
            return change(before, phase="failed", failed_s=h.time_s, held={}, why=h.why)
        case "skipped" if before.phase == "waiting":
            return change(before, phase="skipped", why=h.why)
        case "not known" if before.phase == "waiting":
            return change(before, not_known=h.why)
        case _:
            return before


# -- what follows from a state ----------------------------------------------------------------------------------------------


def free_of(plan: Plan, state: State) -> dict[str, int]:
    """What is not held by a running action."""
    free = dict(plan.resources)
    for here in state.actions.values():
        for name, count in here.held.items():
            free[name] = free.get(name, 0) - count
    return free


def allot(plan: Plan, action: Action, free: Mapping[str, int]) -> dict[str, int] | None:
    """What an action would take of what is free: what it asks for first, then substitutes in their order; None where it is not enough."""
    left = dict(free)
    taken: dict[str, int] = {}
    missing: dict[str, int] = {}
    for name, count in action.needs.items():
        own = min(max(left.get(name, 0), 0), count)
        _take(left, taken, name, own)
        missing[name] = count - own
    for name, count in missing.items():
        for substitute in plan.substitutes.get(name, ()):
            units = min(count, int(max(left.get(substitute.use, 0), 0) / substitute.rate + 1e-9))
            _take(left, taken, substitute.use, math.ceil(units * substitute.rate - 1e-9))
            count -= units
        if count > 0:
            return None
    return taken


def _take(left: dict[str, int], taken: dict[str, int], name: str, count: int) -> None:
    if count:
        left[name] -= count
        taken[name] = taken.get(name, 0) + count


class Script:
    """A plan as it is played: its triggers read, its actions in order, and who stands in for whom; made once, then only read."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.order = plan, in_order(plan)
        self.levels = tuple(sorted(plan.levels, key=lambda level: level.level))
        self.enter = {level.name: parse(level.enter) for level in plan.levels if level.enter}
        self.leave = {level.name: parse(level.leave) for level in plan.levels if level.leave}
        self.when = {action.name: parse(action.when) for action in plan.actions if action.when}
        self.cancel = {action.name: parse(action.cancel) for action in plan.actions if action.cancel}
        self._instead = {action.name: instead_of(plan, action.name) for action in plan.actions}
        self._primaries: dict[str, list[str]] = {}
        for action in plan.actions:
            if action.otherwise:
                self._primaries.setdefault(action.otherwise, []).append(action.name)
        self._callers = {action.name: _callers(plan, action) for action in plan.actions if action.level}

    def called_s(self, state: State, action: Action) -> float | None:
        """Since when an action has been called; None where it is not."""
        since_s = 0.0
        if action.level:
            held = [state.levels[name] for name in self._callers[action.name] if state.levels[name].phase == "in"]
            if not held:
                return None
            since_s = min(here.since_s for here in held)
        if primaries := self._primaries.get(action.name):
            failed = [s for s in (state.actions[name].failed_s for name in primaries) if s is not None]
            if not failed:
                return None
            since_s = max(since_s, min(failed))
        return since_s

    def is_unneeded(self, state: State, action: Action) -> bool:
        """True where it stands in only for actions that ended otherwise than by failing."""
        primaries = self._primaries.get(action.name, [])
        return bool(primaries) and all(state.actions[name].phase in ("done", "cancelled", "skipped") for name in primaries)

    def is_done(self, state: State, name: str) -> bool:
        """True where an action was done, or what stands in for it."""
        return any(state.actions[one].end_s is not None for one in self._instead[name])

    def is_lost(self, state: State, name: str) -> bool:
        """True where an action will not be done any more, nor will what stands in for it."""
        rest = [state.actions[one] for one in self._instead[name]]
        return all(here.phase in ("failed", "cancelled", "skipped") and here.end_s is None for here in rest)


def _callers(plan: Plan, action: Action) -> tuple[str, ...]:
    """The levels that call an action: the one that it names, and all that are worse."""
    for level in plan.levels:
        if level.name == action.level:
            return tuple(other.name for other in plan.levels if other.name == level.name or other.level > level.level)
    names = ", ".join(level.name for level in plan.levels) or "none"
    raise InputError(f"plan {plan.name}, action {action.name!r}: no level {action.level!r}; there are: {names}")


def instead_of(plan: Plan, name: str) -> tuple[str, ...]:
    """An action, what is done where it fails, and so on; a circle ends where it began."""
    otherwise = {action.name: action.otherwise for action in plan.actions}
    chain = [name]
    while (following := otherwise.get(chain[-1], "")) in otherwise and following not in chain:
        chain.append(following)
    return tuple(chain)


def in_order(plan: Plan) -> tuple[Action, ...]:
    """The actions such that each comes after those that it waits for or stands in for; raises InputError where they go in a circle."""
    named = {action.name: action for action in plan.actions}
    before: dict[str, list[str]] = {name: [] for name in named}
    for action in plan.actions:
        before[action.name] += [one for name in action.after for one in instead_of(plan, name)]
        if action.otherwise in named:
            before[action.otherwise].append(action.name)
    try:
        return tuple(named[name] for name in TopologicalSorter(before).static_order() if name in named)
    except CycleError as fault:
        raise InputError(
            f"plan {plan.name}: actions wait for each other in a circle: {' -> '.join(fault.args[1])}; break one link"
        ) from fault
