"""Ask a pack: a table goes in, figures with their doubt and a table come out, with the source and the limits of both.

Each function here is what `tocsin ask` and the HTTP interface call, and a notebook can call.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.flows.question_table import not_read, read_table
from tocsin.pack import Answer, Knob, Pack, Question, find_pack
from tocsin.vocabulary import Estimate, InputError, NotFound, World
from tocsin.vocabulary.units import alike, converted, found

COLUMNS_SHOWN = 10
FORMATS = (".csv", ".parquet")
_SETTING = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*", re.ASCII)


class Asked(msgspec.Struct, frozen=True):
    """A question with its answer: which rows it was asked with, with which settings, and what has to be told with it."""

    hazard: str
    question: str
    meaning: str
    rows: int
    settings: dict[str, float]
    figures: dict[str, Estimate]
    table: dict[str, NDArray[Any]]
    units: dict[str, str]
    remarks: tuple[str, ...]
    source: str
    limits: str
    twin: str = ""

    @property
    def table_rows(self) -> int:
        """How many rows the answer's table has."""
        return len(next(iter(self.table.values()), ()))

    def facts(self) -> dict[str, Any]:
        """All of it as plain values, the table by columns; a time is a text in UTC, a number that is not there is None."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__ if name != "table"}
        plain["figures"] = msgspec.to_builtins(self.figures)
        return plain | {"table": {name: plain_values(values) for name, values in self.table.items()}}


def questions_of(hazard: str) -> list[dict[str, Any]]:
    """What a pack answers from a table: each question with its columns and settings."""
    return [
        {
            "name": q.name,
            "meaning": q.meaning,
            "columns": [msgspec.to_builtins(column) for column in q.columns],
            "settings": {name: msgspec.to_builtins(knob) for name, knob in q.settings.items()},
            "needs_twin": q.needs_twin,
            "source": q.source,
            "limits": q.limits,
        }
        for q in find_pack(hazard).questions
    ]


def question_of(pack: Pack, name: str) -> Question:
    """A pack's question by its name; raises NotFound with those that there are."""
    asked = next((q for q in pack.questions if q.name == name), None)
    if asked is None:
        known = ", ".join(q.name for q in pack.questions) or "none"
        raise NotFound(f"{pack.hazard}: no question {name[:80]!r}; there are: {known}")
    return asked


def ask(
    hazard: str,
    question: str,
    data: bytes,
    *,
    where: str = "table",
    settings: Mapping[str, str | float] | None = None,
    world: World | None = None,
    twin: str = "",
) -> Asked:
    """Read a CSV, answer a pack's question from it. `settings` are in the setting's unit, or a text with a unit that becomes it.

    Raises NotFound for a question that the pack does not have, InputError for a table, a setting or a twin that does not do.
    """
    pack = find_pack(hazard)
    asked = question_of(pack, question)
    told = settings_of(asked, settings or {})
    if asked.needs_twin and world is None:
        raise InputError(f"{hazard} {question}: is asked of a place; give its twin with --twin FOLDER")
    table = read_table(data, where, asked.columns)
    answer = asked.answer(world, table, told)
    if left := not_read(data, where, asked.columns):
        more = f" and {len(left) - COLUMNS_SHOWN} more" if len(left) > COLUMNS_SHOWN else ""
        answer = msgspec.structs.replace(
            answer, remarks=(*answer.remarks, f"columns that were not read: {', '.join(left[:COLUMNS_SHOWN])}{more}")
        )
    return _asked(pack, asked, told, len(next(iter(table.values()))), answer, twin if world is not None else "")


def settings_of(asked: Question, given: Mapping[str, str | float]) -> dict[str, float]:
    """Every setting of a question, as given or else at its usual value; raises InputError outside its range."""
    unknown = sorted(set(given) - set(asked.settings))
    if unknown:
        known = ", ".join(f"{name} [{knob.unit}]" for name, knob in asked.settings.items()) or "none"
        raise InputError(f"{asked.name}: no setting {unknown[0][:80]!r}; there are: {known}")
    return {
        name: _setting(asked, name, knob, given[name]) if name in given else knob.usual for name, knob in asked.settings.items()
    }


def _setting(asked: Question, name: str, knob: Knob, given: str | float) -> float:
    where = f"{asked.name}: {name} = {str(given)[:40]}"
    match = _SETTING.fullmatch(str(given))
    if match is None:
        raise InputError(f"{where}; wanted a number in {knob.unit}, e.g. {name}={knob.usual:g}")
    unit = match.group(2) or knob.unit
    said = unit if unit in alike(knob.unit) else found(unit)
    if said not in alike(knob.unit):
        raise InputError(f"{where}: unit {unit!r} is not one of {', '.join(alike(knob.unit))}")
    value = float(converted(np.array([float(match.group(1))]), said, knob.unit)[0])
    if not knob.low <= value <= knob.high:
        raise InputError(f"{where}: {value:g} is outside {knob.low:g}..{knob.high:g} {knob.unit}: {knob.meaning}")
    return value


def _asked(pack: Pack, asked: Question, settings: dict[str, float], rows: int, answer: Answer, twin: str) -> Asked:
    return Asked(
        pack.hazard,
        asked.name,
        asked.meaning,
        rows,
        settings,
        dict(answer.figures),
        {name: np.asarray(values) for name, values in answer.table.items()},
        dict(answer.units),
        tuple(answer.remarks),
        asked.source,
        asked.limits,
        twin,
    )


def plain_values(values: NDArray[Any]) -> list[Any]:
    """A column as plain values: times as texts in UTC, None where there is nothing."""
    if values.dtype.kind == "M":
        texts = np.datetime_as_string(values.astype("datetime64[us]")).tolist()
        return [None if text == "NaT" else f"{text.removesuffix('.000000')}Z" for text in texts]
    if values.dtype.kind == "f":
        return [value if known else None for value, known in zip(values.tolist(), np.isfinite(values).tolist(), strict=True)]
    return list(values.tolist())


def heading(asked: Asked, name: str) -> str:
    """A column's name with its unit: as it is shown, saved, and read again."""
    unit = asked.units.get(name, "")
    return name if unit in ("", "time", "text", "1") else f"{name} [{unit}]"


def saved(asked: Asked, ending: str) -> bytes:
    """The answer's table as a file of one of FORMATS; raises InputError where there is no table or no such format."""
    if ending not in FORMATS:
        raise InputError(f"--save: the ending {ending!r} says no format; wanted {' or '.join(FORMATS)}")
    if not asked.table:
        raise InputError(f"--save: the answer to {asked.question} has no table; its figures are printed, --json has them")
    if ending == ".csv":
        text = io.StringIO()
        out = csv.writer(text, lineterminator="\n")
        out.writerow([heading(asked, name) for name in asked.table])
        columns = [plain_values(values) for values in asked.table.values()]
        out.writerows(["" if value is None else value for value in row] for row in zip(*columns, strict=True))
        return text.getvalue().encode()
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [_arrow(values) for values in asked.table.values()]
    fields = [pa.field(heading(asked, n), a.type) for n, a in zip(asked.table, arrays, strict=True)]
    said = {"hazard": asked.hazard, "question": asked.question, "source": asked.source, "limits": asked.limits}
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=said)), buffer)
    return bytes(buffer.getvalue().to_pybytes())


def _arrow(values: NDArray[Any]) -> Any:
    import pyarrow as pa

    if values.dtype.kind == "M":
        return pa.array(values.astype("datetime64[us]"), pa.timestamp("us", "UTC"))
    return pa.array(plain_values(values)) if values.dtype.kind in "fOU" else pa.array(values)
