"""How far apart two plans can be, whatever the hazard does: never too little, exact where it can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.decision.bounds import Leaving, stays_longer


def leaving(share: float, begin_s: float, end_s: float, target: str = "all") -> Leaving:
    return Leaving(target, np.array([share]), np.array([begin_s]), np.array([end_s]))


def stay(effects: list[Leaving], at_s: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Who is still there, as a trial counts it: each effect lets a share leave, evenly from begin to end, or at once."""
    told = np.ones(at_s.size)
    for effect in effects:
        share, begin, end = effect.share[0], effect.begin_s[0], effect.end_s[0]
        told *= 1.0 - share * ((at_s >= end) if end <= begin else np.clip((at_s - begin) / (end - begin), 0.0, 1.0))
    return told


effects = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 50), st.integers(0, 50)).map(lambda t: leaving(*t)), max_size=3)


@settings(max_examples=150, deadline=None)
@given(effects, effects)
def test_at_no_moment_does_a_larger_share_stay_than_is_told(more: list[Leaving], less: list[Leaving]) -> None:
    at_s = np.concatenate([np.linspace(-1, 60, 1_221), [np.inf]])
    highest = float((stay(more, at_s) - stay(less, at_s)).max(initial=0.0))
    told = stays_longer(more, less)
    assert told >= highest - 1e-9
    assert told <= 1.0 + 1e-9


def test_one_ramp_each_is_exact() -> None:
    # by hand: half leave from 0 to 10 s, against a quarter from 0 to 10 s: at the end a quarter more are still there
    assert stays_longer([leaving(0.25, 0, 10)], [leaving(0.5, 0, 10)]) == pytest.approx(0.25)
    assert stays_longer([leaving(0.5, 0, 10)], [leaving(0.25, 0, 10)]) == 0.0
    # the same share, later by 2 s of 10: at most a fifth of it are still there who would have left
    assert stays_longer([leaving(0.5, 2, 12)], [leaving(0.5, 0, 10)]) == pytest.approx(0.1)
    # at once, at 5 s, against never
    assert stays_longer([], [leaving(0.7, 5, 5)]) == pytest.approx(0.7)
    assert stays_longer([leaving(0.7, 5, 5)], []) == 0.0


def test_zones_are_held_apart_and_the_worst_of_them_counts() -> None:
    here, there = leaving(0.8, 0, 10, "here"), leaving(0.3, 0, 10, "there")
    assert stays_longer([here], [here, there]) == pytest.approx(0.3)
    assert stays_longer([here, there], [here]) == 0.0
    assert stays_longer([here], [there]) == pytest.approx(0.3)
    assert stays_longer([there], [here]) == pytest.approx(0.8)


def test_the_worst_of_all_futures_counts() -> None:
    more = Leaving("all", np.array([0.5, 0.5]), np.zeros(2), np.array([10.0, 20.0]))
    less = Leaving("all", np.array([0.5, 0.5]), np.zeros(2), np.array([10.0, 10.0]))
    # by hand: at 10 s half of the ramp of 20 s is over, so a quarter more are there
    assert stays_longer([more], [less]) == pytest.approx(0.25)
