"""The nodes at the edge that may send: their names, their public keys, and how much of each is here."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from tocsin.host import Clock, Gate, Ledger
from tocsin.platform.store.database import Store
from tocsin.security.actor import Actor
from tocsin.security.keys import KEY_BYTES, fingerprint
from tocsin.vocabulary.errors import Conflict, InputError, NotFound
from tocsin.vocabulary.records import Note

NAME_MOST = 64


class EdgeNode(msgspec.Struct, frozen=True):
    """A node that may send, or once did: `ended` says since when it may not."""

    name: str
    public_key: str
    since: datetime
    ended: datetime | None


def edge_name(name: str) -> str:
    """A node's name, if it is one; raises InputError.

    >>> edge_name("weir-house.2")
    'weir-house.2'
    """
    if not 0 < len(name) <= NAME_MOST or not all(c.isascii() and (c.isalnum() or c in "._-") for c in name):
        raise InputError(f"node name {name[:80]!r}: wanted 1 to {NAME_MOST} letters, digits and . _ -")
    return name


class Edges:
    """Safe for threads. What is done to a node is a note in the ledger, in the same transaction."""

    def __init__(self, store: Store, *, clock: Clock, gate: Gate, ledger: Ledger) -> None:
        self._store, self._clock, self._gate, self._ledger = store, clock, gate, ledger

    def enrol(self, actor: Actor, name: str, public_key: str) -> EdgeNode:
        """Let a node send, with this key; a new key takes the place of the old one. Raises Conflict where another node has it."""
        self._gate.permit(actor, "manage users", f"edge {name[:NAME_MOST]}")
        spelt = edge_name(name)
        try:
            key = bytes.fromhex(public_key.strip())
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise InputError(
                f"key of edge {spelt}: {public_key[:80]!r}; wanted {KEY_BYTES} bytes in hexadecimal, see `edge keys`"
            )
        now = self._clock.now().astimezone(UTC).isoformat()
        with self._store.writing() as db:
            other = db.execute("SELECT name FROM edge WHERE public_key = ? AND name <> ?", (key.hex(), spelt)).fetchone()
            if other is not None:
                raise Conflict(f"key of edge {spelt}: is that of {other[0]}; each node has a key of its own")
            db.execute("INSERT OR REPLACE INTO edge VALUES (?, ?, ?, NULL)", (spelt, key.hex(), now))
            self._note(actor, spelt, f"may send, with the key {fingerprint(key.hex())}")
        return self.find(spelt)

    def dismiss(self, actor: Actor, name: str) -> EdgeNode:
        """Take nothing more from a node; what it sent stays."""
        self._gate.permit(actor, "manage users", f"edge {name[:NAME_MOST]}")
        node = self.find(name)
        with self._store.writing() as db:
            now = self._clock.now().astimezone(UTC).isoformat()
            db.execute("UPDATE edge SET ended = ? WHERE name = ? AND ended IS NULL", (now, node.name))
            self._note(actor, node.name, "may not send any more")
        return self.find(name)

    def _note(self, actor: Actor, name: str, words: str) -> None:
        note = Note(time=self._clock.now().astimezone(UTC), subject=f"edge {name}", text=f"{name}: {words} ({actor.name})")
        self._ledger.append(actor, [note])

    def find(self, name: str) -> EdgeNode:
        """One node; raises NotFound."""
        with self._store.reading() as db:
            row = db.execute("SELECT name, public_key, since, ended FROM edge WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NotFound(f"edge: no node {name[:80]!r} was enrolled here; `tocsin edge enrol` does it")
        return _node(row)

    def all(self, actor: Actor) -> tuple[EdgeNode, ...]:
        """Every node, by name."""
        self._gate.permit(actor, "read situation", "all edge nodes")
        with self._store.reading() as db:
            rows = db.execute("SELECT name, public_key, since, ended FROM edge ORDER BY name").fetchall()
        return tuple(_node(row) for row in rows)

    def reached(self, name: str, series: str) -> int:
        """The last number of this series that is here."""
        with self._store.reading() as db:
            row = db.execute("SELECT number FROM edge_reached WHERE name = ? AND series = ?", (name, series)).fetchone()
        return 0 if row is None else int(row[0])

    def reach(self, name: str, series: str, number: int) -> None:
        """Keep that all up to this number is here; inside a transaction it is a part of it."""
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO edge_reached VALUES (?, ?, ?) ON CONFLICT (name, series) DO UPDATE SET number = excluded.number",
                (name, series, number),
            )


def _node(row: tuple[str, str, str, str | None]) -> EdgeNode:
    name, key, since, ended = row
    return EdgeNode(name, key, datetime.fromisoformat(since), None if ended is None else datetime.fromisoformat(ended))
