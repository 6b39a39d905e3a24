"""How long a person waits before anything happens: `import tocsin` and `tocsin --help`, beside a bare Python in the same run.

    python benchmarks/startup.py [--runs 15]

Prints a table: the median and the best of the runs, and the ratio to the bare interpreter. The aim is 0.3 s for each. Fresh processes
are timed in turn, so that a busy moment hits all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

CASES = {
    "bare python": [sys.executable, "-c", "pass"],
    "import tocsin": [sys.executable, "-c", "import tocsin"],
    "tocsin --help": [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()", "--help"],
    "tocsin twin build --help": [
        sys.executable,
        "-c",
        "from tocsin.interfaces.cli import main; main()",
        "twin",
        "build",
        "--help",
    ],
    "import numpy": [sys.executable, "-c", "import numpy"],
}
AIM_S = 0.3


def measure(runs: int) -> dict[str, dict[str, float]]:
    """Seconds from the start of a process to its end, by case."""
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(runs + 1):
        for name, command in CASES.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - began)
    warm = {name: seconds[1:] for name, seconds in times.items()}  # the first run fills the disk cache
    bare = statistics.median(warm["bare python"])
    return {
        name: {"median_s": statistics.median(seconds), "best_s": min(seconds), "ratio": statistics.median(seconds) / bare}
        for name, seconds in warm.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="timed runs of each case (default: 15)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    found = measure(asked.runs)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    print("| what | median s | best s | times bare python |\n|---|---|---|---|")
    for name, row in found.items():
        print(f"| {name} | {row['median_s']:.3f} | {row['best_s']:.3f} | {row['ratio']:.1f} |")
    print(f"\nAim: `import tocsin` and `tocsin --help` under {AIM_S} s each.")


if __name__ == "__main__":
    main()
