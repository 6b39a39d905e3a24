"""How a plan and the hazard that it acts on unfold together in one future: its triggers see the hazard as its own effects leave it.

Facts until an effect begins do not depend on it. So the plan is interpreted on a run of the hazard; what the course does to the hazard, from
when on, asks for the next run; and on that the plan is interpreted anew, until a course does to the hazard just what its run was made with.
Each run is right until the first effect in which it and its course differ, and so is all that was decided until then: what is settled grows
with every run, and nothing goes round in a circle. A plan whose triggers ask for nothing that a run tells is settled at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import msgspec

from tocsin.decision.interpret import Course, hazard_effects, play
from tocsin.decision.progress import Happening, Script
from tocsin.decision.trial import FutureFacts, Town
from tocsin.pack import Effect, FactKind, Future, Model
from tocsin.pack.trigger import FactRef, walk
from tocsin.vocabulary import InputError, Level, Member, PackFault

Effects = tuple[Effect, ...]

# A limit of ours on what a plan may cost in one future. Where what a plan does to the hazard begins at k different times, it settles in 2 k runs at
# most: each run adds a time that is sure, or shows a wrong guess, after which the next one adds a time or is the last. Nearly all take one or two.
RUNS_MOST = 24


class Unfolded(msgspec.Struct, frozen=True):
    """How far a plan is settled in a future.

    `course` was interpreted on the run with effects `met`, after `runs` such runs, and does `wanted` to the hazard. Where it is `settled` it is
    what the plan comes to, and its outcome is that on the run with `wanted`; where not, `next_run` is the run on which to go on.
    """

    course: Course
    wanted: Effects
    met: Effects
    facts: FutureFacts
    settled: bool
    next_run: Effects
    runs: int = 0


class Unfolding:
    """Plans that unfold in the futures of one place: who goes on from one run to the next is the caller's to say, since runs are shared."""

    def __init__(self, town: Town, model: Model, kinds: Mapping[str, FactKind], level: Level) -> None:
        self._town, self._model, self._kinds, self._level = town, model, kinds, level

    def begin(self, script: Script, future: Future, member: Member) -> Unfolded:
        """A plan on the hazard as it comes if nobody does anything about it."""
        facts = FutureFacts(self._kinds, self._town, self._model, future, member, self._level)
        course = play(script, future, facts)
        wanted = hazard_effects(script.plan, course, self._model)
        return Unfolded(course, wanted, (), facts, not wanted or not asks_a_run(script, self._kinds), wanted)

    def go_on(self, script: Script, future: Future, was: Unfolded, member: Member) -> Unfolded:
        """The same plan on the run that it asked for, `was.next_run`.

        Raises PackFault where that run is not as it was before the first effect that is new in it: such a model looks ahead, and nobody can
        say what the plan would see. Raises InputError where the plan is not settled after RUNS_MOST runs.
        """
        from_s = first_difference_s(was.met, was.next_run)
        facts = _Spliced(was.facts, from_s, self._kinds, self._town, self._model, future, member, self._level)
        course = play(script, future, facts)
        if _until(course, from_s) != _until(was.course, from_s):
            raise PackFault(self._looks_ahead(script, future, was, course, from_s))
        met, wanted, runs = was.next_run, hazard_effects(script.plan, course, self._model), was.runs + 1
        if wanted == met:
            return Unfolded(course, wanted, met, facts, True, wanted, runs)
        if runs >= RUNS_MOST:
            raise InputError(
                f"plan {script.plan.name}: not settled in future {future.number} after {runs} runs of the hazard, in which each changed what "
                f"the plan did next; wanted fewer: let fewer of its actions on the hazard depend on what the others change"
            )
        apart_s = first_difference_s(met, wanted)
        # An effect that was in the run and is not in the course was a wrong guess, and so may be what follows it: then only what is sure is run.
        guessed_wrong = any(effect.start_s == apart_s for effect in Counter(met) - Counter(wanted))
        sure = tuple(effect for effect in wanted if effect.start_s <= apart_s)
        return Unfolded(course, wanted, met, facts, False, sure if guessed_wrong else wanted, runs)

    def _looks_ahead(self, script: Script, future: Future, was: Unfolded, course: Course, from_s: float) -> str:
        verbs = ", ".join(sorted({effect.verb for effect in was.next_run if effect.start_s == from_s} or {"an effect"}))
        before, now = _until(was.course, from_s), _until(course, from_s)
        odd = next((one or other for one, other in zip((*before, None), (*now, None), strict=False) if one != other), None)
        what = "" if odd is None else f" ({odd.name!r} {odd.kind} after {odd.time_s / 60.0:g} min in one and not in the other)"
        return (
            f"{self._model.name}: future {future.number}: {verbs} from {from_s / 60.0:g} min on changes what plan {script.plan.name} saw before{what}; "
            "wanted a hazard that is the same until an effect begins: leave out the triggers on what this effect changes, or mend the model"
        )


class _Spliced(FutureFacts):
    """Facts of one run until its new effects begin, and of the next from then on.

    Until then the newer run tells the same, and is asked where it can be seen whether it does. Between two points of a course lies a line, whose
    farther end the effect may move: from the last point before the effect until it begins, the earlier run is asked.
    """

    def __init__(
        self, before: FutureFacts, from_s: float, *now: *tuple[Mapping[str, FactKind], Town, Model, Future, Member, Level]
    ) -> None:
        super().__init__(*now)
        self._before, self._from_s = before, from_s
        courses = {name: series.time_s[series.time_s < from_s] for name, series in now[4].courses.items()}
        self._same_until_s = {name: float(time_s[-1]) for name, time_s in courses.items() if time_s.size}

    def told(self, name: str, place: str, time_s: float) -> float | None:
        """What a fact is at a time, by the run that stands for that time."""
        kind = self._kinds[name]
        is_of_run = kind.reached or kind.course
        is_seen = time_s < self._from_s if kind.reached else time_s <= self._same_until_s.get(kind.course, -math.inf)
        if is_of_run and time_s <= self._from_s and not is_seen:
            return self._before.told(name, place, time_s)
        return super().told(name, place, time_s)


def asks_a_run(script: Script, kinds: Mapping[str, FactKind]) -> bool:
    """True for a plan that asks for what only a run of the hazard tells: where it has come, or how it goes over time."""
    claims = (*script.enter.values(), *script.leave.values(), *script.when.values(), *script.cancel.values())
    asked = {node.name for claim in claims for node in walk(claim) if isinstance(node, FactRef)}
    return any(kinds[name].reached or kinds[name].course for name in asked)


def first_difference_s(one: Effects, other: Effects) -> float:
    """When the first effect begins that only one of the two has; inf where they are alike."""
    more, less = Counter(one), Counter(other)
    return min((effect.start_s for effect in (more - less) + (less - more)), default=math.inf)


def _until(course: Course, time_s: float) -> tuple[Happening, ...]:
    return tuple(happening for happening in course.happenings if happening.time_s <= time_s)
