"""The digital twin as a pack sees it: one moment, physical and social, read-only."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.place import Assets, Dependency, Grid, Line, Roads, Water, Zones
from tocsin.vocabulary.quantity import Quantity


class Window(msgspec.Struct, frozen=True):
    """The latest readings of one quantity at all sites, arrays (site, lag), oldest first, right-aligned.

    `age_s` is seconds before the window's moment (>= 0); `good` is true for readings that a rule may use: QARTOD 1,
    2 and 3, since the manual's flag 3 is "suspect or of high interest" and the front of a flood is both.
    Cells that no reading filled have good = False, value NaN and age +inf.
    """

    quantity: Quantity
    sites: tuple[str, ...]
    age_s: NDArray[np.float64]
    value: NDArray[np.float64]
    good: NDArray[np.bool_]


class World(Protocol):
    """A snapshot. Two calls with the same arguments give the same answer; nothing here does input or output."""

    @property
    def time(self) -> datetime: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def made_up(self) -> bool:
        """True where the twin is an invention; everything made of it must say so."""
        ...

    def window(self, quantity: Quantity, span_s: float) -> Window:
        """What the sensors said in the last `span_s` seconds."""
        ...

    def field(self, quantity: Quantity) -> NDArray[np.float32]:
        """One value per cell, shape (row, col); raises NotFound with the fields that there are."""
        ...

    def assets(self, kind: str) -> Assets:
        """All assets of a kind (buildings, hospitals, shelters, schools, depots); an empty column set where there are none."""
        ...

    def people(self, hour: float) -> NDArray[np.float64]:
        """Persons per cell, shape (place,), at an hour of the local day, 0..24."""
        ...

    @property
    def roads(self) -> Roads: ...
    @property
    def zones(self) -> Zones: ...
    def water(self, name: str) -> Water:
        """A water body by name; raises NotFound with the names that there are."""
        ...

    def waters(self) -> tuple[str, ...]:
        """The names of the water bodies."""
        ...

    def lines(self) -> tuple[str, ...]:
        """The names of the lines."""
        ...

    def line(self, name: str) -> Line:
        """A line by name; raises NotFound with the names that there are."""
        ...

    def dependencies(self) -> tuple[Dependency, ...]:
        """Which thing needs which, as far as the twin was told; where it was not, chains assume and say so."""
        ...
