"""The examples of the pages do what the pages say: each is run as it stands, with a stand-in for who is at the other end.

Only where that is has to be changed for a trial (host, port, folder, certificates); every other line is the page's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from collector_place import Web, batches, broker, bulletins, free_port, listens, polls, publish, quick_host, rows
from test_cap_collector import alert, index
from test_collector_kinds import FRAME, PAGES, blocks
from test_firms import VIIRS, viirs
from test_http_collectors import TOKEN, USGS_IV, ready
from test_lorawan import CHIRP
from test_modbus import device, words
from test_quakes import HEAD, LINE, event, feed
from test_sensorthings_collector import ROOT, gauge, observe
from test_sensorthings_collector import server as things_server

from tocsin.edge.collectors import find_collectors
from tocsin.edge.settings import read_settings
from tocsin.testing.collector_promises import following


def example(folder: Path, page: str, name: str, *changes: tuple[str, str]) -> Any:
    """The collector of a page that has this name, with some words changed."""
    text = "".join(block for block in blocks(PAGES / f"{page}.md", "toml") if "[[collector]]" in block)
    for before, after in changes:
        assert before in text, f"{page}: no {before!r}"
        text = text.replace(before, after)
    (folder / "edge.toml").write_text(FRAME + text)
    return next(one for one in read_settings(folder / "edge.toml", kinds=find_collectors()).collectors if one.name == name)


def web(*answers: bytes) -> Web:
    """Answers one after the other, and then the last again."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=left.pop(0) if len(left) > 1 else left[0])

    return Web(answer)


def test_usgs_and_fdsn(tmp_path: Path) -> None:
    host = quick_host(web(json.dumps(feed(event())).encode()))
    asyncio.run(polls(example(tmp_path, "earthquakes", "usgs day"), host, 1))
    assert bulletins(host)[0].figures["magnitude"] >= 3.0
    host = quick_host(web((HEAD + LINE).encode()))
    asyncio.run(polls(example(tmp_path, "earthquakes", "emsc"), host, 1))
    (told,) = bulletins(host)
    assert told.figures["magnitude"] == 3.1
    asked = str(host.net.asked[0].url)  # type: ignore[attr-defined]
    assert asked.startswith("https://www.seismicportal.eu/fdsnws/event/1/query?")
    assert "minmagnitude=3" in asked


def test_firms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRMS_MAP_KEY", "s3cret")
    host = quick_host(web((VIIRS + viirs("h")).encode()))
    asyncio.run(polls(example(tmp_path, "firms", "firms viirs"), host, 1))
    (told,) = bulletins(host)
    assert told.figures["confidence_class"] == 2.0
    assert "/csv/s3cret/VIIRS" in str(host.net.asked[0].url)  # type: ignore[attr-defined]
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "a.csv").write_text(VIIRS + viirs("h"))
    dropped = example(tmp_path, "firms", "firms files", ('"inbox-firms"', json.dumps(str(folder))))
    host = quick_host()
    asyncio.run(polls(dropped, host, 1))
    assert [one.subject for one in bulletins(host)] == ["firms:40.00,-8.12"]


@pytest.mark.parametrize("name", ["national alerts", "nws oregon", "meteoalarm austria", "canada"])
def test_cap_feeds(tmp_path: Path, name: str) -> None:
    collector = example(tmp_path, "cap_feed", name)
    place = httpx.URL(collector.url).host

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=alert("a1") if request.url.path == "/a1.cap" else index("a1", host=place))

    host = quick_host(Web(answer))
    asyncio.run(polls(collector, host, 1))
    (told,) = bulletins(host)
    assert told.event == ("flood" if collector.language == "en" else "Hochwasser")  # without a language: the first
    assert told.status == "actual"


def test_http_poll(tmp_path: Path) -> None:
    (got,) = asyncio.run(
        batches(example(tmp_path, "http_poll", "water service"), quick_host(web(json.dumps(USGS_IV).encode())), 1)
    )
    assert rows(got)[0] == ("river_level", "potomac", pytest.approx(3.45 * 0.3048))
    (tmp_path / "token").write_text("secret")
    host = quick_host(web(b"Station;Datum;Pegel (cm)\nQuay;01.03.2026 12:00;250\n"))
    collector = example(tmp_path, "http_poll", "town gauges", ('file = "token"', f'file = "{tmp_path}/token"'))
    (got,) = asyncio.run(batches(collector, host, 1))
    assert rows(got) == [("river_level", "Quay", 2.5)]
    assert datetime.fromtimestamp(got.time_us[0] / 1e6, UTC) == datetime(2026, 3, 1, 11, tzinfo=UTC)  # type: ignore[union-attr]
    assert host.net.asked[0].headers["authorization"] == "Bearer secret"  # type: ignore[attr-defined]


def test_files(tmp_path: Path) -> None:
    for folder in ("inbox", "inbox-json"):
        (tmp_path / folder).mkdir()
    (tmp_path / "inbox" / "a.csv").write_text("station,time,stage\nweir,2026-03-01 11:00,250\n")
    (tmp_path / "inbox-json" / "a.jsonl").write_text('{"reading": {"level": 2.5, "at": "2026-03-01T11:00:00Z"}}\n')
    changes = (
        ('folder = "inbox"', f'folder = "{tmp_path}/inbox"'),
        ('folder = "inbox-json"', f'folder = "{tmp_path}/inbox-json"'),
    )
    for name in ("logger files", "json lines"):
        (got,) = asyncio.run(batches(example(tmp_path, "files", name, *changes), quick_host(), 1))
        assert rows(got) == [("river_level", "weir", 2.5)]


def pushed(collector: Any, body: Any) -> tuple[httpx.Response, Sequence[Any]]:
    """What a device hears that POSTs this as the pages say, and what came of it."""

    async def play() -> tuple[httpx.Response, list[Any]]:
        heard: list[Any] = []
        async with aclosing(collector.batches(quick_host(speed=1.0))) as source:

            async def drive() -> None:
                async for batch in source:
                    heard.extend([batch] if len(batch) else [])

            task = asyncio.create_task(drive())
            await ready(collector)
            async with httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}, timeout=20.0) as client:
                answer = await client.post(f"http://127.0.0.1:{collector.port}/push", content=body)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return answer, heard

    return asyncio.run(play())


def tokens(folder: Path, device: str) -> str:
    (folder / "tokens").write_text(f"{device} sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    return str(folder / "tokens")


def test_http_push_answers_what_its_page_shows(tmp_path: Path) -> None:
    (shown,) = blocks(PAGES / "http_push.md", "console")
    command, answer = shown.strip().splitlines()
    (body,) = re.findall(r"-d '([^']+)'", command)
    changes = [
        ('tokens_file = "tokens"', f'tokens_file = "{tokens(tmp_path, "pump-7")}"'),
        ("port = 8780", f"port = {free_port()}"),
    ]
    changes += [('cert = "node.pem"\nkey = "node-key.pem"\n', ""), ('listen = "0.0.0.0"', 'listen = "127.0.0.1"')]
    told, (got,) = pushed(example(tmp_path, "http_push", "pumps", *changes), body)
    assert (told.status_code, told.text.strip()) == (200, answer)
    assert rows(got) == [("river_level", "pump-7", 2.5)]


def uplinks() -> tuple[dict[str, Any], dict[str, Any]]:
    """The messages that the page shows: of The Things Stack and of ChirpStack."""
    first, second = (json.loads(block) for block in blocks(PAGES / "lorawan.md", "json"))
    return first, second


def test_lorawan_push(tmp_path: Path) -> None:
    changes = [('tokens_file = "chirpstack.tokens"', f'tokens_file = "{tokens(tmp_path, "chirpstack")}"')]
    changes += [("port = 8781", f"port = {free_port()}"), ('listen = "0.0.0.0"', 'listen = "127.0.0.1"')]
    told, (got,) = pushed(example(tmp_path, "lorawan", "level sensors by webhook", *changes), json.dumps(uplinks()[1]))
    assert told.status_code == 200
    assert rows(got) == [("river_level", "river/70b3d57ed0001234", 1.25)]
    assert uplinks()[1].keys() <= CHIRP.keys()


@pytest.mark.mosquitto
def test_lorawan_and_mqtt(mosquitto: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_MQTT_PASSWORD", "word")
    (tmp_path / "ttn.key").write_text("word")

    async def heard(collector: Any, topic: str, payload: bytes) -> list[tuple[str, str, float]]:
        host = quick_host(speed=1.0)
        async with aclosing(collector.batches(host)) as source:
            waiting = asyncio.ensure_future(following(source))
            await listens(host)
            await publish(mosquitto["mosquitto_pub"], int(collector.port), topic, payload)
            return rows(await waiting)

    async def play() -> None:
        async with broker(mosquitto["mosquitto"], tmp_path) as port:
            at = f'host = "127.0.0.1"\nport = {port}'
            ttn = [
                ('host = "eu1.cloud.thethings.network"', at),
                ("tls = {}\n", ""),
                ('file = "ttn.key"', f'file = "{tmp_path}/ttn.key"'),
            ]
            sensors = example(tmp_path, "lorawan", "level sensors", *ttn)
            topic = "v3/river@ttn/devices/gauge-7/up"
            assert await heard(sensors, topic, json.dumps(uplinks()[0]).encode()) == [("river_level", "gauge-7", 1.25)]
            level = b'{"level": 250, "at": "2026-03-01T11:00:00Z"}'
            for topic, payload, wanted in (
                ("gauges/weir/level", level, ("river_level", "weir", 2.5)),
                ("rain/roof/tips", b"0.2", ("rain_amount", "roof", 0.2)),
            ):
                anew = f'{at}\nclient_id = "{wanted[1]}"'  # what the first has not acknowledged would come again
                town = [('host = "broker.example.org"', anew), ('tls = { ca = "ca.pem" }\n', "")]
                assert await heard(example(tmp_path, "mqtt", "river gauges", *town), topic, payload) == [wanted]

    asyncio.run(play())


def test_modbus(tmp_path: Path) -> None:
    async def play() -> None:
        low, high = words(">f", 1.5)[1], words(">f", 1.5)[0]
        async with device({0: [250], 100: [low, high]}) as port:
            at = ('host = "192.0.2.17"', f'host = "127.0.0.1"\nport = {port}')
            alone = (', table = "input", device = 2', "")  # the stand-in is one device with holding registers
            got = await batches(example(tmp_path, "modbus", "pump house", at, alone), quick_host(speed=1.0), 2)
        assert sorted(rows(*got)) == [("rain_amount", "roof", 1.5), ("river_level", "sump", 2.5)]

    asyncio.run(play())


def test_sensorthings(tmp_path: Path) -> None:
    with things_server(tmp_path) as (client, _, net):
        observe(client, gauge(client, "weir"), 10, 2.5)
        changes = [('"https://sta.example.org/FROST-Server/v1.1"', f'"{ROOT}"'), ("name eq 'water level'", "name eq 'level'")]
        changes += [
            ("$.Thing.properties.station", "$.Thing.name"),
            ('state_file = "regional.state"', f'state_file = "{tmp_path}/s"'),
        ]
        (got,) = asyncio.run(batches(example(tmp_path, "sensorthings", "regional network", *changes), quick_host(net), 1))
    assert rows(got) == [("river_level", "weir", 2.5)]
