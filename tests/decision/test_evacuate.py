"""Evacuations that can be worked out by hand: a street of five kilometres, ten people at each of its six corners, water that comes to one."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tocsin.decision.evacuate import Assumptions, Left, Town, left_in_time
from tocsin.decision.impact import ways_of
from tocsin.decision.interpret import play
from tocsin.decision.streets import streets_of
from tocsin.pack import Action, Duration, Effect, Future, Plan, find_pack
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Assets, Footprint, InputError, Roads, World, column

PACK = find_pack("flood")
MODEL, HARM = PACK.models[0], PACK.harm
INF = np.inf
HOUR = 3600.0
ALONE = Assumptions(shelter_share=0.0)


class LongStreet(TinyWorld):
    """Cells of 1,000 m: the street's five pieces take 120 s each at 30 km/h. Its two ends are the twin's edge. The shelter is in column 3."""

    def __init__(self) -> None:
        super().__init__(cell_m=1000.0)

    def assets(self, kind: str) -> Assets:
        told = super().assets(kind)
        if kind != "shelters":
            return told
        x_m, y_m = self.grid.centre(np.array([9]))
        return msgspec.structs.replace(
            told, place=column([9], np.int64), x_m=column(x_m, np.float64), y_m=column(y_m, np.float64)
        )


def water(depth_m: list[float], arrival_s: list[float]) -> Footprint:
    peak, arrival = np.zeros((4, 6), np.float32), np.full((4, 6), INF, np.float32)
    peak[1], arrival[1] = depth_m, arrival_s
    flat = peak.reshape(1, -1), arrival.reshape(1, -1)
    return Footprint(MODEL.makes, 12 * HOUR, flat[0], flat[1], flat[1])


DRY = water([0.0] * 6, [INF] * 6)
AT_ONE = water([0.0, 1.0, 0.0, 0.0, 0.0, 0.0], [INF, 3600.0, INF, INF, INF, INF])


def action(name: str, minutes: float, *effects: Effect, gradual: bool = False) -> Action:
    return Action(name, name, "police", Duration(minutes, minutes, minutes), effects, gradual=gradual)


def plan(*actions: Action, name: str = "plan") -> Plan:
    return Plan(name, "flood", "", actions)


def move(minutes: float, *zones: str, share: float = 1.0) -> Action:
    return action("move", minutes, *(Effect("move_population", zone, share) for zone in zones))


def out(chosen: Plan, footprint: Footprint = DRY, *, world: World | None = None, assume: Assumptions = ALONE) -> Left:
    there = world or LongStreet()
    course = play(chosen, Future(0, 0, footprint.duration_s, {}), lambda name, time_s: 0.0)
    return left_in_time(there, ways_of(there), chosen, course, footprint, 0, harm=HARM, hour=3.0, assumptions=assume)


def by_column(left: Left) -> list[float]:
    return np.round(left.share_left, 6).tolist()


def test_when_nothing_closes_all_who_are_moved_arrive_after_their_drive() -> None:
    left = out(plan(move(60, "low", "high")))
    assert left.arrived == pytest.approx(60.0, abs=1e-3)
    assert by_column(left) == [1.0] * 6
    assert (left.caught_on_road, left.waited, left.stranded) == pytest.approx((0.0, 0.0, 0.0), abs=1e-3)
    # they set out from 3,600 to 3,660 s; columns 2 and 3 have 240 s to drive, and a step of 10 s each is lost when setting out and arriving
    last_s = left.time_s[np.searchsorted(left.arrived_by, 59.9)]
    assert 3660 + 240 <= last_s <= 3660 + 240 + 20 + 60  # a record each minute


def test_a_zone_that_is_not_moved_stays() -> None:
    assert by_column(out(plan(move(60, "high")))) == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_half_of_a_zone_is_half_of_its_people() -> None:
    left = out(plan(move(60, "low", share=0.5)))
    assert left.arrived == pytest.approx(15.0, abs=1e-3)
    assert by_column(left) == pytest.approx([0.5, 0.5, 0.5, 0, 0, 0], abs=1e-4)


def test_who_is_moved_after_the_water_has_come_stays_where_it_is_and_the_others_go_the_other_way() -> None:
    left = out(plan(move(120, "low", "high")), AT_ONE)
    assert by_column(left) == [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    assert left.caught_on_road == 0.0
    assert left.waited == pytest.approx(10.0, abs=1e-3)


def test_who_is_on_the_street_when_the_water_comes_is_caught_there() -> None:
    # Columns 1 and 2 set out from 3,500 to 3,560 s to the west, 120 and 240 s away. At 3,600 s both pieces at column 1 close.
    left = out(plan(move(3500 / 60, "low")), AT_ONE)
    assert by_column(left) == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert left.caught_on_road == pytest.approx(20.0, abs=1e-3)
    assert left.arrived == pytest.approx(10.0, abs=1e-3)
    edges = np.flatnonzero(left.caught_at)
    roads = LongStreet().roads
    assert sorted(zip(roads.source[edges].tolist(), roads.target[edges].tolist(), strict=True)) == [(1, 0), (2, 1)]


def test_roads_that_are_barred_before_the_water_comes_catch_nobody() -> None:
    barred = action("bar", 30, Effect("close_roads", "all", 0.3))
    left = out(plan(barred, move(3500 / 60, "low")), AT_ONE)
    assert left.caught_on_road == 0.0
    assert by_column(left) == [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]  # column 2 goes east; from column 1 no way leads on


def test_a_warning_alone_moves_those_whom_it_reaches_and_who_go() -> None:
    left = out(plan(action("warn", 10, Effect("warn_people", "all", 1.0))))
    # the defaults are those of Oroville, where 67 to 68 % left; after 12 h all of them but a thousandth have
    assert left.arrived / 60.0 == pytest.approx(0.6776, abs=0.002)


def test_a_shelter_takes_what_it_has_places_for_and_the_rest_are_without_one() -> None:
    shelter = action("open", 10, Effect("open_shelter", "shelter-1", 15.0))
    left = out(plan(shelter, move(60, "low", "high")), assume=Assumptions(shelter_share=1.0))
    assert left.by_goal["Hall"] == pytest.approx(15.0, abs=0.05)  # 1/128 of a vehicle of 2.5 persons may not fit
    assert left.unhoused == pytest.approx(45.0, abs=0.05)
    assert left.arrived == pytest.approx(60.0, abs=1e-3)


def test_a_shelter_that_drowns_is_no_goal() -> None:
    shelter = action("open", 10, Effect("open_shelter", "shelter-1", 100.0))
    wet = water([0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [INF, INF, INF, 5 * HOUR, INF, INF])
    left = out(plan(shelter, move(60, "low")), wet, assume=Assumptions(shelter_share=1.0))
    assert "Hall" not in left.by_goal
    assert left.unhoused == pytest.approx(30.0, abs=1e-3)


def test_without_any_shelter_those_who_asked_for_one_are_counted() -> None:
    left = out(plan(move(60, "low")), assume=Assumptions(shelter_share=0.2))
    assert left.unhoused == pytest.approx(6.0, abs=1e-3)


def test_who_needs_help_leaves_by_bus_where_people_are_moved_and_not_for_a_warning() -> None:
    helped = Assumptions(shelter_share=0.0, help_share=0.5, busses=1, persons_per_bus=30.0, boarding_s=1800.0)
    moved = out(plan(move(60, "low")), assume=helped)
    assert moved.arrived == pytest.approx(30.0, abs=0.02)
    warned = out(plan(action("warn", 10, Effect("warn_people", "low", 1.0))), assume=helped)
    assert warned.arrived == pytest.approx(15.0 * 0.6776, abs=0.1)
    none = out(plan(move(60, "low")), assume=msgspec.structs.replace(helped, busses=0))
    assert none.arrived == pytest.approx(15.0, abs=0.02)


def test_two_plans_that_do_the_same_to_people_cost_one_run() -> None:
    world = LongStreet()
    town = Town(world, ways_of(world), HARM, hour=3.0, assumptions=ALONE)
    first, second, other = plan(move(60, "low")), plan(move(60, "low"), action("watch", 5), name="b"), plan(move(61, "low"))
    future = Future(0, 0, 12 * HOUR, {})
    results = [town.left_in_time(p, play(p, future, lambda name, time_s: 0.0), DRY, 0) for p in (first, second, other)]
    assert results[0] is results[1]
    assert results[2] is not results[0]


def test_nobody_is_counted_twice_and_nobody_is_lost() -> None:
    for footprint in (DRY, AT_ONE):
        for minutes in (30, 3500 / 60, 120):
            left = out(plan(move(minutes, "low", "high"), action("warn", 5, Effect("warn_people", "all", 1.0))), footprint)
            assert left.arrived + left.caught_on_road + left.stranded + left.waited == pytest.approx(left.wanted, abs=1e-6)
            assert left.left == pytest.approx(float(left.share_left.sum() * 10.0), abs=1e-6)


def test_a_town_without_streets_leaves_as_its_curves_say() -> None:
    world = LongStreet()
    none = np.empty(0, np.int64)
    world.roads = Roads(
        **{name: np.empty(0) for name in ("node_x_m", "node_y_m", "length_m", "speed_km_per_h", "line_x_m", "line_y_m")},
        source=none.astype(np.int32), target=none.astype(np.int32), way=none, bridge=none.astype(bool), places=none, highway=(), name=(),
        start=np.zeros(1, np.int64), line_start=np.zeros(1, np.int64),
    )  # fmt: skip
    left = out(plan(move(60, "low", "high")), AT_ONE, world=world)
    assert by_column(left) == [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]  # column 1 is wet at 3,600 s, when the move begins to be done
    with pytest.raises(InputError, match="no roads"):
        streets_of(world, ways_of(world))


@pytest.mark.parametrize("wrong", [{"shelter_share": 1.5}, {"help_share": -0.1}, {"persons_per_vehicle": 0.0}, {"busses": -1}])
def test_an_assumption_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="evacuation"):
        Assumptions(**wrong)  # type: ignore[arg-type]
