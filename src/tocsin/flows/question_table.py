"""The table that a question is asked with: a CSV whose headings carry units, as columns in the units of the pack.

    time,temperature [degF],wind_km_per_h        onset;district;sex
    2024-05-01T06:00Z,71.5,12                    2014-05-20;Kailahun;f

A comma, a semicolon or a tab parts the cells, whichever the heading has. Nothing is guessed: a unit that is missing or does not fit, a
number that is none, a time that is no date stop the reading and are named with their line. An empty cell, NA, NaN and null say nothing.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.pack.question import Column, Table
from tocsin.vocabulary import InputError
from tocsin.vocabulary.units import alike, converted, found, is_known, spelled

BYTES_MAX = 256 * 2**20  # of text, unpacked
ROWS_MAX = 2_000_000
HEADINGS_MAX = 1_000
CELL_MAX = 1_000  # characters of a text that is read
NOTHING = frozenset(("", "na", "n/a", "nan", "null", "none"))
PLAIN = ("1", "deg")  # units that a heading may leave out: a share or a count, and longitude and latitude
_GZIP = b"\x1f\x8b"
_HEADING = re.compile(r"\s*([^\[\](),;]*?)\s*(?:[\[(]\s*([^\[\]()]*?)\s*[\])])?\s*")


def read_table(data: bytes, where: str, columns: Sequence[Column]) -> Table:
    """The columns that a question reads, each in its unit; `data` may be gzipped. Raises InputError with the line.

    A column that is not needed and that the file does not have is left out. Comment lines begin with "#".
    """
    reader = _rows(_text(data, where), where)
    line, heading = next(reader, (0, []))
    if not line:
        raise InputError(f"{where}: is empty; wanted a heading and at least one row")
    if len(heading) > HEADINGS_MAX:
        raise InputError(f"{where}: {len(heading):,} columns; wanted at most {HEADINGS_MAX:,}")
    wanted = _wanted(where, heading, columns)
    lines: list[int] = []
    cells: list[list[str]] = [[] for _ in wanted]
    for number, row in reader:
        if len(row) != len(heading):
            raise InputError(f"{where}: line {number}: {len(row)} cells; wanted {len(heading)} as in the heading (line {line})")
        if len(lines) == ROWS_MAX:
            raise InputError(f"{where}: more than {ROWS_MAX:,} rows; ask with fewer")
        lines.append(number)
        for into, one in zip(cells, wanted, strict=True):
            into.append(row[one.at].strip())
    if not lines:
        raise InputError(f"{where}: a heading and no row; wanted at least one")
    return {one.column.name: _values(where, one, lines, texts) for one, texts in zip(wanted, cells, strict=True)}


def not_read(data: bytes, where: str, columns: Sequence[Column]) -> tuple[str, ...]:
    """The headings of the file that no column of the question stands for: whoever expects them to count is told."""
    _, heading = next(_rows(_text(data, where), where), (0, []))
    read = {one.at for one in _wanted(where, heading, columns)}
    return tuple(cell.strip() for at, cell in enumerate(heading) if at not in read and cell.strip())


class _Wanted(msgspec.Struct, frozen=True):
    """A column of the question, where the file has it, and the unit that the heading says."""

    column: Column
    at: int
    unit: str


def _text(data: bytes, where: str) -> str:
    if data.startswith(_GZIP):
        try:
            with gzip.open(io.BytesIO(data)) as opened:
                data = opened.read(BYTES_MAX + 1)
        except (OSError, EOFError, zlib.error) as fault:
            raise InputError(f"{where}: is no whole gzip file: {fault}; get it again") from fault
    if len(data) > BYTES_MAX:
        raise InputError(f"{where}: more than {BYTES_MAX // 2**20} MB of text; ask with less")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise InputError(f"{where}: byte {fault.start} is not UTF-8 text; wanted a CSV file") from fault
    if "\0" in text:
        raise InputError(f"{where}: holds binary zeros; wanted a CSV file")
    return text


def _rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that says something, with the number of its last line."""
    first = next((line for line in io.StringIO(text) if line.strip() and not line.lstrip().startswith("#")), "")
    parted = next((sign for sign in (",", ";", "\t") if sign in first), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=parted)
    try:
        for row in reader:
            if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#"):
                yield reader.line_num, row
    except csv.Error as fault:
        raise InputError(f"{where}: line {reader.line_num}: {fault}; wanted a CSV file") from fault


def _wanted(where: str, heading: list[str], columns: Sequence[Column]) -> list[_Wanted]:
    parsed = [_parsed(cell) for cell in heading]
    wanted = []
    for column in columns:
        fits = [(at, said) for at, (name, unit) in enumerate(parsed) if (said := _unit_said(column, name, unit)) is not None]
        if len(fits) > 1:
            raise InputError(
                f"{where}: columns {', '.join(repr(heading[at]) for at, _ in fits)} could all be {column.name}; keep one"
            )
        if fits:
            at, unit = fits[0]
            wanted.append(_Wanted(column, at, _checked_unit(where, heading[at], column, unit)))
        elif column.needed:
            also = f" (or {', '.join(column.also)})" if column.also else ""
            got = ", ".join(cell.strip() or "(empty)" for cell in heading)[:200]
            raise InputError(f"{where}: columns are {got}; wanted one named {_example(column)}{also}: {column.meaning}")
    return wanted


def _parsed(cell: str) -> tuple[str, str]:
    """The name and the unit in brackets of a heading; the unit is "" where none stands there."""
    match = _HEADING.fullmatch(cell)
    name, unit = (cell, "") if match is None else (match.group(1), match.group(2) or "")
    return re.sub(r"[\s.-]+", "_", name.strip().lower()), unit.replace(" ", "")


def _unit_said(column: Column, name: str, unit: str) -> str | None:
    """The unit that a heading says for a column ("" where it says none); None where it is another column's."""
    names = [re.sub(r"[\s.-]+", "_", known.lower()) for known in (column.name, *column.also)]
    if unit:
        return unit if name in names else None
    if column.unit not in ("time", "text"):
        for one in alike(column.unit):
            if any(name == f"{known}_{spelled(one)}" for known in names):
                return one
            if name in names and name.endswith(f"_{spelled(one)}") and is_known(one):
                return one  # the column's own name ends in its unit
    return "" if name in names else None


def _checked_unit(where: str, heading: str, column: Column, unit: str) -> str:
    if column.unit in ("time", "text"):
        if unit and (column.unit == "text" or unit.upper() != "UTC"):
            wanted = "dates (UTC, or each with its offset)" if column.unit == "time" else "a text without a unit"
            raise InputError(f"{where}: column {heading.strip()!r} has the unit {unit!r}; wanted {wanted}")
        return unit
    known = alike(column.unit)
    if not unit:
        if column.unit in PLAIN or not is_known(column.unit):
            return column.unit
        raise InputError(
            f"{where}: column {heading.strip()!r} has no unit; wanted one of {', '.join(known)} in the heading, e.g. {_example(column)}"
        )
    said = unit if unit in known else found(unit)
    if said not in known:
        raise InputError(
            f"{where}: unit {unit!r} of column {heading.strip()!r} is not one of {', '.join(known)}; correct the heading, e.g. {_example(column)}"
        )
    return said


def _example(column: Column) -> str:
    return f'"{column.name}"' if column.unit in ("time", "text", "1") else f'"{column.name} [{column.unit}]"'


def _values(where: str, one: _Wanted, lines: list[int], texts: list[str]) -> NDArray[Any]:
    match one.column.unit:
        case "time":
            return _times(where, one.column.name, lines, texts)
        case "text":
            long = next((k for k, text in enumerate(texts) if len(text) > CELL_MAX), None)
            if long is not None:
                raise InputError(
                    f"{where}: line {lines[long]}: {one.column.name} has {len(texts[long]):,} characters; wanted at most {CELL_MAX:,}"
                )
            return np.array(["" if text.lower() in NOTHING else text for text in texts], np.str_)
        case unit:
            return converted(_numbers(where, one.column.name, lines, texts), one.unit, unit)


def _numbers(where: str, name: str, lines: list[int], texts: list[str]) -> NDArray[np.float64]:
    said = [text if text.lower() not in NOTHING else "nan" for text in texts]
    try:
        numbers = np.array(said, np.str_).astype(np.float64) if said else np.zeros(0)
    except ValueError:
        for line, text in zip(lines, said, strict=True):
            try:
                float(text)
            except ValueError:
                hint = "; write the decimals after a point" if re.fullmatch(r"[+-]?\d+,\d+", text) else ""
                raise InputError(f"{where}: line {line}: {name} is {text[:40]!r}; wanted a number{hint}") from None
        raise
    endless = np.flatnonzero(np.isinf(numbers))
    if endless.size:
        raise InputError(f"{where}: line {lines[endless[0]]}: {name} is {texts[endless[0]][:40]!r}; wanted a finite number")
    return numbers


def _times(where: str, name: str, lines: list[int], texts: list[str]) -> NDArray[np.datetime64]:
    moments = np.full(len(texts), np.datetime64("NaT", "us"), "datetime64[us]")
    for k, text in enumerate(texts):
        if text.lower() in NOTHING:
            continue
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise InputError(
                f"{where}: line {lines[k]}: {name} is {text[:40]!r}; wanted a date or a time, e.g. 2024-05-01 or 2024-05-01T06:00Z"
            ) from None
        try:
            utc = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:
            raise InputError(f"{where}: line {lines[k]}: {name} is {text[:40]!r}; its time in UTC is no date") from None
        moments[k] = np.datetime64(utc, "us")
    return moments
