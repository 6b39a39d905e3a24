"""How fast gas is spread and its source found, beside the plain sum in NumPy and a plain search, in one run.

    python benchmarks/plume.py [--json]

Spreading: 1 km x 1 km at 10 m, one hour of a steady release in class D, with peak, running means against limits for six windows, toxic load and air indoors at all
10,000 cells. The peer is the dense sum of the same puffs at moments a second apart, at a few cells, scaled to all of them: it makes the mean concentration
alone. Finding: ten sensors, 3,600 places, 13 errors of the wind's direction. Compiling is not in the figures; each is the best of three, in seconds of one
core, so other work on the machine counts less. Aims: under 1 s and under 10 s.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tocsin.science.dispersion import spread
from tocsin.science.puffs import Release, Wind, breathed, going_to, puffs_plainly, ways, widths
from tocsin.science.source_location import SCATTER, Sensors, find_source, responses

CELLS, CELL_M, HOUR_S = 100, 10.0, 3_600.0
WINDOWS_S = (60.0, 600.0, 1_800.0, 3_600.0, 14_400.0, 28_800.0)
PEER_CELLS = 50


def best(work: Callable[[], Any], times: int = 3) -> float:
    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(times))


def spreading(stability: int) -> dict[str, float]:
    release = Release(5.0, 505.0, np.zeros(1), np.ones(1))
    wind = Wind.of([3.0, 3.0, 3.0], [270.0, 285.0, 255.0], [0.0, 1_800.0, 3_600.0])
    grows = widths([spread(ways(), stability)])
    limits = np.full((3, 6), 1e-5) * np.array([[0.1], [1.0], [10.0]])

    def fast() -> np.ndarray:
        made = breathed(
            [release], wind, grows, x_min_m=0.0, y_max_m=1_000.0, cell_m=CELL_M, shape=(CELLS, CELLS), duration_s=HOUR_S, windows_s=WINDOWS_S,
            limits=limits, seen_from=1e-6, z_m=0.0,
        )  # fmt: skip
        return made.dose / HOUR_S

    got = fast()
    seconds = best(fast)
    k = np.arange(CELLS**2)
    near = (
        np.hypot((k % CELLS + 0.5) * CELL_M - 5.0, 1_000.0 - (k // CELLS + 0.5) * CELL_M - 505.0) < 30.0
    )  # at the source it is infinite
    cells = np.random.default_rng(0).choice(np.flatnonzero((got > 1e-4 * got[~near].max()) & ~near), PEER_CELLS, replace=False)
    x_m, y_m = (cells % CELLS + 0.5) * CELL_M, 1_000.0 - (cells // CELLS + 0.5) * CELL_M
    began = time.process_time()
    plain = puffs_plainly(
        [release],
        wind,
        grows,
        x_m,
        y_m,
        from_s=0.0,
        until_s=HOUR_S,
        duration_s=HOUR_S,
        every_s=1.0,
        puff_s=20.0,
        widen_m=CELL_M / np.sqrt(12),
        z_m=0.0,
    )
    peer = (time.process_time() - began) * CELLS**2 / PEER_CELLS
    off = np.abs(got[cells] / plain - 1.0)
    return {
        "seconds": seconds,
        "peer_seconds": peer,
        "ratio": peer / seconds,
        "median_off": float(np.median(off)),
        "worst_off": float(off.max()),
    }


def finding() -> dict[str, float]:
    chance = np.random.default_rng(1)
    at = chance.uniform(0.0, 3_000.0, (2, 10))
    east, north = going_to(np.full(12, 3.0), 250.0 + chance.normal(0.0, 8.0, 12))
    nothing = Sensors(at[0], at[1], np.zeros(10), np.full(10, 1e-7))
    truth = responses(nothing, np.array([700.0]), np.array([1_200.0]), east, north, 4, "rural")[0]
    reading = 2.0 * truth * np.exp(chance.normal(0.0, SCATTER, 10))
    middle = (np.arange(60) + 0.5) * 50.0
    x_m, y_m = (a.ravel() for a in np.meshgrid(middle, middle))

    def find() -> Any:
        return find_source(
            Sensors(at[0], at[1], reading, nothing.sees_from),
            x_m,
            y_m,
            wind_east=east,
            wind_north=north,
            stability=4,
            cell_m=50.0,
        )

    found = find()
    inside = bool(found.region(0.9)[int(1_200.0 // 50) * 60 + int(700.0 // 50)])
    return {
        "seconds": best(find),
        "seen": float(found.seen),
        "held_by_90": float(inside),
        "region_km2": float(found.region(0.9).sum()) * 50.0**2 / 1e6,
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--json", action="store_true")
    told = {f"spread, class {name}": spreading(k) for name, k in (("B", 2), ("D", 4), ("F", 6))} | {"find, 10 sensors": finding()}
    if asked.parse_args().json:
        print(json.dumps(told))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name, row in told.items():
        print(f"{name:18}", "  ".join(f"{key} {value:.3g}" for key, value in row.items()))


if __name__ == "__main__":
    main()
