"""A table of outcomes, ranked: limits, runner-up, what would flip it, what to ask for, who bears it. Small tables, worked out by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats

from tocsin.decision.asking import ask_first
from tocsin.decision.groups import groups_of
from tocsin.decision.interpret import Course
from tocsin.decision.limits import FIGURES, Limit, limit_of
from tocsin.decision.outcomes import COST, DAMAGE, FAILED, FINISHED_S, HARM, MOVED, Outcomes
from tocsin.decision.rank import Ranking, rank
from tocsin.decision.setting import Setting, Signal, signals_of
from tocsin.decision.standing import Standing
from tocsin.pack import Action, Duration, Future, Plan, find_pack
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import (
    Assets,
    Comparison,
    Footprint,
    InputError,
    Quantity,
    Series,
    column,
    decode_record,
    encode_record,
)

NAN = float("nan")
DONE = Course(())


def plan(name: str) -> Plan:
    return Plan(name, "flood", "", (Action("a", "a", "police", Duration(1.0, 1.0, 1.0)),))


def table(harm: dict[str, Any], *, weight: Any = None, **more: dict[str, Any]) -> Outcomes:
    """Outcomes of plans by name; harm and other figures by plan, one number for each future, or one for all."""
    rows = np.array([np.asarray(row, float) for row in harm.values()])
    count = rows.shape[1]
    names = {DAMAGE: 0.0, COST: 0.0, FINISHED_S: 0.0, FAILED: 0.0, MOVED: 0.0}
    figures = {HARM: rows}
    for name in (*names, *(set(more) - {"zones", "groups"})):
        told = more.get(name, {})
        figures[name] = np.array([np.where(np.isnan(rows[k]), NAN, told.get(p, 0.0)) for k, p in enumerate(harm)])
    zones, groups = more.get("zones", {"all": {}}), more.get("groups", {})

    def split(parts: dict[str, Any]) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([np.stack([np.broadcast_to(parts[z].get(p, 0.0), (count,)) for z in parts], axis=1) for p in harm])

    return Outcomes(
        plans=tuple(plan(name) for name in harm),
        weight=np.full(count, 1.0 / count) if weight is None else np.asarray(weight, float),
        figures=figures,
        units=dict.fromkeys(figures, "persons") | {DAMAGE: "EUR", COST: "EUR", FINISHED_S: "s"},
        zones=tuple(zones),
        by_zone=split(zones),
        groups=tuple(groups),
        by_group=split(groups) if groups else np.zeros((len(harm), count, 0)),
        courses=tuple(tuple(None if np.isnan(h) else DONE for h in row) for row in rows),
    )


def order(ranking: Ranking) -> list[str]:
    return [score.plan for score in ranking.scores]


# -- the order, and limits ---------------------------------------------------------------------------------------------------


def test_a_plan_that_breaks_a_limit_more_often_than_is_permitted_stands_below_all_that_keep_it_and_says_so() -> None:
    outcomes = table({"bold": [1.0] * 20, "slow": [9.0] * 20}, cost={"bold": [5.0] * 17 + [50.0] * 3, "slow": 5.0})
    assert order(rank(outcomes)) == ["bold", "slow"]
    done = rank(outcomes, setting=Setting(limits=(limit_of("cost < 10, 10%"),)))
    assert order(done) == ["slow", "bold"]
    breach = done.scores[1].limits[0]
    assert (breach.chance, breach.broken, breach.permitted) == (pytest.approx(0.15), True, 0.1)
    assert breach.low < 0.15 < breach.high
    assert "breaks the limit cost < 10 in 15% of the futures" in done.scores[1].reason
    assert "of those that keep the limits" in done.reason
    assert "'bold' comes next, but breaks a limit" in done.doubt
    (flip,) = [f for f in done.choice.flips if f.kind == "limit"]
    assert flip.plan == "bold"
    assert "Without the limit cost < 10, or with 15% of the futures permitted" in flip.sentence
    assert order(rank(outcomes, setting=Setting(limits=(limit_of("cost < 10, 15%"),)))) == ["bold", "slow"]


def test_a_limit_that_was_never_broken_in_few_futures_is_not_sure_to_be_kept() -> None:
    done = rank(table({"a": [1.0] * 10}), setting=Setting(limits=(Limit(HARM, "<=", 5.0),)))
    assert not done.scores[0].limits[0].broken
    assert "is not sure: broken in 0% of the futures, but it may be 26%" in done.scores[0].reason  # 1 - 0.05^(1/10)


def test_where_every_plan_breaks_a_limit_the_best_of_them_is_first_and_that_is_the_first_thing_told() -> None:
    done = rank(table({"a": [8.0] * 20, "b": [6.0] * 20}), setting=Setting(limits=(Limit(HARM, "<=", 5.0),)))
    assert order(done) == ["b", "a"]
    assert done.reason.startswith("Every plan breaks a limit in more futures than is permitted. Of these, 'b'")


def test_a_budget_that_the_whole_plan_stays_within_is_surely_kept_and_needs_no_futures_to_say_so() -> None:
    lasts = Duration(1.0, 1.0, 1.0)
    dear = Plan("dear", "flood", "", (Action("a", "a", "police", lasts, cost=30.0), Action("b", "b", "police", lasts, cost=40.0)))
    outcomes = msgspec.structs.replace(table({"dear": [1.0] * 4}, cost={"dear": 30.0}), plans=(dear,))
    (sure, unsure) = (
        rank(outcomes, setting=Setting(limits=(limit_of(f"cost < {most}"),))).scores[0].limits[0] for most in (71, 69)
    )
    assert (sure.chance, sure.high) == (0.0, 0.0)
    assert (unsure.chance, unsure.high) == (0.0, pytest.approx(1.0 - 0.05**0.25))  # in other futures b may be done too
    again = msgspec.structs.replace(dear, actions=(msgspec.structs.replace(dear.actions[0], repeat_most=2), dear.actions[1]))
    outcomes = msgspec.structs.replace(outcomes, plans=(again,))
    assert rank(outcomes, setting=Setting(limits=(limit_of("cost < 71"),))).scores[0].limits[0].high > 0.0  # 30 twice and 40


def test_a_limit_can_be_on_the_people_of_one_zone() -> None:
    outcomes = table({"a": [1.0] * 20, "b": [2.0] * 20}, zones={"quay": {"a": 1.0, "b": 0.0}, "hill": {"b": 2.0}})
    assert order(rank(outcomes, setting=Setting(limits=(limit_of("people_in_danger@quay <= 0"),)))) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cost", "wanted FIGURE OP NUMBER"),
        ("cost < many", "wanted FIGURE OP NUMBER"),
        ("cost == 3", "wanted FIGURE OP NUMBER"),
        ("cost < nan", "wanted a number"),
        ("cost < 3, 100%", r"a share in \[0, 1\)"),
        ("cost < 3, -1%", r"a share in \[0, 1\)"),
        ("", "wanted FIGURE OP NUMBER"),
    ],
)
def test_words_that_are_no_limit_are_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        limit_of(text)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["moon < 1"], "no figure 'moon'; there are: .*cost"),
        (["people_in_danger@moon < 1"], "no zone 'moon'; there are: all"),
        (["cost@all < 1"], "only people_in_danger is told by zone"),
        (["cost < 1", "cost < 1, 10%"], "given twice"),
    ],
)
def test_a_limit_on_what_there_is_not_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        rank(table({"a": [1.0]}), setting=Setting(limits=tuple(map(limit_of, words))))


def test_every_figure_that_a_limit_may_name_is_one_that_a_comparison_tells() -> None:
    from tocsin.decision.compare import compare
    from tocsin.decision.futures import Foreseen
    from tocsin.platform.compute import LocalCompute

    pack, world = find_pack("flood"), TinyWorld()
    dry = np.zeros((1, 24), np.float32)
    never = np.full((1, 24), np.inf, np.float32)
    seen = Foreseen((Future(0, 0, 60.0, {}),), Footprint(pack.models[0].makes, 60.0, dry, never, never), (), None, ({},))
    limits = [Limit(name, "<=", 1e9) for name in (*FIGURES, "shelters_lost", "people_in_danger@low")]
    done = compare(world, pack.models[0], pack.harm, seen, [plan("a")], LocalCompute(1), hour=3.0, limits=limits)
    assert len(done.scores[0].limits) == len(limits)
    with pytest.raises(InputError, match="no figure 'hospitals_lost'"):  # there is no hospital here
        compare(
            world,
            pack.models[0],
            pack.harm,
            seen,
            [plan("a")],
            LocalCompute(1),
            hour=3.0,
            limits=[Limit("hospitals_lost", "<=", 0)],
        )


def test_futures_that_observations_speak_for_decide() -> None:
    harm = {"a": [0.0, 10.0], "b": [4.0, 4.0]}
    assert order(rank(table(harm, weight=[0.99, 0.01]))) == ["a", "b"]
    assert order(rank(table(harm, weight=[0.2, 0.8]))) == ["b", "a"]
    assert rank(table(harm, weight=[0.25, 0.75])).scores[1].harm.mean == pytest.approx(7.5)


# -- what was not tried ------------------------------------------------------------------------------------------------------


def test_a_plan_that_was_spared_the_bad_futures_is_not_better_for_it() -> None:
    """`a` was tried in the two mild futures only, and is one person worse there; in all four it would be at 11 beside 10."""
    outcomes = table({"a": [1.0, 3.0, NAN, NAN], "b": [0.0, 2.0, 18.0, 20.0]})
    done = rank(outcomes)
    assert order(done) == ["b", "a"]
    assert done.scores[1].harm.mean == pytest.approx(11.0)
    assert (done.scores[1].futures, done.scores[0].futures) == (2, 4)
    assert done.choice.margin is not None
    assert (done.choice.margin.mean, done.choice.margin.futures) == (1.0, 2)
    assert any("not all plans were tried in all 4 futures: 'a' in 2" in remark for remark in done.choice.remarks)


def test_a_loss_that_is_no_number_is_told_with_plan_future_and_seed() -> None:
    outcomes = table({"a": [1.0, NAN, 3.0], "b": [2.0, 2.0, 2.0]}, damage={"b": [1.0, NAN, 1.0]})
    outcomes = msgspec.structs.replace(outcomes, courses=((DONE,) * 3,) * 2)
    futures = tuple(Future(10 + n, 700 + n, 60.0, {}) for n in range(3))
    remarks = " | ".join(rank(outcomes, setting=Setting(futures=futures)).choice.remarks)
    assert "plan 'a' was carried out but its harm is no number in future 11 (seed 701): left out there" in remarks
    assert "plan 'b': damage is no number in future 11 (seed 701): left out there" in remarks


def test_futures_in_which_nothing_was_tried_are_told() -> None:
    done = rank(
        table({"a": [1.0, NAN], "b": [2.0, NAN]}), setting=Setting(futures=(Future(0, 5, 1.0, {}), Future(1, 6, 1.0, {})))
    )
    assert "1 of 2 futures have no outcome at all and are left out: 1 (seed 6)" in done.choice.remarks
    assert "in the one future that both met: that says nothing of how sure it is" in done.doubt
    assert (done.choice.margin.low, done.choice.margin.high) == (None, None)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        (lambda: table({"a": [NAN, NAN], "b": [1.0, 2.0]}), "plan 'a' has no outcome in any future"),
        (lambda: table({"a": [1.0, 2.0]}, damage={"a": NAN}), "damage of plan 'a' is a number in no future"),
        (lambda: table({"a": [1.0, 2.0]}, weight=[0.5, 0.4]), "weights sum to 0.9; wanted 1"),
    ],
)
def test_what_cannot_be_ranked_is_refused_by_name(outcomes: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        rank(outcomes())


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (Setting(signals=(Signal("x", "x", "m", np.ones(3)),)), "signal x: .3,. values for 2 futures"),
        (Setting(signals=(Signal("x", "x", "m", np.array([1.0, NAN])),)), "signal x: a value is no number"),
        (Setting(futures=(Future(0, 0, 1.0, {}),)), "1 futures, and outcomes of 2"),
        (Setting(zone_people=np.ones(4)), "people of .4,. zones, and outcomes of 1"),
        (Setting(group_people=np.ones(4)), "people of .4,. groups, and outcomes of 0"),
    ],
)
def test_a_setting_of_other_futures_or_zones_is_refused(setting: Setting, says: str) -> None:
    with pytest.raises(InputError, match=says):
        rank(table({"a": [1.0, 2.0]}), setting=setting)


def test_one_plan_is_ranked_and_told_to_be_alone() -> None:
    done = rank(table({"a": [1.0, 2.0]}))
    assert done.doubt.startswith("It was the only plan")
    assert (done.choice.runner_up, done.choice.margin, done.choice.flips, done.choice.ask_first) == ("", None, (), ())


def test_plans_that_are_all_equal_are_told_to_be_and_nothing_is_made_of_it() -> None:
    done = rank(table({"b": [3.0] * 12, "a": [3.0] * 12}), setting=Setting(signals=(Signal("x", "x", "m", np.arange(12.0)),)))
    assert order(done) == ["a", "b"]
    assert "leaves as many people in danger" in done.doubt
    assert (done.choice.flips, done.choice.ask_first, done.choice.worth_of_all) == ((), (), 0.0)
    assert not done.scores[1].dominated_by


# -- the runner-up, and what would flip it -----------------------------------------------------------------------------------


def levels(count: int = 60) -> np.ndarray:  # type: ignore[type-arg]
    return np.linspace(4.0, 7.0, count)


def crossing() -> tuple[Outcomes, Setting]:
    """`warn` leaves 100 people per metre above 4 m; `evacuate` 220 always: they cross at 6.2 m, and `warn` is better on average."""
    level_m = levels()
    return table({"warn": 100.0 * (level_m - 4.0), "evacuate": np.full(60, 220.0)}), Setting(
        signals=(
            Signal("level@lake", "the level of lake at its peak", "m", level_m),
            Signal("noise", "noise", "", np.sin(40 * level_m)),
        )
    )


def test_the_level_at_which_the_runner_up_becomes_better_is_told_as_a_sentence() -> None:
    outcomes, setting = crossing()
    done = rank(outcomes, setting=setting)
    # warn: mean 150, worst tenth 285; evacuate 220 and 220: 217.5 beside 220
    assert order(done) == ["warn", "evacuate"]
    (flip,) = [f for f in done.choice.flips if f.kind == "future"]
    assert flip.plan == "evacuate"
    assert flip.at == pytest.approx(6.2, abs=0.06)  # one step between futures is 0.05 m
    assert flip.above is True
    assert flip.sentence.startswith("If the level of lake at its peak comes out above 6.21 m, 'evacuate' is better: 4")
    assert flip.share == pytest.approx(0.8 / 3.0, abs=0.02)


def test_the_report_that_is_worth_asking_for_is_the_one_that_tells_which_plan_is_better() -> None:
    outcomes, setting = crossing()
    done = rank(outcomes, setting=setting)
    (ask,) = done.choice.ask_first
    # knowing the level saves 100 x (0.8 m)^2 / 2 / 3 m = 10.7 people, and so does knowing all: nothing else matters
    assert ask.name == "level@lake"
    assert ask.worth == pytest.approx(0.8**2 / 2 / 3 * 100, abs=1.0)
    assert done.choice.worth_of_all == pytest.approx(0.8**2 / 2 / 3 * 100, abs=0.6)
    assert ask.sentence.startswith("Ask for the level of lake at its peak: worth 1")


def test_of_twenty_reports_about_nothing_hardly_one_is_asked_for() -> None:
    asked = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        outcomes = table({"a": rng.normal(100.0, 30.0, 40), "b": rng.normal(101.0, 30.0, 40)})
        setting = Setting(signals=tuple(Signal(f"s{k}", f"s{k}", "m", rng.normal(size=40)) for k in range(20)))
        asked += len(ask_first(Standing(outcomes), setting, (0, 1))[0]) > 0
    assert asked <= stats.binom.ppf(0.999, 40, 0.05)


def test_the_weight_of_the_worst_tenth_at_which_the_choice_flips_is_told() -> None:
    # a: mean 10, worst tenth 100. b: 40 and 40. Half and half: 55 and 40. a is first where m 10 + (1 - m) 100 < 40: m above 2/3
    done = rank(table({"a": [0.0] * 18 + [100.0] * 2, "b": [40.0] * 20}))
    assert order(done) == ["b", "a"]
    (flip,) = [f for f in done.choice.flips if f.kind == "weight"]
    assert flip.at == pytest.approx(2.0 / 3.0)
    assert flip.sentence == "If more than 67% of the weight lay on the average (now 50%), 'a' would be first."


def test_a_choice_that_a_few_futures_more_would_settle_says_how_many() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(100.0, 30.0, 40)
    done = rank(table({"a": base, "b": base + rng.normal(1.0, 12.0, 40)}))
    assert "cannot be told apart" in done.doubt
    (flip,) = [f for f in done.choice.flips if f.kind == "number"]
    margin = done.choice.margin
    assert margin is not None
    assert margin.low is not None
    assert margin.high is not None
    assert flip.at == pytest.approx(40 * ((margin.high - margin.low) / 2 / margin.mean) ** 2)


def test_what_the_first_spends_for_each_person_is_told() -> None:
    done = rank(table({"a": [10.0] * 5, "b": [30.0] * 5}, cost={"a": 9000.0, "b": 1000.0}))
    (flip,) = [f for f in done.choice.flips if f.kind == "price"]
    assert flip.sentence == "It spends or loses 8,000 EUR more than 'b': 400 EUR for each one fewer of the people in danger."


def test_nothing_is_told_of_the_price_of_people_who_may_not_be_saved_at_all() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(100.0, 30.0, 40)
    done = rank(table({"a": base, "b": base + rng.normal(1.0, 12.0, 40)}, cost={"a": 9000.0, "b": 1000.0}))
    assert [f for f in done.choice.flips if f.kind == "price"] == []


def test_what_breaks_a_limit_is_no_yardstick_for_what_keeps_it() -> None:
    outcomes = table({"dear": [0.0] * 20, "a": [3.0] * 20, "b": [1.0] * 10 + [9.0] * 10}, cost={"dear": 99.0})
    done = rank(outcomes, setting=Setting(limits=(limit_of("cost < 50"),), signals=(Signal("x", "x", "m", np.arange(20.0)),)))
    by = {score.plan: score for score in done.scores}
    assert (by["a"].regret_worst, by["a"].best_share) == (2.0, 0.5)
    assert (by["dear"].regret_worst, by["dear"].rank) == (0.0, 3)
    assert done.choice.worth_of_all == pytest.approx(1.0)  # b in the first ten futures, a in the others: 2 instead of 3
    assert {f.plan for f in done.choice.flips if f.kind == "future"} == {"b"}


def test_each_weighting_has_its_winner() -> None:
    won = rank(
        table(
            {"lives": [2.0] * 20, "tail": [0.0] * 18 + [30.0] * 2, "thrift": [50.0] * 20},
            cost={"lives": 90.0, "tail": 80.0, "thrift": 1.0},
            damage={"lives": 5.0, "tail": 3.0, "thrift": 9.0},
        )
    ).choice.weightings
    # regret of `lives` is 2 at most, of `tail` 28; averages 2 and 3
    assert won == {
        "life first": "lives",
        "average only": "lives",
        "worst tenth only": "lives",
        "worst regret": "lives",
        "property": "tail",
        "cost": "thrift",
        "all alike": "lives",  # by hand, without the two criteria that are all 0: nearness 0.63, 0.59 and 0.37
    }


def test_a_plan_that_is_no_better_in_anything_is_said_to_be_dominated_and_by_what() -> None:
    done = rank(
        table({"a": [1.0, 5.0], "b": [2.0, 6.0], "c": [0.0, 9.0]}, cost={"a": 5.0, "b": 5.0, "c": 5.0}, damage={"b": 7.0})
    )
    by = {score.plan: score for score in done.scores}
    assert by["b"].dominated_by == {"a": "better in people in danger, worst tenth and damage"}
    assert by["b"].outdone_by == {"a": 1}
    assert by["c"].outdone_by == {"a": 2, "b": 2}  # c is 0 or 9: worse on average and wider than 1 or 5, and than 2 or 6
    assert by["a"].dominated_by == {}


# -- who bears it ------------------------------------------------------------------------------------------------------------


def test_who_bears_it_stands_beside_every_plan_and_in_one_line() -> None:
    outcomes = table(
        {"a": [30.0] * 8, "b": [40.0] * 8},
        zones={"quay": {"a": 25.0, "b": 38.0}, "hill": {"a": 5.0, "b": 2.0}, "wood": {}},
        groups={"in hospitals": {"a": 4.0, "b": 0.0}},
    )
    done = rank(outcomes, setting=Setting(zone_people=np.array([100.0, 1000.0, 0.0]), group_people=np.array([20.0])))
    first = done.scores[0]
    assert [(z.name, z.persons, z.per_1000) for z in first.zones] == [
        ("quay", 25.0, 250.0),
        ("hill", 5.0, 5.0),
        ("wood", 0.0, None),
    ]
    assert first.groups[0].per_1000 == 200.0
    # Lorenz: 1000 of 1100 people bear 5 of 30, the other 100 bear 25: 1 - (10/11 x 1/6 + 1/11 x (1/6 + 1))
    assert first.gini == pytest.approx(1 - (10 / 11 / 6 + (1 / 6 + 1) / 11))
    line = done.choice.equity
    assert line.startswith("quay bears most: 250 people in danger of 1,000 who are there, 27 of 1,000 in all")
    assert "Of vulnerable groups stay 4 in hospitals." in line
    assert "There are more people in danger than with 'b' in hill (+3 of 1,000)." in line


def test_a_town_without_people_is_ranked_and_said_to_be_empty() -> None:
    done = rank(table({"a": [0.0] * 3, "b": [0.0] * 3}), setting=Setting(zone_people=np.zeros(1)))
    assert done.choice.equity == "Nobody is in any zone at this hour, so nobody bears anything."
    assert done.scores[0].gini is None


class Town(TinyWorld):
    """The tiny street with a hospital of 40 beds in its first cell, a school of 100 in its second, and a field of the old."""

    def assets(self, kind: str) -> Assets:
        rows = {"hospitals": (6, 40.0), "schools": (7, 100.0), "nursing_homes": (8, NAN), "people_under_15": (6, 9.0)}
        if kind not in rows:
            return super().assets(kind)
        place, amount = rows[kind]
        at = column([place], np.int64)
        x_m, y_m = self.grid.centre(at)
        return Assets(
            kind,
            "persons",
            ("1",),
            ("",),
            ("",),
            column(x_m, np.float64),
            column(y_m, np.float64),
            at,
            column([amount], np.float64),
        )

    def field(self, quantity: Quantity) -> Any:
        if quantity.name == "people_over_65":
            return np.full((4, 6), 2.0, np.float32)
        return super().field(quantity)


def test_vulnerable_groups_are_those_that_the_twin_knows_and_the_others_are_said_to_be_missing() -> None:
    night, day = groups_of(Town(), hour=3.0), groups_of(Town(), hour=10.0)
    assert dict(zip(night.names, night.people.sum(axis=0).tolist(), strict=True)) == {
        "in hospitals": 40.0,
        "under 15": 9.0,
        "over 65": 48.0,
    }
    assert dict(zip(day.names, day.people.sum(axis=0).tolist(), strict=True))["at school"] == 100.0
    assert day.people[7, day.names.index("at school")] == 100.0
    assert "in nursing homes (the twin has no capacity of its nursing homes)" in night.missing
    assert "low income (no layer people_low_income)" in night.missing
    assert "in hospitals (the twin has no hospitals)" in groups_of(TinyWorld(), hour=3.0).missing


# -- what could be asked for -------------------------------------------------------------------------------------------------


def test_what_could_be_asked_for_is_named_as_who_measures_it_would_and_only_once() -> None:
    model = find_pack("flood").models[0]
    level, rain = Series.of([0.0, 3600.0], [1.0, 3.0]), Series.of([0.0, 1800.0], [20.0, 0.0])
    futures = [
        Future(
            n,
            n,
            7200.0,
            {"level_offset_m": 0.1 * n, "rain_factor": 1.0 + (n % 3)},
            {"level@lake": level, "level@pond": level, "rain": rain},
        )
        for n in range(6)
    ]
    arrival_s = np.full((6, 24), np.inf, np.float32)
    arrival_s[[0, 4], 6] = 1000.0  # the first home of zone low
    water = Footprint(model.makes, 7200.0, np.zeros((6, 24), np.float32), arrival_s, arrival_s)
    signals = {s.name: s for s in signals_of(TinyWorld(), model.knobs, futures, water, hour=3.0)}
    assert list(signals) == [
        "level@lake",
        "rain",
        "reached@low",
    ]  # the pond and the knobs say the same again, zone high stays dry
    np.testing.assert_allclose(signals["level@lake"].value, 3.0 + 0.1 * np.arange(6))
    np.testing.assert_allclose(signals["rain"].value, [10.0, 20.0, 30.0] * 2)  # 20 mm/h for half an hour
    assert signals["reached@low"].value.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert signals["reached@low"].beyond(0.5, above=False) == "the hazard does not reach homes in low within 1 h"


# -- the record --------------------------------------------------------------------------------------------------------------


def test_a_comparison_with_all_that_is_told_of_it_goes_through_the_ledger_and_back() -> None:
    from tocsin.testing.tiny import TinyWorld as Somewhere

    outcomes, setting = crossing()
    done = rank(outcomes, setting=msgspec.structs.replace(setting, limits=(Limit(COST, "<", 10.0),), zone_people=np.ones(1)))
    record = Comparison(
        time=Somewhere.time,
        subject="flood",
        forecast="f",
        futures=60,
        scores=done.scores,
        recommended=done.recommended,
        reason=done.reason,
        doubt=done.doubt,
        choice=done.choice,
    )
    assert decode_record(encode_record(record)) == record


def test_a_ledger_from_before_the_choice_was_told_is_still_read() -> None:
    estimate = '{"mean":1.0,"low":0.0,"middle":1.0,"high":2.0,"unit":"persons"}'
    row = (
        '{"kind":"comparison","time":"2026-11-23T08:00:00Z","subject":"flood","cause":[],"forecast":"f","futures":2,"recommended":"a",'
        '"reason":"r","doubt":"d","scores":[{"plan":"a","digest":"x","rank":1,"harm":E,"cvar":1.0,"regret_mean":0.0,"regret_worst":0.0,'
        '"damage":E,"cost":0.0,"finished_s":E,"failed_share":0.0,"best_share":1.0,"reason":"r","figures":{}}]}'
    ).replace("E", estimate)
    found = decode_record(row.encode())
    assert isinstance(found, Comparison)
    assert found.choice is None
    assert (found.scores[0].futures, found.scores[0].limits) == (0, ())


def test_the_same_table_is_ranked_the_same_twice() -> None:
    outcomes, setting = crossing()
    assert rank(outcomes, setting=setting) == rank(outcomes, setting=setting)


def test_a_ranking_calls_those_who_are_harmed_as_the_hazards_pack_does() -> None:
    ill = "people severely ill"
    harm_of = {"wait": [4.0] * 30 + [90.0] * 30, "close": [20.0] * 60}
    signal = Signal("wave", "the wave", "1", np.arange(60.0))
    people = {"signals": (signal,), "zone_people": np.array([100.0])}
    done = rank(table(harm_of), setting=Setting(harmed=ill, **people))
    told = [
        done.reason,
        done.doubt,
        done.choice.equity,
        *(s.reason for s in done.scores),
        *(f.sentence for f in done.choice.flips),
    ]
    assert done.choice.harmed == ill
    assert "in danger" not in " ".join(told)
    assert f"leaves the fewest {ill}" in done.reason or "is best by average" in done.reason
    assert any(f"fewer {ill} there" in f.sentence for f in done.choice.flips)
    assert all(f" {ill} on average" in s.reason for s in done.scores)
    usual = rank(table(harm_of), setting=Setting(**people))
    assert "people in danger on average" in usual.scores[0].reason
    assert msgspec.to_builtins(usual.choice).get("harmed") is None  # not spelt: what was written before keeps its name
