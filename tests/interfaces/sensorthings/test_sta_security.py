"""Who may ask: nobody without a name, nobody from elsewhere in a trial, and nobody beyond the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sta_place import NOW, ROOT, Sta, thing
from starlette.applications import Starlette
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tocsin.host import VirtualClock
from tocsin.interfaces.cli import app
from tocsin.interfaces.http.guard import COOKIE
from tocsin.interfaces.sensorthings import Service, sensorthings_routes
from tocsin.interfaces.sensorthings.credentials import REMEMBERED_FOR, Credentials
from tocsin.interfaces.sensorthings.trial import check_loopback
from tocsin.platform.ledger import open_ledger
from tocsin.platform.store import open_sessions, open_users
from tocsin.security import RoleGate
from tocsin.security.passwords import Cost, Passwords
from tocsin.vocabulary import InputError

PASSWORD = "a sentence that is long enough"


class CountingPasswords(Passwords):
    """The real check, at the least cost, that counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__(Cost(passes=5, memory_kib=7_168, lanes=1))
        self.checked = 0

    def fits(self, stored: str | None, password: str) -> bool:
        self.checked += 1
        return super().fits(stored, password)


class Office:
    """What Credentials needs of a centre: the real users and sessions in a real store."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(NOW)
        self.gate = RoleGate()
        self.ledger = open_ledger(folder, clock=self.clock, gate=self.gate, purpose="exercise")
        self.passwords = CountingPasswords()
        self.users = open_users(self.ledger.store, clock=self.clock, gate=self.gate, ledger=self.ledger, passwords=self.passwords)
        self.sessions = open_sessions(self.ledger.store, self.users, clock=self.clock)

    def session(self, token: str, csrf: str | None) -> Any:
        return self.sessions.find(token, csrf)


@pytest.fixture
def office(tmp_path: Path) -> Any:
    found = Office(tmp_path)
    found.users.create_first_administrator("ada", PASSWORD, frozenset({"administrator"}))
    found.admin = found.users.sign_in("ada", PASSWORD)  # type: ignore[attr-defined]
    for name, role in (("otto", "operator"), ("pia", "planner")):
        found.users.create(found.admin, name, PASSWORD, frozenset({role}))  # type: ignore[attr-defined]
    yield found
    found.ledger.close()


@pytest.fixture
def guarded(sta: Sta, office: Office) -> Sta:
    service = Service(sta.things, office.gate)
    guarded_app = Starlette(routes=list(sensorthings_routes(service, Credentials(office, office.clock))))  # type: ignore[arg-type]
    return Sta(TestClient(guarded_app, base_url="http://127.0.0.1"), sta.things)


def test_who_says_no_name_is_asked_for_one_and_reads_and_writes_nothing(guarded: Sta) -> None:
    for method, path in (("GET", ""), ("GET", "Things"), ("POST", "Things"), ("DELETE", "Things(1)"), ("POST", "$batch")):
        response = guarded.ask(method, path)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Basic ")
    for wrong in ("Basic", "Basic ???", "Basic bm9jb2xvbg==", "Bearer abc", "Basic //8="):
        assert guarded.ask("GET", "Things", headers={"authorization": wrong}).status_code == 401


def test_the_role_says_who_reads_and_who_writes(guarded: Sta) -> None:
    assert guarded.ask("POST", "Things", thing(), auth=("otto", PASSWORD)).status_code == 201
    for name in ("pia", "ada"):
        assert guarded.ask("GET", "Things", auth=(name, PASSWORD)).status_code == 200
        for method, path in (("POST", "Things"), ("PATCH", "Things(1)"), ("PUT", "Things(1)"), ("DELETE", "Things(1)")):
            response = guarded.ask(method, path, thing(), auth=(name, PASSWORD))
            assert response.status_code == 403
            assert f"{name} may not things.write" in response.json()["message"]
    batch = {"requests": [{"id": "1", "method": "delete", "url": "Things(1)"}]}
    assert guarded.ask("POST", "$batch", batch, auth=("pia", PASSWORD)).status_code == 403
    assert guarded.ask("POST", "$batch", batch, auth=("otto", PASSWORD)).json()["responses"][0]["status"] == 200


def test_a_right_password_is_checked_once_and_a_wrong_one_every_time(guarded: Sta, office: Office) -> None:
    before = office.passwords.checked
    for _ in range(5):
        assert guarded.ask("GET", "Things", auth=("otto", PASSWORD)).status_code == 200
    assert office.passwords.checked == before + 1
    for _ in range(2):
        assert guarded.ask("GET", "Things", auth=("otto", "wrong")).status_code == 403
    assert office.passwords.checked == before + 3
    office.clock._now += REMEMBERED_FOR
    guarded.ask("GET", "Things", auth=("otto", PASSWORD))
    assert office.passwords.checked == before + 4


def test_a_disabled_user_is_out_at_once_and_a_new_role_holds_at_once(guarded: Sta, office: Any) -> None:
    assert guarded.ask("POST", "Things", thing(), auth=("otto", PASSWORD)).status_code == 201
    office.users.set_roles(office.admin, "otto", frozenset({"planner"}))
    assert guarded.ask("POST", "Things", thing(), auth=("otto", PASSWORD)).status_code == 403
    office.users.disable(office.admin, "otto")
    assert guarded.ask("GET", "Things", auth=("otto", PASSWORD)).status_code == 401


def test_a_session_of_the_console_reads_and_writes_only_with_its_csrf_token(guarded: Sta, office: Office) -> None:
    session, token = office.sessions.sign_in("otto", PASSWORD, "")
    cookie = {"cookie": f"{COOKIE}={token}"}
    assert guarded.ask("GET", "Things", headers=cookie).status_code == 200
    assert guarded.ask("POST", "Things", thing(), headers=cookie).status_code == 403
    assert guarded.ask("POST", "Things", thing(), headers=cookie | {"x-tocsin-csrf": session.csrf}).status_code == 201


def test_a_page_of_another_site_writes_nothing(sta: Sta) -> None:
    for site in ("cross-site", "same-site"):
        response = sta.ask("POST", "Things", thing(), headers={"sec-fetch-site": site})
        assert response.status_code == 403
    assert sta.get("Things")["value"] == []


def test_a_trial_answers_only_to_names_of_this_machine(sta: Sta) -> None:
    assert sta.ask("GET", "Things", headers={"host": "evil.example.org"}).status_code == 400
    assert sta.client.get("http://localhost:8091/sta/v1.1/Things").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", "localhost", ""])
def test_a_trial_is_refused_on_an_address_that_others_reach(host: str) -> None:
    with pytest.raises(InputError, match="wanted 127.0.0.1: here nobody signs in"):
        check_loopback(host)


def test_a_trial_is_taken_on_this_machines_own_addresses() -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1"):
        check_loopback(host)


def test_the_command_refuses_such_an_address_and_says_so_in_its_help() -> None:
    told = CliRunner().invoke(app, ["sensorthings", "try", "--host", "0.0.0.0", "--port", "0"])
    assert told.exit_code == 1
    assert "here nobody signs in" in told.output
    words = " ".join(CliRunner().invoke(app, ["sensorthings", "try", "--help"]).output.split())
    assert "everybody on this machine may read and write as the actor visitor" in words


def test_a_question_that_takes_too_long_is_stopped(sta: Sta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.platform.things.database.QUERY_S_MAX", -1.0)
    monkeypatch.setattr("tocsin.platform.things.database.STEPS_PER_LOOK", 1)
    assert "was stopped; ask for less" in sta.refused("GET", "Things", status=503)


def test_a_body_that_is_too_long_is_refused(sta: Sta, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.interfaces.sensorthings.routes.BODY_BYTES_MAX", 100)
    assert "over 100 bytes" in sta.refused("POST", "Things", thing("x" * 200), status=413)


def test_a_hostile_name_is_only_a_value(sta: Sta) -> None:
    names = ["'; DROP TABLE thing; --", "<script>alert(1)</script>", "\x00", "%27", "$filter", "a\nb", '"', "\\"]
    for name in names:
        sta.made("Things", thing(name, properties={name: name}))
    assert sta.names("Things") == names
    for name in names:
        assert sta.names("Things", filter=f"name eq '{name.replace(chr(39), chr(39) * 2)}'") == [name]
    assert sta.get("Things", top=1)["value"][0]["@iot.selfLink"] == f"{ROOT}/Things(1)"
