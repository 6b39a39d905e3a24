"""Files that somebody drops into a folder: CSV and JSON lines; a bad one is put aside with its reason."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from collector_place import LEVEL_TOLD, NOON, made, rows, still_host

from tocsin.edge.collectors.files import Files
from tocsin.edge.latest import microseconds

GOOD = "station,time,stage\nweir,2026-03-01T11:00:00Z,10\nquay,2026-03-01 12:30:00+01:00,-9999\n"
LINES = [
    {"s": {"id": "weir"}, "t": "2026-03-01T11:00:00Z", "v": 10},
    {"s": {"id": "quay"}, "t": "2026-03-01T11:30:00Z", "v": None},
]


def folder_of(folder: Path, **more: Any) -> Files:
    told = {"folder": str(folder), "quantity": LEVEL_TOLD, "unit": "ft", "site": "station", "value": "stage", **more}
    return made(Files, **told)  # type: ignore[no-any-return]


def lines_of(folder: Path, **more: Any) -> Files:
    return folder_of(folder, **{"format": "jsonl", "site": "$.s.id", "time": "t", "value": "v", **more})


def watched(files: Files, hours: float = 1.0, *, meanwhile: Any = None) -> list[Any]:
    """What a folder gives in some hours."""
    host, told = still_host(), []

    async def play() -> None:
        async def listen() -> None:
            async for batch in files.batches(host):
                told.append((host.clock.now(), batch))

        tasks = [asyncio.create_task(listen())]
        if meanwhile is not None:
            tasks.append(asyncio.create_task(meanwhile(host)))
        await host.clock.run(NOON + timedelta(hours=hours))  # type: ignore[attr-defined]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(play())
    return told


def test_a_folder_is_emptied_and_a_bad_file_is_put_aside_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    (tmp_path / "b.csv").write_text("nonsense\n")
    files = folder_of(tmp_path)
    ((moment, batch),) = watched(files)
    assert rows(batch)[0] == ("river_level", "weir", pytest.approx(3.048))
    assert (batch.arrived_us == microseconds(moment)).all()
    assert (tmp_path / "done" / "a.csv").exists()
    assert "line 1: no column" in (tmp_path / "bad" / "b.why").read_text()
    assert sorted(p.name for p in tmp_path.glob("*.csv")) == []
    assert (files.tally.received, files.tally.taken, dict(files.tally.dropped)) == (2, 2, {"bad file": 1})


def test_lines_of_json_are_read_plain_or_packed_and_keys_may_be_paths(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(line) for line in LINES)
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(text.encode()))
    told = [batch for _, batch in watched(lines_of(tmp_path))]
    assert [batch.sites for batch in told] == [("weir", "quay")] * 2
    assert told[0].flag.tolist() == [2, 9]
    assert (tmp_path / "done" / "b.ndjson.gz").exists()


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[1]",
        b'{"s": {"id": "w"}, "t": "now", "v": 1}',
        b'{"s": {"id": ""}, "t": "2026-03-01T11:00:00Z", "v": 1}',
        b"\xff",
        b"x" * 20_000,
        b"\x1f\x8bgarbage",
        b"[" * 9_000,
    ],
)
def test_a_broken_file_of_json_gives_nothing_and_names_its_line(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(json.dumps(LINES[0]).encode() + b"\n" + bad + b"\n" if bad[:1] != b"\x1f" else bad)
    assert watched(lines_of(tmp_path)) == []
    assert str(tmp_path) in (tmp_path / "bad" / "a.why").read_text()


def test_a_file_that_still_grows_is_left_to_be_finished(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)

    async def grow(host: Any) -> None:
        for _ in range(3):
            await host.clock.sleep(60.0)
            with (tmp_path / "a.csv").open("a") as file:
                file.write("weir,2026-03-01T11:45:00Z,11\n")

    ((moment, batch),) = watched(folder_of(tmp_path, every_s=60.0, settled_s=90.0), meanwhile=grow)
    assert len(batch) == 5
    assert moment >= NOON + timedelta(seconds=180 + 90)


def test_a_file_is_done_only_when_the_next_batch_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)

    async def one_only() -> None:
        source = folder_of(tmp_path, settled_s=0.0).batches(still_host())
        await anext(source)
        await source.aclose()

    asyncio.run(one_only())
    assert (tmp_path / "a.csv").exists()


def test_a_file_of_a_name_that_was_there_before_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "a.csv").write_text("of yesterday")
    (tmp_path / "a.csv").write_text(GOOD)
    watched(folder_of(tmp_path))
    assert (tmp_path / "done" / "a.csv").read_text() == "of yesterday"
    assert (tmp_path / "done" / "2-a.csv").read_text() == GOOD


def test_other_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "deep.csv").mkdir()
    (tmp_path / "a.csv.part").write_text(GOOD)
    assert watched(folder_of(tmp_path)) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv.part", "deep.csv", "notes.txt"]


@pytest.mark.parametrize(
    "told",
    [
        {"every_s": 0.0},
        {"unit": "furlong"},
        {"site": None},
        {"one_site": "x"},
        {"zone": "Mars/Base"},
        {"format": "xml"},
        {"name": ""},
    ],
)
def test_settings_of_a_folder_that_mean_nothing_are_refused(tmp_path: Path, told: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        folder_of(tmp_path, **told)
