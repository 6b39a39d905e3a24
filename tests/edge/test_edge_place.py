"""A node as it is put together from its settings: what it says of itself, and what it does when it cannot write."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import msgspec
import pytest
from typer.testing import CliRunner
from uplink_place import ADA, CENTRE, LEVEL, Machine, reading

from tocsin.edge import Spool
from tocsin.edge.collectors import find_collectors
from tocsin.edge.reserve import Reserve
from tocsin.edge.settings import read_settings
from tocsin.edge.status import read_status
from tocsin.edge.uplink import HttpLine, Position
from tocsin.host import NoNetwork, VirtualClock, WallClock
from tocsin.interfaces.cli.edge import app
from tocsin.interfaces.edge import Edge, node_key
from tocsin.platform.store import open_users
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import InputError, NotFound, Refused, Unavailable

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "edge.toml"
START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """The guide's example without the parts that need somebody at the other end."""
    text = EXAMPLE.read_text()
    begin = text.index('[[action]]\nkind = "webhook"')
    text = (
        text[:begin]
        .replace('path = "warnings.jsonl"', f'path = "{tmp_path}/warnings.jsonl"')
        .replace("grace_s = 1800.0", "grace_s = 0.0")
    )
    text = text.replace('url = "https://tocsin.example.org"', 'url = "http://127.0.0.1:9"').replace(
        "reserve_mb = 32", "reserve_mb = 1"
    )
    path = tmp_path / "edge.toml"
    path.write_text(text.replace('folder = "inbox"', f'folder = "{tmp_path}/inbox"'))
    (tmp_path / "inbox").mkdir()
    return path


def edge_of(settings: Path) -> tuple[Edge, VirtualClock]:
    clock = VirtualClock(START)
    return Edge(read_settings(settings, kinds=find_collectors()), clock=clock), clock


def wait(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 30.0
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_status_says_of_each_source_when_how_often_how_late_how_good_and_what_is_wrong(settings: Path) -> None:
    edge, clock = edge_of(settings)
    for number in range(7):
        clock._now = START + timedelta(minutes=5 * number)
        edge.node.take(reading(clock.now() - timedelta(seconds=20), 1.0 + 0.01 * number, sites=("weir",)))
    edge.node.take(reading(clock.now(), 50.0, sites=("weir",)))
    edge.node.look()
    edge.write_status()
    told = read_status(edge.settings.data)
    edge.close()
    quay, weir = told.sources
    assert (quay.site, quay.value, quay.age_s) == ("quay", None, None)
    assert set(quay.blind) == {"river_high", "river_rising_fast"}
    assert (weir.value, weir.age_s, weir.unit) == (50.0, 0.0, "m")
    assert weir.per_hour == pytest.approx(3600.0 * 7 / 1820.0, abs=0.001)
    assert weir.good_share == 0.875
    assert weir.faults == ("gross range",)
    assert told.counted["river_level"]["stored"] == 8
    assert told.uplink is not None
    assert told.uplink.waiting_readings == 8
    assert [action.name for action in told.actions] == ["log"]
    assert not told.is_old(clock.now())
    assert told.is_old(clock.now() + timedelta(minutes=2))


def test_a_node_whose_disk_takes_nothing_says_so_and_lets_its_reserve_go(
    settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge, clock = edge_of(settings)
    assert edge.reserve.is_held

    def cries() -> list[dict[str, str]]:
        path = tmp_path / "warnings.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if line["rule"] == "storage"]

    async def main() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(edge.run(stop, on_ready=ready.set))
        await ready.wait()
        with monkeypatch.context() as full:

            def fails(self: Spool, *_: object, **__: object) -> int:
                raise Unavailable("no space left on device")

            full.setattr(Spool, "append", fails)
            (tmp_path / "inbox" / "a.csv").write_text("station,time,stage\nweir,2026-03-01T00:00:00Z,190\n")
            await clock.run(START + timedelta(minutes=3))
            await asyncio.to_thread(wait, lambda: bool(cries()))
            assert not edge.reserve.is_held
            assert edge.node.broken.keys() == {"storage"}
        await clock.run(START + timedelta(minutes=20))
        assert edge.reserve.is_held
        assert edge.node.broken == {}
        stop.set()
        await running

    asyncio.run(main())
    assert len(edge.spool.read(LEVEL)) == 1
    edge.close()
    (line,) = cries()
    assert (line["level"], line["site"]) == ("blind", "weir-house")
    assert "cannot write, so it cannot warn: no space left" in line["reason"]


def test_the_reserve_is_taken_again_when_somebody_made_room_long_after_it_was_let_go(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge, clock = edge_of(settings)

    async def main() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(edge.run(stop, on_ready=ready.set))
        await ready.wait()
        with monkeypatch.context() as nearly_full:
            nearly_full.setattr("tocsin.edge.reserve.shutil.disk_usage", lambda path: SimpleNamespace(free=1))
            edge.reserve.let_go()
            await clock.run(START + timedelta(minutes=20))
            assert not edge.reserve.is_held
            assert not edge.status().storage.reserve_held
        await clock.run(START + timedelta(minutes=22))
        assert edge.reserve.is_held
        assert edge.status().storage.reserve_held
        stop.set()
        await running

    asyncio.run(main())
    edge.close()


def test_a_status_that_cannot_be_written_is_logged_once_and_once_more_when_it_breaks_again(
    settings: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    edge, _ = edge_of(settings)
    for _ in range(2):
        with monkeypatch.context() as full:

            def fails(*_: object) -> None:
                raise OSError("no space left on device")

            full.setattr("tocsin.interfaces.edge.write_status", fails)
            for _ in range(3):
                edge.write_status()
        edge.write_status()
    assert [record.message for record in caplog.records].count("status_not_written") == 2
    edge.close()


def test_the_reserve_is_taken_only_where_there_is_plenty(tmp_path: Path) -> None:
    assert not Reserve(tmp_path, 1 << 60).is_held
    held = Reserve(tmp_path, 1 << 20)
    assert held.is_held
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 1 << 20
    held.let_go()
    held.let_go()
    assert not held.is_held
    assert Reserve(tmp_path, 0).is_held


def test_two_processes_do_not_run_one_node(settings: Path) -> None:
    edge, _ = edge_of(settings)
    with pytest.raises(RuntimeError, match="stop that one"):
        edge_of(settings)
    edge.close()
    again, _ = edge_of(settings)
    again.close()


def answering(status: int, body: bytes) -> HttpLine:
    return HttpLine("http://tocsin", transport=httpx.MockTransport(lambda request: httpx.Response(status, content=body)))


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (403, b"{}", Refused),
        (400, b"{}", InputError),
        (413, b"{}", InputError),
        (503, b"{}", Unavailable),
        (302, b"", Unavailable),
        (200, b"<html>a captive portal", Unavailable),
        (200, b"x" * (2 << 20), Unavailable),
    ],
)
def test_whatever_answers_instead_of_a_platform_is_told_apart(status: int, body: bytes, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        answering(status, body).send(b"", {})


def test_a_position_is_an_answer() -> None:
    assert answering(200, msgspec.json.encode(Position("p", 3, 4))).send(b"", {}) == Position("p", 3, 4)


def test_certificates_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wanted PEM files"):
        HttpLine("https://tocsin", ca=tmp_path / "absent.pem")


def test_check_status_and_keys_speak_to_people_and_to_programs(settings: Path) -> None:
    runner = CliRunner()
    assert "is in order" in runner.invoke(app, ["check", str(settings)]).output
    assert json.loads(runner.invoke(app, ["check", str(settings), "--json"]).stdout)["rules"][0] == "river_high (flood)"
    absent = runner.invoke(app, ["status", str(settings)])
    assert absent.exit_code == 1
    assert "has the node ever run" in absent.output
    key = json.loads(runner.invoke(app, ["keys", str(settings), "--json"]).stdout)["public_key"]
    assert key in runner.invoke(app, ["keys", str(settings)]).output, "the key is made once"
    edge, _ = edge_of(settings)
    edge.node.take(reading(START, 2.5, sites=("weir",)))
    edge.write_status()
    edge.close()
    told = runner.invoke(app, ["status", str(settings)])
    assert told.exit_code == 1, "what was written long ago is not running"
    assert "weir" in told.output
    assert "2.5 m" in told.output
    assert json.loads(runner.invoke(app, ["status", str(edge.settings.data), "--json"]).stdout)["is_running"] is False
    assert runner.invoke(app, ["run", str(settings), "--for", "0.1"]).exit_code == 0
    assert json.loads(runner.invoke(app, ["status", str(settings), "--json"]).stdout)["is_running"] is True


def test_an_administrator_enrols_and_dismisses_a_node(tmp_path: Path) -> None:
    clock = WallClock()
    centre = Machine(tmp_path / "centre", clock, CENTRE)  # type: ignore[arg-type]
    users = open_users(centre.ledger.store, clock=clock, gate=RoleGate(), ledger=centre.ledger)
    password = "correct horse battery staple"
    users.create_first_administrator(ADA.name, password)
    centre.stop()
    runner, key = CliRunner(), node_key(tmp_path / "edge").public_key
    place = str(tmp_path / "centre")

    def ask(*arguments: str, typed: str = password) -> tuple[int, str]:
        told = runner.invoke(app, [*arguments, "--as", "ada"], input=typed + "\n")
        return told.exit_code, told.output

    assert ask("enrol", place, "weir-house", key) == (0, "weir-house may send\n")
    assert key in ask("nodes", place)[1]
    assert "dismissed" not in ask("nodes", place)[1]
    assert ask("dismiss", place, "weir-house")[0] == 0
    assert "dismissed" in ask("nodes", place)[1]
    assert ask("dismiss", place, "mill")[0] == 1
    code, words = ask("enrol", place, "mill", key)
    assert (code, "is that of weir-house" in words) == (1, True)
    code, words = ask("enrol", place, "mill", "abc")
    assert (code, "wanted 32 bytes in hexadecimal" in words) == (1, True)
    assert ask("enrol", place, "../mill", key)[0] == 1
    assert ask("enrol", place, "mill", key, typed="wrong")[0] == 1
    assert runner.invoke(app, ["enrol", place, "mill", key]).exit_code == 1
    with pytest.raises(NotFound):
        Machine(tmp_path / "centre", clock, CENTRE).ledger.find("nothing")  # type: ignore[arg-type]


def test_the_uplink_asks_the_host_for_the_way_out() -> None:
    asked = []
    line = HttpLine(
        "https://tocsin.example.org",
        permit=lambda host, port: asked.append((host, port)),
        transport=httpx.MockTransport(lambda request: httpx.Response(200, content=msgspec.json.encode(Position("p", 0, 0)))),
    )
    assert line.platform() == "p"
    assert asked == [("tocsin.example.org", 443)]
    with pytest.raises(Unavailable, match="no network"):
        HttpLine("https://tocsin.example.org", permit=NoNetwork().permit).platform()
    with pytest.raises(InputError, match="wanted https://HOST"):
        HttpLine("https://")


def test_a_reserve_that_a_crash_left_in_part_is_made_whole(tmp_path: Path) -> None:
    (tmp_path / "reserve").write_bytes(b"a part")
    assert Reserve(tmp_path, 1 << 20).is_held
    assert (tmp_path / "reserve").stat().st_size == 1 << 20


def test_a_fault_in_the_status_does_not_end_the_node(
    settings: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    edge, _ = edge_of(settings)
    monkeypatch.setattr(edge, "status", lambda: {}["a fault of ours"])
    edge.write_status()
    edge.close()
    assert "status_fault" in caplog.text
