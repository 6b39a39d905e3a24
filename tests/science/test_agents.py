"""Agents, held to what is known of them without playing: final size, renewal equation, published chances, and what a measure may not touch."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tocsin.science.agents import Course, Disease, Mixing, People, Steps, Wait, spread_among
from tocsin.science.agents_steps import (
    BEDS,
    BY_LAYER,
    FAR,
    HOME,
    NEVER,
    NEW_DEAD,
    NEW_IMPORTED,
    NEW_INFECTED,
    NEW_REPORTED,
    NEW_SEVERE,
    NO_BED_FOUND,
    QUARANTINED,
    SCHOOL,
    VACCINATED,
    _meets,
)
from tocsin.science.compartments import final_size
from tocsin.science.diseases import COVID_2020
from tocsin.vocabulary import InputError

ALWAYS = (1.0,) * 10
NEVER_ILL = (0.0,) * 10


def plain(p: float, **more: object) -> Disease:
    """Nobody has symptoms; three days until infectious, then eight days, all alike."""
    wait = Wait(8.0, 0.0)
    told = Disease(
        name="plain", source="made up", transmission=p, layer_weight=(1.0,) * 6, latent=Wait(3.0, 0.0), to_symptoms=Wait(0.0, 0.0),
        to_severe=Wait(0.0, 0.0), to_critical=Wait(0.0, 0.0), end_silent=wait, end_mild=wait, end_severe=wait, end_critical=wait, to_death=wait,
        susceptible=ALWAYS, symptoms=NEVER_ILL, severe=NEVER_ILL, critical=NEVER_ILL, dying=NEVER_ILL, serial_mean_d=6.5, serial_sd_d=2.3,
    )  # fmt: skip
    return msgspec.structs.replace(told, **more)


def crowd(count: int, *, home: int = 1, zones: int = 1, age: int = 40) -> People:
    """Zones of even size, all of one age, homes of one size, nobody with a place for the day."""
    edges = np.linspace(0, count, zones + 1).astype(np.int64)
    none = np.zeros(0, np.int64)
    return People(np.full(count, age), np.arange(0, count + 1, home), edges, np.arange(zones), np.full(count, -1), none, none)


FAR_ONLY = Mixing(contacts=(0.0, 0.0, 0.0, 10.0, 0.0))


def play(people: People, disease: Disease, mixing: Mixing, doing: Steps, *, days: int, seeds: int, seed: int) -> Course:
    first = np.arange(seeds) * (len(people) // seeds)
    return spread_among(people, disease, mixing, doing, days=days, seeds=first, seed=seed)


def test_where_all_mix_the_final_size_is_that_of_kermack_and_mckendrick() -> None:
    """The infectious time is the same for all, so the spread of the final size is sqrt(z (1 - z) N) / (1 - R0 (1 - z)): von Bahr & Martin-Löf 1980."""
    count, seeds, runs, r0 = 20_000, 100, 6, 2.0
    people = crowd(count)
    ends = [
        play(people, plain(r0 / 80.0), FAR_ONLY, Steps(), days=400, seeds=seeds, seed=k)
        .daily[:, [NEW_INFECTED, NEW_IMPORTED]]
        .sum()
        for k in range(runs)
    ]
    z = 0.8
    for _ in range(200):  # with seeds, who are infected in any case
        z = 1.0 - (1.0 - seeds / count) * np.exp(-r0 * z)
    assert z == pytest.approx(final_size(r0), abs=0.01)
    doubt = np.sqrt(z * (1 - z) / count) / (1 - r0 * (1 - z)) / np.sqrt(runs)
    assert np.mean(ends) / count == pytest.approx(z, abs=4.0 * doubt)


def test_new_infections_follow_the_renewal_equation() -> None:
    count, p = 50_000, 0.02
    daily = play(crowd(count), plain(p), FAR_ONLY, Steps(), days=120, seeds=50, seed=5).daily
    new = daily[:, NEW_INFECTED]
    all_new = new + daily[:, NEW_IMPORTED]
    left = count - np.r_[0.0, np.cumsum(all_new)[:-1]]
    infectious = np.array([all_new[max(0, t - 10) : max(0, t - 2)].sum() for t in range(120)])  # infected 3 to 10 days ago
    np.testing.assert_array_equal(daily[:, 8], infectious)
    expected = left * (1.0 - (1.0 - p) ** (10.0 * infectious / count))
    big = expected > 20
    score = (new[big] - expected[big]) / np.sqrt(expected[big])
    assert big.sum() > 40
    assert abs(score.mean()) < 4.0 / np.sqrt(big.sum())
    assert 0.4 < score.var() < 2.0  # a chi-square of 40 or more days per day: 1 +- 0.22


def test_at_home_everyone_meets_everyone_and_nobody_else() -> None:
    """Homes of two with one infected each: the other falls ill with a chance of 1 - (1 - p)^8."""
    people, p = crowd(20_000, home=2), 0.05
    told = spread_among(people, plain(p), Mixing(contacts=(0.0,) * 5), Steps(), days=30, seeds=np.arange(0, 20_000, 2), seed=1)
    want = 1.0 - (1.0 - p) ** 8
    assert told.daily[:, NEW_INFECTED].sum() / 10_000 == pytest.approx(want, abs=4.0 * np.sqrt(want * (1 - want) / 10_000))
    assert told.daily[:, BY_LAYER + HOME].sum() == told.daily[:, NEW_INFECTED].sum()


def test_contacts_are_mutual_and_as_many_as_asked_and_vary_as_told() -> None:
    for n in (2, 3, 17, 1000, 1024):
        met = [[_meets(np.uint64(7), SCHOOL, 3, slot, 0, p, n) for p in range(n)] for slot in range(40)]
        for row in met:
            assert [row[q][0] for q, _ in row] == list(range(n))
            assert all(row[q][1] == shared for q, shared in row)
    number = np.array([sum(q != p and shared < 0.25 for p_, (q, shared) in [(p, row[p]) for row in met]) for p in range(1024)])
    assert number.mean() == pytest.approx(10.0, abs=4.0 * np.sqrt(7.5 / 1024))
    assert number.var() == pytest.approx(7.5, rel=4.0 * np.sqrt(2.0 / 1024))


def test_a_contact_meets_others_on_another_day_only_where_mixing_is_daily() -> None:
    today = [_meets(np.uint64(7), FAR, 0, 0, 1, p, 500)[0] for p in range(500)]
    tomorrow = [_meets(np.uint64(7), FAR, 0, 0, 2, p, 500)[0] for p in range(500)]
    assert sum(a == b for a, b in zip(today, tomorrow, strict=True)) < 10  # one in 500 by chance


def test_the_old_fall_severely_ill_and_die_as_published() -> None:
    count = 40_000
    told = spread_among(
        crowd(count, age=75), COVID_2020, Mixing(contacts=(0.0,) * 5), Steps(), days=200, seeds=np.arange(count), seed=2
    )
    for column, want in ((NEW_SEVERE, 0.20655), (NEW_DEAD, 0.02439)):  # Kerr et al. 2021, ages 70-79
        assert told.daily[:, column].sum() / count == pytest.approx(want, abs=4.0 * np.sqrt(want * (1 - want) / count))
    assert told.daily[-1, BEDS] == 0  # all have left hospital in the end
    latent = (told.who["infectious_day"] - told.who["infected_day"]).astype(float)
    assert latent.mean() == pytest.approx(4.5, abs=4.0 * 1.55 / np.sqrt(count) + 0.02)  # to whole days, and one at least


def test_without_beds_more_turn_critical_and_die() -> None:
    people, count = crowd(20_000, age=65), 20_000
    rule = {"days": 200, "seeds": np.arange(count), "seed": 4}
    nobody_meets = Mixing(contacts=(0.0,) * 5)
    enough = spread_among(people, COVID_2020, nobody_meets, Steps(), **rule)
    none = spread_among(people, COVID_2020, nobody_meets, Steps(beds=np.zeros(200), icu=np.zeros(200)), **rule)
    assert none.daily[:, NO_BED_FOUND].sum() == none.daily[:, NEW_SEVERE].sum() == enough.daily[:, NEW_SEVERE].sum()
    assert none.daily[:, BEDS].max() == 0
    died, more = enough.daily[:, NEW_DEAD].sum(), none.daily[:, NEW_DEAD].sum()
    want = 4.0 * 0.00766 * count  # twice as many critical, of whom twice as many die
    assert died == pytest.approx(0.00766 * count, abs=4.0 * np.sqrt(0.00766 * count))
    assert more == pytest.approx(want, abs=4.0 * np.sqrt(want))


def test_a_measure_changes_nothing_before_it_begins() -> None:
    people = crowd(20_000, home=4)
    factor = np.ones((100, 1, 6))
    factor[50:, :, FAR] = 0.3
    without = play(people, plain(0.02), FAR_ONLY, Steps(), days=100, seeds=20, seed=9)
    lowered = play(people, plain(0.02), FAR_ONLY, Steps(factor=factor), days=100, seeds=20, seed=9)
    np.testing.assert_array_equal(without.daily[:50], lowered.daily[:50])
    assert lowered.daily[:, NEW_INFECTED].sum() < without.daily[:, NEW_INFECTED].sum()


def test_a_measure_in_one_zone_changes_nobody_in_a_zone_that_does_not_meet_it() -> None:
    people = crowd(20_000, home=4, zones=2)
    near_only = Mixing(contacts=(0.0, 0.0, 10.0, 0.0, 0.0))
    factor, doses = np.ones((100, 2, 6)), np.zeros((100, 3))
    factor[20:, 1], doses[10:, 1] = 0.5, 50.0
    steps = Steps(factor=factor, doses=doses, vaccine_infection=0.9, test=np.full((100, 3), 0.2), trace=np.full((100, 6), 0.5))
    without = play(
        people, plain(0.02), near_only, msgspec.structs.replace(steps, factor=None, doses=None), days=100, seeds=20, seed=3
    )
    done = play(people, plain(0.02), near_only, steps, days=100, seeds=20, seed=3)
    here, there = people.zone == 0, people.zone == 1
    for field in ("infected_day", "diagnosed_day", "infector", "quarantine_to"):
        np.testing.assert_array_equal(without.who[field][here], done.who[field][here])
    assert (done.who["infected_day"][there] != NEVER).sum() < 0.8 * (without.who["infected_day"][there] != NEVER).sum()


def test_less_contact_never_infects_who_would_have_been_spared_at_first() -> None:
    """The first generation: those whom the seeds infect with half the contacts are among those whom they infect with all."""
    people = crowd(20_000)
    rule = {"days": 6, "seeds": 200, "seed": 8}
    every = play(people, plain(0.1, end_silent=Wait(2.0, 0.0)), FAR_ONLY, Steps(), **rule).who["infected_day"] != NEVER
    half = (
        play(people, plain(0.1, end_silent=Wait(2.0, 0.0)), FAR_ONLY, Steps(factor=np.full((6, 1, 6), 0.5)), **rule).who[
            "infected_day"
        ]
        != NEVER
    )
    assert (every & half).sum() == half.sum()
    new = every.sum() - 200
    assert half.sum() - 200 == pytest.approx(new / 2, abs=4.0 * np.sqrt(new / 4))


def test_the_same_seed_gives_the_same_people_the_same_luck() -> None:
    people = crowd(5_000, home=5)
    a = play(people, plain(0.03), FAR_ONLY, Steps(), days=60, seeds=10, seed=1)
    b = play(people, plain(0.03), FAR_ONLY, Steps(), days=60, seeds=10, seed=1)
    c = play(people, plain(0.03), FAR_ONLY, Steps(), days=60, seeds=10, seed=2)
    np.testing.assert_array_equal(a.who, b.who)
    assert (a.who["infected_day"] != c.who["infected_day"]).any()


def test_traced_contacts_wait_at_home_and_infect_less() -> None:
    people = crowd(20_000, home=4)
    ill = plain(0.02, symptoms=ALWAYS, to_symptoms=Wait(1.0, 0.0))
    testing = Steps(test=np.tile([1.0, 0.0, 0.0], (100, 1)), result_days=0)
    tested = play(people, ill, FAR_ONLY, testing, days=100, seeds=20, seed=6)
    traced = play(
        people,
        ill,
        FAR_ONLY,
        msgspec.structs.replace(testing, trace=np.full((100, 6), 0.8), trace_days=0),
        days=100,
        seeds=20,
        seed=6,
    )
    assert tested.daily[:, QUARANTINED].max() == 0 < traced.daily[:, QUARANTINED].max()
    assert traced.daily[:, NEW_INFECTED].sum() < 0.8 * tested.daily[:, NEW_INFECTED].sum()
    assert (traced.daily[:, QUARANTINED] >= 0).all()
    found = tested.who["diagnosed_day"] != NEVER
    np.testing.assert_array_equal(tested.who["diagnosed_day"][found], tested.who["infectious_day"][found] + 1)


def test_reports_come_days_after_the_test() -> None:
    ill = plain(0.0, symptoms=ALWAYS, to_symptoms=Wait(0.0, 0.0))
    told = play(
        crowd(100), ill, FAR_ONLY, Steps(test=np.tile([1.0, 0.0, 0.0], (20, 1)), result_days=2), days=20, seeds=100, seed=1
    )
    assert told.daily[:, NEW_REPORTED].nonzero()[0].tolist() == [5]  # infectious on day 3


def test_doses_go_to_the_oldest_first_and_a_perfect_vaccine_spares_them() -> None:
    people = msgspec.structs.replace(crowd(10_000), age=np.arange(10_000) % 100)
    doses = np.zeros((90, 2))
    doses[0, 1] = 5_000.0
    steps = Steps(doses=doses, vaccine_infection=1.0, vaccine_days=0)
    told = spread_among(people, plain(0.05), FAR_ONLY, steps, days=90, seeds=np.arange(50), seed=1)
    given = told.who["vaccinated_day"] != NEVER
    assert given.sum() == told.daily[-1, VACCINATED] == 5_000
    assert people.age[given].min() >= people.age[~given].max()
    assert not ((told.who["infected_day"] > 0) & given).any()


def test_imported_persons_come_at_the_rate_that_was_given() -> None:
    told = spread_among(
        crowd(20_000), plain(0.0), FAR_ONLY, Steps(imported=np.full(400, 2.3)), days=400, seeds=np.zeros(0, np.int64), seed=1
    )
    assert told.daily[:, NEW_IMPORTED].sum() == pytest.approx(
        920, abs=4.0 * np.sqrt(400 * 0.21) + 25
    )  # some meet a person who has had it


def test_a_factor_above_one_needs_to_be_announced() -> None:
    factor = np.full((10, 1, 6), 1.5)
    with pytest.raises(InputError, match=r"wanted 0\.\.1"):
        play(crowd(100), plain(0.1), FAR_ONLY, Steps(factor=factor), days=10, seeds=1, seed=1)
    told = spread_among(
        crowd(100), plain(0.1), FAR_ONLY, Steps(factor=factor), days=10, seeds=np.arange(5), seed=1, factor_most=1.5
    )
    assert told.daily[:, NEW_INFECTED].sum() > 0


def test_who_waits_at_home_is_not_infected_where_waiting_is_perfect() -> None:
    """The first of each home is found on the day that it turns infectious; nothing isolates it, but the others wait apart."""
    ill = plain(0.5, symptoms=ALWAYS, to_symptoms=Wait(0.0, 0.0))
    nobody = (0.0,) * 6
    apart = Mixing(contacts=(0.0,) * 5, isolated=(1.0,) * 6, quarantined=nobody)
    steps = Steps(test=np.tile([1.0, 0.0, 0.0], (30, 1)), result_days=0, trace=np.ones((30, 6)), trace_days=0, quarantine_days=20)
    people, first = crowd(3_000, home=3), np.arange(0, 3_000, 3)
    told = spread_among(people, ill, apart, steps, days=30, seeds=first, seed=1).daily
    assert told[:, NEW_INFECTED].sum() == 0
    assert told[:, QUARANTINED].max() == 2_000
    without = spread_among(people, ill, apart, msgspec.structs.replace(steps, trace=None), days=30, seeds=first, seed=1).daily
    assert without[:, NEW_INFECTED].sum() > 1_900


def test_of_several_who_infect_a_person_on_one_day_the_first_by_number_is_named() -> None:
    """Whoever turned infectious first: homes of three with two infected, who may infect from one day on, and then surely."""
    long = Wait(40.0, 0.0)
    sure = plain(1.0, latent=Wait(4.0, 2.0), end_silent=long)
    factor = np.zeros((19, 1, 6))
    factor[18:] = 1.0
    people = crowd(3_000, home=3)
    first = np.setdiff1d(np.arange(3_000), np.arange(2, 3_000, 3))
    who = spread_among(people, sure, Mixing(contacts=(0.0,) * 5), Steps(factor=factor), days=19, seeds=first, seed=1).who
    both = ((who["infectious_day"][0::3] <= 18) & (who["infectious_day"][1::3] <= 18)).nonzero()[0]
    assert (who["infectious_day"][1::3][both] < who["infectious_day"][0::3][both]).sum() > 100
    np.testing.assert_array_equal(who["infector"][2::3][both], 3 * both)


def test_nobody_is_vaccinated_twice_by_the_zones_doses_and_those_for_all() -> None:
    people = msgspec.structs.replace(crowd(10_000, zones=2), age=np.arange(10_000) % 100)
    doses = np.zeros((5, 3))
    doses[0, 0] = doses[0, 2] = 1_000.0
    told = spread_among(people, plain(0.0), FAR_ONLY, Steps(doses=doses), days=5, seeds=np.zeros(0, np.int64), seed=1)
    assert (told.who["vaccinated_day"] != NEVER).sum() == told.daily[-1, VACCINATED] == 2_000
