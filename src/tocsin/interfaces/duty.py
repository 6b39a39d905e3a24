"""What a platform does by itself when a warning changes: draft the message, and assess that hazard from yellow on, one after the other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from tocsin.flows.centre import ASSESS_FROM, Centre
from tocsin.flows.following import Followed, begun_later
from tocsin.flows.hazard_watch import HazardWatch
from tocsin.host import Entry
from tocsin.pack import Scenario
from tocsin.vocabulary import Level, TocsinError, Warning

log = logging.getLogger(__name__)

STOP_WITHIN_S = 30.0  # a supervisor kills after a while (systemd: 90 s); whatever is cut off then is taken up by the next run


class _Assessed(msgspec.Struct):
    """What was assessed of a hazard last: when, and the worst level that asked for it."""

    at: datetime | None = None
    worst: Level = Level.NONE


class Duty:
    """Hazards that a warning or lost futures ask to be assessed wait in a queue, each at most once, and one is assessed at a time.

    The queue is not kept on the disk: what waits when the process ends is found by the next run in the ledger, as warnings that hold and that no
    assessment has followed.
    """

    def __init__(
        self, centre: Centre, *, again_after: timedelta = timedelta(hours=3), on_fault: Callable[[str], None] | None = None
    ) -> None:
        self._centre, self._again_after, self._on_fault = centre, again_after, on_fault
        self._lock = threading.Lock()
        self._assessed = {hazard: _Assessed() for hazard in centre.watches}
        self._waiting: dict[
            str, tuple[Followed, datetime] | None
        ] = {}  # by hazard, the first first; with the futures that are lost
        self._running = ""  # the hazard that is assessed
        self._closed = threading.Event()
        self._assessing: threading.Thread | None = None
        self._drafting: set[threading.Thread] = set()
        centre.on_entry.append(self._heard)
        for watch in centre.watches.values():
            watch.when_lost = self._lost

    def take_up(self) -> None:
        """Do what the last run left undone: messages, and an assessment of each hazard, for warnings that hold and have none."""
        board = self._centre.board
        told = {cause for alert in board.alerts.values() for cause in alert.cause}
        compared = {c.forecast for c in board.comparisons.values()}
        with self._lock:
            for hazard, assessed in self._assessed.items():
                own = [f for i, f in board.forecasts.items() if f.hazard == hazard and i in compared]
                foreseen = [f for f in own if f.asked_by is msgspec.UNSET]
                assessed.at = max((f.time for f in foreseen), default=None)
                causes = {i for f in foreseen for i in f.cause}
                assessed.worst = max((w.level for i, w in board.warnings.items() if i in causes), default=Level.NONE)
        for warning_id, warning in board.active_warnings().items():
            if warning_id not in told:
                self._draft_soon(warning_id, warning)
            self._assess_soon(warning)

    def close(self) -> None:
        """Hear no more, and give up what is being computed; returns when it has ended."""
        self._closed.set()
        for watch in self._centre.watches.values():
            watch.when_lost = None
        self._centre.on_entry.remove(self._heard)
        self._centre.stop()
        with self._lock:
            running = [*self._drafting, *([self._assessing] if self._assessing is not None else [])]
        for thread in running:
            thread.join(STOP_WITHIN_S)

    def _heard(self, entry: Entry) -> None:
        if isinstance(entry.record, Warning):
            self._draft_soon(entry.id, entry.record)
            self._assess_soon(entry.record)

    def _draft_soon(self, warning_id: str, warning: Warning) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            thread = threading.Thread(target=self._draft, args=(warning_id, warning), name="tocsin-alert", daemon=True)
            self._drafting = {one for one in self._drafting if one.is_alive()} | {thread}
            thread.start()

    def _assess_soon(self, warning: Warning) -> None:
        """Assess the warning's hazard if it is worse than what was assessed last of it, or that was long ago.

        A warning of a hazard that nobody watches (an earthquake, where floods and fires are) is shown and recorded, and assesses nothing here.
        """
        if warning.level < ASSESS_FROM or warning.hazard not in self._assessed:
            return
        with self._lock:
            now, last = self._centre.host.clock.now(), self._assessed[warning.hazard]
            is_recent = last.at is not None and timedelta() <= now - last.at <= self._again_after
            if self._closed.is_set() or (is_recent and warning.level <= last.worst):
                return
            last.worst, last.at = max(last.worst, warning.level) if is_recent else warning.level, now
            self._waiting.setdefault(warning.hazard, None)
            self._begin()

    def _lost(self, watch: HazardWatch, followed: Followed) -> None:
        """Readings leave too little of a hazard's futures: assess it anew, unless that is being done or waits to be."""
        with self._lock:
            if self._closed.is_set() or watch.hazard in (self._running, *self._waiting):
                return
            now = self._centre.host.clock.now()
            self._assessed[watch.hazard].at = now
            self._waiting[watch.hazard] = followed, now
            self._begin()

    def _begin(self) -> None:
        """Start the thread that assesses what waits, unless it runs; the lock is held."""
        if self._assessing is None:
            self._assessing = threading.Thread(target=self._assess_all, name="tocsin-assess", daemon=True)
            self._assessing.start()

    def _draft(self, warning_id: str, warning: Warning) -> None:
        try:
            self._centre.messages.draft(warning_id, warning)
        except Exception as fault:  # whatever breaks, the operators read that there is no message, and why
            self._tell(f"no alert was drafted: {fault}")

    def _assess_all(self) -> None:
        """Assess one hazard after the other, until none waits."""
        while True:
            with self._lock:
                if not self._waiting or self._closed.is_set():
                    self._assessing, self._running = None, ""
                    return
                self._running = next(iter(self._waiting))
                asked = self._waiting.pop(self._running)
            self._assess(self._centre.watches[self._running], *(asked or (None, None)))

    def _assess(self, watch: HazardWatch, lost: Followed | None, since: datetime | None) -> None:
        more: tuple[str, ...] = ()
        scenario: Scenario | None = None
        if lost is not None and since is not None:
            more, scenario = (lost.verification_id,), self._still(lost.anew, since)
        try:
            watch.assess((*watch.standing(), *more), scenario, lost=lost)
        except Exception as fault:  # whatever breaks, the operators read that there is no forecast, and why
            with self._lock:  # it counts for none: the next warning, whatever its level, has it tried again
                self._assessed[watch.hazard].at = None
            of = f" of {watch.hazard}" if len(self._assessed) > 1 else ""
            self._tell(f"the assessment{of} failed: {fault}")

    def _still(self, anew: Scenario | None, since: datetime) -> Scenario | None:
        """What is left of a scenario that has waited; None where most of it is over: then the moment's own says more."""
        waited_s = (self._centre.host.clock.now() - since).total_seconds()
        if anew is None or waited_s <= 0.0:
            return anew
        return begun_later(anew, waited_s) if waited_s < anew.duration_s / 2 else None

    def _tell(self, words: str) -> None:
        if self._closed.is_set():
            return  # it was given up on purpose, and the next run takes it up
        log.warning("duty failed: %s", words)
        try:
            self._centre.note(words)
        except TocsinError as fault:
            log.warning("duty not noted: %s", fault)
        if self._on_fault is not None:
            self._on_fault(words)
