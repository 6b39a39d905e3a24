"""tocsin edge: a node beside the sensors, which collects, checks, warns and stores by itself, and sends on when it can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import FAILED, AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.edge.settings import Settings
    from tocsin.edge.status import EdgeStatus
    from tocsin.platform.store.edges import EdgeNode, Edges
    from tocsin.security.actor import Actor

app = typer.Typer(
    name="tocsin-edge",
    help="A node beside the sensors: it collects, checks, warns and stores by itself, and sends on when there is a link.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(help="The node's settings, see docs/guide/edge.md.", metavar="FILE")]
Data = Annotated[Path, typer.Argument(help="The platform's data folder; the platform must not be running.", metavar="DATA")]
Name = Annotated[str, typer.Argument(help="The node's name, as in its [node] name.", metavar="NAME")]
By = Annotated[
    str,
    typer.Option("--as", help="The administrator who does it; the password is asked for. Default: none.", metavar="NAME"),
]


@app.command("run")
def run(
    file: File,
    run_for: Annotated[
        float | None,
        typer.Option("--for", help="Stop by itself after so many seconds. Default: run until SIGTERM or Ctrl-C.", min=0.0),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the node until SIGTERM or Ctrl-C. Log lines go to stderr. Example: tocsin edge run edge.toml"""
    with desk(as_json=as_json) as at:
        from tocsin.interfaces.edge import run_file

        name = run_file(file, note=at.note, run_for_s=run_for)
        at.answer({"node": name, "stopped": True}, lambda console: console.print("stopped in order"))


@app.command("check")
def check(file: File, as_json: AsJson = False) -> None:
    """Check a settings file and say what the node would do; nothing is opened or made. Example: tocsin edge check edge.toml"""
    with desk(as_json=as_json) as at:
        settings = _read(file)
        rows = _described(settings)

        def text(console: Console) -> None:
            console.print(f"{file}: is in order")
            for what, names in rows.items():
                console.print(f"  {what:<12} {', '.join(map(str, names)) or 'none'}")

        at.answer(rows, text)


@app.command("status")
def status(
    where: Annotated[
        Path, typer.Argument(help="The node's settings, or its data folder. Default: edge.toml.", metavar="FILE|FOLDER")
    ] = Path("edge.toml"),
    whole: Annotated[bool, typer.Option("--all", help="Show every source, also all that work. Default: 20 of these.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say how a node stands, the worst first: sources, collectors, storage, uplink, actions. Exit code 1 where it does not run.

    Example: tocsin edge status edge.toml
    """
    with desk(as_json=as_json) as at:
        from tocsin.edge.status import read_status
        from tocsin.host import WallClock
        from tocsin.interfaces.cli.edge_status import print_status

        told, now = read_status(where if where.is_dir() else _read(where).data), WallClock().now()
        is_old = told.is_old(now)
        age_s = (now - told.time).total_seconds()
        rows = _built(told) | {"is_running": not is_old, "age_s": age_s}
        at.answer(rows, lambda console: print_status(console, told, age_s, whole=whole))
        if is_old:
            raise typer.Exit(FAILED)


@app.command("keys")
def keys(file: File, as_json: AsJson = False) -> None:
    """Print the node's name and public key, with which a platform enrols it; makes the key where there is none.

    Example: tocsin edge keys edge.toml
    """
    with desk(as_json=as_json) as at:
        from tocsin.interfaces.edge import node_key
        from tocsin.security.keys import fingerprint

        settings = _read(file)
        key = node_key(settings.data).public_key

        def text(console: Console) -> None:
            console.print(f"{settings.node.name} {key}")
            console.print(f"fingerprint {fingerprint(key)}; on the platform: tocsin edge enrol DATA {settings.node.name} {key}")

        at.answer({"node": settings.node.name, "public_key": key, "fingerprint": fingerprint(key)}, text)


@app.command("enrol")
def enrol(
    data: Data,
    name: Name,
    key: Annotated[str, typer.Argument(help="The node's public key, as `tocsin edge keys` prints it there.", metavar="KEY")],
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """On the platform: let a node send, with this key. A new key takes the place of the old one.

    Example: tocsin edge enrol centre weir-house 6b1f --as ada
    """
    with desk(as_json=as_json) as at, _edges(data, by) as (edges, actor):
        node = edges.enrol(actor, name, key)
        at.answer(_row(node), lambda console: console.print(f"{node.name} may send"))


@app.command("dismiss")
def dismiss(data: Data, name: Name, by: By = "", as_json: AsJson = False) -> None:
    """On the platform: take nothing more from a node; what it sent stays. Example: tocsin edge dismiss centre weir-house --as ada"""
    with desk(as_json=as_json) as at, _edges(data, by) as (edges, actor):
        node = edges.dismiss(actor, name)
        at.answer(_row(node), lambda console: console.print(f"{node.name} may not send any more"))


@app.command("nodes")
def nodes(data: Data, by: By = "", as_json: AsJson = False) -> None:
    """On the platform: list the nodes that may send, and that once did. Example: tocsin edge nodes centre --as ada"""
    with desk(as_json=as_json) as at, _edges(data, by) as (edges, actor):
        found = edges.all(actor)

        def text(console: Console) -> None:
            for node in found:
                ended = "" if node.ended is None else f"; dismissed {node.ended:%Y-%m-%d %H:%M}"
                console.print(f"{node.name:<24} {node.public_key} since {node.since:%Y-%m-%d %H:%M}{ended}")

        at.answer([_row(node) for node in found], text)


def _read(file: Path) -> Settings:
    from tocsin.edge.collectors import find_collectors
    from tocsin.edge.settings import read_settings

    return read_settings(file, kinds=find_collectors())


def _described(settings: Settings) -> dict[str, list[Any]]:
    rules = [f"{rule.name} ({hazard})" for hazard, several in settings.rules.items() for rule in several]
    rules += [f"{rule.name} ({hazard})" for hazard, told in settings.bulletin_rules.items() for rule in told]
    return {
        "node": [settings.node.name],
        "data": [str(settings.data)],
        "quantities": [str(quantity) for quantity in settings.quantities.values()],
        "collectors": [collector.name for collector in settings.collectors],
        "checks": [check.quantity.name for check in settings.checks],
        "rules": rules,
        "actions": [f"{action.name} ({action.kind})" for action in settings.actions],
        "uplink": [settings.uplink.url] if settings.uplink else [],
        "postgres": [f"url in {settings.postgres.url_file}"] if settings.postgres else [],
    }


def _built(told: EdgeStatus) -> dict[str, Any]:
    import msgspec

    built: dict[str, Any] = msgspec.to_builtins(told)
    return built


@contextmanager
def _edges(data: Path, by: str) -> Iterator[tuple[Edges, Actor]]:
    """The nodes of a platform's data folder, and the administrator who asks."""
    from tocsin.host import WallClock
    from tocsin.interfaces.cli.user import password_of
    from tocsin.platform.ledger import open_ledger
    from tocsin.platform.store import open_users
    from tocsin.platform.store.edges import Edges
    from tocsin.security.gate import RoleGate
    from tocsin.vocabulary import NotFound, Refused

    if not by:
        raise Refused("edge: nobody is named who does it; wanted --as ADMINISTRATOR, whose password is then asked for")
    if not data.is_dir():
        raise NotFound(f"{data}: there is no such data folder; wanted that of a platform")
    clock, gate = WallClock(), RoleGate()
    ledger = open_ledger(data, clock=clock, gate=gate)
    try:
        users = open_users(ledger.store, clock=clock, gate=gate, ledger=ledger)
        actor = users.sign_in(by, password_of(f"password of {by}: "), "local")
        yield Edges(ledger.store, clock=clock, gate=gate, ledger=ledger), actor
    finally:
        ledger.close()


def _row(node: EdgeNode) -> dict[str, Any]:
    return {"name": node.name, "public_key": node.public_key, "since": node.since, "ended": node.ended}
