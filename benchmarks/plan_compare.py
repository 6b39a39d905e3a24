"""From a warning to ranked plans on a real city: Porto Alegre's full grid, 24 h of flood, 200 futures, 10 plans, on this machine's cores.

python benchmarks/plan_compare.py --data ../shared/data/porto-alegre [--futures 200] [--cell 115] [--all] [--json]

Nothing is kept from before but the compiled kernels. Each ranking is told when it comes; the last one is sure to 95 % over all futures, also those that
the race did not run. `--all` tries every plan in every future instead. The peer in the same run is one future on one thread: the hazard alone.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tocsin.decision.compare import Racing, sharpen
from tocsin.decision.futures import foresee
from tocsin.pack import Action, Duration, Effect, Plan, Scenario, Spread, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.platform.twin import build_twin, open_twin
from tocsin.vocabulary import Series, World

HOURS = 24.0


def plans_for(world: World) -> list[Plan]:
    """The pack's own four plans, and six that move other shares of the zones, warn late, or move some people less: ten in all."""
    made = list(find_pack("flood").plans(world))
    evacuate = next(plan for plan in made if plan.name == "evacuate")
    moves = [a for a in evacuate.actions if any(e.verb == "move_population" for e in a.effects)]
    others = [a for a in evacuate.actions if a not in moves]
    looking = Action("look", "look", "operator", Duration(30.0, 30.0, 60.0), (Effect("warn_people", "all", 0.5),))
    for count in range(1, len(moves)):
        made.append(
            Plan(f"evacuate {count} zones", "flood", "A part of it", (*others, *moves[:count]), resources=evacuate.resources)
        )
    made.append(Plan("look first", "flood", "Warn half, late", (looking,)))
    for share in (0.9, 0.8, 0.7, 0.6, 0.5, 0.4):
        less = [
            msgspec.structs.replace(a, effects=tuple(msgspec.structs.replace(e, amount=share * e.amount) for e in a.effects))
            for a in moves
        ]
        made.append(Plan(f"evacuate {share:.0%} of them", "flood", "Fewer go", (*others, *less), resources=evacuate.resources))
    return made[:10]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/porto-alegre"))
    parser.add_argument("--futures", type=int, default=200)
    parser.add_argument("--cell", type=float, default=None, help="a coarser grid, m: quick, for how many futures the race needs")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--all", action="store_true", help="every plan in every future")
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
        twin = open_twin(Path(folder) / "twin")
        world = twin.world(datetime.now(UTC))
        pack, compute = find_pack("flood"), LocalCompute(asked.workers)
        model, plans = pack.models[0], plans_for(world)
        knobs = {"level_offset_m": Spread(-0.5, 0.0, 0.5), "manning_factor": Spread(0.7, 1.0, 1.5)}
        level = {"level@lake": Series.of([0.0, 6 * 3600.0], [0.0, 5.35])}
        short = Scenario(60.0, 16, 1, knobs, level)
        for _ in sharpen(world, model, pack.harm, short, plans, compute, hour=3.0, racing=Racing()):
            pass  # compiled before the clock starts
        began = time.perf_counter()
        foresee(world, model, Scenario(HOURS * 3600.0, 1, 1, knobs, level), LocalCompute(1))
        one_s = time.perf_counter() - began

        looks = []
        began = time.perf_counter()
        scenario = Scenario(HOURS * 3600.0, asked.futures, 1, knobs, level)
        racing = None if asked.all else Racing()
        for done in sharpen(world, model, pack.harm, scenario, plans, compute, hour=3.0, racing=racing):
            looks.append(
                {
                    "seconds": time.perf_counter() - began,
                    "futures": done.tried,
                    "first": done.recommended,
                    "gap_persons": done.gap,
                    "out": len(done.out),
                }
            )
            if not asked.json:
                look = looks[-1]
                print(
                    f"  {look['seconds']:7.1f} s  {look['futures']:4d} futures  gap {look['gap_persons']:8,.0f}  {look['out']} out  {look['first']}",
                    flush=True,
                )
    figures = {
        "cores": os.cpu_count(),
        "workers": compute.workers,
        "load_before": os.getloadavg()[0],
        "futures": asked.futures,
        "plans": len(plans),
        "hazard_runs": done.hazard_runs,
        "one_future_s": one_s,
        "first_ranking_s": looks[0]["seconds"],
        "final_ranking_s": looks[-1]["seconds"],
        "final_in_single_futures": looks[-1]["seconds"] / one_s,
        "doubt": done.doubt,
        "looks": looks,
    }
    if asked.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{asked.futures} futures x {len(plans)} plans, {HOURS:g} h, {compute.workers} workers, {done.hazard_runs} hazard runs")
    print(
        f"  one future on one thread {one_s:.1f} s; first ranking {looks[0]['seconds']:.1f} s; final {looks[-1]['seconds']:.1f} s"
    )
    print(f"  {done.doubt}")


if __name__ == "__main__":
    main()
