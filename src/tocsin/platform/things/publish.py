"""A node's readings as SensorThings: the gauge is a Thing, and each of its quantities a Datastream, both made on first use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from tocsin.platform.things.jsontext import encode
from tocsin.platform.things.model import BY_NAME, Change
from tocsin.platform.things.write import Writer
from tocsin.vocabulary import Flag, Observations, Quantity

MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
SOURCE = "tocsin"
PUBLISHED_AT_ONCE = 1_000  # observations of which each is told as a change of its own; of more only `on_observation` hears
INSERT = """INSERT INTO observation (datastream_id, feature_id, phenomenon_us, value, result, result_quality)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM observation WHERE datastream_id = ?1 AND phenomenon_us = ?3)"""


class Place(msgspec.Struct, frozen=True):
    """Where a gauge is, and what people call it."""

    lon: float
    lat: float
    title: str = ""


class Publisher:
    """Knows which Datastream each (site, quantity) has."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places

    def write(self, writer: Writer, batch: Observations) -> int:
        """Write what is new of a batch; a moment that a Datastream has already is left as it is. Returns how many were new."""
        written = 0
        for number in np.unique(batch.site).tolist():
            stream, feature = self._stream(writer, batch.sites[number], batch.quantity)
            mine = np.flatnonzero(batch.site == number)
            columns = (batch.time_us[mine].tolist(), batch.value[mine].tolist(), batch.flag[mine].tolist())
            rows: list[dict[str, Any]] = []
            for time_us, value, flag in zip(*columns, strict=True):
                missing = flag == Flag.MISSING or value != value
                quality = encode({"qartod": flag})
                told = (stream, feature, time_us, None if missing else value, "null" if missing else None, quality)
                cursor = writer.db.execute(INSERT, told)
                if cursor.rowcount == 1:
                    rows.append({"id": cursor.lastrowid, "time_us": time_us, "value": None if missing else value, "flag": flag})
            if rows:
                times = [row["time_us"] for row in rows]
                writer.book.widen("Datastream", stream, feature, len(rows), (min(times), max(times)), None)
                if len(rows) <= PUBLISHED_AT_ONCE:
                    writer.changes += [Change("Observations", row["id"], "created") for row in rows]
                writer.observed[stream] = rows
                written += len(rows)
        return written

    def _stream(self, writer: Writer, site: str, quantity: Quantity) -> tuple[int, int]:
        """The Datastream and the feature of a gauge's quantity."""
        sql = "SELECT datastream_id, feature_id FROM published WHERE site = ? AND quantity = ? AND unit = ?"
        key = (site, quantity.name, quantity.unit)
        known = writer.db.execute(sql, key).fetchone()
        if known is not None:
            return int(known[0]), int(known[1])
        earlier = "SELECT d.thing_id, p.feature_id FROM published p JOIN datastream d ON d.id = p.datastream_id WHERE p.site = ? LIMIT 1"
        row = writer.db.execute(earlier, (site,)).fetchone()
        thing, feature = row if row is not None else self._gauge(writer, site)
        stream = writer.create(BY_NAME["Datastream"], self._datastream(writer, site, quantity, thing))
        writer.db.execute("INSERT INTO published VALUES (?, ?, ?, ?, ?)", (*key, stream, feature))
        return stream, feature

    def _gauge(self, writer: Writer, site: str) -> tuple[int, int]:
        """A Thing for a gauge, and the feature that it observes."""
        place = self._places.get(site)
        title = place.title if place is not None and place.title else site
        shape: dict[str, Any] = {"type": "Feature", "geometry": None, "properties": {"site": site}}
        if place is not None:
            shape = {"type": "Point", "coordinates": [place.lon, place.lat]}
        spot: dict[str, Any] = {
            "name": title,
            "description": f"where the gauge {site} stands",
            "encodingType": "application/geo+json",
        }
        thing: dict[str, Any] = {"name": title, "description": f"gauge {site}", "properties": {"source": SOURCE, "site": site}}
        if place is not None:
            thing["Locations"] = [{**spot, "location": shape}]
        feature = writer.create(BY_NAME["FeatureOfInterest"], {**spot, "feature": shape, "properties": {"site": site}})
        id_ = writer.create(BY_NAME["Thing"], thing)
        writer.db.execute(
            "UPDATE location SET made_feature_id = ? WHERE id IN (SELECT location_id FROM thing_location WHERE thing_id = ?)",
            (feature, id_),
        )
        return id_, feature

    def _datastream(self, writer: Writer, site: str, quantity: Quantity, thing: int) -> dict[str, Any]:
        words = quantity.name.replace("_", " ")
        sql = (
            "SELECT d.sensor_id, d.observed_property_id FROM published p JOIN datastream d ON d.id = p.datastream_id "
            "WHERE p.quantity = ? AND p.unit = ? LIMIT 1"
        )
        shared = writer.db.execute(sql, (quantity.name, quantity.unit)).fetchone()
        sensor: dict[str, Any] = {
            "name": f"{words} sensors",
            "description": f"what brings {words} readings to this node; the node knows no make or model",
            "encodingType": "text/plain",
            "metadata": "not known",
            "properties": {"source": SOURCE},
        }
        observed: dict[str, Any] = {
            "name": words,
            "definition": f"urn:tocsin:quantity:{quantity.name}",
            "description": f"{words} in {quantity.unit}, as Tocsin's quantity {quantity.name}",
            "properties": {"quantity": quantity.name},
        }
        return {
            "name": f"{words} at {site}",
            "description": f"{words} in {quantity.unit}, flagged by QARTOD (IOC 54 V3) in resultQuality",
            "observationType": MEASUREMENT,
            "unitOfMeasurement": {
                "name": quantity.unit,
                "symbol": quantity.unit,
                "definition": f"urn:tocsin:unit:{quantity.unit}",
            },
            "properties": {"source": SOURCE, "site": site, "quantity": quantity.name},
            "Thing": {"@iot.id": thing},
            "Sensor": {"@iot.id": shared[0]} if shared else sensor,
            "ObservedProperty": {"@iot.id": shared[1]} if shared else observed,
        }
