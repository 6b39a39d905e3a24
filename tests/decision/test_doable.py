"""What a form offers for an action's effects is what the check of a plan lets pass, and all of it."""

from __future__ import annotations

import msgspec
import pytest

from tocsin.decision.check_plan import faults_of_plan
from tocsin.decision.doable import Doable, doable
from tocsin.pack import Action, Duration, Effect, Plan, find_pack
from tocsin.testing.tiny import TinyWorld

WORLD, PACK = TinyWorld(), find_pack("flood")
MODEL = PACK.models[0]
OFFERED = doable(WORLD, MODEL, PACK)


def faults(effect: Effect) -> list[str]:
    action = Action("a", "do it", "police", Duration(1.0, 2.0, 3.0), effects=(effect,))
    return [fault.message for fault in faults_of_plan(Plan("p", "flood", "", (action,)), WORLD, MODEL, PACK)]


@pytest.mark.parametrize("one", [one for one in OFFERED if one.targets and not one.open], ids=lambda one: one.verb)
def test_every_target_that_is_offered_is_one_of_the_place(one: Doable) -> None:
    for target in one.targets:
        assert not any("no " in told or "wanted all" in told for told in faults(Effect(one.verb, target, one.high or 1.0)))


def test_every_verb_that_the_check_names_is_offered_or_has_no_target_here() -> None:
    (told,) = [text for text in faults(Effect("frogs", "all")) if "no effect" in text]
    known = set(told.partition("there are: ")[2].split(", "))
    offered = {one.verb for one in OFFERED}
    assert offered <= known
    assert known - offered <= {"open_shelter", "move_population"}
    assert msgspec.json.encode(OFFERED)
