"""Whom an epidemic harms: the share of the people of each neighbourhood who fall severely ill over the run, as the model counts them."""

from __future__ import annotations

from tocsin.pack import Harm
from tocsin.packs.epidemic.quantities import SEVERE_SHARE
from tocsin.vocabulary import Curve

HARM = Harm(
    danger=SEVERE_SHARE,
    danger_from=None,
    danger_source="who needs a hospital bed, by the disease's published chances (see the model's source)",
    harmed=Curve(
        SEVERE_SHARE,
        ((0.0, 0.0), (1.0, 1.0)),
        source="by definition: the share that is made is the share that is harmed",
        valid="severe courses alone; who is ill at home, loses work or school is not in it",
    ),
    words={"people_in_danger": "people severely ill"},
    at_home=True,
    shown_as="share severely ill",
    shown_from=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1),  # for the eye
)
