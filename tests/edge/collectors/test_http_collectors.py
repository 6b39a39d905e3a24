"""Readings over HTTP: polled politely from any server, and pushed by devices that hear 200 only when all is on disk."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from collector_place import LEVEL_TOLD, RAIN_TOLD, Web, batches, free_port, made, polls, quick_host, rows, still_host

from tocsin.edge.collectors.http_poll import HttpPoll
from tocsin.edge.collectors.http_push import HttpPush
from tocsin.host import NoNetwork
from tocsin.testing.collector_promises import following, until
from tocsin.vocabulary import Unavailable

# What the USGS Water Services send of one gauge, shortened: waterservices.usgs.gov/docs/instantaneous-values.
USGS_IV = {
    "value": {
        "timeSeries": [
            {
                "sourceInfo": {"siteCode": [{"value": "01646500"}]},
                "values": [
                    {
                        "value": [
                            {"value": "3.45", "qualifiers": ["P"], "dateTime": "2026-03-01T06:45:00.000-05:00"},
                            {"value": "-999999", "qualifiers": ["P"], "dateTime": "2026-03-01T07:00:00.000-05:00"},
                        ]
                    }
                ],
            }
        ]
    }
}
IV_PICK = {
    "quantity": LEVEL_TOLD,
    "unit": "ft",
    "site": "potomac",
    "value": "$.value",
    "time": "$.dateTime",
    "missing": ["-999999"],
}


def poll(**more: Any) -> HttpPoll:
    told = {
        "url": "https://example.org/gauges",
        "rows": "$.value.timeSeries[*].values[*].value[*]",
        "readings": [IV_PICK],
        **more,
    }
    return made(HttpPoll, **told)  # type: ignore[no-any-return]


def test_json_of_a_water_service_becomes_readings_with_unit_zone_and_missing_values() -> None:
    web = Web(lambda request: httpx.Response(200, json=USGS_IV))
    (batch,) = asyncio.run(batches(poll(), quick_host(web), 1))
    assert rows(batch)[0] == ("river_level", "potomac", pytest.approx(3.45 * 0.3048))
    assert batch.flag.tolist() == [2, 9]  # type: ignore[union-attr]
    assert batch.time_us.tolist() == [1772365500000000, 1772366400000000]  # type: ignore[union-attr]


def test_csv_by_columns_with_two_quantities() -> None:
    text = "Station;Datum;Pegel (cm);Regen\nQuay;01.03.2026 12:00;250;1.5\nMill;01.03.2026 12:00;---;0\n"
    when = {"time": "$.Datum", "time_format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin", "site": "$.Station"}
    gauges = poll(
        format="csv",
        delimiter=";",
        readings=[
            {"quantity": LEVEL_TOLD, "unit": "cm", "value": "$['Pegel (cm)']", "missing": ["---"], **when},
            {"quantity": RAIN_TOLD, "value": "$.Regen", **when},
        ],
    )
    web = Web(lambda request: httpx.Response(200, content=text.encode()))
    told = asyncio.run(batches(gauges, quick_host(web), 2))
    assert rows(*told)[0] == ("river_level", "Quay", 2.5)
    assert [name for _, name, _ in rows(*told)] == ["Quay", "Mill", "Quay", "Mill"]


def test_it_asks_only_for_what_has_changed() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("if-none-match") == '"one"':
            return httpx.Response(304)
        return httpx.Response(200, json=USGS_IV, headers={"etag": '"one"', "last-modified": "Sun, 01 Mar 2026 11:00:00 GMT"})

    web = Web(answer)
    told = asyncio.run(polls(poll(), quick_host(web), 4))
    assert [len(batch) for batch in told] == [2, 0, 0, 0]
    assert web.asked[1].headers["if-modified-since"] == "Sun, 01 Mar 2026 11:00:00 GMT"
    assert "tocsin" in web.asked[0].headers["user-agent"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(500), "answers 500"),
        (httpx.Response(429), "answers 429"),
        (httpx.Response(301, headers={"location": "http://169.254.169.254/"}), "sends us on"),
        (httpx.Response(302, headers={"location": "file:///etc/passwd"}), "wanted https"),
        (httpx.Response(302, headers={"location": "/gauges"}), "more than 5 times"),
        (httpx.Response(200, stream=httpx.ByteStream(b"not gzip"), headers={"content-encoding": "gzip"}), "DecodingError"),
    ],
)
def test_a_server_that_fails_or_sends_us_elsewhere_is_a_fault_that_says_why(answer: httpx.Response, said: str) -> None:
    with pytest.raises(Unavailable, match=said):
        asyncio.run(batches(poll(), quick_host(Web(lambda request: answer)), 1))


def test_an_answer_that_is_too_large_is_dropped_before_it_is_whole_even_if_it_was_packed() -> None:
    gauges = poll(bytes_most=10_000)
    bomb = gzip.compress(b"[" + b"0," * 5_000_000)
    with pytest.raises(Unavailable, match="3 answers in a row cannot be used: too large"):
        asyncio.run(
            batches(
                gauges,
                quick_host(
                    Web(lambda r: httpx.Response(200, stream=httpx.ByteStream(bomb), headers={"content-encoding": "gzip"}))
                ),
                1,
            )
        )
    assert gauges.tally.dropped == {"too large": 3}


def test_one_bad_answer_is_counted_and_the_next_is_taken() -> None:
    answers = iter([httpx.Response(200, content=b"<html>"), httpx.Response(200, json=USGS_IV)])
    gauges = poll()
    (batch,) = asyncio.run(batches(gauges, quick_host(Web(lambda request: next(answers))), 1))
    assert len(batch) == 2
    assert gauges.tally.dropped == {"not JSON": 1}


def test_a_token_goes_to_its_server_and_to_no_other(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim\n")
    web = Web(lambda request: httpx.Response(200, json=USGS_IV))
    asyncio.run(batches(poll(token={"file": str(tmp_path / "token")}), quick_host(web), 1))
    assert web.asked[0].headers["authorization"] == "Bearer geheim"
    with pytest.raises(Unavailable, match="NO_SUCH_WORD"):
        asyncio.run(batches(poll(token={"env": "NO_SUCH_WORD"}), quick_host(web), 1))


def test_a_host_without_a_network_reaches_nobody() -> None:
    with pytest.raises(Unavailable, match=r"example.org:443: this host has no network"):
        asyncio.run(batches(poll(), still_host(NoNetwork()), 1))


@pytest.mark.parametrize(
    "told",
    [
        {"url": "ftp://example.org/"},
        {"url": "https://"},
        {"url": "https://exa mple.org/"},
        {"every_s": 0.0},
        {"bytes_most": 0},
        {"readings": []},
        {"rows": "features"},
        {"headers": {"a\r\nb": "c"}},
        {"headers": {"a": "b\r\nc: d"}},
        {"delimiter": ""},
        {"tls": {"cert": "only.pem"}},
    ],
)
def test_settings_of_a_poll_that_cannot_work_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        poll(**told)


PUSH_PICK = {"quantity": LEVEL_TOLD, "unit": "cm", "value": "$.level", "time": "$.time"}
TOKEN = "a-token-of-the-weir"
GOOD = {"level": 250, "time": "2026-03-01T11:00:00Z"}


def push(folder: Path, **more: Any) -> HttpPush:
    tokens = folder / "tokens"
    if not tokens.exists():
        tokens.write_text(f"# device, hash\nweir sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    return made(HttpPush, tokens_file=str(tokens), port=free_port(), readings=[PUSH_PICK], **more)  # type: ignore[no-any-return]


@asynccontextmanager
async def sender(gauges: HttpPush) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gauges.port}", headers=headers, timeout=20.0) as client:
        yield client


async def ready(gauges: HttpPush) -> None:
    """Wait until somebody listens."""
    async with asyncio.timeout(20.0):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", gauges.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def test_a_push_is_answered_when_the_next_batch_is_asked_for_and_not_before(tmp_path: Path) -> None:
    async def play() -> None:
        gauges = push(tmp_path)
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source, sender(gauges) as client:
            waiting = asyncio.ensure_future(following(source))
            await ready(gauges)
            sent = asyncio.create_task(client.post("/push", json=GOOD))
            assert rows(await waiting) == [("river_level", "weir", 2.5)]
            await asyncio.sleep(0.2)
            assert not sent.done()
            waiting = asyncio.ensure_future(following(source))
            answer = await sent
            assert (answer.status_code, answer.json()["readings"]) == (200, 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(play())


def test_what_a_device_may_get_wrong_is_answered_with_what_was_wanted(tmp_path: Path) -> None:
    gauges = push(tmp_path, bytes_most=1_000, burst=100)

    async def play() -> None:
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source, sender(gauges) as client:
            waiting = asyncio.ensure_future(following(source))
            await ready(gauges)
            for status, answer in (
                (401, await client.post("/push", json=GOOD, headers={"authorization": "Bearer wrong"})),
                (401, await client.post("/push", json=GOOD, headers={"authorization": "Basic d2Vpcjp4"})),
                (401, await client.post("/push", json=GOOD, headers={"authorization": ""})),
                (404, await client.post("/etc/passwd", json=GOOD)),
                (405, await client.get("/push")),
                (413, await client.post("/push", content=b"x" * 2_000)),
                (422, await client.post("/push", content=b"\xff\xfe")),
                (422, await client.post("/push", content=b"[" * 900)),
                (422, await client.post("/push", json={"level": "high", "time": "2026-03-01T11:00:00Z"})),
                (422, await client.post("/push", json={"other": 1})),
            ):
                assert answer.status_code == status, answer.text
            wrong = await client.post("/push", json={"level": "high", "time": "2026-03-01T11:00:00Z"})
            assert wrong.json()["reason"] == "not a number: river_level: $.level = 'high'; wanted a number"
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(play())
    assert gauges.tally.dropped["nobody's token"] == 3
    assert gauges.tally.dropped["too large"] == 1
    assert gauges.tally.taken == 0


def test_a_body_whose_length_is_not_told_is_cut_off_where_it_is_too_large(tmp_path: Path) -> None:
    gauges = push(tmp_path, bytes_most=1_000)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    async def play() -> None:
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source, sender(gauges) as client:
            waiting = asyncio.ensure_future(following(source))
            await ready(gauges)
            with suppress(httpx.ReadError, httpx.WriteError):  # who still sends when we hang up may not hear why
                assert (await client.post("/push", content=endless())).status_code == 413
            await until(lambda: gauges.tally.dropped == {"too large": 1})
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(play())


def test_csv_is_taken_and_a_bad_row_in_it_costs_only_itself(tmp_path: Path) -> None:
    gauges = push(tmp_path)

    async def play() -> None:
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source, sender(gauges) as client:
            waiting = asyncio.ensure_future(following(source))
            await ready(gauges)
            body = "level,time\n100,2026-03-01T11:00:00Z\nhigh,2026-03-01T11:05:00Z\n120,2026-03-01T11:10:00Z\n"
            sent = asyncio.create_task(client.post("/push", content=body, headers={"content-type": "text/csv; charset=utf-8"}))
            assert [value for _, _, value in rows(await waiting)] == [1.0, 1.2]
            waiting = asyncio.ensure_future(following(source))
            assert (await sent).json()["readings"] == 2
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(play())
    assert gauges.tally.dropped == {"not a number": 1}


def test_a_device_that_sends_too_often_is_told_to_wait(tmp_path: Path) -> None:
    gauges = push(tmp_path, per_minute=1.0, burst=2)

    async def play() -> list[int]:
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source, sender(gauges) as client:

            async def drive() -> None:
                async for _ in source:
                    pass

            task = asyncio.create_task(drive())
            await ready(gauges)
            statuses = [(await client.post("/push", json=GOOD)).status_code for _ in range(4)]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return statuses

    assert asyncio.run(play()) == [200, 200, 429, 429]


def test_what_waits_is_bounded_in_bytes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.edge.collectors.push_door.WAITING_BYTES_MOST", 100)
    gauges = push(tmp_path)

    async def play() -> tuple[int, list[int]]:
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source, sender(gauges) as client:
            waiting = asyncio.ensure_future(following(source))
            await ready(gauges)
            first = asyncio.create_task(client.post("/push", json=GOOD))
            await waiting  # it is not on disk yet: what comes now waits
            rest = [asyncio.create_task(client.post("/push", json=GOOD)) for _ in range(4)]
            done, _ = await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
            full = next(iter(done)).result().status_code
            waiting = asyncio.ensure_future(following(source))
            assert (await first).status_code == 200
            await waiting
            waiting = asyncio.ensure_future(following(source))
            statuses = sorted(answer.status_code for answer in await asyncio.gather(*rest))
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return full, statuses

    full, statuses = asyncio.run(play())
    assert full == 503
    assert set(statuses) == {200, 503}


def test_a_push_that_was_not_stored_is_answered_503_when_the_collector_ends(tmp_path: Path) -> None:
    gauges = push(tmp_path)

    async def play() -> int:
        source = gauges.batches(quick_host(speed=1.0))
        async with sender(gauges) as client:
            waiting = asyncio.ensure_future(following(source))
            await ready(gauges)
            sent = asyncio.create_task(client.post("/push", json=GOOD))
            await waiting
            await source.aclose()
            return (await sent).status_code

    assert asyncio.run(play()) == 503


def test_a_token_that_is_taken_away_opens_no_more(tmp_path: Path) -> None:
    gauges = push(tmp_path)

    async def play() -> None:
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source, sender(gauges) as client:
            waiting = asyncio.ensure_future(following(source))
            await ready(gauges)
            (tmp_path / "tokens").write_text("# nobody\n")
            assert (await client.post("/push", json=GOOD)).status_code == 401
            (tmp_path / "tokens").write_text("not a line of ours, longer than before\n")
            assert (await client.post("/push", json=GOOD)).status_code == 503
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(play())
    assert "line 1" in gauges.tally.status().said["tokens"]


def test_a_port_that_is_taken_is_a_fault_that_names_it(tmp_path: Path) -> None:
    async def play() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            gauges = msgspec.structs.replace(push(tmp_path), port=port)
            with pytest.raises(Unavailable, match=f"cannot listen at 127.0.0.1:{port}"):
                await batches(gauges, quick_host(speed=1.0), 1)

    asyncio.run(play())


def test_the_two_halves_of_a_setting_go_together(tmp_path: Path) -> None:
    for told in ({"cert": "a.pem"}, {"path": "push"}, {"per_minute": 0.0}, {"burst": 0}):
        with pytest.raises(msgspec.ValidationError):
            push(tmp_path, **told)


def test_everything_that_was_sent_at_once_is_answered_once(tmp_path: Path) -> None:
    gauges = push(tmp_path, burst=1_000)
    heard: list[Any] = []

    async def play() -> set[int]:
        async with aclosing(gauges.batches(quick_host(speed=1.0))) as source, sender(gauges) as client:

            async def drive() -> None:
                async for batch in source:
                    heard.append(batch)

            task = asyncio.create_task(drive())
            await ready(gauges)
            sent = [
                client.post("/push", content=json.dumps({"level": k, "time": f"2026-03-01T11:00:{k:02d}Z"})) for k in range(60)
            ]
            answers = await asyncio.gather(*sent)
            await until(lambda: sum(len(batch) for batch in heard) == 60)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return {answer.status_code for answer in answers}

    assert asyncio.run(play()) == {200}
    assert sorted(round(100 * value) for _, _, value in rows(*heard)) == list(range(60))
