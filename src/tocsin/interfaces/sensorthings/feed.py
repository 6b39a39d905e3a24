"""The node's readings on their way into the store of things: a queue with an end, and a thread. The node never waits for it."""

from __future__ import annotations

import logging
import queue
import threading

from tocsin.platform.things import Things
from tocsin.vocabulary import Observations, TocsinError

log = logging.getLogger(__name__)

BATCHES_WAITING_MOST = 1_000
THREAD_NAME = "tocsin-things"


class Feed:
    """Takes batches and publishes them one after the other; what does not fit is dropped, counted and said once."""

    def __init__(self, things: Things, *, most: int = BATCHES_WAITING_MOST) -> None:
        self._things = things
        self._waiting: queue.Queue[Observations | None] = queue.Queue(most)
        self.dropped = 0
        self._is_dropping = False
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def heard(self, batch: Observations) -> None:
        """Take a batch, at once."""
        try:
            self._waiting.put_nowait(batch)
        except queue.Full:
            self.dropped += len(batch)
            if not self._is_dropping:
                log.warning("things_readings_dropped", extra={"quantity": batch.quantity.name, "dropped": self.dropped})
            self._is_dropping = True

    def _run(self) -> None:
        while (batch := self._waiting.get()) is not None:
            try:
                self._things.publish(batch)
            except TocsinError as fault:
                self.dropped += len(batch)
                log.warning("things_readings_not_written", extra={"reason": str(fault), "dropped": self.dropped})
            if self._is_dropping and self._waiting.empty():
                self._is_dropping = False
                log.info("things_readings_flow_again", extra={"dropped": self.dropped})

    def close(self) -> None:
        """Write what waits, then end."""
        self._waiting.put(None)
        self._thread.join()
