"""The readings of one quantity that are remembered: a row for each stream, in which a newer reading is written beside the last one.

A row is wider than what is remembered, so that appending moves nothing; where its end is reached, what is still remembered moves to
the front, once in many readings. What a row holds counts from its own `end` to the left: `gather` gives rows aligned at the right.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.edge.check import Check
from tocsin.science import quality
from tocsin.vocabulary import Flag, InputError, Quantity

Number = TypeVar("Number", bound=np.generic)

NEVER = np.iinfo(np.int64).min
COUNTED = ("came", "stored", "duplicates", "contradictions", "late", "future", "out_of_order")
SITES_MOST = 1_000_000
SPARE_SHARE = 4  # a row has room for a fourth more than it remembers: moving then costs four cells for each reading
TABLES: tuple[tuple[str, Any, Any], ...] = (
    ("time_us", np.int64, NEVER),
    ("value", np.float64, np.nan),
    ("given", np.uint8, Flag.MISSING),
    ("packed", np.uint32, 0),
    ("batch", np.int32, -1),
    ("came_us", np.int64, NEVER),
)


class Rows(msgspec.Struct):
    """Rows of a ring, (row, lag), sorted by time and right-aligned: some of it, as it is or as it would be."""

    row: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    given: NDArray[np.uint8]
    packed: NDArray[np.uint32]
    batch: NDArray[np.int32]
    came_us: NDArray[np.int64]


class Appended(msgspec.Struct):
    """Readings newer than all that their rows hold, row by row, `count` of each, (reading,).

    `before` is what the tests now say of the last cells that the rows had, (row, REACH): a spike is known by its follower.
    """

    row: NDArray[np.int64]
    count: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    given: NDArray[np.uint8]
    packed: NDArray[np.uint32]
    came_us: NDArray[np.int64]
    before: NDArray[np.uint32] | None


class Ring:
    """The newest `depth` readings of each stream of a quantity, sorted by their time, and who is whose neighbour."""

    def __init__(self, quantity: Quantity, check: Check | None, depth: int) -> None:
        self.quantity, self.check = quantity, check
        self.depth = max(depth, check.context + 2 * quality.REACH if check else 0)
        self.width = self.depth + max(quality.REACH, self.depth // SPARE_SHARE)
        self.sites: tuple[str, ...] = ()
        self.index: dict[str, int] = {}
        self.tables: dict[str, NDArray[Any]] = {name: np.empty((0, self.width), kind) for name, kind, _ in TABLES}
        self.end = np.empty(0, np.int64)
        self.newest_us = np.empty(0, np.int64)
        self.arrived_us = np.empty(0, np.int64)
        self.spans = np.empty((0, 5))
        self.offsets = np.empty(0)
        self.neighbours = np.empty((0, 0), np.int64)
        self.counted = np.zeros((0, len(COUNTED)), np.int64)
        self.batches = 0
        self.digests: dict[int, str] = {}
        self._known: tuple[tuple[str, ...], NDArray[np.int64]] | None = None

    def add(self, names: Iterable[str]) -> None:
        """Make room for sites that are not known yet; they are seen by rules, and blind, until they speak."""
        fresh = [name for name in dict.fromkeys(names) if name not in self.index]
        if not fresh:
            return
        before, sites = len(self.sites), len(self.sites) + len(fresh)
        if sites > SITES_MOST:
            raise InputError(f"readings of {self.quantity.name}: more than {SITES_MOST} sites; split the node")
        self._grow(sites)
        for name, _, empty in TABLES:
            self.tables[name][before:sites] = empty
        self.index.update({name: before + k for k, name in enumerate(fresh)})
        self.sites = (*self.sites, *fresh)
        self.end = np.concatenate([self.end, np.full(len(fresh), self.depth)])
        self.newest_us = np.concatenate([self.newest_us, np.full(len(fresh), NEVER)])
        self.arrived_us = np.concatenate([self.arrived_us, np.full(len(fresh), NEVER)])
        self.counted = np.concatenate([self.counted, np.zeros((len(fresh), len(COUNTED)), np.int64)])
        if self.check is not None:
            self.spans = np.concatenate([self.spans, self.check.spans(tuple(fresh))])
            offsets = np.array([self.check.neighbour_offset.get(site, 0.0) for site in fresh])
            self.offsets = np.concatenate([self.offsets, offsets])
            if self.check.neighbours:
                near = [[self.index[n] for n in self.check.neighbours.get(s, ()) if n in self.index] for s in self.sites]
                width = max(map(len, near), default=0)
                self.neighbours = np.array([[*n, *[-1] * (width - len(n))] for n in near], np.int64).reshape(len(near), width)

    def _grow(self, sites: int) -> None:
        """Rows for so many sites; a fourth more than asked for, so that sites that come one by one do not copy all each time."""
        if sites > len(self.tables["time_us"]):
            rows = sites + sites // SPARE_SHARE if self.sites else sites
            for name, kind, _ in TABLES:
                table = np.empty((rows, self.width), kind)  # what is not used yet takes no memory
                table[: len(self.sites)] = self.tables[name][: len(self.sites)]
                self.tables[name] = table

    def places(self, names: tuple[str, ...]) -> NDArray[np.int64]:
        """The row of each name."""
        if self._known is None or self._known[0] != names:
            self.add(names)
            self._known = names, np.array([self.index[name] for name in names], np.int64)
        return self._known[1]

    @property
    def version(self) -> tuple[int, int]:
        """It changes whenever readings or sites are added."""
        return self.batches, len(self.sites)

    # Reading

    def cells(self, row: NDArray[np.int64], width: int, *, skip: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Where the last `width` cells of some rows are in the tables, flat, (row, width), without the newest `skip` of each row.

        What lies before all that a row remembers is its first cell: who asks so far back has to know how much is there.
        """
        end = self.end[row] if skip is None else self.end[row] - skip
        at = end[:, None] + np.arange(-width, 0)
        if width > self.depth or skip is not None:
            np.maximum(at, (self.end[row] - self.depth)[:, None], out=at)
        return np.asarray(at + (row * self.width)[:, None], np.int64)

    def take(self, name: str, cells: NDArray[np.int64]) -> NDArray[Any]:
        """What a table has in some cells."""
        return np.asarray(self.tables[name].reshape(-1).take(cells))

    def gather(self, row: NDArray[np.int64] | None = None, width: int | None = None) -> Rows:
        """The last `width` cells of some rows, of all if none are named; a copy."""
        row = np.arange(len(self.sites)) if row is None else row
        cells = self.cells(row, self.depth if width is None else min(width, self.depth))
        return Rows(row, *(self.take(name, cells) for name, _, _ in TABLES))

    def count_before(self, row: NDArray[np.int64], time_us: int) -> NDArray[np.int64]:
        """How many of the `depth` cells of each row are earlier than a moment: a bisection of all rows at once."""
        times, begin = self.tables["time_us"].reshape(-1), row * self.width + self.end[row] - self.depth
        low, high = np.zeros(row.size, np.int64), np.full(row.size, self.depth)
        for _ in range(self.depth.bit_length()):
            middle = np.minimum((low + high) >> 1, self.depth - 1)
            is_before = (low < high) & (times.take(begin + middle) < time_us)
            low, high = np.where(is_before, middle + 1, low), np.where(is_before, high, np.minimum(high, middle))
        return low

    # Writing

    def put(self, rows: Rows) -> None:
        """Put rows into the place of those that there are."""
        for name, _, _ in TABLES:
            self.tables[name][rows.row, : self.depth] = getattr(rows, name)
        self.end[rows.row] = self.depth
        self.newest_us[rows.row] = rows.time_us[:, -1]

    def append(self, new: Appended) -> None:
        """Write readings beside the last ones; at most `depth` for each row."""
        row, count = new.row, new.count
        full = self.end[row] + count > self.width
        if full.any():
            self._move_to_front(row[full], count[full])
        start = np.cumsum(count) - count
        first = row * self.width + self.end[row]
        cells = np.repeat(first - start, count) + np.arange(new.time_us.size)
        for name in ("time_us", "value", "given", "packed", "came_us"):
            self.tables[name].reshape(-1)[cells] = getattr(new, name)
        self.tables["batch"].reshape(-1)[cells] = self.batches
        if new.before is not None:
            self.tables["packed"].reshape(-1)[first[:, None] + np.arange(-new.before.shape[1], 0)] = new.before
        self.end[row] += count
        self.newest_us[row] = new.time_us[start + count - 1]

    def _move_to_front(self, row: NDArray[np.int64], count: NDArray[np.int64]) -> None:
        """Move what the rows will still remember once `count` more readings are there, so that these end at column `depth`."""
        at = (self.end[row] - self.depth + count)[:, None] + np.arange(self.depth)
        cells = np.minimum(at, self.width - 1) + (row * self.width)[:, None]  # what is not there yet is written next
        for name, _, _ in TABLES:
            self.tables[name][row, : self.depth] = self.take(name, cells)
        self.end[row] = self.depth - count


def shifted(table: NDArray[Number], by: NDArray[np.int64]) -> NDArray[Number]:
    """Each row moved right by `by` cells; what comes in from the left repeats the first cell."""
    if not by.any():
        return table
    places = np.maximum(np.arange(table.shape[1]) - by[:, None], 0)
    return np.take_along_axis(table, places, 1)
