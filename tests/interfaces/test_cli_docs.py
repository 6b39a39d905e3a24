"""docs/reference/cli.md is held to what the program has: every command with its example, every option with its words and default."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from test_cli_frame import commands

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md").read_text()


def section(path: tuple[str, ...]) -> str:
    """What the page says of one command."""
    return PAGE.partition(f"\n## tocsin {' '.join(path)}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("path", "command"), commands(), ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_the_page_has_every_command_with_its_example_and_every_option(path: tuple[str, ...], command: Any) -> None:
    told = section(path)
    says, _, example = " ".join(command.help.split()).partition("Example: ")
    assert says.strip() in told
    assert f"```sh\n{example}\n```" in told
    for parameter in command.params:
        if parameter.name != "help":
            words = " ".join(parameter.help.partition("Default:")[0].split()).replace("|", "\\|")
            assert words in told, f"{' '.join(path)}: {parameter.name}"
        for option in parameter.opts if parameter.param_type_name == "option" else ():
            assert parameter.name == "help" or f"`{option}`" in told, f"{' '.join(path)}: {option}"


def test_the_page_shows_no_command_and_no_option_that_is_gone() -> None:
    known = {" ".join(path): {o for p in command.params for o in (*p.opts, *p.secondary_opts)} for path, command in commands()}
    shown = re.findall(r"^## tocsin (.+)$", PAGE, re.MULTILINE)
    assert sorted(shown) == sorted(known)
    for name in shown:
        rows = re.findall(r"^\| (`-.*?`) ", section(tuple(name.split())), re.MULTILINE)
        assert {o for row in rows for o in re.findall(r"`(-[^`]+)`", row)} <= known[name]
