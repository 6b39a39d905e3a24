"""Act: plans as files, and their comparison on the same futures.

Each function here is one step of the decision flow as a command, a notebook or the server calls it: plain values in, a value out.
"""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.decision.compare import Compared, Told, compare
from tocsin.decision.limits import Limit, check_limits_in, limit_of
from tocsin.flows.information import NIGHT_H, ForecastResult, model_of
from tocsin.flows.plan_files import PlanFile, check_file
from tocsin.host import Compute
from tocsin.pack import Plan, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.vocabulary import Level, World


def compare_plans(
    result: ForecastResult,
    plans: Sequence[Plan],
    *,
    hour: float = NIGHT_H,
    warning_level: Level = Level.NONE,
    limits: Sequence[Limit] = (),
    compute: Compute | None = None,
    on_progress: Told | None = None,
) -> Compared:
    """Carry each plan out in each future of the forecast and rank the plans, with the people as they are at an hour of the local day."""
    return compare(
        result.world,
        result.model,
        result.pack.harm,
        result.foreseen,
        plans,
        compute or LocalCompute(),
        hour=hour,
        warning_level=warning_level,
        limits=limits,
        on_progress=on_progress,
    )


def limits_from(texts: Sequence[str], world: World) -> tuple[Limit, ...]:
    """Hard limits from their words ("people_in_danger@Quay <= 0, 10%"); raises InputError where one could not be told in this place."""
    limits = tuple(map(limit_of, texts))
    check_limits_in(limits, world)
    return limits


def own_plans(world: World, hazard: str) -> dict[str, Plan]:
    """The pack's own templates, fitted to the place, by name."""
    return {plan.name: plan for plan in find_pack(hazard).plans(world)}


def check(plan: Plan | PlanFile, world: World, model: str = "") -> None:
    """Raise InputError where a plan could never be carried out in this place, with every fault, and its line where it is from a file."""
    file = plan if isinstance(plan, PlanFile) else PlanFile(plan)
    check_file(file, world, model_of(find_pack(file.plan.hazard), model))
