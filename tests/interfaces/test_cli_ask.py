"""`tocsin ask`: what a person sees, and that HTTP and Python give the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_place import build_place, run

import tocsin.pack
from asked_pack import asked_pack
from tocsin.flows.questions import ask


@pytest.fixture(autouse=True)
def pack(monkeypatch: pytest.MonkeyPatch) -> None:
    packs = {"flood": asked_pack()}
    monkeypatch.setattr(tocsin.pack, "find_packs", lambda: packs)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "warm.csv"
    path.write_text("time,temperature [degC]\n" + "".join(f"2024-05-{day:02},{day}\n" for day in range(1, 21)))
    return path


def test_a_pack_alone_lists_what_it_can_be_asked() -> None:
    code, out, _ = run("ask", "flood")
    assert code == 0
    assert "warmth: how warm it was" in out
    assert "column temperature (or t2m, temp), [degC]: how warm" in out
    assert "column site, text, may be left out: where" in out
    assert "--set warmer_degC=0 (-5 .. 5 degC): added to each" in out
    assert "is asked of a place: --twin FOLDER" in out
    assert [row["name"] for row in json.loads(run("ask", "flood", "place", "--json")[1])] == ["place"]
    assert "no question 'tide'" in run("ask", "flood", "tide")[2]


def test_a_page_shows_figures_with_doubt_both_ends_of_the_table_and_what_has_to_be_told(table: Path) -> None:
    code, out, err = run("ask", "flood", "warmth", table, "--set", "warmer_degC=1")
    assert code == 0, err
    assert "mean: 11.5 degC (2 to 21)" in out
    assert "warmth [degC]" in out
    assert "2024-05-06" in out
    assert "2024-05-07" not in out  # left out in the middle
    assert "2024-05-20" in out
    assert "20 rows in all" in out
    assert "source: a test\nlimits: nothing but tests" in out


def test_json_is_what_the_python_function_gives(table: Path) -> None:
    told = json.loads(run("ask", "flood", "warmth", table, "--json")[1])
    asked = ask("flood", "warmth", table.read_bytes()).facts()
    assert told["table"] == asked["table"]
    assert len(told["table"]["warmth"]) == 20
    assert told["figures"] == asked["figures"]


def test_the_table_is_saved(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    code, _, err = run("ask", "flood", "warmth", table, "--save", out)
    assert code == 0, err
    assert out.read_text().splitlines()[20] == "2024-05-20T00:00:00Z,20.0,"
    code, _, err = run("ask", "flood", "warmth", table, "--save", tmp_path / "out.doc")
    assert code == 1
    assert "wanted .csv or .parquet" in err


def test_a_question_of_a_place_is_asked_of_its_twin(tmp_path: Path) -> None:
    sites = tmp_path / "sites.csv"
    sites.write_text("site\na\n")
    assert "give its twin with --twin" in run("ask", "flood", "place", sites)[2]
    twin = build_place(tmp_path / "place")
    told = json.loads(run("ask", "flood", "place", sites, "--twin", twin, "--json")[1])
    assert told["figures"]["cells"]["mean"] == 16 * 24
    assert told["twin"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, err = run("ask", "flood", "warmth", tmp_path / "none.csv")
    assert code == 1
    assert "there is no such file" in err
