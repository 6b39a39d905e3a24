"""Act: which unit goes to which task, which tours vehicles drive, which shelters to open, over streets that a hazard closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.allocate import Allocation, Demand, Relaxation, Sites, Supply, allocate, choose_sites
from tocsin.decision.roads import Drive, drive_of
from tocsin.decision.tours import Stop, Tours, Vehicle, plan_tours
from tocsin.flows.information import NIGHT_H, ForecastResult
from tocsin.pack import Harm
from tocsin.platform.twin.vectors import Table
from tocsin.science.travel import way
from tocsin.vocabulary import InputError, World

Floats = NDArray[np.float64]
ROWS_MOST = 5_000
PLACED = ("name", "kind", "lon", "lat", "longitude", "latitude", "lng", "id", "h3")
COLUMNS = {  # what a file of units, and one of tasks, may say
    "units": (*PLACED, "amount", "type", "carries", "shift_min"),
    "tasks": (*PLACED, "amount", "type", "weight", "limit_min", "service_min"),
}


class Unit(msgspec.Struct, frozen=True):
    """A unit, or several alike, where they stand: what kind they are, what they can do (`type` 1 most), and how much each carries."""

    name: str
    kind: str
    x_m: float
    y_m: float
    amount: int = 1
    type: int = 1
    carries: int = 1_000_000
    shift_min: float = 24 * 60.0


class Task(msgspec.Struct, frozen=True):
    """Something to be done at a place: by how many of what kind, at least of `type`, how soon, how long it takes; what weighs more comes first."""

    name: str
    kind: str
    x_m: float
    y_m: float
    amount: int = 1
    type: int = 4
    weight: float = 1.0
    limit_min: float = np.inf
    service_min: float = 10.0


class Leg(msgspec.Struct, frozen=True):
    """So many of a unit go to a task, in so many minutes, over these points (lon, lat are the caller's to make of x and y)."""

    unit: str
    task: str
    amount: float
    minutes: float
    x_m: tuple[float, ...]
    y_m: tuple[float, ...]


class Dispatched(msgspec.Struct, frozen=True):
    """Who goes where and by which way; what is left, what is binding, what would help."""

    legs: tuple[Leg, ...]
    unserved: dict[str, float]
    allocation: Allocation


class Opened(msgspec.Struct, frozen=True):
    """Which shelters to open, how many people go to each from which zone, and what one more shelter would bring."""

    shelters: tuple[str, ...]
    people: dict[str, dict[str, float]]
    unserved: dict[str, float]
    minutes_mean: float
    one_more_serves: float
    one_more_saves_person_h: float
    sites: Sites


def streets(world: World, harm: Harm, forecast: ForecastResult | None = None) -> Drive:
    """The streets of a world, dry, or as a forecast leaves them to crews."""
    return drive_of(world, harm, None if forecast is None else forecast.foreseen.footprint)


def units_from(table: Table) -> tuple[Unit, ...]:
    """Units from a file: columns name and kind; amount, type, carries, shift_min where they differ from the usual."""
    names, kinds, x_m, y_m = _columns(table, "unit")
    more = [table.numbers("amount", usual=1, low=1, high=10_000), table.numbers("type", usual=1, low=1, high=9)]
    more += [
        table.numbers("carries", usual=1_000_000, high=1e9),
        table.numbers("shift_min", usual=1440.0, low=1.0, high=144_000.0),
    ]
    return tuple(
        Unit(n, k, x, y, int(a), int(t), int(c), float(s))
        for n, k, x, y, a, t, c, s in zip(names, kinds, x_m, y_m, *more, strict=True)
    )


def tasks_from(table: Table) -> tuple[Task, ...]:
    """Tasks from a file: columns name and kind; amount, type, weight, limit_min, service_min where they differ from the usual."""
    names, kinds, x_m, y_m = _columns(table, "task")
    more = [table.numbers("amount", usual=1, low=0, high=1e6), table.numbers("type", usual=4, low=1, high=9)]
    more += [table.numbers("weight", usual=1.0, low=1e-6, high=1e6), table.numbers("limit_min", usual=np.inf, high=np.inf)]
    more.append(table.numbers("service_min", usual=10.0, high=1440.0))
    rows = zip(names, kinds, x_m, y_m, *more, strict=True)
    return tuple(Task(n, k, x, y, int(a), int(t), float(w), float(m), float(s)) for n, k, x, y, a, t, w, m, s in rows)


def outside(told: Table, kept: Table) -> tuple[str, ...]:
    """The names of the rows that were told and are not among those that were kept, since they lie outside the twin."""
    inside = set(kept.row.tolist())
    names = told.columns.get("name")
    return tuple(
        f"row {row + 1}" if names is None else str(names[k]) for k, row in enumerate(told.row.tolist()) if row not in inside
    )


def send(drive: Drive, units: Sequence[Unit], tasks: Sequence[Task], *, departure_s: float = 0.0, threads: int = 1) -> Dispatched:
    """Send units to tasks: as much as can be served, the heavier first, then in the least time."""
    _count(units, tasks)
    start, goal = _nodes(drive, units), _nodes(drive, tasks)
    found = drive.times(start, goal, departure_s=departure_s, with_ways=True, threads=threads)
    supplies = [Supply(u.name, u.kind, float(u.amount), u.type) for u in units]
    demands = [Demand(t.name, t.kind, float(t.amount), t.type, t.weight, t.limit_min * 60.0) for t in tasks]
    allocation = allocate(supplies, demands, found.time_s)
    legs = []
    for k, j in np.argwhere(allocation.amount > 0).tolist():
        over = way(drive.network, found, k, int(goal[j]))
        nodes = np.concatenate([start[k : k + 1], drive.network.head[over]])
        x_m, y_m = (tuple(float(v) for v in column[nodes]) for column in (drive.node_x_m, drive.node_y_m))
        legs.append(Leg(units[k].name, tasks[j].name, float(allocation.amount[k, j]), float(found.time_s[k, j]) / 60.0, x_m, y_m))
    left = {t.name: float(u) for t, u in zip(tasks, allocation.unserved, strict=True) if u > 0}
    return Dispatched(tuple(legs), left, allocation)


def tour(
    drive: Drive,
    units: Sequence[Unit],
    tasks: Sequence[Task],
    *,
    seconds: float = 5.0,
    iterations: int | None = None,
    seed: int = 0,
    departure_s: float = 0.0,
    before: Tours | None = None,
    threads: int = 1,
) -> Tours:
    """Plan tours: each unit visits many tasks and comes back. All are of one kind, `amount` of a task is what it loads."""
    _count(units, tasks)
    kinds = {u.kind for u in units} | {t.kind for t in tasks}
    if len(kinds) > 1:
        raise InputError(f"tours: kinds {', '.join(sorted(kinds))}; wanted one: plan a tour for each kind")
    nodes = np.concatenate([_nodes(drive, units), _nodes(drive, tasks)])
    time_s = drive.times(nodes, nodes, departure_s=departure_s, threads=threads).time_s
    vehicles = [Vehicle(u.name, k, u.carries, u.amount, u.shift_min * 60.0) for k, u in enumerate(units)]
    stops = [
        Stop(t.name, len(units) + k, t.amount, t.service_min * 60.0, 0.0, min(t.limit_min * 60.0, 86_400.0), t.weight)
        for k, t in enumerate(tasks)
    ]
    return plan_tours(vehicles, stops, time_s, seconds=seconds, iterations=iterations, seed=seed, before=before)


def must_have_shelters(world: World, zones: Sequence[str]) -> None:
    """Raises InputError where the twin has no shelter to choose, NotFound where it has no such zone."""
    if not len(world.assets("shelters")):
        raise InputError("shelters: the twin has none; build it with --assets shelters=FILE (docs/guide/twin.md)")
    for zone in zones:
        world.zones.places(zone)


def open_shelters(
    world: World,
    drive: Drive,
    *,
    zones: Sequence[str],
    most: int,
    share: float = 1.0,
    hour: float = NIGHT_H,
    limit_min: float = np.inf,
    danger: NDArray[np.bool_] | None = None,
    departure_s: float = 0.0,
    threads: int = 1,
) -> Opened:
    """Which shelters to open for the people of some zones (`share` of them come), none that stands where `danger` is, (place,)."""
    must_have_shelters(world, zones)
    shelters = world.assets("shelters")
    if not zones or not 0 < share <= 1:
        raise InputError(
            f"shelters: {len(zones)} zones, share {share}; wanted one zone or more, and a share above 0 and at most 1"
        )
    people = world.people(hour)
    centre = np.array([_middle(world, people, name) for name in zones])
    demand = np.array([float(people[world.zones.places(name)].sum()) * share for name in zones])
    capacity = shelters.amount.astype(np.float64).copy()
    if danger is not None:
        capacity[(shelters.place >= 0) & danger[shelters.place]] = 0.0
    from_, to = drive.nearest(centre[:, 0], centre[:, 1]), drive.nearest(shelters.x_m, shelters.y_m)
    time_s = drive.times(from_, to, departure_s=departure_s, threads=threads).time_s.T
    sites = choose_sites(capacity, demand, time_s, most=most, limit_s=limit_min * 60.0)
    served = float(sites.amount.sum())
    label = [shelters.name[k] or shelters.id[k] for k in range(len(shelters))]
    return Opened(
        tuple(label[k] for k in sites.opened),
        {
            label[k]: {zones[j]: float(sites.amount[k, j]) for j in np.flatnonzero(sites.amount[k] > 0).tolist()}
            for k in sites.opened
        },
        {zones[j]: float(u) for j, u in enumerate(sites.unserved) if u > 0},
        sites.total_s / served / 60.0 if served else 0.0,
        sites.one_more_serves,
        sites.one_more_saves_s / 3600.0,
        sites,
    )


def _middle(world: World, people: Floats, zone: str) -> tuple[float, float]:
    """Where the people of a zone live on average; the middle of its cells where nobody does."""
    here = world.zones.places(zone)
    x_m, y_m = world.grid.centre(here)
    weight = people[here] if people[here].sum() > 0 else np.ones(here.size)
    return float(np.average(x_m, weights=weight)), float(np.average(y_m, weights=weight))


def _nodes(drive: Drive, rows: Sequence[Unit] | Sequence[Task]) -> NDArray[np.int64]:
    return drive.nearest(np.array([row.x_m for row in rows]), np.array([row.y_m for row in rows]))


def _count(units: Sequence[Unit], tasks: Sequence[Task]) -> None:
    if not units or not tasks or max(len(units), len(tasks)) > ROWS_MOST:
        raise InputError(f"dispatch: {len(units):,} units, {len(tasks):,} tasks; wanted 1..{ROWS_MOST:,} of each")


def _columns(table: Table, what: str) -> tuple[list[str], list[str], list[float], list[float]]:
    names, kinds = table.texts("name"), table.texts("kind", "any")
    if (empty := next((k for k, name in enumerate(names) if not name), None)) is not None:
        raise InputError(f"{table.where(empty)}: a {what} without a name; give each row one in the column `name`")
    import shapely

    points = shapely.point_on_surface(table.geometry)
    return names, kinds, shapely.get_x(points).tolist(), shapely.get_y(points).tolist()


def relaxations_in_words(relaxations: Sequence[Relaxation]) -> list[str]:
    """Each way to serve everybody as a line for people."""
    return [f"{r.what}: {r.by / 60:,.0f} min" if r.unit == "s" else f"{r.what}: {r.by:,.0f}" for r in relaxations]


def facts_of(dispatched: Dispatched) -> Mapping[str, object]:
    """A dispatch as plain data."""
    return {
        "legs": msgspec.to_builtins(dispatched.legs),
        "unserved": dispatched.unserved,
        "binding": msgspec.to_builtins(dispatched.allocation.binding),
        "relaxations": msgspec.to_builtins(dispatched.allocation.relaxations),
        "total_min": dispatched.allocation.total_s / 60.0,
    }
