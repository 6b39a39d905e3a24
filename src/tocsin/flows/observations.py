"""Ask the history: what was measured where and when, added up by time and place, with its quality and its gaps.

Each function here is what `tocsin observations` and the HTTP interface call, and a notebook can call: a data folder and a question in,
observations or an arrow table out.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from tocsin.platform.history import Held, History, Report
from tocsin.platform.history import compact as compact_history
from tocsin.platform.history.mine import CALENDAR, Every, check_zone
from tocsin.platform.history.mine import gaps as find_gaps
from tocsin.platform.history.mine import summarise as add_up
from tocsin.vocabulary import Flag, InputError, NotFound, Observations, Unavailable, column

if TYPE_CHECKING:
    from tocsin.platform.twin import Twin

# `good`: passed all tests. `usable`: that, and what nobody tested. `all`: every number, the doubtful ones too.
FLAGS: Mapping[str, tuple[Flag, ...]] = {
    "good": (Flag.GOOD,),
    "usable": (Flag.GOOD, Flag.NOT_EVALUATED),
    "all": (Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL),
}
FORMATS = (".csv", ".geojson", ".parquet")
STEPS_S = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
SLICE_ROWS = 2_000_000  # so many readings are in memory at once
SETTINGS = "history.toml"
EVERY_LEAST_S = 10.0

Progress = Callable[[str, float, float], None]


class Spot(msgspec.Struct, frozen=True):
    """Where a site is, in degrees, what people call it, and in which zone it lies; None where it is not known."""

    lon: float
    lat: float
    name: str = ""
    zone: str = ""

    def __post_init__(self) -> None:
        if not (-180 <= self.lon <= 180 and -90 <= self.lat <= 90):
            raise InputError(f"lon = {self.lon}, lat = {self.lat}; wanted degrees, -180..180 and -90..90")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the history: one quantity, where, when, and readings of which quality. None means all.

    `box` is west, south, east, north in degrees; west above east goes over the 180th meridian. `until` is not included.
    """

    quantity: str
    unit: str | None = None
    sites: tuple[str, ...] | None = None
    box: tuple[float, float, float, float] | None = None
    zones: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    flags: str = "usable"

    def __post_init__(self) -> None:
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and moment.tzinfo is None:
                raise InputError(f"{name} = {moment}: has no time zone; wanted e.g. {moment.isoformat()}+00:00")
        if self.since is not None and self.until is not None and not self.since < self.until:
            raise InputError(f"since {self.since.isoformat()} is not before until {self.until.isoformat()}; turn them round")
        if self.flags not in FLAGS:
            raise InputError(f"flags = {self.flags!r}; wanted {', '.join(FLAGS)}")
        if self.box is not None and not (
            all(map(math.isfinite, self.box)) and -90 <= self.box[1] <= self.box[3] <= 90 and max(map(abs, self.box[::2])) <= 180
        ):
            raise InputError(f"box = {list(self.box)}; wanted west, south, east, north in degrees")

    def span_us(self) -> dict[str, int]:
        """The times as the history takes them."""
        told = {}
        if self.since is not None:
            told["from_us"] = _us(self.since)
        if self.until is not None:
            told["to_us"] = _us(self.until)
        return told

    def sites_asked(self, spots: Mapping[str, Spot]) -> tuple[str, ...] | None:
        """The sites that are meant; None where all are. Raises InputError where places are asked for and none are known."""
        asked = None if self.sites is None else set(self.sites)
        if self.box is not None or self.zones is not None:
            if not spots:
                raise InputError("a box or zones: nobody said where the sites are; give a twin, or a CSV with site,lon,lat,zone")
            inside = {site for site, spot in spots.items() if self._holds(spot)}
            if self.zones is not None:
                known = {spot.zone for spot in spots.values()} - {""}
                lost = sorted(set(self.zones) - known)
                if lost:
                    raise NotFound(
                        f"zones {', '.join(lost)}: no site lies there; there are: {', '.join(sorted(known)) or 'none'}"
                    )
            asked = inside if asked is None else asked & inside
        return None if asked is None else tuple(sorted(asked))

    def _holds(self, spot: Spot) -> bool:
        if self.zones is not None and spot.zone not in self.zones:
            return False
        if self.box is None:
            return True
        west, south, east, north = self.box
        across = west <= spot.lon <= east if west <= east else spot.lon >= west or spot.lon <= east
        return across and south <= spot.lat <= north


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """history.toml in the data folder: how often the log is compacted, and for how many days raw readings stay; 0 is for ever.

    What is older becomes one-hour aggregates (count, sum, minimum, maximum for each flag), which stay for ever.
    """

    compact_every_s: float = 600.0
    keep_raw_days: float = 0.0

    def __post_init__(self) -> None:
        if not (EVERY_LEAST_S <= self.compact_every_s < math.inf):
            raise InputError(f"compact_every_s = {self.compact_every_s}; wanted at least {EVERY_LEAST_S:g}")
        if not (self.keep_raw_days == 0 or 1 <= self.keep_raw_days <= 36_525):
            raise InputError(f"keep_raw_days = {self.keep_raw_days}; wanted 0 (for ever) or 1 to 36525")

    @property
    def keep_raw(self) -> timedelta | None:
        """How long raw readings stay; None is for ever."""
        return timedelta(days=self.keep_raw_days) if self.keep_raw_days else None


def read_settings(data: Path) -> Settings:
    """The settings of a data folder; those that are usual where it has no history.toml. Raises InputError where it is broken."""
    import tomllib

    path = data / SETTINGS
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Settings)
    except FileNotFoundError:
        return Settings()
    except OSError as fault:
        raise Unavailable(f"{path}: cannot be read: {fault}") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, InputError) as fault:
        raise InputError(f"{path}: {fault}; it may say compact_every_s = 600 and keep_raw_days = 0") from fault


def compact(data: Path, *, now: datetime, keep_raw: timedelta | None = None, progress: Progress = lambda *_: None) -> Report:
    """Bring the node's log into the history, see `tocsin.platform.history.compact`; what is dropped for good is in the report."""
    History(data)  # says what is wrong where it is no data folder, before one is made
    return compact_history(data, now=now, keep_raw=keep_raw, progress=progress)


def told_in_words(report: Report) -> str:
    """What a compaction dropped for good, as a line for the log; empty where it dropped nothing."""
    lines = [
        f"{gone.readings:,} raw readings of {gone.quantity} [{gone.unit}] before "
        f"{moment_text(gone.until_us)} were replaced by one-hour aggregates"
        for gone in report.gone
    ]
    if report.too_late:
        lines.append(f"{report.too_late:,} readings came for hours that are aggregates already, and were not kept")
    return "; ".join(lines)


def list_observations(history: History) -> list[Held]:
    """What there is: a row for each quantity and unit, with its span, its readings and what they take on disk."""
    return history.measures()


def read_observations(history: History, question: Question, *, spots: Mapping[str, Spot] = {}) -> Observations:
    """The readings themselves, by site and time, each once. All of them are in memory: ask for a bounded time.

    `flags` leaves readings out; with "all" also those that are missing stay, as NaN with flag 9.
    """
    sites = question.sites_asked(spots)
    found = history.read(question.quantity, unit=question.unit, sites=sites, **question.span_us())
    return _with_flags(found, question.flags)


def newest_observations(
    history: History,
    question: Question,
    *,
    most: int,
    spots: Mapping[str, Spot] = {},
) -> tuple[Observations, bool]:
    """The newest readings, at most so many, by time, and whether there are older ones; little more than these are in memory."""
    if not 1 <= most <= SLICE_ROWS:
        raise InputError(f"{most} readings; wanted 1 to {SLICE_ROWS:,}")
    sites, several, count, is_more = question.sites_asked(spots), [], 0, False
    for from_us, to_us in reversed(_slices(history, question, rows=max(most, 10_000))):
        if count >= most:
            is_more = True
            break
        part = history.read(question.quantity, unit=question.unit, sites=sites, from_us=from_us, to_us=to_us)
        several.append(_with_flags(part, question.flags))
        count += len(several[-1])
    found = _joined(several)
    order = np.lexsort((found.site, found.time_us))
    return _taken(found, order[-most:]), is_more or len(found) > most


def summarise(
    history: History,
    question: Question,
    *,
    by: str = "site",
    every: str = "all",
    zone: str = "UTC",
    quantiles: Iterable[float] = (),
    spots: Mapping[str, Spot] = {},
) -> Any:
    """An arrow table with a row for each place and time step: place, from, count, mean, min, max, sum, quantiles, and over all
    readings whatever their flag: readings, the share of each flag, first and last.

    `by` is "site", "zone" (as `spots` says) or "all"; `every` is "all", a step (10min, 1h, 7d) counted from 1970 UTC, or day, week,
    month or year of the calendar in the time zone `zone`. Hours that are aggregates by now count in the step of their begin.
    """
    sites = question.sites_asked(spots)
    places: dict[str, str] | None = None
    match by:
        case "site":
            places = None if sites is None else {site: site for site in sites}
        case "zone":
            if not any(spot.zone for spot in spots.values()):
                raise InputError("by zone: nobody said in which zone a site lies; give a twin, or a CSV with site,lon,lat,zone")
            places = {s: spot.zone for s, spot in spots.items() if spot.zone and (sites is None or s in sites)}
        case "all":
            places = None if sites is None else dict.fromkeys(sites, "")
        case _:
            raise InputError(f"by {by!r}; wanted site, zone or all")
    return add_up(
        history,
        question.quantity,
        unit=question.unit,
        every=every_of(every, zone),
        flags=FLAGS[question.flags],
        places=places,
        by_site=by == "site",
        quantiles=tuple(quantiles),
        **question.span_us(),
    )


def gaps(history: History, question: Question, *, longer_than_s: float, spots: Mapping[str, Spot] = {}) -> Any:
    """An arrow table of silences: site, from, to, gap_s; see `tocsin.platform.history.mine.gaps`."""
    sites = question.sites_asked(spots)
    return find_gaps(
        history,
        question.quantity,
        longer_than_s=longer_than_s,
        unit=question.unit,
        flags=FLAGS[question.flags],
        places=None if sites is None else {site: site for site in sites},
        **question.span_us(),
    )


def every_of(text: str, zone: str = "UTC") -> Every:
    """The steps that a text names; raises InputError.

    >>> every_of("15min").step_us
    900000000
    """
    check_zone(zone)
    if text == "all":
        return Every()
    if text in CALENDAR:
        return Every(unit=text, zone=zone)
    return Every(step_us=round(seconds_of(text) * 1e6))


def seconds_of(text: str) -> float:
    """A duration such as 30s, 15min, 1h or 7d; raises InputError."""
    for unit, factor in sorted(STEPS_S.items(), key=lambda pair: -len(pair[0])):
        number = text.removesuffix(unit)
        if number != text:
            try:
                value = float(number) * factor
            except ValueError:
                break
            if math.isfinite(value) and value > 0:
                return value
            break
    raise InputError(f"{text!r}; wanted a duration such as 30s, 15min, 1h or 7d, or {', '.join(CALENDAR)} or all for a time step")


def moment_of(text: str, zone: str | None = None) -> datetime:
    """A moment in ISO 8601, e.g. 2026-03-01T12:00+01:00; one without a zone is in `zone`, and refused where none is given."""
    from zoneinfo import ZoneInfo

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise InputError(f"{text!r}: is no moment; wanted e.g. 2026-03-01 or 2026-03-01T12:00:00+01:00") from fault
    if moment.tzinfo is None:
        if zone is None:
            raise InputError(f"{text!r}: in which time zone? Write {text}Z or {text}+01:00, or name a time zone")
        moment = moment.replace(tzinfo=ZoneInfo(check_zone(zone)))
    try:
        return moment.astimezone(UTC)
    except OverflowError as fault:
        raise InputError(f"{text!r}: lies outside the years 1 to 9999") from fault


def spots_of_twin(twin: Twin) -> dict[str, Spot]:
    """Where a twin's gauges are, and in which zone."""
    zones = twin.zones
    return {
        g.site: Spot(g.lon, g.lat, g.name, zones.name[k] if g.place >= 0 and (k := int(zones.zone_of[g.place])) >= 0 else "")
        for g in twin.gauges
    }


def spots_of_csv(path: Path) -> dict[str, Spot]:
    """Where sites are, from a CSV with the columns site, lon, lat and, where known, name and zone; raises InputError with the line."""
    spots: dict[str, Spot] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"site", "lon", "lat"} <= set(rows.fieldnames or ()):
                raise InputError(f"{path}: columns {', '.join(rows.fieldnames or ())}; wanted site, lon, lat")
            for row in rows:
                try:
                    spots[row["site"]] = Spot(float(row["lon"]), float(row["lat"]), row.get("name") or "", row.get("zone") or "")
                except (TypeError, ValueError) as fault:
                    raise InputError(f"{path}, line {rows.line_num}: {fault}; wanted lon and lat in degrees") from fault
    except FileNotFoundError as fault:
        raise NotFound(f"{path}: there is no such file") from fault
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"{path}: cannot be read as CSV: {fault}") from fault
    return spots


def readings_table(batch: Observations, spots: Mapping[str, Spot]) -> Any:
    """A batch as an arrow table for other programs: site, time, value, unit, flag, flag_meaning, arrived, lon, lat."""
    import pyarrow as pa

    def per_site(values: list[Any], kind: Any) -> Any:
        return pa.array(values, kind).take(pa.array(batch.site))

    known = [spots.get(name) for name in batch.sites]
    words = {int(flag): flag.name.lower() for flag in Flag}
    value = pa.array(batch.value, mask=~np.isfinite(batch.value))
    return pa.table(
        {
            "site": per_site(list(batch.sites), pa.string()),
            "time": pa.array(batch.time_us).view(pa.timestamp("us", "UTC")),
            "value": value,
            "unit": pa.repeat(pa.scalar(batch.quantity.unit), len(batch)),
            "flag": pa.array(batch.flag),
            "flag_meaning": pa.array([words.get(k, "") for k in range(256)]).take(pa.array(batch.flag)),
            "arrived": pa.array(batch.arrived_us).view(pa.timestamp("us", "UTC")),
            "lon": per_site([None if s is None else s.lon for s in known], pa.float64()),
            "lat": per_site([None if s is None else s.lat for s in known], pa.float64()),
        }
    )


def export(
    history: History,
    question: Question,
    path: Path,
    *,
    spots: Mapping[str, Spot] = {},
    progress: Progress = lambda *_: None,
) -> int:
    """Write readings to a file by its ending, .csv, .geojson or .parquet; return how many. Slices of time, in each by site and time."""
    sites, slices, count = question.sites_asked(spots), _slices(history, question), 0

    def tables() -> Iterator[Any]:
        nonlocal count
        for number, (from_us, to_us) in enumerate(slices, 1):
            batch = history.read(question.quantity, unit=question.unit, sites=sites, from_us=from_us, to_us=to_us)
            batch = _with_flags(batch, question.flags)
            count += len(batch)
            yield readings_table(batch, spots)
            progress("readings written", number, len(slices))

    write_tables(tables(), path)
    return count


def write_tables(tables: Iterable[Any], path: Path, spots: Mapping[str, Spot] | None = None) -> None:
    """Write arrow tables of one schema behind each other, as the path's ending says. `spots` puts a summary's places on the map."""
    check_format(path)
    match path.suffix.lower():
        case ".csv":
            _write_csv(tables, path)
        case ".geojson":
            _write_geojson(tables, path, spots or {})
        case _:
            _write_parquet(tables, path)


def check_format(path: Path) -> None:
    """Raise before a long run where its result could not be written afterwards."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: the ending {path.suffix!r} says no format; wanted {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.absolute().parent}; make it first")


def rows_of(table: Any) -> list[dict[str, Any]]:
    """The rows of an arrow table as plain values, moments in ISO 8601 with Z, what is not finite as None."""
    columns = {name: _plain(table.column(name)) for name in table.column_names}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(values: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(values.type):
        whole = values.cast(pa.timestamp("us", "UTC")).to_numpy().astype("M8[us]")
        unit: Literal["s", "us"] = "us" if (whole[~np.isnat(whole)].view(np.int64) % 1_000_000).any() else "s"
        return [None if np.isnat(t) else f"{np.datetime_as_string(t, unit)}Z" for t in whole]
    return [None if isinstance(v, float) and not math.isfinite(v) else v for v in values.to_pylist()]


def _in_words(table: Any) -> Any:
    """The same table with moments and lists as text, for formats that have neither."""
    import pyarrow as pa

    for number, name in enumerate(table.column_names):
        kind = table.schema.field(name).type
        if pa.types.is_timestamp(kind):
            table = table.set_column(number, name, pa.array(_plain(table.column(name)), pa.string()))
        elif pa.types.is_list(kind):
            told = [None if v is None else " ".join(f"{x:.12g}" for x in v) for v in table.column(name).to_pylist()]
            table = table.set_column(number, name, pa.array(told, pa.string()))
    return table


def _write_csv(tables: Iterable[Any], path: Path) -> None:
    import pyarrow.csv as pc

    with path.open("wb") as file:
        for number, table in enumerate(tables):
            pc.write_csv(_in_words(_no_formulas(table)), file, pc.WriteOptions(include_header=number == 0))


def _no_formulas(table: Any) -> Any:
    """The same table with `'` before texts that a spreadsheet would compute: a sensor chooses its name, and somebody opens the file.

    Source: OWASP, CSV Injection: fields that begin with = + - @, tab or carriage return.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for number, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            told = pc.replace_substring_regex(table.column(number).cast(pa.string()), r"^([=+\-@\t\r])", r"'\1")
            table = table.set_column(number, field.name, told)
    return table


def _write_geojson(tables: Iterable[Any], path: Path, spots: Mapping[str, Spot]) -> None:
    """RFC 7946: one feature a row; its geometry is null where nobody said where the site is."""
    with path.open("wb") as file:
        file.write(b'{"type":"FeatureCollection","features":[')
        comma = b"\n"
        for table in tables:
            for row in rows_of(table):
                lon, lat = row.pop("lon", None), row.pop("lat", None)
                spot = spots.get(row.get("site", row.get("place", "")))
                if lon is None and spot is not None:
                    lon, lat = spot.lon, spot.lat
                where = None if lon is None else {"type": "Point", "coordinates": [lon, lat]}
                file.write(comma + msgspec.json.encode({"type": "Feature", "geometry": where, "properties": row}))
                comma = b",\n"
        file.write(b"\n]}\n")


def _write_parquet(tables: Iterable[Any], path: Path) -> None:
    import pyarrow.parquet as pq

    writer: Any = None
    try:
        for table in tables:
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _slices(history: History, question: Question, *, rows: int = SLICE_ROWS) -> list[tuple[int, int]]:
    """Times from the question's begin to its end, cut where about so many readings lie in each."""
    measure = history.measure(question.quantity, question.unit)
    held = next(h for h in history.measures() if (h.quantity, h.unit) == (measure.quantity, measure.unit))
    span = question.span_us()
    begin, end = max(span.get("from_us", held.from_us), held.from_us), min(span.get("to_us", held.to_us + 1), held.to_us + 1)
    if end <= begin:
        return [(begin, begin + 1)]
    share = (end - begin) / (held.to_us + 1 - held.from_us)
    count = max(1, math.ceil((held.readings + held.in_log) * share / rows))
    cuts = sorted({begin + (end - begin) * k // count for k in range(count + 1)})
    return list(itertools.pairwise(cuts))


def _with_flags(batch: Observations, flags: str) -> Observations:
    if flags == "all":
        return batch
    keep = np.isin(batch.flag, FLAGS[flags])
    return batch if keep.all() else _taken(batch, np.flatnonzero(keep))


def _taken(batch: Observations, which: Any) -> Observations:
    used, site = np.unique(batch.site[which], return_inverse=True)
    return Observations(
        batch.quantity,
        tuple(batch.sites[k] for k in used),
        column(site, np.int32),
        column(batch.time_us[which], np.int64),
        column(batch.value[which], np.float64),
        column(batch.flag[which], np.uint8),
        column(batch.arrived_us[which], np.int64),
    )


def _joined(several: list[Observations]) -> Observations:
    names = sorted({name for batch in several for name in batch.sites})
    place = {name: k for k, name in enumerate(names)}
    site = [np.array([place[n] for n in b.sites], np.int32)[b.site] if b.sites else b.site for b in several]
    return Observations(
        several[0].quantity,
        tuple(names),
        column(np.concatenate(site), np.int32),
        *(
            column(np.concatenate([getattr(b, name) for b in several]), kind)
            for name, kind in (("time_us", np.int64), ("value", np.float64), ("flag", np.uint8), ("arrived_us", np.int64))
        ),
    )


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def moment_text(time_us: int) -> str:
    """A moment in ISO 8601, to the second."""
    return f"{np.datetime_as_string(np.datetime64(time_us, 'us'), 's')}Z"
