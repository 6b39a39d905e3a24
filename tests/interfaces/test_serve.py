"""`tocsin serve` from outside: a process on a small twin, spoken to by its command line, its inbox, HTTP and signals."""

from __future__ import annotations

import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_place import build_place, feature, geojson, lonlat, run

from tocsin.flows.board import Board
from tocsin.flows.following import Followed
from tocsin.host import Entry, WallClock
from tocsin.interfaces.duty import Duty
from tocsin.pack import Scenario
from tocsin.platform.exchange import read_cap
from tocsin.platform.ledger import open_ledger
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import Level, Warning, record_id

PROGRAM = [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()"]
ADA, COMMANDER = "ada", "correct horse battery"
PATIENCE_S = 120.0  # how long a busy machine may take before a test gives up


class Served:
    """A platform as a process of its own, and what it says."""

    def __init__(self, twin: Path, data: Path, *words: str, port: int = 0) -> None:
        command = [*PROGRAM, "serve", str(twin), "--data", str(data), "--port", str(port), "--json", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self._news: queue.Queue[dict[str, Any]] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self.cookie = self.csrf = self.address = ""

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._news.put(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors += list(self.process.stderr)

    def wait_for_line(self, says: str) -> dict[str, Any]:
        """The first line that says this."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for line in self.said:
                if says in line["text"]:
                    return line
            try:
                self.said.append(self._news.get(timeout=0.2))
            except queue.Empty:
                assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said} {self.errors}"
        raise AssertionError(f"it never said {says!r}: {self.said}")

    def is_up(self) -> Served:
        self.address = str(self.wait_for_line("http://")["address"])
        return self

    def ask(self, path: str, body: Any = None, *, method: str | None = None) -> tuple[int, Any]:
        """Status and JSON (or bytes) of one request of the API."""
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}api/v1{path}", sent, method=method)
        if self.cookie:
            request.add_header("Cookie", self.cookie)
        if body is not None or method is not None:
            request.add_header("X-Tocsin-CSRF", self.csrf)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                status, raw, headers = response.status, response.read(), response.headers
        except urllib.error.HTTPError as refused:
            status, raw, headers = refused.code, refused.read(), refused.headers
        if "Set-Cookie" in headers:
            self.cookie = headers["Set-Cookie"].partition(";")[0]
        return status, json.loads(raw) if headers["Content-Type"] == "application/json" else raw

    def get(self, path: str) -> Any:
        status, told = self.ask(path)
        assert status == 200, told
        return told

    def sign_in(self, name: str = ADA, password: str = COMMANDER) -> None:
        status, told = self.ask("/session", {"name": name, "password": password})
        assert status == 200, told
        self.csrf = told["csrf"]

    def wait_until(self, path: str, holds: Callable[[Any], Any]) -> Any:
        """What `path` answers, once it holds."""
        end, told = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < end:
            told = self.get(path)
            if holds(told):
                return told
            assert self.process.poll() is None, self.errors
            time.sleep(0.2)
        raise AssertionError(f"{path} never came to be what was wanted: {told}; {self.get('/records')}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal, as a supervisor or a person does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(timeout=PATIENCE_S)
        finally:
            self.process.kill()
            for reader in self._readers:
                reader.join(5)
        return code


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place by the lake, in cells of 200 m, with a level gauge in the water that has limits, and a rain gauge that has none."""
    folder = tmp_path_factory.mktemp("serve")
    limits = {"blue": 0.3, "yellow": 0.5, "orange": 1.0, "red": 2.0, "limits_source": "Shoreham Harbour Board, 2020"}
    gauges = geojson(
        folder / "gauges.geojson",
        [
            feature(
                "Point", lonlat(3.5, 8.5), site="quay", name="Quay", quantity="river_level", unit="m", water="lake", **limits
            ),
            feature("Point", lonlat(20.5, 4.5), site="hill", name="Hill", quantity="rain_amount", unit="mm"),
            # for a platform of another hazard on the same twin: this one says that it is not watched, and shows the others
            feature("Point", lonlat(20.5, 5.5), site="clinic", name="Clinic", quantity="cases_per_d", unit="persons/d"),
        ],
    )
    return build_place(folder, "--gauges", gauges, "--cell", "200")


def add_ada(data: Path, *words: str) -> None:
    roles = ("--role", "administrator", "--role", "commander", "--role", "operator", "--role", "auditor")
    code, _, err = run("user", "add", data, ADA, *roles, *words, stdin=f"{COMMANDER}\n")
    assert code == 0, err


def drop(data: Path, quantity: str, rows: list[tuple[str, timedelta, float]]) -> Path:
    """Put a CSV file into the inbox, in one piece, as `mv` does; the times are told as how long ago."""
    now = datetime.now(UTC)
    text = "site,time,value\n" + "".join(f"{site},{(now - ago).isoformat()},{value}\n" for site, ago, value in rows)
    unfinished = data / "inbox" / quantity / ".readings"
    unfinished.write_text(text)
    return unfinished.rename(unfinished.with_name(f"{int(now.timestamp() * 1e6)}.csv"))


@pytest.fixture
def serve(twin: Path) -> Iterator[Callable[..., Served]]:
    """Start platforms that do not outlive the test."""
    started: list[Served] = []

    def start(data: Path, *words: str, port: int = 0) -> Served:
        started.append(Served(twin, data, *words, port=port))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.wait()


def test_the_loop_from_a_reading_to_an_order_goes_through_a_served_platform_and_through_its_restart(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    """One story, told in one test because each step needs the one before."""
    data = tmp_path / "centre"

    # nobody can sign in to a new platform, and it says what to do
    new = serve(data).is_up()
    assert f"tocsin user add {data} NAME --role administrator" in new.wait_for_line("nobody can sign in yet")["text"]
    assert "clinic (cases_per_d)" in new.wait_for_line("not watched here")["text"]
    status = new.get("/status")
    assert (status["purpose"], status["made_up"], status["name"], status["signed_in"]) == ("actual", True, "Shoreham", False)
    assert new.ask("/gauges")[0] == 401
    assert new.ask("/session", {"name": ADA, "password": COMMANDER})[0] == 403
    assert new.stop() == 0
    add_ada(data)

    served = serve(data).is_up()
    assert served.ask("/session", {"name": ADA, "password": "wrong horse battery"})[0] == 403
    served.sign_in()
    assert served.get("/session")["name"] == ADA
    assert [(g["site"], g["value"]) for g in served.get("/gauges")] == [("quay", None), ("hill", None)]

    # a file becomes readings, a level beyond its limit a warning, and that a message that nobody has sent
    ago = timedelta(minutes=1)
    file = drop(data, "river_level", [("quay", 3 * ago, 0.1), ("quay", 2 * ago, 0.2), ("quay", ago, 2.2)])
    drop(data, "rain_amount", [("hill", ago, 4.0)])
    quay = served.wait_until("/gauges", lambda gauges: gauges[0]["level"] == 4 and gauges[1]["value"] is not None)[0]
    assert (quay["value"], quay["unit"], len(quay["sparkline"]), quay["last_level"], quay["blind"]) == (2.2, "m", 3, 4, False)
    assert served.get("/gauges/quay?hours=1")["series"]["value"] == [0.1, 0.2, 2.2]
    assert not file.exists()
    assert (file.parent / "done" / file.name).is_file()
    red = next(w for w in served.get("/warnings") if w["rule"] == "river_level_high")
    assert (red["site"], red["level"], red["active"], red["value"]) == ("quay", 4, True, 2.2)
    draft = served.wait_until("/alerts", lambda alerts: [a for a in alerts if a["warning"] == red["id"]])[0]
    message = read_cap(served.get(f"/alerts/{draft['id']}.xml")).alert
    assert message is not None
    assert message.status == "Draft"

    # nobody gave a scenario: that it goes on as it does now is simulated, and every plan is compared on it
    compared = served.wait_until("/comparisons", len)[0]
    forecast = served.get(f"/forecasts/{compared['forecast']}")
    assert forecast["members"] == 50
    assert "level@lake" in forecast["scenario"]
    assert red["id"] in forecast["cause"]
    assert served.get(f"/forecasts/{forecast['id']}/depth.png?view=q50")[:8] == b"\x89PNG\r\n\x1a\n"
    assert served.get(f"/forecasts/{forecast['id']}/zones")[0]["zone"] == "Shore"
    chains = served.get("/forecasts/latest/chains")
    assert (chains["forecast"], chains["members"], chains["points_by_kind"]["hospitals"]) == (forecast["id"], 50, 1)
    assert any("no substations" in remark for remark in chains["remarks"])

    # a person decides with the person's own key; the orders follow
    best = next(s for s in compared["scores"] if s["plan"] == compared["recommended"])
    verdict = {
        "comparison": compared["id"],
        "plan": best["plan"],
        "plan_digest": best["digest"],
        "verdict": "approve",
        "comment": "",
    }
    assert served.ask("/decisions", verdict | {"password": "wrong horse battery"})[0] == 403
    status, decided = served.ask("/decisions", verdict | {"password": COMMANDER})
    assert status == 200, decided
    assert served.ask("/decisions", verdict | {"password": COMMANDER})[0] == 409
    plan = next(p for p in served.get("/plans") if p["name"] == best["plan"])
    (running,) = served.get("/executions")
    assert (running["plan"], running["decision"], running["over"]) == (best["plan"], decided["id"], False)
    assert [a["name"] for a in running["actions"]] == [a["name"] for a in plan["actions"]]
    begun = [a["name"] for a in running["actions"] if a["phase"] == "running"]
    assert [o["action"] for o in served.get("/orders")] == begun != []
    level = f"/executions/{decided['id']}/levels/II"
    assert [served.ask(level, {"agrees": agrees, "password": COMMANDER})[0] for agrees in (True, "yes")] == [404, 400]
    assert [(d["signer"], d["signature_ok"]) for d in served.get("/decisions")] == [(ADA, True)]

    result = served.get(f"/executions/{decided['id']}/result")
    assert {a["action"]: a["outcome"] for a in result["actions"]} == {
        a["name"]: "running" if a["name"] in begun else "not called" for a in plan["actions"]
    }

    # one process writes a folder; the second is told who does
    second = serve(data)
    assert second.process.wait(timeout=PATIENCE_S) == 1
    assert f"is written by process {served.process.pid} on {socket.gethostname()} already" in "".join(second.errors)

    before = {
        path: served.get(path)
        for path in ("/warnings", "/alerts", "/forecasts", "/comparisons", "/decisions", "/executions", "/records")
    }
    assert served.stop() == 0
    assert served.errors == []

    # after a restart it is all there, and nothing is told twice
    again = serve(data).is_up()
    again.sign_in()
    assert again.get("/gauges/quay?hours=1")["series"]["value"] == [0.1, 0.2, 2.2]
    for path in ("/warnings", "/alerts", "/forecasts", "/decisions", "/executions"):
        assert again.get(path) == before[path], path
    assert [c["id"] for c in again.get("/comparisons")] == [c["id"] for c in before["/comparisons"]]
    assert [(o["state"], o["id"] in decided["orders"]) for o in again.get("/orders")] == [("sent", True)] * len(decided["orders"])
    if decided["orders"]:
        assert again.ask(f"/orders/{decided['orders'][0]}/reports", {"state": "acknowledged", "text": ""})[0] == 200
    end = f"/executions/{decided['id']}/end"
    why = {"reason": "the water falls"}
    wrong, right = why | {"password": "wrong horse battery"}, why | {"password": COMMANDER}
    assert [again.ask(end, body)[0] for body in (why, wrong, right, right)] == [400, 403, 200, 409]
    assert again.get("/executions")[0]["ended"] == "the water falls"
    drop(data, "river_level", [("quay", timedelta(seconds=1), 2.3)])
    again.wait_until("/gauges", lambda gauges: gauges[0]["value"] == 2.3)
    assert again.get("/warnings") == before["/warnings"]
    assert again.stop(signal.SIGINT) == 0
    assert again.errors == []
    ledger = open_ledger(data, clock=WallClock(), gate=RoleGate(), read_only=True)
    assert ledger.verify() >= len(before["/records"])
    ledger.close()


def test_an_assessment_that_a_stop_cut_off_is_taken_up_by_the_next_run(serve: Callable[..., Served], tmp_path: Path) -> None:
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise")
    served = serve(data, "--purpose", "exercise").is_up()
    served.sign_in()
    drop(data, "river_level", [("quay", timedelta(minutes=1), 2.2)])
    served.wait_until("/progress", lambda progress: progress is not None)
    assert served.stop() == 0
    assert served.errors == []
    ledger = open_ledger(data, clock=WallClock(), gate=RoleGate(), read_only=True)
    kinds = [type(entry.record).__name__ for entry in ledger.read()]
    ledger.close()
    assert "Warning" in kinds
    assert "Comparison" not in kinds
    again = serve(data, "--purpose", "exercise").is_up()
    again.sign_in()
    (compared,) = again.wait_until("/comparisons", len)
    red = next(w for w in again.get("/warnings") if w["rule"] == "river_level_high")
    assert red["id"] in again.get(f"/forecasts/{compared['forecast']}")["cause"]
    assert [a["warning"] for a in again.get("/alerts")] == [red["id"]]


def test_anybody_gets_what_is_published_of_health_codes_and_issues_none(serve: Callable[..., Served], tmp_path: Path) -> None:
    add_ada(tmp_path / "data", "--purpose", "exercise")
    served = serve(tmp_path / "data", "--purpose", "exercise").is_up()
    told = served.get("/exposure/exports")
    assert told["files"] == []
    assert told["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    assert served.ask("/exposure/codes", {})[0] == 401
    assert (tmp_path / "data" / "exposure.key").stat().st_mode & 0o777 == 0o600
    assert served.stop() == 0


def test_a_listener_of_events_does_not_keep_the_platform_from_stopping(serve: Callable[..., Served], tmp_path: Path) -> None:
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise")
    served = serve(data, "--purpose", "exercise").is_up()
    served.sign_in()
    request = urllib.request.Request(f"{served.address}api/v1/events", headers={"Cookie": served.cookie})
    with urllib.request.urlopen(request, timeout=30) as events:
        assert events.readline() == b"retry: 2000\n"
        assert served.stop() == 0
        assert served.errors == []


def test_a_file_that_cannot_be_used_goes_aside_with_the_reason_and_a_bad_question_is_told(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise")
    served = serve(data, "--purpose", "exercise").is_up()
    served.sign_in()
    inbox = data / "inbox" / "river_level"
    (inbox / "wrong.csv").write_text("site,time,value\nquay,yesterday,1.0\n")
    for path, says in (
        ("/gauges/quay?hours=nan", "wanted a number of 0.1 to 744"),
        ("/gauges/quay?hours=abc", "wanted a number of 0.1 to 744"),
        ("/gauges/weir", "no gauge 'weir'; there are: quay, hill"),
        ("/records?after=x", "after = 'x'"),
        ("/records?limit=0", "limit = '0'"),
        ("/records/order-none/chain", "no record 'order-none'"),
    ):
        status, told = served.ask(path)
        assert status in (400, 404), told
        assert says in told["error"]["message"]
    assert served.ask("/session", [1])[0] == 400
    assert served.ask("/notes", {"subject": "log", "text": "x" * 300_000})[0] == 400
    told = served.wait_until("/status", lambda _: (inbox / "bad" / "wrong.why").is_file())
    assert "line 2: time 'yesterday'" in (inbox / "bad" / "wrong.why").read_text()
    assert told["signed_in"]


def refused(serve: Callable[..., Served], data: Path, *words: str, port: int = 0) -> str:
    """What a platform says that does not start; one line of JSON on stdout, one of text on stderr, exit code 1."""
    served = serve(data, *words, port=port)
    assert served.process.wait(timeout=PATIENCE_S) == 1
    assert served.stop() == 1
    (error,) = list(served._news.queue)
    (line,) = served.errors
    assert line == f"tocsin: {error['error']['message']}\n"
    return str(error["error"]["message"])


def test_what_cannot_be_served_is_told_and_leaves_no_folder(serve: Callable[..., Served], twin: Path, tmp_path: Path) -> None:
    data = tmp_path / "centre"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused(serve, data, port=port) == (
            f"127.0.0.1:{port}: Address already in use; choose another --port, or 0 for a free one"
        )
    assert "lies in the twin" in refused(serve, twin / "data")
    (tmp_path / "file").write_text("")
    assert "is a file; wanted a folder for --data" in refused(serve, tmp_path / "file")
    assert not data.exists()
    assert not (twin / "data").exists()


def test_a_twin_that_is_none_is_told_with_how_to_make_one(tmp_path: Path) -> None:
    for where in (tmp_path / "absent", tmp_path):
        code, out, err = run("serve", where, "--data", tmp_path / "centre")
        assert (code, out) == (1, "")
        assert "is no twin" in err
        assert "tocsin twin build" in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_purpose_or_another_program_is_refused(twin: Path, tmp_path: Path) -> None:
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise")
    code, _, err = run("serve", twin, "--data", data, "--port", "0")
    assert code == 1
    assert "the ledger is for 'exercise', not 'actual'" in err
    assert not (data / "inbox").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "tocsin.db").write_text("a shopping list, and a long one, which is no database at all")
    code, _, err = run("serve", twin, "--data", other, "--port", "0")
    assert code == 1
    assert "is not a database" in err
    assert "bug of Tocsin" not in err


class StageWatch:
    """As much of the watch over a hazard as a duty needs."""

    def __init__(self, stage: Stage, hazard: str) -> None:
        self.stage, self.hazard, self.when_lost = stage, hazard, None

    def standing(self) -> dict[str, Warning]:
        return {i: w for i, w in self.stage.board.active_warnings().items() if w.hazard == self.hazard}

    def assess(self, causes: tuple[str, ...], scenario: object = None, *, lost: object = None) -> None:
        self.stage.assess(causes, scenario)


class Stage:
    """As much of a centre as its duty needs; an assessment lasts until it is let go."""

    def __init__(self, *hazards: str) -> None:
        hazards = hazards or ("flood",)
        self.on_entry: list[Callable[[Entry], None]] = []
        self.board = Board()
        self.time = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.messages = SimpleNamespace(draft=lambda _warning_id, _warning: None)
        self.watches = {hazard: StageWatch(self, hazard) for hazard in hazards}
        self.host = SimpleNamespace(clock=SimpleNamespace(now=lambda: self.time))
        self.assessed: list[tuple[str, ...]] = []
        self.scenarios: list[object] = []
        self.began, self.may_end, self.told = (threading.Semaphore(0) for _ in range(3))
        self.noted: list[str] = []
        self.fails_at = 3

    def warn(self, level: Level, site: str = "weir", hazard: str = "flood") -> None:
        record = Warning(
            time=self.time,
            subject=site,
            hazard=hazard,
            rule="river_level_high",
            level=level,
            before=self.board.last_level(site),
            reason="a reason",
            value=1.0,
            unit="m",
            public=True,
        )
        entry = Entry(self.board.last + 1, record_id(record), "edge", record.time, record)
        self.board.post(entry)
        for heard in self.on_entry:
            heard(entry)

    def assess(self, causes: tuple[str, ...], scenario: object) -> None:
        self.assessed.append(causes)
        self.scenarios.append(scenario)
        self.began.release()
        assert self.may_end.acquire(timeout=PATIENCE_S)
        if len(self.assessed) == self.fails_at:
            raise RuntimeError("it broke")

    def note(self, words: str) -> None:
        self.noted.append(words)
        self.told.release()

    def stop(self) -> None:
        self.may_end.release()


def test_a_red_warning_that_comes_while_a_yellow_one_is_assessed_is_assessed_next() -> None:
    stage: Any = Stage()
    duty = Duty(stage)
    stage.warn(Level.YELLOW)
    assert stage.began.acquire(timeout=PATIENCE_S)
    stage.warn(Level.RED)
    stage.may_end.release()
    assert stage.began.acquire(timeout=PATIENCE_S)
    assert [len(causes) for causes in stage.assessed] == [1, 1]
    assert stage.board.warnings[stage.assessed[1][0]].level == Level.RED
    stage.warn(Level.ORANGE, site="mill")
    duty.close()
    assert len(stage.assessed) == 2


def test_a_warning_of_another_hazard_assesses_no_flood() -> None:
    stage: Any = Stage()
    duty = Duty(stage)
    stage.warn(Level.RED, hazard="earthquake")
    stage.warn(Level.YELLOW)
    assert stage.began.acquire(timeout=PATIENCE_S)
    duty.close()
    assert [stage.board.warnings[causes[0]].hazard for causes in stage.assessed] == ["flood"]


def test_a_lower_warning_is_assessed_when_the_last_assessment_is_old_and_one_that_fails_is_told() -> None:
    stage: Any = Stage()
    duty = Duty(stage, again_after=timedelta(hours=3))
    for level, hours, is_assessed in (
        (Level.RED, 0.0, True),
        (Level.YELLOW, 2.0, False),
        (Level.YELLOW, 3.5, True),
        (Level.ORANGE, 0.5, True),
    ):
        stage.time += timedelta(hours=hours)
        stage.warn(level)
        if is_assessed:
            assert stage.began.acquire(timeout=PATIENCE_S)
            stage.may_end.release()
    assert stage.told.acquire(timeout=PATIENCE_S)
    assert stage.noted == ["the assessment failed: it broke"]

    # what failed counts for none: a third sensor that smells gas, a wind that is told now
    stage.time += timedelta(minutes=1)
    stage.warn(Level.YELLOW, site="mill")
    assert stage.began.acquire(timeout=PATIENCE_S)
    duty.close()
    assert len(stage.assessed) == 4


def test_futures_that_readings_have_left_are_drawn_anew_but_never_while_an_assessment_runs() -> None:
    stage: Any = Stage()
    duty = Duty(stage)
    scenario = Scenario(3600.0, 2, 1, {}, {})
    lost = Followed("forecast-1", 1.0, 50, "wait", "", "verification-1", "", is_lost=True, anew=scenario)
    stage.warn(Level.RED)
    assert stage.began.acquire(timeout=PATIENCE_S)
    flood = stage.watches["flood"]
    flood.when_lost(flood, lost)
    stage.may_end.release()
    running = duty._assessing
    assert running is not None
    running.join(PATIENCE_S)
    flood.when_lost(flood, lost)
    assert stage.began.acquire(timeout=PATIENCE_S)
    assert stage.scenarios == [None, scenario]
    assert stage.assessed[1][-1] == "verification-1"
    duty.close()
    assert flood.when_lost is None


def test_rankings_that_sharpen_are_events_and_only_the_last_one_is_a_record(serve: Callable[..., Served], tmp_path: Path) -> None:
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise")
    served = serve(data, "--purpose", "exercise", "--compute", "threads").is_up()
    served.sign_in()
    request = urllib.request.Request(f"{served.address}api/v1/events", headers={"Cookie": served.cookie})
    looks: list[dict[str, Any]] = []
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as events:
        drop(data, "river_level", [("quay", timedelta(minutes=1), 2.2)])
        while not (looks and looks[-1]["finished"]):
            if events.readline() == b"event: ranking_sharpened\n":
                looks.append(json.loads(events.readline().removeprefix(b"data: ")))
    (compared,) = served.wait_until("/comparisons", len)
    assert len(looks) >= 2
    assert looks[0]["tried"] < looks[-1]["tried"] / 2  # a first look long before all has been run
    assert looks[-1]["tried"] == looks[-1]["futures"] == compared["futures"]
    assert [s["plan"] for s in compared["scores"]] == [p["plan"] for p in looks[-1]["plans"]]
    assert (compared["reason"], compared["doubt"]) == (looks[-1]["reason"], looks[-1]["doubt"])
    served.wait_until("/ranking", lambda ranking: ranking is None)  # nothing is being assessed any more
    assert len(served.get("/comparisons")) == len(served.get("/forecasts")) == 1
    assert served.stop() == 0


def test_a_reading_after_an_assessment_moves_the_ranking_of_a_served_platform_and_is_scored(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise")
    served = serve(data, "--purpose", "exercise", "--compute", "threads").is_up()
    served.sign_in()
    drop(data, "river_level", [("quay", timedelta(minutes=1), 2.2)])
    (first,) = served.wait_until("/comparisons", len)
    assert served.get(f"/forecasts/{first['forecast']}")["verification"] is None
    drop(data, "river_level", [("quay", timedelta(seconds=0.1), 2.9)])  # 0.7 m more: few futures go so far
    forecast = served.wait_until(f"/forecasts/{first['forecast']}", lambda told: told["verification"] is not None)
    (gauge,) = forecast["verification"]["gauges"]
    assert (gauge["site"], gauge["what"], gauge["readings"], gauge["came"]) == ("quay", "level@lake", 1, 2.9)
    assert forecast["verification"]["words"].startswith("readings leave ")
    second = served.wait_until("/comparisons", lambda told: len(told) == 2 and told)[0]
    assert second["forecast"] == first["forecast"] == second["cause"][0]
    assert second["cause"][1] == first["id"]
    harm = {c["id"]: next(s["harm"]["mean"] for s in c["scores"] if s["plan"] == first["recommended"]) for c in (first, second)}
    assert harm[second["id"]] > harm[first["id"]]
    scores = served.get("/forecasts/scores?level=orange")
    assert [f["forecast"] for f in scores["forecasts"]] == [first["forecast"]]
    assert served.ask("/forecasts/scores?level=blue")[0] == 400
    assert served.stop() == 0
    code, out, _ = run("forecast", "score", data, "--level", "orange", "--json")
    assert code == 0
    assert json.loads(out) == scores
    assert "warnings of flood against red" in run("forecast", "score", data)[1]
    code, _, err = run("forecast", "score", data, "--level", "blue")
    assert code == 1
    assert "wanted orange or red" in err


def test_hard_limits_are_set_in_a_served_platform_hold_for_its_ranking_and_for_the_next_and_through_a_restart(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise")
    served = serve(data, "--purpose", "exercise").is_up()
    served.sign_in()
    mine = {"password": COMMANDER}
    assert served.get("/limits")["limits"] == []
    assert "Shore" in served.get("/limits")["zones"]
    assert served.ask("/limits/undo", mine)[0] == 409
    drop(data, "river_level", [("quay", timedelta(minutes=1), 2.2)])
    (first,) = served.wait_until("/comparisons", len)
    runs = len(served.get("/forecasts"))
    assert all(not score["limits"] for score in first["scores"])

    # what is wrong with a limit is said, and nothing is written
    status, told = served.ask("/limits", mine | {"limits": ["frogs <= 0"]})
    assert (status, "no figure 'frogs'" in told["error"]["message"]) == (400, True)
    assert served.ask("/limits", mine | {"limits": "none"})[0] == 400
    assert served.get("/limits")["set"] == []

    # set: the ranking on the table follows at once, without a run of the hazard
    harmed = max(score["harm"]["mean"] for score in first["scores"])
    assert harmed > 0
    words = "people_in_danger <= 0, 1%"
    asked = {"limits": [words], "reason": "nobody is left behind"}
    assert [served.ask("/limits", asked | wrong)[0] for wrong in ({}, {"password": "wrong horse battery"})] == [400, 403]
    assert served.get("/limits")["set"] == []
    status, told = served.ask("/limits", asked | mine)
    assert status == 200, told
    limited = served.get("/comparisons")[0]
    assert (limited["id"], limited["forecast"]) == (told["comparison"], first["forecast"])
    assert {breach["limit"] for score in limited["scores"] for breach in score["limits"]} == {"people_in_danger <= 0"}
    assert len(served.get("/forecasts")) == runs
    assert told["id"] in limited["cause"]
    (now,) = served.get("/limits")["set"]
    assert (now["by"], now["limits"], now["reason"], now["signed"]) == (ADA, [words], "nobody is left behind", True)

    # undone, and set again by undoing that
    assert served.ask("/limits/undo", mine)[0] == 200
    assert all(not score["limits"] for score in served.get("/comparisons")[0]["scores"])
    assert served.ask("/limits/undo", mine)[0] == 200
    assert served.get("/limits")["limits"] == [words]
    kept = served.get("/comparisons")
    assert served.stop() == 0
    assert served.errors == []

    # after a restart the assessment is followed again: a reading moves it, and the limit holds in what comes of that
    again = serve(data, "--purpose", "exercise").is_up()
    again.sign_in()
    assert [c["id"] for c in again.get("/comparisons")] == [c["id"] for c in kept]
    assert len(again.get(f"/comparisons/{kept[0]['id']}")["scores"][0]["harm_by_future"]) == 50
    drop(data, "river_level", [("quay", timedelta(seconds=0.1), 2.9)])
    moved = again.wait_until("/comparisons", lambda told: len(told) > len(kept) and told)[0]
    assert moved["forecast"] == first["forecast"]
    assert kept[0]["id"] in moved["cause"]
    assert "Weighed by readings" in moved["doubt"]
    assert all(score["limits"] for score in moved["scores"])
    assert again.stop() == 0
    assert again.errors == []


SCENARIO = """
duration = "6h"
members = 6
seed = 3
[series]
"level@lake" = { time_h = [0, 2], value = [0.0, 2.4], unit = "m" }
[knobs]
level_offset_m = { low = -0.3, usual = 0.0, high = 0.6 }
"""


def test_what_a_person_asks_for_is_computed_in_the_background_and_is_beside_the_assessment_and_not_in_its_place(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise")
    code, _, err = run("user", "add", data, "pat", "--role", "planner", "--as", ADA, stdin=f"{COMMANDER}\n{COMMANDER}\n")
    assert code == 0, err
    served = serve(data, "--purpose", "exercise").is_up()
    served.sign_in()
    assert served.ask("/jobs/compare", {"scenario": SCENARIO})[0] == 403  # a commander decides, a planner computes
    served.sign_in("pat")

    # no sensor has said anything: there is a scenario to fill in all the same, and it says what can be said
    start = served.get("/scenario")
    assert "no gauge says anything" in start["why_not_now"]
    assert '"level@lake" = { level = ' in start["toml"]
    assert start["drives"]["rain"]["unit"] == "mm/h"
    names = [plan["name"] for plan in served.get("/plans")]
    for body, says in (
        ({}, "wanted one of `scenario`"),
        ({"scenario": "duration ="}, "is no TOML"),
        ({"scenario": SCENARIO.replace("lake", "sea")}, "sea"),
        ({"scenario": SCENARIO, "plans": ["frogs"]}, "no plan 'frogs'"),
        ({"scenario": SCENARIO, "limits": ["frogs <= 0"]}, "no figure 'frogs'"),
        ({"scenario": SCENARIO.replace("members = 6", "members = 5000")}, "at most 500"),
        ({"futures": "../readings"}, "no futures"),
    ):
        status, told = served.ask("/jobs/compare", body)
        assert (status in (400, 404), says in told["error"]["message"]) == (True, True), told
    assert served.get("/jobs") == []

    # futures are run once, and compared on
    status, job = served.ask("/jobs/futures", {"scenario": SCENARIO, "name": "storm"})
    assert status == 200, job
    done = served.wait_until(f"/jobs/{job['id']}", lambda told: told["state"] != "running" and told)
    assert (done["state"], done["result"]["done"], done["by"]) == ("done", 6, "pat"), done
    assert served.get("/futures") == [{"name": "storm", "hazard": "flood", "done": 6, "members": 6, "failed": 0}]
    limit = "people_in_danger <= 0, 1%"
    status, job = served.ask("/jobs/compare", {"futures": "storm", "plans": names[:2], "limits": [limit], "all": True})
    assert status == 200, job
    done = served.wait_until(f"/jobs/{job['id']}", lambda told: told["state"] != "running" and told)
    assert done["state"] == "done", done
    compared = served.get(f"/comparisons/{done['result']['comparison']}")
    assert sorted(score["plan"] for score in compared["scores"]) == sorted(names[:2])
    assert all(score["limits"] for score in compared["scores"])
    assert compared["recommended"] == done["result"]["recommended"]
    asked = served.get(f"/forecasts/{compared['forecast']}")
    assert (asked["asked_by"], asked["members"]) == ("pat", 6)
    kinds = [(r["actor"], r["record"]["kind"]) for r in served.get("/records")]
    assert [kind for actor, kind in kinds if actor == "pat"] == ["note", "forecast", "note", "forecast", "comparison"]
    chain = served.get(f"/records/{compared['id']}/chain")["nodes"]
    assert any("asked to compare" in node["text"] for node in chain)

    # the same on a scenario, from the warning; and plans to consider
    status, job = served.ask("/jobs/compare", {"scenario": SCENARIO, "hour": 3})
    assert status == 200, job
    status, other = served.ask("/jobs/suggest", {"futures": "storm"})
    assert status == 200, other
    for one in (job, other):
        done = served.wait_until(f"/jobs/{one['id']}", lambda told: told["state"] != "running" and told)
        assert done["state"] == "done", done
    assert {row["origin"] for row in done["result"]["suggested"]} >= {"library"}

    # one that is cancelled stops, and says by whom
    many = SCENARIO.replace("members = 6", "members = 500")
    status, job = served.ask("/jobs/futures", {"scenario": many, "name": "many"})
    assert served.ask(f"/jobs/{job['id']}/cancel", {})[0] == 200
    assert served.wait_until(f"/jobs/{job['id']}", lambda told: told["state"] != "running" and told)["state"] == "cancelled"

    # a plan goes into the library, is compared with the others, and comes out of it
    own = done["result"]["suggested"][-1]["plan"] | {"name": "our own"}
    del own["hazard"]
    checked = served.ask("/plans/check", {"plan": own})[1]
    assert (checked["ok"], "hazard" in checked["faults"][0]["message"]) == (False, True)
    own["hazard"] = "flood"
    wrong = own | {"actions": [own["actions"][0] | {"when": "frogs > 3"}]}
    checked = served.ask("/plans/check", {"plan": wrong})[1]
    assert [fault["path"] for fault in checked["faults"]][:1] == [["actions", 0, "when"]], checked
    assert served.ask("/plans", {"plan": wrong})[0] == 400
    checked = served.ask("/plans/check", {"plan": own})[1]
    assert (checked["ok"], checked["faults"]) == (True, [])
    assert served.ask("/plans/check", {"toml": checked["toml"]})[1]["digest"] == checked["digest"]
    status, told = served.ask("/plans", {"toml": checked["toml"]})
    assert (status, told.get("plan")) == (200, "our own"), told
    assert served.ask("/plans", {"plan": own})[0] == 409
    assert {p["name"]: p["saved_by"] for p in served.get("/plans")}["our own"] == "pat"
    assert served.get("/plans/options")["plan"]["actions"]
    jobs = served.get("/jobs")
    assert served.stop() == 0
    assert served.errors == []

    # after a restart all of it is there; what a person asked for was no assessment, so a warning brings one, with the new plan in it
    again = serve(data, "--purpose", "exercise").is_up()
    again.sign_in()
    assert [j["id"] for j in again.get("/jobs")] == [j["id"] for j in jobs]
    before = len(again.get("/comparisons"))
    drop(data, "river_level", [("quay", timedelta(minutes=1), 2.2)])
    newest = again.wait_until("/comparisons", lambda told: len(told) > before and told)[0]
    assert "our own" in [score["plan"] for score in newest["scores"]]
    assert "asked_by" not in again.get("/forecasts/latest")
    again.sign_in("pat")
    assert again.ask("/plans/our%20own", method="DELETE")[0] == 200
    assert "our own" not in [plan["name"] for plan in again.get("/plans")]
    assert again.stop() == 0
    assert again.errors == []
