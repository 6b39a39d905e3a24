"""A process that is killed in the middle of writing: what it acknowledged is there, and nothing is half.

A kill does not take the machine's memory away, so this does not show that the disk keeps its word when the power fails; for that the
store asks SQLite to wait for the disk at each commit (synchronous = FULL).
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin.host import VirtualClock
from tocsin.platform.ledger import open_ledger
from tocsin.security import RoleGate
from tocsin.testing.ledger_promises import NOON, SYSTEM, note

KILLS = 20
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tocsin.host import VirtualClock
from tocsin.platform.ledger import open_ledger
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import Note

noon = datetime(2026, 5, 3, 12, tzinfo=UTC)
platform = Actor("platform", frozenset({"system"}))
folder, run = Path(sys.argv[1]), sys.argv[2]
ledger = open_ledger(folder, clock=VirtualClock(noon), gate=RoleGate(), purpose="demo")
for k in range(1_000_000):
    ids = ledger.append(platform, [Note(time=noon, subject="test", text=f"{run} {k} {j}") for j in range(k % 7 + 1)])
    sys.stdout.write(" ".join(ids) + "\\n")
    sys.stdout.flush()
"""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(20260503)
    acknowledged: list[list[str]] = []
    sizes = []
    for run in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(run)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(chance.randrange(1, 60))]
            # Somewhere in the next few appends: each takes some tenths of a millisecond.
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(chance.random() * 0.004)
            writer.kill()
            rest, errors = writer.communicate()
            assert lines[0], errors
        if not rest.endswith("\n"):
            rest = rest[: rest.rfind("\n") + 1]  # an acknowledgement that was cut off was not given
        acknowledged += [line.split() for line in (*lines, *rest.splitlines())]
        ledger = open_ledger(tmp_path, clock=VirtualClock(NOON), gate=RoleGate())
        sizes.append(ledger.verify())
        assert sizes[-1] == ledger.size() == ledger.tree_head().size
        if run == KILLS - 1:
            ledger.append(SYSTEM, [note("it goes on")])
            entries = list(ledger.read())
        ledger.close()
    written = [entry.id for entry in entries]
    assert {name for batch in acknowledged for name in batch} <= set(written)
    # Batches are whole: one of k % 7 + 1 notes is there with all of them or with none.
    found = [tuple(map(int, entry.record.text.split())) for entry in entries[:-1]]  # type: ignore[union-attr]
    for run in range(KILLS):
        of_run = [(k, j) for r, k, j in found if r == run]
        assert of_run == [(k, j) for k in range(max(k for k, _ in of_run) + 1) for j in range(k % 7 + 1)]
    assert sizes == sorted(set(sizes))
