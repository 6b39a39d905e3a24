"""A twin's streets as traffic sees them: lanes and capacities by class, a smaller graph with the same streets, and where it is safe."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.impact import Ways
from tocsin.science.contraction import Contracted, contract
from tocsin.science.traffic import Network, network
from tocsin.vocabulary import InputError, World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Lanes in one direction and vehicles an hour and lane, by class of highway. Source: MATSim, contrib osm, LinkProperties (defaults of its
# OpenStreetMap reader); `service` as MATSim's JOSM plugin has it. They are flows through a street with its junctions and lights; a twin has no lanes.
LANES_AND_CAPACITY: dict[str, tuple[float, float]] = {
    "motorway": (2, 2000), "motorway_link": (1, 1500), "trunk": (1, 2000), "trunk_link": (1, 1500), "primary": (1, 1500),
    "primary_link": (1, 1500), "secondary": (1, 800), "secondary_link": (1, 800), "tertiary": (1, 600), "tertiary_link": (1, 600),
    "unclassified": (1, 600), "residential": (1, 600), "living_street": (1, 300), "service": (1, 300),
}  # fmt: skip
USUAL = (1.0, 600.0)
# Vehicles per metre and lane at standstill: 160 a mile, the default of LifeSim (USACE RMC, Technical Reference Manual, table "Road
# classification data defaults").
JAM_PER_M = 160.0 / 1609.344
ACCESS_M = 150.0  # nobody's door is moved further than this along his street
STEP_S = 10.0  # LifeSim's default evacuation time step; 20 s takes half the time, for ensembles (docs/science/evacuation.md says what it costs)


class Streets(msgspec.Struct, frozen=True):
    """Streets for traffic. `node_of` (place,) is where the people of each cell enter, -1 where they cannot; `door` is their node in the twin.

    Goals are nodes: `out` those where a street leaves the twin, `shelters` by asset, -1 where no street leads there.
    """

    roads: Network
    graph: Contracted
    node_of: Ints
    door: Ints
    out: Ints
    shelters: Ints
    whole_length_m: float
    dry_s: Floats  # (edge,) of the twin, when free
    capacity_per_s: Floats  # (edge,) of the twin

    def entry_shuts_s(self, closes_s: Floats) -> Floats:
        """Until when the people of each node of the twin come from their door to the graph, (node,)."""
        return self.graph.least_on_access(closes_s)


def streets_of(world: World, ways: Ways, *, reduced: bool = True, step_s: float = STEP_S) -> Streets:
    """The streets from which a way out of the twin or to a shelter leads, as cells. Raises InputError where there is none.

    `reduced` contracts streets without a junction and takes off short dead ends; what that costs is in docs/science/evacuation.md.
    """
    roads = world.roads
    if not len(roads):
        raise InputError("evacuation: the twin has no roads; build it with --roads")
    nodes = roads.node_x_m.size
    source, target = roads.source.astype(np.int64), roads.target.astype(np.int64)
    shelters, out = _goal_nodes(world, ways)
    ends = np.zeros(nodes, bool)
    ends[out] = True
    ends[shelters[shelters >= 0]] = True
    leads = _leads_to(ends, source, target)
    usable = leads[target] & leads[source] & (source != target)
    if not usable.any():
        raise InputError(
            "evacuation: no street leads out of the twin or to a shelter; give the twin a larger extent, or shelters"
        )
    door = _doors(world, ways, leads)
    inhabited = np.zeros(nodes, bool)
    lived = np.flatnonzero((world.people(3.0) > 0) | (world.people(12.0) > 0))
    inhabited[door[lived][door[lived] >= 0]] = True
    keep = ends if reduced else np.ones(nodes, bool)
    graph = contract(
        source, target, roads.length_m, keep=keep, inhabited=inhabited, usable=usable, access_m=ACCESS_M if reduced else 0.0
    )
    lanes, per_s = _lanes(world)
    made = _network(world, graph, lanes, per_s, step_s)
    new = np.full(nodes, -1, np.int64)
    new[graph.kept] = np.arange(graph.kept.size)
    return Streets(
        roads=made,
        graph=graph,
        node_of=np.where(door >= 0, graph.node_of[door], -1),
        door=door,
        out=new[out][new[out] >= 0],
        shelters=np.where(shelters >= 0, new[shelters], -1),
        whole_length_m=float(roads.length_m[usable].sum()),
        dry_s=roads.length_m / (roads.speed_km_per_h / 3.6),
        capacity_per_s=lanes * per_s,
    )


def _goal_nodes(world: World, ways: Ways) -> tuple[Ints, Ints]:
    """The node of each shelter, -1 where it lies outside, and those where streets leave the twin. No shelter takes the place of a way out."""
    from scipy.spatial import cKDTree

    found = world.assets("shelters")
    shelters = np.full(len(found), -1, np.int64)
    inside = found.place >= 0
    out = np.unique(ways.exits[: ways.edges])
    within = np.setdiff1d(np.arange(world.roads.node_x_m.size), out)
    if inside.any() and within.size:
        tree = cKDTree(np.column_stack([world.roads.node_x_m[within], world.roads.node_y_m[within]]))
        shelters[inside] = within[tree.query(np.column_stack([found.x_m[inside], found.y_m[inside]]))[1]]
    return shelters, out


def _leads_to(ends: Bools, source: Ints, target: Ints) -> Bools:
    """The nodes from which a goal can be driven to."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order

    nodes = ends.size
    goals = np.flatnonzero(ends)
    tails = np.concatenate([target, np.full(goals.size, nodes)])  # against the direction of driving, from a hub before all goals
    heads = np.concatenate([source, goals])
    graph = coo_matrix((np.ones(tails.size), (tails, heads)), shape=(nodes + 1, nodes + 1)).tocsr()
    found = np.zeros(nodes + 1, bool)
    found[breadth_first_order(graph, nodes, directed=True, return_predecessors=False)] = True
    return found[:nodes]


def _doors(world: World, ways: Ways, leads: Bools) -> Ints:
    """The node at which the people of each cell step out, (place,): the nearest from which a goal can be driven to; -1 where nothing is known."""
    from scipy.spatial import cKDTree

    roads, grid = world.roads, world.grid
    good = np.flatnonzero(leads)
    door = np.where(leads[ways.node_of], ways.node_of, -1)
    lost = np.flatnonzero((door < 0) & ways.known)
    if lost.size:
        tree = cKDTree(np.column_stack([roads.node_x_m[good], roads.node_y_m[good]]))
        door[lost] = good[tree.query(np.column_stack(grid.centre(lost)))[1]]
    return np.where(ways.known, door, -1)


def _lanes(world: World) -> tuple[Floats, Floats]:
    """Lanes and vehicles a second and lane of each edge, by its class."""
    kinds = sorted(set(world.roads.highway))
    table = np.array([LANES_AND_CAPACITY.get(kind, USUAL) for kind in kinds])
    row = np.searchsorted(kinds, world.roads.highway)
    return table[row, 0], table[row, 1] / 3600.0


def _network(world: World, graph: Contracted, lanes: Floats, per_s: Floats, step_s: float) -> Network:
    """Cells for the links of the smaller graph: lengths, times and room add up, the narrowest edge is the capacity."""
    roads = world.roads
    length_m = graph.total(roads.length_m)
    return network(
        graph.source,
        graph.target,
        length_m,
        length_m / graph.total(roads.length_m / (roads.speed_km_per_h / 3.6)),
        graph.least(lanes * per_s),
        graph.total(lanes * JAM_PER_M * roads.length_m) / length_m,
        nodes=graph.kept.size,
        step_s=step_s,
    )
