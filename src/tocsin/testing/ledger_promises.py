"""What every ledger promises. Subclass with a `ledger` fixture, and each promise is tested."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tocsin.host import Ledger
from tocsin.security.actor import Actor
from tocsin.security.keys import SigningKey
from tocsin.vocabulary.errors import InputError, NotFound, Refused
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.records import Decision, Evidence, HardLimits, Note, Record, Warning, record_id

NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
SYSTEM = Actor("platform", frozenset({"system"}))
COMMANDER = Actor("ada", frozenset({"commander"}))
AUDITOR = Actor("eve", frozenset({"auditor"}))


def note(text: str, *cause: str) -> Note:
    """A line in the log."""
    return Note(time=NOON, subject="test", text=text, cause=cause)


def warned() -> tuple[Evidence, Warning]:
    """Readings that a rule saw, and the warning that they led to."""
    evidence = Evidence(time=NOON, subject="weir", quantity="level", unit="m", sensor_time_us=(1,), value=(3.2,), flag=(1,))
    warning = Warning(
        time=NOON,
        subject="weir",
        cause=(record_id(evidence),),
        hazard="flood",
        rule="level high",
        level=Level.ORANGE,
        before=Level.NONE,
        reason="3.2 m is over 3 m",
        value=3.2,
        unit="m",
        public=True,
    )
    return evidence, warning


def decision(key: SigningKey, signer: str = "ada", plan: str = "evacuate", minutes: int = 0) -> Decision:
    """A decision that `key` signed."""
    blank = Decision(
        time=NOON + timedelta(minutes=minutes),
        subject="comparison",
        plan=plan,
        plan_digest="00" * 32,
        verdict="approved",
        comment="",
        signer=signer,
        public_key=key.public_key,
    )
    return Decision(
        **{name: getattr(blank, name) for name in blank.__struct_fields__} | {"signature": key.sign(blank.signing_bytes())}
    )


def hard_limits(key: SigningKey, *texts: str, signer: str = "ada", minutes: int = 0) -> HardLimits:
    """Hard limits that `key` signed."""
    blank = HardLimits(
        time=NOON + timedelta(minutes=minutes), subject="place", limits=texts, signer=signer, public_key=key.public_key
    )
    return msgspec.structs.replace(blank, signature=key.sign(blank.signing_bytes()))


class _Unknown(Record, frozen=True, kw_only=True, tag=str.lower):
    """A kind of record that no ledger knows."""


class LedgerPromises:
    """The promises. A ledger comes empty, with Tocsin's own gate."""

    def test_what_is_written_is_read_back_in_order(self, ledger: Ledger) -> None:
        records = [note("one"), note("two"), *warned()]
        ids = ledger.append(SYSTEM, records)
        entries = list(ledger.read())
        assert ids == tuple(record_id(record) for record in records)
        assert [(e.number, e.id, e.record) for e in entries] == list(zip((1, 2, 3, 4), ids, records, strict=True))
        assert {e.actor for e in entries} == {"platform"}
        assert all(e.written.tzinfo is not None for e in entries)

    def test_reading_goes_on_after_a_number(self, ledger: Ledger) -> None:
        ledger.append(SYSTEM, [note("one"), note("two"), note("three")])
        assert [e.number for e in ledger.read(after=1)] == [2, 3]
        assert list(ledger.read(after=3)) == []

    def test_an_entry_is_found_by_its_id(self, ledger: Ledger) -> None:
        ids = ledger.append(SYSTEM, [note("one"), note("two")])
        assert ledger.find(ids[1]).number == 2

    def test_what_is_not_there_is_not_found(self, ledger: Ledger) -> None:
        with pytest.raises(NotFound, match="note-0"):
            ledger.find("note-0")

    def test_an_empty_ledger_holds(self, ledger: Ledger) -> None:
        assert ledger.size() == ledger.verify() == 0
        assert ledger.append(SYSTEM, []) == ()

    def test_a_record_is_written_once_however_often_it_is_appended(self, ledger: Ledger) -> None:
        first = ledger.append(SYSTEM, [note("one"), note("one")])
        again = ledger.append(SYSTEM, [note("two"), note("one")])
        assert first[0] == first[1] == again[1]
        assert ledger.size() == ledger.verify() == 2

    def test_a_refusal_names_who_may_and_writes_nothing(self, ledger: Ledger) -> None:
        with pytest.raises(Refused, match=r"eve may not write note on test.*enough: .*operator"):
            ledger.append(AUDITOR, [note("one")])
        assert ledger.size() == 0

    def test_nothing_of_a_batch_is_written_where_one_record_may_not_be(self, ledger: Ledger) -> None:
        with pytest.raises(Refused, match="write warning"):
            ledger.append(COMMANDER, [note("one"), *warned()[1:]])
        assert ledger.size() == ledger.verify() == 0

    def test_nobody_writes_without_a_name(self, ledger: Ledger) -> None:
        with pytest.raises(Refused, match="anonymous"):
            ledger.append(Actor("", frozenset({"system"})), [note("one")])
        assert ledger.size() == 0

    def test_a_cause_is_in_the_ledger_or_earlier_in_the_batch(self, ledger: Ledger) -> None:
        evidence, warning = warned()
        with pytest.raises(InputError, match=record_id(evidence)):
            ledger.append(SYSTEM, [warning, evidence])
        assert ledger.size() == 0
        ledger.append(SYSTEM, [evidence, warning])
        ledger.append(SYSTEM, [note("seen", record_id(warning))])
        assert ledger.verify() == 3

    def test_a_batch_of_readings_may_be_a_cause(self, ledger: Ledger) -> None:
        ledger.append(SYSTEM, [note("readings", "obs-" + "0f" * 32)])
        with pytest.raises(InputError, match="obs-0f"):
            ledger.append(SYSTEM, [note("half a digest", "obs-0f")])
        assert ledger.verify() == 1

    def test_only_a_commander_decides(self, ledger: Ledger) -> None:
        with pytest.raises(Refused, match="enough: commander"):
            ledger.append(SYSTEM, [decision(SigningKey.new(), "platform")])
        assert ledger.size() == 0

    def test_a_decision_without_its_signature_is_not_written(self, ledger: Ledger) -> None:
        signed = decision(SigningKey.new())
        forged = Decision(**{name: getattr(signed, name) for name in signed.__struct_fields__} | {"plan": "wait"})
        with pytest.raises(InputError, match="signature of 'ada' does not hold"):
            ledger.append(COMMANDER, [forged])
        assert ledger.size() == 0

    def test_hard_limits_without_their_signature_are_not_written(self, ledger: Ledger) -> None:
        signed = hard_limits(SigningKey.new(), "people_in_danger <= 0")
        with pytest.raises(InputError, match="signature of 'ada' does not hold"):
            ledger.append(COMMANDER, [msgspec.structs.replace(signed, limits=())])
        with pytest.raises(InputError, match="is not signed; wanted the signature of ada"):
            ledger.append(COMMANDER, [HardLimits(time=NOON, subject="place", limits=())])
        assert ledger.size() == 0

    def test_nobody_decides_in_the_name_of_another(self, ledger: Ledger) -> None:
        with pytest.raises(InputError, match="wanted the same person"):
            ledger.append(COMMANDER, [decision(SigningKey.new(), signer="bob")])
        assert ledger.size() == 0

    def test_a_kind_of_record_that_could_not_be_read_back_is_not_written(self, ledger: Ledger) -> None:
        with pytest.raises(InputError, match="_Unknown"):
            ledger.append(SYSTEM, [_Unknown(time=NOON, subject="test")])
        assert ledger.size() == 0

    def test_a_record_whose_field_is_not_what_it_says_is_not_written(self, ledger: Ledger) -> None:
        with pytest.raises(InputError, match="text"):
            ledger.append(SYSTEM, [Note(time=NOON, subject="test", text=5)])  # type: ignore[arg-type]
        assert ledger.size() == 0

    def test_threads_write_at_once_and_nothing_is_lost_or_doubled(self, ledger: Ledger) -> None:
        def write(thread: int) -> None:
            for k in range(20):
                ledger.append(SYSTEM, [note(f"{thread} {k}"), note(f"both {k}")])

        threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.verify() == ledger.size() == 4 * 20 + 20
        assert [e.number for e in ledger.read()] == list(range(1, 101))

    def test_reading_while_others_write_shows_each_entry_once(self, ledger: Ledger) -> None:
        ledger.append(SYSTEM, [note(str(k)) for k in range(700)])
        seen = []
        for entry in ledger.read():
            seen.append(entry.number)
            if entry.number == 300:
                ledger.append(SYSTEM, [note("meanwhile")])
        assert seen[:700] == list(range(1, 701))
        assert len(seen) == len(set(seen))
