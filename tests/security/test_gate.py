"""Who may do what: least privilege, and refusals that say what would be enough."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from tocsin.security import ACTS, ROLES, Actor, RoleGate, gate_table, must_hold
from tocsin.security.gate import known_roles
from tocsin.vocabulary import AnyRecord, InputError, Refused

WHO_MAY = {act.name: act.roles for act in ACTS}


def holder(*roles: str) -> Actor:
    return Actor("ada", frozenset(roles))


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
@pytest.mark.parametrize("role", ROLES)
def test_the_gate_opens_for_the_roles_of_the_table_and_for_no_other(role: str, act: object) -> None:
    name = act.name  # type: ignore[attr-defined]
    if role in WHO_MAY[name]:
        RoleGate().permit(holder(role), name, "here")
    else:
        with pytest.raises(Refused, match=f"ada may not {name} on here"):
            RoleGate().permit(holder(role), name, "here")


def test_only_a_commander_writes_a_decision_or_releases_an_alert() -> None:
    assert WHO_MAY["write decision"] == WHO_MAY["release alert"] == {"commander"}


def test_only_an_administrator_manages_users_and_he_commands_nothing() -> None:
    assert WHO_MAY["manage users"] == {"administrator"}
    assert {name for name, roles in WHO_MAY.items() if "administrator" in roles} == {
        "read situation",
        "things.read",
        "write note",
        "manage users",
    }


def test_an_auditor_only_reads() -> None:
    assert {name for name, roles in WHO_MAY.items() if "auditor" in roles} == {"read situation", "read ledger", "things.read"}


def test_a_sensor_only_writes_what_it_saw() -> None:
    acts = {name for name, roles in WHO_MAY.items() if "sensor" in roles}
    said = {f"write {what}" for what in ("readings", "evidence", "sensorfault", "warning", "bulletin")}
    assert acts == said | {"things.read", "things.write"}


def test_a_bearer_of_a_code_uploads_and_objects_and_a_health_official_does_neither() -> None:
    assert {name for name, roles in WHO_MAY.items() if "bearer" in roles} == {"upload exposure keys", "file appeal"}
    assert not {name for name in ("upload exposure keys", "file appeal") if "health" in WHO_MAY[name]}


def test_only_a_health_official_issues_codes_and_decides_appeals() -> None:
    assert WHO_MAY["issue exposure code"] == WHO_MAY["decide appeal"] == WHO_MAY["release flows"] == {"health"}


def test_every_kind_of_record_has_a_row_in_the_table() -> None:
    assert {f"write {kind.__name__.lower()}" for kind in get_args(AnyRecord)} <= WHO_MAY.keys()


def test_a_refusal_says_who_what_where_what_is_held_and_what_is_enough() -> None:
    with pytest.raises(Refused, match="ada may not write decision on plan A: roles held: operator; enough: commander"):
        RoleGate().permit(holder("operator"), "write decision", "plan A")


def test_what_the_table_does_not_know_nobody_may() -> None:
    with pytest.raises(Refused, match="no such act"):
        RoleGate().permit(holder(*ROLES), "launch missiles", "here")


def test_a_role_that_nobody_knows_opens_nothing() -> None:
    with pytest.raises(Refused):
        RoleGate().permit(holder("root", "*", ""), "read situation", "here")


@pytest.mark.parametrize("name", ["", "  "])
def test_there_is_no_anonymous_actor(name: str) -> None:
    with pytest.raises(Refused, match="anonymous"):
        RoleGate().permit(Actor(name, frozenset(ROLES)), "read situation", "here")


def test_a_plan_may_ask_for_a_role_of_its_own() -> None:
    must_hold(holder("commander", "planner"), "planner", act="approve", on="plan A")
    with pytest.raises(Refused, match="it needs commander, held: planner"):
        must_hold(holder("planner"), "commander", act="approve", on="plan A")
    with pytest.raises(InputError, match="names the role 'mayor'"):
        must_hold(holder("commander"), "mayor", act="approve", on="plan A")


@pytest.mark.parametrize(
    "roles",
    [frozenset[str](), frozenset({"mayor"}), frozenset({"system"}), frozenset({"bearer"}), frozenset({"operator", "system"})],
)
def test_a_person_holds_known_roles_and_is_never_the_system(roles: frozenset[str]) -> None:
    with pytest.raises(InputError, match="roles of ada"):
        known_roles(roles, of="ada")


def test_the_table_of_the_page_is_the_table_of_the_gate() -> None:
    page = Path(__file__).parents[2] / "docs" / "security.md"
    assert gate_table() in page.read_text()
