"""The data plane: what was seen, as columns. One reading is a batch of one."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.quantity import Quantity


class Flag(IntEnum):
    """The QARTOD primary flags. Source: IOC 54 V3 (UNESCO 2013), as the IOOS QARTOD manuals use them."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


def column(values: ArrayLike, dtype: Any) -> NDArray[Any]:
    """A read-only, contiguous copy of `values`: what a frozen value may hold and hand out."""
    array = np.array(values, dtype=dtype, order="C", copy=True)
    array.setflags(write=False)
    return array


class Observations(msgspec.Struct, frozen=True):
    """Readings of one quantity, as columns of the same length (n,).

    `site` is an index into `sites`. `time_us` is when the sensor saw it, `arrived_us` when we got it, both in
    microseconds since 1970 UTC. `flag` is QARTOD; a missing value is NaN *and* flagged 9, never only one of them.
    """

    quantity: Quantity
    sites: tuple[str, ...]
    site: NDArray[np.int32]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    flag: NDArray[np.uint8]
    arrived_us: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        quantity: Quantity,
        sites: tuple[str, ...],
        site: ArrayLike,
        time_us: ArrayLike,
        value: ArrayLike,
        *,
        arrived_us: ArrayLike | None = None,
        flag: ArrayLike | None = None,
    ) -> Observations:
        """Make columns of what came in: not yet evaluated, and flagged missing where there is no finite number."""
        values = np.array(value, np.float64).reshape(-1)
        flags = np.full(values.size, Flag.NOT_EVALUATED, np.uint8) if flag is None else np.array(flag, np.uint8)
        flags[~np.isfinite(values)] = Flag.MISSING
        values[~np.isfinite(values)] = np.nan
        return cls(
            quantity,
            sites,
            column(site, np.int32),
            column(time_us, np.int64),
            column(values, np.float64),
            column(flags, np.uint8),
            column(time_us if arrived_us is None else arrived_us, np.int64),
        )

    def __post_init__(self) -> None:
        lengths = {name: getattr(self, name).shape for name in ("site", "time_us", "value", "flag", "arrived_us")}
        if len(set(lengths.values())) != 1 or self.value.ndim != 1:
            raise InputError(f"observations of {self.quantity.name}: columns differ in shape: {lengths}; wanted all (n,)")
        if self.site.size and not (self.site.min() >= 0 and self.site.max() < len(self.sites)):
            raise InputError(
                f"observations of {self.quantity.name}: site index {self.site.min()}..{self.site.max()} "
                f"is outside the {len(self.sites)} sites named"
            )
        unmarked = ~np.isfinite(self.value) & (self.flag != Flag.MISSING)
        if unmarked.any():
            raise InputError(f"observations of {self.quantity.name}: {int(unmarked.sum())} NaN without flag 9 (missing)")

    def __len__(self) -> int:
        return int(self.value.size)

    def digest(self) -> str:
        """SHA-256 over quantity, sites and all columns: the name by which a record can cite this batch as its cause."""
        told = hashlib.sha256(msgspec.json.encode([self.quantity.name, self.quantity.unit, list(self.sites)]))
        for name, dtype in (("site", "<i4"), ("time_us", "<i8"), ("value", "<f8"), ("flag", "u1"), ("arrived_us", "<i8")):
            told.update(getattr(self, name).astype(dtype).tobytes())
        return told.hexdigest()
