"""Compaction: what the log holds becomes parts, small parts become larger ones, old ones become one-hour aggregates.

Every step ends with one replacement of the manifest. A process that dies at any line has either done the step or not, and nothing is
found twice: what was read from the log is compared by site, time and value with the parts of the same time before it is written.
Parts lie under the year; where a year has many rows, under its months; where a month has many, under its days. So ten years of one
hourly gauge are ten files, and a day of ten thousand gauges is one.
"""

from __future__ import annotations

import fcntl
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.edge.spool import HISTORY, segment_files
from tocsin.platform.history import hot
from tocsin.platform.history.manifest import CURSOR, LOCK, Gone, Manifest, Seen, load_manifest, save_manifest, write_small
from tocsin.platform.history.parts import (
    CHUNK_US,
    DAY_US,
    FORMAT,
    HOUR_US,
    HOURLY,
    RAW,
    About,
    Hours,
    Measure,
    Part,
    PartReader,
    Rows,
    first_of_each,
    gather,
    hourly_tables,
    hours_of,
    join,
    make_folders,
    only_new,
    raw_tables,
    read_hours,
    write_part,
)
from tocsin.vocabulary import Conflict, InputError, Observations, Quantity, Unavailable

log = logging.getLogger(__name__)

SMALL_ROWS = 1_000_000  # a year or month with more is split
PARTS_MOST = 12
SETTLED = timedelta(hours=6)  # so long after its end a day, month or year is made one part, late readings apart
LATE = 100  # and anew when they are a hundredth of it
ROWS_AT_ONCE, BATCHES_AT_ONCE = 4_000_000, 50_000
YEARS = (1900, 2100)  # times outside are kept, together: a clock that is wrong must not make a folder for each day it names
ODD = "other"

Progress = Callable[[str, float, float], None]


class Report(msgspec.Struct, frozen=True):
    """What a compaction did. `again`: readings that the history had already; `too_late`: those of an hour that is only an aggregate
    by now, which are not kept; `gone`: raw readings that were replaced by aggregates; `damage`: what could not be read."""

    readings: int = 0
    again: int = 0
    too_late: int = 0
    parts_written: int = 0
    parts_replaced: int = 0
    size_bytes: int = 0
    gone: tuple[Gone, ...] = ()
    damage: tuple[str, ...] = ()


def compact(data: Path, *, now: datetime, keep_raw: timedelta | None = None, progress: Progress = lambda *_: None) -> Report:
    """Take over what the node's log in `data` holds; with `keep_raw` replace what is older by one-hour aggregates, for ever.

    The node may write meanwhile, and others may read. Raises Conflict where another compaction runs, NotFound where there is no
    log and no history, Unavailable where the disk does not take it; whatever was done before that holds.
    """
    if keep_raw is not None and keep_raw < timedelta(days=1):
        raise InputError(f"keep_raw = {keep_raw}; wanted at least one day")
    root = data / HISTORY
    with _only_one(root):
        work = _Work(data, root)
        work.take_log(progress)
        if keep_raw is not None:
            work.age(int((now - keep_raw).timestamp()) * 1_000_000 // DAY_US * DAY_US, progress)
        work.merge_all(now, progress)
        return work.finish()


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    try:
        make_folders(root.parent, root)
        lock = (root / LOCK).open("a")
    except OSError as fault:
        raise Unavailable(f"history {root}: {fault}; nothing was compacted") from fault
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            raise Conflict(f"history {root}: another compaction is running; wait until it has ended") from fault
        yield


class _Work:
    """One compaction: the manifest as it stands, and what has to be told at the end."""

    def __init__(self, data: Path, root: Path) -> None:
        self._data, self._root = data, root
        self._damage: list[str] = []
        self._readings = self._again = self._too_late = self._written = self._replaced = 0
        self._gone: dict[Measure, Gone] = {}
        self._manifest = load_manifest(root, self._damage)
        if self._damage:
            self._commit()
        self._sweep()

    def take_log(self, progress: Progress) -> None:
        """Everything that the log has and the parts do not."""
        total, done = hot.unread_bytes(self._data, self._manifest), 0
        batches: dict[Measure, list[Observations]] = defaultdict(list)
        ends: dict[str, hot.Taken] = {}
        rows = count = 0
        for taken in hot.unread(self._data, self._manifest, self._damage, sync=True):
            quantity = taken.found.batch.quantity
            batches[Measure(quantity.name, quantity.unit)].append(taken.found.batch)
            ends[taken.segment] = taken
            rows, count = rows + len(taken.found.batch), count + 1
            done += taken.found.end - taken.found.begin
            if rows >= ROWS_AT_ONCE or count >= BATCHES_AT_ONCE:
                self._keep(batches, ends)
                progress("log", done, total)
                batches.clear()
                ends.clear()
                rows = count = 0
        if ends:
            self._keep(batches, ends)
            progress("log", total, total)

    def _keep(self, batches: dict[Measure, list[Observations]], ends: dict[str, hot.Taken]) -> None:
        """Write the new ones of some batches as parts, and remember how far the log was taken."""
        plan: list[tuple[Part, Rows]] = []
        for measure, several in batches.items():
            rows = gather(several)
            labels = self._labels(measure, rows.time_us)
            for label in np.unique(labels):
                some = rows.take(labels == label)
                fresh = only_new(some, self._overlapping(measure, some))
                self._again += len(some) - len(fresh)
                kept = not_aggregated(self._root, self._hourly(measure), fresh, self._damage)
                self._too_late += len(fresh) - len(kept)
                if len(kept):
                    plan.append((self._draft(RAW, several[-1].quantity, str(label), kept.time_us), kept))
                    self._readings += len(kept)
        parts = self._write([(part, _as_tables(part, rows)) for part, rows in plan], ())
        folder = self._data / hot.READINGS
        seen = {name: mark for name, mark in self._manifest.seen.items() if (folder / name).exists()}
        for name, taken in ends.items():
            try:
                seen[name] = hot.mark(folder / name, taken.found)
            except FileNotFoundError:  # the node dropped it meanwhile; its readings are in the parts
                seen.pop(name, None)
        self._commit(parts, (), seen)

    def _draft(self, kind: str, quantity: Quantity, label: str, time_us: NDArray[np.int64]) -> Part:
        low = None if quantity.low == -np.inf else quantity.low
        high = None if quantity.high == np.inf else quantity.high
        span = int(time_us.min()), int(time_us.max())
        whole_ms = kind == RAW and not (time_us % 1000).any()
        return Part(0, kind, quantity.name, quantity.unit, low, high, label, int(time_us.size), *span, whole_ms)

    def _labels(self, measure: Measure, time_us: NDArray[np.int64], split: str = "") -> NDArray[np.str_]:
        """Under which year, month or day each row goes; `split` is a label that has become too large."""
        there = {part.label for part in self._manifest.parts if part.kind == RAW and part.measure == measure}
        is_split = {label[:4] for label in there if len(label) > 4 and label != ODD} | {
            label[:7] for label in there if len(label) > 7
        }
        is_split |= {split[:4], split}
        return labels_of(time_us, is_split)

    def _overlapping(self, measure: Measure, rows: Rows) -> Iterator[Rows]:
        """What the parts have of the same time."""
        low, high, sites = int(rows.time_us.min()), int(rows.time_us.max()), frozenset(rows.names)
        for part in self._manifest.parts:
            if part.kind == RAW and part.measure == measure and part.from_us <= high and part.to_us >= low:
                reader = self._open(part)
                if reader is None:
                    continue
                try:
                    yield reader.read(from_us=low, to_us=high, sites=sites if len(sites) <= 64 else None)
                except InputError as fault:
                    self._damage.append(f"{fault}; left out")

    def _hourly(self, measure: Measure) -> list[Part]:
        return [part for part in self._manifest.parts if part.kind == HOURLY and part.measure == measure]

    def _open(self, part: Part) -> PartReader | None:
        """A part, or None and a line in the damage where it is not sound."""
        try:
            return PartReader(self._root / part.file)
        except (OSError, InputError) as fault:
            line = f"{part.file}: {fault}; left out"
            if line not in self._damage:
                self._damage.append(line)
            return None

    def age(self, until_us: int, progress: Progress) -> None:
        """Replace raw readings before `until_us` by one-hour aggregates, a part at a time."""
        old = [part for part in self._manifest.parts if part.kind == RAW and part.from_us < until_us and part.label != ODD]
        for number, part in enumerate(old, 1):
            reader = self._open(part)
            if reader is None:
                continue
            kept: list[Rows] = []
            hours: list[Hours] = []
            try:
                for rows in _blocks(part, [reader]):
                    is_old = rows.time_us < until_us
                    hours.append(hours_of(rows.take(is_old)))
                    kept.append(rows.take(~is_old))
            except InputError as fault:
                self._damage.append(f"{part.file}: {fault}; it stays as it is")
                continue
            young, quantity = join(kept), part.as_quantity()
            plan: list[tuple[Part, Iterable[Any]]] = []
            together = add_up(hours)
            months = labels_of(together.time_us, set(), months=True)
            for label in np.unique(months):
                some = together.take(np.flatnonzero(months == label))
                plan.append((self._draft(HOURLY, quantity, str(label), some.time_us), hourly_tables(some)))
            if len(young):
                draft = self._draft(RAW, quantity, part.label, young.time_us)
                plan.append((draft, _as_tables(draft, young)))
            before = self._gone.get(part.measure, Gone(*part_key(part), 0, 0))
            gone = Gone(*part_key(part), part.rows - len(young), until_us)
            self._commit(self._write(plan, (part,)), (part,), gone=gone)
            self._gone[part.measure] = Gone(*part_key(part), before.readings + gone.readings, until_us)
            log.info("raw_readings_aggregated", extra={"part": part.file, "readings": gone.readings})
            progress("older readings to hours", number, len(old))

    def merge_all(self, now: datetime, progress: Progress) -> None:
        """Merge where many small parts lie beside each other, and split what has become too large."""
        skip: set[tuple[str, Measure, str]] = set()
        done = 0
        while (found := self._to_merge(skip, now)) is not None:
            skip.add(found[0])
            self._merge(found[0][2], found[1])
            done += 1
            progress("parts", done, done + 1)

    def _to_merge(self, skip: set[tuple[str, Measure, str]], now: datetime) -> tuple[tuple[str, Measure, str], list[Part]] | None:
        groups: dict[tuple[str, Measure, str], list[Part]] = defaultdict(list)
        for part in self._manifest.parts:
            groups[part.kind, part.measure, part.label].append(part)
        settled = (now - SETTLED).strftime("%Y-%m-%d")
        for key, parts in groups.items():
            kind, _, label = key
            *small, largest = sorted(part.rows for part in parts)
            is_large = kind == RAW and sum(small) + largest > SMALL_ROWS
            # the more there is, the more a merge brings: so each reading is written anew a few times only
            least = largest / LATE if label < settled[: len(label)] else largest
            is_many = bool(small) and (sum(small) >= least or len(small) >= PARTS_MOST)
            must_split = is_large and len(label) < len("2026-01-01") and label != ODD
            if key not in skip and (must_split or (is_many and not (is_large and label == ODD))):
                return key, parts
        return None

    def _merge(self, label: str, parts: list[Part]) -> None:
        newest = max(parts, key=lambda part: part.number)
        quantity = newest.as_quantity()
        try:
            if newest.kind == HOURLY:
                hours = add_up([read_hours(self._root / part.file) for part in parts])
                draft = self._draft(HOURLY, quantity, label, hours.time_us)
                new = self._write([(draft, hourly_tables(hours))], parts)
            else:
                readers = [PartReader(self._root / part.file) for part in parts]
                if sum(part.rows for part in parts) > SMALL_ROWS and len(label) < len("2026-01-01"):
                    new = self._split(label, quantity, parts, readers)
                else:
                    span = np.array([min(p.from_us for p in parts), max(p.to_us for p in parts)])
                    whole_ms = all(part.whole_ms for part in parts)
                    count = sum(part.rows for part in parts)
                    draft = msgspec.structs.replace(self._draft(RAW, quantity, label, span), rows=count, whole_ms=whole_ms)
                    new = self._write([(draft, raw_tables(_blocks(draft, readers), whole_ms=whole_ms))], parts)
        except (InputError, FileNotFoundError) as fault:
            self._damage.append(f"{newest.quantity} {label}: {fault}; its parts stay as they are")
            return
        self._commit(new, parts)

    def _split(self, label: str, quantity: Quantity, parts: list[Part], readers: list[PartReader]) -> list[Part]:
        rows = join(reader.read(from_us=part.from_us, to_us=part.to_us) for part, reader in zip(parts, readers, strict=True))
        rows = rows.take(first_of_each(rows))
        labels = self._labels(parts[0].measure, rows.time_us, label)
        plan: list[tuple[Part, Iterable[Any]]] = []
        for lower in np.unique(labels):
            some = rows.take(labels == lower)
            draft = self._draft(RAW, quantity, str(lower), some.time_us)
            plan.append((draft, _as_tables(draft, some)))
        return self._write(plan, parts)

    def _write(self, plan: list[tuple[Part, Iterable[Any]]], replaces: Iterable[Part]) -> list[Part]:
        """Write parts that count together, or not at all."""
        first = self._manifest.next_number
        together = tuple(range(first, first + len(plan)))
        old = tuple(part.number for part in replaces)
        written = []
        for number, (draft, tables) in zip(together, plan, strict=True):
            part = msgspec.structs.replace(draft, number=number)
            written.append(write_part(self._root, About(FORMAT, part, old, together), tables))
        return written

    def _commit(
        self,
        new: Iterable[Part] = (),
        old: Iterable[Part] = (),
        seen: dict[str, Seen] | None = None,
        gone: Gone | None = None,
    ) -> None:
        """The one moment in which a step takes place; what it replaced is deleted after it."""
        new, old, before = tuple(new), tuple(old), self._manifest
        replaced = {part.number for part in old}
        total = before.gone
        if gone is not None:
            same = [g for g in total if (g.quantity, g.unit) == (gone.quantity, gone.unit)]
            readings = gone.readings + sum(g.readings for g in same)
            total = (*(g for g in total if g not in same), msgspec.structs.replace(gone, readings=readings))
        manifest = Manifest(
            generation=before.generation + 1,
            next_number=before.next_number + len(new),
            parts=(*(part for part in before.parts if part.number not in replaced), *new),
            seen=before.seen if seen is None else seen,
            gone=total,
        )
        save_manifest(self._root, manifest)
        self._manifest = manifest
        self._written, self._replaced = self._written + len(new), self._replaced + len(old)
        for part in old:
            (self._root / part.file).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Delete what an unfinished compaction left."""
        named = {self._root / part.file for part in self._manifest.parts}
        for path in [*self._root.glob("*/*/*/*.parquet"), *self._root.glob("*/*/*/.*.unfinished")]:
            if path not in named:
                path.unlink(missing_ok=True)

    def finish(self) -> Report:
        """Tell the node which segments it may drop first, and the caller what was done."""
        through = compacted_through(self._data, self._manifest)
        write_small(self._root, CURSOR, msgspec.json.encode({"through": through}))
        for line in self._damage:
            log.warning("history_damaged", extra={"folder": str(self._root), "damage": line})
        return Report(
            readings=self._readings,
            again=self._again,
            too_late=self._too_late,
            parts_written=self._written,
            parts_replaced=self._replaced,
            size_bytes=sum(part.size_bytes for part in self._manifest.parts),
            gone=tuple(self._gone.values()),
            damage=tuple(self._damage),
        )


def compacted_through(data: Path, manifest: Manifest) -> int:
    """The number of the last segment up to which all of the log is in the parts; 0 where there is none. The growing one never counts."""
    through = 0
    for path in segment_files(data / hot.READINGS)[:-1]:
        seen = manifest.seen.get(path.name)
        try:
            if seen is None or seen.size < path.stat().st_size:
                break
        except FileNotFoundError:  # the node dropped it meanwhile
            continue
        through = int(path.stem.rpartition("-")[2])
    return through


def part_key(part: Part) -> tuple[str, str]:
    """Quantity and unit, as the manifest counts by them."""
    return part.quantity, part.unit


def labels_of(time_us: NDArray[np.int64], is_split: set[str], *, months: bool = False) -> NDArray[np.str_]:
    """Under which year, month or day each moment goes: the widest that is not split and has few rows; with `months` always months."""
    time = time_us.view("M8[us]")
    year = time.astype("M8[Y]").astype(np.int64) + 1970
    labels = np.full(time.size, ODD, "U10")
    for one in np.unique(year[(year >= YEARS[0]) & (year < YEARS[1])]):
        in_year = np.flatnonzero(year == one)
        if not months and str(one) not in is_split and in_year.size <= SMALL_ROWS:
            labels[in_year] = str(one)
            continue
        month = time[in_year].astype("M8[M]")
        for which in np.unique(month):
            in_month = in_year[month == which]
            if months or (str(which) not in is_split and in_month.size <= SMALL_ROWS):
                labels[in_month] = str(which)
            else:
                labels[in_month] = time[in_month].astype("M8[D]").astype("U10")
    return labels


def _spans(part: Part) -> Iterator[tuple[int, int]]:
    """The chunks of a day, first and last moment; the whole of any other part."""
    if part.label == ODD or len(part.label) < len("2026-01-01"):
        yield part.from_us, part.to_us
        return
    for begin in range(part.from_us // CHUNK_US * CHUNK_US, part.to_us + 1, CHUNK_US):
        yield begin, begin + CHUNK_US - 1


def _as_tables(part: Part, rows: Rows) -> Iterator[Any]:
    return raw_tables(_chunks(part, rows), whole_ms=part.whole_ms)


def _chunks(part: Part, rows: Rows) -> Iterator[Rows]:
    for begin, end in _spans(part):
        yield rows.take((rows.time_us >= begin) & (rows.time_us <= end))


def _blocks(part: Part, readers: list[PartReader]) -> Iterator[Rows]:
    """All rows of some parts of one label, a chunk at a time, so that a large day is never in memory as a whole."""
    for begin, end in _spans(part):
        rows = join(reader.read(from_us=begin, to_us=end) for reader in readers)
        yield rows.take(first_of_each(rows))


def add_up(several: list[Hours]) -> Hours:
    """Aggregates of several parts as one, sorted by site, hour and flag; what is of the same hour stays as several rows."""
    numbers: dict[str, int] = {}
    for hours in several:
        for name in sorted(hours.names):
            numbers.setdefault(name, len(numbers))
    names = sorted(numbers)
    place = {name: k for k, name in enumerate(names)}
    site = np.concatenate([np.array([place[n] for n in h.names], np.int32)[h.site] if h.names else h.site for h in several])
    whole = Hours(
        names,
        site,
        *(
            np.concatenate([getattr(h, name) for h in several])
            for name in ("time_us", "flag", "readings", "total", "low", "high")
        ),
    )
    return whole.take(np.lexsort((whole.flag, whole.time_us, whole.site)))


def not_aggregated(root: Path, hourly: list[Part], rows: Rows, damage: list[str]) -> Rows:
    """The rows whose site and hour is not kept as an aggregate already: such an hour takes no more, or it would count one twice."""
    for part in hourly:
        if not len(rows) or part.to_us + HOUR_US <= int(rows.time_us.min()) or part.from_us > int(rows.time_us.max()):
            continue
        try:
            hours = read_hours(root / part.file)
        except InputError as fault:
            damage.append(f"{part.file}: {fault}; left out")
            continue
        number = {name: k for k, name in enumerate(rows.names)}
        known = np.array([number.get(name, -1) for name in hours.names], np.int64)[hours.site]
        taken = set(zip(known.tolist(), hours.time_us.tolist(), strict=True))
        hour = rows.time_us - rows.time_us % HOUR_US
        is_new = [pair not in taken for pair in zip(rows.site.tolist(), hour.tolist(), strict=True)]
        rows = rows.take(np.array(is_new, np.bool_))
    return rows
