"""Road traffic against kinematic wave theory, hand sums and SciPy: nothing is lost, queues grow and clear as the theory says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from tocsin.science.traffic import BARRED, Changes, Flow, Goals, Network, Trips, drive, network
from tocsin.science.traffic_steps import NO_WAY, ways_to
from tocsin.vocabulary import InputError

V, Q, JAM = 20.0, 0.8, 0.2  # m/s, veh/s, veh/m: backward wave 0.8 / (0.2 - 0.04) = 5 m/s
WAVE = 5.0


def street(*lengths_m: float, capacity: tuple[float, ...] | None = None, step_s: float = 5.0) -> Network:
    """Streets in a row, nodes 0, 1, 2, ..."""
    n = len(lengths_m)
    q = capacity or (Q,) * n
    return network(range(n), range(1, n + 1), lengths_m, [V] * n, q, [JAM] * n, nodes=n + 1, step_s=step_s)


def stream(per_s: float, seconds: float, *, node: int = 0, bound: int = 0) -> dict[str, Any]:
    """A packet every second: as good as a fluid."""
    count = int(seconds)
    return {
        "origin_node": np.array([node]),
        "shuts_s": np.array([np.inf]),
        "time_s": np.arange(count, dtype=float),
        "origin": np.zeros(count, np.int64),
        "bound": np.full(count, bound),
        "vehicles": np.full(count, per_s),
    }


def together(*streams: dict[str, Any]) -> Trips:
    origins = np.cumsum([0, *(s["origin_node"].size for s in streams)])
    parts = {k: np.concatenate([s[k] for s in streams]) for k in ("origin_node", "shuts_s", "time_s", "bound", "vehicles")}
    return Trips(**parts, origin=np.concatenate([s["origin"] + first for s, first in zip(streams, origins, strict=False)]))


def to(*nodes: int, places: tuple[float, ...] | None = None, each: bool = False) -> Goals:
    """Goals at nodes: one bound that takes any of them, or with `each` one bound for each."""
    many = np.array(places or (np.inf,) * len(nodes))
    serves = np.eye(len(nodes), dtype=bool) if each else np.ones((1, len(nodes)), bool)
    return Goals(np.array(nodes), many, serves, (-1,) * len(serves))


def rate(flow: Flow, first_s: float, last_s: float, goal: int = 0) -> float:
    a, b = np.searchsorted(flow.time_s, (first_s, last_s))
    return float((flow.arrived[b, goal] - flow.arrived[a, goal]) / (flow.time_s[b] - flow.time_s[a]))


# -- kinematic wave theory -------------------------------------------------------------------------------------------


def test_a_free_vehicle_takes_length_over_speed() -> None:
    flow = drive(street(1000, 2000), together(stream(1.0, 1)), to(2), duration_s=400, record_s=5)
    # 3,000 m at 20 m/s are 150 s; the step in which it sets out and that in which it is booked add one each
    arrived_s = flow.time_s[np.searchsorted(flow.arrived[:, 0], 0.5)]
    assert 150.0 <= arrived_s <= 150.0 + 2 * 5.0


def test_behind_a_closed_end_the_queue_grows_at_the_speed_of_the_shock() -> None:
    q, long_m = 0.4, 5000.0
    roads = street(long_m, 100.0, capacity=(Q, 1e-5))  # as good as closed, but drivers do not know
    flow = drive(roads, together(stream(q, 6000)), to(2), duration_s=6000, record_s=5)
    # Rankine-Hugoniot: the jam at 0.2 veh/m meets a flow of 0.4 veh/s at 0.02 veh/m and runs back at 0.4 / (0.2 - 0.02) m/s
    shock = q / (JAM - q / V)
    expected_s = long_m / V + long_m / shock
    full_s = flow.time_s[np.flatnonzero(flow.waiting > 1.0)[0]]
    # the front is smeared over two cells of 100 m, each of which the shock takes 45 s to cross
    assert full_s == pytest.approx(expected_s, abs=2 * 100.0 / shock)
    assert flow.stranded[0] == pytest.approx(JAM * long_m, rel=1e-4)


def test_a_bottleneck_discharges_at_its_capacity() -> None:
    flow = drive(street(1000, 500, 1000, capacity=(Q, 0.3, Q)), together(stream(0.6, 3000)), to(3), duration_s=6000)
    assert rate(flow, 600, 3000) == pytest.approx(0.3, rel=1e-4)  # a grain is 2^-20 of a vehicle, a step brings 1.5


def test_a_queue_clears_when_theory_says() -> None:
    flow = drive(street(4000, 500, 1000, capacity=(Q, 0.4, Q)), together(stream(0.6, 1200)), to(3), duration_s=4000, record_s=5)
    # 720 vehicles at 0.4 veh/s: the first at (5,500 m) / 20 m/s = 275 s, the last 720 / 0.4 = 1,800 s later
    done_s = flow.time_s[np.searchsorted(flow.arrived[:, 0], 719.5)]
    assert done_s == pytest.approx(275.0 + 1800.0, abs=4 * 5.0)  # a step at each of three junctions and the goal


@pytest.mark.parametrize("q", [0.1, 0.3, 0.5, 0.7, 0.8])
def test_the_free_branch_of_the_fundamental_diagram_comes_out(q: float) -> None:
    flow = drive(street(5000), together(stream(q, 3000)), to(1), duration_s=2500)
    # density = flow / speed; a packet each second and a step of 5 s leave the last step's 5 packets uncertain
    assert flow.on_road[-1] / 5000.0 == pytest.approx(q / V, abs=5 * q / 5000.0)


@pytest.mark.parametrize("q", [0.1, 0.2, 0.4, 0.6, 0.75])
def test_the_congested_branch_of_the_fundamental_diagram_comes_out(q: float) -> None:
    flow = drive(street(2000, 500, capacity=(Q, q)), together(stream(Q, 20_000)), to(2), duration_s=20_000)
    density = flow.stranded[0] / 2000.0
    assert density == pytest.approx(JAM - q / WAVE, rel=1e-3)  # steady: what remains is the rounding to grains
    assert rate(flow, 15_000, 20_000) == pytest.approx(q, rel=1e-3)


def test_a_street_that_is_slowed_keeps_its_backward_wave_and_loses_flow() -> None:
    slowed = Changes(np.array([0.0]), np.array([1]), np.array([0.25]))
    flow = drive(street(1000, 1000, 1000), together(stream(0.8, 4000)), to(3), duration_s=6000, changes=slowed)
    # triangle with v = 5, w = 5, kj = 0.2: capacity 0.5 veh/s
    assert rate(flow, 1500, 4000) == pytest.approx(0.5, rel=1e-3)


# -- junctions ---------------------------------------------------------------------------------------------------------


def test_a_full_merge_is_shared_by_capacity() -> None:
    # streets of 0.8 and 0.4 veh/s into one of 0.6
    roads = network([0, 1, 2], [2, 2, 3], [1000] * 3, [V] * 3, [0.8, 0.4, 0.6], [0.2, 0.2, 0.2], nodes=4, step_s=5)
    trips = together(stream(0.8, 4000, bound=0), stream(0.4, 4000, node=1, bound=1))
    goals = Goals(np.array([3]), np.array([np.inf]), np.ones((2, 1), bool), (-1, -1))
    flow = drive(roads, trips, goals, duration_s=4000)
    first, second = flow.arrived_by_bound[0]
    early = drive(roads, trips, goals, duration_s=1000).arrived_by_bound[0]
    assert (first - early[0]) / (second - early[1]) == pytest.approx(2.0, rel=1e-2)
    assert (first + second - early.sum()) / 3000 == pytest.approx(0.6, rel=1e-3)


def test_who_wants_less_than_his_share_of_a_merge_gets_all_and_the_other_the_rest() -> None:
    roads = network([0, 1, 2], [2, 2, 3], [1000] * 3, [V] * 3, [0.8, 0.8, 0.6], [0.2] * 3, nodes=4, step_s=5)
    trips = together(stream(0.1, 4000, bound=0), stream(0.8, 4000, node=1, bound=1))
    goals = Goals(np.array([3]), np.array([np.inf]), np.ones((2, 1), bool), (-1, -1))
    early, late = (drive(roads, trips, goals, duration_s=t).arrived_by_bound[0] for t in (1000, 4000))
    assert (late - early) / 3000 == pytest.approx([0.1, 0.5], rel=1e-2)


def test_at_a_diverge_who_cannot_go_on_holds_back_all_behind_him() -> None:
    # half turn into a street of 0.1 veh/s: first-in first-out lets no more than 0.1 through to the free one either
    roads = network([0, 1, 1], [1, 2, 3], [1000] * 3, [V] * 3, [0.8, 0.1, 0.8], [0.2] * 3, nodes=4, step_s=5)
    trips = together(stream(0.3, 6000, bound=0), stream(0.3, 6000, bound=1))
    flow = drive(roads, trips, to(2, 3, each=True), duration_s=6000)
    assert rate(flow, 3000, 6000, 0) == pytest.approx(0.1, rel=1e-3)
    assert rate(flow, 3000, 6000, 1) == pytest.approx(0.1, rel=2e-2)  # the mix in a cell is a mean over its length


def test_a_queue_spills_back_over_junctions_and_holds_up_who_does_not_want_there() -> None:
    # 0 -> 1 -> 2 -> 3 (goal a, 0.1 veh/s at the end), and 1 -> 4 (goal b)
    roads = network([0, 1, 2, 1], [1, 2, 3, 4], [500, 300, 300, 300], [V] * 4, [0.8, 0.8, 0.1, 0.8], [0.2] * 4, nodes=5, step_s=5)
    trips = together(stream(0.3, 5000, bound=0), stream(0.3, 5000, bound=1))
    flow = drive(roads, trips, to(3, 4, each=True), duration_s=5000)
    # the queue begins after 40 s and grows by 0.2 veh/s; the 300 m to the junction hold 54 at 0.18 veh/m: full after 310 s
    assert rate(flow, 60, 300, 1) == pytest.approx(0.3, abs=5 * 0.3 / 240)
    assert rate(flow, 3000, 5000, 1) == pytest.approx(0.1, rel=2e-2)
    assert int(np.argmax(flow.delay_h)) == 2  # and all of the waiting is booked to the narrow street


# -- goals, closures, origins ----------------------------------------------------------------------------------------


def test_who_is_on_a_street_that_closes_is_caught_and_nobody_else() -> None:
    roads = street(1000, 1000, 1000)
    closes = Changes(np.array([100.0]), np.array([1]), np.array([0.0]))
    flow = drive(roads, together(stream(0.2, 90)), to(3), duration_s=2000, changes=closes)
    # 18 vehicles at 0.2 veh/s; on the middle street at 100 s is who set out before 50 s and has not crossed it: all of them, 10
    assert flow.caught_on.tolist() == [0.0, flow.caught[-1], 0.0]
    assert flow.caught[-1] == pytest.approx(10.0, abs=2 * 1.0)  # a step's 1.0 vehicle at each of its two ends
    assert flow.arrived[-1, 0] == 0.0
    assert flow.stranded[0] == pytest.approx(18.0 - flow.caught[-1], abs=90 / 2**20)  # each packet is rounded to grains


def test_a_barrier_catches_nobody_and_lets_nobody_in() -> None:
    roads = network([0, 1, 1, 3], [1, 2, 3, 2], [1000, 1000, 1000, 1000], [V] * 4, [Q] * 4, [JAM] * 4, nodes=4, step_s=5)
    barred = Changes(np.array([70.0]), np.array([1]), np.array([BARRED]))
    flow = drive(roads, together(stream(0.4, 200)), to(2), duration_s=2000, changes=barred, reroute_s=5, record_s=5)
    assert flow.caught[-1] == 0.0
    assert flow.arrived[-1, 0] == pytest.approx(80.0, abs=1e-3)
    # those behind it take 50 s longer; after the last of the first batch has arrived nobody does for that long
    rising = flow.time_s[1:][np.diff(flow.arrived[:, 0]) > 0.1]
    assert np.diff(rising).max() == pytest.approx(50.0, abs=2 * 5.0)


def test_a_closure_ahead_turns_drivers_to_another_way() -> None:
    roads = network([0, 1, 1, 3], [1, 2, 3, 2], [1000, 1000, 1000, 1000], [V] * 4, [Q] * 4, [JAM] * 4, nodes=4, step_s=5)
    closes = Changes(np.array([20.0]), np.array([1]), np.array([0.0]))
    flow = drive(roads, together(stream(0.4, 100)), to(2), duration_s=2000, changes=closes, reroute_s=60)
    assert flow.arrived[-1, 0] == pytest.approx(40.0, abs=1e-3)
    assert flow.caught[-1] == 0.0


def test_a_full_shelter_takes_no_more_and_the_rest_go_to_the_next() -> None:
    roads = street(500, 500, 500)
    flow = drive(roads, together(stream(0.4, 250)), to(1, 3, places=(30.0, np.inf)), duration_s=2000)
    assert flow.arrived[-1, 0] == pytest.approx(30.0, abs=1 / 128)
    assert flow.arrived[-1].sum() == pytest.approx(100.0, abs=1e-3)


def test_who_finds_no_goal_of_his_own_drives_as_the_bound_that_is_named_instead() -> None:
    goals = Goals(np.array([1, 2]), np.array([10.0, np.inf]), np.array([[True, False], [False, True]]), (1, -1))
    flow = drive(street(500, 500), together(stream(0.2, 250, bound=0)), goals, duration_s=2000)
    assert flow.arrived_by_bound[:, 0] == pytest.approx([10.0, 40.0], abs=0.01)


def test_with_no_goal_left_nobody_moves_and_nothing_is_lost() -> None:
    flow = drive(street(500, 500), together(stream(0.2, 250)), to(1, places=(10.0,)), duration_s=2000)
    assert flow.arrived[-1, 0] == pytest.approx(10.0, abs=0.01)
    assert flow.arrived[-1, 0] + flow.stranded.sum() + flow.held_back[0] == pytest.approx(50.0, abs=1e-3)


def test_who_still_waits_when_his_origin_shuts_stays() -> None:
    slow = network([0], [1], [1000], [V], [0.1], [JAM], nodes=2, step_s=5)
    trips = together(stream(0.5, 100))
    trips = Trips(trips.origin_node, np.array([200.0]), trips.time_s, trips.origin, trips.bound, trips.vehicles)
    flow = drive(slow, trips, to(1), duration_s=2000)
    # the street takes 0.1 veh/s for 200 s
    assert flow.left[0] == pytest.approx(20.0, abs=0.5)
    assert flow.stayed[0] == pytest.approx(50.0 - flow.left[0], abs=1e-3)


def test_heeding_jams_spreads_traffic_over_two_ways() -> None:
    # a short way that ends in 0.2 veh/s, and one twice as long of 0.8
    roads = network(
        [0, 1, 4, 1, 2],
        [1, 4, 3, 2, 3],
        [200, 500, 500, 1000, 1000],
        [V] * 5,
        [0.8, 0.8, 0.2, 0.8, 0.8],
        [0.2] * 5,
        nodes=5,
        step_s=5,
    )
    trips = together(stream(0.6, 1500))
    plain, heeding = (drive(roads, trips, to(3), duration_s=6000, reroute_s=60, heed_jams=h) for h in (False, True))

    def half_s(flow: Flow) -> float:
        return float(flow.time_s[np.searchsorted(flow.arrived[:, 0], 450.0)])

    # plain: 450 vehicles at 0.2 veh/s. Heeding can do no better than 0.6 and ought to be nearer to that than to the plain one
    assert half_s(plain) == pytest.approx(450 / 0.2, abs=120)
    assert half_s(heeding) < (450 / 0.2 + 450 / 0.6) / 2


# -- nothing is lost ------------------------------------------------------------------------------------------------


def random_town(seed: int) -> tuple[Network, Trips, Goals, Changes]:
    rng = np.random.default_rng(seed)
    nodes, edges, origins, packets, goals, bounds = 30, 90, 12, 200, 4, 3
    a, b = rng.integers(0, nodes, edges), rng.integers(0, nodes, edges)
    jam = rng.uniform(0.1, 0.4, edges)
    speed = rng.uniform(5, 25, edges)
    q = rng.uniform(0.05, 0.45, edges) * speed * jam
    roads = network(a, b, rng.uniform(20, 800, edges), speed, q, jam, nodes=nodes, step_s=5)
    trips = Trips(
        rng.integers(0, nodes, origins),
        np.where(rng.random(origins) < 0.3, rng.uniform(0, 1500, origins), np.inf),
        rng.uniform(0, 1200, packets),
        rng.integers(0, origins, packets),
        rng.integers(0, bounds, packets),
        rng.uniform(0, 8, packets),
    )
    where = rng.choice(nodes, goals, replace=False)
    serves = rng.random((bounds, goals)) < 0.6
    places = np.where(rng.random(goals) < 0.5, rng.uniform(1, 200, goals), np.inf)
    count = 15
    changes = Changes(
        rng.uniform(0, 2000, count), rng.integers(0, edges, count), np.where(rng.random(count) < 0.5, 0.0, rng.random(count))
    )
    return roads, trips, Goals(where, places, serves, (2, -1, -1)), changes


@given(seed=st.integers(0, 10_000), heed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_vehicle_is_somewhere_to_the_last_bit_and_no_street_holds_more_than_it_can(seed: int, heed: bool) -> None:
    roads, trips, goals, changes = random_town(seed)
    flow = drive(roads, trips, goals, duration_s=3000, changes=changes, heed_jams=heed)
    grains = 2.0**20
    begins = np.ceil(trips.time_s / 5)
    meant = begins < np.ceil(np.minimum(trips.shuts_s, 1e9) / 5)[trips.origin]
    asked = (np.floor(trips.vehicles * grains) / grains)[meant].sum()
    there = flow.arrived[-1].sum() + flow.stranded.sum() + flow.caught_on.sum() + flow.stayed.sum() + flow.held_back.sum()
    assert there == asked  # not approximately
    assert flow.left.sum() == flow.set_out[-1]
    for values in (
        flow.arrived,
        flow.stranded,
        flow.caught_on,
        flow.stayed,
        flow.held_back,
        flow.waiting,
        flow.on_road,
        flow.left,
    ):
        assert (values >= 0).all()
    long_enough = np.maximum(roads.length_m, roads.speed_m_per_s * 5)
    assert (flow.stranded <= roads.jam_per_m * long_enough).all()
    assert (flow.arrived[-1] <= goals.places).all()
    assert (np.diff(flow.arrived, axis=0) >= 0).all()
    assert (np.diff(flow.caught) >= 0).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(seed: int) -> None:
    roads, trips, goals, changes = random_town(seed)
    one, three = (drive(roads, trips, goals, duration_s=3000, changes=changes, threads=n) for n in (1, 3))
    for name in ("arrived", "on_road", "waiting", "left", "caught_on", "stranded", "delay_h"):
        assert np.array_equal(getattr(one, name), getattr(three, name)), name


def test_streets_that_nobody_drives_on_cost_nothing() -> None:
    few = drive(street(1000, 1000), together(stream(0.2, 100)), to(2), duration_s=4000)
    long = street(1000, 1000, *(500.0,) * 200)
    many = drive(long, together(stream(0.2, 100)), to(2), duration_s=4000)
    assert (many.street_steps, many.steps) == (few.street_steps, few.steps)
    assert few.steps < 0.25 * 4000 / 5  # and once all have arrived no step is computed any more


# -- ways ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_ways_are_those_that_dijkstra_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes, edges = 200, 700
    a, b = rng.integers(0, nodes, edges), rng.integers(0, nodes, edges)
    roads = network(a, b, rng.uniform(10, 900, edges), [15.0] * edges, [0.3] * edges, [0.15] * edges, nodes=nodes, step_s=5)
    cost = roads.free_s[roads.order]
    cost[rng.random(edges) < 0.2] = np.inf
    is_end = np.zeros(nodes, bool)
    is_end[rng.integers(0, nodes, 3)] = True
    link, time_s = np.empty(nodes, np.int64), np.empty(nodes)
    ways_to(roads.net.node, roads.net.tail, cost, is_end, 5.0, link, time_s)
    open_ = np.isfinite(cost)
    best: dict[tuple[int, int], float] = {}
    for tail, head, c in zip(roads.net.tail[open_], roads.net.link[open_, 2], cost[open_], strict=True):
        best[int(head), int(tail)] = min(c, best.get((int(head), int(tail)), np.inf))
    rows, cols = zip(*best, strict=True)
    graph = csr_matrix((list(best.values()), (rows, cols)), (nodes, nodes))
    truth = dijkstra(graph, indices=np.flatnonzero(is_end), min_only=True)
    assert time_s == pytest.approx(truth)
    assert (link[np.isinf(truth)] == NO_WAY).all()


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("length_m", {"length_m": [0.0]}),
        ("speed_m_per_s", {"speed_m_per_s": [np.nan]}),
        ("backward wave", {"capacity_per_s": [5.0]}),
        ("nodes", {"target": [7]}),
        ("one length", {"jam_per_m": [0.2, 0.2]}),
        ("step", {"step_s": 0.0}),
    ],
)
def test_a_street_that_cannot_be_is_refused_with_its_number(what: str, changed: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "source": [0],
        "target": [1],
        "length_m": [100.0],
        "speed_m_per_s": [V],
        "capacity_per_s": [Q],
        "jam_per_m": [JAM],
        "nodes": 2,
        "step_s": 5.0,
    }
    with pytest.raises(InputError, match=what):
        network(**(good | changed))


def test_trips_and_goals_that_do_not_fit_the_network_are_refused() -> None:
    with pytest.raises(InputError, match="goal's node"):
        drive(street(500), together(stream(0.2, 10)), to(9), duration_s=100)
    with pytest.raises(InputError, match="origin's node"):
        drive(street(500), together(stream(0.2, 10, node=9)), to(1), duration_s=100)
    with pytest.raises(InputError, match="not finite"):
        drive(street(500), together(stream(np.nan, 10)), to(1), duration_s=100)
    with pytest.raises(InputError, match="two goals"):
        drive(street(500), together(stream(0.2, 10)), to(1, 1), duration_s=100)
