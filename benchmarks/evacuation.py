"""How fast road traffic is simulated, beside UXsim on identical streets, demand and routes, in one run.

    python benchmarks/evacuation.py [--json] [--twin FOLDER] [--small]

The large case is a made-up street grid of 100,000 nodes with 400,000 vehicles over 4 h. UXsim (pip install uxsim; its C++ mode) keeps a matrix
of all pairs of nodes, which does not go to 100,000: the peer's case is a smaller grid, and the same for both. With --twin an evacuation of all zones
of a real twin is measured too, on its whole street graph and on the contracted one. Compiling is not in the figures;
each is the best of three. The peer's case is in seconds of one core, for both, so other work on the machine counts less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.science.traffic import Flow, Goals, Network, Trips, drive, network

BLOCK_M, STEP_S = 140.0, 10.0
STREET = (30 / 3.6, 600 / 3600.0, 1)  # m/s, veh/s and lane, lanes
AVENUE = (50 / 3.6, 900 / 3600.0, 2)
JAM_PER_M = 0.133
AVENUE_EVERY = 8
LEAVE_S = 3600.0 * 0.7  # scale of the Rayleigh curve of setting out


def best(work: Callable[[], float], times: int = 3) -> float:
    return min(work() for _ in range(times))


def grid(side: int) -> tuple[Network, np.ndarray]:
    """A street grid with an avenue every eighth block, lengths a tenth up and down; and its outer nodes."""
    rng = np.random.default_rng(0)
    k = np.arange(side * side).reshape(side, side)
    pairs = np.concatenate(
        [np.column_stack([k[:, :-1].ravel(), k[:, 1:].ravel()]), np.column_stack([k[:-1].ravel(), k[1:].ravel()])]
    )
    line = np.where(pairs[:, 1] - pairs[:, 0] == 1, pairs[:, 0] // side, pairs[:, 0] % side)
    avenue = line % AVENUE_EVERY == 0
    length_m = BLOCK_M * rng.uniform(0.9, 1.1, len(pairs))
    speed = np.where(avenue, AVENUE[0], STREET[0])
    lanes = np.where(avenue, AVENUE[2], STREET[2])
    capacity = lanes * np.where(avenue, AVENUE[1], STREET[1])

    def two(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x, x])

    made = network(
        np.concatenate([pairs[:, 0], pairs[:, 1]]),
        np.concatenate([pairs[:, 1], pairs[:, 0]]),
        two(length_m),
        two(speed),
        two(capacity),
        two(lanes * JAM_PER_M),
        nodes=side * side,
        step_s=STEP_S,
    )
    rim = np.unique(np.concatenate([k[0], k[-1], k[:, 0], k[:, -1]]))
    return made, rim


def leaving(nodes: int, vehicles: int) -> Trips:
    """The same number from every node, set out along a Rayleigh curve, each node with its own offset."""
    each = vehicles // nodes
    origin = np.repeat(np.arange(nodes), each)
    u = (np.tile(np.arange(each), nodes) + np.repeat((np.arange(nodes) * 0.6180339887) % 1.0, each)) / each
    return Trips(
        np.arange(nodes),
        np.full(nodes, np.inf),
        LEAVE_S * np.sqrt(-2.0 * np.log1p(-u)),
        origin,
        np.zeros(origin.size, np.int64),
        np.ones(origin.size),
    )


def to_any(nodes: np.ndarray) -> Goals:
    return Goals(nodes, np.full(nodes.size, np.inf), np.ones((1, nodes.size), bool), (-1,))


def large(side: int, vehicles: int, threads: int) -> dict[str, Any]:
    roads, rim = grid(side)
    trips, goals = leaving(side * side, vehicles), to_any(rim)
    flows: list[Flow] = []

    def once() -> float:
        began = time.perf_counter()
        flows.append(drive(roads, trips, goals, duration_s=4 * 3600.0, threads=threads))
        return time.perf_counter() - began

    once()
    cpu = time.process_time()
    took = best(once)
    flow = flows[-1]
    return {
        "case": f"{side * side:,} nodes, {len(roads):,} streets, {trips.time_s.size:,} vehicles, 4 h, {threads} threads",
        "s": round(took, 2),
        "cpu_s": round((time.process_time() - cpu) / 3, 2),
        "street_steps": flow.street_steps,
        "ns_a_street_step": round(took / flow.street_steps * 1e9, 1),
        "arrived": round(float(flow.arrived[-1].sum()), 1),
    }


def against_uxsim(side: int, vehicles: int) -> dict[str, Any] | None:
    """The same grid, demand and routes for both: 400 origins and 4 goals at the corners, by destination, quickest way on empty streets."""
    try:
        import uxsim
    except ImportError:
        return None
    roads, _ = grid(side)
    # UXsim's triangle: capacity = v k / (1 + v k tau) a lane, tau = 1 s
    lanes = np.round(roads.jam_per_m / JAM_PER_M).astype(int)
    v = roads.speed_m_per_s
    q = lanes * v * JAM_PER_M / (1.0 + v * JAM_PER_M)
    roads = network(
        roads.source,
        roads.target,
        roads.length_m,
        v,
        q,
        roads.jam_per_m,
        nodes=roads.nodes,
        step_s=STEP_S,
        entry_weight_per_s=1e6,
    )
    rng = np.random.default_rng(3)
    corners = np.array([0, side - 1, side * (side - 1), side * side - 1])
    inner = rng.choice(np.setdiff1d(np.arange(side * side), corners), min(400, side * side // 2), replace=False)
    duration_s, leave_s = 3 * 3600.0, 3600.0
    per_s = vehicles / leave_s / inner.size
    bound = np.arange(inner.size) % 4
    names = [str(k) for k in range(side * side)]

    def world() -> Any:
        made: Any = uxsim.World(
            name="",
            deltan=5,
            reaction_time=1.0,
            tmax=duration_s,
            duo_update_time=10 * duration_s,
            duo_noise=0.0,
            random_seed=1,
            print_mode=0,
            save_mode=0,
            show_mode=0,
            cpp=True,
        )
        for k, name in enumerate(names):
            made.addNode(name, float(k % side), float(k // side))
        for e in range(len(roads)):
            made.addLink(
                f"l{e}",
                names[roads.source[e]],
                names[roads.target[e]],
                float(roads.length_m[e]),
                free_flow_speed=float(v[e]),
                jam_density_per_lane=JAM_PER_M,
                number_of_lanes=int(lanes[e]),
                merge_priority=float(q[e]),
            )
        for o, b in zip(inner.tolist(), bound.tolist(), strict=True):
            made.adddemand(names[o], names[corners[b]], 0, leave_s, per_s)
        return made

    def theirs() -> float:
        made = world()
        began = time.process_time()
        made.exec_simulation()
        took = time.process_time() - began
        done = [x for x in made.VEHICLES.values() if x.state == "end"]
        facts["uxsim_arrived"] = 5 * len(done)
        facts["uxsim_total_h"] = round(sum(x.travel_time for x in done) * 5 / 3600.0, 1)
        return took

    each = round(leave_s / 10)  # a packet every 10 s
    trips = Trips(
        inner,
        np.full(inner.size, np.inf),
        np.tile(np.arange(each) * 10.0, inner.size),
        np.repeat(np.arange(inner.size), each),
        np.repeat(bound, each),
        np.full(inner.size * each, per_s * 10.0),
    )
    goals = Goals(corners, np.full(4, np.inf), np.eye(4, dtype=bool), (-1,) * 4)

    def ours() -> float:
        began = time.process_time()
        flow = drive(roads, trips, goals, duration_s=duration_s, reroute_s=duration_s)
        took = time.process_time() - began
        facts["arrived"] = round(float(flow.arrived[-1].sum()), 1)
        wanted = np.interp(flow.time_s, [0.0, leave_s], [0.0, per_s * leave_s * inner.size])
        gap = wanted - flow.arrived.sum(axis=1)
        facts["total_h"] = round(float(((gap[1:] + gap[:-1]) / 2 * np.diff(flow.time_s)).sum() / 3600.0), 1)
        return took

    facts: dict[str, Any] = {
        "case": f"{side * side:,} nodes, {len(roads):,} streets, {vehicles:,} vehicles, 3 h, 4 goals, one thread each"
    }
    ours()
    facts["cpu_s"] = round(best(ours), 3)
    facts["uxsim_cpu_s"] = round(best(theirs), 2)
    facts["uxsim"] = f"UXsim {uxsim.__version__}, cpp=True"
    facts["times_uxsim"] = round(facts["uxsim_cpu_s"] / facts["cpu_s"], 1)
    return facts


def of_a_twin(folder: Path) -> list[dict[str, Any]]:
    """All people of a real twin are warned at once; 12 h, nothing is flooded."""
    from tocsin.decision.evacuate import Town
    from tocsin.decision.impact import ways_of
    from tocsin.decision.interpret import Course, Done
    from tocsin.decision.streets import streets_of
    from tocsin.pack import Action, Duration, Effect, Plan, find_pack
    from tocsin.platform.twin import open_twin
    from tocsin.vocabulary import Footprint

    pack = find_pack("flood")
    world = open_twin(folder).world(datetime.now(UTC))
    ways, cells = ways_of(world), world.grid.cells
    never = np.full((1, cells), np.inf, np.float32)
    dry = Footprint(pack.models[0].makes, 12 * 3600.0, np.zeros((1, cells), np.float32), never, never)
    people = world.people(3.0)
    busiest = sorted(world.zones.name, key=lambda name: -people[world.zones.places(name)].sum())[:10]
    effects = tuple(Effect("warn_people", name) for name in busiest)
    plan = Plan("all", "flood", "", (Action("warn", "", "operator", Duration(0, 0, 1), effects),))
    course = Course((Done("warn", 0.0, 0.0),))
    rows: list[dict[str, Any]] = []
    found: list[Any] = []
    for name, reduced, step_s in (
        ("whole graph, 10 s", False, 10.0),
        ("contracted, 10 s", True, 10.0),
        ("contracted, 20 s", True, 20.0),
    ):
        began = time.perf_counter()
        streets = streets_of(world, ways, reduced=reduced, step_s=step_s)
        prepared = time.perf_counter() - began

        def once(streets: Any = streets) -> float:
            town = Town(world, ways, pack.harm, hour=3.0, streets=streets)
            began = time.perf_counter()
            found.append(town.left_in_time(plan, course, dry, 0))
            return time.perf_counter() - began

        once()
        cpu = time.process_time()
        took = best(once)
        rows.append(
            {
                "case": name,
                "nodes": streets.roads.nodes,
                "streets": len(streets.roads),
                "km": round(float(streets.roads.length_m.sum()) / 1000.0, 1),
                "stretched": f"{streets.roads.stretched_share:.1%}",
                "prepared_s": round(prepared, 2),
                "s": round(took, 3),
                "cpu_s": round((time.process_time() - cpu) / 3, 3),
                "persons": round(found[-1].wanted),
                "arrived": round(found[-1].arrived),
                "nine_tenths_h": round(found[-1].cleared_s / 3600.0, 2),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--twin", type=Path)
    parser.add_argument("--small", action="store_true", help="a hundredth of the large case, to see that it runs")
    asked = parser.parse_args()
    side, vehicles = (32, 4000) if asked.small else (316, 400_000)
    facts: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "large": [large(side, vehicles, threads) for threads in (1, 2)],
        "peer": against_uxsim(12 if asked.small else 30, 2000 if asked.small else 20_000),
        "twin": of_a_twin(asked.twin) if asked.twin else [],
    }
    if asked.json:
        print(json.dumps(facts, indent=2))
        return
    print(facts["machine"])
    for row in (*facts["large"], facts["peer"] or {"case": "UXsim is not installed"}, *facts["twin"]):
        print(row.pop("case"))
        for key, value in row.items():
            print(f"    {key:20} {value:,}" if isinstance(value, int | float) else f"    {key:20} {value}")


if __name__ == "__main__":
    main()
