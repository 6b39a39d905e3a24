"""A batch that came, before it is on disk: its flags, what of it is known already, and what the ring will hold of it.

Most readings are newer than all that their stream has told: they need no more of it than the tests look back. Readings that are late,
come twice or out of order are merged with all that is remembered of their stream. Both ways give the same flags.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.edge.check import Check, Test, flags
from tocsin.edge.ring import COUNTED, NEVER, Appended, Number, Ring, Rows
from tocsin.science import quality
from tocsin.vocabulary import Flag, Observations, column

CELLS_AT_ONCE = 250_000  # numbers of a step: small enough for the cache, and for an edge node
NEAR = 2  # cells back that a reading's verdict rests on where its stream moves and lacks no number
SPIKE_BITS = np.uint32(3 << 2 * Test.SPIKE)

Mask = NDArray[np.bool_]


class Checked(msgspec.Struct, frozen=True):
    """A batch with its flags, without what was already known; and what `keep` will put into the ring."""

    observations: Observations
    duplicates: int
    late: int
    future: tuple[tuple[str, float], ...]  # site and by how many seconds its clock is ahead of ours
    digest: str
    heard: NDArray[np.int64]  # places, in the order of `sites`, of those whose clock agrees with ours
    rows: tuple[Rows, ...]
    appended: tuple[Appended, ...]
    places: NDArray[np.int64]  # of the streams that the batch touches
    counted: NDArray[np.int64]  # (place, COUNTED)


class _Told:
    """What is found out about each reading of a batch."""

    def __init__(self, batch: Observations, ring: Ring) -> None:
        self.place: NDArray[np.int64] = ring.places(batch.sites)[batch.site]
        self.flag = np.array(batch.flag, np.uint8)
        self.repeated, self.late, self.second, self.out_of_order = (np.zeros(len(batch), bool) for _ in range(4))


def check_batch(ring: Ring, batch: Observations) -> Checked:
    """Flag a batch against what is known, and drop what is known already; nothing is kept yet."""
    told = _Told(batch, ring)
    ahead_s = (batch.time_us - batch.arrived_us) / quality.US_PER_S
    future = ahead_s > (ring.check.future_s if ring.check else math.inf)
    has_future = bool(future.any())
    if has_future:
        told.flag[future] = np.maximum(told.flag[future], Flag.FAIL)
    order = np.argsort(told.place, kind="stable")
    starts, in_order = in_order_rows(ring, told.place[order], batch.time_us[order], future[order])
    places, count = told.place[order[starts]], np.diff(np.append(starts, len(batch)))
    is_newer = np.repeat(in_order, count)
    appended = tuple(_append(ring, batch, told, order[is_newer], places[in_order], count[in_order]))
    rows: tuple[Rows, ...] = ()
    if not in_order.all():
        mixed = np.sort(order[~is_newer])
        mixed = mixed[~future[mixed]]
        told.out_of_order[mixed] = _out_of_order(ring, told.place[mixed], batch.time_us[mixed])
        rows = tuple(_merge(ring, batch, told, part) for part in _in_parts(told.place, mixed, ring.depth))
    observed = _flagged(batch, told.flag, ~told.repeated)
    counted = np.zeros((places.size, len(COUNTED)), np.int64)
    counted[:, 0] = counted[:, 1] = count
    if not (in_order.all() and not has_future):
        happened = (~told.repeated, told.repeated, told.second, told.late, future, told.out_of_order)
        for number, one in enumerate(happened, 1):
            counted[:, number] = np.add.reduceat(one[order].astype(np.int64), starts) if starts.size else 0
    ahead = _one_each(told.place, np.flatnonzero(future)) if has_future else np.empty(0, np.int64)
    return Checked(
        observed,
        int(told.repeated.sum()),
        int(told.late.sum()),
        tuple((batch.sites[batch.site[k]], float(ahead_s[k])) for k in ahead),
        observed.digest(),
        np.unique(told.place[~future]) if has_future else places,
        rows,
        appended,
        places,
        counted,
    )


def _flagged(batch: Observations, flag: NDArray[np.uint8], keep: Mask) -> Observations:
    if keep.all():
        return Observations(
            batch.quantity, batch.sites, batch.site, batch.time_us, batch.value, column(flag, np.uint8), batch.arrived_us
        )
    return Observations(
        batch.quantity,
        batch.sites,
        column(batch.site[keep], np.int32),
        column(batch.time_us[keep], np.int64),
        column(batch.value[keep], np.float64),
        column(flag[keep], np.uint8),
        column(batch.arrived_us[keep], np.int64),
    )


def in_order_rows(
    ring: Ring, place: NDArray[np.int64], time_us: NDArray[np.int64], future: Mask
) -> tuple[NDArray[np.int64], Mask]:
    """Where each stream begins in readings sorted by stream, and of which streams all are newer than what was there before them."""
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    if not starts.size:
        return starts, np.empty(0, bool)
    before = np.empty_like(time_us)
    before[1:] = time_us[:-1]
    before[starts] = ring.newest_us[place[starts]]
    newer = np.logical_and.reduceat((time_us > before) & ~future, starts)
    return starts, newer & (np.diff(np.append(starts, place.size)) <= ring.depth - quality.REACH)


def _append(
    ring: Ring, batch: Observations, told: _Told, order: NDArray[np.int64], row: NDArray[np.int64], count: NDArray[np.int64]
) -> Iterator[Appended]:
    """Readings newer than all of their streams, sorted by stream; writes their flags. Streams with as many new ones are one part.

    A part looks back as far as the tests may have to. Most streams move with each reading and have told numbers before: for them two
    cells say the same, and a tenth of the work is enough.
    """
    if not row.size:
        return
    if ring.check is None:
        yield _appended(batch, told, order, row, count, np.zeros(order.size, np.uint32), None)
        return
    near = rests_on_near(ring, ring.check, batch.value[order], row, count)
    for each, is_near in itertools.product(np.unique(count).tolist(), (True, False)):
        which = np.flatnonzero((count == each) & (near == is_near))
        again = 1 if is_near else quality.REACH
        back = NEAR if is_near else ring.check.context + quality.REACH
        most = max(1, CELLS_AT_ONCE // (back + quality.REACH + each))
        for begin in range(0, which.size, most):
            mine = np.zeros(row.size, bool)
            mine[which[begin : begin + most]] = True
            cells = order[np.repeat(mine, count)]
            packed, before = _codes(ring, ring.check, batch, cells, row[mine], back, again)
            yield _appended(batch, told, cells, row[mine], count[mine], packed, before)


def rests_on_near(ring: Ring, check: Check, value: NDArray[np.float64], row: NDArray[np.int64], count: NDArray[np.int64]) -> Mask:
    """Of which streams the `NEAR` cells before new readings say all that the tests of one stream ask; `value` is sorted by stream.

    Both are numbers that the sensor can measure, so that no test looks past them; and each new reading has left the one before it by
    as much as ends a flat line, so that nothing further back can be a part of one. A test of the whole signal asks more.
    """
    if check.attenuated_suspect is not None:
        return np.zeros(row.size, bool)
    low, high = ring.spans[row, 0], ring.spans[row, 1]
    known = ring.take("value", ring.cells(row, NEAR))
    near = np.asarray(((known >= low[:, None]) & (known <= high[:, None])).all(axis=1), np.bool_)
    if check.flat_suspect_s is not None:
        possible = (value >= np.repeat(low, count)) & (value <= np.repeat(high, count))
        starts = np.cumsum(count) - count
        before, was_possible = np.roll(value, 1), np.roll(possible, 1)
        before[starts], was_possible[starts] = known[:, -1], near
        with np.errstate(invalid="ignore"):
            left = was_possible & ~(np.abs(before - value) < check.flat_tolerance)
        near &= np.logical_and.reduceat(left | ~possible, starts)
    return near


def _appended(
    batch: Observations,
    told: _Told,
    order: NDArray[np.int64],
    row: NDArray[np.int64],
    count: NDArray[np.int64],
    packed: NDArray[np.uint32],
    before: NDArray[np.uint32] | None,
) -> Appended:
    value, given = batch.value[order], told.flag[order]
    told.flag[order] = flags(packed, given, value)
    return Appended(row, count, batch.time_us[order], value, given, packed, batch.arrived_us[order], before)


def _codes(
    ring: Ring, check: Check, batch: Observations, order: NDArray[np.int64], row: NDArray[np.int64], back: int, again: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """What the tests of one stream say of new readings, as many for each row, from what they are and the `back` cells before.

    And what is now said of the last `again` of these, (row, again): a new reading is the follower that their spike test waits for.
    """
    cells, shape = ring.cells(row, back), (row.size, order.size // row.size)
    time_us = np.concatenate([ring.take("time_us", cells), batch.time_us[order].reshape(shape)], axis=1)
    value = np.concatenate([ring.take("value", cells), batch.value[order].reshape(shape)], axis=1)
    codes = check.judge(time_us, value, ring.spans[row], first=back - again, fresh_from=back)
    known = ring.take("packed", cells[:, -again:])
    return codes[:, again:].reshape(-1), (known & ~SPIKE_BITS) | (codes[:, :again] & SPIKE_BITS)


def _merge(ring: Ring, batch: Observations, told: _Told, part: NDArray[np.int64]) -> Rows:
    """The rows that `part` of the batch touches, with it in them; writes the flags of its readings."""
    place, flag, late = told.place, told.flag, told.late
    depth = ring.depth
    order = part[np.lexsort((part, place[part]))]
    row, start, count = np.unique(place[order], return_index=True, return_counts=True)
    width = int(count.max())
    known = ring.gather(row)
    line = np.repeat(np.arange(row.size), count)
    slot = np.arange(order.size) - np.repeat(start, count)

    def beside(old: NDArray[Number], empty: float, fresh: NDArray[Number]) -> NDArray[Number]:
        new = np.full((row.size, width), empty, old.dtype)
        new[line, slot] = fresh[order]
        return np.concatenate([old, new], axis=1)

    time_us = beside(known.time_us, NEVER, batch.time_us)
    value = beside(known.value, np.nan, batch.value)
    given = beside(known.given, Flag.MISSING, flag)
    packed = np.concatenate([known.packed, np.zeros((row.size, width), np.uint32)], axis=1)
    number = np.concatenate([known.batch, np.full((row.size, width), ring.batches, np.int32)], axis=1)
    came_us = beside(known.came_us, NEVER, batch.arrived_us)
    source = np.full((row.size, depth + width), -1, np.int64)
    source[line, depth + slot] = order

    tables: list[NDArray[Any]] = [time_us, value, given, packed, number, came_us, source]
    mixed = np.flatnonzero(((time_us[:, 1:] <= time_us[:, :-1]) & (time_us[:, :-1] != NEVER)).any(axis=1))
    if mixed.size:
        # stable: of two numbers for one moment the first that came stands first, and a number before a missing one
        _reorder(tables, mixed, np.lexsort((np.isnan(value[mixed]), time_us[mixed]), axis=1))
        again = np.zeros(time_us.shape, bool)
        again[:, 1:] = (time_us[:, 1:] == time_us[:, :-1]) & (time_us[:, 1:] != NEVER)
        if again.any():
            _set_aside(time_us, value, source, again, told)
            for table, empty in zip(tables, (NEVER, np.nan, Flag.MISSING, 0, -1, NEVER, -1), strict=True):
                table[again] = empty
            _reorder(tables, mixed, np.argsort(~again[mixed], axis=1, kind="stable"))  # to the left, where nothing is
    fresh = source >= 0
    if ring.check is not None and fresh.any():
        earliest = int(np.argmax(fresh.any(axis=0)))
        first = max(0, earliest - quality.REACH)
        codes = ring.check.judge(time_us, value, ring.spans[row], first=first)
        # a reading that has lost its own past to the ring's end keeps what was said of it when it had one
        was_full = known.time_us[:, :1] != NEVER
        remembered = np.arange(first, time_us.shape[1]) - (time_us == NEVER).sum(axis=1)[:, None]
        forgotten = was_full & (remembered < ring.check.context) & ~fresh[:, first:]
        packed[:, first:] = np.where(forgotten, packed[:, first:], codes)
    flag[source[fresh]] = flags(packed, given, value)[fresh]
    beyond = fresh & (time_us < known.time_us[:, :1])  # older than all that a full ring remembers
    late[source[beyond]] = True
    cut = slice(-depth, None)
    return Rows(row, time_us[:, cut], value[:, cut], given[:, cut], packed[:, cut], number[:, cut], came_us[:, cut])


def _set_aside(
    time_us: NDArray[np.int64],
    value: NDArray[np.float64],
    source: NDArray[np.int64],
    again: Mask,
    told: _Told,
) -> None:
    """Say of each second reading of a moment if it repeats the first (dropped) or contradicts it (failed)."""
    first = np.maximum.accumulate(np.where(~again, np.arange(time_us.shape[1]), 0), axis=1)
    held = np.take_along_axis(value, first, 1)
    same = (value == held) | np.isnan(value)
    here = source[again]
    mine = here >= 0
    told.repeated[here[mine]] = same[again][mine]
    contradicts = here[mine & ~same[again]]
    told.second[contradicts] = True
    told.flag[contradicts] = np.maximum(told.flag[contradicts], np.uint8(Flag.FAIL))


def _reorder(tables: list[NDArray[Any]], rows: NDArray[np.intp], order: NDArray[np.intp]) -> None:
    """Put the cells of some rows into another order, in place."""
    for table in tables:
        table[rows] = np.take_along_axis(table[rows], order, 1)


def _out_of_order(ring: Ring, place: NDArray[np.int64], time_us: NDArray[np.int64]) -> Mask:
    """Which readings are older than one of their stream that came before them."""
    told = np.zeros(place.size, bool)
    if not place.size:
        return told
    order = np.argsort(place, kind="stable")
    rank = np.unique(time_us[order], return_inverse=True)[1]
    starts = np.flatnonzero(np.r_[True, place[order][1:] != place[order][:-1]])
    line = np.repeat(np.arange(starts.size), np.diff(np.r_[starts, order.size]))
    # the greatest so far within each stream: one running maximum over all, lifted from stream to stream
    lifted = rank + line * (int(rank.max()) + 1)
    before = np.r_[-1, np.maximum.accumulate(lifted)[:-1]]
    told[order] = (lifted < before) | (time_us[order] < ring.newest_us[place[order]])
    return told


def _in_parts(place: NDArray[np.int64], which: NDArray[np.int64], depth: int) -> Iterator[NDArray[np.int64]]:
    """Readings by groups of sites, such that the table of a group stays small even if one site sends a year of them."""
    if not which.size:
        return
    row, inverse, count = np.unique(place[which], return_inverse=True, return_counts=True)
    order = np.argsort(count, kind="stable")
    groups = np.empty(row.size, np.int64)
    begin = group = 0
    for end in range(1, row.size + 1):
        if end == row.size or (end + 1 - begin) * (depth + count[order[end]]) > CELLS_AT_ONCE:
            groups[order[begin:end]], begin, group = group, end, group + 1
    of = groups[inverse]
    for number in range(group):
        yield which[of == number]


def _one_each(place: NDArray[np.int64], which: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last of `which` at each place."""
    return which[::-1][np.unique(place[which[::-1]], return_index=True)[1]] if which.size else which
