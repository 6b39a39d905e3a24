"""What a plan against an epidemic may ask: reported cases, beds, R_t, deaths."""

from __future__ import annotations

from tocsin.pack import FactKind
from tocsin.packs.epidemic.quantities import CASES

INF = float("inf")
FACTS = (
    FactKind(
        "new_cases_per_d",
        "persons/d",
        "",
        0.0,
        INF,
        "cases reported on the last day",
        course="new_cases_per_d",
        observed=CASES.name,
    ),
    FactKind("beds_taken", "persons", "", 0.0, INF, "people in hospital beds", course="beds_taken"),
    FactKind("icu_taken", "persons", "", 0.0, INF, "people in intensive care", course="icu_taken"),
    FactKind("deaths", "persons", "", 0.0, INF, "deaths since the start", course="deaths"),
    FactKind(
        "r_t", "", "", 0.0, INF, "how many each case infects, over the last week; 0 where too few cases tell it", course="r_t"
    ),
)
