"""`tocsin observations` and its HTTP interface: the same questions, from outside."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from history_place import HOUR, LEVEL, MINUTE, NOW, RAIN, T0, batch
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tocsin.edge import CsvColumns, Spool, read_csv
from tocsin.interfaces.cli import app
from tocsin.interfaces.compacting import compact_on_a_timer
from tocsin.interfaces.http import make_app
from tocsin.platform.history import History, compact
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["observations", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    spool = Spool(tmp_path / "centre" / "readings")
    times = T0 + np.arange(48) * HOUR
    spool.append([batch(times, np.arange(48) / 4, sites=("weir",)), batch(times[:3], [1, 0, 2], quantity=RAIN, sites=("mill",))])
    compact(tmp_path / "centre", now=NOW)
    spool.append([batch(T0 + 48 * HOUR + np.arange(2) * MINUTE, [90, 91], flag=[4, 1])])
    spool.close()
    return tmp_path / "centre"


def test_list_says_what_there_is_with_its_unit(data: Path) -> None:
    code, told, _ = run("list", data, "--json")
    rows = json.loads(told)
    assert (code, [(r["quantity"], r["unit"], r["readings"], r["in_log"]) for r in rows]) == (
        0,
        [("rain_amount", "mm", 3, 0), ("river_level", "m", 48, 2)],
    )
    assert rows[1]["from"] == "2026-03-01T00:00:00Z"
    assert "river_level [m]" in run("list", data)[1]


def test_query_shows_the_newest_and_says_that_there_are_more(data: Path) -> None:
    code, told, _ = run("query", data, "river_level", "--limit", 2, "--json")
    found = json.loads(told)
    assert (code, found["unit"], found["more"]) == (0, "m", True)
    assert [r["value"] for r in found["readings"]] == [11.75, 91.0]
    assert [
        r["value"]
        for r in json.loads(run("query", data, "river_level", "--limit", 1, "--flags", "good", "--json")[1])["readings"]
    ] == [91]
    text = run("query", data, "river_level", "--limit", 2)[1]
    assert "91 m" in text
    assert "--limit shows more" in text


def test_mine_adds_up_over_days_of_a_zone(data: Path) -> None:
    words = ("mine", data, "river_level", "--every", "day", "--time-zone", "Europe/Vienna", "--quantiles", "0.5", "--json")
    found = json.loads(run(*words)[1])
    assert [(r["from"], r["count"]) for r in found["rows"]] == [
        ("2026-02-28T23:00:00Z", 23),
        ("2026-03-01T23:00:00Z", 24),
        ("2026-03-02T23:00:00Z", 2),
    ]
    assert found["unit"] == "m"
    text = run("mine", data, "rain_amount")[1]
    assert "mill" in text
    assert "(mm)" in text


def test_mine_tells_gaps_and_writes_files(data: Path, tmp_path: Path) -> None:
    words = ("mine", data, "rain_amount", "--gaps-over", "90min", "--since", "2026-03-01T00:00Z", "--until", "2026-03-01T06:00Z")
    assert "2026-03-01T02:00:00Z .. 2026-03-01T06:00:00Z  4.00 h" in run(*words)[1]
    code, _, errors = run("mine", data, "river_level", "--every", "1d", "-o", tmp_path / "days.csv")
    assert (code, "written:" in errors) == (0, True)
    assert len((tmp_path / "days.csv").read_text().splitlines()) == 4


def test_export_writes_a_file_whole_with_its_positions(data: Path, tmp_path: Path) -> None:
    places = tmp_path / "places.csv"
    places.write_text("site,lon,lat,zone\nweir,9.7,47.4,north\n")
    target = tmp_path / "out.geojson"
    code, told, _ = run("export", data, "river_level", "--places", places, "--zone", "north", "-o", target, "--json")
    assert (code, json.loads(told)["readings"]) == (0, 50)
    assert json.loads(target.read_bytes())["features"][0]["geometry"]["coordinates"] == [9.7, 47.4]


def test_compact_tells_what_it_took_and_what_it_dropped_for_good(data: Path) -> None:
    found = json.loads(run("compact", data, "--json")[1])
    assert (found["readings"], found["gone"]) == (2, [])
    text = run("compact", data, "--keep-raw-days", 1)[1]
    assert "raw readings of river_level [m] before" in text
    assert "were replaced by one-hour aggregates" in text
    assert json.loads(run("list", data, "--json")[1])[1]["aggregated"] == 50


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("query", "wind"), "no observations of wind; there are: rain_amount [mm], river_level [m]"),
        (("query", "river_level", "--since", "2026-03-01"), "in which time zone?"),
        (("query", "river_level", "--bbox", "1,2,3"), "wanted WEST,SOUTH,EAST,NORTH"),
        (("query", "river_level", "--bbox", "1,2,3,4"), "nobody said where the sites are"),
        (("query", "river_level", "--since", "2026-03-02T00Z", "--until", "2026-03-01T00Z"), "turn them round"),
        (("mine", "river_level", "--every", "often"), "wanted a duration"),
        (("mine", "river_level", "--by", "zone"), "in which zone a site lies"),
        (("mine", "river_level", "--quantiles", "5"), "numbers of 0 to 1"),
        (("export", "river_level", "-o", "/nowhere/a.csv"), "there is no folder /nowhere"),
        (("export", "river_level", "-o", "a.xls"), "says no format"),
    ],
)
def test_a_slip_is_told_with_what_would_do(data: Path, words: tuple[str, ...], told: str) -> None:
    code, said, errors = run(words[0], data, *words[1:], "--json")
    assert code == 1
    assert told in errors
    assert json.loads(said)["error"]["kind"] in ("InputError", "NotFound")


def test_a_folder_that_is_no_data_folder_is_not_made_into_one(tmp_path: Path) -> None:
    code, _, errors = run("compact", tmp_path)
    assert (code, "holds no observations" in errors) == (1, True)
    assert list(tmp_path.iterdir()) == []


def client(data: Path, role: str = "operator") -> TestClient:
    gauges = (SimpleNamespace(site="weir", name="The weir", lon=9.7, lat=47.4, place=0),)
    zones = SimpleNamespace(name=("north",), zone_of=np.array([0]))
    centre: Any = SimpleNamespace(
        folder=data,
        host=SimpleNamespace(gate=RoleGate()),
        twin=SimpleNamespace(gauges=gauges, zones=zones),
        receiver=None,
        session=lambda token, csrf: SimpleNamespace(actor=Actor("ada", frozenset({role}))),
    )
    made = TestClient(make_app(centre))
    made.cookies.set("tocsin_session", "x")
    return made


def test_http_answers_the_same_as_the_command(data: Path) -> None:
    web = client(data)
    assert [r["quantity"] for r in web.get("/api/v1/observations").json()] == ["rain_amount", "river_level"]
    found = web.get("/api/v1/observations/river_level", params={"limit": 2, "zone": "north"}).json()
    assert [(r["value"], r["lon"]) for r in found["readings"]] == [(11.75, 9.7), (91.0, 9.7)]
    plain = web.get("/api/v1/observations/rain_amount").json()
    assert plain["readings"] == json.loads(run("query", data, "rain_amount", "--json")[1])["readings"]
    summary = web.get("/api/v1/observations/river_level/summary", params={"every": "day", "time_zone": "Europe/Vienna"}).json()
    assert (
        summary["rows"]
        == json.loads(run("mine", data, "river_level", "--every", "day", "--time-zone", "Europe/Vienna", "--json")[1])["rows"]
    )
    asked = {"over_s": 5400, "since": "2026-03-01T00:00Z", "until": "2026-03-01T06:00Z"}
    assert [r["gap_s"] for r in web.get("/api/v1/observations/rain_amount/gaps", params=asked).json()["rows"]] == [14400.0]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/wind", 404),
        ("/river_level?sinse=1", 400),
        ("/river_level?flags=best", 400),
        ("/river_level?bbox=1,2,x,4", 400),
        ("/river_level?limit=1000000", 400),
        ("/river_level/summary?every=1s';--", 400),
    ],
)
def test_http_says_what_is_wrong(data: Path, path: str, status: int) -> None:
    answer = client(data).get(f"/api/v1/observations{path}")
    assert (answer.status_code, "message" in answer.json()["error"]) == (status, True)


def test_a_sensor_may_not_read_the_history(data: Path) -> None:
    assert client(data, "sensor").get("/api/v1/observations").status_code == 403


class Ticks:
    """A clock that stands still after some sleeps."""

    def __init__(self, sleeps: int) -> None:
        self.left = sleeps

    async def sleep(self, seconds: float) -> None:
        self.left -= 1
        if self.left < 0:
            await asyncio.Event().wait()


def on_a_timer(data: Path, sleeps: int, notes: int) -> list[str]:
    told: list[str] = []

    async def work() -> None:
        centre: Any = SimpleNamespace(host=SimpleNamespace(clock=Ticks(sleeps)), note=told.append)
        task = asyncio.create_task(compact_on_a_timer(centre, data))
        while not task.done() and (len(told) < notes or centre.host.clock.left >= 0):
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(work(), 60))
    return told


def test_the_timer_compacts_in_a_process_of_its_own_and_puts_what_was_dropped_in_the_log(data: Path) -> None:
    (data / "history.toml").write_text("keep_raw_days = 1\n")
    [told] = on_a_timer(data, 1, 1)
    assert "raw readings of river_level [m] before" in told
    assert History(data).measures()[1].aggregated == 50


def test_a_compaction_that_fails_is_told_once_until_it_heals(data: Path) -> None:
    (data / "history.toml").write_text("keep_raw_days = never\n")
    told = on_a_timer(data, 3, 1)
    assert len(told) == 1
    assert "the readings stay in the log" in told[0]


@pytest.mark.real_data
def test_ten_years_of_hourly_rain_and_a_flash_flood_are_asked_from_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    hydro, data = shared_data / "hydro", tmp_path / "centre"
    spool = Spool(data / "readings")
    for name, quantity, columns in (
        (
            "dornbirnerach_ebnit_rain_q_hourly_1996_2005.csv.gz",
            RAIN,
            {"time": "assumed_time", "value": "rain_mm_h", "unit": "mm"},
        ),
        (
            "usgs_01589330_deadrun_2018-06_5min.csv.gz",
            LEVEL,
            {"time": "datetimeUTC", "value": "USGS:01589330:00065:00000", "unit": "ft"},
        ),
    ):
        plain = tmp_path / name.removesuffix(".gz")
        with gzip.open(hydro / name) as packed, plain.open("wb") as file:
            shutil.copyfileobj(packed, file)
        spool.append([read_csv(plain, CsvColumns(quantity=quantity, one_site=name[:6], zone="UTC", **columns))])
    spool.close()
    assert run("compact", data)[0] == 0
    years = json.loads(run("mine", data, "rain_amount", "--every", "year", "--json")[1])["rows"]
    assert sum(r["count"] for r in years) == 87_650
    assert len(years) == 10
    assert all(1_000 < r["sum"] < 4_000 for r in years)  # mm a year in the northern Alps
    june = json.loads(run("mine", data, "river_level", "--every", "day", "--json")[1])["rows"]
    worst = max(june, key=lambda r: r["max"] or 0)
    assert worst["from"] == "2018-06-03T00:00:00Z"


def test_the_command_runs_as_a_program(data: Path) -> None:
    words = [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()", "observations", "list", str(data), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert [r["quantity"] for r in json.loads(done.stdout)] == ["rain_amount", "river_level"]
    assert datetime.fromisoformat(json.loads(done.stdout)[0]["from"]) == datetime(2026, 3, 1, tzinfo=UTC)
