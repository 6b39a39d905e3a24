"""Dense gas thins as in the worked examples of Britter & McQuaid and CCPS."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science.dense_gas import _PLUME, _PUFF, DensePlume, _along, dense_puff_concentration, effective_widths, is_dense_puff
from tocsin.science.dispersion import spread
from tocsin.vocabulary import InputError

AIR = 101_325.0 / (287.05 * 298.0)
LNG = DensePlume(0.23 * 425.6 / 1.76, 1.76, AIR, 10.9, temperature_k=273.15 - 162.0, air_temperature_k=298.0)


def test_the_lng_spill_of_ccps_page_122_comes_out_to_three_digits() -> None:
    # printed 0.050718 and 0.0049214; the density of air at 298 K is not printed and shows in the fourth digit
    assert LNG.is_dense
    assert LNG.concentration(np.array([367.0, 1_200.0])) == pytest.approx([0.050718, 0.0049214], rel=5e-4)
    assert LNG.concentration(2.26 * 20) == pytest.approx(0.6720234544594696)  # near field, tests of GasDispersion.jl


def test_the_ammonia_tank_of_potchefstroom_comes_out() -> None:
    got = dense_puff_concentration(
        np.array([160.0, 355.0, 3_133.0]),
        volume_m3=7.25e4, density=1.434, air_density=101_325.0 / (287.05 * 293.15), wind_m_per_s=2.0, temperature_ratio=(273.15 - 33.316) / 293.15,
    )  # fmt: skip
    wanted = np.array(
        [0.11109705839813348, 0.06264084534270946, 0.0006403658290584752]
    )  # kg/m3, of 38 t in 72,500 m3: tests of GasDispersion.jl
    np.testing.assert_allclose(got * 38e3 / 7.25e4, wanted, rtol=1e-4)  # air density as above: fifth digit
    assert is_dense_puff(volume_m3=7.25e4, density=1.434, air_density=1.2, wind_m_per_s=2.0)
    assert not is_dense_puff(volume_m3=7.25e4, density=1.1, air_density=1.2, wind_m_per_s=2.0)


@pytest.mark.parametrize(
    ("alpha", "logs"),
    [
        (-0.75, [1.75, 1.92, 2.08, 2.25, 2.4, 2.6]),
        (-0.40, [1.784, 2.016, 2.21, 2.394, 2.564, 2.714]),
        (-0.20, [1.832, 2.06, 2.25, 2.45, 2.63, 2.77]),
        (0.0, [1.78, 1.96, 2.16, 2.35, 2.56, 2.71]),
        (0.5, [1.53, 1.68, 1.89, 2.09, 2.32, 2.46]),
    ],
)
def test_the_lines_of_the_plume_are_those_of_tscreen(alpha: float, logs: list[float]) -> None:
    np.testing.assert_allclose(_along(_PLUME, alpha)[1], logs, rtol=1e-12)


@pytest.mark.parametrize(
    ("alpha", "logs"),
    [
        (-0.75, [0.7, 0.85, 0.95, 1.15, 1.48, 1.83, 2.075]),
        (0.0, [0.81, 1.0, 1.19, 1.39, 1.62, 1.83, 2.05]),
        (0.75, [0.93, 1.03, 1.185, 1.375, 1.525, 1.68, 1.8475]),
    ],
)
def test_the_lines_of_the_puff_are_those_of_ccps(alpha: float, logs: list[float]) -> None:
    np.testing.assert_allclose(_along(_PUFF, alpha)[1], logs, rtol=1e-12)


def test_the_lines_of_the_plume_end_where_ccps_draws_their_last_corner() -> None:
    # another transcription of the same curves, by their corners: rounded to two digits there
    np.testing.assert_allclose(_along(_PLUME, 1.0)[1], [1.28, 1.40, 1.62, 1.83, 2.07, 2.21], atol=0.0101)
    np.testing.assert_allclose(_along(_PLUME, 3.0)[1], _along(_PLUME, 1.0)[1])  # beyond the trials it stays there


def test_light_gas_is_not_dense_and_a_strong_wind_makes_dense_gas_passive() -> None:
    assert not DensePlume(1.0, 0.7, 1.2, 3.0).is_dense
    assert DensePlume(1.0, 2.9, 1.2, 3.0).is_dense
    assert not DensePlume(0.01, 2.9, 1.2, 12.0).is_dense
    with pytest.raises(InputError, match="above 0"):
        DensePlume(0.0, 2.9, 1.2, 3.0)


def test_the_widths_give_the_published_concentration_on_the_axis_and_then_go_over_without_a_step() -> None:
    way = np.geomspace(1.0, 50_000.0, 400)
    width, height = effective_widths(LNG, way, 4, "rural")
    axis = LNG.volume_m3_per_s * 298.0 / 111.15 / (np.pi * LNG.wind_m_per_s * width * height)  # as warm as the air
    near = LNG.concentration(way) > 0.002
    np.testing.assert_allclose(axis[near], LNG.concentration(way)[near], rtol=1e-9)
    assert (np.diff(axis) < 1e-9).all()
    published = np.abs(np.diff(np.log(LNG.concentration(way)))).max()
    assert np.abs(np.diff(np.log(axis))).max() <= published * (1 + 1e-9)  # nowhere steeper than the published lines themselves
    passive = spread(way[-1], 4)
    assert width[-1] / passive[0] == pytest.approx(1.0, abs=0.1)
