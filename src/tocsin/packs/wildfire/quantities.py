"""What a wildfire is measured by. The ranges are what is believable: outside them something is wrong with the number."""

from __future__ import annotations

from tocsin.vocabulary import Quantity

# Ranges leave room above the records of the WMO archive of extremes: -89.2 degC (Vostok 1983), 56.7 degC (Furnace Creek 1913), a gust of 113 m/s (Barrow
# Island 1996). Other packs observe air and wind with the same ranges: one platform has one stream of each quantity.
AIR_TEMPERATURE = Quantity("air_temperature", "degC", -90.0, 60.0)
RELATIVE_HUMIDITY = Quantity("relative_humidity", "%", 0.0, 100.0)
WIND_SPEED = Quantity("wind_speed", "m/s", 0.0, 120.0)  # at 10 m above open ground, mean of 10 min
WIND_FROM = Quantity("wind_from", "deg", 0.0, 360.0)
RAIN_AMOUNT = Quantity("rain_amount", "mm", 0.0, 500.0)
FIRE_WEATHER_INDEX = Quantity("fire_weather_index", "1", 0.0, 300.0)
FIRE_CONFIDENCE = Quantity("fire_detection_confidence", "%", 0.0, 100.0)  # of a satellite's fire pixel (FIRMS)
FIRE_POWER = Quantity("fire_radiative_power", "MW", 0.0, 50_000.0)
LIGHTNING = Quantity("lightning_strokes", "1", 0.0, 100_000.0)  # since the reading before
SMOKE = Quantity("smoke_probability", "1", 0.0, 1.0)  # that a camera or a detector shows smoke

ELEVATION = Quantity("elevation_m", "m", -500.0, 9_000.0)
FUEL_MODEL = Quantity("fuel_model", "1", 0.0, 256.0)  # number of Anderson 1982 or Scott & Burgan 2005
IGNITION_RADIUS = Quantity("ignition_radius", "m", 0.0, 5_000.0)
FIRELINE_INTENSITY = Quantity("fireline_intensity", "kW/m", 0.0, 2_000_000.0)
FLAME_LENGTH = Quantity("flame_length_m", "m", 0.0, 100.0)
SPREAD_RATE = Quantity("spread_rate_m_per_min", "m/min", 0.0, 5_000.0)
EMBER_DISTANCE = Quantity("ember_distance_m", "m", 0.0, 100_000.0)
