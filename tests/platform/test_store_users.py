"""People and their sessions: no default user, one way in, and every change a note in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tocsin.platform.ledger import SqliteLedger, open_ledger
from tocsin.platform.store import Sessions, Users, open_sessions, open_users
from tocsin.security import Actor, RoleGate, SigningKey, signature_holds
from tocsin.security.passwords import Cost, Passwords
from tocsin.testing.ledger_promises import NOON, SYSTEM, decision
from tocsin.vocabulary import Conflict, InputError, Note, NotFound, Refused

PASSWORD, OTHER = "correct horse battery", "another staple altogether"
PASSWORDS = Passwords(Cost(passes=5, memory_kib=7 * 1024, lanes=1))


class HandClock:
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    def pass_by(self, **spell: float) -> None:
        self.time += timedelta(**spell)

    async def sleep(self, seconds: float) -> None:
        self.pass_by(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: HandClock) -> Iterator[SqliteLedger]:
    found = open_ledger(tmp_path, clock=clock, gate=RoleGate(), purpose="demo")
    yield found
    found.close()


@pytest.fixture
def users(ledger: SqliteLedger, clock: HandClock) -> Users:
    return open_users(ledger.store, clock=clock, gate=RoleGate(), ledger=ledger, passwords=PASSWORDS)


@pytest.fixture
def ada(users: Users) -> Actor:
    users.create_first_administrator("Ada", PASSWORD)
    return users.sign_in("ada", PASSWORD)


@pytest.fixture
def bob(users: Users, ada: Actor) -> Actor:
    users.create(ada, "bob", PASSWORD, frozenset({"operator", "commander"}))
    return users.sign_in("bob", PASSWORD)


@pytest.fixture
def sessions(ledger: SqliteLedger, users: Users, clock: HandClock) -> Sessions:
    return open_sessions(ledger.store, users, clock=clock)


def notes(ledger: SqliteLedger) -> list[tuple[str, str]]:
    return [(e.actor, e.record.text) for e in ledger.read() if isinstance(e.record, Note)]


def test_nobody_is_there_at_the_start(users: Users) -> None:
    assert users.count() == 0
    for name, password in (("admin", "admin"), ("admin", ""), ("root", "root"), ("", "")):
        with pytest.raises(Refused, match="the name or the password is wrong"):
            users.sign_in(name, password)


def test_the_first_administrator_is_made_once_and_by_an_explicit_call(users: Users, ada: Actor, ledger: SqliteLedger) -> None:
    assert ada == Actor("ada", frozenset({"administrator"}))
    with pytest.raises(Conflict, match="there are 1 already"):
        users.create_first_administrator("eve", PASSWORD)
    assert users.count() == 1
    assert notes(ledger)[0][0] == "platform"
    assert users.find("ada").public_key in notes(ledger)[0][1]


def test_the_first_user_can_manage_users(users: Users) -> None:
    with pytest.raises(InputError, match="administrator among them"):
        users.create_first_administrator("ada", PASSWORD, frozenset({"operator"}))


def test_only_an_administrator_manages_users(users: Users, ada: Actor, bob: Actor) -> None:
    roles = frozenset({"administrator"})
    for attempt in (
        lambda: users.create(bob, "eve", PASSWORD, roles),
        lambda: users.set_roles(bob, "bob", roles),
        lambda: users.disable(bob, "ada"),
        lambda: users.enable(bob, "ada"),
        lambda: users.reset_password(bob, "ada", OTHER),
        lambda: users.all(bob),
    ):
        with pytest.raises(Refused, match="enough: administrator"):
            attempt()
    assert [u.name for u in users.all(ada)] == ["ada", "bob"]


def test_every_change_of_a_user_is_a_note_under_the_name_of_who_did_it(
    users: Users, ada: Actor, bob: Actor, ledger: SqliteLedger
) -> None:
    users.set_roles(ada, "bob", frozenset({"auditor"}))
    users.disable(ada, "bob")
    users.enable(ada, "bob")
    users.reset_password(ada, "bob", OTHER)
    users.change_password("bob", OTHER, PASSWORD)
    told = notes(ledger)[1:]
    assert [actor for actor, _ in told] == ["ada"] * 5 + ["platform"]
    words = [
        "was made; roles: commander, operator",
        "roles are now auditor",
        "disabled",
        "enabled",
        "set anew",
        "changed the password",
    ]
    assert all(word in text for word, (_, text) in zip(words, told, strict=True))
    assert ledger.verify() == len(told) + 1


def test_the_same_words_for_a_wrong_name_a_wrong_password_and_a_disabled_user(users: Users, ada: Actor, bob: Actor) -> None:
    users.disable(ada, "bob")
    words = set()
    for name, password in (
        ("nobody", PASSWORD),
        ("ada", OTHER),
        ("bob", PASSWORD),
        ("b\x00b", PASSWORD),
        ("x" * 10_000, PASSWORD),
    ):
        with pytest.raises(Refused) as refused:
            users.sign_in(name, password)
        words.add(str(refused.value))
    assert len(words) == 1


def test_a_name_is_one_in_whatever_letters_it_is_typed(users: Users, ada: Actor) -> None:
    assert users.sign_in(" ＡＤＡ ", PASSWORD) == ada
    with pytest.raises(Conflict, match="taken"):
        users.create(ada, "ADA", PASSWORD, frozenset({"operator"}))


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65, "<b>", "a/b", "Platform", "model"])
def test_a_name_that_is_none_is_refused(users: Users, ada: Actor, name: str) -> None:
    with pytest.raises(InputError, match="user name"):
        users.create(ada, name, PASSWORD, frozenset({"operator"}))


@pytest.mark.parametrize("roles", [frozenset[str](), frozenset({"king"}), frozenset({"system"})])
def test_roles_that_no_person_can_hold_are_refused(users: Users, ada: Actor, roles: frozenset[str]) -> None:
    with pytest.raises(InputError, match="roles of"):
        users.create(ada, "eve", PASSWORD, roles)
    with pytest.raises(InputError, match="roles of"):
        users.set_roles(ada, "ada", roles)
    assert users.count() == 1


def test_a_weak_password_is_refused(users: Users, ada: Actor) -> None:
    for attempt in (
        lambda: users.create(ada, "eve", "short", frozenset({"operator"})),
        lambda: users.reset_password(ada, "ada", "short"),
        lambda: users.change_password("ada", PASSWORD, "short"),
    ):
        with pytest.raises(InputError, match="wanted 12 to"):
            attempt()


def test_the_last_administrator_stays(users: Users, ada: Actor, bob: Actor) -> None:
    with pytest.raises(Conflict, match="last administrator"):
        users.disable(ada, "ada")
    with pytest.raises(Conflict, match="last administrator"):
        users.set_roles(ada, "ada", frozenset({"operator"}))
    assert users.sign_in("ada", PASSWORD) == ada
    users.set_roles(ada, "bob", frozenset({"administrator"}))
    users.disable(ada, "ada")


def test_guessing_is_slowed_and_the_right_password_waits_too(users: Users, ada: Actor, clock: HandClock) -> None:
    for _ in range(3):
        with pytest.raises(Refused, match="is wrong"):
            users.sign_in("ada", OTHER)
    with pytest.raises(Refused, match="wait 1 s"):
        users.sign_in("ada", PASSWORD)
    assert users.sign_in("ada", PASSWORD, source="192.0.2.7") == ada
    clock.pass_by(seconds=1)
    assert users.sign_in("ada", PASSWORD) == ada


def test_signing_is_guessing_too(users: Users, bob: Actor) -> None:
    for _ in range(3):
        with pytest.raises(Refused, match="is wrong"):
            users.sign(bob, OTHER, decision(SigningKey.new()))
    with pytest.raises(Refused, match="wait"):
        users.sign(bob, PASSWORD, decision(SigningKey.new()))


def test_a_person_signs_in_his_own_name_with_his_own_key(users: Users, bob: Actor) -> None:
    signed = users.sign(bob, PASSWORD, decision(SigningKey.new(), signer="ada"))
    assert signed.signer == "bob"
    assert signed.public_key == users.find("bob").public_key
    assert signature_holds(signed.public_key, signed.signature, signed.signing_bytes())


def test_who_may_not_decide_cannot_sign(users: Users, ada: Actor) -> None:
    with pytest.raises(Refused, match="enough: commander"):
        users.sign(ada, PASSWORD, decision(SigningKey.new()))


def test_a_changed_password_keeps_the_key_and_a_lost_one_loses_it(users: Users, ada: Actor, bob: Actor) -> None:
    key = users.find("bob").public_key
    users.change_password("bob", PASSWORD, OTHER)
    assert users.find("bob").public_key == users.sign(bob, OTHER, decision(SigningKey.new())).public_key == key
    with pytest.raises(Refused):
        users.sign_in("bob", PASSWORD)
    with pytest.raises(Refused):
        users.change_password("bob", PASSWORD, "yet another staple")
    users.reset_password(ada, "bob", PASSWORD)
    assert users.find("bob").public_key != key
    assert users.sign_in("bob", PASSWORD) == bob


def test_who_is_not_there_is_not_found(users: Users, ada: Actor) -> None:
    with pytest.raises(NotFound, match="nobody is called"):
        users.disable(ada, "eve")


def test_a_ledger_that_takes_no_note_undoes_the_change(
    users: Users, ada: Actor, ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "append", lambda actor, records: (_ for _ in ()).throw(Conflict("no")))
    with pytest.raises(Conflict):
        users.create(ada, "eve", PASSWORD, frozenset({"operator"}))
    assert users.count() == 1


def test_a_session_is_found_by_its_token_until_it_is_signed_out(sessions: Sessions, ada: Actor) -> None:
    session, token = sessions.sign_in("ada", PASSWORD)
    assert session.actor == ada
    assert sessions.find(token) == sessions.find(token, session.csrf) == session
    sessions.sign_out(token)
    sessions.sign_out(token)
    assert sessions.find(token) is None


def test_a_token_that_was_never_given_is_no_session(sessions: Sessions, ada: Actor, ledger: SqliteLedger) -> None:
    _, token = sessions.sign_in("ada", PASSWORD)
    with ledger.store.reading() as db:
        (stored,) = db.execute("SELECT digest FROM session").fetchone()
    assert stored != token
    for guess in ("", "x", stored, token[:-1], token.upper()):
        assert sessions.find(guess) is None


def test_a_wrong_csrf_token_is_refused(sessions: Sessions, ada: Actor) -> None:
    _, token = sessions.sign_in("ada", PASSWORD)
    for wrong in ("", "x", token):
        with pytest.raises(Refused, match="CSRF"):
            sessions.find(token, wrong)


def test_a_session_ends_when_nobody_uses_it(sessions: Sessions, ada: Actor, clock: HandClock) -> None:
    _, token = sessions.sign_in("ada", PASSWORD)
    clock.pass_by(hours=3.9)
    assert sessions.find(token) is not None
    clock.pass_by(hours=3.9)
    assert sessions.find(token) is not None
    clock.pass_by(hours=4)
    assert sessions.find(token) is None


def test_a_session_ends_with_the_shift_however_busy(sessions: Sessions, ada: Actor, clock: HandClock) -> None:
    _, token = sessions.sign_in("ada", PASSWORD)
    for _ in range(11):
        clock.pass_by(hours=1)
        assert sessions.find(token) is not None
    clock.pass_by(hours=1)
    assert sessions.find(token) is None


def test_sessions_that_have_ended_are_swept_at_the_next_sign_in(
    sessions: Sessions, ada: Actor, clock: HandClock, ledger: SqliteLedger
) -> None:
    sessions.sign_in("ada", PASSWORD)
    clock.pass_by(days=1)
    sessions.sign_in("ada", PASSWORD)
    with ledger.store.reading() as db:
        assert db.execute("SELECT count(*) FROM session").fetchone() == (1,)


def test_roles_hold_from_the_next_request_on(sessions: Sessions, users: Users, ada: Actor, bob: Actor) -> None:
    _, token = sessions.sign_in("bob", PASSWORD)
    users.set_roles(ada, "bob", frozenset({"auditor"}))
    found = sessions.find(token)
    assert found is not None
    assert found.actor.roles == {"auditor"}


@pytest.mark.parametrize("end", ["disable", "change", "reset"])
def test_a_session_ends_when_the_person_is_disabled_or_the_password_changes(
    sessions: Sessions, users: Users, ada: Actor, bob: Actor, end: str
) -> None:
    _, token = sessions.sign_in("bob", PASSWORD)
    if end == "disable":
        users.disable(ada, "bob")
    elif end == "change":
        users.change_password("bob", PASSWORD, OTHER)
    else:
        users.reset_password(ada, "bob", OTHER)
    assert sessions.find(token) is None


def test_the_platform_itself_has_no_password(users: Users, ada: Actor) -> None:
    assert SYSTEM.name == "platform"
    with pytest.raises(Refused, match="is wrong"):
        users.sign_in("platform", PASSWORD)
