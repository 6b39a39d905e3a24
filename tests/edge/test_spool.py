"""What was acknowledged is on disk, once, whatever happens to the process or to the file."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tocsin.edge import Spool
from tocsin.edge import spool as spool_module
from tocsin.edge.spool import HEAD, MARK
from tocsin.vocabulary import Conflict, NotFound, Observations, Quantity, Unavailable

LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_amount", "mm", low=0, high=500)


def batch(begin: int, size: int = 10, *, site: int = 0, quantity: Quantity = LEVEL) -> Observations:
    at = np.arange(begin, begin + size)
    return Observations.of(quantity, ("weir", "quay", "mill"), np.full(size, site), at * 1_000_000, at * 0.01)


def test_what_was_written_is_read_back_by_quantity_site_and_time(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.append([batch(0), batch(10, site=2), batch(0, quantity=RAIN)]) == 30
    told = spool.read(LEVEL)
    assert (told.sites, len(told)) == (("weir", "mill"), 20)
    assert spool.read(LEVEL, sites=["mill"]).sites == ("mill",)
    part = spool.read(LEVEL, from_us=5_000_000, to_us=12_000_000)
    assert part.time_us.tolist() == [t * 1_000_000 for t in range(5, 12)]
    assert part.value.tolist() == pytest.approx([t * 0.01 for t in range(5, 12)])
    assert len(spool.read(Quantity("wind", "m/s"))) == 0


def test_a_batch_is_found_by_the_digest_that_a_record_cites(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    told = Observations.of(LEVEL, ("weir",), [0, 0], [1, 2], [1.0, float("nan")])
    spool.append([batch(0), told])
    assert spool.find(told.digest()).value[0] == 1.0
    with pytest.raises(NotFound, match="no batch"):
        spool.find("0" * 64)


def test_readings_are_there_after_a_restart_and_new_ones_follow(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append([batch(0)])
    first.close()
    second = Spool(tmp_path)
    second.append([batch(10)])
    assert second.damage == []
    assert len(second.read(LEVEL)) == 20
    assert [len(told) for told in second.replay()] == [10, 10]


def test_a_batch_that_comes_twice_is_read_once_and_a_contradiction_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([batch(0)])
    spool.append([batch(5)])
    spool.append([Observations.of(LEVEL, ("weir",), [0], [3_000_000], [9.0], flag=[4])])
    told = spool.read(LEVEL)
    assert len(told) == 16
    assert told.value[told.time_us == 3_000_000].tolist() == [0.03, 9.0]


def test_a_torn_tail_is_cut_off_and_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([batch(0)])
    spool.append([batch(10)])
    spool.close()
    path = next(tmp_path.glob("segment-*"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    again = Spool(tmp_path)
    assert len(again.read(LEVEL)) == 10
    assert len(again.damage) == 1
    assert "no whole block" in again.damage[0]
    again.append([batch(10)])
    assert len(again.read(LEVEL)) == 20


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_corrupt_block_is_skipped_and_told_and_the_others_are_read(tmp_path: Path, at: int) -> None:
    spool = Spool(tmp_path)
    for begin in (0, 10, 20):
        spool.append([batch(begin)])
    spool.close()
    path = next(tmp_path.glob("segment-*"))
    raw = bytearray(path.read_bytes())
    raw[raw.find(MARK, 1) + at] ^= 0xFF
    path.write_bytes(raw)
    again = Spool(tmp_path)
    assert again.read(LEVEL).time_us.tolist() == [t * 1_000_000 for t in (*range(10), *range(20, 30))]
    assert len(again.damage) == 1
    assert "damaged and were skipped" in again.damage[0]


def test_a_mark_inside_the_columns_does_not_begin_a_block(tmp_path: Path) -> None:
    trap = np.frombuffer(HEAD.pack(MARK, 3, 5, 7) * 4, np.float64)
    spool = Spool(tmp_path)
    spool.append([Observations.of(LEVEL, ("weir",), [0] * trap.size, range(trap.size), trap), batch(100)])
    spool.close()
    raw = bytearray(next(tmp_path.glob("segment-*")).read_bytes())
    raw[20] ^= 0xFF
    next(tmp_path.glob("segment-*")).write_bytes(raw)
    assert len(Spool(tmp_path).read(LEVEL)) == 10


def test_segments_are_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=2_000, keep_bytes=8_000)
    for begin in range(0, 1_000, 10):
        spool.append([batch(begin)])
    assert spool.size_bytes <= 8_000
    assert all(path.stat().st_size <= 2_000 for path in tmp_path.glob("segment-*"))
    assert spool.dropped_segments > 0
    told = spool.read(LEVEL).time_us
    assert told[-1] == 999 * 1_000_000
    assert told[0] > 0


def test_a_full_disk_acknowledges_nothing_and_the_same_batches_may_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.append([batch(0)])
    with monkeypatch.context() as full:

        def no_room(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(os, "fsync", no_room)
        with pytest.raises(Unavailable, match="not acknowledged"):
            spool.append([batch(10), batch(20)])
    assert len(spool.read(LEVEL)) == 10
    spool.append([batch(10), batch(20)])
    assert len(spool.read(LEVEL)) == 30
    spool.close()
    assert len(Spool(tmp_path).read(LEVEL)) == 30


def test_a_really_full_disk_acknowledges_nothing(tmp_path: Path) -> None:
    """/dev/full answers every write with ENOSPC, from the kernel itself."""
    spool = Spool(tmp_path)
    (tmp_path / "segment-0000000001.log").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match="No space left"):
        spool.append([batch(0)])
    (tmp_path / "segment-0000000001.log").unlink()
    assert spool.append([batch(0)]) == 10


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(Conflict, match="another process"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.close()
    with pytest.raises(Unavailable, match="closed"):
        spool.append([batch(0)])


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import numpy as np
    from tocsin.edge import Spool
    from tocsin.vocabulary import Observations, Quantity

    level = Quantity("river_level", "m", low=-5, high=60)
    spool = Spool(Path(sys.argv[1]), segment_bytes=20_000, keep_bytes=100_000_000)
    begin = int(sys.argv[2])
    print("ready", flush=True)
    while True:
        at = np.arange(begin, begin + 25)
        spool.append([Observations.of(level, ("weir",), np.zeros(25, int), at * 1_000_000, at * 0.01)])
        begin += 25
        print(begin, flush=True)
    """
)


def test_every_acknowledged_reading_is_there_exactly_once_after_fifteen_kills(tmp_path: Path) -> None:
    rng = np.random.default_rng(15)
    acknowledged = 0
    for _ in range(15):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(acknowledged)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        for _ in range(int(rng.integers(1, 40))):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        # what was printed before the kill was acknowledged too; a torn last line was not
        acknowledged = max([acknowledged, *(int(line) for line in rest.split("\n")[:-1])])
    told = Spool(tmp_path).read(LEVEL, to_us=acknowledged * 1_000_000)
    assert told.time_us.tolist() == [t * 1_000_000 for t in range(acknowledged)]
    assert acknowledged > 15 * 25


def test_nothing_is_acknowledged_while_the_folder_of_a_new_segment_is_not_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, asked = Spool(tmp_path), list[Path]()
    sync = spool_module._sync_folder

    def broken(folder: Path) -> None:
        asked.append(folder)
        if len(asked) < 3:
            raise OSError(errno.EIO, "the folder is not synced")
        sync(folder)

    monkeypatch.setattr(spool_module, "_sync_folder", broken)
    for _ in range(2):
        with pytest.raises(Unavailable, match="not acknowledged|nothing is acknowledged"):
            spool.append([batch(0)])
    assert spool.append([batch(0)]) == 10
    assert len(asked) == 3
    assert len(spool.read(LEVEL)) == 10


def test_the_oldest_segment_goes_also_where_a_new_file_finds_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, segment_bytes=500, keep_bytes=100_000)
    for begin in (0, 10, 20):
        spool.append([batch(begin)])
    opened, failed = io.FileIO, list[str]()

    def full(path: Path, mode: str) -> io.FileIO:
        if not failed:
            failed.append(str(path))
            raise OSError(errno.ENOSPC, "no room for a new file")
        return opened(path, mode)

    monkeypatch.setattr(spool_module.io, "FileIO", full)
    assert spool.append([batch(30)]) == 10
    assert (len(failed), spool.dropped_segments) == (1, 1)
    assert len(spool.read(LEVEL)) == 30


def test_two_who_read_the_blocks_at_once_each_get_every_one(tmp_path: Path) -> None:
    class Moved(Spool):
        """A reader that always finds that another one has moved the place since it last looked."""

        looks = 0
        _other: tuple[int, Path, int] | None = None

        @property
        def _place(self) -> tuple[int, Path, int] | None:
            self.looks += 1
            return self._kept if self.looks % 3 else self._other

        @_place.setter
        def _place(self, place: tuple[int, Path, int] | None) -> None:
            self._kept, self.looks = place, 0

    spool = Moved(tmp_path)
    for begin in range(0, 50, 10):
        spool.append([batch(begin)])
    assert next(spool.blocks(0)).number == 1
    spool._other = (4, next(tmp_path.glob("segment-*")), sum(list(_raw(next(tmp_path.glob("segment-*")).read_bytes()))[:4]))
    assert [block.number for block in spool.blocks(1)] == [2, 3, 4, 5]


def _raw(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        _, header, columns, _ = HEAD.unpack_from(data, at)
        yield HEAD.size + header + columns
        at += HEAD.size + header + columns
