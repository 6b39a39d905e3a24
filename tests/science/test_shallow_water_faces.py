"""Walls have no leaks, wherever a line runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from tocsin.science import faces
from tocsin.science.shallow_water import FloodProblem, Stage, Wall, simulate
from tocsin.vocabulary.series import Series


def joined(shape: tuple[int, int], wall: faces.Faces) -> np.ndarray:
    """Label cells that can reach each other; a grid twice as fine has a place for each face."""
    fine = np.ones((2 * shape[0] - 1, 2 * shape[1] - 1), bool)
    fine[1::2, 1::2] = False  # corners
    for row, col in wall.west_of:
        fine[2 * row, 2 * col - 1] = False
    for row, col in wall.north_of:
        fine[2 * row - 1, 2 * col] = False
    return np.asarray(label(fine)[0][::2, ::2])


@given(
    points=st.lists(st.tuples(st.floats(1, 11), st.floats(1, 16)), min_size=0, max_size=5),
    top=st.floats(0.6, 16.4),
    bottom=st.floats(0.6, 16.4),
)
def test_a_line_from_edge_to_edge_cuts_the_grid_in_two(points: list[tuple[float, float]], top: float, bottom: float) -> None:
    shape = (12, 17)
    groups = joined(shape, faces.along([(0.0, top), *points, (12.0, bottom)], shape))
    assert groups[0, 0] != groups[0, -1]
    assert groups[-1, 0] != groups[-1, -1]


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rim_of_a_zone_cuts_it_off(seed: int) -> None:
    inside = np.random.default_rng(seed).random((9, 11)) < 0.4
    groups = joined(inside.shape, faces.around(inside))
    assert not set(groups[inside].tolist()) & set(groups[~inside].tolist())


def test_a_ring_wall_keeps_a_village_dry() -> None:
    ring = faces.along([(10, 10), (6, 16), (10, 22), (15, 16), (10, 10)], (24, 32))
    lake = Stage(np.array([[row, 0] for row in range(24)]), Series.constant(1.0))
    wall = Wall(Series.constant(2.0), *ring)
    run = simulate(FloodProblem(np.zeros((24, 32)), 10.0, stages=(lake,), walls=(wall,)), duration_s=1800.0)
    assert run.peak_depth_m[10, 16] == 0.0
    assert run.peak_depth_m[20, 28] > 0.5


def test_a_line_along_the_edge_of_the_grid_names_no_face() -> None:
    assert not len(np.concatenate(faces.along([(0, 0), (5, 0), (5, 5)], (5, 5))))


@pytest.mark.parametrize("points", [[(0, 0)], [(0, 0), (np.nan, 1)], [(0, 0), (1e9, 1)], [0, 1]])
def test_nonsense_lines_are_refused(points: list[object]) -> None:
    with pytest.raises(ValueError, match="faces along a line"):
        faces.along(points, (5, 5))


def test_zones_must_be_boolean_rasters() -> None:
    with pytest.raises(ValueError, match="wanted bool"):
        faces.around(np.zeros((3, 3)))  # type: ignore[arg-type]
