"""What a contact counts: minutes, weighted by how near it was and how infectious the other was then, summed over a day.

The form is that of GAEN's daily summaries (Google, exposure-notifications-internals, DailySummaryUtils): seconds in four classes of attenuation, each
with a weight, times a weight for infectiousness. The numbers come from `risk.toml`, with their sources. Attenuation tells distance badly: on a tram three national rules found
contacts no better than by lot (Leith and Farrell 2020, PLoS ONE 15(9), e0239943); so a status is a hint and no finding.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np

from tocsin.science.agents import Disease
from tocsin.science.diseases import COVID_2020
from tocsin.science.infectiousness import infectiousness_by_day, passes_on_until_d
from tocsin.vocabulary.errors import InputError

HIGH_FROM, STANDARD_FROM = 0.5, 0.1  # of the most infectious day: where classes end is a choice of Tocsin (unverified)
REMEMBERED_D = 14  # days that a phone keeps what it heard, as GAEN has it
SCAN_S_MOST = 600.0  # one sighting is at most one interval


class Risk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters. `unverified` names those that no publication gives; a status that rests on one says so."""

    disease: str
    source: str
    unverified: tuple[str, ...]
    attenuation_db: tuple[float, float, float]
    attenuation_weight: tuple[float, float, float, float]
    standard_days: tuple[int, ...]
    high_days: tuple[int, ...]
    standard_weight: float
    high_weight: float
    infectiousness_unknown: float
    counts_days: int
    yellow_from_min: float
    red_from_min: float
    venue_yellow_from_min: float
    valid_h: float
    stale_after_h: float
    appeal_within_h: float

    def __post_init__(self) -> None:
        weights = (*self.attenuation_weight, self.standard_weight, self.high_weight, self.infectiousness_unknown)
        spans = (self.valid_h, self.stale_after_h, self.appeal_within_h, self.venue_yellow_from_min)
        sound = (
            list(self.attenuation_db) == sorted(self.attenuation_db)
            and all(0 <= w <= 10 for w in weights)
            and 0 < self.yellow_from_min <= self.red_from_min
            and all(0 < span <= 14 * 24 for span in spans)
            and 1 <= self.counts_days <= REMEMBERED_D
            and not set(self.standard_days) & set(self.high_days)
            and set(self.unverified) <= set(self.__struct_fields__)
        )
        if not sound:
            raise InputError(
                "risk parameters: wanted rising thresholds, weights of 0 to 10, 0 < yellow <= red, spans of up to 14 days, 1 to 14 days for which a contact counts, each day in one "
                "class, and in `unverified` only names of parameters"
            )

    def minutes(self, *, seconds: float, attenuation_db: float, days_since_onset: int | None) -> float:
        """The weighted minutes of one sighting.

        >>> own_risk().minutes(seconds=600, attenuation_db=50, days_since_onset=0)
        17.5
        """
        if not 0 <= seconds <= SCAN_S_MOST:
            raise InputError(f"sighting: {seconds} s; wanted 0 to {SCAN_S_MOST:g}")
        near = next((n for n, most in enumerate(self.attenuation_db) if attenuation_db <= most), len(self.attenuation_db))
        return seconds / 60 * self.attenuation_weight[near] * self.infectiousness(days_since_onset)

    def infectiousness(self, days_since_onset: int | None) -> float:
        """The weight of the day on which it was."""
        if days_since_onset is None:
            return self.infectiousness_unknown
        if days_since_onset in self.high_days:
            return self.high_weight
        return self.standard_weight if days_since_onset in self.standard_days else 0.0


def of_disease(disease: Disease) -> dict[str, Any]:
    """What a disease says of a contact: the days around the first symptoms in two classes, what each weighs, and for how many days a contact counts.

    Each class weighs as its days do on the average, beside the high ones. A contact counts as long as somebody whom it infected may infect others, as
    far as a phone remembers.
    """
    days = np.arange(-REMEMBERED_D, REMEMBERED_D + 1)
    told = infectiousness_by_day(disease, days)
    high, standard = told >= HIGH_FROM, (told >= STANDARD_FROM) & (told < HIGH_FROM)
    weight = round(float(told[standard].mean() / told[high].mean()), 2) if standard.any() else 0.0
    return {
        "disease": disease.name,
        "standard_days": days[standard].tolist(),
        "high_days": days[high].tolist(),
        "standard_weight": weight,
        "high_weight": 1.0,
        "infectiousness_unknown": weight,  # the day of onset was not told: counted as standard
        "counts_days": min(REMEMBERED_D, passes_on_until_d(disease)),
    }


def read_risk(text: str, *, where: str, disease: Disease = COVID_2020) -> Risk:
    """The parameters of a TOML file; what it does not say of the disease is as `disease` has it. Raises InputError that says what is missing or wrong."""
    try:
        given = tomllib.loads(text)
        return msgspec.convert(of_disease(disease) | given, Risk)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise InputError(f"{where}: {fault}; wanted the parameters of security/exposure/risk.toml") from fault


def own_risk(disease: Disease = COVID_2020) -> Risk:
    """The parameters that come with Tocsin, for a disease."""
    file = files("tocsin.security.exposure") / "risk.toml"
    return read_risk(file.read_text(encoding="utf-8"), where=str(file), disease=disease)
