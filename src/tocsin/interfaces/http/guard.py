"""Who is asking: a session cookie becomes an actor, the gate is asked, and only then a handler runs."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tocsin.flows.centre import Centre
from tocsin.security.actor import Actor
from tocsin.vocabulary import Conflict, InputError, NotFound, Refused, TocsinError, Unavailable

log = logging.getLogger(__name__)

COOKIE = "tocsin_session"
CSRF_HEADER = "x-tocsin-csrf"
BODY_BYTES_MAX = 256 * 1024
SAFE_METHODS = ("GET", "HEAD")

Handler = Callable[[Centre, Request, Actor], Any]


class NoSession(TocsinError):
    """Nobody is signed in here; the console shows the sign-in page."""


STATUS: tuple[tuple[type[TocsinError], int], ...] = (
    (NoSession, 401),
    (Refused, 403),
    (NotFound, 404),
    (Conflict, 409),
    (InputError, 400),
    (Unavailable, 503),
)


def answer(value: Any, status: int = 200) -> Response:
    """Any value as JSON; a Response as it is."""
    if isinstance(value, Response):
        return value
    return Response(msgspec.json.encode(value), status, media_type="application/json", headers={"Cache-Control": "no-store"})


def refusal(fault: TocsinError) -> Response:
    """An error as the API says it: its kind, its message, and the status that fits."""
    status = next((code for kind, code in STATUS if isinstance(fault, kind)), 500)
    return answer({"error": {"kind": type(fault).__name__, "message": str(fault)}}, status)


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent; raises InputError where it is none or is too long."""
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > BODY_BYTES_MAX:
            raise InputError(f"{request.url.path}: the body is over {BODY_BYTES_MAX:,} bytes; send less")
    try:
        body = msgspec.json.decode(bytes(received))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise InputError(f"{request.url.path}: the body is no JSON: {fault}") from fault
    if not isinstance(body, dict):
        raise InputError(f"{request.url.path}: the body is a {type(body).__name__}; wanted a JSON object")
    return body


def text_of(body: dict[str, Any], name: str, *, most: int = 2_000, needed: bool = True) -> str:
    """A string of the body; raises InputError where it is missing, of another type or too long."""
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > most or (needed and not value.strip()):
        raise InputError(
            f"body: {name!r} is {str(value)[:40]!r}; wanted {'a' if needed else 'an optional'} text of at most {most} characters"
        )
    return value


def number_of(request: Request, name: str, *, usual: float, low: float, high: float) -> float:
    """A number of the query, `usual` where it is not given; raises InputError where it is none, or lies outside low..high."""
    text = request.query_params.get(name)
    try:
        value = usual if text is None else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InputError(f"{request.url.path}: {name} = {str(text)[:40]!r}; wanted a number of {low:g} to {high:g}")
    return value


def guarded(centre: Centre, act: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Run `handler` as the session's actor if the gate permits `act`; what it computes runs in a thread, not in the event loop.

    A handler that is a coroutine function reads the request itself; all others are plain functions and may take their time.
    """

    async def endpoint(request: Request) -> Response:
        try:
            actor = await asyncio.to_thread(actor_of, centre, request)
            centre.host.gate.permit(actor, act, request.url.path)
            if asyncio.iscoroutinefunction(handler):
                return answer(await handler(centre, request, actor))
            return answer(await asyncio.to_thread(handler, centre, request, actor))
        except TocsinError as fault:
            return refusal(fault)
        except Exception:  # a bug of ours must not read like a page that is not there; what it was is in the log
            log.exception("request_failed", extra={"path": request.url.path})
            words = f"{request.url.path}: this is a bug of Tocsin; its log says more: report it with what you did"
            return answer({"error": {"kind": "Bug", "message": words}}, 500)

    return endpoint


def actor_of(centre: Centre, request: Request) -> Actor:
    """The actor of a request's session; what changes something must also carry the session's CSRF token."""
    token = request.cookies.get(COOKIE, "")
    if not token:
        raise NoSession("no session: sign in first")
    csrf = None if request.method in SAFE_METHODS else request.headers.get(CSRF_HEADER, "")
    session = centre.session(token, csrf)
    if session is None:
        raise NoSession("the session has ended: sign in again")
    actor: Actor = session.actor
    return actor
