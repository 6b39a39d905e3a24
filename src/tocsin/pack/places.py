"""Where a forcing or an effect is: a water, a line, a zone, an asset or a point, as cells of the twin's grid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.place import Assets, Grid, Line
from tocsin.vocabulary.world import World

if TYPE_CHECKING:
    from pyproj import Transformer


class GaugeAt(Protocol):
    """A sensor's site as a pack meets it: what it measures, in which cell, and the water that it is said to stand in."""

    @property
    def site(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def quantity(self) -> str: ...
    @property
    def place(self) -> int: ...
    @property
    def water(self) -> str: ...


CORE_SORTS = ("water", "line", "zone", "point")


def places_of(world: World, sorts: tuple[str, ...], name: str) -> NDArray[np.int64]:
    """The cells of a place by its name, of the first of the sorts that knows it; never empty.

    Sorts are "water", "line", "zone", "point" (written lon,lat) and kinds of assets, whose things are named by id or by name. Raises
    InputError where none of them knows the name, with the names that there are, or where the place lies outside the twin.
    """
    for sort in sorts:
        found = _found(world, sort, name)
        if found is not None:
            places = np.unique(found[found >= 0])
            if not places.size:
                raise InputError(f"{name}: lies outside the twin, {_extent(world.grid)}")
            return places
    raise InputError(f"no {_joined(sorts)} {name!r}; there are: {there_are(world, sorts)}")


def names_of(world: World, sort: str) -> tuple[str, ...]:
    """All places of a sort that has names: "water", "line", "zone", or a kind of asset."""
    match sort:
        case "water":
            return tuple(world.waters())
        case "line":
            return tuple(world.lines())
        case "zone":
            return tuple(world.zones.name)
        case kind:
            return tuple(world.assets(kind).id)


def there_are(world: World, sorts: tuple[str, ...], most: int = 12) -> str:
    """The names that places of these sorts may have here, in words."""
    names: list[str] = []
    for sort in sorts:
        names += [f"a point as lon,lat within {_extent(world.grid)}"] if sort == "point" else names_of(world, sort)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) + more) or "none"


def point_at(world: World, place: int) -> str:
    """The middle of a cell as a point's name: "lon,lat", to a tenth of a metre."""
    x_m, y_m = world.grid.centre(place)
    lon, lat = _to_lonlat(world.grid.crs).transform(float(x_m), float(y_m))
    return f"{lon:.6f},{lat:.6f}"


def place_at(world: World, lon: float | None, lat: float | None) -> int:
    """The cell of a point; -1 where it lies outside, or nobody tells it."""
    if lon is None or lat is None:
        return -1
    point = _found(world, "point", f"{lon:.6f},{lat:.6f}")
    return -1 if point is None or not point.size else int(point[0])


def stands_in(site: str, gauges: Sequence[GaugeAt], water: str, waters: int) -> bool:
    """True where a gauge is one of a water's: by the water that it is said to stand in, its name, its site, or as there is one water only."""
    gauge = next((g for g in gauges if g.site == site), None)
    said, name = ("", "") if gauge is None else (gauge.water, gauge.name)
    return water in (said, name, site) or (waters == 1 and not said)


def told_place(
    site: str, gauge: GaugeAt | None, names: Sequence[str], sorts: tuple[str, ...], world: World | None, *, reach_m: float = 0.0
) -> str:
    """Which of some places of these sorts a sensor tells of: the one of its own name, or in which it stands, or the nearest within `reach_m`.

    Empty where it tells of none. Without a world, or a place of its own in it, names alone say it.
    """
    said = (site,) if gauge is None else (gauge.site, gauge.name, gauge.water)
    if named := next((name for name in names if name in said), ""):
        return named
    if world is None or gauge is None or gauge.place < 0:
        return ""
    at_x, at_y = world.grid.centre(gauge.place)
    best, nearest_m = "", reach_m
    for name in names:
        places = places_of(world, sorts, name)
        if gauge.place in places:
            return name
        x_m, y_m = world.grid.centre(places)
        away_m = float(np.hypot(x_m - at_x, y_m - at_y).min())
        if away_m <= nearest_m:
            best, nearest_m = name, away_m
    return best


def point_of(name: str) -> tuple[float, float] | None:
    """Longitude and latitude of "lon,lat"; None where it is no point."""
    lon, comma, lat = name.partition(",")
    try:
        told = float(lon), float(lat)
    except ValueError:
        return None
    return told if comma and -180.0 <= told[0] <= 180.0 and -90.0 <= told[1] <= 90.0 else None


def along_line(grid: Grid, line: Line) -> NDArray[np.int64]:
    """The cells that a line runs through, each once, those outside the grid left out."""
    length_m = float(np.hypot(np.diff(line.x_m), np.diff(line.y_m)).sum())
    k = np.arange(line.x_m.size)
    at = np.linspace(0.0, line.x_m.size - 1.0, 20 * line.x_m.size * max(2, int(length_m / grid.cell_m)))
    place = np.unique(grid.place(np.interp(at, k, line.x_m), np.interp(at, k, line.y_m)))
    return place[place >= 0]


def _found(world: World, sort: str, name: str) -> NDArray[np.int64] | None:
    match sort:
        case "water":
            return world.water(name).place if name in world.waters() else None
        case "line":
            return along_line(world.grid, world.line(name)) if name in world.lines() else None
        case "zone":
            return world.zones.places(name) if name in world.zones.name else None
        case "point":
            lonlat = point_of(name)
            if lonlat is None:
                return None
            x_m, y_m = _to_grid(world.grid.crs).transform(*lonlat)
            return np.atleast_1d(world.grid.place(x_m, y_m))
        case kind:
            assets = world.assets(kind)
            row = _row(assets, name)
            return None if row is None else assets.place[row : row + 1]


def _row(assets: Assets, name: str) -> int | None:
    for names in (assets.id, assets.name):
        if name in names:
            return names.index(name)
    return None


def _joined(sorts: tuple[str, ...]) -> str:
    return " or ".join(sort if sort in CORE_SORTS else f"one of {sort}" for sort in sorts)


def _extent(grid: Grid) -> str:
    west, south, east, north = grid.bounds_m
    lon, lat = _to_lonlat(grid.crs).transform([west, east, west, east], [south, south, north, north])
    return f"{min(lon):.4f}..{max(lon):.4f}, {min(lat):.4f}..{max(lat):.4f}"


@lru_cache(maxsize=16)
def _to_grid(crs: str) -> Transformer:
    from pyproj import Transformer  # a node at the edge has rules and no places

    return Transformer.from_crs("EPSG:4326", crs, always_xy=True)


@lru_cache(maxsize=16)
def _to_lonlat(crs: str) -> Transformer:
    from pyproj import Transformer

    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
