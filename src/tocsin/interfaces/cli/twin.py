"""tocsin twin: turn a city's files into a twin folder, and look at what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Build a digital twin from the usual files, and look at it.", no_args_is_help=True)

VECTOR = "GeoJSON, GeoPackage, Shapefile or GeoParquet"


@app.command("build")
def build(
    folder: Annotated[Path, typer.Argument(help="The twin's folder; it is made, complete or not at all.", metavar="FOLDER")],
    elevation: Annotated[
        Path, typer.Option(help="Terrain: a GeoTIFF with heights in m and a coordinate system.", metavar="FILE")
    ],
    roads: Annotated[
        Path | None,
        typer.Option(help=f"Streets: OSM PBF, or lines with a highway column as {VECTOR}. Default: none.", metavar="FILE"),
    ] = None,
    population: Annotated[
        Path | None,
        typer.Option(
            help=f"People: CSV with an H3 cell or lon, lat and a population (jobs for the day) in each row, or {VECTOR}. Default: none.",
            metavar="FILE",
        ),
    ] = None,
    buildings: Annotated[
        Path | None,
        typer.Option(help=f"Building footprints: OSM PBF or {VECTOR}. Default: none, and no damage is told.", metavar="FILE"),
    ] = None,
    landcover: Annotated[
        Path | None,
        typer.Option(help="Land cover: a GeoTIFF of ESA WorldCover classes. Default: one usual friction.", metavar="FILE"),
    ] = None,
    zones: Annotated[
        Path | None,
        typer.Option(help=f"Named areas, to warn and to evacuate: {VECTOR}. Default: inhabited squares of 1 km.", metavar="FILE"),
    ] = None,
    lines: Annotated[
        Path | None,
        typer.Option(
            help=f"Where a barrier can be raised or a dike may breach: {VECTOR}, name, sort, crest_m. Default: none.",
            metavar="FILE",
        ),
    ] = None,
    gauges: Annotated[
        Path | None,
        typer.Option(help=f"Sensors: {VECTOR}, points with site, name, quantity, zero_m. Default: none.", metavar="FILE"),
    ] = None,
    assets: Annotated[
        list[str] | None,
        typer.Option(
            help="Things at risk or of use, e.g. hospitals=hospitals.geojson; several times. Default: none.", metavar="KIND=FILE"
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            help="A further raster that a hazard's pack reads by this name, e.g. fuel_model=fuel.tif: whole numbers by the nearest pixel, other "
            "numbers between pixels; several times. Default: none.",
            metavar="NAME=FILE.tif",
        ),
    ] = None,
    lifelines: Annotated[
        Path | None,
        typer.Option(
            help="An OSM PBF: substations, pumping stations, water works, masts and hospitals are taken from it, as far as it has them. "
            "Default: none.",
            metavar="FILE",
        ),
    ] = None,
    dependencies: Annotated[
        Path | None,
        typer.Option(
            help="Which asset needs which: CSV with link, source, target (kind:id) and, where known, probability, delay_h, endurance_h. "
            "Default: none, and risk chains take the nearest.",
            metavar="FILE.csv",
        ),
    ] = None,
    water: Annotated[
        list[str] | None,
        typer.Option(
            help="A water body that a level can be given for: lake=auto, lake=LON,LAT (a point in it) or lake=FILE (polygons), "
            "with ,zero=METRES where the gauge's zero is not the terrain's; several times. Default: lake=auto, if there is one.",
            metavar="NAME=SPEC",
        ),
    ] = None,
    cell: Annotated[
        float | None,
        typer.Option(help="Side of a grid cell, m. Default: that of the terrain.", min=0.1, max=100_000.0, metavar="METRES"),
    ] = None,
    crs: Annotated[
        str,
        typer.Option(help="Coordinate system in metres, e.g. EPSG:32722. Default: the UTM zone of the terrain.", metavar="CRS"),
    ] = "",
    name: Annotated[str, typer.Option(help="The place's name. Default: the folder's name.", metavar="TEXT")] = "",
    time_zone: Annotated[
        str,
        typer.Option(
            help="The place's time zone as an IANA name, e.g. America/Sao_Paulo: by it people are at home or at work. "
            "Default: none, and the hour goes by the sun.",
            metavar="ZONE",
        ),
    ] = "",
    made_up: Annotated[
        bool,
        typer.Option("--made-up", help="The place is an invention, and all that is made of it says so. Default: a real place."),
    ] = False,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            help='Licence of an input, e.g. elevation="public domain"; several times. Default: none told.', metavar="WHAT=TEXT"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a twin that is there. Default: refuse.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a twin. Example: tocsin twin build my-city --elevation dem.tif --roads city.osm.pbf --population cells.csv"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.information import describe_twin
        from tocsin.host import WallClock
        from tocsin.interfaces.units import pairs
        from tocsin.platform.twin import build_twin, open_twin

        build_twin(
            folder,
            elevation=elevation,
            created=WallClock().now(),
            roads=roads,
            population=population,
            buildings=buildings,
            landcover=landcover,
            zones=zones,
            lines=lines,
            gauges=gauges,
            assets={
                kind: Path(file) for kind, file in pairs(assets or [], "--assets", example="hospitals=hospitals.geojson").items()
            },
            extra={name: Path(file) for name, file in pairs(field or [], "--field", example="fuel_model=fuel.tif").items()},
            lifelines=lifelines,
            dependencies=dependencies,
            water=pairs(water, "--water", example="lake=auto") if water else None,
            cell_m=cell,
            crs=crs or None,
            name=name or None,
            made_up=made_up,
            time_zone=time_zone,
            licences=pairs(licence or [], "--licence", example="roads=ODbL"),
            overwrite=overwrite,
            on_progress=at.progress,
        )
        facts = describe_twin(open_twin(folder))
        at.answer(facts, lambda console: _tell(console, facts))


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(help="The twin's folder.", metavar="FOLDER")],
    verify: Annotated[bool, typer.Option("--verify", help="Check the SHA-256 of every file first. Default: do not.")] = False,
    picture: Annotated[
        Path | None,
        typer.Option(help="Write a map of it as PNG: relief, water, streets, people. Default: none.", metavar="FILE.png"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a twin is made of, from where, under which licence. Example: tocsin twin show my-city --verify"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.information import describe_twin
        from tocsin.platform.twin import open_twin

        twin = open_twin(folder)
        facts = describe_twin(twin, verify=verify)
        if picture is not None:
            from tocsin.interfaces.exports import twin_picture
            from tocsin.interfaces.files import write_whole

            write_whole(picture, twin_picture(twin))
            at.wrote(picture)
        at.answer(facts, lambda console: _tell(console, facts))


def _tell(console: Console, facts: dict[str, Any]) -> None:
    """The twin's facts as a page."""
    mark = "  MADE UP" if facts["made_up"] else ""
    console.print(f"{facts['name']}{mark}", style="bold")
    west, south, east, north = facts["extent_lonlat"]
    console.print(
        f"{facts['rows']:,} x {facts['cols']:,} cells of {facts['cell_m']:.4g} m, {facts['crs']}, {west:.4f}..{east:.4f} E, {south:.4f}..{north:.4f} N"
    )
    console.print(
        f"ground {facts['ground_m']['low']:,.1f} .. {facts['ground_m']['high']:,.1f} m; fields: {', '.join(facts['fields'])}"
    )
    counts = facts["counts"]
    console.print(
        f"time {facts['time_zone'] or 'by the sun (no --time-zone was given; legal time may differ by an hour or more)'}"
    )
    console.print(f"people {counts.get('people_night', 0):,.0f} by night, {counts.get('people_day', 0):,.0f} by day")
    console.print(f"roads {counts.get('road_km', 0):,.0f} km in {counts.get('road_edges', 0):,.0f} directed edges")
    if counts.get("buildings"):
        console.print(f"buildings {counts['buildings']:,.0f} with {counts['floor_m2']:,.0f} m2 of floor")
    zones, more = facts["zones"][:12], len(facts["zones"]) - 12
    console.print(f"zones {len(facts['zones'])}: {', '.join(zones)}{f' and {more} more' if more > 0 else ''}")
    for water in facts["waters"]:
        console.print(
            f"water {water['name']}: {water['cells']:,} cells, surface at {water['usual_level_m']:g} m, gauge zero at {water['gauge_zero_m']:g} m "
            f"({water['note']})"
        )
    for kind, count in facts["assets"].items():
        console.print(f"{kind} {count:,}")
    for line in facts["lines"]:
        console.print(f"line {line['name']} ({line['sort']})")
    for gauge in facts["gauges"]:
        console.print(f"gauge {gauge['site']}: {gauge['name']}, {gauge['quantity']}")
    console.print("\nSources", style="bold")
    for source in facts["sources"]:
        told = ", ".join(part for part in (source["licence"] or "no licence told", source["attribution"]) if part)
        console.print(f"  {source['what']}: {source['file']} ({told}; SHA-256 {source['sha256'][:12]}...)")
    console.print("\nRemarks", style="bold")
    for remark in facts["remarks"]:
        console.print(f"  {remark}")
    if facts["verified"]:
        console.print(f"\nAll {facts['verified']} files are what the manifest says.")
