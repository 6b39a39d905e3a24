"""Risk chains where plans are compared: two substations, 30 people each; water comes to the western one after an hour, for 12 h in all."""

from __future__ import annotations

import msgspec
import pytest
from chain_place import FLOOD, WATER, Town, footprint

from tocsin.decision.candidates import search_plans
from tocsin.decision.compare import Compared, compare
from tocsin.decision.futures import Foreseen
from tocsin.decision.interpret import check_plan
from tocsin.decision.limits import limit_of
from tocsin.pack import Action, Duration, Effect, Future, Plan, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Footprint, InputError

MODEL, HARM = find_pack("flood").models[0], find_pack("flood").harm
WEST, PUMP = 0, 7


def plan(name: str, minutes: float, *effects: Effect, cost: float = 0.0) -> Plan:
    lasts = Duration(minutes, minutes, minutes)
    return Plan(name, "water", "", (Action("act", "act", "fire", lasts, effects, cost=cost),), currency=HARM.worth_unit)


WAIT = plan("wait", 60.0)
IN_TIME = plan("in time", 30.0, Effect("protect_asset", "substations:west"))
TOO_LATE = plan("too late", 90.0, Effect("protect_asset", "substations:west"))
GENERATOR = plan("generator", 90.0, Effect("bring_generator", "pumping_stations:pump"))
PLANS = [WAIT, IN_TIME, TOO_LATE, GENERATOR]


def foreseen(water: Footprint) -> Foreseen:
    return Foreseen(
        tuple(Future(n, n, water.duration_s, {}) for n in range(water.members)), water, (), None, ({},) * water.members
    )


def compared(*plans: Plan, **more: object) -> Compared:
    seen = foreseen(footprint(WATER, {WEST: 1.0}, futures=4))
    return compare(Town(), MODEL, HARM, seen, plans, LocalCompute(1), hour=3.0, pack=FLOOD, **more)  # type: ignore[arg-type]


def means(done: Compared, figure: str) -> dict[str, float]:
    return {score.plan: score.figures[figure].mean for score in done.scores}


def test_a_comparison_tells_who_is_without_a_service_under_each_plan() -> None:
    done = compared(*PLANS)
    assert means(done, "people_without_power") == {"wait": 30.0, "in time": 0.0, "too late": 30.0, "generator": 30.0}
    # the water comes after 1 h of 12: 30 people for 11 h
    assert means(done, "people_without_power_hours") == pytest.approx(
        {"wait": 330.0, "in time": 0.0, "too late": 330.0, "generator": 330.0}
    )
    # the pump fails an hour after its substation; a generator that comes within that hour saves it
    assert means(done, "pumping_stations_out") == {"wait": 1.0, "in time": 0.0, "too late": 1.0, "generator": 0.0}
    assert {score.figures["people_without_power"].unit for score in done.scores} == {"persons"}


def test_a_plan_that_leaves_fewer_without_a_service_is_not_dominated_by_a_cheaper_one() -> None:
    done = compared(plan("nothing", 10.0), plan("dear", 30.0, *IN_TIME.actions[0].effects, cost=100.0))
    assert {score.plan: dict(score.dominated_by) for score in done.scores} == {"nothing": {}, "dear": {}}


def test_a_comparison_is_the_same_but_for_services_where_the_twin_has_no_lifelines() -> None:
    seen = foreseen(footprint(WATER, {6: 1.0, 7: 1.0}, futures=4))
    one, two = (compare(TinyWorld(), MODEL, HARM, seen, [WAIT], LocalCompute(1), hour=3.0, pack=pack) for pack in (None, FLOOD))
    assert one.scores == two.scores


def test_risk_chains_change_nothing_of_the_people_in_danger() -> None:
    seen = foreseen(footprint(WATER, {WEST: 1.0, 6: 1.0, 7: 1.0}, futures=4))
    without = compare(Town(), MODEL, HARM, seen, [WAIT], LocalCompute(1), hour=3.0)
    with_chains = compare(Town(), MODEL, HARM, seen, [WAIT, IN_TIME], LocalCompute(1), hour=3.0, pack=FLOOD)
    assert with_chains.harm_by_future["wait"].tolist() == without.harm_by_future["wait"].tolist() == [20.0] * 4
    assert with_chains.harm_by_future["in time"].tolist() == [20.0] * 4


def test_a_limit_may_be_on_a_service() -> None:
    done = compared(WAIT, IN_TIME, limits=[limit_of("people_without_power <= 0")])
    assert {score.plan: score.limits[0].broken for score in done.scores} == {"wait": True, "in time": False}
    with pytest.raises(InputError, match="no figure 'people_without_water'"):
        compared(WAIT, limits=[limit_of("people_without_water <= 0")])


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (Effect("protect_asset", "substations:north"), "no risk point 'substations:north'"),
        (Effect("fill_tanks", "hospitals:clinic", 0.0), "amount 0.0; wanted more than 0"),
        (Effect("sing", "all"), "no effect 'sing'; there are: move_population, .*, bring_generator, fill_tanks, protect_asset"),
    ],
)
def test_an_action_on_the_chains_that_could_never_be_done_is_refused(effect: Effect, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_plan(plan("bad", 30.0, effect), Town(), MODEL, FLOOD)


def test_without_a_pack_no_action_may_act_on_chains() -> None:
    check_plan(IN_TIME, Town(), MODEL, FLOOD)
    for pack in (None, msgspec.structs.replace(FLOOD, chain=())):
        with pytest.raises(InputError, match="no effect 'protect_asset'"):
            check_plan(IN_TIME, Town(), MODEL, pack)


def test_a_search_may_meet_actions_on_chains_and_finds_no_use_for_them() -> None:
    seen = foreseen(footprint(WATER, {6: 1.0, 7: 1.0}, futures=4))
    go = Action("go", "go", "police", Duration(5.0, 5.0, 5.0), (Effect("move_population", "low", 1.0),))
    options = Plan(
        "all options", "water", "", (go, msgspec.structs.replace(IN_TIME.actions[0], cost=100.0)), currency=HARM.worth_unit
    )
    found = search_plans(Town(), MODEL, HARM, seen, options, LocalCompute(1), hour=3.0, pack=FLOOD)
    assert [tuple(action.name for action in one.plan.actions) for one in found] == [("go",)]
    with pytest.raises(InputError, match="no effect 'protect_asset'"):
        search_plans(Town(), MODEL, HARM, seen, options, LocalCompute(1), hour=3.0)
