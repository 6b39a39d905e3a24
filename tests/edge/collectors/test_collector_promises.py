"""Every kind that we ship is held to the promises that any third-party kind is held to."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from collector_place import LEVEL_TOLD, NOON, CountingNet, Web, broker, free_port, listens, made, publish, quick_host, reading
from test_cap_collector import FEED, alert, index
from test_firms import VIIRS, viirs
from test_lorawan import CHIRP
from test_modbus import device, words
from test_quakes import HEAD, LINE, SERVICE, WEEK, event, feed

from tocsin.edge.collectors.fdsn import Fdsn
from tocsin.edge.collectors.files import Files
from tocsin.edge.collectors.firms import Firms, FirmsFiles
from tocsin.edge.collectors.http_poll import HttpPoll
from tocsin.edge.collectors.http_push import HttpPush
from tocsin.edge.collectors.lorawan import Lorawan, LorawanPush
from tocsin.edge.collectors.modbus import Modbus
from tocsin.edge.collectors.mqtt import Mqtt
from tocsin.edge.collectors.sensorthings import SensorThings
from tocsin.edge.collectors.usgs import Usgs
from tocsin.platform.exchange.cap_collector import CapFeed
from tocsin.testing.collector_promises import CollectorPromises, Stage

Open = Callable[[], AbstractAsyncContextManager[Stage]]


def minute(number: int) -> str:
    return f"{NOON - timedelta(minutes=100 - number):%Y-%m-%dT%H:%M:%SZ}"


class Polled:
    """A source that is asked: what was sent stands there, and something hostile stands there once."""

    def __init__(self, collector: Any, whole: Callable[[list[int], httpx.Request], bytes]) -> None:
        self._numbers: list[int] = []
        self._hostile: list[bytes] = []
        self._whole, self.collector = whole, collector
        self.net = Web(self._answer)
        self.host = quick_host(self.net, speed=36_000.0)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self._hostile:
            return httpx.Response(200, content=self._hostile.pop())
        return httpx.Response(200, content=self._whole(self._numbers, request))

    async def send(self, number: int) -> None:
        self._numbers.append(number)

    async def send_hostile(self, payload: bytes) -> None:
        self._hostile.append(payload)

    def acknowledged(self) -> int | None:
        return None

    def connections(self) -> int | None:
        return sum(not client.is_closed for client in self.net.clients) if self.net.clients else 0


def polled(kind: type[Any], whole: Callable[[list[int], httpx.Request], bytes], **told: Any) -> Open:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Stage]:
        yield Polled(made(kind, **told), whole)

    return opened


class TestHttpPoll(CollectorPromises):
    @pytest.fixture
    def stage(self) -> Open:
        pick = {"quantity": LEVEL_TOLD, "value": "$.value", "site": "$.site", "time": "$.time"}

        def whole(numbers: list[int], request: httpx.Request) -> bytes:
            return json.dumps([json.loads(reading(number, time=minute(number))) for number in numbers]).encode()

        return polled(HttpPoll, whole, url="https://example.org/", rows="$[*]", readings=[pick])


class TestSensorThings(CollectorPromises):
    @pytest.fixture
    def stage(self) -> Open:
        gauge = {"@iot.id": 1, "unitOfMeasurement": {"symbol": "m"}, "Thing": {"name": "weir"}}

        def whole(numbers: list[int], request: httpx.Request) -> bytes:
            told = [{"phenomenonTime": minute(number), "result": number} for number in numbers]
            return json.dumps({"value": told if request.url.path.endswith("Observations") else [gauge]}).encode()

        return polled(
            SensorThings, whole, url="https://example.org/v1.1", streams=[{"quantity": LEVEL_TOLD, "filter": "id ne 0"}]
        )


class TestUsgs(CollectorPromises):
    @pytest.fixture
    def stage(self) -> Open:
        return polled(Usgs, lambda numbers, _: json.dumps(feed(*[event(f"us{k}") for k in numbers])).encode(), url=WEEK)


def pixels(numbers: list[int]) -> bytes:
    return (VIIRS + "".join(viirs("h").replace("40.00412", f"{k / 10:.5f}") for k in numbers)).encode()


class TestFirms(CollectorPromises):
    @pytest.fixture
    def stage(self) -> Open:
        return polled(Firms, lambda numbers, _: pixels(numbers), url="https://example.org/area.csv")


class TestFdsn(CollectorPromises):
    @pytest.fixture
    def stage(self) -> Open:
        return polled(
            Fdsn, lambda numbers, _: (HEAD + "".join(LINE.replace("31415", str(k)) for k in numbers)).encode(), url=SERVICE
        )


class TestCapFeed(CollectorPromises):
    @pytest.fixture
    def stage(self) -> Open:
        def whole(numbers: list[int], request: httpx.Request) -> bytes:
            name = request.url.path.strip("/")
            return alert(name.removesuffix(".cap")) if name.endswith(".cap") else index(*[f"a{k}" for k in numbers])

        return polled(CapFeed, whole, url=FEED)


class Broker:
    """Mosquitto, and a collector that listens to it."""

    def __init__(self, collector: Any, pub: str, port: int, topic: str, payload: Callable[[int], bytes]) -> None:
        self.collector, self._pub, self._port, self._topic, self._payload = collector, pub, port, topic, payload
        self.net = CountingNet()
        self.host = quick_host(self.net, speed=1.0)
        self._hostile = 0

    async def send(self, number: int) -> None:
        await publish(self._pub, self._port, self._topic, self._payload(number))

    async def send_hostile(self, payload: bytes) -> None:
        self._hostile += 1
        await publish(self._pub, self._port, self._topic, payload)

    def acknowledged(self) -> int | None:
        return self.net.pubacks - self._hostile

    def connections(self) -> int | None:
        return self.net.opened - self.net.closed


async def subscribed(collector: Any, net: Any) -> None:
    """Make the session, so that nothing is lost that is sent before the collector is asked."""
    host = quick_host(net, speed=1.0)
    source = collector.batches(host)
    waiting = asyncio.ensure_future(anext(source))
    await listens(host)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await source.aclose()


def brokered(
    kind: type[Any], programs: dict[str, str], folder: Path, topic: str, payload: Callable[[int], bytes], **told: Any
) -> Open:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Stage]:
        async with broker(programs["mosquitto"], folder) as port:
            stage = Broker(made(kind, host="127.0.0.1", port=port, **told), programs["mosquitto_pub"], port, topic, payload)
            await subscribed(stage.collector, CountingNet())
            yield stage

    return opened


@pytest.mark.mosquitto
class TestMqtt(CollectorPromises):
    @pytest.fixture
    def stage(self, mosquitto: dict[str, str], tmp_path: Path) -> Open:
        topic = {"topic": "level/{site}", "readings": [{"quantity": LEVEL_TOLD, "value": "$.value", "time": "$.time"}]}
        return brokered(Mqtt, mosquitto, tmp_path, "level/weir", lambda k: reading(k, time=minute(k)), topics=[topic])


def uplink(number: int) -> bytes:
    return json.dumps({**CHIRP, "fCnt": number, "time": minute(number), "object": {"distance_mm": number}}).encode()


LORA = {"network": "chirpstack", "readings": [{"quantity": LEVEL_TOLD, "unit": "mm", "value": "$.distance_mm"}]}


@pytest.mark.mosquitto
class TestLorawan(CollectorPromises):
    @pytest.fixture
    def stage(self, mosquitto: dict[str, str], tmp_path: Path) -> Open:
        return brokered(Lorawan, mosquitto, tmp_path, "application/1/device/2/event/up", uplink, version="3.1.1", **LORA)


class Pushed:
    """A device that POSTs, and again until it hears 200."""

    def __init__(self, collector: Any, payload: Callable[[int], bytes]) -> None:
        self.collector, self._payload = collector, payload
        self.host = quick_host(speed=1.0)
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = 0

    async def _post(self, payload: bytes, until_stored: bool) -> None:
        url = f"http://127.0.0.1:{self.collector.port}/push"
        headers = {"authorization": "Bearer word", "content-type": "application/json"}
        while True:
            with suppress(httpx.HTTPError):
                async with httpx.AsyncClient(timeout=20.0) as client:
                    status = (await client.post(url, content=payload, headers=headers)).status_code
                if status == 200 or not until_stored:
                    self._heard += status == 200 and until_stored
                    return
            await asyncio.sleep(0.05)

    async def send(self, number: int) -> None:
        self._tasks.append(asyncio.create_task(self._post(self._payload(number), True)))

    async def send_hostile(self, payload: bytes) -> None:
        self._tasks.append(asyncio.create_task(self._post(payload, False)))

    def acknowledged(self) -> int | None:
        return self._heard

    def connections(self) -> int | None:
        import socket

        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.collector.port))
            except OSError:
                return 1
        return 0

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def pushed(kind: type[Any], folder: Path, payload: Callable[[int], bytes], **told: Any) -> Open:
    (folder / "tokens").write_text(f"weir sha256:{hashlib.sha256(b'word').hexdigest()}\n")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Stage]:
        stage = Pushed(made(kind, tokens_file=str(folder / "tokens"), port=free_port(), burst=10_000, **told), payload)
        try:
            yield stage
        finally:
            await stage.end()

    return opened


class TestHttpPush(CollectorPromises):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Open:
        pick = {"quantity": LEVEL_TOLD, "value": "$.value", "time": "$.time"}
        return pushed(HttpPush, tmp_path, lambda k: reading(k, time=minute(k)), readings=[pick])


class TestLorawanPush(CollectorPromises):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Open:
        return pushed(LorawanPush, tmp_path, uplink, **LORA)


class Dropped:
    """A folder into which files are dropped."""

    def __init__(self, folder: Path, kind: type[Any], payload: Callable[[int], bytes], ending: str, **told: Any) -> None:
        self._folder, self._payload, self._ending, self._count = folder, payload, ending, 0
        self.collector = made(kind, folder=str(folder), settled_s=0.0, **told)
        self.host = quick_host()

    async def send(self, number: int) -> None:
        self._put(self._payload(number))

    async def send_hostile(self, payload: bytes) -> None:
        self._put(payload)

    def _put(self, payload: bytes) -> None:
        self._count += 1
        part = self._folder / f"{self._count:03d}.part"
        part.write_bytes(payload)
        part.rename(part.with_suffix(self._ending))

    def acknowledged(self) -> int | None:
        return len(list(self._folder.glob("done/*")))

    def connections(self) -> int | None:
        return None


class TestFiles(CollectorPromises):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Open:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Stage]:
            told = {"quantity": LEVEL_TOLD, "unit": "m", "format": "jsonl", "site": "site"}
            yield Dropped(tmp_path, Files, lambda k: reading(k, time=minute(k)), ".jsonl", **told)

        return opened


class TestFirmsFiles(CollectorPromises):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Open:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Stage]:
            yield Dropped(tmp_path, FirmsFiles, lambda k: pixels([k]), ".csv")

        return opened


class Device:
    """A Modbus device: what it measures is always the same, and the hostile thing is a register that is not there."""

    def __init__(self, port: int) -> None:
        registers = [
            {"quantity": LEVEL_TOLD, "site": "pump", "address": address, "type": "float32"} for address in (0, 10, 20, 5_000)
        ]
        self.collector = made(Modbus, host="127.0.0.1", port=port, registers=registers, timeout_s=0.5)
        self.host = quick_host()

    async def send(self, number: int) -> None:
        pass

    async def send_hostile(self, payload: bytes) -> None:
        pass

    def acknowledged(self) -> int | None:
        return None

    def connections(self) -> int | None:
        return None


class TestModbus(CollectorPromises):
    @pytest.fixture
    def stage(self) -> Open:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Stage]:
            async with device({0: words(">f", 1.5), 10: words(">f", float("nan")), 20: words(">f", float("inf"))}) as port:
                yield Device(port)

        return opened
