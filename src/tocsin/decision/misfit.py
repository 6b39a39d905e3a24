"""How far a reading lies from what a future would have shown, by the way in which its error grows: a difference, a turn, a factor, a count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tocsin.science import assimilate

if TYPE_CHECKING:
    from tocsin.decision.observe import Sighting

Floats = NDArray[np.float64]


def turned_to(seen_deg: float, told_deg: Floats) -> Floats:
    """Angles as they lie nearest to one that was seen, degrees: 350 beside 10 is -10."""
    return np.asarray(seen_deg + (told_deg - seen_deg + 180.0) % 360.0 - 180.0)


def compared_as(sightings: Sequence[Sighting], told: Floats) -> tuple[Floats, Floats, Floats]:
    """What was expected (future, sighting), what was seen and its standard deviation (sighting,), on the scale on which the error is alike everywhere."""
    as_told = told.copy()
    as_seen = np.array([s.value for s in sightings])
    error = np.array([s.error_sd for s in sightings])
    for k, s in enumerate(sightings):
        if s.error is not None and s.error.how == "factor":
            as_told[:, k] = np.log(np.maximum(told[:, k], 0.0) + s.error.sd)
            as_seen[k], error[k] = np.log(max(s.value, 0.0) + s.error.sd), s.error.share
        elif s.error is not None and s.error.how == "turn":
            as_told[:, k] = turned_to(s.value, told[:, k])
    return as_told, as_seen, error


def log_likelihood(
    sightings: Sequence[Sighting], told: Floats, as_told: Floats, as_seen: Floats, error: Floats, *, degrees: float
) -> Floats:
    """How well each future fits all that was seen, up to a constant, (future,)."""
    is_count = np.array([s.how == "counts" for s in sightings])
    if not is_count.any():
        return assimilate.log_likelihood(as_told, as_seen, error, degrees=degrees)
    share = np.array([s.error.share if s.error is not None else 0.0 for s in sightings])
    of = np.array([s.readings for s in sightings])
    seen = np.array([s.value for s in sightings]) * of
    counted = assimilate.count_log_likelihood((told * of)[:, is_count], seen[is_count], share[is_count])
    rest = ~is_count
    if not rest.any():
        return counted
    return counted + assimilate.log_likelihood(as_told[:, rest], as_seen[rest], error[rest], degrees=degrees)
