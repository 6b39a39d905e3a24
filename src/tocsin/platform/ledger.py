"""The ledger at rest: entries in SQLite, their hashes in an RFC 6962 Merkle tree, its root signed with every append.

An entry is acknowledged when it, its hashes and the signed head are on disk, in one transaction. Nothing is ever changed:
a correction is a new record that names the old one as its cause.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import msgspec

from tocsin.host import Clock, Entry, Gate
from tocsin.platform.store.database import Store, open_store
from tocsin.platform.store.disk import KEY_NAME, read_node_key, write_node_key
from tocsin.security.actor import Actor
from tocsin.security.keys import SigningKey, fingerprint
from tocsin.security.merkle import Frontier, consistency_proof, inclusion_proof, leaf_hash, position
from tocsin.security.proof import (
    EntryProof,
    GrowthProof,
    TreeHead,
    check_signed,
    check_writable,
    entry_proof,
    growth_proof,
    is_batch,
    line_of,
    moment_text,
    record_name,
    signed_of,
)
from tocsin.vocabulary.errors import Conflict, InputError, NotFound, Refused
from tocsin.vocabulary.records import AnyRecord, Evidence, HardLimits, Note, Record, decode_record, encode_record

log = logging.getLogger(__name__)

PURPOSES = ("actual", "exercise", "demo")
RECORD_BYTES_MAX = 4 * 1024 * 1024
PAGE = 500
CHAIN_MOST = 1_000
_KINDS = get_args(AnyRecord)
LEDGER = Actor("ledger", frozenset({"system"}))


class ChainNode(msgspec.Struct, frozen=True):
    """A record, or a batch of readings (then `entry` is None), and how many steps it lies before the one that was asked for."""

    id: str
    depth: int
    entry: Entry | None


class Chain(msgspec.Struct, frozen=True):
    """What led to a record. An edge is (cause, effect); `complete` is false where the limit cut it short."""

    nodes: tuple[ChainNode, ...]
    edges: tuple[tuple[str, str], ...]
    complete: bool


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word that the node key is lost and a new one takes its place; `witness` is a head that was kept elsewhere."""

    by: str
    reason: str
    witness: TreeHead | None = None

    def __post_init__(self) -> None:
        if not (self.by.strip() and self.reason.strip()):
            raise InputError(f"new node key: by {self.by!r}, reason {self.reason!r}; wanted who accepts it and why")


def open_ledger(
    folder: Path,
    *,
    clock: Clock,
    gate: Gate,
    purpose: str | None = None,
    read_only: bool = False,
    new_key: NewKey | None = None,
) -> SqliteLedger:
    """Open the ledger of a data folder, and make it where there is none; then `purpose` has to say what it is for.

    `read_only` needs no lock and no node key: it can look while the platform runs. `new_key` goes on with a fresh node key where the
    old one is lost: all that is there is verified first, and the change is an entry. Raises Conflict where the old key is there.
    """
    store = open_store(folder, clock=clock, read_only=read_only)
    try:
        return SqliteLedger(store, clock=clock, gate=gate, purpose=purpose, new_key=new_key)
    except BaseException:
        store.close()
        raise


class SqliteLedger:
    """Append-only, safe for threads. Other processes may read the file meanwhile; one process writes it."""

    def __init__(self, store: Store, *, clock: Clock, gate: Gate, purpose: str | None, new_key: NewKey | None = None) -> None:
        if purpose is not None and purpose not in PURPOSES:
            raise InputError(f"{store.folder}: purpose {purpose!r}; wanted one of {', '.join(PURPOSES)}")
        self.store, self.gate = store, gate
        self._clock = clock
        self._frontier = Frontier()
        self._news = threading.Condition()
        self._size = 0
        self._untold: deque[tuple[Entry, ...]] = deque()
        self._telling = threading.Lock()
        self._subscribers: tuple[Callable[[tuple[Entry, ...]], None], ...] = ()
        with store.reading() as db:
            row = db.execute("SELECT id, purpose FROM ledger").fetchone()
        if row is None:
            row = self._begin(purpose)
        self.id, self.purpose = str(row[0]), str(row[1])
        if purpose not in (None, self.purpose):
            raise InputError(
                f"{store.folder}: the ledger is for {self.purpose!r}, not {purpose!r}; that is fixed: use another folder"
            )
        store.listen(self._tell)
        self._key: SigningKey | None = None
        self._trusted: str | None = None  # whose signature the newest head has to bear
        if store.read_only:
            key = read_node_key(store.folder)
        else:
            key = self._key = self._node_key() if new_key is None else self._take_new_key(new_key)
        self._trusted = None if key is None else key.public_key
        self._size = self.size()

    def _begin(self, purpose: str | None) -> tuple[str, str]:
        """A new ledger: its name, its purpose, its key and the signed head of nothing."""
        if self.store.read_only:
            raise NotFound(f"{self.store.folder}: has no ledger yet; start the platform on it once")
        if purpose is None:
            raise InputError(f"{self.store.folder}: a new ledger needs a purpose; wanted one of {', '.join(PURPOSES)}")
        key = read_node_key(self.store.folder)
        if key is None:
            key = SigningKey.new()
            write_node_key(self.store.folder, key)
        began = moment_text(self._clock.now())
        name = hashlib.sha256(msgspec.json.encode([purpose, began, key.public_key])).hexdigest()[:32]
        with self.store.writing() as db:
            db.execute("INSERT INTO ledger VALUES (1, ?, ?, ?)", (name, purpose, began))
            self._sign(db, TreeHead(name, purpose, 0, Frontier().root().hex(), self._clock.now(), key.public_key), key)
        return name, purpose

    def _node_key(self) -> SigningKey:
        """The key that signs heads. It has to be the one that signed the last head."""
        key, last = read_node_key(self.store.folder), self.tree_head()
        if key is not None and key.public_key == last.public_key:
            return key
        what = "is missing" if key is None else f"is another key ({fingerprint(key.public_key)})"
        raise InputError(
            f"{self.store.folder / KEY_NAME}: {what}; the ledger's heads are signed by {fingerprint(last.public_key)}: put that file back "
            f"from the backup; only if it is lost for good: tocsin ledger rekey {self.store.folder} (every proof will show the change)"
        )

    def _take_new_key(self, new: NewKey) -> SigningKey:
        """A fresh key in the place of the lost one: after all that is there was verified, and with an entry that says so."""
        key, last = read_node_key(self.store.folder), self.tree_head()
        if key is not None and key.public_key == last.public_key:
            raise Conflict(
                f"{self.store.folder / KEY_NAME}: is there, and the ledger's heads are signed by it ({fingerprint(key.public_key)}); "
                "nothing was changed: a new key is only for one that is lost"
            )
        entries = self.verify(new.witness)
        if key is None:
            key = SigningKey.new()
            write_node_key(self.store.folder, key)
        before, after = fingerprint(last.public_key), fingerprint(key.public_key)
        checked = f"{entries} entries verified first, " + ("against a witness" if new.witness else "without a witness")
        text = f"node key {before} was lost; {new.by} accepted {after}: {new.reason} ({checked})"
        self._key = key
        self.append(LEDGER, [Note(time=self._clock.now(), subject=KEY_NAME, text=text)])  # signs the head with the new key
        log.warning("node_key_changed", extra={"before": before, "after": after, "by": new.by})
        return key

    def _sign(self, db: sqlite3.Connection, head: TreeHead, key: SigningKey) -> None:
        """Sign the newest head and keep it in the place of the one before.

        Older heads are not kept here: one of them would make it easy to cut the ledger back to it. Who was given one has it.
        """
        head = msgspec.structs.replace(head, time=head.time.astimezone(UTC))
        head = msgspec.structs.replace(head, signature=key.sign(head.signing_bytes()))
        db.execute("INSERT OR REPLACE INTO head VALUES (1, ?)", (msgspec.json.encode(head),))

    # Writing

    def append(self, actor: Actor, records: Sequence[Record]) -> tuple[str, ...]:
        """Write all or none; return their ids when they are on disk. What is already there is not written twice.

        Raises Refused where the gate does for one of them, and InputError where a cause is not in the ledger, not earlier in
        `records`, and no batch of readings (`obs-` and its digest), or where a decision is not signed by who writes it.
        """
        named = [self._admit(actor, record) for record in records]
        if not named:
            return ()
        if self._key is None:
            raise Conflict(f"{self.store.path}: is opened for reading only")
        with self.store.writing() as db:
            new = self._new(db, named)
            if new:
                self._write(db, actor, new, self._key)
        return tuple(name for name, _, _ in named)

    def _admit(self, actor: Actor, record: Record) -> tuple[str, bytes, AnyRecord]:
        """The record with its name and its bytes, if this actor may write it."""
        if not isinstance(record, _KINDS):
            raise InputError(
                f"ledger: {type(record).__name__} is no kind of record; wanted one of {', '.join(k.__name__ for k in _KINDS)}"
            )
        self.gate.permit(actor, f"write {type(record).__name__.lower()}", record.subject)
        check_writable(record, actor.name, where=f"ledger: {type(record).__name__.lower()} about {record.subject}")
        row = encode_record(record)
        if len(row) > RECORD_BYTES_MAX:
            raise InputError(
                f"ledger: {type(record).__name__} about {record.subject} has {len(row):,} bytes; "
                f"wanted at most {RECORD_BYTES_MAX:,}"
            )
        decode_record(row)  # what cannot be read back, as where a field holds another type than it says, is not written
        return record_name(record, row), row, record

    def _new(self, db: sqlite3.Connection, named: Sequence[tuple[str, bytes, AnyRecord]]) -> list[tuple[str, bytes, AnyRecord]]:
        """Those that are not there yet, each once, with causes and keys that hold."""
        new: dict[str, tuple[str, bytes, AnyRecord]] = {}
        for name, row, record in named:
            if name in new or _number_of(db, name) is not None:
                continue
            for cause in record.cause:
                if not is_batch(cause) and cause not in new and _number_of(db, cause) is None:
                    raise InputError(
                        f"ledger: {name} about {record.subject} names the cause {cause[:80]!r}, which is not in the ledger; "
                        "write the cause first, or name a batch of readings as obs- and its digest"
                    )
            signed = signed_of(record)
            if signed is not None and not _is_key_of(db, str(signed.public_key), str(signed.signer)):
                raise Refused(f"ledger: the key of {name} is not one of {signed.signer!r}; sign in and sign with your own key")
            new[name] = (name, row, record)
        return list(new.values())

    def _write(self, db: sqlite3.Connection, actor: Actor, new: Sequence[tuple[str, bytes, AnyRecord]], key: SigningKey) -> None:
        frontier, moment = self._frontier_now(db), self._clock.now().astimezone(UTC)
        self._frontier = Frontier()  # until all of this is done there is none that could be trusted
        written = moment_text(moment)
        entries, lines, hashes = [], [], []
        at = position(0, frontier.size)
        for name, row, record in new:
            number = frontier.size + 1
            entries.append(Entry(number, name, actor.name, moment, record))
            lines.append((number, name, actor.name, written, row))
            for made in frontier.append(leaf_hash(line_of(number, name, actor.name, written, row))):
                hashes.append((at, made))
                at += 1
        db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", lines)
        db.executemany("INSERT INTO tree VALUES (?, ?)", hashes)
        self._sign(db, TreeHead(self.id, self.purpose, frontier.size, frontier.root().hex(), moment, key.public_key), key)
        self._frontier = frontier
        self.store.after_commit(lambda: self._committed(tuple(entries)))

    def _frontier_now(self, db: sqlite3.Connection) -> Frontier:
        """The tree's right edge as this transaction sees it: the one in memory, unless a rollback left it behind."""
        (size,) = db.execute("SELECT coalesce(max(number), 0) FROM entry").fetchone()
        if self._frontier.size == size:
            return self._frontier
        return Frontier.load(size, _nodes_of(db))

    # Hearing of it

    def _committed(self, entries: tuple[Entry, ...]) -> None:
        self._untold.append(entries)
        with self._news:
            self._size = entries[-1].number
            self._news.notify_all()

    def _tell(self) -> None:
        """Tell the subscribers, in the order of the entries; while one thread tells, others leave it to that one."""
        while self._untold and self._telling.acquire(blocking=False):
            try:
                while self._untold:
                    entries = self._untold.popleft()
                    for hear in self._subscribers:
                        try:
                            hear(entries)
                        except Exception:  # a listener's fault must neither undo an append that is on disk nor silence the others
                            log.exception("ledger_listener_failed", extra={"entries": len(entries)})
            finally:
                self._telling.release()

    def subscribe(self, hear: Callable[[tuple[Entry, ...]], None]) -> Callable[[], None]:
        """Call `hear` with the new entries after each commit, in order, in some writer's thread; the answer ends it."""
        with self._news:
            self._subscribers = (*self._subscribers, hear)

        def end() -> None:
            with self._news:
                self._subscribers = tuple(other for other in self._subscribers if other is not hear)

        return end

    def wait(self, after: int, timeout_s: float) -> int:
        """Sleep until there are entries after number `after`, at most `timeout_s`; return how many there are."""
        with self._news:
            self._news.wait_for(lambda: self._size > after, timeout_s)
            return self._size

    # Reading

    def read(self, after: int = 0) -> Iterator[Entry]:
        """Entries in order, from number `after` + 1 on, a page at a time; it holds nothing open between pages."""
        while True:
            with self.store.reading() as db:
                rows = db.execute("SELECT * FROM entry WHERE number > ? ORDER BY number LIMIT ?", (after, PAGE)).fetchall()
            for row in rows:
                yield _entry(row)
            if len(rows) < PAGE:
                return
            after = rows[-1][0]

    def find(self, record_id: str) -> Entry:
        """One entry by its record's id; raises NotFound."""
        with self.store.reading() as db:
            row = db.execute("SELECT * FROM entry WHERE id = ?", (record_id,)).fetchone()
        if row is None:
            raise NotFound(f"ledger: no record {record_id[:80]!r} among {self.size()} entries")
        return _entry(row)

    def size(self) -> int:
        """How many entries there are."""
        with self.store.reading() as db:
            (size,) = db.execute("SELECT coalesce(max(number), 0) FROM entry").fetchone()
        return int(size)

    def chain(self, record_id: str, limit: int = CHAIN_MOST) -> Chain:
        """What led to a record, breadth first, down to the batches of readings; at most `limit` nodes."""
        nodes = {record_id: ChainNode(record_id, 0, self.find(record_id))}
        edges: dict[tuple[str, str], None] = {}
        waiting, complete = deque([record_id]), True
        with self.store.reading() as db:
            while waiting:
                effect = nodes[waiting.popleft()]
                if effect.entry is None:
                    continue
                for cause in _causes(effect.entry.record):
                    if cause not in nodes:
                        if len(nodes) >= limit:
                            complete = False
                            continue
                        row = db.execute("SELECT * FROM entry WHERE id = ?", (cause,)).fetchone()
                        nodes[cause] = ChainNode(cause, effect.depth + 1, None if row is None else _entry(row))
                        waiting.append(cause)
                    edges[cause, effect.id] = None
        return Chain(tuple(nodes.values()), tuple(edges), complete)

    # Proving

    def tree_head(self) -> TreeHead:
        """The newest signed head: publish it, and nobody can rewrite what it speaks of unseen."""
        with self.store.reading() as db:
            return _newest_head(db)

    def inclusion_proof(self, number: int, size: int | None = None) -> tuple[bytes, ...]:
        """The path from entry `number` (from 1) to the root of the first `size` entries, or of all."""
        with self.store.reading() as db:
            return inclusion_proof(number - 1, self._size_in(db, size), _nodes_of(db))

    def consistency_proof(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """What shows that the first `old_size` entries are still as they were among the first `new_size`, or all."""
        with self.store.reading() as db:
            return consistency_proof(old_size, self._size_in(db, new_size), _nodes_of(db))

    def _size_in(self, db: sqlite3.Connection, size: int | None) -> int:
        newest = _newest_head(db).size
        if size is not None and size > newest:
            raise InputError(f"ledger: a proof for {size} entries was asked for; there are {newest}")
        return newest if size is None else size

    def prove(self, record_id: str) -> EntryProof:
        """A document with which anybody can check that this record is in the ledger; `tocsin.security.check_entry` does."""
        with self.store.reading() as db:
            row = db.execute("SELECT * FROM entry WHERE id = ?", (record_id,)).fetchone()
            if row is None:
                raise NotFound(f"ledger: no record {record_id[:80]!r}; nothing to prove")
            head = _newest_head(db)
            return entry_proof(line_of(*row), inclusion_proof(row[0] - 1, head.size, _nodes_of(db)), head)

    def prove_growth(self, old: TreeHead) -> GrowthProof:
        """A document that shows that the ledger still begins with all that an older head spoke of; `check_growth` checks it."""
        with self.store.reading() as db:
            head = _newest_head(db)
            if old.ledger != self.id or old.size > head.size:
                raise InputError(
                    f"ledger {self.id} of {head.size} entries: the older head is of ledger {old.ledger} with {old.size}; "
                    "it is another ledger, or the tail of this one was cut off"
                )
            return growth_proof(old, head, consistency_proof(old.size, head.size, _nodes_of(db)))

    def verify(self, witness: TreeHead | None = None) -> int:
        """Recompute every hash, link and signature; return how many entries hold, or raise InputError at the first that does not.

        `witness` is a head that was kept elsewhere: with it, even somebody who had the node key cannot have rewritten what it
        spoke of.
        """
        with self.store.reading() as db:
            (sound,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if sound != "ok":
                raise InputError(f"ledger: the database file is damaged: {sound}; put the last backup back")
            head = self._checked_head(db, witness)
            frontier = Frontier()
            stored = db.execute("SELECT position, hash FROM tree ORDER BY position")
            for row in db.execute("SELECT * FROM entry ORDER BY number"):
                at = position(0, frontier.size)
                made = frontier.append(_checked_line(db, row, frontier.size + 1))
                if [stored.fetchone() for _ in made] != list(enumerate(made, at)):
                    raise InputError(
                        f"ledger: entry {frontier.size} ({row[1]}): its line (number, actor, time or record) is not the one "
                        "that was written: the tree holds another hash"
                    )
                if witness is not None and witness.size == frontier.size and witness.root_bytes() != frontier.root():
                    raise InputError(
                        f"ledger: the first {witness.size} entries are not those that the witness of {witness.time} saw"
                    )
            if frontier.size != head.size or stored.fetchone() is not None:
                what = "the tail was cut off" if frontier.size < head.size else "something was put in behind it"
                raise InputError(
                    f"ledger: the head signed at {head.time} speaks of {head.size} entries; {frontier.size} are there: {what}"
                )
            if frontier.root() != head.root_bytes():
                raise InputError(
                    f"ledger: the {head.size} entries are not those whose root was signed at {head.time}: something was rewritten"
                )
        return frontier.size

    def _checked_head(self, db: sqlite3.Connection, witness: TreeHead | None) -> TreeHead:
        """The newest head, if this node signed it, for this ledger, and it is no older than what the witness saw."""
        head = _newest_head(db)
        if not head.is_signed():
            raise InputError(f"ledger: the head of {head.size} entries: its signature does not hold: it was changed")
        if (head.ledger, head.purpose) != (self.id, self.purpose):
            raise InputError(f"ledger: the head is of ledger {head.ledger} ({head.purpose}); wanted {self.id} ({self.purpose})")
        if self._trusted is not None and head.public_key != self._trusted:
            raise InputError(
                f"ledger: the head of {head.size} entries is signed by {fingerprint(head.public_key)}, not by this node's key "
                f"{fingerprint(self._trusted)}"
            )
        if witness is not None:
            if not witness.is_signed() or witness.ledger != self.id:
                raise InputError(
                    f"witness: is no signed head of ledger {self.id}; wanted what `tocsin ledger head` printed for it"
                )
            if witness.size > head.size:
                raise InputError(
                    f"ledger: the witness of {witness.time} saw {witness.size} entries, {head.size} are there: cut off"
                )
        return head

    def close(self) -> None:
        """Close the file and let another process write it."""
        self.store.close()


def _entry(row: tuple[int, str, str, str, bytes]) -> Entry:
    number, name, actor, written, record = row
    return Entry(number, name, actor, msgspec.convert(written, datetime), decode_record(record))


def _causes(record: AnyRecord) -> tuple[str, ...]:
    """The records and batches of readings that a record names."""
    batches = record.batch if isinstance(record, Evidence) else ()
    return (*record.cause, *(batch if batch.startswith("obs-") else f"obs-{batch}" for batch in batches))


def _number_of(db: sqlite3.Connection, record_id: str) -> int | None:
    row = db.execute("SELECT number FROM entry WHERE id = ?", (record_id,)).fetchone()
    return None if row is None else int(row[0])


def _is_key_of(db: sqlite3.Connection, public_key: str, name: str) -> bool:
    return db.execute("SELECT 1 FROM user_key WHERE public_key = ? AND name = ?", (public_key, name)).fetchone() is not None


def _nodes_of(db: sqlite3.Connection) -> Callable[[int, int], bytes]:
    def node(level: int, place: int) -> bytes:
        row = db.execute("SELECT hash FROM tree WHERE position = ?", (position(level, place),)).fetchone()
        if row is None:
            raise InputError(
                f"ledger: the tree has no hash for its node ({level}, {place}): it was damaged; `tocsin ledger verify` says where"
            )
        return bytes(row[0])

    return node


def _newest_head(db: sqlite3.Connection) -> TreeHead:
    row = db.execute("SELECT head FROM head").fetchone()
    if row is None:
        raise InputError("ledger: has no signed head: it was removed")
    try:
        return msgspec.json.decode(row[0], type=TreeHead)
    except (msgspec.MsgspecError, UnicodeError) as fault:
        raise InputError(f"ledger: the signed head cannot be read: {fault}: it was changed") from fault


def _checked_line(db: sqlite3.Connection, row: tuple[int, str, str, str, bytes], wanted: int) -> bytes:
    """The hash of an entry's line, if the entry is the next one, says what its name says, and its causes come before it."""
    number, name, actor, written, raw = row
    if number != wanted:
        raise InputError(f"ledger: entry {wanted} is missing: after {wanted - 1} comes {number}")
    where = f"ledger: entry {number} ({name})"
    if [type(value) for value in row] != [int, str, str, str, bytes]:
        raise InputError(f"{where}: its record was changed: the columns hold {', '.join(type(value).__name__ for value in row)}")
    try:
        record = decode_record(raw)
        line = line_of(number, name, actor, written, raw)
    except (InputError, UnicodeError) as fault:
        raise InputError(f"{where}: its record was changed: {fault}") from fault
    found = record_name(record, raw)
    if found != name:
        raise InputError(f"{where}: its record was changed: what it says now is {found}")
    for cause in record.cause:
        before = _number_of(db, cause)
        if not is_batch(cause) and (before is None or before >= number):
            raise InputError(f"{where}: its cause {cause[:80]} does not come before it")
    if (signed := signed_of(record)) is not None:
        check_signed(signed, actor, where=where)
        if not _is_key_of(db, str(signed.public_key), str(signed.signer)):
            raise InputError(f"{where}: is signed by a key that never was {signed.signer!r}'s")
    elif isinstance(record, HardLimits) and _limits_were_signed(db, number):
        raise InputError(
            f"{where}: bears no signature, though hard limits before it do: somebody took it off, or wrote it past the gate"
        )
    return leaf_hash(line)


def _limits_were_signed(db: sqlite3.Connection, number: int) -> bool:
    """True if hard limits before this entry are signed; from then on all are."""
    rows = db.execute("SELECT record FROM entry WHERE number < ? AND id LIKE 'hardlimits-%'", (number,))
    return any(signed_of(decode_record(raw)) is not None for (raw,) in rows)
