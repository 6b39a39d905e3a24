"""Filter: req/request-data/filter, built-in-filter-operations and built-in-query-functions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sta_place import Sta, feature, observed, open_sta, place, sensor, stream, thing

BAD = "https://example.org/?q='; DROP TABLE thing; --"


@pytest.fixture(scope="module")
def river(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three gauges along 51 N, each with a level and a rain stream of six observations, 0 to 35 in all, ten minutes apart."""
    sta = open_sta(tmp_path_factory.mktemp("river"))
    kinds = [(sta.made("Sensors", sensor(n)), sta.made("ObservedProperties", observed(n))) for n in ("level", "rain")]
    number = 0
    for gauge in range(3):
        properties = {
            "km": 10.5 * gauge,
            "owner": "city" if gauge else "state",
            "on": gauge == 1,
            "since": f"20{10 + gauge}-01-01T00:00:00Z",
        }
        one = sta.made(
            "Things", thing(f"Gauge {gauge}", properties=properties, Locations=[place(8 + gauge, 51, f"spot {gauge}")])
        )
        for kind, (sensor_id, observed_id) in zip(("level", "rain"), kinds, strict=True):
            links = {"Sensor": {"@iot.id": sensor_id}, "ObservedProperty": {"@iot.id": observed_id}}
            made = sta.made(f"Things({one})/Datastreams", stream(f"{kind} {gauge}") | links)
            for step in range(6):
                when = f"2026-03-0{gauge + 1}T0{step}:10:30.250Z"
                sta.made(f"Datastreams({made})/Observations", {"result": number, "phenomenonTime": when, "resultTime": when})
                number += 1
    sta.made("Things", thing("O'Brien's Äcker"))
    yield sta
    sta.things.close()


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("result eq 5", [5]),
        ("5 eq result", [5]),
        ("result ne 5 and result lt 7", [0, 1, 2, 3, 4, 6]),
        ("result gt 33", [34, 35]),
        ("result ge 33.5", [34, 35]),
        ("result lt 2", [0, 1]),
        ("2 gt result", [0, 1]),
        ("result le 1", [0, 1]),
        ("result eq 1 or result eq 2 and result eq 3", [1]),
        ("(result eq 1 or result eq 2) and result eq 2", [2]),
        ("not result gt 1", [0, 1]),
        ("not (result gt 1) and not result eq 0", [1]),
        ("not not (result eq 3)", [3]),
        ("result add 2 eq 4", [2]),
        ("result sub 2 eq -2", [0]),
        ("result sub -2 eq 4", [2]),
        ("-result eq -7", [7]),
        ("result mul 2 eq 6", [3]),
        ("result div 2 eq 1.5", [3]),
        ("result mod 12 eq 11", [11, 23, 35]),
        ("2 add 3 mul 4 eq result", [14]),
        ("(2 add 3) mul 4 eq result", [20]),
        ("20 sub 5 sub 4 eq result", [11]),
        ("result div 0 eq 1 or result eq 9", [9]),
        ("result mod 0 eq 1 or result eq 9", [9]),
        ("result eq 1e0", [1]),
        ("result eq .5e1", [5]),
        ("round(result div 10) eq 3 and result lt 26", [25]),
        ("floor(result div 10) eq 3", [30, 31, 32, 33, 34, 35]),
        ("ceiling(result div 10) eq 1 and result gt 8", [9, 10]),
        ("result eq '7'", [7]),
        ("startswith(result, '3') and result gt 3 and result lt 32", [30, 31]),
        ("result eq null", []),
        ("result ne null and result lt 1", [0]),
        ("true eq true and result eq 1", [1]),
        ("false or result eq 1", [1]),
        ("id eq 3", [2]),
        ("@iot.id gt 34", [34, 35]),
        ("Datastream/id eq 2 and result lt 8", [6, 7]),
        ("Datastream/name eq 'rain 2' and result gt 33", [34, 35]),
        ("Datastream/ObservedProperty/name eq 'rain' and result lt 8", [6, 7]),
        ("Datastream/Thing/properties/km gt 20 and result lt 26", [24, 25]),
        ("Datastream/Thing/Locations/name eq 'spot 1' and result lt 14", [12, 13]),
        ("Datastream/unitOfMeasurement/symbol eq 'm' and result eq 1", [1]),
        ("Datastream/unitOfMeasurement/symbol eq 'ft'", []),
        ("FeatureOfInterest/name eq 'spot 2' and result lt 25", [24]),
        ("MultiDatastream/name eq 'x'", []),
        ("MultiDatastream eq null and result lt 1", [0]),
    ],
)
def test_operators_bind_as_the_standard_says(river: Sta, condition: str, wanted: list[int]) -> None:
    assert river.results(condition) == wanted


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("phenomenonTime lt 2026-03-01T01:00:00Z and result lt 6", [0]),
        ("phenomenonTime ge 2026-03-03T05:10:30.250Z and result lt 30", [29]),
        ("phenomenonTime eq 2026-03-01T00:10:30.25Z and result eq 0", [0]),
        ("phenomenonTime eq 2026-03-01T01:10:30.250+01:00 and result eq 0", [0]),
        ("phenomenonTime gt 2026-03-03 and result lt 26", [24, 25]),
        ("resultTime le 2026-03-01T00:10:30.250Z", [0, 6]),
        ("2026-03-01T00:10:30.250Z ge resultTime", [0, 6]),
        ("year(phenomenonTime) eq 2026 and result eq 0", [0]),
        ("month(resultTime) eq 3 and result eq 0", [0]),
        ("day(phenomenonTime) eq 2 and result lt 13", [12]),
        ("hour(phenomenonTime) eq 5 and result lt 6", [5]),
        ("minute(phenomenonTime) eq 10 and result eq 1", [1]),
        ("second(phenomenonTime) eq 30 and result eq 1", [1]),
        ("fractionalseconds(phenomenonTime) eq 0.25 and result eq 1", [1]),
        ("date(phenomenonTime) eq 2026-03-02 and result lt 13", [12]),
        ("date(phenomenonTime) eq date(2026-03-02T22:00:00Z) and result lt 13", [12]),
        ("time(phenomenonTime) gt 05:00:00 and result lt 6", [5]),
        ("time(phenomenonTime) eq 05:10:30.25 and result lt 6", [5]),
        ("totaloffsetminutes(phenomenonTime) eq 0 and result eq 1", [1]),
        ("hour(2026-03-01T05:00:00+05:30) eq result", [5]),
        ("totaloffsetminutes(2026-03-01T00:00:00+00:30) eq result", [30]),
        ("phenomenonTime lt now() and result eq 1", [1]),
        ("now() eq 2026-11-23T07:15:00Z and result eq 1", [1]),
        ("phenomenonTime gt mindatetime() and phenomenonTime lt maxdatetime() and result eq 1", [1]),
        ("phenomenonTime add duration'PT1H' gt 2026-03-01T06:00:00Z and result lt 6", [5]),
        ("phenomenonTime sub duration'P1D' ge 2026-03-02T05:00:00Z and result lt 30", [29]),
        ("duration'PT1H' add phenomenonTime gt 2026-03-01T06:00:00Z and result lt 6", [5]),
        ("phenomenonTime sub 2026-03-01T00:10:30.250Z eq duration'PT2H' and result lt 6", [2]),
        ("phenomenonTime sub 2026-03-01T00:10:30.250Z eq duration'PT1H' mul 2 and result lt 6", [2]),
        ("phenomenonTime sub resultTime eq duration'PT0S' and result eq 2", [2]),
        ("now() sub phenomenonTime gt -duration'P1D' and result eq 2", [2]),
    ],
)
def test_times_compare_take_apart_and_add_up(river: Sta, condition: str, wanted: list[int]) -> None:
    assert river.results(condition) == wanted


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("name eq 'Gauge 1'", [1]),
        ("name eq 'O''Brien''s Äcker'", [3]),
        ("substringof('auge 2', name)", [2]),
        ("startswith(name, 'Gauge')", [0, 1, 2]),
        ("endswith(name, '2')", [2]),
        ("endswith(name, '')", [0, 1, 2, 3]),
        ("length(name) eq 7", [0, 1, 2]),
        ("indexof(name, 'auge') eq 2", [0, 1, 2]),
        ("indexof(name, 'x') eq -1", [0, 1, 2, 3]),
        ("substring(name, 6) eq '2'", [2]),
        ("substring(name, 1, 4) eq 'auge'", [0, 1, 2]),
        ("tolower(name) eq 'o''brien''s äcker'", [3]),
        ("toupper(name) eq 'O''BRIEN''S ÄCKER'", [3]),
        ("trim(concat(' ', name)) eq 'Gauge 0'", [0]),
        ("concat(concat(name, ', '), description) eq 'Gauge 0, the Gauge 0'", [0]),
        ("name gt 'Gauge 0' and name lt 'H'", [1, 2]),
        ("startswith(name, '%')", []),
        ("properties/owner eq 'city'", [1, 2]),
        ("properties/owner ne 'city'", [0]),
        ("not (properties/owner eq 'city')", [0]),
        ("properties/km eq 10.5", [1]),
        ("properties/km add 1 gt 11", [1, 2]),
        ("properties/km eq '10.5'", [1]),
        ("not properties/on", [0, 2]),
        ("not properties/owner", []),
        ("properties/owner gt 5", []),
        ("properties/on", [1]),
        ("properties/on eq true", [1]),
        ("properties/on eq false", [0, 2]),
        ("properties/since gt 2010-06-01T00:00:00Z", [1, 2]),
        ("year(properties/since) eq 2011", [1]),
        ("properties/none eq null", [0, 1, 2, 3]),
        ("properties/owner ne null", [0, 1, 2]),
        ("properties eq null", [3]),
        ("properties/km eq properties/km", [0, 1, 2]),
        ("tolower(properties/owner) eq 'state'", [0]),
        (f"name eq '{BAD.replace(chr(39), chr(39) * 2)}'", []),
        ("Datastreams/name eq 'level 1'", [1]),
        ("Datastreams/Observations/result eq 30", [2]),
        ("Datastreams/Observations/result gt 5 and Datastreams/name eq 'level 0'", []),
        ("Datastreams/name eq 'level 0' or name eq 'Gauge 2'", [0, 2]),
        ("Datastreams/id eq null", [3]),
        ("Datastreams/id ne null", [0, 1, 2]),
        ("Locations/name eq 'spot 1' and Datastreams/name eq 'rain 1'", [1]),
        ("startswith(HistoricalLocations/Locations/name, 'spot 2')", [2]),
        ("st_within(Locations/location, geography'POLYGON((7 50, 8.5 50, 8.5 52, 7 52, 7 50))')", [0]),
    ],
)
def test_texts_properties_and_ways_to_many(river: Sta, condition: str, wanted: list[int]) -> None:
    assert [n - 1 for n in river.ids("Things", filter=condition)] == wanted


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("Datastreams/any(d: d/name eq 'level 1')", [1]),
        ("Datastreams/any(d: d/name eq 'level 1') and Datastreams/any(e: e/name eq 'rain 1')", [1]),
        ("Datastreams/any(d: d/name eq 'level 1' and d/name eq 'rain 1')", []),
        ("Datastreams/any(d: d/name eq 'level 0') or Datastreams/any(d: d/name eq 'rain 2')", [0, 2]),
        ("not Datastreams/any(d: d/name eq 'level 1')", [0, 2, 3]),
        ("Datastreams/any()", [0, 1, 2]),
        ("Datastreams/all(d: d/Thing/properties/on)", [1, 3]),
        ("Datastreams/all(d: d/properties/none eq 1)", [3]),
        ("Datastreams/any(d: d/Observations/any(o: o/result eq 30 and startswith(d/name, 'rain')))", [2]),
        ("Datastreams/any(d: d/Observations/any(o: o/result eq 30 and startswith(d/name, 'level')))", []),
        ("Datastreams/Observations/any(o: o/result lt 1)", [0]),
        ("Datastreams/any(d: d/Thing/properties/km eq properties/km and properties/km gt 11)", [2]),
        ("Datastreams/any(d: d/Thing/name eq 'Gauge 2' and d/Thing/Locations/name eq 'spot 2')", [2]),
        ("Datastreams/any(d: Locations/name eq 'spot 1')", [1]),
        ("Datastreams/any(d: Datastreams/any(d: d/name eq 'level 0') and d/name eq 'rain 0')", [0]),
    ],
)
def test_any_and_all_are_asked_of_what_a_way_leads_to(river: Sta, condition: str, wanted: list[int]) -> None:
    assert [n - 1 for n in river.ids("Things", filter=condition)] == wanted


@pytest.mark.parametrize(
    "words",
    [
        "geo.distance(properties/km, properties/km)",
        "geo.distance(properties/owner, Locations/location)",
        "geo.length(properties/km)",
        "geo.length(properties/on)",
        "geo.length(properties)",
    ],
)
def test_what_lies_in_json_and_is_no_shape_has_no_place(river: Sta, words: str) -> None:
    assert river.ids("Things", filter=f"{words} ge 0") == []
    for predicate in ("geo.intersects", "st_equals", "st_disjoint"):
        assert river.ids("Things", filter=f"{predicate}(properties/km, geography'POINT(8 51)')") == []
    assert river.ids("Things", filter="st_relate(properties/km, geography'POINT(8 51)', 'T********')") == []
    if "Locations" not in words:
        assert len(river.ids("Things", orderby=words)) == 4


def test_any_stands_six_deep_in_itself_and_no_deeper(river: Sta) -> None:
    def nested(depth: int) -> str:
        words = "name eq 'Gauge 1'"
        for number in range(depth):
            words = f"Datastreams/any(v{number}: {words})"
        return words

    assert [n - 1 for n in river.ids("Things", filter=nested(6))] == [1]
    assert "deep in one another" in river.refused_option("Things", "filter", nested(7))
    assert "deep in one another" in river.refused_option("Things", "filter", re.sub(r"v\d", "v", nested(7)))


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("Datastreams/any(d d/name eq 'x')", "':' after the variable"),
        ("Datastreams/any(d: d/name eq 'x'", "')' that closes any"),
        ("Datastreams/all()", "a variable"),
        ("Datastreams/any(d: e/name eq 'x')", "'e' is no property of Thing"),
        ("name/any(n: n eq 'x')", "'name' is no relation of Thing"),
        ("Datastreams/Thing/any(t: t/name eq 'x')", "leads to one"),
        ("Datastreams/any(d: d/colour eq 'x')", "'colour' is no property of Datastream"),
        ("Datastreams/any(d: d/name)", "a condition that is true or false"),
    ],
)
def test_an_any_that_is_none_is_told_where(river: Sta, condition: str, told: str) -> None:
    message = river.refused_option("Things", "filter", condition)
    assert told in message
    assert "line 1, column" in message


SHAPES = {
    "left": {"type": "Point", "coordinates": [8, 51]},
    "right": {"type": "Point", "coordinates": [9, 51]},
    "line": {"type": "LineString", "coordinates": [[7, 52], [10, 52]]},
    "square": {"type": "Polygon", "coordinates": [[[8, 53], [10, 53], [10, 55], [8, 55], [8, 53]]]},
    "nowhere": {"type": "Feature", "properties": {}, "geometry": None},
}


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("geo.distance(location, geography'POINT(8 50)') eq 1", "left"),
        ("geo.distance(geography'POINT(8 50)', location) lt 2", "left right"),
        ("geo.length(location) eq 3", "line"),
        ("geo.length(location) eq 0", "left right square"),
        ("geo.length(geography'LINESTRING(0 0, 0 2)') eq geo.length(location) sub 1", "line"),
        ("geo.intersects(location, geography'POLYGON((7.5 50, 8.5 50, 8.5 54, 7.5 54, 7.5 50))')", "left line square"),
        ("st_equals(location, geography'POINT(8 51)')", "left"),
        ("st_equals(location, geography'SRID=4326;POINT (8.0 51.0)')", "left"),
        ("st_disjoint(location, geography'POLYGON((7.5 50, 8.5 50, 8.5 54, 7.5 54, 7.5 50))')", "right"),
        ("st_touches(location, geography'LINESTRING(7 52, 7 60)')", "line"),
        ("st_within(location, geography'POLYGON((7 50, 11 50, 11 51.5, 7 51.5, 7 50))')", "left right"),
        ("st_overlaps(location, geography'POLYGON((9 54, 11 54, 11 56, 9 56, 9 54))')", "square"),
        ("st_crosses(location, geography'LINESTRING(8 50.5, 8 52.5)')", "line"),
        ("st_intersects(location, geography'LINESTRING(8 51, 8 52)')", "left line"),
        ("st_contains(location, geography'POINT(9 54)')", "square"),
        ("st_relate(location, geography'POLYGON((7 50, 11 50, 11 51.5, 7 51.5, 7 50))', 'T*F**F***')", "left right"),
        ("st_intersects(geography'POINT(9 54)', location)", "square"),
        ("st_intersects(location, location)", "left right line square"),
        ("not st_intersects(location, geography'POINT(9 54)')", "left right line"),
        ("st_intersects(location, geography'POLYGON EMPTY')", ""),
    ],
)
def test_shapes_are_found_by_where_they_are(tmp_path_factory: pytest.TempPathFactory, condition: str, wanted: str) -> None:
    sta = open_sta(tmp_path_factory.mktemp("shapes"))
    for name, shape in SHAPES.items():
        sta.made("Locations", place(0, 0, name) | {"location": shape})
        sta.made("FeaturesOfInterest", feature(0, 0, name) | {"feature": shape})
    assert sta.names("Locations", filter=condition) == wanted.split()
    assert sta.names("FeaturesOfInterest", filter=condition.replace("location", "feature")) == wanted.split()
    sta.things.close()


def test_a_result_of_another_kind_is_neither_equal_nor_an_error(sta: Sta) -> None:
    made = sta.made("Datastreams", stream(Thing=thing(Locations=[place(8, 51)])))
    for result in (1, "1", "a", True, {"a": {"b": 5}}, [7, 8], None, 2**70):
        sta.made(f"Datastreams({made})/Observations", {"result": result})
    assert sta.results("result lt 5") == [1]
    assert sta.results("result eq '1'") == [1, "1"]
    assert sta.results("result eq 'a'") == ["a"]
    assert sta.results("result eq true") == [True]
    assert sta.results("result") == [True]
    assert sta.results("result/a/b eq 5") == [{"a": {"b": 5}}]
    assert sta.results("result/1 eq 8") == [[7, 8]]
    assert sta.results("result[0] eq 7") == [[7, 8]]
    assert sta.results("result eq null") == [None]
    assert sta.results("result gt 1e20") == [2**70]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("name eq", "line 1, column 8: got 'the end'; wanted a property"),
        ("name = 'x'", "line 1, column 6: got '='"),
        ("name eq 'x", 'line 1, column 9: got "\'x"'),
        ("(name eq 'x'", "wanted ')' that closes the bracket"),
        ("name eq 'x')", "wanted and, or, a comparison or the end"),
        ("colour eq 'x'", "'colour' is no property of Thing; wanted one of: @iot.id, name"),
        ("name eq\n  colour", "line 2, column 3"),
        ("name/first eq 'x'", "Thing/name is a text and holds no 'first'"),
        ("Datastreams/colour eq 1", "'colour' is no property of Datastream"),
        ("name eq 5", "got string eq number; wanted two values of the same kind"),
        ("name", "got a string; wanted a condition that is true or false"),
        ("name add 1 eq 2", "got a string; wanted a number"),
        ("length(5) eq 1", "wanted a text in single quotes"),
        ("length(name, name) eq 1", "got length with 2 arguments; wanted 1"),
        ("jump(name)", "the function 'jump'; wanted one of: substringof"),
        ("name eq geography'POINT(1'", "is no WKT"),
        ("st_within(name, geography'POINT(1 1)')", "wanted a shape"),
        ("st_within(Locations/location, geography'SRID=3857;POINT(1 1)')", "SRID 3857; wanted 4326"),
        ("st_relate(Locations/location, geography'POINT(1 1)', 'abc')", "wanted a DE-9IM pattern"),
        ("year(name) eq 2000", "got a string; wanted a time"),
        ("now() gt 2026-13-01T00:00:00Z", "month must be in 1..12"),
        ("now() gt 2026-02-30", "is no date"),
        ("time(now()) gt 25:00", "is no time of day"),
        ("now() add duration'P1Y' gt now()", "is no duration; wanted days to seconds"),
        ("during(now(), 2026-01-01T00:00:00Z)", "wanted an interval"),
        ('properties/"x" eq 1', "line 1, column 12"),
        ("id eq 1e999", "beyond the largest number"),
        ("not", "wanted a property"),
        ("and", "wanted a property"),
        ("", "got 'the end'"),
        ("(" * 300 + "1 eq 1" + ")" * 300, "nested more than"),
        ("not " * 300 + "true", "nested more than"),
        ("name eq '" + "x" * 30_000 + "'", "wanted at most 20,000"),
        (" and ".join(["Locations/Things/Locations/Things/Locations/Things/Locations/Things/id eq 1"] * 2), ""),
    ],
)
def test_a_filter_that_is_wrong_is_refused_with_its_place(river: Sta, condition: str, words: str) -> None:
    if words:
        assert words in river.refused_option("Things", "filter", condition)
    else:
        assert river.get("Things", filter=condition)["value"]


def test_a_way_over_very_many_relations_is_refused(river: Sta) -> None:
    ways = (
        " or ".join(f"Datastreams{'/Thing/Datastreams' * n}/id eq 1" for n in range(1, 7))
        + " or Locations/Things/Datastreams/id eq 1"
    )
    more = " or ".join(f"Locations{'/Things/Locations' * n}/id eq 1" for n in range(1, 6))
    assert "more than 20 relations" in river.refused_option("Things", "filter", f"{ways} or {more}")


def test_an_old_file_is_opened_again_with_all_that_is_in_it(tmp_path: Path) -> None:
    first = open_sta(tmp_path)
    first.made("Things", thing())
    first.things.close()
    again = open_sta(tmp_path)
    assert again.names("Things") == ["gauge"]
    again.things.close()


@pytest.mark.parametrize("operator", ["or", "and"])
def test_a_long_row_of_conditions_is_no_deep_one(sta: Sta, operator: str) -> None:
    sta.made("Things", {"name": "x", "description": "d"})
    row = f" {operator} ".join(["id eq 1"] * 600)
    assert sta.ids("Things", filter=row) == [1]
    assert sta.ids("Things", filter=f"{row} and id eq 2") == ([1] if operator == "or" else [])
