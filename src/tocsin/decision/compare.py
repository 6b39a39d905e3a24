"""Compare plans: each is carried out in the same futures, and they are ranked by whom they save, what they cost and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.futures import Foreseen, run_all
from tocsin.decision.groups import Groups, groups_of
from tocsin.decision.impact import SERVICES, Impact, Ways, flooded_km_left_open, impact, in_danger, stuck, way_out_s, ways_of
from tocsin.decision.interpret import Course, Done, check_plan, hazard_effects, play
from tocsin.decision.limits import OUTSIDE, Limit, check_limits_in
from tocsin.decision.outcomes import COST, DAMAGE, FAILED, FINISHED_S, HARM, MOVED, Outcomes
from tocsin.decision.progress import Script
from tocsin.decision.rank import rank
from tocsin.decision.setting import setting_of
from tocsin.host import Compute
from tocsin.pack import Action, Effect, Future, Harm, Model, Plan
from tocsin.vocabulary import Choice, Footprint, InputError, Level, Member, PlanScore, World, stack

Floats = NDArray[np.float64]
UNITS = {
    HARM: "persons",
    FINISHED_S: "s",
    FAILED: "1",
    MOVED: "persons",
    "people_cut_off": "persons",
    "without_shelter": "persons",
    "flooded_road_km_left_open": "km",
}
Told = Callable[[str, int, int], None]

# Of those who are only warned, how many leave by themselves, and how soon: a planning assumption, `unverified`. The share moves every plan that
# warns alike, so it shifts the level of harm and hardly the ranking.
WARNED_LEAVE_SHARE, WARNED_LEAVE_OVER_S = 0.3, 2 * 3600.0


class Compared(msgspec.Struct, frozen=True):
    """The ranking, best first; the harm of each plan in each future; and each plan's course in each future."""

    scores: tuple[PlanScore, ...]
    harm_by_future: Mapping[str, Floats]
    harm_by_zone: Mapping[str, Mapping[str, float]]
    courses: Mapping[str, tuple[Course, ...]]
    hazard_runs: int
    recommended: str
    reason: str
    doubt: str
    choice: Choice | None = None


def compare(
    world: World,
    model: Model,
    harm: Harm,
    foreseen: Foreseen,
    plans: Sequence[Plan],
    compute: Compute,
    *,
    hour: float,
    warning_level: Level = Level.NONE,
    limits: Sequence[Limit] = (),
    on_progress: Told | None = None,
) -> Compared:
    """Carry each plan out in each of the futures that were foreseen, and rank the plans.

    The hazard is run again only for plans that act on it, once for each future and set of effects. Raises InputError where a plan could
    never be carried out, or where two plans have one name.
    """
    if not plans:
        raise InputError("compare: no plan; give one or more")
    names = [plan.name for plan in plans]
    if len(set(names)) != len(names):
        raise InputError(f"compare: plans {', '.join(names)}; wanted each name once")
    check_limits_in(limits, world)
    for plan in plans:
        check_plan(plan, world, model)
        if plan.currency != harm.worth_unit and any(action.cost for action in plan.actions):
            raise InputError(
                f"plan {plan.name}: costs in {plan.currency}, damage is told in {harm.worth_unit}; they are added, so give the costs in {harm.worth_unit}"
            )
    tell = on_progress or (lambda _task, _done, _total: None)
    ways = ways_of(world)
    courses = {
        script.plan.name: tuple(
            play(script, future, _facts(world, foreseen.footprint, future, warning_level, hour)) for future in foreseen.futures
        )
        for script in map(Script, plans)
    }
    footprints, runs = _hazards(world, model, foreseen, plans, courses, compute, tell)
    groups = groups_of(world, hour=hour, ways=ways)
    outcomes = []
    base: list[_Hit] = []  # what the untouched hazard does is the same for all plans that leave it alone
    for number, plan in enumerate(plans):
        footprint = footprints[plan.name]
        if footprint is not foreseen.footprint:
            hit = _hit(world, ways, harm, footprint, hour)
        else:
            base = base or [_hit(world, ways, harm, footprint, hour)]
            hit = base[0]
        outcomes.append(_outcome(world, ways, harm, footprint, hit, plan, courses[plan.name], hour, groups))
        tell("scoring plans", number + 1, len(plans))
    table = _table(world, harm, plans, outcomes, courses, groups)
    setting = setting_of(world, model, foreseen, hour=hour, groups=groups, limits=limits)
    ranking = rank(table, warning_level=warning_level, setting=setting)
    means = table.by_zone.mean(axis=1)
    return Compared(
        ranking.scores,
        {plan.name: table.figures[HARM][k] for k, plan in enumerate(plans)},
        {plan.name: dict(zip(table.zones, map(float, means[k]), strict=True)) for k, plan in enumerate(plans)},
        courses,
        len(foreseen.futures) + runs,
        ranking.recommended,
        ranking.reason,
        ranking.doubt,
        ranking.choice,
    )


def _table(
    world: World,
    harm: Harm,
    plans: Sequence[Plan],
    outcomes: Sequence[tuple[dict[str, Floats], Floats, Floats]],
    courses: Mapping[str, tuple[Course, ...]],
    groups: Groups,
) -> Outcomes:
    count = len(courses[plans[0].name])
    zones = (*world.zones.name, OUTSIDE)
    return Outcomes(
        plans=tuple(plans),
        weight=np.full(count, 1.0 / count),
        figures={name: np.array([figures[name] for figures, _, _ in outcomes]) for name in outcomes[0][0]},
        units={**UNITS, **{f"{kind}_lost": kind for kind in SERVICES}, DAMAGE: harm.worth_unit, COST: harm.worth_unit},
        zones=zones,
        by_zone=np.array([by_zone for _, by_zone, _ in outcomes]),
        groups=groups.names,
        by_group=np.array([by_group for _, _, by_group in outcomes]),
        courses=tuple(courses[plan.name] for plan in plans),
    )


class _Hit(msgspec.Struct, frozen=True):
    """A hazard's impact, and until when there is a way out of each cell in each future."""

    impact: Impact
    until_s: list[Floats]


def _hit(world: World, ways: Ways, harm: Harm, footprint: Footprint, hour: float) -> _Hit:
    until_s = [way_out_s(world, ways, harm, footprint, member) for member in range(footprint.members)]
    return _Hit(impact(world, footprint, harm, hour=hour, ways=ways, until_s=until_s), until_s)


def _facts(world: World, footprint: Footprint, future: Future, level: Level, hour: float) -> Callable[[str, float], float]:
    """What a plan's conditions can ask in one future. Water that a barrier would keep out still counts as coming: caution."""
    people = world.people(hour)
    arrival_s = footprint.arrival_s[future.number]
    zones = {name: world.zones.places(name) for name in world.zones.name}

    def fact(name: str, time_s: float) -> float:
        kind, _, place = name.partition("@")
        match kind:
            case "hours":
                return time_s / 3600.0
            case "warning_level":
                return float(level)
            case "rain_mm_per_h":
                rain = future.series.get("rain")
                if rain is None:
                    return 0.0
                step = int(np.searchsorted(rain.time_s, time_s, side="right")) - 1
                return 0.0 if step < 0 else float(rain.value[step]) * future.knobs.get("rain_factor", 1.0)
            case "level_m":
                series = future.series.get(f"level@{place}")
                if series is not None:
                    return series.at(time_s) + future.knobs.get("level_offset_m", 0.0)
                water = world.water(place)
                return water.usual_level_m - water.gauge_zero_m  # as the series are: above the gauge's zero
            case _:
                here = zones[place]
                count = people[here].sum()
                return float(people[here][arrival_s[here] <= time_s].sum() / count) if count > 0 else 0.0

    return fact


def _hazards(
    world: World,
    model: Model,
    foreseen: Foreseen,
    plans: Sequence[Plan],
    courses: Mapping[str, Sequence[Course]],
    compute: Compute,
    tell: Told,
) -> tuple[dict[str, Footprint], int]:
    """The hazard as each plan leaves it. Runs are shared by all plans that do the same to the hazard in a future."""
    wanted: dict[tuple[int, tuple[Effect, ...]], None] = {}
    needs: dict[str, list[tuple[int, tuple[Effect, ...]]]] = {}
    for plan in plans:
        needs[plan.name] = [
            (future.number, hazard_effects(plan, course, model))
            for future, course in zip(foreseen.futures, courses[plan.name], strict=True)
        ]
        wanted.update(dict.fromkeys(key for key in needs[plan.name] if key[1]))
    keys = list(wanted)
    members = run_all(
        world,
        model,
        [(foreseen.futures[number], effects) for number, effects in keys],
        compute,
        on_done=lambda done, total: tell("hazard as changed by plans", done, total),
    )
    made: dict[tuple[int, tuple[Effect, ...]], Member] = dict(zip(keys, members, strict=True))
    footprints = {}
    for plan in plans:
        if any(effects for _, effects in needs[plan.name]):
            parts = [made[key] if key[1] else foreseen.footprint.member(key[0]) for key in needs[plan.name]]
            footprints[plan.name] = stack(foreseen.footprint.quantity, foreseen.footprint.duration_s, parts)
        else:
            footprints[plan.name] = foreseen.footprint
    return footprints, len(keys)


def _outcome(
    world: World,
    ways: Ways,
    harm: Harm,
    footprint: Footprint,
    hit: _Hit,
    plan: Plan,
    courses: Sequence[Course],
    hour: float,
    groups: Groups,
) -> tuple[dict[str, Floats], Floats, Floats]:
    """Whom and what the hazard hits in each future although the plan was carried out: figures (future,), harm (future, zone), (future, group)."""
    count = footprint.members
    people = world.people(hour)
    zone_of = world.zones.zone_of
    zone_count = len(world.zones.name)
    figures = hit.impact.figures
    by_zone = np.zeros((count, zone_count + 1))
    by_group = np.zeros((count, len(groups.names)))
    moved, cost, finished, failed, unhoused, cut_off = (np.zeros(count) for _ in range(6))
    open_km = figures.get("road_km_cut", np.zeros(count)) + figures.get("road_km_slowed", np.zeros(count))
    inhabited = np.flatnonzero((people > 0) | (groups.people > 0).any(axis=1))
    for member in range(count):
        course = courses[member]
        until_s = np.minimum(hit.until_s[member], footprint.arrival_s[member])
        left = _left(world, plan, course, until_s, inhabited)
        moved[member] = (people[inhabited] * left).sum()
        danger = in_danger(footprint, harm, member)
        stayed = people[inhabited] * (1.0 - left)
        caught = stayed * danger[inhabited]
        cut_off[member] = stayed[stuck(ways, hit.until_s[member], danger)[inhabited]].sum()
        by_zone[member] = np.bincount(zone_of[inhabited] % (zone_count + 1), caught, minlength=zone_count + 1)
        by_group[member] = ((1.0 - left) * danger[inhabited]) @ groups.people[inhabited]
        done = [(a, d) for a, d in zip(plan.actions, course.done, strict=True) if d.end_s is not None]
        cost[member] = sum(a.cost * max(1, d.times) for a, d in done)
        finished[member] = course.finished_s
        failed[member] = float(any(d.failed for d in course.done))
        unhoused[member] = max(0.0, moved[member] - _places(world, done, danger))
        closings = [(d.end_s, e.amount) for a, d in done for e in a.effects if e.verb == "close_roads" and d.end_s is not None]
        if closings:
            closed_s, from_depth = min(closings)
            open_km[member] = flooded_km_left_open(world, ways, harm, footprint, member, closed_s, from_depth)
    found = {
        HARM: by_zone.sum(axis=1),
        DAMAGE: figures.get("damage", np.zeros(count)),
        COST: cost,
        FINISHED_S: finished,
        FAILED: failed,
        MOVED: moved,
        "people_cut_off": cut_off,
        "without_shelter": unhoused,
        "flooded_road_km_left_open": open_km,
    }
    found |= {name: values for name, values in figures.items() if name in {f"{kind}_lost" for kind in SERVICES}}
    return found, by_zone, by_group


def _places(world: World, done: Sequence[tuple[Action, Done]], danger: NDArray[np.bool_]) -> float:
    """The places in the shelters that were opened: each once, and none where the shelter itself is in danger."""
    shelters = world.assets("shelters")
    stands = dict(zip(shelters.id, shelters.place.tolist(), strict=True))
    opened: dict[str, float] = {}
    for action, _ in done:
        for effect in action.effects:
            if effect.verb == "open_shelter" and not (stands[effect.target] >= 0 and danger[stands[effect.target]]):
                opened[effect.target] = max(opened.get(effect.target, 0.0), effect.amount)
    return sum(opened.values())


def _left(world: World, plan: Plan, course: Course, until_s: Floats, inhabited: NDArray[np.int64]) -> Floats:
    """The share of each inhabited cell's people who have left by the time when they no longer could, (inhabited,)."""
    zone = world.zones.zone_of[inhabited]
    until = until_s[inhabited]
    stay = np.ones(inhabited.size)
    for action, done in zip(plan.actions, course.done, strict=True):
        if done.start_s is None or done.end_s is None:
            continue
        for effect in action.effects:
            if effect.verb == "move_population":
                mine = zone == world.zones.name.index(effect.target)
                first_s = done.start_s if action.gradual else done.end_s
                share = effect.amount * _ramp(until[mine], first_s, done.end_s)
            elif effect.verb == "warn_people":
                mine = np.ones(zone.size, bool) if effect.target == "all" else zone == world.zones.name.index(effect.target)
                share = effect.amount * WARNED_LEAVE_SHARE * _ramp(until[mine], done.end_s, done.end_s + WARNED_LEAVE_OVER_S)
            else:
                continue
            stay[mine] *= 1.0 - share
    return 1.0 - stay


def _ramp(at: Floats, start: float, end: float) -> Floats:
    """0 before `start`, 1 from `end` on, linear between; a step where both are one."""
    if end <= start:
        return (at >= end).astype(np.float64)
    return np.clip((at - start) / (end - start), 0.0, 1.0)
