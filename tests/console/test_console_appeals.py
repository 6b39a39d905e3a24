"""An official decides objections to a health status with a reason; the person sees what became of it without an account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from test_console_command import quiet
from test_console_page import Desk, browser_without_webgl, expect, launch  # noqa: F401

pytestmark = pytest.mark.chromium
FIRST, SECOND = "a" * 32, "b" * 32


@pytest.fixture
def desk(browser_without_webgl: Any) -> Iterator[Desk]:  # noqa: F811
    place = Desk(browser_without_webgl)
    place.mock.roles = ["operator", "health"]
    yield place
    place.leave()


def test_a_health_official_sees_what_waits_and_decides_it_with_a_reason(desk: Desk) -> None:
    desk.sign_in()
    desk.see("appeals-link").click()
    waiting = desk.page.locator("[data-testid=appeal]")
    expect(waiting).to_have_count(2)
    first = waiting.first
    expect(first).to_contain_text("behind the glass")
    expect(first).to_contain_text("visit a ward")
    expect(first.get_by_test_id("appeal-due")).to_contain_text("overdue")
    first.get_by_test_id("appeal-open").click()
    expect(desk.see("appeal-uphold")).to_be_disabled()  # no ruling without a reason
    desk.see("appeal-reason").fill("The glass stood between you and the case.")
    desk.see("appeal-uphold").click()
    expect(waiting).to_have_count(1)
    expect(desk.see("appeals-decided")).to_contain_text("The glass stood between")
    assert desk.sent("POST", f"/exposure/appeals/{FIRST}/ruling") == [
        {"upheld": True, "reason": "The glass stood between you and the case."}
    ]
    waiting.first.get_by_test_id("appeal-open").click()
    desk.see("appeal-reason").fill("The receipt is of another day.")
    desk.see("appeal-reject").click()
    expect(desk.see("appeals-none")).to_be_visible()
    assert desk.sent("POST", f"/exposure/appeals/{SECOND}/ruling")[0]["upheld"] is False
    quiet(desk)


def test_who_does_not_hold_the_role_sees_no_appeal_and_asks_for_none(desk: Desk) -> None:
    desk.mock.roles = ["operator", "commander"]
    desk.sign_in("#/appeals")
    expect(desk.see("appeals-not-yours")).to_be_visible()
    expect(desk.see("appeals-link")).to_have_count(0)
    assert not [path for method, path, _ in desk.mock.requests if "appeals" in path]


def test_a_person_sees_the_outcome_by_the_name_of_the_appeal_and_without_an_account(desk: Desk) -> None:
    desk.open(f"#/outcome/{FIRST}")
    expect(desk.see("outcome-told")).to_contain_text("Not decided yet")
    desk.mock.rule(FIRST, {"upheld": True, "reason": "The glass stood between you."})
    desk.see("outcome-ask").click()
    expect(desk.see("outcome-told")).to_contain_text("Upheld")
    expect(desk.see("outcome-told")).to_contain_text("The glass stood between you.")
    desk.see("outcome-name").fill("f" * 32)
    desk.see("outcome-ask").click()
    expect(desk.see("outcome-refused")).to_contain_text("no such appeal")
    expect(desk.see("sign-in-name")).to_have_count(0)
    quiet(desk)
