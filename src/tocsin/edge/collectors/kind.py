"""What every kind of collector is: settings that are checked when they are made, and that collect by themselves.

A collector lives for one connection, or as long as its source answers. When that breaks it raises, and the node starts it again,
later and later: no collector has a retry of its own. What is wrong with one message is counted in its tally and stops nothing.
"""

from __future__ import annotations

import os
import ssl
from functools import cached_property
from pathlib import Path

import msgspec

from tocsin.edge.collectors.pick import Intake
from tocsin.edge.collectors.tally import Tally
from tocsin.vocabulary import InputError, Unavailable

SECRET_BYTES_MOST = 10_000


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Settings with a name. A subclass adds its own, checks them in `__post_init__`, and has `batches(host)`."""

    name: str

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= 100 or not self.name.isprintable():
            raise InputError(f"collector: name = {self.name[:100]!r}; wanted 1 to 100 printable characters")

    @cached_property
    def tally(self) -> Tally:
        """What came since the process began."""
        return Tally(self.name)

    @cached_property
    def intake(self) -> Intake:
        """The way in for its readings."""
        return Intake(self.tally)

    def fault(self, words: str) -> InputError:
        """Something in the settings that cannot be."""
        return InputError(f"collector {self.name}: {words}")


class Secret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A password or a token that is not in the settings: the name of an environment variable, or of a file."""

    env: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        if bool(self.env) == bool(self.file):
            raise InputError("secret: wanted either `env`, the name of a variable, or `file`")

    def read(self) -> str:
        """The secret as it is now; raises Unavailable where it is not there."""
        try:
            text = os.environ[self.env] if self.env else Path(self.file).read_text(encoding="utf-8")[:SECRET_BYTES_MOST]
        except KeyError as fault:
            raise Unavailable(f"secret: the environment has no {self.env}; set it where the node is started") from fault
        except (OSError, UnicodeDecodeError) as fault:
            raise Unavailable(f"secret: {self.file} cannot be read: {fault}") from fault
        if not text.strip():
            raise Unavailable(f"secret: {self.env or self.file} is empty")
        return text.strip()


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS with the certificate authorities of the system, or those in `ca`; `cert` and `key` say who we are. PEM files."""

    ca: str = ""
    cert: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            raise InputError("tls: `cert` and `key` go together")

    def context(self) -> ssl.SSLContext:
        """What a client needs; raises Unavailable where a file cannot be read."""
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as fault:
            raise Unavailable(f"tls: {self.ca or self.cert} cannot be used: {fault}") from fault
        return context
