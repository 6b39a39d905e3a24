"""A fire with the fires that its embers start: the front is grown up to the first ember that takes hold, and on from there with all that is known.

Nothing that an ember lights burns before `delay_s` has gone by since it left. So up to the first fire that takes hold a run without it is right, and all that is lit
within `delay_s` after that comes from ground whose arrival is right already: these starts are added, the front is grown again, and so on. The result is that of a run which looked at
each ember at its moment; what it costs is one run for each stretch of `delay_s` in which something takes hold.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from tocsin.science.fire_growth import FireProblem, FireRun, spread
from tocsin.science.fire_spotting import Cells, Embers, Floats, land

SPOT_FIRES_MOST = 1_000
LOOK_AHEAD = 3  # stretches of `delay_s` that the first look goes on; twice as many each time that nothing took hold


class Spotted(NamedTuple):
    """A run, and the fires in it that embers started: where they came from, where they are, from when they burn, (fire,)."""

    run: FireRun
    source: Cells
    target: Cells
    lights_s: Floats
    is_cut: bool  # more took hold than `most`: those after it are left out
    runs: int


def spread_with_embers(
    problem: FireProblem, embers: Embers, seed: int, *, duration_s: float, air_c: Floats, most: int = SPOT_FIRES_MOST
) -> Spotted:
    """The fire from the earliest weather on for `duration_s`, with what its embers light on ground that has not burnt before.

    Embers fly over lines, water and bare ground. `air_c` (interval,) is the air's temperature, which goes with the weather.
    """
    begin = problem.weather[0].begin_s
    end = begin + duration_s
    known_to, ahead, runs = begin + embers.delay_s, LOOK_AHEAD * embers.delay_s, 0
    source, target, lights_s = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    is_cut, is_done = False, embers.per_gj == 0.0
    while True:
        until = end if is_done else min(known_to + ahead, end)
        run = spread(_with(problem, target, lights_s), duration_s=until - begin)
        runs += 1
        if not is_done:
            landed = land(problem, run, embers, seed, air_c)
            fresh = (landed.lights_s >= known_to) & (landed.lights_s < until)
            fresh &= landed.lights_s < run.arrival_s.reshape(-1)[landed.target]
            if fresh.any():
                known_to, ahead = float(landed.lights_s[fresh][0]) + embers.delay_s, LOOK_AHEAD * embers.delay_s
                new = np.flatnonzero(fresh & (landed.lights_s < known_to))
                new = new[
                    np.sort(np.unique(landed.target[new], return_index=True)[1])
                ]  # the first of those that fall on one cell
                source, target, lights_s = (
                    np.concatenate([before, now[new]]) for before, now in zip((source, target, lights_s), landed, strict=True)
                )
                is_cut = is_done = target.size > most
                source, target, lights_s = source[:most], target[:most], lights_s[:most]
                continue
            known_to, ahead = until, 2.0 * ahead
        if until >= end:
            took = run.arrival_s.reshape(-1)[target] == lights_s
            return Spotted(run, source[took], target[took], lights_s[took], is_cut, runs)


def _with(problem: FireProblem, target: Cells, lights_s: Floats) -> FireProblem:
    at = np.column_stack(np.divmod(target, problem.fuel.shape[1]))
    return msgspec.structs.replace(
        problem,
        start=np.concatenate([np.asarray(problem.start, np.int64).reshape(-1, 2), at]),
        start_s=np.concatenate([problem.start_s, lights_s]),
    )
