"""What to ask of the model when a warning comes and nobody has said what is coming: that those who were reported are a part of those infected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.pack import GaugeAt, Scenario, Spread
from tocsin.packs.epidemic.model import DAY_S, WINDOW_D
from tocsin.packs.epidemic.quantities import CASES
from tocsin.vocabulary import Bulletin, InputError, Series, World

DURATION_S = 60 * DAY_S
MEMBERS = 20
INFECTED_PER_REPORTED = 3.0  # a planning assumption (unverified): two of three infected are never reported
TRANSMISSION = Spread(0.7, 1.0, 1.4)  # a planning assumption (unverified): fit it to the town's own cases


def outlook(world: World, _gauges: Sequence[GaugeAt], _told: Sequence[Bulletin] = ()) -> Scenario:
    """Sixty days from the cases of the last week, summed over all sites. Raises InputError where no site has told any."""
    window = world.window(CASES, WINDOW_D * DAY_S)
    cases = float(np.where(window.good, window.value, 0.0).sum())
    if not cases > 0.0:
        raise InputError("epidemic: no case was reported in the last week; give a scenario, e.g. --drive seeds=20persons")
    seeds = {"seeds": Series.constant(cases * INFECTED_PER_REPORTED)}
    return Scenario(DURATION_S, MEMBERS, 1, {"transmission_factor": TRANSMISSION}, seeds)
