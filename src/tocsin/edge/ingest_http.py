"""The same way in by HTTP: POST a payload, and 200 says that its readings are on disk. A raw ASGI application, to be mounted anywhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

import msgspec

from tocsin.edge.ingest import Ingest, Message, Outcome
from tocsin.host import Gate
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError, Refused

log = logging.getLogger(__name__)

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
Headers: TypeAlias = Mapping[bytes, bytes]
_STATUS = {Outcome.STORED: 200, Outcome.REFUSED: 403, Outcome.MALFORMED: 422, Outcome.OVERLOAD: 429, Outcome.FAILED: 503}


class _Gone(Exception):
    """The client hung up before its body was whole."""


class HttpIngest:
    """`authenticate` says from the headers (names in lower case) who it is, or raises Refused; the gate says whether it may.

    Where the disk does not answer within `wait_s`, the answer is 503 and the readings may or may not be stored: send them again,
    what is there already is not stored twice.
    """

    def __init__(
        self,
        ingest: Ingest,
        authenticate: Callable[[Headers], Awaitable[Actor]],
        gate: Gate,
        *,
        bytes_most: int = 64 << 20,
        wait_s: float = 30.0,
    ) -> None:
        if not (bytes_most > 0 and wait_s > 0):
            raise InputError(f"http ingest: bytes_most = {bytes_most}, wait_s = {wait_s}; wanted both > 0")
        self._ingest, self._authenticate, self._gate = ingest, authenticate, gate
        self._bytes_most, self._wait_s = bytes_most, wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            status, told = await self._answer(scope, receive)
        except _Gone:
            return
        body = msgspec.json.encode(told)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status in (429, 503):
            headers.append((b"retry-after", b"5"))
        if status in (401, 405, 413):  # the body was not read
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, dict[str, Any]]:
        if scope["method"] != "POST":
            return 405, {"reason": "wanted POST"}
        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            actor = await self._authenticate(headers)
        except Refused as fault:
            return 401, {"reason": str(fault)}
        try:
            self._gate.permit(actor, "write readings", str(scope.get("path", "/ingest")))
        except Refused as fault:
            return 403, {"reason": str(fault)}
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._bytes_most:
            return 413, {"reason": f"wanted at most {self._bytes_most} bytes"}
        parts, size = list[bytes](), 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise _Gone
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            if size > self._bytes_most:
                return 413, {"reason": f"wanted at most {self._bytes_most} bytes"}
            if not event.get("more_body", False):
                break
        try:
            async with asyncio.timeout(self._wait_s):
                (result,) = await self._ingest.take([Message(actor, b"".join(parts))])
        except TimeoutError:
            return 503, {"reason": "the disk does not answer; send it again"}
        return _STATUS[result.outcome], {"readings": result.readings, "reason": result.reason}
