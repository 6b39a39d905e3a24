"""Tours of 50 vehicles over 500 stops: after 5 s beside PyVRP itself after 20 s, again after a change, and beside best-known solutions.

    python benchmarks/tours.py
    python benchmarks/tours.py --processes 2
    python benchmarks/tours.py --changes
    python benchmarks/tours.py --set FOLDER
    python benchmarks/tours.py --instance X-n502-k39.vrp --best 69226 --seconds 60
    python benchmarks/tours.py --instance RC208.vrp --best 7761 --round dimacs

--set takes every NAME.vrp of a folder that has its NAME.sol beside it, and tells the mean. An instance is a file of the CVRPLIB or of the VRPLIB format; the best-known value is the library's, in the unit that --round makes.
All seconds are seconds of processor time on one core, as PyVRP uses one, so that other programs do not count; steps are told beside them. Only
with --processes are they seconds of the wall clock, on a quiet machine with as many cores, and starting the processes counts.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyvrp

from tocsin.decision.tour_search import SHORT_S, search_params
from tocsin.decision.tours import Stop, Vehicle, plan_tours
from tocsin.platform.compute import open_compute

VEHICLES, STOPS = 50, 500
COUNTED = {
    "CVRP": ("round", 1),
    "VRPTW": ("dimacs", 10),
    "CVRPTW": ("dimacs", 10),
    "MDVRPTW": ("exact", 1000),
}  # how the libraries round, and one unit of a .sol in that


def town(seed: int) -> tuple[list[Vehicle], list[Stop], np.ndarray]:
    """Five depots of ten trucks in a town of 10 x 10 km at 30 km/h along streets at right angles; loads 1 to 10 of 60, 5 min a stop, 8 h shifts."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 10_000, (5 + STOPS, 2))
    time_s = np.abs(xy[:, None] - xy).sum(axis=2) / (30 / 3.6)
    vehicles = [Vehicle(f"depot {k}", k, carries=60, count=VEHICLES // 5, shift_s=8 * 3600.0) for k in range(5)]
    stops = [Stop(f"stop {k}", 5 + k, amount=int(rng.integers(1, 11)), service_s=300.0) for k in range(STOPS)]
    return vehicles, stops, time_s


def as_pyvrp(vehicles: list[Vehicle], stops: list[Stop], time_s: np.ndarray) -> pyvrp.ProblemData:
    """The same task for PyVRP as it comes: all stops must be served, whole seconds, its own parameters."""
    whole = np.ceil(time_s).astype(np.int64)
    np.fill_diagonal(whole, 0)
    clients = [
        pyvrp.Client(s.at, delivery=[s.amount], service_duration=int(s.service_s), tw_late=int(s.until_s), name=s.name)
        for s in stops
    ]
    sorts = [
        pyvrp.VehicleType(v.count, [v.carries], start_depot=k, end_depot=k, tw_late=int(v.shift_s), shift_duration=int(v.shift_s))
        for k, v in enumerate(vehicles)
    ]
    places = [pyvrp.Location(0, 0) for _ in range(len(whole))]
    return pyvrp.ProblemData(places, clients, [pyvrp.Depot(v.at) for v in vehicles], sorts, [whole], [whole])


class Marks:
    """Stops a search after so many seconds, and keeps the best cost at each mark on the way."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.process_time) -> None:
        self.seconds, self.best = seconds, {m: float("inf") for m in (5.0, 20.0, 60.0, seconds) if m <= seconds}
        self.steps = dict.fromkeys(self.best, 0)
        self._clock, self._began_s, self._steps = clock, clock(), 0

    def __call__(self, best_cost: float) -> bool:
        spent_s = self._clock() - self._began_s
        for mark in self.best:
            if spent_s <= mark:
                self.best[mark], self.steps[mark] = best_cost, self._steps
        self._steps += 1
        return spent_s >= self.seconds


def instance(path: str, best: float, rounding: str, seconds: float, *, short: bool) -> float:
    """One search on a published instance, and how far it is above the best-known solution on the way and, returned, in the end, %."""
    data, marks = pyvrp.read(path, round_func=rounding), Marks(seconds)
    params = search_params(SHORT_S) if short else search_params(2 * SHORT_S)
    pyvrp.solve(data, marks, seed=1, collect_stats=False, display=False, params=params)
    for mark, cost in marks.best.items():
        print(
            f"| {path} | {'short' if short else 'own'} | {mark:g} s | {marks.steps[mark]:,} | {cost:,} | {100 * (cost / best - 1):.2f} % |",
            flush=True,
        )
    return 100 * (marks.best[seconds] / best - 1)


def all_of(folder: Path, seconds: float, *, short: bool) -> None:
    """Every instance of a folder with its best-known solution, counted as its library counts, and the mean."""
    above = []
    for path in sorted(folder.glob("*.vrp")):
        kind = re.search(r"^TYPE\s*:\s*(\w+)", path.read_text(), re.MULTILINE)
        cost = (
            re.search(r"Cost:?\s+([\d.]+)", path.with_suffix(".sol").read_text()) if path.with_suffix(".sol").exists() else None
        )
        if kind is None or kind[1] not in COUNTED or cost is None:
            print(f"{path.name}: left out; wanted a .sol with a Cost beside it, and one of {', '.join(COUNTED)}")
            continue
        rounding, unit = COUNTED[kind[1]]
        above.append(instance(str(path), unit * float(cost[1]), rounding, seconds, short=short))
    print(f"\nMean of {len(above)} after {seconds:g} s: {np.mean(above):.2f} % above best known")


def beside_pyvrp(seed: int, processes: int | None) -> None:
    """Five seconds of ours beside five and twenty of PyVRP with its own parameters, in this run, all by the same clock."""
    vehicles, stops, time_s = town(seed)
    clock = time.process_time if processes is None else time.perf_counter
    with nullcontext() if processes is None else open_compute("processes", workers=processes) as compute:
        began_s = time.perf_counter()
        ours = plan_tours(vehicles, stops, time_s, seconds=5.0, clock=clock, compute=compute)
        wall_s = time.perf_counter() - began_s
    marks = Marks(20.0, clock)
    pyvrp.solve(as_pyvrp(vehicles, stops, time_s), marks, seed=0, collect_stats=False, display=False)
    own, long = marks.best[5.0], marks.best[20.0]
    print(
        f"| {seed} | {ours.travel_s:,.0f} s in {ours.iterations:,} steps, {wall_s:.1f} s of wall | {own:,} s in {marks.steps[5.0]:,} | {long:,} s in {marks.steps[20.0]:,} "
        f"| {100 * (ours.travel_s / long - 1):+.2f} % | {100 * (own / long - 1):+.2f} % |",
        flush=True,
    )


def changes(seed: int) -> None:
    """Tours after 5 s and after 20 s, and again in 3 s when 20 stops and a fiftieth of the ways have changed."""
    vehicles, stops, time_s = town(seed)
    clock = time.process_time
    short = plan_tours(vehicles, stops, time_s, seconds=5.0, clock=clock)
    long = plan_tours(vehicles, stops, time_s, seconds=20.0, clock=clock)
    changed = stops[20:] + [Stop(f"new {k}", s.at, amount=s.amount, service_s=300.0) for k, s in enumerate(stops[:20])]
    blocked = time_s.copy()
    blocked[np.random.default_rng(seed).random(time_s.shape) < 0.02] *= 2.0
    again = plan_tours(vehicles, changed, blocked, seconds=3.0, before=short, clock=clock)
    anew = plan_tours(vehicles, changed, blocked, seconds=20.0, clock=clock)
    print(
        f"| {seed} | {short.travel_s / 3600:.2f} h | {long.travel_s / 3600:.2f} h | {100 * (short.travel_s / long.travel_s - 1):.2f} % "
        f"| {100 * (again.travel_s / anew.travel_s - 1):.2f} % | {len(short.unserved)}, {len(again.unserved)} |",
        flush=True,
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--instance")
    asked.add_argument("--best", type=float)
    asked.add_argument("--round", default="round", choices=("round", "dimacs", "exact", "trunc", "none"))
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--short", action="store_true")
    asked.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3])
    asked.add_argument("--changes", action="store_true")
    asked.add_argument("--processes", type=int)
    asked.add_argument("--set", type=Path)
    told = asked.parse_args()
    if told.instance or told.set:
        print("| instance | parameters | after | steps | cost | above best known |\n|---|---|---:|---:|---:|---:|")
    if told.set:
        all_of(told.set, told.seconds, short=told.short)
    elif told.instance:
        instance(told.instance, told.best, told.round, told.seconds, short=told.short)
    elif told.changes:
        print(
            "| seed | 5 s | 20 s | 5 s above 20 s | again 3 s after 20 changes, above 20 s from nothing | left out |\n|---:|---:|---:|---:|---:|---:|"
        )
        for seed in told.seed:
            changes(seed)
    else:
        print(
            "| seed | ours, 5 s | PyVRP, 5 s | PyVRP, 20 s | ours 5 s against PyVRP 20 s | PyVRP 5 s against 20 s |\n|---:|---:|---:|---:|---:|---:|"
        )
        for seed in told.seed:
            beside_pyvrp(seed, told.processes)


if __name__ == "__main__":
    main()
