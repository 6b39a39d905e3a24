"""The kinds of collectors: each is a value of settings that collects by itself, found by an entry point of `tocsin.collectors`.

`[[collector]] kind = "mqtt"` in edge.toml is decoded as the class that stands under that word. A package of somebody else brings a
kind by naming a class in its own entry points; `tocsin.testing.collector_promises` is what it is held to.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from tocsin.vocabulary import PackFault

GROUP = "tocsin.collectors"


class Kinds(Mapping[str, type[Any]]):
    """Kinds by the word that stands for them; a kind is loaded when it is asked for, and raises PackFault if it is no collector."""

    def __init__(self, points: Mapping[str, EntryPoint]) -> None:
        self._points = dict(sorted(points.items()))

    def __getitem__(self, word: str) -> type[Any]:
        point = self._points[word]
        where = f"collector kind {word!r}, entry point {point.value}"
        try:
            kind = point.load()
        except Exception as fault:  # another package's code
            raise PackFault(f"{where}: cannot be loaded: {type(fault).__name__}: {fault}; mend or remove its package") from fault
        is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct) and "name" in kind.__struct_fields__
        if not (is_struct and inspect.isasyncgenfunction(getattr(kind, "batches", None))):
            raise PackFault(f"{where}: wanted a msgspec.Struct with `name`, and with `batches` that is an asynchronous generator")
        return kind  # type: ignore[no-any-return]

    def __contains__(self, word: object) -> bool:
        return word in self._points

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)


def find_collectors() -> Mapping[str, type[Any]]:
    """All kinds that are installed; raises PackFault where two packages bring the same word."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise PackFault(f"collector kind {point.name!r}: {other.value} and {point.value} both bring it; remove one package")
    return Kinds(found)


__all__ = ["GROUP", "Kinds", "find_collectors"]
