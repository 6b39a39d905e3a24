"""A small HTTP endpoint for devices that send: who has a token may POST, and 2xx is said when the readings are on disk."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import msgspec

from tocsin.edge.collectors.kind import Kind
from tocsin.edge.collectors.tally import Drop
from tocsin.host import Clock, Host
from tocsin.vocabulary import InputError, Unavailable

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]

GROUP_MOST = 500
TOKENS_BYTES_MOST = 8 << 20
CONNECTIONS_MOST = 1_000
WAITING_BYTES_MOST = 64 << 20
_LINE = re.compile(r"([A-Za-z0-9._:@-]{1,100})[ \t]+sha256:([0-9a-f]{64})", re.ASCII)


class Push:
    """One POST of a device. It is answered 200 when its readings are on disk, or refused."""

    def __init__(self, device: str, content_type: str, query: Mapping[str, str], payload: bytes) -> None:
        self.device, self.content_type, self.query, self.payload = device, content_type, query, payload
        self.readings = 0
        self.answer: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def close(self, status: int, reason: str = "") -> None:
        """Answer it, if it is not answered yet."""
        if not self.answer.done():
            self.answer.set_result((status, reason))


class PushKind(Kind, frozen=True, kw_only=True):
    """Settings of the endpoint: where it listens, who may send, and how much.

    `tokens_file` has a line `DEVICE sha256:HEX` for each device, the SHA-256 of its token in hexadecimal; the file is read again
    when it changes. `cert` and `key` are the server's own, PEM files; without them put it behind a server that speaks TLS.
    """

    tokens_file: str
    listen: str = "127.0.0.1"
    port: int = 8780
    path: str = "/push"
    cert: str = ""
    key: str = ""
    bytes_most: int = 1 << 20
    per_minute: float = 60.0
    burst: int = 20
    wait_s: float = 30.0
    waiting_most: int = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.path.startswith("/") and 0 <= self.port < 65_536 and 0 < self.bytes_most <= 1 << 28):
            raise self.fault("wanted path = '/...', port in 0..65535 and bytes_most in 1..2^28")
        if not (self.per_minute > 0 and self.burst >= 1 and self.wait_s > 0 and self.waiting_most >= 1):
            raise self.fault("wanted per_minute > 0, burst >= 1, wait_s > 0 and waiting_most >= 1")
        if bool(self.cert) != bool(self.key):
            raise self.fault("`cert` and `key` go together")

    async def pushes(self, host: Host, on_open: Callable[[int], None] | None = None) -> AsyncGenerator[list[Push], None]:
        """Groups of pushes. Asking for the next group answers the one before; `on_open` hears the port."""
        import uvicorn

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                """Signals are the node's business."""
                yield

        host.net.permit(self.listen, self.port)
        door = _Door(self, host.clock)
        listener = self._listener()
        try:
            config = uvicorn.Config(
                door,
                log_config=None,
                access_log=False,
                lifespan="off",
                limit_concurrency=CONNECTIONS_MOST,
                timeout_graceful_shutdown=1,
                ssl_certfile=self.cert or None,
                ssl_keyfile=self.key or None,
                server_header=False,
            )
            config.load()
        except (OSError, ValueError) as fault:
            listener.close()
            raise Unavailable(f"collector {self.name}: {self.cert}: cannot be used: {fault}") from fault
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        group: list[Push] = []
        try:
            if on_open is not None:
                on_open(listener.getsockname()[1])
            while True:
                group = await door.group(serving)
                yield group
                for push in group:
                    push.close(200)
        finally:
            for push in group:
                push.close(503, "not stored; send it again")
            door.close()
            server.should_exit = True
            await asyncio.wait([serving], timeout=5.0)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            listener.close()

    def _listener(self) -> socket.socket:
        try:
            family = socket.AF_INET6 if ":" in self.listen else socket.AF_INET
            return socket.create_server((self.listen, self.port), family=family, backlog=256)
        except OSError as fault:
            raise Unavailable(f"collector {self.name}: cannot listen at {self.listen}:{self.port}: {fault}") from fault


class Tokens:
    """Who may send: devices by the hash of their token, from a file that is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path, self._stamp = path, (0, 0)
        self._devices: dict[str, str] = {}

    def device(self, authorization: str) -> str | None:
        """Whose token this is; None if nobody's. Only hashes are compared, so the time it takes tells nothing of a token."""
        self._read()
        word, _, token = authorization.partition(" ")
        if word.lower() != "bearer" or not token.strip():
            return None
        return self._devices.get(hashlib.sha256(token.strip().encode()).hexdigest())

    def _read(self) -> None:
        try:
            stat = self._path.stat()
            stamp = stat.st_mtime_ns, stat.st_size
            if stamp == self._stamp:
                return
            text = self._path.read_bytes()[: TOKENS_BYTES_MOST + 1]
            if len(text) > TOKENS_BYTES_MOST:
                raise InputError(f"{self._path}: more than {TOKENS_BYTES_MOST} bytes")
            devices: dict[str, str] = {}
            for number, line in enumerate(text.decode().splitlines(), 1):
                if line.strip() and not line.startswith("#"):
                    match = _LINE.fullmatch(line.strip())
                    if match is None:
                        raise InputError(f"{self._path}, line {number}: wanted DEVICE sha256:HEX")
                    devices[match.group(2)] = match.group(1)
        except (OSError, UnicodeDecodeError, InputError) as fault:
            raise Unavailable(f"tokens: {fault}") from fault
        self._devices, self._stamp = devices, stamp


class _Door:
    """The ASGI application, and the pushes that wait behind it."""

    def __init__(self, settings: PushKind, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._tokens = Tokens(Path(settings.tokens_file))
        self._came: asyncio.Queue[Push] = asyncio.Queue(settings.waiting_most)
        self._left: dict[str, tuple[float, datetime]] = {}
        self._waiting_bytes = 0
        self._is_closed = False

    async def group(self, serving: asyncio.Task[None]) -> list[Push]:
        """All pushes that wait, at least one."""
        first = asyncio.create_task(self._came.get())
        try:
            await asyncio.wait([first, serving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not first.done():
                first.cancel()
        if not first.done() or first.cancelled():
            raise Unavailable(f"collector {self._settings.name}: the HTTP server has stopped")
        group = [first.result()]
        while len(group) < GROUP_MOST and not self._came.empty():
            group.append(self._came.get_nowait())
        self._waiting_bytes -= sum(len(push.payload) for push in group)
        return group

    def close(self) -> None:
        """Take nothing more, and tell those who wait."""
        self._is_closed = True
        while not self._came.empty():
            self._came.get_nowait().close(503, "the node stops; send it again")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            async with asyncio.timeout(2 * self._settings.wait_s):
                status, told = await self._answer(scope, receive)
        except TimeoutError:
            status, told = 408, {"reason": "the body did not come in time"}
        except _Gone:
            return
        body = msgspec.json.encode(told)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status in (429, 503):
            headers.append((b"retry-after", b"5"))
        if status not in (200, 422):
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, dict[str, Any]]:
        settings = self._settings
        if scope["path"] != settings.path:
            return 404, {"reason": "nothing is here"}
        if scope["method"] != "POST":
            return 405, {"reason": "wanted POST"}
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            device = self._tokens.device(headers.get(b"authorization", ""))
        except Unavailable as fault:
            settings.tally.drop(Drop("tokens", str(fault)))
            return 503, {"reason": "nobody can be let in at the moment"}
        if device is None:
            settings.tally.drop(Drop("nobody's token", f"from {(scope.get('client') or ['?'])[0]}"))
            return 401, {"reason": "wanted Authorization: Bearer TOKEN"}
        if not self._may(device):
            settings.tally.drop(Drop("too often", f"{device}: more than {settings.per_minute:g} a minute"))
            return 429, {"reason": f"wanted at most {settings.per_minute:g} a minute"}
        payload = await self._body(receive, headers.get(b"content-length", "0"))
        if payload is None:
            settings.tally.drop(Drop("too large", f"{device}: more than {settings.bytes_most} bytes"))
            return 413, {"reason": f"wanted at most {settings.bytes_most} bytes"}
        if self._is_closed or self._came.full() or self._waiting_bytes + len(payload) > WAITING_BYTES_MOST:
            return 503, {"reason": "too much waits; send it again"}
        query = {
            name: values[0] for name, values in parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=None).items()
        }
        push = Push(device, headers.get(b"content-type", "").partition(";")[0].strip().lower(), query, payload)
        settings.tally.receive(self._clock.now())
        self._came.put_nowait(push)
        self._waiting_bytes += len(payload)
        try:
            async with asyncio.timeout(settings.wait_s):
                status, reason = await push.answer
        except TimeoutError:
            return 503, {"reason": "the disk does not answer; send it again"}
        return status, {"readings": push.readings, "reason": reason}

    async def _body(self, receive: Receive, length: str) -> bytes | None:
        """The body, or None if it is too large; no more of it is kept than may come."""
        if not length.isdigit() or len(length) > 12 or int(length) > self._settings.bytes_most:
            return None
        parts, size = list[bytes](), 0
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise _Gone
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            if size > self._settings.bytes_most:
                return None
            if not event.get("more_body", False):
                return b"".join(parts)

    def _may(self, device: str) -> bool:
        """True if the device has not sent too much: a bucket of `burst`, refilled `per_minute`."""
        now = self._clock.now()
        left, then = self._left.get(device, (float(self._settings.burst), now))
        left = min(float(self._settings.burst), left + (now - then).total_seconds() * self._settings.per_minute / 60.0)
        self._left[device] = max(0.0, left - 1.0) if left >= 1.0 else left, now
        return left >= 1.0


class _Gone(Exception):
    """The client hung up before its body was whole."""
