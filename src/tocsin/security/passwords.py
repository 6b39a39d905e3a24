"""Passwords: kept as Argon2id hashes, checked a few at a time, and slower after each failure.

Argon2id is RFC 9106. `Cost()` is that RFC's second recommended option (section 4): 3 passes over 64 MiB in 4 lanes, a salt of 16
bytes and a tag of 32. No cost below the smallest that OWASP recommends (Password Storage Cheat Sheet: 7 MiB in 5 passes) can be
made, not even for tests.
"""

from __future__ import annotations

import math
import secrets
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import Type, hash_secret_raw

from tocsin.vocabulary.errors import InputError, Refused, Unavailable

LENGTH_MIN, LENGTH_MAX = 12, 1_000
MEMORY_KIB_MIN, WORK_KIB_MIN = 7 * 1024, 5 * 7 * 1024
SALT_BYTES, TAG_BYTES = 16, 32

AT_ONCE = 2
WAITING_MOST = 8

FREE_FAILURES = 3
DELAY_FIRST_S, DELAY_MOST_S = 1.0, 60.0
FORGOTTEN_AFTER = timedelta(hours=1)
REMEMBERED_MOST = 10_000


class Cost(msgspec.Struct, frozen=True):
    """What one guess costs: passes over so much memory."""

    passes: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 4

    def __post_init__(self) -> None:
        if self.memory_kib < MEMORY_KIB_MIN or self.passes * self.memory_kib < WORK_KIB_MIN or not 1 <= self.lanes <= 64:
            raise InputError(
                f"password cost: {self.passes} passes over {self.memory_kib} KiB in {self.lanes} lanes; wanted at least "
                f"{MEMORY_KIB_MIN} KiB, {WORK_KIB_MIN} KiB in all passes, and 1 to 64 lanes"
            )


def _spelt(password: str) -> str:
    """One spelling for each password: the same letters typed on another keyboard are the same (NFKC, NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return _spelt(password).encode("utf-8", "surrogatepass")


def check_worthy(password: str, *, name: str) -> None:
    """Raises InputError where a new password is too short, too long, or says the person's name."""
    spelt = _spelt(password[: LENGTH_MAX + 1])
    if not LENGTH_MIN <= len(spelt) <= LENGTH_MAX:
        raise InputError(f"password of {name}: {len(spelt)} characters; wanted {LENGTH_MIN} to {LENGTH_MAX}: a sentence is best")
    if name.casefold() in spelt.casefold() or len(set(spelt)) < 5:
        raise InputError(f"password of {name}: holds the name, or fewer than 5 different characters; choose another")


class Passwords:
    """Hashes and checks, at most AT_ONCE at a time with WAITING_MOST in the queue: each takes time and 64 MiB."""

    def __init__(self, cost: Cost | None = None) -> None:
        self.cost = cost if cost is not None else Cost()
        self._hasher = PasswordHasher(self.cost.passes, self.cost.memory_kib, self.cost.lanes, TAG_BYTES, SALT_BYTES)
        self._turn = threading.BoundedSemaphore(AT_ONCE)
        self._counting = threading.Lock()
        self._waiting = 0
        # Checked for unknown names, so that they take as long as known ones.
        self._nobody = self._hasher.hash(secrets.token_hex(32))

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with self._counting:
            if self._waiting >= AT_ONCE + WAITING_MOST:
                raise Unavailable(f"passwords: {self._waiting} are being checked already; try again in a few seconds")
            self._waiting += 1
        try:
            with self._turn:
                yield
        finally:
            with self._counting:
                self._waiting -= 1

    def hash(self, password: str) -> str:
        """What is stored: salt, cost and tag in Argon2's own text form."""
        with self._in_turn():
            return self._hasher.hash(_bytes(password))

    def fits(self, stored: str | None, password: str) -> bool:
        """True if the password is the stored one. `None` stands for an unknown name: it takes as long, and never fits."""
        if len(password) > LENGTH_MAX:
            password = ""
        with self._in_turn():
            try:
                self._hasher.verify(stored if stored is not None else self._nobody, _bytes(password))
            except VerifyMismatchError:
                return False
            except (VerificationError, InvalidHashError) as fault:
                raise Unavailable(f"passwords: the stored hash cannot be read: {fault}; set a new password") from fault
            return stored is not None

    def derive(self, password: str, salt: bytes, cost: Cost) -> bytes:
        """A key of 32 bytes from a password: what opens a person's private key."""
        with self._in_turn():
            return hash_secret_raw(_bytes(password), salt, cost.passes, cost.memory_kib, cost.lanes, TAG_BYTES, Type.ID)


class _Failures(msgspec.Struct):
    count: int
    last: datetime


class Attempts:
    """After FREE_FAILURES wrong passwords each further try has to wait: 1 s, 2 s, 4 s and so on, up to a minute.

    Counted for each (name, source), in memory: a restart forgets, an hour without a failure too, and so does the right password.
    The wait is short on purpose: a commander must not be kept out of an emergency by somebody who mistypes his name.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, source: str, now: datetime) -> None:
        """Count a try before its password is checked, so that many at once count too; raises Refused with how long to wait."""
        with self._lock:
            failures = self._failures.setdefault((name, source), _Failures(0, now))
            if now - failures.last > FORGOTTEN_AFTER:
                failures.count = 0
            beyond = failures.count - FREE_FAILURES
            if beyond >= 0:
                delay_s = min(DELAY_FIRST_S * 2.0 ** min(beyond, 30), DELAY_MOST_S)
                left_s = delay_s - (now - failures.last).total_seconds()
                if left_s > 0:
                    raise Refused(
                        f"sign-in: {failures.count} wrong passwords for {name}; wait {math.ceil(left_s)} s, then try again"
                    )
            failures.count, failures.last = failures.count + 1, now
            self._failures.move_to_end((name, source))
            while len(self._failures) > REMEMBERED_MOST:
                self._failures.popitem(last=False)

    def undo(self, name: str, source: str) -> None:
        """The try was not judged: it counts for nothing."""
        with self._lock:
            failures = self._failures.get((name, source))
            if failures is not None and failures.count:
                failures.count -= 1

    def succeeded(self, name: str, source: str) -> None:
        """Forget the failures."""
        with self._lock:
            self._failures.pop((name, source), None)
