"""The frame of the command line: help without weight, exit codes, messages instead of tracebacks, JSON and nothing else."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

import tocsin
from tocsin.interfaces.cli import app
from tocsin.interfaces.cli.desk import Desk, desk
from tocsin.vocabulary import NotFound

HEAVY = (
    "numpy",
    "msgspec",
    "rich",
    "rasterio",
    "shapely",
    "numba",
    "scipy",
    "zarr",
    "pyproj",
    "lxml",
    "starlette",
    "cryptography",
)
PROGRAM = "from tocsin.interfaces.cli import main; main()"


def commands(node: Any = None, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    node = get_command(app) if node is None else node
    if not hasattr(node, "commands"):
        return [(path, node)]
    return [found for name, child in node.commands.items() for found in commands(child, (*path, name))]


def imported_by(*words: str, program: str = PROGRAM) -> set[str]:
    told = subprocess.run([sys.executable, "-X", "importtime", "-c", program, *words], capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in told.stderr.splitlines() if line.startswith("import time:")}


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == f"tocsin {tocsin.__version__}"


def test_import_tocsin_brings_nothing_heavy() -> None:
    assert sorted(imported_by(program="import tocsin") & {*HEAVY, "typer"}) == []


@pytest.mark.parametrize("words", [("--help",), ("simulate", "--help"), ("twin", "build", "--help"), ("warn",)])
def test_help_brings_nothing_heavy(words: tuple[str, ...]) -> None:
    program = f"import sys\ntry:\n    {PROGRAM}\nexcept SystemExit:\n    pass"
    assert sorted(imported_by(*words, program=program) & set(HEAVY)) == []


@pytest.mark.parametrize(("path", "command"), commands(), ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_every_command_says_what_it_does_with_an_example_and_every_option_what_it_is(path: tuple[str, ...], command: Any) -> None:
    assert f"Example: tocsin {' '.join(path)}" in " ".join(command.help.split()), path
    for parameter in command.params:
        assert parameter.help, f"{' '.join(path)}: {parameter.opts} has no help line"
        told = parameter.default is not None and parameter.default is not False and parameter.default not in ("", (), [])
        if not parameter.required and parameter.name != "help" and not told:
            assert "Default:" in parameter.help, f"{' '.join(path)}: {parameter.opts}: {parameter.help!r} tells no default"


@pytest.mark.parametrize(("path", "command"), commands(), ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_every_command_takes_json(path: tuple[str, ...], command: Any) -> None:
    assert "--json" in {name for parameter in command.params for name in parameter.opts}


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["twin", "build"], ["warn", "read", "x", "--no-such-option"], ["warn", "draft", "x", "--level", "pink"]],
)
def test_usage_that_is_wrong_ends_with_2(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("fault", "code", "kind", "says"),
    [
        (NotFound("twin: no zone 'x'; there are: a"), 1, "NotFound", "no zone 'x'"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out.tif"),
            1,
            "Unavailable",
            "out.tif: No space left on device; free some space",
        ),
        (MemoryError(), 1, "Unavailable", "fewer --members"),
        (ZeroDivisionError("division by zero"), 1, "Bug", "this is a bug of Tocsin: ZeroDivisionError"),
        (KeyboardInterrupt(), 130, "Stopped", "nothing half-written is left; complete before that: a.tif"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, BaseException) else "",
)
@pytest.mark.parametrize("as_json", [True, False])
def test_an_error_is_one_message_and_an_exit_code(
    fault: BaseException,
    code: int,
    kind: str,
    says: str,
    as_json: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TOCSIN_DEBUG", raising=False)

    def work() -> None:
        with desk(as_json=as_json) as at:
            at.written.append(Path("a.tif"))
            raise fault

    with pytest.raises(typer.Exit) as stopped:
        work()
    out, err = capsys.readouterr()
    assert stopped.value.exit_code == code
    assert says in err
    assert "Traceback" not in err
    assert (json.loads(out)["error"]["kind"] if as_json else out) == (kind if as_json else "")


def test_a_traceback_is_shown_only_where_it_was_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_DEBUG", "1")
    with pytest.raises(typer.Exit), desk(as_json=False):
        raise NotFound("twin: none")
    assert "Traceback" in capsys.readouterr().err


def test_progress_and_notes_never_reach_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    at = Desk(as_json=True)
    at.progress("futures", 1, 2)
    at.progress("futures", 2, 2)
    at.note("look")
    at.json({"a": float("nan")})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": None}
    assert "futures: 2 of 2" in err
    assert "look" in err


def test_a_reader_that_goes_away_is_no_error_to_shout_about() -> None:
    pipe = subprocess.run(
        f"{sys.executable} -c '{PROGRAM}' pack show flood --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in pipe.stderr
    assert "bug" not in pipe.stderr


def test_a_name_between_colons_is_printed_and_not_taken_for_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    with desk(as_json=False) as at:
        at.answer({}, lambda console: console.print("bring_generator pumping_stations:station: [3] helps"))
    assert capsys.readouterr().out == "bring_generator pumping_stations:station: [3] helps\n"
