"""`tocsin serve` with several hazards on one twin: each is foreseen, compared and decided by itself, by the same people in one ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from cli_place import COLS, ROWS, build_place, feature, geojson, lonlat, run, write_terrain
from test_serve import COMMANDER, PATIENCE_S, Served, Stage, add_ada, drop

from tocsin.flows.following import Followed
from tocsin.interfaces.duty import Duty
from tocsin.interfaces.serving import rules_of
from tocsin.pack import Scenario, find_pack
from tocsin.pack.observed import observed
from tocsin.platform.twin import open_twin
from tocsin.vocabulary import InputError, Level, Quantity, Series

HAZARDS = ("flood", "chemical", "wildfire")
NOSES = {"gate": (12.5, 7.5), "yard": (13.5, 8.5), "dock": (12.5, 9.5)}
AGO = timedelta(minutes=1)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place by the lake with a level gauge, a rain gauge, three noses for chlorine, a wind mast and a camera that knows smoke."""
    folder = tmp_path_factory.mktemp("several")
    limits = {"yellow": 0.5, "orange": 1.0, "red": 2.0, "limits_source": "Shoreham Harbour Board, 2020"}
    features = [
        feature("Point", lonlat(3.5, 8.5), site="quay", name="Quay", quantity="river_level", unit="m", water="lake", **limits),
        feature(
            "Point",
            lonlat(20.5, 4.5),
            site="hill",
            name="Hill",
            quantity="rain_amount",
            unit="mm",
            red=30.0,
            limits_source="test",
        ),
        feature("Point", lonlat(18.5, 5.5), site="camera", name="Camera", quantity="smoke_probability", unit="1"),
        feature("Point", lonlat(14.5, 8.5), site="mast", name="Mast", quantity="wind_speed", unit="m/s"),
        feature("Point", lonlat(14.5, 8.5), site="vane", name="Vane", quantity="wind_from", unit="deg"),
    ]
    features += [
        feature("Point", lonlat(*at), site=site, name=site, quantity="chlorine", unit="ppm") for site, at in NOSES.items()
    ]
    fuel = write_terrain(folder / "fuel.tif", np.full((ROWS, COLS), 3.0))  # tall grass, number 3 of Anderson 1982
    words = "--gauges", geojson(folder / "gauges.geojson", features), "--field", f"fuel_model={fuel}", "--cell", "100"
    return build_place(folder, *words)


def words(*hazards: str) -> list[str]:
    return ["--purpose", "exercise", *(word for hazard in hazards for word in ("--hazard", hazard))]


def verdict(comparison: dict[str, Any]) -> dict[str, Any]:
    best = next(s for s in comparison["scores"] if s["plan"] == comparison["recommended"])
    told = {"comparison": comparison["id"], "plan": best["plan"], "plan_digest": best["digest"]}
    return told | {"verdict": "approve", "comment": "", "password": COMMANDER}


def by_hazard(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The newest row of each hazard."""
    return {row["hazard"]: row for row in reversed(rows)}


def test_a_gauge_sets_the_flood_going_and_a_nose_the_gas_and_a_decision_on_one_leaves_the_other(
    twin: Path, tmp_path: Path
) -> None:
    """One story, told in one test because each step needs the one before."""
    data = tmp_path / "centre"
    add_ada(data, "--purpose", "exercise", "--role", "planner")
    served = Served(twin, data, *words(*HAZARDS)).is_up()
    try:
        served.sign_in()
        assert [row["hazard"] for row in served.get("/status")["hazards"]] == list(HAZARDS)
        assert {g["site"] for g in served.get("/gauges")} == {"quay", "hill", "camera", "mast", "vane", *NOSES}
        drop(data, "river_level", [("quay", 2 * AGO, 0.2), ("quay", AGO, 1.2)])
        (flood,) = served.wait_until("/comparisons", len)
        assert flood["hazard"] == "flood"
        assert [row["level"] for row in served.get("/hazards")] == [Level.ORANGE, 0, 0]

        # a nose warns: its own pack is assessed, and the comparison stands beside the other
        drop(data, "wind_speed", [("mast", k * AGO, 3.0) for k in (20, 10, 1)])
        drop(data, "wind_from", [("vane", k * AGO, 270.0) for k in (20, 10, 1)])
        served.wait_until("/gauges", lambda rows: all(g["value"] is not None for g in rows if g["site"] in ("mast", "vane")))
        rows = [(site, k * AGO, 0.0 if k > 6 else 30.0) for k in (20, 12, 6, 4, 2) for site in NOSES]
        drop(data, "chlorine", rows)
        both = by_hazard(served.wait_until("/comparisons", lambda rows: len(by_hazard(rows)) == 2))
        forecasts = by_hazard(served.get("/forecasts"))
        assert set(both) == set(forecasts) == {"flood", "chemical"}
        assert forecasts["chemical"]["quantity"]["name"] == "aegl2_share"
        causes = {h: {w["hazard"] for w in served.get("/warnings") if w["id"] in f["cause"]} for h, f in forecasts.items()}
        assert causes == {"flood": {"flood"}, "chemical": {"chemical"}}
        drawn = {h: served.get(f"/forecasts/latest?hazard={h}")["id"] for h in both}
        assert drawn == {h: f["id"] for h, f in forecasts.items()}
        assert served.get("/forecasts/latest")["hazard"] == "chemical"  # red, where the water is orange
        assert [row["foremost"] for row in served.get("/hazards")] == [False, True, False]
        assert {p["hazard"] for p in served.get("/plans")} == set(HAZARDS)

        # what is looked at follows the hazard that is named; what is written must name one
        assert "substance" in served.get("/scenario?hazard=chemical")["toml"]
        assert "level@lake" in served.get("/scenario?hazard=flood")["toml"]
        assert served.get("/plans/options?hazard=wildfire")["hazard"] == "wildfire"
        status, told = served.ask("/scenario?hazard=avalanche")
        assert (status, told["error"]["message"]) == (
            404,
            "hazard 'avalanche' is not watched here; watched: flood, chemical, wildfire",
        )
        bare = {"scenario": {"duration": "1h", "members": 2, "seed": 1, "series": {"level@lake": {"value": "1m"}}}}
        status, told = served.ask("/jobs/futures", bare | {"name": "high"})
        assert status == 400
        assert told["error"]["message"] == "hazard: not given, and several are watched; wanted one of flood, chemical, wildfire"
        assert served.ask("/jobs/futures", bare | {"name": "high", "hazard": "flood"})[0] == 200
        served.wait_until("/futures", lambda rows: [(r["name"], r["hazard"], r["done"]) for r in rows] == [("high", "flood", 2)])
        assert served.ask("/jobs/compare", {"futures": "high", "hazard": "chemical"})[0] == 200  # refused when it is opened
        job = served.wait_until("/jobs", lambda jobs: jobs[0]["state"] in ("done", "failed"))[0]
        assert "futures of flood, wanted chemical" in job["why"]

        # from the command line: what is signed is not guessed among hazards, and each waits for its own decision
        def does(*what: str) -> tuple[int, str, str]:
            return run("decision", *what[:1], served.address.rstrip("/"), *what[1:], "--as", "ada", stdin=f"{COMMANDER}\n")

        code, listed, _ = does("list")
        assert code == 0
        assert all(f"{hazard} waits for a decision" in listed for hazard in both)
        code, _, err = does("approve", both["flood"]["recommended"])
        assert code == 1
        assert "give --hazard or --on" in err
        assert does("show", "--hazard", "flood")[1].startswith("flood: ")

        # a decision on the one leaves the other to be decided
        status, decided = served.ask("/decisions", verdict(both["flood"]))
        assert status == 200, decided
        after = {row["id"]: row for row in served.get("/comparisons")}
        assert after[both["flood"]["id"]]["decision"] == decided["id"]
        assert all(row["decision"] is None for row in after.values() if row["hazard"] == "chemical")
        assert [e["plan"] for e in served.get("/executions")] == [both["flood"]["recommended"]]

        # hard limits hold for all, and rank anew what is not decided yet
        status, limited = served.ask("/limits", {"limits": ["people_in_danger <= 0, 10%"], "password": COMMANDER})
        assert status == 200, limited
        assert set(limited["comparisons"]) == {"chemical"}
        assert served.stop() == 0
        assert served.errors == []

        # a restart follows both again, and goes on where it was
        before = served.said
        assert before
        served = Served(twin, data, *words(*HAZARDS)).is_up()
        served.sign_in()
        again = by_hazard(served.get("/comparisons"))
        assert again["chemical"]["id"] == limited["comparison"]
        assert again["chemical"]["scores"][0]["harm_by_future"]
        assert not [e for e in served.get("/records?limit=1000") if "not followed any more" in str(e["record"].get("text", ""))]
        assert served.ask("/decisions", verdict(again["chemical"]))[0] == 200
        assert {d["hazard"] for d in served.get("/decisions")} == {"flood", "chemical"}
        assert len(served.get("/executions")) == 2
        assert {f["hazard"] for f in served.get("/forecasts")} == {"flood", "chemical"}  # nothing was assessed anew

        # the third, which nothing has touched so far
        drop(data, "smoke_probability", [("camera", 3 * AGO, 0.97), ("camera", AGO, 0.97)])  # twice, as its rule wants it
        third = by_hazard(served.wait_until("/comparisons", lambda rows: len(by_hazard(rows)) == 3))["wildfire"]
        assert third["decision"] is None
        assert served.stop() == 0
    finally:
        served.process.kill()
        served.process.wait()


def test_hazards_that_do_not_go_together_are_told_before_anything_begins(twin: Path, tmp_path: Path) -> None:
    code, _, err = run("serve", twin, "--data", tmp_path / "centre", "--hazard", "flood", "--hazard", "flood")
    assert code == 1
    assert "hazard flood: is named twice; wanted each once" in err
    assert not (tmp_path / "centre").exists()
    chemical, wildfire = find_pack("chemical"), find_pack("wildfire")
    kmh = tuple(msgspec.structs.replace(q, unit="km/h") if q.name == "wind_speed" else q for q in wildfire.observes)
    with pytest.raises(InputError, match="quantity wind_speed: chemical declares 0 to 120 m/s, wildfire declares 0 to 120 km/h"):
        observed([chemical, msgspec.structs.replace(wildfire, observes=kmh)])
    same = msgspec.structs.replace(wildfire, rules=(*wildfire.rules, chemical.rules[0]))
    with pytest.raises(InputError, match=f"rule '{chemical.rules[0].name}': is one of chemical and one of wildfire"):
        rules_of([chemical, same], open_twin(twin))


def test_installed_packs_declare_what_they_share_alike_and_name_no_rule_twice(twin: Path) -> None:
    packs = [find_pack(hazard) for hazard in (*HAZARDS, "epidemic")]
    assert isinstance(observed(packs)["wind_speed"], Quantity)
    rules = rules_of(packs, open_twin(twin))
    assert list(rules) == [pack.hazard for pack in packs]


def test_a_gauge_whose_quantity_two_packs_observe_warns_once_for_the_hazard_that_is_named_first(twin: Path) -> None:
    place = open_twin(twin)
    for first, second in (("flood", "wildfire"), ("wildfire", "flood")):
        rules = rules_of([find_pack(first), find_pack(second)], place)
        assert "rain_amount_high" in {rule.name for rule in rules[first]}
        assert "rain_amount_high" not in {rule.name for rule in rules[second]}


def test_hazards_wait_for_each_other_and_one_that_asks_twice_waits_once() -> None:
    stage: Any = Stage(*HAZARDS)
    duty = Duty(stage)
    stage.warn(Level.YELLOW, hazard="flood")
    assert stage.began.acquire(timeout=PATIENCE_S)
    stage.warn(Level.YELLOW, site="gate", hazard="chemical")
    stage.warn(Level.YELLOW, site="camera", hazard="wildfire")
    stage.warn(Level.RED, site="gate", hazard="chemical")
    running = duty._assessing
    for _ in range(2):
        stage.may_end.release()
        assert stage.began.acquire(timeout=PATIENCE_S)
    stage.fails_at = 0
    stage.may_end.release()
    assert running is not None
    running.join(PATIENCE_S)
    warned = [stage.board.warnings[causes[0]] for causes in stage.assessed]
    assert [(w.hazard, w.level) for w in warned] == [
        ("flood", Level.YELLOW),
        ("chemical", Level.RED),
        ("wildfire", Level.YELLOW),
    ]
    duty.close()


def test_lost_futures_of_one_hazard_wait_for_the_assessment_of_another_and_begin_where_they_are_by_then() -> None:
    stage: Any = Stage(*HAZARDS)
    duty = Duty(stage)
    stage.warn(Level.YELLOW, hazard="flood")
    assert stage.began.acquire(timeout=PATIENCE_S)
    gas = stage.watches["chemical"]
    anew = Scenario(3600.0, 2, 1, {}, {"wind_speed": Series.of([0.0, 1800.0], [2.0, 5.0])})
    lost = Followed("forecast-1", 1.0, 50, "wait", "", "verification-1", "", is_lost=True, anew=anew)
    gas.when_lost(gas, lost)
    gas.when_lost(gas, lost)  # asks twice, waits once
    stage.time += timedelta(minutes=10)
    stage.may_end.release()
    assert stage.began.acquire(timeout=PATIENCE_S)
    duty.close()
    assert stage.assessed[1:] == [("verification-1",)]
    begun = stage.scenarios[1]
    assert (begun.duration_s, begun.series["wind_speed"].time_s.tolist()) == (3000.0, [-600.0, 1200.0])
