"""Readings of many nodes in a real PostgreSQL: each block once, whatever breaks in between."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import numpy as np
import pytest

from tocsin.edge import Spool
from tocsin.edge.settings import read_settings
from tocsin.edge.status import Copy
from tocsin.host import WallClock
from tocsin.interfaces.edge import Edge
from tocsin.platform import postgres as postgres_module
from tocsin.platform.postgres import Copier, PostgresReadings, open_copier
from tocsin.vocabulary import InputError, Observations, Quantity, Unavailable

pytestmark = pytest.mark.postgres

LEVEL = Quantity("water_level", "m", -5.0, 20.0)
HOUR_US = 3_600_000_000


def ask(url: str, sql: str) -> list[asyncpg.Record]:
    async def run() -> list[asyncpg.Record]:
        line = await asyncpg.connect(url)
        try:
            return list(await line.fetch(sql))
        finally:
            await line.close()

    return asyncio.run(run())


@pytest.fixture
def readings(postgres: str) -> Iterator[PostgresReadings]:
    opened = PostgresReadings(postgres)
    yield opened
    opened.close()


def batch(first: int, rows: int = 50, sites: tuple[str, ...] = ("north", "south")) -> Observations:
    number = np.arange(first, first + rows)
    value = np.where(number % 7 == 3, np.nan, number / 10.0)
    return Observations.of(LEVEL, sites, number % len(sites), number * HOUR_US, value, arrived_us=number * HOUR_US + 5)


def columns(seen: Observations) -> list[tuple[str, int, float, int, int]]:
    names = [seen.sites[k] for k in seen.site]
    value = np.where(np.isnan(seen.value), -999.0, seen.value)
    return sorted(zip(names, seen.time_us.tolist(), value.tolist(), seen.flag.tolist(), seen.arrived_us.tolist(), strict=True))


def test_what_a_spool_has_is_in_the_database_once_with_flags_gaps_and_arrival(tmp_path: Path, readings: PostgresReadings) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([batch(0), batch(50)])
    copier = Copier(spool, "one", readings)
    assert copier.step() == 100
    assert copier.step() == 0
    spool.append([batch(100)])
    assert (copier.step(), copier.waiting) == (50, 0)
    assert columns(readings.read(LEVEL)) == columns(spool.read(LEVEL))
    part = readings.read(LEVEL, sites=["north"], from_us=10 * HOUR_US, to_us=20 * HOUR_US)
    assert part.sites == ("north",)
    assert part.time_us.tolist() == [hour * HOUR_US for hour in range(10, 20, 2)]


def test_a_copy_that_is_done_again_writes_nothing_twice(tmp_path: Path, readings: PostgresReadings) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([batch(0), batch(50)])
    blocks = list(spool.blocks(0))
    assert readings.copy("one", blocks[:1]).readings == 50
    assert readings.copy("one", blocks).readings == 50  # the first is there already
    assert readings.copy("one", blocks).readings == 0
    assert readings.copy("another node", blocks).readings == 100
    assert readings.copied("one") == blocks[-1].number


def test_units_that_do_not_agree_are_refused_and_leave_nothing(tmp_path: Path, readings: PostgresReadings) -> None:
    spool = Spool(tmp_path / "spool")
    feet = Quantity("water_level", "ft", -5.0, 20.0)
    spool.append([batch(0, sites=("north",))])
    Copier(spool, "one", readings).step()
    spool.append([batch(1, sites=("new",)), Observations.of(feet, ("north",), [0], [9], [1.0])])
    with pytest.raises(InputError, match="stored in m; got ft"):
        Copier(spool, "one", readings).step()
    assert readings.read(LEVEL).sites == ("north",)
    good = Spool(tmp_path / "good")
    good.append([batch(1, sites=("new",))])  # the stream that was numbered in what was rolled back is numbered again
    assert Copier(good, "two", readings).step() == 50
    assert readings.read(LEVEL).sites == ("new", "north")


def test_a_connection_that_breaks_loses_nothing(tmp_path: Path, postgres: str, readings: PostgresReadings) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([batch(0)])
    copier = Copier(spool, "one", readings)
    copier.step()
    ask(
        postgres,
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    )
    spool.append([batch(50)])
    with contextlib.suppress(Unavailable):  # the first call may be the one that finds out
        copier.step()
    copier.step()
    assert columns(readings.read(LEVEL)) == columns(spool.read(LEVEL))


def test_a_server_that_is_not_there_is_said_without_the_password(tmp_path: Path) -> None:
    nowhere = PostgresReadings("postgresql://me:secret@127.0.0.1:1/none", timeout_s=2.0)
    with pytest.raises(Unavailable) as said:
        nowhere.copied("one")
    nowhere.close()
    assert "127.0.0.1:1" in str(said.value)
    assert "secret" not in str(said.value)


def test_a_copier_that_is_killed_at_any_moment_copies_each_reading_once(tmp_path: Path, postgres: str) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([batch(50 * k) for k in range(400)])
    wanted = columns(spool.read(LEVEL))
    spool.close()
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from tocsin.edge import Spool
        from tocsin.platform import postgres
        postgres.ROWS_A_COPY = 500
        copier = postgres.Copier(Spool(Path(sys.argv[1])), "one", postgres.PostgresReadings(sys.argv[2]))
        print("on", flush=True)
        while copier.step():
            pass
        print("done", flush=True)
    """)
    rng = np.random.default_rng(5)
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "spool"), postgres], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(float(rng.uniform(0.01, 0.25)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "spool"), postgres], check=True, timeout=60)
    done = PostgresReadings(postgres)
    try:
        assert columns(done.read(LEVEL)) == wanted
    finally:
        done.close()


def test_tables_of_another_version_are_never_written_however_often_it_is_tried(postgres: str, readings: PostgresReadings) -> None:
    readings.copied("one")
    ask(postgres, "update tocsin_version set number = 99")
    other = PostgresReadings(postgres)
    for _ in range(2):
        with pytest.raises(InputError, match="of version 99"):
            other.copied("one")
    other.close()


def test_a_node_that_was_put_back_from_a_backup_copies_nothing_and_says_so(tmp_path: Path, readings: PostgresReadings) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([batch(0), batch(50)])
    Copier(spool, "one", readings).step()
    older = Spool(tmp_path / "older")
    older.append([batch(0)])
    with pytest.raises(InputError, match="put back from a backup"):
        Copier(older, "one", readings).step()


def test_a_reading_that_two_nodes_had_is_read_once(tmp_path: Path, readings: PostgresReadings) -> None:
    for name in ("one", "two"):
        spool = Spool(tmp_path / name)
        spool.append([batch(0)])
        Copier(spool, name, readings).step()
    assert columns(readings.read(LEVEL)) == columns(spool.read(LEVEL))


def test_blocks_that_were_dropped_before_they_were_copied_are_counted(tmp_path: Path, readings: PostgresReadings) -> None:
    spool = Spool(tmp_path / "spool", segment_bytes=2_000, keep_bytes=6_000)
    for first in range(0, 500, 50):
        spool.append([batch(first)])
    copier = Copier(spool, "one", readings)
    copier.step()
    held = sum(1 for _ in spool.blocks(0))
    assert copier.status().lost_blocks == spool.number - held > 0


class Broken:
    """A database for which a fault of ours comes first; then it works."""

    def __init__(self) -> None:
        self.asked = 0
        self.works = threading.Event()

    def copied(self, _: str) -> int:
        self.asked += 1
        if self.asked < 3:
            raise KeyError("ours")
        self.works.set()
        return 0

    def close(self) -> None:
        """There is nothing to close."""


def test_a_fault_of_ours_does_not_end_the_copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "BACKOFF_MOST_S", 0.01)
    target = Broken()
    copier = Copier(Spool(tmp_path), "one", target)  # type: ignore[arg-type]
    with copier.running():
        assert target.works.wait(30.0)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [("postgresql://a@b/c", 0o644, "chmod 600"), ("a b", 0o600, "one line"), ("mysql://a:hidden@b/c", 0o600, "one line")],
)
def test_an_address_that_others_may_read_or_that_is_none_is_refused_without_saying_it(
    tmp_path: Path, text: str, mode: int, words: str
) -> None:
    file = tmp_path / "url"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(InputError, match=words) as said:
        open_copier(Spool(tmp_path / "spool"), file)
    assert "hidden" not in str(said.value)


def test_a_node_copies_what_it_stores_and_its_status_says_how_much_waits(tmp_path: Path, postgres: str) -> None:
    (tmp_path / "url").write_text(f"{postgres}\n")
    (tmp_path / "url").chmod(0o600)
    file = tmp_path / "edge.toml"
    file.write_text(
        '[node]\nname = "n"\ndata = "data"\n[spool]\nreserve_mb = 0\n[postgres]\nurl_file = "url"\n'
        '[[quantity]]\nname = "water_level"\nunit = "m"\nlow = -5.0\nhigh = 20.0\n'
    )
    edge = Edge(read_settings(file), clock=WallClock())
    try:
        edge.node.take(batch(0))
        assert edge.copier is not None
        assert edge.status().postgres == Copy(50, "", 0)
        reader = PostgresReadings(postgres)

        async def run() -> None:
            stop = asyncio.Event()
            running = asyncio.create_task(edge.run(stop))
            async with asyncio.timeout(30.0):
                while len(await asyncio.to_thread(reader.read, LEVEL)) < 50:
                    await asyncio.sleep(0.05)
            stop.set()
            await running

        asyncio.run(run())
        assert edge.status().postgres == Copy(0, "", 0)
        assert columns(reader.read(LEVEL)) == columns(edge.spool.read(LEVEL))
        reader.close()
    finally:
        edge.close()
