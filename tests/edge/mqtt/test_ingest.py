"""Payloads become readings on disk, whatever else arrives beside them."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_host import EDGE, TestHost
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.edge import Latest, Node, Spool, Watch
from tocsin.edge.ingest import Ingest, Limits, Message, Outcome, Result
from tocsin.edge.ingest_http import Headers, HttpIngest
from tocsin.edge.node import Stored
from tocsin.edge.spool import decode_blocks, encode_block
from tocsin.host import WallClock
from tocsin.pack.ready_rules import threshold
from tocsin.pack.rule import Limits as Levels
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import Flag, Level, Observations, Quantity, Refused, Unavailable, Warning

LEVEL = Quantity("river_level", "m", low=-5, high=60)
RAIN = Quantity("rain_rate", "mm/h", low=0, high=500)
HIGH = threshold("river_high", LEVEL, Levels({Level.RED: 3.0}, "m", "a test"), max_age_s=1e9, min_readings=1)
DEVICE = Actor("gauge-7", frozenset({"sensor"}))
ONE = {"site": "weir", "quantity": "river_level", "time": "2026-03-01T00:00:00Z", "value": 1.5}
COLUMNS = {
    "quantity": "river_level", "unit": "cm", "sites": ["weir", "quay"], "site": [0, 1, 0],
    "time_us": [1_772_323_200_000_000, 1_772_323_200_000_000, 1_772_323_260_000_000], "value": [150, None, 160.5],
}  # fmt: skip


class Wall(TestHost):
    """A host on the wall clock: ingest's threads and the loop's time are real."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = WallClock()  # type: ignore[assignment]
        self.ledger._now = self.clock.now


def made(folder: Path, **more: Any) -> tuple[Ingest, Node, Wall]:
    host = Wall()
    latest = Latest()
    watch = Watch({"flood": [HIGH]}, latest, since=host.clock.now())
    node = Node(host, EDGE, latest=latest, watch=watch, spool=Spool(folder / "spool"))  # type: ignore[arg-type]
    return Ingest(node, host.clock, [LEVEL, RAIN], **more), node, host


def sent(*payloads: object, actor: Actor = DEVICE) -> list[Message]:
    return [Message(actor, p if isinstance(p, bytes) else json.dumps(p).encode()) for p in payloads]


def stored_in(folder: Path) -> list[Observations]:
    """What lies on the disk."""
    return [batch for path in sorted((folder / "spool").glob("segment-*")) for batch in decode_blocks(path.read_bytes())]


def taken(ingest: Ingest, *messages: Message) -> list[Result]:
    """Take the messages as one list, judge, and stop."""

    async def work() -> list[Result]:
        try:
            results = await ingest.take(messages)
            await ingest.settle()
            return results
        finally:
            await ingest.close()

    return asyncio.run(work())


def test_one_reading_is_on_disk_when_it_is_answered(tmp_path: Path) -> None:
    ingest, _, _ = made(tmp_path)
    assert taken(ingest, *sent(ONE)) == [Result(Outcome.STORED, "", 1)]
    (batch,) = stored_in(tmp_path)
    assert (batch.sites, batch.value.tolist(), batch.time_us.tolist()) == (("weir",), [1.5], [1_772_323_200_000_000])


def test_columns_are_converted_to_the_unit_of_the_quantity_and_null_is_missing(tmp_path: Path) -> None:
    ingest, _, _ = made(tmp_path)
    assert taken(ingest, *sent(COLUMNS))[0].readings == 3
    (batch,) = stored_in(tmp_path)
    assert [batch.sites[k] for k in batch.site] == ["weir", "quay", "weir"]
    assert batch.value[[0, 2]].tolist() == [1.5, 1.605]
    assert batch.flag[1] == Flag.MISSING


def test_a_block_of_the_spool_is_taken_as_it_is_with_its_flags(tmp_path: Path) -> None:
    ingest, _, _ = made(tmp_path)
    told = Observations.of(LEVEL, ("a", "b"), [0, 1], [10, 20], [1.0, 2.0], flag=[Flag.FAIL, Flag.NOT_EVALUATED])
    assert taken(ingest, *sent(encode_block(told)))[0].readings == 2
    (batch,) = stored_in(tmp_path)
    assert (batch.value.tolist(), batch.flag.tolist()) == ([1.0, 2.0], [4, 2])


def test_many_messages_are_one_batch_of_each_quantity_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    ingest, _, _ = made(tmp_path)
    rain = {"site": "hill", "quantity": "rain_rate", "time_us": 5, "value": 3.0}
    later = ONE | {"time": "2026-03-01T00:10:00Z", "value": 1.7}
    assert [result.readings for result in taken(ingest, *sent(ONE, rain, COLUMNS, later))] == [1, 1, 3, 1]
    levels, rains = stored_in(tmp_path)
    assert levels.value[~np.isnan(levels.value)].tolist() == [1.5, 1.605, 1.7]  # the weir's first minute came twice
    assert rains.sites == ("hill",)


def test_a_warning_follows_what_was_stored(tmp_path: Path) -> None:
    ingest, _, host = made(tmp_path)
    now_us = int(host.clock.now().timestamp() * 1e6)
    taken(ingest, *sent({"site": "weir", "quantity": "river_level", "time_us": now_us, "value": 4.0}))
    (warning,) = host.ledger.records(Warning)
    assert (warning.subject, warning.level) == ("weir", Level.RED)


DEEP = b'{"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
WRONG = {
    "malformed": [b"", b"\0", b"[]", b"nul", b"{}", ONE | {"value": "high"}, ONE | {"site": ""}, b'{"value": NaN}', b"TCSP" + b"x" * 50],
    "nested": [DEEP],
    "not UTF-8": [b'{"site":"\xff\xfe","quantity":"river_level","time_us":1,"value":1}'],
    "unknown quantity": [ONE | {"quantity": "tea"}, ONE | {"quantity": ""}],
    "unit": [ONE | {"unit": "furlong"}, COLUMNS | {"unit": "mm/h"}],
    "shape": [
        ONE | {"time_us": 5}, ONE | {"sites": ["x"]}, ONE | {"value": [1.0]}, COLUMNS | {"value": [1.0]},
        COLUMNS | {"site": [0, 1, 2]}, COLUMNS | {"sites": None}, COLUMNS | {"time": "2026-03-01T00:00:00Z"},
        {"site": "weir", "quantity": "river_level", "value": 1.0},
    ],
    "site": [ONE | {"site": "a\nb"}, ONE | {"site": "\u202e"}],
    "time": [ONE | {"time": "1969-12-31T23:59:59Z"}],
}  # fmt: skip
ALL_WRONG = [(reason, payload) for reason, several in WRONG.items() for payload in several]


@pytest.mark.parametrize(("reason", "payload"), ALL_WRONG)
def test_a_hostile_payload_is_answered_and_counted_and_the_others_are_stored(
    tmp_path: Path, reason: str, payload: object
) -> None:
    ingest, _, _ = made(tmp_path)
    results = taken(ingest, *sent(ONE, payload, ONE | {"site": "quay"}))
    assert [result.outcome for result in results] == [Outcome.STORED, Outcome.MALFORMED, Outcome.STORED]
    counted = [of for (source, of), count in ingest.refused.items() if source == DEVICE.name and count == 1]
    assert counted == [reason]
    assert sum(map(len, stored_in(tmp_path))) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"time": "2026-03-01T00:00:00"}, {"time": "soon"}, {"time": None, "time_us": -1}, {"time": None, "time_us": 2**63},
        {"time": None, "time_us": 10**40}, {"value": 10**400}, {"site": "x" * 201}, {"site": 7}, {"value": {"a": 1}},
    ],
)  # fmt: skip
def test_a_number_or_a_name_out_of_bounds_is_malformed(tmp_path: Path, fields: dict[str, object]) -> None:
    ingest, _, _ = made(tmp_path)
    payload = {name: value for name, value in (ONE | fields).items() if value is not None}
    assert taken(ingest, *sent(payload))[0].outcome == Outcome.MALFORMED


class _Memory:
    """A node that remembers what it was given to store."""

    def __init__(self) -> None:
        self.batches: list[Observations] = []

    def store(self, *batches: Observations) -> Stored:
        self.batches += batches
        return Stored(sum(map(len, batches)))

    def readings(self) -> dict[str, list[tuple[str, int, str]]]:
        """(site, time, value) of each quantity in the order in which they came."""
        told: dict[str, list[tuple[str, int, str]]] = {}
        for batch in self.batches:
            rows = zip(batch.site.tolist(), batch.time_us.tolist(), batch.value.tolist(), strict=True)
            told.setdefault(batch.quantity.name, []).extend((batch.sites[k], at, str(value)) for k, at, value in rows)
        return told


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.builds(lambda tail: b"TCSP" + tail, st.binary(max_size=60)), max_size=5))
def test_no_payload_raises(payloads: list[bytes]) -> None:
    class Nowhere:
        def store(self, *batches: Observations) -> Stored:
            return Stored()

    ingest = Ingest(Nowhere(), WallClock(), [LEVEL])  # type: ignore[arg-type]
    assert len(taken(ingest, *sent(*payloads))) == len(payloads)


PIECES = [
    json.dumps(ONE).encode(), json.dumps(ONE | {"site": "quay", "value": 2}).encode(), json.dumps(ONE | {"unit": "cm"}).encode(),
    b'{"site":"weir","quantity":"river_level","time_us":7,"value":null}', b'{"site":"quay","quantity":"rain_rate","time_us":8,"value":3}',
    b'{"site":"new","quantity":"river_level","time_us":9,"value":1}', json.dumps(COLUMNS).encode(), json.dumps(ONE | {"time_us": 5}).encode(),
    b"{", b"}", b'{"a":', b'"', b"\n", b" ", b",", b"[", b"]", b"\\", b"\xff", b"TCSP", b"{}", b'{"junk":{"b":1}', b'"a":"}',
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=0, max_size=3).map(b"".join), min_size=2, max_size=6))
def test_messages_that_are_decoded_together_become_what_each_would_become_by_itself(payloads: list[bytes]) -> None:
    together, each = _Memory(), _Memory()
    many = Ingest(together, WallClock(), [LEVEL, RAIN], expected=["weir", "quay"])  # type: ignore[arg-type]
    results = taken(many, *sent(*payloads))
    single = Ingest(each, WallClock(), [LEVEL, RAIN], expected=["weir", "quay"])  # type: ignore[arg-type]

    async def one_by_one() -> list[Result]:
        answers = [(await single.take(sent(payload)))[0] for payload in payloads]
        await single.settle()
        await single.close()
        return answers

    assert asyncio.run(one_by_one()) == results
    assert together.readings() == each.readings()


def test_good_messages_of_one_reading_are_decoded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest, _, _ = made(tmp_path, expected=["weir", "quay"])
    monkeypatch.setattr(ingest, "_decode", None)
    rain = {"site": "quay", "quantity": "rain_rate", "time_us": 1_772_323_200_000_000, "value": 2}
    assert taken(ingest, *sent(ONE, ONE | {"site": "quay", "unit": "m"}, rain)) == [Result(readings=1)] * 3
    assert [(batch.quantity.name, batch.value.tolist()) for batch in stored_in(tmp_path)] == [
        ("river_level", [1.5, 1.5]), ("rain_rate", [2.0]),
    ]  # fmt: skip


def test_a_block_that_was_changed_on_its_way_is_refused(tmp_path: Path) -> None:
    ingest, _, _ = made(tmp_path)
    block = bytearray(encode_block(Observations.of(LEVEL, ("a",), [0], [10], [1.0])))
    block[-9] ^= 1
    assert taken(ingest, *sent(bytes(block)))[0].outcome == Outcome.MALFORMED


def test_a_device_speaks_for_its_own_sites_only(tmp_path: Path) -> None:
    ingest, _, _ = made(tmp_path, may_speak=lambda source, sites: all(site == source for site in sites))
    results = taken(ingest, *sent(ONE | {"site": "gauge-7"}, ONE, COLUMNS | {"sites": ["gauge-7", "weir"]}))
    assert [result.outcome for result in results] == [Outcome.STORED, Outcome.REFUSED, Outcome.REFUSED]


def test_a_sender_cannot_fill_the_memory_with_invented_sites(tmp_path: Path) -> None:
    ingest, node, _ = made(tmp_path, expected=["weir"], limits=Limits(new_sites_most=2))
    results = taken(ingest, *sent(*[ONE | {"site": name} for name in ("weir", "a", "b", "c", "a", "weir")]))
    assert [result.outcome == Outcome.STORED for result in results] == [True, True, True, False, True, True]
    assert set(node.latest.sites(LEVEL)) == {"weir", "a", "b"}


class Gatekeeper:
    """A node whose disk waits for a word, or does not answer at all."""

    def __init__(self) -> None:
        self.go, self.begun, self.is_down = threading.Event(), threading.Event(), 0
        self.groups: list[int] = []

    def store(self, *batches: Observations) -> Stored:
        self.begun.set()
        assert self.go.wait(20)
        if self.is_down:
            self.is_down -= 1
            raise Unavailable("disk: full for this test")
        self.groups.append(sum(map(len, batches)))
        return Stored(self.groups[-1])

    def judge(self, stored: Stored) -> tuple[str, ...]:
        return ()


def test_what_arrives_while_the_disk_syncs_is_one_group_after_it() -> None:
    node = Gatekeeper()

    async def work() -> None:
        ingest = Ingest(node, WallClock(), [LEVEL])  # type: ignore[arg-type]
        first = asyncio.create_task(ingest.take(sent(ONE)))
        await asyncio.to_thread(node.begun.wait)
        others = [asyncio.create_task(ingest.take(sent(ONE, COLUMNS))) for _ in range(5)]
        await asyncio.sleep(0.01)
        assert not first.done()
        assert not any(task.done() for task in others)
        node.go.set()
        await asyncio.gather(first, *others)
        await ingest.close()

    asyncio.run(work())
    assert node.groups == [1, 20]


def test_where_the_disk_does_not_answer_nothing_is_acknowledged_it_is_told_once_and_tried_until_it_does() -> None:
    node, told = Gatekeeper(), list[tuple[str, bool]]()
    node.is_down = 3
    node.go.set()

    async def work() -> list[Result]:
        ingest = Ingest(
            node, WallClock(), [LEVEL], backoff_s=(0.001, 0.002), on_trouble=lambda part, why: told.append((part, why is None))
        )  # type: ignore[arg-type]
        try:
            return await ingest.take(sent(ONE))
        finally:
            await ingest.close()

    assert asyncio.run(work()) == [Result(Outcome.STORED, "", 1)]
    assert node.groups == [1]
    assert told == [("storage", False), ("storage", True)]


def test_too_much_at_once_is_refused_as_too_much() -> None:
    node = Gatekeeper()

    async def work() -> list[Result]:
        ingest = Ingest(node, WallClock(), [LEVEL], limits=Limits(waiting_rows_most=3))  # type: ignore[arg-type]
        first = asyncio.create_task(ingest.take(sent(COLUMNS)))
        await asyncio.to_thread(node.begun.wait)
        results = await ingest.take(sent(ONE))
        node.go.set()
        await first
        results += await ingest.take(sent(ONE))
        await ingest.close()
        return results

    assert [result.outcome for result in asyncio.run(work())] == [Outcome.OVERLOAD, Outcome.STORED]


def test_a_ledger_that_does_not_answer_delays_the_warning_and_loses_nothing(tmp_path: Path) -> None:
    ingest, _, host = made(tmp_path, backoff_s=(0.001, 0.002))
    host.ledger.is_down = True
    now_us = int(host.clock.now().timestamp() * 1e6)

    async def work() -> None:
        payload = {"site": "weir", "quantity": "river_level", "time_us": now_us, "value": 4.0}
        assert (await ingest.take(sent(payload)))[0].outcome == Outcome.STORED
        await asyncio.sleep(0.02)
        assert host.ledger.records(Warning) == []
        host.ledger.is_down = False
        await ingest.settle()
        await ingest.close()

    asyncio.run(work())
    assert len(host.ledger.records(Warning)) == 1


async def _ask(
    app: HttpIngest, body: bytes, *, method: str = "POST", who: str = "gauge-7", cut: int = 7
) -> tuple[int, dict[str, Any]]:
    parts = [body[at : at + cut] for at in range(0, len(body), cut)] or [b""]
    events = [{"type": "http.request", "body": part, "more_body": k < len(parts) - 1} for k, part in enumerate(parts)]
    said: list[Any] = []

    async def receive() -> Any:
        return events.pop(0)

    async def send(event: Any) -> None:
        said.append(event)

    scope = {"type": "http", "method": method, "path": "/ingest", "headers": [(b"X-Device", who.encode())]}
    await app(scope, receive, send)
    return said[0]["status"], json.loads(said[1]["body"])


def test_http_answers_each_payload_with_the_status_that_says_what_became_of_it(tmp_path: Path) -> None:
    ingest, _, _ = made(tmp_path)

    async def authenticate(headers: Headers) -> Actor:
        name = headers[b"x-device"].decode()
        if name == "stranger":
            raise Refused("no such device")
        return Actor(name, frozenset({"operator" if name == "anna" else "sensor"}))

    async def work() -> list[int]:
        app = HttpIngest(ingest, authenticate, RoleGate(), bytes_most=100_000)
        one = json.dumps(ONE).encode()
        block = encode_block(Observations.of(LEVEL, ("a",), [0], [10], [1.0]))
        answers = [
            await _ask(app, one),
            await _ask(app, block),
            await _ask(app, b"{"),
            await _ask(app, one, who="stranger"),
            await _ask(app, one, who="anna"),
            await _ask(app, one, method="GET"),
            await _ask(app, b"x" * 100_001, cut=50_000),
        ]
        assert answers[0][1]["readings"] == 1
        await ingest.close()
        return [status for status, _ in answers]

    assert asyncio.run(work()) == [200, 200, 422, 401, 403, 405, 413]
    assert sum(map(len, stored_in(tmp_path))) == 2


def test_who_waits_for_the_disk_while_the_node_stops_is_answered_that_it_is_not_stored() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow:
        def store(self, *_: object, **__: object) -> Stored:
            begun.set()
            go_on.wait(30.0)
            return Stored(readings=1)

    async def work() -> list[Result]:
        ingest = Ingest(Slow(), WallClock(), [LEVEL])  # type: ignore[arg-type]
        payload = json.dumps(ONE).encode()
        taken = asyncio.create_task(ingest.take([Message(DEVICE, payload)]))
        await asyncio.to_thread(begun.wait, 30.0)
        closing = asyncio.create_task(ingest.close())
        try:
            async with asyncio.timeout(20.0):
                return await taken
        finally:
            go_on.set()
            await closing

    ((outcome, reason),) = [(result.outcome, result.reason) for result in asyncio.run(work())]
    assert outcome == Outcome.FAILED
    assert "send it again" in reason
