"""Plans meet the same futures, and are scored by whom they save; every number here can be checked by hand."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.decision.compare import compare
from tocsin.decision.futures import Foreseen, draw, foresee
from tocsin.decision.impact import impact, way_out_s, ways_of
from tocsin.pack import Action, Duration, Effect, Future, Plan, Scenario, Spread, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Footprint, InputError, Level, Series, Unavailable, Water

PACK = find_pack("flood")
MODEL, HARM = PACK.models[0], PACK.harm
WORLD = TinyWorld()
ONE, TWO = LocalCompute(1), LocalCompute(2)
INF = np.inf


def flood(depth_m: list[float], arrival_s: list[float], *, members: int = 1) -> Footprint:
    """Water in the six cells of the street, the same in every future."""
    peak, arrival = np.zeros((4, 6), np.float32), np.full((4, 6), INF, np.float32)
    peak[1], arrival[1] = depth_m, arrival_s

    def repeat(a: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.tile(a.reshape(1, -1), (members, 1))

    return Footprint(MODEL.makes, 86_400.0, repeat(peak), repeat(arrival), repeat(arrival))


def foreseen(footprint: Footprint) -> Foreseen:
    futures = tuple(Future(n, n, 86_400.0, {k: v.usual for k, v in MODEL.knobs.items()}) for n in range(footprint.members))
    return Foreseen(futures, footprint, (), None, ({},) * footprint.members)


DRY_EAST = flood([2.0, 1.0, 0.2, 0.0, 0.0, 0.0], [3600.0, 7200.0, 9000.0, INF, INF, INF])


def test_impact_by_hand() -> None:
    hit = impact(WORLD, DRY_EAST, HARM, hour=3.0).figures
    assert hit["people_in_danger"] == [20.0]
    assert hit["people_exposed"] == [30.0]
    # edges 0-1 and 1-2 run through water of 1 m and more, 2-3 through 0.2 m; each is counted once, not once a direction
    assert hit["road_km_cut"] == [pytest.approx(0.020)]
    assert hit["road_km_slowed"] == [pytest.approx(0.010)]
    # the house has 100 m2 in the first cell: its curve at 2 m times its worth
    assert hit["damage"] == [pytest.approx(100.0 * 867.03 * 0.949369)]
    assert hit["buildings_affected"] == [1.0]


def test_people_behind_the_water_are_cut_off_and_those_in_it_are_not_counted_twice() -> None:
    world = TinyWorld(cell_m=10.0)
    # water in column 3 only: columns 0 to 2 are dry, but the way to the shelter in column 5 leads through it; the twin's edge is a way out too
    barrier = flood([0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [INF, INF, INF, 100.0, INF, INF])
    ways = ways_of(world)
    until = way_out_s(world, ways, HARM, barrier, 0).reshape(4, 6)[1]
    assert ways.exits.size >= 2
    assert until.tolist()[4:] == [INF, INF]


def moving(zone: str, share: float, minutes: float, name: str = "move") -> Plan:
    lasts = Duration(minutes, minutes, minutes)
    return Plan(name, "flood", "", (Action("go", "go", "police", lasts, (Effect("move_population", zone, share),)),))


WAIT = Plan("wait", "flood", "", (Action("watch", "watch", "operator", Duration(60.0, 60.0, 60.0)),))


def harm_of(plan: Plan, footprint: Footprint) -> float:
    return float(compare(WORLD, MODEL, HARM, foreseen(footprint), [plan], ONE, hour=3.0).harm_by_future[plan.name][0])


def test_who_left_before_the_water_came_is_out_of_danger_and_nobody_else() -> None:
    assert harm_of(WAIT, DRY_EAST) == 20.0
    assert harm_of(moving("low", 0.5, 30.0), DRY_EAST) == pytest.approx(10.0)  # all moved before the first hour
    assert harm_of(moving("low", 0.5, 90.0), DRY_EAST) == pytest.approx(15.0)  # the second cell only: the first was wet after 1 h
    assert harm_of(moving("low", 0.5, 150.0), DRY_EAST) == pytest.approx(20.0)  # too late for both
    assert harm_of(moving("high", 1.0, 10.0), DRY_EAST) == pytest.approx(20.0)  # the wrong zone


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0.01, 1.0), minutes=st.floats(1.0, 300.0), deep=st.lists(st.floats(0.0, 3.0), min_size=6, max_size=6))
def test_moving_people_never_harms(share: float, minutes: float, deep: list[float]) -> None:
    arrival = [600.0 * (n + 1) if d > 0.1 else INF for n, d in enumerate(deep)]
    water = flood(deep, arrival)
    assert harm_of(moving("low", share, minutes), water) <= harm_of(WAIT, water) + 1e-9


def test_a_barrier_raised_in_time_keeps_the_inside_dry_and_a_late_one_does_not() -> None:
    scenario = Scenario(7200.0, 1, 1, series={"level@lake": Series.of([0.0, 1800.0], [0.0, 2.0])})
    seen = foresee(WORLD, MODEL, scenario, ONE)

    def raised_after(minutes: float) -> float:
        lasts = Duration(minutes, minutes, minutes)
        plan = Plan("gate", "flood", "", (Action("raise", "raise", "fire", lasts, (Effect("raise_barrier", "gate", 3.0),)),))
        return float(compare(WORLD, MODEL, HARM, seen, [plan], ONE, hour=3.0).harm_by_future["gate"][0])

    assert harm_in_zones(seen) == 60.0  # the lake floods the whole street
    assert raised_after(4.0) == 30.0  # the eastern half stays dry
    assert raised_after(110.0) == 60.0


def harm_in_zones(seen: Foreseen) -> float:
    return float(compare(WORLD, MODEL, HARM, seen, [WAIT], ONE, hour=3.0).harm_by_future["wait"][0])


def test_a_plan_that_does_not_act_on_the_hazard_needs_no_run_of_its_own() -> None:
    done = compare(
        WORLD, MODEL, HARM, foreseen(flood([1.0] * 6, [60.0] * 6, members=5)), [WAIT, moving("low", 1.0, 5.0)], ONE, hour=3.0
    )
    assert done.hazard_runs == 5


def test_two_plans_with_the_same_barrier_share_its_runs() -> None:
    scenario = Scenario(3600.0, 3, 1, {"level_offset_m": Spread(-0.1, 0.0, 0.1)}, {"level@lake": Series.constant(1.0)})
    seen = foresee(WORLD, MODEL, scenario, ONE)
    raising = Action("raise", "raise", "fire", Duration(5.0, 10.0, 20.0), (Effect("raise_barrier", "gate", 3.0),))
    plans = [Plan("a", "flood", "", (raising,)), Plan("b", "flood", "", (raising, *WAIT.actions))]
    done = compare(WORLD, MODEL, HARM, seen, plans, ONE, hour=3.0)
    assert done.hazard_runs == 6
    np.testing.assert_array_equal(done.harm_by_future["a"], done.harm_by_future["b"])


def test_the_plan_that_leaves_fewest_in_danger_is_first_and_says_by_how_much() -> None:
    water = flood([2.0] * 6, [7200.0] * 6, members=20)
    done = compare(WORLD, MODEL, HARM, foreseen(water), [WAIT, moving("low", 1.0, 30.0)], ONE, hour=3.0)
    assert [s.plan for s in done.scores] == ["move", "wait"]
    assert done.recommended == "move"
    first, second = done.scores
    assert (first.harm.mean, second.harm.mean) == (30.0, 60.0)
    assert (first.regret_worst, second.regret_mean) == (0.0, 30.0)
    assert "saves 30 more" in done.doubt
    assert done.harm_by_zone["move"]["low"] == 0.0


def test_plans_that_are_alike_are_told_to_be_and_the_cheaper_one_is_first() -> None:
    dear = Plan("dear", "flood", "", (Action("watch", "watch", "operator", Duration(60.0, 60.0, 60.0), cost=9.0),))
    done = compare(WORLD, MODEL, HARM, foreseen(flood([1.0] * 6, [60.0] * 6, members=4)), [dear, WAIT], ONE, hour=3.0)
    assert done.recommended == "wait"
    assert "damage and cost decide" in done.doubt


def test_a_plan_that_is_best_by_its_tail_alone_is_not_said_to_leave_the_fewest() -> None:
    """20 futures, 10 people in each of six cells: water in the western half in all of them, in the eastern half too in the last two."""
    west, both = flood([2.0] * 3 + [0.0] * 3, [7200.0] * 3 + [INF] * 3), flood([2.0] * 6, [7200.0] * 6)
    water = Footprint(
        MODEL.makes, 86_400.0, *(np.concatenate([np.repeat(getattr(west, n), 18, 0), np.repeat(getattr(both, n), 2, 0)]) for n in
        ("peak", "arrival_s", "end_s")),
    )  # fmt: skip
    done = compare(
        WORLD, MODEL, HARM, foreseen(water), [moving("low", 0.10, 30.0), moving("high", 1.0, 30.0, "east")], ONE, hour=3.0
    )
    # move: 27 in 18 futures, 57 in 2: mean 30, tail 57. east: 30 in all 20: mean 30, tail 30.
    assert [s.plan for s in done.scores] == ["east", "move"]
    assert "leaves the fewest" in done.reason
    done = compare(
        WORLD, MODEL, HARM, foreseen(water), [moving("low", 0.15, 30.0), moving("high", 1.0, 30.0, "east")], ONE, hour=3.0
    )
    # move: 25.5 and 55.5: mean 28.5, tail 55.5
    assert [s.plan for s in done.scores] == ["east", "move"]
    assert "is best by average and worst tenth together: 30 on average, 30 in the worst tenth" in done.reason
    assert "2 fewer than 'east' on average, 26 more in the worst tenth" in done.scores[1].reason


def test_costs_in_another_currency_than_the_damage_are_refused() -> None:
    plan = Plan("dear", "flood", "", (Action("a", "a", "fire", Duration(1.0, 1.0, 1.0), cost=9.0),), currency="BRL")
    with pytest.raises(InputError, match="costs in BRL, damage is told in EUR"):
        compare(WORLD, MODEL, HARM, foreseen(DRY_EAST), [plan], ONE, hour=3.0)


def test_a_water_without_a_forecast_has_its_usual_level_above_the_gauges_own_zero() -> None:
    class Town(TinyWorld):
        def water(self, name: str) -> Water:
            return msgspec.structs.replace(super().water(name), usual_level_m=12.0, gauge_zero_m=11.0)

    waits = Action("a", "a", "fire", Duration(1.0, 1.0, 1.0), when="level_m@lake > 2 m", deadline_min=30.0)
    done = compare(Town(), MODEL, HARM, foreseen(DRY_EAST), [Plan("high lake", "flood", "", (waits,))], ONE, hour=3.0)
    assert done.scores[0].failed_share == 1.0  # the lake stands 1 m above the gauge's zero, not 12


def test_a_plan_that_is_meant_for_a_higher_level_says_so() -> None:
    plan = Plan("evacuate", "flood", "", WAIT.actions, level=Level.ORANGE)
    done = compare(WORLD, MODEL, HARM, foreseen(DRY_EAST), [plan], ONE, hour=3.0, warning_level=Level.YELLOW)
    assert "it is meant from orange on, and the warning is yellow" in done.scores[0].reason
    done = compare(WORLD, MODEL, HARM, foreseen(DRY_EAST), [plan], ONE, hour=3.0, warning_level=Level.RED)
    assert "meant from" not in done.scores[0].reason


def test_two_plans_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="wanted each name once"):
        compare(WORLD, MODEL, HARM, foreseen(DRY_EAST), [WAIT, WAIT], ONE, hour=3.0)


SCENARIO = Scenario(
    1800.0,
    8,
    3,
    {"rain_factor": Spread(0.5, 1.0, 2.0), "manning_factor": Spread(0.7, 1.0, 1.5)},
    {"rain": Series.constant(60.0), "level@lake": Series.constant(0.5)},
)


def test_one_worker_and_two_give_the_same_answer_bit_for_bit() -> None:
    first, second = (foresee(WORLD, MODEL, SCENARIO, compute, frame_s=(600.0, 1800.0)) for compute in (ONE, TWO))
    np.testing.assert_array_equal(first.footprint.peak, second.footprint.peak)
    np.testing.assert_array_equal(first.frames, second.frames)


def test_a_single_future_is_the_usual_one() -> None:
    (only,) = draw(MODEL, Scenario(60.0, 1, 9, {"rain_factor": Spread(0.5, 1.2, 2.0)}))
    assert only.knobs["rain_factor"] == 1.2


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (Scenario(60.0, 1, 1, {"wind": Spread(1, 1, 1)}), "no knob 'wind'"),
        (Scenario(60.0, 1, 1, {"rain_factor": Spread(0, 1, 99)}), "outside 0.0..5.0"),
        (Scenario(60.0, 1, 1, {}, {"snow": Series.constant(1.0)}), "no forcing 'snow'"),
        (Scenario(60.0, 1, 1, {}, {"rain": Series.constant(5_000.0)}), "check the unit"),
    ],
)
def test_a_scenario_that_the_model_does_not_know_is_refused(scenario: Scenario, message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw(MODEL, scenario)


def test_a_higher_lake_never_puts_fewer_people_in_danger() -> None:
    ground_m = np.tile(np.linspace(0.0, 2.5, 6), (4, 1))
    world = TinyWorld(ground_m)
    danger = []
    for level_m in (0.0, 0.7, 1.4, 2.1, 3.5):
        seen = foresee(world, MODEL, Scenario(7200.0, 1, 1, {}, {"level@lake": Series.constant(level_m)}), ONE)
        danger.append(float(impact(world, seen.footprint, HARM, hour=3.0).figures["people_in_danger"][0]))
    assert danger == sorted(danger)
    assert (danger[0], danger[-1]) == (0.0, 60.0)


def test_compute_names_the_item_that_failed_and_keeps_the_order_of_the_rest() -> None:
    assert TWO.map(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    with pytest.raises(Unavailable, match="item 3 failed: ZeroDivisionError"):
        TWO.map(lambda n: 1 // (n - 3), range(10))
    with pytest.raises(InputError, match="0 workers"):
        LocalCompute(0)
