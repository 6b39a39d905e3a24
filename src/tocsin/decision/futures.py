"""Many futures of a hazard: drawn from what is known, run on all cores, the same for every plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.host import Compute
from tocsin.pack import Effect, Future, Model, Scenario
from tocsin.science.sampling import latin_hypercube
from tocsin.vocabulary import Footprint, Member, World, stack

Done = Callable[[int, int], None]


class Foreseen(msgspec.Struct, frozen=True):
    """The futures, what the hazard does in them, and its frames, (frame, member, place), if they were asked for."""

    futures: tuple[Future, ...]
    footprint: Footprint
    frame_s: tuple[float, ...]
    frames: NDArray[np.float32] | None
    notes: tuple[dict[str, float], ...]


def draw(model: Model, scenario: Scenario) -> tuple[Future, ...]:
    """The scenario's futures: each knob that is uncertain by Latin hypercube, all others at their usual value. One seed, one answer."""
    model.check(scenario)
    spreads = {name: (knob.usual, knob.usual, knob.usual) for name, knob in model.knobs.items()}
    spreads |= {name: (s.low, s.usual, s.high) for name, s in scenario.knobs.items()}
    if scenario.members == 1:  # the one future is the usual one, not a random one
        spreads = {name: (usual, usual, usual) for name, (_, usual, _) in spreads.items()}
    drawn = latin_hypercube(spreads, scenario.members, np.random.default_rng(scenario.seed))
    return tuple(
        Future(
            number,
            scenario.seed * 1_000_003 + number,
            scenario.duration_s,
            {k: float(v[number]) for k, v in drawn.items()},
            scenario.series,
        )
        for number in range(scenario.members)
    )


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
