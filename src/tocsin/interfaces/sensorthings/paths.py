"""An address as the standard writes it: sets, ids in brackets, relations, properties, $value and $ref. OGC 18-088, 9.2."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

from tocsin.platform.things import BY_NAME, BY_PLURAL, EntityType, Link, Reader, Within
from tocsin.platform.things.check import ID_MOST
from tocsin.vocabulary import NotFound

SEGMENTS_MAX = 20
_SEGMENT = re.compile(r"([A-Za-z]+)(?:\((.*)\))?", re.DOTALL)
_INDEX = re.compile(r"\[(\d{1,9})\]")


class Target(msgspec.Struct, frozen=True):
    """What an address names: a set, or with `id` one entity, or with `inner` a property of it; `nothing` is a relation to none."""

    within: Within
    id: int | None = None
    inner: tuple[str, ...] = ()
    label: str = ""
    is_value: bool = False
    is_ref: bool = False
    is_nothing: bool = False

    @property
    def kind(self) -> EntityType:
        return self.within.kind

    @property
    def parent(self) -> tuple[Link, int] | None:
        """The relation and the entity that a set hangs on."""
        return None if self.within.link is None else (self.within.link, self.within.parent)


def resolve(path: str, reader: Reader) -> Target:
    """Walk an address; raises NotFound for what is not there, with what could be."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if len(parts) > SEGMENTS_MAX:
        raise NotFound(f"/{path[:100]}: has more than {SEGMENTS_MAX} parts")
    name, id_ = _cut(parts[0])
    kind = BY_PLURAL.get(name)
    if kind is None:
        raise NotFound(f"/{parts[0][:60]}: there is no such set; there are: {', '.join(BY_PLURAL)}")
    target = _pick(Target(Within(kind)), id_, reader, parts[0])
    for place, part in enumerate(parts[1:], start=1):
        last = place == len(parts) - 1
        if part == "$ref" and last and not target.inner:
            return msgspec.structs.replace(target, is_ref=True)
        if part == "$value" and last and target.inner:
            return msgspec.structs.replace(target, is_value=True)
        if target.id is None:
            raise NotFound(
                f"/{part[:60]}: a set of {target.kind.plural} has no parts; wanted {target.kind.plural}(1)/{part[:30]}"
            )
        target = _step(target, part, reader)
    return target


def _step(target: Target, part: str, reader: Reader) -> Target:
    """One relation or property further."""
    assert target.id is not None
    if target.inner:
        return _inside(target, part)
    name, id_ = _cut(part)
    link = target.kind.link(name)
    if link is not None:
        kind = BY_NAME[link.target]
        if link.many:
            return _pick(Target(Within(kind, link, target.id)), id_, reader, part)
        found = reader.linked(target.kind, link, target.id)
        if id_ or found is None:
            return Target(Within(kind), 0, is_nothing=True) if not id_ else _none(part)
        return Target(Within(kind), found)
    return _inside(target, part)


def _inside(target: Target, part: str) -> Target:
    """A property, or a key or a place inside one."""
    name, *places = re.split(r"(?=\[)", part)
    if not target.inner:
        name = "@iot.id" if name == "id" else name
        if target.kind.prop(name) is None and name not in ("@iot.id", "@iot.selfLink"):
            raise NotFound(
                f"/{part[:60]}: is neither a property nor a relation of {target.kind.name}; it has: {target.kind.words}"
            )
    steps = [name]
    for place in places:
        match = _INDEX.fullmatch(place)
        if match is None:
            raise NotFound(f"/{part[:60]}: wanted a whole number in the square brackets")
        steps.append(match.group(1))
    label = part if places or target.inner else name
    return msgspec.structs.replace(target, inner=(*target.inner, *steps), label=label)


def _cut(part: str) -> tuple[str, str]:
    match = _SEGMENT.fullmatch(part)
    if match is None:
        return part, ""
    return match.group(1), "" if match.group(2) is None else match.group(2) or " "


def _pick(target: Target, id_: str, reader: Reader, part: str) -> Target:
    """One entity of a set, if an id is given."""
    if not id_:
        return target
    if not re.fullmatch(r"\d{1,16}", id_, re.ASCII) or not 1 <= int(id_) <= ID_MOST:
        raise NotFound(f"/{part[:60]}: wanted a whole number from 1 as the id")
    if not reader.is_within(target.within, int(id_)):
        return _none(part)
    return Target(Within(target.kind), int(id_))


def _none(part: str) -> Target:
    raise NotFound(f"/{part[:60]}: does not exist there")
