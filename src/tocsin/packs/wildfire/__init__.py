"""Wildfires: what is measured, when to warn, how fire spreads, what it burns and darkens, what to do, and what was learnt."""

from __future__ import annotations

from tocsin.pack import Pack, PublicWords
from tocsin.packs.wildfire.cases import CASES
from tocsin.packs.wildfire.chain import CHAIN
from tocsin.packs.wildfire.facts import FACTS
from tocsin.packs.wildfire.harm import HARM
from tocsin.packs.wildfire.model import FIRE_SPREADS
from tocsin.packs.wildfire.outlook import outlook
from tocsin.packs.wildfire.plans import options, plans
from tocsin.packs.wildfire.quantities import (
    AIR_TEMPERATURE,
    FIRE_CONFIDENCE,
    FIRE_POWER,
    FIRE_WEATHER_INDEX,
    LIGHTNING,
    RAIN_AMOUNT,
    RELATIVE_HUMIDITY,
    SMOKE,
    WIND_FROM,
    WIND_SPEED,
)
from tocsin.packs.wildfire.questions import DANGER
from tocsin.packs.wildfire.rules import FIRE_SEEN_FROM_SPACE, FIRE_WEATHER_DANGEROUS, LIGHTNING_STRIKES, SMOKE_SEEN
from tocsin.packs.wildfire.senses import SENSES

PACK = Pack(
    hazard="wildfire",
    observes=(
        AIR_TEMPERATURE,
        RELATIVE_HUMIDITY,
        WIND_SPEED,
        WIND_FROM,
        RAIN_AMOUNT,
        FIRE_WEATHER_INDEX,
        FIRE_CONFIDENCE,
        FIRE_POWER,
        LIGHTNING,
        SMOKE,
    ),
    rules=(FIRE_WEATHER_DANGEROUS, FIRE_SEEN_FROM_SPACE, LIGHTNING_STRIKES, SMOKE_SEEN),
    models=(FIRE_SPREADS,),
    harm=HARM,
    plans=plans,
    chain=CHAIN,
    options=options,
    outlook=outlook,
    facts=FACTS,
    senses=SENSES,
    questions=(DANGER,),
    public=PublicWords(
        "Wildfire",
        "Fire",
        "Be ready to leave. If you are told to leave, leave at once and across the wind. Keep windows and doors shut. Follow the instructions of the emergency services.",
    ),
    knowledge=(
        "Warn and move all zones downwind at once: zone by zone was too slow (Camp Fire 2018).",
        "Power lines start fires in the wind that spreads them fastest: shut them off before (Camp Fire 2018, Lahaina 2023).",
        "A fire that is out may come back with the wind: watch it for days (Lahaina 2023).",
    ),
    cases=CASES,
)
