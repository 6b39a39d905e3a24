"""The storm of the demo: the hourly rain and the hourly river flow of 22 and 23 August 2005 at Ebnit, above Dornbirn in Austria.

Source: gauge Ebnit on the Dornbirner Ach, hourly areal rain and discharge 1996-2005, published with the model evaluation material of the
Karlsruhe Institute of Technology (github.com/KIT-HYD/model-evaluation, commit 0a37147dace7, MIT licence), rows 84,515 to 84,538.
The published series carries no dates; the day follows from its length. The largest 24 h of rain in it: 241.2 mm; the flow rose to
130 m3/s. The demo lets this storm fall on a place that does not exist, and says so.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from tocsin.vocabulary import Series

TITLE = "Storm of 22-23 August 2005, Ebnit on the Dornbirner Ach (Austria): 241 mm in 24 h"
SOURCE = (
    "KIT-HYD/model-evaluation, commit 0a37147dace7 (MIT): hourly rain and discharge at Ebnit, rows 84,515-84,538; dates inferred"
)
START = datetime(2005, 8, 22, 11, tzinfo=UTC)
HOUR_S = 3600.0
# fmt: off
RAIN_MM = (12.8, 14.3, 6.4, 14.5, 8.5, 8.2, 15.4, 28.5, 12.5, 10.0, 8.1, 14.6, 13.7, 12.8, 8.0, 8.5, 5.9, 3.9, 2.2, 5.5, 10.9, 7.9, 5.6, 2.5)
FLOW_M3_PER_S = (14.2, 18.9, 21.1, 32.1, 66.0, 81.2, 86.5, 91.5, 97.6, 108.0, 115.0, 117.0, 121.0, 126.0, 128.0, 128.0, 129.0, 129.0, 130.0, 128.0,
                 124.0, 120.0, 118.0, 116.0)
# fmt: on
HOURS = len(RAIN_MM)


def rain_mm_per_h(from_hour: float = 0.0) -> Series:
    """The rain from an hour of the storm on, as steps: each hour's sum falls evenly in that hour; nothing after the last."""
    edges_s = (np.arange(HOURS + 1) - from_hour) * HOUR_S
    rate = np.append(RAIN_MM, 0.0)
    first = int(np.searchsorted(edges_s, 0.0, side="right")) - 1
    times = edges_s[max(first, 0) :].copy()
    times[0] = max(times[0], 0.0)
    return Series.of(times, rate[max(first, 0) :])


def inflow_m3_per_s(from_hour: float = 0.0) -> Series:
    """The river's flow into the district from an hour of the storm on: linear between the full hours, held after the last."""
    hours = np.arange(HOURS, dtype=float)
    now = float(np.interp(from_hour, hours, FLOW_M3_PER_S))
    later = hours > from_hour
    return Series.of(np.append(0.0, (hours[later] - from_hour) * HOUR_S), np.append(now, np.array(FLOW_M3_PER_S)[later]))
