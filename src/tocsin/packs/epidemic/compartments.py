"""The fast twin of the agents: compartments by zone, for a first look and for many futures; knows no homes and no chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.pack import Effect, Future, Model
from tocsin.pack.places import places_of
from tocsin.packs.epidemic.model import (
    AGENT_KNOBS,
    CLOSED_BY,
    CLOSURES,
    DAY_S,
    KNOBS,
    SERIES,
    begins,
    contact_factors,
    courses_of,
    days_of,
    disease_of,
    rows_of,
)
from tocsin.packs.epidemic.populace import AGES_BRAZIL, NIGHT_H
from tocsin.packs.epidemic.quantities import INFECTED_SHARE, SEVERE_SHARE
from tocsin.science.agents import DAYS_MOST, Disease, Mixing
from tocsin.science.agents_steps import FAR, HOME, WORK
from tocsin.science.compartments import INFECTED, SEVERE, D, H, Stages, spread_in_groups
from tocsin.vocabulary import InputError, Member, World

LAYERS = FAR + 1  # shelters are known to the agents alone
SCHOOL_SHARE, WORK_SHARE = 0.19, 0.39  # of people, with Brazil's ages and the habits of `tocsin.science.people`

# By disease and transmission factor: what is left of naive_rates in the layers home, school, work, near, far once people meet the same few again,
# differ in how they infect (a few infect most) and in how they are infected (children less); the power of the susceptible share that joins R to the
# final size; and the days that one is infectious for exponential waits to grow as the agents' generations do (Wallinga & Lipsitch 2007, Proc. R.
# Soc. B 274:599-604). Told by agents of a made-up town of 30,000, eight runs each: `python -m tests.packs.epidemic_fit`; a test holds them to it.
FITTED: tuple[tuple[tuple[float, ...], ...], ...] = (
    (
        (0.6, 0.778, 0.432, 1.145, 1.053, 0.994, 0.930, 3.407),
        (0.8, 0.680, 0.403, 1.081, 1.004, 1.024, 0.968, 3.585),
        (1.0, 0.626, 0.415, 0.950, 0.977, 1.001, 0.975, 3.710),
        (1.5, 0.501, 0.393, 0.831, 0.907, 0.945, 0.984, 3.775),
        (2.0, 0.417, 0.363, 0.705, 0.885, 0.916, 0.986, 3.923),
        (3.0, 0.319, 0.332, 0.528, 0.793, 0.839, 0.984, 3.951),
        (5.0, 0.214, 0.256, 0.366, 0.662, 0.685, 0.977, 3.820),
    ),
    (
        (0.6, 0.821, 1.202, 1.099, 1.075, 1.107, 0.822, 4.584),
        (0.8, 0.711, 1.172, 1.081, 1.111, 1.068, 0.730, 4.980),
        (1.0, 0.635, 1.153, 1.036, 1.071, 1.086, 0.748, 4.897),
        (1.5, 0.498, 1.118, 0.962, 1.020, 1.032, 0.771, 4.876),
        (2.0, 0.415, 1.051, 0.968, 1.005, 1.017, 0.808, 5.031),
        (3.0, 0.312, 0.965, 0.788, 0.918, 0.943, 0.824, 4.788),
        (5.0, 0.202, 0.739, 0.641, 0.774, 0.823, 0.840, 4.296),
    ),
)


def compartments(world: World, future: Future, effects: Sequence[Effect], frame_s: Sequence[float]) -> Member:
    """Susceptible, exposed, infectious, in hospital, recovered and dead in each zone, by differential equations."""
    knobs, days = future.knobs, days_of(future)
    night = np.asarray(world.people(NIGHT_H), np.float64)
    zone = world.zones.zone_of.astype(np.int64) + 1
    groups = len(world.zones.name) + 1
    people = np.bincount(zone, night, groups).astype(np.float64)
    if people.sum() < 2.0:
        raise InputError("epidemic: nobody lives in this twin; build it with --population, since people infect each other")
    disease = disease_of(knobs)
    naive = naive_rates(disease, knobs["home_mean"], knobs["near_contacts"], knobs["far_contacts"])[0]
    left_over = _loudness(disease) * _not_isolated(disease, knobs["tested_per_d"])
    part, depletion, infectious_d = used_up(round(knobs["disease"]), knobs["transmission_factor"] * left_over)
    rate = naive * left_over * part * (_infectious_d(disease) / infectious_d)
    own, all_over = np.eye(groups), np.tile(people / people.sum(), (groups, 1)).T
    meeting = np.zeros((LAYERS, groups, groups))
    for layer in range(LAYERS):
        meeting[layer] = rate[layer] * (all_over if layer in (FAR, WORK) else own)
    left = np.ones((days, LAYERS, groups))
    left[:, HOME + 1 :] = contact_factors(future, days)[:, None, None]
    for effect in effects:
        for row in rows_of(world, effect.target, groups):
            left[begins(effect, days) :, list(CLOSED_BY[effect.verb]), row] *= 1.0 - effect.amount
    total = meeting.sum(axis=0)
    now = np.einsum("dlg,lgh->dgh", left, meeting)
    factor = np.divide(now, total, out=np.ones_like(now), where=total > 0)
    seeds, imported = np.zeros(groups), np.zeros((days, groups))
    share = people / people.sum()
    for name, series in future.series.items():
        kind, _, where = name.partition("@")
        if kind == "seeds":
            at = places_of(world, ("zone", "point"), where) if where else None
            spread = share if at is None else np.bincount(zone[at], minlength=groups) / at.size
            seeds += series.at(0.0) * spread
        elif kind == "imported":
            imported += np.array([series.at((d + 0.5) * DAY_S) for d in range(days)])[:, None] * share
    if not (seeds.any() or imported.any()):
        raise InputError("epidemic: nobody brings it; give --drive seeds=20persons, seeds@ZONE=... or imported=2persons/d")
    flow = spread_in_groups(
        people, np.minimum(seeds, people), total, _stages(disease, infectious_d), factor, imported, depletion=depletion
    )
    severe = np.divide(flow.state[:, SEVERE], people, out=np.zeros((days, groups)), where=people > 0)
    infected = np.divide(flow.state[-1, INFECTED], people, out=np.zeros(groups), where=people > 0)
    severe = np.clip(severe, 0.0, 1.0)
    lived = night > 0
    came = severe * people >= 1.0  # it has come where one person is severely ill
    first = np.where(came.any(axis=0), came.argmax(axis=0) * DAY_S, np.inf)
    peak = np.where(np.isfinite(first), severe[-1], 0.0)
    arrival = np.where(lived, first[zone], np.inf)

    def at_time(time_s: float) -> np.ndarray:
        day = min(days, int(time_s // DAY_S))
        return np.where(lived & (arrival <= time_s), np.minimum(severe[day - 1], peak)[zone] if day else 0.0, 0.0).astype(
            np.float32
        )

    cases = flow.daily(INFECTED).sum(axis=1) * _reported(disease, knobs["tested_per_d"])
    dead = np.diff(flow.state[:, D].sum(axis=1), prepend=0.0)
    beds = np.minimum(flow.state[:, H].sum(axis=1), knobs["beds_per_1000"] * people.sum() / 1000.0)
    return Member(
        np.where(lived, peak[zone], 0.0).astype(np.float32),
        arrival.astype(np.float32),
        np.where(np.isfinite(arrival), future.duration_s, np.inf).astype(np.float32),
        {INFECTED_SHARE.name: np.where(lived, np.clip(infected, 0.0, 1.0)[zone], 0.0).astype(np.float32)},
        np.stack([at_time(t) for t in frame_s]) if len(frame_s) else None,
        {"infected": float(flow.state[-1, INFECTED].sum()), "deaths": float(flow.state[-1, D].sum())},
        courses_of(np.maximum(cases, 0.0), beds, np.zeros(days), np.maximum(dead, 0.0), disease),
    )


def _by_age(row: tuple[float, ...]) -> float:
    """The mean of a row by ten years of age over Brazil's people."""
    ages = np.array(AGES_BRAZIL)
    value = np.array(row)[np.minimum(np.arange(ages.size), len(row) - 1)]
    return float(value @ ages / ages.sum())


def _infectious_d(disease: Disease) -> float:
    """The mean time that one passes it on: until a mild course ends, or until a severe one keeps to bed."""
    ill, severe = _by_age(disease.symptoms), _by_age(disease.severe)
    mild = ill - severe
    return (
        (1.0 - ill) * disease.end_silent.mean_d
        + mild * (disease.to_symptoms.mean_d + disease.end_mild.mean_d)
        + severe * (disease.to_symptoms.mean_d + disease.to_severe.mean_d)
    )


def naive_rates(disease: Disease, home_mean: float, near: float, far: float) -> tuple[np.ndarray, float]:
    """Infections that one infectious person would cause in a day in each layer, (layer,), were all susceptible and none met twice; days that it lasts."""
    mixing = Mixing()
    contacts = np.array([home_mean - 1.0, mixing.contacts[0] * SCHOOL_SHARE, mixing.contacts[1] * WORK_SHARE, near, far])
    p = np.minimum(1.0, disease.transmission * np.array(disease.layer_weight[:LAYERS]) * _by_age(disease.susceptible))
    return contacts * p, _infectious_d(disease)


def used_up(disease: int, factor: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Each layer's part of its naive rate, (layer,), the power of the susceptible share, days infectious, as agents have them: between FITTED's lines.

    `factor` (layer,) is by how much one infects there in all, beside the disease as it is: who meets the same few again infects fewer of them anew.
    """
    rows = np.array(FITTED[disease])
    part = [np.interp(factor[layer], rows[:, 0], rows[:, 1 + layer]) for layer in range(LAYERS)]
    mean = factor.mean()
    return (
        np.array(part),
        float(np.interp(mean, rows[:, 0], rows[:, 1 + LAYERS])),
        float(np.interp(mean, rows[:, 0], rows[:, 2 + LAYERS])),
    )


def _loudness(disease: Disease) -> float:
    """What is left of infectiousness where those without symptoms pass on less: the part of the days that count, 1 for `silent_factor` 1."""
    ill = _by_age(disease.symptoms)
    silent = (1.0 - ill) * disease.end_silent.mean_d + ill * disease.to_symptoms.mean_d
    return 1.0 - (1.0 - disease.silent_factor) * silent / _infectious_d(disease)


def _not_isolated(disease: Disease, tested_per_d: float) -> np.ndarray:
    """What is left of infections in each layer where who has symptoms is tested and, once the result is there, isolated, (layer,)."""
    day, result = np.arange(DAYS_MOST), round(AGENT_KNOBS["result_days"].usual)
    isolated = 1.0 - (1.0 - tested_per_d) ** np.maximum(day - result + 1, 0)  # by so many days after symptoms began
    late = 1.0 / (
        1.0 + disease.early_share * (disease.early_ratio - 1.0)
    )  # of a mean day, what a day after the first ones passes on
    severe = _by_age(disease.severe)
    mild = _by_age(disease.symptoms) - severe
    days = sum(
        share * float(isolated @ (1.0 - wait.at_most()))
        for share, wait in ((mild, disease.end_mild), (severe, disease.to_severe))
    )
    return 1.0 - late * days / _infectious_d(disease) * (1.0 - np.array(Mixing().isolated[:LAYERS]))


def _stages(disease: Disease, infectious_d: float) -> Stages:
    severe, dying = _by_age(disease.severe), _by_age(disease.dying)
    stay = disease.end_severe.mean_d * (1.0 - dying / severe) + disease.to_death.mean_d * dying / severe
    return Stages(
        latent_d=disease.latent.mean_d,
        infectious_d=infectious_d,
        hospital_d=max(stay, 0.5),
        severe=np.array([severe]),
        dying=np.array([dying / severe]),
    )


def _reported(disease: Disease, tested_per_d: float) -> float:
    """The share of the infected who are ever reported: those with symptoms who are tested in time, and all who fall severely ill."""
    ill, severe = _by_age(disease.symptoms), _by_age(disease.severe)
    return float(severe + (ill - severe) * (1.0 - (1.0 - tested_per_d) ** disease.end_mild.mean_d))


COMPARTMENTS = Model(
    name="compartments",
    reads=(),
    makes=SEVERE_SHARE,
    run=compartments,
    knobs=KNOBS,
    series=SERIES,
    acts_on=CLOSURES,
    source="Kermack & McKendrick 1927, Proc. R. Soc. A 115:700-721; Keeling & Rohani 2008, Modeling Infectious Diseases; numbers as of the agents",
    limits=(
        "no chance, tests, tracing, vaccines, shelters or lack of beds; homes, schools and firms only by what agents of a made-up town told; waits of "
        "exponential length; reports come on the day of infection; for large towns only. Bias beside the agents: docs/science/epidemic.md"
    ),
)
