"""A warning that all tests of the exchange know: the lake at Porto Alegre, orange, in two languages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tocsin.platform.exchange import Alert, Area, Category, Polygon, Words, draft_alert
from tocsin.vocabulary.level import Level

SENT = datetime(2024, 5, 3, 12, 0, tzinfo=UTC)
SQUARE = Polygon(((-51.25, -30.05), (-51.20, -30.05), (-51.20, -30.00), (-51.25, -30.00), (-51.25, -30.05)))
CENTRE = Area(description="Centro Histórico", polygons=(SQUARE,))
PORTUGUESE = Words(
    language="pt-BR",
    event="Inundação",
    headline="O lago sobe: saia do Centro Histórico até as 15 h",
    description="O nível no Cais Mauá passou de 4,5 m.",
    instruction="Vá para o abrigo mais próximo.",
)
ENGLISH = Words(
    language="en",
    event="Flood",
    headline="The lake is rising: leave the centre by 3 pm",
    description="The level at Cais Mauá is above 4.5 m.",
    instruction="Go to the nearest shelter.",
)


def draft(**changes: Any) -> Alert:
    """The draft, with changes."""
    given: dict[str, Any] = {
        "identifier": "poa-2024-001",
        "sender": "defesa@example.org",
        "sent": SENT,
        "level": Level.ORANGE,
        "category": Category.MET,
        "words": (PORTUGUESE, ENGLISH),
        "areas": (CENTRE,),
        "onset": SENT + timedelta(hours=3),
        "expires": SENT + timedelta(hours=12),
    }
    return draft_alert(**(given | changes))
