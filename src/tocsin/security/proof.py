"""Documents that an outsider checks with nothing but a public key: a tree head, an entry in it, and its growth.

A tree head is the ledger's whole state in one line. Whoever keeps one can later tell whether what it spoke of was rewritten.
All functions here are pure: they read no ledger, no disk and no clock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec import UNSET

from tocsin.security.keys import fingerprint, signature_holds
from tocsin.security.merkle import HASH_BYTES, consistency_holds, inclusion_holds, leaf_hash
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.records import AnyRecord, Decision, HardLimits, PlanEvent, Record, decode_record

ENTRY_FORMAT = "tocsin-entry-proof/1"
GROWTH_FORMAT = "tocsin-growth-proof/1"
_HEAD_PREFIX = b"tocsin tree head 1\n"
_BATCH = re.compile(r"obs-[0-9a-f]{64}")
PATH_MOST = 64
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024


class TreeHead(msgspec.Struct, frozen=True):
    """How long a ledger was at a moment, and the root over all its entries; `signature` is Ed25519 by the platform's node key.

    `ledger` and `purpose` (actual, exercise or demo) are signed too: an exercise cannot be passed off as the real thing.
    """

    ledger: str
    purpose: str
    size: int
    root: str
    time: datetime
    public_key: str
    signature: str = ""

    def signing_bytes(self) -> bytes:
        """What is signed: the head without its signature, after a prefix that no other signed thing has."""
        return _HEAD_PREFIX + msgspec.json.encode(msgspec.structs.replace(self, signature=""), order="deterministic")

    def is_signed(self) -> bool:
        """True if the key that it names signed it; whether that is the right key is another question."""
        return signature_holds(self.public_key, self.signature, self.signing_bytes())

    def root_bytes(self) -> bytes:
        """The root; raises InputError where it is no hash."""
        return _hash(self.root, "root of the tree head")


class EntryProof(msgspec.Struct, frozen=True):
    """An entry of a ledger and the path from it to a signed head. `line` is the exact text that is hashed."""

    format: str
    line: str
    path: tuple[str, ...]
    head: TreeHead


class GrowthProof(msgspec.Struct, frozen=True):
    """Two heads of one ledger, and the path that shows that the newer one begins with all of the older one."""

    format: str
    old: TreeHead
    new: TreeHead
    path: tuple[str, ...]


P = TypeVar("P", EntryProof, GrowthProof)
Signed = Decision | PlanEvent | HardLimits


class CheckedEntry(msgspec.Struct, frozen=True):
    """What a proof shows: this actor wrote this record as this entry, before the head was signed.

    `key_is_given` is false where the checker named no key: then compare `key_fingerprint` with what its owners say elsewhere.
    """

    ledger: str
    purpose: str
    number: int
    id: str
    actor: str
    written: datetime
    record: AnyRecord
    entries: int
    signed: datetime
    key_fingerprint: str
    key_is_given: bool


class CheckedGrowth(msgspec.Struct, frozen=True):
    """What a growth proof shows: nothing of the first `old_entries` was changed or removed on the way to `new_entries`."""

    ledger: str
    purpose: str
    old_entries: int
    new_entries: int
    old_signed: datetime
    new_signed: datetime
    old_key_fingerprint: str
    key_fingerprint: str
    key_is_given: bool


def record_name(record: AnyRecord, row: bytes) -> str:
    """The name of a record that is stored as `row`: over the bytes as they are, so that no later version can change it."""
    return f"{type(record).__name__.lower()}-{hashlib.sha256(row).hexdigest()[:32]}"


def is_batch(cause: str) -> bool:
    """True if a cause is a batch of readings, which the spool keeps and the ledger only names: `obs-` and its SHA-256."""
    return _BATCH.fullmatch(cause) is not None


def moment_text(moment: datetime) -> str:
    """A moment as the ledger spells it: UTC, RFC 3339."""
    return str(msgspec.to_builtins(moment.astimezone(UTC)))


def line_of(number: int, record_id: str, actor: str, written: str, record: bytes) -> bytes:
    """The exact bytes of an entry that are hashed: `[number,"id","actor","written",{record}]`, JSON without spaces."""
    return msgspec.json.encode([number, record_id, actor, written, msgspec.Raw(record)])


def entry_proof(line: bytes, path: Sequence[bytes], head: TreeHead) -> EntryProof:
    """The document for an entry."""
    return EntryProof(ENTRY_FORMAT, line.decode(), tuple(step.hex() for step in path), head)


def growth_proof(old: TreeHead, new: TreeHead, path: Sequence[bytes]) -> GrowthProof:
    """The document for two heads."""
    return GrowthProof(GROWTH_FORMAT, old, new, tuple(step.hex() for step in path))


def check_entry(document: bytes | str | EntryProof, *, key: str | None = None) -> CheckedEntry:
    """Check an entry's proof; `key` is the node's public key in hexadecimal, or its fingerprint.

    Raises InputError where it does not hold.
    """
    proof = document if isinstance(document, EntryProof) else _read(document, EntryProof, ENTRY_FORMAT)
    head = proof.head
    _check_head(head, key)
    row = proof.line.encode("utf-8", "surrogatepass")
    try:
        number, record_id, actor, written, raw = msgspec.json.decode(row, type=tuple[int, str, str, datetime, msgspec.Raw])
    except msgspec.MsgspecError as fault:
        raise InputError(f"proof: the line is no entry: {fault}; it starts with {proof.line[:60]!r}") from fault
    leads = inclusion_holds(
        leaf=leaf_hash(row), index=number - 1, size=head.size, path=_hashes(proof.path), root=head.root_bytes()
    )
    if not leads:
        raise InputError(f"proof: the path does not lead from entry {number} to the root of {head.size} entries: it was changed")
    record = decode_record(bytes(raw))
    if record_name(record, bytes(raw)) != record_id:
        raise InputError(f"proof: entry {number} says {record_id}, but its record is {record_name(record, bytes(raw))}")
    if (signed := signed_of(record)) is not None:
        check_signed(signed, actor, where=f"proof: entry {number}")
    return CheckedEntry(
        ledger=head.ledger,
        purpose=head.purpose,
        number=number,
        id=record_id,
        actor=actor,
        written=written,
        record=record,
        entries=head.size,
        signed=head.time,
        key_fingerprint=fingerprint(head.public_key),
        key_is_given=key is not None,
    )


def check_growth(document: bytes | str | GrowthProof, *, key: str | None = None) -> CheckedGrowth:
    """Check that the newer head begins with all of the older one. Raises InputError where it does not hold."""
    proof = document if isinstance(document, GrowthProof) else _read(document, GrowthProof, GROWTH_FORMAT)
    old, new = proof.old, proof.new
    _check_head(new, key)
    _check_head(old, None)
    if (old.ledger, old.purpose) != (new.ledger, new.purpose):
        raise InputError(f"proof: the heads are of two ledgers: {old.ledger} ({old.purpose}) and {new.ledger} ({new.purpose})")
    grown = consistency_holds(
        old=old.size, new=new.size, old_root=old.root_bytes(), new_root=new.root_bytes(), path=_hashes(proof.path)
    )
    if not grown:
        raise InputError(
            f"proof: the ledger of {new.size} entries does not begin with the {old.size} of {old.time}: it was rewritten"
        )
    return CheckedGrowth(
        ledger=new.ledger,
        purpose=new.purpose,
        old_entries=old.size,
        new_entries=new.size,
        old_signed=old.time,
        new_signed=new.time,
        old_key_fingerprint=fingerprint(old.public_key),
        key_fingerprint=fingerprint(new.public_key),
        key_is_given=key is not None,
    )


def signed_of(record: AnyRecord) -> Signed | None:
    """The record, where it bears a person's signature: each decision, what a person said of a plan that is carried out, hard limits.

    Hard limits of before they were signed bear none, and are read as they are.
    """
    if isinstance(record, Decision) or (isinstance(record, PlanEvent | HardLimits) and record.signature is not UNSET):
        return record
    return None


def check_writable(record: Record, actor: str, *, where: str) -> None:
    """Return if a new record bears the signature that its kind needs, and that holds; else raise InputError."""
    if isinstance(record, HardLimits) and record.signature is UNSET:
        raise InputError(f"{where}: is not signed; wanted the signature of {actor}, made with the key that the password opens")
    if isinstance(record, Decision | PlanEvent | HardLimits) and (signed := signed_of(record)) is not None:
        check_signed(signed, actor, where=where)


def check_signed(record: Signed, actor: str, *, where: str) -> None:
    """Return if the record is signed by the key that it names, in the name of who wrote it; else raise InputError."""
    what = type(record).__name__.lower()
    if record.signer != actor:
        raise InputError(f"{where}: a {what} signed by {record.signer!r} was written by {actor!r}; wanted the same person")
    if not signature_holds(str(record.public_key), str(record.signature), record.signing_bytes()):
        raise InputError(f"{where}: the signature of {record.signer!r} does not hold: the {what} is not what was signed")


def _check_head(head: TreeHead, key: str | None) -> None:
    if not head.is_signed():
        raise InputError(f"tree head of {head.size} entries: the signature does not hold: it was changed, or is none of Tocsin")
    if key is not None and key.strip().lower() not in (head.public_key, fingerprint(head.public_key)):
        raise InputError(f"tree head of {head.size} entries: signed by {fingerprint(head.public_key)}; wanted {key}")


def _read(document: bytes | str, kind: type[P], wanted: str) -> P:
    if len(document) > DOCUMENT_BYTES_MAX:
        raise InputError(f"proof: {len(document):,} bytes; wanted at most {DOCUMENT_BYTES_MAX:,}")
    try:
        proof = msgspec.json.decode(document, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as fault:
        raise InputError(f"proof: {fault}; wanted a document of the form {wanted}") from fault
    if proof.format != wanted:
        raise InputError(f"proof: has the form {proof.format!r}; wanted {wanted!r}")
    return proof


def read_head(document: bytes | str) -> TreeHead:
    """A tree head from its JSON; raises InputError where it is none or its signature does not hold."""
    try:
        head = msgspec.json.decode(document, type=TreeHead)
    except (msgspec.MsgspecError, UnicodeError) as fault:
        raise InputError(f"tree head: {fault}; wanted what `tocsin ledger head` prints") from fault
    _check_head(head, None)
    return head


def _hash(text: str, what: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError as fault:
        raise InputError(f"{what}: {text[:80]!r} is not hexadecimal") from fault
    if len(value) != HASH_BYTES:
        raise InputError(f"{what}: {len(value)} bytes; wanted {HASH_BYTES}")
    return value


def _hashes(texts: Sequence[str]) -> tuple[bytes, ...]:
    if len(texts) > PATH_MOST:
        raise InputError(f"proof: a path of {len(texts)} steps; wanted at most {PATH_MOST}")
    return tuple(_hash(text, "path") for text in texts)
