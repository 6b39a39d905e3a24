"""What a plan did, beside what was expected of it: action by action, how late it began and ended, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tocsin.decision.interpret import Course, Done
from tocsin.pack import Duration, Plan


class ActionScore(msgspec.Struct, frozen=True):
    """One action. Times in s after the decision: expected, ordered, begun (as the crew said), ended. `delay_s` is that of the end, or,
    where one of the two ends is missing, of the start; None where there is nothing to compare."""

    action: str
    outcome: str
    expected_start_s: float | None
    expected_end_s: float | None
    ordered_s: float | None
    began_s: float | None
    end_s: float | None
    delay_s: float | None
    reason: str = ""


class PlanResult(msgspec.Struct, frozen=True):
    """How a plan went: the share of the expected actions that were done, the mean and the worst delay of those, and each action."""

    done_share: float | None
    delay_mean_s: float | None
    delay_worst_s: float | None
    actions: tuple[ActionScore, ...]


def at_usual_pace(plan: Plan) -> Plan:
    """The plan with every action as long as it usually takes."""
    usual = [msgspec.structs.replace(action, duration=_usual(action.duration)) for action in plan.actions]
    return msgspec.structs.replace(plan, actions=tuple(usual))


def _usual(duration: Duration) -> Duration:
    return Duration(duration.usual_min, duration.usual_min, duration.usual_min)


def until(course: Course, end_s: float) -> Course:
    """A course as far as it has gone by a moment: what starts or ends later is not told."""

    def by_then(time_s: float | None) -> float | None:
        return None if time_s is None or time_s > end_s else time_s

    done = [msgspec.structs.replace(d, start_s=by_then(d.start_s), end_s=by_then(d.end_s)) for d in course.done]
    return Course(tuple(done), tuple(h for h in course.happenings if h.time_s <= end_s))


def score(expected: Course, came: Course, began_s: Mapping[str, float] | None = None) -> PlanResult:
    """Set what came beside what was expected; both are courses of the same plan.

    `expected` is the plan played in a future or on the facts that came; `came` is that of an execution or a drill; `began_s` is when a crew
    said that it began.
    """
    rows = tuple(_scored(e, came.of(e.action), (began_s or {}).get(e.action)) for e in expected.done)
    wanted = [row for row in rows if row.expected_end_s is not None]
    delays = [row.delay_s for row in wanted if row.outcome == "done" and row.delay_s is not None]
    return PlanResult(
        sum(row.outcome == "done" for row in wanted) / len(wanted) if wanted else None,
        sum(delays) / len(delays) if delays else None,
        max(delays) if delays else None,
        rows,
    )


def _scored(expected: Done, came: Done, began_s: float | None) -> ActionScore:
    if came.end_s is not None:
        outcome = "done"
    elif came.failed:
        outcome = "cancelled" if came.failed.startswith("cancelled: ") else "failed"
    else:
        outcome = "not called" if came.start_s is None else "running"
    delay_s = None
    if expected.end_s is not None and came.end_s is not None:
        delay_s = came.end_s - expected.end_s
    elif expected.start_s is not None and came.start_s is not None:
        delay_s = came.start_s - expected.start_s
    return ActionScore(
        expected.action,
        outcome,
        expected.start_s,
        expected.end_s,
        came.start_s,
        began_s,
        came.end_s,
        delay_s,
        came.failed or came.skipped or came.not_known,
    )
