"""What a person asks the running platform to compute: futures, comparisons, plans to consider; and how far each is."""

from __future__ import annotations

import asyncio
import tomllib
from typing import Any

from starlette.requests import Request

from tocsin.flows import asked
from tocsin.flows.centre import Centre
from tocsin.flows.jobs import Job
from tocsin.interfaces.http.guard import body_of, text_of
from tocsin.interfaces.http.hazards import chosen_watch, named_watch
from tocsin.interfaces.storm import STORM_BYTES_MAX, scenario_from, storm_of, words_of
from tocsin.interfaces.storm_text import scenario_to_toml, start_to_toml
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError, TocsinError

SCENARIO = "scenario"


def jobs(centre: Centre, request: Request, actor: Actor) -> list[Job]:
    """All jobs that are known, newest first."""
    return centre.jobs.all()


def job(centre: Centre, request: Request, actor: Actor) -> Job:
    """One job: how far it is, and what came of it."""
    return centre.jobs.find(request.path_params["job"])


def cancel(centre: Centre, request: Request, actor: Actor) -> Job:
    """Stop a job at its next step."""
    return asked.cancel(centre, actor, request.path_params["job"])


def futures(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """The futures that were run here, by name."""
    return asked.kept_futures(centre)


def scenario(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """What a scenario of a hazard can say here, and one to start from: that of the moment, or where no sensor says anything, an empty one."""
    world, watch = centre.world(), chosen_watch(centre, request)
    model = watch.model
    why = ""
    try:
        text = scenario_to_toml(watch.scenario_now(world), model)
    except TocsinError as fault:
        text, why = start_to_toml(world, model), str(fault)
    return {
        "hazard": watch.hazard,
        "toml": text,
        "why_not_now": why,
        "drives": {name: {"unit": d.quantity.unit, "meaning": d.meaning} for name, d in model.series.items()},
        "waters": world.waters(),
        "lines": world.lines(),
        "knobs": {
            n: {"unit": k.unit, "low": k.low, "usual": k.usual, "high": k.high, "meaning": k.meaning}
            for n, k in model.knobs.items()
        },
        "members_most": asked.MEMBERS_MOST,
    }


async def start_futures(centre: Centre, request: Request, actor: Actor) -> Job:
    """Run the futures of a scenario, and keep them under a name."""
    body = await body_of(request)
    name = text_of(body, "name", most=64)
    return await asyncio.to_thread(lambda: asked.start_futures(centre, actor, _ask(centre, body), name=name))


async def start_comparison(centre: Centre, request: Request, actor: Actor) -> Job:
    """Compare plans on a scenario, or on futures that were run."""
    body = await body_of(request)
    plans, limits = _texts(body, "plans") or [], _texts(body, "limits")
    everything = body.get("all", False)
    if not isinstance(everything, bool):
        raise InputError(f"all = {everything!r}; wanted true or false")
    return await asyncio.to_thread(
        lambda: asked.start_comparison(centre, actor, _ask(centre, body), plans=plans, limits=limits, everything=everything)
    )


async def start_suggestion(centre: Centre, request: Request, actor: Actor) -> Job:
    """Look for plans to consider on a scenario, or on futures that were run."""
    body = await body_of(request)
    return await asyncio.to_thread(lambda: asked.start_suggestion(centre, actor, _ask(centre, body)))


def _ask(centre: Centre, body: dict[str, Any]) -> asked.Ask:
    """What was asked: `scenario` as an object or as TOML in a text, or the name of `futures`; and an `hour`, where people are asked for at one."""
    hour = body.get("hour")
    if hour is not None and not (isinstance(hour, int | float) and not isinstance(hour, bool) and 0.0 <= hour <= 24.0):
        raise InputError(f"hour = {hour!r}; wanted a number of 0 to 24, or nothing for the hour that it is")
    told, name = body.get(SCENARIO), body.get("futures", "")
    if not isinstance(name, str) or bool(name) == (told is not None):
        raise InputError("wanted one of `scenario` (an object, or its TOML in a text) and `futures` (a name)")
    if name:
        return asked.Ask(named_watch(centre, body, asked.hazard_of_futures(centre, name)).hazard, None, {}, name, hour)
    if isinstance(told, str):
        if len(told) > STORM_BYTES_MAX:
            raise InputError(f"scenario: {len(told):,} characters; wanted at most {STORM_BYTES_MAX:,}")
        try:
            told = tomllib.loads(told)
        except (tomllib.TOMLDecodeError, RecursionError) as fault:
            raise InputError(f"scenario: is no TOML: {fault}") from fault
    if not isinstance(told, dict):
        raise InputError(f"scenario = {str(told)[:40]!r}; wanted an object, or TOML in a text")
    storm = storm_of(told, where=SCENARIO)
    watch = named_watch(centre, body, storm.hazard)
    if storm.hazard not in ("", watch.hazard):
        raise InputError(f"scenario: of {storm.hazard}; asked for {watch.hazard}")
    if storm.members > asked.MEMBERS_MOST:
        raise InputError(
            f"scenario: {storm.members} members; wanted at most {asked.MEMBERS_MOST} here: run more with `tocsin futures run`"
        )
    made = scenario_from(storm, centre.world(), watch.model, where=SCENARIO, folder=None)
    return asked.Ask(watch.hazard, made, words_of(storm, made, "asked for"), "", hour)


def _texts(body: dict[str, Any], name: str) -> list[str] | None:
    texts = body.get(name)
    if texts is None:
        return None
    if not isinstance(texts, list) or not all(isinstance(text, str) and len(text) <= 300 for text in texts):
        raise InputError(f"{name} = {str(texts)[:60]}; wanted a list of texts")
    return texts
