"""Health codes over HTTP: uploads and appeals without a session (a code or a form's own key speaks), files for everybody, decisions for officials.

No address is kept or logged here, and all answers to an upload have one length. What a server or a proxy in front writes down is the operator's to turn
off: `tocsin serve` writes no access log.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.flows.centre import Centre
from tocsin.flows.exposure import PERSON, Exposure
from tocsin.interfaces.http.guard import STATUS, answer, body_of, guarded, refusal, text_of
from tocsin.security.actor import Actor
from tocsin.security.exposure.status import Appeal
from tocsin.security.exposure.upload import UPLOAD_BYTES, read_upload
from tocsin.vocabulary import InputError, TocsinError, Unavailable

PATH = "/api/v1/exposure"
ANSWER_BYTES = 512  # of every answer to an upload, whatever it says
FORM_BYTES_MAX = 16 * 1024
ARRIVING_MOST = 64
ARRIVE_S = 30.0
_ID = re.compile(r"[0-9a-f]{32}")


def routes(centre: Centre) -> list[Route]:
    """All paths under /api/v1/exposure."""
    arriving = asyncio.Semaphore(ARRIVING_MOST)

    def opened(handler: Callable[[Exposure, Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
        """A path for everybody."""

        async def endpoint(request: Request) -> Response:
            try:
                return answer(await handler(_exposure(centre), request))
            except TocsinError as fault:
                return refusal(fault)

        return endpoint

    async def arrived(request: Request, bytes_max: int) -> bytes:
        """The body, bounded in bytes, in time, and in how many come at once."""
        if arriving.locked():
            raise Unavailable("exposure: many are sending; send it again in a minute")
        async with arriving:
            body = bytearray()
            try:
                async with asyncio.timeout(ARRIVE_S):
                    async for part in request.stream():
                        body += part
                        if len(body) > bytes_max:
                            raise InputError(f"{request.url.path}: over {bytes_max:,} bytes; wanted at most that")
            except TimeoutError:
                raise Unavailable(f"{request.url.path}: did not arrive within {ARRIVE_S:g} s; send it again") from None
        return bytes(body)

    async def upload(request: Request) -> Response:
        try:
            exposure = _exposure(centre)
            await asyncio.to_thread(exposure.take, read_upload(await arrived(request, UPLOAD_BYTES)))
            return _of_one_length({"taken": True}, 200)
        except TocsinError as fault:
            status = next((code for kind, code in STATUS if isinstance(fault, kind)), 500)
            return _of_one_length({"error": {"kind": type(fault).__name__, "message": str(fault)[:300]}}, status)

    async def listed(exposure: Exposure, request: Request) -> dict[str, Any]:
        files = await asyncio.to_thread(exposure.exports)
        return {
            "region": exposure.region,
            "public_key": exposure.public_pem,
            "risk": exposure.risk,
            "files": [{"number": number, "ends": ends} for number, ends in files],
        }

    async def keys(exposure: Exposure, request: Request) -> Response:
        found = await asyncio.to_thread(exposure.export, request.path_params["number"])
        return Response(found.keys, media_type="application/zip")

    async def venues(exposure: Exposure, request: Request) -> Response:
        found = await asyncio.to_thread(exposure.export, request.path_params["number"])
        return Response(found.venues, media_type="application/json")

    async def object_to(exposure: Exposure, request: Request) -> dict[str, Any]:
        body = await arrived(request, FORM_BYTES_MAX)
        try:
            form = msgspec.json.decode(body, type=Appeal)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise InputError(f"appeal: {fault}; wanted the form that the phone makes") from fault
        return {"id": form.id, "due": await asyncio.to_thread(exposure.file_appeal, form)}

    async def ruling(exposure: Exposure, request: Request) -> dict[str, Any]:
        return {"ruling": await asyncio.to_thread(exposure.ruling, _id_of(request))}

    def route(path: str, act: str, handler: Callable[[Exposure, Actor, dict[str, Any], Request], Any], method: str) -> Route:
        """A path for officials: the session's actor, the gate, then the handler with the body."""

        async def handle(centre: Centre, request: Request, actor: Actor) -> Any:
            body = {} if method == "GET" else await body_of(request)
            return await asyncio.to_thread(handler, _exposure(centre), actor, body, request)

        return Route(PATH + path, guarded(centre, act, handle), methods=[method])

    return [
        Route(f"{PATH}/keys", upload, methods=["POST"]),
        Route(f"{PATH}/exports", opened(listed), methods=["GET"]),
        Route(f"{PATH}/exports/{{number:int}}/keys.zip", opened(keys), methods=["GET"]),
        Route(f"{PATH}/exports/{{number:int}}/venues.json", opened(venues), methods=["GET"]),
        Route(f"{PATH}/appeals", opened(object_to), methods=["POST"]),
        Route(f"{PATH}/appeals/{{appeal}}/ruling", opened(ruling), methods=["GET"]),
        route("/codes", "issue exposure code", _issue, "POST"),
        route("/exports", "publish exposure keys", _publish, "POST"),
        route("/appeals", "decide appeal", _appeals, "GET"),
        route("/appeals/{appeal}/ruling", "decide appeal", _decide, "POST"),
    ]


def _issue(exposure: Exposure, actor: Actor, body: dict[str, Any], request: Request) -> dict[str, Any]:
    count = body.get("count", 1)
    if not isinstance(count, int) or isinstance(count, bool):
        raise InputError(f"body: count = {str(count)[:40]!r}; wanted a whole number")
    return {"codes": exposure.issue(actor, count=count, purpose=text_of(body, "for", most=10, needed=False) or PERSON)}


def _publish(exposure: Exposure, actor: Actor, body: dict[str, Any], request: Request) -> dict[str, Any]:
    made = exposure.publish(actor)
    return {"number": made.number, "ends": made.ends}


def _appeals(exposure: Exposure, actor: Actor, body: dict[str, Any], request: Request) -> list[dict[str, Any]]:
    return [{"id": w.form.id, "due": w.due, "form": w.form, "ruling": w.ruling} for w in exposure.appeals(actor)]


def _decide(exposure: Exposure, actor: Actor, body: dict[str, Any], request: Request) -> Any:
    if not isinstance(upheld := body.get("upheld"), bool):
        raise InputError(f"body: upheld = {str(upheld)[:40]!r}; wanted true or false")
    return exposure.decide(actor, _id_of(request), upheld=upheld, reason=text_of(body, "reason"))


def _of_one_length(value: dict[str, Any], status: int) -> Response:
    bare = msgspec.json.encode(value | {"padding": ""})
    return answer(value | {"padding": "0" * (ANSWER_BYTES - len(bare))}, status)


def _id_of(request: Request) -> str:
    found: str = request.path_params["appeal"]
    if not _ID.fullmatch(found):
        raise InputError(f"appeal {found[:40]!r}: wanted 32 letters 0-9 and a-f")
    return found


def _exposure(centre: Centre) -> Exposure:
    if centre.exposure is None:
        raise Unavailable("exposure: this platform has no health codes")
    return centre.exposure
