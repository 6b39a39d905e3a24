"""What a commander and a planner do in the console: limits, what is asked of the platform, running plans, plans that are composed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import mock_server as mock
import pytest
from test_console_page import PLAN, Desk, browser_without_webgl, expect, launch  # noqa: F401

pytestmark = pytest.mark.chromium


@pytest.fixture
def desk(browser_without_webgl: Any) -> Iterator[Desk]:  # noqa: F811
    place = Desk(browser_without_webgl)
    place.mock.roles = ["commander", "planner", "operator"]
    yield place
    place.leave()


def quiet(desk: Desk) -> None:
    """The page complained of nothing but what the test made the server refuse, and that it cannot draw a map here."""
    told = [c for c in desk.complaints if "WebGL" not in c and "webgl" not in c and "Failed to load resource" not in c]
    assert told == []


def test_a_commander_sets_a_hard_limit_and_takes_it_back(desk: Desk) -> None:
    desk.sign_in()
    expect(desk.see("limits-in-force")).to_contain_text("no limit")
    desk.see("open-limits").click()
    desk.see("limit-zone").select_option("Ferry Quay")
    desk.see("limit-percent").fill("10")
    desk.see("limit-add").click()
    expect(desk.see("limits-list")).to_contain_text("people in danger in Ferry Quay <= 0, 10%")
    desk.see("limits-set").click()
    expect(desk.see("sign")).to_contain_text("people in danger in Ferry Quay <= 0, 10%")
    desk.see("sign-reason").fill("nobody is left behind")
    desk.see("sign-password").fill("not the one")
    desk.see("sign-it").click()
    expect(desk.see("sign-refused")).to_contain_text("nothing was signed")
    expect(desk.see("limits-in-force")).to_contain_text("no limit")
    desk.see("sign-password").fill(mock.PASSWORD)
    desk.see("sign-it").click()
    expect(desk.see("limits-in-force")).to_contain_text("people in danger in Ferry Quay <= 0, 10%")
    sent = {"limits": ["people_in_danger@Ferry Quay <= 0, 10%"], "reason": "nobody is left behind"}
    assert desk.sent("POST", "/limits")[-1] == sent | {"password": mock.PASSWORD}
    expect(desk.see("limits-detail")).to_contain_text("nobody is left behind")
    desk.see("limits-undo").click()
    expect(desk.see("sign-reason")).to_have_value("undo")
    desk.see("sign-password").fill(mock.PASSWORD)
    desk.see("sign-it").click()
    expect(desk.see("limits-in-force")).to_contain_text("no limit")
    quiet(desk)


def test_an_operator_sees_the_limits_and_cannot_set_them(desk: Desk) -> None:
    desk.mock.roles = ["operator"]
    desk.sign_in("#/limits")
    expect(desk.see("limits-detail")).to_contain_text("Only a commander")
    expect(desk.see("limits-set")).to_have_count(0)


def test_a_planner_asks_for_a_comparison_sees_how_far_it_is_and_opens_it(desk: Desk) -> None:
    desk.sign_in("#/ask")
    expect(desk.see("ask-scenario")).to_have_value(re.compile("level@river"))
    desk.see("ask-scenario").fill(mock.SCENARIO.replace("river", "lake"))
    desk.see("ask-compare").click()
    expect(desk.see("ask-refused")).to_contain_text("no water 'lake'")
    desk.see("ask-scenario").fill(mock.SCENARIO)
    desk.page.get_by_role("checkbox", name="Evacuate only").check()
    desk.see("ask-compare").click()
    expect(desk.see("job")).to_contain_text("4 / 20")
    assert desk.sent("POST", "/jobs/compare")[-1] == {"hazard": "flood", "scenario": mock.SCENARIO, "plans": ["evacuate_only"]}
    desk.mock.finish_job({"comparison": mock.COMPARISON, "forecast": mock.FORECAST, "recommended": PLAN, "reason": "It is best."})
    expect(desk.see("job")).to_contain_text("It is best.")
    desk.see("job-open").click()
    expect(desk.see("screen")).to_have_attribute("data-page", "comparison")
    quiet(desk)


def test_a_job_is_cancelled_and_a_suggested_plan_is_saved(desk: Desk) -> None:
    desk.sign_in("#/ask")
    desk.see("ask-suggest").click()
    desk.see("job-cancel").click()
    expect(desk.see("job")).to_have_attribute("data-state", "cancelled")
    desk.see("ask-suggest").click()
    expect(desk.see("job")).to_have_count(2)
    plan = mock.msgspec.to_builtins(mock.PLANS[1]) | {"name": "found"}
    one = {"plan": plan, "origin": "search", "why": "it brings 300 out of danger", "digest": "e" * 64, "toml": ""}
    desk.mock.finish_job({"suggested": [one]})
    desk.see("suggested-save").click()
    expect(desk.see("suggested-save")).to_have_text("✓")
    assert [body["plan"]["name"] for body in desk.sent("POST", "/plans")] == ["found"]
    quiet(desk)


def test_what_somebody_asked_for_is_not_shown_as_the_assessment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = mock.forecast

    def asked(name: str, minutes_ago: int) -> dict[str, Any]:
        return usual(name, minutes_ago) | ({"asked_by": "pat"} if name == mock.FORECAST else {})

    monkeypatch.setattr(mock, "forecast", asked)
    desk.sign_in()
    expect(desk.see("plans")).to_contain_text("No plans compared yet")  # those of the newest forecast are not the assessment's
    desk.show(f"#/forecast/{mock.FORECAST}")
    expect(desk.see("asked-by")).to_contain_text("ASKED BY PAT")
    expect(desk.see("plan-" + PLAN)).to_be_visible()
    desk.see("asked-by").get_by_role("button").click()
    expect(desk.see("asked-by")).to_have_count(0)


def test_a_level_that_asks_for_agreement_is_signed_for_and_what_each_action_waits_for_is_told(desk: Desk) -> None:
    desk.sign_in()
    expect(desk.see("proposals")).to_have_text("1")
    desk.see("tab-carried").click()
    expect(desk.see("proposal")).to_contain_text("Level II asks for the agreement of the commander")
    steps = desk.see("step")
    expect(steps.nth(1)).to_contain_text("OVERDUE")
    expect(steps.nth(2)).to_contain_text("waits until level_m@river >= 3.5 m")
    expect(steps.nth(3)).to_contain_text("waits for level II")
    desk.see("level-agree").click()
    desk.see("sign-password").fill("wrong horse")
    desk.see("sign-it").click()
    expect(desk.see("sign-refused")).to_contain_text("the password is wrong")
    desk.see("sign-reason").fill("the river rises")
    desk.see("sign-password").fill(mock.PASSWORD)
    desk.see("sign-it").click()
    expect(desk.see("proposal")).to_have_count(0)
    expect(desk.see("proposals")).to_have_count(0)
    running = mock.execution()["decision"]
    assert desk.sent("POST", f"/executions/{running}/levels/II")[-1] == {
        "agrees": True,
        "reason": "the river rises",
        "password": mock.PASSWORD,
    }
    desk.see("end-plan").click()
    desk.see("sign-password").fill(mock.PASSWORD)
    desk.see("sign-it").click()
    expect(desk.see("execution")).to_contain_text("over")
    quiet(desk)


def test_who_does_not_hold_the_authority_sees_whose_agreement_is_wanted(desk: Desk) -> None:
    desk.mock.roles = ["operator"]
    desk.sign_in("#/carried")
    expect(desk.see("proposal")).to_contain_text("Only the commander may agree to it")
    expect(desk.see("level-agree")).to_have_count(0)
    expect(desk.see("end-plan")).to_have_count(0)


def test_a_plan_is_drawn_on_the_axis_of_one_future_with_what_waits_for_what(desk: Desk) -> None:
    desk.sign_in(f"#/plan/{mock.COMPARISON}/{PLAN}")
    actions = desk.see("picture-action")
    expect(actions).to_have_count(5)
    last = actions.nth(4)
    expect(last).to_have_attribute("data-action", "evacuate_ferry_quay")
    bar = last.locator("rect")
    shelter = desk.page.locator("[data-action=open_shelters] rect")
    end = float(shelter.get_attribute("x")) + float(shelter.get_attribute("width"))
    assert float(bar.get_attribute("x")) == pytest.approx(end)  # it waits for the shelters
    assert desk.see("plan-picture").locator("path.arrow").count() == 2
    desk.see("picture-future").select_option("3")
    expect(actions).to_have_count(5)
    assert any("future=3" in url for url in desk.asked_for)
    desk.show(f"#/plan/{mock.COMPARISON}/evacuate_only")
    expect(desk.see("plan-picture")).to_contain_text("not kept any more")
    quiet(desk)


def test_a_plan_is_composed_with_its_faults_beside_the_fields_and_saved(desk: Desk) -> None:
    desk.sign_in()
    desk.see("open-compose").click()
    desk.see("compose-name").fill("our own")
    desk.page.get_by_role("button", name="Add: open_shelters").click()
    desk.page.get_by_role("button", name="Add: evacuate_ferry_quay").click()
    expect(desk.see("compose-checked")).to_contain_text("can be carried out")
    desk.see("compose-when").nth(1).fill("frogs > 3")
    expect(desk.see("compose-action").nth(1)).to_contain_text("no fact 'frogs'")
    expect(desk.see("compose-action").nth(0)).not_to_contain_text("frogs")
    expect(desk.see("compose-save")).to_be_disabled()
    desk.see("compose-when").nth(1).fill("level_m@river >= 3 m")
    expect(desk.see("compose-save")).to_be_enabled()
    desk.see("compose-save").click()
    expect(desk.see("compose-saved")).to_contain_text("Our own")
    (sent,) = [body["plan"] for body in desk.sent("POST", "/plans")]
    assert (sent["name"], [a["name"] for a in sent["actions"]]) == ("our own", ["open_shelters", "evacuate_ferry_quay"])
    assert sent["actions"][1]["when"] == "level_m@river >= 3 m"
    assert sent["actions"][1]["after"] == ["open_shelters"]  # `warn` is not in the plan, so nothing waits for it
    quiet(desk)


def test_an_own_action_gets_its_duration_needs_effects_and_level_in_forms_checked_as_one_writes(desk: Desk) -> None:
    desk.sign_in("#/compose")
    desk.see("compose-name").fill("our own")
    desk.see("compose-own").click()
    desk.see("compose-more").locator("summary").click()
    desk.see("compose-action-name").fill("clear the quay")
    desk.see("compose-do").fill("Walk the quay and send people up")
    desk.see("compose-role").select_option("fire")
    desk.see("compose-low").fill("90")
    expect(desk.see("compose-action")).to_contain_text("wanted 0 <= low <= usual <= high")
    expect(desk.see("compose-low")).to_have_attribute("aria-invalid", "true")
    expect(desk.see("compose-save")).to_be_disabled()
    desk.see("compose-low").fill("10")
    expect(desk.see("compose-checked")).to_contain_text("can be carried out")
    desk.see("compose-need-what").select_option("buses")
    desk.see("compose-add-need").click()
    desk.see("compose-need-count").fill("3")
    desk.see("compose-add-effect").click()
    desk.see("compose-target").select_option("Riverside")
    desk.see("compose-amount").fill("7")
    expect(desk.see("compose-action")).to_contain_text("wanted a share")
    desk.see("compose-amount").fill("0.4")
    desk.see("compose-add-effect").click()
    desk.see("compose-verb").nth(1).select_option("protect_asset")
    desk.see("compose-target").nth(1).fill("substations:north")
    desk.see("compose-add-level").click()
    expect(desk.see("compose-plan-level").locator("select").last).to_have_value(
        "commander"
    )  # who agrees to the plan, until it is changed
    desk.see("compose-enter").fill("frogs > 3")
    expect(desk.see("compose-plan-level")).to_contain_text("no fact 'frogs'")
    desk.see("compose-enter").fill("level_m@river >= 3 m")
    desk.see("compose-level").select_option("I")
    desk.see("compose-level-name").fill("high water")
    desk.see("compose-level-name").blur()
    desk.see("compose-new-resource").fill("boats")
    desk.page.get_by_role("button", name="+ resource").click()
    expect(desk.see("compose-save")).to_be_enabled()
    desk.see("compose-save").click()
    expect(desk.see("compose-saved")).to_contain_text("Our own")
    (sent,) = [body["plan"] for body in desk.sent("POST", "/plans")]
    (action,) = sent["actions"]
    assert (action["name"], action["role"], action["level"], action["needs"]) == (
        "clear the quay",
        "fire",
        "high water",
        {"buses": 3},
    )
    assert action["duration"] == {"low_min": 10, "usual_min": 30, "high_min": 60, "shape": "triangle", "source": ""}
    assert [(e["verb"], e["target"], e["amount"]) for e in action["effects"]] == [
        ("move_population", "Riverside", 0.4),
        ("protect_asset", "substations:north", 1),
    ]
    assert [(level["name"], level["enter"]) for level in sent["levels"]] == [("high water", "level_m@river >= 3 m")]
    assert sent["resources"]["boats"] == 1
    quiet(desk)


def test_what_was_composed_is_undone_and_done_again_step_by_step(desk: Desk) -> None:
    desk.sign_in("#/compose")
    expect(desk.see("compose-undo")).to_be_disabled()
    desk.see("compose-name").fill("our own")
    desk.page.get_by_role("button", name="Add: evacuate_ferry_quay").click()
    expect(desk.see("compose-checked")).to_contain_text("can be carried out")
    desk.see("compose-more").locator("summary").click()
    usual = desk.see("compose-usual").input_value()
    desk.see("compose-usual").fill(str(float(usual) + 1))
    desk.page.wait_for_timeout(600)
    desk.page.get_by_role("button", name="Take out: evacuate_ferry_quay").click()
    expect(desk.see("compose-action")).to_have_count(0)
    desk.see("compose-undo").click()
    expect(desk.see("compose-action")).to_have_count(1)
    if not desk.see("compose-usual").is_visible():
        desk.see("compose-more").locator("summary").click()
    expect(desk.see("compose-usual")).to_have_value(f"{float(usual) + 1:g}")
    desk.see("compose-undo").click()
    expect(desk.see("compose-usual")).to_have_value(usual)
    desk.see("compose-redo").click()
    expect(desk.see("compose-usual")).to_have_value(f"{float(usual) + 1:g}")
    quiet(desk)
