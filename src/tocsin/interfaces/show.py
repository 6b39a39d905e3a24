"""What a running platform says in the terminal: one line a step, or one JSON object a step for a program that reads along."""

from __future__ import annotations

import sys
import time
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.pack import IN_DANGER
from tocsin.vocabulary import Comparison, Level

COLOURS = {Level.BLUE: "bold blue", Level.YELLOW: "bold yellow", Level.ORANGE: "bold dark_orange", Level.RED: "bold red"}
STAGES = {
    "twin": "cyan",
    "sense": "green",
    "check": "magenta",
    "warn": "yellow",
    "alert": "yellow",
    "simulate": "blue",
    "compare": "cyan",
    "decide": "white",
    "order": "green",
    "record": "magenta",
    "console": "white",
}


class Show:
    """Where the demo's story goes. `line` may be called from any thread."""

    def __init__(self, *, as_json: bool) -> None:
        self._json, self._began_s = as_json, time.monotonic()
        self._console = Console(stderr=False, highlight=False, emoji=False, soft_wrap=True)

    def seconds(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._began_s

    def line(self, stage: str, text: str, *, level: Level | None = None, **data: Any) -> None:
        """One step of the loop."""
        if self._json:
            row = {"at_s": round(self.seconds(), 2), "stage": stage, "text": text, **data}
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
            sys.stdout.flush()
            return
        words = Text(f"{int(self.seconds()) // 60:02d}:{int(self.seconds()) % 60:02d} ", style="dim")
        words.append(f"{stage:<9}", style=f"bold {STAGES[stage]}")
        if level is not None and level > Level.NONE:
            words.append(f"{level.name} ", style=COLOURS[level])
        words.append(text)
        self._console.print(words)

    def plans(self, comparison: Comparison) -> None:
        """The ranked plans side by side."""
        if self._json:
            self.line("compare", comparison.reason, comparison=msgspec.to_builtins(comparison))
            return
        harmed = IN_DANGER if comparison.choice is None else comparison.choice.harmed_words(IN_DANGER)
        table = Table(
            title=f"{len(comparison.scores)} plans, each on the same {comparison.futures} futures", title_justify="left"
        )
        for heading, justify in (
            ("", "right"),
            ("plan", "left"),
            (f"{harmed}\nmean (5 to 95 %)", "right"),
            ("worst tenth", "right"),
            ("regret\nmean", "right"),
            ("damage", "right"),
            ("cost", "right"),
            ("best in", "right"),
        ):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        for score in sorted(comparison.scores, key=lambda s: s.rank):
            table.add_row(
                str(score.rank),
                score.plan,
                f"{score.harm.mean:,.0f} ({score.harm.low:,.0f} to {score.harm.high:,.0f})",
                f"{score.cvar:,.0f}",
                f"{score.regret_mean:,.0f}",
                f"{score.damage.mean / 1e6:,.1f} M {score.damage.unit}",
                f"{score.cost:,.0f}",
                f"{score.best_share:.0%}",
                style="bold" if score.plan == comparison.recommended else "",
            )
        self._console.print(table)
        self.line("compare", comparison.reason)
        self.line("compare", comparison.doubt)
