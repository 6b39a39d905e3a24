"""What a stream's readings are worth beside those of others: is it stuck while they move, far from them, or not where it must be?

Each answer is a pure function of all readings of the streams asked about and of their neighbours, so that it can be made for some
streams only, when these have spoken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.edge.check import Location, Test, pack
from tocsin.edge.ring import Ring, Rows, shifted
from tocsin.science import quality

CELLS_AT_ONCE = 250_000  # numbers of a step: small enough for the cache, and for an edge node
NOT_STUCK = np.iinfo(np.int64).max


def possible(ring: Ring, rows: Rows) -> NDArray[np.float64]:
    """The values of some rows, NaN where they cannot be."""
    low, high = ring.spans[rows.row, :1], ring.spans[rows.row, 1:2]
    return np.where((rows.value >= low) & (rows.value <= high), rows.value, np.nan)


def near_to(ring: Ring, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """These streams, and all that have one of them as a neighbour: whose flags may have changed when these have spoken."""
    if not ring.neighbours.size or not row.size:
        return row
    spoke = np.zeros(len(ring.sites) + 1, bool)  # the last stands for -1, no neighbour
    spoke[row] = True
    return np.flatnonzero(spoke[:-1] | spoke[ring.neighbours].any(axis=1))


def find_stuck(ring: Ring, row: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Since when some streams have been flat while a neighbour moved, (row,); NOT_STUCK where it is not so. None: not asked."""
    check = ring.check
    if check is None or check.flat_suspect_s is None or not ring.neighbours.size:
        return None
    rows = ring.gather(row)
    value, last = possible(ring, rows), ring.depth - 1
    newest = _trailing_blanks(value)
    time_us = shifted(rows.time_us, newest)
    since, count = quality.flat_since(time_us, shifted(value, newest), last, tolerance=check.flat_tolerance, context=ring.depth)
    flat = (count >= 3) & (time_us[:, -1] - since >= check.flat_suspect_s * quality.US_PER_S)
    near = ring.neighbours[row]
    asked, at = np.unique(near, return_inverse=True)
    beside = ring.gather(np.maximum(asked, 0))
    moved = quality.moved_since(beside.time_us, possible(ring, beside), by=check.neighbour_move)
    moved = np.where(asked >= 0, moved, np.iinfo(np.int64).min)[at].reshape(near.shape).max(axis=1)
    return np.where(flat & (moved >= since), since, NOT_STUCK)


def compare(ring: Ring, row: NDArray[np.int64], first: int) -> NDArray[np.uint32] | None:
    """What the neighbour test says of some streams from column `first` on, packed, (row, depth); None where there is none to make."""
    check = ring.check
    if check is None or check.neighbour_suspect is None or not ring.neighbours.size:
        return None
    asked = np.flatnonzero((ring.neighbours[row] >= 0).sum(axis=1) >= check.neighbour_least)
    told = np.zeros((row.size, ring.depth), np.uint32)
    most = max(1, CELLS_AT_ONCE // (ring.depth * max(1, ring.neighbours.shape[1])))
    for begin in range(0, asked.size, most):
        at = asked[begin : begin + most]
        mine = ring.gather(row[at])
        here = mine.time_us[:, first:]
        beside = np.full((ring.neighbours.shape[1], *here.shape), np.nan)
        for number, near in enumerate(ring.neighbours[row[at]].T):
            theirs = ring.gather(np.maximum(near, 0))
            value = possible(ring, theirs) - ring.offsets[theirs.row, None]
            found = quality.at_same_time(here, theirs.time_us, value, apart_s=check.neighbour_apart_s)
            beside[number] = np.where(near[:, None] >= 0, found, np.nan)
        value = possible(ring, mine) - ring.offsets[mine.row, None]
        told[at, first:] = check.compare(value[:, first:], beside)
    return told


def locate(
    ring: Ring, row: NDArray[np.int64], location: Location, longitude: Ring | None, latitude: Ring | None
) -> NDArray[np.uint32] | None:
    """What the location test says of some streams, packed, (row, depth), by the streams that tell where the sensors are."""
    if longitude is None or latitude is None or not row.size or not longitude.sites or not latitude.sites:
        return None
    mine, position = ring.gather(row), []
    for other in (longitude, latitude):
        place = np.array([other.index.get(ring.sites[at], -1) for at in row.tolist()], np.int64)
        theirs = other.gather(np.maximum(place, 0))
        number = possible(other, theirs) if other.check is not None else theirs.value
        number = np.where(place[:, None] >= 0, number, np.nan)
        position.append(quality.at_same_time(mine.time_us, theirs.time_us, number, apart_s=location.apart_s))
    told = quality.location(
        *position,
        box=location.box,
        moved_m=location.moved_m,
        home=location.homes(tuple(ring.sites[at] for at in row.tolist())),
        away_m=location.away_m,
    )
    return pack({Test.LOCATION: np.where(np.isfinite(mine.value), told, np.uint8(0))}, told.shape)


def _trailing_blanks(value: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many empty cells follow the newest number of each row."""
    there = np.isfinite(value)
    return np.where(there.any(axis=1), np.argmax(there[:, ::-1], axis=1), 0).astype(np.int64)
