"""The outline of the endangered ground: few corners, nobody left outside."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.platform.exchange import area_around, outline
from tocsin.vocabulary.errors import InputError


def shape_of(polygons: tuple) -> shapely.Geometry:  # type: ignore[type-arg]
    return shapely.union_all([shapely.Polygon(polygon.points) for polygon in polygons])


def star(corners: int, *, lon: float, lat: float, seed: int, size: float = 0.1) -> shapely.Polygon:
    """A ring of random radius: simple by construction, since the angles rise."""
    radius = size * np.random.default_rng(seed).uniform(0.3, 1.0, corners)
    angle = np.linspace(0.0, 2.0 * math.pi, corners, endpoint=False)
    return shapely.Polygon(np.column_stack([lon + radius * np.cos(angle), lat + radius * np.sin(angle)]))


def test_a_square_on_five_decimals_is_its_own_outline() -> None:
    square = shapely.box(-51.25, -30.05, -51.2, -30.0)
    (polygon,) = outline(square)
    assert shapely.Polygon(polygon.points).equals(square)


@settings(max_examples=40, deadline=None)
@given(
    corners=st.integers(3, 2000),
    lon=st.floats(-179.8, 179.8),
    lat=st.floats(-89.8, 89.8),
    size=st.sampled_from([1e-5, 1e-3, 0.1]),
    seed=st.integers(0, 2**31),
)
def test_an_outline_has_at_most_100_corners_and_covers_all_of_the_ground(
    corners: int, lon: float, lat: float, size: float, seed: int
) -> None:
    ground = star(corners, lon=lon, lat=lat, seed=seed, size=size)
    polygons = outline(ground)
    assert all(len(polygon.points) <= 100 for polygon in polygons)
    assert shape_of(polygons).covers(ground)


def test_an_outline_of_a_very_ragged_ring_is_no_larger_than_its_hull() -> None:
    ground = star(2000, lon=-51.2, lat=-30.0, seed=1)
    hull = shapely.convex_hull(ground)
    assert shape_of(outline(ground)).area < 1.01 * hull.area


def test_a_smooth_ring_of_many_corners_grows_by_less_than_one_percent() -> None:
    ground = shapely.Point(-51.2, -30.0).buffer(0.1, quad_segs=500)
    assert ground.area < shape_of(outline(ground)).area < 1.01 * ground.area


def test_a_hole_is_filled_because_cap_has_none() -> None:
    ring = shapely.box(0.0, 0.0, 1.0, 1.0).difference(shapely.box(0.4, 0.4, 0.6, 0.6))
    assert shape_of(outline(ring)).covers(shapely.Point(0.5, 0.5))


def test_many_puddles_become_few_polygons_that_cover_every_puddle() -> None:
    puddles = shapely.union_all(
        [
            shapely.box(lon, lat, lon + 0.001, lat + 0.001)
            for lon in np.arange(-51.3, -51.2, 0.005)
            for lat in np.arange(-30.1, -30.0, 0.005)
        ]
    )
    polygons = outline(puddles, polygons_max=3)
    assert 1 <= len(polygons) <= 3
    assert shape_of(polygons).covers(puddles)


def test_cells_that_touch_at_a_corner_stay_valid_polygons() -> None:
    ground = shapely.union_all([shapely.box(0, 0, 1, 1), shapely.box(1, 1, 2, 2), shapely.box(0, 2, 1, 3)])
    polygons = outline(ground)
    assert shape_of(polygons).covers(ground)


def test_an_outline_does_not_leave_the_earth() -> None:
    polygons = outline(star(500, lon=179.95, lat=89.95, seed=2, size=0.05))
    assert all(abs(lon) <= 180.0 and abs(lat) <= 90.0 for polygon in polygons for lon, lat in polygon.points)


@pytest.mark.parametrize(
    "ground",
    [
        shapely.Polygon(),
        shapely.Point(0.0, 0.0),
        shapely.LineString([(0, 0), (1, 1)]),
        shapely.box(179.0, 0.0, 181.0, 1.0),
        shapely.box(500_000.0, 6_600_000.0, 500_100.0, 6_600_100.0),
    ],
)
def test_ground_without_area_or_not_in_degrees_is_refused(ground: shapely.Geometry) -> None:
    with pytest.raises(InputError, match="outline"):
        outline(ground)


def test_an_area_around_ground_carries_its_name() -> None:
    area = area_around("Ilha da Pintada", shapely.box(-51.27, -30.03, -51.25, -30.01))
    assert area.description == "Ilha da Pintada"
    assert len(area.polygons) == 1
