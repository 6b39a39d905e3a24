"""The server by itself, spoken to in bytes: what it answers, when it answers, and when it hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tocsin.edge.ingest import Message, Outcome, Result
from tocsin.edge.mqtt.acl import Acl, Grant
from tocsin.edge.mqtt.endpoint import Endpoint, Login, Settings
from tocsin.edge.mqtt.wire import (
    V5,
    V311,
    Ack,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Filter,
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
    Will,
    encode,
)
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import InputError, Refused

ALL = Grant(publish=("#",), subscribe=("#",))
Q1 = Filter("#", 1)


async def anybody(login: Login) -> Actor:
    """Who has the password `right`, or says nothing."""
    if login.password not in (None, b"right"):
        raise Refused("wrong password")
    return Actor(login.user or "gauge-7", frozenset({"sensor", "operator"}))


class Client:
    """A client that says exactly what it is told to say."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: int) -> None:
        self._reader, self.writer, self.version = reader, writer, version
        self._parser, self._got = Parser(version), list[Packet]()

    def say(self, *packets: Packet) -> None:
        self.writer.write(b"".join(encode(packet, self.version) for packet in packets))

    async def hear(self) -> Packet | None:
        """The next packet; None when the server has hung up."""
        while not self._got:
            data = await asyncio.wait_for(self._reader.read(65_536), 5.0)
            if not data:
                return None
            self._got = self._parser.feed(data)
            assert self._parser.fault is None
        return self._got.pop(0)

    async def hears_nothing(self) -> bool:
        """Whether the answer to a ping is the next thing that comes: all that was due before it would have come."""
        self.say(Ping(Kind.PINGREQ))
        return await self.hear() == Ping(Kind.PINGRESP)


class Server:
    """An endpoint with a port."""

    def __init__(self, endpoint: Endpoint, port: int) -> None:
        self.endpoint, self.port = endpoint, port

    async def bare(self, version: int = V5) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port), version)

    async def client(self, name: str, version: int = V5, **more: Any) -> Client:
        client = await self.bare(version)
        client.say(Connect(name, version, **more))
        answer = await client.hear()
        assert isinstance(answer, Connack)
        assert answer.code == 0
        return client


@asynccontextmanager
async def serving(
    handler: Callable[[Sequence[Message]], Awaitable[Sequence[Result]]] | None = None,
    *,
    grant: Grant = ALL,
    on_load: Callable[[str | None], None] | None = None,
    **settings: Any,
) -> AsyncIterator[Server]:
    endpoint = Endpoint(anybody, Acl(RoleGate(), usual=grant).permit, settings=Settings(**settings), on_load=on_load)
    if handler is not None:
        endpoint.on_publish("readings/#", handler)
    server = Server(endpoint, await endpoint.listen("127.0.0.1", 0))
    try:
        yield server
    finally:
        await endpoint.close(grace_s=1.0)


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 30.0))  # type: ignore[arg-type]


class Desk:
    """A handler that answers when it is let go."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.lists: list[list[Message]] = []
        self.go, self.begun, self._outcomes = asyncio.Event(), asyncio.Event(), outcomes

    async def take(self, messages: Sequence[Message]) -> list[Result]:
        self.lists.append(list(messages))
        self.begun.set()
        await self.go.wait()
        return [Result(self._outcomes[k] if k < len(self._outcomes) else Outcome.STORED, "why") for k in range(len(messages))]


def test_nothing_is_acknowledged_before_the_handler_has_stored_it() -> None:
    async def work() -> None:
        desk = Desk()
        async with serving(desk.take) as server:
            client = await server.client("a")
            client.say(Publish("readings/x", b"1", 1, packet_id=5), Publish("readings/x", b"2", 2, packet_id=6))
            await desk.begun.wait()
            assert await client.hears_nothing()
            desk.go.set()
            assert await client.hear() == Ack(Kind.PUBACK, 5)
            assert await client.hear() == Ack(Kind.PUBREC, 6)
            client.say(Ack(Kind.PUBREL, 6))
            assert await client.hear() == Ack(Kind.PUBCOMP, 6)

    run(work)


def test_messages_of_many_clients_within_a_tick_are_one_list() -> None:
    async def work() -> None:
        desk = Desk()
        desk.go.set()
        async with serving(desk.take, tick_s=0.2) as server:
            clients = [await server.client(f"c{k}") for k in range(5)]
            for client in clients:
                client.say(*[Publish("readings/x", b"%d" % k, 1, packet_id=k + 1) for k in range(3)])
            for client in clients:
                assert [await client.hear() for _ in range(3)] == [Ack(Kind.PUBACK, k) for k in (1, 2, 3)]
            assert [len(one) for one in desk.lists] == [15]
            assert desk.lists[0][0].actor.name == "gauge-7"

    run(work)


@pytest.mark.parametrize("version", [V311, V5])
def test_what_cannot_be_used_is_said_in_version_5_and_not_sent_again_for_ever_in_3_1_1(version: int) -> None:
    async def work() -> None:
        desk = Desk(Outcome.MALFORMED, Outcome.STORED)
        desk.go.set()
        async with serving(desk.take, tick_s=0.1) as server:
            listener = await server.client("listener", version)
            listener.say(Subscribe(1, (Q1,)))
            await listener.hear()
            client = await server.client("a", version)
            client.say(Publish("readings/x", b"1", 1, packet_id=1), Publish("readings/x", b"2", 1, packet_id=2))
            first = await client.hear()
            assert isinstance(first, Ack)
            assert (first.code, first.properties.reason) == ((0x99, "why") if version == V5 else (0, None))
            assert await client.hear() == Ack(Kind.PUBACK, 2)
            heard = await listener.hear()
            assert isinstance(heard, Publish)
            assert heard.payload == b"2"  # what was refused is not passed on

    run(work)


def test_what_failed_is_left_unanswered_in_3_1_1_so_that_it_is_sent_again() -> None:
    async def work() -> None:
        desk = Desk(Outcome.FAILED)
        desk.go.set()
        async with serving(desk.take) as server:
            client = await server.client("a", V311)
            client.say(Publish("readings/x", b"1", 1, packet_id=1))
            assert await client.hear() is None

    run(work)


def test_a_handler_that_breaks_acknowledges_nothing_and_the_server_goes_on() -> None:
    async def work() -> None:
        async def broken(messages: Sequence[Message]) -> list[Result]:
            raise KeyError("a fault of the handler")

        async with serving(broken) as server:
            client = await server.client("a")
            client.say(Publish("readings/x", b"1", 1, packet_id=1))
            answer = await client.hear()
            assert isinstance(answer, Ack)
            assert answer.code == 0x80
            assert await client.hears_nothing()

    run(work)


def test_a_message_of_quality_2_that_is_sent_twice_is_handled_once() -> None:
    async def work() -> None:
        desk = Desk()
        desk.go.set()
        async with serving(desk.take) as server:
            client = await server.client("a")
            client.say(Publish("readings/x", b"1", 2, packet_id=6))
            assert await client.hear() == Ack(Kind.PUBREC, 6)
            client.say(Publish("readings/x", b"1", 2, dup=True, packet_id=6))
            assert await client.hear() == Ack(Kind.PUBREC, 6)
            client.say(Ack(Kind.PUBREL, 6), Ack(Kind.PUBREL, 6))
            assert await client.hear() == Ack(Kind.PUBCOMP, 6)
            assert await client.hear() == Ack(Kind.PUBCOMP, 6, Reason.PACKET_ID_NOT_FOUND)
            assert sum(map(len, desk.lists)) == 1

    run(work)


def test_a_queue_is_bounded_and_drops_the_oldest_but_never_a_warning() -> None:
    async def work() -> None:
        async with serving(queue_most=3, urgent=("tocsin/warnings/#",)) as server:
            client = await server.client("slow", properties=Properties(session_expiry_s=100))
            client.say(Subscribe(1, (Q1,)), Disconnect())
            await client.hear()
            assert await client.hear() is None
            for k in range(10):
                server.endpoint.publish("news", b"%d" % k)
                server.endpoint.publish("tocsin/warnings/weir", b"%d" % k)
            assert server.endpoint.counts.dropped == 7
            again = await server.bare()
            again.say(Connect("slow", clean=False))
            assert await again.hear() == Connack(True, 0, (await _settings(server)))
            heard = [await again.hear() for _ in range(13)]
            told = [(one.topic, one.payload) for one in heard if isinstance(one, Publish)]
            assert told[:10] == [("tocsin/warnings/weir", b"%d" % k) for k in range(10)]
            assert told[10:] == [("news", b"7"), ("news", b"8"), ("news", b"9")]

    run(work)


async def _settings(server: Server) -> Properties:
    """What CONNACK tells of the server."""
    settings = server.endpoint.settings
    return Properties(
        server_keep_alive_s=settings.keep_alive_most_s,
        receive_maximum=settings.receive_maximum,
        topic_alias_maximum=settings.topic_alias_maximum,
        maximum_packet_bytes=settings.packet_bytes_most,
    )


def test_no_more_is_under_way_than_the_client_can_take() -> None:
    async def work() -> None:
        async with serving() as server:
            client = await server.client("a", properties=Properties(receive_maximum=2))
            client.say(Subscribe(1, (Q1,)))
            await client.hear()
            for k in range(4):
                server.endpoint.publish("x", b"%d" % k)
            first, second = await client.hear(), await client.hear()
            assert isinstance(first, Publish)
            assert isinstance(second, Publish)
            assert await client.hears_nothing()
            client.say(Ack(Kind.PUBACK, first.packet_id))
            third = await client.hear()
            assert isinstance(third, Publish)
            assert third.payload == b"2"

    run(work)


def test_what_was_not_acknowledged_comes_again_on_the_next_connection() -> None:
    async def work() -> None:
        async with serving() as server:
            client = await server.client("a", properties=Properties(session_expiry_s=100))
            client.say(Subscribe(1, (Filter("x", 2),)))
            await client.hear()
            server.endpoint.publish("x", b"1", qos=2)
            first = await client.hear()
            assert isinstance(first, Publish)
            client.writer.close()
            again = await server.client("a", clean=False, properties=Properties(session_expiry_s=100))
            second = await again.hear()
            assert second == Publish("x", b"1", 2, dup=True, packet_id=first.packet_id)
            again.say(Ack(Kind.PUBREC, first.packet_id))
            assert await again.hear() == Ack(Kind.PUBREL, first.packet_id)
            again.writer.close()
            third = await server.client("a", clean=False)
            assert await third.hear() == Ack(Kind.PUBREL, first.packet_id)
            third.say(Ack(Kind.PUBCOMP, first.packet_id))
            assert await third.hears_nothing()

    run(work)


def test_a_message_that_has_expired_is_not_sent_and_the_rest_of_its_time_is() -> None:
    async def work() -> None:
        async with serving() as server:
            client = await server.client("a", properties=Properties(session_expiry_s=1000))
            client.say(Subscribe(1, (Q1,)), Disconnect())
            await client.hear()
            assert await client.hear() is None
            loop = asyncio.get_running_loop()
            server.endpoint.publish("old", b"1", properties=Properties(message_expiry_s=10))
            server.endpoint.publish("new", b"2", properties=Properties(message_expiry_s=100))
            server.endpoint._now = lambda: loop.time() + 50.0  # type: ignore[method-assign]
            again = await server.client("a", clean=False)
            heard = await again.hear()
            assert isinstance(heard, Publish)
            assert heard.topic == "new"
            assert heard.properties.message_expiry_s in (49, 50)
            assert server.endpoint.counts.expired == 1

    run(work)


def test_a_will_is_said_when_a_client_is_lost_and_not_when_it_says_goodbye() -> None:
    async def work() -> None:
        async with serving() as server:
            listener = await server.client("listener")
            listener.say(Subscribe(1, (Q1,)))
            await listener.hear()
            polite = await server.client("polite", will=Will("gone/polite", b"x", 1))
            polite.say(Disconnect())
            assert await polite.hear() is None
            lost = await server.client("lost", will=Will("gone/lost", b"x", 1))
            lost.writer.transport.abort()
            heard = await listener.hear()
            assert isinstance(heard, Publish)
            assert heard.topic == "gone/lost"
            with_will = await server.client("with-will", will=Will("gone/with-will", b"x", 1))
            with_will.say(Disconnect(Reason.DISCONNECT_WITH_WILL))
            heard = await listener.hear()
            assert isinstance(heard, Publish)
            assert heard.topic == "gone/with-will"

    run(work)


def test_a_delayed_will_waits_and_is_not_said_if_the_client_comes_back() -> None:
    async def work() -> None:
        async with serving() as server:
            listener = await server.client("listener")
            listener.say(Subscribe(1, (Q1,)))
            await listener.hear()
            will = Will("gone", b"x", 0, properties=Properties(will_delay_s=30))
            stays = Properties(session_expiry_s=100)
            client = await server.client("a", will=will, properties=stays)
            client.writer.transport.abort()
            await _until(lambda: server.endpoint.look(0.0) is None and len(server.endpoint._connections) == 1)
            again = await server.client("a", clean=False, will=will, properties=stays)
            server.endpoint.look(asyncio.get_running_loop().time() + 60.0)
            assert await listener.hears_nothing()
            again.writer.transport.abort()
            await _until(lambda: len(server.endpoint._connections) == 1)
            server.endpoint.look(asyncio.get_running_loop().time() + 60.0)
            heard = await listener.hear()
            assert isinstance(heard, Publish)
            assert heard.topic == "gone"

    run(work)


async def _until(what: Callable[[], bool]) -> None:
    for _ in range(1000):
        if what():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


def test_a_silent_client_is_cut_off_after_one_and_a_half_keep_alives() -> None:
    async def work() -> None:
        async with serving() as server:
            client = await server.client("a", keep_alive_s=100)
            now = asyncio.get_running_loop().time()
            server.endpoint.look(now + 140.0)
            assert await client.hears_nothing()
            server.endpoint.look(asyncio.get_running_loop().time() + 151.0)
            heard = await client.hear()
            assert isinstance(heard, Disconnect)
            assert heard.code == Reason.KEEP_ALIVE_TIMEOUT

    run(work)


def test_who_says_nothing_after_opening_a_socket_is_cut_off() -> None:
    async def work() -> None:
        async with serving(connect_timeout_s=10.0) as server:
            client = await server.bare()
            await _until(lambda: len(server.endpoint._connections) == 1)
            server.endpoint.look(asyncio.get_running_loop().time() + 11.0)
            with pytest.raises((ConnectionResetError, AssertionError)):
                assert await client.hear() is not None

    run(work)


def test_a_session_that_is_over_is_forgotten() -> None:
    async def work() -> None:
        async with serving() as server:
            client = await server.client("a", properties=Properties(session_expiry_s=100))
            client.say(Subscribe(1, (Q1,)), Disconnect())
            await client.hear()
            assert await client.hear() is None
            await _until(lambda: not server.endpoint._connections)
            assert server.endpoint.publish("x", b"1") == 1
            server.endpoint.look(asyncio.get_running_loop().time() + 101.0)
            assert server.endpoint.sessions() == {}
            assert server.endpoint.publish("x", b"1") == 0

    run(work)


def test_a_second_connection_with_one_identifier_ends_the_first_and_nobody_else_gets_it() -> None:
    async def work() -> None:
        async with serving() as server:
            first = await server.client("a", user="anna")
            second = await server.client("a", user="anna")
            heard = await first.hear()
            assert isinstance(heard, Disconnect)
            assert heard.code == Reason.SESSION_TAKEN_OVER
            thief = await server.bare()
            thief.say(Connect("a", user="mallory"))
            answer = await thief.hear()
            assert isinstance(answer, Connack)
            assert answer.code == Reason.CLIENT_ID_NOT_VALID
            assert await second.hears_nothing()

    run(work)


@pytest.mark.parametrize(("version", "code"), [(V5, Reason.BAD_LOGIN), (V311, 4)])
def test_a_wrong_password_is_refused(version: int, code: int) -> None:
    async def work() -> None:
        async with serving() as server:
            client = await server.bare(version)
            client.say(Connect("a", version, user="anna", password=b"wrong"), Publish("x", b"1", 1, packet_id=1))
            answer = await client.hear()
            assert isinstance(answer, Connack)
            assert answer.code == code
            assert await client.hear() is None
            assert server.endpoint.counts.messages_in == 0

    run(work)


def test_what_follows_connect_at_once_is_taken_when_the_login_is_through() -> None:
    async def work() -> None:
        async with serving() as server:
            client = await server.bare()
            client.say(Connect("a"), Subscribe(1, (Q1,)), Publish("x", b"1", 1, packet_id=2))
            kinds = [type(await client.hear()) for _ in range(4)]
            assert kinds == [Connack, Granted, Publish, Ack]

    run(work)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (Auth(0x18), Reason.PROTOCOL_ERROR),
        (Connect("again"), Reason.PROTOCOL_ERROR),
        (Publish("", b"", properties=Properties(topic_alias=3)), Reason.TOPIC_ALIAS_INVALID),
        (Publish("x", b"", properties=Properties(topic_alias=60_000)), Reason.TOPIC_ALIAS_INVALID),
        (Publish("x", b"", properties=Properties(subscription_ids=(1,))), Reason.PROTOCOL_ERROR),
        (Publish("x", b"1" * 2_000_000), Reason.PACKET_TOO_LARGE),
        (Subscribe(1, (Filter("$share/g/x", 1, no_local=True),)), Reason.PROTOCOL_ERROR),
        (Disconnect(0, Properties(session_expiry_s=5)), Reason.PROTOCOL_ERROR),
        (Connack(), Reason.PROTOCOL_ERROR),
    ],
)
def test_what_a_client_must_not_say_ends_the_connection_with_the_reason(said: Packet, code: Reason) -> None:
    async def work() -> None:
        async with serving(packet_bytes_most=1 << 20) as server:
            client = await server.client("a")
            client.say(said)
            heard = await client.hear()
            assert isinstance(heard, Disconnect)
            assert heard.code == code
            other = await server.client("b")
            assert await other.hears_nothing()

    run(work)


def test_extended_authentication_is_refused() -> None:
    async def work() -> None:
        async with serving() as server:
            client = await server.bare()
            client.say(Connect("a", properties=Properties(authentication_method="SCRAM")))
            answer = await client.hear()
            assert isinstance(answer, Connack)
            assert answer.code == Reason.BAD_AUTHENTICATION_METHOD

    run(work)


def test_an_alias_stands_for_its_topic() -> None:
    async def work() -> None:
        desk = Desk()
        desk.go.set()
        async with serving(desk.take) as server:
            client = await server.client("a")
            client.say(
                Publish("readings/x", b"1", 1, packet_id=1, properties=Properties(topic_alias=3)),
                Publish("", b"2", 1, packet_id=2, properties=Properties(topic_alias=3)),
            )
            await client.hear()
            await client.hear()
            assert [message.topic for one in desk.lists for message in one] == ["readings/x", "readings/x"]

    run(work)


def test_more_than_the_receive_maximum_ends_the_connection() -> None:
    async def work() -> None:
        desk = Desk()
        async with serving(desk.take, receive_maximum=3) as server:
            client = await server.client("a")
            client.say(*[Publish("readings/x", b"", 1, packet_id=k) for k in range(1, 5)])
            heard = await client.hear()
            assert isinstance(heard, Disconnect)
            assert heard.code == Reason.RECEIVE_MAXIMUM_EXCEEDED
            desk.go.set()

    run(work)


def test_a_client_of_3_1_1_knows_no_receive_maximum_and_is_only_slowed_down() -> None:
    async def work() -> None:
        desk = Desk()
        async with serving(desk.take, receive_maximum=3) as server:
            client = await server.client("a", V311)
            for k in range(1, 21):
                client.say(Publish("readings/x", b"", 1, packet_id=k))
                await client.writer.drain()
            await desk.begun.wait()
            desk.go.set()
            assert [await client.hear() for _ in range(20)] == [Ack(Kind.PUBACK, k) for k in range(1, 21)]

    run(work)


def test_a_subscriber_that_does_not_read_fills_its_queue_and_not_the_memory() -> None:
    async def work() -> None:
        async with serving(queue_most=10) as server:
            slow = await server.client("slow")
            slow.say(Subscribe(1, (Filter("#", 0),)))
            await slow.hear()
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            for k in range(1000):
                server.endpoint.publish("x", b"%04d" % k + b"x" * 100_000, qos=0)
                await asyncio.sleep(0)
            assert server.endpoint.counts.dropped > 500
            assert server.endpoint.sessions()["slow"] == 10
            slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
            numbers = []
            while not numbers or numbers[-1] != 999:
                heard = await slow.hear()
                assert isinstance(heard, Publish)
                numbers.append(int(heard.payload[:4]))
            assert numbers == sorted(numbers)
            assert numbers[-10:] == list(range(990, 1000))  # the oldest were dropped, the newest are there

    run(work)


def test_who_may_not_publish_or_subscribe_is_told_so() -> None:
    async def work() -> None:
        async with serving(grant=Grant(publish=("mine/{client}/#",), subscribe=("news/+",))) as server:
            client = await server.client("a")
            client.say(
                Publish("mine/a/x", b"", 1, packet_id=1),
                Publish("mine/b/x", b"", 1, packet_id=2),
                Publish("$SYS/x", b"", 1, packet_id=3),
                Subscribe(4, (Filter("news/+"), Filter("news/#"), Filter("a/#/b"))),
                Unsubscribe(5, ("news/+", "never")),
            )
            heard = [await client.hear() for _ in range(5)]
            assert [one.code for one in heard if isinstance(one, Ack)] == [0, 0x87, 0x87]
            codes = [one.codes for one in heard if isinstance(one, Granted)]
            assert codes == [(0, 0x87, 0x8F), (0, Reason.NO_SUBSCRIPTION_EXISTED)]

    run(work)


def test_subscription_options_of_version_5() -> None:
    async def work() -> None:
        async with serving() as server:
            server.endpoint.publish("x", b"kept", retain=True)
            client = await server.client("a")
            client.say(Subscribe(1, (Filter("x", 1, no_local=True, retain_handling=2),), Properties(subscription_ids=(7,))))
            assert isinstance(await client.hear(), Granted)
            assert await client.hears_nothing()  # neither what is retained
            client.say(Publish("x", b"own", 1, packet_id=2))
            assert await client.hear() == Ack(Kind.PUBACK, 2)
            assert await client.hears_nothing()  # nor its own
            client.say(
                Subscribe(3, (Filter("+", 0, retain_as_published=True, retain_handling=1),), Properties(subscription_ids=(8,)))
            )
            assert isinstance(await client.hear(), Granted)
            kept = await client.hear()
            assert kept == Publish("x", b"kept", 0, True, properties=Properties(subscription_ids=(8,)))
            server.endpoint.publish("x", b"new", retain=True)
            heard = await client.hear()
            assert isinstance(heard, Publish)
            assert (heard.qos, heard.retain, set(heard.properties.subscription_ids)) == (1, True, {7, 8})

    run(work)


def test_retained_messages_are_bounded_and_an_empty_one_forgets() -> None:
    async def work() -> None:
        async with serving(retained_most=2) as server:
            for topic in ("a", "b", "c"):
                server.endpoint.publish(topic, b"x", retain=True)
            assert server.endpoint.counts.not_retained == 1
            server.endpoint.publish("a", b"", retain=True)
            server.endpoint.publish("tocsin/warnings/weir", b"x", retain=True)
            server.endpoint.publish("tocsin/warnings/quay", b"x", retain=True)  # what is urgent is kept beyond the bound
            client = await server.client("a")
            client.say(Subscribe(1, (Q1,)))
            await client.hear()
            heard = [await client.hear() for _ in range(3)]
            assert [one.topic for one in heard if isinstance(one, Publish)] == [
                "b",
                "tocsin/warnings/weir",
                "tocsin/warnings/quay",
            ]

    run(work)


def test_under_load_senders_wait_then_are_refused_it_is_said_once_and_what_is_urgent_goes_through() -> None:
    async def work() -> None:
        desk, loads = Desk(), list[bool]()
        async with serving(
            desk.take, on_load=lambda why: loads.append(why is not None), pending_bytes_most=10_000, urgent=("readings/urgent",)
        ) as server:
            client, urgent = await server.client("a"), await server.client("b")
            client.say(*[Publish("readings/x", b"1" * 1500, 1, packet_id=k) for k in range(1, 21)])
            await desk.begun.wait()
            shed = [await client.hear() for _ in range(20 - 10 - 1)]
            assert {one.code for one in shed if isinstance(one, Ack)} == {Reason.QUOTA_EXCEEDED}
            urgent.say(Publish("readings/urgent", b"1" * 1500, 1, packet_id=1))
            await _until(lambda: server.endpoint.counts.messages_in == 21)
            desk.go.set()
            assert await urgent.hear() == Ack(Kind.PUBACK, 1)
            stored = [await client.hear() for _ in range(11)]
            assert [one.code for one in stored if isinstance(one, Ack)] == [0] * 11
            await _until(lambda: loads == [True, False])
            client.say(Publish("readings/x", b"1", 1, packet_id=1))
            assert await client.hear() == Ack(Kind.PUBACK, 1)

    run(work)


def test_closing_the_server_lets_the_handler_finish_and_acknowledge() -> None:
    async def work() -> None:
        desk = Desk()
        async with serving(desk.take) as server:
            client = await server.client("a")
            client.say(Publish("readings/x", b"1", 1, packet_id=1))
            await desk.begun.wait()
            asyncio.get_running_loop().call_later(0.02, desk.go.set)
            await server.endpoint.close()
            assert await client.hear() == Ack(Kind.PUBACK, 1)
            heard = await client.hear()
            assert isinstance(heard, Disconnect)
            assert heard.code == Reason.SERVER_SHUTTING_DOWN

    run(work)


def test_settings_without_bounds_are_refused() -> None:
    with pytest.raises(InputError, match="queue_most"):
        Settings(queue_most=0)
