"""How fast the ledger writes, proves and verifies: python benchmarks/ledger.py [ENTRIES]. Prints the table of docs/concepts/ledger.md.

The file is on the disk of the temporary folder (TMPDIR). A line of a plain file with one fsync each is written in the same run: it is what the
disk itself can do.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tocsin.host import VirtualClock
from tocsin.platform.ledger import open_ledger
from tocsin.security import Actor, RoleGate, check_entry
from tocsin.vocabulary import Level, Warning, encode_record

NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
PLATFORM = Actor("platform", frozenset({"system"}))


def warning(number: int) -> Warning:
    """A record of usual length."""
    return Warning(
        time=NOON,
        subject=f"gauge-{number}",
        hazard="flood",
        rule="river level high",
        level=Level.ORANGE,
        before=Level.YELLOW,
        reason=f"the level is {3 + number / 1e6:.6f} m, over the 3.0 m at which the lower road is closed, and rises",
        value=3 + number / 1e6,
        unit="m",
        public=True,
    )


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(entries: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def plain() -> None:
            with (folder / "plain").open("wb", buffering=0) as file:
                for _ in range(1_000):
                    file.write(b"x" * 500)
                    os.fsync(file.fileno())

        rows = [("a plain file, one fsync a line, in the same run", f"{1_000 / seconds(plain):,.0f} lines/s")]
        ledger = open_ledger(folder / "data", clock=VirtualClock(NOON), gate=RoleGate(), purpose="demo")
        single, done = 2_000, 0

        def one_by_one() -> None:
            for k in range(single):
                ledger.append(PLATFORM, [warning(k)])

        rows.append(("append, one record at a time", f"{single / seconds(one_by_one):,.0f} records/s"))
        done = single

        def by_hundreds() -> None:
            for first in range(done, entries, 100):
                ledger.append(PLATFORM, [warning(k) for k in range(first, min(first + 100, entries))])

        rows.append(("append, 100 records at a time", f"{(entries - done) / seconds(by_hundreds):,.0f} records/s"))
        rows.append((f"verify all of {entries:,} entries", f"{seconds(ledger.verify):.1f} s"))
        rows.append((f"read all of {entries:,} entries", f"{seconds(lambda: sum(1 for _ in ledger.read())):.1f} s"))
        chance = random.Random(1)
        names = [entry.id for entry in ledger.read(entries - 5_000)]
        chosen = [chance.choice(names) for _ in range(500)]
        rows.append(("prove one entry", f"{seconds(lambda: [ledger.prove(n) for n in chosen]) / 500 * 1e3:.2f} ms"))
        proof = ledger.prove(chosen[0])
        rows.append(("check one proof", f"{seconds(lambda: [check_entry(proof) for _ in range(500)]) / 500 * 1e3:.2f} ms"))
        old = [chance.randrange(entries) for _ in range(500)]
        rows.append(("consistency proof", f"{seconds(lambda: [ledger.consistency_proof(n) for n in old]) / 500 * 1e3:.2f} ms"))
        ledger.close()
        size = (folder / "data" / "tocsin.db").stat().st_size
        record_bytes = len(encode_record(warning(0)))
        rows.append((f"on disk, of which {record_bytes} bytes are the record itself", f"{size / entries:,.0f} bytes an entry"))
    print("| what | measured |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
