"""A person walks through the whole demo by mouse and keyboard, in a real browser, against the real platform."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tocsin.host import WallClock
from tocsin.platform.ledger import open_ledger
from tocsin.security.gate import RoleGate

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

CONSOLE = Path(__file__).resolve().parents[2] / "src" / "tocsin" / "interfaces" / "console"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
SLOW_S = 240.0  # two busy cores compute 50 futures, draw a map in software and serve it


class Demo:
    """The demo as a process of its own, and what it said."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()", "demo", "--json", "--port", "0"]
        command += ["--folder", str(folder), "--approve", "ask", "--no-browser", "--speed", "120"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said: list[dict[str, Any]] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def wait_for(self, stage: str, *, key: str = "text", says: str = "") -> dict[str, Any]:
        """The first thing said of a stage that has this key and these words."""
        end = time.monotonic() + SLOW_S
        while time.monotonic() < end:
            for said in self.said:
                if said.get("stage") == stage and key in said and says in said["text"]:
                    return said
            try:
                line = self._lines.get(timeout=1.0)
            except queue.Empty:
                assert self._process.poll() is None, f"the demo ended: {self.said}"
                continue
            try:
                self.said.append(msgspec.json.decode(line))
            except msgspec.DecodeError:
                self.said.append({"stage": "noise", "text": line})
        raise AssertionError(f"the demo said nothing of {stage!r} in {SLOW_S:g} s: {self.said}")

    def stop(self) -> int:
        """Ctrl-C, as a person would."""
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Path]]:
    folder = tmp_path_factory.mktemp("demo")
    running = Demo(folder)
    yield running, folder
    if running._process.poll() is None:
        running.stop()


@pytest.fixture(scope="module")
def page(chromium: str, demo: tuple[Demo, Path]) -> Iterator[Any]:
    if not (CONSOLE / "index.html").is_file() and os.environ.get("CI") != "true":
        pytest.skip(f"the console was not built: {CONSOLE}")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_context(viewport={"width": 1366, "height": 768}, timezone_id="UTC").new_page()
        page.set_default_timeout(SLOW_S * 1000)
        expect.set_options(timeout=60_000)  # five seconds are short on a machine that computes futures beside the page
        yield page
        browser.close()


@pytest.mark.chromium
def test_the_whole_demo_is_walked_by_mouse_and_keyboard(demo: tuple[Demo, Path], page: Any) -> None:
    running, folder = demo
    complaints: list[str] = []
    asked_for: list[str] = []
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    page.on("request", lambda request: asked_for.append(request.url))

    # the place is made up, and says so before anybody signs in
    said = running.wait_for("console", key="address")
    page.goto(said["address"])
    expect(page.locator("body")).to_contain_text("MADE UP")
    page.get_by_test_id("sign-in-name").fill(said["name"])
    page.get_by_test_id("sign-in-password").fill(said["password"])
    page.keyboard.press("Enter")

    # readings are checked: the stuck gauge is told in the terminal and in the console
    stuck = running.wait_for("check", says="flat line")
    assert stuck["site"] == "level-mill"
    expect(page.locator("body")).to_contain_text("Lower Mill")

    # a warning with its sentence, and a CAP message that is a draft
    running.wait_for("warn")
    assert running.wait_for("alert")["status"] == "Draft"
    expect(page.get_by_test_id("level-yellow").first).to_be_visible()

    # fifty futures, then six plans on all of them
    foreseen = running.wait_for("simulate", key="impact")
    assert "50 futures" in foreseen["text"]
    compared = running.wait_for("compare", key="comparison")["comparison"]
    assert len(compared["scores"]) >= 3
    assert compared["futures"] == 50
    expect(page.get_by_test_id("comparison-reason")).to_contain_text("fewest people in danger")
    page.locator("[data-testid=map][data-ready=true]").wait_for()
    expect(page.get_by_test_id("map")).to_have_attribute("data-overlay", re.compile(r"depth\.png"))
    if shots := os.environ.get("TOCSIN_SHOTS"):
        page.wait_for_timeout(5_000)
        page.screenshot(path=str(Path(shots) / "console.png"))

    # the operator opens the recommended plan, reads it, and signs
    best = compared["recommended"]
    page.get_by_test_id(f"plan-{best}").click()
    page.get_by_test_id("approve").click()
    expect(page.get_by_test_id("decide")).to_contain_text(best.capitalize())
    page.get_by_test_id("decide-comment").fill("Agreed with the mayor.")
    page.get_by_test_id("decide-password").fill(said["password"])
    page.get_by_test_id("decide-sure").check()
    page.get_by_test_id("decide-sign").click()

    # orders go out, and from the first of them one walks back to the sensors
    expect(page.get_by_test_id("order").first).to_be_visible()
    running.wait_for("order")
    page.get_by_test_id("order-cause").first.click()
    chain = page.get_by_test_id("chain")
    for kind in ("order", "decision", "comparison", "forecast", "warning", "evidence"):
        expect(chain.get_by_test_id(f"chain-{kind}").first).to_be_visible()

    # the ledger proves it, in the console, in the terminal, and to somebody who opens it afterwards
    page.goto(said["address"] + "#/ledger")
    page.get_by_test_id("verify").click()
    expect(page.get_by_test_id("verify-answer")).to_contain_text("every entry, link and signature holds")
    running.wait_for("record", key="chain")
    assert complaints == []
    assert all(url.startswith((said["address"], "data:", "blob:")) for url in asked_for), "something was asked of another host"
    assert running.stop() in (0, 130)
    ledger = open_ledger(folder / "data", clock=WallClock(), gate=RoleGate(), read_only=True)
    try:
        assert ledger.verify() > 20
        kinds = {type(entry.record).__name__ for entry in ledger.read()}
    finally:
        ledger.close()
    wanted = {"SensorFault", "Evidence", "Warning", "AlertDraft", "Forecast", "Comparison", "Decision", "Order", "Incident"}
    assert wanted <= kinds
