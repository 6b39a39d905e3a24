"""Where readings come from: what a collector is, a series replayed as live virtual sensors, and CSV. More kinds: `collectors`.

A collector is an asynchronous iterator of batches. When it is asked for the next batch, the one before is on disk: only then may
it tell its source so. Units are converted here, and nowhere further in.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from array import array
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.edge.latest import microseconds
from tocsin.host import Host
from tocsin.science.quality import US_PER_S
from tocsin.vocabulary import Bulletin, InputError, Observations, Quantity, column

BATCH_ROWS = 10_000
FILE_BYTES_MOST = 1 << 30
ROWS_MOST = 20_000_000
LINE_CHARACTERS_MOST = 10_000

# unit given -> unit inside: (factor, offset). All are exact by definition: NIST Special Publication 811 (2008), appendix B.
CONVERSIONS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("ft", "m"): (0.3048, 0.0),
    ("in", "mm"): (25.4, 0.0),
    ("in", "m"): (0.0254, 0.0),
    ("in/h", "mm/h"): (25.4, 0.0),
    ("cm", "m"): (0.01, 0.0),
    ("mm", "m"): (0.001, 0.0),
    ("cm", "mm"): (10.0, 0.0),
    ("ft3/s", "m3/s"): (0.3048**3, 0.0),
    ("L/s", "m3/s"): (0.001, 0.0),
    ("km/h", "m/s"): (1.0 / 3.6, 0.0),
    ("mi/h", "m/s"): (0.44704, 0.0),
    ("kn", "m/s"): (1852.0 / 3600.0, 0.0),
    ("degF", "degC"): (5.0 / 9.0, -160.0 / 9.0),
    ("K", "degC"): (1.0, -273.15),
}


# What a collector hands over at once: readings for the checks, or what agencies have said for the ledger.
Batch: TypeAlias = Observations | tuple[Bulletin, ...]


class Collector(Protocol):
    """A way in for readings, or for what agencies say, by a name that is unique in its node."""

    @property
    def name(self) -> str: ...
    def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        """Batches until the source ends. It may raise; it is then started again, later.

        An empty batch says that the source answers, and has nothing new.
        """
        ...


def convert(value: NDArray[np.float64], source: str, target: str) -> NDArray[np.float64]:
    """Values in another unit; raises InputError for a pair that is not in the table.

    >>> convert(np.array([10.0]), "ft", "m").round(4)
    array([3.048])
    """
    if source == target:
        return value
    if (source, target) not in CONVERSIONS:
        known = ", ".join(f"{a} to {b}" for a, b in CONVERSIONS)
        raise InputError(f"units: no conversion from {source!r} to {target!r}; there are: {known}")
    factor, offset = CONVERSIONS[source, target]
    return value * factor + offset


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a virtual sensor, as data: from and until when, how much (in the quantity's unit or s), how often.

    noise: normal, standard deviation `amount`. stuck: repeats its last value. spike: leaps by +-`amount` with `chance`.
    dropout: says nothing with `chance`. missing: says that it has no value, with `chance`. drift: `amount` per hour.
    clock: its time is `amount` s wrong. delay: arrives up to `amount` s late, so out of order. repeat: sent twice with `chance`.
    """

    site: str
    kind: Literal["noise", "stuck", "spike", "dropout", "missing", "drift", "clock", "delay", "repeat"]
    start: datetime
    end: datetime
    amount: float = 0.0
    chance: float = 1.0

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None or not self.start < self.end:
            raise InputError(f"fault {self.kind} at {self.site}: {self.start}..{self.end}; wanted two UTC times, in order")
        if not (0.0 <= self.chance <= 1.0 and math.isfinite(self.amount)):
            raise InputError(
                f"fault {self.kind} at {self.site}: amount {self.amount}, chance {self.chance}; wanted a number and 0..1"
            )


def spoil(true: Observations, faults: Iterable[Fault], rng: np.random.Generator) -> Observations:
    """The readings as faulty sensors would send them, in the order in which they arrive. The same generator gives the same."""
    order = np.lexsort((true.site, true.time_us))
    site, time_us, value = true.site[order].copy(), true.time_us[order].copy(), true.value[order].copy()
    sensor_us, arrived_us = time_us.copy(), true.arrived_us[order].copy()
    there, sent = np.ones(site.size, bool), np.ones(site.size, np.int64)
    for fault in faults:
        if fault.site not in true.sites:
            raise InputError(f"fault {fault.kind}: no site {fault.site!r}; there are {len(true.sites)}, e.g. {true.sites[:3]}")
        span = (time_us >= microseconds(fault.start)) & (time_us < microseconds(fault.end))
        hit = np.flatnonzero(span & (site == true.sites.index(fault.site)))
        if not hit.size:
            continue
        by_chance = hit[rng.random(hit.size) < fault.chance]
        match fault.kind:
            case "noise":
                value[hit] += rng.normal(0.0, fault.amount, hit.size)
            case "stuck":
                value[hit] = value[hit[0]]
            case "spike":
                value[by_chance] += fault.amount * rng.choice([-1.0, 1.0], by_chance.size)
            case "dropout":
                there[by_chance] = False
            case "missing":
                value[by_chance] = np.nan
            case "drift":
                value[hit] += fault.amount * (time_us[hit] - time_us[hit[0]]) / (3600.0 * US_PER_S)
            case "clock":
                sensor_us[hit] += int(fault.amount * US_PER_S)
            case "delay":
                arrived_us[by_chance] += (rng.random(by_chance.size) * fault.amount * US_PER_S).astype(np.int64)
            case "repeat":
                sent[by_chance] += 1
    which = np.repeat(np.flatnonzero(there), sent[there])
    which = which[np.argsort(arrived_us[which], kind="stable")]
    return Observations.of(true.quantity, true.sites, site[which], sensor_us[which], value[which], arrived_us=arrived_us[which])


class Replay:
    """A series as live virtual sensors: each reading comes when the host's clock reaches the moment at which it arrived.

    `start` moves the series in time, so that its first reading arrives then. What is past when it begins comes at once.
    """

    def __init__(self, name: str, true: Observations, *, faults: Iterable[Fault] = (), start: datetime | None = None) -> None:
        self._name, self._true, self._faults, self._start = name, true, tuple(faults), start
        self._sent = 0
        self._told: Observations | None = None

    @property
    def name(self) -> str:
        return self._name

    async def batches(self, host: Host) -> AsyncGenerator[Observations, None]:
        """The readings of one moment are one batch; after a break it goes on with the batch that was not stored."""
        if self._told is None:
            self._told = spoil(self._true, self._faults, host.chance(f"replay {self._name}"))
        told = self._told
        if not len(told):
            return
        shift_us = 0 if self._start is None else microseconds(self._start) - int(told.arrived_us[0])
        time_us, arrived_us = told.time_us + shift_us, told.arrived_us + shift_us
        moments, begin = np.unique(arrived_us, return_index=True)
        ends = np.append(begin[1:], arrived_us.size)
        for number in range(self._sent, moments.size):
            wait_s = (int(moments[number]) - microseconds(host.clock.now())) / US_PER_S
            if wait_s > 0:
                await host.clock.sleep(wait_s)
            cut = slice(int(begin[number]), int(ends[number]))
            yield Observations(
                told.quantity,
                told.sites,
                column(told.site[cut], np.int32),
                column(time_us[cut], np.int64),
                column(told.value[cut], np.float64),
                column(told.flag[cut], np.uint8),
                column(arrived_us[cut], np.int64),
            )
            self._sent = number + 1


class CsvColumns(msgspec.Struct, frozen=True, kw_only=True):
    """What the columns of a CSV file mean. `unit` is what the file is in; it is converted to the quantity's own.

    `site` names the column that holds the site; or, if `one_site` is given, the whole file is of that one. `zone` is for times
    that do not name theirs. `missing` are the texts that stand for "no value".
    """

    quantity: Quantity
    time: str
    value: str
    unit: str
    site: str | None = None
    one_site: str | None = None
    zone: str | None = None
    missing: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "-9999", "-999")
    delimiter: str = ","

    def __post_init__(self) -> None:
        if (self.site is None) == (self.one_site is None):
            raise InputError(f"csv of {self.quantity.name}: give either the column `site` or the name `one_site`")
        if self.zone is not None:
            try:
                ZoneInfo(self.zone)
            except (ZoneInfoNotFoundError, ValueError) as fault:
                raise InputError(f"csv of {self.quantity.name}: zone {self.zone!r} is unknown; wanted e.g. 'UTC'") from fault
        convert(np.zeros(0), self.unit, self.quantity.unit)


def read_csv(path: Path, columns: CsvColumns, *, rows_most: int = ROWS_MOST, bytes_most: int = FILE_BYTES_MOST) -> Observations:
    """All readings of a CSV file (plain or gzip) in the quantity's unit. Raises InputError with file, line, got and wanted.

    A value that is not believable for its quantity is kept: to flag it is the check's business. Nothing is taken from a broken
    file.
    """
    site, time_us, value = array("i"), array("q"), array("d")  # a list of numbers takes five times as much
    names: dict[str, int] = {}
    zone = ZoneInfo(columns.zone) if columns.zone else None
    for line, row in _rows(path, columns, bytes_most):
        if len(value) >= rows_most:
            raise InputError(f"{path}, line {line}: more than {rows_most} rows; split the file")
        moment = _moment(row[columns.time], zone, path, line)
        text = row[columns.value].strip()
        try:
            number = math.nan if text in columns.missing else float(text)
        except ValueError:
            raise InputError(f"{path}, line {line}: {columns.value} = {text!r}; wanted a number in {columns.unit}") from None
        place = columns.one_site if columns.site is None else row[columns.site].strip()
        if not place:
            raise InputError(f"{path}, line {line}: {columns.site} is empty; wanted the site's name")
        site.append(names.setdefault(place, len(names)))
        time_us.append(moment)
        value.append(number)
    told = convert(np.array(value, np.float64), columns.unit, columns.quantity.unit)
    return Observations.of(columns.quantity, tuple(names), site, time_us, told)


def _moment(text: str, zone: ZoneInfo | None, path: Path, line: int) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(f"{path}, line {line}: time {text!r}; wanted ISO 8601, e.g. 2018-06-03T22:05:00Z") from None
    if moment.tzinfo is None:
        if zone is None:
            raise InputError(f"{path}, line {line}: time {text!r} names no zone; give `zone`, e.g. 'UTC'")
        moment = moment.replace(tzinfo=zone)
    return microseconds(moment.astimezone(UTC))


def _rows(path: Path, columns: CsvColumns, bytes_most: int) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row by column) of a file that may be hostile: bounded in bytes after unpacking, and in the length of a line."""
    wanted = [name for name in (columns.time, columns.value, columns.site) if name is not None]
    try:
        reader = csv.reader(file_lines(path, bytes_most), delimiter=columns.delimiter)
        head = next(reader, None)
        if head is None:
            raise InputError(f"{path}: is empty; wanted a first line with the columns {wanted}")
        absent = [name for name in wanted if name not in head]
        if absent:
            raise InputError(f"{path}, line 1: no column {absent}; there are {head[:20]}")
        at = {name: head.index(name) for name in wanted}
        for row in reader:
            if not row:
                continue
            if len(row) != len(head):
                raise InputError(f"{path}, line {reader.line_num}: {len(row)} columns; wanted {len(head)} as in line 1")
            yield reader.line_num, {name: row[k] for name, k in at.items()}
    except csv.Error as fault:
        raise InputError(f"{path}: cannot be read as CSV: {fault}") from fault


def file_lines(path: Path, bytes_most: int = FILE_BYTES_MOST) -> Iterator[str]:
    """The lines of a text file, plain or gzip, that may be hostile; raises InputError where it cannot be read."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield from _lines(gzip.GzipFile(fileobj=raw) if packed else raw, path, bytes_most)
    except (OSError, EOFError, zlib.error) as fault:
        raise InputError(f"{path}: cannot be read: {fault}") from fault


def _lines(raw: io.BufferedIOBase, path: Path, bytes_most: int) -> Iterator[str]:
    total = number = 0
    while line := raw.readline(LINE_CHARACTERS_MOST + 1):
        number += 1
        total += len(line)
        if len(line) > LINE_CHARACTERS_MOST:
            raise InputError(f"{path}, line {number}: longer than {LINE_CHARACTERS_MOST} bytes; is it a text file of readings?")
        if total > bytes_most:
            raise InputError(f"{path}, line {number}: more than {bytes_most} bytes; split the file")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as fault:
            raise InputError(f"{path}, line {number}: not UTF-8 ({fault.reason})") from fault
