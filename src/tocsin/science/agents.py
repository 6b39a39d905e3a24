"""An epidemic of agents: a disease, people who meet at home, school, work and around, and what is done against it, day by day."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science import agents_steps as steps
from tocsin.science.agents_steps import COLUMNS, GROUP, LAYERS, NEVER, NOBODY, NUMBERS, PERSON
from tocsin.science.keyed import keyed_uniforms
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AGES = 101
DAYS_MOST = 200  # a longer wait counts as this one
SPREAD_BINS = 4096
DAYS_OF_RUN_MOST = 10_000


class Wait(msgspec.Struct, frozen=True):
    """How many whole days something takes: a lognormal or gamma distribution by mean and standard deviation, rounded to days."""

    mean_d: float
    sd_d: float
    shape: Literal["lognormal", "gamma"] = "lognormal"

    def __post_init__(self) -> None:
        if not (np.isfinite([self.mean_d, self.sd_d]).all() and self.mean_d >= 0 and self.sd_d >= 0):
            raise InputError(f"wait: mean {self.mean_d} d, sd {self.sd_d} d; wanted 0 or more")

    def at_most(self) -> Floats:
        """The chance that it takes at most 0, 1, 2, ... days."""
        d = np.arange(DAYS_MOST) + 0.5
        if self.mean_d == 0.0 or self.sd_d == 0.0:
            told = (d >= self.mean_d).astype(np.float64)
        elif self.shape == "lognormal":
            from scipy.stats import lognorm

            variance = np.log1p((self.sd_d / self.mean_d) ** 2)
            told = lognorm.cdf(d, np.sqrt(variance), scale=self.mean_d * np.exp(-variance / 2.0))
        else:
            from scipy.stats import gamma

            told = gamma.cdf(d, (self.mean_d / self.sd_d) ** 2, scale=self.sd_d**2 / self.mean_d)
        told = np.asarray(told, np.float64)
        told[-1] = 1.0
        return told


class Disease(msgspec.Struct, frozen=True, kw_only=True):
    """A disease that goes from person to person. Chances are of the infected of each ten-year age group, from 0; the last group is open.

    `severe`, `critical` and `dying` are of all infected, each part of the one before. `transmission` is the chance that a contact of a day
    infects in a layer whose weight is 1. `spread_shape` is the shape of the gamma distribution of infectiousness between people (small: a few
    infect most). `serial_mean_d` and `serial_sd_d` are what an estimate of R_t uses.
    """

    name: str
    source: str
    transmission: float
    layer_weight: tuple[float, float, float, float, float, float]
    latent: Wait
    to_symptoms: Wait
    to_severe: Wait
    to_critical: Wait
    end_silent: Wait
    end_mild: Wait
    end_severe: Wait
    end_critical: Wait
    to_death: Wait
    susceptible: tuple[float, ...]
    symptoms: tuple[float, ...]
    severe: tuple[float, ...]
    critical: tuple[float, ...]
    dying: tuple[float, ...]
    serial_mean_d: float
    serial_sd_d: float
    spread_shape: float = 0.0
    silent_factor: float = 1.0
    early_share: float = 0.0
    early_ratio: float = 1.0
    early_days: float = 0.0

    def __post_init__(self) -> None:
        rows = [np.array(r) for r in (self.symptoms, self.severe, self.critical, self.dying)]
        if len({r.size for r in (*rows, np.array(self.susceptible))}) != 1:
            raise InputError(f"disease {self.name}: rows of different length; wanted one number for each age group")
        for above, below, what in zip(rows[:3], rows[1:], ("severe", "critical", "dying"), strict=True):
            if not (below <= above).all():
                raise InputError(f"disease {self.name}: {what} is above the chance of the stage before it")
        if not all(((r >= 0) & (r <= 1)).all() for r in rows) or min(self.susceptible) < 0:
            raise InputError(f"disease {self.name}: chances outside 0..1")


class Mixing(msgspec.Struct, frozen=True, kw_only=True):
    """How many people one meets on a day, in the layers home, school, work, near, far and shelter, and what is left of it for some.

    At home everyone meets everyone. `scatter` 4 lets contacts vary between people with a variance of 3/4 of their mean, 1 not at all.
    """

    contacts: tuple[float, float, float, float, float] = (20.0, 16.0, 10.0, 10.0, 38.0)  # school, work, near, far, shelter
    daily: tuple[bool, bool, bool, bool, bool, bool] = (False, False, False, True, True, True)
    isolated: tuple[float, float, float, float, float, float] = (0.3, 0.1, 0.1, 0.1, 0.1, 0.1)
    quarantined: tuple[float, float, float, float, float, float] = (0.6, 0.2, 0.2, 0.2, 0.2, 0.2)
    ill: tuple[float, float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    scatter: int = 4
    no_bed_factor: float = 2.0
    no_icu_factor: float = 2.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.contacts).all() and min(self.contacts) >= 0 and max(self.contacts) <= 1_000):
            raise InputError(f"mixing: contacts {self.contacts}; wanted 0..1,000 persons a day")
        if not 1 <= self.scatter <= 16:
            raise InputError(f"mixing: scatter = {self.scatter}; wanted 1..16")


class People(msgspec.Struct, frozen=True):
    """Who they are and where they belong. People of one home lie side by side, and homes of one neighbourhood too.

    `age` (person,) in years; `home_start` (home + 1,) and `near_start` (near + 1,) of persons, `near_zone` (near,); `place` (person,) the school or
    workplace, -1 where there is none; `place_layer` and `place_zone` (place,).
    """

    age: Ints
    home_start: Ints
    near_start: Ints
    near_zone: Ints
    place: Ints
    place_layer: Ints
    place_zone: Ints

    def __len__(self) -> int:
        return int(self.age.size)

    @property
    def zone(self) -> Ints:
        """The zone in which each lives."""
        return np.repeat(self.near_zone, np.diff(self.near_start))


class Shelters(msgspec.Struct, frozen=True):
    """Who is taken in by shelters when people leave their homes for a while, and how many are there on each day.

    `guest_start` (shelter + 1,) of `guest`, the persons of each in the order in which they come; the last to come are the first to go. `crowd`
    (day, shelter) are how many are there. `zone` (shelter,) is the one whose measures hold there. Nobody is a guest of two.
    """

    guest: Ints
    guest_start: Ints
    zone: Ints
    crowd: Ints


NO_SHELTERS = Shelters(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros((1, 0), np.int64))


class Course(msgspec.Struct, frozen=True):
    """What came: a row for each day, and what became of each person (fields of `agents_steps.PERSON`)."""

    daily: Floats  # (day, column of agents_steps)
    who: NDArray[np.void]

    def column(self, number: int) -> Floats:
        return np.ascontiguousarray(self.daily[:, number])


class Tables(msgspec.Struct, frozen=True):
    """A disease and a way of mixing as the kernel reads them."""

    ages: Floats  # (year, 5)
    days: Floats  # (9, day)
    spread: Floats
    layers: Floats  # (layer, 7)
    number: Floats


def tables_of(disease: Disease, mixing: Mixing, factor_most: float = 1.0) -> Tables:
    """`factor_most` is the largest factor on contacts that a run will ask for, if above 1."""
    group = np.minimum(np.arange(AGES) // 10, len(disease.symptoms) - 1)
    rows = [np.array(r, np.float64)[group] for r in (disease.symptoms, disease.severe, disease.critical, disease.dying)]
    susceptible = np.array(disease.susceptible, np.float64)[group]
    most = max(float(susceptible.max()), 1e-300)
    ages = np.zeros((AGES, 5))
    ages[:, steps.SYMPTOMS] = rows[0]
    for n in range(3):  # each given the one before
        ages[:, n + 1] = np.divide(rows[n + 1], rows[n], out=np.zeros(AGES), where=rows[n] > 0)
    ages[:, steps.SUSCEPTIBILITY] = susceptible / most
    waits = (
        disease.latent,
        disease.to_symptoms,
        disease.to_severe,
        disease.to_critical,
        disease.end_silent,
        disease.end_mild,
        disease.end_severe,
        disease.end_critical,
        disease.to_death,
    )
    spread = np.ones(1)
    if disease.spread_shape > 0.0:
        from scipy.stats import gamma

        spread = gamma.ppf((np.arange(SPREAD_BINS) + 0.5) / SPREAD_BINS, disease.spread_shape)
        spread = spread / spread.mean()
    contacts = np.array([0.0, *mixing.contacts])
    slots = np.ceil(contacts * mixing.scatter)
    layers = np.zeros((LAYERS, 7))
    layers[:, steps.BETA] = disease.transmission * most * max(factor_most, 1.0) * np.array(disease.layer_weight)
    layers[:, steps.SLOTS] = slots
    layers[:, steps.REAL] = np.divide(contacts, slots, out=np.ones(LAYERS), where=slots > 0)
    layers[:, steps.DAILY] = mixing.daily
    layers[:, steps.ISOLATED] = mixing.isolated
    layers[:, steps.QUARANTINE] = mixing.quarantined
    layers[:, steps.ILL] = mixing.ill
    number = np.zeros(NUMBERS)
    number[: steps.SENSITIVITY] = (
        disease.early_share,
        disease.early_ratio,
        disease.early_days,
        disease.silent_factor,
        mixing.no_bed_factor,
        mixing.no_icu_factor,
    )
    return Tables(ages, np.stack([w.at_most() for w in waits]), spread, layers, number)


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """What is done on each day: factors on contact (day, zone, layer), chances to be tested and traced, doses, beds. None: nothing, or no limit."""

    factor: Floats | None = None
    test: Floats | None = None  # (day, 3) with symptoms, without, in quarantine; who is severely ill is always tested
    trace: Floats | None = None  # (day, layer)
    doses: Floats | None = None  # (day, zone + 1); the last wherever
    beds: Floats | None = None
    icu: Floats | None = None
    imported: Floats | None = None
    sensitivity: float = 1.0  # 0: nobody is ever told
    result_days: int = 1
    other_ill: float = 0.0
    trace_days: int = 1
    quarantine_days: int = 14
    vaccine_infection: float = 0.0
    vaccine_severe: float = 0.0
    vaccine_days: int = 14


def spread_among(
    people: People,
    disease: Disease,
    mixing: Mixing,
    doing: Steps,
    *,
    days: int,
    seeds: Ints,
    seed: int,
    factor_most: float = 1.0,
    shelters: Shelters = NO_SHELTERS,
) -> Course:
    """Play an epidemic: `seeds` are the persons infected on the first day, `seed` is what its luck belongs to.

    Every draw is keyed by person, day, layer and contact, so a run with a measure more is the same but for what the measure touches.
    Checked: final size (Kermack and McKendrick), renewal equation, covasim 4.0.1 at equal settings; see docs/science/epidemic.md.
    Not in it: births, moves, waning, reinfection, seasons, and infection in hospital or from the dead.
    """
    if not 1 <= days <= DAYS_OF_RUN_MOST:
        raise InputError(f"epidemic: {days} days; wanted 1..{DAYS_OF_RUN_MOST:,}")
    if seeds.size and not (seeds.min() >= 0 and seeds.max() < len(people)):
        raise InputError(f"epidemic: seeds outside 0..{len(people) - 1}")
    zones = int(max(people.near_zone.max(initial=0), people.place_zone.max(initial=0))) + 1
    factor = _or(doing.factor, (days, zones, LAYERS), 1.0)
    scale = max(factor_most, 1.0)
    if factor.min() < 0.0 or factor.max() > scale + 1e-12:
        raise InputError(f"epidemic: factors on contact run {factor.min():g}..{factor.max():g}; wanted 0..{scale:g}")
    tables = tables_of(disease, mixing, factor_most)
    number = tables.number.copy()
    number[steps.SENSITIVITY :] = (
        doing.sensitivity,
        doing.result_days,
        doing.other_ill,
        doing.trace_days,
        doing.quarantine_days,
        doing.vaccine_infection,
        doing.vaccine_severe,
        doing.vaccine_days,
    )
    doses = _or(doing.doses, (days, zones + 1), 0.0)
    by_day = np.stack(
        [_or(doing.beds, (days,), np.inf), _or(doing.icu, (days,), np.inf), _or(doing.imported, (days,), 0.0)], axis=1
    )
    who, near, place, member = _rows(people, seed)
    halls, crowd = _taken_in(who, shelters, days, zones)
    count = len(people)
    out = np.zeros((days, COLUMNS))
    steps.run(
        who,
        near,
        place,
        member,
        halls,
        shelters.guest.astype(np.int32),
        crowd,
        tables.ages,
        tables.days,
        tables.spread,
        tables.layers,
        number,
        factor / scale,
        _or(doing.test, (days, 3), 0.0),
        _or(doing.trace, (days, LAYERS), 0.0),
        np.ascontiguousarray(by_day),
        doses,
        *_queue(people, zones, seed, asked=bool(doses.any())),
        np.empty(count, np.int32),
        np.full(days, NOBODY, np.int32),
        np.full(days, NOBODY, np.int32),
        np.zeros(days + doing.quarantine_days + doing.trace_days + 1),
        seeds.astype(np.int64),
        np.uint64(seed),
        out,
    )
    return Course(out, who)


def _or(given: Floats | None, shape: tuple[int, ...], otherwise: float) -> Floats:
    if given is None:
        return np.full(shape, otherwise)
    if given.shape != shape:
        raise InputError(f"epidemic: {given.shape} numbers by day; wanted {shape}")
    return np.ascontiguousarray(given, np.float64)


def _rows(people: People, seed: int) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.void], NDArray[np.int32]]:
    """A row for each person, neighbourhood and place, and the members of each place in the order of their seats, which is by lot."""
    who = np.zeros(len(people), PERSON)
    who["age"] = people.age
    size = np.diff(people.home_start)
    who["home_start"], who["home_size"] = np.repeat(people.home_start[:-1], size), np.repeat(size, size)
    near_size = np.diff(people.near_start)
    who["near"], who["zone"] = np.repeat(np.arange(near_size.size), near_size), people.zone
    who["place"] = people.place
    for name in ("infected_day", "infectious_day", "early_until", "severe_day", "diagnosed_day"):
        who[name] = NEVER
    for name in ("quarantine_from", "quarantine_to", "vaccinated_day", "layer", "infector", "hall", "guest"):
        who[name] = NEVER
    near = np.zeros(near_size.size, GROUP)
    near["start"], near["size"], near["zone"] = people.near_start[:-1], near_size, people.near_zone
    goes = np.flatnonzero(people.place >= 0)
    member = goes[np.lexsort((keyed_uniforms(seed, "seat", goes), people.place[goes]))]
    place = np.zeros(people.place_layer.size, GROUP)
    place["size"] = np.bincount(people.place[goes], minlength=place.size)
    place["start"] = np.cumsum(place["size"]) - place["size"]
    place["zone"], place["layer"] = people.place_zone, people.place_layer
    who["seat"][member] = np.arange(member.size) - place["start"][people.place[member]]
    return who, near, place, member.astype(np.int32)


def _taken_in(who: NDArray[np.void], shelters: Shelters, days: int, zones: int) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """A row for each shelter, and how many are in each on each day; the guests are told where they go."""
    size = np.diff(shelters.guest_start)
    halls = np.zeros(size.size, GROUP)
    halls["start"], halls["size"], halls["zone"], halls["layer"] = shelters.guest_start[:-1], size, shelters.zone, steps.SHELTER
    crowd = shelters.crowd if size.size else np.zeros((days, 0), np.int64)
    guest = shelters.guest
    if np.unique(guest).size != guest.size or (guest.size and not (guest.min() >= 0 and guest.max() < who.size)):
        raise InputError(f"epidemic: guests of shelters are not different persons of 0..{who.size - 1}")
    if crowd.shape != (days, size.size) or (crowd < 0).any() or (crowd > size).any():
        raise InputError(
            f"epidemic: {crowd.shape} people in shelters by day; wanted {(days, size.size)}, 0 up to a shelter's guests"
        )
    if size.size and not (shelters.zone.min() >= 0 and shelters.zone.max() < zones):
        raise InputError(f"epidemic: zones of shelters outside 0..{zones - 1}")
    who["hall"][guest] = np.repeat(np.arange(size.size), size)
    who["guest"][guest] = np.arange(guest.size) - np.repeat(shelters.guest_start[:-1], size)
    return halls, np.ascontiguousarray(crowd, np.int32)


def _queue(people: People, zones: int, seed: int, *, asked: bool) -> tuple[NDArray[np.int32], NDArray[np.int32], Ints]:
    """The order of vaccination: the oldest first, those of one year by lot; for all, and zone by zone."""
    if not asked:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(zones + 1, np.int64)
    lot = keyed_uniforms(seed, "order of vaccination", np.arange(len(people)))
    first = np.lexsort((lot, -people.age))
    zone = people.zone
    in_zone = first[np.argsort(zone[first], kind="stable")]
    start = np.r_[0, np.cumsum(np.bincount(zone, minlength=zones))]
    return first.astype(np.int32), in_zone.astype(np.int32), start.astype(np.int64)
