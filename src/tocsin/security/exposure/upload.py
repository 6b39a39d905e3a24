"""What a phone sends when its person tested positive and agrees: the day keys and a one-time code, always in the same number of bytes.

Every phone also sends fakes from time to time: same length, same answer, thrown away. Who watches the network then cannot tell who tested positive.
Source: DP-3T, Best Practices for Operation Security in Proximity Tracing (2020), section on dummy traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from itertools import pairwise

import msgspec

from tocsin.security.exposure.codes import new_code
from tocsin.security.exposure.export import DiagnosisKey
from tocsin.security.exposure.identifiers import KEPT_DAYS, DayKey, interval_of, oldest_kept, time_of
from tocsin.security.exposure.venues import VenueNotice
from tocsin.vocabulary.errors import InputError

UPLOAD_BYTES = 8_192
KEYS_MOST = KEPT_DAYS + 1
NOTICES_MOST = 24


class Upload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's day keys, or a venue's notices, with the code that allows it.

    `onset` is the day of the first symptoms, or of the test where there were none: it weighs the days. No name, no place, no number of the phone.
    """

    code: str
    onset: date | None = None
    keys: tuple[DayKey, ...] = ()
    notices: tuple[VenueNotice, ...] = ()
    fake: bool = False
    padding: str = ""

    def packed(self) -> bytes:
        """The body, UPLOAD_BYTES long whatever is in it."""
        bare = msgspec.json.encode(msgspec.structs.replace(self, padding=""))
        if len(bare) > UPLOAD_BYTES:
            raise InputError(f"upload: {len(bare):,} bytes; wanted at most {UPLOAD_BYTES:,}: send less at once")
        return msgspec.json.encode(msgspec.structs.replace(self, padding="0" * (UPLOAD_BYTES - len(bare))))

    def diagnosis_keys(self, now: datetime) -> tuple[DiagnosisKey, ...]:
        """The keys as they will be published; raises InputError where they cannot be one phone's of the last 14 days."""
        if self.onset is None or not self.keys:
            raise InputError("upload: wanted day keys, and the day of the first symptoms or of the test")
        if len(self.keys) > KEYS_MOST or self.notices:
            raise InputError(f"upload: {len(self.keys)} keys; wanted at most {KEYS_MOST}, and no venue's notices beside them")
        oldest, newest = oldest_kept(now), interval_of(now)
        ordered = sorted(self.keys, key=lambda k: k.start)
        if len({k.key for k in ordered}) < len(ordered) or any(a.end > b.start for a, b in pairwise(ordered)):
            raise InputError("upload: two keys are the same, or hold at the same time; no phone makes such keys")
        if ordered[0].end <= oldest or ordered[-1].end > newest:
            raise InputError(
                f"upload: keys for {time_of(ordered[0].start)} to {time_of(ordered[-1].end)}; wanted the last {KEPT_DAYS} days, ended"
            )
        days = [(time_of(k.start).date() - self.onset).days for k in ordered]
        if not all(-KEPT_DAYS <= d <= KEPT_DAYS for d in days):
            raise InputError(f"upload: first symptoms on {self.onset}; wanted a day within {KEPT_DAYS} days of every key")
        return tuple(DiagnosisKey(k, days_since_onset=d) for k, d in zip(ordered, days, strict=True))

    def venue_notices(self) -> tuple[VenueNotice, ...]:
        """A venue's notices; raises InputError where there are none, too many, or keys beside them."""
        if not 0 < len(self.notices) <= NOTICES_MOST or self.keys or self.onset is not None:
            raise InputError(
                f"upload: {len(self.notices)} notices, {len(self.keys)} keys; wanted 1 to {NOTICES_MOST} notices and nothing else"
            )
        return self.notices


def fake_upload() -> Upload:
    """What a phone sends now and then when nothing has happened."""
    return Upload(new_code(), fake=True)


def real_upload(code: str, keys: Sequence[DayKey], onset: date) -> Upload:
    """What a phone sends with its person's consent."""
    return Upload(code, onset, tuple(keys))


def read_upload(body: bytes) -> Upload:
    """The body that came; raises InputError. One of another length is refused: it would tell who sends what."""
    if len(body) != UPLOAD_BYTES:
        raise InputError(
            f"upload: {len(body):,} bytes; wanted exactly {UPLOAD_BYTES:,}, so that no length tells who tested positive"
        )
    try:
        return msgspec.json.decode(body, type=Upload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        if isinstance(fault.__cause__, InputError):
            raise fault.__cause__ from None
        raise InputError(f"upload: {fault}; wanted the form that the phone makes") from fault
