"""Which asset needs which, as those who run them say: a CSV goes in, and a file of the twin comes out."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from tocsin.platform.twin.folder import write_file
from tocsin.platform.twin.notes import Notes
from tocsin.platform.twin.vectors import TEXT_LONGEST
from tocsin.vocabulary.errors import InputError, NotFound
from tocsin.vocabulary.place import Dependency

FILE = "dependencies.json"
COLUMNS = ("link", "source", "target")
NUMBERS = {"probability": 1.0, "delay_h": 8_784.0, "endurance_h": 8_784.0}  # and the most of each
ROWS_MOST = 1_000_000
TOLD_MOST = 5


def read_dependencies(path: Path) -> list[Dependency]:
    """The rows of a CSV with the columns link, source, target and, where known, probability, delay_h, endurance_h.

    Raises InputError, naming file and row, for what cannot be used.
    """
    if not path.is_file():
        raise NotFound(f"dependencies: no file {path}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise InputError(f"dependencies {path}: no column {missing[0]!r}; wanted {', '.join((*COLUMNS, *NUMBERS))}")
            found = []
            for number, row in enumerate(table, start=1):
                if number > ROWS_MOST:
                    raise InputError(f"dependencies {path}: more than {ROWS_MOST:,} rows; wanted fewer: give those of this place")
                found.append(_row(f"dependencies {path}: row {number}", row))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"dependencies {path}: is no CSV in UTF-8: {fault}") from fault
    return found


def _row(where: str, row: Mapping[str, str | None]) -> Dependency:
    link, source, target = ((row[name] or "").strip() for name in COLUMNS)
    if not 0 < len(link) <= TEXT_LONGEST:
        raise InputError(f"{where}: link = {link[:40]!r}; wanted the name of a pack's link or service")
    for name, text in (("source", source), ("target", target)):
        kind, colon, one = text.partition(":")
        if not (kind and colon and one):
            raise InputError(f"{where}: {name} = {text[:40]!r}; wanted kind:id, e.g. substations:north")
    numbers: dict[str, float | None] = {}
    for name, most in NUMBERS.items():
        text = (row.get(name) or "").strip()
        try:
            value = float(text) if text else None
        except ValueError as fault:
            raise InputError(f"{where}: {name} = {text[:40]!r}; wanted a number or nothing") from fault
        if value is not None and not 0.0 <= value <= most:
            raise InputError(f"{where}: {name} = {text[:40]}; wanted 0..{most:g}")
        numbers[name] = value
    return Dependency(link, source, target, **numbers)


def write_dependencies(folder: Path, path: Path, known: Mapping[str, Collection[str]], notes: Notes) -> None:
    """Into the twin, those whose ends are in it; the rest is told. `known` is the ids by kind, the zones' names among them."""
    rows = read_dependencies(path)
    notes.cite("dependencies", path)
    inside, strange = [], []
    for row in rows:
        ends = [end for end in (row.source, row.target) if end.partition(":")[2] not in known.get(end.partition(":")[0], ())]
        (strange.append(ends[0]) if ends else inside.append(row))
    if rows and not inside:
        raise InputError(
            f"dependencies {path}: none of its {len(rows):,} rows has both ends in the twin; the first lacks {strange[0]!r}"
        )
    if strange:
        named = ", ".join(dict.fromkeys(strange[:TOLD_MOST]))
        notes.remark(
            f"dependencies: {len(strange):,} of {len(rows):,} rows name what is not in the twin and were left out, e.g. {named}"
        )
    write_file(folder / FILE, msgspec.json.format(msgspec.json.encode(inside), indent=1))
    notes.counts["dependencies"] = len(inside)


def open_dependencies(folder: Path) -> tuple[Dependency, ...]:
    """What a twin was told; raises InputError where the file is broken."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=tuple[Dependency, ...])
    except msgspec.MsgspecError as fault:
        raise InputError(f"{folder / FILE}: cannot be read: {fault}; build the twin again") from fault
