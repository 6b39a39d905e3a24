"""Whether futures that are drawn anew go on from a state that gauges on the ground have moved, and how far a gauge reaches."""

from __future__ import annotations

import msgspec
import numpy as np

from tocsin.vocabulary import InputError

REACH_M = 1_000.0


class StateUpdate(msgspec.Struct, frozen=True):
    """Whether an assessment that is made anew goes on from the last one's state, moved towards gauges on the ground, and how far a gauge reaches.

    Off unless somebody turns it on: it needs several gauges on the ground near each other, and what water does between them is taken from how
    the futures differ. `reach_m` is an `unverified` planning choice of ours; no gauge says anything beyond twice that.
    """

    on: bool = False
    reach_m: float = REACH_M

    def __post_init__(self) -> None:
        if not (np.isfinite(self.reach_m) and self.reach_m > 0):
            raise InputError(f"state update: reach_m = {self.reach_m}; wanted more than 0")
