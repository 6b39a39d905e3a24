"""A value that changes with time: a hydrograph, a hyetograph, a level."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.observations import column


class Series(msgspec.Struct, frozen=True):
    """Values at moments, in seconds after the start of a run. Whoever reads it says if it is a step or a line.

    >>> Series.of([0, 3600], [0.0, 2.0]).at(1800.0)
    1.0
    """

    time_s: NDArray[np.float64]
    value: NDArray[np.float64]

    @classmethod
    def of(cls, time_s: ArrayLike, value: ArrayLike) -> Series:
        """A series of copies; raises InputError where the times do not rise or a number is not finite."""
        return cls(column(time_s, np.float64), column(value, np.float64))

    @classmethod
    def constant(cls, value: float) -> Series:
        """One value for all time."""
        return cls.of([0.0], [value])

    def __post_init__(self) -> None:
        if self.time_s.ndim != 1 or self.time_s.shape != self.value.shape or self.time_s.size == 0:
            raise InputError(f"series: times {self.time_s.shape} and values {self.value.shape}; wanted two columns of one length")
        if not (np.isfinite(self.time_s).all() and np.isfinite(self.value).all()):
            raise InputError("series: holds a number that is not finite; leave such a row out")
        if not (np.diff(self.time_s) > 0).all():
            worst = int(np.argmin(np.diff(self.time_s)))
            raise InputError(f"series: time {self.time_s[worst + 1]} s follows {self.time_s[worst]} s; wanted rising times")

    def at(self, time_s: float) -> float:
        """The value at a moment, linear between points, flat outside."""
        return float(np.interp(time_s, self.time_s, self.value))
