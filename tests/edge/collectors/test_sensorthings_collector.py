"""Another SensorThings server as a source: our own service answers here; pages, time, units, and servers that lie."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from collector_place import LEVEL_TOLD, NOON, Web, batches, made, quick_host, rows
from starlette.testclient import TestClient

from tocsin.edge.collectors.sensorthings import SensorThings
from tocsin.host import VirtualClock
from tocsin.interfaces.sensorthings.service import Service
from tocsin.interfaces.sensorthings.trial import trial_app
from tocsin.platform.things import Limits, Things, open_things
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import Unavailable

sys.path.append(str(Path(__file__).resolve().parents[2] / "interfaces" / "sensorthings"))
from sta_place import place, stream, thing

ROOT = "http://127.0.0.1/sta/v1.1"
WANTED = {"quantity": LEVEL_TOLD, "filter": "ObservedProperty/name eq 'level'"}


@contextmanager
def server(folder: Path, *, page_most: int = 1_000) -> Iterator[tuple[TestClient, Things, Web]]:
    """A service of ours, and a web on which it is."""
    things = open_things(folder / "things.db", clock=VirtualClock(NOON), limits=Limits(page_most=page_most))
    client = TestClient(trial_app(Service(things, RoleGate())), base_url="http://127.0.0.1")

    def answer(request: httpx.Request) -> httpx.Response:
        told = client.get(str(request.url))
        return httpx.Response(told.status_code, content=told.content)

    try:
        yield client, things, Web(answer)
    finally:
        things.close()


def post(client: TestClient, path: str, body: Any) -> int:
    answer = client.post(f"{ROOT}/{path}", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["@iot.id"])


def gauge(client: TestClient, name: str, **more: Any) -> int:
    thing_id = post(client, "Things", thing(name, Locations=[place(8.5, 47.4)]))
    return post(client, "Datastreams", {**stream(f"level at {name}", **more), "Thing": {"@iot.id": thing_id}})


def observe(client: TestClient, stream_id: int, minutes: float, value: Any, *, end: float | None = None) -> None:
    moment = f"{NOON - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    if end is not None:
        moment += f"/{NOON - timedelta(minutes=end):%Y-%m-%dT%H:%M:%SZ}"
    post(client, f"Datastreams({stream_id})/Observations", {"phenomenonTime": moment, "result": value})


def collector(**more: Any) -> SensorThings:
    return made(SensorThings, **{"url": ROOT, "streams": [WANTED], **more})  # type: ignore[no-any-return]


def test_the_streams_of_a_filter_are_read_page_by_page_with_site_and_unit(tmp_path: Path) -> None:
    with server(tmp_path, page_most=3) as (client, _, web):
        weir = gauge(client, "weir")
        quay = gauge(client, "quay", unitOfMeasurement={"name": "centimetre", "symbol": "cm", "definition": "ucum:cm"})
        gauge(client, "cellar", ObservedProperty={"name": "humidity", "definition": "http://h", "description": "h"})
        for minute in range(8):
            observe(client, weir, 60 - minute, float(minute))
        observe(client, quay, 30, 250.0, end=20)
        told = asyncio.run(batches(collector(), quick_host(web), 4))
    assert {site for _, site, _ in rows(*told)} == {"weir", "quay"}
    assert [value for _, site, value in rows(*told) if site == "weir"] == [float(minute) for minute in range(8)]
    (interval,) = [batch for batch in told if batch.sites == ("quay",)]  # type: ignore[union-attr]
    assert interval.value.tolist() == [2.5]  # type: ignore[union-attr]
    assert interval.time_us.tolist() == [int((NOON - timedelta(minutes=20)).timestamp()) * 1_000_000]  # type: ignore[union-attr]


def test_it_goes_on_from_the_last_time_also_after_a_new_start_and_reads_what_came_late(tmp_path: Path) -> None:
    with server(tmp_path) as (client, _, web):
        weir = gauge(client, "weir")
        for minute in (600, 300, 60):
            observe(client, weir, minute, 1.0)
        state = str(tmp_path / "state.json")
        settings = {"state_file": state, "overlap_s": 1_800.0, "lookback_h": 24.0}

        async def one(gauges: SensorThings) -> list[Any]:
            host, told = quick_host(web), []
            source = gauges.batches(host)
            while True:
                batch = await anext(source)
                if not len(batch):
                    break
                told.append(batch)
            await anext(source)  # what was read is kept when the next is asked for
            await source.aclose()
            return rows(*told)

        assert len(asyncio.run(one(collector(**settings)))) == 3
        assert Path(state).exists()
        observe(client, weir, 75, 2.0)
        observe(client, weir, 500, 3.0)
        observe(client, weir, 5, 4.0)
        assert [value for _, _, value in asyncio.run(one(collector(**settings)))] == [2.0, 1.0, 4.0]


def test_results_that_are_no_numbers_and_units_that_nobody_knows_are_counted(tmp_path: Path) -> None:
    with server(tmp_path) as (client, _, web):
        weir = gauge(client, "weir")
        gauge(client, "mill", unitOfMeasurement={"name": "cubit", "symbol": "cubit", "definition": "x"})
        observe(client, weir, 20, "high")
        observe(client, weir, 10, 1.5)
        gauges = collector()
        told = asyncio.run(batches(gauges, quick_host(web), 1))
    assert rows(*told) == [("river_level", "weir", 1.5)]
    assert gauges.tally.dropped == {"unit": 1, "not a number": 1}


def served(*pages: Any) -> Web:
    """A server that lies: a Datastream, and then these pages of observations."""
    left = list(pages)
    told = {"@iot.id": 1, "unitOfMeasurement": {"symbol": "m"}, "Thing": {"name": "weir"}}

    def answer(request: httpx.Request) -> httpx.Response:
        if "/Observations" not in request.url.path:
            return httpx.Response(200, json={"value": [told]})
        return httpx.Response(200, json=left.pop(0) if left else {"value": []})

    return Web(answer)


GOOD = {"phenomenonTime": "2026-03-01T11:00:00Z", "result": 1.5}


@pytest.mark.parametrize("page", [7, {"value": 7}, {"value": [GOOD], "@iot.nextLink": "https://evil.example.net/x"}, {}])
def test_a_page_that_is_none_or_leads_elsewhere_is_dropped_and_the_next_round_goes_on(page: Any) -> None:
    web, gauges = served(page, {"value": [GOOD]}), collector()
    told = asyncio.run(batches(gauges, quick_host(web), 1))
    assert rows(*told) == [("river_level", "weir", 1.5)]
    assert sum(gauges.tally.dropped.values()) == 1
    assert {request.url.host for request in web.asked} == {"127.0.0.1"}


def test_a_server_whose_pages_never_end_is_left_after_as_many_as_we_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.edge.collectors.sensorthings.PAGES_MOST", 5)
    forever = {"value": [], "@iot.nextLink": f"{ROOT}/Datastreams(1)/Observations?$skip=1"}
    web = served(*[forever] * 5, {"value": [GOOD]})
    told = asyncio.run(batches(collector(), quick_host(web), 1))
    assert rows(*told) == [("river_level", "weir", 1.5)]


def test_observations_of_any_shape_cost_only_themselves() -> None:
    odd = [
        None,
        7,
        {},
        {"phenomenonTime": 7, "result": 1},
        {"phenomenonTime": "/", "result": 1},
        {"phenomenonTime": "2026-03-01T11:00:00", "result": 2},
    ]
    gauges = collector()
    assert len(rows(*asyncio.run(batches(gauges, quick_host(served({"value": [*odd, GOOD]})), 1)))) == 1
    assert sum(gauges.tally.dropped.values()) == len(odd)


def test_a_broken_state_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{broken")
    gauges = collector(state_file=str(tmp_path / "state.json"))
    assert len(rows(*asyncio.run(batches(gauges, quick_host(served({"value": [GOOD]})), 1)))) == 1
    assert gauges.tally.dropped == {"state": 1}


def test_a_server_that_refuses_is_a_fault() -> None:
    with pytest.raises(Unavailable, match="answers 403"):
        asyncio.run(batches(collector(), quick_host(Web(lambda request: httpx.Response(403))), 1))


def test_settings_of_a_server_that_mean_nothing_are_refused() -> None:
    for told in (
        {"streams": []},
        {"url": ROOT + "?a=b"},
        {"overlap_s": -1.0},
        {"streams": [{**WANTED, "filter": " "}]},
        {"streams": [{**WANTED, "site": "name"}]},
    ):
        with pytest.raises(msgspec.ValidationError):
            collector(**told)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"lookback_h": 0.0}, "lookback_h = 0; wanted above 0"),
        ({"overlap_s": -1.0}, "overlap_s = -1; wanted 0"),
        ({"url": ROOT + "?a=1"}, r"\?a=1'; wanted the address up to the version"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_what_was_told(told: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        collector(**told)
