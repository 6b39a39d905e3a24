"""What a person says about what is coming, as the scenario that a model plays: its forcings, for how long, on how many futures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tocsin.interfaces.cli.spread import spread

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.pack import Model, Scenario
    from tocsin.vocabulary import World

DriveOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A forcing of the hazard's model (`tocsin pack show` lists them), with its unit and for the whole run, or a CSV with a time column "
        'and a column named after it, with its unit: wind_speed=8m/s, "inflow@weir=flow.csv", ignition@-51.20,-30.05=30m; several times. '
        "The place may be left out where only one can be meant. Default: none.",
        metavar="NAME[@PLACE]=VALUE",
    ),
]
LevelOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Short for --drive level@WATER, but risen to: level at a gauge of a water body, with a unit (m, cm, ft), or a CSV hydrograph: 5.35m@lake, stage.csv@lake; several times. "
        "Default: none.",
        metavar="LEVEL@WATER",
    ),
]
RainOption = Annotated[
    Path | None,
    typer.Option(
        help='Short for --drive rain: CSV with a time column and "rain [mm/h]", or "rain [mm]" for sums of equal steps. Default: none.',
        metavar="FILE",
    ),
]
InflowOption = Annotated[
    list[str] | None,
    typer.Option(
        help='Short for --drive inflow@LINE, a river that comes in: CSV with a time column and "inflow [m3/s]" (ft3/s is converted), at a line of the twin; several times. '
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
    drive: tuple[str, ...] = ()

    @property
    def driven(self) -> bool:
        """True where any forcing was given."""
        return bool(self.level or self.inflow or self.drive) or self.rain is not None

    def words(self) -> dict[str, str]:
        """What was asked, for the record and the reader."""
        told = {
            "drive": ", ".join(self.drive),
            "level": ", ".join(self.level),
            "rain": str(self.rain or ""),
            "inflow": ", ".join(self.inflow),
            "knob": ", ".join(self.knob),
        }
        told |= {"rise": self.rise if self.level else "", "start": self.start, "hours": f"{self.hours:g}"}
        return {name: text for name, text in told.items() if text}


_Command = Callable[..., None]


def takes_scenario(*, hours: float = 24.0, members: int = 1, futures: str = "") -> Callable[[_Command], _Command]:
    """Give a command the scenario options, and hand it what was typed as its one parameter `asked`.

    `hours` and `members` are the defaults of --hours and --members; `futures` is the help of --members. Without it the command is of one
    future at usual values, and has neither --members nor --seed.
    """
    several = Annotated[int, typer.Option(help=futures, min=1, max=100_000)]
    options: dict[str, tuple[Any, Any]] = {
        "drive": (DriveOption, None),
        "level": (LevelOption, None),
        "rain": (RainOption, None),
        "inflow": (InflowOption, None),
        "rise": (RiseOption, "6h"),
        "start": (StartOption, ""),
        "hours": (HoursOption, hours),
        **({"members": (several, members), "seed": (SeedOption, 0)} if futures else {}),
        "knob": (KnobOption, None),
    }

    def shared(command: _Command) -> _Command:
        def with_scenario(**typed: Any) -> None:
            said = {name: typed.pop(name) for name in options}
            asked = Asked(
                said["level"] or [],
                said["rain"],
                said["inflow"] or [],
                said["rise"],
                said["start"],
                said["hours"],
                said.get("members", 1),
                said.get("seed", 0),
                said["knob"] or [],
                tuple(said["drive"] or ()),
            )
            command(asked=asked, **typed)

        return spread(command, "asked", options, with_scenario)

    return shared


class _Said(NamedTuple):
    """A forcing as it was typed: by which option, its name, a value or a file, and whether a value is risen to."""

    option: str
    name: str
    what: str
    rises: bool = False
    file: bool = False


def _all_said(asked: Asked) -> list[_Said]:
    from tocsin.interfaces.units import at_place, pair

    said = []
    for text in asked.level:
        level = at_place(text, "--level", example="5.35m@lake")
        said.append(_Said(f"--level {text!r}", f"level@{level.place}", level.what, rises=True))
    if asked.rain is not None:
        said.append(_Said("--rain", "rain", str(asked.rain), file=True))
    for text in asked.inflow:
        file, _, line = text.rpartition("@") if "@" in text and not Path(text).exists() else (text, "", "")
        said.append(_Said(f"--inflow {text!r}", f"inflow@{line}" if line else "inflow", file, file=True))
    for text in asked.drive:
        name, what = pair(text, "--drive", example="wind_speed=8m/s")
        said.append(_Said(f"--drive {text!r}", name, what))
    return said


def scenario_of(world: World, model: Model, asked: Asked) -> Scenario:
    """The scenario, checked against what the model takes; raises InputError where something cannot be meant."""
    from tocsin.flows.information import usual_spreads
    from tocsin.interfaces.drives import check_driven, file_of, is_file, named, rising, steady
    from tocsin.interfaces.forcings import Forcing, from_start, start_of
    from tocsin.interfaces.units import DURATION_S, duration_s, pairs, span
    from tocsin.pack import Scenario, Spread
    from tocsin.vocabulary import InputError, Series

    if not asked.driven:
        check_driven(model)
    files: dict[str, Forcing] = {}
    series: dict[str, Series] = {}
    rise_s = duration_s(asked.rise, "--rise")
    for option, told, what, rises, must_be_file in _all_said(asked):
        name, drive = named(world, model, told, option)
        if name in files or name in series:
            raise InputError(f"{option}: {name} is given already; give it once")
        if must_be_file or is_file(what):
            files[name] = file_of(Path(what), world, name, drive)
        elif rises:
            series[name] = rising(what, name, drive, option, world=world, rise_s=rise_s)
        else:
            series[name] = steady(what, drive, option)
    start = start_of(list(files.values()), _moment(asked.start) if asked.start else None)
    series |= {name: Series.of(*from_start(file, start)) for name, file in files.items()}
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


def _moment(text: str) -> datetime:
    from datetime import UTC, datetime

    from tocsin.vocabulary import InputError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--start {text!r}: wanted a time such as 2024-05-03T00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
