"""A filter or a sort key as SQL with its parameters. What a client wrote is only ever a parameter, never SQL.

Ways to one related entity are left joins. Ways to many mean "there is one such that": all conditions of one `and` chain that go
over many are asked of the same related entity, as in Datastreams/name eq 'a' and Datastreams/unitOfMeasurement/symbol eq 'm'.
`any` and `all` of OData 4.0, 5.1.1.5 are asked each by itself; a way that does not begin with their variable begins at the set.
A comparison with what is missing is neither true nor false, and so is its denial: `eq null` asks for what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin.platform.things.calls import call, clock_of
from tocsin.platform.things.model import BY_NAME, EntityType, Kind, Link, Property
from tocsin.platform.things.query import Binary, Call, Lambda, Literal, Node, Path, Unary
from tocsin.platform.things.spans import Span, both, less
from tocsin.platform.things.sql import NULL, Sql, bad, boolean, number, text
from tocsin.platform.things.times import When, parse_when
from tocsin.vocabulary.errors import InputError

COMPARISONS = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
TURNED = {"eq": "eq", "ne": "ne", "gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/", "mod": "%"}
JOINS_MAX = 20
LAMBDAS_MAX = 6  # any and all inside one another: SQLite's parser has room for twice as many
DEPTH_MAX = 100
ID_NAMES = ("id", "@iot.id")


@dataclass
class Scope:
    """The joins that a part of the query needs, by the way that leads there."""

    prefix: str
    joins: list[str] = field(default_factory=list)
    alias_of: dict[tuple[str, ...], str] = field(default_factory=dict)

    def join(self, way: tuple[str, ...], link: Link, of: str, at: str) -> str:
        """The alias under which the entity at the end of `way` stands."""
        if way in self.alias_of:
            return self.alias_of[way]
        if len(self.alias_of) >= JOINS_MAX:
            raise InputError(f"{at}: the query goes over more than {JOINS_MAX} relations; ask for less at once")
        alias = f"{self.prefix}{len(self.alias_of)}"
        table = BY_NAME[link.target].table
        if link.column:
            self.joins.append(f"LEFT JOIN {table} {alias} ON {alias}.id = {of}.{link.column}")
        elif link.back:
            self.joins.append(f"LEFT JOIN {table} {alias} ON {alias}.{link.back} = {of}.id")
        else:
            between, own, other = link.via
            self.joins.append(f"LEFT JOIN {between} {alias}v ON {alias}v.{own} = {of}.id")
            self.joins.append(f"LEFT JOIN {table} {alias} ON {alias}.id = {alias}v.{other}")
        self.alias_of[way] = alias
        return alias


class Translator:
    """Translates what belongs to one set of entities, which stands as `alias` in the query."""

    def __init__(self, kind: EntityType, alias: str, *, now_us: int) -> None:
        self.kind, self.alias, self.now_us = kind, alias, now_us
        self.one = Scope(f"{alias}_")  # ways to one: joined beside the set itself
        self._many = self._inside = 0
        self._variables: dict[str, tuple[EntityType, str]] = {}  # of any and all: the kind and the alias that each stands for

    def condition(self, node: Node) -> Sql:
        """A filter as a condition; its joins over one are in `self.one`."""
        plain: list[Sql] = []
        over_many: list[Node] = []
        for part in _conjuncts(node):
            if any(self._goes_over_many(path) for path in _paths(part)):
                over_many.append(part)
            else:
                plain.append(self._truth(part, self.one, 0))
        if over_many:
            plain.append(self._exists(over_many))
        return boolean(" AND ".join(f"({part.text})" for part in plain), *(a for part in plain for a in part.args))

    def order(self, node: Node) -> list[Sql]:
        """A sort key, as one or more columns."""
        for path in _paths(node):
            if self._goes_over_many(path):
                raise InputError(f"{path.at}: {'/'.join(path.parts)} leads to many; wanted a way to one to sort by")
        key = self._value(node, self.one, 0)
        if key.kind == "interval":
            return [Sql("time", key.text, key.args), Sql("time", key.end, key.end_args)]
        if key.kind == "result":
            return [Sql("number", key.number, ()), Sql("string", key.text, ())]
        return [key]

    def _exists(self, parts: Sequence[Node]) -> Sql:
        self._many += 1
        scope = Scope(f"{self.alias}m{self._many}_")
        told = [self._truth(part, scope, 0) for part in parts]
        words = " AND ".join(f"({part.text})" for part in told)
        sql = f"EXISTS (SELECT 1 FROM (SELECT 1) {' '.join(scope.joins)} WHERE {words})"
        return boolean(sql, *(a for part in told for a in part.args))

    def _lambda(self, node: Lambda, depth: int) -> Sql:
        """Whether there is one, or none that is otherwise. What is neither true nor false of one is not true of it."""
        if self._inside >= LAMBDAS_MAX:
            raise InputError(f"{node.at}: any and all stand more than {LAMBDAS_MAX} deep in one another; wanted fewer")
        self._many += 1
        scope = Scope(f"{self.alias}m{self._many}_")
        kind, alias, steps = self._begin(node.way)
        link: Link | None = None
        for index in range(steps, len(node.way.parts)):
            link = kind.way(node.way.parts[index])
            if link is None:
                raise InputError(f"{node.way.at}: {node.way.parts[index][:60]!r} is no relation of {kind.name}")
            alias = scope.join(node.way.parts[: index + 1], link, alias, node.at)
            kind = BY_NAME[link.target]
        if link is None or not link.many:
            raise InputError(f"{node.at}: {'/'.join(node.way.parts)} leads to one; {node.op} wants a way to many")
        asked = Sql("bool", "1", ())
        if node.condition is not None:
            outer = self._variables
            self._variables, self._inside = outer | {node.variable: (kind, alias)}, self._inside + 1
            asked = self._truth(node.condition, scope, depth + 1)
            self._variables, self._inside = outer, self._inside - 1
        wanted = f"({asked.text})" if node.op == "any" else f"NOT coalesce(({asked.text}), 0)"
        found = f"EXISTS (SELECT 1 FROM (SELECT 1) {' '.join(scope.joins)} WHERE {alias}.id IS NOT NULL AND {wanted})"
        return boolean(found if node.op == "any" else f"NOT {found}", *asked.args)

    def _begin(self, path: Path) -> tuple[EntityType, str, int]:
        """Where a way begins, and how many of its parts say so: at the set, or at the variable of an any or all."""
        known = self._variables.get(path.parts[0])
        return (self.kind, self.alias, 0) if known is None else (*known, 1)

    def _goes_over_many(self, path: Path) -> bool:
        kind = self.kind
        for name in path.parts:
            link = kind.way(name)
            if link is None:
                return False
            if link.many:
                return True
            kind = BY_NAME[link.target]
        return False

    # -- values --------------------------------------------------------------------------------------------------------

    def _truth(self, node: Node, scope: Scope, depth: int) -> Sql:
        told = self._value(node, scope, depth)
        if told.kind in ("bool", "json", "result", "null"):
            return told.as_bool()
        raise bad(node.at, f"a {told.kind}", "a condition that is true or false, such as name eq 'x'")

    def _value(self, node: Node, scope: Scope, depth: int) -> Sql:
        if depth > DEPTH_MAX:
            raise InputError(f"{node.at}: the expression is nested more than {DEPTH_MAX} deep")
        if isinstance(node, Literal):
            return _literal(node)
        if isinstance(node, Path):
            return self._path(node, scope)
        if isinstance(node, Lambda):
            return self._lambda(node, depth)
        if isinstance(node, Unary):
            if node.op == "not":
                inner = self._truth(node.operand, scope, depth + 1)
                return boolean(f"NOT {inner.text}", *inner.args)
            value = self._value(node.operand, scope, depth + 1)
            if value.kind == "duration":
                return Sql("duration", f"(-{value.text})", value.args)
            value = value.as_number(node.at)
            return number(f"(-{value.text})", *value.args)
        if isinstance(node, Call):
            args = [self._value(part, scope, depth + 1) for part in node.args]
            return call(node, args, now_us=self.now_us)
        if node.op in ("and", "or"):
            left = self._truth(node.left, scope, depth + 1)
            right = self._truth(node.right, scope, depth + 1)
            return boolean(f"({left.text} {node.op.upper()} {right.text})", *left.args, *right.args)
        left = self._value(node.left, scope, depth + 1)
        right = self._value(node.right, scope, depth + 1)
        if node.op in COMPARISONS:
            return compare(node.op, left, right, node.at)
        if node.op == "in":
            return listed(left, right, node.at)
        return arithmetic(node.op, left, right, node.at)

    def _path(self, path: Path, scope: Scope) -> Sql:
        kind, alias, begin = self._begin(path)
        index = begin
        for index, name in enumerate(path.parts[begin:], start=begin):
            link = kind.way(name)
            if link is None:
                break
            if link.column and path.parts[index + 1 :] in (("id",), ("@iot.id",)):
                return Sql("number", f"{alias}.{link.column}", is_id=True)
            alias = scope.join(path.parts[: index + 1], link, alias, path.at)
            kind = BY_NAME[link.target]
        else:
            return Sql("number", f"{alias}.id", is_id=True)  # a way alone: whether there is such an entity
        rest = path.parts[index:]
        if rest[0] in ID_NAMES and len(rest) == 1:
            return Sql("number", f"{alias}.id", is_id=True)
        prop = kind.prop(rest[0])
        if prop is None:
            raise InputError(f"{path.at}: {rest[0][:60]!r} is no property of {kind.name}; wanted one of: {kind.words}")
        return _column(prop, kind, alias, rest[1:], path.at)


def _column(prop: Property, kind: EntityType, alias: str, inner: tuple[str, ...], at: str) -> Sql:
    """A property's columns, or what lies inside its JSON."""
    name = f"{alias}.{prop.column}"
    if inner and prop.kind in (Kind.TEXT, Kind.INSTANT, Kind.WHEN, Kind.INTERVAL):
        raise InputError(f"{at}: {kind.name}/{prop.name} is {prop.kind.value} and holds no {inner[0][:40]!r}")
    match prop.kind:
        case Kind.TEXT:
            return text(name)
        case Kind.INSTANT:
            return Sql("time", f"{name}_us", (), offset=_offset_sql(f"{name}_text"))
        case Kind.WHEN | Kind.INTERVAL:
            end = f"coalesce({name}_end_us, {name}_us)"
            stored_end = f"{name}_end_us"
            return Sql("interval", f"{name}_us", (), end=end, stored_end=stored_end, offset=_offset_sql(f"{name}_text"))
        case Kind.RESULT if not inner:
            return Sql("result", name, (), number=f"{alias}.value")
        case Kind.SHAPE if not inner:
            return Sql("shape", name, (), box=alias)
        case _:
            return Sql("json", name, (), path=json_path(inner, at))


def json_path(parts: tuple[str, ...], at: str) -> str:
    """The way into a JSON value, as SQLite writes it; it is passed as a parameter."""
    words = "$"
    for part in parts:
        if '"' in part or "\\" in part:
            raise InputError(f"{at}: the key {part[:40]!r} has a quote or a backslash; such a key cannot be asked for")
        words += f"[{part}]" if part.isdigit() and part.isascii() else f'."{part}"'
    return words


def _offset_sql(column: str) -> str:
    return f"CASE WHEN {column} IS NULL THEN 0 ELSE sta_offset({column}) END"


def _literal(node: Literal) -> Sql:
    value = node.value
    if node.kind == "null":
        return NULL
    if isinstance(value, When):
        if value.end_us is None:
            return Sql("time", "?", (value.us,), offset=str(int(node.offset_min)))
        return Sql("interval", "?", (value.us,), end="?", end_args=(value.end_us,), offset=str(int(node.offset_min)))
    if node.kind == "bool":
        return Sql("bool", "1" if value else "0", ())
    if node.kind == "number" and isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(value)
    return Sql(node.kind, "?", (value,))


# -- operators ---------------------------------------------------------------------------------------------------------


def compare(op: str, left: Sql, right: Sql, at: str) -> Sql:
    """A comparison of two values, which must be of kinds that can be compared."""
    if "null" in (left.kind, right.kind):
        other = right if left.kind == "null" else left
        if op not in ("eq", "ne"):
            return Sql("bool", "0", ())
        if other.kind == "result":
            some = f"({other.number} IS NULL AND coalesce({other.text}, 'null') = 'null')"
            return boolean(some if op == "eq" else f"NOT {some}")
        plain = other.plain()
        return boolean(f"({plain.text} {'IS' if op == 'eq' else 'IS NOT'} NULL)", *plain.args)
    left, right = _id(left, right), _id(right, left)
    times = {"time", "interval", "date"}
    left, right = _moment(left, right, times, at), _moment(right, left, times, at)
    if "clock" in (left.kind, right.kind) and times & {left.kind, right.kind}:
        left, right = (part if part.kind == "clock" else clock_of(part.as_moment(at)) for part in (left, right))
    if left.kind in times and right.kind in times and not left.kind == right.kind == "date":
        return _compare_times(op, left, right)
    if left.kind in ("json", "result") or right.kind in ("json", "result"):
        left, right = _same(left, right, at)
    if left.kind != right.kind:
        raise bad(at, f"{left.kind} {op} {right.kind}", "two values of the same kind")
    if left.kind == "shape" or (left.kind == "bool" and op not in ("eq", "ne")):
        raise bad(at, f"{left.kind} {op} {right.kind}", "eq or ne of truths; shapes by st_equals")
    return boolean(f"({left.text} {COMPARISONS[op]} {right.text})", *left.args, *right.args)


def _id(value: Sql, other: Sql) -> Sql:
    """A text that is compared with an id, as that number: the standard's examples have quotes around ids. No id is a text that is none."""
    if not other.is_id or value.kind != "string" or value.text != "?":
        return value
    digits = str(value.args[0])
    return number("?", int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 16 else -1)


def _moment(value: Sql, other: Sql, times: set[str], at: str) -> Sql:
    """A text in quotes that is compared with a time, as the time that it says: some clients put quotes around times."""
    if other.kind not in times or value.kind != "string" or value.text != "?":
        return value
    return _literal(Literal("time", parse_when(str(value.args[0]), where=at), at))


def listed(left: Sql, right: Sql, at: str) -> Sql:
    """Whether a value is in a list that lies in JSON; neither true nor false where there is no list."""
    kinds = {"number": "'integer', 'real'", "string": "'text'", "bool": "'true', 'false'"}
    if left.kind not in kinds or right.kind not in ("json", "result"):
        raise bad(at, f"{left.kind} in {right.kind}", "such as 9 in properties/list, or properties/key in (8, 9)")
    found = f"EXISTS (SELECT 1 FROM json_each({right.text}, ?) j WHERE j.type IN ({kinds[left.kind]}) AND j.value = {left.text})"
    return boolean(f"(CASE WHEN json_type({right.text}, ?) = 'array' THEN {found} END)", right.path, right.path, *left.args)


def _same(left: Sql, right: Sql, at: str) -> tuple[Sql, Sql]:
    """Both sides as the kind of the one that has a kind; two that have none as they lie there."""
    loose = ("json", "result")
    if left.kind in loose and right.kind in loose:
        a, b = left.plain(), right.plain()
        return Sql("string", a.text, a.args), Sql("string", b.text, b.args)
    kind = right.kind if left.kind in loose else left.kind
    return left.as_kind(kind, at), right.as_kind(kind, at)


def _compare_times(op: str, left: Sql, right: Sql) -> Sql:
    """Moments and intervals. A moment is an interval of no length; `lt` and `gt` say that the one ends before the other begins."""
    if left.kind != "interval" and right.kind != "interval":
        return boolean(f"({left.text} {COMPARISONS[op]} {right.text})", *left.args, *right.args)
    if op == "ne":
        same = _compare_times("eq", left, right)
        return boolean(f"NOT {same.text}", *same.args)
    a, b = Span.of(left), Span.of(right)
    if op in ("gt", "ge"):
        a, b, op = b, a, TURNED[op]
    if op == "lt":  # the first half follows from the second, and is there for the index
        return both(less("<", a.begin, b.begin), less("<=", a.after, b.begin))
    sign = "=" if op == "eq" else "<="
    return both(less(sign, a.begin, b.begin), less(sign, a.end, b.end))


def arithmetic(op: str, left: Sql, right: Sql, at: str) -> Sql:
    """add, sub, mul, div, mod of numbers; times and durations as OData 4.0, 5.1.1.2 has them."""
    a, b = left.kind, right.kind
    if a in ("time", "interval", "date") and b == "duration" and op in ("add", "sub"):
        sign = ARITHMETIC[op]
        moved = f"({left.text} {sign} {right.text})", (*left.args, *right.args)
        if a == "interval":
            end = f"({left.end} {sign} {right.text})"
            return Sql("interval", *moved, end=end, end_args=(*left.end_args, *right.args), offset=left.offset)
        return Sql("time" if a == "time" else "date", *moved, offset=left.offset)
    if a == "duration" and b in ("time", "interval", "date") and op == "add":
        return arithmetic(op, right, left, at)
    if {a, b} <= {"time", "interval", "date"} and op == "sub":
        return Sql("duration", f"({left.text} - {right.text})", (*left.args, *right.args))
    if a == b == "duration" and op in ("add", "sub"):
        return Sql("duration", f"({left.text} {ARITHMETIC[op]} {right.text})", (*left.args, *right.args))
    if a == "duration" and b == "number" and op in ("mul", "div"):
        return Sql("duration", f"({left.text} {ARITHMETIC[op]} {right.text})", (*left.args, *right.args))
    if a == "number" and b == "duration" and op == "mul":
        return arithmetic(op, right, left, at)
    left, right = left.as_number(at), right.as_number(at)
    if op == "mod":
        return number(f"sta_modulo({left.text}, {right.text})", *left.args, *right.args)
    if op == "div":
        return number(f"(1.0 * {left.text} / {right.text})", *left.args, *right.args)
    return number(f"({left.text} {ARITHMETIC[op]} {right.text})", *left.args, *right.args)


def _conjuncts(node: Node) -> list[Node]:
    found: list[Node] = []
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Binary) and part.op == "and":
            waiting += [part.right, part.left]
        else:
            found.append(part)
    return found


def _paths(node: Node) -> list[Path]:
    found: list[Path] = []
    waiting: list[Any] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Path):
            found.append(part)
        elif isinstance(part, Binary):
            waiting += [part.left, part.right]
        elif isinstance(part, Unary):
            waiting.append(part.operand)
        elif isinstance(part, Call):
            waiting += part.args
    return found
