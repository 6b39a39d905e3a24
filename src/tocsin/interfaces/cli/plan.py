"""tocsin plan: the plans that there are for a place, and how each would do on the same futures."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import AsJson, desk
from tocsin.interfaces.cli.futures import ComputeOption
from tocsin.interfaces.cli.scenario import Asked, scenario_of, takes_scenario

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.flows.plan_files import PlanFile
    from tocsin.flows.plan_trials import Trials
    from tocsin.pack import Plan
    from tocsin.platform.twin import Twin

app = typer.Typer(help="Response plans as data: list, show, check and compare them on the same futures.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="The twin's folder, from `tocsin twin build`.", metavar="FOLDER")]
Hazard = Annotated[str, typer.Option(help="The hazard: any installed pack.", metavar="NAME")]
PLAN_BYTES_MAX = 2**20


class Step(StrEnum):
    """The warning levels that a comparison may start from."""

    NONE = "none"
    BLUE = "blue"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"


@app.command("list")
def list_plans(folder: Folder, hazard: Hazard = "flood", as_json: AsJson = False) -> None:
    """List the pack's own plans, fitted to a place. Example: tocsin plan list my-city"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.decision import own_plans

        found = own_plans(_world(_open(folder)), hazard)
        rows = [
            {"name": p.name, "summary": p.summary, "level": p.level.word, "actions": len(p.actions), "digest": p.digest()}
            for p in found.values()
        ]

        def text(console: Console) -> None:
            for plan in found.values():
                console.print(f"{plan.name} (from {plan.level.word}, {len(plan.actions)} actions): {plan.summary}")

        at.answer(rows, text)


@app.command("show")
def show(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="A plan of the pack by name, or a plan TOML file.", metavar="NAME")],
    toml: Annotated[
        bool, typer.Option("--toml", help="Print it as TOML, to be changed and compared. Default: text for people.")
    ] = False,
    hazard: Hazard = "flood",
    as_json: AsJson = False,
) -> None:
    """Show what a plan would do. Example: tocsin plan show my-city evacuate --toml"""
    with desk(as_json=as_json) as at:
        import msgspec

        from tocsin.flows.plan_files import plan_to_toml

        plan = _plans(_open(folder), hazard, [name])[0].plan
        if toml and not as_json:
            sys.stdout.write(plan_to_toml(plan))
            return
        facts = msgspec.to_builtins(plan) | {"digest": plan.digest()} | ({"toml": plan_to_toml(plan)} if toml else {})
        at.answer(facts, lambda console: _tell_plan(console, plan))


@app.command("check")
def check(
    folder: Folder,
    plan: Annotated[str, typer.Argument(help="A plan TOML file, or a plan of the pack by name.", metavar="PLAN")],
    hazard: Hazard = "flood",
    as_json: AsJson = False,
) -> None:
    """Check that a plan could be carried out in a place. Exit code 1 where it never could. Example: tocsin plan check my-city mine.toml"""
    with desk(as_json=as_json) as at:
        from tocsin.flows.decision import check as check_plan

        twin = _open(folder)
        file = _plans(twin, hazard, [plan])[0]
        check_plan(file, _world(twin))
        found = file.plan
        facts = {"ok": True, "name": found.name, "actions": len(found.actions), "digest": found.digest()}
        at.answer(
            facts,
            lambda console: console.print(
                f"{found.name}: {len(found.actions)} actions, can be carried out; digest {found.digest()[:16]}..."
            ),
        )


@app.command("compare")
@takes_scenario(members=50, futures="How many futures each plan is run on.")
def compare(
    folder: Folder,
    asked: Asked,
    plan: Annotated[
        list[str] | None,
        typer.Argument(help="Plan TOML files, or plans of the pack by name. Default: all of the pack's.", metavar="PLAN"),
    ] = None,
    model: Annotated[str, typer.Option(help="The pack's model by name. Default: its first.", metavar="NAME")] = "",
    hour: Annotated[float, typer.Option(help="Hour of the local day, h: it says where people are.", min=0.0, max=24.0)] = 3.0,
    futures: Annotated[
        Path | None,
        typer.Option(
            help="Futures that were run, from `tocsin futures run`; then no scenario is given here. Default: run them now.",
            metavar="FOLDER",
        ),
    ] = None,
    sure: Annotated[
        float, typer.Option(help="How sure the choice has to be before the rest of the futures is left out.", min=0.5, max=0.999)
    ] = 0.95,
    within: Annotated[
        float | None,
        typer.Option(
            help="Plans that differ by fewer persons are alike to the race. Default: a fiftieth of all whom the worst future endangers.",
            metavar="PERSONS",
            min=0.0,
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Try every plan in every future, also where the choice is sure. Default: stop when it is."),
    ] = False,
    sketch: Annotated[
        bool,
        typer.Option(
            "--sketch/--no-sketch",
            help="Where a few futures leave the choice open and the model can sketch itself, sketch all of them first.",
        ),
    ] = True,
    traffic: Annotated[
        bool,
        typer.Option(
            "--traffic",
            help="Let those who leave drive on the twin's streets, with queues and closures: in a city seconds for each plan and future. "
            "Default: streets without limit.",
        ),
    ] = False,
    compute: ComputeOption = "threads",
    warning: Annotated[
        Step, typer.Option(help="The warning level that holds at the start, for plans that ask for it.")
    ] = Step.NONE,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            help="A hard limit, with the share of the futures that may break it (5 % where it is left out): 'people_in_danger@Quay <= 0, 10%', "
            "'hospitals_lost <= 0', 'cost < 100000'; several times. Default: none.",
            metavar="LIMIT",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Write the ranking as a picture for a wall or a report. Default: none.", metavar="OUT.png"),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Write the comparison as JSON, with the harm of each plan in each future. Default: none.", metavar="OUT.json"
        ),
    ] = None,
    hazard: Hazard = "flood",
    as_json: AsJson = False,
) -> None:
    """Run each plan on the same futures and rank the plans, with reasons and doubt.

    Example: tocsin plan compare my-city evacuate mine.toml --level 5.35m@lake --members 50
    """
    with desk(as_json=as_json) as at:
        from contextlib import closing

        from tocsin.decision.compare import Racing
        from tocsin.flows.decision import check as check_plan
        from tocsin.flows.decision import limits_from, race_from_warning, race_plans
        from tocsin.flows.futures import open_futures
        from tocsin.flows.information import model_of
        from tocsin.host import WallClock
        from tocsin.interfaces.cli.ranking import facts, tell
        from tocsin.interfaces.cli.sharpening import Sharpening, race_facts
        from tocsin.interfaces.exports import check_target
        from tocsin.interfaces.files import write_whole
        from tocsin.pack import find_pack
        from tocsin.platform.compute import open_compute
        from tocsin.vocabulary import InputError, Level

        for target in (save, picture):
            if target is not None:
                check_target(target)
        twin, now = _open(folder), WallClock().now()
        world = twin.world(now)
        files = _plans(twin, hazard, plan or [])
        for one in files:
            check_plan(one, world, model)
        plans = [one.plan for one in files]
        limits = limits_from(limit or [], world, hazard, traffic=traffic)
        racing = None if everything else Racing(sure, within, sketch)
        began = time.perf_counter()
        with open_compute(compute) as where, Sharpening(at, len(plans)) as shown:
            if futures is not None:
                if asked.driven or asked.knob:
                    raise InputError("--futures: has its own scenario; leave --drive, --level, --rain, --inflow and --knob out")
                result = open_futures(twin, futures, hazard=hazard)
                rankings = race_plans(
                    result,
                    plans,
                    hour=hour,
                    warning_level=Level[warning.name],
                    limits=limits,
                    traffic=traffic,
                    racing=racing,
                    compute=where,
                    on_progress=shown.progress,
                )
                with closing(rankings):
                    for compared in rankings:
                        shown.ranking(compared)
            else:
                scenario = scenario_of(world, model_of(find_pack(hazard), model), asked)
                at.progress("simulating futures", 0, asked.members)
                both = race_from_warning(
                    twin,
                    hazard,
                    scenario,
                    plans,
                    time=now,
                    model=model,
                    asked=asked.words(),
                    hour=hour,
                    warning_level=Level[warning.name],
                    limits=limits,
                    traffic=traffic,
                    racing=racing,
                    compute=where,
                    on_progress=shown.progress,
                )
                with closing(both):
                    for compared, came in both:
                        shown.ranking(compared)
                        if came is not None:
                            result = came
        run_s = time.perf_counter() - began
        told = facts(result, compared, hour, run_s, traffic=traffic) | race_facts(compared)
        if save is not None:
            import msgspec

            write_whole(save, msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
            at.wrote(save)
        if picture is not None:
            from tocsin.interfaces.ranking_picture import ranking_picture

            write_whole(picture, ranking_picture(told))
            at.wrote(picture)
        at.answer(told, lambda console: tell(console, told))


@app.command("suggest")
@takes_scenario(members=20, futures="How many futures the search chooses from.")
def suggest(
    folder: Folder,
    asked: Asked,
    hour: Annotated[float, typer.Option(help="Hour of the local day, h: it says where people are.", min=0.0, max=24.0)] = 3.0,
    warning: Annotated[
        Step, typer.Option(help="The warning level that holds at the start, for plans that ask for it.")
    ] = Step.NONE,
    look: Annotated[
        int, typer.Option(help="In how many futures the search looks, from the mildest to the worst.", min=1, max=1_000)
    ] = 16,
    runs: Annotated[
        int, typer.Option(help="How many runs of the hazard the search may ask for, for actions on the hazard itself.", min=0)
    ] = 64,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--cases", help="A JSON file of past cases, beside those of the packs; several times. Default: none.", metavar="FILE"
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Write each plan as TOML into this folder, to be changed and compared. Default: none.", metavar="DIR"),
    ] = None,
    hazard: Hazard = "flood",
    as_json: AsJson = False,
) -> None:
    """Suggest plans: put together by a search, spoken for by past cases, and from the pack's library.

    Example: tocsin plan suggest my-city --level 5.35m@lake --save suggested
    """
    with desk(as_json=as_json) as at:
        import msgspec

        from tocsin.flows.cases import CASES_BYTES_MOST, all_cases
        from tocsin.flows.information import foresee, model_of
        from tocsin.flows.plan_files import plan_to_toml
        from tocsin.flows.suggest import suggest as find_candidates
        from tocsin.host import WallClock
        from tocsin.interfaces.files import read_bounded, write_whole
        from tocsin.pack import find_pack
        from tocsin.vocabulary import InputError, Level

        if save is not None and save.exists():
            raise InputError(f"--save {save}: is there already; give a folder that is not")
        twin, now = _open(folder), WallClock().now()
        scenario = scenario_of(twin.world(now), model_of(find_pack(hazard), ""), asked)
        at.progress("simulating futures", 0, asked.members)
        result = foresee(
            twin,
            hazard,
            scenario,
            time=now,
            asked=asked.words(),
            on_done=lambda done, total: at.progress("simulating futures", done, total),
        )
        found = find_candidates(
            result,
            cases=all_cases([(str(path), read_bounded(path, CASES_BYTES_MOST)) for path in file or []]),
            hour=hour,
            warning_level=Level[warning.name],
            futures_most=look,
            runs_most=runs,
            on_progress=at.progress,
        )
        if save is not None:
            save.mkdir(parents=True)
            for one in found:
                path = save / f"{one.plan.name.replace(' ', '-').replace(',', '').replace('/', '-')}.toml"
                write_whole(path, plan_to_toml(one.plan).encode())
                at.wrote(path)
        rows = [msgspec.to_builtins(one) | {"digest": one.plan.digest()} for one in found]

        def text(console: Console) -> None:
            for one in found:
                console.print(f"[{one.origin}] {one.plan.name}: {one.why}")
                if one.origin == "search":
                    console.print(f"    {', then '.join(action.name for action in one.plan.actions)}")
            if not any(one.origin == "search" for one in found):
                console.print("The search found nothing that helps in these futures.")

        at.answer(rows, text)


@app.command("test")
def try_all(
    twin: Annotated[Path, typer.Option(help="The twin's folder, from `tocsin twin build`.", metavar="FOLDER")],
    plan: Annotated[
        list[str] | None,
        typer.Argument(help="Plan TOML files, or plans of the pack by name. Default: all of the pack's.", metavar="PLAN"),
    ] = None,
    scenarios: Annotated[
        Path | None,
        typer.Option(help="A folder of scenario files (*.toml) with what is expected. Default: none.", metavar="FOLDER"),
    ] = None,
    cases: Annotated[bool, typer.Option(help="Run the plans on the pack's cases too; --no-cases leaves them out.")] = True,
    members: Annotated[int, typer.Option(help="How many futures of each case.", min=1, max=10_000)] = 20,
    hours: Annotated[float, typer.Option(help="How long a case is played, h.", min=0.01, max=8_784.0)] = 24.0,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Write what came into the scenario files as what is expected from now on. Default: compare only."
        ),
    ] = False,
    hazard: Hazard = "flood",
    as_json: AsJson = False,
) -> None:
    """Run plans on every stored case and scenario, and compare with what is expected. Exit code 1 where something differs.

    Example: tocsin plan test mine.toml --twin my-city --scenarios scenarios
    """
    with desk(as_json=as_json) as at:
        from tocsin.flows.decision import check as check_plan
        from tocsin.flows.information import model_of
        from tocsin.flows.plan_trials import case_trials, measured, try_plans
        from tocsin.interfaces.trial_files import read_trial, trial_paths, write_expects
        from tocsin.pack import find_pack
        from tocsin.vocabulary import InputError

        place, pack = _open(twin), find_pack(hazard)
        world = _world(place)
        files = _plans(place, hazard, plan or [])
        for one in files:
            check_plan(one, world)
        plans, models = [one.plan for one in files], {"": model_of(pack), **{m.name: m for m in pack.models}}
        played, not_played = case_trials(pack, world, models[""], members=members, hours=hours)
        paths = {} if scenarios is None else {path: read_trial(path, world, models, played) for path in trial_paths(scenarios)}
        trials = [*(played.values() if cases else ()), *paths.values()]
        names = [trial.name for trial in trials]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"scenario {twice[0]!r} is there twice; give each its own name")
        if not trials:
            why = "; ".join(f"{name}: {reason}" for name, reason in not_played.items()) or f"the {hazard} pack has none"
            raise InputError(
                f"nothing to run the plans on: {f'no case can be played here ({why})' if cases else '--no-cases'}; "
                "give --scenarios FOLDER: docs/guide/plans.md shows a scenario file"
            )
        done = try_plans(
            place, hazard, plans, trials, world=world, not_played=not_played if cases else {}, on_progress=at.progress
        )
        if update:
            for path, trial in paths.items():
                write_expects(path, measured(trial, done, plans))
                at.wrote(path)
        at.answer(_trial_facts(done, updated=update), lambda console: _tell_trials(console, done, updated=update))
        if not (done.ok or update):
            raise typer.Exit(1)


def _trial_facts(done: Trials, *, updated: bool) -> dict[str, Any]:
    import msgspec

    return {"ok": done.ok or updated, "updated": updated, **msgspec.to_builtins(done)}


def _tell_trials(console: Console, done: Trials, *, updated: bool) -> None:
    for row in done.results:
        console.print(
            f"{row.trial}: {row.plan}: {row.people_in_danger:,.0f} {done.harmed} on average, "
            f"{row.people_in_danger_worst_tenth:,.0f} in the worst tenth; a part fails in {row.failed_share:.0%}"
        )
    for name, why in done.not_played.items():
        console.print(f"{name}: not played: {why}")
    for one in done.held:
        if not one.holds:
            console.print(f"DIFFERS  {one.trial}: {one.words}", style="bold")
    held = sum(one.holds for one in done.held)
    verdict = "; what came is what is expected from now on" if updated else ""
    console.print(f"{held} of {len(done.held)} expectations hold{verdict}", style="bold")


def _open(folder: Path) -> Twin:
    from tocsin.platform.twin import open_twin

    return open_twin(folder)


def _world(twin: Twin) -> Any:
    from tocsin.host import WallClock

    return twin.world(WallClock().now())


def _plans(twin: Twin, hazard: str, asked: list[str]) -> list[PlanFile]:
    """The plans that were named: a file where there is one of that name or it ends in .toml, else one of the pack's own."""
    from tocsin.flows.decision import own_plans
    from tocsin.flows.plan_files import PlanFile, read_plan
    from tocsin.interfaces.files import read_bounded
    from tocsin.vocabulary import InputError, NotFound

    own = own_plans(_world(twin), hazard)
    found = []
    for name in asked or own:
        if name in own:
            found.append(PlanFile(own[name]))
        elif name.lower().endswith(".toml") or Path(name).is_file():
            try:
                text = read_bounded(Path(name), PLAN_BYTES_MAX).decode()
            except UnicodeDecodeError as fault:
                raise InputError(f"{name}: byte {fault.start} is not UTF-8 text; wanted a plan as TOML") from fault
            file = read_plan(text, where=name)
            if file.plan.hazard != hazard:
                raise InputError(f"{name}: is a plan for {file.plan.hazard!r}; wanted {hazard!r}: give --hazard")
            found.append(file)
        else:
            raise NotFound(f"plan {name!r}: is no file and no plan of the {hazard} pack here; there are: {', '.join(own)}")
    return found


def _tell_plan(console: Console, plan: Plan) -> None:
    console.print(f"{plan.name}: {plan.summary}", style="bold")
    console.print(f"{plan.hazard}, from {plan.level.word}, decided by the {plan.authority}; digest {plan.digest()[:16]}...")
    if plan.resources:
        console.print(f"resources: {', '.join(f'{count} {name}' for name, count in plan.resources.items())}")
    for name, substitutes in plan.substitutes.items():
        console.print(f"for a missing {name}: {', then '.join(f'{s.rate:g} {s.use}' for s in substitutes)}")
    for level in plan.levels:
        enter = f"when {level.enter}" if level.enter else "by the decision"
        agrees = ", by itself" if level.automatic else f", if the {level.authority} agrees" if level.enter else ""
        leave = f"; left when {level.leave}" if level.leave else ""
        console.print(f"level {level.name} ({level.level.word}): entered {enter}{agrees}{leave}")
    for number, action in enumerate(plan.actions, 1):
        d = action.duration
        console.print(
            f"\n{number}. {action.name} ({action.role}, {d.low_min:g} to {d.high_min:g} min, usually {d.usual_min:g})",
            style="bold",
        )
        console.print(f"   {action.do}")
        if action.after:
            console.print(f"   after: {', '.join(action.after)}")
        for words, text in (
            ("called by level", action.level),
            ("only while", action.when),
            ("cancelled when", action.cancel),
            ("where it fails", action.otherwise),
        ):
            if text:
                console.print(f"   {words}: {text}")
        if action.needs:
            console.print(f"   needs: {', '.join(f'{count} {name}' for name, count in action.needs.items())}")
        for effect in action.effects:
            console.print(f"   effect: {effect.verb} {effect.target} {effect.amount:g}")
        if action.cost:
            console.print(f"   cost: {action.cost:,.0f} {plan.currency}")
    for basis in plan.basis:
        console.print(f"\nrests on: {basis}")
