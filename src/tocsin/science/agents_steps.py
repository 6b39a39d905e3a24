"""The daily loop of an epidemic of agents: who meets whom, who falls ill, who is tested, traced, vaccinated and finds a bed.

Work goes with those who are infectious, not with how many people there are: nobody else is looked at. Contacts are not stored. In a group of n
(a school, a workplace, a neighbourhood, the town) contact number m is a shuffle of its members, drawn by (group, m) and, in layers that mix anew,
by the day, of which each two neighbours meet: a random graph that costs no memory, is mutual, and can be listed again when it is traced. Only a
share of those contacts is real, told for both ends by one number, so that people differ in how many they have.

Every draw belongs to its person, day, layer and contact: a measure that is taken away leaves all other luck as it was.

All that is known of a person lies side by side in one row, since a day touches few people and waits for memory. Arrays are handed on one by one:
a tuple of arrays costs two thirds of the time in counting references (measured: 2.1 microseconds for an infectious day instead of 0.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from tocsin.science.keyed_steps import four_words, share_of

_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_plain: _Compile = njit(nogil=True, cache=True, error_model="numpy")
_inline: _Compile = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)

HOME, SCHOOL, WORK, NEAR, FAR, SHELTER = range(6)
LAYERS = 6
SUSCEPTIBLE, EXPOSED, INFECTIOUS, SYMPTOMATIC, SEVERE, CRITICAL, RECOVERED, DEAD = range(8)
NO_BED, WARD, ICU = range(3)
NOBODY, NEVER = -1, -1

PERSON = np.dtype(
    [
        ("age", np.uint8),  # years
        ("stage", np.uint8),
        ("bed", np.uint8),
        ("worse", np.uint8),  # whether the stage that it is in leads to a worse one
        ("home_start", np.int32),  # people of one home lie side by side,
        ("home_size", np.int32),
        ("near", np.int32),  # and homes of one neighbourhood too
        ("place", np.int32),  # where the day is spent: a school or a workplace, or NOBODY's
        ("seat", np.int32),  # number among those of the place
        ("zone", np.int16),
        (
            "hall",
            np.int16,
        ),  # the shelter that takes it in, or NOBODY's; `guest` is its number among those whom the shelter takes in one after another
        ("guest", np.int32),
        ("infected_day", np.int16),
        ("infectious_day", np.int16),
        ("early_until", np.int16),
        ("severe_day", np.int16),
        ("diagnosed_day", np.int16),
        ("quarantine_from", np.int16),
        ("quarantine_to", np.int16),
        ("vaccinated_day", np.int16),
        ("layer", np.int16),  # in which it was infected,
        ("infector", np.int32),  # and by whom
        ("spread", np.float32),
        ("link", np.int32),  # the next person with an event on the same day
        ("link_result", np.int32),  # ... with a test result
        ("at", np.int32),  # its number among those who are infectious
    ],
    align=True,
)
GROUP = np.dtype([("start", np.int32), ("size", np.int32), ("zone", np.int16), ("layer", np.int16)], align=True)

SYMPTOMS, TURNS_SEVERE, TURNS_CRITICAL, DIES, SUSCEPTIBILITY = range(5)  # of a year of age
LATENT, TO_SYMPTOMS, TO_SEVERE, TO_CRITICAL, END_SILENT, END_MILD, END_SEVERE, END_CRITICAL, TO_DEATH = range(9)  # rows of days
BETA, SLOTS, REAL, DAILY, ISOLATED, QUARANTINE, ILL = range(7)  # of a layer
(EARLY_SHARE, EARLY_RATIO, EARLY_DAYS, SILENT, NO_BED_FACTOR, NO_ICU_FACTOR, SENSITIVITY, RESULT_DAYS, OTHER_ILL, TRACE_DAYS) = (
    range(10)
)  # numbers
(QUARANTINE_DAYS, VACCINE_INFECTION, VACCINE_SEVERE, VACCINE_DAYS, NUMBERS) = range(10, 15)
HAS_BEDS, HAS_ICU, IMPORTED = range(3)  # of a day

(NEW_INFECTED, NEW_REPORTED, TESTS, POSITIVE, NEW_SEVERE, BEDS, ICU_BEDS, NEW_DEAD, NOW_INFECTIOUS, QUARANTINED, VACCINATED) = (
    range(11)
)
NO_BED_FOUND, NEW_IMPORTED = 11, 12
BY_LAYER = 13  # to 18: newly infected, by the layer in which it happened
COLUMNS = BY_LAYER + LAYERS

_COURSE, _TRANSMIT, _MEET, _TEST, _IMPORT, _TRACE = (np.uint64(0x9E3779B97F4A7C15 + k) for k in range(6))
_GOLD, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SHIFT, _AT_LAYER = np.uint64(31), np.uint64(40)
_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)


@_inline
def _wait(days: Any, kind: Any, word: Any) -> Any:
    """A number of days from its cumulative distribution."""
    u = share_of(word)
    d = 0
    while d < days.shape[1] - 1 and u >= days[kind, d]:
        d += 1
    return d


@_inline
def _shuffled(x: Any, n: Any, mask: Any, shift: Any, a: Any, b: Any) -> Any:
    """Where x of n goes in a shuffle: a permutation of the next power of two, again and again until it falls below n."""
    while True:
        for _ in range(2):
            x = (x * a + b) & mask
            x ^= x >> shift
        x = (x * a) & mask
        if x < n:
            return x


@_inline
def _unshuffled(x: Any, n: Any, mask: Any, shift: Any, back: Any, b: Any) -> Any:
    """Who went to x."""
    while True:
        x = (x * back) & mask
        for _ in range(2):
            x ^= x >> shift
            x = ((x - b) * back) & mask
        if x < n:
            return x


@_inline
def _meets(seed: Any, layer: Any, group: Any, slot: Any, day: Any, p: Any, n: Any) -> Any:
    """Whom member p of n meets as contact `slot` (p itself: nobody), and a number in [0, 1) that both share."""
    w0, w1, w2, _ = four_words(seed, _MEET, np.uint64(group), np.uint64(day), (np.uint64(layer) << _AT_LAYER) + np.uint64(slot))
    bits = np.uint64(1)
    while (_ONE << bits) < np.uint64(n):
        bits += _ONE
    mask = (_ONE << bits) - _ONE
    shift = (bits + _ONE) >> _ONE  # half the bits or more, so that the step undoes itself
    a = w0 | _ONE
    back = a
    for _ in range(5):  # the inverse of a mod 2^64, by Newton: right bits double each time
        back = back * (_TWO - a * back)
    place = _shuffled(np.uint64(p), np.uint64(n), mask, shift, a, w1)
    other = place ^ _ONE
    if other >= np.uint64(n):
        return p, 1.0
    q = np.int64(_unshuffled(other, np.uint64(n), mask, shift, back, w1))
    x = (w2 ^ (np.uint64(min(p, q)) * _GOLD)) * _MIX
    x = (x ^ (x >> _SHIFT)) * _GOLD
    return q, share_of(x ^ (x >> _SHIFT))


@_inline
def _gap(word: Any, p: Any) -> Any:
    """How many contacts pass before the next that would infect."""
    if p >= 1.0:
        return 0
    gap = np.log1p(-share_of(word)) / np.log1p(-p)
    return np.int64(gap) if gap < 1e9 else np.int64(1_000_000_000)


@_inline
def _severe_chance(who: Any, ages: Any, number: Any, person: Any) -> Any:
    """The chance of a severe course, given symptoms; less where a vaccine worked before the infection."""
    chance = ages[who[person].age, TURNS_SEVERE]
    given = who[person].vaccinated_day
    if given != NEVER and given + number[VACCINE_DAYS] <= who[person].infected_day:
        chance *= 1.0 - number[VACCINE_SEVERE]
    return chance


@_inline
def _schedule(who: Any, head: Any, person: Any, day: Any) -> None:
    if day < head.size:
        who[person].link = head[day]
        head[day] = person


@_inline
def _infect(
    who: Any, ages: Any, days: Any, spread: Any, number: Any, head: Any, seed: Any, person: Any, day: Any, by: Any, layer: Any
) -> None:
    """A person is infected: when it will be infectious, and how much."""
    key = np.uint64(person)
    a0, a1, a2, a3 = four_words(seed, _COURSE, key, _ZERO, _ZERO)
    b0, b1, b2, b3 = four_words(seed, _COURSE, key, _ONE, _ZERO)
    c0, c1, _, _ = four_words(seed, _COURSE, key, _TWO, _ZERO)
    who[person].stage = EXPOSED
    who[person].infected_day = day
    who[person].infector = by
    who[person].layer = layer
    who[person].spread = spread[np.int64(share_of(a0) * spread.size)]
    begins = day + max(1, _wait(days, LATENT, b1))
    age = who[person].age
    lasts = 0
    if share_of(a1) >= ages[age, SYMPTOMS]:
        lasts = _wait(days, END_SILENT, c1)
    else:
        lasts = _wait(days, TO_SYMPTOMS, b2)
        if share_of(a2) >= _severe_chance(who, ages, number, person):
            lasts += _wait(days, END_MILD, c1)
        else:
            lasts += _wait(days, TO_SEVERE, b3)
            if share_of(a3) >= ages[age, TURNS_CRITICAL]:
                lasts += _wait(days, END_SEVERE, c1)
            else:
                lasts += _wait(days, TO_CRITICAL, c0)
                lasts += _wait(days, TO_DEATH if share_of(b0) < ages[age, DIES] else END_CRITICAL, c1)
    who[person].infectious_day = begins
    who[person].early_until = begins + np.int64(np.ceil(min(number[EARLY_SHARE] * lasts, number[EARLY_DAYS])))
    _schedule(who, head, person, begins)


@_inline
def _go_on(
    who: Any,
    ages: Any,
    days: Any,
    number: Any,
    by_day: Any,
    head: Any,
    active: Any,
    taken: Any,
    out: Any,
    seed: Any,
    person: Any,
    day: Any,
    n_active: Any,
) -> Any:
    """A person's illness takes its next step, or several on one day; how many are infectious now."""
    key = np.uint64(person)
    _, a1, a2, a3 = four_words(seed, _COURSE, key, _ZERO, _ZERO)
    b0, _, b2, b3 = four_words(seed, _COURSE, key, _ONE, _ZERO)
    c0, c1, _, _ = four_words(seed, _COURSE, key, _TWO, _ZERO)
    age = who[person].age
    wait = 0
    while wait == 0:
        stage = who[person].stage
        worse = who[person].worse == 1
        if stage == EXPOSED:
            who[person].stage = INFECTIOUS
            who[person].at = n_active
            active[n_active] = person
            n_active += 1
            worse = share_of(a1) < ages[age, SYMPTOMS]
            wait = _wait(days, TO_SYMPTOMS, b2) if worse else _wait(days, END_SILENT, c1)
        elif stage == INFECTIOUS and worse:
            who[person].stage = SYMPTOMATIC
            worse = share_of(a2) < _severe_chance(who, ages, number, person)
            wait = _wait(days, TO_SEVERE, b3) if worse else _wait(days, END_MILD, c1)
        elif stage == SYMPTOMATIC and worse:
            who[person].stage = SEVERE
            who[person].severe_day = day
            out[day, NEW_SEVERE] += 1
            chance = ages[age, TURNS_CRITICAL]
            if taken[WARD] + 1.0 <= by_day[day, HAS_BEDS]:
                who[person].bed = WARD
                taken[WARD] += 1
            else:
                out[day, NO_BED_FOUND] += 1
                chance *= number[NO_BED_FACTOR]
            worse = share_of(a3) < chance
            wait = _wait(days, TO_CRITICAL, c0) if worse else _wait(days, END_SEVERE, c1)
        elif stage == SEVERE and worse:
            who[person].stage = CRITICAL
            chance = ages[age, DIES]
            if taken[ICU] + 1.0 <= by_day[day, HAS_ICU]:
                taken[who[person].bed] -= 1
                who[person].bed = ICU
                taken[ICU] += 1
            else:
                chance *= number[NO_ICU_FACTOR]
            worse = share_of(b0) < chance
            wait = _wait(days, TO_DEATH if worse else END_CRITICAL, c1)
        else:
            dies = stage == CRITICAL and worse
            who[person].stage = DEAD if dies else RECOVERED
            if dies:
                out[day, NEW_DEAD] += 1
            taken[who[person].bed] -= 1
            who[person].bed = NO_BED
            n_active -= 1
            last = active[n_active]
            active[who[person].at] = last
            who[last].at = who[person].at
            return n_active
        who[person].worse = 1 if worse else 0
    _schedule(who, head, person, day + wait)
    return n_active


@_inline
def _waits(who: Any, person: Any, day: Any) -> Any:
    """Whether a person is in quarantine."""
    return who[person].quarantine_from <= day and day < who[person].quarantine_to


@_inline
def _diagnosed(who: Any, person: Any, day: Any) -> Any:
    told = who[person].diagnosed_day
    return told != NEVER and told <= day


@_inline
def _hit(
    who: Any, crowd: Any, ages: Any, days: Any, spread: Any, layers: Any, number: Any, factor: Any, head: Any, out: Any, seed: Any, person: Any, other: Any,
    day: Any, layer: Any, left: Any, zone: Any, word: Any,
) -> None:  # fmt: skip
    """A contact that would infect the most susceptible, were nothing done: whether it infects this one."""
    if layer == NEAR and _is_sheltered(who, crowd, other, day):
        return  # it is not among its neighbours
    if who[other].stage != SUSCEPTIBLE:
        if who[other].stage == EXPOSED and who[other].infected_day == day and who[other].infector > person:
            out[day, BY_LAYER + who[other].layer] -= 1
            out[day, BY_LAYER + layer] += 1
            who[
                other
            ].infector = person  # of several on one day the one with the lowest number counts, in whatever order they are met
            who[other].layer = layer
        return
    share = ages[who[other].age, SUSCEPTIBILITY] * left
    here = factor[day, zone, layer]
    if layer == FAR:
        here = min(here, factor[day, who[other].zone, layer])
    share *= here
    if _waits(who, other, day):
        share *= layers[layer, QUARANTINE]
    given = who[other].vaccinated_day
    if given != NEVER and given + number[VACCINE_DAYS] <= day:
        share *= 1.0 - number[VACCINE_INFECTION]
    if share_of(word) < share:
        _infect(who, ages, days, spread, number, head, seed, other, day, person, layer)
        out[day, NEW_INFECTED] += 1
        out[day, BY_LAYER + layer] += 1


@_inline
def _is_sheltered(who: Any, crowd: Any, person: Any, day: Any) -> Any:
    """Whether a person is in a shelter on a day: a shelter holds its first so many guests."""
    hall = who[person].hall
    return hall != NOBODY and who[person].guest < crowd[day, hall]


@_inline
def _group(who: Any, near: Any, place: Any, halls: Any, crowd: Any, person: Any, layer: Any, day: Any) -> Any:
    """The group of a person in a layer: its number, its first member, how many, and the person's number in it."""
    if layer == SHELTER:
        g = np.int64(who[person].hall)
        return g, np.int64(halls[g].start), np.int64(crowd[day, g]), np.int64(who[person].guest)
    if layer == HOME:
        return 0, np.int64(who[person].home_start), np.int64(who[person].home_size), np.int64(person - who[person].home_start)
    if layer == FAR:
        return 0, np.int64(0), np.int64(who.size), np.int64(person)
    if layer == NEAR:
        g = np.int64(who[person].near)
        return g, np.int64(near[g].start), np.int64(near[g].size), np.int64(person - near[g].start)
    g = np.int64(who[person].place)
    return g, np.int64(place[g].start), np.int64(place[g].size), np.int64(who[person].seat)


@_inline
def _slots(layers: Any, layer: Any, n: Any) -> Any:
    """How many contacts there may be in a group of n: at home everyone else, elsewhere no more than so many."""
    if layer == HOME:
        return n - 1
    return min(np.int64(layers[layer, SLOTS]), np.int64(np.ceil((n - 1) / layers[layer, REAL])))


@_inline
def _transmit(
    who: Any, near: Any, place: Any, member: Any, halls: Any, guests: Any, crowd: Any, ages: Any, days: Any, spread: Any, layers: Any, number: Any,
    factor: Any, head: Any, out: Any, seed: Any, person: Any, day: Any,
) -> None:  # fmt: skip
    """All that an infectious person passes on in a day; who is in a shelter meets the others there instead of its neighbours."""
    key, today = np.uint64(person), np.uint64(day)
    strength = np.float64(who[person].spread) / (1.0 + number[EARLY_SHARE] * (number[EARLY_RATIO] - 1.0))
    if day < who[person].early_until:
        strength *= number[EARLY_RATIO]
    stage = who[person].stage
    if stage == INFECTIOUS:
        strength *= number[SILENT]
    first = four_words(seed, _TRANSMIT, key, today, _ZERO)
    for turn in range(4):
        layer: Any = HOME
        word, zone = first[0], np.int64(who[person].zone)
        if turn == 1:
            g = who[person].place
            if g == NOBODY:
                continue
            layer, word, zone = np.int64(place[g].layer), first[1], np.int64(place[g].zone)
        elif turn == 2:
            layer, word = NEAR, first[2]
            if _is_sheltered(who, crowd, person, day):
                layer, zone = SHELTER, np.int64(halls[who[person].hall].zone)
        elif turn == 3:
            layer, word = FAR, first[3]
        p = min(1.0, layers[layer, BETA] * strength)
        if p <= 0.0:
            continue
        group, start, n, own = _group(who, near, place, halls, crowd, person, layer, day)
        slots = _slots(layers, layer, n)
        if share_of(word) >= slots * p:  # no contact would infect: its chance, (1 - p)^slots, is at least 1 - slots p
            continue
        left = 1.0
        if _diagnosed(who, person, day):
            left = layers[layer, ISOLATED]
        elif _waits(who, person, day):
            left = layers[layer, QUARANTINE]
        if stage >= SEVERE:
            left = min(left, layers[layer, ILL])
        slot = _gap(word, p)
        while slot < slots:
            w0, w1, _, _ = four_words(seed, _TRANSMIT, key, today, (np.uint64(layer + 1) << _AT_LAYER) + np.uint64(slot))
            other = np.int64(NOBODY)
            if layer == HOME:
                other = start + slot + (1 if slot >= own else 0)
            else:
                q, shared = _meets(seed, layer, group, slot, day if layers[layer, DAILY] > 0.0 else 0, own, n)
                if q != own and shared < layers[layer, REAL]:
                    if layer == SHELTER:
                        other = np.int64(guests[start + q])
                    else:
                        other = np.int64(member[start + q]) if layer in (SCHOOL, WORK) else start + q
            if other != NOBODY:
                _hit(
                    who,
                    crowd,
                    ages,
                    days,
                    spread,
                    layers,
                    number,
                    factor,
                    head,
                    out,
                    seed,
                    person,
                    other,
                    day,
                    layer,
                    left,
                    zone,
                    w0,
                )
            slot += 1 + _gap(w1, p)


@_inline
def _quarantine(who: Any, change: Any, number: Any, person: Any, day: Any) -> None:
    """From `day` on a person waits at home; who waits already, waits longer."""
    if who[person].stage == DEAD or _diagnosed(who, person, day):
        return
    ends = day + np.int64(number[QUARANTINE_DAYS])
    was = np.int64(who[person].quarantine_to)
    if was >= day:
        if ends > was:
            change[was] += 1
            change[ends] -= 1
            who[person].quarantine_to = ends
        return
    who[person].quarantine_from = day
    who[person].quarantine_to = ends
    change[day] += 1
    change[ends] -= 1


@_plain
def _trace(
    who: Any,
    near: Any,
    place: Any,
    member: Any,
    halls: Any,
    guests: Any,
    crowd: Any,
    layers: Any,
    number: Any,
    trace: Any,
    change: Any,
    seed: Any,
    person: Any,
    day: Any,
) -> None:
    """Those whom a diagnosed person has met while infectious are looked for, and those found wait at home."""
    for layer in range(LAYERS):
        chance = trace[day, layer]
        if chance <= 0.0:
            continue
        if layer in (SCHOOL, WORK):
            g = who[person].place
            if g == NOBODY or place[g].layer != layer:
                continue
        if layer == SHELTER and who[person].hall == NOBODY:
            continue
        is_daily = layer != HOME and layers[layer, DAILY] > 0.0
        for met in range(np.int64(who[person].infectious_day) if is_daily else day, day + 1):
            if layer in (NEAR, SHELTER) and _is_sheltered(who, crowd, person, met) != (layer == SHELTER):
                continue
            group, start, n, own = _group(who, near, place, halls, crowd, person, layer, met)
            for slot in range(_slots(layers, layer, n)):
                other = start + slot + (1 if slot >= own else 0)
                if layer != HOME:
                    q, shared = _meets(seed, layer, group, slot, met if is_daily else 0, own, n)
                    if q == own or shared >= layers[layer, REAL]:
                        continue
                    if layer == SHELTER:
                        other = np.int64(guests[start + q])
                    else:
                        other = np.int64(member[start + q]) if layer in (SCHOOL, WORK) else start + q
                    if layer == NEAR and _is_sheltered(who, crowd, other, met):
                        continue
                at = (np.uint64(layer) << _AT_LAYER) + np.uint64(slot)
                word, _, _, _ = four_words(seed, _TRACE, np.uint64(person), np.uint64(met), at)
                if share_of(word) < chance:
                    _quarantine(who, change, number, other, day + np.int64(number[TRACE_DAYS]))


@_plain
def _test(
    who: Any, number: Any, test: Any, head_result: Any, active: Any, out: Any, seed: Any, day: Any, n_active: Any, waiting: Any
) -> None:
    """Who is tested today; those who are found learn it `RESULT_DAYS` later. Who is severely ill is always tested."""
    with_symptoms, without, in_quarantine = test[day, 0], test[day, 1], test[day, 2]
    tests = 0.0
    for n in range(n_active):
        person = active[n]
        if who[person].diagnosed_day != NEVER:
            continue
        stage = who[person].stage
        chance = 1.0 if stage >= SEVERE else (with_symptoms if stage == SYMPTOMATIC else without)
        if _waits(who, person, day):
            chance = max(chance, in_quarantine)
        if chance <= 0.0:
            continue
        w0, w1, _, _ = four_words(seed, _TEST, np.uint64(person), np.uint64(day), _ZERO)
        if share_of(w0) < chance:
            tests += 1.0
            if share_of(w1) < number[SENSITIVITY]:
                out[day, POSITIVE] += 1
                told = day + np.int64(number[RESULT_DAYS])
                who[person].diagnosed_day = told
                if told < head_result.size:
                    who[person].link_result = head_result[told]
                    head_result[told] = person
    # those who do not have it: by how many there are, not one by one
    others = who.size - n_active
    out[day, TESTS] += (
        tests + without * others + with_symptoms * number[OTHER_ILL] * others + in_quarantine * min(waiting, others)
    )


@_plain
def _vaccinate(
    who: Any, doses: Any, first: Any, first_in_zone: Any, zone_start: Any, at: Any, carried: Any, day: Any, given: Any
) -> Any:
    """Doses go to those who come first and have had none; how many people have had one."""
    zones = doses.shape[1] - 1
    for column in range(zones + 1):
        carried[column] += doses[day, column]
        stop = zone_start[column + 1] if column < zones else first.size
        while carried[column] >= 1.0 and at[column] < stop:
            person = first_in_zone[at[column]] if column < zones else first[at[column]]
            at[column] += 1
            if who[person].vaccinated_day == NEVER and who[person].stage != DEAD and not _diagnosed(who, person, day):
                who[person].vaccinated_day = day
                carried[column] -= 1.0
                given += 1.0
    return given


@_plain
def run(
    who: Any, near: Any, place: Any, member: Any, halls: Any, guests: Any, crowd: Any,
    ages: Any, days: Any, spread: Any, layers: Any, number: Any,
    factor: Any, test: Any, trace: Any, by_day: Any,
    doses: Any, first: Any, first_in_zone: Any, zone_start: Any,
    active: Any, head: Any, head_result: Any, change: Any,
    seeds: Any, seed: Any, out: Any,
) -> None:  # fmt: skip
    """All days; `seeds` are the persons who are infected on the first, `crowd` (day, hall) are how many are in each shelter, `out` is (day, column)."""
    taken = np.zeros(3, np.int64)
    carried = np.zeros(doses.shape[1])
    at = zone_start.copy()
    at[at.size - 1] = 0  # the last queue is that of all
    due = np.empty(who.size, np.int32)
    n_active = np.int64(0)
    waiting = 0.0
    given = 0.0
    for day in range(out.shape[0]):
        n = 0
        person = np.int64(head[day])
        while person != NOBODY:
            due[n] = person
            n += 1
            person = np.int64(who[person].link)
        turn = np.sort(due[:n])  # in the order of their numbers, so that beds go to the same people whatever came before
        for k in range(n):
            n_active = _go_on(who, ages, days, number, by_day, head, active, taken, out, seed, np.int64(turn[k]), day, n_active)
        if day == 0:
            for k in range(seeds.size):
                if who[seeds[k]].stage == SUSCEPTIBLE:
                    _infect(who, ages, days, spread, number, head, seed, seeds[k], 0, NOBODY, NOBODY)
                    out[0, NEW_IMPORTED] += 1
        whole = np.int64(by_day[day, IMPORTED])
        lot, _, _, _ = four_words(seed, _IMPORT, np.uint64(day), _ZERO, _ZERO)
        if share_of(lot) < by_day[day, IMPORTED] - whole:
            whole += 1
        for k in range(whole):
            tries = four_words(seed, _IMPORT, np.uint64(day), np.uint64(k + 1), _ZERO)
            for t in range(4):
                person = np.int64(tries[t] % np.uint64(who.size))
                if who[person].stage == SUSCEPTIBLE:
                    _infect(who, ages, days, spread, number, head, seed, person, day, NOBODY, NOBODY)
                    out[day, NEW_IMPORTED] += 1
                    break
        _test(who, number, test, head_result, active, out, seed, day, n_active, waiting)
        person = np.int64(head_result[day])
        while person != NOBODY:
            out[day, NEW_REPORTED] += 1
            _trace(who, near, place, member, halls, guests, crowd, layers, number, trace, change, seed, person, day)
            person = np.int64(who[person].link_result)
        waiting += change[day]
        given = _vaccinate(who, doses, first, first_in_zone, zone_start, at, carried, day, given)
        for k in range(n_active):
            _transmit(
                who, near, place, member, halls, guests, crowd, ages, days, spread, layers, number, factor, head, out, seed,
                np.int64(active[k]), day,
            )  # fmt: skip
        out[day, BEDS], out[day, ICU_BEDS] = taken[WARD], taken[ICU]
        out[day, NOW_INFECTIOUS] = n_active
        out[day, QUARANTINED] = waiting
        out[day, VACCINATED] = given
