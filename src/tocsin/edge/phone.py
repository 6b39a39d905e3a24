"""A phone: what it says, what it heard and where it was, for 14 days and for nobody else; matching and the status are worked out here.

One SQLite file that only its owner reads, or memory for a drill. What is deleted is overwritten (`secure_delete`), and the journal is emptied with each
transaction; a flash disk's own copies are beyond any program. Nothing here has a network: what is published is handed in, what the person sends is
handed out.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from tocsin.host import Clock
from tocsin.security.exposure.export import DiagnosisKey, Export
from tocsin.security.exposure.identifiers import (
    KEPT_DAYS,
    KEY_BYTES,
    METADATA_BYTES,
    ROLLING_PERIOD,
    TOLERANCE,
    DayKey,
    Derived,
    day_start,
    derive,
    hidden,
    identifier,
    interval_of,
    matches,
    metadata_of,
    oldest_kept,
    time_of,
    tx_power_dbm,
)
from tocsin.security.exposure.risk import SCAN_S_MOST, Risk
from tocsin.security.exposure.status import Appeal, Contact, Ruling, Status, object_to, status_of
from tocsin.security.exposure.venues import HOUR_S, VenueNotice, hour_name, hours_of, open_notice, read_venue_code, venue_secrets
from tocsin.vocabulary.errors import Conflict, InputError, Refused, Unavailable

HEARD_MOST = 500_000  # 14 days with 250 phones about, every ten minutes
TX_POWER_DBM = -20
TIDY_EVERY = timedelta(hours=1)
KEPT = timedelta(days=KEPT_DAYS)
APPLICATION_ID = 0x746F6370  # "tocp"
_HEARD = """
CREATE TABLE heard (
  rpi BLOB NOT NULL, interval INTEGER NOT NULL, aem BLOB NOT NULL, rssi_dbm INTEGER NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY (rpi, interval)
) WITHOUT ROWID
"""
_TABLES = (
    "CREATE TABLE own (key BLOB PRIMARY KEY, start INTEGER NOT NULL, period INTEGER NOT NULL) WITHOUT ROWID",
    _HEARD,
    "CREATE TABLE visit (name BLOB PRIMARY KEY, key BLOB NOT NULL, entered INTEGER NOT NULL, left INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE contact (day TEXT PRIMARY KEY, near_min REAL NOT NULL, venue_min REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE taken (digest TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE appeal (id TEXT PRIMARY KEY, filed INTEGER NOT NULL, due INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE relieved (day TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE power (one INTEGER PRIMARY KEY CHECK (one = 1), tx_power_dbm INTEGER NOT NULL)",
)


class Taken(msgspec.Struct, frozen=True):
    """What came of published keys: how many there were, how many sightings and visits they matched, how many were replays."""

    keys: int
    matched: int
    replayed: int
    visits: int


class Phone:
    """One person's phone. `new_key` may be given by a drill that has to be repeated; a real one takes the system's randomness."""

    def __init__(
        self,
        path: Path | None,
        *,
        clock: Clock,
        new_key: Callable[[], bytes] = lambda: secrets.token_bytes(KEY_BYTES),
        tx_power_dbm: int = TX_POWER_DBM,
    ) -> None:
        self.path, self._clock, self._new_key = path, clock, new_key
        self._tidied: datetime | None = None
        self._heard = 0
        where = ":memory:"
        if path is not None:
            try:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            except OSError as fault:
                raise Unavailable(f"{path}: cannot be written: {fault}; choose another file") from fault
            where = str(path)
        self._db = sqlite3.connect(where, isolation_level=None)
        try:
            self._open(tx_power_dbm)
        except BaseException:
            self._db.close()
            raise

    def _open(self, power_dbm: int) -> None:
        with self._told("opening"):
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute("PRAGMA journal_mode = TRUNCATE")
            (mark,), (tables,) = (
                self._db.execute("PRAGMA application_id").fetchone(),
                self._db.execute("SELECT count(*) FROM sqlite_master").fetchone(),
            )
        if tables and mark != APPLICATION_ID:
            raise InputError(f"{self.path}: is a database of another program; wanted a phone's, or a file that is not there")
        if not tables:
            with self._writing() as db:
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                for table in _TABLES:
                    db.execute(table)
                metadata_of(power_dbm)
                db.execute("INSERT INTO power VALUES (1, ?)", (power_dbm,))

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as fault:
            if "not a database" in str(fault):
                raise InputError(f"{self.path}: is no phone: {fault}; give another file") from fault
            raise Unavailable(f"{self.path or 'phone'}: {doing}: {fault}; what was asked was not done") from fault

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all or nothing."""
        with self._told("writing"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # What it says and hears

    def say(self) -> tuple[bytes, bytes]:
        """(RPI, encrypted metadata) for this moment: what goes out by radio, and changes every ten minutes."""
        now = interval_of(self._clock.now())
        with self._writing() as db:
            self._tidy(db)
            key = self._key_at(db, now)
            (power_dbm,) = db.execute("SELECT tx_power_dbm FROM power").fetchone()
        rpi = identifier(key, now)
        return rpi, hidden(key, rpi, metadata_of(power_dbm))

    def _key_at(self, db: sqlite3.Connection, now: int) -> DayKey:
        row = db.execute("SELECT key, start, period FROM own WHERE start <= ? AND start + period > ?", (now, now)).fetchone()
        if row is not None:
            return DayKey(*row)
        before = db.execute("SELECT max(start + period) FROM own").fetchone()[0] or 0
        start = max(day_start(now), before)  # after keys were handed out, what is left of the day gets a fresh one
        if start > now:
            raise Unavailable("phone: its clock was ahead and went back; what it said then holds till then: try again later")
        key = DayKey(self._new_key(), start, day_start(now) + ROLLING_PERIOD - start)
        db.execute("INSERT INTO own VALUES (?, ?, ?)", (key.key, key.start, key.period))
        return key

    def hear(self, rpi: bytes, aem: bytes, *, rssi_dbm: int, seconds: float) -> None:
        """Another phone was heard for so long, so loud. What one identifier brings within ten minutes is one row: the loudest, and the sum."""
        if len(rpi) != KEY_BYTES or len(aem) != METADATA_BYTES or not -127 <= rssi_dbm <= 20 or not 0 < seconds <= SCAN_S_MOST:
            raise InputError(
                f"heard: {len(rpi)} + {len(aem)} bytes, {rssi_dbm} dBm, {seconds} s; wanted {KEY_BYTES} + {METADATA_BYTES} bytes, "
                f"-127 to 20 dBm, up to {SCAN_S_MOST:g} s"
            )
        now = interval_of(self._clock.now())
        with self._writing() as db:
            self._tidy(db)
            if self._heard >= HEARD_MOST:
                raise Unavailable(
                    f"phone: {self._heard:,} sightings in {KEPT_DAYS} days; somebody floods the air: no more is kept"
                )
            db.execute(
                "INSERT INTO heard VALUES (?, ?, ?, ?, ?) ON CONFLICT (rpi, interval) DO UPDATE SET "
                "rssi_dbm = max(rssi_dbm, excluded.rssi_dbm), seconds = min(seconds + excluded.seconds, ?)",
                (rpi, now, aem, rssi_dbm, seconds, SCAN_S_MOST),
            )
            self._heard += 1  # counted anew with each tidying

    def visit(self, code: bytes, *, entered: datetime, left: datetime) -> str:
        """Keep a visit, as names of hours that only the code at the door can make; returns the words that stood in the code."""
        words, found = read_venue_code(code).words, venue_secrets(code)
        if left > self._clock.now() + timedelta(hours=1):
            raise InputError(f"visit: left {left}; that has not come yet")
        with self._writing() as db:
            self._tidy(db)
            rows = []
            for start_s in hours_of(entered, left):  # each hour keeps its own part, so that a long visit is counted once
                part = max(start_s, int(entered.timestamp())), min(start_s + HOUR_S, int(left.timestamp()))
                rows.append((hour_name(code, start_s), found.notification_key, *part))
            db.executemany("INSERT OR REPLACE INTO visit VALUES (?, ?, ?, ?)", rows)
        return words

    # What it works out

    def take(
        self,
        export: Export,
        notices: Sequence[VenueNotice] = (),
        *,
        digest: str,
        risk: Risk,
        derived: Sequence[Derived] | None = None,
    ) -> Taken:
        """Match what was published with what was heard and visited; a file that was taken before changes nothing.

        Sightings that matched are deleted and only the day's minutes stay, so the phone does not hold who they came from. An identifier that was heard over
        2 h from when it was sent is a replay and counts for nothing. `derived` are the identifiers of the file's keys where a drill with many
        phones has them already.
        """
        with self._writing() as db:
            self._tidy(db)
            if db.execute("SELECT 1 FROM taken WHERE digest = ?", (digest,)).fetchone() is not None:
                return Taken(len(export.keys), 0, 0, 0)
            made = derive([k.day for k in export.keys]) if derived is None else derived
            matched, replayed = self._match_keys(db, export.keys, made, risk)
            visits = self._match_visits(db, notices)
            db.execute("INSERT INTO taken VALUES (?, ?)", (digest, export.end_s))
        return Taken(len(export.keys), matched, replayed, visits)

    def _match_keys(
        self, db: sqlite3.Connection, keys: Sequence[DiagnosisKey], made: Iterable[Derived], risk: Risk
    ) -> tuple[int, int]:
        """(sightings that matched, sightings that were replays)."""
        own = {bytes(row[0]) for row in db.execute("SELECT key FROM own")}
        heard = frozenset(bytes(row[0]) for row in db.execute("SELECT DISTINCT rpi FROM heard"))
        near_min = defaultdict[date, float](float)
        matched = replayed = 0
        for match in matches(made, heard):
            key = keys[match.key]
            if key.day.key in own:
                continue  # an echo of oneself
            for interval, aem, rssi_dbm, seconds in db.execute(
                "SELECT interval, aem, rssi_dbm, seconds FROM heard WHERE rpi = ?", (match.rpi,)
            ).fetchall():
                if abs(interval - match.interval) > TOLERANCE:
                    replayed += 1
                    continue
                matched += 1
                power_dbm = tx_power_dbm(hidden(key.day, match.rpi, aem))
                if power_dbm is None:
                    continue
                minutes = risk.minutes(
                    seconds=seconds, attenuation_db=max(0, power_dbm - rssi_dbm), days_since_onset=key.days_since_onset
                )
                near_min[time_of(interval).date()] += minutes
            db.execute("DELETE FROM heard WHERE rpi = ?", (match.rpi,))
        self._add(db, {day: (minutes, 0.0) for day, minutes in near_min.items()})
        return matched, replayed

    def _match_visits(self, db: sqlite3.Connection, notices: Sequence[VenueNotice]) -> int:
        venue_min = defaultdict[date, float](float)
        visits = 0
        for notice in notices:
            row = db.execute("SELECT key, entered, left FROM visit WHERE name = ?", (notice.name,)).fetchone()
            times = None if row is None else open_notice(notice, row[0])
            if times is None:
                continue
            first, last = max(row[1], int(times[0].timestamp())), min(row[2], int(times[1].timestamp()))
            if last > first:
                visits += 1
                venue_min[datetime.fromtimestamp(first, UTC).date()] += (last - first) / 60
        self._add(db, {day: (0.0, minutes) for day, minutes in venue_min.items()})
        return visits

    @staticmethod
    def _add(db: sqlite3.Connection, found: dict[date, tuple[float, float]]) -> None:
        db.executemany(
            "INSERT INTO contact VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE SET near_min = near_min + excluded.near_min, "
            "venue_min = venue_min + excluded.venue_min",
            [(day.isoformat(), near, venue) for day, (near, venue) in found.items()],
        )

    # What the person sees and sends

    def contacts(self) -> tuple[Contact, ...]:
        """What each day brought, oldest first."""
        with self._told("reading"):
            rows = self._db.execute("SELECT day, near_min, venue_min FROM contact ORDER BY day").fetchall()
        return tuple(Contact(date.fromisoformat(day), near, venue) for day, near, venue in rows)

    def status(self, *, purpose: str, risk: Risk) -> Status:
        """The status for one purpose now; it is worked out anew each time and kept nowhere."""
        now = self._clock.now()
        with self._writing() as db:
            self._tidy(db)
            (newest,) = db.execute("SELECT max(until) FROM taken").fetchone()
            relieved = frozenset(date.fromisoformat(row[0]) for row in db.execute("SELECT day FROM relieved"))
            (overdue,) = db.execute("SELECT count(*) FROM appeal WHERE due < ?", (int(now.timestamp()),)).fetchone()
        return status_of(
            self.contacts(),
            purpose=purpose,
            now=now,
            newest_export=None if newest is None else datetime.fromtimestamp(newest, UTC),
            risk=risk,
            relieved=relieved,
            is_appeal_overdue=overdue > 0,
        )

    def day_keys(self) -> list[DayKey]:
        """The keys that a person who tested positive may publish; the one of today ends now, and a fresh one goes on in its place.

        Whoever receives today's key can make no identifier that this phone still sends. The visits are forgotten: what their venues publish from now
        on would be the echo of this person.
        """
        now = interval_of(self._clock.now())
        with self._writing() as db:
            self._tidy(db)
            db.execute("DELETE FROM own WHERE start >= ?", (now,))
            db.execute("DELETE FROM visit")
            db.execute("UPDATE own SET period = ? - start WHERE start + period > ?", (now, now))
            rows = db.execute("SELECT key, start, period FROM own ORDER BY start").fetchall()
        return [DayKey(*row) for row in rows]

    def appeal(self, words: str, *, purpose: str, risk: Risk) -> Appeal:
        """The form of an appeal against the status now; the phone remembers only its name and until when a person has to decide."""
        form = object_to(self.status(purpose=purpose, risk=risk), words)
        now = self._clock.now()
        due = now + timedelta(hours=risk.appeal_within_h)
        with self._writing() as db:
            if db.execute("SELECT 1 FROM appeal").fetchone() is not None:
                raise Conflict("appeal: one is under way; wait for its ruling")
            db.execute("INSERT INTO appeal VALUES (?, ?, ?)", (form.id, int(now.timestamp()), int(due.timestamp())))
        return form

    def hear_ruling(self, ruling: Ruling, public_pem: str) -> None:
        """Take what a person decided; raises Refused for a ruling that the platform did not sign, or on somebody else's appeal."""
        if not ruling.is_from(public_pem):
            raise Refused("ruling: is not signed by the platform's export key; take no notice of it")
        with self._writing() as db:
            if db.execute("SELECT 1 FROM appeal WHERE id = ?", (ruling.appeal,)).fetchone() is None:
                raise Refused("ruling: is on an appeal that this phone has not filed")
            if ruling.upheld:
                db.executemany("INSERT OR IGNORE INTO relieved VALUES (?)", [(day.isoformat(),) for day in ruling.days])
            db.execute("DELETE FROM appeal WHERE id = ?", (ruling.appeal,))

    def forget(self) -> None:
        """Delete everything: what was heard, said, visited, and all that was worked out of it."""
        with self._writing() as db:
            for table in ("own", "heard", "visit", "contact", "taken", "appeal", "relieved"):
                db.execute(f"DELETE FROM {table}")

    def _tidy(self, db: sqlite3.Connection) -> None:
        """Delete what is older than 14 days; once an hour is enough."""
        now = self._clock.now()
        if self._tidied is not None and timedelta(0) <= now - self._tidied < TIDY_EVERY:
            return
        oldest, oldest_s, oldest_day = oldest_kept(now), int((now - KEPT).timestamp()), (now - KEPT).date().isoformat()
        for statement, limit in (
            ("DELETE FROM own WHERE start + period <= ?", oldest),
            ("DELETE FROM heard WHERE interval < ?", oldest),
            ("DELETE FROM visit WHERE left < ?", oldest_s),
            ("DELETE FROM contact WHERE day < ?", oldest_day),
            ("DELETE FROM relieved WHERE day < ?", oldest_day),
            ("DELETE FROM taken WHERE until < ?", oldest_s),
            ("DELETE FROM appeal WHERE filed < ?", oldest_s),
        ):
            db.execute(statement, (limit,))
        (self._heard,) = db.execute("SELECT count(*) FROM heard").fetchone()
        self._tidied = now
