"""Which of the watched hazards a request speaks of: the one that it names, or where it names none, one that can be told without doing harm."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from tocsin.flows.centre import Centre
from tocsin.flows.hazard_watch import HazardWatch
from tocsin.interfaces.http.guard import text_of
from tocsin.interfaces.pictures import classes_of, legend
from tocsin.security.actor import Actor

HAZARD = "hazard"


def chosen_watch(centre: Centre, request: Request) -> HazardWatch:
    """The watch that the query names; without a name that of the highest warning, else the first. For what is only looked at."""
    named = request.query_params.get(HAZARD, "")
    return centre.watch(named) if named else centre.foremost()


def named_watch(centre: Centre, body: dict[str, Any], *told: str) -> HazardWatch:
    """The watch that a body names, or what was `told` otherwise names; without a name the only one. For what is written: it raises InputError
    where several hazards are watched and none is named."""
    named = next((one for one in (text_of(body, HAZARD, most=100, needed=False), *told) if one), "")
    return centre.watch(named) if named else centre.only()


def hazards(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """The hazards that are watched, the first named first: how high each warns, what was foreseen and compared last, and the legend of its maps."""
    return [row | {"legend": legend(classes_of(centre.watches[row["hazard"]].pack.harm))} for row in centre.hazards()]
