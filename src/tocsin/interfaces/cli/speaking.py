"""What every command has that speaks with a platform: where it is, and in whose name; the password is asked for and never typed as an option."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tocsin.interfaces.cli.spread import Command, spread

if TYPE_CHECKING:
    from tocsin.interfaces.conversation import Conversation

WhereArgument = Annotated[
    str,
    typer.Argument(
        help="Address of a running platform (https://HOST, or http://127.0.0.1:8765 on this machine), or the data folder of one that does not run.",
        metavar="PLATFORM",
    ),
]
ByOption = Annotated[
    str,
    typer.Option("--as", help="Who does it: the sign-in name; the password is asked for, or is a line of stdin.", metavar="NAME"),
]
TwinOption = Annotated[
    Path | None,
    typer.Option(help="The twin's folder; needed for a data folder. Default: none, for an address.", metavar="FOLDER"),
]
HazardOption = Annotated[
    list[str] | None,
    typer.Option(
        help="The hazard that is asked about, where a platform watches several; for a data folder one that it is served with, and it may be given several "
        "times, the first is asked about. Default: what the platform tells without one; flood, for a data folder.",
        metavar="HAZARD",
    ),
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        help="PEM file of the authority that signed the address's certificate. Default: those of this machine.", metavar="FILE"
    ),
]


class To(NamedTuple):
    """Whom a command speaks with, as it was typed."""

    where: str
    by: str
    twin: Path | None
    hazard: list[str] | None
    ca: Path | None

    @property
    def about(self) -> dict[str, Any]:
        """The hazard that is asked about, as a query or a body says it; nothing where none was named."""
        return {"hazard": self.hazard[0]} if self.hazard else {}

    @contextmanager
    def speaking(self) -> Iterator[Conversation]:
        """Ask for the password, sign in, and sign out at the end."""
        from tocsin.interfaces.cli.user import password_of
        from tocsin.interfaces.conversation import conversation

        password = password_of(f"password of {self.by}: ")
        with conversation(
            self.where, name=self.by, password=password, twin=self.twin, hazards=self.hazard or ("flood",), ca=self.ca
        ) as platform:
            yield platform


def speaks(command: Command) -> Command:
    """Give a command the options that say where the platform is and who asks, and hand it what was typed as its parameter `to`."""
    options: dict[str, tuple[Any, Any]] = {
        "where": (WhereArgument, inspect.Parameter.empty),
        "by": (ByOption, inspect.Parameter.empty),
        "twin": (TwinOption, None),
        "hazard": (HazardOption, None),
        "ca": (CaOption, None),
    }

    def with_platform(**typed: Any) -> None:
        command(to=To(**{name: typed.pop(name) for name in options}), **typed)

    return spread(command, "to", options, with_platform)


def moment(text: str | None) -> str:
    """A moment of an answer, as people read it; a dash where there is none."""
    return "-" if text is None else f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"
