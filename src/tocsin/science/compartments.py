"""An epidemic of compartments: susceptible, exposed, infectious, in hospital, recovered, dead, in groups that meet; the fast twin of the agents.

dS/dt = -S (M I), dE/dt = S (M I) - E / latent, dI/dt = E / latent - I / infectious, and of those who leave I a share goes to hospital, from where
some die. Source: Kermack & McKendrick 1927, Proc. R. Soc. A 115:700-721; Keeling & Rohani 2008, Modeling Infectious Diseases, ch. 2-3 (stages, groups).
Exact for large groups that mix at random, with waits of exponential length. Where people meet the same few at home and at work, and some are easier
to infect than others, an outbreak uses up its people faster than that: `depletion` is the power of the susceptible share that says so, d S / d t =
-N (S / N)^depletion (M I) / N. Source: Stroud et al. 2006, Math Biosci 203:301-318 (fitted to agents of a city); Novozhilov 2008, Math Biosci
215:177-185 (exact where susceptibility is gamma distributed with shape k: depletion 1 + 1 / k).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
S, E, I, H, R, D, INFECTED, SEVERE = range(8)  # noqa: E741 (the field's own letters)
ROWS = 8
DEPLETION_MOST = 20.0
STEP_D = 0.25  # days; halving it changes the course of COVID-19 by less than 1e-6 of the people (a test holds it)


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """How long each stage lasts, days, and which share goes on, (group,) or one number for all."""

    latent_d: float
    infectious_d: float
    hospital_d: float
    severe: Floats
    dying: Floats  # of those in hospital

    def __post_init__(self) -> None:
        if not min(self.latent_d, self.infectious_d, self.hospital_d) > 0:
            raise InputError("compartments: a stage of 0 days; wanted more than 0")
        if not all(((v >= 0) & (v <= 1)).all() for v in (self.severe, self.dying)):
            raise InputError("compartments: shares outside 0..1")


class Flow(msgspec.Struct, frozen=True):
    """What came: the state at each day's end, (day, row, group), rows S E I H R D and, cumulated, all infected and all severe."""

    state: Floats

    def daily(self, row: int) -> Floats:
        """What a cumulated row grew by on each day, (day, group)."""
        return np.diff(self.state[:, row], axis=0, prepend=0.0)


def spread_in_groups(
    people: Floats,
    seeds: Floats,
    meeting: Floats,
    stages: Stages,
    factor: Floats,
    imported: Floats,
    *,
    depletion: float = 1.0,
    step_d: float = STEP_D,
) -> Flow:
    """Day by day. `meeting` (group, group): infections that one infectious of the second causes a day in a wholly susceptible first.

    `factor` (day, group, group) multiplies it (1: nothing is done), `imported` (day, group) are persons infected elsewhere. Fourth-order Runge-Kutta.
    """
    if not 0.0 < depletion <= DEPLETION_MOST:
        raise InputError(
            f"compartments: depletion {depletion}; wanted above 0 and at most {DEPLETION_MOST:g}, 1 where all mix at random"
        )
    groups = people.size
    if meeting.shape != (groups, groups) or (meeting < 0).any():
        raise InputError(f"compartments: meeting {meeting.shape}; wanted {(groups, groups)}, none below 0")
    if (seeds > people).any() or (people < 0).any():
        raise InputError("compartments: more seeds than people in a group")
    steps = max(1, round(1.0 / step_d))
    dt = 1.0 / steps
    state = np.zeros((ROWS, groups))
    state[S], state[E], state[INFECTED] = people - seeds, seeds, seeds
    out = np.zeros((factor.shape[0], ROWS, groups))
    per_head = np.divide(1.0, people, out=np.zeros(groups), where=people > 0)

    def rate(y: Floats, m: Floats, coming: Floats) -> Floats:
        left = np.maximum(y[S], 0.0)
        catching = people * (left * per_head) ** depletion * (m @ y[I]) * per_head
        abroad = np.minimum(coming, left)
        ill, leave, out_of_bed = y[E] / stages.latent_d, y[I] / stages.infectious_d, y[H] / stages.hospital_d
        severe = stages.severe * leave
        return np.stack(
            [
                -catching - abroad,
                catching + abroad - ill,
                ill - leave,
                severe - out_of_bed,
                leave - severe + (1.0 - stages.dying) * out_of_bed,
                stages.dying * out_of_bed,
                catching + abroad,
                severe,
            ]
        )

    for day in range(factor.shape[0]):
        m = meeting * factor[day]
        coming = imported[day]
        for _ in range(steps):
            k1 = rate(state, m, coming)
            k2 = rate(state + dt / 2.0 * k1, m, coming)
            k3 = rate(state + dt / 2.0 * k2, m, coming)
            k4 = rate(state + dt * k3, m, coming)
            state = state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        out[day] = state
    return Flow(out)


def depletion_of(r0: float, size: float) -> float:
    """The power of the susceptible share with which an epidemic of reproduction number `r0` ends at this share of the people.

    From d s / d r = -r0 s^power: (s^(1 - power) - 1) / (power - 1) = r0 (1 - s). Source: as the module's.
    >>> round(depletion_of(2.0, final_size(2.0)), 6)
    1.0
    """
    if not (r0 > 1.0 and 0.0 < size < 1.0):
        raise InputError(f"depletion: R0 {r0}, final size {size}; wanted R0 above 1 and a share between 0 and 1")
    from scipy.optimize import brentq

    log_s = np.log1p(-size)

    def short(power: float) -> float:
        below = power - 1.0
        return float((np.expm1(-below * log_s) / below if abs(below) > 1e-9 else -log_s) - r0 * size)

    if short(0.0) * short(DEPLETION_MOST) > 0:
        raise InputError(f"depletion: no power up to {DEPLETION_MOST:g} joins R0 {r0} to a final size of {size}")
    return float(brentq(short, 0.0, DEPLETION_MOST, xtol=1e-12))


def final_size(r0: float, susceptible: float = 1.0) -> float:
    """The share of people infected in the end, where all mix at random: the z of z = s (1 - exp(-R0 z)).

    Source: Kermack & McKendrick 1927; in closed form by the Lambert function, Ma & Earn 2006, Bull Math Biol 68:679-702.
    >>> round(final_size(2.0), 6)
    0.796812
    """
    from scipy.special import lambertw

    if not (r0 >= 0 and 0 <= susceptible <= 1):
        raise InputError(f"final size: R0 {r0}, susceptible {susceptible}; wanted R0 >= 0 and a share")
    if r0 * susceptible <= 1.0:
        return 0.0
    a = r0 * susceptible
    return float(susceptible * (1.0 + lambertw(-a * np.exp(-a)).real / a))
