"""Epidemics: what is counted, when to warn, how an infection goes through a town, whom it harms, what to do, and what was learnt."""

from __future__ import annotations

from tocsin.pack import Case, Pack, PublicWords
from tocsin.packs.epidemic.chain import CHAIN
from tocsin.packs.epidemic.compartments import COMPARTMENTS
from tocsin.packs.epidemic.facts import FACTS
from tocsin.packs.epidemic.harm import HARM
from tocsin.packs.epidemic.model import PEOPLE_INFECT_EACH_OTHER
from tocsin.packs.epidemic.outlook import outlook
from tocsin.packs.epidemic.plans import options, plans
from tocsin.packs.epidemic.quantities import BED_OCCUPANCY, CASES, HOSPITAL_PATIENTS, POSITIVITY
from tocsin.packs.epidemic.questions import QUESTIONS
from tocsin.packs.epidemic.rules import CASES_ABOVE_FORMER_YEARS, CASES_BEGET_MORE, CASES_UNUSUAL, HOSPITALS_FILL
from tocsin.packs.epidemic.senses import SENSES

PACK = Pack(
    hazard="epidemic",
    observes=(CASES, BED_OCCUPANCY, HOSPITAL_PATIENTS, POSITIVITY),
    rules=(CASES_UNUSUAL, CASES_ABOVE_FORMER_YEARS, CASES_BEGET_MORE, HOSPITALS_FILL),
    models=(PEOPLE_INFECT_EACH_OTHER, COMPARTMENTS),
    harm=HARM,
    plans=plans,
    chain=CHAIN,
    options=options,
    facts=FACTS,
    senses=SENSES,
    outlook=outlook,
    questions=QUESTIONS,
    public=PublicWords(
        "Epidemic",
        "Health",
        "Stay at home if you feel ill, and call before you go to a doctor. Keep your distance. Follow the instructions of the health authority.",
    ),
    knowledge=(
        "Three months undetected: watch syndromes where people first ask for help (West Africa 2014).",
        "Safe burial and community trust bent the curve before beds did (West Africa 2014).",
        "Hospitals for mild cases, set up in halls, kept the ill apart from their families (Wuhan 2020).",
    ),
    cases=(
        Case(
            "West Africa Ebola epidemic",
            "2013-12-06",
            "WHO Ebola situation report, 2016",
            {},
            {"cases": 28_616.0, "deaths": 11_310.0},
            ("it went undetected for three months", "safe burial and community trust bent the curve before beds did"),
            strategies=("test and trace", "surge beds"),
        ),
        Case(
            "COVID-19, Wuhan phase",
            "2019-12-31",
            "WHO; Wuhan Municipal Headquarters, notice of 2020-04-17 (revised figures)",
            {},
            {"cases": 50_333.0, "deaths": 3_869.0},
            (
                "temporary hospitals separated mild cases",
                "health codes joined travel, clinic and test records: they need rules on privacy and appeal",
            ),
            strategies=("everything",),
        ),
    ),
)
