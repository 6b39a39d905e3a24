"""A few are weighed so that they stand for all."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.science.calibrate import balanced
from tocsin.science.risk import effective
from tocsin.vocabulary import InputError


def test_the_few_have_the_means_of_all() -> None:
    rng = np.random.default_rng(1)
    every = rng.gamma(2.0, 1.0, (300, 3))
    weight = balanced(every[:40], every)
    assert weight.sum() == pytest.approx(1.0)
    assert (weight > 0).all()
    np.testing.assert_allclose(weight @ every[:40], every.mean(axis=0), rtol=1e-4)  # the ridge of 1e-6 is what is left


def test_weights_are_those_of_raking_where_there_are_two_kinds() -> None:
    # by hand: 3 of 10 are of the first kind among the few, 6 of 10 among all: each of these weighs 0.2, of the others 0.4 / 7
    some = np.array([1.0] * 3 + [0.0] * 7)[:, None]
    of_all = np.array([1.0] * 6 + [0.0] * 4)[:, None]
    np.testing.assert_allclose(balanced(some, of_all), [0.2] * 3 + [0.4 / 7] * 7, rtol=1e-3)


def test_what_goes_along_with_what_is_known_of_all_is_estimated_better() -> None:
    rng = np.random.default_rng(4)
    weighed, plain = [], []
    for _ in range(100):
        truth = rng.gamma(2.0, 1.0, 200)
        told = 0.8 * truth + rng.normal(0.0, 0.1, 200)
        columns = np.column_stack([told, np.maximum(told - np.quantile(told, 0.9), 0.0)])
        weighed.append(balanced(columns[:30], columns) @ truth[:30] - truth.mean())
        plain.append(truth[:30].mean() - truth.mean())
    # correlation 0.996 leaves a tenth of the spread; a half is far from both
    assert np.std(weighed) < 0.5 * np.std(plain)


def test_few_that_cannot_be_balanced_do_not_lean_on_one_of_them() -> None:
    some, of_all = np.arange(10.0)[:, None], np.full((20, 1), 100.0) + np.arange(20.0)[:, None]
    weight = balanced(some, of_all)
    assert effective(weight) >= 5.0
    assert weight[-1] > weight[0]


def test_what_tells_nothing_leaves_all_alike() -> None:
    np.testing.assert_allclose(balanced(np.ones((4, 2)), np.ones((9, 2))), 0.25)
    with pytest.raises(InputError, match="not finite"):
        balanced(np.array([[np.nan]]), np.ones((3, 1)))
    with pytest.raises(InputError, match="wanted"):
        balanced(np.ones((3, 2)), np.ones((3, 1)))
