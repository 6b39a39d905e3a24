"""Road traffic as a fluid of vehicles: how long a town takes to drive away, where it jams, and who is caught.

The cell transmission model (Daganzo 1994, Transp. Res. B 28:269-287; 1995, 29:79-93): a street is cut into cells that neither a
free vehicle nor the backward wave crosses in less than a step, and what passes from cell to cell is the smaller of what one can send and the other can take. It converges to the kinematic
wave theory (Lighthill & Whitham 1955; Richards 1956) with a triangular relation of flow and density. It knows no signals, no overtaking and no
accidents: a street's capacity has to have them in it.

A street shorter than a cell (the faster of free speed and backward wave, times the step) is made as long as one: it takes a step to drive and stores what a cell stores.
`Network.stretched_share` says how much street that adds; a smaller step adds less.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.traffic_steps import (
    BECAUSE,
    BEGIN,
    GRAINS,
    LAST,
    MOVE,
    NO_WAY,
    ON,
    ORIGIN,
    ORIGIN_STOP,
    PLACES,
    SOURCE,
    Course,
    Net,
    State,
    Track,
    run,
    ways_to,
)
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)

STEPS_MOST = 10_000_000
CELLS_MOST = 50_000_000
UNLIMITED = 2.0**40  # vehicles
BARRED = -1.0


def wave_speed(speed: ArrayLike, capacity: ArrayLike, jam: ArrayLike) -> Floats:
    """The backward wave of a triangular diagram, in the unit of `speed`: capacity / (jam density - critical density).

    >>> float(wave_speed(20.0, 0.8, 0.2))
    5.0
    """
    v, q, k = (np.asarray(a, np.float64) for a in (speed, capacity, jam))
    return np.asarray(q / (k - q / v))


class Network(msgspec.Struct, frozen=True):
    """Streets between nodes, cut into cells for one step length. Made by `network`; arrays are in the order of the caller's edges."""

    source: Ints
    target: Ints
    length_m: Floats
    speed_m_per_s: Floats
    capacity_per_s: Floats
    jam_per_m: Floats
    nodes: int
    step_s: float
    stretched_share: float
    order: Ints  # link -> edge
    net: Net
    street: Floats

    def __len__(self) -> int:
        return int(self.source.size)

    @property
    def free_s(self) -> Floats:
        """The time that each edge takes when free, as it is modelled, s."""
        free = np.empty(len(self))
        cells = self.net.link[:, LAST] + 1 - self.net.link[:, BEGIN]
        free[self.order] = cells * self.step_s / self.street[:, MOVE]
        return free


def network(
    source: ArrayLike,
    target: ArrayLike,
    length_m: ArrayLike,
    speed_m_per_s: ArrayLike,
    capacity_per_s: ArrayLike,
    jam_per_m: ArrayLike,
    *,
    nodes: int,
    step_s: float,
    entry_weight_per_s: float | None = None,
) -> Network:
    """Cut streets into cells.

    `capacity_per_s` and `jam_per_m` are of all lanes together. `entry_weight_per_s` is what those who set out at a node count against the
    capacity of the streets that come in there, veh/s; None is the largest capacity that leaves the node, as if their gateway were such a street.
    Raises InputError where a diagram is none: wanted capacity < speed x jam density.
    """
    a, b = np.asarray(source, np.int64), np.asarray(target, np.int64)
    long, v, q, k = (np.asarray(x, np.float64) for x in (length_m, speed_m_per_s, capacity_per_s, jam_per_m))
    if len({x.size for x in (a, b, long, v, q, k)}) != 1 or not a.size:
        raise InputError(
            f"network: columns of {sorted({x.size for x in (a, b, long, v, q, k)})} edges; wanted one length, 1 or more"
        )
    if not (0.01 <= step_s <= 600.0):
        raise InputError(f"network: step {step_s} s; wanted 0.01..600")
    if a.min() < 0 or b.min() < 0 or max(a.max(), b.max()) >= nodes:
        raise InputError(f"network: edges between nodes {min(a.min(), b.min())}..{max(a.max(), b.max())}; wanted 0..{nodes - 1}")
    for name, x in (("length_m", long), ("speed_m_per_s", v), ("capacity_per_s", q), ("jam_per_m", k)):
        bad = np.flatnonzero(~(np.isfinite(x) & (x > 0)))
        if bad.size:
            raise InputError(
                f"network: edge {bad[0]} has {name} {x[bad[0]]}; wanted a number above 0 (so have {bad.size - 1} more)"
            )
    w = wave_speed(v, q, k)
    bad = np.flatnonzero(~(w > 0))
    if bad.size:
        e = bad[0]
        raise InputError(
            f"network: edge {e} with {v[e]:g} m/s, {q[e]:g} veh/s and {k[e]:g} veh/m has no backward wave; wanted a capacity below "
            f"speed x jam density, {v[e] * k[e]:g} veh/s: lower the capacity or raise the jam density"
        )
    order = np.lexsort((np.arange(a.size), b))
    whole = np.maximum(v, w) * step_s
    cells = np.maximum(1, np.floor(long / whole + 1e-9)).astype(np.int64)
    if cells.sum() > CELLS_MOST:
        raise InputError(f"network: {cells.sum():,} cells; wanted at most {CELLS_MOST:,}: use a longer step")
    modelled = np.maximum(long, whole)
    cell_m = modelled / cells
    head, tail = b[order], a[order]
    in_start = np.searchsorted(head, np.arange(nodes + 1))
    by_tail = np.lexsort((np.arange(a.size), tail))
    out_start = np.searchsorted(tail[by_tail], np.arange(nodes + 1))
    slot = np.empty(a.size, np.int64)
    slot[by_tail] = np.arange(a.size) - out_start[tail[by_tail]]
    flow = (q * step_s)[order]
    weight = np.zeros(nodes)
    if entry_weight_per_s is None:
        np.maximum.at(weight, tail, flow)
        weight[weight == 0.0] = 1.0  # nothing leaves the node, but who is there may arrive there
    else:
        weight[:] = entry_weight_per_s * step_s
    begin = np.append(0, np.cumsum(cells[order]))
    net = Net(
        _in_lines(np.column_stack([begin[:-1], begin[1:] - 1, head, slot]).astype(np.int32)),
        tail.astype(np.int32),
        _in_lines(
            np.column_stack([in_start[:-1], in_start[1:], out_start[:-1], out_start[1:], *np.zeros((4, nodes))]).astype(np.int32)
        ),
        by_tail.astype(np.int32),
        np.column_stack([np.full(nodes, UNLIMITED), weight, np.full(nodes, UNLIMITED)]),
        int(max(np.diff(in_start).max(), np.diff(out_start).max())),
    )
    room = np.floor(k * cell_m * GRAINS)[order] / GRAINS
    street = np.column_stack(
        [
            np.minimum(1.0, (v * step_s / cell_m)[order]),
            flow,
            np.minimum(1.0, (w * step_s / cell_m)[order]),
            room,
            *np.zeros((2, a.size)),
            np.full(a.size, float(SOURCE)),
            np.zeros(a.size),
        ]
    )
    return Network(
        a, b, long, v, q, k, nodes, step_s, float(modelled.sum() / long.sum() - 1.0), order.astype(np.int64), net, street
    )


def quickest_s(roads: Network, ends: ArrayLike) -> Floats:
    """The time from every node to the nearest end on empty streets, s; +inf where no way leads."""
    is_end = np.zeros(roads.nodes, bool)
    is_end[np.asarray(ends, np.int64)] = True
    link, time_s = np.empty(roads.nodes, np.int64), np.empty(roads.nodes)
    ways_to(roads.net.node, roads.net.tail, roads.free_s[roads.order], is_end, roads.step_s, link, time_s)
    return time_s


class Trips(msgspec.Struct, frozen=True):
    """Who sets out: packets of vehicles, each at a time from an origin for a bound. Origins stand at nodes and shut at `shuts_s` (+inf: never)."""

    origin_node: Ints
    shuts_s: Floats
    time_s: Floats
    origin: Ints
    bound: Ints
    vehicles: Floats


class Goals(msgspec.Struct, frozen=True):
    """Where it is safe. Goal e is at `node` with `places` for vehicles (+inf: no limit); bound d may end at it where `serves[d, e]`.

    Who is of a bound drives to whichever of its goals is nearest in time. Where none is open and in reach, he drives as bound `instead[d]`
    does (-1: he has no other). So one bound of all goals is "to safety, wherever", and one bound for each goal is routing by destination.
    """

    node: Ints
    places: Floats
    serves: Bools
    instead: tuple[int, ...]


class Changes(msgspec.Struct, frozen=True):
    """What becomes of streets: from `time_s` on `edge` has `share` of its dry speed.

    0 closes it, and who is on it is caught: water. BARRED keeps everybody from being sent in, and who is on it drives on: a barrier. Neither ends.
    """

    time_s: Floats
    edge: Ints
    share: Floats


NO_CHANGES = Changes(np.empty(0), np.empty(0, np.int64), np.empty(0))


class Flow(msgspec.Struct, frozen=True):
    """What came of it, in vehicles.

    Series at `time_s`: `set_out` (entered the roads or arrived at once), `waiting` (wants to, and the road is full), `on_road`, `caught`, and
    `arrived` (record, goal). By origin: `left` and `stayed` (still waited when it shut) and `held_back` (still waits at the end). By edge: `caught_on` and
    `delay_h`, the vehicle-hours of waiting that the street caused, wherever they were waited.
    """

    time_s: Floats
    set_out: Floats
    waiting: Floats
    on_road: Floats
    caught: Floats
    arrived: Floats
    left: Floats
    stayed: Floats
    held_back: Floats
    caught_on: Floats
    delay_h: Floats
    stranded: Floats  # (edge,) on the road at the end
    arrived_by_bound: Floats  # (goal, bound)
    steps: int
    trees: int
    street_steps: int


def drive(
    roads: Network,
    trips: Trips,
    goals: Goals,
    *,
    duration_s: float,
    changes: Changes = NO_CHANGES,
    record_s: float = 60.0,
    reroute_s: float = 300.0,
    heed_jams: bool = False,
    threads: int = 1,
) -> Flow:
    """Let the vehicles drive. The same arguments give the same answer, bit by bit, with any number of threads.

    Ways are those that are quickest at that moment, by the streets that are then open at the speeds that they then have when free, and with
    `heed_jams` at the speeds of the traffic; they are found anew every `reroute_s` if anything that lies on one has changed, and at once
    when a goal is full. Nobody knows what will close. `threads` above 1 pays from some ten thousand busy streets on, and only where nothing else
    of the process runs such a kernel at the time.
    """
    dt = roads.step_s
    steps = round(duration_s / dt)
    if not 1 <= steps <= STEPS_MOST:
        raise InputError(f"traffic: {duration_s} s in steps of {dt} s is {steps:,} steps; wanted 1..{STEPS_MOST:,}")
    if not (record_s >= dt and reroute_s >= dt):
        raise InputError(f"traffic: records every {record_s} s, ways every {reroute_s} s; wanted no less than the step, {dt} s")
    if not 1 <= threads <= 64:
        raise InputError(f"traffic: {threads} threads; wanted 1..64")
    _check(roads, trips, goals, changes)
    nodes, count, bounds = roads.nodes, len(roads), goals.serves.shape[0]
    by_node = np.argsort(trips.origin_node, kind="stable")
    rank = np.empty(by_node.size, np.int64)
    rank[by_node] = np.arange(by_node.size)
    origin_node = trips.origin_node[by_node].astype(np.int64)
    node = _in_lines(roads.net.node)
    node[:, ORIGIN] = np.searchsorted(origin_node, np.arange(nodes))
    node[:, ORIGIN_STOP] = np.searchsorted(origin_node, np.arange(nodes), side="right")
    net = roads.net._replace(node=node)
    edge_link = np.empty(count, np.int64)
    edge_link[roads.order] = np.arange(count)

    places = np.zeros(nodes)
    np.add.at(places, goals.node, np.minimum(goals.places, UNLIMITED))
    places = np.floor(places * GRAINS) / GRAINS
    is_end = np.zeros((bounds, nodes), bool)
    for d in range(bounds):
        is_end[d, goals.node[goals.serves[d]]] = True
    course = _course(trips, changes, goals, rank, origin_node, edge_link, is_end, steps, dt)
    state = _state(roads, bounds, by_node.size, places, threads)
    every = max(1, round(record_s / dt))
    records = np.append(np.arange(every, steps, every), steps).astype(np.int64)
    track = Track(
        step=records,
        set_out=np.zeros(records.size),
        on_road=np.zeros(records.size),
        waiting=np.zeros(records.size),
        caught=np.zeros(records.size),
        arrived=np.zeros((records.size, course.end_node.size)),
        caught_on=np.zeros(count),
        stayed=np.zeros(by_node.size),
        counts=np.zeros(3, np.int64),
    )
    arguments = (net, state, course, track, dt, steps, max(1, round(reroute_s / dt)), heed_jams)
    if threads == 1:
        run(*arguments, 0, 1)
    else:
        with ThreadPoolExecutor(threads - 1) as pool:
            others = [pool.submit(run, *arguments, number, threads) for number in range(1, threads)]
            run(*arguments, 0, threads)
            for other in others:
                other.result()

    def by_edge(of_link: Floats) -> Floats:
        made = np.empty(count)
        made[roads.order] = of_link
        return made

    return Flow(
        time_s=np.append(0.0, records * dt),
        set_out=np.append(0.0, track.set_out),
        waiting=np.append(0.0, track.waiting),
        on_road=np.append(0.0, track.on_road),
        caught=np.append(0.0, track.caught),
        arrived=np.vstack([np.zeros(course.end_node.size), track.arrived]),
        left=state.set_out[rank],
        stayed=track.stayed[rank],
        held_back=state.queue.sum(axis=1)[rank],
        caught_on=by_edge(track.caught_on),
        delay_h=by_edge(state.caused) * dt / 3600.0,
        stranded=by_edge(state.street[:, ON]),
        arrived_by_bound=state.arrived[course.end_node],
        steps=int(track.counts[0]),
        trees=int(track.counts[1]) * bounds,
        street_steps=int(track.counts[2]),
    )


def _check(roads: Network, trips: Trips, goals: Goals, changes: Changes) -> None:
    bounds = goals.serves.shape[0]
    if goals.serves.shape != (bounds, goals.node.size) or len(goals.instead) != bounds or goals.places.size != goals.node.size:
        raise InputError(
            f"goals: {goals.node.size} goals, serves {goals.serves.shape}, {len(goals.instead)} instead; wanted (bound, goal)"
        )
    if np.unique(goals.node).size != goals.node.size:
        raise InputError("goals: two goals at one node; add them up into one")
    for what, values, low, high in (
        ("a goal's node", goals.node, 0, roads.nodes),
        ("an origin's node", trips.origin_node, 0, roads.nodes),
        ("a trip's origin", trips.origin, 0, trips.origin_node.size),
        ("a trip's bound", trips.bound, 0, bounds),
        ("a change's edge", changes.edge, 0, len(roads)),
    ):
        if values.size and not (values.min() >= low and values.max() < high):
            raise InputError(f"traffic: {what} is in {values.min()}..{values.max()}; wanted {low}..{high - 1}")
    if not (np.isfinite(trips.time_s).all() and np.isfinite(trips.vehicles).all() and (trips.vehicles >= 0).all()):
        raise InputError(
            "trips: a time or a number of vehicles is not finite or below 0; wanted times in s and vehicles of 0 or more"
        )
    if trips.vehicles.sum() > 2.0**31:
        raise InputError(f"trips: {trips.vehicles.sum():g} vehicles; wanted fewer than 2^31")
    for d, other in enumerate(goals.instead):
        if not -1 <= other < bounds or (other >= 0 and goals.instead[other] >= 0):
            raise InputError(f"goals: bound {d} is to drive as bound {other} instead; wanted -1 or a bound that has none itself")


def _course(
    trips: Trips,
    changes: Changes,
    goals: Goals,
    rank: Ints,
    origin_node: Ints,
    edge_link: Ints,
    is_end: Bools,
    steps: int,
    dt: float,
) -> Course:
    shuts = np.minimum(np.ceil(np.maximum(trips.shuts_s, 0.0) / dt), steps + 1)
    begins = np.ceil(np.maximum(trips.time_s, 0.0) / dt)
    vehicles = np.floor(trips.vehicles * GRAINS) / GRAINS
    going = np.flatnonzero((begins < np.minimum(shuts[trips.origin], steps)) & (vehicles > 0))
    going = going[np.lexsort((rank[trips.origin[going]], begins[going]))]
    coming = np.flatnonzero(changes.time_s < steps * dt)
    coming = coming[np.argsort(changes.time_s[coming], kind="stable")]
    shutting = np.flatnonzero(shuts <= steps)
    shutting = shutting[np.argsort(shuts[shutting], kind="stable")]
    return Course(
        begins[going].astype(np.int64),
        rank[trips.origin[going]],
        trips.bound[going].astype(np.int64),
        vehicles[going],
        np.floor(np.maximum(changes.time_s[coming], 0.0) / dt).astype(np.int64),
        edge_link[changes.edge[coming]],
        changes.share[coming].astype(np.float64),
        shuts[shutting].astype(np.int64),
        rank[shutting],
        origin_node,
        is_end,
        np.asarray(goals.instead, np.int64),
        goals.node[goals.places < UNLIMITED].astype(np.int64),
        goals.node.astype(np.int64),
    )


def _in_lines(rows: NDArray[T]) -> NDArray[T]:
    """A copy whose rows begin where the processor's lines of 64 bytes do, as far as their length allows: a row is then one line, not two."""
    raw = np.zeros(rows.nbytes + 64, np.uint8)
    first = -raw.ctypes.data % 64
    copy = raw[first : first + rows.nbytes].view(rows.dtype).reshape(rows.shape)
    copy[:] = rows
    return copy


def _state(roads: Network, bounds: int, origins: int, places: Floats, threads: int) -> State:
    count, nodes, cells = len(roads), roads.nodes, int(roads.net.link[-1, LAST]) + 1
    gate = _in_lines(np.zeros((nodes, 8)))
    gate[:, PLACES], gate[:, BECAUSE] = places, SOURCE
    return State(
        cell=np.zeros((cells, bounds + 1)),
        street=_in_lines(roads.street),
        barred=np.zeros(count, bool),
        flux=np.zeros((count, 2 * bounds)),
        next_link=np.full((nodes, bounds), NO_WAY, np.int32),
        queue=np.zeros((origins, bounds)),
        set_out=np.zeros(origins),
        waiting=np.zeros((nodes, bounds)),
        gate=gate,
        arrived=np.zeros((nodes, bounds)),
        caused=np.zeros(count),
        busy_link=np.zeros(count, np.int64),
        busy_node=np.zeros(nodes, np.int64),
        queue_node=np.zeros(nodes, np.int64),
        counter=np.zeros(8, np.int64),
        moved=np.zeros(threads),
        sync=np.zeros(3, np.int64),
    )
