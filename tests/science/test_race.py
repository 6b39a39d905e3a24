"""Bounds that hold however often one looks, and simulations that go where they count."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.science.race import Race
from tocsin.science.race_bounds import evidence, race_order
from tocsin.science.race_criterion import Criterion
from tocsin.science.risk import cvar
from tocsin.vocabulary import InputError

BOTH = Criterion()


def test_the_criterion_is_half_the_mean_and_half_the_worst_tenth() -> None:
    losses = np.random.default_rng(1).gamma(2.0, 10.0, 137)
    assert BOTH.of(losses) == pytest.approx(0.5 * losses.mean() + 0.5 * cvar(losses, 0.1))
    assert BOTH.influence(losses).mean() == pytest.approx(BOTH.of(losses))


def test_the_order_begins_as_drawn_and_then_is_any_order_with_each_future_once() -> None:
    order = race_order(50, 8, 3)
    assert order[:8].tolist() == list(range(8))
    assert sorted(order) == list(range(50))
    assert order[8:].tolist() != list(range(8, 50)) != race_order(50, 8, 4)[8:].tolist()
    assert race_order(5, 8, 3).tolist() == [0, 1, 2, 3, 4]


def plain_evidence(
    worse: np.ndarray,  # type: ignore[type-arg]
    better: np.ndarray,  # type: ignore[type-arg]
    known: int,
    of: int,
    most: float,
    within: float,
    apart: float | None = None,
) -> float:
    """The same gamblers as in the kernel, one at a time, from the definition."""
    from tocsin.science.race_bounds import CELLS, LEVELS, STAKES

    w, tail = BOTH.mean_weight, BOTH.tail
    edges = np.linspace(0, most, CELLS + 1)
    tables = []
    for low, high in itertools.pairwise(edges):
        levels = []
        for level in [*np.quantile(better[:known], LEVELS), *([] if apart is None else [high])]:

            def g(loss: float, at: float, slack: float = 0.0) -> float:
                return w * loss + (1 - w) * (at + max(loss - at - slack, 0.0) / tail)

            d = [g(b, low, high - low) - g(a, level) for a, b in zip(better, worse, strict=True)]
            least = g(0.0, low, high - low) - g(most, level)
            if apart is not None:
                least = w * -apart + (1 - w) * (low - level - min(max(apart + high - level, 0), most - level) / tail)
            purses = []
            for stake in (*STAKES, None):
                purse, path = 1.0, []
                for n in range(known, len(d)):
                    fair = (-within * of - sum(d[:n])) / (of - n)
                    if fair < least:  # no differences that there can be would still make the claim true
                        purse = 1e12
                        path.append(purse)
                        continue
                    lead = float(np.mean(d[:n])) - fair
                    seen = min(0.9, (fair - least) * max(lead, 0.0) / (np.var(d[:n]) + lead**2))
                    purse = min(1e12, purse * (1 + (seen if stake is None else stake) * (d[n] - fair) / (fair - least)))
                    path.append(purse)
                purses.append(np.array(path))
            levels.append(0.5 * purses[-1] + 0.5 * np.mean(purses[:-1], axis=0))
        tables.append(np.mean(levels, axis=0))
    return float(np.min(tables, axis=0).max())


@pytest.mark.parametrize("apart", [None, 3.0])
def test_the_kernel_has_the_wealth_of_the_plain_definition(apart: float | None) -> None:
    rng = np.random.default_rng(5)
    better = rng.uniform(0, 6, 20)
    worse = np.maximum(0.0, better + rng.uniform(-2.5, 3, 20))
    # floating-point sums in another order, over twelve bets: 1e-9 is far above their rounding
    for within in (0.0, 1.5):
        ours = evidence(worse, better, known=8, of=60, most=9.0, criterion=BOTH, within=within, apart=apart)
        assert ours == pytest.approx(plain_evidence(worse, better, 8, 60, 9.0, within, apart), rel=1e-9)


def test_no_pair_of_losses_takes_more_than_the_least_that_a_gambler_counts_with() -> None:
    """The bound on a bet, against all pairs of losses on a grid: a wealth that could fall below 0 would prove nothing."""
    most, apart, tail, w = 9.0, 2.0, BOTH.tail, BOTH.mean_weight
    grid = np.linspace(0.0, most, 61)
    better, worse = (x.ravel() for x in np.meshgrid(grid, grid))
    allowed = better - worse <= apart
    for low, high, level in itertools.product((0.0, 3.0, 8.0), (1.0, 4.0, 9.0), (0.0, 2.5, 5.0, 9.0)):
        if low < high:
            d = w * (worse - better) + (1 - w) * (
                low - level + (np.maximum(worse - high, 0) - np.maximum(better - level, 0)) / tail
            )
            least = -w * apart + (1 - w) * (low - level - min(max(apart + high - level, 0), max(most - level, 0)) / tail)
            assert d[allowed].min() >= least - 1e-9


@pytest.mark.parametrize("kind", ["alike", "a few bad ones", "skewed"])
def test_the_true_best_is_put_out_seldom_though_one_looks_after_every_future(kind: str) -> None:
    """60 races of a population whose best two are nearly alike; `sure` is 0.8, so a fifth of them at most may be wrong."""
    rng = np.random.default_rng({"alike": 1, "a few bad ones": 2, "skewed": 3}[kind])
    wrong = 0
    for _ in range(60):
        common = rng.gamma(2.0, 1.0, 60)
        losses = np.clip(common + rng.normal(0, 0.5, (3, 60)) + np.array([[0.0], [0.02], [0.05]]), 0, 10)
        if kind == "a few bad ones":
            losses[1, :2] = 0.0
            losses[0, -2:] = 10.0
        if kind == "skewed":
            losses = losses**2 / 10
        best = int(np.argmin([BOTH.of(row) for row in losses]))
        order = np.concatenate([np.arange(4), 4 + rng.permutation(56)])
        race = Race(3, 60, most=10.0, first=4, sure=0.8)
        for n in range(59):  # the last future leaves nothing to doubt
            for k in range(3):
                race.tell(k, n, losses[k, order[n]])
            race.judge()
        wrong += best in race.out
    assert wrong <= 12


def test_a_choice_that_is_clearly_worse_is_put_out_and_it_is_said_by_whom() -> None:
    rng = np.random.default_rng(2)
    common = rng.uniform(2, 4, 200)
    race = Race(3, 200, most=10.0)
    for n in range(80):
        for k, more in enumerate((0.0, 5.0, 0.1)):
            race.tell(k, n, common[n] + more)
        race.judge()
    assert set(race.out) == {1}
    assert race.out[1].beaten_by in (0, 2)
    assert 8 < race.out[1].after < 60


def test_when_all_was_run_the_answer_is_exact() -> None:
    rng = np.random.default_rng(4)
    losses = rng.uniform(0, 1, (4, 30))
    race = Race(4, 30, most=1.0)
    for k in range(4):
        for n in range(30):
            race.tell(k, n, losses[k, n])
    race.judge()
    truth = [BOTH.of(row) for row in losses]
    assert race.alive == [int(np.argmin(truth))]
    second = int(np.argsort(truth)[1])
    race.out.clear()
    assert race.gap(second) == pytest.approx(truth[second] - min(truth))


def test_the_gap_holds_the_truth_and_shrinks() -> None:
    rng = np.random.default_rng(6)
    common = rng.uniform(2, 6, 200)
    losses = np.stack([common, common + rng.normal(0.1, 0.1, 200)])
    truth = BOTH.of(losses[1]) - BOTH.of(losses[0])
    race = Race(2, 200, most=8.0)
    gaps = []
    for n in range(200):
        for k in range(2):
            race.tell(k, n, losses[k, n])
        if n in (20, 60, 120, 199):
            gaps.append(race.gap(1))
    assert all(gap >= truth - 1e-9 for gap in gaps)
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3] == pytest.approx(truth)


def test_a_higher_loss_than_was_thought_possible_brings_back_who_was_out() -> None:
    race = Race(2, 100, most=10.0)
    for n in range(60):
        race.tell(0, n, 1.0)
        race.tell(1, n, 9.0)
    race.judge()
    assert race.out
    race.tell(0, 60, 50.0)
    assert (race.most, race.alive) == (50.0, [0, 1])


def played(race: Race, losses: np.ndarray, budget: int) -> list[tuple[int | None, int]]:  # type: ignore[type-arg]
    asked = []
    while len(asked) < budget and (task := race.ask()) is not None:
        who, n = task
        asked.append(task)
        for k in range(len(losses)):
            if k not in race.out and ((who is None and not race.own[k]) or who == k):
                race.tell(k, n, losses[k, n])
        race.judge()
    return asked


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), choices=st.integers(1, 5), futures=st.integers(1, 40), first=st.integers(1, 9))
def test_nothing_is_run_twice_and_the_race_ends(seed: int, choices: int, futures: int, first: int) -> None:
    rng = np.random.default_rng(seed)
    race = Race(choices, futures, most=1.0, own=rng.random(choices) < 0.5, first=first)
    asked = played(race, rng.uniform(0, 1, (choices, futures)), 10_000)
    assert len(set(asked)) == len(asked) <= futures * (choices + 1)
    shared = [n for who, n in asked if who is None]
    assert shared == list(range(len(shared)))
    assert all(n < len(shared) for _, n in asked)  # a plan looks at the hazard as it comes, so that is run first


def test_runs_of_its_own_go_to_those_that_may_still_be_best() -> None:
    rng = np.random.default_rng(8)
    common = rng.uniform(2, 6, 200)
    better = [0.0, 0.05, 1.0, 1.5, 2.0, 2.5]
    losses = np.stack([common + more + rng.normal(0, 0.3, 200) for more in better]).clip(0)
    race = Race(6, 200, most=12.0, own=[True] * 6)
    played(race, losses, 400)
    tried = [race.tried(k) for k in range(6)]
    assert min(tried[:2]) > 2 * max(tried[2:])


def test_a_future_that_failed_is_in_nobodys_account() -> None:
    race = Race(2, 12, most=1.0, first=4)
    for n in range(12):
        if n == 2:
            race.tell_failed(n)
            continue
        race.tell(0, n, 0.25)
        race.tell(1, n, 0.5)
    assert (race.futures, race.tried(0)) == (11, 11)
    assert race.standing().tolist() == [0.25, 0.5]


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="lost nan"):
        Race(2, 3, most=1.0).tell(0, 0, float("nan"))
    with pytest.raises(InputError, match="wanted more"):
        Race(0, 3, most=1.0)
    with pytest.raises(InputError, match="none below 0"):
        evidence(np.array([-1.0]), np.array([0.0]), known=0, of=3, most=1.0, criterion=BOTH)


@pytest.mark.parametrize("kind", ["noise", "upside down", "silent on the bad futures"])
def test_no_sketch_however_wrong_moves_what_is_sure(kind: str) -> None:
    rng = np.random.default_rng(8)
    losses = np.clip(rng.gamma(2.0, 1.0, 80) + rng.normal(0, 0.5, (3, 80)) + np.array([[0.0], [0.3], [1.5]]), 0, 10)
    sketch = {
        "noise": rng.uniform(0, 10, losses.shape),
        "upside down": 10.0 - losses,
        "silent on the bad futures": np.where(losses > 3.0, 0.0, losses),
    }[kind]
    with_it, without = Race(3, 80, most=10.0), Race(3, 80, most=10.0)
    with_it.tell_sketches(sketch)
    for n in range(60):
        for k in range(3):
            with_it.tell(k, n, losses[k, n])
            without.tell(k, n, losses[k, n])
    assert [with_it.gap(k) for k in range(3)] == [without.gap(k) for k in range(3)]


def test_a_good_sketch_makes_estimates_better_and_a_wrong_one_hardly_worse() -> None:
    rng = np.random.default_rng(7)
    error = {"none": [], "good": [], "noise": []}  # type: ignore[var-annotated]
    for _ in range(60):
        losses = np.clip(rng.uniform(0, 6, 200) + rng.normal(0, 1, (1, 200)), 0, 9)
        sketches = {"good": np.clip(0.8 * losses + rng.normal(0, 0.05, losses.shape), 0, 9), "noise": rng.uniform(0, 9, (1, 200))}
        for kind in error:
            race = Race(1, 200, most=9.0)
            if kind in sketches:
                race.tell_sketches(sketches[kind])
            for n in range(30):
                race.tell(0, n, losses[0, n])
            error[kind].append(race.standing()[0] - BOTH.of(losses[0]))
    # with perfect correlation nothing is left; noise costs at most the slope that 30 pairs show by chance, 1 in 30 of the variance
    off = {kind: float(np.sqrt(np.mean(np.square(errors)))) for kind, errors in error.items()}
    assert off["good"] < 0.3 * off["none"]
    assert off["noise"] < 1.2 * off["none"]


def test_losses_that_cannot_be_far_apart_make_sure_earlier_and_one_never_worse_is_sure_at_once() -> None:
    rng = np.random.default_rng(9)
    common = rng.uniform(0, 9, 200)
    losses = np.stack([common, common + 0.5])

    def sure_after(apart: float) -> int:
        race = Race(2, 200, most=10.0, apart=lambda one, other: apart if (one, other) == (0, 1) else 1.0)
        for n in range(200):
            for k in range(2):
                race.tell(k, n, losses[k, n])
            race.judge()
            if race.out:
                assert set(race.out) == {1}
                return n + 1
        return 201

    assert sure_after(0.0) == 1
    assert 8 < sure_after(0.1) < sure_after(0.5) < sure_after(1.0)
    race = Race(2, 200, most=10.0, apart=lambda one, other: 0.1)
    race.tell(0, 0, 3.0)
    race.tell(1, 0, 3.5)
    assert race.gap(0) <= 0.1 * 10.0


def test_estimates_that_are_put_right_are_exact_where_the_sketch_is_a_line_of_the_truth() -> None:
    rng = np.random.default_rng(3)
    losses = rng.gamma(2.0, 3.0, 100)
    sketched = 0.5 * losses
    assert BOTH.corrected(losses[:12], sketched[:12], sketched) == pytest.approx(BOTH.of(losses), rel=0.02)
    with pytest.raises(InputError, match="sketches of"):
        Race(2, 10, most=9.0).tell_sketches(np.zeros((1, 10)))
