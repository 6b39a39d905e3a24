"""The MQTT collector against Debian's Mosquitto: topics, versions, sessions, TLS, and acknowledgement only when it is on disk."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from collector_place import LEVEL_TOLD, CountingNet, batches, broker, listens, made, publish, quick_host, reading, rows

from tocsin.edge.collectors.mqtt import Mqtt, Topic
from tocsin.testing.collector_promises import following, until
from tocsin.vocabulary import InputError, Unavailable

JSON_TOPIC = {
    "topic": "gauges/{site}/level",
    "readings": [{"quantity": LEVEL_TOLD, "value": "$.value", "time": "$.time", "unit": "cm"}],
}
NUMBER_TOPIC = {"topic": "plain/+/+", "format": "number", "readings": [{"quantity": LEVEL_TOLD}]}
CSV_TOPIC = {
    "topic": "csv/#",
    "format": "csv",
    "readings": [{"quantity": LEVEL_TOLD, "value": "$.v", "site": "$.s", "time": "$.t"}],
}


def collector(port: int, **more: Any) -> Mqtt:
    told = {"host": "127.0.0.1", "port": port, "topics": [JSON_TOPIC, NUMBER_TOPIC, CSV_TOPIC], "keepalive_s": 60, **more}
    return made(Mqtt, **told)  # type: ignore[no-any-return]


@pytest.mark.mosquitto
@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_topics_and_payloads_become_readings_of_the_sites_that_they_name(
    mosquitto: dict[str, str], tmp_path: Path, version: str
) -> None:
    async def play() -> list[tuple[str, str, float]]:
        async with broker(mosquitto["mosquitto"], tmp_path) as port:
            host, told = quick_host(speed=1.0), []
            async with aclosing(collector(port, version=version).batches(host)) as source:
                waiting = asyncio.ensure_future(following(source))
                await listens(host)
                pub = mosquitto["mosquitto_pub"]
                await publish(pub, port, "gauges/weir/level", reading(250))
                told.append(await waiting)
                await publish(pub, port, "plain/quay/anything", b" 1.5\n")
                told.append(await following(source))
                await publish(pub, port, "csv/deep/down", b"s,t,v\nmill,2026-03-01T11:00:00Z,3\n")
                told.append(await following(source))
            return rows(*told)

    assert asyncio.run(play()) == [("river_level", "weir", 2.5), ("river_level", "quay", 1.5), ("river_level", "mill", 3.0)]


@pytest.mark.mosquitto
@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_what_was_not_acknowledged_and_what_came_meanwhile_is_there_after_a_new_start(
    mosquitto: dict[str, str], tmp_path: Path, version: str
) -> None:
    async def play() -> set[tuple[str, str, float]]:
        async with broker(mosquitto["mosquitto"], tmp_path) as port:
            pub, net = mosquitto["mosquitto_pub"], CountingNet()
            host = quick_host(net, speed=1.0)
            gauges = collector(port, version=version)
            source = gauges.batches(host)
            waiting = asyncio.ensure_future(following(source))
            await listens(host)
            await publish(pub, port, "gauges/weir/level", reading(100))
            assert rows(await waiting) == [("river_level", "weir", 1.0)]
            assert net.pubacks == 0
            await source.aclose()
            await publish(pub, port, "gauges/quay/level", reading(200))
            again: list[Any] = []
            async with aclosing(gauges.batches(host)) as source:
                while len(rows(*again)) < 2:
                    again.append(await following(source))
            return set(rows(*again))

    assert asyncio.run(play()) == {("river_level", "weir", 1.0), ("river_level", "quay", 2.0)}


@pytest.mark.mosquitto
def test_a_message_that_is_too_large_is_read_past_and_does_not_come_again(mosquitto: dict[str, str], tmp_path: Path) -> None:
    async def play() -> None:
        async with broker(mosquitto["mosquitto"], tmp_path) as port:
            gauges = collector(port, message_bytes_most=1_000, version="3.1.1")
            net = CountingNet()
            host = quick_host(net, speed=1.0)
            async with aclosing(gauges.batches(host)) as source:
                waiting = asyncio.ensure_future(following(source))
                await listens(host)
                await publish(mosquitto["mosquitto_pub"], port, "gauges/weir/level", b"x" * 200_000)
                await publish(mosquitto["mosquitto_pub"], port, "gauges/weir/level", reading(100))
                assert rows(await waiting) == [("river_level", "weir", 1.0)]
                assert gauges.tally.dropped == {"too large": 1}
                waiting = asyncio.ensure_future(following(source))
                await until(lambda: net.pubacks == 2)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(play())


@pytest.mark.mosquitto
def test_a_retained_value_without_its_time_is_not_taken_for_a_new_reading(mosquitto: dict[str, str], tmp_path: Path) -> None:
    async def play() -> None:
        async with broker(mosquitto["mosquitto"], tmp_path) as port:
            pub = mosquitto["mosquitto_pub"]
            await publish(pub, port, "plain/weir/x", b"9.9", "-r")
            await publish(pub, port, "gauges/weir/level", reading(100), "-r")
            gauges = collector(port)
            told = await batches(gauges, quick_host(speed=1.0), 1)
            assert rows(*told) == [("river_level", "weir", 1.0)]
            await asyncio.sleep(0)
            assert gauges.tally.dropped == {"retained": 1}

    asyncio.run(play())


@pytest.mark.mosquitto
def test_two_nodes_of_one_group_share_the_messages(mosquitto: dict[str, str], tmp_path: Path) -> None:
    async def play() -> None:
        async with broker(mosquitto["mosquitto"], tmp_path) as port:
            pub, host = mosquitto["mosquitto_pub"], quick_host(speed=1.0)
            heard: list[list[float]] = [[], []]

            async def listen(which: int) -> None:
                async with aclosing(collector(port, share="nodes", client_id=f"node-{which}").batches(host)) as source:
                    async for batch in source:
                        heard[which] += [value for _, _, value in rows(batch)]

            tasks = [asyncio.create_task(listen(which)) for which in (0, 1)]
            await listens(host, 2)
            for number in range(6):
                await publish(pub, port, "gauges/weir/level", reading(100 * number, time=f"2026-03-01T11:0{number}:00Z"))
            await until(lambda: len(heard[0]) + len(heard[1]) == 6)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert sorted(heard[0] + heard[1]) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
            assert heard[0]
            assert heard[1]

    asyncio.run(play())


@pytest.mark.mosquitto
def test_a_wrong_password_is_a_fault_that_says_so_and_the_right_one_opens(
    mosquitto: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "users"
    # mosquitto_passwd -b users node secret, written down: PBKDF2-SHA512 with 1 iteration is what "$7$1$" says.
    salt = b"tocsin-salt!"
    key = hashlib.pbkdf2_hmac("sha512", b"secret", salt, 1)
    users.write_text(f"node:$7$1${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}\n")
    users.chmod(0o600)
    word = tmp_path / "word"
    word.write_text("wrong\n")

    async def play() -> None:
        async with broker(mosquitto["mosquitto"], tmp_path, "allow_anonymous false", f"password_file {users}") as port:
            host = quick_host(speed=1.0)
            for version in ("3.1.1", "5"):
                with pytest.raises(Unavailable, match="does not let us in"):
                    await batches(collector(port, version=version, user="node", password={"file": str(word)}), host, 1)
            monkeypatch.setenv("NODE_WORD", "secret")
            async with aclosing(collector(port, user="node", password={"env": "NODE_WORD"}).batches(host)) as source:
                waiting = asyncio.ensure_future(following(source))
                await listens(host)
                pub = mosquitto["mosquitto_pub"]
                await publish(pub, port, "gauges/weir/level", reading(100), "-u", "node", "-P", "secret")
                assert rows(await waiting) == [("river_level", "weir", 1.0)]

    asyncio.run(play())


@pytest.mark.mosquitto
def test_a_server_that_goes_away_is_a_fault_and_not_silence(mosquitto: dict[str, str], tmp_path: Path) -> None:
    async def play() -> None:
        async with broker(mosquitto["mosquitto"], tmp_path) as port:
            host = quick_host(speed=1.0)
            source = collector(port).batches(host)
            waiting = asyncio.ensure_future(following(source))
            await listens(host)
        with pytest.raises(Unavailable, match="mqtt 127"):
            await waiting
        with pytest.raises(Unavailable, match="Connect"):
            await batches(collector(port), quick_host(speed=1.0), 1)

    asyncio.run(play())


def test_a_server_that_says_nothing_is_given_up() -> None:
    """It lets us in, grants the subscription, and never answers a ping."""

    async def play() -> None:
        async def dumb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1000)
            writer.write(b"\x20\x02\x00\x00")
            await reader.read(1000)
            writer.write(b"\x90\x05\x00\x01\x01\x01\x01")
            await reader.read(-1)
            writer.close()

        server = await asyncio.start_server(dumb, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(Unavailable, match="says nothing for 60 s"):
                await batches(collector(port, version="3.1.1"), quick_host(speed=600.0), 1)

    asyncio.run(play())


@pytest.mark.parametrize(
    "sent",
    [
        b"\x20\x02\x00\x05",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\xff\xff\xff\xff\xff",
        b"\x20\x02\x00\x00\x30\xff\xff\xff\x7f\xff\xff",
        b"",
    ],
)
def test_a_server_that_speaks_nonsense_is_a_fault(sent: bytes) -> None:
    async def play() -> None:
        async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1000)
            writer.write(sent)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(odd, "127.0.0.1", 0)
        async with server:
            with pytest.raises(Unavailable, match="mqtt 127"):
                await batches(collector(server.sockets[0].getsockname()[1], version="3.1.1"), quick_host(speed=1.0), 1)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("topic", "asked", "heard", "words"),
    [
        ("a/{site}/{what}", "a/+/+", "a/weir/level", {"site": "weir", "what": "level"}),
        ("a/+/b", "a/+/b", "a/weir/b", {"site": "weir"}),
        ("+/{site}/+", "+/+/+", "x/weir/y", {"site": "weir"}),
        ("a/#", "a/#", "a/b/c", {}),
        ("a/{site}/#", "a/+/#", "a/weir", {"site": "weir"}),
        ("a/{site}", "a/+", "b/weir", None),
        ("a/{site}", "a/+", "a/weir/more", None),
    ],
)
def test_a_topic_says_what_is_asked_and_what_is_captured(
    topic: str, asked: str, heard: str, words: dict[str, str] | None
) -> None:
    made_topic = made_of(topic)
    assert made_topic.filter.topic == asked
    assert made_topic.capture(heard) == words


def made_of(topic: str) -> Topic:
    return msgspec.convert({"topic": topic, "readings": [{"quantity": LEVEL_TOLD}]}, type=Topic)


@pytest.mark.parametrize("topic", ["", "a/#/b", "a/b+", "a/{site}x", "a/{s}/{s}", "$share/g/a", "a/\0"])
def test_a_topic_that_no_server_would_take_is_refused(topic: str) -> None:
    with pytest.raises((InputError, msgspec.ValidationError)):
        made_of(topic)
