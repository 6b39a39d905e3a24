"""A hazard in space: how strong, from when, until when, at every place, in every future."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.series import Series


class Member(msgspec.Struct, frozen=True):
    """One future of a hazard. All arrays are (place,) float32; a place is a cell of the twin's grid, row by row.

    `arrival_s` is when the hazard first reached the place and `end_s` when it left it for the last time, in seconds after
    the start; both are +inf where it never came, and `end_s` is the run's length where it was still there at the end.
    `companions` are further peaks that the model makes, by quantity name (a flood's speed).
    `frames` are the intensity at `frame_s`, (frame, place), if they were asked for. `courses` are what the run tells of the whole place over
    time, by name (an epidemic's new cases a day), seconds after the start. `shown` is what sensors of other quantities than the intensity's would
    show at `frame_s`, by quantity name, each (frame, place), if frames were asked for (a gas in ppm).
    """

    peak: NDArray[np.float32]
    arrival_s: NDArray[np.float32]
    end_s: NDArray[np.float32]
    companions: Mapping[str, NDArray[np.float32]] = {}
    frames: NDArray[np.float32] | None = None
    notes: Mapping[str, float] = {}  # the run's own account of itself, e.g. its water balance
    courses: Mapping[str, Series] = {}
    shown: Mapping[str, NDArray[np.float32]] = {}


class Footprint(msgspec.Struct, frozen=True):
    """Where a hazard is: all futures together, arrays (member, place), in `quantity.unit`."""

    quantity: Quantity
    duration_s: float
    peak: NDArray[np.float32]
    arrival_s: NDArray[np.float32]
    end_s: NDArray[np.float32]
    companions: Mapping[str, NDArray[np.float32]] = {}
    courses: tuple[Mapping[str, Series], ...] = ()  # of each future; empty where the model tells none

    def __post_init__(self) -> None:
        shapes = {self.peak.shape, self.arrival_s.shape, self.end_s.shape, *(c.shape for c in self.companions.values())}
        if len(shapes) != 1 or self.peak.ndim != 2:
            raise InputError(f"footprint of {self.quantity.name}: shapes {sorted(shapes)}; wanted all (member, place)")
        if len(self.courses) not in (0, self.peak.shape[0]):
            raise InputError(
                f"footprint of {self.quantity.name}: courses of {len(self.courses)} futures; wanted {self.peak.shape[0]}"
            )

    @property
    def members(self) -> int:
        return int(self.peak.shape[0])

    def futures(self, rows: NDArray[np.int64]) -> Footprint:
        """Some of the futures, in this order."""
        return Footprint(
            self.quantity,
            self.duration_s,
            self.peak[rows],
            self.arrival_s[rows],
            self.end_s[rows],
            {name: values[rows] for name, values in self.companions.items()},
            tuple(self.courses[row] for row in rows) if self.courses else (),
        )

    def member(self, number: int) -> Member:
        """One future, as read-only views."""
        return Member(
            self.peak[number],
            self.arrival_s[number],
            self.end_s[number],
            {name: values[number] for name, values in self.companions.items()},
            courses=self.courses[number] if self.courses else {},
        )


def stack(quantity: Quantity, duration_s: float, members: list[Member]) -> Footprint:
    """Put futures together; raises InputError where they do not share a shape."""
    if not members:
        raise InputError(f"footprint of {quantity.name}: no future to stack; ask for at least one member")
    names = members[0].companions.keys()

    def together(arrays: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        if len({a.shape for a in arrays}) != 1:
            raise InputError(f"footprint of {quantity.name}: futures differ in shape: {sorted({a.shape for a in arrays})}")
        stacked = np.stack(arrays).astype(np.float32, copy=False)
        stacked.setflags(write=False)
        return stacked

    return Footprint(
        quantity,
        duration_s,
        together([m.peak for m in members]),
        together([m.arrival_s for m in members]),
        together([m.end_s for m in members]),
        {name: together([m.companions[name] for m in members]) for name in names},
        tuple(m.courses for m in members) if any(m.courses for m in members) else (),
    )
