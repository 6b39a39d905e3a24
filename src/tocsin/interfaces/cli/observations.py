"""tocsin observations: what was measured, for years: list it, ask it, take it out, and bring the log into it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, Desk, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.observations import Question, Spot
    from tocsin.platform.history import History

app = typer.Typer(
    help="List, query, export and mine what was measured, over years. The platform or the node may be running meanwhile.",
    no_args_is_help=True,
)


class FlagChoice(enum.StrEnum):
    """Which readings count."""

    GOOD = "good"
    USABLE = "usable"
    ALL = "all"


class PlaceChoice(enum.StrEnum):
    """What a row of a summary stands for."""

    SITE = "site"
    ZONE = "zone"
    ALL = "all"


Data = Annotated[
    Path, typer.Argument(help="The data folder of `tocsin serve`, `tocsin demo` or an edge node.", metavar="DATA_FOLDER")
]
Quantity = Annotated[
    str, typer.Argument(help="What was measured, e.g. river_level; `observations list` shows what there is.", metavar="QUANTITY")
]
Unit = Annotated[
    str | None, typer.Option(help="The unit, where a quantity came in several. Default: the only one.", metavar="UNIT")
]
Sites = Annotated[
    list[str] | None, typer.Option("--site", help="Only this site; may be given several times. Default: all.", metavar="SITE")
]
Bbox = Annotated[
    str | None,
    typer.Option(help="Only sites in this box: WEST,SOUTH,EAST,NORTH in degrees. Default: everywhere.", metavar="W,S,E,N"),
]
ZoneNames = Annotated[
    list[str] | None,
    typer.Option("--zone", help="Only sites in this zone of the twin; may be given several times. Default: all.", metavar="ZONE"),
]
Places = Annotated[
    Path | None,
    typer.Option(
        help="Where sites are: a CSV with site, lon, lat and, where known, name, zone. Default: nobody says.", metavar="FILE"
    ),
]
TwinFolder = Annotated[
    Path | None, typer.Option("--twin", help="Where sites are: the gauges of this twin. Default: nobody says.", metavar="TWIN")
]
Since = Annotated[
    str | None,
    typer.Option(
        help="From this moment on: 2026-03-01T12:00+01:00, or without a zone with --time-zone. Default: the first.",
        metavar="TIME",
    ),
]
Until = Annotated[
    str | None, typer.Option(help="Up to this moment, which is not included; as --since. Default: the last.", metavar="TIME")
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        help="IANA zone of times that name none, and of the calendar of --every day. Default: none, and UTC for the calendar.",
        metavar="ZONE",
    ),
]
Flags = Annotated[
    FlagChoice,
    typer.Option(
        help="Which readings count by their QARTOD flag. good: passed all tests; usable: that, or nobody tested; all: every number."
    ),
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="File to write; its ending says how: .csv, .geojson or .parquet.", metavar="FILE"),
]


@app.command("list")
def list_(data: Data, as_json: AsJson = False) -> None:
    """Which quantities there are, in which unit, from when to when, and what they take. Example: tocsin observations list centre"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.observations import list_observations, moment_text

        history = _history(data)
        found: list[dict[str, Any]] = [
            {
                "quantity": held.quantity,
                "unit": held.unit,
                "readings": held.readings,
                "in_log": held.in_log,
                "from": moment_text(held.from_us),
                "to": moment_text(held.to_us),
                "parts": held.parts,
                "size_bytes": held.size_bytes,
                "aggregated": held.aggregated,
                "aggregated_until": None if held.aggregated_until_us is None else moment_text(held.aggregated_until_us),
            }
            for held in list_observations(history)
        ]

        def text(console: Console) -> None:
            if not found:
                console.print(f"{data}: no readings yet.")
            for row in found:
                console.print(f"{row['quantity']} [{row['unit']}]  {row['from']} .. {row['to']}")
                told = f"  {row['readings']:,} readings in {row['parts']} parts, {row['size_bytes'] / 2**20:,.1f} MB"
                console.print(told + (f"; {row['in_log']:,} more in the log" if row["in_log"] else ""))
                if row["aggregated"]:
                    console.print(f"  {row['aggregated']:,} before {row['aggregated_until']} are one-hour aggregates now")

        at.answer(found, text)
        _damage(at, history)


@app.command("query")
def query(
    data: Data,
    quantity: Quantity,
    unit: Unit = None,
    site: Sites = None,
    bbox: Bbox = None,
    zone: ZoneNames = None,
    places: Places = None,
    twin: TwinFolder = None,
    since: Since = None,
    until: Until = None,
    time_zone: TimeZone = None,
    flags: Flags = FlagChoice.USABLE,
    limit: Annotated[int, typer.Option(help="Show at most so many readings, the newest.", min=1, max=1_000_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Show readings, oldest first. Example: tocsin observations query centre river_level --site weir --since 2026-03-01T00:00Z"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.observations import newest_observations, readings_table, rows_of

        history, spots = _history(data), _spots(places, twin)
        question = _question(quantity, unit, site, bbox, zone, since, until, time_zone, flags)
        batch, is_more = newest_observations(history, question, most=limit, spots=spots)
        rows = rows_of(readings_table(batch, spots))
        found = {"quantity": quantity, "unit": batch.quantity.unit, "more": is_more, "readings": rows}

        def text(console: Console) -> None:
            for row in rows:
                value = "missing" if row["value"] is None else f"{row['value']:g} {row['unit']}"
                console.print(f"{row['time']:<28} {row['site']:<24} {value:>16}  {row['flag_meaning']}")
            if is_more:
                console.print(f"These are the newest {len(rows):,}; --limit shows more, `observations export` writes all.")
            if not rows:
                console.print("No readings answer this; `observations list` says what there is.")

        at.answer(found, text)
        _damage(at, history)


@app.command("export")
def export(
    data: Data,
    quantity: Quantity,
    output: Output,
    unit: Unit = None,
    site: Sites = None,
    bbox: Bbox = None,
    zone: ZoneNames = None,
    places: Places = None,
    twin: TwinFolder = None,
    since: Since = None,
    until: Until = None,
    time_zone: TimeZone = None,
    flags: Flags = FlagChoice.ALL,
    as_json: AsJson = False,
) -> None:
    """Write readings to a file, all of them or those asked for. Example: tocsin observations export centre river_level -o levels.csv"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.observations import check_format
        from tocsin.flows.observations import export as write
        from tocsin.interfaces.files import make_whole

        check_format(output)
        history, spots, count = _history(data), _spots(places, twin), 0
        question = _question(quantity, unit, site, bbox, zone, since, until, time_zone, flags)

        def into(unfinished: Path) -> None:
            nonlocal count
            count = write(history, question, unfinished, spots=spots, progress=at.progress)

        make_whole(output, into)
        at.wrote(output)
        found = {"file": str(output), "readings": count}
        at.answer(found, lambda console: console.print(f"{count:,} readings of {quantity} in {output}"))
        _damage(at, history)


@app.command("mine")
def mine(
    data: Data,
    quantity: Quantity,
    every: Annotated[
        str,
        typer.Option(
            help="Time step: all, 10min, 1h, 7d (from 1970 UTC), or day, week, month, year of the calendar in --time-zone.",
            metavar="STEP",
        ),
    ] = "all",
    by: Annotated[
        PlaceChoice, typer.Option(help="A row for each site, for each zone of the twin, or for all together.")
    ] = PlaceChoice.SITE,
    quantiles: Annotated[
        str, typer.Option(help="Quantiles to tell too, 0 to 1: 0.05,0.5,0.95. Default: none.", metavar="Q,Q,...")
    ] = "",
    gaps_over: Annotated[
        str | None,
        typer.Option(help="Tell silences longer than this instead, e.g. 30min or 2h. Default: no.", metavar="DURATION"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the rows to this file, .csv, .geojson or .parquet. Default: they go to stdout.",
            metavar="FILE",
        ),
    ] = None,
    unit: Unit = None,
    site: Sites = None,
    bbox: Bbox = None,
    zone: ZoneNames = None,
    places: Places = None,
    twin: TwinFolder = None,
    since: Since = None,
    until: Until = None,
    time_zone: TimeZone = None,
    flags: Flags = FlagChoice.USABLE,
    as_json: AsJson = False,
) -> None:
    """Add up over places and time: count, mean, min, max, sum, quantiles, share of each flag; or the gaps.

    Example: tocsin observations mine centre rain_amount --every month --time-zone Europe/Vienna --by all
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows import observations as flow
        from tocsin.interfaces.files import make_whole

        if output is not None:
            flow.check_format(output)
        history, spots = _history(data), _spots(places, twin)
        question = _question(quantity, unit, site, bbox, zone, since, until, time_zone, flags)
        if gaps_over is not None:
            table = flow.gaps(history, question, longer_than_s=flow.seconds_of(gaps_over), spots=spots)
        else:
            table = flow.summarise(
                history,
                question,
                by=by.value,
                every=every,
                zone=time_zone or "UTC",
                quantiles=_numbers(quantiles, "--quantiles"),
                spots=spots,
            )
        in_unit = history.measure(quantity, unit).unit
        if output is not None:
            make_whole(output, lambda unfinished: flow.write_tables([table], unfinished, spots))
            at.wrote(output)
            found: dict[str, Any] = {"file": str(output), "rows": table.num_rows, "unit": in_unit}
            at.answer(found, lambda console: console.print(f"{table.num_rows:,} rows in {output}, values in {in_unit}"))
        else:
            rows = flow.rows_of(table)
            found = {"quantity": quantity, "unit": in_unit, "flags": flags.value, "rows": rows}
            at.answer(
                found, lambda console: _print_gaps(console, rows) if gaps_over else _print_summary(console, rows, in_unit, flags)
            )
        _damage(at, history)


@app.command("compact")
def compact(
    data: Data,
    keep_raw_days: Annotated[
        float | None,
        typer.Option(
            help="Replace older raw readings by one-hour aggregates, for ever; 0 keeps all. Default: what history.toml says, else 0.",
            metavar="DAYS",
            min=0.0,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the node's log into the history, merge its parts, and tell what was dropped.

    It may be run at any time, also while the node writes, and be stopped at any time: nothing is lost and nothing found twice.

    Example: tocsin observations compact centre
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows import observations as flow
        from tocsin.host import WallClock

        settings = flow.read_settings(data)
        if keep_raw_days is not None:
            settings = flow.Settings(compact_every_s=settings.compact_every_s, keep_raw_days=keep_raw_days)
        report = flow.compact(data, now=WallClock().now(), keep_raw=settings.keep_raw, progress=at.progress)
        dropped = flow.told_in_words(report)

        def text(console: Console) -> None:
            console.print(
                f"{report.readings:,} readings came into the history, {report.again:,} were there already; "
                f"{report.parts_written} parts written, {report.parts_replaced} replaced; {report.size_bytes / 2**20:,.1f} MB in all."
            )
            if dropped:
                console.print(dropped)

        at.answer(report, text)
        for line in report.damage:
            at.note(f"damaged: {line}")


def _history(data: Path) -> History:
    from tocsin.platform.history import History

    return History(data)


def _spots(places: Path | None, twin: Path | None) -> dict[str, Spot]:
    from tocsin.flows.observations import spots_of_csv, spots_of_twin

    spots: dict[str, Spot] = {}
    if twin is not None:
        from tocsin.platform.twin import open_twin

        spots |= spots_of_twin(open_twin(twin))
    if places is not None:
        spots |= spots_of_csv(places)
    return spots


def _question(
    quantity: str,
    unit: str | None,
    sites: list[str] | None,
    bbox: str | None,
    zones: list[str] | None,
    since: str | None,
    until: str | None,
    time_zone: str | None,
    flags: FlagChoice,
) -> Question:
    from tocsin.flows.observations import Question, moment_of
    from tocsin.vocabulary import InputError

    box = None if bbox is None else _numbers(bbox, "--bbox")
    if box is not None and len(box) != 4:
        raise InputError(f"--bbox {bbox!r}; wanted WEST,SOUTH,EAST,NORTH in degrees, e.g. 9.6,47.3,9.8,47.5")
    return Question(
        quantity=quantity,
        unit=unit,
        sites=tuple(sites) if sites else None,
        box=None if box is None else (box[0], box[1], box[2], box[3]),
        zones=tuple(zones) if zones else None,
        since=None if since is None else moment_of(since, time_zone),
        until=None if until is None else moment_of(until, time_zone),
        flags=flags.value,
    )


def _numbers(text: str, option: str) -> tuple[float, ...]:
    from tocsin.vocabulary import InputError

    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as fault:
        raise InputError(f"{option} {text!r}: {fault}; wanted numbers with commas between them") from fault


def _damage(at: Desk, history: History) -> None:
    for line in history.damage:
        at.note(f"damaged: {line}")


def _print_summary(console: Console, rows: list[dict[str, Any]], unit: str, flags: FlagChoice) -> None:
    console.print(f"{'place':<24} {'from':<21} {'count':>10} {'mean':>10} {'min':>10} {'max':>10} {'sum':>12}  flags ({unit})")
    for row in rows:
        values = "".join(
            f" {_number(row[name]):>{width}}" for name, width in (("mean", 10), ("min", 10), ("max", 10), ("sum", 12))
        )
        shares = ", ".join(
            f"{name.removeprefix('share_')} {row[name]:.1%}" for name in row if name.startswith("share_") and row[name]
        )
        at = "" if not row["quantiles"] else "  quantiles " + " ".join(map(_number, row["quantiles"]))
        console.print(f"{row['place']:<24} {row['from']:<21} {row['count']:>10,}{values}  {shares}{at}")
    if rows and not any(row["count"] for row in rows):
        console.print(f"No reading counts with --flags {flags.value}; the shares say which flags there are.")
    if not rows:
        console.print("No readings answer this; `observations list` says what there is.")


def _print_gaps(console: Console, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        console.print(f"{row['site']:<24} {row['from']} .. {row['to']}  {row['gap_s'] / 3600.0:,.2f} h")
    console.print(f"{len(rows):,} gaps.")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
