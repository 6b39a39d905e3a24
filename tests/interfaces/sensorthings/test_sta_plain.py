"""Pages of plain Observations, read from the index and written without objects: the same bytes as by the simple way, always."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sta_place import NOW, ROOT, Sta, feature, open_sta, place, stream, thing

from tocsin.host import VirtualClock
from tocsin.interfaces.sensorthings.options import parse_options
from tocsin.interfaces.sensorthings.paths import resolve
from tocsin.interfaces.sensorthings.shape import Shaper
from tocsin.platform.things import Place, open_things
from tocsin.platform.things.jsontext import encode_bytes
from tocsin.platform.things.plain import COLUMNS
from tocsin.vocabulary import Observations, Quantity

UNITS = [{"name": "m/s", "symbol": "m/s", "definition": "x"}] * 2
DAY_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
PLAIN = [
    {"result": 1.5},
    {"result": 2},
    {"result": -0.1, "resultQuality": {"qartod": 3, "note": 'an "ä" and a %s', "x": [1.0, None]}},
    {"result": 1e22, "phenomenonTime": "1969-12-31T23:59:59.5Z"},
    {"result": 5e-324, "phenomenonTime": "2026-01-01T00:00:00.000001Z"},
    {"result": None},
    {"result": 7, "resultTime": "2026-01-01T00:00:01Z"},
]
MORE = [
    {"result": "flood"},
    {"result": 2**70},
    {"result": {"a": [1]}},
    {"result": True},
    {"result": 3, "phenomenonTime": "2026-01-01T00:00:00Z/2026-01-01T01:00:00Z"},
    {"result": 4, "phenomenonTime": "2026-01-01T01:00:00+01:00"},
    {"result": 5, "resultTime": "2026-01-01T01:00:00.1234567Z"},
    {"result": 6, "validTime": "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"},
    {"result": 8, "parameters": {"depth_m": 2}},
]


@pytest.fixture
def full(sta: Sta) -> Sta:
    multi = {"name": "w", "description": "w", "unitOfMeasurements": UNITS, "multiObservationDataTypes": ["a", "b"]}
    multi |= {
        "Sensor": {"name": "s", "description": "s", "encodingType": "x", "metadata": "m"},
        "ObservedProperties": [{"name": n, "definition": n, "description": n} for n in "ab"],
    }
    sta.made("Things", thing(Locations=[place(8, 51)], Datastreams=[stream(), stream("second")], MultiDatastreams=[multi]))
    for one in PLAIN:
        sta.made("Datastreams(1)/Observations", one)
    for one in [*MORE, PLAIN[0]]:
        sta.made("Datastreams(2)/Observations", one)
    sta.made("Datastreams(1)/Observations", {"result": 9, "FeatureOfInterest": feature(9, 50)})
    sta.made("MultiDatastreams(1)/Observations", {"result": [1, 2]})
    return sta


def simple(sta: Sta, address: str) -> bytes:
    """The answer by entities, one after the other: the way that every other set is answered."""
    path, _, options = address.partition("?")
    with sta.things.reading() as reader:
        target = resolve(path, reader)
        query = parse_options(options, target.kind)
        if target.id is not None:
            found = reader.one(target.kind, target.id, query)
            assert found is not None
            return encode_bytes(Shaper(ROOT).entity(found, query))
        shaper = Shaper(ROOT)
        return encode_bytes(
            (shaper.data_array if query.data_array else shaper.page)(reader.page(target.within, query), query, path)
        )


SETS = ("Observations", "Datastreams(1)/Observations", "Datastreams(2)/Observations", "FeaturesOfInterest(1)/Observations")
OPTIONS = (
    "",
    "$top=3&$count=true",
    "$skip=2&$top=4",
    "$top=0",
    "$filter=result gt 1",
    "$filter=result gt 1000 and result lt 0",
    "$filter=phenomenonTime ge 2026-01-01T00:00:00Z&$orderby=phenomenonTime desc",
    "$orderby=result desc,id",
    "$select=result",
    "$select=resultQuality",
    "$select=resultQuality,validTime",
    "$select=validTime,parameters",
    "$select=MultiDatastream",
    "$select=id,phenomenonTime,resultTime,Datastream",
    "$expand=Datastream",
    "$select=resultQuality&$expand=FeatureOfInterest",
    "$expand=Datastream($select=name;$expand=Thing($expand=Locations),ObservedProperty),FeatureOfInterest,MultiDatastream",
    "$expand=Datastream($filter=name eq 'second')",
    "$resultFormat=dataArray",
    "$resultFormat=dataArray&$select=phenomenonTime,result&$top=4",
    "$resultFormat=dataArray&$select=Datastream",
    "$expand=Datastream($expand=Observations($top=2;$orderby=result;$count=true))",
)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("of", [*SETS, "MultiDatastreams(1)/Observations"])
def test_a_page_of_observations_is_byte_for_byte_what_the_simple_way_writes(full: Sta, of: str, options: str) -> None:
    address = f"{of}?{options}"
    assert full.ask("GET", address).content == simple(full, address)


@pytest.mark.parametrize(
    "address",
    [
        "Datastreams?$expand=Observations",
        "Datastreams?$expand=Observations($top=2;$count=true)",
        "Datastreams?$expand=Observations($orderby=phenomenonTime desc;$top=1;$select=result,resultTime)",
        "Datastreams?$expand=Observations($filter=result gt 1;$skip=1;$expand=FeatureOfInterest)",
        "Datastreams(1)?$expand=Observations($orderby=result;$top=3),Thing",
        "Things?$expand=Datastreams($expand=Observations($top=2)),MultiDatastreams($expand=Observations)",
        "FeaturesOfInterest?$expand=Observations($top=3)",
    ],
)
def test_observations_inside_of_others_are_byte_for_byte_what_the_simple_way_writes(full: Sta, address: str) -> None:
    assert full.ask("GET", address).content == simple(full, address)


def test_what_a_node_publishes_is_all_plain_with_missing_values_as_nothing(sta: Sta) -> None:
    sta.things._publisher._places = {"ferry": Place(8.4, 49.0, "Ferry Quay")}  # type: ignore[misc]
    batch = Observations.of(
        Quantity("river_level", "m"), ("ferry",), [0] * 3, [DAY_US, DAY_US + 1, DAY_US + 2_000], [1.0, np.nan, 3], flag=[1, 9, 4]
    )
    sta.things.publish(batch)
    with sta.things.reading() as reader:
        target = resolve("Observations", reader)
        page = reader.page(target.within, parse_options("", target.kind), plain=True)
    assert page.plain is not None
    assert (page.entities, page.plain.others, list(page.plain.is_plain)) == ([], {}, [1, 1, 1])
    address = "Datastreams(1)/Observations"
    assert full_values(sta.get(address)) == [1.0, None, 3.0]
    assert sta.ask("GET", address).content == simple(sta, address)


def full_values(page: dict[str, Any]) -> list[Any]:
    return [one["result"] for one in page["value"]]


def test_an_address_with_signs_that_templates_and_json_give_a_meaning_is_written_as_it_is(full: Sta) -> None:
    root = 'http://h/a%20b"\\%s'
    with full.things.reading() as reader:
        target = resolve("Observations", reader)
        query = parse_options("", target.kind)
        told, wanted = (Shaper(root).page(reader.page(target.within, query, plain=p), query, "x") for p in (True, False))
    assert encode_bytes(told) == encode_bytes(wanted)


def test_a_page_of_a_stream_is_read_from_the_index_alone(full: Sta) -> None:
    """What SQLite would do says from where each column is read: nothing from the table, and nothing is sorted."""
    names = ", ".join(f"e.{name}" for name in COLUMNS)
    sql = f"SELECT {names} FROM observation e WHERE e.datastream_id = 1 AND e.phenomenon_us > 0 ORDER BY e.phenomenon_us, e.id LIMIT 9"
    with full.things.reading() as reader:
        (index,) = reader.db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'observation_stream'").fetchone()
        steps = reader.db.execute(f"EXPLAIN {sql}").fetchall()
    of_index = [row[2] for row in steps if row[1] == "OpenRead" and row[3] == index]
    assert len(of_index) == 1
    assert {row[2] for row in steps if row[1] in ("Column", "IdxRowid", "Rowid")} == set(of_index)
    assert not [row for row in steps if row[1] in ("Sort", "SorterOpen", "OpenEphemeral", "FinishSeek")]


def test_a_file_of_the_first_step_is_brought_to_the_next_one_with_all_that_it_holds(tmp_path: Path) -> None:
    sta = open_sta(tmp_path)
    sta.made("Things", thing(Locations=[place(8, 51)], Datastreams=[stream()]))
    for one in [*PLAIN, *MORE]:
        sta.made("Datastreams(1)/Observations", one)
    wanted = sta.ask("GET", "Observations").content
    sta.things.close()
    path = tmp_path / "things.sqlite"
    db = sqlite3.connect(path)
    db.execute("DROP INDEX observation_stream")
    db.execute("ALTER TABLE observation DROP COLUMN is_plain")
    db.execute("CREATE INDEX observation_stream ON observation (datastream_id, phenomenon_us) WHERE datastream_id IS NOT NULL")
    db.execute("PRAGMA user_version = 1")
    db.close()
    again = open_sta(tmp_path)
    assert again.ask("GET", "Observations").content == wanted
    again.things.close()
    fresh = open_things(tmp_path / "fresh.sqlite", clock=VirtualClock(NOW))
    fresh.close()
    shapes = []
    for one in (path, tmp_path / "fresh.sqlite"):
        db = sqlite3.connect(one)
        columns = sorted(row[1:6] for row in db.execute("PRAGMA table_xinfo(observation)"))
        indexes = sorted(db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"))
        shapes.append((columns, indexes, db.execute("PRAGMA user_version").fetchone()))
        db.close()
    assert shapes[0] == shapes[1]
