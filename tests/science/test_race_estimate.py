"""What choices have in common is used where it helps, and given up where what came speaks against it."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science.race import Race
from tocsin.science.race_criterion import Criterion
from tocsin.science.race_estimate import estimate, going_with_mean, shrunk
from tocsin.science.race_spending import worths

BOTH = Criterion()


def off(estimated: np.ndarray, truth: np.ndarray) -> float:  # type: ignore[type-arg]
    """Mean square error of the differences between choices."""
    apart = (estimated - estimated.mean()) - (truth - truth.mean())
    return float((apart**2).mean())


def plain(losses: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([BOTH.of(row) for row in losses])


def test_with_all_futures_run_it_is_the_plain_criterion() -> None:
    rng = np.random.default_rng(1)
    losses = rng.gamma(2.0, 10.0, 60) + rng.normal(np.arange(6)[:, None], 4.0, (6, 60))
    # the sums are solved for, over 60 futures: rounding is far below 1e-6 of losses of 20
    np.testing.assert_allclose(estimate(losses, BOTH, 60).criterion, plain(losses), rtol=1e-6)


def test_choices_that_are_still_in_are_told_plainly_when_they_have_all_futures_and_others_have_few() -> None:
    rng = np.random.default_rng(2)
    losses = rng.gamma(2.0, 10.0, 60) + rng.normal(np.arange(6)[:, None], 4.0, (6, 60))
    some = losses.copy()
    some[3:, 8:] = np.nan
    told = estimate(some, BOTH, 60).criterion
    wanted = plain(losses[:3])
    np.testing.assert_allclose(told[:3] - told[0], wanted - wanted[0], atol=1e-6 * wanted.max())


@pytest.mark.parametrize("runs", [8, 16])
def test_where_choices_differ_by_a_shift_the_error_is_nearly_that_of_the_means(runs: int) -> None:
    """Own chance of 5 leaves the differences of means of eight choices a variance of 25 / runs * 7 / 8, and no estimate is better; of what the plain
    criterion's one or two tail runs add to it, less than a third may be left."""
    ours, theirs = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        means = rng.permutation(8).astype(float)
        losses = rng.normal(50.0, 15.0, runs) + rng.normal(means[:, None], 5.0, (8, runs))
        ours.append(off(estimate(losses, BOTH, 400).criterion, means))
        theirs.append(off(plain(losses), means))
    least = 25.0 / runs * 7.0 / 8.0
    assert np.mean(ours) - least < (np.mean(theirs) - least) / 3.0


def test_tails_that_are_opposite_to_the_means_are_recognised() -> None:
    """Each costs one more on average and ten less in the worst tenth: the half mean and half tail is least for the last one."""
    rng = np.random.default_rng(3)
    right = 0
    for _ in range(40):
        common = rng.normal(50.0, 15.0, 60)
        bad = common >= np.sort(common)[-6]
        losses = common + np.arange(6)[:, None] + bad * 10.0 * np.arange(5, -1, -1)[:, None] + rng.normal(0, 3.0, (6, 60))
        right += int(np.argmin(estimate(losses, BOTH, 400).criterion)) >= 4
    assert right >= 36


def test_a_choice_that_missed_the_bad_futures_is_not_praised_for_it() -> None:
    rng = np.random.default_rng(4)
    common = np.concatenate([rng.normal(20.0, 2.0, 6), rng.normal(80.0, 2.0, 10)])
    losses = common + np.array([[0.0], [3.0], [3.0]]) + rng.normal(0.0, 0.5, (3, 16))
    losses[2, 6:] = np.nan
    told = estimate(losses, BOTH, 100).criterion
    # own noise of 0.5 over six runs, and a tail that is brought to the others': three standard errors of the mean are 0.6, of a tail of one run 1.5
    assert told[2] - told[0] == pytest.approx(3.0, abs=2.1)


def test_a_choice_without_a_run_is_told_as_infinite_and_one_alone_by_itself() -> None:
    losses = np.full((2, 10), np.nan)
    assert np.isinf(estimate(losses, BOTH, 10).criterion).all()
    losses[1, :4] = (1.0, 2.0, 3.0, 10.0)
    told = estimate(losses, BOTH, 10).criterion
    assert told[0] == np.inf
    assert told[1] == pytest.approx(BOTH.of(losses[1, :4]))


def test_what_chance_explains_is_shrunk_to_the_middle_and_what_it_cannot_is_kept() -> None:
    alike, kept = shrunk(np.array([-1.0, 0.5, 1.0, -0.5]), np.full(4, 1.0))
    assert np.abs(alike).max() < 0.6
    assert kept.max() < 0.6
    apart, kept = shrunk(np.array([-30.0, 10.0, 20.0, 0.0]), np.full(4, 1.0))
    np.testing.assert_allclose(apart, [-30.0, 10.0, 20.0, 0.0], atol=0.5)
    assert kept.min() > 0.95


def test_tails_that_go_with_the_means_beyond_chance_are_told_for_all_and_others_not() -> None:
    mean, variance = np.arange(6.0), np.full(6, 1.0)
    luck = np.array([0.1, -0.2, 0.1, 0.1, -0.2, 0.1])
    # a slope of -3 on means with a square of 17.5 stands out of chance by 157 times, so less than a hundredth of it is taken off
    np.testing.assert_allclose(going_with_mean(-3.0 * mean + luck, mean, variance), -3.0 * (mean - 2.5), atol=0.2)
    np.testing.assert_array_equal(going_with_mean(luck, mean, variance), np.zeros(6))


def test_the_run_that_is_worth_most_is_of_who_may_still_be_best_and_is_known_least() -> None:
    runs, who = np.array([10, 10, 10]), np.arange(3)
    worth = worths(np.array([0.0, 0.5, 9.0]), np.array([3.0, 3.0, 3.0]), runs, who, of=100)
    assert worth[0] > worth[2]
    assert worth[1] > 100 * worth[2]
    worth = worths(np.array([0.0, 0.5, 0.5]), np.array([3.0, 3.0, 3.0]), np.array([10, 10, 40]), who, of=100)
    assert worth[1] > worth[2]
    together = worths(np.array([0.0, 0.5, 0.5]), np.array([3.0, 3.0, 3.0]), runs, np.array([-1, -1, 2]), of=100)
    assert set(together) == {-1, 2}
    assert together[-1] > together[2]
    assert worths(np.array([0.0, 0.5]), np.array([3.0, 3.0]), np.array([100, 100]), np.arange(2), of=100) == {0: 0.0, 1: 0.0}


def test_the_same_told_in_another_order_asks_for_the_same() -> None:
    losses = np.random.default_rng(5).gamma(2.0, 10.0, (4, 40))
    asked = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        race = Race(4, 40, most=200.0, own=[True] * 4)
        while (task := race.ask()) is not None and task[0] is None:
            pass
        for k in order:
            for n in range(4):
                race.tell(k, n, losses[k, n])
        asked.append([race.best(), *(race.ask() for _ in range(30))])
    assert asked[0] == asked[1]
