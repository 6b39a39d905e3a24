"""The latest readings of every stream, in a ring of bounded size: what rules, the console and the twin look at.

Checking and keeping are two steps, so that a reading which could not be written to disk leaves no trace here and may come again:
`checked = latest.check(batch)`, then the disk, then `latest.keep(checked)`.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.edge.check import Check, Location, Test, blamed, flags, pack, worst_of
from tocsin.science import detect, quality
from tocsin.vocabulary import Flag, InputError, NotFound, Observations, Quantity, Window, column

Number = TypeVar("Number", bound=np.generic)
Asked = ParamSpec("Asked")
Told = TypeVar("Told")

NEVER = np.iinfo(np.int64).min
CELLS_AT_ONCE = 4_000_000
SITES_MOST = 1_000_000
DIGESTS_KEPT = 100_000
TREND_READINGS = 12
LOOKED_AT = 24
FLAGS = tuple(Flag)
COUNTED = ("came", "stored", "duplicates", "contradictions", "late", "future", "out_of_order")
# A rule may use what is good, not yet evaluated, or suspect. The manual's flag 3 is "suspect or of high interest": the front of a
# flash flood is both, and to drop it would make the rule blind when it matters. Rules withstand single wild readings themselves.
USABLE = (Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT)


def microseconds(moment: datetime) -> int:
    """Since 1970 UTC, exactly."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class GaugeStatus(msgspec.Struct, frozen=True):
    """How one stream stands: its last reading, how good that is and why, how old it is, and where it tends."""

    site: str
    quantity: str
    unit: str
    value: float | None
    time: datetime | None
    flag: int
    reason: str
    age_s: float
    trend_per_h: float | None


class StreamStatus(msgspec.Struct, frozen=True):
    """How all streams of one quantity stand, as columns (site,): when last heard, how often, how late, how good, what was dropped.

    Times are microseconds since 1970 UTC, `NEVER` where there is none. `per_h` and the rest of the first group speak of the last
    `LOOKED_AT` readings: `lag_s` is the median time from a reading to its arrival, `lag_least_s` the shortest, `lag_spread_s` what
    lies between the quarters. The clock of a sensor and the way of its readings add up to the lag; no one can tell them apart from
    here. But a shortest lag below zero is a clock that is ahead by at least so much, and one that stays large with a small spread
    is a clock that is behind, or a sender that gathers. `share` is (flag, site), in the order of `FLAGS`.

    The counts hold since the process began, with what it read back from disk: readings that came; those stored; repeats of what was
    known (dropped); second numbers for one moment (stored as failed); late ones, older than all that is remembered, and future ones
    (stored, seen by no rule); and those that were older than one that had come before, which harms nothing.
    """

    quantity: Quantity
    sites: tuple[str, ...]
    last_seen_us: NDArray[np.int64]
    last_arrived_us: NDArray[np.int64]
    age_s: NDArray[np.float64]
    per_h: NDArray[np.float64]
    lag_s: NDArray[np.float64]
    lag_least_s: NDArray[np.float64]
    lag_spread_s: NDArray[np.float64]
    share: NDArray[np.float64]
    came: NDArray[np.int64]
    stored: NDArray[np.int64]
    duplicates: NDArray[np.int64]
    contradictions: NDArray[np.int64]
    late: NDArray[np.int64]
    future: NDArray[np.int64]
    out_of_order: NDArray[np.int64]


class Readings(msgspec.Struct, frozen=True):
    """Readings of one stream as columns, oldest first, with the digests of the batches they came in."""

    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    flag: NDArray[np.uint8]
    batch: tuple[str, ...] = ()


class Streams(msgspec.Struct, frozen=True):
    """All streams of one quantity as the checks see them, (site, lag); look, do not touch.

    `packed` holds what each test said of each reading: see `tocsin.edge.check.code_of`. What the tests that ask other streams said is
    there for the last `LOOKED_AT` readings at least.
    """

    sites: tuple[str, ...]
    index: Mapping[str, int]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    packed: NDArray[np.uint32]
    arrived_us: NDArray[np.int64]
    stuck_since: NDArray[np.int64] | None


class _Rows(msgspec.Struct):
    """Rows of a ring, sorted by time and right-aligned: some of it, as it is or as it would be."""

    row: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    given: NDArray[np.uint8]
    packed: NDArray[np.uint32]
    batch: NDArray[np.int32]
    came_us: NDArray[np.int64]

    def part(self, rows: slice | list[int] | NDArray[np.int64], columns: slice) -> _Rows:
        """Some rows and columns of it."""
        tables = (self.time_us, self.value, self.given, self.packed, self.batch, self.came_us)
        return _Rows(self.row[rows], *(table[rows][:, columns] for table in tables))  # type: ignore[arg-type]


class Checked(msgspec.Struct, frozen=True):
    """A batch with its flags, without what was already known; and the rows that `keep` will put into the ring."""

    observations: Observations
    duplicates: int
    late: int
    future: tuple[tuple[str, float], ...]  # site and by how many seconds its clock is ahead of ours
    digest: str
    heard: NDArray[np.int64]  # places, in the order of `sites`, of those whose clock agrees with ours
    rows: tuple[_Rows, ...]
    places: NDArray[np.int64]  # of the streams that the batch touches
    counted: NDArray[np.int64]  # (place, COUNTED)


class _Ring:
    """One quantity's streams: columns (site, lag)."""

    def __init__(self, quantity: Quantity, check: Check | None, depth: int) -> None:
        self.quantity, self.check = quantity, check
        self.depth = max(depth, check.context + 2 * quality.REACH if check else 0)
        self.sites: tuple[str, ...] = ()
        self.index: dict[str, int] = {}
        self.rows = _Rows(np.empty(0, np.int64), *self._blank(0))
        self.spans = np.empty((0, 5))
        self.offsets = np.empty(0)
        self.neighbours = np.empty((0, 0), np.int64)
        self.arrived_us = np.empty(0, np.int64)
        self.counted = np.zeros((0, len(COUNTED)), np.int64)
        self.batches = 0
        self.digests: dict[int, str] = {}
        self._stuck: tuple[tuple[int, int], NDArray[np.int64] | None] | None = None
        # what the tests across streams said, of which version of the readings, and from which column on
        self.beside: tuple[tuple[int, ...], int, NDArray[np.uint32] | None] | None = None
        self._known: tuple[tuple[str, ...], NDArray[np.int64]] | None = None

    def _blank(self, sites: int) -> list[NDArray[Any]]:
        shape = (sites, self.depth)
        return [
            np.full(shape, NEVER),
            np.full(shape, np.nan),
            np.full(shape, Flag.MISSING, np.uint8),
            np.zeros(shape, np.uint32),
            np.full(shape, -1, np.int32),
            np.full(shape, NEVER),
        ]

    def add(self, names: Iterable[str]) -> None:
        """Make room for sites that are not known yet; they are seen by rules, and blind, until they speak."""
        fresh = [name for name in dict.fromkeys(names) if name not in self.index]
        if not fresh:
            return
        if len(self.sites) + len(fresh) > SITES_MOST:
            raise InputError(f"readings of {self.quantity.name}: more than {SITES_MOST} sites; split the node")
        self.index.update({name: len(self.sites) + k for k, name in enumerate(fresh)})
        self.sites = (*self.sites, *fresh)
        old, more = self.rows, self._blank(len(fresh))
        columns: list[NDArray[Any]] = [old.time_us, old.value, old.given, old.packed, old.batch, old.came_us]
        joined: list[NDArray[Any]] = [np.concatenate([a, b]) for a, b in zip(columns, more, strict=True)]
        self.rows = _Rows(np.arange(len(self.sites)), *joined)
        self.arrived_us = np.concatenate([self.arrived_us, np.full(len(fresh), NEVER)])
        self.counted = np.concatenate([self.counted, np.zeros((len(fresh), len(COUNTED)), np.int64)])
        if self.check is not None:
            self.spans = self.check.spans(self.sites)
            self.offsets = np.array([self.check.neighbour_offset.get(site, 0.0) for site in self.sites])
            near = [[self.index[n] for n in self.check.neighbours.get(site, ()) if n in self.index] for site in self.sites]
            width = max(map(len, near), default=0)
            self.neighbours = np.array([[*n, *[-1] * (width - len(n))] for n in near], np.int64).reshape(len(near), width)

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

    def flags_of(
        self, rows: _Rows, stuck_since: NDArray[np.int64] | None = None, beside: NDArray[np.uint32] | None = None
    ) -> NDArray[np.uint8]:
        """The flags of all cells; readings of a stream that is stuck while its neighbours move fail."""
        told = flags(rows.packed if beside is None else rows.packed | beside, rows.given, rows.value)
        if stuck_since is not None:
            failed = (rows.time_us >= stuck_since[:, None]) & np.isfinite(rows.value)
            told = np.where(failed, np.maximum(told, np.uint8(Flag.FAIL)), told)
        return told

    def possible(self) -> NDArray[np.float64]:
        """Values, NaN where they cannot be."""
        low, high = self.spans[:, :1], self.spans[:, 1:2]
        return np.where((self.rows.value >= low) & (self.rows.value <= high), self.rows.value, np.nan)

    def stuck_since(self) -> NDArray[np.int64] | None:
        """Since when each site has been flat while a neighbour moved, (site,); the largest int64 where it is not so."""
        if self._stuck is None or self._stuck[0] != self.version:
            self._stuck = self.version, self._find_stuck()
        return self._stuck[1]

    def _find_stuck(self) -> NDArray[np.int64] | None:
        check = self.check
        if check is None or check.flat_suspect_s is None or not self.neighbours.size:
            return None
        value, last = self.possible(), self.depth - 1
        newest = _trailing_blanks(value)
        since, count = quality.flat_since(
            _shifted(self.rows.time_us, newest), _shifted(value, newest), last, tolerance=check.flat_tolerance, context=self.depth
        )
        end = _shifted(self.rows.time_us, newest)[:, -1]
        flat = (count >= 3) & (end - since >= check.flat_suspect_s * quality.US_PER_S)
        moved = quality.moved_since(self.rows.time_us, value, by=check.neighbour_move)
        beside = np.where(self.neighbours >= 0, moved[self.neighbours], NEVER).max(axis=1)
        return np.where(flat & (beside >= since), since, np.iinfo(np.int64).max)

    def compare(self, first: int) -> NDArray[np.uint32] | None:
        """What the neighbour test says of the cells from column `first` on, packed; None where there is none to make."""
        check = self.check
        if check is None or check.neighbour_suspect is None or not self.neighbours.size:
            return None
        asked = np.flatnonzero((self.neighbours >= 0).sum(axis=1) >= check.neighbour_least)
        told = np.zeros(self.rows.value.shape, np.uint32)
        value, time_us = self.possible() - self.offsets[:, None], self.rows.time_us
        most = max(1, CELLS_AT_ONCE // (self.depth * max(1, self.neighbours.shape[1])))
        for begin in range(0, asked.size, most):
            rows = asked[begin : begin + most]
            here = time_us[rows, first:]
            beside = np.full((self.neighbours.shape[1], *here.shape), np.nan)
            for number, near in enumerate(self.neighbours[rows].T):
                found = quality.at_same_time(here, time_us[near], value[near], apart_s=check.neighbour_apart_s)
                beside[number] = np.where(near[:, None] >= 0, found, np.nan)
            told[rows, first:] = check.compare(value[rows, first:], beside)
        return told

    def locate(self, location: Location, longitude: _Ring | None, latitude: _Ring | None) -> NDArray[np.uint32] | None:
        """What the location test says of all cells, packed, by the streams that tell where the sensors are."""
        if longitude is None or latitude is None:
            return None
        position = []
        for ring in (longitude, latitude):
            place = np.array([ring.index.get(site, -1) for site in self.sites], np.int64)
            if not ring.sites or not place.size:
                return None
            number = ring.possible() if ring.check is not None else ring.rows.value
            number = np.where(place[:, None] >= 0, number[place], np.nan)
            position.append(quality.at_same_time(self.rows.time_us, ring.rows.time_us[place], number, apart_s=location.apart_s))
        told = quality.location(
            *position, box=location.box, moved_m=location.moved_m, home=location.homes(self.sites), away_m=location.away_m
        )
        return pack({Test.LOCATION: np.where(np.isfinite(self.rows.value), told, np.uint8(0))}, told.shape)


def _read_only(table: NDArray[Number]) -> NDArray[Number]:
    view = table.view()
    view.setflags(write=False)
    return view


def _reorder(tables: list[NDArray[Any]], rows: NDArray[np.intp], order: NDArray[np.intp]) -> None:
    """Put the cells of some rows into another order, in place."""
    for table in tables:
        table[rows] = np.take_along_axis(table[rows], order, 1)


def _trailing_blanks(value: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many empty cells follow the newest number of each row."""
    there = np.isfinite(value)
    return np.where(there.any(axis=1), np.argmax(there[:, ::-1], axis=1), 0).astype(np.int64)


def _shifted(table: NDArray[Number], by: NDArray[np.int64]) -> NDArray[Number]:
    """Each row moved right by `by` cells; what comes in from the left repeats the first cell."""
    if not by.any():
        return table
    places = np.maximum(np.arange(table.shape[1]) - by[:, None], 0)
    return np.take_along_axis(table, places, 1)


def _one_at_a_time(method: Callable[Concatenate[Latest, Asked], Told]) -> Callable[Concatenate[Latest, Asked], Told]:
    """Readers in other threads see the ring before or after a batch, never in the middle of one."""

    @functools.wraps(method)
    def locked(self: Latest, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Told:
        with self._lock:
            return method(self, *args, **kwargs)

    return locked


class Latest:
    """The newest `depth` readings of every stream, checked, sorted by sensor time, each once.

    One thread writes (`check`, `keep`, `take`); others may read.
    """

    def __init__(self, checks: Iterable[Check] = (), *, depth: int = 300) -> None:
        if depth < 2:
            raise InputError(f"latest readings: depth = {depth}; wanted at least 2 readings for each stream")
        self._checks = {check.quantity.name: check for check in checks}
        self._depth, self._lock = depth, threading.RLock()
        self._rings: dict[str, _Ring] = {}

    @_one_at_a_time
    def expect(self, quantity: Quantity, sites: Iterable[str]) -> None:
        """Name sites that ought to speak, so that one which never does is seen to be blind."""
        self._ring(quantity).add(sites)

    def quantities(self) -> tuple[Quantity, ...]:
        """What is measured here."""
        return tuple(ring.quantity for ring in self._rings.values())

    @_one_at_a_time
    def sites(self, quantity: Quantity) -> tuple[str, ...]:
        """Who measures it, in the order of every window."""
        return self._ring(quantity).sites

    def _beside(self, ring: _Ring, first: int = 0) -> NDArray[np.uint32] | None:
        """What the tests that ask other streams say of the readings from column `first` on, packed; None where there are none."""
        check = ring.check
        if check is None or (check.neighbour_suspect is None and check.location is None):
            return None
        where = check.location
        others = (self._rings.get(where.longitude), self._rings.get(where.latitude)) if where is not None else ()
        version = (*ring.version, *(number for other in others if other is not None for number in other.version))
        if ring.beside is None or ring.beside[0] != version or ring.beside[1] > first:
            told = [ring.compare(first), None if where is None else ring.locate(where, *others)]
            there = [one for one in told if one is not None]
            ring.beside = version, first, np.bitwise_or.reduce(there) if there else None
        return ring.beside[2]

    def checks(self) -> Mapping[str, Check]:
        """The check of each quantity that has one."""
        return self._checks

    def _ring(self, quantity: Quantity) -> _Ring:
        ring = self._rings.get(quantity.name)
        if ring is None:
            ring = self._rings[quantity.name] = _Ring(quantity, self._checks.get(quantity.name), self._depth)
        if ring.quantity.unit != quantity.unit:
            raise InputError(f"readings of {quantity}: this node keeps {ring.quantity}; convert them in the collector")
        return ring

    @_one_at_a_time
    def check(self, batch: Observations) -> Checked:
        """Flag a batch against what is known, and drop what is known already; nothing is kept yet.

        A second value for a moment that has one is flagged as failed; a number replaces a reading that was missing. A reading
        from the future, or older than all that is remembered of its stream, is flagged and stored, but no rule will see it.
        """
        ring = self._ring(batch.quantity)
        place = ring.places(batch.sites)[batch.site]
        flag = np.array(batch.flag, np.uint8)
        check = ring.check
        ahead_s = (batch.time_us - batch.arrived_us) / quality.US_PER_S
        future = ahead_s > (check.future_s if check else math.inf)
        flag[future] = np.maximum(flag[future], Flag.FAIL)
        repeated = np.zeros(len(batch), bool)
        late = np.zeros(len(batch), bool)
        second = np.zeros(len(batch), bool)
        parts = []
        for part in _in_parts(place, np.flatnonzero(~future), ring.depth):
            rows = self._merge(ring, batch, place, part, flag, repeated, late, second)
            parts.append(rows)
        keep = ~repeated
        told = Observations(
            batch.quantity,
            batch.sites,
            column(batch.site[keep], np.int32),
            column(batch.time_us[keep], np.int64),
            column(batch.value[keep], np.float64),
            column(flag[keep], np.uint8),
            column(batch.arrived_us[keep], np.int64),
        )
        ahead = tuple((batch.sites[batch.site[k]], float(ahead_s[k])) for k in _one_each(place, np.flatnonzero(future)))
        happened = (
            np.ones(len(batch), bool),
            keep,
            repeated,
            second,
            late,
            future,
            _out_of_order(ring, place, batch.time_us, ~future),
        )
        places, whose = np.unique(place, return_inverse=True)
        counted = np.stack([np.bincount(whose[one], minlength=places.size) for one in happened], axis=1)
        return Checked(
            told,
            int(repeated.sum()),
            int(late.sum()),
            ahead,
            told.digest(),
            np.unique(place[~future]),
            tuple(parts),
            places,
            counted.astype(np.int64),
        )

    def _merge(
        self,
        ring: _Ring,
        batch: Observations,
        place: NDArray[np.int64],
        part: NDArray[np.int64],
        flag: NDArray[np.uint8],
        repeated: NDArray[np.bool_],
        late: NDArray[np.bool_],
        second: NDArray[np.bool_],
    ) -> _Rows:
        """The rows that `part` of the batch touches, with it in them; writes the flags of its readings."""
        depth, known = ring.depth, ring.rows
        order = part[np.lexsort((part, place[part]))]
        row, start, count = np.unique(place[order], return_index=True, return_counts=True)
        width = int(count.max())
        line = np.repeat(np.arange(row.size), count)
        slot = np.arange(order.size) - np.repeat(start, count)

        def beside(old: NDArray[Number], empty: float, fresh: NDArray[Number]) -> NDArray[Number]:
            new = np.full((row.size, width), empty, old.dtype)
            new[line, slot] = fresh[order]
            return np.concatenate([old[row], new], axis=1)

        time_us = beside(known.time_us, NEVER, batch.time_us)
        value = beside(known.value, np.nan, batch.value)
        given = beside(known.given, Flag.MISSING, flag)
        packed = np.concatenate([known.packed[row], np.zeros((row.size, width), np.uint32)], axis=1)
        number = np.concatenate([known.batch[row], np.full((row.size, width), ring.batches, np.int32)], axis=1)
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
                self._set_aside(time_us, value, source, again, flag, repeated, second)
                for table, empty in zip(tables, (NEVER, np.nan, Flag.MISSING, 0, -1, NEVER, -1), strict=True):
                    table[again] = empty
                _reorder(tables, mixed, np.argsort(~again[mixed], axis=1, kind="stable"))  # to the left, where nothing is
        fresh = source >= 0
        if ring.check is not None and fresh.any():
            earliest = int(np.argmax(fresh.any(axis=0)))
            first = max(0, earliest - quality.REACH)
            codes = ring.check.judge(time_us, value, ring.spans[row], first=first)
            # a reading that has lost its own past to the ring's end keeps what was said of it when it had one
            was_full = known.time_us[row, :1] != NEVER
            remembered = np.arange(first, time_us.shape[1]) - (time_us == NEVER).sum(axis=1)[:, None]
            forgotten = was_full & (remembered < ring.check.context) & ~fresh[:, first:]
            packed[:, first:] = np.where(forgotten, packed[:, first:], codes)
        told = flags(packed, given, value)
        flag[source[fresh]] = told[fresh]
        beyond = fresh & (time_us < known.time_us[row, :1])  # older than all that a full ring remembers
        late[source[beyond]] = True
        cut = slice(-depth, None)
        return _Rows(row, time_us[:, cut], value[:, cut], given[:, cut], packed[:, cut], number[:, cut], came_us[:, cut])

    @staticmethod
    def _set_aside(
        time_us: NDArray[np.int64],
        value: NDArray[np.float64],
        source: NDArray[np.int64],
        again: NDArray[np.bool_],
        flag: NDArray[np.uint8],
        repeated: NDArray[np.bool_],
        second: NDArray[np.bool_],
    ) -> None:
        """Say of each second reading of a moment if it repeats the first (dropped) or contradicts it (failed)."""
        first = np.maximum.accumulate(np.where(~again, np.arange(time_us.shape[1]), 0), axis=1)
        held = np.take_along_axis(value, first, 1)
        same = (value == held) | np.isnan(value)
        here = source[again]
        mine = here >= 0
        repeated[here[mine]] = same[again][mine]
        contradicts = here[mine & ~same[again]]
        second[contradicts] = True
        flag[contradicts] = np.maximum(flag[contradicts], np.uint8(Flag.FAIL))

    @_one_at_a_time
    def keep(self, checked: Checked) -> None:
        """Put a checked batch into the ring; call it when the batch is on disk."""
        ring = self._ring(checked.observations.quantity)
        for part in checked.rows:
            for name in ("time_us", "value", "given", "packed", "batch", "came_us"):
                getattr(ring.rows, name)[part.row] = getattr(part, name)
        ring.counted[checked.places] += checked.counted
        observed = checked.observations
        if len(observed):
            place = ring.places(observed.sites)[observed.site]
            np.maximum.at(ring.arrived_us, place, observed.arrived_us)
        ring.digests[ring.batches] = checked.digest
        ring.batches += 1
        ring.digests.pop(ring.batches - DIGESTS_KEPT, None)

    def take(self, batch: Observations) -> Checked:
        """Check and keep in one step, where nothing is written to disk."""
        checked = self.check(batch)
        self.keep(checked)
        return checked

    @_one_at_a_time
    def window(self, quantity: Quantity, span_s: float, now: datetime, *, places: NDArray[np.int64] | None = None) -> Window:
        """What the sensors said in the `span_s` seconds until `now`, for rules: (site, lag), newest at the right.

        `places` asks for some sites only, by their place in the order of `sites`.
        """
        ring = self._ring(quantity)
        now_us = microseconds(now)
        rows, sites, stuck_since = ring.rows, ring.sites, ring.stuck_since()
        if places is not None:
            rows, sites = ring.rows.part(places, slice(None)), tuple(ring.sites[place] for place in places.tolist())
            stuck_since = None if stuck_since is None else stuck_since[places]
        skew_us = int((ring.check.future_s if ring.check else 0.0) * quality.US_PER_S)
        # subtracting from NEVER would wrap round: compare times, then subtract only what is inside
        inside = (rows.time_us >= now_us - int(span_s * quality.US_PER_S)) & (rows.time_us <= now_us + skew_us)
        lag = int(inside.sum(axis=1).max(initial=0))
        after = rows.time_us > now_us + skew_us
        right = after.sum(axis=1)
        width = min(ring.depth, lag + int(right.max(initial=0)))
        cut = slice(ring.depth - width, None)
        beside = self._beside(ring, ring.depth - width)
        if beside is not None and places is not None:
            beside = beside[places]
        value = rows.value[:, cut]
        told = ring.flags_of(rows.part(slice(None), cut), stuck_since, None if beside is None else beside[:, cut])
        inside, time_us = inside[:, cut], rows.time_us[:, cut]
        good = inside & np.isin(told, USABLE)
        since_us = np.where(inside, now_us - np.where(inside, time_us, now_us), 0)
        age_s = np.where(inside, np.maximum(0.0, since_us / quality.US_PER_S), np.inf)
        value = np.where(inside, value, np.nan)
        if right.any():
            places = np.arange(width) - right[:, None]
            off = places < 0
            value, age_s, good = (np.take_along_axis(t, np.maximum(places, 0), 1) for t in (value, age_s, good))
            value, age_s, good = np.where(off, np.nan, value), np.where(off, np.inf, age_s), good & ~off
        return Window(ring.quantity, sites, *(column(t[:, width - lag :], t.dtype) for t in (age_s, value, good)))

    @_one_at_a_time
    def places(self, quantity: Quantity, sites: Iterable[str]) -> NDArray[np.int64]:
        """Where these sites are in the order of `sites`; those that are not known are left out."""
        index = self._ring(quantity).index
        return np.array([index[site] for site in sites if site in index], np.int64)

    @_one_at_a_time
    def streams(self, quantity: Quantity) -> Streams:
        """What the checks look at; the arrays are the ring's own, made read-only."""
        ring = self._ring(quantity)
        beside = self._beside(ring, max(0, ring.depth - LOOKED_AT))
        return Streams(
            ring.sites,
            ring.index,
            _read_only(ring.rows.time_us),
            _read_only(ring.rows.value),
            _read_only(ring.rows.packed if beside is None else ring.rows.packed | beside),
            _read_only(ring.arrived_us),
            ring.stuck_since(),
        )

    @_one_at_a_time
    def readings(self, quantity: Quantity, site: str, span_s: float, now: datetime, *, limit: int | None = None) -> Readings:
        """One stream's readings of the last `span_s` seconds, the newest `limit` of them, with their flags."""
        ring = self._ring(quantity)
        if site not in ring.index:
            raise NotFound(
                f"no readings of {quantity.name} at {site!r}; there are {len(ring.sites)} sites, e.g. {ring.sites[:3]}"
            )
        at, now_us, rows = ring.index[site], microseconds(now), ring.rows
        inside = (rows.time_us[at] >= now_us - int(span_s * quality.US_PER_S)) & (rows.time_us[at] != NEVER)
        which = np.flatnonzero(inside)[-(limit or ring.depth) :]
        stuck, beside = ring.stuck_since(), self._beside(ring)
        told = ring.flags_of(
            rows.part([at], slice(None)), None if stuck is None else stuck[[at]], None if beside is None else beside[[at]]
        )[0]
        batches = dict.fromkeys(ring.digests[int(n)] for n in rows.batch[at, which] if int(n) in ring.digests)
        return Readings(
            column(rows.time_us[at, which], np.int64),
            column(rows.value[at, which], np.float64),
            column(told[which], np.uint8),
            tuple(batches),
        )

    def series(self, quantity: Quantity, site: str, hours: float, now: datetime) -> Readings:
        """What the console draws."""
        return self.readings(quantity, site, hours * 3600.0, now)

    @_one_at_a_time
    def status(self, quantity: Quantity, site: str, now: datetime) -> GaugeStatus:
        """The last reading of a stream, with its flag, the reason for it, its age, and the trend of the last dozen readings."""
        ring = self._ring(quantity)
        seen = self.readings(quantity, site, microseconds(now) / quality.US_PER_S, now, limit=TREND_READINGS)
        if not seen.time_us.size:
            return GaugeStatus(site, quantity.name, quantity.unit, None, None, Flag.MISSING, "no reading yet", math.inf, None)
        at, last = ring.index[site], ring.depth - 1
        value, flag = float(seen.value[-1]), int(seen.flag[-1])
        packed, stuck = ring.rows.packed[at, last], ring.stuck_since()
        beside = self._beside(ring, max(0, ring.depth - LOOKED_AT))
        if beside is not None:
            packed = packed | beside[at, last]
        reason = blamed(int(packed), int(ring.rows.given[at, last]))
        if stuck is not None and ring.rows.time_us[at, last] >= stuck[at] and worst_of(packed) < quality.FAIL:
            reason = "flat line while neighbours moved"
        age_s = (microseconds(now) - int(seen.time_us[-1])) / quality.US_PER_S
        good = np.isin(seen.flag, USABLE)[None]
        slope = detect.theil_sen(seen.value[None], ((seen.time_us[-1] - seen.time_us) / quality.US_PER_S)[None], good)
        return GaugeStatus(
            site,
            quantity.name,
            quantity.unit,
            value if math.isfinite(value) else None,
            datetime.fromtimestamp(int(seen.time_us[-1]) / quality.US_PER_S, UTC),
            flag,
            "the sensor sent no number" if flag == Flag.MISSING else reason,
            age_s,
            float(slope[0]) * 3600.0 if math.isfinite(float(slope[0])) else None,
        )

    @_one_at_a_time
    def stream_status(self, now: datetime) -> tuple[StreamStatus, ...]:
        """How all streams stand, a table for each quantity, by its name."""
        return tuple(self._stream_status(ring, microseconds(now)) for _, ring in sorted(self._rings.items()))

    def _stream_status(self, ring: _Ring, now_us: int) -> StreamStatus:
        cut = slice(-LOOKED_AT, None)
        rows, stuck = ring.rows.part(slice(None), cut), ring.stuck_since()
        beside = self._beside(ring, max(0, ring.depth - LOOKED_AT))
        there = rows.time_us != NEVER
        count, sites = there.sum(axis=1), np.arange(len(ring.sites))
        last_us = rows.time_us[:, -1] if sites.size else np.empty(0, np.int64)
        first_us = rows.time_us[sites, np.minimum(LOOKED_AT, ring.depth) - np.maximum(count, 1)]
        span_s = np.where(count > 1, last_us - np.where(count > 1, first_us, last_us), 0) / quality.US_PER_S
        lag_s = np.where(there, rows.came_us - np.where(there, rows.time_us, 0), 0) / quality.US_PER_S
        ordered = np.sort(np.where(there, lag_s, np.nan), axis=1)

        def quantile(share: float) -> NDArray[np.float64]:
            at = np.maximum(np.round(share * (count - 1)).astype(np.int64), 0)
            return np.where(count > 0, ordered[sites, at], np.nan)

        told = ring.flags_of(rows, stuck, None if beside is None else beside[:, cut])
        share = np.stack([((told == flag) & there).sum(axis=1) for flag in FLAGS]) / np.maximum(count, 1)
        numbers = (
            np.where(count > 0, (now_us - np.where(count > 0, last_us, now_us)) / quality.US_PER_S, np.inf),
            np.where(span_s > 0, 3600.0 * (count - 1) / np.where(span_s > 0, span_s, 1.0), np.nan),
            quantile(0.5),
            quantile(0.0),
            quantile(0.75) - quantile(0.25),
            np.where(count > 0, share, np.nan),
        )
        return StreamStatus(
            ring.quantity,
            ring.sites,
            column(last_us, np.int64),
            column(ring.arrived_us, np.int64),
            *(column(number, np.float64) for number in numbers),
            *(column(counted, np.int64) for counted in ring.counted.T),
        )


def _out_of_order(
    ring: _Ring, place: NDArray[np.int64], time_us: NDArray[np.int64], usable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which readings are older than one of their stream that came before them."""
    told = np.zeros(place.size, bool)
    which = np.flatnonzero(usable)
    if not which.size:
        return told
    order = which[np.argsort(place[which], kind="stable")]
    rank = np.unique(time_us[order], return_inverse=True)[1]
    starts = np.flatnonzero(np.r_[True, place[order][1:] != place[order][:-1]])
    line = np.repeat(np.arange(starts.size), np.diff(np.r_[starts, order.size]))
    # the greatest so far within each stream: one running maximum over all, lifted from stream to stream
    lifted = rank + line * (int(rank.max()) + 1)
    before = np.r_[-1, np.maximum.accumulate(lifted)[:-1]]
    known_us = ring.rows.time_us[place[order], -1]
    told[order] = (lifted < before) | (time_us[order] < known_us)
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
