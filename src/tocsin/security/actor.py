"""Who asks."""

from __future__ import annotations

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """A person, a node or a program, with the roles that an interface has proved. There is no anonymous actor."""

    name: str
    roles: frozenset[str]
