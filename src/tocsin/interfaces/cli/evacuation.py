"""tocsin evacuation: how long it takes to empty zones before a hazard comes, who is caught, and what holds them up."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.scenario import Asked, scenario_of, takes_scenario

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.evacuation import EvacuationReport

app = typer.Typer(help="Evacuations on a twin's streets: clearance, who is caught, what holds them up.", no_args_is_help=True)

ROWS = 13


@app.callback()
def evacuation() -> None:
    """Keep `simulate` a verb of its own."""


@app.command("simulate")
@takes_scenario(hours=12.0)
def simulate(
    folder: Annotated[Path, typer.Argument(help="The twin's folder, from `tocsin twin build`.", metavar="FOLDER")],
    asked: Asked,
    zones: Annotated[
        list[str] | None,
        typer.Option(
            help="A zone to empty; several times. Default: those where the forecast puts anybody in danger.", metavar="ZONE"
        ),
    ] = None,
    warned_after: Annotated[
        str,
        typer.Option(
            help="When the zones are warned, after the start of the forecast, with a unit: 30min, 2h. Default: at the start.",
            metavar="SPAN",
        ),
    ] = "",
    moved_within: Annotated[
        str,
        typer.Option(
            help="Crews move everybody from door to door until then, with a unit, after the start. Default: people are only warned.",
            metavar="SPAN",
        ),
    ] = "",
    shelters: Annotated[bool, typer.Option(help="Open the twin's shelters, with the places they have.")] = True,
    persons_per_vehicle: Annotated[float, typer.Option(help="Persons in a vehicle, an assumption.", min=0.1, max=100.0)] = 2.5,
    hour: Annotated[float, typer.Option(help="Hour of the local day, h: it says where people are.", min=0.0, max=24.0)] = 3.0,
    hazard: Annotated[str, typer.Option(help="The hazard: any installed pack.", metavar="NAME")] = "flood",
    picture: Annotated[
        Path | None,
        typer.Option(help="Write a map of bottlenecks and of who is caught as PNG. Default: none.", metavar="OUT.png"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Empty zones of a twin by road while a hazard comes, in one future at usual values.

    Example: tocsin evacuation simulate my-city --level 5.35m@lake --warned-after 30min --picture evacuation.png
    """
    with desk(as_json=as_json) as at:
        import msgspec

        from tocsin.decision.evacuate import Assumptions
        from tocsin.flows.evacuation import simulate_evacuation
        from tocsin.flows.information import foresee, model_of
        from tocsin.host import WallClock
        from tocsin.interfaces.evacuation_picture import evacuation_picture
        from tocsin.interfaces.exports import check_target
        from tocsin.interfaces.files import write_whole
        from tocsin.interfaces.units import duration_s
        from tocsin.pack import find_pack
        from tocsin.platform.twin import open_twin

        if picture is not None:
            check_target(picture)
        twin, now = open_twin(folder), WallClock().now()
        scenario = scenario_of(twin.world(now), model_of(find_pack(hazard)), asked)
        warned_s = duration_s(warned_after, "--warned-after") if warned_after else 0.0
        moved_s = duration_s(moved_within, "--moved-within") if moved_within else None
        began = time.perf_counter()
        at.progress("hazard", 0, 1)
        result = foresee(twin, hazard, scenario, time=now, asked=asked.words())
        at.progress("hazard", 1, 1)
        found = simulate_evacuation(
            result,
            zones=zones or (),
            warned_s=warned_s,
            moved_s=moved_s,
            shelters=shelters,
            hour=hour,
            assumptions=Assumptions(persons_per_vehicle=persons_per_vehicle),
        )
        run_s = time.perf_counter() - began
        if picture is not None:
            write_whole(picture, evacuation_picture(result, found))
            at.wrote(picture)
        facts = msgspec.to_builtins(found.report) | {"run_s": round(run_s, 3), "written": [str(p) for p in at.written]}
        at.answer(facts, lambda console: tell(console, found.report, run_s))


def tell(console: Console, report: EvacuationReport, run_s: float) -> None:
    """The report as a page."""
    from rich.table import Table

    mark = "  MADE UP" if report.made_up else ""
    console.print(
        f"{report.place}{mark}: {len(report.zones)} zones, {report.people:,.0f} people as at {report.hour:g} h", style="bold"
    )
    console.print(f"zones: {', '.join(report.zones)}")
    console.print(
        f"\n{report.wanted:,.0f} leave; {report.arrived:,.0f} arrive, {report.caught_on_road:,.0f} are caught on the road, "
        f"{report.waited:,.0f} do not get away from home in time, {report.stranded:,.0f} are still on the road at the end; "
        f"{report.unhoused:,.0f} ask for a shelter and find none"
    )
    cleared = ", ".join(f"{share} after {h:.1f} h" for share, h in report.cleared_h.items() if h is not None)
    console.print(f"of those who arrive: {cleared or 'nobody'}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("after h", "set out", "on the road", "arrived", "caught"):
        table.add_column(heading, justify="right")
    last = len(report.time_h) - 1
    for k in sorted({round(i * last / (ROWS - 1)) for i in range(ROWS)}):
        table.add_row(
            f"{report.time_h[k]:.1f}",
            *(f"{series[k]:,.0f}" for series in (report.set_out, report.on_road, report.arrived_by, report.caught_by)),
        )
    console.print(table)
    if report.bottlenecks:
        console.print("\nWhat holds them up, person-hours of waiting that a street causes", style="bold")
        streets = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(3):
            streets.add_column()
        for b in report.bottlenecks:
            streets.add_row(f"{b.delay_person_h:,.0f}", b.street, b.highway)
        console.print(streets)
    if report.caught_at:
        told = ", ".join(f"{name} {count:,.0f}" for name, count in report.caught_at[:10])
        console.print(f"\nCaught: {told}")
    goals = ", ".join(f"{name} {count:,.0f}" for name, count in report.by_goal.items() if count >= 0.5)
    console.print(f"Arrived: {goals or 'nowhere'}")
    for remark in report.remarks:
        console.print(f"note: {remark}")
    console.print(f"\n{run_s:.1f} s")
