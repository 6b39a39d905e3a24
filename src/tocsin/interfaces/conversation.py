"""A conversation with a platform in one person's name: with one that runs, by its address, or with the data folder of one that does not.

Both are asked the same requests of the HTTP interface: of a folder by the same application, in this process. The password is asked for
once; it opens the session, signs what has to be signed, and is kept in this process's memory only. Nothing of it is written anywhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from tocsin.host import WallClock
from tocsin.vocabulary import Conflict, InputError, NotFound, Refused, TocsinError, Unavailable

if TYPE_CHECKING:
    from tocsin.interfaces.serving import Platform

R = TypeVar("R")
API = "/api/v1"
ANSWER_BYTES_MOST = 64 * 2**20
CONNECT_S, ANSWER_S = 10.0, 120.0  # a limit that is set ranks all plans anew before it answers
KINDS: dict[str, type[TocsinError]] = {k.__name__: k for k in (Refused, NotFound, Conflict, InputError, Unavailable)}


class Conversation:
    """One person's requests. Raises what the platform raises, by its kind and in its words; Unavailable where nobody answers."""

    def __init__(self, client: httpx.AsyncClient, where: str, name: str, password: str, *, own: bool) -> None:
        """`own` says that the platform lives in this process: what runs there ends with it."""
        self.where, self.name, self.own = where, name, own
        self._client, self._password, self._csrf = client, password, ""
        self._runner = asyncio.Runner()
        self._sign_in()

    def get(self, *path: str, **query: str | int) -> Any:
        """What the platform answers to a question."""
        return self._ask("GET", path, None, query)

    def post(self, *path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask for something to be done."""
        return self._ask("POST", path, body or {}, {})

    def signed(self, *path: str, body: dict[str, Any]) -> Any:
        """Ask for something that the person's own key signs: the password goes with it."""
        return self._ask("POST", path, body | {"password": self._password}, {})

    def delete(self, *path: str) -> Any:
        """Ask for something to be taken out."""
        return self._ask("DELETE", path, None, {})

    def pause(self, seconds: float) -> None:
        """Wait before the next question."""
        self._run(WallClock().sleep(seconds))

    def close(self) -> None:
        """Sign out, and end the connection."""
        try:
            with suppress(TocsinError):
                self._once("DELETE", ("session",), None, {})
            self._run(self._client.aclose())
        finally:
            self._runner.close()

    def _sign_in(self) -> None:
        told = self._once("POST", ("session",), {"name": self.name, "password": self._password}, {})
        csrf = told.get("csrf") if isinstance(told, dict) else None
        if not isinstance(csrf, str):
            raise Unavailable(f"{self.where}: answered to the sign-in with something else; is it a Tocsin platform?")
        self._csrf = csrf

    def _ask(self, method: str, path: tuple[str, ...], body: dict[str, Any] | None, query: dict[str, str | int]) -> Any:
        try:
            return self._once(method, path, body, query)
        except _SessionEnded:  # as while a job is watched for a day
            self._sign_in()
            return self._once(method, path, body, query)

    def _once(self, method: str, path: tuple[str, ...], body: dict[str, Any] | None, query: dict[str, str | int]) -> Any:
        url = f"{API}/{'/'.join(quote(part, safe='') for part in path)}"
        try:
            status, raw = self._run(self._exchange(method, url, body, query))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            words = f"{type(fault).__name__}: {fault}".rstrip(": ")
            raise Unavailable(f"{self.where}: {words}; is it running, and is this its address?") from fault
        try:
            told = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise Unavailable(f"{self.where}: answered {status} with no JSON; is it a Tocsin platform?") from fault
        if status == httpx.codes.OK:
            return told
        error = told.get("error") if isinstance(told, dict) else None
        if not isinstance(error, dict):
            raise Unavailable(f"{self.where}: answered {status}; is it a Tocsin platform?")
        kind, message = str(error.get("kind")), str(error.get("message"))
        if kind == "NoSession":
            raise _SessionEnded(message)
        raise KINDS.get(kind, Unavailable)(message)

    async def _exchange(
        self, method: str, url: str, body: dict[str, Any] | None, query: dict[str, str | int]
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} | ({"X-Tocsin-CSRF": self._csrf} if self._csrf else {})
        content = None if body is None else msgspec.json.encode(body)
        async with self._client.stream(method, url, content=content, params=query, headers=headers) as answer:
            said = bytearray()
            async for part in answer.aiter_bytes():
                said += part
                if len(said) > ANSWER_BYTES_MOST:
                    raise Unavailable(f"{self.where}: the answer is over {ANSWER_BYTES_MOST:,} bytes: is it a platform?")
            return answer.status_code, bytes(said)

    def _run(self, asked: Coroutine[Any, Any, R]) -> R:
        return self._runner.run(asked)


class _SessionEnded(Refused):
    """Nobody is signed in any more."""


@contextmanager
def conversation(
    where: str, *, name: str, password: str, twin: Path | None = None, hazards: Sequence[str] = ("flood",), ca: Path | None = None
) -> Iterator[Conversation]:
    """Speak with the platform at an address (http:// or https://), or with the data folder `where` of one that does not run.

    The folder's platform needs the `twin` and the `hazards` that it is served with. Raises Conflict where the folder is written by a
    platform that runs, Refused where the password is wrong, or where it would go over a network in clear.
    """
    with ExitStack() as ends:
        if "://" in where:
            client = _over_the_network(where, ca)
        else:
            if twin is None:
                raise InputError(
                    f"{where}: is taken for a data folder; wanted --twin, the twin's folder, too, or the address of a platform"
                )
            client = _in_this_process(ends.enter_context(_opened(Path(where), twin, hazards)))
        speaking = Conversation(client, where, name, password, own="://" not in where)
        ends.callback(speaking.close)
        yield speaking


def _over_the_network(url: str, ca: Path | None) -> httpx.AsyncClient:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as fault:
        raise InputError(f"{url[:80]!r}: {fault}; wanted https://HOST") from fault
    if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/") or parts.query or parts.username:
        raise InputError(
            f"{url[:80]!r}: is no address of a platform; wanted https://HOST, or http://127.0.0.1:PORT on this machine"
        )
    local = _is_this_machine(host)
    if parts.scheme == "http" and not local:
        raise Refused(f"{url}: the password would go over the network in clear; wanted https://, or http:// on this machine")
    try:
        verify = ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as fault:
        raise InputError(f"--ca {ca}: {fault}; wanted a PEM file") from fault
    return httpx.AsyncClient(
        base_url=f"{parts.scheme}://{parts.netloc}",
        verify=verify,
        timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
        trust_env=not local,  # a proxy is for others
        follow_redirects=False,
    )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_this_process(platform: Platform) -> httpx.AsyncClient:
    from tocsin.interfaces.http import make_app

    transport = httpx.ASGITransport(app=make_app(platform.centre), client=("local", 0))
    return httpx.AsyncClient(transport=transport, base_url="http://platform")


@contextmanager
def _opened(data: Path, twin: Path, hazards: Sequence[str]) -> Iterator[Platform]:
    """The platform of a data folder, without its node, its sensors and its duties: nothing runs but what is asked for."""
    from tocsin.flows.hazard_watch import Watched
    from tocsin.interfaces.serving import open_platform, outlook_of
    from tocsin.pack import find_pack
    from tocsin.platform.ledger import open_ledger
    from tocsin.platform.twin import open_twin
    from tocsin.security.gate import RoleGate

    if not data.is_dir():
        raise NotFound(f"{data}: there is no such data folder; wanted one of `tocsin serve`, or an address, http://...")
    clock, place, packs = WallClock(), open_twin(twin), [find_pack(hazard) for hazard in hazards]
    ledger = open_ledger(data, clock=clock, gate=RoleGate(), read_only=True)
    purpose = ledger.purpose
    ledger.close()
    watched = [Watched(pack, outlook_of(pack, place, lambda: platform.centre.board.bulletins.values())) for pack in packs]
    platform = open_platform(data, twin=place, watched=watched, clock=clock, purpose=purpose)
    try:
        yield platform
    finally:
        platform.close()
