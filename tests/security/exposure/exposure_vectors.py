"""Test values that others published. None of them was made with this project's code.

GAEN: google/exposure-notifications-internals, TestVectors.java (Cryptography Specification v1.2). DP-3T: DP-3T/reference_implementation,
tests/test_lowcost.py. CrowdNotifier: crowdnotifier-sdk-android, crowd_notifier_test_vectors.json.
"""

from __future__ import annotations

GAEN_KEY = bytes.fromhex("75c734c6dd1a782de7a965da5eb93125")
GAEN_START = 2_642_976
GAEN_RPIK = bytes.fromhex("185ad91db69ec7dd048960f1f3ba6175")
GAEN_AEMK = bytes.fromhex("d57c46af7a1d83965b9bed8bd152936a")
GAEN_METADATA = bytes.fromhex("40080000")
# (number of the interval in the day, RPI, AEM)
GAEN_SENT = tuple(
    (n, bytes.fromhex(rpi), bytes.fromhex(aem))
    for n, rpi, aem in (
        (0, "8be6cd371c5c891604bfbe49df845096", "72033874"),
        (1, "3c9a1de5dd6b02afa7fded7b570b3e56", "c29211b1"),
        (2, "243ffe9a3b08bded3094bac8630bb8ad", "6adfad03"),
        (3, "dfc3ed265e97d0eabb630e168b4214ed", "f1e2f80b"),
        (4, "b3b85a69ebaec78db739852d1f34e0fa", "5668c474"),
        (5, "298abd6fdad29efbf0f85a63956cf188", "f7b97e84"),
        (6, "105e8221dd603d25b94aba0c3cc8dee1", "eeabfdc7"),
        (7, "9888ca7e6738ec4bc6e420b20f878b3a", "9f84a9a6"),
        (8, "8694a79ae99671be3f18aaf6b090657a", "c11acb4d"),
        (9, "b8cde28ad20d1cd2fdd7369dc0c6f7c8", "1f8d53de"),
        (10, "f60123c67bd2fc4b62002b4b7d595ba6", "e0a7f9f2"),
        (16, "f5372bbc92f7805964701e879b48d431", "b3eaafdd"),
        (32, "a4cf6e50215fe278cc5cff1b0534a3e0", "cb2a7e22"),
        (96, "93e20f14a13d56567594aa962350f170", "943242a4"),
        (127, "e53c68b4b01c68f37e65a0dc8e67f45d", "e04f3867"),
        (128, "8331dde6364b119527af76fee17aabcf", "64187bdf"),
        (141, "86f8ddc0c93e53e3a582e61f01f7df2f", "711dbf6d"),
        (142, "a65ef7ba9752c4173ba48a33849c5e52", "592dbca8"),
        (143, "f431b62ecf443102ce4ed0407de54bd4", "1215e57e"),
    )
)

DP3T_SEEDS = tuple(
    bytes.fromhex(seed)
    for seed in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925",
        "2b32db6c2c0a6235fb1397e8225ea85e0f0e6e8c7b126d0016ccbde0e667151e",
    )
)
DP3T_IDENTIFIERS_OF_THE_SECOND = tuple(
    bytes.fromhex(told)
    for told in ("04cab76af57ca373de1d52689fae06c1", "ab7747084efb743a6aa1b19bab2f0ca3", "f417c16279d7f718465f958e17466550")
)


def _unsigned(*numbers: int) -> bytes:
    return bytes(n % 256 for n in numbers)


CROWD_PAYLOAD = b"Parse this as bytes"
CROWD_NONCE_1 = _unsigned(78, -10, -117, -108, 123, -112, -49, 7, 63, 94, 61, -14, 51, -48, -73, 121, -73, 114, -87, -119, -71, 13, -103, -107, -114, 19, 116, -91, -117, -2, -73, 48)  # fmt: skip
CROWD_NONCE_2 = _unsigned(-102, 95, 4, 20, 29, -19, -28, 125, 115, 125, -86, 75, 112, -61, 4, 70, 59, 105, -6, 119, 75, -106, -36, 60, 118, -40, -69, -36, 54, -107, 122, 34)  # fmt: skip
CROWD_NOTIFICATION_KEY = _unsigned(39, 98, 8, -14, 81, 119, -77, 61, 85, 115, -101, -69, -89, -41, -47, 49, -77, -62, 98, 46, -121, 112, 60, 45, -100, -69, 72, -109, -38, 73, -109, 75)  # fmt: skip
CROWD_IDENTITIES = (
    (12, CROWD_PAYLOAD, _unsigned(22, 108, 58, -116, -15, -15, 104, -16, 102, 79, 23, -34, -57, -54, 26, -11, 55, 113, -120, 118, 37, 104, 88, 32, 20, -92, 7, 100, 118, -123, 57, -32)),
    (886_432, b"Another Identity Test", _unsigned(51, 76, 2, 104, 41, -119, -61, 72, -103, 120, -33, -1, -2, -97, 55, 125, 103, 0, 15, -109, -29, -124, -56, -114, -83, 0, 110, -79, 44, -94, -52, -24)),
)  # fmt: skip
