"""The cell transmission model against UXsim (Seo 2025, J. Open Source Softw. 10:7617) on identical streets, demand and routes.

UXsim moves platoons of `deltan` vehicles by Newell's simplified car-following, whose mean is the same kinematic wave theory with the same
triangle. What must differ: a platoon crosses a junction whole, so at each of the junctions on a route a vehicle may be a platoon early or late;
and a merge draws lots. Tolerances, stated before the first comparison: the arrival curve within one platoon for each street on the longest
route and one more; the total travel time within 5 % on a corridor, a merge and a diverge, and within 10 % on a grid, where every junction
rounds to platoons.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from tocsin.science.traffic import Flow, Goals, Trips, drive, network

uxsim = pytest.importorskip("uxsim", reason="UXsim is not installed; pip install uxsim")

DELTAN, TAU = 5, 1.0
V, JAM = 20.0, 0.2


class Street(NamedTuple):
    source: int
    target: int
    length_m: float
    speed: float = V
    lanes: int = 1


class Demand(NamedTuple):
    source: int
    target: int
    per_s: float
    seconds: float


def capacity(speed: float, lanes: int) -> float:
    """UXsim's: a triangle with the reaction time as the slope of its right side, for each lane."""
    return lanes * speed * JAM / (1.0 + speed * JAM * TAU)


def by_uxsim(streets: list[Street], demands: list[Demand], seconds: float) -> tuple[np.ndarray, float]:
    """Arrivals in all, each second, and the total travel time, s."""
    world: Any = uxsim.World(
        name="",
        deltan=DELTAN,
        reaction_time=TAU,
        tmax=seconds,
        duo_update_time=10 * seconds,
        duo_noise=0.0,
        random_seed=1,
        print_mode=0,
        save_mode=0,
        show_mode=0,
        cpp=True,
    )
    nodes = sorted({k for s in streets for k in (s.source, s.target)})
    for k in nodes:
        world.addNode(str(k), float(k % 7), float(k // 7))
    for number, s in enumerate(streets):
        world.addLink(
            f"link{number}",
            str(s.source),
            str(s.target),
            s.length_m,
            free_flow_speed=s.speed,
            jam_density_per_lane=JAM,
            number_of_lanes=s.lanes,
            merge_priority=capacity(s.speed, s.lanes),
        )
    for d in demands:
        world.adddemand(str(d.source), str(d.target), 0, d.seconds, d.per_s)
    world.exec_simulation()
    done = [v for v in world.VEHICLES.values() if v.state == "end"]
    assert len(done) == len(world.VEHICLES)  # the run is long enough for all
    arrived_s = np.array([v.arrival_time for v in done], float) * TAU * DELTAN
    total_s = float(sum(v.travel_time for v in done) * DELTAN)
    return np.searchsorted(np.sort(arrived_s), np.arange(int(seconds)), side="right") * float(DELTAN), total_s


def by_cells(streets: list[Street], demands: list[Demand], seconds: float, step_s: float) -> tuple[np.ndarray, float, Flow]:
    goals = sorted({d.target for d in demands})
    columns = list(zip(*streets, strict=True))
    q = [capacity(s.speed, s.lanes) for s in streets]
    roads = network(
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        q,
        [JAM * s.lanes for s in streets],
        nodes=1 + max(max(columns[0]), max(columns[1])),
        step_s=step_s,
        entry_weight_per_s=1e6,  # UXsim lets who sets out go first
    )
    starts = [np.arange(0.0, d.seconds) for d in demands]
    trips = Trips(
        np.array([d.source for d in demands]),
        np.full(len(demands), np.inf),
        np.concatenate(starts),
        np.repeat(np.arange(len(demands)), [s.size for s in starts]),
        np.repeat([goals.index(d.target) for d in demands], [s.size for s in starts]),
        np.repeat([d.per_s for d in demands], [s.size for s in starts]),
    )
    ends = Goals(np.array(goals), np.full(len(goals), np.inf), np.eye(len(goals), dtype=bool), (-1,) * len(goals))
    flow = drive(roads, trips, ends, duration_s=seconds, record_s=step_s, reroute_s=seconds)
    arrived = np.interp(np.arange(int(seconds)), flow.time_s, flow.arrived.sum(axis=1))
    # the area between who wanted to set out and who arrived
    wanted = sum(np.minimum(np.arange(int(seconds)) + 1.0, d.seconds) * d.per_s for d in demands)
    return arrived, float((wanted - arrived).sum()), flow


def compare(streets: list[Street], demands: list[Demand], seconds: float, *, route: int, share: float) -> None:
    theirs, their_s = by_uxsim(streets, demands, seconds)
    ours, our_s, _ = by_cells(streets, demands, seconds, step_s=5.0)
    assert ours[-1] == pytest.approx(theirs[-1], abs=0.01)
    assert np.abs(ours - theirs).max() <= DELTAN * (route + 1)
    assert our_s == pytest.approx(their_s, rel=share)


def test_a_corridor_with_a_bottleneck_is_as_uxsim_has_it() -> None:
    streets = [Street(0, 1, 2000), Street(1, 2, 1000, speed=10.0 / 3.0), Street(2, 3, 2000)]
    compare(streets, [Demand(0, 3, 0.6, 1000)], 4000, route=3, share=0.05)


def test_a_merge_is_as_uxsim_has_it() -> None:
    streets = [Street(0, 2, 1000), Street(1, 2, 1000), Street(2, 3, 1000)]
    compare(streets, [Demand(0, 3, 0.5, 1000), Demand(1, 3, 0.5, 1000)], 4000, route=2, share=0.05)


def test_a_diverge_with_a_queue_on_one_branch_is_as_uxsim_has_it() -> None:
    streets = [Street(0, 1, 1000), Street(1, 2, 1000), Street(1, 3, 1000, speed=2.0)]
    compare(streets, [Demand(0, 2, 0.3, 1000), Demand(0, 3, 0.4, 1000)], 5000, route=2, share=0.05)


def grid(side: int, seed: int) -> list[Street]:
    """A grid whose streets differ in length, so that every quickest way is the only one."""
    rng = np.random.default_rng(seed)
    pairs = [(r * side + c, r * side + c + 1) for r in range(side) for c in range(side - 1)]
    pairs += [(r * side + c, (r + 1) * side + c) for r in range(side - 1) for c in range(side)]
    return [Street(*pair, float(rng.integers(600, 1000))) for a, b in pairs for pair in ((a, b), (b, a))]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_grid_is_as_uxsim_has_it(seed: int) -> None:
    side = 5
    rng = np.random.default_rng(seed)
    ends = [0, side - 1, side * (side - 1), side * side - 1]
    inner = [k for k in range(side * side) if k not in ends]
    demands = [Demand(int(rng.choice(inner)), ends[i % 4], 0.2, 1000) for i in range(12)]
    compare(grid(side, seed), demands, 6000, route=2 * (side - 1), share=0.10)
