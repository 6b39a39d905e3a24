"""tocsin cases: past emergencies, and which of them are like what happens now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.interfaces.cli.desk import AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.decision.cases import Alike, PastCase

app = typer.Typer(help="Past emergencies: list, show, and find those that are like what happens now.", no_args_is_help=True)

Files = Annotated[
    list[Path] | None,
    typer.Option("--file", help="A JSON file of cases, beside those of the packs; several times. Default: none.", metavar="FILE"),
]


@app.command("list")
def list_cases(
    file: Files = None,
    hazard: Annotated[str, typer.Option(help="Only cases of this hazard. Default: all.", metavar="NAME")] = "",
    as_json: AsJson = False,
) -> None:
    """List past emergencies. Example: tocsin cases list --hazard flood"""
    with desk(as_json=as_json) as at:
        import msgspec

        found = [case for case in _cases(file) if hazard in ("", case.hazard)]

        def text(console: Console) -> None:
            for case in found:
                console.print(f"{case.id}: {case.name}, {case.when} ({case.hazard}; {case.source})")

        at.answer(msgspec.to_builtins(found), text)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A case by its id or name.", metavar="CASE")],
    file: Files = None,
    as_json: AsJson = False,
) -> None:
    """Show one past emergency. Example: tocsin cases show "Ahr valley flash flood" """
    with desk(as_json=as_json) as at:
        import msgspec

        from tocsin.decision.cases import find_case

        case = find_case(_cases(file), name)
        at.answer(msgspec.to_builtins(case), lambda console: _tell(console, case))


@app.command("similar")
def similar(
    hazard: Annotated[str, typer.Option(help="The hazard. Default: any.", metavar="NAME")] = "",
    observed: Annotated[
        list[str] | None,
        typer.Option(
            help="A number that is known, by the name that cases use: rain_max_1h_mm=150; several times. Default: none.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    chain: Annotated[
        list[str] | None,
        typer.Option(help='What led to what: "extreme_rain>metro_flood"; several times. Default: none.', metavar="CAUSE>EFFECT"),
    ] = None,
    text: Annotated[
        str, typer.Option(help="Words to look for in names, chains and lessons. Default: none.", metavar="WORDS")
    ] = "",
    most: Annotated[int, typer.Option(help="How many to tell at the most.", min=1, max=1000)] = 5,
    file: Files = None,
    as_json: AsJson = False,
) -> None:
    """Find past emergencies that are like what happens now, and say in what.

    Example: tocsin cases similar --hazard flood --observed rain_max_1h_mm=150 --text "metro tunnel"
    """
    with desk(as_json=as_json) as at:
        import msgspec

        from tocsin.decision.cases import Situation, alike
        from tocsin.interfaces.units import pairs
        from tocsin.vocabulary import InputError

        numbers = {}
        for name, value in pairs(observed or [], "--observed", example="rain_max_1h_mm=150").items():
            try:
                numbers[name] = float(value)
            except ValueError:
                raise InputError(f"--observed {name}={value!r}: wanted a number; the unit is in the name") from None
        found = alike(_cases(file), Situation(hazard, numbers, tuple(chain or ()), text), most=most)
        at.answer(msgspec.to_builtins(found), lambda console: _tell_alike(console, found))


def _cases(files: list[Path] | None) -> tuple[PastCase, ...]:
    from tocsin.flows.cases import CASES_BYTES_MOST, all_cases
    from tocsin.interfaces.files import read_bounded

    return all_cases([(str(path), read_bounded(path, CASES_BYTES_MOST)) for path in files or []])


def _tell(console: Console, case: PastCase) -> None:
    console.print(f"{case.name}, {case.when} ({case.hazard})")
    for what, rows in (("observed", case.observed), ("impact", case.impact)):
        for name, value in rows.items():
            console.print(f"  {what}: {name} {value:,g}")
    for what, lines in (("chain", case.chain), ("lesson", case.lessons), ("speaks for", case.strategies), ("source", case.says)):
        for line in lines:
            console.print(f"  {what}: {line}")
    if case.confidence:
        console.print(f"  confidence: {case.confidence}")


def _tell_alike(console: Console, found: tuple[Alike, ...]) -> None:
    if not found:
        console.print("No case is like it in anything that was compared.")
    for one in found:
        console.print(
            f"{one.likeness:.0%} like {one.case.name}, {one.case.when} ({one.case.id}); compared in {one.compared}: {'; '.join(one.why)}"
        )
        for lesson in one.case.lessons:
            console.print(f"    lesson: {lesson}")
