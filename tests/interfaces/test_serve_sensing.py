"""tocsin serve --sensing: a platform with quantities, collectors and rules of one's own, and with rules on what agencies say."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_place import build_place, feature, geojson, lonlat, run
from test_gateways import SECRET, SENSOR, Client, until
from test_serve import ADA, COMMANDER, PATIENCE_S, Served

from tocsin.vocabulary import Level

SENSING = """
[[quantity]]
name = "snow_depth"
unit = "m"
low = 0.0
[[collector]]
kind = "files"
name = "snow"
folder = "{folder}"
quantity = "snow_depth"
unit = "cm"
site = "site"
every_s = 0.2
settled_s = 0.0
[[collector]]
kind = "usgs"
name = "usgs"
url = "{url}/2.5_day.geojson"
every_s = 1.0
[[rule]]
kind = "threshold"
name = "snow_is_deep"
hazard = "avalanche"
quantity = "snow_depth"
source = "this test"
max_age_s = 3600.0
[rule.limits]
orange = 1.0
[[rule]]
kind = "earthquake"
name = "earthquake_near"
hazard = "earthquake"
source = "this test"
lasts_h = 24.0
twin = true
[[rule.steps]]
level = "red"
magnitude = 5.0
within_km = 20.0
"""


def quake(magnitude: float, seconds: int) -> dict[str, Any]:
    now_ms, (lon, lat) = int(time.time() * 1000), lonlat(3.5, 8.5)
    told = {"mag": magnitude, "place": "here", "time": now_ms - 60_000, "updated": now_ms + 1000 * seconds, "status": "reviewed"}
    told |= {"type": "earthquake", "title": f"M {magnitude}", "ids": ",us1,", "net": "us"}
    place = {"type": "Point", "coordinates": [lon, lat, 10.0]}
    return {"type": "Feature", "id": "us1", "properties": told, "geometry": place}


@pytest.fixture
def feed() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that has what the USGS would: a list that the test fills."""
    features: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = {"type": "FeatureCollection", "metadata": {"generated": int(time.time() * 1000)}, "features": features}
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", features
    server.shutdown()
    server.server_close()


def test_a_platform_judges_its_own_quantity_and_an_earthquake_at_its_twin(
    tmp_path: Path, feed: tuple[str, list[dict[str, Any]]]
) -> None:
    limits = {"yellow": 0.5, "orange": 1.0, "red": 2.0, "limits_source": "this test"}
    gauge = feature("Point", lonlat(3.5, 8.5), site="quay", name="Quay", quantity="river_level", unit="m", water="lake", **limits)
    twin = build_place(tmp_path, "--gauges", geojson(tmp_path / "gauges.geojson", [gauge]), "--cell", "200")
    data, folder = tmp_path / "centre", tmp_path / "snow"
    folder.mkdir()
    url, features = feed
    features.append(quake(5.6, 0))
    (tmp_path / "sensing.toml").write_text(SENSING.format(folder=folder, url=url))
    roles = ("--role", "administrator", "--role", "commander", "--role", "operator")
    code, _, err = run("user", "add", data, ADA, *roles, "--purpose", "exercise", stdin=f"{COMMANDER}\n")
    assert code == 0, err
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    (folder / "today.csv").write_text(f"site,time,value\nslope,{now},150\n")
    platform = Served(twin, data, "--sensing", str(tmp_path / "sensing.toml"), "--purpose", "exercise").is_up()
    try:
        platform.sign_in()

        def levels() -> dict[tuple[str, str], Any]:
            return {(one["rule"], one["site"]): one["level"] for one in reversed(platform.get("/warnings"))}

        until("the snow", lambda: levels().get(("snow_is_deep", "slope")))
        until("the earthquake", lambda: levels().get(("earthquake_near", "twin")))
        assert (levels()["snow_is_deep", "slope"], levels()["earthquake_near", "twin"]) == (Level.ORANGE, Level.RED)
        (snow,) = [one for one in platform.get("/sources")["sources"] if one["quantity"] == "snow_depth"]
        assert (snow["value"], snow["state"]) == (1.5, "warns")
        features[:] = [quake(4.1, 5)]
        until("the revision", lambda: levels().get(("earthquake_near", "twin"), Level.NONE) == Level.NONE)
        platform.process.terminate()
        assert platform.process.wait(30.0) == 0
    finally:
        platform.process.kill()
        platform.process.wait()


DOOR = """
[[quantity]]
name = "snow_depth"
unit = "m"
low = 0.0
[[quantity]]
name = "creep"
unit = "mm"
[[expect]]
quantity = "creep"
sites = ["scarp"]
[[rule]]
kind = "threshold"
name = "snow_is_deep"
hazard = "avalanche"
quantity = "snow_depth"
source = "this test"
max_age_s = 3600.0
[rule.limits]
orange = 1.0
"""


def test_readings_of_quantities_of_the_file_come_in_by_mqtt_by_http_and_by_sensorthings(tmp_path: Path) -> None:
    gauge = feature("Point", lonlat(3.5, 8.5), site="quay", name="Quay", quantity="river_level", unit="m", water="lake")
    twin = build_place(tmp_path, "--gauges", geojson(tmp_path / "gauges.geojson", [gauge]), "--cell", "200")
    data = tmp_path / "centre"
    (tmp_path / "sensing.toml").write_text(DOOR)
    roles = ("--role", "administrator", "--role", "commander", "--role", "operator")
    code, _, err = run("user", "add", data, ADA, *roles, "--purpose", "exercise", stdin=f"{COMMANDER}\n")
    assert code == 0, err
    code, _, err = run("user", "add", data, SENSOR, "--role", "sensor", "--as", ADA, stdin=f"{COMMANDER}\n{SECRET}\n")
    assert code == 0, err
    words = ("--sensing", str(tmp_path / "sensing.toml"), "--mqtt-port", "0", "--purpose", "exercise")
    platform = Served(twin, data, *words).is_up()
    try:
        port = int(platform.wait_for_line("MQTT")["mqtt_port"])
        platform.sign_in()
        who = (SENSOR, SECRET)

        def told(quantity: str, site: str, value: float, unit: str) -> dict[str, Any]:
            return {"quantity": quantity, "site": site, "value": value, "unit": unit, "time_us": time.time_ns() // 1000}

        def value_of(quantity: str, site: str) -> Any:
            found = [one for one in platform.get("/sources")["sources"] if (one["quantity"], one["site"]) == (quantity, site)]
            return found[0]["value"] if found else None

        mast = Client(port, *who)
        ada = Client(port, ADA, COMMANDER)
        assert ada.subscribe("tocsin/warnings/avalanche/#") == 1
        mast.publish("readings/mast", told("snow_depth", "slope", 150.0, "cm"))  # acknowledged, so it is there
        assert value_of("snow_depth", "slope") == 1.5
        assert ada.heard.get(timeout=PATIENCE_S)[1]["level"] == "orange"
        mast.publish("readings/mast", told("river_level", "quay", 0.3, "m"))  # the pack's own go on
        assert value_of("river_level", "quay") == 0.3
        mast.close()
        ada.close()
        if mosquitto := shutil.which("mosquitto_pub"):
            message = json.dumps(told("snow_depth", "ridge", 0.5, "m"))
            command = [mosquitto, "-V", "mqttv5", "-p", str(port), "-u", SENSOR, "-P", SECRET, "-q", "1", "-t", "readings/x"]
            subprocess.run([*command, "-m", message], check=True, timeout=PATIENCE_S)
            assert value_of("snow_depth", "ridge") == 0.5
        ingest = f"{platform.address}ingest"
        httpx.post(ingest, json=told("creep", "scarp", 3.0, "mm"), auth=who).raise_for_status()
        assert value_of("creep", "scarp") == 3.0
        refused = httpx.post(ingest, json=told("creep", "scarp", 3.0, "m/s"), auth=who)
        assert (refused.status_code, "m/s" in refused.text) == (422, True)
        refused = httpx.post(ingest, json=told("wind", "scarp", 3.0, "m/s"), auth=who)
        assert (refused.status_code, "snow_depth" in refused.text) == (422, True)
        inbox = data / "inbox" / "creep"
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        (inbox / "today.csv").write_text(f"site,time,value\ntoe,{now},7.5\n")
        until("the file", lambda: value_of("creep", "toe") == 7.5)
        root = f"{platform.address}sta/v1.1"
        streams = f"{root}/Datastreams?$filter=properties/site eq 'slope'&$select=id"
        found = until("the node's datastream", lambda: httpx.get(streams, auth=who).json()["value"])
        shape = {"type": "Point", "coordinates": list(lonlat(3.5, 8.5))}
        spot = {"name": "slope", "description": "slope", "encodingType": "application/geo+json", "feature": shape}
        observed = {"result": 0.75, "FeatureOfInterest": spot}
        made = httpx.post(f"{root}/Datastreams({found[0]['@iot.id']})/Observations", json=observed, auth=who)
        assert made.status_code == 201, made.text
        until("the observation as a reading", lambda: value_of("snow_depth", "slope") == 0.75)
    finally:
        platform.process.kill()
        platform.process.wait()


def test_a_file_that_is_wrong_is_told_with_its_line_before_anything_begins(tmp_path: Path) -> None:
    gauge = feature("Point", lonlat(3.5, 8.5), site="quay", name="Quay", quantity="river_level", unit="m", water="lake")
    twin = build_place(tmp_path, "--gauges", geojson(tmp_path / "gauges.geojson", [gauge]), "--cell", "200")
    (tmp_path / "sensing.toml").write_text('[[rule]]\nkind = "thresholt"\n')
    code, _, err = run("serve", twin, "--data", tmp_path / "centre", "--sensing", tmp_path / "sensing.toml")
    assert code == 1
    assert "sensing.toml, line 2: [[rule]] number 1, kind: kind = 'thresholt'" in err
    assert not (tmp_path / "centre").exists()
