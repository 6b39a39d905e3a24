"""Chance by name for many things at once: u = hash(seed, event, entity, step), so that a plan changes only what it touches.

A number belongs to its key and to nothing else: not to how many were drawn before, not to the order, not to the number of threads. It is a
counter-based generator: no state, a key and a counter are mixed until nothing of them can be seen.
Source: Salmon, Moraes, Dror & Shaw 2011, Parallel random numbers: as easy as 1, 2, 3 (SC11), Philox4x64-10; passes BigCrush by their table 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.science.sampling import key_of

if TYPE_CHECKING:
    from collections.abc import Callable

Words = NDArray[np.uint64]

ROUNDS = 10
MULTIPLY_A, MULTIPLY_B = 0xD2E7470EE14C6C93, 0xCA5A826395121157
WEYL_A, WEYL_B = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B


def keyed_uniforms(seed: int, event: str, entity: ArrayLike, step: ArrayLike = 0) -> NDArray[np.float64]:
    """Numbers in [0, 1), each of an entity (a whole number, 0 or more) at a step; the two are broadcast against each other.

    53 random bits each, as numpy.random.Generator.random makes them.
    >>> all_three = keyed_uniforms(7, "hears the siren", [0, 1, 2])
    >>> bool(keyed_uniforms(7, "hears the siren", 2) == all_three[2])
    True
    """
    entities, steps = np.broadcast_arrays(np.asarray(entity, np.uint64), np.asarray(step, np.uint64))
    out = np.empty(entities.size, np.float64)
    _kernel()(
        np.uint64(seed & 0xFFFFFFFFFFFFFFFF),
        np.uint64(key_of(event)),
        np.ascontiguousarray(entities).reshape(-1),
        np.ascontiguousarray(steps).reshape(-1),
        out,
    )
    return out.reshape(entities.shape)


def philox(counter: Words, key: Words) -> Words:
    """Philox4x64-10 of counters (n, 4) under one key (2,), as (n, 4): the plain version, in NumPy, that the fast one is held to."""
    c = [counter[:, k].copy() for k in range(4)]
    k0, k1 = int(key[0]), int(key[1])
    for number in range(ROUNDS):
        round_0, round_1 = ((k + number * w) & 0xFFFFFFFFFFFFFFFF for k, w in ((k0, WEYL_A), (k1, WEYL_B)))
        (high_0, low_0), (high_1, low_1) = _wide(c[0], MULTIPLY_A), _wide(c[2], MULTIPLY_B)
        c = [high_1 ^ c[1] ^ np.uint64(round_0), low_1, high_0 ^ c[3] ^ np.uint64(round_1), low_0]
    return np.column_stack(c)


def _wide(a: Words, b: int) -> tuple[Words, Words]:
    """The upper and the lower 64 bits of a product of 64-bit numbers, from four products of halves."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a_low, a_high = a & mask, a >> half
    b_low, b_high = np.uint64(b & 0xFFFFFFFF), np.uint64(b >> 32)
    low, cross_1, cross_2 = a_low * b_low, a_high * b_low, a_low * b_high
    middle = (low >> half) + (cross_1 & mask) + (cross_2 & mask)
    return a_high * b_high + (cross_1 >> half) + (cross_2 >> half) + (middle >> half), a * np.uint64(b)


@lru_cache(maxsize=1)
def _kernel() -> Callable[..., Any]:
    """The fast version, compiled when it is first asked for and kept on disk."""
    from tocsin.science.keyed_steps import fill

    return fill
