"""What a gas does to people. Each number names its publication; see `substances.toml` for those of each gas."""

from __future__ import annotations

from tocsin.pack import Harm
from tocsin.packs.chemical.quantities import AEGL2_SHARE, AEGL2_SHARE_INDOORS

HARM = Harm(
    danger=AEGL2_SHARE,
    danger_from=1.0,
    danger_source=(
        "AEGL-2 for the time that it is breathed (10 min to 8 h): irreversible or other serious, long-lasting effects or an impaired ability to escape, "
        "US EPA and National Research Council; for gas that burns, 0.6 of the lower explosive limit within a minute (unverified)"
    ),
    indoors=AEGL2_SHARE_INDOORS,
    opens_with="chance",
    shown_as="times AEGL-2",
    words={"people_in_danger": "people who breathe more than AEGL-2"},
)
