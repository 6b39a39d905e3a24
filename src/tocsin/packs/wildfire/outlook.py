"""What to ask of the model when a fire is seen and nobody has said what is coming: that it burns where it was seen, in the wind as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.pack import GaugeAt, Scenario, Spread
from tocsin.pack.places import place_at, point_at
from tocsin.pack.ready_rules.bulletin import CONFIDENCES, FIRE_DETECTION, OVER
from tocsin.pack.weather import latest, wind_now
from tocsin.packs.wildfire.quantities import AIR_TEMPERATURE, FIRE_CONFIDENCE, RELATIVE_HUMIDITY, SMOKE, WIND_FROM, WIND_SPEED
from tocsin.vocabulary import Bulletin, InputError, Series, World

SEEN_S, WEATHER_S = 6 * 3600.0, 3 * 3600.0
DURATION_S = 12 * 3600.0
MEMBERS = 30
SEEN_FROM = {FIRE_CONFIDENCE: 30.0, SMOKE: 0.5}  # as the rules: nominal confidence, and smoke that is likely
DETECTIONS_MOST = 200  # of one outlook
RADIUS_M = 60.0  # what burns when it is seen: a planning assumption (unverified)
# How wrong wind and rate may be: the rate by Cruz & Alexander 2013, Environ. Model. Softw. 47:16-28; the wind a planning assumption (unverified).
SPREADS = {
    "rate_factor": Spread(0.65, 1.0, 1.35),
    "wind_factor": Spread(0.7, 1.0, 1.4),
    "wind_turn_deg": Spread(-25.0, 0.0, 25.0),
    "embers_per_gj": Spread(1e-5, 1e-3, 0.1, "lognormal", sd=1.15),  # ten times fewer or more in 19 of 20 futures (unverified)
}


def outlook(world: World, gauges: Sequence[GaugeAt], told: Sequence[Bulletin] = ()) -> Scenario:
    """Fire at every sensor that sees one, and wherever a satellite saw one, for twelve hours, with the wind and the air of now held.

    Raises InputError where no sensor with a place in the twin and no satellite sees a fire, or none tells the wind.
    """
    seen = _seen_at(world, gauges) | _seen_from_space(world, told)
    series = {f"ignition@{point_at(world, place)}": Series.constant(RADIUS_M) for place in sorted(seen)}
    if not series:
        raise InputError(
            "wildfire: no sensor and no satellite sees a fire in the twin; give a scenario, e.g. --drive ignition@-51.2,-30.1=60m"
        )
    speed, comes_from = wind_now(world, WIND_SPEED, WIND_FROM, WEATHER_S)
    series |= {"wind_speed": Series.constant(speed), "wind_from": Series.constant(comes_from)}
    air = {
        "air_temperature": latest(world, AIR_TEMPERATURE, WEATHER_S),
        "relative_humidity": latest(world, RELATIVE_HUMIDITY, WEATHER_S),
    }
    if all(np.isfinite(values).any() for values in air.values()):  # the model wants both or none
        series |= {name: Series.constant(float(np.nanmean(values))) for name, values in air.items()}
    return Scenario(DURATION_S, MEMBERS, int(world.time.timestamp()), SPREADS, series)


def _seen_at(world: World, gauges: Sequence[GaugeAt]) -> set[int]:
    """The cells of the sensors that see a fire."""
    places = {gauge.site: gauge.place for gauge in gauges if gauge.place >= 0}
    seen = set()
    for quantity, least in SEEN_FROM.items():
        sites = world.window(quantity, SEEN_S).sites
        for site, value in zip(sites, latest(world, quantity, SEEN_S), strict=True):
            if value >= least and site in places:
                seen.add(places[site])
    return seen


def _seen_from_space(world: World, told: Sequence[Bulletin]) -> set[int]:
    """The cells in the twin where a satellite saw a fire within SEEN_S with nominal confidence or more: the middles of pixels, the newest first."""
    fresh = [
        one
        for one in told
        if one.event == FIRE_DETECTION
        and one.state not in OVER
        and one.status == "actual"
        and one.figures.get("confidence_class", 0.0) >= CONFIDENCES.index("nominal")
        and 0.0 <= (world.time - (one.begins or one.time)).total_seconds() <= SEEN_S
    ]
    seen: list[int] = []
    for one in sorted(fresh, key=lambda one: one.begins or one.time, reverse=True):
        place = place_at(world, one.longitude, one.latitude)
        if place >= 0 and place not in seen:
            seen.append(place)
    return set(seen[:DETECTIONS_MOST])
