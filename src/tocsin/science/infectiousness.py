"""On which days around the first symptoms somebody infects others, and until when an infection can still be passed on after a contact.

COVID-19: He et al. 2020, Nature Medicine 26:672-675, with the Author Correction of August 2020: infectiousness is gamma distributed in time, shape
20.516508, rate 1.592124 a day, from 12.272481 days before the first symptoms on (77 pairs, early 2020; the first publication had another curve, which
Ashcroft et al. 2020, Swiss Med Wkly 150:w20336, showed to be wrong). Where no curve is published for a disease: nothing before it becomes infectious,
then the chance that its course lasts so long, as the disease's own numbers have it.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science.agents import Disease
from tocsin.science.diseases import COVID_2020
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]
AROUND_D = 40


class Curve(msgspec.Struct, frozen=True):
    """Infectiousness in time: a gamma distribution that begins `before_d` days before the first symptoms."""

    shape: float
    rate_per_d: float
    before_d: float
    source: str


HE_2020 = Curve(20.516508, 1.592124, 12.272481, "He et al. 2020, Nature Medicine 26:672-675, with its Author Correction")
CURVES = {COVID_2020.name: HE_2020}


def infectiousness_by_day(disease: Disease, days: NDArray[np.int64]) -> Floats:
    """How infectious somebody is on days counted from the first symptoms (0), beside the most infectious day (1), shape (day,).

    A day is the 24 hours around its noon.
    >>> infectiousness_by_day(COVID_2020, np.array([-3, 0, 4])).round(2).tolist()
    [0.5, 1.0, 0.43]
    """
    if np.abs(days).max(initial=0) > AROUND_D:
        raise InputError(f"infectiousness: days {days.min()}..{days.max()} from the first symptoms; wanted within {AROUND_D}")
    all_days = np.arange(-AROUND_D, AROUND_D + 1)
    curve = CURVES.get(disease.name)
    if curve is not None:
        from scipy.stats import gamma

        edges = np.r_[all_days - 0.5, AROUND_D + 0.5] + curve.before_d
        told = np.diff(gamma.cdf(edges, curve.shape, scale=1.0 / curve.rate_per_d))
    else:
        since = all_days + round(disease.to_symptoms.mean_d)  # days since it became infectious
        lasts = 1.0 - np.r_[0.0, disease.end_mild.at_most()]  # the chance that it lasts longer than so many days
        told = np.where(since >= 0, lasts[np.clip(since, 0, lasts.size - 1)], 0.0)
    return np.asarray((told / told.max())[days + AROUND_D])


def passes_on_until_d(disease: Disease) -> int:
    """Whole days after an infection in which it is passed on: latent and then infectious, the means of the disease, of the longer of the mild courses."""
    course = max(disease.end_silent.mean_d, disease.to_symptoms.mean_d + disease.end_mild.mean_d)
    return int(np.ceil(disease.latent.mean_d + course))
