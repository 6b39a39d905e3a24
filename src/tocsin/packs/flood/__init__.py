"""Floods: what is measured, when to warn, how water spreads, what it breaks, what to do, and what was learnt."""

from __future__ import annotations

from tocsin.pack import Case, Pack, PublicWords
from tocsin.packs.flood.chain import CHAIN
from tocsin.packs.flood.facts import FACTS
from tocsin.packs.flood.harm import HARM
from tocsin.packs.flood.model import WATER_RUNS_OVER_THE_GROUND
from tocsin.packs.flood.outlook import outlook
from tocsin.packs.flood.plans import options, plans
from tocsin.packs.flood.quantities import DISCHARGE, RAIN_AMOUNT, RIVER_LEVEL
from tocsin.packs.flood.rules import RAIN_HEAVY, RIVER_RISING_FAST
from tocsin.packs.flood.senses import SENSES
from tocsin.vocabulary import Series

PACK = Pack(
    hazard="flood",
    observes=(RIVER_LEVEL, RAIN_AMOUNT, DISCHARGE),
    rules=(RAIN_HEAVY, RIVER_RISING_FAST),
    models=(WATER_RUNS_OVER_THE_GROUND,),
    harm=HARM,
    plans=plans,
    chain=CHAIN,
    options=options,
    facts=FACTS,
    senses=SENSES,
    outlook=outlook,
    public=PublicWords(
        "Flood",
        "Met",  # CAP 1.2, info.category: "Met" is meteorological, including flood
        "Keep away from the water. Do not walk or drive through flooded streets. Follow the instructions of the emergency services.",
    ),
    knowledge=(
        "A gauge that stops sending in a flood is itself a warning (Ahr 2021).",
        "Tie each warning level to named actions with an owner and a deadline (Zhengzhou 2021).",
        "Gates and pumps are risk points: losing one pump house floods a polder (Porto Alegre 2024).",
    ),
    cases=(
        Case(
            "Zhengzhou 7.20 rainstorm",
            "2021-07-20",
            "State Council disaster investigation report, January 2022; China Meteorological Administration",
            {"rain_max_1h_mm": 201.9, "rain_3d_mm": 617.1},
            {"deaths_and_missing_city": 380.0},
            ("red warnings were not bound to mandatory actions",),
            # its worst hour by itself: how the rest of the three days fell is not in these sources
            {"rain": Series.of([0.0, 3600.0], [201.9, 0.0])},
            ("close roads and open shelters",),
        ),
        Case(
            "Ahr valley flash flood",
            "2021-07-14",
            "Landesamt für Umwelt Rheinland-Pfalz; Landtag RLP, inquiry committee 18/1",
            {"last_reading_altenahr_m": 5.75, "record_2016_m": 3.71},
            {"deaths_valley": 134.0},
            ("the forecast level was known hours before evacuation was ordered for the district",),
            strategies=("evacuate",),
        ),
        Case(
            "Porto Alegre flood",
            "2024-05-05",
            "level: SGB and ANA, gauge Cais Mauá, 5.35 m during the event (5.37 m by levelling, SGB 2024-09-03); impact: Prefeitura de Porto Alegre, "
            "SMAMUS and Codex, panel of 2024-05-14",
            {"level_m": 5.35, "flood_stage_m": 3.0},
            {"people": 157_000.0, "buildings": 39_000.0, "streets_km": 1_081.0},
            ("an airport may be closed for months: stage relief elsewhere",),
            {
                "level@Guaíba": Series.constant(5.35)
            },  # its highest level held: the rise is not in these sources, so there is less time here
            ("raise barriers and evacuate",),
        ),
    ),
)
