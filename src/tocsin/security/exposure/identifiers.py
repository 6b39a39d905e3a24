"""Rotating identifiers: what a phone says aloud, which nobody can join to a person until that person publishes a day's key.

A day's Temporary Exposure Key (TEK, 16 random bytes) makes one Rolling Proximity Identifier (RPI) for each ten minutes, and hides four bytes of
metadata (version and transmit power) beside it. Two phones that met hold each other's RPIs; only with the published TEK can one say whose.

Source: Apple and Google, Exposure Notification, Cryptography Specification v1.2, April 2020 (names and sizes are the specification's). Held against
Google's published test vectors (exposure-notifications-internals, TestVectors.java).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

KEY_BYTES = 16
METADATA_BYTES = 4
INTERVAL_S = 600
ROLLING_PERIOD = 144  # intervals of a day's key: 24 h
KEPT_DAYS = 14  # a TEK and what was heard are kept so long, no longer
TOLERANCE = 12  # intervals: an RPI heard over 2 h from when its key says it was sent is a replay and no match
METADATA_VERSION = 0x40  # major 1, minor 0
INTERVAL_MOST = 2**32 - 1
_NO_SALT = bytes(hashlib.sha256().digest_size)


class DayKey(msgspec.Struct, frozen=True):
    """A Temporary Exposure Key, the interval that it begins with, and for how many intervals it holds."""

    key: bytes
    start: int
    period: int = ROLLING_PERIOD

    def __post_init__(self) -> None:
        if (
            len(self.key) != KEY_BYTES
            or not 1 <= self.period <= ROLLING_PERIOD
            or not 0 <= self.start <= INTERVAL_MOST - self.period
        ):
            raise InputError(
                f"exposure key: {len(self.key)} bytes, from interval {self.start}, for {self.period}; "
                f"wanted {KEY_BYTES} bytes, a start within 32 bits and 1 to {ROLLING_PERIOD} intervals"
            )

    @property
    def end(self) -> int:
        """The first interval for which the key does not hold any more."""
        return self.start + self.period


def interval_of(time: datetime) -> int:
    """ENIntervalNumber: tens of minutes since 1970 (UTC).

    >>> interval_of(datetime(2020, 4, 2, tzinfo=UTC))
    2642976
    """
    if time.tzinfo is None:
        raise InputError(f"exposure: time {time} has no zone; wanted UTC")
    return int(time.timestamp()) // INTERVAL_S


def time_of(interval: int) -> datetime:
    """When an interval begins."""
    return datetime.fromtimestamp(interval * INTERVAL_S, UTC)


def day_start(interval: int) -> int:
    """The interval with which the day's key begins: midnight, UTC."""
    return interval // ROLLING_PERIOD * ROLLING_PERIOD


def oldest_kept(now: datetime) -> int:
    """The first interval that is still kept; what was before it is deleted."""
    return interval_of(now - timedelta(days=KEPT_DAYS))


def _hkdf16(key: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt, 16 bytes: one block of it is enough, so two HMACs are all."""
    return hmac.digest(hmac.digest(_NO_SALT, key, "sha256"), info + b"\x01", "sha256")[:KEY_BYTES]


def identifier_key(key: bytes) -> bytes:
    """RPIK: makes the identifiers."""
    return _hkdf16(key, b"EN-RPIK")


def metadata_key(key: bytes) -> bytes:
    """AEMK: hides the metadata."""
    return _hkdf16(key, b"EN-AEMK")


def _padded(start: int, period: int) -> bytes:
    """The plain text of `period` identifiers: "EN-RPI", six zeros, and the interval as 32 bits, little-endian."""
    return b"".join(b"EN-RPI" + bytes(6) + number.to_bytes(4, "little") for number in range(start, start + period))


def identifier(key: DayKey, interval: int) -> bytes:
    """The RPI that is sent in this interval; raises InputError where the key does not hold then."""
    if not key.start <= interval < key.end:
        raise InputError(f"exposure key: holds for intervals {key.start} to {key.end - 1}; got {interval}")
    return _encrypt(identifier_key(key.key), _padded(interval, 1))


def identifiers(key: DayKey) -> list[bytes]:
    """All RPIs of a key, in order of time."""
    made = _encrypt(identifier_key(key.key), _padded(key.start, key.period))
    return [made[at : at + KEY_BYTES] for at in range(0, len(made), KEY_BYTES)]


def _encrypt(key: bytes, plain: bytes) -> bytes:
    return Cipher(algorithms.AES128(key), modes.ECB()).encryptor().update(plain)


def hidden(key: DayKey, rpi: bytes, metadata: bytes) -> bytes:
    """Associated Encrypted Metadata; AES-CTR is its own inverse, so the same call opens what it closed."""
    if len(metadata) != METADATA_BYTES or len(rpi) != KEY_BYTES:
        raise InputError(
            f"exposure metadata: {len(metadata)} bytes beside an identifier of {len(rpi)}; wanted {METADATA_BYTES} and {KEY_BYTES}"
        )
    return Cipher(algorithms.AES128(metadata_key(key.key)), modes.CTR(rpi)).encryptor().update(metadata)


def metadata_of(tx_power_dbm: int) -> bytes:
    """The four bytes that travel hidden: version, transmit power (signed, dBm), two reserved."""
    if not -127 <= tx_power_dbm <= 127:
        raise InputError(f"transmit power: {tx_power_dbm} dBm; wanted -127 to 127")
    return bytes([METADATA_VERSION]) + tx_power_dbm.to_bytes(1, "little", signed=True) + bytes(2)


def tx_power_dbm(metadata: bytes) -> int | None:
    """The transmit power that was hidden, dBm; None where the metadata are of another major version: the power means nothing then."""
    if len(metadata) != METADATA_BYTES or metadata[0] >> 6 != METADATA_VERSION >> 6:
        return None
    return int.from_bytes(metadata[1:2], "little", signed=True)


class Match(msgspec.Struct, frozen=True):
    """A published key made an identifier that was heard: which key (its place in the file), which identifier, and the interval it was for."""

    key: int
    rpi: bytes
    interval: int


SIEVE_BITS = 20


class Derived(msgspec.Struct, frozen=True):
    """Some keys of a file with all identifiers that they make, one after another: what a match needs, and the same for every phone."""

    first: int
    keys: tuple[DayKey, ...]
    made: bytes
    ends: NDArray[np.int64]
    prefixes: NDArray[np.int64]


def derive(keys: Sequence[DayKey], *, at_once: int = 4_096) -> Iterator[Derived]:
    """The identifiers of all keys, so many keys at a time (9 MB of identifiers for 4,096)."""
    plain: dict[tuple[int, int], bytes] = {}
    for first in range(0, len(keys), at_once):
        group = tuple(keys[first : first + at_once])
        made = []
        for key in group:
            text = plain.get((key.start, key.period))
            if text is None:
                text = plain[(key.start, key.period)] = _padded(key.start, key.period)
            made.append(_encrypt(identifier_key(key.key), text))
        all_made = b"".join(made)
        yield Derived(first, group, all_made, np.cumsum([key.period for key in group]), _prefixes(all_made))


def matches(groups: Iterable[Derived], heard: frozenset[bytes]) -> Iterator[Match]:
    """Every published key that made something which was heard, in the order of the keys.

    A sieve of 2^20 bits (the first bits of what was heard) lets nearly all identifiers drop in one array operation, as Google's prefix map does; only
    what remains is looked up.
    """
    sieve = np.zeros(1 << SIEVE_BITS, np.bool_)
    if heard:
        sieve[_prefixes(b"".join(heard))] = True
    for group in groups:
        for place in np.flatnonzero(sieve[group.prefixes]):
            rpi = group.made[place * KEY_BYTES : (place + 1) * KEY_BYTES]
            if rpi in heard:
                number = int(np.searchsorted(group.ends, place, side="right"))
                key = group.keys[number]
                yield Match(group.first + number, rpi, key.end - (int(group.ends[number]) - int(place)))


def _prefixes(identifiers: bytes) -> NDArray[np.int64]:
    """The first SIEVE_BITS bits of each identifier."""
    words = np.frombuffer(identifiers, dtype="<u4")[:: KEY_BYTES // 4]
    return (words & np.uint32((1 << SIEVE_BITS) - 1)).astype(np.int64)
