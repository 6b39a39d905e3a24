"""A day of readings at rest: python benchmarks/history.py [--streams N] [--peer-streams N]. Prints a table.

One day of one-minute streams comes through the node's log, an hour a batch, and is compacted every two hours, as `tocsin serve` does
it. Times are whole seconds, jitter by up to two seconds around each minute, and 1 % of them are missing; values are a random walk
with steps of 3 mm, quantised to the millimetre; arrivals are log-normal around 0.4 s, to the microsecond; 0.2 % are flagged suspect.

The peer is a row for each observation in SQLite, with the key (stream, time), as istSOS 2 and most small services keep
them: stream, time, value, flag, arrival. It gets the same readings in order of time, in transactions of an hour; it is asked the same
questions, and its size is that of the file after VACUUM. It promises less: nothing is compared by value, a second value for a moment is an
error. Peers are measured with fewer streams where `--peer-streams` says so, and scaled by nothing: the row says how many readings.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from tocsin.edge import Spool
from tocsin.flows.observations import Question, summarise
from tocsin.platform.history import History, compact
from tocsin.vocabulary import Observations, Quantity

LEVEL = Quantity("river_level", "m", low=-5, high=60)
DAY = datetime(2026, 3, 1, tzinfo=UTC)
DAY_US = int(DAY.timestamp()) * 1_000_000
HOUR_US, MINUTE_US = 3_600_000_000, 60_000_000
AGAIN = 9


def a_day(streams: int, seed: int = 1) -> Iterator[Observations]:
    """The day, an hour a batch, in the order in which it comes."""
    chance = np.random.default_rng(seed)
    names = tuple(f"gauge-{k:05d}" for k in range(streams))
    level = chance.uniform(0.5, 4.0, streams)
    phase = chance.integers(0, 60, streams) * 1_000_000
    for hour in range(24):
        minutes = DAY_US + hour * HOUR_US + np.arange(60)[:, None] * MINUTE_US
        times = minutes + phase + chance.integers(-2, 3, (60, streams)) * 1_000_000
        walk = level + np.cumsum(chance.normal(0.0, 0.003, (60, streams)), axis=0)
        level = walk[-1]
        arrived = times + (chance.lognormal(np.log(0.4), 0.5, times.shape) * 1e6).astype(np.int64)
        came = chance.random(times.shape) > 0.01
        flag = np.where(chance.random(times.shape) < 0.002, 3, 1)
        site = np.broadcast_to(np.arange(streams), times.shape)
        yield Observations.of(
            LEVEL, names, site[came], times[came], np.round(walk[came], 3), arrived_us=arrived[came], flag=flag[came]
        )


def ms(do: Callable[[], object], again: int = AGAIN) -> str:
    """The median of several runs, and the slowest."""
    do()
    took = []
    for _ in range(again):
        begin = time.perf_counter()
        do()
        took.append((time.perf_counter() - begin) * 1e3)
    return f"{statistics.median(took):8.1f} ms (slowest {max(took):.1f})"


def ours(folder: Path, streams: int) -> None:
    """The log, its compaction, and the questions."""
    spool, readings, wrote, packed = Spool(folder / "readings"), 0, 0.0, 0.0
    for hour, batch in enumerate(a_day(streams)):
        begin = time.perf_counter()
        for minute in range(0, len(batch), 10_000):
            at = slice(minute, minute + 10_000)
            columns = {n: getattr(batch, n)[at] for n in ("site", "time_us", "value", "flag", "arrived_us")}
            spool.append([Observations(batch.quantity, batch.sites, **columns)])
        wrote += time.perf_counter() - begin
        readings += len(batch)
        if hour % 2:
            begin = time.perf_counter()
            report = compact(folder, now=DAY)
            packed += time.perf_counter() - begin
    spool.close()
    size = sum(p.stat().st_size for p in (folder / "history").rglob("*") if p.is_file())
    history = History(folder)
    held = history.measures()[0]
    assert held.readings == readings
    one = f"gauge-{streams // 3:05d}"
    end_us = DAY_US + 24 * HOUR_US
    last = Question(quantity="river_level", since=DAY + timedelta(hours=23), until=DAY + timedelta(hours=24))
    print(f"Tocsin: {readings:,} readings of {streams:,} streams, {held.parts} parts")
    print(f"  size                                {size / readings:8.2f} bytes a reading ({size / 2**20:.1f} MB)")
    print(
        f"  log, {readings / wrote / 1e6:.2f} M readings/s; compaction {packed:.1f} s in all, {readings / packed / 1e6:.2f} M readings/s"
    )
    print(
        "  one stream's day, Observations      "
        + ms(lambda: history.read("river_level", sites=[one], from_us=DAY_US, to_us=end_us))
    )
    cold = ms(lambda: History(folder).read("river_level", sites=[one], from_us=DAY_US, to_us=end_us))
    print("  the same, nothing opened before     " + cold)
    print(
        "  all streams' last hour, readings    " + ms(lambda: history.read("river_level", from_us=end_us - HOUR_US, to_us=end_us))
    )
    print("  all streams' last hour, mean a site " + ms(lambda: summarise(history, last, by="site")))
    day = Question(quantity="river_level", since=DAY, until=DAY + timedelta(hours=24))
    print("  the day, by site and hour           " + ms(lambda: summarise(history, day, by="site", every="1h"), 3))
    assert not report.damage


def sqlite(folder: Path, streams: int) -> None:
    """The peer in SQLite, WAL, synchronous = FULL like the log."""
    path = folder / "peer.sqlite"
    store = sqlite3.connect(path)
    store.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -262144;"
        "CREATE TABLE reading (stream INTEGER, time INTEGER, value REAL, flag INTEGER, arrived INTEGER, "
        "PRIMARY KEY (stream, time)) WITHOUT ROWID;"
    )
    readings, wrote = 0, 0.0
    for batch in a_day(streams):
        order = np.argsort(batch.time_us, kind="stable")
        rows = zip(*(getattr(batch, n)[order].tolist() for n in ("site", "time_us", "value", "flag", "arrived_us")), strict=True)
        begin = time.perf_counter()
        with store:
            store.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?)", rows)
        wrote += time.perf_counter() - begin
        readings += len(batch)
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.execute("VACUUM")
    end_us, one = DAY_US + 24 * HOUR_US, streams // 3
    print(f"SQLite, a row for each: {readings:,} readings of {streams:,} streams")
    print(f"  size                                {path.stat().st_size / readings:8.2f} bytes a reading")
    print(f"  written                             {readings / wrote / 1e6:8.2f} M readings/s")
    day = "SELECT time, value, flag FROM reading WHERE stream = ? AND time >= ? AND time < ?"
    print("  one stream's day                    " + ms(lambda: store.execute(day, (one, DAY_US, end_us)).fetchall()))
    hour = "SELECT stream, avg(value) FROM reading WHERE time >= ? AND time < ? GROUP BY stream"
    print("  all streams' last hour, mean a site " + ms(lambda: store.execute(hour, (end_us - HOUR_US, end_us)).fetchall(), 3))
    store.close()


def main() -> None:
    """Measure, in a folder that goes away."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--streams", type=int, default=10_000)
    told.add_argument("--peer-streams", type=int, default=2_000)
    asked = told.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tocsin-history-"))
    try:
        ours(folder, asked.streams)
        sqlite(folder, asked.peer_streams)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
