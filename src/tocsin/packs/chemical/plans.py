"""Templates of plans for a release: shelter, warn, move those who are near, stop the leak, keep back what comes out, and together.

Durations, shares, crews and costs are planning assumptions and marked so: an operations centre replaces them by what its own drills show.
"""

from __future__ import annotations

import numpy as np

from tocsin.pack import Action, Duration, Effect, Plan
from tocsin.pack.templates import all_options
from tocsin.packs.chemical.quantities import WIND_FROM
from tocsin.vocabulary import Level, World

ZONES_MOST, OPTION_ZONES_MOST = 3, 8
NEAR_M = 2_000.0
DOWNWIND_DEG = 60.0
UNVERIFIED = "durations, shares of people, crews and costs: planning assumptions (unverified)"
WATCH = Action(
    name="watch",
    do="Go on watching sensors, wind and leak; look again in half an hour",
    role="operator",
    duration=Duration(30.0, 30.0, 30.0),
)
WARN = Action(
    name="warn everybody",
    do="Warn the public by all channels: what leaks, where the wind drives it, go inside and close windows",
    role="commander",
    duration=Duration(5.0, 10.0, 20.0),
    effects=(Effect("warn_people", "all", 1.0),),
    cost=500.0,
)
SHELTER = Action(
    name="shelter in place",
    do="Tell all downwind: inside, windows and doors closed, ventilation off, upper floors; say when it is over, and to air then",
    role="commander",
    duration=Duration(5.0, 10.0, 20.0),
    effects=(Effect("shelter_in_place", "all", 0.7),),
    cost=500.0,
)
STOP = Action(
    name="stop the leak",
    do="Close the valve or plug the hole, in full protection, from upwind",
    role="fire",
    duration=Duration(20.0, 45.0, 120.0),
    effects=(Effect("stop_leak", "all"),),
    needs={"crew": 2},
    cost=8_000.0,
)
NEUTRALISE = Action(
    name="water curtain",
    do="Put water curtains or foam between the leak and the town; collect what runs off",
    role="fire",
    duration=Duration(15.0, 30.0, 60.0),
    effects=(Effect("neutralise", "all", 0.5),),
    needs={"crew": 2},
    cost=6_000.0,
)


def _evacuate(zone: str) -> Action:
    return Action(
        name=f"evacuate {zone}",
        do=f"Move the people of {zone} out across the wind, before the cloud is there; where it is there already, they stay inside",
        role="police",
        duration=Duration(30.0, 60.0, 120.0),
        effects=(Effect("move_population", zone, 0.8),),
        after=("warn everybody",),
        needs={"crew": 2, "bus": 3},
        when="hours < 2 h",
        cost=6_000.0,
        gradual=True,
    )


def exposed_zones(world: World, most: int = ZONES_MOST) -> tuple[str, ...]:
    """The zones with the most people near a tank, and downwind of it where a sensor knows the wind; without tanks, those with the most people."""
    people, tanks = world.people(3.0), world.assets("tanks")
    counted = people.copy()
    standing = tanks.place[tanks.place >= 0] if len(tanks) else np.zeros(0, np.int64)
    if standing.size:
        x_m, y_m = world.grid.centre(np.arange(world.grid.cells))
        source_x, source_y = world.grid.centre(standing)
        towards = _wind_goes_to_deg(world)
        near = np.zeros(world.grid.cells, bool)
        for x, y in zip(source_x, source_y, strict=True):
            close = np.hypot(x_m - x, y_m - y) <= NEAR_M
            if towards is not None:
                off = (np.rad2deg(np.arctan2(x_m - x, y_m - y)) - towards + 180.0) % 360.0 - 180.0
                close &= np.abs(off) <= DOWNWIND_DEG
            near |= close
        counted = people * near
    at_risk = {name: float(counted[world.zones.places(name)].sum()) for name in world.zones.name}
    worst = sorted((name for name, count in at_risk.items() if count >= 1.0), key=lambda name: (-at_risk[name], name))
    return tuple(worst[:most])


def _wind_goes_to_deg(world: World) -> float | None:
    """Where the air went in the last hour by its sensors, degrees; None where none says."""
    window = world.window(WIND_FROM, 3_600.0)
    if not window.good.any():
        return None
    angle = np.deg2rad(window.value[window.good])
    return float((np.rad2deg(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) + 180.0) % 360.0)


def plans(world: World) -> tuple[Plan, ...]:
    """Wait, warn, shelter, stop, keep back, evacuate those who are near, and what goes together."""
    zones = exposed_zones(world)
    resources = {"crew": max(6, int(world.assets("depots").amount.sum())), "bus": 9}

    def plan(name: str, meaning: str, *actions: Action, level: Level = Level.YELLOW) -> Plan:
        return Plan(name, "chemical", meaning, actions, level=level, resources=resources, basis=(UNVERIFIED,))

    made = [
        Plan(
            "wait and watch",
            "chemical",
            "Do nothing but watch: what every other plan is measured against",
            (WATCH,),
            basis=(UNVERIFIED,),
        ),
        plan("warn", "Warn the public and leave it to them", WARN),
        plan("shelter in place", "Keep people inside until the cloud has passed", WARN, SHELTER),
        plan("stop the leak", "End it at the source, and warn", WARN, STOP),
        plan(
            "shelter and stop the leak", "Keep people inside, and end it at the source", WARN, SHELTER, STOP, level=Level.ORANGE
        ),
        plan(
            "shelter, water curtain and stop the leak",
            "Keep people inside, keep back half of what comes out until it is stopped",
            WARN,
            SHELTER,
            NEUTRALISE,
            STOP,
            level=Level.ORANGE,
        ),
    ]
    if zones:
        evacuation = tuple(_evacuate(zone) for zone in zones)
        made += [
            plan("evacuate", f"Move people out of {', '.join(zones)}", WARN, *evacuation, level=Level.ORANGE),
            plan(
                "evacuate, shelter and stop the leak",
                f"Move people out of {', '.join(zones)}, keep all others inside, end it",
                WARN,
                SHELTER,
                *evacuation,
                STOP,
                level=Level.RED,
            ),
        ]
    return tuple(made)


def options(world: World) -> Plan:
    """Every action of the templates, and the evacuation of every exposed zone: what a search puts plans together from."""
    return all_options(plans(world), (_evacuate(zone) for zone in exposed_zones(world, OPTION_ZONES_MOST)))
