"""Whatever the process dies of, and wherever: the history and the log together say what was written, each reading once."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from history_place import DAY, HOUR, LEVEL, NOW, RAIN, T0, Oracle, batch, rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.edge import Spool
from tocsin.platform.history import History, compact, compaction
from tocsin.vocabulary import TocsinError

KILLS = int(os.environ.get("TOCSIN_KILLS", "10"))


class Crash(BaseException):
    """As if the process ended here: nothing catches it."""


@contextmanager
def crash_at(step: int, fault: BaseException) -> Iterator[None]:
    """Raise at the n-th thing that is asked of the disk: a sync, a rename or a deletion."""
    left = step
    before = os.fsync, Path.replace, Path.unlink

    def counted(kind: int):  # type: ignore[no-untyped-def]
        def do(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal left
            left -= 1
            if left < 0:
                raise fault
            return before[kind](*args, **kwargs)

        return do

    os.fsync, Path.replace, Path.unlink = (counted(k) for k in range(3))  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        os.fsync, Path.replace, Path.unlink = before  # type: ignore[method-assign]


VALUES = st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan"), 1e300])
TIMES = st.sampled_from([T0, T0 + 1, T0 + 999, T0 + HOUR, T0 + 6 * HOUR, T0 + DAY, T0 - 400 * DAY, T0 + 31 * DAY, 0, -(2**62)])
READING = st.tuples(st.sampled_from(["weir", "quay", "../up", ""]), TIMES, VALUES, st.sampled_from([1, 2, 3, 4]))
BATCH = st.tuples(st.sampled_from([LEVEL, RAIN]), st.lists(READING, min_size=1, max_size=12))
STEP = st.one_of(
    st.tuples(st.just("append"), st.lists(BATCH, min_size=1, max_size=3)),
    st.tuples(st.just("compact"), st.just(0)),
    st.tuples(st.just("crash"), st.integers(0, 40)),
    st.tuples(st.just("full disk"), st.integers(0, 40)),
    st.tuples(st.just("lose manifest"), st.integers(0, 3)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("drop compacted"), st.just(0)),
    st.tuples(st.just("query"), st.just(0)),
)


def make(several: list[tuple[object, list[tuple[str, int, float, int]]]]):  # type: ignore[no-untyped-def]
    told = []
    for quantity, readings in several:
        names = tuple(dict.fromkeys(r[0] for r in readings))
        told.append(
            batch(
                [r[1] for r in readings],
                [r[2] for r in readings],
                sites=names,
                site=[names.index(r[0]) for r in readings],
                flag=[r[3] for r in readings],
                quantity=quantity,  # type: ignore[arg-type]
            )
        )
    return told


def drop_compacted(data: Path) -> None:
    """What a node may do: let go of the segments that the history has."""
    path = data / "history" / "compacted.json"
    through = json.loads(path.read_bytes())["through"] if path.exists() else 0
    for segment in (data / "readings").glob("segment-*.log"):
        if int(segment.stem.rpartition("-")[2]) <= through:
            segment.unlink()


def spoil_manifest(data: Path, how: int) -> None:
    path = data / "history" / "manifest.json"
    if not path.exists():
        return
    whole = path.read_bytes()
    match how:
        case 0:
            path.unlink()
        case 1:
            path.write_bytes(whole[: len(whole) // 2])
        case 2:
            path.write_bytes(b"")
        case _:
            path.write_bytes(whole[:-3] + b"x" + whole[-2:])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=14), st.sampled_from([3, 20, 1_000_000]), st.sampled_from([200, 2_000]))
def test_any_order_of_writing_compacting_dying_and_asking_gives_what_was_written(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[str, object]], small: int, segment: int
) -> None:
    monkeypatch.setattr(compaction, "SMALL_ROWS", small)
    monkeypatch.setattr(compaction, "ROWS_AT_ONCE", 15)
    data, oracle = Path(tempfile.mkdtemp()), Oracle()
    spool = Spool(data / "readings", segment_bytes=segment)
    history = History(data)

    def check() -> None:
        for quantity in (LEVEL, RAIN):
            if (quantity.name, quantity.unit) in oracle.seen:
                assert rows_of(history.read(quantity.name)) == oracle.read(quantity)
                assert rows_of(History(data).read(quantity.name)) == oracle.read(quantity)

    try:
        for what, how in steps:
            match what:
                case "append":
                    told = make(how)  # type: ignore[arg-type]
                    spool.append(told)
                    oracle.append(told)
                case "compact":
                    compact(data, now=NOW)
                case "crash":
                    with suppress(Crash), crash_at(int(how), Crash()):  # type: ignore[call-overload]
                        compact(data, now=NOW)
                case "full disk":
                    no_space = OSError(errno.ENOSPC, "no space")
                    with suppress(TocsinError, OSError), crash_at(int(how), no_space):  # type: ignore[call-overload]
                        compact(data, now=NOW)
                case "lose manifest":
                    spoil_manifest(data, int(how))  # type: ignore[call-overload]
                case "drop compacted":
                    spool.close()
                    drop_compacted(data)
                    spool = Spool(data / "readings", segment_bytes=segment)
                case "restart":
                    spool.close()
                    spool = Spool(data / "readings", segment_bytes=segment)
                case _:
                    check()
        check()
        compact(data, now=NOW)
        check()
    finally:
        spool.close()
        shutil.rmtree(data)


@pytest.mark.parametrize("step", range(28))
@pytest.mark.parametrize("is_lost", [False, True], ids=["", "manifest lost too"])
def test_a_crash_at_each_step_of_aging_loses_no_reading_and_counts_none_twice(tmp_path: Path, step: int, is_lost: bool) -> None:
    spool = Spool(tmp_path / "readings")
    times = T0 + np.arange(0, 6 * DAY, 6 * HOUR)
    spool.append([batch(times[k : k + 5], times[k : k + 5] % 7) for k in range(0, times.size, 5)])
    compact(tmp_path, now=NOW)
    with crash_at(step, Crash()), suppress(Crash):
        compact(tmp_path, now=NOW, keep_raw=timedelta(days=28))
    if is_lost:
        spoil_manifest(tmp_path, 1)
    between = History(tmp_path)
    hours = sum(p.rows for p in between.manifest().parts if p.kind == "hourly")
    assert hours + len(between.read("river_level")) == times.size
    compact(tmp_path, now=NOW, keep_raw=timedelta(days=28))
    history = History(tmp_path)
    hours = [p for p in history.manifest().parts if p.kind == "hourly"]
    raw = history.read("river_level")
    assert sum(p.rows for p in hours) + len(raw) == times.size
    assert int(raw.time_us.min()) == T0 + 3 * DAY


@pytest.mark.parametrize("step", range(16))
def test_a_crash_at_each_step_of_a_merge_whose_manifest_is_lost_too_finds_nothing_twice(tmp_path: Path, step: int) -> None:
    spool = Spool(tmp_path / "readings")
    for k in range(2):
        spool.append([batch([T0 + k, T0 - 400 * DAY + k], [k, k])])
        with crash_at(step if k else 10_000, Crash()):
            try:
                compact(tmp_path, now=NOW)
            except Crash:
                spoil_manifest(tmp_path, 1)
    assert History(tmp_path).read("river_level").value.tolist() == [0, 1, 0, 1]
    compact(tmp_path, now=NOW)
    assert History(tmp_path).read("river_level").value.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("how", range(4))
def test_a_manifest_that_is_lost_is_made_again_from_the_parts_when_the_log_is_gone_too(tmp_path: Path, how: int) -> None:
    spool = Spool(tmp_path / "readings")
    spool.append([batch([T0, T0 - 400 * DAY], [1, 2]), batch([T0], [5], quantity=RAIN)])
    compact(tmp_path, now=NOW)
    spool.close()
    shutil.rmtree(tmp_path / "readings")
    spoil_manifest(tmp_path, how)
    for _ in range(2):
        history = History(tmp_path)
        assert history.read("river_level").value.tolist() == [2, 1]
        assert history.read("rain_amount").value.tolist() == [5]
        assert history.read("river_level").quantity == LEVEL
        compact(tmp_path, now=NOW)
    assert History(tmp_path).damage == []


def test_a_part_that_is_half_there_is_told_and_hides_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    spool.append([batch([T0, T0 - 400 * DAY], [1, 2])])
    compact(tmp_path, now=NOW)
    spool.append([batch([T0 + 1], [3])])
    broken = next((tmp_path / "history").rglob("2026/*.parquet"))
    broken.write_bytes(broken.read_bytes()[:-20])
    history = History(tmp_path)
    assert history.read("river_level").value.tolist() == [2, 3]
    assert any("0000000002.parquet" in line and "left out" in line for line in history.damage)
    report = compact(tmp_path, now=NOW)
    assert report.damage
    assert broken.exists()
    assert History(tmp_path).read("river_level").value.tolist() == [2, 3]


def test_a_bit_that_turned_round_on_disk_is_seen(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    spool.append([batch(T0 + np.arange(2000) * HOUR, np.random.default_rng(1).normal(size=2000))])
    compact(tmp_path, now=NOW)
    broken = next((tmp_path / "history").rglob("*.parquet"))
    whole = bytearray(broken.read_bytes())
    whole[len(whole) // 2] ^= 4
    broken.write_bytes(whole)
    history = History(tmp_path)
    assert len(history.read("river_level")) == 0
    assert "left out" in history.damage[0]


def test_a_damaged_block_of_the_log_is_told_and_the_rest_comes_in(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "readings")
    spool.append([batch([T0], [1])])
    size = spool.size_bytes
    spool.append([batch([T0 + 1], [2])])
    spool.append([batch([T0 + 2], [3])])
    segment = next((tmp_path / "readings").glob("*.log"))
    with segment.open("r+b") as file:
        file.seek(size + 40)
        file.write(b"\xff\xff")
    report = compact(tmp_path, now=NOW)
    assert (report.readings, len(report.damage)) == (2, 1)
    assert History(tmp_path).read("river_level").value.tolist() == [1, 3]


WRITER = """
    import sys, time
    from datetime import UTC, datetime
    from pathlib import Path
    from tocsin.platform.history import compact, compaction
    from tocsin.vocabulary import Conflict
    compaction.SMALL_ROWS, compaction.ROWS_AT_ONCE = 300, 200
    while True:
        try:
            compact(Path(sys.argv[1]), now=datetime(2026, 4, 1, tzinfo=UTC))
        except Conflict:
            time.sleep(0.001)
        print("done", flush=True)
"""


def test_a_compaction_that_is_killed_at_any_moment_loses_nothing_and_finds_nothing_twice(tmp_path: Path) -> None:
    spool, oracle, chance = Spool(tmp_path / "readings", segment_bytes=20_000), Oracle(), np.random.default_rng(7)
    for kill in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        wait = float(chance.uniform(0.0, 0.15))
        begin = time.monotonic()
        process.stdout.readline()
        while process.poll() is None:
            times = T0 + chance.integers(0, 3 * DAY, 40)
            told = [batch(times, chance.normal(size=40), sites=("weir", "quay"), site=chance.integers(0, 2, 40))]
            spool.append(told)
            oracle.append(told)
            if time.monotonic() - begin > wait:
                process.send_signal(signal.SIGKILL)
                process.wait()
        process.stdout.close()
        assert rows_of(History(tmp_path).read("river_level")) == oracle.read(LEVEL), f"kill {kill}"
    compact(tmp_path, now=NOW)
    assert rows_of(History(tmp_path).read("river_level")) == oracle.read(LEVEL)
