"""Chemical releases: what is measured, when to warn, how gas spreads, whom it harms, what to do, where it comes from, and what was learnt."""

from __future__ import annotations

from tocsin.pack import FactKind, Pack, PublicWords
from tocsin.packs.chemical.cases import CASES
from tocsin.packs.chemical.chain import CHAIN
from tocsin.packs.chemical.harm import HARM
from tocsin.packs.chemical.model import GAS_SPREADS
from tocsin.packs.chemical.outlook import outlook
from tocsin.packs.chemical.plans import options, plans
from tocsin.packs.chemical.quantities import GASES, LEL_SHARE, TEMPERATURE, WIND_FROM, WIND_SPEED
from tocsin.packs.chemical.questions import SOURCE
from tocsin.packs.chemical.rules import RULES
from tocsin.packs.chemical.senses import SENSES

PACK = Pack(
    hazard="chemical",
    observes=(*GASES.values(), LEL_SHARE, WIND_SPEED, WIND_FROM, TEMPERATURE),
    rules=RULES,
    models=(GAS_SPREADS,),
    harm=HARM,
    plans=plans,
    chain=CHAIN,
    options=options,
    outlook=outlook,
    senses=SENSES,
    facts=(FactKind("wind_m_per_s", "m/s", "", 0.0, 120.0, "the wind", drive="wind_speed", observed="wind_speed"),),
    questions=(SOURCE,),
    knowledge=(
        "Who is inside with closed windows breathes a fraction while the cloud passes, and more than outside once it is gone: air rooms then (sheltering is not over by itself).",
        "Approach from upwind and uphill; dense gas lies in cellars and hollows, which the model does not show.",
        "Nobody goes in above IDLH without breathing apparatus, and never alone.",
        "The smell of hydrogen sulphide goes at the concentrations that kill: no smell is no sign of safety.",
    ),
    cases=CASES,
    public=PublicWords(
        "Chemical release",
        "CBRNE",
        "Go inside. Close windows and doors and switch ventilation off. Stay away from cellars. Listen for when it is over, then air all rooms.",
    ),
)
