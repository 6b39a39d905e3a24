"""A scenario as the text of a scenario file, to be changed by a person and asked for."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tocsin.interfaces.units import DURATION_S
from tocsin.pack import Drive, Model, Scenario, Spread
from tocsin.vocabulary import Series, World


def scenario_to_toml(scenario: Scenario, model: Model) -> str:
    """A scenario as the TOML that reads back to it; its forcings stand in it as columns, its analogues are left to their own files."""
    hours = scenario.duration_s / DURATION_S["h"]
    rows = [
        f'duration = "{hours:g}h"',
        f"members = {scenario.members}",
        f"seed = {scenario.seed}",
    ]
    if scenario.series:
        rows += ["", "[series]"]
        rows += [f"{_text(name)} = {_series(series, _drive(model, name))}" for name, series in scenario.series.items()]
    if scenario.knobs:
        rows += ["", "[knobs]"]
        rows += [f"{name} = {_spread(spread)}" for name, spread in scenario.knobs.items()]
    return "\n".join(rows) + "\n"


def start_to_toml(world: World, model: Model) -> str:
    """A scenario to be filled in, where nobody knows what comes: the first water of the place at its usual level, or what drives the model."""
    waters = world.waters()
    if "level@" in model.series and waters:
        water = world.water(waters[0])
        line = f'{_text("level@" + waters[0])} = {{ level = "{water.usual_level_m - water.gauge_zero_m:.2f}m", rise = "6h" }}'
    else:
        name, drive = next(iter(model.series.items()))
        line = f"{_text(name)} = {{ time_h = [0, 24], value = [0, 0], unit = {_text(drive.quantity.unit)} }}"
    return f'duration = "24h"\nmembers = 50\nseed = 1\n\n[series]\n{line}\n'


def _drive(model: Model, name: str) -> Drive | None:
    drives: Mapping[str, Drive] = model.series
    return drives.get(name) or drives.get(name.partition("@")[0] + "@")


def _series(series: Series, drive: Drive | None) -> str:
    hours = ", ".join(f"{t / DURATION_S['h']:.6g}" for t in series.time_s)
    values = ", ".join(f"{v:.6g}" for v in series.value)
    return f"{{ time_h = [{hours}], value = [{values}], unit = {_text(drive.quantity.unit if drive else '')} }}"


def _spread(spread: Spread) -> str:
    usual = {field.name: field.default for field in msgspec.structs.fields(Spread) if not field.required}
    told = msgspec.to_builtins(spread)
    rows = [
        f"{name} = {value if isinstance(value, int | float) else _text(value) if isinstance(value, str) else list(value)}"
        for name, value in told.items()
        if not (name in usual and usual[name] == (tuple(value) if isinstance(value, list) else value))
    ]
    return f"{{ {', '.join(rows)} }}"


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
