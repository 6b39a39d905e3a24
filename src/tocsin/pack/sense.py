"""How readings speak of futures: of a forcing, of what a run tells over time, or of the hazard where the sensor stands; and how far they err."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from tocsin.vocabulary.errors import InputError, PackFault
from tocsin.vocabulary.quantity import Quantity

if TYPE_CHECKING:
    from tocsin.pack import Pack
    from tocsin.pack.model import Model

HALF_HOUR_S = 1_800.0
PER_S = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
OURS = "planning choice of Tocsin (unverified)"
RANGE_SHARE = 0.01  # of what is believable, where nothing is known of a unit


class ReadingError(msgspec.Struct, frozen=True):
    """How far the truth may lie from what a sensor shows: the sensor itself, and that one place, one wind, one town stands for all.

    difference: a standard deviation of `share` of the reading, and at least `sd`, in the quantity's unit. turn: the same of an angle in degrees, the
    short way round. factor: `share` is that of the natural logarithm, of the reading and of what is expected, both raised by `sd`, below which a
    sensor tells nothing apart. counts: negative binomial about what a run counted, whose variance is that of chance, in what came and in the run alike, and (share m)^2.
    """

    sd: float = 0.0
    share: float = 0.0
    how: Literal["difference", "turn", "factor", "counts"] = "difference"
    source: str = OURS

    def __post_init__(self) -> None:
        where = f"error of readings ({self.how}): sd = {self.sd}, share = {self.share}"
        if not (np.isfinite([self.sd, self.share]).all() and self.sd >= 0.0 and self.share >= 0.0):
            raise InputError(f"{where}; wanted numbers from 0 on")
        if self.how != "counts" and not self.sd > 0.0:
            raise InputError(f"{where}; wanted sd above 0: no gauge is exact, and a share of nothing is nothing")
        if self.how == "factor" and not self.share > 0.0:
            raise InputError(f"{where}; wanted a share above 0: it is the deviation of the logarithm")

    def sd_of(self, value: float, readings: int = 1) -> float:
        """The standard deviation at a reading, in the quantity's unit; of counts by the chance in both of two, also where none was counted.

        `readings` are so many counts of which it is the mean.
        """
        if self.how == "counts":
            return float(np.sqrt((1.0 + 2.0 * value * readings) / readings**2 + (self.share * value) ** 2))
        if self.how == "factor":
            return max(self.sd, float(np.expm1(self.share)) * abs(value))
        return max(self.sd, self.share * abs(value))

    def told(self) -> str:
        """In words, e.g. "30 %, at least 1"."""
        match self.how:
            case "counts":
                return f"a count: chance, and {self.share:.0%} more"
            case "factor":
                return f"a factor of {np.exp(self.share):.2g}, from {self.sd:g} on"
            case _:
                return f"{self.share:.0%}, at least {self.sd:g}" if self.share else f"{self.sd:g}"


class Sense(msgspec.Struct, frozen=True):
    """What readings of one quantity are held against in each future. One of four:

    `drive`: a forcing as `Model.series` names it ("rain", "level@"); one with a place is told by the sensors of that place. `course`: what the run
    tells of the whole place over time (`Member.courses`); with `sums_sites` the sites' readings of the same time are added up. Neither: the hazard
    at the sensor's cell, if `quantity` is what the model makes or one that its frames show (`Member.shown`). And with `comes_from` the time at which the
    hazard reaches the sensor, which is when a reading first comes to that number; then the error is in hours.

    `reach_m`: a sensor tells of the strongest, or first, within this distance. A sensor is heard once in `every_s`, however often it speaks: what separates it
    from the model is the same in readings that follow each other. `per_s`: readings are amounts since the one before, and the forcing is a rate per so many seconds. With
    `sums_sites` it is the mean over `every_s`. `is_stock`: readings are of how many are there at a time (patients in beds), so those of one span count the same
    ones again, and chance goes by their mean as by one count.
    """

    quantity: Quantity
    error: ReadingError
    drive: str = ""
    course: str = ""
    comes_from: float | None = None
    reach_m: float = 0.0
    every_s: float = HALF_HOUR_S
    per_s: float = 0.0
    sums_sites: bool = False
    is_stock: bool = False

    def __post_init__(self) -> None:
        where = f"sense of {self.quantity.name}"
        if bool(self.drive) + bool(self.course) + (self.comes_from is not None) > 1:
            raise PackFault(f"{where}: a forcing, a course or when it comes; wanted one of them, or none for the hazard itself")
        if not self.every_s > 0.0 or not (self.reach_m >= 0.0 and self.per_s >= 0.0):
            raise PackFault(
                f"{where}: every_s = {self.every_s}, reach_m = {self.reach_m}, per_s = {self.per_s}; wanted none below 0"
            )
        if (self.per_s and not self.drive) or (self.sums_sites and not self.course):
            raise PackFault(f"{where}: amounts are of a forcing, and sums over sites of a course")
        if self.is_stock and not (self.sums_sites and self.error.how == "counts"):
            raise PackFault(f"{where}: a stock is of counts that are added up over sites")
        if self.comes_from is not None and self.error.how != "difference":
            raise PackFault(f"{where}: when it comes errs by hours; wanted a difference")

    @property
    def at_place(self) -> bool:
        """True where it speaks of the hazard where the sensor stands."""
        return not self.drive and not self.course

    def told(self) -> str:
        """What it is held against, in words."""
        if self.comes_from is not None:
            near = f" within {self.reach_m:g} m" if self.reach_m else ""
            return f"when it comes{near} (from {self.comes_from:g} {self.quantity.unit} on)"
        if self.drive:
            return f"forcing {self.drive}"
        return f"course {self.course}" if self.course else "the hazard at its place"


# All of these are planning choices of ours, unverified: they weigh futures, and warn nobody.
USUAL: Mapping[str, ReadingError] = {
    "m": ReadingError(0.1),
    "mm/h": ReadingError(1.0, 0.3),
    "m/s": ReadingError(1.0, 0.2),
    "deg": ReadingError(20.0, how="turn"),
    "degC": ReadingError(1.5),
    "%": ReadingError(5.0),
    "ppm": ReadingError(0.1, float(np.log(2.0)), "factor"),
    "persons": ReadingError(0.0, 0.3, "counts"),
    "persons/d": ReadingError(0.0, 0.3, "counts"),
}


def usual_error(quantity: Quantity) -> ReadingError:
    """What holds where nobody declared an error: by the unit, else a hundredth of the range that is believable and a fifth of the reading.

    Raises PackFault where there is neither: such a quantity needs an error of its own.
    """
    if quantity.unit in USUAL:
        return USUAL[quantity.unit]
    span = quantity.high - quantity.low
    if not np.isfinite(span):
        raise PackFault(
            f"{quantity}: nobody says how far its readings err, and its range has no end; declare a Sense with an error, or a range"
        )
    return ReadingError(RANGE_SHARE * span, 0.2)


def senses_of(pack: Pack, model: Model) -> tuple[Sense, ...]:
    """What readings may be held against, as the pack declares it and, for quantities of which it says nothing, as its parts show it.

    A fact that is observed names the forcing or the course of its quantity; else a forcing with that quantity; else what the model makes.
    """
    declared = tuple(s for s in pack.senses if not s.drive or s.drive in model.series)
    said = {sense.quantity.name for sense in pack.senses}
    found = [_derived(quantity, pack, model) for quantity in pack.observes if quantity.name not in said]
    hazard = () if model.makes.name in said else (Sense(model.makes, usual_error(model.makes)),)
    return (*declared, *(sense for sense in found if sense is not None), *hazard)


def _derived(quantity: Quantity, pack: Pack, model: Model) -> Sense | None:
    if quantity.name == model.makes.name:
        return None  # the hazard itself, which is there without being observed
    for fact in pack.facts:
        if fact.observed == quantity.name and not fact.rise_s:
            if fact.drive in model.series:
                rate = model.series[fact.drive].quantity
                per_s = PER_S.get(rate.unit.rpartition("/")[2], 0.0) if fact.sum_s else 0.0
                return Sense(quantity, usual_error(rate if per_s else quantity), fact.drive, per_s=per_s)
            if fact.course:
                return Sense(quantity, usual_error(quantity), course=fact.course)
    drive = next((name for name, drive in model.series.items() if drive.quantity.name == quantity.name), "")
    return Sense(quantity, usual_error(quantity), drive) if drive else None


class Trust(msgspec.Struct, frozen=True):
    """How far all readings of one quantity, by its name, are to be trusted in this place: goes before what the pack says, and a gauge's own goes before this."""

    readings: str
    sd: float | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        for name in ("sd", "share"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"errors of {self.readings}: {name} = {value}; wanted more than 0: no gauge is exact")
        if self.sd is None and self.share is None:
            raise InputError(f"errors of {self.readings}: neither sd nor share; wanted one of them")


def trusted(senses: Sequence[Sense], trust: Sequence[Trust]) -> tuple[Sense, ...]:
    """The senses with the errors of this place; raises InputError where readings of a quantity weigh nothing."""
    names = {sense.quantity.name for sense in senses}
    for one in trust:
        if one.readings not in names:
            raise InputError(
                f"errors: readings of {one.readings!r} weigh no future; those that do: {', '.join(sorted(names)) or 'none'}"
            )
    mine = {one.readings: one for one in trust}
    return tuple(
        with_error(s, mine[s.quantity.name].sd, mine[s.quantity.name].share) if s.quantity.name in mine else s for s in senses
    )


def with_error(sense: Sense, sd: float | None, share: float | None) -> Sense:
    """A sense with another error; None leaves that part as it is."""
    error = sense.error
    told = msgspec.structs.replace(error, sd=error.sd if sd is None else sd, share=error.share if share is None else share)
    return msgspec.structs.replace(sense, error=told)
