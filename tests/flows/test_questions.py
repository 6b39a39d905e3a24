"""Questions that packs answer from tables: what is read, what is refused, what comes out."""

from __future__ import annotations

import gzip
import io
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest

import tocsin.flows.question_table as tables
import tocsin.pack
from asked_pack import WARMTH, asked_pack
from tocsin.edge.collect import CONVERSIONS
from tocsin.flows.question_table import read_table
from tocsin.flows.questions import ask, questions_of, saved
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import InputError, NotFound
from tocsin.vocabulary.units import KINDS, alike, converted

CSV = b"time,temperature [degF],site\n2024-05-01,50,a\n2024-05-02T06:00+02:00,86,b\n,,\n2024-05-03,NA,c\n"


@pytest.fixture(autouse=True)
def pack(monkeypatch: pytest.MonkeyPatch) -> None:
    packs = {"flood": asked_pack()}
    monkeypatch.setattr(tocsin.pack, "find_packs", lambda: packs)


def read(text: str | bytes) -> dict[str, list[object]]:
    data = text if isinstance(text, bytes) else text.encode()
    return {name: values.tolist() for name, values in read_table(data, "t.csv", WARMTH.columns).items()}


def test_a_question_is_answered_with_figures_table_remarks_source_and_limits() -> None:
    asked = ask("flood", "warmth", CSV, settings={"warmer_degC": "1"})
    assert (asked.figures["mean"].mean, asked.figures["mean"].low, asked.figures["mean"].high) == pytest.approx(
        (21.0, 11.0, 31.0)
    )
    facts = asked.facts()
    assert facts["rows"] == 3  # an empty row is none
    assert facts["table"]["time"] == ["2024-05-01T00:00:00Z", "2024-05-02T04:00:00Z"]
    assert facts["table"]["warmth"] == pytest.approx([11.0, 31.0])
    assert facts["remarks"] == ("1 rows were left out",)
    assert (facts["source"], facts["limits"], facts["settings"]) == ("a test", "nothing but tests", {"warmer_degC": 1.0})


def test_what_can_be_asked_is_told_with_columns_and_settings() -> None:
    warmth, place = questions_of("flood")
    assert [c["name"] for c in warmth["columns"]][:2] == ["time", "temperature"]
    assert warmth["settings"]["warmer_degC"]["high"] == 5.0
    assert place["needs_twin"]


def test_a_question_of_a_place_wants_a_twin() -> None:
    with pytest.raises(InputError, match="place: is asked of a place; give its twin with --twin"):
        ask("flood", "place", b"site\na\n")
    assert ask("flood", "place", b"site\na\n", world=TinyWorld()).figures["cells"].mean == 24.0
    with pytest.raises(NotFound, match="flood: no question 'depth'; there are: warmth, place"):
        ask("flood", "depth", b"site\na\n")


@pytest.mark.parametrize(
    ("heading", "value", "came"),
    [
        ("temperature [degC]", "10", 10.0),
        ("temperature_degC", "10", 10.0),
        ("Temperature (°F)", "50", 10.0),
        ("T2M_K", "283.15", 10.0),
        ("temp_f", "50", 10.0),
        ("temp [degc]", "1e1", 10.0),
        ("temperature [K]", "283.15", 10.0),
    ],
)
def test_a_heading_says_the_unit_in_brackets_or_at_its_end_under_any_of_its_names(heading: str, value: str, came: float) -> None:
    assert read(f"date,{heading}\n2024-05-01,{value}\n")["temperature"] == pytest.approx([came])


@pytest.mark.parametrize(
    ("more", "value", "name", "came"),
    [
        ("wind_km_per_h", "36", "wind", 10.0),
        ("wind [mph]", "1", "wind", 0.44704),
        ("humidity [%]", "50", "humidity", 0.5),
        ("humidity_percent", "50", "humidity", 0.5),
        ("humidity", "0.5", "humidity", 0.5),
        ("cases", "7", "cases", 7.0),
        ("cases [cases]", "7", "cases", 7.0),
    ],
)
def test_counts_and_shares_need_no_unit_and_the_rest_is_converted(more: str, value: str, name: str, came: float) -> None:
    assert read(f"date,temp_k,{more}\n2024-05-01,280,{value}\n")[name] == pytest.approx([came])


def test_what_a_row_does_not_say_is_nat_nan_or_empty_and_a_column_that_nobody_needs_is_not_there() -> None:
    table = read_table(b"date of onset;temp_c;site\n;NA;null\n2024-05-01;;x\n", "t.csv", WARMTH.columns)
    assert list(table) == ["time", "temperature", "site"]
    assert np.isnat(table["time"]).tolist() == [True, False]
    assert np.isnan(table["temperature"]).all()
    assert table["site"].tolist() == ["", "x"]
    assert (table["time"].dtype, table["temperature"].dtype) == (np.dtype("datetime64[us]"), np.dtype(np.float64))


def test_gzip_tabs_comments_quotes_and_a_byte_order_mark_are_read() -> None:
    text = '\ufeff# of 2024\ntime\ttemp_c\tsite\n2024-05-01\t1\t"a\tb, of\nc"\n'
    assert read(gzip.compress(text.encode())) == read(text)
    assert read(text)["site"] == ["a\tb, of\nc"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"t\.csv: is empty; wanted a heading"),
        ("time,temp_c\n", "a heading and no row"),
        ("time,humidity\n2024-01-01,1\n", r'wanted one named "temperature \[degC\]" \(or t2m, temp\): how warm'),
        ("time,temperature\n2024-01-01,1\n", r"column 'temperature' has no unit; wanted one of K, degC"),
        ("time,temp [mm]\n2024-01-01,1\n", "unit 'mm' of column 'temp \\[mm\\]' is not one of K, degC"),
        ("time [h],temp_c\n1,1\n", "column 'time \\[h\\]' has the unit 'h'; wanted dates"),
        ("time,temp_c,t2m_k\n2024-01-01,1,1\n", "columns 'temp_c', 't2m_k' could all be temperature; keep one"),
        ("time,temp_c\n2024-01-01,1,5\n", "line 2: 3 cells; wanted 2 as in the heading"),
        ("time,temp_c\n# so\n2024-01-01,warm\n", "line 3: temperature is 'warm'; wanted a number"),
        ("time;temp_c\n2024-01-01;1,5\n", "line 2: temperature is '1,5'.*write the decimals after a point"),
        ("time,temp_c\n2024-01-01,inf\n", "line 2: temperature is 'inf'; wanted a finite number"),
        ("time,temp_c\n1.5.2024,1\n", "line 2: time is '1.5.2024'; wanted a date or a time"),
        ("time,temp_c\n0001-01-01T00:00+05:00,1\n", "its time in UTC is no date"),
        ("time,temp_c,site\n2024-01-01,1," + "x" * 1_001, "line 2: site has 1,001 characters"),
        ("time,temp_c,site\n2024-01-01,1," + "x" * 200_000, "line 2: field larger than field limit"),
        (",".join(f"c{k}" for k in range(1_001)) + "\n1\n", "1,001 columns; wanted at most 1,000"),
        (b"time,temp_c\n2024-01-01,\xff\n", "byte 23 is not UTF-8"),
        (b"time,temp_c\n2024-01-01,\x00\n", "binary zeros"),
        (gzip.compress(CSV)[:-9], "no whole gzip file"),
        (b"\x1f\x8bnonsense", "no whole gzip file"),
    ],
)
def test_a_table_that_does_not_do_is_refused_with_its_line(text: str | bytes, says: str) -> None:
    with pytest.raises(InputError, match=f"t\\.csv: .*{says}|{says}"):
        read(text)


def test_a_table_that_is_too_long_is_refused_and_a_small_gzip_that_would_fill_the_memory_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "ROWS_MAX", 2)
    with pytest.raises(InputError, match="more than 2 rows"):
        read("time,temp_c\n" + "2024-01-01,1\n" * 3)
    monkeypatch.setattr(tables, "BYTES_MAX", 2**20)
    bomb = gzip.compress(b"," * 2**26)
    tracemalloc.start()
    with pytest.raises(InputError, match="more than 1 MB of text"):
        read(bomb)
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"warmer_degC": "9"}, "warmth: warmer_degC = 9: 9 is outside -5..5 degC: added to each"),
        ({"warmer_degC": "warm"}, "wanted a number in degC, e.g. warmer_degC=0"),
        ({"warmer_degC": "nan"}, "wanted a number"),
        ({"warmer_degC": "1 mm"}, "unit 'mm' is not one of K, degC"),
        ({"colder": "1"}, r"no setting 'colder'; there are: warmer_degC \[degC\]"),
    ],
)
def test_a_setting_that_does_not_do_is_refused(settings: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ask("flood", "warmth", CSV, settings=settings)


def test_a_setting_with_a_unit_becomes_the_questions_own() -> None:
    assert ask("flood", "warmth", CSV, settings={"warmer_degC": "275.15K"}).settings["warmer_degC"] == pytest.approx(2.0)


def test_a_saved_table_is_read_again_with_its_units() -> None:
    asked = ask("flood", "warmth", CSV)
    text = saved(asked, ".csv").decode()
    assert text.splitlines()[0] == "time,warmth [degC],site"
    assert read(text.replace("warmth", "temp"))["temperature"] == pytest.approx([10.0, 30.0])
    table = pq.read_table(io.BytesIO(saved(asked, ".parquet")))
    assert table.column_names == ["time", "warmth [degC]", "site"]
    assert table.column("site").to_pylist() == ["a", "b"]
    assert [moment.isoformat() for moment in table.column("time").to_pylist()] == [
        "2024-05-01T00:00:00+00:00",
        "2024-05-02T04:00:00+00:00",
    ]
    assert table.schema.metadata[b"source"] == b"a test"
    with pytest.raises(InputError, match="says no format; wanted .csv or .parquet"):
        saved(asked, ".xlsx")
    with pytest.raises(InputError, match="has no table"):
        saved(ask("flood", "place", b"site\na\n", world=TinyWorld()), ".csv")


def test_units_agree_with_the_table_that_collectors_convert_by() -> None:
    for (source, target), (factor, offset) in CONVERSIONS.items():
        source = source.replace("L/s", "l/s")
        value = np.array([0.0, 1.0, 40.0])
        np.testing.assert_allclose(converted(value, source, target), value * factor + offset, rtol=1e-12, atol=1e-12)


def test_a_unit_measures_one_thing_and_each_conversion_comes_back() -> None:
    assert len([unit for units in KINDS.values() for unit in units]) == len({unit for units in KINDS.values() for unit in units})
    for units in KINDS.values():
        first = next(iter(units))
        for unit in units:
            there = converted(np.array([3.7]), unit, first)
            np.testing.assert_allclose(converted(there, first, unit), 3.7, rtol=1e-12)
    with pytest.raises(InputError, match="unit 'm' does not become 'kg'"):
        converted(np.array([1.0]), "m", "kg")
    assert alike("cases") == ("cases",)
