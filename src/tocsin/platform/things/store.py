"""The store of things: what SensorThings clients and the platform's own node write, and everybody reads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tocsin.host import Clock
from tocsin.platform.things.database import Database
from tocsin.platform.things.model import Change
from tocsin.platform.things.publish import Place, Publisher
from tocsin.platform.things.read import Limits, Reader
from tocsin.platform.things.times import us_of
from tocsin.platform.things.write import Writer
from tocsin.vocabulary import Observations

log = logging.getLogger(__name__)

FILE_NAME = "things.sqlite"
Row = Mapping[str, Any]
HeardObservations = Callable[[int, Sequence[Row]], None]
HeardChange = Callable[[Change], None]


class Things:
    """One `things.sqlite`. Safe to use from several threads.

    `on_observation` hears (id of the Datastream, rows with time_us, value, flag) of what `publish` wrote; `changed` hears every other
    change of an entity, one by one. Both are called after the commit, by the thread that wrote; what they raise is logged and
    disturbs nobody.
    """

    def __init__(
        self, path: Path, *, clock: Clock, limits: Limits | None = None, places: Mapping[str, Place] | None = None
    ) -> None:
        self.clock, self.limits = clock, limits or Limits()
        self.database = Database(path)
        self.on_observation: list[HeardObservations] = []
        self.changed: list[HeardChange] = []
        self._publisher = Publisher(places or {})
        self._local = threading.local()

    def now_us(self) -> int:
        """The moment, microseconds since 1970."""
        return us_of(self.clock.now())

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Read: all that is seen was true at one moment."""
        with self.database.reading() as db:
            yield Reader(db, self.limits, now_us=self.now_us())

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Write: all of it is on disk when the block ends, or nothing. Inside another `writing` it is a part of that one."""
        outer: list[Change] | None = getattr(self._local, "changes", None)
        changes: list[Change] = []
        self._local.changes = changes
        try:
            with self.database.writing() as db:
                writer = Writer(db, now_us=self.now_us())
                yield writer
                changes += writer.changes
        finally:
            self._local.changes = outer
        if outer is not None:
            outer += changes
            return
        for change in changes:
            self._tell(change)

    def _tell(self, change: Change) -> None:
        for heard in self.changed:
            try:
                heard(change)
            except Exception as fault:  # a listener of somebody else must not undo what is on disk
                log.warning("things_listener_failed", extra={"reason": str(fault), "set": change.plural, "id": change.id})

    def publish(self, batch: Observations) -> int:
        """Write a node's readings as Observations of Datastreams that are made on first use; returns how many were new."""
        with self.writing() as writer:
            written = self._publisher.write(writer, batch)
        for stream, rows in written.items():
            for heard in self.on_observation:
                try:
                    heard(stream, rows)
                except Exception as fault:  # as above
                    log.warning("things_listener_failed", extra={"reason": str(fault), "datastream": stream})
        return sum(len(rows) for rows in written.values())

    def close(self) -> None:
        """Close the file."""
        self.database.close()


def open_things(path: Path, *, clock: Clock, limits: Limits | None = None, places: Mapping[str, Place] | None = None) -> Things:
    """Open a store of things, and make it where there is none. `places` says where the gauges are that `publish` speaks of."""
    return Things(path, clock=clock, limits=limits, places=places)
