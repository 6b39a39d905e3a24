"""SensorThings over an MQTT endpoint: messages make Observations, and changes are told to who subscribed. OGC 18-088, 13 and 14."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from tocsin.edge.ingest import Message, Outcome, Result
from tocsin.edge.mqtt.endpoint import Endpoint
from tocsin.interfaces.sensorthings.service import Service
from tocsin.interfaces.sensorthings.topics import PREFIX, Topics
from tocsin.platform.things import Change

log = logging.getLogger(__name__)

CHANGES_WAITING_MOST = 10_000
OUTCOMES = {403: Outcome.REFUSED, 429: Outcome.OVERLOAD, 503: Outcome.FAILED}


class OverMqtt:
    """Joins a service and an endpoint; made on the endpoint's event loop. `root` is how links in the messages begin."""

    def __init__(self, service: Service, endpoint: Endpoint, root: str) -> None:
        self._service, self._endpoint, self._topics = service, endpoint, Topics(service, root)
        self._loop = asyncio.get_running_loop()
        self._changes: asyncio.Queue[Change] = asyncio.Queue(CHANGES_WAITING_MOST)
        self._is_dropping = False
        endpoint.on_publish(f"{PREFIX}#", self._create, passes_on=False)  # subscribers get the whole entity

    async def run(self) -> None:
        """Tell subscribers what has changed, until cancelled."""
        self._service.things.changed.append(self._changed)
        try:
            while True:
                change = await self._changes.get()
                asked = [t for t in self._endpoint.filters_below(PREFIX.rstrip("/")) if not {"+", "#"} & set(t)]
                if asked:
                    for topic, payload in await asyncio.to_thread(self._messages, asked, change):
                        self._endpoint.publish(topic, payload)
        finally:
            self._service.things.changed.remove(self._changed)

    async def _create(self, messages: Sequence[Message]) -> list[Result]:
        return await asyncio.to_thread(lambda: [self._created(message) for message in messages])

    def _created(self, message: Message) -> Result:
        answer = self._topics.create_from_topic(message.topic, message.payload, message.actor)
        if answer.status < 300:
            return Result(Outcome.STORED, "", 1)
        return Result(OUTCOMES.get(answer.status, Outcome.MALFORMED), answer.body.decode(errors="replace")[:200], 0)

    def _messages(self, topics: Sequence[str], change: Change) -> list[tuple[str, bytes]]:
        made = ((topic, self._topics.matches(topic, change)) for topic in topics)
        return [(topic, payload) for topic, payload in made if payload is not None]

    def _changed(self, change: Change) -> None:
        self._loop.call_soon_threadsafe(self._keep, change)

    def _keep(self, change: Change) -> None:
        """Keep a change for the subscribers; what is too much is dropped and said once, for they can ask by HTTP."""
        if not self._changes.full():
            self._is_dropping = False
            self._changes.put_nowait(change)
        elif not self._is_dropping:
            self._is_dropping = True
            log.warning("things_changes_dropped", extra={"waiting": self._changes.qsize()})
