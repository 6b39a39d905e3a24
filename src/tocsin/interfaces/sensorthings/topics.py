"""SensorThings over MQTT without the MQTT: which message a change gives to a topic, and what a message to a topic makes.

A topic is an address below v1.1/: OGC 18-088, 13 and 14. `v1.1/Datastreams(1)/Observations`, `v1.1/Things(1)`,
`v1.1/Things(1)/name`, `v1.1/Observations?$select=result`.
"""

from __future__ import annotations

from tocsin.interfaces.sensorthings.options import parse_options
from tocsin.interfaces.sensorthings.paths import resolve
from tocsin.interfaces.sensorthings.service import READ, Answer, Ask, Service, told
from tocsin.platform.things import Change, Query
from tocsin.platform.things.jsontext import encode_bytes
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError, NotFound, TocsinError

PREFIX = "v1.1/"


class Topics:
    """Speaks of topics for one service; `root` is how links in the messages begin."""

    def __init__(self, service: Service, root: str) -> None:
        self.service, self.root = service, root

    def check(self, topic: str, actor: Actor) -> None:
        """Return if somebody may subscribe to a topic and it could ever be heard; raises InputError, NotFound, Refused."""
        self.service.gate.permit(actor, READ, topic[:200])
        path, options = _cut(topic)
        with self.service.things.reading() as reader:
            target = resolve(path, reader)
            _check_options(parse_options(options, target.kind))

    def matches(self, topic: str, change: Change) -> bytes | None:
        """The message that a change gives to a topic, or None. What was deleted gives none: the standard has none for it."""
        if change.what == "deleted":
            return None
        try:
            path, options = _cut(topic)
            with self.service.things.reading() as reader:
                target = resolve(path, reader)
                if target.kind.plural != change.plural:
                    return None
                if target.inner:
                    if target.id != change.id or target.inner[0] not in change.fields:
                        return None
                    found = reader.one(target.kind, change.id, Query(select=(target.inner[0],)))
                    return None if found is None else encode_bytes({target.inner[0]: found.values.get(target.inner[0])})
                query = parse_options(options, target.kind)
                _check_options(query)
                if target.id is not None and target.id != change.id:
                    return None
                if target.id is None and not reader.is_within(target.within, change.id):
                    return None
                return encode_bytes(self.service.entity_json(reader, target.kind, change.id, self.root, query))
        except TocsinError:
            return None

    def create_from_topic(self, topic: str, payload: bytes, actor: Actor) -> Answer:
        """Make what a message to a set of Observations says, as a POST to that address would; the answer says what became of it."""
        path, options = _cut(topic)
        if options or path.rpartition("/")[2] != "Observations":
            fault = f"{topic[:100]}: a message makes Observations only; wanted such as v1.1/Datastreams(1)/Observations"
            return told({"code": 400, "type": "error", "message": fault}, 400)
        return self.service.handle(Ask("POST", path, self.root, body=payload), actor)


def _cut(topic: str) -> tuple[str, str]:
    if not topic.startswith(PREFIX):
        raise NotFound(f"{topic[:100]}: wanted a topic that begins with {PREFIX}")
    path, _, options = topic.removeprefix(PREFIX).partition("?")
    return path, options


def _check_options(query: Query) -> None:
    if query.filter is not None or query.expand or query.orderby or query.count or query.top is not None or query.skip:
        raise InputError("topic: wanted $select and no other option")
