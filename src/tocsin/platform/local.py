"""The Host of one machine: whatever clock, ledger, gate and compute it is given, and chance from one seed."""

from __future__ import annotations

import hashlib

import numpy as np

from tocsin.host import Clock, Compute, Gate, Ledger


class LocalHost:
    """Clock, ledger, gate, compute and chance, made in one visible place and passed down."""

    def __init__(self, *, clock: Clock, ledger: Ledger, gate: Gate, compute: Compute, seed: int) -> None:
        self.clock, self.ledger, self.gate, self.compute = clock, ledger, gate, compute
        self._seed = seed

    def chance(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose: one stream more never shifts another."""
        name = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
        return np.random.default_rng([self._seed, name])
