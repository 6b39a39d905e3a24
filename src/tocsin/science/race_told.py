"""What has been told in a race: the losses of each choice in each future, sketches of them, and who is ahead by these."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.science.race_criterion import Criterion, line_of
from tocsin.science.race_estimate import TAIL_SEEN, Estimate, estimate
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

# From so many runs on sketches put an estimate right: the first 8 of Sobol's points are balanced by themselves, and with them alone the
# estimates of 15 plans on 200 floods of Porto Alegre were worse with sketches than without; with 16 and more they were better.
SKETCHES_FROM = 16


class Told:
    """Losses by choice and future, in any order; futures are numbered by their place in the race's order."""

    def __init__(self, choices: int, futures: int, criterion: Criterion, most: float) -> None:
        self.loss = np.full((choices, futures), np.nan)
        self.sketch = np.full((choices, futures), np.nan)
        self.criterion, self.most = criterion, most
        self.left_out: set[int] = set()
        self._end = np.zeros(choices, np.int64)
        self._told = 0
        self._estimate: tuple[int, Estimate] = (-1, Estimate(np.empty(0), np.empty(0)))

    def tell(self, choice: int, future: int, loss: float) -> None:
        """A choice was tried in a future."""
        if not (np.isfinite(loss) and loss >= 0.0):
            raise InputError(f"race: choice {choice} lost {loss} in future {future}; wanted a number, 0 or more")
        self.loss[choice, future] = loss
        self._told += 1
        if loss > self.most:
            self.most = loss

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

    def estimated(self) -> Estimate:
        """The criterion of each choice, (choice,), as far as it can be told by all that was run, and what one run scatters it; +inf if untried.

        For the order of spending, and for who leads: no bound may rest on it. Where there are sketches, brought to all futures by them.
        """
        if self._estimate[0] != self._told:
            sketched = bool(np.isfinite(self.sketch).any())
            self._estimate = self._told, self._by_sketches() if sketched else estimate(self.loss, self.criterion, self.futures)
        return self._estimate[1]

    def standing(self) -> Floats:
        """The criterion of each choice, (choice,), as it is estimated; +inf if untried."""
        return self.estimated().criterion

    def _by_sketches(self) -> Estimate:
        """Each brought to the futures of the one that has most by their difference."""
        told, unit = np.full(len(self.loss), np.inf), np.full(len(self.loss), np.inf)
        tried = [self.tried(k) for k in range(len(self.loss))]
        if not max(tried):
            return Estimate(told, unit)
        longest = int(np.argmax(tried))
        whole = self.estimate(longest, self._kept(longest))
        for k, count in enumerate(tried):
            if count:
                told[k] = whole + self._lead(k, longest)
        ahead = int(np.argmin(told))
        for k, count in enumerate(tried):
            if count and k != ahead:  # half of what a pair scatters is of each
                unit[k] = self._unit(k, ahead) / np.sqrt(2.0)
        others = unit[np.isfinite(unit)]
        unit[ahead] = float(np.median(others)) if others.size else 0.0
        return Estimate(told, unit)

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
