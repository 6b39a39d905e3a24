"""How the water spreads: the twin's ground, what comes down, in and up, and what a plan raises or opens, given to the flood kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
import numpy as np

from tocsin.pack import Drive, Effect, Future, Knob, Model, Verb
from tocsin.pack.model import Run, series_of
from tocsin.pack.places import along_line
from tocsin.packs.flood.quantities import (
    DISCHARGE,
    ELEVATION,
    FLOOD_DEPTH,
    FLOOD_SPEED,
    MANNING,
    RAIN_RATE,
    RIVER_LEVEL,
    WATER_DEPTH,
)
from tocsin.packs.flood.sketch import COARSER, can_sketch, coarse_problem, coarse_shape, member_of, moments_s
from tocsin.science.faces import along
from tocsin.science.shallow_water import ConstantLoss, FloodProblem, GreenAmpt, Inflow, Rain, Stage, Wall, simulate
from tocsin.vocabulary import InputError, Member, NotFound, Series, World

ARRIVES_AT_M = 0.1  # from this depth on water is said to have arrived; the kernel's own `wet_depth_m`
STEADY_M_PER_H = 2e-4  # water that changes less is steady: a choice of ours; see docs/science/flood-kernel.md for what it changes
OPEN_CREST_M = -1_000.0  # a crest below all ground: the ground counts


def problem_of(world: World, future: Future, walls: tuple[Wall, ...]) -> FloodProblem:
    """What the kernel is given: rain, inflow, levels held at lakes, and walls, on the twin's grid."""
    knobs, grid = future.knobs, world.grid
    ground_m = world.field(ELEVATION).astype(np.float64)
    inflows, stages = [], []
    rain = None
    for name, series in future.series.items():
        kind, _, where = name.partition("@")
        if kind == "rain":
            rain = Rain(Series.of(series.time_s, series.value * knobs["rain_factor"]))
        elif kind == "inflow":
            cells = _entry(world, where, ground_m)
            inflows.append(Inflow(cells, Series.of(series.time_s, series.value * knobs["inflow_factor"])))
        else:
            water = world.water(where)
            cells = np.column_stack(np.divmod(water.place, grid.cols))
            stages.append(Stage(cells, Series.of(series.time_s, series.value + water.gauge_zero_m + knobs["level_offset_m"])))
    return FloodProblem(
        ground_m=ground_m,
        cell_m=grid.cell_m,
        manning=world.field(MANNING).astype(np.float64) * knobs["manning_factor"],
        initial_depth_m=_water_now(world),
        rain=rain,
        infiltration=_infiltration(knobs),
        inflows=tuple(inflows),
        stages=tuple(stages),
        walls=walls,
        edges="open",
    )


def water_runs_over_the_ground(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """Two-dimensional shallow water on the twin's grid, with rain, inflow, levels held at lakes, and barriers raised or breached."""
    run = simulate(
        problem_of(world, future, _walls(world, effects)),
        duration_s=future.duration_s,
        frame_times_s=tuple(frame_s),
        wet_depth_m=ARRIVES_AT_M,
        steady_m_per_h=STEADY_M_PER_H,
    )
    balance = run.balance
    frames = run.frames_m.reshape(len(frame_s), -1) if len(frame_s) else None
    return Member(
        run.peak_depth_m.reshape(-1),
        run.arrival_s.reshape(-1),
        run.end_s.reshape(-1),
        {FLOOD_SPEED.name: run.peak_speed_m_per_s.reshape(-1)},
        frames,
        {
            "steps": float(run.steps),
            "cell_steps": float(run.cell_steps),
            "rain_m3": balance.rain_m3,
            "inflow_m3": balance.inflow_m3,
            "stored_m3": balance.stored_m3,
            "balance_error_share": balance.error_share,
            "computed_s": min(run.steady_from_s, run.duration_s),
        },
    )


def _infiltration(knobs: Mapping[str, float]) -> GreenAmpt | ConstantLoss | None:
    """What the ground takes: a constant rate, or soil after Green and Ampt; None where neither is set. Raises InputError for both."""
    loss, conductivity = knobs["loss_mm_per_h"], knobs["soil_conductivity_mm_per_h"]
    if loss > 0 and conductivity > 0:
        raise InputError(
            f"flood: loss_mm_per_h = {loss:g} and soil_conductivity_mm_per_h = {conductivity:g}; wanted one of the two: set the other to 0"
        )
    if conductivity > 0:
        return GreenAmpt(conductivity, knobs["soil_suction_mm"] / 1000.0, knobs["soil_moisture_deficit"])
    return ConstantLoss(loss) if loss > 0 else None


def forcing(future: Future, name: str, time_s: float) -> float:
    """What a forcing comes to in a future: rain in steps, mm/h; a level above its gauge's zero, m; an inflow, m3/s."""
    series, knobs = series_of(future, name), future.knobs
    match name.partition("@")[0]:
        case "rain":
            step = int(np.searchsorted(series.time_s, time_s, side="right")) - 1
            return 0.0 if step < 0 else float(series.value[step]) * knobs["rain_factor"]
        case "inflow":
            return series.at(time_s) * knobs["inflow_factor"]
        case _:
            return series.at(time_s) + knobs["level_offset_m"]


def _water_now(world: World) -> np.ndarray | None:
    """The water that stands on the ground as the run begins, if the twin knows it."""
    try:
        return world.field(WATER_DEPTH).astype(np.float64)
    except NotFound:
        return None


def _entry(world: World, where: str, ground_m: np.ndarray) -> np.ndarray:
    """The cells where a river comes in: the lowest along a line of sort `inflow`, all within a metre of the lowest."""
    line = world.line(where)
    place = along_line(world.grid, line)
    if not place.size:
        raise InputError(f"inflow@{where}: the line lies outside the twin")
    bed_m = ground_m.reshape(-1)[place]
    return np.column_stack(np.divmod(place[bed_m <= bed_m.min() + 1.0], world.grid.cols))


def _no_rain(_world: World, _place: str) -> float:
    return 0.0


def _usual_level_m(world: World, place: str) -> float:
    water = world.water(place)
    return water.usual_level_m - water.gauge_zero_m  # as the series are: above the gauge's zero


def sketched_water(k: int, world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """The same water on cells `k` times as long, told on the twin's cells; see `sketch`."""
    fine = problem_of(world, future, ())
    coarse = msgspec.structs.replace(coarse_problem(fine, k), walls=_walls(world, effects, k))
    run = simulate(
        coarse,
        duration_s=future.duration_s,
        frame_times_s=moments_s(future.duration_s, frame_s),
        wet_depth_m=ARRIVES_AT_M,
        steady_m_per_h=STEADY_M_PER_H,
    )
    return member_of(fine, coarse, run, k, wet_depth_m=ARRIVES_AT_M, frame_s=frame_s)


def _sketch(world: World) -> Run | None:
    return partial(sketched_water, COARSER) if can_sketch(world) else None


def _walls(world: World, effects: Sequence[Effect], coarser: int = 1) -> tuple[Wall, ...]:
    """Barriers stand from when they are raised; a line that is breached stands from the start and opens then.

    On coarser cells a line too short to part two of them is left out.
    """
    walls = []
    for effect in effects:
        line = world.line(effect.target)
        grid = world.grid
        cell_m = grid.cell_m * coarser
        corners = np.column_stack([(grid.y_max_m - line.y_m) / cell_m, (line.x_m - grid.x_min_m) / cell_m])
        west_of, north_of = along(corners, coarse_shape(grid.shape, coarser))
        if coarser > 1 and not len(west_of) + len(north_of):
            continue
        if not len(west_of) + len(north_of):
            raise InputError(
                f"{effect.verb} {effect.target}: the line parts no two cells of {world.grid.cell_m:g} m; draw it longer"
            )
        if effect.verb == "raise_barrier":
            crest_m = line.crest_m if line.crest_m is not None else effect.amount
            crest = Series.of([effect.start_s], [crest_m])
        else:
            if line.crest_m is None:
                raise InputError(f"breach {effect.target}: the line has no crest_m; give it one in the twin's lines")
            crest = Series.of([0.0, max(effect.start_s, 1e-3)], [line.crest_m, OPEN_CREST_M])
        walls.append(Wall(crest, west_of, north_of))
    return tuple(walls)


WATER_RUNS_OVER_THE_GROUND = Model(
    name="water_runs_over_the_ground",
    reads=(ELEVATION, MANNING),
    makes=FLOOD_DEPTH,
    run=water_runs_over_the_ground,
    knobs={
        "rain_factor": Knob("1", 0.0, 1.0, 5.0, "multiplies the rain"),
        "inflow_factor": Knob("1", 0.0, 1.0, 5.0, "multiplies every inflow"),
        "level_offset_m": Knob("m", -3.0, 0.0, 3.0, "added to every level that is held"),
        "manning_factor": Knob("1", 0.3, 1.0, 3.0, "multiplies the ground's roughness"),
        "loss_mm_per_h": Knob("mm/h", 0.0, 0.0, 100.0, "rain that soaks in or is drained; 0 is the cautious end"),
        "soil_conductivity_mm_per_h": Knob(
            "mm/h", 0.0, 0.0, 500.0, "saturated conductivity of the soil (Green-Ampt); 0: nothing soaks in"
        ),
        "soil_suction_mm": Knob("mm", 0.0, 0.0, 2_000.0, "suction at the wetting front (Green-Ampt)"),
        "soil_moisture_deficit": Knob("1", 0.0, 0.0, 0.6, "porosity less the water in the soil before the rain (Green-Ampt)"),
    },
    series={
        "rain": Drive(RAIN_RATE, "rain on the whole twin", stepwise=True, usual=_no_rain),
        "level@": Drive(RIVER_LEVEL, "the level of a water, above its gauge's zero", "water", usual=_usual_level_m),
        "inflow@": Drive(DISCHARGE, "a river that comes in at a line", "line"),
    },
    acts_on={
        "raise_barrier": Verb("line", "raise a barrier along a line to its crest", "m"),
        "breach": Verb("line", "open a line that holds water back", "m"),
    },
    source="Bates et al. 2010, J. Hydrology 387:33-45; de Almeida et al. 2012, Water Resour. Res. 48:W05528; de Almeida & Bates 2013, Water Resour. Res. 49:4833-4844; soil: Green & Ampt 1911, J. Agric. Sci. 4:1-24",
    limits="no sewers, culverts or pumps; no dikes that the terrain does not show; not for dam-break fronts or flow faster than its own waves; as good as the terrain",
    forcing=forcing,
    starts_from=WATER_DEPTH,
    sketch=_sketch,
)
