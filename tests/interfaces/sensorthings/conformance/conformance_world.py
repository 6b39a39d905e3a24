"""The world that the rows ask about: three gauges and a mast at a river, small enough to be checked by hand.

Thing 1, Ferry Quay (8 E, 51 N), has stream 1, level, results 0 to 5 on the hour from 2026-03-01T00:00Z, each known 5 minutes later,
and stream 2, rain, results 6 to 9 over the hours from 2026-03-02T00:00Z. Thing 2, Old Bridge (9, 51), has stream 3, state, with
results of every kind. Thing 3 has nothing. Thing 4, the mast (9, 52), has the MultiDatastream 1 with two results.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sta_place import MEASUREMENT, Sta, feature, observed, open_sta, place, sensor, stream, thing

SPEED = {"name": "metre per second", "symbol": "m/s", "definition": "ucum:m/s"}
DEGREE = {"name": "degree", "symbol": "deg", "definition": "ucum:deg"}
MILLIMETRE = {"name": "millimetre", "symbol": "mm", "definition": "ucum:mm"}
STATES: list[Any] = ["high", "low", True, {"a": {"b": 5}}, [7, 8], None]
SHAPES: dict[str, dict[str, Any]] = {
    "point": {"type": "Point", "coordinates": [30, 10]},
    "line": {"type": "LineString", "coordinates": [[30, 10], [30, 14]]},
    "square": {"type": "Polygon", "coordinates": [[[30, 10], [34, 10], [34, 14], [30, 14], [30, 10]]]},
}


def hour(day: int, at: int, minute: int = 0) -> str:
    return f"2026-03-{day:02}T{at:02}:{minute:02}:00Z"


def linked(sensor_id: int, observed_id: int) -> dict[str, Any]:
    return {"Sensor": {"@iot.id": sensor_id}, "ObservedProperty": {"@iot.id": observed_id}}


def multi(name: str = "wind", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": name,
        "unitOfMeasurements": [SPEED, DEGREE],
        "multiObservationDataTypes": [MEASUREMENT, MEASUREMENT],
        "Sensor": {"@iot.id": 1},
        "ObservedProperties": [{"@iot.id": 3}, {"@iot.id": 4}],
        **more,
    }


def build(folder: Path) -> Sta:
    """The world in a new store."""
    sta = open_sta(folder)
    for name in ("radar", "bucket"):
        sta.made("Sensors", sensor(name))
    for name in ("level", "rain", "speed", "direction"):
        sta.made("ObservedProperties", observed(name))
    for name, shape in SHAPES.items():
        sta.made("FeaturesOfInterest", feature(0, 0, name) | {"feature": shape})
    properties = {"km": 12.5, "owner": "city", "on": True, "tags": ["a", "b"], "deep": {"x": [1, {"y": "z"}]}}
    sta.made("Things", thing("Ferry Quay", properties=properties, Locations=[place(8, 51, "quay")]))
    other = {"km": 20, "owner": "state", "on": False, "since": "2020-05-01T00:00:00Z"}
    sta.made("Things", thing("Old Bridge", properties=other, Locations=[place(9, 51, "bridge", properties={"km": 20})]))
    sta.made("Things", thing("O'Brien's Äcker"))
    sta.made("Things", thing("Wind Mast", properties={"km": "12"}, Locations=[place(9, 52, "mast")]))
    sta.made("Things(1)/Datastreams", stream("level at quay") | linked(1, 1))
    sta.made("Things(1)/Datastreams", stream("rain at quay", unitOfMeasurement=MILLIMETRE) | linked(2, 2))
    sta.made("Things(2)/Datastreams", stream("state of bridge", properties={"every_s": 600}) | linked(1, 1))
    sta.made("Things(4)/MultiDatastreams", multi())
    for step in range(6):
        times = {"phenomenonTime": hour(1, step), "resultTime": hour(1, step, 5)}
        sta.made("Datastreams(1)/Observations", {"result": step, **times, "parameters": {"step": step}})
    for step in range(4):
        span = f"{hour(2, step)}/{hour(2, step + 1)}"
        sta.made("Datastreams(2)/Observations", {"result": 6 + step, "phenomenonTime": span, "validTime": span})
    for step, state in enumerate(STATES):
        quality = {"qartod": 1 + step}
        sta.made("Datastreams(3)/Observations", {"result": state, "phenomenonTime": hour(3, step), "resultQuality": quality})
    for step in range(2):
        result = [3.5 + step, 180 + 10 * step]
        sta.made("MultiDatastreams(1)/Observations", {"result": result, "phenomenonTime": hour(4, step)})
    return sta
