"""What all tests share: where the real data is, and what a missing part of the machine means."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def missing(what: str) -> None:
    """Skip by name on a person's machine, fail in CI: a silent skip would be a hole in the checks."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing in CI; .ci/run has to install it")
    pytest.skip(f"{what} is not on this machine")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; a test that needs it is skipped by name where it is absent."""
    folder = Path(os.environ.get("TOCSIN_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data: {folder} is absent")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium, with which the console is tested."""
    found = shutil.which("chromium")
    if found is None:
        missing("chromium (apt-get install chromium)")
    return str(found)


@pytest.fixture(scope="session")
def mosquitto() -> dict[str, str]:
    """Where mosquitto, mosquitto_pub and mosquitto_sub are."""
    found = {}
    for program in ("mosquitto", "mosquitto_pub", "mosquitto_sub"):
        where = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if where is None:
            missing(f"{program} (apt-get install mosquitto mosquitto-clients)")
        found[program] = str(where)
    return found


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """The address of a database of the test's own, empty, in the throw-away PostgreSQL of this run."""
    import asyncio
    import uuid

    import asyncpg

    name = f"test_{uuid.uuid4().hex}"

    async def make() -> None:
        server = await asyncpg.connect(f"{postgres_server}/postgres")
        try:
            await server.execute(f"CREATE DATABASE {name}")
        finally:
            await server.close()

    asyncio.run(make())
    return f"{postgres_server}/{name}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a throw-away PostgreSQL of Debian's, on a free port; root starts it as the user that Debian made for it."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        missing("PostgreSQL (apt-get install postgresql)")
    bin_ = programs[-1].parent
    folder = Path(tempfile.mkdtemp(prefix="tocsin-postgres-"))  # not below pytest's own folder, which only its user may enter
    as_whom: list[str] = []
    if os.geteuid() == 0:
        as_whom = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        os.chown(folder, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = folder / "data"

    def run(*words: str | Path) -> None:
        done = subprocess.run([*as_whom, *map(str, words)], capture_output=True, text=True, timeout=120, check=False, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    run(bin_ / "initdb", "-D", data, "-U", "tocsin", "--auth=trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run(bin_ / "pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start")
    try:
        yield f"postgresql://tocsin@127.0.0.1:{port}"
    finally:
        run(bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)
