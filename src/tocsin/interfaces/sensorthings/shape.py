"""Entities and pages as the standard's JSON, with links that lead on. OGC 18-088, 8.1 and 9.3."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tocsin.platform.things import BY_NAME, Entity, EntityType, Expand, Page, Query

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


class Shaper:
    """Writes for one root address, such as http://host/sta/v1.1."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._plans: dict[tuple[str, tuple[str, ...] | None, bool], _Plan] = {}

    def self_link(self, entity: Entity) -> str:
        return f"{self.root}/{entity.kind.plural}({entity.id})"

    def entity(self, entity: Entity, query: Query, *, is_inside: bool = False) -> dict[str, Any]:
        """One entity with what its query chose and expanded; inside another one it has no links that nobody chose."""
        key = entity.kind.name, query.select, is_inside
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _Plan(entity.kind, query.select, is_inside)
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

    def _expanded(self, told: dict[str, Any], entity: Entity, part: Expand, link: str) -> None:
        found = entity.expanded.get(part.link)
        if isinstance(found, Entity):
            told[part.link] = self.entity(found, part.query, is_inside=True)
        elif isinstance(found, Page):
            if found.count is not None:
                told[f"{part.link}@iot.count"] = found.count
            told[part.link] = [self.entity(one, part.query, is_inside=True) for one in found.entities]
            if found.more:
                told[f"{part.link}@iot.nextLink"] = f"{link}/{part.link}?{_inner_options(part.query, found)}"

    def page(self, page: Page, query: Query, path: str) -> dict[str, Any]:
        """A page of a set; `path` is its address below the root."""
        told = self._frame(page, query, path)
        told["value"] = [self.entity(one, query) for one in page.entities]
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
        groups: dict[str, list[list[Any]]] = {}
        for entity in page.entities:
            stream = "Datastream" if entity.keys.get("Datastream") is not None else "MultiDatastream"
            link = f"{self.root}/{stream}s({entity.keys[stream]})"
            row = [entity.id if name == "id" else entity.values.get(name) for name in names]
            groups.setdefault(link, []).append(row)
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
