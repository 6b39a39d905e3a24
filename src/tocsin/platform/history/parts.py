"""A part of the history: one Parquet file of one quantity, sorted by site and time, that never changes once it is there.

Columns of a raw part: `site` (dictionary), `time` (differences; in milliseconds where all are whole ones), `value` (plain), `flag`,
`delay_ms` (bytes split); all zstd. Measured on one-minute streams with times in whole seconds, jitter of 2 s and values to the
millimetre, bytes a reading: time 0.94 (in microseconds 1.52), value 1.71 (dictionary 1.96), delay 1.41 (in microseconds 2.74, which
no network clock is worth: so the history keeps arrivals in whole milliseconds).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary import Flag, InputError, Observations, Quantity, Unavailable, column

FORMAT = 1
ABOUT = b"tocsin"
DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
# Within a day: one stream's day is then in six row groups, everybody's last hour in a sixth. And 4 h in milliseconds fit 24 bits: the
# differences of times are packed in whole bytes, which zstd sees through. With 6 h they need 25 bits and 1.65 bytes a reading.
CHUNK_US = 4 * HOUR_US
GROUP_ROWS = 8_192
ZSTD_LEVEL = 3
SAFE_NAME = re.compile(r"[a-z0-9_]{1,80}", re.ASCII)

LEAST, MOST = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)
RAW, HOURLY = "raw", "hourly"


class Measure(msgspec.Struct, frozen=True, order=True):
    """What is stored together: a quantity in one unit. A quantity that changes its unit begins a new one."""

    quantity: str
    unit: str


class Part(msgspec.Struct, frozen=True):
    """What is known of a part without opening it. `low` and `high` are the quantity's; None is unbounded."""

    number: int
    kind: str
    quantity: str
    unit: str
    low: float | None
    high: float | None
    label: str
    rows: int
    from_us: int
    to_us: int
    whole_ms: bool = False
    size_bytes: int = 0

    @property
    def measure(self) -> Measure:
        """What it is of."""
        return Measure(self.quantity, self.unit)

    @property
    def file(self) -> str:
        """Where it lies in the history's folder. Only numbers, times and safe words are in a path; sites never are."""
        name = self.quantity if SAFE_NAME.fullmatch(self.quantity) else "other"
        return f"{self.kind}/{name}/{self.label}/{self.number:010d}.parquet"

    def as_quantity(self) -> Quantity:
        """The quantity as it was observed last."""
        low = -np.inf if self.low is None else self.low
        return Quantity(self.quantity, self.unit, float(low), float(np.inf if self.high is None else self.high))


class About(msgspec.Struct, frozen=True):
    """What a part says of itself, so that a lost manifest can be made again: which parts it stands for, and how many came with it."""

    format: int
    part: Part
    replaces: tuple[int, ...]
    together: tuple[int, ...]


class Rows(msgspec.Struct):
    """Readings of one measure as columns; `site` is an index into `names`."""

    names: list[str]
    site: NDArray[np.int32]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    flag: NDArray[np.uint8]
    delay_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.time_us.size)

    def take(self, which: NDArray[Any] | slice) -> Rows:
        """The rows at some places."""
        return Rows(self.names, self.site[which], self.time_us[which], self.value[which], self.flag[which], self.delay_ms[which])

    def as_observations(self, quantity: Quantity) -> Observations:
        """The same as a batch, of the sites that speak in it."""
        used, site = np.unique(self.site, return_inverse=True)
        return Observations(
            quantity,
            tuple(self.names[k] for k in used),
            column(site, np.int32),
            column(self.time_us, np.int64),
            column(self.value, np.float64),
            column(self.flag, np.uint8),
            column(arrived_us(self.time_us, self.delay_ms), np.int64),
        )


class Hours(msgspec.Struct):
    """One-hour aggregates: a row for each site, hour and flag. `readings` counts all; the rest is over those that have a number."""

    names: list[str]
    site: NDArray[np.int32]
    time_us: NDArray[np.int64]
    flag: NDArray[np.uint8]
    readings: NDArray[np.int64]
    total: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.time_us.size)

    def take(self, which: NDArray[Any] | slice) -> Hours:
        """The rows at some places."""
        columns: tuple[NDArray[Any], ...] = (self.site, self.time_us, self.flag, self.readings, self.total, self.low, self.high)
        taken: list[NDArray[Any]] = [each[which] for each in columns]
        return Hours(self.names, *taken)


def delay_ms(time_us: NDArray[np.int64], arrived: NDArray[np.int64]) -> NDArray[np.int64]:
    """How long after its time a reading came, in whole milliseconds; negative where the sensor's clock is ahead."""
    return arrived // 1000 - time_us // 1000


def arrived_us(time_us: NDArray[np.int64], delay: NDArray[np.int64]) -> NDArray[np.int64]:
    """When a reading came, to the millisecond below."""
    return (time_us // 1000 + delay) * 1000


def gather(batches: Iterable[Observations]) -> Rows:
    """Batches of one measure as rows, in their order; columns grow by doubling no array more often than once."""
    numbers: dict[str, int] = {}
    parts: list[tuple[NDArray[Any], ...]] = []
    for batch in batches:
        place = np.array([numbers.setdefault(name, len(numbers)) for name in batch.sites], np.int32)
        parts.append((place[batch.site], batch.time_us, batch.value, batch.flag, delay_ms(batch.time_us, batch.arrived_us)))
    return _rows(list(numbers), parts)


def join(several: Iterable[Rows]) -> Rows:
    """Rows of one measure from several places, in their order."""
    numbers: dict[str, int] = {}
    parts: list[tuple[NDArray[Any], ...]] = []
    for rows in several:
        place = np.array([numbers.setdefault(name, len(numbers)) for name in rows.names], np.int32)
        site = place[rows.site] if rows.names else rows.site
        parts.append((site, rows.time_us, rows.value, rows.flag, rows.delay_ms))
    return _rows(list(numbers), parts)


def _rows(names: list[str], parts: list[tuple[NDArray[Any], ...]]) -> Rows:
    kinds = (np.int32, np.int64, np.float64, np.uint8, np.int64)
    return Rows(names, *(np.concatenate([part[k] for part in parts] or [np.empty(0, kind)]) for k, kind in enumerate(kinds)))


def first_of_each(rows: Rows) -> NDArray[np.intp]:
    """Which rows are the first with their site, time and bits of the value, sorted by site and time.

    The bits, because a NaN is not equal to itself, and a second, different value for one moment is kept: who reads it must see both.
    """
    bits = rows.value.view(np.int64)
    order = np.lexsort((bits, rows.time_us, rows.site))
    if not order.size:
        return order
    keys = (rows.site[order], rows.time_us[order], bits[order])
    again = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return order[np.concatenate(([True], ~again))]


def only_new(rows: Rows, old: Iterable[Rows]) -> Rows:
    """The rows whose site, time and value are not among `old`, each once, the first that came."""
    fresh = rows.take(first_of_each(rows))
    times = np.unique(fresh.time_us)
    known = []
    for part in old:
        places = np.searchsorted(times, part.time_us)
        places[places == times.size] = 0
        known.append(part.take(times[places] == part.time_us) if times.size else part.take(slice(0, 0)))
    before = join(known)
    if not len(before) or not len(fresh):
        return fresh
    both = join([before, fresh])
    kept = first_of_each(both)
    return both.take(kept[kept >= len(before)])


def sort_names(rows: Rows) -> Rows:
    """The same rows with their sites numbered in the order of their names, so that sorting by number sorts by name."""
    order = sorted(range(len(rows.names)), key=rows.names.__getitem__)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    names = [rows.names[k] for k in order]
    site = place[rows.site] if names else rows.site
    return Rows(names, site, rows.time_us, rows.value, rows.flag, rows.delay_ms)


def _dictionary(names: list[str], site: NDArray[np.int32]) -> Any:
    import pyarrow as pa

    used, local = np.unique(site, return_inverse=True)  # all of a dictionary is written, in each row group
    return pa.DictionaryArray.from_arrays(pa.array(local.astype(np.int32)), pa.array([names[k] for k in used], pa.string()))


def arrow_of(rows: Rows, *, whole_ms: bool = False) -> Any:
    """Rows as an arrow table with the columns of a raw part."""
    import pyarrow as pa

    time = pa.array(rows.time_us // 1000 if whole_ms else rows.time_us)
    return pa.table(
        {
            "site": _dictionary(rows.names, rows.site),
            "time": time.view(pa.timestamp("ms" if whole_ms else "us", "UTC")),
            "value": pa.array(rows.value),
            "flag": pa.array(rows.flag),
            "delay_ms": pa.array(rows.delay_ms),
        }
    )


def _arrow_of_hours(hours: Hours) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            "site": _dictionary(hours.names, hours.site),
            "time": pa.array(hours.time_us).view(pa.timestamp("us", "UTC")),
            "flag": pa.array(hours.flag),
            "readings": pa.array(hours.readings),
            "total": pa.array(hours.total),
            "low": pa.array(hours.low),
            "high": pa.array(hours.high),
        }
    )


def raw_tables(blocks: Iterable[Rows], *, whole_ms: bool) -> Iterator[Any]:
    """Each block of rows sorted by site and time, a row group a table: so its dictionary names only the sites that speak in it."""
    for block in blocks:
        named = sort_names(block)
        rows = named.take(np.lexsort((named.time_us, named.site)))
        for begin in range(0, len(rows), GROUP_ROWS):
            yield arrow_of(rows.take(slice(begin, begin + GROUP_ROWS)), whole_ms=whole_ms)


def hourly_tables(hours: Hours) -> Iterator[Any]:
    """The aggregates, which are sorted already, a row group a table."""
    for begin in range(0, len(hours), GROUP_ROWS):
        yield _arrow_of_hours(hours.take(slice(begin, begin + GROUP_ROWS)))


def write_part(root: Path, about: About, tables: Iterable[Any]) -> Part:
    """Write a part, on disk and under its name when this returns; raises Unavailable where the disk does not take it.

    It counts only when the manifest names it: until then a crash leaves a file that the next compaction deletes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = root / about.part.file
    unfinished = path.with_name(f".{path.name}.unfinished")
    is_raw = about.part.kind == RAW
    encoding = {"time": "DELTA_BINARY_PACKED"} | ({"delay_ms": "BYTE_STREAM_SPLIT", "value": "PLAIN"} if is_raw else {})
    writer: Any = None
    try:
        make_folders(root, path.parent)
        for table in tables:
            if writer is None:
                writer = pq.ParquetWriter(
                    unfinished,
                    table.schema,
                    compression="zstd",
                    compression_level=ZSTD_LEVEL,
                    use_dictionary=["site", "flag"],
                    column_encoding=encoding,
                    store_schema=False,
                    write_page_checksum=True,
                )
            writer.write_table(table, row_group_size=GROUP_ROWS)
        if writer is None:
            raise InputError(f"{path}: a part of no rows; wanted at least one")
        writer.add_key_value_metadata({ABOUT.decode(): msgspec.json.encode(about).decode()})
        writer.close()
        writer = None
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        unfinished.replace(path)
        sync_folder(path.parent)
    except (OSError, pa.ArrowException) as fault:
        raise Unavailable(f"history {path}: {fault}; the log still has these readings; make room on the disk") from fault
    finally:
        if writer is not None:
            _give_up(writer)
        unfinished.unlink(missing_ok=True)
    return msgspec.structs.replace(about.part, size_bytes=size)


def _give_up(writer: Any) -> None:
    """Close what could not be finished; that the end cannot be written either is no news."""
    import pyarrow as pa

    try:
        writer.close()
    except (OSError, pa.ArrowException):
        return


def make_folders(root: Path, folder: Path) -> None:
    """Make the folders down to `folder`, each on disk before something is put into it."""
    missing = [step for step in (folder, *folder.parents) if step.is_relative_to(root) and not step.is_dir()]
    for step in reversed(missing):
        step.mkdir(exist_ok=True, parents=True)
        sync_folder(step.parent)


def sync_folder(folder: Path) -> None:
    """A new or renamed file is only there after a crash when its folder was synced too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_about(path: Path) -> About:
    """What a part says of itself; raises InputError where it is no whole part of this history."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = msgspec.json.decode((pq.read_metadata(path).metadata or {})[ABOUT], type=About)
    except (pa.ArrowException, OSError, KeyError, msgspec.MsgspecError) as fault:
        raise InputError(f"{path}: is no whole part of a history: {fault}") from fault
    if about.format != FORMAT:
        raise InputError(f"{path}: format {about.format}; this version of Tocsin reads format {FORMAT}")
    return msgspec.structs.replace(about, part=msgspec.structs.replace(about.part, size_bytes=path.stat().st_size))


class PartReader:
    """An open raw part: its row groups' times and sites are at hand, so that a narrow question reads few of them."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        try:
            self.file: Any = pq.ParquetFile(path, read_dictionary=["site"], page_checksum_verification=True)
        except pa.ArrowException as fault:
            raise InputError(f"{path}: is no whole part of a history: {fault}") from fault
        meta = self.file.metadata
        groups = [meta.row_group(k) for k in range(meta.num_row_groups)]
        self.rows = np.array([g.num_rows for g in groups], np.int64)
        site = [g.column(0).statistics for g in groups]
        time = [g.column(1).statistics for g in groups]
        self._sites = [(s.min, s.max) if s is not None and s.has_min_max else None for s in site]
        scale = 1000 if self.file.schema_arrow.field("time").type.unit == "ms" else 1
        known = [t is not None and t.has_min_max for t in time]
        self._low = np.array([t.min_raw * scale if k else LEAST for t, k in zip(time, known, strict=True)], np.int64)
        self._high = np.array([t.max_raw * scale if k else MOST for t, k in zip(time, known, strict=True)], np.int64)

    def read(self, *, from_us: int, to_us: int, sites: frozenset[str] | None = None) -> Rows:
        """The rows with from_us <= time <= to_us of some sites, in the order of the file."""
        import pyarrow as pa

        asked = np.flatnonzero((self._high >= from_us) & (self._low <= to_us))
        if sites is not None:
            asked = np.array([k for k in asked if self._may_hold(int(k), sites)], np.int64)
        if not asked.size:
            return _rows([], [])
        try:
            table = self.file.read_row_groups(asked.tolist(), columns=["site", "time", "value", "flag", "delay_ms"])
        except (pa.ArrowException, OSError) as fault:
            raise InputError(f"{self._path}: cannot be read: {fault}") from fault
        rows = _from_arrow(table)
        keep = (rows.time_us >= from_us) & (rows.time_us <= to_us)
        if sites is None:
            return rows if keep.all() else rows.take(keep)
        known = np.array([k for k, name in enumerate(rows.names) if name in sites], np.int64)
        place = np.full(len(rows.names), -1, np.int32)
        place[known] = np.arange(known.size)
        rows.names, rows.site = [rows.names[k] for k in known], place[rows.site]
        return rows.take(np.flatnonzero(keep & (rows.site >= 0)))

    def _may_hold(self, group: int, sites: frozenset[str]) -> bool:
        span = self._sites[group]
        return span is None or any(span[0] <= site <= span[1] for site in sites)


def _from_arrow(table: Any) -> Rows:
    names, index = _sites(table)
    return Rows(
        names,
        index,
        _time_us(table),
        table.column("value").to_numpy(),
        table.column("flag").to_numpy(),
        table.column("delay_ms").to_numpy(),
    )


def read_hours(path: Path) -> Hours:
    """The aggregates of an hourly part; raises InputError where it is missing or not sound."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=["site"]).read()
        names, index = _sites(table)
        columns = [table.column(name).to_numpy() for name in ("flag", "readings", "total", "low", "high")]
        return Hours(names, index, _time_us(table), *columns)
    except (pa.ArrowException, OSError, KeyError) as fault:
        raise InputError(f"{path}: is no whole part of a history: {fault}") from fault


def _time_us(table: Any) -> NDArray[np.int64]:
    time = table.column("time")
    stored = np.asarray(time.to_numpy().view(np.int64))
    return stored * 1000 if time.type.unit == "ms" else stored


def _sites(table: Any) -> tuple[list[str], NDArray[np.int32]]:
    import pyarrow as pa

    site = table.column("site")
    if not pa.types.is_dictionary(site.type):
        site = site.dictionary_encode()
    one = site.unify_dictionaries().combine_chunks()
    if isinstance(one, pa.ChunkedArray):
        one = one.chunk(0) if one.num_chunks else pa.array([], site.type)
    return one.dictionary.to_pylist(), one.indices.to_numpy().astype(np.int32, copy=False)


def hours_of(rows: Rows) -> Hours:
    """Rows added up by site, hour and flag. A reading flagged missing has no number, whatever its value says."""
    hour = rows.time_us - rows.time_us % HOUR_US
    order = np.lexsort((rows.flag, hour, rows.site))
    if not order.size:
        empty = np.empty(0, np.int64)
        return Hours([], empty.astype(np.int32), empty, empty.astype(np.uint8), empty, *(np.empty(0) for _ in range(3)))
    site, hour, flag, value = rows.site[order], hour[order], rows.flag[order], rows.value[order]
    begins = np.flatnonzero(np.concatenate(([True], (site[1:] != site[:-1]) | (hour[1:] != hour[:-1]) | (flag[1:] != flag[:-1]))))
    is_number = flag[begins] != Flag.MISSING
    number = np.where(flag == Flag.MISSING, 0.0, value)
    return Hours(
        rows.names,
        site[begins],
        hour[begins],
        flag[begins],
        np.diff(np.append(begins, order.size)),
        np.add.reduceat(number, begins),
        np.where(is_number, np.minimum.reduceat(number, begins), np.nan),
        np.where(is_number, np.maximum.reduceat(number, begins), np.nan),
    )
