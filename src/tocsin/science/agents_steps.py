"""The daily loop of an epidemic of agents: who meets whom, who falls ill, who is tested, traced, vaccinated and finds a bed.

Work goes with those who are infectious, not with how many people there are: nobody else is looked at. Contacts are not stored. In a group of n
(a school, a workplace, a neighbourhood, the town) contact number m of member p is member (s - p) mod n, where s is drawn by (group, m) and, in
layers that mix anew, by the day: it is its own inverse, so contact is mutual, costs no memory, and can be listed again when it is traced. Only a
share of those contacts is real, told for both ends by one number, so that people differ in how many they have.

Every draw belongs to its person, day, layer and contact: a measure that is taken away leaves all other luck as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tocsin.science.keyed_steps import four_words, share_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Long = NDArray[np.int32]
Short = NDArray[np.int16]
Bytes = NDArray[np.uint8]
_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_plain: _Compile = njit(nogil=True, cache=True, error_model="numpy")
_inline: _Compile = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)

HOME, SCHOOL, WORK, NEAR, FAR = range(5)
LAYERS = 5
SUSCEPTIBLE, EXPOSED, INFECTIOUS, SYMPTOMATIC, SEVERE, CRITICAL, RECOVERED, DEAD = range(8)
SYMPTOMS, TURNS_SEVERE, TURNS_CRITICAL, DIES = range(4)  # rows of `Illness.chance`
LATENT, TO_SYMPTOMS, TO_SEVERE, TO_CRITICAL, END_SILENT, END_MILD, END_SEVERE, END_CRITICAL, TO_DEATH = range(9)  # of `Illness.days`
NO_BED, WARD, ICU = range(3)
NOBODY, NEVER = -1, -1
(NEW_INFECTED, NEW_REPORTED, TESTS, POSITIVE, NEW_SEVERE, BEDS, ICU_BEDS, NEW_DEAD, NOW_INFECTIOUS, QUARANTINED, VACCINATED, NO_BED_FOUND) = range(12)
NEW_IMPORTED = 12
BY_LAYER = 13  # to 17: newly infected, by the layer in which it happened
COLUMNS = BY_LAYER + LAYERS

_COURSE, _TRANSMIT, _MEET, _TEST, _IMPORT, _TRACE = (np.uint64(0x9E3779B97F4A7C15 + k) for k in range(6))
_GOLD, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(31)
_AT_LAYER = np.uint64(40)


class People(NamedTuple):
    """Who they are and where they belong. People of one home lie side by side, and homes of one neighbourhood too."""

    age: Bytes  # (person,) years
    home: Long  # (person,)
    home_start: Long  # (home + 1,) of persons
    near: Long  # (home,) its neighbourhood
    near_start: Long  # (near + 1,) of persons
    near_zone: Short  # (near,)
    place: Long  # (person,) where the day is spent: a school or a workplace, or NOBODY's
    seat: Long  # (person,) number among those of the place
    member: Long  # persons, place by place
    place_start: Long  # (place + 1,) of `member`
    place_layer: Bytes  # (place,) SCHOOL or WORK
    place_zone: Short  # (place,)


class Illness(NamedTuple):
    """What the infection does: chances by year of age, days as cumulative distributions, and how it spreads in each layer."""

    chance: Floats  # (4, age) of symptoms; of severe, critical, death, each given the one before
    susceptible: Floats  # (age,) as a share of the most susceptible age
    days: Floats  # (9, day) chance of at most so many days
    spread: Floats  # quantiles of how infectious a person is, mean 1
    beta: Floats  # (layer,) chance that a contact of a day infects, for the most susceptible age and the usual person
    slots: Ints  # (layer,) contacts that may be
    real: Floats  # (layer,) share of those that are
    daily: NDArray[np.bool_]  # (layer,) whether contacts are new each day
    isolated: Floats  # (layer,) what is left of contact for those who were diagnosed,
    quarantined: Floats  # ... for those who wait at home,
    ill: Floats  # ... and for those who are severely ill
    early_share: float  # share of the infectious days that are more infectious,
    early_ratio: float  # by how much,
    early_days: float  # and how many days that are at most
    silent_factor: float  # infectiousness without symptoms
    no_bed_factor: float  # multiplies the chance to turn critical where no bed was free,
    no_icu_factor: float  # and that to die where no ICU bed was


class Measures(NamedTuple):
    """What is done against it, day by day."""

    factor: Floats  # (day, zone, layer) what is left of contacts, 0..1
    test: Floats  # (day, 3) chance to be tested on a day: with symptoms, without, in quarantine
    sensitivity: float
    result_days: int
    other_ill: float  # share of people who have such symptoms from something else on a day
    trace: Floats  # (day, layer) chance that a contact of a diagnosed person is found
    trace_days: int
    quarantine_days: int
    doses: Floats  # (day, zone + 1); the last: wherever
    first: Long  # people in the order of vaccination
    first_in_zone: Long  # and within each zone,
    zone_start: Ints  # which begins here
    vaccine_infection: float  # share of infections that it prevents
    vaccine_severe: float  # share of severe courses that it prevents in those whom it did not keep from infection
    vaccine_days: int  # until it works
    beds: Floats  # (day,)
    icu: Floats  # (day,)
    imported: Floats  # (day,) persons infected elsewhere


class State(NamedTuple):
    """What is known of each person as days pass."""

    stage: Bytes
    infected_day: Short
    infectious_day: Short
    early_until: Short
    severe_day: Short
    diagnosed_day: Short
    quarantine_from: Short
    quarantine_to: Short
    vaccinated_day: Short
    bed: Bytes
    spread: NDArray[np.float32]
    infector: Long
    layer: NDArray[np.int8]
    link: Long  # the next person with an event on the same day
    link_result: Long  # ... with a test result
    at: Long  # its number in `active`
    active: Long  # those who are infectious
    head: Long  # (day + 1,) the first person with an event,
    head_result: Long  # ... with a result
    worse: NDArray[np.bool_]  # whether the stage that it is in leads to a worse one


@_inline
def _days_of(table: Any, kind: Any, word: Any) -> Any:
    u = share_of(word)
    d = 0
    while d < table.shape[1] - 1 and u >= table[kind, d]:
        d += 1
    return d


@_inline
def _meets(seed: Any, layer: Any, group: Any, slot: Any, day: Any, p: Any, n: Any) -> Any:
    """Whom member p of n meets as contact `slot`, and a number in [0, 1) that both share."""
    w0, w1, _, _ = four_words(seed, _MEET, np.uint64(group), np.uint64(day), (np.uint64(layer) << _AT_LAYER) + np.uint64(slot))
    q = (np.int64(w0 % np.uint64(n)) + n - p) % n
    x = (w1 ^ (np.uint64(min(p, q)) * _GOLD)) * _MIX
    x = (x ^ (x >> _SHIFT)) * _GOLD
    return q, share_of(x ^ (x >> _SHIFT))


@_inline
def _gap(word: Any, p: Any) -> Any:
    """How many contacts pass before the next that would infect."""
    if p >= 1.0:
        return 0
    u = share_of(word)
    gap = np.log1p(-u) / np.log1p(-p)
    return np.int64(gap) if gap < 1e9 else np.int64(1_000_000_000)


@_plain
def _schedule(state: State, person: int, day: int) -> None:
    if day < state.head.size:
        state.link[person] = state.head[day]
        state.head[day] = person


@_plain
def _infect(people: People, illness: Illness, measures: Measures, state: State, seed: Any, person: int, day: int, by: int, layer: int) -> None:
    """A person is infected: when it will be infectious, and how much."""
    who = np.uint64(person)
    a0, a1, a2, a3 = four_words(seed, _COURSE, who, np.uint64(0), np.uint64(0))
    b0, b1, b2, b3 = four_words(seed, _COURSE, who, np.uint64(1), np.uint64(0))
    c0, c1, _, _ = four_words(seed, _COURSE, who, np.uint64(2), np.uint64(0))
    age = people.age[person]
    days = illness.days
    state.stage[person] = EXPOSED
    state.infected_day[person] = day
    state.infector[person] = by
    state.layer[person] = layer
    state.spread[person] = illness.spread[np.int64(share_of(a0) * illness.spread.size)]
    begins = day + max(1, _days_of(days, LATENT, b1))
    lasts = 0
    if share_of(a1) >= illness.chance[SYMPTOMS, age]:
        lasts = _days_of(days, END_SILENT, c1)
    else:
        lasts = _days_of(days, TO_SYMPTOMS, b2)
        if share_of(a2) >= _severe_chance(people, illness, measures, state, person):
            lasts += _days_of(days, END_MILD, c1)
        else:
            lasts += _days_of(days, TO_SEVERE, b3)
            if share_of(a3) >= illness.chance[TURNS_CRITICAL, age]:
                lasts += _days_of(days, END_SEVERE, c1)
            else:
                lasts += _days_of(days, TO_CRITICAL, c0)
                lasts += _days_of(days, TO_DEATH if share_of(b0) < illness.chance[DIES, age] else END_CRITICAL, c1)
    state.infectious_day[person] = begins
    state.early_until[person] = min(32767, begins + np.int64(np.ceil(min(illness.early_share * lasts, illness.early_days))))
    _schedule(state, person, begins)


@_plain
def _severe_chance(people: People, illness: Illness, measures: Measures, state: State, person: int) -> float:
    """The chance of a severe course, given symptoms; less where a vaccine worked before the infection."""
    chance = illness.chance[TURNS_SEVERE, people.age[person]]
    given = state.vaccinated_day[person]
    if given != NEVER and given + measures.vaccine_days <= state.infected_day[person]:
        chance *= 1.0 - measures.vaccine_severe
    return chance


@_plain
def _go_on(people: People, illness: Illness, measures: Measures, state: State, seed: Any, person: int, day: int, taken: Any, n_active: int, out: Any) -> int:
    """A person's illness takes its next step, or several on one day; how many are infectious now."""
    who = np.uint64(person)
    _, a1, a2, a3 = four_words(seed, _COURSE, who, np.uint64(0), np.uint64(0))
    b0, _, b2, b3 = four_words(seed, _COURSE, who, np.uint64(1), np.uint64(0))
    c0, c1, _, _ = four_words(seed, _COURSE, who, np.uint64(2), np.uint64(0))
    age = people.age[person]
    days = illness.days
    wait = 0
    while wait == 0:
        stage = state.stage[person]
        if stage == EXPOSED:
            state.stage[person] = INFECTIOUS
            state.at[person] = n_active
            state.active[n_active] = person
            n_active += 1
            wait = _days_of(days, TO_SYMPTOMS, b2) if share_of(a1) < illness.chance[SYMPTOMS, age] else _days_of(days, END_SILENT, c1)
        elif stage == INFECTIOUS and share_of(a1) < illness.chance[SYMPTOMS, age]:
            state.stage[person] = SYMPTOMATIC
            severe = share_of(a2) < _severe_chance(people, illness, measures, state, person)
            wait = _days_of(days, TO_SEVERE, b3) if severe else _days_of(days, END_MILD, c1)
        elif stage == SYMPTOMATIC and share_of(a2) < _severe_chance(people, illness, measures, state, person):
            state.stage[person] = SEVERE
            state.severe_day[person] = day
            out[day, NEW_SEVERE] += 1
            chance = illness.chance[TURNS_CRITICAL, age]
            if taken[WARD] < measures.beds[day]:
                state.bed[person] = WARD
                taken[WARD] += 1
            else:
                out[day, NO_BED_FOUND] += 1
                chance *= illness.no_bed_factor
            state.worse[person] = share_of(a3) < chance
            wait = _days_of(days, TO_CRITICAL, c0) if state.worse[person] else _days_of(days, END_SEVERE, c1)
        elif stage == SEVERE and state.worse[person]:
            state.stage[person] = CRITICAL
            chance = illness.chance[DIES, age]
            if taken[ICU] < measures.icu[day]:
                taken[state.bed[person]] -= 1
                state.bed[person] = ICU
                taken[ICU] += 1
            else:
                chance *= illness.no_icu_factor
            state.worse[person] = share_of(b0) < chance
            wait = _days_of(days, TO_DEATH if state.worse[person] else END_CRITICAL, c1)
        else:
            dies = stage == CRITICAL and state.worse[person]
            state.stage[person] = DEAD if dies else RECOVERED
            if dies:
                out[day, NEW_DEAD] += 1
            taken[state.bed[person]] -= 1
            state.bed[person] = NO_BED
            n_active -= 1
            last = state.active[n_active]
            state.active[state.at[person]] = last
            state.at[last] = state.at[person]
            return n_active
    _schedule(state, person, day + wait)
    return n_active


@_inline
def _quarantined(state: Any, person: Any, day: Any) -> Any:
    return state.quarantine_from[person] <= day and day < state.quarantine_to[person]


@_plain
def _hit(people: People, illness: Illness, measures: Measures, state: State, seed: Any, person: int, other: int, day: int, layer: int, left: float, zone: int, word: Any, out: Any) -> None:
    """A contact that would infect the most susceptible, were nothing done: whether it infects this one."""
    stage = state.stage[other]
    if stage != SUSCEPTIBLE:
        if stage == EXPOSED and state.infected_day[other] == day and state.infector[other] > person:
            out[day, BY_LAYER + state.layer[other]] -= 1
            out[day, BY_LAYER + layer] += 1
            state.infector[other] = person  # of several on one day the one with the lowest number counts, in whatever order they are met
            state.layer[other] = layer
        return
    share = illness.susceptible[people.age[other]] * left
    factor = measures.factor[day, zone, layer]
    if layer == FAR:
        factor = min(factor, measures.factor[day, people.near_zone[people.near[people.home[other]]], layer])
    share *= factor
    if _quarantined(state, other, day):
        share *= illness.quarantined[layer]
    given = state.vaccinated_day[other]
    if given != NEVER and given + measures.vaccine_days <= day:
        share *= 1.0 - measures.vaccine_infection
    if share_of(word) < share:
        _infect(people, illness, measures, state, seed, other, day, person, layer)
        out[day, NEW_INFECTED] += 1
        out[day, BY_LAYER + layer] += 1


@_plain
def _group(people: People, person: int, layer: int) -> Any:
    """The group of a person in a layer: its number, its first member, how many, and the person's number in it."""
    if layer == HOME:
        home = people.home[person]
        return home, people.home_start[home], people.home_start[home + 1] - people.home_start[home], person - people.home_start[home]
    if layer == NEAR:
        near = people.near[people.home[person]]
        return near, people.near_start[near], people.near_start[near + 1] - people.near_start[near], person - people.near_start[near]
    if layer == FAR:
        return 0, 0, people.age.size, person
    place = people.place[person]
    return place, people.place_start[place], people.place_start[place + 1] - people.place_start[place], people.seat[person]


@_plain
def _transmit(people: People, illness: Illness, measures: Measures, state: State, seed: Any, person: int, day: int, out: Any) -> None:
    """All that an infectious person passes on in a day."""
    who, today = np.uint64(person), np.uint64(day)
    infectiousness = np.float64(state.spread[person])
    norm = 1.0 + illness.early_share * (illness.early_ratio - 1.0)
    infectiousness *= (illness.early_ratio if day < state.early_until[person] else 1.0) / norm
    stage = state.stage[person]
    if stage == INFECTIOUS:
        infectiousness *= illness.silent_factor
    is_diagnosed = state.diagnosed_day[person] != NEVER and state.diagnosed_day[person] <= day
    is_quarantined = _quarantined(state, person, day)
    first = four_words(seed, _TRANSMIT, who, today, np.uint64(0))
    own_zone = people.near_zone[people.near[people.home[person]]]
    for turn in range(4):
        layer, word = HOME, first[0]
        zone = own_zone
        if turn == 1:
            place = people.place[person]
            if place == NOBODY:
                continue
            layer, word, zone = np.int64(people.place_layer[place]), first[1], people.place_zone[place]
        elif turn == 2:
            layer, word = NEAR, first[2]
        elif turn == 3:
            layer, word = FAR, first[3]
        p = min(1.0, illness.beta[layer] * infectiousness)
        slots = illness.slots[layer]
        if p <= 0.0 or slots == 0:
            continue
        group, start, n, own = _group(people, person, layer)
        if layer == HOME:
            slots = n - 1
        else:
            slots = min(slots, np.int64(np.ceil((n - 1) / illness.real[layer])))
        if slots <= 0 or share_of(word) >= slots * p:  # no contact would infect: its chance, (1 - p)^slots, is at least 1 - slots p
            continue
        left = 1.0
        if is_diagnosed:
            left = illness.isolated[layer]
        elif is_quarantined:
            left = illness.quarantined[layer]
        if stage >= SEVERE:
            left = min(left, illness.ill[layer])
        slot = _gap(word, p)
        while slot < slots:
            w0, w1, _, _ = four_words(seed, _TRANSMIT, who, today, (np.uint64(layer + 1) << _AT_LAYER) + np.uint64(slot))
            if layer == HOME:
                other = start + slot
                if other >= person:
                    other += 1
                _hit(people, illness, measures, state, seed, person, other, day, layer, left, zone, w0, out)
            else:
                q, shared = _meets(seed, layer, group, slot, day if illness.daily[layer] else 0, own, n)
                if q != own and shared < illness.real[layer]:
                    other = people.member[start + q] if layer == SCHOOL or layer == WORK else start + q
                    _hit(people, illness, measures, state, seed, person, other, day, layer, left, zone, w0, out)
            slot += 1 + _gap(w1, p)


@_plain
def _quarantine(measures: Measures, state: State, person: int, day: int, change: Any) -> None:
    """From `day` on a person waits at home."""
    told = state.diagnosed_day[person]
    if state.stage[person] == DEAD or (told != NEVER and told <= day):
        return
    ends = day + measures.quarantine_days
    if state.quarantine_to[person] >= day:
        if ends > state.quarantine_to[person]:
            change[min(change.size - 1, np.int64(state.quarantine_to[person]))] += 1
            change[min(change.size - 1, ends)] -= 1
            state.quarantine_to[person] = ends
        return
    state.quarantine_from[person] = day
    state.quarantine_to[person] = ends
    change[min(change.size - 1, day)] += 1
    change[min(change.size - 1, ends)] -= 1


@_plain
def _trace(people: People, illness: Illness, measures: Measures, state: State, seed: Any, person: int, day: int, change: Any) -> None:
    """Those whom a diagnosed person has met while infectious are looked for, and those found wait at home."""
    who = np.uint64(person)
    for layer in range(LAYERS):
        chance = measures.trace[day, layer]
        if chance <= 0.0:
            continue
        if layer == SCHOOL or layer == WORK:
            place = people.place[person]
            if place == NOBODY or people.place_layer[place] != layer:
                continue
        group, start, n, own = _group(people, person, layer)
        slots = n - 1 if layer == HOME else min(illness.slots[layer], np.int64(np.ceil((n - 1) / illness.real[layer])))
        since = max(0, np.int64(state.infectious_day[person])) if illness.daily[layer] and layer != HOME else day
        for met in range(since, day + 1):
            for slot in range(slots):
                other = 0
                if layer == HOME:
                    other = start + slot
                    if other >= person:
                        other += 1
                else:
                    q, shared = _meets(seed, layer, group, slot, met if illness.daily[layer] else 0, own, n)
                    if q == own or shared >= illness.real[layer]:
                        continue
                    other = people.member[start + q] if layer == SCHOOL or layer == WORK else start + q
                word, _, _, _ = four_words(seed, _TRACE, who, np.uint64(met), (np.uint64(layer) << _AT_LAYER) + np.uint64(slot))
                if share_of(word) < chance:
                    _quarantine(measures, state, other, day + measures.trace_days, change)


@_plain
def _test(measures: Measures, state: State, seed: Any, day: int, n_active: int, people_count: int, waiting: float, out: Any) -> None:
    """Who is tested today; those who are found learn it `result_days` later."""
    with_symptoms, without, in_quarantine = measures.test[day, 0], measures.test[day, 1], measures.test[day, 2]
    tests = 0.0
    for n in range(n_active):
        person = state.active[n]
        if state.diagnosed_day[person] != NEVER:
            continue
        stage = state.stage[person]
        chance = 1.0 if stage >= SEVERE else (with_symptoms if stage == SYMPTOMATIC else without)
        if _quarantined(state, person, day):
            chance = max(chance, in_quarantine)
        if chance <= 0.0:
            continue
        w0, w1, _, _ = four_words(seed, _TEST, np.uint64(person), np.uint64(day), np.uint64(0))
        if share_of(w0) < chance:
            tests += 1.0
            if share_of(w1) < measures.sensitivity:
                out[day, POSITIVE] += 1
                told = day + measures.result_days
                state.diagnosed_day[person] = told
                if told < state.head_result.size:
                    state.link_result[person] = state.head_result[told]
                    state.head_result[told] = person
    # those who do not have it: by how many there are, not one by one
    others = people_count - n_active
    out[day, TESTS] += tests + without * others + with_symptoms * measures.other_ill * others + in_quarantine * min(waiting, others)


@_plain
def _vaccinate(people: People, measures: Measures, state: State, day: int, at: Any, carried: Any, given: float) -> float:
    """Doses go to those who come first and have had none; how many people have had one."""
    zones = measures.doses.shape[1] - 1
    for column in range(zones + 1):
        carried[column] += measures.doses[day, column]
        stop = measures.zone_start[column + 1] if column < zones else measures.first.size
        while carried[column] >= 1.0 and at[column] < stop:
            person = measures.first_in_zone[at[column]] if column < zones else measures.first[at[column]]
            at[column] += 1
            known = state.diagnosed_day[person] != NEVER and state.diagnosed_day[person] <= day
            if state.vaccinated_day[person] == NEVER and state.stage[person] != DEAD and not known:
                state.vaccinated_day[person] = day
                carried[column] -= 1.0
                given += 1.0
    return given


@_plain
def run(people: People, illness: Illness, measures: Measures, state: State, seeds: Any, seed: Any, out: Any) -> None:
    """All days; `seeds` are the persons who are infected on the first, `out` is (day, column)."""
    days = out.shape[0]
    taken = np.zeros(3, np.int64)
    change = np.zeros(days + measures.quarantine_days + measures.trace_days + 2)
    carried = np.zeros(measures.doses.shape[1])
    at = measures.zone_start.copy()
    at[at.size - 1] = 0
    n_active = 0
    waiting = given = 0.0
    count = people.age.size
    due = np.empty(count, np.int32)
    for day in range(days):
        n = 0
        person = state.head[day]
        while person != NOBODY:
            due[n] = person
            n += 1
            person = state.link[person]
        for k in np.sort(due[:n]):  # in the order of their numbers, so that beds go to the same people whatever came before
            n_active = _go_on(people, illness, measures, state, seed, k, day, taken, n_active, out)
        if day == 0:
            for k in seeds:
                if state.stage[k] == SUSCEPTIBLE:
                    _infect(people, illness, measures, state, seed, k, 0, NOBODY, -1)
                    out[0, NEW_IMPORTED] += 1
        whole = np.int64(measures.imported[day])
        word, _, _, _ = four_words(seed, _IMPORT, np.uint64(day), np.uint64(0), np.uint64(0))
        if share_of(word) < measures.imported[day] - whole:
            whole += 1
        for number in range(whole):
            for word in four_words(seed, _IMPORT, np.uint64(day), np.uint64(number + 1), np.uint64(0)):
                k = np.int64(word % np.uint64(count))
                if state.stage[k] == SUSCEPTIBLE:
                    _infect(people, illness, measures, state, seed, k, day, NOBODY, -1)
                    out[day, NEW_IMPORTED] += 1
                    break
        _test(measures, state, seed, day, n_active, count, waiting, out)
        person = state.head_result[day]
        while person != NOBODY:
            out[day, NEW_REPORTED] += 1
            _trace(people, illness, measures, state, seed, person, day, change)
            person = state.link_result[person]
        waiting += change[day]
        given = _vaccinate(people, measures, state, day, at, carried, given)
        for n in range(n_active):
            _transmit(people, illness, measures, state, seed, state.active[n], day, out)
        out[day, BEDS], out[day, ICU_BEDS] = taken[WARD], taken[ICU]
        out[day, NOW_INFECTIOUS] = n_active
        out[day, QUARANTINED] = waiting
        out[day, VACCINATED] = given
