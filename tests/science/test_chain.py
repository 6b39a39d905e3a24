"""Failures along links: held to enumeration, to plain Python, to shortest ways and to a Bayesian network."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from tocsin.science import chain
from tocsin.science.chain import BY_HAZARD, UNHARMED, Broken, Fallen, Network, keys_of, luck_of, uniform
from tocsin.science.chain_steps import mix
from tocsin.science.sampling import triangle
from tocsin.vocabulary import InputError

Link = tuple[int, int, float]  # source, target, probability
GAMMA = 0x9E3779B97F4A7C15


def spread(net: Network, at_s: NDArray[np.float64], seed: int, broken: Broken | None = None, *, workers: int = 1) -> Fallen:
    return chain.spread(net, at_s, luck_of(seed, range(len(at_s))), broken, workers=workers)


def network(nodes: int, links: list[Link], *, delay_s: Any = 0.0, lost_from: dict[int, int] | None = None) -> Network:
    """Every target has one need, which all its links make up."""
    lost_from = lost_from or {}
    targets = sorted({t for _, t, _ in links})
    delays = np.broadcast_to(np.asarray(delay_s, float), (len(links), 3))
    return Network(
        node_key=keys_of([f"node {n}" for n in range(nodes)]),
        source=np.array([s for s, _, _ in links], np.int32),
        need=np.array([targets.index(t) for _, t, _ in links], np.int32),
        probability=np.array([p for _, _, p in links], float),
        delay_s=np.array(delays),
        link_key=keys_of([f"link {s} {t} {k}" for k, (s, t, _) in enumerate(links)]),
        need_of=np.array(targets, np.int32),
        lost_from=np.array([lost_from.get(t, 1) for t in targets], np.int32),
        endurance_s=np.zeros((len(targets), 3)),
        need_key=keys_of([f"need {t}" for t in targets]),
    )


def random_links(rng: np.random.Generator, nodes: int, links: int, low: float, high: float) -> list[Link]:
    pairs = rng.choice(nodes * nodes, links, replace=False)
    return [(int(p // nodes), int(p % nodes), float(rng.uniform(low, high))) for p in pairs if p // nodes != p % nodes]


def taken(futures: int, nodes: int, *hit: int) -> NDArray[np.float64]:
    at = np.full((futures, nodes), np.inf)
    at[:, list(hit)] = 0.0
    return at


def exact_chances(net: Network, hit: list[int]) -> NDArray[np.float64]:
    """Enumeration of all that the links can do, 2^links cases; a node fails when `lost_from` of its links struck. No luck, no order."""
    chances = np.zeros(net.nodes)
    target = net.target
    for strikes in itertools.product((False, True), repeat=net.links):
        weight = np.prod([p if on else 1 - p for on, p in zip(strikes, net.probability, strict=True)])
        failed = set(hit)
        while True:
            more = set()
            for need, node in enumerate(net.need_of):
                lost = sum(on and net.need[k] == need and net.source[k] in failed for k, on in enumerate(strikes))
                if lost >= net.lost_from[need]:
                    more.add(int(node))
            if more <= failed:
                break
            failed |= more
        assert target.size == net.links
        chances[list(failed)] += weight
    return chances


def plain(net: Network, at_s: NDArray[np.float64], seed: int, broken: Broken) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One event after the other, in plain Python, with strikes counted as they come: another algorithm than the kernel's."""

    def mixed(z: int) -> int:
        z &= 2**64 - 1
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    def drawn(z: int, spread_s: Any) -> float:
        return float(triangle(np.array([(z >> 11) * 2.0**-53]), *map(float, spread_s))[0])

    failed = np.full(at_s.shape, np.inf)
    cause = np.full(at_s.shape, UNHARMED)
    for future in range(len(at_s)):
        luck = mixed(seed + GAMMA * (future + 1))
        row = {name: getattr(broken, name)[future % len(getattr(broken, name))] for name in broken.__struct_fields__}
        count = [0] * net.need_of.size
        events: list[tuple[float, int, int, int]] = []  # time, 0 strike or 1 failure, need or node, link
        for node in range(net.nodes):
            if at_s[future, node] < row["shield_from_s"][node]:
                heapq.heappush(events, (float(at_s[future, node]), 1, node, BY_HAZARD))
        while events:
            now, kind, what, link = heapq.heappop(events)
            if now == np.inf:
                break
            if kind == 0:
                count[what] += 1
                if count[what] == net.lost_from[what]:
                    node = int(net.need_of[what])
                    falls = now + drawn(mixed(luck ^ int(net.need_key[what])), net.endurance_s[what])
                    if falls >= row["backup_from_s"][what]:
                        falls += row["backup_s"][what]
                    heapq.heappush(events, (falls, 1, node, link))
                continue
            if failed[future, what] < np.inf:
                continue
            failed[future, what], cause[future, what] = now, link
            for k in np.flatnonzero(net.source == what):
                z = mixed(luck ^ int(net.link_key[k]))
                strike = now + drawn(mixed(z + GAMMA), net.delay_s[k])
                if (z >> 11) * 2.0**-53 < net.probability[k] and strike < row["link_from_s"][k]:
                    heapq.heappush(events, (strike, 0, int(net.need[k]), int(k)))
    return failed, cause


def test_the_generator_gives_the_numbers_that_its_authors_give() -> None:
    # seed 1234567: the first outputs of SplitMix64 as the reference code prints them (Rosetta Code, task "Pseudo-random numbers/Splitmix64")
    state = 1234567
    told = []
    for _ in range(5):
        state = (state + GAMMA) % 2**64
        told.append(int(mix(np.uint64(state))))
    assert told == [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]


def test_luck_is_uniform_and_futures_and_links_have_nothing_to_do_with_each_other() -> None:
    # Each of 2,000 links strikes with the probability 0.5 or not, in 500 futures
    links = [(0, n, 0.5) for n in range(1, 2001)]
    net = network(2001, links)
    struck = (spread(net, taken(500, 2001, 0), 7).failed_s[:, 1:] == 0.0).astype(float)
    count = struck.size
    assert abs(struck.mean() - 0.5) < 4 * 0.5 / np.sqrt(count)
    # a row's or a column's mean has the spread of coin tosses: chi-square with its own standard deviation sqrt(2/n)
    for axis, tosses, groups in ((0, 500, 2000), (1, 2000, 500)):
        chi2 = ((struck.mean(axis=axis) - 0.5) ** 2 * 4 * tosses).mean()
        assert abs(chi2 - 1.0) < 4 * np.sqrt(2 / groups)
    neighbours = (
        np.corrcoef(struck[:-1].ravel(), struck[1:].ravel())[0, 1],
        np.corrcoef(struck[:, :-1].ravel(), struck[:, 1:].ravel())[0, 1],
    )
    assert max(map(abs, neighbours)) < 4 / np.sqrt(count)


@pytest.mark.parametrize("case", range(6))
def test_chances_are_those_of_all_cases_counted_out(case: int) -> None:
    rng = np.random.default_rng(case)
    links = random_links(rng, 5, 10, 0.1, 0.9)  # loops among five nodes are the rule
    net = network(5, links, lost_from={n: int(rng.integers(1, 3)) for n in range(5)})
    exact = exact_chances(net, [0])
    futures = 40_000
    came = np.isfinite(spread(net, taken(futures, 5, 0), case).failed_s).mean(axis=0)
    exact = np.clip(exact, 0.0, 1.0)
    # 4.5 standard deviations of a share of 40,000: one of 30 honest comparisons exceeds it once in 5,000 runs of the suite
    assert np.all(np.abs(came - exact) <= 4.5 * np.sqrt(exact * (1 - exact) / futures) + 1e-12)


def test_chances_without_loops_are_those_of_a_bayesian_network() -> None:
    pgmpy_models = pytest.importorskip("pgmpy.models")
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.inference import VariableElimination

    links = [(0, 2, 0.6), (1, 2, 0.5), (2, 3, 0.7), (1, 4, 0.4), (3, 5, 0.8), (4, 5, 0.9), (2, 5, 0.3)]
    lost_from = {5: 2}
    root = {0: 0.3, 1: 0.6}
    model = pgmpy_models.DiscreteBayesianNetwork([(str(s), str(t)) for s, t, _ in links])
    for node in range(6):
        into = [(s, p) for s, t, p in links if t == node]
        if not into:
            model.add_cpds(TabularCPD(str(node), 2, [[1 - root[node]], [root[node]]]))
            continue
        fails = []
        for parents in itertools.product((0, 1), repeat=len(into)):
            chances = [p * down for (_, p), down in zip(into, parents, strict=True)]
            fails.append(
                sum(
                    np.prod([c if on else 1 - c for c, on in zip(chances, strikes, strict=True)])
                    for strikes in itertools.product((0, 1), repeat=len(into))
                    if sum(strikes) >= lost_from.get(node, 1)
                )
            )
        model.add_cpds(TabularCPD(str(node), 2, [[1 - f for f in fails], fails], [str(s) for s, _ in into], [2] * len(into)))
    asked = VariableElimination(model)
    exact = np.array([asked.query([str(n)], show_progress=False).values[1] for n in range(6)])
    futures = 100_000
    rng = np.random.default_rng(3)
    at_s = np.full((futures, 6), np.inf)
    for node, chance in root.items():
        at_s[rng.random(futures) < chance, node] = 0.0
    came = np.isfinite(spread(network(6, links, lost_from=lost_from), at_s, 11).failed_s).mean(axis=0)
    assert np.all(np.abs(came - exact) <= 4.5 * np.sqrt(exact * (1 - exact) / futures))


@pytest.mark.parametrize("case", range(8))
def test_plain_python_finds_the_same_failures_at_the_same_times_for_the_same_reasons(case: int) -> None:
    rng = np.random.default_rng([case, 5])
    nodes, futures = 12, 60
    links = random_links(rng, nodes, 40, 0.2, 1.0)
    net = network(
        nodes,
        links,
        delay_s=np.sort(rng.uniform(0, 100, (len(links), 3)), axis=1),
        lost_from={n: int(rng.integers(1, 4)) for n in range(nodes)},
    )
    net = Network(
        *(
            np.sort(rng.uniform(0, 50, v.shape), axis=1) if k == "endurance_s" else v
            for k, v in zip(net.__struct_fields__, (getattr(net, f) for f in net.__struct_fields__), strict=True)
        )
    )
    at_s = np.where(rng.random((futures, nodes)) < 0.2, rng.uniform(0, 200, (futures, nodes)), np.inf)
    sometimes = lambda shape: np.where(rng.random(shape) < 0.3, rng.uniform(0, 200, shape), np.inf)  # noqa: E731
    broken = Broken(
        sometimes((futures, net.links)),
        sometimes((1, nodes)),
        sometimes((futures, net.need_of.size)),
        rng.uniform(0, 80, (1, net.need_of.size)),
    )
    fallen = spread(net, at_s, 99, broken)
    failed, cause = plain(net, at_s, 99, broken)
    np.testing.assert_allclose(fallen.failed_s, failed, rtol=1e-12)
    np.testing.assert_array_equal(fallen.cause, cause)
    assert (cause >= 0).any()  # the case is no empty one


@pytest.mark.parametrize("case", range(3))
def test_with_sure_links_and_known_delays_a_node_fails_after_the_shortest_way(case: int) -> None:
    rng = np.random.default_rng([case, 9])
    links = [(s, t, 1.0) for s, t, _ in random_links(rng, 60, 300, 1, 1)]
    delay_s = rng.uniform(1, 1000, len(links))
    net = network(60, links, delay_s=np.repeat(delay_s[:, None], 3, axis=1))
    graph = csr_matrix((delay_s, (net.source, net.target)), shape=(60, 60))
    np.testing.assert_allclose(spread(net, taken(1, 60, 4), 0).failed_s[0], dijkstra(graph, indices=4), rtol=1e-12)


def test_the_cause_of_a_lost_redundancy_is_the_supply_that_was_lost_last() -> None:
    # two feeders into node 2: node 0 falls at 0 s and strikes after 100 s, node 1 falls at 10 s and strikes at once
    net = network(3, [(0, 2, 1.0), (1, 2, 1.0)], delay_s=[[100.0] * 3, [0.0] * 3], lost_from={2: 2})
    fallen = spread(net, np.array([[0.0, 10.0, np.inf]]), 0)
    assert fallen.failed_s[0].tolist() == [0.0, 10.0, 100.0]
    assert fallen.cause[0].tolist() == [BY_HAZARD, BY_HAZARD, 0]


def test_a_need_keeps_its_own_strikes_when_another_has_more_than_it_takes() -> None:
    # node 5 needs two of 0, 1, 2 lost: strikes at 100, 60 and 30 s are found in this order, so it falls at 60 s; node 6 needs both 3 and
    # 4 lost: its strike at 200 s is known before those, and that at 150 s after them
    links = [(0, 5, 1.0), (1, 5, 1.0), (2, 5, 1.0), (3, 6, 1.0), (4, 6, 1.0)]
    delay_s = np.repeat(np.array([[100.0], [50.0], [10.0], [200.0], [100.0]]), 3, axis=1)
    net = network(7, links, delay_s=delay_s, lost_from={5: 2, 6: 2})
    fallen = spread(net, np.array([[0.0, 10.0, 20.0, 0.0, 50.0, np.inf, np.inf]]), 0)
    assert fallen.failed_s[0, 5:].tolist() == [60.0, 200.0]
    assert fallen.cause[0, 5:].tolist() == [1, 3]


def test_a_loop_stops_when_all_of_it_has_failed() -> None:
    net = network(3, [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)], delay_s=10.0)
    assert spread(net, taken(1, 3, 1), 0).failed_s[0].tolist() == [20.0, 0.0, 10.0]


def test_breaking_a_link_changes_only_what_is_behind_it() -> None:
    rng = np.random.default_rng(2)
    net = network(40, random_links(rng, 40, 120, 0.2, 0.8), delay_s=[1.0, 5.0, 9.0])
    at_s = taken(500, 40, 0, 1)
    before = spread(net, at_s, 3)
    broken = Broken.nothing(net)
    broken.link_from_s[0, 17] = 0.0
    after = spread(net, at_s, 3, broken)
    assert np.all(after.failed_s >= before.failed_s)
    changed = (after.failed_s != before.failed_s).any(axis=1)
    assert 0 < changed.sum() < 500
    # what a future of the one loses it had through the link: without a cause of 17 nothing changes
    assert np.all((before.cause == 17).any(axis=1)[changed])


def test_a_link_more_changes_nobody_elses_luck() -> None:
    few = [(0, 1, 0.5), (0, 2, 0.5), (2, 3, 0.5)]
    at_s = taken(300, 5, 0)
    before = spread(network(5, few), at_s, 1).failed_s
    after = spread(network(5, [*few, (3, 4, 0.9)]), at_s, 1).failed_s
    np.testing.assert_array_equal(before[:, :4], after[:, :4])


def test_a_shield_keeps_the_hazard_out_only_from_its_time_on_and_not_the_loss_of_a_supply() -> None:
    net = network(2, [(0, 1, 1.0)], delay_s=5.0)
    at_s = np.array([[10.0, 12.0]])
    broken = Broken.nothing(net)
    shield = np.array([[np.inf, 11.0]])
    fallen = spread(net, at_s, 0, Broken(broken.link_from_s, shield, broken.backup_from_s, broken.backup_s))
    assert fallen.failed_s[0].tolist() == [10.0, 15.0]
    late = spread(net, at_s, 0, Broken(broken.link_from_s, shield + 2.0, broken.backup_from_s, broken.backup_s))
    assert late.failed_s[0].tolist() == [10.0, 12.0]


def test_a_backup_that_comes_in_time_holds_for_its_hours() -> None:
    net = network(2, [(0, 1, 1.0)], delay_s=100.0)
    nothing = Broken.nothing(net)
    for comes_s, falls_s in ((100.0, 160.0), (100.1, 100.0)):
        broken = Broken(nothing.link_from_s, nothing.shield_from_s, np.array([[comes_s]]), np.array([[60.0]]))
        assert spread(net, taken(1, 2, 0), 0, broken).failed_s[0, 1] == falls_s


def test_the_answer_does_not_depend_on_the_number_of_workers() -> None:
    rng = np.random.default_rng(8)
    net = network(30, random_links(rng, 30, 90, 0.2, 0.8), delay_s=[1.0, 2.0, 9.0])
    at_s = np.where(rng.random((1000, 30)) < 0.1, 0.0, np.inf)
    one, four = spread(net, at_s, 5), spread(net, at_s, 5, workers=4)
    np.testing.assert_array_equal(one.failed_s, four.failed_s)
    np.testing.assert_array_equal(one.cause, four.cause)


def test_a_future_keeps_its_luck_whichever_others_are_asked_with_it() -> None:
    net = network(30, random_links(np.random.default_rng(8), 30, 90, 0.2, 0.8), delay_s=[1.0, 2.0, 9.0])
    every = spread(net, taken(50, 30, 0), 5).failed_s
    some = chain.spread(net, taken(2, 30, 0), luck_of(5, [40, 7])).failed_s
    np.testing.assert_array_equal(some, every[[40, 7]])


def test_what_is_drawn_outside_the_kernel_is_what_the_kernel_draws() -> None:
    net = network(9, [(0, n, 0.5) for n in range(1, 9)])
    struck = np.isfinite(spread(net, taken(200, 9, 0), 4).failed_s[:, 1:])
    np.testing.assert_array_equal(struck, uniform(luck_of(4, range(200)), net.link_key) < 0.5)


def test_an_empty_network_and_nodes_without_links_just_stand() -> None:
    net = network(3, [])
    fallen = spread(net, taken(2, 3, 1), 0)
    assert fallen.cause.tolist() == [[UNHARMED, BY_HAZARD, UNHARMED]] * 2
    assert spread(network(0, []), np.empty((2, 0)), 0).failed_s.shape == (2, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"probability": np.array([np.nan])}, "probability"),
        ({"probability": np.array([1.2])}, "probability"),
        ({"source": np.array([7], np.int32)}, "source runs 7..7; wanted 0..1"),
        ({"delay_s": np.array([[3.0, 2.0, 4.0]])}, "low <= usual <= high"),
        ({"delay_s": np.array([[0.0, 0.0, np.inf]])}, "finite"),
        ({"lost_from": np.array([0], np.int32)}, "lost_from"),
        ({"need": np.array([0, 0], np.int32)}, "one length"),
    ],
)
def test_a_network_that_is_none_is_refused(change: dict[str, Any], words: str) -> None:
    net = network(2, [(0, 1, 0.5)])
    with pytest.raises(InputError, match=words):
        Network(**({name: getattr(net, name) for name in net.__struct_fields__} | change))


def test_times_that_are_no_numbers_are_refused() -> None:
    net = network(2, [(0, 1, 0.5)])
    with pytest.raises(InputError, match="NaN"):
        spread(net, np.array([[np.nan, 0.0]]), 0)
    with pytest.raises(InputError, match="shape"):
        spread(net, np.zeros((1, 3)), 0)
