"""Collectors driven by a node: bulletins go to the ledger once, an empty batch heals, and a bad collector stops no other; TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from certificates import make_certificates
from collector_place import EDGE, LEVEL, NOON, Web, broker, bulletins, listens, made, quick_host, rows, still_host
from test_http_collectors import GOOD, TOKEN, push, ready
from test_mqtt_collector import collector as mqtt_collector
from test_quakes import WEEK, event, feed

from tocsin.edge import Batch, Latest, Node, Watch
from tocsin.edge.collectors.usgs import Usgs
from tocsin.edge.latest import microseconds
from tocsin.flows.words import in_words
from tocsin.host import Host, NoNetwork
from tocsin.testing.collector_promises import following
from tocsin.vocabulary import Bulletin, Observations, SensorFault, Unavailable


class Played:
    """A collector that gives what it is told to give, and raises what is an exception."""

    def __init__(self, name: str, *told: Any) -> None:
        self._name, self._told, self.done = name, list(told), list[Any]()

    @property
    def name(self) -> str:
        return self._name

    async def batches(self, host: Host) -> AsyncGenerator[Batch, None]:
        while self._told:
            one = self._told.pop(0)
            if isinstance(one, Exception):
                raise one
            yield one
            self.done.append(one)
            await host.clock.sleep(60.0)
        await host.clock.sleep(1e6)


def reading(value: float = 1.0) -> Observations:
    return Observations.of(LEVEL, ("weir",), [0], [microseconds(NOON) + int(value)], [value])


def said(revision: str, cause: tuple[str, ...] = ()) -> Bulletin:
    return Bulletin(
        time=NOON,
        subject="usgs:us1",
        cause=cause,
        source="quakes",
        revision=revision,
        state="issued",
        status="actual",
        event="earthquake",
        sender="us",
        headline="M 4.6",
    )


def run(host: Any, *collectors: Any, minutes: float = 30.0) -> Node:
    latest = Latest([])
    node = Node(host, EDGE, latest=latest, watch=Watch({}, latest, since=NOON), collectors=collectors, tick_s=600.0)

    async def play() -> None:
        task = asyncio.create_task(node.run())
        await host.clock.run(NOON + timedelta(minutes=minutes))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())
    return node


def test_bulletins_go_to_the_ledger_once_beside_the_readings() -> None:
    host = still_host()
    quakes, gauges = Played("quakes", (said("1"), said("2")), (said("1"),)), Played("gauges", reading())
    node = run(host, quakes, gauges)
    assert [one.revision for one in bulletins(host)] == ["1", "2"]
    assert len(quakes.done) == 2
    assert node.counted["river_level", "stored"] == 1
    assert {entry.actor for entry in host.ledger.read()} == {EDGE.name}


def test_a_bulletin_that_the_ledger_refuses_breaks_its_collector_and_no_other() -> None:
    host = still_host()
    quakes, gauges = (
        Played("quakes", (said("1", cause=("note-nowhere",)),), (said("2"),)),
        Played("gauges", reading(), reading(2.0)),
    )
    node = run(host, quakes, gauges)
    assert [one.revision for one in bulletins(host)] == ["2"]
    assert node.counted["river_level", "stored"] == 2
    faults = [entry.record for entry in host.ledger.read() if isinstance(entry.record, SensorFault)]
    assert [(one.subject, one.healed) for one in faults] == [("collector quakes", False), ("collector quakes", True)]


def test_a_bulletin_in_words_tells_whether_it_is_real() -> None:
    assert in_words(said("1")) == "us issued: M 4.6"
    assert in_words(msgspec.structs.replace(said("1"), status="exercise")) == "us issued (EXERCISE): M 4.6"


def test_an_empty_batch_says_that_the_source_answers_again() -> None:
    host = still_host()
    node = run(host, Played("quakes", Unavailable("no route"), ()))
    faults = [entry.record for entry in host.ledger.read() if isinstance(entry.record, SensorFault)]
    assert [one.healed for one in faults] == [False, True]
    assert node.broken == {}


def test_a_collector_that_gives_something_else_is_told_and_the_node_goes_on() -> None:
    host = still_host()
    node = run(host, Played("odd", "text"), Played("gauges", reading()))
    assert node.counted["river_level", "stored"] == 1
    faults = [entry.record for entry in host.ledger.read() if isinstance(entry.record, SensorFault)]
    assert "it gave a str; wanted Observations or a tuple of Bulletins" in faults[0].reason


def test_a_feed_is_followed_by_a_node_from_its_first_revision_to_its_last() -> None:
    answers = [feed(event()), feed(event()), feed(event(updated_ms=1772365200000, mag=4.9, status="reviewed"))]
    web = Web(lambda request: httpx.Response(200, json=answers[min(len(web.asked), len(answers)) - 1]))
    host = quick_host(web)
    latest = Latest([])
    quakes = made(Usgs, url=WEEK)
    node = Node(host, EDGE, latest=latest, watch=Watch({}, latest, since=NOON), collectors=[quakes], tick_s=600.0)

    async def play() -> None:
        task = asyncio.create_task(node.run())
        async with asyncio.timeout(20.0):
            while len(web.asked) < 5:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())
    assert [(one.state, one.figures["magnitude"]) for one in bulletins(host)] == [("issued", 4.6), ("updated", 4.9)]
    assert quakes.tally.status().taken == 2


@pytest.mark.mosquitto
def test_mqtt_over_tls_with_certificates_of_both_sides(mosquitto: dict[str, str], tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    for file in (files.server, files.server_key, files.ca):
        file.chmod(0o644)

    async def play() -> None:
        lines = [f"cafile {files.ca}", f"certfile {files.server}", f"keyfile {files.server_key}", "require_certificate true"]
        async with broker(mosquitto["mosquitto"], tmp_path, *lines) as port:
            ours = {"ca": str(files.ca), "cert": str(files.client), "key": str(files.client_key)}
            host = quick_host(speed=1.0)
            async with aclosing(mqtt_collector(port, host="localhost", tls=ours).batches(host)) as source:
                waiting = asyncio.ensure_future(following(source))
                await listens(host)
                words = ("--cafile", str(files.ca), "--cert", str(files.client), "--key", str(files.client_key))
                process = await asyncio.create_subprocess_exec(
                    *(mosquitto["mosquitto_pub"], "-h", "localhost", "-p", str(port), *words),
                    *("-t", "plain/weir/x", "-q", "1", "-m", "1.5"),
                )
                await process.wait()
                assert rows(await waiting) == [("river_level", "weir", 1.5)]
            for other in ({"cert": str(files.client), "key": str(files.client_key)}, {"ca": str(files.ca)}):
                with pytest.raises(Unavailable, match="mqtt localhost"):
                    await anext(mqtt_collector(port, host="localhost", tls=other).batches(quick_host(speed=1.0)))
            with pytest.raises(Unavailable, match=r"no-such\.pem cannot be used"):
                await anext(mqtt_collector(port, tls={"ca": str(tmp_path / "no-such.pem")}).batches(quick_host(speed=1.0)))

    asyncio.run(play())


def test_a_host_without_a_network_reaches_no_server_by_any_kind(tmp_path: Path) -> None:
    for collector in (mqtt_collector(1883), push(tmp_path), made(Usgs)):
        with pytest.raises(Unavailable, match="this host has no network"):
            asyncio.run(anext(collector.batches(still_host(NoNetwork()))))  # type: ignore[arg-type]


def test_a_push_over_tls(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)

    async def play() -> None:
        gauges = push(tmp_path, cert=str(files.server), key=str(files.server_key))
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source:
            waiting = asyncio.ensure_future(following(source))
            await ready(gauges)
            trusted = ssl.create_default_context(cafile=str(files.ca))
            async with httpx.AsyncClient(verify=trusted, timeout=20.0) as client:
                url, headers = f"https://localhost:{gauges.port}/push", {"authorization": f"Bearer {TOKEN}"}
                sent = asyncio.create_task(client.post(url, json=GOOD, headers=headers))
                await waiting
                waiting = asyncio.ensure_future(following(source))
                assert (await sent).status_code == 200
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        broken = push(tmp_path, cert=str(files.ca), key=str(files.server_key))
        with pytest.raises(Unavailable, match="cannot be used"):
            await anext(broken.batches(quick_host(speed=1.0)))

    asyncio.run(play())
