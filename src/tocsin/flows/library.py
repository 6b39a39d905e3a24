"""The platform's own library of plans: what people have put into it, folded from the ledger, each with its whole text."""

from __future__ import annotations

import logging
from datetime import datetime

import msgspec

from tocsin.flows.board import Board
from tocsin.host import Ledger
from tocsin.pack import Plan
from tocsin.vocabulary import Conflict, InputError, LibraryPlan, NotFound

log = logging.getLogger(__name__)

PLANS_MOST = 50


def library_plans(board: Board) -> tuple[Plan, ...]:
    """The plans that are in the library; one that this version cannot read is none, and told in the log."""
    found = []
    for _, record, _ in board.library.values():
        if record.removed:
            continue
        try:
            found.append(_plan_of(record))
        except msgspec.MsgspecError as fault:
            log.warning("library_plan_not_read", extra={"plan": record.plan, "reason": str(fault)})
    return tuple(found)


def saved(board: Board, plan: Plan, *, now: datetime) -> LibraryPlan:
    """The record that puts a plan into the library; raises Conflict where it is full, or holds this very plan."""
    before = board.library.get(plan.name)
    held = [name for name, (_, record, _) in board.library.items() if not record.removed]
    if before is not None and not before[1].removed and before[1].plan_digest == plan.digest():
        raise Conflict(f"library: holds {plan.name!r} as it is")
    if plan.name not in held and len(held) >= PLANS_MOST:
        raise Conflict(f"library: holds {PLANS_MOST} plans; take one out first")
    return LibraryPlan(
        time=now,
        subject=plan.name,
        cause=() if before is None else (before[0],),
        plan=plan.name,
        plan_digest=plan.digest(),
        document=msgspec.json.encode(plan, order="deterministic").decode(),
    )


def removed(board: Board, name: str, *, now: datetime) -> LibraryPlan:
    """The record that takes a plan out; raises NotFound."""
    before = board.library.get(name)
    if before is None or before[1].removed:
        held = [n for n, (_, record, _) in board.library.items() if not record.removed]
        raise NotFound(f"library: no plan {name!r}; there are: {', '.join(held) or 'none'}")
    return LibraryPlan(time=now, subject=name, cause=(before[0],), plan=name, plan_digest=before[1].plan_digest, removed=True)


def before_the_last_change(board: Board, ledger: Ledger, name: str) -> Plan | None:
    """What the library had by a name before somebody last saved it or took it out; None where it had nothing.

    Raises NotFound where nobody ever did, and InputError where this version cannot read what was there.
    """
    last = board.library.get(name)
    if last is None:
        raise NotFound(f"library: never had a plan {name!r}; it had: {', '.join(board.library) or 'none'}")
    earlier = [ledger.find(cause).record for cause in last[1].cause]
    record = next((one for one in earlier if isinstance(one, LibraryPlan)), None)
    if record is None or record.removed:
        return None
    try:
        return _plan_of(record)
    except msgspec.MsgspecError as fault:
        raise InputError(f"library: {name!r} of {record.time:%Y-%m-%d %H:%M} cannot be read by this version: {fault}") from fault


def _plan_of(record: LibraryPlan) -> Plan:
    return msgspec.json.decode(record.document, type=Plan)
