"""From what somebody sends to readings: a Pick says where site, time and value stand, and in which unit and zone they are.

Whatever is sent, the answer is a reading or a Drop, with one of few reasons; nothing else is raised.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np

from tocsin.edge.collect import convert
from tocsin.edge.collectors.paths import Path, path
from tocsin.edge.collectors.tally import Drop, Tally
from tocsin.edge.latest import microseconds
from tocsin.vocabulary import InputError, Observations, Quantity

TIME_US_MOST = 253_402_300_800_000_000  # the year 10000: what comes after it has no date
SITE_CHARACTERS_MOST = 200
SITES_MOST = 20_000
ROWS_MOST = 100_000
COLUMNS_MOST = 1_000
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "-9999", "-999")
# How times may be told as a number: microseconds in one of the unit.
_EPOCHS: Mapping[str, int] = {"unix_s": 1_000_000, "unix_ms": 1_000, "unix_us": 1}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_HOLE = re.compile(r"\{(\w+)\}", re.ASCII)


class Reading(NamedTuple):
    """One number of one site; `value` is NaN where the source says that it has none."""

    quantity: Quantity
    site: str
    time_us: int
    value: float


class Pick(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Which number of a row is a reading of `quantity`.

    `value`, `time` and `site` are paths in the row if they begin with $. A `site` that is none is the name itself, in which {word}
    stands for what was captured from a topic. Without `time` the moment of arrival is meant. `unit` is what the source sends, the
    quantity's own where it is not said. `time_format` is iso, unix_s, unix_ms, unix_us, or a pattern of strptime; `zone` is for
    times that name none. `missing` are the texts and numbers that stand for "no value".
    """

    quantity: Quantity
    value: str = "$"
    unit: str = ""
    site: str = ""
    time: str = ""
    time_format: str = "iso"
    zone: str = ""
    missing: tuple[str, ...] = MISSING

    def __post_init__(self) -> None:
        what = f"reading of {self.quantity.name}"
        for text in (self.value, *filter(None, (self.time,)), *([self.site] if self.site.startswith("$") else [])):
            path(text)
        if self.time_format != "iso" and self.time_format not in _EPOCHS and "%" not in self.time_format:
            raise InputError(
                f"{what}: time_format = {self.time_format!r}; wanted iso, {', '.join(_EPOCHS)} or e.g. '%d.%m.%Y %H:%M'"
            )
        if self.zone:
            try:
                ZoneInfo(self.zone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
                raise InputError(f"{what}: zone {self.zone!r} is unknown; wanted e.g. 'UTC'") from fault
        convert(np.zeros(0), self.unit or self.quantity.unit, self.quantity.unit)

    @cached_property
    def _value(self) -> Path:
        return path(self.value)

    @cached_property
    def _time(self) -> Path | None:
        return path(self.time) if self.time else None

    @cached_property
    def _site(self) -> Path | None:
        return path(self.site) if self.site.startswith("$") else None

    @cached_property
    def _zone(self) -> ZoneInfo | None:
        return ZoneInfo(self.zone) if self.zone else None

    @cached_property
    def _line(self) -> tuple[float, float]:
        """The conversion as (factor, offset): all of them are linear."""
        zero, one = convert(np.array([0.0, 1.0]), self.unit or self.quantity.unit, self.quantity.unit).tolist()
        return one - zero, zero

    @property
    def has_time(self) -> bool:
        """True if the row tells when; False if the moment of arrival is meant."""
        return bool(self.time)

    def read(self, row: Any, captured: Mapping[str, str], arrived_us: int, *, site: str = "") -> Reading:
        """The reading in a row; raises Drop. `site` is what is meant where the Pick names none."""
        raw = self._value.first(row, _NOWHERE)
        if raw is _NOWHERE:
            raise Drop("no value", f"{self.quantity.name}: nothing at {self.value}")
        value = self._number(raw)
        return Reading(self.quantity, self._name(row, captured, site), self._moment(row, arrived_us), value)

    def _number(self, raw: Any) -> float:
        if raw is None or (isinstance(raw, str) and raw.strip() in self.missing):
            return math.nan
        if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
            raw = float(raw)
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise Drop("not a number", f"{self.quantity.name}: {self.value} = {short(raw)}; wanted a number")
        try:
            number = float(raw)
        except OverflowError:
            number = math.inf
        factor, offset = self._line
        if f"{number:.15g}" in self.missing:
            return math.nan
        number = number * factor + offset
        if not math.isfinite(number):
            raise Drop("not a number", f"{self.quantity.name}: {self.value} = {short(raw)}; wanted a finite number")
        return number

    def _name(self, row: Any, captured: Mapping[str, str], site: str) -> str:
        if self._site is not None:
            raw = self._site.first(row)
            name = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
        else:
            name = _HOLE.sub(lambda hole: captured.get(hole.group(1), ""), self.site or site)
        return site_name(name)

    def _moment(self, row: Any, arrived_us: int) -> int:
        if self._time is None:
            return arrived_us
        return time_us(self._time.first(row), self.time_format, self._zone)


_NOWHERE = object()


def short(raw: Any) -> str:
    """What came, in few characters; of lists and objects only what they are."""
    if isinstance(raw, str):
        return repr(raw[:60])
    return repr(raw) if raw is None or isinstance(raw, bool | float) else f"a {type(raw).__name__}"


def site_name(raw: Any) -> str:
    """A name that may be used as one; raises Drop."""
    name = raw.strip() if isinstance(raw, str) else ""
    if not 0 < len(name) <= SITE_CHARACTERS_MOST or not name.isprintable():
        raise Drop("site", f"site = {short(raw)}; wanted 1 to {SITE_CHARACTERS_MOST} printable characters")
    return name


def time_us(raw: Any, form: str = "iso", zone: ZoneInfo | None = None) -> int:
    """A moment as microseconds since 1970 UTC; raises Drop. `form` is as in a Pick."""
    try:
        if form in _EPOCHS:
            if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
                raw = float(raw)
            if isinstance(raw, bool) or not isinstance(raw, int | float):
                raise ValueError("wanted a number")
            told = raw * _EPOCHS[form] if isinstance(raw, int) else round(raw * _EPOCHS[form])
        else:
            if not isinstance(raw, str) or len(raw) > 100:
                raise ValueError("wanted a text")
            moment = datetime.fromisoformat(raw.strip()) if form == "iso" else datetime.strptime(raw.strip(), form)  # noqa: DTZ007
            if moment.tzinfo is None:
                if zone is None:
                    raise ValueError("names no zone; give `zone`, e.g. 'UTC'")
                moment = moment.replace(tzinfo=zone)
            told = microseconds(moment.astimezone(UTC))
    except (ValueError, OverflowError) as fault:
        raise Drop("time", f"time = {short(raw)}, {form}: {fault}"[:200]) from fault
    if not 0 <= told < TIME_US_MOST:
        raise Drop("time", f"time = {short(raw)}; wanted one from 1970 on")
    return told


def decode_json(payload: bytes, *, bytes_most: int) -> Any:
    """JSON as it is; raises Drop where it is none, is too large, or is nested more deeply than anybody means it."""
    if len(payload) > bytes_most:
        raise Drop("too large", f"{len(payload)} bytes; wanted at most {bytes_most}")
    try:
        return msgspec.json.decode(payload)
    except RecursionError as fault:
        raise Drop("nested", "JSON that is nested too deeply") from fault
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError) as fault:
        raise Drop("not JSON", f"{fault}; it begins with {payload[:40]!r}") from fault


def decode_csv(payload: bytes, *, bytes_most: int, delimiter: str = ",") -> list[dict[str, str]]:
    """Rows by the names of the first line; raises Drop where it is no CSV."""
    if len(payload) > bytes_most:
        raise Drop("too large", f"{len(payload)} bytes; wanted at most {bytes_most}")
    try:
        reader = csv.reader(io.StringIO(payload.decode("utf-8-sig"), newline=""), delimiter=delimiter)
        head = next(reader, [])
        if not head or len(head) > COLUMNS_MOST or len(set(head)) != len(head):
            raise Drop("not CSV", f"a first line of {len(head)} names; wanted 1 to {COLUMNS_MOST}, each once")
        rows: list[dict[str, str]] = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(head):
                raise Drop("not CSV", f"line {reader.line_num}: {len(row)} columns; wanted {len(head)} as in the first line")
            if len(rows) >= ROWS_MOST:
                raise Drop("too large", f"more than {ROWS_MOST} rows")
            rows.append(dict(zip(head, row, strict=True)))
        return rows
    except UnicodeDecodeError as fault:
        raise Drop("not UTF-8", f"{fault.reason} at byte {fault.start}") from fault
    except csv.Error as fault:
        raise Drop("not CSV", str(fault)) from fault


class Intake:
    """Takes rows in, counts what cannot be used, and bounds how many sites a source may invent. One for the life of a collector."""

    def __init__(self, tally: Tally, *, sites_most: int = SITES_MOST) -> None:
        self.tally, self._sites, self._sites_most = tally, set[str](), sites_most

    def readings(
        self,
        rows: Iterable[Any],
        picks: Iterable[Pick],
        captured: Mapping[str, str],
        arrived_us: int,
        *,
        site: str = "",
        first_drop: list[Drop] | None = None,
    ) -> Iterator[Reading]:
        """All that the picks find in the rows. `first_drop` gets the first of what cannot be used, for a source that hears why."""
        for row in rows:
            for pick in picks:
                try:
                    reading = pick.read(row, captured, arrived_us, site=site)
                    self.admit(reading.site)
                except Drop as drop:
                    self.tally.drop(drop)
                    if first_drop is not None and not first_drop:
                        first_drop.append(drop)
                    continue
                self.tally.taken += 1
                yield reading

    def admit(self, site: str) -> None:
        """Return if there is room for this site; raises Drop."""
        if site in self._sites:
            return
        if len(self._sites) >= self._sites_most:
            raise Drop("new sites", f"{site[:60]!r}: more than {self._sites_most} sites from one source")
        self._sites.add(site)


def batches_of(readings: Iterable[Reading], arrived_us: int) -> list[Observations]:
    """One batch for each quantity, in the order in which the readings came."""
    by_quantity: dict[str, list[Reading]] = {}
    for reading in readings:
        by_quantity.setdefault(reading.quantity.name, []).append(reading)
    batches = []
    for several in by_quantity.values():
        names: dict[str, int] = {}
        site = [names.setdefault(reading.site, len(names)) for reading in several]
        batches.append(
            Observations.of(
                several[0].quantity,
                tuple(names),
                site,
                [reading.time_us for reading in several],
                [reading.value for reading in several],
                arrived_us=np.full(len(several), arrived_us, np.int64),
            )
        )
    return batches
