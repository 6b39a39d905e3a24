"""Visits without a list of visits: a venue's code makes one name for each hour, and only who was there can make it again.

A phone that scans the code at the door keeps the names of the hours of its visit, and a key that opens messages to these hours; it does not keep the
code or the venue's name. When a person who was there tests positive, the venue (not the platform) makes the names of the hours in question and
closes the exact times with the same key. The platform publishes both: it learns neither the venue nor who comes there.

The names are derived as CrowdNotifier v3 does (Lueks et al. 2021, PoPETs 2021(4); technical specification, section "Computing identities and keys"), and
held against its Android SDK's test vectors. What is NOT here is its identity-based encryption (pairings on BLS12-381): there, even a seized, unlocked
phone and the venue's code together do not tell that the phone was there before the venue's key is published. Here they do, for 14 days.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tocsin.vocabulary.errors import InputError

HOUR_S = 3_600
CODE_BYTES_MAX = 1_024
SEED_BYTES = 32
NONCE_BYTES = 12
VISIT_HOURS_MOST = 24
NAME_BYTES = 32


class VenueCode(msgspec.Struct, frozen=True, tag="tocsin-venue/1"):
    """What stands in the code at the door: words that the phone shows before the person agrees, and a secret seed.

    Whoever has the code can make the names of all its hours: a venue prints a new one from time to time.
    """

    words: str
    seed: bytes

    def text(self) -> bytes:
        """What is in the QR code."""
        return msgspec.json.encode(self, order="deterministic")


def new_venue_code(words: str) -> VenueCode:
    """A code for a venue, made by the venue itself: the platform never sees it."""
    if not 0 < len(words) <= 200:
        raise InputError(f"venue: {len(words)} characters of words; wanted 1 to 200, what a visitor should read")
    return VenueCode(words, secrets.token_bytes(SEED_BYTES))


def read_venue_code(text: bytes) -> VenueCode:
    """The code that was scanned; raises InputError where it is none of ours."""
    if len(text) > CODE_BYTES_MAX:
        raise InputError(f"venue code: {len(text)} bytes; wanted at most {CODE_BYTES_MAX}")
    try:
        code = msgspec.json.decode(text, type=VenueCode)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise InputError(f"venue code: is none of Tocsin's: {fault}; scan the code at the door again") from fault
    if len(code.seed) != SEED_BYTES:
        raise InputError(f"venue code: the seed has {len(code.seed)} bytes; wanted {SEED_BYTES}")
    return code


class VenueSecrets(NamedTuple):
    """What HKDF makes of a code."""

    nonce_preid: bytes
    nonce_timekey: bytes
    notification_key: bytes


def venue_secrets(payload: bytes) -> VenueSecrets:
    """Three times 32 bytes from the code's raw bytes."""
    made = HKDF(algorithm=SHA256(), length=96, salt=b"", info=b"CrowdNotifier_v3").derive(payload)
    return VenueSecrets(made[:32], made[32:64], made[64:])


def hour_name(payload: bytes, start_s: int, *, length_s: int = HOUR_S) -> bytes:
    """The name of the interval that begins at `start_s` (seconds since 1970, UTC) at the venue with this code."""
    found = venue_secrets(payload)
    when = length_s.to_bytes(4, "big") + start_s.to_bytes(8, "big")
    preid = hashlib.sha256(b"CN-PREID" + payload + found.nonce_preid).digest()
    timekey = hashlib.sha256(b"CN-TIMEKEY" + when + found.nonce_timekey).digest()
    return hashlib.sha256(b"CN-ID" + preid + when + timekey).digest()


def hours_of(entered: datetime, left: datetime) -> list[int]:
    """The hours (their beginnings, seconds since 1970) that a visit touches; raises InputError for a visit of over a day."""
    if entered.tzinfo is None or left.tzinfo is None:
        raise InputError(f"visit: {entered} to {left}: a time has no zone; wanted UTC")
    if not entered < left:
        raise InputError(f"visit: entered {entered}, left {left}; wanted to leave after entering")
    first, last = int(entered.timestamp()) // HOUR_S, (int(left.timestamp()) - 1) // HOUR_S
    if last - first >= VISIT_HOURS_MOST:
        raise InputError(f"visit: {entered} to {left}; wanted at most {VISIT_HOURS_MOST} hours")
    return [hour * HOUR_S for hour in range(first, last + 1)]


class VenueNotice(msgspec.Struct, frozen=True):
    """Somebody who was here at this hour tested positive: the hour's name, and the exact times, closed for all but those who were there."""

    name: bytes
    nonce: bytes
    closed: bytes

    def __post_init__(self) -> None:
        if (len(self.name), len(self.nonce), len(self.closed)) != (NAME_BYTES, NONCE_BYTES, _CLOSED_BYTES):
            raise InputError(
                f"venue notice: a name of {len(self.name)}, a nonce of {len(self.nonce)} and {len(self.closed)} closed bytes; "
                f"wanted {NAME_BYTES}, {NONCE_BYTES} and {_CLOSED_BYTES}"
            )


_CLOSED_BYTES = 16 + 16  # two times of 8 bytes, and the tag


def notices(code: VenueCode, entered: datetime, left: datetime) -> list[VenueNotice]:
    """What a venue gives to the platform for the visit of a person who tested positive: a notice for each hour of it."""
    payload = code.text()
    key = venue_secrets(payload).notification_key
    made = []
    for start_s in hours_of(entered, left):
        name, nonce = hour_name(payload, start_s), secrets.token_bytes(NONCE_BYTES)
        times = b"".join(int(t.timestamp()).to_bytes(8, "big") for t in (entered, left))
        made.append(VenueNotice(name, nonce, AESGCM(key).encrypt(nonce, times, name)))
    return made


def open_notice(notice: VenueNotice, key: bytes) -> tuple[datetime, datetime] | None:
    """The times of the visit in question, with the key that the phone kept; None where it is not from who knows the venue's code."""
    try:
        times = AESGCM(key).decrypt(notice.nonce, notice.closed, notice.name)
    except InvalidTag:
        return None
    entered_s, left_s = int.from_bytes(times[:8], "big"), int.from_bytes(times[8:], "big")
    try:
        return datetime.fromtimestamp(entered_s, UTC), datetime.fromtimestamp(left_s, UTC)
    except (OverflowError, ValueError, OSError):
        return None
