"""Plans as TOML files: read with every fault and its line, written so that they read back to the same plan."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tocsin.decision.check_plan import faults_of_plan
from tocsin.flows.toml_lines import Path, line_at, lines_of
from tocsin.pack import Action, FactKind, Model, Pack, Plan, PlanLevel, find_packs
from tocsin.pack.trigger import FACTS, quoted
from tocsin.pack.trigger.units import LEVEL, NUMBER
from tocsin.vocabulary import InputError, Level, World

PLAN_BYTES_MAX = 2**20
FAULTS_TOLD = 50
_START = "`tocsin plan show FOLDER NAME --toml` prints a plan to start from"
_Fault = tuple[Path, str]


class PlanFile(msgspec.Struct, frozen=True):
    """A plan with the file that it was read from and the line of each of its parts; a pack's own plan has neither."""

    plan: Plan
    where: str = ""
    lines: Mapping[Path, int] = {}


def read_plan(text: str, *, where: str) -> PlanFile:
    """A plan from its TOML; raises InputError with every field that is wrong and its line. Levels are words: level = "orange"."""
    if len(text) > PLAN_BYTES_MAX:
        raise InputError(f"{where}: {len(text):,} characters; wanted at most {PLAN_BYTES_MAX:,}")
    try:
        told = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise InputError(f"{where}: is no TOML: {fault}") from fault
    lines = lines_of(text)
    faults = [*_of_table(told, Plan, ())]
    if faults:
        raise InputError(_in_lines(where, lines, [(path, _named(told, path) + message) for path, message in faults]))
    try:
        return PlanFile(msgspec.convert(told, Plan), where, lines)
    except msgspec.ValidationError as fault:
        raise InputError(f"{where}: {fault}; {_START}") from fault


def check_file(file: PlanFile, world: World, model: Model, pack: Pack | None = None) -> None:
    """Raise InputError with every fault, each with its line, where a plan could never be carried out in this place."""
    faults = faults_of_plan(file.plan, world, model, pack)
    if not faults:
        return
    if not file.where:
        raise InputError("\n".join(fault.words(file.plan) for fault in faults))
    raise InputError(_in_lines(file.where, file.lines, [(fault.path, fault.words(file.plan)) for fault in faults]))


def plan_from_toml(text: str, *, where: str) -> Plan:
    """A plan from its TOML; see `read_plan`."""
    return read_plan(text, where=where).plan


def plan_to_toml(plan: Plan) -> str:
    """A plan as TOML that `plan_from_toml` reads back to the same plan, digest and all."""
    told: dict[str, Any] = msgspec.to_builtins(plan)
    actions, levels = told.pop("actions"), told.pop("levels")
    tables = {name: told.pop(name) for name in ("resources", "substitutes")}
    told["level"] = plan.level.word
    lines = [f"{name} = {_toml(value)}" for name, value in told.items()]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]", *(f"{_key(key)} = {_toml(value)}" for key, value in table.items())]
    for level, one in zip(levels, plan.levels, strict=True):
        lines += ["", "[[levels]]", *_rows(level | {"level": one.level.word}, PlanLevel)]
    for action in actions:
        lines += ["", "[[actions]]", *_rows(action, Action)]
    return "\n".join(lines) + "\n"


# -- reading -----------------------------------------------------------------------------------------------------------------


def _of_table(told: dict[str, Any], kind: type[msgspec.Struct], path: Path) -> Iterator[_Fault]:
    """Every fault of a table's fields. Level words become levels on the way, in place."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for name in told:
        if name not in fields:
            yield (*path, name), f"no field {name!r}; there are: {', '.join(fields)}"
    for name, field in fields.items():
        here = (*path, name)
        if name not in told:
            if field.required:
                yield path, f"missing required field `{name}`; {_START}"
            continue
        rows = _struct_of_rows(field.type)
        if field.type is Level and isinstance(told[name], str):
            words = {level.word: level.value for level in Level if level > Level.NONE}
            if told[name] not in words:
                yield here, f"level = {told[name]!r}; wanted {', '.join(words)}"
            told[name] = words.get(told[name], Level.YELLOW.value)
        elif rows is not None and isinstance(told[name], list) and all(isinstance(row, dict) for row in told[name]):
            for k, row in enumerate(told[name]):
                yield from _of_table(row, rows, (*here, k))
        elif (new := _old_conditions(name, told[name])) is not None:
            yield here, f"{name} was a list of conditions and is a trigger now; write: {new}"
        else:
            try:
                msgspec.convert(told[name], field.type)
            except msgspec.ValidationError as fault:
                yield here, f"{name}: {fault}"


def _struct_of_rows(kind: Any) -> type[msgspec.Struct] | None:
    """The struct that a field holds a row of: Action for tuple[Action, ...]."""
    inner = typing.get_args(kind)
    if typing.get_origin(kind) is tuple and inner and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct):
        return inner[0]
    return None


def _old_conditions(name: str, value: Any) -> str | None:
    """The new spelling of `when = [{ fact, op, value }]`; None where the value is something else."""
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) and "fact" in row for row in value):
        return None
    words = " and ".join(_new_condition(row) for row in value)
    return f"{name} = {_toml(words) if chr(39) in words else f'{chr(39)}{words}{chr(39)}'}"


def _new_condition(row: dict[str, Any]) -> str:
    name, _, place = str(row["fact"]).partition("@")
    kind, value = _every_fact().get(name), row.get("value", 0)
    at = f"@{place if place.isidentifier() else quoted(place)}" if place else ""
    number: Any = f"{value:g}" if isinstance(value, int | float) else value
    if kind is not None and kind.dimension == LEVEL and value in list(Level):
        number = Level(value).word
    elif kind is not None and kind.dimension == NUMBER and isinstance(value, int | float):
        number = f"{value * 100:g} %"
    elif kind is not None:
        number = f"{number} {kind.unit}"
    return f"{name}{at} {row.get('op', '>=')} {number}"


def _every_fact() -> Mapping[str, FactKind]:
    """The facts of all installed packs: a file that is read may be of any hazard."""
    return {**FACTS, **{fact.name: fact for pack in find_packs().values() for fact in pack.facts}}


def _named(told: Mapping[str, Any], path: Path) -> str:
    """The action or level that a path leads into, by its name."""
    match path:
        case ("actions" | "levels" as kind, int(k), *_):
            row = told[kind][k]
            return f"{kind[:-1]} {row.get('name', f'number {k + 1}')!r}: "
        case _:
            return ""


def _in_lines(where: str, lines: Mapping[Path, int], faults: Sequence[_Fault]) -> str:
    """All faults in the order of the file, a line for each."""
    placed = sorted((line_at(lines, path), message) for path, message in faults)
    rows = [f"{where}, line {line}: {message}" for line, message in placed[:FAULTS_TOLD]]
    more = len(placed) - FAULTS_TOLD
    return "\n".join([*rows, f"{where}: and {more} more"] if more > 0 else rows)


# -- writing -----------------------------------------------------------------------------------------------------------------


def _rows(told: dict[str, Any], kind: type[msgspec.Struct]) -> list[str]:
    """A table's lines, without what says no more than its default."""
    usual = {field.name: field.default for field in msgspec.structs.fields(kind) if not field.required}
    return [
        f"{name} = {_toml(value)}"
        for name, value in told.items()
        if value not in ((), [], {}) and not (name in usual and usual[name] == value and type(usual[name]) is type(value))
    ]


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
        case str() if '"' in value and "'" not in value and value.isprintable():
            return f"'{value}'"
        case str():
            return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
        case dict():
            return "{ " + ", ".join(f"{_key(name)} = {_toml(item)}" for name, item in value.items()) + " }"
        case _:
            return "[" + ", ".join(map(_toml, value)) + "]"
