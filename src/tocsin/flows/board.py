"""The board: what the ledger says is so now. It is folded from the entries alone, so a replay shows the same board."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from tocsin.host import Entry
from tocsin.vocabulary import (
    AlertDraft,
    Bulletin,
    Comparison,
    Decision,
    Forecast,
    HardLimits,
    Incident,
    Level,
    LibraryPlan,
    Note,
    NotFound,
    Order,
    PlanEvent,
    Report,
    SensorFault,
    Verification,
    Warning,
)

FINISHED = ("done", "failed", "cancelled")
BULLETINS_MOST = 10_000
# What may follow what in the life of an order; a report that is not here is refused, and nothing is overwritten.
NEXT_STATES: dict[str, tuple[str, ...]] = {
    "sent": ("acknowledged", "started", "done", "failed", "cancelled"),
    "acknowledged": ("started", "done", "failed", "cancelled"),
    "started": ("done", "failed", "cancelled"),
    "done": (),
    "failed": (),
    "cancelled": (),
}


class OrderState(msgspec.Struct, frozen=True):
    """An order with what has been reported of it so far."""

    id: str
    order: Order
    state: str
    reports: tuple[tuple[datetime, str, str, str], ...] = ()  # time, state, text, by whom

    def overdue(self, now: datetime) -> bool:
        """True where it should be finished and nobody said so."""
        return self.state not in FINISHED and now > self.order.due


class Board:
    """Warnings, alerts, forecasts, comparisons, decisions and orders, each by its id, in the order in which they came."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.last = 0
        self.warnings: dict[str, Warning] = {}
        self.latest_warning: dict[tuple[str, str], str] = {}  # (rule, site) -> what was said last
        self.sighted: dict[
            tuple[str, str], str
        ] = {}  # (rule, site) -> what was said last by a rule that saw: a blind one lifts nothing
        self.faults: dict[tuple[str, str, str], SensorFault] = {}  # (site, quantity, check), open ones only
        self.alerts: dict[str, AlertDraft] = {}
        self.forecasts: dict[str, Forecast] = {}
        self.comparisons: dict[str, Comparison] = {}
        self.verifications: dict[str, Verification] = {}  # forecast -> what came beside it, the last word
        self.limits: dict[str, tuple[HardLimits, str]] = {}  # what was set and by whom; the last one holds
        self.library: dict[str, tuple[str, LibraryPlan, str]] = {}  # plan -> the last that was said of it, and by whom
        self.decisions: dict[str, Decision] = {}
        self.orders: dict[str, OrderState] = {}
        self.incidents: dict[str, Incident] = {}
        self.notes: dict[str, Note] = {}
        self.bulletins: dict[tuple[str, str], Bulletin] = {}  # (source, event) -> what was said last, without its text
        for entry in entries:
            self.post(entry)

    def post(self, entry: Entry) -> None:
        """Take the next entry; one that is already on the board changes nothing."""
        if entry.number <= self.last:
            return
        self.last = entry.number
        match entry.record:
            case Warning() as warning:
                self.warnings[entry.id] = warning
                self.latest_warning[warning.rule, warning.subject] = entry.id
                if warning.level != Level.BLIND:
                    self.sighted[warning.rule, warning.subject] = entry.id
            case SensorFault() as fault:
                key = (fault.subject, fault.quantity, fault.check)
                if fault.healed:
                    self.faults.pop(key, None)
                else:
                    self.faults[key] = fault
            case Bulletin() as bulletin:
                self._hear(bulletin)
            case AlertDraft() as alert:
                self.alerts[entry.id] = alert
            case Forecast() as forecast:
                self.forecasts[entry.id] = forecast
            case Comparison() as comparison:
                self.comparisons[entry.id] = comparison
            case LibraryPlan() as plan:
                self.library[plan.plan] = (entry.id, plan, entry.actor)
            case HardLimits() as limits:
                self.limits[entry.id] = (limits, entry.actor)
            case Verification() as verification:
                self.verifications[verification.forecast] = verification
            case Decision() as decision:
                self.decisions[entry.id] = decision
            case Order() as order:
                self.orders[entry.id] = OrderState(entry.id, order, "sent")
            case Report() as report if report.order in self.orders:
                before = self.orders[report.order]
                line = (report.time, report.state, report.text, entry.actor)
                self.orders[report.order] = OrderState(before.id, before.order, report.state, (*before.reports, line))
            case PlanEvent(what="cancelled") as event:
                for order_id in event.cause:
                    if order_id in self.orders and self.orders[order_id].state not in FINISHED:
                        before = self.orders[order_id]
                        line = (event.time, "cancelled", event.reason, entry.actor)
                        self.orders[order_id] = OrderState(before.id, before.order, "cancelled", (*before.reports, line))
            case Incident() as incident:
                self.incidents[incident.subject] = incident
            case Note() as note:
                self.notes[entry.id] = note
            case _:
                pass

    def _hear(self, bulletin: Bulletin) -> None:
        """The last revision of each event; of very many events the oldest are forgotten."""
        event = bulletin.source, bulletin.subject
        if event in self.bulletins and bulletin.time < self.bulletins[event].time:
            return
        self.bulletins[event] = msgspec.structs.replace(bulletin, text="", parts=msgspec.UNSET)
        if len(self.bulletins) > BULLETINS_MOST:
            newest = sorted(self.bulletins, key=lambda one: self.bulletins[one].time)[BULLETINS_MOST // 2 :]
            self.bulletins = {one: self.bulletins[one] for one in newest}

    def is_active(self, warning_id: str) -> bool:
        """True if this warning is the last thing that its rule saw at its site, and is one. Blindness after it does not lift it."""
        warning = self.warnings[warning_id]
        return self.sighted.get((warning.rule, warning.subject)) == warning_id and warning.level > Level.NONE

    def active_warnings(self) -> dict[str, Warning]:
        """What holds now, worst first."""
        held = {i: self.warnings[i] for i in self.sighted.values() if self.is_active(i)}
        return dict(sorted(held.items(), key=lambda pair: (-pair[1].level, pair[1].time, pair[1].subject)))

    def site_level(self, site: str) -> Level:
        """The worst that any rule says of a site, or said when it last saw; BLIND if one is blind and none warns."""
        worst = self.last_level(site)
        return Level.BLIND if worst == Level.NONE and self.blind_rules(site) else worst

    def last_level(self, site: str) -> Level:
        """The worst that any rule said of a site when it last saw; a gauge that drowned in a red flood stays red."""
        return max((self.warnings[i].level for (_, at), i in self.sighted.items() if at == site), default=Level.NONE)

    def blind_rules(self, site: str) -> tuple[str, ...]:
        """The rules that see nothing at a site now."""
        said = ((rule, self.warnings[i]) for (rule, at), i in self.latest_warning.items() if at == site)
        return tuple(sorted(rule for rule, warning in said if warning.level == Level.BLIND))

    @property
    def hard_limits(self) -> tuple[str, ...]:
        """What no plan may break now, in words."""
        return next(reversed(self.limits.values()))[0].limits if self.limits else ()

    def decision_on(self, comparison_id: str) -> str | None:
        """The id of the decision that was made on a comparison, if one was."""
        return next((i for i, d in self.decisions.items() if comparison_id in d.cause), None)

    def hazard_of(self, comparison_id: str) -> str:
        """The hazard whose plans were compared; raises NotFound where there is no such comparison."""
        if comparison_id not in self.comparisons:
            raise NotFound(f"no comparison {comparison_id!r}; there are {len(self.comparisons)}")
        return self.forecasts[self.comparisons[comparison_id].forecast].hazard

    def order(self, order_id: str) -> OrderState:
        """One order; raises NotFound."""
        if order_id not in self.orders:
            raise NotFound(f"board: no order {order_id!r}; there are {len(self.orders)}")
        return self.orders[order_id]
