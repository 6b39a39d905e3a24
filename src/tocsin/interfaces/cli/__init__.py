"""The command line: each command parses what was typed, calls one Python function that a notebook can call too, and prints.

Nothing heavy is imported here: help and errors of usage cost what typer costs, and each command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from tocsin import __version__
from tocsin.interfaces.cli import (
    ask,
    cases,
    chain,
    decision,
    demo,
    dispatch,
    edge,
    evacuation,
    execution,
    exposure,
    forecast,
    futures,
    job,
    ledger,
    library,
    limit,
    observations,
    order,
    pack,
    plan,
    sensorthings,
    serve,
    simulate,
    twin,
    user,
    warn,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="tocsin",
    help="Tocsin: sense, warn, simulate a digital twin, compare plans on many futures, decide, record.",
    epilog=(
        "Exit codes: 0 done, 1 refused or failed (the message says what, where, got, wanted, do), 2 usage, 130 stopped with Ctrl-C. "
        "With --json a command prints JSON on stdout and nothing else there."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich would cost another 60 ms and more
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.add_typer(twin.app, name="twin")
app.add_typer(forecast.app, name="forecast")
app.add_typer(futures.app, name="futures")
app.add_typer(plan.app, name="plan")
app.add_typer(job.app, name="job")
app.add_typer(library.app, name="library")
app.add_typer(limit.app, name="limit")
app.add_typer(decision.app, name="decision")
app.add_typer(execution.app, name="execution")
app.add_typer(order.app, name="order")
app.add_typer(dispatch.app, name="dispatch")
app.add_typer(cases.app, name="cases")
app.add_typer(chain.app, name="chain")
app.add_typer(evacuation.app, name="evacuation")
app.add_typer(warn.app, name="warn")
app.add_typer(exposure.app, name="exposure")
app.add_typer(ledger.app, name="ledger")
app.add_typer(user.app, name="user")
app.add_typer(pack.app, name="pack")
app.add_typer(sensorthings.app, name="sensorthings")
app.add_typer(edge.app, name="edge")
app.add_typer(observations.app, name="observations")
app.command("simulate")(simulate.simulate)
app.command("ask")(ask.ask)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tocsin {__version__}")
        raise typer.Exit


@app.callback()
def tocsin(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_tell_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error too; as TOCSIN_DEBUG=1 does. Default: hidden.")
    ] = False,
) -> None:
    """Set what holds for every command."""
    if debug:
        os.environ["TOCSIN_DEBUG"] = "1"


def _terminated(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)  # as an exception, so that what is half-written is taken away on the way out


def main() -> None:
    """The program `tocsin`."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
