"""Plume and puff are those of the published worked examples, keep their mass, and are stable where Pasquill says so.

The numbers of CCPS 1999 (pp. 97 and 101) are taken from the tests of GasDispersion.jl (A. Farrell, MIT), which were checked against the book.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from tocsin.science.dispersion import GROUNDS, plume, puff, spread, stability_class, upright, wind_at
from tocsin.vocabulary import InputError


def test_the_plume_of_ccps_page_97_comes_out_to_the_last_printed_digit() -> None:
    got = plume(0.1, 500.0, wind_m_per_s=2.0, stability=6, ground="open")
    assert got == pytest.approx(1.0346728e-4, rel=5e-8)  # the example has eight digits


def test_the_puff_of_ccps_page_101_comes_out() -> None:
    width, height = spread(500.0, 6, "puff")
    assert (width, height) == (
        pytest.approx(5.047929716825321),
        pytest.approx(2.214836678536473),
    )  # the book misprints the first as 6.1
    got = puff(1.0, 500.0, 0.0, 0.0, 250.0, wind_m_per_s=2.0, stability=6)
    assert got == pytest.approx(1.0 / (np.sqrt(2 * np.pi) * np.pi * width**2 * height), rel=1e-12)


@pytest.mark.parametrize(
    ("stability", "rural", "urban", "let_go"),
    [  # at 1.2 m, from the tests of GasDispersion.jl: CCPS 1999, tables of rural and urban terrain and of puffs
        (1, (0.2639841614254575, 0.24), 0.38390787316433456, (0.21287234847910436, 0.6879188103871441)),
        (2, (0.19198848103669636, 0.144), 0.38390787316433456, (0.16556738215041453, 0.6054498545741843)),
        (3, (0.13199208071272875, 0.09598848207318536), 0.26393666280048, (0.11826241582172466, 0.3869880921561032)),
        (4, (0.09599424051834818, 0.07193528734898633), 0.19195393658216728, (0.07095744949303479, 0.17041904657983328)),
        (5, (0.07199568038876113, 0.03598704466392099), 0.13196833140024, (0.047304966328689864, 0.11258170198247626)),
        (6, (0.04799712025917409, 0.019193090487424527), 0.13196833140024, (0.023523465599668385, 0.05588182287353654)),
    ],
)
def test_widths_and_heights_are_the_tables_of_ccps(
    stability: int, rural: tuple[float, float], urban: float, let_go: tuple[float, float]
) -> None:
    assert [float(v) for v in spread(1.2, stability, "rural")] == pytest.approx(rural, rel=1e-12)
    assert float(spread(1.2, stability, "urban")[0]) == pytest.approx(urban, rel=1e-12)
    assert [float(v) for v in spread(1.2, stability, "puff")] == pytest.approx(let_go, rel=1e-12)


@pytest.mark.parametrize(
    ("stability", "urban", "rural"), [(1, 4.237612633868263, 3.5246926648185886), (6, 11.943215116604916, 10.644401677007265)]
)
def test_wind_grows_with_height_as_ccps_has_it(stability: int, urban: float, rural: float) -> None:
    assert wind_at(10.0, 3.0, 1.0, stability, "urban") == pytest.approx(urban)
    assert wind_at(10.0, 3.0, 1.0, stability, "rural") == pytest.approx(rural)


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("stability", range(1, 7))
def test_gas_spreads_more_the_farther_it_goes_and_the_less_stable_the_air(ground: str, stability: int) -> None:
    far = np.geomspace(1.0, 10_000.0, 200)
    width, height = spread(far, stability, ground)  # type: ignore[arg-type]
    assert (np.diff(width) > 0).all()
    assert (np.diff(height) > 0).all()
    if stability > 1:
        wider, higher = spread(np.array([200.0, 1000.0]), stability - 1, ground)  # type: ignore[arg-type]
        mine = spread(np.array([200.0, 1000.0]), stability, ground)  # type: ignore[arg-type]
        assert (wider >= mine[0]).all()
        assert (higher >= mine[1]).all()


@pytest.mark.parametrize("mixing_m", [np.inf, 200.0, 40.0])
def test_what_passes_a_plane_downwind_is_what_is_let_go(mixing_m: float) -> None:
    x, wind = 1_000.0, 3.0
    top = min(mixing_m, 2_000.0)
    column, _ = quad(
        lambda z: float(plume(1.0, x, 0.0, z, wind_m_per_s=wind, stability=4, height_m=20.0, mixing_m=mixing_m)),
        0.0,
        top,
        limit=200,
    )
    width = float(spread(x, 4)[0])
    assert column * wind * np.sqrt(2 * np.pi) * width == pytest.approx(
        1.0, rel=1e-5
    )  # three images: what is left out is below 1e-5


def test_under_a_low_lid_the_gas_is_mixed_through() -> None:
    z = np.array([0.0, 25.0, 50.0])
    np.testing.assert_allclose(
        upright(z, np.asarray(79.0), 10.0, 50.0), 0.02, rtol=1e-4
    )  # by images, just below where it switches
    np.testing.assert_allclose(upright(z, np.asarray(81.0), 10.0, 50.0), 0.02, rtol=1e-12)


def test_upwind_there_is_nothing_and_calm_air_is_refused() -> None:
    assert plume(1.0, -5.0, wind_m_per_s=1.0, stability=4) == 0.0
    with pytest.raises(InputError, match="wants wind"):
        plume(1.0, 5.0, wind_m_per_s=0.0, stability=4)
    with pytest.raises(InputError, match="wanted 1"):
        spread(5.0, 7)


def test_stability_is_pasquills_table() -> None:
    assert [stability_class(w, day=True, insolation="strong") for w in (1, 2.5, 4, 5.5, 7)] == [1, 2, 2, 3, 3]
    assert [stability_class(w, day=True, insolation="moderate") for w in (1, 2.5, 4, 5.5, 7)] == [2, 2, 3, 4, 4]
    assert [stability_class(w, day=True, insolation="slight") for w in (1, 2.5, 4, 5.5, 7)] == [2, 3, 3, 4, 4]
    assert [stability_class(w, day=False, cloudy=True) for w in (2.5, 4, 5.5, 7)] == [5, 4, 4, 4]
    assert [stability_class(w, day=False) for w in (2.5, 4, 5.5, 7)] == [6, 5, 4, 4]
