"""What can be done about a flood: templates that fit themselves to a twin's zones, shelters and barriers.

Durations and costs are planning assumptions, marked `unverified`: an operations centre replaces them by its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.spatial import cKDTree

from tocsin.pack import Action, Duration, Effect, Plan
from tocsin.pack.templates import all_options, opening_shelters
from tocsin.packs.flood.quantities import ELEVATION
from tocsin.vocabulary import Level, World

ZONES_MOST = 5
OPTION_ZONES_MOST = 20
RISE_M = 6.0  # how far a water body may rise in a flood that a plan is made for: a planning assumption (unverified)
PROTECTED = ("substations", "water_works", "pumping_stations")  # what can be kept dry by sandbags, the one that others need first
UNVERIFIED = "durations, crews and costs: planning assumptions (unverified)"
WATCH = Action(
    name="watch",
    do="Go on watching gauges and forecast; look again in an hour",
    role="operator",
    duration=Duration(60.0, 60.0, 60.0),
)


def _warn(cost: float = 500.0) -> Action:
    return Action(
        name="warn everybody",
        do="Warn the public by all channels: leave low ground, do not drive through water",
        role="commander",
        duration=Duration(10.0, 15.0, 30.0),
        effects=(Effect("warn_people", "all", 1.0),),
        cost=cost,
    )


def _evacuate(zone: str) -> Action:
    return Action(
        name=f"evacuate {zone}",
        do=f"Move the people of {zone} to shelters and higher ground, door by door",
        role="police",
        duration=Duration(90.0, 120.0, 210.0),
        effects=(Effect("move_population", zone, 0.85),),
        after=("warn everybody",),
        needs={"crew": 2, "bus": 4},
        when="hours < 6 h",
        cost=8_000.0,
        gradual=True,
    )


def exposed_zones(world: World, most: int = ZONES_MOST) -> tuple[str, ...]:
    """The zones with the most people where water would come first: on `low_ground`."""
    people = world.people(3.0)
    if not (people > 0).any():
        return ()
    low = low_ground(world)
    at_risk = {name: float((people * low)[world.zones.places(name)].sum()) for name in world.zones.name}
    worst = sorted((name for name, count in at_risk.items() if count >= 1.0), key=lambda name: (-at_risk[name], name))
    return tuple(worst[:most])


def low_ground(world: World) -> NDArray[np.bool_]:
    """Where water would come first, (place,): low ground that joins a water body, or else the lowest ground.

    Beside water bodies: cells below their surface plus RISE_M that join them. Without any: the lowest fifth of the ground that people live on.
    """
    ground_m = world.field(ELEVATION)
    if not world.waters():
        flat = ground_m.reshape(-1)
        return np.asarray(flat <= np.quantile(flat[world.people(3.0) > 0], 0.2))
    low = np.zeros(ground_m.size, bool)
    for name in world.waters():
        water = world.water(name)
        parts, _ = label(ground_m <= water.usual_level_m + RISE_M)
        touched = np.unique(parts.reshape(-1)[water.place])
        low |= np.isin(parts.reshape(-1), touched[touched > 0])
    return low


def lifeline_to_protect(world: World) -> tuple[str, str] | None:
    """The lifeline that is worth sandbags first, as its name in the chains and what people call it; None where none stands on low ground.

    Power before water before pumps, since what is later in this row needs what is earlier; of one kind, the one that is nearest to most people.
    """
    people = world.people(3.0)
    lived = np.flatnonzero(people > 0)
    if not lived.size:
        return None
    low = low_ground(world)
    for kind in PROTECTED:
        assets = world.assets(kind)
        exposed = [k for k, place in enumerate(assets.place) if place >= 0 and low[place]]
        if exposed:
            _, near = cKDTree(np.column_stack([assets.x_m, assets.y_m])).query(np.column_stack(world.grid.centre(lived)))
            served = np.bincount(near, people[lived], len(assets))
            k = min(exposed, key=lambda one: (-served[one], assets.id[one]))
            return f"{kind}:{assets.id[k]}", assets.name[k] or assets.id[k]
    return None


def _protecting(world: World) -> tuple[Action, ...]:
    """Sandbags and pumps at one lifeline. Only in the plan that moves nobody: one crew that is bound there would let an evacuation wait."""
    found = lifeline_to_protect(world)
    if found is None:
        return ()
    target, name = found
    return (
        Action(
            name=f"protect {name}",
            do=f"Put sandbags and pumps around {name}, so that water does not take it out",
            role="fire",
            duration=Duration(60.0, 120.0, 240.0),
            effects=(Effect("protect_asset", target),),
            needs={"crew": 1},
            cost=4_000.0,
        ),
    )


def plans(world: World) -> tuple[Plan, ...]:
    """Wait, warn, close roads, evacuate, and raise what barriers there are: each as a plan of its own.

    The one that closes roads also protects the lifeline that is needed first, where the twin has one on low ground.
    """
    zones = exposed_zones(world)
    lines = [world.line(name) for name in world.lines()]
    barriers = [line for line in lines if line.sort == "barrier" and line.crest_m is not None]
    crews = max(4, int(world.assets("depots").amount.sum()))
    resources = {"crew": crews, "bus": 12}
    basis = (UNVERIFIED,)
    made = [
        Plan("wait and watch", "flood", "Do nothing but watch: what every other plan is measured against", (WATCH,), basis=basis),
        Plan("warn", "flood", "Warn the public and leave it to them", (_warn(),), basis=basis),
    ]
    opening = opening_shelters(world)
    closing = Action(
        name="close flooded roads",
        do="Close the roads that the forecast shows under water, and keep them closed",
        role="police",
        duration=Duration(20.0, 40.0, 60.0),
        effects=(Effect("close_roads", "flooded", 0.3),),
        needs={"crew": 2},
        cost=3_000.0,
    )
    evacuation = tuple(_evacuate(zone) for zone in zones)
    raising = tuple(
        Action(
            name=f"raise {line.name}",
            do=f"Raise the barrier at {line.name} to {line.crest_m:.2f} m",
            role="fire",
            duration=Duration(60.0, 90.0, 150.0),
            effects=(Effect("raise_barrier", line.name, line.crest_m or 0.0),),
            needs={"crew": 2},
            cost=15_000.0,
        )
        for line in barriers
    )
    made.append(
        Plan(
            "close roads and open shelters",
            "flood",
            "Keep people off flooded roads, and have room for those who come",
            (_warn(), closing, *opening, *_protecting(world)),
            resources=resources,
            basis=basis,
        )
    )
    if evacuation:
        made.append(
            Plan(
                "evacuate",
                "flood",
                f"Move people out of {', '.join(zones)}",
                (_warn(), *opening, *evacuation),
                level=Level.ORANGE,
                resources=resources,
                basis=basis,
            )
        )
    if raising:
        made.append(
            Plan(
                "raise barriers",
                "flood",
                "Keep the water out where a barrier can be raised",
                (_warn(), *raising),
                resources=resources,
                basis=basis,
            )
        )
    if raising and evacuation:
        made.append(
            Plan(
                "raise barriers and evacuate",
                "flood",
                "Keep the water out and move people all the same, in case it does not hold",
                (_warn(), *raising, *opening, *evacuation),
                level=Level.ORANGE,
                resources=resources,
                basis=basis,
            )
        )
    return tuple(made)


def options(world: World) -> Plan:
    """Every action of the templates, and the evacuation of every exposed zone: what a search puts plans together from."""
    return all_options(plans(world), (_evacuate(zone) for zone in exposed_zones(world, OPTION_ZONES_MOST)))
