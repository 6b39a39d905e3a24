"""What a plan leaves of power, water, telecom and hospitals in one future: the risk chains as plans are tried with them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from tocsin.decision.chain_graph import Graph, graph_of
from tocsin.decision.chains import figure_units, hits_of, persons_of, service_figures
from tocsin.decision.impact import Ways
from tocsin.decision.interpret import Course
from tocsin.pack import Effect, Future, Pack, Plan
from tocsin.pack.chain import ACCESS, together
from tocsin.vocabulary import Footprint, World

Floats = NDArray[np.float64]


class Lifelines(msgspec.Struct, frozen=True):
    """The risk points of a place as plans are tried in it: the same for all plans and futures.

    `persons` are the people of each service's groups, in the order of `graph.served`; `units` are those of the figures.
    """

    world: World
    pack: Pack
    graph: Graph
    hour: float
    ways: Ways
    persons: tuple[Floats, ...]
    units: Mapping[str, str]

    @classmethod
    def of(cls, world: World, pack: Pack | None, hour: float, ways: Ways) -> Lifelines | None:
        """None where the twin has nothing that could fail, or the pack says nothing of chains: then no figure of services is told."""
        if pack is None or not pack.chain:
            return None
        graph = graph_of(world, [pack])
        if not graph.nodes:
            return None
        return cls(world, pack, graph, hour, ways, persons_of(graph, world.people(hour)), figure_units(graph))

    def taken(self, footprint: Footprint, future: Future) -> Floats:
        """When the hazard takes each risk point if nobody does anything about it, (1, node): the same for all plans that let it be."""
        return hits_of(self.world, self.pack, footprint, [future], graph=self.graph, ways=self.ways)

    def left(self, footprint: Footprint, future: Future, taken: Floats, effects: tuple[Effect, ...] = ()) -> dict[str, float]:
        """The figures of one future, with what was done about the chains."""
        told = service_figures(
            self.world,
            self.pack,
            footprint,
            [effects],
            [future],
            hour=self.hour,
            graph=self.graph,
            hits=taken,
            persons=self.persons,
        )
        return {name: float(values[0]) for name, values in told.figures.items()}

    def effects(self, plan: Plan, course: Course) -> tuple[Effect, ...]:
        """What a plan did about the chains in one future, from when on; empty for a plan that leaves them alone."""
        verbs = self.graph.chains.verbs
        return tuple(
            Effect(effect.verb, effect.target, effect.amount, done.end_s)
            for action, done in zip(plan.actions, course.done, strict=True)
            if done.end_s is not None
            for effect in action.effects
            if effect.verb in verbs
        )


def service_names(world: World, pack: Pack | None) -> tuple[str, ...]:
    """The figures that `Lifelines.left` tells in this place, known before anything is run."""
    if pack is None or not pack.chain:
        return ()
    chains = together({pack.hazard: pack.chain})
    there = [kind for kind in chains.kinds if kind != ACCESS and len(world.assets(kind))]
    served = [service.name for service in chains.services if service.kind in there]
    return (*served, *(f"{name}_hours" for name in served), *(f"{kind}_out" for kind in there))
