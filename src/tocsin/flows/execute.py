"""Carry a plan out for real: orders when triggers hold, levels when their authority agrees, and all of it folded from the ledger alone.

An execution is what the ledger says of it: the plan in full where it begins, orders, what people report of them, and what the interpreter
said of levels and actions. It is folded entry by entry like the board, so whoever was killed between any two lines goes on from what was
written; what was not written did not happen, and is found again at the next step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from tocsin.decision.interpret import Course, course_of, step
from tocsin.decision.progress import LEVEL_KINDS, Happening, Script, after, at_first
from tocsin.host import Entry, Ledger
from tocsin.pack import Action, Plan
from tocsin.pack.trigger import Facts, Judge
from tocsin.security.actor import Actor
from tocsin.security.gate import must_hold
from tocsin.vocabulary import Conflict, Decision, InputError, NotFound, Order, PlanEvent, Record, Report, record_id

_SAID_OF_ACTIONS = ("failed", "cancelled", "skipped", "not known")


class Execution:
    """One plan that was decided for, and how far it is. It changes only by `post`."""

    def __init__(self, decision_id: str, plan: Plan, began: datetime) -> None:
        self.decision_id, self.plan, self.began = decision_id, plan, began
        self.script, self.state = Script(plan), at_first(plan)
        self.happenings: list[Happening] = []
        self.orders: dict[str, Order] = {}
        self.current: dict[str, str] = {}  # action -> its last order
        self.began_s: dict[str, float] = {}  # action -> when a crew first reported that it began
        self.ended = ""

    def seconds(self, moment: datetime) -> float:
        """A moment in seconds after the decision."""
        return (moment - self.began).total_seconds()

    def post(self, entry: Entry) -> None:
        """Take the next entry of the ledger; what is not about this plan changes nothing."""
        match entry.record:
            case Order() as order if self.decision_id in order.cause and order.action in self.state.actions:
                self.orders[entry.id] = order
                self.current[order.action] = entry.id
                self._happened(Happening("started", order.action, self.seconds(order.time), "", order.needs))
            case Report() as report if report.order in self.orders:
                self._reported(report)
            case PlanEvent() as event if self.decision_id in event.cause:
                if event.what == "ended":
                    self.ended = event.reason or "ended"
                elif event.what in LEVEL_KINDS or event.what in _SAID_OF_ACTIONS:
                    self._happened(Happening(event.what, event.name, self.seconds(event.time), event.reason))  # type: ignore[arg-type]

    def _reported(self, report: Report) -> None:
        action = self.orders[report.order].action
        if self.current[action] != report.order:
            return  # an order before the last one: its action has moved on
        if report.state == "started":
            self.began_s.setdefault(action, self.seconds(report.time))
        elif report.state in ("done", "failed", "cancelled"):
            why = report.text or f"reported as {report.state}"
            self._happened(Happening(report.state, action, self.seconds(report.time), why, final=True))  # type: ignore[arg-type]

    def _happened(self, happening: Happening) -> None:
        self.happenings.append(happening)
        self.state = after(self.plan, self.state, [happening])

    @property
    def is_over(self) -> bool:
        """True where nothing can follow any more."""
        return bool(self.ended) or self.state.is_over

    @property
    def proposed(self) -> tuple[str, ...]:
        """The levels that wait for somebody's agreement."""
        return tuple(name for name, here in self.state.levels.items() if here.phase == "proposed")

    def overdue(self, now: datetime) -> tuple[str, ...]:
        """The actions that should be finished by now, and nobody said so."""
        running = [name for name, here in self.state.actions.items() if here.phase == "running"]
        return tuple(name for name in running if now > self.orders[self.current[name]].due)

    def course(self) -> Course:
        """What became of each action so far."""
        return course_of(self.plan, self.state, tuple(self.happenings))


class Executions:
    """All plans that were ever begun, by decision, as the ledger tells them."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.last = 0
        self.of: dict[str, Execution] = {}
        self.unreadable: dict[str, str] = {}  # decision -> why its plan cannot be read, e.g. written by another version
        for entry in entries:
            self.post(entry)

    def post(self, entry: Entry) -> None:
        """Take the next entry; one that was taken before changes nothing."""
        if entry.number <= self.last:
            return
        self.last = entry.number
        record = entry.record
        if isinstance(record, PlanEvent) and record.what == "begun":
            decision_id = record.cause[0] if record.cause else ""
            try:
                self.of.setdefault(decision_id, Execution(decision_id, _plan_in(record, entry.id), record.time))
            except InputError as fault:  # the other plans go on
                self.unreadable[decision_id] = str(fault)
            return
        for execution in self.of.values():
            execution.post(entry)

    @property
    def running(self) -> tuple[Execution, ...]:
        return tuple(execution for execution in self.of.values() if not execution.is_over)

    def find(self, decision_id: str) -> Execution:
        """One execution; raises NotFound."""
        if decision_id not in self.of:
            raise NotFound(f"execution: no plan was begun by {decision_id!r}; there are: {', '.join(self.of) or 'none'}")
        return self.of[decision_id]


def _plan_in(event: PlanEvent, where: str) -> Plan:
    try:
        plan = msgspec.json.decode(event.document, type=Plan)
    except msgspec.MsgspecError as fault:
        raise InputError(f"{where}: holds no plan that can be read: {fault}") from fault
    if plan.digest() != event.plan_digest:
        raise InputError(f"{where}: holds another plan than {event.plan_digest[:16]}..., which was decided on")
    return plan


# -- what is written -----------------------------------------------------------------------------------------------------------


def begun(plan: Plan, decision: Decision) -> PlanEvent:
    """The record with which a plan begins, at the time of its decision; write it in one go with the decision."""
    if decision.verdict != "approve" or decision.plan_digest != plan.digest():
        raise Conflict(f"execute: {decision.plan!r} was not approved as it is now; compare again and decide again")
    document = msgspec.json.encode(plan, order="deterministic").decode()
    return PlanEvent(
        time=decision.time,
        subject=decision.subject,
        cause=(record_id(decision),),
        plan=plan.name,
        plan_digest=plan.digest(),
        what="begun",
        name=plan.name,
        document=document,
    )


def next_records(execution: Execution, facts: Facts | Judge, now: datetime) -> list[Record]:
    """What the plan says now: orders, and what happens to its levels and actions. Nothing is written here."""
    if execution.is_over:
        return []
    _, happened = step(execution.script, execution.state, facts, execution.seconds(now))
    actions = {action.name: action for action in execution.plan.actions}
    return [
        order_for(execution.plan, actions[h.name], h, execution.decision_id, now)
        if h.kind == "started"
        else _event(execution, h.kind, h.name, h.why, now)
        for h in happened
    ]


def advance(
    ledger: Ledger, actor: Actor, executions: Executions, execution: Execution, facts: Facts | Judge, now: datetime
) -> tuple[str, ...]:
    """One step of a plan: what follows is written, all or nothing, then counted. One executor at a time; the caller sees to that."""
    catch_up(executions, ledger)
    records = next_records(execution, facts, now)
    written = ledger.append(actor, records) if records else ()
    catch_up(executions, ledger)
    return written


def catch_up(executions: Executions, ledger: Ledger) -> None:
    """Take what the ledger has and the executions have not."""
    for entry in ledger.read(executions.last):
        executions.post(entry)


def order_for(plan: Plan, action: Action, started: Happening, decision_id: str, now: datetime) -> Order:
    """The order that starts an action; it names what was allotted, substitutes and all."""
    target = ", ".join(dict.fromkeys(effect.target for effect in action.effects)) or plan.name
    return Order(
        time=now,
        subject=target,
        cause=(decision_id,),
        plan=plan.name,
        action=action.name,
        do=action.do,
        role=action.role,
        needs=dict(started.held),
        start=now,
        due=now + timedelta(minutes=action.duration.high_min),
    )


def agreed(execution: Execution, actor: Actor, level_name: str, *, agrees: bool, reason: str, now: datetime) -> PlanEvent:
    """The record by which a person agrees to a level or refuses it; raises Refused where the person does not hold its authority."""
    level = next((one for one in execution.plan.levels if one.name == level_name), None)
    if level is None:
        names = ", ".join(one.name for one in execution.plan.levels) or "none"
        raise NotFound(f"execution of {execution.plan.name}: no level {level_name!r}; there are: {names}")
    must_hold(actor, level.authority, act=f"agree to level {level_name}", on=execution.plan.name)
    phase = execution.state.levels[level_name].phase
    if execution.is_over or phase != "proposed":
        raise Conflict(f"execution of {execution.plan.name}: level {level_name} is not proposed but {phase}; reload and see why")
    return _event(execution, "entered" if agrees else "refused", level_name, reason or f"by {actor.name}", now)


def ended(execution: Execution, actor: Actor, *, reason: str, now: datetime) -> PlanEvent:
    """The record that ends an execution: nothing follows any more; raises Refused where the person does not hold the plan's authority."""
    must_hold(actor, execution.plan.authority, act="end the plan", on=execution.plan.name)
    if execution.is_over:
        raise Conflict(f"execution of {execution.plan.name}: is over")
    return _event(execution, "ended", execution.plan.name, reason or f"by {actor.name}", now)


def _event(execution: Execution, what: str, name: str, reason: str, now: datetime) -> PlanEvent:
    order = execution.current.get(name, "") if what in ("cancelled", "failed") else ""
    cause: Sequence[str] = [execution.decision_id, *([order] if order else [])]
    digest = execution.plan.digest()
    return PlanEvent(
        time=now,
        subject=name,
        cause=tuple(cause),
        plan=execution.plan.name,
        plan_digest=digest,
        what=what,
        name=name,
        reason=reason,
    )
