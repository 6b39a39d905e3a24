"""Who bears what a plan leaves: by zone and by vulnerable group, per 1,000 of those who are there, and how unequally."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.decision.limits import OUTSIDE
from tocsin.decision.outcomes import Outcomes
from tocsin.decision.setting import Setting
from tocsin.decision.standing import Standing, mean
from tocsin.science.choice import gini
from tocsin.vocabulary import Borne, PlanScore

Floats = NDArray[np.float64]
ALIKE_PER_1000 = 1.0  # less is not told: a person in a thousand
TELLING_PERSONS = 0.5


def borne_by_zone(standing: Standing, setting: Setting, k: int) -> tuple[Borne, ...]:
    """Whom a plan leaves in danger in each zone, worst off first."""
    outcomes = standing.outcomes
    return _borne(standing, outcomes.zones, outcomes.by_zone, setting.zone_people, k)


def borne_by_group(standing: Standing, setting: Setting, k: int) -> tuple[Borne, ...]:
    """Whom a plan leaves in danger of each vulnerable group, worst off first."""
    outcomes = standing.outcomes
    return _borne(standing, outcomes.groups, outcomes.by_group, setting.group_people, k)


def _borne(standing: Standing, names: tuple[str, ...], split: Floats, people: Floats | None, k: int) -> tuple[Borne, ...]:
    if people is None:
        return ()
    rows = []
    for number, name in enumerate(names):
        persons = max(0.0, standing.of(split[:, :, number], k, mean, name=name))
        there = float(people[number])
        rows.append(Borne(name, persons, there, 1000.0 * persons / there if there > 0 else None))
    return tuple(sorted(rows, key=lambda row: (-(row.per_1000 or 0.0), row.name)))


def inequality(zones: tuple[Borne, ...]) -> float | None:
    """The Gini index of harm per person between the zones where somebody is."""
    lived = [zone for zone in zones if zone.per_1000 is not None]
    return gini(np.array([zone.persons / zone.of for zone in lived]), np.array([zone.of for zone in lived])) if lived else None


def _few(amount: float | None) -> str:
    """A number of persons; of less than ten also its parts, since a few in 1,000 are not none.

    >>> _few(701.2), _few(0.0364), _few(0.0)
    ('701', '0.036', '0')
    """
    if amount is None:
        return "an unknown number of"
    return f"{amount:,.0f}" if amount >= 10.0 or amount == 0.0 else f"{amount:.2g}"


def equity_words(scores: tuple[PlanScore, ...], outcomes: Outcomes, setting: Setting) -> str:
    """The line on equity that stands in every table: who bears most, who fares worse than with the runner-up, and what is not known."""
    first, *others = scores
    if setting.zone_people is None:
        return "Who bears what is left is not told: nothing was said of who lives where."
    if not setting.zone_people.sum() > 0:
        return "Nobody is in any zone at this hour, so nobody bears anything."
    told = [zone for zone in first.zones if zone.persons >= TELLING_PERSONS and zone.per_1000 is not None]
    if not told:
        words = f"There are no {setting.harmed} in any zone."
    else:
        worst, everyone = told[0], first.harm.mean / float(setting.zone_people.sum()) * 1000.0
        words = f"{_place(worst)} bears most: {_few(worst.per_1000)} {setting.harmed} of 1,000 who are there, {_few(everyone)} of 1,000 in all"
        words += f" (inequality between zones {first.gini:.2f} of 1)." if first.gini is not None else "."
    groups = [group for group in first.groups if group.persons >= TELLING_PERSONS]
    if groups:
        words += f" Of vulnerable groups stay {', '.join(f'{g.persons:,.0f} {g.name}' for g in groups)}."
    elif not outcomes.groups:
        words += " Vulnerable groups are not told apart."
    if others and (worse := _worse_than(first, others[0])):
        words += f" There are more {setting.harmed} than with {others[0].plan!r} in {', '.join(worse)}."
    return words


def _worse_than(first: PlanScore, second: PlanScore) -> list[str]:
    there = {zone.name: zone for zone in second.zones}
    more = [
        (zone, zone.per_1000 - (there[zone.name].per_1000 or 0.0))
        for zone in first.zones
        if zone.per_1000 is not None and zone.name in there
    ]
    return [f"{_place(zone)} ({by:+,.0f} of 1,000)" for zone, by in sorted(more, key=lambda m: -m[1]) if by >= ALIKE_PER_1000][:3]


def _place(zone: Borne) -> str:
    return f"the area {zone.name}" if zone.name == OUTSIDE else zone.name
