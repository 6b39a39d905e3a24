"""Spans of time in SQL: how two of them lie to each other. A moment is a span of no length that yet lasts a microsecond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tocsin.platform.things.sql import Sql, boolean

Piece = tuple[str, tuple[object, ...]]


@dataclass(frozen=True)
class Span:
    """Begin, end, and the first moment after it, each as SQL with its parameters."""

    begin: Piece
    end: Piece
    after: Piece

    @classmethod
    def of(cls, value: Sql) -> Span:
        begin = (value.text, value.args)
        if value.kind != "interval":
            return cls(begin, begin, (f"({value.text} + 1)", value.args))
        end = (value.end, value.end_args)
        if value.stored_end:  # of a property that may hold a moment or an interval
            return cls(begin, end, (f"coalesce({value.stored_end}, {value.text} + 1)", ()))
        return cls(begin, end, end)


def less(sign: str, left: Piece, right: Piece) -> Sql:
    """Two moments, compared."""
    return boolean(f"({left[0]} {sign} {right[0]})", *left[1], *right[1])


def both(left: Sql, right: Sql) -> Sql:
    """Both conditions."""
    return boolean(f"({left.text} AND {right.text})", *left.args, *right.args)


def _either(left: Sql, right: Sql) -> Sql:
    return boolean(f"({left.text} OR {right.text})", *left.args, *right.args)


RELATIONS: dict[str, Callable[[Span, Span], Sql]] = {
    "before": lambda a, b: both(less("<", a.begin, b.begin), less("<=", a.after, b.begin)),
    "after": lambda a, b: both(less("<", b.begin, a.begin), less("<=", b.after, a.begin)),
    "meets": lambda a, b: _either(less("=", a.end, b.begin), less("=", a.begin, b.end)),
    "during": lambda a, b: both(less("<=", b.begin, a.begin), less("<=", a.after, b.end)),
    "overlaps": lambda a, b: both(less("<", a.begin, b.after), less("<", b.begin, a.after)),
    "starts": lambda a, b: less("=", a.begin, b.begin),
    "finishes": lambda a, b: less("=", a.end, b.end),
}
