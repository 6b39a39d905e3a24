"""Entities and pages as the standard's JSON, with links that lead on. OGC 18-088, 8.1 and 9.3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from tocsin.interfaces.sensorthings.plain import plain_rows, told_plain
from tocsin.platform.things import BY_NAME, Entity, EntityType, Expand, Page, Query
from tocsin.platform.things.jsontext import encode

SAFE = "?$&=/:,;()'@%+*!~-._"
COMPONENTS = ("id", "phenomenonTime", "result", "resultTime", "resultQuality", "validTime", "parameters")


class _Plan:
    """Which members the entities of one kind have in an answer, worked out once for all of them."""

    def __init__(self, kind: EntityType, chosen: tuple[str, ...] | None, is_inside: bool) -> None:
        self.has_id, self.has_self = (chosen is None or name in chosen for name in ("@iot.id", "@iot.selfLink"))
        wanted = [prop for prop in kind.properties if chosen is None or prop.name in chosen]
        self.properties = [(prop.name, prop.shown_null or prop.name == "result") for prop in wanted]
        ways = [way for way in kind.links if (not is_inside if chosen is None else way.name in chosen)]
        self.links = [(way.name, bool(way.column), f"{way.name}@iot.navigationLink") for way in ways]

    @property
    def plain_members(self) -> list[str]:
        """What a plain Observation may have of it: it belongs to a Datastream, and its time is one moment."""
        names = ["@iot.id"] if self.has_id else []
        names += ["@iot.selfLink"] if self.has_self else []
        names += [name for name, _ in self.properties if name not in ("validTime", "parameters")]
        return names + [name for name, _, _ in self.links if name != "MultiDatastream"]


class Shaper:
    """Writes for one root address, such as http://host/sta/v1.1."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._plans: dict[tuple[str, tuple[str, ...] | None, bool], _Plan] = {}

    def self_link(self, entity: Entity) -> str:
        return f"{self.root}/{entity.kind.plural}({entity.id})"

    def entity(self, entity: Entity, query: Query, *, is_inside: bool = False) -> dict[str, Any]:
        """One entity with what its query chose and expanded; inside another one it has no links that nobody chose."""
        plan = self._plan(entity.kind, query, is_inside)
        link, values, keys = self.self_link(entity), entity.values, entity.keys
        told: dict[str, Any] = {}
        if plan.has_id:
            told["@iot.id"] = entity.id
        if plan.has_self:
            told["@iot.selfLink"] = link
        for name, is_shown_null in plan.properties:
            value = values[name]
            if value is not None or is_shown_null:
                told[name] = value
        for name, is_own, member in plan.links:
            if not is_own or keys.get(name) is not None:
                told[member] = f"{link}/{name}"
        for part in query.expand:
            self._expanded(told, entity, part, link)
        return told

    def _plan(self, kind: EntityType, query: Query, is_inside: bool) -> _Plan:
        key = kind.name, query.select, is_inside
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _Plan(kind, query.select, is_inside)
        return plan

    def _list(self, page: Page, query: Query, *, is_inside: bool) -> Any:
        """The entities of a page."""
        if page.plain is None:
            return [self.entity(one, query, is_inside=is_inside) for one in page.entities]
        members = self._plan(page.kind, query, is_inside).plain_members
        text = told_plain(
            page.plain,
            members,
            query,
            link=f"{self.root}/{page.kind.plural}",
            whole=lambda one, inner: encode(self.entity(one, inner, is_inside=is_inside)),
            inside=lambda one, inner: encode(self.entity(one, inner, is_inside=True)),
        )
        return msgspec.Raw(text.encode())

    def _expanded(self, told: dict[str, Any], entity: Entity, part: Expand, link: str) -> None:
        found = entity.expanded.get(part.link)
        if isinstance(found, Entity):
            told[part.link] = self.entity(found, part.query, is_inside=True)
        elif isinstance(found, Page):
            if found.count is not None:
                told[f"{part.link}@iot.count"] = found.count
            told[part.link] = self._list(found, part.query, is_inside=True)
            if found.more:
                told[f"{part.link}@iot.nextLink"] = f"{link}/{part.link}?{_inner_options(part.query, found)}"

    def page(self, page: Page, query: Query, path: str) -> dict[str, Any]:
        """A page of a set; `path` is its address below the root."""
        told = self._frame(page, query, path)
        told["value"] = self._list(page, query, is_inside=False)
        return told

    def references(self, page: Page, query: Query, path: str) -> dict[str, Any]:
        """The addresses of a set's entities, and nothing else of them."""
        told = self._frame(page, query, f"{path}/$ref")
        told["value"] = [{"@iot.selfLink": self.self_link(one)} for one in page.entities]
        return told

    def _frame(self, page: Page, query: Query, path: str) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if page.count is not None:
            told["@iot.count"] = page.count
        if page.more and page.top:
            options = f"{query.text}&" if query.text else ""
            told["@iot.nextLink"] = quote(f"{self.root}/{path}?{options}$skip={page.skip + page.top}", safe=SAFE)
        return told

    def data_array(self, page: Page, query: Query, path: str) -> dict[str, Any]:
        """Observations as rows of values, one table for each stream: OGC 18-088, 12.1."""
        told = self._frame(page, query, path)
        chosen = query.select
        names = COMPONENTS if chosen is None else tuple("id" if name == "@iot.id" else name for name in chosen)
        names = tuple(name for name in names if name == "id" or BY_NAME["Observation"].prop(name) is not None)
        groups: dict[str, list[Sequence[Any]]] = {}
        plain = page.plain
        of_plain = [] if plain is None else plain_rows(plain, names)
        entities = dict(enumerate(page.entities)) if plain is None else plain.others
        for place in range(len(page.entities) if plain is None else len(plain.id)):
            entity = entities.get(place)
            if entity is not None:
                stream = "Datastream" if entity.keys.get("Datastream") is not None else "MultiDatastream"
                key = entity.keys[stream]
                row: Sequence[Any] = [entity.id if name == "id" else entity.values.get(name) for name in names]
            elif plain is not None:
                stream, key, row = "Datastream", plain.stream[place], of_plain[place]
            groups.setdefault(f"{self.root}/{stream}s({key})", []).append(row)
        told["value"] = [
            {
                f"{'Multi' if '/MultiDatastreams(' in link else ''}Datastream@iot.navigationLink": link,
                "components": names,
                "dataArray@iot.count": len(rows),
                "dataArray": rows,
            }
            for link, rows in groups.items()
        ]
        return told


def _inner_options(query: Query, page: Page) -> str:
    """The options of an expanded set, as the address of its next page has them."""
    parts = [f"{name}={quote(value, safe='')}" for name, value in query.given]
    if query.expand:
        parts.append(f"$expand={quote(_expand_text(query), safe='')}")
    return "&".join([*parts, f"$skip={page.skip + page.top}"])


def _expand_text(query: Query) -> str:
    told = []
    for part in query.expand:
        inner = [f"{name}={value}" for name, value in part.query.given]
        if part.query.skip:
            inner.append(f"$skip={part.query.skip}")
        if part.query.expand:
            inner.append(f"$expand={_expand_text(part.query)}")
        told.append(f"{part.link}({';'.join(inner)})" if inner else part.link)
    return ",".join(told)
