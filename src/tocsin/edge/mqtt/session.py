"""What the endpoint remembers of a client between its connections: what it asked for, and what it has not yet had.

Sessions are in memory: after a restart of the server a client is told that its session is gone, subscribes again and sends again what
was not acknowledged. Readings are on disk and known again after the restart, so what is sent twice is stored once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

import msgspec

from tocsin.edge.mqtt.wire import NOTHING, Filter, Kind, Properties, Publish, Will, encode
from tocsin.security.actor import Actor

if TYPE_CHECKING:
    from tocsin.edge.mqtt.endpoint import Connection

Drop = Literal["oldest", "newest"]


class Outgoing(msgspec.Struct):
    """A message on its way to one subscriber, or, at quality 0, to many."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties
    urgent: bool
    expires_at: float | None = None
    bytes_by_version: dict[int, bytes] = {}

    def is_expired(self, now: float) -> bool:
        """Whether it has waited longer than its sender wanted."""
        return self.expires_at is not None and now >= self.expires_at

    def encoded(self, version: int, now: float, packet_id: int = 0, *, dup: bool = False) -> bytes:
        """As bytes; at quality 0 they are made once for all who get them."""
        if not self.qos and version in self.bytes_by_version:
            return self.bytes_by_version[version]
        properties = self.properties
        if self.expires_at is not None:
            properties = msgspec.structs.replace(properties, message_expiry_s=max(1, round(self.expires_at - now)))
        told = encode(Publish(self.topic, self.payload, self.qos, self.retain, dup, packet_id, properties), version)
        if not self.qos and self.expires_at is None:
            self.bytes_by_version[version] = told
        return told


class Subscription(msgspec.Struct, frozen=True, eq=False):
    """One filter of one session, as it was asked for."""

    session: Session
    asked: Filter
    identifier: int | None = None

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Itself: everybody who subscribes alone gets every message."""
        return (self,)


class Group:
    """The members of a shared subscription: each message goes to one of them, in turn, to one that is connected if there is any."""

    def __init__(self) -> None:
        self.members: dict[str, Subscription] = {}
        self._turn = 0

    def subscriptions(self) -> tuple[Subscription, ...]:
        """Whose turn it is."""
        here = [member for member in self.members.values() if member.session.connection is not None]
        of = here or list(self.members.values())
        self._turn += 1
        return (of[self._turn % len(of)],)


class Session:
    """One client: its subscriptions, its queue, and the packets that are under way in both directions."""

    def __init__(self, client_id: str, actor: Actor) -> None:
        self.client_id, self.actor = client_id, actor
        self.connection: Connection | None = None
        self.expiry_s = 0
        self.ends_at: float | None = None
        self.will: Will | None = None
        self.will_at: float | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.queue: deque[Outgoing] = deque()
        self.urgent: deque[Outgoing] = deque()
        self.sent: dict[int, tuple[Outgoing, Kind]] = {}  # by packet identifier: what was sent, and which answer is due
        self.received: dict[int, bool] = {}  # messages of quality 2 by packet identifier: whether PUBREC was said
        self._last_id = 0

    def new_id(self) -> int:
        """A packet identifier that is free."""
        while True:
            self._last_id = self._last_id % 65_535 + 1
            if self._last_id not in self.sent:
                return self._last_id

    def put(self, message: Outgoing, most: int, drop: Drop) -> int:
        """Queue a message; return how many were dropped for it. An urgent message is never dropped, and never drops another."""
        if message.urgent:
            self.urgent.append(message)
            return 0
        if len(self.queue) < most:
            self.queue.append(message)
            return 0
        if drop == "oldest":
            self.queue.popleft()
            self.queue.append(message)
        return 1

    def next(self, now: float) -> tuple[Outgoing | None, int]:
        """The message to send next, which stays in its queue until `taken`; and how many had expired before it."""
        expired = 0
        for queue in (self.urgent, self.queue):
            while queue:
                if not queue[0].is_expired(now):
                    return queue[0], expired
                queue.popleft()
                expired += 1
        return None, expired

    def taken(self) -> None:
        """The message that `next` gave was sent."""
        (self.urgent or self.queue).popleft()


def to_send(
    topic: str,
    payload: bytes,
    qos: int,
    *,
    retain: bool,
    properties: Properties,
    ids: tuple[int, ...],
    urgent: bool,
    expires_at: float | None,
) -> Outgoing:
    """A message as a subscriber gets it: without what was between the sender and us, with the subscriber's own identifiers."""
    if properties is not NOTHING or ids:
        properties = msgspec.structs.replace(properties, topic_alias=None, subscription_ids=ids)
    return Outgoing(topic, payload, qos, retain, properties, urgent, expires_at)
