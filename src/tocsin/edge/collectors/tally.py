"""What a collector has received, taken and dropped, and why: counted always, logged once for each reason."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import msgspec

log = logging.getLogger(__name__)

REASONS_MOST = 100
WORDS_MOST = 200


class Drop(Exception):
    """Something that cannot be used; `reason` is one of few words, by which it is counted."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words[:WORDS_MOST])
        self.reason = reason


class TallyStatus(msgspec.Struct, frozen=True):
    """A tally at one moment, as `tocsin edge status` may show it."""

    received: int
    taken: int
    lost: int
    dropped: Mapping[str, int]
    last: datetime | None
    said: Mapping[str, str]


class Tally:
    """Counts of one collector since the process began: messages received, readings or bulletins taken, what was dropped and why.

    `lost` are messages that never came, where the source numbers them.
    """

    def __init__(self, collector: str) -> None:
        self._collector = collector
        self.received = self.taken = self.lost = 0
        self.dropped: Counter[str] = Counter()
        self.last: datetime | None = None
        self._said: dict[str, str] = {}

    def receive(self, now: datetime, count: int = 1) -> None:
        """Something has come, whatever it is."""
        self.received += count
        self.last = now

    def drop(self, drop: Drop, count: int = 1) -> None:
        """Count what cannot be used; the first of its kind is logged, with what was wrong with it."""
        reason = drop.reason if drop.reason in self.dropped or len(self.dropped) < REASONS_MOST else "others"
        if reason not in self.dropped:
            self._said[reason] = str(drop)
            log.warning("input_dropped", extra={"collector": self._collector, "reason": reason, "words": str(drop)})
        self.dropped[reason] += count

    def status(self) -> TallyStatus:
        """All counts, and the first example of each reason."""
        return TallyStatus(self.received, self.taken, self.lost, dict(self.dropped), self.last, dict(self._said))
