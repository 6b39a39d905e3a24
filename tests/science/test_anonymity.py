"""Counts that tell nothing of any one person: the bound itself, not a sample of it."""

from __future__ import annotations

import math
import secrets
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.science.anonymity import SILENT, Rule, geometric_noise, noise_chance, rule_of, tail, tell, told_chance, told_from
from tocsin.vocabulary import InputError

# Rounding of a few products and powers of doubles: each is right to 2^-53, some hundred of them stay below this.
ROUNDING = 1e-12

rules = st.builds(
    lambda epsilon, sensitivity, k, slip: rule_of(epsilon=epsilon, sensitivity=sensitivity, k=k, slip=slip),
    st.sampled_from(["0.1", "0.5", "1", "2", "3.25"]),
    st.integers(1, 4),
    st.integers(2, 20),
    st.sampled_from([0.2, 0.01, 1e-4]),
)


@settings(deadline=None, max_examples=60)
@given(rules)
def test_the_chances_of_the_noise_sum_to_one_and_its_tail_is_their_sum(rule: Rule) -> None:
    reach = math.ceil(60 * rule.sensitivity / float(rule.epsilon))
    chances = {z: noise_chance(z, rule) for z in range(-reach, reach + 1)}
    assert math.fsum(chances.values()) == pytest.approx(1, abs=ROUNDING)
    for z in (-3, 0, 1, 5):
        assert tail(z, rule) == pytest.approx(math.fsum(c for n, c in chances.items() if n >= z), abs=ROUNDING)


@settings(deadline=None, max_examples=60)
@given(rules, st.integers(0, 60), st.data())
def test_one_person_more_or_less_makes_nothing_more_than_e_to_the_epsilon_times_as_likely(
    rule: Rule, count: int, data: st.DataObject
) -> None:
    """Exact, over every outcome that could be told, silence too: the definition of differential privacy (Dwork and Roth 2014, definition 2.4)."""
    other = count + data.draw(st.integers(-min(rule.sensitivity, count), rule.sensitivity))
    bound = math.exp(float(rule.epsilon)) * (1 + ROUNDING)
    least = told_from(rule)
    for told in [SILENT, *range(least, least + 80)]:
        here, there = told_chance(told, count, rule), told_chance(told, other, rule)
        assert here <= bound * there + 1e-300
        assert there <= bound * here + 1e-300


@settings(deadline=None, max_examples=60)
@given(rules, st.integers(0, 60))
def test_what_is_told_of_a_count_sums_to_one(rule: Rule, count: int) -> None:
    least = told_from(rule)
    reach = max(least, count) + math.ceil(60 * rule.sensitivity / float(rule.epsilon))
    whole = told_chance(SILENT, count, rule) + math.fsum(told_chance(n, count, rule) for n in range(least, reach))
    assert whole == pytest.approx(1, abs=ROUNDING)


@settings(deadline=None, max_examples=60)
@given(rules)
def test_fewer_than_k_are_told_with_at_most_the_chance_that_was_set_and_never_as_fewer_than_k(rule: Rule) -> None:
    assert told_from(rule) >= rule.k
    for count in range(rule.k):
        assert 1 - told_chance(SILENT, count, rule) <= rule.slip + ROUNDING
    margin = told_from(rule) - rule.k + 1
    assert margin == 1 or tail(margin - 1, rule) > rule.slip  # no more is kept silent than has to be


def test_the_sampler_draws_what_the_formula_says() -> None:
    """Chi-squared over 13 classes of 40,000 draws stays under its 99.9 % quantile for 12 degrees of freedom, 32.91; the seed is fixed."""
    rule, count = rule_of(epsilon="0.7", sensitivity=2, k=10, slip=0.01), 40_000
    rng = np.random.default_rng(20_260_503)
    drawn = Counter(max(-6, min(6, geometric_noise(rule, lambda n: int(rng.integers(n))))) for _ in range(count))
    expected = {z: noise_chance(z, rule) for z in range(-5, 6)} | {6: tail(6, rule), -6: tail(6, rule)}
    assert sum((drawn[z] - count * p) ** 2 / (count * p) for z, p in expected.items()) < 32.91


def test_sums_over_what_is_told_do_not_give_back_a_silent_cell() -> None:
    """A total is not told by itself: it is the sum of told cells, so a row less its told cells leaves nothing."""
    rule = rule_of(epsilon="1", sensitivity=1, k=10, slip=0.001)
    told = tell(np.array([[400, 3], [250, 900]]), rule, secrets.randbelow)
    assert told[0, 1] == SILENT
    assert told[told != SILENT].min() >= told_from(rule)


def test_every_cell_has_noise_of_its_own_also_one_of_nobody() -> None:
    rule = rule_of(epsilon="0.05", sensitivity=1, k=2, slip=0.9)
    told = tell(np.zeros((20, 20), np.int64), rule, secrets.randbelow)
    assert (told != SILENT).any()
    assert len(np.unique(told)) > 5


def test_a_count_of_many_is_told_close_to_what_it_is() -> None:
    rule = rule_of(epsilon="1", sensitivity=1, k=10, slip=0.001)
    assert abs(int(tell(np.array([5_000]), rule, secrets.randbelow)[0]) - 5_000) < 60  # tail(60) at a = 1/e: 6e-27


@pytest.mark.parametrize(
    ("epsilon", "sensitivity", "k", "slip"),
    [
        ("0", 1, 10, 0.1),
        ("-1", 1, 10, 0.1),
        ("11", 1, 10, 0.1),
        ("x", 1, 10, 0.1),
        ("1/0", 1, 10, 0.1),
        ("1", 0, 10, 0.1),
        ("1", 1, 1, 0.1),
        ("1", 1, 10, 0.0),
    ],
)
def test_a_rule_that_protects_nobody_is_refused(epsilon: str, sensitivity: int, k: int, slip: float) -> None:
    with pytest.raises(InputError, match="anonymity"):
        rule_of(epsilon=epsilon, sensitivity=sensitivity, k=k, slip=slip)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(InputError, match="a count of -1"):
        tell(np.array([-1]), rule_of(epsilon="1", sensitivity=1, k=10, slip=0.1), secrets.randbelow)
