"""Plans that a search puts together: the best of all that can be put together, where all can be tried."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest

from tocsin.decision.candidates import UNVERIFIED, search_plans
from tocsin.decision.compare import compare
from tocsin.decision.futures import Foreseen
from tocsin.pack import Action, Duration, Effect, Future, Plan, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Footprint, InputError

PACK = find_pack("flood")
MODEL, HARM = PACK.models[0], PACK.harm
ONE = LocalCompute(1)


def foreseen(*depth_m: list[float], arrival_s: float = 7200.0) -> Foreseen:
    """A future for each row: depths of the six cells of the street, reached at one moment."""
    peak, arrival = np.zeros((len(depth_m), 24), np.float32), np.full((len(depth_m), 24), np.inf, np.float32)
    for number, depths in enumerate(depth_m):
        peak[number, 6:12] = depths
        arrival[number, 6:12] = np.where(np.array(depths) > 0, arrival_s, np.inf)
    futures = tuple(Future(n, n, 86_400.0, {k: v.usual for k, v in MODEL.knobs.items()}) for n in range(len(depth_m)))
    return Foreseen(futures, Footprint(MODEL.makes, 86_400.0, peak, arrival, arrival), (), None, ({},) * len(depth_m))


def act(name: str, minutes: float, *effects: Effect, cost: float = 1.0, after: tuple[str, ...] = (), **needs: int) -> Action:
    return Action(name, name, "police", Duration(minutes, minutes, minutes), effects, after=after, needs=needs, cost=cost)


def options(*actions: Action, **resources: int) -> Plan:
    return Plan("all", "flood", "", actions, resources=resources)


def move(zone: str, share: float = 1.0) -> Effect:
    return Effect("move_population", zone, share)


def search(world: TinyWorld, seen: Foreseen, plan: Plan, **more: int):  # type: ignore[no-untyped-def]
    return search_plans(world, MODEL, HARM, seen, plan, ONE, hour=3.0, **more)


def test_only_what_helps_is_in_the_plan_and_what_it_waits_for() -> None:
    plan = options(
        act("tell", 5.0), act("low", 30.0, move("low"), after=("tell",)), act("high", 30.0, move("high")), act("dance", 5.0)
    )
    (found,) = search(TinyWorld(), foreseen([1, 1, 1, 0, 0, 0]), plan)
    assert [a.name for a in found.plan.actions] == ["tell", "low"]
    assert (found.criterion, found.nothing) == (0.0, 30.0)
    assert UNVERIFIED in found.plan.basis


def test_where_one_crew_is_there_the_zone_with_more_in_danger_is_first() -> None:
    # 80 min each, water after 2 h: only the first is out in time; three cells of the high zone are hit and one of the low
    plan = options(act("low", 80.0, move("low"), crew=1), act("high", 80.0, move("high"), crew=1), crew=1)
    found = search(TinyWorld(), foreseen([0, 0, 1, 1, 1, 1]), plan)
    assert found[0].plan.actions[0].name == "high"
    assert found[0].criterion == 10.0


def test_nothing_is_suggested_where_nothing_helps() -> None:
    assert search(TinyWorld(), foreseen([1, 1, 1, 1, 1, 1], arrival_s=60.0), options(act("low", 90.0, move("low")))) == ()


def test_of_two_ways_to_the_same_end_the_cheaper_is_taken() -> None:
    plan = options(act("buses", 30.0, move("low"), cost=900.0), act("boats", 30.0, move("low"), cost=500.0))
    (found,) = search(TinyWorld(), foreseen([1, 1, 1, 0, 0, 0]), plan)
    assert [a.name for a in found.plan.actions] == ["boats"]


def test_a_leaner_plan_is_told_where_it_brings_nearly_as_much() -> None:
    plan = options(act("most", 30.0, move("low", 0.95)), act("rest", 30.0, move("low", 0.9)))
    found = search(TinyWorld(), foreseen([1, 1, 1, 0, 0, 0]), plan)
    assert [f.plan.name for f in found] == ["optimised", "optimised, lean"]
    assert [a.name for a in found[1].plan.actions] == ["most"]


@pytest.mark.parametrize("seed", range(6))
def test_the_search_is_as_good_as_the_best_of_all_orders_of_all_parts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = foreseen(*(rng.choice([0.0, 1.0], 6, p=[0.4, 0.6]).tolist() for _ in range(5)))
    actions = [
        act(f"a{k}", float(rng.integers(20, 100)), move(str(rng.choice(["low", "high"])), float(rng.choice([0.5, 0.9]))), crew=1)
        for k in range(4)
    ]
    world, everything = TinyWorld(), options(*actions, crew=1)
    found = search(world, seen, everything)
    plans = [
        msgspec.structs.replace(everything, name=f"{'-'.join(a.name for a in part)}", actions=part)
        for count in range(1, 5)
        for part in itertools.permutations(actions, count)
    ]
    scores = compare(world, MODEL, HARM, seen, plans, ONE, hour=3.0).scores
    best = min(0.5 * s.harm.mean + 0.5 * s.cvar for s in scores)
    assert (found[0].criterion if found else search_nothing(seen)) == pytest.approx(best, abs=0.5)


def search_nothing(seen: Foreseen) -> float:
    losses = np.sort((seen.footprint.peak[:, 6:12] > 0.3).sum(axis=1) * 10.0)
    return float(0.5 * losses.mean() + 0.5 * losses[-1])


def test_a_barrier_is_tried_with_runs_of_the_hazard_and_left_out_aloud_where_these_are_spent() -> None:
    from tocsin.decision.futures import foresee
    from tocsin.pack import Scenario
    from tocsin.vocabulary import Series

    ground = np.tile(np.array([-2.0, -2.0, 0.0, 0.2, 0.4, 0.6]), (4, 1))
    scenario = Scenario(7200.0, 2, 1, {}, {"level@lake": Series.of([0.0, 3600.0], [-1.0, 2.0])})
    world = TinyWorld(ground)
    seen = foresee(world, MODEL, scenario, ONE)
    plan = options(act("raise", 5.0, Effect("raise_barrier", "gate", 3.0)), act("low", 90.0, move("low")))
    found = search(world, seen, plan)
    assert "raise" in [a.name for a in found[0].plan.actions]
    none = search(world, seen, plan, runs_most=1)
    assert all("raise" not in [a.name for a in f.plan.actions] for f in none)
    assert all(f.left_out == ("raise",) for f in none)


def test_options_that_nobody_could_carry_out_are_refused() -> None:
    with pytest.raises(InputError, match="needs 2 crew"):
        search(TinyWorld(), foreseen([1, 1, 1, 0, 0, 0]), options(act("low", 30.0, move("low"), crew=2), crew=1))
    with pytest.raises(InputError, match="wanted 1 or more"):
        search(TinyWorld(), foreseen([1, 1, 1, 0, 0, 0]), options(act("low", 30.0, move("low"))), futures_most=0)
