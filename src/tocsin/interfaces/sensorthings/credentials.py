"""Who asks SensorThings: a session of the console, or HTTP Basic with the name and password of a user. Nobody is anonymous."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from datetime import datetime, timedelta

import msgspec
from starlette.requests import Request

from tocsin.flows.centre import Centre
from tocsin.host import Clock, WallClock
from tocsin.interfaces.http.guard import COOKIE, NoSession, actor_of
from tocsin.security.actor import Actor
from tocsin.vocabulary import NotFound

REMEMBERED_FOR = timedelta(minutes=5)
REMEMBERED_MOST = 256


class _Known(msgspec.Struct, frozen=True):
    name: str
    until: datetime


class Credentials:
    """Proves who asks, for one platform.

    Checking a password takes 0.2 s and 64 MiB on purpose, so a Basic credential that was right is remembered for REMEMBERED_FOR:
    by an HMAC under a key that lives in this process only, at most REMEMBERED_MOST of them. Whether the user still exists, is not
    disabled, and which roles he has, is asked every time. A password that was changed goes on for that time at most.
    """

    def __init__(self, centre: Centre, clock: Clock | None = None) -> None:
        self._centre, self._clock = centre, clock or WallClock()
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Actor:
        """The actor; raises NoSession where nobody signs in, Refused where the password is wrong."""
        header = request.headers.get("authorization", "")
        if not header and request.cookies.get(COOKIE):
            return actor_of(self._centre, request)
        return self.of_header(header, request.client.host if request.client else "")

    def of_header(self, header: str, source: str) -> Actor:
        """The actor of an Authorization header; raises NoSession where it says nobody, Refused where the password is wrong."""
        scheme, _, words = header.partition(" ")
        if scheme.lower() != "basic":
            raise NoSession("no credentials: sign in to the console, or send HTTP Basic with the name and password of a user")
        try:
            name, colon, password = base64.b64decode(words.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as fault:
            raise NoSession(f"HTTP Basic: the credential cannot be read: {fault}") from fault
        if not colon:
            raise NoSession("HTTP Basic: the credential has no colon; wanted name:password in base64")
        return self.prove(name, password, source)

    def prove(self, name: str, password: str, source: str) -> Actor:
        """The actor of a name and password that come from `source`; raises NoSession, or Refused where the password is wrong."""
        digest = hmac.new(self._key, f"{len(name)}:{name}:{password}".encode(), hashlib.sha256).digest()
        now = self._clock.now()
        with self._lock:
            known = self._known.get(digest)
        if known is not None and now < known.until:
            return self._still(known.name)
        actor = self._centre.users.sign_in(name, password, source)
        with self._lock:
            self._known[digest] = _Known(actor.name, now + REMEMBERED_FOR)
            self._known.move_to_end(digest)
            while len(self._known) > REMEMBERED_MOST:
                self._known.popitem(last=False)
        return actor

    def _still(self, name: str) -> Actor:
        try:
            user = self._centre.users.find(name)
        except NotFound as fault:
            raise NoSession("HTTP Basic: there is no such user any more") from fault
        if user.disabled is not None:
            raise NoSession("HTTP Basic: the user is disabled; ask an administrator")
        return Actor(user.name, user.roles)
