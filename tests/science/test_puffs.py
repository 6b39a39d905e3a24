"""A row of puffs is the plume in steady wind, keeps its mass, follows a wind that turns, and is the plain sum without any cut-off."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science.dispersion import plume, puff, spread
from tocsin.science.puffs import Breathed, Release, Wind, breathed, puffs_plainly, ways, widths
from tocsin.science.toxic import indoors, peak_mean
from tocsin.vocabulary import InputError

GRID = {"x_min_m": 0.0, "y_max_m": 500.0, "cell_m": 10.0, "shape": (100, 100), "duration_s": 1_800.0, "z_m": 0.0}


def steady(rate: float = 1.0, x_m: float = -5.0, y_m: float = -5.0) -> Release:
    return Release(x_m, y_m, np.zeros(1), np.full(1, rate))


def grows(stability: int, ground: str = "rural"):  # type: ignore[no-untyped-def]
    return widths([spread(ways(), stability, ground)])  # type: ignore[arg-type]


@pytest.mark.parametrize("stability", [2, 4, 6])
def test_in_a_steady_wind_the_row_is_the_plume(stability: int) -> None:
    got = breathed([steady()], Wind.of(3.0, 270.0), grows(stability), smear=False, **GRID).peak.reshape(100, 100)
    x = (np.arange(100) + 0.5) * 10 + 5
    far = x > 100.0  # the curves' own range
    want = plume(1.0, x, 0.0, 0.0, wind_m_per_s=3.0, stability=stability)
    np.testing.assert_allclose(
        got[50][far], want[far], rtol=0.01
    )  # pieces of a tenth of the way, right to the first order: 0.1^2


@pytest.mark.parametrize("stability", [4, 6])
def test_beside_the_axis_the_row_is_the_plume_to_the_second_order_of_its_slenderness(stability: int) -> None:
    got = breathed([steady()], Wind.of(3.0, 270.0), grows(stability), smear=False, **GRID).peak.reshape(100, 100)
    x = (np.arange(10, 100) + 0.5) * 10 + 5
    width = spread(x, stability)[0]
    for row in (48, 51, 53):
        across = (50 - row) * 10.0
        near = np.abs(across) < 1.5 * width
        want = plume(1.0, x, across, 0.0, wind_m_per_s=3.0, stability=stability)
        # y / sigma seen from the puff is r y / sigma with r ~ N(1, s), s = sigma / x: of the second order in s, with a factor up to 6 at 1.5 sigma
        np.testing.assert_allclose(got[row][10:][near], want[near], rtol=0.006 + 6 * float((width / x).max()) ** 2)


def test_the_row_is_the_plain_sum_of_close_puffs_at_close_moments_in_a_wind_that_turns_and_freshens() -> None:
    time = np.array([0.0, 600.0, 1_200.0])
    wind = Wind.of(np.array([2.0, 3.0, 4.0]), np.array([270.0, 300.0, 250.0]), time)
    release = Release(300.0, 0.0, np.array([0.0, 300.0, 900.0]), np.array([0.5, 2.0, 0.0]), height_m=5.0)
    kw = {**GRID, "duration_s": 1_200.0, "mixing_m": 60.0}
    got = breathed([release], wind, grows(4), windows_s=(1_200.0,), **kw).dose / 1_200.0
    cells = np.array([50 * 100 + 40, 45 * 100 + 60, 55 * 100 + 60, 60 * 100 + 80])
    x, y = (cells % 100 + 0.5) * 10, 500.0 - (cells // 100 + 0.5) * 10
    plain = puffs_plainly(
        [release], wind, grows(4), x, y, from_s=0.0, until_s=1_200.0, duration_s=1_200.0, every_s=2.0, puff_s=4.0, widen_m=10 / np.sqrt(12), mixing_m=60.0, z_m=0.0
    )  # fmt: skip
    np.testing.assert_allclose(
        got[cells], plain, rtol=0.03, atol=0.002 * plain.max()
    )  # pieces of a tenth of the way: second order, 2 %


def test_nothing_is_lost_on_the_way() -> None:
    # under a low lid the air is mixed through, so one height tells all: what is in the air over the grid is what was let go
    lid_m = 10.0
    release = Release(105.0, 5.0, np.array([0.0, 20.0, 21.0]), np.array([1.0, 1.0, 0.0]))
    kw = {**GRID, "mixing_m": lid_m}
    before, after = (breathed([release], Wind.of(2.0, 270.0), grows(3), **{**kw, "duration_s": s}) for s in (240.0, 300.0))
    in_the_air_kg = (after.dose - before.dose).sum() / 60.0 * 10.0**2 * lid_m
    assert after.released_kg == pytest.approx(20.5, rel=1e-12)
    assert in_the_air_kg == pytest.approx(after.released_kg, rel=3e-4)  # cut at 4 sigma, on each side: 6e-5 across and less along


def test_a_release_at_once_is_a_puff() -> None:
    release = Release(-5.0, -5.0, np.array([0.0, 1.0]), np.array([2.0, 0.0]))  # 1 kg within a second
    got = breathed(
        [release],
        Wind.of(2.0, 270.0),
        grows(4, "puff"),
        step_s=1.0,
        puff_s=0.5,
        smear=False,
        windows_s=(600.0,),
        **{**GRID, "duration_s": 300.0, "shape": (100, 60)},
    )
    x = (np.arange(60) + 0.5) * 10 + 5
    time = np.arange(0.0, 400.0, 0.2)
    want = [float(puff(1.0, d, 0.0, 0.0, time, wind_m_per_s=2.0, stability=4).max()) for d in x[20:50]]
    np.testing.assert_allclose(
        got.peak.reshape(100, 60)[50, 20:50], want, rtol=0.02
    )  # let go over half a second, told as means of a second


def test_two_stations_bend_the_way_between_them() -> None:
    wind = Wind.of(np.array([[3.0, 3.0]]), np.array([[270.0, 180.0]]), 0.0, np.array([0.0, 1_000.0]), np.array([0.0, 0.0]))
    bent = breathed([steady()], wind, grows(5), **GRID).dose.reshape(100, 100)
    straight = breathed([steady()], Wind.of(3.0, 270.0), grows(5), **GRID).dose.reshape(100, 100)
    assert np.argmax(straight[:, 90]) == 50
    assert np.argmax(bent[:, 70]) < 40  # northwards


def breath(**more: float) -> tuple[Breathed, np.ndarray]:
    release = Release(205.0, 5.0, np.array([0.0, 400.0, 401.0]), np.array([1.0, 1.0, 0.0]))
    limits = np.array([[1e-4, 8e-5, 5e-5], [1e-3, 8e-4, 5e-4], [1e-2, 8e-3, 5e-3]])
    got = breathed(
        [release],
        Wind.of(3.0, 270.0),
        grows(4),
        limits=limits,
        power=2.0,
        seen_from=1e-6,
        exchange_per_h=1.0,
        frame_s=(600.0, 1_800.0),
        **GRID,
    )
    return got, limits


def test_shares_loads_and_times_are_those_of_the_series_at_a_place() -> None:
    got, limits = breath()
    cell = 50 * 100 + 60
    series = []
    release = Release(205.0, 5.0, np.array([0.0, 400.0, 401.0]), np.array([1.0, 1.0, 0.0]))
    for step in range(1, 31):
        upto = breathed(
            [release], Wind.of(3.0, 270.0), grows(4), **{**GRID, "duration_s": 60.0 * step}, windows_s=(60.0,), seen_from=1e-6
        )
        series.append(float(upto.dose[cell]))
    outside = np.diff(np.concatenate([[0.0], series])) / 60.0
    assert got.peak[cell] == pytest.approx(outside.max(), rel=1e-5)
    assert got.load[cell] == pytest.approx((outside**2).sum() * 60.0, rel=1e-5)
    first, last = np.flatnonzero(outside >= 1e-6)[[0, -1]]
    assert (got.arrival_s[cell], got.end_s[cell]) == (first * 60.0, (last + 1) * 60.0)
    fine = indoors(np.repeat(outside, 600), 0.1, 1.0).reshape(30, 600).mean(axis=1)
    for level in range(3):
        out = max(peak_mean(outside, 60.0, w) / limits[level, k] for k, w in enumerate((600.0, 1_800.0, 3_600.0)))
        inn = max(peak_mean(fine, 60.0, w) / limits[level, k] for k, w in enumerate((600.0, 1_800.0, 3_600.0)))
        assert got.share[0, level, cell] == pytest.approx(out, rel=1e-4)  # the ring is kept in single precision
        assert got.share[1, level, cell] == pytest.approx(inn, rel=1e-3)
    assert (got.share[1] <= got.share[0] + 1e-9).all()
    assert (got.frames <= got.share[0, 1] + 1e-6).all()
    assert got.frames[0, cell] > got.frames[1, cell] >= 0.0


def test_gas_that_leaves_the_grid_and_comes_back_is_still_there() -> None:
    wind = Wind.of(np.array([4.0, 4.0, 4.0, 4.0]), np.array([90.0, 90.0, 270.0, 270.0]), np.array([0.0, 200.0, 201.0, 1_800.0]))
    release = Release(50.0, 5.0, np.array([0.0, 60.0, 61.0]), np.array([1.0, 1.0, 0.0]))
    got = breathed([release], wind, grows(4), **GRID).dose.reshape(100, 100)
    assert got[50, 50] > 0


def test_a_place_that_no_gas_reaches_has_none_and_never_an_arrival() -> None:
    got = breathed([steady(x_m=500.0)], Wind.of(3.0, 270.0), grows(6), **GRID)
    assert got.peak[50 * 100 + 10] == 0.0
    assert got.arrival_s[50 * 100 + 10] == np.inf
    none = breathed([steady(rate=0.0)], Wind.of(3.0, 270.0), grows(6), **GRID)
    assert none.peak.max() == 0.0
    assert none.puffs == 0


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="rising times"):
        Release(0.0, 0.0, np.array([1.0, 0.0]), np.zeros(2))
    with pytest.raises(InputError, match="0 or more"):
        Release(0.0, 0.0, np.zeros(1), np.full(1, -1.0))
    with pytest.raises(InputError, match="wind"):
        Wind.of(np.zeros(3), np.zeros(3), np.zeros(2))
    with pytest.raises(InputError, match="GB; wanted at most"):
        breathed(
            [steady(x_m=100_000.0)],
            Wind.of(3.0, 270.0),
            grows(1),
            windows_s=(28_800.0,),
            x_min_m=0.0,
            y_max_m=250_000.0,
            cell_m=100.0,
            shape=(5_000, 5_000),
            duration_s=36_000.0,
        )
    with pytest.raises(InputError, match="no window below"):
        breathed([steady()], Wind.of(3.0, 270.0), grows(6), windows_s=(10.0,), **GRID)
