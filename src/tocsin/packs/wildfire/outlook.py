"""What to ask of the model when a fire is seen and nobody has said what is coming: it burns where it was seen, in the weather as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyproj import Transformer

from tocsin.pack import GaugeAt, Scenario, Spread
from tocsin.packs.wildfire.quantities import (
    AIR_TEMPERATURE,
    FIRE_CONFIDENCE,
    RELATIVE_HUMIDITY,
    SMOKE,
    WIND_FROM,
    WIND_SPEED,
)
from tocsin.vocabulary import InputError, Quantity, Series, World

SEEN_S = 12 * 3600.0  # a satellite passes twice a day
WEATHER_S = 3 * 3600.0
DURATION_S = 6 * 3600.0
MEMBERS = 50
FIRES_MOST = 20  # places from which it is taken to burn at once: the surest
SURE = {
    FIRE_CONFIDENCE.name: 30.0,
    SMOKE.name: 0.5,
}  # from which reading on a fire is taken to be there: the rules' first limits, unverified
# How wrong "the weather stays" may be: planning assumptions, unverified; the rate: Cruz & Alexander 2013 call 35 % a reasonable error.
SPREADS = {
    "wind_factor": Spread(0.7, 1.0, 1.5),
    "wind_turn_deg": Spread(-30.0, 0.0, 30.0),
    "rate_factor": Spread(0.65, 1.0, 1.35),
}


def outlook(world: World, gauges: Sequence[GaugeAt]) -> Scenario:
    """The persistence forecast for 6 h. Raises InputError where no fire is seen or no wind is known: then a person has to give a scenario."""
    seen: dict[int, float] = {}
    place_of = {gauge.site: gauge.place for gauge in gauges}
    for quantity in (FIRE_CONFIDENCE, SMOKE):
        window = world.window(quantity, SEEN_S)
        for k, site in enumerate(window.sites):
            place = place_of.get(site, -1)
            good = window.good[k]
            if place >= 0 and good.any():
                sure = float(window.value[k][good].max()) / SURE[quantity.name]
                if sure >= 1.0:
                    seen[place] = max(seen.get(place, 0.0), sure)
    wind, comes_from = _latest(world, WIND_SPEED), _latest(world, WIND_FROM)
    if not seen:
        raise InputError("wildfire forecast: no sensor with a place sees a fire; give a scenario with `tocsin simulate wildfire`")
    if not wind.size or not comes_from.size:
        raise InputError(
            "wildfire forecast: no reading of wind_speed and wind_from; give a scenario with `tocsin simulate wildfire`"
        )
    turned = np.radians(comes_from)
    series = {
        "wind_speed": Series.constant(float(wind.mean())),
        "wind_from": Series.constant(float(np.degrees(np.arctan2(np.sin(turned).mean(), np.cos(turned).mean())) % 360.0)),
    }
    warm, damp = _latest(world, AIR_TEMPERATURE), _latest(world, RELATIVE_HUMIDITY)
    if warm.size and damp.size:
        series |= {
            "air_temperature": Series.constant(float(warm.mean())),
            "relative_humidity": Series.constant(float(damp.mean())),
        }
    to_lonlat = Transformer.from_crs(world.grid.crs, "EPSG:4326", always_xy=True)
    for place in sorted(seen, key=lambda p: (-seen[p], p))[:FIRES_MOST]:
        x_m, y_m = world.grid.centre(place)
        lon, lat = to_lonlat.transform(float(x_m), float(y_m))
        series[f"ignition@{lon:.6f},{lat:.6f}"] = Series.constant(1.0)
    return Scenario(DURATION_S, MEMBERS, int(world.time.timestamp()), SPREADS, series)


def _latest(world: World, quantity: Quantity) -> np.ndarray:
    """The newest good reading of each site."""
    window = world.window(quantity, WEATHER_S)
    newest = [window.value[k][good][-1] for k, good in enumerate(window.good) if good.any()]
    return np.array(newest, np.float64)
