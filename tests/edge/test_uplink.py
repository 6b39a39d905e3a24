"""What the edge has, the platform has exactly once and in order, whatever the line, the disks and the power do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from uplink_place import ADA, CENTRE, EDGE, LEVEL, RAIN, START, Machine, Place, reading

from tocsin.edge import Check, Spool
from tocsin.edge.latest import microseconds
from tocsin.edge.spool import HEAD, encode_block
from tocsin.edge.uplink import ENTRIES_MOST, Parcel, Position, digest_of, signed_text, unpack
from tocsin.platform.store.edges import Edges
from tocsin.security.gate import RoleGate
from tocsin.security.keys import SigningKey
from tocsin.vocabulary import Flag, InputError, Level, Note, Observations, Quantity, Refused, SensorFault, Unavailable, Warning


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, batch_bytes=4_000)
    yield made
    made.close()


def measure(place: Place, count: int, *, level: float = 1.0, step: float = 0.01, minutes: float = 10.0) -> None:
    """So many moments, each with one reading of both sites and one of rain."""
    for number in range(count):
        place.pass_time(minutes)
        now = place.clock.now()
        place.edge.node.take(reading(now, level + step * number, level), reading(now, 0.2, quantity=RAIN, sites=("hill",)))


def same(place: Place) -> bool:
    return place.centre.readings() == place.edge.readings() and place.centre.readings(RAIN) == place.edge.readings(RAIN)


def faults(place: Place, check: str) -> list[SensorFault]:
    found = [entry.record for entry in place.centre.ledger.read()]
    return [record for record in found if isinstance(record, SensorFault) and record.check == check]


def test_readings_and_warnings_go_up_once_and_in_order_in_the_name_of_the_node(place: Place) -> None:
    measure(place, 5, level=3.5)
    place.send_all()
    assert same(place)
    assert place.centre.warnings() == place.edge.warnings() == [("weir", Level.YELLOW), ("quay", Level.YELLOW)]
    (first, *_) = [entry for entry in place.centre.ledger.read() if isinstance(entry.record, Warning)]
    assert first.actor == "edge:weir-house"
    assert place.centre.node.watch.level("river_high", "weir") == Level.YELLOW


def test_a_day_without_a_line_ends_with_everything_there_once_and_no_warning_raised_twice(place: Place) -> None:
    measure(place, 3)
    place.send_all()
    place.line.is_cut = True
    for number in range(144):
        measure(place, 1, level=3.5 if 30 <= number < 60 else 1.0, step=0.0)
        place.uplink.step()
        place.centre.node.look()
    raised_alone = place.edge.warnings()
    assert [level for site, level in raised_alone if site == "weir"] == [Level.YELLOW, Level.NONE]
    place.line.is_cut = False
    place.send_all()
    assert same(place)
    sent = [
        entry.record.level
        for entry in place.centre.ledger.read()
        if entry.actor == EDGE.name and isinstance(entry.record, Warning) and entry.record.subject == "weir"
    ]
    assert sent == [Level.YELLOW, Level.NONE]
    own = [
        entry.record.level
        for entry in place.centre.ledger.read()
        if entry.actor != EDGE.name and isinstance(entry.record, Warning) and entry.record.subject == "weir"
    ]
    assert set(own) <= {Level.BLIND, Level.NONE}, "the platform was blind meanwhile, and raised nothing of its own"
    assert place.centre.node.watch.level("river_high", "weir") == Level.NONE


def test_a_warning_that_is_still_on_when_the_line_is_back_is_not_raised_again(place: Place) -> None:
    place.line.is_cut = True
    measure(place, 100, level=3.5, step=0.0)
    place.line.is_cut = False
    steps = 0
    while place.uplink.step() == 0.0:
        steps += 1
        place.centre.node.look()  # the platform's own timer strikes between any two parcels
    assert steps > 3
    place.centre.node.look()
    assert place.centre.warnings() == [("weir", Level.YELLOW), ("quay", Level.YELLOW)]


def test_a_line_that_comes_and_goes_and_loses_answers_changes_nothing(place: Place) -> None:
    chance = random.Random(5)
    for _ in range(60):
        measure(place, 1, level=chance.choice([1.0, 3.5]), step=0.0)
        place.line.is_cut, place.line.loses_answers = chance.random() < 0.4, chance.random() < 0.4
        for _ in range(chance.randrange(4)):
            place.uplink.step()
    place.line.is_cut = place.line.loses_answers = False
    place.send_all()
    assert same(place)
    assert place.centre.warnings() == place.edge.warnings()


def test_either_side_may_be_restarted_at_any_time(place: Place) -> None:
    chance = random.Random(6)
    for _ in range(20):
        measure(place, 3, level=chance.choice([1.0, 3.5]), step=0.0)
        place.line.loses_answers = chance.random() < 0.5
        place.uplink.step()
        (place.restart_edge if chance.random() < 0.5 else place.restart_centre)()
    place.line.loses_answers = False
    place.send_all()
    assert same(place)


def test_a_warning_is_never_behind_the_readings_that_came_after_it(place: Place) -> None:
    place.line.is_cut = True
    measure(place, 40, level=3.5, step=0.0)
    place.line.is_cut = False
    place.uplink.step()
    assert place.centre.warnings(), "the first parcel has the warnings of its readings"
    assert not same(place)


def test_many_entries_go_up_before_the_readings_that_came_after_them(place: Place) -> None:
    place.line.is_cut = True
    now = place.clock.now()
    told = [
        SensorFault(time=now, subject="weir", quantity="river_level", check="spike", reason=str(n)) for n in range(ENTRIES_MOST)
    ]
    measure(place, 1)
    place.edge.ledger.append(EDGE, told)
    measure(place, 100)
    place.line.is_cut = False
    sizes = []
    while place.uplink.step() == 0.0:
        sizes.append((len(faults(place, "spike")), sum(map(len, place.centre.readings().values()))))
    assert all(readings <= 2 for count, readings in sizes if count < ENTRIES_MOST)
    assert same(place)


def test_what_the_spool_had_to_drop_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    place = Place(tmp_path, keep_bytes=16_000)
    measure(place, 2)
    place.send_all()
    place.line.is_cut = True
    measure(place, 200)
    place.edge.node.look()
    dropped = place.edge.spool.unsent
    assert dropped is not None
    assert dropped.first == 5, "the four blocks before were acknowledged"
    place.restart_edge()
    place.line.is_cut = False
    place.send_all()
    place.send_all()
    there, kept = place.centre.readings()["weir"], place.edge.readings()["weir"]
    assert there[:2] + kept == there, "what was sent before, and what was kept"
    told = faults(place, "spool")
    assert any(f"{dropped.readings} readings" in fault.reason for fault in told), "the node says how many, and of what time"
    assert any("blocks 5 to" in fault.reason and "lost" in fault.reason for fault in told)
    assert told[-1].healed, "the platform knows it"
    assert place.edge.spool.unsent is None
    place.close()


def test_a_damaged_block_costs_that_block_and_is_told(place: Place) -> None:
    place.line.is_cut = True
    measure(place, 10)
    place.edge.stop()
    (segment,) = place.edge.spool.folder.glob("segment-*.log")
    data = bytearray(segment.read_bytes())
    data[HEAD.size + 100] ^= 0xFF
    segment.write_bytes(data)
    place.edge.start()
    place.connect()
    place.line.is_cut = False
    place.send_all()
    assert same(place)
    assert len(place.centre.readings()["weir"]) == 9
    assert any("blocks 1 to 1 are lost" in fault.reason for fault in faults(place, "spool"))


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_jumps_a_day_loses_nothing(place: Place, days: int) -> None:
    measure(place, 5)
    place.send_all()
    place.pass_time(1440 * days)
    measure(place, 5)
    place.send_all()
    place.restart_edge()
    place.pass_time(-1440 * days)
    measure(place, 20)
    place.send_all()
    place.restart_centre()
    measure(place, 5)
    place.send_all()
    assert same(place)


def test_a_platform_that_was_restored_from_a_backup_gets_again_what_it_lost(place: Place, tmp_path: Path) -> None:
    import shutil

    measure(place, 5)
    place.send_all()
    place.centre.stop()
    shutil.copytree(tmp_path / "centre", tmp_path / "backup")
    place.centre.start()
    place.receive()
    measure(place, 5, level=3.5)
    place.send_all()
    place.centre.stop()
    shutil.rmtree(tmp_path / "centre")
    (tmp_path / "backup").rename(tmp_path / "centre")
    place.centre.start()
    place.receive()
    measure(place, 2)
    place.send_all()
    assert same(place)
    assert place.edge.warnings()[0] in place.centre.warnings()


def test_a_node_that_begins_anew_under_its_name_is_not_taken_for_the_old_one(place: Place, tmp_path: Path) -> None:
    import shutil

    measure(place, 5)
    place.send_all()
    before = place.centre.readings()["weir"]
    place.edge.stop()
    key = (tmp_path / "edge" / "node.key").read_bytes()
    shutil.rmtree(tmp_path / "edge")
    (tmp_path / "edge").mkdir(mode=0o700)
    (tmp_path / "edge" / "node.key").write_bytes(key)
    (tmp_path / "edge" / "node.key").chmod(0o600)
    place.edge.start()
    place.connect()
    measure(place, 3)
    place.send_all()
    assert place.centre.readings()["weir"] == before + place.edge.readings()["weir"]


def test_a_parcel_with_a_gap_is_not_taken_and_the_answer_says_where_to_go_on(place: Place) -> None:
    measure(place, 3)
    place.send_all()
    early = Parcel(place.edge.ledger.id, place.uplink._series, 500, 500, (), 500, 500, ())
    at = place.receiver.take(EDGE, msgspec.msgpack.encode(early), compressed=False)
    assert (at.entry, at.block) == (0, 6)
    assert same(place)


def test_nobody_sends_without_being_enrolled_nor_with_another_key_nor_after_he_was_dismissed(place: Place) -> None:
    body = msgspec.msgpack.encode(Parcel("a", "b", 0, 0, (), 0, 0, ()))
    digest = digest_of(body)
    text = signed_text(digest, platform=place.receiver.platform, node="weir-house")
    assert place.receiver.who("weir-house", place.key.sign(text), digest).name == "edge:weir-house"
    for name, signature in [
        ("weir-house", SigningKey.new().sign(text)),
        ("somebody", place.key.sign(text)),
        ("weir-house", ""),
        ("weir-house", place.key.sign(signed_text(digest, platform="another", node="weir-house"))),
    ]:
        with pytest.raises(Refused, match="no such node, or not its signature"):
            place.receiver.who(name, signature, digest)
    with pytest.raises(Refused):
        place.receiver.who("weir-house", place.key.sign(text), digest_of(body + b"x"))
    edges = Edges(place.centre.ledger.store, clock=place.clock, gate=RoleGate(), ledger=place.centre.ledger)
    edges.dismiss(ADA, "weir-house")
    with pytest.raises(Refused):
        place.receiver.who("weir-house", place.key.sign(text), digest)
    notes = [entry.record for entry in place.centre.ledger.read() if isinstance(entry.record, Note)]
    assert "may not send any more" in notes[-1].text
    assert place.uplink.step() > 0.0
    assert "not its signature" in place.uplink.status().fault


def test_a_node_may_bring_readings_faults_and_warnings_and_nothing_else(place: Place) -> None:
    from tocsin.vocabulary.records import encode_record

    note = encode_record(Note(time=START, subject="x", text="I am the commander"))
    parcel = Parcel("a", "b", 0, 2, ((1, note), (2, b"nonsense")), 0, 0, ())
    at = place.receiver.take(EDGE, msgspec.msgpack.encode(parcel), compressed=False)
    assert at.entry == 2, "a poisoned entry does not stop the others for ever"
    reasons = [fault.reason for fault in faults(place, "uplink")]
    assert "entry 1 was refused" in reasons[0]
    assert "entry 2 was refused" in reasons[1]
    assert not [e for e in place.centre.ledger.read() if e.actor == EDGE.name and isinstance(e.record, Note)]


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", msgspec.msgpack.encode(Parcel("a", "b", 0, 0, (), 0, 1, (b"TCSP" + bytes(12),))), bytes(100)],
)
def test_nonsense_is_refused_and_changes_nothing(place: Place, body: bytes) -> None:
    for compressed in (False, True):
        with pytest.raises(InputError):
            place.receiver.take(EDGE, body, compressed=compressed)
    assert place.centre.ledger.size() == 1


def test_a_parcel_that_swells_beyond_all_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import zlib

    monkeypatch.setattr("tocsin.edge.uplink.PARCEL_BYTES_MOST", 1 << 20)
    with pytest.raises(InputError, match="over 1,048,576 bytes"):
        unpack(zlib.compress(bytes(4 << 20)), compressed=True)


def test_a_broken_line_is_told_when_it_lasts_and_healed_when_it_works(place: Place) -> None:
    place.line.is_cut = True
    for _ in range(12):
        place.pass_time(1)
        place.uplink.step()
    place.restart_edge()
    place.uplink.step()
    place.line.is_cut = False
    place.send_all()
    place.send_all()
    assert [fault.healed for fault in faults(place, "uplink")] == [False, True]


def test_a_platform_whose_disk_is_full_acknowledges_nothing_and_gets_all_later(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(place, 5)
    with monkeypatch.context() as broken:

        def full(self: Spool, *_: object, **__: object) -> int:
            raise Unavailable("no space left")

        broken.setattr(Spool, "append", full)
        for _ in range(3):
            assert place.uplink.step() > 0.0
    assert place.centre.readings() == {}
    place.send_all()
    assert same(place)


def test_the_backlog_is_shown_until_the_platform_has_it(place: Place) -> None:
    place.line.is_cut = True
    measure(place, 10)
    place.uplink.step()
    status = place.uplink.status()
    assert status.waiting_readings == 30
    assert status.oldest == START + timedelta(minutes=10)
    assert "cut" in status.fault
    place.line.is_cut = False
    place.send_all()
    status = place.uplink.status()
    assert (status.waiting_readings, status.waiting_entries, status.oldest, status.fault) == (0, 0, None, "")
    assert status.block == 20


class Died(Exception):
    """The power failed here."""


def test_a_platform_that_dies_between_the_readings_and_the_note_of_their_number_takes_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, batch_bytes=10 << 20)
    measure(place, 350, minutes=0.5)  # more than a stream remembers: only the numbers can tell that they are here

    def dies(self: Edges, name: str, series: str, number: int) -> None:
        if series.startswith("spool"):
            raise Died

    with monkeypatch.context() as power:
        power.setattr(Edges, "reach", dies)
        with pytest.raises(Died):
            place.uplink.step()
    assert same(place)
    place.restart_centre()
    place.send_all()
    assert same(place)
    assert place.uplink.status().block == 700
    place.close()


def test_blocks_that_come_again_with_new_ones_are_left_out(tmp_path: Path) -> None:
    place = Place(tmp_path, batch_bytes=10 << 20)
    place.send_all()
    measure(place, 350, minutes=0.5)
    place.line.loses_answers = True
    place.uplink.step()
    assert same(place)
    place.line.loses_answers = False
    measure(place, 5)
    place.send_all()
    assert same(place)
    place.close()


def test_readings_go_up_when_the_rules_have_seen_them_and_not_before(place: Place) -> None:
    place.send_all()
    place.pass_time(10)
    stored = place.edge.node.store(reading(place.clock.now(), 1.0, 1.0))
    place.send_all()
    assert place.centre.readings() == {}
    place.edge.node.judge(stored)
    place.send_all()
    assert same(place)


def test_a_platform_that_never_moves_is_not_asked_without_a_pause(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.send_all()
    measure(place, 5)
    monkeypatch.setattr(place.receiver, "take", lambda *_, **__: place.uplink._position)
    assert [place.uplink.step() for _ in range(3)] == [1.0, 2.0, 4.0]
    assert "stays at" in place.uplink.status().fault


def test_a_platform_that_has_more_than_the_node_gets_nothing_and_its_word_is_not_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(place, 3)
    send, ahead = place.line.send, [10**30]

    def claims(body: bytes, headers: dict[str, str]) -> Position:
        return msgspec.structs.replace(send(body, headers), block=ahead[0])

    monkeypatch.setattr(place.line, "send", claims)
    for number in (10**30, place.edge.spool.number + 1, -1):
        ahead[0] = number
        assert place.uplink.step() > 0.0
        assert "put back from a backup" in place.uplink.status().fault
        assert place.edge.spool.sent == 0
    measure(place, 1)  # the node itself goes on
    monkeypatch.setattr(place.line, "send", send)
    place.send_all()
    assert same(place)


@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1])
def test_numbers_that_no_store_can_keep_are_refused(number: int) -> None:
    for parcel in ([0, number, 0, 0], [0, 0, 0, number]):
        body = msgspec.msgpack.encode(["a", "b", *parcel[:2], [], *parcel[2:], []])
        with pytest.raises(InputError, match="numbers"):
            unpack(body, compressed=False)
    with pytest.raises(InputError, match="lost"):
        unpack(msgspec.msgpack.encode(["a", "b", 0, 0, [], 0, 0, [], [[1, number]]]), compressed=False)


def sent_as(place: Place, *batches: Observations) -> list[str]:
    """A parcel of these blocks, as a node would send it that is in other hands; what the platform refused of it, in words."""
    at, before = place.receiver.position(EDGE, "ab", "cd"), len(faults(place, "uplink"))
    blocks = tuple(encode_block(batch, number=at.block + k) for k, batch in enumerate(batches, 1))
    parcel = Parcel("ab", "cd", 0, 0, (), at.block, at.block + len(blocks), blocks)
    after = place.receiver.take(EDGE, msgspec.msgpack.encode(parcel), compressed=False)
    assert after.block == at.block + len(blocks)  # it does not come again and again
    return [fault.reason for fault in faults(place, "uplink")[before:]]


def test_a_block_with_impossible_times_flags_or_names_is_refused_by_itself_and_told_once(place: Place) -> None:
    good = reading(START, 1.0, 1.5)

    def with_(**changes: object) -> Observations:
        return msgspec.structs.replace(good, **changes)

    wrong = {
        "time": [with_(time_us=np.array([-1, 5])), with_(time_us=np.array([2**62, 5]))],
        "flag": [with_(flag=np.array([0, 7], np.uint8))],
        "site": [with_(sites=("a\nb", "quay")), with_(sites=("x" * 201, "quay"))],
        "conversion": [with_(quantity=Quantity("river_level", "furlong"))],
        "name": [with_(quantity=Quantity("q" * 81, "m"))],
    }
    for word, several in wrong.items():
        for number, batch in enumerate(several):
            place.pass_time(1)
            (reason,) = sent_as(place, good, batch, reading(place.clock.now(), 2.0 + number))
            assert word in reason
    assert len(place.centre.readings()["weir"]) == 1 + sum(map(len, wrong.values()))
    assert set(place.centre.readings()) == {"weir", "quay"}
    (told,) = sent_as(place, *[wrong["flag"][0]] * 50)
    assert "49 more were refused" in told


def test_a_node_cannot_hide_what_is_to_come_behind_readings_of_the_future(tmp_path: Path) -> None:
    place = Place(tmp_path)
    check = Check(quantity=LEVEL, interval_s=60.0, source="a test", sensor_span=(-5.0, 60.0))
    place.centre.stop()
    place.centre = Machine(tmp_path / "centre", place.clock, CENTRE, checks=(check,))
    place.receive()
    ahead = START + timedelta(days=365 * 900)
    hostile = reading(ahead, 1.0, 1.0)
    assert hostile.arrived_us.max() == microseconds(ahead)
    assert sent_as(place, hostile) == []
    assert sent_as(place, reading(START, 4.5, 4.5)) == []
    seen = place.centre.node.latest.window(LEVEL, 3600.0, START)
    assert seen.value[:, -1].tolist() == [4.5, 4.5]
    kept = list(place.centre.spool.replay())
    assert [set(batch.flag.tolist()) for batch in kept] == [{Flag.FAIL}, {Flag.GOOD}]
    assert max(batch.arrived_us.max() for batch in kept) <= microseconds(place.clock.now())
    place.close()


def test_readings_are_kept_in_the_unit_and_within_the_bounds_that_hold_here(place: Place) -> None:
    assert sent_as(place, reading(START, 1.0, 1.0)) == []
    loose = Quantity("river_level", "cm", low=-1e9, high=1e9)
    assert sent_as(place, reading(START + timedelta(minutes=1), 150.0, quantity=loose)) == []
    assert place.centre.readings()["weir"][-1][1] == 1.5
    assert {batch.quantity for batch in place.centre.spool.replay()} == {LEVEL}


def test_a_node_brings_so_many_new_sites_and_no_more(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.platform.uplink.NEW_SITES_MOST", 3)
    moments = [START + timedelta(minutes=k) for k in range(3)]
    assert sent_as(place, reading(moments[0], 1.0, 1.0), reading(moments[1], 1.0, 1.0)) == []
    assert "that nobody here has heard of" in sent_as(place, reading(moments[2], 1.0, 1.0, sites=("mill", "dam")))[0]
    assert sent_as(place, reading(moments[2], 1.0, sites=("mill",))) == []
    assert set(place.centre.readings()) == {"weir", "quay", "mill"}
