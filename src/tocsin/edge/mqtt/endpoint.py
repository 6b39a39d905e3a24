"""The MQTT server: one event loop, many small messages, and an acknowledgement only for what is on disk.

Messages that arrive within a tick go to their handler as one list; the handler's results are the acknowledgements. A message that no
handler takes goes straight to its subscribers. Under too much load the senders are slowed down by TCP, then refused; what is urgent is
neither. Time here is the network's own (the loop's), as for TCP: a drill with a fast clock must not cut off real devices.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from tocsin.edge.ingest import Message, Outcome, Result
from tocsin.edge.mqtt.acl import Access, plain_name
from tocsin.edge.mqtt.session import Drop, Group, Outgoing, Session, Subscription, to_send
from tocsin.edge.mqtt.topics import Trie, check_topic, matches, split_shared
from tocsin.edge.mqtt.wire import (
    NOTHING,
    V5,
    V311,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Granted,
    Kind,
    Packet,
    Parser,
    Ping,
    Properties,
    Publish,
    Reason,
    Subscribe,
    Unsubscribe,
    encode,
    puback,
)
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError, Refused, Unavailable

log = logging.getLogger(__name__)

AT_ONCE = 2  # lists that one handler works on at a time: one on the disk, one being decoded
LANES_KEPT = 10_000
LANES_S = 60.0  # for so long a permission is remembered
LINGER_S = 5.0
PARTS_BYTES = 256 << 10
PENDING_BYTES = 500  # what a message that waits takes beside its payload, about
_PUBACK = int.from_bytes(puback(Kind.PUBACK, 0), "big")
_PING = encode(Ping(Kind.PINGRESP), V311)
# What CONNACK of version 3.1.1 can say: OASIS MQTT 3.1.1 (2014), table 3.1.
_OLD_CODES: Mapping[int, int] = {
    Reason.SUCCESS: 0,
    Reason.UNSUPPORTED_VERSION: 1,
    Reason.CLIENT_ID_NOT_VALID: 2,
    Reason.SERVER_UNAVAILABLE: 3,
    Reason.SERVER_BUSY: 3,
    Reason.BAD_LOGIN: 4,
}


class Login(msgspec.Struct, frozen=True):
    """What a client shows of itself: to be proved by `authenticate`. `certificate` was checked by TLS, as `getpeercert` gives it."""

    client_id: str
    user: str | None
    password: bytes | None
    certificate: Mapping[str, Any] | None
    address: str

    def common_name(self) -> str | None:
        """The name in the client's certificate, if it showed one."""
        for part in (self.certificate or {}).get("subject", ()):
            for name, value in part:
                if name == "commonName":
                    return str(value)
        return None


Authenticate = Callable[[Login], Awaitable[Actor]]
Permit = Callable[[Actor, str, Access, str], None]
Handler = Callable[[Sequence[Message]], Awaitable[Sequence[Result]]]
OnLoad = Callable[[str | None], None]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of the endpoint. Every number that a stranger could drive up has one."""

    tick_s: float = 0.002
    batch_most: int = 5_000
    packet_bytes_most: int = 4 << 20
    connect_bytes_most: int = 64 << 10
    connect_timeout_s: float = 10.0
    connections_most: int = 20_000
    connecting_most: int = 500
    authenticating_most: int = 4
    keep_alive_most_s: int = 3600
    session_expiry_most_s: int = 86_400
    sessions_most: int = 50_000
    subscriptions_most: int = 200
    receive_maximum: int = 1_000
    inflight_most: int = 1_000
    topic_alias_maximum: int = 100
    queue_most: int = 1_000
    queue_drop: Drop = "oldest"
    urgent_most: int = 100_000
    retained_most: int = 20_000
    retained_bytes_most: int = 64 << 20
    pending_bytes_most: int = 64 << 20
    unread_bytes_most: int = 32 << 20
    urgent: tuple[str, ...] = ("tocsin/warnings/#",)

    def __post_init__(self) -> None:
        numbers = {name: getattr(self, name) for name in self.__struct_fields__ if isinstance(getattr(self, name), int | float)}
        wrong = {name: number for name, number in numbers.items() if not number > 0}
        over = [name for name in ("receive_maximum", "topic_alias_maximum", "inflight_most") if numbers[name] > 65_535]
        if wrong or over or self.keep_alive_most_s > 65_535:
            raise InputError(
                f"mqtt settings: {wrong or over or self.keep_alive_most_s}; wanted > 0, and at most 65535 where MQTT ends there"
            )


class Counts(msgspec.Struct):
    """What has happened since the start."""

    connected: int = 0
    refused_logins: int = 0
    faults: int = 0
    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    not_permitted: int = 0
    shed: int = 0
    dropped: int = 0
    expired: int = 0
    too_large: int = 0
    not_retained: int = 0


class _Desk:
    """A handler and what waits for it."""

    def __init__(self, asked: str, handler: Handler, passes_on: bool) -> None:
        self.asked, self.handler, self.passes_on = asked, handler, passes_on
        self.waiting: list[_Arrived] = []
        self.running = 0
        self.timer: asyncio.TimerHandle | None = None


class _Lane(msgspec.Struct, frozen=True):
    """What holds for all messages of one client on one topic."""

    code: int
    desk: _Desk | None
    is_urgent: bool


class _Arrived(msgspec.Struct, frozen=True, gc=False):
    """A message that was let in and is not yet answered."""

    connection: Connection | None
    session: Session
    packet: Publish
    message: Message
    is_urgent: bool
    expires_at: float | None


class Connection(asyncio.Protocol):
    """One socket. It speaks for nobody until CONNECT was accepted."""

    def __init__(self, endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> None:
        self._endpoint, self._loop = endpoint, loop
        self._parser = Parser(bytes_most=endpoint.settings.connect_bytes_most)
        self._early: list[Packet] = []
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._is_full = False
        self._held: set[str] = set()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.session: Session | None = None
        self.state: Literal["new", "asking", "open", "closed"] = "new"
        self.began = self.heard = loop.time()
        self.version = V311
        self.keep_alive_s = 0.0
        self.unanswered = 0
        self.receive_most = 65_535
        self.packet_bytes_most = 1 << 28
        self.tells_problems = True
        self.aliases: dict[int, str] = {}
        self.lanes: dict[str, _Lane] = {}
        self.lanes_until = 0.0
        self.is_urgent = False

    # From the network

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._endpoint.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 the loop says why; we have noted it already
        self.state = "closed"
        self._endpoint.lost(self)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if self.session is not None:
            self._endpoint.pump(self.session)

    def data_received(self, data: bytes) -> None:
        if self.is_closed:
            return
        self.heard = self._loop.time()
        packets = self._parser.feed(data)
        if self.state == "open":
            self._take(packets)
        else:
            self._begin(packets)
        fault = self._parser.fault
        if fault is not None and not self.is_closed:
            self._endpoint.counts.faults += 1
            if self.state == "new" and fault.code == Reason.UNSUPPORTED_VERSION:
                self.send(encode(Connack(False, 1), V311))
            self.close(fault.code, str(fault))

    def _begin(self, packets: list[Packet]) -> None:
        """The first packet is CONNECT; whatever follows waits until it was answered."""
        for packet in packets:
            if self.state == "new" and isinstance(packet, Connect):
                self.state, self.version = "asking", packet.version
                self.hold("login")
                self._endpoint.ask(self, packet)
            else:
                self._early.append(packet)

    def admitted(self, session: Session) -> None:
        """CONNECT was accepted."""
        self.session, self.state = session, "open"
        self._parser.bytes_most = self._endpoint.settings.packet_bytes_most
        early, self._early = self._early, []
        self._take(early)
        self.release("login")

    def _take(self, packets: list[Packet]) -> None:
        published, session = self._endpoint.published, self.session
        if session is None:
            return
        for packet in packets:
            if type(packet) is Publish:
                published(self, session, packet)
            else:
                self._endpoint.handle(self, session, packet)
            if self.state != "open":
                return

    # To the network

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, or will as soon as the last bytes are out."""
        return self.state == "closed"

    @property
    def can_write(self) -> bool:
        """Whether more may be sent without filling memory."""
        return not self._is_full and self._parts_bytes < PARTS_BYTES

    def send(self, data: bytes) -> None:
        """Send with whatever else is sent in this turn of the loop."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)
        self._parts_bytes += len(data)

    def flush(self) -> None:
        """Hand to the transport what was collected."""
        parts, was = self._parts, self._parts_bytes
        if not parts:
            return
        self._parts, self._parts_bytes = [], 0
        if self.transport.is_closing():
            return
        self.transport.write(b"".join(parts) if len(parts) > 1 else parts[0])
        if self.transport.get_write_buffer_size() > self._endpoint.settings.unread_bytes_most:
            log.info("mqtt_client_reads_nothing", extra={"client": self.name})
            self.transport.abort()
        elif was >= PARTS_BYTES and self.session is not None:
            self._endpoint.pump(self.session)

    def close(self, code: Reason, words: str = "") -> None:
        """Say why, where the version has words for it, and end."""
        if self.is_closed:
            return
        if self.version == V5 and self.state == "open":
            self.send(encode(Disconnect(code, Properties(reason=words[:200]) if words else NOTHING), V5))
        self.flush()
        self._loop.call_later(LINGER_S, self.transport.abort)  # who does not read would keep the socket open for ever
        if code not in (Reason.SUCCESS, Reason.SERVER_SHUTTING_DOWN, Reason.SESSION_TAKEN_OVER):
            log.info("mqtt_closed", extra={"client": self.name, "code": int(code), "words": words[:200]})
        self.state = "closed"
        self.transport.close()

    def hold(self, why: str) -> None:
        """Read no more until `release`: TCP slows the sender down."""
        if not self._held and not self.transport.is_closing():
            self.transport.pause_reading()
        self._held.add(why)

    def release(self, why: str) -> None:
        """Read again, unless something else holds."""
        if why in self._held:
            self._held.discard(why)
            if not self._held and not self.transport.is_closing():
                self.heard = self._loop.time()
                self.transport.resume_reading()

    @property
    def is_held(self) -> bool:
        """Whether we are the ones who do not listen."""
        return bool(self._held)

    @property
    def name(self) -> str:
        return self.session.client_id if self.session is not None else self.address

    @property
    def address(self) -> str:
        return str((self.transport.get_extra_info("peername") or ("unknown",))[0])

    def acknowledge(self, numbers: list[int]) -> None:
        """PUBACK for messages that are stored."""
        if numbers and self.state == "open":
            self._has_answered(len(numbers))
            # what `puback` makes, without a call for each
            self.send(b"".join([(_PUBACK | number).to_bytes(4, "big") for number in numbers]))

    def _has_answered(self, count: int) -> None:
        self.unanswered -= count
        if self._held and self.unanswered * 2 <= self._endpoint.settings.receive_maximum:
            self.release("window")

    def answer(self, packet: Publish, code: int = 0, words: str = "") -> None:
        """PUBACK or PUBREC."""
        self._has_answered(1)
        kind = Kind.PUBACK if packet.qos == 1 else Kind.PUBREC
        if self.version != V5:
            self.send(puback(kind, packet.packet_id))
        elif words and self.tells_problems:
            self.send(encode(Ack(kind, packet.packet_id, code, Properties(reason=words)), V5))
        else:
            self.send(puback(kind, packet.packet_id, code))


class Endpoint:
    """The server. `authenticate` says who a client is or raises Refused; `permit` says what he may, as `Acl.permit` does.

    `await listen(...)` opens a port, `on_publish` gives a handler what is published under a filter, `publish` sends to subscribers.
    `on_load(reason)` hears once when senders are slowed down, and with None when all is well again.
    """

    def __init__(
        self, authenticate: Authenticate, permit: Permit, *, settings: Settings | None = None, on_load: OnLoad | None = None
    ) -> None:
        self._authenticate, self._permit, self.settings = authenticate, permit, settings or Settings()
        self._on_load = on_load
        self.counts = Counts()
        self._desks: list[_Desk] = []
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._connecting: set[Connection] = set()
        self._sessions: dict[str, Session] = {}
        self._subscribers: Trie[Subscription | Group] = Trie()
        self._groups: dict[tuple[str, str], Group] = {}
        self._retained: dict[str, Outgoing] = {}
        self._retained_bytes = 0
        self._pending_bytes = 0
        self._slowed: set[Connection] = set()
        self._is_loaded = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Semaphore(self.settings.authenticating_most)
        self._is_closing = False

    async def listen(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Open a port and return its number (0 asks for a free one). May be called again, as for one port with TLS and one without."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: Connection(self, loop), host, port, ssl=tls, backlog=1024)
        except OSError as fault:
            raise Unavailable(f"mqtt: {host}:{port}: {fault}; free the port, or set another one") from fault
        if not self._servers:
            self._begin(self._keep_house())
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def on_publish(self, asked: str, handler: Handler, *, passes_on: bool = True) -> None:
        """Give `handler` what clients publish under a filter; of several handlers the one that was named first takes a topic.

        The results are the acknowledgements, and only what is STORED goes on to subscribers; with `passes_on` False nothing does,
        because the handler itself publishes what comes of it.
        """
        split_shared(asked)
        self._desks.append(_Desk(asked, handler, passes_on))
        for connection in self._connections:
            connection.lanes.clear()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1, properties: Properties = NOTHING) -> int:
        """Send to all who subscribed to the topic; return how many those are."""
        check_topic(topic)
        return self._route(
            topic, payload, qos, retain, properties, "", self._urgent(topic), self._expires(properties, self._now())
        )

    def filters_below(self, level: str) -> list[str]:
        """What is subscribed to at the moment of all that begins with this level; loop thread only."""
        return self._subscribers.below(level)

    async def close(self, *, grace_s: float = 5.0) -> None:
        """Let handlers finish and acknowledge, then end every connection."""
        self._is_closing = True
        for server in self._servers:
            server.close()
        for connection in self._connections:
            connection.hold("closing")
        busy = [desk for desk in self._desks if desk.waiting or desk.running]
        deadline = asyncio.get_running_loop().time() + grace_s
        while busy and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)
            busy = [desk for desk in busy if desk.waiting or desk.running]
        for connection in tuple(self._connections):
            connection.close(Reason.SERVER_SHUTTING_DOWN)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    def _begin(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # Coming and going

    def opened(self, connection: Connection) -> None:
        """A socket: bounded before anybody has said who he is."""
        settings = self.settings
        if (
            self._is_closing
            or len(self._connections) >= settings.connections_most
            or len(self._connecting) >= settings.connecting_most
        ):
            self.counts.refused_logins += 1
            connection.state = "closed"
            connection.transport.abort()
            return
        self._connections.add(connection)
        self._connecting.add(connection)

    def ask(self, connection: Connection, packet: Connect) -> None:
        """CONNECT: find out who it is, beside everything else."""
        self._begin(self._admit(connection, packet))

    async def _admit(self, connection: Connection, packet: Connect) -> None:
        settings, properties = self.settings, packet.properties
        client_id, is_5 = packet.client_id, packet.version == V5
        if properties.authentication_method is not None:
            self._turn_away(connection, Reason.BAD_AUTHENTICATION_METHOD, "extended authentication is not offered")
            return
        if not client_id and (is_5 or packet.clean):
            client_id = f"auto-{secrets.token_hex(8)}"
        certificate = connection.transport.get_extra_info("peercert")
        try:
            plain_name(client_id)
            login = Login(client_id, packet.user, packet.password, certificate or None, connection.address)
            async with self._asking:
                actor = await asyncio.wait_for(self._authenticate(login), settings.connect_timeout_s)
        except InputError as fault:
            self._turn_away(connection, Reason.CLIENT_ID_NOT_VALID, str(fault))
            return
        except Refused as fault:
            self._turn_away(connection, Reason.BAD_LOGIN, str(fault))
            return
        except Exception as broken:  # the caller's code: a login that cannot be checked is refused, and the server goes on
            log.exception("mqtt_login_broken", extra={"address": connection.address})
            self._turn_away(connection, Reason.SERVER_UNAVAILABLE, type(broken).__name__)
            return
        if connection.state != "asking":
            return
        if packet.will is not None:
            try:
                check_topic(packet.will.topic)
                self._permit(actor, client_id, "publish", packet.will.topic)
            except (InputError, Refused) as fault:
                self._turn_away(connection, Reason.NOT_AUTHORIZED, f"the will: {fault}")
                return
        known = self._sessions.get(client_id)
        if known is not None and known.actor.name != actor.name:
            self._turn_away(connection, Reason.CLIENT_ID_NOT_VALID, f"the client identifier {client_id} is in use by another")
            return
        if known is None and len(self._sessions) >= settings.sessions_most:
            self._turn_away(connection, Reason.SERVER_BUSY, "too many sessions")
            return
        self._enter(connection, packet, client_id, actor, known)

    def _turn_away(self, connection: Connection, code: Reason, words: str) -> None:
        self.counts.refused_logins += 1
        if connection.state != "asking":
            return
        log.info("mqtt_login_refused", extra={"address": connection.address, "code": int(code), "words": words[:200]})
        answer = (
            Connack(False, code, Properties(reason=words[:200]))
            if connection.version == V5
            else Connack(False, _OLD_CODES.get(code, 5))
        )
        connection.send(encode(answer, connection.version))
        connection.close(code)

    def _enter(self, connection: Connection, packet: Connect, client_id: str, actor: Actor, known: Session | None) -> None:
        settings, asked, is_5 = self.settings, packet.properties, packet.version == V5
        if known is not None and known.connection is not None:
            former = known.connection
            former.close(Reason.SESSION_TAKEN_OVER, "this client identifier has connected again")
            self.lost(former)
            known = self._sessions.get(client_id)
        if known is not None and packet.clean:
            self._end(known)
            known = None
        session = known or Session(client_id, actor)
        self._sessions[client_id] = session
        wanted_s = (asked.session_expiry_s or 0) if is_5 else (0 if packet.clean else settings.session_expiry_most_s)
        session.expiry_s = min(wanted_s, settings.session_expiry_most_s)
        session.actor, session.connection, session.will = actor, connection, packet.will
        session.ends_at = session.will_at = None
        keep_alive_s = (
            min(packet.keep_alive_s or settings.keep_alive_most_s, settings.keep_alive_most_s) if is_5 else packet.keep_alive_s
        )
        connection.keep_alive_s = 1.5 * keep_alive_s  # section 3.1.2.10
        connection.receive_most = min(asked.receive_maximum or 65_535, settings.inflight_most)
        connection.packet_bytes_most = asked.maximum_packet_bytes or 1 << 28
        connection.tells_problems = asked.request_problem_information != 0
        told = NOTHING
        if is_5:
            told = Properties(
                assigned_client_id=client_id if client_id != packet.client_id else None,
                server_keep_alive_s=keep_alive_s if keep_alive_s != packet.keep_alive_s else None,
                session_expiry_s=session.expiry_s if session.expiry_s != wanted_s else None,
                receive_maximum=settings.receive_maximum,
                topic_alias_maximum=settings.topic_alias_maximum,
                maximum_packet_bytes=settings.packet_bytes_most,
            )
        connection.send(encode(Connack(known is not None, 0, told), connection.version))
        self._connecting.discard(connection)
        self.counts.connected += 1
        now = self._now()
        for number, (message, due) in session.sent.items():
            if due == Kind.PUBCOMP:
                connection.send(puback(Kind.PUBREL, number))
            else:
                connection.send(message.encoded(connection.version, now, number, dup=True))
        connection.admitted(session)
        self.pump(session)

    def lost(self, connection: Connection) -> None:
        """The socket is gone; what the client left behind waits or ends."""
        self._connections.discard(connection)
        self._connecting.discard(connection)
        self._slowed.discard(connection)
        session = connection.session
        if session is None or session.connection is not connection:
            return
        session.connection = None
        now = self._now()
        session.ends_at = now + session.expiry_s
        session.received = {number: was_told for number, was_told in session.received.items() if was_told}
        if session.will is not None:
            session.will_at = now + min(session.will.properties.will_delay_s or 0, session.expiry_s)
        self._pass(session, now)

    def _pass(self, session: Session, now: float) -> None:
        """Say the will when it is due, and end the session when it is over."""
        if session.will is not None and session.will_at is not None and now >= session.will_at:
            self._say_will(session)
        if session.ends_at is not None and now >= session.ends_at and session.connection is None:
            self._end(session)

    def _say_will(self, session: Session) -> None:
        will, session.will, session.will_at = session.will, None, None
        if will is not None:
            properties = msgspec.structs.replace(will.properties, will_delay_s=None)
            packet = Publish(will.topic, will.payload, will.qos, will.retain, False, 0, properties)
            self._let_in(None, session, packet, self._lane(session, will.topic))

    def _end(self, session: Session) -> None:
        if session.will is not None:
            self._say_will(session)
        for name in tuple(session.subscriptions):
            self._unsubscribe(session, name)
        if self._sessions.get(session.client_id) is session:
            del self._sessions[session.client_id]

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            try:
                self.look(self._now())
            except Exception:  # one bad session must not end the house-keeping of all others
                log.exception("mqtt_house_keeping_broken")

    def look(self, now: float) -> None:
        """End what has been silent for too long, and what is over."""
        for connection in tuple(self._connections):
            if connection.state in ("new", "asking"):
                if now - connection.began > self.settings.connect_timeout_s:
                    connection.state = "closed"
                    connection.transport.abort()
            elif connection.keep_alive_s and now - connection.heard > connection.keep_alive_s and not connection.is_held:
                connection.close(Reason.KEEP_ALIVE_TIMEOUT, "nothing came for one and a half times the keep-alive")
        for session in tuple(self._sessions.values()):
            if session.connection is None:
                self._pass(session, now)
        for topic in [topic for topic, message in self._retained.items() if message.is_expired(now)]:
            self._forget(topic)

    # Packets other than messages

    def handle(self, connection: Connection, session: Session, packet: Packet) -> None:
        """Whatever a client may send after CONNECT."""
        match packet:
            case Ping(Kind.PINGREQ):
                connection.send(_PING)
            case Ack():
                self._acknowledged(connection, session, packet)
            case Subscribe():
                self._subscribe(connection, session, packet)
            case Unsubscribe():
                codes = [0 if self._unsubscribe(session, name) else Reason.NO_SUBSCRIPTION_EXISTED for name in packet.filters]
                connection.send(encode(Granted(Kind.UNSUBACK, packet.packet_id, tuple(codes)), connection.version))
            case Disconnect():
                expiry_s = packet.properties.session_expiry_s
                if expiry_s and not session.expiry_s:
                    connection.close(Reason.PROTOCOL_ERROR, "a session that was to end cannot be prolonged at its end")
                    return
                if expiry_s is not None:
                    session.expiry_s = min(expiry_s, self.settings.session_expiry_most_s)
                if packet.code != Reason.DISCONNECT_WITH_WILL:
                    session.will = None
                connection.flush()
                connection.state = "closed"
                connection.transport.close()
            case Auth():
                connection.close(Reason.PROTOCOL_ERROR, "extended authentication is not offered")
            case _:
                connection.close(Reason.PROTOCOL_ERROR, f"{type(packet).__name__} is not for a server")

    def _acknowledged(self, connection: Connection, session: Session, packet: Ack) -> None:
        number = packet.packet_id
        if packet.kind == Kind.PUBREL:
            known = session.received.pop(number, None) is not None
            connection.send(puback(Kind.PUBCOMP, number, 0 if known or connection.version != V5 else Reason.PACKET_ID_NOT_FOUND))
            return
        message, due = session.sent.get(number, (None, None))
        if packet.kind == Kind.PUBREC:
            if message is not None and due != Kind.PUBACK and packet.code < 0x80:
                session.sent[number] = message, Kind.PUBCOMP
                connection.send(puback(Kind.PUBREL, number))
                return
            if message is None and packet.code < 0x80:
                connection.send(puback(Kind.PUBREL, number, Reason.PACKET_ID_NOT_FOUND if connection.version == V5 else 0))
                return
        elif due != packet.kind:
            return
        session.sent.pop(number, None)
        self.pump(session)

    def _subscribe(self, connection: Connection, session: Session, packet: Subscribe) -> None:
        identifier = packet.properties.subscription_ids[0] if packet.properties.subscription_ids else None
        codes: list[int] = []
        fresh: list[tuple[Subscription, bool]] = []
        for asked in packet.filters:
            try:
                group, topic = split_shared(asked.topic)
                if group is not None and asked.no_local:
                    connection.close(Reason.PROTOCOL_ERROR, "a shared subscription with no-local")
                    return
                if asked.topic not in session.subscriptions and len(session.subscriptions) >= self.settings.subscriptions_most:
                    codes.append(Reason.QUOTA_EXCEEDED)
                    continue
                self._permit(session.actor, session.client_id, "subscribe", topic)
            except InputError:
                codes.append(Reason.TOPIC_FILTER_INVALID)
                continue
            except Refused as fault:
                self.counts.not_permitted += 1
                log.info("mqtt_subscription_refused", extra={"client": session.client_id, "words": str(fault)[:200]})
                codes.append(Reason.NOT_AUTHORIZED)
                continue
            is_new = asked.topic not in session.subscriptions
            subscription = Subscription(session, asked, identifier)
            session.subscriptions[asked.topic] = subscription
            if group is None:
                self._subscribers.put(topic, session.client_id, subscription)
                fresh.append((subscription, is_new))
            else:
                self._group(topic, group).members[session.client_id] = subscription
            codes.append(asked.qos)
        if connection.version != V5:
            codes = [min(code, 0x80) for code in codes]
        connection.send(encode(Granted(Kind.SUBACK, packet.packet_id, tuple(codes)), connection.version))
        for subscription, is_new in fresh:
            handling = subscription.asked.retain_handling
            if handling == 0 or (handling == 1 and is_new):
                self._send_retained(session, subscription)

    def _group(self, topic: str, group: str) -> Group:
        found = self._groups.get((topic, group))
        if found is None:
            found = self._groups[topic, group] = Group()
            self._subscribers.put(topic, _group_key(group), found)
        return found

    def _unsubscribe(self, session: Session, name: str) -> bool:
        if session.subscriptions.pop(name, None) is None:
            return False
        group, topic = split_shared(name)
        if group is None:
            self._subscribers.drop(topic, session.client_id)
            return True
        members = self._groups[topic, group].members
        members.pop(session.client_id, None)
        if not members:
            del self._groups[topic, group]
            self._subscribers.drop(topic, _group_key(group))
        return True

    def _send_retained(self, session: Session, subscription: Subscription) -> None:
        asked, now = subscription.asked, self._now()
        ids = () if subscription.identifier is None else (subscription.identifier,)
        kept = [self._retained[asked.topic]] if asked.topic in self._retained else []
        if "+" in asked.topic or "#" in asked.topic:
            kept = [message for topic, message in self._retained.items() if matches(asked.topic, topic)]
        for message in kept:
            if not message.is_expired(now):
                qos = min(message.qos, asked.qos)
                self._deliver(
                    session,
                    to_send(
                        message.topic,
                        message.payload,
                        qos,
                        retain=True,
                        properties=message.properties,
                        ids=ids,
                        urgent=message.urgent,
                        expires_at=message.expires_at,
                    ),
                    now,
                )

    # Messages

    def published(self, connection: Connection, session: Session, packet: Publish) -> None:
        """PUBLISH: let it in, or say why not."""
        properties, number = packet.properties, packet.packet_id
        if properties is not NOTHING:
            topic = self._unaliased(connection, packet)
            if topic is None:
                return
            if topic is not packet.topic:
                packet = Publish(topic, packet.payload, packet.qos, packet.retain, packet.dup, number, properties)
        if packet.qos:
            if packet.qos == 2:
                was_told = session.received.get(number)
                if was_told is not None:
                    if was_told:
                        connection.send(puback(Kind.PUBREC, number))
                    return
            connection.unanswered += 1
            if connection.unanswered > self.settings.receive_maximum:
                if connection.version == V5:
                    connection.close(
                        Reason.RECEIVE_MAXIMUM_EXCEEDED, f"more than {self.settings.receive_maximum} without an answer"
                    )
                    return
                connection.hold("window")
            if packet.qos == 2:
                session.received[number] = False
        counts = self.counts
        counts.messages_in += 1
        counts.bytes_in += len(packet.payload)
        lane = connection.lanes.get(packet.topic)
        if lane is None or connection.heard > connection.lanes_until:
            if len(connection.lanes) >= LANES_KEPT or connection.heard > connection.lanes_until:
                connection.lanes.clear()
                connection.lanes_until = connection.heard + LANES_S
            lane = connection.lanes[packet.topic] = self._lane(session, packet.topic)
            connection.is_urgent |= lane.is_urgent
        if lane.code:
            counts.not_permitted += 1
            self._refuse(connection, session, packet, lane.code, "not permitted")
            return
        if self._pending_bytes > self.settings.pending_bytes_most and not lane.is_urgent and lane.desk is not None:
            self._slow_down(connection)
            if self._pending_bytes > 2 * self.settings.pending_bytes_most:
                counts.shed += 1
                if packet.qos and connection.version != V5:
                    connection.close(Reason.QUOTA_EXCEEDED, "too much at once")  # unanswered: the client sends it again
                    return
                self._refuse(connection, session, packet, Reason.QUOTA_EXCEEDED, "too much at once")
                return
        self._let_in(connection, session, packet, lane)

    def _unaliased(self, connection: Connection, packet: Publish) -> str | None:
        """The topic that is meant; None where the connection had to be closed."""
        alias, topic = packet.properties.topic_alias, packet.topic
        if packet.properties.subscription_ids:
            connection.close(Reason.PROTOCOL_ERROR, "a subscription identifier from a client")
            return None
        if alias is None:
            return topic
        if alias > self.settings.topic_alias_maximum or (not topic and alias not in connection.aliases):
            connection.close(Reason.TOPIC_ALIAS_INVALID, f"topic alias {alias}")
            return None
        if topic:
            connection.aliases[alias] = topic
        return connection.aliases[alias]

    def _urgent(self, topic: str) -> bool:
        return any(matches(asked, topic) for asked in self.settings.urgent)

    def _lane(self, session: Session, topic: str) -> _Lane:
        try:
            check_topic(topic)
            if topic.startswith("$"):
                raise Refused(f"mqtt: {topic[:100]!r} is the server's own")
            self._permit(session.actor, session.client_id, "publish", topic)
        except InputError:
            return _Lane(Reason.TOPIC_NAME_INVALID, None, False)
        except Refused as fault:
            log.info("mqtt_publish_refused", extra={"client": session.client_id, "words": str(fault)[:200]})
            return _Lane(Reason.NOT_AUTHORIZED, None, False)
        desk = next((desk for desk in self._desks if matches(desk.asked, topic)), None)
        return _Lane(0, desk, self._urgent(topic))

    def _refuse(self, connection: Connection, session: Session, packet: Publish, code: int, words: str) -> None:
        """Version 3.1.1 has no word for it: the message is acknowledged and goes no further, or it would come again for ever."""
        if packet.qos == 2:
            if connection.version == V5:
                session.received.pop(packet.packet_id, None)
            else:
                session.received[packet.packet_id] = True
        if packet.qos:
            connection.answer(packet, code, words)

    @staticmethod
    def _expires(properties: Properties, now: float) -> float | None:
        return None if properties.message_expiry_s is None else now + properties.message_expiry_s

    def _let_in(self, connection: Connection | None, session: Session, packet: Publish, lane: _Lane) -> None:
        if lane.code:
            return
        properties = packet.properties
        expires_at = None if properties is NOTHING else self._expires(properties, self._now())
        desk = lane.desk
        if desk is None:
            self._go_on(session, packet, lane.is_urgent, expires_at)
            if connection is not None and packet.qos:
                if packet.qos == 2:
                    session.received[packet.packet_id] = True
                connection.answer(packet)
            return
        message = Message(session.actor, packet.payload, packet.topic, properties)
        desk.waiting.append(_Arrived(connection, session, packet, message, lane.is_urgent, expires_at))
        self._pending_bytes += len(packet.payload) + PENDING_BYTES
        if desk.timer is None and desk.running < AT_ONCE:
            desk.timer = asyncio.get_running_loop().call_later(self.settings.tick_s, self._hand_over, desk)

    def _go_on(self, session: Session, packet: Publish, is_urgent: bool, expires_at: float | None) -> None:
        if packet.retain or self._subscribers.match(packet.topic):
            self._route(
                packet.topic,
                packet.payload,
                packet.qos,
                packet.retain,
                packet.properties,
                session.client_id,
                is_urgent,
                expires_at,
            )

    def _hand_over(self, desk: _Desk) -> None:
        """Give all that waits to the handler as one list."""
        desk.timer = None
        most = self.settings.batch_most
        arrived, desk.waiting = desk.waiting[:most], desk.waiting[most:]
        if arrived:
            desk.running += 1
            self._begin(self._serve(desk, arrived))

    async def _serve(self, desk: _Desk, arrived: list[_Arrived]) -> None:
        try:
            results = await desk.handler([one.message for one in arrived])
            if len(results) != len(arrived):
                raise InputError(
                    f"mqtt handler of {desk.asked}: {len(results)} results for {len(arrived)} messages; wanted one each"
                )
        except Exception as broken:  # the caller's code: what it did not answer is not acknowledged
            log.exception("mqtt_handler_broken", extra={"filter": desk.asked})
            results = [Result(Outcome.FAILED, type(broken).__name__)] * len(arrived)
        finally:
            desk.running -= 1
            self._pending_bytes -= sum(len(one.packet.payload) + PENDING_BYTES for one in arrived)
        self._conclude_all(arrived, results, passes_on=desk.passes_on)
        if desk.waiting and desk.timer is None and desk.running < AT_ONCE:
            self._hand_over(desk)
        if self._is_loaded and self._pending_bytes * 2 <= self.settings.pending_bytes_most:
            self._speed_up()

    def _conclude_all(self, arrived: list[_Arrived], results: Sequence[Result], *, passes_on: bool) -> None:
        """Acknowledge and pass on: what is stored at quality 1 in one piece for each client, in the order in which it came."""
        stored: dict[Connection, list[int]] = {}
        for one, result in zip(arrived, results, strict=True):
            packet, connection = one.packet, one.connection
            if packet.qos == 1 and result.outcome == Outcome.STORED and connection is not None:
                stored.setdefault(connection, []).append(packet.packet_id)
                if passes_on:
                    self._go_on(one.session, packet, one.is_urgent, one.expires_at)
                continue
            if connection is not None:
                connection.acknowledge(stored.pop(connection, []))  # section 4.6: in the order of the messages
            self._conclude(one, result, passes_on=passes_on)
        for connection, numbers in stored.items():
            connection.acknowledge(numbers)

    def _conclude(self, one: _Arrived, result: Result, *, passes_on: bool) -> None:
        """Acknowledge what the handler stored, and pass it on."""
        packet, connection, outcome = one.packet, one.connection, result.outcome
        is_stored = outcome == Outcome.STORED
        is_open = connection is not None and connection.state == "open"
        if packet.qos == 2 and is_stored and packet.packet_id:
            one.session.received[packet.packet_id] = True
        if packet.qos and connection is not None and is_open:
            if is_stored:
                connection.answer(packet)
            elif outcome in (Outcome.FAILED, Outcome.OVERLOAD) and connection.version != V5:
                self.counts.shed += 1
                connection.close(Reason.SERVER_BUSY, result.reason)  # unanswered: the client sends it again
            else:
                self._refuse(connection, one.session, packet, outcome, result.reason)
        elif packet.qos == 2 and not is_stored:
            one.session.received.pop(packet.packet_id, None)
        if is_stored and passes_on:
            self._go_on(one.session, packet, one.is_urgent, one.expires_at)

    # Load

    def _slow_down(self, connection: Connection) -> None:
        """Listen to this client no more for a while, unless it is one that sends what is urgent."""
        if not connection.is_urgent:
            connection.hold("load")
            self._slowed.add(connection)
        if not self._is_loaded:
            self._is_loaded = True
            reason = f"{self._pending_bytes >> 20} MiB of messages wait for their handlers; senders are slowed down"
            log.warning("mqtt_overload", extra={"reason": reason})
            if self._on_load is not None:
                self._on_load(reason)

    def _speed_up(self) -> None:
        self._is_loaded = False
        slowed, self._slowed = self._slowed, set()
        for connection in slowed:
            connection.release("load")
        log.info("mqtt_overload_over", extra={"shed": self.counts.shed})
        if self._on_load is not None:
            self._on_load(None)

    # To subscribers

    def _route(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Properties,
        sender: str,
        urgent: bool,
        expires_at: float | None,
    ) -> int:
        """Keep what is to be kept, and send to every session whose filters see the topic, once."""
        if retain:
            self._retain(topic, payload, qos, properties, urgent, expires_at)
        targets = self._subscribers.match(topic)
        if not targets:
            return 0
        chosen: dict[Session, list[Subscription]] = {}
        for target in targets:
            for subscription in target.subscriptions():
                if subscription.session.client_id != sender or not subscription.asked.no_local:
                    chosen.setdefault(subscription.session, []).append(subscription)
        now, alike = self._now(), dict[bool, Outgoing]()
        for session, several in chosen.items():
            ids = tuple(one.identifier for one in several if one.identifier is not None)
            keeps = retain and any(one.asked.retain_as_published for one in several)
            told_qos = min(qos, max(one.asked.qos for one in several))
            message = alike.get(keeps) if not told_qos and not ids else None
            if message is None:
                message = to_send(
                    topic, payload, told_qos, retain=keeps, properties=properties, ids=ids, urgent=urgent, expires_at=expires_at
                )
                if not told_qos and not ids:
                    alike[keeps] = message
            self._deliver(session, message, now)
        return len(chosen)

    def _retain(
        self, topic: str, payload: bytes, qos: int, properties: Properties, urgent: bool, expires_at: float | None
    ) -> None:
        self._forget(topic)
        if not payload:
            return
        settings = self.settings
        is_full = (
            len(self._retained) >= settings.retained_most or self._retained_bytes + len(payload) > settings.retained_bytes_most
        )
        if is_full and not urgent:
            if not self.counts.not_retained:
                log.warning("mqtt_retained_full", extra={"topic": topic, "messages": len(self._retained)})
            self.counts.not_retained += 1
            return
        self._retained[topic] = to_send(
            topic, payload, qos, retain=True, properties=properties, ids=(), urgent=urgent, expires_at=expires_at
        )
        self._retained_bytes += len(payload)

    def _forget(self, topic: str) -> None:
        old = self._retained.pop(topic, None)
        if old is not None:
            self._retained_bytes -= len(old.payload)

    def _deliver(self, session: Session, message: Outgoing, now: float) -> None:
        """Send at once where nothing waits and the client reads; else queue it."""
        connection = session.connection
        if connection is None:
            if not message.qos:
                return
        elif (
            not session.queue
            and not session.urgent
            and connection.can_write
            and (not message.qos or len(session.sent) < connection.receive_most)
        ):
            self._transmit(connection, session, message, now)
            return
        before = self.counts.dropped
        self.counts.dropped += session.put(message, self.settings.queue_most, self.settings.queue_drop)
        if not before and self.counts.dropped:
            log.warning("mqtt_subscriber_slow", extra={"client": session.client_id, "topic": message.topic})
        if len(session.urgent) > self.settings.urgent_most:
            # to drop a warning in silence would be worse: who reads none of so many is cut off, and sees it
            log.error("mqtt_subscriber_ended", extra={"client": session.client_id, "urgent": len(session.urgent)})
            session.expiry_s = 0
            if connection is not None:
                connection.close(Reason.QUOTA_EXCEEDED, "too many urgent messages were not read; the session ends")
            else:
                self._end(session)

    def _transmit(self, connection: Connection, session: Session, message: Outgoing, now: float) -> None:
        number = session.new_id() if message.qos else 0
        told = message.encoded(connection.version, now, number)
        if len(told) > connection.packet_bytes_most:
            self.counts.too_large += 1
            return
        if message.qos:
            session.sent[number] = message, Kind.PUBACK if message.qos == 1 else Kind.PUBREC
        self.counts.messages_out += 1
        connection.send(told)

    def pump(self, session: Session) -> None:
        """Send what waits, as far as the client takes it."""
        connection = session.connection
        if connection is None or connection.state != "open" or not (session.queue or session.urgent):
            return
        now = self._now()
        while connection.can_write:
            message, expired = session.next(now)
            self.counts.expired += expired
            if message is None or (message.qos and len(session.sent) >= connection.receive_most):
                return
            session.taken()
            self._transmit(connection, session, message, now)

    # To look at

    def sessions(self) -> dict[str, int]:
        """How many messages wait for each client."""
        return {name: len(session.queue) + len(session.urgent) for name, session in self._sessions.items()}


def _group_key(group: str) -> str:
    """No client identifier is like it: those can be printed."""
    return f"\0{group}"
