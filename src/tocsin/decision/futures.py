"""Many futures of a hazard: drawn from what is known, run on all cores, the same for every plan."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.host import Compute, Fault
from tocsin.pack import Analogue, Effect, Future, Model, Scenario
from tocsin.science.sampling import choice, latin_hypercube, sobol
from tocsin.vocabulary import Footprint, InputError, Member, TocsinError, World, stack

Done = Callable[[int, int], None]
FAILED_SHARE_MOST = (
    0.05  # of the futures; a choice of ours: a twentieth moves a mean little, and is as much as half of the worst tenth
)


class Failure(msgspec.Struct, frozen=True):
    """A future that its model could not play: which, from which seed it can be played again, and why."""

    number: int
    seed: int
    reason: str

    def words(self) -> str:
        """As it is told to people."""
        return f"number {self.number} (seed {self.seed}): {self.reason}"


class Foreseen(msgspec.Struct, frozen=True):
    """The futures, what the hazard does in them, and its frames, (frame, member, place), if they were asked for.

    `failed` are those that their model could not play; they are in none of the other parts. `shown` are frames of what sensors of other quantities
    would show, by quantity name.
    """

    futures: tuple[Future, ...]
    footprint: Footprint
    frame_s: tuple[float, ...]
    frames: NDArray[np.float32] | None
    notes: tuple[dict[str, float], ...]
    failed: tuple[Failure, ...] = ()
    shown: Mapping[str, NDArray[np.float32]] = {}


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
        likeliest = max(scenario.analogues[: 1 if scenario.paired else None], key=lambda a: a.share, default=None)
        return (_future(scenario, 0, usual, likeliest),)
    by_chance = bool(scenario.analogues) and not scenario.paired
    dimensions = len(uncertain) + by_chance
    if scenario.sampling == "latin":
        u = latin_hypercube(dimensions, scenario.members, scenario.seed)
    else:
        u = sobol(dimensions, count, scenario.seed, first=first)
    drawn = {name: scenario.knobs[name].at(u[:, k]) for k, name in enumerate(uncertain)}
    storm: list[Analogue | None] = [None] * count
    if scenario.paired and scenario.analogues:
        storm = [scenario.analogues[(first + row) % len(scenario.analogues)] for row in range(count)]
    if by_chance:
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
    failed_share_most: float = FAILED_SHARE_MOST,
    on_done: Done | None = None,
) -> Foreseen:
    """Run every future of a scenario. Those that fail are told; more than `failed_share_most` of them stop the run."""
    futures = draw(model, scenario)
    members: dict[int, Member] = {}
    failed: list[Failure] = []
    with closing(play_each(world, model, [(future, ()) for future in futures], compute, frame_s=frame_s)) as runs:
        for number, came in runs:
            if isinstance(came, Member):
                members[number] = came
            else:
                failed.append(Failure(number, futures[number].seed, str(came.error)))
                refuse_too_many(failed, len(futures), came.error, failed_share_most)
            if on_done is not None:
                on_done(len(members) + len(failed), len(futures))
    return foreseen_of(model, scenario, futures, members, frame_s, failed)


def foreseen_of(
    model: Model,
    scenario: Scenario,
    futures: Sequence[Future],
    members: Mapping[int, Member],
    frame_s: Sequence[float] = (),
    failed: Sequence[Failure] = (),
) -> Foreseen:
    """Put together what was run, by number."""
    order = sorted(members)
    made = [members[number] for number in order]
    frames = np.stack([m.frames for m in made if m.frames is not None], axis=1) if frame_s else None
    return Foreseen(
        tuple(future for future in futures if future.number in members),
        stack(model.makes, scenario.duration_s, made),
        tuple(frame_s),
        frames,
        tuple(dict(m.notes) for m in made),
        tuple(sorted(failed, key=lambda f: f.number)),
        _shown(made) if frame_s else {},
    )


def _shown(made: Sequence[Member]) -> dict[str, NDArray[np.float32]]:
    """What the runs' frames show besides the hazard; zero where a run shows nothing of a quantity (a gas that is not let go in it)."""
    alike = {name: values for member in made for name, values in member.shown.items()}
    return {
        name: np.stack([m.shown[name] if name in m.shown else np.zeros_like(one) for m in made], axis=1)
        for name, one in alike.items()
    }


def refuse_too_many(failed: Sequence[Failure], of: int, error: TocsinError, share_most: float = FAILED_SHARE_MOST) -> None:
    """Raise, as the kind of error that came last, where more than `share_most` of all futures have failed."""
    if len(failed) > share_most * of:
        told = "; ".join(f.words() for f in failed[:3])
        raise type(error)(
            f"futures: {len(failed)} of {of} failed, wanted at most {share_most:.0%}: {told}; mend the scenario or the model: "
            "what is left would not be what was asked"
        )


def play_each(
    world: World,
    model: Model,
    runs: Iterable[tuple[Future, Sequence[Effect]]],
    compute: Compute,
    *,
    frame_s: Sequence[float] = (),
) -> Generator[tuple[int, Member | Fault], None, None]:
    """Run futures, each with its own effects: (its place among the runs, what came of it), as they are finished."""
    return compute.each(_play, (world, model, tuple(frame_s)), runs)


def _play(shared: tuple[World, Model, tuple[float, ...]], run: tuple[Future, Sequence[Effect]]) -> Member:
    world, model, frame_s = shared
    return model.play(world, run[0], run[1], frame_s)
