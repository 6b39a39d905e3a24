"""Forecasts: what may happen, as pictures for the map and as numbers for a place."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tocsin.flows.centre import Centre
from tocsin.flows.verify import WINDOW_H, Scores, level_of, score_ledger
from tocsin.flows.views import ForecastView
from tocsin.flows.words import verified_words
from tocsin.interfaces.http.guard import number_of
from tocsin.interfaces.http.hazards import HAZARD, chosen_watch
from tocsin.interfaces.pictures import CHANCE_CLASSES, classes_of, paint, png
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError


def _view(centre: Centre, request: Request) -> ForecastView:
    asked = request.path_params["forecast"]
    if asked == "latest":
        return centre.latest_forecast(chosen_watch(centre, request))
    return centre.forecast_view(asked)


def _field(view: ForecastView, request: Request) -> tuple[str, Any]:
    which, frame = request.query_params.get("view", "q50"), request.query_params.get("frame", "peak")
    if frame != "peak" and not (frame.isascii() and frame.isdigit() and len(frame) < 10):
        raise InputError(f"frame = {frame!r}; wanted `peak` or a number from 0")
    return which, view.field(which, None if frame == "peak" else int(frame))


def forecasts(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """All forecasts, or those of one hazard, newest first."""
    hazard = chosen_watch(centre, request).hazard if HAZARD in request.query_params else ""
    of = [i for i in reversed(centre.board.forecasts) if not hazard or centre.board.forecasts[i].hazard == hazard]
    return [_row(centre, centre.forecast_view(i)) for i in of[:50]]


def forecast(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """One forecast: what it is of, when its frames are, and what stands in its way."""
    return _row(centre, _view(centre, request))


def _row(centre: Centre, view: ForecastView) -> dict[str, Any]:
    """A forecast, and what came beside what it expected, None while nothing did."""
    said = centre.board.verifications.get(view.id)
    told = None if said is None else msgspec.to_builtins(said, builtin_types=()) | {"words": verified_words(said)}
    return view.summary() | {"verification": told}


def scores(centre: Centre, request: Request, actor: Actor) -> Scores:
    """How good forecasts and warnings were; `level` and `hours` as on the command line."""
    level = level_of(request.query_params.get("level", "red"))
    hours = number_of(request, "hours", usual=WINDOW_H, low=0.1, high=24.0 * 31)
    return score_ledger(centre.ledger.read(), level=level, window_h=hours)


def depth_png(centre: Centre, request: Request, actor: Actor) -> Response:
    """The hazard's intensity, or the chance of danger, as a picture to be laid on the forecast's corners."""
    view = _view(centre, request)
    which, field = _field(view, request)
    picture = png(paint(field, CHANCE_CLASSES if which == "chance" else classes_of(view.pack.harm)))
    return Response(picture, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


def at(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """What may happen at one place."""
    try:
        lon, lat = float(request.query_params["lon"]), float(request.query_params["lat"])
    except (KeyError, ValueError) as fault:
        raise InputError(f"{request.url.path}: wanted ?lon=...&lat=... in degrees, got {request.url.query!r}") from fault
    return _view(centre, request).at(lon, lat)


def roads(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """Roads that are cut or slowed, as lines."""
    view = _view(centre, request)
    which, field = _field(view, request)
    return view.roads(field if which != "chance" else view.field("q50", None))


def zones(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """People in the hazard's way, zone by zone."""
    return _view(centre, request).zones()


def chains(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """What fails in the forecast's futures, what that takes down in turn, and what would help most."""
    return _view(centre, request).chains
