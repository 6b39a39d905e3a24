"""tocsin execution: plans that are carried out: what each action waits for, levels that ask for agreement, ending a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.speaking import To, moment, speaks

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.interfaces.conversation import Conversation

app = typer.Typer(
    help="Plans that were decided for and are carried out: see how far they are, agree to a level or refuse it, end one.",
    no_args_is_help=True,
)

Which = Annotated[
    str,
    typer.Argument(
        help="The decision's id, as much of it as is needed, or the name of a plan that runs once.", metavar="EXECUTION"
    ),
]
LevelName = Annotated[str, typer.Argument(help="The level that asks for agreement.", metavar="LEVEL")]
Reason = Annotated[str, typer.Option(help="Why, for the record. Default: not told.", metavar="TEXT")]


@app.command("list")
@speaks
def list_executions(to: To, as_json: AsJson = False) -> None:
    """List the plans that are or were carried out, newest first, and which level asks for whose agreement.

    Example: tocsin execution list http://127.0.0.1:8765 --as ada
    """
    with desk(as_json=as_json) as at, to.speaking() as platform:
        rows = platform.get("executions")

        def text(console: Console) -> None:
            for row in rows or ():
                _tell_head(console, row)
            if not rows:
                console.print("No plan was decided for yet.")

        at.answer(rows, text)


@app.command("show")
@speaks
def show(to: To, execution: Which, as_json: AsJson = False) -> None:
    """Show how far a plan is: what runs, what each action waits for, and how late it is against its usual times.

    Example: tocsin execution show http://127.0.0.1:8765 evacuate --as ada
    """
    with desk(as_json=as_json) as at, to.speaking() as platform:
        row = _found(platform, execution)
        result = None if row.get("broken") else platform.get("executions", row["decision"], "result")
        at.answer(row | {"result": result}, lambda console: _tell(console, row, result))


@app.command("agree")
@speaks
def agree(to: To, execution: Which, level: LevelName, reason: Reason = "", as_json: AsJson = False) -> None:
    """Agree to a level that a running plan asks for, signed with your own key; its orders go out at once.

    Example: tocsin execution agree http://127.0.0.1:8765 quay II --as ada
    """
    _answer(to, execution, level, agrees=True, reason=reason, as_json=as_json)


@app.command("refuse")
@speaks
def refuse(to: To, execution: Which, level: LevelName, reason: Reason = "", as_json: AsJson = False) -> None:
    """Refuse a level that a running plan asks for, signed with your own key; it is asked for again after its trigger has gone.

    Example: tocsin execution refuse http://127.0.0.1:8765 quay II --as ada --reason "the rain stops"
    """
    _answer(to, execution, level, agrees=False, reason=reason, as_json=as_json)


@app.command("end")
@speaks
def end(to: To, execution: Which, reason: Reason = "", as_json: AsJson = False) -> None:
    """End a running plan, signed with your own key: no order follows any more; those that are out stay.

    Example: tocsin execution end http://127.0.0.1:8765 quay --as ada --reason "the water falls"
    """
    with desk(as_json=as_json) as at, to.speaking() as platform:
        row = _found(platform, execution)
        told = platform.signed("executions", row["decision"], "end", body={"reason": reason})
        told |= {"decision": row["decision"], "plan": row.get("plan")}
        at.answer(told, lambda console: console.print(f"{told['plan']} is ended ({told['id']})"))


def _answer(to: To, execution: str, level: str, *, agrees: bool, reason: str, as_json: bool) -> None:
    with desk(as_json=as_json) as at, to.speaking() as platform:
        row = _found(platform, execution)
        told = platform.signed("executions", row["decision"], "levels", level, body={"agrees": agrees, "reason": reason})
        told |= {"decision": row["decision"], "plan": row.get("plan"), "level": level, "agrees": agrees}
        words = "is in force" if agrees else "is refused"
        at.answer(told, lambda console: console.print(f"{told['plan']}: level {level} {words} ({told['id']})"))


def _found(platform: Conversation, asked: str) -> dict[str, Any]:
    """The one execution that is meant; where a plan was decided for several times, the one that is not over."""
    from tocsin.vocabulary import InputError, NotFound

    rows: list[dict[str, Any]] = platform.get("executions")
    if not rows:
        raise NotFound(f"execution {asked!r}: no plan was decided for yet")
    meant = [r for r in rows if r["decision"] == asked] or [r for r in rows if r.get("plan") == asked]
    meant = meant or [r for r in rows if asked and r["decision"].startswith((asked, f"decision-{asked}"))]
    meant = meant if len(meant) < 2 else [r for r in meant if not r["over"]] or meant
    there = ", ".join(f"{r['decision'][:18]} ({r.get('plan', 'not readable')})" for r in rows[:10])
    if not meant:
        raise NotFound(f"no execution {asked!r}; there are: {there}")
    if len(meant) > 1:
        raise InputError(f"execution {asked!r}: {len(meant)} fit; say which decision: {there}")
    return meant[0]


def _tell_head(console: Console, row: dict[str, Any]) -> None:
    if row.get("plan") is None:
        console.print(f"{row['decision']}: {row['broken']}", style="red")
        return
    ended = f": {row['ended']}" if row["ended"] else ""
    state = f"over{ended}" if row["over"] else "running"
    console.print(f"{row['plan']} since {moment(row['began'])}, {state}  ({row['decision']})", style="bold")
    if row["broken"]:
        console.print(f"  CANNOT GO ON: {row['broken']}", style="red")
    for level in row["levels"]:
        if level["phase"] == "proposed" and not row["over"]:
            console.print(f"  LEVEL {level['name']} ASKS for the agreement of the {level['authority']}: {level['enter']}")
    late = [a["name"] for a in row["actions"] if a["overdue"]]
    if late:
        console.print(f"  overdue: {', '.join(late)}")


def _tell(console: Console, row: dict[str, Any], result: dict[str, Any] | None) -> None:
    _tell_head(console, row)
    for level in row.get("levels", ()):
        console.print(f"  level {level['name']}: {level['phase']}")
    late = {} if result is None else {a["action"]: a for a in result["actions"]}
    for a in row.get("actions", ()):
        span = f" {moment(a['began'])}" if a["began"] else ""
        until = f" to {moment(a['ended'])}" if a["ended"] else ""
        delay_s = late.get(a["name"], {}).get("delay_s")
        behind = f", {delay_s / 60.0:+.0f} min against its usual time" if delay_s is not None and abs(delay_s) >= 30.0 else ""
        console.print(f"  {a['phase']:<9} {a['name']} ({a['role']}){span}{until}{behind}{_waits(a)}")


def _waits(a: dict[str, Any]) -> str:
    """What an action that has not begun waits for; why, where it came to nothing."""
    if a["phase"] != "waiting":
        return f": {a['why']}" if a["why"] else ""
    if a["not_known"]:
        return f": not known now: {a['not_known']}"
    if not a["called"]:
        return f": waits for level {a['level']}" if a["level"] else ": nobody has called for it"
    if a["waits_for"]:
        return f": waits for {', '.join(a['waits_for'])}"
    return f": waits until {a['when']}" if a["when"] else ": waits for what it needs"
