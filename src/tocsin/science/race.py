"""A race of choices: simulations go where they may still change which choice is best, and a choice is out when it is sure not to be.

What is raced for is the least of w * mean + (1 - w) * CVaR of the losses over a finite population of futures. Choices are tried in the same
futures, so what counts is the difference in each. Some choices share a simulation (a plan that leaves the flood as it is needs no flood of
its own), others need their own: what is spent where is decided per cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.science.keyed import keyed_uniforms
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

STAKES = np.array([0.1, 0.5])
CELLS = 48
LEVELS = np.array([0.75, 1.0])  # quantiles of what is known of the better one: near where its worst tenth may begin
# Of the highest loss: what one more simulation is worth at least while it is spent on choosing; after that, on being sure.
PROVE_BELOW = 1e-6
LOOK_AGAIN = 0.02  # what is worth most is looked for again when so much more has been told
TAIL_SEEN = 3.0  # futures in the tail, from which on their own spread is believed
GAPS_TRIED = 14  # halvings of the span between nothing and the highest loss


class Criterion(msgspec.Struct, frozen=True):
    """What is to be least: `mean_weight` of the mean and the rest of the mean of the worst `tail` share of the futures."""

    tail: float = 0.1
    mean_weight: float = 0.5

    def of(self, losses: Floats) -> float:
        """The criterion of equally likely losses, (future,): Rockafellar & Uryasev 2002, eq. 25, and the mean."""
        worst = np.sort(losses)[::-1]
        weight = np.clip(self.tail * losses.size - np.arange(losses.size), 0.0, 1.0)
        return float(self.mean_weight * losses.mean() + (1.0 - self.mean_weight) * (worst * weight).sum() / weight.sum())

    def influence(self, losses: Floats) -> Floats:
        """What each future adds to the criterion, (future,), with the mean of all equal to it: Rockafellar & Uryasev 2000, eq. 4."""
        level = np.sort(losses)[::-1][min(losses.size - 1, int(self.tail * losses.size))]
        tail = np.maximum(losses - level, 0.0) / self.tail
        return np.asarray(self.mean_weight * losses + (1.0 - self.mean_weight) * (level + tail))


def race_order(futures: int, first: int, seed: int) -> NDArray[np.int64]:
    """In which order the futures are run: the first few as they are drawn, since they span what may come, the rest in a random order.

    The random order is what makes the bounds hold, of whatever kind the population is; the first few count as known, not as drawn.
    """
    rest = np.arange(first, futures)
    return np.concatenate(
        [np.arange(min(first, futures)), rest[np.argsort(keyed_uniforms(seed, "race order", rest), kind="stable")]]
    )


def evidence(
    worse: Floats,
    better: Floats,
    *,
    known: int,
    of: int,
    most: float,
    criterion: Criterion,
    within: float = 0.0,
    cells: int = CELLS,
) -> float:
    """How strong what came speaks against "the first loses less than the second by `within` or more" over all `of` futures.

    Losses are 0 .. `most`, (future,), in the order of `race_order`; the first `known` were not drawn. If the claim is true, this number ever
    reaches 1/a with a chance of a at most, however often one looks and whenever one stops (Ville 1939): it is the wealth of a gambler in
    a fair game. The game: by Rockafellar & Uryasev 2000 the criterion of a choice is the least mean of g(loss, level) over all levels, so if the
    claim is true, there is a level at which the mean of g(worse, level) - g(better, any level) is `within` below nothing or less. A gambler bets on each
    such difference without replacement (Waudby-Smith & Ramdas 2024, J. Royal Statistical Society B 86:1-27, sec. 5 and app. D), and all
    levels must lose: between two grid levels g is bounded from below, so the grid costs strength and never validity.

    Valid for: losses that do not exceed `most`, and an order that is random beyond the first `known`. What is claimed is about this finite
    population of futures, not about the world: futures that nobody thought of are in no bound.
    """
    if worse.shape != better.shape or worse.size > of or not (worse.min(initial=0.0) >= 0.0 and better.min(initial=0.0) >= 0.0):
        raise InputError(f"race: losses of {worse.shape} and {better.shape} of {of} futures; wanted alike, no more, none below 0")
    from tocsin.science.race_steps import wealth

    known = min(known, worse.size)
    edges = np.linspace(0.0, most, cells + 1)
    levels = np.quantile(better[:known], LEVELS) if known else np.array([most / 2.0])
    return float(
        wealth(
            np.ascontiguousarray(worse),
            np.ascontiguousarray(better),
            known,
            float(of),
            max(most, 1e-9),
            criterion.tail,
            criterion.mean_weight,
            edges,
            levels,
            STAKES,
            within,
        )
    )


class Out(msgspec.Struct, frozen=True):
    """A choice that has left the race: beaten by which, and after how many futures of each."""

    choice: int
    beaten_by: int
    after: int


class Race:
    """Who is still in, and what to run next. Tell it losses in any order; futures are numbered by their place in the race's order.

    `own` are the choices that need a simulation of their own for each future; all others share one. `first` futures are run for all, and
    `own_first` for those that need their own. With `to_the_end` the shared ones are all run, also when the race is over. `most` is the highest loss that there can be; told a higher one, the race takes that from then on, and looks at those that are out again.
    """

    def __init__(
        self,
        choices: int,
        futures: int,
        *,
        most: float,
        own: Sequence[bool] = (),
        first: int = 8,
        criterion: Criterion | None = None,
        own_first: int = 4,
        sure: float = 0.95,
        pair_cost: float = 0.02,
        to_the_end: bool = False,
    ) -> None:
        if choices < 1 or futures < 1 or not 0.5 <= sure < 1.0 or not most >= 0.0:
            raise InputError(
                f"race: {choices} choices, {futures} futures, {sure:.0%} sure, losses to {most}; wanted more than that"
            )
        self.loss = np.full((choices, futures), np.nan)
        self.own = np.array([bool(o) for o in own] or [False] * choices)
        self.first, self.criterion, self.sure, self.most = min(first, futures), criterion or Criterion(), sure, most
        self.out: dict[int, Out] = {}
        self.left_out: set[int] = set()
        self._own_first, self._pair_cost, self.to_the_end = min(own_first, self.first), pair_cost, to_the_end
        self._asked = np.zeros(choices, np.int64)  # how many futures of each were handed out
        self._shared_asked = 0
        self._end = np.zeros(choices, np.int64)
        self._told = 0
        self._standing: tuple[int, Floats] = (-1, np.empty(0))
        self._worth_of: tuple[int, dict[int, float]] = (-1, {})

    # -- what has come -------------------------------------------------------------------------------------------------

    def tell(self, choice: int, future: int, loss: float) -> None:
        """A choice was tried in a future."""
        if not (np.isfinite(loss) and loss >= 0.0):
            raise InputError(f"race: choice {choice} lost {loss} in future {future}; wanted a number, 0 or more")
        self.loss[choice, future] = loss
        self._told += 1
        if loss > self.most:
            self.most = loss
            self.out.clear()

    def tell_failed(self, future: int) -> None:
        """A future that could not be run: it is in no choice's account."""
        self.left_out.add(future)
        self.loss[:, future] = np.nan
        self._told += 1

    @property
    def futures(self) -> int:
        """How many futures there are, but for those that failed."""
        return self.loss.shape[1] - len(self.left_out)

    @property
    def alive(self) -> list[int]:
        return [k for k in range(len(self.loss)) if k not in self.out]

    def tried(self, choice: int) -> int:
        """In how many futures a choice was tried without a gap: what it is judged by."""
        return int(self._kept(choice).size)

    def _kept(self, choice: int) -> NDArray[np.int64]:
        """The futures of a choice, from the first to before the first that is missing."""
        end, last = int(self._end[choice]), self.loss.shape[1]
        while end < last and (np.isfinite(self.loss[choice, end]) or end in self.left_out):
            end += 1
        self._end[choice] = end
        kept = np.arange(end)
        return kept[~np.isin(kept, list(self.left_out))] if self.left_out else kept

    def pair(self, one: int, other: int) -> tuple[Floats, Floats]:
        """The losses of two choices in the futures that both were tried in."""
        a, b = self._kept(one), self._kept(other)
        both = a if a.size <= b.size else b
        return self.loss[one, both], self.loss[other, both]

    # -- who is best, and how sure that is -----------------------------------------------------------------------------

    def standing(self) -> Floats:
        """The criterion of each choice, (choice,), brought to the futures of the one that has most by their difference; +inf if untried."""
        if self._standing[0] == self._told:
            return self._standing[1]
        told = np.full(len(self.loss), np.inf)
        tried = [self.tried(k) for k in range(len(self.loss))]
        if not max(tried):
            return told
        longest = int(np.argmax(tried))
        whole = self.criterion.of(self.loss[longest, self._kept(longest)])
        for k, count in enumerate(tried):
            if count:
                mine, its = self.pair(k, longest)
                told[k] = whole + self.criterion.of(mine) - self.criterion.of(its)
        self._standing = (self._told, told)
        return told

    def best(self) -> int:
        """The choice that is ahead."""
        standing = self.standing()
        return min(self.alive, key=lambda k: (standing[k], k))

    def _unit(self, mine: Floats, its: Floats) -> float:
        """How much one future scatters the difference of two criteria."""
        if mine.size < 2:
            return self.most
        unit = float((self.criterion.influence(mine) - self.criterion.influence(its)).std(ddof=1))
        if mine.size * self.criterion.tail < TAIL_SEEN:
            # too few to show how the tail differs: it is taken to differ from future to future as all of them do
            w = self.criterion.mean_weight
            unit = max(unit, float((mine - its).std(ddof=1)) * np.sqrt(w * (2.0 - w) + (1.0 - w) ** 2 / self.criterion.tail))
        return unit

    def judge(self) -> list[Out]:
        """Put out every choice that is sure to be worse than another; returns those that went now.

        The best one of all is put out, ever, with a chance of 1 - `sure` at most: each of the others bets against it with its share of it.
        """
        gone = []
        standing = self.standing()
        ahead = sorted(self.alive, key=lambda k: (standing[k], k))[:3]
        for k in list(self.alive):
            for other in ahead:
                if other == k or other in self.out or standing[other] >= standing[k]:
                    continue
                mine, its = self.pair(k, other)
                if mine.size and self._speaks(mine, its, 0.0):
                    self.out[k] = Out(k, other, mine.size)
                    gone.append(self.out[k])
                    break
        return gone

    def gap(self, choice: int) -> float:
        """By how much another choice, at most, is better than this one: as sure as `sure`, whenever one asks."""
        worst = 0.0
        for other in self.alive:
            if other == choice:
                continue
            theirs, mine = self.pair(other, choice)
            low, high = worst, self.most
            if not mine.size:
                return self.most
            if mine.size == self.futures:
                worst = max(worst, self.criterion.of(mine) - self.criterion.of(theirs))
                continue
            if low > 0.0 and self._speaks(theirs, mine, low, cells=CELLS // 2):
                continue
            for _ in range(GAPS_TRIED):
                middle = (low + high) / 2.0
                if self._speaks(theirs, mine, middle, cells=CELLS // 2):
                    high = middle
                else:
                    low = middle
                if high - low < 0.003 * self.most:
                    break
            worst = high
        return worst

    def _speaks(self, worse: Floats, better: Floats, within: float, cells: int = CELLS) -> bool:
        """True where it is sure that the first is not better than the second by `within` or more."""
        if worse.size == self.futures:
            return self.criterion.of(worse) > self.criterion.of(better) - within
        wanted = max(1, len(self.loss) - 1) / (1.0 - self.sure)
        known = self.first - sum(1 for future in self.left_out if future < self.first)
        got = evidence(
            worse, better, known=known, of=self.futures, most=self.most, criterion=self.criterion, within=within, cells=cells
        )
        return got >= wanted

    # -- what to run next ----------------------------------------------------------------------------------------------

    def ask(self) -> tuple[int | None, int] | None:
        """(choice, future) to run next, with None for the simulation that all but the `own` choices share; None where nothing is left to run.

        First all choices in the first futures; then halving of those that need their own; then where one more is worth most for its cost.
        """
        last = self.loss.shape[1]
        if self._shared_asked < self.first:  # also where all choices need their own: a plan looks at the hazard as it comes
            return self._next_shared()
        own = [k for k in self.alive if self.own[k]]
        for k in own:
            if self._asked[k] < min(self._target(k, own), self._shared_asked):
                return self._of(k)
        if self.to_the_end and (task := self._next_shared()):
            return task
        if len(self.alive) == 1 and self.out:  # the race is over
            return None
        if self._told >= (1.0 + LOOK_AGAIN) * self._worth_of[0] or self._worth_of[1].keys() & self.out.keys():
            self._worth_of = (self._told, self._worths())
        worths = self._worth_of[1]
        if max(worths.values(), default=0.0) < PROVE_BELOW * self.most:
            return self._to_prove()
        for who, worth in sorted(worths.items(), key=lambda item: (-item[1], item[0])):
            if who == -1 or self._asked[who] >= self._shared_asked:
                if (who == -1 or worth > 0.0) and (task := self._next_shared()):
                    return task
            elif self._asked[who] < last:
                return self._of(who)
        if task := self._next_shared():
            return task
        behind = [k for k in own if self._asked[k] < last]
        return self._of(behind[0]) if behind else None

    def _to_prove(self) -> tuple[int | None, int] | None:
        """The choice is clear, and what is left is to be sure of it: whoever is in the race and has been tried least (as in LUCB, Kalyanakrishnan,
        Tewari, Auer & Stone 2012, ICML 29, where it is the one with the widest bound)."""
        last = self.loss.shape[1]
        own = sorted((k for k in self.alive if self.own[k]), key=lambda k: (self._asked[k], k))
        if own and self._asked[own[0]] < min(last, self._shared_asked):
            return self._of(own[0])
        return self._next_shared() or (self._of(own[0]) if own and self._asked[own[0]] < last else None)

    def _next_shared(self) -> tuple[None, int] | None:
        if self._shared_asked >= self.loss.shape[1]:
            return None
        self._shared_asked += 1
        return None, self._shared_asked - 1

    def _of(self, choice: int) -> tuple[int, int]:
        self._asked[choice] += 1
        return choice, int(self._asked[choice]) - 1

    def _target(self, choice: int, own: Sequence[int]) -> int:
        """How many futures halving gives a choice: `own_first`, twice that where it is in the better half, and so on."""
        if self.to_the_end or any(self.tried(k) < self._own_first - len(self.left_out) for k in own):
            return self._own_first  # where all is run in any case, what all share comes first
        standing = self.standing()
        place = sorted(own, key=lambda k: (standing[k], k)).index(choice)
        stages = 0
        while place < len(own) / 2 ** (stages + 1) and stages < 3:
            stages += 1
        return int(self._own_first * 2**stages)

    def _worths(self) -> dict[int, float]:
        """What twice as many futures are worth for each choice that needs its own, and for all others together (-1), for their cost.

        The expected gain of choosing again after they have come: the knowledge gradient of the paired difference with the choice that is
        ahead (Frazier, Powell & Dayanik 2009, INFORMS J. Computing 21:599-613; differences as in Chen, Lin, Yücesan & Chick 2000, Discrete
        Event Dynamic Systems 10:251-270), with Student's t for a spread that is known from few (Chick, Branke & Schmidt 2010, INFORMS J.
        Computing 22:71-80, eq. 9), since a few futures hardly show the tail.
        """
        best = self.best()
        worths: dict[int, float] = {}
        for k in self.alive:
            if k == best:
                continue
            mine, its = self.pair(k, best)
            worth = self._worth(mine, its) if mine.size > 1 else np.inf
            for who in {k if self.own[k] else -1, best if self.own[best] else -1}:
                # the one of a pair that lags is the one that brings news of it
                if who == -1 or self.tried(who) <= mine.size:
                    worths[who] = max(worths.get(who, 0.0), worth)
        shared = sum(1 for k in self.alive if not self.own[k])
        for who in worths:
            worths[who] /= 1.0 + self._pair_cost * (shared if who == -1 else 1)
        return worths

    def _worth(self, mine: Floats, its: Floats) -> float:
        from scipy.special import gamma, stdtr

        count = mine.size
        more = min(count, self.futures - count)
        if more <= 0:
            return 0.0
        spread = self._unit(mine, its) * np.sqrt(1.0 / count - 1.0 / (count + more))
        lead = abs(self.criterion.of(mine) - self.criterion.of(its))
        if spread <= 0.0:
            return 0.0
        z, freedom = lead / spread, float(min(count - 1, 100))
        density = (
            gamma((freedom + 1) / 2)
            / (gamma(freedom / 2) * np.sqrt(freedom * np.pi))
            * (1 + z * z / freedom) ** (-(freedom + 1) / 2)
        )
        gain = (freedom + z * z) / max(freedom - 1.0, 1.0) * density - z * stdtr(freedom, -z)
        return max(0.0, float(spread * gain)) / more
