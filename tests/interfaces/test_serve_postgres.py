"""tocsin serve copies its readings into a real PostgreSQL, and /sources says how that stands."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from cli_place import build_place, feature, geojson, lonlat, run
from test_gateways import SECRET, SENSOR, reading, until
from test_serve import ADA, COMMANDER, Served

from tocsin.platform.postgres import PostgresReadings
from tocsin.vocabulary import Quantity

pytestmark = pytest.mark.postgres


def test_what_a_platform_acknowledged_is_copied_and_the_sources_say_how_much_waits(tmp_path: Path, postgres: str) -> None:
    limits = {"yellow": 0.5, "orange": 1.0, "red": 2.0, "limits_source": "this test"}
    gauge = feature("Point", lonlat(3.5, 8.5), site="quay", name="Quay", quantity="river_level", unit="m", water="lake", **limits)
    twin = build_place(tmp_path, "--gauges", geojson(tmp_path / "gauges.geojson", [gauge]), "--cell", "200")
    data, url = tmp_path / "centre", tmp_path / "url"
    url.write_text(postgres)
    url.chmod(0o600)
    roles = ("--role", "administrator", "--role", "commander", "--role", "operator")
    code, _, err = run("user", "add", data, ADA, *roles, "--purpose", "exercise", stdin=f"{COMMANDER}\n")
    assert code == 0, err
    code, _, err = run("user", "add", data, SENSOR, "--role", "sensor", "--as", ADA, stdin=f"{COMMANDER}\n{SECRET}\n")
    assert code == 0, err
    platform = Served(twin, data, "--postgres-url-file", str(url), "--purpose", "exercise").is_up()
    try:
        platform.sign_in()
        done = httpx.post(f"{platform.address}ingest", json=reading(0.21), auth=(SENSOR, SECRET))
        assert done.status_code == 200, done.text
        copied = PostgresReadings(postgres)
        level = Quantity("river_level", "m", -5, 60)
        seen = until("the copy", lambda: len(copied.read(level)) and copied.read(level))
        assert (seen.sites, seen.value.tolist()) == (("quay",), [0.21])
        copied.close()
        wanted = {"waiting_readings": 0, "trouble": "", "lost_blocks": 0}
        until("the status", lambda: platform.get("/sources")["postgres"] == wanted)
        platform.process.terminate()
        assert platform.process.wait(30.0) == 0
    finally:
        platform.process.kill()
        platform.process.wait()
