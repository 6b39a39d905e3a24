"""The pages are held to what they say: links lead somewhere, commands exist, examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

import tocsin

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def fenced(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_a_file_that_is_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    lost = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not lost, f"{page.name} links to what is not there: {lost}"


def test_ci_runs_the_readmes_second_command_word_for_word() -> None:
    second = fenced(ROOT / "README.md", "sh")[1].strip()
    assert second == 'python -m pip install ".[test]" && python -m pytest'
    assert second in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    front = [ROOT / "README.md"]
    while front:
        page = front.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text()):
            front.append((page.parent / target).resolve())
    assert sorted(set((ROOT / "docs").rglob("*.md")) - reached) == []


def commands() -> list[tuple[str, str]]:
    """Every `tocsin ...` line of a shell block, with its page."""
    found = []
    for page in PAGES:
        for block in fenced(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|", line.split(" #")[0]):
                    if part.strip().startswith("tocsin "):
                        found.append((page.name, part.strip()))
    return found


def test_every_command_that_a_page_shows_is_one_that_the_program_has() -> None:
    from typer.main import get_command

    from tocsin.interfaces.cli import app

    root = get_command(app)
    for page, line in commands():
        command, words = root, shlex.split(line)[1:]
        while words and hasattr(command, "commands") and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands") or not words or words[0].startswith("-"), f"{page}: {line}: no such command"
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= known, f"{page}: {line}: no such option: {sorted(used - known)}"


@pytest.mark.parametrize("page", [p for p in PAGES if fenced(p, "python")], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_python_example_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "example"}
    for number, block in enumerate(fenced(page, "python")):
        if block.lstrip().startswith(">>>"):
            example = doctest.DocTestParser().get_doctest(block, names, f"{page.name}, example {number + 1}", str(page), 0)
            assert doctest.DocTestRunner().run(example, clear_globs=False).failed == 0
            names.update(example.globs)
            continue
        exec(compile(block, f"{page.name}, example {number + 1}", "exec"), names)


def modules() -> list[str]:
    return [m.name for m in pkgutil.walk_packages(tocsin.__path__, "tocsin.")]


@pytest.mark.parametrize("name", [m for m in modules() if not m.endswith("__main__")])
def test_every_example_in_a_docstring_is_true(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": importlib.import_module("numpy")})
    assert result.failed == 0


def test_every_test_that_a_page_names_is_there() -> None:
    """A table of faults that names a test which was renamed claims what nobody checks."""
    named = [
        (page.name, *match)
        for page in PAGES
        for match in re.findall(r"`((?:[a-z_]+/)+test_\w+\.py)::(test_\w+)`", page.read_text())
    ]
    assert len(named) >= 20
    lost = [
        (page, file, test)
        for page, file, test in named
        if not (ROOT / "tests" / file).exists() or f"def {test}(" not in (ROOT / "tests" / file).read_text()
    ]
    assert not lost
