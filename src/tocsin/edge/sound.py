"""What a block of readings must be before anything of it is kept, whoever sent it: a device, or a node that is known here.

A sum that is right says that the bytes came as they were sent, and nothing of what they say.
"""

from __future__ import annotations

import numpy as np

from tocsin.vocabulary import Flag, Observations

TIME_US_MOST = 253_402_300_800_000_000  # the year 10000: what comes after it has no date
SITE_CHARACTERS_MOST = 200
UNIT_CHARACTERS_MOST = 40
QUANTITY_CHARACTERS_MOST = 80
_IS_FLAG = np.isin(np.arange(256), sorted(Flag))


def what_is_wrong(batch: Observations, *, rows_most: int) -> tuple[str, str] | None:
    """(reason, words) where a block cannot be used; the reason is one of few, by which it is counted."""
    if len(batch) > rows_most:
        return "shape", f"a block of {len(batch)} rows; wanted at most {rows_most}"
    if len(batch) and not (int(batch.time_us.min()) >= 0 and int(batch.time_us.max()) < TIME_US_MOST):
        return "time", "wanted times from 1970 on, and before the year 10000"
    if not _IS_FLAG[batch.flag].all():
        return "shape", "a flag that QARTOD does not have; wanted 1, 2, 3, 4 or 9"
    if not all(0 < len(site) <= SITE_CHARACTERS_MOST for site in batch.sites):
        return "site", f"a site without a name, or with one of more than {SITE_CHARACTERS_MOST} characters"
    if len(batch.quantity.name) > QUANTITY_CHARACTERS_MOST or len(batch.quantity.unit) > UNIT_CHARACTERS_MOST:
        return (
            "shape",
            f"a quantity or a unit whose name is longer than {QUANTITY_CHARACTERS_MOST}, {UNIT_CHARACTERS_MOST} characters",
        )
    return None
