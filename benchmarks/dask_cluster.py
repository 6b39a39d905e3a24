"""What a place to compute costs beside doing the work: tasks of a second in one process, in processes, and on two Dask workers.

python benchmarks/dask_cluster.py [--tasks 20] [--seconds 1.0] [--json]

Each task sleeps: so two workers on two busy cores are not two workers that wait for a core, and what is over the sleep is what the machinery takes. The
peer in the same run is the bare loop over half of the tasks, which is what two perfect workers would need.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from tocsin.platform.compute import LocalCompute, open_compute

WORLD_MB = 1  # a twin goes by its path; what holds at the moment (standing water) goes along


def wait_for(world: np.ndarray, seconds: float) -> float:  # type: ignore[type-arg]
    """A task: so long, and then a result of the size of a future of a small town."""
    time.sleep(seconds)
    return float(world[0])


def took_s(compute: LocalCompute, world: np.ndarray, tasks: int, seconds: float) -> float:  # type: ignore[type-arg]
    for _ in compute.each(wait_for, world, [0.0] * 2 * compute.workers):
        pass  # workers are up and have the world's modules
    began = time.perf_counter()
    for _ in compute.each(wait_for, world, [seconds] * tasks):
        pass
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    from distributed import LocalCluster

    world = np.zeros(WORLD_MB * 2**20 // 8)
    began = time.perf_counter()
    for _ in range(asked.tasks // 2):
        wait_for(world, asked.seconds)
    bare_s = time.perf_counter() - began
    seconds = {}
    for setting in ("threads", "processes"):
        with open_compute(setting, workers=2) as compute:
            seconds[setting] = took_s(compute, world, asked.tasks, asked.seconds)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None) as cluster,
        open_compute(cluster.scheduler_address) as compute,
    ):
        seconds["dask"] = took_s(compute, world, asked.tasks, asked.seconds)
    figures = {"bare_s": bare_s, **{f"{name}_overhead": s / bare_s - 1.0 for name, s in seconds.items()}}
    if asked.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{asked.tasks} tasks of {asked.seconds:g} s on 2 workers; the bare loop over half of them {bare_s:.2f} s")
    for name, s in seconds.items():
        print(f"  {name:<10}{s:7.2f} s   overhead {s / bare_s - 1.0:+.1%}")


if __name__ == "__main__":
    main()
