"""What a person says about a storm, as the scenario that a model plays: levels, rain, inflows, for how long, on how many futures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.pack import Model, Scenario
    from tocsin.vocabulary import World

LevelOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Level at a gauge of a water body, with a unit (m, cm, ft), or a CSV hydrograph: 5.35m@lake, stage.csv@lake; several times. "
        "Default: none.",
        metavar="LEVEL@WATER",
    ),
]
RainOption = Annotated[
    Path | None,
    typer.Option(
        help='Rain: CSV with a time column and "rain [mm/h]", or "rain [mm]" for sums of equal steps. Default: none.',
        metavar="FILE",
    ),
]
InflowOption = Annotated[
    list[str] | None,
    typer.Option(
        help='A river that comes in: CSV with a time column and "inflow [m3/s]" (ft3/s is converted), at a line of the twin; several times. '
        "The line may be left out where there is one of sort inflow. Default: none.",
        metavar="FILE[@LINE]",
    ),
]
RiseOption = Annotated[
    str,
    typer.Option(
        help="How long a constant --level takes to rise from the water's usual level, with a unit: 90min, 6h, 3d.", metavar="SPAN"
    ),
]
StartOption = Annotated[
    str,
    typer.Option(
        help="When the run starts, e.g. 2024-05-03T00:00Z. Default: with the first row of the earliest file with dates.",
        metavar="TIME",
    ),
]
HoursOption = Annotated[float, typer.Option(help="Length of the run, h.", min=0.01, max=8_784.0)]
SeedOption = Annotated[int, typer.Option(help="Seed of the futures: the same seed gives the same futures.", min=0)]
KnobOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A number of the model, as value, low..high or low..usual..high, in its own unit (see `tocsin pack show`), e.g. "
        "manning_factor=0.8..1..1.3; several times. Default: usual values, and with several futures a tenth of the way to each end.",
        metavar="NAME=VALUE",
    ),
]


class Asked(NamedTuple):
    """The scenario options as they were typed."""

    level: list[str]
    rain: Path | None
    inflow: list[str]
    rise: str
    start: str
    hours: float
    members: int
    seed: int
    knob: list[str]

    def words(self) -> dict[str, str]:
        """What was asked, for the record and the reader."""
        told = {
            "level": ", ".join(self.level),
            "rain": str(self.rain or ""),
            "inflow": ", ".join(self.inflow),
            "knob": ", ".join(self.knob),
        }
        told |= {"rise": self.rise if self.level else "", "start": self.start, "hours": f"{self.hours:g}"}
        return {name: text for name, text in told.items() if text}


def scenario_of(world: World, model: Model, asked: Asked) -> Scenario:
    """The scenario, checked against what the model takes; raises InputError where something cannot be meant."""
    from tocsin.flows.information import usual_spreads
    from tocsin.interfaces.forcings import Forcing, from_start, read_inflow, read_level, read_rain, start_of
    from tocsin.interfaces.units import DURATION_S, LENGTH_M, at_place, duration_s, in_unit, pairs, span
    from tocsin.pack import Scenario, Spread
    from tocsin.vocabulary import InputError, Series

    if not asked.level and asked.rain is None and not asked.inflow:
        raise InputError("scenario: nothing drives it; give --level, --rain or --inflow, e.g. --level 5.35m@lake")
    files: dict[str, Forcing] = {}
    constant: dict[str, float] = {}
    for text in asked.level:
        said = at_place(text, "--level", example="5.35m@lake")
        name = f"level@{said.place}"
        if name in files or name in constant:
            raise InputError(f"--level {text!r}: {said.place} has a level already; give one")
        if said.what.lower().endswith(".csv") or Path(said.what).exists():
            files[name] = read_level(Path(said.what))
        else:
            constant[name] = in_unit(said.what, LENGTH_M, "--level", example="5.35m@lake")
    if asked.rain is not None:
        files["rain"] = read_rain(asked.rain)
    for text in asked.inflow:
        file, _, line = text.rpartition("@") if "@" in text and not Path(text).exists() else (text, "", "")
        name = f"inflow@{line or _the_inflow(world)}"
        if name in files:
            raise InputError(f"--inflow {text!r}: {name} is given twice; give one")
        files[name] = read_inflow(Path(file))
    start = start_of(list(files.values()), _moment(asked.start) if asked.start else None)
    series = {name: Series.of(*from_start(file, start)) for name, file in files.items()}
    rise_s = duration_s(asked.rise, "--rise")
    for name, level_m in constant.items():
        water = world.water(name.partition("@")[2])
        series[name] = Series.of([0.0, rise_s], [water.usual_level_m - water.gauge_zero_m, level_m])
    knobs = usual_spreads(model) if asked.members > 1 else {}
    for name, text in pairs(asked.knob, "--knob", example="manning_factor=0.8..1..1.3").items():
        low, usual, high = span(text, f"--knob {name}")
        if usual is None:
            own = model.knobs[name].usual if name in model.knobs else (low + high) / 2
            usual = min(max(own, low), high)
        knobs[name] = Spread(low, usual, high)
    scenario = Scenario(asked.hours * DURATION_S["h"], asked.members, asked.seed, knobs, series)
    model.check(scenario)
    return scenario


def _the_inflow(world: World) -> str:
    """The one line where a river comes in; raises InputError where there is not exactly one."""
    from tocsin.vocabulary import InputError

    names = [name for name in world.lines() if world.line(name).sort == "inflow"]
    if len(names) != 1:
        raise InputError(
            f"--inflow: lines of sort inflow in the twin: {', '.join(names) or 'none'}; name one, e.g. --inflow flow.csv@weir"
        )
    return names[0]


def _moment(text: str) -> datetime:
    from datetime import UTC, datetime

    from tocsin.vocabulary import InputError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--start {text!r}: wanted a time such as 2024-05-03T00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
