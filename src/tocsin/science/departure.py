"""When people set out: a warning spreads, some of those it reaches decide to go, and it takes them time to get ready.

Three steps, each a share over time (0..1), after the timeline of LifeSim (USACE Risk Management Center, LifeSim Technical Reference Manual,
2026, ch. "Warning and Protective Action Parameters": first alert diffusion, then protective action initiation). Shares are of all people in the
place. The curves are convolved: who hears later leaves later.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

STEP_S = 60.0


class Spreading(msgspec.Struct, frozen=True):
    """How a warning spreads: by broadcast to those who hear it at once, and from person to person by those who have heard it.

    dn/dt = (broadcast + contagion n) (reach - n), the broadcast and contagion process of Rogers & Sorensen 1988 (The Environmental
    Professional 10:281-294) with their two parts written as one rate each; it is the equation of Bass 1969 (Management Science 15:215-227),
    whose solution is used. The defaults are `unverified`: 0.5 and 1 an hour reach half of all in about an hour and nine tenths of the reach in
    three; `reach` 0.88 is what was measured at Oroville in 2017, 86 to 89 % (Sorensen et al. 2018, as the LifeSim manual cites it, where most
    had heard within six hours).
    """

    broadcast_per_h: float = 0.5
    contagion_per_h: float = 1.0
    reach: float = 0.88
    source: str = "Rogers & Sorensen 1988 (form); rates unverified; reach Sorensen et al. 2018, Oroville"
    unverified: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.broadcast_per_h < np.inf and 0 <= self.contagion_per_h < np.inf and 0 < self.reach <= 1):
            raise InputError(
                f"spreading: broadcast {self.broadcast_per_h} and contagion {self.contagion_per_h} an hour, reach {self.reach}; "
                "wanted a broadcast above 0, a contagion of 0 or more, a reach above 0 and at most 1"
            )

    def share(self, time_s: ArrayLike) -> Floats:
        """The share of all people that the warning has reached, after it was given out."""
        t = np.maximum(np.asarray(time_s, np.float64), 0.0) / 3600.0
        p, q = self.broadcast_per_h, self.contagion_per_h * self.reach
        fading = np.exp(-(p + q) * t)
        return np.asarray(self.reach * (1.0 - fading) / (1.0 + q / p * fading))


class Readiness(msgspec.Struct, frozen=True):
    """How long people take from hearing that they should go until they go, and how many ever go.

    P(t) = go (1 - exp(-a t^b)), the function of Lindell that LifeSim uses (Technical Reference Manual, eq. 9), given by its median;
    b = 2 is the Rayleigh curve of Tweedie et al. 1986 (Social Science Journal 23:189-204). At Oroville in 2017 the delay of most was two to three
    hours and 67 to 68 % of the people left (Sorensen et al. 2018, in the same manual): of the 88 % who had heard, 77 %. The median of 2.5 h
    is the middle of that span; b = 2 is Tweedie's form, and neither was read in the primary source: `unverified`.
    Where people see the water come they are quicker, and in a hurricane announced days before they are slower by far.
    """

    median_s: float = 2.5 * 3600.0
    shape: float = 2.0
    go: float = 0.77
    source: str = (
        "Lindell's function in the LifeSim manual, eq. 9; Oroville 2017, Sorensen et al. 2018; shape Tweedie et al. 1986"
    )
    unverified: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.median_s < np.inf and 0 < self.shape <= 20 and 0 < self.go <= 1):
            raise InputError(
                f"readiness: median {self.median_s} s, shape {self.shape}, {self.go} go; wanted a median above 0, a shape in 0..20 and a share of 0..1"
            )

    def share(self, time_s: ArrayLike) -> Floats:
        """The share of those who were told that has left, after they were told."""
        t = np.maximum(np.asarray(time_s, np.float64), 0.0)
        return np.asarray(self.go * -np.expm1(-np.log(2.0) * (t / self.median_s) ** self.shape))


class Curve(msgspec.Struct, frozen=True):
    """The share of a place's people who have set out, by time: rises, linear between the points, flat outside."""

    time_s: Floats
    share: Floats

    def at(self, time_s: ArrayLike) -> Floats:
        """The share at a time."""
        return np.asarray(np.interp(np.asarray(time_s, np.float64), self.time_s, self.share))

    def when(self, share: ArrayLike) -> Floats:
        """When a share has set out; +inf for shares that never do."""
        asked = np.asarray(share, np.float64)
        found = np.interp(asked, self.share, self.time_s)
        return np.where(asked <= self.share[-1], found, np.inf)


NOBODY = Curve(np.array([0.0]), np.array([0.0]))


def warned(start_s: float, until_s: float, spreading: Spreading, readiness: Readiness, *, amount: float = 1.0) -> Curve:
    """Who sets out of themselves after a warning at `start_s`: those whom it reaches, when they are ready. `amount` is the share it is meant for."""
    span = max(until_s - start_s, STEP_S)
    time_s = np.arange(0.0, span + STEP_S, STEP_S)
    heard = np.diff(spreading.share(time_s), prepend=0.0)
    left = np.convolve(heard, readiness.share(time_s))[: time_s.size]
    return Curve(start_s + time_s, amount * left)


def led(start_s: float, end_s: float, *, amount: float = 1.0, gradual: bool = True) -> Curve:
    """Who is led out by crews that go from door to door: evenly from start to end, or all at its end."""
    if not gradual or end_s <= start_s:
        return Curve(np.array([end_s, end_s + STEP_S]), np.array([0.0, amount]))
    return Curve(np.array([start_s, end_s]), np.array([0.0, amount]))


def either(curves: list[Curve]) -> Curve:
    """Who has set out for any of several reasons that know nothing of each other: 1 - the product of those who have not."""
    if not curves:
        return NOBODY
    if len(curves) == 1:
        return curves[0]
    time_s = np.unique(np.concatenate([c.time_s for c in curves]))
    stay = np.prod([1.0 - c.at(time_s) for c in curves], axis=0)
    return Curve(time_s, np.maximum.accumulate(1.0 - stay))
