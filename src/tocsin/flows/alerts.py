"""From a warning to a CAP message: who is in the area, what is said, until when. It stays a draft until a person approves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import shapely

from tocsin.platform.exchange import (
    Alert,
    Category,
    Status,
    Words,
    area_around,
    cancel,
    draft_alert,
    release,
    update,
    write_cap,
)
from tocsin.vocabulary import AlertDraft, InputError, Level, Warning

HOLDS = timedelta(hours=6)
STATUS_BY_PURPOSE = {"actual": Status.ACTUAL, "exercise": Status.EXERCISE, "demo": Status.EXERCISE}
INSTRUCTIONS = {
    "flood": "Keep away from the water. Do not walk or drive through flooded streets. Follow the instructions of the emergency services.",
}


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
    fresh = draft_alert(
        identifier=identifier,
        sender=sender,
        sent=now,
        level=warning.level,
        category=Category.MET if warning.unit.startswith("mm") else Category.SAFETY,
        words=[
            Words(
                language="en",
                event=warning.hazard.capitalize(),
                headline=f"{warning.level.word.capitalize()} {warning.hazard} warning for {place}",
                description=warning.reason,
                instruction=INSTRUCTIONS.get(warning.hazard, "Follow the instructions of the emergency services."),
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
