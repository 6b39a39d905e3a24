"""People: their passwords, roles and keys. Each change is a note in the ledger, in the same transaction."""

from __future__ import annotations

import sqlite3
import unicodedata
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from tocsin.host import Clock, Gate, Ledger
from tocsin.platform.store.database import Store
from tocsin.security.actor import Actor
from tocsin.security.gate import known_roles
from tocsin.security.keys import SealedKey, SigningKey, seal
from tocsin.security.passwords import Attempts, Passwords, check_worthy
from tocsin.vocabulary.errors import Conflict, InputError, NotFound, Refused, Unavailable
from tocsin.vocabulary.records import Decision, HardLimits, Note, PlanEvent

Signed = TypeVar("Signed", Decision, PlanEvent, HardLimits)
NAME_MOST = 64
RESERVED = {"platform", "model", "system", "tocsin"}  # the platform's own actors sign entries with these
PLATFORM = Actor("platform", frozenset({"system"}))


class User(msgspec.Struct, frozen=True):
    """A person who may sign in. `public_key` is the key that signs now; keys that signed before stay known."""

    name: str
    roles: frozenset[str]
    public_key: str
    created: datetime
    disabled: datetime | None


def user_name(name: str) -> str:
    """A name in its one spelling; raises InputError where it is empty, too long, or holds what does not belong in a name.

    >>> user_name(" Ada ")
    'ada'
    """
    spelt = unicodedata.normalize("NFKC", name).strip().casefold()
    if not spelt or len(spelt) > NAME_MOST or not all(letter.isalnum() or letter in " ._-@" for letter in spelt):
        raise InputError(f"user name {name[:80]!r}: wanted 1 to {NAME_MOST} letters, digits, spaces and . _ - @")
    return spelt


def open_users(store: Store, *, clock: Clock, gate: Gate, ledger: Ledger, passwords: Passwords | None = None) -> Users:
    """The people of a data folder. `ledger` is the one in the same store: what is done to a user is a note there."""
    return Users(store, clock, gate, ledger, passwords if passwords is not None else Passwords())


class Users:
    """Safe for threads. There is no default user and no default password."""

    def __init__(self, store: Store, clock: Clock, gate: Gate, ledger: Ledger, passwords: Passwords) -> None:
        self._store, self._clock, self._gate, self._ledger, self._passwords = store, clock, gate, ledger, passwords
        self._attempts = Attempts()

    # For everybody

    def sign_in(self, name: str, password: str, source: str = "") -> Actor:
        """The person, if the password is right. Raises Refused: the same words for a wrong name and a wrong password.

        `source` tells apart where tries come from (an address), so that one who guesses delays only himself.
        """
        try:
            spelt = user_name(name)
        except InputError:
            spelt = ""  # it goes the same way, and takes as long, as any other name that nobody has
        user = self._judge(spelt, password, source)
        return Actor(spelt, user.roles)

    def sign(self, actor: Actor, password: str, record: Signed, source: str = "") -> Signed:
        """The record with the person's own signature, made with the key that only the password opens.

        Raises Refused where the gate does, or the password is wrong.
        """
        self._gate.permit(actor, f"write {type(record).__name__.lower()}", record.subject)
        self._judge(actor.name, password, source)
        sealed = self._sealed(actor.name)
        named = msgspec.structs.replace(record, signer=actor.name, public_key=sealed.public_key, signature="")
        return msgspec.structs.replace(named, signature=sealed.open(password, self._passwords).sign(named.signing_bytes()))

    def change_password(self, name: str, old: str, new: str, source: str = "") -> None:
        """A new password for the same key; the person gives the old one. All sessions of the person end."""
        spelt = user_name(name)
        check_worthy(new, name=spelt)
        self._judge(spelt, old, source)
        key = self._sealed(spelt).open(old, self._passwords)
        digest = self._passwords.hash(new)
        sealed = seal(key, owner=spelt, password=new, passwords=self._passwords)
        with self._store.writing() as db:
            db.execute(
                "UPDATE user SET password = ?, sealed_key = ? WHERE name = ?", (digest, msgspec.json.encode(sealed), spelt)
            )
            self._changed(db, PLATFORM, spelt, "changed the password")

    # For administrators

    def create_first_administrator(self, name: str, password: str, roles: frozenset[str] = frozenset({"administrator"})) -> User:
        """The very first user of a new platform, made where it is installed. Raises Conflict where there are users already."""
        if "administrator" not in roles:
            raise InputError(f"first user {name!r}: roles {', '.join(sorted(roles))}; wanted administrator among them")
        return self._create(PLATFORM, name, password, roles, first=True)

    def create(self, actor: Actor, name: str, password: str, roles: frozenset[str]) -> User:
        """A new user, with a key of his own. Raises Conflict where the name is taken."""
        self._gate.permit(actor, "manage users", name[:NAME_MOST])
        return self._create(actor, name, password, roles, first=False)

    def set_roles(self, actor: Actor, name: str, roles: frozenset[str]) -> User:
        """Other roles; they hold from the next request on."""
        spelt = self._manage(actor, name)
        known_roles(roles, of=spelt)
        with self._store.writing() as db:
            db.execute("UPDATE user SET roles = ? WHERE name = ?", (_spell(roles), spelt))
            _check_administered(db, spelt)
            self._changed(db, actor, spelt, f"roles are now {', '.join(sorted(roles))}", keep_sessions=True)
        return self.find(spelt)

    def disable(self, actor: Actor, name: str) -> User:
        """Let a person in no more; what was signed stays signed. Sessions end at once."""
        spelt = self._manage(actor, name)
        with self._store.writing() as db:
            db.execute("UPDATE user SET disabled = ? WHERE name = ? AND disabled IS NULL", (self._now(), spelt))
            _check_administered(db, spelt)
            self._changed(db, actor, spelt, "disabled")
        return self.find(spelt)

    def enable(self, actor: Actor, name: str) -> User:
        """Let a person in again."""
        spelt = self._manage(actor, name)
        with self._store.writing() as db:
            db.execute("UPDATE user SET disabled = NULL WHERE name = ?", (spelt,))
            self._changed(db, actor, spelt, "enabled")
        return self.find(spelt)

    def reset_password(self, actor: Actor, name: str, password: str) -> User:
        """A new password where the old one is lost. The old key is lost with it: the person gets a new one."""
        spelt = self._manage(actor, name)
        check_worthy(password, name=spelt)
        digest, sealed = self._passwords.hash(password), self._new_key(spelt, password)
        with self._store.writing() as db:
            db.execute(
                "UPDATE user SET password = ?, sealed_key = ? WHERE name = ?", (digest, msgspec.json.encode(sealed), spelt)
            )
            db.execute("INSERT INTO user_key VALUES (?, ?, ?)", (sealed.public_key, spelt, self._now()))
            self._changed(db, actor, spelt, f"password was set anew; the key is now {sealed.public_key}")
        self._attempts.succeeded(spelt, "")
        return self.find(spelt)

    def all(self, actor: Actor) -> tuple[User, ...]:
        """Everybody, by name."""
        self._gate.permit(actor, "manage users", "all users")
        with self._store.reading() as db:
            rows = db.execute("SELECT name, roles, sealed_key, created, disabled FROM user ORDER BY name").fetchall()
        return tuple(_user(row) for row in rows)

    # For the platform

    def find(self, name: str) -> User:
        """One user; raises NotFound."""
        user = self._user(user_name(name))
        if user is None:
            raise NotFound(f"users: nobody is called {name[:80]!r}")
        return user

    def count(self) -> int:
        """How many users there are; 0 asks for the first administrator."""
        with self._store.reading() as db:
            (count,) = db.execute("SELECT count(*) FROM user").fetchone()
        return int(count)

    def _now(self) -> str:
        return self._clock.now().astimezone(UTC).isoformat()

    def _judge(self, spelt: str, password: str, source: str) -> User:
        """The user, if the password is right and the person may come in."""
        self._attempts.begin(spelt, source, self._clock.now())
        try:
            with self._store.reading() as db:
                row = db.execute("SELECT password FROM user WHERE name = ? AND disabled IS NULL", (spelt,)).fetchone()
            fits = self._passwords.fits(None if row is None else row[0], password)
        except Unavailable:
            self._attempts.undo(spelt, source)
            raise
        user = self._user(spelt) if fits else None
        if user is None:
            raise Refused("sign-in: the name or the password is wrong; type both again, or ask an administrator")
        self._attempts.succeeded(spelt, source)
        return user

    def _user(self, spelt: str) -> User | None:
        with self._store.reading() as db:
            row = db.execute("SELECT name, roles, sealed_key, created, disabled FROM user WHERE name = ?", (spelt,)).fetchone()
        return None if row is None else _user(row)

    def _sealed(self, spelt: str) -> SealedKey:
        with self._store.reading() as db:
            row = db.execute("SELECT sealed_key FROM user WHERE name = ?", (spelt,)).fetchone()
        if row is None:
            raise NotFound(f"users: nobody is called {spelt!r}")
        return msgspec.json.decode(row[0], type=SealedKey)

    def _manage(self, actor: Actor, name: str) -> str:
        self._gate.permit(actor, "manage users", name[:NAME_MOST])
        return self.find(name).name

    def _new_key(self, spelt: str, password: str) -> SealedKey:
        return seal(SigningKey.new(), owner=spelt, password=password, passwords=self._passwords)

    def _create(self, actor: Actor, name: str, password: str, roles: frozenset[str], *, first: bool) -> User:
        spelt = user_name(name)
        if spelt in RESERVED:
            raise InputError(f"user name {spelt!r}: is the platform's own; wanted another than {', '.join(sorted(RESERVED))}")
        check_worthy(password, name=spelt)
        known_roles(roles, of=spelt)
        digest, sealed = self._passwords.hash(password), self._new_key(spelt, password)
        with self._store.writing() as db:
            (count,) = db.execute("SELECT count(*) FROM user").fetchone()
            if first and count:
                raise Conflict(f"users: there are {count} already; an administrator makes the next one")
            if db.execute("SELECT 1 FROM user WHERE name = ?", (spelt,)).fetchone() is not None:
                raise Conflict(f"users: {spelt!r} is taken; choose another name")
            now = self._now()
            db.execute(
                "INSERT INTO user VALUES (?, ?, ?, ?, ?, NULL)", (spelt, digest, _spell(roles), msgspec.json.encode(sealed), now)
            )
            db.execute("INSERT INTO user_key VALUES (?, ?, ?)", (sealed.public_key, spelt, now))
            self._changed(db, actor, spelt, f"was made; roles: {', '.join(sorted(roles))}; key: {sealed.public_key}")
        return self.find(spelt)

    def _changed(self, db: sqlite3.Connection, actor: Actor, spelt: str, what: str, *, keep_sessions: bool = False) -> None:
        """Write the note, and end the person's sessions."""
        self._ledger.append(actor, [Note(time=self._clock.now(), subject=f"user {spelt}", text=f"user {spelt}: {what}")])
        if not keep_sessions:
            db.execute("DELETE FROM session WHERE name = ?", (spelt,))


def _spell(roles: frozenset[str]) -> str:
    return " ".join(sorted(roles))


def _user(row: tuple[str, str, bytes, str, str | None]) -> User:
    name, roles, sealed, created, disabled = row
    key = msgspec.json.decode(sealed, type=SealedKey)
    ended = None if disabled is None else datetime.fromisoformat(disabled)
    return User(name, frozenset(roles.split()), key.public_key, datetime.fromisoformat(created), ended)


def _check_administered(db: sqlite3.Connection, spelt: str) -> None:
    """Return if somebody is left who can manage users; else raise Conflict, which undoes the change."""
    left = db.execute("SELECT roles FROM user WHERE disabled IS NULL").fetchall()
    if not any("administrator" in roles.split() for (roles,) in left):
        raise Conflict(f"users: {spelt} is the last administrator; make another one first")
