"""Rain, inflow and level files: a CSV with a time column and a value column whose heading carries the unit.

    time,rain [mm/h]              time [h],inflow (ft3/s)         time,level_m
    2024-05-01T00:00Z,4.2         0,310                           2024-05-01T00:00-03:00,3.10
    2024-05-01T01:00Z,11.0        0.25,365                        2024-05-01T06:00-03:00,3.65

A rain value holds from its time until the next row's; the last one for as long as the step before it, and after that it is dry.
Inflow and level are lines between their rows, and are held before the first and after the last. A sum of rain ("rain [mm]") is
what fell from its row's time until the next row's, so its steps have to be equal. Nothing is filled in: a gap, an empty cell, a NaN,
an unknown unit or a number that no gauge has ever shown stops the reading and is named with its line.
"""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tocsin.interfaces.units import DEPTH_MM, DURATION_S, FLOW_M3_PER_S, LENGTH_M, RATE_MM_PER_H
from tocsin.vocabulary.errors import InputError, NotFound, Unavailable

BYTES_MAX = 64 * 2**20
ROWS_MAX = 2_000_000
# The largest hour of rain ever measured gave 305 mm (Holt, Missouri, 22 June 1947; WMO Archive of Weather and Climate Extremes,
# wmo.asu.edu/world-greatest-sixty-minute-one-hour-rainfall). Above 500 mm/h a file is in another unit, or broken.
RAIN_MM_PER_H_MAX = 500.0
# The Amazon at Obidos is gauged at 370,000 m3/s at most (unverified); ten times as much is another unit, or broken.
FLOW_M3_PER_S_MAX = 4_000_000.0
# No land lies outside these heights (Dead Sea shore, Mount Everest), rounded outward; they only catch another unit.
LEVEL_M_MIN, LEVEL_M_MAX = -500.0, 9_000.0
# In a file whose steps are mostly equal, a longer step is a gap; one whose steps are mostly unequal is a drawn hydrograph.
REGULAR_SHARE_MIN = 0.75

_HEADING = re.compile(r"\s*([^\[\](),]*?)\s*(?:[\[(]\s*([^\[\]()]*?)\s*[\])])?\s*")
_TIME_NAMES = ("time", "datetime", "date", "timestamp", "hour", "hours", "t")
_SUFFIX_UNITS = {
    "mm_per_h": "mm/h",
    "mm_per_hour": "mm/h",
    "in_per_h": "in/h",
    "m3_per_s": "m3/s",
    "ft3_per_s": "ft3/s",
    "l_per_s": "l/s",
    "mm": "mm",
    "cfs": "cfs",
    "m": "m",
    "cm": "cm",
    "ft": "ft",
    "h": "h",
    "min": "min",
    "s": "s",
}


class Forcing(msgspec.Struct, frozen=True):
    """A file as it was read: its first moment (None where its times count from the start of the run), seconds after it, values.

    The values are in mm/h, m3/s or m. `stepwise` is true for rain: a value holds until the next.
    """

    path: str
    begins: datetime | None
    time_s: tuple[float, ...]
    value: tuple[float, ...]
    stepwise: bool


def read_rain(path: Path) -> Forcing:
    """Rain, mm/h, from a rate or from sums of equal steps; it ends with a zero."""
    heading, begins, rows = _read(path, ("rain", "precipitation", "precip", "rainfall", "p"), {**RATE_MM_PER_H, **DEPTH_MM})
    times, values = [t for _, t, _ in rows], [v for _, _, v in rows]
    step_s = _step_s(path, rows, equal=heading.unit in DEPTH_MM)
    factor = RATE_MM_PER_H[heading.unit] if heading.unit in RATE_MM_PER_H else DEPTH_MM[heading.unit] * 3600.0 / step_s
    for (line, _, value), rate in zip(rows, (v * factor for v in values), strict=True):
        if value < 0:
            raise InputError(f"{path}: line {line}: rain {value:g} {heading.unit} is below zero; mend the row")
        if rate > RAIN_MM_PER_H_MAX:
            raise InputError(
                f"{path}: line {line}: {value:g} {heading.unit} is {rate:,.0f} mm/h; wanted at most {RAIN_MM_PER_H_MAX:.0f} mm/h "
                "(the largest hour ever measured gave 305 mm): check the unit in the heading"
            )
    return Forcing(str(path), begins, (*times, times[-1] + step_s), (*(v * factor for v in values), 0.0), True)


def read_inflow(path: Path) -> Forcing:
    """A river's flow into the twin, m3/s."""
    heading, begins, rows = _read(path, ("inflow", "flow", "discharge", "q", "streamflow"), FLOW_M3_PER_S)
    factor = FLOW_M3_PER_S[heading.unit]
    for line, _, value in rows:
        if not 0 <= value * factor <= FLOW_M3_PER_S_MAX:
            raise InputError(
                f"{path}: line {line}: flow {value:g} {heading.unit} is {value * factor:g} m3/s; wanted 0 to {FLOW_M3_PER_S_MAX:,.0f} m3/s"
            )
    _step_s(path, rows, equal=False)
    return Forcing(str(path), begins, tuple(t for _, t, _ in rows), tuple(v * factor for _, _, v in rows), False)


def read_level(path: Path) -> Forcing:
    """A water level above the gauge's zero, m."""
    heading, begins, rows = _read(path, ("level", "stage", "water_level", "height", "gauge"), LENGTH_M)
    factor = LENGTH_M[heading.unit]
    for line, _, value in rows:
        if not LEVEL_M_MIN <= value * factor <= LEVEL_M_MAX:
            raise InputError(
                f"{path}: line {line}: level {value:g} {heading.unit} is {value * factor:g} m; "
                f"wanted {LEVEL_M_MIN:g} to {LEVEL_M_MAX:g} m: check the unit in the heading"
            )
    _step_s(path, rows, equal=False)
    return Forcing(str(path), begins, tuple(t for _, t, _ in rows), tuple(v * factor for _, _, v in rows), False)


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
        first = 0.0 if forcing.stepwise else later[0][1]  # no rain is known before the file; a flow or a level is held
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


def _read(path: Path, names: tuple[str, ...], units: Mapping[str, float]) -> tuple[_Heading, datetime | None, _Rows]:
    lines = list(csv.reader(_text(path).splitlines()))
    numbered = [(n, row) for n, row in enumerate(lines, 1) if any(cell.strip() for cell in row) and not row[0].startswith("#")]
    if len(numbered) < 2:
        raise InputError(f"{path}: {max(0, len(numbered) - 1)} rows; wanted a heading with units and at least one row")
    if len(numbered) > ROWS_MAX:
        raise InputError(f"{path}: {len(numbered):,} rows; wanted at most {ROWS_MAX:,}: cut it to the event")
    headings = [_heading(n, text) for n, text in enumerate(numbered[0][1])]
    time = _find(path, headings, _TIME_NAMES)
    value = _find(path, headings, names)
    if value.unit not in units:
        got = (
            f"unit {value.unit!r} of column {value.name!r} is unknown here"
            if value.unit
            else f"column {value.name!r} has no unit"
        )
        raise InputError(
            f'{path}: {got}; wanted one of {", ".join(units)} in the heading, e.g. "{names[0]} [{next(iter(units))}]"'
        )
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
    """The name and the unit of "rain [mm/h]", "rain (mm/h)" or "rain_mm_per_h"."""
    match = _HEADING.fullmatch(text)
    if match is None:
        return _Heading(column, text.strip().lower(), "")
    name, unit = match.group(1).lower().replace(" ", "_"), (match.group(2) or "").replace(" ", "")
    if not unit:
        for suffix, known in _SUFFIX_UNITS.items():
            if name.endswith(f"_{suffix}"):
                return _Heading(column, name.removesuffix(f"_{suffix}"), known)
    return _Heading(column, name, unit)


def _find(path: Path, headings: list[_Heading], names: tuple[str, ...]) -> _Heading:
    found = [h for name in names for h in headings if h.name == name]
    if not found:
        got = ", ".join(h.name or "(empty)" for h in headings)[:200]
        raise InputError(f"{path}: columns are {got}; wanted one named {names[0]} (or {', '.join(names[1:])}), with its unit")
    if len({h.column for h in found}) > 1:
        raise InputError(f"{path}: columns {', '.join(h.name for h in found)} could all be meant; keep one")
    return found[0]


def _number(path: Path, line: int, name: str, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        got = f"{cell.strip()[:40]!r}" if cell.strip() else "nothing"
        raise InputError(
            f"{path}: line {line}: {name} is {got}; wanted a number (a dry or missing step has to be written)"
        ) from None
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
            raise InputError(
                f"{path}: one row of a sum says not over how long it fell; wanted two rows or more, or a rate in mm/h"
            )
        return 3600.0
    steps = [round(b[1] - a[1], 3) for a, b in itertools.pairwise(rows)]
    usual = max(sorted(set(steps)), key=steps.count)
    regular = steps.count(usual) >= REGULAR_SHARE_MIN * len(steps) and len(steps) >= 3
    for row, step in zip(rows[1:], steps, strict=True):
        if (equal and step != usual) or (regular and step > usual):
            kind = "gap" if step > usual else "short step"
            raise InputError(
                f"{path}: line {row[0]}: a {kind} of {step / 3600.0:g} h where the others are {usual / 3600.0:g} h; "
                "write every step, also the dry ones"
            )
    return usual
