"""A made-up district, written as the files that a real city would bring: terrain, roads, buildings, people, gauges.

Nothing here is a real place: it lies in the open sea south of Ghana, so that nobody can take it for one. It is made from a seed, and
built into a twin by the same builder as a real city, from the same kinds of files.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

CRS = "EPSG:32631"
WEST_M, SOUTH_M = 500_000.0, 2_000.0  # on the zone's central meridian, 3 degrees east, just north of the equator: open sea
WIDTH_M, HEIGHT_M, CELL_M = 3_200.0, 2_400.0, 25.0
RIVER_DEEP_M = 1.5
LEVEE_FROM_RIVER_M, LEVEE_HEIGHT_M = 75.0, 1.6
POLDER_FROM_M, POLDER_TO_M, POLDER_SUNK_M = 500.0, 2_700.0, 0.8
FLOOD_STAGES_M = {  # yellow, orange, red above each gauge's zero
    "level-weir": (1.70, 1.85, 1.94),
    "level-quay": (1.70, 1.85, 1.95),
    "level-mill": (1.75, 1.90, 2.05),
    "level-end": (1.10, 1.25, 1.40),
}
GAP_FROM_M, GAP_TO_M = 1_450.0, 1_650.0  # where the levee is open to the ferry quay, and a barrier can be raised
NAME = "Bellmere (made up)"
ENTRY = "river from the west"

# Which needs which, as the district's utilities would say: the clinic hangs on both substations, all else on one.
DEPENDENCIES = (
    ("power for pumping stations", "substations:quay", "pumping_stations:mill", ""),
    ("power for water works", "substations:quay", "water_works:south", ""),
    ("power for masts", "substations:quay", "masts:arena", ""),
    ("power for masts", "substations:hill", "masts:hill", ""),
    ("power for hospitals", "substations:quay", "hospitals:hospital-1", ""),
    ("power for hospitals", "substations:quay", "hospitals:hospital-2", ""),
    ("power for hospitals", "substations:hill", "hospitals:hospital-2", ""),
    ("pumps keep underpasses dry", "pumping_stations:mill", "underpasses:mill", ""),
    ("underpasses lead to hospitals", "underpasses:mill", "hospitals:hospital-2", "0.6"),
    *(("people_without_power", "substations:quay", f"zones:{zone}", "") for zone in ("Riverside", "Ferry Quay", "Lower Mill")),
    *(("people_without_power", "substations:hill", f"zones:{zone}", "") for zone in ("North Bank", "Stream Side")),
)


def river_y_m(x_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """The river's middle, m north of the southern edge."""
    return np.asarray(1_150.0 + 170.0 * np.sin(2 * np.pi * x_m / 2_600.0))


def valley_floor_m(x_m: Any) -> Any:
    """The plain's height beside the river, m: it falls by a metre in a kilometre."""
    return 20.0 - 3.2 * np.asarray(x_m, np.float64) / WIDTH_M


def terrain_m(seed: int) -> NDArray[np.float32]:
    """Ground, m, shape (row, col), row 0 in the north: a valley with a river, a side stream, a levee with a gap, and hills."""
    from scipy.ndimage import gaussian_filter

    rows, cols = int(HEIGHT_M / CELL_M), int(WIDTH_M / CELL_M)
    x, y = np.meshgrid((np.arange(cols) + 0.5) * CELL_M, HEIGHT_M - (np.arange(rows) + 0.5) * CELL_M)
    from_river = y - river_y_m(x)
    valley_floor = valley_floor_m(x)
    beyond_plain = np.clip(np.abs(from_river) - 380.0, 0.0, None)
    ground = valley_floor + 0.002 * np.abs(from_river) + 62.0 * (1.0 - np.exp(-beyond_plain / 520.0))
    rough = gaussian_filter(np.random.default_rng(seed).normal(size=ground.shape), 3.0)
    ground += 6.0 * rough * (0.05 + np.clip(beyond_plain / 300.0, 0.0, 1.0))
    stream_x = 2_050.0 + 0.25 * (y - 1_400.0)
    side_valley = valley_floor + 0.014 * np.clip(from_river, 0.0, None) + 0.11 * np.abs(x - stream_x)
    ground = np.where(from_river > 0, np.minimum(ground, side_valley), ground)
    polder = (from_river < -LEVEE_FROM_RIVER_M) & (x > POLDER_FROM_M) & (x < POLDER_TO_M)
    ground = np.where(polder, ground - POLDER_SUNK_M * np.exp(-beyond_plain / 60.0), ground)
    beside_river = (
        (np.abs(from_river + LEVEE_FROM_RIVER_M) < 0.75 * CELL_M) & (x > POLDER_FROM_M - 20.0) & (x < POLDER_TO_M + 20.0)
    )
    in_gap = (x > GAP_FROM_M) & (x < GAP_TO_M)
    at_the_ends = (np.minimum(np.abs(x - POLDER_FROM_M), np.abs(x - POLDER_TO_M)) < 0.75 * CELL_M) & (
        (from_river < -LEVEE_FROM_RIVER_M) & (from_river > -470.0)
    )
    ground = np.where((beside_river & ~in_gap) | at_the_ends, np.maximum(ground, valley_floor + LEVEE_HEIGHT_M), ground)
    ground = np.where(np.abs(from_river) < 30.0, valley_floor - RIVER_DEEP_M, ground)
    return np.asarray(ground, np.float32)


class _Map:
    """Local metres to longitude and latitude, and GeoJSON of them."""

    def __init__(self) -> None:
        from pyproj import Transformer

        self._to_lonlat = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)

    def lonlat(self, x_m: float, y_m: float) -> list[float]:
        lon, lat = self._to_lonlat.transform(WEST_M + x_m, SOUTH_M + y_m)
        return [round(lon, 7), round(lat, 7)]

    def point(self, x_m: float, y_m: float, **properties: Any) -> dict[str, Any]:
        return _feature("Point", self.lonlat(x_m, y_m), properties)

    def line(self, points: Iterable[tuple[float, float]], **properties: Any) -> dict[str, Any]:
        return _feature("LineString", [self.lonlat(*p) for p in points], properties)

    def polygon(self, ring: list[tuple[float, float]], **properties: Any) -> dict[str, Any]:
        return _feature("Polygon", [[self.lonlat(*p) for p in [*ring, ring[0]]]], properties)


def _feature(kind: str, coordinates: list[Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}}


def _write_geojson(path: Path, features: list[dict[str, Any]]) -> None:
    path.write_bytes(msgspec.json.encode({"type": "FeatureCollection", "features": features}))


def write_district(folder: Path, seed: int) -> dict[str, Any]:
    """Write the district's files into `folder`; return the arguments with which `build_twin` builds it."""
    import rasterio
    from rasterio.transform import from_origin

    folder.mkdir(parents=True, exist_ok=True)
    where = _Map()
    ground = terrain_m(seed)
    with rasterio.open(
        folder / "elevation.tif",
        "w",
        driver="GTiff",
        height=ground.shape[0],
        width=ground.shape[1],
        count=1,
        dtype="float32",
        crs=CRS,
        transform=from_origin(WEST_M, SOUTH_M + HEIGHT_M, CELL_M, CELL_M),
        compress="deflate",
    ) as raster:
        raster.write(ground, 1)
        raster.update_tags(TITLE="Made-up terrain")

    streets_x = np.arange(400.0, 3_000.0, 200.0)
    streets_y = np.arange(300.0, 2_200.0, 150.0)
    bridges_x = (1_000.0, 2_400.0)
    _write_geojson(folder / "roads.geojson", _streets(where, streets_x, streets_y, bridges_x))
    houses, people = _houses(where, streets_x, streets_y, seed)
    _write_geojson(folder / "buildings.geojson", houses)
    with (folder / "population.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lon", "lat", "population", "jobs"])
        table.writerows(people)

    quarters = {
        "Riverside": (500.0, 1_500.0, -1),
        "Ferry Quay": (1_500.0, 2_200.0, -1),
        "Lower Mill": (2_200.0, 3_000.0, -1),
        "North Bank": (400.0, 1_700.0, 1),
        "Stream Side": (1_700.0, 3_000.0, 1),
    }
    _write_geojson(folder / "zones.geojson", [_quarter(where, name, *spec) for name, spec in quarters.items()])
    gap_y = [
        float(river_y_m(np.array(x))) - LEVEE_FROM_RIVER_M
        for x in (GAP_FROM_M - 40.0, (GAP_FROM_M + GAP_TO_M) / 2, GAP_TO_M + 40.0)
    ]
    crest_m = float(valley_floor_m(GAP_FROM_M)) + LEVEE_HEIGHT_M
    _write_geojson(
        folder / "lines.geojson",
        [
            where.line(
                [(GAP_FROM_M - 40.0, gap_y[0]), ((GAP_FROM_M + GAP_TO_M) / 2, gap_y[1]), (GAP_TO_M + 40.0, gap_y[2])],
                name="quay gap",
                sort="barrier",
                crest_m=round(crest_m, 2),
            ),
            where.line(
                [(6.0, float(river_y_m(np.array(6.0))) - 60.0), (6.0, float(river_y_m(np.array(6.0))) + 60.0)],
                name=ENTRY,
                sort="inflow",
            ),
        ],
    )
    assets = {
        "hospitals": [
            where.point(2_600.0, 900.0, id="hospital-1", name="Lower Mill Hospital", sort="hospital", amount=120, unit="persons"),
            where.point(2_450.0, 420.0, id="hospital-2", name="South Clinic", sort="clinic", amount=40, unit="persons"),
        ],
        "shelters": [
            where.point(1_000.0, 1_990.0, id="shelter-1", name="Hill School", sort="school", amount=1_500, unit="persons"),
            where.point(1_800.0, 310.0, id="shelter-2", name="South Arena", sort="arena", amount=3_000, unit="persons"),
        ],
        "schools": [
            where.point(1_250.0, 880.0, id="school-1", name="Riverside School", sort="school", amount=400, unit="persons")
        ],
        "substations": [
            where.point(1_430.0, 830.0, id="quay", name="Quay Substation", sort="substation"),
            where.point(1_200.0, 1_990.0, id="hill", name="Hill Substation", sort="substation"),
        ],
        "pumping_stations": [where.point(2_000.0, 600.0, id="mill", name="Mill Pump", sort="pumping_station")],
        "water_works": [where.point(1_500.0, 330.0, id="south", name="South Water Works", sort="water_works")],
        "masts": [
            where.point(1_810.0, 340.0, id="arena", name="Arena Mast", sort="mast"),
            where.point(1_000.0, 2_050.0, id="hill", name="Hill Mast", sort="mast"),
        ],
        "underpasses": [where.point(2_300.0, 640.0, id="mill", name="Mill Underpass", sort="underpass")],
        "depots": [
            where.point(2_200.0, 310.0, id="depot-1", name="Fire Station South", sort="fire_station", amount=6, unit="crews")
        ],
    }
    for kind, features in assets.items():
        _write_geojson(folder / f"{kind}.geojson", features)
    _write_geojson(folder / "gauges.geojson", _gauges(where))
    with (folder / "dependencies.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["link", "source", "target", "probability"])
        table.writerows(DEPENDENCIES)
    made_up = "made up by Tocsin's demo"
    return {
        "elevation": folder / "elevation.tif",
        "roads": folder / "roads.geojson",
        "population": folder / "population.csv",
        "buildings": folder / "buildings.geojson",
        "zones": folder / "zones.geojson",
        "lines": folder / "lines.geojson",
        "gauges": folder / "gauges.geojson",
        "dependencies": folder / "dependencies.csv",
        "assets": {kind: folder / f"{kind}.geojson" for kind in assets},
        "name": NAME,
        "made_up": True,
        "licences": dict.fromkeys(
            ("elevation", "roads", "population", "buildings", "zones", "lines", "gauges", "dependencies", *assets), made_up
        ),
    }


def _streets(
    where: _Map, streets_x: NDArray[np.float64], streets_y: NDArray[np.float64], bridges_x: tuple[float, ...]
) -> list[dict[str, Any]]:
    """A grid of streets on both banks, joined by two bridges."""
    features = []
    for y in streets_y:
        xs = [x for x in streets_x if abs(y - float(river_y_m(np.array(x)))) > 110.0]
        for a, b in pairwise(xs):
            if b - a < 201.0:
                features.append(where.line([(a, y), (b, y)], highway="residential", name=f"{int(y)} Street", oneway="no"))
    for x in streets_x:
        river = float(river_y_m(np.array(x)))
        ys = [y for y in streets_y if abs(y - river) > 110.0]
        for a, b in pairwise(ys):
            over_river = a < river < b
            if not over_river:
                features.append(where.line([(x, a), (x, b)], highway="tertiary", name=f"{int(x)} Avenue", oneway="no"))
            elif x in bridges_x:
                features.append(
                    where.line([(x, a), (x, b)], highway="primary", name=f"{int(x)} Bridge", oneway="no", bridge="yes")
                )
    return features


def _houses(
    where: _Map, streets_x: NDArray[np.float64], streets_y: NDArray[np.float64], seed: int
) -> tuple[list[dict[str, Any]], list[list[float]]]:
    """Houses beside the streets, denser near the river, and those who live and work in them."""
    rng = np.random.default_rng([seed, 1])
    houses: list[dict[str, Any]] = []
    people: list[list[float]] = []
    for y in streets_y:
        for x in np.arange(streets_x[0], streets_x[-1], 25.0):
            away = abs(y - float(river_y_m(np.array(x))))
            if away < 130.0 or rng.random() > np.exp(-away / 700.0):
                continue
            for side in (-28.0, 28.0):
                sort = str(rng.choice(["residential", "commercial", "industrial"], p=[0.84, 0.12, 0.04]))
                wide, deep = rng.uniform(8, 16), rng.uniform(8, 14)
                left, low = x - wide / 2, y + side - deep / 2
                ring = [(left, low), (left + wide, low), (left + wide, low + deep), (left, low + deep)]
                houses.append(where.polygon(ring, id=f"b{len(houses)}", sort=sort, levels=int(rng.integers(1, 4))))
                lives, works = (int(rng.poisson(5.5)), 0) if sort == "residential" else (0, int(rng.poisson(9.0)))
                people.append([*where.lonlat(x, y + side), lives, works])
    return houses, people


def _quarter(where: _Map, name: str, west: float, east: float, side: int) -> dict[str, Any]:
    """A quarter between the river and the foot of the hills, on the north (1) or the south (-1) bank."""
    xs = np.linspace(west, east, 9)
    near = [(float(x), float(river_y_m(x)) + side * 40.0) for x in xs]
    far = [(float(x), float(river_y_m(x)) + side * 460.0) for x in xs[::-1]]
    return where.polygon([*near, *far], name=name)


def _gauges(where: _Map) -> list[dict[str, Any]]:
    """Three rain gauges and four level gauges; a level is given above the river's bed at the gauge."""
    rain = [
        ("rain-north", "North Hill", 1_300.0, 2_150.0),
        ("rain-town", "Town Hall", 1_600.0, 760.0),
        ("rain-east", "East Farm", 2_900.0, 1_900.0),
    ]
    level = [
        ("level-weir", "Weir", 420.0),
        ("level-quay", "Ferry Quay", 1_550.0),
        ("level-mill", "Lower Mill", 2_450.0),
        ("level-end", "East Bridge", 3_050.0),
    ]
    features = [where.point(x, y, site=site, name=name, quantity="rain_amount") for site, name, x, y in rain]
    for site, name, x in level:
        y = float(river_y_m(np.array(x)))
        zero_m = float(valley_floor_m(x)) - RIVER_DEEP_M
        limits = dict(zip(("yellow", "orange", "red"), FLOOD_STAGES_M[site], strict=True)) | {
            "limits_source": "flood stages made up with the district"
        }
        features.append(where.point(x, y, site=site, name=name, quantity="river_level", zero_m=round(zero_m, 2), **limits))
    return features
