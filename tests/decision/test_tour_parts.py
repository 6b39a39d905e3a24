"""Searching a part of the tours at a time keeps every promise of the whole: each stop once, no vehicle twice or too full, never longer than before."""

from __future__ import annotations

import itertools
import pickle
import time
from collections import Counter

import numpy as np
import pytest

from tocsin.decision import tour_parts
from tocsin.decision.tours import Stop, Tours, Vehicle, plan_tours
from tocsin.platform.compute import LocalCompute
from tocsin.vocabulary import Unavailable

pyvrp = pytest.importorskip("pyvrp")

from pyvrp.stop import MaxIterations  # noqa: E402

from tocsin.decision.tour_search import Penalties, search_params  # noqa: E402

STOPS, SHIFT_S = 320, 3 * 3600.0


def town() -> tuple[list[Vehicle], list[Stop], np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(12)
    xy = rng.uniform(0, 5000, (STOPS + 2, 2))
    time_s = np.ceil(np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1)) / 8.0)
    vehicles = [
        Vehicle("north", 0, carries=60, count=16, shift_s=SHIFT_S),
        Vehicle("south", 1, carries=50, count=18, shift_s=SHIFT_S),
    ]
    early = rng.uniform(0, 3600.0, STOPS)
    stops = [
        Stop(f"stop {k}", k + 2, int(rng.integers(1, 9)), 60.0, float(early[k]), float(early[k]) + 5400.0) for k in range(STOPS)
    ]
    return vehicles, stops, time_s


def data() -> pyvrp.ProblemData:
    vehicles, stops, time_s = town()
    whole = time_s.astype(np.int64)
    return pyvrp.ProblemData(
        [pyvrp.Location(0, 0) for _ in whole],
        [pyvrp.Client(s.at, [s.amount], service_duration=60, tw_early=int(s.from_s), tw_late=int(s.until_s)) for s in stops],
        [pyvrp.Depot(0), pyvrp.Depot(1)],
        [
            pyvrp.VehicleType(v.count, [v.carries], start_depot=k, end_depot=k, tw_late=int(SHIFT_S), shift_duration=int(SHIFT_S))
            for k, v in enumerate(vehicles)
        ],
        [whole],
        [whole],
    )


@pytest.fixture(scope="module")
def begun() -> tuple[tour_parts.Ground, pyvrp.Solution]:
    task = data()
    first = pyvrp.solve(task, MaxIterations(150), seed=1, collect_stats=False, display=False, params=search_params(5.0)).best
    assert first.is_feasible()
    return tour_parts.Ground(task, 5.0, time.perf_counter), first


def check(found: Tours) -> None:
    """Loads, hours and shifts by hand, from the answer and the question alone."""
    vehicles, stops, time_s = town()
    of, sort = {s.name: s for s in stops}, {v.name: v for v in vehicles}
    assert Counter(name for tour in found.tours for name in tour.stops) == Counter(dict.fromkeys(of, 1))
    assert all(n <= sort[name].count for name, n in Counter(tour.vehicle for tour in found.tours).items())
    for tour in found.tours:
        truck, visits = sort[tour.vehicle], [of[name] for name in tour.stops]
        assert sum(s.amount for s in visits) <= truck.carries
        places = [truck.at, *(s.at for s in visits), truck.at]
        assert tour.travel_s == sum(time_s[a, b] for a, b in itertools.pairwise(places))
        for stop, begins_s, after, later_s in zip(
            visits, tour.begins_s, places[2:], [*tour.begins_s[1:], tour.back_s], strict=True
        ):
            assert np.ceil(stop.from_s) <= begins_s <= stop.until_s
            assert later_s >= begins_s + stop.service_s + time_s[stop.at, after]
        assert tour.back_s <= SHIFT_S


def test_tours_searched_in_parts_serve_each_stop_once_within_loads_hours_and_shifts() -> None:
    found = plan_tours(*town(), iterations=1500, seed=2)
    assert not found.unserved
    check(found)


def test_parts_put_together_are_shorter_than_the_beginning_and_feasible_by_pyvrp_itself(begun) -> None:  # type: ignore[no-untyped-def]
    ground, first = begun
    after, steps = tour_parts.improve(ground, first, tour_parts.Budget(np.inf, 600), seed=3)
    assert after.is_feasible()
    assert after.is_complete()
    assert after.distance() < first.distance()
    assert 0 < steps <= 600


def test_a_part_whose_search_finds_nothing_better_keeps_its_tours(begun) -> None:  # type: ignore[no-untyped-def]
    ground, first = begun
    rows = tuple((r.vehicle_type(), tuple(a.idx for a in r if a.is_client())) for r in first.routes())
    part = tour_parts.Part(rows[:3], {0: 3, 1: 3}, seed=1, steps=0, seconds=np.inf)
    assert tour_parts.search_part(ground, part)[0] == rows[:3]


def test_the_same_steps_and_seed_give_the_same_tours_whatever_the_number_of_workers(begun) -> None:  # type: ignore[no-untyped-def]
    ground, first = begun
    alone, two = (
        tour_parts.improve(ground, first, tour_parts.Budget(np.inf, 200), seed=3, compute=compute)
        for compute in (None, LocalCompute(2))
    )
    assert alone == two


def test_a_part_can_be_sent_to_another_process(begun) -> None:  # type: ignore[no-untyped-def]
    ground, first = begun
    rows = tuple((r.vehicle_type(), tuple(a.idx for a in r if a.is_client())) for r in first.routes())
    part = tour_parts.Part(rows[:4], {0: 4, 1: 4}, seed=1, steps=50, seconds=np.inf)
    sent, what = pickle.loads(pickle.dumps((ground, part)))
    assert tour_parts.search_part(sent, what) == tour_parts.search_part(ground, part)


def test_no_vehicle_and_no_tour_is_in_two_parts_of_a_round(begun, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    ground, first = begun
    asked = []

    def note(_: object, part: tour_parts.Part):  # type: ignore[no-untyped-def]
        asked.append(part)
        return part.tours, part.steps

    monkeypatch.setattr(tour_parts, "search_part", note)
    tour_parts.improve(ground, first, tour_parts.Budget(np.inf, 2), seed=3)  # two parts, a step each: one round
    assert len(asked) == 2
    assert sum((Counter(part.vehicles) for part in asked), Counter()) == {0: 16, 1: 18}
    assert sorted(stop for part in asked for _, tour in part.tours for stop in tour) == list(range(STOPS))


def test_parts_that_are_out_of_time_leave_the_tours_as_they_are(begun) -> None:  # type: ignore[no-untyped-def]
    ground, first = begun
    assert tour_parts.improve(ground, first, tour_parts.Budget(0.0, None), seed=3) == (first, 0)


def test_a_worker_that_fails_is_told(begun, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    ground, first = begun

    def fail(*_: object) -> None:
        raise Unavailable("the worker is gone")

    monkeypatch.setattr(tour_parts, "search_part", fail)
    with pytest.raises(Unavailable, match="the worker is gone"):
        tour_parts.improve(ground, first, tour_parts.Budget(np.inf, 200), seed=3, compute=LocalCompute(2))


def test_a_search_s_first_penalty_is_a_usual_way_and_never_above_pyvrp_s_own() -> None:
    task = data()
    ways = task.distance_matrix(0)
    loads, late, far = Penalties().midpoint_penalties(task)
    assert loads == [np.median(ways[ways > 0])]
    assert late == far == loads[0]
    huge = task.replace(distance_matrices=[ways * 100_000])
    assert Penalties().midpoint_penalties(huge) == pyvrp.PenaltyParams().midpoint_penalties(huge)
