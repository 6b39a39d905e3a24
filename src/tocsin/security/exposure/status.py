"""The status that a phone works out and shows: a colour, for one purpose, with its reasons, an end, and a way to object. It is sent to nobody.

Nobody else computes it and nobody else has it. What a person does send, by own choice and for one occasion, is a statement (to whoever stands at a
door) or an appeal (to the health authority); each is signed with a key that was made for it alone, so that two of them cannot be joined.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

import msgspec

from tocsin.security.exposure.export import ExportKey, signed_by
from tocsin.security.exposure.risk import Risk
from tocsin.security.keys import SigningKey, signature_holds
from tocsin.vocabulary.errors import InputError

PURPOSE_MOST, WORDS_MOST, DAYS_MOST = 100, 2_000, 15
CHALLENGE_BYTES = 16
_STATEMENT, _APPEAL, _RULING = b"tocsin exposure statement 1\n", b"tocsin exposure appeal 1\n", b"tocsin exposure ruling 1\n"


class Colour(StrEnum):
    """UNKNOWN is a colour of its own: a phone that has not heard what was published cannot say that all is well."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    UNKNOWN = "unknown"


class Contact(msgspec.Struct, frozen=True):
    """What a day brought, without who: weighted minutes near somebody who tested positive, and minutes at a venue at the same time."""

    day: date
    near_min: float
    venue_min: float


class Status(msgspec.Struct, frozen=True):
    """What the person sees. `reasons` are days, never persons; `rests_on` names parameters that no publication gives."""

    colour: Colour
    purpose: str
    issued: datetime
    expires: datetime
    reasons: tuple[Contact, ...]
    says: str
    appeal: str
    rests_on: tuple[str, ...]


def status_of(
    contacts: Iterable[Contact],
    *,
    purpose: str,
    now: datetime,
    newest_export: datetime | None,
    risk: Risk,
    relieved: frozenset[date] = frozenset(),
    is_appeal_overdue: bool = False,
) -> Status:
    """The status for one purpose at this moment.

    Days in `relieved` (an appeal about them was upheld) count for nothing. Where an appeal waits for longer than it may, the status is yellow at most:
    no restriction stands without a person's decision. A contact counts for as long as whom it infected may infect others; a status that rests on contacts
    ends with the last of them, before its usual end.
    """
    spelt = purpose.strip()
    if not 0 < len(spelt) <= PURPOSE_MOST:
        raise InputError(
            f"status: purpose {purpose[:40]!r}; wanted 1 to {PURPOSE_MOST} characters: a status without a purpose is not shown"
        )
    lasts = timedelta(days=risk.counts_days)
    counted = [c for c in contacts if c.day not in relieved and now.date() <= c.day + lasts]
    reasons = tuple(sorted((c for c in counted if _colour(c, risk) is not Colour.GREEN), key=lambda c: c.day))
    worst = [_colour(c, risk) for c in reasons]
    stale = newest_export is None or now - newest_export > timedelta(hours=risk.stale_after_h)
    rests_on = set(risk.unverified) & {"valid_h"}
    if Colour.RED in worst:
        colour = Colour.YELLOW if is_appeal_overdue else Colour.RED
    elif worst:
        colour = Colour.YELLOW
        if all(c.near_min < risk.yellow_from_min for c in reasons):
            rests_on |= {"venue_yellow_from_min"} & set(risk.unverified)
    else:
        colour = Colour.UNKNOWN if stale else Colour.GREEN
    if colour is Colour.UNKNOWN:
        rests_on |= {"stale_after_h"} & set(risk.unverified)
    return Status(
        colour,
        spelt,
        now,
        min([now + timedelta(hours=risk.valid_h), *_last_of(worst, reasons, lasts, now)]),
        reasons,
        _says(colour, reasons, risk, newest_export, is_appeal_overdue=is_appeal_overdue),
        f"You may object: a person decides within {risk.appeal_within_h:g} h, or the status is yellow at most. `tocsin exposure device appeal`",
        tuple(sorted(rests_on)),
    )


def _last_of(worst: Sequence[Colour], reasons: Sequence[Contact], lasts: timedelta, now: datetime) -> list[datetime]:
    """When the last contact of the worst colour stops counting, at the end of its day; nothing where there is none."""
    days = [c.day for c, colour in zip(reasons, worst, strict=True) if colour is Colour.RED or Colour.RED not in worst]
    return [datetime.combine(max(days) + lasts + timedelta(days=1), time(), now.tzinfo)] if days else []


def _colour(contact: Contact, risk: Risk) -> Colour:
    if contact.near_min >= risk.red_from_min:
        return Colour.RED
    if contact.near_min >= risk.yellow_from_min or contact.venue_min >= risk.venue_yellow_from_min:
        return Colour.YELLOW
    return Colour.GREEN


def _says(
    colour: Colour, reasons: Sequence[Contact], risk: Risk, newest_export: datetime | None, *, is_appeal_overdue: bool
) -> str:
    if colour is Colour.UNKNOWN:
        heard = "never" if newest_export is None else f"last at {newest_export:%Y-%m-%d %H:%M} UTC"
        return f"Not known: this phone took published keys {heard}; let it fetch them"
    if colour is Colour.GREEN:
        return f"No contact of {risk.yellow_from_min:g} weighted minutes or more in a day is known to this phone"
    days = ", ".join(_day_words(c) for c in reasons)
    late = "; your appeal was not decided in time, so nothing stricter holds" if is_appeal_overdue else ""
    return f"{days}{late}. A hint by radio or by a visit, no finding: get tested"


def _day_words(contact: Contact) -> str:
    near = f"{contact.near_min:.0f} weighted minutes near somebody who tested positive" if contact.near_min else ""
    venue = f"{contact.venue_min:.0f} minutes at a place where somebody was who tested positive" if contact.venue_min else ""
    return f"{contact.day:%Y-%m-%d}: {' and '.join(part for part in (near, venue) if part)}"


class Statement(msgspec.Struct, frozen=True):
    """What a phone answers to one challenge: its colour for one purpose. No name, no days, no number of the phone.

    It proves that whoever holds `public_key` said so after the challenge was made, so it is no old picture of a screen. It does NOT prove that the
    software is honest, nor that the phone is that person's: a status that hurts somebody who lies is worth no more than his word.
    """

    colour: Colour
    purpose: str
    until: datetime
    challenge: str
    public_key: str
    signature: str = ""

    def signing_bytes(self) -> bytes:
        """What is signed."""
        return _STATEMENT + msgspec.json.encode(msgspec.structs.replace(self, signature=""), order="deterministic")

    def answers(self, challenge: str, *, purpose: str, now: datetime) -> bool:
        """True if it answers this challenge, for this purpose, and has not ended."""
        fits = self.challenge == challenge and self.purpose == purpose and now < self.until
        return fits and signature_holds(self.public_key, self.signature, self.signing_bytes())


def state(status: Status, challenge: str) -> Statement:
    """Say one's status once, with a key that is used for nothing else and then forgotten. The end is told to the full hour only."""
    if len(challenge) != 2 * CHALLENGE_BYTES or any(c not in "0123456789abcdef" for c in challenge):
        raise InputError(f"challenge {challenge[:40]!r}; wanted {CHALLENGE_BYTES} random bytes in hexadecimal, from whoever asks")
    key = SigningKey.new()
    until = status.expires.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    made = Statement(status.colour, status.purpose, until, challenge, key.public_key)
    return msgspec.structs.replace(made, signature=key.sign(made.signing_bytes()))


class Appeal(msgspec.Struct, frozen=True):
    """A person's objection to a status: which colour, for what purpose, which days, and why, in own words. It holds no name unless the person writes one.

    `public_key` is made for this appeal. Its `id` is what the person needs to fetch the ruling; whoever does not have it cannot ask for it.
    """

    colour: Colour
    purpose: str
    days: tuple[date, ...]
    words: str
    public_key: str
    signature: str = ""

    def __post_init__(self) -> None:
        if (
            not 0 < len(self.words.strip()) <= WORDS_MOST
            or len(self.purpose) > PURPOSE_MOST
            or not 0 < len(self.days) <= DAYS_MOST
        ):
            raise InputError(
                f"appeal: {len(self.words)} characters of reasons, {len(self.purpose)} of purpose, {len(self.days)} days; "
                f"wanted 1 to {WORDS_MOST}, up to {PURPOSE_MOST}, and 1 to {DAYS_MOST}"
            )

    def signing_bytes(self) -> bytes:
        """What is signed."""
        return _APPEAL + msgspec.json.encode(msgspec.structs.replace(self, signature=""), order="deterministic")

    @property
    def id(self) -> str:
        """A name that nobody can guess: 128 bits of a hash over the form and its signature."""
        return hashlib.sha256(self.signing_bytes() + self.signature.encode()).hexdigest()[:32]

    def is_signed(self) -> bool:
        """True if the holder of its key signed it."""
        return signature_holds(self.public_key, self.signature, self.signing_bytes())


def object_to(status: Status, words: str) -> Appeal:
    """The form of an appeal against this status, signed with a key made for it."""
    if not status.reasons:
        raise InputError(f"appeal: the status is {status.colour} and names no day; there is nothing to object to")
    key = SigningKey.new()
    days = tuple(c.day for c in status.reasons)
    made = Appeal(status.colour, status.purpose, days, words.strip(), key.public_key)
    return msgspec.structs.replace(made, signature=key.sign(made.signing_bytes()))


class Ruling(msgspec.Struct, frozen=True):
    """What a person decided about an appeal, signed with the platform's export key, so that the phone can tell it from a forged one.

    `upheld`: these days count for nothing on the phone that filed the appeal. Who decided is in the ledger, not here.
    """

    appeal: str
    upheld: bool
    days: tuple[date, ...]
    decided: datetime
    reason: str
    signature: str = ""

    def signing_bytes(self) -> bytes:
        """What is signed."""
        return _RULING + msgspec.json.encode(msgspec.structs.replace(self, signature=""), order="deterministic")

    def digest(self) -> str:
        """What the ledger holds of it: nothing that a person said."""
        return hashlib.sha256(self.signing_bytes()).hexdigest()

    def is_from(self, public_pem: str) -> bool:
        """True if the platform with this export key signed it."""
        try:
            signature = bytes.fromhex(self.signature)
        except ValueError:
            return False
        return signed_by(public_pem, signature, self.signing_bytes(), where="ruling: public key")


def rule(appeal: Appeal, *, upheld: bool, reason: str, now: datetime, key: ExportKey) -> Ruling:
    """A signed ruling on an appeal."""
    if not 0 < len(reason.strip()) <= WORDS_MOST:
        raise InputError(f"ruling: {len(reason)} characters of reasons; wanted 1 to {WORDS_MOST}: the person has to read why")
    made = Ruling(appeal.id, upheld, appeal.days, now.astimezone(UTC), reason.strip())
    return msgspec.structs.replace(made, signature=key.sign(made.signing_bytes()).hex())
