"""The kinds that there are: found, loaded when asked for, each with a page whose example is read as edge.toml reads it."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec
import pytest
from collector_place import LEVEL_TOLD, NOON, made, rows, still_host

from tocsin.edge.collectors import Kinds, find_collectors
from tocsin.edge.collectors.kind import Kind
from tocsin.edge.settings import read_settings
from tocsin.vocabulary import InputError, Observations, PackFault

PAGES = Path(__file__).resolve().parents[3] / "docs" / "guide" / "collectors"
FRAME = """
[node]
name = "weir-house"
data = "data"
[[quantity]]
name = "river_level"
unit = "m"
[[quantity]]
name = "rain_amount"
unit = "mm"
"""
ALL = [
    "cap_feed",
    "fdsn",
    "files",
    "firms",
    "firms_files",
    "http_poll",
    "http_push",
    "lorawan",
    "lorawan_push",
    "modbus",
    "mqtt",
    "sensorthings",
    "usgs",
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_all_kinds_are_found_and_are_collectors_by_themselves() -> None:
    kinds = find_collectors()
    assert sorted(kinds) == ALL
    for kind in kinds.values():
        assert issubclass(kind, Kind)
        assert kind.__struct_config__.frozen
        assert kind.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_the_example_of_a_page_is_read_as_it_stands(page: Path, tmp_path: Path) -> None:
    examples = [block for block in blocks(page, "toml") if "[[collector]]" in block]
    assert examples or page.stem in ("README", "your-own")
    for number, example in enumerate(examples):
        file = tmp_path / f"{number}.toml"
        file.write_text(FRAME + example)
        settings = read_settings(file, kinds=find_collectors())
        assert len(settings.collectors) == example.count("[[collector]]")


@pytest.mark.parametrize("word", ALL)
def test_every_setting_of_a_kind_stands_in_a_page(word: str) -> None:
    told = "".join(page.read_text() for page in PAGES.glob("*.md"))
    assert f'kind = "{word}"' in told
    for field in msgspec.structs.fields(find_collectors()[word]):
        assert f"`{field.name}`" in told or f"`{field.name} " in told, f"{word}: {field.name}"


def test_every_page_is_in_the_index_and_every_link_leads_to_one() -> None:
    index = (PAGES / "README.md").read_text()
    for page in PAGES.glob("*.md"):
        assert page.stem == "README" or f"]({page.name})" in index
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert link.startswith("https://") or (PAGES / link).exists(), f"{page.name}: {link}"


def test_the_example_of_a_kind_of_ones_own_runs() -> None:
    (code,) = blocks(PAGES / "your-own.md", "python")
    scope: dict[str, Any] = {"__name__": "my_package"}
    exec(compile(code, "your-own.md", "exec", dont_inherit=True), scope)
    counter = made(scope["Counter"], readings=[{"quantity": LEVEL_TOLD, "value": "$.n", "site": "desk"}])
    host, heard = still_host(), list[Any]()

    async def play() -> None:
        async def listen() -> None:
            async for batch in counter.batches(host):
                heard.append(batch)

        task = asyncio.create_task(listen())
        await host.clock.run(NOON + timedelta(minutes=3))  # type: ignore[attr-defined]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())
    assert [value for _, _, value in rows(*heard)] == [0.0, 1.0, 2.0, 3.0]
    assert all(isinstance(batch, Observations) for batch in heard)


class NoCollector(msgspec.Struct):
    """Has no batches."""

    name: str


@pytest.mark.parametrize("value", ["no_such_module:X", "json:dumps", f"{__name__}:NoCollector"])
def test_what_is_no_collector_is_refused_only_when_it_is_asked_for(value: str) -> None:
    kinds = Kinds(
        {
            "odd": EntryPoint("odd", value, "tocsin.collectors"),
            "files": EntryPoint("files", "tocsin.edge.collectors.files:Files", ""),
        }
    )
    assert "odd" in kinds
    assert kinds["files"].__name__ == "Files"
    with pytest.raises(PackFault, match="collector kind 'odd'"):
        kinds["odd"]


def test_a_mistake_in_a_table_is_told_with_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(FRAME + '[[collector]]\nkind = "mqtt"\nname = "a"\nhost = "b"\ntopix = []\n')
    with pytest.raises(InputError, match=r"edge.toml, line 15.*topix.*did you mean 'topics'"):
        read_settings(file, kinds=find_collectors())
    file.write_text(
        FRAME
        + '[[collector]]\nkind = "mqtt"\nname = "a"\nhost = "b"\ntopics = [{ topic = "a/#/b", readings = [{ quantity = "river_level" }] }]\n'
    )
    with pytest.raises(InputError, match=r"\[\[collector\]\] number 1.*topic 'a/#/b'"):
        read_settings(file, kinds=find_collectors())
