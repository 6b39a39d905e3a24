"""Real warnings: 189 of the US National Weather Service, two of Canada, Google's good and broken samples, a whole index.

The oracle is the XML itself, walked without our reader.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from tocsin.platform.exchange import read_cap, read_feed, write_cap

pytestmark = pytest.mark.real_data
DSIG = "{http://www.w3.org/2000/09/xmldsig#}"


def plain(data: bytes) -> Counter[tuple[str, str]]:
    """What a message says, apart from spaces: each path with its text, in one form; no empty ones."""
    said: Counter[tuple[str, str]] = Counter()
    root = etree.fromstring(data)
    for node in root.iter("*"):
        if str(node.tag).startswith(DSIG):
            continue
        names = [etree.QName(part).localname for part in (*reversed(list(node.iterancestors())), node)]
        text = (node.text or "").strip()
        if len(node) or not text or (names[-1], text) == ("language", "en-US"):
            continue
        if names[-1] in ("sent", "effective", "onset", "expires"):
            text = datetime.fromisoformat(text).isoformat()
        if names[-1] in ("polygon", "circle"):
            text = " ".join(str(float(number)) for number in text.replace(",", " ").split())
        if names[-1] == "references":
            text = text.replace("-00:00", "+00:00")
        said["/".join(names), text] += 1
    return said


def weather_service(shared_data: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(shared_data / "cap" / "nws_cap12.zip") as packed:
        return {name: packed.read(name) for name in sorted(packed.namelist()) if name.endswith(".xml")}


def canada(shared_data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((shared_data / "cap" / "eccc").glob("*.cap"))}


def samples(shared_data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((shared_data / "cap" / "google_testdata").iterdir())}


def test_every_real_warning_reads_clean_and_is_written_valid_with_nothing_lost(shared_data: Path, cap12: etree.XMLSchema) -> None:
    messages = weather_service(shared_data) | canada(shared_data)
    assert len(messages) == 191
    for name, data in messages.items():
        reading = read_cap(data)
        assert reading.problems == (), name
        assert reading.alert is not None
        written = write_cap(reading.alert)
        assert cap12.validate(etree.fromstring(written)), (name, cap12.error_log)
        assert plain(written) == plain(data), name
        assert read_cap(written).alert == reading.alert


def test_every_polygon_of_the_weather_service_is_read_to_the_last_digit(shared_data: Path) -> None:
    read, raw = [], []
    for data in weather_service(shared_data).values():
        alert = read_cap(data).alert
        assert alert is not None
        read += [polygon.points for info in alert.info for area in info.area for polygon in area.polygons]
        texts = [node.text or "" for node in etree.fromstring(data).iter("{*}polygon")]
        raw += [np.fromstring(text.replace(",", " "), sep=" ").reshape(-1, 2)[:, ::-1] for text in texts]
    assert len(read) == len(raw) == 99
    for ours, theirs in zip(read, raw, strict=True):
        np.testing.assert_array_equal(np.array(ours), theirs)


def test_canada_signs_its_warnings_and_the_weather_service_did_not(shared_data: Path) -> None:
    assert all(read_cap(data).signed for data in canada(shared_data).values())
    assert not any(read_cap(data).signed for data in weather_service(shared_data).values())


@pytest.mark.parametrize(
    ("name", "version", "signed"),
    [
        ("canada.cap", "1.2", False),
        ("earthquake.cap", "1.1", False),
        ("earthquake-iso8859-1.cap", "1.2", True),
        ("earthquake_signed.cap", "1.1", True),
        ("no_optional_fields.cap", "1.1", False),
        ("weather.cap", "1.1", False),
    ],
)
def test_google_s_good_samples_read_clean(
    shared_data: Path, cap12: etree.XMLSchema, name: str, version: str, signed: bool
) -> None:
    reading = read_cap(samples(shared_data)[name])
    assert reading.problems == ()
    assert (reading.version, reading.signed) == (version, signed)
    assert reading.alert is not None
    assert cap12.validate(etree.fromstring(write_cap(reading.alert)))


@pytest.mark.parametrize(
    ("name", "kept", "places"),
    [
        ("invalid.cap", False, {"alert/scope", "alert"}),
        ("canada_errors.cap", True, {"alert/references"}),
        (
            "noaa_errors.cap",
            True,
            {
                "alert/info[1]/urgency",
                "alert/info[1]/severity",
                "alert/info[1]/certainty",
                "alert/info[1]/area[1]/polygon[1]",
                "alert/info[1]/area[1]/polygon[2]",
            },
        ),
    ],
)
def test_google_s_broken_samples_say_where_they_are_broken(shared_data: Path, name: str, kept: bool, places: set[str]) -> None:
    reading = read_cap(samples(shared_data)[name])
    assert (reading.alert is not None) is kept
    assert {problem.where for problem in reading.problems} == places


@pytest.mark.parametrize(
    ("name", "entries", "links", "alerts", "problems"),
    [
        ("amber.atom", 1, 0, 1, 0),
        ("earthquake_index.atom", 1, 1, 0, 0),
        ("empty_weather_index.atom", 0, 0, 0, 0),
        ("invalid.rss", 1, 0, 0, 4),
        ("invalid_element.atom", 1, 0, 0, 1),
        ("no_entries.atom", 0, 0, 0, 0),
        ("no_id.atom", 1, 0, 0, 2),
        ("no_link.atom", 1, 0, 0, 1),
        ("no_title.atom", 1, 0, 0, 2),
        ("ny_index.rss", 2, 2, 0, 0),
        ("weather.atom", 1, 1, 1, 0),
        ("weather_index.atom", 2, 2, 0, 0),
        ("weather_invalid.atom", 1, 1, 1, 0),
    ],
)
def test_google_s_indices_are_read(shared_data: Path, name: str, entries: int, links: int, alerts: int, problems: int) -> None:
    reading = read_feed(samples(shared_data)[name])
    assert len(reading.entries) == entries
    assert sum(bool(entry.alert_link) for entry in reading.entries) == links
    assert sum(entry.reading is not None and entry.reading.alert is not None for entry in reading.entries) == alerts
    assert len(reading.problems) == problems


def test_the_index_of_the_weather_service_has_a_link_and_an_event_in_every_entry(shared_data: Path) -> None:
    data = (shared_data / "cap" / "nws_atom_1_thtroyer.xml").read_bytes()
    reading = read_feed(data)
    assert reading.problems == ()
    assert len(reading.entries) == len(list(etree.fromstring(data).iter("{http://www.w3.org/2005/Atom}entry"))) == 215
    assert all(entry.alert_link.startswith("https://alerts.weather.gov/") and entry.field("event") for entry in reading.entries)


def test_every_file_is_survived_by_both_readers(shared_data: Path) -> None:
    files = [path for path in sorted((shared_data / "cap").rglob("*")) if path.is_file()]
    assert len(files) >= 31
    for path in files:
        data = path.read_bytes()
        assert read_cap(data).alert is not None or read_cap(data).problems
        assert read_feed(data).kind or read_feed(data).problems


def test_every_sample_is_survived_when_it_is_cut_or_damaged(shared_data: Path) -> None:
    rng = np.random.default_rng(20240503)
    for data in samples(shared_data).values():
        for _ in range(40):
            damaged = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                damaged[place] = rng.integers(0, 256)
            cut = bytes(damaged[: int(rng.integers(0, len(data)))])
            for piece in (bytes(damaged), cut):
                reading = read_cap(piece)
                assert reading.alert is not None or reading.problems
                assert read_feed(piece).kind or read_feed(piece).problems
