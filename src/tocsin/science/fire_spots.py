"""A fire with the fires that its embers start: the front is grown up to the first ember that takes hold, and on from there with all that is known.

Nothing that an ember lights burns before `delay_s` has gone by since it left. So up to the first fire that takes hold a run without it is right, and all that is lit
within `delay_s` after that comes from ground whose arrival is right already: these starts are added, the front is grown again, and so on. The result is that of a run which looked at
each ember at its moment; what it costs is one run for each stretch of `delay_s` in which something takes hold.

Fires begin on steps of STEP_S, and the weather is parted there: the front is marched within a stretch of weather in an order that leans against the wind, in which a fire that starts later may
be taken up before ground that burns earlier; between stretches it may not. To part a stretch in two alike changes arrival by milliseconds.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from tocsin.science.fire_growth import FireProblem, FireRun, spread
from tocsin.science.fire_spotting import Cells, Embers, Floats, land

STEP_S = 600.0
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
        arrival = run.arrival_s.reshape(-1)
        took = (arrival[target] == lights_s) | (lights_s >= until)  # elsewhere the front was there before
        source, target, lights_s = source[took], target[took], lights_s[took]
        if is_done:
            return Spotted(run, source, target, lights_s, is_cut, runs)
        landed = land(problem, run, embers, seed, air_c)
        landed = landed._replace(lights_s=begin + STEP_S * np.ceil((landed.lights_s - begin) / STEP_S))
        fresh = (landed.lights_s >= known_to) & (landed.lights_s < np.minimum(arrival[landed.target], end))
        first = min(float(landed.lights_s[fresh].min(initial=np.inf)), until)  # so far the run is right
        is_done = until >= end and not fresh.any()
        ahead = ahead * 2.0 if first >= until else LOOK_AHEAD * embers.delay_s
        known_to = first + embers.delay_s
        new = np.flatnonzero(fresh & (landed.lights_s < known_to))
        new = new[np.sort(np.unique(landed.target[new], return_index=True)[1])]  # the first of those that fall on one cell
        source, target, lights_s = (
            np.concatenate([before, now[new]]) for before, now in zip((source, target, lights_s), landed, strict=True)
        )
        if target.size > most:
            is_cut = is_done = True
            source, target, lights_s = source[:most], target[:most], lights_s[:most]
        elif is_done:
            return Spotted(run, source, target, lights_s, is_cut, runs)


def _with(problem: FireProblem, target: Cells, lights_s: Floats) -> FireProblem:
    """The problem with further starts, and its weather parted where something starts."""
    at = np.column_stack(np.divmod(target, problem.fuel.shape[1]))
    start_s = np.concatenate([problem.start_s, lights_s])
    held = problem.weather[0]
    began = {float(t): held for t in np.unique(start_s) if t > held.begin_s} | {w.begin_s: w for w in problem.weather}
    weather = []
    for begin_s in sorted(began):
        held = began[begin_s] if began[begin_s].begin_s == begin_s else held
        weather.append(msgspec.structs.replace(held, begin_s=begin_s))
    return msgspec.structs.replace(
        problem,
        weather=tuple(weather),
        start=np.concatenate([np.asarray(problem.start, np.int64).reshape(-1, 2), at]),
        start_s=start_s,
    )
