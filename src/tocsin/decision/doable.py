"""What an action's effects may say here: each verb with its unit, its range and the targets that there are, as a form offers them."""

from __future__ import annotations

import math

import msgspec

from tocsin.decision.check_plan import PEOPLE_VERBS
from tocsin.pack import Model, Pack, Verb
from tocsin.pack.chain import together
from tocsin.pack.places import names_of
from tocsin.vocabulary import World

TARGETS_MOST = 500  # of one verb: a form offers no more; any other may still be written
PEOPLE: dict[str, tuple[str, str, float]] = {  # verb -> meaning, unit, the most that its amount may be
    "move_population": ("People of a zone go", "share", 1.0),
    "warn_people": ("A warning reaches people", "share", 1.0),
    "shelter_in_place": ("People go inside and shut windows", "share", 1.0),
    "open_shelter": ("A shelter takes people in", "places", math.inf),
    "close_roads": ("Streets are closed before the water comes, from this depth on", "m", math.inf),
}


class Doable(msgspec.Struct, frozen=True):
    """A verb that an effect may have: what it does, in which unit and range (None: no bound), and to what. `open` where more can be named."""

    verb: str
    meaning: str
    unit: str
    low: float | None
    high: float | None
    targets: tuple[str, ...]
    open: bool = False


def doable(world: World, model: Model, pack: Pack) -> tuple[Doable, ...]:
    """Every verb that the check of a plan lets pass in this world, those that move people first."""
    zones, shelters = tuple(world.zones.name), world.assets("shelters")
    targets = {
        "move_population": zones,
        "warn_people": ("all", *zones),
        "shelter_in_place": ("all", *zones),
        "open_shelter": tuple(shelters.id),
        "close_roads": ("flooded",),
    }
    found = [
        Doable(
            verb, *PEOPLE[verb][:2], 0.0, _bound(PEOPLE[verb][2]), targets[verb][:TARGETS_MOST], len(targets[verb]) > TARGETS_MOST
        )
        for verb in PEOPLE_VERBS
        if targets[verb]
    ]
    for verb, what in sorted(model.acts_on.items()):
        names, is_open = _targets(world, model, what)
        found.append(Doable(verb, what.meaning, what.unit, _bound(what.low), _bound(what.high), names, is_open))
    known = {one.verb for one in found}
    chains = sorted(together({pack.hazard: pack.chain}).verbs - known)
    return (*found, *(Doable(verb, verb.replace("_", " "), "", 0.0, None, ("all",), open=True) for verb in chains))


def _targets(world: World, model: Model, verb: Verb) -> tuple[tuple[str, ...], bool]:
    """The places that a hazard's verb may name, and whether there are more than a list can hold (points)."""
    names: list[str] = []
    is_open = False
    for sort in verb.sorts:
        for one in model.drive(sort.removeprefix("drive:")).sorts if sort.startswith("drive:") else (sort,):
            if one == "point":
                is_open = True
            else:
                names += ("all",) if one == "all" else names_of(world, one)
    return tuple(dict.fromkeys(names))[:TARGETS_MOST], is_open or len(names) > TARGETS_MOST


def _bound(value: float) -> float | None:
    return value if math.isfinite(value) else None
