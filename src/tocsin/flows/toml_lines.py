"""The line of each part of a TOML file, which the parser of the standard library does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

Path = tuple[str | int, ...]
_QUOTES = ('"""', "'''", '"', "'")


def lines_of(text: str) -> dict[Path, int]:
    """Where each table and key of a file begins, counted from 1; the text must be sound TOML.

    >>> lines_of('a = 1\\n[[b]]\\nc = [\\n 2]\\n[[b]]\\nc = 3\\n')
    {('a',): 1, ('b', 0): 2, ('b', 0, 'c'): 3, ('b', 1): 5, ('b', 1, 'c'): 6}
    """
    lines: dict[Path, int] = {}
    rows: dict[tuple[str, ...], int] = {}  # how many tables each array of tables has so far
    table: Path = ()
    at, line = 0, 1
    while at < len(text):
        if text[at] in " \t\r\n":
            line += text[at] == "\n"
            at += 1
            continue
        if text[at] == "#":
            at = _end_of_line(text, at)
            continue
        if text[at] == "[":
            is_row = text.startswith("[[", at)
            begin = at + (2 if is_row else 1)
            end = _after(text, begin, "]")
            names = _names(text[begin:end])
            if is_row:
                rows[names] = rows.get(names, -1) + 1
            table = _with_rows(names, rows)
            lines.setdefault(table, line)
            at = end + (2 if is_row else 1)
            continue
        end = _after(text, at, "=")
        lines.setdefault((*table, *_names(text[at:end])), line)
        after = _after_value(text, end + 1)
        line += text.count("\n", at, after)
        at = after
    return lines


def line_at(lines: Mapping[Path, int], path: Path) -> int:
    """The line of a part, or of what it is in where it has none of its own; the first line at last."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _with_rows(names: tuple[str, ...], rows: Mapping[tuple[str, ...], int]) -> Path:
    """A table's path, with the number of the row in each array of tables that it goes through."""
    path: list[str | int] = []
    for k, name in enumerate(names):
        path.append(name)
        if names[: k + 1] in rows:
            path.append(rows[names[: k + 1]])
    return tuple(path)


def _names(key: str) -> tuple[str, ...]:
    """A key's parts: a."b c" is ("a", "b c")."""
    here, names = tomllib.loads(f"{key.strip()} = 0"), []
    while isinstance(here, dict):
        name, here = next(iter(here.items()))
        names.append(name)
    return tuple(names)


def _after(text: str, at: int, sign: str) -> int:
    """Where a sign stands that is not in quotes, from `at` on."""
    while at < len(text) and text[at] != sign:
        at = _after_quotes(text, at) if text[at] in "\"'" else at + 1
    return at


def _after_value(text: str, at: int) -> int:
    """Where a value ends: at the end of a line outside of all brackets and quotes."""
    depth = 0
    while at < len(text) and not (text[at] == "\n" and depth == 0):
        if text[at] in "\"'":
            at = _after_quotes(text, at)
        elif text[at] == "#":
            at = _end_of_line(text, at)
        else:
            depth += (text[at] in "[{") - (text[at] in "]}")
            at += 1
    return at


def _after_quotes(text: str, at: int) -> int:
    quote = next(q for q in _QUOTES if text.startswith(q, at))
    inner = r"(?:[^\\]|\\.)*?" if quote[0] == '"' else r".*?"
    more = quote[0] + "{0,2}" if len(quote) == 3 else ""  # up to two quotes may stand right before the closing three
    found = re.compile(f"{quote}{inner}{quote}{more}", re.DOTALL).match(text, at)
    return found.end() if found else len(text)


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end
