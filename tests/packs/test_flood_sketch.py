"""A sketch of a flood is much cheaper, near to the flood where ground is even, and told on the same cells."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.packs.flood.sketch import coarse_problem, depth_over, mean_of, member_of, moments_s
from tocsin.science.shallow_water import FloodProblem, Inflow, Rain, Stage, simulate
from tocsin.vocabulary import Series

HOUR_S = 3600.0


def sketched(fine: FloodProblem, k: int, duration_s: float):  # type: ignore[no-untyped-def]
    coarse = coarse_problem(fine, k)
    run = simulate(coarse, duration_s=duration_s, frame_times_s=moments_s(duration_s, ()))
    return coarse, run, member_of(fine, coarse, run, k, wet_depth_m=0.1, frame_s=())


def beach(cells: int = 96) -> FloodProblem:
    """A lake at the west rim that rises by 2 m in half an hour, and ground that rises by 3 m to the east."""
    ground = np.tile(np.linspace(-0.5, 3.0, cells), (cells // 2, 1))
    lake = np.column_stack([np.repeat(np.arange(cells // 2), 4), np.tile(np.arange(4), cells // 2)])
    return FloodProblem(ground, 10.0, 0.03, stages=(Stage(lake, Series.of([0.0, HOUR_S / 2], [0.0, 2.0])),))


def test_a_level_lake_over_even_ground_is_the_depth_of_the_fine_ground() -> None:
    ground = np.random.default_rng(1).uniform(0.0, 1.0, (10, 14))
    depth = np.full((3, 4), np.float32(2.0))
    coarse_ground = np.full((3, 4), 1.0)
    told = depth_over(ground.astype(np.float32), coarse_ground, depth, 4)
    np.testing.assert_allclose(told, 3.0 - ground, atol=1e-6)
    assert told.shape == ground.shape


def test_means_keep_the_ground_and_take_the_rim_as_it_is() -> None:
    ground = np.arange(10.0).reshape(2, 5)
    np.testing.assert_allclose(mean_of(ground, 2), [[3.0, 5.0, 6.5]])  # by hand: the last column twice


def test_water_comes_to_the_same_beach_at_about_the_same_time() -> None:
    fine = beach()
    full = simulate(fine, duration_s=2 * HOUR_S)
    coarse, run, told = sketched(fine, 4, 2 * HOUR_S)
    peak = told.peak.reshape(fine.ground_m.shape)
    wet, wet_told = full.peak_depth_m > 0.3, peak > 0.3
    # the shore lies in one column of cells; a coarse cell is four of 73 wet ones, so more than 4/73 apart would be more than a cell's width
    assert (wet & wet_told).sum() / (wet | wet_told).sum() > 1 - 4 / 69
    assert np.sqrt(((peak - full.peak_depth_m)[wet] ** 2).mean()) < 4 * 3.5 / 95  # what the ground rises in a coarse cell
    arrival = told.arrival_s.reshape(fine.ground_m.shape)
    both = np.isfinite(arrival) & np.isfinite(full.arrival_s)
    late_s = arrival[both] - full.arrival_s[both]
    assert (
        np.abs(np.median(late_s)) < 300.0
    )  # the time the lake's level takes over what the ground rises in a coarse cell is 265 s
    assert (told.end_s.reshape(-1)[np.isfinite(told.arrival_s)] >= told.arrival_s[np.isfinite(told.arrival_s)]).all()
    assert np.isinf(told.arrival_s[told.peak <= 0.1]).all()
    assert run.cell_steps < full.cell_steps / 30  # 16 times fewer cells and some 4 times fewer steps, less what is skipped
    assert coarse.cell_sides_m == (40.0, 40.0)


def test_water_that_comes_in_or_down_is_kept() -> None:
    ground = np.full((20, 24), 1.0)
    fine = FloodProblem(
        ground,
        10.0,
        0.03,
        rain=Rain(Series.of([0.0], [20.0])),
        inflows=(Inflow(np.array([[3, 3], [3, 4], [9, 9]]), Series.of([0.0], [0.5])),),
    )
    coarse, run, told = sketched(fine, 4, HOUR_S)
    full = simulate(fine, duration_s=HOUR_S)
    assert run.balance.came_m3 == pytest.approx(full.balance.came_m3, rel=1e-6)
    assert told.peak.sum() * 100.0 >= run.balance.stored_m3 * 0.99
    assert len(coarse.inflows[0].cells) == 3


def test_what_two_waters_would_hold_together_one_holds_and_no_river_comes_in_there() -> None:
    west, east = np.array([[0, 0], [0, 1]]), np.array([[0, 3]])
    fine = FloodProblem(
        np.zeros((8, 8)),
        10.0,
        0.03,
        stages=(Stage(west, Series.of([0.0], [1.0])), Stage(east, Series.of([0.0], [2.0]))),
        inflows=(Inflow(np.array([[1, 1]]), Series.of([0.0], [0.5])),),
    )
    coarse = coarse_problem(fine, 4)
    coarse.check()  # raises where a cell is held twice, or a river comes in where a water is held
    assert [s.level_m.at(0.0) for s in coarse.stages] == [1.0]
    assert coarse.inflows == ()
