"""tocsin order: what was ordered, and what became of it, reported from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.speaking import To, moment, speaks

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Orders of the plans that are carried out: list them, and report what became of one.", no_args_is_help=True
)


@app.command("list")
@speaks
def list_orders(to: To, as_json: AsJson = False) -> None:
    """List the orders, the newest last, with their state and what is overdue. Example: tocsin order list http://127.0.0.1:8765 --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        rows = platform.get("orders")

        def text(console: Console) -> None:
            for row in rows:
                _tell(console, row)
            if not rows:
                console.print("No orders yet. They go out when a plan is approved.")

        at.answer(rows, text)


@app.command("report")
@speaks
def report(
    to: To,
    order: Annotated[
        str,
        typer.Argument(
            help="The order's id, as much of it as is needed, or the name of its action if one order has it.", metavar="ORDER"
        ),
    ],
    state: Annotated[
        str, typer.Argument(help="What became of it: acknowledged, started, done, failed or cancelled.", metavar="STATE")
    ],
    text: Annotated[str, typer.Option(help="What there is to say, for the record. Default: nothing.", metavar="TEXT")] = "",
    as_json: AsJson = False,
) -> None:
    """Report what became of an order; what waited for it is ordered at once.

    Example: tocsin order report http://127.0.0.1:8765 "warn the quay" done --as ada --text "all sirens heard"
    """
    with desk(as_json=as_json) as at, to.speaking() as platform:
        from tocsin.vocabulary import InputError, NotFound

        rows: list[dict[str, Any]] = platform.get("orders")
        meant = [r for r in rows if r["id"] == order] or [r for r in rows if r["action"] == order]
        meant = meant or [r for r in rows if order and r["id"].startswith((order, f"order-{order}"))]
        there = ", ".join(f"{r['id'][:16]} ({r['action']})" for r in rows[-10:]) or "none"
        if not meant:
            raise NotFound(f"no order {order!r}; there are: {there}")
        if len(meant) > 1:
            raise InputError(f"order {order!r}: {len(meant)} fit; say which by its id: {', '.join(r['id'] for r in meant[:10])}")
        told = platform.post("orders", meant[0]["id"], "reports", body={"state": state, "text": text})
        told |= {"order": meant[0]["id"], "action": meant[0]["action"], "state": state}
        at.answer(told, lambda console: console.print(f"{told['action']}: {state} ({told['id']})"))


def _tell(console: Console, row: dict[str, Any]) -> None:
    needs = ", ".join(f"{amount} {name}" for name, amount in row["needs"].items())
    late = " OVERDUE" if row["overdue"] else ""
    console.print(f"{row['state']:<12}{late} {row['action']}: {row['do']}  ({row['id']})", style="bold" if row["overdue"] else "")
    held = f", with {needs}" if needs else ""
    console.print(f"  {row['role']}, {row['target']}{held}, {moment(row['start'])} to {moment(row['due'])}, of {row['plan']}")
    for said in row["reports"]:
        words = f": {said['text']}" if said["text"] else ""
        console.print(f"  {moment(said['time'])} {said['state']} by {said['by']}{words}")
