"""tocsin user: the people who may sign in. Passwords come from a prompt or from stdin, never from the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.platform.store import User, Users
    from tocsin.security.actor import Actor

app = typer.Typer(
    help="The people who may sign in. Passwords come from a prompt, or line by line from stdin, never from the command line.",
    no_args_is_help=True,
)


class Role(StrEnum):
    """The posts that a person can hold."""

    OPERATOR = "operator"
    PLANNER = "planner"
    COMMANDER = "commander"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    HEALTH = "health"
    SENSOR = "sensor"


class Purpose(StrEnum):
    """What a platform is for; it is fixed when its ledger begins."""

    ACTUAL = "actual"
    EXERCISE = "exercise"
    DEMO = "demo"


Data = Annotated[Path, typer.Argument(help="The platform's data folder; the platform must not be running.", metavar="DATA")]
Name = Annotated[str, typer.Argument(help="The person's sign-in name.", metavar="NAME")]
By = Annotated[
    str,
    typer.Option(
        "--as",
        help="The administrator who does it; the password is asked for first. Default: none, for the very first user.",
        metavar="NAME",
    ),
]


@app.command("add")
def add(
    data: Data,
    name: Name,
    role: Annotated[
        list[Role],
        typer.Option(
            help="A post that the person holds: operator, planner, commander, administrator, auditor, health or sensor; several times. The first user needs administrator.",
            metavar="ROLE",
        ),
    ],
    by: By = "",
    purpose: Annotated[
        Purpose | None,
        typer.Option(
            help="What a NEW data folder is for: actual, exercise or demo; fixed for ever. Default: none, for one that is there."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add a person. Asks for the administrator's password (not for the first user), then for the new one.

    Example: tocsin user add centre ada --role administrator --role commander --purpose exercise
    """
    with desk(as_json=as_json) as at:
        roles = frozenset(r.value for r in role)
        if purpose is not None and not (data / "tocsin.db").exists():
            user = _begin(data, purpose.value, name, roles)
        else:
            with _users(data) as users:
                if users.count() == 0 and not by:
                    user = users.create_first_administrator(name, _new_password(name), roles)
                else:
                    actor = _administrator(users, by)
                    user = users.create(actor, name, _new_password(name), roles)
        at.answer(_row(user), lambda console: console.print(f"{user.name} may sign in: {', '.join(sorted(user.roles))}"))


@app.command("list")
def list_users(data: Data, by: By = "", as_json: AsJson = False) -> None:
    """List who may sign in, for an administrator. Example: tocsin user list centre --as ada"""
    with desk(as_json=as_json) as at, _users(data) as users:
        found = users.all(_administrator(users, by))

        def text(console: Console) -> None:
            for user in found:
                since = f"disabled {user.disabled:%Y-%m-%d %H:%M}" if user.disabled else f"since {user.created:%Y-%m-%d}"
                console.print(f"{user.name:<24} {', '.join(sorted(user.roles)):<40} {since}")

        at.answer([_row(user) for user in found], text)


@app.command("disable")
def disable(data: Data, name: Name, by: By = "", as_json: AsJson = False) -> None:
    """Let a person in no more; what was signed stays signed. Example: tocsin user disable centre bob --as ada"""
    with desk(as_json=as_json) as at, _users(data) as users:
        user = users.disable(_administrator(users, by), name)
        at.answer(_row(user), lambda console: console.print(f"{user.name} may not sign in any more"))


@app.command("enable")
def enable(data: Data, name: Name, by: By = "", as_json: AsJson = False) -> None:
    """Let a disabled person in again. Example: tocsin user enable centre bob --as ada"""
    with desk(as_json=as_json) as at, _users(data) as users:
        user = users.enable(_administrator(users, by), name)
        at.answer(_row(user), lambda console: console.print(f"{user.name} may sign in again"))


@app.command("password")
def password(data: Data, name: Name, by: By = "", as_json: AsJson = False) -> None:
    """Change a password: the person gives the old one and keeps the signing key. With --as an administrator sets a new one and a new key.

    Example: tocsin user password centre ada
    """
    with desk(as_json=as_json) as at, _users(data) as users:
        if by:
            users.reset_password(_administrator(users, by), name, _new_password(name))
        else:
            old = password_of(f"old password of {name}: ")
            users.change_password(name, old, _new_password(name))
        user = users.find(name)
        at.answer(_row(user), lambda console: console.print(f"{user.name} has a new password"))


def _begin(data: Path, purpose: str, name: str, roles: frozenset[str]) -> User:
    """A new data folder with its first user; what is wrong with either is found before there is a folder."""
    from tocsin.platform.store.users import user_name
    from tocsin.security.gate import known_roles
    from tocsin.security.passwords import check_worthy
    from tocsin.vocabulary import InputError

    spelt = user_name(name)
    if "administrator" not in known_roles(roles, of=spelt):
        raise InputError(f"first user {spelt!r}: roles {', '.join(sorted(roles))}; wanted administrator among them")
    first = _new_password(spelt)
    check_worthy(first, name=spelt)
    with _users(data, purpose) as users:
        return users.create_first_administrator(spelt, first, roles)


@contextmanager
def _users(data: Path, purpose: str | None = None) -> Iterator[Users]:
    """The people of a data folder, while no platform writes it."""
    from tocsin.host import WallClock
    from tocsin.platform.ledger import open_ledger
    from tocsin.platform.store import open_users
    from tocsin.security.gate import RoleGate
    from tocsin.vocabulary import NotFound

    if purpose is None and not data.is_dir():
        raise NotFound(f"{data}: there is no such data folder; give --purpose to `tocsin user add` to begin one")
    clock, gate = WallClock(), RoleGate()
    ledger = open_ledger(data, clock=clock, gate=gate, purpose=purpose)
    try:
        yield open_users(ledger.store, clock=clock, gate=gate, ledger=ledger)
    finally:
        ledger.close()


def _administrator(users: Users, by: str) -> Actor:
    from tocsin.vocabulary import Refused

    if not by:
        raise Refused("user: nobody is named who does it; wanted --as ADMINISTRATOR, whose password is then asked for")
    return users.sign_in(by, password_of(f"password of {by}: "), "local")


def password_of(prompt: str) -> str:
    """One password, from the terminal without an echo, or one line of stdin."""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass(prompt)
    line = sys.stdin.readline()
    if not line:
        from tocsin.vocabulary import InputError

        raise InputError(f"{prompt.rstrip(': ')}: stdin has ended; wanted one line for each password that is asked for")
    return line.rstrip("\r\n")


def _new_password(name: str) -> str:
    """A new password; typed twice where somebody types it."""
    first = password_of(f"new password of {name}: ")
    if sys.stdin.isatty() and password_of("the same again: ") != first:
        from tocsin.vocabulary import InputError

        raise InputError(f"new password of {name}: the two differ; nothing was changed")
    return first


def _row(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "roles": sorted(user.roles),
        "created": user.created,
        "disabled": user.disabled,
        "public_key": user.public_key,
    }
