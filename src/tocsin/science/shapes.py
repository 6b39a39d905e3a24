"""Whether two shapes on the globe touch, and how far a place is from one; rings of longitude and latitude, degrees.

Sides of a ring are straight on the map of longitude and latitude, as CAP and GeoJSON (RFC 7946, 3.1.1) have them. Which point of a side is the
nearest is found on a plane, its distance along the great circle: off by the square of the plane's error of angle, which is 1 in 10,000 at 100 km
and 60 degrees of latitude.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.science.quality import distance_m

Values = NDArray[np.float64]
Ring = Values  # (point, 2): longitude, latitude; the last point equals the first


def beside(ring: Ring, lon: float) -> Ring:
    """The same ring, turned by whole circles so that its middle is within 180 degrees of `lon`."""
    middle = (ring[:, 0].min() + ring[:, 0].max()) / 2.0
    turned: Ring = ring - np.array([360.0 * np.round((middle - lon) / 360.0), 0.0])
    return turned


def is_inside(lon: Values, lat: Values, ring: Ring) -> NDArray[np.bool_]:
    """Which points are inside a ring, by how often a line to the east crosses it; on a side is not told either way.

    >>> square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0], [0.0, 0.0]])
    >>> is_inside(np.array([1.0, 3.0]), np.array([1.0, 1.0]), square).tolist()
    [True, False]
    """
    x, y = lon[:, None], lat[:, None]
    (ax, ay), (bx, by) = ring[:-1].T, ring[1:].T
    spans = (ay > y) != (by > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = ax + (y - ay) * (bx - ax) / (by - ay)
    return np.asarray((spans & (x < cross)).sum(axis=1) % 2 == 1)


def do_touch(first: Ring, second: Ring) -> bool:
    """True if two rings have a point in common: one holds a point of the other, or their sides cross or meet."""
    if is_inside(first[:1, 0], first[:1, 1], second)[0] or is_inside(second[:1, 0], second[:1, 1], first)[0]:
        return True
    a, b = first[:-1, None], first[1:, None]
    c, d = second[None, :-1], second[None, 1:]
    side_c, side_d, side_a, side_b = _side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)
    crosses = (side_c * side_d < 0) & (side_a * side_b < 0)
    meets = (
        ((side_c == 0) & _between(a, b, c))
        | ((side_d == 0) & _between(a, b, d))
        | ((side_a == 0) & _between(c, d, a))
        | ((side_b == 0) & _between(c, d, b))
    )
    return bool((crosses | meets).any())


def ring_distance_m(lon: float, lat: float, ring: Ring) -> float:
    """From a place to the nearest point of a ring and what is inside it: 0 inside."""
    if is_inside(np.array([lon]), np.array([lat]), ring)[0]:
        return 0.0
    apart = ring - np.array([lon, lat])
    flat = np.stack([apart[:, 0] * np.cos(np.radians((ring[:, 1] + lat) / 2.0)), apart[:, 1]], axis=1)
    begin, along = flat[:-1], flat[1:] - flat[:-1]
    length = (along * along).sum(axis=1)
    share = np.clip(-(begin * along).sum(axis=1) / np.where(length > 0.0, length, 1.0), 0.0, 1.0)
    nearest = ring[:-1] + share[:, None] * (ring[1:] - ring[:-1])
    return float(distance_m(np.array(lon), np.array(lat), nearest[:, 0], nearest[:, 1]).min())


def _side(a: Values, b: Values, of: Values) -> Values:
    """On which side of the line from a to b a point is."""
    return np.asarray((b[..., 0] - a[..., 0]) * (of[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (of[..., 0] - a[..., 0]))


def _between(a: Values, b: Values, of: Values) -> NDArray[np.bool_]:
    """Whether a point that is on the line is also between a and b."""
    inside = (of >= np.minimum(a, b)) & (of <= np.maximum(a, b))
    return np.asarray(inside.all(axis=-1))
