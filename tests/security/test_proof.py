"""Proofs: what an outsider can check with nothing but a public key, and every way in which a document can lie."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.security import SigningKey, TreeHead, check_entry, check_growth, fingerprint, read_head
from tocsin.security.merkle import Frontier, consistency_proof, inclusion_proof, leaf_hash, position
from tocsin.security.proof import entry_proof, growth_proof, line_of, moment_text
from tocsin.testing.ledger_promises import NOON, decision, note
from tocsin.vocabulary import Decision, InputError, Record, encode_record, record_id

NODE = SigningKey.new()
LATER = datetime(2026, 5, 4, tzinfo=UTC)


class Written:
    """A ledger in a test's hand, so that it can lie at will."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines, self.frontier, self.nodes = lines, Frontier(), list[bytes]()
        self.roots = [self.frontier.root()]
        for line in self.lines:
            self.nodes += self.frontier.append(leaf_hash(line))
            self.roots.append(self.frontier.root())

    def node(self, level: int, place: int) -> bytes:
        return self.nodes[position(level, place)]

    def head(self, size: int | None = None, key: SigningKey = NODE, **other: Any) -> TreeHead:
        size = len(self.lines) if size is None else size
        told = {"ledger": "abc", "purpose": "demo", "size": size, "root": self.roots[size].hex(), "time": LATER} | other
        head = TreeHead(**told, public_key=key.public_key)
        return msgspec.structs.replace(head, signature=key.sign(head.signing_bytes()))

    def proof(self, number: int, **other: Any) -> dict[str, Any]:
        path = inclusion_proof(number - 1, len(self.lines), self.node)
        return msgspec.to_builtins(entry_proof(self.lines[number - 1], path, self.head())) | other

    def growth(self, old: int) -> dict[str, Any]:
        path = consistency_proof(old, len(self.lines), self.node)
        return msgspec.to_builtins(growth_proof(self.head(old), self.head(), path))


def written(*records: Record, actor: str = "ada") -> Written:
    """A ledger as it should be."""
    return Written([line_of(k, record_id(r), actor, moment_text(NOON), encode_record(r)) for k, r in enumerate(records, 1)])


FIVE = written(*(note(str(k)) for k in range(5)))


def test_a_proof_shows_who_wrote_what_when_and_in_which_ledger() -> None:
    found = check_entry(msgspec.json.encode(FIVE.proof(4)), key=NODE.public_key)
    assert (found.number, found.actor, found.record, found.written) == (4, "ada", note("3"), NOON)
    assert (found.ledger, found.purpose, found.entries, found.signed) == ("abc", "demo", 5, LATER)
    assert found.key_is_given


@pytest.mark.parametrize("key", [NODE.public_key, NODE.public_key.upper(), fingerprint(NODE.public_key)])
def test_a_key_is_given_whole_or_by_its_fingerprint(key: str) -> None:
    assert check_entry(msgspec.json.encode(FIVE.proof(1)), key=key).key_is_given


def test_without_a_key_the_proof_says_that_none_was_given() -> None:
    found = check_entry(msgspec.json.encode(FIVE.proof(1)))
    assert not found.key_is_given
    assert found.key_fingerprint == fingerprint(NODE.public_key)


def test_another_key_is_not_taken() -> None:
    with pytest.raises(InputError, match="signed by"):
        check_entry(msgspec.json.encode(FIVE.proof(1)), key=SigningKey.new().public_key)


@pytest.mark.parametrize("field", ["ledger", "purpose", "size", "root", "time"])
def test_no_word_of_a_head_can_be_changed(field: str) -> None:
    others = {"ledger": "other", "purpose": "actual", "size": 6, "root": "00" * 32, "time": "2020-01-01T00:00:00Z"}
    proof = FIVE.proof(1)
    proof["head"][field] = others[field]
    with pytest.raises(InputError, match="signature does not hold"):
        check_entry(msgspec.json.encode(proof))


@given(at=st.integers(0, 10_000), bit=st.integers(0, 6))
@settings(deadline=None)
def test_no_letter_of_a_line_can_be_changed(at: int, bit: int) -> None:
    proof = FIVE.proof(3)
    line = bytearray(proof["line"].encode())
    line[at % len(line)] ^= 1 << bit
    with pytest.raises(InputError):
        check_entry(msgspec.json.encode(proof | {"line": line.decode()}))


@given(document=st.binary(max_size=200) | st.text(max_size=200))
@settings(deadline=None)
def test_rubbish_is_an_input_error(document: bytes | str) -> None:
    for check in (check_entry, check_growth, read_head):
        with pytest.raises(InputError):
            check(document)


@pytest.mark.parametrize(
    "change",
    [
        {"path": []},
        {"path": ["00" * 32] * 65},
        {"path": ["zz"]},
        {"path": ["00"]},
        {"line": "[]"},
        {"line": '[1,"a","b","c",{}]'},
        {"line": '[-1,"note-0","ada","2026-05-03T12:00:00Z",{}]'},
        {"line": '[9223372036854775807,"note-0","ada","2026-05-03T12:00:00Z",{}]'},
        {"format": "tocsin-entry-proof/9"},
        {"line": FIVE.lines[1].decode()},
    ],
)
def test_a_document_that_lies_is_an_input_error(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        check_entry(msgspec.json.encode(FIVE.proof(1, **change)))


def test_a_line_whose_record_is_not_what_its_name_says_is_caught_even_in_the_tree() -> None:
    lying = Written([line_of(1, record_id(note("one")), "ada", moment_text(NOON), encode_record(note("two")))])
    with pytest.raises(InputError, match="but its record is note-"):
        check_entry(msgspec.json.encode(lying.proof(1)))


def test_a_decision_in_a_proof_has_its_persons_signature() -> None:
    signed = decision(SigningKey.new())
    assert isinstance(check_entry(msgspec.json.encode(written(signed).proof(1))).record, Decision)
    with pytest.raises(InputError, match="signature of 'ada'"):
        check_entry(msgspec.json.encode(written(msgspec.structs.replace(signed, plan="wait")).proof(1)))
    with pytest.raises(InputError, match="was written by 'bob'"):
        check_entry(msgspec.json.encode(written(signed, actor="bob").proof(1)))


@pytest.mark.parametrize("old", range(6))
def test_a_ledger_that_grew_begins_with_what_it_was(old: int) -> None:
    found = check_growth(msgspec.json.encode(FIVE.growth(old)), key=NODE.public_key)
    assert (found.old_entries, found.new_entries) == (old, 5)


def test_a_ledger_that_was_rewritten_does_not() -> None:
    rewritten = written(note("0"), note("another"), *(note(str(k)) for k in range(2, 5)))
    lie = rewritten.growth(3) | {"old": msgspec.to_builtins(FIVE.head(3))}
    with pytest.raises(InputError, match="it was rewritten"):
        check_growth(msgspec.json.encode(lie))


def test_heads_of_two_ledgers_are_not_one_that_grew() -> None:
    lie = FIVE.growth(3) | {"old": msgspec.to_builtins(FIVE.head(3, purpose="actual"))}
    with pytest.raises(InputError, match="two ledgers"):
        check_growth(msgspec.json.encode(lie))


def test_a_head_is_read_back_as_it_was_printed() -> None:
    assert read_head(msgspec.json.encode(FIVE.head())) == FIVE.head()
