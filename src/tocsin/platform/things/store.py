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

    `on_observation` hears (id of the Datastream, rows with id, time_us, value, flag) of every observation that came to a Datastream;
    `changed` hears every change of an entity, one by one, but of a batch of over a thousand readings. Both are called after the
    commit, by the thread that wrote; what they raise is logged and disturbs nobody.
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
        outer: Writer | None = getattr(self._local, "writer", None)
        try:
            with self.database.writing() as db:
                writer = Writer(db, now_us=self.now_us())
                self._local.writer = writer
                yield writer
        finally:
            self._local.writer = outer
        if outer is not None:
            outer.changes += writer.changes
            for stream, rows in writer.observed.items():
                outer.observed.setdefault(stream, []).extend(rows)
            return
        for stream, rows in writer.observed.items():
            self._tell(self.on_observation, stream, rows)
        for change in writer.changes:
            self._tell(self.changed, change)

    def _tell(self, listeners: Sequence[Callable[..., None]], *words: Any) -> None:
        for heard in listeners:
            try:
                heard(*words)
            except Exception as fault:  # a listener of somebody else must not undo what is on disk
                log.warning("things_listener_failed", extra={"reason": str(fault), "listener": repr(heard)})

    def publish(self, batch: Observations) -> int:
        """Write a node's readings as Observations of Datastreams that are made on first use; returns how many were new."""
        with self.writing() as writer:
            return self._publisher.write(writer, batch)

    def close(self) -> None:
        """Close the file."""
        self.database.close()


def open_things(path: Path, *, clock: Clock, limits: Limits | None = None, places: Mapping[str, Place] | None = None) -> Things:
    """Open a store of things, and make it where there is none. `places` says where the gauges are that `publish` speaks of."""
    return Things(path, clock=clock, limits=limits, places=places)
