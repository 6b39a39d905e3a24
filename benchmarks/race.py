"""How many simulations a race saves: runs to the same opportunity cost as uniform independent Monte Carlo, where the truth is known.

python benchmarks/race.py [--repeats 100] [--seed 1000] [--families alone,...] [--until 100] [--coverage] [--json]

Families, described before they were run and never tuned on the seeds that are reported:
- `alone`: ten choices, each needs its own simulation. Losses are max(0, common + own), common ~ N(50, 15) shared by all choices of a future, own ~
  N(mean_k, 5), mean_k = 0, 1, 2, ..., 9 in a random order.
- `shared`: the same losses, and one simulation serves all choices (plans that leave the hazard as it is).
- `mixed`: the same losses; five choices share a simulation and five need their own.
- `skewed`: as alone, with common ~ 20 * Gamma(2) and own ~ N(mean_k, 3 + k / 3): the tail and the mean disagree.

Two in which what choices have in common misleads, since tails go against means:
- `opposite`: as alone, and where common is in its worst tenth choice k loses 3 * (9 - k) more: the best on average is the worst of all, and the reverse.
- `overtopped`: as alone, and the choice with the least mean loses 30 more where common is in its worst 8 %.

Opportunity cost: criterion (half mean, half worst tenth) of what was chosen less that of the best, over the family's own 20,000 futures. Uniform
independent Monte Carlo gives each choice the same number of futures of its own. A simulation is one run of the hazard: a shared one counts once.
The peer in between, uniform with common futures, shows how much of the gain is pairing alone.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
from numpy.typing import NDArray

from tocsin.science.race import Race
from tocsin.science.race_criterion import Criterion

Floats = NDArray[np.float64]
CHOICES, POPULATION, FUTURES = 10, 20_000, 400
BUDGETS = (50, 70, 100, 150, 250)
FAMILIES = ("alone", "shared", "mixed", "skewed", "opposite", "overtopped")
UNIFORM = (100, 250, 600, 1_500, 4_000, 10_000, 25_000)
CRITERION = Criterion()


def family(name: str, rng: np.random.Generator) -> tuple[Floats, list[bool]]:
    """The losses of every choice in every future of the population, and which choices need their own simulation."""
    order = rng.permutation(CHOICES)
    if name == "skewed":
        common = 20.0 * rng.gamma(2.0, 1.0, POPULATION)
        own = rng.normal(order[:, None], 3.0 + order[:, None] / 3.0, (CHOICES, POPULATION))
    else:
        common = rng.normal(50.0, 15.0, POPULATION)
        own = rng.normal(order[:, None], 5.0, (CHOICES, POPULATION))
    if name == "opposite":
        own += (common > np.quantile(common, 0.9)) * 3.0 * (9.0 - order[:, None])
    if name == "overtopped":
        own += (common > np.quantile(common, 0.92)) * 30.0 * (order[:, None] == 0)
    needs_own = {"shared": [False] * CHOICES, "mixed": [k % 2 == 0 for k in range(CHOICES)]}
    return np.maximum(0.0, common + own), needs_own.get(name, [True] * CHOICES)


def raced(losses: Floats, own: list[bool], budgets: tuple[int, ...], rng: np.random.Generator) -> list[int]:
    """The choice of a race after so many simulations; shared runs that only an own run waits for are not counted: there is no hazard here."""
    picked = rng.integers(0, POPULATION, FUTURES)
    race = Race(CHOICES, FUTURES, most=float(losses.max()), own=own)
    spent, chosen = 0, []
    anybody_shares = not all(own)
    for budget in budgets:
        while spent < budget and (task := race.ask()) is not None:
            who, n = task
            if who is None:
                spent += anybody_shares
                for k in (k for k in race.alive if not own[k]):
                    race.tell(k, n, losses[k, picked[n]])
            else:
                spent += 1
                race.tell(who, n, losses[who, picked[n]])
        chosen.append(race.best())
    return chosen


def uniform(losses: Floats, budget: int, rng: np.random.Generator, *, common: bool) -> int:
    """The choice after each choice had the same number of futures, its own or those of all."""
    each = max(1, budget // CHOICES)
    rows = [rng.integers(0, POPULATION, each)] * CHOICES if common else rng.integers(0, POPULATION, (CHOICES, each))
    return int(np.argmin([CRITERION.of(losses[k, rows[k]]) for k in range(CHOICES)]))


def needed(budgets: tuple[int, ...], costs: Floats, wanted: float) -> float:
    """How many simulations reach an opportunity cost, between budgets by lines in the logarithm of both; inf where none does."""
    smooth = np.minimum.accumulate(costs)
    below = np.flatnonzero(smooth <= wanted)
    if not below.size:
        return float("inf")
    k = int(below[0])
    if k == 0:
        return float(budgets[0])
    x = np.log(budgets[k - 1 : k + 1])
    y = np.log(np.maximum(smooth[k - 1 : k + 1], 1e-9))
    return float(np.exp(np.interp(-np.log(max(wanted, 1e-9)), -y, x)))


def gains(budgets: tuple[int, ...], independent: Floats, raced_to: Floats, spent: int) -> tuple[float, float]:
    """Between which the gain over independent futures lies, by 1,000 draws of the repeats (Efron 1979): the 5th and 95th of a hundred."""
    rng = np.random.default_rng(7)
    told = []
    for _ in range(1_000):
        which = rng.integers(0, len(raced_to), len(raced_to))
        told.append(needed(budgets, independent[which].mean(axis=0), float(raced_to[which].mean())) / spent)
    low, high = np.quantile(told, [0.05, 0.95], method="nearest")
    return float(low), float(high)


def covered(repeats: int, seed: int, kind: str) -> int:
    """In how many of `repeats` races of three choices, with a look after every one of 60 futures, the true best was never put out at 95 %."""
    kept = 0
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat, sum(kind.encode())])
        common = rng.gamma(2.0, 1.0, 60)
        losses = np.clip(common + rng.uniform(-0.5, 0.5, (3, 60)) + np.array([[0.0], [0.02], [0.05]]), 0.0, 10.0)
        sketch = {"good": losses + rng.uniform(0.0, 0.1, losses.shape), "upside down": 10.0 - losses, "none": None}[kind]
        apart = float(max((losses[a] - losses[b]).max() for a in range(3) for b in range(3))) / 10.0
        race = Race(3, 60, most=10.0, first=4, sure=0.95, apart=lambda _one, _other, apart=apart: apart)  # type: ignore[misc]
        order = np.concatenate([np.arange(4), 4 + rng.permutation(56)])
        if sketch is not None:
            race.tell_sketches(sketch[:, order])
        best = int(np.argmin([CRITERION.of(row) for row in losses]))
        for n in range(59):
            for k in range(3):
                race.tell(k, n, losses[k, order[n]])
            race.judge()
        kept += best not in race.out
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--until", type=int, default=max(BUDGETS), help="no budget beyond this one, but 100 at least")
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--coverage",
        action="store_true",
        help="instead: how often the true best stays in, with sketches good, upside down and none",
    )
    asked = parser.parse_args()
    if asked.coverage:
        for kind in ("none", "good", "upside down"):
            print(
                f"sketch {kind}: the best stayed in {covered(asked.repeats, asked.seed, kind)} of {asked.repeats} races (95 % promised)",
                flush=True,
            )
        return
    told = {}
    budgets = tuple(b for b in BUDGETS if b <= max(asked.until, BUDGETS[2]))
    for name in asked.families.split(","):
        costs = np.zeros((asked.repeats, len(budgets)))
        apart, paired = (np.zeros((asked.repeats, len(UNIFORM))) for _ in range(2))
        for repeat in range(asked.repeats):
            rng = np.random.default_rng([asked.seed, repeat, sum(name.encode())])
            losses, own = family(name, rng)
            truth = np.array([CRITERION.of(row) for row in losses])
            costs[repeat] = truth[raced(losses, own, budgets, rng)] - truth.min()
            apart[repeat] = [truth[uniform(losses, b, rng, common=False)] - truth.min() for b in UNIFORM]
            paired[repeat] = [truth[uniform(losses, b, rng, common=True)] - truth.min() for b in UNIFORM]
        ours = costs.mean(axis=0)
        error = costs.std(axis=0, ddof=1) / np.sqrt(asked.repeats)
        alone, together = (needed(UNIFORM, c.mean(axis=0), w) for c, w in ((apart, ours[2]), (paired, ours[2])))
        low, high = gains(UNIFORM, apart, costs[:, 2], BUDGETS[2])
        told[name] = {
            "gain_90_percent": [low, high],
            "race": dict(zip(map(str, budgets), ours.tolist(), strict=True)),
            "standard_error": dict(zip(map(str, budgets), error.tolist(), strict=True)),
            "uniform_independent": dict(zip(map(str, UNIFORM), apart.mean(axis=0).tolist(), strict=True)),
            "uniform_common": dict(zip(map(str, UNIFORM), paired.mean(axis=0).tolist(), strict=True)),
            "independent_needs": alone,
            "common_needs": together,
            "gain": alone / BUDGETS[2],
        }
        if not asked.json:
            print(
                f"{name}: opportunity cost after {BUDGETS[2]} simulations of the race: {ours[2]:.3f} (standard error {error[2]:.3f})"
            )
            print("  race        " + "".join(f"{b:>8}: {c:.3f}" for b, c in zip(budgets, ours, strict=True)))
            print("  independent " + "".join(f"{b:>8}: {c:.3f}" for b, c in zip(UNIFORM, apart.mean(axis=0), strict=True)))
            print("  common      " + "".join(f"{b:>8}: {c:.3f}" for b, c in zip(UNIFORM, paired.mean(axis=0), strict=True)))
            print(
                f"  the same from independent futures: {alone:,.0f} simulations, 1/{alone / BUDGETS[2]:.0f} (90 %: 1/{low:.0f} to 1/{high:.0f}); common futures: {together:,.0f}"
            )
            sys.stdout.flush()
    if asked.json:
        print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
