"""A twin is there whole or not at all, and an old one is never lost to a new one that fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twin_files import CREATED, build, everything, write_terrain

from tocsin.platform.twin import build_twin, folder, open_twin, read_manifest
from tocsin.platform.twin.build import STEPS
from tocsin.vocabulary import Conflict, InputError, NotFound, Unavailable


class Stopped(Exception):
    """What a test raises in the middle."""


def stop_at(step: str, fault: BaseException) -> Any:
    def tell(name: str, done: int, total: int) -> None:
        if name == step:
            raise fault

    return tell


@pytest.mark.parametrize("step", [*STEPS, "done"])
@pytest.mark.parametrize("fault", [KeyboardInterrupt(), Stopped(), MemoryError()])
def test_a_build_that_stops_anywhere_leaves_nothing(step: str, fault: BaseException, tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    with pytest.raises(type(fault)):
        build_twin(tmp_path / "new" / "deep" / "twin", **files, on_progress=stop_at(step, fault))
    assert [p.name for p in tmp_path.iterdir()] == ["files"]


@pytest.mark.parametrize("step", [*STEPS, "done"])
def test_an_old_twin_survives_a_new_one_that_stops_anywhere(step: str, tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    old = build(tmp_path / "twin", **files).manifest
    with pytest.raises(KeyboardInterrupt):
        build_twin(tmp_path / "twin", **files | {"name": "New"}, overwrite=True, on_progress=stop_at(step, KeyboardInterrupt()))
    assert open_twin(tmp_path / "twin", verify=True).manifest == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["files", "twin"]


def test_an_old_twin_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    dem = write_terrain(tmp_path / "dem.tif")
    build_twin(tmp_path / "twin", elevation=dem, created=CREATED, name="Old")
    with pytest.raises(Conflict, match="--overwrite to replace it"):
        build_twin(tmp_path / "twin", elevation=dem, created=CREATED, name="New")
    assert read_manifest(tmp_path / "twin").name == "Old"
    build_twin(tmp_path / "twin", elevation=dem, created=CREATED, name="New", overwrite=True)
    assert read_manifest(tmp_path / "twin").name == "New"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dem.tif", "twin"]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "twin").mkdir()
    assert build(tmp_path / "twin").manifest.name == "twin"


@pytest.mark.parametrize("step", ["first", "second"])
def test_where_names_cannot_be_swapped_in_one_step_a_failing_rename_is_taken_back(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dem = write_terrain(tmp_path / "dem.tif")
    build_twin(tmp_path / "twin", elevation=dem, created=CREATED, name="Old")
    monkeypatch.setattr(folder, "_exchange", lambda _one, _other: False)
    real, calls = Path.rename, []

    def rename(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == {"first": 1, "second": 2}[step]:
            raise OSError(28, "No space left on device")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(Unavailable, match="No space left"):
            build_twin(tmp_path / "twin", elevation=dem, created=CREATED, name="New", overwrite=True)
    assert open_twin(tmp_path / "twin", verify=True).manifest.name == "Old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dem.tif", "twin"]
    build_twin(tmp_path / "twin", elevation=dem, created=CREATED, name="New", overwrite=True)
    assert read_manifest(tmp_path / "twin").name == "New"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dem.tif", "twin"]


def test_two_builds_of_one_folder_do_not_spoil_each_other(tmp_path: Path) -> None:
    dem = write_terrain(tmp_path / "dem.tif")
    both = threading.Barrier(2)
    ends: list[str] = []

    def meet(step: str, done: int, total: int) -> None:
        if step == "roads":
            both.wait(30)

    def one(name: str) -> None:
        try:
            build_twin(tmp_path / "twin", elevation=dem, created=CREATED, name=name, on_progress=meet)
            ends.append(name)
        except Conflict:
            ends.append("conflict")

    threads = [threading.Thread(target=one, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ends) == 2
    winner = open_twin(tmp_path / "twin", verify=True).manifest.name
    assert winner in ends
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dem.tif", "twin"]


def test_a_process_that_is_killed_leaves_no_folder_that_passes_for_a_twin(tmp_path: Path) -> None:
    dem = write_terrain(tmp_path / "dem.tif")
    program = (
        "import os, signal, sys; from datetime import datetime, UTC; from pathlib import Path\n"
        "from tocsin.platform.twin import build_twin\n"
        "kill = lambda step, done, total: os.kill(os.getpid(), signal.SIGKILL) if step == 'checksums' else None\n"
        f"build_twin(Path({str(tmp_path / 'twin')!r}), elevation=Path({str(dem)!r}), created=datetime.now(UTC), on_progress=kill)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.returncode == -9
    assert not (tmp_path / "twin").exists()
    rest = [p for p in tmp_path.iterdir() if p.name != "dem.tif"]
    assert [p.name.startswith(".twin.") and p.name.endswith(".unfinished") for p in rest] == [True]
    with pytest.raises(NotFound, match="is no twin"):
        open_twin(rest[0])
    assert build(tmp_path / "twin", elevation=dem).manifest.name == "twin"


def test_every_file_and_folder_is_on_the_disk_before_the_twin_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[tuple[int, bool]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        flushed.append((os.fstat(handle).st_ino, (tmp_path / "twin").exists()))
        real(handle)

    files = everything(tmp_path / "files")
    monkeypatch.setattr(os, "fsync", fsync)
    build_twin(tmp_path / "twin", **files)
    before = {inode for inode, named in flushed if not named}
    assert {p.stat().st_ino for p in [tmp_path / "twin", *(tmp_path / "twin").rglob("*")]} <= before
    assert flushed[-1] == (tmp_path.stat().st_ino, True)  # and at last the name itself


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from twin_files import everything
from tocsin.platform.twin import build_twin
from tocsin.platform.twin.build import STEPS
from tocsin.vocabulary import Unavailable

there, files = Path(sys.argv[1]), everything(Path(sys.argv[1]) / "files")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
build_twin(there / "whole", **files)
sizes = sorted({p.stat().st_size for p in (there / "whole").rglob("*") if p.is_file()})

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def tell(step, size):
    return lambda name, done, total: room(size) if name == step else None

for step, size in [*((step, 10) for step in STEPS), *((STEPS[0], size - 1) for size in sizes)]:
    for name, overwrite in (("new", False), ("whole", True)):
        try:
            build_twin(there / name, overwrite=overwrite, on_progress=tell(step, size), **files)
        except Unavailable as full:
            room(resource.RLIM_INFINITY)
            print(step, full)
        else:
            sys.exit(f"{step}: all was written with room for {size} bytes a file")
    if sorted(p.name for p in there.iterdir()) != ["files", "whole"]:
        sys.exit(f"left behind at {step}, {size}: {sorted(there.iterdir())}")
"""


def test_a_disk_that_is_full_at_any_layer_is_told_and_no_half_of_a_twin_is_left(tmp_path: Path) -> None:
    """From each step on no file may be longer than 10 bytes; and then one byte is missing for each of the twin's files in turn."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    sizes = {p.stat().st_size for p in (tmp_path / "whole").rglob("*") if p.is_file()}
    assert len(told) == 2 * (len(STEPS) + len(sizes))
    for line in told:
        assert "the twin was not written: [Errno 27] File too large" in line
        assert "free some space or choose another folder" in line
    layers = {line.partition(": '")[2].partition("'")[0] for line in told}
    assert layers >= {"elevation.tif", "waters.parquet", "edges.parquet", "buildings.parquet", "zones.parquet", "manifest.json"}
    open_twin(tmp_path / "whole", verify=True)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    dem = write_terrain(tmp_path / "dem.tif")
    with pytest.raises(Unavailable, match="cannot be made"):
        build_twin(dem / "twin", elevation=dem, created=CREATED)
    with pytest.raises(Unavailable, match="was not written"):
        build_twin(tmp_path / ("x" * 250), elevation=dem, created=CREATED, name="x")
    with pytest.raises(InputError, match="not the root"):
        build_twin(Path("/"), elevation=dem, created=CREATED, name="x")


# Opened again


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return build(tmp_path / "twin", **everything(tmp_path / "files")).folder


def every_file() -> list[str]:
    return [
        "assets/hospitals.parquet", "buildings.parquet", "fields/elevation.tif", "fields/manning.tif", "fields/population_day.tif",
        "fields/population_night.tif", "gauges.parquet", "lines.parquet", "roads/edges.parquet", "roads/nodes.parquet",
        "waters.parquet", "zones.parquet",
    ]  # fmt: skip


def test_the_list_of_files_is_complete(whole: Path) -> None:
    assert sorted(read_manifest(whole).files) == every_file()


@pytest.mark.parametrize("name", every_file())
def test_a_file_that_was_changed_does_not_verify(name: str, whole: Path) -> None:
    data = bytearray((whole / name).read_bytes())
    data[len(data) // 2] ^= 1
    (whole / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}.*the file was changed"):
        open_twin(whole, verify=True)


@pytest.mark.parametrize("name", every_file())
def test_a_file_that_is_missing_is_told_at_once(name: str, whole: Path) -> None:
    (whole / name).unlink()
    with pytest.raises(InputError, match=f"{name}: is missing from the twin"):
        open_twin(whole)


@pytest.mark.parametrize("name", every_file())
def test_a_file_that_is_rubbish_is_told_when_it_is_read(name: str, whole: Path) -> None:
    (whole / name).write_bytes(b"rubbish")
    twin = open_twin(whole)
    read: Callable[[], Any] = {
        "assets": lambda: twin.assets("hospitals"),
        "buildings.parquet": lambda: twin.assets("buildings"),
        "fields": lambda: twin.field(Path(name).stem),
        "gauges.parquet": lambda: twin.gauges,
        "lines.parquet": lambda: twin.lines,
        "roads": lambda: twin.roads,
        "waters.parquet": lambda: twin.waters,
        "zones.parquet": lambda: twin.zones,
    }[name.split("/")[0]]
    with pytest.raises(InputError, match=f"{re.escape(name)}.*build the twin again"):
        read()


def test_a_file_that_came_later_does_not_verify_and_is_not_read(whole: Path) -> None:
    shutil.copy(whole / "fields" / "elevation.tif", whole / "fields" / "secret.tif")
    assert "secret" not in open_twin(whole).field_names()
    with pytest.raises(InputError, match=r"secret\.tif: is not in the manifest"):
        open_twin(whole, verify=True)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"format": 1', '"format": 2', "format 2; this version of Tocsin reads format 1"),
        ('"cell_m": 50.0', '"cell_m": -50.0', "cannot be read"),
        ('"rows": 20', '"rows": "many"', "cannot be read"),
        ('"made_up"', '"made_down"', "missing required field `made_up`"),
        ('"zones.parquet"', '"../zones.parquet"', "names a file outside the twin"),
        ('"zones.parquet"', '"/etc/passwd"', "names a file outside the twin"),
        ("{", "", "cannot be read"),
        ("Shoreham", "\udcff", "cannot be read"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(before: str, after: str, says: str, whole: Path) -> None:
    path = whole / "manifest.json"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1), errors="surrogateescape")
    with pytest.raises(InputError) as caught:
        open_twin(whole)
    assert says in str(caught.value)
