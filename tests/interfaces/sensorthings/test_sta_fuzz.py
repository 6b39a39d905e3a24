"""Whatever is asked, the answer is one that the service meant: no filter, option, address or body makes it fail."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sta_place import Sta, open_sta, place, stream, thing

MEANT = {200, 201, 204, 400, 403, 404, 405, 409, 501}
WORDS = st.sampled_from(
    [
        "eq",
        "ne",
        "gt",
        "ge",
        "lt",
        "le",
        "and",
        "or",
        "not",
        "add",
        "sub",
        "mul",
        "div",
        "mod",
        "(",
        ")",
        ",",
        "/",
        "'",
        "[",
        "]",
        "-",
        ";",
        "$",
        "@",
        "null",
        "true",
        "false",
        "name",
        "result",
        "id",
        "@iot.id",
        "properties",
        "phenomenonTime",
        "Datastream",
        "Datastreams",
        "Observations",
        "Thing",
        "Locations",
        "location",
        "feature",
        "observedArea",
        "unitOfMeasurement",
        "symbol",
        "1",
        "0",
        "-5",
        "1.5",
        "1e5",
        "'a'",
        "'it''s'",
        "2026-01-01T00:00:00Z",
        "2026-01-01",
        "12:00",
        "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z",
        "duration'P1D'",
        "geography'POINT(1_2)'",
        "geography'POLYGON((0_0,1_0,1_1,0_0))'",
        "length(name)",
        "now()",
        "year(",
        "substringof(",
        "geo.distance(",
        "st_within(",
        "st_relate(",
        "during(",
        "round(",
        "concat(",
        "substring(",
        "date(",
        "time(",
        "9223372036854775808",
        "1e308",
        "\x00",
        "ä",
        "🌊",
        "resultTime",
        "parameters",
        "any(d:",
        "all(",
        ":",
        "d/name",
    ]
)
PATHS = st.sampled_from(
    [
        "Things",
        "Observations",
        "Datastreams",
        "Locations",
        "HistoricalLocations",
        "FeaturesOfInterest",
        "MultiDatastreams",
        "Sensors",
    ]
)
VALUES = st.sampled_from(
    [
        *(
            "result",
            "name",
            "phenomenonTime",
            "Datastream/name",
            "properties/a",
            "1",
            "2.5",
            "'a'",
            "null",
            "true",
            "2026-01-01T00:00:00Z",
        ),
        *(
            "now()",
            "duration'PT5M'",
            "geography'POINT(1 2)'",
            "Locations/location",
            "Datastreams/id",
            "FeatureOfInterest/feature",
            "id",
        ),
        *("2026-01-01T00:00:00Z/2026-01-02T00:00:00Z", "validTime", "observedArea", "2026-01-01", "06:00:00", "result/a", "'%_'"),
        *("d/name", "d/result", "d", "d/Observations/result"),
    ]
)
FUNCTIONS = st.sampled_from(
    [
        "length",
        "tolower",
        "trim",
        "year",
        "second",
        "date",
        "time",
        "round",
        "floor",
        "geo.length",
        "totaloffsetminutes",
        "substringof",
        "startswith",
        "indexof",
        "concat",
        "geo.distance",
        "st_within",
        "st_equals",
        "before",
        "during",
        "overlaps",
        "meets",
        "substring",
        "fractionalseconds",
    ]
)
WAYS = st.sampled_from(["Datastreams", "Observations", "Locations", "Thing", "d/Observations", "d", "name"])
EXPRESSIONS: Any = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.builds(
            "({} {} {})".format,
            inner,
            st.sampled_from(["eq", "ne", "gt", "le", "and", "or", "add", "sub", "mul", "div", "mod"]),
            inner,
        ),
        st.builds("not {}".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{}/{}(d: {})".format, WAYS, st.sampled_from(["any", "all"]), inner),
        st.builds("{}({})".format, FUNCTIONS, inner),
        st.builds("{}({}, {})".format, FUNCTIONS, inner, inner),
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    sta = open_sta(tmp_path_factory.mktemp("fuzz"))
    rows = [{"result": value} for value in (1, "a", True, None, {"a": 1}, [1])]
    sta.made("Things", thing(properties={"a": 1}, Locations=[place(1, 2)], Datastreams=[stream(Observations=rows)]))
    yield sta
    sta.things.close()


def meant(sta: Sta, method: str, path: str, **more: Any) -> None:
    response = sta.ask(method, path, **more)
    assert response.status_code in MEANT, response.text
    if response.status_code >= 400:
        assert response.json()["message"]


@settings(max_examples=400, deadline=None)
@given(path=PATHS, condition=EXPRESSIONS)
def test_a_filter_that_reads_well_is_answered_or_refused(full: Sta, path: str, condition: str) -> None:
    meant(full, "GET", f"{path}?$filter={quote(condition, safe='')}&$count=true")
    meant(full, "GET", f"{path}?$orderby={quote(condition, safe='')}")


@settings(max_examples=300, deadline=None)
@given(path=PATHS, words=st.lists(WORDS, max_size=12), option=st.sampled_from(["filter", "orderby", "expand", "select", "top"]))
def test_words_in_any_order_are_answered_or_refused(full: Sta, path: str, words: list[str], option: str) -> None:
    meant(full, "GET", f"{path}?${option}={quote(' '.join(words).replace('_', ' '), safe='')}")


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_is_answered_or_refused(full: Sta, text: str) -> None:
    safe = quote(text.encode("utf-8", "replace"), safe="")
    meant(full, "GET", f"Things?$filter={safe}")
    meant(full, "GET", f"Things?$expand={safe}")
    safe = safe.replace("%0A", "")  # the router itself has no address with a line's end in it, and says 404 as plain text
    meant(full, "GET", f"Things({safe})/name")
    meant(full, "GET", f"Things(1)/{safe}")


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "description", "properties", "Locations", "Datastreams", "@iot.id", "result", "time", "Thing", "x"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(path=PATHS, body=JSON, method=st.sampled_from(["POST", "PATCH", "PUT"]))
def test_any_body_is_answered_or_refused(full: Sta, path: str, body: Any, method: str) -> None:
    one = path if method == "POST" else f"{path}(1)"
    meant(full, method, one, body=body)
    meant(full, "POST", "CreateObservations", body=body)
    meant(full, "POST", "$batch", body={"requests": body})
