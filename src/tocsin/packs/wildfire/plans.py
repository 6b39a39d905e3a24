"""What can be done about a wildfire: templates that fit themselves to a twin's zones, shelters and fire lines.

Durations, crews and costs are planning assumptions, marked `unverified`: an operations centre replaces them by its own.
"""

from __future__ import annotations

import numpy as np

from tocsin.pack import Action, Duration, Effect, Plan
from tocsin.pack.templates import all_options, opening_shelters
from tocsin.packs.wildfire.quantities import WIND_FROM
from tocsin.vocabulary import Level, World

ZONES_MOST = 5
OPTION_ZONES_MOST = 20
LOOK_BACK_S = 3 * 3600.0
FIREBREAK = "firebreak"  # the sort of a twin's line along which fuel can be cleared
CREW_M_PER_MIN = 3.0  # of fire line by one crew with hand tools in grass: 15 people, 900 ft in an hour by NWCG's course on fire mathematics, 4.6 m/min, less a third for rest and doubt
UNVERIFIED = "durations, crews and costs: planning assumptions (unverified)"
WATCH = Action(
    name="watch",
    do="Go on watching the front, the wind and the forecast; look again in half an hour",
    role="operator",
    duration=Duration(30.0, 30.0, 30.0),
)


def _warn() -> Action:
    return Action(
        name="warn everybody",
        do="Warn the public by all channels: be ready to leave, keep windows shut, leave at once when told",
        role="commander",
        duration=Duration(5.0, 10.0, 30.0),
        effects=(Effect("warn_people", "all", 1.0),),
        cost=500.0,
    )


def _evacuate(zone: str) -> Action:
    return Action(
        name=f"evacuate {zone}",
        do=f"Move the people of {zone} out across the wind, door by door, to shelters",
        role="police",
        duration=Duration(60.0, 90.0, 180.0),
        effects=(Effect("move_population", zone, 0.85),),
        after=("warn everybody",),
        needs={"crew": 2, "bus": 4},
        cost=8_000.0,
        gradual=True,
    )


def exposed_zones(world: World, most: int = ZONES_MOST) -> tuple[str, ...]:
    """The zones to move first: those with the most people, and where the wind is known those that it blows towards before the others.

    Without a fire's place nobody knows who is downwind of it: of two zones with equally many people the one on the lee side of the twin goes first.
    """
    people = world.people(3.0)
    grid = world.grid
    wind = world.window(WIND_FROM, LOOK_BACK_S)
    x_m, y_m = grid.centre(np.arange(grid.cells))
    lee = np.zeros(grid.cells)
    if wind.good.any():
        toward = np.radians(wind.value[wind.good] + 180.0)
        along = (x_m - x_m.mean()) * np.sin(toward).mean() + (y_m - y_m.mean()) * np.cos(toward).mean()
        lee = along / max(np.abs(along).max(), 1e-9)
    score = {name: float((people * (1.0 + lee))[world.zones.places(name)].sum()) for name in world.zones.name}
    worst = sorted((name for name, count in score.items() if count >= 1.0), key=lambda name: (-score[name], name))
    return tuple(worst[:most])


def _break_lines(world: World) -> tuple[str, ...]:
    return tuple(name for name in world.lines() if world.line(name).sort == FIREBREAK)


def _cut(name: str) -> Action:
    return Action(
        name=f"cut {name}",
        do=f"Clear the firebreak {name} of all fuel with bulldozers, before the fire is there",
        role="fire",
        duration=Duration(60.0, 120.0, 240.0),
        effects=(Effect("cut_firebreak", name),),
        needs={"bulldozer": 1},
        cost=6_000.0,
    )


def _hold(name: str) -> Action:
    return Action(
        name=f"hold {name}",
        do=f"Build a fire line along {name} with hand crews, from its first point on",
        role="fire",
        duration=Duration(20.0, 30.0, 60.0),
        effects=(Effect("suppress", name, CREW_M_PER_MIN),),
        needs={"crew": 2},
        cost=4_000.0,
    )


def plans(world: World) -> tuple[Plan, ...]:
    """Wait, warn, evacuate, cut the firebreaks that the twin has, hold them with crews, and all of it together: each as a plan of its own."""
    zones, breaks = exposed_zones(world), _break_lines(world)
    resources = {"crew": max(4, int(world.assets("depots").amount.sum())), "bus": 12, "bulldozer": 2}
    warn, opening = _warn(), opening_shelters(world, "as a shelter, with filtered air")
    evacuation = tuple(_evacuate(zone) for zone in zones)
    cutting, holding = tuple(_cut(name) for name in breaks), tuple(_hold(name) for name in breaks)

    def plan(name: str, why: str, actions: tuple[Action, ...], level: Level = Level.ORANGE) -> Plan:
        return Plan(name, "wildfire", why, actions, level=level, resources=resources, basis=(UNVERIFIED,))

    made = [
        Plan(
            "wait and watch",
            "wildfire",
            "Do nothing but watch: what every other plan is measured against",
            (WATCH,),
            basis=(UNVERIFIED,),
        ),
        Plan("warn", "wildfire", "Warn the public and leave it to them", (warn,), basis=(UNVERIFIED,)),
    ]
    if evacuation:
        made.append(plan("evacuate", f"Move people out of {', '.join(zones)}", (warn, *opening, *evacuation)))
    if breaks:
        made.append(plan("cut firebreaks", "Take the fuel away where the fire would come through", (warn, *cutting)))
        made.append(plan("hold the line", "Stop the fire at a line that crews build", (warn, *holding)))
    if breaks and evacuation:
        made.append(
            plan(
                "cut firebreaks and evacuate",
                "Stop the fire and move people all the same, in case it crosses",
                (warn, *cutting, *opening, *evacuation),
            )
        )
    return tuple(made)


def options(world: World) -> Plan:
    """Every action of the templates, and the evacuation of every zone: what a search puts plans together from."""
    return all_options(plans(world), (_evacuate(zone) for zone in exposed_zones(world, OPTION_ZONES_MOST)))
