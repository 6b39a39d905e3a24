"""Act: plans as files, and their comparison on the same futures.

Each function here is one step of the decision flow as a command, a notebook or the server calls it: plain values in, a value out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

import msgspec

from tocsin.decision.compare import Compared, Racing, Told, compare, sharpen
from tocsin.decision.interpret import check_plan
from tocsin.decision.limits import Limit, check_limits_in, limit_of
from tocsin.flows.information import NIGHT_H, ForecastResult, model_of
from tocsin.host import Compute
from tocsin.pack import Plan, Scenario, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.platform.twin import Twin
from tocsin.vocabulary import InputError, Level, World

PLAN_BYTES_MAX = 2**20


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


def race_plans(
    result: ForecastResult,
    plans: Sequence[Plan],
    *,
    hour: float = NIGHT_H,
    warning_level: Level = Level.NONE,
    limits: Sequence[Limit] = (),
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
    racing: Racing | None = None,
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


def limits_from(texts: Sequence[str], world: World) -> tuple[Limit, ...]:
    """Hard limits from their words ("people_in_danger@Quay <= 0, 10%"); raises InputError where one could not be told in this place."""
    limits = tuple(map(limit_of, texts))
    check_limits_in(limits, world)
    return limits


def own_plans(world: World, hazard: str) -> dict[str, Plan]:
    """The pack's own templates, fitted to the place, by name."""
    return {plan.name: plan for plan in find_pack(hazard).plans(world)}


def check(plan: Plan, world: World, model: str = "") -> None:
    """Raise InputError where a plan could never be carried out in this place: a circle, an impossible condition, an unknown zone."""
    check_plan(plan, world, model_of(find_pack(plan.hazard), model))


def plan_from_toml(text: str, *, where: str) -> Plan:
    """A plan from its TOML; raises InputError with the field that is wrong. Levels are written as words: level = "orange"."""
    if len(text) > PLAN_BYTES_MAX:
        raise InputError(f"{where}: {len(text):,} characters; wanted at most {PLAN_BYTES_MAX:,}")
    try:
        told = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise InputError(f"{where}: is no TOML: {fault}") from fault
    level = told.get("level")
    if isinstance(level, str):
        words = {step.word: step for step in Level if step > Level.NONE}
        if level not in words:
            raise InputError(f"{where}: level = {level!r}; wanted {', '.join(words)}")
        told["level"] = words[level].value
    try:
        return msgspec.convert(told, Plan)
    except msgspec.ValidationError as fault:
        raise InputError(f"{where}: {fault}; `tocsin plan show FOLDER NAME --toml` prints a plan to start from") from fault


def plan_to_toml(plan: Plan) -> str:
    """A plan as TOML that `plan_from_toml` reads back to the same plan, digest and all."""
    told: dict[str, Any] = msgspec.to_builtins(plan)
    actions, resources = told.pop("actions"), told.pop("resources")
    told["level"] = plan.level.word
    lines = [f"{name} = {_toml(value)}" for name, value in told.items()]
    lines += ["", "[resources]", *(f"{_key(name)} = {_toml(value)}" for name, value in resources.items())]
    for action in actions:
        lines += ["", "[[actions]]", *(f"{name} = {_toml(value)}" for name, value in action.items() if value not in ((), [], {}))]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    """A name as a TOML key: bare where it can be."""
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _toml(name)


def _toml(value: Any) -> str:
    """A value in one line of TOML. A JSON string is a TOML basic string but for DEL, which TOML wants escaped."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        case dict():
            return "{ " + ", ".join(f"{_key(name)} = {_toml(item)}" for name, item in value.items()) + " }"
        case _:
            return "[" + ", ".join(map(_toml, value)) + "]"
