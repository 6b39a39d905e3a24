"""SensorThings alone, on this machine only, for a trial or for an outside conformance suite: everybody is the actor `visitor`."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import tempfile
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request

from tocsin.host import Clock, WallClock
from tocsin.interfaces.http.app import SecurityHeaders
from tocsin.interfaces.sensorthings.routes import ROOT, sensorthings_routes
from tocsin.interfaces.sensorthings.service import READ, WRITE, Service
from tocsin.interfaces.serving import address_of, free_port
from tocsin.interfaces.show import Show
from tocsin.platform.things import FILE_NAME, Limits, Things, open_things
from tocsin.security.actor import Actor
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import InputError, Unavailable

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


def trial_app(service: Service) -> Starlette:
    """The application of a trial: only SensorThings, only for names of this machine, so that no web page's DNS can lead here."""

    def visitor(_request: Request) -> Actor:
        return VISITOR

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES)
    return Starlette(routes=list(sensorthings_routes(service, visitor)), middleware=[Middleware(SecurityHeaders), hosts])


def run_trial(
    *,
    port: int,
    host: str = "127.0.0.1",
    mqtt_port: int = 0,
    data: Path | None = None,
    page_most: int = 1_000,
    as_json: bool = False,
    clock: Clock | None = None,
) -> None:
    """Serve until Ctrl-C; without a folder the data lives as long as the command."""
    check_loopback(host)
    show = Show(as_json=as_json)
    with tempfile.TemporaryDirectory(prefix="tocsin-things-") as passing:
        folder = data if data is not None else Path(passing)
        listener = free_port(host, port)
        try:
            things = open_things(folder / FILE_NAME, clock=clock or WallClock(), limits=Limits(page_most=page_most))
            try:
                asyncio.run(_serve(things, listener, show, folder, host, mqtt_port))
            except KeyboardInterrupt:
                pass
            finally:
                things.close()
        finally:
            listener.close()


async def _serve(things: Things, listener: socket.socket, show: Show, folder: Path, host: str, mqtt_port: int) -> None:
    import uvicorn

    from tocsin.edge.mqtt.endpoint import Endpoint, Login
    from tocsin.interfaces.sensorthings.over_mqtt import OverMqtt

    service, address = Service(things, RoleGate()), f"{address_of(listener).rstrip('/')}{ROOT}"

    async def visitor(_login: Login) -> Actor:
        return VISITOR

    def permit(actor: Actor, _client: str, access: str, topic: str) -> None:
        service.gate.permit(actor, READ if access == "subscribe" else WRITE, topic[:200])

    endpoint = Endpoint(visitor, permit)
    updates = OverMqtt(service, endpoint, address)
    try:
        port = await endpoint.listen(host, mqtt_port)
    except OSError as fault:
        raise Unavailable(f"{host}:{mqtt_port}: {fault.strerror}; choose another --mqtt-port, or 0 for a free one") from fault
    service.mqtt = (f"mqtt://{host}:{port}",)
    words = f"SensorThings 1.1 for a trial: {address} and {service.mqtt[0]} (purpose: exercise; everybody on this machine may read and write)"
    show.line(
        "console", f"{words}; Ctrl-C stops it", address=address, mqtt=service.mqtt[0], purpose="exercise", folder=str(folder)
    )
    config = uvicorn.Config(
        trial_app(service), log_level="warning", lifespan="off", timeout_graceful_shutdown=1, access_log=False
    )
    telling = asyncio.create_task(updates.run())
    try:
        await uvicorn.Server(config).serve(sockets=[listener])
    finally:
        telling.cancel()
        await endpoint.close()
