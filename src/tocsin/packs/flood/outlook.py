"""What to ask of the model when a warning comes and nobody has said what is coming: that it goes on as it does now, and how far it may not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.pack import GaugeAt, Scenario, Spread
from tocsin.pack.places import stands_in
from tocsin.packs.flood.quantities import RAIN_AMOUNT, RIVER_LEVEL
from tocsin.vocabulary import Bulletin, InputError, Series, World

LOOK_BACK_S = 3 * 3600.0
DURATION_S = 24 * 3600.0
MEMBERS = 50
# How wrong "it goes on as it does" may be: a planning assumption, unverified. A forecast centre's own numbers belong here.
RAIN_SPREAD = Spread(0.3, 1.0, 2.0)
LEVEL_SPREAD = Spread(-0.5, 0.0, 1.0)


def outlook(world: World, gauges: Sequence[GaugeAt], _told: Sequence[Bulletin] = ()) -> Scenario:
    """The persistence forecast: rain at its mean of the last 3 h, levels at each water's highest good reading of the last 3 h, for a day.

    A level gauge counts for the water body that it is said to stand in, whose name is its own or its site, or the only one there is. Raises
    InputError where no reading says anything: then a person has to give a scenario.
    """
    series: dict[str, Series] = {}
    knobs: dict[str, Spread] = {}
    rain = world.window(RAIN_AMOUNT, LOOK_BACK_S)
    if rain.good.any():
        fell_mm = np.where(rain.good, rain.value, 0.0).sum(axis=1)[rain.good.any(axis=1)]
        rate = float(fell_mm.mean() / (LOOK_BACK_S / 3600.0))
        if rate > 0:
            series["rain"] = Series.of([0.0, DURATION_S], [rate, 0.0])
            knobs["rain_factor"] = RAIN_SPREAD
    level = world.window(RIVER_LEVEL, LOOK_BACK_S)
    for water in world.waters() if level.good.any() else ():
        heard = [k for k, site in enumerate(level.sites) if stands_in(site, gauges, water, len(world.waters()))]
        good = level.good[heard]
        if good.any():
            series[f"level@{water}"] = Series.constant(float(level.value[heard][good].max()))
            knobs["level_offset_m"] = LEVEL_SPREAD
    if not series:
        raise InputError("forecast: no gauge says anything of rain or of a level; give a scenario with `tocsin simulate`")
    return Scenario(DURATION_S, MEMBERS, int(world.time.timestamp()), knobs, series)
