"""The nine kinds of entity of OGC SensorThings 1.1 as one table: what each holds, and to what it is linked.

Everything that reads, checks, filters or writes an entity walks this table; nothing else knows the names. Source: OGC 18-088, 8.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from tocsin.vocabulary.errors import NotFound


class Kind(Enum):
    """What a property holds, and so in which columns it lies."""

    TEXT = "a text"
    OBJECT = "a JSON object"
    LIST = "a JSON array"
    ANY = "any JSON value"
    RESULT = "the result of an observation: any JSON value"
    INSTANT = "a time such as 2026-11-23T07:15:00Z"
    WHEN = "a time, or an interval of two times joined by a slash"
    INTERVAL = "an interval: two times joined by a slash"
    SHAPE = "a GeoJSON object, or what its encodingType says"


class Property(msgspec.Struct, frozen=True):
    """One property. `column` is its column, or the stem of its columns; a computed one cannot be given by a client.

    `is_box` says that it is shown as a Polygon even where it has no width: GM_Envelope, a GeoJSON Polygon, of OGC 18-088, 8.2.4.
    """

    name: str
    kind: Kind
    column: str
    needed: bool = False
    computed: bool = False
    shown_null: bool = False
    is_box: bool = False


class Link(msgspec.Struct, frozen=True):
    """One navigation property; exactly one of `column` (own foreign key), `back` (the target's) and `via` (a table between) is set."""

    name: str
    target: str
    many: bool
    column: str = ""
    back: str = ""
    via: tuple[str, str, str] = ("", "", "")
    rank: str = ""
    needed: bool = False


class EntityType(msgspec.Struct, frozen=True):
    """One kind of entity: `name` for one of it, `plural` for the set, `table` where it lies."""

    name: str
    plural: str
    table: str
    properties: tuple[Property, ...]
    links: tuple[Link, ...]

    def prop(self, name: str) -> Property | None:
        return next((p for p in self.properties if p.name == name), None)

    def link(self, name: str) -> Link | None:
        return next((k for k in self.links if k.name == name), None)

    def way(self, name: str) -> Link | None:
        """The relation that a path in a filter means: one and many may be mixed up, as the standard's own Datastreams/id of an Observation."""
        return self.link(name) or next((k for k in self.links if name in (k.target, BY_NAME[k.target].plural)), None)

    @property
    def words(self) -> str:
        """Every name that a query may use of it."""
        return ", ".join(["@iot.id", *(p.name for p in self.properties), *(k.name for k in self.links)])


NAME = Property("name", Kind.TEXT, "name", needed=True)
DESCRIPTION = Property("description", Kind.TEXT, "description", needed=True)
ENCODING = Property("encodingType", Kind.TEXT, "encoding_type", needed=True)
PROPERTIES = Property("properties", Kind.OBJECT, "properties")
OBSERVED = (
    Property("observedArea", Kind.SHAPE, "observed_area", is_box=True),
    Property("phenomenonTime", Kind.INTERVAL, "phenomenon", computed=True),
    Property("resultTime", Kind.INTERVAL, "resulted", computed=True),
)
THING_LOCATION = ("thing_location", "thing_id", "location_id")
PAST_LOCATION = ("historical_location_location", "historical_location_id", "location_id")
MULTI_PROPERTY = ("multi_datastream_observed_property", "multi_datastream_id", "observed_property_id")


def _turned(via: tuple[str, str, str]) -> tuple[str, str, str]:
    return via[0], via[2], via[1]


TYPES: tuple[EntityType, ...] = (
    EntityType(
        "Thing",
        "Things",
        "thing",
        (NAME, DESCRIPTION, PROPERTIES),
        (
            Link("Locations", "Location", True, via=THING_LOCATION),
            Link("HistoricalLocations", "HistoricalLocation", True, back="thing_id"),
            Link("Datastreams", "Datastream", True, back="thing_id"),
            Link("MultiDatastreams", "MultiDatastream", True, back="thing_id"),
        ),
    ),
    EntityType(
        "Location",
        "Locations",
        "location",
        (NAME, DESCRIPTION, ENCODING, Property("location", Kind.SHAPE, "location", needed=True), PROPERTIES),
        (
            Link("Things", "Thing", True, via=_turned(THING_LOCATION)),
            Link("HistoricalLocations", "HistoricalLocation", True, via=_turned(PAST_LOCATION)),
        ),
    ),
    EntityType(
        "HistoricalLocation",
        "HistoricalLocations",
        "historical_location",
        (Property("time", Kind.INSTANT, "time", needed=True),),
        (
            Link("Thing", "Thing", False, column="thing_id", needed=True),
            Link("Locations", "Location", True, via=PAST_LOCATION),
        ),
    ),
    EntityType(
        "Datastream",
        "Datastreams",
        "datastream",
        (
            NAME,
            DESCRIPTION,
            Property("observationType", Kind.TEXT, "observation_type", needed=True),
            Property("unitOfMeasurement", Kind.OBJECT, "unit", needed=True),
            *OBSERVED,
            PROPERTIES,
        ),
        (
            Link("Thing", "Thing", False, column="thing_id", needed=True),
            Link("Sensor", "Sensor", False, column="sensor_id", needed=True),
            Link("ObservedProperty", "ObservedProperty", False, column="observed_property_id", needed=True),
            Link("Observations", "Observation", True, back="datastream_id"),
        ),
    ),
    EntityType(
        "MultiDatastream",
        "MultiDatastreams",
        "multi_datastream",
        (
            NAME,
            DESCRIPTION,
            Property("observationType", Kind.TEXT, "observation_type"),
            Property("multiObservationDataTypes", Kind.LIST, "data_types", needed=True),
            Property("unitOfMeasurements", Kind.LIST, "units", needed=True),
            *OBSERVED,
            PROPERTIES,
        ),
        (
            Link("Thing", "Thing", False, column="thing_id", needed=True),
            Link("Sensor", "Sensor", False, column="sensor_id", needed=True),
            Link("ObservedProperties", "ObservedProperty", True, via=MULTI_PROPERTY, rank="rank", needed=True),
            Link("Observations", "Observation", True, back="multi_datastream_id"),
        ),
    ),
    EntityType(
        "Sensor",
        "Sensors",
        "sensor",
        (NAME, DESCRIPTION, ENCODING, Property("metadata", Kind.ANY, "metadata", needed=True), PROPERTIES),
        (
            Link("Datastreams", "Datastream", True, back="sensor_id"),
            Link("MultiDatastreams", "MultiDatastream", True, back="sensor_id"),
        ),
    ),
    EntityType(
        "ObservedProperty",
        "ObservedProperties",
        "observed_property",
        (NAME, Property("definition", Kind.TEXT, "definition", needed=True), DESCRIPTION, PROPERTIES),
        (
            Link("Datastreams", "Datastream", True, back="observed_property_id"),
            Link("MultiDatastreams", "MultiDatastream", True, via=_turned(MULTI_PROPERTY)),
        ),
    ),
    EntityType(
        "Observation",
        "Observations",
        "observation",
        (
            Property("phenomenonTime", Kind.WHEN, "phenomenon"),
            Property("result", Kind.RESULT, "result", needed=True),
            Property("resultTime", Kind.INSTANT, "resulted", shown_null=True),
            Property("resultQuality", Kind.ANY, "result_quality"),
            Property("validTime", Kind.INTERVAL, "valid"),
            Property("parameters", Kind.OBJECT, "parameters"),
        ),
        (
            Link("Datastream", "Datastream", False, column="datastream_id"),
            Link("MultiDatastream", "MultiDatastream", False, column="multi_datastream_id"),
            Link("FeatureOfInterest", "FeatureOfInterest", False, column="feature_id"),
        ),
    ),
    EntityType(
        "FeatureOfInterest",
        "FeaturesOfInterest",
        "feature",
        (NAME, DESCRIPTION, ENCODING, Property("feature", Kind.SHAPE, "feature", needed=True), PROPERTIES),
        (Link("Observations", "Observation", True, back="feature_id"),),
    ),
)
BY_NAME = {kind.name: kind for kind in TYPES}
BY_PLURAL = {kind.plural: kind for kind in TYPES}
COMPLEX_OBSERVATION = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation"


def named(name: str) -> EntityType:
    """The kind of that name, of one or of the set."""
    found = BY_NAME.get(name) or BY_PLURAL.get(name)
    if found is None:
        raise NotFound(f"entity sets: {name[:60]!r} is none of them; there are: {', '.join(BY_PLURAL)}")
    return found


class Change(msgspec.Struct, frozen=True):
    """What became of one entity: `what` is created, updated or deleted, `fields` what an update touched."""

    plural: str
    id: int
    what: str
    fields: frozenset[str] = frozenset()
