"""Ask an HTTP server again and again, politely: only for what has changed, in a bounded time and size, no oftener than agreed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import msgspec

from tocsin import __version__
from tocsin.edge.collectors.kind import Kind, Secret, Tls
from tocsin.edge.collectors.tally import Drop
from tocsin.host import Host
from tocsin.vocabulary import InputError, Unavailable

if TYPE_CHECKING:
    import httpx

REDIRECTS_MOST = 5
REFUSED_MOST = 3
USER_AGENT = f"tocsin/{__version__}"


def need_http(url: str) -> None:
    """Raise InputError unless this is an address of http or https with a host."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or any(mark.isspace() or not mark.isprintable() for mark in url):
        raise InputError(f"url = {url[:100]!r}; wanted https://..., or http://...")


class Answer(msgspec.Struct, frozen=True):
    """What a server has sent; `body` is None where nothing has changed since."""

    body: bytes | None


class PollKind(Kind, frozen=True, kw_only=True):
    """Settings of a source that is asked every `every_s`. `headers` are sent along; `token` is sent as `Authorization: Bearer`."""

    url: str
    every_s: float = 60.0
    timeout_s: float = 30.0
    bytes_most: int = 32 << 20
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    token: Secret | None = None
    tls: Tls | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            need_http(self.url)
        except InputError as fault:
            raise self.fault(str(fault)) from fault
        if not (self.every_s >= 1.0 and 0.1 <= self.timeout_s <= 600.0 and 1 <= self.bytes_most <= 1 << 30):
            raise self.fault("wanted every_s >= 1, timeout_s in 0.1..600 and bytes_most in 1..2^30")
        for key, value in self.headers.items():
            if not (key.isascii() and key.replace("-", "").isalnum() and value.isascii() and value.isprintable()):
                raise self.fault(f"header {key[:60]!r}: wanted letters, digits and -, and printable ASCII as its value")

    def asking(self, host: Host) -> Asking:
        """The client with which one run of the collector asks; to be closed by it."""
        verify = True if self.tls is None else self.tls.context()
        headers = {"user-agent": USER_AGENT, **self.headers}
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token.read()}"
        return Asking(host, self, host.net.http(timeout_s=self.timeout_s, verify=verify), headers)


class Asking:
    """An HTTP client that remembers what each address last sent: ETag and Last-Modified."""

    def __init__(self, host: Host, settings: PollKind, client: httpx.AsyncClient, headers: Mapping[str, str]) -> None:
        self._host, self._settings, self._client, self._headers = host, settings, client, headers
        self._seen: dict[str, dict[str, str]] = {}
        self._refused = 0

    async def get(self, url: str, *, accept: str = "*/*", is_fresh: bool = False) -> Answer:
        """What stands there. `is_fresh`: also where it has not changed. Raises Unavailable, and Drop where it is too large."""
        asked = {} if is_fresh else self._seen.get(url, {})
        at = url
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                for _ in range(REDIRECTS_MOST):
                    own = self._headers if _host(at) == _host(self._settings.url) else _AGENT
                    headers = {"accept": accept, **own, **asked}
                    async with self._client.stream("GET", at, headers=headers) as response:
                        if response.has_redirect_location:
                            at = urljoin(at, response.headers.get("location", ""))
                            need_http(at)
                            if _host(at) != _host(url) or (at.startswith("http:") and url.startswith("https:")):
                                raise Unavailable(f"{url}: sends us on to {at[:200]}; if you trust that, ask there at once")
                            continue
                        answer = await self._answer(url, response)
                        if not is_fresh and answer.body is not None:
                            self._remember(url, response)
                        return answer
        except TimeoutError as fault:
            raise Unavailable(f"{url}: no whole answer within {self._settings.timeout_s:g} s") from fault
        except (OSError, InputError) as fault:
            raise Unavailable(f"{url}: {type(fault).__name__}: {fault}") from fault
        except Exception as fault:
            if not _is_http_fault(fault):
                raise
            raise Unavailable(f"{url}: {type(fault).__name__}: {fault}") from fault
        raise Unavailable(f"{url}: sends us on more than {REDIRECTS_MOST} times")

    async def _answer(self, url: str, response: httpx.Response) -> Answer:
        if response.status_code == 304:
            return Answer(None)
        if response.status_code == 204:
            return Answer(b"")
        if response.status_code != 200:
            raise Unavailable(f"{url}: answers {response.status_code} {response.reason_phrase}")
        parts, size = list[bytes](), 0
        async for part in response.aiter_bytes(1 << 16):  # unpacked: what a bomb unpacks to is bounded too
            size += len(part)
            if size > self._settings.bytes_most:
                raise Drop("too large", f"{url}: more than {self._settings.bytes_most} bytes")
            parts.append(part)
        self._settings.tally.receive(self._host.clock.now())
        return Answer(b"".join(parts))

    def _remember(self, url: str, response: httpx.Response) -> None:
        seen = {"if-none-match": response.headers.get("etag"), "if-modified-since": response.headers.get("last-modified")}
        self._seen[url] = {name: value for name, value in seen.items() if value is not None and value.isprintable()}

    def forget(self, url: str) -> None:
        """Ask for the whole again next time: what came was not used."""
        self._seen.pop(url, None)

    def accept(self) -> None:
        """The answer could be used."""
        self._refused = 0

    def refuse(self, url: str, drop: Drop) -> None:
        """The whole answer could not be used. It is counted; the third in a row is a source that is broken, and raises Unavailable."""
        self._settings.tally.drop(drop)
        self.forget(url)
        self._refused += 1
        if self._refused >= REFUSED_MOST:
            raise Unavailable(f"{url}: {self._refused} answers in a row cannot be used: {drop.reason}: {drop}") from drop

    async def wait(self) -> None:
        """Until it is time to ask again."""
        await self._host.clock.sleep(self._settings.every_s)

    async def close(self) -> None:
        await self._client.aclose()


_AGENT = {"user-agent": USER_AGENT}


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_http_fault(fault: Exception) -> bool:
    import httpx

    return isinstance(fault, httpx.HTTPError | httpx.InvalidURL | httpx.StreamError)
