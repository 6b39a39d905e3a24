"""The uplink over HTTP, in the application that `tocsin serve` serves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient
from uplink_place import LEVEL, Place, reading

from tocsin.edge.uplink import PATH, HttpLine, Position
from tocsin.interfaces.http import make_app


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


def test_a_parcel_that_is_too_large_is_refused_while_it_arrives(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.interfaces.http.uplink.PARCEL_BYTES_MAX", 1_000)
    answer = client(place).post(PATH, content=bytes(2_000))
    assert answer.status_code == 400
    assert "over 1,000 bytes" in answer.json()["error"]["message"]


def test_a_platform_that_takes_no_nodes_says_so() -> None:
    assert client(None).get(PATH).status_code == 503
