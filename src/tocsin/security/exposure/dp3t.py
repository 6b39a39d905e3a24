"""DP-3T's low-cost design: keys that follow one from another, so that one published key speaks for all days after it.

Cheaper to publish than GAEN's (one key of 32 bytes in place of fourteen), and worse for who publishes: all identifiers from the first contagious day
on can be joined to each other. The phone of this project uses GAEN's keys; this is here to read what a DP-3T backend of the first design publishes.

Source: Troncoso et al., Decentralized Privacy-Preserving Proximity Tracing, white paper, 25 May 2020, section 2; the reference implementation
(DP-3T/reference_implementation, protocols/lowcost.py), against whose test values it is held.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tocsin.vocabulary.errors import InputError

SEED_BYTES, EPHID_BYTES = 32, 16
EPOCHS_PER_DAY = 96  # of 15 minutes


def next_seed(seed: bytes) -> bytes:
    """The next day's seed; the way back is closed by SHA-256."""
    return hashlib.sha256(_sound(seed)).digest()


def ephemeral_identifiers(seed: bytes, *, epochs: int = EPOCHS_PER_DAY) -> list[bytes]:
    """A day's ephemeral identifiers, as they come; a phone sends them in a random order, so the time of one says nothing."""
    stream_key = hmac.digest(_sound(seed), b"broadcast key", "sha256")
    made = Cipher(algorithms.AES256(stream_key), modes.CTR(bytes(16))).encryptor().update(bytes(EPHID_BYTES * epochs))
    return [made[at : at + EPHID_BYTES] for at in range(0, len(made), EPHID_BYTES)]


def _sound(seed: bytes) -> bytes:
    if len(seed) != SEED_BYTES:
        raise InputError(f"DP-3T seed: {len(seed)} bytes; wanted {SEED_BYTES}")
    return seed
