"""Past releases: what was seen, what it cost, who says so. None of these sources tells enough to be played again."""

from __future__ import annotations

from tocsin.pack import Case

CASES: tuple[Case, ...] = (
    Case(
        "Bhopal",
        "1984-12-03",
        "Government of Madhya Pradesh; Broughton 2005, Environ. Health 4:6, doi:10.1186/1476-069X-4-6",
        {"methyl_isocyanate_t": 40.0},
        {"deaths_official_initial": 2_259.0, "exposed_at_least": 500_000.0},
        (
            "scrubber, flare and refrigeration were out of service at once: look for a common cause",
            "nobody warned the public or told it what to do against this gas",
        ),
        strategies=("shelter and stop the leak",),
    ),
    Case(
        "Tianjin Ruihai warehouse",
        "2015-08-12",
        "State Council investigation report, February 2016",
        {"ammonium_nitrate_t": 800.0},
        {"deaths": 165.0, "missing": 8.0, "injured": 798.0},
        (
            "those who were sent in did not know what was stored: the inventory must be readable from outside",
            "more was stored than permitted: compare what is declared with what is seen",
        ),
    ),
    Case(
        "Xiangshui Tianjiayi",
        "2019-03-21",
        "State Council investigation report, November 2019",
        {},
        {"deaths": 78.0, "serious_injuries": 76.0},
        ("a store of hazardous waste belongs in the register of risks as tanks do",),
    ),
)
