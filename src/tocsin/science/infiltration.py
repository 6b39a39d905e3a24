"""How fast the ground drinks: Green-Ampt, or a constant rate."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]


class GreenAmpt(msgspec.Struct, frozen=True):
    """A wet front that goes down into uniform soil: rate = K (1 + (suction + ponding) deficit / infiltrated).

    Each number is one for all cells or a field (row, col). Source: Green & Ampt 1911, J. Agric. Sci. 4:1-24; in time steps
    after Li, Stevens & Simons 1976 (J. Irrig. Drain. Div. ASCE 102). Valid for deep uniform soil without a water table
    near; `moisture_deficit` is porosity less the water content before the rain.
    """

    conductivity_mm_per_h: float | Floats
    suction_m: float | Floats
    moisture_deficit: float | Floats

    def __post_init__(self) -> None:
        _not_below_zero(self.conductivity_mm_per_h, "green-ampt: conductivity_mm_per_h")
        _not_below_zero(self.suction_m, "green-ampt: suction_m")
        _not_below_zero(self.moisture_deficit, "green-ampt: moisture_deficit")
        if np.max(self.moisture_deficit) > 1.0:
            raise InputError(f"green-ampt: moisture_deficit is {np.max(self.moisture_deficit)}; wanted a share, 0..1")

    @property
    def is_uniform(self) -> bool:
        return not any(np.ndim(getattr(self, name)) for name in self.__struct_fields__)

    def si(self) -> tuple[float | Floats, float | Floats, float | Floats]:
        """Conductivity in m/s, suction in m, deficit."""
        return self.conductivity_mm_per_h / 3.6e6, self.suction_m, self.moisture_deficit


class ConstantLoss(msgspec.Struct, frozen=True):
    """A rate at which water sinks in or is drained away wherever there is some; one number or a field (row, col)."""

    rate_mm_per_h: float | Floats

    def __post_init__(self) -> None:
        _not_below_zero(self.rate_mm_per_h, "constant loss: rate_mm_per_h")

    @property
    def is_uniform(self) -> bool:
        return not np.ndim(self.rate_mm_per_h)

    def si(self) -> tuple[float | Floats, float | Floats, float | Floats]:
        """Rate in m/s; neither suction nor deficit."""
        return self.rate_mm_per_h / 3.6e6, 0.0, 0.0


def _not_below_zero(value: float | Floats, what: str) -> None:
    if not (np.isfinite(value).all() and (np.asarray(value) >= 0.0).all()):
        raise InputError(f"{what} holds a negative or not finite number; wanted 0 or more")
