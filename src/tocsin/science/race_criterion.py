"""What a race of choices is for: the least of w * mean + (1 - w) * the mean of the worst futures, from losses and from sketches of them."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SKETCH_PAIRS = 4  # losses beside their sketches, from which on a slope between them is believed


class Criterion(msgspec.Struct, frozen=True):
    """What is to be least: `mean_weight` of the mean and the rest of the mean of the worst `tail` share of the futures."""

    tail: float = 0.1
    mean_weight: float = 0.5

    def of(self, losses: Floats) -> float:
        """The criterion of equally likely losses, (future,): Rockafellar & Uryasev 2002, eq. 25, and the mean."""
        return float(self.mean_weight * losses.mean() + (1.0 - self.mean_weight) * self._worst(losses))

    def _worst(self, losses: Floats) -> float:
        worst = np.sort(losses)[::-1]
        weight = np.clip(self.tail * losses.size - np.arange(losses.size), 0.0, 1.0)
        return float((worst * weight).sum() / weight.sum())

    def _level(self, losses: Floats) -> float:
        return float(np.sort(losses)[::-1][min(losses.size - 1, int(self.tail * losses.size))])

    def influence(self, losses: Floats) -> Floats:
        """What each future adds to the criterion, (future,), with the mean of all equal to it: Rockafellar & Uryasev 2000, eq. 4."""
        level = self._level(losses)
        tail = np.maximum(losses - level, 0.0) / self.tail
        return np.asarray(self.mean_weight * losses + (1.0 - self.mean_weight) * (level + tail))

    def excess(self, losses: Floats) -> float:
        """How much worse the worst `tail` of the losses is than their mean."""
        return self._worst(losses) - float(losses.mean())

    def excess_influence(self, losses: Floats) -> Floats:
        """What each future adds to `excess`, (future,)."""
        level = self._level(losses)
        return np.asarray(level + np.maximum(losses - level, 0.0) / self.tail - losses)

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
