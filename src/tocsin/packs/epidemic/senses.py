"""How counts speak of an epidemic's futures: the cases that all sites report in a day, and the patients in all hospitals, added up."""

from __future__ import annotations

from tocsin.pack import ReadingError, Sense
from tocsin.packs.epidemic.quantities import CASES, HOSPITAL_PATIENTS

WEEK_S = 7 * 86_400.0  # fewer are reported at weekends, and what a day has too many the next one has too few
# Cases vary more than by chance, and days of one epidemic go together: by 30 % a week here, a planning choice of ours (unverified), and the same of patients, who stay for
# more than a week, so that the days of a week are one count. Of those infected the model itself reports only those whom it tests; whom hospitals count it puts to bed. A share of
# staffed beds (`bed_occupancy`) weighs no future: it counts all who are ill of anything, and no run tells of them.
SENSES = (
    Sense(CASES, ReadingError(0.0, 0.3, "counts"), course="new_cases_per_d", every_s=WEEK_S, sums_sites=True),
    Sense(
        HOSPITAL_PATIENTS, ReadingError(0.0, 0.3, "counts"), course="beds_taken", every_s=WEEK_S, sums_sites=True, is_stock=True
    ),
)
