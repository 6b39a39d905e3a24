"""tocsin pack: which hazards are installed, and what each pack is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.interfaces.cli.desk import AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.pack import Pack

app = typer.Typer(help="The hazards that are installed: their rules, models, limits and sources.", no_args_is_help=True)


@app.command("list")
def list_packs(as_json: AsJson = False) -> None:
    """List the installed packs. Example: tocsin pack list"""
    with desk(as_json=as_json) as at:
        from tocsin.pack import find_packs

        packs = find_packs()
        rows = [
            {
                "hazard": hazard,
                "rules": len(pack.rules),
                "models": [m.name for m in pack.models],
                "cases": len(pack.cases),
                "observes": [str(q) for q in pack.observes],
            }
            for hazard, pack in packs.items()
        ]

        def text(console: Console) -> None:
            if not rows:
                console.print("No pack is installed: `python -m pip install .` installs the ones that Tocsin brings.")
            for row in rows:
                models = row["models"]
                assert isinstance(models, list)
                console.print(f"{row['hazard']}: {row['rules']} rules, models {', '.join(models)}, {row['cases']} cases")

        at.answer(rows, text)


@app.command("show")
def show(
    hazard: Annotated[str, typer.Argument(help="The pack's hazard, e.g. flood.", metavar="HAZARD")],
    as_json: AsJson = False,
) -> None:
    """Show a pack: its rules, models with knobs and limits, numbers that decide, and sources. Example: tocsin pack show flood"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.information import describe_pack
        from tocsin.pack import find_pack

        pack = find_pack(hazard)
        at.answer(describe_pack(pack), lambda console: _tell(console, pack))


def _tell(console: Console, pack: Pack) -> None:
    from tocsin.pack import Exposure, Link, senses_of

    console.print(f"{pack.hazard}", style="bold")
    console.print("\nRules", style="bold")
    for rule in pack.rules:
        mark = "" if rule.verified else "  [unverified: for planners, never for the public]"
        console.print(f"  {rule.name} reads {rule.reads}: {rule.meaning}{mark}\n    source: {rule.source}")
    for model in pack.models:
        console.print(f"\nModel {model.name} makes {model.makes}", style="bold")
        console.print(f"  source: {model.source}\n  limits: {model.limits}")
        for name, drive in model.series.items():
            place = f", at {' or '.join(drive.sorts)}" if drive.sorts else ""
            steps = ", stepwise" if drive.stepwise else ""
            given = "usual value where not given" if drive.usual is not None else "not there unless given"
            console.print(f"  forcing {name} [{drive.quantity.unit}]{place}{steps}: {drive.meaning} ({given})")
        for name, knob in model.knobs.items():
            console.print(f"  knob {name}: {knob.low:g} .. {knob.usual:g} .. {knob.high:g} {knob.unit}  {knob.meaning}")
        for name, verb in model.acts_on.items():
            console.print(f"  plans act on it with {name} [{verb.unit}], on {' or '.join(verb.sorts)}: {verb.meaning}")
        if not model.acts_on:
            console.print("  plans can act on it with nothing")
    if pack.facts:
        console.print("\nFacts that triggers of plans may ask", style="bold")
    for fact in pack.facts:
        seen = f", observed as {fact.observed}" if fact.observed else ", known in simulations alone"
        console.print(f"  {fact.name} [{fact.unit or 1}]{f', of a {fact.place}' if fact.place else ''}{seen}: {fact.meaning}")
    if senses := senses_of(pack, pack.models[0]) if pack.models else ():
        console.print("\nReadings that weigh futures", style="bold")
    for sense in senses:
        console.print(f"  {sense.quantity}: {sense.told()}; error {sense.error.told()}: {sense.error.source}")
    if pack.questions:
        console.print("\nQuestions, for `tocsin ask`", style="bold")
    for question in pack.questions:
        console.print(f"  {question.name}{' (of a twin)' if question.needs_twin else ''}: {question.meaning}")
    console.print(
        "\nOutlook: the running platform makes its scenario from what sensors said"
        if pack.outlook is not None
        else "\nOutlook: none; a person gives the running platform its scenario"
    )
    harm = pack.harm
    console.print("\nNumbers that decide", style="bold")
    console.print(f"  danger: {harm.told()}")
    if harm.road_speed is not None:
        console.print(f"  roads: {harm.road_speed.source}")
    for sort, curve in harm.damage.items():
        console.print(f"  damage, {sort}: {curve.source}{' (unverified)' if curve.unverified else ''}")
    if pack.chain:
        console.print("\nRisk chains", style="bold")
    for part in pack.chain:
        if isinstance(part, Exposure):
            mark = " (unverified)" if part.curve.unverified else ""
            console.print(f"  {part.curve.quantity.name} takes out {part.kind.replace('_', ' ')}: {part.curve.source}{mark}")
        elif isinstance(part, Link):
            console.print(f"  {part.name}: {part.source}{' (unverified)' if part.unverified else ''}")
    if pack.knowledge:
        console.print("\nKnowledge", style="bold")
        for line in pack.knowledge:
            console.print(f"  {line}")
    if pack.cases:
        console.print("\nCases", style="bold")
        for case in pack.cases:
            console.print(f"  {case.name} ({case.when}): {case.source}")
