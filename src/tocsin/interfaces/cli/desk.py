"""Where a command hands over: the answer on stdout, progress and errors on stderr, and the exit code."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the answer as JSON on stdout, and nothing else there. Default: text for people.")
]

FAILED, STOPPED = 1, 130
FULL_WIDTH = 120  # of a report that goes to a file or a pipe


class Desk:
    """What one command has at hand while it runs."""

    def __init__(self, *, as_json: bool, by_line: bool = False) -> None:
        self.as_json, self.by_line = as_json, by_line
        self.written: list[Path] = []
        self._told_s, self._open_line = 0.0, False

    def answer(self, data: Any, text: Callable[[Console], None]) -> None:
        """Print the answer: `data` as JSON, or what `text` writes for people."""
        if self.as_json:
            self.json(data)
            return
        from rich.console import Console

        wide = None if sys.stdout.isatty() else FULL_WIDTH
        text(Console(file=sys.stdout, width=wide, highlight=False, markup=False, emoji=False, soft_wrap=True))

    def json(self, data: Any) -> None:
        """Print `data` as JSON; a number that is not finite becomes null."""
        import msgspec

        raw = msgspec.json.encode(data)
        sys.stdout.write((raw if self.by_line else msgspec.json.format(raw, indent=2)).decode() + "\n")
        sys.stdout.flush()

    def wrote(self, path: Path) -> None:
        """A file is complete; it is named at the end, and also when the command is stopped later."""
        self.written.append(path)
        self.note(f"written: {path}")

    def note(self, text: str) -> None:
        """A line for the person who waits."""
        self._end_line()
        sys.stderr.write(text + "\n")

    def progress(self, task: str, done: float, total: float) -> None:
        """How far it is: one line that is rewritten on a terminal, and a line every ten seconds elsewhere."""
        now, last = time.monotonic(), done >= total
        live = sys.stderr.isatty()
        if not last and now - self._told_s < (0.1 if live else 10.0):
            return
        share = done / total if total > 0 else 1.0
        self._told_s = now
        if live:
            bar = "#" * round(24 * share)
            sys.stderr.write(f"\r{task:<40.40} [{bar:<24}] {share:4.0%}")
            self._open_line = True
            if last:
                self._end_line()
            sys.stderr.flush()
        else:
            sys.stderr.write(f"{task}: {done:,.0f} of {total:,.0f}\n")

    def _end_line(self) -> None:
        if self._open_line:
            sys.stderr.write("\n")
            self._open_line = False

    def fail(self, kind: str, message: str) -> None:
        """Say what went wrong, on stderr, and as JSON where JSON was asked for."""
        self._end_line()
        sys.stderr.write(f"tocsin: {message}\n")
        if self.as_json:
            self.json({"error": {"kind": kind, "message": message}})


@contextmanager
def desk(*, as_json: bool, by_line: bool = False) -> Iterator[Desk]:
    """Run a command's body: an error becomes one message and an exit code, and a traceback only where one was asked for.

    `by_line` is for commands that print one JSON object a line while they run; an error is then one more line.
    """
    at = Desk(as_json=as_json, by_line=by_line)
    try:
        yield at
        sys.stdout.flush()
    except KeyboardInterrupt:
        before = f"; complete before that: {', '.join(map(str, at.written))}" if at.written else ""
        at.fail("Stopped", f"stopped: what was not finished was not kept, and nothing half-written is left{before}")
        raise typer.Exit(STOPPED) from None
    except BrokenPipeError:
        # the reader (`| head`) has gone; the rest of the output has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except (typer.Exit, typer.BadParameter):
        raise
    except Exception as fault:
        if os.environ.get("TOCSIN_DEBUG", "") not in ("", "0"):
            import traceback

            sys.stderr.write(traceback.format_exc())
        at.fail(*_told(fault))
        raise typer.Exit(FAILED) from None


def _told(fault: Exception) -> tuple[str, str]:
    """The kind and the message of an error."""
    from tocsin.vocabulary.errors import TocsinError

    match fault:
        case TocsinError():
            return type(fault).__name__, str(fault)
        case MemoryError():
            return "Unavailable", (
                f"not enough memory: {fault or 'an array did not fit'}; use a larger --cell, fewer --members or a smaller extent"
            )
        case OSError():
            where = fault.filename or "a file"
            return (
                "Unavailable",
                f"{where}: {fault.strerror or fault}; free some space or choose another place; nothing half-written is left",
            )
        case _:
            return "Bug", (
                f"this is a bug of Tocsin: {type(fault).__name__}: {fault}; run it again with `tocsin --debug` and report what it prints"
            )
