"""Shapes on the globe: shapely says what touches, pyproj how far it is."""

from __future__ import annotations

import itertools

import numpy as np
import pyproj
import pytest
import shapely

from tocsin.science.shapes import beside, do_touch, is_inside, ring_distance_m

GLOBE = pyproj.Geod(a=6_371_000.0, b=6_371_000.0)


def star(rng: np.random.Generator, *, lon: float, lat: float, size: float) -> np.ndarray:
    """A ring that does not cross itself, with dents."""
    turn = np.sort(rng.uniform(0.0, 2.0 * np.pi, 9))
    far = rng.uniform(0.3, 1.0, 9) * size
    ring = np.stack([lon + far * np.cos(turn), lat + far * np.sin(turn)], axis=1)
    return np.concatenate([ring, ring[:1]])


def test_a_point_is_inside_where_shapely_says_so() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        ring = star(rng, lon=10.0, lat=50.0, size=2.0)
        lon, lat = rng.uniform(8.0, 12.0, 200), rng.uniform(48.0, 52.0, 200)
        wanted = shapely.contains_xy(shapely.Polygon(ring), lon, lat)
        assert is_inside(lon, lat, ring).tolist() == wanted.tolist()


def test_rings_touch_where_shapely_says_so() -> None:
    rng = np.random.default_rng(2)
    told = []
    for _ in range(500):
        first = star(rng, lon=0.0, lat=0.0, size=1.0)
        second = star(rng, lon=rng.uniform(-2, 2), lat=rng.uniform(-2, 2), size=rng.uniform(0.1, 1.5))
        told.append(do_touch(first, second))
        assert told[-1] == shapely.Polygon(first).intersects(shapely.Polygon(second))
        assert do_touch(second, first) == told[-1]
    assert 100 < sum(told) < 400


@pytest.mark.parametrize(
    ("second", "touch"),
    [
        ([[1, 0], [2, 0], [2, 1], [1, 1], [1, 0]], True),  # one side in common
        ([[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]], True),  # a corner in common
        ([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8], [0.2, 0.2]], True),  # inside
        ([[-1, -1], [3, -1], [3, 3], [-1, 3], [-1, -1]], True),  # around
        ([[-1, 0.4], [2, 0.4], [2, 0.6], [-1, 0.6], [-1, 0.4]], True),  # across, no corner inside
        ([[1.001, 0], [2, 0], [2, 1], [1.001, 1], [1.001, 0]], False),
    ],
)
def test_a_square_touches(second: list[list[float]], touch: bool) -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    assert do_touch(square, np.array(second, float)) is touch


@pytest.mark.parametrize("lat", [0.0, 35.0, 59.0])
def test_the_distance_to_a_ring_is_right_to_1_in_1000_within_100_km(lat: float) -> None:
    """The module says so; the truth is the shortest of many geodesics on the sphere to points along the sides."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        ring = star(rng, lon=1.0, lat=lat + 0.1, size=0.4)
        share = np.linspace(0.0, 1.0, 2001)[:, None]
        points = np.concatenate([a + share * (b - a) for a, b in itertools.pairwise(ring)])
        _, _, apart_m = GLOBE.inv(np.full(len(points), 0.25), np.full(len(points), lat), points[:, 0], points[:, 1])
        found = ring_distance_m(0.25, lat, ring)
        if found > 0.0 and apart_m.min() < 100_000.0:
            assert found == pytest.approx(apart_m.min(), rel=1e-3)


def test_a_place_inside_is_at_distance_zero() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    assert ring_distance_m(0.5, 0.5, square) == 0.0


def test_a_ring_beyond_the_180th_meridian_is_turned_to_the_place() -> None:
    ring = np.array([[-179.5, 0.0], [-178.5, 0.0], [-178.5, 1.0], [-179.5, 1.0], [-179.5, 0.0]])
    assert beside(ring, 179.9)[:, 0].min() == 180.5
    assert beside(ring, -179.0)[:, 0].min() == -179.5
