"""The wheel of the edge holds all that a node imports, asks for nothing heavy, and asks for what the whole of Tocsin asks for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

import tocsin

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging" / "edge"
WHEEL = tomllib.loads((PACKAGING / "pyproject.toml").read_text())
TOOLS = {"pip", "setuptools", "coverage", "pytest", "click"}  # what is loaded where it is there: click by httpx

RUN = """
import json, sys, tempfile
from pathlib import Path
from typer.testing import CliRunner
import httpx, rich.console
from tocsin.interfaces.cli.edge import app
import tocsin.interfaces.cli.user, tocsin.platform.store.edges, tocsin.edge.mqtt.wire

place = Path(tempfile.mkdtemp())
(place / "inbox").mkdir()
(place / "edge.toml").write_text(Path(sys.argv[1]).read_text())
for command in (["check"], ["keys"], ["run", "--for", "0.2"], ["status"]):
    told = CliRunner().invoke(app, [command[0], str(place / "edge.toml"), *command[1:]])
    assert told.exit_code == 0, told.output
files = [m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
print(json.dumps({"names": sorted({n.partition(".")[0] for n in sys.modules}), "files": files}))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """What a node has in memory after it was checked, run and asked how it stands."""
    told = subprocess.run(
        [sys.executable, "-c", RUN, str(ROOT / "docs" / "guide" / "edge.toml")], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    found: dict[str, list[str]] = json.loads(told.stdout)
    return found


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~ ;\[]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


def test_every_module_that_a_node_imports_is_in_the_wheel(loaded: dict[str, list[str]]) -> None:
    sources, installed = ROOT / "src" / "tocsin", Path(tocsin.__file__).parent
    included = [(PACKAGING / path).resolve() for path in WHEEL["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]]
    inside = [path.relative_to(sources) for path in included if path.is_relative_to(sources)]
    mine = [Path(name).relative_to(installed) for name in loaded["files"] if Path(name).is_relative_to(installed)]
    assert len(mine) > 30
    outside = [path for path in mine if not any(path == part or path.is_relative_to(part) for part in inside)]
    assert outside == []


def test_every_part_of_the_wheel_is_there() -> None:
    for path in WHEEL["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]:
        assert (PACKAGING / path).exists(), path


def test_a_node_imports_nothing_that_the_wheel_does_not_ask_for(loaded: dict[str, list[str]]) -> None:
    wanted, asked = set[str](), names(WHEEL["project"]["dependencies"])
    while asked:
        name = asked.pop()
        wanted.add(name)
        more = [line for line in distribution(name).requires or [] if "extra ==" not in line]
        asked |= {one for one in names(more) if one not in wanted and _is_installed(one)}
    by_package = packages_distributions()
    mine = {"tocsin", *sys.stdlib_module_names}
    packages = {name for name in loaded["names"] if name in by_package and name not in mine}
    used = names([owner for package in packages for owner in by_package[package]])
    assert used - wanted <= TOOLS, sorted(used - wanted - TOOLS)


def _is_installed(name: str) -> bool:
    return any(name in names(owners) for owners in packages_distributions().values())


def test_the_wheel_asks_for_the_same_versions_as_the_whole() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(WHEEL["project"]["dependencies"]) <= set(whole["dependencies"])
    assert WHEEL["project"]["requires-python"] == whole["requires-python"]


def test_the_wheel_brings_all_collectors_that_need_nothing_of_the_platform() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    group = "tocsin.collectors"
    of_the_edge = {word: kind for word, kind in whole["entry-points"][group].items() if kind.startswith("tocsin.edge.")}
    assert WHEEL["project"]["entry-points"][group] == of_the_edge
