"""How fast the flood kernel is, beside other solvers and the memory, in one run.

    python benchmarks/flood_kernel.py [--json] [--data FOLDER]

Needs the reference terrain (flood-reference/rain_on_valley_512.npz); landlab and anuga are measured where they can be
imported (pip install "landlab==2.9.2" anuga). Every rate is the best of three, in million cell-steps a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.science import shallow_water
from tocsin.science.shallow_water import FloodProblem, FloodRun, Inflow, Rain, Stage, simulate
from tocsin.vocabulary.series import Series

Floats = NDArray[np.float64]
BYTES_PER_CELL_STEP = 64  # depth 16, two discharges 16, four bed differences 16, two peaks 16: each read, five written
RAIN_MM_PER_H = 50.0


def best(work: Callable[[], float], times: int = 3) -> float:
    """The largest of some measurements."""
    return max(work() for _ in range(times))


def valley(ground: Floats) -> FloodProblem:
    return FloodProblem(ground, 10.0, 0.03, rain=Rain(Series.of([0.0, 3600.0], [RAIN_MM_PER_H, 0.0])))


def million_a_second(problem: FloodProblem, *, duration_s: float, threads: int = 1) -> float:
    start = time.perf_counter()
    run = simulate(problem, duration_s=duration_s, max_step_s=5.0, threads=threads)
    return run.cell_steps / (time.perf_counter() - start) / 1e6


def two_members(problem: FloodProblem, *, duration_s: float) -> float:
    """Two runs, each on a thread of its own: what an ensemble does."""
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        runs: list[FloodRun] = list(pool.map(lambda _: simulate(problem, duration_s=duration_s, max_step_s=5.0), range(2)))
    return sum(run.cell_steps for run in runs) / (time.perf_counter() - start) / 1e6


def triad_gb_per_s(threads: int) -> float:
    """STREAM's triad a = b + s c on float64 arrays of 128 MB; three arrays counted, as STREAM does."""
    from numba import njit

    @njit(nogil=True)  # type: ignore[untyped-decorator]
    def triad(a: Any, b: Any, c: Any) -> None:
        for i in range(a.size):
            a[i] = b[i] + 3.0 * c[i]

    size = 16_000_000
    parts = [tuple(np.ones(size // threads) for _ in range(3)) for _ in range(threads)]
    triad(*(p[:8] for p in parts[0]))

    def once() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda p: triad(*p), parts))
        return 3 * 8 * size / (time.perf_counter() - start) / 1e9

    return best(once, 5)


def landlab(ground: Floats) -> float | None:
    """Landlab's OverlandFlow (de Almeida et al. 2012), steep_slopes=True: its default goes negative on this terrain."""
    try:
        from landlab import RasterModelGrid
        from landlab.components import OverlandFlow
    except (ImportError, SyntaxError):
        return None
    grid = RasterModelGrid(ground.shape, xy_spacing=10.0)
    grid.add_field("topographic__elevation", ground.ravel().copy(), at="node")
    grid.add_zeros("surface_water__depth", at="node")
    grid.set_closed_boundaries_at_grid_edges(True, True, True, True)
    flow = OverlandFlow(grid, steep_slopes=True, mannings_n=0.03, alpha=0.7, rainfall_intensity=RAIN_MM_PER_H / 3.6e6)

    def once(steps: int = 20) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            flow.overland_flow(dt=min(flow.calc_time_step(), 5.0))
        return ground.size * steps / (time.perf_counter() - start) / 1e6

    return best(once)


def anuga_triangles(ground: Floats) -> float | None:
    """ANUGA: full shallow water, finite volumes on triangles; two triangles a cell, million triangle-steps a second."""
    try:
        import anuga
    except ImportError:
        return None
    rows, columns = (side // 2 for side in ground.shape)  # a quarter of the grid: it is slow
    domain = anuga.rectangular_cross_domain(columns, rows, len1=10.0 * columns, len2=10.0 * rows)
    domain.set_quantities_to_be_stored(None)
    domain.set_name("flood_kernel_benchmark")
    domain.set_store(False)
    here = ground[:rows, :columns]
    domain.set_quantity(
        "elevation", lambda x, y: here[np.minimum(y / 10.0, rows - 1).astype(int), np.minimum(x / 10.0, columns - 1).astype(int)]
    )
    domain.set_quantity("stage", expression="elevation + 0.05")
    domain.set_quantity("friction", 0.03)
    wall = anuga.Reflective_boundary(domain)
    domain.set_boundary({"left": wall, "right": wall, "top": wall, "bottom": wall})
    start = time.perf_counter()
    for _ in domain.evolve(yieldstep=5.0, duration=20.0):
        pass
    return float(domain.number_of_triangles * domain.number_of_steps / (time.perf_counter() - start) / 1e6) or None


def breach(ground: Floats) -> dict[str, float]:
    """20 m3/s into one dry cell for half an hour: seconds with sleeping tiles, and with every tile awake."""
    lowest = np.unravel_index(np.argmin(ground[100:400, 100:400]), (300, 300))
    cell = np.array([[lowest[0] + 100, lowest[1] + 100]])
    problem = FloodProblem(ground, 10.0, inflows=(Inflow(cell, Series.constant(20.0)),))

    def seconds(always_all: bool) -> float:
        run = shallow_water._Run(
            problem, duration_s=1800.0, threads=1, always_all=always_all, wet_depth_m=0.1, theta=0.9, courant=0.7,
            max_step_s=60.0, flow_depth_m=1e-4, rest_m2_per_s=1e-3,
        )  # fmt: skip
        start = time.perf_counter()
        run.go((), None)
        return time.perf_counter() - start

    sleeping = min(seconds(False) for _ in range(3))
    return {"sleeping_s": sleeping, "all_awake_s": seconds(True)}


def start_seconds() -> dict[str, float]:
    """A new process up to the end of a tiny run: with an empty cache, and with the cache that the first has left."""
    code = (
        "import numpy as np; from tocsin.science.shallow_water import FloodProblem, simulate;"
        "simulate(FloodProblem(np.zeros((4, 4)), 10.0), duration_s=1.0)"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}

        def once() -> float:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], env=environment, check=True)
            return time.perf_counter() - start

        return {"first_s": once(), "cached_s": min(once() for _ in range(3))}


def porto_alegre(data: Path) -> dict[str, float] | None:
    """24 h of the city with the lake rising to 5.35 m in six hours, held, and falling to 4 m."""
    try:
        import rasterio
    except ImportError:
        return None
    with rasterio.open(data / "porto-alegre" / "elevation.tif") as source:
        ground = source.read(1).astype(np.float64)
    level = Series.of([0.0, 21600.0, 43200.0, 86400.0], [2.0, 5.35, 5.35, 4.0])
    problem = FloodProblem(ground, (26.6, 30.9), 0.05, stages=(Stage(np.argwhere(ground == 0.0), level),))

    def members(count: int) -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda _: simulate(problem, duration_s=86400.0), range(count)))
        return time.perf_counter() - start

    return {"one_run_s": members(1), "two_members_s": members(2)}


def measure(data: Path) -> dict[str, Any]:
    ground = np.load(data / "flood-reference" / "rain_on_valley_512.npz")["elevation_m"].astype(np.float64)
    large = np.block([[ground, ground[:, ::-1]], [ground[::-1], ground[::-1, ::-1]]])
    start = start_seconds()
    simulate(valley(ground), duration_s=10.0)
    rates: dict[str, dict[str, float | None]] = {}
    for name, problem, duration_s in (("512 x 512", valley(ground), 3600.0), ("1024 x 1024", valley(large), 900.0)):
        rates[name] = {
            "tocsin, 1 thread": best(lambda p=problem, d=duration_s: million_a_second(p, duration_s=d)),
            "tocsin, 2 threads": best(lambda p=problem, d=duration_s: million_a_second(p, duration_s=d, threads=2)),
            "tocsin, 2 members": best(lambda p=problem, d=duration_s: two_members(p, duration_s=d)),
            "landlab": landlab(problem.ground_m),
        }
    rates["512 x 512"]["anuga (triangles)"] = anuga_triangles(ground)
    return {
        "machine": machine(),
        "million_cell_steps_per_s": rates,
        "triad_gb_per_s": {"1 thread": triad_gb_per_s(1), "2 threads": triad_gb_per_s(2)},
        "point_breach": breach(ground),
        "start": start,
        "porto_alegre_24_h": porto_alegre(data),
    }


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def show(found: dict[str, Any]) -> None:
    print(found["machine"], "\n")
    print(f"{'million cell-steps a second':34}{'512 x 512':>12}{'1024 x 1024':>14}")
    small, large = found["million_cell_steps_per_s"].values()
    for name, rate in small.items():
        cells = [f"{rate:.1f}" if rate else "-", f"{large[name]:.1f}" if large.get(name) else "-"]
        print(f"{name:34}{cells[0]:>12}{cells[1]:>14}")
    for threads in ("1 thread", "2 threads"):
        triad = found["triad_gb_per_s"][threads]
        shares = [r[f"tocsin, {threads}"] * BYTES_PER_CELL_STEP / 1e3 / triad for r in (small, large)]
        print(f"{'share of triad, ' + threads + f' ({triad:.0f} GB/s)':34}{shares[0]:>12.0%}{shares[1]:>14.0%}")
    point, start = found["point_breach"], found["start"]
    print(
        f"\npoint breach on dry ground: {point['sleeping_s']:.3f} s, all tiles awake {point['all_awake_s']:.2f} s: "
        f"{point['all_awake_s'] / point['sleeping_s']:.0f} times"
    )
    print(
        f"start to end of a tiny run: first {start['first_s']:.1f} s (compiles), then {start['cached_s']:.2f} s (compiles nothing)"
    )
    if found["porto_alegre_24_h"]:
        city = found["porto_alegre_24_h"]
        print(f"Porto Alegre, 24 h: one run {city['one_run_s']:.2f} s, two members on two threads {city['two_members_s']:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TOCSIN_SHARED_DATA", beside)))
    options = parser.parse_args()
    found = measure(options.data)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


if __name__ == "__main__":
    main()
