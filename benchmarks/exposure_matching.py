"""Matching published keys with what a phone heard: all identifiers of a key in one call and a sieve, against one identifier at a time and a set.

python benchmarks/exposure_matching.py [--keys 20000] [--heard 20000] [--json]

The peer is the specification written down plainly: HKDF by `cryptography`, AES for each identifier, a look-up in a set. Both run in this process, one
after the other, on the same keys; the matches have to be equal.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tocsin.security.exposure.identifiers import DayKey, derive, identifiers, matches

START = 2_642_976


def plain(keys: list[DayKey], heard: frozenset[bytes]) -> list[tuple[int, bytes]]:
    """(key, identifier) of all matches, one identifier at a time."""
    found = []
    for number, key in enumerate(keys):
        rpik = HKDF(algorithm=SHA256(), length=16, salt=None, info=b"EN-RPIK").derive(key.key)
        for interval in range(key.start, key.end):
            text = b"EN-RPI" + bytes(6) + interval.to_bytes(4, "little")
            rpi = Cipher(algorithms.AES128(rpik), modes.ECB()).encryptor().update(text)
            if rpi in heard:
                found.append((number, rpi))
    return found


def run(keys: int, heard: int) -> dict[str, Any]:
    published = [DayKey(secrets.token_bytes(16), START + 144 * (n % 14)) for n in range(keys)]
    met = [identifiers(published[n])[n % 144] for n in range(0, keys, 500)]
    known = frozenset([*met, *(secrets.token_bytes(16) for _ in range(heard - len(met)))])
    few = published[: max(1, keys // 40)]
    begun = time.perf_counter()
    ours = [(m.key, m.rpi) for m in matches(derive(published), known)]
    ours_s = time.perf_counter() - begun
    begun = time.perf_counter()
    theirs = plain(few, known)
    theirs_s = (time.perf_counter() - begun) * len(published) / len(few)
    assert len(ours) == len(met)
    assert theirs == [m for m in ours if m[0] < len(few)]
    return {
        "keys": keys,
        "identifiers": 144 * keys,
        "heard": heard,
        "matches": len(ours),
        "ours_s": round(ours_s, 3),
        "plain_s": round(theirs_s, 1),
        "times": round(theirs_s / ours_s, 1),
        "keys_per_s": round(keys / ours_s),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--heard", type=int, default=20_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = run(asked.keys, asked.heard)
    print(json.dumps(found) if asked.json else "\n".join(f"{name:<12} {value:>12,}" for name, value in found.items()))


if __name__ == "__main__":
    main()
