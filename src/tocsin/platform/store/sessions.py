"""Sessions at rest: only hashes of tokens are kept, and the person's roles are read anew for each request."""

from __future__ import annotations

from datetime import UTC, datetime

from tocsin.host import Clock
from tocsin.platform.store.database import Store
from tocsin.platform.store.users import Users
from tocsin.security.actor import Actor
from tocsin.security.sessions import Session, SessionLimits, check_csrf, csrf_of, new_token, token_digest

USED_EVERY_S = 60.0  # a session's last use is written at most so often: a page of pictures is not a hundred writes


def open_sessions(store: Store, users: Users, *, clock: Clock, limits: SessionLimits | None = None) -> Sessions:
    """The sessions of a data folder. `clock` is the clock by which people live, even where the platform's own runs faster."""
    return Sessions(store, users, clock, limits if limits is not None else SessionLimits())


class Sessions:
    """Safe for threads."""

    def __init__(self, store: Store, users: Users, clock: Clock, limits: SessionLimits) -> None:
        self._store, self._users, self._clock, self._limits = store, users, clock, limits

    def sign_in(self, name: str, password: str, source: str = "") -> tuple[Session, str]:
        """Open a session; return it with the token for the cookie. Raises Refused."""
        actor = self._users.sign_in(name, password, source)
        token, now = new_token(), self._clock.now().astimezone(UTC)
        with self._store.writing() as db:
            for digest, began, used in db.execute("SELECT digest, began, used FROM session").fetchall():
                if not self._alive(began, used, now):
                    db.execute("DELETE FROM session WHERE digest = ?", (digest,))
            db.execute(
                "INSERT INTO session VALUES (?, ?, ?, ?)", (token_digest(token), actor.name, now.isoformat(), now.isoformat())
            )
        return Session(actor, csrf_of(token)), token

    def find(self, token: str, csrf: str | None = None) -> Session | None:
        """The session of a token, or None where it has ended. `csrf` is None for what only reads; a wrong one raises Refused."""
        digest, now = token_digest(token), self._clock.now().astimezone(UTC)
        with self._store.reading() as db:
            row = db.execute(
                "SELECT user.name, roles, began, used FROM session JOIN user ON user.name = session.name"
                " WHERE digest = ? AND disabled IS NULL",
                (digest,),
            ).fetchone()
        if row is None or not self._alive(row[2], row[3], now):
            return None
        if csrf is not None:
            check_csrf(token, csrf)
        if (now - datetime.fromisoformat(row[3])).total_seconds() >= USED_EVERY_S:
            with self._store.writing() as db:
                db.execute("UPDATE session SET used = ? WHERE digest = ?", (now.isoformat(), digest))
        return Session(Actor(row[0], frozenset(row[1].split())), csrf_of(token))

    def sign_out(self, token: str) -> None:
        """End a session; one that has ended stays ended."""
        with self._store.writing() as db:
            db.execute("DELETE FROM session WHERE digest = ?", (token_digest(token),))

    def _alive(self, began: str, used: str, now: datetime) -> bool:
        return self._limits.is_alive(began=datetime.fromisoformat(began), used=datetime.fromisoformat(used), now=now)
