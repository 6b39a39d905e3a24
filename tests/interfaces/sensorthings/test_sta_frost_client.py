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
