"""What a domain pack is: a value that names its parts. No base class, no registry, no import side effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.pack.chain import ChainPart, Chains, Exposure, Link, Service
from tocsin.pack.lifelines import LIFELINES
from tocsin.pack.model import Analogue, Drive, Effect, Future, Knob, Model, Scenario, Spread, Verb
from tocsin.pack.places import GaugeAt
from tocsin.pack.plan import Action, Duration, Plan, PlanLevel, Substitute
from tocsin.pack.question import Answer, Column, Question, Table
from tocsin.pack.ready_rules import accumulation, compound, k_of_n, rise, threshold
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.pack.sense import ReadingError, Sense, senses_of
from tocsin.pack.trigger import FACTS, FactKind
from tocsin.vocabulary.curve import Curve
from tocsin.vocabulary.errors import InputError, NotFound, PackFault
from tocsin.vocabulary.quantity import Bools, Floats, Quantity
from tocsin.vocabulary.records import Bulletin
from tocsin.vocabulary.series import Series
from tocsin.vocabulary.world import World

__all__ = [
    "HARMED",
    "IN_DANGER",
    "LIFELINES",
    "Action",
    "Analogue",
    "Answer",
    "Case",
    "ChainPart",
    "Chains",
    "Column",
    "Drive",
    "Duration",
    "Effect",
    "Exposure",
    "FactKind",
    "Future",
    "GaugeAt",
    "Harm",
    "Knob",
    "Limits",
    "Link",
    "Model",
    "Pack",
    "Plan",
    "PlanLevel",
    "PublicWords",
    "Question",
    "ReadingError",
    "Rule",
    "Scenario",
    "Sense",
    "Service",
    "Spread",
    "Substitute",
    "Table",
    "Verb",
    "Verdict",
    "accumulation",
    "compound",
    "facts_for",
    "find_pack",
    "find_packs",
    "k_of_n",
    "rise",
    "senses_of",
    "threshold",
]


class Case(msgspec.Struct, frozen=True):
    """A past event: what was seen, what was done, what it cost, who says so. A pack's memory, and its regression test.

    `forcing` is the event as a model of the pack can play it ("rain", "level@Guaíba"), where the sources tell enough for that. `strategies` are
    names of the pack's plans that the lessons speak for: the reading of whoever wrote the case down.
    """

    name: str
    when: str
    source: str
    observed: Mapping[str, float]
    impact: Mapping[str, float]
    lessons: tuple[str, ...] = ()
    forcing: Mapping[str, Series] = {}
    strategies: tuple[str, ...] = ()


AT_HOME_H = 3.0
HARMED, IN_DANGER = "people_in_danger", "people in danger"


class Harm(msgspec.Struct, frozen=True):
    """How a hazard harms what it meets: the numbers that decide, each with its source.

    `danger` is what the pack's models make. A place is dangerous to people where it exceeds `danger_from`: all who are there then count as
    harmed. Where a hazard harms a part of the people everywhere rather than all of them somewhere, `harmed` says which share, no place is
    dangerous by itself, and `danger_from` is None. `indoors` is the companion of the models' peaks that people meet who take shelter inside
    (verb `shelter_in_place`), judged like `danger`; None where walls help nothing.

    `road_speed` is None where the hazard closes no street. `damage` and `worth_per_m2` (of floor) are by sort of building; a sort that is
    not there counts as the first. `at_home`: the share is of those who live at a place, whatever the hour is. On maps,
    `shown_from` are the lower bounds of six classes of intensity, rising, for the eye alone (empty: made from what is dangerous), and `ramp` is their colours.
    `opens_with` is what a map shows first: the middle of the futures at each place, or, where they lie in different places and the middle may be empty, the chance of danger.
    `words` are what people call a figure of this hazard ("people_in_danger": "people severely ill"), and `shown_as` is what a legend calls `danger`.
    `over_water` is False where water bodies are full of it whatever happens, so that maps and areas leave them out.
    """

    danger: Quantity
    danger_from: float | None
    danger_source: str
    road_speed: Curve | None = None
    damage: Mapping[str, Curve] = {}
    worth_per_m2: Mapping[str, float] = {}
    worth_unit: str = "EUR"
    worth_source: str = ""
    harmed: Curve | None = None
    indoors: Quantity | None = None
    words: Mapping[str, str] = {}
    at_home: bool = False
    shown_from: tuple[float, ...] = ()
    ramp: Literal["cool", "warm"] = "warm"
    opens_with: Literal["q50", "chance"] = "q50"
    shown_as: str = ""
    over_water: bool = True

    def __post_init__(self) -> None:
        if (self.danger_from is None) == (self.harmed is None):
            raise InputError(
                f"harm by {self.danger.name}: danger_from = {self.danger_from}, harmed {'given' if self.harmed else 'not given'}; wanted one of the two"
            )
        if self.shown_from and (len(self.shown_from) != 6 or list(self.shown_from) != sorted(set(self.shown_from))):
            raise InputError(f"harm by {self.danger.name}: shown_from = {self.shown_from}; wanted six numbers that rise, or none")

    @property
    def harmed_words(self) -> str:
        """What those are called whom this hazard harms, as it stands behind a number: "people in danger", "people severely ill"."""
        return self.words.get(HARMED, IN_DANGER)

    def dangerous(self, intensity: Floats) -> Bools:
        """Where a place is dangerous to all who are there; same shape as `intensity`."""
        at = np.asarray(intensity)
        return np.zeros(at.shape, bool) if self.danger_from is None else np.asarray(at > self.danger_from)

    def share(self, intensity: Floats) -> NDArray[np.float64]:
        """The share of the people at a place who are harmed, 0..1; same shape as `intensity`."""
        if self.harmed is not None:
            return np.asarray(self.harmed.share(intensity), np.float64)
        return self.dangerous(intensity).astype(np.float64)

    def hour(self, hour: float) -> float:
        """The hour at which people are counted, where a forecast asks for one: where shares are of who lives there, people are at home."""
        return AT_HOME_H if self.at_home else hour

    def told(self) -> str:
        """What counts as harmed, in words, with its source."""
        unit = "" if self.danger.unit == "1" else f" {self.danger.unit}"
        if self.danger_from is None:
            return f"a share of the people, {self.danger.name}{unit}: {self.danger_source}"
        return f"{self.danger.name} above {self.danger_from:g}{unit}: {self.danger_source}"


class PublicWords(msgspec.Struct, frozen=True):
    """What a CAP message of this hazard says where nobody says it otherwise: event, category (a code of CAP 1.2) and what to do."""

    event: str = "Emergency"
    category: Literal[
        "Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other"
    ] = "Safety"
    instruction: str = "Follow the instructions of the emergency services."


Outlook = Callable[[World, Sequence[GaugeAt], Sequence[Bulletin]], Scenario]


class Pack(msgspec.Struct, frozen=True):
    """Everything that the platform knows about one hazard. `chain` is what it says of risk chains: see `tocsin.pack.chain`.

    `facts` are what triggers of its plans may ask besides the facts that every hazard has. `outlook` makes the scenario for now from what
    the sensors said, and what agencies said of events at places where no sensor stands, for the running platform; it raises InputError where they say
    nothing, and without one a person has to give a scenario. `questions` are what it answers from a table, without a forecast. `public` is what a
    drafted warning of it says. `senses` are how readings weigh its futures, for those quantities of which its facts, forcings and models do not show
    it well enough: see `senses_of`.
    """

    hazard: str
    observes: tuple[Quantity, ...]
    rules: tuple[Rule, ...]
    models: tuple[Model, ...]
    harm: Harm
    plans: Callable[[World], tuple[Plan, ...]]
    knowledge: tuple[str, ...] = ()
    cases: tuple[Case, ...] = ()
    chain: tuple[ChainPart, ...] = ()
    options: Callable[[World], Plan] | None = None
    facts: tuple[FactKind, ...] = ()
    outlook: Outlook | None = None
    questions: tuple[Question, ...] = ()
    public: PublicWords = PublicWords()
    senses: tuple[Sense, ...] = ()


def find_packs() -> dict[str, Pack]:
    """All packs that are installed, by hazard, through the entry point group `tocsin.packs`."""
    found: dict[str, Pack] = {}
    for point in sorted(entry_points(group="tocsin.packs"), key=lambda p: p.name):
        pack = point.load()
        if not isinstance(pack, Pack):
            raise PackFault(f"entry point {point.name} = {point.value}: is a {type(pack).__name__}; wanted a tocsin.pack.Pack")
        if pack.hazard in found:
            raise PackFault(f"entry point {point.name}: a second pack for {pack.hazard!r}; uninstall one of the two")
        found[pack.hazard] = pack
    return found


def find_pack(hazard: str) -> Pack:
    """The pack for one hazard; raises NotFound with the hazards that there are."""
    packs = find_packs()
    if hazard not in packs:
        raise NotFound(f"no pack for {hazard!r}; installed: {', '.join(packs) or 'none'}")
    return packs[hazard]


@cache
def facts_for(hazard: str) -> Mapping[str, FactKind]:
    """The facts that triggers of a hazard's plans may ask: those of every hazard, and its pack's where it is installed."""
    pack = find_packs().get(hazard)
    return {**FACTS, **{fact.name: fact for fact in pack.facts}} if pack is not None else FACTS
