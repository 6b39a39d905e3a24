"""Connections for reading one SQLite file: each lent to one thread at a time, a few kept open between loans."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

READERS_KEPT = 8


class Readers:
    """Lends connections that `connect` makes; on each nothing moves from the beginning of a loan to its end."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, kept: int = READERS_KEPT) -> None:
        self._connect, self._kept = connect, kept
        self._idle: list[sqlite3.Connection] = []
        self._lock, self._closed = threading.Lock(), False

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """A connection, for the block alone. What `connect` raises passes through."""
        with self._lock:
            db = self._idle.pop() if self._idle else None
        db = db or self._connect()
        try:
            yield db
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
            with self._lock:
                is_kept = not self._closed and len(self._idle) < self._kept
                if is_kept:
                    self._idle.append(db)
            if not is_kept:
                db.close()

    def close(self) -> None:
        """Close what is idle now; what is lent is closed when it comes back."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for db in idle:
            db.close()
