"""How fast an epidemic of agents is played, beside covasim on covasim's own people and networks' rules, in one run.

    python benchmarks/epidemic.py [--json] [--small]

Both play homes, schools, work and community, severity, beds, tests of those with symptoms, and contact tracing with quarantine, for 120 days. The
figure is seconds of one core for each infection, since the two do not infect the same people: the making of people is left out of both,
compiling too, and each is the best of three. covasim (pip install covasim; MIT) is wanted for the peer's row alone. Memory is the peak of a process
of its own that makes a million people and plays them.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tocsin.science.agents import Mixing, Steps, spread_among
from tocsin.science.agents_steps import NEW_IMPORTED, NEW_INFECTED
from tocsin.science.diseases import COVID_2020
from tocsin.science.people import Habits, Populace, make_people

sys.path.insert(0, str(Path(__file__).parents[1]))

DAYS, SEEDS = 120, 100
TESTED, TRACED = 0.1, 0.2
HABITS = Habits(home_mean=3.3, age_shares=(29.0, 31.0, 34.0, 34.0, 29.0, 24.0, 17.0, 9.0, 4.0))


def town(people: int, side: int = 100) -> Populace:
    x, y = (v.ravel() * 200.0 for v in np.meshgrid(np.arange(side), np.arange(side)))
    return make_people(
        np.full(side * side, people / side**2),
        x,
        y,
        np.zeros(side * side, np.int64),
        habits=HABITS,
        schools=None,
        works=None,
        seed=1,
    )


def doing(days: int) -> Steps:
    """What covasim's test_prob and contact_tracing do, as far as both have it: strangers are not traced."""
    trace = np.tile([TRACED, TRACED, TRACED, 0.0, 0.0, 0.0], (days, 1))
    return Steps(test=np.tile([TESTED, 0.0, 0.0], (days, 1)), trace=trace, result_days=0)


def best(work: Callable[[], tuple[float, float]], times: int = 3) -> tuple[float, float]:
    """The least seconds of `times`, with the infections of that run."""
    return min((work() for _ in range(times)), key=lambda told: told[0] / told[1])


def ours(populace: Populace, days: int) -> tuple[float, float]:
    first = np.arange(SEEDS) * (len(populace.people) // SEEDS)
    began = time.process_time()
    daily = spread_among(populace.people, COVID_2020, Mixing(), doing(days), days=days, seeds=first, seed=1).daily
    return time.process_time() - began, float(daily[:, [NEW_INFECTED, NEW_IMPORTED]].sum())


def on_their_people(people: int, days: int) -> tuple[Callable[[], tuple[float, float]], Callable[[], tuple[float, float]]]:
    """Runs of covasim and of ours on the same people."""
    import covasim
    from tests.science.covasim_twin import EQUAL, covasim_run, people_of

    def sim() -> object:
        measures = [
            covasim.test_prob(symp_prob=TESTED, asymp_prob=0.0),
            covasim.contact_tracing(
                trace_probs={"h": TRACED, "s": TRACED, "w": TRACED, "c": 0.0}, trace_time={"h": 1, "s": 1, "w": 1, "c": 1}
            ),
        ]
        return covasim_run(people, SEEDS, days, 1, interventions=measures)

    twin = people_of(sim())
    first = np.arange(SEEDS) * (len(twin) // SEEDS)

    def theirs() -> tuple[float, float]:
        made = sim()
        began = time.process_time()
        made.run()
        return time.process_time() - began, float(np.asarray(made.results.cum_infections)[-1])

    def mine() -> tuple[float, float]:
        began = time.process_time()
        daily = spread_among(twin, COVID_2020, EQUAL, doing(days), days=days, seeds=first, seed=1).daily
        return time.process_time() - began, float(daily[:, [NEW_INFECTED, NEW_IMPORTED]].sum())

    return theirs, mine


def resident_most_mb() -> float:
    """The most memory that this process has held (Linux). Not ru_maxrss, in which a child begins with its parent's."""
    row = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM"))
    return float(row.split()[1]) / 1024.0


def peak_mb(people: int) -> tuple[float, float, float, float]:
    """Of a process of its own: MB before anything was made and at its peak, infections, and seconds of its run."""
    code = (
        "import sys; sys.argv=['x']; from benchmarks.epidemic import *\n"
        f"ours(town(2_000), 2); a = resident_most_mb(); t = town({people}); s, n = ours(t, {DAYS})\n"
        "print(a, resident_most_mb(), n, s)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    ).stdout.split()
    return float(told[0]), float(told[1]), float(told[2]), float(told[3])


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--small", action="store_true", help="10,000 people instead of 100,000, and 100,000 instead of a million")
    args = asked.parse_args()
    count, large = (10_000, 100_000) if args.small else (100_000, 1_000_000)
    ours(town(2_000), 2)  # compile
    rows: dict[str, dict[str, float]] = {}
    seconds, infected = best(lambda: ours(town(count), DAYS))
    rows["ours, people of a town"] = {
        "people": count,
        "infected": infected,
        "s": seconds,
        "us_per_infection": 1e6 * seconds / infected,
    }
    try:
        theirs, mine = on_their_people(count, DAYS)
    except ImportError:
        print("covasim is not installed: no peer", file=sys.stderr)
    else:
        for name, run in (("covasim", theirs), ("ours, covasim's people", mine)):
            seconds, infected = best(run)
            rows[name] = {"people": count, "infected": infected, "s": seconds, "us_per_infection": 1e6 * seconds / infected}
        rows["covasim"]["times_ours"] = rows["covasim"]["us_per_infection"] / rows["ours, covasim's people"]["us_per_infection"]
    before, peak, infected, seconds = peak_mb(large)
    rows["ours, memory"] = {
        "people": large, "infected": infected, "s": seconds, "us_per_infection": 1e6 * seconds / infected, "peak_mb": peak, "before_mb": before,
    }  # fmt: skip
    if args.json:
        print(json.dumps({"machine": platform.processor() or platform.machine(), "rows": rows}, indent=1))
        return
    for name, row in rows.items():
        print(f"{name:26s}" + "  ".join(f"{k} {v:,.4g}" for k, v in row.items()))


if __name__ == "__main__":
    main()
