"""A vulnerability: intensity -> share lost, with its source; it refuses nonsense when it is made."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.quantity import Floats, Quantity


class Curve(msgspec.Struct, frozen=True):
    """Share lost, 0..1, as a function of one quantity: linear between points, flat outside.

    `source` is a citation with its table; `valid` says for what and where. `unverified` marks numbers that nobody has
    compared with the publication: they may inform a planner and may not warn the public.
    """

    quantity: Quantity
    points: tuple[tuple[float, float], ...]
    source: str
    valid: str
    unverified: bool = False

    def __post_init__(self) -> None:
        x, y = self._columns()
        if not (np.isfinite(x).all() and np.isfinite(y).all() and np.all(np.diff(x) > 0) and np.all(np.diff(y) >= 0)):
            raise InputError(f"curve of {self.quantity.name}: points {self.points} do not rise; wanted rising intensity and loss")
        if not (y[0] >= 0.0 and y[-1] <= 1.0):
            raise InputError(f"curve of {self.quantity.name}: share lost {y[0]}..{y[-1]} leaves 0..1")
        if not self.source:
            raise InputError(f"curve of {self.quantity.name}: no source; name the publication and its table")

    def _columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        pairs = np.array(self.points, np.float64).reshape(-1, 2)
        if len(pairs) < 2:
            raise InputError(f"curve of {self.quantity.name}: {len(pairs)} point; wanted two or more")
        return pairs[:, 0], pairs[:, 1]

    def share(self, intensity: Floats) -> NDArray[Any]:
        """Share lost, 0..1, same shape as `intensity`."""
        x, y = self._columns()
        return np.asarray(np.interp(intensity, x, y))
