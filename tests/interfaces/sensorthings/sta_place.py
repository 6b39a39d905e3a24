"""A SensorThings service in a folder that goes away, and a client that speaks to it as others do: over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.testclient import TestClient

from tocsin.host import VirtualClock
from tocsin.interfaces.sensorthings.service import Service
from tocsin.interfaces.sensorthings.trial import trial_app
from tocsin.platform.things import Limits, Things, open_things
from tocsin.security.gate import RoleGate

NOW = datetime(2026, 11, 23, 7, 15, tzinfo=UTC)
ROOT = "http://127.0.0.1/sta/v1.1"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
METRE = {"name": "metre", "symbol": "m", "definition": "ucum:m"}


def place(lon: float, lat: float, name: str = "quay", **more: Any) -> dict[str, Any]:
    shape = {"type": "Point", "coordinates": [lon, lat]}
    return {
        "name": name,
        "description": f"{name} at the river",
        "encodingType": "application/geo+json",
        "location": shape,
        **more,
    }


def feature(lon: float, lat: float, name: str = "reach") -> dict[str, Any]:
    shape = {"type": "Point", "coordinates": [lon, lat]}
    return {"name": name, "description": name, "encodingType": "application/geo+json", "feature": shape}


def sensor(name: str = "radar") -> dict[str, Any]:
    return {"name": name, "description": name, "encodingType": "application/pdf", "metadata": "http://example.org/radar.pdf"}


def observed(name: str = "level") -> dict[str, Any]:
    return {"name": name, "definition": f"http://example.org/{name}", "description": name}


def stream(name: str = "level at quay", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": name,
        "observationType": MEASUREMENT,
        "unitOfMeasurement": METRE,
        "Sensor": sensor(),
        "ObservedProperty": observed(),
        **more,
    }


def thing(name: str = "gauge", **more: Any) -> dict[str, Any]:
    return {"name": name, "description": f"the {name}", **more}


class Sta:
    """Speaks to the service, and fails where an answer is another one than was meant."""

    def __init__(self, client: TestClient, things: Things) -> None:
        self.client, self.things = client, things

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        url = path if path.startswith("http") else f"{ROOT}/{path}".rstrip("/")
        if body is not None:
            more["json"] = body
        response: httpx.Response = self.client.request(method, url, **more)
        return response

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        if options:
            words = "&".join(f"${name}={quote(str(value), safe='')}" for name, value in options.items())
            path = f"{path}?{words}"
        response = self.ask("GET", path)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def names(self, path: str, **options: Any) -> list[str]:
        return [one["name"] for one in self.get(path, **options)["value"]]

    def ids(self, path: str, **options: Any) -> list[int]:
        return [one["@iot.id"] for one in self.get(path, **options)["value"]]

    def results(self, filter_: str, path: str = "Observations") -> list[Any]:
        return [one["result"] for one in self.get(path, filter=filter_)["value"]]

    def make(self, path: str, body: Any, status: int = 201) -> Any:
        response = self.ask("POST", path, body)
        assert response.status_code == status, response.text
        return response.json()

    def made(self, path: str, body: Any) -> int:
        return int(self.make(path, body)["@iot.id"])

    def patch(self, path: str, body: Any, status: int = 200) -> Any:
        response = self.ask("PATCH", path, body)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        response = self.ask("PUT", path, body)
        assert response.status_code == status, response.text
        return response.json() if response.content else None

    def delete(self, path: str, status: int = 200) -> None:
        response = self.ask("DELETE", path)
        assert response.status_code == status, response.text

    def refused(self, method: str, path: str, body: Any = None, status: int = 400) -> str:
        """The message of a refusal, which every refusal must have."""
        response = self.ask(method, path, body)
        assert response.status_code == status, f"{response.status_code}: {response.text}"
        told = response.json()
        assert told["code"] == status
        assert told["type"] == "error"
        return str(told["message"])

    def refused_option(self, path: str, option: str, value: str, status: int = 400) -> str:
        return self.refused("GET", f"{path}?${option}={quote(value, safe='')}", status=status)


def open_sta(folder: Path, limits: Limits | None = None) -> Sta:
    things = open_things(folder / "things.sqlite", clock=VirtualClock(NOW), limits=limits)
    client = TestClient(trial_app(Service(things, RoleGate())), base_url="http://127.0.0.1", raise_server_exceptions=True)
    return Sta(client, things)


@pytest.fixture
def sta(tmp_path: Path) -> Iterator[Sta]:
    found = open_sta(tmp_path)
    yield found
    found.things.close()
