"""A scenario file, storm.toml: what is coming, how well that is known, and who says so."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from tocsin.flows.information import usual_spreads
from tocsin.interfaces.drives import check_driven, file_of, named, rising, steady
from tocsin.interfaces.files import read_bounded
from tocsin.interfaces.forcings import Forcing, from_start, start_of
from tocsin.interfaces.units import DURATION_S, convertible, duration_s, span
from tocsin.pack import Analogue, Drive, Knob, Model, Scenario, Spread
from tocsin.vocabulary import InputError, Series, World

STORM_BYTES_MAX = 2**20


class SeriesTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A forcing: a CSV file, columns written here (`time_h` and `value` in `unit`), one `value` with its unit for the whole run, or one
    `level` that is reached after `rise` from the usual one, and held."""

    file: str = ""
    time_h: tuple[float, ...] = ()
    value: tuple[float, ...] | str = ()
    unit: str = ""
    level: str = ""
    rise: str = "6h"
    source: str = ""


class KnobTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a knob; ends that are left out are the model's own, or those of the values."""

    shape: Literal["triangle", "uniform", "normal", "lognormal", "choice", "sample"] = "triangle"
    low: float | None = None
    usual: float | None = None
    high: float | None = None
    sd: float = 0.0
    values: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    source: str = ""


class AnalogueTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A storm that was: its forcings, and how likely it is beside the others."""

    name: str
    series: Mapping[str, SeriesTable]
    share: float = 1.0
    source: str = ""


class Storm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written."""

    duration: str
    hazard: str = ""
    model: str = ""
    members: int = 50
    seed: int = 0
    sampling: Literal["sobol", "latin"] = "sobol"
    start: str = ""
    series: Mapping[str, SeriesTable] = {}
    knobs: Mapping[str, KnobTable | float | str] = {}  # a number is fixed; a text is as of --knob: low..high or low..usual..high
    analogues: tuple[AnalogueTable, ...] = ()


def read_storm(path: Path) -> Storm:
    """A scenario file; raises InputError with the field that is wrong."""
    try:
        return storm_of(tomllib.loads(read_bounded(path, STORM_BYTES_MAX).decode()), where=str(path))
    except UnicodeDecodeError as fault:
        raise InputError(f"{path}: byte {fault.start} is not UTF-8 text; wanted a scenario as TOML") from fault
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise InputError(f"{path}: is no TOML: {fault}") from fault


def storm_of(told: Mapping[str, Any], *, where: str) -> Storm:
    """A scenario from plain data, as a TOML file or a request has it."""
    try:
        return msgspec.convert(told, Storm)
    except msgspec.ValidationError as fault:
        raise InputError(f"{where}: {_which(told, str(fault))}; docs/guide/futures.md shows a whole scenario") from fault


def _which(told: Mapping[str, Any], fault: str) -> str:
    """The fault with the name of the forcing or knob that it is in, which msgspec leaves out."""
    for part, row in (("series", SeriesTable), ("knobs", KnobTable | float | str)):
        table = told.get(part)
        for name, one in table.items() if isinstance(table, Mapping) else ():
            try:
                msgspec.convert(one, row)
            except msgspec.ValidationError as inner:
                wanted = '; wanted e.g. { value = "8m/s" } or { level = "5.35m" }' if part == "series" else ""
                return f"{part}.{name}: {inner}{wanted}"
    return fault


def scenario_from(
    storm: Storm,
    world: World,
    model: Model,
    *,
    where: str,
    folder: Path | None,
    members: int | None = None,
    seed: int | None = None,
) -> Scenario:
    """The scenario that a model plays, with CSV files from `folder` (None: it may name no files). Raises InputError with the place in the file."""
    if not storm.series and not storm.analogues:
        try:
            check_driven(model)
        except InputError as fault:
            raise InputError(f"{where}: {fault} in [series] or [[analogues]]") from fault
    count = storm.members if members is None else members
    tables = [("series", storm.series), *((f"analogue {a.name}", a.series) for a in storm.analogues)]
    drives = {(part, name): named(world, model, name, f"{where}: {part}: {name}") for part, series in tables for name in series}
    files = {
        (part, name): _read(table.file, *drives[part, name], f"{where}: {part}: {name}", folder, world)
        for part, series in tables
        for name, table in series.items()
        if table.file
    }
    moment = _moment(storm.start, where) if storm.start else None

    def made(part: str, series: Mapping[str, SeriesTable]) -> dict[str, Series]:
        # an analogue has its own dates: its first row is the run's start, unless the file says when that is
        its = [forcing for (p, _), forcing in files.items() if p == part]
        start = start_of(its, moment if part == "series" else None)
        found: dict[str, Series] = {}
        for name, table in series.items():
            full, drive = drives[part, name]
            if full in found:
                raise InputError(f"{where}: {part}: {full} is given twice; keep one")
            found[full] = (
                Series.of(*from_start(files[part, name], start))
                if table.file
                else _inline(table, full, drive, f"{where}: {part}: {name}", world)
            )
        return found

    knobs = usual_spreads(model) if count > 1 else {}
    for name, table in storm.knobs.items():
        if name not in model.knobs:
            raise InputError(f"{where}: knobs: no knob {name!r}; there are: {', '.join(sorted(model.knobs))}")
        knobs[name] = _spread(_table(table, f"{where}: knobs.{name}"), model.knobs[name], f"{where}: knobs.{name}")
    try:
        scenario = Scenario(
            duration_s(storm.duration, f"{where}: duration"),
            count,
            storm.seed if seed is None else seed,
            knobs,
            made("series", storm.series),
            tuple(Analogue(a.name, made(f"analogue {a.name}", a.series), a.share, a.source) for a in storm.analogues),
            storm.sampling,
        )
        model.check(scenario)
    except InputError as fault:
        raise InputError(str(fault) if str(fault).startswith(where) else f"{where}: {fault}") from fault
    return scenario


def words_of(storm: Storm, scenario: Scenario, name: str) -> dict[str, str]:
    """What was asked, for the record and the reader: each forcing and spread with its source."""
    told = {"scenario": name, "hours": f"{scenario.duration_s / DURATION_S['h']:g}"}
    for where, series in (("", storm.series), *((f" in {a.name}", a.series) for a in storm.analogues)):
        for forcing, table in series.items():
            what = table.file or table.level or (table.value if isinstance(table.value, str) else f"{len(table.value)} values")
            told[f"{forcing}{where}"] = f"{what}{f' ({table.source})' if table.source else ''}"
    for a in storm.analogues:
        told[a.name] = f"share {a.share:g}{f' ({a.source})' if a.source else ''}"
    for knob, spread in scenario.knobs.items():
        if spread.source:
            told[knob] = spread.source
    return told


def _read(file: str, name: str, drive: Drive, where: str, folder: Path | None, world: World) -> Forcing:
    if folder is None:
        raise InputError(f"{where}: names a file; wanted the values themselves here: time_h, value and unit")
    return file_of(folder / file, world, name, drive)


def _inline(table: SeriesTable, name: str, drive: Drive, where: str, world: World) -> Series:
    """A forcing that is written in the file itself."""
    if table.level:
        rise_s = duration_s(table.rise, f"{where}: rise")
        return rising(table.level, name, drive, f"{where}: level", world=world, rise_s=rise_s)
    if isinstance(table.value, str):
        return steady(table.value, drive, f"{where}: value")
    if not table.value or len(table.time_h) != len(table.value):
        raise InputError(
            f"{where}: {len(table.time_h)} times and {len(table.value)} values; wanted a file, a level, one value, or two lists of one length"
        )
    units = convertible(drive.quantity.unit)
    unit = table.unit or ("1" if drive.quantity.unit == "1" else "")
    if unit not in units:
        raise InputError(f"{where}: unit {table.unit!r}; wanted one of {', '.join(units)}")
    try:
        return Series.of([t * DURATION_S["h"] for t in table.time_h], [units[unit](v) for v in table.value])
    except InputError as fault:
        raise InputError(f"{where}: {fault}") from fault


def _table(told: KnobTable | float | str, where: str) -> KnobTable:
    """What is known of a knob, also where it was told in short."""
    if isinstance(told, KnobTable):
        return told
    low, usual, high = span(str(told), where)
    return KnobTable(low=low, usual=usual, high=high)


def _spread(table: KnobTable, knob: Knob, where: str) -> Spread:
    values = table.values
    low = table.low if table.low is not None else min(values, default=knob.low)
    high = table.high if table.high is not None else max(values, default=knob.high)
    if table.usual is not None:
        usual = table.usual
    elif values:
        ranked = sorted(values)
        usual = (
            ranked[len(ranked) // 2]
            if table.shape == "sample" or not table.shares
            else values[table.shares.index(max(table.shares))]
        )
    else:
        usual = min(max(knob.usual, low), high)
    if table.shares and len(table.shares) != len(values):
        raise InputError(f"{where}: {len(table.shares)} shares for {len(values)} values; wanted one each")
    try:
        return Spread(low, usual, high, table.shape, table.sd, values, table.shares, table.source)
    except InputError as fault:
        raise InputError(f"{where}: {fault}") from fault


def _moment(text: str, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{where}: start {text!r}; wanted a time such as 2024-05-03T00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
