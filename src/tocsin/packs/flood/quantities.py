"""What a flood is measured by. The ranges are what is believable: outside them something is wrong with the number."""

from __future__ import annotations

from tocsin.vocabulary import Quantity

# The largest rain measured in an hour is 305 mm (Holt, Missouri, 1947), in a minute 31.2 mm (Unionville, Maryland, 1956; both in the WMO
# archive of extremes); ranges leave room above records.
RIVER_LEVEL = Quantity("river_level", "m", -5.0, 60.0)
RAIN_AMOUNT = Quantity("rain_amount", "mm", 0.0, 500.0)
RAIN_RATE = Quantity("rain_rate", "mm/h", 0.0, 2_000.0)
DISCHARGE = Quantity("discharge", "m3/s", 0.0, 500_000.0)
ELEVATION = Quantity("elevation_m", "m", -500.0, 9_000.0)
MANNING = Quantity("manning", "s/m^(1/3)", 0.005, 0.5)
FLOOD_DEPTH = Quantity("flood_depth", "m", 0.0, 100.0)
FLOOD_SPEED = Quantity("flood_speed", "m/s", 0.0, 40.0)
WATER_DEPTH = Quantity("water_depth_m", "m", 0.0, 100.0)
