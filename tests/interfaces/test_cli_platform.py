"""`tocsin limit`, `job`, `library`, `decision`, `execution` and `order` from outside: with a platform that runs, and with the folder of one that does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_place import run
from test_serve import ADA, COMMANDER, Served, drop, serve, twin  # noqa: F401 - two of them are fixtures

from tocsin.host import WallClock
from tocsin.platform.ledger import open_ledger
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import Decision, HardLimits, LibraryPlan, PlanEvent

SCENARIO = """
duration = "6h"
members = 6
seed = 3
[series]
"level@lake" = { level = "3m", rise = "1h" }
"""
PLAN = """
name = "shore"
hazard = "flood"
summary = "Warn the shore, move it when the lake stands high"
level = "blue"
authority = "commander"

[resources]
crew = 2

[[levels]]
name = "II"
level = "orange"
enter = 'level_m@lake >= 1 m'
leave = 'level_m@lake < 0.5 m'
authority = "commander"

[[actions]]
name = "warn the shore"
do = "Sirens at the shore"
role = "police"
duration = { low_min = 5, usual_min = 10, high_min = 20 }
effects = [{ verb = "warn_people", target = "Shore", amount = 1.0 }]

[[actions]]
name = "move the shore"
do = "Door by door"
role = "police"
level = "II"
needs = { crew = 2 }
duration = { low_min = 20, usual_min = 30, high_min = 60 }
effects = [{ verb = "move_population", target = "Shore", amount = 0.9 }]
"""


class Place:
    """A platform that is spoken with by commands: in ada's name, with her password on stdin."""

    def __init__(self, where: str | Path, *more: str | Path) -> None:
        self.where, self.more = where, more

    def does(self, noun: str, verb: str, *words: str | Path, password: str = COMMANDER, by: str = ADA) -> tuple[int, str, str]:
        return run(noun, verb, self.where, *words, "--as", by, *self.more, stdin=f"{password}\n")

    def told(self, noun: str, verb: str, *words: str | Path) -> Any:
        code, out, err = self.does(noun, verb, *words, "--json")
        assert code == 0, (out, err)
        return json.loads(out)

    def refuses(self, noun: str, verb: str, *words: str | Path, **other: str) -> str:
        code, out, err = self.does(noun, verb, *words, **other)
        assert code == 1, (out, err)
        assert out == ""
        return err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder in which ada is commander and planner."""
    roles = [word for role in ("administrator", "commander", "planner", "operator") for word in ("--role", role)]
    code, _, err = run("user", "add", tmp_path / "centre", ADA, *roles, "--purpose", "exercise", stdin=f"{COMMANDER}\n")
    assert code == 0, err
    return tmp_path / "centre"


@pytest.fixture(params=["running", "stored"])
def place(
    request: pytest.FixtureRequest,
    data: Path,
    twin: Path,  # noqa: F811
    serve: Callable[..., Served],  # noqa: F811
) -> Iterator[Place]:
    if request.param == "stored":
        yield Place(data, "--twin", twin)
        return
    served = serve(data, "--purpose", "exercise").is_up()
    yield Place(served.address.rstrip("/"))
    assert served.stop() == 0


def records(data: Path, kind: type) -> list[Any]:
    ledger = open_ledger(data, clock=WallClock(), gate=RoleGate(), read_only=True)
    try:
        assert ledger.verify() == ledger.size()
        return [entry.record for entry in ledger.read() if isinstance(entry.record, kind)]
    finally:
        ledger.close()


def test_limits_are_set_listed_and_undone_signed_by_the_person(place: Place, data: Path) -> None:
    assert "nothing to undo" in place.refuses("limit", "undo")
    assert "no figure 'frogs'" in place.refuses("limit", "set", "frogs <= 0")
    assert "or --none" in place.refuses("limit", "set")
    said = place.told("limit", "set", "people_in_danger@Shore <= 0, 10%", "cost < 100000", "--reason", "no way out")
    assert said["limits"] == ["people_in_danger@Shore <= 0, 10%", "cost < 100000"]
    code, out, err = place.does("limit", "list")
    assert code == 0, err
    assert "people_in_danger@Shore <= 0, 10%\ncost < 100000\n" in out
    assert "by ada: no way out" in out
    assert place.told("limit", "undo")["limits"] == []
    assert place.told("limit", "undo", "--reason", "it was right")["limits"] == said["limits"]
    assert place.told("limit", "set", "--none")["limits"] == []
    written = records(data, HardLimits)
    assert [(r.signer, r.reason) for r in written] == [(ADA, "no way out"), (ADA, "undo"), (ADA, "it was right"), (ADA, "")]


def test_nothing_is_done_in_a_name_whose_password_is_wrong_or_whose_role_is_not_enough(place: Place, data: Path) -> None:
    assert "is wrong" in place.refuses("limit", "set", "cost < 5", password="wrong horse battery")
    assert "is wrong" in place.refuses("limit", "list", by="nobody")
    assert "stdin has ended" in run("limit", "list", place.where, "--as", ADA, *place.more)[2]
    assert records(data, HardLimits) == []


def test_a_plan_is_saved_shown_replaced_removed_and_each_is_undone(place: Place, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "shore.toml"
    file.write_text(PLAN.replace('"Shore"', '"Shoal"'))
    assert "no zone 'Shoal'" in place.refuses("library", "save", file)
    assert "never had a plan 'shore'" in place.refuses("library", "undo", "shore")
    file.write_text(PLAN)
    first = place.told("library", "save", file)
    assert ("shore", ADA) in {(p["name"], p["saved_by"]) for p in place.told("library", "list")}
    code, toml, err = place.does("library", "show", "shore")
    assert code == 0, err
    other = tmp_path / "other.toml"
    other.write_text(toml.replace("high_min = 60", "high_min = 90"))
    second = place.told("library", "save", other)
    assert second["digest"] != first["digest"]
    assert place.told("library", "undo", "shore")["digest"] == first["digest"]
    assert place.told("library", "undo", "shore")["digest"] == second["digest"]
    place.told("library", "remove", "shore")
    assert "shore" not in {p["name"] for p in place.told("library", "list")}
    assert "no plan 'shore'" in place.refuses("library", "show", "shore")
    assert place.told("library", "undo", "shore")["digest"] == second["digest"]
    assert [r.removed for r in records(data, LibraryPlan)] == [False, False, False, False, True, False]


def test_the_first_saving_of_a_plan_is_undone_by_taking_it_out(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "shore.toml"
    file.write_text(PLAN)
    saved = place.told("library", "save", file)
    assert place.told("library", "undo", "shore")["digest"] == ""
    assert "shore" not in {p["name"] for p in place.told("library", "list")}
    assert place.told("library", "undo", "shore")["digest"] == saved["digest"]


def test_futures_are_run_plans_compared_on_them_and_plans_looked_for(place: Place, tmp_path: Path) -> None:
    storm = tmp_path / "storm.toml"
    storm.write_text(SCENARIO)
    assert "no scenario of the moment" in place.refuses("job", "compare")
    assert "no water 'pond'" in place.refuses(
        "job", "compare", "--scenario", _written(tmp_path, SCENARIO.replace("lake", "pond"))
    )
    ran = place.told("job", "futures", "storm", "--scenario", storm, "--watch")
    assert (ran["state"], ran["result"]["done"]) == ("done", 6)
    compared = place.told("job", "compare", "--futures", "storm", "--hour", "3", "--all", "--limit", "cost < 1", "--watch")
    assert {breach["limit"] for s in compared["comparison"]["scores"] for breach in s["limits"]} == {"cost < 1"}
    code, out, err = place.does("job", "show", compared["id"])
    assert code == 0, err
    assert f"Recommended: {compared['comparison']['recommended']}" in out
    assert "BREAKS" in out
    suggested = place.told("job", "suggest", "--futures", "storm", "--watch")
    assert all("[[actions]]" in one["toml"] for one in suggested["result"]["suggested"])
    jobs = place.told("job", "list")
    assert [(job["kind"], job["by"]) for job in jobs["jobs"]] == [("suggest", ADA), ("compare", ADA), ("futures", ADA)]
    assert jobs["futures"] == [{"name": "storm", "hazard": "flood", "done": 6, "members": 6, "failed": 0}]
    assert "only a running one" in place.refuses("job", "stop", compared["id"])


def _written(folder: Path, text: str) -> Path:
    file = folder / "written.toml"
    file.write_text(text)
    return file


def test_a_job_of_a_running_platform_is_watched_and_stopped(
    serve: Callable[..., Served],  # noqa: F811
    data: Path,
    tmp_path: Path,
) -> None:
    served = serve(data, "--purpose", "exercise").is_up()
    place = Place(served.address)
    begun = place.told("job", "compare", "--scenario", _written(tmp_path, SCENARIO.replace("members = 6", "members = 500")))
    assert begun["state"] == "running"
    place.told("job", "stop", begun["id"])
    code, out, _ = place.does("job", "watch", begun["id"])
    assert code == 1
    assert "cancelled" in out
    assert served.stop() == 0


def test_a_level_that_asks_is_agreed_to_and_the_plan_ended_signed_running_and_stored(
    serve: Callable[..., Served],  # noqa: F811
    data: Path,
    twin: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    stored = Place(data, "--twin", twin)
    stored.told("library", "save", _written(tmp_path, PLAN))
    served = serve(data, "--purpose", "exercise").is_up()
    served.sign_in()
    place = Place(served.address)
    assert "no plan was decided for" in place.refuses("execution", "show", "shore")
    assert place.does("execution", "list")[1] == "No plan was decided for yet.\n"
    drop(data, "river_level", [("quay", timedelta(minutes=1), 2.2)])
    compared = served.wait_until("/comparisons", len)[0]
    score = next(s for s in compared["scores"] if s["plan"] == "shore")
    verdict = {"comparison": compared["id"], "plan": "shore", "plan_digest": score["digest"], "verdict": "approve"}
    status, decided = served.ask("/decisions", verdict | {"comment": "", "password": COMMANDER})
    assert status == 200, decided
    served.wait_until("/executions", lambda rows: rows[0]["levels"][0]["phase"] == "proposed")
    assert "LEVEL II ASKS for the agreement of the commander" in place.does("execution", "list")[1]
    assert "waits for level II" in place.does("execution", "show", "shore")[1]
    assert "no level 'III'" in place.refuses("execution", "agree", "shore", "III")
    assert place.told("execution", "agree", decided["id"][:20], "II", "--reason", "it rises")["agrees"]
    assert "is not proposed" in place.refuses("execution", "refuse", "shore", "II")
    shown = place.told("execution", "show", "shore")
    assert {a["name"]: a["phase"] for a in shown["actions"]} == {"warn the shore": "running", "move the shore": "running"}
    assert "is written by process" in stored.refuses("execution", "list")
    assert served.stop() == 0
    assert stored.told("execution", "end", "shore", "--reason", "the water falls")["plan"] == "shore"
    assert "over: the water falls" in stored.does("execution", "list")[1]
    signed = [e for e in records(data, PlanEvent) if e.what in ("entered", "ended")]
    assert [(e.what, e.signer, e.reason) for e in signed] == [("entered", ADA, "it rises"), ("ended", ADA, "the water falls")]


def test_a_plan_is_approved_on_the_ranking_that_was_read_and_its_orders_are_reported_on(
    place: Place, data: Path, tmp_path: Path
) -> None:
    assert "no plans were compared yet" in place.refuses("decision", "approve", "shore")
    assert "nothing to decide on" in place.does("decision", "list")[1]
    place.told("library", "save", _written(tmp_path, PLAN))
    storm = _written(tmp_path, SCENARIO)
    first = place.told("job", "compare", "--scenario", storm, "--all", "--watch")["comparison"]["id"]
    assert first in place.does("decision", "list")[1]
    assert "was not compared" in place.refuses("decision", "approve", "shoal")
    assert "say which with --on" in place.refuses("decision", "approve", "shore", "--yes")
    worse = next(s for s in place.told("decision", "show")["scores"] if s["rank"] == 2)
    told = place.refuses("decision", "approve", worse["plan"])
    assert "is recommended, not this plan" in told
    assert "is signed by a person's word only" in told
    assert place.told("decision", "list")["decisions"] == []
    rejected = place.told("decision", "reject", "shore", "--yes", "--on", first, "--comment", "too early")
    assert rejected["orders"] == []
    assert "is decided already" in place.refuses("decision", "approve", "shore", "--yes", "--on", first)
    second = place.told("job", "compare", "--scenario", storm, "--all", "--hour", "4", "--watch")["comparison"]["id"]
    assert "there is a newer ranking" in place.refuses("decision", "approve", "shore", "--on", first[:24]) or first == second
    approved = place.told("decision", "approve", "shore", "--yes", "--on", second)
    assert len(approved["orders"]) == 1
    shown = place.told("decision", "show", approved["id"][:20])
    assert (shown["id"], shown["decided"]["id"], shown["decided"]["signature_ok"]) == (second, approved["id"], True)
    assert "shore was rejected by ada: too early" in place.does("decision", "list")[1]
    assert "wanted one of" in place.refuses("order", "report", "warn the shore", "eaten")
    assert "no order 'dance'" in place.refuses("order", "report", "dance", "done")
    for state in ("acknowledged", "started", "done"):
        place.told("order", "report", "warn the shore", state, "--text", "all heard")
    assert place.told("order", "list")[0]["state"] == "done"
    assert "done by ada: all heard" in place.does("order", "list")[1]
    assert [(d.verdict, d.comment, d.signer) for d in records(data, Decision)] == [
        ("reject", "too early", ADA),
        ("approve", "", ADA),
    ]


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("http://tocsin.example.org", "the password would go over the network in clear"),
        ("http://127.0.0.1:9/api", "is no address of a platform"),
        ("http://ada:secret@127.0.0.1:9", "is no address of a platform"),
        ("ftp://127.0.0.1", "is no address of a platform"),
        ("http://127.0.0.1:1", "is it running"),
        ("nowhere", "wanted --twin"),
    ],
)
def test_where_no_platform_is_that_is_said(where: str, says: str) -> None:
    assert says in Place(where).refuses("limit", "list")


def test_a_folder_that_is_none_of_a_platform_is_told_and_nothing_is_made(twin: Path, tmp_path: Path) -> None:  # noqa: F811
    assert "there is no such data folder" in Place(tmp_path / "none", "--twin", twin).refuses("limit", "list")
    assert not (tmp_path / "none").exists()
