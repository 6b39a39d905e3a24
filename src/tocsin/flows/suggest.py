"""Act: plans to consider, from the pack's library, from past cases like this one, and from a search over what could be done here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from tocsin.decision.candidates import FUTURES_MOST, RUNS_MOST, Found, Told, search_plans
from tocsin.decision.cases import Alike, PastCase, Situation, alike
from tocsin.flows.information import NIGHT_H, ForecastResult
from tocsin.host import Compute
from tocsin.pack import Pack, Plan
from tocsin.platform.compute import LocalCompute
from tocsin.vocabulary import Level, World

CASES_MOST = 5


class Candidate(msgspec.Struct, frozen=True):
    """A plan to consider, where it comes from, and why."""

    plan: Plan
    origin: Literal["library", "case", "search"]
    why: str


def options_of(pack: Pack, world: World) -> Plan:
    """One plan that holds all that may be done here: the pack's own, or every action of its templates."""
    if pack.options is not None:
        return pack.options(world)
    templates = pack.plans(world)
    actions = {action.name: action for plan in templates for action in plan.actions}
    levels = {level.name: level for plan in templates for level in plan.levels}
    resources: dict[str, int] = {}
    for plan in templates:
        resources |= {name: max(count, resources.get(name, 0)) for name, count in plan.resources.items()}
    substitutes = {name: row for plan in templates for name, row in plan.substitutes.items()}
    return Plan(
        "all options",
        pack.hazard,
        "Every action that may be taken here",
        tuple(actions.values()),
        level=max((plan.level for plan in templates), default=Level.YELLOW),
        levels=tuple(levels.values()),
        resources=resources,
        substitutes=substitutes,
    )


def suggest(
    result: ForecastResult,
    *,
    cases: Sequence[PastCase] = (),
    situation: Situation | None = None,
    hour: float = NIGHT_H,
    warning_level: Level = Level.NONE,
    futures_most: int = FUTURES_MOST,
    runs_most: int = RUNS_MOST,
    compute: Compute | None = None,
    on_progress: Told | None = None,
) -> tuple[Candidate, ...]:
    """Plans to consider for a forecast: first what a search puts together, then what past cases speak for, then the rest of the library."""
    world, pack = result.world, result.pack
    found = search_plans(
        world,
        result.model,
        pack.harm,
        result.foreseen,
        options_of(pack, world),
        compute or LocalCompute(),
        hour=hour,
        warning_level=warning_level,
        futures_most=futures_most,
        runs_most=runs_most,
        pack=pack,
        on_progress=on_progress,
    )
    candidates = [Candidate(one.plan, "search", _why_found(one, pack.harm.harmed_words)) for one in found]
    near = alike(cases, situation or Situation(pack.hazard, _observed(result)), most=CASES_MOST)
    for plan in pack.plans(world):
        speak = [one for one in near if plan.name in one.case.strategies]
        candidates.append(Candidate(plan, "case" if speak else "library", _why_known(plan, speak)))
    rank = {"search": 0, "case": 1, "library": 2}
    return tuple(sorted(candidates, key=lambda one: rank[one.origin]))


def _observed(result: ForecastResult) -> dict[str, float]:
    """The highest that each forcing comes to which the pack has a fact of, by the fact's name, as cases name what was observed."""
    found: dict[str, float] = {}
    for kind in result.pack.facts:
        if kind.drive and not kind.rise_s and not kind.sum_s:
            scenario = result.scenario
            series = [*scenario.series.items(), *(item for a in scenario.analogues for item in a.series.items())]
            values = [
                float(s.value.max())
                for name, s in series
                if name == kind.drive or (kind.drive[-1] == "@" and name.startswith(kind.drive))
            ]
            found |= {kind.name: max(values)} if values else {}
    return found


def _why_found(found: Found, harmed: str) -> str:
    words = (
        f"in {found.futures} futures from the mildest to the worst it brings the {harmed}, by average and worst tenth together, from "
        f"{found.nothing:,.0f} to {found.criterion:,.0f}"
    )
    if found.left_out:
        words += f"; not tried to the end, for want of runs of the hazard: {', '.join(found.left_out)}"
    return words


def _why_known(plan: Plan, speak: Sequence[Alike]) -> str:
    if not speak:
        return plan.summary
    best = speak[0]
    lesson = f": {best.case.lessons[0]}" if best.case.lessons else ""
    return f"{best.case.name} ({best.case.when}) is {best.likeness:.0%} like this, compared in {best.compared}, and speaks for it{lesson}"
