"""The demo's virtual sensors: what gauges would have read in the district during the storm, and what is wrong with two of them.

The levels come from one run of the twin under the true storm, which nobody in the demo is shown: the platform sees readings only.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from tocsin.edge import Fault
from tocsin.edge.latest import microseconds
from tocsin.interfaces.demo import storm
from tocsin.platform.twin import Gauge
from tocsin.vocabulary import Grid, Member, Observations, Quantity

EVERY_S = 600.0
LEVEL_SITES = ("level-weir", "level-quay", "level-mill", "level-end")
LEVEL_NOISE_M, RAIN_NOISE_SHARE = 0.006, 0.03


def times_s(hours: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """When the sensors speak, seconds after the storm's start."""
    return np.arange(EVERY_S, hours * 3600.0 + 1.0, EVERY_S)


def rain_readings(
    quantity: Quantity, gauges: tuple[Gauge, ...], start: datetime, hours: float, rng: np.random.Generator
) -> Observations:
    """What fell since the reading before, mm: an hour's published sum in equal parts, the same at all gauges but for their error."""
    at_s = times_s(hours)
    hour = np.minimum(((at_s - 1.0) // 3600.0).astype(int), storm.HOURS - 1)
    fell_mm = np.where(at_s <= storm.HOURS * 3600.0, np.array(storm.RAIN_MM)[hour] * EVERY_S / 3600.0, 0.0)
    errors = 1.0 + rng.normal(0.0, RAIN_NOISE_SHARE, (len(gauges), at_s.size))
    return _columns(quantity, gauges, start, at_s, np.round(fell_mm * errors, 2))


def level_readings(
    quantity: Quantity,
    gauges: tuple[Gauge, ...],
    start: datetime,
    hours: float,
    true: Member,
    grid: Grid,
    rng: np.random.Generator,
) -> Observations:
    """The water above each gauge's zero, m, in the frames of the true run (one frame for each moment of `times_s`)."""
    at_s = times_s(hours)
    if true.frames is None or true.frames.shape != (at_s.size, grid.cells):
        raise ValueError(
            f"true run: frames {None if true.frames is None else true.frames.shape}; wanted {(at_s.size, grid.cells)}"
        )
    depth_m = np.array([true.frames[:, gauge.place] for gauge in gauges], np.float64)
    read_m = depth_m + rng.normal(0.0, LEVEL_NOISE_M, depth_m.shape)
    return _columns(quantity, gauges, start, at_s, np.round(np.maximum(read_m, 0.0), 3))


def _columns(quantity: Quantity, gauges: tuple[Gauge, ...], start: datetime, at_s: np.ndarray, value: np.ndarray) -> Observations:
    sites = tuple(gauge.site for gauge in gauges)
    time_us = np.tile(microseconds(start) + (at_s * 1e6).astype(np.int64), (len(gauges), 1))
    site = np.repeat(np.arange(len(gauges)), at_s.size)
    return Observations.of(quantity, sites, site, time_us.reshape(-1), value.reshape(-1))


def faults(start: datetime) -> tuple[Fault, ...]:
    """What is wrong: the mill's level gauge sticks from hour 3.5 on, and a rain gauge leaps twice."""
    end = start + timedelta(days=2)
    hour = timedelta(hours=1)
    return (
        Fault(site="level-mill", kind="stuck", start=start + 3.5 * hour, end=end),
        Fault(site="rain-east", kind="spike", start=start + 4.4 * hour, end=start + 4.6 * hour, amount=140.0),
    )
