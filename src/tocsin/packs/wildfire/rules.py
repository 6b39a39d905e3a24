"""When to warn of a wildfire: dangerous weather, lightning on dry ground, a fire that a satellite or a camera sees."""

from __future__ import annotations

from tocsin.pack import Limits, Rule, accumulation, threshold
from tocsin.packs.wildfire.quantities import FIRE_CONFIDENCE, FIRE_WEATHER_INDEX, LIGHTNING, SMOKE
from tocsin.vocabulary import Level

# Read on EFFIS's own page (forest.jrc.ec.europa.eu/effis, fire danger forecast: very low < 5.2, low to 11.2, moderate to 21.3, high to 38.0, very high to 50.0,
# extreme). Made for Europe, above all its south; the colours are ours. So it may not warn the public by itself elsewhere.
EFFIS = "European Forest Fire Information System, fire danger classes: moderate from 11.2, high 21.3, very high 38.0, extreme 50.0; Europe"
FIRE_WEATHER_DANGEROUS: Rule = threshold(
    "fire_weather_dangerous",
    FIRE_WEATHER_INDEX,
    Limits({Level.BLUE: 11.2, Level.YELLOW: 21.3, Level.ORANGE: 38.0, Level.RED: 50.0}, "1", EFFIS),
    max_age_s=36 * 3600.0,
    meaning="a fire that starts today spreads fast and is hard to stop",
)

FIRE_SEEN_FROM_SPACE: Rule = threshold(
    "fire_seen_from_space",
    FIRE_CONFIDENCE,
    Limits(
        {Level.YELLOW: 30.0, Level.ORANGE: 80.0},
        "%",
        "unverified; as users of FIRMS quote the MODIS guide: nominal confidence from 30 %, high from 80 %",
    ),
    max_age_s=12 * 3600.0,
    meaning="a satellite sees a fire, or a hot roof or a glint of the sun",
)

LIGHTNING_STRIKES: Rule = accumulation(
    "lightning_strikes",
    LIGHTNING,
    {
        1.0: Limits(
            {Level.YELLOW: 1.0, Level.ORANGE: 20.0},
            "1",
            "unverified: any stroke may start a fire that is seen hours or days later",
        )
    },
    interval_s=300.0,
    max_age_s=1800.0,
    meaning="lightning has struck in the last hour and may have set something alight",
)

SMOKE_SEEN: Rule = threshold(
    "smoke_seen",
    SMOKE,
    Limits({Level.YELLOW: 0.5, Level.ORANGE: 0.9}, "1", "unverified: what a detector calls likely and almost sure"),
    max_age_s=900.0,
    min_readings=2,
    persistence_s=60.0,
    meaning="a camera or a detector sees smoke, and saw it before",
)
