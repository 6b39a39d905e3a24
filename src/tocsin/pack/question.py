"""A question that a pack answers from a table, without a forecast: how dangerous a day's weather is, where a gas comes from, how fast cases grow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from numpy.typing import NDArray

from tocsin.pack.model import Knob
from tocsin.vocabulary.errors import PackFault
from tocsin.vocabulary.records import Estimate
from tocsin.vocabulary.world import World

Table = Mapping[str, NDArray[Any]]


class Column(msgspec.Struct, frozen=True):
    """A column that a question reads. `unit` is "time" (read as datetime64[us], UTC), "text" (str), or the unit that numbers are converted to.

    Numbers come as float64 with NaN, times with NaT, texts with "" where the row says nothing. Where `needed` is false the column may be left
    out of the file, and is then not in the table. `also` are other headings under which it is known.
    """

    name: str
    unit: str
    meaning: str
    needed: bool = True
    also: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What came out: figures by name, a table of columns of one length with units by name, and what has to be told with it."""

    figures: Mapping[str, Estimate] = {}
    table: Table = {}
    units: Mapping[str, str] = {}
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.table.items()}
        if len(set(lengths.values())) > 1:
            raise PackFault(f"answer: columns of {lengths} rows; wanted all of one length")


class Question(msgspec.Struct, frozen=True):
    """(world, table, settings) -> answer: a pure function. `settings` are numbers that a person may set, `needs_twin` whether it wants a world."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    answer: Callable[[World | None, Table, Mapping[str, float]], Answer]
    source: str
    limits: str
    settings: Mapping[str, Knob] = {}
    needs_twin: bool = False
