"""How a released gas spreads: what leaves a tank drifts with the wind as a row of puffs, and what people breathe is held against guideline levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Drive, Effect, Future, Knob, Model, Verb
from tocsin.pack.model import series_of
from tocsin.pack.places import places_of
from tocsin.packs.chemical.quantities import (
    AEGL1_SHARE,
    AEGL2_SHARE,
    AEGL2_SHARE_INDOORS,
    AEGL3_SHARE,
    AEGL3_SHARE_INDOORS,
    PEAK_PPM,
    RELEASE,
    TEMPERATURE,
    TOXIC_LOAD,
    WIND_FROM,
    WIND_SPEED,
)
from tocsin.packs.chemical.substances import WINDOWS_S, Substance, numbered, substance_of
from tocsin.packs.chemical.wind import USUAL_WIND_M_PER_S, turning, wind_of
from tocsin.science.dense_gas import DensePlume, effective_widths
from tocsin.science.dispersion import GROUNDS, Ground, carrying_wind, spread
from tocsin.science.puffs import CALM_M_PER_S, Release, Wind, breathed, ways, widths
from tocsin.science.toxic import mg_per_m3
from tocsin.vocabulary import InputError, Member, Series, World

# US EPA, RMP Offsite Consequence Analysis Guidance, alternative scenarios: 3 m/s, class D, 25 degC; read at epa.gov/rmp/atmospheric-conditions-used-site-consequence-analyses
USUAL_CELSIUS = 25.0
STEP_S, PUFF_S = 60.0, 30.0
LEAD_MOST_S = 3_600.0  # how long before the run's start gas is followed that was let go by then; a choice of ours
ARRIVES_AT = 0.1  # of AEGL-2 for an hour (or of its fire limit): from this mean of a minute on the cloud is said to have come
WIDE = {"rural": 0, "urban": 1, "open": 2, "puff": 3}  # the knob `ground`
ZERO_CELSIUS_K = 273.15


def gas_spreads(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """Puffs in the wind of the scenario from every release, until the leak is stopped; dense where Britter and McQuaid call it so.

    A release whose first moment lies before the run has begun then: its gas is in the air when the run starts, and what was breathed of it counts.
    """
    knobs, grid = future.knobs, world.grid
    gas, air_k = substance_of(knobs["substance"]), _given(future, "temperature", USUAL_CELSIUS, 0.0) + ZERO_CELSIUS_K
    if not any(name.startswith("release@") for name in future.series):
        raise InputError('gas_spreads: nothing is released; give a rate, e.g. "release@-51.20,-30.03" = 2 kg/s')
    lead_s = _lead(future)
    future = _since(future, lead_s)
    wind, ground, stability = wind_of(world, future), _ground(knobs), round(knobs["stability"])
    slower = float(carrying_wind(1.0, stability, ground, height_m=knobs["height_m"]))
    grows: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    releases: list[Release] = []
    dense = 0
    for name, series in future.series.items():
        if not name.startswith("release@"):
            continue
        place = name.partition("@")[2]
        cells = places_of(world, GIVEN_AT, place)
        done = [e for e in effects if e.target in (place, "all") or np.array_equal(places_of(world, GIVEN_AT, e.target), cells)]
        begins_s = max(float(series.time_s[0]), 0.0) if series.time_s[0] < lead_s else lead_s
        rate = _stopped(series, done, future.duration_s, knobs["release_factor"], begins_s=begins_s, lead_s=lead_s)
        x_m, y_m = grid.centre(cells)
        at_10_m = _speed(wind, float(x_m.mean()), float(y_m.mean()))
        widths_of, is_dense = _widths(gas, float(rate.value.max(initial=0.0)), at_10_m, slower, air_k, knobs)
        dense += is_dense
        releases += [
            Release(float(x), float(y), rate.time_s, rate.value / x_m.size, knobs["height_m"], len(grows))
            for x, y in zip(x_m, y_m, strict=True)
        ]
        grows.append(widths_of)
    limits = gas.limits_kg_per_m3(air_k)
    per_ppm = float(mg_per_m3(1.0, gas.molar_g, temperature_k=air_k)) * 1e-6
    firm = limits[1][np.isfinite(limits[1])]
    got = breathed(
        releases,
        Wind(wind.x_m, wind.y_m, wind.time_s, wind.east * slower, wind.north * slower),
        widths(grows),
        x_min_m=grid.x_min_m,
        y_max_m=grid.y_max_m,
        cell_m=grid.cell_m,
        shape=grid.shape,
        duration_s=future.duration_s,
        step_s=STEP_S,
        puff_s=PUFF_S,
        windows_s=WINDOWS_S,
        limits=limits,
        power=gas.power,
        exchange_per_h=knobs["exchange_per_h"],
        seen_from=ARRIVES_AT * float(limits[1, 3] if np.isfinite(limits[1, 3]) else firm.min()),
        mixing_m=knobs["mixing_m"],
        z_m=0.0,
        frame_s=[moment + lead_s for moment in frame_s],
    )
    load = got.load / per_ppm**gas.power / 60.0
    end_s = np.where(np.isinf(got.end_s), np.inf, np.maximum(np.minimum(got.end_s, future.duration_s) - lead_s, 0.0))
    return Member(
        _at_most(got.share[0, 1]),
        np.maximum(got.arrival_s - np.float32(lead_s), np.float32(0.0)),
        end_s.astype(np.float32),
        {
            AEGL2_SHARE_INDOORS.name: _at_most(got.share[1, 1]),
            AEGL1_SHARE.name: _at_most(got.share[0, 0]),
            AEGL3_SHARE.name: _at_most(got.share[0, 2]),
            AEGL3_SHARE_INDOORS.name: _at_most(got.share[1, 2]),
            PEAK_PPM.name: np.minimum(got.peak / per_ppm, PEAK_PPM.high).astype(np.float32),
            TOXIC_LOAD.name: np.minimum(load, TOXIC_LOAD.high).astype(np.float32),
        },
        _at_most(got.frames) if len(frame_s) else None,
        {
            "released_kg": got.released_kg,
            "released_before_kg": float(sum(r.mass_between(np.array([0.0, lead_s]))[0] for r in releases)) if lead_s else 0.0,
            "puffs": float(got.puffs),
            "dense_releases": float(dense),
            "substance": float(gas.number),
        },
        {"release_kg_per_s": _total(releases, lead_s, future.duration_s)},
        {gas.key: np.minimum(got.mean_kg_per_m3 / per_ppm, PEAK_PPM.high).astype(np.float32)} if len(frame_s) else {},
    )


def forcing(future: Future, name: str, time_s: float) -> float:
    """What a forcing comes to in a future: wind with its error, a release with its factor."""
    series, knobs = series_of(future, name), future.knobs
    match name.partition("@")[0]:
        case "release":
            return series.at(time_s) * knobs["release_factor"]
        case "wind_speed":
            return series.at(time_s) * knobs["wind_factor"]
        case "wind_from":
            return float((turning(series, np.array([time_s]))[0] + knobs["wind_turn_deg"]) % 360.0)
        case _:
            return series.at(time_s)


GIVEN_AT = ("tanks", "point")


def _given(future: Future, name: str, usual: float, time_s: float) -> float:
    return future.series[name].at(time_s) if name in future.series else usual


def _lead(future: Future) -> float:
    """How long before the run's start the first release began, s, to the step; 0 where none did."""
    first = min(float(s.time_s[0]) for name, s in future.series.items() if name.startswith("release@"))
    return float(min(max(np.ceil(-first / STEP_S) * STEP_S, 0.0), LEAD_MOST_S))


def _since(future: Future, lead_s: float) -> Future:
    """The same future told from `lead_s` before its start."""
    if lead_s == 0.0:
        return future
    series = {name: Series.of(s.time_s + lead_s, s.value) for name, s in future.series.items()}
    return msgspec.structs.replace(future, duration_s=future.duration_s + lead_s, series=series)


def _speed(wind: Wind, x_m: float, y_m: float) -> float:
    """The mean wind of the run at a place, as the widths of dense gas want it."""
    east, north = wind.at(x_m, y_m)
    time = np.linspace(wind.time_s[0], wind.time_s[-1], 61)
    return max(float(np.interp(time, wind.time_s, np.hypot(east, north)).mean()), CALM_M_PER_S)


def _ground(knobs: Mapping[str, float]) -> Ground:
    return next(name for name in GROUNDS if WIDE[name] == round(knobs["ground"]))


def _stopped(
    series: Series, effects: Sequence[Effect], duration_s: float, factor: float, *, begins_s: float, lead_s: float
) -> Series:
    """A release's rate from 0 s to the end of the run, after what is done to it: stopped from then on, or a share kept back from then on.

    Nothing is let go before `begins_s`. Effects count their time from `lead_s`.
    """
    mine = sorted((max(e.start_s + lead_s, 1e-3), 0.0 if e.verb == "stop_leak" else 1.0 - e.amount) for e in effects)
    time = {0.0, duration_s, *(t for t in series.time_s.tolist() if 0.0 < t < duration_s)}
    for moment in (begins_s, *(start_s for start_s, _ in mine)):
        time |= {t for t in (moment - 1e-3, moment) if 0.0 <= t < duration_s}
    moments = np.array(sorted(time))
    rate = np.where(moments >= begins_s, np.interp(moments, series.time_s, series.value) * factor, 0.0)
    for start_s, kept in mine:
        rate = np.where(moments >= start_s, rate * kept, rate)
    return Series.of(moments, rate)


def _widths(
    gas: Substance, rate: float, wind: float, slower: float, air_k: float, knobs: Mapping[str, float]
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], bool]:
    """How puffs of a release grow, and whether as dense gas. Puffs drift `slower` than the `wind` at 10 m, of which Britter and McQuaid's lines are told."""
    way, stability, ground = ways(), round(knobs["stability"]), _ground(knobs)
    leaves_k = min(gas.boiling_k, air_k)
    if knobs["dense"] >= 0.5 and rate > 0.0 and knobs["height_m"] == 0.0 and ground != "puff":
        cloud = DensePlume(
            rate / gas.density(leaves_k), gas.density(leaves_k), 101_325.0 * 0.0289652 / (8.31446 * air_k), wind, leaves_k, air_k
        )
        if cloud.is_dense:
            sigma_y, sigma_z = effective_widths(cloud, way, stability, ground)
            return (sigma_y, sigma_z / slower), True
    sigma_y, sigma_z = spread(way, stability, ground)
    return (sigma_y, sigma_z), False


def _total(releases: Sequence[Release], lead_s: float, duration_s: float) -> Series:
    """What is let go in all, kg/s, minute by minute from the run's start on."""
    time = np.append(np.arange(lead_s, duration_s, STEP_S), duration_s)
    return Series.of(time - lead_s, np.round(np.sum([np.interp(time, r.time_s, r.rate_kg_per_s) for r in releases], axis=0), 9))


def _at_most(share: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.minimum(share, np.float32(AEGL2_SHARE.high))


GAS_SPREADS = Model(
    name="gas_spreads",
    reads=(),
    makes=AEGL2_SHARE,
    run=gas_spreads,
    knobs={
        "substance": Knob("1", 1.0, 1.0, 10.0, f"which gas: {numbered()}"),
        "stability": Knob(
            "1",
            1.0,
            4.0,
            6.0,
            "Pasquill's class: 1 (A, very unstable) to 6 (F, stable); 4 is neutral, 6 a clear calm night and the cautious end",
        ),
        "ground": Knob(
            "1",
            0.0,
            0.0,
            3.0,
            "0 open country (Briggs), 1 town (Briggs), 2 open country (Pasquill-Gifford), 3 all let go within seconds",
        ),
        "release_factor": Knob("1", 0.0, 1.0, 3.0, "multiplies every release"),
        "wind_factor": Knob("1", 0.3, 1.0, 3.0, "multiplies the wind's speed"),
        "wind_turn_deg": Knob("deg", -180.0, 0.0, 180.0, "added to the direction that the wind comes from, clockwise"),
        "mixing_m": Knob("m", 50.0, 1_000.0, 5_000.0, "height of the mixed layer: a lid"),
        "height_m": Knob("m", 0.0, 0.0, 200.0, "height at which the gas is let go; above 0 it is not treated as dense"),
        "exchange_per_h": Knob(
            "1/h",
            0.0,
            0.5,
            20.0,
            "how often an hour the air indoors is exchanged, windows closed (Murray & Burmaster 1995: US median 0.5)",
        ),
        "dense": Knob("1", 0.0, 1.0, 1.0, "1: gas that is dense by Britter and McQuaid spreads as they say; 0: as any gas"),
    },
    series={
        "release@": Drive(RELEASE, "gas let go at a tank or a point", "|".join(GIVEN_AT), roams=True),
        "wind_speed": Drive(WIND_SPEED, "wind at 10 m", usual=lambda _world, _place: USUAL_WIND_M_PER_S),
        "wind_from": Drive(WIND_FROM, "where the wind comes from, clockwise from north"),
        "wind_speed@": Drive(WIND_SPEED, "wind at 10 m at a station", "point"),
        "wind_from@": Drive(
            WIND_FROM, "where the wind comes from at a station; between stations by inverse squared distance", "point"
        ),
        "temperature": Drive(TEMPERATURE, "of the air", usual=lambda _world, _place: USUAL_CELSIUS),
    },
    acts_on={
        "stop_leak": Verb("drive:release@|all", "end a release from then on"),
        "neutralise": Verb(
            "drive:release@|all",
            "keep back a share of what is let go from then on: a water curtain, foam, a scrubber",
            "1",
            0.0,
            1.0,
        ),
    },
    source="Briggs 1973, doi:10.2172/5118833; AIChE/CCPS 1999, Guidelines for Consequence Analysis; Britter & McQuaid 1988, HSE 17/1988; puffs: Ludwig et al. 1977, Atmos. Environ. 11:431-436",
    limits=(
        "flat ground without buildings, valleys or slopes; wind of 1 m/s or more, between stations as the distance has it and not as the ground turns it; no jets, aerosol, rain-out, reactions or deposits; "
        "means of about ten minutes: single breaths meet more; a cell tells its mean, so the axis close to the source is higher than told; dense gas does not spread upwind, and its edge, sharp in truth, is a normal curve here: too broad where it is far above a level"
    ),
    forcing=forcing,
)
