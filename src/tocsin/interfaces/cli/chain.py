"""tocsin chain: the path of the risk: what fails, what that takes down in turn, and which link is best broken."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.scenario import Asked, scenario_of, takes_scenario

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.chains import ChainReport, GraphReport
    from tocsin.pack import Effect
    from tocsin.vocabulary import Estimate

app = typer.Typer(
    help="Risk chains: what fails, what that takes down in turn, and what is best done about it.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(help="The twin's folder, from `tocsin twin build`.", metavar="FOLDER")]
Hazard = Annotated[str, typer.Option(help="The hazard: any installed pack.", metavar="NAME")]
Others = Annotated[
    list[str] | None,
    typer.Option("--with", help="A further pack whose links count too; several times. Default: none.", metavar="NAME"),
]
POINTS_SHOWN = 12
REMARKS_SHOWN = 30


@app.command("show")
def show(folder: Folder, hazard: Hazard = "flood", others: Others = None, as_json: AsJson = False) -> None:
    """Show a place's risk points, what needs what, and what is only assumed. Example: tocsin chain show my-city"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.chains import describe_graph
        from tocsin.host import WallClock
        from tocsin.pack import find_pack
        from tocsin.platform.twin import open_twin

        twin = open_twin(folder)
        report = describe_graph(twin.world(WallClock().now()), [find_pack(name) for name in (hazard, *(others or []))])
        at.answer(report, lambda console: _tell_graph(console, twin.manifest.name, report))


@app.command("run")
@takes_scenario(members=50, futures="How many futures of the hazard.")
def run(
    folder: Folder,
    asked: Asked,
    model: Annotated[str, typer.Option(help="The pack's model by name. Default: its first.", metavar="NAME")] = "",
    hour: Annotated[float, typer.Option(help="Hour of the local day, h: it says where people are.", min=0.0, max=24.0)] = 3.0,
    do: Annotated[
        list[str] | None,
        typer.Option(
            help="Something that is done, and from when, h: bring_generator=hospitals:1@2 (a point, a kind, or all); several times. Default: nothing.",
            metavar="VERB=TARGET[@HOURS]",
        ),
    ] = None,
    break_link: Annotated[
        list[str] | None,
        typer.Option(
            "--break",
            help="A link that does not strike, by its ends: 'substations:a -> hospitals:b'; several times. Default: none.",
            metavar="LINK",
        ),
    ] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            help="A risk point that the hazard is kept out of, e.g. substations:a; several times. Default: none.", metavar="POINT"
        ),
    ] = None,
    forecast: Annotated[
        Path | None,
        typer.Option(
            help="A forecast that `tocsin simulate ... --save FOLDER.zarr` saved, instead of a new simulation. Default: simulate.",
            metavar="FOLDER.zarr",
        ),
    ] = None,
    futures: Annotated[
        list[Path] | None,
        typer.Option(
            help="Futures of a hazard that `tocsin futures run` kept, instead of a new simulation; several times, each of another hazard: "
            "then all of them come. Default: simulate.",
            metavar="FOLDER",
        ),
    ] = None,
    by_number: Annotated[
        bool,
        typer.Option(
            "--by-number",
            help="Futures of several hazards belong together by their numbers, as one scenario with one seed drives them. "
            "Default: by chance, as hazards that have nothing to do with each other.",
        ),
    ] = False,
    most: Annotated[int, typer.Option(help="How many chains and actions are shown.", min=1, max=200)] = 10,
    picture: Annotated[
        Path | None, typer.Option(help="Write the chains on the map as PNG. Default: none.", metavar="OUT.png")
    ] = None,
    hazard: Hazard = "flood",
    others: Others = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a hazard, let failures run along the links in each future, and say what would help most.

    Example: tocsin chain run my-city --level 5.35m@lake --members 50 --protect substations:north
    """
    with desk(as_json=as_json) as at:
        import os

        import msgspec

        from tocsin.flows.chains import Together, kept_together, saved_footprint, trace_chains
        from tocsin.flows.information import foresee, model_of
        from tocsin.host import WallClock
        from tocsin.interfaces.exports import check_target
        from tocsin.pack import Effect, find_pack
        from tocsin.platform.twin import open_twin
        from tocsin.vocabulary import InputError

        if picture is not None:
            check_target(picture)
        if forecast is not None and futures:
            raise InputError("--forecast and --futures: both say what comes; give one of the two")
        if futures and asked.driven:
            raise InputError("--futures: the folders say what comes; leave the forcings out, or simulate without --futures")
        effects = [_effect(text) for text in do or []] + [Effect("protect_asset", point) for point in protect or []]
        twin, now = open_twin(folder), WallClock().now()
        world = twin.world(now)
        further = [find_pack(name) for name in others or []]
        began = time.perf_counter()
        words = asked.words()
        if futures:
            came = kept_together(twin, futures, seed=asked.seed, by_number=by_number)
            words = {"futures": ", ".join(map(str, futures))}
        elif forecast is not None:
            came = Together((find_pack(hazard),), (saved_footprint(forecast, twin, hazard),), ())
            words = {"forecast": str(forecast)}
        else:
            pack = find_pack(hazard)
            scenario = scenario_of(world, model_of(pack, model), asked)
            at.progress("futures", 0, asked.members)
            simulated = foresee(
                twin,
                hazard,
                scenario,
                time=now,
                model=model,
                asked=words,
                on_done=lambda done, total: at.progress("futures", done, total),
            ).foreseen.footprint
            came = Together((pack,), (simulated,), ())
        known = {pack.hazard: pack for pack in (*came.packs, *further)}
        report = trace_chains(
            twin.manifest.name,
            world,
            list(known.values()),
            came.footprints,
            effects=effects,
            broken_links=break_link or [],
            hour=hour,
            seed=asked.seed,
            most=most,
            workers=max(1, len(os.sched_getaffinity(0))),
            remarks=came.remarks,
            on_progress=at.progress,
        )
        run_s = time.perf_counter() - began
        if picture is not None:
            from tocsin.interfaces.chain_picture import chain_picture
            from tocsin.interfaces.files import write_whole

            shown = [(one.peak, pack.harm) for one, pack in zip(came.footprints, came.packs, strict=False)]
            write_whole(picture, chain_picture(twin, report, shown))
            at.wrote(picture)
        facts = msgspec.to_builtins(report) | {"asked": dict(words), "run_s": round(run_s, 3)}
        at.answer(facts, lambda console: _tell(console, report, words, run_s))


def _effect(text: str) -> Effect:
    """bring_generator=hospitals:1@2 as an effect."""
    from tocsin.pack import Effect
    from tocsin.vocabulary import InputError

    verb, equals, rest = text.partition("=")
    target, at, hours = rest.partition("@")
    try:
        start_h = float(hours) if at else 0.0
    except ValueError:
        start_h = -1.0
    if not (verb and equals and target and 0.0 <= start_h <= 8_784.0):
        raise InputError(f"--do {text[:80]!r}: wanted VERB=TARGET or VERB=TARGET@HOURS, e.g. bring_generator=hospitals:1@2")
    return Effect(verb, target, start_s=start_h * 3600.0)


def _tell_graph(console: Console, place: str, report: GraphReport) -> None:
    mark = "  MADE UP" if report.made_up else ""
    console.print(f"{place}{mark}: risk chains by the packs {', '.join(report.hazards)}", style="bold")
    console.print(
        "risk points: "
        + (", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in report.points_by_kind.items()) or "none")
    )
    for name, count in report.links_by_name.items():
        if count["links"]:
            console.print(f"link {name}: {count['links']:,}, of which {count['assumed']:,} assumed")
    for service in report.services:
        console.print(f"service {service['name']}: {service['meaning']}")
    console.print(f"actions that act on chains: {', '.join(report.verbs) or 'none'}")
    _tell_remarks(console, report.remarks)


def _tell_remarks(console: Console, remarks: tuple[str, ...]) -> None:
    if remarks:
        console.print("\nAssumed, and not known", style="bold")
    for remark in remarks[:REMARKS_SHOWN]:
        console.print(f"  {remark}")
    if len(remarks) > REMARKS_SHOWN:
        console.print(f"  and {len(remarks) - REMARKS_SHOWN} more (--json lists all)")


def _number(value: Estimate) -> str:
    mean = f"{value.mean:.2g}" if 0.0 < abs(value.mean) < 9.5 else f"{value.mean:,.0f}"  # a third of a hospital is not none
    return f"{mean} ({value.low:,.0f} to {value.high:,.0f})"


def _tell(console: Console, report: ChainReport, asked: dict[str, str], run_s: float) -> None:
    """The report as a page: whom it leaves without what, the ways it takes, and what would help."""
    from rich.table import Table

    from tocsin.vocabulary.units import lasting

    mark = "  MADE UP" if report.made_up else ""
    console.print(
        f"{report.place}{mark}: risk chains of {' and '.join(report.hazards)} over {lasting(report.hours * 3_600.0)}, {report.members} futures, "
        f"seed {report.seed}, people as at {report.hour:g} h",
        style="bold",
    )
    console.print("; ".join(f"{name} {text}" for name, text in asked.items() if name != "hours"))
    console.print(
        f"{sum(report.points_by_kind.values()):,} risk points, {report.links:,} links, of which {report.links_assumed:,} are assumed and not known"
    )
    if report.done:
        console.print(f"done: {'; '.join(report.done)}")
    figures = Table(box=None, pad_edge=False, header_style="bold")
    figures.add_column("mean (5 to 95 % of the futures)")
    figures.add_column("", justify="right")
    if report.undone is not None:
        figures.add_column("without what is done", justify="right")
    for name, value in report.figures.items():
        if value.unit != "person hours":
            more = [] if report.undone is None else [_number(report.undone[name])]
            figures.add_row(name.replace("_", " "), _number(value), *more)
    console.print(figures)
    console.print("\nThe ways that it takes most often", style="bold")
    for way in report.ways:
        steps = " -> ".join(
            f"{name or point} (+{after:.1f} h)" if k else f"{name or point} (at {way.begins_h:.1f} h)"
            for k, (point, name, after) in enumerate(zip(way.points, way.names, way.after_h, strict=True))
        )
        told = "  assumed link" if way.assumed else ""
        console.print(f"  {way.share:4.0%} of the futures ({way.low:.0%} to {way.high:.0%}): {steps}{told}")
    if not report.ways:
        console.print("  none: nothing that the hazard takes out takes anything else down")
    console.print("\nWhat would help most, done at the start, one at a time", style="bold")
    for one in report.breaks:
        console.print(
            f"  {one.verb} {one.target}: {one.saved:,.0f} fewer losses of a service by persons (90 % sure: {one.low:,.0f} to {one.high:,.0f}), "
            f"helps in {one.helps_share:.0%} of the futures"
        )
    if not report.breaks:
        console.print("  nothing that the packs know of")
    console.print("\nWhat fails most often", style="bold")
    for point in report.points[:POINTS_SHOWN]:
        when = "" if point.fails_h is None else f", after {point.fails_h:.1f} h"
        console.print(f"  {point.share:4.0%} {point.id} {point.name} ({point.by_hazard:.0%} by the hazard itself{when})")
    if len(report.points) > POINTS_SHOWN:
        console.print(f"  and {len(report.points) - POINTS_SHOWN} more (--json lists all)")
    _tell_remarks(console, report.remarks)
    console.print(f"\n{run_s:.1f} s")
