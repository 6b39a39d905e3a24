"""SensorThings alone, on this machine only, for a trial or for an outside conformance suite: everybody is the actor `visitor`."""

from __future__ import annotations

import ipaddress
import tempfile
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request

from tocsin.host import Clock, WallClock
from tocsin.interfaces.http.app import SecurityHeaders
from tocsin.interfaces.sensorthings.routes import ROOT, sensorthings_routes
from tocsin.interfaces.sensorthings.service import Service
from tocsin.interfaces.serving import address_of, free_port
from tocsin.interfaces.show import Show
from tocsin.platform.things import FILE_NAME, Limits, Things, open_things
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import InputError

VISITOR = Actor("visitor", frozenset({"sensor"}))  # the role that may read and write things, and nothing of people and plans
LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]", "::1"]


def check_loopback(host: str) -> None:
    """Return if an address is this machine only; else raise InputError: who comes from elsewhere has to say who he is."""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise InputError(
            f"sensorthings try: the address {host!r} is not this machine's own; wanted 127.0.0.1: here nobody signs in. "
            "For others, run tocsin serve"
        )


def trial_app(things: Things) -> Starlette:
    """The application of a trial: only SensorThings, only for names of this machine, so that no web page's DNS can lead here."""
    service = Service(things, RoleGate())

    def visitor(_request: Request) -> Actor:
        return VISITOR

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES)
    return Starlette(routes=list(sensorthings_routes(service, visitor)), middleware=[Middleware(SecurityHeaders), hosts])


def run_trial(
    *,
    port: int,
    host: str = "127.0.0.1",
    data: Path | None = None,
    page_most: int = 1_000,
    as_json: bool = False,
    clock: Clock | None = None,
) -> None:
    """Serve until Ctrl-C; without a folder the data lives as long as the command."""
    import uvicorn

    check_loopback(host)
    show = Show(as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="tocsin-things-") as passing:
        folder = data if data is not None else Path(passing)
        listener = free_port(host, port)
        try:
            things = open_things(folder / FILE_NAME, clock=clock or WallClock(), limits=Limits(page_most=page_most))
            try:
                address = f"{address_of(listener).rstrip('/')}{ROOT}"
                words = (
                    f"SensorThings 1.1 for a trial: {address} (purpose: exercise; everybody on this machine may read and write)"
                )
                show.line("console", f"{words}; Ctrl-C stops it", address=address, purpose="exercise", folder=str(folder))
                config = uvicorn.Config(
                    trial_app(things), log_level="warning", lifespan="off", timeout_graceful_shutdown=1, access_log=False
                )
                uvicorn.Server(config).run(sockets=[listener])
            except KeyboardInterrupt:
                pass
            finally:
                things.close()
        finally:
            listener.close()
