"""The client's end of MQTT 3.1.1 and 5, as much as a collector needs: messages in groups, each acknowledged when it is on disk.

It speaks with the same packets as Tocsin's own endpoint and stops reading while the disk is slow, so that a flood waits in the
server and not in our memory. A message that is too large is read past and acknowledged: it must not come again for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Literal, TypeAlias

from tocsin.edge.collectors.kind import Kind, Secret, Tls
from tocsin.edge.collectors.tally import Drop
from tocsin.edge.mqtt.wire import (
    V5,
    V311,
    Connack,
    Connect,
    Disconnect,
    Filter,
    Granted,
    Parser,
    Ping,
    Properties,
    Publish,
    Subscribe,
    encode,
    puback,
)
from tocsin.edge.mqtt.wire import Kind as PacketKind
from tocsin.host import Clock, Host
from tocsin.vocabulary import InputError, Unavailable

GROUP_MOST = 500
WAITING_MOST = 1_000
READ_BYTES = 1 << 16
OTHER_BYTES_MOST = 1 << 16  # a packet that is no message
ANSWER_S = 30.0
CLOSE_S = 2.0
FAILED = 0x80  # codes from here on refuse: MQTT 5, section 2.4; in 3.1.1, section 3.9.3, it is the only one


class TooLarge(Exception):
    """A message that was read past; `packet_id` is 0 where nobody waits for its acknowledgement."""

    def __init__(self, packet_id: int, size: int) -> None:
        super().__init__(f"a message of {size} bytes")
        self.packet_id, self.size = packet_id, size


Came: TypeAlias = Publish | TooLarge


class MqttKind(Kind, frozen=True, kw_only=True):
    """Settings of the connection. `session_s`: so long the server keeps what came while we were away (3.1.1: for ever); 0 is never.

    `share` is the name of a group of nodes that divide the messages among them (`$share/NAME/...`). `client_id` is the node's own
    name at the server: two clients with one name throw each other out.
    """

    host: str
    port: int = 0
    version: Literal["5", "3.1.1"] = "5"
    client_id: str = ""
    user: str = ""
    password: Secret | None = None
    tls: Tls | None = None
    keepalive_s: int = 60
    session_s: int = 86_400
    share: str = ""
    message_bytes_most: int = 262_144

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.host and 0 <= self.port < 65_536 and 5 <= self.keepalive_s < 65_536 and 0 <= self.session_s < 1 << 32):
            raise self.fault("wanted `host`, port in 0..65535, keepalive_s in 5..65535 and session_s >= 0")
        if not 1 <= self.message_bytes_most <= 1 << 26:
            raise self.fault(f"message_bytes_most = {self.message_bytes_most}; wanted 1 to {1 << 26}")
        if set(self.share) & set("/+#"):
            raise self.fault(f"share = {self.share!r}; wanted a name without / + #")
        if self.password is not None and not self.user and self.version == "3.1.1":
            raise self.fault("a password without a user; version 3.1.1 does not allow it")

    async def messages(self, host: Host, filters: Sequence[Filter]) -> AsyncGenerator[list[Publish], None]:
        """Groups of messages. Asking for the next group acknowledges the one before.

        Raises Unavailable where the server is not there, does not let us in, or is silent.
        """
        link = await self._open(host)
        tasks: list[asyncio.Task[None]] = []
        try:
            await link.introduce(self._connect())
            wanted = [Filter(f"$share/{self.share}/{one.topic}" if self.share else one.topic, one.qos) for one in filters]
            await link.subscribe(wanted)
            tasks = [asyncio.create_task(link.receive()), asyncio.create_task(link.keep_alive(host.clock, self.keepalive_s))]
            while True:
                group = await _next_group(link.came, tasks)
                self.tally.receive(host.clock.now(), len(group))
                for one in group:
                    if isinstance(one, TooLarge):
                        self.tally.drop(Drop("too large", f"{one}; wanted at most {self.message_bytes_most}"))
                yield [one for one in group if isinstance(one, Publish)]
                await link.acknowledge(group)
        except (OSError, InputError, EOFError) as fault:
            raise Unavailable(f"mqtt {self._where}: {type(fault).__name__}: {fault}") from fault
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await link.close()

    @property
    def _where(self) -> str:
        return f"{self.host}:{self._port}"

    @property
    def _port(self) -> int:
        return self.port or (8883 if self.tls else 1883)

    async def _open(self, host: Host) -> _Link:
        tls = None if self.tls is None else self.tls.context()
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await host.net.connect(self.host, self._port, tls=tls)
        except (OSError, TimeoutError) as fault:
            raise Unavailable(f"mqtt {self._where}: {type(fault).__name__}: {fault}") from fault
        return _Link(self._where, reader, writer, V5 if self.version == "5" else V311, self.message_bytes_most)

    def _connect(self) -> Connect:
        is_5 = self.version == "5"
        properties = Properties(session_expiry_s=self.session_s, receive_maximum=GROUP_MOST) if is_5 else Properties()
        return Connect(
            self.client_id or f"tocsin-{self.name}".replace(" ", "-"),
            version=V5 if is_5 else V311,
            clean=not self.session_s,
            keep_alive_s=self.keepalive_s,
            user=self.user or None,
            password=None if self.password is None else self.password.read().encode(),
            properties=properties,
        )


class _Link:
    """One connection: what is read, what is written, and when something was last heard."""

    def __init__(
        self, where: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: int, bytes_most: int
    ) -> None:
        self._where, self._reader, self._writer, self._version, self._bytes_most = where, reader, writer, version, bytes_most
        self._parser = Parser(version)
        self.came: asyncio.Queue[Came] = asyncio.Queue(WAITING_MOST)
        self._heard = True

    async def introduce(self, connect: Connect) -> None:
        await self._write(encode(connect, self._version))
        answer = await self._answer()
        if not isinstance(answer, Connack):
            raise Unavailable(f"mqtt {self._where}: answers {type(answer).__name__}; wanted CONNACK")
        if answer.code:
            why = answer.properties.reason or "see section 3.2 of the standard"
            raise Unavailable(f"mqtt {self._where}: does not let us in: code {answer.code:#04x}: {why}")

    async def subscribe(self, filters: Sequence[Filter]) -> None:
        await self._write(encode(Subscribe(1, tuple(filters)), self._version))
        while not isinstance(answer := await self._answer(), Granted):
            if isinstance(answer, Publish | TooLarge):  # what waited in our session comes before the answer
                if self.came.full():
                    raise Unavailable(f"mqtt {self._where}: {WAITING_MOST} messages before it answers our subscription")
                self.came.put_nowait(answer)
        refused = [one.topic for one, code in zip(filters, answer.codes, strict=False) if code >= FAILED]
        if refused or len(answer.codes) != len(filters):
            raise Unavailable(
                f"mqtt {self._where}: refuses the subscription to {', '.join(refused)[:200]}; may this user read it?"
            )

    async def receive(self) -> None:
        """Read until the server goes; waits while nobody takes what came."""
        while True:
            packet = await self._packet()
            self._heard = True
            if isinstance(packet, Publish | TooLarge):
                await self.came.put(packet)
            elif isinstance(packet, Disconnect):
                raise Unavailable(f"mqtt {self._where}: sends us away: code {packet.code:#04x} {packet.properties.reason or ''}")

    async def keep_alive(self, clock: Clock, keepalive_s: float) -> None:
        """Ask whether the server is there; two asked in vain is the end. While we do not read, it cannot be heard."""
        while True:
            await clock.sleep(keepalive_s / 2)
            if not self._heard and not self.came.full():
                raise Unavailable(f"mqtt {self._where}: says nothing for {keepalive_s:g} s")
            self._heard = False
            await self._write(encode(Ping(PacketKind.PINGREQ), self._version))

    async def acknowledge(self, group: Sequence[Came]) -> None:
        """PUBACK, in the order in which the messages came: MQTT 5, section 4.6."""
        acks = b"".join(puback(PacketKind.PUBACK, one.packet_id) for one in group if one.packet_id)
        if acks:
            await self._write(acks)

    async def close(self) -> None:
        """Say goodbye where that is possible; the session stays."""
        with suppress(OSError, TimeoutError):
            if not self._writer.is_closing():
                self._writer.write(encode(Disconnect(), self._version))
            self._writer.close()
            async with asyncio.timeout(CLOSE_S):
                await self._writer.wait_closed()
        self._writer.transport.abort()

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _answer(self) -> object:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._packet()
        except TimeoutError as fault:
            raise Unavailable(f"mqtt {self._where}: no answer for {ANSWER_S:g} s") from fault

    async def _packet(self) -> object:
        """The next packet; of a message that is too large only its number."""
        head = await self._reader.readexactly(1)
        length, sized = 0, b""
        for shift in (0, 7, 14, 21):  # section 2.1.4 of version 5, 2.2.3 of 3.1.1
            byte = await self._reader.readexactly(1)
            sized += byte
            length |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                break
        is_message = head[0] >> 4 == PacketKind.PUBLISH
        if is_message and length > self._bytes_most:
            return await self._past(head[0], length)
        if length > max(OTHER_BYTES_MOST, self._bytes_most):
            raise Unavailable(f"mqtt {self._where}: a packet of {length} bytes that is no message")
        packets = self._parser.feed(head + sized + await self._reader.readexactly(length))
        if self._parser.fault is not None:
            raise self._parser.fault
        if len(packets) != 1:
            raise Unavailable(f"mqtt {self._where}: a packet whose length cannot be read")
        return packets[0]

    async def _past(self, head: int, length: int) -> TooLarge:
        topic = await self._reader.readexactly(2)
        left = length - 2 - int.from_bytes(topic, "big")
        if left < 2:
            raise Unavailable(f"mqtt {self._where}: a message that is shorter than its topic")
        await self._reader.readexactly(int.from_bytes(topic, "big"))
        packet_id = 0
        if head & 6:
            packet_id = int.from_bytes(await self._reader.readexactly(2), "big")
            left -= 2
        while left:
            part = await self._reader.readexactly(min(left, READ_BYTES))
            left -= len(part)
        return TooLarge(packet_id, length)


async def _next_group(came: asyncio.Queue[Came], tasks: Sequence[asyncio.Task[None]]) -> list[Came]:
    """All that waits, at least one. What came before the link broke is still handed over; then its fault is raised."""
    if came.empty():
        first = asyncio.create_task(came.get())
        try:
            await asyncio.wait([first, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not first.done():
                first.cancel()
                with suppress(asyncio.CancelledError):
                    await first
        if first.cancelled() or not first.done():
            for task in tasks:
                if task.done():
                    task.result()
            raise Unavailable("mqtt: the link is closed")
        group = [first.result()]
    else:
        group = [came.get_nowait()]
    while len(group) < GROUP_MOST and not came.empty():
        group.append(came.get_nowait())
    return group
