"""How the tables came to be: small steps with names, each run once, in a transaction with the row that says so."""

from __future__ import annotations

import msgspec


class Migration(msgspec.Struct, frozen=True):
    """One step. Its statements never change once it has been released; a change is a new step."""

    number: int
    name: str
    statements: tuple[str, ...]


_LEDGER = """
CREATE TABLE ledger (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, purpose TEXT NOT NULL, began TEXT NOT NULL)
"""
_ENTRY = """
CREATE TABLE entry (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, actor TEXT NOT NULL, written TEXT NOT NULL, record BLOB NOT NULL
)
"""
_TREE = "CREATE TABLE tree (position INTEGER PRIMARY KEY, hash BLOB NOT NULL)"
_HEAD = "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), head BLOB NOT NULL)"
_USER = """
CREATE TABLE user (
  name TEXT PRIMARY KEY, password TEXT NOT NULL, roles TEXT NOT NULL, sealed_key BLOB NOT NULL, created TEXT NOT NULL,
  disabled TEXT
)
"""
_USER_KEY = "CREATE TABLE user_key (public_key TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES user (name), since TEXT NOT NULL)"
_SESSION = """
CREATE TABLE session (
  digest TEXT PRIMARY KEY, name TEXT NOT NULL REFERENCES user (name), began TEXT NOT NULL, used TEXT NOT NULL
)
"""

_EDGE = "CREATE TABLE edge (name TEXT PRIMARY KEY, public_key TEXT NOT NULL, since TEXT NOT NULL, ended TEXT)"
_EDGE_REACHED = (
    "CREATE TABLE edge_reached (name TEXT NOT NULL, series TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (name, series))"
)

# No column here says when something came, from whom, or together with what; WITHOUT ROWID, so that the order of arrival is not kept either.
_EXPOSURE_KEY = """
CREATE TABLE exposure_key (
  key BLOB PRIMARY KEY, start INTEGER NOT NULL, period INTEGER NOT NULL, report INTEGER NOT NULL, onset INTEGER
) WITHOUT ROWID
"""
_EXPOSURE = (
    "CREATE TABLE exposure_code (digest TEXT PRIMARY KEY, purpose TEXT NOT NULL, expires TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE exposure_issued (day TEXT NOT NULL, actor TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (day, actor)) WITHOUT ROWID",
    _EXPOSURE_KEY,
    "CREATE TABLE exposure_notice (name BLOB NOT NULL, nonce BLOB NOT NULL, closed BLOB NOT NULL, PRIMARY KEY (name, nonce)) WITHOUT ROWID",
    "CREATE TABLE exposure_export (number INTEGER PRIMARY KEY, ends TEXT NOT NULL, keys BLOB NOT NULL, venues BLOB NOT NULL)",
    "CREATE TABLE exposure_appeal (id TEXT PRIMARY KEY, form BLOB NOT NULL, due TEXT NOT NULL, ruling BLOB) WITHOUT ROWID",
    "CREATE TABLE exposure_flow (day TEXT PRIMARY KEY, epsilon TEXT NOT NULL) WITHOUT ROWID",
)


def _never(table: str, change: str) -> str:
    """A trigger against our own mistakes; against an intruder stand the hashes."""
    return f"""
CREATE TRIGGER {table}_never_{change.lower()} BEFORE {change} ON {table}
BEGIN SELECT RAISE(ABORT, 'append-only: there is no {change} of {table}'); END
"""


MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "ledger", (_LEDGER, _ENTRY, _TREE, _HEAD, _never("entry", "UPDATE"), _never("entry", "DELETE"))),
    Migration(2, "users", (_USER, _USER_KEY, _never("user_key", "UPDATE"), _never("user_key", "DELETE"))),
    Migration(3, "sessions", (_SESSION,)),
    Migration(4, "edges", (_EDGE, _EDGE_REACHED)),
    Migration(5, "exposure", _EXPOSURE),
)
