"""tocsin futures: run a hazard on many futures, stop and go on, keep them for every comparison after."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import STOPPED, AsJson, desk

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.futures import Kept
    from tocsin.platform.futures import FuturesManifest

app = typer.Typer(
    help="Many futures of a hazard: run, stop, go on, and keep them for `tocsin plan compare`.", no_args_is_help=True
)

ComputeOption = Annotated[
    str,
    typer.Option(
        "--compute",
        help="Where futures are computed: threads, processes, or a Dask scheduler's address (tcp://HOST:8786).",
        metavar="WHERE",
    ),
]
FAILED_SHOWN = 5


@app.command("run")
def run(
    twin: Annotated[Path, typer.Argument(help="The twin's folder, from `tocsin twin build`.", metavar="TWIN")],
    scenario: Annotated[
        Path, typer.Option(help="The scenario: what is coming and how well that is known, as TOML.", metavar="STORM.toml")
    ],
    save: Annotated[Path, typer.Option(help="Folder for the futures; one that has some is gone on with.", metavar="FOLDER")],
    hazard: Annotated[
        str, typer.Option(help="The hazard: any installed pack. Default: the scenario's, else flood.", metavar="NAME")
    ] = "",
    members: Annotated[
        int | None,
        typer.Option(
            help="How many futures. More than last time keeps those that are there. Default: the scenario's.", min=1, max=100_000
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the futures. Default: the scenario's.", min=0)] = None,
    sheltered: Annotated[
        Path | None,
        typer.Option(
            help="Futures of another hazard: whom each of them drives into shelters is crowded there in the future of the same number. Default: none.",
            metavar="FOLDER",
        ),
    ] = None,
    shelter_share: Annotated[
        float, typer.Option(help="Of those in danger, the share who ask for a public shelter.", min=0.0, max=1.0)
    ] = 0.15,
    stay: Annotated[str, typer.Option(help="How long they stay, with a unit.", metavar="SPAN")] = "7d",
    compute: ComputeOption = "threads",
    as_json: AsJson = False,
) -> None:
    """Run a scenario's futures into a folder. Ctrl-C keeps what is done; the same command goes on.

    Example: tocsin futures run my-city --scenario storm.toml --members 200 --save futures
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows.futures import kept_in, run_futures
        from tocsin.flows.information import model_of
        from tocsin.host import WallClock
        from tocsin.interfaces.storm import read_storm, scenario_from, words_of
        from tocsin.pack import find_pack
        from tocsin.platform.compute import open_compute
        from tocsin.platform.twin import open_twin
        from tocsin.vocabulary import InputError

        storm = read_storm(scenario)
        if hazard and storm.hazard and hazard != storm.hazard:
            raise InputError(f"{scenario}: is a scenario of {storm.hazard}, --hazard says {hazard}; give one of the two")
        which = hazard or storm.hazard or "flood"
        place, now = open_twin(twin), WallClock().now()
        model = model_of(find_pack(which), storm.model)
        asked = scenario_from(
            storm, place.world(now), model, where=str(scenario), folder=scenario.parent, members=members, seed=seed
        )
        words = words_of(storm, asked, scenario.name)
        if sheltered is not None:
            from tocsin.flows.sheltered import with_sheltered
            from tocsin.interfaces.units import duration_s

            asked = with_sheltered(
                place, asked, model, sheltered, share=shelter_share, stay_d=duration_s(stay, "--stay") / 86_400.0
            )
            words |= {"sheltered": f"{sheltered.name}, {shelter_share:g} of those in danger, for {stay}"}
        began = time.perf_counter()
        with open_compute(compute) as where:
            try:
                kept = run_futures(
                    place,
                    which,
                    asked,
                    save,
                    time=now,
                    model=storm.model,
                    asked=words,
                    compute=where,
                    on_done=lambda done, total: at.progress("futures", done, total),
                )
            except KeyboardInterrupt:
                kept = kept_in(save)
                at.fail(
                    "Stopped",
                    f"stopped: {kept.done} of {asked.members} futures are in {save}; the same command goes on with them",
                )
                raise typer.Exit(STOPPED) from None
        run_s = time.perf_counter() - began
        at.answer(_facts(kept) | {"run_s": round(run_s, 3)}, lambda console: _tell(console, kept, run_s))


@app.command("show")
def show(
    folder: Annotated[Path, typer.Argument(help="A folder from `tocsin futures run`.", metavar="FOLDER")],
    verify: Annotated[bool, typer.Option("--verify", help="Hold the fields of each future to its digest. Default: not.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a folder of futures holds: of which twin, from which scenario, how many are done. Example: tocsin futures show futures"""
    with desk(as_json=as_json) as at:
        import msgspec

        from tocsin.flows.futures import kept_in
        from tocsin.platform.futures import StoredFutures
        from tocsin.vocabulary import InputError

        stored, kept = StoredFutures(folder), kept_in(folder)
        if verify and (broken := stored.broken()):
            raise InputError(
                f"{folder}: the fields of futures {', '.join(map(str, broken[:10]))} are not what their digests say; run it on to mend them"
            )
        manifest = stored.manifest
        spreads = {name: msgspec.to_builtins(spread) for name, spread in manifest.scenario.knobs.items()}
        facts = _facts(kept) | {
            "twin": manifest.twin,
            "twin_digest": manifest.twin_digest,
            "made_up": manifest.made_up,
            "hazard": manifest.hazard,
            "model": manifest.model,
            "source": manifest.source,
            "tocsin": manifest.tocsin,
            "begun": manifest.begun,
            "seed": manifest.scenario.seed,
            "sampling": manifest.scenario.sampling,
            "duration_s": manifest.scenario.duration_s,
            "asked": manifest.asked,
            "knobs": spreads,
            "analogues": [{"name": a.name, "share": a.share, "source": a.source} for a in manifest.scenario.analogues],
            "verified": len(stored.done) if verify else 0,
        }
        at.answer(facts, lambda console: _tell_folder(console, manifest, kept))


def _facts(kept: Kept) -> dict[str, Any]:
    return {
        "folder": kept.folder,
        "done": kept.done,
        "members": kept.members,
        "failed": [{"number": f.number, "seed": f.seed, "reason": f.reason} for f in kept.failed],
    }


def _tell(console: Console, kept: Kept, run_s: float | None = None) -> None:
    console.print(f"{kept.done} of {kept.members} futures are in {kept.folder}{'' if run_s is None else f', {run_s:.1f} s'}")
    for failure in kept.failed[:FAILED_SHOWN]:
        console.print(f"failed: {failure.words()}")
    if len(kept.failed) > FAILED_SHOWN:
        console.print(f"and {len(kept.failed) - FAILED_SHOWN} more failed (--json lists all)")


def _tell_folder(console: Console, manifest: FuturesManifest, kept: Kept) -> None:
    from tocsin.vocabulary.units import lasting

    mark = "  MADE UP" if manifest.made_up else ""
    scenario = manifest.scenario
    console.print(
        f"{manifest.twin}{mark}: {manifest.hazard} over {lasting(scenario.duration_s)}, seed {scenario.seed}, {scenario.sampling}",
        style="bold",
    )
    _tell(console, kept)
    for name, text in manifest.asked.items():
        console.print(f"{name}: {text}")
    for name, s in scenario.knobs.items():
        if s.low < s.high:
            spread = f", sd {s.sd:g}" if s.sd else ""
            console.print(f"uncertain: {name} {s.shape} {s.low:g} .. {s.usual:g} .. {s.high:g}{spread}")
    console.print(
        f"model {manifest.model}, Tocsin {manifest.tocsin}, begun {manifest.begun:%Y-%m-%d %H:%M} UTC; twin {manifest.twin_digest[:16]}..."
    )
