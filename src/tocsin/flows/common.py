"""What all watched hazards of one platform share: the twin, the readings, the ledger, the board folded from it, and who may compute."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tocsin.edge.latest import Latest
from tocsin.flows.board import Board
from tocsin.flows.bus import Bus
from tocsin.platform.ledger import SqliteLedger
from tocsin.platform.local import LocalHost
from tocsin.platform.twin import Gauge, Twin
from tocsin.security.actor import Actor
from tocsin.vocabulary import Level, Note, Quantity, Warning, World

FieldsNow = Callable[[datetime], Mapping[str, NDArray[np.float32]]]

PLATFORM = Actor("platform", frozenset({"system"}))


class Common:
    """The shared state, made once and handed to every watched hazard.

    `hazards` are all that are watched here; `quantities` all that they observe, by name. `deciding` is held while something rests on what is ranked
    now, `assessing` while futures are run: one assessment at a time, whatever its hazard. `stopping` ends what is computed at its next step.
    """

    def __init__(
        self,
        *,
        folder: Path,
        host: LocalHost,
        ledger: SqliteLedger,
        twin: Twin,
        latest: Latest,
        hazards: tuple[str, ...],
        quantities: Mapping[str, Quantity],
        fields_now: FieldsNow | None = None,
        frame_step_s: float = 1800.0,
    ) -> None:
        self.folder, self.host, self.ledger, self.twin, self.latest = folder, host, ledger, twin, latest
        self.hazards, self.quantities, self.frame_step_s = hazards, quantities, frame_step_s
        self._fields_now = fields_now
        self.bus, self.board = Bus(), Board(ledger.read())
        self.deciding, self.assessing, self.stopping = threading.Lock(), threading.Lock(), threading.Event()

    def world(self, *, with_fields: bool = False) -> World:
        """The twin as it is now, with what the sensors say; with the fields that hold now only if they are asked for: they take a while."""
        now = self.host.clock.now()
        fields = self._fields_now(now) if with_fields and self._fields_now is not None else {}
        return self.twin.world(now, readings=lambda quantity, span_s: self.latest.window(quantity, span_s, now), fields=fields)

    @property
    def gauges(self) -> tuple[Gauge, ...]:
        """The twin's gauges of what is measured here. One twin serves platforms of several hazards, so it may have others too."""
        known = {quantity.name for quantity in self.latest.quantities()} | set(self.quantities)
        return tuple(gauge for gauge in self.twin.gauges if gauge.quantity in known)

    def concerns(self, hazard: str, warning: Warning) -> bool:
        """Whether a warning counts for what is done about a hazard: its own do, and those of hazards that nobody watches here.

        A gas that is smelled must not set off the orders of a flood plan, and a storm that an operator's own rule tells may.
        """
        return warning.hazard == hazard or warning.hazard not in self.hazards

    def standing(self, hazard: str) -> dict[str, Warning]:
        """The warnings that hold and count for a hazard, worst first."""
        return {i: w for i, w in self.board.active_warnings().items() if self.concerns(hazard, w)}

    def level(self, hazard: str, usual: Level = Level.NONE) -> Level:
        """The highest warning that holds and counts for a hazard."""
        return max((w.level for w in self.standing(hazard).values()), default=usual)

    def note(self, text: str) -> str:
        """Write a line of the platform's own in the log; returns its id."""
        return self.ledger.append(PLATFORM, [Note(time=self.host.clock.now(), subject="platform", text=text)])[0]

    def note_once(self, text: str) -> None:
        """Write a line in the log unless it is there."""
        if all(note.text != text for note in self.board.notes.values()):
            self.note(text)
