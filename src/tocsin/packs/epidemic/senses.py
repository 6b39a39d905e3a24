"""How counts speak of an epidemic's futures: the cases that all sites report in a day, added up."""

from __future__ import annotations

from tocsin.pack import ReadingError, Sense
from tocsin.packs.epidemic.quantities import CASES

WEEK_S = 7 * 86_400.0  # fewer are reported at weekends, and what a day has too many the next one has too few
# Cases vary more than by chance, and days of one epidemic go together: by 30 % a week here, a planning choice of ours (unverified). Of those infected the model
# itself reports only those whom it tests.
SENSES = (Sense(CASES, ReadingError(0.0, 0.3, "counts"), course="new_cases_per_d", every_s=WEEK_S, sums_sites=True),)
