"""The ledger on disk: what every ledger promises, and what only one on disk can."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tocsin.host import Entry, VirtualClock
from tocsin.platform.ledger import NewKey, SqliteLedger, open_ledger
from tocsin.platform.store import Users, open_users
from tocsin.security import Actor, RoleGate, SigningKey, check_entry, check_growth, fingerprint
from tocsin.security.passwords import Cost, Passwords
from tocsin.testing.ledger_promises import COMMANDER, NOON, SYSTEM, LedgerPromises, decision, note, warned
from tocsin.testing.memory import MemoryLedger, TestHost
from tocsin.vocabulary import Conflict, InputError, Note, NotFound, Refused, Unavailable, record_id

PASSWORD = "correct horse battery"
LOST = NewKey(by="root", reason="the disk broke")
CHEAPEST = Cost(passes=5, memory_kib=7 * 1024, lanes=1)


def opened(folder: Path, **options: object) -> SqliteLedger:
    return open_ledger(folder, clock=VirtualClock(NOON), gate=RoleGate(), **({"purpose": "demo"} | options))  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    found = opened(tmp_path / "data")
    yield found
    found.close()


@pytest.fixture
def users(ledger: SqliteLedger) -> Users:
    found = open_users(ledger.store, clock=VirtualClock(NOON), gate=RoleGate(), ledger=ledger, passwords=Passwords(CHEAPEST))
    found.create_first_administrator("ada", PASSWORD, frozenset({"administrator", "commander"}))
    return found


class TestSqliteLedger(LedgerPromises):
    """On disk."""


class TestMemoryLedger(LedgerPromises):
    """In memory, for tests."""

    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        return TestHost(start=NOON).ledger


def test_two_runs_with_one_clock_write_the_same_entries(tmp_path: Path) -> None:
    lines = []
    for name in ("one", "two"):
        run = opened(tmp_path / name)
        run.append(SYSTEM, [note("a"), *warned()])
        lines.append(list(run.read()))
        run.close()
    assert lines[0] == lines[1]


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    ids = first.append(SYSTEM, [note(str(k)) for k in range(1_000)])
    head = first.tree_head()
    first.close()
    again = opened(tmp_path, purpose=None)
    assert tuple(e.id for e in again.read()) == ids
    assert again.tree_head() == head
    assert again.append(SYSTEM, [note("5"), note("new")])[0] == ids[5]
    assert again.verify() == again.size() == 1_001
    again.close()


def test_the_purpose_is_fixed_when_the_ledger_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a purpose"):
        opened(tmp_path, purpose=None)
    with pytest.raises(InputError, match="wanted one of actual, exercise, demo"):
        opened(tmp_path, purpose="play")
    opened(tmp_path, purpose="exercise").close()
    with pytest.raises(InputError, match="for 'exercise', not 'actual'"):
        opened(tmp_path, purpose="actual")
    again = opened(tmp_path, purpose=None)
    assert again.purpose == again.tree_head().purpose == "exercise"
    again.close()


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100])
def test_every_entry_is_proved_to_an_outsider(ledger: SqliteLedger, size: int) -> None:
    ids = ledger.append(SYSTEM, [note(str(k)) for k in range(size)])
    key = ledger.tree_head().public_key
    for number, name in enumerate(ids, 1):
        found = check_entry(msgspec.json.encode(ledger.prove(name)), key=key)
        assert (found.number, found.id, found.actor, found.entries) == (number, name, "platform", size)
        assert found.record == ledger.find(name).record


def test_what_is_not_there_is_not_proved(ledger: SqliteLedger) -> None:
    with pytest.raises(NotFound, match="nothing to prove"):
        ledger.prove("note-0")


def test_a_head_that_was_kept_shows_that_the_ledger_only_grew(ledger: SqliteLedger) -> None:
    kept = [ledger.tree_head()]
    for k in range(9):
        ledger.append(SYSTEM, [note(f"{k} {j}") for j in range(k + 1)])
        kept.append(ledger.tree_head())
    for head in kept:
        found = check_growth(msgspec.json.encode(ledger.prove_growth(head)), key=fingerprint(head.public_key))
        assert (found.old_entries, found.new_entries) == (head.size, 45)
        assert ledger.verify(witness=head) == 45


def test_a_head_of_another_ledger_is_no_witness(ledger: SqliteLedger, tmp_path: Path) -> None:
    other = opened(tmp_path / "other")
    head = other.tree_head()
    other.close()
    with pytest.raises(InputError, match="another ledger"):
        ledger.prove_growth(head)
    with pytest.raises(InputError, match="witness"):
        ledger.verify(witness=head)


def test_proofs_are_given_for_any_size_up_to_now(ledger: SqliteLedger) -> None:
    ledger.append(SYSTEM, [note(str(k)) for k in range(20)])
    assert len(ledger.inclusion_proof(1)) == 5
    assert len(ledger.inclusion_proof(1, 16)) == 4
    assert ledger.consistency_proof(20) == ()
    with pytest.raises(InputError, match="there are 20"):
        ledger.consistency_proof(3, 21)
    with pytest.raises(InputError, match="no such line"):
        ledger.inclusion_proof(0)


def test_a_decision_is_signed_with_ones_own_key_and_holds(ledger: SqliteLedger, users: Users) -> None:
    actor = users.sign_in("ada", PASSWORD)
    signed = users.sign(actor, PASSWORD, decision(SigningKey.new(), signer="nobody"))
    (name,) = ledger.append(actor, [signed])
    assert ledger.verify() == 2  # the note about the user, and the decision
    assert check_entry(msgspec.json.encode(ledger.prove(name))).actor == "ada"


def test_a_decision_with_a_key_that_nobody_knows_is_refused(ledger: SqliteLedger, users: Users) -> None:
    with pytest.raises(Refused, match="not one of 'ada'"):
        ledger.append(COMMANDER, [decision(SigningKey.new())])
    assert ledger.size() == 1


def test_a_key_of_one_person_does_not_sign_for_another(ledger: SqliteLedger, users: Users) -> None:
    ada = users.sign_in("ada", PASSWORD)
    users.create(ada, "bob", PASSWORD, frozenset({"commander"}))
    sealed = users._sealed("bob").open(PASSWORD, Passwords(CHEAPEST))
    with pytest.raises(Refused, match="not one of 'ada'"):
        ledger.append(ada, [decision(sealed, signer="ada")])


def test_old_decisions_hold_after_the_person_got_a_new_key(ledger: SqliteLedger, users: Users) -> None:
    ada = users.sign_in("ada", PASSWORD)
    ledger.append(ada, [users.sign(ada, PASSWORD, decision(SigningKey.new()))])
    users.reset_password(ada, "ada", "another horse battery")
    ledger.append(ada, [users.sign(ada, "another horse battery", decision(SigningKey.new(), minutes=5))])
    assert ledger.verify() == 4


def test_the_chain_goes_from_a_note_down_to_the_readings(ledger: SqliteLedger) -> None:
    batch = "ab" * 32
    evidence, warning = warned()
    evidence = msgspec.structs.replace(evidence, batch=(batch,))
    warning = msgspec.structs.replace(warning, cause=(record_id(evidence),))
    both = note("seen", record_id(warning), record_id(evidence))
    ids = ledger.append(SYSTEM, [note("unrelated"), evidence, warning, both])
    chain = ledger.chain(ids[3])
    assert [(n.id, n.depth) for n in chain.nodes] == [(ids[3], 0), (ids[2], 1), (ids[1], 1), (f"obs-{batch}", 2)]
    assert set(chain.edges) == {(ids[2], ids[3]), (ids[1], ids[3]), (ids[1], ids[2]), (f"obs-{batch}", ids[1])}
    assert chain.complete
    assert chain.nodes[3].entry is None
    with pytest.raises(NotFound):
        ledger.chain("note-0")


def test_a_long_chain_is_cut_at_the_limit_and_says_so(ledger: SqliteLedger) -> None:
    records, cause = [], ()
    for k in range(50):
        records.append(note(str(k), *cause))
        cause = (record_id(records[-1]),)
    ids = ledger.append(SYSTEM, records)
    assert len(ledger.chain(ids[-1]).nodes) == 50
    cut = ledger.chain(ids[-1], limit=10)
    assert len(cut.nodes) == 10
    assert not cut.complete


def test_subscribers_hear_each_new_entry_once_and_in_order(ledger: SqliteLedger) -> None:
    heard: list[int] = []
    end = ledger.subscribe(lambda entries: heard.extend(e.number for e in entries))
    threads = [
        threading.Thread(target=lambda t=t: [ledger.append(SYSTEM, [note(f"{t} {k}")]) for k in range(30)]) for t in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.append(SYSTEM, [note("last")])
    assert heard == list(range(1, 122))
    end()
    ledger.append(SYSTEM, [note("unheard")])
    assert len(heard) == 121


def test_what_is_refused_or_there_already_is_not_heard(ledger: SqliteLedger) -> None:
    ledger.append(SYSTEM, [note("one")])
    heard: list[Entry] = []
    ledger.subscribe(heard.extend)
    ledger.append(SYSTEM, [note("one")])
    with pytest.raises(InputError):
        ledger.append(SYSTEM, [note("two", "note-0")])
    assert heard == []


def test_a_broken_subscriber_costs_neither_the_append_nor_the_others(ledger: SqliteLedger) -> None:
    def broken(entries: tuple[Entry, ...]) -> None:
        raise RuntimeError("listener")

    heard: list[Entry] = []
    ledger.subscribe(broken)
    ledger.subscribe(heard.extend)
    ledger.append(SYSTEM, [note("one")])
    assert [e.number for e in heard] == [1]
    assert ledger.verify() == 1


def test_a_subscriber_may_append_in_its_turn(ledger: SqliteLedger) -> None:
    def answer(entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            if entry.number < 5:
                ledger.append(SYSTEM, [note(f"after {entry.number}", entry.id)])

    ledger.subscribe(answer)
    ledger.append(SYSTEM, [note("one")])
    assert ledger.verify() == 5


def test_who_waits_is_woken_by_the_next_entry(ledger: SqliteLedger) -> None:
    woken: list[int] = []
    waiting = threading.Thread(target=lambda: woken.append(ledger.wait(after=0, timeout_s=60)))
    waiting.start()
    ledger.append(SYSTEM, [note("one"), note("two")])
    waiting.join()
    assert woken == [2]
    assert ledger.wait(after=2, timeout_s=0.01) == 2


def test_another_process_reads_and_proves_while_the_platform_runs(ledger: SqliteLedger) -> None:
    ids = ledger.append(SYSTEM, [note("one")])
    other = opened(ledger.store.folder, purpose=None, read_only=True)
    assert other.verify() == 1
    assert check_entry(other.prove(ids[0])).number == 1
    ledger.append(SYSTEM, [note("two")])
    assert other.size() == other.tree_head().size == 2
    with pytest.raises(Conflict, match="reading only"):
        other.append(SYSTEM, [note("three")])
    other.close()
    assert ledger.verify() == 2


def test_where_there_is_no_ledger_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not there"):
        opened(tmp_path, purpose=None, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_lost_node_key_stops_the_start_until_a_new_one_is_accepted(tmp_path: Path) -> None:
    first = opened(tmp_path)
    ids = first.append(SYSTEM, [note("one")])
    kept, proof = first.tree_head(), first.prove(ids[0])
    first.close()
    (tmp_path / "node.key").unlink()
    with pytest.raises(InputError, match=r"node\.key: is missing.*put that file back"):
        opened(tmp_path)
    again = opened(tmp_path, new_key=NewKey(by="root", reason="the disk broke", witness=kept))
    told = list(again.read())[-1]
    before, after = fingerprint(kept.public_key), fingerprint(again.tree_head().public_key)
    assert isinstance(told.record, Note)
    assert (told.actor, told.record.text) == (
        "ledger",
        f"node key {before} was lost; root accepted {after}: the disk broke (1 entries verified first, against a witness)",
    )
    again.append(SYSTEM, [note("two")])
    assert again.verify(witness=kept) == 3
    assert check_entry(proof, key=kept.public_key).number == 1
    assert (
        check_growth(again.prove_growth(kept)).old_key_fingerprint
        == fingerprint(kept.public_key)
        != fingerprint(again.tree_head().public_key)
    )
    again.close()


def test_a_new_key_is_not_accepted_over_a_ledger_that_does_not_hold(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.append(SYSTEM, [note("one"), note("two")])
    first.close()
    (tmp_path / "node.key").unlink()
    with sqlite3.connect(tmp_path / "tocsin.db") as db:
        db.execute("DROP TRIGGER entry_never_update")
        db.execute("UPDATE entry SET actor = 'eve' WHERE number = 1")
    with pytest.raises(InputError, match="entry 1 "):
        opened(tmp_path, new_key=LOST)
    assert not (tmp_path / "node.key").exists()


def test_a_new_key_is_not_accepted_where_the_old_one_is_there_or_another_past_was_seen(tmp_path: Path) -> None:
    first = opened(tmp_path / "one")
    first.append(SYSTEM, [note("one")])
    head = first.tree_head()
    first.close()
    key = (tmp_path / "one" / "node.key").read_bytes()
    with pytest.raises(Conflict, match="nothing was changed: a new key is only for one that is lost"):
        opened(tmp_path / "one", new_key=LOST)
    assert (tmp_path / "one" / "node.key").read_bytes() == key
    other = opened(tmp_path / "other")
    strange = other.tree_head()
    other.close()
    (tmp_path / "one" / "node.key").unlink()
    with pytest.raises(InputError, match="witness: is no signed head of ledger"):
        opened(tmp_path / "one", new_key=NewKey(by="root", reason="lost", witness=strange))
    assert not (tmp_path / "one" / "node.key").exists()
    with pytest.raises(InputError, match="wanted who accepts it and why"):
        NewKey(by="root", reason=" ")
    again = opened(tmp_path / "one", new_key=LOST)
    assert (again.size(), again.tree_head().size > head.size) == (2, True)
    again.close()
    opened(tmp_path / "one").close()


def test_a_node_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tocsin.db").stat().st_mode & 0o777 == 0o600
    (tmp_path / "node.key").chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        opened(tmp_path)


def test_a_record_that_is_too_long_is_refused(ledger: SqliteLedger) -> None:
    with pytest.raises(InputError, match="wanted at most"):
        ledger.append(SYSTEM, [note("x" * 5_000_000)])
    assert ledger.size() == 0


def test_a_name_in_any_script_is_kept_as_it_is(ledger: SqliteLedger) -> None:
    actor = Actor('李 "O\'Neil" \\ é\u2028', frozenset({"operator"}))
    (name,) = ledger.append(actor, [note("洪水 \u0000 🌊")])
    assert ledger.find(name).actor == actor.name
    assert check_entry(msgspec.json.encode(ledger.prove(name))).actor == actor.name
    assert ledger.verify() == 1


def test_a_full_disk_loses_nothing_and_acknowledges_nothing(ledger: SqliteLedger) -> None:
    ids = ledger.append(SYSTEM, [note(str(k)) for k in range(100)])
    writer = ledger.store._writer
    assert writer is not None
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    heard: list[Entry] = []
    ledger.subscribe(heard.extend)
    with pytest.raises(Unavailable, match="the disk is full; nothing was written"):
        ledger.append(SYSTEM, [note("x" * 1_000 + str(k)) for k in range(100)])
    assert heard == []
    assert [e.id for e in ledger.read()] == list(ids)
    assert ledger.verify() == 100
    writer.execute("PRAGMA max_page_count = 1000000")
    ledger.append(SYSTEM, [note("again")])
    assert ledger.verify() == 101


def test_a_rollback_around_an_append_takes_the_append_with_it(ledger: SqliteLedger) -> None:
    heard: list[Entry] = []
    ledger.subscribe(heard.extend)

    def broken() -> None:
        with ledger.store.writing():
            ledger.append(SYSTEM, [note("one")])
            raise KeyError("something after the append")

    with pytest.raises(KeyError):
        broken()
    assert ledger.size() == 0
    assert heard == []
    ledger.append(SYSTEM, [note("two")])
    assert ledger.verify() == 1
    assert [e.number for e in heard] == [1]
