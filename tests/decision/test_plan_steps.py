"""What follows in a plan from the facts of a moment: levels, guards, cancelling, substitutes, alternatives, repetition, chance."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.decision.check_plan import faults_of_plan
from tocsin.decision.compare import compare
from tocsin.decision.futures import Foreseen
from tocsin.decision.interpret import Course, check_plan, duration_s, play, step
from tocsin.decision.progress import Happening, after, allot, at_first, free_of
from tocsin.pack import Action, Duration, Effect, Future, Plan, PlanLevel, Substitute, facts_for, find_pack
from tocsin.pack.trigger import Fact
from tocsin.platform.compute import LocalCompute
from tocsin.science.sampling import lognormal
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Footprint, InputError, Level, Series

HOUR = Duration(60.0, 60.0, 60.0)
DAY = Future(0, 7, 86_400.0, {})
WORLD = TinyWorld()
MODEL = find_pack("flood").models[0]
HIGH = "level_m@lake >= 3 m for 15 min"
LOW = "level_m@lake < 2.5 m for 30 min"


def action(name: str, **changes: object) -> Action:
    return Action(name=name, do=f"do {name}", role="police", **({"duration": HOUR} | changes))  # type: ignore[arg-type]


def plan(*actions: Action, **changes: object) -> Plan:
    return Plan("p", "flood", "a plan", actions, **changes)  # type: ignore[arg-type]


class Lake:
    """A lake whose level a test says, m by seconds; None where nobody knows."""

    def __init__(self, level_m: Callable[[float], float | None]) -> None:
        self.level_m = level_m

    def at(self, name: str, place: str, time_s: float) -> Fact | None:
        value = time_s / 3600.0 if name == "hours" else self.level_m(time_s)
        return None if value is None else Fact(value, facts_for("flood")[name].unit)


def calm(_name: str, _time_s: float) -> float:
    return 0.0


def told(course: Course, *kinds: str) -> list[tuple[str, str, float]]:
    return [(h.kind, h.name, h.time_s) for h in course.happenings if h.kind in kinds]


# -- levels --------------------------------------------------------------------------------------------------------------


def graded(**changes: object) -> Plan:
    level = PlanLevel("II", Level.ORANGE, **({"enter": HIGH, "leave": LOW, "automatic": True} | changes))  # type: ignore[arg-type]
    long = Duration(1440.0, 1440.0, 1440.0)
    return plan(action("watch"), action("evacuate", level="II"), action("stay", level="II", duration=long), levels=(level,))


def wave(time_s: float) -> float:
    """Above 3 m from 1 h to 4 h, at 2.7 m until 6 h, low before and after."""
    return 3.2 if 3600 <= time_s < 14_400 else 2.7 if 14_400 <= time_s < 21_600 else 1.0


def test_an_action_of_a_level_that_was_not_entered_does_not_start_and_nothing_has_failed() -> None:
    course = play(graded(), DAY, Lake(lambda _s: 2.0))
    assert course.of("watch").end_s == 3600.0
    done = course.of("evacuate")
    assert (done.start_s, done.failed) == (None, "")
    assert done.skipped == "level II was not entered"


def test_a_level_is_entered_after_its_duration_and_left_only_below_the_lower_threshold() -> None:
    course = play(graded(), DAY, Lake(wave))
    # at 3 m from 1 h on: 15 min later it has held; 2.7 m is between the thresholds; below 2.5 m from 6 h on, left 30 min later
    assert told(course, "entered", "left") == [("entered", "II", 4500.0), ("left", "II", 23_400.0)]
    assert course.of("evacuate").start_s == 4500.0


def test_a_level_that_a_person_must_agree_to_waits_for_the_person() -> None:
    course = play(graded(automatic=False, approval_min=20.0), DAY, Lake(wave))
    assert told(course, "proposed", "entered") == [("proposed", "II", 4500.0), ("entered", "II", 5700.0)]
    assert course.of("evacuate").start_s == 5700.0


def test_a_proposal_whose_trigger_has_gone_is_withdrawn_and_the_late_approval_counts_for_nothing() -> None:
    course = play(graded(automatic=False, approval_min=10 * 60.0), DAY, Lake(wave))
    assert told(course, "proposed", "entered", "withdrawn") == [("proposed", "II", 4500.0), ("withdrawn", "II", 14_400.0)]
    assert course.of("evacuate").start_s is None


def test_an_unknown_level_of_the_lake_neither_withdraws_nor_leaves() -> None:
    course = play(graded(), DAY, Lake(lambda s: 3.2 if s < 7200 else None))
    assert told(course, "entered", "left") == [("entered", "II", 0.0)]


def test_a_proposal_stands_while_nobody_knows_its_fact() -> None:
    p = graded(automatic=False)
    state, _ = step(p, at_first(p), Lake(lambda _s: 4.0), 0.0)
    assert step(p, state, Lake(lambda _s: None), 300.0)[1] == ()
    assert [h.kind for h in step(p, state, Lake(lambda _s: 1.0), 300.0)[1]] == ["withdrawn"]


def test_a_refused_level_is_not_proposed_again_before_its_trigger_has_gone() -> None:
    p = graded(automatic=False)
    state, said = step(p, at_first(p), Lake(lambda _s: 4.0), 0.0)
    assert [h.kind for h in said if h.name == "II"] == ["proposed"]
    state = after(p, state, [Happening("refused", "II", 10.0, "not yet")])
    assert step(p, state, Lake(lambda _s: 4.0), 60.0)[1] == ()
    state, said = step(p, state, Lake(lambda _s: 1.0), 120.0)
    assert [h.kind for h in said] == ["withdrawn"]
    assert [h.kind for h in step(p, state, Lake(lambda _s: 4.0), 180.0)[1]] == ["proposed"]


def test_a_worse_level_calls_what_the_milder_one_calls_and_not_the_other_way_round() -> None:
    levels = (
        PlanLevel("III", Level.YELLOW, enter="level_m@lake > 2 m", automatic=True),
        PlanLevel("I", Level.RED, enter="level_m@lake > 4 m", automatic=True),
    )
    p = plan(action("warn", level="III"), action("evacuate", level="I"), levels=levels)
    jump = never_enters(p, "III")  # straight to red: only the worst level's trigger holds
    assert play(jump, DAY, Lake(lambda _s: 5.0)).of("warn").start_s == 0.0
    mild = play(p, DAY, Lake(lambda _s: 3.0))
    assert (mild.of("warn").start_s, mild.of("evacuate").start_s) == (0.0, None)


def never_enters(p: Plan, name: str) -> Plan:
    """The plan with a level that no fact can enter any more in a day."""
    levels = tuple(msgspec.structs.replace(x, enter="hours > 900 h") if x.name == name else x for x in p.levels)
    return msgspec.structs.replace(p, levels=levels)


def test_a_level_without_a_trigger_is_entered_by_the_decision_and_by_nothing_again() -> None:
    level = PlanLevel("now", Level.YELLOW, leave="hours > 2 h")
    p = plan(action("a", level="now", repeat_most=9), levels=(level,))
    course = play(p, DAY, calm_hours)
    assert told(course, "entered", "left") == [("entered", "now", 0.0), ("left", "now", 7500.0)]
    assert course.of("a").times == 3  # 0, 1 and 2 h; what runs when the level is left runs on


def calm_hours(name: str, time_s: float) -> float:
    return time_s / 3600.0 if name == "hours" else 0.0


def test_a_deadline_counts_from_the_call_and_not_from_the_decision() -> None:
    late = PlanLevel("late", Level.RED, enter="hours >= 5 h", automatic=True)
    p = plan(action("a", level="late", deadline_min=30.0), levels=(late,))
    assert play(p, DAY, calm_hours).of("a").start_s == 5 * 3600.0


# -- cancelling ------------------------------------------------------------------------------------------------------------


def test_leaving_a_level_cancels_what_says_so_and_frees_what_it_held() -> None:
    level = PlanLevel("II", Level.ORANGE, enter="level_m@lake > 3 m", leave="level_m@lake < 2 m", automatic=True)
    long = Duration(600.0, 600.0, 600.0)
    p = plan(
        action("stays", level="II", duration=long, needs={"crew": 1}),
        action("goes", level="II", duration=long, cancel_on_leave=True, needs={"crew": 1}),
        levels=(level,),
        resources={"crew": 2},
    )
    course = play(p, DAY, Lake(lambda s: 4.0 if s < 7200 else 1.0))
    assert course.of("stays").end_s == 36_000.0
    assert course.of("goes").failed == "cancelled: level II was left"
    assert course.of("goes").end_s is None
    assert told(course, "cancelled") == [("cancelled", "goes", 7200.0)]


def test_a_cancel_trigger_ends_an_action_and_what_waits_for_it_fails() -> None:
    long = Duration(600.0, 600.0, 600.0)
    p = plan(action("a", duration=long, cancel="level_m@lake > 3 m"), action("b", after=("a",)))
    course = play(p, DAY, Lake(lambda s: 4.0 if s >= 1800 else 1.0))
    assert course.of("a").failed == "cancelled: level_m@lake > 3 m"
    assert course.of("b").failed == "a was not done"


def test_an_action_does_not_start_while_its_cancel_holds() -> None:
    p = plan(action("a", cancel="level_m@lake > 3 m"))
    assert play(p, DAY, Lake(lambda s: 4.0 if s < 1800 else 1.0)).of("a").start_s == 1800.0


def test_the_end_of_a_cancelled_start_does_not_end_the_next_one() -> None:
    level = PlanLevel("II", Level.ORANGE, enter="level_m@lake > 3 m", leave="level_m@lake < 2 m", automatic=True)
    p = plan(action("a", level="II", cancel_on_leave=True, repeat_most=2), levels=(level,))
    course = play(p, DAY, Lake(lambda s: 1.0 if 600 <= s < 1200 else 4.0))
    assert told(course, "started", "cancelled", "done") == [
        ("started", "a", 0.0),
        ("cancelled", "a", 600.0),
        ("started", "a", 1200.0),
        ("done", "a", 4800.0),
    ]


# -- what is not known ------------------------------------------------------------------------------------------------------


def test_a_guard_that_nobody_can_judge_starts_nothing_and_is_told() -> None:
    p = plan(action("a", when="level_m@lake < 3 m", deadline_min=60.0))
    course = play(p, DAY, Lake(lambda _s: None))
    assert course.of("a").start_s is None
    assert course.of("a").not_known == "not known: level_m@lake: nobody knows it"
    assert course.of("a").failed == "not known before its deadline: level_m@lake: nobody knows it"
    assert len(told(course, "not known")) == 1  # told once, not at each look


def test_what_is_not_known_is_told_again_when_it_is_something_else() -> None:
    class Gauges:
        def at(self, name: str, place: str, time_s: float) -> Fact | None:
            return Fact(4.0, "m") if name == "level_m" and time_s >= 1800.0 else None

    p = plan(action("a", when="level_m@lake > 3 m and rain_mm_per_h > 1 mm/h", deadline_min=60.0))
    said = [(h.time_s, h.why) for h in play(p, DAY, Gauges()).happenings if h.kind == "not known"]
    assert said == [
        (0.0, "not known: level_m@lake: nobody knows it, rain_mm_per_h: nobody knows it"),
        (1800.0, "not known: rain_mm_per_h: nobody knows it"),
    ]


def test_a_guard_that_becomes_known_starts_its_action() -> None:
    p = plan(action("a", when="level_m@lake < 3 m"))
    assert play(p, DAY, Lake(lambda s: None if s < 900 else 2.0)).of("a").start_s == 900.0


# -- resources ---------------------------------------------------------------------------------------------------------------

TRUCKS = {"bus": (Substitute("truck", 2.0), Substitute("boat", 0.5))}


def test_substitutes_stand_in_at_their_rate_in_their_order() -> None:
    p = plan(action("a", needs={"bus": 4}), resources={"bus": 1, "truck": 5, "boat": 9}, substitutes=TRUCKS)
    # 1 bus; of the 3 that are missing 2 by 4 trucks (the fifth is no pair), the last by half a boat, which is one
    assert allot(p, p.actions[0], p.resources) == {"bus": 1, "truck": 4, "boat": 1}
    assert play(p, DAY, calm).of("a").held == {"bus": 1, "truck": 4, "boat": 1}


def test_what_is_not_enough_with_all_substitutes_is_none_at_all() -> None:
    p = plan(action("a", needs={"bus": 4}), resources={"bus": 1, "truck": 5}, substitutes=TRUCKS)
    assert allot(p, p.actions[0], p.resources) is None


@given(
    st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
)
def test_nobody_takes_what_is_not_there(bus: int, truck: int, first: int, second: int, rate: float) -> None:
    p = plan(
        action("a", needs={"bus": first}),
        action("b", needs={"bus": second, "truck": 1}),
        resources={"bus": bus, "truck": truck},
        substitutes={"bus": (Substitute("truck", rate),)},
    )
    state, _ = step(p, at_first(p), Lake(lambda _s: 0.0), 0.0)
    assert all(count >= 0 for count in free_of(p, state).values())
    state = after(p, state, [Happening("done", name, 1.0) for name in state.actions])
    assert free_of(p, state) == p.resources  # all is given back


# -- alternatives, repetition, chance -----------------------------------------------------------------------------------------


def test_what_is_done_otherwise_is_called_when_the_first_fails_and_counts_for_those_who_wait() -> None:
    p = plan(
        action("by bus", when="level_m@lake < 1 m", deadline_min=30.0, otherwise="by boat"),
        action("by boat"),
        action("count heads", after=("by bus",)),
    )
    course = play(p, DAY, Lake(lambda _s: 2.0))
    assert course.of("by bus").failed.startswith("condition did not hold")
    assert course.of("by boat").start_s == 2100.0  # the first look after the deadline
    assert course.of("count heads").start_s == 5700.0


def test_what_is_done_otherwise_is_skipped_where_the_first_is_done() -> None:
    p = plan(action("by bus", otherwise="by boat"), action("by boat"), action("count", after=("by boat",)))
    course = play(p, DAY, Lake(lambda _s: 2.0))
    assert course.of("by boat").skipped == "what it stands in for did not fail"
    assert course.of("count").skipped == "by boat was not done"
    assert not any(d.failed for d in course.done)


def test_an_action_starts_at_most_as_often_as_it_may() -> None:
    course = play(plan(action("patrol", repeat_most=3)), DAY, calm)
    assert [h.time_s for h in course.happenings if h.kind == "started"] == [0.0, 3600.0, 7200.0]
    assert (course.of("patrol").times, course.of("patrol").end_s) == (3, 10_800.0)


def test_each_time_of_a_repeated_action_has_its_own_luck() -> None:
    wide = action("a", duration=Duration(10.0, 60.0, 240.0))
    assert len({duration_s(wide, DAY, time) for time in (1, 2, 3)}) == 3


def test_a_lognormal_has_the_three_quantiles_that_it_was_given_and_scipys_shape() -> None:
    from scipy import stats

    low, usual, high = 10.0, 15.0, 40.0
    shift = (low * high - usual**2) / (low + high - 2 * usual)
    oracle = stats.lognorm(s=np.log((high - shift) / (usual - shift)) / stats.norm.ppf(0.95), loc=shift, scale=usual - shift)
    u = np.array([0.001, 0.05, 0.3, 0.5, 0.8, 0.95, 0.999])
    # both are the same formula in double precision: 1e-9 is far above its rounding and far below anything that matters
    np.testing.assert_allclose(lognormal(u, low, usual, high), oracle.ppf(u), rtol=1e-9)
    np.testing.assert_allclose(oracle.ppf([0.05, 0.5, 0.95]), [low, usual, high], rtol=1e-9)


@given(st.integers(0, 10**6))
def test_a_measured_duration_is_never_below_its_shift(seed: int) -> None:
    measured = action("a", duration=Duration(10.0, 15.0, 40.0, "lognormal", "a drill of 2025"))
    assert duration_s(measured, Future(0, seed, 1.0, {})) >= 8.75 * 60.0


# -- the core --------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["done", "failed", "cancelled", "none"])), max_size=30),
    st.lists(st.sampled_from([1.0, 2.7, 3.5, None]), min_size=30, max_size=30),
)
def test_the_state_is_the_sum_of_what_has_happened(reports: list[tuple[int, str]], lake: list[float | None]) -> None:
    level = PlanLevel("II", Level.ORANGE, enter="level_m@lake > 3 m", leave="level_m@lake < 2 m", automatic=True)
    p = plan(
        action("a", needs={"crew": 1}, repeat_most=2),
        action("b", level="II", cancel_on_leave=True, needs={"crew": 1}, otherwise="c"),
        action("c", after=("a",)),
        action("d", after=("b",), when="level_m@lake < 3 m", deadline_min=10.0),
        levels=(level,),
        resources={"crew": 1},
    )
    state, all_of_it = at_first(p), list[Happening]()
    facts = Lake(lambda s: lake[min(int(s // 60), 29)])
    for minute, (number, kind) in enumerate(reports):
        if kind != "none":
            heard = Happening(kind, "abcd"[number % 4], minute * 60.0)  # type: ignore[arg-type]
            state, all_of_it = after(p, state, [heard]), [*all_of_it, heard]
        state, said = step(p, state, facts, minute * 60.0)
        all_of_it += said
        assert after(p, at_first(p), all_of_it) == state
        assert step(p, state, facts, minute * 60.0)[1] == ()  # a step that is made twice says nothing new
        assert all(count >= 0 for count in free_of(p, state).values())


# -- checks ----------------------------------------------------------------------------------------------------------------

LEVEL = PlanLevel("II", Level.ORANGE, enter=HIGH, leave=LOW)
BAD = {
    "a level that there is not": (plan(action("a", level="II")), "no level 'II'; there are: none"),
    "two levels of one name": (plan(action("a", level="II"), levels=(LEVEL, LEVEL)), "two levels are named 'II'"),
    "an authority of a level": (graded(authority="mayor"), "authority 'mayor' is no role"),
    "an authority that may not agree": (
        graded(authority="auditor"),
        "authority 'auditor' may not agree to a level; may: operator, commander",
    ),
    "an automatic level without a trigger": (graded(enter="", leave=""), "is automatic, and has no `enter`"),
    "a level that flutters": (graded(leave="level_m@lake < 3.5 m"), "can hold at the same time"),
    "a level that can never be entered": (graded(enter="warning_level > red", leave=""), "can never hold"),
    "a level that calls nobody": (plan(action("a"), levels=(LEVEL,)), "calls no action"),
    "a guard that contradicts its level": (
        plan(action("a", level="II", when="level_m@lake < 2 m"), levels=(LEVEL,)),
        "holds only while level II is being left",
    ),
    "cancelled by a level that it has not": (plan(action("a", cancel_on_leave=True)), "has no level that could be left"),
    "a cancel that always holds": (plan(action("a", when="hours < 2 h", cancel="hours < 3 h")), "so it never starts"),
    "otherwise itself": (plan(action("a", otherwise="a")), "which is no other action"),
    "otherwise nobody": (plan(action("a", otherwise="b")), "which is no other action"),
    "otherwise in a circle": (plan(action("a", otherwise="b"), action("b", otherwise="a")), "circle"),
    "a substitute that nobody has": (
        plan(action("a"), substitutes={"bus": (Substitute("ferry"),)}),
        "'ferry' stands in for bus, and nobody has it",
    ),
    "substitutes in a circle": (
        plan(
            action("a"),
            resources={"bus": 1, "truck": 1},
            substitutes={"bus": (Substitute("truck"),), "truck": (Substitute("bus"),)},
        ),
        "in a circle",
    ),
    "a rate of nothing": (plan(action("a"), resources={"t": 1}, substitutes={"bus": (Substitute("t", 0.0),)}), "0 t for one bus"),
    "substitutes that two needs want": (
        plan(
            action("a", needs={"bus": 1, "van": 1}),
            resources={"truck": 1},
            substitutes={"bus": (Substitute("truck"),), "van": (Substitute("truck"),)},
        ),
        "which want the same substitutes",
    ),
    "a unit that does not agree": (
        plan(action("a", when="level_m@lake > 3 h")),
        "column 14: level_m@lake > 3 h: level_m@lake is a length",
    ),
    "a trigger that cannot be read": (plan(action("a", when="level_m@lake >")), "column 15: the text ends"),
    "an event of nobody": (plan(action("a", when='done("b")')), "no action of this name"),
    "a water that there is not": (plan(action("a", when="level_m@sea > 3 m")), "no water 'sea'; there are: lake"),
    "a deadline before the soonest start": (
        plan(action("a"), action("b", after=("a",), deadline_min=30.0)),
        "its deadline of 30 min is over before it can start: those before it take 60 min",
    ),
    "a condition that is over before the soonest start": (
        plan(action("a"), action("b", after=("a",), when="hours < 0.5 h")),
        "does not hold between the soonest that it could start",
    ),
    "a condition that comes after the deadline": (plan(action("a", when="hours > 5 h", deadline_min=60.0)), "and its deadline"),
    "more places than the shelter has": (
        plan(action("a", effects=(Effect("open_shelter", "shelter-1", 26.0),))),
        "26 places, and the twin's shelter has 25",
    ),
    "a lognormal without a source": (plan(action("a", duration=Duration(10.0, 15.0, 40.0, "lognormal"))), "has no source"),
    "a lognormal without a tail": (
        plan(action("a", duration=Duration(10.0, 20.0, 30.0, "lognormal", "x"))),
        "no tail to the right",
    ),
    "a lognormal below nothing": (
        plan(action("a", duration=Duration(1.0, 15.0, 40.0, "lognormal", "x"))),
        "could come out below 0",
    ),
    "repeating never": (plan(action("a", repeat_most=0)), "repeat_most 0"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_plan_that_could_never_be_carried_out_is_refused(what: str) -> None:
    bad, message = BAD[what]
    with pytest.raises(InputError) as refused:
        check_plan(bad, WORLD, MODEL)
    assert message in str(refused.value)


def test_all_faults_of_a_plan_are_told_each_with_its_place() -> None:
    bad = plan(action("a", after=("x",)), action("b", when="moon > 1 m", needs={"bus": 1}), authority="king")
    assert [fault.path for fault in faults_of_plan(bad, WORLD, MODEL)] == [
        ("authority",),
        ("actions", 0, "after"),
        ("actions", 1, "needs"),
        ("actions", 1, "when"),
    ]
    with pytest.raises(InputError) as refused:
        check_plan(bad, WORLD, MODEL)
    assert len(str(refused.value).splitlines()) == 4


def test_a_graded_plan_with_everything_is_sound() -> None:
    levels = (
        PlanLevel("III", Level.YELLOW),
        PlanLevel("II", Level.ORANGE, enter=HIGH, leave=LOW, authority="commander", approval_min=10.0),
        PlanLevel("I", Level.RED, enter="level_m@lake >= 4 m", leave="level_m@lake < 3.5 m for 1 h", automatic=True),
    )
    sound = plan(
        action(
            "warn",
            level="III",
            effects=(Effect("warn_people", "all"),),
            duration=Duration(10.0, 15.0, 40.0, "lognormal", "drill 2025"),
        ),
        action(
            "by bus",
            level="II",
            after=("warn",),
            needs={"bus": 2},
            when='flooded_share@low < 50 % and done("warn")',
            otherwise="by boat",
            cancel="level_m@lake > 6 m",
        ),
        action("by boat", level="II", repeat_most=3),
        action("patrol", level="I", cancel_on_leave=True),
        levels=levels,
        resources={"bus": 1, "truck": 4},
        substitutes={"bus": (Substitute("truck", 2.0),)},
    )
    check_plan(sound, WORLD, MODEL)


def test_the_ranking_says_in_how_many_futures_a_level_was_not_entered() -> None:
    """The lake stands at 2 m in one future and at 4 m in the other: the level's threshold is 3 m."""
    level = PlanLevel("II", Level.ORANGE, enter="level_m@lake > 3 m", automatic=True)
    p = plan(action("warn"), action("evacuate", level="II"), levels=(level,))
    futures = tuple(
        Future(n, n, 86_400.0, {"level_offset_m": 0.0}, {"level@lake": Series.constant(2.0 + 2.0 * n)}) for n in range(2)
    )
    dry = np.zeros((2, 24), np.float32)
    never = np.full((2, 24), np.inf, np.float32)
    foreseen = Foreseen(futures, Footprint(MODEL.makes, 86_400.0, dry, never, never), (), None, ({}, {}))
    (score,) = compare(WORLD, MODEL, find_pack("flood").harm, foreseen, [p], LocalCompute(1), hour=3.0).scores
    assert "in 50% of the futures level II was not entered" in score.reason
    assert score.failed_share == 0.0


def test_an_action_costs_as_often_as_it_was_started() -> None:
    futures = (Future(0, 0, 86_400.0, {}),)
    dry, never = np.zeros((1, 24), np.float32), np.full((1, 24), np.inf, np.float32)
    foreseen = Foreseen(futures, Footprint(MODEL.makes, 86_400.0, dry, never, never), (), None, ({},))
    p = plan(action("patrol", repeat_most=3, cost=100.0))
    (score,) = compare(WORLD, MODEL, find_pack("flood").harm, foreseen, [p], LocalCompute(1), hour=3.0).scores
    assert score.cost == 300.0
