"""The wind of a scenario: one for the whole place, or what several stations tell, with the future's own errors of speed and direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Future
from tocsin.pack.places import places_of
from tocsin.science.puffs import Wind, going_to
from tocsin.vocabulary import InputError, Series, World

# US EPA, RMP Offsite Consequence Analysis Guidance, alternative scenarios; read at epa.gov/rmp/atmospheric-conditions-used-site-consequence-analyses (40 CFR 68.22
# itself asks for what is typical of the place)
USUAL_WIND_M_PER_S = 3.0
EVERY_S = 300.0
POINT = ("point",)


def wind_of(world: World, future: Future) -> Wind:
    """The wind at 10 m of the whole run, of the stations of the scenario or, where it has none, its single wind.

    A station is a point with `wind_from`; where only its direction is told, its speed is the scenario's single one. Raises InputError where nobody says
    where the wind comes from, or a station tells its speed alone.
    """
    stations = sorted(name.partition("@")[2] for name in future.series if name.startswith("wind_from@"))
    if lone := sorted(n for n in future.series if n.startswith("wind_speed@") and n.partition("@")[2] not in stations):
        raise InputError(f'gas_spreads: {lone[0]} has no direction; give "wind_from@{lone[0].partition("@")[2]}" too')
    if not stations and "wind_from" not in future.series:
        raise InputError('gas_spreads: nobody says where the wind comes from; give "wind_from", e.g. 135 deg')
    everywhere = future.series.get("wind_speed", Series.constant(USUAL_WIND_M_PER_S))
    told = [(future.series[f"wind_from@{at}"], future.series.get(f"wind_speed@{at}", everywhere)) for at in stations] or [
        (future.series["wind_from"], everywhere)
    ]
    time = np.unique(
        np.concatenate([np.arange(0.0, future.duration_s + 1.0, EVERY_S), *(s.time_s for pair in told for s in pair)])
    )
    time = time[(time >= 0.0) & (time <= future.duration_s)]
    knobs = future.knobs
    blows = [
        going_to(np.interp(time, speed.time_s, speed.value) * knobs["wind_factor"], turning(comes, time) + knobs["wind_turn_deg"])
        for comes, speed in told
    ]
    east, north = (np.column_stack([pair[k] for pair in blows]) for k in (0, 1))
    x_m, y_m = (np.zeros(1), np.zeros(1)) if not stations else _where(world, stations)
    return Wind(x_m, y_m, time, east, north)


def turning(series: Series, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions between their moments, the short way round, degrees."""
    return np.asarray(np.interp(time_s, series.time_s, np.rad2deg(np.unwrap(np.deg2rad(series.value)))) % 360.0)


def _where(world: World, stations: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    places = np.array([places_of(world, POINT, at)[0] for at in stations])
    if len(set(places.tolist())) < len(stations):
        raise InputError(f"gas_spreads: two wind stations in one cell among {'; '.join(stations)}; keep one of them")
    x_m, y_m = world.grid.centre(places)
    return np.asarray(x_m, np.float64), np.asarray(y_m, np.float64)
