"""What one plan comes to in one future: whom and what the hazard hits although the plan was carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.evacuate import Left
from tocsin.decision.evacuate import Town as Evacuation
from tocsin.decision.groups import Groups, groups_of
from tocsin.decision.impact import (
    SERVICES,
    Ways,
    flooded_km_left_open,
    harmed_share,
    impact,
    in_danger,
    stuck,
    way_out_s,
    ways_of,
)
from tocsin.decision.interpret import Course, Done
from tocsin.decision.limits import OUTSIDE
from tocsin.decision.outcomes import COST, DAMAGE, FAILED, FINISHED_S, HARM, MOVED
from tocsin.decision.services import Lifelines
from tocsin.pack import Action, Effect, FactKind, Future, Harm, Model, Pack, Plan
from tocsin.pack.trigger import Fact
from tocsin.vocabulary import Footprint, Level, Member, Quantity, World, stack

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNITS = {
    HARM: "persons",
    FINISHED_S: "s",
    FAILED: "1",
    MOVED: "persons",
    "people_cut_off": "persons",
    "without_shelter": "persons",
    "flooded_road_km_left_open": "km",
    **{f"{kind}_lost": kind for kind in SERVICES},
}

CAUGHT = "people_caught_on_road"
TRAFFIC_UNITS = {CAUGHT: "persons", "people_held_up": "persons", "people_still_on_road": "persons"}

# Of those who are only warned, how many leave by themselves, and how soon: a planning assumption, `unverified`. The share moves every plan that
# warns alike, so it shifts the level of harm and hardly the ranking.
WARNED_LEAVE_SHARE, WARNED_LEAVE_OVER_S = 0.3, 2 * 3600.0


class Town(msgspec.Struct, frozen=True):
    """What is the same for all plans and futures: the place, its people at an hour, and its ways out.

    `inhabited` are the cells where anybody is; `count` and `zone` are (inhabited,), those outside all zones having the last zone, and
    `of_group` is (inhabited, group). `lifelines` is None where the twin has none. With
    `evacuation` people leave by car on the streets; without, by the shares and ramps of their plan.
    """

    world: World
    harm: Harm
    makes: Quantity
    hour: float
    ways: Ways
    inhabited: Ints
    count: Floats
    zone: Ints
    zones: tuple[str, ...]
    number_of: Mapping[str, int]
    groups: Groups
    of_group: Floats
    lifelines: Lifelines | None = None
    evacuation: Evacuation | None = None

    @classmethod
    def of(
        cls, world: World, harm: Harm, makes: Quantity, hour: float, pack: Pack | None = None, *, traffic: bool = False
    ) -> Town:
        """A world as plans are tried in it; with a pack, its risk chains are run too, and with traffic, who leaves drives."""
        hour, ways = harm.hour(hour), ways_of(world)
        people = world.people(hour)
        groups = groups_of(world, hour=hour, ways=ways)
        inhabited = np.flatnonzero((people > 0) | (groups.people > 0).any(axis=1))
        names = world.zones.name
        return cls(
            world,
            harm,
            makes,
            hour,
            ways,
            inhabited,
            people[inhabited],
            world.zones.zone_of[inhabited].astype(np.int64) % (len(names) + 1),
            (*names, OUTSIDE),
            {name: k for k, name in enumerate(names)},
            groups,
            groups.people[inhabited],
            Lifelines.of(world, pack, hour, ways),
            Evacuation(world, ways, harm, hour=hour, inhabited=inhabited) if traffic else None,
        )

    @property
    def units(self) -> dict[str, str]:
        """The unit of each figure of an outcome."""
        money = {DAMAGE: self.harm.worth_unit, COST: self.harm.worth_unit}
        driven = TRAFFIC_UNITS if self.evacuation is not None else {}
        return {**UNITS, **money, **driven, **(self.lifelines.units if self.lifelines is not None else {})}

    def by_zone(self, share: Floats | NDArray[np.bool_], cells: Ints | slice = slice(None)) -> Floats:
        """People by zone, (zone,), where a share of them (of those cells) is counted."""
        return np.bincount(self.zone[cells], self.count[cells] * share, len(self.zones)).astype(np.float64)


class Hit(msgspec.Struct, frozen=True):
    """What the hazard does in one future whatever a plan does to people.

    Only in the cells of `held`, a part of the inhabited ones, does it matter when people leave: they have until `until_s`, (held,); in all
    others they can leave for ever, and are counted by zone in `free`, (zone,). `danger` is the share of each held cell's people who are harmed
    if they stay, `indoors` that of those who have taken shelter inside before it `comes_s`, and `cut_off` is who has no way out; all (held,).
    `most` are the people in danger if nobody left: no plan that lets this hazard be leaves more. `taken` (1, node) is when the hazard takes each risk point, and
    `services` what that leaves of the services if nobody does anything about it; both are empty where the twin has no lifelines.
    """

    future: Future
    footprint: Footprint
    damage: float
    road_km: float
    lost: Mapping[str, float]
    held: Ints
    until_s: Floats
    danger: Floats
    indoors: Floats
    comes_s: Floats
    cut_off: NDArray[np.bool_]
    free: Floats
    in_danger: NDArray[np.bool_]
    most: float
    taken: Floats
    services: Mapping[str, float]


def hit_of(town: Town, future: Future, member: Member, duration_s: float, *, people_only: bool = False) -> Hit:
    """A hazard's run as plans meet it. With `people_only` damage, streets, services and lifelines are left out, as 0."""
    footprint = stack(town.makes, duration_s, [member])
    out_s = way_out_s(town.world, town.ways, town.harm, footprint, 0)
    figures: Mapping[str, Floats] = {}
    if not people_only:
        figures = impact(town.world, footprint, town.harm, hour=town.hour, ways=town.ways, until_s=[out_s]).figures
    danger = in_danger(footprint, town.harm, 0)
    harmed, indoors = harmed_share(footprint, town.harm, 0), harmed_share(footprint, town.harm, 0, indoors=True)
    until_s = np.minimum(out_s, footprint.arrival_s[0])[town.inhabited]
    cut_off = stuck(town.ways, out_s, danger)[town.inhabited]
    here = harmed[town.inhabited]
    matters = np.isfinite(until_s) | (here > 0.0) | cut_off
    held = np.flatnonzero(matters)
    taken, services = np.empty((1, 0)), dict[str, float]()
    if town.lifelines is not None and not people_only:
        taken = town.lifelines.taken(footprint, future)
        services = town.lifelines.left(footprint, future, taken)
    return Hit(
        future,
        footprint,
        float(figures["damage"][0]) if "damage" in figures else 0.0,
        sum(float(figures[name][0]) for name in ("road_km_cut", "road_km_slowed") if name in figures),
        {name: float(values[0]) for name, values in figures.items() if name in {f"{kind}_lost" for kind in SERVICES}},
        held,
        until_s[held],
        here[held],
        indoors[town.inhabited][held],
        footprint.arrival_s[0][town.inhabited][held].astype(np.float64),
        cut_off[held],
        town.by_zone(~matters),
        danger,
        float(town.count @ here),
        taken,
        services,
    )


class Away(msgspec.Struct, frozen=True):
    """Who has left when the hazard comes. `stay` (held,) is the share of each held cell's people who have not; `moved` persons are safe.

    `caught` (zone,) and `caught_of_group` (group,) are those who left and are in danger on the road; `unhoused` asked for a shelter and found
    none. `figures` are those that only this way of leaving tells.
    """

    stay: Floats
    moved: float
    caught: Floats
    caught_of_group: Floats
    unhoused: float
    finished_s: float
    figures: Mapping[str, float]


def outcome(
    town: Town, hit: Hit, plan: Plan, course: Course, left: Left | None = None
) -> tuple[dict[str, float], Floats, Floats]:
    """One plan in one future: its figures, and people in danger by zone, (zone,), and by group, (group,).

    `left` is who got away by road, of `town.evacuation`.
    """
    done = [(a, d) for a, d in zip(plan.actions, course.done, strict=True) if d.end_s is not None]
    away = _by_shares(town, hit, done, course) if left is None else _by_road(town, hit, course, left)
    harmed = away.stay * _harm_of_who_stays(town, hit, done)
    caught = town.by_zone(harmed, hit.held) + away.caught
    open_km = hit.road_km
    closings = [(d.end_s, e.amount) for a, d in done for e in a.effects if e.verb == "close_roads" and d.end_s is not None]
    if closings:
        closed_s, from_depth = min(closings)
        open_km = flooded_km_left_open(town.world, town.ways, town.harm, hit.footprint, 0, closed_s, from_depth)
    figures = {
        HARM: float(caught.sum()),
        DAMAGE: hit.damage,
        COST: float(sum(a.cost * max(1, d.times) for a, d in done)),
        FINISHED_S: away.finished_s,
        FAILED: float(any(d.failed for d in course.done)),
        MOVED: away.moved,
        "people_cut_off": float((town.count[hit.held] * away.stay * hit.cut_off).sum()),
        "without_shelter": away.unhoused,
        "flooded_road_km_left_open": open_km,
        **away.figures,
        **hit.lost,
        **_services(town, hit, plan, course),
    }
    return figures, caught, harmed @ town.of_group[hit.held] + away.caught_of_group


def left_in_danger(town: Town, hit: Hit, plan: Plan, course: Course) -> float:
    """People in danger although the plan was carried out, where people leave by shares: `outcome`'s first figure alone."""
    done = [(a, d) for a, d in zip(plan.actions, course.done, strict=True) if d.end_s is not None]
    stay, _ = _stay(town, hit, done)
    return float(town.by_zone(stay * _harm_of_who_stays(town, hit, done), hit.held).sum())


def _by_shares(town: Town, hit: Hit, done: Sequence[tuple[Action, Done]], course: Course) -> Away:
    """Streets without limit: a moved zone empties evenly, a share of the warned leaves, and all who left in time are safe."""
    stay, stay_free = _stay(town, hit, done)
    moved = float((town.count[hit.held] * (1.0 - stay)).sum() + (hit.free * (1.0 - stay_free)).sum())
    nobody = np.zeros(len(town.zones)), np.zeros(town.of_group.shape[1])
    unhoused = max(0.0, moved - _places(town.world, done, hit.in_danger))
    return Away(stay, moved, *nobody, unhoused, course.finished_s, {})


def _by_road(town: Town, hit: Hit, course: Course, left: Left) -> Away:
    """Cars on the streets. Who is caught there counts in the zone where the street is, and in each group as that group's part of all who left.

    A plan is finished when its last action is and nine tenths of those who arrive have arrived.
    """
    roads, zones = town.world.roads, len(town.zones)
    edges = np.flatnonzero(left.caught_at)
    filled = roads.start[edges + 1] > roads.start[edges]
    zone = np.full(edges.size, zones - 1)
    zone[filled] = town.world.zones.zone_of[roads.places[roads.start[edges[filled]]]].astype(np.int64) % zones
    share_caught = left.caught_on_road / left.left if left.left > 0 else 0.0
    return Away(
        stay=1.0 - left.share_left[hit.held],
        moved=left.left - left.caught_on_road,
        caught=np.bincount(zone, left.caught_at[edges], zones).astype(np.float64),
        caught_of_group=share_caught * (left.share_left @ town.of_group),
        unhoused=left.unhoused,
        finished_s=max(course.finished_s, left.cleared_s) if np.isfinite(left.cleared_s) else course.finished_s,
        figures={CAUGHT: left.caught_on_road, "people_held_up": left.waited, "people_still_on_road": left.stranded},
    )


def _services(town: Town, hit: Hit, plan: Plan, course: Course) -> Mapping[str, float]:
    """What the plan leaves of the services; the chains are run again only for a plan that acts on them."""
    effects = town.lifelines.effects(plan, course) if town.lifelines is not None else ()
    if town.lifelines is None or not effects:
        return hit.services
    return town.lifelines.left(hit.footprint, hit.future, hit.taken, effects)


def _stay(town: Town, hit: Hit, done: Sequence[tuple[Action, Done]]) -> tuple[Floats, Floats]:
    """The share of people who are still there when they can no longer leave: of each held cell, (held,), and of all others, (zone,)."""
    zone = town.zone[hit.held]
    stay, stay_free = np.ones(hit.held.size), np.ones(len(town.zones))
    for action, when in done:
        for effect in action.effects:
            if (left := leaving(action, effect, when)) is None:
                continue
            share, begin_s, end_s = left
            if effect.target == "all":
                stay *= 1.0 - share * _ramp(hit.until_s, begin_s, end_s)
                stay_free *= 1.0 - share
            else:
                number = town.number_of[effect.target]
                mine = np.flatnonzero(zone == number)
                stay[mine] *= 1.0 - share * _ramp(hit.until_s[mine], begin_s, end_s)
                stay_free[number] *= 1.0 - share
    return stay, stay_free


def leaving(action: Action, effect: Effect, when: Done) -> tuple[float, float, float] | None:
    """Which share of people an effect lets leave, and from when to when, s; None where it moves nobody or was not done."""
    if when.start_s is None or when.end_s is None:
        return None
    if effect.verb == "move_population":
        return effect.amount, when.start_s if action.gradual else when.end_s, when.end_s
    if effect.verb == "warn_people":
        return effect.amount * WARNED_LEAVE_SHARE, when.end_s, when.end_s + WARNED_LEAVE_OVER_S
    return None


def _harm_of_who_stays(town: Town, hit: Hit, done: Sequence[tuple[Action, Done]]) -> Floats:
    """The share of who stays that is harmed, (held,): less where people had taken shelter inside before the hazard came.

    Of several orders for one place the one that reaches most counts; who is told to go inside once the hazard is there counts as outside.
    """
    orders = [(effect, when.end_s) for action, when in done for effect in action.effects if effect.verb == "shelter_in_place"]
    if not orders or town.harm.indoors is None:
        return hit.danger
    inside = np.zeros(hit.held.size)
    zone = town.zone[hit.held]
    for effect, end_s in orders:
        mine = (hit.comes_s >= (end_s or 0.0)) & (effect.target == "all" or zone == town.number_of.get(effect.target, -1))
        inside[mine] = np.maximum(inside[mine], effect.amount)
    return np.asarray((1.0 - inside) * hit.danger + inside * np.minimum(hit.indoors, hit.danger))


def _ramp(at: Floats, start: float, end: float) -> Floats:
    """0 before `start`, 1 from `end` on, linear between; a step where both are one."""
    if end <= start:
        return (at >= end).astype(np.float64)
    return np.clip((at - start) / (end - start), 0.0, 1.0)


def _places(world: World, done: Sequence[tuple[Action, Done]], danger: NDArray[np.bool_]) -> float:
    """The places in the shelters that were opened: each once, and none where the shelter itself is in danger."""
    effects = [effect for action, _ in done for effect in action.effects if effect.verb == "open_shelter"]
    if not effects:
        return 0.0
    shelters = world.assets("shelters")
    stands = dict(zip(shelters.id, shelters.place.tolist(), strict=True))
    opened: dict[str, float] = {}
    for effect in effects:
        if not (stands[effect.target] >= 0 and danger[stands[effect.target]]):
            opened[effect.target] = max(opened.get(effect.target, 0.0), effect.amount)
    return sum(opened.values())


class NeedsRun(Exception):
    """A plan asked for what only a run of the hazard can tell, before there is one."""


class FutureFacts:
    """What a plan's conditions can ask in one future, of one run of the hazard. What that run does not keep out still counts as coming: caution.

    Without a `member` all facts are told that need no run of the hazard; asked for another one it raises NeedsRun.
    """

    def __init__(
        self, kinds: Mapping[str, FactKind], town: Town, model: Model, future: Future, member: Member | None, level: Level
    ) -> None:
        self._kinds, self._town, self._model, self._future, self._run, self._level = kinds, town, model, future, member, level
        self._comes: dict[int, tuple[Floats, Floats]] = {}

    @property
    def _member(self) -> Member:
        if self._run is None:
            raise NeedsRun
        return self._run

    def at(self, name: str, place: str, time_s: float) -> Fact | None:
        """The fact at a time; None where neither the scenario nor the run says anything of it."""
        kind = self._kinds[name]
        now = self.told(name, place, time_s)
        if now is None or not kind.rise_s:
            return None if now is None else Fact(now, kind.unit)
        before = self.told(name, place, time_s - kind.rise_s)
        return None if before is None else Fact(now - before, kind.unit)

    def told(self, name: str, place: str, time_s: float) -> float | None:
        """What a fact is at a time, or, where it is a rise, what rises."""
        kind = self._kinds[name]
        match name:
            case "hours":
                return time_s / 3600.0
            case "warning_level":
                return float(self._level)
        return self._reached(self._town.number_of[place], time_s) if kind.reached else self._told(kind, place, time_s)

    def _told(self, kind: FactKind, place: str, time_s: float) -> float | None:
        """A forcing as this future has it, or what the run tells over time."""
        if kind.course:
            course = self._member.courses.get(kind.course)
            return None if course is None else course.at(time_s)
        if not kind.drive:
            return None
        name = kind.drive + place if kind.drive.endswith("@") else kind.drive
        if name in self._future.series:
            return self._model.forcing(self._future, name, time_s)
        drive = self._model.series.get(kind.drive)
        return None if drive is None or drive.usual is None else drive.usual(self._town.world, place)

    def _reached(self, zone: int, time_s: float) -> float:
        """The share of a zone's people whom the hazard has come to by then."""
        if zone not in self._comes:
            town = self._town
            here = np.flatnonzero(town.zone == zone)
            arrival_s = self._member.arrival_s[town.inhabited[here]]
            order = np.argsort(arrival_s, kind="stable")
            self._comes[zone] = arrival_s[order].astype(np.float64), np.cumsum(town.count[here][order])
        at_s, reached = self._comes[zone]
        first = int(np.searchsorted(at_s, time_s, side="right"))
        return float(reached[first - 1] / reached[-1]) if first else 0.0
