"""From a warning to ranked plans on a real city: Porto Alegre's full grid, 24 h of flood, 50 futures, 5 plans, on this machine's cores.

python benchmarks/plan_compare.py --data ../shared/data/porto-alegre [--futures 50] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tocsin.decision.compare import compare
from tocsin.decision.futures import foresee
from tocsin.decision.impact import impact
from tocsin.pack import Action, Duration, Effect, Plan, Scenario, Spread, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.platform.twin import build_twin, open_twin
from tocsin.vocabulary import Series, World

HOURS = 24.0


def plans_for(world: World) -> list[Plan]:
    """The pack's own plans, and one that evacuates half as many zones, so that there are five."""
    pack = find_pack("flood")
    made = list(pack.plans(world))
    evacuate = next(plan for plan in made if plan.name == "evacuate")
    half = evacuate.actions[: max(2, len(evacuate.actions) // 2)]
    waiting = Action("look", "look", "operator", Duration(30.0, 30.0, 60.0), (Effect("warn_people", "all", 0.5),))
    made.append(Plan("evacuate fewer", "flood", "Half of it", (*half, waiting), resources=evacuate.resources))
    return made[:5]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/porto-alegre"))
    parser.add_argument("--futures", type=int, default=50)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    took: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        build_twin(
            Path(folder) / "twin",
            elevation=asked.data / "elevation.tif",
            roads=asked.data / "roads.osm.pbf",
            population=asked.data / "population_hexagons.csv",
            created=datetime.now(UTC),
        )
        took["build the twin"] = time.perf_counter() - began
        twin = open_twin(Path(folder) / "twin")
        world = twin.world(datetime.now(UTC))
        pack, compute = find_pack("flood"), LocalCompute(asked.workers)
        model = pack.models[0]
        knobs = {"level_offset_m": Spread(-0.5, 0.0, 0.5), "manning_factor": Spread(0.7, 1.0, 1.5)}
        level = {"level@lake": Series.of([0.0, 6 * 3600.0], [0.0, 5.35])}
        foresee(world, model, Scenario(60.0, 1, 1, knobs, level), compute)  # compiled before the clock starts
        plans = plans_for(world)

        began = time.perf_counter()
        seen = foresee(world, model, Scenario(HOURS * 3600.0, asked.futures, 1, knobs, level), compute)
        took["simulate the futures"] = time.perf_counter() - began
        began = time.perf_counter()
        impact(world, seen.footprint, pack.harm, hour=3.0)
        took["impact"] = time.perf_counter() - began
        began = time.perf_counter()
        done = compare(world, model, pack.harm, seen, plans, compute, hour=3.0)
        took["carry out, score and rank the plans"] = time.perf_counter() - began
    total = sum(seconds for name, seconds in took.items() if name != "build the twin")
    cell_steps = sum(note["cell_steps"] for note in seen.notes)
    figures = {
        "cores": os.cpu_count(),
        "workers": compute.workers,
        "load_before": os.getloadavg()[0],
        "futures": asked.futures,
        "plans": len(plans),
        "hazard_runs": done.hazard_runs,
        "seconds": took | {"from warning to ranked plans": total},
        "cell_steps_per_s": cell_steps / took["simulate the futures"],
    }
    if asked.json:
        print(json.dumps(figures, indent=1))
        return
    print(
        f"{asked.futures} futures x {len(plans)} plans, {HOURS:g} h, {world.grid.rows} x {world.grid.cols} cells, {compute.workers} workers"
    )
    for name, seconds in {**took, "from warning to ranked plans": total}.items():
        print(f"  {name:<40}{seconds:8.1f} s")
    print(f"  {'cell-steps a second':<40}{figures['cell_steps_per_s'] / 1e6:8.0f} M")


if __name__ == "__main__":
    main()
