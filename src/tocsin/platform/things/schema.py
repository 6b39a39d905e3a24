"""The tables and indexes of `things.sqlite`.

A number that was observed lies in `value` as SQLite's INTEGER or REAL and `result` is NULL; any other result is JSON text in `result`.
Times are microseconds since 1970 UTC; the text beside them is kept only where it was written otherwise than Tocsin writes it.
`stream_feature` counts the observations of each pair (stream, feature): the observed area and the counts come from it.
"""

from __future__ import annotations

from tocsin.platform.things.plain import IS_PLAIN

APPLICATION_ID = 0x73746131  # "sta1"
VERSION = 2

IS_PLAIN_COLUMN = f"is_plain INTEGER GENERATED ALWAYS AS ({IS_PLAIN}) VIRTUAL"
OBSERVATION_STREAM = """CREATE INDEX observation_stream ON observation (datastream_id, phenomenon_us, id, phenomenon_end_us, feature_id,
    value, resulted_us, result_quality, is_plain) WHERE datastream_id IS NOT NULL"""
# What brings a file of an older step to the next one.
STEPS: dict[int, tuple[str, ...]] = {
    2: (  # a page of a stream is read from the index alone
        f"ALTER TABLE observation ADD COLUMN {IS_PLAIN_COLUMN}",
        "DROP INDEX observation_stream",
        OBSERVATION_STREAM,
    )
}

_BOX = "min_x REAL, min_y REAL, max_x REAL, max_y REAL"
_STREAM = f"""
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL, observation_type TEXT NOT NULL,
    observed_area TEXT, {_BOX}, properties TEXT, phenomenon_us INTEGER, phenomenon_end_us INTEGER, phenomenon_text TEXT,
    resulted_us INTEGER, resulted_end_us INTEGER, resulted_text TEXT,
    thing_id INTEGER NOT NULL REFERENCES thing(id) ON DELETE CASCADE,
    sensor_id INTEGER NOT NULL REFERENCES sensor(id) ON DELETE CASCADE"""

STATEMENTS: tuple[str, ...] = (
    "CREATE TABLE thing (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL, properties TEXT)",
    f"""CREATE TABLE location (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL,
        encoding_type TEXT NOT NULL, location TEXT NOT NULL, properties TEXT, {_BOX},
        made_feature_id INTEGER REFERENCES feature(id) ON DELETE SET NULL)""",
    "CREATE INDEX location_box ON location (min_x, max_x)",
    "CREATE INDEX location_made ON location (made_feature_id) WHERE made_feature_id IS NOT NULL",
    """CREATE TABLE thing_location (thing_id INTEGER NOT NULL REFERENCES thing(id) ON DELETE CASCADE,
        location_id INTEGER NOT NULL REFERENCES location(id) ON DELETE CASCADE, PRIMARY KEY (thing_id, location_id)) WITHOUT ROWID""",
    "CREATE INDEX location_thing ON thing_location (location_id)",
    """CREATE TABLE historical_location (id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, time_text TEXT,
        thing_id INTEGER NOT NULL REFERENCES thing(id) ON DELETE CASCADE)""",
    "CREATE INDEX historical_location_thing ON historical_location (thing_id, time_us)",
    """CREATE TABLE historical_location_location (
        historical_location_id INTEGER NOT NULL REFERENCES historical_location(id) ON DELETE CASCADE,
        location_id INTEGER NOT NULL REFERENCES location(id) ON DELETE CASCADE,
        PRIMARY KEY (historical_location_id, location_id)) WITHOUT ROWID""",
    "CREATE INDEX location_historical ON historical_location_location (location_id)",
    """CREATE TABLE sensor (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL,
        encoding_type TEXT NOT NULL, metadata TEXT NOT NULL, properties TEXT)""",
    """CREATE TABLE observed_property (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, definition TEXT NOT NULL,
        description TEXT NOT NULL, properties TEXT)""",
    f"""CREATE TABLE datastream ({_STREAM}, unit TEXT NOT NULL,
        observed_property_id INTEGER NOT NULL REFERENCES observed_property(id) ON DELETE CASCADE)""",
    f"CREATE TABLE multi_datastream ({_STREAM}, data_types TEXT NOT NULL, units TEXT NOT NULL)",
    "CREATE INDEX datastream_thing ON datastream (thing_id)",
    "CREATE INDEX datastream_sensor ON datastream (sensor_id)",
    "CREATE INDEX datastream_observed_property ON datastream (observed_property_id)",
    "CREATE INDEX multi_datastream_thing ON multi_datastream (thing_id)",
    "CREATE INDEX multi_datastream_sensor ON multi_datastream (sensor_id)",
    """CREATE TABLE multi_datastream_observed_property (
        multi_datastream_id INTEGER NOT NULL REFERENCES multi_datastream(id) ON DELETE CASCADE, rank INTEGER NOT NULL,
        observed_property_id INTEGER NOT NULL REFERENCES observed_property(id) ON DELETE CASCADE,
        PRIMARY KEY (multi_datastream_id, rank)) WITHOUT ROWID""",
    "CREATE INDEX observed_property_multi ON multi_datastream_observed_property (observed_property_id)",
    f"""CREATE TABLE feature (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL,
        encoding_type TEXT NOT NULL, feature TEXT NOT NULL, properties TEXT, {_BOX})""",
    "CREATE INDEX feature_box ON feature (min_x, max_x)",
    f"""CREATE TABLE observation (id INTEGER PRIMARY KEY AUTOINCREMENT,
        datastream_id INTEGER REFERENCES datastream(id) ON DELETE CASCADE,
        multi_datastream_id INTEGER REFERENCES multi_datastream(id) ON DELETE CASCADE,
        feature_id INTEGER NOT NULL REFERENCES feature(id) ON DELETE CASCADE,
        phenomenon_us INTEGER NOT NULL, phenomenon_end_us INTEGER, phenomenon_text TEXT,
        value, result TEXT, resulted_us INTEGER, resulted_text TEXT, result_quality TEXT,
        valid_us INTEGER, valid_end_us INTEGER, valid_text TEXT, parameters TEXT,
        {IS_PLAIN_COLUMN},
        CHECK ((datastream_id IS NULL) <> (multi_datastream_id IS NULL)))""",
    OBSERVATION_STREAM,
    "CREATE INDEX observation_multi ON observation (multi_datastream_id, phenomenon_us) WHERE multi_datastream_id IS NOT NULL",
    "CREATE INDEX observation_time ON observation (phenomenon_us)",
    "CREATE INDEX observation_feature ON observation (feature_id)",
    "CREATE INDEX observation_resulted ON observation (datastream_id, resulted_us) WHERE resulted_us IS NOT NULL",
    """CREATE INDEX observation_end ON observation (datastream_id, phenomenon_end_us) WHERE phenomenon_end_us IS NOT NULL""",
    """CREATE TABLE stream_feature (stream TEXT NOT NULL, stream_id INTEGER NOT NULL, feature_id INTEGER NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY (stream, stream_id, feature_id)) WITHOUT ROWID""",
    "CREATE INDEX stream_of_feature ON stream_feature (feature_id)",
    """CREATE TABLE published (site TEXT NOT NULL, quantity TEXT NOT NULL, unit TEXT NOT NULL,
        datastream_id INTEGER NOT NULL REFERENCES datastream(id) ON DELETE CASCADE,
        feature_id INTEGER NOT NULL REFERENCES feature(id) ON DELETE CASCADE, PRIMARY KEY (site, quantity, unit)) WITHOUT ROWID""",
    "CREATE INDEX published_datastream ON published (datastream_id)",
    "CREATE INDEX published_feature ON published (feature_id)",
)
