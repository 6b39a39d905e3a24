"""`tocsin sensorthings try` as a process of its own, and a client that puts the bytes of a request on the wire as they are written.

The world is one weir, made in one request: results 11 and 12 of its level, 13 and 14 of its flow, on four days of May, a FeatureOfInterest
that the service makes of its place, and the HistoricalLocation that it makes of it too.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
DAYS = [f"2026-05-0{day}T00:00:00Z" for day in (1, 2, 3, 4)]
RESULTS = [11, 12, 13, 14]
POINT = {"type": "Point", "coordinates": [7.1, 50.7]}
WEIR = {
    "name": "weir 1",
    "description": "weir at the mill",
    "properties": {"owner": "mill", "gates": [1, 2], "on": True},
    "Locations": [{"name": "place 1", "description": "mill", "encodingType": "application/vnd.geo+json", "location": POINT}],
    "Datastreams": [
        {
            "name": f"stream {number}",
            "description": f"the {quantity}",
            "observationType": MEASUREMENT,
            "unitOfMeasurement": {"name": unit, "symbol": unit, "definition": f"ucum:{unit}"},
            "Sensor": {"name": f"sensor {number}", "description": "s", "encodingType": "application/pdf", "metadata": "m"},
            "ObservedProperty": {"name": quantity, "definition": f"http://example.org/{quantity}", "description": "o"},
            "Observations": [{"result": RESULTS[at], "phenomenonTime": DAYS[at]} for at in (2 * number - 2, 2 * number - 1)],
        }
        for number, quantity, unit in ((1, "level", "m"), (2, "flow", "m3/s"))
    ],
}


class Wire:
    """Requests to the process; a path is written as it is, only spaces of a filter are encoded where it is asked by name."""

    def __init__(self, address: str, mqtt: str) -> None:
        self.address, self.mqtt_port = address.rstrip("/"), int(mqtt.rpartition(":")[2])
        where = urlsplit(self.address)
        self.port, self.root = int(where.port or 0), where.path

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in small letters and body; `path` is below the root, or a whole address of this service."""
        if path.startswith(self.address):
            path = path.removeprefix(self.address).lstrip("/")
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            told.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            mark = "" if not path or path.startswith(("?", "/")) else "/"
            connection.request(method, f"{self.root}{mark}{path}", body, told)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def get(self, path: str, status: int = 200, **options: object) -> Any:
        if options:
            path += "?" + "&".join(f"${name}={quote(str(value), safe='')}" for name, value in options.items())
        return self.json("GET", path, None, status)

    def json(self, method: str, path: str, body: Any, status: int, **headers: str) -> Any:
        got, _, content = self.ask(method, path, body, **headers)
        assert got == status, f"{method} {path}: {got} {content[:300]!r}"
        return json.loads(content) if content else None

    def made(self, path: str, body: Any) -> int:
        """Make an entity; its id."""
        status, headers, content = self.ask("POST", path, body)
        assert status == 201, content
        made = json.loads(content)
        assert headers["location"] == made["@iot.selfLink"]
        return int(made["@iot.id"])


@contextmanager
def serving(folder: Path) -> Iterator[Wire]:
    """The command with its own ports and data, ended when it is left."""
    program = [sys.executable, "-c", "from tocsin.interfaces.cli import main; main()"]
    words = [*program, "sensorthings", "try", "--port", "0", "--data", str(folder), "--json"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"NO_COLOR": "1"}
    ) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Wire(told["address"], told["mqtt"])
        finally:
            process.terminate()
            process.wait(20)


def ids_of(wire: Wire, thing: int) -> dict[str, int]:
    """The ids of the world, by the short names that the rows use."""
    streams = wire.get(f"Things({thing})/Datastreams", orderby="name", expand="Sensor,ObservedProperty,Observations")["value"]
    first, second = streams
    found = {
        "T": thing,
        "L": wire.get(f"Things({thing})/Locations")["value"][0]["@iot.id"],
        "H": wire.get(f"Things({thing})/HistoricalLocations")["value"][0]["@iot.id"],
        "F": wire.get("FeaturesOfInterest")["value"][0]["@iot.id"],
        "D": first["@iot.id"],
        "E": second["@iot.id"],
        "S": first["Sensor"]["@iot.id"],
        "P": first["ObservedProperty"]["@iot.id"],
        "O": first["Observations"][0]["@iot.id"],
    }
    return {name: int(value) for name, value in found.items()}
