"""What stands in a hazard's way: people, houses, streets and services in each future, told with their doubt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Harm
from tocsin.science.reach import last_way_out_s
from tocsin.vocabulary import Estimate, Footprint, Roads, World

Floats = NDArray[np.float64]
Tell = Callable[[str, str, NDArray[Any]], None]

SERVICES = ("hospitals", "shelters", "schools")
CUT_SHARE = 1.0


class Impact(msgspec.Struct, frozen=True):
    """Impact by future: `figures` (future,) by name, in `units`; `danger_by_zone` is (future, zone) persons."""

    figures: Mapping[str, Floats]
    units: Mapping[str, str]
    zones: tuple[str, ...]
    danger_by_zone: Floats
    remarks: tuple[str, ...]

    def estimates(self) -> dict[str, Estimate]:
        """Each figure as mean and 5, 50, 95 % of the futures."""
        return {name: estimate(values, self.units[name]) for name, values in self.figures.items()}


def estimate(values: Floats, unit: str) -> Estimate:
    """Mean and 5, 50, 95 % of equally likely futures."""
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return Estimate(float(values.mean()), float(low), float(middle), float(high), unit)


class Ways(msgspec.Struct, frozen=True):
    """What does not change from future to future: streets counted once, the node of every cell, and where the ways out are."""

    once: NDArray[np.int64]
    node_of: NDArray[np.int64]
    exits: NDArray[np.int64]
    exit_place: NDArray[np.int64]


def ways_of(world: World) -> Ways:
    """Streets, nodes and ways out of a world: shelters, hospitals, and the twin's edge. Empty where there is no road graph."""
    from scipy.spatial import cKDTree

    roads, grid = world.roads, world.grid
    if not len(roads):
        nothing = np.empty(0, np.int64)
        return Ways(nothing, np.full(grid.cells, -1, np.int64), nothing, nothing)
    tree = cKDTree(np.column_stack([roads.node_x_m, roads.node_y_m]))
    _, node_of = tree.query(np.column_stack(grid.centre(np.arange(grid.cells))))
    west, south, east, north = grid.bounds_m
    edge_m = np.minimum.reduce([roads.node_x_m - west, east - roads.node_x_m, roads.node_y_m - south, north - roads.node_y_m])
    at_edge = np.flatnonzero(edge_m < grid.cell_m)
    safe = [world.assets(kind) for kind in ("shelters", "hospitals")]
    inside = [(a.x_m[a.place >= 0], a.y_m[a.place >= 0], a.place[a.place >= 0]) for a in safe if len(a)]
    exits, places = [at_edge], [np.full(at_edge.size, -1, np.int64)]
    for x_m, y_m, place in inside:
        exits.append(np.atleast_1d(tree.query(np.column_stack([x_m, y_m]))[1]))
        places.append(place)
    return Ways(
        np.unique(roads.way, return_index=True)[1],
        node_of.astype(np.int64),
        np.concatenate(exits).astype(np.int64),
        np.concatenate(places),
    )


def closing_s(roads: Roads, harm: Harm, peak: NDArray[np.float32], arrival_s: NDArray[np.float32]) -> Floats:
    """When each edge closes, (edge,): when the hazard reaches the first of its cells where nothing can drive; +inf if it stays open."""
    if harm.road_speed is None or not len(roads):
        return np.full(len(roads), np.inf)
    closed = harm.road_speed.share(peak) >= CUT_SHARE
    at_s = np.where(closed, arrival_s, np.inf).astype(np.float64)[roads.places]
    first = np.full(len(roads), np.inf)
    filled = np.flatnonzero(np.diff(roads.start) > 0)
    if filled.size:
        first[filled] = np.minimum.reduceat(at_s, roads.start[filled])
    first[roads.bridge] = np.inf
    return first


def way_out_s(world: World, ways: Ways, harm: Harm, footprint: Footprint, member: int) -> Floats:
    """Until when the people of each cell have a way out in one future, (place,)."""
    roads = world.roads
    if not len(roads):
        return np.full(world.grid.cells, np.inf)
    peak, arrival_s = footprint.peak[member], footprint.arrival_s[member]
    drowned = np.where(
        ways.exit_place >= 0, np.where(peak[ways.exit_place] > harm.danger_from, arrival_s[ways.exit_place], np.inf), np.inf
    )
    until = last_way_out_s(
        roads.source, roads.target, closing_s(roads, harm, peak, arrival_s), ways.exits, drowned, roads.node_x_m.size
    )
    return until[ways.node_of]


def impact(
    world: World,
    footprint: Footprint,
    harm: Harm,
    *,
    hour: float,
    ways: Ways | None = None,
    until_s: Sequence[Floats] | None = None,
) -> Impact:
    """What stands in the way in each future, with the people as they are at an hour of the local day.

    people_exposed: where the hazard comes at all. people_in_danger: where it exceeds `harm.danger_from`. people_cut_off: dry, but no passable
    way leads to a shelter, a hospital or out of the twin any more. Figures for which the twin has no layer are left out, and remarked.
    `until_s` is `way_out_s` of each future, where the caller has it already.
    """
    ways = ways or ways_of(world)
    count = footprint.members
    people = world.people(hour)
    danger = footprint.peak > harm.danger_from
    figures: dict[str, Floats] = {}
    units: dict[str, str] = {}
    remarks: list[str] = []

    def tell(name: str, unit: str, values: NDArray[Any]) -> None:
        figures[name], units[name] = np.asarray(values, np.float64), unit

    dry = world.people(3.0) + world.people(12.0) > 0  # only where somebody ever is, so that water bodies do not count
    tell("people_in_danger", "persons", danger @ people)
    tell("people_exposed", "persons", np.isfinite(footprint.arrival_s) @ people)
    zones = world.zones
    by_zone = np.zeros((count, len(zones.name)))
    for k in range(len(zones.name)):
        here = np.flatnonzero((zones.zone_of == k) & dry)
        by_zone[:, k] = danger[:, here] @ people[here]
    buildings = world.assets("buildings")
    if len(buildings):
        _tell_buildings(tell, footprint, buildings.place, np.array(buildings.sort), buildings.amount, harm)
    else:
        remarks.append("the twin has no buildings: no damage is told")
    roads = world.roads
    if len(roads) and harm.road_speed is not None:
        if until_s is None:
            until_s = [way_out_s(world, ways, harm, footprint, member) for member in range(count)]
        _tell_roads(tell, world, ways, harm, footprint, people, danger, until_s)
    else:
        remarks.append("the twin has no roads: no closures and nobody cut off is told")
    return Impact(figures, units, zones.name, by_zone, tuple(remarks))


def _tell_buildings(
    tell: Tell, footprint: Footprint, place: NDArray[np.int64], sort: NDArray[np.str_], floor_m2: Floats, harm: Harm
) -> None:
    inside = place >= 0
    place, sort, floor_m2 = place[inside], sort[inside], floor_m2[inside]
    depth = footprint.peak[:, place]
    usual = next(iter(harm.damage))
    lost = np.zeros(footprint.members)
    for name, curve in harm.damage.items():
        mine = (sort == name) | ((name == usual) & ~np.isin(sort, list(harm.damage)))
        lost += curve.share(depth[:, mine]) @ (floor_m2[mine] * harm.worth_per_m2[name])
    tell("buildings_affected", "buildings", np.isfinite(footprint.arrival_s[:, place]).sum(axis=1))
    tell("damage", harm.worth_unit, lost)


def _tell_roads(
    tell: Tell,
    world: World,
    ways: Ways,
    harm: Harm,
    footprint: Footprint,
    people: Floats,
    danger: NDArray[np.bool_],
    until_s: Sequence[Floats],
) -> None:
    roads, curve = world.roads, harm.road_speed
    if curve is None:
        return
    count = footprint.members
    cut, slow, cut_off = np.zeros(count), np.zeros(count), np.zeros(count)
    services = [(kind, world.assets(kind)) for kind in SERVICES]
    lost = {kind: np.zeros(count) for kind, assets in services if len(assets)}
    usual = last_way_out_s(
        roads.source, roads.target, np.full(len(roads), np.inf), ways.exits, np.full(ways.exits.size, np.inf), roads.node_x_m.size
    )
    connected = usual[ways.node_of] == np.inf
    for member in range(count):
        share = curve.share(roads.worst_along(footprint.peak[member]))[ways.once]
        length_km = roads.length_m[ways.once] / 1000.0
        cut[member] = length_km[share >= CUT_SHARE].sum()
        slow[member] = length_km[(share > 0.0) & (share < CUT_SHARE)].sum()
        stuck = connected & (until_s[member] < np.inf)
        cut_off[member] = people[stuck & ~danger[member]].sum()
        for kind, assets in services:
            if len(assets):
                here = assets.place[assets.place >= 0]
                lost[kind][member] = (danger[member][here] | stuck[here]).sum()
    tell("road_km_cut", "km", cut)
    tell("road_km_slowed", "km", slow)
    tell("people_cut_off", "persons", cut_off)
    for kind, values in lost.items():
        tell(f"{kind}_lost", kind, values)
