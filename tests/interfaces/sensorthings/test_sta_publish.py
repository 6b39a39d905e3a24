"""What others hang on the store: a node's readings, listeners, and topics for an MQTT endpoint."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import numpy as np
import pytest
from sta_place import ROOT, Sta, feature, place, stream, thing

from tocsin.interfaces.sensorthings import Feed, Service, Topics
from tocsin.platform.things import Change, Place, open_things
from tocsin.security import Actor, RoleGate
from tocsin.vocabulary import InputError, NotFound, Observations, Quantity, Refused, Unavailable

LEVEL, RAIN = Quantity("river_level", "m"), Quantity("rain_amount", "mm")
DAY_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
SENSOR, PLANNER = Actor("mast", frozenset({"sensor"})), Actor("pia", frozenset({"planner"}))


def batch(quantity: Quantity, values: list[float], site: list[int] | None = None, flag: list[int] | None = None) -> Observations:
    return Observations.of(
        quantity,
        ("ferry", "mill"),
        site or [0] * len(values),
        [DAY_US + 1_000_000 * n for n in range(len(values))],
        values,
        flag=flag,
    )


@pytest.fixture
def places(sta: Sta) -> Sta:
    sta.things._publisher._places = {"ferry": Place(8.4, 49.0, "Ferry Quay")}  # type: ignore[misc]
    return sta


def test_a_gauge_becomes_a_thing_and_each_of_its_quantities_a_datastream(places: Sta) -> None:
    assert places.things.publish(batch(LEVEL, [1.5, np.nan, 2.5], site=[0, 0, 1], flag=[1, 2, 4])) == 3
    assert places.things.publish(batch(RAIN, [0.2])) == 1
    assert places.names("Things") == ["Ferry Quay", "mill"]
    assert places.names("Things(1)/Datastreams") == ["river level at ferry", "rain amount at ferry"]
    shown = places.get("Datastreams(1)", expand="Sensor,ObservedProperty,Observations,Thing/Locations")
    assert shown["unitOfMeasurement"]["symbol"] == "m"
    assert shown["ObservedProperty"]["definition"] == "urn:tocsin:quantity:river_level"
    assert [(one["result"], one["resultQuality"]) for one in shown["Observations"]] == [
        (1.5, {"qartod": 1}),
        (None, {"qartod": 9}),
    ]
    assert shown["phenomenonTime"] == "2026-01-01T00:00:00Z/2026-01-01T00:00:01Z"
    assert shown["observedArea"] == {"type": "Polygon", "coordinates": [[[8.4, 49.0]] * 5]}
    assert shown["Thing"]["Locations"][0]["location"]["coordinates"] == [8.4, 49.0]
    assert places.get("Datastreams(2)/Sensor") == places.get("Datastreams(1)/Sensor")
    assert places.get("Things(2)/Locations")["value"] == []
    assert places.results("resultQuality/qartod eq 4") == [2.5]


def test_a_reading_that_comes_again_is_written_once(places: Sta) -> None:
    assert places.things.publish(batch(LEVEL, [1.0, 2.0])) == 2
    assert places.things.publish(batch(LEVEL, [1.0, 2.0, 3.0])) == 1
    assert places.get("Observations", count="true")["@iot.count"] == 3


def test_a_datastream_that_somebody_deleted_is_made_again(places: Sta) -> None:
    places.things.publish(batch(LEVEL, [1.0]))
    places.delete("Things(1)")
    assert places.things.publish(batch(LEVEL, [1.0])) == 1
    assert places.names("Things") == ["Ferry Quay"]


def test_listeners_hear_what_was_written_and_one_that_fails_disturbs_nobody(places: Sta) -> None:
    rows: list[Any] = []
    changes: list[Change] = []

    def broken(*_: Any) -> None:
        raise RuntimeError("a listener of somebody else")

    places.things.on_observation += [broken, lambda stream, found: rows.append((stream, [row["value"] for row in found]))]
    places.things.changed += [broken, changes.append]
    places.things.publish(batch(LEVEL, [1.0, 2.0], site=[0, 1]))
    assert rows == [(1, [1.0]), (2, [2.0])]
    assert [one.plural for one in changes if one.plural == "Observations"] == ["Observations"] * 2
    assert places.things.publish(batch(RAIN, [0.1] * 1_001)) == 1_001
    assert len(rows.pop()[1]) == 1_001
    assert [one.plural for one in changes if one.plural == "Observations"] == ["Observations"] * 2
    places.made(
        "Datastreams(1)/Observations", {"result": 7, "resultQuality": {"qartod": 3}, "phenomenonTime": "2026-01-02T00:00:00Z"}
    )
    assert rows[2:] == [(1, [7])]
    places.patch("Things(1)", {"name": "renamed"})
    assert changes[-1] == Change("Things", 1, "updated", frozenset({"name"}))
    places.refused("PATCH", "Things(1)", {"name": 5})
    assert len(changes) == len([one for one in changes if one.id])


def test_the_feed_writes_in_the_background_and_says_what_it_dropped(sta: Sta, caplog: pytest.LogCaptureFixture) -> None:
    reached, go = threading.Event(), threading.Event()
    publish = sta.things.publish

    def slow(found: Observations) -> int:
        reached.set()
        go.wait(20)
        return publish(found)

    sta.things.publish = slow  # type: ignore[method-assign]
    feed = Feed(sta.things, most=1)
    with caplog.at_level(logging.INFO):
        feed.heard(batch(LEVEL, [1.0]))
        assert reached.wait(20)
        feed.heard(batch(RAIN, [2.0]))  # waits
        for _ in range(3):
            feed.heard(batch(LEVEL, [3.0, 4.0]))  # finds no place
        go.set()
        feed.close()
    assert feed.dropped == 6
    assert [record.message for record in caplog.records].count("things_readings_dropped") == 1
    assert sorted(one["result"] for one in sta.get("Observations")["value"]) == [1.0, 2.0]


def test_the_feed_goes_on_after_a_batch_that_could_not_be_written(sta: Sta) -> None:
    publish, faults = sta.things.publish, [Unavailable("the disk is full")]

    def failing(found: Observations) -> int:
        if faults:
            raise faults.pop()
        return publish(found)

    sta.things.publish = failing  # type: ignore[method-assign]
    feed = Feed(sta.things)
    feed.heard(batch(LEVEL, [1.0]))
    feed.heard(batch(RAIN, [2.0]))
    feed.close()
    assert feed.dropped == 1
    assert [one["result"] for one in sta.get("Observations")["value"]] == [2.0]


@pytest.fixture
def topics(sta: Sta) -> Topics:
    sta.made("Things", thing(Locations=[place(8, 51)], Datastreams=[stream("a"), stream("b")]))
    sta.made("Datastreams(1)/Observations", {"result": 5})
    return Topics(Service(sta.things, RoleGate()), ROOT)


@pytest.mark.parametrize(
    ("topic", "change", "wanted"),
    [
        ("v1.1/Observations", Change("Observations", 1, "created"), True),
        ("v1.1/Datastreams(1)/Observations", Change("Observations", 1, "created"), True),
        ("v1.1/Things(1)/Datastreams(1)/Observations", Change("Observations", 1, "created"), True),
        ("v1.1/Datastreams(2)/Observations", Change("Observations", 1, "created"), False),
        ("v1.1/Datastreams(9)/Observations", Change("Observations", 1, "created"), False),
        ("v1.1/Things", Change("Observations", 1, "created"), False),
        ("v1.1/Things(1)", Change("Things", 1, "updated", frozenset({"name"})), True),
        ("v1.1/Things(2)", Change("Things", 1, "updated", frozenset({"name"})), False),
        ("v1.1/Datastreams(1)/Thing", Change("Things", 1, "updated", frozenset({"name"})), True),
        ("v1.1/Things(1)/name", Change("Things", 1, "updated", frozenset({"description"})), False),
        ("v1.1/Observations", Change("Observations", 1, "deleted"), False),
        ("v1.1/Observations", Change("Observations", 9, "created"), False),
        ("v1.0/Observations", Change("Observations", 1, "created"), False),
        ("v1.1/Observations?$top=1", Change("Observations", 1, "created"), False),
        ("v1.1/Foo", Change("Observations", 1, "created"), False),
    ],
)
def test_a_change_gives_a_message_to_the_topics_that_it_belongs_to(
    sta: Sta, topics: Topics, topic: str, change: Change, wanted: bool
) -> None:
    message = topics.matches(topic, change)
    assert (message is not None) == wanted
    if message is not None:
        assert json.loads(message) == sta.get(f"{change.plural}({change.id})")


def test_a_topic_may_choose_properties_or_be_one(topics: Topics) -> None:
    chosen = topics.matches("v1.1/Datastreams(1)/Observations?$select=result,id", Change("Observations", 1, "created"))
    assert json.loads(chosen or b"") == {"result": 5, "@iot.id": 1}
    assert topics.matches("v1.1/Things(1)/name", Change("Things", 1, "updated", frozenset({"name"}))) == b'{"name":"gauge"}'


def test_a_topic_that_can_never_be_heard_is_refused(topics: Topics) -> None:
    topics.check("v1.1/Datastreams(1)/Observations?$select=result", PLANNER)
    for topic, fault in (("v1.1/Foo", NotFound), ("Things", NotFound), ("v1.1/Observations?$filter=id eq 1", InputError)):
        with pytest.raises(fault):
            topics.check(topic, PLANNER)
    with pytest.raises(Refused):
        topics.check("v1.1/Things", Actor("nobody", frozenset()))


def test_a_message_to_a_set_of_observations_makes_one(sta: Sta, topics: Topics) -> None:
    answer = topics.create_from_topic("v1.1/Datastreams(2)/Observations", b'{"result": 7}', SENSOR)
    assert answer.status == 201
    assert sta.get("Datastreams(2)/Observations")["value"][0]["result"] == 7
    body = {"result": 8, "Datastream": {"@iot.id": 1}, "FeatureOfInterest": feature(1, 2)}
    assert topics.create_from_topic("v1.1/Observations", json.dumps(body).encode(), SENSOR).status == 201
    assert topics.create_from_topic("v1.1/Observations", json.dumps(body).encode(), PLANNER).status == 403
    assert topics.create_from_topic("v1.1/Observations", b"{", SENSOR).status == 400
    assert topics.create_from_topic("v1.1/Things", b"{}", SENSOR).status == 400


def test_a_file_of_another_program_is_refused(tmp_path: Any) -> None:
    import sqlite3

    path = tmp_path / "things.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (id)")
    db.commit()
    db.close()
    with pytest.raises(InputError, match="is a database of another program"):
        open_things(path, clock=None)  # type: ignore[arg-type]
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "things.sqlite").write_text("not a database at all " * 100)
    with pytest.raises(InputError, match="damaged"):
        open_things(tmp_path / "text" / "things.sqlite", clock=None)  # type: ignore[arg-type]
