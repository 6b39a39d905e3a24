"""Scenario files for plan regression: a storm in the words of the scenario options, and what is expected of plans in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tocsin.flows.plan_trials import Expect, Trial
from tocsin.interfaces.cli.scenario import Asked, scenario_of
from tocsin.interfaces.files import read_bounded, write_whole
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level

if TYPE_CHECKING:
    from tocsin.pack import Model
    from tocsin.vocabulary import World

BYTES_MAX, FILES_MOST, MEMBERS_MOST = 2**20, 1_000, 10_000
_EXPECT = re.compile(r"^\[\[\s*expect\s*\]\]", re.MULTILINE)


class TrialFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario file. `case` plays a case of the pack instead of forcings; paths are from the file's folder."""

    name: str = ""
    case: str = ""
    drive: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    rain: str = ""
    inflow: tuple[str, ...] = ()
    rise: str = "6h"
    start: str = ""
    hours: float = 24.0
    members: int = 20
    seed: int = 0
    knob: tuple[str, ...] = ()
    model: str = ""
    hour: float = 3.0
    warning: str = "none"
    expect: tuple[Expect, ...] = ()


def trial_paths(folder: Path) -> tuple[Path, ...]:
    """The scenario files of a folder, by name; raises InputError where it is none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; wanted one with scenario files (*.toml)")
    paths = sorted(folder.glob("*.toml"))
    if len(paths) > FILES_MOST:
        raise InputError(f"{folder}: {len(paths):,} scenario files; wanted at most {FILES_MOST:,}")
    return tuple(paths)


def read_trial(path: Path, world: World, models: Mapping[str, Model], cases: Mapping[str, Trial]) -> Trial:
    """A trial from its file; raises InputError with what is wrong. `models` has the pack's first under the empty name."""
    try:
        file = msgspec.convert(tomllib.loads(read_bounded(path, BYTES_MAX).decode()), TrialFile)
    except UnicodeDecodeError as fault:
        raise InputError(f"{path}: byte {fault.start} is not UTF-8 text; wanted a scenario as TOML") from fault
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        raise InputError(f"{path}: is no TOML: {fault}") from fault
    except msgspec.ValidationError as fault:
        raise InputError(f"{path}: {fault}; fields: {', '.join(TrialFile.__struct_fields__)}") from fault
    words = {level.word: level for level in Level if level >= Level.NONE}
    if file.warning not in words or not 0 <= file.hour <= 24 or not 1 <= file.members <= MEMBERS_MOST:
        raise InputError(
            f"{path}: warning = {file.warning!r}, hour = {file.hour:g}, members = {file.members}; wanted one of {', '.join(words)}; 0..24; 1..{MEMBERS_MOST:,}"
        )
    if file.model not in models:
        raise InputError(f"{path}: no model {file.model!r}; there are: {', '.join(name for name in models if name)}")
    name = file.name or path.stem
    if file.case:
        if file.case not in cases:
            raise InputError(f"{path}: case {file.case!r} cannot be played here; there are: {', '.join(cases) or 'none'}")
        given = cases[file.case].scenario
        scenario = msgspec.structs.replace(given, duration_s=file.hours * 3600.0, members=file.members, seed=file.seed)
        asked: Mapping[str, str] = {"case": file.case}
    else:
        typed = Asked(
            [_beside(path, text) for text in file.level],
            path.parent / file.rain if file.rain else None,
            [_beside(path, text) for text in file.inflow],
            file.rise,
            file.start,
            file.hours,
            file.members,
            file.seed,
            list(file.knob),
            tuple(_drive_beside(path, text) for text in file.drive),
        )
        try:
            scenario = scenario_of(world, models[file.model], typed)
        except InputError as fault:
            raise InputError(f"{path}: {fault}") from fault
        asked = typed.words()
    return Trial(name, scenario, file.expect, asked, file.model, file.hour, words[file.warning])


def write_expects(path: Path, expects: Sequence[Expect]) -> None:
    """Put new expectations in place of those at the end of a scenario file; all before them stays as it is, comments and all."""
    text = read_bounded(path, BYTES_MAX).decode()
    found = _EXPECT.search(text)
    kept = text if found is None else text[: found.start()]
    after = {} if found is None else tomllib.loads(text[found.start() :])
    if set(after) - {"expect"} or "expect" in tomllib.loads(kept):
        raise InputError(f"{path}: [[expect]] is not at the end of the file; move it there, since it is written anew")
    blocks = ["[[expect]]\n" + "".join(f"{name} = {_toml(value)}\n" for name, value in _said(e)) for e in expects]
    whole = "\n".join([*([kept.rstrip() + "\n"] if kept.strip() else []), *blocks])
    tomllib.loads(whole)
    write_whole(path, whole.encode())


def _said(expect: Expect) -> list[tuple[str, object]]:
    rows = list(msgspec.to_builtins(expect).items())
    return [(name, value) for name, value in rows if value is not None]


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _beside(path: Path, text: str) -> str:
    """A file that is named beside the scenario file, from where we are: storm.csv@lake."""
    what, sign, place = text.rpartition("@") if "@" in text else (text, "", "")
    return f"{path.parent / what}{sign}{place}" if what.lower().endswith(".csv") else text


def _drive_beside(path: Path, text: str) -> str:
    """A forcing whose file is named beside the scenario file, from where we are: wind_speed=wind.csv."""
    name, sign, what = text.partition("=")
    return f"{name}={path.parent / what.strip()}" if sign and what.strip().lower().endswith(".csv") else text
