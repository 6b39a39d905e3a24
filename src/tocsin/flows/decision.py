"""Act: compare plans on the same futures, and put a warning into words that a person can approve.

Each function here is one step of the decision flow as a command, a notebook or the server calls it: plain values in, a value out.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tocsin.decision.compare import Compared, Told, compare
from tocsin.decision.interpret import check_plan
from tocsin.flows.information import NIGHT_H, ForecastResult, model_of
from tocsin.host import Compute
from tocsin.pack import Plan, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.platform.exchange import (
    Alert,
    Category,
    Problem,
    Status,
    Words,
    advice,
    area_around,
    cancel,
    draft_alert,
    update,
    write_cap,
)
from tocsin.platform.twin import Twin
from tocsin.vocabulary import InputError, Level, NotFound, World

PLAN_BYTES_MAX = 2**20


def compare_plans(
    result: ForecastResult,
    plans: Sequence[Plan],
    *,
    hour: float = NIGHT_H,
    warning_level: Level = Level.NONE,
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
        on_progress=on_progress,
    )


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


class Message(msgspec.Struct, frozen=True):
    """A drafted CAP message: as a value, as the XML that would be sent, and what a person should look at before approving it."""

    alert: Alert
    xml: bytes
    advice: tuple[Problem, ...]


def draft_message(
    twin: Twin,
    *,
    zones: Sequence[str],
    level: Level,
    headline: str,
    description: str,
    sender: str,
    now: datetime,
    instruction: str = "",
    holds_s: float = 6 * 3600.0,
    language: str = "en",
    event: str = "Flood",
    category: Category = Category.MET,
    sender_name: str = "",
    status: str = Status.DRAFT.value,
    exercise: str = "",
    identifier: str = "",
) -> Message:
    """A new warning for zones of the twin; raises NotFound with the zones that there are. It says so where the place is made up."""
    shapes = twin.zone_shapes
    for zone in zones:
        if zone not in shapes:
            raise NotFound(f"twin {twin.manifest.name}: no zone {zone!r}; there are: {', '.join(sorted(shapes)) or 'none'}")
    areas = [area_around(zone, twin.lonlat(shapes[zone])) for zone in dict.fromkeys(zones)]
    words = Words(
        language=language,
        event=event,
        headline=headline,
        description=description,
        instruction=instruction,
        sender_name=sender_name,
    )
    alert = draft_alert(
        identifier=identifier or _identifier(sender, now, headline, description, *zones),
        sender=sender,
        sent=now,
        level=level,
        category=category,
        words=[words],
        areas=areas,
        expires=now + timedelta(seconds=holds_s),
        status=Status(status),
        exercise=exercise,
        note=f"{twin.manifest.name} is made up" if twin.manifest.made_up else "",
    )
    return _message(alert)


def update_message(
    earlier: Alert,
    *,
    level: Level,
    headline: str,
    description: str,
    now: datetime,
    instruction: str = "",
    holds_s: float = 6 * 3600.0,
    language: str = "",
    status: str = Status.DRAFT.value,
    exercise: str = "",
    identifier: str = "",
) -> Message:
    """A message that replaces `earlier`, for the same areas and event."""
    if not earlier.info:
        raise InputError(f"cap update of {earlier.identifier}: it has no info to take areas from; draft a new message")
    told = earlier.info[0]
    words = Words(
        language=language or told.language,
        event=told.event,
        headline=headline,
        description=description,
        instruction=instruction,
        sender_name=told.sender_name,
    )
    fresh = draft_alert(
        identifier=identifier or _identifier(earlier.sender, now, headline, description, earlier.identifier),
        sender=earlier.sender,
        sent=now,
        level=level,
        category=told.category[0],
        words=[words],
        areas=told.area,
        expires=now + timedelta(seconds=holds_s),
        status=Status(status),
        exercise=exercise,
    )
    return _message(update(earlier, fresh))


def cancel_message(
    earlier: Alert,
    *,
    reason: str,
    now: datetime,
    headline: str = "",
    description: str = "",
    holds_s: float = 6 * 3600.0,
    identifier: str = "",
) -> Message:
    """A message that calls `earlier` back; with a headline the public is told that it is over."""
    words: list[Words] = []
    if headline and earlier.info:
        told = earlier.info[0]
        words = [Words(language=told.language, event=told.event, headline=headline, description=description or reason)]
    alert = cancel(
        earlier,
        identifier=identifier or _identifier(earlier.sender, now, reason, earlier.identifier),
        sent=now,
        reason=reason,
        words=words,
        expires=now + timedelta(seconds=holds_s) if words else None,
    )
    return _message(alert)


def _identifier(sender: str, now: datetime, *content: str) -> str:
    digest = hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]
    return f"{sender.replace('@', '.')}.{now:%Y%m%dT%H%M%SZ}.{digest}"


def _message(alert: Alert) -> Message:
    return Message(alert, write_cap(alert), advice(alert))
