"""The web application: routes, security headers, the console's files, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin import __version__
from tocsin.flows.centre import Centre
from tocsin.interfaces.http import (
    exposure,
    forecasts,
    hazards,
    jobs,
    observations,
    plans,
    questions,
    record,
    situation,
    twin,
    uplink,
)
from tocsin.interfaces.http.guard import COOKIE, Handler, answer, body_of, guarded, refusal, text_of
from tocsin.interfaces.pictures import classes_of, legend
from tocsin.security.actor import Actor
from tocsin.security.gate import acts_of
from tocsin.vocabulary import Refused, TocsinError

# Everything comes from here: no script, font, tile or picture of another host, and nothing inline but styles (MapLibre sets them).
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityHeaders:
    """Adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.lower().encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        await self._app(scope, receive, with_headers)


def console_folder() -> Path:
    """Where the built console lies inside the installed package."""
    return Path(str(files("tocsin.interfaces"))) / "console"


def make_app(centre: Centre, *, more: Sequence[BaseRoute] = ()) -> Starlette:
    """The application for one running platform; `more` are routes of other interfaces, which ask the gate themselves."""

    async def status(request: Request) -> Response:
        token = request.cookies.get(COOKIE, "")
        signed_in = bool(token) and await asyncio.to_thread(centre.session, token, None) is not None
        legends = [{"hazard": h, "legend": legend(classes_of(watch.pack.harm))} for h, watch in centre.watches.items()]
        built = (console_folder() / "index.html").is_file()
        told = {
            "version": __version__,
            "console": built,
            "signed_in": signed_in,
            "hazards": legends,
            "legend": legends[0]["legend"],
        }
        return answer(centre.status() | told)

    async def sign_in(request: Request) -> Response:
        try:
            if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise Refused("sign-in: the request comes from another site; open the console itself and sign in there")
            body = await body_of(request)
            name, password = text_of(body, "name", most=200), text_of(body, "password", most=1_000)
            session, token = await asyncio.to_thread(
                centre.sign_in, name, password, request.client.host if request.client else ""
            )
        except TocsinError as fault:
            return refusal(fault)
        response = answer(_who(session.actor, session.csrf))
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path="/")
        return response

    def who(centre: Centre, request: Request, actor: Any) -> dict[str, Any]:
        session = centre.session(request.cookies[COOKIE], None)
        return _who(actor, session.csrf if session else "")

    def sign_out(centre: Centre, request: Request, actor: Any) -> Response:
        centre.sign_out(request.cookies[COOKIE])
        response = answer({})
        response.delete_cookie(COOKIE, path="/")
        return response

    def route(path: str, act: str, handler: Handler, method: str = "GET") -> Route:
        return Route(f"/api/v1{path}", guarded(centre, act, handler), methods=[method])

    routes: list[BaseRoute] = [
        Route("/api/v1/status", status),
        Route("/api/v1/session", sign_in, methods=["POST"]),
        route("/session", "read situation", who),
        route("/session", "read situation", sign_out, "DELETE"),
        route("/twin", "read situation", twin.describe),
        route("/twin/assets/{kind}", "read situation", twin.assets),
        route("/tiles/base.pmtiles", "read situation", twin.base_map),
        route("/tiles/terrain/{z:int}/{x:int}/{y:int}.png", "read situation", twin.terrain),
        route("/gauges", "read situation", situation.gauges),
        route("/gauges/{site}", "read situation", situation.gauge),
        *[route(f"/observations{path}", "read situation", handler) for path, handler in observations.ROUTES],
        route("/sources", "read situation", situation.sources),
        route("/hazards", "read situation", hazards.hazards),
        route("/warnings", "read situation", situation.warnings),
        route("/alerts", "read situation", situation.alerts),
        route("/alerts/{alert}", "read situation", situation.alert_xml),
        route("/alerts/{alert}/release", "release alert", situation.release, "POST"),
        route("/forecasts", "read situation", forecasts.forecasts),
        route("/forecasts/scores", "read situation", forecasts.scores),
        route("/forecasts/{forecast}", "read situation", forecasts.forecast),
        route("/forecasts/{forecast}/depth.png", "read situation", forecasts.depth_png),
        route("/forecasts/{forecast}/at", "read situation", forecasts.at),
        route("/forecasts/{forecast}/roads", "read situation", forecasts.roads),
        route("/forecasts/{forecast}/zones", "read situation", forecasts.zones),
        route("/forecasts/{forecast}/chains", "read situation", forecasts.chains),
        route("/plans", "read situation", plans.plans),
        route("/packs/{hazard}/questions", "read situation", questions.questions),
        route("/packs/{hazard}/questions/{name}", "read situation", questions.ask, "POST"),
        route("/plans", "write libraryplan", plans.save_plan, "POST"),
        route("/plans/options", "read situation", plans.options),
        route("/plans/check", "read situation", plans.check_plan, "POST"),
        route("/plans/{plan}", "write libraryplan", plans.remove_plan, "DELETE"),
        route("/plans/{plan}/undo", "write libraryplan", plans.undo_plan, "POST"),
        route("/scenario", "read situation", jobs.scenario),
        route("/futures", "read situation", jobs.futures),
        route("/jobs", "read situation", jobs.jobs),
        route("/jobs/futures", "write forecast", jobs.start_futures, "POST"),
        route("/jobs/compare", "write comparison", jobs.start_comparison, "POST"),
        route("/jobs/suggest", "write comparison", jobs.start_suggestion, "POST"),
        route("/jobs/{job}", "read situation", jobs.job),
        route("/jobs/{job}/cancel", "write comparison", jobs.cancel, "POST"),
        route("/comparisons", "read situation", plans.comparisons),
        route("/comparisons/{comparison}", "read situation", plans.comparison),
        route("/comparisons/{comparison}/courses/{plan}", "read situation", plans.course),
        route("/limits", "read situation", plans.limits),
        route("/limits", "write hardlimits", plans.set_limits, "POST"),
        route("/limits/undo", "write hardlimits", plans.undo_limits, "POST"),
        route("/decisions", "write decision", plans.decide, "POST"),
        route("/decisions", "read situation", plans.decisions),
        route("/executions", "read situation", plans.executions),
        route("/executions/{decision}/result", "read situation", plans.result),
        route("/executions/{decision}/end", "write planevent", plans.end, "POST"),
        route("/executions/{decision}/levels/{level}", "write planevent", plans.agree, "POST"),
        route("/orders", "read situation", plans.orders),
        route("/orders/{order}/reports", "write report", plans.report, "POST"),
        route("/notes", "write note", record.note, "POST"),
        route("/records", "read ledger", record.records),
        route("/records/{record}/chain", "read ledger", record.chain),
        route("/ledger", "read ledger", record.ledger),
        route("/ledger/verify", "read ledger", record.verify, "POST"),
        route("/progress", "read situation", record.progress),
        route("/ranking", "read situation", record.ranking),
        route("/events", "read situation", record.events),
        *uplink.routes(centre),
        *exposure.routes(centre),
        *more,
        *_console(),
    ]
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])


def _who(actor: Actor, csrf: str) -> dict[str, Any]:
    """The person who is signed in, and what the gate would permit: the console offers nothing else."""
    return {"name": actor.name, "roles": sorted(actor.roles), "may": acts_of(actor.roles), "csrf": csrf}


def _console() -> list[Route | Mount]:
    folder = console_folder()
    if (folder / "index.html").is_file():

        async def index(request: Request) -> Response:
            return FileResponse(folder / "index.html", headers={"Cache-Control": "no-cache"})

        return [Route("/", index), Mount("/", StaticFiles(directory=folder))]
    note = folder / "NOT_BUILT.txt"
    words = note.read_text() if note.is_file() else "Install the published wheel, which has the console inside.\n"

    async def no_console(request: Request) -> Response:
        return PlainTextResponse(f"The platform is running; this build has no web console.\n\n{words}", 503)

    return [Route("/", no_console)]
