"""The Host of one machine: whatever clock, ledger, gate, compute and network it is given, and chance from one seed."""

from __future__ import annotations

import hashlib

import numpy as np

from tocsin.host import Clock, Compute, Gate, Internet, Ledger, Network


class LocalHost:
    """Clock, ledger, gate, compute, network and chance, made in one visible place and passed down; without `net`, the machine's."""

    def __init__(
        self, *, clock: Clock, ledger: Ledger, gate: Gate, compute: Compute, seed: int, net: Network | None = None
    ) -> None:
        self.clock, self.ledger, self.gate, self.compute = clock, ledger, gate, compute
        self.net: Network = Internet() if net is None else net
        self._seed = seed

    def chance(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose: one stream more never shifts another."""
        name = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
        return np.random.default_rng([self._seed, name])
