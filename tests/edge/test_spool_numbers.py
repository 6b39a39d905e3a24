"""Blocks have numbers that are used once, groups with an origin are whole or not there, and what must go is counted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tocsin.edge import Spool
from tocsin.edge.spool import encode_block, open_blocks
from tocsin.vocabulary import InputError, Observations, Quantity, Unavailable

LEVEL = Quantity("river_level", "m", low=-5, high=60)


def batch(begin: int, count: int = 10, *, site: str = "weir") -> Observations:
    """Readings of so many seconds."""
    return Observations.of(LEVEL, (site,), [0] * count, [1_000_000 * k for k in range(begin, begin + count)], [1.0] * count)


def numbers(spool: Spool, after: int = 0) -> list[int]:
    return [block.number for block in spool.blocks(after)]


def test_blocks_are_numbered_from_one_and_go_on_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([batch(0), batch(10)], entries=3)
    spool.close()
    again = Spool(tmp_path)
    again.append([batch(20)], entries=5)
    assert numbers(again) == [1, 2, 3]
    assert numbers(again, after=2) == [3]
    assert [block.entries for block in again.blocks(0)] == [3, 3, 5]
    assert [number for number, _ in open_blocks(block.data for block in again.blocks(1))] == [2, 3]


def test_a_number_is_not_used_again_where_everything_that_was_sent_has_gone(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([batch(0)])
    spool.mark_sent(1)
    spool.close()
    for segment in tmp_path.glob("segment-*"):
        segment.unlink()
    again = Spool(tmp_path)
    again.append([batch(10)])
    assert numbers(again) == [2]


def test_an_origin_is_known_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([batch(0), batch(10)], origin=("edge:a/x", 17))
    spool.append([batch(20)], origin=("edge:b/y", 3))
    assert spool.origins == {"edge:a/x": 17, "edge:b/y": 3}
    spool.close()
    assert Spool(tmp_path).origins == {"edge:a/x": 17, "edge:b/y": 3}


def test_of_a_group_with_an_origin_all_or_nothing_is_left_wherever_the_power_failed(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append([batch(0)], origin=("edge:a/x", 1))
    begin = first.size_bytes
    first.append([batch(10), batch(20), batch(30)], origin=("edge:a/x", 4))
    first.close()
    (segment,) = tmp_path.glob("segment-*.log")
    whole = segment.read_bytes()
    for cut in (*range(begin, len(whole), 97), len(whole) - 1):
        segment.write_bytes(whole[:cut])
        spool = Spool(tmp_path)
        assert spool.origins == {"edge:a/x": 1}, cut
        assert (spool.number, spool.size_bytes, len(spool.read(LEVEL))) == (1, begin, 10)
        spool.append([batch(40)], origin=("edge:a/x", 2))
        assert numbers(spool) == [1, 2]
        spool.close()
        segment.write_bytes(whole)
    assert Spool(tmp_path).origins == {"edge:a/x": 4}


def test_a_torn_group_without_an_origin_keeps_what_is_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([batch(0), batch(10)])
    spool.close()
    (segment,) = tmp_path.glob("segment-*.log")
    os.truncate(segment, segment.stat().st_size - 1)
    assert len(Spool(tmp_path).read(LEVEL)) == 10


def test_what_goes_before_it_was_sent_is_counted_and_stays_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=1_000, keep_bytes=4_000)
    spool.mark_sent(0)
    spool.append([batch(0)])
    spool.mark_sent(1)
    for begin in range(10, 400, 10):
        spool.append([batch(begin)])
    gone = spool.unsent
    assert gone is not None
    kept = numbers(spool)
    assert (gone.first, gone.last) == (2, kept[0] - 1)
    assert gone.readings == 10 * (kept[0] - 2)
    assert sum(dropped.readings for dropped in spool.news) == gone.readings
    assert spool.dropped_readings == gone.readings + 10
    spool.close()
    again = Spool(tmp_path, segment_bytes=1_000, keep_bytes=4_000)
    assert again.unsent == gone
    again.mark_sent(gone.last)
    assert again.unsent is None


def test_where_nothing_is_sent_on_old_segments_are_no_loss(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=1_000, keep_bytes=4_000)
    for begin in range(0, 400, 10):
        spool.append([batch(begin)])
    assert spool.dropped_segments > 0
    assert spool.unsent is None
    assert spool.news == []


def test_on_a_full_disk_the_oldest_segment_makes_room_for_the_newest_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, segment_bytes=1_000)
    for begin in range(0, 100, 10):
        spool.append([batch(begin)])
    before, full = len(list(tmp_path.glob("segment-*"))), [True, True]
    sync = os.fsync

    def failing(handle: int) -> None:
        if full and Path(f"/proc/self/fd/{handle}").readlink().suffix == ".log":
            full.pop()
            raise OSError(errno.ENOSPC, "no space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    assert spool.append([batch(100)]) == 10
    assert spool.dropped_segments == 2
    assert len(list(tmp_path.glob("segment-*"))) < before
    assert spool.read(LEVEL).time_us[-1] == 109_000_000
    spool.close()
    assert Spool(tmp_path).damage == []


def test_a_disk_that_is_full_of_other_things_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.append([batch(0)])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="no space left"):
            spool.append([batch(10)])
    spool.append([batch(10)])
    assert len(spool.read(LEVEL)) == 20
    assert sorted(set(numbers(spool))) == numbers(spool)


def test_readings_that_wait_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for begin in (0, 10, 20):
        spool.append([batch(begin)])
    readings, size = spool.waiting(1)
    assert readings == 20
    assert 0 < size < spool.size_bytes
    assert spool.waiting(3) == (0, 0)
    assert spool.oldest(3) is None


@pytest.mark.parametrize(
    "data", [b"", b"nonsense and more of it", encode_block(batch(0)), encode_block(batch(0), number=1) + b"x"]
)
def test_a_block_without_a_number_or_not_whole_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="a block of"):
        list(open_blocks([data]))


def test_a_tally_that_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    Spool(tmp_path).close()
    (tmp_path / "dropped.json").write_text("nonsense")
    spool = Spool(tmp_path)
    assert "dropped.json" in spool.damage[0]
    assert spool.append([batch(0)]) == 10
