"""What risk chains and traffic add where plans are compared: Porto Alegre, a few futures of a flood, the flood pack's plans.

    python benchmarks/plan_figures.py --data ../shared/data/porto-alegre [--futures 4] [--cell 115] [--json]

The peer in the same run is the comparison without either. The city's lifelines are not in its data: as many as a city of that size has are put on
cells where people live, from a seed. Each figure is the mean over the futures, on one thread, after one future to compile.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tocsin.decision.futures import foresee
from tocsin.decision.interpret import play
from tocsin.decision.trial import FutureFacts, Town, hit_of, outcome
from tocsin.pack import Action, Duration, Effect, Plan, Scenario, Spread, facts_for, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.platform.twin import build_twin, open_twin
from tocsin.vocabulary import Assets, Level, Series, World, column

HOURS = 24.0
LIFELINES = {"substations": 40, "pumping_stations": 23, "water_works": 6, "masts": 400, "hospitals": 20}


class WithLifelines:
    """A world with assets that its files do not have."""

    def __init__(self, world: World) -> None:
        self._world, rng = world, np.random.default_rng(1)
        lived = np.flatnonzero(world.people(3.0) > 0)
        self._made = {kind: np.sort(rng.choice(lived, count, replace=False)) for kind, count in LIFELINES.items()}

    def __getattr__(self, name: str) -> object:
        return getattr(self._world, name)

    def assets(self, kind: str) -> Assets:
        if kind not in self._made:
            return self._world.assets(kind)
        place = self._made[kind]
        x_m, y_m = self._world.grid.centre(place)
        names = tuple(f"{k}" for k in range(place.size))
        columns = [column(x_m, np.float64), column(y_m, np.float64), column(place, np.int64), column(place * 0.0, np.float64)]
        return Assets(kind, "persons", names, names, names, *columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/porto-alegre"))
    parser.add_argument("--futures", type=int, default=4)
    parser.add_argument("--cell", type=float, default=None)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        build_twin(
            Path(folder) / "twin",
            elevation=asked.data / "elevation.tif",
            roads=asked.data / "roads.osm.pbf",
            population=asked.data / "population_hexagons.csv",
            cell_m=asked.cell,
            created=datetime.now(UTC),
        )
        world: World = WithLifelines(open_twin(Path(folder) / "twin").world(datetime.now(UTC)))  # type: ignore[assignment]
        figures = measure(world, asked.futures)
    if asked.json:
        print(json.dumps(figures, indent=1))
        return
    for name, seconds in figures.items():
        print(f"{name:<48} {seconds * 1000.0:10.1f} ms" if name != "load_before" else f"load average before {seconds:.1f}")


def measure(world: World, futures: int) -> dict[str, float]:
    pack = find_pack("flood")
    model, load = pack.models[0], os.getloadavg()[0]
    knobs = {"level_offset_m": Spread(-0.5, 0.0, 0.5), "manning_factor": Spread(0.7, 1.0, 1.5)}
    level = {"level@lake": Series.of([0.0, 6 * 3600.0], [0.0, 5.35])}
    seen = foresee(world, model, Scenario(HOURS * 3600.0, futures + 1, 1, knobs, level), LocalCompute())
    sandbags = Action("sandbags", "sandbags", "fire", Duration(5.0, 5.0, 5.0), (Effect("protect_asset", "substations"),))
    plans = [*pack.plans(world), Plan("protect", "flood", "", (sandbags,))]
    spent: dict[str, list[float]] = defaultdict(list)

    def timed(name: str, row: int, began: float) -> None:
        if row:  # the first compiles
            spent[name].append(time.perf_counter() - began)

    began = time.perf_counter()
    towns = {"plain": Town.of(world, pack.harm, model.makes, 3.0)}
    spent["once: plain"].append(time.perf_counter() - began)
    began = time.perf_counter()
    towns["chains"] = Town.of(world, pack.harm, model.makes, 3.0, pack)
    spent["once: with chains"].append(time.perf_counter() - began)
    began = time.perf_counter()
    towns["traffic"] = Town.of(world, pack.harm, model.makes, 3.0, traffic=True)
    spent["once: with traffic"].append(time.perf_counter() - began)
    for row, future in enumerate(seen.futures):
        member = seen.footprint.member(row)
        for kind, town in towns.items():
            began = time.perf_counter()
            hit = hit_of(town, future, member, seen.footprint.duration_s)
            timed(f"each future: {kind}", row, began)
            for plan in plans:
                course = play(plan, future, FutureFacts(facts_for("flood"), town, model, future, member, Level.RED))
                began = time.perf_counter()
                left = town.evacuation and town.evacuation.left_in_time(plan, course, hit.footprint, 0)
                outcome(town, hit, plan, course, left)
                acts = "that protects" if plan.name == "protect" else "of the pack"
                timed(f"each pair: {kind}, a plan {acts}" if kind == "chains" else f"each pair: {kind}", row, began)
                if kind == "traffic":
                    timed(f"  traffic: {plan.name}", row, began)
    return {"load_before": load} | {name: float(np.mean(values)) for name, values in spent.items()}


if __name__ == "__main__":
    main()
