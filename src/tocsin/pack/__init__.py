"""What a domain pack is: a value that names its parts. No base class, no registry, no import side effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

import msgspec

from tocsin.pack.chain import ChainPart, Chains, Exposure, Link, Service
from tocsin.pack.lifelines import LIFELINES
from tocsin.pack.model import Analogue, Effect, Future, Knob, Model, Scenario, Spread
from tocsin.pack.plan import Action, Duration, Plan, PlanLevel, Substitute
from tocsin.pack.ready_rules import accumulation, compound, k_of_n, rise, threshold
from tocsin.pack.rule import Limits, Rule, Verdict
from tocsin.vocabulary.curve import Curve
from tocsin.vocabulary.errors import NotFound, PackFault
from tocsin.vocabulary.quantity import Quantity
from tocsin.vocabulary.series import Series
from tocsin.vocabulary.world import World

__all__ = [
    "LIFELINES",
    "Action",
    "Analogue",
    "Case",
    "ChainPart",
    "Chains",
    "Duration",
    "Effect",
    "Exposure",
    "Future",
    "Harm",
    "Knob",
    "Limits",
    "Link",
    "Model",
    "Pack",
    "Plan",
    "PlanLevel",
    "Rule",
    "Scenario",
    "Service",
    "Spread",
    "Substitute",
    "Verdict",
    "accumulation",
    "compound",
    "find_pack",
    "find_packs",
    "k_of_n",
    "rise",
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


class Harm(msgspec.Struct, frozen=True):
    """How a hazard harms what it meets: the numbers that decide, each with its source.

    A place is dangerous to people where `danger` exceeds `danger_from`. `damage` and `worth_per_m2` (of floor) are by sort of building;
    a sort that is not there counts as the first.
    """

    danger: Quantity
    danger_from: float
    danger_source: str
    road_speed: Curve | None
    damage: Mapping[str, Curve]
    worth_per_m2: Mapping[str, float]
    worth_unit: str
    worth_source: str


class Pack(msgspec.Struct, frozen=True):
    """Everything that the platform knows about one hazard. `chain` is what it says of risk chains: see `tocsin.pack.chain`."""

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
