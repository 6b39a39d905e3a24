"""What it costs that a plan's triggers see its own effects: runs of the hazard for the demo district's plans, and what is told of them.

python benchmarks/own_effects.py [--futures 16] [--workers N] [--json]

Three sets of plans: those that the flood pack has for the district, whose triggers ask for no run; the same with a guarded plan beside them, which raises the
wall and evacuates a zone only when water comes into it; and those of the epidemic pack, of which one goes by the cases that it lowers. The peer in the same run
is what the plans would come to if each was interpreted once, on the hazard that nobody acts on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from tocsin.decision.compare import compare
from tocsin.decision.futures import Foreseen, foresee
from tocsin.decision.outcomes import COST, HARM, MOVED
from tocsin.decision.progress import Script
from tocsin.decision.trial import Town, hit_of, outcome
from tocsin.decision.unfold import Unfolding
from tocsin.interfaces.demo import storm
from tocsin.interfaces.demo.district import ENTRY, write_district
from tocsin.pack import Pack, Plan, Scenario, Spread, facts_for, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.platform.twin import build_twin, open_twin
from tocsin.vocabulary import Level, Series, World

LIVE_FROM_H, HORIZON_H, NIGHT_H = 4.2, 10.0, 3.0


def guarded(made: Sequence[Plan]) -> Plan:
    """The pack's barrier, and its evacuation of each zone, but only when water has reached somebody there."""
    walls = [a for plan in made for a in plan.actions if any(e.verb == "raise_barrier" for e in a.effects)]
    moves = [a for plan in made for a in plan.actions if any(e.verb == "move_population" for e in a.effects)]
    once = {a.name: a for a in (*walls, *moves)}.values()
    actions = tuple(
        msgspec.structs.replace(a, after=(), when=f'flooded_share@"{a.effects[0].target}" > 0 %')
        if a.effects[0].verb == "move_population"
        else msgspec.structs.replace(a, after=(), when="")
        for a in once
    )
    resources = next(plan.resources for plan in made if any(a.name == moves[0].name for a in plan.actions))
    return Plan("guarded", "flood", "Raise the wall; evacuate a zone when water comes into it", actions, resources=resources)


def interpreted_once(
    world: World, pack: Pack, seen: Foreseen, made: Sequence[Plan], compute: LocalCompute
) -> tuple[int, dict[str, np.ndarray]]:
    """Runs, and (figure, mean) for each plan, where triggers see the hazard that nobody acts on."""
    model = pack.models[0]
    town = Town.of(world, pack.harm, model.makes, NIGHT_H, pack)
    mine = Unfolding(town, model, facts_for(pack.hazard), Level.NONE)
    courses, wanted = {}, {}
    for plan in made:
        for row, future in enumerate(seen.futures):
            now = mine.begin(Script(plan), future, seen.footprint.member(row))
            courses[plan.name, row], wanted[plan.name, row] = now.course, now.wanted
    keys = sorted({(row, effects) for (_, row), effects in wanted.items() if effects}, key=str)
    shared = {(row, ()): seen.footprint.member(row) for row in range(len(seen.futures))}
    played = compute.map(lambda key: model.play(world, seen.futures[key[0]], key[1]), keys)
    members = shared | dict(zip(keys, played, strict=True))
    told = {}
    for plan in made:
        rows = []
        for row, future in enumerate(seen.futures):
            hit = hit_of(town, future, members[row, wanted[plan.name, row]], seen.footprint.duration_s)
            figures, _, _ = outcome(town, hit, plan, courses[plan.name, row])
            rows.append([figures[name] for name in (HARM, MOVED, COST)])
        told[plan.name] = np.mean(rows, axis=0)
    return len(seen.futures) + len(keys), told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--futures", type=int, default=16)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments = write_district(Path(folder) / "files", 1)
        build_twin(Path(folder) / "twin", created=datetime.now(UTC), **arguments)
        world = open_twin(Path(folder) / "twin").world(storm.START)
        flood, epidemic, compute = find_pack("flood"), find_pack("epidemic"), LocalCompute(asked.workers)
        knobs = {
            "rain_factor": Spread(0.5, 1.0, 1.6),
            "inflow_factor": Spread(0.75, 1.0, 1.3),
            "manning_factor": Spread(0.8, 1.0, 1.3),
        }
        series = {"rain": storm.rain_mm_per_h(LIVE_FROM_H), f"inflow@{ENTRY}": storm.inflow_m3_per_s(LIVE_FROM_H)}
        water = Scenario(HORIZON_H * 3600.0, asked.futures, 1, knobs, series)
        spreads = {"disease": Spread(1.0, 1.0, 1.0), "transmission_factor": Spread(1.0, 2.0, 3.0)}
        illness = Scenario(90 * 86_400.0, asked.futures, 3, spreads, {"seeds": Series.constant(20.0)})
        own = list(flood.plans(world))
        rows = []
        for name, pack, scenario, made in (
            ("flood, the pack's plans", flood, water, own),
            ("flood, with the guarded plan", flood, water, [*own, guarded(own)]),
            ("epidemic, the pack's plans", epidemic, illness, list(epidemic.plans(world))),
        ):
            seen = foresee(world, pack.models[0], scenario, compute)
            runs, once = interpreted_once(world, pack, seen, made, compute)
            done = compare(world, pack.models[0], pack.harm, seen, made, compute, hour=NIGHT_H, pack=pack)
            assert done.grounds is not None
            figures = done.grounds.table.figures
            for k, plan in enumerate(made):
                seeing = [float(np.mean(figures[figure][k])) for figure in (HARM, MOVED, COST)]
                rows.append({"plans": name, "plan": plan.name, "once": once[plan.name].tolist(), "seeing": seeing})
            rows.append({"plans": name, "runs_once": runs, "runs_seeing": done.hazard_runs})
    if asked.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{asked.futures} futures; interpreted once -> seeing own effects, means: people harmed, people moved, cost")
    for row in rows:
        if "plan" in row:
            told = "   ".join(f"{a:10,.1f} -> {b:10,.1f}" for a, b in zip(row["once"], row["seeing"], strict=True))
            print(f"  {row['plan']:<28} {told}")
        else:
            print(f"{row['plans']}: runs of the hazard {row['runs_once']} -> {row['runs_seeing']}\n")


if __name__ == "__main__":
    main()
