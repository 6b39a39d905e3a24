"""A race of choices: simulations go where they may still change which choice is best, and a choice is out when it is sure not to be.

What is raced for is the least of w * mean + (1 - w) * CVaR of the losses over a finite population of futures. Choices are tried in the same
futures, so what counts is the difference in each. Some choices share a simulation (a plan that leaves the flood as it is needs no flood of
its own), others need their own: what is spent where is decided per cost.

Where there is a sketch of each choice in each future, cheap and perhaps wrong, it is a control variate (Glasserman 2003, Monte Carlo Methods in
Financial Engineering, ch. 4.1): who is ahead and what to run next is judged by what the simulations add to the sketches. What is sure is not:
no bound rests on a sketch, so none fails by one, however wrong. Bets on what a sketch does not tell were tried and proved less, not more: with
some of 200 futures run, what limits a bound of a worst tenth is how far apart two losses might be where nobody looked, and not how they scatter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
SKETCH_PAIRS = 4  # losses beside their sketches, from which on a slope between them is believed
# From so many runs on sketches put an estimate right: the first 8 of Sobol's points are balanced by themselves, and with them alone the
# estimates of 15 plans on 200 floods of Porto Alegre were worse with sketches than without; with 16 and more they were better.
SKETCHES_FROM = 16
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

    def corrected(self, losses: Floats, sketched: Floats, of_all: Floats) -> float:
        """The criterion of all futures, from the losses in some of them, (some,), beside their sketches, and the sketches of all, (all,).

        A sketch is first brought to the losses by a line; then at each level the mean of what it tells of all is put right by what it missed in
        those that were run, and the least over all levels is taken, as in `of`.
        """
        slope, offset = line_of(sketched, losses)
        told, told_of_all = (np.maximum(0.0, offset + slope * s) for s in (sketched, of_all))
        grid = np.quantile(told_of_all, np.linspace(0.5, 1.0, 33))
        levels = np.unique(np.concatenate([losses, grid]))[:, None]

        def g(loss: Floats) -> Floats:
            return np.asarray(
                self.mean_weight * loss + (1.0 - self.mean_weight) * (levels + np.maximum(loss - levels, 0.0) / self.tail)
            )

        run, run_told, all_told = g(losses), g(told), g(told_of_all)
        share = np.ones(levels.size)
        if losses.size >= SKETCH_PAIRS:
            apart = run_told - run_told.mean(axis=1, keepdims=True)
            square = (apart**2).sum(axis=1)
            together = (apart * (run - run.mean(axis=1, keepdims=True))).sum(axis=1)
            share = np.clip(together / np.where(square > 0.0, square, 1.0), 0.0, 1.0)
        return float((run.mean(axis=1) + share * (all_told.mean(axis=1) - run_told.mean(axis=1))).min())


def line_of(sketched: Floats, losses: Floats) -> tuple[float, float]:
    """Slope and offset of the line of least squares from sketches to losses; as they are, but for their means, where too few tell a slope."""
    apart = sketched - sketched.mean()
    square = float((apart**2).sum())
    slope = 1.0
    if losses.size >= SKETCH_PAIRS:
        slope = max(0.0, float((apart * losses).sum()) / square) if square > 0.0 else 0.0
    return slope, float(losses.mean() - slope * sketched.mean())


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
    apart: float | None = None,
) -> float:
    """How strong what came speaks against "the first loses less than the second by `within` or more" over all `of` futures.

    Losses are 0 .. `most`, (future,), in the order of `race_order`; the first `known` were not drawn. If the claim is true, this number ever
    reaches 1/a with a chance of a at most, however often one looks and whenever one stops (Ville 1939): it is the wealth of a gambler in
    a fair game. The game: by Rockafellar & Uryasev 2000 the criterion of a choice is the least mean of g(loss, level) over all levels, so if the
    claim is true, there is a level at which the mean of g(worse, level) - g(better, any level) is `within` below nothing or less. A gambler bets on each
    such difference without replacement (Waudby-Smith & Ramdas 2024, J. Royal Statistical Society B 86:1-27, sec. 5 and app. D), and all
    levels must lose: between two grid levels g is bounded from below, so the grid costs strength and never validity.

    `apart`: the most by which the first can lose less than the second in any future, where that is known to be less than `most`; the less it is, the
    more a gambler may stake.

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
            max(most if apart is None else min(apart, most), 1e-9),
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

    `apart(one, other)` is the most by which the first can lose more than the second in any future, as a share of `most`, 0 to 1: where it is 0,
    the second is never the worse one.
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
        apart: Callable[[int, int], float] | None = None,
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
        self._apart = apart or (lambda _one, _other: 1.0)
        self.sketch = np.full((choices, futures), np.nan)
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

    def tell_sketches(self, sketch: Floats) -> None:
        """What each choice comes to in each future by its sketch, (choice, future); a row of NaN where a choice has none, the row's mean where one is missing."""
        if sketch.shape != self.loss.shape:
            raise InputError(f"race: sketches of {sketch.shape}; wanted (choice, future) = {self.loss.shape}")
        there = np.isfinite(sketch)
        row_mean = np.array([row[t].mean() if t.any() else np.nan for row, t in zip(sketch, there, strict=True)])
        self.sketch = np.where(there, sketch, row_mean[:, None])
        self._told += 1
        self._standing, self._worth_of = (-1, np.empty(0)), (-1, {})

    def is_sketched(self, choice: int) -> bool:
        """True where sketches of a choice have been told."""
        return bool(np.isfinite(self.sketch[choice, 0]))

    def estimate(self, choice: int, kept: NDArray[np.int64]) -> float:
        """The criterion of a choice over all futures, from those that are `kept` and, where there are, the sketches of all."""
        losses = self.loss[choice, kept]
        if not self.is_sketched(choice) or not SKETCHES_FROM <= losses.size < self.futures:
            return self.criterion.of(losses)
        return self.criterion.corrected(losses, self.sketch[choice, kept], self.sketch[choice, self._all()])

    def _all(self) -> NDArray[np.int64]:
        every = np.arange(self.loss.shape[1])
        return every[~np.isin(every, list(self.left_out))] if self.left_out else every

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
        both = self._both(one, other)
        return self.loss[one, both], self.loss[other, both]

    def _both(self, one: int, other: int) -> NDArray[np.int64]:
        a, b = self._kept(one), self._kept(other)
        return a if a.size <= b.size else b

    # -- who is best, and how sure that is -----------------------------------------------------------------------------

    def standing(self) -> Floats:
        """The criterion of each choice, (choice,), brought to the futures of the one that has most by their difference; +inf if untried.

        Where there are sketches, brought to all futures by them first.
        """
        if self._standing[0] == self._told:
            return self._standing[1]
        told = np.full(len(self.loss), np.inf)
        tried = [self.tried(k) for k in range(len(self.loss))]
        if not max(tried):
            return told
        longest = int(np.argmax(tried))
        whole = self.estimate(longest, self._kept(longest))
        for k, count in enumerate(tried):
            if count:
                told[k] = whole + self._lead(k, longest)
        self._standing = (self._told, told)
        return told

    def best(self) -> int:
        """The choice that is ahead."""
        standing = self.standing()
        return min(self.alive, key=lambda k: (standing[k], k))

    def _lead(self, one: int, other: int) -> float:
        """By how much the criterion of the first is above that of the second, by the futures that both were tried in."""
        both = self._both(one, other)
        if self.is_sketched(one) != self.is_sketched(other):
            return self.criterion.of(self.loss[one, both]) - self.criterion.of(self.loss[other, both])
        return self.estimate(one, both) - self.estimate(other, both)

    def _unit(self, one: int, other: int) -> float:
        """How much one future scatters the difference of two criteria, as far as no sketch tells it."""
        mine, its = self.pair(one, other)
        if mine.size < 2:
            return self.most
        added = self.criterion.influence(mine) - self.criterion.influence(its)
        unit = float(added.std(ddof=1))
        if mine.size >= SKETCHES_FROM and self.is_sketched(one) and self.is_sketched(other):
            both = self._both(one, other)
            told = self.criterion.influence(self.sketch[one, both]) - self.criterion.influence(self.sketch[other, both])
            slope, offset = line_of(told, added)
            unit = float(np.sqrt(((added - offset - slope * told) ** 2).sum() / (mine.size - 2)))
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
                if self._both(k, other).size and self._speaks(k, other, 0.0):
                    self.out[k] = Out(k, other, self._both(k, other).size)
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
            # mean and worst tenth move by no more than each loss does
            low, high = worst, self.most * min(1.0, self._apart(choice, other))
            if mine.size and mine.size == self.futures:
                worst = max(worst, self.criterion.of(mine) - self.criterion.of(theirs))
                continue
            if high <= low:
                continue
            if not mine.size:
                worst = high
                continue
            if low > 0.0 and self._speaks(other, choice, low, cells=CELLS // 2):
                continue
            for _ in range(GAPS_TRIED):
                middle = (low + high) / 2.0
                if self._speaks(other, choice, middle, cells=CELLS // 2):
                    high = middle
                else:
                    low = middle
                if high - low < 0.003 * self.most:
                    break
            worst = high
        return worst

    def _speaks(self, worse: int, better: int, within: float, cells: int = CELLS) -> bool:
        """True where it is sure that the first is not better than the second by `within` or more."""
        both = self._both(worse, better)
        losses, others = self.loss[worse, both], self.loss[better, both]
        if losses.size == self.futures:
            return self.criterion.of(losses) > self.criterion.of(others) - within
        apart = self._apart(better, worse)
        if apart <= 0.0:  # in no future is the second the worse one, and in one at least it was the better one
            return within > 0.0 or bool((losses > others).any())
        wanted = max(1, len(self.loss) - 1) / (1.0 - self.sure)
        known = self.first - sum(1 for future in self.left_out if future < self.first)
        got = evidence(
            losses,
            others,
            known=known,
            of=self.futures,
            most=self.most,
            criterion=self.criterion,
            within=within,
            cells=cells,
            apart=apart * self.most,
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
            mine, _ = self.pair(k, best)
            worth = self._worth(k, best) if mine.size > 1 else np.inf
            for one in (k, best):
                who = one if self.own[one] else -1
                # the one of a pair that lags is the one that brings news of it
                if self.tried(one) <= mine.size:
                    worths[who] = max(worths.get(who, 0.0), worth)
        shared = sum(1 for k in self.alive if not self.own[k])
        for who in worths:
            worths[who] /= 1.0 + self._pair_cost * (shared if who == -1 else 1)
        return worths

    def _worth(self, one: int, other: int) -> float:
        from scipy.special import gamma, stdtr

        count = self._both(one, other).size
        more = min(count, self.futures - count)
        if more <= 0:
            return 0.0
        spread = self._unit(one, other) * np.sqrt(1.0 / count - 1.0 / (count + more))
        lead = abs(self._lead(one, other))
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
