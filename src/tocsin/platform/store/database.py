"""The database file `tocsin.db`: opened with care, written by one process, read by many threads."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.host import Clock
from tocsin.platform.store.disk import WriterLock, check_local, sync_folder
from tocsin.platform.store.migrations import MIGRATIONS, Migration
from tocsin.platform.store.readers import Readers
from tocsin.vocabulary.errors import Conflict, InputError, NotFound, Unavailable

DATABASE_NAME = "tocsin.db"
APPLICATION_ID = 0x746F6373  # "tocs"
BUSY_MS = 5_000


def open_store(folder: Path, *, clock: Clock, read_only: bool = False) -> Store:
    """Open the store of a data folder, and make it where there is none; `read_only` asks for no lock and changes nothing.

    Raises InputError for a file that is no store or from a newer version, Conflict while another process writes it, and
    NotFound where there is nothing to read.
    """
    return Store(folder, clock=clock, read_only=read_only)


class Store:
    """One SQLite file in write-ahead mode: a commit returns when it is on disk (synchronous = FULL)."""

    def __init__(
        self, folder: Path, *, clock: Clock, read_only: bool = False, migrations: tuple[Migration, ...] = MIGRATIONS
    ) -> None:
        self.folder, self.path, self.read_only = folder, folder / DATABASE_NAME, read_only
        self._clock, self._migrations = clock, migrations
        self._writing, self._depth = threading.RLock(), 0
        self._readers = Readers(self._connect)
        self._after: list[Callable[[], None]] = []
        self._listeners: list[Callable[[], None]] = []
        self._lock: WriterLock | None = None
        self._writer: sqlite3.Connection | None = None
        self._closed = False
        if read_only:
            if not self.path.is_file():
                raise NotFound(f"{self.path}: is not there; wanted the data folder of a platform")
            with self.reading() as db:
                self._check(db)
            return
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            check_local(folder)
            self._lock = WriterLock(folder)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            sync_folder(folder)
            self._writer = self._connect()
            with self._told("opening"):
                self._check(self._writer)
                self._migrate(self._writer)
        except OSError as fault:
            self.close()
            raise Unavailable(
                f"{folder}: cannot be written: {fault}; choose a folder that the platform's user may write"
            ) from fault
        except BaseException:
            self.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        """A connection that any thread may use, one at a time."""
        if self._closed:
            raise Unavailable(f"{self.path}: is closed")
        with self._told("opening"):
            db = sqlite3.connect(
                self.path, timeout=BUSY_MS / 1_000, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            try:
                (mode,) = db.execute("PRAGMA journal_mode").fetchone()
                if mode != "wal" and not self.read_only:
                    (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
                if mode != "wal" and not self.read_only:
                    raise InputError(f"{self.path}: takes no write-ahead log (got {mode}); wanted a folder on a local disk")
                db.execute("PRAGMA synchronous = FULL")
                db.execute("PRAGMA foreign_keys = ON")
                if self.read_only:
                    db.execute("PRAGMA query_only = ON")
            except BaseException:
                db.close()
                raise
        return db

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """SQLite's errors in our words."""
        try:
            yield
        except sqlite3.DatabaseError as fault:
            words = str(fault)
            where = f"{self.path}: {doing}"
            if "full" in words:
                raise Unavailable(f"{where}: the disk is full; nothing was written: free some space, then do it again") from fault
            if "locked" in words or "busy" in words:
                raise Unavailable(f"{where}: another program holds the file for over {BUSY_MS / 1_000:g} s; close it") from fault
            if "not a database" in words:
                raise InputError(f"{where}: the file is not a database; move it away, or put the right one back") from fault
            if "malformed" in words or "corrupt" in words or "decode" in words:
                raise InputError(f"{where}: the file is damaged ({words}); put the last backup back") from fault
            if "append-only" in words:
                raise Conflict(f"{where}: {words}") from fault
            raise Unavailable(f"{where}: {words}; what was asked was not done") from fault

    def _check(self, db: sqlite3.Connection) -> None:
        """Return if this is a store that this version knows."""
        (mark,), (version,) = db.execute("PRAGMA application_id").fetchone(), db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables == 0 and not self.read_only:
            return
        if mark != APPLICATION_ID:
            raise InputError(f"{self.path}: is a database of another program; wanted one that Tocsin made")
        newest = self._migrations[-1].number
        if version > newest:
            raise InputError(f"{self.path}: is of a newer Tocsin (step {version}, this one knows {newest}); update Tocsin")
        if version < newest and self.read_only:
            raise InputError(
                f"{self.path}: is of an older Tocsin (step {version}, wanted {newest}); start the platform on it once"
            )
        done = db.execute("SELECT number, name FROM migration ORDER BY number").fetchall()
        wanted = [(step.number, step.name) for step in self._migrations[:version]]
        if done != wanted:
            raise InputError(f"{self.path}: was built by other steps than Tocsin's: {done}; wanted {wanted}")

    def _migrate(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for step in self._migrations[version:]:
            with self.writing():
                if step.number == 1:
                    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    db.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied TEXT NOT NULL)")
                for statement in step.statements:
                    db.execute(statement)
                now = self._clock.now().isoformat()
                db.execute("INSERT INTO migration VALUES (?, ?, ?)", (step.number, step.name, now))
                db.execute(f"PRAGMA user_version = {step.number}")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is on disk when the block ends, or nothing of it. Inside another one it is a part of it."""
        if self.read_only:
            raise Conflict(f"{self.path}: is opened for reading only")
        with self._writing:
            if self._writer is None:
                raise Unavailable(f"{self.path}: is closed")
            if self._depth:
                yield self._writer
                return
            with self._told("writing"):
                self._writer.execute("BEGIN IMMEDIATE")
                self._depth += 1
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                except BaseException:
                    self._after.clear()
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
                finally:
                    self._depth -= 1
            after, self._after = self._after, []
            for note in after:
                note()
        for hear in self._listeners:
            hear()

    def listen(self, hear: Callable[[], None]) -> None:
        """Call this after each transaction, when others may write again."""
        self._listeners.append(hear)

    def after_commit(self, note: Callable[[], None]) -> None:
        """Inside `writing`: call this once all is on disk, still before the next writer's turn."""
        self._after.append(note)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection on which nothing moves until the block ends: all that it sees was true at one moment."""
        with self._readers.lent() as db, self._told("reading"):
            db.execute("BEGIN")
            yield db

    def close(self) -> None:
        """Close the file and let others write."""
        with self._writing:
            self._closed = True
            self._readers.close()
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._lock is not None:
                self._lock.release()
                self._lock = None
