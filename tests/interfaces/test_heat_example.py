"""The tutorial's pack: built as a wheel, installed beside Tocsin, held to the promises, and used; and the page is the file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli_place import build_place

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE, PAGE = ROOT / "examples" / "tocsin-heat", ROOT / "docs" / "tutorials" / "write-a-pack.md"
PROGRAM = "from tocsin.interfaces.cli import main; main()"
FORECAST = "time [h],temperature [degC]\n0,27\n3,33\n6,38\n9,34\n"


def installed(folder: Path) -> Path:
    """A folder with the example's wheel in it, and nothing else; built without the network."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, EXAMPLE], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder / "site", wheel], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("heat"))


def ran(site: Path, *words: str | Path, cwd: Path) -> str:
    """What a fresh Python says that finds the installed example beside Tocsin."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def lines(text: str) -> list[str]:
    """The lines that say something."""
    return [line for line in text.splitlines() if line.strip()]


def test_the_page_is_the_file() -> None:
    assert lines("".join(blocks("python"))) == lines((EXAMPLE / "src" / "tocsin_heat" / "__init__.py").read_text())
    assert lines(blocks("py")[0]) == lines((EXAMPLE / "tests" / "test_heat.py").read_text())
    assert lines(blocks("toml")[0]) == lines((EXAMPLE / "pyproject.toml").read_text())
    assert blocks("md")[0] == (EXAMPLE / "src" / "tocsin_heat" / "README.md").read_text()
    assert FORECAST in blocks("text")


def test_the_pack_is_less_than_200_lines_of_python() -> None:
    written = [line for path in (EXAMPLE / "src").rglob("*.py") for line in path.read_text().splitlines()]
    assert len(written) < 200


def test_it_is_found_where_it_is_installed_and_keeps_the_promises(site: Path, tmp_path: Path) -> None:
    told = json.loads(ran(site, "-c", PROGRAM, "pack", "list", "--json", cwd=tmp_path))
    assert {row["hazard"] for row in told} >= {"flood", "heat"}
    said = ran(site, "-m", "pytest", "-p", "no:cacheprovider", EXAMPLE / "tests", cwd=tmp_path)
    assert re.search(r"\b[3-9]\d passed", said), said
    assert "failed" not in said


def test_it_is_simulated_and_its_plans_are_compared_as_those_of_any_hazard(site: Path, tmp_path: Path) -> None:
    twin = build_place(tmp_path / "place")
    (tmp_path / "forecast.csv").write_text(FORECAST)
    heat = ["--drive", "temperature=forecast.csv", "--drive", "humidity=50%", "--hours", "9", "--json"]
    night = json.loads(ran(site, "-c", PROGRAM, "simulate", "heat", twin, *heat, cwd=tmp_path))["night"]
    people = night["people_in_danger"]["mean"]
    # 38 degC and 50 % feel like 48.6 degC: between the classes' 40.6 (0.001) and 54.4 degC (0.01) by a line, of all who live there
    assert people == pytest.approx(1_920 * (0.001 + 0.009 * (48.6 - 40.56) / (54.44 - 40.56)), rel=0.01)
    compared = json.loads(ran(site, "-c", PROGRAM, "plan", "compare", twin, "--hazard", "heat", *heat, cwd=tmp_path))
    harm = {score["plan"]: score["harm"]["mean"] for score in compared["scores"]}
    assert harm["bring people"] < harm["wait and watch"]
