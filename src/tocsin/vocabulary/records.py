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


class StateMoved(msgspec.Struct, frozen=True):
    """That futures go on from the state of the forecast before, moved towards `gauges` on the ground, and what that did at gauges that were held back:
    the mean continuous ranked probability score in `unit` before and after; less is better.
    """

    forecast: str
    gauges: int
    held_back: int
    crps_before: float
    crps_after: float
    unit: str


class Forecast(Record, frozen=True, kw_only=True, tag=str.lower):
    """A hazard was simulated on many futures. `impact` says what stands in its way; `result` is where the fields are.

    `asked_by` is who asked for it, where it is no outlook of the platform's own but what somebody wanted to know.
    `moved` says that it goes on from the state of an earlier one, and how well that was told.
    """

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
    moved: StateMoved | msgspec.UnsetType = msgspec.UNSET
    asked_by: str | msgspec.UnsetType = msgspec.UNSET  # unset is not spelt: what was written before keeps its name


class GaugeScore(msgspec.Struct, frozen=True):
    """How well a forecast told one gauge: its readings so far, and the last of them (`came`) beside the 5 to 95 % that was expected then.

    `crps` is the mean continuous ranked probability score in `unit`; `inside_share` is how many readings lay within 5 to 95 % (well told: 0.9);
    `error_mean` is the median that was expected less what came. `ranks` says how many readings fell in each tenth of the futures, from below all to
    above all. Of a gauge with a `limit` from which on it is warned of: how likely each of the newest readings was told to pass it, and if it did.
    """

    site: str
    what: str
    unit: str
    readings: int
    crps: float
    inside_share: float
    error_mean: float
    low: float
    high: float
    came: float
    ranks: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET  # unset is not spelt: what was written before keeps its name
    limit: float | msgspec.UnsetType = msgspec.UNSET
    chances: tuple[float, ...] | msgspec.UnsetType = msgspec.UNSET
    passed: tuple[bool, ...] | msgspec.UnsetType = msgspec.UNSET


class Verification(Record, frozen=True, kw_only=True, tag=str.lower):
    """What a forecast expected beside what came until now. It is what was told at the start: no weight of later readings is in it.

    `effective` of `members` futures are left by the readings; `again` says why the futures had to be run anew, empty if not. A later one of
    the same forecast replaces it.
    """

    forecast: str
    members: int
    effective: float
    gauges: tuple[GaugeScore, ...]
    again: str = ""
    contradictions: tuple[str, ...] = ()


class Breach(msgspec.Struct, frozen=True):
    """How likely a plan breaks a hard limit, the span that holds that chance with 90 %, and whether it is more than is permitted."""

    limit: str
    chance: float
    low: float
    high: float
    permitted: float
    broken: bool


class Borne(msgspec.Struct, frozen=True):
    """Whom a plan leaves in danger of one zone or group: persons on average, of how many there, and per 1,000 (None where nobody is)."""

    name: str
    persons: float
    of: float
    per_1000: float | None


class PlanScore(msgspec.Struct, frozen=True):
    """How one plan did on all futures. `rank` 1 is best; `regret` is against the best plan of each future that keeps the limits.

    `futures` is in how many it was tried (0 in records from before that was told). `dominated_by` names plans that are no worse in anything
    and better in what is said; `outdone_by` those that are better in harm alone by stochastic dominance of the first or second order. `gini` says how unequally its harm is borne between zones, 0 to 1, None where nobody is harmed.
    """

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
    futures: int = 0
    limits: tuple[Breach, ...] = ()
    dominated_by: dict[str, str] = {}
    outdone_by: dict[str, int] = {}
    zones: tuple[Borne, ...] = ()
    groups: tuple[Borne, ...] = ()
    gini: float | None = None


class Margin(msgspec.Struct, frozen=True):
    """By how many the best plan is ahead of another on the futures that both met, and the span that holds it with 90 %.

    The span is None where one common future says nothing of its own doubt.
    """

    mean: float
    low: float | None
    high: float | None
    futures: int
    unit: str


class Flip(msgspec.Struct, frozen=True):
    """What would make another plan the better choice, as one sentence; `kind` is future, weight, limit, number or price.

    Of a future: `name` is what would come out differently, beyond `at` in `unit` (`above` or below it); `share` of the futures lie there.
    """

    kind: str
    plan: str
    sentence: str
    name: str = ""
    at: float | None = None
    above: bool | None = None
    unit: str = ""
    share: float | None = None


class Ask(msgspec.Struct, frozen=True):
    """A report that would be worth asking for before deciding: how many persons fewer in danger on average; `p` is how often chance shows as much."""

    name: str
    worth: float
    unit: str
    p: float
    sentence: str


class Choice(msgspec.Struct, frozen=True):
    """How open the choice is: the runner-up and the margin, what would flip it, what to ask for first, and who bears what is left.

    `weightings` says which plan wins under each; `worth_of_all` is what knowing the future exactly would save; `remarks` say what is
    missing or in doubt. `harmed` is what those are called whom the hazard harms, where its pack says it otherwise than "people in danger".
    """

    runner_up: str
    margin: Margin | None
    flips: tuple[Flip, ...]
    ask_first: tuple[Ask, ...]
    worth_of_all: float
    weightings: dict[str, str]
    equity: str
    remarks: tuple[str, ...]
    harmed: str | msgspec.UnsetType = msgspec.UNSET  # unset is not spelt: what was written before keeps its name

    def harmed_words(self, usual: str) -> str:
        """What those are called whom the hazard harms."""
        return usual if isinstance(self.harmed, msgspec.UnsetType) else self.harmed


class Comparison(Record, frozen=True, kw_only=True, tag=str.lower):
    """Plans, each run on the same futures, ranked; `reason` is the sentence that the commander reads first.

    `choice` is None in records from before it was told. `grounds` is the SHA-256 of the table that it rests on, where that was kept.
    """

    forecast: str
    futures: int
    scores: tuple[PlanScore, ...]
    recommended: str
    reason: str
    doubt: str
    choice: Choice | None = None
    grounds: str | msgspec.UnsetType = msgspec.UNSET  # unset is not spelt: what was written before keeps its name


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
    that the ledger alone says what is carried out. What a person says of it (that a level is agreed to or refused, that the plan ends) is
    signed, as a decision is; what follows from facts alone is not.
    """

    plan: str
    plan_digest: str
    what: str
    name: str
    reason: str = ""
    document: str = ""
    signer: str | msgspec.UnsetType = msgspec.UNSET  # unset is not spelt: what was written before keeps its name
    public_key: str | msgspec.UnsetType = msgspec.UNSET
    signature: str | msgspec.UnsetType = msgspec.UNSET

    def signing_bytes(self) -> bytes:
        """What is signed: the whole record without its signature."""
        return msgspec.json.encode(msgspec.structs.replace(self, signature=msgspec.UNSET), order="deterministic")


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


class HardLimits(Record, frozen=True, kw_only=True, tag=str.lower):
    """What no plan may break from now on, in the words of `tocsin plan compare --limit`; it takes the place of all that was set before.

    `cause` is what was set before it. No limits: none holds any more. Signed by the person, as a decision is; a record of before that was
    so is not.
    """

    limits: tuple[str, ...]
    reason: str = ""
    signer: str | msgspec.UnsetType = msgspec.UNSET  # unset is not spelt: what was written before keeps its name
    public_key: str | msgspec.UnsetType = msgspec.UNSET
    signature: str | msgspec.UnsetType = msgspec.UNSET

    def signing_bytes(self) -> bytes:
        """What is signed: the whole record without its signature."""
        return msgspec.json.encode(msgspec.structs.replace(self, signature=msgspec.UNSET), order="deterministic")


class LibraryPlan(Record, frozen=True, kw_only=True, tag=str.lower):
    """A plan that somebody put into the platform's library, or took out of it: from then on it is compared with the others, or not any more.

    `document` is the whole plan as JSON, empty where it is `removed`; `cause` is what the library had by that name before.
    """

    plan: str
    plan_digest: str
    document: str = ""
    removed: bool = False


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
    | Verification
    | HardLimits
    | LibraryPlan
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
