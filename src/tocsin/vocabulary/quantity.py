"""A quantity is a measurable thing with its one unit inside the system and the range in which a value is believable."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]


class Quantity(msgspec.Struct, frozen=True):
    """A measurable thing: its name, its ONE unit inside, and the range in which a value is believable.

    >>> RIVER_LEVEL = Quantity("river_level", "m", low=-5, high=60)
    >>> RIVER_LEVEL.believable(np.array([3.2, -999.0, np.nan])).tolist()
    [True, False, False]
    """

    name: str
    unit: str
    low: float = float("-inf")
    high: float = float("inf")

    def __post_init__(self) -> None:
        if not self.name or not self.name.replace("_", "").isalnum():
            raise InputError(f"quantity: name = {self.name!r}; wanted words_joined_by_underscores")
        if not self.low < self.high:
            raise InputError(f"quantity {self.name}: low = {self.low} is not below high = {self.high} {self.unit}")

    def believable(self, value: Floats) -> Bools:
        """True where a value is finite and within [low, high]; same shape as `value`."""
        return np.asarray(np.isfinite(value) & (value >= self.low) & (value <= self.high))

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]"
