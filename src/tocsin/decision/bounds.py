"""By how much one plan can leave more people in danger than another, whatever the hazard does: told before any run of it.

A plan that lets the hazard be acts through when the people of each zone have left. If under one plan nobody leaves later than under another, no
flood makes it the worse one; and if at any moment at most a tenth more of a zone's people are still there, it leaves at most a tenth more of
those who would be in danger if nobody left. So plans that are variants of each other need few runs, or none, to be told apart for sure.

Valid for plans that do not act on the hazard, where people leave by shares and ramps, and in futures in which the plan asks for nothing that only a run
can tell. Nothing is claimed of all others: there the bound is all people.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.interpret import Course
from tocsin.decision.trial import leaving
from tocsin.pack import Plan

Floats = NDArray[np.float64]


class Leaving(msgspec.Struct, frozen=True):
    """One effect that lets people leave, in each future: which share of whom, from when to when; all (future,), share 0 where it is not done."""

    target: str
    share: Floats
    begin_s: Floats
    end_s: Floats

    def stay(self, at_s: Floats, *, before: bool = False) -> Floats:
        """The share of people who are still there at moments (future, moment); `before` them, where they leave at once."""
        begin, end = self.begin_s[:, None], self.end_s[:, None]
        at_once = end <= begin
        length = np.where(at_once, 1.0, end - begin)
        gone = np.where(at_once, (at_s > end) | ((at_s == end) & (not before)), np.clip((at_s - begin) / length, 0.0, 1.0))
        return np.asarray(1.0 - self.share[:, None] * gone)


def leavings(plan: Plan, courses: Sequence[Course]) -> tuple[Leaving, ...]:
    """How people leave under a plan, by the courses that it takes in all futures."""
    made = []
    for number, action in enumerate(plan.actions):
        done = [course.done[number] for course in courses]
        for effect in action.effects:
            times = [leaving(action, effect, d) for d in done]
            if any(times):
                share, begin_s, end_s = np.array([t or (0.0, 0.0, 0.0) for t in times]).T
                made.append(Leaving(effect.target, share, begin_s, end_s))
    return tuple(made)


def stays_longer(more: Sequence[Leaving], less: Sequence[Leaving]) -> float:
    """The most by which the share of people who are still there is higher under the first than under the second: at any moment, anywhere, 0 to 1.

    Exact where at most one ramp runs at a time; where several do, never too low: between two moments at which a ramp begins or ends
    both shares are polynomials, and a polynomial is nowhere above its highest Bernstein coefficient.
    """
    targets = {effect.target for effect in (*more, *less)} | {""}  # "": a zone that no action names
    return max(_in_one_zone(_of(more, target), _of(less, target)) for target in sorted(targets))


def _of(effects: Sequence[Leaving], target: str) -> list[Leaving]:
    return [effect for effect in effects if effect.target in ("all", target)]


def _in_one_zone(more: Sequence[Leaving], less: Sequence[Leaving]) -> float:
    moments = [at for effect in (*more, *less) for at in (effect.begin_s, effect.end_s)]
    if not moments:
        return 0.0
    at_s = np.sort(np.column_stack(moments), axis=1)
    degree = max(len(more), len(less))
    highest = float((_bernstein(more, at_s, degree) - _bernstein(less, at_s, degree)).max(initial=0.0))
    after = np.full((at_s.shape[0], 1), np.inf)
    stay_more, stay_less = (np.prod([e.stay(after) for e in effects], axis=0) if effects else 1.0 for effects in (more, less))
    return max(0.0, highest, float(np.max(stay_more - stay_less)))


def _bernstein(effects: Sequence[Leaving], at_s: Floats, degree: int) -> Floats:
    """Bernstein coefficients, (future, moment - 1, degree + 1), of who stays between each two moments: a product of linear shares.

    The product of two polynomials in this basis is the convolution of their coefficients times binomials (Farouki & Rajan 1988, Computer Aided
    Geometric Design 5:1-26, eq. 44).
    """
    shape = (at_s.shape[0], at_s.shape[1] - 1)
    scaled = np.ones((*shape, 1))
    for number in range(degree):
        if number < len(effects):
            first, last = effects[number].stay(at_s[:, :-1]), effects[number].stay(at_s[:, 1:], before=True)
        else:
            first = last = np.ones(shape)
        nothing = np.zeros((*shape, 1))
        scaled = np.concatenate([scaled * first[..., None], nothing], axis=-1) + np.concatenate(
            [nothing, scaled * last[..., None]], axis=-1
        )
    return np.asarray(scaled / np.array([comb(degree, k) for k in range(degree + 1)]))
