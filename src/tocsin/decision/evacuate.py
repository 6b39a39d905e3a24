"""Who gets out: one plan in one future, from the warning that is heard to the goal that is reached, on streets that the hazard closes.

Cars queue and spill back (tocsin.science.traffic), people leave when they have heard and are ready (tocsin.science.departure), streets slow and close as
the hazard comes, shelters fill. Whoever is on a street when it closes is caught there, which no ramp of shares can tell.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.impact import Ways, closing_s, in_danger
from tocsin.decision.interpret import Course
from tocsin.decision.streets import Streets, streets_of
from tocsin.pack import Harm, Plan
from tocsin.science.departure import NOBODY, Curve, Readiness, Spreading, either, led, warned
from tocsin.science.traffic import BARRED, Changes, Flow, Goals, Trips, drive
from tocsin.vocabulary import Footprint, InputError, Roads, World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BIN_S = 600.0  # cells of one node that the hazard reaches within this span stop leaving together, at its start
KEPT_MOST = 64  # answers; one of a city is about a megabyte
TO_SHELTER = 1  # bounds: 0 drives out of the twin, 1 to a shelter


class Assumptions(msgspec.Struct, frozen=True):
    """What no twin and no plan says about people who leave. All are planning assumptions; `unverified` says which nobody has compared with a source.

    `persons_per_vehicle` and `shelter_share` (of those who leave, who ask for a public shelter) are `unverified`. People who need help,
    `help_share` of all, leave only where a plan moves the population, and by bus: each of `busses` carries `persons_per_bus`, takes `boarding_s` for a
    round besides its drive there and back, and counts as two cars in traffic (KLD Engineering 2012, TR-528 rev. 1, Surry evacuation time
    estimates, section 8, NRC ML13037A630). A twin that does not say who needs help has none: 0. `reroute_s` is LifeSim's live traffic update
    interval, 5 min.
    """

    spreading: Spreading = Spreading()
    readiness: Readiness = Readiness()
    persons_per_vehicle: float = 2.5
    shelter_share: float = 0.15
    help_share: float = 0.0
    busses: int = 20
    persons_per_bus: float = 30.0
    boarding_s: float = 1800.0
    reroute_s: float = 300.0
    heed_jams: bool = True
    unverified: tuple[str, ...] = (
        "persons_per_vehicle",
        "shelter_share",
        "persons_per_bus",
        "boarding_s",
        "spreading",
        "readiness",
    )

    def __post_init__(self) -> None:
        shares = {"shelter_share": self.shelter_share, "help_share": self.help_share}
        if bad := [f"{name} {value}" for name, value in shares.items() if not 0 <= value <= 1]:
            raise InputError(f"evacuation: {', '.join(bad)}; wanted a share, 0..1")
        if not (self.persons_per_vehicle > 0 and self.persons_per_bus > 0 and self.busses >= 0 and self.boarding_s >= 0):
            raise InputError(
                f"evacuation: {self.persons_per_vehicle} persons a vehicle, {self.busses} busses of {self.persons_per_bus} persons, "
                f"{self.boarding_s} s to board; wanted more than 0 persons, and 0 or more busses and seconds"
            )


class Left(msgspec.Struct, frozen=True):
    """Who got out, in persons. Series are at `time_s`, seconds after the decision.

    `share_left` (inhabited,) is the share of each inhabited cell's people who left it before the hazard came there; where nothing is known of
    a way out, those who wanted to. `caught_on_road` are of those who left, and are in danger; `caught_at` (edge,) says where, by edge of the
    twin. `waited` wanted to leave and did not come onto a street in time; `stranded` are still on the road at the end. `unhoused` asked for a shelter
    and found none.
    """

    share_left: Floats
    wanted: float
    left: float
    caught_on_road: float
    waited: float
    stranded: float
    unhoused: float
    arrived: float
    time_s: Floats
    arrived_by: Floats
    set_out_by: Floats
    on_road_by: Floats
    caught_by: Floats
    by_goal: Mapping[str, float]
    caught_at: Floats
    delay_h: Floats  # (link of the smaller graph,) person-hours of waiting that it caused
    cleared_s: float  # when nine tenths of those who arrive have arrived; +inf where nobody does

    @property
    def failed(self) -> float:
        """Persons who wanted to leave and did not arrive."""
        return self.wanted - self.arrived


class Town:
    """A twin prepared for evacuations: made once, asked for many plans and futures, from many threads.

    Answers are remembered by what they depend on (who sets out when, what closes when, where it is safe), so plans that do the same to people
    cost one run. At most `kept_most` are kept. A twin without a street that leads out has no traffic: there people leave as their curves say.
    `inhabited` are the cells that are told of, all where somebody is if not given; one where nobody is has the share that its curves say.
    """

    def __init__(
        self,
        world: World,
        ways: Ways,
        harm: Harm,
        *,
        hour: float,
        assumptions: Assumptions | None = None,
        reduced: bool = True,
        streets: Streets | None = None,
        inhabited: Ints | None = None,
        kept_most: int = KEPT_MOST,
    ) -> None:
        self.world, self.ways, self.harm = world, ways, harm
        self.assume = assumptions or Assumptions()
        self.streets = streets or (streets_of(world, ways, reduced=reduced) if ways.known.any() else None)
        people = world.people(hour)
        self.inhabited = np.flatnonzero(people > 0) if inhabited is None else inhabited
        self.people = people[self.inhabited]
        self.zone = world.zones.zone_of[self.inhabited].astype(np.int64)
        self._kept: OrderedDict[bytes, Left] = OrderedDict()
        self._lock, self._kept_most = Lock(), kept_most

    @property
    def remark(self) -> str:
        """What keeps a drive on this twin from telling what it should; empty where nothing does."""
        if self.streets is None:
            return "No street of the twin leads to a way out, so who leaves meets no traffic."
        if not self.streets.out.size:
            return "No street leads out of the twin, so who drives gets away only to shelters that a plan opens: give the twin a larger extent."
        return ""

    def left_in_time(self, plan: Plan, course: Course, footprint: Footprint, member: int) -> Left:
        """Who gets out in one future under one plan."""
        curves = self._curves(plan, course, footprint.duration_s)
        if self.streets is None:
            return self._without_streets(curves, footprint, member)
        changes, closes_s = self._changes(self.streets, plan, course, footprint, member)
        goals, names = self._goals(self.streets, plan, course, footprint, member)
        arrival_s = np.minimum(footprint.arrival_s[member][self.inhabited].astype(np.float64), footprint.duration_s)
        key = _digest(curves, changes, goals, arrival_s, footprint.duration_s)
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = self._play(self.streets, curves, changes, closes_s, goals, names, arrival_s, footprint.duration_s)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._kept_most:
                self._kept.popitem(last=False)
        return made

    def _without_streets(self, curves: list[tuple[Curve, Curve]], footprint: Footprint, member: int) -> Left:
        until_s = np.minimum(footprint.arrival_s[member][self.inhabited].astype(np.float64), footprint.duration_s)
        zone = np.where(self.zone >= 0, self.zone, len(curves) - 1)
        share, wanted = np.zeros(zone.size), np.zeros(zone.size)
        for z in np.unique(zone):
            mine = zone == z
            share[mine] = self._share(curves[z], until_s[mine])
            wanted[mine] = self._share(curves[z], np.full(int(mine.sum()), footprint.duration_s))
        left, asked = float(self.people @ share), float(self.people @ wanted)
        nothing, nobody = np.zeros(2), np.zeros(0)
        return Left(
            share_left=share,
            wanted=asked,
            left=left,
            caught_on_road=0.0,
            waited=asked - left,
            stranded=0.0,
            unhoused=left * self.assume.shelter_share,
            arrived=left,
            time_s=np.array([0.0, footprint.duration_s]),
            arrived_by=np.array([0.0, left]),
            set_out_by=np.array([0.0, left]),
            on_road_by=nothing,
            caught_by=nothing,
            by_goal={"unknown: no street leads out": left},
            caught_at=np.zeros(len(self.world.roads)),
            delay_h=nobody,
            cleared_s=np.inf,
        )

    # -- what a plan does --------------------------------------------------------------------------------------------

    def _curves(self, plan: Plan, course: Course, until_s: float) -> list[tuple[Curve, Curve]]:
        """For each zone, and last for who lives in none: when those with a car set out, and those who need help."""
        zones = self.world.zones.name
        own: list[list[Curve]] = [[] for _ in range(len(zones) + 1)]
        fetched: list[list[Curve]] = [[] for _ in range(len(zones) + 1)]
        for action, done in zip(plan.actions, course.done, strict=True):
            if done.start_s is None or done.end_s is None or done.failed:
                continue
            for effect in action.effects:
                if effect.verb == "move_population":
                    z = zones.index(effect.target)
                    own[z].append(led(done.start_s, done.end_s, amount=effect.amount, gradual=action.gradual))
                    fetched[z].append(self._by_bus(z, done.start_s, effect.amount))
                elif effect.verb == "warn_people":
                    curve = warned(done.end_s, until_s, self.assume.spreading, self.assume.readiness, amount=effect.amount)
                    for z in range(len(zones) + 1) if effect.target == "all" else [zones.index(effect.target)]:
                        own[z].append(curve)
        return [(either(a), either(b)) for a, b in zip(own, fetched, strict=True)]

    def _by_bus(self, zone: int, start_s: float, amount: float) -> Curve:
        """Those who need help leave a zone as busses come round: as many persons an hour as busses, seats and rounds allow."""
        count = float(self.people[self.zone == zone].sum()) * self.assume.help_share * amount
        if count <= 0 or self.assume.busses == 0:
            return NOBODY
        round_s = 2.0 * self._drive_s(zone) + self.assume.boarding_s
        rounds = np.ceil(count / (self.assume.busses * self.assume.persons_per_bus))
        return Curve(np.array([start_s, start_s + rounds * round_s]), np.array([0.0, amount]))

    def _drive_s(self, zone: int) -> float:
        """The mean time from a zone to the nearest goal on empty streets, s."""
        from tocsin.science.traffic import quickest_s

        if self.streets is None:
            return 0.0
        ends = np.concatenate([self.streets.out, self.streets.shelters[self.streets.shelters >= 0]])
        at = self.streets.node_of[self.inhabited[self.zone == zone]]
        time_s = quickest_s(self.streets.roads, ends)[at[at >= 0]]
        time_s = time_s[np.isfinite(time_s)]
        return float(time_s.mean()) if time_s.size else 0.0

    def _changes(self, streets: Streets, plan: Plan, course: Course, footprint: Footprint, member: int) -> tuple[Changes, Floats]:
        """What becomes of the links, and when each of the twin's edges closes."""
        roads, curve, graph = self.world.roads, self.harm.road_speed, streets.graph
        arrival_s = footprint.arrival_s[member]
        closes_s = closing_s(roads, self.harm, footprint.peak[member], arrival_s)
        link_closes_s = graph.least(closes_s)
        parts = [(link_closes_s, np.zeros(link_closes_s.size))]
        if curve is not None:
            peak = np.where(np.isfinite(arrival_s), footprint.peak[member], np.float32(0.0))
            lost = curve.share(roads.worst_along(peak))
            slow_s = _first_along(roads, np.where(curve.share(peak) > 0, arrival_s, np.inf).astype(np.float64))
            dry = streets.dry_s
            slowed = graph.total(dry) / graph.total(dry / np.maximum(1.0 - lost, 0.02))
            parts.append((np.where(slowed < 1.0, graph.least(slow_s), np.inf), slowed))
            worst = roads.worst_along(peak)
            for at_s, depth in _barriers(plan, course):
                hit = -graph.least(-(worst >= depth).astype(np.float64)) > 0
                parts.append((np.where(hit, at_s, np.inf), np.full(hit.size, BARRED)))
        time_s = np.concatenate([p[0] for p in parts])
        edge = np.tile(np.arange(link_closes_s.size), len(parts))
        share = np.concatenate([p[1] for p in parts])
        real = np.flatnonzero(time_s < footprint.duration_s)
        return Changes(time_s[real], edge[real], share[real]), closes_s

    def _goals(self, streets: Streets, plan: Plan, course: Course, footprint: Footprint, member: int) -> tuple[Goals, list[str]]:
        """The twin's edge for all, and the shelters that are opened and stay dry, with their places in vehicles."""
        found, danger = self.world.assets("shelters"), in_danger(footprint, self.harm, member)
        places: dict[int, float] = {}
        names: dict[int, list[str]] = {}
        for action, done in zip(plan.actions, course.done, strict=True):
            for effect in action.effects:
                if effect.verb == "open_shelter" and done.end_s is not None and not done.failed:
                    k = found.id.index(effect.target)
                    node = int(streets.shelters[k])
                    if node >= 0 and not danger[found.place[k]]:
                        places[node] = places.get(node, 0.0) + effect.amount / self.assume.persons_per_vehicle
                        names.setdefault(node, []).append(found.name[k] or found.id[k])
        out = np.setdiff1d(streets.out, np.array(list(places), np.int64))
        nodes = np.concatenate([np.array(list(places), np.int64), out])
        is_shelter = np.arange(nodes.size) < len(places)
        many = np.concatenate([np.array(list(places.values())), np.full(out.size, np.inf)])
        if places:
            goals = Goals(nodes, many, np.array([~is_shelter, is_shelter]), (-1, 0))
        else:  # who asks for a shelter finds none and drives as all do
            goals = Goals(nodes, many, np.ones((1, nodes.size), bool), (-1,))
        return goals, [", ".join(names[k]) for k in places] + ["out of the twin"] * out.size

    # -- one run --------------------------------------------------------------------------------------------------------

    def _play(
        self,
        streets: Streets,
        curves: list[tuple[Curve, Curve]],
        changes: Changes,
        closes_s: Floats,
        goals: Goals,
        names: list[str],
        arrival_s: Floats,
        duration_s: float,
    ) -> Left:
        assume = self.assume
        zone = np.where(self.zone >= 0, self.zone, len(curves) - 1)
        node = streets.node_of[self.inhabited]
        shuts_s = np.minimum(
            arrival_s, np.where(node >= 0, streets.entry_shuts_s(closes_s)[streets.door[self.inhabited]], np.inf)
        )
        shuts_s = np.where(shuts_s < duration_s, np.floor(shuts_s / BIN_S) * BIN_S, np.inf)
        # cells of one node and zone that stop leaving at one time are one origin
        bins = np.where(np.isfinite(shuts_s), shuts_s / BIN_S, -1).astype(np.int64)
        keys = np.column_stack([node, zone, bins])
        moves = np.array([max(a.share[-1], b.share[-1] * (assume.help_share > 0)) for a, b in curves]) > 0
        share_left = np.zeros(self.inhabited.size)
        lost = np.flatnonzero(node < 0)  # no street is known there: those go who want to
        for z in np.unique(zone[lost]):
            mine = lost[zone[lost] == z]
            share_left[mine] = self._share(curves[z], np.minimum(shuts_s[mine], duration_s))
        mine = np.flatnonzero((node >= 0) & moves[zone])
        origins, which = (
            np.unique(keys[mine], axis=0, return_inverse=True)
            if mine.size
            else (np.empty((0, 3), np.int64), np.empty(0, np.int64))
        )
        which = which.reshape(-1)
        persons = np.bincount(which, self.people[mine], minlength=len(origins)).astype(np.float64)
        shut = np.where(origins[:, 2] >= 0, origins[:, 2] * BIN_S, np.inf)
        trips, per_vehicle = self._trips(curves, origins, persons, shut, has_shelters=goals.serves.shape[0] > 1)
        flow = drive(
            streets.roads,
            trips,
            goals,
            duration_s=duration_s,
            changes=changes,
            reroute_s=assume.reroute_s,
            heed_jams=assume.heed_jams,
        )
        gone = flow.left * per_vehicle
        by_origin = np.bincount(np.arange(gone.size) % max(len(origins), 1), gone, minlength=len(origins))
        share = np.minimum(1.0, by_origin / np.maximum(persons, 1e-300))
        for z in np.unique(origins[persons == 0.0, 1]):
            empty = (persons == 0.0) & (origins[:, 1] == z)
            share[empty] = self._share(curves[z], np.minimum(shut[empty], duration_s))
        share_left[mine] = share[which]
        return self._told(
            streets,
            flow,
            closes_s,
            share_left,
            trips,
            per_vehicle,
            goals,
            names,
            float((self.people[lost] * share_left[lost]).sum()),
        )

    def _share(self, curves: tuple[Curve, Curve], until_s: Floats) -> Floats:
        h = self.assume.help_share
        return np.asarray((1.0 - h) * curves[0].at(until_s) + h * curves[1].at(until_s))

    def _trips(
        self, curves: list[tuple[Curve, Curve]], origins: Ints, persons: Floats, shut: Floats, *, has_shelters: bool
    ) -> tuple[Trips, Floats]:
        """Packets of at most a vehicle: from each origin first its cars, then (as an origin of its own) its busses; and the persons in a vehicle."""
        assume, count = self.assume, len(origins)
        kinds = [(0, 1.0 - assume.help_share, assume.persons_per_vehicle)]
        if assume.help_share > 0:
            kinds.append((1, assume.help_share, assume.persons_per_bus / 2.0))  # a bus is two cars
        golden = 0.6180339887498949
        bounds = [(0, 1.0 - assume.shelter_share), (TO_SHELTER, assume.shelter_share)] if has_shelters else [(0, 1.0)]
        time_s, origin, bound, vehicles = [], [], [], []
        for kind, part, per_vehicle in kinds:
            for z in np.unique(origins[:, 1]):
                curve = curves[z][kind]
                mine = np.flatnonzero(origins[:, 1] == z)
                for b, share in bounds:
                    all_vehicles = persons[mine] * part * share * curve.share[-1] / per_vehicle
                    going = mine[all_vehicles > 0]
                    amount = all_vehicles[all_vehicles > 0]
                    packets = np.ceil(amount).astype(np.int64)
                    of = np.repeat(np.arange(going.size), packets)
                    number = np.arange(of.size) - np.repeat(np.cumsum(packets) - packets, packets)
                    # spread over the curve, each origin with its own offset, so that small ones do not all leave at one moment
                    offset = (going * golden + 0.5 * b) % 1.0
                    time_s.append(curve.when((number + offset[of]) / packets[of] * curve.share[-1]))
                    origin.append(going[of] + kind * count)
                    bound.append(np.full(of.size, b))
                    vehicles.append((amount / packets)[of])
        together = [np.concatenate(x) if x else np.empty(0) for x in (time_s, origin, bound, vehicles)]
        trips = Trips(
            np.tile(origins[:, 0], len(kinds)),
            np.tile(shut, len(kinds)),
            together[0],
            together[1].astype(np.int64),
            together[2].astype(np.int64),
            together[3],
        )
        return trips, np.repeat([k[2] for k in kinds], count)

    def _told(
        self,
        streets: Streets,
        flow: Flow,
        closes_s: Floats,
        share_left: Floats,
        trips: Trips,
        per_vehicle: Floats,
        goals: Goals,
        names: Sequence[str],
        elsewhere: float,
    ) -> Left:
        """From vehicles to persons. On the road cars and busses mix, so what is counted there takes the mean persons of a vehicle that set out."""
        wanted = float((trips.vehicles * per_vehicle[trips.origin]).sum()) if trips.vehicles.size else 0.0
        left = float((flow.left * per_vehicle).sum())
        mean = left / flow.left.sum() if flow.left.sum() > 0 else self.assume.persons_per_vehicle
        arrived = flow.arrived.sum(axis=1) * mean
        by_goal: dict[str, float] = {}
        for name, count in zip(names, flow.arrived[-1] * mean, strict=True):
            by_goal[name] = by_goal.get(name, 0.0) + float(count)
        if goals.serves.shape[0] > 1:
            unhoused = float(flow.arrived_by_bound[~goals.serves[TO_SHELTER], TO_SHELTER].sum() * mean)
        else:
            unhoused = float(flow.arrived[-1].sum() * mean) * self.assume.shelter_share
        edges = np.zeros(len(self.world.roads))
        graph = streets.graph
        edges[graph.least_at(closes_s)] = flow.caught_on * mean  # the piece that closes first is where nothing goes on
        cleared = flow.time_s[np.searchsorted(arrived, 0.9 * arrived[-1])] if arrived[-1] > 0 else np.inf
        return Left(
            share_left=share_left,
            wanted=wanted + elsewhere,
            left=left + elsewhere,
            caught_on_road=float(flow.caught[-1] * mean),
            waited=wanted - left,
            stranded=float(flow.stranded.sum() * mean),
            unhoused=unhoused,
            arrived=float(arrived[-1]) + elsewhere,
            time_s=flow.time_s,
            arrived_by=arrived,
            set_out_by=flow.set_out * mean,
            on_road_by=flow.on_road * mean,
            caught_by=flow.caught * mean,
            by_goal=by_goal,
            caught_at=edges,
            delay_h=flow.delay_h * mean,
            cleared_s=float(cleared),
        )


def left_in_time(
    world: World,
    ways: Ways,
    plan: Plan,
    course: Course,
    footprint: Footprint,
    member: int,
    *,
    harm: Harm,
    hour: float,
    assumptions: Assumptions | None = None,
) -> Left:
    """Who gets out in one future under one plan. For many plans or futures make a Town once and ask it."""
    return Town(world, ways, harm, hour=hour, assumptions=assumptions).left_in_time(plan, course, footprint, member)


def _barriers(plan: Plan, course: Course) -> list[tuple[float, float]]:
    """When roads are barred, and from what intensity on."""
    return [
        (done.end_s, effect.amount)
        for action, done in zip(plan.actions, course.done, strict=True)
        for effect in action.effects
        if effect.verb == "close_roads" and done.end_s is not None and not done.failed
    ]


def _first_along(roads: Roads, at_s: Floats) -> Floats:
    """The earliest of the moments (place,) that each edge meets, (edge,); +inf on bridges."""
    first = np.full(len(roads), np.inf)
    filled = np.flatnonzero(np.diff(roads.start) > 0)
    if filled.size:
        first[filled] = np.minimum.reduceat(at_s[roads.places], roads.start[filled])
    first[roads.bridge] = np.inf
    return first


def _digest(curves: list[tuple[Curve, Curve]], changes: Changes, goals: Goals, arrival_s: Floats, duration_s: float) -> bytes:
    told = hashlib.blake2b(digest_size=16)
    arrays: list[NDArray[Any]] = [a for pair in curves for c in pair for a in (c.time_s, c.share)]
    arrays += [changes.time_s, changes.edge, changes.share, goals.node, goals.places, goals.serves, arrival_s]
    for a in arrays:
        told.update(f"{a.dtype}{a.shape}".encode())
        told.update(np.ascontiguousarray(a).tobytes())
    told.update(str(duration_s).encode())
    return told.digest()
