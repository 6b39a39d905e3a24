"""What to ask of the model when sensors smell gas and nobody has said from where: that it goes on, each future from another source that explains the smell."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Analogue, GaugeAt, Scenario, Spread
from tocsin.pack.places import point_at
from tocsin.pack.weather import latest, wind_now
from tocsin.packs.chemical.model import LEAD_MOST_S
from tocsin.packs.chemical.quantities import GASES, TEMPERATURE, WIND_FROM, WIND_SPEED
from tocsin.packs.chemical.questions import candidates
from tocsin.packs.chemical.substances import SUBSTANCES, Substance
from tocsin.science.dispersion import carrying_wind
from tocsin.science.puffs import Wind, going_to
from tocsin.science.sampling import sobol
from tocsin.science.source_location import Drawn, Sensors, find_source
from tocsin.science.toxic import mg_per_m3
from tocsin.vocabulary import Bulletin, InputError, Series, World

Floats = NDArray[np.float64]

SMELT_S, WEATHER_S = 1_800.0, 3 * 3600.0
DURATION_S = 2 * 3600.0
MEMBERS = 30
WAYS = 64  # sources that are drawn: more than futures, and a power of two, so that Sobol's numbers lie evenly
REACH_M = 2_000.0  # how far beyond the outermost sensors it may be: as the question `source`
SENSORS_LEAST = 3  # that smell it: with fewer, place and rate can hardly be told apart, and a far source of any size explains a single reading
SEES_FROM_PPM = 0.1  # the least that a sensor can tell from nothing: a planning assumption (unverified)
WIND_SPEED_SPREAD = Spread(0.7, 1.0, 1.4)  # a planning assumption (unverified)
STABILITY = 4


class Smelt(msgspec.Struct, frozen=True):
    """A gas and all its sensors with a place, (sensor,): where, m, the mean since each first smelt it, ppm; which smelt it first, how long ago, and how long
    before that it was last silent, s."""

    gas: Substance
    x_m: Floats
    y_m: Floats
    ppm: Floats
    first: int
    since_s: float
    unsure_s: float


class Station(msgspec.Struct, frozen=True):
    """What the wind gauges in one cell say now; -1 is the whole place, where no gauge stands in the twin."""

    place: int
    speed: float
    comes_from: float


def outlook(world: World, gauges: Sequence[GaugeAt], _told: Sequence[Bulletin] = ()) -> Scenario:
    """Sources that explain what the sensors smelt in the last half hour, held for two hours: each future has another place, rate, beginning and wind.

    They are drawn from what the question `source` finds, so that place, rate and the wind's error belong together, and the rate goes with the wind's
    speed. Raises InputError where fewer than three sensors with a place in the twin smell gas, or none tells the wind.
    """
    smelt = _smelt(world, gauges)
    stations = _stations(world, gauges)
    speed, comes_from = _wind_at(world, stations, float(smelt.x_m.mean()), float(smelt.y_m.mean()))
    carried = float(carrying_wind(speed, STABILITY))
    at_x, at_y, cell_m = candidates(world, smelt.x_m, smelt.y_m, REACH_M)
    east, north = going_to(np.array([carried]), np.array([comes_from]))
    per_ppm = float(mg_per_m3(1.0, smelt.gas.molar_g)) * 1e-6
    u = sobol(7, WAYS, int(world.time.timestamp()))
    found = find_source(
        Sensors(
            smelt.x_m,
            smelt.y_m,
            smelt.ppm * per_ppm,
            np.full(smelt.x_m.size, SEES_FROM_PPM * per_ppm),
            smelt.first,
            smelt.since_s * carried,
        ),
        at_x,
        at_y,
        wind_east=east,
        wind_north=north,
        stability=STABILITY,
        cell_m=cell_m,
        draws=u[:, :5],
    )
    assert found.drawn is not None
    factor = WIND_SPEED_SPREAD.at(u[:, 5])
    ago_s = _begun_ago(smelt, found.drawn, float(east[0]), float(north[0]), factor, u[:, 6])
    ways = tuple(
        _way(world, found.drawn, stations, number, k, float(factor[k]), float(ago_s[k]))
        for number, k in enumerate(_from_near_to_far(found.drawn, float(east[0]), float(north[0])))
    )
    air = latest(world, TEMPERATURE, WEATHER_S)
    series = {"temperature": Series.constant(float(np.nanmean(air)))} if np.isfinite(air).any() else {}
    gas = float(smelt.gas.number)
    return Scenario(DURATION_S, MEMBERS, int(world.time.timestamp()), {"substance": Spread(gas, gas, gas)}, series, ways)


def _way(world: World, drawn: Drawn, stations: Sequence[Station], number: int, k: int, factor: float, ago_s: float) -> Analogue:
    """One source that may be, as forcings: it began before now, and lets go the more the faster the wind is that thins it."""
    x_min, y_min, x_max, y_max = world.grid.bounds_m
    inside = 1e-3 * world.grid.cell_m
    x_m, y_m = (
        float(np.clip(drawn.x_m[k], x_min + inside, x_max - inside)),
        float(np.clip(drawn.y_m[k], y_min + inside, y_max - inside)),
    )
    at = point_at(world, int(world.grid.place(x_m, y_m)))
    series = {f"release@{at}": Series.of([-ago_s], [max(float(drawn.rate_kg_per_s[k]) * factor, 1e-9)])}
    for station in stations:
        where = f"@{point_at(world, station.place)}" if station.place >= 0 else ""
        series[f"wind_speed{where}"] = Series.constant(station.speed * factor)
        series[f"wind_from{where}"] = Series.constant(float((station.comes_from + drawn.turn_deg[k]) % 360.0))
    return Analogue(
        f"source {number + 1} at {at}", series, source="drawn from what explains the sensors: `tocsin ask chemical source`"
    )


def _from_near_to_far(drawn: Drawn, east: float, north: float) -> list[int]:
    """The draws from the farthest downwind to the farthest upwind: neighbours are alike, so that evenly drawn futures meet them all."""
    return [int(k) for k in np.argsort(-(drawn.x_m * east + drawn.y_m * north), kind="stable")]


def _begun_ago(smelt: Smelt, drawn: Drawn, east: float, north: float, factor: Floats, u: Floats) -> Floats:
    """How long ago each source began, s: when its gas came to the first sensor, less the way there, and somewhere within that sensor's silence before."""
    speed = float(np.hypot(east, north))
    along = ((smelt.x_m[smelt.first] - drawn.x_m) * east + (smelt.y_m[smelt.first] - drawn.y_m) * north) / speed
    return np.asarray(np.minimum(smelt.since_s + u * smelt.unsure_s + np.maximum(along, 0.0) / (speed * factor), LEAD_MOST_S))


def _smelt(world: World, gauges: Sequence[GaugeAt]) -> Smelt:
    """The gas that most sensors smell, and what all sensors of it say. Of a sensor that smelt it, what it read before does not count."""
    places = {(gauge.site, gauge.quantity): gauge.place for gauge in gauges if gauge.place >= 0}
    smelt: list[tuple[int, Smelt]] = []
    for gas in SUBSTANCES:
        window = world.window(GASES[gas.key], LEAD_MOST_S)
        young = window.good & (window.age_s <= SMELT_S)
        rows = [k for k, site in enumerate(window.sites) if (site, gas.key) in places and young[k].any()]
        told = [_since(window.age_s[k][window.good[k]], window.value[k][window.good[k]]) for k in rows]
        count = sum(mean >= SEES_FROM_PPM for mean, _, _ in told)
        if count:
            x_m, y_m = world.grid.centre(np.array([places[window.sites[k], gas.key] for k in rows]))
            mean, since_s, unsure_s = (np.array(column) for column in zip(*told, strict=True))
            first = int(np.argmax(since_s))
            smelt.append((count, Smelt(gas, x_m, y_m, mean, first, float(since_s[first]), float(unsure_s[first]))))
    if not smelt:
        raise InputError("chemical: no sensor in the twin smells gas; give a scenario, e.g. --drive release@-51.2,-30.0=1kg/s")
    count, most = max(smelt, key=lambda one: (one[0], one[1].gas.key))
    if count < SENSORS_LEAST:
        raise InputError(
            f"chemical: {count} sensors smell {most.gas.key}; wanted {SENSORS_LEAST} or more, since with fewer the place and the rate can hardly be told "
            "apart: ask `tocsin ask chemical source` for the region, and give a scenario, e.g. --drive release@-51.2,-30.0=1kg/s"
        )
    return most


def _since(age_s: Floats, ppm: Floats) -> tuple[float, float, float]:
    """The mean of the last half hour, or since it was first smelt; how long ago that was, and for how long before it nobody knows; -1 and 0 where it was not."""
    young, smelt = age_s <= SMELT_S, ppm >= SEES_FROM_PPM
    if not smelt.any():
        return float(ppm[young].mean()), -1.0, 0.0
    since_s = float(age_s[smelt].max())
    before = age_s[age_s > since_s]
    return float(ppm[young & (age_s <= since_s)].mean()), since_s, float(before.min()) - since_s if before.size else 0.0


def _stations(world: World, gauges: Sequence[GaugeAt]) -> tuple[Station, ...]:
    """The wind where gauges stand that know both its speed and direction; where none does, that of the whole place."""
    places = {(gauge.site, gauge.quantity): gauge.place for gauge in gauges if gauge.place >= 0}
    told: dict[str, dict[int, list[float]]] = {}
    for quantity in (WIND_SPEED, WIND_FROM):
        sites = world.window(quantity, WEATHER_S).sites
        for site, value in zip(sites, latest(world, quantity, WEATHER_S), strict=True):
            place = places.get((site, quantity.name), -1)
            if place >= 0 and np.isfinite(value):
                told.setdefault(quantity.name, {}).setdefault(place, []).append(float(value))
    both = sorted(told.get(WIND_SPEED.name, {}).keys() & told.get(WIND_FROM.name, {}).keys())
    found = []
    for place in both:
        angle = np.deg2rad(told[WIND_FROM.name][place])
        comes_from = float(np.rad2deg(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) % 360.0)
        found.append(Station(place, float(np.mean(told[WIND_SPEED.name][place])), comes_from))
    return tuple(found) or (Station(-1, *wind_now(world, WIND_SPEED, WIND_FROM, WEATHER_S)),)


def _wind_at(world: World, stations: Sequence[Station], x_m: float, y_m: float) -> tuple[float, float]:
    """Speed and direction at a place, as the model has them between the stations. Raises InputError where they cancel out."""
    place = np.array([station.place for station in stations])
    at_x, at_y = (np.zeros(1), np.zeros(1)) if place[0] < 0 else world.grid.centre(place)
    told = Wind.of([s.speed for s in stations], [s.comes_from for s in stations], 0.0, at_x, at_y)
    east, north = (float(part[0]) for part in told.at(x_m, y_m))
    speed = float(np.hypot(east, north))
    if speed < 0.1 * max(station.speed for station in stations) or speed <= 0.0:
        raise InputError("wind: the stations disagree on where it comes from, or it is calm; give a scenario yourself")
    return speed, float(np.rad2deg(np.arctan2(-east, -north)) % 360.0)
