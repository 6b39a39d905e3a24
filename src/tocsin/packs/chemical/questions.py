"""Where does it come from? A table of what sensors smelt, or did not, and of the wind, and the place and rate that explain it, with the doubt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Answer, Column, Knob, Question, Table
from tocsin.packs.chemical.model import WIDE
from tocsin.science.dispersion import GROUNDS, carrying_wind
from tocsin.science.puffs import going_to
from tocsin.science.source_location import SCATTER, TURN_DEG, Sensors, find_source
from tocsin.vocabulary import Estimate, InputError, World

SIDE = 60  # candidate cells along each side where there is no twin
ROWS_MOST = 2_000
METRES_PER_DEGREE = 111_195.0  # of a sphere of 6,371 km
CANDIDATES_MOST = 40_000


def source(world: World | None, table: Table, settings: Mapping[str, float]) -> Answer:
    """The chance of each place, the rate, and the regions that hold the source with 50 and 90 %."""
    kept = np.isfinite(table["concentration"]) & np.isfinite(table["longitude"]) & np.isfinite(table["latitude"])
    windy = np.isfinite(table["wind_speed"]) & np.isfinite(table["wind_from"])
    if not (kept & windy).any():
        raise InputError("source: no row has a reading, a place and a wind; wanted one or more")
    remarks = [f"{int((~kept).sum())} rows without a reading or a place were left out"] if (~kept).any() else []
    names, lon, lat, reading, sees = _by_sensor(table, kept, settings)
    to_metres, to_lonlat = _frame(world, lon, lat)
    sensor_x, sensor_y = to_metres(lon, lat)
    x_m, y_m, cell_m = candidates(world, sensor_x, sensor_y, settings["reach_km"] * 1000.0)
    ground = next(name for name in GROUNDS if WIDE[name] == round(settings["ground"]))
    carried = carrying_wind(table["wind_speed"][kept & windy], round(settings["stability"]), ground)
    east, north = going_to(carried, table["wind_from"][kept & windy])
    found = find_source(
        Sensors(sensor_x, sensor_y, reading, sees),
        x_m,
        y_m,
        wind_east=east,
        wind_north=north,
        stability=round(settings["stability"]),
        ground=ground,
        cell_m=cell_m,
        scatter=float(np.log(settings["scatter_factor"])),
        turn_deg=settings["wind_error_deg"],
    )
    if found.seen == 0:
        remarks.append("no sensor saw gas: what is left is where it could hide")
    elif found.seen < 3:
        remarks.append(f"only {found.seen} of {len(names)} sensors saw gas: the place and the rate can hardly be told apart")
    inside, half = found.region(0.9), found.region(0.5)
    place_lon, place_lat = to_lonlat(x_m, y_m)
    likely = np.flatnonzero(inside)
    likely = likely[np.argsort(-found.chance[likely], kind="stable")][:ROWS_MOST]
    area_km2 = cell_m**2 / 1e6
    if inside.sum() > ROWS_MOST:
        remarks.append(f"the region of 90 % has {int(inside.sum()):,} cells; the table has the {ROWS_MOST:,} likeliest")
    return Answer(
        {
            "longitude": _told(place_lon, found.chance, "deg"),
            "latitude": _told(place_lat, found.chance, "deg"),
            "rate": Estimate(found.rate_kg_per_s, found.rate_low, found.rate_kg_per_s, found.rate_high, "kg/s"),
            "region_50": _certain(float(half.sum()) * area_km2, "km2"),
            "region_90": _certain(float(inside.sum()) * area_km2, "km2"),
            "cell": _certain(cell_m, "m"),
            "wind_error": _certain(found.turn_deg, "deg"),
            "sensors_that_saw_gas": _certain(float(found.seen), "1"),
        },
        {
            "longitude": place_lon[likely],
            "latitude": place_lat[likely],
            "chance": found.chance[likely],
            "in_region_50": half[likely].astype(np.float64),
        },
        {"longitude": "deg", "latitude": "deg", "chance": "1", "in_region_50": "1"},
        tuple(remarks),
    )


def _by_sensor(
    table: Table, kept: NDArray[np.bool_], settings: Mapping[str, float]
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean reading of each sensor, kg/m3, with its place and what it sees from."""
    label = (
        table["sensor"]
        if "sensor" in table
        else np.array([f"{a:.6f},{b:.6f}" for a, b in zip(table["longitude"], table["latitude"], strict=True)], object)
    )
    names = sorted({str(name) for name in label[kept]})
    least = table["sees_from"] if "sees_from" in table else np.full(kept.size, np.nan)
    rows = [np.flatnonzero(kept & (label == name)) for name in names]
    mean = [
        np.array([column[r].mean() for r in rows]) for column in (table["longitude"], table["latitude"], table["concentration"])
    ]
    sees = np.array([np.nanmean(least[r]) if np.isfinite(least[r]).any() else settings["sees_from_mg_per_m3"] for r in rows])
    if (sees <= 0).any():
        raise InputError("source: sees_from of 0 or less; wanted the least that a sensor can tell from nothing")
    return names, mean[0], mean[1], mean[2] * 1e-6, sees * 1e-6


def _frame(world: World | None, lon: NDArray[np.float64], lat: NDArray[np.float64]):  # type: ignore[no-untyped-def]
    """Degrees to metres and back: the twin's, or a plane that touches the middle of the sensors."""
    if world is not None:
        from pyproj import Transformer  # a node at the edge asks no questions

        there = Transformer.from_crs("EPSG:4326", world.grid.crs, always_xy=True)
        back = Transformer.from_crs(world.grid.crs, "EPSG:4326", always_xy=True)
        return (lambda a, b: tuple(np.asarray(v, np.float64) for v in there.transform(a, b))), (
            lambda a, b: tuple(np.asarray(v, np.float64) for v in back.transform(a, b))
        )
    lon_0, lat_0 = float(lon.mean()), float(lat.mean())
    across = METRES_PER_DEGREE * float(np.cos(np.deg2rad(lat_0)))
    return (
        lambda a, b: ((a - lon_0) * across, (b - lat_0) * METRES_PER_DEGREE),
        lambda a, b: (a / across + lon_0, b / METRES_PER_DEGREE + lat_0),
    )


def candidates(
    world: World | None, x_m: NDArray[np.float64], y_m: NDArray[np.float64], reach_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Middles of the cells where it may be, and their side: those of a square about the sensors, within the twin where there is one."""
    west, east, south, north = x_m.min() - reach_m, x_m.max() + reach_m, y_m.min() - reach_m, y_m.max() + reach_m
    side = max(east - west, north - south)
    if world is not None:
        low_x, low_y, high_x, high_y = world.grid.bounds_m
        west, east, south, north = max(west, low_x), min(east, high_x), max(south, low_y), min(north, high_y)
        if not (west < east and south < north):
            raise InputError("source: the sensors lie outside the twin; leave --twin out, or check longitude and latitude")
        side = max(east - west, north - south)
    cell = max(side / SIDE, np.sqrt((east - west) * (north - south) / CANDIDATES_MOST))
    grid_x, grid_y = np.meshgrid(np.arange(west + cell / 2, east, cell), np.arange(south + cell / 2, north, cell))
    return grid_x.ravel(), grid_y.ravel(), float(cell)


def _told(value: NDArray[np.float64], chance: NDArray[np.float64], unit: str) -> Estimate:
    order = np.argsort(value, kind="stable")
    share = np.cumsum(chance[order]) - 0.5 * chance[order]
    low, middle, high = np.interp([0.05, 0.5, 0.95], share, value[order])
    return Estimate(float(value @ chance), float(low), float(middle), float(high), unit)


def _certain(value: float, unit: str) -> Estimate:
    return Estimate(value, value, value, value, unit)


SOURCE = Question(
    "source",
    "where gas is let go, and how much, from what sensors read and the wind",
    (
        Column("sensor", "text", "which sensor; rows of one are averaged", needed=False, also=("site", "station")),
        Column("longitude", "deg", "of the sensor", also=("lon",)),
        Column("latitude", "deg", "of the sensor", also=("lat",)),
        Column("concentration", "mg/m3", "what it read; 0 where it saw nothing", also=("reading", "value")),
        Column("sees_from", "mg/m3", "the least that it can tell from nothing", needed=False, also=("detection_limit", "lod")),
        Column("wind_speed", "m/s", "at 10 m, at the time of the row", also=("wind",)),
        Column("wind_from", "deg", "where the wind came from, clockwise from north", also=("wind_direction",)),
        Column("time", "time", "when", needed=False),
    ),
    source,
    "Keats, Yee & Lien 2007, Atmos. Environ. 41:465-479; scatter: Chang & Hanna 2004, Meteorol. Atmos. Phys. 87:167-196",
    "one steady source on flat open ground, a steady wind, readings that are means of ten minutes or more; with few sensors that saw gas the region is large and says so",
    {
        "stability": Knob("1", 1.0, 4.0, 6.0, "Pasquill's class, 1 (A) to 6 (F)"),
        "ground": Knob("1", 0.0, 0.0, 2.0, "0 open country (Briggs), 1 town (Briggs), 2 open country (Pasquill-Gifford)"),
        "scatter_factor": Knob(
            "1", 1.05, float(np.exp(SCATTER)), 10.0, "by which factor a reading is usually off the model (a standard deviation)"
        ),
        "wind_error_deg": Knob("deg", 0.0, TURN_DEG, 45.0, "standard deviation of the error of the wind's direction"),
        "sees_from_mg_per_m3": Knob(
            "mg/m3", 1e-6, 0.1, 1_000.0, "the least that a sensor can tell from nothing, where its row does not say"
        ),
        "reach_km": Knob("km", 0.05, 2.0, 20.0, "how far beyond the outermost sensors it may be"),
    },
)
