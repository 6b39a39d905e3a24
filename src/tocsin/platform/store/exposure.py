"""What the platform keeps for health codes: hashes of unused codes, keys that wait to be published, published files, open appeals. No person, no place.

A row of a code goes when it is used, and what came with it bears no mark of it, nor of when it came; the order is that of the random bytes. So two
people's uploads, in whichever order they come, leave the same tables. What cannot be helped: until the next export, whoever reads the database file
before and after an upload sees what was added (the keys are public soon, their being one person's is not): it is for the machine's administrator only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from tocsin.platform.store.database import Store
from tocsin.security.exposure.export import DiagnosisKey
from tocsin.security.exposure.identifiers import KEPT_DAYS, TOLERANCE, DayKey, interval_of, oldest_kept
from tocsin.security.exposure.status import Appeal, Ruling
from tocsin.security.exposure.venues import VenueNotice
from tocsin.vocabulary.errors import Conflict, NotFound

KEPT = timedelta(days=KEPT_DAYS)


class Waiting(msgspec.Struct, frozen=True):
    """An appeal, until when it has to be decided, and the ruling, None while there is none."""

    form: Appeal
    due: datetime
    ruling: Ruling | None


class Published(msgspec.Struct, frozen=True):
    """A published file of keys, and the one of venues beside it."""

    number: int
    ends: datetime
    keys: bytes
    venues: bytes


class ExposureStore:
    """Safe for threads. Whoever calls asks the gate; `store.writing()` around several calls makes them one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.writing() as db:
            db.execute(
                "PRAGMA secure_delete = ON"
            )  # what is deleted is overwritten; the write-ahead log forgets at its next turn

    # codes

    def add_codes(self, digests: Sequence[str], *, purpose: str, expires: datetime, by: str, day: date) -> None:
        """Keep hashes of new codes, and how many this official has issued today."""
        with self.store.writing() as db:
            db.executemany("INSERT INTO exposure_code VALUES (?, ?, ?)", [(d, purpose, _text(expires)) for d in digests])
            db.execute(
                "INSERT INTO exposure_issued VALUES (?, ?, ?) ON CONFLICT (day, actor) DO UPDATE SET count = count + excluded.count",
                (day.isoformat(), by, len(digests)),
            )

    def issued(self, by: str, day: date) -> int:
        """How many codes this official has issued on a day."""
        with self.store.reading() as db:
            row = db.execute("SELECT count FROM exposure_issued WHERE day = ? AND actor = ?", (day.isoformat(), by)).fetchone()
        return 0 if row is None else int(row[0])

    def use_code(self, digest: str, *, purpose: str, now: datetime) -> bool:
        """True if the code was good; then it is gone."""
        with self.store.writing() as db:
            row = db.execute("SELECT purpose, expires FROM exposure_code WHERE digest = ?", (digest,)).fetchone()
            if row is None or row[0] != purpose or datetime.fromisoformat(row[1]) <= now:
                return False
            db.execute("DELETE FROM exposure_code WHERE digest = ?", (digest,))
        return True

    # keys and venues

    def add_keys(self, keys: Iterable[DiagnosisKey]) -> None:
        """Keep keys until they are published; one that is there already stays as it is."""
        rows = [(k.day.key, k.day.start, k.day.period, k.report, k.days_since_onset) for k in keys]
        with self.store.writing() as db:
            db.executemany("INSERT OR IGNORE INTO exposure_key VALUES (?, ?, ?, ?, ?)", rows)

    def add_notices(self, notices: Iterable[VenueNotice]) -> None:
        """Keep a venue's notices until they are published."""
        with self.store.writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO exposure_notice VALUES (?, ?, ?)", [(n.name, n.nonce, n.closed) for n in notices]
            )

    def ready(self, now: datetime) -> tuple[list[DiagnosisKey], list[VenueNotice]]:
        """What may be published: keys whose last identifier is so old that nobody's phone would take a replay of it any more."""
        with self.store.writing() as db:  # inside a transaction it sees what that has written
            keys = db.execute(
                "SELECT key, start, period, report, onset FROM exposure_key WHERE start + period + ? <= ? AND start + period > ?",
                (TOLERANCE, interval_of(now), oldest_kept(now)),
            ).fetchall()
            notices = db.execute("SELECT name, nonce, closed FROM exposure_notice").fetchall()
        return (
            [DiagnosisKey(DayKey(key, start, period), report, onset) for key, start, period, report, onset in keys],
            [VenueNotice(*row) for row in notices],
        )

    def publish(
        self,
        *,
        number: int,
        ends: datetime,
        keys: bytes,
        venues: bytes,
        taken: Sequence[DiagnosisKey],
        noticed: Sequence[VenueNotice],
    ) -> None:
        """Keep the files under their number, and let go of what is in them. Raises Conflict where the number is taken."""
        with self.store.writing() as db:
            if db.execute("SELECT 1 FROM exposure_export WHERE number = ?", (number,)).fetchone() is not None:
                raise Conflict(f"exposure: file {number} is published already; somebody was faster")
            db.execute("INSERT INTO exposure_export VALUES (?, ?, ?, ?)", (number, _text(ends), keys, venues))
            db.executemany("DELETE FROM exposure_key WHERE key = ?", [(k.day.key,) for k in taken])
            db.executemany("DELETE FROM exposure_notice WHERE name = ? AND nonce = ?", [(n.name, n.nonce) for n in noticed])

    def exports(self) -> list[tuple[int, datetime]]:
        """(number, end of the span) of what is published, oldest first."""
        with self.store.reading() as db:
            rows = db.execute("SELECT number, ends FROM exposure_export ORDER BY number").fetchall()
        return [(number, datetime.fromisoformat(ends)) for number, ends in rows]

    def export(self, number: int) -> Published:
        """One published file; raises NotFound."""
        with self.store.reading() as db:
            row = db.execute("SELECT number, ends, keys, venues FROM exposure_export WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise NotFound(f"exposure: no file {number}; there are {', '.join(str(n) for n, _ in self.exports()) or 'none yet'}")
        return Published(row[0], datetime.fromisoformat(row[1]), row[2], row[3])

    # appeals

    def add_appeal(self, form: Appeal, due: datetime, *, most: int) -> None:
        """Keep an appeal; raises Conflict where too many wait: people who decide have to be found first."""
        with self.store.writing() as db:
            (open_now,) = db.execute("SELECT count(*) FROM exposure_appeal WHERE ruling IS NULL").fetchone()
            if open_now >= most:
                raise Conflict(f"appeal: {open_now} wait to be decided; send it again later")
            row = (form.id, msgspec.json.encode(form), _text(due))
            db.execute("INSERT OR IGNORE INTO exposure_appeal (id, form, due) VALUES (?, ?, ?)", row)

    def appeals(self) -> list[Waiting]:
        """All that is kept of appeals, those to be decided soonest first."""
        with self.store.reading() as db:
            rows = db.execute("SELECT form, due, ruling FROM exposure_appeal ORDER BY due, id").fetchall()
        return [_waiting(row) for row in rows]

    def find_appeal(self, appeal_id: str) -> Waiting:
        """One appeal; raises NotFound."""
        with self.store.reading() as db:
            row = db.execute("SELECT form, due, ruling FROM exposure_appeal WHERE id = ?", (appeal_id,)).fetchone()
        if row is None:
            raise NotFound(f"appeal: {appeal_id[:40]!r} is not here; wanted the 32 letters that filing it gave")
        return _waiting(row)

    def rule(self, ruling: Ruling) -> None:
        """Keep a ruling. Raises Conflict where there is one."""
        with self.store.writing() as db:
            changed = db.execute(
                "UPDATE exposure_appeal SET ruling = ? WHERE id = ? AND ruling IS NULL",
                (msgspec.json.encode(ruling), ruling.appeal),
            )
            if changed.rowcount != 1:
                raise Conflict(f"appeal: {ruling.appeal} is decided already; a decision is not changed")

    # flows

    def spend(self, day: date, epsilon: str) -> None:
        """A day's flows are told once; raises Conflict at the second time, whatever was asked then: every telling costs privacy."""
        with self.store.writing() as db:
            if db.execute("SELECT 1 FROM exposure_flow WHERE day = ?", (day.isoformat(),)).fetchone() is not None:
                raise Conflict(
                    f"flows: those of {day} were told already; a day is told once, since two tellings together tell more"
                )
            db.execute("INSERT INTO exposure_flow VALUES (?, ?)", (day.isoformat(), epsilon))

    def tidy(self, now: datetime) -> None:
        """Delete what has ended: codes, keys, files and appeals (14 days after they were due). Days whose flows were told are kept."""
        old = _text(now - KEPT)
        with self.store.writing() as db:
            for statement, limit in (
                ("DELETE FROM exposure_code WHERE expires <= ?", _text(now)),
                ("DELETE FROM exposure_issued WHERE day < ?", (now - KEPT).date().isoformat()),
                ("DELETE FROM exposure_export WHERE ends < ?", old),
                ("DELETE FROM exposure_appeal WHERE due < ?", old),
            ):
                db.execute(statement, (limit,))
            db.execute("DELETE FROM exposure_key WHERE start + period <= ?", (oldest_kept(now),))


def _waiting(row: tuple[bytes, str, bytes | None]) -> Waiting:
    form, due, ruling = row
    return Waiting(
        msgspec.json.decode(form, type=Appeal),
        datetime.fromisoformat(due),
        None if ruling is None else msgspec.json.decode(ruling, type=Ruling),
    )


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")
