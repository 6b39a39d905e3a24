"""What a chemical release is measured by. The ranges are what is believable: outside them something is wrong with the number."""

from __future__ import annotations

from tocsin.packs.chemical.substances import SUBSTANCES
from tocsin.vocabulary import Quantity

# One quantity for each gas that a sensor can name, in ppm by volume: guideline levels are told so. A million is pure gas.
GASES = {substance.key: Quantity(substance.key, "ppm", 0.0, 1_000_000.0) for substance in SUBSTANCES}
LEL_SHARE = Quantity(
    "lel_share", "%", 0.0, 2_000.0
)  # of the lower explosive limit, as explosimeters show it; pure methane is 20 times its limit
# The strongest gust ever measured outside tornadoes is 113 m/s (Barrow Island 1996, WMO archive of extremes).
WIND_SPEED = Quantity("wind_speed", "m/s", 0.0, 120.0)
WIND_FROM = Quantity("wind_from", "deg", 0.0, 360.0)
TEMPERATURE = Quantity("air_temperature", "degC", -90.0, 60.0)
RELEASE = Quantity("release", "kg/s", 0.0, 100_000.0)
AEGL2_SHARE = Quantity("aegl2_share", "1", 0.0, 1e9)
AEGL2_SHARE_INDOORS = Quantity("aegl2_share_indoors", "1", 0.0, 1e9)
AEGL1_SHARE = Quantity("aegl1_share", "1", 0.0, 1e9)
AEGL3_SHARE = Quantity("aegl3_share", "1", 0.0, 1e9)
AEGL3_SHARE_INDOORS = Quantity("aegl3_share_indoors", "1", 0.0, 1e9)
PEAK_PPM = Quantity("peak_ppm", "ppm", 0.0, 1_000_000.0)
TOXIC_LOAD = Quantity("toxic_load", "ppm^n min", 0.0, 1e30)
FLOOD_DEPTH = Quantity("flood_depth", "m", 0.0, 100.0)  # as whoever forecasts floods names it: water floats tanks and tears pipes
