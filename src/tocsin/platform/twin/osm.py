"""OpenStreetMap in: streets, houses, hospitals and the like, read from a PBF extract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from tocsin.platform.twin.vectors import Table
from tocsin.vocabulary.errors import InputError, NotFound
from tocsin.vocabulary.place import Grid

# What is looked for in a PBF that is given for a kind of assets. The tags are those of the OpenStreetMap wiki, Map features.
ASSET_TAGS: dict[str, tuple[tuple[str, str], ...]] = {
    "hospitals": (("amenity", "hospital"), ("healthcare", "hospital")),
    "clinics": (("amenity", "clinic"), ("amenity", "doctors"), ("healthcare", "clinic")),
    "nursing_homes": (("amenity", "nursing_home"), ("social_facility", "nursing_home")),
    "schools": (("amenity", "school"), ("amenity", "kindergarten"), ("amenity", "college"), ("amenity", "university")),
    "shelters": (("social_facility", "shelter"), ("emergency", "assembly_point")),
    "fire_stations": (("amenity", "fire_station"),),
    "police": (("amenity", "police"),),
    "pharmacies": (("amenity", "pharmacy"),),
    "substations": (("power", "substation"),),
    "pumping_stations": (("man_made", "pumping_station"),),
    "water_works": (("man_made", "water_works"),),
    "tanks": (("man_made", "storage_tank"), ("man_made", "gasometer")),
    "masts": (("man_made", "communications_tower"), ("tower:type", "communication")),
}
LIFELINES = ("substations", "pumping_stations", "water_works", "masts", "hospitals")
CAPACITY_TAGS = ("capacity:persons", "beds", "capacity")

# Values of `building` by what the house is for, after the OpenStreetMap wiki, Key:building. What is not here (mostly building=yes, which
# says nothing) is `unknown`.
BUILDING_SORTS: dict[str, str] = {
    tag: sort
    for sort, tags in {
        "residential": "apartments barracks bungalow cabin detached dormitory farm ger house houseboat residential semidetached_house "
        "static_caravan stilt_house terrace tree_house trullo",
        "commercial": "commercial hotel kiosk office retail supermarket",
        "industrial": "industrial manufacture warehouse",
        "public": "bakehouse bridge cathedral chapel church civic college fire_station government gatehouse hospital kindergarten "
        "monastery mosque museum pavilion presbytery public religious school shrine sports_hall stadium synagogue temple toilets "
        "train_station transportation university",
        "agricultural": "barn conservatory cowshed farm_auxiliary greenhouse slurry_tank stable sty",
        "ancillary": "carport garage garages hangar parking roof service shed transformer_tower water_tower storage_tank silo",
    }.items()
    for tag in tags.split()
}


class Way(msgspec.Struct, frozen=True):
    """One way as it was mapped: its nodes' numbers and places in the twin's CRS, and its tags."""

    id: int
    nodes: tuple[int, ...]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    tags: dict[str, str]


def is_osm(path: Path) -> bool:
    """True for a file that osmium reads."""
    return path.name.lower().endswith((".pbf", ".osm", ".osm.bz2", ".osm.gz"))


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    if not path.is_file():
        raise NotFound(f"{what}: no file {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{what} {path}: is empty: zero bytes; fetch it again")
    try:
        yield
    except (InputError, NotFound):
        raise
    except (RuntimeError, ValueError, OSError) as fault:
        raise InputError(f"{what} {path}: is broken or no OpenStreetMap file: {fault}; fetch it again") from fault


def read_ways(path: Path, grid: Grid, classes: frozenset[str]) -> list[Way]:
    """The ways with one of the `highway` classes whose box meets the grid's, in the order of the file."""
    import osmium

    refs: list[tuple[int, tuple[int, ...], dict[str, str]]] = []
    lonlat: list[NDArray[np.float64]] = []
    with _reading(path, "roads"):
        file = osmium.FileProcessor(str(path), osmium.osm.NODE | osmium.osm.WAY).with_locations()
        ways: Any = file.with_filter(osmium.filter.EntityFilter(osmium.osm.WAY)).with_filter(osmium.filter.KeyFilter("highway"))
        for way in ways:
            if way.tags["highway"] not in classes:
                continue
            nodes = [(n.ref, n.lon, n.lat) for n in way.nodes if n.location.valid()]
            if len(nodes) >= 2:
                refs.append((way.id, tuple(n[0] for n in nodes), {tag.k: tag.v for tag in way.tags}))
                lonlat.append(np.array([n[1:] for n in nodes]))
    if not refs:
        return []
    points = np.concatenate(lonlat)
    x_m, y_m = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(points[:, 0], points[:, 1])
    cuts = np.cumsum([len(part) for part in lonlat])[:-1]
    west, south, east, north = grid.bounds_m
    return [
        Way(number, nodes, x, y, tags)
        for (number, nodes, tags), x, y in zip(refs, np.split(x_m, cuts), np.split(y_m, cuts), strict=True)
        if x.max() >= west and x.min() <= east and y.max() >= south and y.min() <= north
    ]


def read_buildings(path: Path, grid: Grid) -> tuple[Table, str]:
    """Footprints with their sort and levels, ways and multipolygons, in the twin's CRS; and a remark for the manifest."""
    shapes, tags, broken = _areas(path, ("building",), "buildings")
    keep = [k for k, t in enumerate(tags) if t.get("building", "no") != "no"]
    if not keep:
        raise InputError(f"buildings {path}: holds no building; wanted areas with the tag `building`")
    levels = [_number(tags[k].get("building:levels", "")) for k in keep]
    columns: dict[str, list[Any]] = {
        "id": [tags[k]["@id"] for k in keep],
        "name": [tags[k].get("name", "") for k in keep],
        "sort": [BUILDING_SORTS.get(tags[k]["building"], "unknown") for k in keep],
        "levels": [1.0 if value is None else value for value in levels],
    }
    remark = (
        f"buildings: of {len(keep):,} in the file {sum(value is None for value in levels):,} do not tell their levels and count as one "
        f"level, {columns['sort'].count('unknown'):,} do not tell what they are for, {broken:,} more are cut off by the extract or broken and were left out"
    )
    return Table.of(path, _placed([shapes[k] for k in keep], grid), columns), remark


def kinds_in(path: Path, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Which of these kinds of assets a file has anywhere, by its tags."""
    import osmium

    wanted = [(kind, key, value) for kind in kinds for key, value in ASSET_TAGS[kind]]
    found: set[str] = set()
    with _reading(path, "lifelines"):
        tagged: Any = osmium.FileProcessor(str(path)).with_filter(osmium.filter.KeyFilter(*{key for _, key, _ in wanted}))
        for one in tagged:
            found.update(kind for kind, key, value in wanted if one.tags.get(key) == value)
    return tuple(kind for kind in kinds if kind in found)


def read_assets(path: Path, grid: Grid, kind: str) -> Table:
    """Places of a kind, nodes and areas alike, in the twin's CRS. Raises InputError for a kind that OpenStreetMap has no tag for."""
    import osmium

    if kind not in ASSET_TAGS:
        raise InputError(
            f"assets {kind} {path}: cannot be looked for in OpenStreetMap; there are: {', '.join(ASSET_TAGS)}; or give a file of them"
        )
    wanted = ASSET_TAGS[kind]
    keys = tuple(sorted({key for key, _ in wanted}))
    shapes, tags, _ = _areas(path, keys, f"assets {kind}")
    with _reading(path, f"assets {kind}"):
        nodes: Any = osmium.FileProcessor(str(path), osmium.osm.NODE).with_filter(osmium.filter.KeyFilter(*keys))
        for node in nodes:
            shapes.append(shapely.Point(node.lon, node.lat))
            tags.append({tag.k: tag.v for tag in node.tags} | {"@id": f"node-{node.id}"})
    keep = [k for k, t in enumerate(tags) if any(t.get(key) == value for key, value in wanted)]
    if not keep:
        told = ", ".join(f"{key}={value}" for key, value in wanted)
        raise InputError(f"assets {kind} {path}: holds none; looked for {told}")
    amounts = [next((n for key in CAPACITY_TAGS if (n := _number(tags[k].get(key, ""))) is not None), None) for k in keep]
    columns: dict[str, list[Any]] = {
        "id": [tags[k]["@id"] for k in keep],
        "name": [tags[k].get("name", "") for k in keep],
        "sort": [next(value for key, value in wanted if tags[k].get(key) == value) for k in keep],
        "amount": amounts,
    }
    return Table.of(path, _placed([shapely.centroid(shapes[k]) for k in keep], grid), columns)


def _areas(path: Path, keys: tuple[str, ...], what: str) -> tuple[list[Any], list[dict[str, str]], int]:
    """Closed ways and multipolygons with one of the tags, in degrees; their tags and `@id`; how many outlines are not whole."""
    import osmium

    make = osmium.geom.WKBFactory()
    shapes: list[Any] = []
    tags: list[dict[str, str]] = []
    broken = 0
    with _reading(path, what):
        file = osmium.FileProcessor(str(path)).with_areas(osmium.filter.KeyFilter(*keys))
        found: Any = file.with_filter(osmium.filter.KeyFilter(*keys))
        for one in found:
            if not one.is_area():  # each outline comes by as it was mapped, and once more as an area if it is whole
                closes = one.is_closed() if one.is_way() else one.is_relation() and one.tags.get("type") == "multipolygon"
                broken += int(closes)
                continue
            try:
                shape = shapely.from_wkb(bytes.fromhex(make.create_multipolygon(one)))
            except RuntimeError:  # osmium: no ring of it closes
                continue
            broken -= 1
            shapes.append(shape)
            kind = "way" if one.from_way() else "relation"
            tags.append({tag.k: tag.v for tag in one.tags} | {"@id": f"{kind}-{one.orig_id()}"})
    return shapes, tags, broken


def _placed(shapes: list[Any], grid: Grid) -> NDArray[Any]:
    to_m = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True)
    placed = shapely.transform(np.array(shapes, object), lambda p: np.column_stack(to_m.transform(p[:, 0], p[:, 1])))
    placed[~np.isfinite(shapely.bounds(placed)).all(axis=1)] = shapely.Point()
    broken = ~shapely.is_valid(placed)
    placed[broken] = shapely.make_valid(placed[broken])
    return np.asarray(placed, object)


def _number(text: str) -> float | None:
    """A tag's number, None where it tells none or nonsense: a wiki has all sorts."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 < value <= 100_000.0 else None
