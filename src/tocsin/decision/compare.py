"""Compare plans: each is carried out in the same futures, and they are ranked by whom they save, what they cost and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.contest import Contest, PlanOut, Sketched
from tocsin.decision.futures import FAILED_SHARE_MOST, Failure, Foreseen, foreseen_of
from tocsin.decision.interpret import Course, check_plan
from tocsin.decision.limits import Limit, check_limits_in
from tocsin.decision.outcomes import HARM, Outcomes
from tocsin.decision.rank import MEAN_WEIGHT, TAIL, rank
from tocsin.decision.services import service_names
from tocsin.decision.setting import Setting, setting_of
from tocsin.decision.trial import TRAFFIC_UNITS, Town
from tocsin.host import Compute
from tocsin.pack import Harm, Model, Pack, Plan, Scenario
from tocsin.science.race_criterion import Criterion
from tocsin.vocabulary import Choice, InputError, Level, PlanScore, World

Floats = NDArray[np.float64]
Told = Callable[[str, int, int], None]

# Plans that differ by less than this share of the people whom the worst future would put in danger if nobody left are taken as alike when a
# race may stop. A choice of ours: a race for less than a fiftieth would buy little with many simulations.
ALIKE_SHARE = 0.02
TELL_AGAIN = 1.4  # a ranking is told again when so many times as many pairs have been tried


class Racing(msgspec.Struct, frozen=True):
    """How sure the choice has to be, and within how many persons (None: ALIKE_SHARE of the most there could be), before a race may stop.

    With `sketch` all futures are sketched, where the model can, if the first few that were run leave the choice open.
    """

    sure: float = 0.95
    within: float | None = None
    sketch: bool = True

    def __post_init__(self) -> None:
        if not 0.5 <= self.sure < 1.0:
            raise InputError(f"race: {self.sure:g} sure; wanted 0.5 or more and less than 1, e.g. 0.95")
        if self.within is not None and not self.within >= 0.0:
            raise InputError(f"race: within {self.within:g} persons; wanted 0 or more")


class Grounds(msgspec.Struct, frozen=True):
    """All that a ranking rests on, so that it can be made again with other weights and without any run.

    `numbers` are those of the futures in the table's columns; `words` are what the doubt says beside the ranking's own.
    """

    table: Outcomes
    setting: Setting
    numbers: tuple[int, ...]
    warning_level: Level
    words: tuple[str, ...] = ()


class Compared(msgspec.Struct, frozen=True):
    """The ranking, best first; the harm of each plan in each future; and each plan's course in each future.

    A plan that was not tried in a future has NaN and no course there. `tried` of `futures` have been met by a plan; `out` are the plans that
    left the race, `failed` the futures that could not be played. No other plan is better than the recommended one by more than `gap`
    persons, as sure as was asked, NaN where that is not told yet. `finished` is true of the last one. `sketched` says how many futures were sketched beside those
    that were run, None where none were; every figure is of runs.
    """

    scores: tuple[PlanScore, ...]
    harm_by_future: Mapping[str, Floats]
    harm_by_zone: Mapping[str, Mapping[str, float]]
    courses: Mapping[str, tuple[Course | None, ...]]
    hazard_runs: int
    recommended: str
    reason: str
    doubt: str
    choice: Choice | None = None
    tried: int = 0
    futures: int = 0
    out: tuple[PlanOut, ...] = ()
    failed: tuple[Failure, ...] = ()
    gap: float = float("nan")
    finished: bool = True
    foreseen: Foreseen | None = None
    grounds: Grounds | None = None
    sketched: Sketched | None = None


def compare(
    world: World,
    model: Model,
    harm: Harm,
    foreseen: Foreseen,
    plans: Sequence[Plan],
    compute: Compute,
    *,
    hour: float,
    warning_level: Level = Level.NONE,
    limits: Sequence[Limit] = (),
    pack: Pack | None = None,
    traffic: bool = False,
    on_progress: Told | None = None,
) -> Compared:
    """Carry each plan out in each of the futures that were foreseen, and rank the plans: the last word of `sharpen`, with no plan out early.

    The hazard is run again only for plans that act on it, once for each future and set of effects. Raises InputError where a plan could
    never be carried out, or where two plans have one name.
    """
    last = None
    for compared in sharpen(
        world,
        model,
        harm,
        foreseen,
        plans,
        compute,
        hour=hour,
        warning_level=warning_level,
        limits=limits,
        pack=pack,
        traffic=traffic,
        on_progress=on_progress,
        only_last=True,
    ):
        last = compared
    if last is None:
        raise InputError("compare: no future; run one or more")
    return last


def sharpen(
    world: World,
    model: Model,
    harm: Harm,
    asked: Foreseen | Scenario,
    plans: Sequence[Plan],
    compute: Compute,
    *,
    hour: float,
    warning_level: Level = Level.NONE,
    limits: Sequence[Limit] = (),
    racing: Racing | None = None,
    all_hazards: bool = False,
    frame_s: Sequence[float] = (),
    failed_share_most: float = FAILED_SHARE_MOST,
    pack: Pack | None = None,
    traffic: bool = False,
    on_progress: Told | None = None,
    only_last: bool = False,
) -> Generator[Compared, None, None]:
    """Rank plans again and again while they are tried, from a first look at a few futures on; stop at any time by closing it.

    With a Foreseen the hazard has been run; with a Scenario it is run here, in the order of the race, and the last Compared has what came
    of it. With `racing` a plan that is sure not to be the best is tried no more, and all ends when the choice is sure; without, and where
    there are hard limits (which the bounds know nothing of), every plan is tried in every future. `all_hazards` runs the hazard in every
    future of a scenario all the same, for the forecast; the first Compared after the last of them has what was foreseen. With `pack` its risk
    chains are run in each future, where the twin has lifelines, and actions may act on them. With `traffic` who leaves drives: that
    takes seconds for each plan and future of a city, and tells who is caught in a queue, which shares and ramps do not.
    """
    _check(world, model, harm, plans, limits, pack, traffic=traffic)
    if limits:
        racing = None
    contest = Contest(
        Town.of(world, harm, model.makes, hour, pack, traffic=traffic),
        model,
        asked,
        plans,
        compute,
        level=warning_level,
        criterion=Criterion(TAIL, MEAN_WEIGHT),
        sure=None if racing is None else racing.sure,
        all_hazards=all_hazards,
        frame_s=frame_s,
        failed_share_most=failed_share_most,
        tell=on_progress or (lambda _task, _done, _total: None),
        sketch=racing is not None and racing.sketch,
    )
    told, foretold = 0, False
    with closing(contest.go()) as steps:
        for _ in steps:
            new = all_hazards and contest.hazards_done and not foretold
            if only_last or not contest.ready or not (new or contest.pairs >= TELL_AGAIN * told):
                continue
            foretold = contest.hazards_done
            told = contest.pairs
            compared = _ranked(contest, asked, warning_level, limits, racing, frame_s, finished=False)
            within = ALIKE_SHARE * contest.most if racing is None or racing.within is None else racing.within
            if racing is not None and len(plans) > 1 and compared.gap <= within and (not all_hazards or contest.hazards_done):
                break  # a race may stop here; what follows is the last word on it
            yield compared
    yield _ranked(contest, asked, warning_level, limits, racing, frame_s, finished=True)


def _check(
    world: World,
    model: Model,
    harm: Harm,
    plans: Sequence[Plan],
    limits: Sequence[Limit],
    pack: Pack | None,
    *,
    traffic: bool,
) -> None:
    if not plans:
        raise InputError("compare: no plan; give one or more")
    names = [plan.name for plan in plans]
    if len(set(names)) != len(names):
        raise InputError(f"compare: plans {', '.join(names)}; wanted each name once")
    check_limits_in(limits, world, (*service_names(world, pack), *(TRAFFIC_UNITS if traffic else ())))
    for plan in plans:
        check_plan(plan, world, model, pack)
        if plan.currency != harm.worth_unit and any(action.cost for action in plan.actions):
            raise InputError(
                f"plan {plan.name}: costs in {plan.currency}, damage is told in {harm.worth_unit}; they are added, so give the costs in {harm.worth_unit}"
            )


def _ranked(
    contest: Contest,
    asked: Foreseen | Scenario,
    warning_level: Level,
    limits: Sequence[Limit],
    racing: Racing | None,
    frame_s: Sequence[float],
    *,
    finished: bool,
) -> Compared:
    """The ranking by what has been tried so far."""
    table, rows = contest.table()
    town, world = contest.town, contest.town.world
    foreseen = None
    if finished or contest.hazards_done:
        if isinstance(asked, Scenario):
            foreseen = foreseen_of(contest.model, asked, contest.futures, contest.members, frame_s, contest.failed)
        else:
            foreseen = asked
    seen = foreseen
    if seen is not None and len(seen.futures) == len(rows):
        setting = setting_of(
            world, contest.model, seen, hour=town.hour, groups=town.groups, limits=limits, harmed=town.harm.harmed_words
        )
    else:  # what one could ask for is told when all is in
        setting = Setting(
            tuple(contest.futures[n] for n in rows),
            (),
            town.by_zone(np.ones(town.inhabited.size)),
            town.of_group.sum(axis=0),
            tuple(limits),
            town.groups.missing,
            town.harm.harmed_words,
        )
    ranking = rank(table, warning_level=warning_level, setting=setting)
    names = [plan.name for plan in table.plans]
    gap = contest.gap(names.index(ranking.recommended)) if racing is not None else float("nan")
    harm = table.figures[HARM]
    remark = town.evacuation.remark if town.evacuation is not None else ""
    words = [
        ranking.doubt,
        *([remark] if remark else []),
        *_sure_words(contest, racing, gap, len(rows)),
        *_lead_words(contest, ranking.recommended),
        *_sketched_words(contest),
        *_failed_words(contest),
    ]
    return Compared(
        ranking.scores,
        {name: harm[k] for k, name in enumerate(names)},
        _by_zone(table),
        dict(zip(names, table.courses, strict=True)),
        contest.hazard_runs,
        ranking.recommended,
        ranking.reason,
        " ".join(words),
        ranking.choice,
        len(rows),
        contest.total - len(contest.failed),
        contest.out(),
        tuple(contest.failed),
        gap,
        finished,
        foreseen,
        Grounds(
            table,
            setting,
            tuple(contest.futures[n].number for n in rows),
            warning_level,
            tuple(_failed_words(contest)),
        ),
        contest.sketched,
    )


def reweighed(compared: Compared, weight: Mapping[int, float]) -> Compared:
    """The same plans in the same futures, ranked with a new weight for each future by its number; nothing is run.

    Weights need not sum to 1; a future that is not named weighs nothing. What a race was sure of is not said any more: it counted all futures
    alike. Raises InputError where all weights of the futures that were tried are 0.
    """
    grounds = compared.grounds
    if grounds is None:
        raise InputError("reweigh: this comparison has kept no table; compare again")
    share = np.array([weight.get(number, 0.0) for number in grounds.numbers])
    if not (np.isfinite(share).all() and (share >= 0).all() and share.sum() > 0):
        raise InputError(
            f"reweigh: weights of {share.size} futures sum to {share.sum():g}; wanted finite ones, none below 0, one or more above: "
            "no plan was tried in a future that still counts"
        )
    table = msgspec.structs.replace(grounds.table, weight=share / share.sum())
    return _ranked_anew(compared, msgspec.structs.replace(grounds, table=table))


def relimited(compared: Compared, limits: Sequence[Limit]) -> Compared:
    """The same plans in the same futures, ranked with these hard limits in place of those that were set; nothing is run.

    Raises InputError where a limit is on a figure or a zone that the table has not.
    """
    if compared.grounds is None:
        raise InputError("limits: this comparison has kept no table; compare again")
    setting = msgspec.structs.replace(compared.grounds.setting, limits=tuple(limits))
    return _ranked_anew(compared, msgspec.structs.replace(compared.grounds, setting=setting))


def _ranked_anew(compared: Compared, grounds: Grounds) -> Compared:
    ranking = rank(grounds.table, warning_level=grounds.warning_level, setting=grounds.setting)
    return msgspec.structs.replace(
        compared,
        scores=ranking.scores,
        harm_by_zone=_by_zone(grounds.table),
        recommended=ranking.recommended,
        reason=ranking.reason,
        doubt=" ".join([ranking.doubt, *grounds.words]),
        choice=ranking.choice,
        gap=float("nan"),
        grounds=grounds,
    )


def _by_zone(table: Outcomes) -> dict[str, dict[str, float]]:
    """How many each plan leaves in danger in each zone on average, of the futures in which it was tried."""
    told = {}
    for k, plan in enumerate(table.plans):
        mine = table.tried[k] & (table.weight > 0)
        means = np.average(table.by_zone[k][mine], axis=0, weights=table.weight[mine])
        told[plan.name] = dict(zip(table.zones, map(float, means), strict=True))
    return told


def _sure_words(contest: Contest, racing: Racing | None, gap: float, tried: int) -> list[str]:
    """What is sure of the choice over all futures, also those that were not run."""
    if racing is None or len(contest.plans) == 1:
        return []
    total = contest.total - len(contest.failed)
    how = "" if tried == total else f", of which {tried} were run,"
    if not np.isfinite(gap):
        return [f"How sure that is over all {total} futures is not told yet."]
    best = "no other plan is better" if gap < 0.5 else f"no other plan is better by more than {gap:,.0f} people"
    what = f"over all {total} futures{how} {best}, by average and worst tenth together"
    return [
        f"It is {racing.sure:.0%} sure that {what}, as long as no future brings more than {contest.most:,.0f} {contest.town.harm.harmed_words}."
    ]


def _lead_words(contest: Contest, recommended: str) -> list[str]:
    """That another plan is ahead where few runs of a worst tenth are weighed less: the ranking is by each plan's own figures."""
    other = contest.may_lead
    if other is None or other == recommended:
        return []
    return [
        f"Not all futures were run: by each plan's own figures {recommended} is ahead, and by an estimate that trusts few bad futures less, {other}."
    ]


def _sketched_words(contest: Contest) -> list[str]:
    sketched = contest.sketched
    if sketched is None or sketched.full >= sketched.futures:
        return []
    how = "" if not np.isfinite(sketched.correlation) else f" (correlation {sketched.correlation:.2f})"
    counted = ", weighed to stand for all that were sketched" if sketched.weighed else ""
    told = f"{sketched.futures} futures were sketched on coarser ground and {sketched.full} run in full{how}"
    return [f"{told}: the figures are those of the full runs{counted}; what is sure rests on full runs alone."]


def _failed_words(contest: Contest) -> list[str]:
    if not contest.failed:
        return []
    told = "; ".join(f.words() for f in contest.failed[:3]) + ("; ..." if len(contest.failed) > 3 else "")
    return [f"{len(contest.failed)} of {contest.total} futures could not be played and are left out: {told}."]
