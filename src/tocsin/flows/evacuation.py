"""Act: what it would take to empty some zones before a hazard comes: how long, who is caught, and which streets hold them up."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.evacuate import Assumptions, Left, Town
from tocsin.decision.impact import in_danger, ways_of
from tocsin.decision.interpret import Course, Done
from tocsin.flows.information import NIGHT_H, ForecastResult
from tocsin.pack import Action, Duration, Effect, Plan
from tocsin.vocabulary import InputError, NotFound
from tocsin.vocabulary.errors import named

BOTTLENECKS_TOLD = 10
AT_ONCE = Duration(0.0, 0.0, 1.0)


class Bottleneck(msgspec.Struct, frozen=True):
    """A street that holds people up: its name and class, the person-hours of waiting that it causes, where it begins (m in the twin's CRS)."""

    street: str
    highway: str
    delay_person_h: float
    x_m: float
    y_m: float


class EvacuationReport(msgspec.Struct, frozen=True):
    """What an evacuation comes to, in persons; the series are at `time_h`, after the order."""

    place: str
    made_up: bool
    zones: tuple[str, ...]
    hour: float
    people: float
    wanted: float
    arrived: float
    caught_on_road: float
    waited: float
    stranded: float
    unhoused: float
    cleared_h: dict[str, float | None]
    time_h: tuple[float, ...]
    set_out: tuple[float, ...]
    on_road: tuple[float, ...]
    arrived_by: tuple[float, ...]
    caught_by: tuple[float, ...]
    by_goal: dict[str, float]
    caught_at: tuple[tuple[str, float], ...]
    bottlenecks: tuple[Bottleneck, ...]
    remarks: tuple[str, ...]


class Evacuated(msgspec.Struct, frozen=True):
    """The report, and by edge of the twin what a map shows: person-hours of waiting that it causes, and persons caught."""

    report: EvacuationReport
    delay_h: NDArray[np.float64]
    caught_at: NDArray[np.float64]


def simulate_evacuation(
    result: ForecastResult,
    *,
    zones: Sequence[str] = (),
    warned_s: float = 0.0,
    moved_s: float | None = None,
    shelters: bool = True,
    hour: float = NIGHT_H,
    assumptions: Assumptions | None = None,
) -> Evacuated:
    """Warn zones at `warned_s` (and have crews move everybody by `moved_s`) in the first future of a forecast, and see who gets out.

    Without `zones` it is those where the forecast puts anybody in danger. `shelters` opens all that the twin has, with the places they have.
    Raises NotFound for a zone that there is not, and InputError where nobody is to be evacuated.
    """
    world, assume = result.world, assumptions or Assumptions()
    if strange := [z for z in zones if z not in world.zones.name]:
        raise NotFound(f"evacuation: no zone {strange[0]!r}; there are: {named(strange[0], world.zones.name)}")
    if moved_s is not None and moved_s < warned_s:
        raise InputError(
            f"evacuation: moved by {moved_s:g} s, warned at {warned_s:g} s; wanted the move to end after the warning"
        )
    footprint, people = result.foreseen.footprint, world.people(hour)
    danger = in_danger(footprint, result.pack.harm, 0)
    chosen = tuple(zones) or tuple(
        name for k, name in enumerate(world.zones.name) if people[(world.zones.zone_of == k) & danger].sum() >= 0.5
    )
    if not chosen:
        raise InputError("evacuation: the forecast puts nobody in a zone in danger; name zones, or ask for a higher level")
    plan, course = _order(result, chosen, warned_s, moved_s, shelters)
    town = Town(world, ways_of(world), result.pack.harm, hour=hour, assumptions=assume)
    left = town.left_in_time(plan, course, footprint, 0)
    numbers = [world.zones.name.index(z) for z in chosen]
    return _told(result, town, left, chosen, hour, float(people[np.isin(world.zones.zone_of, numbers)].sum()))


def _order(
    result: ForecastResult, zones: Sequence[str], warned_s: float, moved_s: float | None, shelters: bool
) -> tuple[Plan, Course]:
    """The order as a plan that has been carried out as it was given."""
    found = result.world.assets("shelters")
    open_ = tuple(
        Effect("open_shelter", name, places) for name, places in zip(found.id, found.amount.tolist(), strict=True) if places > 0
    )
    actions = [Action("warn", "warn", "operator", AT_ONCE, tuple(Effect("warn_people", z) for z in zones))]
    done = [Done("warn", warned_s, warned_s)]
    if moved_s is not None:
        effects = tuple(Effect("move_population", z) for z in zones)
        actions.append(Action("move", "move", "operator", AT_ONCE, effects, gradual=True))
        done.append(Done("move", warned_s, moved_s))
    if shelters and open_:
        actions.append(Action("open shelters", "open", "operator", AT_ONCE, open_))
        done.append(Done("open shelters", warned_s, warned_s))
    return Plan("evacuation", result.pack.hazard, "", tuple(actions)), Course(tuple(done))


def _told(result: ForecastResult, town: Town, left: Left, zones: tuple[str, ...], hour: float, people: float) -> Evacuated:
    roads = result.world.roads
    delay_h = np.zeros(len(roads))
    if town.streets is not None:
        graph = town.streets.graph
        delay_h[graph.least_at(town.streets.capacity_per_s)] = left.delay_h  # the narrowest piece of it
    worst = [int(e) for e in np.argsort(-delay_h, kind="stable")[:BOTTLENECKS_TOLD] if delay_h[e] > 0.05]
    caught: dict[str, float] = {}
    for e in np.flatnonzero(left.caught_at > 0).tolist():
        name = roads.name[e] or roads.highway[e]
        caught[name] = caught.get(name, 0.0) + float(left.caught_at[e])
    assume = town.assume
    remarks = [
        f"planning assumptions, not compared with a source: {', '.join(assume.unverified)}",
        f"{assume.persons_per_vehicle:g} persons a vehicle; of those who are only warned {assume.spreading.reach * assume.readiness.go:.0%} ever leave",
        f"half of those who set out have done so after {_half_h(left):.1f} h",
        "a street's capacity has its lights and junctions in it; accidents, parked cars and panic are in nothing",
    ]
    report = EvacuationReport(
        place=result.place,
        made_up=result.made_up,
        zones=zones,
        hour=hour,
        people=people,
        wanted=left.wanted,
        arrived=left.arrived,
        caught_on_road=left.caught_on_road,
        waited=left.waited,
        stranded=left.stranded,
        unhoused=left.unhoused,
        cleared_h={f"{share:.0%}": _when_h(left, share) for share in (0.5, 0.9, 0.99)},
        time_h=tuple((left.time_s / 3600.0).tolist()),
        set_out=tuple(left.set_out_by.tolist()),
        on_road=tuple(left.on_road_by.tolist()),
        arrived_by=tuple(left.arrived_by.tolist()),
        caught_by=tuple(left.caught_by.tolist()),
        by_goal=dict(left.by_goal),
        caught_at=tuple(sorted(caught.items(), key=lambda item: -item[1])),
        bottlenecks=tuple(
            Bottleneck(
                roads.name[e] or "unnamed", roads.highway[e], float(delay_h[e]),
                float(roads.node_x_m[roads.source[e]]), float(roads.node_y_m[roads.source[e]]),
            )
            for e in worst
        ),
        remarks=tuple(remarks),
    )  # fmt: skip
    return Evacuated(report, delay_h, left.caught_at)


def _when_h(left: Left, share: float) -> float | None:
    """When a share of those who arrive has arrived, h; None where nobody does."""
    if left.arrived_by[-1] <= 0:
        return None
    return float(left.time_s[np.searchsorted(left.arrived_by, share * left.arrived_by[-1])] / 3600.0)


def _half_h(left: Left) -> float:
    return float(left.time_s[np.searchsorted(left.set_out_by, 0.5 * left.set_out_by[-1])] / 3600.0)
