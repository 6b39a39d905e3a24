"""The promises notice: a pack that breaks one of them fails that one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
import test_flood_pack as flood

from tocsin.pack import Answer, Column, Effect, Exposure, FactKind, Future, Knob, Pack, Plan, Question, Scenario, Verb, Verdict
from tocsin.testing.pack_promises import PackPromises
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Curve, Estimate, InputError, Member, Quantity, World

PACK, (MODEL,) = flood.PACK, flood.PACK.models
RULE = PACK.rules[0]
count = itertools.count()


def but(**changes: Any) -> Pack:
    return msgspec.structs.replace(PACK, **changes)


def model(**changes: Any) -> Pack:
    return but(models=(msgspec.structs.replace(MODEL, **changes),))


def made(change: Callable[[Member, Future], Member]) -> Pack:
    """The pack with what its model makes changed."""

    def run(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
        """Floods, and not quite."""
        return change(MODEL.run(world, future, effects, frame_s), future)

    return model(run=run)


def changed(**changes: Callable[[Member], Any]) -> Pack:
    return made(lambda member, _: msgspec.structs.replace(member, **{name: change(member) for name, change in changes.items()}))


def silent_none(window: Any, before: Any) -> Verdict:
    return Verdict(np.zeros(len(window.sites), np.int8), np.zeros(len(window.sites)), ("quiet",) * len(window.sites))


def asks(answer: Callable[..., Answer]) -> Pack:
    column = Column("depth", "m", "how deep")
    return but(questions=(Question("deep", "how deep", (column,), answer, "a test", "tests"),))


def greedy(_world: World | None, table: Any, _settings: Any) -> Answer:
    table["depth"] += 1.0
    return Answer({"mean": Estimate(*[float(table["depth"].mean())] * 4, "m")})


def unasked(_world: World | None, table: Any, _settings: Any) -> Answer:
    return Answer({"rows": Estimate(*[float(table["depth"].size)] * 4, "1")})


def wishful(world: World, gauges: Any, told: Any) -> Scenario:
    return Scenario(3600.0, 1, 1)


IN_FEET = Curve(Quantity("flood_depth", "ft"), ((0.0, 0.0), (1.0, 1.0)), source="a test", valid="tests")
PLAN = PACK.plans(TinyWorld())[1]
BROKEN: list[tuple[str, Pack]] = [
    ("it_is_found_by_its_hazard", but(knowledge=("another",))),
    ("every_part_says_what_it_is", model(limits="")),
    ("every_part_says_what_it_is", model(knobs={**MODEL.knobs, "x": Knob("m", 0.0, 0.0, 0.0, "")})),
    ("every_part_says_what_it_is", but(facts=(FactKind("x", "m", "", 0.0, 1.0, "", drive="rain"),))),
    ("every_name_stands_for_one_thing", but(rules=(RULE, RULE))),
    ("a_forcing_has_a_place", model(series={**MODEL.series, "level": MODEL.series["level@"]})),
    ("no_rule_may_warn_the_public", but(rules=(msgspec.structs.replace(RULE, verified=True, source="unverified"),))),
    ("a_rule_without_readings_is_blind", but(rules=(msgspec.structs.replace(RULE, judge=silent_none),))),
    ("the_same_future_twice", made(lambda m, _: msgspec.structs.replace(m, peak=m.peak + np.float32(next(count))))),
    (
        "something_comes",
        changed(arrival_s=lambda m: np.full_like(m.arrival_s, np.inf), end_s=lambda m: np.full_like(m.end_s, np.inf)),
    ),
    ("it_is_believable_and_keeps", changed(end_s=lambda m: np.where(np.isfinite(m.end_s), -1.0, np.inf).astype(np.float32))),
    ("it_is_believable_and_keeps", changed(arrival_s=lambda m: np.zeros_like(m.arrival_s))),
    ("every_future_of_the_scenario", changed(frames=lambda m: None if m.frames is None else m.frames + 1)),
    ("to_be_asked_for_frames", changed(peak=lambda m: m.peak * (1.0 if m.frames is None else 2.0))),
    ("there_is_an_effect_for_each_verb", model(acts_on={**MODEL.acts_on, "pray": Verb("all", "pray")})),
    ("its_facts_are_there", but(facts=(FactKind("x", "m", "", 0.0, 1.0, "x", drive="snow"),))),
    ("its_facts_are_there", but(facts=(FactKind("x", "m", "", 0.0, 1.0, "x", course="snow"),))),
    ("its_facts_are_there", but(facts=(FactKind("x", "m", "", 0.0, 1.0, "x", drive="rain", observed="snow"),))),
    ("harm_speaks_of_what", but(harm=msgspec.structs.replace(PACK.harm, danger=MODEL.reads[0]))),
    ("its_chains_speak_in_the_units", but(chain=(Exposure("masts", IN_FEET),))),
    (
        "its_cases_can_be_played",
        but(cases=(msgspec.structs.replace(PACK.cases[0], forcing={"snow": PACK.cases[0].forcing["rain"]}),)),
    ),
    ("it_foresees_nothing", but(outlook=wishful)),
    ("a_question_has_one_answer", asks(greedy)),
    ("a_question_refuses", asks(unasked)),
    ("its_golden_figures_hold", changed(peak=lambda m: m.peak * np.float32(1.05))),
]


def held_to(pack: Pack) -> PackPromises:
    class Promises(flood.TestFloodPack):
        def pack(self) -> Pack:
            return pack

        def tables(self) -> dict[str, Any]:
            return {question.name: {"depth": np.array([1.0, 2.0])} for question in pack.questions}

    return Promises()


@pytest.mark.parametrize(("promise", "pack"), BROKEN, ids=[f"{k}-{promise}" for k, (promise, _) in enumerate(BROKEN)])
def test_a_pack_that_breaks_a_promise_fails_it(promise: str, pack: Pack) -> None:
    promises = held_to(pack)
    (name,) = [name for name in dir(promises) if name.startswith(f"test_{promise}")]
    with pytest.raises((AssertionError, InputError, pytest.fail.Exception)):
        getattr(promises, name)()


def test_a_verb_that_acts_before_it_starts_or_never_is_noticed() -> None:
    promises = held_to(PACK)
    promises.acts_before = {}
    with pytest.raises(AssertionError, match="breach"):
        promises.test_an_effect_changes_nothing_before_it_starts()
    idle = held_to(model(acts_on={**MODEL.acts_on, "pump": Verb("all", "pump")}, run=without_pumps))
    idle.effects = lambda _model: (Effect("pump", "all"),)  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="pump all changes nothing"):
        idle.test_every_verb_acts()


def without_pumps(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """Floods, whatever is pumped."""
    return MODEL.run(world, future, [e for e in effects if e.verb != "pump"], frame_s)


def test_a_plan_that_could_not_be_carried_out_in_a_bare_place_is_noticed() -> None:
    def only_for_zones(world: World) -> tuple[Plan, ...]:
        action = msgspec.structs.replace(PLAN.actions[0], effects=(Effect("move_population", "low", 0.5),))
        return (msgspec.structs.replace(PLAN, actions=(action,)),)

    promises = held_to(but(plans=only_for_zones))
    promises.test_its_plans_can_be_carried_out_also_where_a_place_lacks_a_part("roads")
    with pytest.raises(InputError, match="no zone 'low'"):
        promises.test_its_plans_can_be_carried_out_also_where_a_place_lacks_a_part("zones")


def test_a_place_that_lacks_what_the_model_needs_has_to_be_told_in_a_sentence() -> None:
    def run(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
        """Says too little."""
        raise InputError("no")

    with pytest.raises(pytest.fail.Exception, match="does not say what is missing"):
        held_to(model(run=run)).test_where_a_place_lacks_a_part_it_runs_or_says_what_is_missing("zones")


def test_the_tiny_world_knows_what_it_can_be_without() -> None:
    with pytest.raises(InputError, match="without walls; it can be without roads"):
        TinyWorld(without=("walls",))
    assert len(TinyWorld(without=("roads",)).roads) == 0
    assert TinyWorld(without=("people",)).people(3.0).sum() == 0
    assert len(TinyWorld(without=("assets",)).assets("shelters")) == 0
