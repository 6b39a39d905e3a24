"""An open edge lets a river out, whatever the grid's width, and does not let it out where it comes in."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from tocsin.science.shallow_water import FloodProblem, Inflow, Rain, Stage, simulate
from tocsin.vocabulary import Series

SLOPE, MANNING, FLOW_M2_PER_S, CELL_M = 0.001, 0.035, 1.72, 25.0
# Manning's equation for a wide channel: h = (q n / sqrt(S))^(3/5). Source: Chow 1959, eq. 6-4 with the depth as hydraulic radius.
NORMAL_DEPTH_M = (FLOW_M2_PER_S * MANNING / SLOPE**0.5) ** 0.6


def final_depth_m(columns: int) -> np.ndarray:  # type: ignore[type-arg]
    """The depth along a channel of two rows between high banks after 4 h, the river coming in at the western edge."""
    ground_m = np.tile(20.0 - SLOPE * CELL_M * np.arange(float(columns)), (6, 1))
    ground_m[:2] += 5.0
    ground_m[4:] += 5.0
    cells = np.array([[2, 0], [3, 0]])
    flow = Inflow(cells, Series.constant(FLOW_M2_PER_S * CELL_M * 2))
    problem = FloodProblem(ground_m=ground_m, cell_m=CELL_M, manning=MANNING, inflows=(flow,), edges="open")
    return simulate(problem, duration_s=4 * 3600.0).final_depth_m[2]


@pytest.mark.parametrize("columns", [60, 63, 64, 65, 96, 127, 128, 129])
def test_a_river_that_crosses_the_grid_flows_at_its_normal_depth_whatever_the_width(columns: int) -> None:
    depth = final_depth_m(columns)
    # far from the outfall, which draws the surface down over some ten depths divided by the slope
    np.testing.assert_allclose(depth[: columns // 4], NORMAL_DEPTH_M, rtol=0.03)


def test_widths_beside_a_multiple_of_the_tile_agree() -> None:
    narrow, even, wide = (final_depth_m(columns)[:40] for columns in (63, 64, 65))
    np.testing.assert_allclose(even, narrow, atol=0.05)
    np.testing.assert_allclose(even, wide, atol=0.05)


@pytest.mark.parametrize("edges", ["closed", "open"])
@pytest.mark.parametrize("level_m", [0.0, 0.5, 2.0])
def test_rain_on_a_held_lake_neither_makes_nor_loses_water(edges: Literal["closed", "open"], level_m: float) -> None:
    ground_m = np.tile(np.concatenate([np.zeros(6), 1.0 + 0.2 * np.arange(18.0)]), (16, 1))
    lake = np.array([(row, col) for row in range(16) for col in range(6)])
    problem = FloodProblem(
        ground_m=ground_m,
        cell_m=30.0,
        manning=0.05,
        rain=Rain(Series.constant(12.0)),
        stages=(Stage(lake, Series.constant(level_m)),),
        edges=edges,
    )
    balance = simulate(problem, duration_s=6 * 3600.0).balance
    assert balance.rain_m3 == pytest.approx(0.012 * 6 * 16 * 18 * 900.0, rel=1e-6)  # 12 mm/h for 6 h on the land alone
    assert abs(balance.error_share) < 1e-6
