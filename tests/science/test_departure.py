"""When people set out: curves that are distributions, against their differential equation and against a simulated town."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tocsin.science.departure import Curve, Readiness, Spreading, either, led, warned
from tocsin.vocabulary import InputError

HOUR = 3600.0


def test_a_warning_spreads_as_its_differential_equation_says() -> None:
    s = Spreading(broadcast_per_h=0.3, contagion_per_h=2.0, reach=0.9)
    hours = np.linspace(0, 8, 50)
    truth = solve_ivp(lambda _, n: (0.3 + 2.0 * n) * (0.9 - n), (0, 8), [0.0], t_eval=hours, rtol=1e-9, atol=1e-12).y[0]
    assert s.share(hours * HOUR) == pytest.approx(truth, abs=1e-7)


def test_without_contagion_a_warning_is_a_plain_broadcast() -> None:
    assert Spreading(broadcast_per_h=1.0, contagion_per_h=0.0, reach=1.0).share(HOUR) == pytest.approx(1 - np.exp(-1))


def test_half_of_those_who_go_have_gone_after_the_median() -> None:
    for shape in (1.0, 2.0, 3.0):
        r = Readiness(median_s=HOUR, shape=shape, go=0.6)
        assert r.share(HOUR) == pytest.approx(0.3)
        assert r.share(1e9) == pytest.approx(0.6)


def test_with_shape_two_readiness_is_the_rayleigh_distribution() -> None:
    from scipy.stats import rayleigh

    r = Readiness(median_s=2 * HOUR, shape=2.0, go=1.0)
    t = np.linspace(0, 6 * HOUR, 20)
    assert r.share(t) == pytest.approx(rayleigh(scale=2 * HOUR / np.sqrt(2 * np.log(2))).cdf(t))


def test_who_hears_later_leaves_later() -> None:
    spreading, readiness = Spreading(), Readiness()
    curve = warned(600.0, 24 * HOUR, spreading, readiness)
    rng = np.random.default_rng(1)  # a town of people who each hear at a time and are each ready after a time
    count = 200_000
    grid = np.arange(0, 48 * HOUR, 10.0)
    heard = np.interp(rng.random(count), spreading.share(grid), grid, right=np.inf)
    ready = np.interp(rng.random(count), readiness.share(grid), grid, right=np.inf)
    left = 600.0 + heard + ready
    for hours in (1, 2, 4, 8, 20):
        # sampling: 4 sigma of 200,000 draws, 0.0045; the step of a minute: at most a minute of the steepest part, 0.003
        assert curve.at(hours * HOUR) == pytest.approx((left <= hours * HOUR).mean(), abs=0.0075)


def test_at_oroville_two_thirds_left() -> None:
    """LifeSim Technical Reference Manual, 2026, citing Sorensen et al. 2018: around 67 to 68 % of the population evacuated."""
    assert 0.67 <= warned(0.0, 72 * HOUR, Spreading(), Readiness()).share[-1] <= 0.68


def test_a_door_to_door_round_goes_evenly_and_an_order_with_busses_all_at_its_end() -> None:
    assert led(100.0, 300.0, amount=0.8).at([0, 100, 200, 300, 400]) == pytest.approx([0, 0, 0.4, 0.8, 0.8])
    assert led(100.0, 300.0, gradual=False).at([299, 361]) == pytest.approx([0, 1])


def test_two_reasons_to_leave_do_not_add_up_to_more_than_all() -> None:
    both = either([led(0, 100, amount=0.5), led(50, 150, amount=0.5)])
    assert both.at([100, 150]) == pytest.approx([1 - 0.5 * 0.75, 0.75])
    assert either([]).at(1e6) == 0.0


def test_when_is_the_inverse_and_never_is_never() -> None:
    curve = Curve(np.array([0.0, 100.0, 200.0]), np.array([0.0, 0.0, 0.5]))
    assert curve.when([0.25, 0.5, 0.6]).tolist() == [150.0, 200.0, np.inf]


@pytest.mark.parametrize("wrong", [{"reach": 1.5}, {"broadcast_per_h": 0.0}, {"contagion_per_h": -1.0}, {"reach": float("nan")}])
def test_a_warning_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="spreading"):
        Spreading(**wrong)


@pytest.mark.parametrize("wrong", [{"median_s": 0.0}, {"go": 1.2}, {"shape": -1.0}])
def test_readiness_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="readiness"):
        Readiness(**wrong)
