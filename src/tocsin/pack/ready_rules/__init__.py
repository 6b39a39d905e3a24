"""Ready-made rules made of data; `level` looks at one stream, `group` at several, `detector` for what is unusual.

Each gives a `Rule` whose judge works on all sites at once, on ten at the edge as on a hundred thousand on the platform. A site
without a fresh, sufficient set of good readings is BLIND. A site for which no limits are given is not judged, and stays NONE.
"""

from tocsin.pack.ready_rules.detector import cusum, ears, ewma, farrington, sta_lta, step_change
from tocsin.pack.ready_rules.group import compound, k_of_n
from tocsin.pack.ready_rules.level import accumulation, rise, threshold

__all__ = [
    "accumulation",
    "compound",
    "cusum",
    "ears",
    "ewma",
    "farrington",
    "k_of_n",
    "rise",
    "sta_lta",
    "step_change",
    "threshold",
]
