"""SensorThings over HTTP: one address for everything below the root, answered in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tocsin.interfaces.http.guard import SAFE_METHODS, NoSession
from tocsin.interfaces.sensorthings.batch import run_batch
from tocsin.interfaces.sensorthings.service import BODY_BYTES_MAX, JSON, Answer, Ask, Service, TooLong, refusal, told
from tocsin.security.actor import Actor
from tocsin.vocabulary import Refused, TocsinError

ROOT = "/sta/v1.1"
METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
ALLOWED = ", ".join(METHODS)
Who = Callable[[Request], Actor]
ASK_WHO = {"WWW-Authenticate": 'Basic realm="Tocsin SensorThings", charset="UTF-8"'}


def sensorthings_routes(service: Service, who: Who, *, root: str = ROOT) -> list[Route]:
    """The routes of a service; `who` proves who asks, in a thread."""
    service.batch = run_batch

    async def answered(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": ALLOWED})
        try:
            _check_origin(request)
            body = await _body(request)
            return _response(await asyncio.to_thread(_answer, service, who, request, body, root))
        except TocsinError as fault:
            return _response(refusal(fault))
        except ClientDisconnect:  # nobody is there to hear an answer
            return Response(status_code=400)

    class Endpoint:
        """As an application of its own it gets every method, and what is not allowed is told in JSON too."""

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            response = await answered(Request(scope, receive))
            await response(scope, receive, send)

    return [Route(path, Endpoint()) for path in (root, f"{root}/{{path:path}}")]


def _answer(service: Service, who: Who, request: Request, body: bytes, root: str) -> Answer:
    try:
        actor = who(request)
    except NoSession as fault:
        return told({"code": 401, "type": "error", "message": str(fault)}, 401, **ASK_WHO)
    raw = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    path = raw.decode("ascii", errors="replace").removeprefix(request.scope.get("root_path", "")).removeprefix(root)
    content_type = request.headers.get("content-type", JSON)
    ask = Ask(
        method=request.method,
        path=path.strip("/"),
        root=f"{request.url.scheme}://{request.url.netloc}{root}",
        query=request.url.query,
        body=body,
        content_type=content_type.partition(";")[0].strip().lower(),
        headers={"content-type": content_type},
    )
    return service.handle(ask, actor)


def _check_origin(request: Request) -> None:
    """A page of another site must not write with the credentials that a browser remembers."""
    site = request.headers.get("sec-fetch-site", "none")
    if request.method not in SAFE_METHODS and site not in ("same-origin", "none"):
        raise Refused(
            f"{request.method}: the request comes from another site's page ({site}); send it from a program or the console"
        )


async def _body(request: Request) -> bytes:
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > BODY_BYTES_MAX:
            raise TooLong(f"{request.url.path}: the body is over {BODY_BYTES_MAX:,} bytes; send less at once")
    return bytes(received)


def _response(answer: Answer) -> Response:
    headers = {"Cache-Control": "no-store", **answer.headers}
    if answer.status == 405:
        headers["Allow"] = ALLOWED
    content_type = "application/json; charset=utf-8" if answer.content_type == JSON else answer.content_type
    body = b"" if answer.status == 204 else answer.body
    response = Response(body, answer.status, headers=headers)
    if body:
        response.headers["Content-Type"] = content_type
    return response
