"""Jets, pools and tanks let go what the worked examples say, and a tank lets go no more than it holds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tocsin.science.source_term import (
    boiling_pool,
    choked_below,
    evaporating_pool,
    flashed_share,
    gas_emptying,
    gas_jet,
    liquid_emptying,
    liquid_jet,
)
from tocsin.vocabulary import InputError


def test_the_jets_of_ccps_pages_40_and_47_come_out() -> None:
    # as in the tests of GasDispersion.jl
    assert liquid_jet(120_935.0368, 490.0, 0.01, discharge=0.63) == pytest.approx(0.21691154763598)
    assert gas_jet(501e3, 8.90, 0.01, heat_ratio=1.15) == pytest.approx(0.09002799947040846)


def test_gas_below_and_above_the_speed_of_sound_meet_where_it_chokes() -> None:
    edge = 101_325.0 / choked_below(1.4)
    assert gas_jet(edge * 0.9999, 2.2, 0.02, heat_ratio=1.4) == pytest.approx(
        gas_jet(edge * 1.0001, 2.2, 0.02, heat_ratio=1.4), rel=5e-4
    )
    assert choked_below(1.4) == pytest.approx(0.5283, abs=5e-5)  # any book on gas dynamics
    assert gas_jet(101_325.0, 1.2, 0.02, heat_ratio=1.4) == 0.0


def test_an_upright_tank_empties_as_the_equation_solved_step_by_step() -> None:
    area, hole, density, over = 12.0, 0.08, 680.0, 50_000.0
    time = np.linspace(0.0, 3_000.0, 61)

    def falls(_: float, level: np.ndarray) -> np.ndarray:
        return -np.array([liquid_jet(101_325.0 + over, density, hole, head_m=max(float(level[0]), 0.0))]) / (density * area)

    solved = solve_ivp(falls, (0.0, 3_000.0), [4.0], t_eval=time, rtol=1e-9, atol=1e-9)
    rate, level = liquid_emptying(time, level_m=4.0, tank_area_m2=area, density=density, hole_m=hole, over_pa=over)
    run = level > 0
    np.testing.assert_allclose(level[run], solved.y[0][run], atol=1e-5)
    assert run.sum() > 10
    assert (rate[~run] == 0).all()
    assert rate[0] == pytest.approx(liquid_jet(101_325.0 + over, density, hole, head_m=4.0))


def test_a_vessel_of_gas_empties_as_the_equation_solved_step_by_step() -> None:
    mass, first, k = 900.0, 2.0, 1.3
    time = np.linspace(0.0, 1_200.0, 25)
    solved = solve_ivp(lambda _, m: -first * (m / mass) ** ((k + 1) / 2), (0.0, 1_200.0), [mass], t_eval=time, rtol=1e-9)
    np.testing.assert_allclose(
        gas_emptying(time, mass_kg=mass, rate_kg_per_s=first, heat_ratio=k),
        first * (solved.y[0] / mass) ** ((k + 1) / 2),
        rtol=1e-6,
    )


def test_what_flashes_lies_between_nothing_and_all() -> None:
    # chlorine at 20 degrees, CCPS's usual constants: about a fifth
    assert flashed_share(900.0, 288_000.0, 293.15, 239.1) == pytest.approx(1 - np.exp(-900 * 54.05 / 288_000))
    assert flashed_share(900.0, 288_000.0, 230.0, 239.1) == 0.0


def test_a_boiling_pool_falls_with_the_root_of_time_and_a_cold_one_with_its_vapour_pressure() -> None:
    kw = {
        "area_m2": 50.0,
        "ground_k": 288.0,
        "boiling_k": 111.7,
        "conductivity": 0.9,
        "diffusivity_m2_per_s": 4.3e-7,
        "latent_heat": 510e3,
    }
    first, later = boiling_pool(np.array([10.0, 40.0]), **kw)
    assert first == pytest.approx(2 * later)
    with pytest.raises(InputError, match="infinite"):
        boiling_pool(0.0, **kw)
    pool = {"diameter_m": 10.0, "wind_m_per_s": 5.0, "molar_kg": 0.092, "temperature_k": 298.0, "schmidt": 1.8}
    thin, double = (evaporating_pool(**pool, vapour_pa=p) for p in (100.0, 200.0))
    assert double == pytest.approx(2 * thin, rel=2e-3)  # the blowing term is half the vapour's share of the pressure
    assert evaporating_pool(**pool, vapour_pa=0.0) == 0.0
    with pytest.raises(InputError, match="boils"):
        evaporating_pool(**pool, vapour_pa=2e5)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="hole_m"):
        liquid_jet(2e5, 500.0, 0.0)
    with pytest.raises(InputError, match="cp / cv"):
        gas_jet(2e5, 2.0, 0.01, heat_ratio=1.0)
