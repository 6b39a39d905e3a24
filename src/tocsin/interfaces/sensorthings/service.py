"""One request in, one answer out, without HTTP: what the web server, a batch and an MQTT endpoint have in common."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonpatch
import msgspec

from tocsin.host import Gate
from tocsin.interfaces.sensorthings.conformance import CONFORMANCE, CONFORMANCE_BY_MQTT
from tocsin.interfaces.sensorthings.data_array import create_observations
from tocsin.interfaces.sensorthings.options import NotSupported, parse_options
from tocsin.interfaces.sensorthings.paths import Target, resolve
from tocsin.interfaces.sensorthings.shape import Shaper
from tocsin.platform.things import BY_PLURAL, EntityType, Query, Reader, Things
from tocsin.platform.things.jsontext import check_depth, decode_body, encode_bytes
from tocsin.security.actor import Actor
from tocsin.vocabulary import Conflict, InputError, NotFound, Refused, TocsinError, Unavailable

READ, WRITE = "things.read", "things.write"
BODY_BYTES_MAX = 16 * 1024 * 1024
PATCHES_MAX = 1_000
COPIED_BYTES_MAX = 1024 * 1024
JSON, JSON_PATCH = "application/json", "application/json-patch+json"


class NotAllowed(TocsinError):
    """The method does not go with the address."""


class TooLong(InputError):
    """The body is longer than the service takes."""


STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (Refused, 403),
    (NotFound, 404),
    (NotAllowed, 405),
    (Conflict, 409),
    (TooLong, 413),
    (InputError, 400),
    (NotSupported, 501),
    (Unavailable, 503),
)


class Ask(msgspec.Struct, frozen=True):
    """A request: `path` is below the root, `root` is how links to this service begin, `content_type` is in small letters."""

    method: str
    path: str
    root: str
    query: str = ""
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = {}


class Answer(msgspec.Struct, frozen=True):
    """An answer: its status, its body as bytes, and headers beyond the usual."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = {}


def told(value: Any, status: int = 200, **headers: str) -> Answer:
    """A value as JSON."""
    return Answer(status, encode_bytes(value), headers=headers)


def refusal(fault: TocsinError) -> Answer:
    """What went wrong, as the service says it."""
    status = next((code for kind, code in STATUS if isinstance(fault, kind)), 500)
    return told({"code": status, "type": "error", "message": str(fault)}, status)


class Service:
    """SensorThings over one store. Every request passes the gate; `batch` answers what comes to /$batch."""

    def __init__(self, things: Things, gate: Gate) -> None:
        self.things, self.gate = things, gate
        self.mqtt: tuple[str, ...] = ()
        self.batch: Callable[[Service, Ask, Actor], Answer] | None = None

    def handle(self, ask: Ask, actor: Actor) -> Answer:
        """Answer a request; what is wrong with it is an answer too."""
        try:
            act = READ if ask.method in ("GET", "HEAD") else WRITE
            self.gate.permit(actor, act, f"/{ask.path}"[:200])
            return self._handle(ask, actor)
        except TocsinError as fault:
            return refusal(fault)
        except (RecursionError, OverflowError) as fault:
            return refusal(InputError(f"/{ask.path[:100]}: cannot be handled: {fault}; send less"))

    def _handle(self, ask: Ask, actor: Actor) -> Answer:
        path = ask.path.strip("/")
        if path in ("$batch", "CreateObservations"):
            if ask.method != "POST":
                raise NotAllowed(f"{ask.method} /{path}: wanted POST")
            if path == "CreateObservations":
                made = create_observations(self.things, decode_body(ask.body, where="CreateObservations"), ask.root)
                return told(made, 201)
            if self.batch is None:
                raise NotFound("/$batch: is not served here")
            return self.batch(self, ask, actor)
        match ask.method:
            case "GET" | "HEAD":
                return self.get(ask) if path else landing(ask.root, self.mqtt)
            case "POST":
                return self._post(ask, path)
            case "PATCH":
                return self._patch(ask, path)
            case "PUT":
                return self._change(ask, path, lambda _, body: (body, True))
            case "DELETE":
                return self._delete(path)
            case _:
                raise NotAllowed(f"{ask.method[:20]} /{path}: wanted GET, POST, PATCH, PUT or DELETE")

    # -- read ----------------------------------------------------------------------------------------------------------

    def get(self, ask: Ask) -> Answer:
        """A set, an entity, a property, a value or a reference."""
        shaper, path = Shaper(ask.root), ask.path.strip("/")
        with self.things.reading() as reader:
            target = resolve(path, reader)
            if target.is_nothing:
                return Answer(204)
            if target.inner:
                return _property(target, reader, shaper, ask.query)
            query = parse_options(ask.query, target.kind)
            if target.id is not None:
                return _entity(target, query, reader, shaper)
            page = reader.page(target.within, query, plain=not target.is_ref)
        if target.is_ref:
            return told(shaper.references(page, query, path.removesuffix("/$ref")))
        if query.data_array:
            return told(shaper.data_array(page, query, path))
        return told(shaper.page(page, query, path))

    def entity_json(self, reader: Reader, kind: EntityType, id_: int, root: str, query: Query | None = None) -> dict[str, Any]:
        """One entity as JSON."""
        query = query or Query()
        found = reader.one(kind, id_, query)
        if found is None:
            raise NotFound(f"{kind.plural}({id_}): does not exist")
        return Shaper(root).entity(found, query)

    # -- write ---------------------------------------------------------------------------------------------------------

    def _post(self, ask: Ask, path: str) -> Answer:
        if not path:
            raise NotAllowed("POST /: entities are made in a set, such as /Things")
        body = decode_body(ask.body, where=f"POST /{path}")
        with self.things.writing() as writer:
            with self.things.reading() as reader:
                target = resolve(path, reader)
            if target.id is not None or target.inner or target.is_ref or target.is_nothing:
                raise NotAllowed(f"POST /{path}: entities are made in a set, such as /Things or /Things(1)/Datastreams")
            made = writer.create(target.kind, body, parent=target.parent)
            with self.things.reading() as reader:
                shown = self.entity_json(reader, target.kind, made, ask.root)
        return told(shown, 201, Location=shown["@iot.selfLink"])

    def _patch(self, ask: Ask, path: str) -> Answer:
        if ask.content_type == JSON_PATCH:
            return self._change(ask, path, _patched)
        return self._change(ask, path, lambda _, body: (body, False))

    def _change(self, ask: Ask, path: str, made_of: Callable[[dict[str, Any], Any], tuple[Any, bool]]) -> Answer:
        """Update an entity with what `made_of` makes of the entity as it is and of the body."""
        body = decode_body(ask.body, where=f"{ask.method} /{path}")
        with self.things.writing() as writer:
            target, id_ = self._one(path, ask.method)
            with self.things.reading() as reader:
                before = self.entity_json(reader, target.kind, id_, ask.root) | _links_to_one(reader, target.kind, id_)
            change, whole = made_of(before, body)
            writer.update(target.kind, id_, change, whole=whole)
            with self.things.reading() as reader:
                shown = self.entity_json(reader, target.kind, id_, ask.root)
        return told(shown)

    def _delete(self, path: str) -> Answer:
        with self.things.writing() as writer:
            target, id_ = self._one(path, "DELETE")
            writer.delete(target.kind, id_)
        return Answer(200)

    def _one(self, path: str, method: str) -> tuple[Target, int]:
        with self.things.reading() as reader:
            target = resolve(path, reader) if path else None
        if target is None or target.id is None or target.inner or target.is_ref or target.is_nothing:
            raise NotAllowed(f"{method} /{path}: wanted the address of one entity, such as /Things(1)")
        return target, target.id


def landing(root: str, mqtt: Sequence[str] = ()) -> Answer:
    """The first page: the sets, and which requirements hold; `mqtt` are the addresses of the MQTT endpoint, if there is one."""
    value = [{"name": plural, "url": f"{root.rstrip('/')}/{plural}"} for plural in BY_PLURAL]
    settings: dict[str, Any] = {"conformance": CONFORMANCE}
    if mqtt:
        settings["conformance"] = (*CONFORMANCE, *CONFORMANCE_BY_MQTT)
        settings |= {name: {"endpoints": tuple(mqtt)} for name in CONFORMANCE_BY_MQTT}
    return told({"value": value, "serverSettings": settings})


def _entity(target: Target, query: Query, reader: Reader, shaper: Shaper) -> Answer:
    for name, given in (("$filter", query.filter), ("$orderby", query.orderby), ("$top", query.top is not None)):
        if given:
            raise InputError(f"{name}: this is one {target.kind.name}; such an option wants a set")
    found = reader.one(target.kind, target.id or 0, query, plain=True)
    if found is None:
        raise NotFound(f"{target.kind.plural}({target.id}): does not exist")
    return told({"@iot.selfLink": shaper.self_link(found)} if target.is_ref else shaper.entity(found, query))


def _property(target: Target, reader: Reader, shaper: Shaper, options: str) -> Answer:
    """A property as a JSON object with its name, or its bare value; 204 where there is none."""
    if options:
        raise InputError("options: the address of a property takes none")
    name, *inner = target.inner
    found = reader.one(target.kind, target.id or 0, Query(select=(name,)))
    if found is None:
        raise NotFound(f"{target.kind.plural}({target.id}): does not exist")
    own = {"@iot.id": found.id, "@iot.selfLink": shaper.self_link(found)}
    value: Any = own[name] if name in own else found.values[name]
    for step in inner:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise NotFound(f"{target.kind.plural}({target.id})/{'/'.join(target.inner)}: there is no {step[:60]!r}")
    if value is None:
        return Answer(204)
    if not target.is_value:
        return told({target.label: value})
    if isinstance(value, dict | list):
        return told(value)
    text = value if isinstance(value, str) else encode_bytes(value).decode()
    return Answer(200, text.encode(), "text/plain; charset=utf-8")


def _links_to_one(reader: Reader, kind: EntityType, id_: int) -> dict[str, Any]:
    """The entities to which one is linked by a key of its own, as a body names them: what a JSON Patch can test and replace."""
    found = reader.one(kind, id_, Query())
    keys = {} if found is None else found.keys
    return {link.name: {"@iot.id": keys[link.name]} for link in kind.links if link.column and keys.get(link.name) is not None}


def _patched(before: dict[str, Any], body: Any) -> tuple[Any, bool]:
    """What a JSON Patch (RFC 6902) changes."""
    document: Any = {name: value for name, value in before.items() if not name.startswith("@iot.") and "@iot." not in name}
    if not isinstance(body, list) or len(body) > PATCHES_MAX:
        raise InputError(f"JSON Patch: wanted a list of at most {PATCHES_MAX:,} operations (RFC 6902)")
    most = len(encode_bytes(document)) + COPIED_BYTES_MAX
    after = copy.deepcopy(document)
    try:
        for operation in body:
            after = jsonpatch.JsonPatch([operation]).apply(after, in_place=True)
            is_copy = isinstance(operation, dict) and operation.get("op") == "copy"
            if is_copy and len(encode_bytes(after)) > most:  # forty copies of a whole into itself would fill the memory
                raise TooLong(f"JSON Patch: copies over {COPIED_BYTES_MAX:,} bytes; send them as values")
    except TooLong:
        raise
    except (
        jsonpatch.JsonPatchException,
        jsonpatch.JsonPointerException,
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
    ) as fault:
        raise InputError(f"JSON Patch: cannot be applied: {type(fault).__name__}: {str(fault)[:200]}") from fault
    check_depth(after, where="JSON Patch")
    if not isinstance(after, dict):
        raise InputError("JSON Patch: makes something else of the entity than an object")
    names = [*after, *(name for name in document if name not in after)]
    changed = {name: after.get(name) for name in names if name not in document or document[name] != after.get(name)}
    return changed, False
