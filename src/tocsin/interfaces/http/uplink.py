"""The way in for nodes at the edge: a parcel with the node's signature; the gate is asked as for everybody."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.edge.uplink import DIGEST_HEADER, ENCODING_HEADER, NODE_HEADER, PATH, SIGNATURE_HEADER, Position, digest_of
from tocsin.flows.centre import Centre
from tocsin.interfaces.http.guard import answer, refusal
from tocsin.platform.uplink import REFUSED_WORDS, Receiver
from tocsin.vocabulary import InputError, Refused, TocsinError, Unavailable

PARCEL_BYTES_MAX = 64 << 20
PARCELS_AT_ONCE = 4  # held while they arrive: 256 MB at most, and of known nodes only
ARRIVE_S = 120.0


def routes(centre: Centre) -> list[Route]:
    """Who the platform is (GET), and a node's parcel (POST), answered by how far the platform is now."""
    arriving = set[str]()

    async def hello(request: Request) -> Response:
        try:
            return answer(Position(_receiver(centre).platform, 0, 0))
        except TocsinError as fault:
            return refusal(fault)

    async def parcel(request: Request) -> Response:
        """The headers say who it is and what he signed; only then is anything of the parcel taken."""
        try:
            receiver = _receiver(centre)
            name, signature, digest = (request.headers.get(key, "") for key in (NODE_HEADER, SIGNATURE_HEADER, DIGEST_HEADER))
            compressed = request.headers.get(ENCODING_HEADER, "") == "deflate"
            actor = await asyncio.to_thread(receiver.who, name, signature, digest)
            if actor.name in arriving or len(arriving) >= PARCELS_AT_ONCE:
                raise Unavailable("uplink: other parcels are arriving; send it again in a moment")
            arriving.add(actor.name)
            try:
                body = await _arrived(request)
                if digest_of(body) != digest:
                    raise Refused(REFUSED_WORDS)
                return answer(await asyncio.to_thread(receiver.take, actor, body, compressed=compressed))
            finally:
                arriving.discard(actor.name)
        except TocsinError as fault:
            return refusal(fault)

    return [Route(PATH, hello, methods=["GET"]), Route(PATH, parcel, methods=["POST"])]


async def _arrived(request: Request) -> bytes:
    """The parcel, bounded in bytes and in time; raises InputError or Unavailable."""
    too_large = InputError(f"uplink: the parcel is over {PARCEL_BYTES_MAX:,} bytes; send less at once (`batch_kb`)")
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and int(length[:20]) <= PARCEL_BYTES_MAX):
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(ARRIVE_S):
            async for part in request.stream():
                body += part
                if len(body) > PARCEL_BYTES_MAX:
                    raise too_large
    except TimeoutError:
        raise Unavailable(f"uplink: the parcel did not arrive within {ARRIVE_S:g} s; send less at once (`batch_kb`)") from None
    return bytes(body)


def _receiver(centre: Centre) -> Receiver:
    if centre.receiver is None:
        raise Unavailable("uplink: this platform takes no edge nodes")
    return centre.receiver
