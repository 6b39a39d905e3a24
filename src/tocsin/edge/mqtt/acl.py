"""Who may publish and subscribe where: patterns of topics for each device, and the gate above them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from tocsin.edge.mqtt.topics import check_filter, covers
from tocsin.host import Gate
from tocsin.security.actor import Actor
from tocsin.vocabulary import InputError, Refused

Access = Literal["publish", "subscribe"]
# What the gate is asked before the patterns are: a device brings readings, a listener reads the situation.
ACTS: Mapping[Access, str] = {"publish": "write readings", "subscribe": "read situation"}


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Topic filters of what a device may do. `{name}` stands for the actor's name, `{client}` for the client identifier.

    `own` topics are the device's own: it may publish and subscribe there without holding a role that reads the situation, as for
    commands to itself.
    """

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in (*self.publish, *self.subscribe, *self.own):
            check_filter(pattern.replace("{name}", "x").replace("{client}", "x"))


class Acl:
    """Permits what a grant covers and the gate allows. `grants` by the actor's name; `usual` for who has none of his own."""

    def __init__(self, gate: Gate, *, grants: Mapping[str, Grant] | None = None, usual: Grant | None = None) -> None:
        self._gate, self._grants, self._usual = gate, grants or {}, usual or Grant()

    def permit(self, actor: Actor, client_id: str, access: Access, topic: str) -> None:
        """Return, or raise Refused. For a subscription every topic that it can see must be granted."""
        grant = self._grants.get(actor.name, self._usual)
        if any(covers(pattern, topic) for pattern in _filled(grant.own, actor, client_id)):
            return
        self._gate.permit(actor, ACTS[access], topic)
        patterns = grant.publish if access == "publish" else grant.subscribe
        if not any(covers(pattern, topic) for pattern in _filled(patterns, actor, client_id)):
            raise Refused(
                f"mqtt: {actor.name} may not {access} {topic[:100]!r}: granted: {', '.join(patterns) or 'nothing'}; "
                "give this device a grant that covers it"
            )


def _filled(patterns: tuple[str, ...], actor: Actor, client_id: str) -> list[str]:
    """The patterns with names in them; a name that would be a wildcard or several levels fills nothing."""
    names = {"{name}": actor.name, "{client}": client_id}
    filled = []
    for pattern in patterns:
        told = pattern
        for mark, name in names.items():
            if mark in told:
                if not name or any(sign in name for sign in "+#/"):
                    break
                told = told.replace(mark, name)
        else:
            filled.append(told)
    return filled


def plain_name(name: str) -> str:
    """A client identifier as it is, if it can be printed and is not too long; else InputError."""
    if not name or len(name) > 256 or not name.isprintable():
        raise InputError(f"mqtt client identifier {name[:60]!r}; wanted 1 to 256 characters that can be printed")
    return name
