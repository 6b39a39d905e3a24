"""`tocsin exposure`: two phones, a venue and a health official go the whole way on the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_place import run

PASSWORD = "correct horse battery staple"
PURPOSE = "visit a ward"


def told(*words: str | Path, stdin: str = "") -> Any:
    """The JSON answer of a command that has to succeed."""
    code, out, err = run("exposure", *words, "--json", stdin=stdin)
    assert code == 0, err
    return json.loads(out)


@pytest.fixture
def centre(tmp_path: Path) -> Path:
    code, _, err = run(
        "user",
        "add",
        tmp_path / "centre",
        "hana",
        "--role",
        "administrator",
        "--role",
        "health",
        "--purpose",
        "exercise",
        stdin=f"{PASSWORD}\n",
    )
    assert code == 0, err
    return tmp_path / "centre"


def official(*words: str | Path) -> Any:
    return told(*words, "--as", "hana", stdin=f"{PASSWORD}\n")


def at(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}"


def test_from_a_meeting_to_a_ruling(tmp_path: Path, centre: Path) -> None:
    ill, near, door, out = tmp_path / "ill.phone", tmp_path / "near.phone", tmp_path / "door.json", tmp_path / "published"
    # two days ago: a key is handed out from two hours after its own day on, so yesterday's is not between midnight and two o'clock
    met = (datetime.now(UTC) - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
    told("venue", "new", "Café Lindgren", "--out", door)
    for minutes in (0, 10):
        when = at(met + timedelta(minutes=minutes))
        said = told("device", "say", ill, "--at", when)
        told("device", "hear", near, said["rpi"], said["aem"], "--rssi", "-70", "--seconds", "600", "--at", when)
    stay = ("--entered", at(met), "--left", at(met + timedelta(minutes=40)))
    assert told("device", "visit", near, door, *stay, "--at", at(met + timedelta(hours=1))) == {"words": "Café Lindgren"}

    (code,) = official("code", "issue", centre)["codes"]
    (venue_code,) = official("code", "issue", centre, "--for", "venue")["codes"]
    told("device", "upload", ill, "--onset", f"{met:%Y-%m-%d}", "--code", code, "--out", tmp_path / "up.json")
    told("venue", "notice", door, "--code", venue_code, *stay, "--out", tmp_path / "notice.json")
    for body in ("up.json", "notice.json"):
        assert told("keys", "upload", centre, tmp_path / body) == {"taken": True}
    again, _, err = run("exposure", "keys", "upload", centre, tmp_path / "up.json")
    assert again == 1
    assert "the code is not known, was used, or is over" in err

    number = official("keys", "export", centre, "--out", out)["number"]
    assert sorted(p.name for p in out.iterdir()) == sorted([f"{number}.zip", f"{number}.venues.json", "public-key.pem"])
    taken = told("device", "take", near, out / f"{number}.zip", "--public-key", out / "public-key.pem")
    assert (taken["matched"], taken["visits"]) == (2, 1)
    status = told("device", "status", near, "--for", PURPOSE)
    assert (status["colour"], status["reasons"][0]["near_min"], status["reasons"][0]["venue_min"]) == ("red", 35, 40)
    statement = told("device", "status", near, "--for", PURPOSE, "--challenge", "0f" * 16)
    assert (statement["colour"], "reasons" in statement) == ("red", False)

    form = told("device", "appeal", near, "--for", PURPOSE, "--words", "a wall was between", "--out", tmp_path / "appeal.json")
    filed = told("appeal", "file", centre, tmp_path / "appeal.json")
    assert (filed["id"], filed["ruling"]) == (official("appeal", "list", centre)[0]["id"], None)
    assert form["words"] == "a wall was between"
    official("appeal", "decide", centre, filed["id"], "--verdict", "uphold", "--reason", "A wall is no contact.")
    told("appeal", "file", centre, tmp_path / "appeal.json", "--out", tmp_path / "ruling.json")
    told("device", "rule", near, tmp_path / "ruling.json", "--public-key", out / "public-key.pem")
    assert told("device", "status", near, "--for", PURPOSE)["colour"] == "green"
    told("device", "forget", near)
    assert told("device", "status", near, "--for", PURPOSE)["colour"] == "unknown"


def test_flows_are_told_once_a_day_and_never_below_the_threshold(tmp_path: Path, centre: Path) -> None:
    zones, journeys = tmp_path / "zones.txt", tmp_path / "journeys.csv"
    zones.write_text("north\nsouth\nport\n")
    journeys.write_text("day,from,to\n" + "2026-05-01,north,south\n" * 400 + "2026-05-01,port,north\n" * 3)
    (day,) = official("flows", centre, journeys, "--zones", zones, "--k", "10", "--slip", "0.000001")
    cells = {(c["source"], c["target"]): c["persons"] for c in day["cells"]}
    assert len(cells) == 9
    assert abs(cells["north", "south"] - 400) < 60  # beyond it: 6e-27, the tail of the noise at epsilon 1
    assert cells["port", "north"] is None
    assert day["told_from"] >= 10
    code, _, err = run("exposure", "flows", centre, journeys, "--zones", zones, "--as", "hana", stdin=f"{PASSWORD}\n")
    assert code == 1
    assert "were told already" in err


@pytest.mark.parametrize(
    ("line", "words"), [("2026-05-01,north,moon", "line 2"), ("yesterday,north,south", "line 2"), ("2026-05-01,north", "line 2")]
)
def test_a_journey_that_is_none_is_named_by_its_line_and_costs_no_privacy(
    tmp_path: Path, centre: Path, line: str, words: str
) -> None:
    zones, journeys = tmp_path / "zones.txt", tmp_path / "journeys.csv"
    zones.write_text("north\nsouth\n")
    journeys.write_text(f"day,from,to\n{line}\n")
    code, _, err = run("exposure", "flows", centre, journeys, "--zones", zones, "--as", "hana", stdin=f"{PASSWORD}\n")
    assert code == 1
    assert words in err
    journeys.write_text("day,from,to\n2026-05-01,north,south\n")
    assert official("flows", centre, journeys, "--zones", zones)[0]["day"] == "2026-05-01"


def test_the_drill_says_that_no_phone_differs_and_keeps_what_an_authority_has(tmp_path: Path) -> None:
    done = told("drill", "--phones", "40", "--days", "2", "--positive", "3", "--keep", tmp_path / "had")
    assert (done["differ"], done["positive"]) == (0, 3)
    assert (tmp_path / "had" / "tocsin.db").is_file()
    code, _, err = run("exposure", "drill", "--keep", tmp_path / "had")
    assert code == 1
    assert "is not empty" in err


def test_without_an_officials_password_nothing_is_issued(tmp_path: Path, centre: Path) -> None:
    code, out, _ = run("exposure", "code", "issue", centre, "--as", "hana", stdin="wrong password here\n")
    assert (code, out) == (1, "")
