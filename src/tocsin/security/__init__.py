"""Who, may, sign, prove: every interface and every ledger write passes here."""

from tocsin.security.actor import Actor
from tocsin.security.gate import ACTS, ROLES, RoleGate, gate_table, must_hold
from tocsin.security.keys import SigningKey, fingerprint, signature_holds
from tocsin.security.proof import (
    CheckedEntry,
    CheckedGrowth,
    EntryProof,
    GrowthProof,
    TreeHead,
    check_entry,
    check_growth,
    read_head,
)

__all__ = [
    "ACTS",
    "ROLES",
    "Actor",
    "CheckedEntry",
    "CheckedGrowth",
    "EntryProof",
    "GrowthProof",
    "RoleGate",
    "SigningKey",
    "TreeHead",
    "check_entry",
    "check_growth",
    "fingerprint",
    "gate_table",
    "must_hold",
    "read_head",
    "signature_holds",
]
