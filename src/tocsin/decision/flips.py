"""What would flip the choice, one sentence each: how the future comes out, what counts how much, which limits hold, how many futures were tried.

Each is told only where the futures show it (science/worth.turning_point) or where it follows from the numbers in the table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.decision.outcomes import HARM
from tocsin.decision.setting import Setting
from tocsin.decision.standing import Standing
from tocsin.science.worth import turning_point
from tocsin.vocabulary import Breach, Flip, Margin

Floats = NDArray[np.float64]

RIVALS_MOST = 3
FUTURES_WORTH_RUNNING = 100_000


def future_flips(standing: Standing, setting: Setting, order: Sequence[int]) -> list[Flip]:
    """For each thing that one could learn of the future, from where on another plan leaves fewer in danger; the likeliest first."""
    outcomes, first = standing.outcomes, order[0]
    rivals = order[1 : 1 + RIVALS_MOST]
    tests = max(1, len(rivals) * len(setting.signals))
    found: dict[str, Flip] = {}
    for signal in setting.signals:
        for rival in rivals:
            both = standing.common([first, rival])
            saves = (outcomes.figures[HARM][rival] - outcomes.figures[HARM][first])[both]
            turn = turning_point(
                saves, signal.value[both], np.random.default_rng(0), weight=outcomes.weight[both], tests=tests, shuffles=max(400, 40 * tests)
            ) if both.any() else None  # fmt: skip
            if turn is None or turn.by < 0.5 or (signal.name in found and found[signal.name].share >= turn.share):  # type: ignore[operator]
                continue
            name = outcomes.plans[rival].name
            found[signal.name] = Flip(
                "future",
                name,
                f"If {signal.beyond(turn.at, above=turn.above)}, {name!r} is better: {turn.by:,.0f} fewer {setting.harmed} there, "
                f"{turn.share:.0%} of the futures.",
                signal.name,
                turn.at,
                turn.above,
                signal.unit,
                turn.share,
            )
    return sorted(found.values(), key=lambda flip: -(flip.share or 0.0))


def weight_flip(
    names: Sequence[str], means: Sequence[float], tails: Sequence[float], plans: Sequence[int], first: int, mean_weight: float
) -> list[Flip]:
    """From which weight of the average against the worst tenth another of these plans would be first."""
    found = []
    for wanted, heavier in ((0.0, False), (1.0, True)):
        best = min(plans, key=lambda k: (wanted * means[k] + (1 - wanted) * tails[k], k != first))
        if best == first or abs(_weighed(means, tails, best, wanted) - _weighed(means, tails, first, wanted)) < 0.5:
            continue
        more_mean, more_tail = means[best] - means[first], tails[best] - tails[first]
        at = more_tail / (more_tail - more_mean) if more_tail != more_mean else -1.0
        if not 0.0 <= at <= 1.0:
            continue  # better in both, and behind for another reason: by cost, or by a limit
        what = "on the average" if heavier else "on the worst tenth"
        share = at if heavier else 1.0 - at
        found.append(
            Flip(
                "weight",
                names[best],
                f"If more than {share:.0%} of the weight lay {what} (now {mean_weight if heavier else 1 - mean_weight:.0%}), {names[best]!r} would be first.",
                "mean weight",
                at,
                heavier,
            )
        )
    return found


def _weighed(means: Sequence[float], tails: Sequence[float], k: int, mean_weight: float) -> float:
    return mean_weight * means[k] + (1.0 - mean_weight) * tails[k]


def limit_flips(
    names: Sequence[str], order: Sequence[int], free_order: Sequence[int], breaches: Sequence[Sequence[Breach]]
) -> list[Flip]:
    """Where a hard limit keeps the plan from the first place that would have it."""
    kept = free_order[0]
    if kept == order[0]:
        return []
    broken = [breach for breach in breaches[kept] if breach.broken]
    worst = max(broken, key=lambda breach: breach.chance - breach.permitted)
    told = " and ".join(breach.limit for breach in broken)
    or_with = (
        f", or with {worst.chance:.0%} of the futures permitted to break it" if len(broken) == 1 and worst.chance < 1.0 else ""
    )
    words = f"Without the limit {told}{or_with}, {names[kept]!r} would be first."
    return [Flip("limit", names[kept], words, worst.limit, worst.chance, True)]


def number_flip(margin: Margin | None, second: str) -> list[Flip]:
    """How many futures would tell the first two apart, where these do not."""
    if (
        margin is None
        or margin.low is None
        or margin.high is None
        or not margin.low <= 0.0 <= margin.high
        or margin.high - margin.low < 1.0
    ):
        return []
    half = (margin.high - margin.low) / 2.0
    need = np.inf if margin.mean == 0.0 else margin.futures * (half / abs(margin.mean)) ** 2
    if need > FUTURES_WORTH_RUNNING:
        return [
            Flip(
                "number",
                second,
                f"No number of futures that can be run would tell it from {second!r}: take what is simpler, or find out more.",
            )
        ]
    return [
        Flip(
            "number",
            second,
            f"About {max(need, margin.futures + 1):,.0f} futures would tell it from {second!r}; there were {margin.futures:,}.",
            "futures",
            float(need),
            True,
        )
    ]


def price(
    names: Sequence[str], spent: Sequence[float], order: Sequence[int], margin: Margin | None, currency: str, harmed: str
) -> list[Flip]:
    """What the first spends for each person that it keeps out of danger beside the runner-up, where it surely keeps some and spends more."""
    if margin is None or margin.low is None or margin.low < 0.5:
        return []
    first, second = order[0], order[1]
    more = spent[first] - spent[second]
    if more <= 0.0:
        return []
    each = more / margin.mean
    words = f"It spends or loses {more:,.0f} {currency} more than {names[second]!r}: {each:,.0f} {currency} for each one fewer of the {harmed}."
    return [Flip("price", names[second], words, "per person", each, None, currency)]
