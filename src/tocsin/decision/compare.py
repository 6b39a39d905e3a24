"""Compare plans: each is carried out in the same futures, scored by whom it saves, what it costs and how sure that is, and ranked with reasons.

Life comes first, property after: the order of incident priorities in the Incident Command System (life safety, incident stabilization,
property preservation; FEMA, IS-100/IS-200). Plans are ranked by people in danger, half by the mean and half by the worst tail of the
futures; only plans that are alike in that to a person are told apart by damage and cost, which are added and so have one currency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.futures import Foreseen, run_all
from tocsin.decision.impact import Impact, Ways, estimate, flooded_km_left_open, impact, in_danger, stuck, way_out_s, ways_of
from tocsin.decision.interpret import Course, Done, check_plan, hazard_effects, play
from tocsin.host import Compute
from tocsin.pack import Action, Effect, Future, Harm, Model, Plan
from tocsin.science.risk import cvar, margin, regret
from tocsin.vocabulary import Footprint, InputError, Level, Member, PlanScore, World, stack

Floats = NDArray[np.float64]
Told = Callable[[str, int, int], None]

TAIL = 0.1
MEAN_WEIGHT = 0.5
ALIKE = 0.5  # persons: plans that differ by less are told apart by damage and cost
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


class _Outcome(msgspec.Struct, frozen=True):
    """What one plan came to, by future."""

    plan: Plan
    harm: Floats
    by_zone: Floats
    damage: Floats
    cost: Floats
    finished_s: Floats
    failed: Floats
    moved: Floats
    cut_off: Floats
    road_km_open_and_flooded: Floats
    without_shelter: Floats
    courses: tuple[Course, ...]


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
    for plan in plans:
        check_plan(plan, world, model)
        if plan.currency != harm.worth_unit and any(action.cost for action in plan.actions):
            raise InputError(
                f"plan {plan.name}: costs in {plan.currency}, damage is told in {harm.worth_unit}; they are added, so give the costs in {harm.worth_unit}"
            )
    tell = on_progress or (lambda _task, _done, _total: None)
    ways = ways_of(world)
    courses = {
        plan.name: tuple(
            play(plan, future, _facts(world, foreseen.footprint, future, warning_level, hour)) for future in foreseen.futures
        )
        for plan in plans
    }
    footprints, runs = _hazards(world, model, foreseen, plans, courses, compute, tell)
    outcomes = []
    base: list[_Hit] = []  # what the untouched hazard does is the same for all plans that leave it alone
    for number, plan in enumerate(plans):
        footprint = footprints[plan.name]
        if footprint is not foreseen.footprint:
            hit = _hit(world, ways, harm, footprint, hour)
        else:
            base = base or [_hit(world, ways, harm, footprint, hour)]
            hit = base[0]
        outcomes.append(_outcome(world, ways, harm, footprint, hit, plan, courses[plan.name], hour))
        tell("scoring plans", number + 1, len(plans))
    return _ranked(world, outcomes, foreseen, harm, courses, runs, warning_level)


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
    world: World, ways: Ways, harm: Harm, footprint: Footprint, hit: _Hit, plan: Plan, courses: Sequence[Course], hour: float
) -> _Outcome:
    """Whom and what the hazard hits in each future although the plan was carried out."""
    count = footprint.members
    people = world.people(hour)
    zone_of = world.zones.zone_of
    zone_count = len(world.zones.name)
    figures = hit.impact.figures
    by_zone = np.zeros((count, zone_count + 1))
    moved, cost, finished, failed, unhoused, cut_off = (np.zeros(count) for _ in range(6))
    open_km = figures.get("road_km_cut", np.zeros(count)) + figures.get("road_km_slowed", np.zeros(count))
    inhabited = np.flatnonzero(people > 0)
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
        done = [(a, d) for a, d in zip(plan.actions, course.done, strict=True) if d.end_s is not None]
        cost[member] = sum(a.cost for a, _ in done)
        finished[member] = course.finished_s
        failed[member] = float(any(d.failed for d in course.done))
        unhoused[member] = max(0.0, moved[member] - _places(world, done, danger))
        closings = [(d.end_s, e.amount) for a, d in done for e in a.effects if e.verb == "close_roads" and d.end_s is not None]
        if closings:
            closed_s, from_depth = min(closings)
            open_km[member] = flooded_km_left_open(world, ways, harm, footprint, member, closed_s, from_depth)
    return _Outcome(
        plan,
        by_zone.sum(axis=1),
        by_zone,
        figures.get("damage", np.zeros(count)),
        cost,
        finished,
        failed,
        moved,
        cut_off,
        open_km,
        unhoused,
        tuple(courses),
    )


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


def _ranked(
    world: World,
    outcomes: Sequence[_Outcome],
    foreseen: Foreseen,
    harm: Harm,
    courses: Mapping[str, tuple[Course, ...]],
    runs: int,
    warning_level: Level,
) -> Compared:
    harms = np.array([o.harm for o in outcomes])
    regrets = regret(harms)
    tails = [cvar(o.harm, TAIL) for o in outcomes]
    least = harms.min(axis=0)
    best_share = (np.abs(harms - least) < ALIKE).mean(axis=1)

    order = _in_rank_order(outcomes, tails)
    first = outcomes[order[0]]
    scores = []
    for rank, k in enumerate(order, start=1):
        o = outcomes[k]
        scores.append(
            PlanScore(
                plan=o.plan.name,
                digest=o.plan.digest(),
                rank=rank,
                harm=estimate(o.harm, "persons"),
                cvar=tails[k],
                regret_mean=float(regrets[k].mean()),
                regret_worst=float(regrets[k].max()),
                damage=estimate(o.damage, harm.worth_unit),
                cost=float(o.cost.mean()),
                finished_s=estimate(o.finished_s, "s"),
                failed_share=float(o.failed.mean()),
                best_share=float(best_share[k]),
                reason=_why(o, tails[k], None if rank == 1 else (first, tails[order[0]]), warning_level),
                figures={
                    "people_moved": estimate(o.moved, "persons"),
                    "people_cut_off": estimate(o.cut_off, "persons"),
                    "without_shelter": estimate(o.without_shelter, "persons"),
                    "flooded_road_km_left_open": estimate(o.road_km_open_and_flooded, "km"),
                },
            )
        )
    by_zone = {
        o.plan.name: dict(zip((*world.zones.name, "outside all zones"), map(float, o.by_zone.mean(axis=0)), strict=True))
        for o in outcomes
    }
    reason, doubt = _verdict(outcomes, order, tails, best_share)
    return Compared(
        tuple(scores),
        {o.plan.name: o.harm for o in outcomes},
        by_zone,
        courses,
        len(foreseen.futures) + runs,
        first.plan.name,
        reason,
        doubt,
    )


def _in_rank_order(outcomes: Sequence[_Outcome], tails: Sequence[float]) -> list[int]:
    """The outcomes' numbers, best first. Plans within ALIKE persons of the best that is left are one group, ordered by damage and cost."""
    weighed = [MEAN_WEIGHT * float(o.harm.mean()) + (1 - MEAN_WEIGHT) * tail for o, tail in zip(outcomes, tails, strict=True)]
    by_harm = sorted(range(len(outcomes)), key=lambda k: (weighed[k], outcomes[k].plan.name))
    order: list[int] = []
    while by_harm:
        alike = [k for k in by_harm if weighed[k] < weighed[by_harm[0]] + ALIKE]
        order += sorted(alike, key=lambda k: (float(outcomes[k].damage.mean() + outcomes[k].cost.mean()), outcomes[k].plan.name))
        by_harm = by_harm[len(alike) :]
    return order


def commonest(reasons: Sequence[str]) -> str:
    """The reason that is told most often; of several the first by name."""
    return min(Counter(reasons).items(), key=lambda told: (-told[1], told[0]))[0]


def _why(o: _Outcome, tail: float, best: tuple[_Outcome, float] | None, warning_level: Level) -> str:
    """A sentence on one plan, beside the best one with its own tail."""
    moved, kept = o.moved.mean(), o.harm.mean()
    words = f"{kept:,.0f} people stay in danger on average, {tail:,.0f} in the worst tenth"
    if moved >= 1:
        words += f"; {moved:,.0f} leave in time"
    if o.failed.mean() > 0:
        reasons = [d.failed for c in o.courses for d in c.done if d.failed]
        words += f"; in {o.failed.mean():.0%} of the futures a part of it fails ({commonest(reasons)})"
    if best is not None:
        first, first_tail = best
        words += f"; {_beside(kept - first.harm.mean(), tail - first_tail, first.plan.name)}"
    if Level.NONE < warning_level < o.plan.level:
        words += f"; it is meant from {o.plan.level.word} on, and the warning is {warning_level.word}"
    return words


def _beside(more: float, more_in_tail: float, first: str) -> str:
    """What a plan's mean and tail are beside those of the best one."""
    if abs(more) < 0.5 and abs(more_in_tail) < 0.5:
        return f"as few as {first!r}, for more damage and cost"
    if more >= 0.5 and more_in_tail > -0.5:
        return f"{more:,.0f} more than {first!r}"
    if more >= 0.5:
        return f"{more:,.0f} more than {first!r} on average, {-more_in_tail:,.0f} fewer in the worst tenth"
    return f"{max(0.0, -more):,.0f} fewer than {first!r} on average, {more_in_tail:,.0f} more in the worst tenth"


def _verdict(outcomes: Sequence[_Outcome], order: Sequence[int], tails: Sequence[float], best_share: Floats) -> tuple[str, str]:
    """The sentence that the commander reads first, and how sure it is."""
    first = outcomes[order[0]]
    count = first.harm.size
    tail = tails[order[0]]
    fewest = first.harm.mean() < min(o.harm.mean() for o in outcomes) + 0.5 and tail < min(tails) + 0.5
    what = "leaves the fewest people in danger" if fewest else "is best by average and worst tenth together"
    reason = f"{first.plan.name!r} {what}: {first.harm.mean():,.0f} on average, {tail:,.0f} in the worst tenth of {count} futures"
    if len(order) == 1:
        return reason, "It was the only plan; compare it with others, and with waiting."
    second = outcomes[order[1]]
    mean, low, high = margin(first.harm, second.harm, np.random.default_rng(0))
    share = f"It is best, or as good as the best, in {best_share[order[0]]:.0%} of the futures"
    if high - low < 1.0 and abs(mean) < 1.0:
        doubt = f"{share}. {second.plan.name!r} leaves as many in danger; damage and cost decide between the two."
    elif low > 0:
        doubt = f"{share}. Against {second.plan.name!r} it saves {mean:,.0f} more, 90 % sure between {low:,.0f} and {high:,.0f}."
    elif high < 0:
        doubt = f"{share}. {second.plan.name!r} saves {-mean:,.0f} more on average, and is worse in the worst tenth: {tails[order[1]]:,.0f}."
    else:
        doubt = f"{share}. It cannot be told apart from {second.plan.name!r}: the difference of {mean:,.0f} may be {low:,.0f} to {high:,.0f}."
    return reason + ".", doubt
