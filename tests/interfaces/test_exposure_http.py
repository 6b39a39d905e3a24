"""Health codes over HTTP, in the application that `tocsin serve` serves: what is told to whom, and that no answer's length tells anything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from tocsin.edge.phone import Phone
from tocsin.flows.exposure import Exposure, read_venues
from tocsin.flows.exposure_drill import DrillClock
from tocsin.interfaces.http import make_app
from tocsin.interfaces.http.exposure import ANSWER_BYTES, PATH
from tocsin.interfaces.http.guard import COOKIE, CSRF_HEADER
from tocsin.platform.ledger import open_ledger
from tocsin.security import Actor, RoleGate
from tocsin.security.exposure.codes import new_code
from tocsin.security.exposure.export import read_export
from tocsin.security.exposure.risk import Risk, own_risk
from tocsin.security.exposure.status import Colour, Ruling
from tocsin.security.exposure.upload import fake_upload, real_upload
from tocsin.security.sessions import Session

NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)
RISK = own_risk()


class Place:
    """The application, with people who are signed in by name: a role is its own password here."""

    def __init__(self, folder: Path) -> None:
        self.clock = DrillClock(NOON)
        self.ledger = open_ledger(folder, clock=self.clock, gate=RoleGate(), purpose="exercise")
        self.exposure = Exposure(self.ledger.store, clock=self.clock, gate=RoleGate(), ledger=self.ledger)
        centre: Any = SimpleNamespace(
            receiver=None, host=SimpleNamespace(gate=RoleGate()), exposure=self.exposure, session=self._session
        )
        self.app = TestClient(make_app(centre))

    @staticmethod
    def _session(token: str, csrf: str | None) -> Session | None:
        return Session(Actor(f"one {token}", frozenset({token})), "csrf") if csrf in (None, "csrf") else None

    def ask(self, method: str, path: str, *, role: str = "", **more: Any) -> Any:
        headers = {CSRF_HEADER: "csrf", "cookie": f"{COOKIE}={role}"} if role else {}
        return self.app.request(method, PATH + path, headers=headers, **more)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "centre")
    yield made
    made.ledger.close()


def test_a_phone_gets_from_a_contact_to_a_ruling_over_http_alone(place: Place) -> None:
    ill, near = Phone(None, clock=place.clock), Phone(None, clock=place.clock)
    for _ in range(2):
        near.hear(*ill.say(), rssi_dbm=-70, seconds=600)
        place.clock.time += timedelta(minutes=10)
    (code,) = place.ask("POST", "/codes", role="health", json={"count": 1}).json()["codes"]
    assert place.ask("POST", "/keys", content=real_upload(code, ill.day_keys(), NOON.date()).packed()).status_code == 200
    place.clock.time += timedelta(hours=3)
    number = place.ask("POST", "/exports", role="health", json={}).json()["number"]

    listed = place.ask("GET", "/exports").json()
    assert [file["number"] for file in listed["files"]] == [number]
    assert msgspec.convert(listed["risk"], Risk) == RISK
    export = read_export(place.ask("GET", f"/exports/{number}/keys.zip").content, listed["public_key"])
    notices = read_venues(place.ask("GET", f"/exports/{number}/venues.json").content, listed["public_key"]).notices
    assert near.take(export, notices, digest=str(number), risk=RISK).matched == 2
    assert near.status(purpose="visit a ward", risk=RISK).colour is Colour.RED

    form = near.appeal("a wall was between", purpose="visit a ward", risk=RISK)
    filed = place.ask("POST", "/appeals", content=msgspec.json.encode(form)).json()
    assert filed["id"] == form.id
    assert place.ask("GET", f"/appeals/{form.id}/ruling").json() == {"ruling": None}
    (waiting,) = place.ask("GET", "/appeals", role="health").json()
    assert waiting["form"]["words"] == "a wall was between"
    decided = {"upheld": True, "reason": "A wall is no contact."}
    assert place.ask("POST", f"/appeals/{form.id}/ruling", role="health", json=decided).status_code == 200
    ruling = msgspec.convert(place.ask("GET", f"/appeals/{form.id}/ruling").json()["ruling"], Ruling, strict=False)
    near.hear_ruling(ruling, listed["public_key"])
    assert near.status(purpose="visit a ward", risk=RISK).colour is Colour.GREEN


def test_every_answer_to_an_upload_has_the_same_length(place: Place) -> None:
    phone = Phone(None, clock=place.clock)
    phone.say()
    place.clock.time += timedelta(hours=1)
    (code,) = place.exposure.issue(Actor("hana", frozenset({"health"})))
    keys = phone.day_keys()
    bodies = [
        fake_upload().packed(),
        real_upload(code, keys, NOON.date()).packed(),
        real_upload(new_code(), keys, NOON.date()).packed(),
        b"{}",
        b"x" * 9_000,
    ]
    answers = [place.ask("POST", "/keys", content=body) for body in bodies]
    assert [a.status_code for a in answers] == [200, 200, 403, 400, 400]
    assert {len(a.content) for a in answers} == {ANSWER_BYTES}
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/codes"), ("POST", "/exports"), ("GET", "/appeals"), ("POST", f"/appeals/{'0' * 32}/ruling")]
)
def test_what_officials_do_nobody_else_may(place: Place, method: str, path: str) -> None:
    body = {} if method == "GET" else {"json": {"upheld": True, "reason": "x"}}
    assert place.ask(method, path, **body).status_code == 401
    for role in ("operator", "commander", "administrator", "auditor", "bearer"):
        assert place.ask(method, path, role=role, **body).status_code == 403
    assert place.ask(method, path, role="health", **body).status_code in (200, 404)


@pytest.mark.parametrize("appeal", ["0" * 31, "../../etc", "G" * 32])
def test_a_name_that_no_appeal_has_is_refused(place: Place, appeal: str) -> None:
    assert place.ask("GET", f"/appeals/{appeal}/ruling").status_code in (400, 404)


def test_an_appeal_that_is_none_or_too_long_is_refused(place: Place) -> None:
    assert place.ask("POST", "/appeals", content=b"[]").status_code == 400
    assert place.ask("POST", "/appeals", content=b"x" * 20_000).status_code == 400


def test_a_platform_without_health_codes_says_so(place: Place) -> None:
    centre: Any = SimpleNamespace(receiver=None, host=None, exposure=None)
    with contextlib.closing(TestClient(make_app(centre))) as app:
        assert app.get(f"{PATH}/exports").status_code == 503
