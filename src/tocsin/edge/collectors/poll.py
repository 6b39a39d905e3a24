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
    url: str


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

    async def get(self, url: str, *, accept: str = "*/*", is_fresh: bool = False) -> Answer:
        """What stands there. `is_fresh`: also where it has not changed. Raises Unavailable, and Drop where it is too large."""
        asked = {} if is_fresh else self._seen.get(url, {})
        at = url
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                for _ in range(REDIRECTS_MOST):
                    headers = {
                        "accept": accept,
                        **(self._headers if _origin(at) == _origin(self._settings.url) else _AGENT),
                        **asked,
                    }
                    async with self._client.stream("GET", at, headers=headers) as response:
                        if response.is_redirect:
                            at = urljoin(at, response.headers.get("location", ""))
                            need_http(at)
                            if at.startswith("http:") and url.startswith("https:"):
                                raise Unavailable(f"{url}: sends us on from https to {at[:200]}; we do not follow")
                            continue
                        return await self._answer(url, at, response)
        except TimeoutError as fault:
            raise Unavailable(f"{url}: no whole answer within {self._settings.timeout_s:g} s") from fault
        except (OSError, InputError) as fault:
            raise Unavailable(f"{url}: {type(fault).__name__}: {fault}") from fault
        except Exception as fault:
            if not _is_http_fault(fault):
                raise
            raise Unavailable(f"{url}: {type(fault).__name__}: {fault}") from fault
        raise Unavailable(f"{url}: sends us on more than {REDIRECTS_MOST} times")

    async def _answer(self, url: str, at: str, response: httpx.Response) -> Answer:
        if response.status_code == 304:
            return Answer(None, at)
        if response.status_code == 204:
            return Answer(b"", at)
        if response.status_code != 200:
            raise Unavailable(f"{url}: answers {response.status_code} {response.reason_phrase}")
        parts, size = list[bytes](), 0
        async for part in response.aiter_bytes(1 << 16):  # unpacked: what a bomb unpacks to is bounded too
            size += len(part)
            if size > self._settings.bytes_most:
                raise Drop("too large", f"{url}: more than {self._settings.bytes_most} bytes")
            parts.append(part)
        self._settings.tally.receive(self._host.clock.now())
        seen = {"if-none-match": response.headers.get("etag"), "if-modified-since": response.headers.get("last-modified")}
        self._seen[url] = {name: value for name, value in seen.items() if value is not None and value.isprintable()}
        return Answer(b"".join(parts), at)

    def forget(self, url: str) -> None:
        """Ask for the whole again next time: what came was not used."""
        self._seen.pop(url, None)

    async def wait(self) -> None:
        """Until it is time to ask again."""
        await self._host.clock.sleep(self._settings.every_s)

    async def close(self) -> None:
        await self._client.aclose()


_AGENT = {"user-agent": USER_AGENT}


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _is_http_fault(fault: Exception) -> bool:
    import httpx

    return isinstance(fault, httpx.HTTPError | httpx.InvalidURL | httpx.StreamError)
