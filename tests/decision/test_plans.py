"""A plan is checked when it is loaded, and carried out the same way each time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.decision.interpret import check_plan, duration_s, hazard_effects, in_order, play
from tocsin.pack import Action, Duration, Effect, Future, Plan, find_pack
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import InputError

HOUR = Duration(60.0, 60.0, 60.0)
FUTURE = Future(0, 7, 86_400.0, {})
WORLD = TinyWorld()
MODEL = find_pack("flood").models[0]


def action(name: str, **changes: object) -> Action:
    return Action(name=name, do=f"do {name}", role="police", **({"duration": HOUR} | changes))  # type: ignore[arg-type]


def plan(*actions: Action, **changes: object) -> Plan:
    return Plan("p", "flood", "a plan", actions, **changes)  # type: ignore[arg-type]


def never_changes(value: float) -> Callable[[str, float], float]:
    return lambda _name, _time_s: value


def test_actions_that_wait_for_each_other_come_one_after_the_other() -> None:
    course = play(plan(action("b", after=("a",)), action("a")), FUTURE, never_changes(0.0))
    assert (course.of("a").start_s, course.of("a").end_s) == (0.0, 3600.0)
    assert (course.of("b").start_s, course.of("b").end_s) == (3600.0, 7200.0)
    assert course.finished_s == 7200.0


def test_actions_that_need_the_same_crew_wait_for_it() -> None:
    crew = {"crew": 1}
    course = play(plan(action("a", needs=crew), action("b", needs=crew), resources=crew), FUTURE, never_changes(0.0))
    assert sorted(d.start_s or 0.0 for d in course.done) == [0.0, 3600.0]


def test_what_is_free_again_serves_the_next() -> None:
    crew = {"crew": 2}
    names = "abcd"
    course = play(plan(*(action(n, needs={"crew": 1}) for n in names), resources=crew), FUTURE, never_changes(0.0))
    assert course.finished_s == 7200.0
    assert not any(d.failed for d in course.done)


def test_an_action_whose_condition_never_holds_fails_at_its_deadline_and_so_does_what_waits_for_it() -> None:
    wet = "rain_mm_per_h > 5 mm/h"
    course = play(plan(action("a", when=wet, deadline_min=90.0), action("b", after=("a",))), FUTURE, never_changes(0.0))
    assert "rain_mm_per_h > 5" in course.of("a").failed
    assert course.of("b").failed == "a was not done"
    assert course.finished_s == 0.0


def test_an_action_starts_when_its_condition_begins_to_hold() -> None:
    wet = "rain_mm_per_h >= 5 mm/h"
    course = play(plan(action("a", when=wet)), FUTURE, lambda _name, time_s: 6.0 if time_s >= 3000.0 else 0.0)
    assert course.of("a").start_s == 3000.0


def test_chance_belongs_to_the_action_so_that_another_action_changes_nothing() -> None:
    wide = Duration(10.0, 60.0, 240.0)
    alone = play(plan(action("a", duration=wide)), FUTURE, never_changes(0.0)).of("a")
    beside = play(plan(action("z", duration=wide), action("a", duration=wide)), FUTURE, never_changes(0.0)).of("a")
    assert alone == beside
    assert duration_s(action("a", duration=wide), FUTURE) != duration_s(action("z", duration=wide), FUTURE)


@given(seed=st.integers(0, 10**6), name=st.text(min_size=1, max_size=8))
def test_a_duration_never_leaves_its_triangle(seed: int, name: str) -> None:
    taken = duration_s(action(name, duration=Duration(10.0, 20.0, 40.0)), Future(0, seed, 1.0, {}))
    assert 600.0 <= taken <= 2400.0


def test_a_barrier_counts_from_the_five_minutes_after_it_stands() -> None:
    raising = action(
        "a", duration=Duration(61.0, 61.0, 61.0), effects=(Effect("raise_barrier", "gate", 3.0), Effect("warn_people", "all"))
    )
    course = play(plan(raising), FUTURE, never_changes(0.0))
    assert hazard_effects(plan(raising), course, MODEL) == (Effect("raise_barrier", "gate", 3.0, 3900.0),)


def test_a_barrier_that_was_never_raised_has_no_effect() -> None:
    raising = action("a", when="hours < -1 h", deadline_min=10.0, effects=(Effect("raise_barrier", "gate", 3.0),))
    course = play(plan(raising), FUTURE, lambda _name, time_s: time_s / 3600.0)
    assert hazard_effects(plan(raising), course, MODEL) == ()


def test_actions_in_a_circle_are_refused_with_their_names() -> None:
    with pytest.raises(InputError, match="circle.*a.*b|circle.*b.*a"):
        in_order(plan(action("a", after=("b",)), action("b", after=("a",))))


BAD = {
    "a role that there is not": (plan(action("a"), authority="king"), "authority 'king' is no role"),
    "no action": (plan(), "0 actions"),
    "one name twice": (plan(action("a"), action("a")), "two actions are named 'a'"),
    "waiting for nobody": (plan(action("a", after=("x",))), "waits for 'x'"),
    "a circle": (plan(action("a", after=("b",)), action("b", after=("a",))), "circle"),
    "more than there is": (plan(action("a", needs={"bus": 2}), resources={"bus": 1}), "needs 2 bus, the plan has 1"),
    "less than nothing": (plan(action("a"), resources={"bus": -1}), "bus = -1"),
    "a duration that runs backwards": (plan(action("a", duration=Duration(5.0, 4.0, 3.0))), "duration 5.0, 4.0, 3.0"),
    "a duration that is no number": (plan(action("a", duration=Duration(float("nan"), 1.0, 2.0))), "duration nan"),
    "no deadline": (plan(action("a", deadline_min=0.0)), "deadline_min 0.0"),
    "a fact that there is not": (plan(action("a", when="moon > 1 m")), "no fact 'moon'"),
    "a fact without its place": (plan(action("a", when="flooded_share > 50 %")), "no fact 'flooded_share'"),
    "a zone that there is not": (
        plan(action("a", when="flooded_share@x < 50 %")),
        "no zone 'x'; there are: low, high",
    ),
    "a share above one": (plan(action("a", when="flooded_share@low > 150 %")), "can never hold"),
    "conditions that exclude each other": (
        plan(action("a", when="hours > 5 h and hours < 4 h")),
        "can never hold",
    ),
    "an effect that there is not": (plan(action("a", effects=(Effect("pray", "low"),))), "no effect 'pray'"),
    "moving a zone that there is not": (plan(action("a", effects=(Effect("move_population", "x"),))), "no zone 'x'"),
    "moving more than all": (plan(action("a", effects=(Effect("move_population", "low", 1.2),))), "amount 1.2"),
    "a shelter that there is not": (
        plan(action("a", effects=(Effect("open_shelter", "x"),))),
        "no shelter 'x'; there are: shelter-1",
    ),
    "a crest that is not the twin's": (
        plan(action("a", effects=(Effect("raise_barrier", "gate", 6.0),))),
        "amount 6 m, and the twin's line has its crest at 3 m",
    ),
    "a barrier that there is not": (plan(action("a", effects=(Effect("raise_barrier", "x"),))), "no line 'x'; there are: gate"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_plan_that_could_never_be_carried_out_is_refused(what: str) -> None:
    bad, message = BAD[what]
    with pytest.raises(InputError, match=message):
        check_plan(bad, WORLD, MODEL)


def test_the_packs_own_plans_are_sound_in_any_world() -> None:
    made = find_pack("flood").plans(WORLD)
    assert len(made) >= 3
    for one in made:
        check_plan(one, WORLD, MODEL)
