"""Parts of plan templates that all packs share: everything that may be done, as one plan, and shelters that are opened."""

from __future__ import annotations

from tocsin.pack import Action, Duration, Effect, Plan
from tocsin.pack.templates import all_options, opening_shelters
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Level

HOUR = Duration(60.0, 60.0, 60.0)
WARN = Action("warn", "warn", "commander", HOUR, (Effect("warn_people", "all"),))
WATCH = Action("watch", "watch", "operator", HOUR)
MOVE = Action("move", "move", "police", HOUR, (Effect("move_population", "low"),))


def test_all_options_are_every_action_that_changes_something_with_the_most_of_each_resource() -> None:
    templates = (
        Plan("wait", "flood", "", (WATCH,), basis=("a",)),
        Plan("one", "flood", "", (WATCH, WARN), resources={"crew": 4, "bus": 1}, basis=("a", "b")),
        Plan("two", "flood", "", (WARN,), resources={"crew": 2, "boat": 3}, basis=("b",)),
    )
    options = all_options(templates, (MOVE,))
    assert [action.name for action in options.actions] == ["warn", "move"]  # watching is no option: it changes nothing
    assert options.resources == {"crew": 4, "bus": 1, "boat": 3}
    assert (options.hazard, options.level, options.basis) == ("flood", Level.ORANGE, ("a", "b"))


def test_each_shelter_of_the_twin_is_opened_with_all_its_places_and_none_where_there_is_none() -> None:
    world = TinyWorld()
    (action,) = opening_shelters(world, "as a shelter, with filtered air")
    (effect,) = action.effects
    assert (effect.verb, effect.target, effect.amount) == ("open_shelter", "shelter-1", 25.0)
    assert action.do == "Open Hall as a shelter, with filtered air"
    assert opening_shelters(TinyWorld(without=("assets",))) == ()
