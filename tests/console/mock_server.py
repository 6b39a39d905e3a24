"""A server that answers as the platform does, from fixed sample data: for the console's tests, and for work on the console.

    python tests/console/mock_server.py        then open http://127.0.0.1:8000 (operator / correct horse)

The place is the demo's made-up district. Nothing is simulated: the flood is a level surface that rises and falls, a little higher
in each member. What people do (sign in, decide, report, write) changes the state as it would in the platform.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import itertools
import math
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import msgspec
import numpy as np
import shapely
import uvicorn
from numpy.typing import NDArray
from PIL import Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from pyproj import Transformer
from scipy.ndimage import map_coordinates
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tocsin import interfaces
from tocsin.interfaces.demo import district
from tocsin.interfaces.pictures import CHANCE_CLASSES, DEPTH_CLASSES, legend, paint, png
from tocsin.pack import Action, Duration, Plan
from tocsin.security.gate import acts_of
from tocsin.vocabulary import Level

CONSOLE = Path(str(interfaces.__file__)).parent / "console"
NAME, PASSWORD, CSRF = "operator", "correct horse", "csrf-of-the-mock"
START = datetime(2005, 8, 22, 14, 0, tzinfo=UTC)
MEMBERS, FRAMES, FRAME_S = 20, 13, 1_800.0
SEED = 7

# The same policy as the platform's, so that what it forbids is seen here first; a test compares the two.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)

_to_lonlat = Transformer.from_crs(district.CRS, "EPSG:4326", always_xy=True)
_to_metres = Transformer.from_crs("EPSG:4326", district.CRS, always_xy=True)


def appeal(name: str, colour: str, purpose: str, words: str, *, hours: float) -> dict[str, Any]:
    """An objection that has to be decided so many hours after the start."""
    form = {"colour": colour, "purpose": purpose, "days": ["2005-08-20"], "words": words, "public_key": "k", "signature": "s"}
    return {"id": name, "due": iso(START + timedelta(hours=hours)), "form": form, "ruling": None}


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def lonlat(x_m: float, y_m: float) -> list[float]:
    """Longitude and latitude of a place given in metres from the district's south-western corner."""
    lon, lat = _to_lonlat.transform(district.WEST_M + x_m, district.SOUTH_M + y_m)
    return [round(lon, 7), round(lat, 7)]


def record_name(kind: str, words: str) -> str:
    return f"{kind}-{hashlib.sha256(words.encode()).hexdigest()[:32]}"


# --- the twin -----------------------------------------------------------------------------------------------------------------


@cache
def ground_m() -> NDArray[np.float32]:
    return district.terrain_m(SEED)


def corners() -> list[list[float]]:
    w, h = district.WIDTH_M, district.HEIGHT_M
    return [lonlat(0, h), lonlat(w, h), lonlat(w, 0), lonlat(0, 0)]


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(geometry)}


def collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}


@cache
def streets() -> list[tuple[str, str, list[list[float]]]]:
    """(name, class, line) of a grid of streets that keeps off the river but for two bridges."""
    lines = []
    for y in np.arange(300.0, 2_200.0, 150.0):
        for x in np.arange(400.0, 2_800.0, 200.0):
            if min(abs(y - float(district.river_y_m(np.array(at)))) for at in (x, x + 200.0)) > 110.0:
                lines.append((f"{y:.0f} Street", "residential", [lonlat(x, y), lonlat(x + 200.0, y)]))
    for x in np.arange(400.0, 3_000.0, 200.0):
        river = float(district.river_y_m(np.array(x)))
        for y in np.arange(300.0, 2_050.0, 150.0):
            bridge = abs(y + 75.0 - river) <= 185.0
            if not bridge or x in (1_000.0, 2_400.0):
                lines.append((f"{x:.0f} Avenue", "primary" if bridge else "tertiary", [lonlat(x, y), lonlat(x, y + 150.0)]))
    return lines


@cache
def zones() -> list[tuple[str, Any, int]]:
    """(name, polygon, people)."""
    quarters = [
        ("Riverside", 500, 1_500, -1, 2_140),
        ("Ferry Quay", 1_500, 2_200, -1, 1_630),
        ("Lower Mill", 2_200, 3_000, -1, 1_480),
    ]
    quarters += [("North Bank", 400, 1_700, 1, 1_910), ("Stream Side", 1_700, 3_000, 1, 1_205)]
    found = []
    for name, west, east, side, people in quarters:
        xs = np.linspace(west, east, 9)
        near = [lonlat(float(x), float(district.river_y_m(x)) + side * 40.0) for x in xs]
        far = [lonlat(float(x), float(district.river_y_m(x)) + side * 460.0) for x in xs[::-1]]
        found.append((name, shapely.Polygon([*near, *far]), people))
    return found


def houses() -> Iterator[Any]:
    rng = np.random.default_rng(SEED)
    for y in np.arange(300.0, 2_100.0, 150.0):
        for x in np.arange(420.0, 2_900.0, 40.0):
            if abs(y - float(district.river_y_m(np.array(x)))) > 140.0 and rng.random() < 0.7:
                for side in (-28.0, 20.0):
                    w, d = rng.uniform(12, 24), rng.uniform(10, 16)
                    yield shapely.Polygon(
                        [lonlat(x, y + side), lonlat(x + w, y + side), lonlat(x + w, y + side + d), lonlat(x, y + side + d)]
                    )


def river() -> Any:
    xs = np.linspace(0, district.WIDTH_M, 60)
    ys = district.river_y_m(xs)
    return shapely.Polygon(
        [lonlat(float(x), float(y) + 30) for x, y in zip(xs, ys, strict=True)]
        + [lonlat(float(x), float(y) - 30) for x, y in zip(xs[::-1], ys[::-1], strict=True)]
    )


@cache
def base_map() -> bytes:
    """The base map as one PMTiles file, zoom 8 to 14."""
    layers: dict[str, list[tuple[Any, dict[str, Any]]]] = {
        "roads": [(shapely.LineString(line), {"class": sort, "name": name}) for name, sort, line in streets()],
        "buildings": [(house, {"sort": "residential"}) for house in houses()],
        "water": [(river(), {"name": "river"})],
        "zones": [(polygon, {"name": name}) for name, polygon, _ in zones()],
    }

    def mercator(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([(points[:, 0] + 180) / 360, 0.5 - np.arctanh(np.sin(np.radians(points[:, 1]))) / (2 * math.pi)])

    drawn = {name: [(shapely.transform(g, mercator), p) for g, p in things] for name, things in layers.items()}
    bounds = shapely.total_bounds(np.array([g for things in drawn.values() for g, _ in things]))
    tiles: list[tuple[int, bytes]] = []
    for z in range(8, 15):
        n = 2**z
        for x in range(int(bounds[0] * n), int(bounds[2] * n) + 1):
            for y in range(int(bounds[1] * n), int(bounds[3] * n) + 1):
                edge = 64 / 4096
                box = ((x - edge) / n, (y - edge) / n, (x + 1 + edge) / n, (y + 1 + edge) / n)
                content = []
                for name, things in drawn.items():
                    clipped = [
                        (
                            shapely.transform(
                                shapely.clip_by_rect(g, *box), lambda c, n=n, x=x, y=y: np.round((c * n - [x, y]) * 4096)
                            ),
                            p,
                        )
                        for g, p in things
                    ]
                    content.append(
                        {"name": name, "features": [{"geometry": g, "properties": p} for g, p in clipped if not g.is_empty]}
                    )
                tiles.append(
                    (
                        zxy_to_tileid(z, x, y),
                        gzip.compress(mapbox_vector_tile.encode(content, default_options={"y_coord_down": True}), mtime=0),
                    )
                )
    file = io.BytesIO()
    writer = Writer(file)
    for number, tile in sorted(tiles):
        writer.write_tile(number, tile)
    w, s, e, n = bounds_lonlat()
    writer.finalize(
        {
            "tile_type": TileType.MVT,
            "tile_compression": Compression.GZIP,
            "min_zoom": 8,
            "max_zoom": 14,
            "min_lon_e7": int(w * 1e7),
            "min_lat_e7": int(s * 1e7),
            "max_lon_e7": int(e * 1e7),
            "max_lat_e7": int(n * 1e7),
            "center_zoom": 12,
            "center_lon_e7": int((w + e) / 2 * 1e7),
            "center_lat_e7": int((s + n) / 2 * 1e7),
        },
        {"vector_layers": [{"id": name, "fields": {}} for name in layers]},
    )
    return file.getvalue()


def bounds_lonlat() -> list[float]:
    lons, lats = zip(*corners(), strict=True)
    return [min(lons), min(lats), max(lons), max(lats)]


@cache
def terrain_tile(z: int, x: int, y: int) -> bytes:
    """A terrarium tile of the district; outside it the ground of its edge."""
    n, size = 2**z, 256
    lon = (x + (np.arange(size) + 0.5) / size) / n * 360 - 180
    lat = np.degrees(np.arctan(np.sinh(math.pi * (1 - 2 * (y + (np.arange(size) + 0.5) / size) / n))))
    east, north = _to_metres.transform(*np.meshgrid(lon, lat))
    ground = ground_m()
    col = np.clip((east - district.WEST_M) / district.CELL_M - 0.5, 0, ground.shape[1] - 1)
    row = np.clip((district.SOUTH_M + district.HEIGHT_M - north) / district.CELL_M - 0.5, 0, ground.shape[0] - 1)
    code = map_coordinates(ground, [row, col], np.float64, order=1) + 32_768.0
    rgb = np.stack([code // 256, code % 256, (code % 1) * 256], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


ASSETS = {
    "hospitals": [("hospital-1", "Lower Mill Hospital", "hospital", 120, "persons", 2_600.0, 900.0)],
    "shelters": [
        ("shelter-1", "Hill School", "school", 1_500, "persons", 1_000.0, 1_990.0),
        ("shelter-2", "South Arena", "arena", 3_000, "persons", 1_800.0, 310.0),
    ],
    "schools": [("school-1", "Riverside School", "school", 400, "persons", 1_250.0, 880.0)],
    "depots": [("depot-1", "Fire Station South", "fire_station", 6, "crews", 2_200.0, 310.0)],
}

TWIN = {
    "name": district.NAME,
    "made_up": True,
    "crs": district.CRS,
    "rows": 96,
    "cols": 128,
    "cell_m": district.CELL_M,
    "bounds": bounds_lonlat(),
    "corners": corners(),
    "people_night": 8_365,
    "people_day": 7_120,
    "buildings": 1_254,
    "road_km": 71.4,
    "waters": [{"name": "river", "usual_level_m": 1.2}],
    "zones": collection([feature(polygon, name=name, people=people) for name, polygon, people in zones()]),
    "lines": collection(
        [
            feature(
                shapely.LineString(
                    [lonlat(x, float(district.river_y_m(np.array(x))) - 75.0) for x in (1_410.0, 1_550.0, 1_690.0)]
                ),
                name="quay gap",
                sort="barrier",
            )
        ]
    ),
    "sources": [
        {
            "what": "roads",
            "title": "Streets",
            "licence": "ODbL-1.0",
            "attribution": "© OpenStreetMap contributors (ODbL): a test of the line",
        },
        {"what": "elevation", "title": "Terrain", "licence": "made up", "attribution": "Made up by Tocsin"},
    ],
    "counts": {kind: len(rows) for kind, rows in ASSETS.items()},
}

# --- the situation ------------------------------------------------------------------------------------------------------------


def readings(
    *, base: float, rise: float, seed: int, bad: dict[int, tuple[float | None, int]] | None = None
) -> list[tuple[int, float | None, int]]:
    """24 hours of readings, one each quarter of an hour: low, then a rise; `bad` says which are something else."""
    rng = np.random.default_rng(seed)
    found: list[tuple[int, float | None, int]] = []
    for i in range(96):
        at = int((START - timedelta(minutes=15 * (95 - i))).timestamp() * 1000)
        value = base + rise / (1 + math.exp(-(i - 78) / 5)) + float(rng.normal(0, 0.012 * (1 + rise)))
        found.append((at, *(bad or {}).get(i, (round(max(0.0, value), 3), 1))))
    return found


LIMITS = {"blue": 2.0, "yellow": 2.4, "orange": 2.8, "red": 3.2}
RAIN_LIMITS = {"blue": 5.0, "yellow": 10.0, "orange": 20.0, "red": 30.0}


def gauge(
    site: str, name: str, quantity: str, x: float, y: float, rows: list[Any], level: int, trend: float | None, **more: Any
) -> dict[str, Any]:
    at, value, flag = rows[-1]
    lon, lat = lonlat(x, y)
    return {
        "site": site,
        "name": name,
        "lon": lon,
        "lat": lat,
        "quantity": quantity,
        "unit": "m" if quantity == "river_level" else "mm/h",
        "value": value,
        "time": iso(datetime.fromtimestamp(at / 1000, UTC)),
        "flag": flag,
        "flag_reason": "",
        "age_s": START.timestamp() - at / 1000,
        "trend_per_h": trend,
        "level": level,
        "last_level": max(level, 0),
        "blind": level < 0,
        "limits": LIMITS if quantity == "river_level" else RAIN_LIMITS,
        "sparkline": rows,
    } | more


def sources() -> dict[str, Any]:
    """Two streams: one that works, and one that has been silent for three hours."""
    works = {
        "quantity": "river_level", "site": "level-quay", "unit": "m", "value": 3.42, "time": iso(START), "age_s": 240.0, "lag_s": 2.5,
        "per_hour": 12.0, "good_share": 0.958, "faults": [], "blind": [], "level": "red", "state": "warns", "why": "red",
        "arrived": iso(START), "lag_spread_s": 0.5, "clock_ahead_s": 45.0, "shares": {"good": 0.958, "suspect": 0.042},
        "dropped": {"known already": 3},
    }  # fmt: skip
    silent = works | {
        "site": "level-end", "value": None, "age_s": 10_800.0, "lag_s": None, "per_hour": None, "good_share": 0.5, "faults": ["gap"],
        "blind": ["river_level_high"], "level": "blind", "state": "blind", "why": "gap; river_level_high sees nothing",
        "arrived": None, "lag_spread_s": None, "clock_ahead_s": None, "shares": {}, "dropped": {},
    }  # fmt: skip
    return {
        "sources": [silent, works],
        "counted": {"river_level": {"stored": 812, "known already": 3, "late": 0, "of the future": 1}},
        "collectors": [
            {
                "name": "weir logger",
                "kind": "Mqtt",
                "broken": "",
                "tally": {
                    "received": 815,
                    "taken": 812,
                    "lost": 0,
                    "dropped": {"no number": 3},
                    "last": iso(START),
                    "said": {"no number": "value = 'n/a'"},
                },
            }
        ],
        "refused": {"pump-house": {"unit": 7}},
    }


def gauges() -> list[dict[str, Any]]:
    def at_river(x: float) -> float:
        return float(district.river_y_m(np.array(x)))

    spikes: dict[int, tuple[float | None, int]] = {40: (4.9, 4), 41: (4.95, 4), 60: (2.3, 3), 95: (9.99, 4)}
    return [
        gauge(
            "level-quay", "Ferry Quay", "river_level", 1_550.0, at_river(1_550.0), readings(base=1.2, rise=2.2, seed=1), 4, 0.42
        ),
        gauge(
            "level-mill", "Lower Mill", "river_level", 2_450.0, at_river(2_450.0), readings(base=1.1, rise=1.8, seed=2), 3, 0.31
        ),
        gauge(
            "level-weir",
            "Weir",
            "river_level",
            420.0,
            at_river(420.0),
            readings(base=1.3, rise=0.9, seed=3, bad=spikes),
            1,
            0.12,
            flag_reason="9.99 m is outside 0 to 8 m (gross range)",
        ),
        gauge(
            "level-end",
            "East Bridge",
            "river_level",
            3_050.0,
            at_river(3_050.0),
            readings(base=1.0, rise=0.5, seed=4, bad=dict.fromkeys(range(80, 96), (None, 9))),
            -1,
            None,
            flag_reason="no reading for 4 h 00",
        ),
        gauge("rain-north", "North Hill", "rain_amount", 1_300.0, 2_150.0, readings(base=1.0, rise=17.0, seed=5), 2, -1.4),
        gauge("rain-town", "Town Hall", "rain_amount", 1_600.0, 760.0, readings(base=0.8, rise=7.0, seed=6), 1, 0.001),
        gauge("rain-east", "East Farm", "rain_amount", 2_900.0, 1_900.0, readings(base=0.4, rise=3.0, seed=8), 0, -0.8),
    ]


def warning(
    site: str,
    level: int,
    before: int,
    minutes_ago: int,
    reason: str,
    rule: str,
    value: float,
    unit: str,
    *,
    active: bool,
    evidence: str,
) -> dict[str, Any]:
    name = record_name("warning", site + rule + str(level))
    return {
        "id": name,
        "time": iso(START - timedelta(minutes=minutes_ago)),
        "site": site,
        "hazard": "flood",
        "level": level,
        "before": before,
        "reason": reason,
        "rule": rule,
        "value": value,
        "unit": unit,
        "public": level >= 3,
        "cause": [evidence],
        "active": active,
        "alert": record_name("alertdraft", name) if level >= 3 else None,
    }


EVIDENCE = record_name("evidence", "level-quay")
FORECAST = record_name("forecast", "50 futures")
EARLIER = record_name("forecast", "earlier")
COMPARISON = record_name("comparison", "5 plans")
RED = "The river at Ferry Quay stands at 3.36 m, above the red limit of 3.20 m, and rises 0.42 m in an hour."

WARNINGS = [
    warning("level-quay", 4, 3, 6, RED, "river_stands_high", 3.36, "m", active=True, evidence=EVIDENCE),
    warning(
        "level-mill",
        3,
        2,
        14,
        "The river at Lower Mill stands at 2.87 m, above the orange limit of 2.80 m.",
        "river_stands_high",
        2.87,
        "m",
        active=True,
        evidence=record_name("evidence", "level-mill"),
    ),
    warning(
        "rain-north",
        2,
        1,
        41,
        "17.8 mm of rain in the last hour at North Hill, above the yellow limit of 10 mm.",
        "rain_falls_hard",
        17.8,
        "mm/h",
        active=True,
        evidence=record_name("evidence", "rain-north"),
    ),
    warning(
        "level-quay",
        3,
        2,
        52,
        "The river at Ferry Quay stands at 2.84 m, above the orange limit of 2.80 m.",
        "river_stands_high",
        2.84,
        "m",
        active=False,
        evidence=EVIDENCE,
    ),
]
ALERTS = [
    {
        "id": w["alert"],
        "time": w["time"],
        "identifier": f"tocsin-{w['id'][-8:]}",
        "status": "Draft",
        "message_type": "Alert",
        "draft": None,
        "headline": f"Flood warning for {'Ferry Quay' if w['site'] == 'level-quay' else 'Lower Mill'} (made up)",
        "warning": w["id"],
    }
    for w in WARNINGS
    if w["alert"] and w["active"]
]

# --- the forecast -------------------------------------------------------------------------------------------------------------


@cache
def depths() -> NDArray[np.float32]:
    """Water depth, m, shape (frame, member, row, col): a surface that rises to its crest in four hours and falls."""
    ground = ground_m().astype(np.float64)
    rows, cols = ground.shape
    x, y = np.meshgrid((np.arange(cols) + 0.5) * district.CELL_M, district.HEIGHT_M - (np.arange(rows) + 0.5) * district.CELL_M)
    reach = np.clip(1.0 - np.abs(y - district.river_y_m(x)) / 700.0, 0.0, 1.0)
    fields = np.empty((FRAMES, MEMBERS, rows, cols), np.float32)
    for frame in range(FRAMES):
        rise = math.sin(math.pi * min(1.0, (frame + 2) / (FRAMES + 1))) ** 0.7
        for member in range(MEMBERS):
            level = district.valley_floor_m(x) - 1.0 + rise * (1.5 + 0.13 * member) * np.sqrt(reach)
            fields[frame, member] = np.where(level - ground > 0.02, level - ground, 0.0)
    return fields


def field(view: str, frame: str) -> NDArray[np.float32]:
    members = depths().max(axis=0) if frame == "peak" else depths()[int(frame)]
    if view == "chance":
        return np.asarray((members > 0.3).mean(axis=0), np.float32)
    if view.startswith("member:"):
        return members[int(view.removeprefix("member:"))]
    return np.asarray(np.quantile(members, {"q05": 0.05, "q50": 0.5, "q95": 0.95}[view], axis=0), np.float32)


@cache
def depth_png(view: str, frame: str) -> bytes:
    return png(paint(field(view, frame), CHANCE_CLASSES if view == "chance" else DEPTH_CLASSES))


def cell(lon: float, lat: float) -> tuple[int, int] | None:
    east, north = _to_metres.transform(lon, lat)
    col = int((east - district.WEST_M) // district.CELL_M)
    row = int((district.SOUTH_M + district.HEIGHT_M - north) // district.CELL_M)
    return (row, col) if 0 <= row < ground_m().shape[0] and 0 <= col < ground_m().shape[1] else None


def roads_cut(view: str, frame: str) -> dict[str, Any]:
    depth, features = field("q50" if view == "chance" else view, frame), []
    for name, sort, line in streets():
        middle = cell(*np.mean(line, axis=0))
        wet = float(depth[middle]) if middle else 0.0
        if wet > 0.1:
            features.append(
                feature(
                    shapely.LineString(line),
                    **{"name": name, "class": sort, "state": "cut" if wet >= 0.3 else "slow", "peak": round(wet, 2)},
                )
            )
    return collection(features)


def estimate(low: float, middle: float, high: float, unit: str) -> dict[str, Any]:
    return {"mean": round((low + 2 * middle + high) / 4, 3), "low": low, "middle": middle, "high": high, "unit": unit}


def forecast(name: str, minutes_ago: int) -> dict[str, Any]:
    return {
        "id": name,
        "time": iso(START - timedelta(minutes=minutes_ago)),
        "hazard": "flood",
        "model": "water_spreads_over_ground",
        "source": "Bates, Horritt & Fewtrell 2010; de Almeida & Bates 2013",
        "limits": "Local inertia: too slow where a front runs faster than about Froude 0.5. No sewers, no pumps.",
        "quantity": {"name": "flood_depth", "unit": "m", "low": 0.0, "high": 100.0},
        "danger_from": 0.3,
        "shown_as": "depth of water",
        "words": {"buildings_affected": "buildings flooded"},
        "members": MEMBERS,
        "duration_s": (FRAMES - 1) * FRAME_S,
        "frame_s": [i * FRAME_S for i in range(FRAMES)],
        "scenario": {"rain": "observed, then 60 to 140 % of the last hour, falling", "friction": "0.03 to 0.06"},
        "impact": {
            "people_exposed": estimate(310, 1_240, 2_870, "persons"),
            "buildings_affected": estimate(96, 288, 541, "buildings"),
            "roads_cut_km": estimate(2.1, 6.8, 13.4, "km"),
            "damage": estimate(2.1e6, 8.4e6, 19.7e6, "EUR"),
            "people_cut_off": estimate(12, 96, 180, "persons"),
            "hospitals_lost": estimate(0, 0.5, 1, "hospitals"),
        },
        "corners": corners(),
        "made_up": True,
        "verification": VERIFICATION if name == FORECAST else None,
    }


VERIFICATION = {
    "time": iso(START - timedelta(minutes=1)),
    "words": "readings leave 31 of 50 futures; quay: expected 2.1 to 3 m, came 2.7 m",
    "again": "",
    "contradictions": ["quay says 2.7 and pier says 4.1 of level@river at the same time: look which of the two is wrong"],
}
CHAINS = {
    "members": 50,
    "links": 14,
    "links_assumed": 5,
    "figures": {
        "people_without_power": estimate(0, 1_286, 2_339, "persons"),
        "people_without_power_hours": estimate(0, 9_100, 21_000, "person hours"),
        "substations_out": estimate(0, 1, 1, "substations"),
    },
    "ways": [
        {
            "points": ["substations:quay", "pumping_stations:mill", "underpasses:mill", "hospitals:hospital-2"],
            "names": ["Quay Substation", "Mill Pump", "Mill Underpass", "South Clinic"],
            "links": ["power for pumping stations", "pumps keep underpasses dry", "underpasses lead to hospitals"],
            "assumed": True,
            "share": 0.2,
            "low": 0.11,
            "high": 0.32,
            "begins_h": 2.2,
            "after_h": [0.0, 0.0, 3.1, 3.5],
        }
    ],
    "breaks": [
        {
            "verb": "protect_asset",
            "target": "substations:quay",
            "what": "keep the hazard out of substations:quay",
            "saved": 5_680.0,
            "low": 3_750.0,
            "high": 7_609.0,
            "helps_share": 0.55,
        }
    ],
    "remarks": [
        "water for hospitals: assumed for 2 hospitals that each hangs on the nearest water works, since the twin does not say"
    ],
}
ZONE_RISKS = [
    {
        "zone": "Ferry Quay",
        "people": 1_630.0,
        "exposed": estimate(190, 690, 1_310, "persons"),
        "chance": 1.0,
        "first_arrival_h": 0.6,
    },
    {
        "zone": "Riverside",
        "people": 2_140.0,
        "exposed": estimate(80, 380, 1_020, "persons"),
        "chance": 0.95,
        "first_arrival_h": 1.4,
    },
    {"zone": "Lower Mill", "people": 1_480.0, "exposed": estimate(0, 150, 480, "persons"), "chance": 0.7, "first_arrival_h": 2.2},
    {
        "zone": "Stream Side",
        "people": 1_205.0,
        "exposed": estimate(0, 20, 60, "persons"),
        "chance": 0.35,
        "first_arrival_h": None,
    },
    {"zone": "North Bank", "people": 1_910.0, "exposed": estimate(0, 0, 0, "persons"), "chance": 0.0, "first_arrival_h": None},
]

# --- the plans ----------------------------------------------------------------------------------------------------------------


def action(
    name: str,
    do: str,
    role: str,
    low: float,
    usual: float,
    high: float,
    *,
    after: tuple[str, ...] = (),
    needs: dict[str, int] | None = None,
    cost: float = 0.0,
) -> Action:
    return Action(
        name=name,
        do=do,
        role=role,
        duration=Duration(low_min=low, usual_min=usual, high_min=high),
        after=after,
        needs=needs or {},
        cost=cost,
    )


WARN = action(
    "warn", "Warn Ferry Quay and Riverside by siren, cell broadcast and loudspeaker vans", "police", 10, 15, 30, needs={"vans": 2}
)
SHELTER = action(
    "open_shelters", "Open South Arena and Hill School as shelters", "welfare", 30, 45, 90, needs={"crews": 2}, cost=4_000
)
EVACUATE = action(
    "evacuate_ferry_quay",
    "Evacuate Ferry Quay to South Arena",
    "fire_service",
    60,
    95,
    180,
    after=("warn", "open_shelters"),
    needs={"buses": 12, "crews": 4},
    cost=18_000,
)
BARRIER = action(
    "raise_barrier",
    "Raise the mobile barrier in the quay gap",
    "public_works",
    60,
    80,
    150,
    needs={"crews": 2, "barrier_m": 200},
    cost=9_500,
)
CLOSE = action("close_roads", "Close 1000 Bridge and the river streets", "police", 15, 25, 45, needs={"patrols": 4})

PLANS = [
    Plan(
        name="barrier_then_evacuate",
        hazard="flood",
        summary="Raise the barrier at the quay while Ferry Quay is warned and evacuated.",
        actions=(WARN, SHELTER, BARRIER, CLOSE, EVACUATE),
        level=Level.ORANGE,
        basis=("Municipal flood plan, annex 3", "case: August 1999"),
    ),
    Plan(
        name="evacuate_only",
        hazard="flood",
        summary="Warn, open shelters and evacuate Ferry Quay; leave the gap open.",
        actions=(WARN, SHELTER, EVACUATE),
        level=Level.ORANGE,
    ),
    Plan(
        name="barrier_only",
        hazard="flood",
        summary="Raise the barrier at the quay gap and close the river streets.",
        actions=(BARRIER, CLOSE),
        level=Level.YELLOW,
    ),
    Plan(name="warn_only", hazard="flood", summary="Warn the quarters at the river and wait.", actions=(WARN,), level=Level.BLUE),
    Plan(name="wait", hazard="flood", summary="Watch the gauges, act at the next assessment.", actions=(), level=Level.NONE),
]

SCORES: list[tuple[float, float, float, float, float, float, float, str]] = [
    # low, middle, high harm; CVaR; worst regret; failed and best share; reason
    (
        0,
        120,
        610,
        780,
        140,
        0.05,
        0.7,
        "Least harm in 14 of 20 futures; the barrier holds the water for the hour that the evacuation needs.",
    ),
    (
        40,
        260,
        820,
        960,
        420,
        0.1,
        0.2,
        "140 persons more than the best in the middle future; needs no barrier crew, so it starts earlier.",
    ),
    (60, 480, 2_150, 2_480, 1_750, 0.3, 0.1, "Cheap and quick, but where the crest passes 1.6 m nobody has been moved."),
    (250, 910, 2_310, 2_560, 1_800, 0.0, 0.0, "Some leave by themselves; the rest are met by water in their homes."),
    (310, 1_240, 2_870, 3_010, 2_400, 0.0, 0.0, "What happens if nobody acts."),
]


def comparison() -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    rows = []
    for rank, (plan, (low, middle, high, cvar, regret, failed, best, reason)) in enumerate(zip(PLANS, SCORES, strict=True), 1):
        harm = estimate(low, middle, high, "persons")
        rows.append(
            {
                "plan": plan.name,
                "digest": plan.digest(),
                "rank": rank,
                "harm": harm,
                "cvar": cvar,
                "regret_mean": round(regret / 4, 1),
                "regret_worst": regret,
                "damage": estimate(1.2e6 * rank, 3.1e6 * rank, 6e6 * rank, "EUR"),
                "cost": sum(a.cost for a in plan.actions),
                "finished_s": estimate(
                    2_400.0 * len(plan.actions), 3_000.0 * len(plan.actions), 4_800.0 * len(plan.actions), "s"
                ),
                "failed_share": failed,
                "best_share": best,
                "reason": reason,
                "figures": {
                    "people_moved": estimate(
                        0, 1_400.0 if EVACUATE in plan.actions else 0.0, 1_630.0 if EVACUATE in plan.actions else 0.0, "persons"
                    )
                },
                "futures": MEMBERS,
                "limits": [
                    {
                        "limit": "people_in_danger@Ferry Quay <= 0",
                        "chance": failed,
                        "low": max(0.0, failed - 0.04),
                        "high": failed + 0.08,
                        "permitted": 0.1,
                        "broken": failed > 0.1,
                    }
                ],
                "dominated_by": {"warn_only": "better in people in danger and worst tenth"} if plan.name == "wait" else {},
                "outdone_by": {},
                "zones": [
                    {"name": "Ferry Quay", "persons": middle * 0.8, "of": 1_630.0, "per_1000": middle * 0.8 / 1.63},
                    {"name": "Riverside", "persons": middle * 0.2, "of": 4_200.0, "per_1000": middle * 0.2 / 4.2},
                ],
                "groups": [{"name": "in hospitals", "persons": rank * 2.0, "of": 120.0, "per_1000": rank * 2.0 / 0.12}],
                "gini": 0.61,
                "harm_by_future": sorted(float(v) for v in rng.triangular(low, middle, high + 1, MEMBERS)),
            }
        )
    return {
        "id": COMPARISON,
        "time": iso(START - timedelta(minutes=3)),
        "forecast": FORECAST,
        "hazard": "flood",
        "futures": MEMBERS,
        "recommended": PLANS[0].name,
        "reason": "Raise the barrier and evacuate Ferry Quay: 140 persons fewer in dangerous water than the runner-up.",
        "doubt": "In 4 of 20 futures “evacuate only” does better: there the barrier comes too late. "
        "If the crews are not at the quay by 14:30, take the runner-up.",
        "scores": rows,
        "choice": {
            "runner_up": PLANS[1].name,
            "margin": {"mean": 140.0, "low": 62.0, "high": 231.0, "futures": MEMBERS, "unit": "persons"},
            "flips": [
                flip(
                    "price",
                    "It spends or loses 9,500 EUR more than 'evacuate_only': 68 EUR for each one fewer of the people in danger.",
                ),
                flip(
                    "future",
                    "If the level of river at its peak comes out above 4.1 m, 'evacuate_only' is better: 210 fewer people in danger there, 20% of the futures.",
                ),
                flip(
                    "weight", "If more than 82% of the weight lay on the worst tenth (now 50%), 'evacuate_only' would be first."
                ),
            ],
            "ask_first": [
                {
                    "name": "level@river",
                    "worth": 42.0,
                    "unit": "persons",
                    "p": 0.001,
                    "sentence": "Ask for the level of river at its peak: worth 42 persons on average, of 61 that knowing all would save.",
                }
            ],
            "worth_of_all": 61.0,
            "weightings": {
                "life first": PLANS[0].name,
                "worst tenth only": PLANS[0].name,
                "cost": "wait",
                "all alike": "barrier_only",
            },
            "equity": "Ferry Quay bears most: 59 people in danger of 1,000 who are there, 21 of 1,000 in all (inequality between zones 0.61 of 1). "
            "Of vulnerable groups stay 2 in hospitals.",
            "remarks": ["vulnerable groups of whom nothing is known here: low income (no layer people_low_income)"],
        },
    }


def flip(kind: str, sentence: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "plan": PLANS[1].name,
        "sentence": sentence,
        "name": "",
        "at": None,
        "above": None,
        "unit": "",
        "share": None,
    }


CHAIN_TEXT = {
    "evidence": (5, "12 readings of river level at Ferry Quay, 1.93 m to 3.36 m, all good"),
    "warning": (4, RED),
    "forecast": (3, "20 futures by water_spreads_over_ground"),
    "comparison": (2, "Raise the barrier and evacuate Ferry Quay"),
    "decision": (1, "approved by operator"),
    "order": (0, "the order"),
}


VERBS = [
    {
        "verb": "move_population",
        "meaning": "People of a zone go",
        "unit": "share",
        "low": 0.0,
        "high": 1.0,
        "targets": ["Ferry Quay", "Riverside"],
        "open": False,
    },
    {
        "verb": "raise_barrier",
        "meaning": "A line is raised to a crest",
        "unit": "m",
        "low": 0.0,
        "high": None,
        "targets": ["quay gap"],
        "open": False,
    },
    {
        "verb": "protect_asset",
        "meaning": "protect asset",
        "unit": "",
        "low": 0.0,
        "high": None,
        "targets": ["all"],
        "open": True,
    },
]
SCENARIO = 'duration = "24h"\nmembers = 20\n\n[series]\n"level@river" = { level = "4.2m" }\n'


def course() -> dict[str, Any]:
    """How the first plan went in one future: each action when what it waits for is done."""
    ends = {"warn": (0, 900), "open_shelters": (0, 2_700), "raise_barrier": (0, 4_800), "close_roads": (600, 2_100)}
    ends["evacuate_ferry_quay"] = (2_700, 8_400)
    done = [
        {"action": name, "start_s": start, "end_s": end, "failed": "", "skipped": "", "not_known": ""}
        for name, (start, end) in ends.items()
    ]
    return {"done": done, "happenings": [], "future": 7, "futures": list(range(MEMBERS)), "harm": 120.0}


def execution() -> dict[str, Any]:
    """A plan that is carried out: a level asks for agreement, one action runs, the others wait for different things."""

    def row(name: str, do: str, phase: str, **more: Any) -> dict[str, Any]:
        usual = {
            "role": "police",
            "level": "",
            "otherwise": "",
            "began": None,
            "ended": None,
            "called": True,
            "waits_for": [],
            "when": "",
            "not_known": "",
            "why": "",
            "order": None,
            "overdue": False,
        }
        return {"name": name, "do": do, "phase": phase} | usual | more

    return {
        "decision": record_name("decision", "running"),
        "plan": "barrier_then_evacuate",
        "authority": "commander",
        "began": iso(START - timedelta(minutes=20)),
        "over": False,
        "ended": "",
        "broken": "",
        "proposed": ["II"],
        "levels": [
            {
                "name": "I",
                "level": "orange",
                "authority": "operator",
                "phase": "in",
                "since": iso(START - timedelta(minutes=18)),
                "enter": "level_m@river >= 3 m",
                "leave": "",
            },
            {
                "name": "II",
                "level": "red",
                "authority": "commander",
                "phase": "proposed",
                "since": iso(START - timedelta(minutes=2)),
                "enter": "level_m@river >= 3.3 m for 10 min",
                "leave": "",
            },
        ],
        "actions": [
            row("warn", WARN.do, "done", began=iso(START - timedelta(minutes=18)), ended=iso(START - timedelta(minutes=4))),
            row("open_shelters", SHELTER.do, "running", began=iso(START - timedelta(minutes=18)), role="welfare", overdue=True),
            row("close_roads", CLOSE.do, "waiting", when="level_m@river >= 3.5 m"),
            row("evacuate_ferry_quay", EVACUATE.do, "waiting", level="II", called=False, waits_for=["open_shelters"]),
        ],
    }


class Mock:
    """The state of one mock platform, and what was asked of it. `requests` holds (method, path, body)."""

    def __init__(self) -> None:
        self.warnings = [dict(w) for w in WARNINGS]
        self.comparison = comparison() | {"decision": None}
        self.hazards = ["flood"]
        self.other_forecasts: list[dict[str, Any]] = []
        self.other_comparisons: list[dict[str, Any]] = []
        self.decisions: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.progress: dict[str, Any] | None = None
        self.alerts: list[dict[str, Any]] = list(ALERTS)
        self.verified: bool | None = None
        self.requests: list[tuple[str, str, Any]] = []
        self.roles = ["commander", "operator"]
        self.gauges = gauges()
        self.limits: list[dict[str, Any]] = []
        self.appeals: list[dict[str, Any]] = [
            appeal(
                "a" * 32,
                "red",
                "visit a ward",
                "I sat behind the glass of the ticket office all day; nobody came in.",
                hours=-2.0,
            ),
            appeal("b" * 32, "yellow", "return to work", "The venue's hour was before I came. I have the receipt.", hours=20.0),
        ]
        self.jobs: list[dict[str, Any]] = []
        self.executions: list[dict[str, Any]] = [execution()]
        self.saved: list[dict[str, Any]] = []
        self.entries: list[dict[str, Any]] = []
        self._listeners: list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[tuple[str, Any]]]] = []
        self._write(
            "evidence",
            EVIDENCE,
            "level-quay",
            "node-1",
            minutes_ago=7,
            quantity="river_level",
            unit="m",
            value=[1.93, 2.4, 3.36],
            flag=[1, 1, 1],
            sensor_time_us=[],
            batch=[],
        )
        for w in reversed(self.warnings):
            self._write(
                "warning", w["id"], w["site"], "platform", minutes_ago=6, level=w["level"], reason=w["reason"], cause=w["cause"]
            )
        self._write(
            "sensorfault",
            record_name("sensorfault", "weir"),
            "level-weir",
            "node-1",
            minutes_ago=5,
            reason="9.99 m is outside 0 to 8 m (gross range)",
            healed=False,
            quantity="river_level",
            check="gross_range",
        )
        self._write("forecast", FORECAST, "flood", "platform", minutes_ago=4, members=MEMBERS, model="water_spreads_over_ground")
        self._write("comparison", COMPARISON, "flood", "platform", minutes_ago=3, reason=self.comparison["reason"])

    def _write(self, kind: str, name: str, subject: str, actor: str, *, minutes_ago: float = 0.0, **fields: Any) -> None:
        moment = iso(START - timedelta(minutes=minutes_ago))
        number = len(self.entries) + 1
        self.entries.append(
            {
                "number": number,
                "id": name,
                "actor": actor,
                "written": moment,
                "record": {"kind": kind, "time": moment, "subject": subject, **fields},
            }
        )
        self.tell("record", {"number": number, "id": name, "kind": kind, "subject": subject})

    def tell(self, kind: str, data: Any) -> None:
        """Tell all who listen; may be called from any thread."""
        for loop, queue in list(self._listeners):
            loop.call_soon_threadsafe(queue.put_nowait, (kind, data))

    async def listen(self) -> AsyncIterator[bytes]:
        listener = (asyncio.get_running_loop(), asyncio.Queue[tuple[str, Any]]())
        self._listeners.append(listener)
        try:
            yield b"retry: 2000\n\n"
            while True:
                try:
                    kind, data = await asyncio.wait_for(listener[1].get(), 1.0)
                    yield b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._listeners.remove(listener)

    def raise_warning(self, hazard: str = "flood") -> None:
        """A new warning comes in, as the platform would tell it."""
        new = warning(
            "level-weir",
            3,
            1,
            0,
            "The river at Weir rises 0.9 m in an hour.",
            "river_rises_fast",
            0.9,
            "m/h",
            active=True,
            evidence=EVIDENCE,
        )
        new["hazard"] = hazard
        self.warnings.insert(0, new)
        self._write("warning", new["id"], new["site"], "platform", level=3, reason=new["reason"], cause=new["cause"])

    def tell_progress(self, done: int, total: int) -> None:
        self.progress = (
            None
            if done >= total
            else {"task": "Simulating", "done": done, "total": total, "message": "futures of the flood", "hazard": "flood"}
        )
        self.tell(
            "progress", {"task": "Simulating", "done": done, "total": total, "message": "futures of the flood", "hazard": "flood"}
        )

    def watch_gas_too(self) -> None:
        """A second hazard, with a red warning, a forecast and a ranking of its own."""
        self.hazards.append("chemical")
        gas = record_name("forecast", "gas")
        self.warnings.append(
            self.warnings[0]
            | {"id": record_name("warning", "gas"), "hazard": "chemical", "level": 2, "active": True, "rule": "gas"}
        )
        self.other_forecasts = [forecast(gas, 2) | {"hazard": "chemical", "model": "gas_spreads"}]
        ranked = comparison() | {"id": record_name("comparison", "gas"), "hazard": "chemical", "forecast": gas, "decision": None}
        self.other_comparisons = [ranked | {"reason": "the gas goes east"}]

    def decide(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["password"] != PASSWORD:
            return 403, error("Refused", "the password is wrong; nothing was signed")
        if self.comparison["decision"]:
            return 409, error("Conflict", "this comparison has been decided on; read it again")
        plan = next(p for p in PLANS if p.name == body["plan"])
        name = record_name("decision", body["plan"] + body["verdict"])
        self.decisions.insert(
            0,
            {
                "id": name,
                "time": iso(START),
                "plan": plan.name,
                "verdict": body["verdict"],
                "signer": NAME,
                "comment": body["comment"],
                "signature_ok": True,
            },
        )
        self.comparison["decision"] = name
        self._write("decision", name, "flood", NAME, verdict=body["verdict"], signer=NAME, comment=body["comment"])
        ids = []
        for i, what in enumerate(plan.actions if body["verdict"] == "approve" else ()):
            order = record_name("order", what.name)
            ids.append(order)
            due = START + timedelta(minutes=-5 if i == 0 else what.duration.high_min)
            target = {"police": "Riverside", "welfare": "shelters", "public_works": "quay gap", "fire_service": "Ferry Quay"}[
                what.role
            ]
            self.orders.append(
                {
                    "id": order,
                    "time": iso(START),
                    "plan": plan.name,
                    "action": what.name,
                    "do": what.do,
                    "role": what.role,
                    "target": target,
                    "needs": what.needs,
                    "start": iso(START),
                    "due": iso(due),
                    "state": "sent",
                    "overdue": i == 0,
                    "reports": [],
                }
            )
            self._write("order", order, target, NAME, do=what.do, role=what.role)
        return 200, {"id": name, "orders": ids}

    def rule(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
        one = next(a for a in self.appeals if a["id"] == name)
        one["ruling"] = {
            "appeal": name, "upheld": body["upheld"], "days": one["form"]["days"], "decided": iso(START), "reason": body["reason"], "signature": "s",
        }  # fmt: skip
        return 200, one["ruling"]

    def set_limits(self, texts: list[str], reason: str, password: str) -> tuple[int, Any]:
        if password != PASSWORD:
            return 403, error("Refused", "the password is wrong; nothing was signed")
        if any("frogs" in text for text in texts):
            return 400, error("InputError", "limit frogs <= 0: no figure 'frogs'; there are: cost, people_in_danger")
        name = record_name("hardlimits", f"{texts}{len(self.limits)}")
        self.limits.insert(0, {"id": name, "time": iso(START), "by": NAME, "limits": texts, "reason": reason, "signed": True})
        self._write("hardlimits", name, "twin", NAME, limits=texts, reason=reason)
        return 200, {"id": name, "comparison": COMPARISON}

    def undo_limits(self, reason: str, password: str) -> tuple[int, Any]:
        before = self.limits[1]["limits"] if len(self.limits) > 1 else []
        return self.set_limits(before, reason, password)

    def limits_now(self) -> dict[str, Any]:
        held = self.limits[0]["limits"] if self.limits else []
        names = [name for name, _, _ in zones()]
        return {"limits": held, "set": self.limits, "figures": ["people_in_danger", "cost"], "zones": names}

    def start_job(self, kind: str, body: dict[str, Any]) -> tuple[int, Any]:
        if "lake" in body.get("scenario", ""):
            return 400, error("InputError", "no water 'lake'; there are: river")
        job: dict[str, Any] = {
            "id": str(len(self.jobs) + 1),
            "kind": kind,
            "asked": "20 futures: level@river 4.2m",
            "by": NAME,
            "began": iso(START),
            "state": "running",
            "task": "trying plans",
            "done": 4,
            "total": 20,
            "ended": None,
            "why": "",
            "result": {},
        }
        self.jobs.insert(0, job)
        self.tell("job", job)
        return 200, job

    def finish_job(self, result: dict[str, Any]) -> None:
        """The newest job comes to its end."""
        self.jobs[0] |= {"state": "done", "result": result}
        self.tell("job", self.jobs[0])

    def cancel_job(self, job: str) -> tuple[int, Any]:
        found = next(j for j in self.jobs if j["id"] == job)
        found["state"] = "cancelled"
        self.tell("job", found)
        return 200, found

    def check_plan(self, body: dict[str, Any]) -> dict[str, Any]:
        faults = [
            {"path": ["actions", k, "when"], "message": f"action {a['name']!r}: no fact 'frogs'; there are: level_m@WATER, hours"}
            for k, a in enumerate(body["plan"]["actions"])
            if "frogs" in a["when"]
        ]
        for k, a in enumerate(body["plan"]["actions"]):
            d = a["duration"]
            if not 0 <= d["low_min"] <= d["usual_min"] <= d["high_min"]:
                message = (
                    f"duration {d['low_min']}, {d['usual_min']}, {d['high_min']} min; wanted 0 <= low <= usual <= high <= a year"
                )
                faults.append({"path": ["actions", k, "duration"], "message": message})
            faults += [
                {"path": ["actions", k, "effects"], "message": f"{e['verb']}: amount {e['amount']}; wanted a share"}
                for e in a["effects"]
                if e["verb"] == "move_population" and not 0 < e["amount"] <= 1
            ]
        faults += [
            {"path": ["levels", k, "enter"], "message": f"enter = {level['enter']!r}: no fact 'frogs'"}
            for k, level in enumerate(body["plan"]["levels"])
            if "frogs" in level["enter"]
        ]
        return {"ok": not faults, "faults": faults, "toml": f'name = "{body["plan"]["name"]}"\n', "digest": "d" * 64}

    def save_plan(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.saved.append(body["plan"] | {"digest": "d" * 64, "saved_by": NAME, "basis": []})
        self._write("libraryplan", record_name("libraryplan", body["plan"]["name"]), "plan", NAME, plan=body["plan"]["name"])
        return 200, {"id": "x", "plan": body["plan"]["name"], "digest": "d" * 64}

    def agree(self, level: str, body: dict[str, Any]) -> tuple[int, Any]:
        if body["password"] != PASSWORD:
            return 403, error("Refused", "the password is wrong; nothing was signed")
        running = self.executions[0]
        running["proposed"] = []
        found = next(one for one in running["levels"] if one["name"] == level)
        found["phase"] = "in" if body["agrees"] else "refused"
        self._write("planevent", record_name("planevent", level), level, NAME, plan=running["plan"], what="entered", reason="")
        return 200, {"id": "x"}

    def end_plan(self, body: dict[str, Any]) -> tuple[int, Any]:
        if body["password"] != PASSWORD:
            return 403, error("Refused", "the password is wrong; nothing was signed")
        self.executions[0] |= {"over": True, "ended": body["reason"], "proposed": []}
        return 200, {"id": "x"}

    def report(self, order_id: str, body: dict[str, Any]) -> tuple[int, Any]:
        order = next(o for o in self.orders if o["id"] == order_id)
        order["state"] = body["state"]
        order["overdue"] = False
        order["reports"].append({"time": iso(START), "state": body["state"], "text": body["text"], "by": NAME})
        name = record_name("report", order_id + body["state"])
        self._write("report", name, order["target"], NAME, state=body["state"], text=body["text"])
        return 200, {"id": name}

    def chain(self, record: str) -> tuple[int, Any]:
        kind = record.split("-")[0]
        if kind not in CHAIN_TEXT:
            return 404, error("NotFound", f"no record {record!r}")
        names = {
            "evidence": EVIDENCE,
            "warning": WARNINGS[0]["id"],
            "forecast": FORECAST,
            "hazard": "flood",
            "comparison": COMPARISON,
            "decision": record_name("decision", "x"),
            "order": record,
        }
        top, nodes = CHAIN_TEXT[kind][0], []
        for step, (depth, text) in CHAIN_TEXT.items():
            if depth >= top:
                name = record if step == kind else names[step]
                order = next((o["do"] for o in self.orders if o["id"] == name), text)
                moment = iso(START - timedelta(minutes=depth))
                nodes.append(
                    {
                        "id": name,
                        "kind": step,
                        "time": moment,
                        "actor": "node-1" if step == "evidence" else "platform",
                        "text": order,
                        "depth": depth - top,
                    }
                )
        nodes.sort(key=lambda n: n["depth"])
        return 200, {"nodes": nodes, "edges": [[a["id"], b["id"]] for a, b in itertools.pairwise(nodes)]}

    def note(self, body: dict[str, Any]) -> tuple[int, Any]:
        name = record_name("note", body["text"])
        self._write("note", name, body["subject"], NAME, text=body["text"])
        return 200, {"id": name}

    def release(self, draft: str) -> tuple[int, Any]:
        told = next(a for a in self.alerts if a["id"] == draft)
        name = record_name("alertdraft", draft)
        self.alerts = [told | {"id": name, "status": "Exercise", "draft": draft, "warning": None}, *self.alerts]
        self._write("alertdraft", name, told["headline"], NAME, status="Exercise", headline=told["headline"])
        return 200, {"id": name}

    def ledger(self) -> dict[str, Any]:
        root = hashlib.sha256(str(len(self.entries)).encode()).hexdigest()
        return {
            "size": len(self.entries),
            "root": root,
            "verified": self.verified,
            "checked_at": iso(START) if self.verified else None,
        }

    def verify(self) -> dict[str, Any]:
        self.verified = True
        return {
            "entries": len(self.entries),
            "root": self.ledger()["root"],
            "ok": True,
            "message": "every entry, link and signature holds",
        }


def error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message}}


def answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json", headers={"Cache-Control": "no-store"})


Reply = Callable[[Request, Any], Any]


def make_app(mock: Mock) -> Starlette:
    """The API of `mock`, and the built console at /."""

    def guarded(reply: Reply) -> Callable[[Request], Awaitable[Response]]:
        """Session, CSRF token, then the reply: a Response, (status, value), or a value."""

        async def endpoint(request: Request) -> Response:
            body = msgspec.json.decode(await request.body() or b"null")
            mock.requests.append(
                (request.method, request.url.path + (f"?{request.url.query}" if request.url.query else ""), body)
            )
            if request.cookies.get("tocsin_session") != "mock":
                return answer(error("NoSession", "no session: sign in first"), 401)
            if request.method != "GET" and request.headers.get("x-tocsin-csrf") != CSRF:
                return answer(error("NoSession", "the CSRF token is missing"), 401)
            reached = reply(request, body)
            if isinstance(reached, Response):
                return reached
            return answer(reached[1], reached[0]) if isinstance(reached, tuple) else answer(reached)

        return endpoint

    def route(path: str, reply: Reply, method: str = "GET") -> Route:
        return Route(f"/api/v1{path}", guarded(reply), methods=[method])

    async def status(request: Request) -> Response:
        signed_in = request.cookies.get("tocsin_session") == "mock"
        return answer(
            {
                "version": "0.1.0",
                "purpose": "exercise",
                "made_up": True,
                "name": district.NAME,
                "time": iso(START),
                "clock": {"speed": 1.0},
                "console": True,
                "signed_in": signed_in,
                "hazards": [{"hazard": hazard, "legend": legend()} for hazard in mock.hazards],
            }
        )

    def who() -> dict[str, Any]:
        return {"name": NAME, "roles": mock.roles, "may": acts_of(frozenset(mock.roles)), "csrf": CSRF}

    async def sign_in(request: Request) -> Response:
        body = await request.json()
        if (body["name"], body["password"]) != (NAME, PASSWORD):
            return answer(error("Refused", "name or password is wrong"), 403)
        response = answer(who())
        response.set_cookie("tocsin_session", "mock", httponly=True, samesite="strict")
        return response

    def sign_out(request: Request, body: Any) -> Response:
        response = answer({})
        response.delete_cookie("tocsin_session")
        return response

    async def ruling(request: Request) -> Response:
        """For whoever knows the appeal's name; no session."""
        one = next((a for a in mock.appeals if a["id"] == request.path_params["name"]), None)
        return answer({"ruling": one["ruling"]}) if one else answer(error("NotFound", "exposure: no such appeal"), 404)

    def one_gauge(request: Request, body: Any) -> Any:
        found = next((g for g in mock.gauges if g["site"] == request.path_params["site"]), None)
        if found is None:
            return 404, error("NotFound", f"no gauge {request.path_params['site']!r}")
        rows = found["sparkline"][-int(float(request.query_params["hours"]) * 4) :]
        return found | {"series": {"time_ms": [r[0] for r in rows], "value": [r[1] for r in rows], "flag": [r[2] for r in rows]}}

    def assets(request: Request, body: Any) -> Any:
        rows = ASSETS.get(request.path_params["kind"], [])
        return collection(
            [
                feature(shapely.Point(lonlat(x, y)), id=i, name=name, sort=sort, amount=n, unit=unit)
                for i, name, sort, n, unit, x, y in rows
            ]
        )

    def tiles(request: Request, body: Any) -> Response:
        wanted = request.headers.get("range", "")
        data = base_map()
        if not wanted:
            return Response(data, media_type="application/vnd.pmtiles")
        first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        return Response(
            part,
            206,
            media_type="application/vnd.pmtiles",
            headers={"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"},
        )

    def here(request: Request, body: Any) -> Any:
        at = cell(float(request.query_params["lon"]), float(request.query_params["lat"]))
        if at is None:
            return 404, error("NotFound", "this place lies outside the twin")
        peaks = depths().max(axis=0)[:, at[0], at[1]]
        low, middle, high = (float(np.quantile(peaks, q)) for q in (0.05, 0.5, 0.95))
        chance = float((peaks > 0.3).mean())
        return {
            "depth": {"q05": low, "q50": middle, "q95": high},
            "chance": chance,
            "arrival_h": {"q05": 0.5, "q50": 1.2, "q95": 2.6} if chance else None,
            "people": 11.4,
        }

    q = "view", "frame"
    routes: list[Route | Mount] = [
        Route("/api/v1/status", status),
        Route("/api/v1/session", sign_in, methods=["POST"]),
        route("/session", lambda r, b: who()),
        route("/session", sign_out, "DELETE"),
        route("/twin", lambda r, b: TWIN),
        route("/twin/assets/{kind}", assets),
        route("/tiles/base.pmtiles", tiles),
        route(
            "/tiles/terrain/{z:int}/{x:int}/{y:int}.png",
            lambda r, b: Response(terrain_tile(*(r.path_params[k] for k in "zxy")), media_type="image/png"),
        ),
        route("/gauges", lambda r, b: mock.gauges),
        route("/sources", lambda r, b: sources()),
        route("/gauges/{site}", one_gauge),
        route("/warnings", lambda r, b: mock.warnings),
        route("/alerts", lambda r, b: mock.alerts),
        route("/alerts/{alert}/release", lambda r, b: mock.release(r.path_params["alert"]), "POST"),
        route("/alerts/{alert}", lambda r, b: Response("<alert/>", media_type="application/cap+xml")),
        route("/forecasts", lambda r, b: [forecast(FORECAST, 4), *mock.other_forecasts, forecast(EARLIER, 70)]),
        route(
            "/forecasts/{forecast}/depth.png",
            lambda r, b: Response(
                depth_png(*(r.query_params[k] for k in q)),
                media_type="image/png",
                headers={"Cache-Control": "private, max-age=3600"},
            ),
        ),
        route("/forecasts/{forecast}/at", here),
        route("/forecasts/{forecast}/roads", lambda r, b: roads_cut(*(r.query_params[k] for k in q))),
        route("/forecasts/{forecast}/zones", lambda r, b: ZONE_RISKS),
        route("/forecasts/{forecast}/chains", lambda r, b: CHAINS),
        route("/plans", lambda r, b: [*(msgspec.to_builtins(p) | {"digest": p.digest()} for p in PLANS), *mock.saved]),
        route("/plans", lambda r, b: mock.save_plan(b), "POST"),
        route(
            "/plans/options",
            lambda r, b: {
                "hazard": r.query_params["hazard"],
                "plan": msgspec.to_builtins(PLANS[0]) | {"resources": {"crews": 6, "buses": 12}},
                "roles": ["police", "fire"],
                "agreeing": ["operator", "commander"],
                "verbs": VERBS,
                "zones": [name for name, _, _ in zones()],
            },
        ),
        route("/plans/check", lambda r, b: mock.check_plan(b), "POST"),
        route(
            "/scenario",
            lambda r, b: {
                "hazard": r.query_params["hazard"],
                "toml": SCENARIO,
                "why_not_now": "",
                "drives": {},
                "waters": [],
                "knobs": {},
                "members_most": 500,
            },
        ),
        route("/futures", lambda r, b: []),
        route("/jobs", lambda r, b: mock.jobs),
        route("/jobs/{job}/cancel", lambda r, b: mock.cancel_job(r.path_params["job"]), "POST"),
        route("/jobs/{kind}", lambda r, b: mock.start_job(r.path_params["kind"], b), "POST"),
        route("/exposure/appeals", lambda r, b: mock.appeals),
        route("/exposure/appeals/{name}/ruling", lambda r, b: mock.rule(r.path_params["name"], b), "POST"),
        Route("/api/v1/exposure/appeals/{name}/ruling", ruling),
        route("/limits", lambda r, b: mock.limits_now()),
        route("/limits", lambda r, b: mock.set_limits(b["limits"], b["reason"], b["password"]), "POST"),
        route("/limits/undo", lambda r, b: mock.undo_limits(b["reason"], b["password"]), "POST"),
        route("/executions", lambda r, b: mock.executions),
        route("/executions/{decision}/levels/{level}", lambda r, b: mock.agree(r.path_params["level"], b), "POST"),
        route("/executions/{decision}/end", lambda r, b: mock.end_plan(b), "POST"),
        route(
            "/comparisons/{comparison}/courses/{plan}",
            lambda r, b: course() if r.path_params["plan"] == PLANS[0].name else (404, error("NotFound", "no courses are kept")),
        ),
        route("/comparisons", lambda r, b: [mock.comparison, *mock.other_comparisons]),
        route("/decisions", lambda r, b: mock.decide(b), "POST"),
        route("/decisions", lambda r, b: mock.decisions),
        route("/orders", lambda r, b: mock.orders),
        route("/orders/{order}/reports", lambda r, b: mock.report(r.path_params["order"], b), "POST"),
        route("/notes", lambda r, b: mock.note(b), "POST"),
        route("/records", lambda r, b: [e for e in mock.entries if e["number"] > int(r.query_params["after"])]),
        route("/records/{record}/chain", lambda r, b: mock.chain(r.path_params["record"])),
        route("/ledger", lambda r, b: mock.ledger()),
        route("/ledger/verify", lambda r, b: mock.verify(), "POST"),
        route("/progress", lambda r, b: mock.progress),
        route("/events", lambda r, b: StreamingResponse(mock.listen(), media_type="text/event-stream")),
    ]

    async def index(request: Request) -> Response:
        return FileResponse(
            CONSOLE / "index.html",
            headers={
                "Cache-Control": "no-cache",
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "X-Content-Type-Options": "nosniff",
            },
        )

    return Starlette(routes=[*routes, Route("/", index), Mount("/", StaticFiles(directory=CONSOLE))])


class Running:
    """The mock on a port, in a thread of its own; it can be stopped and started again, like a server that is lost for a while."""

    def __init__(self, mock: Mock, port: int = 0) -> None:
        self.mock, self._port = mock, port
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(make_app(self.mock), log_level="critical", lifespan="off", timeout_graceful_shutdown=0)
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


if __name__ == "__main__":
    running = Running(Mock(), 8000)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        running.stop()
