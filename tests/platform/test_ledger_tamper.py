"""Whoever changes the ledger's file is found out, and the error says where."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tocsin.host import VirtualClock
from tocsin.platform.ledger import open_ledger
from tocsin.platform.store import open_users
from tocsin.security import RoleGate, SigningKey, TreeHead
from tocsin.security.merkle import Frontier, leaf_hash
from tocsin.security.passwords import Cost, Passwords
from tocsin.security.proof import line_of
from tocsin.testing.ledger_promises import NOON, SYSTEM, decision, hard_limits, note, warned
from tocsin.vocabulary import HardLimits, InputError, encode_record, record_id

PASSWORD = "correct horse battery"
ENTRIES = 14  # a note about the user, a decision, a warning with its evidence, ten notes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that holds, closed."""
    folder = tmp_path_factory.mktemp("whole") / "data"
    clock, gate = VirtualClock(NOON), RoleGate()
    ledger = open_ledger(folder, clock=clock, gate=gate, purpose="actual")
    passwords = Passwords(Cost(passes=5, memory_kib=7 * 1024, lanes=1))
    users = open_users(ledger.store, clock=clock, gate=gate, ledger=ledger, passwords=passwords)
    users.create_first_administrator("ada", PASSWORD, frozenset({"administrator", "commander"}))
    ada = users.sign_in("ada", PASSWORD)
    ledger.append(ada, [users.sign(ada, PASSWORD, decision(SigningKey.new()))])
    ledger.append(SYSTEM, warned())
    for k in range(10):
        ledger.append(SYSTEM, [note(str(k), *([record_id(warned()[1])] if k == 0 else []))])
    assert ledger.verify() == ENTRIES
    ledger.close()
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def verify(folder: Path, witness: TreeHead | None = None) -> int:
    ledger = open_ledger(folder, clock=VirtualClock(NOON), gate=RoleGate(), read_only=True)
    try:
        return ledger.verify(witness)
    finally:
        ledger.close()


def change(folder: Path, *statements: str | tuple[str, tuple[object, ...]]) -> None:
    """What somebody with the file and SQLite can do."""
    db = sqlite3.connect(folder / "tocsin.db", isolation_level=None)
    for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        if isinstance(statement, str):
            db.execute(statement)
        else:
            db.execute(*statement)
    db.close()


def head_of(folder: Path) -> TreeHead:
    with sqlite3.connect(folder / "tocsin.db") as db:
        return msgspec.json.decode(db.execute("SELECT head FROM head").fetchone()[0], type=TreeHead)


def rebuild(folder: Path, key: SigningKey, **other: object) -> None:
    """Compute the whole tree anew and sign it: what somebody can do who has a key, and knows Tocsin well."""
    db = sqlite3.connect(folder / "tocsin.db")
    frontier, nodes = Frontier(), list[bytes]()
    for row in db.execute("SELECT * FROM entry ORDER BY number"):
        nodes += frontier.append(leaf_hash(line_of(*row)))
    db.execute("DELETE FROM tree")
    db.executemany("INSERT INTO tree VALUES (?, ?)", list(enumerate(nodes)))
    told = {"size": frontier.size, "root": frontier.root().hex(), "public_key": key.public_key, "signature": ""} | other
    head = msgspec.structs.replace(head_of(folder), **told)
    head = msgspec.structs.replace(head, signature=key.sign(head.signing_bytes()))
    db.execute("UPDATE head SET head = ?", (msgspec.json.encode(head),))
    db.commit()
    db.close()


def node_key(folder: Path) -> SigningKey:
    return SigningKey.from_pem((folder / "node.key").read_bytes(), where="node.key")


def test_an_untouched_copy_holds(copy: Path) -> None:
    assert verify(copy) == ENTRIES


NOTE_LINE = encode_record(note("another"))
TAMPERINGS: dict[str, tuple[str, list[str | tuple[str, tuple[object, ...]]]]] = {
    "a letter of a record": (
        r"entry 9 \(note-.*record was changed",
        ["UPDATE entry SET record = CAST(replace(CAST(record AS TEXT), 'test', 'test!') AS BLOB) WHERE number = 9"],
    ),
    "a record that is no JSON": (r"entry 9 .*record was changed", ["UPDATE entry SET record = x'00ff' WHERE number = 9"]),
    "a record that is text": (
        "entry 9 .*the columns hold int, str, str, str, str",
        ["UPDATE entry SET record = replace(CAST(record AS TEXT), 'test', 'x') WHERE number = 9"],
    ),
    "a record with a name that fits": (
        "entry 9 .*its line",
        [("UPDATE entry SET record = ?, id = ? WHERE number = 9", (NOTE_LINE, record_id(note("another"))))],
    ),
    "who wrote it": ("entry 9 .*its line", ["UPDATE entry SET actor = 'eve' WHERE number = 9"]),
    "who decided": ("entry 2 .*written by 'bob'", ["UPDATE entry SET actor = 'bob' WHERE number = 2"]),
    "when it was written": ("entry 9 .*its line", ["UPDATE entry SET written = '2026-05-03T11:00:00Z' WHERE number = 9"]),
    "the number of an entry": ("entry 9 is missing: after 8 comes 10", ["UPDATE entry SET number = 99 WHERE number = 9"]),
    "a row taken out of the middle": ("entry 9 is missing: after 8 comes 10", ["DELETE FROM entry WHERE number = 9"]),
    "the first row taken out": ("entry 1 is missing", ["DELETE FROM entry WHERE number = 1"]),
    "a name that is no text": (r"damaged", ["UPDATE entry SET actor = CAST(x'ff' AS TEXT) WHERE number = 9"]),
    "two rows swapped": (
        "entry 9 .*its line",
        [
            "UPDATE entry SET number = -1 WHERE number = 9",
            "UPDATE entry SET number = 9 WHERE number = 10",
            "UPDATE entry SET number = 10 WHERE number = -1",
        ],
    ),
    "a cause after its effect": (
        "entry 3 .*its cause evidence-.* does not come before it",
        [
            "UPDATE entry SET number = -1 WHERE number = 3",
            "UPDATE entry SET number = 3 WHERE number = 4",
            "UPDATE entry SET number = 4 WHERE number = -1",
        ],
    ),
    "the tail cut off": ("speaks of 14 entries; 12 are there: the tail was cut off", ["DELETE FROM entry WHERE number > 12"]),
    "the tail cut off with its hashes": (
        "speaks of 14 entries; 12 are there: the tail was cut off",
        ["DELETE FROM entry WHERE number > 12", "DELETE FROM tree WHERE position >= 22"],
    ),
    "everything taken out": ("speaks of 14 entries; 0 are there", ["DELETE FROM entry", "DELETE FROM tree"]),
    "an entry put in behind": (
        "entry 15 .*its line",
        [("INSERT INTO entry VALUES (15, ?, 'eve', '2026-05-03T12:00:00Z', ?)", (record_id(note("another")), NOTE_LINE))],
    ),
    "a hash put in behind": ("something was put in behind", ["INSERT INTO tree VALUES (1000, x'00')"]),
    "a hash of the tree": ("entry 9 .*another hash", ["UPDATE tree SET hash = zeroblob(32) WHERE position = 15"]),
    "a hash taken out": ("entry 9 .*another hash", ["DELETE FROM tree WHERE position = 15"]),
    "the head taken out": ("no signed head", ["DELETE FROM head"]),
    "the head made rubbish": ("signed head cannot be read", ["UPDATE head SET head = x'7b7d'"]),
    "the purpose in the head": (
        "signature does not hold",
        ["UPDATE head SET head = CAST(replace(CAST(head AS TEXT), 'actual', 'exercise') AS BLOB)"],
    ),
    "the purpose of the ledger": (
        r"head is of ledger .* \(actual\); wanted .* \(exercise\)",
        ["UPDATE ledger SET purpose = 'exercise'"],
    ),
    "the key of a person": ("key that never was 'ada'", ["UPDATE user_key SET public_key = 'ff'"]),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_tampering_is_found_and_named(copy: Path, what: str) -> None:
    words, statements = TAMPERINGS[what]
    change(copy, *statements)
    with pytest.raises(InputError, match=words):
        verify(copy)


def test_an_entry_put_in_with_the_right_hashes_is_found_by_the_signed_head(copy: Path) -> None:
    change(copy, ("INSERT INTO entry VALUES (15, ?, 'eve', '2026-05-03T12:00:00Z', ?)", (record_id(note("another")), NOTE_LINE)))
    signed = head_of(copy)
    rebuild(copy, SigningKey.new())
    change(copy, ("UPDATE head SET head = ?", (msgspec.json.encode(signed),)))
    with pytest.raises(InputError, match="speaks of 14 entries; 15 are there: something was put in"):
        verify(copy)


def test_a_rewritten_entry_with_the_right_hashes_is_found_by_the_signed_head(copy: Path) -> None:
    change(copy, "UPDATE entry SET actor = 'eve' WHERE number = 9")
    signed = head_of(copy)
    rebuild(copy, SigningKey.new())
    change(copy, ("UPDATE head SET head = ?", (msgspec.json.encode(signed),)))
    with pytest.raises(InputError, match="not those whose root was signed"):
        verify(copy)


def test_a_rewritten_ledger_signed_with_another_key_is_not_this_nodes(copy: Path) -> None:
    change(copy, "UPDATE entry SET actor = 'eve' WHERE number = 9")
    rebuild(copy, SigningKey.new())
    with pytest.raises(InputError, match="not by this node's key"):
        verify(copy)


def test_with_the_node_key_only_a_witness_tells(copy: Path) -> None:
    witness = head_of(copy)
    change(copy, "UPDATE entry SET actor = 'eve' WHERE number = 9")
    rebuild(copy, node_key(copy))
    assert verify(copy) == ENTRIES  # the limit that docs/security.md states
    with pytest.raises(InputError, match=r"not those that the witness"):
        verify(copy, witness)


def test_with_the_node_key_a_cut_tail_is_told_by_a_witness(copy: Path) -> None:
    witness = head_of(copy)
    change(copy, "DELETE FROM entry WHERE number > 12")
    rebuild(copy, node_key(copy))
    assert verify(copy) == 12
    with pytest.raises(InputError, match=r"witness of .* saw 14 entries, 12 are there"):
        verify(copy, witness)


def test_a_forged_witness_is_no_witness(copy: Path) -> None:
    with pytest.raises(InputError, match="witness"):
        verify(copy, msgspec.structs.replace(head_of(copy), size=3))


@pytest.mark.parametrize("column", ["record", "actor", "written", "id"])
def test_any_flipped_bit_in_the_file_is_found(copy: Path, column: str) -> None:
    path = copy / "tocsin.db"
    with sqlite3.connect(path) as db:
        (value,) = db.execute(f"SELECT {column} FROM entry WHERE number = 9").fetchone()
        (record,) = db.execute("SELECT record FROM entry WHERE number = 9").fetchone()
    raw = bytearray(path.read_bytes())
    value = value if isinstance(value, bytes) else value.encode()
    at = raw.rindex(value, 0, raw.index(record) + len(record))
    raw[at + len(value) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"damaged|entry 9 |entry 10 "):
        verify(copy)


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: raw[:4096] + b"\xff" * 4096 + raw[8192:]])
def test_a_torn_file_is_said_to_be_damaged(copy: Path, damage: Callable[[bytes], bytes]) -> None:
    path = copy / "tocsin.db"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="damaged"):
        verify(copy)


UNSIGNED = HardLimits(time=NOON, subject="place", limits=("cost < 5",))


def signed_limits(folder: Path, *texts: str, minutes: int = 1) -> HardLimits:
    """Hard limits that ada set, in the ledger."""
    clock, gate = VirtualClock(NOON), RoleGate()
    ledger = open_ledger(folder, clock=clock, gate=gate)
    users = open_users(ledger.store, clock=clock, gate=gate, ledger=ledger)
    ada = users.sign_in("ada", PASSWORD)
    record = users.sign(ada, PASSWORD, hard_limits(SigningKey.new(), *texts, minutes=minutes))
    ledger.append(ada, [record])
    ledger.close()
    return record


def put(folder: Path, record: HardLimits, number: int) -> None:
    """Write a record past the gate, over entry `number` or behind the last, and sign the tree anew with the platform's own key."""
    row = (number, record_id(record), "ada", "2026-05-03T12:00:00Z", encode_record(record))
    change(folder, ("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?)", row))
    rebuild(folder, node_key(folder))


def test_hard_limits_of_before_they_were_signed_stay_readable_and_signed_ones_may_follow(copy: Path) -> None:
    put(copy, UNSIGNED, ENTRIES + 1)
    assert verify(copy) == ENTRIES + 1
    signed_limits(copy, "people_in_danger <= 0")
    assert verify(copy) == ENTRIES + 2


def test_hard_limits_that_were_changed_after_they_were_signed_are_found_by_who_has_the_platforms_key_too(copy: Path) -> None:
    record = signed_limits(copy, "people_in_danger <= 0")
    assert verify(copy) == ENTRIES + 1
    put(copy, msgspec.structs.replace(record, limits=()), ENTRIES + 1)
    with pytest.raises(InputError, match="signature of 'ada' does not hold: the hardlimits is not what was signed"):
        verify(copy)


def test_hard_limits_signed_with_a_key_that_is_nobodys_are_found(copy: Path) -> None:
    put(copy, hard_limits(SigningKey.new(), "cost < 5"), ENTRIES + 1)
    with pytest.raises(InputError, match="a key that never was 'ada'"):
        verify(copy)


def test_once_hard_limits_are_signed_none_may_follow_without(copy: Path) -> None:
    signed_limits(copy, "people_in_danger <= 0")
    put(copy, UNSIGNED, ENTRIES + 2)
    with pytest.raises(InputError, match="bears no signature, though hard limits before it do"):
        verify(copy)
