"""What packs answer from a table, over HTTP: the same function as `tocsin ask`."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from tocsin.flows import questions as flow
from tocsin.flows.centre import Centre
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError

TABLE_BYTES_MAX = 16 * 2**20
SETTINGS_MOST = 100


def questions(centre: Centre, request: Request, actor: Actor) -> list[dict[str, Any]]:
    """What a pack can be asked, with the columns and settings of each question."""
    return flow.questions_of(request.path_params["hazard"])


async def ask(centre: Centre, request: Request, actor: Actor) -> dict[str, Any]:
    """The answer to a question from the CSV that is the body; settings are the query's."""
    settings = _settings(request)
    received = bytearray()
    async for part in request.stream():
        received += part
        if len(received) > TABLE_BYTES_MAX:
            raise InputError(f"{request.url.path}: the table is over {TABLE_BYTES_MAX // 2**20} MB; use `tocsin ask`")
    return await asyncio.to_thread(_answer, centre, request, bytes(received), settings)


def _answer(centre: Centre, request: Request, data: bytes, settings: dict[str, str]) -> dict[str, Any]:
    told = request.path_params
    return flow.ask(
        told["hazard"],
        told["name"],
        data,
        where="body",
        settings=settings,
        world=centre.world(),
        twin=centre.twin.manifest.name,
    ).facts()


def _settings(request: Request) -> dict[str, str]:
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    if len(names) > SETTINGS_MOST or len(set(names)) != len(names):
        raise InputError(
            f"{request.url.path}: {len(names)} settings, {len(set(names))} different; wanted each once, at most {SETTINGS_MOST}"
        )
    return dict(given)
