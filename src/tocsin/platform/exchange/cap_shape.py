"""Draw the line around the endangered ground: few corners, and never a metre of danger left outside.

Receivers choke on long outlines, so an issuer keeps to 100 vertices (advice of the WMO to authors of alerts, kept in
wmo-raf/cap-composer, pull request 65 and issue 121, where a real alert had 6208). Cutting corners off would leave
people unwarned, so the line is first pushed outward and then simplified by less than it was pushed, and what comes out
is tested to cover what went in.
"""

from __future__ import annotations

import math
from itertools import chain

import shapely

from tocsin.platform.exchange.cap import Area, NamedValue, Polygon
from tocsin.vocabulary.errors import InputError

VERTICES_MAX = 100
POLYGONS_MAX = 20
# One degree of the meridian in metres, the mean of WGS 84 (20 003.93 km from pole to pole over 180 degrees).
METRES_PER_DEGREE = 111_133.0
_DECIMALS = 5  # of a degree: 1.1 m
_PUSH_MIN_M = 2.0  # more than the rounding to five decimals can move a corner (0.8 m)
_PUSH_GROWTH = 1.5
_WORLD = shapely.box(-180.0, -90.0, 180.0, 90.0)


def outline(
    ground: shapely.Geometry, *, vertices_max: int = VERTICES_MAX, polygons_max: int = POLYGONS_MAX
) -> tuple[Polygon, ...]:
    """The ground, (longitude, latitude) in degrees, as CAP polygons that cover every point of it.

    Corners are rounded to 1 m. Holes are filled, since CAP has none. Where there are too many pieces they grow until they
    meet. Raises InputError where the ground is empty, is not on the Earth, or has no area.
    Over the ground means in the plane of longitude and latitude, which is how receivers draw it.
    """
    if vertices_max < 5 or polygons_max < 1:
        raise InputError(f"cap outline: {vertices_max} vertices in {polygons_max} polygons; wanted 5 or more in 1 or more")
    spots = pieces = _filled(ground)
    push_m = _PUSH_MIN_M
    while len(pieces) > polygons_max:
        pieces = _filled(shapely.union_all([_pushed(spot, push_m) for spot in spots]))
        push_m *= _PUSH_GROWTH
    rings = [_smallest_ring(piece, vertices_max) for piece in pieces]
    return tuple(Polygon(tuple((float(lon), float(lat)) for lon, lat in ring.exterior.coords)) for ring in rings)


def area_around(description: str, ground: shapely.Geometry, *, geocodes: tuple[NamedValue, ...] = ()) -> Area:
    """An area with the outline of the ground."""
    return Area(description=description, polygons=outline(ground), geocodes=geocodes)


def _filled(ground: shapely.Geometry) -> list[shapely.Polygon]:
    """The pieces without their holes, merged where they overlap, west to east."""
    if ground.is_empty or not _WORLD.covers(ground):
        raise InputError(f"cap outline: ground within {ground.bounds}; wanted some, within -180..180 and -90..90 degrees")
    parts = [part for part in shapely.get_parts(shapely.make_valid(ground)) if part.geom_type in ("Polygon", "MultiPolygon")]
    polygons = chain.from_iterable(shapely.get_parts(part) for part in parts)
    whole = shapely.union_all([shapely.Polygon(polygon.exterior) for polygon in polygons])
    # Pieces that touch in one corner only come out as two; so does a ring that touches itself.
    pieces = [piece for piece in shapely.get_parts(whole) if piece.area > 0.0]
    if not pieces:
        raise InputError(f"cap outline: a {ground.geom_type} without area; wanted a surface, grow points and lines first")
    return sorted((shapely.Polygon(piece.exterior) for piece in pieces), key=lambda piece: piece.bounds)


def _smallest_ring(piece: shapely.Polygon, vertices_max: int) -> shapely.Polygon:
    """A line along the piece or along its hull: where the shore is very ragged, the hull is the tighter one."""
    rings = (_ring(piece, vertices_max), _ring(piece.convex_hull, vertices_max))
    return min(rings, key=lambda ring: ring.area)


def _ring(piece: shapely.Polygon, vertices_max: int) -> shapely.Polygon:
    """The piece itself where rounding leaves it covered, else the first pushed and simplified line that covers it."""
    candidate = _rounded(piece)
    if _fits(candidate, piece, vertices_max):
        return candidate
    push_m = _PUSH_MIN_M
    width_m = METRES_PER_DEGREE * max(piece.bounds[2] - piece.bounds[0], piece.bounds[3] - piece.bounds[1])
    while push_m < width_m:
        candidate = _rounded(_pushed(piece, push_m, simplify=True))
        if _fits(candidate, piece, vertices_max):
            return candidate
        push_m *= _PUSH_GROWTH
    west, south, east, north = piece.bounds  # a splinter: its box, rounded outward
    step = 10.0**-_DECIMALS
    return _rounded(_WORLD.intersection(shapely.box(west - step, south - step, east + step, north + step)))


def _fits(candidate: shapely.Geometry, piece: shapely.Polygon, vertices_max: int) -> bool:
    return bool(
        candidate.geom_type == "Polygon"
        and candidate.is_valid
        and not candidate.interiors
        and len(candidate.exterior.coords) <= vertices_max
        and candidate.covers(piece)
    )


def _pushed(piece: shapely.Polygon, push_m: float, *, simplify: bool = False) -> shapely.Geometry:
    """The piece grown by a distance in metres, measured on a local plane, without holes, still on the Earth."""
    # The plane is stretched for the latitude that is nearest to the pole, where a degree of longitude is shortest:
    # there the push is exact, elsewhere in the piece it is larger. 0.01 keeps the plane finite at the pole itself.
    latitude = min(89.0, max(abs(piece.bounds[1]), abs(piece.bounds[3])))
    east_m, north_m = METRES_PER_DEGREE * max(0.01, math.cos(math.radians(latitude))), METRES_PER_DEGREE
    # Simplified twice, by less in sum than the push, so that no corner is cut back into the ground.
    plane = shapely.transform(piece, lambda points: points * (east_m, north_m)).simplify(0.1 * push_m)
    grown = plane.buffer(push_m, join_style="mitre", mitre_limit=2.0)
    grown = shapely.Polygon(grown.exterior) if grown.geom_type == "Polygon" else grown
    if simplify:
        grown = grown.simplify(0.8 * push_m)
    return shapely.intersection(_WORLD, shapely.transform(grown, lambda points: points / (east_m, north_m)))


def _rounded(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, lambda points: points.round(_DECIMALS))
