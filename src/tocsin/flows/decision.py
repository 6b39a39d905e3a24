"""Act: plans as files, and their comparison on the same futures.

Each function here is one step of the decision flow as a command, a notebook or the server calls it: plain values in, a value out.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from datetime import datetime

from tocsin.decision.compare import Compared, Racing, Told, compare, sharpen
from tocsin.decision.limits import Limit, check_limits_in, limit_of
from tocsin.decision.services import service_names
from tocsin.decision.trial import TRAFFIC_UNITS
from tocsin.flows.information import NIGHT_H, ForecastResult, model_of
from tocsin.flows.plan_files import PlanFile, check_file
from tocsin.host import Compute
from tocsin.pack import Plan, Scenario, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.platform.twin import Twin
from tocsin.vocabulary import Level, World


def compare_plans(
    result: ForecastResult,
    plans: Sequence[Plan],
    *,
    hour: float = NIGHT_H,
    warning_level: Level = Level.NONE,
    limits: Sequence[Limit] = (),
    traffic: bool = False,
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
        pack=result.pack,
        traffic=traffic,
        on_progress=on_progress,
    )


def race_plans(
    result: ForecastResult,
    plans: Sequence[Plan],
    *,
    hour: float = NIGHT_H,
    warning_level: Level = Level.NONE,
    limits: Sequence[Limit] = (),
    traffic: bool = False,
    racing: Racing | None = None,
    compute: Compute | None = None,
    on_progress: Told | None = None,
) -> Generator[Compared, None, None]:
    """Rankings that sharpen, on futures that have been run: the first after a few of them. Close it to stop; `racing` None tries all pairs."""
    return sharpen(
        result.world,
        result.model,
        result.pack.harm,
        result.foreseen,
        plans,
        compute or LocalCompute(),
        hour=hour,
        warning_level=warning_level,
        limits=limits,
        racing=racing,
        pack=result.pack,
        traffic=traffic,
        on_progress=on_progress,
    )


def race_from_warning(
    twin: Twin,
    hazard: str,
    scenario: Scenario,
    plans: Sequence[Plan],
    *,
    time: datetime,
    model: str = "",
    asked: Mapping[str, str] | None = None,
    hour: float = NIGHT_H,
    warning_level: Level = Level.NONE,
    limits: Sequence[Limit] = (),
    traffic: bool = False,
    racing: Racing | None = None,
    frame_s: Sequence[float] = (),
    compute: Compute | None = None,
    on_progress: Told | None = None,
) -> Generator[tuple[Compared, ForecastResult | None], None, None]:
    """Rankings that sharpen while the hazard is run, only in as many futures as the choice needs; with the last one comes what was foreseen."""
    pack = find_pack(hazard)
    chosen, world = model_of(pack, model), twin.world(time)
    rankings = sharpen(
        world,
        chosen,
        pack.harm,
        scenario,
        plans,
        compute or LocalCompute(),
        hour=hour,
        warning_level=warning_level,
        limits=limits,
        racing=racing,
        frame_s=frame_s,
        pack=pack,
        traffic=traffic,
        on_progress=on_progress,
    )
    with closing(rankings):
        for compared in rankings:
            seen = compared.foreseen
            yield (
                compared,
                None
                if seen is None
                else ForecastResult(twin.manifest.name, pack, chosen, scenario, dict(asked or {}), world, seen),
            )


def limits_from(texts: Sequence[str], world: World, hazard: str = "flood", *, traffic: bool = False) -> tuple[Limit, ...]:
    """Hard limits from their words ("people_in_danger@Quay <= 0, 10%"); raises InputError where one could not be told in this place."""
    limits = tuple(map(limit_of, texts))
    check_limits_in(limits, world, (*service_names(world, find_pack(hazard)), *(TRAFFIC_UNITS if traffic else ())))
    return limits


def own_plans(world: World, hazard: str) -> dict[str, Plan]:
    """The pack's own templates, fitted to the place, by name."""
    return {plan.name: plan for plan in find_pack(hazard).plans(world)}


def check(plan: Plan | PlanFile, world: World, model: str = "") -> None:
    """Raise InputError where a plan could never be carried out in this place, with every fault, and its line where it is from a file."""
    file = plan if isinstance(plan, PlanFile) else PlanFile(plan)
    pack = find_pack(file.plan.hazard)
    check_file(file, world, model_of(pack, model), pack)
