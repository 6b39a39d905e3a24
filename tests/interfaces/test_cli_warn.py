"""Warnings as CAP from the command line: read what others send, follow up what was sent, and never anything real without a person."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tocsin.interfaces.cli import app
from tocsin.platform.exchange import Area, Category, MsgType, Polygon, Status, Words, draft_alert, read_cap, release, write_cap
from tocsin.vocabulary import Level

SENT = datetime(2024, 5, 5, 12, tzinfo=UTC)
SQUARE = Polygon(((-51.3, -30.1), (-51.2, -30.1), (-51.2, -30.0), (-51.3, -30.0), (-51.3, -30.1)))


def run(*words: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(w) for w in words])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def exercise(tmp_path: Path) -> Path:
    """An exercise message that went out."""
    draft = draft_alert(
        identifier="poa.1",
        sender="centre@poa.example",
        sent=SENT,
        level=Level.ORANGE,
        category=Category.MET,
        words=[Words(language="pt-BR", event="Enchente", headline="O Guaiba sobe", description="5,35 m no Cais Maua")],
        areas=[Area(description="Centro", polygons=(SQUARE,))],
        expires=SENT + timedelta(hours=6),
    )
    sent = release(draft, status=Status.EXERCISE, sent=SENT, exercise="Spring drill")
    path = tmp_path / "sent.xml"
    path.write_bytes(write_cap(sent))
    return path


def test_a_message_is_read_for_people_and_for_programs(exercise: Path) -> None:
    code, out, _ = run("warn", "read", exercise)
    assert code == 0
    assert "Exercise Alert poa.1" in out
    assert "area: Centro (1 polygons" in out
    told = json.loads(run("warn", "read", exercise, "--json")[1])
    assert (told["alert"]["identifier"], told["problems"]) == ("poa.1", [])


@pytest.mark.parametrize("data", [b"", b"not xml", b"<alert/>", b"\xff" * 64, b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"])
def test_bytes_that_are_no_warning_are_told_as_such_and_end_with_1(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.xml"
    path.write_bytes(data)
    code, out, _ = run("warn", "read", path, "--json")
    assert code == 1
    assert json.loads(out)["alert"] is None
    assert json.loads(out)["problems"]


def test_a_huge_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.xml"
    with huge.open("wb") as file:
        file.truncate(2**33)
    for path, says in ((huge, "is larger than 4.0 MB"), (tmp_path / "absent.xml", "no such file"), (tmp_path, "is a folder")):
        code, out, err = run("warn", "read", path)
        assert (code, out) == (1, "")
        assert says in err


def test_an_update_names_the_message_that_it_replaces_and_keeps_its_area(exercise: Path, tmp_path: Path) -> None:
    output = tmp_path / "update.xml"
    words = ("--level", "yellow", "--headline", "O Guaiba desce", "--description", "0,3 m menos")
    code, out, _ = run("warn", "update", exercise, *words, "-o", output, "--json")
    assert code == 0
    told = read_cap(output.read_bytes())
    assert told.problems == ()
    assert told.alert is not None
    assert (told.alert.msg_type, told.alert.status) == (MsgType.UPDATE, Status.DRAFT)
    assert [r.identifier for r in told.alert.references] == ["poa.1"]
    assert told.alert.info[0].area[0].polygons == (SQUARE,)
    assert told.alert.info[0].language == "pt-BR"
    assert json.loads(out)["file"] == str(output)


def test_a_cancel_says_why_and_tells_the_all_clear(exercise: Path) -> None:
    code, out, _ = run("warn", "cancel", exercise, "--reason", "The river is below the quay.", "--headline", "Centro is safe")
    assert code == 0
    told = read_cap(out.encode()).alert
    assert told is not None
    assert (told.msg_type, told.note, told.info[0].headline) == (MsgType.CANCEL, "The river is below the quay.", "Centro is safe")


def test_a_draft_that_never_went_out_cannot_be_followed(exercise: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.xml"
    run("warn", "update", exercise, "--level", "yellow", "--headline", "a", "--description", "b", "-o", draft)
    code, out, err = run("warn", "cancel", draft, "--reason", "no")
    assert (code, out) == (1, "")
    assert "wanted one that was sent and stands" in err


def test_nothing_is_drafted_as_actual(exercise: Path) -> None:
    assert (
        run("warn", "update", exercise, "--level", "red", "--headline", "a", "--description", "b", "--status", "Actual")[0] == 2
    )


@pytest.mark.parametrize(("option", "value", "says"), [("--expires", "6", "has no unit"), ("--expires", "60d", "within 31 days")])
def test_an_end_that_cannot_be_meant_is_refused(exercise: Path, tmp_path: Path, option: str, value: str, says: str) -> None:
    output = tmp_path / "never.xml"
    words = ("--level", "red", "--headline", "a", "--description", "b", option, value, "-o", output)
    code, _, err = run("warn", "update", exercise, *words)
    assert code == 1
    assert says in err
    assert not output.exists()


def test_an_output_that_cannot_be_written_is_told(exercise: Path, tmp_path: Path) -> None:
    words = ("--level", "red", "--headline", "a", "--description", "b", "-o", tmp_path / "absent" / "x.xml")
    code, _, err = run("warn", "update", exercise, *words)
    assert code == 1
    assert "was not written" in err
