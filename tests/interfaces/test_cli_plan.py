"""Plans from the command line: shown, changed, checked, and compared on the same futures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_place import build_place, run

from tocsin.flows.decision import check, compare_plans, own_plans
from tocsin.flows.information import foresee
from tocsin.flows.plan_files import plan_from_toml, plan_to_toml
from tocsin.interfaces.cli.scenario import Asked, scenario_of
from tocsin.pack import find_pack
from tocsin.platform.twin import open_twin
from tocsin.vocabulary import InputError

LEVEL = ("--level", "2.1m@lake", "--hours", "2", "--rise", "30min")


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("place"))


def mine(tmp_path: Path, twin: Path, *changes: tuple[str, str], name: str = "evacuate") -> Path:
    """A plan of the pack, changed by hand."""
    text = run("plan", "show", twin, name, "--toml")[1]
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_the_packs_plans_are_listed_for_the_place(twin: Path) -> None:
    code, out, _ = run("plan", "list", twin, "--json")
    assert code == 0
    assert {"wait and watch", "warn", "evacuate", "raise barriers"} <= {p["name"] for p in json.loads(out)}
    assert "evacuate (from orange" in run("plan", "list", twin)[1]


def test_a_plan_goes_through_toml_and_stays_the_same_plan(twin: Path) -> None:
    place = open_twin(twin)
    for plan in own_plans(place.world(place.manifest.created), "flood").values():
        assert plan_from_toml(plan_to_toml(plan), where="here").digest() == plan.digest()


def test_a_plan_is_shown_for_people_for_programs_and_to_be_changed(twin: Path) -> None:
    assert "only while: hours < 6 h" in run("plan", "show", twin, "evacuate")[1]
    told = json.loads(run("plan", "show", twin, "evacuate", "--json", "--toml")[1])
    assert plan_from_toml(told["toml"], where="here").digest() == told["digest"]


def test_a_changed_plan_is_checked_and_compared_with_the_packs(twin: Path, tmp_path: Path) -> None:
    file = mine(tmp_path, twin, ('name = "evacuate"', 'name = "evacuate late"'))
    assert json.loads(run("plan", "check", twin, file, "--json")[1])["ok"] is True
    code, out, err = run(
        "plan",
        "compare",
        twin,
        "wait and watch",
        file,
        "raise barriers",
        *LEVEL,
        "--members",
        "4",
        "--save",
        tmp_path / "c.json",
        "--json",
    )
    assert code == 0, err
    told = json.loads(out)
    assert {s["plan"] for s in told["scores"]} == {"wait and watch", "evacuate late", "raise barriers"}
    assert [s["rank"] for s in told["scores"]] == [1, 2, 3]
    assert told["recommended"] == told["scores"][0]["plan"] != "wait and watch"
    assert told["runner_up"] == told["scores"][1]["plan"]
    assert {len(v) for v in told["harm_by_future"].values()} == {4}
    assert told["doubt"].startswith("It is best")
    assert told["made_up"] is True
    assert json.loads((tmp_path / "c.json").read_text())["scores"] == told["scores"]


def test_people_read_the_recommendation_first_and_why(twin: Path) -> None:
    code, out, _ = run("plan", "compare", twin, "warn", "wait and watch", *LEVEL, "--members", "3")
    assert code == 0
    assert "Shoreham  MADE UP: 2 plans, each on the same 3 futures" in out
    assert "Recommended: " in out
    assert "2. " in out


def test_who_is_left_without_a_service_and_who_is_caught_on_the_road_is_told_where_asked_for(twin: Path, tmp_path: Path) -> None:
    saved = tmp_path / "told.json"
    words = ("plan", "compare", twin, "warn", "evacuate", *LEVEL, "--members", "2", "--save", saved)
    code, out, _ = run(*words, "--traffic", "--limit", "people_caught_on_road <= 100000")
    assert code == 0
    assert "without nearest hospital" in out  # the place has a hospital
    assert "drives on the twin's streets; unverified there: persons per vehicle" in " ".join(out.split())
    told = json.loads(saved.read_text())
    assert told["traffic"] is True
    figures = told["scores"][0]["figures"]
    assert {"people_caught_on_road", "people_held_up", "people_without_nearest_hospital", "hospitals_out"} <= figures.keys()
    out = run(*words)[1]
    assert "who leaves meets no traffic" in " ".join(out.split())
    assert "people_caught_on_road" not in json.loads(saved.read_text())["scores"][0]["figures"]


def test_the_command_and_a_notebook_rank_alike(twin: Path) -> None:
    told = json.loads(run("plan", "compare", twin, "warn", "raise barriers", *LEVEL, "--members", "3", "--json")[1])
    place, pack = open_twin(twin), find_pack("flood")
    world = place.world(place.manifest.created)
    asked = Asked(["2.1m@lake"], None, [], "30min", "", 2.0, 3, 0, [])
    result = foresee(place, "flood", scenario_of(world, pack.models[0], asked), time=world.time)
    own = own_plans(world, "flood")
    compared = compare_plans(result, [own["warn"], own["raise barriers"]])
    assert [(s["plan"], s["harm"]["mean"]) for s in told["scores"]] == [(s.plan, s.harm.mean) for s in compared.scores]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([('name = "warn everybody"', 'name = "warn everybody"\nafter = ["evacuate Shore"]')], "wait for each other in a circle"),
        ([("hours < 6 h", "flooded_share@Shore < 0 %")], "can never hold"),
        ([("hours < 6 h", "moon@Shore < 6 h")], "no fact 'moon@Shore'"),
        ([("hours < 6 h", "hours < 6")], "6 has no unit; wanted e.g. 6 s or 6 min or 6 h"),
        ([('target = "Shore"', 'target = "Atlantis"')], "no zone 'Atlantis'"),
        ([('verb = "move_population"', 'verb = "teleport"')], "no effect 'teleport'"),
        ([("low_min = 90.0", "low_min = nan")], "duration nan"),
        ([("crew = 2", "crew = 99")], "needs 99 crew"),
        ([('authority = "commander"', 'authority = "wizard"')], "no role"),
    ],
    ids=["circle", "impossible", "fact", "unit", "zone", "verb", "nan", "crew", "authority"],
)
def test_a_plan_that_could_never_be_carried_out_is_refused(
    twin: Path, tmp_path: Path, changes: list[tuple[str, str]], says: str
) -> None:
    file = mine(tmp_path, twin, *changes)
    for words in (("plan", "check", twin, file), ("plan", "compare", twin, file, *LEVEL)):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        assert says in err
        assert "futures:" not in err  # before anything runs


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "missing required field"),
        (b"name = ", "is no TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b'name = "a"\nhazard = "flood"\nsummary = ""\nactions = []\nlevel = "pink"', "level = 'pink'; wanted blue"),
        (b'name = "a"\nhazard = "fire"\nsummary = ""\nactions = []', "is a plan for 'fire'; wanted 'flood'"),
        (b'name = "a"\nhazard = "flood"\nsummary = ""\nactions = []\nnonsense = 1', "nonsense"),
        (b'name = "a"\nhazard = "flood"\nsummary = ""\nactions = []', "0 actions"),
        (b"#" * (2**20 + 1), "is larger than 1.0 MB"),
        (b"a = " + b"[" * 20_000, "is no TOML"),
    ],
    ids=["empty", "broken", "binary", "level", "hazard", "field", "no_actions", "huge", "deep"],
)
def test_a_file_that_is_no_plan_is_told_as_such(twin: Path, tmp_path: Path, text: bytes, says: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_bytes(text)
    code, out, err = run("plan", "check", twin, file)
    assert (code, out) == (1, "")
    assert says in err
    assert "bug of Tocsin" not in err


def test_an_unknown_plan_is_told_with_those_that_there_are(twin: Path) -> None:
    code, _, err = run("plan", "show", twin, "pray")
    assert code == 1
    assert "no plan of the flood pack here; there are: wait and watch" in err


def test_two_plans_of_one_name_are_not_compared(twin: Path) -> None:
    assert "wanted each name once" in run("plan", "compare", twin, "warn", "warn", *LEVEL, "--members", "2")[2]


def test_check_raises_for_a_notebook_too(twin: Path) -> None:
    place = open_twin(twin)
    world = place.world(place.manifest.created)
    plan = own_plans(world, "flood")["evacuate"]
    check(plan, world)
    with pytest.raises(InputError, match="no zone"):
        check(plan_from_toml(plan_to_toml(plan).replace('target = "Shore"', 'target = "Atlantis"'), where="here"), world)


def test_plans_are_suggested_with_where_they_come_from_and_can_be_compared_at_once(twin: Path, tmp_path: Path) -> None:
    words = ("plan", "suggest", twin, *LEVEL, "--members", "4", "--save", tmp_path / "plans")
    code, out, err = run(*words, "--json")
    assert code == 0, err
    rows = json.loads(out)
    assert [row["origin"] for row in rows] == sorted((row["origin"] for row in rows), key=["search", "case", "library"].index)
    found = next(row for row in rows if row["origin"] == "search")
    assert "no doctrine" in found["plan"]["basis"][-1]
    assert any("evacuate" in row["plan"]["name"] for row in rows if row["origin"] == "case")  # the Ahr speaks for it
    written = tmp_path / "plans" / "optimised.toml"
    assert run("plan", "check", twin, written)[0] == 0
    code, out, err = run("plan", "compare", twin, written, "wait and watch", *LEVEL, "--members", "4", "--json")
    assert code == 0, err
    assert json.loads(out)["recommended"] == "optimised"
    assert run(*words)[0] == 1  # the folder is there already
