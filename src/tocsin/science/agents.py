"""An epidemic of agents: a disease, people who meet at home, school, work and around, and what is done against it, day by day."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science import agents_steps as steps
from tocsin.science.agents_steps import COLUMNS, LAYERS, NEVER, NOBODY, Illness, Measures, People, State
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
    layer_weight: tuple[float, float, float, float, float]
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
    """How many people one meets on a day, in the layers home, school, work, near and far, and what is left of it for some.

    At home everyone meets everyone. `scatter` 4 lets contacts vary between people with a variance of 3/4 of their mean, 1 not at all.
    """

    contacts: tuple[float, float, float, float] = (20.0, 16.0, 10.0, 10.0)  # school, work, near, far
    daily: tuple[bool, bool, bool, bool, bool] = (False, False, False, True, True)
    isolated: tuple[float, float, float, float, float] = (0.3, 0.1, 0.1, 0.1, 0.1)
    quarantined: tuple[float, float, float, float, float] = (0.6, 0.2, 0.2, 0.2, 0.2)
    ill: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0)
    scatter: int = 4
    no_bed_factor: float = 2.0
    no_icu_factor: float = 2.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.contacts).all() and min(self.contacts) >= 0 and max(self.contacts) <= 1_000):
            raise InputError(f"mixing: contacts {self.contacts}; wanted 0..1,000 persons a day")
        if not 1 <= self.scatter <= 16:
            raise InputError(f"mixing: scatter = {self.scatter}; wanted 1..16")


class Course(msgspec.Struct, frozen=True):
    """What came: a row for each day, and what became of each person."""

    daily: Floats  # (day, column of agents_steps)
    state: State

    def column(self, number: int) -> Floats:
        return np.ascontiguousarray(self.daily[:, number])


def illness_of(disease: Disease, mixing: Mixing, factor_most: float = 1.0) -> Illness:
    """A disease and a way of mixing as tables. `factor_most` is the largest factor on contacts that a run will ask for, if above 1."""
    group = np.minimum(np.arange(AGES) // 10, len(disease.symptoms) - 1)
    rows = [np.array(r, np.float64)[group] for r in (disease.symptoms, disease.severe, disease.critical, disease.dying)]
    chance = np.zeros((4, AGES))
    chance[0] = rows[0]
    for n in range(3):
        chance[n + 1] = np.divide(rows[n + 1], rows[n], out=np.zeros(AGES), where=rows[n] > 0)
    susceptible = np.array(disease.susceptible, np.float64)[group]
    most = susceptible.max()
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
    slots = np.array([0, *(int(np.ceil(c * mixing.scatter)) for c in mixing.contacts)], np.int64)
    real = np.array([1.0, *(c / max(s, 1) for c, s in zip(mixing.contacts, slots[1:], strict=True))])
    slots[0] = 1  # at home everyone: the kernel counts them itself
    return Illness(
        chance=chance,
        susceptible=susceptible / most,
        days=np.stack([w.at_most() for w in waits]),
        spread=spread,
        beta=disease.transmission * most * max(factor_most, 1.0) * np.array(disease.layer_weight),
        slots=slots,
        real=real,
        daily=np.array(mixing.daily),
        isolated=np.array(mixing.isolated),
        quarantined=np.array(mixing.quarantined),
        ill=np.array(mixing.ill),
        early_share=disease.early_share,
        early_ratio=disease.early_ratio,
        early_days=disease.early_days,
        silent_factor=disease.silent_factor,
        no_bed_factor=mixing.no_bed_factor,
        no_icu_factor=mixing.no_icu_factor,
    )


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """What is done on each day: factors on contact (day, zone, layer), chances to be tested and traced, doses, beds. None: nothing, or no limit."""

    factor: Floats | None = None
    test: Floats | None = None  # (day, 3) with symptoms, without, in quarantine
    trace: Floats | None = None  # (day, layer)
    doses: Floats | None = None  # (day, zone + 1); the last wherever
    beds: Floats | None = None
    icu: Floats | None = None
    imported: Floats | None = None
    sensitivity: float = 1.0
    result_days: int = 1
    other_ill: float = 0.0
    trace_days: int = 1
    quarantine_days: int = 14
    vaccine_infection: float = 0.0
    vaccine_severe: float = 0.0
    vaccine_days: int = 14


def spread_among(
    people: People, disease: Disease, mixing: Mixing, doing: Steps, *, days: int, seeds: Ints, seed: int, factor_most: float = 1.0
) -> Course:
    """Play an epidemic: `seeds` are the persons infected on the first day, `seed` is what its luck belongs to.

    Every draw is keyed by person, day, layer and contact, so a run with a measure more is the same but for what the measure touches.
    Checked: final size (Kermack and McKendrick), renewal equation, covasim 4.0.1 at equal settings; see docs/science/epidemic.md.
    Not in it: births, moves, waning, reinfection, seasons, and infection in hospital or from the dead.
    """
    if not 1 <= days <= DAYS_OF_RUN_MOST:
        raise InputError(f"epidemic: {days} days; wanted 1..{DAYS_OF_RUN_MOST:,}")
    if seeds.size and not (0 <= seeds.min() and seeds.max() < people.age.size):
        raise InputError(f"epidemic: seeds outside 0..{people.age.size - 1}")
    zones = int(max(people.near_zone.max(initial=0), people.place_zone.max(initial=0))) + 1
    factor = np.ones((days, zones, LAYERS)) if doing.factor is None else doing.factor
    if factor.shape != (days, zones, LAYERS):
        raise InputError(f"epidemic: factors {factor.shape}; wanted {(days, zones, LAYERS)}")
    scale = max(factor_most, 1.0)
    if factor.min(initial=0.0) < 0.0 or factor.max(initial=0.0) > scale + 1e-12:
        raise InputError(f"epidemic: factors on contact run {factor.min():g}..{factor.max():g}; wanted 0..{scale:g}")
    doses = np.zeros((days, zones + 1)) if doing.doses is None else doing.doses
    first, first_in_zone, zone_start = _queue(people, zones, seed, asked=bool(doses.any()))
    measures = Measures(
        factor=np.ascontiguousarray(factor / scale),
        test=_or(doing.test, (days, 3), 0.0),
        sensitivity=doing.sensitivity,
        result_days=doing.result_days,
        other_ill=doing.other_ill,
        trace=_or(doing.trace, (days, LAYERS), 0.0),
        trace_days=doing.trace_days,
        quarantine_days=doing.quarantine_days,
        doses=_or(doses, (days, zones + 1), 0.0),
        first=first,
        first_in_zone=first_in_zone,
        zone_start=zone_start,
        vaccine_infection=doing.vaccine_infection,
        vaccine_severe=doing.vaccine_severe,
        vaccine_days=doing.vaccine_days,
        beds=_or(doing.beds, (days,), np.inf),
        icu=_or(doing.icu, (days,), np.inf),
        imported=_or(doing.imported, (days,), 0.0),
    )
    state = _blank(people.age.size, days)
    out = np.zeros((days, COLUMNS))
    steps.run(
        people, illness_of(disease, mixing, factor_most), measures, state, seeds.astype(np.int64), np.uint64(seed), out
    )
    return Course(out, state)


def _or(given: Floats | None, shape: tuple[int, ...], otherwise: float) -> Floats:
    if given is None:
        return np.full(shape, otherwise)
    if given.shape != shape:
        raise InputError(f"epidemic: {given.shape} numbers by day; wanted {shape}")
    return np.ascontiguousarray(given, np.float64)


def _queue(people: People, zones: int, seed: int, *, asked: bool) -> tuple[NDArray[np.int32], NDArray[np.int32], Ints]:
    """The order of vaccination: the oldest first, those of one year by lot; for all, and zone by zone."""
    if not asked:
        return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(zones + 1, np.int64)
    lot = keyed_uniforms(seed, "order of vaccination", np.arange(people.age.size))
    first = np.lexsort((lot, -people.age.astype(np.int64)))
    zone = people.near_zone[people.near[people.home]].astype(np.int64)
    in_zone = first[np.argsort(zone[first], kind="stable")]
    start = np.r_[0, np.cumsum(np.bincount(zone, minlength=zones))]
    return first.astype(np.int32), in_zone.astype(np.int32), start.astype(np.int64)


def _blank(count: int, days: int) -> State:
    def short(value: int) -> NDArray[np.int16]:
        return np.full(count, value, np.int16)

    return State(
        stage=np.zeros(count, np.uint8),
        infected_day=short(NEVER),
        infectious_day=short(NEVER),
        early_until=short(NEVER),
        severe_day=short(NEVER),
        diagnosed_day=short(NEVER),
        quarantine_from=short(NEVER),
        quarantine_to=short(NEVER),
        vaccinated_day=short(NEVER),
        bed=np.zeros(count, np.uint8),
        spread=np.zeros(count, np.float32),
        infector=np.full(count, NOBODY, np.int32),
        layer=np.full(count, NOBODY, np.int8),
        link=np.empty(count, np.int32),
        link_result=np.empty(count, np.int32),
        at=np.empty(count, np.int32),
        active=np.empty(count, np.int32),
        head=np.full(days, NOBODY, np.int32),
        head_result=np.full(days, NOBODY, np.int32),
        worse=np.zeros(count, np.bool_),
    )
