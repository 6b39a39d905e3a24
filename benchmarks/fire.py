"""How fast a fire grows over a grid, beside an independent program, and how exact its ellipse is, in one run.

    python benchmarks/fire.py [--peer FOLDER] [--cells 1024] [--hours 10] [--json]

The peer is pyretechnics (Spatial Informatics Group; its Community Licence allows research, tests and benchmarks that are not commercial). It wants numpy < 2, so it lives in a folder of
its own (pip install --target FOLDER "pyretechnics==2026.10.20") and runs in a process of its own. Both have the same fuels, moistures, slopes, hourly wind and start; no crown fire, no
spotting, no wind limit. Times are processor time (both run on one core) of the fire alone, the best of ten and of three (the peer's, each many times longer), after everything is compiled. The share of the field is that of the rates of every cell in every hour,
which the march itself works out only where the fire comes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CELL_M = 30.0
MOIST = (0.06, 0.07, 0.08, 0.75, 0.75)  # live grass and twigs alike: the peer has the live load of models 4 and 5 as grass


def given(case: str, cells: int, hours: int) -> dict[str, Any]:
    """Fuel, ground, hourly wind and start of a case."""
    rng = np.random.default_rng(4)
    hour = np.arange(hours)
    wind = {"steady": np.full(hours, 6.0), "turning": 6.0 + 2.0 * np.sin(hour), "rough": 6.0 + 2.0 * np.sin(hour)}[case]
    comes_from = {"steady": np.full(hours, 292.5)}.get(case, 270.0 + 15.0 * hour)
    fuel = np.ones((cells, cells), np.int32)
    ground = np.zeros((cells, cells))
    if case == "rough":
        patches = rng.choice([1, 2, 4, 5, 102, 122], (cells // 16 + 1, cells // 16 + 1))
        fuel = np.repeat(np.repeat(patches, 16, 0), 16, 1)[:cells, :cells].astype(np.int32)
        waves = [(rng.uniform(20, 120), rng.uniform(20, 120), rng.uniform(0, 6)) for _ in range(12)]
        r, c = np.mgrid[:cells, :cells]
        ground = sum(60.0 * np.sin(r / a + p) * np.cos(c / b - p) for a, b, p in waves)
    return {"fuel": fuel, "ground": ground, "wind": wind, "from": comes_from % 360.0, "start": (cells // 3, cells // 4)}


def ours(case: dict[str, Any], hours: int) -> tuple[float, Any]:
    from tocsin.science.fire_growth import FireProblem, Weather, spread
    from tocsin.science.fire_spread import Moisture

    weather = tuple(
        Weather(3600.0 * k, float(w), float(f), Moisture(*MOIST))
        for k, (w, f) in enumerate(zip(case["wind"], case["from"], strict=True))
    )
    problem = FireProblem(case["fuel"].astype(np.int64), CELL_M, weather, np.array([case["start"]]), np.zeros(1), case["ground"])
    last: list[Any] = [None]

    def go() -> None:
        last[0] = spread(problem, duration_s=3600.0 * hours)

    return best(go, 10), last[0]


def field_s(case: dict[str, Any]) -> float:
    """Rates, directions and shapes of every cell in every hour."""
    from tocsin.science import fire_steps
    from tocsin.science.fire_growth import Weather, spread_table
    from tocsin.science.fire_spread import Moisture
    from tocsin.science.fuel import rows_of

    row = rows_of(case["fuel"]).reshape(-1)
    down, right = np.gradient(case["ground"], CELL_M)
    up = right.reshape(-1), -down.reshape(-1)
    out = [np.empty(row.size) for _ in range(4)]
    table = spread_table(
        [Weather(0.0, float(w), float(f), Moisture(*MOIST)) for w, f in zip(case["wind"], case["from"], strict=True)]
    )
    crowns = np.empty(row.size, np.bool_)
    return best(lambda: [fire_steps.head_of_rows(row, *up, one, *out, crowns) for one in table])


def exact_cells(case: dict[str, Any]) -> float:
    """What burns over level ground of one fuel: the sum (Minkowski) of the ellipses of all hours, by its support function."""
    from tocsin.science.fire_spread import Moisture, beds, head_fire, wind_adjustment
    from tocsin.science.fuel import fuels, rows_of

    row = rows_of(int(case["fuel"][0, 0]))
    reduced, bed = float(wind_adjustment(fuels().depth_ft[row])), beds(Moisture(*MOIST))
    angle = np.linspace(0.0, 2.0 * np.pi, 400_001)[:-1]
    support = np.zeros_like(angle)
    for wind, comes_from in zip(case["wind"], case["from"], strict=True):
        head = head_fire(bed, row, (0.0, wind * 60.0 / 1.15 * reduced), (0.0, 0.0))
        shape = float(head.length_to_width)
        long = float(head.rate_m_per_min) * 60.0 / (1.0 + np.sqrt(1.0 - 1.0 / shape**2))
        off = angle - np.radians(90.0 - (comes_from + 180.0))
        support += long * np.hypot(np.cos(off), np.sin(off) / shape)
    step = angle[1] - angle[0]
    slope = (np.roll(support, -1) - np.roll(support, 1)) / (2.0 * step)
    return float(0.5 * ((support**2 - slope**2).sum() * step) / CELL_M**2)


def best(work: Callable[[], object], times: int = 3) -> float:
    took = []
    for _ in range(times):
        begin = time.process_time()
        work()
        took.append(time.process_time() - begin)
    return min(took)


def peer(case: dict[str, Any], hours: int) -> tuple[float, int]:
    from pyretechnics.eulerian_level_set import SpreadState, spread_fire_with_phi_field
    from pyretechnics.space_time_cube import SpaceTimeCube

    cells = case["fuel"].shape[0]
    shape = (hours, cells, cells)
    down, right = np.gradient(case["ground"], CELL_M)
    slope = np.hypot(down, right)
    aspect = np.degrees(np.arctan2(-right, down)) % 360.0
    m = dict(zip(("1hr", "10hr", "100hr"), MOIST[:3], strict=True))
    cubes = {
        "slope": SpaceTimeCube(shape, slope.astype("float32")[::-1].copy()),
        "aspect": SpaceTimeCube(shape, aspect.astype("float32")[::-1].copy()),
        "fuel_model": SpaceTimeCube(shape, case["fuel"][::-1].astype("float32").copy()),
        **{
            name: SpaceTimeCube(shape, 0.0)
            for name in ("canopy_cover", "canopy_height", "canopy_base_height", "canopy_bulk_density")
        },
        "wind_speed_10m": SpaceTimeCube(shape, [float(w) * 3.6 for w in case["wind"]]),
        "upwind_direction": SpaceTimeCube(shape, [float(f) for f in case["from"]]),
        **{f"fuel_moisture_dead_{name}": SpaceTimeCube(shape, value) for name, value in m.items()},
        "fuel_moisture_live_herbaceous": SpaceTimeCube(shape, MOIST[3]),
        "fuel_moisture_live_woody": SpaceTimeCube(shape, MOIST[4]),
        "foliar_moisture": SpaceTimeCube(shape, 1.0),
    }
    at = cells - 1 - case["start"][0], case["start"][1]
    burnt: list[int] = []

    def go() -> None:
        state = SpreadState(shape).ignite_cell(at)
        spread_fire_with_phi_field(cubes, state, (60.0, CELL_M, CELL_M), 0.0, 60.0 * hours, use_wind_limit=False)
        burnt.append(int((state.get_full_matrices(["time_of_arrival"])["time_of_arrival"] >= 0).sum()))

    return best(go, 3), burnt[-1]


def ellipse_error(wind: float, comes_from: float, long: int = 300) -> tuple[float, float]:
    """Length to width, and error of the burnt area."""
    from tocsin.science.fire_growth import FireProblem, Weather, spread
    from tocsin.science.fire_spread import Moisture, beds, head_fire, wind_adjustment
    from tocsin.science.fuel import fuels, rows_of

    row = rows_of(1)
    blown = wind * 60 / 1.15 * float(wind_adjustment(fuels().depth_ft[row]))
    head = head_fire(beds(Moisture(*MOIST)), row, (0.0, blown), (0.0, 0.0))
    rate, shape = float(head.rate_m_per_min) / 60, float(head.length_to_width)
    off = np.sqrt(1 - 1 / shape**2)
    time_s = long * CELL_M / (rate * 2 / (1 + off))
    drift, toward, size = long * off / 2, np.radians(comes_from + 180), long + 60
    start = round(size / 2 + drift * np.cos(toward)), round(size / 2 - drift * np.sin(toward))
    weather = (Weather(0.0, wind, comes_from, Moisture(*MOIST)),)
    run = spread(FireProblem(np.ones((size, size), np.int64), CELL_M, weather, np.array([start]), np.zeros(1)), duration_s=time_s)
    return shape, float(np.isfinite(run.arrival_s).sum() / (np.pi / 4 * long**2 / shape) - 1)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--peer", type=Path)
    ask.add_argument("--as-peer", default="")
    ask.add_argument("--cells", type=int, default=1024)
    ask.add_argument("--hours", type=int, default=10)
    ask.add_argument("--json", action="store_true")
    told = ask.parse_args()
    if told.as_peer:
        print(json.dumps(peer(given(told.as_peer, told.cells, told.hours), told.hours)))
        return
    rows = []
    for name in ("steady", "turning", "rough"):
        case = given(name, told.cells, told.hours)
        took, run = ours(case, told.hours)
        burnt = int(np.isfinite(run.arrival_s).sum())
        row = {
            "case": name,
            "burnt_cells": burnt,
            "tocsin_s": took,
            "ns_per_cell": took / burnt * 1e9,
            "taken_per_cell": run.cells_taken / burnt,
            "field_s": field_s(case),
        }
        if name != "rough":
            row["exact_cells"] = exact_cells(case)
        if told.peer:
            call = [sys.executable, __file__, "--as-peer", name, "--cells", str(told.cells), "--hours", str(told.hours)]
            out = subprocess.run(
                call, env=os.environ | {"PYTHONPATH": str(told.peer)}, check=True, capture_output=True, text=True
            ).stdout
            row["peer_s"], row["peer_burnt_cells"] = json.loads(out.splitlines()[-1])
            row["ratio"] = row["peer_s"] / took
        rows.append(row)
    shapes = [
        (wind, *zip(*(ellipse_error(wind, a) for a in (0, 20, 45, 110, 157.5, 200, 270, 292.5)), strict=True))
        for wind in (0.0, 3.0, 9.0, 15.0, 20.0, 25.0)
    ]
    ellipses = [
        {"wind_m_per_s": wind, "length_to_width": shape[0], "area_error_worst_of_8": max(error, key=abs)}
        for wind, shape, error in shapes
    ]
    if told.json:
        print(json.dumps({"growth": rows, "ellipses": ellipses}))
        return
    for row in rows:
        print("  ".join(f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()))
    for row in ellipses:
        print("  ".join(f"{name} {value:.3g}" for name, value in row.items()))


if __name__ == "__main__":
    main()
