"""How the fire spreads: the twin's ground and fuel, the weather that is given, where it starts, and the lines that crews cut, given to the fire kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Drive, Effect, Future, Knob, Model, Verb
from tocsin.pack.model import series_of
from tocsin.pack.places import places_of
from tocsin.packs.wildfire.embers import EMBER_KNOBS, embers_of, remarks, run_with_embers
from tocsin.packs.wildfire.quantities import (
    AIR_TEMPERATURE,
    ELEVATION,
    EMBER_DISTANCE,
    FIRELINE_INTENSITY,
    FLAME_LENGTH,
    FUEL_MODEL,
    IGNITION_RADIUS,
    RELATIVE_HUMIDITY,
    SPREAD_RATE,
    WIND_FROM,
    WIND_SPEED,
)
from tocsin.science.fire_growth import FireLine, FireProblem, Weather, line_along
from tocsin.science.fire_spotting import farthest_m
from tocsin.science.fire_spread import Canopy, Moisture
from tocsin.science.fire_weather import dead_fuel_moisture
from tocsin.vocabulary import InputError, Member, NotFound, Series, World

WATER = 98  # Scott & Burgan: open water
IGNITION_SORTS = ("zone", "line", "point")
COURSE_POINTS = 200


def fire_spreads(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """Rothermel's fire over the twin's fuel and slope, in a wind that changes; lines stop it from when they are built, its embers fly over them."""
    knobs = future.knobs
    fuel, uniform = _fuel(world, knobs["fuel_model"])
    start, start_s = _starts(world, future, effects)
    problem = FireProblem(
        fuel=fuel,
        cell_m=world.grid.cell_m,
        weather=_weather(future),
        start=np.column_stack(np.divmod(start, world.grid.cols)),
        start_s=start_s,
        elevation_m=world.field(ELEVATION).astype(np.float64),
        canopy=Canopy(
            knobs["canopy_cover"],
            knobs["canopy_height_m"],
            min(knobs["canopy_base_height_m"], knobs["canopy_height_m"]),
            knobs["canopy_bulk_density_kg_per_m3"],
        ),
        lines=_lines(world, effects),
        line_holds_kw_per_m=knobs["line_holds_kw_per_m"],
        rate_factor=knobs["rate_factor"],
    )
    air_c = np.array([_air_c(future, w.begin_s) for w in problem.weather])
    spotted = run_with_embers(problem, knobs, future.seed, duration_s=future.duration_s, air_c=air_c)
    run = spotted.run
    arrival = run.arrival_s.reshape(-1)
    burns = np.isfinite(arrival)
    heat = run.intensity_kw_per_m.reshape(-1).astype(np.float32)
    cell_ha = world.grid.cell_m**2 / 10_000.0
    return Member(
        heat,
        arrival.astype(np.float32),
        np.where(burns, np.minimum(run.end_s.reshape(-1), future.duration_s), np.inf).astype(np.float32),
        {
            FLAME_LENGTH.name: run.flame_length_m.reshape(-1).astype(np.float32),
            SPREAD_RATE.name: run.rate_m_per_min.reshape(-1).astype(np.float32),
            EMBER_DISTANCE.name: farthest_m(problem, run, embers_of(knobs).trees).reshape(-1).astype(np.float32),
        },
        np.stack([np.where(arrival <= t, heat, np.float32(0.0)) for t in frame_s]) if len(frame_s) else None,
        {
            "burnt_ha": float(burns.sum()) * cell_ha,
            "intensity_most_kw_per_m": float(heat.max(initial=0.0)),
            "uniform_fuel_model": uniform,
            "starts": float(start.size),
            "starts_on_bare_ground": float((fuel.reshape(-1)[start] >= 91).sum() if uniform == 0 else 0.0),
            "embers": float(knobs["embers_per_gj"] > 0.0),
            "spot_fires": float(spotted.target.size),
            "spot_fires_cut": float(spotted.is_cut),
        },
        {
            "burnt_ha": _so_far(run.arrival_s[np.isfinite(run.arrival_s)], cell_ha, future.duration_s),
            "spot_fires": _so_far(spotted.lights_s, 1.0, future.duration_s),
        },
    )


def forcing(future: Future, name: str, time_s: float) -> float:
    """What a forcing comes to in a future, its knobs included; weather holds in steps."""
    value = _at(series_of(future, name), time_s)
    match name.partition("@")[0]:
        case "wind_speed":
            return value * future.knobs["wind_factor"]
        case "wind_from":
            return (value + future.knobs["wind_turn_deg"]) % 360.0
        case _:
            return value


def _at(series: Series, time_s: float) -> float:
    return float(series.value[max(int(np.searchsorted(series.time_s, time_s, side="right")) - 1, 0)])


def _weather(future: Future) -> tuple[Weather, ...]:
    """Wind and moisture from each time on at which one of them changes. Raises InputError without a wind."""
    if "wind_speed" not in future.series or "wind_from" not in future.series:
        raise InputError(
            "wildfire: wind_speed and wind_from are needed; give e.g. --drive wind_speed=8m/s --drive wind_from=310deg (0 m/s where it is calm)"
        )
    told = [name for name in ("wind_speed", "wind_from", "air_temperature", "relative_humidity") if name in future.series]
    if ("air_temperature" in told) != ("relative_humidity" in told):
        raise InputError(
            "wildfire: air_temperature and relative_humidity go together: the moisture of dead fuel is worked out from both"
        )
    times = sorted({0.0, *(float(t) for name in told for t in future.series[name].time_s if 0.0 < t < future.duration_s)})
    return tuple(
        Weather(t, forcing(future, "wind_speed", t), forcing(future, "wind_from", t), _moisture(future, t)) for t in times
    )


def _moisture(future: Future, time_s: float) -> Moisture:
    """From the air where it is told, else from the knobs; in both cases the knob `dead_moisture_offset` is added."""
    knobs = future.knobs
    dead = [knobs["dead_1h"], knobs["dead_10h"], knobs["dead_100h"]]
    if "air_temperature" in future.series:
        fine = float(dead_fuel_moisture(forcing(future, "air_temperature", time_s), forcing(future, "relative_humidity", time_s)))
        dead = [fine, fine + 0.01, fine + 0.02]
    dead = [max(share + knobs["dead_moisture_offset"], 0.01) for share in dead]
    return Moisture(dead[0], dead[1], dead[2], knobs["live_herbaceous"], knobs["live_woody"])


def _air_c(future: Future, time_s: float) -> float:
    told = "air_temperature" in future.series
    return forcing(future, "air_temperature", time_s) if told else future.knobs["air_temperature_degc"]


def _fuel(world: World, wanted: float) -> tuple[NDArray[np.int64], float]:
    """The twin's fuel, or one fuel model for all ground but water. Raises InputError where there is neither."""
    uniform = round(wanted)
    if uniform:
        fuel = np.full(world.grid.cells, uniform, np.int64)
        for name in world.waters():
            fuel[world.water(name).place] = WATER
        return fuel.reshape(world.grid.shape), float(uniform)
    try:
        field = world.field(FUEL_MODEL)
    except NotFound as missing:
        raise InputError(
            "wildfire: the twin has no field fuel_model (numbers of Anderson or Scott & Burgan); build it with --field fuel_model=FILE.tif, or take one "
            "fuel for all ground: --knob fuel_model=2 (timber with grass; 1 short grass, 4 chaparral, 8 litter)"
        ) from missing
    known = np.nan_to_num(field.astype(np.float64), nan=99.0)
    return np.rint(known).astype(np.int64), 0.0


def _starts(world: World, future: Future, effects: Sequence[Effect]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cells that are set alight and when: at the first time at which a start's radius is above 0. Power that is shut off before starts nothing."""
    cells: list[NDArray[np.int64]] = []
    times: list[NDArray[np.float64]] = []
    off = {e.target: e.start_s for e in effects if e.verb == "shut_off_power"}
    any_given = False
    for name, series in future.series.items():
        kind, _, where = name.partition("@")
        if kind != "ignition":
            continue
        any_given = True
        lit = np.flatnonzero(series.value > 0)
        if not lit.size:
            continue
        time_s, radius_m = float(max(series.time_s[lit[0]], 0.0)), float(series.value[lit[0]])
        if off.get(where, np.inf) <= time_s:
            continue
        found = _within(world, places_of(world, IGNITION_SORTS, where), radius_m)
        cells.append(found)
        times.append(np.full(found.size, time_s))
    if not any_given:
        raise InputError(
            "wildfire: no ignition; give e.g. --drive ignition@-51.20,-30.05=30m (a point lon,lat, a zone or a line, and a radius)"
        )
    if not cells:
        return np.empty(0, np.int64), np.empty(0)
    return np.concatenate(cells), np.concatenate(times)


def _within(world: World, places: NDArray[np.int64], radius_m: float) -> NDArray[np.int64]:
    """The cells whose middle is within a radius of one of some cells' middles, those themselves included."""
    grid = world.grid
    reach = int(radius_m / grid.cell_m)
    if reach == 0:
        return places
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    near = np.hypot(down, right) * grid.cell_m <= radius_m
    row, col = (part[:, None] + step[near] for part, step in zip(np.divmod(places, grid.cols), (down, right), strict=True))
    inside = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols)
    return np.unique((row * grid.cols + col)[inside])


def _lines(world: World, effects: Sequence[Effect]) -> tuple[FireLine, ...]:
    """A firebreak stands whole from its start; a suppression line grows from its first point at its rate, m/min."""
    grid, made = world.grid, []
    for effect in effects:
        if effect.verb not in ("cut_firebreak", "suppress"):
            continue
        line = world.line(effect.target)
        corners = np.column_stack([(grid.y_max_m - line.y_m) / grid.cell_m, (line.x_m - grid.x_min_m) / grid.cell_m])
        rate = np.inf if effect.verb == "cut_firebreak" else effect.amount
        one = line_along(corners, grid.shape, grid.cell_m, start_s=effect.start_s, rate_m_per_min=rate)
        if not len(one.west_of) + len(one.north_of):
            raise InputError(f"{effect.verb} {effect.target}: the line parts no two cells of {grid.cell_m:g} m; draw it longer")
        made.append(one)
    return tuple(made)


def _so_far(times_s: NDArray[np.float64], each: float, duration_s: float) -> Series:
    """How much there has been up to each moment, where each of some times adds the same."""
    times = np.linspace(0.0, duration_s, COURSE_POINTS)
    return Series.of(times, np.searchsorted(np.sort(times_s.reshape(-1)), times, side="right") * each)


FIRE_SPREADS = Model(
    name="fire_spreads",
    reads=(ELEVATION,),
    makes=FIRELINE_INTENSITY,
    run=fire_spreads,
    knobs={
        "fuel_model": Knob(
            "1", 0.0, 0.0, 204.0, "one fuel for all ground but water (Anderson, Scott & Burgan); 0: the twin's field fuel_model"
        ),
        "wind_factor": Knob("1", 0.0, 1.0, 3.0, "multiplies the wind"),
        "wind_turn_deg": Knob("deg", -180.0, 0.0, 180.0, "added to the direction that the wind comes from"),
        "rate_factor": Knob(
            "1", 0.2, 1.0, 5.0, "multiplies the rate of spread: 0.65..1.35 is what Cruz & Alexander 2013 call a reasonable error"
        ),
        "dead_1h": Knob("1", 0.01, 0.06, 0.40, "moisture of dead fuel below 6 mm, share of dry weight, where no air is told"),
        "dead_10h": Knob("1", 0.01, 0.07, 0.40, "the same, 6 to 25 mm"),
        "dead_100h": Knob("1", 0.01, 0.08, 0.40, "the same, 25 to 75 mm"),
        "dead_moisture_offset": Knob("1", -0.10, 0.0, 0.20, "added to the moisture of dead fuel"),
        "live_herbaceous": Knob("1", 0.30, 0.60, 3.0, "moisture of live grass: cured at 0.3, green from 1.2 on"),
        "live_woody": Knob("1", 0.50, 0.90, 3.0, "moisture of live twigs and needles"),
        "canopy_cover": Knob("1", 0.0, 0.0, 1.0, "share of timber's ground that crowns cover; 0: the wind reaches the ground"),
        "canopy_height_m": Knob("m", 0.0, 0.0, 100.0, "height of trees over timber fuels"),
        "canopy_base_height_m": Knob("m", 0.0, 0.0, 60.0, "height of their lowest branches"),
        "canopy_bulk_density_kg_per_m3": Knob("kg/m3", 0.0, 0.0, 1.0, "needles in the crowns' space; 0: crowns do not burn"),
        "line_holds_kw_per_m": Knob(
            "kW/m",
            0.0,
            1_730.0,
            20_000.0,
            "a line stops fires below this: 500 Btu/ft/s, up to which machines work at the head (Andrews & Rothermel 1982, INT-131, as quoted; unverified)",
        ),
        **EMBER_KNOBS,
    },
    series={
        "wind_speed": Drive(WIND_SPEED, "wind at 10 m over open ground", stepwise=True),
        "wind_from": Drive(WIND_FROM, "where the wind comes from, clockwise from north", stepwise=True),
        "air_temperature": Drive(
            AIR_TEMPERATURE, "air temperature; with humidity it gives the moisture of dead fuel", stepwise=True
        ),
        "relative_humidity": Drive(RELATIVE_HUMIDITY, "relative humidity of the air", stepwise=True),
        "ignition@": Drive(
            IGNITION_RADIUS,
            "where it starts to burn, within a radius, at the first time above 0",
            "zone|line|point",
            stepwise=True,
        ),
    },
    acts_on={
        "cut_firebreak": Verb("line", "clear a line of all fuel; it stands whole when the action is done"),
        "suppress": Verb("line", "build a line from its first point on at this rate", "m/min", 0.01, 10_000.0),
        "shut_off_power": Verb("drive:ignition@", "take the power off before it starts a fire there"),
    },
    source="Rothermel 1972 (INT-115), Albini 1976 (INT-30), Andrews 2018 (RMRS-GTR-371); fuels: Anderson 1982 (INT-122), Scott & Burgan 2005 (RMRS-GTR-153); shape: Anderson 1983 (INT-305); "
    "crowns: Van Wagner 1977, Cruz et al. 2005; wind at midflame: Andrews 2012 (RMRS-GTR-266); dead fuel moisture: Cohen & Deeming 1985 (PSW-82); "
    "embers: how far Albini 1983 (INT-309) and 1979 (INT-56), whether they light Schroeder 1969, how many and where as pyretechnics and ELMFIRE have it (unverified)",
    limits="how many embers fly is not known within a factor of 1,000, no houses that burn, no fire that makes its own wind, one wind for the whole place; rates of spread are wrong by half and more; fuel is as good as its map",
    forcing=forcing,
    remarks=remarks,
)
