"""The history of one data folder, for reading: parts and the hot end of the log together, each reading once."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from tocsin.edge.spool import HISTORY
from tocsin.platform.history import hot
from tocsin.platform.history.compaction import not_aggregated
from tocsin.platform.history.manifest import Gone, Manifest, load_manifest
from tocsin.platform.history.parts import (
    HOURLY,
    LEAST,
    MOST,
    RAW,
    Measure,
    Part,
    PartReader,
    Rows,
    first_of_each,
    gather,
    join,
    only_new,
    sort_names,
)
from tocsin.vocabulary import InputError, NotFound, Observations, Quantity, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

OPEN_MOST = 64
TRIES = 5
EVER = (LEAST, MOST)


class Moved(Exception):
    """A compaction replaced what was being read; it is read again."""


class Held(msgspec.Struct, frozen=True):
    """What there is of one quantity in one unit. `readings` counts raw ones; those in the log may hold some a second time.

    `aggregated` were replaced by one-hour aggregates, up to `aggregated_until_us`.
    """

    quantity: str
    unit: str
    readings: int
    in_log: int
    from_us: int
    to_us: int
    parts: int
    size_bytes: int
    aggregated: int = 0
    aggregated_until_us: int | None = None


class View(msgspec.Struct):
    """All that a question touches, at one moment: whole parts, hourly parts, and the rows that only the log has.

    `last_us` is included: the moments of a clock that is wrong go up to the last that there is.
    """

    measure: Measure
    quantity: Quantity
    raw: list[Part]
    hourly: list[Part]
    fresh: Rows
    from_us: int
    last_us: int


class History:
    """Reads what `compact` wrote and what the log holds beyond it; several processes and threads may do so while the node writes.

    What cannot be read is left out, told in `damage` and logged: one broken file must not hide ten years.
    """

    def __init__(self, data: Path) -> None:
        self.data, self.root = data, data / HISTORY
        self.damage: list[str] = []
        self._lock = threading.Lock()
        self._manifest: tuple[tuple[int, ...], Manifest] | None = None
        self._open: OrderedDict[int, PartReader] = OrderedDict()
        if not (self.root.is_dir() or (data / hot.READINGS).is_dir()):
            raise NotFound(
                f"{data}: holds no observations; wanted the data folder of `tocsin serve`, `tocsin demo` or an edge node, "
                f"with a folder {hot.READINGS} in it"
            )

    def manifest(self) -> Manifest:
        """The manifest as it is on disk now."""
        try:
            stat = (self.root / "manifest.json").stat()
            key: tuple[int, ...] = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        except FileNotFoundError:
            key = ()
        with self._lock:
            if self._manifest is None or self._manifest[0] != key or not key:
                damage: list[str] = []
                manifest = load_manifest(self.root, damage)
                self._tell(damage)
                self._manifest = key, manifest
                self._open.clear()
            return self._manifest[1]

    def measures(self) -> list[Held]:
        """Every quantity, in every unit that it came in."""
        manifest = self.manifest()
        found: dict[Measure, Held] = {}
        gone: dict[tuple[str, str], Gone] = {(g.quantity, g.unit): g for g in manifest.gone}
        for part in manifest.parts:
            count = part.rows if part.kind == RAW else 0
            found[part.measure] = _grown(
                found.get(part.measure), part.measure, count, 0, part.from_us, part.to_us, part.size_bytes
            )
        for taken in hot.unread(self.data, manifest, []):
            batch = taken.found.batch
            measure = Measure(batch.quantity.name, batch.quantity.unit)
            span = int(batch.time_us.min()), int(batch.time_us.max())
            found[measure] = _grown(found.get(measure), measure, 0, len(batch), *span, 0)
        return [
            msgspec.structs.replace(held, aggregated=gone[key].readings, aggregated_until_us=gone[key].until_us)
            if (key := (held.quantity, held.unit)) in gone
            else held
            for _, held in sorted(found.items())
        ]

    def measure(self, quantity: str, unit: str | None = None) -> Measure:
        """The one measure that is meant; raises NotFound with what there is, InputError where there are several units."""
        manifest = self.manifest()
        known = {part.measure for part in manifest.parts}
        for taken in hot.unread(self.data, manifest, []):
            known.add(Measure(taken.found.batch.quantity.name, taken.found.batch.quantity.unit))
        named = sorted(measure for measure in known if measure.quantity == quantity and unit in (None, measure.unit))
        if not named:
            there = ", ".join(f"{m.quantity} [{m.unit}]" for m in sorted(known)) or "nothing"
            asked = quantity if unit is None else f"{quantity} [{unit}]"
            raise NotFound(f"{self.data}: no observations of {asked}; there are: {there}")
        if len(named) > 1:
            raise InputError(
                f"{self.data}: {quantity} is there in {', '.join(m.unit for m in named)}; wanted one unit: name it, nothing is mixed"
            )
        return named[0]

    def read(
        self,
        quantity: str,
        *,
        unit: str | None = None,
        sites: Iterable[str] | None = None,
        from_us: int = EVER[0],
        to_us: int = EVER[1],
    ) -> Observations:
        """The raw readings with from_us <= time < to_us, by site and time, each once; arrivals to the millisecond."""
        wanted = None if sites is None else frozenset(sites)

        def read(view: View) -> Observations:
            several = []
            for part in view.raw:
                rows = self._rows(part, view.from_us, view.last_us, wanted)
                if rows is not None:
                    several.append(rows)
            fresh = view.fresh
            if wanted is not None and len(fresh):
                fresh = fresh.take(np.array([name in wanted for name in fresh.names], np.bool_)[fresh.site])
            rows = sort_names(join([*several, fresh]))
            order = np.lexsort(
                (rows.value.view(np.int64), rows.time_us, rows.site)
            )  # two values of a moment: always in one order
            return rows.take(order).as_observations(view.quantity)

        return self.looking(quantity, read, unit=unit, from_us=from_us, to_us=to_us)

    def looking(
        self, quantity: str, look: Callable[[View], T], *, unit: str | None = None, from_us: int = EVER[0], to_us: int = EVER[1]
    ) -> T:
        """What `look` makes of a view; made again where a compaction moved something meanwhile."""
        for _ in range(TRIES):
            manifest = self.manifest()
            view = self._view(manifest, quantity, unit, from_us, to_us)
            if self.manifest().generation != manifest.generation:
                continue
            try:
                return look(view)
            except Moved:
                continue
        raise Unavailable(f"history {self.root}: changed {TRIES} times while it was read; ask again in a moment")

    def _view(self, manifest: Manifest, quantity: str, unit: str | None, from_us: int, to_us: int) -> View:
        named = [part for part in manifest.parts if part.quantity == quantity and unit in (None, part.unit)]
        found = {part.measure for part in named}
        damage: list[str] = []
        batches: list[Observations] = []
        fresh_of: Quantity | None = None
        last_us = to_us - 1 if to_us < MOST else MOST

        def wanted(name: str, low: int, high: int) -> bool:
            return name == quantity and low <= last_us and high >= from_us

        for taken in hot.unread(self.data, manifest, damage, wanted=wanted):
            batch = taken.found.batch
            if unit in (None, batch.quantity.unit):
                batches.append(batch)
                fresh_of = batch.quantity
                found.add(Measure(quantity, batch.quantity.unit))
        self._tell(damage)
        measure = found.pop() if len(found) == 1 else self.measure(quantity, unit)
        touched = [part for part in named if part.measure == measure and part.from_us <= last_us and part.to_us >= from_us]
        raw = [part for part in touched if part.kind == RAW]
        hourly = [part for part in named if part.kind == HOURLY and part.measure == measure]
        newest = max(named, key=lambda part: part.number, default=None)
        return View(
            measure,
            fresh_of or (newest.as_quantity() if newest is not None else Quantity(measure.quantity, measure.unit)),
            raw,
            [part for part in hourly if part in touched],
            self._fresh(gather(batches), raw, hourly, from_us, last_us),
            from_us,
            last_us,
        )

    def _fresh(self, rows: Rows, raw: list[Part], hourly: list[Part], from_us: int, last_us: int) -> Rows:
        """Of the log's rows those that no part has."""
        inside = (rows.time_us >= from_us) & (rows.time_us <= last_us)
        rows = rows if inside.all() else rows.take(inside)
        if not len(rows):
            return rows
        rows = rows.take(np.sort(first_of_each(rows)))
        low, high = int(rows.time_us.min()), int(rows.time_us.max())
        near = [part for part in raw if part.from_us <= high and part.to_us >= low]
        sites = frozenset(rows.names) if len(rows.names) <= 64 else None
        try:
            old = [found for part in near if (found := self._rows(part, low, high, sites)) is not None]
        except Moved:  # the caller sees the new generation and comes again
            return rows
        damage: list[str] = []
        rows = not_aggregated(self.root, hourly, only_new(rows, old), damage)
        self._tell(damage)
        return rows

    def _rows(self, part: Part, from_us: int, last_us: int, sites: frozenset[str] | None) -> Rows | None:
        try:
            return self._reader(part).read(from_us=from_us, to_us=last_us, sites=sites)
        except FileNotFoundError as fault:
            self.lost(part, str(fault))
        except (OSError, InputError) as fault:
            self._tell([f"{part.file}: {fault}; left out"])
        return None

    def lost(self, part: Part, reason: str) -> None:
        """A part that was named is not there: raises Moved where a compaction took it, else tells that it is missing."""
        manifest = self.manifest()
        if all(known.number != part.number for known in manifest.parts):
            raise Moved(part.file)
        self._tell([f"{part.file}: {reason}; left out"])

    def _reader(self, part: Part) -> PartReader:
        with self._lock:
            reader = self._open.get(part.number)
            if reader is not None:
                self._open.move_to_end(part.number)
                return reader
        reader = PartReader(self.root / part.file)
        with self._lock:
            self._open[part.number] = reader
            while len(self._open) > OPEN_MOST:
                self._open.popitem(last=False)
        return reader

    def _tell(self, damage: Iterable[str]) -> None:
        for line in damage:
            if line not in self.damage:
                self.damage.append(line)
                log.warning("history_damaged", extra={"folder": str(self.root), "damage": line})


def _grown(held: Held | None, measure: Measure, count: int, in_log: int, low: int, high: int, size: int) -> Held:
    if held is None:
        return Held(measure.quantity, measure.unit, count, in_log, low, high, int(in_log == 0), size)
    return Held(
        measure.quantity,
        measure.unit,
        held.readings + count,
        held.in_log + in_log,
        min(held.from_us, low),
        max(held.to_us, high),
        held.parts + (in_log == 0),
        held.size_bytes + size,
    )
