"""Files of forcings: a CSV with a time column and a value column whose heading carries the unit.

    time,rain [mm/h]              time [h],inflow (ft3/s)         time,wind_speed [km/h],wind_from [deg]
    2024-05-01T00:00Z,4.2         0,310                           2024-05-01T00:00-03:00,12,310
    2024-05-01T01:00Z,11.0        0.25,365                        2024-05-01T06:00-03:00,25,300

The value's column is named after the forcing or its quantity, so that one file may hold several. A stepwise value (rain) holds from its
time until the next row's; the last one for as long as the step before it, and then it is as usual (dry), or held where the model knows
no usual value. Other forcings are lines between their rows, and are held before the first and after the last. A sum ("rain [mm]") is what
came from its row's time until the next row's, so its steps have to be equal. Nothing is filled in: a gap, an empty cell, a NaN, an unknown
unit or a number that is not believable stops the reading and is named with its line.
"""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tocsin.interfaces.units import DURATION_S, amounts, convertible, suffixes
from tocsin.pack.model import Drive
from tocsin.vocabulary.errors import InputError, NotFound, Unavailable

BYTES_MAX = 64 * 2**20
ROWS_MAX = 2_000_000
# In a file whose steps are mostly equal, a longer step is a gap; one whose steps are mostly unequal is a drawn hydrograph.
REGULAR_SHARE_MIN = 0.75

_HEADING = re.compile(r"\s*([^\[\](),]*?)\s*(?:[\[(]\s*([^\[\]()]*?)\s*[\])])?\s*")
_TIME_NAMES = ("time", "datetime", "date", "timestamp", "hour", "hours", "t")
# What files of gauges and offices call these.
_ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "rain": ("precipitation", "precip", "rainfall", "p"),
    "inflow": ("flow", "discharge", "q", "streamflow"),
    "level": ("stage", "water_level", "height", "gauge"),
}

# What a file may hold at most, where that is less than what is believable of a moment: the largest hour of rain ever measured gave 305 mm
# (Holt, Missouri, 22 June 1947; WMO Archive of Weather and Climate Extremes, wmo.asu.edu/world-greatest-sixty-minute-one-hour-rainfall),
# so that rain above 500 mm/h is in another unit, or broken.
_HIGHEST: Mapping[tuple[str, str], float] = {("rain", "mm/h"): 500.0}


class Forcing(msgspec.Struct, frozen=True):
    """A file as it was read: its first moment (None where its times count from the start of the run), seconds after it, values.

    The values are in the one unit of the forcing's quantity. `stepwise`: a value holds until the next. `usual` is what it is where the
    file says nothing, if that is known.
    """

    path: str
    begins: datetime | None
    time_s: tuple[float, ...]
    value: tuple[float, ...]
    stepwise: bool
    usual: float | None = None


def read_forcing(path: Path, kind: str, drive: Drive, usual: float | None = None) -> Forcing:
    """A forcing in the one unit of its quantity; `kind` is its name without a place, `usual` what it is where no file says.

    Raises InputError, with the line, where something in it cannot be meant.
    """
    quantity = drive.quantity
    units, sums = convertible(quantity.unit), amounts(quantity.unit) if drive.stepwise else {}
    names = tuple(dict.fromkeys((kind, *_ALSO_CALLED.get(kind, ()), quantity.name)))
    heading, begins, rows = _read(path, names, (*units, *sums), none="1" if quantity.unit == "1" else "")
    step_s = _step_s(path, rows, equal=heading.unit in sums)
    times = [t for _, t, _ in rows]
    values = [units[heading.unit](v) if heading.unit in units else v * sums[heading.unit] / step_s for _, _, v in rows]
    high = min(quantity.high, _HIGHEST.get((kind, quantity.unit), quantity.high))
    for (line, _, value), inside in zip(rows, values, strict=True):
        if not quantity.low <= inside <= high:
            raise InputError(
                f"{path}: line {line}: {kind} {value:g} {heading.unit} is {inside:g} {quantity.unit}; "
                f"wanted {quantity.low:g} to {high:g} {quantity.unit}: check the unit in the heading"
            )
    if drive.stepwise and usual is not None:
        times, values = [*times, times[-1] + step_s], [*values, usual]
    return Forcing(str(path), begins, tuple(times), tuple(values), drive.stepwise, usual)


def start_of(forcings: list[Forcing], asked: datetime | None) -> datetime | None:
    """When a run with these files starts: when the person says, else with the first row of the earliest file with dates."""
    dated = [f.begins for f in forcings if f.begins is not None]
    return asked if asked is not None else min(dated, default=None)


def from_start(forcing: Forcing, start: datetime | None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The file as (seconds after the run's start, values), beginning at or after 0.

    Raises InputError where the file ends before the run starts, so that a mistyped year does not give a dry run.
    """
    shift_s = 0.0 if forcing.begins is None or start is None else (forcing.begins - start).total_seconds()
    times = [t + shift_s for t in forcing.time_s]
    if times[-1] <= 0.0 and len(times) > 1:
        raise InputError(
            f"{forcing.path}: ends {-times[-1] / 3600.0:,.1f} h before the run starts at {start}; give --start or another file"
        )
    later = [(t, v) for t, v in zip(times, forcing.value, strict=True) if t > 0.0]
    before = [(t, v) for t, v in zip(times, forcing.value, strict=True) if t <= 0.0]
    if not before:
        # before its file rain is as usual, none; what has no usual value, or is a line, is held
        first = forcing.usual if forcing.stepwise and forcing.usual is not None else later[0][1]
    elif forcing.stepwise or not later:
        first = before[-1][1]
    else:
        (t0, v0), (t1, v1) = before[-1], later[0]
        first = v0 + (v1 - v0) * (0.0 - t0) / (t1 - t0)
    return (0.0, *(t for t, _ in later)), (first, *(v for _, v in later))


class _Heading(msgspec.Struct, frozen=True):
    column: int
    name: str
    unit: str


_Rows = list[tuple[int, float, float]]  # line, seconds after the first row or the run's start, value as written


def _read(path: Path, names: tuple[str, ...], units: Sequence[str], none: str = "") -> tuple[_Heading, datetime | None, _Rows]:
    lines = list(csv.reader(_text(path).splitlines()))
    numbered = [(n, row) for n, row in enumerate(lines, 1) if any(cell.strip() for cell in row) and not row[0].startswith("#")]
    if len(numbered) < 2:
        raise InputError(f"{path}: {max(0, len(numbered) - 1)} rows; wanted a heading with units and at least one row")
    if len(numbered) > ROWS_MAX:
        raise InputError(f"{path}: {len(numbered):,} rows; wanted at most {ROWS_MAX:,}: cut it to the event")
    headings = [_heading(n, text) for n, text in enumerate(numbered[0][1])]
    time = _find(path, headings, _TIME_NAMES)
    value = _find(path, headings, names)
    if not value.unit and none:
        value = msgspec.structs.replace(value, unit=none)
    if value.unit not in units:
        got = (
            f"unit {value.unit!r} of column {value.name!r} is unknown here"
            if value.unit
            else f"column {value.name!r} has no unit"
        )
        raise InputError(f'{path}: {got}; wanted one of {", ".join(units)} in the heading, e.g. "{names[0]} [{units[0]}]"')
    if time.unit and time.unit not in (*DURATION_S, "UTC", "utc"):
        raise InputError(
            f"{path}: unit {time.unit!r} of the time column is unknown; wanted {', '.join(DURATION_S)}, or dates without a unit"
        )
    rows: _Rows = []
    begins: datetime | None = None
    for line, cells in numbered[1:]:
        if len(cells) <= max(time.column, value.column):
            raise InputError(f"{path}: line {line}: {len(cells)} columns; wanted {len(headings)} as in the heading")
        number = _number(path, line, value.name, cells[value.column])
        if time.unit in DURATION_S:
            seconds = _number(path, line, time.name, cells[time.column]) * DURATION_S[time.unit]
            if seconds < 0:
                raise InputError(
                    f"{path}: line {line}: time {cells[time.column]} lies before the start of the run; wanted 0 or later"
                )
        else:
            moment = _moment(path, line, cells[time.column])
            begins = begins or moment
            seconds = (moment - begins).total_seconds()
        if rows and seconds <= rows[-1][1]:
            raise InputError(
                f"{path}: line {line}: time {cells[time.column].strip()!r} does not follow the line before; sort the rows, each time once"
            )
        rows.append((line, seconds, number))
    return value, begins, rows


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise NotFound(f"{path}: there is no such file; give a CSV with a time and a value column")
        size = path.stat().st_size
        if size > BYTES_MAX:
            raise InputError(f"{path}: {size / 2**20:,.0f} MB; wanted at most {BYTES_MAX // 2**20} MB: cut it to the event")
        data = path.read_bytes()
    except PermissionError as fault:
        raise Unavailable(f"{path}: cannot be read: {fault.strerror}; give yourself the right to read it") from fault
    except OSError as fault:
        raise Unavailable(f"{path}: cannot be read: {fault.strerror}") from fault
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputError(f"{path}: byte {fault.start} is not UTF-8 text; wanted a CSV file") from fault
    if "\0" in text:
        raise InputError(f"{path}: holds binary zeros; wanted a CSV file")
    return text


def _heading(column: int, text: str) -> _Heading:
    """The name and the unit of "rain [mm/h]" or "rain (mm/h)"."""
    match = _HEADING.fullmatch(text)
    if match is None:
        return _Heading(column, text.strip().lower(), "")
    return _Heading(column, match.group(1).lower().replace(" ", "_"), (match.group(2) or "").replace(" ", ""))


def _named(heading: _Heading, name: str) -> _Heading | None:
    """The heading, where it is the name, or the name with its unit at the end: "rain_mm_per_h"."""
    if heading.name == name:
        return heading
    unit = suffixes().get(heading.name.removeprefix(f"{name}_")) if heading.name.startswith(f"{name}_") else None
    return None if unit is None or heading.unit else _Heading(heading.column, name, unit)


def _find(path: Path, headings: list[_Heading], names: tuple[str, ...]) -> _Heading:
    found = [known for name in names for heading in headings if (known := _named(heading, name)) is not None]
    if not found:
        got = ", ".join(h.name or "(empty)" for h in headings)[:200]
        others = f" (or {', '.join(names[1:])})" if names[1:] else ""
        raise InputError(f"{path}: columns are {got}; wanted one named {names[0]}{others}, with its unit")
    if len({h.column for h in found}) > 1:
        raise InputError(f"{path}: columns {', '.join(h.name for h in found)} could all be meant; keep one")
    return found[0]


def _number(path: Path, line: int, name: str, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        got = f"{cell.strip()[:40]!r}" if cell.strip() else "nothing"
        raise InputError(f"{path}: line {line}: {name} is {got}; wanted a number in every step") from None
    if not math.isfinite(number):
        raise InputError(
            f"{path}: line {line}: {name} is {cell.strip()}; wanted a finite number: fill the gap or cut the file before it"
        )
    return number


def _moment(path: Path, line: int, cell: str) -> datetime:
    try:
        moment = datetime.fromisoformat(cell.strip())
    except ValueError:
        raise InputError(
            f'{path}: line {line}: time {cell.strip()[:40]!r}; wanted e.g. 2024-05-01T06:00Z, or a unit in the heading: "time [h]"'
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _step_s(path: Path, rows: _Rows, *, equal: bool) -> float:
    """The usual step, s; raises InputError at a gap. `equal` asks for steps of one length, as sums need them."""
    if len(rows) < 2:
        if equal:
            raise InputError(f"{path}: one row of a sum says not over how long it came; wanted two rows or more, or a rate")
        return 3600.0
    steps = [round(b[1] - a[1], 3) for a, b in itertools.pairwise(rows)]
    usual = max(sorted(set(steps)), key=steps.count)
    regular = steps.count(usual) >= REGULAR_SHARE_MIN * len(steps) and len(steps) >= 3
    for row, step in zip(rows[1:], steps, strict=True):
        if (equal and step != usual) or (regular and step > usual):
            kind = "gap" if step > usual else "short step"
            raise InputError(
                f"{path}: line {row[0]}: a {kind} of {step / 3600.0:g} h where the others are {usual / 3600.0:g} h; "
                "write every step, also those where nothing came"
            )
    return usual
