"""The loop of keyed chance, compiled: Philox4x64-10 of (entity, step) under (seed, event), one number each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types

_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_inner: _Compile = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)
_outer: _Compile = njit(
    types.void(types.uint64, types.uint64, types.uint64[::1], types.uint64[::1], types.float64[::1]),
    nogil=True,
    cache=True,
    error_model="numpy",
)

_A, _B = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_WEYL_A, _WEYL_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_HALF, _MASK, _TOP = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(11)
_SHARE = 2.0**-53


@_inner
def _high(a, b):  # type: ignore[no-untyped-def]
    """The upper 64 bits of a product."""
    a_low, a_high, b_low, b_high = a & _MASK, a >> _HALF, b & _MASK, b >> _HALF
    cross_1, cross_2 = a_high * b_low, a_low * b_high
    middle = ((a_low * b_low) >> _HALF) + (cross_1 & _MASK) + (cross_2 & _MASK)
    return a_high * b_high + (cross_1 >> _HALF) + (cross_2 >> _HALF) + (middle >> _HALF)


@_inner
def four_words(seed, event, entity, step, more):  # type: ignore[no-untyped-def]
    """Four words of 64 random bits that belong to (entity, step, more) under (seed, event)."""
    c0, c1, c2, c3 = entity, step, more, np.uint64(0)
    k0, k1 = seed, event
    for _ in range(10):
        high_0, low_0 = _high(c0, _A), c0 * _A
        high_1, low_1 = _high(c2, _B), c2 * _B
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0, k1 = k0 + _WEYL_A, k1 + _WEYL_B
    return c0, c1, c2, c3


@_inner
def share_of(word):  # type: ignore[no-untyped-def]
    """A number in [0, 1) from the upper 53 bits of a word."""
    return (word >> _TOP) * _SHARE


@_outer
def fill(seed, event, entity, step, out):  # type: ignore[no-untyped-def]
    """out[n] in [0, 1) for entity[n] at step[n]."""
    for n in range(out.size):
        word, _, _, _ = four_words(seed, event, entity[n], step[n], np.uint64(0))
        out[n] = share_of(word)
