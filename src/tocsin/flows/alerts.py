"""CAP messages, from a warning or in a person's own words: who is in the area, what is said, until when.

Each stays a draft until a person approves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import shapely

from tocsin.pack import PublicWords, find_pack, find_packs
from tocsin.platform.exchange import (
    Alert,
    Category,
    Problem,
    Status,
    Words,
    advice,
    area_around,
    cancel,
    draft_alert,
    release,
    update,
    write_cap,
)
from tocsin.platform.twin import Twin
from tocsin.vocabulary import AlertDraft, InputError, Level, NotFound, Warning
from tocsin.vocabulary.errors import named

HOLDS = timedelta(hours=6)  # how long a draft holds where nobody says: a planning choice of ours, without a source
STATUS_BY_PURPOSE = {"actual": Status.ACTUAL, "exercise": Status.EXERCISE, "demo": Status.EXERCISE}


def identifier_of(sender: str, warning_id: str) -> str:
    """A message's name: the sender's, and that of the warning it speaks of."""
    return f"{sender.replace('@', '.')}.{warning_id}"


def draft_for(
    warning: Warning,
    warning_id: str,
    *,
    sender: str,
    place: str,
    ground: shapely.Geometry,
    now: datetime,
    earlier: Alert | None = None,
) -> Alert:
    """The message for a warning that was raised, lowered or ended; an update or a cancel where there was one before.

    Raises InputError where the warning rests on numbers that nobody compared with their source: such a warning is for the operations
    centre alone.
    """
    if not warning.public:
        raise InputError(f"alert for {warning.subject}: {warning.rule} rests on unverified limits; it may not warn the public")
    identifier = identifier_of(sender, warning_id)
    if warning.level <= Level.NONE:
        if earlier is None:
            raise InputError(f"alert for {warning.subject}: level {warning.level.word} and no earlier message to cancel")
        return cancel(earlier, identifier=identifier, sent=now, reason=warning.reason)
    pack = find_packs().get(warning.hazard)
    public = PublicWords() if pack is None else pack.public
    fresh = draft_alert(
        identifier=identifier,
        sender=sender,
        sent=now,
        level=warning.level,
        category=Category(public.category),
        words=[
            Words(
                language="en",
                event=public.event,
                headline=f"{warning.level.word.capitalize()} {warning.hazard} warning for {place}",
                description=warning.reason,
                instruction=public.instruction,
            )
        ],
        areas=[area_around(place, ground)],
        expires=now + HOLDS,
    )
    return fresh if earlier is None else update(earlier, fresh)


def approved(draft: Alert, *, purpose: str, now: datetime, follows: Sequence[Alert] = (), exercise: str = "") -> Alert:
    """The message as it may go out after a person approved it: Actual only where the platform's purpose is."""
    if purpose not in STATUS_BY_PURPOSE:
        raise InputError(f"alert {draft.identifier}: purpose {purpose!r}; wanted one of {', '.join(STATUS_BY_PURPOSE)}")
    return release(draft, status=STATUS_BY_PURPOSE[purpose], sent=now, follows=follows, exercise=exercise)


def record_of(alert: Alert, *, time: datetime, subject: str, cause: tuple[str, ...]) -> AlertDraft:
    """The message as the ledger keeps it."""
    return AlertDraft(
        time=time,
        subject=subject,
        cause=cause,
        identifier=alert.identifier,
        status=alert.status.value,
        message_type=alert.msg_type.value,
        headline=alert.info[0].headline if alert.info else alert.note,
        xml=write_cap(alert).decode(),
    )


class Message(msgspec.Struct, frozen=True):
    """A drafted CAP message: as a value, as the XML that would be sent, and what a person should look at before approving it."""

    alert: Alert
    xml: bytes
    advice: tuple[Problem, ...]


def draft_message(
    twin: Twin,
    *,
    zones: Sequence[str],
    level: Level,
    headline: str,
    description: str,
    sender: str,
    now: datetime,
    instruction: str = "",
    holds_s: float = HOLDS.total_seconds(),
    language: str = "en",
    hazard: str = "flood",
    event: str = "",
    sender_name: str = "",
    status: str = Status.DRAFT.value,
    exercise: str = "",
    identifier: str = "",
) -> Message:
    """A new warning for zones of the twin; raises NotFound with the zones that there are. It says so where the place is made up.

    The hazard's pack says the category, and what the event is called where `event` does not.
    """
    public = find_pack(hazard).public
    shapes = twin.zone_shapes
    for zone in zones:
        if zone not in shapes:
            raise NotFound(f"twin {twin.manifest.name}: no zone {zone!r}; there are: {named(zone, sorted(shapes))}")
    areas = [area_around(zone, twin.lonlat(shapes[zone])) for zone in dict.fromkeys(zones)]
    words = Words(
        language=language,
        event=event or public.event,
        headline=headline,
        description=description,
        instruction=instruction,
        sender_name=sender_name,
    )
    alert = draft_alert(
        identifier=identifier or _identifier(sender, now, headline, description, *zones),
        sender=sender,
        sent=now,
        level=level,
        category=Category(public.category),
        words=[words],
        areas=areas,
        expires=now + timedelta(seconds=holds_s),
        status=Status(status),
        exercise=exercise,
        note=f"{twin.manifest.name} is made up" if twin.manifest.made_up else "",
    )
    return _message(alert)


def update_message(
    earlier: Alert,
    *,
    level: Level,
    headline: str,
    description: str,
    now: datetime,
    instruction: str = "",
    holds_s: float = HOLDS.total_seconds(),
    language: str = "",
    status: str = Status.DRAFT.value,
    exercise: str = "",
    identifier: str = "",
) -> Message:
    """A message that replaces `earlier`, for the same areas and event."""
    if not earlier.info:
        raise InputError(f"cap update of {earlier.identifier}: it has no info to take areas from; draft a new message")
    told = earlier.info[0]
    words = Words(
        language=language or told.language,
        event=told.event,
        headline=headline,
        description=description,
        instruction=instruction,
        sender_name=told.sender_name,
    )
    fresh = draft_alert(
        identifier=identifier or _identifier(earlier.sender, now, headline, description, earlier.identifier),
        sender=earlier.sender,
        sent=now,
        level=level,
        category=told.category[0],
        words=[words],
        areas=told.area,
        expires=now + timedelta(seconds=holds_s),
        status=Status(status),
        exercise=exercise,
    )
    return _message(update(earlier, fresh))


def cancel_message(
    earlier: Alert,
    *,
    reason: str,
    now: datetime,
    headline: str = "",
    description: str = "",
    holds_s: float = HOLDS.total_seconds(),
    identifier: str = "",
) -> Message:
    """A message that calls `earlier` back; with a headline the public is told that it is over."""
    words: list[Words] = []
    if headline and earlier.info:
        told = earlier.info[0]
        words = [Words(language=told.language, event=told.event, headline=headline, description=description or reason)]
    alert = cancel(
        earlier,
        identifier=identifier or _identifier(earlier.sender, now, reason, earlier.identifier),
        sent=now,
        reason=reason,
        words=words,
        expires=now + timedelta(seconds=holds_s) if words else None,
    )
    return _message(alert)


def _identifier(sender: str, now: datetime, *content: str) -> str:
    digest = hashlib.sha256("\n".join(content).encode()).hexdigest()[:12]
    return f"{sender.replace('@', '.')}.{now:%Y%m%dT%H%M%SZ}.{digest}"


def _message(alert: Alert) -> Message:
    return Message(alert, write_cap(alert), advice(alert))
