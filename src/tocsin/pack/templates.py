"""Parts of plan templates that any hazard's pack can use: shelters that are opened, and everything that may be done, as one plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.pack.model import Effect
from tocsin.pack.plan import Action, Duration, Plan
from tocsin.vocabulary.level import Level
from tocsin.vocabulary.world import World


def opening_shelters(world: World, as_what: str = "as a shelter") -> tuple[Action, ...]:
    """Open each shelter of the twin with all its places. Duration, crew and cost are planning assumptions (unverified)."""
    shelters = world.assets("shelters")
    return tuple(
        Action(
            name=f"open {shelters.name[k] or shelters.id[k]}",
            do=f"Open {shelters.name[k] or shelters.id[k]} {as_what}",
            role="welfare",
            duration=Duration(30.0, 45.0, 90.0),
            effects=(Effect("open_shelter", shelters.id[k], float(shelters.amount[k])),),
            needs={"crew": 1},
            cost=2_000.0,
        )
        for k in range(len(shelters))
    )


def all_options(templates: Sequence[Plan], more: Iterable[Action] = ()) -> Plan:
    """Every action of the templates that changes something, and some more: what a search puts plans together from.

    Of each resource there is what the template has that has most of it.
    """
    actions = {action.name: action for plan in templates for action in plan.actions if action.effects}
    actions |= {action.name: action for action in more}
    resources: dict[str, int] = {}
    for plan in templates:
        resources |= {name: max(count, resources.get(name, 0)) for name, count in plan.resources.items()}
    return Plan(
        "all options",
        templates[0].hazard,
        "Every action that may be taken here",
        tuple(actions.values()),
        level=Level.ORANGE,
        resources=resources,
        basis=tuple(dict.fromkeys(words for plan in templates for words in plan.basis)),
    )
