"""The way in for nodes at the edge: a parcel with the node's signature; the gate is asked as for everybody."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.edge.uplink import ENCODING_HEADER, NODE_HEADER, PATH, SIGNATURE_HEADER, Position
from tocsin.flows.centre import Centre
from tocsin.interfaces.http.guard import answer, refusal
from tocsin.platform.uplink import Receiver
from tocsin.vocabulary import InputError, TocsinError, Unavailable

PARCEL_BYTES_MAX = 64 << 20


def routes(centre: Centre) -> list[Route]:
    """Who the platform is (GET), and a node's parcel (POST), answered by how far the platform is now."""

    async def hello(request: Request) -> Response:
        try:
            return answer(Position(_receiver(centre).platform, 0, 0))
        except TocsinError as fault:
            return refusal(fault)

    async def parcel(request: Request) -> Response:
        try:
            receiver = _receiver(centre)
            body = bytearray()
            async for part in request.stream():
                body += part
                if len(body) > PARCEL_BYTES_MAX:
                    raise InputError(f"uplink: the parcel is over {PARCEL_BYTES_MAX:,} bytes; send less at once (`batch_kb`)")
            name, signature = request.headers.get(NODE_HEADER, ""), request.headers.get(SIGNATURE_HEADER, "")
            compressed = request.headers.get(ENCODING_HEADER, "") == "deflate"
            actor = await asyncio.to_thread(receiver.who, name, signature, bytes(body))
            return answer(await asyncio.to_thread(receiver.take, actor, bytes(body), compressed=compressed))
        except TocsinError as fault:
            return refusal(fault)

    return [Route(PATH, hello, methods=["GET"]), Route(PATH, parcel, methods=["POST"])]


def _receiver(centre: Centre) -> Receiver:
    if centre.receiver is None:
        raise Unavailable("uplink: this platform takes no edge nodes")
    return centre.receiver
