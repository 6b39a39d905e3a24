"""What a plan against a flood may ask: how hard it rains, how high a water stands, how fast it rises, how many it has reached."""

from __future__ import annotations

from tocsin.pack import FactKind
from tocsin.packs.flood.quantities import RAIN_AMOUNT, RIVER_LEVEL

INF = float("inf")
HOUR_S = 3600.0
FACTS = (
    FactKind("rain_mm_per_h", "mm/h", "", 0.0, INF, "how hard it rains", drive="rain", observed=RAIN_AMOUNT.name, sum_s=HOUR_S),
    FactKind(
        "level_m",
        "m",
        "water",
        -INF,
        INF,
        "the level of a water, above its gauge's zero",
        drive="level@",
        observed=RIVER_LEVEL.name,
    ),
    FactKind(
        "rise_m_per_h",
        "m/h",
        "water",
        -INF,
        INF,
        "how fast the water has risen in the last hour",
        drive="level@",
        observed=RIVER_LEVEL.name,
        rise_s=HOUR_S,
    ),
    FactKind("flooded_share", "", "zone", 0.0, 1.0, "the share of a zone's people whom water has reached", reached=True),
)
