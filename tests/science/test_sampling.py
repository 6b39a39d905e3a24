"""Samples span what is uncertain, grow without changing, and keyed chance is the published one."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tocsin.science.keyed import keyed_uniforms, philox
from tocsin.science.sampling import (
    choice,
    key_of,
    latin_hypercube,
    lognormal_cut,
    normal,
    sample_quantile,
    sobol,
    triangle,
    uniform,
)

U = np.linspace(0.0, 1.0, 201)[1:-1]


@settings(max_examples=40, deadline=None)
@given(dimensions=st.integers(1, 12), few=st.integers(1, 70), more=st.integers(1, 70), seed=st.integers(0, 2**40))
def test_a_sobol_sample_that_grows_keeps_the_points_that_are_there(dimensions: int, few: int, more: int, seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        all_of_it = sobol(dimensions, few + more, seed)
        np.testing.assert_array_equal(all_of_it[:few], sobol(dimensions, few, seed))
        np.testing.assert_array_equal(all_of_it[few:], sobol(dimensions, more, seed, first=few))


@pytest.mark.parametrize("power", [1, 3, 6])
def test_the_first_two_to_the_n_sobol_points_meet_each_part_of_each_dimension_once(power: int) -> None:
    count = 2**power
    cells = np.floor(sobol(5, count, 11) * count).astype(int)
    assert all(sorted(column) == list(range(count)) for column in cells.T)


def test_a_latin_hypercube_meets_each_part_of_each_dimension_once() -> None:
    cells = np.floor(latin_hypercube(4, 25, 3) * 25).astype(int)
    assert all(sorted(column) == list(range(25)) for column in cells.T)


def test_another_seed_is_another_sample() -> None:
    assert (sobol(3, 8, 1) != sobol(3, 8, 2)).all()


# scipy.stats writes the same quantiles by another way (root finding or other formulas): 1e-9 relative leaves room for rounding alone
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (triangle(U, 1.0, 2.0, 5.0), stats.triang(0.25, loc=1.0, scale=4.0).ppf(U)),
        (uniform(U, -1.0, 3.0), stats.uniform(-1.0, 4.0).ppf(U)),
        (normal(U, 2.0, 0.5), stats.norm(2.0, 0.5).ppf(U)),
        (normal(U, 2.0, 0.5, 1.5, 4.0), stats.truncnorm(-1.0, 4.0, loc=2.0, scale=0.5).ppf(U)),
        (lognormal_cut(U, 2.0, 0.7), stats.lognorm(0.7, scale=2.0).ppf(U)),
    ],
    ids=["triangle", "uniform", "normal", "cut normal", "lognormal"],
)
def test_a_quantile_is_the_one_of_scipy(ours: np.ndarray, theirs: np.ndarray) -> None:  # type: ignore[type-arg]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_cut_distribution_stays_inside_also_at_the_ends() -> None:
    ends = np.array([0.0, 1.0])
    assert normal(ends, 0.0, 1.0, -2.0, 0.5).tolist() == [-2.0, 0.5]
    assert lognormal_cut(ends, 1.0, 1.0, 0.2, 3.0).tolist() == pytest.approx([0.2, 3.0])


def test_a_choice_falls_as_its_shares_say_and_a_sample_has_its_own_ends() -> None:
    counts = np.bincount(choice((np.arange(1000) + 0.5) / 1000, np.array([2.0, 1.0, 7.0])))
    assert counts.tolist() == [200, 100, 700]
    assert sample_quantile(np.array([0.0, 1.0]), np.array([4.0, -1.0, 2.0])).tolist() == [-1.0, 4.0]


# Known answers of philox4x64-10, as numpy's own generator gives them and as Random123's file kat_vectors lists them
KNOWN = [
    ([0, 0, 0, 0], [0, 0], [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]),
    (
        [2**64 - 1] * 4,
        [2**64 - 1] * 2,
        [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0],
    ),
]


@pytest.mark.parametrize(("counter", "key", "wanted"), KNOWN)
def test_the_generator_gives_its_published_answers(counter: list[int], key: list[int], wanted: list[int]) -> None:
    assert philox(np.array([counter], np.uint64), np.array(key, np.uint64))[0].tolist() == wanted


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), entity=st.integers(1, 2**63), step=st.integers(0, 2**63))
def test_keyed_numbers_are_those_of_numpys_philox(seed: int, entity: int, step: int) -> None:
    counter = np.array([entity - 1, step, 0, 0], np.uint64)  # numpy counts up before it draws
    generator = np.random.Philox(counter=counter, key=np.array([seed, key_of("flood")], np.uint64))
    assert keyed_uniforms(seed, "flood", entity, step) == np.random.Generator(generator).random()


def test_a_number_belongs_to_its_key_and_not_to_who_else_asks() -> None:
    entity, step = np.arange(1000)[:, None], np.arange(7)
    together = keyed_uniforms(5, "leaves", entity, step)
    assert together.shape == (1000, 7)
    np.testing.assert_array_equal(together[[3, 700]][:, [6]], keyed_uniforms(5, "leaves", [[3], [700]], 6))
    assert (together != keyed_uniforms(5, "hears", entity, step)).all()
    assert (together != keyed_uniforms(6, "leaves", entity, step)).all()


def test_keyed_numbers_are_uniform_and_neighbours_know_nothing_of_each_other() -> None:
    u = keyed_uniforms(1, "anything", np.arange(400)[:, None], np.arange(250))
    assert stats.kstest(u.reshape(-1), "uniform").pvalue > 1e-4
    # 99,750 and 99,600 pairs: a correlation beyond 5 / sqrt(n) would come once in two million
    assert abs(np.corrcoef(u[1:].reshape(-1), u[:-1].reshape(-1))[0, 1]) < 5 / np.sqrt(99_750)
    assert abs(np.corrcoef(u[:, 1:].reshape(-1), u[:, :-1].reshape(-1))[0, 1]) < 5 / np.sqrt(99_600)
