"""Tours of 50 vehicles over 500 stops: after 5 s beside the same solver after 20 s, again after a change, and beside best-known solutions.

    python benchmarks/tours.py
    python benchmarks/tours.py --instance X-n502-k39.vrp --best 69226 --seconds 60

An instance is a file of the CVRPLIB or of the VRPLIB format; the best-known value is the library's.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from tocsin.decision.tours import Stop, Vehicle, plan_tours

VEHICLES, STOPS = 50, 500


def town(seed: int) -> tuple[list[Vehicle], list[Stop], np.ndarray]:
    """Five depots of ten trucks in a town of 10 x 10 km at 30 km/h along streets at right angles; loads 1 to 10 of 60, 5 min a stop, 8 h shifts."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 10_000, (5 + STOPS, 2))
    time_s = np.abs(xy[:, None] - xy).sum(axis=2) / (30 / 3.6)
    vehicles = [Vehicle(f"depot {k}", k, carries=60, count=VEHICLES // 5, shift_s=8 * 3600.0) for k in range(5)]
    stops = [Stop(f"stop {k}", 5 + k, amount=int(rng.integers(1, 11)), service_s=300.0) for k in range(STOPS)]
    return vehicles, stops, time_s


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--instance")
    asked.add_argument("--best", type=float)
    asked.add_argument("--seconds", type=float, default=60.0)
    told = asked.parse_args()
    if told.instance:
        import pyvrp
        from pyvrp.stop import MaxRuntime

        data = pyvrp.read(told.instance, round_func="round")
        cost = pyvrp.solve(data, MaxRuntime(told.seconds), seed=1, collect_stats=False, display=False).cost()
        print(
            f"{told.instance}: {cost:,} after {told.seconds:g} s, best known {told.best:,.0f}: {100 * (cost / told.best - 1):.2f} % above"
        )
        return
    print(
        "| seed | 5 s | 20 s | 5 s above 20 s | again 3 s after 20 changes, above 20 s from nothing | left out |\n|---:|---:|---:|---:|---:|---:|"
    )
    for seed in (1, 2, 3):
        vehicles, stops, time_s = town(seed)
        short = plan_tours(vehicles, stops, time_s, seconds=5.0)
        long = plan_tours(vehicles, stops, time_s, seconds=20.0)
        changed = stops[20:] + [Stop(f"new {k}", s.at, amount=s.amount, service_s=300.0) for k, s in enumerate(stops[:20])]
        blocked = time_s.copy()
        blocked[np.random.default_rng(seed).random(time_s.shape) < 0.02] *= 2.0
        began = time.perf_counter()
        again = plan_tours(vehicles, changed, blocked, seconds=3.0, before=short)
        again_s = time.perf_counter() - began
        anew = plan_tours(vehicles, changed, blocked, seconds=20.0)
        print(
            f"| {seed} | {short.travel_s / 3600:.2f} h | {long.travel_s / 3600:.2f} h | {100 * (short.travel_s / long.travel_s - 1):.2f} % "
            f"| {100 * (again.travel_s / anew.travel_s - 1):.2f} % in {again_s:.1f} s | {len(short.unserved)}, {len(again.unserved)} |"
        )


if __name__ == "__main__":
    main()
