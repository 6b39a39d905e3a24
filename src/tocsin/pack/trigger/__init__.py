"""Triggers: a small safe language in which a plan says when something starts, ends or changes. It compares facts and can do nothing else."""

from tocsin.pack.trigger.bounds import can_hold
from tocsin.pack.trigger.judge import Fact, Facts, Judge, Truth
from tocsin.pack.trigger.kinds import FACTS, FactKind, Fault, check_claim, faults_of
from tocsin.pack.trigger.parse import TriggerError, parse
from tocsin.pack.trigger.tree import Claim, Event, FactRef, For, Not, quoted, walk
from tocsin.pack.trigger.units import UNITS

__all__ = [
    "FACTS",
    "UNITS",
    "Claim",
    "Event",
    "Fact",
    "FactKind",
    "FactRef",
    "Facts",
    "Fault",
    "For",
    "Judge",
    "Not",
    "TriggerError",
    "Truth",
    "can_hold",
    "check_claim",
    "faults_of",
    "parse",
    "quoted",
    "walk",
]
