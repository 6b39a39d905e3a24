"""Questions over HTTP: who may ask, and that the answer is that of the Python function."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

import tocsin.pack
from asked_pack import asked_pack
from tocsin.flows.centre import Centre
from tocsin.flows.questions import ask
from tocsin.interfaces.http import make_app, questions
from tocsin.interfaces.http.guard import COOKIE, CSRF_HEADER
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.testing.tiny import TinyWorld

CSV = b"time,temperature [degF]\n2024-05-01,50\n2024-05-02,86\n"
PATH = "/api/v1/packs/flood/questions"


@pytest.fixture(autouse=True)
def pack(monkeypatch: pytest.MonkeyPatch) -> None:
    packs = {"flood": asked_pack()}
    monkeypatch.setattr(tocsin.pack, "find_packs", lambda: packs)


def client(*roles: str) -> TestClient:
    """A browser that is signed in, with these roles, at a platform of the tiny world."""
    session = SimpleNamespace(actor=Actor("ada", frozenset(roles)), csrf="c")
    centre: Any = SimpleNamespace(
        session=lambda token, csrf: session if token == "t" and csrf in (None, "c") else None,
        host=SimpleNamespace(gate=RoleGate()),
        world=TinyWorld,
        twin=SimpleNamespace(manifest=SimpleNamespace(name="tiny")),
    )
    return TestClient(make_app(cast(Centre, centre)), cookies={COOKIE: "t"}, headers={CSRF_HEADER: "c"})


def test_the_answer_is_that_of_the_python_function() -> None:
    told = client("operator").post(f"{PATH}/warmth?warmer_degC=1", content=CSV).json()
    asked = ask("flood", "warmth", CSV, settings={"warmer_degC": 1.0}).facts()
    assert told["table"] == asked["table"]
    assert told["figures"] == asked["figures"]
    assert told["twin"] == "tiny"
    assert client("operator").post(f"{PATH}/place", content=b"site\na\n").json()["figures"]["cells"]["mean"] == 24.0
    assert [row["name"] for row in client("operator").get(PATH).json()] == ["warmth", "place"]


def test_who_may_read_the_situation_may_ask_and_nobody_else() -> None:
    assert client("viewer").post(f"{PATH}/warmth", content=CSV).status_code == 403
    asker = client("operator")
    assert asker.post(f"{PATH}/warmth", content=CSV, headers={CSRF_HEADER: "another"}).status_code == 401
    asker.cookies.clear()
    assert asker.post(f"{PATH}/warmth", content=CSV).status_code == 401
    assert asker.get(PATH).status_code == 401


def test_what_does_not_do_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asker = client("operator")
    assert asker.post(f"{PATH}/tide", content=CSV).status_code == 404
    told = asker.post(f"{PATH}/warmth", content=b"time,temp_c\n2024,x\n")
    assert (told.status_code, told.json()["error"]["message"][:12]) == (400, "body: line 2")
    assert asker.post(f"{PATH}/warmth?warmer_degC=1&warmer_degC=2", content=CSV).status_code == 400
    monkeypatch.setattr(questions, "TABLE_BYTES_MAX", 10)
    assert "the table is over" in asker.post(f"{PATH}/warmth", content=CSV).json()["error"]["message"]
