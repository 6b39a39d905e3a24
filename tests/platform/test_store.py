"""The database file: opened with care, written by one process, and never half."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tocsin.host import VirtualClock
from tocsin.platform.store import Store, open_store
from tocsin.platform.store.disk import NETWORK_KINDS, filesystem_of
from tocsin.platform.store.migrations import MIGRATIONS, Migration
from tocsin.testing.ledger_promises import NOON
from tocsin.vocabulary import Conflict, InputError, NotFound, Unavailable


def opened(folder: Path, **options: object) -> Store:
    return open_store(folder, clock=VirtualClock(NOON), **options)  # type: ignore[arg-type]


def test_every_step_is_recorded_once(tmp_path: Path) -> None:
    for _ in range(2):
        store = opened(tmp_path)
        with store.reading() as db:
            rows = db.execute("SELECT number, name, applied FROM migration").fetchall()
        store.close()
        assert rows == [(step.number, step.name, NOON.isoformat()) for step in MIGRATIONS]


def test_steps_are_numbered_from_one_without_a_gap() -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_an_older_database_is_brought_up_step_by_step(tmp_path: Path) -> None:
    Store(tmp_path, clock=VirtualClock(NOON), migrations=MIGRATIONS[:1]).close()
    with pytest.raises(InputError, match=r"older Tocsin"):
        opened(tmp_path, read_only=True)
    opened(tmp_path).close()
    opened(tmp_path, read_only=True).close()


def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    opened(tmp_path).close()
    broken = Migration(len(MIGRATIONS) + 1, "broken", ("CREATE TABLE half (x)", "CREATE TABLE entry (x)"))
    with pytest.raises(Unavailable, match=r"already exists"):
        Store(tmp_path, clock=VirtualClock(NOON), migrations=(*MIGRATIONS, broken))
    store = opened(tmp_path)
    with store.reading() as db:
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)
    store.close()


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "tocsin.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match=r"of a newer Tocsin.*update Tocsin"):
        opened(tmp_path)


def test_a_database_that_other_steps_built_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "tocsin.db") as db:
        db.execute("UPDATE migration SET name = 'fork' WHERE number = 2")
    with pytest.raises(InputError, match="built by other steps"):
        opened(tmp_path)


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "tocsin.db") as db:
        db.execute("CREATE TABLE bookmarks (x)")
    with pytest.raises(InputError, match="another program"):
        opened(tmp_path)
    with sqlite3.connect(tmp_path / "tocsin.db") as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


@pytest.mark.parametrize("rubbish", [b"hello" * 1_000, b"SQLite format 3\x00" + b"\xff" * 5_000])
@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, rubbish: bytes, read_only: bool) -> None:
    (tmp_path / "tocsin.db").write_bytes(rubbish)
    with pytest.raises(InputError, match=r"not a database|damaged"):
        opened(tmp_path, read_only=read_only)
    assert (tmp_path / "tocsin.db").read_bytes() == rubbish


def test_a_folder_that_is_a_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        opened(tmp_path / "data")


def test_nothing_is_read_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        opened(tmp_path / "no", read_only=True)
    assert not (tmp_path / "no").exists()


def test_a_second_writer_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(Conflict, match=f"is written by process {os.getpid()} on .* already"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_another_process_is_refused_too_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, datetime\n"
        "from tocsin.host import WallClock\n"
        "from tocsin.platform.store import open_store\n"
        "store = open_store(pathlib.Path(sys.argv[1]), clock=WallClock())\n"
        "sys.stdout.write('open\\n'); sys.stdout.flush(); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(Conflict, match=f"process {other.pid} "):
            opened(tmp_path)
    finally:
        other.kill()
        other.communicate()
    opened(tmp_path).close()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    store = opened(tmp_path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(reader, 1)
        os._exit(0)
    store.close()
    opened(tmp_path).close()  # the child still lives
    os.write(writer, b"x")
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.writing() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
    store.close()


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    store = opened(tmp_path)

    def broken() -> None:
        with store.writing() as db:
            db.execute("INSERT INTO tree VALUES (1, x'00')")
            with store.writing() as inner:
                inner.execute("INSERT INTO tree VALUES (2, x'00')")
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        broken()
    with store.writing() as db:
        db.execute("INSERT INTO tree VALUES (3, x'00')")
    with store.reading() as db:
        assert db.execute("SELECT position FROM tree").fetchall() == [(3,)]
    store.close()


def test_a_reader_sees_one_moment(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.reading() as db:
        assert db.execute("SELECT count(*) FROM tree").fetchone() == (0,)
        with store.writing() as writer:
            writer.execute("INSERT INTO tree VALUES (1, x'00')")
        assert db.execute("SELECT count(*) FROM tree").fetchone() == (0,)
    with store.reading() as db:
        assert db.execute("SELECT count(*) FROM tree").fetchone() == (1,)
    store.close()


def test_many_threads_write_and_read_at_once(tmp_path: Path) -> None:
    store, faults = opened(tmp_path), list[BaseException]()

    def work(thread: int) -> None:
        try:
            for k in range(25):
                with store.writing() as db:
                    db.execute("INSERT INTO tree VALUES (?, x'00')", (thread * 100 + k,))
                with store.reading() as db:
                    assert db.execute("SELECT 1 FROM tree WHERE position = ?", (thread * 100 + k,)).fetchone()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with store.reading() as db:
        assert db.execute("SELECT count(*) FROM tree").fetchone() == (300,)
    store.close()


def test_another_program_that_holds_the_file_makes_it_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.platform.store.database.BUSY_MS", 10)
    store = opened(tmp_path)
    other = sqlite3.connect(tmp_path / "tocsin.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="another program holds the file"), store.writing():
        raise AssertionError("not reached")
    other.execute("ROLLBACK")
    with store.writing() as db:
        db.execute("INSERT INTO tree VALUES (1, x'00')")
    other.close()
    store.close()


def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.close()
    store.close()
    with pytest.raises(Unavailable, match="is closed"), store.writing():
        raise AssertionError("not reached")
    with pytest.raises(Unavailable, match="is closed"), store.reading():
        raise AssertionError("not reached")


def test_our_own_mistakes_cannot_change_an_entry(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with store.writing() as db:
        db.execute("INSERT INTO entry VALUES (1, 'a', 'b', 'c', x'00')")
    for statement in ("UPDATE entry SET actor = 'eve'", "DELETE FROM entry"):
        with pytest.raises(Conflict, match="append-only"), store.writing() as db:
            db.execute(statement)
    store.close()


MOUNTS = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt/share rw,relatime shared:12 - nfs4 server:/share rw
31 22 0:27 / /mnt/with\040blank rw - cifs //server/x rw
32 30 0:28 / /mnt/share/local rw - xfs /dev/vdb rw
a line that is none
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/tocsin", "ext4"),
        ("/mnt/share", "nfs4"),
        ("/mnt/share/a/b", "nfs4"),
        ("/mnt/shared", "ext4"),
        ("/mnt/with blank/a", "cifs"),
        ("/mnt/share/local/a", "xfs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    assert filesystem_of(Path(folder), MOUNTS) == kind


def test_a_folder_on_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / {tmp_path.resolve()} rw - nfs4 server:/share rw\n")
    monkeypatch.setattr("tocsin.platform.store.disk.MOUNTS", mounts)
    with pytest.raises(InputError, match=r"network file system \(nfs4\).*local disk"):
        opened(tmp_path / "data")
    assert "ext4" not in NETWORK_KINDS
