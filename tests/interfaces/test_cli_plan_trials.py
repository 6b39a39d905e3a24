"""Plan regression from the command line: plans on stored cases and scenarios, and what differs from what is expected."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_place import build_place, run

from tocsin.flows.plan_trials import Expect

SCENARIOS = Path(__file__).parent / "scenarios"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SCENARIOS, tmp_path / "scenarios"))


def tried(twin: Path, *words: str | Path) -> tuple[int, dict[str, Any], str]:
    code, out, err = run("plan", "test", *words, "--twin", twin, "--json")
    return code, json.loads(out), err


def test_expectations_that_hold_end_with_code_0(twin: Path) -> None:
    code, told, err = tried(twin, "evacuate", "raise barriers", "--scenarios", SCENARIOS, "--no-cases")
    assert (code, told["ok"]) == (0, True), err
    assert [one["holds"] for one in told["held"]] == [True] * 3
    assert {row["plan"] for row in told["results"]} == {"evacuate", "raise barriers"}


def test_a_case_of_the_pack_is_played_where_the_place_has_what_it_tells_of(twin: Path) -> None:
    code, told, _ = tried(twin, "warn", "--members", "2", "--hours", "1")
    assert code == 0
    assert {row["trial"] for row in told["results"]} == {"Zhengzhou 7.20 rainstorm"}
    assert told["not_played"] == {
        "Ahr valley flash flood": "its sources do not tell enough to play it",
        "Porto Alegre flood": "this place has no 'Guaíba'",
    }


def test_a_plan_that_has_become_slower_differs_and_ends_with_code_1(twin: Path, tmp_path: Path) -> None:
    text = run("plan", "show", twin, "evacuate", "--toml")[1].replace(
        "low_min = 10.0, usual_min = 15.0, high_min = 30.0", "low_min = 100.0, usual_min = 105.0, high_min = 110.0"
    )
    (tmp_path / "slow.toml").write_text(text)
    code, told, _ = tried(twin, tmp_path / "slow.toml", "--scenarios", SCENARIOS, "--no-cases")
    assert (code, told["ok"]) == (1, False)
    (differs,) = (one for one in told["held"] if not one["holds"])
    assert (differs["expect"]["action"], differs["got"]) == ("evacuate Shore", 0.0)
    code, out, _ = run("plan", "test", tmp_path / "slow.toml", "--twin", twin, "--scenarios", SCENARIOS, "--no-cases")
    assert code == 1
    assert (
        "DIFFERS  the lake rises: evacuate: 'evacuate Shore' starts before 90 min in 0.0% of the futures; expected at least 90.0%"
        in out
    )
    assert "1 of 2 expectations hold" in out


def test_what_came_becomes_what_is_expected_and_holds_the_next_time(twin: Path, mine: Path) -> None:
    file = mine / "lake_rises.toml"
    file.write_text(file.read_text().replace("starts_before_min = 90.0", "starts_before_min = 12.0"))
    before = file.read_text().split("[[expect]]")[0]
    words = ("evacuate", "raise barriers", "--scenarios", mine, "--no-cases")
    assert tried(twin, *words)[0] == 1
    assert tried(twin, *words, "--update")[0] == 0
    assert file.read_text().startswith(before.rstrip())  # what is above stays, comments and all
    kept = tomllib.loads(file.read_text())["expect"]
    assert [e.get("action") for e in kept] == ["warn everybody", "evacuate Shore", None]
    assert kept[1]["in_share"] < 0.9
    assert tried(twin, *words)[0] == 0


def test_a_scenario_without_expectations_gets_one_for_each_figure_and_action(twin: Path, mine: Path) -> None:
    file = mine / "lake_rises.toml"
    file.write_text(file.read_text().split("[[expect]]")[0])
    words = ("evacuate", "--scenarios", mine, "--no-cases")
    assert tried(twin, *words, "--update")[0] == 0
    made = [msgspec.convert(e, Expect) for e in tomllib.loads(file.read_text())["expect"]]
    assert [e.measure for e in made][:3] == ["people_in_danger_most", "failed_share_most", "starts_before_min"]
    code, told, _ = tried(twin, *words)
    assert (code, len(told["held"])) == (0, len(made))


def test_an_expectation_is_left_alone_where_its_plan_is_not_tried(twin: Path, mine: Path) -> None:
    assert tried(twin, "warn", "--scenarios", mine, "--no-cases", "--update")[0] == 0
    was = tomllib.loads((SCENARIOS / "lake_rises.toml").read_text())["expect"]
    assert [msgspec.convert(e, Expect) for e in tomllib.loads((mine / "lake_rises.toml").read_text())["expect"]] == [
        msgspec.convert(e, Expect) for e in was
    ]


@pytest.mark.parametrize(("most", "code"), [(0.0, 1), (1.0, 0)])
def test_a_scenario_may_play_a_case_with_expectations_of_its_own(twin: Path, tmp_path: Path, most: float, code: int) -> None:
    expect = f'[[expect]]\nplan = "warn"\naction = "warn everybody"\nstarts_in_share_most = {most}\n'
    (tmp_path / "z.toml").write_text(f'case = "Zhengzhou 7.20 rainstorm"\nhours = 1.0\nmembers = 1\n{expect}')
    got, told, _ = tried(twin, "warn", "--scenarios", tmp_path, "--no-cases")
    assert (got, told["held"][0]["trial"], told["held"][0]["got"]) == (code, "z", 1.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("level =", "levels ="), "unknown field `levels`"),
        (('"2.1m@lake"', '"2.1@lake"'), "it has no unit"),
        (('warning = "orange"', 'warning = "pink"'), "warning = 'pink'"),
        (("members = 4", "members = 0"), "members = 0"),
        (("starts_before_min = 5.0", ""), "says nothing; wanted one of starts_before_min"),
        (("starts_before_min = 5.0", "failed_share_most = 0.5"), "failed_share_most is about the whole plan"),
        (("in_share = 0.9", "in_share = 90"), "wanted 0 or more, and a share"),
        (
            ('action = "evacuate Shore"', 'action = "evacuate Atlantis"'),
            "an action 'evacuate Atlantis'; there are: warn everybody",
        ),
        (('name = "the lake rises"', 'case = "Atlantis"'), "case 'Atlantis' cannot be played here"),
        (('name = "the lake rises"', 'model = "x"'), "no model 'x'"),
        (('name = "the lake rises"', "name = "), "is no TOML"),
    ],
)
def test_a_scenario_file_that_is_wrong_is_told_with_its_name(twin: Path, mine: Path, change: tuple[str, str], says: str) -> None:
    file = mine / "lake_rises.toml"
    assert change[0] in file.read_text()
    file.write_text(file.read_text().replace(*change, 1))
    code, _, err = run("plan", "test", "evacuate", "--twin", twin, "--scenarios", mine, "--no-cases")
    assert code == 1
    assert says in err
    assert "lake" in err
    assert "bug of Tocsin" not in err


def test_expectations_that_are_not_at_the_end_are_not_written_over(twin: Path, mine: Path) -> None:
    file = mine / "lake_rises.toml"
    text = file.read_text()
    file.write_text(text.replace('[[expect]]\nplan = "raise barriers"', 'expect_not = 1\n[[expect]]\nplan = "raise barriers"', 1))
    code, _, err = run("plan", "test", "evacuate", "--twin", twin, "--scenarios", mine, "--no-cases", "--update")
    assert (code, "expect_not" in err) == (1, True)


def test_nothing_to_run_on_is_told(twin: Path, tmp_path: Path) -> None:
    code, _, err = run("plan", "test", "warn", "--twin", twin, "--no-cases")
    assert (code, "give --scenarios FOLDER" in err) == (1, True)
    code, _, err = run("plan", "test", "warn", "--twin", twin, "--scenarios", tmp_path / "no")
    assert (code, "is no folder" in err) == (1, True)
