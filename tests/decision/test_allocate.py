"""Allocations are the best that there are: checked against all that are possible, against SciPy's assignment, and by asking for one unit more."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from tocsin.decision.allocate import Demand, Supply, allocate, choose_sites
from tocsin.vocabulary import InputError

INF = np.inf


def boats(*amounts: float, kind: str = "boat", able: int = 1) -> list[Supply]:
    return [Supply(f"{kind} base {k}", kind, a, able) for k, a in enumerate(amounts)]


def asks(*amounts: float, kind: str = "boat", limit_s: float = INF) -> list[Demand]:
    return [Demand(f"{kind} call {k}", kind, a, limit_s=limit_s) for k, a in enumerate(amounts)]


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_one_unit_for_each_call_is_scipys_assignment(seed: int, units: int, calls: int) -> None:
    time_s = np.random.default_rng(seed).uniform(60, 3600, (units, calls))
    found = allocate(boats(*[1.0] * units), asks(*[1.0] * calls), time_s)
    row, col = linear_sum_assignment(time_s) if calls <= units else (None, None)
    assert found.amount.sum() == min(units, calls)
    assert set(np.unique(found.amount)) <= {0.0, 1.0}
    if row is not None:
        assert found.total_s == pytest.approx(time_s[row, col].sum())


def test_what_weighs_more_is_served_first_even_if_it_is_far() -> None:
    calls = asks(1.0, 1.0)
    calls[1] = msgspec.structs.replace(calls[1], weight=3.0)
    found = allocate(boats(1.0), calls, np.array([[60.0, 3600.0]]))
    assert found.amount.tolist() == [[0.0, 1.0]]
    assert found.unserved.tolist() == [1.0, 0.0]


def test_a_unit_that_can_do_more_may_serve_less_and_not_the_other_way_round() -> None:
    calls = [Demand("fire", "engine", 1.0, type=1), Demand("pump out", "engine", 1.0, type=3)]
    units = [Supply("heavy", "engine", 1.0, type=1), Supply("light", "engine", 1.0, type=3)]
    assert allocate(units, calls, np.full((2, 2), 60.0)).amount.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    alone = allocate(units[1:], calls, np.full((1, 2), 60.0))
    assert alone.unserved.tolist() == [1.0, 0.0]


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_price_of_a_supply_is_what_one_more_of_it_brings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    has, wants = rng.integers(1, 5, 3).astype(float), rng.integers(1, 6, 4).astype(float)
    time_s = rng.integers(60, 3600, (3, 4)).astype(float)
    before = allocate(boats(*has), asks(*wants), time_s)
    prices = {p.supply: p for p in before.binding}
    for k in range(3):
        more = has.copy()
        more[k] += 1.0
        after = allocate(boats(*more), asks(*wants), time_s)
        price = prices.get(f"boat base {k}")
        served = before.unserved.sum() - after.unserved.sum()
        assert served == pytest.approx(0.0 if price is None else price.serves, abs=1e-6)
        if before.is_complete:
            assert before.total_s - after.total_s == pytest.approx(0.0 if price is None else price.saves_s, abs=1e-6)


def test_too_few_boats_are_told_with_how_many_are_missing() -> None:
    found = allocate(boats(2.0), asks(2.0, 3.0), np.array([[60.0, 90.0]]))
    assert found.unserved.sum() == 3.0
    assert [(r.what, r.by) for r in found.relaxations] == [
        ("boat more, able and near enough for boat call 1", 3.0)
        if found.unserved[0] == 0
        else ("boat more, able and near enough for boat call 0, boat call 1", 3.0),
        ("ask for less boat", 3.0),
    ]


def test_a_limit_that_is_too_short_is_told_with_how_much_longer_it_has_to_be() -> None:
    found = allocate(boats(1.0, 1.0), asks(1.0, 1.0, limit_s=600.0), np.array([[500.0, 900.0], [800.0, 1300.0]]))
    assert found.unserved.sum() == 1.0
    longer = next(r for r in found.relaxations if r.unit == "s")
    assert longer.by == pytest.approx(300.0)  # base 1 to call 0 in 800 s, base 0 to call 1 in 900 s


def test_a_call_that_no_way_leads_to_is_told_as_such() -> None:
    found = allocate(boats(5.0), asks(1.0, 1.0), np.array([[60.0, INF]]))
    assert found.unserved.tolist() == [0.0, 1.0]
    assert any("none leads there" in r.what for r in found.relaxations)


def test_nothing_to_give_or_nothing_asked_is_an_answer() -> None:
    assert allocate([], asks(2.0), np.zeros((0, 1))).unserved.tolist() == [2.0]
    assert allocate(boats(2.0), [], np.zeros((1, 0))).is_complete


@given(st.integers(0, 3_000))
@settings(max_examples=25, deadline=None)
def test_the_sites_that_are_opened_are_the_best_of_all_choices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    capacity, demand = rng.integers(0, 12, 5).astype(float), rng.integers(0, 8, 4).astype(float)
    time_s = np.where(rng.random((5, 4)) < 0.2, INF, rng.integers(60, 3000, (5, 4)).astype(float))
    found = choose_sites(capacity, demand, time_s, most=2)

    def worth(opened: tuple[int, ...]) -> tuple[float, float]:
        here = [Supply(str(k), "place", capacity[k]) for k in opened]
        best = allocate(here, [Demand(str(k), "place", d) for k, d in enumerate(demand)], time_s[list(opened)])
        return float(best.unserved.sum()), best.total_s

    best = min(worth(opened) for opened in itertools.combinations(range(5), 2))
    assert found.unserved.sum() == pytest.approx(best[0], abs=1e-5)
    assert found.total_s == pytest.approx(best[1], rel=1e-5, abs=1.0)
    assert len(found.opened) <= 2
    three = min(worth(opened) for opened in itertools.combinations(range(5), 3))
    assert found.one_more_serves == pytest.approx(best[0] - three[0], abs=1e-4)


@pytest.mark.parametrize(
    ("supplies", "demands", "time_s", "said"),
    [
        (boats(1.0), asks(1.0), np.zeros((2, 1)), "wanted \\(1, 1\\)"),
        (boats(1.0), asks(1.0), np.full((1, 1), np.nan), "each a number"),
        (boats(-1.0), asks(1.0), np.zeros((1, 1)), "amount is below 0"),
        (boats(1.0) * 2, asks(1.0), np.zeros((2, 1)), "two are named"),
        (boats(1.0), [Demand("x", "boat", weight=0.0)], np.zeros((1, 1)), "weight must be"),
    ],
)
def test_nonsense_is_refused(supplies, demands, time_s, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=said):
        allocate(supplies, demands, time_s)
