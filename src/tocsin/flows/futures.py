"""Know, many times over: futures that are run once, kept in a folder, gone on with, and used by every comparison after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

import msgspec

from tocsin import __version__
from tocsin.decision.futures import FAILED_SHARE_MOST, Failure, Foreseen, draw, foreseen_of, play_each, refuse_too_many
from tocsin.flows.information import ForecastResult, model_of
from tocsin.host import Compute
from tocsin.pack import Scenario, find_pack
from tocsin.platform.compute import LocalCompute
from tocsin.platform.futures import FuturesFolder, StoredFutures, manifest_of
from tocsin.platform.twin import Twin
from tocsin.vocabulary import InputError, Member, Unavailable


class Kept(msgspec.Struct, frozen=True):
    """What a folder of futures holds: how many are done of how many, which failed and why, and of which hazard they are."""

    folder: str
    done: int
    members: int
    failed: tuple[Failure, ...]
    hazard: str


def run_futures(
    twin: Twin,
    hazard: str,
    scenario: Scenario,
    folder: Path,
    *,
    time: datetime,
    model: str = "",
    asked: Mapping[str, str] | None = None,
    compute: Compute | None = None,
    failed_share_most: float = FAILED_SHARE_MOST,
    on_done: Callable[[int, int], None] | None = None,
) -> Kept:
    """Run the futures of a scenario into a folder, each kept when it is done; those that it has already are not run again.

    Stop it when you like (an exception from `on_done`, Ctrl-C, a crash): the folder is whole, and the same call goes on. No more results are
    in memory than are being computed. Raises where more than `failed_share_most` of the futures fail.
    """
    pack = find_pack(hazard)
    chosen = model_of(pack, model)
    world = twin.world(time)
    futures = draw(chosen, scenario)
    manifest = manifest_of(
        version=__version__,
        twin=twin.manifest.name,
        twin_digest=twin.digest,
        made_up=world.made_up,
        hazard=hazard,
        model=chosen,
        scenario=scenario,
        asked=asked or {},
        now=time,
        grid=world.grid,
    )
    tell = on_done or (lambda _done, _total: None)
    with FuturesFolder(folder, manifest) as kept:
        total = len(futures)
        missing = [future for future in futures if future.number not in kept.done and future.number not in kept.failed]
        tell(total - len(missing), total)
        with closing(play_each(world, chosen, [(future, ()) for future in missing], compute or LocalCompute())) as runs:
            for place, came in runs:
                future = missing[place]
                if isinstance(came, Member):
                    kept.add(future.number, future.seed, came)
                else:
                    kept.add_failed(future.number, future.seed, str(came.error))
                    refuse_too_many(_failures(kept), total, came.error, failed_share_most)
                tell(len(kept.done) + len(kept.failed), total)
        return Kept(str(folder), len(kept.done), kept.manifest.scenario.members, tuple(_failures(kept)), hazard)


def kept_in(folder: Path) -> Kept:
    """What a folder of futures holds; raises NotFound where it holds none."""
    stored = StoredFutures(folder)
    return Kept(str(folder), len(stored.done), stored.manifest.scenario.members, tuple(_failures(stored)), stored.manifest.hazard)


def open_futures(twin: Twin, folder: Path, *, hazard: str = "") -> ForecastResult:
    """The futures of a folder as a forecast, those that are done of them. Raises InputError where they are of another twin or hazard."""
    stored = StoredFutures(folder)
    manifest = stored.manifest
    if manifest.twin_digest != twin.digest:
        raise InputError(
            f"{folder}: futures of the twin {manifest.twin!r} as it was then, not of {twin.folder}; run them again for this one"
        )
    if hazard and hazard != manifest.hazard:
        raise InputError(
            f"{folder}: futures of {manifest.hazard}, wanted {hazard}: give --hazard {manifest.hazard} or another folder"
        )
    if not stored.done:
        raise Unavailable(f"{folder}: no future is done yet; run `tocsin futures run` on")
    pack = find_pack(manifest.hazard)
    model = model_of(pack, manifest.model)
    futures = draw(model, manifest.scenario)
    wrong = [n for n, line in stored.done.items() if futures[n].seed != line.seed]
    if wrong:
        raise InputError(
            f"{folder}: future {wrong[0]} has another seed than its scenario gives; do not use it, run the futures again"
        )
    members = {number: stored.member(number) for number in sorted(stored.done)}
    seen: Foreseen = foreseen_of(model, manifest.scenario, futures, members, (), _failures(stored))
    return ForecastResult(
        manifest.twin, pack, model, manifest.scenario, dict(manifest.asked), twin.world(manifest.world_time), seen
    )


def _failures(kept: FuturesFolder | StoredFutures) -> list[Failure]:
    return [Failure(line.number, line.seed, line.failed) for _, line in sorted(kept.failed.items())]
