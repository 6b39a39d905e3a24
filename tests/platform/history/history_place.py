"""A plain answer to every question, from all readings in memory, and batches to ask about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tocsin.vocabulary import Observations, Quantity

LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_amount", "mm", low=0)
NOW = datetime(2026, 4, 1, tzinfo=UTC)
T0 = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000
MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
Row = tuple[str, int, int, int, int]  # site, time, bits of the value, flag, arrival in whole ms


def batch(
    times: Iterable[int],
    values: Iterable[float],
    *,
    sites: tuple[str, ...] = ("weir",),
    site: Iterable[int] | None = None,
    quantity: Quantity = LEVEL,
    flag: Any = None,
    late_us: int = 1_234_567,
) -> Observations:
    at = np.array(list(times), np.int64)
    which = np.zeros(at.size, int) if site is None else np.array(list(site))
    return Observations.of(quantity, sites, which, at, list(values), flag=flag, arrived_us=at + late_us)


def rows_of(found: Observations) -> list[Row]:
    """What a batch says, a row a reading, in its order."""
    bits = np.asarray(found.value).view(np.int64)
    columns = zip(found.site, found.time_us, bits, found.flag, found.arrived_us, strict=True)
    return [(found.sites[s], int(t), int(v), int(f), int(a) // 1000 * 1000) for s, t, v, f, a in columns]


class Oracle:
    """Every reading by what it is, the first one that came."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], dict[tuple[str, int, int], Row]] = {}

    def append(self, batches: Iterable[Observations]) -> None:
        for one in batches:
            known = self.seen.setdefault((one.quantity.name, one.quantity.unit), {})
            for row in rows_of(one):
                known.setdefault(row[:3], row)

    def read(self, quantity: Quantity) -> list[Row]:
        return sorted(self.seen.get((quantity.name, quantity.unit), {}).values())
