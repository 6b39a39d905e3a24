"""The epidemic of compartments, held to scipy's solver and to the final size of Kermack and McKendrick."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science.compartments import INFECTED, SEVERE, D, E, H, I, R, S, Stages, final_size, spread_in_groups
from tocsin.vocabulary import InputError

STAGES = Stages(latent_d=4.5, infectious_d=8.0, hospital_d=12.0, severe=np.array([0.01, 0.1]), dying=np.array([0.1, 0.3]))
PEOPLE = np.array([60_000.0, 40_000.0])
SEEDS = np.array([10.0, 0.0])
MEETING = np.array([[0.2, 0.08], [0.07, 0.15]])


def _run(days: int, step_d: float = 0.25) -> np.ndarray:
    factor = np.ones((days, 2, 2))
    factor[40:] = 0.6
    return spread_in_groups(PEOPLE, SEEDS, MEETING, STAGES, factor, np.full((days, 2), 0.5), step_d=step_d).state


def test_its_course_is_that_of_scipys_solver() -> None:
    from scipy.integrate import solve_ivp

    def rate(t: float, flat: np.ndarray) -> np.ndarray:
        y = flat.reshape(6, 2)
        new = y[0] / PEOPLE * ((MEETING * (0.6 if t >= 40 else 1.0)) @ y[2]) + 0.5
        to_i, out_i, out_h = y[1] / 4.5, y[2] / 8.0, y[3] / 12.0
        sick = STAGES.severe * out_i
        return np.stack(
            [-new, new - to_i, to_i - out_i, sick - out_h, out_i - sick + (1 - STAGES.dying) * out_h, STAGES.dying * out_h]
        ).ravel()

    start = np.zeros((6, 2))
    start[0], start[1] = PEOPLE - SEEDS, SEEDS
    early = solve_ivp(rate, (0, 40), start.ravel(), method="DOP853", rtol=1e-11, atol=1e-8)
    late = solve_ivp(rate, (40, 120), early.y[:, -1], method="DOP853", rtol=1e-11, atol=1e-8, t_eval=np.arange(41.0, 121.0))
    told = _run(120)[40:, :6].reshape(80, 12)
    # a fourth-order method in steps of a quarter of a day, rates below 1/4 a day: (1/16)^5 per step, some 500 steps
    np.testing.assert_allclose(told, late.y.T, atol=PEOPLE.sum() * 1e-6)


def test_a_smaller_step_changes_less_than_a_millionth_of_the_people() -> None:
    assert np.abs(_run(120) - _run(120, 0.125)).max() < 1e-6 * PEOPLE.sum()


def test_nobody_is_lost() -> None:
    state = _run(200)
    np.testing.assert_allclose(state[:, [S, E, I, H, R, D]].sum(axis=1), np.broadcast_to(PEOPLE, (200, 2)), rtol=1e-12)
    np.testing.assert_allclose(state[:, S] + state[:, INFECTED], np.broadcast_to(PEOPLE, (200, 2)), rtol=1e-12)
    assert (np.diff(state[:, SEVERE], axis=0) >= 0).all()


@pytest.mark.parametrize("r0", [1.3, 2.0, 3.5])
def test_it_ends_at_the_final_size(r0: float) -> None:
    stages = Stages(latent_d=2.0, infectious_d=5.0, hospital_d=5.0, severe=np.zeros(1), dying=np.zeros(1))
    one = np.array([1e6])
    flow = spread_in_groups(one, np.array([1e-3]), np.array([[r0 / 5.0]]), stages, np.ones((1500, 1, 1)), np.zeros((1500, 1)))
    assert flow.state[-1, INFECTED, 0] / 1e6 == pytest.approx(final_size(r0), abs=1e-6)


def test_the_final_size_solves_its_equation_and_is_nothing_below_one() -> None:
    z = final_size(2.5, 0.8)
    assert z == pytest.approx(0.8 * (1.0 - np.exp(-2.5 * z)), abs=1e-12)
    assert final_size(0.9) == 0.0


def test_daily_numbers_add_up_to_the_cumulated() -> None:
    factor, nobody = np.ones((50, 2, 2)), np.zeros((50, 2))
    flow = spread_in_groups(PEOPLE, SEEDS, MEETING, STAGES, factor, nobody)
    np.testing.assert_allclose(flow.daily(INFECTED).sum(axis=0), flow.state[-1, INFECTED])


def test_more_seeds_than_people_are_refused() -> None:
    with pytest.raises(InputError, match="more seeds"):
        spread_in_groups(PEOPLE, PEOPLE + 1, MEETING, STAGES, np.ones((2, 2, 2)), np.zeros((2, 2)))
