"""What a commander reads of a comparison: the page and the picture, made of the same data as `--json`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from cli_place import build_place, run
from PIL import Image, ImageDraw, ImageFont

from tocsin.decision.interpret import Course
from tocsin.decision.limits import limit_of
from tocsin.decision.outcomes import COST, DAMAGE, FAILED, FINISHED_S, HARM, MOVED, Outcomes
from tocsin.decision.rank import rank
from tocsin.decision.setting import Setting, Signal
from tocsin.interfaces.cli.ranking import bar, limit_words, short
from tocsin.interfaces.ranking_picture import BEST, RED, fit, ranking_picture, wrap
from tocsin.pack import Action, Duration, Plan

LEVEL = ("--level", "2.1m@lake", "--hours", "2", "--rise", "30min")


def facts(count: int = 80) -> dict[str, Any]:
    """A comparison in which everything is told: a broken limit, a level beyond which the runner-up is better, a zone that bears most."""
    rng = np.random.default_rng(4)
    level_m = np.linspace(4.2, 6.4, count)
    harm = {
        "warn and close the roads": 90.0 + 420.0 * np.clip(level_m - 4.9, 0.0, None) ** 1.5,
        "evacuate the old town before nightfall": 300.0 + 25.0 * rng.normal(size=count),
        "evacuate everybody at once": 60.0 + 10.0 * rng.normal(size=count),
        "wait and watch": 900.0 + 700.0 * (level_m - 4.2),
    }
    cost = [9_000.0, 64_000.0, 410_000.0, 0.0]
    rows = np.array(list(harm.values()))
    full = {HARM: rows, DAMAGE: 4.1e6 + 2e5 * rows / 100.0, COST: np.repeat(np.array(cost)[:, None], count, 1)}
    full |= {
        FINISHED_S: np.full_like(rows, 9_000.0),
        FAILED: (rng.random(rows.shape) < 0.06).astype(float),
        MOVED: 3_000.0 - rows,
    }
    full |= {"people_cut_off": rows * 0.4}
    split = np.stack([rows * 0.7, rows * 0.25, rows * 0.05], axis=2)
    plans = tuple(Plan(n, "flood", "", (Action("a", "a", "police", Duration(1.0, 1.0, 1.0)),)) for n in harm)
    outcomes = Outcomes(
        plans,
        np.full(count, 1.0 / count),
        full,
        dict.fromkeys(full, "persons") | {DAMAGE: "EUR", COST: "EUR", FINISHED_S: "s", FAILED: "1"},
        ("Ferry Quay", "Riverside", "outside all zones"),
        split,
        ("in hospitals", "over 65"),
        np.stack([rows * 0.02, rows * 0.2], axis=2),
        ((Course(()),) * count,) * 4,
    )
    setting = Setting(
        signals=(Signal("level@river", "the level of river at its peak", "m", level_m),),
        zone_people=np.array([2_100.0, 8_000.0, 30_000.0]),
        group_people=np.array([60.0, 5_000.0]),
        limits=(limit_of("cost < 100000"), limit_of("people_in_danger@Riverside <= 130, 30%")),
        remarks=("vulnerable groups of whom nothing is known here: low income (no layer people_low_income)",),
    )
    done = rank(outcomes, setting=setting)
    return {
        "place": "Shoreham",
        "made_up": True,
        "hazard": "flood",
        "model": "water_runs_over_the_ground",
        "limits": "no sewers; as good as the terrain",
        "futures": count,
        "duration_s": 86_400.0,
        "seed": 7,
        "hour": 3.0,
        "recommended": done.recommended,
        "reason": done.reason,
        "doubt": done.doubt,
        "choice": msgspec.to_builtins(done.choice),
        "scores": msgspec.to_builtins(done.scores),
    }


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_place(tmp_path_factory.mktemp("place"))


def test_a_comparison_is_printed_drawn_and_saved_from_the_same_data(twin: Path, tmp_path: Path) -> None:
    png, saved = tmp_path / "r.png", tmp_path / "r.json"
    words = (
        "plan",
        "compare",
        twin,
        "warn",
        "evacuate",
        *LEVEL,
        "--members",
        "6",
        "--limit",
        "cost < 1",
        "--limit",
        "people_in_danger@Shore <= 1e6",
    )
    code, out, err = run(*words, "--picture", png, "--save", saved, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert json.loads(saved.read_text())["choice"] == told["choice"]
    assert Image.open(png).width == 1400
    assert told["choice"]["runner_up"] == told["runner_up"] == told["scores"][1]["plan"]
    assert [[breach["limit"] for breach in s["limits"]] for s in told["scores"]] == [
        ["cost < 1", "people_in_danger@Shore <= 1e+06"]
    ] * 2
    assert {zone["name"] for zone in told["scores"][0]["zones"]} >= {"Shore", "outside all zones"}
    page = run(*words)[1]
    for label in ("runner-up", "would flip", "ask first", "who bears it", "wins by", "not known"):
        assert f"\n{label}" in page
    assert "✗ BREAKS 100%" in page
    assert " ".join(told["choice"]["equity"].split()) in " ".join(page.split())


def test_a_limit_on_what_there_is_not_is_refused_before_anything_runs(twin: Path) -> None:
    for limit, says in (
        ("moon < 3", "no figure 'moon'"),
        ("people_in_danger@Moon < 3", "no zone 'Moon'"),
        ("cost", "wanted FIGURE OP NUMBER"),
    ):
        code, out, err = run("plan", "compare", twin, "warn", *LEVEL, "--limit", limit)
        assert (code, out) == (1, "")
        assert says in err
        assert "futures:" not in err


def painted(png: bytes, colour: tuple[int, int, int]) -> np.ndarray:  # type: ignore[type-arg]
    return (np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) == colour).all(axis=2)


def test_the_picture_shows_the_best_plan_in_its_colour_and_a_broken_limit_in_red() -> None:
    told = facts()
    told["made_up"] = False
    png = ranking_picture(told)
    assert painted(png, BEST).any()
    assert painted(png, RED).any()
    for score in told["scores"]:
        score["limits"] = [breach | {"broken": False} for breach in score["limits"]]
    assert not painted(ranking_picture(told), RED).any()


def test_a_best_plan_that_breaks_a_limit_is_not_praised_in_green() -> None:
    told = facts()
    told["made_up"] = False
    told["scores"] = [s | {"limits": [b | {"broken": True} for b in s["limits"]]} for s in told["scores"]]
    assert not painted(ranking_picture(told), BEST)[:150].any()
    assert painted(ranking_picture(told), RED)[:150].any()


def test_bars_are_as_long_as_the_harm_that_they_show() -> None:
    told = facts()
    told["scores"] = told["scores"][:1]
    whole = painted(ranking_picture(told), BEST)[200:, 330:].sum(axis=1).max()
    told["scores"][0]["harm"] = {
        name: value / 2 if name != "unit" else value for name, value in told["scores"][0]["harm"].items()
    } | {"high": told["scores"][0]["harm"]["high"]}
    half = painted(ranking_picture(told), BEST)[200:, 330:].sum(axis=1).max()
    assert half == pytest.approx(whole / 2, abs=6)  # the whiskers are drawn over it


def test_long_names_and_many_plans_stay_on_the_sheet() -> None:
    told = facts()
    score = told["scores"][0]
    told["scores"] = [score | {"rank": n, "plan": "evacuate " * 12} for n in range(1, 40)]
    assert Image.open(io.BytesIO(ranking_picture(told))).height < 2_500
    pen, font = ImageDraw.Draw(Image.new("RGB", (1, 1))), ImageFont.load_default(size=20)
    assert all(pen.textlength(line, font=font) <= 300 for line in wrap(pen, "some words " * 20, font, 300))
    assert pen.textlength(fit(pen, "x" * 200, font, 150), font=font) <= 150


def test_a_comparison_from_before_the_choice_was_told_is_still_drawn() -> None:
    told = facts()
    told["choice"] = None
    for score in told["scores"]:
        score["limits"] = []
    assert Image.open(io.BytesIO(ranking_picture(told))).height > 300


def test_amounts_and_limits_are_short_enough_for_a_glance() -> None:
    assert [short(v) for v in (0.4, 999.0, 1_000.0, 4_136_000.0, 2.5e9)] == ["0", "999", "1 k", "4.14 M", "2.5 bn"]
    breach = {"limit": "cost < 1", "chance": 0.0, "low": 0.0, "high": 0.01, "permitted": 0.05, "broken": False}
    assert limit_words([breach]) == "✓ kept"
    assert limit_words([breach, breach | {"high": 0.2}]) == "? not sure"
    assert limit_words([breach | {"broken": True, "chance": 0.3}]) == "✗ BREAKS 30%"
    assert len(bar({"mean": 1.0, "low": 0.0, "high": 3.0}, 3.0)) == len(bar({"mean": 0.0, "low": 0.0, "high": 0.0}, 3.0))
