"""What a person asks the running platform to compute: futures of a scenario, plans compared on them, plans to consider.

The same functions as the commands call, as background jobs; what comes of them is in the ledger under the person's name, beside the
automatic assessment and never in its place.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from tocsin.decision.compare import Compared, Racing
from tocsin.decision.impact import impact
from tocsin.flows.centre import Centre
from tocsin.flows.decision import check, limits_from, race_from_warning, race_plans
from tocsin.flows.futures import kept_in, open_futures, run_futures
from tocsin.flows.hazard_watch import HazardWatch, RankedPlan
from tocsin.flows.information import ForecastResult, foresee, frame_times_s
from tocsin.flows.jobs import Job, Work
from tocsin.flows.plan_files import plan_to_toml
from tocsin.flows.suggest import suggest
from tocsin.pack import Plan, Scenario
from tocsin.pack.places import places_of
from tocsin.platform.twin import local_hour
from tocsin.security.actor import Actor
from tocsin.vocabulary import Comparison, InputError, Note, NotFound, TocsinError

FUTURES = "futures"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MEMBERS_MOST = 500  # of one job: more belongs on a machine of its own, with `tocsin futures run`
PLANS_MOST = 30


class Ask(msgspec.Struct, frozen=True):
    """What is to be computed: a scenario in the words of who asked, or the name of futures that were run; of a hazard, at an hour of the local day."""

    hazard: str
    scenario: Scenario | None
    words: Mapping[str, str]
    futures: str = ""
    hour: float | None = None

    def told(self) -> str:
        """In a line."""
        if self.scenario is None:
            return f"the futures {self.futures!r}"
        return f"{self.scenario.members} futures: {', '.join(f'{name} {value}' for name, value in self.words.items())}"


def start_futures(centre: Centre, actor: Actor, ask: Ask, *, name: str) -> Job:
    """Run the futures of a scenario into a folder of the platform, to be compared on; the same name goes on with what is there."""
    scenario, watch = _scenario(ask), centre.watch(ask.hazard)
    _asked_of(centre, ask)
    if not NAME.fullmatch(name):
        raise InputError(f"futures: name = {name[:70]!r}; wanted 1 to 64 letters, digits and . _ -, as storm-20y")
    folder = centre.folder / FUTURES / name

    def work(job: Work) -> Mapping[str, Any]:
        job.tell("futures", 0, scenario.members)
        kept = run_futures(
            centre.twin,
            watch.hazard,
            scenario,
            folder,
            time=centre.host.clock.now(),
            asked=dict(ask.words),
            compute=centre.host.compute,
            on_done=lambda done, total: job.tell("futures", done, total),
        )
        result = open_futures(centre.twin, folder)
        forecast_id = _record(centre, actor, result, (note_id,), ask)
        return {"futures": name, "done": kept.done, "failed": len(kept.failed), "forecast": forecast_id}

    note_id = _begin(centre, actor, f"asked for {ask.told()}, to be kept as {name!r}")
    return centre.jobs.start(FUTURES, ask.told(), actor.name, work)


def start_comparison(
    centre: Centre,
    actor: Actor,
    ask: Ask,
    *,
    plans: Sequence[str] = (),
    limits: Sequence[str] | None = None,
    everything: bool = False,
) -> Job:
    """Compare plans by name (none: all that are on the table) on a scenario or on futures that were run, under limits of its own or those that hold.

    A race stops where the choice is sure; `everything` tries each plan in each future all the same.
    """
    centre.host.gate.permit(actor, "write comparison", centre.twin.manifest.name)
    world, watch = centre.world(), centre.watch(ask.hazard)
    chosen = _plans(watch, plans)
    for plan in chosen:
        check(plan, world)
    held = watch.limits_in(world) if limits is None else limits_from(limits, world, watch.hazard)
    racing = None if everything else Racing()
    level = centre.common.level(ask.hazard)
    folder = _asked_of(centre, ask)

    def work(job: Work) -> Mapping[str, Any]:
        now = centre.host.clock.now()
        hour = local_hour(world, now) if ask.hour is None else ask.hour
        result: ForecastResult | None = None
        both: Generator[tuple[Compared, ForecastResult | None], None, None]
        if ask.scenario is None:
            result = open_futures(centre.twin, folder, hazard=ask.hazard)
            both = (
                (c, None)
                for c in race_plans(
                    result,
                    chosen,
                    hour=hour,
                    warning_level=level,
                    limits=held,
                    racing=racing,
                    compute=centre.host.compute,
                    on_progress=job.tell,
                )
            )
        else:
            frames = frame_times_s(ask.scenario.duration_s, ask.scenario.members, centre.twin.grid.cells, centre.frame_step_s)
            both = race_from_warning(
                centre.twin,
                ask.hazard,
                ask.scenario,
                chosen,
                time=now,
                asked=dict(ask.words),
                hour=hour,
                warning_level=level,
                limits=held,
                racing=racing,
                frame_s=frames,
                compute=centre.host.compute,
                on_progress=job.tell,
            )
        with closing(both):
            for compared, came in both:
                result = came or result
                job.show(_so_far(compared))
        if result is None:
            raise InputError("compare: no future could be played; look at what failed, and ask again")
        forecast_id = _record(centre, actor, result, (note_id,), ask)
        record = Comparison(
            time=centre.host.clock.now(),
            subject=f"{watch.hazard}, asked by {actor.name}",
            cause=(forecast_id, *list(centre.board.limits)[-1:]) if limits is None else (forecast_id,),
            forecast=forecast_id,
            futures=compared.tried,
            scores=compared.scores,
            recommended=compared.recommended,
            reason=compared.reason,
            doubt=compared.doubt,
            choice=compared.choice,
        )
        comparison_id = watch.compared(actor, record, compared)
        return _so_far(compared) | {"forecast": forecast_id, "comparison": comparison_id}

    names = ", ".join(plan.name for plan in chosen)
    note_id = _begin(centre, actor, f"asked to compare {names} on {ask.told()}")
    return centre.jobs.start("compare", f"{len(chosen)} plans on {ask.told()}", actor.name, work)


def start_suggestion(centre: Centre, actor: Actor, ask: Ask) -> Job:
    """Look for plans to consider: by a search, from past cases, from the library. They are a proposal, and on no table until somebody saves one."""
    centre.host.gate.permit(actor, "write comparison", centre.twin.manifest.name)
    level = centre.common.level(ask.hazard)
    folder = _asked_of(centre, ask)

    def work(job: Work) -> Mapping[str, Any]:
        from tocsin.flows.cases import all_cases

        now = centre.host.clock.now()
        if ask.scenario is None:
            result = open_futures(centre.twin, folder, hazard=ask.hazard)
        else:
            job.tell("simulating futures", 0, ask.scenario.members)
            result = foresee(
                centre.twin,
                ask.hazard,
                ask.scenario,
                time=now,
                asked=dict(ask.words),
                compute=centre.host.compute,
                on_done=lambda done, total: job.tell("simulating futures", done, total),
            )
        found = suggest(
            result,
            cases=all_cases([]),
            hour=local_hour(result.world, now) if ask.hour is None else ask.hour,
            warning_level=level,
            compute=centre.host.compute,
            on_progress=job.tell,
        )
        rows = [
            {
                "plan": msgspec.to_builtins(c.plan),
                "origin": c.origin,
                "why": c.why,
                "digest": c.plan.digest(),
                "toml": plan_to_toml(c.plan),
            }
            for c in found
        ]
        return {"suggested": rows}

    _begin(centre, actor, f"asked for plans to consider on {ask.told()}")
    return centre.jobs.start("suggest", ask.told(), actor.name, work)


def cancel(centre: Centre, actor: Actor, job_id: str) -> Job:
    """Cancel a job; who did is a line in the log."""
    job = centre.jobs.cancel(job_id)
    text = f"cancelled job {job.id} of {job.by}: {job.kind}, {job.asked}"
    centre.host.ledger.append(actor, [Note(time=centre.host.clock.now(), subject="job", text=text)])
    return job


def kept_futures(centre: Centre) -> list[dict[str, Any]]:
    """The futures that were run here and can be compared on, by name."""
    rows = []
    for folder in sorted((centre.folder / FUTURES).glob("*")):
        try:
            kept = kept_in(folder)
        except TocsinError:
            continue
        rows.append(
            {"name": folder.name, "hazard": kept.hazard, "done": kept.done, "members": kept.members, "failed": len(kept.failed)}
        )
    return rows


def hazard_of_futures(centre: Centre, name: str) -> str:
    """The hazard of futures that were run here; raises NotFound with the names that there are."""
    return kept_in(_folder(centre, name)).hazard


def _begin(centre: Centre, actor: Actor, text: str) -> str:
    """Say in the ledger what was asked and by whom, before it begins; nothing is said where there is no room for it."""
    centre.host.gate.permit(actor, "write forecast", centre.twin.manifest.name)
    centre.jobs.check_room()
    return centre.host.ledger.append(actor, [Note(time=centre.host.clock.now(), subject="job", text=text[:2_000])])[0]


def _scenario(ask: Ask) -> Scenario:
    if ask.scenario is None:
        raise InputError("futures: no scenario; give one, as in docs/guide/futures.md")
    return ask.scenario


def _asked_of(centre: Centre, ask: Ask) -> Path:
    """The folder of the futures that are asked for; a scenario is held to the place first, so that a wrong name is told before anything runs."""
    if ask.scenario is None:
        return _folder(centre, ask.futures)
    world, drives = centre.world(), centre.watch(ask.hazard).model.series
    for name in dict.fromkeys([*ask.scenario.series, *(n for a in ask.scenario.analogues for n in a.series)]):
        kind, at, place = name.partition("@")
        drive = drives.get(kind + at)
        if at and drive is not None and drive.sorts:
            places_of(world, drive.sorts, place)
    return Path()


def _folder(centre: Centre, name: str) -> Path:
    folder = centre.folder / FUTURES / name
    if not NAME.fullmatch(name) or not folder.is_dir():
        there = ", ".join(row["name"] for row in kept_futures(centre)) or "none"
        raise NotFound(f"no futures {name[:70]!r} here; there are: {there}")
    return folder


def _plans(watch: HazardWatch, names: Sequence[str]) -> list[Plan]:
    known = {plan.name: plan for plan in watch.plans()}
    if unknown := [name for name in names if name not in known]:
        raise NotFound(f"no plan {unknown[0]!r} on the table of {watch.hazard}; there are: {', '.join(known)}; save it first")
    chosen = [known[name] for name in dict.fromkeys(names)] if names else list(known.values())
    if len(chosen) > PLANS_MOST:
        raise InputError(f"compare: {len(chosen)} plans; wanted at most {PLANS_MOST}: name those to compare")
    return chosen


def _record(centre: Centre, actor: Actor, result: ForecastResult, cause: tuple[str, ...], ask: Ask) -> str:
    watch = centre.watch(ask.hazard)
    hit = impact(result.world, result.foreseen.footprint, watch.pack.harm, hour=local_hour(result.world, result.world.time))
    return watch.record_forecast(
        result.world, result.scenario, result.foreseen, hit.estimates(), cause, asked_by=actor, words=ask.words
    )


def _so_far(compared: Compared) -> dict[str, Any]:
    rows = [RankedPlan(s.rank, s.plan, s.harm, s.cvar, s.reason) for s in compared.scores]
    return {
        "tried": compared.tried,
        "futures": compared.futures,
        "recommended": compared.recommended,
        "reason": compared.reason,
        "doubt": compared.doubt,
        "plans": msgspec.to_builtins(rows),
    }
