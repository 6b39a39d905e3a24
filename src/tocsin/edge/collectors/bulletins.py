"""What an agency has said about each event so far, so that only what is new is written, and as the revision of what was before.

The ledger is the memory: after a restart it is read again, and a feed that is asked every minute for years writes each revision once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from tocsin.host import Host
from tocsin.vocabulary import Bulletin, record_id

ISSUED, UPDATED, REPLACED, CANCELLED = "issued", "updated", "replaced", "cancelled"
SUBJECT_CHARACTERS_MOST = 300
EVENTS_MOST = 50_000


class Told:
    """The last revision of each event of one source."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._last: dict[str, tuple[str, Bulletin]] = {}
        self._subjects: dict[str, str] = {}  # of every revision that was told
        self._read = 0

    def learn(self, host: Host) -> None:
        """Take what the ledger holds since we last looked."""
        for entry in host.ledger.read(self._read):
            self._read = entry.number
            if isinstance(entry.record, Bulletin) and entry.record.source == self._source:
                self._remember(entry.id, entry.record)

    def _remember(self, record_id: str, bulletin: Bulletin) -> None:
        self._last[bulletin.subject] = record_id, msgspec.structs.replace(bulletin, text="", parts=msgspec.UNSET)
        self._subjects[bulletin.revision] = bulletin.subject

    def last(self, subject: str) -> Bulletin | None:
        """The last revision of an event, without its text and its parts."""
        return self._last[subject][1] if subject in self._last else None

    def subject_of(self, revision: str) -> str | None:
        """The event that a revision was told of, where revisions have names of their own, as in CAP."""
        return self._subjects.get(revision)

    def open(self) -> Iterator[Bulletin]:
        """The last revision of each event that is neither cancelled nor replaced."""
        return (bulletin for _, bulletin in list(self._last.values()) if bulletin.state not in (CANCELLED, REPLACED))

    def news(self, bulletins: Iterable[Bulletin]) -> tuple[Bulletin, ...]:
        """Those that say something new, with the revision before as their cause. A revision that is older than ours is no news.

        They are only remembered when `keep` is called: when they are in the ledger.
        """
        found: list[Bulletin] = []
        meanwhile: dict[str, tuple[str, Bulletin]] = {}
        for bulletin in bulletins:
            before_id, before = meanwhile.get(bulletin.subject) or self._last.get(bulletin.subject) or ("", None)
            if before is not None:
                if bulletin.revision == before.revision or bulletin.time < before.time:
                    continue
                state = UPDATED if bulletin.state == ISSUED else bulletin.state
                bulletin = msgspec.structs.replace(bulletin, cause=(before_id,), state=state)
            meanwhile[bulletin.subject] = record_id(bulletin), bulletin
            found.append(bulletin)
        return tuple(found)

    def keep(self, news: Iterable[Bulletin]) -> None:
        """Remember what is in the ledger now; of very many events the oldest are forgotten."""
        for bulletin in news:
            self._remember(record_id(bulletin), bulletin)
        if len(self._last) > EVENTS_MOST:
            oldest = sorted(self._last, key=lambda subject: self._last[subject][1].time)
            for subject in oldest[: EVENTS_MOST // 2]:
                del self._last[subject]
            self._subjects = {revision: subject for revision, subject in self._subjects.items() if subject in self._last}
