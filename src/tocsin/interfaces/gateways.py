"""The ways in and out of a running platform beside the console: readings by HTTP and MQTT, SensorThings by MQTT, warnings to subscribers.

All of them share one `Ingest`, so an acknowledgement says the same everywhere: the readings are on disk.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from starlette.routing import Route

from tocsin.edge.ingest import Ingest, Message, Outcome
from tocsin.edge.ingest_http import Headers, HttpIngest
from tocsin.edge.mqtt.acl import Access, Acl, Grant
from tocsin.edge.mqtt.endpoint import Endpoint, Login
from tocsin.edge.status import counts
from tocsin.host import Entry
from tocsin.interfaces.http.guard import NoSession
from tocsin.interfaces.sensorthings.credentials import Credentials
from tocsin.interfaces.sensorthings.feed import THREAD_NAME
from tocsin.interfaces.sensorthings.over_mqtt import OverMqtt
from tocsin.interfaces.sensorthings.service import READ, WRITE, Service
from tocsin.interfaces.sensorthings.topics import PREFIX
from tocsin.platform.things import BY_NAME, Query
from tocsin.security.actor import Actor
from tocsin.vocabulary import Level, Refused, TocsinError, Warning

if TYPE_CHECKING:
    from tocsin.interfaces.serving import Platform

log = logging.getLogger(__name__)

READINGS, WARNINGS = "readings/#", "tocsin/warnings"
HANDING_MOST = 10_000  # observations of SensorThings clients that wait for the disk
AGAIN_S = 0.5, 30.0
THINGS = Actor("sensorthings", frozenset({"sensor"}))


class Gateways:
    """Made and run on the event loop of the server; `close` lets no more in and waits for what is under way."""

    def __init__(self, platform: Platform, service: Service, credentials: Credentials, *, root: str) -> None:
        centre = self._centre = platform.centre
        self._service, self._credentials = service, credentials
        self._gate = centre.host.gate
        self.ingest = Ingest(platform.node, centre.host.clock, platform.quantities, expected=platform.expected)
        before = centre.sources
        centre.sources = lambda: msgspec.structs.replace(before(), refused=counts(self.ingest.refused))
        self._acl = Acl(self._gate, usual=Grant(publish=(READINGS,), subscribe=("tocsin/#",)))
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, tuple[str, str] | None] = {}
        self._units = {quantity.name: quantity.unit for quantity in platform.quantities}
        self._root = root
        self._handing: set[asyncio.Task[None]] = set()
        self._told_of: set[str] = set()
        self._things: OverMqtt | None = None
        self.endpoint: Endpoint | None = None

    def routes(self) -> list[Route]:
        """POST /ingest: a payload as docs/guide/mqtt.md has it, with HTTP Basic; 200 when it is on disk."""
        return [Route("/ingest", HttpIngest(self.ingest, self._who, self._gate))]

    async def listen(self, host: str, port: int) -> int:
        """Open the MQTT endpoint; return its port."""
        self.endpoint = Endpoint(self._login, self._permit)
        self.endpoint.on_publish(READINGS, self.ingest.take)
        self._things = OverMqtt(self._service, self.endpoint, self._root)
        port = await self.endpoint.listen(host, port)
        self._service.mqtt = (f"mqtt://{host}:{port}",)
        return port

    async def run(self) -> None:
        """Tell subscribers what is new, until cancelled."""
        self._service.things.on_observation.append(self._observed)
        self._centre.on_entry.append(self._heard)
        for warning_id, warning in self._centre.board.active_warnings().items():  # raised before this run, and still on
            self._tell(warning_id, warning)
        try:
            await (self._things.run() if self._things is not None else asyncio.Event().wait())
        finally:
            self._centre.on_entry.remove(self._heard)
            self._service.things.on_observation.remove(self._observed)

    async def close(self) -> None:
        """Answer what is under way, then end."""
        if self.endpoint is not None:
            await self.endpoint.close()
        for task in tuple(self._handing):
            task.cancel()
        await asyncio.gather(*self._handing, return_exceptions=True)
        await self.ingest.close()

    # who asks

    async def _login(self, login: Login) -> Actor:
        if login.user is None or login.password is None:
            raise Refused("mqtt: no user and password; nobody is anonymous here")
        password = login.password.decode(errors="replace")
        return await asyncio.to_thread(self._credentials.prove, login.user, password, login.address)

    async def _who(self, headers: Headers) -> Actor:
        try:
            return await asyncio.to_thread(self._credentials.of_header, headers.get(b"authorization", b"").decode("latin-1"), "")
        except NoSession as nobody:
            raise Refused(str(nobody)) from nobody

    def _permit(self, actor: Actor, client_id: str, access: Access, topic: str) -> None:
        if topic.startswith(PREFIX):
            self._gate.permit(actor, READ if access == "subscribe" else WRITE, topic[:200])
        else:
            self._acl.permit(actor, client_id, access, topic)

    # what a client of SensorThings observed is a reading like any other

    def _observed(self, stream: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Hand observations of a Datastream that names a site and a quantity of ours to the rules."""
        if threading.current_thread().name == THREAD_NAME:
            return  # they come from the node itself
        if stream not in self._streams:
            self._streams[stream] = self._stream(stream)
        known = self._streams[stream]
        if known is None:
            return
        site, quantity = known
        told: dict[str, Any] = {
            "quantity": quantity,
            "sites": [site],
            "site": [0] * len(rows),
            "time_us": [row["time_us"] for row in rows],
            "value": [row["value"] for row in rows],
        }
        message = Message(THINGS, msgspec.json.encode(told), f"sensorthings/{stream}")
        try:
            self._loop.call_soon_threadsafe(self._hand_over, message)
        except RuntimeError as ended:  # the server has stopped; the observation itself is stored
            log.error("observation_not_judged", extra={"stream": stream, "reason": str(ended)})

    def _hand_over(self, message: Message) -> None:
        """On the loop. What cannot be held any more is told: the observation is stored, but no rule has seen it."""
        if len(self._handing) >= HANDING_MOST:
            self._not_judged(message, "too much waits for the disk")
            return
        task = self._loop.create_task(self._take(message))
        self._handing.add(task)
        task.add_done_callback(self._handing.discard)

    async def _take(self, message: Message) -> None:
        """Until it is on disk: whoever observed it was answered already and does not send it again."""
        delay_s = AGAIN_S[0]
        try:
            while True:
                (result,) = await self.ingest.take([message])
                if result.outcome not in (Outcome.OVERLOAD, Outcome.FAILED):
                    break
                self._not_judged(message, f"{result.reason}; it is tried again")
                await asyncio.sleep(delay_s)
                delay_s = min(2.0 * delay_s, AGAIN_S[1])
        except asyncio.CancelledError:
            self._not_judged(message, "the platform stops")
            raise
        except Exception as broken:  # a fault of ours
            log.exception("observation_fault")
            self._not_judged(message, f"{type(broken).__name__}: {broken}")
            return
        if result.outcome == Outcome.STORED:
            self._told_of.discard(message.topic)
        else:
            self._not_judged(message, result.reason)

    def _not_judged(self, message: Message, reason: str) -> None:
        """Say it once for each stream, until one of its observations comes through again."""
        if message.topic not in self._told_of:
            self._told_of.add(message.topic)
            log.error("observation_not_judged", extra={"stream": message.topic, "reason": reason})

    def _stream(self, stream: int) -> tuple[str, str] | None:
        with self._service.things.reading() as reader:
            found = reader.one(BY_NAME["Datastream"], stream, Query())
        if found is None:
            return None
        properties, unit = found.values.get("properties") or {}, (found.values.get("unitOfMeasurement") or {}).get("symbol")
        site, quantity = properties.get("site"), properties.get("quantity")
        fits = isinstance(site, str) and isinstance(quantity, str) and self._units.get(quantity) == unit
        return (str(site), str(quantity)) if fits else None

    # warnings

    def _heard(self, entry: Entry) -> None:
        if isinstance(entry.record, Warning):
            self._tell(entry.id, entry.record)

    def _tell(self, warning_id: str, warning: Warning) -> None:
        if self.endpoint is not None:
            topic = (
                f"{WARNINGS}/{quote(warning.hazard, safe='')}/{quote(warning.subject, safe='')}/{quote(warning.rule, safe='')}"
            )
            told = {
                "id": warning_id,
                "time": warning.time,
                "hazard": warning.hazard,
                "site": warning.subject,
                "rule": warning.rule,
                "level": warning.level.word,
                "before": Level(warning.before).word,
                "value": warning.value,
                "unit": warning.unit,
                "reason": warning.reason,
                "public": warning.public,
                "purpose": self._centre.ledger.purpose,
            }
            try:
                self._loop.call_soon_threadsafe(self._publish, topic, msgspec.json.encode(told))
            except RuntimeError as ended:  # the server has stopped; the next run publishes it
                log.error("warning_not_published", extra={"topic": topic, "reason": str(ended)})

    def _publish(self, topic: str, payload: bytes) -> None:
        if self.endpoint is not None:
            try:
                self.endpoint.publish(topic, payload, retain=True)
            except TocsinError as fault:
                log.warning("warning_not_published", extra={"topic": topic, "reason": str(fault)})
