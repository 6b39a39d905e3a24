"""Tours are the best of all where all can be tried, leave out what cannot be served and say why, and go on from those under way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tocsin.decision.tours import Stop, Vehicle, plan_tours
from tocsin.vocabulary import InputError


def places(count: int, seed: int = 1) -> np.ndarray:  # type: ignore[type-arg]
    xy = np.random.default_rng(seed).uniform(0, 3000, (count, 2))
    return np.ceil(np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1)))


def stops(count: int, **more: float) -> list[Stop]:
    return [Stop(f"stop {k}", k, service_s=60.0, **more) for k in range(1, count + 1)]  # type: ignore[arg-type]


def test_one_vehicle_takes_the_shortest_of_all_rounds() -> None:
    time_s = places(8)
    found = plan_tours([Vehicle("van", 0)], stops(7), time_s, iterations=300)
    best = min(sum(time_s[a, b] for a, b in itertools.pairwise((0, *order, 0))) for order in itertools.permutations(range(1, 8)))
    assert found.travel_s == best
    assert sorted(found.tours[0].stops) == [f"stop {k}" for k in range(1, 8)]


def test_a_tour_tells_when_each_stop_begins_and_when_the_vehicle_is_back() -> None:
    time_s = np.array([[0.0, 100.0], [100.0, 0.0]])
    (tour,) = plan_tours([Vehicle("van", 0)], [Stop("clinic", 1, service_s=60.0, from_s=500.0)], time_s, iterations=50).tours
    assert tour.begins_s == (500.0,)
    assert tour.back_s == 660.0
    assert tour.travel_s == 200.0


def test_no_vehicle_carries_more_than_it_can_nor_works_longer_than_its_shift() -> None:
    time_s = places(13)
    found = plan_tours([Vehicle("truck", 0, carries=3, count=3, shift_s=7200.0)], stops(12, amount=1), time_s, iterations=300)
    assert all(len(tour.stops) <= 3 and tour.back_s <= 7200.0 for tour in found.tours)
    assert len(found.unserved) == 3
    assert {why for _, why in found.unserved} == {"not within its hours and the vehicles' shifts and loads"}


def test_the_lightest_are_left_out_first() -> None:
    asked = [Stop(f"stop {k}", k, amount=1, weight=1.0 + k) for k in range(1, 5)]
    found = plan_tours([Vehicle("boat", 0, carries=2)], asked, places(5), iterations=300)
    assert sorted(name for name, _ in found.unserved) == ["stop 1", "stop 2"]


def test_what_no_way_leads_to_or_nobody_can_carry_is_told_and_the_rest_is_served() -> None:
    time_s = places(4)
    time_s[2, :] = np.inf
    asked = [Stop("dry", 1), Stop("island", 2), Stop("turbine", 3, amount=50)]
    found = plan_tours([Vehicle("truck", 0, carries=10)], asked, time_s, iterations=50)
    assert [tour.stops for tour in found.tours] == [("dry",)]
    assert dict(found.unserved) == {
        "island": "no way leads there and back",
        "turbine": "its 50 are more than any vehicle carries",
    }


def test_a_street_that_is_gone_between_two_stops_is_not_driven() -> None:
    time_s = np.array([[0.0, 100, 100], [100, 0, np.inf], [100, np.inf, 0]])
    found = plan_tours([Vehicle("van", 0, count=2)], stops(2), time_s, iterations=50)
    assert sorted(tour.stops for tour in found.tours) == [("stop 1",), ("stop 2",)]


def test_the_same_seed_and_steps_give_the_same_tours() -> None:
    time_s = places(30)
    one, two = (
        plan_tours([Vehicle("van", 0, count=4, carries=10)], stops(29, amount=1), time_s, iterations=100, seed=3)
        for _ in range(2)
    )
    assert one == two


def test_a_new_stop_is_put_into_the_tours_that_are_under_way_and_a_lost_one_is_dropped() -> None:
    time_s, vans = places(40), [Vehicle("van", 0, count=5, carries=9)]
    before = plan_tours(vans, stops(38, amount=1), time_s, iterations=500)
    changed = [s for s in stops(39, amount=1) if s.name != "stop 4"]
    after = plan_tours(vans, changed, time_s, iterations=20, before=before)
    served = {name for tour in after.tours for name in tour.stops}
    assert served == {s.name for s in changed}
    assert (
        after.travel_s <= 1.05 * plan_tours(vans, changed, time_s, iterations=500).travel_s
    )  # a few steps are nearly as good as many


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time_s": np.zeros((2, 3))}, "wanted \\(place, place\\)"),
        ({"time_s": np.full((2, 2), np.nan)}, "each a number"),
        ({"vehicles": []}, "wanted one or more"),
        ({"stops": [Stop("a", 5)]}, "stands at no place"),
        ({"stops": [Stop("a", 1), Stop("a", 1)]}, "two are named"),
        ({"stops": [Stop("a", 1, from_s=10.0, until_s=5.0)]}, "from before until"),
        ({"vehicles": [Vehicle("van", 0, count=0)]}, "wanted 1 or more"),
        ({"seconds": 0.0}, "wanted 0..3600 s"),
        ({"iterations": 0}, "iterations"),
    ],
)
def test_nonsense_is_refused(change: dict, said: str) -> None:  # type: ignore[type-arg]
    asked = {"vehicles": [Vehicle("van", 0)], "stops": [Stop("a", 1)], "time_s": np.zeros((2, 2))} | change
    with pytest.raises(InputError, match=said):
        plan_tours(**asked)


def test_where_nothing_feasible_is_found_in_a_third_of_the_time_the_lightest_are_left_out_and_told() -> None:
    found = plan_tours([Vehicle("van", 0, carries=2)], stops(4, amount=1), places(5), iterations=300)
    assert (len(found.unserved), sum(len(tour.stops) for tour in found.tours)) == (2, 2)
    assert found.iterations <= 301
