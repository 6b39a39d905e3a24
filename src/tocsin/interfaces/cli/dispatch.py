"""tocsin dispatch: who goes where, over streets that a hazard closes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, Desk, desk
from tocsin.interfaces.cli.scenario import Asked, scenario_of, takes_scenario

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.decision.roads import Drive
    from tocsin.decision.tours import Tours
    from tocsin.flows.dispatch import Dispatched, Opened
    from tocsin.flows.information import ForecastResult
    from tocsin.platform.twin import Twin
    from tocsin.platform.twin.vectors import Table

app = typer.Typer(
    help="Send units to tasks, plan tours, choose shelters: over streets that a hazard slows and closes.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(help="The twin's folder, from `tocsin twin build`.", metavar="FOLDER")]
Units = Annotated[
    Path,
    typer.Option(
        help="Units: CSV with name, kind, lon, lat, and where they differ amount, type (1 can do most), carries, shift_min; or GeoJSON, "
        "GeoPackage, GeoParquet with these columns.",
        metavar="FILE",
    ),
]
Tasks = Annotated[
    Path,
    typer.Option(
        help="Tasks: CSV with name, kind, lon, lat, and where they differ amount, type, weight, limit_min, service_min; or GeoJSON and the like.",
        metavar="FILE",
    ),
]
Leave = Annotated[
    str,
    typer.Option(help="When all leave, after the scenario's start, with a unit: 30min, 2h. Default: at once.", metavar="SPAN"),
]
FUTURES = "How many futures decide when a street closes."
Hazard = Annotated[str, typer.Option(help="The hazard: any installed pack.", metavar="NAME")]


@app.command("send")
@takes_scenario(futures=FUTURES)
def send(
    folder: Folder,
    units: Units,
    tasks: Tasks,
    asked: Asked,
    leave: Leave = "",
    hazard: Hazard = "flood",
    as_json: AsJson = False,
) -> None:
    """Send units to tasks: as many as can be served, the heavier first, then in the least time. Streets as they are where no forcing is given.

    Example: tocsin dispatch send my-city --units boats.csv --tasks calls.csv --level 5.35m@lake --leave 3h
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows.dispatch import facts_of, tasks_from, units_from
        from tocsin.flows.dispatch import send as send_units

        twin, drive, _ = _streets(at, folder, hazard, asked)
        (standing, units_off), (wanted, tasks_off) = _table(at, units, twin, "units"), _table(at, tasks, twin, "tasks")
        found = send_units(
            drive,
            units_from(standing),
            tasks_from(wanted),
            departure_s=_leave_s(leave),
            threads=_threads(),
        )
        facts = dict(facts_of(found))
        facts["legs"] = [_with_lonlat(twin, leg) for leg in facts["legs"]]  # type: ignore[attr-defined]
        facts["outside"] = {"units": units_off, "tasks": tasks_off}

        def text(console: Console) -> None:
            _tell_sent(console, found)
            _tell_outside(console, tasks_off)

        at.answer(facts, text)


@app.command("tour")
@takes_scenario(futures=FUTURES)
def tour(
    folder: Folder,
    units: Units,
    tasks: Tasks,
    asked: Asked,
    seconds: Annotated[float, typer.Option(help="How long to search, s.", min=0.1, max=3600.0)] = 5.0,
    steps: Annotated[
        int | None,
        typer.Option(help="Search so many steps instead: the same seed then gives the same tours. Default: by time.", min=1),
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            help="Tours under way, as `dispatch tour --json` printed them: the search begins there. Default: none.",
            metavar="FILE",
        ),
    ] = None,
    leave: Leave = "",
    hazard: Hazard = "flood",
    as_json: AsJson = False,
) -> None:
    """Plan tours: each unit visits many tasks and comes back. What cannot be served is left out and told.

    Example: tocsin dispatch tour my-city --units trucks.csv --tasks sandbags.csv --seconds 5
    """
    with desk(as_json=as_json) as at:
        import msgspec

        from tocsin.flows.dispatch import tasks_from, units_from
        from tocsin.flows.dispatch import tour as plan_tour

        twin, drive, _ = _streets(at, folder, hazard, asked)
        (standing, units_off), (wanted, tasks_off) = _table(at, units, twin, "units"), _table(at, tasks, twin, "tasks")
        found = plan_tour(
            drive,
            units_from(standing),
            tasks_from(wanted),
            seconds=seconds,
            iterations=steps,
            seed=asked.seed,
            departure_s=_leave_s(leave),
            before=None if before is None else _tours(before),
            threads=_threads(),
        )
        facts = msgspec.to_builtins(found) | {"outside": {"units": units_off, "tasks": tasks_off}}

        def text(console: Console) -> None:
            _tell_tours(console, found)
            _tell_outside(console, tasks_off)

        at.answer(facts, text)


@app.command("shelters")
@takes_scenario(futures=FUTURES)
def shelters(
    folder: Folder,
    zone: Annotated[list[str], typer.Option(help="A zone whose people go to shelters; several times.", metavar="ZONE")],
    asked: Asked,
    most: Annotated[int, typer.Option(help="How many shelters may be opened.", min=1, max=10_000)] = 3,
    share: Annotated[float, typer.Option(help="The share of the people who come.", min=0.001, max=1.0)] = 1.0,
    within: Annotated[
        str, typer.Option(help="How far a shelter may be, with a unit: 30min. Default: any way.", metavar="SPAN")
    ] = "",
    hour: Annotated[float, typer.Option(help="Hour of the local day, h: it says where people are.", min=0.0, max=24.0)] = 3.0,
    leave: Leave = "",
    hazard: Hazard = "flood",
    as_json: AsJson = False,
) -> None:
    """Choose which shelters to open, none of them in danger in any future, and say who goes to which.

    Example: tocsin dispatch shelters my-city --zone Quay --zone Ferry --most 2 --level 5.35m@lake
    """
    with desk(as_json=as_json) as at:
        import msgspec
        import numpy as np

        from tocsin.decision.impact import in_danger
        from tocsin.flows.dispatch import must_have_shelters, open_shelters
        from tocsin.host import WallClock
        from tocsin.interfaces.units import duration_s
        from tocsin.platform.twin import open_twin

        must_have_shelters(open_twin(folder).world(WallClock().now()), zone)
        twin, drive, result = _streets(at, folder, hazard, asked)
        danger = None if result is None else np.asarray(in_danger(result.foreseen.footprint, result.pack.harm).any(axis=0))
        found = open_shelters(
            twin.world(WallClock().now()),
            drive,
            zones=zone,
            most=most,
            share=share,
            hour=hour,
            limit_min=duration_s(within, "--within") / 60.0 if within else float("inf"),
            danger=danger,
            departure_s=_leave_s(leave),
            threads=_threads(),
        )
        facts = msgspec.to_builtins(msgspec.structs.asdict(found) | {"sites": None})
        del facts["sites"]
        at.answer(facts, lambda console: _tell_shelters(console, found))


def _streets(at: Desk, folder: Path, hazard: str, asked: Asked) -> tuple[Twin, Drive, ForecastResult | None]:
    """The twin, its streets, and the forecast that closes them; streets as they are and no forecast where nothing drives one."""
    from tocsin.flows.dispatch import streets
    from tocsin.flows.information import foresee, model_of
    from tocsin.host import WallClock
    from tocsin.pack import find_pack
    from tocsin.platform.twin import open_twin

    twin, now = open_twin(folder), WallClock().now()
    pack = find_pack(hazard)
    result = None
    if asked.driven:
        scenario = scenario_of(twin.world(now), model_of(pack, ""), asked)
        at.progress("futures", 0, asked.members)
        result = foresee(
            twin, hazard, scenario, time=now, asked=asked.words(), on_done=lambda done, total: at.progress("futures", done, total)
        )
    return twin, streets(twin.world(now), pack.harm, result), result


def _table(at: Desk, path: Path, twin: Twin, what: str) -> tuple[Table, list[str]]:
    """The rows of a file that lie in the twin, and the names of those that do not: who calls from there must not vanish from the answer."""
    from tocsin.flows.dispatch import COLUMNS, outside
    from tocsin.platform.twin.vectors import inside, read_table

    told = read_table(path, twin.grid, what=what)
    kept = inside(told, twin.grid, what=what)
    off = list(outside(told, kept))
    if off:
        at.note(f"BEWARE: {what} {path}: {len(off)} of {len(told)} lie outside the twin and are left out: {', '.join(off[:20])}")
    if strange := [name for name in told.columns if name.lower() not in COLUMNS[what]]:
        at.note(f"{what} {path}: not used: {', '.join(strange[:20])}; what is read: {', '.join(COLUMNS[what])}")
    return kept, off


def _leave_s(leave: str) -> float:
    from tocsin.interfaces.units import duration_s

    return duration_s(leave, "--leave") if leave else 0.0


def _threads() -> int:
    from tocsin.platform.compute import LocalCompute

    return LocalCompute().workers


def _tours(path: Path) -> Tours:
    import msgspec

    from tocsin.decision.tours import Tours
    from tocsin.interfaces.files import read_bounded
    from tocsin.vocabulary import InputError

    try:
        return msgspec.json.decode(read_bounded(path, 2**26), type=Tours)
    except msgspec.MsgspecError as fault:
        raise InputError(f"--before {path}: {fault}; wanted what `tocsin dispatch tour --json` printed") from fault


def _with_lonlat(twin: Twin, leg: dict[str, Any]) -> dict[str, Any]:
    import shapely

    points = list(zip(leg.pop("x_m"), leg.pop("y_m"), strict=True))
    line = shapely.LineString(points if len(points) > 1 else points * 2)
    return leg | {"geometry": {"type": "LineString", "coordinates": [list(p) for p in twin.lonlat(line).coords]}}


def _tell_sent(console: Console, found: Dispatched) -> None:
    from tocsin.flows.dispatch import relaxations_in_words

    for leg in sorted(found.legs, key=lambda leg: leg.minutes):
        console.print(f"{leg.amount:g} of {leg.unit} to {leg.task}: {leg.minutes:,.0f} min")
    if not found.legs:
        console.print("Nobody can be sent.")
    for task, amount in found.unserved.items():
        console.print(f"NOT SERVED: {task}, {amount:g}")
    for line in relaxations_in_words(found.allocation.relaxations):
        console.print(f"would serve: {line}")
    for price in found.allocation.binding:
        gain = f"serves {price.serves:g} more" if price.serves else f"saves {price.saves_s / 60:,.0f} min"
        console.print(f"used up: {price.supply}; one more there {gain}")


def _tell_outside(console: Console, tasks: list[str]) -> None:
    for name in tasks:
        console.print(f"NOT SERVED: {name}: it lies outside the twin, no street is known there")


def _tell_tours(console: Console, found: Tours) -> None:
    for one in found.tours:
        console.print(f"{one.vehicle}: {', '.join(one.stops)}; back after {one.back_s / 60:,.0f} min")
    for name, why in found.unserved:
        console.print(f"NOT SERVED: {name}: {why}")
    console.print(f"{len(found.tours)} tours, {found.travel_s / 3600:,.1f} h on the way, {found.iterations:,} steps of search")


def _tell_shelters(console: Console, found: Opened) -> None:
    for name, zones in found.people.items():
        console.print(f"open {name}: {', '.join(f'{people:,.0f} from {zone}' for zone, people in zones.items())}")
    for zone, people in found.unserved.items():
        console.print(f"NO PLACE for {people:,.0f} of {zone}")
    if found.shelters:
        console.print(f"{found.minutes_mean:,.0f} min on average")
    if found.one_more_serves:
        console.print(f"one shelter more would take {found.one_more_serves:,.0f} more people")
    elif found.one_more_saves_person_h:
        console.print(f"one shelter more would save {found.one_more_saves_person_h:,.0f} person-hours on the way")
