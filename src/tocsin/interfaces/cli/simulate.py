"""tocsin simulate: run a hazard on a twin, on one future or many, and say what it means for people."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.scenario import Asked, scenario_of, takes_scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from tocsin.flows.information import ForecastReport
    from tocsin.vocabulary import Estimate

WORDS = {
    "people_exposed": "people reached",
    "people_in_danger": "people in danger",
    "people_cut_off": "people cut off (not reached, no way out)",
    "buildings_affected": "buildings reached",
    "damage": "damage to buildings",
    "road_km_cut": "streets cut",
    "road_km_slowed": "streets slowed",
    "hospitals_lost": "hospitals in danger or cut off",
    "shelters_lost": "shelters in danger or cut off",
    "schools_lost": "schools in danger or cut off",
    "ground_reached": "ground reached",
    "ground_in_danger": "ground in danger",
    "peak_mean_where_reached": "peak where reached, mean",
    "peak_highest": "peak, highest",
}
ZONES_SHOWN = 10


@takes_scenario(futures="How many futures; 1 is one future at usual values, without uncertainty.")
def simulate(
    hazard: Annotated[str, typer.Argument(help="The hazard: any installed pack, e.g. flood.", metavar="HAZARD")],
    folder: Annotated[Path, typer.Argument(help="The twin's folder, from `tocsin twin build`.", metavar="FOLDER")],
    asked: Asked,
    model: Annotated[str, typer.Option(help="The pack's model by name. Default: its first.", metavar="NAME")] = "",
    save: Annotated[
        list[Path] | None,
        typer.Option(
            help="Save by the ending: .zarr (folder), .tif (GeoTIFF), .parquet (GeoParquet of zones and streets); several times. Default: none.",
            metavar="OUT",
        ),
    ] = None,
    frames_every: Annotated[
        str,
        typer.Option(
            help="Keep the intensity at every such moment in a saved .zarr, with a unit: 30min, 1h. Default: peaks only.",
            metavar="SPAN",
        ),
    ] = "",
    picture: Annotated[
        Path | None, typer.Option(help="Write the median peak over the relief as PNG. Default: none.", metavar="OUT.png")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a hazard on a twin and say what it means for people, streets and houses.

    Example: tocsin simulate flood my-city --level 5.35m@lake --hours 24 --members 50 --picture flood.png
    """
    with desk(as_json=as_json) as at:
        import msgspec
        import numpy as np

        from tocsin.flows.information import foresee, model_of, report_of
        from tocsin.host import WallClock
        from tocsin.interfaces.exports import check_target, forecast_picture, save_result
        from tocsin.interfaces.files import write_whole
        from tocsin.interfaces.units import duration_s
        from tocsin.pack import find_pack
        from tocsin.platform.twin import open_twin

        for target in (*(save or []), *([picture] if picture else [])):
            check_target(target)
        twin, now = open_twin(folder), WallClock().now()
        scenario = scenario_of(twin.world(now), model_of(find_pack(hazard), model), asked)
        step_s = duration_s(frames_every, "--frames-every") if frames_every else scenario.duration_s
        frame_s = tuple(np.arange(step_s, scenario.duration_s + 1e-6, step_s).tolist()) if frames_every else ()
        began = time.perf_counter()
        at.progress("futures", 0, asked.members)
        result = foresee(
            twin,
            hazard,
            scenario,
            time=now,
            model=model,
            asked=asked.words(),
            frame_s=frame_s,
            on_done=lambda done, total: at.progress("futures", done, total),
        )
        run_s = time.perf_counter() - began
        report = report_of(result)
        for target in save or []:
            save_result(result, target)
            at.wrote(target)
        if picture is not None:
            write_whole(picture, forecast_picture(result))
            at.wrote(picture)
        facts = msgspec.to_builtins(report) | {"run_s": round(run_s, 3), "written": [str(p) for p in at.written]}
        at.answer(facts, lambda console: tell(console, report, run_s))


def number(value: Estimate, several: bool) -> str:
    """A figure with its doubt: the mean, and 5 to 95 % of the futures."""

    def spell(x: float) -> str:
        return f"{x:,.0f}" if abs(x) >= 100 or value.unit in ("persons", "buildings", "EUR") else f"{x:,.2f}"

    return f"{spell(value.mean)} ({spell(value.low)} to {spell(value.high)})" if several else spell(value.mean)


def label(name: str, value: Estimate, own: Mapping[str, str]) -> str:
    """A figure's name for people, with its unit where the name does not say it; `own` is what the hazard's pack calls it."""
    words = own.get(name) or WORDS.get(name) or name.replace("_", " ")
    return words if value.unit in ("persons", *words.split()) else f"{words}, {value.unit}"


def tell(console: Console, report: ForecastReport, run_s: float) -> None:
    """The report as a page."""
    from rich.table import Table

    from tocsin.pack import HARMED, IN_DANGER
    from tocsin.vocabulary.units import lasting

    several = report.members > 1
    mark = "  MADE UP" if report.made_up else ""
    futures = f"{report.members} futures, seed {report.seed}" if several else "one future at usual values"
    console.print(f"{report.place}{mark}: {report.hazard} over {lasting(report.hours * 3_600.0)}, {futures}", style="bold")
    console.print("; ".join(f"{name} {text}" for name, text in report.asked.items() if name != "hours"))
    if several:
        console.print("Figures are means, with 5 to 95 % of the futures behind them.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (("", "left"), ("by night", "right"), ("by day", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for name, value in report.ground.items():
        table.add_row(label(name, value, report.words), number(value, several), "")
    for name, value in report.night.items():
        alike = value == report.day[name]
        table.add_row(
            label(name, value, report.words), number(value, several), "" if alike else number(report.day[name], several)
        )
    console.print(table)
    harmed = report.words.get(HARMED, IN_DANGER)
    hit = [z for z in report.zones if max(z.in_danger_night.mean, z.in_danger_day.mean) >= 0.5]
    if hit:
        zones = Table(box=None, pad_edge=False, header_style="bold")
        for heading in (
            "\nzone",
            "people\nby night",
            "harmed\nby night",
            "harmed\nby day",
            "chance\nof any",
            "first\narrival, h",
        ):
            zones.add_column(heading, justify="left" if "zone" in heading else "right")
        for z in hit[:ZONES_SHOWN]:
            first = "" if z.first_arrival_h is None else f"{z.first_arrival_h:.1f}"
            zones.add_row(
                z.zone,
                f"{z.people_night:,.0f}",
                number(z.in_danger_night, several),
                number(z.in_danger_day, several),
                f"{z.chance:.0%}",
                first,
            )
        console.print()
        console.print(zones)
        if len(hit) > ZONES_SHOWN:
            console.print(f"and {len(hit) - ZONES_SHOWN} more zones with {harmed} (--json lists all)")
    console.print(f"\n{harmed[:1].upper()}{harmed[1:]}: {report.danger}")
    for name, (low, usual, high) in report.spreads.items():
        console.print(f"uncertain: {name} {low:g} .. {usual:g} .. {high:g}")
    for remark in report.remarks:
        console.print(f"note: {remark}")
    balance = (
        ""
        if report.balance_error_share_worst is None
        else f"; balance kept to {report.balance_error_share_worst:.0e} of what it moves"
    )
    console.print(f"\nmodel {report.model}, {run_s:.1f} s{balance}")
    console.print(f"source: {report.source}\nlimits: {report.limits}")
