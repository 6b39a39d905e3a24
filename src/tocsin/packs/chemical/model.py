"""How a released gas spreads: what leaves a tank drifts with the wind as a row of puffs, and what people breathe is held against guideline levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
from tocsin.science.dense_gas import DensePlume, effective_widths
from tocsin.science.dispersion import GROUNDS, spread
from tocsin.science.puffs import CALM_M_PER_S, Release, Wind, breathed, going_to, ways, widths
from tocsin.science.toxic import mg_per_m3
from tocsin.vocabulary import InputError, Member, Series, World

USUAL_WIND_M_PER_S, USUAL_CELSIUS = (
    3.0,
    25.0,
)  # unverified (written down from memory): 40 CFR 68.22: 3 m/s and class D, 25 degrees, for US alternative release scenarios
STEP_S, PUFF_S = 60.0, 30.0
ARRIVES_AT = 0.1  # of AEGL-2 for an hour (or of its fire limit): from this mean of a minute on the cloud is said to have come
WIDE = {"rural": 0, "urban": 1, "open": 2, "puff": 3}  # the knob `ground`
ZERO_CELSIUS_K = 273.15


def gas_spreads(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """Puffs in the wind of the scenario from every release, until the leak is stopped; dense where Britter and McQuaid call it so."""
    knobs, grid = future.knobs, world.grid
    gas, air_k = substance_of(knobs["substance"]), _given(future, "temperature", USUAL_CELSIUS, 0.0) + ZERO_CELSIUS_K
    sources = {name: series for name, series in future.series.items() if name.startswith("release@")}
    if not sources:
        raise InputError('gas_spreads: nothing is released; give a rate, e.g. "release@-51.20,-30.03" = 2 kg/s')
    wind = _wind(future)
    grows: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    releases: list[Release] = []
    dense = 0
    for name, series in sources.items():
        place = name.partition("@")[2]
        cells = places_of(world, GIVEN_AT, place)
        done = [e for e in effects if e.target in (place, "all") or np.array_equal(places_of(world, GIVEN_AT, e.target), cells)]
        rate = _stopped(series, done, future.duration_s, knobs["release_factor"])
        x_m, y_m = grid.centre(cells)
        widths_of, is_dense = _widths(gas, float(rate.value.max(initial=0.0)), _speed(future), air_k, knobs)
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
        wind,
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
        frame_s=frame_s,
    )
    load = got.load / per_ppm**gas.power / 60.0
    return Member(
        _at_most(got.share[0, 1]),
        got.arrival_s,
        np.minimum(got.end_s, np.where(np.isinf(got.end_s), np.inf, future.duration_s)).astype(np.float32),
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
            "puffs": float(got.puffs),
            "dense_releases": float(dense),
            "substance": float(gas.number),
        },
        {"release_kg_per_s": _total(releases, future.duration_s)},
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
            return float((_turning(series, np.array([time_s]))[0] + knobs["wind_turn_deg"]) % 360.0)
        case _:
            return series.at(time_s)


GIVEN_AT = ("tanks", "point")


def _given(future: Future, name: str, usual: float, time_s: float) -> float:
    return future.series[name].at(time_s) if name in future.series else usual


def _speed(future: Future) -> float:
    """The mean wind of the run, as the widths of dense gas want it."""
    time = np.linspace(0.0, future.duration_s, 61)
    series = future.series.get("wind_speed")
    speed = np.full(61, USUAL_WIND_M_PER_S) if series is None else np.interp(time, series.time_s, series.value)
    return max(float(speed.mean()) * future.knobs["wind_factor"], CALM_M_PER_S)


def _turning(series: Series, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions between their moments, the short way round, degrees."""
    return np.asarray(np.interp(time_s, series.time_s, np.rad2deg(np.unwrap(np.deg2rad(series.value)))) % 360.0)


def _wind(future: Future) -> Wind:
    """Speed and direction of the scenario, with the future's own errors; one wind for the whole place."""
    if "wind_from" not in future.series:
        raise InputError('gas_spreads: nobody says where the wind comes from; give "wind_from", e.g. 135 deg')
    turning, knobs = future.series["wind_from"], future.knobs
    blowing = future.series.get("wind_speed", Series.constant(USUAL_WIND_M_PER_S))
    time = np.unique(np.concatenate([np.arange(0.0, future.duration_s + 1.0, 300.0), turning.time_s, blowing.time_s]))
    time = time[(time >= 0.0) & (time <= future.duration_s)]
    speed = np.interp(time, blowing.time_s, blowing.value) * knobs["wind_factor"]
    east, north = going_to(speed, _turning(turning, time) + knobs["wind_turn_deg"])
    return Wind(np.zeros(1), np.zeros(1), time, east[:, None], north[:, None])


def _stopped(series: Series, effects: Sequence[Effect], duration_s: float, factor: float) -> Series:
    """A release's rate from 0 s to the end of the run, after what is done to it: stopped from then on, or a share kept back from then on."""
    mine = sorted(effects, key=lambda e: e.start_s)
    time = {0.0, duration_s, *(t for t in series.time_s.tolist() if 0.0 < t < duration_s)}
    for effect in mine:
        time |= {t for t in (max(effect.start_s, 1e-3) - 1e-3, max(effect.start_s, 1e-3)) if t < duration_s}
    moments = np.array(sorted(time))
    rate = np.interp(moments, series.time_s, series.value) * factor
    for effect in mine:
        kept = 0.0 if effect.verb == "stop_leak" else 1.0 - effect.amount
        rate = np.where(moments >= max(effect.start_s, 1e-3), rate * kept, rate)
    return Series.of(moments, rate)


def _widths(
    gas: Substance, rate: float, wind: float, air_k: float, knobs: Mapping[str, float]
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], bool]:
    """How puffs of a release grow, and whether as dense gas."""
    way, stability = ways(), round(knobs["stability"])
    ground = next(name for name in GROUNDS if WIDE[name] == round(knobs["ground"]))
    leaves_k = min(gas.boiling_k, air_k)
    if knobs["dense"] >= 0.5 and rate > 0.0 and knobs["height_m"] == 0.0 and ground != "puff":
        cloud = DensePlume(
            rate / gas.density(leaves_k), gas.density(leaves_k), 101_325.0 * 0.0289652 / (8.31446 * air_k), wind, leaves_k, air_k
        )
        if cloud.is_dense:
            return effective_widths(cloud, way, stability, ground), True
    sigma_y, sigma_z = spread(way, stability, ground)
    return (sigma_y, sigma_z), False


def _total(releases: Sequence[Release], duration_s: float) -> Series:
    """What is let go in all, kg/s, minute by minute."""
    time = np.append(np.arange(0.0, duration_s, STEP_S), duration_s)
    return Series.of(time, np.round(np.sum([np.interp(time, r.time_s, r.rate_kg_per_s) for r in releases], axis=0), 9))


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
        "release@": Drive(RELEASE, "gas let go at a tank or a point", "|".join(GIVEN_AT)),
        "wind_speed": Drive(WIND_SPEED, "wind at 10 m", usual=lambda _world, _place: USUAL_WIND_M_PER_S),
        "wind_from": Drive(WIND_FROM, "where the wind comes from, clockwise from north"),
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
        "flat ground without buildings, valleys or slopes; wind of 1 m/s or more, one wind for the whole place; no jets, aerosol, rain-out, reactions or deposits; "
        "means of about ten minutes: single breaths meet more; a cell tells its mean, so the axis close to the source is higher than told; dense gas does not spread upwind, and its edge, sharp in truth, is a normal curve here: too broad where it is far above a level"
    ),
    forcing=forcing,
)
