"""What can be done about an epidemic: templates, each with what it closes, whom it tests, traces and vaccinates, and beds.

How much each does, durations and costs are planning assumptions, marked `unverified`: a health authority replaces them by its own.
"""

from __future__ import annotations

from msgspec.structs import replace

from tocsin.pack import Action, Duration, Effect, Plan, PlanLevel
from tocsin.packs.epidemic.populace import NIGHT_H
from tocsin.vocabulary import Level, World

UNVERIFIED = "how much each measure does, durations and costs: planning assumptions (unverified)"
DAY_MIN = 24 * 60.0


def _action(
    name: str, do: str, role: str, days: tuple[float, float, float], *effects: Effect, cost: float, level: str = ""
) -> Action:
    low, usual, high = (d * DAY_MIN for d in days)
    return Action(name, do, role, Duration(low, usual, high), effects, level=level, cost=cost, deadline_min=365 * DAY_MIN)


def _actions(world: World) -> dict[str, Action]:
    people = max(float(world.people(NIGHT_H).sum()), 1.0)
    doses, beds = max(1.0, round(people * 0.002)), max(1.0, round(people / 1000.0 * 0.5))
    soon, week, month = (0.5, 1.0, 2.0), (3.0, 5.0, 10.0), (14.0, 21.0, 30.0)
    made = (
        _action("warn everybody", "Tell the public how it spreads, and to stay at home when ill", "commander", (0.1, 0.2, 0.5),
                Effect("lower_contacts", "all", 0.1), cost=2_000.0),
        _action("close schools", "Close schools and teach from afar", "welfare", soon, Effect("close_schools", "all", 0.9), cost=2.0 * people),
        _action("work from home", "Who can works from home; shops and offices in shifts", "commander", soon, Effect("limit_work", "all", 0.5),
                cost=5.0 * people),
        _action("keep distance", "No gatherings, masks and distance in public", "police", soon, Effect("lower_contacts", "all", 0.5), cost=1.0 * people),
        _action("test", "Test everybody with symptoms within two days", "health", week, Effect("test", "all", 0.4), cost=0.5 * people),
        _action("trace contacts", "Find who met the diagnosed, and have them wait at home", "health", week, Effect("trace_contacts", "all", 0.5),
                cost=0.3 * people),
        _action("vaccinate", f"Vaccinate {doses:,.0f} people a day, the oldest first", "health", month, Effect("vaccinate", "all", doses),
                cost=1.0 * people),
        _action("surge beds", f"Open {beds:,.0f} hospital beds more", "health", week, Effect("surge_beds", "all", beds), cost=2_000.0 * beds),
    )  # fmt: skip
    return {action.name: action for action in made}


def plans(world: World) -> tuple[Plan, ...]:
    """Wait, warn, close, keep distance, find and isolate, vaccinate, more beds, and what goes together; and one that is graded by what comes."""
    can = _actions(world)
    watch = Action("watch", "Go on watching counts and beds; look again tomorrow", "operator", Duration(60.0, 60.0, 60.0))
    people = max(float(world.people(NIGHT_H).sum()), 1.0)

    def plan(name: str, summary: str, *names: str, level: Level = Level.YELLOW) -> Plan:
        return Plan(name, "epidemic", summary, tuple(can[n] for n in names), level=level, basis=(UNVERIFIED,))

    few, many = max(1.0, round(people / 100_000.0 * 5.0, 1)), max(2.0, round(people / 100_000.0 * 25.0, 1))
    graded = Plan(
        "graded by cases",
        "epidemic",
        "Test and trace while cases are few; close only while they are many, and open again when they have halved",
        (
            can["warn everybody"],
            _at(can["test"], "alert"),
            _at(can["trace contacts"], "alert"),
            _at(can["keep distance"], "wave"),
            _at(can["work from home"], "wave"),
            _at(can["surge beds"], "wave"),
        ),
        level=Level.YELLOW,
        levels=(
            PlanLevel(
                "alert",
                Level.YELLOW,
                enter=f"new_cases_per_d >= {few:g} persons/d",
                leave=f"new_cases_per_d < {few / 2:g} persons/d",
            ),
            PlanLevel(
                "wave",
                Level.ORANGE,
                enter=f"new_cases_per_d >= {many:g} persons/d",
                leave=f"new_cases_per_d < {many / 2:g} persons/d",
            ),
        ),
        basis=(UNVERIFIED,),
    )
    return (
        Plan(
            "wait and watch",
            "epidemic",
            "Do nothing but watch: what every other plan is measured against",
            (watch,),
            basis=(UNVERIFIED,),
        ),
        plan("warn", "Tell the public and leave it to them", "warn everybody", level=Level.BLUE),
        plan("close schools", "Warn, and close schools", "warn everybody", "close schools"),
        plan(
            "keep distance",
            "Warn, work from home, no gatherings",
            "warn everybody",
            "work from home",
            "keep distance",
            level=Level.ORANGE,
        ),
        plan("test and trace", "Warn, test early and find contacts", "warn everybody", "test", "trace contacts"),
        plan("vaccinate", "Warn, and vaccinate the oldest first", "warn everybody", "vaccinate"),
        plan("surge beds", "Warn, and open more hospital beds", "warn everybody", "surge beds"),
        plan(
            "everything",
            "All that there is, at once",
            *can,
            level=Level.RED,
        ),
        graded,
    )


def _at(action: Action, level: str) -> Action:
    return replace(action, level=level)


def options(world: World) -> Plan:
    """Every measure, and closures zone by zone: what a search puts plans together from."""
    actions = _actions(world)
    if len(world.assets("shelters")):
        actions["space shelters"] = _action(
            "space shelters",
            "Keep people apart in shelters: screens, tents, more halls",
            "welfare",
            (0.5, 1.0, 2.0),
            Effect("space_shelters", "all", 0.5),
            cost=max(float(world.people(NIGHT_H).sum()), 1.0),
        )
    for zone in world.zones.name[:10]:
        name = f"keep distance in {zone}"
        actions[name] = _action(
            name, f"No gatherings in {zone}", "police", (0.5, 1.0, 2.0), Effect("lower_contacts", zone, 0.5), cost=10_000.0
        )
    return Plan(
        "all options",
        "epidemic",
        "Every measure that may be taken here",
        tuple(actions.values()),
        level=Level.ORANGE,
        basis=(UNVERIFIED,),
    )
