"""Entities out of the tables: a page of a set, one entity, and what is expanded, with one query for each relation and level."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tocsin.platform.things.jsontext import decode
from tocsin.platform.things.model import BY_NAME, EntityType, Kind, Link, Property
from tocsin.platform.things.plain import COLUMNS, Plain, is_all_plain, is_plain_query
from tocsin.platform.things.query import Binary, Call, Expand, Node, Path, Query, Unary
from tocsin.platform.things.streams import shown_area
from tocsin.platform.things.times import format_us, format_when
from tocsin.platform.things.translate import Translator


@dataclass(slots=True)
class Entity:
    """One entity as it was read: its values by property, what leads on, and what was expanded."""

    kind: EntityType
    id: int
    values: dict[str, Any]
    keys: dict[str, int | None] = field(default_factory=dict)
    expanded: dict[str, Page | Entity | None] = field(default_factory=dict)


@dataclass
class Page:
    """A part of a set: its entities, whether there are more, and how many there are in all if that was asked.

    A page that was asked for as `plain` may have its Observations there, column by column, and no entities.
    """

    kind: EntityType
    entities: list[Entity]
    more: bool
    count: int | None
    top: int
    skip: int
    plain: Plain[Entity] | None = None


@dataclass(frozen=True)
class Limits:
    """How many entities a page has: by itself, and at most."""

    page: int = 100
    page_most: int = 1_000


class Within(msgspec.Struct, frozen=True):
    """The set of all entities of a kind, or of those that are linked to one entity."""

    kind: EntityType
    link: Link | None = None
    parent: int = 0


def columns_of(prop: Property) -> tuple[str, ...]:
    """The columns that hold a property."""
    stem = prop.column
    match prop.kind:
        case Kind.INSTANT:
            return f"{stem}_us", f"{stem}_text"
        case Kind.WHEN | Kind.INTERVAL:
            return f"{stem}_us", f"{stem}_end_us", f"{stem}_text"
        case Kind.RESULT:
            return "value", stem
        case _:
            return (stem,)


def _instant(us: int | None, text: str | None) -> str | None:
    return None if us is None else text or format_us(us)


def _when(us: int | None, end_us: int | None, text: str | None) -> str | None:
    if us is None:
        return None
    return text or (format_us(us) if end_us is None else format_when(us, end_us))


def _result(value: float | int | None, text: str | None) -> Any:
    return value if text is None else decode(text)


def _json(text: str | None) -> Any:
    return None if text is None else decode(text)


def _same(text: str | None) -> str | None:
    return text


READERS: dict[Kind, Callable[..., Any]] = {
    Kind.TEXT: _same,
    Kind.INSTANT: _instant,
    Kind.WHEN: _when,
    Kind.INTERVAL: _when,
    Kind.RESULT: _result,
    Kind.SHAPE: _json,
    Kind.OBJECT: _json,
    Kind.LIST: _json,
    Kind.ANY: _json,
}


class Reader:
    """Reads through one connection; `now_us` is what now() means in this request."""

    def __init__(self, db: sqlite3.Connection, limits: Limits, *, now_us: int) -> None:
        self.db, self.limits, self.now_us = db, limits, now_us

    def exists(self, kind: EntityType, id_: int) -> bool:
        return self.db.execute(f"SELECT 1 FROM {kind.table} WHERE id = ?", (id_,)).fetchone() is not None

    def linked(self, owner: EntityType, link: Link, parent: int) -> int | None:
        """The id of the one entity that a way to one leads to."""
        row = self.db.execute(f"SELECT {link.column} FROM {owner.table} WHERE id = ?", (parent,)).fetchone()
        return None if row is None else row[0]

    def is_within(self, within: Within, id_: int) -> bool:
        """True if the entity is one of the set."""
        condition, args = _membership(within, "e")
        sql = f"SELECT 1 FROM {within.kind.table} e WHERE e.id = ? AND {condition}"
        return self.db.execute(sql, (id_, *args)).fetchone() is not None

    def one(self, kind: EntityType, id_: int, query: Query, *, plain: bool = False) -> Entity | None:
        """One entity by its id."""
        shape = _Shape(kind, query)
        row = self.db.execute(f"SELECT {shape.columns('e')} FROM {kind.table} e WHERE e.id = ?", (id_,)).fetchone()
        if row is None:
            return None
        entity = shape.entity(row)
        self._expand([entity], kind, query.expand, plain)
        return entity

    def page(self, within: Within, query: Query, *, plain: bool = False) -> Page:
        """A page of a set. `plain`: where its Observations are numbers at moments it may have columns in place of entities."""
        top = min(self.limits.page if query.top is None else query.top, self.limits.page_most)
        plan = _Plan(within.kind, query, self.now_us, within.link)
        condition, args = _membership(within, "e")
        where, where_args = plan.where(condition, args)
        count = self._count(within, query, plan, where, where_args) if query.count else None
        rank = _rank_join(within, "e")
        order = plan.order(rank[1])
        of = f"FROM {within.kind.table} e {rank[0]} {plan.joins} WHERE {where}{order.text} LIMIT ? OFFSET ?"
        args = (*rank[2], *where_args, *order.args, top + 1, query.skip)
        if plain and is_plain_query(within.kind, query):
            rows = self.db.execute(f"SELECT {_names(COLUMNS, 'e')} {of}", args).fetchall()
            return Page(within.kind, [], len(rows) > top, count, top, query.skip, self._plain(rows[:top], query))
        shape = _Shape(within.kind, query)
        entities = [shape.entity(row) for row in self.db.execute(f"SELECT {shape.columns('e')} {of}", args)]
        more = len(entities) > top
        entities = entities[:top]
        self._expand(entities, within.kind, query.expand, plain)
        return Page(within.kind, entities, more, count, top, query.skip)

    def _plain(self, rows: Sequence[tuple[Any, ...]], query: Query) -> Plain[Entity]:
        """Observations as columns, with what is expanded of them; those that are no plain numbers are read as entities."""
        found: Plain[Entity] = Plain.of(rows)
        kind = BY_NAME["Observation"]
        if not is_all_plain(found):
            others = [found.id[place] for place, is_plain in enumerate(found.is_plain) if not is_plain]
            by_id = self._by_id(kind, others, query)
            self._expand(list(by_id.values()), kind, query.expand)
            found.others = {place: by_id[id_] for place, id_ in enumerate(found.id) if id_ in by_id}
        for part in query.expand:
            ids = {"Datastream": found.stream, "FeatureOfInterest": found.feature}.get(part.link, ())
            target = BY_NAME[part.link]
            found.expanded[part.link] = self._by_id(target, sorted({id_ for id_ in ids if id_ is not None}), part.query)
            self._expand(list(found.expanded[part.link].values()), target, part.query.expand)
        return found

    def _by_id(self, kind: EntityType, ids: Sequence[int], query: Query) -> dict[int, Entity]:
        """Entities by their ids, in any order, those that the query's filter leaves."""
        shape, plan = _Shape(kind, query), _Plan(kind, query, self.now_us)
        where, args = plan.where("e.id IN (SELECT value FROM json_each(?))", (_json_list(ids),))
        sql = f"SELECT {shape.columns('e')} FROM {kind.table} e {plan.joins} WHERE {where}"
        return {row[0]: shape.entity(row) for row in self.db.execute(sql, args)}

    def _count(self, within: Within, query: Query, plan: _Plan, where: str, args: Sequence[Any]) -> int:
        if within.kind.name == "Observation" and query.filter is None:
            return self._count_observations(within)
        rank = _rank_join(within, "e")
        sql = f"SELECT count(*) FROM {within.kind.table} e {rank[0]} {plan.joins} WHERE {where}"
        return int(self.db.execute(sql, (*rank[2], *args)).fetchone()[0])

    def _count_observations(self, within: Within) -> int:
        """From the counts that are kept for each stream: counting ten million rows would take a second."""
        sql = "SELECT coalesce(sum(count), 0) FROM stream_feature"
        args: tuple[Any, ...] = ()
        if within.link is not None and within.link.back == "feature_id":
            sql, args = f"{sql} WHERE feature_id = ?", (within.parent,)
        elif within.link is not None:
            stream = "Datastream" if within.link.back == "datastream_id" else "MultiDatastream"
            sql, args = f"{sql} WHERE stream = ? AND stream_id = ?", (stream, within.parent)
        return int(self.db.execute(sql, args).fetchone()[0])

    # -- what comes along ----------------------------------------------------------------------------------------------

    def _expand(self, parents: list[Entity], kind: EntityType, expand: Sequence[Expand], plain: bool = False) -> None:
        for part in expand:
            link = kind.link(part.link)
            if link is None or not parents:
                continue
            if link.many:
                self._expand_many(parents, link, part.query, plain)
            else:
                self._expand_one(parents, link, part.query, plain)

    def _expand_one(self, parents: list[Entity], link: Link, query: Query, plain: bool) -> None:
        kind = BY_NAME[link.target]
        ids = sorted({key for parent in parents if (key := parent.keys.get(link.name)) is not None})
        found = self._by_id(kind, ids, query)
        self._expand(list(found.values()), kind, query.expand, plain)
        for parent in parents:
            key = parent.keys.get(link.name)
            parent.expanded[link.name] = None if key is None else found.get(key)

    def _expand_many(self, parents: list[Entity], link: Link, query: Query, plain: bool) -> None:
        """The first of each parent's set, in one statement: for each parent the index gives the ids, then the rows are fetched."""
        kind = BY_NAME[link.target]
        top = min(self.limits.page if query.top is None else query.top, self.limits.page_most)
        shape = _Shape(kind, query)
        plan = _Plan(kind, query, self.now_us, link)
        if link.back:
            source, key = f"{kind.table} e", f"e.{link.back} = p.value"
            rank = ""
        else:
            between, own, other = link.via
            source, key = f"{between} v JOIN {kind.table} e ON e.id = v.{other}", f"v.{own} = p.value"
            rank = f"v.{link.rank}" if link.rank else ""
        where, args = plan.where(key, ())
        order = plan.order(rank)
        if plain and link.back and is_plain_query(kind, query):
            self._expand_plain(parents, link, query, plan, top)
            return
        children: dict[int, list[Entity]] = {parent.id: [] for parent in parents}
        ids = _json_list(list(children))
        if rank:  # the same entity may stand in several places of one list
            inner = f"SELECT group_concat(id) FROM (SELECT e.id AS id FROM {source} {plan.joins} WHERE {where}{order.text} LIMIT ? OFFSET ?)"
            pairs = [
                (parent, int(child))
                for parent, listed in self.db.execute(
                    f"SELECT p.value, ({inner}) FROM json_each(?) p", (*args, *order.args, top + 1, query.skip, ids)
                )
                for child in (listed or "").split(",")
                if child
            ]
            wanted = _json_list(sorted({child for _, child in pairs}))
            sql = f"SELECT {shape.columns('e')} FROM {kind.table} e WHERE e.id IN (SELECT value FROM json_each(?))"
            by_id = {row[0]: shape.entity(row) for row in self.db.execute(sql, (wanted,))}
            for parent, child in pairs:
                children[parent].append(by_id[child])
        else:
            inner = f"SELECT e.id FROM {source} {plan.joins} WHERE {where}{order.text} LIMIT ? OFFSET ?"
            sql = f"SELECT {shape.columns('c')}, p.value FROM json_each(?) p CROSS JOIN {kind.table} c ON c.id IN ({inner})"
            rows = self.db.execute(sql, (ids, *args, *order.args, top + 1, query.skip)).fetchall()
            for row in rows:
                children[row[-1]].append(shape.entity(row))
            self._sort(children, kind, plan)
        counts = self._counts(source, key, plan, ids) if query.count else {}
        kept: dict[int, Entity] = {}
        for parent in parents:
            listed = children[parent.id]
            page = Page(kind, listed[:top], len(listed) > top, counts.get(parent.id, 0) if query.count else None, top, query.skip)
            parent.expanded[link.name] = page
            kept |= {id(child): child for child in page.entities}
        self._expand(list(kept.values()), kind, query.expand, plain)

    def _expand_plain(self, parents: list[Entity], link: Link, query: Query, plan: _Plan, top: int) -> None:
        """The Observations of each parent as columns, by a statement for each, which the index answers in its order."""
        where, args = plan.where(f"e.{link.back} = ?", ())
        order = plan.order("")
        sql = f"SELECT {_names(COLUMNS, 'e')} FROM observation e {plan.joins} WHERE {where}{order.text} LIMIT ? OFFSET ?"
        counts: dict[int, int] = {}
        if query.count:
            ids = _json_list([parent.id for parent in parents])
            counts = self._counts("observation e", f"e.{link.back} = p.value", plan, ids)
        for parent in parents:
            rows = self.db.execute(sql, (parent.id, *args, *order.args, top + 1, query.skip)).fetchall()
            count = counts.get(parent.id, 0) if query.count else None
            plain = self._plain(rows[:top], query)
            parent.expanded[link.name] = Page(BY_NAME["Observation"], [], len(rows) > top, count, top, query.skip, plain)

    def _sort(self, children: dict[int, list[Entity]], kind: EntityType, plan: _Plan) -> None:
        """Put each list into the order that its query has: SQLite gives the rows of an `IN` by their ids."""
        if not plan.query.orderby and not plan.is_by_time:
            return
        ids = sorted({child.id for listed in children.values() for child in listed})
        order = plan.order("")
        sql = f"SELECT e.id FROM {kind.table} e {plan.joins} WHERE e.id IN (SELECT value FROM json_each(?)){order.text}"
        place = {row[0]: number for number, row in enumerate(self.db.execute(sql, (_json_list(ids), *order.args)))}
        for listed in children.values():
            listed.sort(key=lambda child: place[child.id])

    def _counts(self, source: str, key: str, plan: _Plan, ids: str) -> dict[int, int]:
        where, args = plan.where(key, ())
        inner = f"SELECT count(*) FROM {source} {plan.joins} WHERE {where}"
        return dict(self.db.execute(f"SELECT p.value, ({inner}) FROM json_each(?) p", (*args, ids)).fetchall())


class _Piece(msgspec.Struct, frozen=True):
    text: str
    args: tuple[Any, ...] = ()


class _Plan:
    """The joins, the conditions and the order of one query."""

    def __init__(self, kind: EntityType, query: Query, now_us: int, link: Link | None = None) -> None:
        self.query, self.is_by_time = query, _by_time(kind, query, link)
        translator = Translator(kind, "e", now_us=now_us)
        self._filter = None if query.filter is None else translator.condition(query.filter)
        self._keys = [(key, part.descending) for part in query.orderby for key in translator.order(part.by)]
        self._scope = translator.one

    @property
    def joins(self) -> str:
        return " ".join(self._scope.joins)

    def where(self, condition: str, args: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
        if self._filter is None:
            return condition, tuple(args)
        return f"{condition} AND ({self._filter.text})", (*args, *self._filter.args)

    def order(self, rank: str) -> _Piece:
        """The order that was asked for, and then one that is always the same."""
        keys = [(key.plain(), descending) for key, descending in self._keys]
        words = [f"{_sortable(key.text)}{' DESC' if descending else ''}" for key, descending in keys]
        args = tuple(a for key, _ in keys for a in key.args)
        backwards = bool(self.query.orderby) and all(part.descending for part in self.query.orderby)
        last = "e.id DESC" if backwards else "e.id"  # an index that is read backwards gives the ids backwards too
        if not words and rank:
            words = [rank]
        if not words and self.is_by_time:
            words = ["e.phenomenon_us"]
        return _Piece(f" ORDER BY {', '.join([*words, last])}", args)


def _sortable(text: str) -> str:
    """A sort key that SQLite cannot take for the number of a column, as it takes a whole number that it has worked out."""
    return text if "." in text and text.replace(".", "").isidentifier() else f"coalesce({text}, NULL)"


STREAM_KEYS = ("datastream_id", "multi_datastream_id")
TIMED_PATHS = {
    ("phenomenonTime",),
    *((stream, name) for stream in ("Datastream", "MultiDatastream") for name in ("id", "@iot.id")),
}


def _by_time(kind: EntityType, query: Query, link: Link | None) -> bool:
    """Observations of one stream, or where a filter asks for times, come by their time: that is the order of the index that has them."""
    if kind.name != "Observation" or query.orderby:
        return False
    if link is not None and link.back in STREAM_KEYS:
        return True
    waiting: list[Node] = [] if query.filter is None else [query.filter]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Path):
            if node.parts in TIMED_PATHS:
                return True
        elif isinstance(node, Binary):
            waiting += [node.left, node.right]
        elif isinstance(node, Unary):
            waiting.append(node.operand)
        elif isinstance(node, Call):
            waiting += node.args
    return False


class _Shape:
    """Which columns a query needs of a kind, and how a row becomes an entity."""

    def __init__(self, kind: EntityType, query: Query) -> None:
        self.kind = kind
        chosen = query.select
        keys = [link for link in kind.links if link.column]
        self._key_names = [link.name for link in keys]
        names = ["id", *(link.column for link in keys)]
        self._parts: list[
            tuple[str, Callable[..., Any], int, int, bool]
        ] = []  # the last: whether a first column of NULL says all
        for prop in kind.properties:
            if chosen is not None and prop.name not in chosen:
                continue
            columns = columns_of(prop)
            reader = shown_area if prop.is_box else READERS[prop.kind]
            self._parts.append((prop.name, reader, len(names), len(names) + len(columns), prop.kind is not Kind.RESULT))
            names += columns
        self._names = names

    def columns(self, alias: str) -> str:
        return _names(self._names, alias)

    def entity(self, row: Sequence[Any]) -> Entity:
        values = {
            name: None if plain and row[begin] is None else reader(*row[begin:end])
            for name, reader, begin, end, plain in self._parts
        }
        return Entity(self.kind, row[0], values, dict(zip(self._key_names, row[1:], strict=False)))


def _names(columns: Sequence[str], alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in columns)


def _membership(within: Within, alias: str) -> tuple[str, tuple[Any, ...]]:
    """What makes an entity one of the set."""
    link = within.link
    if link is None:
        return "1", ()
    if link.back:
        return f"{alias}.{link.back} = ?", (within.parent,)
    between, own, other = link.via
    return f"{alias}.id IN (SELECT {other} FROM {between} WHERE {own} = ?)", (within.parent,)


def _rank_join(within: Within, alias: str) -> tuple[str, str, tuple[Any, ...]]:
    """A ranked set as a join, the column that ranks it, and the parameters."""
    link = within.link
    if link is None or not link.rank:
        return "", "", ()
    between, own, other = link.via
    return f"JOIN {between} v ON v.{other} = {alias}.id AND v.{own} = ?", f"v.{link.rank}", (within.parent,)


def _json_list(ids: Sequence[int]) -> str:
    return msgspec.json.encode(ids).decode()
