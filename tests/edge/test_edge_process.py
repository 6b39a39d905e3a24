"""The node as a process: it starts light, ends in order, and whoever is killed at any moment, every reading is there once."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from uplink_place import ADA, CENTRE, EDGE, Machine

from tocsin.edge.latest import microseconds
from tocsin.host import WallClock
from tocsin.interfaces.edge import node_key
from tocsin.platform.store.edges import Edges
from tocsin.security.gate import RoleGate
from tocsin.vocabulary import Warning

KILLS = int(os.environ.get("TOCSIN_KILLS", "10"))
PATIENCE_S = 90.0
ROWS = 60
PROGRAM = "from tocsin.interfaces.edge_program import main; main()"
HEAVY = ("numba", "pyarrow", "rasterio", "scipy", "shapely", "zarr", "lxml", "h3", "starlette", "uvicorn", "duckdb", "osmium")

SETTINGS = """
[node]
name = "weir-house"
data = "data"
tick_s = 0.3
purpose = "exercise"
[spool]
reserve_mb = 1
[uplink]
url = "http://127.0.0.1:{port}"
interval_s = 0.1
batch_kb = 4
retry_s = [0.05, 0.3]
[[quantity]]
name = "river_level"
unit = "m"
low = -5.0
high = 60.0
[[collector]]
kind = "files"
name = "files"
folder = "inbox"
quantity = "river_level"
unit = "m"
site = "site"
every_s = 0.05
settled_s = 0.0
[[rule]]
kind = "threshold"
name = "river_high"
hazard = "flood"
quantity = "river_level"
source = "a test"
max_age_s = 100000.0
min_readings = 2
[rule.limits]
yellow = 3.0
red = 5.0
[[action]]
kind = "log"
name = "log"
path = "warnings.jsonl"
"""


class Process:
    """A node or a platform that can be started, stopped and killed."""

    def __init__(self, name: str, *arguments: str, folder: Path) -> None:
        self._arguments, self._log = arguments, folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, *self._arguments], stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(PATIENCE_S)
        self._process = None
        return code

    def end(self) -> None:
        if self._process is not None:
            self.kill()

    def log(self) -> str:
        return self._log.read_text(errors="replace")


class Station:
    """A node's folder, a platform's folder, and somebody who puts files into the inbox."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.fed = folder, list[tuple[str, int, float]]()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (folder / "edge" / "inbox").mkdir(parents=True)
        self.settings = folder / "edge" / "edge.toml"
        self.settings.write_text(SETTINGS.format(port=self.port))
        key = node_key(folder / "edge" / "data").public_key
        clock = WallClock()
        centre = Machine(folder / "centre", clock, CENTRE)  # type: ignore[arg-type]
        Edges(centre.ledger.store, clock=clock, gate=RoleGate(), ledger=centre.ledger).enrol(ADA, "weir-house", key)
        centre.stop()
        here = Path(__file__).resolve().parent
        self.edge = Process("edge", "-c", PROGRAM, "run", str(self.settings), folder=folder)
        self.centre = Process("centre", str(here / "platform_process.py"), str(folder / "centre"), str(self.port), folder=folder)
        self._files, self._time = 0, datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)

    def feed(self) -> None:
        """A file of readings of two sites, which rise over the limits in every second one."""
        lines = ["site,time,value"]
        for _ in range(ROWS // 2):
            self._time += timedelta(seconds=1)
            for site in ("weir", "quay"):
                value = (4.0 if self._files % 2 else 1.0) + len(self.fed) / 1e6
                lines.append(f"{site},{self._time.isoformat()},{value!r}")
                self.fed.append((site, microseconds(self._time), value))
        inbox = self.folder / "edge" / "inbox"
        unfinished = inbox / "unfinished"
        unfinished.write_text("\n".join(lines) + "\n")
        unfinished.rename(inbox / f"{self._files:05d}.csv")
        self._files += 1

    def wait(self, what: str, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < until, (
                f"{what}: not after {PATIENCE_S} s\n{self.edge.log()[-3000:]}\n{self.centre.log()[-3000:]}"
            )
            time.sleep(0.05)

    def is_up(self) -> bool:
        """Whether the node that was started last has told how it stands; before, it does not hear a signal."""
        try:
            return bool(json.loads((self.folder / "edge" / "data" / "status.json").read_bytes())["pid"] == self.edge.pid)
        except FileNotFoundError:
            return False

    def is_through(self) -> bool:
        """True if the node has read all files and the platform has all of it."""
        try:
            told = json.loads((self.folder / "edge" / "data" / "status.json").read_bytes())
        except FileNotFoundError:
            return False
        done = len(list((self.folder / "edge" / "inbox" / "done").glob("*.csv")))
        up = told["uplink"]
        return (
            done == self._files and up["acknowledged"] is not None and told["storage"]["blocks"] == up["block"] and not up["waiting_entries"]
        )  # fmt: skip

    def machines(self) -> tuple[Machine, Machine]:
        clock = WallClock()
        edge = Machine(self.folder / "edge" / "data", clock, EDGE)  # type: ignore[arg-type]
        return edge, Machine(self.folder / "centre", clock, CENTRE)  # type: ignore[arg-type]

    def expected(self) -> dict[str, list[tuple[int, float]]]:
        found: dict[str, list[tuple[int, float]]] = {}
        for site, time_us, value in self.fed:
            found.setdefault(site, []).append((time_us, value))
        return found


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.edge.end()
    made.centre.end()


def check_all(station: Station) -> None:
    """Both sides hold every reading once and in order; the platform holds every warning of the node, and raised none itself."""
    edge, centre = station.machines()
    try:
        assert edge.readings() == station.expected()
        assert centre.readings() == station.expected()
        told = [entry.id for entry in edge.ledger.read() if isinstance(entry.record, Warning)]
        there = [entry.id for entry in centre.ledger.read() if isinstance(entry.record, Warning) and entry.actor == EDGE.name]
        assert there == told
        assert len(told) == len(set(told))
        edge.ledger.verify()
        centre.ledger.verify()
        assert centre.spool.damage == edge.spool.damage == []
    finally:
        edge.stop()
        centre.stop()


def test_a_node_that_is_killed_again_and_again_under_load_loses_nothing_and_repeats_nothing(station: Station) -> None:
    chance = random.Random(1)
    station.centre.start()
    for _ in range(KILLS):
        station.edge.start()
        station.feed()
        station.feed()
        time.sleep(chance.uniform(0.6, 1.6))
        station.edge.kill()
    station.edge.start()
    station.wait("everything is there", station.is_through)
    station.wait("the node's own status", station.is_up)
    assert station.edge.stop() == 0
    station.centre.stop()
    check_all(station)


def test_a_platform_that_is_killed_again_and_again_has_everything_once(station: Station) -> None:
    chance = random.Random(2)
    station.edge.start()
    for _ in range(KILLS):
        station.centre.start()
        station.feed()
        station.feed()
        time.sleep(chance.uniform(0.6, 1.6))
        station.centre.kill()
    station.centre.start()
    station.wait("everything is there", station.is_through)
    station.wait("the node's own status", station.is_up)
    assert station.edge.stop() == 0
    station.centre.stop()
    check_all(station)


def test_without_a_platform_the_node_warns_and_when_it_comes_it_has_all(station: Station) -> None:
    station.edge.start()
    station.feed()
    station.feed()
    warnings = station.folder / "edge" / "warnings.jsonl"
    station.wait("a warning", lambda: warnings.exists() and len(warnings.read_text().splitlines()) >= 2)
    assert {json.loads(line)["level"] for line in warnings.read_text().splitlines()} == {"yellow"}
    station.centre.start()
    station.wait("everything is there", station.is_through)
    station.wait("the node's own status", station.is_up)
    assert station.edge.stop() == 0
    station.centre.stop()
    check_all(station)


def test_sigterm_ends_in_order_and_the_last_status_is_written(station: Station) -> None:
    station.edge.start()
    station.wait("a status", (station.folder / "edge" / "data" / "status.json").exists)
    station.wait("the node's own status", station.is_up)
    assert station.edge.stop() == 0
    told = subprocess.run([sys.executable, "-c", PROGRAM, "status", str(station.settings), "--json"], capture_output=True)
    status = json.loads(told.stdout)
    assert status["node"] == "weir-house"
    assert (told.returncode == 0) == status["is_running"]


def test_the_edge_imports_nothing_heavy() -> None:
    program = (
        "import sys, tocsin.interfaces.cli.edge, tocsin.interfaces.edge, httpx, typer, rich.console;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_node_that_runs_has_imported_no_command_line_and_nothing_heavy(station: Station) -> None:
    names = (*HEAVY, "typer", "click", "rich", "pygments", "pydantic", "uvicorn", "pymodbus", "tocsin.interfaces.cli")
    program = (
        "import sys; from tocsin.interfaces.edge_program import main; main();"
        f"print(sorted(name for name in {names!r} if sys.modules.get(name)), 'httpx' in sys.modules)"
    )
    words = [sys.executable, "-c", program, "run", str(station.settings), "--for", "0.5"]
    told = subprocess.run(words, capture_output=True, text=True, check=True, cwd=station.folder)
    assert told.stdout.splitlines() == ["stopped in order", "[] True"]


def test_a_plain_run_says_what_is_wrong_as_every_command_does(tmp_path: Path) -> None:
    program = "from tocsin.interfaces.edge_program import main; main()"
    told = [
        subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
        for words in (["run", "nowhere.toml"], ["run", "nowhere.toml", "--json"], ["run", "nowhere.toml", "--for", "soon"])
    ]
    assert [one.returncode for one in told] == [1, 1, 2]
    assert told[0].stderr.startswith("tocsin: ")
    assert "nowhere.toml" in told[0].stderr
    assert told[0].stderr == told[1].stderr


def test_the_uplink_speaks_https_with_certificates_of_both_sides(station: Station) -> None:
    from certificates import make_certificates

    from tocsin.edge.uplink import HttpLine
    from tocsin.vocabulary import Unavailable

    made = make_certificates(station.folder)
    program = (
        "import sys, uvicorn, ssl; from starlette.applications import Starlette; from types import SimpleNamespace as S\n"
        "from tocsin.interfaces.http.uplink import routes\n"
        f"uvicorn.run(Starlette(routes=routes(S(receiver=S(platform='p')))), port={station.port}, log_level='warning',"
        f" ssl_certfile={str(made.server)!r}, ssl_keyfile={str(made.server_key)!r}, ssl_ca_certs={str(made.ca)!r},"
        " ssl_cert_reqs=ssl.CERT_REQUIRED)"
    )
    server = Process("server", "-c", program, folder=station.folder)
    server.start()
    url = f"https://localhost:{station.port}"
    line = HttpLine(url, ca=made.ca, cert=made.client, key=made.client_key)

    def answers() -> bool:
        try:
            return line.platform() == "p"
        except Unavailable:
            return False

    try:
        station.wait("an answer", answers)
        with pytest.raises(Unavailable):
            HttpLine(url, ca=made.ca).platform()
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
            HttpLine(url, cert=made.client, key=made.client_key).platform()
    finally:
        line.close()
        server.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"a small disk needs root: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_on_a_disk_that_is_really_full_the_node_goes_on_with_the_newest(small_disk: Path, station: Station) -> None:
    """The log may take more than the disk has: the oldest segments go, nothing breaks, and the newest readings are there."""
    text = (
        station.settings.read_text()
        .replace('data = "data"', f'data = "{small_disk}/data"')
        .replace("reserve_mb = 1", "reserve_mb = 0\nkeep_mb = 64\nsegment_mb = 1")
    )
    station.settings.write_text(text)
    rows = ["site,time,value"]
    inbox = station.folder / "edge" / "inbox"
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    for number in range(6):
        rows = ["site,time,value"]
        for k in range(6_000):
            moment = begin + timedelta(milliseconds=10 * (6_000 * number + k))
            rows += [f"{site},{moment.isoformat()},{1.0 + k / 1e5}" for site in ("weir", "quay", "mill", "dam")]
        (inbox / f"{number}.csv").write_text("\n".join(rows) + "\n")
    station.edge.start()
    station.wait("all files", lambda: len(list((inbox / "done").glob("*.csv"))) == 6)
    assert station.edge.stop() == 0
    edge = Machine(small_disk / "data", WallClock(), EDGE)  # type: ignore[arg-type]
    try:
        newest = max(time_us for time_us, _ in edge.readings()["weir"])
        assert newest == microseconds(begin + timedelta(milliseconds=10 * (6 * 6_000 - 1)))
        assert edge.spool.dropped_readings > 0
        assert edge.spool.damage == []
        edge.ledger.verify()
    finally:
        edge.stop()
