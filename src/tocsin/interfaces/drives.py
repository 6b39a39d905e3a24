"""A forcing as a person names it, for any hazard: which of the model's it is, where it is, and its course over the run."""

from __future__ import annotations

from pathlib import Path

from tocsin.interfaces.forcings import Forcing, read_forcing
from tocsin.interfaces.units import in_unit_of
from tocsin.pack.model import Drive, Model
from tocsin.pack.places import places_of
from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.series import Series
from tocsin.vocabulary.world import World


def named(world: World, model: Model, name: str, where: str) -> tuple[str, Drive]:
    """A forcing's full name and what it is; `name` may leave its place out where only one can be meant.

    Raises InputError, which begins with `where`, for a name that the model has not, and for a place that the twin has not.
    """
    kind, at, place = name.partition("@")
    try:
        if not at and kind not in model.series and f"{kind}@" in model.series:
            place = _only_place(world, kind, model.series[f"{kind}@"])
            return f"{kind}@{place}", model.series[f"{kind}@"]
        drive = model.drive(name)
        if at:
            if not place.strip():
                raise InputError(f"no place is named; wanted e.g. {kind}@{_word(drive)}")
            places_of(world, drive.sorts, place)
    except InputError as fault:
        raise InputError(f"{where}: {fault}") from fault
    return name, drive


def is_file(what: str) -> bool:
    """True where what was given for a forcing is a file and no number."""
    return what.lower().endswith(".csv") or Path(what).exists()


def file_of(path: Path, world: World, name: str, drive: Drive) -> Forcing:
    """A forcing from a CSV file."""
    kind, _, place = name.partition("@")
    return read_forcing(path, kind, drive, None if drive.usual is None else drive.usual(world, place))


def steady(what: str, drive: Drive, where: str) -> Series:
    """One value with its unit, for the whole run."""
    return Series.constant(in_unit_of(what, drive.quantity.unit, where, example=f"2{drive.quantity.unit}"))


def rising(what: str, name: str, drive: Drive, where: str, *, world: World, rise_s: float) -> Series:
    """One value with its unit, that is reached from the usual one after a while, and held."""
    if drive.usual is None or drive.stepwise:
        raise InputError(f"{where}: {name} has no usual value to rise from; give values over time, or one that holds throughout")
    reached = in_unit_of(what, drive.quantity.unit, where, example=f"2{drive.quantity.unit}")
    return Series.of([0.0, rise_s], [drive.usual(world, name.partition("@")[2]), reached])


def check_driven(model: Model) -> None:
    """Raise InputError where a model cannot run without a forcing: some of its forcings are not there unless somebody gives them."""
    if model.series and any(drive.usual is None for drive in model.series.values()):
        there = "; ".join(f"{name}{_word(d)} [{d.quantity.unit}] {d.meaning}" for name, d in model.series.items())
        raise InputError(f"scenario: nothing drives it; give forcings, {example_of(model)}; there are: {there}")


def example_of(model: Model) -> str:
    """How a forcing of this model is given, in words."""
    name, drive = next(((n, d) for n, d in model.series.items() if d.usual is None), next(iter(model.series.items())))
    return f"e.g. --drive {name}{_word(drive)}={name.removesuffix('@')}.csv or ...=2{drive.quantity.unit}"


def _word(drive: Drive) -> str:
    """The sorts of place as a person reads them: LINE, or TANKS|LON,LAT."""
    return "|".join("LON,LAT" if sort == "point" else sort.upper() for sort in drive.sorts)


def _only_place(world: World, kind: str, drive: Drive) -> str:
    """The one place where such a forcing can be; raises InputError where there is not exactly one."""
    found: list[str] = []
    for sort in drive.sorts:
        match sort:
            case "water":
                found += world.waters()
            case "line":
                found += [name for name in world.lines() if world.line(name).sort == kind]
            case "zone":
                found += world.zones.name
            case "point":
                raise InputError(f"no place is named; wanted e.g. {kind}@{_word(drive)}")
            case assets:
                found += world.assets(assets).id
    if len(found) != 1:
        sorts = " or ".join(f"lines of sort {kind}" if sort == "line" else sort.removesuffix("s") + "s" for sort in drive.sorts)
        raise InputError(
            f"{sorts} in the twin: {', '.join(found[:12]) or 'none'}; name one, e.g. {kind}@{(found or [_word(drive)])[0]}"
        )
    return found[0]
