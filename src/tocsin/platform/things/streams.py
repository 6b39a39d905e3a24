"""What a Datastream says of its observations: from when to when, over which area, and how many there are of each feature."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tocsin.platform.things.jsontext import decode, encode
from tocsin.platform.things.model import EntityType

COLUMNS = (
    *("datastream_id", "multi_datastream_id", "feature_id"),
    *("phenomenon_us", "phenomenon_end_us", "resulted_us"),
)
WIDEN = """UPDATE {table} SET phenomenon_us = min(coalesce(phenomenon_us, :low), :low),
    phenomenon_end_us = max(coalesce(phenomenon_end_us, :high), :high),
    resulted_us = CASE WHEN :result_low IS NULL THEN resulted_us ELSE min(coalesce(resulted_us, :result_low), :result_low) END,
    resulted_end_us = CASE WHEN :result_high IS NULL THEN resulted_end_us
        ELSE max(coalesce(resulted_end_us, :result_high), :result_high) END
    WHERE id = :id"""


class StreamBook:
    """Keeps the streams' times, areas and counts while observations come, change and go."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def row(self, observation: int) -> dict[str, Any]:
        """What the book needs to know of an observation that is stored."""
        sql = f"SELECT {', '.join(COLUMNS)} FROM observation WHERE id = ?"
        return dict(zip(COLUMNS, self.db.execute(sql, (observation,)).fetchone(), strict=True))

    def added(self, row: Mapping[str, Any]) -> None:
        """One observation came."""
        stream, id_ = _stream(row)
        self.added_many(stream, id_, row["feature_id"], [row])

    def added_many(self, stream: str, id_: int, feature: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Observations of one stream and one feature came."""
        lows = [row["phenomenon_us"] for row in rows]
        highs = [row.get("phenomenon_end_us") or row["phenomenon_us"] for row in rows]
        results = [us for row in rows if (us := row.get("resulted_us")) is not None]
        self.widen(stream, id_, feature, len(rows), (min(lows), max(highs)), (min(results), max(results)) if results else None)

    def widen(
        self, stream: str, id_: int, feature: int, count: int, when_us: tuple[int, int], result_us: tuple[int, int] | None
    ) -> None:
        """The stream reaches from the first to the last of `when_us` too, and to that feature."""
        low, high = result_us or (None, None)
        given = {"low": when_us[0], "high": when_us[1], "result_low": low, "result_high": high, "id": id_}
        self.db.execute(WIDEN.format(table=_table(stream)), given)
        known = self.db.execute(
            "UPDATE stream_feature SET count = count + ? WHERE stream = ? AND stream_id = ? AND feature_id = ?",
            (count, stream, id_, feature),
        )
        if known.rowcount == 0:
            self.db.execute("INSERT INTO stream_feature VALUES (?, ?, ?, ?)", (stream, id_, feature, count))
            self._measure_area(stream, id_)

    def changed(self, before: Mapping[str, Any], observation: int) -> None:
        """An observation was updated."""
        after = self.row(observation)
        if after != dict(before):
            self.removed(before)
            self.added(after)

    def removed(self, row: Mapping[str, Any]) -> None:
        """An observation is gone: its stream is measured again, by the indexes."""
        stream, id_ = _stream(row)
        where = (stream, id_, row["feature_id"])
        self.db.execute(
            "UPDATE stream_feature SET count = count - 1 WHERE stream = ? AND stream_id = ? AND feature_id = ?", where
        )
        gone = self.db.execute(
            "DELETE FROM stream_feature WHERE stream = ? AND stream_id = ? AND feature_id = ? AND count <= 0", where
        )
        self._measure_times(stream, id_)
        if gone.rowcount:
            self._measure_area(stream, id_)

    def streams_with(self, feature: int) -> list[tuple[str, int]]:
        """The streams that have observations of a feature."""
        return self.db.execute("SELECT stream, stream_id FROM stream_feature WHERE feature_id = ?", (feature,)).fetchall()

    def reshaped(self, feature: int) -> None:
        """A feature has another shape."""
        for stream, id_ in self.streams_with(feature):
            self._measure_area(stream, id_)

    def forget(self, kind: EntityType, id_: int, touched: Iterable[tuple[str, int]]) -> None:
        """An entity is gone and took observations or streams with it; `touched` streams are measured again."""
        if kind.name == "FeatureOfInterest":
            self.db.execute("DELETE FROM stream_feature WHERE feature_id = ?", (id_,))
        elif kind.name in ("Thing", "Sensor", "ObservedProperty", "Datastream", "MultiDatastream"):
            for stream in ("Datastream", "MultiDatastream"):
                self.db.execute(
                    f"DELETE FROM stream_feature WHERE stream = ? AND stream_id NOT IN (SELECT id FROM {_table(stream)})",
                    (stream,),
                )
        for stream, one in touched:
            self._measure_times(stream, one)
            self._measure_area(stream, one)

    def _measure_times(self, stream: str, id_: int) -> None:
        key = f"{_table(stream)}_id"
        of = f"FROM observation WHERE {key} = ?1"
        parts = (
            f"(SELECT min(phenomenon_us) {of})",
            f"(SELECT max(phenomenon_us) {of})",
            f"(SELECT max(phenomenon_end_us) {of} AND phenomenon_end_us IS NOT NULL)",
            f"(SELECT min(resulted_us) {of} AND resulted_us IS NOT NULL)",
            f"(SELECT max(resulted_us) {of} AND resulted_us IS NOT NULL)",
        )
        low, last, end, first_result, last_result = self.db.execute(f"SELECT {', '.join(parts)}", (id_,)).fetchone()
        high = None if last is None else max(last, end if end is not None else last)
        self.db.execute(
            f"UPDATE {_table(stream)} SET phenomenon_us = ?, phenomenon_end_us = ?, resulted_us = ?, resulted_end_us = ? WHERE id = ?",
            (low, high, first_result, last_result, id_),
        )

    def _measure_area(self, stream: str, id_: int) -> None:
        sql = (
            "SELECT min(f.min_x), min(f.min_y), max(f.max_x), max(f.max_y) FROM stream_feature s "
            "JOIN feature f ON f.id = s.feature_id WHERE s.stream = ? AND s.stream_id = ?"
        )
        box = self.db.execute(sql, (stream, id_)).fetchone()
        shape = None if box[0] is None else area(box)
        self.db.execute(
            f"UPDATE {_table(stream)} SET observed_area = ?, min_x = ?, min_y = ?, max_x = ?, max_y = ? WHERE id = ?",
            (shape, *box, id_),
        )


def _table(stream: str) -> str:
    return "datastream" if stream == "Datastream" else "multi_datastream"


def _stream(row: Mapping[str, Any]) -> tuple[str, int]:
    if row.get("datastream_id") is not None:
        return "Datastream", int(row["datastream_id"])
    return "MultiDatastream", int(row["multi_datastream_id"])


def area(box: tuple[float, float, float, float]) -> str:
    """A bounding box as GeoJSON for filters: a polygon, or a line or a point where it has no width, as a polygon of none is no shape."""
    west, south, east, north = box
    if west == east and south == north:
        return encode({"type": "Point", "coordinates": [west, south]})
    if west == east or south == north:
        return encode({"type": "LineString", "coordinates": [[west, south], [east, north]]})
    return encode(envelope(box))


def envelope(box: tuple[float, float, float, float]) -> dict[str, Any]:
    """A bounding box as a GeoJSON Polygon, which may have no width."""
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def shown_area(text: str | None) -> Any:
    """The area of a stream as the standard has it: always a Polygon."""
    shape = None if text is None else decode(text)
    if not isinstance(shape, dict) or shape.get("type") not in ("Point", "LineString"):
        return shape
    found = shape["coordinates"]
    points = [found] if shape["type"] == "Point" else found
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return envelope((min(xs), min(ys), max(xs), max(ys)))
