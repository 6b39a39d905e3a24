"""What a plan against a wildfire may ask: how hard the wind blows, how much has burnt, how many it has reached."""

from __future__ import annotations

from tocsin.pack import FactKind
from tocsin.packs.wildfire.quantities import WIND_SPEED

INF = float("inf")
FACTS = (
    FactKind("wind_m_per_s", "m/s", "", 0.0, INF, "the wind at 10 m", drive="wind_speed", observed=WIND_SPEED.name),
    FactKind("burnt_ha", "", "", 0.0, INF, "how many hectares have burnt", course="burnt_ha"),
    FactKind("burnt_share", "", "zone", 0.0, 1.0, "the share of a zone's people whom the fire has reached", reached=True),
)
