"""Plan regression: plans are run on stored cases and scenarios, and what comes is held against what is expected of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from tocsin.decision.compare import Compared, Told
from tocsin.decision.interpret import Course
from tocsin.flows.decision import compare_plans
from tocsin.flows.information import foresee, usual_spreads
from tocsin.host import Compute
from tocsin.pack import IN_DANGER, Case, Model, Pack, Plan, Scenario, find_pack
from tocsin.platform.twin import Twin
from tocsin.vocabulary import InputError, Level, World

ROUND_MIN = 5.0


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that is expected of a plan: of an action, in a share of the futures; or of the plan, a number that must not be exceeded."""

    plan: str
    action: str = ""
    starts_before_min: float | None = None
    ends_before_min: float | None = None
    in_share: float = 1.0
    starts_in_share_most: float | None = None
    people_in_danger_most: float | None = None
    people_in_danger_worst_tenth_most: float | None = None
    failed_share_most: float | None = None

    def __post_init__(self) -> None:
        said = [name for name in (*OF_ACTIONS, *OF_PLANS) if getattr(self, name) is not None]
        if len(said) != 1:
            every = ", ".join((*OF_ACTIONS, *OF_PLANS))
            raise ValueError(f"expect of {self.plan!r}: says {' and '.join(said) or 'nothing'}; wanted one of {every}")
        if (said[0] in OF_ACTIONS) != bool(self.action):
            raise ValueError(
                f"expect of {self.plan!r}: {said[0]} is about {'an action: name it' if not self.action else 'the whole plan'}"
            )
        value = getattr(self, said[0])
        if not (math.isfinite(value) and value >= 0 and 0 <= self.in_share <= 1):
            raise ValueError(
                f"expect of {self.plan!r}: {said[0]} = {value}, in_share = {self.in_share}; wanted 0 or more, and a share"
            )

    @property
    def measure(self) -> str:
        return next(name for name in (*OF_ACTIONS, *OF_PLANS) if getattr(self, name) is not None)


OF_ACTIONS = ("starts_before_min", "ends_before_min", "starts_in_share_most")
OF_PLANS = ("people_in_danger_most", "people_in_danger_worst_tenth_most", "failed_share_most")


class Trial(msgspec.Struct, frozen=True):
    """A stored situation to run plans on, and what is expected of them there."""

    name: str
    scenario: Scenario
    expects: tuple[Expect, ...] = ()
    asked: Mapping[str, str] = {}
    model: str = ""
    hour: float = 3.0
    warning_level: Level = Level.NONE


class Held(msgspec.Struct, frozen=True):
    """An expectation beside what came: `got` is the share of the futures for an action, else the number itself."""

    trial: str
    expect: Expect
    got: float
    holds: bool
    words: str


class PlanTrial(msgspec.Struct, frozen=True):
    """What a plan came to in a trial."""

    trial: str
    plan: str
    people_in_danger: float
    people_in_danger_worst_tenth: float
    failed_share: float
    started_share: dict[str, float]
    started_latest_min: dict[str, float]


class Trials(msgspec.Struct, frozen=True):
    """All that was tried; cases that could not be, with why."""

    held: tuple[Held, ...]
    results: tuple[PlanTrial, ...]
    not_played: dict[str, str]
    harmed: str = IN_DANGER

    @property
    def ok(self) -> bool:
        return all(one.holds for one in self.held)


def case_trials(pack: Pack, world: World, model: Model, *, members: int, hours: float) -> tuple[dict[str, Trial], dict[str, str]]:
    """The pack's cases as trials of this place, by name; and why the others cannot be played here."""
    trials: dict[str, Trial] = {}
    not_played: dict[str, str] = {}
    for case in pack.cases:
        if why := _why_not(case, world):
            not_played[case.name] = why
            continue
        knobs = usual_spreads(model) if members > 1 else {}
        trials[case.name] = Trial(
            case.name, Scenario(hours * 3600.0, members, 0, knobs, dict(case.forcing)), asked={"case": case.name}
        )
    return trials, not_played


def _why_not(case: Case, world: World) -> str:
    if not case.forcing:
        return "its sources do not tell enough to play it"
    for name in case.forcing:
        kind, _, place = name.partition("@")
        there_are = world.waters() if kind == "level" else world.lines()
        if place and place not in there_are:
            return f"this place has no {place!r}"
    return ""


def try_plans(
    twin: Twin,
    hazard: str,
    plans: Sequence[Plan],
    trials: Sequence[Trial],
    *,
    world: World,
    not_played: Mapping[str, str] | None = None,
    compute: Compute | None = None,
    on_progress: Told | None = None,
) -> Trials:
    """Run all plans on all trials and hold what came against what was expected. Raises InputError for an expectation of nobody."""
    by_name = {plan.name: plan for plan in plans}
    for trial in trials:
        for expect in trial.expects:
            if expect.plan in by_name:
                _check_expect(trial, expect, by_name[expect.plan])
    held: list[Held] = []
    results: list[PlanTrial] = []
    tell = on_progress or (lambda _task, _done, _total: None)
    for number, trial in enumerate(trials):
        tell("trials", number, len(trials))
        result = foresee(twin, hazard, trial.scenario, time=world.time, model=trial.model, asked=trial.asked, compute=compute)
        compared = compare_plans(result, plans, hour=trial.hour, warning_level=trial.warning_level, compute=compute)
        results += [_came_to(trial, plan, compared) for plan in plans]
        held += [_held(trial, expect, compared) for expect in trial.expects if expect.plan in by_name]
    tell("trials", len(trials), len(trials))
    return Trials(tuple(held), tuple(results), dict(not_played or {}), find_pack(hazard).harm.harmed_words)


def measured(trial: Trial, trials: Trials, plans: Sequence[Plan]) -> tuple[Expect, ...]:
    """What came, as expectations: those that the trial has, at what they came to; or, where it has none, one for each figure and action."""
    named = {plan.name for plan in plans}
    if trial.expects:
        got = {(held.expect, held.trial): held.got for held in trials.held}
        return tuple(_at(e, got[e, trial.name]) if e.plan in named else e for e in trial.expects)
    made: list[Expect] = []
    for row in trials.results:
        if row.trial == trial.name:
            made.append(Expect(row.plan, people_in_danger_most=float(math.ceil(row.people_in_danger))))
            made.append(Expect(row.plan, failed_share_most=_up(row.failed_share)))
            for action, share in row.started_share.items():
                if share > 0:
                    latest = (math.floor(row.started_latest_min[action] / ROUND_MIN) + 1) * ROUND_MIN
                    made.append(Expect(row.plan, action, starts_before_min=latest, in_share=_down(share)))
                else:
                    made.append(Expect(row.plan, action, starts_in_share_most=0.0))
    return tuple(made)


def _at(expect: Expect, got: float) -> Expect:
    """An expectation at what it came to, rounded to the side on which it holds."""
    if expect.measure in ("starts_before_min", "ends_before_min"):
        return msgspec.structs.replace(expect, in_share=_down(got))
    new = float(math.ceil(got)) if expect.measure.startswith("people") else _up(got)
    return msgspec.structs.replace(expect, **{expect.measure: new})


def _down(share: float) -> float:
    return math.floor(share * 1000.0 + 1e-9) / 1000.0


def _up(share: float) -> float:
    return math.ceil(share * 1000.0 - 1e-9) / 1000.0


def _check_expect(trial: Trial, expect: Expect, plan: Plan) -> None:
    names = [action.name for action in plan.actions]
    if expect.action and expect.action not in names:
        raise InputError(f"{trial.name}: expects of {plan.name!r} an action {expect.action!r}; there are: {', '.join(names)}")


def _came_to(trial: Trial, plan: Plan, compared: Compared) -> PlanTrial:
    score = next(s for s in compared.scores if s.plan == plan.name)
    courses = compared.courses[plan.name]
    starts = {action.name: _times(courses, action.name, "start_s") for action in plan.actions}
    return PlanTrial(
        trial.name,
        plan.name,
        score.harm.mean,
        score.cvar,
        score.failed_share,
        {name: float(np.isfinite(times).mean()) for name, times in starts.items()},
        {name: float(times[np.isfinite(times)].max() / 60.0) for name, times in starts.items() if np.isfinite(times).any()},
    )


def _times(courses: Sequence[Course | None], action: str, field: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """When an action started or ended in each future, s; infinite where it did not."""
    found = [getattr(course.of(action), field) for course in courses if course is not None]
    return np.array([np.inf if time_s is None else time_s for time_s in found], np.float64)


def _held(trial: Trial, expect: Expect, compared: Compared) -> Held:
    score = next(s for s in compared.scores if s.plan == expect.plan)
    courses = compared.courses[expect.plan]
    limit = getattr(expect, expect.measure)
    if expect.measure in ("starts_before_min", "ends_before_min"):
        field = "start_s" if expect.measure == "starts_before_min" else "end_s"
        got = float((_times(courses, expect.action, field) < limit * 60.0).mean())
        holds = got >= expect.in_share - 1e-9
        verb = expect.measure.split("_")[0]
        words = (
            f"{expect.action!r} {verb} before {limit:g} min in {got:.1%} of the futures; expected at least {expect.in_share:.1%}"
        )
    else:
        got = {
            "starts_in_share_most": lambda: float(np.isfinite(_times(courses, expect.action, "start_s")).mean()),
            "people_in_danger_most": lambda: score.harm.mean,
            "people_in_danger_worst_tenth_most": lambda: score.cvar,
            "failed_share_most": lambda: score.failed_share,
        }[expect.measure]()
        holds = got <= limit + 1e-9
        about = (
            f"{expect.action!r} starts in a share of" if expect.action else expect.measure.removesuffix("_most").replace("_", " ")
        )
        words = f"{about} {got:,.3f}; expected at most {limit:,.3f}"
    return Held(trial.name, expect, got, holds, f"{expect.plan}: {words}")
