"""A record in a line of words, for logs and for the chain from an order back to a sensor."""

from __future__ import annotations

from tocsin.pack import Scenario
from tocsin.vocabulary import (
    AlertDraft,
    Bulletin,
    Comparison,
    Decision,
    Evidence,
    Forecast,
    HardLimits,
    Incident,
    LibraryPlan,
    Note,
    Order,
    PlanEvent,
    Record,
    Report,
    SensorFault,
    Series,
    Verification,
    Warning,
)
from tocsin.vocabulary.units import lasting

GAUGES_TOLD = 3


def in_words(record: Record) -> str:
    """What a record says, short."""
    match record:
        case Evidence():
            last = next((v for v in reversed(record.value) if v is not None), None)
            value = "no value" if last is None else f"{last:g} {record.unit}"
            return f"{len(record.value)} readings of {record.quantity} at {record.subject}, the last {value}"
        case SensorFault():
            return f"{record.subject}: {record.check}: {record.reason}"
        case Warning():
            return f"{record.level.word}: {record.reason}"
        case AlertDraft():
            return f"CAP {record.message_type} ({record.status}): {record.headline}"
        case Forecast():
            return f"{record.members} futures of {record.hazard} by {record.model}, {lasting(record.duration_s)}"
        case Verification():
            return verified_words(record)
        case Comparison():
            return record.reason
        case LibraryPlan():
            return f"plan {record.plan!r} {'out of' if record.removed else 'into'} the library"
        case HardLimits():
            return f"hard limits: {'; '.join(record.limits) or 'none'}" + (f": {record.reason}" if record.reason else "")
        case Decision():
            return f"{record.signer} {'approved' if record.verdict == 'approve' else 'rejected'} {record.plan!r}" + (
                f": {record.comment}" if record.comment else ""
            )
        case Order():
            return f"{record.role}: {record.do}"
        case Report():
            return f"{record.state}: {record.text}" if record.text else record.state
        case PlanEvent():
            return f"{record.plan}: {record.name} {record.what}" + (f": {record.reason}" if record.reason else "")
        case Incident():
            return f"{record.subject} {record.state}, {record.level.word}"
        case Note():
            return record.text
        case Bulletin():
            real = "" if record.status == "actual" else f" ({record.status.upper()})"
            return f"{record.sender} {record.state}{real}: {record.headline}"
        case _:
            return type(record).__name__


def ways_words(scenario: Scenario) -> dict[str, str]:
    """What the analogues of a scenario give, forcing by forcing and wherever it is: how many ways, and from what to what."""
    found: dict[str, list[Series]] = {}
    for analogue in scenario.analogues:
        for name, series in analogue.series.items():
            found.setdefault(name.partition("@")[0], []).append(series)
    return {
        kind: f"{min(float(s.value.min()) for s in told):g} to {max(float(s.value.max()) for s in told):g} in {len(scenario.analogues)} ways that it may be"
        for kind, told in found.items()
    }


def verified_words(record: Verification) -> str:
    """What came beside what was expected: how many futures are left, and each gauge's last reading, the worst told first."""
    left = f"readings leave {record.effective:.0f} of {record.members} futures"
    gauges = sorted(record.gauges, key=lambda g: (g.inside_share, g.site, g.what))
    told = [f"{g.site}: expected {g.low:.3g} to {g.high:.3g} {g.unit}, came {g.came:.3g} {g.unit}" for g in gauges[:GAUGES_TOLD]]
    more = [f"{len(gauges) - GAUGES_TOLD} more gauges"] if len(gauges) > GAUGES_TOLD else []
    return "; ".join([left, *told, *more, *([record.again] if record.again else [])])
