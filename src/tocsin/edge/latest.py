"""The latest readings of every stream, in a ring of bounded size: what rules, the console and the twin look at.

Checking and keeping are two steps, so that a reading which could not be written to disk leaves no trace here and may come again:
`checked = latest.check(batch)`, then the disk, then `latest.keep(checked)`.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.edge.across import compare, find_stuck, locate, near_to
from tocsin.edge.check import Check, blamed, flags, worst_of
from tocsin.edge.incoming import Checked, check_batch
from tocsin.edge.ring import NEVER, Ring
from tocsin.science import detect, quality
from tocsin.vocabulary import Flag, InputError, NotFound, Observations, Quantity, Window, column

Number = TypeVar("Number", bound=np.generic)
Asked = ParamSpec("Asked")
Told = TypeVar("Told")

DIGESTS_KEPT = 100_000
TREND_READINGS = 12
LOOKED_AT = 24
FLAGS = tuple(Flag)
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
    """Streams of one quantity as the checks see them, (site, lag), and the place of each in the order of all sites.

    `packed` holds what each test said of each reading: see `tocsin.edge.check.code_of`. What the tests that ask other streams said is
    there for the last `LOOKED_AT` readings at least.
    """

    sites: tuple[str, ...]
    place: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    packed: NDArray[np.uint32]
    arrived_us: NDArray[np.int64]
    stuck_since: NDArray[np.int64] | None


_IS_USABLE = np.isin(np.arange(256), USABLE)


def _flags_of(
    packed: NDArray[np.uint32],
    given: NDArray[np.uint8],
    value: NDArray[np.float64],
    time_us: NDArray[np.int64],
    *,
    stuck_since: NDArray[np.int64] | None,
    beside: NDArray[np.uint32] | None,
) -> NDArray[np.uint8]:
    """The flags of all cells; readings of a stream that is stuck while its neighbours move fail."""
    told = flags(packed if beside is None else packed | beside, given, value)
    if stuck_since is not None:
        failed = (time_us >= stuck_since[:, None]) & np.isfinite(value)
        told = np.where(failed, np.maximum(told, np.uint8(Flag.FAIL)), told)
    return told


def _read_only(table: NDArray[Number]) -> NDArray[Number]:
    view = table.view()
    view.setflags(write=False)
    return view


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
        self._rings: dict[str, Ring] = {}
        self._stuck: dict[str, tuple[tuple[int, int], NDArray[np.int64] | None]] = {}
        # what the tests across streams said, of which version of the readings, and from which column on
        self._across: dict[str, tuple[tuple[int, ...], int, NDArray[np.uint32] | None]] = {}

    @_one_at_a_time
    def expect(self, quantity: Quantity, sites: Iterable[str]) -> None:
        """Name sites that ought to speak, so that one which never does is seen to be blind."""
        self._ring(quantity).add(sites)

    @_one_at_a_time
    def unknown(self, quantity: str, sites: Iterable[str]) -> list[str]:
        """Which of these sites have never been heard of; all of them where the quantity has not."""
        ring = self._rings.get(quantity)
        return [site for site in sites if ring is None or site not in ring.index]

    def quantities(self) -> tuple[Quantity, ...]:
        """What is measured here."""
        return tuple(ring.quantity for ring in self._rings.values())

    @_one_at_a_time
    def sites(self, quantity: Quantity) -> tuple[str, ...]:
        """Who measures it, in the order of every window."""
        return self._ring(quantity).sites

    def _beside(self, ring: Ring, first: int = 0, row: NDArray[np.int64] | None = None) -> NDArray[np.uint32] | None:
        """What the tests that ask other streams say of some streams (all, if none are named) from column `first` on, packed.

        None where there are no such tests. What they say of all is remembered until something comes.
        """
        check = ring.check
        if check is None or (check.neighbour_suspect is None and check.location is None):
            return None
        where = check.location
        others = (self._rings.get(where.longitude), self._rings.get(where.latitude)) if where is not None else (None, None)
        version = (*ring.version, *(number for other in others if other is not None for number in other.version))
        known = self._across.get(ring.quantity.name)
        if known is not None and known[0] == version and known[1] <= first:
            return known[2] if known[2] is None or row is None else known[2][row]
        asked = np.arange(len(ring.sites)) if row is None else row
        told = [compare(ring, asked, first), None if where is None else locate(ring, asked, where, *others)]
        there = [one for one in told if one is not None]
        found = np.bitwise_or.reduce(there) if there else None
        if row is None:
            self._across[ring.quantity.name] = version, first, found
        return found

    def _stuck_since(self, ring: Ring, row: NDArray[np.int64] | None = None) -> NDArray[np.int64] | None:
        """Since when some streams (all, if none are named) have been flat while a neighbour moved; see `find_stuck`."""
        known = self._stuck.get(ring.quantity.name)
        if known is not None and known[0] == ring.version:
            return known[1] if known[1] is None or row is None else known[1][row]
        found = find_stuck(ring, np.arange(len(ring.sites)) if row is None else row)
        if row is None:
            self._stuck[ring.quantity.name] = ring.version, found
        return found

    def checks(self) -> Mapping[str, Check]:
        """The check of each quantity that has one."""
        return self._checks

    def _ring(self, quantity: Quantity) -> Ring:
        ring = self._rings.get(quantity.name)
        if ring is None:
            ring = self._rings[quantity.name] = Ring(quantity, self._checks.get(quantity.name), self._depth)
        if ring.quantity.unit != quantity.unit:
            raise InputError(f"readings of {quantity}: this node keeps {ring.quantity}; convert them in the collector")
        return ring

    @_one_at_a_time
    def check(self, batch: Observations) -> Checked:
        """Flag a batch against what is known, and drop what is known already; nothing is kept yet.

        A second value for a moment that has one is flagged as failed; a number replaces a reading that was missing. A reading
        from the future, or older than all that is remembered of its stream, is flagged and stored, but no rule will see it.
        """
        return check_batch(self._ring(batch.quantity), batch)

    @_one_at_a_time
    def keep(self, checked: Checked) -> None:
        """Put a checked batch into the ring; call it when the batch is on disk."""
        ring = self._ring(checked.observations.quantity)
        for part in checked.rows:
            ring.put(part)
        for new in checked.appended:
            ring.append(new)
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
    def window(
        self,
        quantity: Quantity,
        span_s: float,
        now: datetime,
        *,
        places: NDArray[np.int64] | None = None,
        newest: int | None = None,
    ) -> Window:
        """What the sensors said in the `span_s` seconds until `now`, for rules: (site, lag), newest at the right.

        `places` asks for some sites only, by their place in the order of `sites`; `newest` for so many of the last readings only.
        """
        ring = self._ring(quantity)
        now_us, asked = microseconds(now), places
        row = np.arange(len(ring.sites)) if places is None else places
        sites = ring.sites if places is None else tuple([ring.sites[place] for place in places.tolist()])
        skew_us = int((ring.check.future_s if ring.check else 0.0) * quality.US_PER_S)
        begin = ring.count_before(row, max(now_us - int(span_s * quality.US_PER_S), NEVER + 1))
        after = np.zeros(row.size, np.int64)
        ahead = ring.newest_us[row] > now_us + skew_us
        if ahead.any():
            after[ahead] = ring.depth - ring.count_before(row[ahead], now_us + skew_us + 1)
        inside_count = np.maximum(ring.depth - after - begin, 0)
        lag = int(inside_count.max(initial=0))
        lag = lag if newest is None else min(lag, newest)
        cells = ring.cells(row, lag, skip=after)
        inside = np.arange(lag, 0, -1) <= inside_count[:, None]
        time_us, value = ring.take("time_us", cells), ring.take("value", cells)
        beside = self._beside(ring, max(0, ring.depth - lag - int(after.max(initial=0))), asked)
        if beside is not None:
            columns = np.maximum(ring.depth - after[:, None] + np.arange(-lag, 0), 0)
            beside = np.take_along_axis(beside, columns, 1)
        packed, given = ring.take("packed", cells), ring.take("given", cells)
        told = _flags_of(packed, given, value, time_us, stuck_since=self._stuck_since(ring, asked), beside=beside)
        good = inside & _IS_USABLE[told]
        age_s = np.where(inside, np.maximum(0.0, (now_us - np.where(inside, time_us, now_us)) / quality.US_PER_S), np.inf)
        return Window(ring.quantity, sites, _read_only(age_s), _read_only(np.where(inside, value, np.nan)), _read_only(good))

    @_one_at_a_time
    def places(self, quantity: Quantity, sites: Iterable[str]) -> NDArray[np.int64]:
        """Where these sites are in the order of `sites`; those that are not known are left out."""
        index = self._ring(quantity).index
        return np.array([index[site] for site in sites if site in index], np.int64)

    @_one_at_a_time
    def near_to(self, quantity: Quantity, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """These places, sorted, and those of streams whose neighbours they are."""
        return near_to(self._ring(quantity), np.unique(places))

    @_one_at_a_time
    def arrived(self, quantity: Quantity) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Who measures it, and when each was heard last, microseconds since 1970 UTC; `NEVER` where it has not been."""
        ring = self._ring(quantity)
        return ring.sites, ring.arrived_us.copy()

    @_one_at_a_time
    def streams(self, quantity: Quantity, *, places: NDArray[np.int64] | None = None, lag: int | None = None) -> Streams:
        """What the checks look at; some streams only, by their place, and the last `lag` cells only, if so asked."""
        ring = self._ring(quantity)
        rows = ring.gather(places, lag)
        width = rows.value.shape[1]
        beside = self._beside(ring, max(0, ring.depth - max(width, LOOKED_AT) if lag else ring.depth - LOOKED_AT), places)
        return Streams(
            ring.sites if places is None else tuple([ring.sites[place] for place in places.tolist()]),
            rows.row,
            _read_only(rows.time_us),
            _read_only(rows.value),
            _read_only(rows.packed if beside is None else rows.packed | beside[:, ring.depth - width :]),
            _read_only(ring.arrived_us[rows.row]),
            self._stuck_since(ring, places),
        )

    @_one_at_a_time
    def readings(self, quantity: Quantity, site: str, span_s: float, now: datetime, *, limit: int | None = None) -> Readings:
        """One stream's readings of the last `span_s` seconds, the newest `limit` of them, with their flags."""
        ring = self._ring(quantity)
        if site not in ring.index:
            raise NotFound(
                f"no readings of {quantity.name} at {site!r}; there are {len(ring.sites)} sites, e.g. {ring.sites[:3]}"
            )
        row, now_us = np.array([ring.index[site]]), microseconds(now)
        rows = ring.gather(row)
        time_us = rows.time_us[0]
        inside = (time_us >= now_us - int(span_s * quality.US_PER_S)) & (time_us != NEVER)
        which = np.flatnonzero(inside)[-(limit or ring.depth) :]
        stuck, beside = self._stuck_since(ring, row), self._beside(ring, 0, row)
        told = _flags_of(rows.packed, rows.given, rows.value, rows.time_us, stuck_since=stuck, beside=beside)[0]
        batches = dict.fromkeys(ring.digests[int(n)] for n in rows.batch[0, which] if int(n) in ring.digests)
        return Readings(
            column(time_us[which], np.int64),
            column(rows.value[0, which], np.float64),
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
        row = np.array([ring.index[site]])
        rows, stuck = ring.gather(row, 1), self._stuck_since(ring, row)
        value, flag = float(seen.value[-1]), int(seen.flag[-1])
        packed = rows.packed[0, -1]
        beside = self._beside(ring, max(0, ring.depth - LOOKED_AT), row)
        if beside is not None:
            packed = packed | beside[0, -1]
        reason = blamed(int(packed), int(rows.given[0, -1]))
        if stuck is not None and rows.time_us[0, -1] >= stuck[0] and worst_of(packed) < quality.FAIL:
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

    def _stream_status(self, ring: Ring, now_us: int) -> StreamStatus:
        cut = slice(-LOOKED_AT, None)
        rows, stuck = ring.gather(width=LOOKED_AT), self._stuck_since(ring)
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

        beside = None if beside is None else beside[:, cut]
        told = _flags_of(rows.packed, rows.given, rows.value, rows.time_us, stuck_since=stuck, beside=beside)
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
