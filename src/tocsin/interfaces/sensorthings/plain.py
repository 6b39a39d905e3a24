"""Plain Observations as JSON text without an object for each: one template for a page, filled in column by column.

It writes byte for byte what the Shaper writes of the same Observations as entities; the tests hold it to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tocsin.platform.things import Entity, Plain, Query, format_us
from tocsin.platform.things.jsontext import encode
from tocsin.platform.things.query import Expand

Told = Callable[[Entity, Query], str]  # an entity as JSON; inside another one or not is the caller's to know
MARK = "%s"


def told_plain(plain: Plain[Entity], members: Sequence[str], query: Query, *, link: str, whole: Told, inside: Told) -> str:
    """A JSON array of Observations.

    `members` are the names that each may have, in order; `link` is how the address of an Observation begins, up to its bracket.
    """
    if not plain.id:
        return "[]"
    start = encode(f"{link}(")[:-1].replace("%", "%%")
    words: list[str] = []
    columns: list[Iterable[object]] = []
    for name in members:
        if name == "@iot.id":
            words.append(f',"@iot.id":{MARK}')
            columns.append(plain.id)
        elif name == "@iot.selfLink":
            words.append(f',"@iot.selfLink":{start}{MARK})"')
            columns.append(plain.id)
        elif name == "phenomenonTime":
            words.append(f',"phenomenonTime":"{MARK}"')
            columns.append(map(format_us, plain.time_us))
        elif name == "result":
            words.append(f',"result":{MARK}')
            columns.append(encode(plain.value)[1:-1].split(","))
        elif name == "resultTime":
            words.append(f',"resultTime":{MARK}')
            columns.append("null" if us is None else f'"{format_us(us)}"' for us in plain.resulted_us)
        elif name == "resultQuality":
            words.append(MARK)
            columns.append("" if text is None else f',"resultQuality":{text}' for text in plain.quality)
        else:
            words.append(f',"{name}@iot.navigationLink":{start}{MARK})/{name}"')
            columns.append(plain.id)
    for part in query.expand:
        words.append(MARK)
        columns.append(_expanded(plain, part, inside))
    template = "".join(words)
    if template.startswith(","):
        template = f"{{{template[1:]}}}"
        rows = list(map(template.__mod__, zip(*columns, strict=True)))
    else:  # what may be missing comes first: the comma that is one too many is cut from each
        rows = [f"{{{(template % row)[1:]}}}" for row in zip(*columns, strict=True)] if columns else ["{}"] * len(plain.id)
    for place, entity in plain.others.items():
        rows[place] = whole(entity, query)
    return f"[{','.join(rows)}]"


def plain_rows(plain: Plain[Entity], names: Sequence[str]) -> list[Sequence[Any]]:
    """Observations as rows of values that the encoder writes as they are, with the components that a data array has."""
    columns: dict[str, Iterable[Any]] = {
        "id": plain.id,
        "phenomenonTime": map(format_us, plain.time_us),
        "result": plain.value,
        "resultTime": (None if us is None else format_us(us) for us in plain.resulted_us),
        "resultQuality": (None if text is None else msgspec.Raw(text.encode()) for text in plain.quality),
    }
    nothing = (None,) * len(plain.id)
    return list(zip(*(columns.get(name, nothing) for name in names), strict=True)) if names else [()] * len(plain.id)


def _expanded(plain: Plain[Entity], part: Expand, inside: Told) -> Iterable[str]:
    """For each Observation the member with the entity that was expanded, written once for all that share it."""
    found = plain.expanded[part.link]
    told = {id_: f',"{part.link}":{inside(entity, part.query)}' for id_, entity in found.items()}
    if part.link == "MultiDatastream":
        return [""] * len(plain.id)
    ids = plain.stream if part.link == "Datastream" else plain.feature
    return ["" if id_ is None else told.get(id_, "") for id_ in ids]
