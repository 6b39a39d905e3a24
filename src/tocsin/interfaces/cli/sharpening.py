"""Rankings while they sharpen: a table that changes on a terminal, one line each elsewhere, and nothing of it on stdout."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from tocsin.decision.compare import Compared
    from tocsin.interfaces.cli.desk import Desk


def race_facts(compared: Compared) -> dict[str, Any]:
    """How the race went, as data: what was tried, who left it, what failed, and how much better another plan may be at most."""
    return {
        "tried": compared.tried,
        "playable": compared.futures,
        "gap": compared.gap,
        "out": [{"plan": o.plan, "beaten_by": o.beaten_by, "after": o.after} for o in compared.out],
        "failed": [{"number": f.number, "seed": f.seed, "reason": f.reason} for f in compared.failed],
    }


class Sharpening:
    """What the person who waits sees. Ctrl-C shows the last ranking before the command ends."""

    def __init__(self, at: Desk, plans: int) -> None:
        self._at, self._plans, self._began_s = at, plans, time.monotonic()
        self._live: Any = None
        self._last: Compared | None = None

    def __enter__(self) -> Sharpening:
        if sys.stderr.isatty() and self._plans > 1:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(file=sys.stderr, highlight=False, markup=False, emoji=False), auto_refresh=False, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self._last is not None:
            self._at.note(f"stopped; the last ranking: {_line(self._last)}\n{self._last.reason}\n{self._last.doubt}")

    def progress(self, task: str, done: int, total: int) -> None:
        """How far the simulations are."""
        if self._live is None:
            self._at.progress(task, done, total)

    def ranking(self, compared: Compared) -> None:
        """A ranking has come."""
        self._last = compared
        if compared.finished:
            return
        if self._live is not None:
            self._live.update(_table(compared, time.monotonic() - self._began_s), refresh=True)
        elif self._plans > 1:
            self._at.note(f"{time.monotonic() - self._began_s:.1f} s: {_line(compared)}")


def _line(compared: Compared) -> str:
    from tocsin.pack import IN_DANGER

    first = compared.scores[0]
    harmed = IN_DANGER if compared.choice is None else compared.choice.harmed_words(IN_DANGER)
    gap = "" if compared.gap != compared.gap else f", none better by more than {compared.gap:,.0f}"
    out = f", {len(compared.out)} out" if compared.out else ""
    return f"after {compared.tried} of {compared.futures} futures {compared.recommended!r} leads with {first.harm.mean:,.0f} {harmed}{gap}{out}"


def _table(compared: Compared, seconds: float) -> Table:
    from rich.table import Table

    out = {o.plan: o for o in compared.out}
    table = Table(
        box=None, pad_edge=False, header_style="bold", title=f"{_line(compared)}; {seconds:.0f} s", title_justify="left"
    )
    for heading in ("", "plan", "on average", "worst tenth", "tried", ""):
        table.add_column(heading, justify="left" if heading in ("plan", "") else "right")
    for score in compared.scores:
        tried = sum(course is not None for course in compared.courses[score.plan])
        gone = out.get(score.plan)
        table.add_row(
            str(score.rank),
            score.plan,
            f"{score.harm.mean:,.0f}",
            f"{score.cvar:,.0f}",
            str(tried),
            f"out: {gone.beaten_by} is better" if gone else "",
            style="dim" if gone else "",
        )
    return table
