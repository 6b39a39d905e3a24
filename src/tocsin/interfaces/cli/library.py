"""tocsin library: the plans that people have put into a platform; they are compared with the pack's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.speaking import To, speaks

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="The library of plans of a platform: what people have put into it is compared with the pack's own plans.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The plan's name; `library list` tells them.", metavar="PLAN")]


@app.command("list")
@speaks
def list_plans(to: To, as_json: AsJson = False) -> None:
    """List all plans on the table: the pack's own, and who put the others there. Example: tocsin library list http://127.0.0.1:8765 --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        rows = [
            {
                "name": p["name"],
                "hazard": p["hazard"],
                "saved_by": p["saved_by"],
                "summary": p["summary"],
                "level": p["level"],
                "actions": len(p["actions"]),
                "digest": p["digest"],
            }
            for p in platform.get("plans", **to.about)
        ]

        def text(console: Console) -> None:
            for row in rows:
                whose = f"saved by {row['saved_by']}" if row["saved_by"] else "the pack's own"
                console.print(f"{row['name']} ({row['hazard']}, {whose}, {row['actions']} actions): {row['summary']}")

        at.answer(rows, text)


@app.command("show")
@speaks
def show(to: To, name: Name, as_json: AsJson = False) -> None:
    """Print a plan of the table as TOML, to be changed and saved. Example: tocsin library show http://127.0.0.1:8765 quay --as ada > quay.toml"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        from tocsin.vocabulary import NotFound

        plans = {p["name"]: p for p in platform.get("plans", **to.about)}
        if name not in plans:
            raise NotFound(f"no plan {name!r} on the table; there are: {', '.join(plans)}")
        toml = _toml_of({field: value for field, value in plans[name].items() if field not in ("digest", "saved_by")})
        if as_json:
            at.json(plans[name] | {"toml": toml})
        else:
            sys.stdout.write(toml)


@app.command("save")
@speaks
def save(
    to: To,
    file: Annotated[Path, typer.Argument(help="The plan, a TOML file: docs/guide/plans.md.", metavar="PLAN.toml")],
    as_json: AsJson = False,
) -> None:
    """Put a plan into the library, in place of one of its name there. Every fault of it is told, and then nothing is saved.

    Example: tocsin library save http://127.0.0.1:8765 quay.toml --as ada
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows.plan_files import PLAN_BYTES_MAX
        from tocsin.interfaces.files import read_bounded
        from tocsin.vocabulary import InputError

        try:
            text = read_bounded(file, PLAN_BYTES_MAX).decode()
        except UnicodeDecodeError as fault:
            raise InputError(f"{file}: byte {fault.start} is not UTF-8 text; wanted a plan as TOML") from fault
        with to.speaking() as platform:
            told = platform.post("plans", body={"toml": text})
        at.answer(told, lambda console: _tell_saved(console, told))


@app.command("remove")
@speaks
def remove(to: To, name: Name, as_json: AsJson = False) -> None:
    """Take a plan out of the library; what was compared and decided with it stays. Example: tocsin library remove http://127.0.0.1:8765 quay --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        told = platform.delete("plans", name) | {"plan": name, "digest": ""}
        at.answer(told, lambda console: _tell_saved(console, told))


@app.command("undo")
@speaks
def undo(to: To, name: Name, as_json: AsJson = False) -> None:
    """Put back what the library had by a name before its last change; twice brings the change back.

    Example: tocsin library undo http://127.0.0.1:8765 quay --as ada
    """
    with desk(as_json=as_json) as at, to.speaking() as platform:
        told = platform.post("plans", name, "undo")
        at.answer(told, lambda console: _tell_saved(console, told))


def _toml_of(plan: dict[str, Any]) -> str:
    import msgspec

    from tocsin.flows.plan_files import plan_to_toml
    from tocsin.pack import Plan

    return plan_to_toml(msgspec.convert(plan, Plan))


def _tell_saved(console: Console, told: dict[str, Any]) -> None:
    now = f"holds {told['plan']!r}, digest {told['digest'][:16]}..." if told["digest"] else f"has {told['plan']!r} no more"
    console.print(f"the library {now} ({told['id']}); `tocsin library undo` takes it back")
