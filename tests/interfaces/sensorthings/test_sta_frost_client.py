"""The client of the Fraunhofer institute's server, unmodified, against a real server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tocsin.host import WallClock
from tocsin.interfaces.sensorthings.service import Service
from tocsin.interfaces.sensorthings.trial import trial_app
from tocsin.interfaces.serving import address_of, free_port
from tocsin.platform.things import open_things
from tocsin.security.gate import RoleGate

fsc = pytest.importorskip("frost_sta_client")
geojson = pytest.importorskip("geojson")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Any]:
    things = open_things(tmp_path / "things.sqlite", clock=WallClock())
    listener = free_port("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(trial_app(Service(things, RoleGate())), log_level="warning", lifespan="off", access_log=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield fsc.SensorThingsService(f"{address_of(listener)}sta/v1.1")
    server.should_exit = True
    thread.join(20)
    listener.close()
    things.close()


A_PLACE = {
    "name": "hill",
    "description": "hill",
    "encodingType": "application/geo+json",
    "location": {"type": "Point", "coordinates": [8.4, 49.0]},
}


def a_thing() -> Any:
    point = geojson.Point((8.4, 49.0))
    location = fsc.Location(name="quay", description="at the quay", location=point, encoding_type="application/geo+json")
    thing = fsc.Thing(name="gauge", description="a gauge", properties={"owner": "city"})
    thing.locations = [location]
    return thing


def a_datastream(name: str) -> Any:
    unit = fsc.UnitOfMeasurement(name="metre", symbol="m", definition="ucum:m")
    stream = fsc.Datastream(
        name=name, description=name, observation_type="OM_Measurement", unit_of_measurement=unit, properties={"every_s": 600}
    )
    stream.sensor = fsc.Sensor(name="radar", description="radar", encoding_type="text/plain", metadata="none")
    stream.observed_property = fsc.ObservedProperty(name="level", definition="http://example.org/level", description="level")
    return stream


def test_the_client_makes_reads_changes_and_deletes(service: Any) -> None:
    thing = a_thing()
    service.create(thing)
    found = service.things().find(thing.id)
    assert (found.name, found.properties) == ("gauge", {"owner": "city"})
    assert [place.name for place in found.get_locations().query().list()] == ["quay"]
    found.name = "renamed"
    service.update(found)
    assert service.things().find(thing.id).name == "renamed"
    service.patch(found, [{"op": "replace", "path": "/properties/owner", "value": "state"}])
    assert service.things().find(thing.id).properties == {"owner": "state"}
    service.delete(found)
    assert list(service.things().query().list()) == []


def test_the_client_brings_observations_and_asks_for_them(service: Any) -> None:
    thing = a_thing()
    service.create(thing)
    stream = a_datastream("level at quay")
    stream.thing = fsc.Thing(id=thing.id)
    service.create(stream)
    for number in range(25):
        moment = datetime(2026, 1, 1, number // 2, 30 * (number % 2), tzinfo=UTC)
        service.create(
            fsc.Observation(phenomenon_time=moment.isoformat(), result=number / 2, datastream=fsc.Datastream(id=stream.id))
        )
    asked = (
        service.observations().query().filter("result ge 5").orderby("result", "desc").top(4).expand("Datastream/Thing").list()
    )
    assert [one.result for one in asked] == [12 - n / 2 for n in range(15)]  # it follows the links to the next pages
    assert asked.entities[0].datastream.thing.name == "gauge"
    counted = service.datastreams().find(stream.id).get_observations().query().count().top(1).list()
    assert counted.count == 25
    assert service.datastreams().find(stream.id).name == "level at quay"
    service.delete(service.datastreams().find(stream.id))
    assert list(service.observations().query().list()) == []


def test_the_client_sends_a_data_array(service: Any) -> None:
    thing = a_thing()
    thing.datastreams = [a_datastream("one")]
    service.create(thing)
    stream = service.datastreams().query().list().entities[0]
    values = fsc.model.ext.data_array_value.DataArrayValue()
    values.datastream = fsc.Datastream(id=stream.id)
    values.components = {values.Property.PHENOMENON_TIME, values.Property.RESULT}
    for number in range(3):
        values.add_observation(fsc.Observation(phenomenon_time=f"2026-01-01T0{number}:00:00Z", result=number))
    document = fsc.model.ext.data_array_document.DataArrayDocument()
    document.add_data_array_value(values)
    made = service.observations().create(document)
    assert len(made) == 3
    assert sorted(one.result for one in service.observations().query().list()) == [0, 1, 2]


def test_the_client_reads_a_multi_datastream(service: Any) -> None:
    unit = {"name": "m/s", "symbol": "m/s", "definition": "x"}
    observed = [{"name": name, "definition": "http://example.org/x", "description": name} for name in ("u", "v")]
    multi = {
        "name": "wind",
        "description": "wind",
        "unitOfMeasurements": [unit, unit],
        "multiObservationDataTypes": ["OM_Measurement", "OM_Measurement"],
        "Thing": {"name": "mast", "description": "mast", "Locations": [A_PLACE]},
        "Sensor": {"name": "sonic", "description": "sonic", "encodingType": "text/plain", "metadata": "none"},
        "ObservedProperties": observed,
    }
    httpx.post(
        f"{service.url}/MultiDatastreams", json=multi
    ).raise_for_status()  # on Python 3.11 this client cannot make one itself
    found = service.multi_datastreams().query().expand("ObservedProperties").list().entities[0]
    assert [one.name for one in found.observed_properties] == ["u", "v"]
    observation = fsc.Observation(
        phenomenon_time="2026-01-01T00:00:00Z", result=[1, 2], multi_datastream=fsc.MultiDatastream(id=found.id)
    )
    service.create(observation)
    assert found.get_observations().query().list().entities[0].result == [1, 2]


class Units(list[Any]):
    """Units that say their state: the client asks the list for it, which a plain list answers with None from Python 3.11 on."""

    def __getstate__(self) -> list[Any]:  # type: ignore[override]
        return [unit.__getstate__() for unit in self]


def everything(service: Any) -> dict[str, tuple[Any, Any, str, Any]]:
    """One new entity of each kind with its collection, a property to change and its new value; links go by ids."""
    thing, stream = a_thing(), a_datastream("all")
    service.create(thing)
    stream.thing = fsc.Thing(id=thing.id)
    service.create(stream)
    place = service.things().find(thing.id).get_locations().query().list().entities[0]
    feature = fsc.FeatureOfInterest(
        name="reach", description="reach", feature=geojson.Point((8.4, 49.0)), encoding_type="application/geo+json"
    )
    service.create(feature)
    past = fsc.HistoricalLocation(
        time="2026-01-01T00:00:00Z", thing=fsc.Thing(id=thing.id), locations=[fsc.Location(id=place.id)]
    )
    observation = fsc.Observation(
        phenomenon_time="2026-01-01T00:00:00Z/2026-01-01T01:00:00Z", result_time="2026-01-01T01:00:00Z", result=1.5, parameters={"a": 1},
        datastream=fsc.Datastream(id=stream.id), feature_of_interest=fsc.FeatureOfInterest(id=feature.id),
    )  # fmt: skip
    own = fsc.Sensor(name="own", description="own", encoding_type="text/plain", metadata="none", properties={"a": 1})
    level = fsc.ObservedProperty(name="own", definition="http://example.org/own", description="own")
    second = a_datastream("second")
    second.thing = fsc.Thing(id=thing.id)
    spot = fsc.Location(name="spot", description="s", location=geojson.Point((1.0, 2.0)), encoding_type="application/geo+json")
    reach = fsc.FeatureOfInterest(
        name="own", description="f", feature=geojson.Point((1.0, 2.0)), encoding_type="application/geo+json"
    )
    return {
        "things": (service.things(), a_thing(), "name", "changed"),
        "locations": (service.locations(), spot, "name", "changed"),
        "historical locations": (service.historical_locations(), past, "time", "2026-02-01T00:00:00+00:00"),
        "sensors": (service.sensors(), own, "description", "changed"),
        "observed properties": (service.observed_properties(), level, "definition", "http://example.org/changed"),
        "datastreams": (service.datastreams(), second, "name", "changed"),
        "observations": (service.observations(), observation, "result", 2.5),
        "features of interest": (service.features_of_interest(), reach, "description", "changed"),
    }


def test_the_client_makes_finds_changes_patches_and_deletes_each_kind_of_entity(service: Any) -> None:
    for kind, (dao, entity, name, value) in everything(service).items():
        dao.create(entity)
        found = dao.find(entity.id)
        assert found.id == entity.id, kind
        setattr(found, name, value)
        service.update(found)
        assert getattr(dao.find(entity.id), name) in (value, str(value).replace("+00:00", "Z")), kind
        member = {"phenomenon_time": "phenomenonTime"}.get(name, name)
        before = getattr(entity, name)
        service.patch(found, [{"op": "replace", "path": f"/{member}", "value": before}])
        again = dao.find(entity.id)
        assert getattr(again, name) in (before, str(before).replace("Z", "+00:00"), str(before)), kind
        assert entity.id in [one.id for one in dao.query().list()], kind
        service.delete(again)
        assert entity.id not in [one.id for one in dao.query().list()], kind
        with pytest.raises(Exception, match="404"):
            dao.find(entity.id)


def test_the_client_follows_every_relation(service: Any) -> None:
    everything(service)
    thing = service.things().query().list().entities[0]
    stream = thing.get_datastreams().query().list().entities[0]
    for number in range(3):
        service.create(
            fsc.Observation(
                phenomenon_time=f"2026-01-0{number + 1}T00:00:00Z", result=number, datastream=fsc.Datastream(id=stream.id)
            )
        )
    assert [one.name for one in thing.get_locations().query().list()] == ["quay"]
    assert len(thing.get_historical_locations().query().list().entities) == 1
    assert thing.get_multi_datastreams().query().list().entities == []
    place = thing.get_locations().query().list().entities[0]
    assert [one.id for one in place.get_things().query().list()] == [thing.id]
    assert len(place.get_historical_locations().query().list().entities) == 1
    shown = (
        service.datastreams()
        .query()
        .expand("Sensor,ObservedProperty,Thing($expand=Locations),Observations($count=true)")
        .list()
        .entities[0]
    )
    assert (shown.sensor.name, shown.observed_property.name, shown.thing.name) == ("radar", "level", "gauge")
    assert [one.result for one in shown.observations] == [0, 1, 2]
    assert [one.id for one in shown.sensor.get_datastreams().query().list()] == [stream.id]
    assert [one.id for one in shown.observed_property.get_datastreams().query().list()] == [stream.id]
    feature = service.features_of_interest().query().filter("Observations/result ge 0").list().entities[0]
    assert [one.result for one in feature.get_observations().query().list()] == [0, 1, 2]
    assert shown.observed_area["type"] == "Polygon"
    assert shown.phenomenon_time == "2026-01-01T00:00:00Z/2026-01-03T00:00:00Z"


def test_the_client_asks_with_every_option(service: Any) -> None:
    everything(service)
    stream = service.datastreams().query().list().entities[0]
    for number in range(30):
        service.create(
            fsc.Observation(
                phenomenon_time=f"2026-01-{number + 1:02}T00:00:00Z", result=number, datastream=fsc.Datastream(id=stream.id)
            )
        )
    asked = service.observations().query
    assert [one.result for one in asked().filter("result lt 3 and phenomenonTime gt 2026-01-01T00:00:00Z").list()] == [1, 2]
    assert asked().orderby("phenomenonTime", "desc").top(1).list().entities[0].result == 29
    assert asked().skip(28).list().entities[0].result == 28
    counted = asked().filter("result ge 10").count().top(5).list()
    assert (counted.count, len(counted.entities)) == (20, 5)
    chosen = asked().select("result", "id").top(1).list().entities[0]
    assert (chosen.result, chosen.phenomenon_time, chosen.id) == (0, None, 1)
    heard: list[int] = []
    whole = asked().top(10).list(callback=heard.append, step_size=10)
    assert [one.result for one in whole] == list(range(30))
    assert heard
    with pytest.raises(Exception, match="400"):
        asked().filter("colour eq 1").list()


def test_the_client_makes_a_multi_datastream_whose_units_say_their_state(service: Any) -> None:
    thing = a_thing()
    service.create(thing)
    units = Units(
        [fsc.UnitOfMeasurement("metre per second", "m/s", "ucum:m/s"), fsc.UnitOfMeasurement("degree", "deg", "ucum:deg")]
    )
    observed = [
        fsc.ObservedProperty(name=name, definition=f"http://example.org/{name}", description=name)
        for name in ("speed", "direction")
    ]
    wind = fsc.MultiDatastream(
        name="wind", description="wind", unit_of_measurements=units, multi_observation_data_types=["OM_Measurement"] * 2, properties={"every_s": 60},
        observation_type="http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation", thing=fsc.Thing(id=thing.id),
        sensor=fsc.Sensor(name="sonic", description="sonic", encoding_type="text/plain", metadata="none"),
    )  # fmt: skip
    wind.observed_properties = observed
    service.create(wind)
    for number in range(3):
        service.create(
            fsc.Observation(
                phenomenon_time=f"2026-01-0{number + 1}T00:00:00Z",
                result=[number, 10 * number],
                multi_datastream=fsc.MultiDatastream(id=wind.id),
            )
        )
    found = service.multi_datastreams().find(wind.id)
    assert [one["symbol"] for one in found.unit_of_measurements] == ["m/s", "deg"]
    assert [one.name for one in found.get_observed_properties().query().list()] == ["speed", "direction"]
    assert [one.result for one in found.get_observations().query().filter("result[1] ge 10").list()] == [[1, 10], [2, 20]]
    assert [one.name for one in service.things().find(thing.id).get_multi_datastreams().query().list()] == ["wind"]
    assert [one.id for one in service.sensors().query().list().entities[0].get_multi_datastreams().query().list()] == [wind.id]
    assert [
        one.id for one in service.observed_properties().query().list().entities[1].get_multi_datastreams().query().list()
    ] == [wind.id]
    service.patch(found, [{"op": "replace", "path": "/name", "value": "breeze"}])
    assert service.multi_datastreams().query().filter("name eq 'breeze'").expand("Thing").list().entities[0].thing.name == "gauge"
    with pytest.raises(Exception, match="400"):
        service.create(
            fsc.Observation(phenomenon_time="2026-01-09T00:00:00Z", result=[1], multi_datastream=fsc.MultiDatastream(id=wind.id))
        )
    service.delete(found)
    assert list(service.observations().query().list()) == []
