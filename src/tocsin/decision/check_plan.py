"""Whether a plan could ever be carried out in a place: every fault is found and told with where it is, not only the first."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from functools import cached_property, partial
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import msgspec

from tocsin.decision.progress import allot, in_order, instead_of
from tocsin.pack import Action, Duration, Effect, Model, Pack, Plan, PlanLevel, Verb, facts_for
from tocsin.pack.chain import together
from tocsin.pack.places import places_of
from tocsin.pack.trigger import Claim, Event, FactRef, For, Not, TriggerError, can_hold, faults_of, parse, walk
from tocsin.pack.trigger.tree import And, Or
from tocsin.security.gate import ROLES, enough_for
from tocsin.vocabulary import InputError, World
from tocsin.vocabulary.errors import named

if TYPE_CHECKING:
    from tocsin.decision.chain_graph import Graph

PEOPLE_VERBS = ("move_population", "warn_people", "close_roads", "open_shelter", "shelter_in_place")
PLAN_ACTIONS_MOST, PLAN_LEVELS_MOST, REPEAT_MOST = 1_000, 20, 1_000
AGREEING = tuple(role for role in ROLES if role != "system" and role in enough_for("write planevent"))
MINUTES_MOST = 366 * 1440.0
Path = tuple[str | int, ...]
_Told = Iterator[tuple[Path, str]]


class PlanFault(msgspec.Struct, frozen=True):
    """What is wrong, and where in the plan: ("actions", 2, "when")."""

    path: Path
    message: str

    def words(self, plan: Plan) -> str:
        """The fault with the name of the level or action that it is in."""
        match self.path:
            case ("actions", int(k), *_):
                return f"plan {plan.name}, action {plan.actions[k].name!r}: {self.message}"
            case ("levels", int(k), *_):
                return f"plan {plan.name}, level {plan.levels[k].name!r}: {self.message}"
            case _:
                return f"plan {plan.name}: {self.message}"


def check_plan(plan: Plan, world: World, model: Model, pack: Pack | None = None) -> None:
    """Raise InputError, naming plan, action and every fault, where a plan could never be carried out in this world.

    With a pack, actions may also act on the risk chains that it knows.
    """
    if faults := faults_of_plan(plan, world, model, pack):
        raise InputError("\n".join(fault.words(plan) for fault in faults))


def faults_of_plan(plan: Plan, world: World, model: Model, pack: Pack | None = None) -> tuple[PlanFault, ...]:
    """Everything for which a plan could never be carried out in this world, in the plan's order."""
    chains = _OnChains(world, pack)
    found = [PlanFault(path, message) for path, message in _of_plan(plan)]
    for k, level in enumerate(plan.levels):
        found += [PlanFault(("levels", k, *path), message) for path, message in _of_level(plan, k, level, world)]
    for k, action in enumerate(plan.actions):
        found += [
            PlanFault(("actions", k, *path), message) for path, message in _of_action(plan, k, action, world, model, chains)
        ]
    if not found:
        found += [PlanFault(path, message) for path, message in _of_order(plan)]
    return tuple(found)


def _of_plan(plan: Plan) -> _Told:
    if not plan.actions or len(plan.actions) > PLAN_ACTIONS_MOST:
        yield ("actions",), f"{len(plan.actions)} actions; wanted 1..{PLAN_ACTIONS_MOST}"
    if len(plan.levels) > PLAN_LEVELS_MOST:
        yield ("levels",), f"{len(plan.levels)} levels; wanted at most {PLAN_LEVELS_MOST}"
    yield from _of_authority(plan.authority)
    if bad := [f"{name} = {count}" for name, count in plan.resources.items() if count < 0]:
        yield ("resources",), f"resources {', '.join(bad)}; wanted 0 or more"
    for name, row in plan.substitutes.items():
        for substitute in row:
            if substitute.use not in plan.resources:
                there_are = ", ".join(plan.resources) or "none"
                yield ("substitutes", name), f"{substitute.use!r} stands in for {name}, and nobody has it; there are: {there_are}"
            if not 0 < substitute.rate <= 1_000:
                yield (
                    ("substitutes", name),
                    f"{substitute.rate:g} {substitute.use} for one {name}; wanted more than 0 and at most 1,000",
                )
    try:
        TopologicalSorter({name: [s.use for s in row] for name, row in plan.substitutes.items()}).prepare()
    except CycleError as fault:
        yield ("substitutes",), f"substitutes stand in for each other in a circle: {' -> '.join(fault.args[1])}; leave one out"


def _of_authority(authority: str) -> _Told:
    if authority not in ROLES:
        yield ("authority",), f"authority {authority!r} is no role; there are: {', '.join(ROLES)}"


def _of_level(plan: Plan, k: int, level: PlanLevel, world: World) -> _Told:
    if any(other.name == level.name for other in plan.levels[:k]):
        yield ("name",), f"two levels are named {level.name!r}; give each its own name"
    yield from _of_authority(level.authority)
    if level.authority in ROLES and level.authority not in AGREEING:
        yield ("authority",), f"authority {level.authority!r} may not agree to a level; may: {', '.join(AGREEING)}"
    if not 0 <= level.approval_min <= MINUTES_MOST:
        yield ("approval_min",), f"approval_min {level.approval_min}; wanted 0 or more, and at most a year"
    if level.automatic and not level.enter:
        yield ("automatic",), "is automatic, and has no `enter` that could enter it; say when, or leave `automatic` out"
    enter = yield from _trigger("enter", level.enter, plan, world)
    leave = yield from _trigger("leave", level.leave, plan, world)
    if (
        enter is not None
        and leave is not None
        and _same_facts(enter, leave)
        and can_hold(_now(enter), _now(leave), facts=facts_for(plan.hazard))
    ):
        yield (
            ("leave",),
            f"enter ({level.enter}) and leave ({level.leave}) can hold at the same time, so it would come and go; let leave begin where enter has ended",
        )
    if not any(action.level in (other.name for other in plan.levels if other.level <= level.level) for action in plan.actions):
        yield (), "calls no action; name it in an action's `level`, or leave it out"


def _same_facts(enter: Claim, leave: Claim) -> bool:
    """True where both speak of one fact alone, so that a point where both hold is a point where the level flutters."""

    def keys(claim: Claim) -> set[str]:
        return {node.key for node in walk(claim) if isinstance(node, FactRef)}

    events = [node for claim in (enter, leave) for node in walk(claim) if isinstance(node, Event)]
    return not events and len(keys(enter)) == 1 and keys(enter) == keys(leave)


def _now(claim: Claim) -> Claim:
    """A claim without its `for`: what must hold at the moment, at least."""
    match claim:
        case For():
            return _now(claim.part)
        case Not():
            return Not(_now(claim.part))
        case And() | Or():
            return type(claim)(tuple(_now(part) for part in claim.parts))
        case _:
            return claim


def _trigger(field: str, text: str, plan: Plan, world: World) -> Generator[tuple[Path, str], None, Claim | None]:
    """Tell what is wrong with a trigger; return its tree where it is sound, None where it is not or there is none."""
    if not text:
        return None
    try:
        claim = parse(text)
    except TriggerError as fault:
        yield (field,), f"{field} = {text!r}: {fault}"
        return None
    names = [action.name for action in plan.actions]
    wrong = faults_of(claim, actions=names, place_fault=partial(_place_fault, world), facts=facts_for(plan.hazard))
    for one in wrong:
        yield (field,), f"{field} = {text!r}: column {one.column}: {one.message}"
    if wrong:
        return None
    if not can_hold(claim, facts=facts_for(plan.hazard)):
        yield (field,), f"{field} = {text!r} can never hold; correct one of its conditions"
        return None
    return claim


def _of_action(plan: Plan, k: int, action: Action, world: World, model: Model, chains: _OnChains) -> _Told:
    names = [other.name for other in plan.actions]
    if not action.name:
        yield ("name",), "has no name; give it one"
    if action.name in names[:k]:
        yield ("name",), f"two actions are named {action.name!r}; give each its own name"
    yield from ((("duration",), message) for message in _of_duration(action.duration))
    if not (0 < action.deadline_min <= MINUTES_MOST and 0 <= action.cost < math.inf):
        message = f"deadline_min {action.deadline_min}, cost {action.cost}; wanted a deadline > 0 and a cost of 0 or more"
        yield ("deadline_min" if not 0 < action.deadline_min <= MINUTES_MOST else "cost",), message
    if not 1 <= action.repeat_most <= REPEAT_MOST:
        yield ("repeat_most",), f"repeat_most {action.repeat_most}; wanted 1..{REPEAT_MOST:,}"
    for name in action.after:
        if name not in names:
            yield ("after",), f"waits for {name!r}, which is no action of the plan; there are: {', '.join(names)}"
    if action.otherwise and (action.otherwise not in names or action.otherwise == action.name):
        yield (
            ("otherwise",),
            f"otherwise {action.otherwise!r}, which is no other action of the plan; there are: {', '.join(names)}",
        )
    yield from _of_needs(plan, action)
    when = yield from _trigger("when", action.when, plan, world)
    cancel = yield from _trigger("cancel", action.cancel, plan, world)
    if when is not None and cancel is not None and not can_hold(when, Not(cancel), facts=facts_for(plan.hazard)):
        yield (
            ("cancel",),
            f"cancel ({action.cancel}) holds whenever when ({action.when}) does, so it never starts; correct one of the two",
        )
    yield from _of_its_level(plan, action, when)
    for effect in action.effects:
        yield from ((("effects",), message) for message in _of_effect(effect, world, model, chains))


def _of_duration(d: Duration) -> Iterator[str]:
    given = f"duration {d.low_min}, {d.usual_min}, {d.high_min} min"
    if not (
        all(map(math.isfinite, (d.low_min, d.usual_min, d.high_min)))
        and 0 <= d.low_min <= d.usual_min <= d.high_min <= MINUTES_MOST
    ):
        yield f"{given}; wanted 0 <= low <= usual <= high <= a year"
    elif d.high_min == 0:
        yield f"{given}; wanted high > 0"
    elif d.shape == "lognormal":
        if not d.source.strip():
            yield f"{given}, lognormal: has no source; say where the times were measured, or use a triangle"
        if not d.high_min - d.usual_min > d.usual_min - d.low_min > 0:
            yield f"{given}, lognormal: has no tail to the right; wanted high - usual > usual - low > 0, or a triangle"
        elif d.low_min * d.high_min < d.usual_min**2:
            yield f"{given}, lognormal: could come out below 0; raise low_min or high_min, or use a triangle"


def least_min(d: Duration) -> float:
    """The shortest that a duration can be, min."""
    if d.shape == "triangle":
        return d.low_min
    return (d.low_min * d.high_min - d.usual_min**2) / (d.low_min + d.high_min - 2.0 * d.usual_min)


def _of_needs(plan: Plan, action: Action) -> _Told:
    sound = True
    for name, count in action.needs.items():
        one = msgspec.structs.replace(action, needs={name: count})
        has = plan.resources.get(name, 0)
        stand_in = ", ".join(
            f"{plan.resources.get(s.use, 0)} {s.use} at {s.rate:g} for one" for s in plan.substitutes.get(name, ())
        )
        if count < 1:
            sound = False
            yield ("needs",), f"needs {count} {name}; wanted 1 or more"
        elif allot(plan, one, plan.resources) is None:
            sound = False
            has_too = f" and {stand_in}" if stand_in else ""
            yield ("needs",), f"needs {count} {name}, the plan has {has}{has_too}; add to `resources` or need less"
    if sound and allot(plan, action, plan.resources) is None:
        wanted = ", ".join(f"{count} {name}" for name, count in action.needs.items())
        yield ("needs",), f"needs {wanted} at once, which want the same substitutes; add to `resources` or need less"


def _of_its_level(plan: Plan, action: Action, when: Claim | None) -> _Told:
    level = next((one for one in plan.levels if one.name == action.level), None)
    if action.level and level is None:
        yield ("level",), f"no level {action.level!r}; there are: {', '.join(one.name for one in plan.levels) or 'none'}"
    if action.cancel_on_leave and not action.level:
        yield ("cancel_on_leave",), "has no level that could be left; name its `level`, or leave cancel_on_leave out"
    if level is None or when is None or not level.leave:
        return
    try:
        leave = parse(level.leave)
    except TriggerError:
        return  # told with the level
    if not can_hold(_now(when), Not(_now(leave)), facts=facts_for(plan.hazard)) and all(
        one is level or one.level <= level.level for one in plan.levels
    ):
        yield (
            ("when",),
            f"when ({action.when}) holds only while level {level.name} is being left ({level.leave}); correct one of the two",
        )


def _of_order(plan: Plan) -> _Told:
    """What is wrong with the order of the actions, where each by itself is sound."""
    try:
        order = in_order(plan)
    except InputError as fault:
        yield ("actions",), str(fault).partition(": ")[2]
        return
    number = {action.name: k for k, action in enumerate(plan.actions)}
    stand_ins = {action.otherwise for action in plan.actions}
    soonest: dict[str, float] = {}  # when an action could end at the soonest, min after it is called
    for action in order:
        mine = [
            name for name in action.after if plan.actions[number[name]].level == action.level and action.name not in stand_ins
        ]
        start_min = max((min(soonest[one] for one in instead_of(plan, name)) for name in mine), default=0.0)
        soonest[action.name] = start_min + least_min(action.duration) if action.name not in stand_ins else 0.0
        where = ("actions", number[action.name])
        if start_min > action.deadline_min:
            yield (
                (*where, "deadline_min"),
                f"its deadline of {action.deadline_min:g} min is over before it can start: those before it take {start_min:g} min at least",
            )
        elif action.when and not action.level and action.name not in stand_ins:
            hours = parse(f"hours >= {start_min:.6f} min and hours <= {action.deadline_min:.6f} min")
            if not can_hold(parse(action.when), hours, facts=facts_for(plan.hazard)):
                yield (
                    (*where, "when"),
                    f"when ({action.when}) does not hold between the soonest that it could start ({start_min:g} min) and its deadline ({action.deadline_min:g} min)",
                )


def _place_fault(world: World, sort: str, name: str) -> str:
    there_are = world.zones.name if sort == "zone" else world.waters()
    return "" if name in there_are else f"no {sort} {name!r}; there are: {named(name, there_are)}"


class _OnChains:
    """What effects on risk chains are checked against; the graph is made when the first of them is met, since few plans have any."""

    def __init__(self, world: World, pack: Pack | None) -> None:
        self._world, self._pack = world, pack
        self.verbs = together({pack.hazard: pack.chain}).verbs if pack is not None else frozenset[str]()

    def faults(self, effect: Effect) -> Iterator[str]:
        from tocsin.decision.chains import check_effect

        try:
            check_effect(self._graph, effect)
        except InputError as fault:
            yield str(fault)

    @cached_property
    def _graph(self) -> Graph:
        from tocsin.decision.chain_graph import graph_of

        return graph_of(self._world, [self._pack] if self._pack is not None else [])


def _of_effect(effect: Effect, world: World, model: Model, chains: _OnChains) -> Iterator[str]:
    verb, target = effect.verb, effect.target
    known = (*PEOPLE_VERBS, *sorted(model.acts_on), *sorted(chains.verbs - model.acts_on.keys() - set(PEOPLE_VERBS)))
    if verb not in known:
        yield f"no effect {verb!r}; there are: {', '.join(known)}"
    if verb in chains.verbs:
        yield from chains.faults(effect)
    if not math.isfinite(effect.amount):
        yield f"{verb} {target}: amount {effect.amount}; wanted a number"
    if (verb == "move_population" or (verb in ("warn_people", "shelter_in_place") and target != "all")) and (
        wrong := _place_fault(world, "zone", target)
    ):
        yield wrong
    if verb in ("move_population", "warn_people", "shelter_in_place") and not 0 < effect.amount <= 1:
        yield f"{verb} {target}: amount {effect.amount}; wanted a share, more than 0 and at most 1"
    if verb == "open_shelter":
        shelters = world.assets("shelters")
        if target not in shelters.id:
            yield f"no shelter {target!r}; there are: {named(target, shelters.id)}"
        elif not 0 <= effect.amount <= (room := float(shelters.amount[shelters.id.index(target)])):
            yield f"open_shelter {target}: {effect.amount:g} places, and the twin's shelter has {room:g}; open at most these, or correct the twin"
    if verb in model.acts_on:
        yield from _of_hazard_effect(effect, model.acts_on[verb], world, model)


def _of_hazard_effect(effect: Effect, verb: Verb, world: World, model: Model) -> Iterator[str]:
    """What is wrong with an effect on the hazard: a target that there is not, an amount out of its range, or another crest than the twin's."""
    sorts = tuple(
        s
        for sort in verb.sorts
        for s in (model.drive(sort.removeprefix("drive:")).sorts if sort.startswith("drive:") else (sort,))
    )
    if "all" in sorts and effect.target != "all" and len(sorts) == 1:
        yield f"{effect.verb}: target {effect.target!r}; wanted all"
    elif not ("all" in sorts and effect.target == "all"):
        try:
            places_of(world, tuple(sort for sort in sorts if sort != "all"), effect.target)
        except InputError as fault:
            yield f"{effect.verb}: {fault}"
            return
    if not verb.low <= effect.amount <= verb.high:
        yield f"{effect.verb} {effect.target}: amount {effect.amount:g}; wanted {verb.low:g}..{verb.high:g} {verb.unit}"
    crest_m = world.line(effect.target).crest_m if effect.target in world.lines() and verb.unit == "m" else None
    if crest_m is not None and effect.amount not in (crest_m, Effect("", "").amount):
        yield (
            f"{effect.verb} {effect.target}: amount {effect.amount:g} m, and the twin's line has its crest at {crest_m:g} m; "
            "the twin's counts: leave amount out, or correct the twin"
        )
