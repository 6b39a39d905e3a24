"""tocsin ask: what a pack answers from a table, without a forecast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.questions import Asked

ROWS_SHOWN = 6  # at each end of a long table


def ask(
    hazard: Annotated[str, typer.Argument(help="The pack's hazard.", metavar="HAZARD")],
    question: Annotated[
        str, typer.Argument(help="The question. Default: none; all of the pack's questions are listed.", metavar="QUESTION")
    ] = "",
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The table, as CSV with units in its headings; may be gzipped. Default: none; the question's columns are listed.",
            metavar="FILE.csv",
        ),
    ] = None,
    twin: Annotated[
        Path | None,
        typer.Option(help="The twin's folder, for a question that is asked of a place. Default: none.", metavar="FOLDER"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A setting, with or without a unit: NAME=VALUE; several times. Default: its usual value.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Write the answer's table by the ending: .csv or .parquet. Default: none.", metavar="OUT"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a pack what it answers from a table, or list what it can be asked.

    Example: tocsin ask flood
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows import questions as flow
        from tocsin.flows.question_table import BYTES_MAX
        from tocsin.interfaces.exports import check_target
        from tocsin.interfaces.files import read_bounded, write_whole
        from tocsin.interfaces.units import pairs
        from tocsin.pack import find_pack
        from tocsin.vocabulary import InputError

        if file is None:
            if question:
                flow.question_of(find_pack(hazard), question)
            rows = [row for row in flow.questions_of(hazard) if question in ("", row["name"])]
            at.answer(rows, lambda console: _tell_questions(console, hazard, rows))
            return
        if save is not None:
            if save.suffix not in flow.FORMATS:
                raise InputError(f"--save {save}: the ending {save.suffix!r} says no format; wanted {' or '.join(flow.FORMATS)}")
            check_target(save.with_suffix(".json"))
        world, name = None, ""
        if twin is not None:
            from tocsin.host import WallClock
            from tocsin.platform.twin import open_twin

            place = open_twin(twin)
            world, name = place.world(WallClock().now()), place.manifest.name
        asked = flow.ask(
            hazard,
            question,
            read_bounded(file, BYTES_MAX),
            where=str(file),
            settings=pairs(settings or [], "--set", example="NAME=VALUE"),
            world=world,
            twin=name,
        )
        if save is not None:
            write_whole(save, flow.saved(asked, save.suffix))
            at.wrote(save)
        at.answer(asked.facts(), lambda console: _tell(console, asked))


def _tell_questions(console: Console, hazard: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print(f"{hazard}: this pack answers no questions from tables")
    for row in rows:
        console.print(f"{row['name']}: {row['meaning']}", style="bold")
        for column in row["columns"]:
            unit = {"time": "a date or time", "text": "text", "1": "a number"}.get(column["unit"], f"[{column['unit']}]")
            also = f" (or {', '.join(column['also'])})" if column["also"] else ""
            needed = "" if column["needed"] else ", may be left out"
            console.print(f"  column {column['name']}{also}, {unit}{needed}: {column['meaning']}")
        for name, knob in row["settings"].items():
            console.print(
                f"  --set {name}={knob['usual']:g} ({knob['low']:g} .. {knob['high']:g} {knob['unit']}): {knob['meaning']}"
            )
        if row["needs_twin"]:
            console.print("  is asked of a place: --twin FOLDER")
        console.print(f"  source: {row['source']}\n  limits: {row['limits']}\n")


def _tell(console: Console, asked: Asked) -> None:
    """Figures, the table's ends, and all that has to be told with them."""
    from rich.table import Table

    from tocsin.flows.questions import heading, plain_values

    place = f" in {asked.twin}" if asked.twin else ""
    console.print(f"{asked.hazard}, {asked.question}{place}: {asked.meaning}; from {asked.rows:,} rows", style="bold")
    for name, value in asked.figures.items():
        unit = "" if value.unit == "1" else f" {value.unit}"
        sure = value.low == value.high
        doubt = "" if sure else f" ({_spell(value.low, value.unit)} to {_spell(value.high, value.unit)})"
        console.print(f"{name.replace('_', ' ')}: {_spell(value.mean, value.unit)}{unit}{doubt}")
    if asked.table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name, values in asked.table.items():
            table.add_column(heading(asked, name), justify="right" if values.dtype.kind in "fiu" else "left")
        columns = [values if asked.table_rows <= 2 * ROWS_SHOWN else _ends(values) for values in asked.table.values()]
        units = [asked.units.get(name, "") for name in asked.table]
        rows = list(zip(*(plain_values(values) for values in columns), strict=True))
        for k, row in enumerate(rows):
            if asked.table_rows > 2 * ROWS_SHOWN and k == ROWS_SHOWN:
                table.add_row(*["..."] * len(columns))
            table.add_row(*(_spell(value, unit) for value, unit in zip(row, units, strict=True)))
        console.print()
        console.print(table)
        if asked.table_rows > 2 * ROWS_SHOWN:
            console.print(f"{asked.table_rows:,} rows in all (--json and --save have them)")
    for name, setting in asked.settings.items():
        console.print(f"setting: {name} {setting:g}")
    for remark in asked.remarks:
        console.print(f"note: {remark}")
    console.print(f"source: {asked.source}\nlimits: {asked.limits}")


def _ends(values: Any) -> Any:
    import numpy as np

    return np.concatenate([values[:ROWS_SHOWN], values[-ROWS_SHOWN:]])


def _spell(value: Any, unit: str = "") -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if unit == "deg":
            return f"{value:.4f}"  # of a place: to about ten metres
        return (
            f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.{6 if abs(value) >= 10 else 4}g}"
        )  # -51.2053: a place to ten metres
    return str(value).removesuffix("T00:00:00Z")
