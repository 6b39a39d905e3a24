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
    """What does not change from future to future: streets counted once, the node of every cell, and where the ways out are.

    The first `edges` of the exits are the twin's edge. `known` is (place,): true where a street leads to an exit when all is dry; of all
    other places nothing is known, since road data has pieces that hang together with nothing.
    """

    once: NDArray[np.int64]
    node_of: NDArray[np.int64]
    exits: NDArray[np.int64]
    exit_place: NDArray[np.int64]
    edges: int
    known: NDArray[np.bool_]


def ways_of(world: World) -> Ways:
    """Streets, nodes and ways out of a world: shelters, hospitals, and the twin's edge. Empty where there is no road graph."""
    from scipy.spatial import cKDTree

    roads, grid = world.roads, world.grid
    if not len(roads):
        nothing = np.empty(0, np.int64)
        return Ways(nothing, np.full(grid.cells, -1, np.int64), nothing, nothing, 0, np.zeros(grid.cells, bool))
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
    all_exits = np.concatenate(exits).astype(np.int64)
    dry = last_way_out_s(
        roads.source, roads.target, np.full(len(roads), np.inf), all_exits, np.full(all_exits.size, np.inf), roads.node_x_m.size
    )
    return Ways(
        np.unique(roads.way, return_index=True)[1],
        node_of.astype(np.int64),
        all_exits,
        np.concatenate(places),
        at_edge.size,
        dry[node_of] == np.inf,
    )


def _first_along(roads: Roads, at_s: Floats) -> Floats:
    """The earliest of the moments (place,) that each edge meets, (edge,); +inf on bridges, which are taken to stand above the water."""
    along = at_s[roads.places]
    first = np.full(len(roads), np.inf)
    filled = np.flatnonzero(np.diff(roads.start) > 0)
    if filled.size:
        first[filled] = np.minimum.reduceat(along, roads.start[filled])
    first[roads.bridge] = np.inf
    return first


def flooded_km_left_open(
    world: World, ways: Ways, harm: Harm, footprint: Footprint, member: int, closed_s: float, from_depth: float
) -> float:
    """Kilometres of street that the hazard slows or cuts and that stood open under it, if all from `from_depth` on are closed at a moment."""
    roads, curve = world.roads, harm.road_speed
    if curve is None or not len(roads):
        return 0.0
    arrival_s = footprint.arrival_s[member]
    worst = roads.worst_along(_where_it_came(footprint.peak[member], arrival_s))
    open_under = (curve.share(worst) > 0.0) & (
        (worst < from_depth) | (_first_along(roads, arrival_s.astype(np.float64)) < closed_s)
    )
    return float(roads.length_m[ways.once][open_under[ways.once]].sum() / 1000.0)


def _where_it_came(peak: NDArray[np.float32], arrival_s: NDArray[np.float32]) -> NDArray[np.float32]:
    """The peak where the hazard is said to have come, and 0 elsewhere: the film that rain leaves on every roof and street harms nobody."""
    return np.where(np.isfinite(arrival_s), peak, np.float32(0.0))


def closing_s(roads: Roads, harm: Harm, peak: NDArray[np.float32], arrival_s: NDArray[np.float32]) -> Floats:
    """When each edge closes, (edge,): when the hazard reaches the first of its cells where nothing can drive; +inf if it stays open."""
    if harm.road_speed is None or not len(roads):
        return np.full(len(roads), np.inf)
    closed = harm.road_speed.share(peak) >= CUT_SHARE
    return _first_along(roads, np.where(closed, arrival_s, np.inf).astype(np.float64))


def way_out_s(world: World, ways: Ways, harm: Harm, footprint: Footprint, member: int) -> Floats:
    """Until when the people of each cell have a way out in one future, (place,); +inf where nothing is known of it.

    A shelter or hospital that stands in danger at any time is no way out at any time: who went there would be caught there.
    """
    roads = world.roads
    if not len(roads):
        return np.full(world.grid.cells, np.inf)
    drowns = (ways.exit_place >= 0) & in_danger(footprint, harm, member)[ways.exit_place]
    closes_s = closing_s(roads, harm, footprint.peak[member], footprint.arrival_s[member])
    until = last_way_out_s(
        roads.source, roads.target, closes_s, ways.exits, np.where(drowns, -np.inf, np.inf), roads.node_x_m.size
    )
    return np.where(ways.known, until[ways.node_of], np.inf)


def _way_out_of_town_s(world: World, ways: Ways, harm: Harm, footprint: Footprint, member: int) -> Floats:
    """Until when a street leads from each cell to the twin's edge, (place,); +inf where none does when all is dry."""
    roads, edges = world.roads, ways.exits[: ways.edges]
    open_s, never = np.full(ways.edges, np.inf), np.full(len(roads), np.inf)
    dry = last_way_out_s(roads.source, roads.target, never, edges, open_s, roads.node_x_m.size)[ways.node_of]
    closes_s = closing_s(roads, harm, footprint.peak[member], footprint.arrival_s[member])
    until = last_way_out_s(roads.source, roads.target, closes_s, edges, open_s, roads.node_x_m.size)[ways.node_of]
    return np.where(dry == np.inf, until, np.inf)


def in_danger(footprint: Footprint, harm: Harm, member: int | slice = slice(None)) -> NDArray[np.bool_]:
    """Where people are in danger, (place,) of one future or (member, place) of all."""
    return np.asarray(harm.dangerous(footprint.peak[member]))


def harmed_share(
    footprint: Footprint, harm: Harm, member: int | slice = slice(None), *, indoors: bool = False
) -> NDArray[np.float64]:
    """The share of the people at each place who are harmed, (place,) of one future or (member, place) of all; of those inside, where asked.

    Where walls help nothing, or the model tells nothing of inside, those inside are harmed as those outside.
    """
    field = footprint.peak
    if indoors and harm.indoors is not None:
        field = footprint.companions.get(harm.indoors.name, field)
    return harm.share(field[member])


def stuck(ways: Ways, until_s: Floats, danger: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where people are cut off in one future, (place,): out of danger, and their way out closes."""
    return ways.known & (until_s < np.inf) & ~danger


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

    people_exposed: where the hazard comes at all. people_in_danger: whom it harms, by `harm.share`. people_cut_off: dry, but no passable
    way leads to a shelter, a hospital or out of the twin any more. Figures for which the twin has no layer are left out, and remarked.
    `until_s` is `way_out_s` of each future, where the caller has it already.
    """
    ways = ways or ways_of(world)
    count = footprint.members
    people = world.people(harm.hour(hour))
    danger, harmed = in_danger(footprint, harm), harmed_share(footprint, harm)
    figures: dict[str, Floats] = {}
    units: dict[str, str] = {}
    remarks: list[str] = []

    def tell(name: str, unit: str, values: NDArray[Any]) -> None:
        figures[name], units[name] = np.asarray(values, np.float64), unit

    lived = np.flatnonzero(people > 0)
    tell("people_in_danger", "persons", harmed[:, lived] @ people[lived])
    tell("people_exposed", "persons", np.isfinite(footprint.arrival_s[:, lived]) @ people[lived])
    zones = world.zones
    by_zone = np.zeros((count, len(zones.name)))
    zone = zones.zone_of[lived] % (len(zones.name) + 1)  # those outside all zones are counted last, and left out
    for member in range(count):
        by_zone[member] = np.bincount(zone, harmed[member, lived] * people[lived], len(zones.name) + 1)[:-1]
    buildings = world.assets("buildings")
    if len(buildings) and harm.damage:
        _tell_buildings(tell, footprint, buildings.place, np.array(buildings.sort), buildings.amount, harm)
    else:
        remarks.append("the twin has no buildings or the pack no damage curves: no damage is told")
    roads = world.roads
    if len(roads) and harm.road_speed is not None:
        if until_s is None:
            until_s = [way_out_s(world, ways, harm, footprint, member) for member in range(count)]
        _tell_roads(tell, world, ways, harm, footprint, people, danger, until_s)
        lost = people[~ways.known].sum()
        if lost >= 0.5:
            remarks.append(
                f"{lost:,.0f} people live where the twin's streets lead nowhere even when dry: nothing is known of their way out, and they are "
                "not counted as cut off"
            )
    else:
        remarks.append("the twin has no roads, or the hazard closes none: no closures and nobody cut off is told")
    return Impact(figures, units, zones.name, by_zone, tuple(remarks))


def _tell_buildings(
    tell: Tell, footprint: Footprint, place: NDArray[np.int64], sort: NDArray[np.str_], floor_m2: Floats, harm: Harm
) -> None:
    inside = place >= 0
    place, sort, floor_m2 = place[inside], sort[inside], floor_m2[inside]
    depth = _where_it_came(footprint.peak[:, place], footprint.arrival_s[:, place])
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
    for member in range(count):
        worst = roads.worst_along(_where_it_came(footprint.peak[member], footprint.arrival_s[member]))
        share = curve.share(worst)[ways.once]
        length_km = roads.length_m[ways.once] / 1000.0
        cut[member] = length_km[share >= CUT_SHARE].sum()
        slow[member] = length_km[(share > 0.0) & (share < CUT_SHARE)].sum()
        cut_off[member] = people[stuck(ways, until_s[member], danger[member])].sum()
        # a shelter or hospital is a way out itself, so what counts for a service is whether a street leads from it out of the town
        out_s = _way_out_of_town_s(world, ways, harm, footprint, member) if lost else np.empty(0)
        for kind, assets in services:
            if len(assets):
                here = assets.place[assets.place >= 0]
                lost[kind][member] = (danger[member][here] | (out_s[here] < np.inf)).sum()
    tell("road_km_cut", "km", cut)
    tell("road_km_slowed", "km", slow)
    tell("people_cut_off", "persons", cut_off)
    for kind, values in lost.items():
        tell(f"{kind}_lost", kind, values)
