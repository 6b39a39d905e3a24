"""How far the truth may lie from what a gauge shows, and how far a gauge reaches: what readings are trusted with when they weigh and move futures."""

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


class Errors(msgspec.Struct, frozen=True):
    """How far a true future may lie from what its gauge shows, as standard deviations: the gauge itself, and that a cell stands for a place.

    All numbers are `unverified` planning choices of ours, and meant to be set for the place, here for all gauges and in the twin for one; they weigh futures
    and warn nobody.
    """

    level_m: float = 0.1
    rain_share: float = 0.3
    rain_least_mm_per_h: float = 1.0
    depth_m: float = 0.15

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"errors of gauges: {name} = {value}; wanted more than 0: no gauge is exact")
