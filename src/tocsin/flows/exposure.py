"""Health codes on the platform's side: a code is issued, keys come with it, a signed file goes out, a person rules on an appeal.

What each step leaves behind is chosen by what it would betray. Issuing a code is a line in the ledger with the official's name: officials answer for
what they do. An upload is none: a line with its time, beside that of the code, would say whose keys these are. A published file is a line with its
SHA-256, so that a forged file can be told. A ruling is a line with its digest; what the person wrote never enters the ledger, which forgets nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from tocsin.host import Clock, Gate, Ledger
from tocsin.platform.store.database import Store
from tocsin.platform.store.disk import read_secret, write_secret
from tocsin.platform.store.exposure import ExposureStore, Published, Waiting
from tocsin.security.actor import Actor
from tocsin.security.exposure.codes import code_digest, new_code
from tocsin.security.exposure.export import DiagnosisKey, Export, ExportKey, read_export, signed_by, write_export
from tocsin.security.exposure.identifiers import (
    INTERVAL_S,
    KEPT_DAYS,
    KEY_BYTES,
    ROLLING_PERIOD,
    DayKey,
    day_start,
    interval_of,
    oldest_kept,
    time_of,
)
from tocsin.security.exposure.risk import Risk, own_risk
from tocsin.security.exposure.status import Appeal, Ruling, rule
from tocsin.security.exposure.upload import Upload
from tocsin.security.exposure.venues import VenueNotice
from tocsin.vocabulary.errors import Conflict, InputError, Refused
from tocsin.vocabulary.records import Note

KEY_NAME = "exposure.key"
SUBJECT = "exposure"
PERSON, VENUE = "person", "venue"
CODE_HOLDS = timedelta(hours=24)
CODES_AT_ONCE, CODES_PER_DAY = 100, 500
# Google's exposure-notifications-server pads to 1,000 keys and 0 to 100 more (EXPORT_FILE_MIN_RECORDS, EXPORT_FILE_PADDING_RANGE).
KEYS_AT_LEAST, PADDING_RANGE = 1_000, 100
APPEALS_OPEN_MOST = 10_000
BEARER = Actor("bearer of a code", frozenset({"bearer"}))
VENUES_PREFIX = b"tocsin exposure venues 1\n"


class VenueFile(msgspec.Struct, frozen=True):
    """The notices of venues, sorted by their bytes, signed with the export key; `number` is that of the file of keys beside it."""

    number: int
    notices: tuple[VenueNotice, ...]
    signature: str = ""

    def signing_bytes(self) -> bytes:
        """What is signed."""
        return VENUES_PREFIX + msgspec.json.encode(msgspec.structs.replace(self, signature=""), order="deterministic")


def read_venues(text: bytes, public_pem: str, *, where: str = "venues") -> VenueFile:
    """A venue file that the platform signed; raises Refused where it was changed, InputError where it is none."""
    try:
        file = msgspec.json.decode(text, type=VenueFile)
        signature = bytes.fromhex(file.signature)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as fault:
        raise InputError(f"{where}: is no file of venues: {fault}; download it again") from fault
    if not signed_by(public_pem, signature, file.signing_bytes(), where=f"{where}: public key"):
        raise Refused(f"{where}: is not signed by the platform's export key, or was changed on the way")
    return file


class Exposure:
    """The platform's side. Safe for threads; every call asks the gate."""

    def __init__(
        self, store: Store, *, clock: Clock, gate: Gate, ledger: Ledger, region: str = "tocsin", risk: Risk | None = None
    ) -> None:
        self._kept, self._clock, self._gate, self._ledger = ExposureStore(store), clock, gate, ledger
        self.region, self.risk = region, own_risk() if risk is None else risk
        pem = read_secret(store.folder, KEY_NAME)
        if pem is None:
            self._key = ExportKey.new()
            write_secret(store.folder, KEY_NAME, self._key.to_pem())
        else:
            self._key = ExportKey.from_pem(pem, where=str(store.folder / KEY_NAME))

    @property
    def public_pem(self) -> str:
        """What phones check files and rulings with."""
        return self._key.public_pem

    def _note(self, actor: Actor, text: str) -> None:
        self._ledger.append(actor, [Note(time=self._now(), subject=SUBJECT, text=text)])

    def _now(self) -> datetime:
        return self._clock.now().astimezone(UTC)

    # codes

    def issue(self, actor: Actor, *, count: int = 1, purpose: str = PERSON) -> tuple[str, ...]:
        """New one-time codes, to be handed out by the official. They are told here once and never again; only their hashes stay.

        Issue several at once and hand them out later: then the time in the ledger is not the time of anybody's test.
        """
        self._gate.permit(actor, "issue exposure code", SUBJECT)
        if not 1 <= count <= CODES_AT_ONCE or purpose not in (PERSON, VENUE):
            raise InputError(f"codes: {count} for a {purpose[:20]}; wanted 1 to {CODES_AT_ONCE}, for a {PERSON} or a {VENUE}")
        now = self._now()
        codes = tuple(new_code() for _ in range(count))
        with self._kept.store.writing():
            self._kept.tidy(now)
            before = self._kept.issued(actor.name, now.date())
            if before + count > CODES_PER_DAY:
                raise Refused(
                    f"codes: {actor.name} has issued {before} today; at most {CODES_PER_DAY} a day: let another official go on"
                )
            self._kept.add_codes(
                [code_digest(c) for c in codes], purpose=purpose, expires=now + CODE_HOLDS, by=actor.name, day=now.date()
            )
            self._note(actor, f"{count} upload codes for a {purpose} were issued ({actor.name})")
        return codes

    # uploads

    def take(self, upload: Upload) -> None:
        """Keep what a person or a venue hands over. Raises Refused for a code that is unknown, used or over: the same words for all three.

        A fake goes the same way and leaves nothing. There is no lock-out after wrong codes: one address may be a whole hospital's, and among
        2^60 codes guessing is hopeless (100,000 that are open and 1,000 tries a second: some 360 years to the first).
        """
        self._gate.permit(BEARER, "upload exposure keys", SUBJECT)
        now = self._now()
        purpose = VENUE if upload.notices else PERSON
        digest = code_digest(upload.code)
        if upload.fake:
            self._kept.use_code(digest, purpose="nothing", now=now)
            return
        keys = () if upload.notices else upload.diagnosis_keys(now)
        notices = upload.venue_notices() if upload.notices else ()
        with self._kept.store.writing():
            if not self._kept.use_code(digest, purpose=purpose, now=now):
                raise Refused("upload: the code is not known, was used, or is over; ask the health official for another")
            self._kept.add_keys(keys)
            self._kept.add_notices(notices)

    # files

    def publish(self, actor: Actor) -> Published:
        """Make the signed files of what is ready, once an hour at most; also where nothing came, so that silence tells nothing.

        Invented persons fill the file to a thousand keys and a random few more. They pass through the same table as the real ones, so that
        nothing but the owners of the real keys can tell them apart.
        """
        self._gate.permit(actor, "publish exposure keys", SUBJECT)
        now = self._now()
        ends = now.replace(minute=0, second=0, microsecond=0)
        number = int(ends.timestamp()) // 3_600
        with self._kept.store.writing():
            self._kept.tidy(now)
            published = self._kept.exports()
            if published and published[-1][0] >= number:
                raise Conflict(
                    f"exposure: file {published[-1][0]} of this hour is published; the next can be made after the full hour"
                )
            wanted = KEYS_AT_LEAST + secrets.randbelow(PADDING_RANGE + 1)
            keys, notices = self._kept.ready(now)
            for _ in range(-(-(wanted - len(keys)) // KEPT_DAYS)):
                self._kept.add_keys(_invented(now))
            keys, notices = self._kept.ready(now)
            starts = published[-1][1] if published else ends - timedelta(days=1)
            export = Export(int(starts.timestamp()), int(ends.timestamp()), self.region, tuple(keys))
            file = write_export(export, self._key, key_id=self.region)
            venues = VenueFile(number, tuple(sorted(notices, key=lambda n: (n.name, n.nonce))))
            venues = msgspec.structs.replace(venues, signature=self._key.sign(venues.signing_bytes()).hex())
            text = msgspec.json.encode(venues)
            self._kept.publish(number=number, ends=ends, keys=file, venues=text, taken=keys, noticed=notices)
            digests = " and ".join(hashlib.sha256(part).hexdigest() for part in (file, text))
            self._note(actor, f"exposure file {number} was published: SHA-256 {digests}")
        return self._kept.export(number)

    def exports(self) -> list[tuple[int, datetime]]:
        """What is published, for everybody: numbers, and until when each speaks."""
        return self._kept.exports()

    def export(self, number: int) -> Published:
        """One published file, for everybody."""
        return self._kept.export(number)

    # appeals

    def file_appeal(self, form: Appeal) -> datetime:
        """Keep an appeal; returns until when a person has to decide it. Raises Refused where the form is not signed by its own key."""
        self._gate.permit(BEARER, "file appeal", SUBJECT)
        if not form.is_signed():
            raise Refused("appeal: the form is not signed by the key that it names; let the phone make it again")
        now = self._now()
        due = now + timedelta(hours=self.risk.appeal_within_h)
        self._kept.tidy(now)
        self._kept.add_appeal(form, due, most=APPEALS_OPEN_MOST)
        return self._kept.find_appeal(form.id).due

    def ruling(self, appeal_id: str) -> Ruling | None:
        """The ruling on an appeal for whoever knows its name; None while nobody has decided. Raises NotFound."""
        self._gate.permit(BEARER, "file appeal", SUBJECT)
        return self._kept.find_appeal(appeal_id).ruling

    def appeals(self, actor: Actor) -> list[Waiting]:
        """What waits, the most urgent first, and what was decided; for those who decide."""
        self._gate.permit(actor, "decide appeal", SUBJECT)
        return self._kept.appeals()

    def decide(self, actor: Actor, appeal_id: str, *, upheld: bool, reason: str) -> Ruling:
        """A person rules on an appeal: upheld, and its days count for nothing on that person's phone; or not, and why."""
        self._gate.permit(actor, "decide appeal", f"appeal {appeal_id[:32]}")
        waiting = self._kept.find_appeal(appeal_id)
        made = rule(waiting.form, upheld=upheld, reason=reason, now=self._now(), key=self._key)
        with self._kept.store.writing():
            self._kept.rule(made)
            late = " after it was due" if self._now() > waiting.due else ""
            words = "upheld" if upheld else "not upheld"
            self._note(actor, f"an appeal was {words}{late} by {actor.name}: SHA-256 of the ruling {made.digest()}")
        return made

    # flows

    def spend_flows(self, actor: Actor, day: date, *, epsilon: str, words: str) -> None:
        """Note that a day's flows are told now; raises Conflict where they were told before."""
        self._gate.permit(actor, "release flows", SUBJECT)
        with self._kept.store.writing():
            self._kept.spend(day, epsilon)
            self._note(actor, words)


def _invented(now: datetime) -> Sequence[DiagnosisKey]:
    """The keys of a person that there is not: 14 whole days and the part of the last one until some moment of the last day, like a real upload."""
    until = interval_of(now) - secrets.randbelow(ROLLING_PERIOD)
    today = day_start(until)
    onset = (time_of(until) - timedelta(days=secrets.randbelow(6))).date()
    starts = [today - ROLLING_PERIOD * back for back in range(KEPT_DAYS, -1, -1)]
    made = []
    for start in starts:
        period = min(ROLLING_PERIOD, until - start)
        if period > 0 and start + period > oldest_kept(now):
            days = (datetime.fromtimestamp(start * INTERVAL_S, UTC).date() - onset).days
            made.append(
                DiagnosisKey(DayKey(secrets.token_bytes(KEY_BYTES), start, period), days_since_onset=max(-KEPT_DAYS, days))
            )
    return made


def read_files(published: Published, public_pem: str) -> tuple[Export, VenueFile, str]:
    """What a phone takes of a published file: keys and notices, each checked, and the digest by which it knows the file again."""
    digest = hashlib.sha256(published.keys + published.venues).hexdigest()
    return read_export(published.keys, public_pem), read_venues(published.venues, public_pem), digest
