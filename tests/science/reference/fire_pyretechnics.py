"""Makes fire_pyretechnics.csv with pyretechnics 2026.10.20 (its Community Licence allows research and tests that are not commercial; nothing of it
ships here. It wants numpy < 2, so it runs in an environment of its own):

    pip install --target /tmp/peer "pyretechnics==2026.10.20" && PYTHONPATH=/tmp/peer python tests/science/reference/fire_pyretechnics.py

20 random days for each of the 53 fuel models: moistures, wind at midflame, slope; no wind limit, level 2D directions, shape as in BehavePlus.
"""

import csv
from pathlib import Path

import numpy as np
import pyretechnics.fuel_models as fm
import pyretechnics.surface_fire as sf

rng = np.random.default_rng(20261129)
rows = []
for number in fm.list_fuel_model_numbers():
    if 91 <= number <= 99:
        continue
    for k in range(20):
        m1, m10, m100 = rng.uniform(0.02, 0.15), rng.uniform(0.03, 0.2), rng.uniform(0.04, 0.25)
        herb, woody = rng.uniform(0.3, 1.5), rng.uniform(0.5, 1.5)
        wind, slope = (0.0 if k == 0 else rng.uniform(0, 300)), rng.uniform(0, 0.8)
        blows, aspect = rng.uniform(0, 360), rng.uniform(0, 360)
        # wind or slope, never both: pyretechnics lays the wind onto the slope's plane, Andrews 2018 and behave do not
        wind, slope = (0.0, slope) if k % 2 else (wind, 0.0)
        # pyretechnics has the live load of models 4, 5, 7 and 10 as herbaceous
        live = (woody, woody) if number in (4, 5, 7, 10) else (herb, woody)
        wet = fm.moisturize(fm.get_fuel_model(number), (m1, m10, m100, 0.0, *live))
        least = sf.calc_surface_fire_behavior_no_wind_no_slope(wet)
        most = sf.calc_surface_fire_behavior_max(least, wind, blows, slope, aspect, False, "behave")
        rows.append([
            number, m1, m10, m100, herb, woody, wind, blows, slope, aspect,
            least["base_spread_rate"], least["base_fireline_intensity"], least["max_effective_wind_speed"],
            most["max_spread_rate"], most["max_fireline_intensity"], most["length_to_width_ratio"], most["max_flame_length"],
        ])  # fmt: skip
names = [
    "number",
    "dead_1h",
    "dead_10h",
    "dead_100h",
    "live_herbaceous",
    "live_woody",
    "wind_m_per_min",
    "wind_from_deg",
    "slope",
    "aspect_deg",
    "base_rate_m_per_min",
    "base_intensity_kw_per_m",
    "wind_most_m_per_min",
    "rate_m_per_min",
    "intensity_kw_per_m",
    "length_to_width",
    "flame_length_m",
]
with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(names)
    out.writerows([row[0], *(f"{v:.7g}" for v in row[1:])] for row in rows)
