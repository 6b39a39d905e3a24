"""The control plane: everything that happens is a Record, and the ledger is a list of these and nothing else.

A record is named by its content: `record_id` is a hash of what it says. `cause` holds the ids of the records that led to it, so
the records form a graph that cannot be re-wired afterwards, and one can walk from an order back to the sensor.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from tocsin.vocabulary.errors import InputError
from tocsin.vocabulary.level import Level


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=str.lower):
    """Something that happened at `time` (UTC) to `subject` (a site, a zone, a plan), and what caused it."""

    time: datetime
    subject: str
    cause: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise InputError(f"{type(self).__name__} about {self.subject!r}: time {self.time} has no zone; wanted UTC")


class Evidence(Record, frozen=True, kw_only=True, tag=str.lower):
    """The readings that a rule saw when it judged, oldest first; `batch` is the digest of each batch they came in."""

    quantity: str
    unit: str
    sensor_time_us: tuple[int, ...]
    value: tuple[float | None, ...]
    flag: tuple[int, ...]
    batch: tuple[str, ...] = ()


class SensorFault(Record, frozen=True, kw_only=True, tag=str.lower):
    """A sensor says what cannot be, or nothing: which check found it, and what is done about its readings."""

    quantity: str
    check: str
    reason: str
    healed: bool = False


class Warning(Record, frozen=True, kw_only=True, tag=str.lower):
    """A site needs attention, or no longer does (level NONE). `reason` is the sentence that the operator reads.

    `public` is true only if every number that the rule rests on was compared with its source.
    """

    hazard: str
    rule: str
    level: Level
    before: Level
    reason: str
    value: float | None
    unit: str
    public: bool


class AlertDraft(Record, frozen=True, kw_only=True, tag=str.lower):
    """A CAP 1.2 message, as XML. It goes to nobody until a person approves it."""

    identifier: str
    status: str
    message_type: str
    headline: str
    xml: str


class Estimate(msgspec.Struct, frozen=True):
    """A number with its doubt: the mean over the futures, and the 5th, 50th and 95th per cent of them."""

    mean: float
    low: float
    middle: float
    high: float
    unit: str


class Forecast(Record, frozen=True, kw_only=True, tag=str.lower):
    """A hazard was simulated on many futures. `impact` says what stands in its way; `result` is where the fields are."""

    hazard: str
    model: str
    source: str
    members: int
    seed: int
    duration_s: float
    scenario: dict[str, str]
    impact: dict[str, Estimate]
    result: str = ""
    digest: str = ""


class PlanScore(msgspec.Struct, frozen=True):
    """How one plan did on all futures. `rank` 1 is best; `regret` is against the best plan of each future."""

    plan: str
    digest: str
    rank: int
    harm: Estimate
    cvar: float
    regret_mean: float
    regret_worst: float
    damage: Estimate
    cost: float
    finished_s: Estimate
    failed_share: float
    best_share: float
    reason: str
    figures: dict[str, Estimate] = {}


class Comparison(Record, frozen=True, kw_only=True, tag=str.lower):
    """Plans, each run on the same futures, ranked; `reason` is the sentence that the commander reads first."""

    forecast: str
    futures: int
    scores: tuple[PlanScore, ...]
    recommended: str
    reason: str
    doubt: str


class Decision(Record, frozen=True, kw_only=True, tag=str.lower):
    """A person approved or rejected a plan. `signature` is Ed25519 over `signing_bytes`, in hexadecimal."""

    plan: str
    plan_digest: str
    verdict: str
    comment: str
    signer: str
    public_key: str
    signature: str = ""

    def signing_bytes(self) -> bytes:
        """What is signed: the whole record without its signature."""
        return msgspec.json.encode(msgspec.structs.replace(self, signature=""), order="deterministic")


class Order(Record, frozen=True, kw_only=True, tag=str.lower):
    """One thing to be done, by whom, with what, until when."""

    plan: str
    action: str
    do: str
    role: str
    needs: dict[str, int]
    start: datetime
    due: datetime


class Report(Record, frozen=True, kw_only=True, tag=str.lower):
    """What became of an order: `acknowledged`, `started`, `done`, `failed` or `cancelled`, and a line of text."""

    order: str
    state: str
    text: str = ""


class PlanEvent(Record, frozen=True, kw_only=True, tag=str.lower):
    """Something that happened to a plan that is carried out, beside its orders: to one of its levels, to an action, or to the whole.

    `what` is begun or ended (the plan); proposed, withdrawn, refused, entered or left (a level); failed, cancelled, skipped or "not known" (an
    action). `cause` names the decision, and the order where one is meant. A plan that begins is told in full, as JSON, in `document`, so
    that the ledger alone says what is carried out.
    """

    plan: str
    plan_digest: str
    what: str
    name: str
    reason: str = ""
    document: str = ""


class Incident(Record, frozen=True, kw_only=True, tag=str.lower):
    """An emergency was opened, changed or closed; `subject` is its name."""

    hazard: str
    state: str
    level: Level


class Note(Record, frozen=True, kw_only=True, tag=str.lower):
    """A line in somebody's log: timed, attributed, never changed."""

    text: str


class BulletinPart(msgspec.Struct, frozen=True, kw_only=True):
    """One of the things that an alert says, an `info` of CAP: what, how grave, how soon, how sure, and where.

    Rings are (longitude, latitude), the last point equal to the first; circles (longitude, latitude, radius in km); `codes` are NAME=VALUE.
    Words of the standard are in lower case; `ends` None is not told.
    """

    event: str
    severity: str = ""
    urgency: str = ""
    certainty: str = ""
    responses: tuple[str, ...] = ()
    ends: datetime | None = None
    area: str = ""
    rings: tuple[tuple[tuple[float, float], ...], ...] = ()
    circles: tuple[tuple[float, float, float], ...] = ()
    codes: tuple[str, ...] = ()


class Bulletin(Record, frozen=True, kw_only=True, tag=str.lower):
    """What an agency has said about an event: an earthquake of a catalogue, an official alert. It is told, not judged here.

    `subject` is the event, the same in all its revisions; `time` is when the agency said it, or, where it does not tell that, when
    the event was. `cause` is the revision before. `state` is issued, updated, replaced (by another event) or
    cancelled; `status` is actual, exercise or test as the agency means it, and only "actual" is real. `figures` have their unit in their names; `text` is the message as it came,
    and `parts` what it says, so that a rule need not read it.
    """

    source: str
    revision: str
    state: str
    status: str
    event: str
    sender: str
    headline: str
    severity: str = ""
    begins: datetime | None = None
    ends: datetime | None = None
    longitude: float | None = None
    latitude: float | None = None
    area: str = ""
    figures: dict[str, float] = {}
    url: str = ""
    text: str = ""
    parts: tuple[BulletinPart, ...] | msgspec.UnsetType = (
        msgspec.UNSET
    )  # unset is not spelt: what was written before keeps its name


AnyRecord = (
    Evidence
    | SensorFault
    | Warning
    | AlertDraft
    | Forecast
    | Comparison
    | Decision
    | Order
    | Report
    | PlanEvent
    | Incident
    | Note
    | Bulletin
)


def encode_record(record: Record) -> bytes:
    """The one spelling of a record, as JSON with sorted keys: what is hashed, signed and stored."""
    return msgspec.json.encode(record, order="deterministic")


def decode_record(row: bytes) -> AnyRecord:
    """Read a record back; raises InputError where the row is none."""
    try:
        record: AnyRecord = msgspec.json.decode(row, type=AnyRecord)
        return record
    except msgspec.MsgspecError as fault:
        raise InputError(f"record: {fault}; the row starts with {row[:60]!r}") from fault


def record_id(record: Record) -> str:
    """The record's name: its kind and the first 128 bits of SHA-256 of what it says."""
    return f"{type(record).__name__.lower()}-{hashlib.sha256(encode_record(record)).hexdigest()[:32]}"
