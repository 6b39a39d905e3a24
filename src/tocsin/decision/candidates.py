"""Plans that nobody has written yet: put together from a pack's actions, one after the other, as each helps most in the futures at hand.

Which zones to evacuate and in which order, which barriers to raise, which shelters to open: every choice is an action of the pack or not, and a
place in the order, since crews go to the first that can start. The search is greedy with exchanges: each step adds the action that lowers the
criterion of the ranking most, then actions are taken out, put in and change places as long as that helps. It finds good plans, not surely
the best one; where harm is reduced less and less by each further action, what it finds is within 1 - 1/e of the best (Nemhauser, Wolsey &
Fisher 1978, Math. Program. 14:265-294).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.check_plan import check_plan
from tocsin.decision.futures import Foreseen, play_each
from tocsin.decision.impact import harmed_share
from tocsin.decision.outcomes import COST, DAMAGE, HARM
from tocsin.decision.progress import Script
from tocsin.decision.rank import ALIKE, MEAN_WEIGHT, TAIL
from tocsin.decision.trial import Hit, Town, hit_of, outcome
from tocsin.decision.unfold import Unfolding
from tocsin.host import Compute, Fault
from tocsin.pack import Action, Effect, Harm, Model, Pack, Plan, facts_for
from tocsin.science.risk import cvar
from tocsin.vocabulary import InputError, Level, Member, TocsinError, World

Floats = NDArray[np.float64]
Told = Callable[[str, int, int], None]

FUTURES_MOST = (
    16  # the search looks at so many, from the mildest to the worst; the ranking then tries what was found in all of them
)
STARTS = 4
TRIES_MOST = 2_000  # plans that are looked at for exchanges
RUNS_MOST = 64  # runs of the hazard that a search may ask for, where actions act on it
LEAN_SHARE = 0.9  # the lean plan brings so much of what the best one brings
UNVERIFIED = "put together by a search; no doctrine and no exercise stands behind it (unverified)"


class Found(msgspec.Struct, frozen=True):
    """A plan that the search put together, its criterion beside that of doing nothing, in how many futures it looked, and what was left out."""

    plan: Plan
    criterion: float
    nothing: float
    futures: int
    left_out: tuple[str, ...]


def search_plans(
    world: World,
    model: Model,
    harm: Harm,
    foreseen: Foreseen,
    options: Plan,
    compute: Compute,
    *,
    hour: float,
    warning_level: Level = Level.NONE,
    futures_most: int = FUTURES_MOST,
    runs_most: int = RUNS_MOST,
    pack: Pack | None = None,
    on_progress: Told | None = None,
) -> tuple[Found, ...]:
    """The best plan that was found and, where it brings nearly as much, a leaner one; none where nothing helps.

    `options` is a plan that holds every action that may be taken, with the resources there are. Actions on the hazard itself are left out once
    `runs_most` runs have been spent on them, and that is told. With `pack` there may be actions on its risk chains among them; they save nobody
    from danger, so the search finds no use for them. Raises InputError where `options` could never be carried out.
    """
    check_plan(options, world, model, pack)
    if futures_most < 1 or runs_most < 0:
        raise InputError(f"search: {futures_most} futures, {runs_most} runs; wanted 1 or more, and 0 or more")
    bench = _Bench(
        Town.of(world, harm, model.makes, hour), model, foreseen, options, compute, warning_level, futures_most, runs_most
    )
    tell = on_progress or (lambda _task, _done, _total: None)
    nothing = bench.worth(())
    names = [action.name for action in options.actions]
    firsts = []
    for number, name in enumerate(names, start=1):
        start = tuple(bench.missing(name, ()))
        firsts.append((bench.worth(start), start))
        tell("search: first action", number, len(names))
    firsts.sort()
    # what is best alone may keep its crew from two others that are better together: so the search begins with each of the best few
    found_steps = [_added(bench, names, start, worth, tell) for worth, start in firsts[:STARTS] if np.isfinite(worth[0])]
    if not found_steps:
        return ()
    steps = [((), nothing), *min(found_steps, key=lambda taken: (taken[-1][1], taken[-1][0]))]
    chosen, best = _exchanged(bench, names, *steps[-1], tell)
    if best[0] >= nothing[0] - ALIKE:
        return ()
    found = [Found(_named(options, "optimised", chosen), best[0], nothing[0], len(bench.rows), tuple(sorted(bench.left_out)))]
    enough = nothing[0] - LEAN_SHARE * (nothing[0] - best[0])
    lean, worth = next((step for step in steps if step[1][0] <= enough), (chosen, best))
    if len(lean) < len(chosen):
        found.append(
            Found(_named(options, "optimised, lean", lean), worth[0], nothing[0], len(bench.rows), tuple(sorted(bench.left_out)))
        )
    return tuple(found)


Worth = tuple[float, float]  # the criterion, persons, and what is spent and lost in money


def _is_better(worth: Worth, than: Worth) -> bool:
    """Fewer people in danger by more than the ranking tells apart; or as many, for less."""
    return worth[0] < than[0] - ALIKE or (worth[0] <= than[0] + 1e-9 and worth[1] < than[1] - 1e-9)


def _added(
    bench: _Bench, names: Sequence[str], chosen: tuple[str, ...], best: Worth, tell: Told
) -> list[tuple[tuple[str, ...], Worth]]:
    """Plans that grow, each by the action that helps most, until none helps."""
    steps = [(chosen, best)]
    while True:
        tries = [(*chosen, *bench.missing(name, chosen)) for name in names if name not in chosen]
        scored = []
        for number, candidate in enumerate(tries, start=1):
            scored.append((bench.worth(candidate), candidate))
            tell(f"search: action {len(chosen) + 1}", number, len(tries))
        if not scored or not _is_better(min(scored)[0], best):
            return steps
        best, chosen = min(scored)
        steps.append((chosen, best))


def _exchanged(
    bench: _Bench, names: Sequence[str], chosen: tuple[str, ...], best: Worth, tell: Told
) -> tuple[tuple[str, ...], Worth]:
    """Take actions out, put others in anywhere, let them change places, until none of it helps or TRIES_MOST have been looked at."""
    tried = 0
    while True:
        for candidate in _neighbours(bench, names, chosen):
            tried += 1
            tell("search: exchanges", tried, TRIES_MOST)
            worth = bench.worth(candidate)
            if _is_better(worth, best):
                chosen, best = candidate, worth
                break
            if tried >= TRIES_MOST:
                return chosen, best
        else:
            return chosen, best


def _neighbours(bench: _Bench, names: Sequence[str], chosen: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Plans that differ in one thing: an action less, two that change places, one in another's stead, one more anywhere."""
    free = [name for name in chosen if not bench.is_waited_for(name, chosen)]
    for name in free:
        yield tuple(other for other in chosen if other != name)
    for a, b in combinations(range(len(chosen)), 2):
        yield (*chosen[:a], chosen[b], *chosen[a + 1 : b], chosen[a], *chosen[b + 1 :])
    others = [name for name in names if name not in chosen]
    for name, other in product(free, others):
        at = chosen.index(name)
        kept = (*chosen[:at], *chosen[at + 1 :])
        yield (*kept[:at], *bench.missing(other, kept), *kept[at:])
    for other in others:
        for at in range(len(chosen)):
            yield (*chosen[:at], *bench.missing(other, chosen), *chosen[at:])


def _named(options: Plan, name: str, chosen: Sequence[str]) -> Plan:
    return msgspec.structs.replace(
        _part(options, chosen),
        name=name,
        summary=f"Put together from the pack's actions: {', '.join(action.name for action in _part(options, chosen).actions)}",
        basis=(*options.basis, UNVERIFIED),
    )


def _part(options: Plan, chosen: Sequence[str]) -> Plan:
    """The plan of some of the actions, in this order; who would stand in for one that is not there is left out."""
    actions = {action.name: action for action in options.actions}
    mine = [actions[name] for name in _in_order(actions, chosen)]
    mine = [action if action.otherwise in chosen else msgspec.structs.replace(action, otherwise="") for action in mine]
    levels = tuple(level for level in options.levels if any(action.level == level.name for action in mine))
    return msgspec.structs.replace(options, actions=tuple(mine), levels=levels)


def _in_order(actions: Mapping[str, Action], chosen: Sequence[str]) -> list[str]:
    """The chosen actions as they were chosen, but each after those that it waits for."""
    order: list[str] = []

    def put(name: str) -> None:
        if name not in order:
            for before in actions[name].after:
                put(before)
            order.append(name)

    for name in chosen:
        put(name)
    return order


class _Bench:
    """What plans come to in some of the futures; hazards are run once for each future and what is done to them."""

    def __init__(
        self,
        town: Town,
        model: Model,
        foreseen: Foreseen,
        options: Plan,
        compute: Compute,
        level: Level,
        futures_most: int,
        runs_most: int,
    ) -> None:
        self.town, self.model, self.foreseen, self.options, self.compute, self.level = (
            town,
            model,
            foreseen,
            options,
            compute,
            level,
        )
        self.rows = _spanning(town, foreseen, futures_most)
        self.left_out: set[str] = set()
        self._runs_left = runs_most
        self._actions = {action.name: action for action in options.actions}
        self._unfolding = Unfolding(town, model, facts_for(options.hazard), level)
        self._hits: dict[tuple[int, tuple[Effect, ...]], Hit | None] = {}
        self._worth: dict[tuple[str, ...], Worth] = {}
        for row in self.rows:
            self._hits[row, ()] = hit_of(
                town, foreseen.futures[row], foreseen.footprint.member(row), foreseen.footprint.duration_s
            )

    def missing(self, name: str, chosen: Sequence[str]) -> list[str]:
        """An action and all that it waits for and that is not there yet, in order."""
        order: list[str] = []

        def put(one: str) -> None:
            if one not in chosen and one not in order:
                for before in self._actions[one].after:
                    put(before)
                order.append(one)

        put(name)
        return order

    def is_waited_for(self, name: str, chosen: Sequence[str]) -> bool:
        return any(name in self._actions[other].after for other in chosen)

    def worth(self, chosen: tuple[str, ...]) -> Worth:
        """The ranking's criterion over the futures, and damage and cost; no worth at all where the hazard could not be run for it."""
        if chosen not in self._worth:
            self._worth[chosen] = self._judged(chosen)
        return self._worth[chosen]

    def _judged(self, chosen: tuple[str, ...]) -> Worth:
        plan = _part(self.options, chosen)
        script = Script(plan)
        unfolded = {row: self._unfolding.begin(script, self.foreseen.futures[row], self._member(row, ())) for row in self.rows}
        going_on = set(self.rows)
        while going_on:
            wanted = [(row, unfolded[row].next_run) for row in self.rows if row in going_on]
            if not self._run([key for key in wanted if key not in self._hits], chosen):
                return np.inf, np.inf
            for row, effects in wanted:
                was = unfolded[row]
                if was.settled:
                    going_on.discard(row)
                    continue
                if self._hits[row, effects] is None:
                    return np.inf, np.inf
                try:
                    unfolded[row] = self._unfolding.go_on(script, self.foreseen.futures[row], was, self._member(row, effects))
                except TocsinError:  # nobody can say what this plan comes to
                    return np.inf, np.inf
        harm, spent = [], []
        for row in self.rows:
            hit = self._hits[row, unfolded[row].wanted]
            if hit is None:
                return np.inf, np.inf
            figures, _, _ = outcome(self.town, hit, plan, unfolded[row].course)
            harm.append(figures[HARM])
            spent.append(figures[DAMAGE] + figures[COST])
        losses = np.array(harm)
        return MEAN_WEIGHT * float(losses.mean()) + (1.0 - MEAN_WEIGHT) * cvar(losses, TAIL), float(np.mean(spent))

    def _member(self, row: int, effects: tuple[Effect, ...]) -> Member:
        hit = self._hits[row, effects]
        if hit is None:
            raise LookupError(f"future {row} could not be run with {effects}")
        return hit.footprint.member(0)

    def _run(self, keys: list[tuple[int, tuple[Effect, ...]]], chosen: tuple[str, ...]) -> bool:
        """Run the hazard as a plan changes it; False where the runs are spent, and which actions that leaves out is kept."""
        if len(keys) > self._runs_left:
            self.left_out |= {name for name in chosen if self._acts(self._actions[name])}
            return False
        self._runs_left -= len(keys)
        runs = [(self.foreseen.futures[row], effects) for row, effects in keys]
        for number, came in play_each(self.town.world, self.model, runs, self.compute):
            self._hits[keys[number]] = (
                None if isinstance(came, Fault) else hit_of(self.town, runs[number][0], came, self.foreseen.footprint.duration_s)
            )
        return True

    def _acts(self, action: Action) -> bool:
        return any(effect.verb in self.model.acts_on for effect in action.effects)


def _spanning(town: Town, foreseen: Foreseen, most: int) -> tuple[int, ...]:
    """Rows of the futures from the mildest to the worst, evenly by how many people are in danger if nobody does anything; the worst among them."""
    people = harmed_share(foreseen.footprint, town.harm)[:, town.inhabited] @ town.count
    order = np.argsort(people, kind="stable")
    picked = np.unique(np.linspace(0, order.size - 1, min(most, order.size)).round().astype(np.int64))
    return tuple(int(row) for row in np.sort(order[picked]))
