"""A plan that is carried out: the same facts give the same course as in simulation, and a crash between any two lines loses nothing."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.decision.interpret import Course, duration_s, play
from tocsin.decision.score import score
from tocsin.flows.board import Board
from tocsin.flows.carry_out import Carrying
from tocsin.flows.execute import Execution, Executions, advance, agreed, begun, catch_up, ended
from tocsin.host import Entry
from tocsin.pack import Action, Duration, Future, Plan, PlanLevel, Substitute, facts_for
from tocsin.pack.trigger import Fact
from tocsin.security.actor import Actor
from tocsin.security.keys import SigningKey
from tocsin.testing.memory import START, TestHost
from tocsin.vocabulary import Conflict, Decision, InputError, Level, NotFound, Order, PlanEvent, Refused, Report

ADA = Actor("ada", frozenset({"commander"}))
OTTO = Actor("otto", frozenset({"operator"}))
PLATFORM = Actor("platform", frozenset({"system"}))
KEY = SigningKey.new()


def signed(event: PlanEvent) -> PlanEvent:
    named = msgspec.structs.replace(event, signer="ada", public_key=KEY.public_key)
    return msgspec.structs.replace(named, signature=KEY.sign(named.signing_bytes()))


DAY = Future(0, 7, 86_400.0, {})
WIDE = Duration(20.0, 40.0, 90.0)


class Lake:
    def __init__(self, level_m: Callable[[float], float | None]) -> None:
        self.level_m = level_m

    def at(self, name: str, place: str, time_s: float) -> Fact | None:
        value = time_s / 3600.0 if name == "hours" else self.level_m(time_s)
        return None if value is None else Fact(value, facts_for("flood")[name].unit)


def action(name: str, **changes: object) -> Action:
    return Action(name=name, do=f"do {name}", role="police", **({"duration": WIDE} | changes))  # type: ignore[arg-type]


PLAN = Plan(
    "quay",
    "flood",
    "a graded plan",
    (
        action("warn"),
        action("open hall", needs={"crew": 1}),
        action(
            "by bus",
            level="II",
            after=("warn",),
            needs={"bus": 2},
            when="level_m@lake < 4 m",
            deadline_min=60.0,
            otherwise="by boat",
        ),
        action("by boat", level="II", cancel="level_m@lake > 6 m"),
        action("count heads", level="II", after=("by bus",)),
        action("patrol", level="II", duration=Duration(50.0, 50.0, 50.0), cancel_on_leave=True, repeat_most=9, needs={"crew": 1}),
        action("dike watch", level="I"),
    ),
    levels=(
        PlanLevel(
            "II", Level.ORANGE, enter="level_m@lake >= 3 m for 15 min", leave="level_m@lake < 2.5 m for 30 min", approval_min=10.0
        ),
        PlanLevel("I", Level.RED, enter="level_m@lake >= 5 m", leave="level_m@lake < 4.5 m", automatic=True),
    ),
    resources={"crew": 1, "bus": 1, "truck": 2},
    substitutes={"bus": (Substitute("truck", 2.0),)},
)


def decided(plan: Plan, verdict: str = "approve") -> Decision:
    unsigned = Decision(
        time=START,
        subject=plan.name,
        plan=plan.name,
        plan_digest=plan.digest(),
        verdict=verdict,
        comment="",
        signer="ada",
        public_key=KEY.public_key,
    )
    return msgspec.structs.replace(unsigned, signature=KEY.sign(unsigned.signing_bytes()))


def start(plan: Plan) -> tuple[TestHost, str]:
    host, decision = TestHost(), decided(plan)
    ids = host.ledger.append(ADA, [decision, begun(plan, decision)])
    return host, ids[0]


def carry_out(
    plan: Plan, facts: Lake, *, hours: int = 24, crash: Callable[[int], bool] = lambda _n: False
) -> tuple[TestHost, Execution]:
    """Carry a plan out for a day, or more, in which crews take as long as in simulation. The executor may be killed and made anew before any step."""
    host, decision_id = start(plan)
    executions, doings = Executions(host.ledger.read()), {a.name: a for a in plan.actions}
    coming = [(300.0 * k, 0, "look", "") for k in range(hours * 12 + 1)]
    heapq.heapify(coming)
    seen, steps = set[str](), 0
    while coming:
        time_s, _, what, name = heapq.heappop(coming)
        now = START + timedelta(seconds=time_s)
        if crash(steps):
            executions = Executions(host.ledger.read())
        steps += 1
        catch_up(executions, host.ledger)
        execution = executions.find(decision_id)
        if what == "done" and execution.current[execution.orders[name].action] == name:
            target = execution.orders[name]
            if execution.state.actions[target.action].phase == "running":
                host.ledger.append(OTTO, [Report(time=now, subject=target.subject, cause=(name,), order=name, state="done")])
        if what == "agree" and name in execution.proposed:
            host.ledger.append(ADA, [agreed(execution, ADA, name, agrees=True, reason="", now=now)])
        advance(host.ledger, PLATFORM, executions, execution, facts, now)
        execution = executions.find(decision_id)
        for order_id, order in execution.orders.items():
            if order_id not in seen:
                seen.add(order_id)
                took_s = duration_s(doings[order.action], DAY, execution.state.actions[order.action].times)
                heapq.heappush(coming, (time_s + took_s, len(seen), "done", order_id))
        for name, here in execution.state.levels.items():
            asked = f"{name} {here.since_s}"
            if here.phase == "proposed" and asked not in seen:
                seen.add(asked)
                wait_s = 60.0 * next(level.approval_min for level in plan.levels if level.name == name)
                heapq.heappush(coming, (time_s + wait_s, len(seen), "agree", name))
    return host, executions.find(decision_id)


def alike(one: Course, other: Course) -> None:
    """Two courses with the same happenings at the same times, to the microsecond that a record's time has."""
    for a, b in zip(one.done, other.done, strict=True):
        assert (a.action, a.failed, a.skipped, a.times, dict(a.held), a.not_known) == (
            b.action,
            b.failed,
            b.skipped,
            b.times,
            dict(b.held),
            b.not_known,
        )
        for x, y in ((a.start_s, b.start_s), (a.end_s, b.end_s)):
            assert (x is None) == (y is None)
            assert x is None or x == pytest.approx(y, abs=2e-6)
    assert [(h.kind, h.name) for h in one.happenings] == [(h.kind, h.name) for h in other.happenings]


def wave(time_s: float) -> float:
    """Rises through 3, 4 and 5 m, and falls again."""
    return max(1.0, 6.0 - abs(time_s - 4 * 3600.0) / 2400.0)


@pytest.mark.parametrize(
    "lake", [wave, lambda s: 3.5, lambda s: 2.0, lambda s: 3.5 if s < 9000 else None], ids=["wave", "high", "low", "lost"]
)
def test_simulation_and_execution_of_the_same_facts_give_the_same_course(lake: Callable[[float], float | None]) -> None:
    _, execution = carry_out(PLAN, Lake(lake))
    simulated = play(PLAN, DAY, Lake(lake))
    alike(execution.course(), simulated)
    assert any(d.end_s is not None for d in simulated.done)


@given(st.lists(st.sampled_from([1.0, 2.4, 2.7, 3.2, 4.5, 5.5, 6.5, None]), min_size=8, max_size=8))
@settings(max_examples=20, deadline=None)
def test_the_looks_that_a_simulation_leaves_out_change_nothing(every_3_h: list[float | None]) -> None:
    """An execution looks at its facts every 5 min; a simulation jumps to where one of them changes."""
    lake = Lake(lambda s: every_3_h[max(int(s // 10_800), 0)] if s < 86_400 else 1.0)  # calm at last, so that both come to an end
    alike(carry_out(PLAN, lake, hours=48)[1].course(), play(PLAN, Future(0, 7, 172_800.0, {}), lake))


@given(st.sets(st.integers(0, 320)))
@settings(max_examples=10, deadline=None)
def test_an_executor_that_is_killed_at_any_step_loses_nothing(killed: set[int]) -> None:
    whole, _ = carry_out(PLAN, Lake(wave))
    broken, _ = carry_out(PLAN, Lake(wave), crash=killed.__contains__)
    assert [e.id for e in broken.ledger.read()] == [e.id for e in whole.ledger.read()]


def test_the_wave_goes_through_all_that_a_plan_can_say() -> None:
    host, execution = carry_out(PLAN, Lake(wave))
    kinds = {(h.kind, h.name) for h in execution.happenings}
    assert {
        ("proposed", "II"),
        ("entered", "II"),
        ("left", "II"),
        ("entered", "I"),
        ("started", "by bus"),
        ("skipped", "by boat"),
        ("cancelled", "patrol"),
    } <= kinds
    orders = [e.record for e in host.ledger.read() if isinstance(e.record, Order)]
    assert next(o.needs for o in orders if o.action == "by bus") == {"bus": 1, "truck": 2}
    assert host.ledger.verify() == host.ledger.size()


def test_a_plan_goes_on_from_the_ledger_alone_with_nobody_to_tell_what_it_was() -> None:
    host, decision_id = start(PLAN)
    assert Executions(host.ledger.read()).find(decision_id).plan == PLAN


def test_a_plan_whose_record_is_not_what_was_decided_on_is_not_carried_out() -> None:
    host, _ = start(PLAN)
    event = next(e.record for e in host.ledger.read() if isinstance(e.record, PlanEvent))
    for document, says in (
        (event.document.replace('"crew":1', '"crew":9'), "holds another plan"),
        ("{", "no plan that can be read"),
    ):
        bad = msgspec.structs.replace(event, document=document, subject="other")
        other, decision = TestHost(), decided(PLAN)
        other.ledger.append(ADA, [decision, bad])
        executions = Executions(other.ledger.read())
        (why,) = executions.unreadable.values()
        assert says in why
        assert executions.running == ()


def test_only_an_approved_plan_begins_and_only_as_it_was_approved() -> None:
    with pytest.raises(Conflict, match="was not approved as it is now"):
        begun(PLAN, decided(PLAN, "reject"))
    with pytest.raises(Conflict, match="was not approved as it is now"):
        begun(msgspec.structs.replace(PLAN, summary="other"), decided(PLAN))


def running(lake_m: float = 3.5) -> tuple[TestHost, Executions, Execution]:
    """A plan a quarter of an hour after its decision."""
    host, decision_id = start(PLAN)
    executions = Executions()
    catch_up(executions, host.ledger)
    execution = executions.find(decision_id)
    advance(host.ledger, PLATFORM, executions, execution, Lake(lambda _s: lake_m), START + timedelta(minutes=15))
    return host, executions, execution


def test_a_level_is_agreed_to_by_who_holds_its_authority_and_only_while_it_is_proposed() -> None:
    host, executions, execution = running()
    now = START + timedelta(minutes=16)
    assert execution.proposed == ("II",)
    assert "by bus" not in execution.current
    with pytest.raises(Refused, match="it needs commander, held: operator"):
        agreed(execution, OTTO, "II", agrees=True, reason="", now=now)
    with pytest.raises(NotFound, match="no level 'III'; there are: II, I"):
        agreed(execution, ADA, "III", agrees=True, reason="", now=now)
    with pytest.raises(Conflict, match="level I is not proposed but out"):
        agreed(execution, ADA, "I", agrees=True, reason="", now=now)
    host.ledger.append(ADA, [agreed(execution, ADA, "II", agrees=False, reason="wait for the gauge", now=now)])
    advance(host.ledger, PLATFORM, executions, execution, Lake(lambda _s: 3.5), now)
    assert execution.state.levels["II"].phase == "refused"
    with pytest.raises(Conflict, match="not proposed but refused"):
        agreed(execution, ADA, "II", agrees=True, reason="", now=now)


def test_an_action_that_should_be_finished_is_overdue_until_somebody_says_so() -> None:
    host, executions, execution = running()
    late = START + timedelta(minutes=15 + 91)
    assert execution.overdue(START + timedelta(minutes=15 + 89)) == ()
    assert execution.overdue(late) == ("warn", "open hall")
    order = execution.current["warn"]
    host.ledger.append(OTTO, [Report(time=late, subject="quay", cause=(order,), order=order, state="done")])
    catch_up(executions, host.ledger)
    assert execution.overdue(late) == ("open hall",)


def test_what_a_trigger_cancels_is_cancelled_on_the_board_too() -> None:
    quick = Plan("q", "flood", "", (action("a", cancel="level_m@lake > 4 m"),))
    host, decision_id = start(quick)
    executions = Executions(host.ledger.read())
    execution = executions.find(decision_id)
    advance(host.ledger, PLATFORM, executions, execution, Lake(lambda _s: 3.0), START)
    advance(host.ledger, PLATFORM, executions, execution, Lake(lambda _s: 5.0), START + timedelta(minutes=5))
    state = Board(host.ledger.read()).order(execution.current["a"])
    assert (state.state, state.reports[-1][2]) == ("cancelled", "level_m@lake > 4 m")
    assert execution.is_over


def test_a_report_that_an_action_failed_calls_what_is_done_otherwise() -> None:
    p = Plan("q", "flood", "", (action("bus", otherwise="boat"), action("boat")))
    host, decision_id = start(p)
    executions = Executions(host.ledger.read())
    execution = executions.find(decision_id)
    advance(host.ledger, PLATFORM, executions, execution, Lake(lambda _s: 3.0), START)
    order = execution.current["bus"]
    assert "boat" not in execution.current
    host.ledger.append(OTTO, [Report(time=START, subject="q", cause=(order,), order=order, state="failed", text="no driver")])
    advance(host.ledger, PLATFORM, executions, execution, Lake(lambda _s: 3.0), START + timedelta(minutes=1))
    assert "boat" in execution.current
    assert execution.course().of("bus").failed == "no driver"


def test_an_ended_plan_gives_no_orders_any_more() -> None:
    host, executions, execution = running()
    now = START + timedelta(minutes=20)
    with pytest.raises(Refused):
        ended(execution, OTTO, reason="", now=now)
    host.ledger.append(ADA, [ended(execution, ADA, reason="the water falls", now=now)])
    size = host.ledger.size()
    assert advance(host.ledger, PLATFORM, executions, execution, Lake(lambda _s: 9.0), now) == ()
    assert (host.ledger.size(), executions.running) == (size, ())


def test_a_plan_is_scored_by_what_was_expected_and_what_came() -> None:
    """Everything half an hour late but one action that failed."""
    p = Plan(
        "q",
        "flood",
        "",
        (action("a", duration=Duration(60.0, 60.0, 60.0)), action("b"), action("c", level="II")),
        levels=(PLAN.levels[0],),
    )
    expected = play(p, DAY, Lake(lambda _s: 1.0))
    host, decision_id = start(p)
    executions = Executions(host.ledger.read())
    execution = executions.find(decision_id)
    advance(host.ledger, PLATFORM, executions, execution, Lake(lambda _s: 1.0), START)
    for name, state, minutes in (("a", "started", 10), ("a", "done", 90), ("b", "failed", 20)):
        order = execution.current[name]
        host.ledger.append(
            OTTO, [Report(time=START + timedelta(minutes=minutes), subject="q", cause=(order,), order=order, state=state)]
        )
    catch_up(executions, host.ledger)
    result = score(expected, execution.course(), execution.began_s)
    a, b, c = result.actions
    assert (a.outcome, a.expected_end_s, a.began_s, a.end_s, a.delay_s) == ("done", 3600.0, 600.0, 5400.0, 1800.0)
    assert (b.outcome, b.reason) == ("failed", "reported as failed")
    assert (c.outcome, c.delay_s) == ("not called", None)
    assert (result.done_share, result.delay_mean_s, result.delay_worst_s) == (0.5, 1800.0, 1800.0)


# -- the centre's executor ---------------------------------------------------------------------------------------------------


def carrying(plan: Plan, lake: Lake) -> tuple[TestHost, Carrying, str]:
    host, decision = TestHost(), decided(plan)
    executor = Carrying(host.ledger, PLATFORM, lambda _plan, _began, _now: lake)
    ids = host.ledger.append(ADA, [decision, *executor.first(plan, decision, START)])
    return host, executor, ids[0]


def test_an_approval_writes_the_first_orders_with_the_decision_and_the_rest_follows_by_itself() -> None:
    host, executor, decision_id = carrying(PLAN, Lake(lambda _s: 3.5))
    orders = [e.record.action for e in host.ledger.read() if isinstance(e.record, Order)]
    assert orders == ["warn", "open hall"]
    (row,) = executor.rows(START)
    assert (row["decision"], row["proposed"], row["over"]) == (decision_id, ["II"], False)
    assert executor.step(START) == ()
    executor.agree(ADA, decision_id, "II", agrees=True, reason="", sign=signed, now=START + timedelta(minutes=1))
    waiting = {a["name"]: a["waits_for"] for a in executor.rows(START)[0]["actions"]}
    assert waiting["by bus"] == ["warn"]
    order = executor.rows(START)[0]["actions"][0]["order"]
    host.ledger.append(OTTO, [Report(time=START, subject="quay", cause=(order,), order=order, state="done")])
    assert executor.step(START + timedelta(minutes=1, seconds=30)) == ()  # a minute is not over
    assert len(executor.step(START + timedelta(minutes=1, seconds=30), soon=True)) == 1
    phases = {a["name"]: a["phase"] for a in executor.rows(START)[0]["actions"]}
    assert phases["by bus"] == "running"


def test_a_plan_whose_facts_break_is_told_and_does_not_stop_the_others() -> None:
    host, _, first = carrying(PLAN, Lake(lambda _s: 1.0))
    other = Plan("other", "flood", "", (action("a", when="hours > 1 h"),))
    decision = decided(other)
    second = host.ledger.append(ADA, [decision, begun(other, decision)])[0]

    class Feet:
        def at(self, name: str, place: str, time_s: float) -> Fact | None:
            return Fact(2.0, "h") if name == "hours" else Fact(9.8, "ft")

    broken = Carrying(host.ledger, PLATFORM, lambda _plan, _began, _now: Feet())
    broken.step(START)
    rows = {row["decision"]: row for row in broken.rows(START)}
    assert "came in 'ft'; wanted 'm'" in rows[first]["broken"]
    assert (rows[second]["broken"], rows[second]["actions"][0]["phase"]) == ("", "running")


def test_an_ended_plan_is_over_and_an_unreadable_one_is_shown() -> None:
    _, executor, decision_id = carrying(PLAN, Lake(lambda _s: 1.0))
    executor.end(ADA, decision_id, reason="the water falls", sign=signed, now=START)
    assert executor.rows(START)[0]["ended"] == "the water falls"
    strange = msgspec.structs.replace(begun(PLAN, decided(PLAN)), document="{", cause=("decision-0",))
    executions = Executions(Entry(n, str(n), "ada", START, r) for n, r in enumerate([strange], 1))
    assert "no plan that can be read" in executions.unreadable["decision-0"]


def test_what_a_person_cancels_is_not_ordered_again() -> None:
    host, executor, _ = carrying(Plan("q", "flood", "", (action("patrol", repeat_most=9),)), Lake(lambda _s: 1.0))
    order = executor.rows(START)[0]["actions"][0]["order"]
    host.ledger.append(OTTO, [Report(time=START, subject="q", cause=(order,), order=order, state="cancelled", text="storm")])
    assert executor.step(START + timedelta(hours=1), soon=True) == ()
    (row,) = executor.rows(START)
    assert (row["over"], row["actions"][0]["phase"], row["actions"][0]["why"]) == (True, "cancelled", "storm")


def test_the_result_is_beside_what_the_same_facts_would_have_brought_at_the_usual_pace() -> None:
    p = Plan("q", "flood", "", (action("a"), action("b", after=("a",)), action("c", after=("b",))))
    host, executor, decision_id = carrying(p, Lake(lambda _s: 1.0))
    order, now = executor.rows(START)[0]["actions"][0]["order"], START + timedelta(minutes=70)
    host.ledger.append(OTTO, [Report(time=START + timedelta(minutes=55), subject="q", cause=(order,), order=order, state="done")])
    executor.step(START + timedelta(minutes=55))
    a, b, c = executor.score(decision_id, now).actions
    # usually 40 min each: a was 15 min late; b would have begun at 40 and began at 55; c is expected at 80, after now
    assert (a.outcome, a.delay_s, b.outcome, b.delay_s) == ("done", 900.0, "running", 900.0)
    assert (c.expected_start_s, c.outcome, c.delay_s) == (None, "not called", None)
    with pytest.raises(NotFound, match="no plan was begun by 'x'"):
        executor.score("x", now)


def test_what_a_person_says_of_a_level_is_signed_and_an_event_that_was_changed_or_is_anothers_is_refused() -> None:
    host, executor, decision_id = carrying(PLAN, Lake(lambda _s: 3.5))

    def changed(event: PlanEvent) -> PlanEvent:
        return msgspec.structs.replace(signed(event), reason="another reason")

    now = START + timedelta(minutes=1)
    with pytest.raises(InputError, match="is not what was signed"):
        executor.agree(ADA, decision_id, "II", agrees=True, reason="", sign=changed, now=now)
    said = executor.agree(ADA, decision_id, "II", agrees=False, reason="not yet", sign=signed, now=now)
    event = host.ledger.find(said).record
    assert isinstance(event, PlanEvent)
    assert (event.what, event.signer, event.reason) == ("refused", "ada", "not yet")
    with pytest.raises(InputError, match="was written by 'otto'"):
        host.ledger.append(OTTO, [event])
