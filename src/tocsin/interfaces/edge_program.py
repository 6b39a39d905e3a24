"""The program `tocsin-edge`: `run` by itself imports nothing that only other commands need, for the node stays in memory for years.

The parser of the command line and what it brings take a fifth of the 80 MB that a node may have. Every other command, and every
`run` that is not plain, goes to that parser.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType


def main() -> None:
    """Run what was typed."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        plain = plain_run(sys.argv[1:])
        if plain is not None:
            _run(*plain)
            return
        from tocsin.interfaces.cli.edge import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)


def plain_run(words: Sequence[str]) -> tuple[Path, float | None] | None:
    """The file and the seconds of `run FILE [--for SECONDS]`; None where anything else was typed.

    >>> plain_run(["run", "edge.toml", "--for", "2"]), plain_run(["run", "--json", "edge.toml"])
    ((PosixPath('edge.toml'), 2.0), None)
    """
    match list(words):
        case ["run", file] | ["run", file, "--for", _] if not file.startswith("-"):
            try:
                seconds = float(words[3]) if len(words) > 2 else None
            except ValueError:
                return None
            return None if seconds is not None and not seconds >= 0.0 else (Path(file), seconds)
    return None


def _run(file: Path, run_for_s: float | None) -> None:
    # httpx imports a command line of its own, with rich and pygments, wherever click is installed, and does without where it is not
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    from tocsin.interfaces.edge import run_file

    try:
        run_file(file, note=_note, run_for_s=run_for_s)
    except Exception as fault:  # the desk of all commands has the words for it
        import typer

        from tocsin.interfaces.cli.desk import FAILED, desk

        with contextlib.suppress(typer.Exit), desk(as_json=False):
            raise fault
        sys.exit(FAILED)
    sys.stdout.write("stopped in order\n")


def _note(words: str) -> None:
    sys.stderr.write(words + "\n")


def _terminated(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
