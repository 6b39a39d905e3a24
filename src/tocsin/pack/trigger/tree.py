"""A trigger as a tree: frozen, comparable, and written back as the text that reads to the same tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tocsin.vocabulary.level import Level

CompareOp = Literal["<", "<=", ">", ">="]
ArithOp = Literal["+", "-", "*", "/"]
EventKind = Literal["started", "done", "failed"]
KEYWORDS = frozenset({"and", "or", "not", "for", "max_age", "stale"})
_BARE_PLACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _at() -> int:
    """Where in its text a part begins, counted from 0: for errors alone, and no part of what it says."""
    return field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its unit as it was written; the unit is empty where the number counts nothing."""

    value: float
    unit: str
    at: int = _at()

    def __str__(self) -> str:
        number = repr(int(self.value)) if self.value == int(self.value) and self.value < 1e15 else repr(self.value)
        return f"{number} {self.unit}" if self.unit else number


@dataclass(frozen=True, slots=True)
class LevelWord:
    """A warning level by its word."""

    level: Level
    at: int = _at()

    def __str__(self) -> str:
        return self.level.word


Stale = Literal["unknown", "hold"] | Number | LevelWord


@dataclass(frozen=True, slots=True)
class FactRef:
    """A fact, at a place where it has one, how old it may be, and what counts where it is older: unknown, what it was, or a value."""

    name: str
    place: str = ""
    max_age: Number | None = None
    stale: Stale = "unknown"
    at: int = _at()

    @property
    def key(self) -> str:
        """The fact and its place, as facts are asked for."""
        return f"{self.name}@{self.place}" if self.place else self.name

    def __str__(self) -> str:
        words = self.name
        if self.place:
            bare = _BARE_PLACE.fullmatch(self.place) and self.place not in KEYWORDS
            words += f"@{self.place if bare else quoted(self.place)}"
        if self.max_age is not None:
            words += f" max_age {self.max_age}"
        return words if self.stale == "unknown" else f"{words} stale {self.stale}"


@dataclass(frozen=True, slots=True)
class Event:
    """What became of an action of the same plan."""

    kind: EventKind
    action: str
    at: int = _at()

    def __str__(self) -> str:
        return f"{self.kind}({quoted(self.action)})"


@dataclass(frozen=True, slots=True)
class Negative:
    """Minus something."""

    part: Value
    at: int = _at()

    def __str__(self) -> str:
        return f"-{_in(self.part, 4)}"


@dataclass(frozen=True, slots=True)
class Arith:
    """Two amounts added, subtracted, multiplied or divided."""

    op: ArithOp
    left: Value
    right: Value
    at: int = _at()

    def __str__(self) -> str:
        rank = 2 if self.op in "+-" else 3
        return f"{_in(self.left, rank)} {self.op} {_in(self.right, rank + 1)}"


@dataclass(frozen=True, slots=True)
class Compare:
    """One amount beside another."""

    op: CompareOp
    left: Value
    right: Value
    at: int = _at()

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


@dataclass(frozen=True, slots=True)
class For:
    """True where a claim has been true all the time since `span` ago."""

    part: Claim
    span: Number
    at: int = _at()

    def __str__(self) -> str:
        bare = isinstance(self.part, Compare | Event)
        return f"{self.part if bare else f'({self.part})'} for {self.span}"


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary; of what is unknown it is unknown."""

    part: Claim
    at: int = _at()

    def __str__(self) -> str:
        bare = isinstance(self.part, Compare | Event | For | Not)
        return f"not {self.part}" if bare else f"not ({self.part})"


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    parts: tuple[Claim, ...]
    at: int = _at()

    def __str__(self) -> str:
        return " and ".join(f"({p})" if isinstance(p, And | Or) else str(p) for p in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them."""

    parts: tuple[Claim, ...]
    at: int = _at()

    def __str__(self) -> str:
        return " or ".join(f"({p})" if isinstance(p, Or) else str(p) for p in self.parts)


Value = Number | LevelWord | FactRef | Negative | Arith
Claim = Compare | Event | For | Not | And | Or
Node = Value | Claim


def quoted(text: str) -> str:
    """A name as the language writes it: in double quotes, with a backslash before a quote or a backslash."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parts_of(node: Node) -> tuple[Node, ...]:
    """What a node is made of directly."""
    match node:
        case Arith() | Compare():
            return node.left, node.right
        case Negative() | For() | Not():
            return (node.part,)
        case And() | Or():
            return node.parts
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        yield here
        waiting += reversed(parts_of(here))


def _in(part: Value, rank: int) -> str:
    """A part of a sum or a product, in brackets where it would be read otherwise without."""
    match part:
        case Arith():
            own = 2 if part.op in "+-" else 3
        case Negative():
            own = 4
        case _:
            own = 5
    return str(part) if own >= rank else f"({part})"
