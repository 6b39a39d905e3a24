"""A drafted message calls the event what the hazard's pack calls it, with the pack's CAP category."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import shapely

from tocsin.flows.alerts import draft_for
from tocsin.pack import find_pack
from tocsin.vocabulary import Level, Warning

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def warning(hazard: str) -> Warning:
    return Warning(
        time=NOW,
        subject="north",
        hazard=hazard,
        level=Level.RED,
        before=Level.NONE,
        rule="a rule",
        reason="it is over its limit",
        value=1.0,
        unit="m",
        public=True,
    )


@pytest.mark.parametrize("hazard", ["flood", "nothing that is installed"])
def test_the_pack_gives_event_category_and_instruction(hazard: str) -> None:
    box = shapely.box(4.0, 51.0, 4.1, 51.1)
    (info,) = draft_for(warning(hazard), "w1", sender="a@b.example", place="North", ground=box, now=NOW).info
    if hazard == "flood":
        public = find_pack("flood").public
        assert (info.event, info.category[0].value, info.instruction) == ("Flood", "Met", public.instruction)
    else:
        assert (info.event, info.category[0].value) == ("Emergency", "Safety")
        assert info.instruction == "Follow the instructions of the emergency services."
