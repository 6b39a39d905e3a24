"""tocsin job: ask a platform for what it did not compute by itself: plans compared, futures run, plans to consider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.interfaces.cli.desk import STOPPED, AsJson, Desk, desk
from tocsin.interfaces.cli.speaking import To, moment, speaks

if TYPE_CHECKING:
    from rich.console import Console

    from tocsin.interfaces.conversation import Conversation

app = typer.Typer(
    help="Ask a platform to compare plans, run futures or look for plans; list what was asked, watch it, stop it.",
    no_args_is_help=True,
)

LOOK_EVERY_S = 1.0

JobId = Annotated[str, typer.Argument(help="The job's number; `job list` tells them.", metavar="JOB")]
ScenarioOption = Annotated[
    Path | None,
    typer.Option(
        help="Scenario file, TOML: docs/guide/futures.md. Default: that of the moment, from the sensors.", metavar="STORM.toml"
    ),
]
FuturesOption = Annotated[
    str, typer.Option(help="Name of futures that were run there, in place of a scenario. Default: none.", metavar="NAME")
]
HourOption = Annotated[
    float | None,
    typer.Option(help="Hour of the local day, h: it says where people are. Default: the hour that it is.", min=0.0, max=24.0),
]
WatchOption = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Wait until it is done and print what came of it. Default: only begin; with a data folder it always waits.",
    ),
]


@app.command("list")
@speaks
def list_jobs(to: To, as_json: AsJson = False) -> None:
    """List what was asked, newest first, and the futures that are kept. Example: tocsin job list http://127.0.0.1:8765 --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        told = {"jobs": platform.get("jobs"), "futures": platform.get("futures")}

        def text(console: Console) -> None:
            for job in told["jobs"]:
                console.print(_line(job))
            if not told["jobs"]:
                console.print("Nothing was asked yet.")
            for kept in told["futures"]:
                failed = f", {kept['failed']} failed" if kept["failed"] else ""
                console.print(f"futures {kept['name']} ({kept['hazard']}): {kept['done']} of {kept['members']}{failed}")

        at.answer(told, text)


@app.command("show")
@speaks
def show(to: To, job: JobId, as_json: AsJson = False) -> None:
    """Show how far a job is, and what came of it. Example: tocsin job show http://127.0.0.1:8765 3 --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        _answer(at, platform, platform.get("jobs", job))


@app.command("watch")
@speaks
def watch(to: To, job: JobId, as_json: AsJson = False) -> None:
    """Follow a job until it is over, then print what came of it. Ctrl-C leaves it running. Example: tocsin job watch http://127.0.0.1:8765 3 --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        _answer(at, platform, _watched(at, platform, platform.get("jobs", job)))


@app.command("stop")
@speaks
def stop(to: To, job: JobId, as_json: AsJson = False) -> None:
    """Stop a job at its next step; who did is a line in the log. Example: tocsin job stop http://127.0.0.1:8765 3 --as ada"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        told = platform.post("jobs", job, "cancel")
        at.answer(told, lambda console: console.print(f"job {job} stops at its next step"))


@app.command("scenario")
@speaks
def scenario(to: To, as_json: AsJson = False) -> None:
    """Print the scenario of the moment as TOML, to be changed and given back. Example: tocsin job scenario http://127.0.0.1:8765 --as ada > storm.toml"""
    with desk(as_json=as_json) as at, to.speaking() as platform:
        told = platform.get("scenario", **to.about)
        if told["why_not_now"]:
            at.note(f"an empty scenario to start from: {told['why_not_now']}")
        at.answer(told, lambda console: console.out(told["toml"], end="", highlight=False))


@app.command("compare")
@speaks
def compare(
    to: To,
    plan: Annotated[
        list[str] | None,
        typer.Argument(help="Plans on the platform's table by name. Default: all that are on it.", metavar="PLAN"),
    ] = None,
    scenario: ScenarioOption = None,
    futures: FuturesOption = "",
    hour: HourOption = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            help="Hard limits for this comparison alone; several times. Default: those that hold in the platform.",
            metavar="LIMIT",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Try every plan in every future, also where the choice is sure. Default: stop when it is."),
    ] = False,
    watch: WatchOption = False,
    as_json: AsJson = False,
) -> None:
    """Compare plans on a scenario or on futures that were run; it stands beside the assessment, under your name.

    Example: tocsin job compare http://127.0.0.1:8765 evacuate warn --scenario storm.toml --as ada --watch
    """
    with desk(as_json=as_json) as at:
        asked = _asked(scenario, futures, hour)
        body: dict[str, Any] = {"plans": plan or [], "all": everything} | ({"limits": limit} if limit else {})
        _begin(at, to, "compare", asked, body, watch=watch)


@app.command("futures")
@speaks
def run_futures(
    to: To,
    name: Annotated[
        str, typer.Argument(help="What they are to be called; the same name goes on with what is there.", metavar="NAME")
    ],
    scenario: ScenarioOption = None,
    watch: WatchOption = False,
    as_json: AsJson = False,
) -> None:
    """Run the futures of a scenario in the platform and keep them under a name, to be compared on again and again.

    Example: tocsin job futures http://127.0.0.1:8765 storm-20y --scenario storm.toml --as ada --watch
    """
    with desk(as_json=as_json) as at:
        _begin(at, to, "futures", _asked(scenario, "", None), {"name": name}, watch=watch)


@app.command("suggest")
@speaks
def suggest(
    to: To,
    scenario: ScenarioOption = None,
    futures: FuturesOption = "",
    hour: HourOption = None,
    watch: WatchOption = False,
    as_json: AsJson = False,
) -> None:
    """Look for plans to consider; they are on no table until somebody saves one (`job show --json` has each as TOML).

    Example: tocsin job suggest http://127.0.0.1:8765 --futures storm-20y --as ada --watch
    """
    with desk(as_json=as_json) as at:
        _begin(at, to, "suggest", _asked(scenario, futures, hour), {}, watch=watch)


def _asked(scenario: Path | None, futures: str, hour: float | None) -> dict[str, Any]:
    """What the request says of the futures; nothing where those of the moment are meant."""
    from tocsin.interfaces.files import read_bounded
    from tocsin.interfaces.storm import STORM_BYTES_MAX
    from tocsin.vocabulary import InputError

    if scenario is not None and futures:
        raise InputError("--scenario and --futures: futures have a scenario of their own; give one of the two")
    asked: dict[str, Any] = {"futures": futures} if futures else {}
    if scenario is not None:
        try:
            asked = {"scenario": read_bounded(scenario, STORM_BYTES_MAX).decode()}
        except UnicodeDecodeError as fault:
            raise InputError(f"{scenario}: byte {fault.start} is not UTF-8 text; wanted a scenario as TOML") from fault
    return asked if hour is None else asked | {"hour": hour}


def _begin(at: Desk, to: To, kind: str, asked: dict[str, Any], body: dict[str, Any], *, watch: bool) -> None:
    from tocsin.vocabulary import InputError

    with to.speaking() as platform:
        if not asked.keys() & {"scenario", "futures"}:
            moment_now = platform.get("scenario", **to.about)
            if moment_now["why_not_now"]:
                raise InputError(
                    f"no scenario of the moment: {moment_now['why_not_now']}; give --scenario (`job scenario` prints one to start from)"
                )
            asked = asked | {"scenario": moment_now["toml"]}
        job = platform.post("jobs", kind, body=asked | body | to.about)
        if watch or platform.own:
            _answer(at, platform, _watched(at, platform, job))
        else:
            at.answer(
                job, lambda console: console.print(f"job {job['id']} has begun: {job['asked']}; `tocsin job watch` follows it")
            )


def _watched(at: Desk, platform: Conversation, job: dict[str, Any]) -> dict[str, Any]:
    """The job when it is over. Ctrl-C leaves it running; one of a data folder ends with the command."""
    said = ""
    try:
        while job["state"] == "running":
            at.progress(job["task"] or job["kind"], job["done"], job["total"])
            if (best := _so_far(job)) and best != said:
                said = best
                at.note(best)
            platform.pause(LOOK_EVERY_S)
            job = platform.get("jobs", job["id"])
    except KeyboardInterrupt:
        what = "is cancelled" if platform.own else f"goes on; `tocsin job stop {platform.where} {job['id']}` ends it"
        at.fail("Stopped", f"stopped watching: job {job['id']} {what}")
        raise typer.Exit(STOPPED) from None
    return job


def _so_far(job: dict[str, Any]) -> str:
    result = job["result"]
    if "recommended" not in result:
        return ""
    return f"after {result['tried']} of {result['futures']} futures {result['recommended']!r} leads"


def _answer(at: Desk, platform: Conversation, job: dict[str, Any]) -> None:
    """Print a job with what came of it; exit code 1 where it failed or was cancelled."""
    comparison = job["result"].get("comparison")
    compared = platform.get("comparisons", comparison) if isinstance(comparison, str) else None
    at.answer(job | ({} if compared is None else {"comparison": compared}), lambda console: _tell(console, job, compared))
    if job["state"] in ("failed", "cancelled"):
        raise typer.Exit(1)


def _tell(console: Console, job: dict[str, Any], compared: dict[str, Any] | None) -> None:
    from tocsin.interfaces.cli.ranking import tell_choice

    console.print(_line(job), style="bold")
    result = job["result"]
    if compared is not None:
        console.print(f"on {compared['futures']} futures of {result['futures']}: {compared['id']}\n")
        tell_choice(console, compared)
    elif "suggested" in result:
        for one in result["suggested"]:
            console.print(f"[{one['origin']}] {one['plan']['name']}: {one['why']}")
        console.print(
            "none"
            if not result["suggested"]
            else "`tocsin job show --json` has each as TOML; `tocsin library save` puts one on the table"
        )
    elif "recommended" in result:
        console.print(f"{_so_far(job)}. {result['reason']} {result['doubt']}")
    elif job["kind"] == "futures" and job["state"] == "done":
        failed = f", {result['failed']} failed" if result["failed"] else ""
        console.print(
            f"futures {result['futures']}: {result['done']} are kept{failed}; compare on them with --futures {result['futures']}"
        )


def _line(job: dict[str, Any]) -> str:
    at = {"running": f"{job['task'] or 'begins'} {job['done']} of {job['total']}", "failed": f"failed: {job['why']}"}
    return f"{job['id']:>4}  {job['kind']:<8} {at.get(job['state'], job['state'])}; {job['asked']}, by {job['by']}, {moment(job['began'])}"
