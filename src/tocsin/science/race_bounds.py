"""What is sure of a race though one looks after every future: bets that "it is as good", in a game that would be fair if it were.

No bound rests on an estimate or a sketch, so none fails by one, however wrong. Bets on what a sketch does not tell were tried and proved less, not
more: with some of 200 futures run, what limits a bound of a worst tenth is how far apart two losses might be where nobody looked, and not how they
scatter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tocsin.science.keyed import keyed_uniforms
from tocsin.science.race_criterion import Criterion
from tocsin.vocabulary.errors import InputError

Floats = NDArray[np.float64]

STAKES = np.array([0.1, 0.5])
CELLS = 48
LEVELS = np.array([0.75, 1.0])  # quantiles of what is known of the better one: near where its worst tenth may begin


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
