"""One-time codes: a health official's word, in twelve letters, that whoever holds it may publish keys once.

60 random bits in Crockford's base 32. At rest there is only a SHA-256; the row goes when the code is used, so nothing joins a code to what came with it.
"""

from __future__ import annotations

import hashlib
import secrets

from tocsin.vocabulary.errors import InputError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LETTERS, GROUP = 12, 4
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def new_code() -> str:
    """A code as it is read out: three groups of four."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
    return "-".join(letters[k : k + GROUP] for k in range(0, LETTERS, GROUP))


def spelt(code: str) -> str:
    """The code without hyphens, with what is easily misread put right; raises InputError where it cannot be one.

    >>> spelt("abcd-efgh-jkmo")
    'ABCDEFGHJKM0'
    """
    letters = code.strip().upper().translate(_READ_AS)
    if len(letters) != LETTERS or any(c not in ALPHABET for c in letters):
        raise InputError(f"upload code: {len(letters)} letters; wanted {LETTERS} of {ALPHABET}, as in ABCD-EFGH-JKMN")
    return letters


def code_digest(code: str) -> str:
    """What is stored of a code."""
    return hashlib.sha256(b"tocsin exposure code 1\n" + spelt(code).encode()).hexdigest()
