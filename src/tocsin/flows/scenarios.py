"""What to ask of a model when a warning comes and nobody has said what is coming: that it goes on as it does now, and how far it may not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from tocsin.pack import Pack, Scenario, Spread
from tocsin.platform.twin import Gauge
from tocsin.vocabulary import InputError, Series, World

LOOK_BACK_S = 3 * 3600.0
DURATION_S = 24 * 3600.0
MEMBERS = 50
# How wrong "it goes on as it does" may be: a planning assumption, unverified. A forecast centre's own numbers belong here.
RAIN_SPREAD = Spread(0.3, 1.0, 2.0)
LEVEL_SPREAD = Spread(-0.5, 0.0, 1.0)


def as_now(world: World, now: datetime, gauges: Sequence[Gauge], pack: Pack) -> Scenario:
    """The persistence forecast: rain at its mean of the last 3 h, levels at each water's highest good reading of the last 3 h, for a day.

    A level gauge counts for the water body that it is said to stand in, whose name is its own or its site, or the only one there is. Raises InputError where no reading
    says anything: then a person has to give a scenario.
    """
    model = pack.models[0]
    series: dict[str, Series] = {}
    knobs: dict[str, Spread] = {}
    for quantity in pack.observes:
        window = world.window(quantity, LOOK_BACK_S)
        if not window.good.any():
            continue
        if quantity.unit == "mm" and "rain" in model.series:
            fell_mm = np.where(window.good, window.value, 0.0).sum(axis=1)[window.good.any(axis=1)]
            rate = float(fell_mm.mean() / (LOOK_BACK_S / 3600.0))
            if rate > 0:
                series["rain"] = Series.of([0.0, DURATION_S], [rate, 0.0])
                knobs["rain_factor"] = RAIN_SPREAD
        elif quantity.unit == "m" and "level@" in model.series:
            for water in world.waters():
                heard = [k for k, site in enumerate(window.sites) if stands_in(site, gauges, water, len(world.waters()))]
                good = window.good[heard]
                if good.any():
                    series[f"level@{water}"] = Series.constant(float(window.value[heard][good].max()))
                    knobs["level_offset_m"] = LEVEL_SPREAD
    if not series:
        raise InputError("forecast: no gauge says anything of rain or of a level; give a scenario with `tocsin simulate`")
    return Scenario(DURATION_S, MEMBERS, int(now.timestamp()), {n: s for n, s in knobs.items() if n in model.knobs}, series)


def stands_in(site: str, gauges: Sequence[Gauge], water: str, waters: int) -> bool:
    """True where a level gauge is one of a water's: by the water that it is said to stand in, its name, its site, or as there is one water only."""
    gauge = next((g for g in gauges if g.site == site), None)
    said, name = ("", "") if gauge is None else (gauge.water, gauge.name)
    return water in (said, name, site) or (waters == 1 and not said)
