"""A race of choices: simulations go where they may still change which choice is best, and a choice is out when it is sure not to be.

What is raced for is the least of w * mean + (1 - w) * CVaR of the losses over a finite population of futures. Choices are tried in the same
futures, so what counts is the difference in each. Some choices share a simulation (a plan that leaves the flood as it is needs no flood of
its own), others need their own: what is spent where is decided per cost.

Who is ahead and what to run next is judged by estimates (`race_estimate`): what choices have in common is used, and where there is a sketch of
each choice in each future, cheap and perhaps wrong, it is a control variate (Glasserman 2003, Monte Carlo Methods in Financial Engineering, ch.
4.1). What is sure is not (`race_bounds`): no bound rests on an estimate or a sketch, so none fails by one, however wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from tocsin.science.race_bounds import CELLS, evidence
from tocsin.science.race_criterion import Criterion
from tocsin.science.race_spending import worths
from tocsin.science.race_told import Told
from tocsin.vocabulary.errors import InputError

# Of the highest loss: what one more simulation is worth at least while it is spent on choosing; after that, on being sure.
PROVE_BELOW = 1e-6
LOOK_AGAIN = 0.01  # what is worth most is looked for again when so much more has been told
GAPS_TRIED = 14  # halvings of the span between nothing and the highest loss


class Out(msgspec.Struct, frozen=True):
    """A choice that has left the race: beaten by which, and after how many futures of each."""

    choice: int
    beaten_by: int
    after: int


class Race(Told):
    """Who is still in, and what to run next. Tell it losses in any order; futures are numbered by their place in the race's order.

    `own` are the choices that need a simulation of their own for each future; all others share one. `first` futures are run for all, and
    `own_first` for those that need their own. With `to_the_end` the shared ones are all run, also when the race is over. `most` is the highest
    loss that there can be; told a higher one, the race takes that from then on, and looks at those that are out again.

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
        super().__init__(choices, futures, criterion or Criterion(), most)
        self.own = np.array([bool(o) for o in own] or [False] * choices)
        self.first, self.sure = min(first, futures), sure
        self.out: dict[int, Out] = {}
        self._own_first, self._pair_cost, self.to_the_end = min(own_first, self.first), pair_cost, to_the_end
        self._apart = apart or (lambda _one, _other: 1.0)
        self._asked = np.zeros(choices, np.int64)  # how many futures of each were handed out
        self._shared_asked = 0
        self._worth_of: tuple[int, dict[int, float]] = (-1, {})

    def tell(self, choice: int, future: int, loss: float) -> None:
        """A choice was tried in a future; a loss above all that was thought possible brings back who was out."""
        before = self.most
        super().tell(choice, future, loss)
        if self.most > before:
            self.out.clear()

    # -- who is best, and how sure that is -----------------------------------------------------------------------------

    @property
    def alive(self) -> list[int]:
        return [k for k in range(len(self.loss)) if k not in self.out]

    def best(self) -> int:
        """The choice that is ahead."""
        standing = self.standing()
        return min(self.alive, key=lambda k: (standing[k], k))

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

        First all choices in the first futures, `own_first` of them for those that need their own; then where one more is worth most for its cost.
        """
        last = self.loss.shape[1]
        if self._shared_asked < self.first:  # also where all choices need their own: a plan looks at the hazard as it comes
            return self._next_shared()
        own = [k for k in self.alive if self.own[k]]
        for k in own:
            if self._asked[k] < min(self._own_first, self._shared_asked):
                return self._of(k)
        if self.to_the_end and (task := self._next_shared()):
            return task
        if len(self.alive) == 1 and self.out:  # the race is over
            return None
        if self._told >= (1.0 + LOOK_AGAIN) * self._worth_of[0] or self._worth_of[1].keys() & self.out.keys():
            self._worth_of = (self._told, self._worths())
        worth_of = self._worth_of[1]
        if max(worth_of.values(), default=0.0) < PROVE_BELOW * self.most:
            return self._to_prove()
        for who, worth in sorted(worth_of.items(), key=lambda item: (-item[1], item[0])):
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

    def _worths(self) -> dict[int, float]:
        """What one more run is worth for its cost: by choice, and by -1 for the one that all others share."""
        alive = self.alive
        told = self.estimated()
        runs = np.array([np.isfinite(self.loss[k]).sum() for k in alive])
        who = np.where(self.own[alive], alive, -1)
        worth = worths(told.criterion[alive], told.unit[alive], runs, who, of=self.futures)
        return {k: value / (1.0 + self._pair_cost * (int((who == -1).sum()) if k == -1 else 1)) for k, value in worth.items()}
