"""Past wildfires: what was seen, what it cost, who says so."""

from __future__ import annotations

from tocsin.pack import Case

CASES = (
    Case(
        "Camp Fire, Paradise",
        "2018-11-08",
        "CAL FIRE incident report (burnt area, deaths, structures); NIST TN 2135 on how it went. Compiled from these reports, which were not opened again",
        {"burnt_ha": 62_053.0},  # 153,336 acres
        {"deaths": 85.0, "buildings": 18_804.0},
        (
            "an electric transmission line started it: power shut off in time would have",
            "the evacuation plan assumed one or a few zones at a time",
            "few streets out: simulate contraflow beforehand",
            "alerts to an opt-in list reached a minority",
        ),
        strategies=("evacuate", "cut firebreaks and evacuate"),
    ),
    Case(
        "Lahaina fire, Maui",
        "2023-08-08",
        "Maui Fire Department and ATF, joint report 2024. Compiled from it, which was not opened again; medium confidence",
        {},
        {"deaths": 102.0},
        (
            "a broken line that was put under power again started it, and it came back after it was thought out",
            "outdoor sirens were not used",
            "water pressure was lost as burnt houses leaked",
        ),
        strategies=("evacuate",),
    ),
)
