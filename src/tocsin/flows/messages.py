"""The messages of a platform: a CAP message drafted for each change of level, and let go by a person while its warning holds."""

from __future__ import annotations

from tocsin.flows.alerts import approved, draft_for, record_of
from tocsin.flows.common import PLATFORM, Common
from tocsin.platform.exchange import Alert, Status, read_cap
from tocsin.security.actor import Actor
from tocsin.vocabulary import AlertDraft, Conflict, InputError, Level, NotFound, Warning


class Messages:
    """Drafts and what was released of them. `sender` is who a message says that it is from."""

    def __init__(self, common: Common, sender: str) -> None:
        self._common, self.sender = common, sender

    def draft(self, warning_id: str, warning: Warning) -> str | None:
        """Draft the CAP message for a change of level; None where the warning may not warn the public or there is nothing to say."""
        gauge = next((g for g in self._common.gauges if g.site == warning.subject), None)
        earlier = self._message_before(warning)
        if (
            not warning.public
            or gauge is None
            or warning.level == Level.BLIND
            or (warning.level == Level.NONE and earlier is None)
        ):
            return None
        place, ground = self._common.twin.surroundings(gauge)
        now = self._common.host.clock.now()
        message = draft_for(warning, warning_id, sender=self.sender, place=place, ground=ground, now=now, earlier=earlier)
        record = record_of(message, time=now, subject=warning.subject, cause=(warning_id,))
        return self._common.ledger.append(PLATFORM, [record])[0]

    def _message_before(self, warning: Warning) -> Alert | None:
        """The last message about the same rule and site that went out and has not been cancelled; a draft that nobody released is none."""
        for draft in reversed(self._common.board.alerts.values()):
            if draft.status == "Draft":
                continue
            about = self._warning_of(draft)
            if about is not None and (about.rule, about.subject) == (warning.rule, warning.subject):
                return None if draft.message_type == "Cancel" else read_cap(draft.xml.encode()).alert
        return None

    def _warning_of(self, draft: AlertDraft) -> Warning | None:
        """The warning that a message speaks of: its cause, or that of the draft that it was released from."""
        for cause in draft.cause:
            if cause in self._common.board.warnings:
                return self._common.board.warnings[cause]
            if cause in self._common.board.alerts:
                return self._warning_of(self._common.board.alerts[cause])
        return None

    def release_all(self, actor: Actor) -> tuple[str, ...]:
        """Release the drafted message of every warning that holds; Actual only if this platform is. Returns the ids of the messages."""
        self._common.host.gate.permit(actor, "release alert", self._common.twin.manifest.name)
        with self._common.deciding:
            drafts = [draft_id for draft_id in self._common.board.alerts if not self._why_not_released(draft_id)]
            released = [self._released(draft_id) for draft_id in drafts]
            return self._common.ledger.append(actor, released) if released else ()

    def release(self, actor: Actor, draft_id: str) -> str:
        """Release one drafted message; Actual only if this platform is. Raises NotFound, or Conflict with why it cannot go out."""
        self._common.host.gate.permit(actor, "release alert", self._common.twin.manifest.name)
        with self._common.deciding:
            if draft_id not in self._common.board.alerts:
                raise NotFound(f"release: no alert {draft_id!r}")
            if why := self._why_not_released(draft_id):
                raise Conflict(f"release: {self._common.board.alerts[draft_id].headline or draft_id}: {why}")
            return self._common.ledger.append(actor, [self._released(draft_id)])[0]

    def _why_not_released(self, draft_id: str) -> str:
        """Why a message may not go out; empty where it may."""
        draft = self._common.board.alerts[draft_id]
        if draft.status != Status.DRAFT.value:
            return f"it is no draft but {draft.status}"
        if any(draft_id in alert.cause for alert in self._common.board.alerts.values()):
            return "it was released before"
        if not any(cause in self._common.board.warnings and self._common.board.is_active(cause) for cause in draft.cause):
            return "the warning that it speaks of does not hold any more; a newer message says so"
        return ""

    def _released(self, draft_id: str) -> AlertDraft:
        draft = self._common.board.alerts[draft_id]
        message = read_cap(draft.xml.encode()).alert
        if message is None:
            raise InputError(f"release: {draft_id}: the draft cannot be read as CAP")
        warning = next(
            cause for cause in draft.cause if cause in self._common.board.warnings and self._common.board.is_active(cause)
        )
        earlier = self._message_before(self._common.board.warnings[warning])
        now = self._common.host.clock.now()
        sent = approved(
            message,
            purpose=self._common.ledger.purpose,
            now=now,
            follows=(earlier,) if message.references and earlier else (),
            exercise=self._common.twin.manifest.name,
        )
        return record_of(sent, time=now, subject=draft.subject, cause=(draft_id,))
