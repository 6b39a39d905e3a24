"""The console in a real browser, against a mock of the platform: what a person sees, and what it sends when a person acts."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import mock_server as mock
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from conftest import missing
from tocsin.interfaces.pictures import CHANCE_CLASSES, DEPTH_CLASSES
from tocsin.security.gate import ACTS, NOT_PEOPLE, ROLES

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=20_000)

pytestmark = pytest.mark.chromium

# Nothing of Chromium's own may call home, and no name but this machine's can be reached.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
SCREEN = {"width": 1366, "height": 768}
PLAN = "barrier_then_evacuate"


def one_order() -> list[dict[str, Any]]:
    """What the mock sends out for a plan of one action."""
    sample = mock.Mock()
    sample.decide({"password": mock.PASSWORD, "plan": "warn_only", "verdict": "approve", "comment": ""})
    return sample.orders


@pytest.fixture(scope="module")
def launch(chromium: str) -> Iterator[Callable[..., Any]]:
    """Starts Debian's Chromium; needs a console that has been built."""
    if not (mock.CONSOLE / "index.html").is_file():
        missing(f"the built console in {mock.CONSOLE}")
    with playwright.sync_playwright() as play:
        yield lambda *more: play.chromium.launch(executable_path=chromium, args=[*ARGUMENTS, *more])


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Any]) -> Iterator[Any]:
    """A browser that draws maps, in software: a frame or two a second."""
    running = launch("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
    yield running
    running.close()


@pytest.fixture(scope="module")
def browser_without_webgl(launch: Callable[..., Any]) -> Iterator[Any]:
    """A browser that cannot draw the map, as an old machine: all else must work, and tests that need no map are quick here."""
    running = launch("--disable-3d-apis")
    yield running
    running.close()


class Desk:
    """One operator's place: a page, the mock behind it, and all that the page asked for and complained about."""

    def __init__(self, browser: Any) -> None:
        self.mock = mock.Mock()
        self.server = mock.Running(self.mock)
        self.context = browser.new_context(viewport=SCREEN, timezone_id="Europe/Vienna")
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.asked_for: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda fault: self.complaints.append(str(fault)))
        self.context.on("request", lambda request: self.asked_for.append(request.url))

    def see(self, name: str) -> Any:
        return self.page.get_by_test_id(name)

    def open(self, hash_: str = "") -> None:
        self.page.goto(self.server.url + hash_)

    def sign_in(self, hash_: str = "", *, password: str = mock.PASSWORD) -> None:
        self.open(hash_)
        self.see("sign-in-name").fill(mock.NAME)
        self.see("sign-in-password").fill(password)
        self.see("sign-in-submit").click()

    def show(self, hash_: str) -> None:
        """Go to a view as a typed address would, without loading the page again."""
        self.page.evaluate("hash => { location.hash = hash }", hash_)

    def wait_for_map(self) -> None:
        self.page.locator("[data-testid=map][data-ready=true]").wait_for()

    def sent(self, method: str, path: str) -> list[Any]:
        """Bodies of what was sent to a path so far."""
        return [body for m, p, body in self.mock.requests if m == method and p == f"/api/v1{path}"]

    def expect_overlay(self, end: str) -> None:
        """The picture that is laid on the map has an address that ends so."""
        expect(self.see("map")).to_have_attribute("data-overlay", re.compile(re.escape(end) + "$"))

    def map_picture(self) -> NDArray[np.int_]:
        """The map's pixels, RGB."""
        return np.asarray(Image.open(io.BytesIO(self.see("map").screenshot())).convert("RGB"), int)

    def leave(self) -> None:
        self.context.close()
        self.server.stop()


@pytest.fixture(scope="module")
def shared(browser: Any) -> Iterator[Desk]:
    """A signed-in desk for tests that only look."""
    desk = Desk(browser)
    desk.sign_in()
    desk.wait_for_map()
    yield desk
    desk.leave()


@pytest.fixture
def looking(shared: Desk) -> Desk:
    """The shared desk, back at the situation."""
    shared.show("#/")
    expect(shared.see("screen")).to_have_attribute("data-page", "situation")
    shared.see("tab-risk").click()
    return shared


@pytest.fixture
def desk(browser_without_webgl: Any) -> Iterator[Desk]:
    """A desk of one's own, for tests that change something."""
    own = Desk(browser_without_webgl)
    yield own
    own.leave()


# --- who may look ---------------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_refused_in_words_and_the_right_one_opens_the_situation(desk: Desk) -> None:
    desk.sign_in(password="wrong")
    expect(desk.see("sign-in-refused")).to_have_text("name or password is wrong")
    expect(desk.see("sign-in-password")).to_have_value("")
    desk.see("sign-in-password").fill(mock.PASSWORD)
    desk.see("sign-in-submit").click()
    expect(desk.see("who")).to_contain_text(mock.NAME)
    expect(desk.see("who")).to_contain_text("commander")
    desk.see("sign-out").click()
    expect(desk.see("sign-in")).to_be_visible()
    assert not desk.see("warnings").is_visible()


def test_nothing_of_the_situation_is_asked_for_before_sign_in(desk: Desk) -> None:
    desk.open()
    expect(desk.see("sign-in")).to_be_visible()
    asked = {url.removeprefix(desk.server.url) for url in desk.asked_for}
    assert {url for url in asked if url.startswith("api/")} == {"api/v1/status"}


def test_a_session_that_ends_leads_back_to_sign_in_and_says_so(desk: Desk) -> None:
    desk.sign_in()
    expect(desk.see("warning").first).to_be_visible()
    desk.context.clear_cookies()
    desk.mock.raise_warning()
    expect(desk.see("sign-in")).to_contain_text("Your session has ended")


def test_made_up_and_exercise_are_said_before_and_after_sign_in(desk: Desk) -> None:
    desk.open()
    for words in ("MADE UP", "EXERCISE", "do not exist"):
        expect(desk.see("banner-purpose")).to_contain_text(words)
    assert "MADE UP" in desk.page.title()
    desk.sign_in()
    expect(desk.see("who")).to_be_visible()
    expect(desk.see("banner-purpose")).to_contain_text("MADE UP")


@pytest.mark.parametrize("role", [role for role in ROLES if role not in NOT_PEOPLE])
def test_a_role_is_offered_what_the_gate_permits_and_nothing_else(desk: Desk, role: str) -> None:
    permitted = {act.name for act in ACTS if role in act.roles}
    desk.mock.orders = one_order()
    desk.mock.roles = [role]
    desk.sign_in(f"#/plan/{mock.COMPARISON}/{PLAN}")
    expect(desk.see("plan-detail")).to_be_visible()
    expect(desk.see("approve")).to_have_count(int("write decision" in permitted))
    expect(desk.see("ledger-chip")).to_have_count(int("read ledger" in permitted))
    desk.see("tab-orders").click()
    expect(desk.see("order")).to_have_count(1)
    expect(desk.see("report-done")).to_have_count(int("write report" in permitted))
    desk.see("tab-log").click()
    expect(desk.see("log-filter")).to_be_visible()
    expect(desk.see("log-line")).to_have_count(int("write note" in permitted))
    assert any(p.startswith("/api/v1/records") for _, p, _ in desk.mock.requests) == ("read ledger" in permitted)


def test_a_view_can_be_opened_by_its_address_with_the_map_as_it_was(desk: Desk) -> None:
    desk.sign_in(f"#/gauge/level-quay?forecast={mock.EARLIER}&view=q95&frame=6")
    expect(desk.see("gauge-detail")).to_contain_text("Ferry Quay")
    desk.expect_overlay(f"/forecasts/{mock.EARLIER}/depth.png?view=q95&frame=6")
    expect(desk.see("time-shown")).to_contain_text("+03:00")


# --- the situation ----------------------------------------------------------------------------------------------------------------


def test_the_worst_warning_stands_first_with_its_sentence_and_its_level_as_a_word(looking: Desk) -> None:
    first = looking.see("warning").first
    expect(first).to_contain_text(mock.RED)
    expect(first.get_by_test_id("level-red")).to_have_text("red")
    expect(first).to_contain_text("Ferry Quay")
    expect(first).to_contain_text("6 min ago")
    assert looking.see("warning").count() == 3
    assert looking.page.title().startswith("RED (3)")


def test_a_reading_that_failed_its_check_is_struck_out_and_says_why(looking: Desk) -> None:
    weir = looking.see("gauge-level-weir")
    expect(weir.get_by_test_id("flag-fail")).to_contain_text("fail: 9.99 m is outside 0 to 8 m (gross range)")
    assert weir.locator(".value").evaluate("e => getComputedStyle(e).textDecorationLine") == "line-through"
    quay = looking.see("gauge-level-quay")
    assert quay.locator(".value").evaluate("e => getComputedStyle(e).textDecorationLine") == "none"
    expect(quay.get_by_test_id("flag-good")).to_be_visible()
    expect(quay).to_contain_text("+0.42/h")


def test_a_gauge_that_fell_silent_is_shown_as_blind(looking: Desk) -> None:
    silent = looking.see("gauge-level-end")
    expect(silent.get_by_test_id("level-blind")).to_have_text("blind")
    expect(silent).to_contain_text("no reading")
    expect(silent.get_by_test_id("flag-missing")).to_contain_text("no reading for 4 h 00")


def test_a_gauge_opens_with_its_chart_and_the_back_button_closes_it(looking: Desk) -> None:
    looking.see("gauge-level-weir").click()
    expect(looking.page).to_have_url(re.compile(r"#/gauge/level-weir"))
    expect(looking.see("readings").locator("tbody tr").first).to_contain_text("9.99")
    expect(looking.see("readings").locator("tbody tr").first).to_contain_text("fail")
    expect(looking.see("chart")).to_have_attribute("aria-label", "Weir: 9.99 m, blue")
    drawn = np.asarray(Image.open(io.BytesIO(looking.see("chart").screenshot())).convert("RGB"), int)
    yellow = (drawn[..., :2].min(axis=2) > drawn[..., 2] + 40).sum(axis=1)
    assert yellow.max() > 0.4 * drawn.shape[1], "the yellow limit is not drawn across the chart"
    looking.see("hours-6").click()
    expect(looking.see("readings").locator("tbody tr")).to_have_count(12)
    assert any("gauges/level-weir?hours=6" in p for _, p, _ in looking.mock.requests)
    looking.page.go_back()
    expect(looking.see("drawer")).to_have_count(0)


def test_a_warning_opens_with_its_alert_and_its_cause(looking: Desk) -> None:
    looking.see("warning").first.locator("a").first.click()
    detail = looking.see("warning-detail")
    expect(detail).to_contain_text("red, was orange")
    expect(detail).to_contain_text("Flood warning for Ferry Quay (made up)")
    assert looking.see("alert-xml").get_attribute("href").endswith(f"/api/v1/alerts/{mock.WARNINGS[0]['alert']}.xml")
    expect(detail.get_by_test_id("chain-evidence")).to_contain_text("12 readings of river level at Ferry Quay")


def test_a_commander_releases_a_message_in_two_steps_and_can_go_back(desk: Desk) -> None:
    desk.sign_in()
    desk.see("warning").first.locator("a").first.click()
    desk.see("release").click()
    expect(desk.see("warning-detail")).to_contain_text("Let this message go out to the public as Exercise?")
    desk.page.get_by_role("button", name="Back").click()
    assert desk.sent("POST", f"/alerts/{mock.ALERTS[0]['id']}/release") == []
    desk.see("release").click()
    desk.see("release-yes").click()
    expect(desk.see("alert-released")).to_contain_text("released as Exercise")
    assert desk.sent("POST", f"/alerts/{mock.ALERTS[0]['id']}/release") == [{}]


# --- the map and the forecast -----------------------------------------------------------------------------------------------------


def test_the_time_slider_changes_the_picture_and_the_address(looking: Desk) -> None:
    looking.expect_overlay(f"{mock.FORECAST}/depth.png?view=q50&frame=peak")
    looking.see("time-slider").fill("4")
    expect(looking.see("time-shown")).to_contain_text("+02:00 15:56 UTC")
    expect(looking.see("time-shown")).to_contain_text("17:56 local")
    looking.expect_overlay("view=q50&frame=4")
    expect(looking.page).to_have_url(re.compile(r"frame=4"))
    looking.page.wait_for_function(
        "() => performance.getEntriesByType('resource').some(e => e.name.endsWith('view=q50&frame=4'))"
    )
    looking.page.keyboard.press("Escape")
    looking.page.locator("body").click(position={"x": 5, "y": 5})
    looking.page.keyboard.press("ArrowRight")
    expect(looking.see("time-shown")).to_contain_text("+02:30")
    looking.see("peak").click()
    looking.expect_overlay("frame=peak")


def test_play_steps_through_the_moments_until_it_is_stopped(looking: Desk) -> None:
    looking.see("play").click()
    expect(looking.see("time-shown")).to_contain_text("+00:30")
    looking.see("play").click()
    expect(looking.see("play")).to_contain_text("Play")
    looking.see("peak").click()


def test_quantiles_chance_and_single_futures_can_be_chosen(looking: Desk) -> None:
    for name, wanted in (("q05", "q05"), ("q95", "q95"), ("chance", "chance"), ("member", "member:0")):
        looking.see(f"view-{name}").click()
        looking.expect_overlay(f"view={wanted}&frame=peak")
        expect(looking.see(f"view-{name}")).to_have_attribute("aria-pressed", "true")
    looking.see("member-after").click()
    expect(looking.see("member")).to_have_text(f"2 / {mock.MEMBERS}")
    looking.expect_overlay("view=member:1&frame=peak")
    looking.see("member-before").click()
    looking.see("member-before").click()
    expect(looking.see("member")).to_have_text(f"{mock.MEMBERS} / {mock.MEMBERS}")
    looking.see("view-q50").click()


def test_water_and_chance_are_really_painted_on_the_map(looking: Desk) -> None:
    def share(picture: NDArray[np.int_], colour: Callable[[Any, Any, Any], Any]) -> float:
        return float(colour(picture[..., 0], picture[..., 1], picture[..., 2]).mean())

    def blue(r: Any, g: Any, b: Any) -> Any:
        return (b > 120) & (b > r + 60)

    def hot(r: Any, g: Any, b: Any) -> Any:
        return (r > 150) & (r > b + 60)

    looking.see("view-q95").click()
    looking.page.wait_for_timeout(1_500)  # software WebGL draws a frame or two a second
    deep = looking.map_picture()
    looking.see("view-chance").click()
    looking.page.wait_for_timeout(1_500)
    likely = looking.map_picture()
    looking.see("view-q50").click()
    assert share(deep, blue) > 0.1 > 2 * share(likely, blue)
    assert share(likely, hot) > 0.08 > 2 * share(deep, hot)


def test_the_legend_has_the_colours_that_the_server_paints(looking: Desk) -> None:
    def seen() -> list[tuple[int, ...]]:
        colours = looking.see("swatch").evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")
        return [tuple(int(n) for n in re.findall(r"\d+", colour)[:3]) for colour in colours]

    assert seen() == [colour[:3] for _, colour in DEPTH_CLASSES]
    assert re.findall(r"> ([\d.]+) m", looking.see("legend").inner_text()) == [f"{low:g}" for low, _ in DEPTH_CLASSES]
    looking.see("view-chance").click()
    expect(looking.see("legend")).to_contain_text("Chance of more than 0.3 m")
    assert seen() == [colour[:3] for _, colour in CHANCE_CLASSES]
    assert re.findall(r"> (\d+) %", looking.see("legend").inner_text()) == [f"{low * 100:g}" for low, _ in CHANCE_CLASSES]
    looking.see("view-q50").click()


def test_a_gauge_that_went_blind_at_red_stays_red_and_says_that_it_is_blind(desk: Desk) -> None:
    drowned = next(g for g in desk.mock.gauges if g["site"] == "level-quay")
    drowned |= {"blind": True, "last_level": 4, "level": 4}
    desk.sign_in()
    gauge = desk.see("gauge-level-quay")
    expect(gauge.get_by_test_id("level-red")).to_contain_text("red")
    expect(gauge.get_by_test_id("level-is-blind")).to_have_text("blind")
    assert desk.see("gauges").locator("li").first.inner_text().startswith("RED")
    expect(desk.see("warning").filter(has_text="Ferry Quay").first.get_by_test_id("level-is-blind")).to_be_visible()
    expect(desk.see("gauge-level-mill").get_by_test_id("level-is-blind")).to_have_count(0)
    assert desk.complaints == []


def test_a_click_on_the_map_tells_what_may_happen_there(looking: Desk) -> None:
    box = looking.see("map").bounding_box()
    looking.page.mouse.click(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.5)
    card = looking.see("here")
    expect(card).to_contain_text(re.compile(r"Water depth\s*\d+\.\d\d m \(\d+\.\d\d to \d+\.\d\d\)"))
    expect(card).to_contain_text(re.compile(r"Chance of > 0\.3 m\s*\d+ %"))
    expect(card).to_contain_text(re.compile(r"People in this cell\s*11"))
    asked = next(p for _, p, _ in reversed(looking.mock.requests) if "/at?" in p)
    lon, lat = (float(n) for n in re.findall(r"l[oa][nt]=([-\d.]+)", asked))
    west, south, east, north = mock.bounds_lonlat()
    assert west < lon < east
    assert south < lat < north
    card.get_by_label("Close").click()
    expect(card).to_have_count(0)


def test_a_click_on_a_gauge_on_the_map_opens_it(looking: Desk) -> None:
    box = looking.see("map").bounding_box()
    red = abs(looking.map_picture() - [255, 95, 95]).sum(axis=2) < 12  # the red octagon; roads that are cut have another red
    rows, cols = np.nonzero(red[60:-120, 20:-60])
    looking.page.mouse.click(box["x"] + 20 + float(np.median(cols)), box["y"] + 60 + float(np.median(rows)))
    expect(looking.see("gauge-detail")).to_contain_text("Ferry Quay")
    expect(looking.see("gauge-level-quay")).to_have_attribute("aria-current", "true")


def test_people_at_risk_are_told_low_middle_and_high_and_zone_by_zone(looking: Desk) -> None:
    row = looking.see("impact-people_exposed")
    expect(row).to_contain_text("1,240")
    expect(row).to_contain_text("310 to 2,870")
    assert looking.see("impact-hospitals_lost").is_hidden()
    looking.see("more-figures").locator("summary").click()
    expect(looking.see("impact-hospitals_lost")).to_contain_text(re.compile(r"<1\s*hospitals"))
    looking.see("zones").locator("summary").click()
    first = looking.see("zones").locator("tbody tr").first
    for words in ("Ferry Quay", "690", "190 to 1,310", "100 %", "14:32"):
        expect(first).to_contain_text(words)
    looking.see("about-forecast").locator("summary").click()
    expect(looking.see("about-forecast")).to_contain_text("Local inertia: too slow where a front runs faster")


def test_what_came_stands_beside_what_the_forecast_expected(looking: Desk) -> None:
    line = looking.see("verification")
    expect(line).to_contain_text("Expected and came")
    expect(line).to_contain_text("readings leave 31 of 50 futures; quay: expected 2.1 to 3 m, came 2.7 m")
    expect(line).to_contain_text("look which of the two is wrong")


def test_the_path_of_the_risk_is_told_with_what_would_help_and_what_is_assumed(looking: Desk) -> None:
    looking.see("chains").locator("summary").first.click()
    way = looking.see("chain-ways").locator("li").first
    for words in ("20 %", "11 % to 32 %", "Quay Substation", "at 2.2 h", "Mill Pump", "Mill Underpass", "South Clinic", "+3.5 h"):
        expect(way).to_contain_text(words)
    expect(way).to_contain_text("assumed link")
    expect(looking.see("chain-people_without_power")).to_contain_text("1,286")
    expect(looking.see("chains")).not_to_contain_text("person hours")
    expect(looking.see("chain-breaks")).to_contain_text(
        "substations:quay 5,680 fewer losses of a service by persons (3,750 to 7,609)"
    )
    looking.see("chain-assumed").locator("summary").click()
    expect(looking.see("chain-assumed")).to_contain_text("5 of 14 links")
    expect(looking.see("chain-assumed")).to_contain_text("nearest water works")


def test_where_the_data_come_from_is_said_on_the_map(looking: Desk) -> None:
    expect(looking.see("map")).to_contain_text("© OpenStreetMap contributors (ODbL)")


def test_an_earlier_forecast_can_be_looked_at(looking: Desk) -> None:
    looking.see("forecast-choice").select_option(mock.EARLIER)
    looking.expect_overlay(f"/{mock.EARLIER}/depth.png?view=q50&frame=peak")
    expect(looking.see("plans")).to_contain_text("No plans compared yet")
    looking.see("forecast-choice").select_option(mock.FORECAST)
    expect(looking.see("recommended")).to_be_visible()


def test_without_webgl_the_console_says_so_and_goes_on(desk: Desk) -> None:
    desk.sign_in()
    expect(desk.see("map")).to_contain_text("The map cannot be drawn on this machine")
    expect(desk.see("warning").first).to_contain_text(mock.RED)
    desk.see("time-slider").fill("4")
    expect(desk.see("time-shown")).to_contain_text("+02:00")


# --- the plans --------------------------------------------------------------------------------------------------------------------


def test_plans_stand_in_their_rank_with_reason_and_doubt(looking: Desk) -> None:
    expect(looking.see("comparison-reason")).to_contain_text("140 persons fewer in dangerous water than the runner-up")
    expect(looking.see("comparison-doubt")).to_contain_text("In 4 of 20 futures")
    names = looking.see("plans").locator("ol a b:first-of-type").all_inner_texts()
    assert [n for n in names if n[0].isalpha()][:2] == ["Barrier then evacuate", "Evacuate only"]
    best = looking.see(f"plan-{PLAN}")
    for words in (
        "Recommended",
        "Least harm in 14 of 20 futures",
        "213",
        "0 to 610",
        "31,500 EUR",
        "Fails in 5 %",
        "Best in 70 %",
    ):
        expect(best).to_contain_text(re.compile(re.escape(words).replace(r"\ ", r"\s")))
    expect(looking.see("plan-evacuate_only")).to_contain_text("Runner-up")


def test_what_would_flip_the_choice_and_what_to_ask_for_first_stand_above_the_plans(looking: Desk) -> None:
    expect(looking.see("choice-margin")).to_contain_text("Evacuate only, +140 on average (90 % sure: +62 to +231)")
    flips = looking.see("choice-flips")
    expect(flips).to_contain_text("If the level of river at its peak comes out above 4.1 m, 'evacuate_only' is better")
    expect(flips).not_to_contain_text("It spends or loses")  # a price is no flip
    expect(looking.see("choice-asks")).to_contain_text("Ask for the level of river at its peak: worth 42 persons")
    expect(looking.see("choice-equity")).to_contain_text("Ferry Quay bears most: 59 people in danger of 1,000")
    assert looking.see("choice").bounding_box()["y"] < looking.see(f"plan-{PLAN}").bounding_box()["y"]


def test_a_plan_that_breaks_a_limit_is_marked_in_red_with_the_limit_and_the_chance(looking: Desk) -> None:
    expect(looking.see("plan-barrier_only")).to_contain_text("✗ Breaks a limit: 30 % (people in danger in Ferry Quay <= 0)")
    expect(looking.see(f"plan-{PLAN}")).to_contain_text("? Limit not sure: up to 13 %")
    colour = looking.see("plan-barrier_only").locator(".bad").first.evaluate("node => getComputedStyle(node).color")
    assert colour == "rgb(255, 95, 95)"
    expect(looking.see("plan-wait")).to_contain_text("✓ Hard limits kept")


def test_who_bears_it_and_which_weighting_wins_stand_side_by_side(looking: Desk) -> None:
    looking.see("side-by-side").click()
    table = looking.see("comparison-table")
    cells = table.locator("tr", has_text="Ferry Quay, of 1,000").locator("td").all_inner_texts()
    assert cells[:2] == ["59 (96)", "128 (208)"]
    expect(
        table.locator("tr", has_text="In hospitals, of 1,000").or_(table.locator("tr", has_text="in hospitals, of 1,000"))
    ).to_have_count(1)
    expect(table.locator("tr", has_text="No better than").locator("td").last).to_contain_text(
        "Warn only (better in people in danger"
    )
    detail = looking.page.get_by_test_id("choice-weightings")
    expect(detail).to_contain_text("Barrier then evacuate: life first, worst tenth only; Wait: cost; Barrier only: all alike")
    expect(looking.page.get_by_test_id("choice-remarks")).to_contain_text("low income")


def test_a_comparison_from_before_the_choice_was_told_is_shown_without_it(desk: Desk) -> None:
    desk.mock.comparison["choice"] = None
    for score in desk.mock.comparison["scores"]:
        score |= {"limits": [], "zones": [], "groups": [], "gini": None, "dominated_by": {}, "futures": 0}
    desk.sign_in()
    expect(desk.see("comparison-reason")).to_be_visible()
    assert desk.page.get_by_test_id("choice").count() == 0
    desk.see("side-by-side").click()
    expect(desk.see("comparison-table").locator("thead th")).to_have_count(5)


def test_plans_can_be_read_side_by_side_down_to_each_future(looking: Desk) -> None:
    looking.see("side-by-side").click()
    table = looking.see("comparison-table")
    expect(table.locator("thead th")).to_have_count(5)
    cells = table.locator("tr", has_text="Worst tenth (CVaR)").locator("td").all_inner_texts()
    assert cells == ["780", "960", "2,480", "2,560", "3,010"]
    assert table.locator("svg").first.locator("circle").count() == mock.MEMBERS


def test_a_plan_shows_its_actions_in_the_order_in_which_they_can_start(looking: Desk) -> None:
    looking.see(f"plan-{PLAN}").click()
    rows = looking.see("actions").locator("tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.last).to_contain_text("Evacuate Ferry Quay to South Arena")
    expect(rows.last).to_contain_text("12 buses, 4 crews")
    expect(rows.last).to_contain_text("60 · 95 · 180")
    expect(rows.last).to_contain_text("Warn, Open shelters")


def test_approving_needs_confirmation_and_signs_the_digest_that_was_shown(desk: Desk) -> None:
    desk.sign_in(f"#/plan/{mock.COMPARISON}/{PLAN}")
    desk.see("approve").click()
    digest = mock.PLANS[0].digest()
    expect(desk.see("decide")).to_contain_text("Approve “Barrier then evacuate”")
    expect(desk.see("decide-digest")).to_have_text(digest[:12])
    desk.see("decide-password").fill("wrong")
    expect(desk.see("decide-sign")).to_be_disabled()
    desk.see("decide-sure").check()
    desk.see("decide-sign").click()
    expect(desk.see("decide-refused")).to_have_text("the password is wrong; nothing was signed")
    expect(desk.see("decide-password")).to_have_value("")
    assert desk.mock.orders == []

    desk.see("decide-comment").fill("Crews are at the quay.")
    desk.see("decide-password").fill(mock.PASSWORD)
    desk.see("decide-sign").click()
    expect(desk.see("order")).to_have_count(5)
    assert desk.sent("POST", "/decisions")[-1] == {
        "comparison": mock.COMPARISON,
        "plan": PLAN,
        "plan_digest": digest,
        "verdict": "approve",
        "comment": "Crews are at the quay.",
        "password": mock.PASSWORD,
    }
    expect(desk.page).to_have_url(re.compile("#/orders"))
    desk.see("tab-risk").click()
    expect(desk.see("decided").first).to_contain_text("Approved: Barrier then evacuate, by operator")
    expect(desk.see("decided").first).to_contain_text("signature holds")
    desk.see(f"plan-{PLAN}").click()
    expect(desk.see("plan-detail")).to_be_visible()
    assert desk.see("approve").count() == 0, "a decided comparison is offered again"


def test_rejecting_sends_no_order(desk: Desk) -> None:
    desk.sign_in(f"#/plan/{mock.COMPARISON}/{PLAN}")
    desk.see("reject").click()
    desk.see("decide-comment").fill("Barrier crew is not available.")
    desk.see("decide-password").fill(mock.PASSWORD)
    desk.see("decide-sure").check()
    desk.see("decide-sign").click()
    expect(desk.see("decided").first).to_contain_text("Rejected: Barrier then evacuate, by operator")
    assert [b["verdict"] for b in desk.sent("POST", "/decisions")] == ["reject"]
    assert desk.mock.orders == []


# --- the orders -------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_orders(desk: Desk) -> Desk:
    desk.mock.decide({"password": mock.PASSWORD, "plan": PLAN, "verdict": "approve", "comment": ""})
    desk.sign_in("#/orders")
    expect(desk.see("order")).to_have_count(5)
    return desk


def test_an_overdue_order_stands_first_and_says_so(with_orders: Desk) -> None:
    first = with_orders.see("order").first
    expect(first).to_contain_text("Warn Ferry Quay and Riverside")
    expect(first.get_by_test_id("overdue")).to_contain_text("OVERDUE 5 min")
    expect(with_orders.see("tab-orders")).to_contain_text("1 OVERDUE")


def test_a_report_can_be_taken_back_before_it_is_sent(with_orders: Desk) -> None:
    first = with_orders.see("order").first
    first.get_by_test_id("report-done").click()
    expect(first.get_by_test_id("pending-report")).to_contain_text("“done” will be sent in")
    with_orders.see("tab-log").click()
    with_orders.see("tab-orders").click()
    first.get_by_test_id("undo").click()
    expect(first.get_by_test_id("report-done")).to_be_visible()
    first.get_by_test_id("report-acknowledged").click()
    expect(first.get_by_test_id("order-state")).to_contain_text("acknowledged")
    order = with_orders.mock.orders[0]["id"]
    assert with_orders.sent("POST", f"/orders/{order}/reports") == [{"state": "acknowledged", "text": ""}]


def test_a_failed_order_needs_a_reason(with_orders: Desk) -> None:
    first = with_orders.see("order").first
    first.get_by_test_id("report-failed").click()
    first.get_by_test_id("report-send").click()
    expect(first.get_by_test_id("pending-report")).to_have_count(0)
    first.get_by_test_id("report-why").fill("Siren 3 is dead.")
    first.get_by_test_id("report-why").press("Enter")
    first.get_by_test_id("send-now").click()
    expect(first.get_by_test_id("order-state").last).to_be_visible()
    expect(with_orders.see("order").filter(has_text="Warn Ferry Quay")).to_contain_text("failed")
    order = with_orders.mock.orders[0]["id"]
    assert with_orders.sent("POST", f"/orders/{order}/reports") == [{"state": "failed", "text": "Siren 3 is dead."}]


def test_from_an_order_one_walks_back_to_the_readings(with_orders: Desk) -> None:
    with_orders.see("order-cause").first.click()
    chain = with_orders.see("chain")
    expect(chain.locator("li")).to_have_count(6)
    kinds = [e.get_attribute("data-testid") for e in chain.locator("li").all()]
    assert kinds == ["chain-order", "chain-decision", "chain-comparison", "chain-forecast", "chain-warning", "chain-evidence"]
    expect(chain.get_by_test_id("chain-decision")).to_contain_text("because of comparison 13:58")
    expect(chain.get_by_test_id("chain-evidence")).to_contain_text("12 readings of river level")
    chain.get_by_test_id("chain-warning").locator("a").first.click()
    expect(with_orders.page).to_have_url(re.compile(f"#/record/{mock.WARNINGS[0]['id']}"))
    expect(chain.locator("li")).to_have_count(2)


# --- the record -------------------------------------------------------------------------------------------------------------------


def test_each_source_is_shown_with_its_age_rate_and_quality_and_a_silent_one_first(desk: Desk) -> None:
    desk.sign_in()
    desk.see("open-sources").click()
    rows = desk.see("sources-detail").locator("tbody tr")
    expect(rows.first).to_contain_text("East Bridge")
    expect(rows.first).to_contain_text("blind: its rule sees nothing")
    expect(rows.first).to_contain_text("gap")
    expect(desk.see("source-level-quay")).to_contain_text("3.42")
    expect(desk.see("source-level-quay")).to_contain_text("12.0/h")
    expect(desk.see("source-level-quay")).to_contain_text("suspect 4 %")
    expect(desk.see("source-level-quay")).to_contain_text("ahead")
    expect(desk.see("source-level-quay")).to_contain_text("3 known already")
    expect(desk.see("sources-in-need")).to_contain_text("1 of 2 sources need a look")
    expect(desk.see("sources-dropped")).to_contain_text("3 known already, 1 of the future")
    expect(desk.see("collectors")).to_contain_text("3 no number: value = 'n/a'")
    expect(desk.see("sources-refused")).to_contain_text("pump-house: 7 unit")
    assert desk.page.url.endswith("#/sources")


def test_the_ledger_is_verified_on_request(desk: Desk) -> None:
    desk.sign_in("#/ledger")
    expect(desk.see("proof")).to_contain_text("not checked yet")
    desk.see("verify").click()
    expect(desk.see("verify-answer")).to_contain_text("8 entries: every entry, link and signature holds")
    expect(desk.see("ledger-chip")).to_contain_text("verified")


def test_a_line_in_the_log_is_written_and_found_again(desk: Desk) -> None:
    desk.sign_in("#/log")
    expect(desk.see("log-rows").locator("li").first).to_contain_text("Comparison")
    desk.see("log-line").fill("Mayor informed by telephone")
    desk.see("log-line").press("Enter")
    expect(desk.see("log-rows").locator("li").first).to_contain_text("Mayor informed by telephone")
    assert desk.sent("POST", "/notes") == [{"subject": "log", "text": "Mayor informed by telephone"}]
    desk.see("log-filter").fill("mayor")
    expect(desk.see("log-rows").locator("li")).to_have_count(1)


# --- live -------------------------------------------------------------------------------------------------------------------------


def test_a_new_warning_appears_by_itself_and_is_announced(desk: Desk) -> None:
    desk.sign_in()
    expect(desk.see("warning")).to_have_count(3)
    desk.mock.raise_warning()
    expect(desk.see("warning")).to_have_count(4)
    expect(desk.see("announcement")).to_have_text("New warning, orange, Weir: The river at Weir rises 0.9 m in an hour.")
    expect(desk.page).to_have_title(re.compile(r"RED \(4\)"))


def test_a_running_simulation_shows_how_far_it_is(desk: Desk) -> None:
    desk.sign_in()
    expect(desk.see("warning").first).to_be_visible()
    desk.mock.tell_progress(7, 20)
    expect(desk.see("progress")).to_contain_text("7 / 20")
    assert desk.see("progress").locator("progress").get_attribute("value") == "7"
    desk.mock.tell_progress(20, 20)
    expect(desk.see("progress")).to_have_count(0)


def test_lost_contact_is_said_with_its_time_and_heals_by_itself(with_orders: Desk) -> None:
    desk = with_orders
    expect(desk.see("contact")).to_contain_text("Live")
    desk.server.stop()
    expect(desk.see("banner-lost")).to_contain_text(
        re.compile(r"No contact since 14:0\d:\d\d UTC \(16:0\d:\d\d local\); showing what was known then")
    )
    expect(desk.page).to_have_title(re.compile("^NO CONTACT"))
    expect(desk.see("warning").first).to_contain_text(mock.RED)
    expect(desk.see("report-done").first).to_be_disabled()
    desk.mock.raise_warning()
    desk.server.start()
    expect(desk.see("banner-lost")).to_have_count(0)
    expect(desk.see("warning")).to_have_count(4)
    expect(desk.see("report-done").first).to_be_enabled()


# --- for everybody ----------------------------------------------------------------------------------------------------------------


def test_a_plan_can_be_approved_with_the_keyboard_alone(desk: Desk) -> None:
    page = desk.page
    desk.open()
    expect(desk.see("sign-in-name")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type(mock.NAME)
    page.keyboard.press("Tab")
    page.keyboard.type(mock.PASSWORD)
    page.keyboard.press("Enter")
    expect(desk.see("recommended")).to_be_visible()

    def tab_to(name: str) -> None:
        """Press Tab until the element has the focus, which must be visible there."""
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement?.dataset?.testid") == name:
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", f"{name} shows no focus"
                return
        pytest.fail(f"Tab never reaches {name}")

    page.keyboard.press("p")
    page.wait_for_function("() => document.activeElement?.id === 'right'")
    tab_to(f"plan-{PLAN}")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement?.id === 'drawer-title'")
    tab_to("approve")
    page.keyboard.press("Enter")
    expect(desk.see("decide")).to_be_visible()
    tab_to("decide-password")
    page.keyboard.type(mock.PASSWORD)
    tab_to("decide-sure")
    page.keyboard.press("Space")
    tab_to("decide-sign")
    page.keyboard.press("Enter")
    expect(desk.see("order")).to_have_count(5)
    assert desk.sent("POST", "/decisions")[-1]["verdict"] == "approve"


def test_the_first_tab_stops_skip_to_the_parts_of_the_screen(desk: Desk) -> None:
    desk.sign_in()
    expect(desk.see("recommended")).to_be_visible()
    desk.see("skip-left").focus()
    assert desk.see("skip-left").bounding_box()["x"] >= 0, "the skip link stays hidden while it has the focus"
    desk.see("skip-right").focus()
    desk.page.keyboard.press("Enter")
    assert desk.page.evaluate("document.activeElement.id") == "right"


def test_a_question_mark_lists_the_shortcuts_and_letters_typed_into_a_field_are_none(looking: Desk) -> None:
    looking.page.keyboard.press("?")
    expect(looking.see("shortcuts")).to_contain_text("Play or pause")
    looking.page.keyboard.press("Escape")
    expect(looking.see("shortcuts")).to_have_count(0)
    looking.see("tab-log").click()
    looking.see("log-line").click()
    looking.page.keyboard.type("tokmp?")
    expect(looking.see("log-line")).to_have_value("tokmp?")
    expect(looking.see("terrain")).to_have_attribute("aria-pressed", "false")
    looking.see("log-line").fill("")


def test_terrain_can_be_raised_and_laid_flat(looking: Desk) -> None:
    looking.page.set_viewport_size({"width": 960, "height": 480})  # a small map: 3-D in software is slow
    looking.see("terrain").click()
    expect(looking.see("terrain")).to_have_attribute("aria-pressed", "true")
    compass = looking.page.locator(".maplibregl-ctrl-compass .maplibregl-ctrl-icon")
    expect(compass).to_have_attribute("style", re.compile(r"rotateX\(55deg\)"))
    looking.see("terrain").click()
    expect(compass).not_to_have_attribute("style", re.compile("rotateX\\([1-9]"))
    expect(looking.see("terrain")).to_have_attribute("aria-pressed", "false")
    looking.page.set_viewport_size(SCREEN)


# WCAG 2.2: relative luminance and contrast as defined there (success criterion 1.4.3); text over a picture or a pattern is left out.
CONTRAST = """
() => {
  const parse = colour => { const n = colour.match(/[\\d.]+/g).map(Number); return { rgb: n.slice(0, 3), a: n[3] ?? 1 } }
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4
  const luminance = rgb => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2])
  const ground = e => {
    const layers = []
    for (; e; e = e.parentElement) {
      const style = getComputedStyle(e)
      if (style.backgroundImage !== 'none') return null
      const { rgb, a } = parse(style.backgroundColor)
      if (a > 0) layers.push({ rgb, a })
      if (a === 1) break
    }
    return layers.reverse().reduce((under, over) => under.map((v, i) => v * (1 - over.a) + over.rgb[i] * over.a), [12, 17, 22])
  }
  const weak = []
  for (const e of document.querySelectorAll('body *')) {
    const says = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
    const box = e.getBoundingClientRect()
    if (!says || !box.width || e.closest('[disabled], .sr, svg, .skip, noscript, .maplibregl-canvas-container')) continue
    const under = ground(e)
    if (!under) continue
    const [a, b] = [luminance(parse(getComputedStyle(e).color).rgb), luminance(under)].sort((x, y) => y - x)
    const contrast = (a + 0.05) / (b + 0.05)
    if (contrast < 4.5) weak.push(`${contrast.toFixed(2)} ${e.tagName} ${e.className} "${e.textContent.trim().slice(0, 40)}"`)
  }
  return weak
}
"""

NAMELESS = """
() => [...document.querySelectorAll('button, a[href], input, textarea, select, [role=img], [role=tab]')].filter(e => {
  const label = e.getAttribute('aria-label') || e.getAttribute('title') || e.textContent.trim() || [...(e.labels ?? [])].map(l => l.textContent.trim()).join('')
  return !label
}).map(e => e.outerHTML.slice(0, 120))
"""

VIEWS = [
    "#/",
    "#/gauge/level-weir",
    f"#/plan/{mock.COMPARISON}/{PLAN}",
    f"#/comparison/{mock.COMPARISON}",
    "#/orders",
    "#/carried",
    "#/limits",
    "#/ask",
    "#/compose",
    "#/log",
    "#/ledger",
]


@pytest.mark.parametrize("view", VIEWS)
def test_all_text_has_enough_contrast_and_every_control_a_name(looking: Desk, view: str) -> None:
    looking.show(view)
    expect(looking.see("screen")).to_have_attribute("data-page", view.split("/")[1] or "situation")
    looking.page.wait_for_timeout(200)
    assert looking.page.evaluate(CONTRAST) == []
    assert looking.page.evaluate(NAMELESS) == []
    assert looking.page.evaluate("document.querySelectorAll('main').length") == 1
    assert looking.page.evaluate('document.querySelectorAll(\'[tabindex]:not([tabindex="0"]):not([tabindex="-1"])\').length') == 0


@pytest.mark.parametrize("width", [1024, 1366, 1920])
def test_nothing_runs_out_of_the_screen(looking: Desk, width: int) -> None:
    looking.page.set_viewport_size({"width": width, "height": 720})
    looking.show("#/gauge/level-quay")
    expect(looking.see("gauge-detail")).to_be_visible()
    wide = looking.page.evaluate(
        "() => [document.documentElement, ...document.querySelectorAll('aside, main, header, .panel')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => `${e.tagName}.${e.className} ${e.scrollWidth} > ${e.clientWidth}`)"
    )
    looking.page.set_viewport_size(SCREEN)
    assert wide == []


def test_words_from_outside_are_shown_as_words_and_never_run(desk: Desk) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><b>river</b>"
    desk.mock.warnings[0]["reason"] = hostile
    desk.mock.entries[-1]["record"]["reason"] = hostile
    desk.sign_in("#/log")
    expect(desk.see("warning").first).to_contain_text(hostile)
    expect(desk.see("log-rows").locator("li").first).to_contain_text(hostile)
    assert "owned" not in desk.page.title()


def test_the_mock_serves_under_the_platforms_own_content_security_policy() -> None:
    from tocsin.interfaces.http.app import HEADERS

    assert HEADERS["Content-Security-Policy"] == mock.CONTENT_SECURITY_POLICY


def test_all_that_was_asked_for_stays_on_the_server_and_nothing_was_complained_about(looking: Desk) -> None:
    """Runs after the tests that share the desk: what they did must have left no error and asked no other host."""
    assert len(looking.asked_for) > 40
    assert [url for url in looking.asked_for if not url.startswith((looking.server.url, "blob:", "data:"))] == []
    assert looking.complaints == []


def test_where_one_hazard_is_watched_there_is_nothing_to_choose(desk: Desk) -> None:
    desk.sign_in()
    expect(desk.see("comparison-reason")).to_be_visible()
    expect(desk.see("hazards")).to_have_count(0)
    expect(desk.see("of-hazard")).to_have_count(0)


def test_the_tab_of_a_hazard_has_its_level_and_ranking_and_plans_follow_it(desk: Desk) -> None:
    desk.mock.watch_gas_too()
    desk.mock.roles = [*desk.mock.roles, "planner"]
    desk.sign_in()
    flood, gas = desk.see("hazard-flood"), desk.see("hazard-chemical")
    expect(flood).to_have_attribute("aria-current", "true")  # it warns the higher of the two
    expect(gas.get_by_test_id("level-yellow")).to_be_visible()
    expect(gas.get_by_test_id("open-chemical")).to_be_visible()
    expect(desk.see("of-hazard").filter(has_text="Chemical")).to_have_count(1)  # all warnings are one list
    expect(desk.see("comparison-reason")).not_to_have_text("the gas goes east")
    gas.click()
    expect(desk.see("comparison-reason")).to_have_text("the gas goes east")
    assert desk.page.evaluate("location.hash") == "#/?hazard=chemical"
    desk.see("open-ask").click()
    expect(desk.see("ask-hazard")).to_have_text("Chemical.")
    flood.click()
    expect(desk.see("comparison-reason")).not_to_have_text("the gas goes east")
    expect(desk.see("ask-hazard")).to_have_text("Chemical.")  # what was begun stays about what it was begun for
    desk.see("ask-compare").click()
    expect(desk.see("job")).to_have_count(1)
    assert [body["hazard"] for body in desk.sent("POST", "/jobs/compare")] == ["chemical"]


def test_a_new_warning_of_another_hazard_takes_no_map_away_from_who_looks(desk: Desk) -> None:
    desk.mock.watch_gas_too()
    desk.sign_in()
    expect(desk.see("hazard-flood").get_by_test_id("level-red")).to_be_visible()
    for warning in desk.mock.warnings:
        warning["active"] = False  # the flood is over; nothing is higher than the gas
    desk.mock.raise_warning(hazard="chemical")
    expect(desk.see("hazard-chemical").get_by_test_id("level-orange")).to_be_visible()
    expect(desk.see("hazard-flood").get_by_test_id("level-normal")).to_be_visible()
    expect(desk.see("hazard-flood")).to_have_attribute("aria-current", "true")
    expect(desk.see("comparison-reason")).not_to_have_text("the gas goes east")
