"""tocsin limit: what no plan may break, in a platform: listed, set, undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.speaking import To, moment, speaks

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Hard limits of a platform: what no plan may break in more than so many of the futures. Setting and undoing are signed with your own key.",
    no_args_is_help=True,
)

Reason = Annotated[str, typer.Option(help="Why, for the record. Default: not told.", metavar="TEXT")]


@app.command("list")
@speaks
def list_limits(to: To, as_json: AsJson = False) -> None:
    """List the limits that hold, who set them, what was set before, and what a limit can be on here.

    Example: tocsin limit list http://127.0.0.1:8765 --as ada
    """
    with desk(as_json=as_json) as at, to.speaking() as platform:
        told = platform.get("limits")
        at.answer(told, lambda console: _tell(console, told))


@app.command("set")
@speaks
def set_limits(
    to: To,
    limit: Annotated[
        list[str] | None,
        typer.Argument(
            help="A limit with the share of the futures that may break it (5 % where it is left out): 'people_in_danger@Quay <= 0, 10%'; several. "
            "They take the place of all that hold. Default: none, with --none.",
            metavar="LIMIT",
        ),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Set that no limit holds any more. Default: not.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Set what no plan may break, in place of all that was set; the ranking on the table follows without a run.

    Example: tocsin limit set http://127.0.0.1:8765 'people_in_danger@Quay <= 0, 10%' --as ada --reason "the quay has no way out"
    """
    with desk(as_json=as_json) as at:
        from tocsin.vocabulary import InputError

        if bool(limit) == none:
            raise InputError("limit set: wanted the limits that are to hold, or --none where none shall hold any more")
        with to.speaking() as platform:
            said = platform.signed("limits", body={"limits": limit or [], "reason": reason})
            told = said | {"limits": platform.get("limits")["limits"]}
        at.answer(told, lambda console: _tell_set(console, told))


@app.command("undo")
@speaks
def undo(to: To, reason: Reason = "", as_json: AsJson = False) -> None:
    """Set again what held before the last change; twice brings the change back. Example: tocsin limit undo http://127.0.0.1:8765 --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        said = platform.signed("limits", "undo", body={"reason": reason})
        told = said | {"limits": platform.get("limits")["limits"]}
        at.answer(told, lambda console: _tell_set(console, told))


def _tell(console: Console, told: dict[str, Any]) -> None:
    for text in told["limits"] or ["no limit holds"]:
        console.print(text, style="bold")
    for k, row in enumerate(told["set"]):
        which = "set" if k == 0 else "before that"
        why = f": {row['reason']}" if row["reason"] else ""
        unsigned = "" if row["signed"] else " (not signed: from before limits were)"
        console.print(f"{which} {moment(row['time'])} by {row['by']}{unsigned}{why}: {'; '.join(row['limits']) or 'none'}")
    console.print(f"a limit can be on: {', '.join(told['figures'])}")
    console.print(f"people_in_danger also @ZONE: {', '.join(told['zones']) or 'there are none'}")


def _tell_set(console: Console, told: dict[str, Any]) -> None:
    console.print(f"now holds: {'; '.join(told['limits']) or 'no limit'} ({told['id']})")
    console.print(
        f"the plans are ranked anew under it: {told['comparison']}"
        if told["comparison"]
        else "no ranking waits for a decision; it holds for those that come"
    )
