"""Past emergencies from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from cli_place import run

OURS = {
    "id": "quay-2019",
    "name": "Quay under water",
    "domain": "flood",
    "start": "2019-10-03",
    "observed": {"level_m": 3.4},
    "lessons": ["the pump house needs its own generator"],
}


def test_cases_of_packs_and_of_a_file_are_listed_and_shown(tmp_path: Path) -> None:
    (tmp_path / "ours.json").write_text(json.dumps([OURS]))
    code, out, _ = run("cases", "list", "--file", tmp_path / "ours.json", "--json")
    assert code == 0
    assert {"quay-2019", "flood/Porto Alegre flood"} <= {case["id"] for case in json.loads(out)}
    code, out, _ = run("cases", "show", "Quay under water", "--file", tmp_path / "ours.json")
    assert (code, "lesson: the pump house needs its own generator" in out) == (0, True)


def test_the_likest_case_comes_first_and_says_in_what(tmp_path: Path) -> None:
    (tmp_path / "ours.json").write_text(json.dumps([OURS]))
    words = ("cases", "similar", "--hazard", "flood", "--observed", "level_m=3.5", "--file", tmp_path / "ours.json")
    first = json.loads(run(*words, "--json")[1])[0]
    assert (first["case"]["id"], first["compared"]) == ("quay-2019", 2)
    assert "level_m 3.5 here, 3.4 then" in run(*words)[1]


def test_what_cannot_be_compared_is_refused() -> None:
    code, _, err = run("cases", "similar", "--observed", "level_m=high")
    assert (code, "wanted a number" in err) == (1, True)
    assert run("cases", "similar")[0] == 1
    assert run("cases", "show", "nowhere")[0] == 1
