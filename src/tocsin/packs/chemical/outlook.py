"""What to ask of the model when sensors smell gas and nobody has said from where: that it goes on from the likeliest place, at the likeliest rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.pack import GaugeAt, Scenario, Spread
from tocsin.pack.places import point_at
from tocsin.pack.weather import latest, wind_now
from tocsin.packs.chemical.quantities import GASES, TEMPERATURE, WIND_FROM, WIND_SPEED
from tocsin.packs.chemical.questions import candidates
from tocsin.packs.chemical.substances import SUBSTANCES, Substance
from tocsin.science.puffs import going_to
from tocsin.science.source_location import TURN_DEG, Sensors, find_source
from tocsin.science.toxic import mg_per_m3
from tocsin.vocabulary import Bulletin, InputError, Series, World

SMELT_S, WEATHER_S = 1_800.0, 3 * 3600.0
DURATION_S = 2 * 3600.0
MEMBERS = 30
REACH_M = 2_000.0  # how far beyond the outermost sensors it may be: as the question `source`
SENSORS_LEAST = 3  # that smell it: with fewer, place and rate can hardly be told apart, and a far source of any size explains a single reading
SEES_FROM_PPM = 0.1  # the least that a sensor can tell from nothing: a planning assumption (unverified)
WIND_SPEED_SPREAD = Spread(0.7, 1.0, 1.4)  # a planning assumption (unverified)


def outlook(world: World, gauges: Sequence[GaugeAt], _told: Sequence[Bulletin] = ()) -> Scenario:
    """The source that explains what the sensors smelt in the last half hour, as `tocsin ask chemical source` finds it, held for two hours.

    The rate is uncertain within its 5 to 95 %, the wind by the error that the search takes it to have; that the place is uncertain too is NOT in these
    futures: ask the question for the region. Raises InputError where fewer than three sensors with a place in the twin smell gas, or none
    tells the wind.
    """
    gas, x_m, y_m, reading = _smelt(world, gauges)
    speed, comes_from = wind_now(world, WIND_SPEED, WIND_FROM, WEATHER_S)
    at_x, at_y, cell_m = candidates(world, x_m, y_m, REACH_M)
    east, north = going_to(np.array([speed]), np.array([comes_from]))
    per_ppm = float(mg_per_m3(1.0, gas.molar_g)) * 1e-6
    found = find_source(
        Sensors(x_m, y_m, reading * per_ppm, np.full(x_m.size, SEES_FROM_PPM * per_ppm)),
        at_x,
        at_y,
        wind_east=east,
        wind_north=north,
        stability=4,
        cell_m=cell_m,
    )
    best = int(np.argmax(found.chance))
    place = int(world.grid.place(at_x[best], at_y[best]))
    rate, low, high = (max(value, 1e-9) for value in (found.rate_kg_per_s, found.rate_low, found.rate_high))
    series = {
        f"release@{point_at(world, place)}": Series.constant(rate),
        "wind_speed": Series.constant(speed),
        "wind_from": Series.constant(comes_from),
    }
    air = latest(world, TEMPERATURE, WEATHER_S)
    if np.isfinite(air).any():
        series["temperature"] = Series.constant(float(np.nanmean(air)))
    knobs = {
        "substance": Spread(gas.number, gas.number, gas.number),
        "release_factor": Spread(min(low / rate, 1.0), 1.0, min(max(high / rate, 1.0), 3.0)),
        "wind_factor": WIND_SPEED_SPREAD,
        "wind_turn_deg": Spread(-2.0 * TURN_DEG, 0.0, 2.0 * TURN_DEG),
    }
    return Scenario(DURATION_S, MEMBERS, int(world.time.timestamp()), knobs, series)


def _smelt(
    world: World, gauges: Sequence[GaugeAt]
) -> tuple[
    Substance,
    np.ndarray[tuple[int], np.dtype[np.float64]],
    np.ndarray[tuple[int], np.dtype[np.float64]],
    np.ndarray[tuple[int], np.dtype[np.float64]],
]:
    """The gas that most sensors smell, and all sensors of it: where they are, m, and the mean of what each read, ppm."""
    places = {(gauge.site, gauge.quantity): gauge.place for gauge in gauges if gauge.place >= 0}
    smelt = []
    for gas in SUBSTANCES:
        window = world.window(GASES[gas.key], SMELT_S)
        rows = [
            (places[site, gas.key], k)
            for k, site in enumerate(window.sites)
            if (site, gas.key) in places and window.good[k].any()
        ]
        mean = np.array([window.value[k][window.good[k]].mean() for _, k in rows])
        if (mean >= SEES_FROM_PPM).any():
            smelt.append((int((mean >= SEES_FROM_PPM).sum()), gas, np.array([place for place, _ in rows]), mean))
    if not smelt:
        raise InputError("chemical: no sensor in the twin smells gas; give a scenario, e.g. --drive release@-51.2,-30.0=1kg/s")
    count, gas, at, mean = max(smelt, key=lambda one: (one[0], one[1].key))
    if count < SENSORS_LEAST:
        raise InputError(
            f"chemical: {count} sensors smell {gas.key}; wanted {SENSORS_LEAST} or more, since with fewer the place and the rate can hardly be told "
            "apart: ask `tocsin ask chemical source` for the region, and give a scenario, e.g. --drive release@-51.2,-30.0=1kg/s"
        )
    x_m, y_m = world.grid.centre(at)
    return gas, x_m, y_m, mean
