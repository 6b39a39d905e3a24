"""How an infection goes through a town: agents with homes, schools, jobs and neighbours, and what a plan closes, tests, traces and vaccinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.pack import Drive, Effect, Future, Knob, Model, Verb
from tocsin.pack.chain import SHELTERED
from tocsin.pack.places import places_of
from tocsin.packs.epidemic.populace import Town, town_of
from tocsin.packs.epidemic.quantities import (
    CONTACT_FACTOR,
    IMPORTED,
    INFECTED_AT_START,
    INFECTED_SHARE,
    SEVERE_SHARE,
    SHELTER_INFECTED,
)
from tocsin.packs.epidemic.shelters import SORTS, Sheltered, by_step, outbreaks, sheltered
from tocsin.science.agents import Course, Disease, Mixing, Steps, spread_among
from tocsin.science.agents_steps import (
    BEDS,
    BY_LAYER,
    FAR,
    HOME,
    ICU_BEDS,
    LAYERS,
    NEAR,
    NEW_DEAD,
    NEW_IMPORTED,
    NEW_INFECTED,
    NEW_REPORTED,
    NO_BED_FOUND,
    QUARANTINED,
    SCHOOL,
    SHELTER,
    WORK,
)
from tocsin.science.diseases import COVID_2020, EBOLA_2014
from tocsin.science.keyed import keyed_uniforms
from tocsin.science.renewal import reproduction, serial_interval
from tocsin.vocabulary import InputError, Member, Series, World

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400.0
DISEASES: tuple[Disease, ...] = (COVID_2020, EBOLA_2014)
WINDOW_D = 7
CASES_LEAST = 11.0  # in a window, for an R_t to be told: 1 / 0.3^2, Cori et al. 2013
# Of the contacts of a layer, which share of the traced ones can be named: those at home, at school and at work all, neighbours half, strangers
# none, those in the same shelter half. A planning assumption (unverified).
NAMED = (1.0, 1.0, 1.0, 0.5, 0.0, 0.5)

CLOSED_BY: Mapping[str, tuple[int, ...]] = {
    "close_schools": (SCHOOL,),
    "limit_work": (WORK,),
    "lower_contacts": (NEAR, FAR),
    "space_shelters": (SHELTER,),
}


def people_infect_each_other(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """Agents meet at home, school, work and around, day by day; whoever is ill is tested, finds a bed, recovers or dies."""
    knobs = future.knobs
    town = town_of(world, knobs)
    days = days_of(future)
    disease = disease_of(knobs)
    contacts = contact_factors(future, days)
    most = max(1.0, float(contacts.max()))
    taken_in = sheltered(world, future, town, days)
    course = spread_among(
        town.populace.people,
        disease,
        _mixing(knobs),
        _doing(world, future, town, effects, days, contacts),
        days=days,
        seeds=_seeds(world, future, town),
        seed=future.seed,
        factor_most=most,
        shelters=taken_in.halls,
    )
    return _member(world, future, town, disease, course, taken_in, frame_s)


def days_of(future: Future) -> int:
    """How many days a run has; the last may be a part of one."""
    return max(1, int(np.ceil(future.duration_s / DAY_S - 1e-9)))


def disease_of(knobs: Mapping[str, float]) -> Disease:
    """The disease of a future, with what its knobs change."""
    disease = DISEASES[round(knobs["disease"])]
    return msgspec.structs.replace(
        disease,
        transmission=disease.transmission * knobs["transmission_factor"],
        silent_factor=disease.silent_factor * knobs["silent_factor"],
    )


def contact_factors(future: Future, days: int) -> Floats:
    """What is left of contact outside home by the scenario itself, (day,); 1 where it says nothing. A value holds until the next."""
    if "contacts" not in future.series:
        return np.ones(days)
    return by_step(future.series["contacts"], days, before=1.0)


def begins(effect: Effect, days: int) -> int:
    """The first whole day of an effect: a day that has begun goes on as it was."""
    return min(days, int(np.ceil(effect.start_s / DAY_S - 1e-9)))


def rows_of(world: World, target: str, zones: int) -> Ints:
    """The zones of a target, as the people have them: 0 is outside all zones."""
    if target == "all":
        return np.arange(zones)
    row = world.zones.name.index(target) + 1
    return np.array([row] if row < zones else [], np.int64)


def _mixing(knobs: Mapping[str, float]) -> Mixing:
    mixing = Mixing(
        contacts=(
            knobs["school_contacts"],
            knobs["work_contacts"],
            knobs["near_contacts"],
            knobs["far_contacts"],
            knobs["shelter_contacts"],
        )
    )
    return msgspec.structs.replace(mixing, ill=mixing.isolated)  # who is severely ill lies in bed, known or not


def _doing(world: World, future: Future, town: Town, effects: Sequence[Effect], days: int, contacts: Floats) -> Steps:
    """What the scenario gives and what a plan does, day by day."""
    knobs, people = future.knobs, town.populace.people
    zones = int(max(people.near_zone.max(), people.place_zone.max(initial=0))) + 1
    thousand = len(people) / 1000.0
    factor = np.ones((days, zones, LAYERS))
    factor[:, :, HOME + 1 :] = contacts[:, None, None]
    factor[:, :, SHELTER] = 1.0  # how crowded it is there is told by `shelter_contacts`
    test = np.zeros((days, 3))
    test[:, 0] = knobs["tested_per_d"]
    trace, doses = np.zeros((days, LAYERS)), np.zeros((days, zones + 1))
    beds, icu = np.full(days, knobs["beds_per_1000"] * thousand), np.full(days, knobs["icu_per_1000"] * thousand)
    icu_share = knobs["icu_per_1000"] / knobs["beds_per_1000"] if knobs["beds_per_1000"] > 0 else 0.0
    for effect in effects:
        first, amount = begins(effect, days), effect.amount
        match effect.verb:
            case "close_schools" | "limit_work" | "lower_contacts" | "space_shelters":
                for zone in rows_of(world, effect.target, zones):
                    factor[first:, zone, list(CLOSED_BY[effect.verb])] *= 1.0 - amount
            case "test":
                test[first:, 0] = np.maximum(test[first:, 0], amount)
                test[first:, 2] = np.maximum(test[first:, 2], amount)
            case "trace_contacts":
                trace[first:] = np.maximum(trace[first:], amount * np.array(NAMED))
            case "vaccinate":
                columns = [zones] if effect.target == "all" else rows_of(world, effect.target, zones).tolist()
                doses[first:, columns] += amount / town.people_per_agent
            case _:  # surge_beds
                beds[first:] += amount / town.people_per_agent
                icu[first:] += amount / town.people_per_agent * icu_share
    imported = np.zeros(days)
    if "imported" in future.series:
        imported = np.array([future.series["imported"].at((d + 0.5) * DAY_S) for d in range(days)]) / town.people_per_agent
    return Steps(
        factor=factor,
        test=test,
        trace=trace,
        doses=doses,
        beds=beds,
        icu=icu,
        imported=imported,
        sensitivity=knobs["test_sensitivity"],
        result_days=round(knobs["result_days"]),
        other_ill=knobs["other_ill"],
        vaccine_infection=knobs["vaccine_infection"],
        vaccine_severe=knobs["vaccine_severe"],
    )


def _seeds(world: World, future: Future, town: Town) -> Ints:
    """Who is infected on the first day: by lot among all, or among those who live at a place."""
    people = len(town.populace.people)
    lot = keyed_uniforms(future.seed, "infected at the start", np.arange(people))
    chosen: list[Ints] = []
    for name, series in future.series.items():
        kind, _, where = name.partition("@")
        if kind != "seeds":
            continue
        count = series.at(0.0) / town.people_per_agent
        whole = int(np.ceil(count - 1e-9))
        who = np.arange(people)
        if where:
            home = town.place[town.populace.cell]
            who = np.flatnonzero(np.isin(home, _around(world, where)))
            if not who.size:
                raise InputError(f"seeds@{where}: nobody lives there")
        chosen.append(who[np.argsort(lot[who], kind="stable")[:whole]])
    if not chosen and "imported" not in future.series:
        raise InputError("epidemic: nobody brings it; give --drive seeds=20persons, seeds@ZONE=... or imported=2persons/d")
    return np.unique(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


POINT_REACH_M = 1_000.0  # who lives this near to a point may be the first


def _around(world: World, where: str) -> Ints:
    """The cells of a zone, or those near a point."""
    places = places_of(world, ("zone", "point"), where)
    if where in world.zones.name:
        return places
    x, y = world.grid.centre(np.arange(world.grid.cells))
    px, py = world.grid.centre(places[:1])
    return np.flatnonzero(np.hypot(x - px[0], y - py[0]) <= POINT_REACH_M)


def _member(
    world: World, future: Future, town: Town, disease: Disease, course: Course, taken_in: Sheltered, frame_s: Sequence[float]
) -> Member:
    people, daily, each = town.populace.people, course.daily, town.people_per_agent
    days, near_count = daily.shape[0], people.near_start.size - 1
    near_size = np.diff(people.near_start)
    near = np.repeat(np.arange(near_count), near_size)
    severe_day = course.who["severe_day"].astype(np.int64)
    fell = severe_day >= 0

    lived, cell = town.place.size, town.populace.cell
    agents = np.bincount(cell, minlength=lived)

    def on_grid(by_near: Floats, otherwise: float, *, mixed: bool = True) -> NDArray[np.float32]:
        """A number of each neighbourhood in its cells; where a cell belongs to two, the mean over who lives there."""
        here = by_near[town.populace.near_of_cell]
        if mixed:
            here = np.where(agents > 0, np.bincount(cell, by_near[near], lived) / np.maximum(agents, 1), here)
        told = np.full(world.grid.cells, otherwise, np.float32)
        told[town.place] = here
        return told

    def severe_by(day: float) -> Floats:
        return np.bincount(near[fell & (severe_day * DAY_S <= day * DAY_S)], minlength=near_count) / near_size

    infected = np.bincount(near[course.who["infected_day"] >= 0], minlength=near_count) / near_size
    first = np.full(near_count, np.inf)
    np.minimum.at(first, near[fell], severe_day[fell] * DAY_S)
    peak = on_grid(severe_by(days), 0.0)
    arrival = on_grid(first, np.inf, mixed=False)
    by_cell = np.full(lived, np.inf)
    np.minimum.at(by_cell, cell, first[near])  # where a cell belongs to two neighbourhoods it comes with the first of them
    arrival[town.place] = np.where(agents > 0, by_cell, arrival[town.place])
    in_shelters = outbreaks(world, taken_in, course, np.bincount(town.place[cell], minlength=world.grid.cells))
    peak = np.where(peak > 0.0, peak, in_shelters.severe).astype(np.float32)
    arrival = np.where(peak > 0.0, np.minimum(arrival, in_shelters.first_day * DAY_S), arrival).astype(np.float32)
    frames = np.stack([on_grid(severe_by(t / DAY_S), 0.0) for t in frame_s]) if len(frame_s) else None
    return Member(
        peak,
        arrival,
        np.where(np.isfinite(arrival), future.duration_s, np.inf).astype(np.float32),
        {INFECTED_SHARE.name: on_grid(infected, 0.0), SHELTER_INFECTED.name: in_shelters.share.astype(np.float32)},
        frames,
        {
            "agents": float(len(people)),
            "people_per_agent": each,
            "infected": float(daily[:, [NEW_INFECTED, NEW_IMPORTED]].sum() * each),
            "deaths": float(daily[:, NEW_DEAD].sum() * each),
            "infected_in_shelters": float(daily[:, BY_LAYER + SHELTER].sum() * each),
            "without_bed": float(daily[:, NO_BED_FOUND].sum() * each),
        },
        courses_of(
            daily[:, NEW_REPORTED] * each, daily[:, BEDS] * each, daily[:, ICU_BEDS] * each, daily[:, NEW_DEAD] * each, disease
        )
        | {"quarantined": by_day(daily[:, QUARANTINED] * each)},
    )


def courses_of(cases: Floats, beds: Floats, icu: Floats, dead: Floats, disease: Disease) -> dict[str, Series]:
    """What a run tells of the whole town at the end of each day. R_t is 0 where too few cases were reported to tell it."""
    r_t = np.zeros(cases.size)
    if cases.size > WINDOW_D:
        told = reproduction(
            cases, serial_interval(disease.serial_mean_d, disease.serial_sd_d, cases.size + 1), window=WINDOW_D, quantiles=()
        )
        r_t[told.last_day] = np.where(told.cases >= CASES_LEAST, told.mean, 0.0)
    return {
        "new_cases_per_d": by_day(cases),
        "beds_taken": by_day(beds),
        "icu_taken": by_day(icu),
        "deaths": by_day(np.cumsum(dead)),
        "r_t": by_day(r_t),
    }


def by_day(value: Floats) -> Series:
    """A number for each day, told at its end; nothing is told at the start."""
    return Series.of(np.arange(value.size + 1) * DAY_S, np.r_[0.0, value])


KNOBS: Mapping[str, Knob] = {
    "disease": Knob("1", 0.0, 0.0, 1.0, "which: 0 is COVID-19 of early 2020, 1 is Ebola of 2014 (parts of it unverified)"),
    "transmission_factor": Knob("1", 0.0, 1.0, 5.0, "multiplies the chance that a contact infects"),
    "silent_factor": Knob("1", 0.0, 1.0, 1.0, "how infectious one is before and without symptoms (covasim: 1)"),
    "home_mean": Knob("persons", 1.5, 3.311, 8.0, "people in a home, to a tenth; usual: Brazil, UN 2019"),
    "near_contacts": Knob("persons", 0.0, 10.0, 60.0, "neighbours met in a day; covasim has 20 in the community (estimate)"),
    "far_contacts": Knob("persons", 0.0, 10.0, 60.0, "people of the whole town met in a day"),
    "tested_per_d": Knob("1", 0.0, 0.1, 1.0, "chance to be tested on a day with symptoms: a planning assumption (unverified)"),
    "beds_per_1000": Knob(
        "1", 0.0, 0.5, 20.0, "hospital beds free for these ill, of 1,000 people: a planning assumption (unverified)"
    ),
}
AGENT_KNOBS: Mapping[str, Knob] = {
    **KNOBS,
    "people_per_agent": Knob(
        "persons",
        0.0,
        0.0,
        100.0,
        "how many people one agent stands for; 0: as many as make 100,000 agents; never fewer than 1,000 agents",
    ),
    "school_contacts": Knob("persons", 0.0, 20.0, 60.0, "pupils met in a day (Kerr et al. 2021)"),
    "work_contacts": Knob("persons", 0.0, 16.0, 60.0, "colleagues met in a day (Kerr et al. 2021)"),
    "shelter_contacts": Knob(
        "persons",
        0.0,
        38.0,
        200.0,
        "people met in a day in a shelter; with 38 a case of COVID-19 infects 2.9 there in all: the low end of 2.9 to 6.2 in homeless shelters with "
        "outbreaks (Chapman et al. 2021, BMC Medicine 19:116); for evacuation shelters and for Ebola unverified",
    ),
    "test_sensitivity": Knob("1", 0.0, 1.0, 1.0, "chance that a test finds an infectious person"),
    "result_days": Knob("d", 0.0, 2.0, 10.0, "days from test to result: a planning assumption (unverified)"),
    "other_ill": Knob(
        "1", 0.0, 0.002, 0.1, "share of people with such symptoms from something else (unverified); makes tests, no cases"
    ),
    "icu_per_1000": Knob("1", 0.0, 0.05, 5.0, "intensive care beds free, of 1,000 people: a planning assumption (unverified)"),
    "vaccine_infection": Knob(
        "1", 0.0, 0.6, 1.0, "share of infections that a vaccine prevents: a planning assumption (unverified)"
    ),
    "vaccine_severe": Knob(
        "1", 0.0, 0.8, 1.0, "share of severe courses that it prevents in the others: a planning assumption (unverified)"
    ),
}
SERIES: Mapping[str, Drive] = {
    "seeds": Drive(INFECTED_AT_START, "people of the town who are infected at the start, by lot"),
    "seeds@": Drive(INFECTED_AT_START, "people who live there and are infected at the start", place="zone|point"),
    "imported": Drive(IMPORTED, "people who come back infected, a day"),
    "contacts": Drive(CONTACT_FACTOR, "multiplies contact outside home and shelters", stepwise=True),
}
AGENT_SERIES: Mapping[str, Drive] = {
    **SERIES,
    "sheltered@": Drive(
        SHELTERED,
        "people in a shelter: those who live nearest to it, or people of a zone in the shelter nearest to it; families together",
        place="|".join(SORTS),
        stepwise=True,
    ),
}
CLOSURES: Mapping[str, Verb] = {
    "close_schools": Verb("all|zone", "share of contact at school that ends", "1", 0.0, 1.0),
    "limit_work": Verb("all|zone", "share of contact at work that ends", "1", 0.0, 1.0),
    "lower_contacts": Verb("all|zone", "share of contact with neighbours and strangers that ends", "1", 0.0, 1.0),
}
PEOPLE_INFECT_EACH_OTHER = Model(
    name="people_infect_each_other",
    reads=(),
    makes=SEVERE_SHARE,
    run=people_infect_each_other,
    knobs=AGENT_KNOBS,
    series=AGENT_SERIES,
    acts_on={
        **CLOSURES,
        "space_shelters": Verb(
            "all|zone", "share of contact within shelters that ends: distance, tents, more halls", "1", 0.0, 1.0
        ),
        "test": Verb("all", "chance to be tested on a day with symptoms or in quarantine", "1", 0.0, 1.0),
        "trace_contacts": Verb(
            "all", "chance that a contact who can be named is found and waits at home for 14 days", "1", 0.0, 1.0
        ),
        "vaccinate": Verb("all|zone", "persons vaccinated a day, the oldest first", "persons/d", 0.0, 1_000_000.0),
        "surge_beds": Verb("all", "hospital beds more, with intensive care in proportion", "persons", 0.0, 100_000.0),
    },
    source=f"{COVID_2020.source}. {EBOLA_2014.source}. R_t: Cori et al. 2013, Am J Epidemiol 178:1505-1512",
    limits=(
        "no infection in hospital or from the dead, no waning, no seasons, no moves; homes and ages are Brazil's; who works where is a guess; behaviour "
        "does not answer to fear; a number for a town is as good as its transmission factor, which has to be fitted to its own cases"
    ),
)
