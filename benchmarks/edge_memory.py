"""What an edge node of 100 streams takes: python benchmarks/edge_memory.py [--streams N] [--readings N]. Prints a table.

The node is `tocsin-edge run` with the settings of docs/guide/edge.toml (rules, actions, MQTT, an uplink whose platform is not there),
and one file of 30,000 rows to read.
`peak` is the most that was resident at any moment (VmHWM), `steady` what is resident 3 s after the last reading was stored. Beside it,
what the same Python takes with nothing, and with NumPy: what no node in Python with columns could do without.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "guide" / "edge.toml"
NODE = "from tocsin.interfaces.edge_program import main; main()"


def memory_mb(pid: int) -> dict[str, float]:
    """VmHWM, VmRSS and what of it is the process's own."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmHWM", "VmRSS", "RssAnon", "RssFile")}


def asleep(program: str) -> dict[str, float]:
    """What a Python takes that ran this and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", f"{program}\nprint(1, flush=True)\ninput()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        told = memory_mb(process.pid)
        process.kill()
    return told


def node(streams: int, readings: int) -> tuple[dict[str, float], list[str]]:
    """The node, after it has read its file; and what it said last."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "inbox").mkdir()
        settings = GUIDE.read_text()
        settings = re.sub(r"(?m)^every_s = .*", "every_s = 0.5\nsettled_s = 0.0", settings)
        (place / "edge.toml").write_text(settings)
        subprocess.run([sys.executable, "-c", NODE, "keys", str(place / "edge.toml")], check=True, stdout=subprocess.DEVNULL)
        began = datetime.now(UTC) - timedelta(minutes=readings)
        rows = ["station,time,stage"]
        for number in range(readings):
            moment = (began + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
            rows += [f"gauge {k},{moment},{100 + k % 50 + number % 7}" for k in range(streams)]
        (place / "inbox" / "all.csv").write_text("\n".join(rows) + "\n")
        process = subprocess.Popen(
            [sys.executable, "-c", NODE, "run", str(place / "edge.toml")], cwd=place, stderr=subprocess.PIPE, text=True
        )
        spool, size, since = place / "data", -1, time.monotonic()
        while time.monotonic() - since < 3.0:
            time.sleep(0.1)
            found = sum(path.stat().st_size for path in spool.rglob("segment-*.log")) if spool.exists() else 0
            if found != size or not found:
                size, since = found, time.monotonic()
        told = memory_mb(process.pid)
        os.kill(process.pid, signal.SIGTERM)
        said = process.communicate(timeout=30)[1].splitlines()[-3:]
        return told, said


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--streams", type=int, default=100)
    asked.add_argument("--readings", type=int, default=300, help="of each stream")
    told = asked.parse_args()
    print("| what | peak, MB | steady, MB | of it its own | of it files |")
    print("|---|---:|---:|---:|---:|")
    what, _ = node(told.streams, told.readings)
    rows = {"bare Python": asleep(""), "Python and NumPy": asleep("import numpy"), f"a node of {told.streams} streams": what}
    for name, taken in rows.items():
        print(f"| {name} | {' | '.join(f'{taken[key]:.1f}' for key in ('VmHWM', 'VmRSS', 'RssAnon', 'RssFile'))} |")


if __name__ == "__main__":
    main()
