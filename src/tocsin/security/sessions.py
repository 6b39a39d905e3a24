"""Sessions: a random token in a cookie, its hash at rest, an end after idleness and an end in any case.

Tokens come from `secrets`, not from the Host's chance: what a seed can repeat, a stranger can guess.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

import msgspec

from tocsin.security.actor import Actor
from tocsin.vocabulary.errors import InputError, Refused

TOKEN_BYTES = 32


class Session(msgspec.Struct, frozen=True):
    """Who is signed in, and the CSRF token that what changes something has to send back."""

    actor: Actor
    csrf: str


class SessionLimits(msgspec.Struct, frozen=True):
    """A session ends after `idle` without a request, and after `whole` in any case: a shift of 12 h."""

    idle: timedelta = timedelta(hours=4)
    whole: timedelta = timedelta(hours=12)

    def __post_init__(self) -> None:
        if not timedelta(0) < self.idle <= self.whole:
            raise InputError(f"session limits: idle {self.idle}, whole {self.whole}; wanted 0 < idle <= whole")

    def is_alive(self, *, began: datetime, used: datetime, now: datetime) -> bool:
        """True while neither limit has passed."""
        return now - used < self.idle and now - began < self.whole


def new_token() -> str:
    """256 random bits for the cookie; whoever has them is the person."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_digest(token: str) -> str:
    """What is stored: who reads the database cannot take over a session."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """The token against forged requests: made of the session's token, which another site's page cannot read."""
    return hmac.new(token.encode(), b"tocsin csrf", hashlib.sha256).hexdigest()


def check_csrf(token: str, csrf: str) -> None:
    """Return if the request carries the session's CSRF token; else raise Refused."""
    if not hmac.compare_digest(csrf_of(token).encode(), csrf.encode()):
        raise Refused("session: the CSRF token is missing or wrong; reload the page and do it again")
