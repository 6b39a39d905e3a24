"""The uplink over HTTP, in the application that `tocsin serve` serves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from uplink_place import LEVEL, Place, reading

from tocsin.edge.uplink import PATH, HttpLine, Position, digest_of, signed_text
from tocsin.interfaces.http import make_app
from tocsin.interfaces.http.uplink import routes


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def client(place: Place | None) -> TestClient:
    centre: Any = SimpleNamespace(receiver=None if place is None else place.receiver, host=None)
    return TestClient(make_app(centre))


class AppLine(HttpLine):
    """The real line, with the application in place of the network."""

    def __init__(self, app: TestClient) -> None:
        super().__init__("http://testserver")
        self._client = app


def test_a_parcel_goes_through_the_real_line_and_the_real_application(place: Place) -> None:
    place.line = AppLine(client(place))  # type: ignore[assignment]
    place.connect()
    place.pass_time(10)
    place.edge.node.take(reading(place.clock.now(), 3.5, 1.0))
    place.send_all()
    assert place.centre.readings() == place.edge.readings()
    assert len(place.centre.spool.read(LEVEL)) == 2


def test_anybody_may_ask_which_platform_it_is_and_nothing_more(place: Place) -> None:
    answer = client(place).get(PATH)
    assert answer.json() == {"platform": place.centre.ledger.id, "entry": 0, "block": 0}
    assert Position(**answer.json()).platform == place.receiver.platform
    before = place.centre.ledger.size()
    for headers in ({}, {"tocsin-node": "weir-house"}, {"tocsin-node": "weir-house", "tocsin-signature": "00" * 64}):
        refused = client(place).post(PATH, content=b"x", headers=headers)
        assert refused.status_code == 403
    assert place.centre.ledger.size() == before


def headers(place: Place, body: bytes) -> dict[str, str]:
    digest = digest_of(body)
    signature = place.key.sign(signed_text(digest, platform=place.receiver.platform, node="weir-house"))
    return {"tocsin-node": "weir-house", "tocsin-digest": digest, "tocsin-signature": signature}


class Post:
    """A POST whose body comes in pieces, and only when it is asked for; without pieces it never comes."""

    def __init__(self, app: Starlette, headers: dict[str, str], *pieces: bytes) -> None:
        self.app, self.headers, self.pieces, self.taken = app, headers, pieces, 0
        self.status, self.said = 0, ""

    async def _receive(self) -> dict[str, Any]:
        if not self.pieces:
            await asyncio.sleep(3600)
        self.taken += 1
        return {"type": "http.request", "body": self.pieces[self.taken - 1], "more_body": self.taken < len(self.pieces)}

    async def _send(self, event: Any) -> None:
        self.status = event.get("status", self.status)
        self.said += event.get("body", b"").decode()

    async def send(self) -> int:
        scope = {
            "type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b"", "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in self.headers.items()],
        }  # fmt: skip
        await self.app(scope, self._receive, self._send)
        return self.status


def app_of(place: Place) -> Starlette:
    centre: Any = SimpleNamespace(receiver=place.receiver)
    return Starlette(routes=routes(centre))


def test_nothing_of_a_parcel_is_taken_from_somebody_who_is_not_known(place: Place) -> None:
    signed = headers(place, bytes(2_000))
    for wrong in (
        {},
        signed | {"tocsin-node": "nobody"},
        signed | {"tocsin-digest": "00" * 32},
        signed | {"tocsin-signature": ""},
    ):
        post = Post(app_of(place), wrong, bytes(1_000), bytes(1_000))
        assert (asyncio.run(post.send()), post.taken) == (403, 0)


def test_a_parcel_that_is_not_the_one_that_was_signed_is_refused(place: Place) -> None:
    before = place.centre.ledger.size()
    assert asyncio.run(Post(app_of(place), headers(place, b"x" * 11), b"x" * 10, b"y").send()) == 403
    assert place.centre.ledger.size() == before


def test_a_parcel_that_is_too_large_is_refused_by_its_length_or_while_it_arrives(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.interfaces.http.uplink.PARCEL_BYTES_MAX", 1_000)
    signed, taken = headers(place, bytes(1_800)), []
    for more in ({"content-length": "1800"}, {"content-length": "many"}, {}):
        post = Post(app_of(place), signed | more, bytes(600), bytes(600), bytes(600))
        assert asyncio.run(post.send()) == 400
        assert "over 1,000 bytes" in post.said
        taken.append(post.taken)
    assert taken == [0, 0, 2]


def test_a_parcel_that_does_not_end_is_given_up_and_a_node_has_one_under_way(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.interfaces.http.uplink.ARRIVE_S", 0.3)
    app, signed = app_of(place), headers(place, b"x")
    endless = Post(app, signed)

    async def twice() -> None:
        first = asyncio.create_task(endless.send())
        await asyncio.sleep(0.1)
        second = Post(app, signed, b"x")
        assert (await second.send(), second.taken) == (503, 0)
        assert await first == 503
        assert await Post(app, signed, b"x").send() == 400  # it is no parcel, but it is heard again

    asyncio.run(twice())
    assert "did not arrive within" in endless.said


def test_a_platform_that_takes_no_nodes_says_so() -> None:
    assert client(None).get(PATH).status_code == 503
