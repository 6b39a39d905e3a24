"""How long a plan takes to be carried out in a simulated future, beside an interpreter that looks at its facts every 5 min.

The peer is the same `step`, called at every look as an execution does; both give the same course (tests/flows/test_execute.py).

    python benchmarks/plan_steps.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from tocsin.decision.interpret import LOOK_S, duration_s, play, step
from tocsin.decision.progress import Happening, Script, after, at_first
from tocsin.pack import Future, Plan, PlanLevel, find_pack
from tocsin.pack.trigger import Fact, Judge
from tocsin.testing.tiny import TinyWorld
from tocsin.vocabulary import Level

FUTURES = 100
DAY_S = 86_400.0


class Calm:
    """A lake at 1 m and no rain."""

    def at(self, name: str, place: str, time_s: float) -> Fact | None:  # noqa: ARG002
        return Fact(time_s / 3600.0, "h") if name == "hours" else Fact(1.0, "m")


def every_look(script: Script, future: Future) -> None:
    """Step at each look until all is over or the day ends."""
    plan, judge, state = script.plan, Judge(Calm()), at_first(script.plan)
    actions, ends = {a.name: a for a in plan.actions}, dict[str, float]()
    now_s = 0.0
    while now_s <= DAY_S and not state.is_over:
        for name in [n for n, end_s in ends.items() if end_s <= now_s]:
            state = after(plan, state, [Happening("done", name, ends.pop(name))])
        state, happened = step(script, state, judge, now_s)
        ends |= {h.name: now_s + duration_s(actions[h.name], future) for h in happened if h.kind == "started"}
        now_s = min([(now_s // LOOK_S + 1) * LOOK_S, *ends.values()])


def cases() -> dict[str, Plan]:
    """The pack's plans, one whose guard waits for a day, and one whose level does."""
    plans = {plan.name: plan for plan in find_pack("flood").plans(TinyWorld())}
    base = plans["evacuate"]
    waits = tuple(msgspec.structs.replace(a, when="level_m@lake > 3 m" if a.when else "") for a in base.actions)
    level = PlanLevel("II", Level.ORANGE, "level_m@lake > 3 m for 15 min", "level_m@lake < 2.5 m for 30 min", automatic=True)
    called = tuple(msgspec.structs.replace(a, level="II") for a in base.actions)
    return plans | {
        "a guard waits for a day": msgspec.structs.replace(base, actions=waits),
        "a level waits for a day": msgspec.structs.replace(base, actions=called, levels=(level,)),
    }


def timed_ms(work: Callable[[Future], object]) -> float:
    """The mean over the futures, ms; the first one warms up."""
    futures = [Future(n, n, DAY_S, {}) for n in range(FUTURES)]
    work(futures[0])
    began = time.perf_counter()
    for future in futures:
        work(future)
    return (time.perf_counter() - began) / FUTURES * 1e3


def main() -> None:
    print(f"{'plan':<32}{'play, ms':>10}{'every look, ms':>16}{'ratio':>8}")
    for name, plan in cases().items():
        script = Script(plan)
        ours, peer = timed_ms(lambda f, s=script: play(s, f, Calm())), timed_ms(lambda f, s=script: every_look(s, f))  # type: ignore[misc]
        print(f"{name:<32}{ours:>10.2f}{peer:>16.2f}{peer / ours:>8.1f}")


if __name__ == "__main__":
    main()
