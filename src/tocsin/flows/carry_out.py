"""The centre's executor: it begins what was decided, takes a step when something was heard or a minute is over, and says how far each plan is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tocsin.decision.interpret import play
from tocsin.decision.score import PlanResult, at_usual_pace, score, until
from tocsin.flows.execute import Execution, Executions, advance, agreed, begun, catch_up, ended, next_records
from tocsin.host import Ledger
from tocsin.pack import Future, Plan
from tocsin.pack.trigger import Facts
from tocsin.security.actor import Actor
from tocsin.vocabulary import Decision, PlanEvent, Record, TocsinError, record_id

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
Sign = Callable[[PlanEvent], PlanEvent]
FactsOf = Callable[[Plan, datetime, datetime], Facts]


class Carrying:
    """All plans that are carried out here. `facts_of(plan, began, now)` says where a plan's facts come from. Safe to use from several threads."""

    def __init__(self, ledger: Ledger, actor: Actor, facts_of: FactsOf) -> None:
        self._ledger, self._actor, self._facts_of = ledger, actor, facts_of
        self._lock = threading.RLock()
        self._executions = Executions(ledger.read())
        self._looked: datetime | None = None
        self._broken: dict[str, str] = {}  # decision -> why its plan cannot go on

    def first(self, plan: Plan, decision: Decision, now: datetime) -> list[Record]:
        """What an approval brings at once: that the plan begins, and its first orders. To be written in one go with the decision."""
        execution = Execution(record_id(decision), plan, decision.time)
        return [begun(plan, decision), *next_records(execution, self._facts_of(plan, decision.time, now), now)]

    def step(self, now: datetime, *, soon: bool = False) -> tuple[str, ...]:
        """Take a step with every plan that runs, if a minute is over since the last time or `soon`; returns the ids of what was written."""
        with self._lock:
            if not soon and self._looked is not None and 0.0 <= (now - self._looked).total_seconds() < LOOK_EVERY_S:
                return ()
            self._looked = now
            catch_up(self._executions, self._ledger)
            written: list[str] = []
            for execution in self._executions.running:
                try:
                    facts = self._facts_of(execution.plan, execution.began, now)
                    written += advance(self._ledger, self._actor, self._executions, execution, facts, now)
                    self._broken.pop(execution.decision_id, None)
                except TocsinError as fault:  # one plan that cannot go on does not stop the others
                    if self._broken.get(execution.decision_id) != str(fault):
                        log.error("plan_step_failed", extra={"plan": execution.plan.name, "fault": str(fault)})
                    self._broken[execution.decision_id] = str(fault)
            return tuple(written)

    def agree(self, actor: Actor, decision_id: str, level: str, *, agrees: bool, reason: str, sign: Sign, now: datetime) -> str:
        """Agree to a level that is proposed, or refuse it, signed by the person; raises Refused, NotFound or Conflict."""
        with self._lock:
            catch_up(self._executions, self._ledger)
            record = agreed(self._executions.find(decision_id), actor, level, agrees=agrees, reason=reason, now=now)
            said = self._ledger.append(actor, [sign(record)])[0]
            self.step(now, soon=True)
            return said

    def end(self, actor: Actor, decision_id: str, *, reason: str, sign: Sign, now: datetime) -> str:
        """End a plan, signed by the person: no order follows any more; raises Refused, NotFound or Conflict."""
        with self._lock:
            catch_up(self._executions, self._ledger)
            record = ended(self._executions.find(decision_id), actor, reason=reason, now=now)
            return self._ledger.append(actor, [sign(record)])[0]

    def score(self, decision_id: str, now: datetime) -> PlanResult:
        """What a plan has done by now, beside what it would have done on the same facts had everything taken its usual time.

        So the delays are those of crews and approvals, not of the hazard. Facts are known as far back as readings are kept at hand.
        """
        with self._lock:
            catch_up(self._executions, self._ledger)
            execution = self._executions.find(decision_id)
            elapsed_s = max(execution.seconds(now), 1.0)
            future = Future(0, 0, elapsed_s, {})
            expected = until(
                play(at_usual_pace(execution.plan), future, self._facts_of(execution.plan, execution.began, now)), elapsed_s
            )
            return score(expected, execution.course(), execution.began_s)

    def rows(self, now: datetime) -> list[dict[str, Any]]:
        """How far each plan is, newest first: its levels, and each action with what it waits for."""
        with self._lock:
            catch_up(self._executions, self._ledger)
            rows = [_row(e, now) | {"broken": self._broken.get(e.decision_id, "")} for e in self._executions.of.values()]
            lost = [{"decision": decision, "over": True, "broken": why} for decision, why in self._executions.unreadable.items()]
            return [*reversed(rows), *lost]


def _row(execution: Execution, now: datetime) -> dict[str, Any]:
    state, overdue = execution.state, execution.overdue(now)
    return {
        "decision": execution.decision_id,
        "plan": execution.plan.name,
        "hazard": execution.plan.hazard,
        "authority": execution.plan.authority,
        "began": execution.began,
        "over": execution.is_over,
        "ended": execution.ended,
        "proposed": list(execution.proposed),
        "levels": [
            {
                "name": level.name,
                "level": level.level.word,
                "authority": level.authority,
                "phase": state.levels[level.name].phase,
                "since": _moment(execution, state.levels[level.name].since_s)
                if state.levels[level.name].phase != "out"
                else None,
                "enter": level.enter,
                "leave": level.leave,
            }
            for level in execution.plan.levels
        ],
        "actions": [
            {
                "name": action.name,
                "do": action.do,
                "role": action.role,
                "level": action.level,
                "otherwise": action.otherwise,
                "began": _moment(execution, state.actions[action.name].start_s),
                "ended": _moment(execution, state.actions[action.name].end_s),
                "phase": state.actions[action.name].phase,
                "called": execution.script.called_s(state, action) is not None,
                "waits_for": [name for name in action.after if not execution.script.is_done(state, name)],
                "when": action.when,
                "not_known": state.actions[action.name].not_known,
                "why": state.actions[action.name].why,
                "times": state.actions[action.name].times,
                "order": execution.current.get(action.name),
                "overdue": action.name in overdue,
            }
            for action in execution.plan.actions
        ],
    }


def _moment(execution: Execution, seconds: float | None) -> datetime | None:
    return None if seconds is None else execution.began + timedelta(seconds=seconds)
