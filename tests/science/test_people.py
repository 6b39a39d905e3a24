"""People made from counts: as many as there are, in homes with an adult, in schools and jobs that are near and full in proportion."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science.agents_steps import SCHOOL, WORK
from tocsin.science.people import Habits, Populace, Sites, make_people
from tocsin.vocabulary import InputError

AGES = (15.0, 15.0, 15.0, 15.0, 15.0, 10.0, 8.0, 5.0, 2.0)
HABITS = Habits(home_mean=3.0, age_shares=AGES)
SIDE = 20
X, Y = (v.ravel() * 500.0 for v in np.meshgrid(np.arange(SIDE), np.arange(SIDE)))
ZONE = (X >= 5_000.0).astype(np.int64)
COUNT = np.full(SIDE * SIDE, 100.0)


def make(count: np.ndarray = COUNT, *, schools: Sites | None = None, works: Sites | None = None, seed: int = 1) -> Populace:
    return make_people(count, X, Y, ZONE, habits=HABITS, schools=schools, works=works, seed=seed)


def test_there_are_as_many_people_as_were_counted_and_they_live_where_they_were() -> None:
    told = make()
    assert len(told.people) == 40_000
    lived = np.bincount(told.cell, minlength=COUNT.size)
    assert np.abs(lived - 100).max() <= 12  # a home reaches over to the next cell at most
    assert (ZONE[told.cell] == told.people.zone).all()


def test_broken_counts_come_out_right_on_the_average() -> None:
    told = make(np.full(COUNT.size, 10.3))
    assert len(told.people) == pytest.approx(10.3 * COUNT.size, abs=4.0 * np.sqrt(COUNT.size * 0.21))


def test_homes_have_the_mean_size_and_an_adult_each() -> None:
    people = make().people
    size = np.diff(people.home_start)
    assert size.mean() == pytest.approx(3.0, abs=4.0 * np.sqrt(2.0 / size.size) + 0.01)  # cut at the edge of a neighbourhood
    assert (people.age[people.home_start[:-1]] >= 20).all()


def test_ages_have_the_shares_that_were_given() -> None:
    people = make().people
    came = np.bincount(people.age // 10, minlength=9)[:9] / len(people)
    np.testing.assert_allclose(came, np.array(AGES) / 100.0, atol=4.0 * np.sqrt(0.15 * 0.85 / 40_000))


def test_neighbourhoods_are_compact_and_lie_in_one_zone() -> None:
    told = make()
    people = told.people
    near = np.repeat(np.arange(people.near_start.size - 1), np.diff(people.near_start))
    for n in range(people.near_start.size - 1):
        here = told.cell[near == n]
        assert np.unique(ZONE[here]).size == 1
        assert np.hypot(X[here] - X[here].mean(), Y[here] - Y[here].mean()).mean() < 2_500.0  # of a town of 10 km
    assert np.diff(people.near_start).mean() == pytest.approx(2_000.0, rel=0.01)


def test_pupils_go_to_school_and_nobody_else_and_schools_fill_in_proportion() -> None:
    schools = Sites(
        np.array([2_000.0, 8_000.0, 5_000.0]),
        np.array([2_000.0, 8_000.0, 5_000.0]),
        np.array([1.0, 1.0, 2.0]),
        np.zeros(3, np.int64),
    )
    told = make(schools=schools)
    people = told.people
    pupil = (people.age >= 6) & (people.age < 18)
    at = people.place[pupil]
    assert (people.place_layer[at] == SCHOOL).all()
    assert (people.place_layer[people.place[~pupil & (people.place >= 0)]] == WORK).all()
    share = np.bincount(at, minlength=3)[:3] / at.size
    np.testing.assert_allclose(share, [0.25, 0.25, 0.5], atol=4.0 * np.sqrt(0.25 / at.size))  # balanced on both sides
    corner = pupil & (X[told.cell] < 1_500) & (Y[told.cell] < 1_500)
    assert (people.place[corner] == 0).mean() > 0.8


def test_workers_go_to_workplaces_of_the_size_that_was_given() -> None:
    people = make(works=Sites(X[::7], Y[::7], np.ones(X[::7].size), ZONE[::7])).people
    firms = np.bincount(people.place[people.place >= 0], minlength=people.place_layer.size)[people.place_layer == WORK]
    assert firms.mean() == pytest.approx(20.0, rel=0.05)
    grown = (people.age >= 18) & (people.age < 65)
    assert (people.place[grown] >= 0).mean() == pytest.approx(0.6, abs=4.0 * np.sqrt(0.24 / grown.sum()))


def test_the_same_seed_makes_the_same_people_and_another_other_ones() -> None:
    a, b, c = make(seed=1), make(seed=1), make(seed=2)
    np.testing.assert_array_equal(a.people.place, b.people.place)
    np.testing.assert_array_equal(a.people.age, b.people.age)
    assert (a.people.age != c.people.age).any()


def test_more_people_in_one_cell_change_nobody_in_the_zone_before_it() -> None:
    more = COUNT.copy()
    more[-1] += 50.0
    a, b = make(), make(more)
    first = int((a.people.zone == 0).sum())
    np.testing.assert_array_equal(a.people.age[:first], b.people.age[:first])


def test_counts_that_make_no_town_are_refused() -> None:
    with pytest.raises(InputError, match="wanted persons per cell"):
        make(np.full(COUNT.size, np.nan))
    with pytest.raises(InputError, match="how many people one agent stands for"):
        make(np.zeros(COUNT.size))
