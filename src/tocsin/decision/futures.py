"""Many futures of a hazard: drawn from what is known, run on all cores, the same for every plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.host import Compute
from tocsin.pack import Analogue, Effect, Future, Model, Scenario
from tocsin.science.sampling import choice, latin_hypercube, sobol
from tocsin.vocabulary import Footprint, InputError, Member, World, stack

Done = Callable[[int, int], None]


class Foreseen(msgspec.Struct, frozen=True):
    """The futures, what the hazard does in them, and its frames, (frame, member, place), if they were asked for."""

    futures: tuple[Future, ...]
    footprint: Footprint
    frame_s: tuple[float, ...]
    frames: NDArray[np.float32] | None
    notes: tuple[dict[str, float], ...]


def draw(model: Model, scenario: Scenario, *, first: int = 0) -> tuple[Future, ...]:
    """The scenario's futures from number `first` on: each uncertain knob spread out over what is known of it, all others at their usual value.

    One seed, one answer; and by Sobol's sequence a scenario with more members has the same futures and then new ones.
    """
    model.check(scenario)
    if first and scenario.sampling == "latin":
        raise InputError('scenario: a Latin hypercube cannot be grown; run it whole, or take sampling = "sobol"')
    count = scenario.members - first
    usual = {name: knob.usual for name, knob in model.knobs.items()} | {name: s.usual for name, s in scenario.knobs.items()}
    uncertain = sorted(name for name, s in scenario.knobs.items() if s.low < s.high)
    if scenario.members == 1:  # the one future is the usual one, and the likeliest storm, not a random one
        likeliest = max(scenario.analogues, key=lambda a: a.share, default=None)
        return (_future(scenario, 0, usual, likeliest),)
    dimensions = len(uncertain) + bool(scenario.analogues)
    if scenario.sampling == "latin":
        u = latin_hypercube(dimensions, scenario.members, scenario.seed)
    else:
        u = sobol(dimensions, count, scenario.seed, first=first)
    drawn = {name: scenario.knobs[name].at(u[:, k]) for k, name in enumerate(uncertain)}
    storm: list[Analogue | None] = [None] * count
    if scenario.analogues:
        storm = [scenario.analogues[k] for k in choice(u[:, -1], np.array([a.share for a in scenario.analogues]))]
    return tuple(
        _future(scenario, first + row, usual | {k: float(v[row]) for k, v in drawn.items()}, storm[row]) for row in range(count)
    )


def _future(scenario: Scenario, number: int, knobs: Mapping[str, float], storm: Analogue | None) -> Future:
    series = scenario.series if storm is None else {**scenario.series, **storm.series}
    seed = scenario.seed * 1_000_003 + number
    return Future(number, seed, scenario.duration_s, knobs, series, "" if storm is None else storm.name)


def foresee(
    world: World,
    model: Model,
    scenario: Scenario,
    compute: Compute,
    *,
    frame_s: Sequence[float] = (),
    on_done: Done | None = None,
) -> Foreseen:
    """Run every future of a scenario. A future that fails stops the run, and says which."""
    futures = draw(model, scenario)
    members = run_all(world, model, [(future, ()) for future in futures], compute, frame_s=frame_s, on_done=on_done)
    frames = np.stack([m.frames for m in members if m.frames is not None], axis=1) if frame_s else None
    return Foreseen(
        futures, stack(model.makes, scenario.duration_s, members), tuple(frame_s), frames, tuple(dict(m.notes) for m in members)
    )


def run_all(
    world: World,
    model: Model,
    runs: Sequence[tuple[Future, Sequence[Effect]]],
    compute: Compute,
    *,
    frame_s: Sequence[float] = (),
    on_done: Done | None = None,
) -> list[Member]:
    """Run futures, each with its own effects."""

    def one(run: tuple[Future, Sequence[Effect]]) -> Member:
        return model.play(world, run[0], run[1], frame_s)

    return compute.map(one, runs, on_done=None if on_done is None else lambda done: on_done(done, len(runs)))
