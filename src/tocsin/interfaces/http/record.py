"""The record: the ledger's lines, the chain from an order back to a sensor, notes, and the live stream of what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from tocsin.flows.bus import END
from tocsin.flows.centre import Centre
from tocsin.interfaces.http.guard import body_of, number_of, text_of
from tocsin.interfaces.http.hazards import HAZARD, chosen_watch
from tocsin.security.actor import Actor
from tocsin.vocabulary import Note, TocsinError

HEARTBEAT_S = 10.0
ENTRIES_MOST = 2**53  # what a number of JSON holds exactly


def records(centre: Centre, request: Request, actor: Actor) -> list[Any]:
    """The ledger's lines after a number."""
    after = int(number_of(request, "after", usual=0, low=0, high=ENTRIES_MOST))
    limit = int(number_of(request, "limit", usual=200, low=1, high=1_000))
    return list(islice(centre.host.ledger.read(after), limit))


def chain(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """What led to a record, down to the readings of the sensors."""
    return centre.chain(request.path_params["record"])


def ledger(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """How long the ledger is, its root, and when it was last checked."""
    return centre.ledger_state()


def verify(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """Check the whole ledger now."""
    try:
        return centre.verify_ledger() | {"ok": True, "message": "every entry, link and signature holds"}
    except TocsinError as fault:
        return {"entries": 0, "root": "", "ok": False, "message": str(fault)}


async def note(centre: Centre, request: Request, actor: Actor) -> dict[str, str]:
    """Write a line in the position log."""
    body = await body_of(request)
    line = Note(time=centre.host.clock.now(), subject=text_of(body, "subject", most=200), text=text_of(body, "text"))
    (note_id,) = await asyncio.to_thread(centre.host.ledger.append, actor, [line])
    return {"id": note_id}


def progress(centre: Centre, request: Request, actor: Actor) -> Any:
    """What is being computed at the moment, of which hazard, or null."""
    return chosen_watch(centre, request).progress if HAZARD in request.query_params else centre.progress


def ranking(centre: Centre, request: Request, actor: Actor) -> Any:
    """The ranking of plans as far as it has sharpened in the assessment that is running, or null."""
    return chosen_watch(centre, request).ranking if HAZARD in request.query_params else centre.ranking


def events(centre: Centre, request: Request, actor: Actor) -> StreamingResponse:
    """Server-sent events: records, readings, progress, rankings that sharpen and the clock, as they come."""

    async def stream() -> AsyncIterator[bytes]:
        with centre.bus.listen() as queue:
            yield b"retry: 2000\n\n"
            while True:
                try:
                    kind, data = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                    if kind == END:
                        return
                    yield b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
                except TimeoutError:
                    yield b": still here\n\n"

    return StreamingResponse(
        stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
