"""The file `things.sqlite`: opened with care, written by one at a time, read by many."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.platform.store.disk import check_local
from tocsin.platform.store.readers import Readers
from tocsin.platform.things.functions import register
from tocsin.platform.things.schema import APPLICATION_ID, STATEMENTS, STEPS, VERSION
from tocsin.vocabulary.errors import InputError, Unavailable

log = logging.getLogger(__name__)

BUSY_MS = 5_000
CACHE_KIB = 64 * 1_024
STEPS_PER_LOOK = 20_000
QUERY_S_MAX = 30.0


class Database:
    """One SQLite file in write-ahead mode: a commit returns when it is on disk (synchronous = FULL)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = threading.RLock()
        self._depth = 0
        self._readers = Readers(self._reader)
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            check_local(path.parent)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as fault:
            raise Unavailable(
                f"{path}: cannot be written: {fault}; choose a folder that the platform's user may write"
            ) from fault
        self._writer = self._connect()
        try:
            self._make()
        except BaseException:
            self._writer.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise Unavailable(f"{self.path}: is closed")
        with self._told("opening"):
            db = sqlite3.connect(
                self.path, timeout=BUSY_MS / 1_000, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            try:
                (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
                if mode != "wal":
                    raise InputError(f"{self.path}: takes no write-ahead log (got {mode}); wanted a folder on a local disk")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA foreign_keys = ON")
                db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                register(db)
            except BaseException:
                db.close()
                raise
        return db

    def _reader(self) -> sqlite3.Connection:
        db = self._connect()
        db.execute("PRAGMA query_only = ON")
        return db

    def _make(self) -> None:
        """Make the tables where there are none; refuse the file of another program or of a newer Tocsin."""
        with self.writing() as db:
            (mark,), (version,) = db.execute("PRAGMA application_id").fetchone(), db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables and mark != APPLICATION_ID:
                raise InputError(f"{self.path}: is a database of another program; wanted one that Tocsin made")
            if version > VERSION:
                raise InputError(f"{self.path}: is of a newer Tocsin (step {version}, this one knows {VERSION}); update Tocsin")
            if not tables:
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                for statement in STATEMENTS:
                    db.execute(statement)
            else:
                for step in range(version + 1, VERSION + 1):
                    log.info("things_step", extra={"path": str(self.path), "step": step})
                    for statement in STEPS[step]:
                        db.execute(statement)
            if version != VERSION:
                db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """SQLite's errors in our words."""
        try:
            yield
        except sqlite3.DatabaseError as fault:
            words, where = str(fault), f"{self.path}: {doing}"
            if "interrupted" in words:
                raise Unavailable(f"{doing}: took longer than {QUERY_S_MAX:g} s and was stopped; ask for less") from fault
            if "full" in words:
                raise Unavailable(f"{where}: the disk is full; nothing was written: free some space, then do it again") from fault
            if "locked" in words or "busy" in words:
                raise Unavailable(f"{where}: another program holds the file for over {BUSY_MS / 1_000:g} s; close it") from fault
            if "not a database" in words or "malformed" in words:
                raise InputError(f"{where}: the file is damaged ({words}); put the last backup back") from fault
            if "too complex" in words or "too large" in words or "too many" in words or "stack overflow" in words:
                raise InputError(f"{doing}: the query is too large for SQLite ({words}); ask for less at once") from fault
            raise Unavailable(f"{where}: {words}; what was asked was not done") from fault

    @property
    def is_writing(self) -> bool:
        """True inside `writing`, for the thread that writes."""
        return self._depth > 0 and bool(self._writing._is_owned())  # type: ignore[attr-defined]

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is on disk when the block ends, or nothing. Inside another one it is a part of it, undone alone."""
        with self._writing:
            if self._closed:
                raise Unavailable(f"{self.path}: is closed")
            begin, end, undo = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
            if self._depth:
                name = f"part{self._depth}"
                begin, end, undo = f"SAVEPOINT {name}", f"RELEASE {name}", f"ROLLBACK TO {name}"
            with self._told("writing"):
                self._writer.execute(begin)
                self._depth += 1
                try:
                    yield self._writer
                    self._writer.execute(end)
                except BaseException:
                    if self._writer.in_transaction:
                        self._writer.execute(undo)
                        if undo != "ROLLBACK":
                            self._writer.execute(end)
                    raise
                finally:
                    self._depth -= 1

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection on which nothing moves until the block ends; inside `writing` it is the writer's, and sees what it wrote."""
        if self.is_writing:
            with self._told("reading"):
                yield self._writer
            return
        with self._readers.lent() as db:
            try:
                with self._told("reading"):
                    until_s = time.monotonic() + QUERY_S_MAX
                    db.set_progress_handler(lambda: time.monotonic() > until_s, STEPS_PER_LOOK)
                    db.execute("BEGIN")
                    yield db
            finally:
                db.set_progress_handler(None, 0)

    def close(self) -> None:
        """Close the file."""
        with self._writing:
            self._closed = True
            self._readers.close()
            self._writer.close()
