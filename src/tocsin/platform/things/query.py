"""What a client asks of a set of entities, once it is parsed: a filter as a tree, what to expand, choose, sort and cut."""

from __future__ import annotations

import msgspec

from tocsin.platform.things.times import When


class Literal(msgspec.Struct, frozen=True):
    """A value that stands in a filter. `kind` is number, string, bool, null, time, interval, date, clock, duration or shape."""

    kind: str
    value: float | int | str | bool | When | None
    at: str
    offset_min: int = 0


class Path(msgspec.Struct, frozen=True):
    """A property, by the way to it: ("Datastream", "ObservedProperty", "name") or ("properties", "owner")."""

    parts: tuple[str, ...]
    at: str


class Call(msgspec.Struct, frozen=True):
    """A function with its arguments."""

    name: str
    args: tuple[Node, ...]
    at: str


class Binary(msgspec.Struct, frozen=True):
    """Two operands: or, and, eq, ne, gt, ge, lt, le, in (the right one holds a list), add, sub, mul, div, mod."""

    op: str
    left: Node
    right: Node
    at: str


class Unary(msgspec.Struct, frozen=True):
    """not, or a minus."""

    op: str
    operand: Node
    at: str


class Lambda(msgspec.Struct, frozen=True):
    """any or all of the entities at the end of a way to many: for each, `condition` is asked with the entity under the name `variable`."""

    op: str
    way: Path
    variable: str
    condition: Node | None
    at: str


Node = Literal | Path | Call | Binary | Unary | Lambda


class Order(msgspec.Struct, frozen=True):
    """One key to sort by."""

    by: Node
    descending: bool = False


class Expand(msgspec.Struct, frozen=True):
    """Related entities that come along, with a query of their own."""

    link: str
    query: Query
    at: str


class Query(msgspec.Struct, frozen=True):
    """All options of one set. `top` None means as many as the server gives; `select` None means everything."""

    filter: Node | None = None
    orderby: tuple[Order, ...] = ()
    select: tuple[str, ...] | None = None
    expand: tuple[Expand, ...] = ()
    top: int | None = None
    skip: int = 0
    count: bool = False
    data_array: bool = False
    text: str = ""  # the options of the address as they were written, without $skip: what a link to the next page repeats
    given: tuple[tuple[str, str], ...] = ()  # the same of a query inside $expand, without $expand too


EVERYTHING = Query()
